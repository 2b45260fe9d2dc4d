//! One connection, from its first byte to its last.
//!
//! Holds the order of things: guard, body, service, answer. Refuses to accept connections, and to count
//! more than its own.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::budget::{Budget, Share};
use super::guard::Hosts;
use super::message::{Answer, Headers, Method, Request};
use super::pace::{Pace, Paced, Phase};
use super::refusal::Refusal;
use super::{Counts, Limits, Service, duration};
use crate::base::limit;

/// What all connections have in common.
#[derive(Debug)]
pub(super) struct Common<S> {
    pub(super) service: Arc<S>,
    pub(super) limits: Limits,
    pub(super) hosts: Hosts,
    pub(super) counts: Arc<Counts>,
    pub(super) bodies: Arc<Budget>,
    pub(super) answers: Arc<Budget>,
}

/// What the server wants of its connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Finish the request in flight and close.
    Finish,
    /// Close.
    Leave,
}

/// Serves a connection until it ends.
pub(super) async fn run<S: Service, T>(
    io: T,
    peer: Option<SocketAddr>,
    common: Arc<Common<S>>,
    pace: Arc<Pace>,
    mut orders: watch::Receiver<Order>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = common.limits;
    let handler = {
        let (common, pace) = (Arc::clone(&common), Arc::clone(&pace));
        service_fn(move |request| {
            let (common, pace) = (Arc::clone(&common), Arc::clone(&pace));
            async move { Ok::<_, Infallible>(exchange(&common, &pace, peer, request).await) }
        })
    };
    let mut io = Paced::new(io, Arc::clone(&pace));
    let mut connection = pin!(
        http1::Builder::new()
            // The pace keeps the time, of this and of all else.
            .header_read_timeout(None)
            .half_close(true)
            .max_headers(limits.headers)
            .max_header_size(limits.head_bytes)
            // hyper panics below its minimum.
            .max_buf_size(limits.head_bytes.max(8 << 10))
            .serve_connection(TokioIo::new(&mut io), handler)
    );
    let mut armed = pace.deadline(&limits).unwrap_or_else(Instant::now);
    let mut alarm = pin!(sleep_until(armed));
    let ended = loop {
        let advance = poll_fn(|cx| {
            if let Poll::Ready(end) = connection.as_mut().poll(cx) {
                return Poll::Ready(Some(end));
            }
            let Some(deadline) = pace.deadline(&limits) else { return Poll::Pending };
            // A deadline that moved away is left alone until the old one has passed.
            if deadline < armed {
                armed = deadline;
                alarm.as_mut().reset(armed);
            }
            while alarm.as_mut().poll(cx).is_ready() {
                if armed >= deadline {
                    return Poll::Ready(None);
                }
                armed = deadline;
                alarm.as_mut().reset(armed);
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            end = advance => break end,
            order = orders.changed() => {
                match order.map(|()| *orders.borrow_and_update()) {
                    Ok(Order::Serve) => {}
                    Ok(Order::Finish) => connection.as_mut().graceful_shutdown(),
                    Ok(Order::Leave) | Err(_) => return,
                }
            }
            () = pace.evicted.notified() => {
                common.counts.add_evicted();
                // A request may have come in between; then it is answered, and is the last one.
                match pace.phase().0 {
                    Phase::Idle | Phase::Head => return,
                    Phase::Busy | Phase::Answer => connection.as_mut().graceful_shutdown(),
                }
            }
        }
    };
    let broken = match ended {
        Some(end) => end.is_err(),
        // Too slow: whoever takes that long has been waited for already.
        None => return,
    };
    // A client that is refused before it has sent everything gets a reset if the socket is closed on
    // what it sends, and may lose the refusal to it.
    if broken || pace.rest.load(Ordering::Relaxed) {
        linger(&mut io).await;
    }
}

/// Says that nothing more will come, and reads on for a moment.
pub(super) async fn linger<T: AsyncRead + AsyncWrite + Unpin>(io: &mut T) {
    let reading = async {
        if io.shutdown().await.is_err() {
            return;
        }
        let mut left = limit::API_LINGER_BYTES;
        let mut scrap = [0; 4 << 10];
        while let Ok(n @ 1..) = io.read(&mut scrap).await {
            left = left.saturating_sub(n);
            if left == 0 {
                return;
            }
        }
    };
    let _ = timeout(duration(limit::API_LINGER_SPAN), reading).await;
}

/// One request and its answer.
async fn exchange<S: Service>(
    common: &Common<S>,
    pace: &Pace,
    peer: Option<SocketAddr>,
    request: hyper::Request<Incoming>,
) -> hyper::Response<Full<Bytes>> {
    pace.enter(Phase::Busy);
    let outcome = attempt(common, peer, request).await;
    let response = match outcome {
        Ok(answer) => response(answer),
        Err(refusal) => {
            let mut response = response(refusal.answer(&common.service.request_id()));
            if refusal.leaves_a_rest() {
                pace.rest.store(true, Ordering::Relaxed);
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    };
    pace.enter(Phase::Answer);
    response
}

async fn attempt<S: Service>(
    common: &Common<S>,
    peer: Option<SocketAddr>,
    request: hyper::Request<Incoming>,
) -> Result<Answer, Refusal> {
    let limits = &common.limits;
    let (head, incoming) = request.into_parts();
    let headers = Headers::from_hyper(head.headers);
    common.hosts.admit(&headers)?;
    let mut share = common.bodies.share();
    let body = if incoming.is_end_stream() {
        Bytes::new()
    } else {
        let reading = read(incoming, limits.body_bytes, &mut share);
        timeout(duration(limits.body_span), reading).await.unwrap_or(Err(Refusal::BodyTooSlow))?
    };
    let request = Request {
        method: Method::from_hyper(&head.method),
        path: match head.uri.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        },
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
        peer,
    };
    // Made inside, so that a service that panics before its future exists panics in there as well.
    let answering = caught(async { common.service.answer(request).await });
    let mut answer = match timeout(duration(limits.answer_span), answering).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => {
            common.counts.add_panics();
            tracing::error!(reason = words(&*panic), "a request made the service panic");
            return Err(Refusal::Panic);
        }
        Err(_elapsed) => {
            tracing::warn!("a request was not answered in time");
            return Err(Refusal::NoAnswer);
        }
    };
    drop(share);
    let mut share = common.answers.share();
    let length = answer.body.len();
    if length <= limit::API_SMALL_ANSWER_BYTES {
        share.grow_anyway(length);
    } else {
        share.grow(length).map_err(|_| Refusal::TooManyAnswers)?;
    }
    answer.body = share.around(answer.body);
    Ok(answer)
}

/// Reads a body of at most `most` bytes. Space is taken as bytes come: what a header announces costs
/// nothing.
async fn read(mut incoming: Incoming, most: usize, share: &mut Share) -> Result<Bytes, Refusal> {
    if incoming.size_hint().lower() > most as u64 {
        return Err(Refusal::BodyTooLong);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        // Trailers say nothing here.
        let Ok(data) = frame.map_err(|_| Refusal::BodyBroken)?.into_data() else { continue };
        let held = first.len() + all.len();
        if data.len() > most - held {
            return Err(Refusal::BodyTooLong);
        }
        share.grow(data.len()).map_err(|_| Refusal::TooManyBodies)?;
        if held == 0 {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn response(answer: Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(answer.body));
    match hyper::StatusCode::from_u16(answer.status) {
        Ok(status) if status.as_u16() >= 200 => *response.status_mut() = status,
        _ => {
            tracing::error!(status = answer.status, "an answer has a status that is none");
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    for (name, value) in answer.headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
        match (name, HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => {
                headers.append(name, value);
            }
            _ => tracing::warn!("a header cannot stand in an answer and is left out"),
        }
    }
    response
}

/// The outcome of a future, or what it panicked with.
async fn caught<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(move |cx| {
        // After a panic the future is dropped and nothing else of it is seen.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "of no words",
    }
}
