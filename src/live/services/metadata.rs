//! Instance metadata: what an instance is told of itself over HTTP (EUG instance-metadata).
//!
//! Holds the tree of what there is, the tokens of version 2, and the HTTP around both. Refuses user
//! data, credentials and signed documents: nothing here needs them, and they would be made up.

mod tree;

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::super::ground::Ground;
use super::{PAUSE, seen};
use crate::base::id::InterfaceId;

/// Connections of one host at a time.
const CONNECTIONS_MAX: usize = 32;
/// For the head of a request to come in.
const HEAD_SPAN: Duration = Duration::from_secs(5);
/// For everything on one connection.
const CONNECTION_SPAN: Duration = Duration::from_secs(60);
/// Bytes of a request's line and headers; hyper takes no less.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// How long a token may live at most, in seconds (EUG, instance metadata: six hours).
const TOKEN_SECONDS_MAX: u64 = 21_600;
/// In a request for a token, how long it is to live; in the answer, how long it will.
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// A token.
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
/// Where tokens are made.
const TOKEN_PATH: &str = "/latest/api/token";

/// Makes tokens and knows them again. Keeps none: a token is its own end, sealed.
#[derive(Debug)]
pub(super) struct Tokens {
    seals: [RandomState; 2],
    begun: Instant,
}

impl Tokens {
    /// Tokens of a server that starts now.
    pub(super) fn new() -> Tokens {
        Tokens { seals: [RandomState::new(), RandomState::new()], begun: Instant::now() }
    }

    fn seal(&self, end: u64) -> String {
        let [a, b] = self.seals.each_ref().map(|seal| seal.hash_one(end));
        format!("{end:08x}{a:016x}{b:016x}")
    }

    /// Seconds since the start.
    fn now(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }

    fn make(&self, seconds: u64) -> String {
        self.seal(self.now() + seconds)
    }

    fn is_valid(&self, token: &str) -> bool {
        let end = token.get(..8).and_then(|end| u64::from_str_radix(end, 16).ok());
        end.is_some_and(|end| end >= self.now() && self.seal(end) == token)
    }
}

/// Answers for one host.
pub(super) async fn serve(
    listener: TcpListener,
    host: InterfaceId,
    tokens: Arc<Tokens>,
    ground: Arc<dyn Ground>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while tasks.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (tokens, ground) = (Arc::clone(&tokens), Arc::clone(&ground));
        tasks.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (head, _) = request.into_parts();
                let answer =
                    answer(&head.method, head.uri.path(), &head.headers, &tokens, host, &*ground);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_SPAN)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            // How it ended concerns nobody but the client.
            let _ = timeout(CONNECTION_SPAN, connection).await;
            drop(place);
        });
    }
}

type Reply = Response<Full<Bytes>>;

fn reply(status: StatusCode, text: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    reply
}

fn refuse(status: StatusCode) -> Reply {
    reply(status, format!("{}\n", status.canonical_reason().unwrap_or_default()))
}

fn answer(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    tokens: &Tokens,
    host: InterfaceId,
    ground: &dyn Ground,
) -> Reply {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (method, path) {
        (&Method::PUT, TOKEN_PATH) => {
            // What comes through a proxy may be somebody else's.
            if headers.contains_key("x-forwarded-for") {
                return refuse(StatusCode::FORBIDDEN);
            }
            let seconds = header(TTL_HEADER).and_then(|text| text.parse().ok());
            let Some(seconds) = seconds.filter(|s| (1..=TOKEN_SECONDS_MAX).contains(s)) else {
                return refuse(StatusCode::BAD_REQUEST);
            };
            let mut reply = reply(StatusCode::OK, tokens.make(seconds));
            reply.headers_mut().insert(TTL_HEADER, HeaderValue::from(seconds));
            reply
        }
        (&Method::PUT, _) => refuse(StatusCode::NOT_FOUND),
        (&Method::GET | &Method::HEAD, TOKEN_PATH) => refuse(StatusCode::METHOD_NOT_ALLOWED),
        (&Method::GET | &Method::HEAD, _) => {
            // Without a token it is version 1.
            if header(TOKEN_HEADER).is_some_and(|token| !tokens.is_valid(token)) {
                return refuse(StatusCode::UNAUTHORIZED);
            }
            let found = seen(ground, |cloud, _| tree::look_up(&tree::leaves(cloud, host), path));
            match found.flatten() {
                Some(text) => reply(StatusCode::OK, text),
                None => refuse(StatusCode::NOT_FOUND),
            }
        }
        _ => refuse(StatusCode::METHOD_NOT_ALLOWED),
    }
}

#[cfg(test)]
mod tests;
