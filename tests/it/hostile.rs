//! Hostile clients of a server: what they send, how slowly they send it, how many they are.
//!
//! Each test drives a process of its own over sockets, and asks the same of it: every request that is
//! HTTP is answered with a document that parses and a code that is the client's fault, nothing
//! panics, memory stays bounded, and a client that behaves is answered meanwhile. No time is judged:
//! only an answer that does not come within a minute is a failure.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; a failure names the line"
)]

mod crowd;
mod grammar;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::thread;

use grammar::{Framing, Fuzzer, Shot};
use vpclab::base::rng::Seed;

use crate::support::served::{Answer, Body, Connection, Served};

/// Connections that fuzz at the same time.
const CONNECTIONS: u64 = 4;
/// Requests between two resets, so that the world stays one that grows.
const CHUNK: u64 = 50_000;
/// What a fuzzed server may hold at most, in KiB. It holds a world of a few thousand resources (some
/// ten MiB), the answers to 4,096 client tokens, captures and flow logs of a few packets, and of each
/// connection a request and an answer of a megabyte or two. The allocator keeps some of what was freed.
const FUZZED_KIB_MAX: u64 = 384 << 10;

/// Where a server of this test logs to; it goes away with the test, unless that fails.
struct Log(PathBuf);

impl Log {
    fn new(name: &str) -> Log {
        let name = format!("vpclab-hostile-{}-{name}.log", std::process::id());
        Log(env::temp_dir().join(name))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// What all connections have seen, so that a run that tested nothing is noticed.
#[derive(Default, Debug)]
struct Seen {
    statuses: BTreeMap<u16, u64>,
    codes: BTreeSet<String>,
    /// Requests that were no HTTP and got no answer.
    unanswered: u64,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.codes.extend(other.codes);
        self.unanswered += other.unanswered;
    }
}

/// What is wrong with an answer; nothing if it is fine. `Ok` has the error code, if it is a refusal.
fn judge(answer: &Answer, framing: Framing) -> Result<Option<String>, String> {
    // 431 and 414: a head longer than allowed. hyper says these, and 400, without a body.
    if !matches!(answer.status, 200 | 400 | 401 | 403 | 404 | 412 | 413 | 414 | 431) {
        return Err(format!("status {}", answer.status));
    }
    if framing == Framing::Head {
        return Ok(None);
    }
    if answer.body.is_empty() && answer.status != 200 {
        let bare = matches!(framing, Framing::Broken | Framing::Last);
        return if bare { Ok(None) } else { Err("an empty answer".to_owned()) };
    }
    let kind = answer.header("content-type").ok_or("no content type")?;
    if kind.starts_with("application/vnd.tcpdump") {
        return Ok(None);
    }
    let text = std::str::from_utf8(&answer.body).map_err(|error| error.to_string())?;
    let code = match kind.split(';').next() {
        Some("text/xml") => {
            xml::check(text)?;
            let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
            code.map(|(code, _)| code.to_owned())
        }
        Some("application/json") => {
            let json: serde_json::Value =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            json["code"].as_str().map(str::to_owned)
        }
        Some("text/plain" | "application/openmetrics-text") => None,
        _ => return Err(format!("a body of type {kind}")),
    };
    // STS answers with JSON-like pages of its own; all refusals have a code.
    match (answer.status, &code) {
        (200, _) => Ok(None),
        (_, None) => Err("a refusal without a code".to_owned()),
        (_, Some(code)) if code.contains("Internal") || !is_code(code) => {
            Err(format!("code {code}"))
        }
        (_, Some(_)) => Ok(code),
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'.')
}

/// Sends a request and reads what comes back. `None`: there was no answer, and need not be.
fn fire(connection: &mut Connection, shot: &Shot) -> io::Result<Option<Answer>> {
    let sent = connection.stream().write_all(&shot.bytes);
    match shot.framing {
        Framing::Whole => {
            sent?;
            connection.answer(Body::Sent).map(Some)
        }
        Framing::Head => {
            sent?;
            connection.answer(Body::LeftAway).map(Some)
        }
        // The server may have heard enough before the end.
        Framing::Last => connection.answer(Body::Sent).map(Some),
        Framing::Broken => {
            let _ = connection.stream().shutdown(Shutdown::Write);
            match connection.answer(Body::Sent) {
                Ok(answer) => Ok(Some(answer)),
                Err(error) => match error.kind() {
                    io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe => Ok(None),
                    _ => Err(error),
                },
            }
        }
    }
}

/// One connection after the other, `count` requests in all.
fn fuzz(address: &str, fuzzer: &mut Fuzzer, count: u64) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::open(address).unwrap();
    for nth in 0..count {
        let shot = fuzzer.shot();
        let fail = |why: &dyn std::fmt::Display| -> ! {
            let head = &shot.bytes[..shot.bytes.len().min(6_000)];
            panic!("request {nth}, {:?}: {why}\n{}", shot.framing, head.escape_ascii());
        };
        let answer = match fire(&mut connection, &shot) {
            Ok(answer) => answer,
            Err(error) => fail(&error),
        };
        let Some(answer) = answer else {
            seen.unanswered += 1;
            connection = Connection::open(address).unwrap();
            continue;
        };
        match judge(&answer, shot.framing) {
            Ok(code) => seen.codes.extend(code),
            Err(why) => fail(&format!("{why}\n{}", answer.body.escape_ascii())),
        }
        *seen.statuses.entry(answer.status).or_default() += 1;
        if let Ok(text) = std::str::from_utf8(&answer.body) {
            fuzzer.learn(text);
        }
        if answer.closes() && shot.framing == Framing::Whole {
            fail(&format!("the connection is closed\n{}", answer.body.escape_ascii()));
        }
        if answer.closes() || matches!(shot.framing, Framing::Broken | Framing::Last) {
            connection = Connection::open(address).unwrap();
        }
    }
    seen
}

/// So many requests in all, in chunks that begin with an empty world.
fn fuzzed(name: &str, count: u64) {
    let seed = Seed(env::var("VPCLAB_SEED").map_or(1, |seed| seed.parse().unwrap()));
    println!("seed {} (VPCLAB_SEED)", seed.0);
    let log = Log::new(name);
    let served = Served::start(&["--clock", "virtual"], log.path());
    let mut seen = Seen::default();
    let mut fuzzers: Vec<Fuzzer> = (0..CONNECTIONS)
        .map(|nth| Fuzzer::new(seed.stream(&format!("connection {nth}"))))
        .collect();
    let mut left = count;
    while left > 0 {
        let chunk = left.min(CHUNK);
        left -= chunk;
        let address = served.address();
        thread::scope(|scope| {
            let running: Vec<_> = fuzzers
                .iter_mut()
                .map(|fuzzer| scope.spawn(move || fuzz(address, fuzzer, chunk / CONNECTIONS)))
                .collect();
            for running in running {
                match running.join() {
                    Ok(part) => seen.add(part),
                    // What it said has been printed.
                    Err(_) => panic!("a connection has failed, see above"),
                }
            }
        });
        let resident = served.memory_kib("VmRSS:");
        println!("{} requests, {} KiB", count - left, resident);
        let reset = Connection::open(address).unwrap().post("/_vpclab/reset").unwrap();
        assert_eq!(reset.status, 200);
    }
    let most = served.memory_kib("VmHWM:");
    println!("{seen:?}; at most {most} KiB");
    assert!(most < FUZZED_KIB_MAX, "{most} KiB");
    assert_eq!(served.metric("vpclab_panics_total"), 0.0);
    // It was no run of the same refusal.
    let answered = seen.statuses.get(&200).copied().unwrap_or_default();
    assert!(answered * 10 > count, "{answered} of {count} were carried out");
    assert!(seen.codes.len() > 60, "{} codes", seen.codes.len());
    assert!(seen.unanswered > 0);
}

#[test]
fn what_30_000_fuzzed_requests_do() {
    fuzzed("fuzz", 30_000);
}

#[test]
#[ignore = "minutes; tests/run.sh runs it"]
fn what_a_million_fuzzed_requests_do() {
    fuzzed("fuzz-million", 1_000_000);
}

/// Time can be moved to its end, and nothing overflows there.
#[test]
fn what_the_end_of_time_does() {
    let log = Log::new("end-of-time");
    let served = Served::start(&["--clock", "virtual"], log.path());
    let mut connection = Connection::open(served.address()).unwrap();
    let mut fuzzer = Fuzzer::new(Seed(1).stream("end of time"));
    for by in ["100000d", "100000d", "18446744073709551615ns", "1d"] {
        let answer = connection.post(&format!("/_vpclab/clock/advance?by={by}")).unwrap();
        judge(&answer, Framing::Whole).unwrap();
        drop(fuzz(served.address(), &mut fuzzer, 500));
    }
    assert_eq!(served.metric("vpclab_panics_total"), 0.0);
}
