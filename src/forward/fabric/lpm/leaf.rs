//! A few routes side by side, searched in full.
//!
//! Holds the layout of a leaf: as many keys as it has room for, then as many codes, the longest
//! prefix first, so that the first key that covers an address decides. Behind the last route it is
//! repeated, which changes no answer and says where the routes end. Up to eight routes of IPv4 lie in
//! one line of the cache, keys and codes, and the keys of sixteen in one as well.
//!
//! Refuses to be empty, and to know where it hangs.

use super::address::Address;
use super::arena::{Arena, UNIT, Unit};

/// Routes of the longest leaf.
pub(super) const MOST: usize = 16;
/// For how many routes a leaf of each size has room.
const ROOMS: [usize; 6] = [2, 4, 6, 8, 12, MOST];
/// Sizes of leaves.
#[allow(clippy::cast_possible_truncation, reason = "it is 6")]
pub(super) const SIZES: u32 = ROOMS.len() as u32;

/// A leaf: its size and its block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Leaf {
    /// 0..SIZES.
    pub(super) size: u32,
    /// Where its block begins.
    pub(super) at: Unit,
}

/// A route: the prefix of `len` bits at `net`, whose other bits are zero, and what it leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Route<A> {
    /// Its first address.
    pub(super) net: A,
    /// 1..=BITS.
    pub(super) len: u32,
    /// Never 0.
    pub(super) code: u32,
}

/// What came of a route that was to join a leaf.
pub(super) enum Joined {
    /// It is there; the leaf may be another one now.
    Added(Leaf),
    /// Its prefix was there with this code.
    Replaced(u32),
    /// The leaf is full and as it was.
    Full,
}

impl Leaf {
    /// Routes that it has room for.
    #[inline(always)]
    pub(super) const fn room(self) -> usize {
        ROOMS[self.size as usize]
    }

    /// The smallest size with room for `count` routes, at most [`MOST`].
    fn size_for(count: usize) -> u32 {
        (0..SIZES - 1).find(|size| Leaf { size: *size, at: 0 }.room() >= count).unwrap_or(SIZES - 1)
    }

    /// A leaf of this size in a block of its own.
    fn take<A: Address>(arena: &mut Arena, size: u32) -> Leaf {
        Leaf { size, at: arena.take(Leaf::units::<A>(size)) }
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most 20")]
    fn units<A: Address>(size: u32) -> u32 {
        (Leaf { size, at: 0 }.room() * (A::WORDS + 1)).div_ceil(UNIT) as u32
    }

    /// A leaf of these routes, one to [`Address::LEAF`], in any order; no two with the same prefix.
    pub(super) fn build<A: Address>(arena: &mut Arena, routes: &[Route<A>]) -> Leaf {
        let mut sorted = [None; MOST];
        for (to, from) in sorted.iter_mut().zip(routes) {
            *to = Some((std::cmp::Reverse(from.len), from.net, from.code));
        }
        let count = routes.len().min(MOST);
        sorted[..count].sort_unstable();
        let leaf = Leaf::take::<A>(arena, Leaf::size_for(count));
        let mut last = (A::default(), 0);
        for (place, route) in sorted.iter().take(leaf.room()).enumerate() {
            if let Some((len, net, code)) = route {
                last = (net.key(len.0), *code);
            }
            leaf.write(arena, place, last);
        }
        leaf
    }

    #[inline(always)]
    fn write<A: Address>(self, arena: &mut Arena, place: usize, (key, code): (A, u32)) {
        for word in 0..A::WORDS {
            arena.set(self.at, place * A::WORDS + word, key.word(word));
        }
        arena.set(self.at, self.room() * A::WORDS + place, code);
    }

    /// The key at this place, 0..room.
    #[inline(always)]
    fn key<A: Address>(self, arena: &Arena, place: usize) -> A {
        (0..A::WORDS).fold(A::default(), |key, word| {
            key.with_word(word, arena.word(self.at, place * A::WORDS + word))
        })
    }

    /// The code at this place, 0..room.
    #[inline(always)]
    fn code<A: Address>(self, arena: &Arena, place: usize) -> u32 {
        arena.word(self.at, self.room() * A::WORDS + place)
    }

    /// How many routes it has, at least one.
    fn count<A: Address>(self, arena: &Arena) -> usize {
        let last: A = self.key(arena, self.room() - 1);
        (0..self.room()).find(|place| self.key::<A>(arena, *place) == last).unwrap_or(0) + 1
    }

    /// Its routes go to `into`.
    pub(super) fn collect<A: Address>(self, arena: &Arena, half: usize, into: &mut Vec<Route<A>>) {
        into.extend((0..self.count::<A>(arena)).map(|place| {
            let (net, len) = A::prefix(self.key(arena, place), half);
            Route { net, len, code: self.code::<A>(arena, place) }
        }));
    }

    /// Gives its block back.
    pub(super) fn free<A: Address>(self, arena: &mut Arena) {
        arena.give(self.at, Leaf::units::<A>(self.size));
    }

    /// Adds a route, or gives the one with its prefix another code.
    pub(super) fn insert<A: Address>(self, arena: &mut Arena, route: Route<A>) -> Joined {
        let key = route.net.key(route.len);
        let count = self.count::<A>(arena);
        if let Some(place) = (0..count).find(|place| self.key::<A>(arena, *place) == key) {
            let old = self.code::<A>(arena, place);
            // Repetitions keep the old code: none is found before the route itself.
            self.write(arena, place, (key, route.code));
            return Joined::Replaced(old);
        }
        if count == A::LEAF {
            return Joined::Full;
        }
        // Longer prefixes have their mark further down.
        let longer = |place: &usize| A::mark(self.key(arena, *place)) < A::mark(key);
        let at = (0..count).take_while(longer).count();
        let entry = |place: usize| -> (A, u32) {
            match place.min(count) {
                p if p < at => (self.key(arena, p), self.code::<A>(arena, p)),
                p if p == at => (key, route.code),
                p => (self.key(arena, p - 1), self.code::<A>(arena, p - 1)),
            }
        };
        let mut entries = [(A::default(), 0); MOST];
        let size = Leaf::size_for(count + 1);
        let entries = &mut entries[..ROOMS[size as usize]];
        for (place, to) in entries.iter_mut().enumerate() {
            *to = entry(place);
        }
        Joined::Added(self.rewrite(arena, size, entries))
    }

    /// Takes the route with this prefix out. `None` if it is not there, else its code and the leaf
    /// without it, if any route is left.
    pub(super) fn remove<A: Address>(
        self,
        arena: &mut Arena,
        net: A,
        len: u32,
    ) -> Option<(u32, Option<Leaf>)> {
        let key = net.key(len);
        let count = self.count::<A>(arena);
        let at = (0..count).find(|place| self.key::<A>(arena, *place) == key)?;
        let code = self.code::<A>(arena, at);
        if count == 1 {
            self.free::<A>(arena);
            return Some((code, None));
        }
        let mut entries = [(A::default(), 0); MOST];
        let size = Leaf::size_for(count - 1);
        let entries = &mut entries[..ROOMS[size as usize]];
        for (place, to) in entries.iter_mut().enumerate() {
            let place = place.min(count - 2);
            let from = if place < at { place } else { place + 1 };
            *to = (self.key(arena, from), self.code::<A>(arena, from));
        }
        Some((code, Some(self.rewrite(arena, size, entries))))
    }

    /// The leaf with other entries, in its own block if the size is the same.
    fn rewrite<A: Address>(self, arena: &mut Arena, size: u32, entries: &[(A, u32)]) -> Leaf {
        let mut leaf = self;
        if size != self.size {
            self.free::<A>(arena);
            leaf = Leaf::take::<A>(arena, size);
        }
        for (place, entry) in entries.iter().enumerate() {
            leaf.write(arena, place, *entry);
        }
        leaf
    }
}
