//! The front against clients that are slow, many, greedy, broken or gone. Transports are in memory and
//! time is tokio's paused one, so a minute's wait takes none and no test depends on the machine.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::serve::{Door, serve_at};
use super::*;

/// Answers with what it was asked; some paths do worse.
#[derive(Debug, Default)]
struct Echo {
    begun: AtomicUsize,
    seen: Mutex<Vec<Request>>,
}

impl Service for Echo {
    fn request_id(&self) -> String {
        "an-id".to_owned()
    }

    async fn answer(&self, request: Request) -> Answer {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let path = request.path.clone();
        let body =
            format!("{:?} {} {} {}", request.method, path, request.query, request.body.len());
        self.seen.lock().unwrap().push(request);
        match path.as_str() {
            "/panic" => panic!("on purpose"),
            "/never" => pending().await,
            "/slow" => sleep(Duration::from_secs(5)).await,
            "/large" => return Answer::text(200, vec![b'x'; 1 << 20]),
            "/odd" => return Answer::text(7, "").with_header("x-odd", "a\nb"),
            _ => {}
        }
        Answer::text(200, body).with_header("x-request", "yes")
    }
}

/// A door through which the test comes in.
struct TestDoor(tokio::sync::Mutex<mpsc::UnboundedReceiver<io::Result<DuplexStream>>>);

impl Door for TestDoor {
    type Io = DuplexStream;

    async fn next(&self) -> io::Result<(DuplexStream, Option<SocketAddr>)> {
        match self.0.lock().await.recv().await {
            Some(next) => Ok((next?, None)),
            None => pending().await,
        }
    }
}

struct Lab {
    door: mpsc::UnboundedSender<io::Result<DuplexStream>>,
    echo: Arc<Echo>,
    counts: Arc<Counts>,
    stop: oneshot::Sender<()>,
    end: JoinHandle<ServeEnd>,
}

fn lab(limits: Limits) -> Lab {
    let (door, comers) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let echo = Arc::new(Echo::default());
    let front = Front { limits, ..Front::default() };
    let counts = Arc::clone(&front.counts);
    let serving =
        serve_at(TestDoor(tokio::sync::Mutex::new(comers)), Arc::clone(&echo), front, async {
            stopped.await.unwrap_or(())
        });
    Lab { door, echo, counts, stop, end: tokio::spawn(serving) }
}

impl Lab {
    /// A connection, with so much room between the ends.
    fn connect_with(&self, room: usize) -> DuplexStream {
        let (ours, theirs) = duplex(room);
        self.door.send(Ok(theirs)).unwrap();
        ours
    }

    fn connect(&self) -> DuplexStream {
        self.connect_with(64 << 10)
    }

    async fn stop(self) -> ServeEnd {
        self.stop.send(()).unwrap();
        self.end.await.unwrap()
    }
}

const GET: &str = "GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

/// Everything until the end of the connection.
async fn all(io: &mut DuplexStream) -> String {
    let mut out = Vec::new();
    let _ = io.read_to_end(&mut out).await;
    String::from_utf8(out).unwrap()
}

/// One answer, by its Content-Length.
async fn one(io: &mut DuplexStream) -> String {
    let mut out = Vec::new();
    loop {
        let mut byte = [0];
        if io.read(&mut byte).await.unwrap_or(0) == 0 {
            return String::from_utf8(out).unwrap();
        }
        out.push(byte[0]);
        if out.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(out).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    io.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_one_after_the_other() {
    let lab = lab(Limits::default());
    let mut io = lab.connect();
    for _ in 0..3 {
        io.write_all(GET.as_bytes()).await.unwrap();
        let answer = one(&mut io).await;
        assert_eq!(status(&answer), 200);
        assert!(answer.contains("x-request: yes\r\n"), "{answer}");
        assert!(answer.ends_with("Get /a b=c 0"), "{answer}");
    }
    // A form of two pieces, in chunks, whose sender waits to be told to go on.
    io.write_all(
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
          Expect: 100-continue\r\nX-Two: 1\r\nx-two: 2\r\nX-One: one\r\n\r\n",
    )
    .await
    .unwrap();
    assert_eq!(one(&mut io).await, "HTTP/1.1 100 Continue\r\n\r\n");
    io.write_all(b"3\r\nAct\r\n3\r\nion\r\n0\r\n\r\n").await.unwrap();
    assert!(one(&mut io).await.ends_with("Post /  6"));
    let request = lab.echo.seen.lock().unwrap().pop().unwrap();
    assert_eq!(&request.body[..], b"Action");
    assert_eq!(request.headers.get("X-ONE"), Some("one"));
    assert_eq!(request.headers.get("x-two"), None, "said twice is not said");
    assert_eq!(request.headers.all("x-two").count(), 2);
    assert_eq!(lab.counts.open(), 1);
    assert_eq!(lab.stop().await, ServeEnd { abandoned: 0 });
    assert_eq!(all(&mut io).await, "");
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_are_answered_in_order() {
    let lab = lab(Limits::default());
    let mut io = lab.connect_with(1 << 20);
    let requests: String = (0..500).map(|row| GET.replace("/a", &format!("/{row}"))).collect();
    io.write_all(requests.as_bytes()).await.unwrap();
    io.shutdown().await.unwrap();
    let answers = all(&mut io).await;
    let paths: Vec<&str> =
        answers.split("Get /").skip(1).map(|rest| rest.split(' ').next().unwrap()).collect();
    let want: Vec<String> = (0..500).map(|row| row.to_string()).collect();
    assert_eq!(paths, want, "and a client that has said all it had to say gets its answers");
}

#[tokio::test(start_paused = true)]
async fn bodies_are_bounded() {
    let limits = Limits { body_bytes: 1_000, ..Limits::default() };
    for (length, want) in [(0, 200), (999, 200), (1_000, 200), (1_001, 413)] {
        // Announced.
        let lab = lab(limits);
        let mut io = lab.connect();
        io.write_all(post("/", length).as_bytes()).await.unwrap();
        io.write_all(&vec![b'x'; length]).await.unwrap();
        let answer = one(&mut io).await;
        assert_eq!(status(&answer), want, "{length}");
        // In chunks of 100 and what remains.
        let mut io = lab.connect();
        let mut text =
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
        for from in (0..length).step_by(100) {
            let n = (length - from).min(100);
            text.push_str(&format!("{n:x}\r\n{}\r\n", "x".repeat(n)));
        }
        text.push_str("0\r\n\r\n");
        io.write_all(text.as_bytes()).await.unwrap();
        let answer = one(&mut io).await;
        assert_eq!(status(&answer), want, "{length} in chunks");
        assert_eq!(answer.contains("<Code>RequestEntityTooLarge</Code>"), want == 413);
        assert_eq!(answer.contains("connection: close"), want == 413);
    }
}

/// A client that sends without end is read a bounded way, and then cut off.
#[tokio::test(start_paused = true)]
async fn endless_bodies_are_not_read() {
    for head in [
        post("/", 10 << 30),
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
    ] {
        let lab = lab(Limits::default());
        let io = lab.connect();
        let (mut read, mut write) = tokio::io::split(io);
        let reading = tokio::spawn(async move {
            let mut answer = Vec::new();
            let _ = read.read_to_end(&mut answer).await;
            answer
        });
        write.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024));
        let mut sent = 0_usize;
        while write.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
        }
        let most = limit::API_BODY_BYTES_MAX + limit::API_LINGER_BYTES + (256 << 10);
        assert!(sent <= most, "{sent} bytes were taken");
        let answer = String::from_utf8(reading.await.unwrap()).unwrap();
        assert_eq!(status(&answer), 413, "{answer}");
        assert_eq!(lab.echo.begun.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_not_asked_for() {
    let lab = lab(Limits::default());
    let mut io = lab.connect();
    let head = post("/", 10 << 30).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    io.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&all(&mut io).await), 413);
}

#[tokio::test(start_paused = true)]
async fn all_bodies_together_are_bounded() {
    let lab = lab(Limits { bodies_bytes: 1_000, ..Limits::default() });
    let mut first = lab.connect();
    first.write_all(post("/", 900).as_bytes()).await.unwrap();
    first.write_all(&[b'x'; 800]).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    let mut second = lab.connect();
    second.write_all(post("/", 300).as_bytes()).await.unwrap();
    second.write_all(&[b'x'; 300]).await.unwrap();
    let answer = one(&mut second).await;
    assert_eq!(status(&answer), 503);
    assert!(answer.contains("<Code>RequestLimitExceeded</Code>"), "{answer}");
    first.write_all(&[b'x'; 100]).await.unwrap();
    assert_eq!(status(&one(&mut first).await), 200);
    let mut third = lab.connect();
    third.write_all(post("/", 300).as_bytes()).await.unwrap();
    third.write_all(&[b'x'; 300]).await.unwrap();
    assert_eq!(status(&one(&mut third).await), 200, "what was held is free again");
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_takes_are_bounded() {
    let lab = lab(Limits { answers_bytes: 3 << 20, ..Limits::default() });
    const LARGE: &str = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut holders = Vec::new();
    for _ in 0..3 {
        let mut io = lab.connect_with(1_024);
        io.write_all(LARGE.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(1)).await;
        holders.push(io);
    }
    let mut io = lab.connect();
    io.write_all(LARGE.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut io).await), 503);
    io.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut io).await), 200, "small ones go, on the same connection");
    // Whoever takes nothing is cut off, and its share is free again.
    sleep(duration(limit::API_STALL_SPAN) * 2).await;
    assert_eq!(lab.counts.open(), 1);
    io.write_all(LARGE.as_bytes()).await.unwrap();
    assert_eq!(one(&mut io).await.len() >> 20, 1);
}

#[tokio::test(start_paused = true)]
async fn heads_are_bounded() {
    let limits = Limits { headers: 10, head_bytes: 8 << 10, ..Limits::default() };
    let head = |headers: usize, bytes: usize| {
        let mut text = "GET / HTTP/1.1\r\nHost: localhost\r\n".to_owned();
        for row in 2..headers {
            text.push_str(&format!("X-{row}: x\r\n"));
        }
        let left = bytes.saturating_sub(text.len() + "X-Long: \r\n\r\n".len());
        text + &format!("X-Long: {}\r\n\r\n", "x".repeat(left))
    };
    for (headers, bytes, want) in [
        (9, 0, 200),
        (10, 0, 200),
        (11, 0, 431),
        (10_000, 0, 431),
        (3, (8 << 10) - 1, 200),
        (3, 8 << 10, 200),
        (3, (8 << 10) + 1, 431),
        (3, 1 << 20, 431),
    ] {
        let lab = lab(limits);
        let (mut read, mut write) = tokio::io::split(lab.connect());
        let text = head(headers, bytes);
        let writing = tokio::spawn(async move {
            let _ = write.write_all(text.as_bytes()).await;
            write
        });
        let mut begin = [0; 12];
        read.read_exact(&mut begin).await.unwrap();
        let have = String::from_utf8_lossy(&begin).into_owned();
        assert_eq!(status(&have), want, "{headers} headers, {bytes} bytes");
        drop(read);
        drop(writing.await);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_clients_are_cut_off() {
    let second = Duration::from_secs(1);
    let long = |span| duration(span) - second;
    let half = post("/", 10) + "12345";
    for (send, patient, gives_up, want) in [
        ("", long(limit::API_IDLE_SPAN), second * 2, 0),
        ("GET / HT", long(limit::API_HEAD_SPAN), second * 2, 0),
        (half.as_str(), long(limit::API_BODY_SPAN), second * 5, 408),
        (
            "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n",
            long(limit::API_ANSWER_SPAN),
            second * 2,
            503,
        ),
    ] {
        let lab = lab(Limits::default());
        let mut io = lab.connect();
        io.write_all(send.as_bytes()).await.unwrap();
        assert!(timeout(patient, one(&mut io)).await.is_err(), "{send}: not yet");
        let answer = timeout(gives_up, one(&mut io)).await.expect("but now");
        assert_eq!(status(&answer), want, "{send}");
    }
}

/// One byte now and then does not buy more time for a head.
#[tokio::test(start_paused = true)]
async fn trickling_heads_are_cut_off() {
    let lab = lab(Limits::default());
    let mut io = lab.connect();
    let begun = Instant::now();
    let mut sent = 0;
    while io.write_all(&[b"GET /aaaaaaaaaaaaaaaaaaaaaaa"[sent % 27]]).await.is_ok() {
        sent += 1;
        sleep(Duration::from_millis(900)).await;
    }
    let took = begun.elapsed();
    let span = duration(limit::API_HEAD_SPAN);
    assert!(took >= span && took < span + Duration::from_secs(2), "{took:?}");
}

/// But whoever takes an answer slowly and steadily gets all of it.
#[tokio::test(start_paused = true)]
async fn slow_readers_get_their_answer() {
    let lab = lab(Limits::default());
    let mut io = lab.connect_with(16 << 10);
    io.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut taken = 0;
    let mut piece = vec![0; 16 << 10];
    while let Ok(n @ 1..) = io.read(&mut piece).await {
        taken += n;
        sleep(duration(limit::API_STALL_SPAN) / 2).await;
    }
    assert!(taken > 1 << 20, "{taken}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_answer() {
    let lab = lab(Limits::default());
    let mut io = lab.connect();
    io.write_all(b"GET /panic HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = one(&mut io).await;
    assert_eq!(status(&answer), 500);
    assert!(answer.contains("<Code>InternalError</Code>"), "{answer}");
    assert!(!answer.contains("purpose"), "{answer}");
    assert_eq!(lab.counts.panics(), 1);
    io.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut io).await), 200);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_none_are_faults() {
    let lab = lab(Limits::default());
    let mut io = lab.connect();
    io.write_all(b"GET /odd HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = one(&mut io).await;
    assert_eq!(status(&answer), 500);
    assert!(!answer.contains("x-odd"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn garbage_is_refused() {
    for (bytes, want) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400),
        (b"\0\0\0\0\0\0\0\0\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: odd\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n", 403),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\nContent-Length: 0\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET http://localhost:4566/x?y HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (b"GET", 0),
        (b"", 0),
    ] {
        let lab = lab(Limits::default());
        let mut io = lab.connect();
        io.write_all(bytes).await.unwrap();
        io.shutdown().await.unwrap();
        let answer = all(&mut io).await;
        let have = status(&answer);
        let shown = String::from_utf8_lossy(bytes);
        assert!(have == want || (want == 0 && have == 400), "{shown}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_go_are_forgotten() {
    let lab = lab(Limits::default());
    for text in ["", "GET /", &post("/", 10), &(post("/", 10) + "12"), GET] {
        let mut io = lab.connect();
        io.write_all(text.as_bytes()).await.unwrap();
        drop(io);
    }
    sleep(Duration::from_millis(10)).await;
    assert_eq!((lab.counts.accepted(), lab.counts.open()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_full_house_makes_room() {
    let lab = lab(Limits { connections: 8, ..Limits::default() });
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut io = lab.connect();
        io.write_all(GET.as_bytes()).await.unwrap();
        assert_eq!(status(&one(&mut io).await), 200);
        idle.push(io);
        sleep(Duration::from_millis(1)).await;
    }
    // The first one is used again, so the second is the one that waits longest.
    idle[0].write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut idle[0]).await), 200);
    let mut late = lab.connect();
    late.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut late).await), 200);
    assert_eq!(all(&mut idle[1]).await, "");
    assert_eq!((lab.counts.open(), lab.counts.evicted()), (8, 1));
    for row in [0, 2, 3, 4, 5, 6, 7] {
        idle[row].write_all(GET.as_bytes()).await.unwrap();
        assert_eq!(status(&one(&mut idle[row]).await), 200, "{row}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_house_turns_away() {
    let lab = lab(Limits { connections: 2, ..Limits::default() });
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut io = lab.connect();
        io.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(1)).await;
        busy.push(io);
    }
    let mut late = lab.connect();
    let answer = all(&mut late).await;
    assert_eq!(status(&answer), 503);
    assert!(answer.contains("<Code>RequestLimitExceeded</Code>"), "{answer}");
    assert_eq!(lab.counts.turned_away(), 1);
    for io in &mut busy {
        assert_eq!(status(&one(io).await), 200);
    }
    let mut next = lab.connect();
    next.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut next).await), 200);
}

/// A host without descriptors is asked ten times a second, not as often as it can answer.
#[tokio::test(start_paused = true)]
async fn a_host_without_descriptors_is_not_pestered() {
    let lab = lab(Limits::default());
    for _ in 0..100 {
        // EMFILE has a kind of no name.
        lab.door.send(Err(io::Error::from_raw_os_error(24))).unwrap();
    }
    sleep(Duration::from_millis(950)).await;
    assert!((9..=11).contains(&lab.counts.accept_errors()), "{}", lab.counts.accept_errors());
    let mut io = lab.connect();
    io.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(status(&one(&mut io).await), 200, "and everything goes on");
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_requests_finish() {
    let lab = lab(Limits::default());
    let mut idle = lab.connect();
    let mut busy = lab.connect();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    let end = tokio::spawn(lab.stop());
    assert_eq!(all(&mut idle).await, "");
    let answer = all(&mut busy).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("Get /slow"), "{answer}");
    assert_eq!(end.await.unwrap(), ServeEnd { abandoned: 0 });
    assert_eq!(begun.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let lab = lab(Limits::default());
    let mut busy = lab.connect();
    busy.write_all(b"GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let counts = Arc::clone(&lab.counts);
    let begun = Instant::now();
    assert_eq!(lab.stop().await, ServeEnd { abandoned: 1 });
    let span = duration(limit::API_DRAIN_SPAN);
    assert!(begun.elapsed() >= span && begun.elapsed() < span + Duration::from_secs(1));
    assert_eq!(all(&mut busy).await, "");
    assert_eq!(counts.open(), 0);
}

#[test]
fn connections_fit_into_the_descriptors() {
    let limits = Limits { connections: 1_000, ..Limits::default() };
    for (descriptors, want) in
        [(0, 1), (96, 1), (97, 1), (98, 2), (1_024, 928), (1_096, 1_000), (usize::MAX, 1_000)]
    {
        assert_eq!(limits.within(descriptors).connections, want, "{descriptors}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let headers = Headers::of([("Authorization", "secret"), ("Host", "localhost")]).unwrap();
    assert_eq!(format!("{headers:?}"), "[\"authorization\", \"host\"]");
    assert_eq!(Headers::of([("a b", "c")]), None);
    assert_eq!(Headers::of([("a", "c\n")]), None);
}
