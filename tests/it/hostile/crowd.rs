//! Clients that are many, slow or endless; and one that behaves, which is answered meanwhile.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use vpclab::api::http::soft_limit;

use super::{Log, judge};
use crate::hostile::grammar::Framing;
use crate::support::served::{Answer, Body, Connection, Served, get};

/// Slow clients of each kind.
const SLOW: usize = 100;
/// Clients that ask and ask and take no answer. Each costs the server some thousand answers, until the
/// buffers of two sockets are full.
const GREEDY: usize = 4;
/// Rounds of a second at least, after which a slow client that is still there is one too many: more than
/// twice what it may take.
const SLOW_ROUNDS_MAX: usize = 75;
/// What a server may hold with slow clients or endless bodies, in KiB: its world and its program, and
/// a megabyte of each client that has sent one.
const SLOW_KIB_MAX: u64 = 128 << 10;
/// Connections of a crowd.
const CROWD: usize = 10_000;
/// What a connection may cost the server, in KiB: 8 of buffer for what comes in, and its state.
const CONNECTION_KIB_MAX: u64 = 32;
/// Descriptors of this process that are not for the crowd: what other tests have open.
const SPARE: usize = 400;
/// Ten gigabytes.
const ENDLESS: u64 = 10 << 30;
/// What a server may take of an endless body: what it allows, what it reads on so that the client sees
/// the refusal, and what the buffers of two sockets hold.
const TAKEN_MAX: u64 = 64 << 20;

/// A client that does everything right, on a connection of its own.
fn behaves(served: &Served) {
    let mut connection = Connection::open(served.address()).unwrap();
    let health = connection.get("/_vpclab/health").unwrap();
    assert_eq!(health.status, 200);
    let answer = connection.ask("111111111111", "Action=DescribeVpcs&Version=2016-11-15").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn code(answer: &Answer) -> Option<String> {
    judge_slow(answer).unwrap()
}

/// As [`judge`], with the refusals that only slow clients see.
fn judge_slow(answer: &Answer) -> Result<Option<String>, String> {
    match answer.status {
        408 | 503 => {
            let text = answer.text();
            super::xml::check(text)?;
            let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
            Ok(code.map(|(code, _)| code.to_owned()))
        }
        _ => judge(answer, Framing::Whole),
    }
}

/// Heads and bodies that come a byte a second, answers that nobody takes, and halves of connections.
#[test]
fn slow_clients_go_and_others_do_not_notice() {
    let log = Log::new("slow");
    let served = Served::start::<&str>(&[], log.path());
    let open = |many| -> Vec<Connection> {
        (0..many).map(|_| Connection::open(served.address()).unwrap()).collect()
    };
    let (heads, mut bodies, mut halves) = (open(SLOW), open(SLOW), open(SLOW));
    let greedy = open(GREEDY);
    let form = "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1";
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    for body in &bodies {
        body.stream().write_all(head.as_bytes()).unwrap();
    }
    for half in &halves {
        // It has asked and says nothing more, but listens.
        half.stream().write_all(get("/_vpclab/health").as_bytes()).unwrap();
        half.stream().shutdown(Shutdown::Write).unwrap();
    }
    for greedy in &greedy {
        // Until no more goes in: the server waits for somebody to take its answers.
        greedy.stream().set_nonblocking(true).unwrap();
        let many = get("/_vpclab/metrics").repeat(100);
        while greedy.stream().write(many.as_bytes()).is_ok() {}
    }
    let mut round = 0;
    while served.metric("vpclab_connections") > 3.0 {
        assert!(round < SLOW_ROUNDS_MAX, "slow clients are still there");
        // What is gone cannot be written to.
        for (connections, text) in [(&heads, head), (&bodies, form)] {
            for connection in connections {
                let _ = connection.stream().write(&[text.as_bytes()[round % text.len()]]);
            }
        }
        behaves(&served);
        round += 1;
        thread::sleep(Duration::from_secs(1));
    }
    let most = served.memory_kib("VmHWM:");
    println!(
        "{} slow clients were gone after {round} rounds; at most {most} KiB",
        3 * SLOW + GREEDY
    );
    for body in &mut bodies {
        let answer = body.answer(Body::Sent).unwrap();
        assert_eq!((answer.status, code(&answer).as_deref()), (408, Some("RequestTimeout")));
    }
    for half in &mut halves {
        assert_eq!(half.answer(Body::Sent).unwrap().status, 200);
    }
    assert!(round > 1, "they were not slow");
    assert!(most < SLOW_KIB_MAX, "{most} KiB");
}

/// Sends a body without end, and reads the answer meanwhile. How much was taken.
fn endless(served: &Served, head: &str, piece: &[u8]) -> (u64, Answer) {
    let mut connection = Connection::open(served.address()).unwrap();
    let mut writing = connection.stream().try_clone().unwrap();
    writing.write_all(head.as_bytes()).unwrap();
    thread::scope(|scope| {
        let answer = scope.spawn(move || connection.answer(Body::Sent).map(|a| (a, connection)));
        let mut taken = 0;
        while taken < ENDLESS {
            match writing.write(piece) {
                Ok(n) => taken += n as u64,
                Err(error) => {
                    let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
                    assert!(closed.contains(&error.kind()), "{error}");
                    break;
                }
            }
        }
        (taken, answer.join().unwrap().unwrap().0)
    })
}

#[test]
fn ten_gigabytes_are_refused_and_not_kept() {
    let log = Log::new("endless");
    let served = Served::start::<&str>(&[], log.path());
    let piece = vec![b'x'; 64 << 10];
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend_from_slice(&piece);
    chunk.extend_from_slice(b"\r\n");
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\n";
    let rows: [(String, &[u8]); 3] = [
        (format!("{head}Content-Length: {ENDLESS}\r\n\r\n"), &piece),
        (format!("{head}Content-Length: {ENDLESS}\r\nExpect: 100-continue\r\n\r\n"), &piece),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), &chunk),
    ];
    thread::scope(|scope| {
        for (head, piece) in rows.iter().cycle().take(12) {
            let served = &served;
            scope.spawn(move || {
                let (taken, answer) = endless(served, head, piece);
                let found = (answer.status, code(&answer));
                assert_eq!(found, (413, Some("RequestEntityTooLarge".to_owned())));
                assert!(taken < TAKEN_MAX, "{taken} bytes were taken");
            });
        }
        for _ in 0..50 {
            behaves(&served);
        }
    });
    let most = served.memory_kib("VmHWM:");
    assert!(most < SLOW_KIB_MAX, "{most} KiB");
}

/// Raises the soft limit of descriptors to the hard one: the standard library has no call for it.
fn raise_limit() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let row = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let hard = row.split_whitespace().nth(4).unwrap();
    let me = std::process::id().to_string();
    let raised =
        Command::new("prlimit").args(["--pid", &me, &format!("--nofile={hard}:")]).status();
    if !raised.is_ok_and(|status| status.success()) {
        println!("the limit of descriptors stays as it is");
    }
}

/// Connections that say nothing keep nobody out; and each of them may speak in the end.
#[test]
fn ten_thousand_connections_are_served() {
    raise_limit();
    let crowd = CROWD.min(soft_limit() - SPARE);
    let log = Log::new("crowd");
    let served = Served::start::<&str>(&[], log.path());
    let before = served.memory_kib("VmRSS:");
    let open = |_| TcpStream::connect(served.address()).unwrap();
    let connections: Vec<TcpStream> = (0..crowd).map(open).collect();
    let newcomers = 40;
    for _ in 0..newcomers {
        behaves(&served);
    }
    for connection in &connections {
        // One that had to make room for a newcomer may be gone.
        let _ = (&mut &*connection).write_all(get("/_vpclab/health").as_bytes());
    }
    let mut answered = 0;
    for connection in &connections {
        connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        match status(connection) {
            Ok(status) => {
                assert_eq!(status, 200);
                answered += 1;
            }
            Err(error) => {
                let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                assert!(closed.contains(&error.kind()), "{error}");
            }
        }
    }
    let most = served.memory_kib("VmHWM:");
    println!("{answered} of {crowd} connections at once were answered; at most {most} KiB");
    // A newcomer to a full house sends 32 away, see `api::http`.
    assert!(answered + 32 * newcomers >= crowd, "{answered} of {crowd}");
    assert!(most < before + CONNECTION_KIB_MAX * crowd as u64 + (16 << 10), "{most} KiB");
    assert_eq!(served.metric("vpclab_panics_total"), 0.0);
}

/// The status of the answer that comes.
fn status(mut connection: &TcpStream) -> io::Result<u16> {
    let mut first = [0; 12];
    connection.read_exact(&mut first)?;
    let text = std::str::from_utf8(&first).unwrap();
    Ok(text.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap())
}
