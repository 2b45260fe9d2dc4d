//! A node: the routes of a block of addresses, told apart by some of the bits behind it.
//!
//! Holds the layout of a node and its local routes, those that end at one of its bits. Refuses to
//! know what hangs below its slots.
//!
//! ```text
//!         ┌─ header ─────────────────────┬─ 2^bits + 1 slots ─────┬─ 2^bits words ─────────┐
//!  block  │ net, shape, last slot, routes│ (place, code) ...      │ tree of local routes   │
//!         └──────────────────────────────┴────────────────────────┴────────────────────────┘
//! ```
//!
//! The last slot is for all addresses outside of the block: nothing hangs there, and a search finds it
//! with the same instructions as the others.
//!
//! A slot has the code of the longest local route that covers it, so that a search reads one slot and
//! no tree. The tree is what restores the next shorter route when one is removed: a local route of `j`
//! bits more than the node stands at `2^j + those bits`, the parent of `i` at `i / 2`. It is the
//! allotment table of Hariguchi's ART, but for the lowest row: a route that ends at the node's last bit
//! stands in its slot, which is marked as its owner.

use super::address::Address;
use super::arena::{Arena, UNIT, Unit};
use super::leaf::{Leaf, SIZES};

/// What hangs below a slot or a half of a table, in four bytes: 28 bits of place, 3 of kind, and
/// whether the slot's code is a route of its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Place(u32);

/// A [`Place`], taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Below {
    /// No route.
    Nothing,
    /// A node.
    Node(Unit),
    /// A leaf.
    Leaf(Leaf),
}

/// Units that a place can name: 4 GiB.
pub(super) const UNITS_MAX: u32 = 1 << 28;

const OWNED: u32 = 1;
/// The bits of the kind.
const KIND: u32 = 14;
const NODE: u32 = 14;

/// Of each kind: for how many routes its leaf has room.
const ROOM: [usize; 8] = {
    let mut out = [0; 8];
    let mut size = 0;
    while size < SIZES {
        out[size as usize + 1] = Leaf { size, at: 0 }.room();
        size += 1;
    }
    out
};
const _: () = assert!(SIZES < NODE / 2);

impl Place {
    /// Takes it apart.
    #[inline(always)]
    pub(super) const fn below(self) -> Below {
        let at = self.0 >> 4;
        match self.0 & KIND {
            0 => Below::Nothing,
            NODE => Below::Node(at),
            kind => Below::Leaf(Leaf { size: kind / 2 - 1, at }),
        }
    }

    /// Puts it together, without an owner.
    pub(super) const fn of(below: Below) -> Place {
        Place(match below {
            Below::Nothing => 0,
            Below::Node(at) => at << 4 | NODE,
            Below::Leaf(leaf) => (leaf.at << 4) | ((leaf.size + 1) * 2),
        })
    }

    /// Where its block begins, 0 for nothing.
    #[inline(always)]
    pub(super) const fn at(self) -> Unit {
        self.0 >> 4
    }

    /// For how many routes its leaf has room; none if there is no leaf.
    #[inline(always)]
    pub(super) const fn room(self) -> usize {
        ROOM[(self.0 & KIND) as usize / 2]
    }

    /// Is it a leaf with room for at most 2, 4, 6, 8, 12 or 16 routes, for `SIZE` 0 to 5, or nothing?
    #[inline(always)]
    pub(super) const fn is_at_most(self, size: u32) -> bool {
        self.0 & KIND <= (size + 1) * 2
    }

    /// Is it a node's?
    #[inline(always)]
    pub(super) const fn is_node(self) -> bool {
        self.0 & KIND == NODE
    }

    const fn is_owned(self) -> bool {
        self.0 & OWNED != 0
    }

    const fn owned(self, by: u32) -> Place {
        Place(self.0 & !OWNED | by)
    }
}

/// A node's header, and where its block begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<A> {
    /// Where its block begins.
    pub(super) at: Unit,
    /// The first address of its block of addresses.
    pub(super) net: A,
    /// Bits that all its routes share, 1..BITS; its slots are told apart by those from here on.
    pub(super) from: u32,
    /// How many bits that are, 2..=[`BITS_MOST`]; `from + bits` is at most BITS.
    pub(super) bits: u32,
}

/// Bits of the widest node.
pub(super) const BITS_MOST: u32 = 20;

impl<A: Address> Node<A> {
    /// Words of the header: net, shape, last slot, routes; rounded up to whole units.
    const HEADER: usize = (A::WORDS + 3).next_multiple_of(UNIT);

    /// Slots that it has, but for the last.
    pub(super) const fn slots(self) -> usize {
        1 << self.bits
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most 3 * 2^20 words")]
    fn units(bits: u32) -> u32 {
        Self::words(bits).div_ceil(UNIT) as u32
    }

    const fn words(bits: u32) -> usize {
        Self::HEADER + 2 + (3 << bits)
    }

    /// A node without routes.
    pub(super) fn build(arena: &mut Arena, net: A, from: u32, bits: u32) -> Node<A> {
        let at = arena.take(Self::units(bits));
        let node = Node { at, net: net.truncate(from), from, bits };
        for word in 0..A::WORDS {
            arena.set(at, word, node.net.word(word));
        }
        for word in A::WORDS..Self::words(bits) {
            arena.set(at, word, 0);
        }
        arena.set(at, A::WORDS, (A::BITS - from - bits) | from << 8 | bits << 16);
        arena.set(at, A::WORDS + 1, 1 << bits);
        node
    }

    /// The node whose block begins here.
    #[inline(always)]
    pub(super) fn read(arena: &Arena, at: Unit) -> Node<A> {
        let word = |net: A, word: usize| net.with_word(word, arena.word(at, word));
        let shape = arena.word(at, A::WORDS);
        let net = (0..A::WORDS).fold(A::default(), word);
        Node { at, net, from: shape >> 8 & 0xff, bits: shape >> 16 }
    }

    /// Gives its block back; what hangs below is not its business.
    pub(super) fn free(self, arena: &mut Arena) {
        arena.give(self.at, Self::units(self.bits));
    }

    /// Routes in it and below it.
    pub(super) fn routes(self, arena: &Arena) -> usize {
        arena.word(self.at, A::WORDS + 2) as usize
    }

    /// Writes how many routes are in it and below it.
    #[allow(clippy::cast_possible_truncation, reason = "a table has at most 2^22")]
    pub(super) fn set_routes(self, arena: &mut Arena, routes: usize) {
        arena.set(self.at, A::WORDS + 2, routes as u32);
    }

    /// Does the address lie in its block?
    #[inline(always)]
    pub(super) fn holds(self, address: A) -> bool {
        address.agrees(self.net, self.from)
    }

    /// The slot of an address in its block.
    #[inline(always)]
    pub(super) fn slot_of(self, address: A) -> usize {
        address.bits(self.from, self.bits)
    }

    /// What hangs below the slot, and the code of the longest local route, 0 for none.
    #[inline(always)]
    pub(super) fn slot(self, arena: &Arena, slot: usize) -> (Place, u32) {
        let at = Self::HEADER + 2 * slot;
        (Place(arena.word(self.at, at)), arena.word(self.at, at + 1))
    }

    /// Hangs something else below the slot.
    pub(super) fn hang(self, arena: &mut Arena, slot: usize, below: Below) {
        let owned = self.slot(arena, slot).0.0 & OWNED;
        arena.set(self.at, Self::HEADER + 2 * slot, Place::of(below).owned(owned).0);
    }

    /// Which word of the block at `at` the slot of the address begins at, the last slot if the
    /// address is outside.
    ///
    /// # Safety
    /// A node's block begins at `at`.
    #[inline(always)]
    #[allow(unsafe_code, reason = "see `Arena::read`")]
    pub(super) unsafe fn seek(arena: &Arena, at: Unit, address: A) -> usize {
        // SAFETY: the header is in the block.
        let words = |word| unsafe { arena.read::<2>(at, word) };
        let net = (0..A::WORDS).fold(A::default(), |net, word| net.with_word(word, words(word)[0]));
        let [shape, last] = words(A::WORDS);
        Self::HEADER + 2 * address.slot(net, shape, last)
    }

    /// What hangs below the slot that begins at this word of the block, and the code of the longest
    /// local route, 0 for none.
    ///
    /// # Safety
    /// A node's block begins at `at`, and a slot of it at `word`.
    #[inline(always)]
    #[allow(unsafe_code, reason = "see `Arena::read`")]
    pub(super) unsafe fn slot_at(arena: &Arena, at: Unit, word: usize) -> (Place, u32) {
        // SAFETY: the slot is in the block.
        let [place, code] = unsafe { arena.read(at, word) };
        (Place(place), code)
    }

    fn set_code(self, arena: &mut Arena, slot: usize, code: u32) {
        arena.set(self.at, Self::HEADER + 2 * slot + 1, code);
    }

    fn tree(self, index: usize) -> usize {
        Self::HEADER + 2 * (self.slots() + 1) + index
    }

    /// Is a route of this length local? Shorter ones are not for this node, longer ones below it.
    pub(super) fn is_local(self, len: u32) -> bool {
        (self.from..=self.from + self.bits).contains(&len)
    }

    /// Gives the local route this code, or 0 for none; returns what it had. Its slots are as many
    /// writes.
    pub(super) fn put(self, arena: &mut Arena, net: A, len: u32, code: u32) -> u32 {
        let more = len - self.from;
        if more == self.bits {
            return self.put_in_slot(arena, self.slot_of(net), code);
        }
        let bits = if more == 0 { 0 } else { net.bits(self.from, more) };
        let index = 1 << more | bits;
        let old = arena.word(self.at, self.tree(index));
        arena.set(self.at, self.tree(index), code);
        let seen = if code == 0 { self.nearest(arena, index / 2) } else { code };
        self.push(arena, index, seen);
        old
    }

    fn put_in_slot(self, arena: &mut Arena, slot: usize, code: u32) -> u32 {
        let (place, had) = self.slot(arena, slot);
        let above = || self.nearest(arena, (self.slots() | slot) / 2);
        let (owner, seen) = if code == 0 { (0, above()) } else { (OWNED, code) };
        arena.set(self.at, Self::HEADER + 2 * slot, place.owned(owner).0);
        self.set_code(arena, slot, seen);
        if place.is_owned() { had } else { 0 }
    }

    /// The code of the longest route at `index` of the tree or above.
    fn nearest(self, arena: &Arena, mut index: usize) -> u32 {
        while index > 0 {
            let code = arena.word(self.at, self.tree(index));
            if code != 0 {
                return code;
            }
            index /= 2;
        }
        0
    }

    /// All slots below `index` that no longer route covers get the code: the tree in preorder, from
    /// each longer route on to what comes behind it.
    fn push(self, arena: &mut Arena, top: usize, code: u32) {
        let mut index = top;
        loop {
            let longer = if index >= self.slots() {
                let slot = index - self.slots();
                if !self.slot(arena, slot).0.is_owned() {
                    self.set_code(arena, slot, code);
                }
                true
            } else {
                index != top && arena.word(self.at, self.tree(index)) != 0
            };
            if !longer {
                index *= 2;
                continue;
            }
            // Up from every right child, then over to its sibling.
            while index != top && index % 2 == 1 {
                index /= 2;
            }
            if index == top {
                return;
            }
            index += 1;
        }
    }

    /// Its local routes, in the order of the tree.
    pub(super) fn local(self, arena: &Arena) -> impl Iterator<Item = (A, u32, u32)> {
        let inner = (1..self.slots()).filter_map(move |index| {
            let code = arena.word(self.at, self.tree(index));
            let more = index.ilog2();
            (code != 0).then(|| (self.net_of(index - (1 << more), more), self.from + more, code))
        });
        let ends = (0..self.slots()).filter_map(move |slot| {
            let (place, code) = self.slot(arena, slot);
            place.is_owned().then(|| (self.net_of(slot, self.bits), self.from + self.bits, code))
        });
        inner.chain(ends)
    }

    /// The address of these `more` bits behind the node's own.
    fn net_of(self, bits: usize, more: u32) -> A {
        self.net.with_bits(self.from, more, bits)
    }
}
