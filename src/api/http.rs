//! The HTTP front: sockets in, requests out, answers back.
//!
//! Holds what a [`Service`] sees of HTTP ([`Request`], [`Answer`]), the bounds of everything a client
//! may send or hold ([`Limits`]), and the server that keeps to them. Refuses to know a single operation
//! and who is asking.
//!
//! ```text
//! listener ─► house ─────► connection ─► guard ─► body ─► service ─► answer
//!             how many?    how slow?     from     how     panic?     how many wait?
//!                                        where?   long?   how slow?
//! ```

mod budget;
mod connection;
mod descriptors;
mod guard;
mod house;
mod message;
mod pace;
mod refusal;
mod serve;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use descriptors::soft_limit;
pub use guard::{Hosts, MalformedHost, is_loopback};
pub use message::{Answer, Headers, Method, Request};
pub use serve::serve;

use crate::base::limit;
use crate::base::time::Span;

/// Who answers.
pub trait Service: Send + Sync + 'static {
    /// The answer to one request. It may panic: its client is then told `InternalError`, and nobody
    /// else notices. It is dropped unfinished after [`Limits::answer_span`], or when the server stops.
    fn answer(&self, request: Request) -> impl Future<Output = Answer> + Send;

    /// A new request's id, for a request that the front refuses itself. Without characters that would
    /// need escaping.
    fn request_id(&self) -> String;
}

/// The bounds of what clients may send, hold and keep waiting. The defaults are those of
/// [`crate::base::limit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one request's body.
    pub body_bytes: usize,
    /// Bytes of all bodies at a time.
    pub bodies_bytes: usize,
    /// Bytes of all answers that wait for their clients.
    pub answers_bytes: usize,
    /// Bytes of a request's line and headers, at least 8 KiB.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Connections at a time.
    pub connections: usize,
    /// For the line and headers of a request, from their first byte on.
    pub head_span: Span,
    /// For the body of a request.
    pub body_span: Span,
    /// For the service to answer.
    pub answer_span: Span,
    /// Between two bytes of an answer that the client takes.
    pub stall_span: Span,
    /// Without a request on an open connection.
    pub idle_span: Span,
    /// For requests in flight once the server is to stop.
    pub drain_span: Span,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: limit::API_BODY_BYTES_MAX,
            bodies_bytes: limit::API_BODIES_BYTES_MAX,
            answers_bytes: limit::API_ANSWERS_BYTES_MAX,
            head_bytes: limit::API_HEAD_BYTES_MAX,
            headers: limit::API_HEADERS_MAX,
            connections: limit::API_CONNECTIONS_MAX,
            head_span: limit::API_HEAD_SPAN,
            body_span: limit::API_BODY_SPAN,
            answer_span: limit::API_ANSWER_SPAN,
            stall_span: limit::API_STALL_SPAN,
            idle_span: limit::API_IDLE_SPAN,
            drain_span: limit::API_DRAIN_SPAN,
        }
    }
}

impl Limits {
    /// The same limits with as many connections as a process may hold that is allowed `descriptors`
    /// of everything; at least one. See [`soft_limit`].
    #[must_use]
    pub fn within(self, descriptors: usize) -> Limits {
        let free =
            descriptors.saturating_sub(limit::API_DESCRIPTORS_SPARE + limit::API_TURNED_AWAY_MAX);
        Limits { connections: self.connections.min(free).max(1), ..self }
    }
}

/// What the front keeps to, and what it counts.
#[derive(Clone, Debug, Default)]
pub struct Front {
    /// How much, how many, how long.
    pub limits: Limits,
    /// Which names of hosts it answers for.
    pub hosts: Hosts,
    /// What it counts; keep a copy to read from.
    pub counts: Arc<Counts>,
}

/// How the server ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServeEnd {
    /// Connections that were cut with a request in flight, after [`Limits::drain_span`].
    pub abandoned: usize,
}

/// What the front counts.
#[derive(Debug, Default)]
pub struct Counts {
    accepted: AtomicU64,
    closed: AtomicU64,
    evicted: AtomicU64,
    turned_away: AtomicU64,
    panics: AtomicU64,
    accept_errors: AtomicU64,
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident, $add:ident;)*) => {
        impl Counts {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }

                fn $add(&self) {
                    self.$name.fetch_add(1, Ordering::Relaxed);
                }
            )*
        }
    };
}

counts! {
    /// Connections accepted so far.
    accepted, add_accepted;
    /// Connections accepted and ended so far.
    closed, add_closed;
    /// Connections without a request that were closed because others wanted in.
    evicted, add_evicted;
    /// Connections refused because all others had a request in flight.
    turned_away, add_turned_away;
    /// Requests whose service panicked.
    panics, add_panics;
    /// Times that the host could not accept a connection.
    accept_errors, add_accept_errors;
}

impl Counts {
    /// Connections open now.
    pub fn open(&self) -> u64 {
        // Read in this order, a connection that ends meanwhile makes the figure high, not negative.
        let closed = self.closed();
        self.accepted().saturating_sub(closed)
    }
}

fn duration(span: Span) -> std::time::Duration {
    std::time::Duration::from_nanos(span.as_nanos())
}
