//! The event queue: what happens next in virtual time.
//!
//! Holds pending events in a wheel of short time slots with a heap for what lies further off. Refuses
//! to order by anything but the key: equal times are told apart by kind, source and sequence number,
//! never by address, hash, thread or order of insertion (invariant S16), so any number of shards
//! would see the same order.
//!
//! A wheel because nearly every event is a link's latency or a flow's gap away: pushing is an
//! append, and a slot is sorted once when its time comes. A heap of all events costs a logarithm of
//! cache misses for each push and pop; `benches/scenario.rs` has the figures.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::limit::{PACKETS_PER_RUN_MAX, SCENARIO_INTERFACES_MAX};
use crate::base::time::Instant;
use crate::forward::fabric::prefetch;

/// Events of one instant run in this order of kinds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    /// A packet comes out of the sender's own link.
    Cross,
    /// A packet arrives.
    Arrive,
    /// A source sends its next packet.
    Emit,
    /// A host's TCP has something to do.
    Wake,
}

/// When and in which order: `time`, then kind, then source, then sequence number, packed so that
/// comparing two keys is comparing two numbers.
///
/// ```text
/// 127            64 63  62 61              32 31               0
/// ┌────────────────┬──────┬──────────────────┬─────────────────┐
/// │ time in ns     │ kind │ source           │ sequence number │
/// └────────────────┴──────┴──────────────────┴─────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key(u128);

/// Sources are rows of interfaces or of traffic sources. Each traffic source sends a packet or more,
/// and a file has far fewer interfaces.
const SOURCE_BITS: u32 = 30;
const _: () = assert!(PACKETS_PER_RUN_MAX < 1 << SOURCE_BITS);
const _: () = assert!(SCENARIO_INTERFACES_MAX < 1 << SOURCE_BITS);

impl Key {
    pub(super) fn new(at: Instant, kind: Kind, source: u32, sequence: u32) -> Key {
        debug_assert!(source < 1 << SOURCE_BITS, "sources are limited");
        let kind = match kind {
            Kind::Cross => 0_u64,
            Kind::Arrive => 1,
            Kind::Emit => 2,
            Kind::Wake => 3,
        };
        let low = kind << 62 | u64::from(source) << 32 | u64::from(sequence);
        Key(u128::from(at.as_nanos()) << 64 | u128::from(low))
    }

    pub(super) const fn at(self) -> Instant {
        #[allow(clippy::cast_possible_truncation, reason = "the high half of a u128 is a u64")]
        Instant::from_nanos((self.0 >> 64) as u64)
    }

    #[inline]
    pub(super) const fn kind(self) -> Kind {
        match (self.0 >> 62) & 3 {
            0 => Kind::Cross,
            1 => Kind::Arrive,
            2 => Kind::Emit,
            _ => Kind::Wake,
        }
    }

    /// The row of the interface or traffic source that caused it.
    #[allow(clippy::cast_possible_truncation, reason = "it has 30 bits")]
    #[inline]
    pub(super) const fn source(self) -> u32 {
        (self.0 >> 32) as u32 & ((1 << SOURCE_BITS) - 1)
    }

    /// The slot of time that it falls into.
    const fn slot(self) -> u64 {
        self.at().as_nanos() >> SLOT_BITS
    }
}

/// Nanoseconds of one slot, as a power of two: 4.1 us.
const SLOT_BITS: u32 = 12;
/// Slots of the wheel; together they look 16.8 ms ahead.
const SLOTS: usize = 4_096;
const SLOTS_U64: u64 = SLOTS as u64;

/// The bits of a key below the number of its slot.
const IN_SLOT_BITS: u32 = 64 + SLOT_BITS;

/// The place of an event that is all in its key, and the end of a list of chunks.
const NOWHERE: u32 = u32::MAX;

/// A key and where its item is kept.
type Entry = (Key, u32);

/// An entry within a slot, so that sorting is comparing numbers: the time within the slot, the rest
/// of the key, the place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Packed(u128);

impl Packed {
    const EMPTY: Packed = Packed(0);

    #[inline]
    fn new((key, place): Entry) -> Packed {
        let in_slot = key.0 & ((1 << IN_SLOT_BITS) - 1);
        Packed(in_slot << 32 | u128::from(place))
    }

    /// The entry, in this slot.
    #[allow(clippy::cast_possible_truncation, reason = "the place is the lowest quarter")]
    #[inline]
    const fn entry(self, slot: u64) -> Entry {
        (Key((slot as u128) << IN_SLOT_BITS | self.0 >> 32), self.0 as u32)
    }
}

/// So many entries make a chunk two lines of the cache long.
const CHUNK: usize = 7;

/// A few entries of one slot of the wheel.
#[derive(Debug)]
struct Chunk {
    entries: [Packed; CHUNK],
    len: u32,
    /// The chunk of the same slot that was begun before this one, or the next free one.
    next: u32,
}

const _: () = assert!(size_of::<Chunk>() == 128);

/// Where the item of an event is that has been popped.
#[derive(Debug)]
pub(super) struct Kept(u32);

/// Pending events, given back in the order of their keys. Some have an item; others are all in
/// their key.
///
/// What waits in a slot of the wheel is a list of short chunks, not a vector of its own: memory grows
/// with what is pending at most at one time, however the slots share it out over a long run.
#[derive(Debug)]
pub(super) struct EventQueue<T> {
    /// Items at stable places, so that sorting moves 16 bytes and not a packet.
    places: Vec<Option<T>>,
    /// Places without an item. The last one that was used is used first: it is in the cache.
    free: Vec<u32>,
    /// The slot that time has reached (its number since the start of time).
    slot: u64,
    /// What is left of that slot, the next event last.
    current: Vec<Packed>,
    /// What was pushed into that slot after it was sorted.
    late: BinaryHeap<Reverse<Entry>>,
    /// The chunk that is being filled, by slot number modulo [`SLOTS`].
    wheel: Box<[u32]>,
    /// One bit a slot of the wheel: is there anything?
    occupied: Box<[u64]>,
    chunks: Vec<Chunk>,
    free_chunk: u32,
    /// What lies beyond the wheel.
    far: BinaryHeap<Reverse<Entry>>,
    len: usize,
}

impl<T> EventQueue<T> {
    pub(super) fn new() -> EventQueue<T> {
        EventQueue {
            places: Vec::new(),
            free: Vec::new(),
            slot: 0,
            current: Vec::new(),
            late: BinaryHeap::new(),
            wheel: vec![NOWHERE; SLOTS].into(),
            occupied: vec![0; SLOTS / 64].into(),
            chunks: Vec::new(),
            free_chunk: NOWHERE,
            far: BinaryHeap::new(),
            len: 0,
        }
    }

    /// How many events are pending.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds an event with an item. A key before the last one that was popped would be popped next.
    #[inline]
    pub(super) fn push(&mut self, key: Key, item: T) {
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = Some(item);
                place
            }
            None => {
                // Pending events are limited far below 2^32, see `Sim`.
                let place = u32::try_from(self.places.len()).unwrap_or(NOWHERE);
                self.places.push(Some(item));
                place
            }
        };
        self.file((key, place));
        self.len += 1;
    }

    /// Adds an event that is all in its key.
    #[inline]
    pub(super) fn note(&mut self, key: Key) {
        self.file((key, NOWHERE));
        self.len += 1;
    }

    #[inline]
    fn file(&mut self, entry: Entry) {
        let slot = entry.0.slot();
        if slot <= self.slot {
            self.late.push(Reverse(entry));
        } else if slot - self.slot < SLOTS_U64 {
            let index = wheel_index(slot);
            let filled = self.wheel[index];
            if let Some(chunk) = self.chunks.get_mut(filled as usize)
                && let Some(room) = chunk.entries.get_mut(chunk.len as usize)
            {
                *room = Packed::new(entry);
                chunk.len += 1;
                return;
            }
            self.begin_chunk(index, Packed::new(entry));
        } else {
            self.far.push(Reverse(entry));
        }
    }

    fn begin_chunk(&mut self, index: usize, first: Packed) {
        let mut entries = [Packed::EMPTY; CHUNK];
        entries[0] = first;
        let next = self.wheel[index];
        let new = Chunk { entries, len: 1, next };
        let at = match self.chunks.get_mut(self.free_chunk as usize) {
            Some(free) => {
                let at = self.free_chunk;
                self.free_chunk = free.next;
                *free = new;
                at
            }
            None => {
                // No more chunks than events.
                let at = u32::try_from(self.chunks.len()).unwrap_or(NOWHERE);
                self.chunks.push(new);
                at
            }
        };
        self.wheel[index] = at;
        self.occupied[index / 64] |= 1 << (index % 64);
    }

    /// The key of the next event.
    #[inline]
    pub(super) fn next_key(&mut self) -> Option<Key> {
        self.settle();
        let current = self.current.last().map(|packed| packed.entry(self.slot).0);
        match self.late.peek() {
            None => current,
            Some(Reverse((late, _))) => Some(current.map_or(*late, |current| current.min(*late))),
        }
    }

    /// When the next event is due.
    pub(super) fn next_at(&mut self) -> Option<Instant> {
        self.next_key().map(Key::at)
    }

    /// The next events in their order, as far as that is known without work, each with its item.
    /// Whatever is pushed meanwhile may come before them.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = (Key, Option<&T>)> {
        let late = self.late.peek().map(|Reverse((key, _))| *key);
        let entries = self.current.iter().rev().map(|packed| packed.entry(self.slot));
        let known = entries.take_while(move |(key, _)| late.is_none_or(|late| *key < late));
        known.map(|(key, place)| (key, self.places.get(place as usize).and_then(Option::as_ref)))
    }

    /// Asks the processor for the items of so many of the next events.
    pub(super) fn ask_for(&self, many: usize) {
        for packed in self.current.iter().rev().take(many) {
            let (_, place) = packed.entry(self.slot);
            prefetch::whole(&self.places, place as usize);
        }
    }

    /// The keys of the next events in the slot that is open.
    pub(super) fn upcoming_keys(&self) -> impl Iterator<Item = Key> {
        self.current.iter().rev().map(|packed| packed.entry(self.slot).0)
    }

    /// Takes the next event. Its item, if it has one, is to be taken as well.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(Key, Kept)> {
        self.settle();
        let current = self.current.last().map(|packed| packed.entry(self.slot));
        let (key, place) = match (current, self.late.peek()) {
            (Some(current), Some(Reverse(late))) if *late > current => {
                self.current.pop();
                current
            }
            (Some(current), None) => {
                self.current.pop();
                current
            }
            _ => self.late.pop()?.0,
        };
        self.len -= 1;
        Some((key, Kept(place)))
    }

    /// The item of an event that has been popped.
    #[inline]
    pub(super) fn take(&mut self, Kept(place): Kept) -> Option<T> {
        let item = self.places.get_mut(place as usize)?;
        self.free.push(place);
        item.take()
    }

    /// Moves on to the next slot that holds anything, once the current one is used up.
    #[inline]
    fn settle(&mut self) {
        if self.current.is_empty() && self.late.is_empty() && self.len > 0 {
            self.move_on();
        }
    }

    #[inline(never)]
    fn move_on(&mut self) {
        let in_wheel = self.next_occupied();
        let in_far = self.far.peek().map(|Reverse((key, _))| key.slot());
        let Some(slot) = [in_wheel, in_far].into_iter().flatten().min() else { return };
        self.slot = slot;
        self.open(wheel_index(slot));
        while let Some(Reverse((key, _))) = self.far.peek()
            && key.slot() - self.slot < SLOTS_U64
        {
            if let Some(Reverse(entry)) = self.far.pop() {
                self.file(entry);
            }
        }
    }

    /// Empties a slot of the wheel into `current`, in order.
    fn open(&mut self, index: usize) {
        let mut at = std::mem::replace(&mut self.wheel[index], NOWHERE);
        self.occupied[index / 64] &= !(1 << (index % 64));
        while let Some(chunk) = self.chunks.get_mut(at as usize) {
            let filled = chunk.entries.iter().take(chunk.len as usize);
            self.current.extend(filled.rev());
            let next = std::mem::replace(&mut chunk.next, self.free_chunk);
            self.free_chunk = std::mem::replace(&mut at, next);
        }
        // Often nothing is left to do: what was pushed in order is found the last first.
        self.current.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The number of the next slot of the wheel that holds anything.
    fn next_occupied(&self) -> Option<u64> {
        let start = wheel_index(self.slot + 1);
        let words = self.occupied.len();
        // One word more than there are: the first is looked at again for the bits below `start`.
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (index + SLOTS - start) % SLOTS;
                return Some(self.slot + 1 + ahead as u64);
            }
        }
        None
    }
}

fn wheel_index(slot: u64) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "below SLOTS")]
    {
        (slot % SLOTS_U64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(at: u64, source: u32, sequence: u32) -> Key {
        Key::new(Instant::from_nanos(at), Kind::Arrive, source, sequence)
    }

    #[test]
    fn equal_times_are_ordered_by_kind_source_and_sequence() {
        let at = Instant::from_nanos(5);
        let mut queue = EventQueue::new();
        let keys = [
            Key::new(at, Kind::Emit, 0, 0),
            Key::new(at, Kind::Arrive, 2, 0),
            Key::new(at, Kind::Arrive, 1, 9),
            Key::new(at, Kind::Arrive, 1, 3),
            Key::new(at, Kind::Cross, 7, 7),
        ];
        for key in keys {
            queue.push(key, ());
        }
        let order: Vec<Key> = std::iter::from_fn(|| queue.pop().map(|(key, _)| key)).collect();
        assert_eq!(order, [keys[4], keys[3], keys[2], keys[1], keys[0]]);
    }

    /// Bursts that fall into every slot of the wheel in turn, and beyond it: memory is that of one.
    #[test]
    fn memory_is_that_of_the_most_that_was_pending() {
        const BURST: u32 = 100;
        let mut queue = EventQueue::new();
        for round in 0..20_000_u64 {
            for n in 0..BURST {
                let ahead = if n % 10 == 0 { 50_000_000 } else { 1_000 };
                queue.push(key(round * 4_099 + ahead, n, 0), ());
            }
            while let Some((_, kept)) = queue.pop() {
                queue.take(kept);
            }
        }
        assert_eq!(queue.places.len(), BURST as usize);
        assert!(queue.chunks.len() <= BURST as usize);
        let more = [queue.current.capacity(), queue.late.len(), queue.far.capacity()];
        assert!(more.iter().all(|n| *n <= 2 * BURST as usize), "{more:?}");
    }

    proptest! {
        /// Like a sorted list, whatever the distances: within a slot, within the wheel, beyond it,
        /// and with pushes between pops at and after the present.
        #[test]
        fn gives_back_in_order(
            script in prop::collection::vec(
                (prop_oneof![0_u64..3, 0_u64..10_000, 0_u64..40_000_000, 0_u64..10_000_000_000], 0_u8..3),
                1..300,
            ),
        ) {
            let mut queue = EventQueue::new();
            let mut list: Vec<(Key, usize)> = Vec::new();
            let mut now = 0;
            for (n, (ahead, pops)) in script.into_iter().enumerate() {
                let key = key(now + ahead, 0, u32::try_from(n).unwrap());
                queue.push(key, n);
                list.push((key, n));
                list.sort_unstable();
                for _ in 0..pops {
                    let next = queue.next_at();
                    let popped = queue.pop().map(|(key, kept)| (key, queue.take(kept)));
                    prop_assert_eq!(next, popped.map(|(key, _)| key.at()));
                    let want = if list.is_empty() { None } else { Some(list.remove(0)) };
                    prop_assert_eq!(popped, want.map(|(key, n)| (key, Some(n))));
                    now = popped.map_or(now, |(key, _)| key.at().as_nanos());
                }
                prop_assert_eq!(queue.len(), list.len());
            }
            for want in list {
                let popped = queue.pop().map(|(key, kept)| (key, queue.take(kept)));
                prop_assert_eq!(popped, Some((want.0, Some(want.1))));
            }
            prop_assert!(queue.pop().is_none());
        }
    }
}
