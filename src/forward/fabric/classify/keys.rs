//! Decisions by a 16-bit key: a port, an ICMP type and code, a protocol.
//!
//! Holds the lines and pages of those that do not fit into a cell. Refuses to know addresses.

use rustc_hash::FxHashMap;

use super::cell::{Bits, Cell, Kind};
use super::intern::{Interned, hash_of};

/// Boundaries that a line has room for.
const LINE_BOUNDARIES: usize = 24;

/// A decision with few boundaries, in a line of the cache. As in [`super::tree`] a boundary stands as
/// the last key before it; signed, because that is how vectors of 16 bits are compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(align(64))]
struct Line {
    boundaries: [i16; LINE_BOUNDARIES],
    /// Two bits for each stretch, from the lowest.
    words: u64,
}

const _: () = assert!(size_of::<Line>() == 64);

const fn ordered(key: u16) -> i16 {
    (key ^ 0x8000).cast_signed()
}

/// The words of 256 keys, two bits each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(align(64))]
struct Page([u64; 8]);

/// Where the keys of one upper byte each have their page. Any number of boundaries costs two lines.
type Table = [u32; 256];

/// A decision written out: `words[i]` from `starts[i]` on, `starts` ascending from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pub(super) starts: Vec<u16>,
    pub(super) words: Vec<Bits>,
    pub(super) later: Bits,
}

/// All decisions that do not fit into their cells, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    lines: Vec<Line>,
    tables: Vec<Table>,
    pages: Vec<Page>,
    known_lines: Interned,
    known_tables: Interned,
    known_pages: FxHashMap<[u64; 8], u32>,
}

impl Keys {
    pub(super) fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
            + self.tables.capacity() * size_of::<Table>()
            + self.pages.capacity() * size_of::<Page>()
    }

    /// The cell of a decision. Neighbours have different words; equal decisions get equal cells.
    pub(super) fn cell(&mut self, written: &Written) -> Cell {
        let Written { starts, words, later } = written;
        let [.., last] = words[..] else { return Cell::REFUSED };
        match (&starts[..], &words[..]) {
            ([_], [all]) if all == later => Cell::constant(*all),
            ([_], [all]) => Cell::stretch(0, 0, [*all; 2], *later),
            ([_, start], [before, _]) => {
                Cell::stretch(*start, u16::MAX - start, [*before, last], *later)
            }
            ([_, start, end], [before, inside, after]) if before == after => {
                Cell::stretch(*start, end - start - 1, [*before, *inside], *later)
            }
            _ if starts.len() - 1 <= LINE_BOUNDARIES => self.line(written),
            _ => self.paged(written),
        }
    }

    fn line(&mut self, written: &Written) -> Cell {
        let mut line = Line { boundaries: [i16::MAX; LINE_BOUNDARIES], words: 0 };
        for (at, start) in line.boundaries.iter_mut().zip(&written.starts[1..]) {
            *at = ordered(start - 1);
        }
        for word in written.words.iter().rev() {
            line.words = line.words << 2 | u64::from(*word);
        }
        let known = self.known_lines.find(hash_of(&line), |row| self.lines.get(row) == Some(&line));
        let row = known.unwrap_or_else(|vacant| {
            self.lines.push(line);
            self.known_lines.add(vacant, self.lines.len() - 1)
        });
        Cell::line(row, written.later)
    }

    fn paged(&mut self, written: &Written) -> Cell {
        let mut table: Table = [0; 256];
        let mut at = 0;
        for (high, entry) in (0_u16..256).zip(&mut table) {
            let mut page = [0; 8];
            let (mut from, end) = (u32::from(high) << 8, (u32::from(high) + 1) << 8);
            while from < end {
                let next = written.starts.get(at + 1).map_or(1 << 16, |start| u32::from(*start));
                let word = written.words.get(at).copied().unwrap_or_default();
                fill(&mut page, (from & 0xff)..(from & 0xff) + next.min(end) - from, word);
                at += usize::from(next <= end);
                from = next.min(end);
            }
            *entry = *self.known_pages.entry(page).or_insert_with(|| {
                self.pages.push(Page(page));
                // 256 pages of 64 bytes for each table at most: memory ends first.
                u32::try_from(self.pages.len() - 1).unwrap_or(u32::MAX)
            });
        }
        let known =
            self.known_tables.find(hash_of(&table), |row| self.tables.get(row) == Some(&table));
        let row = known.unwrap_or_else(|vacant| {
            self.tables.push(table);
            self.known_tables.add(vacant, self.tables.len() - 1)
        });
        Cell::paged(row, written.later)
    }

    /// What a cell of the first three kinds says.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "two bits")]
    pub(super) fn say(&self, cell: Cell, key: u16, is_later: bool) -> Bits {
        match cell.kind() {
            Kind::Stretch => cell.within(key, is_later),
            _ if is_later => cell.later(),
            Kind::Line => self.lines.get(cell.row()).map_or(0, |line| line.say(key)),
            Kind::Paged => {
                let page = self.tables.get(cell.row()).map_or(0, |t| t[usize::from(key >> 8)]);
                let Some(Page(words)) = self.pages.get(page as usize) else { return 0 };
                let low = key & 0xff;
                (words[usize::from(low / 32)] >> (low % 32 * 2) & 3) as Bits
            }
            _ => 0,
        }
    }
}

/// Gives a stretch of a page's keys, which have no word yet, this one.
fn fill(page: &mut [u64; 8], keys: std::ops::Range<u32>, word: Bits) {
    let pattern = 0x5555_5555_5555_5555 * u64::from(word);
    for (part, first) in page.iter_mut().zip((0_u32..).step_by(32)) {
        let below = |key: u32| match key.saturating_sub(first) {
            32.. => u64::MAX,
            keys => (1 << (2 * keys)) - 1,
        };
        *part |= pattern & below(keys.end) & !below(keys.start);
    }
}

impl Line {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "two bits")]
    fn say(&self, key: u16) -> Bits {
        let key = ordered(key);
        // Counted twice, see `tree::count_below`.
        let twice = self.boundaries.iter().map(|b| if *b < key { 0x101_u16 } else { 0 });
        let before = twice.sum::<u16>() & 0xff;
        (self.words >> (2 * before) & 3) as Bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_says_what_was_written() {
        let mut keys = Keys::default();
        for (starts, want) in [
            (vec![0], Kind::Stretch),
            (vec![0, 1], Kind::Stretch),
            (vec![0, 65_535], Kind::Stretch),
            (vec![0, 443, 444], Kind::Stretch),
            (vec![0, 443, 444, 500], Kind::Line),
            ((0..25).map(|n| n * 2_000).collect(), Kind::Line),
            ((0..25).map(|n| 65_511 + n).collect(), Kind::Line),
            ((0..26).map(|n| n * 2_000).collect(), Kind::Paged),
            ((0..=65_535).collect(), Kind::Paged),
        ] {
            let mut starts: Vec<u16> = starts;
            starts[0] = 0;
            let words: Vec<Bits> = [1, 2].into_iter().cycle().take(starts.len()).collect();
            let written = Written { starts, words, later: 2 };
            let cell = keys.cell(&written);
            assert_eq!(cell.kind(), want, "{:?}", written.starts);
            assert_eq!(keys.cell(&written), cell);
            for key in 0..=65_535 {
                let at = written.starts.partition_point(|start| *start <= key) - 1;
                assert_eq!(keys.say(cell, key, false), written.words[at], "{key}");
            }
            assert_eq!(keys.say(cell, 7, true), 2);
        }
    }

    #[test]
    fn a_third_word_in_the_middle_is_no_stretch() {
        let written = Written { starts: vec![0, 5, 9], words: vec![1, 2, 0], later: 0 };
        let mut keys = Keys::default();
        let cell = keys.cell(&written);
        assert_eq!([4, 5, 8, 9].map(|key| keys.say(cell, key, false)), [1, 2, 2, 0]);
    }
}
