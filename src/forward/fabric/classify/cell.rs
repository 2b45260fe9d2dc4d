//! A cell: eight bytes that say what is decided here, or where the decision stands.
//!
//! Holds the bits and the decisions that fit into them. Refuses to know the arena that the other
//! cells point into.

use crate::forward::connections::Word;

/// A word in two bits, with the numbers that [`Word`] has, so that it becomes one at no cost. For an
/// ACL `REFUSED` denies and `TRACKED` allows.
pub(super) type Bits = u8;
pub(super) const REFUSED: Bits = Word::Refused as Bits;
pub(super) const UNTRACKED: Bits = Word::Untracked as Bits;
pub(super) const TRACKED: Bits = Word::Tracked as Bits;

const _: () = assert!(REFUSED == 0, "what nothing was painted on refuses");

/// What two bits say.
pub(super) const fn word(bits: Bits) -> Word {
    match bits {
        TRACKED => Word::Tracked,
        UNTRACKED => Word::Untracked,
        _ => Word::Refused,
    }
}

/// So many keys stand for all of them, and for later fragments.
pub(super) const ALL_PORTS: u16 = u16::MAX;

/// How a cell decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// By a stretch of keys, in the cell itself: one word inside, one outside.
    Stretch,
    /// By a line of boundaries between keys.
    Line,
    /// By a table of pages of keys.
    Paged,
    /// By an IPv4 address with few boundaries, and one range of ports each: two lines.
    Small,
    /// By an IPv4 address: a tree, in its leaves cells of the kinds above.
    Tree4,
    /// By the upper half of an IPv6 address, likewise.
    Tree6,
    /// By an IPv6 address, likewise.
    Wide6,
    /// By membership in one or more groups, where a cell of the other kinds refuses.
    Members,
    /// By a search of all strokes: what would take too much space otherwise.
    Scan,
}

/// The bits, from the lowest: kind 4, then by kind
///
/// - `Stretch`: by source 1, words outside, inside and of later fragments 2 each; from bit 16 the
///   first key, from bit 32 how many keys follow it inside
/// - `Line`, `Paged`: likewise up to the later fragments' word; from bit 32 the row
/// - `Tree4`, `Tree6`, `Wide6`: depth 3; from bit 7 the first line, 28; from bit 35 the first leaf, 29
/// - `Small`, `Members`, `Scan`: from bit 32 the row; of `Members`, bit 4 says that the row is the
///   one group's, with which everything is tracked
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Cell(pub(super) u64);

impl Cell {
    /// Nothing passes.
    pub(super) const REFUSED: Cell = Cell::constant(REFUSED);
    /// Lines of all trees together; 2^28 of 64 bytes are 16 GiB.
    pub(super) const TREE_LINES_MAX: usize = 1 << 28;
    /// Leaves of all trees together.
    pub(super) const TREE_LEAVES_MAX: usize = 1 << 29;

    const FLAG: u64 = 1 << 4;
    const OUTSIDE: u32 = 5;
    const INSIDE: u32 = 7;
    const LATER: u32 = 9;

    /// One word for everything.
    pub(super) const fn constant(word: Bits) -> Cell {
        Cell::stretch(0, 0, [word; 2], word)
    }

    /// `[outside, inside]` the keys from `first` to `first + more`, and the word of later fragments.
    pub(super) const fn stretch(first: u16, more: u16, words: [Bits; 2], later: Bits) -> Cell {
        let words = (words[0] as u64) << Cell::OUTSIDE | (words[1] as u64) << Cell::INSIDE;
        let later = (later as u64) << Cell::LATER;
        Cell(words | later | (first as u64) << 16 | (more as u64) << 32)
    }

    pub(super) const fn line(row: u32, later: Bits) -> Cell {
        Cell(Kind::Line as u64 | (later as u64) << Cell::LATER | (row as u64) << 32)
    }

    pub(super) const fn paged(row: u32, later: Bits) -> Cell {
        Cell(Kind::Paged as u64 | (later as u64) << Cell::LATER | (row as u64) << 32)
    }

    /// A tree of `kind`; the two limits above are the caller's.
    pub(super) const fn tree(kind: Kind, depth: u32, line: usize, leaf: usize) -> Cell {
        Cell(kind as u64 | (depth as u64) << 4 | (line as u64) << 7 | (leaf as u64) << 35)
    }

    /// Members of one group are tracked, others refused.
    pub(super) const fn group(row: u32) -> Cell {
        Cell(Kind::Members as u64 | Cell::FLAG | (row as u64) << 32)
    }

    pub(super) const fn members(row: u32) -> Cell {
        Cell(Kind::Members as u64 | (row as u64) << 32)
    }

    pub(super) const fn small(row: u32) -> Cell {
        Cell(Kind::Small as u64 | (row as u64) << 32)
    }

    pub(super) const fn scan(row: u32) -> Cell {
        Cell(Kind::Scan as u64 | (row as u64) << 32)
    }

    /// The same decision by the sender's port.
    pub(super) const fn by_source(self) -> Cell {
        Cell(self.0 | Cell::FLAG)
    }

    /// Is it of this kind? No branch.
    #[inline]
    pub(super) const fn is(self, kind: Kind) -> bool {
        self.0 & 15 == kind as u64
    }

    #[inline]
    pub(super) const fn kind(self) -> Kind {
        match self.0 & 15 {
            0 => Kind::Stretch,
            1 => Kind::Line,
            2 => Kind::Paged,
            3 => Kind::Small,
            4 => Kind::Tree4,
            5 => Kind::Tree6,
            6 => Kind::Wide6,
            7 => Kind::Members,
            _ => Kind::Scan,
        }
    }

    /// Is the key the sender's port? Of `Members`: is it about one group?
    #[inline]
    pub(super) const fn flag(self) -> bool {
        self.0 & Cell::FLAG != 0
    }

    #[allow(clippy::cast_possible_truncation, reason = "the row is the upper half")]
    #[inline]
    pub(super) const fn row32(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(super) const fn row(self) -> usize {
        self.row32() as usize
    }

    #[inline]
    pub(super) const fn later(self) -> Bits {
        self.bits(Cell::LATER)
    }

    /// What a `Stretch` says, without a branch.
    #[inline]
    pub(super) const fn within(self, key: u16, is_later: bool) -> Bits {
        let (first, more) = self.ends();
        let inside = (key.wrapping_sub(first) <= more) as u32;
        let shift = if is_later { Cell::LATER } else { Cell::OUTSIDE + 2 * inside };
        self.bits(shift)
    }

    /// The keys that are tracked, if they are one range of at most 65,534 and everything else is
    /// refused, later fragments included: the first and how many. All keys and later fragments, if
    /// everything is tracked, are `ALL_PORTS`.
    pub(super) fn as_range(self) -> Option<(u16, u16)> {
        if let Some(word) = self.as_constant() {
            return match word {
                TRACKED => Some((0, ALL_PORTS)),
                REFUSED => Some((0, 0)),
                _ => None,
            };
        }
        let (first, more) = self.ends();
        let (outside, inside) = (self.bits(Cell::OUTSIDE), self.bits(Cell::INSIDE));
        let range = match (outside, inside) {
            (REFUSED, TRACKED) => (first, more.checked_add(1)?),
            (TRACKED, REFUSED) if u32::from(first) + u32::from(more) == 65_535 => (0, first),
            _ => return None,
        };
        let fits = self.is(Kind::Stretch) && self.later() == REFUSED && range.1 < ALL_PORTS;
        fits.then_some(range)
    }

    #[allow(clippy::cast_possible_truncation, reason = "two bits")]
    #[inline]
    const fn bits(self, at: u32) -> Bits {
        (self.0 >> at & 3) as Bits
    }

    /// The first key of a `Stretch`, and how many follow it inside.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "fields are taken out of the word")]
    const fn ends(self) -> (u16, u16) {
        ((self.0 >> 16) as u16, (self.0 >> 32) as u16)
    }

    /// The word, if it is one for everything.
    pub(super) fn as_constant(self) -> Option<Bits> {
        let word = self.later();
        (self == Cell::constant(word)).then_some(word)
    }

    /// The depth of a tree in which batches look ahead, 0 of everything else.
    #[inline]
    pub(super) const fn depth_ahead(self) -> u32 {
        if self.is(Kind::Tree4) || self.is(Kind::Tree6) { self.depth() } else { 0 }
    }

    #[allow(clippy::cast_possible_truncation, reason = "three bits")]
    #[inline]
    pub(super) const fn depth(self) -> u32 {
        (self.0 >> 4 & 7) as u32
    }

    #[allow(clippy::cast_possible_truncation, reason = "28 bits")]
    #[inline]
    pub(super) const fn first_line(self) -> usize {
        (self.0 >> 7) as usize & (Cell::TREE_LINES_MAX - 1)
    }

    #[allow(clippy::cast_possible_truncation, reason = "29 bits")]
    #[inline]
    pub(super) const fn first_leaf(self) -> usize {
        (self.0 >> 35) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_decides_at_its_ends() {
        for (first, more, key, inside) in [
            (443, 0, 443, true),
            (443, 0, 442, false),
            (443, 0, 444, false),
            (0, 9, 0, true),
            (0, 9, 10, false),
            (65_535, 0, 65_535, true),
            (65_535, 0, 0, false),
            (1, u16::MAX - 1, 0, false),
        ] {
            let cell = Cell::stretch(first, more, [REFUSED, UNTRACKED], TRACKED);
            let want = if inside { UNTRACKED } else { REFUSED };
            assert_eq!(cell.within(key, false), want, "{first}+{more} {key}");
            assert_eq!(cell.within(key, true), TRACKED);
            assert_eq!(cell.as_constant(), None);
        }
        assert_eq!(Cell::constant(UNTRACKED).as_constant(), Some(UNTRACKED));
    }

    #[test]
    fn one_range_is_known_in_either_form() {
        let all = Cell::constant(TRACKED);
        for (cell, want) in [
            (all, Some((0, ALL_PORTS))),
            (Cell::REFUSED, Some((0, 0))),
            (Cell::constant(UNTRACKED), None),
            (Cell::stretch(443, 0, [REFUSED, TRACKED], REFUSED), Some((443, 1))),
            (Cell::stretch(10, u16::MAX - 10, [TRACKED, REFUSED], REFUSED), Some((0, 10))),
            (Cell::stretch(10, 5, [TRACKED, REFUSED], REFUSED), None),
            (Cell::stretch(443, 0, [REFUSED, TRACKED], TRACKED), None),
            (Cell::stretch(443, 0, [REFUSED, UNTRACKED], REFUSED), None),
            (Cell::stretch(1, u16::MAX - 1, [REFUSED, TRACKED], REFUSED), None),
            (Cell::stretch(2, u16::MAX - 2, [REFUSED, TRACKED], REFUSED), Some((2, 65_534))),
            (Cell::stretch(0, 0, [TRACKED; 2], REFUSED), None),
            (Cell::line(0, REFUSED), None),
        ] {
            assert_eq!(cell.as_range(), want, "{cell:?}");
        }
    }

    #[test]
    fn fields_do_not_touch_one_another() {
        let tree = Cell::tree(Kind::Wide6, 6, Cell::TREE_LINES_MAX - 1, 5);
        assert_eq!((tree.kind(), tree.depth()), (Kind::Wide6, 6));
        assert_eq!((tree.first_line(), tree.first_leaf()), (Cell::TREE_LINES_MAX - 1, 5));
        let tree = Cell::tree(Kind::Tree4, 0, 7, Cell::TREE_LEAVES_MAX - 1);
        assert_eq!((tree.first_line(), tree.first_leaf()), (7, Cell::TREE_LEAVES_MAX - 1));
        let small = Cell::small(9);
        assert_eq!((small.kind(), small.row()), (Kind::Small, 9));
        let paged = Cell::paged(u32::MAX, UNTRACKED).by_source();
        assert_eq!((paged.kind(), paged.flag(), paged.later()), (Kind::Paged, true, UNTRACKED));
        assert_eq!(paged.row(), 0xffff_ffff);
    }
}
