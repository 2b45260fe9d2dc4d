//! Longest-prefix match: all route tables of a network in two flat arrays, one for each family.
//!
//! Holds which code each prefix of each table leads to, and answers with that of the longest prefix
//! that covers an address. Tables are many and small in a cloud, and one may be very large, so the
//! layout of each half of a table follows its size:
//!
//! | routes in the half | layout | lines of the cache that a search reads |
//! |---|---|---|
//! | 1..=8 | a leaf: keys and codes side by side, all keys compared | table, leaf |
//! | 9..=16 | a leaf of a line of keys and a line of codes | table, keys, codes |
//! | more | a node: slots by the next bits in which they differ, a leaf or a node below each | table, node, slot, leaf |
//!
//! (IPv6 keys are four times as long, and so are their leaves.) Unlike a forwarding table of ranges,
//! every prefix stands in it as itself and only once, so a removal has the next shorter one at
//! hand, and a change touches one leaf, or as many slots of one node as the prefix covers.
//!
//! Two things make a look-up of a warm table cost 4 ns instead of 13. As long as all tables together
//! stay in a near cache, a node has a slot or two for each route, at 30 bytes a route instead of 13, so
//! that the leaves below have few keys. And places are followed without checks: every place that
//! stands in a head or a slot is one of the arena's blocks. (With checks, a look-up among 1,000 routes
//! takes 6.3 ns.)
//!
//! Refuses to know what a code stands for. Time and bytes: `cargo bench --bench lpm`.

mod address;
mod arena;
mod leaf;
mod node;
mod search;
#[cfg(test)]
mod tests;
mod trie;

use std::hint::select_unpredictable;
use std::num::NonZeroU32;

use ipnet::IpNet;

use self::arena::{Arena, Unit};
use self::leaf::Route;
use self::node::{Below, Node, Place, UNITS_MAX};
use self::search::Search;
use super::prefetch;
use crate::base::id::TableIdx;

/// Routes of one table and family (ours): as many as can be built anew without running out of places.
pub const ROUTES_PER_TABLE_MAX: usize = 1 << 22;
/// Tables (ours): 256 MiB of them.
pub const TABLES_MAX: usize = 1 << 24;
/// Units that a family has in use when another route is let in: 2 GiB. A change takes at most as
/// much again, when it builds a whole table anew: each level of nodes costs less than 8 bytes a
/// route, and IPv6 has at most 42 levels of three bits.
const UNITS_USED_MAX: Unit = UNITS_MAX / 2;
const _: () = assert!(ROUTES_PER_TABLE_MAX * (40 + 42 * 8) < UNITS_USED_MAX as usize * 16);
/// Searches under way at the same time in a batch. 64 hide a miss of the last cache; more would have
/// their lines pushed out before they are read.
const GROUP: usize = 64;

/// What a route leads to: a number that means something to whoever built the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Code(NonZeroU32);

impl Code {
    /// The largest number.
    pub const MAX: u32 = u32::MAX - 1;

    /// The code with this number; `None` above [`Code::MAX`].
    #[inline]
    pub const fn new(number: u32) -> Option<Code> {
        match NonZeroU32::new(number.wrapping_add(1)) {
            Some(raw) => Some(Code(raw)),
            None => None,
        }
    }

    /// Its number, 0..=[`Code::MAX`].
    #[inline]
    pub const fn number(self) -> u32 {
        self.0.get() - 1
    }

    /// As it stands in leaves and slots, where 0 is no code.
    #[inline(always)]
    fn from_raw(raw: u32) -> Option<Code> {
        NonZeroU32::new(raw).map(Code)
    }
}

/// Why a route was not taken; nothing changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Full {
    /// The table's row is [`TABLES_MAX`] or above.
    #[error("more than {TABLES_MAX} route tables")]
    Tables,
    /// The table has [`ROUTES_PER_TABLE_MAX`] routes of this family.
    #[error("more than {ROUTES_PER_TABLE_MAX} routes in one table")]
    Routes,
    /// All tables of the family together have reached 2 GiB.
    #[error("more than 2 GiB of routes")]
    Bytes,
}

/// All route tables of a network.
#[derive(Clone, Default, Debug)]
pub struct Tables {
    v4: Family,
    v6: Family,
}

/// One table of one family: a quarter of a line.
#[derive(Clone, Copy, Default, Debug)]
#[repr(align(16))]
struct Head {
    /// What the lower and the upper half of all addresses have.
    halves: [Place; 2],
    /// The code of the route of no bits, 0 for none.
    default: u32,
    /// Routes, the one of no bits included.
    routes: u32,
}

/// All tables of one family, by row.
#[derive(Clone, Default, Debug)]
struct Family {
    heads: Vec<Head>,
    arena: Arena,
}

impl Tables {
    /// The tables with these routes. Of two routes of one table with the same prefix the later wins,
    /// and so does the later of two tables with the same row. A row that is not named is an empty
    /// table. Time n log n in the routes of a table.
    ///
    /// # Errors
    /// [`Full`], as [`Tables::insert`].
    pub fn build<R>(tables: impl IntoIterator<Item = (TableIdx, R)>) -> Result<Tables, Full>
    where
        R: IntoIterator<Item = (IpNet, Code)>,
    {
        let mut out = Tables::default();
        let mut lists = (Vec::new(), Vec::new());
        for (table, routes) in tables {
            out.fill(table, routes, &mut lists)?;
        }
        for family in [&mut out.v4, &mut out.v6] {
            family.heads.shrink_to_fit();
            family.arena.shrink();
        }
        Ok(out)
    }

    /// Gives the table these routes instead of those it had. Of two routes with the same prefix the
    /// later wins. Time n log n.
    ///
    /// # Errors
    /// [`Full`], as [`Tables::insert`].
    pub fn set(
        &mut self,
        table: TableIdx,
        routes: impl IntoIterator<Item = (IpNet, Code)>,
    ) -> Result<(), Full> {
        self.fill(table, routes, &mut (Vec::new(), Vec::new()))
    }

    /// [`Tables::set`] with lists that are empty before and after.
    fn fill(
        &mut self,
        table: TableIdx,
        routes: impl IntoIterator<Item = (IpNet, Code)>,
        (v4, v6): &mut (Vec<Route<u32>>, Vec<Route<u128>>),
    ) -> Result<(), Full> {
        for (net, Code(code)) in routes {
            let (len, code) = (net.prefix_len().into(), code.get());
            match net.trunc() {
                IpNet::V4(net) => v4.push(Route { net: net.addr().to_bits(), len, code }),
                IpNet::V6(net) => v6.push(Route { net: net.addr().to_bits(), len, code }),
            }
        }
        self.v4.fill(table, v4)?;
        self.v6.fill(table, v6)
    }

    /// The code of the longest prefix of the table that covers the IPv4 address. A table that was
    /// never named has no routes.
    #[inline]
    pub fn get(&self, table: TableIdx, address: u32) -> Option<Code> {
        self.v4.get(table, address)
    }

    /// Likewise for an IPv6 address.
    #[inline]
    pub fn get_v6(&self, table: TableIdx, address: u128) -> Option<Code> {
        self.v6.get(table, address)
    }

    /// [`Tables::get`] for each table and address, as many as the shortest slice has. The searches
    /// wait for memory together, 64 at a time, so that with large tables, or many, this takes a
    /// fraction of the time.
    pub fn get_each(&self, tables: &[TableIdx], addresses: &[u32], codes: &mut [Option<Code>]) {
        self.v4.get_each(tables, addresses, codes);
    }

    /// Likewise for IPv6 addresses.
    pub fn get_each_v6(&self, tables: &[TableIdx], addresses: &[u128], codes: &mut [Option<Code>]) {
        self.v6.get_each(tables, addresses, codes);
    }

    /// Asks for the table's own line, some time before [`Tables::prefetch`].
    #[inline]
    pub fn prefetch_table(&self, table: TableIdx) {
        prefetch::element(&self.v4.heads, table.row());
    }

    /// Likewise for IPv6.
    #[inline]
    pub fn prefetch_table_v6(&self, table: TableIdx) {
        prefetch::element(&self.v6.heads, table.row());
    }

    /// Asks for what a search reads next after the table's own line: the leaf or, of a large table,
    /// the slot. Some time before [`Tables::get`].
    #[inline]
    pub fn prefetch(&self, table: TableIdx, address: u32) {
        self.v4.prefetch(table, address);
    }

    /// Likewise for IPv6.
    #[inline]
    pub fn prefetch_v6(&self, table: TableIdx, address: u128) {
        self.v6.prefetch(table, address);
    }

    /// Gives the prefix this code in the table and returns the one that it had. Host bits of `net`
    /// are ignored. A table that was never named begins here.
    ///
    /// Mostly the rewriting of one leaf; seldom (once in a number of changes proportional to its
    /// routes) a node is built anew.
    ///
    /// # Errors
    /// [`Full`]; nothing has changed.
    pub fn insert(
        &mut self,
        table: TableIdx,
        net: IpNet,
        Code(code): Code,
    ) -> Result<Option<Code>, Full> {
        let (len, code) = (net.prefix_len().into(), code.get());
        match net.trunc() {
            IpNet::V4(net) => self.v4.insert(table, Route { net: net.addr().to_bits(), len, code }),
            IpNet::V6(net) => self.v6.insert(table, Route { net: net.addr().to_bits(), len, code }),
        }
    }

    /// Takes the prefix out of the table and returns the code that it had. The addresses that it
    /// covered have the next shorter prefix from now on. Costs what [`Tables::insert`] does.
    pub fn remove(&mut self, table: TableIdx, net: IpNet) -> Option<Code> {
        let len = net.prefix_len().into();
        match net.trunc() {
            IpNet::V4(net) => self.v4.remove(table, net.addr().to_bits(), len),
            IpNet::V6(net) => self.v6.remove(table, net.addr().to_bits(), len),
        }
    }

    /// Routes of the table, of both families.
    pub fn routes(&self, table: TableIdx) -> usize {
        self.v4.routes(table) + self.v6.routes(table)
    }

    /// Bytes taken from the machine, those in reserve included.
    pub fn bytes(&self) -> usize {
        size_of::<Tables>() + self.v4.bytes() + self.v6.bytes()
    }
}

impl Family {
    /// The table's head, which it gets if it had none.
    fn head(&mut self, table: TableIdx) -> Result<&mut Head, Full> {
        let row = table.row();
        if row >= TABLES_MAX {
            return Err(Full::Tables);
        }
        if row >= self.heads.len() {
            self.heads.resize(row + 1, Head::default());
        }
        Ok(&mut self.heads[row])
    }

    /// Gives the table these routes instead of those it had, and empties the list.
    fn fill<A: Search>(&mut self, table: TableIdx, routes: &mut Vec<Route<A>>) -> Result<(), Full> {
        if routes.len() > ROUTES_PER_TABLE_MAX {
            return Err(Full::Routes);
        }
        if self.arena.used() > UNITS_USED_MAX {
            return Err(Full::Bytes);
        }
        self.head(table)?;
        // The sort is stable, so of equal prefixes the last given is the last.
        routes.sort_by_key(|route| (route.net, route.len));
        routes.dedup_by(|later, kept| {
            let same = (later.net, later.len) == (kept.net, kept.len);
            if same {
                kept.code = later.code;
            }
            same
        });
        let mut head = Head { routes: count(routes.len()), ..Head::default() };
        let without_default = match routes.first() {
            Some(route) if route.len == 0 => {
                head.default = route.code;
                &routes[1..]
            }
            _ => &routes[..],
        };
        let lower = without_default.partition_point(|route| route.net.half() == 0);
        let halves = [&without_default[..lower], &without_default[lower..]];
        let old = self.heads[table.row()];
        for (half, routes) in halves.into_iter().enumerate() {
            trie::free::<A>(&mut self.arena, old.halves[half]);
            head.halves[half] = Place::of(trie::build(&mut self.arena, routes));
        }
        self.heads[table.row()] = head;
        routes.clear();
        Ok(())
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "see `Arena::read`")]
    fn get<A: Search>(&self, table: TableIdx, address: A) -> Option<Code> {
        let head = self.heads.get(table.row())?;
        let place = head.halves[address.half()];
        // SAFETY: a head's places are those of this family in its arena.
        Code::from_raw(unsafe { trie::find(&self.arena, place, head.default, address) })
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "see `Arena::read`")]
    fn prefetch<A: Search>(&self, table: TableIdx, address: A) {
        if let Some(head) = self.heads.get(table.row()) {
            let place = head.halves[address.half()];
            match place.below() {
                Below::Node(at) => {
                    // SAFETY: a head's places are those of this family in its arena.
                    let word = unsafe { Node::seek(&self.arena, at, address) };
                    self.arena.prefetch_word(at, word);
                }
                Below::Nothing | Below::Leaf(_) => trie::prefetch::<A>(&self.arena, place),
            }
        }
    }

    fn get_each<A: Search>(
        &self,
        tables: &[TableIdx],
        addresses: &[A],
        codes: &mut [Option<Code>],
    ) {
        if self.arena.is_small() {
            self.get_each_at_once(tables, addresses, codes);
        } else {
            self.get_each_in_steps(tables, addresses, codes);
        }
    }

    /// One search after the other: what there is to wait for is little, and the processor looks ahead.
    #[inline(never)]
    fn get_each_at_once<A: Search>(
        &self,
        tables: &[TableIdx],
        addresses: &[A],
        codes: &mut [Option<Code>],
    ) {
        for ((code, table), address) in codes.iter_mut().zip(tables).zip(addresses) {
            *code = self.get(*table, *address);
        }
    }

    /// [`GROUP`] searches after another.
    #[inline(never)]
    fn get_each_in_steps<A: Search>(
        &self,
        tables: &[TableIdx],
        addresses: &[A],
        codes: &mut [Option<Code>],
    ) {
        let groups = tables.chunks(GROUP).zip(addresses.chunks(GROUP)).zip(codes.chunks_mut(GROUP));
        for ((tables, addresses), codes) in groups {
            self.get_group(tables, addresses, codes);
        }
    }

    /// At most [`GROUP`] searches, each one step at a time.
    #[inline(always)]
    #[allow(unsafe_code, reason = "see `Arena::read`")]
    fn get_group<A: Search>(
        &self,
        tables: &[TableIdx],
        addresses: &[A],
        codes: &mut [Option<Code>],
    ) {
        for table in tables {
            prefetch::element(&self.heads, table.row());
        }
        let mut places = [(Place::default(), 0); GROUP];
        let mut is_deep = false;
        for ((at, table), address) in places.iter_mut().zip(tables).zip(addresses) {
            if let Some(head) = self.heads.get(table.row()) {
                *at = (head.halves[address.half()], head.default);
                is_deep |= at.0.is_node();
                trie::prefetch::<A>(&self.arena, at.0);
            }
        }
        let mut slots = [0; GROUP];
        while is_deep {
            is_deep = false;
            for (((place, _), slot), address) in places.iter().zip(&mut slots).zip(addresses) {
                if let Below::Node(at) = place.below() {
                    // SAFETY: places come from heads and slots of this family in its arena.
                    *slot = unsafe { Node::seek(&self.arena, at, *address) };
                    self.arena.prefetch_word(at, *slot);
                }
            }
            for ((place, best), slot) in places.iter_mut().zip(slots) {
                if let Below::Node(at) = place.below() {
                    let code;
                    // SAFETY: the slot was sought in this node.
                    (*place, code) = unsafe { Node::<A>::slot_at(&self.arena, at, slot) };
                    *best = select_unpredictable(code == 0, *best, code);
                    is_deep |= place.is_node();
                    trie::prefetch::<A>(&self.arena, *place);
                }
            }
        }
        for ((code, (place, best)), address) in codes.iter_mut().zip(places).zip(addresses) {
            // SAFETY: this place is no node's, and in the arena.
            *code = Code::from_raw(unsafe {
                A::find::<{ leaf::MOST }>(&self.arena, place, best, *address)
            });
        }
    }

    fn insert<A: Search>(
        &mut self,
        table: TableIdx,
        route: Route<A>,
    ) -> Result<Option<Code>, Full> {
        let is_full = self.arena.used() > UNITS_USED_MAX;
        let head = self.head(table)?;
        if is_full {
            return Err(Full::Bytes);
        }
        if head.routes as usize >= ROUTES_PER_TABLE_MAX {
            return Err(Full::Routes);
        }
        let old = if route.len == 0 {
            std::mem::replace(&mut head.default, route.code)
        } else {
            let half = route.net.half();
            let place = head.halves[half];
            let (below, old) = trie::insert(&mut self.arena, place, route);
            self.heads[table.row()].halves[half] = Place::of(below);
            old
        };
        self.heads[table.row()].routes += u32::from(old == 0);
        Ok(Code::from_raw(old))
    }

    fn remove<A: Search>(&mut self, table: TableIdx, net: A, len: u32) -> Option<Code> {
        let head = self.heads.get_mut(table.row())?;
        let old = if len == 0 {
            std::mem::take(&mut head.default)
        } else {
            let half = &mut head.halves[net.half()];
            let (below, old) = trie::remove(&mut self.arena, *half, net, len)?;
            *half = Place::of(below);
            old
        };
        head.routes -= u32::from(old != 0);
        Code::from_raw(old)
    }

    fn routes(&self, table: TableIdx) -> usize {
        self.heads.get(table.row()).map_or(0, |head| head.routes as usize)
    }

    fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<Head>() + self.arena.bytes()
    }
}

/// A number of routes, which a limit keeps below 2^32.
#[allow(clippy::cast_possible_truncation, reason = "at most ROUTES_PER_TABLE_MAX")]
fn count(routes: usize) -> u32 {
    routes as u32
}
