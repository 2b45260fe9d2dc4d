//! Buckets, and an array of them that can grow at its end and be given back from its start.
//!
//! Holds buckets in segments, so that no growth copies what is there and none takes much memory at a
//! time. Refuses to know more of a key than how to compare it: it is asked for
//! homes by hash.
//!
//! ```text
//!  bucket of IPv4   0        32     48   52       56    60    64                    128
//!                   | expires | filed | tags | proto | state | class | 4 keys, 16 bytes each |
//!                   |<-------- one line: all that changes ---------->|<--- one line --------->|
//! ```

use super::key::{HASH_BITS, Hash, Key, Pair};
use super::state::State;
use crate::base::time::Instant;
use crate::cloud::filter::Direction;
use crate::forward::fabric::prefetch;
use crate::wire::{Protocol, TcpFlags};

/// Entries of a bucket.
pub(super) const SLOTS: usize = 4;
/// How many buckets behind its home an entry may be.
pub(super) const REACH: usize = 14;
/// Bytes of a line of the cache.
const LINE: usize = 64;
/// Buckets of a segment: 16 KiB of IPv4.
const SEGMENT: usize = 128;
/// Segments kept to be used again: more only gather when a table shrinks.
const SPARE_MAX: usize = 2;

/// What is kept of a connection, out of its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<P> {
    pub(super) key: Key<P>,
    /// In nanoseconds since the start, above 0. From then on it is as if it were not there.
    pub(super) expires: u64,
    /// The low bits of the tick that its one valid filing names (see `ledger.rs`).
    pub(super) filed: u32,
    pub(super) state: State,
}

/// Room for four connections: two lines with IPv4, four with IPv6.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(128))]
pub(super) struct Bucket<P> {
    /// See [`Entry::expires`]; 0 if nothing was ever put there.
    pub(super) expires: [u64; SLOTS],
    pub(super) filed: [u32; SLOTS],
    tags: [u8; SLOTS],
    protocol: [Protocol; SLOTS],
    state: [State; SLOTS],
    /// Of the connections whose home this is, by class, where those are that are not here.
    pub(super) class: [Class; SLOTS],
    ends: [Ends<P>; SLOTS],
}

const _: () = assert!(size_of::<Bucket<u64>>() == 2 * LINE);
const _: () = assert!(size_of::<Bucket<[u64; 4]>>() == 4 * LINE);

/// The parts of a [`Key`] that are words.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Ends<P> {
    pair: P,
    ident: u64,
}

/// Of the connections of one home and class: in the low half how many buckets behind it the furthest
/// was put, 15 if in none; in the high half how many are not at home, 15 for that and more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Class(u8);

/// What a [`Class`] says when some found no room in any bucket within [`REACH`].
pub(super) const IN_STASH: u8 = 15;
const _: () = assert!(IN_STASH as usize == REACH + 1);

impl Class {
    /// How far its connections are from home; [`IN_STASH`] if further than any bucket.
    #[inline(always)]
    pub(super) const fn reach(self) -> u8 {
        self.0 & 15
    }

    /// One was put so far from home.
    pub(super) fn went(&mut self, reach: u8) {
        let away = (self.0 >> 4).saturating_add(1).min(15);
        self.0 = self.reach().max(reach) | away << 4;
    }

    /// One that was not at home is gone.
    pub(super) fn left(&mut self) {
        match self.0 >> 4 {
            15 => {}
            0 | 1 => self.0 = 0,
            _ => self.0 -= 16,
        }
    }
}

/// What a packet did to its connection.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    /// The direction of the connection's first packet.
    pub(super) opener: Direction,
    /// Does it expire earlier than it was to?
    pub(super) is_earlier: bool,
}

/// Starts the idle time anew.
#[inline(always)]
pub(super) fn hear(
    (state, expires): (&mut State, &mut u64),
    direction: Direction,
    flags: Option<TcpFlags>,
    now: Instant,
) -> Heard {
    let before = *expires;
    *state = state.after(direction, flags);
    *expires = (now + state.idle()).as_nanos();
    Heard { opener: state.opener(), is_earlier: *expires < before }
}

impl<P: Pair> Bucket<P> {
    const EMPTY: Bucket<P> = Bucket {
        expires: [0; SLOTS],
        filed: [0; SLOTS],
        tags: [0; SLOTS],
        protocol: [Protocol(0); SLOTS],
        state: [State::NONE; SLOTS],
        class: [Class(0); SLOTS],
        ends: [Ends { pair: P::ZERO, ident: 0 }; SLOTS],
    };

    /// The slot of a key that lives. Compares tags, all at once, before it compares keys: in which
    /// slot a connection is cannot be guessed, and a wrong guess costs as much as the look-up.
    #[inline(always)]
    pub(super) fn find(&self, hash: Hash, key: &Key<P>, now: u64) -> Option<usize> {
        let differs = u32::from_le_bytes(self.tags) ^ (u32::from(hash.tag()) * 0x0101_0101);
        // The top bit of each byte that is 0, and now and then of the one above it.
        let mut same = differs.wrapping_sub(0x0101_0101) & !differs & 0x8080_8080;
        while same != 0 {
            let slot = (same.trailing_zeros() / 8) as usize & (SLOTS - 1);
            let ends = &self.ends[slot];
            let is = (ends.pair == key.pair)
                & (ends.ident == key.ident)
                & (self.protocol[slot] == key.protocol)
                & (self.expires[slot] > now);
            if is {
                return Some(slot);
            }
            same &= same - 1;
        }
        None
    }

    /// A slot with nothing in it that lives.
    pub(super) fn free(&self, now: u64) -> Option<usize> {
        self.expires.iter().position(|expires| *expires <= now)
    }

    #[inline(always)]
    pub(super) fn hear(
        &mut self,
        slot: usize,
        direction: Direction,
        flags: Option<TcpFlags>,
        now: Instant,
    ) -> Heard {
        let slot = slot & (SLOTS - 1);
        let kept = (&mut self.state[slot], &mut self.expires[slot]);
        hear(kept, direction, flags, now)
    }

    /// What is in a slot, be it that it has expired.
    pub(super) fn entry(&self, slot: usize) -> Option<Entry<P>> {
        let slot = slot & (SLOTS - 1);
        let Ends { pair, ident } = self.ends[slot];
        let key = Key { pair, ident, protocol: self.protocol[slot] };
        let (expires, filed, state) = (self.expires[slot], self.filed[slot], self.state[slot]);
        (expires != 0).then_some(Entry { key, expires, filed, state })
    }

    pub(super) fn put(&mut self, slot: usize, hash: Hash, entry: &Entry<P>) {
        let slot = slot & (SLOTS - 1);
        let Entry { key: Key { pair, ident, protocol }, expires, filed, state } = *entry;
        self.expires[slot] = expires;
        self.filed[slot] = filed;
        self.tags[slot] = hash.tag();
        self.protocol[slot] = protocol;
        self.state[slot] = state;
        self.ends[slot] = Ends { pair, ident };
    }
}

pub(super) type Segment<P> = Box<[Bucket<P>; SEGMENT]>;

/// Buckets `0..homes + REACH`, of which the first may have been given back and the last may not have
/// been asked for yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Store<P> {
    homes: usize,
    segments: Vec<Option<Segment<P>>>,
}

impl<P: Pair> Store<P> {
    pub(super) const SEGMENT_BYTES: usize = SEGMENT * size_of::<Bucket<P>>();

    /// None of its buckets exists yet.
    pub(super) fn with_homes(homes: usize) -> Store<P> {
        let segments = if homes == 0 { 0 } else { (homes + REACH).div_ceil(SEGMENT) };
        Store { homes, segments: Vec::with_capacity(segments) }
    }

    pub(super) const fn homes(&self) -> usize {
        self.homes
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let held = self.segments.iter().flatten().count();
        held * Store::<P>::SEGMENT_BYTES + self.segments.capacity() * size_of::<usize>()
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

    /// How many homes have, here, the hashes whose homes among `homes` are before `end`.
    pub(super) fn homes_of(&self, end: usize, homes: usize) -> usize {
        (end * self.homes).div_ceil(homes.max(1))
    }

    #[inline(always)]
    pub(super) fn get(&self, bucket: usize) -> Option<&Bucket<P>> {
        let segment = self.segments.get(bucket / SEGMENT)?.as_ref()?;
        Some(&segment[bucket % SEGMENT])
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, bucket: usize) -> Option<&mut Bucket<P>> {
        let segment = self.segments.get_mut(bucket / SEGMENT)?.as_mut()?;
        Some(&mut segment[bucket % SEGMENT])
    }

    /// Asks the cache for what changes in a bucket and for its keys.
    #[inline(always)]
    pub(super) fn prefetch(&self, bucket: usize) {
        if let Some(bucket) = self.get(bucket) {
            prefetch::line(&bucket.expires);
            let of_a_line = (LINE / size_of::<Ends<P>>()).max(1);
            bucket.ends.iter().step_by(of_a_line).for_each(prefetch::line);
        }
    }

    /// Makes the buckets exist in which connections of the homes before `homes` can be. `spare` has
    /// segments to be used again.
    pub(super) fn reach_to(&mut self, homes: usize, spare: &mut Vec<Segment<P>>) {
        let end = homes.min(self.homes) + REACH;
        while self.segments.len() * SEGMENT < end {
            let segment = match spare.pop() {
                Some(mut used) => {
                    used.fill(Bucket::EMPTY);
                    Some(used)
                }
                // Made on the heap. Its length is right, so there is always one.
                None => vec![Bucket::EMPTY; SEGMENT].into_boxed_slice().try_into().ok(),
            };
            self.segments.push(segment);
        }
    }

    /// The buckets before this one will not be asked for again.
    pub(super) fn give_back(&mut self, before: usize, spare: &mut Vec<Segment<P>>) {
        if before.is_multiple_of(SEGMENT)
            && let Some(last) = (before / SEGMENT).checked_sub(1)
            && let Some(segment) = self.segments.get_mut(last).and_then(Option::take)
            && spare.len() < SPARE_MAX
        {
            spare.push(segment);
        }
    }

    /// The buckets from this one on, in order.
    pub(super) fn iter_from(&self, bucket: usize) -> impl Iterator<Item = &Bucket<P>> {
        (bucket..self.segments.len() * SEGMENT).filter_map(|bucket| self.get(bucket))
    }
}
