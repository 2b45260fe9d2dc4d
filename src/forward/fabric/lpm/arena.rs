//! Memory for leaves and nodes: one array of cache lines, handed out in units of 16 bytes.
//!
//! Holds blocks of words and the lists of those given back. Refuses to know what stands in a block,
//! or how long one is: who gives a block back says so.

use std::collections::BTreeMap;

use crate::forward::fabric::prefetch;

/// Words of four bytes in a line of the cache.
pub(super) const LINE: usize = 16;
/// Words in a unit, the least that is handed out.
pub(super) const UNIT: usize = 4;
/// Units in a line.
const UNITS: u32 = 4;
/// An arena grows by this part of itself, but for the small ones, which double.
const GROWTH: usize = 8;
/// Lines below which an arena doubles: 1 MiB.
const DOUBLES: usize = 16_384;

/// Lines below which nobody needs to wait for memory: 512 KiB.
const SMALL: usize = 8_192;

/// Lines behind the last block, so that whoever looks for a code where none is looks at one of them.
const BEHIND: usize = 2;

/// A line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; LINE]);

/// Where a block begins, in units.
pub(super) type Unit = u32;

/// The blocks of all tables of one family. The first line is nobody's: whoever has no block may read
/// there.
#[derive(Clone, Debug)]
pub(super) struct Arena {
    lines: Vec<Line>,
    /// Units handed out so far, those given back included.
    used: Unit,
    /// Blocks given back, by their number of units.
    ///
    /// INVARIANT: a block of one unit begins anywhere, of two at an even unit, of more at a line, or
    /// it is cut until that holds. So what is handed out from here is aligned as if it were new.
    free: BTreeMap<u32, Vec<Unit>>,
}

impl Default for Arena {
    fn default() -> Arena {
        let mut arena = Arena { lines: Vec::new(), used: 0, free: BTreeMap::new() };
        arena.grow(UNITS);
        arena
    }
}

impl Arena {
    /// Gives back what growth has left over.
    pub(super) fn shrink(&mut self) {
        self.lines.shrink_to_fit();
    }

    /// Units that are or were in use: what bounds the arena.
    pub(super) fn used(&self) -> Unit {
        self.used
    }

    /// Bytes taken from the machine.
    pub(super) fn bytes(&self) -> usize {
        let free: usize = self.free.values().map(|list| list.capacity() * size_of::<Unit>()).sum();
        // An entry of the map of free lists is rounded up to what its nodes cost.
        self.lines.capacity() * size_of::<Line>() + free + self.free.len() * 64
    }

    /// A block of this many units, at least one; what stands in it is left over from before. Up to
    /// a line long it lies in one line, from there on it begins at one.
    pub(super) fn take(&mut self, units: u32) -> Unit {
        if let Some(at) = self.free.get_mut(&units).and_then(Vec::pop) {
            return at;
        }
        // The smallest that is longer, and what is left of it goes back.
        let longer = self.free.range_mut(units + 1..).find(|(_, list)| !list.is_empty());
        if let Some((&have, list)) = longer
            && let Some(at) = list.pop()
        {
            self.give(at + units, have - units);
            return at;
        }
        let align = units.next_power_of_two().min(UNITS);
        let at = self.used.next_multiple_of(align);
        let skipped = at - self.used;
        self.grow(at + units);
        self.give(at - skipped, skipped);
        at
    }

    /// Takes a block back.
    pub(super) fn give(&mut self, mut at: Unit, mut units: u32) {
        while units > 0 {
            // What begins inside a line is cut at its end.
            let room = if at.is_multiple_of(UNITS) {
                units
            } else if at.is_multiple_of(2) {
                units.min(2)
            } else {
                1
            };
            self.free.entry(room).or_default().push(at);
            at += room;
            units -= room;
        }
    }

    fn grow(&mut self, used: Unit) {
        self.used = used;
        let lines = used.div_ceil(UNITS) as usize + BEHIND;
        if lines > self.lines.capacity() {
            let have = self.lines.len();
            let more = if have < DOUBLES { have } else { have / GROWTH };
            self.lines.reserve_exact((lines - have).max(more));
        }
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0; LINE]));
        }
    }

    /// So many words of the block from this one on.
    ///
    /// # Safety
    /// `at` is where a block begins that was taken and not given back, or 0. The words lie in it or
    /// at most [`BEHIND`] lines behind.
    #[inline(always)]
    #[allow(unsafe_code, reason = "a look-up takes 4.2 ns so, and 6.3 ns with checks")]
    pub(super) unsafe fn read<const N: usize>(&self, at: Unit, word: usize) -> [u32; N] {
        debug_assert!(at as usize * UNIT + word + N <= self.lines.len() * LINE);
        // SAFETY: all blocks lie below `used`, and `grow` keeps BEHIND lines more than these take,
        // so the words are in the allocation of `lines`, all of whose words are initialized.
        unsafe {
            let block = self.lines.as_ptr().cast::<[u32; UNIT]>().add(at as usize);
            block.cast::<u32>().add(word).cast::<[u32; N]>().read()
        }
    }

    /// The word at this place of the block.
    #[inline(always)]
    pub(super) fn word(&self, at: Unit, word: usize) -> u32 {
        let place = at as usize * UNIT + word;
        self.lines[place / LINE].0[place % LINE]
    }

    /// Writes the word at this place of the block.
    #[inline(always)]
    pub(super) fn set(&mut self, at: Unit, word: usize, value: u32) {
        let place = at as usize * UNIT + word;
        self.lines[place / LINE].0[place % LINE] = value;
    }

    /// Are all blocks together small enough to stay in the caches of a core?
    #[inline(always)]
    pub(super) fn is_small(&self) -> bool {
        self.lines.len() < SMALL
    }

    /// Asks for the line with this word of the block.
    #[inline(always)]
    pub(super) fn prefetch_word(&self, at: Unit, word: usize) {
        prefetch::element(&self.lines, (at as usize * UNIT + word) / LINE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks never overlap, and lie as promised, whatever was given back before.
    #[test]
    fn blocks_are_apart_and_aligned() {
        let mut arena = Arena::default();
        let mut held: Vec<(Unit, u32)> = Vec::new();
        let mut state = 1_u32;
        for _ in 0..5_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let roll = state >> 16;
            if roll % 5 < 3 {
                let units = [1, 2, 3, 4, 5, 8, 10, 13, 16][roll as usize / 5 % 9];
                let at = arena.take(units);
                assert_eq!(at % units.next_power_of_two().min(UNITS), 0, "{units} at {at}");
                held.push((at, units));
            } else if !held.is_empty() {
                let (at, units) = held.swap_remove(roll as usize / 5 % held.len());
                arena.give(at, units);
            }
        }
        held.sort_unstable();
        assert!(held.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "{held:?}");
        let (last, units) = *held.last().unwrap();
        assert!(last + units <= arena.used());
        assert!(arena.bytes() >= arena.used() as usize * 16);
    }

    #[test]
    fn what_is_given_back_is_used_again() {
        let mut arena = Arena::default();
        let first = arena.take(16);
        arena.give(first, 16);
        let used = arena.used();
        for _ in 0..4 {
            arena.take(4);
        }
        assert_eq!(arena.used(), used);
    }
}
