//! The HTTP front on real sockets. What depends on time is tested beside the code, where time is an
//! argument; here only what the kernel has a part in.

#![allow(clippy::panic, reason = "one page of the tests fails on purpose")]
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use vpclab::api::http::{
    Answer, Counts, Front, Hosts, Limits, Request, ServeEnd, Service, is_loopback, serve,
    soft_limit,
};

/// Answers with the length of what it got. `/panic` panics, `/wait` waits until it is told to go on.
#[derive(Debug, Default)]
struct Length {
    begun: Notify,
    go_on: Notify,
}

impl Service for Length {
    fn request_id(&self) -> String {
        "an-id".to_owned()
    }

    async fn answer(&self, request: Request) -> Answer {
        match request.path.as_str() {
            "/panic" => panic!("on purpose"),
            "/wait" => {
                self.begun.notify_one();
                self.go_on.notified().await;
            }
            _ => {}
        }
        assert!(request.peer.is_some_and(|peer| is_loopback(&peer)));
        Answer::text(200, request.body.len().to_string())
    }
}

struct Lab {
    address: SocketAddr,
    service: Arc<Length>,
    counts: Arc<Counts>,
    stop: oneshot::Sender<()>,
    end: JoinHandle<ServeEnd>,
}

async fn lab(limits: Limits) -> Lab {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Arc::new(Length::default());
    let front = Front { limits, hosts: Hosts::default(), counts: Arc::default() };
    let counts = Arc::clone(&front.counts);
    let (stop, stopped) = oneshot::channel();
    let serving = serve(listener, Arc::clone(&service), front, async {
        stopped.await.unwrap();
    });
    Lab { address, service, counts, stop, end: tokio::spawn(serving) }
}

impl Lab {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// One answer: its status and its body, by its Content-Length. An end before is an error.
async fn one(io: &mut TcpStream) -> io::Result<(u16, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    io.read_exact(&mut body).await?;
    Ok((status, String::from_utf8(body).unwrap()))
}

async fn ask(io: &mut TcpStream, path: &str) -> io::Result<(u16, String)> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    io.write_all(head.as_bytes()).await?;
    one(io).await
}

fn ok() -> (u16, String) {
    (200, "0".to_owned())
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let lab = lab(Limits::default()).await;
    let mut io = lab.connect().await;
    for row in 0..100 {
        assert_eq!(ask(&mut io, "/").await.unwrap(), ok(), "{row}");
    }
    assert_eq!(ask(&mut io, "/panic").await.unwrap().0, 500);
    assert_eq!(ask(&mut io, "/").await.unwrap(), ok());
    assert_eq!((lab.counts.accepted(), lab.counts.panics()), (1, 1));
}

/// The client sees why, although it is still sending when the server has heard enough.
#[tokio::test]
async fn a_refused_body_does_not_lose_the_refusal() {
    let lab = lab(Limits::default()).await;
    for sent in [0, 1_000, 100_000] {
        let mut io = lab.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10737418240\r\n\r\n";
        io.write_all(head.as_bytes()).await.unwrap();
        io.write_all(&vec![b'x'; sent]).await.unwrap();
        let (status, body) = one(&mut io).await.unwrap();
        assert_eq!(status, 413);
        assert!(body.contains("<Code>RequestEntityTooLarge</Code>"), "{body}");
    }
    let mut io = lab.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n";
    io.write_all(head.as_bytes()).await.unwrap();
    io.write_all(&vec![b'x'; 1 << 20]).await.unwrap();
    assert_eq!(one(&mut io).await.unwrap(), (200, "1048576".to_owned()));
}

#[tokio::test]
async fn a_client_that_has_said_all_is_answered() {
    let lab = lab(Limits::default()).await;
    let mut io = lab.connect().await;
    io.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
        .await
        .unwrap();
    io.shutdown().await.unwrap();
    assert_eq!(one(&mut io).await.unwrap(), (200, "3".to_owned()));
}

/// Idle connections never keep others out.
#[tokio::test]
async fn more_clients_than_places_are_all_served() {
    let lab = lab(Limits { connections: 16, ..Limits::default() }).await;
    let mut clients = Vec::new();
    for row in 0..200 {
        let mut io = lab.connect().await;
        assert_eq!(ask(&mut io, "/").await.unwrap(), ok(), "{row}");
        clients.push(io);
    }
    assert!(lab.counts.open() <= 16, "{}", lab.counts.open());
    assert_eq!(lab.counts.turned_away(), 0);
    assert_eq!(ask(clients.last_mut().unwrap(), "/").await.unwrap(), ok());
}

#[tokio::test]
async fn a_stopped_server_finishes_what_it_has() {
    let lab = lab(Limits::default()).await;
    let mut idle = lab.connect().await;
    assert_eq!(ask(&mut idle, "/").await.unwrap(), ok());
    let mut busy = lab.connect().await;
    let asking = tokio::spawn(async move { ask(&mut busy, "/wait").await });
    lab.service.begun.notified().await;
    lab.stop.send(()).unwrap();
    // It has let go of whoever has no request, and of its address.
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    assert!(TcpStream::connect(lab.address).await.is_err());
    lab.service.go_on.notify_one();
    assert_eq!(asking.await.unwrap().unwrap(), ok());
    assert_eq!(lab.end.await.unwrap(), ServeEnd { abandoned: 0 });
}

#[test]
fn the_host_tells_its_limit() {
    assert!(soft_limit() > 0);
}
