//! From strokes to cells: which word lies on top, at every address and key.
//!
//! Holds the sweep over addresses and the painting of keys. Refuses to know what a stroke comes
//! from: see [`super::rules`].

use super::arena::{Arena, Indexed};
use super::cell::{Bits, Cell, REFUSED};
use super::keys::{Keys, Written};

/// A stretch of keys and the word they get; later fragments have no key and are in or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) later: bool,
    pub(super) word: Bits,
}

impl Mark {
    fn is_full(&self) -> bool {
        self.later && self.first == 0 && self.last == u16::MAX
    }
}

/// A mark on a block of addresses. Blocks of any two strokes are nested or disjoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stroke<A> {
    pub(super) first: A,
    pub(super) last: A,
    pub(super) mark: Mark,
}

impl<A: Indexed> Stroke<A> {
    /// A mark on every address.
    pub(super) fn everywhere(mark: Mark) -> Stroke<A> {
        Stroke { first: A::LOWEST, last: A::HIGHEST, mark }
    }

    pub(super) fn is_everywhere(&self) -> bool {
        self.first == A::LOWEST && self.last == A::HIGHEST
    }

    pub(super) fn covers(&self, far: A, key: u16, is_later: bool) -> bool {
        let Mark { first, last, later, .. } = self.mark;
        let by_key = if is_later { later } else { first <= key && key <= last };
        by_key && self.first <= far && far <= self.last
    }
}

/// How much the stretches of one decision may cost, counted in strokes of each stretch. Beyond it
/// the strokes are searched instead, because rules could be thought of that take the square of their
/// number in time and space. 1,000 rules stay below while no more than some hundred blocks lie in one
/// another; those of a group for all addresses do not count.
const WORK_MAX: usize = 1 << 18;

/// Strokes that lie over one another at one address, and where the next stretch begins.
#[derive(Debug)]
struct Sweep<'a, A> {
    strokes: &'a [Stroke<A>],
    open: Vec<u32>,
    /// The same in order of priority, while a stretch is painted.
    over: Vec<u32>,
    from: A,
    starts: Vec<A>,
    cells: Vec<Cell>,
    marks: Vec<Mark>,
    work: usize,
}

/// The painter and what it reuses from one decision to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Painter {
    points: Vec<u32>,
    written: Written,
    marks: Vec<Mark>,
    order: Vec<u32>,
}

impl Painter {
    /// The cell of these strokes, of which later ones lie over earlier ones, and of the marks above
    /// all of them at every address; where there is none, everything is refused. Where two words
    /// meet in a stroke and above, the one above counts unless it refuses. Linear in the strokes
    /// apart from sorting, as long as few lie over one another.
    ///
    /// Marks above cost no stroke of every stretch, which is why they are apart.
    pub(super) fn paint<A: Indexed>(
        &mut self,
        arena: &mut Arena,
        strokes: &[Stroke<A>],
        above: &[Mark],
    ) -> Cell {
        let on_top = self.keys_cell(&mut arena.keys, above);
        if strokes.is_empty() || on_top.as_constant().is_some_and(|word| word != REFUSED) {
            return on_top;
        }
        if above.is_empty() && strokes.iter().all(Stroke::is_everywhere) {
            let mut marks = std::mem::take(&mut self.marks);
            marks.clear();
            marks.extend(strokes.iter().map(|stroke| stroke.mark));
            let cell = self.keys_cell(&mut arena.keys, &marks);
            self.marks = marks;
            return cell;
        }
        let painted =
            self.sweep(&mut arena.keys, strokes, on_top).and_then(|(starts, cells)| {
                match (&starts[..], &cells[..]) {
                    ([_], [Cell::REFUSED, cell]) => Some(*cell),
                    (starts, cells) => arena.tree(&starts[1..], cells),
                }
            });
        painted.unwrap_or_else(|| {
            let above = above.iter().rev().map(|mark| Stroke::everywhere(*mark));
            arena.scanned(above.chain(strokes.iter().rev().copied()).collect())
        })
    }

    /// Where stretches start, and `on_top` and what holds in them; neighbours differ.
    fn sweep<A: Indexed>(
        &mut self,
        keys: &mut Keys,
        strokes: &[Stroke<A>],
        on_top: Cell,
    ) -> Option<(Vec<A>, Vec<Cell>)> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend((0_u32..).take(strokes.len()));
        // Outer blocks before the inner ones that start at the same address.
        let ends = |at: &u32| &strokes[*at as usize];
        order.sort_unstable_by(|a, b| {
            let (a, b) = (ends(a), ends(b));
            a.first.cmp(&b.first).then(b.last.cmp(&a.last))
        });
        let mut sweep = Sweep {
            strokes,
            open: Vec::new(),
            over: Vec::new(),
            from: A::LOWEST,
            starts: Vec::with_capacity(2 * strokes.len() + 1),
            cells: Vec::with_capacity(2 * strokes.len() + 2),
            marks: std::mem::take(&mut self.marks),
            work: 0,
        };
        sweep.cells.push(on_top);
        for at in &order {
            let first = strokes[*at as usize].first;
            sweep.close_before(Some(first), self, keys);
            sweep.go_to(first, self, keys);
            sweep.open.push(*at);
            if sweep.work > WORK_MAX {
                break;
            }
        }
        sweep.close_before(None, self, keys);
        sweep.end_stretch(self, keys);
        self.order = order;
        self.marks = sweep.marks;
        (sweep.work <= WORK_MAX).then_some((sweep.starts, sweep.cells))
    }

    /// The cell of marks on all addresses, of which later ones lie over earlier ones.
    pub(super) fn keys_cell(&mut self, keys: &mut Keys, marks: &[Mark]) -> Cell {
        let on_top = marks.iter().rposition(Mark::is_full).unwrap_or(0);
        let marks = &marks[on_top..];
        match marks {
            [] => return Cell::REFUSED,
            [mark] if mark.is_full() => return Cell::constant(mark.word),
            _ => {}
        }
        self.points.clear();
        self.points.push(0);
        for mark in marks {
            self.points.extend([u32::from(mark.first), u32::from(mark.last) + 1]);
        }
        self.points.sort_unstable();
        self.points.dedup();
        self.points.pop_if(|point| *point > u32::from(u16::MAX));
        let Written { starts, words, later } = &mut self.written;
        words.clear();
        words.resize(self.points.len(), REFUSED);
        for mark in marks {
            let at = |key: u32| self.points.partition_point(|point| *point < key);
            words[at(mark.first.into())..at(u32::from(mark.last) + 1)].fill(mark.word);
        }
        *later = marks.iter().rev().find(|mark| mark.later).map_or(REFUSED, |mark| mark.word);
        starts.clear();
        let mut kept = 0;
        for (at, point) in self.points.iter().enumerate() {
            if kept > 0 && words[kept - 1] == words[at] {
                continue;
            }
            words[kept] = words[at];
            kept += 1;
            // The only point above was taken away.
            starts.push(u16::try_from(*point).unwrap_or(u16::MAX));
        }
        words.truncate(kept);
        keys.cell(&self.written)
    }
}

impl<A: Indexed> Sweep<'_, A> {
    /// Ends every open stroke that lies wholly before `limit`, the innermost first.
    fn close_before(&mut self, limit: Option<A>, painter: &mut Painter, keys: &mut Keys) {
        while let Some(at) = self.open.last() {
            let last = self.strokes[*at as usize].last;
            if limit.is_some_and(|limit| last >= limit) {
                return;
            }
            // What ends with the address space stays open: it is in the last stretch.
            let Some(behind) = last.next() else { return };
            self.go_to(behind, painter, keys);
            self.open.pop();
        }
    }

    /// The next stretch starts at `at`, with other strokes.
    fn go_to(&mut self, at: A, painter: &mut Painter, keys: &mut Keys) {
        if self.from < at {
            self.end_stretch(painter, keys);
            self.from = at;
        }
    }

    fn end_stretch(&mut self, painter: &mut Painter, keys: &mut Keys) {
        self.work += self.open.len();
        if self.work > WORK_MAX {
            return;
        }
        self.marks.clear();
        self.over.clear();
        self.over.extend_from_slice(&self.open);
        self.over.sort_unstable();
        self.marks.extend(self.over.iter().map(|at| self.strokes[*at as usize].mark));
        let cell = painter.keys_cell(keys, &self.marks);
        if self.starts.is_empty() || self.cells.last() != Some(&cell) {
            self.starts.push(self.from);
            self.cells.push(cell);
        }
    }
}
