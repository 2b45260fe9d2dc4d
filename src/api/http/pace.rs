//! How far a connection is, and since when.
//!
//! Holds the phases and the transport that notices them. Refuses to hold a timer: the connection asks
//! for its deadline whenever it wakes, so a request that comes and goes quickly arms none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Limits, duration};

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Phase {
    /// Nothing of a request has come.
    Idle,
    /// The line and headers are coming.
    Head,
    /// The service has the request; the time for body and answer is kept there.
    Busy,
    /// The answer is being taken.
    Answer,
}

/// The phase of one connection, shared with the house.
#[derive(Debug)]
pub(super) struct Pace {
    /// The start of the server, from which `state` counts.
    epoch: Instant,
    /// Nanoseconds since the epoch, times four, plus the phase.
    state: AtomicU64,
    /// Somebody else wants the place.
    pub(super) evicted: Notify,
    /// A part of a request is left unread on purpose.
    pub(super) rest: AtomicBool,
}

impl Pace {
    pub(super) fn new(epoch: Instant) -> Pace {
        let pace = Pace {
            epoch,
            state: AtomicU64::new(0),
            evicted: Notify::new(),
            rest: AtomicBool::new(false),
        };
        pace.enter(Phase::Idle);
        pace
    }

    /// Begins a phase now.
    pub(super) fn enter(&self, phase: Phase) {
        // Of a u64 of nanoseconds, two bits less still last 146 years.
        let nanos = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX >> 2);
        self.state.store((nanos << 2) | phase as u64, Ordering::Relaxed);
    }

    /// The phase, and when it began in nanoseconds.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = match state & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Answer,
        };
        (phase, state >> 2)
    }

    /// When the phase must have ended.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let (phase, nanos) = self.phase();
        let span = match phase {
            Phase::Idle => limits.idle_span,
            Phase::Head => limits.head_span,
            Phase::Busy => return None,
            Phase::Answer => limits.stall_span,
        };
        Some(self.epoch + std::time::Duration::from_nanos(nanos) + duration(span))
    }

    fn moved_in(&self) {
        if self.phase().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    fn moved_out(&self) {
        if self.phase().0 == Phase::Answer {
            self.enter(Phase::Answer);
        }
    }

    fn flushed(&self) {
        if self.phase().0 == Phase::Answer {
            self.enter(Phase::Idle);
        }
    }
}

/// A transport that tells the pace what moves.
#[derive(Debug)]
pub(super) struct Paced<T> {
    inner: T,
    pace: Arc<Pace>,
}

impl<T> Paced<T> {
    pub(super) fn new(inner: T, pace: Arc<Pace>) -> Paced<T> {
        Paced { inner, pace }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.pace.moved_in();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.pace.moved_out();
        Poll::Ready(Ok(moved))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        self.pace.moved_out();
        Poll::Ready(Ok(moved))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.pace.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
