//! An array of buckets that can grow at its end and be given back from its start.
//!
//! Holds buckets in segments, so that no growth copies what is there and memory is asked of the
//! system a page at a time. Refuses to know keys: it is asked for homes by hash.

use super::key::HASH_BITS;
use super::state::State;
use crate::forward::fabric::prefetch;
use crate::wire::Protocol;

/// Slots of a bucket. With IPv4 two lines of the cache, which the processor fetches as a pair.
pub(super) const SLOTS: usize = 4;
/// Bytes of a line of the cache.
const LINE: usize = 64;
/// How many buckets behind its home an entry may be.
pub(super) const REACH: usize = 15;
/// Buckets of a segment, 1 MiB with IPv4.
const SEGMENT: usize = 1 << 13;
/// Segments kept to be used again: more only gather when a table shrinks.
const SPARE_MAX: usize = 2;

/// Room for one connection. 32 bytes with IPv4, 64 with IPv6.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
pub(super) struct Slot<P> {
    /// In nanoseconds since the start. From then on the slot is free; 0 if it was never taken.
    pub(super) expires: u64,
    /// The key's parts, which would not pack as a [`Key`](super::key::Key).
    pub(super) pair: P,
    pub(super) ident: u64,
    /// The low bits of the tick that the one valid filing of this connection names (see `ledger.rs`).
    pub(super) filed: u32,
    pub(super) protocol: Protocol,
    pub(super) state: State,
    /// Of the connections of this bucket and of the class that is this slot's number: how many
    /// buckets behind it the furthest was put, [`IN_STASH`] if in none.
    pub(super) reach: u8,
    /// How many of them are not in this bucket. Sticks at 255.
    pub(super) displaced: u8,
}

/// A [`Slot::reach`] that says: some found no room in any bucket within [`REACH`].
pub(super) const IN_STASH: u8 = 16;
const _: () = assert!(IN_STASH as usize == REACH + 1);

impl<P: Default> Default for Slot<P> {
    fn default() -> Slot<P> {
        Slot {
            expires: 0,
            pair: P::default(),
            ident: 0,
            filed: 0,
            protocol: Protocol(0),
            state: State::default(),
            reach: 0,
            displaced: 0,
        }
    }
}

const _: () = assert!(size_of::<Slot<u64>>() == 32);
const _: () = assert!(size_of::<Slot<[u64; 4]>>() == 64);

#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(128))]
pub(super) struct Bucket<P> {
    pub(super) slots: [Slot<P>; SLOTS],
}

/// Buckets `0..homes + REACH`, of which the first may have been given back and the last may not have
/// been asked for yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Store<P> {
    homes: usize,
    segments: Vec<Vec<Bucket<P>>>,
    /// Buckets that exist, those given back included.
    len: usize,
}

impl<P: Copy + Default> Store<P> {
    /// None of its buckets exists yet.
    pub(super) fn with_homes(homes: usize) -> Store<P> {
        Store { homes, segments: Vec::new(), len: 0 }
    }

    pub(super) const fn homes(&self) -> usize {
        self.homes
    }

    /// Buckets that take memory.
    pub(super) fn buckets_held(&self) -> usize {
        self.segments.iter().map(Vec::len).sum()
    }

    /// The home of a hash. Does not decrease as the hash grows, for any number of homes: that is
    /// what lets a table move into another one in order.
    #[inline(always)]
    pub(super) fn home(&self, hash: u32) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "less than the number of homes")]
        {
            ((u64::from(hash) * self.homes as u64) >> HASH_BITS) as usize
        }
    }

    /// The furthest home, here, of a hash whose home among `homes` is before `end`.
    pub(super) fn homes_of(&self, end: usize, homes: usize) -> usize {
        if end >= homes { self.homes } else { (end * self.homes).div_ceil(homes) }
    }

    #[inline(always)]
    pub(super) fn get(&self, bucket: usize) -> Option<&Bucket<P>> {
        self.segments.get(bucket / SEGMENT)?.get(bucket % SEGMENT)
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, bucket: usize) -> Option<&mut Bucket<P>> {
        self.segments.get_mut(bucket / SEGMENT)?.get_mut(bucket % SEGMENT)
    }

    /// Asks the cache for the lines of a bucket: two with IPv4, four with IPv6.
    #[inline(always)]
    pub(super) fn prefetch(&self, bucket: usize) {
        if let Some(bucket) = self.get(bucket) {
            let of_a_line = (LINE / size_of::<Slot<P>>()).max(1);
            bucket.slots.iter().step_by(of_a_line).for_each(prefetch::line);
        }
    }

    /// Makes the buckets exist in which connections of the homes before `homes` can be. `spare` has
    /// segments to be used again.
    pub(super) fn reach_to(&mut self, homes: usize, spare: &mut Vec<Vec<Bucket<P>>>) {
        let (end, all) = (homes.min(self.homes) + REACH, self.homes + REACH);
        while self.len < end {
            if self.len.is_multiple_of(SEGMENT) {
                let mut segment = spare.pop().unwrap_or_default();
                segment.clear();
                segment.reserve_exact((all - self.len).min(SEGMENT));
                self.segments.push(segment);
            }
            if let Some(last) = self.segments.last_mut() {
                // A clone of a store has no room left beyond its length.
                let missing = (all - self.len).min(SEGMENT - self.len % SEGMENT);
                if last.len() == last.capacity() {
                    last.reserve_exact(missing);
                }
                last.push(Bucket::default());
            }
            self.len += 1;
        }
    }

    /// The buckets before this one will not be asked for again.
    pub(super) fn give_back(&mut self, before: usize, spare: &mut Vec<Vec<Bucket<P>>>) {
        if before.is_multiple_of(SEGMENT)
            && let Some(last) = (before / SEGMENT).checked_sub(1)
            && let Some(segment) = self.segments.get_mut(last)
        {
            let segment = std::mem::take(segment);
            if spare.len() < SPARE_MAX {
                spare.push(segment);
            }
        }
    }

    /// The buckets from this one on, in order.
    pub(super) fn iter_from(&self, bucket: usize) -> impl Iterator<Item = &Bucket<P>> {
        (bucket..self.len).filter_map(|bucket| self.get(bucket))
    }
}
