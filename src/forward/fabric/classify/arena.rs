//! Where decisions stand that do not fit into a cell, and how a cell is followed to its word.
//!
//! Holds trees, keys, members and the interning of all of them. Refuses to know rules: those are
//! turned into strokes in [`super::rules`], and strokes into cells in [`super::paint`].

use super::cell::{Bits, Cell, Kind, REFUSED, TRACKED};
use super::intern::{Interned, hash_of};
use super::keys::Keys;
use super::members::{GroupRow, Members};
use super::paint::Stroke;
use super::probe::{Address, Probe};
use super::small::Smalls;
use super::tree::Trees;
use crate::cloud::filter::Direction;
use crate::forward::gate::Origin;

/// What rules that name a group allow its members. A run of these is a decision: the first says in
/// `cell` what the rules without groups do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Named {
    group: Option<GroupRow>,
    is_last: bool,
    cell: Cell,
}

/// The decisions.
#[derive(Clone, Debug, Default)]
pub(super) struct Arena {
    pub(super) keys: Keys,
    pub(super) members: Members,
    small: Smalls,
    trees4: Trees<i32, 16>,
    trees6: Trees<u64, 8>,
    wide6: Trees<u128, 4>,
    leaves: Vec<Cell>,
    /// Every tree, and how many cells stand with its leaves.
    trees: Vec<(Cell, usize)>,
    known_trees: [Interned; 2],
    named: Vec<Named>,
    known_named: Interned,
    scans4: Vec<Box<[Stroke<u32>]>>,
    scans6: Vec<Box<[Stroke<u128>]>>,
}

/// An address that decisions can be built over and looked up by.
pub(super) trait Indexed: Address {
    /// The number of families before its own.
    const ROW: usize;
    const LOWEST: Self;
    const HIGHEST: Self;
    /// The next higher address, if there is one.
    fn next(self) -> Option<Self>;
    /// The next lower address; the lowest has none and stays.
    fn before(self) -> Self;
    /// Which stretch of a tree of its family it lies in.
    fn stretch(self, arena: &Arena, tree: Cell) -> usize;
    /// Loads the line below the first one of a tree that has one; the number is of no meaning.
    fn load_child(self, arena: &Arena, tree: Cell) -> usize;
    /// The decision as a small one, if it is.
    fn small(arena: &mut Arena, starts: &[Self], cells: &[Cell]) -> Option<Cell>;
    /// The word of a small decision.
    fn say_small(self, arena: &Arena, small: Cell, key: u16, is_later: bool) -> Bits;
    /// Adds the lines of a tree over these starts of stretches, which are sorted and above the
    /// lowest address: its kind, its first line and its depth.
    fn add_lines(arena: &mut Arena, starts: &[Self]) -> Option<(Kind, usize, u32)>;
    fn is_member(self, arena: &Arena, group: GroupRow) -> bool;
    fn scans(arena: &mut Arena) -> &mut Vec<Box<[Stroke<Self>]>>;
    fn scan(arena: &Arena, row: usize) -> &[Stroke<Self>];
}

impl Indexed for u32 {
    const ROW: usize = 0;
    const LOWEST: u32 = 0;
    const HIGHEST: u32 = u32::MAX;

    fn next(self) -> Option<u32> {
        self.checked_add(1)
    }

    fn before(self) -> u32 {
        self.saturating_sub(1)
    }

    #[inline]
    fn load_child(self, arena: &Arena, tree: Cell) -> usize {
        arena.trees4.load_child(tree.first_line(), signed(self))
    }

    #[inline]
    fn stretch(self, arena: &Arena, tree: Cell) -> usize {
        arena.trees4.stretch(tree.first_line(), tree.depth(), signed(self))
    }

    fn small(arena: &mut Arena, starts: &[u32], cells: &[Cell]) -> Option<Cell> {
        arena.small.cell(starts.iter().map(|start| signed(start.before())), cells)
    }

    #[inline]
    fn say_small(self, arena: &Arena, small: Cell, key: u16, is_later: bool) -> Bits {
        arena.small.say(small, signed(self), key, is_later)
    }

    fn add_lines(arena: &mut Arena, starts: &[u32]) -> Option<(Kind, usize, u32)> {
        let first = arena.trees4.len();
        let before: Vec<i32> = starts.iter().map(|start| signed(start.before())).collect();
        Some((Kind::Tree4, first, arena.trees4.push(&before)?))
    }

    #[inline]
    fn is_member(self, arena: &Arena, group: GroupRow) -> bool {
        arena.members.holds_v4(group, self)
    }

    fn scans(arena: &mut Arena) -> &mut Vec<Box<[Stroke<u32>]>> {
        &mut arena.scans4
    }

    fn scan(arena: &Arena, row: usize) -> &[Stroke<u32>] {
        arena.scans4.get(row).map_or(&[], |strokes| strokes)
    }
}

impl Indexed for u128 {
    const ROW: usize = 1;
    const LOWEST: u128 = 0;
    const HIGHEST: u128 = u128::MAX;

    fn next(self) -> Option<u128> {
        self.checked_add(1)
    }

    fn before(self) -> u128 {
        self.saturating_sub(1)
    }

    #[inline]
    fn load_child(self, arena: &Arena, tree: Cell) -> usize {
        arena.trees6.load_child(tree.first_line(), upper(self))
    }

    #[inline]
    fn stretch(self, arena: &Arena, tree: Cell) -> usize {
        let (first, depth) = (tree.first_line(), tree.depth());
        match tree.kind() {
            Kind::Tree6 => arena.trees6.stretch(first, depth, upper(self)),
            _ => arena.wide6.stretch(first, depth, self),
        }
    }

    fn small(_: &mut Arena, _: &[u128], _: &[Cell]) -> Option<Cell> {
        None
    }

    fn say_small(self, _: &Arena, _: Cell, _: u16, _: bool) -> Bits {
        REFUSED
    }

    /// Where no block is longer than a /64, half of the address decides.
    fn add_lines(arena: &mut Arena, starts: &[u128]) -> Option<(Kind, usize, u32)> {
        if starts.iter().all(|start| start << 64 == 0) {
            let first = arena.trees6.len();
            let before: Vec<u64> = starts.iter().map(|start| upper(start.before())).collect();
            return Some((Kind::Tree6, first, arena.trees6.push(&before)?));
        }
        let first = arena.wide6.len();
        let before: Vec<u128> = starts.iter().map(|start| start.before()).collect();
        Some((Kind::Wide6, first, arena.wide6.push(&before)?))
    }

    #[inline]
    fn is_member(self, arena: &Arena, group: GroupRow) -> bool {
        arena.members.holds_v6(group, self)
    }

    fn scans(arena: &mut Arena) -> &mut Vec<Box<[Stroke<u128>]>> {
        &mut arena.scans6
    }

    fn scan(arena: &Arena, row: usize) -> &[Stroke<u128>] {
        arena.scans6.get(row).map_or(&[], |strokes| strokes)
    }
}

/// In the order of the unsigned number, for vectors that compare signed ones.
const fn signed(x: u32) -> i32 {
    (x ^ 1 << 31).cast_signed()
}

/// The upper half of an address.
#[allow(clippy::cast_possible_truncation, reason = "shifted into the lower half")]
const fn upper(x: u128) -> u64 {
    (x >> 64) as u64
}

impl Arena {
    /// Forgets all decisions; members stay.
    pub(super) fn clear(&mut self) {
        let members = std::mem::take(&mut self.members);
        *self = Arena { members, ..Arena::default() };
    }

    /// Bytes of the decisions and members, without what only the compiler uses.
    pub(super) fn bytes(&self) -> usize {
        fn scans<A>(all: &[Box<[Stroke<A>]>]) -> usize {
            all.iter().map(|strokes| size_of_val(&**strokes)).sum()
        }
        self.keys.bytes()
            + self.members.bytes()
            + self.small.bytes()
            + self.trees4.bytes()
            + self.trees6.bytes()
            + self.wide6.bytes()
            + self.leaves.capacity() * size_of::<Cell>()
            + self.named.capacity() * size_of::<Named>()
            + scans(&self.scans4)
            + scans(&self.scans6)
    }

    /// How much has been added since it was empty, in cells and lines.
    pub(super) fn len(&self) -> usize {
        self.leaves.len() + self.named.len() + self.small.len() + self.trees4.len()
    }

    /// The decision of `cells[0]`, and where that refuses, of `cells[1]` up to `starts[0]` and so on.
    /// All are cells for keys. Equal decisions get equal cells. `None` if it does not fit, see
    /// [`Trees::push`].
    pub(super) fn tree<A: Indexed>(&mut self, starts: &[A], cells: &[Cell]) -> Option<Cell> {
        if let Some(small) = A::small(self, starts, cells) {
            return Some(small);
        }
        let hash = hash_of(&(starts, cells));
        let known = self.known_trees[A::ROW].find(hash, |row| self.is_tree(row, starts, cells));
        let vacant = match known {
            Ok(row) => return self.trees.get(row as usize).map(|(cell, _)| *cell),
            Err(vacant) => vacant,
        };
        let (kind, line, depth) = A::add_lines(self, starts)?;
        let leaf = self.leaves.len();
        if line >= Cell::TREE_LINES_MAX || leaf >= Cell::TREE_LEAVES_MAX {
            return None;
        }
        self.leaves.extend_from_slice(cells);
        let cell = Cell::tree(kind, depth, line, leaf);
        self.trees.push((cell, cells.len()));
        self.known_trees[A::ROW].add(vacant, self.trees.len() - 1);
        Some(cell)
    }

    /// Is the tree in this row the same? Its boundaries are looked for where they should be.
    fn is_tree<A: Indexed>(&self, row: usize, starts: &[A], cells: &[Cell]) -> bool {
        let Some((tree, count)) = self.trees.get(row).copied() else { return false };
        let leaves = self.leaves.get(tree.first_leaf()..).and_then(|rest| rest.get(..count));
        leaves == Some(cells)
            && starts.iter().enumerate().all(|(at, start)| {
                start.before().stretch(self, tree) == at && start.stretch(self, tree) == at + 1
            })
    }

    /// The decision of `base`, but where it refuses, members of these groups are judged by the cell
    /// beside their group. Equal decisions get equal cells if the groups come in order.
    pub(super) fn named(&mut self, base: Cell, groups: &[(GroupRow, Cell)]) -> Cell {
        match (base.as_constant(), groups) {
            (Some(word), _) if word != REFUSED => return base,
            (_, []) => return base,
            (Some(_), [(group, cell)]) if cell.as_constant() == Some(TRACKED) => {
                return Cell::group(group.0);
            }
            _ => {}
        }
        let mut run = vec![Named { group: None, is_last: false, cell: base }];
        run.extend(groups.iter().enumerate().map(|(at, (group, cell))| Named {
            group: Some(*group),
            is_last: at + 1 == groups.len(),
            cell: *cell,
        }));
        let is_it = |row: usize| {
            self.named.get(row..).and_then(|rest| rest.get(..run.len())) == Some(&run[..])
        };
        let row = self.known_named.find(hash_of(&run), is_it).unwrap_or_else(|vacant| {
            self.named.extend_from_slice(&run);
            self.known_named.add(vacant, self.named.len() - run.len())
        });
        Cell::members(row)
    }

    /// The decision of the first stroke that covers a probe; strokes come with the last one first.
    pub(super) fn scanned<A: Indexed>(&mut self, strokes: Box<[Stroke<A>]>) -> Cell {
        let scans = A::scans(self);
        scans.push(strokes);
        // A list each: memory ends first.
        Cell::scan(u32::try_from(scans.len() - 1).unwrap_or(u32::MAX))
    }

    /// Loads the lines that a cell leads to, as far as the packet plays no part; the number is of no
    /// meaning.
    #[inline]
    pub(super) fn load(&self, cell: Cell) -> usize {
        let leaf = || self.leaves.get(cell.first_leaf()).map_or(0, |leaf| leaf.row());
        match cell.kind() {
            Kind::Small => self.small.load(cell),
            Kind::Tree4 => self.trees4.load(cell.first_line()) ^ leaf(),
            Kind::Tree6 => self.trees6.load(cell.first_line()) ^ leaf(),
            Kind::Wide6 => self.wide6.load(cell.first_line()) ^ leaf(),
            Kind::Members if cell.flag() => self.members.load(GroupRow(cell.row32())),
            _ => 0,
        }
    }

    /// The word of a cell.
    pub(super) fn say<A: Indexed>(
        &self,
        cell: Cell,
        direction: Direction,
        probe: &Probe<A>,
        origin: Origin,
    ) -> Bits {
        match cell.kind() {
            Kind::Stretch | Kind::Line | Kind::Paged => {
                self.keys.say(cell, probe.key_for(cell), probe.is_later)
            }
            Kind::Small => probe.far(direction).say_small(self, cell, probe.key, probe.is_later),
            Kind::Tree4 | Kind::Tree6 | Kind::Wide6 => {
                self.say_by_address(cell, probe.far(direction), probe)
            }
            Kind::Members if cell.flag() => {
                let group = GroupRow(cell.row32());
                let is_member =
                    origin == Origin::Own && probe.far(direction).is_member(self, group);
                if is_member { TRACKED } else { REFUSED }
            }
            Kind::Members => self.say_named(cell, direction, probe, origin),
            Kind::Scan => {
                let far = probe.far(direction);
                let strokes = A::scan(self, cell.row());
                let covers = |stroke: &&Stroke<A>| stroke.covers(far, probe.key, probe.is_later);
                strokes.iter().find(covers).map_or(REFUSED, |stroke| stroke.mark.word)
            }
        }
    }
    #[inline]
    fn say_by_address<A: Indexed>(&self, tree: Cell, far: A, probe: &Probe<A>) -> Bits {
        let [above, cell] = self.leaves(tree, far.stretch(self, tree));
        let word = self.keys.say(cell, probe.key, probe.is_later);
        match self.keys.say(above, probe.key, probe.is_later) {
            REFUSED => word,
            above => above,
        }
    }

    /// The cell above all stretches of a tree, and that of one stretch.
    #[inline]
    pub(super) fn leaves(&self, tree: Cell, stretch: usize) -> [Cell; 2] {
        let first = tree.first_leaf();
        [first, first + 1 + stretch]
            .map(|leaf| self.leaves.get(leaf).copied().unwrap_or(Cell::REFUSED))
    }

    fn say_named<A: Indexed>(
        &self,
        cell: Cell,
        direction: Direction,
        probe: &Probe<A>,
        origin: Origin,
    ) -> Bits {
        let far = probe.far(direction);
        for named in self.named.iter().skip(cell.row()) {
            let word = match named.group {
                // The base is of another kind, so this goes no deeper.
                None => self.say(named.cell, direction, probe, origin),
                Some(group) if origin == Origin::Own => {
                    let word = self.keys.say(named.cell, probe.key, probe.is_later);
                    if word != REFUSED && far.is_member(self, group) { word } else { REFUSED }
                }
                Some(_) => REFUSED,
            };
            if word != REFUSED || named.is_last {
                return word;
            }
        }
        REFUSED
    }
}
