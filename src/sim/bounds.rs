//! What a run may not exceed, and the error when it does.
//!
//! Holds the limits of a run as one value, so that tests can lower them. Refuses to hold the figures:
//! they are in [`crate::base::limit`].

use thiserror::Error;

use crate::base::limit::{
    EVENTS_PER_INSTANT_MAX, PACKETS_PER_RUN_MAX, PENDING_EVENTS_MAX, RUN_SPAN_MAX,
};
use crate::base::time::Instant;

/// Why a run cannot go on. Nothing of it is a property of the emulated network.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RunError {
    /// Time would pass the end of the longest run.
    #[error("the run is longer than {RUN_SPAN_MAX} of virtual time")]
    TooLong,
    /// More packets than a run may have.
    #[error("the run sends more than {PACKETS_PER_RUN_MAX} packets")]
    TooManyPackets,
    /// More events are pending than the queue may hold.
    #[error("more than {PENDING_EVENTS_MAX} packets are on their way or to be sent at {0}")]
    TooManyPending(Instant),
    /// Time does not move on.
    #[error("more than {EVENTS_PER_INSTANT_MAX} events at one instant, {0}")]
    Livelock(Instant),
}

/// The limits of a run: those of [`crate::base::limit`], or lower ones in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) packets: u64,
    pub(super) pending: usize,
    pub(super) events_per_instant: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            packets: PACKETS_PER_RUN_MAX,
            pending: PENDING_EVENTS_MAX,
            events_per_instant: EVENTS_PER_INSTANT_MAX,
        }
    }
}
