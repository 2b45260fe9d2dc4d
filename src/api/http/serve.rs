//! Accepting connections until told to stop.
//!
//! Holds the loop at the door. Refuses to look into a connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::budget::Budget;
use super::connection::{self, Common, Order};
use super::house::House;
use super::pace::Pace;
use super::refusal::Refusal;
use super::{Front, ServeEnd, Service, duration};
use crate::base::limit;

/// Where connections come from.
pub(super) trait Door: Send {
    /// What a connection is made of.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

impl Door for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, peer) = self.accept().await?;
        // Answers are written whole; without it some would wait for an acknowledgement.
        stream.set_nodelay(true)?;
        Ok((stream, Some(peer)))
    }
}

/// Answers what comes in until `stop` completes; then accepts no more, lets the requests in flight
/// finish within [`Limits::drain_span`](super::Limits::drain_span), and returns.
///
/// Needs a tokio runtime with time and I/O. Errors of single connections end those connections and are
/// nobody else's; a host without free descriptors is asked again after a pause.
pub async fn serve<S: Service>(
    listener: TcpListener,
    service: Arc<S>,
    front: Front,
    stop: impl Future<Output = ()>,
) -> ServeEnd {
    serve_at(listener, service, front, stop).await
}

pub(super) async fn serve_at<S: Service>(
    door: impl Door,
    service: Arc<S>,
    front: Front,
    stop: impl Future<Output = ()>,
) -> ServeEnd {
    let Front { limits, hosts, counts } = front;
    let epoch = Instant::now();
    let house = House::new(limits.connections, Arc::clone(&counts));
    let turned_away = Arc::new(Semaphore::new(limit::API_TURNED_AWAY_MAX));
    let (orders, order) = watch::channel(Order::Serve);
    // Never sent on: the last connection closes it.
    let (present, mut gone) = mpsc::channel::<()>(1);
    let common = Arc::new(Common {
        service,
        limits,
        hosts,
        counts: Arc::clone(&counts),
        bodies: Budget::new(limits.bodies_bytes),
        answers: Budget::new(limits.answers_bytes),
    });
    let mut stop = pin!(stop);
    loop {
        let next = tokio::select! {
            biased;
            () = &mut stop => break,
            next = door.next() => next,
        };
        let (io, peer) = match next {
            Ok(next) => next,
            Err(error) => {
                counts.add_accept_errors();
                // A client that was gone before it was accepted is no reason to pause.
                if !matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) {
                    tracing::warn!(%error, "cannot accept connections");
                    house.make_room();
                    tokio::select! {
                        () = &mut stop => break,
                        () = sleep(duration(limit::API_ACCEPT_PAUSE)) => {}
                    }
                }
                continue;
            }
        };
        let pace = Arc::new(Pace::new(epoch));
        let place = match house.enter(&pace) {
            Some(place) => Some(place),
            None => {
                let going = house.make_room();
                let room = timeout(duration(limit::API_ACCEPT_PAUSE), house.enter_later(&pace));
                if going == 0 { None } else { room.await.ok().flatten() }
            }
        };
        let Some(place) = place else {
            counts.add_turned_away();
            if let Ok(permit) = Arc::clone(&turned_away).try_acquire_owned() {
                let id = common.service.request_id();
                tokio::spawn(async move {
                    turn_away(io, &id).await;
                    drop(permit);
                });
            }
            continue;
        };
        let (common, order, present) = (Arc::clone(&common), order.clone(), present.clone());
        tokio::spawn(async move {
            connection::run(io, peer, common, pace, order).await;
            drop((place, present));
        });
    }
    drop((door, present, order));
    let _ = orders.send(Order::Finish);
    let in_time = timeout(duration(limits.drain_span), gone.recv()).await;
    let abandoned = if in_time.is_ok() { 0 } else { house.len() };
    if abandoned > 0 {
        let _ = orders.send(Order::Leave);
        // They only have to notice; nothing of theirs can wait for a client.
        let _ = timeout(duration(limit::API_ACCEPT_PAUSE), gone.recv()).await;
    }
    ServeEnd { abandoned }
}

/// Tells a client that there is no place for it.
async fn turn_away<T: AsyncRead + AsyncWrite + Unpin>(mut io: T, id: &str) {
    let saying = async {
        if io.write_all(&Refusal::TooManyConnections.bytes(id)).await.is_ok() {
            connection::linger(&mut io).await;
        }
    };
    let _ = timeout(duration(limit::API_LINGER_SPAN), saying).await;
}
