//! What is kept of one interface: how many connections it has, and which may have expired.
//!
//! Holds the count that a limit is compared with, and the filings by which it is made exact. Refuses
//! to hold connections: a filing names a hash, by which the table finds them wherever they are now.
//!
//! A connection is filed once, under a tick at which it cannot have expired yet. A packet that makes
//! it live longer leaves the filing as it is, so it costs nothing; when the tick comes and room is
//! needed, the connection is looked up, and is let go of or filed anew. That is once for each
//! connection and idle time, however many packets there were.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::key::HASH_BITS;
use crate::cloud::filter::Direction;
use crate::forward::expiring::Expiring;
use crate::wire::Protocol;

/// A tick is 2^27 ns, 134 ms. Within one, filings have no order.
const TICK_BITS: u32 = 27;
/// 2^35 ticks are 146 years; a run is shorter.
const TICKS_MAX: u64 = (1 << (63 - HASH_BITS)) - 1;
/// Filings that are not looked through for those that are not valid any more.
const STALE_MIN: usize = 16;

/// The tick of an instant in nanoseconds.
const fn tick(nanos: u64) -> u64 {
    let tick = nanos >> TICK_BITS;
    if tick < TICKS_MAX { tick } else { TICKS_MAX }
}

/// What a slot keeps of the tick under which it is filed.
#[allow(clippy::cast_possible_truncation, reason = "18 years are enough to tell ticks apart")]
pub(super) const fn tick_low(nanos: u64) -> u32 {
    tick(nanos) as u32
}

/// A tick in 35 bits, a family, and a hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Filing(u64);

impl Filing {
    pub(super) const fn new(expires: u64, family: u64, hash: u32) -> Filing {
        Filing(tick(expires) << (HASH_BITS + 1) | family << HASH_BITS | hash as u64)
    }

    const fn tick(self) -> u64 {
        self.0 >> (HASH_BITS + 1)
    }

    #[allow(clippy::cast_possible_truncation, reason = "as `tick_low`")]
    pub(super) const fn tick_low(self) -> u32 {
        self.tick() as u32
    }

    pub(super) const fn family(self) -> u64 {
        self.0 >> HASH_BITS & 1
    }

    #[allow(clippy::cast_possible_truncation, reason = "these bits are fewer")]
    pub(super) const fn hash(self) -> u32 {
        (self.0 & ((1 << HASH_BITS) - 1)) as u32
    }
}

/// The packet that a later fragment belongs to: direction, source, destination, protocol,
/// identification.
pub(super) type FragmentKey = (Direction, std::net::IpAddr, std::net::IpAddr, Protocol, u32);

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// Connections that were let in and not let go of, those that have expired included.
    pub(super) entries: usize,
    /// In nanoseconds: before it, none of them expires.
    quiet_until: u64,
    filings: BinaryHeap<Reverse<Filing>>,
    /// Rare, so it has no place in the fast table.
    pub(super) fragments: Option<Box<Expiring<FragmentKey, ()>>>,
}

impl Ledger {
    /// Is it certain that none of its connections has expired?
    pub(super) const fn is_quiet(&self, now: u64) -> bool {
        now < self.quiet_until
    }

    /// A connection will expire then, and was not to before.
    pub(super) fn file(&mut self, filing: Filing, expires: u64) {
        self.quiet_until = self.quiet_until.min(expires);
        if self.filings.len() == self.filings.capacity() {
            // By a quarter, not to twice as many: a filing is an eighth of what a connection takes.
            self.filings.reserve_exact(self.filings.len() / 4 + 4);
        }
        self.filings.push(Reverse(filing));
    }

    /// The next filing of a tick that has begun, taken out.
    pub(super) fn next_due(&mut self, now: u64) -> Option<Filing> {
        let Reverse(first) = *self.filings.peek()?;
        if first.tick() > tick(now) {
            return None;
        }
        self.filings.pop().map(|Reverse(filing)| filing)
    }

    /// Nothing is due any more, and of what lives beside the filings nothing expires before `next`.
    pub(super) fn settled(&mut self, next: u64) {
        let first =
            self.filings.peek().map_or(u64::MAX, |Reverse(first)| first.tick() << TICK_BITS);
        self.quiet_until = next.min(first);
    }

    /// Are most of the filings of connections that are gone?
    pub(super) fn is_stale(&self) -> bool {
        self.filings.len() > 2 * self.entries + STALE_MIN
    }

    /// Keeps those filings that are valid.
    pub(super) fn refile(&mut self, mut valid: impl FnMut(Filing) -> bool) {
        let mut filings = std::mem::take(&mut self.filings).into_vec();
        filings.sort_unstable();
        filings.dedup();
        filings.retain(|Reverse(filing)| valid(*filing));
        self.filings = filings.into();
    }

    /// Bytes beside its own.
    pub(super) fn bytes(&self) -> usize {
        self.filings.capacity() * size_of::<Filing>()
    }
}
