//! Small decisions over IPv4 addresses: what most groups with a few rules come to.
//!
//! Holds decisions with up to 14 boundaries between addresses, each stretch with one range of ports:
//! two neighbouring lines of the cache, where a tree and its leaves would take four. Refuses what has
//! more, or another word than tracked and refused: that is a tree.

use super::cell::{ALL_PORTS, Bits, Cell, REFUSED, TRACKED};
use super::intern::{Interned, hash_of};
use super::tree::count_below;

/// Boundaries that there is room for.
const BOUNDARIES: usize = 14;

/// One decision. Lines come in pairs, so both are fetched at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(align(128))]
struct Small {
    /// As in [`super::tree`], the last two never set.
    boundaries: [i32; 16],
    /// First that above all stretches, then that of each.
    ranges: [Range; 16],
}

const _: () = assert!(size_of::<Small>() == 128);

/// Keys that are tracked, see [`Cell::as_range`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
struct Range {
    first: u16,
    count: u16,
}

impl Range {
    #[inline]
    fn holds(self, key: u16, is_later: bool) -> bool {
        let is_in = key.wrapping_sub(self.first) < self.count;
        (is_in & !is_later) | (self.count == ALL_PORTS)
    }
}

/// All of them, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Smalls {
    all: Vec<Small>,
    known: Interned,
}

impl Smalls {
    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<Small>()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The cell of a decision as [`super::arena::Arena::tree`] takes it, with boundaries as in
    /// [`super::tree`]; `None` if it is not small. Equal decisions get equal cells.
    pub(super) fn cell(
        &mut self,
        boundaries: impl ExactSizeIterator<Item = i32>,
        cells: &[Cell],
    ) -> Option<Cell> {
        if boundaries.len() > BOUNDARIES {
            return None;
        }
        let mut small = Small { boundaries: [i32::MAX; 16], ranges: [Range::default(); 16] };
        for (to, boundary) in small.boundaries.iter_mut().zip(boundaries) {
            *to = boundary;
        }
        for (to, cell) in small.ranges.iter_mut().zip(cells) {
            let (first, count) = cell.as_range()?;
            *to = Range { first, count };
        }
        let known = self.known.find(hash_of(&small), |row| self.all.get(row) == Some(&small));
        let row = known.unwrap_or_else(|vacant| {
            self.all.push(small);
            self.known.add(vacant, self.all.len() - 1)
        });
        Some(Cell::small(row))
    }

    /// Loads both lines; the number is of no meaning.
    #[inline]
    pub(super) fn load(&self, cell: Cell) -> usize {
        let of = |small: &Small| {
            usize::from(small.ranges[0].count) ^ usize::from(small.boundaries[0] < 0)
        };
        self.all.get(cell.row()).map_or(0, of)
    }

    /// The word at an address, given as a boundary is. No branch.
    #[inline]
    pub(super) fn say(&self, cell: Cell, far: i32, key: u16, is_later: bool) -> Bits {
        let Some(small) = self.all.get(cell.row()) else { return REFUSED };
        // Asked for first, so that the second line is not waited for after the first.
        let above = small.ranges[0].holds(key, is_later);
        let before = count_below(&small.boundaries, far);
        let range = small.ranges[(before + 1) & 15];
        if above | range.holds(key, is_later) { TRACKED } else { REFUSED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_ends() {
        for (first, count, key, want) in [
            (443, 1, 443, true),
            (443, 1, 444, false),
            (443, 1, 442, false),
            (0, 0, 0, false),
            (65_535, 1, 65_535, true),
            (65_535, 1, 0, false),
            (2, 65_534, 1, false),
            (2, 65_534, 65_535, true),
            (0, ALL_PORTS, 65_535, true),
        ] {
            let range = Range { first, count };
            assert_eq!(range.holds(key, false), want, "{range:?} {key}");
            assert_eq!(range.holds(key, true), count == ALL_PORTS);
        }
    }

    #[test]
    fn what_is_not_small_is_refused() {
        let mut smalls = Smalls::default();
        let all = Cell::constant(TRACKED);
        let cells: Vec<Cell> =
            (0..17).map(|n| if n % 2 == 1 { all } else { Cell::REFUSED }).collect();
        let small = smalls.cell(0..14, &cells[..16]).unwrap();
        assert_eq!(smalls.cell(0..14, &cells[..16]), Some(small));
        assert_eq!(smalls.cell(0..15, &cells), None);
        assert_eq!(smalls.cell(0..0, &[Cell::REFUSED, Cell::line(0, REFUSED)]), None);
        for far in -1..16 {
            let before = far.clamp(0, 14);
            let want = if before % 2 == 0 { TRACKED } else { REFUSED };
            assert_eq!(smalls.say(small, far, 9, true), want, "{far}");
        }
    }
}
