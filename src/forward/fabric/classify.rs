//! Security groups and network ACLs as classifiers: what they say of a packet, in a few nanoseconds
//! however many rules there are.
//!
//! A filter is two lines of the cache, one for each direction, of eight cells: one for each family
//! and class of traffic (TCP, UDP, ICMP, the rest). Most cells hold their decision: everything,
//! nothing, one range of ports. The others lead to a static search tree over the far end's address,
//! in whose leaves stand cells for keys again, or to the members of a group. Everything is interned:
//! filters that decide alike are one, and so are their parts.
//!
//! Holds the filters and [`Classifiers`], which answers; [`Filters`](network::Filters) compiles a
//! cloud's and follows its changes. Refuses to remember connections, and to say which rule it was.

use super::super::gate::Origin;
use crate::cloud::filter::Direction;
use crate::cloud::network_acl::AclEntry;
use crate::forward::connections::Word;
use crate::wire::Family;

mod arena;
mod batch;
mod cell;
mod intern;
mod keys;
mod members;
pub mod network;
mod paint;
mod probe;
mod rules;
mod small;
#[cfg(test)]
mod tests;
mod tree;

use arena::{Arena, Indexed};
use cell::{Cell, Kind, REFUSED, TRACKED, UNTRACKED, word};
use intern::{Interned, hash_of};
pub use members::GroupRow;
use probe::Class;
pub use probe::{Address, AnyProbe, Probe};
use rules::{Compiler, Line, side};
pub use rules::{Far, Rule};

/// A filter that says a [`Word`]: what the groups of an interface decide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FilterIdx(u32);

impl FilterIdx {
    /// That of an interface without groups, a NAT gateway's: everything passes untracked.
    pub const NONE: FilterIdx = FilterIdx(0);
}

/// A filter that passes or denies: what a network ACL decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AclFilterIdx(u32);

impl AclFilterIdx {
    /// That of an ACL that is not there: nothing passes.
    pub const NONE: AclFilterIdx = AclFilterIdx(1);
}

/// All filters of one version of the network. 128 bytes for each that decides otherwise than the
/// others, and what [`Classifiers::bytes`] says for their trees.
#[derive(Clone, Debug)]
pub struct Classifiers {
    filters: Vec<[Line; 2]>,
    known: Interned,
    arena: Arena,
    compiler: Compiler,
}

impl Default for Classifiers {
    fn default() -> Classifiers {
        let mut new = Classifiers {
            filters: Vec::new(),
            known: Interned::default(),
            arena: Arena::default(),
            compiler: Compiler::default(),
        };
        new.put([Line::constant(UNTRACKED); 2], None);
        new.put([Line::constant(REFUSED); 2], None);
        new
    }
}

impl Classifiers {
    /// Filters below this row are not made of rules.
    const BUILT_IN: u32 = 2;

    /// The filter of these rules; the order of rules is of no consequence. Rules that decide alike
    /// have the same. Linear in the rules, apart from sorting, if few blocks lie in one another.
    pub fn add_groups(&mut self, ingress: &[Rule<'_>], egress: &[Rule<'_>]) -> FilterIdx {
        self.put_groups(ingress, egress, None)
    }

    /// The filter of an ACL's entries, by ascending number.
    pub fn add_acl(&mut self, ingress: &[AclEntry], egress: &[AclEntry]) -> AclFilterIdx {
        self.put_acl(ingress, egress, None)
    }

    /// As [`Classifiers::add_groups`], but `in_place` of a filter that nobody else has.
    fn put_groups(
        &mut self,
        ingress: &[Rule<'_>],
        egress: &[Rule<'_>],
        in_place: Option<FilterIdx>,
    ) -> FilterIdx {
        let lines = self.compiler.groups(&mut self.arena, [ingress, egress]);
        FilterIdx(self.put(lines, in_place.map(|filter| filter.0)))
    }

    fn put_acl(
        &mut self,
        ingress: &[AclEntry],
        egress: &[AclEntry],
        in_place: Option<AclFilterIdx>,
    ) -> AclFilterIdx {
        let lines = self.compiler.acl(&mut self.arena, [ingress, egress]);
        AclFilterIdx(self.put(lines, in_place.map(|filter| filter.0)))
    }

    fn put(&mut self, lines: [Line; 2], in_place: Option<u32>) -> u32 {
        let hash = hash_of(&lines);
        if let Some(row) = in_place
            && let Some(old) = self.filters.get_mut(row as usize)
        {
            self.known.remove(hash_of(old), row);
            *old = lines;
            if let Err(vacant) = self.known.find(hash, |_| true) {
                self.known.add(vacant, row as usize);
            }
            return row;
        }
        let is_it = |row: usize| self.filters.get(row) == Some(&lines);
        self.known.find(hash, is_it).unwrap_or_else(|vacant| {
            self.filters.push(lines);
            self.known.add(vacant, self.filters.len() - 1)
        })
    }

    /// Forgets what filters lead to: each is to be put in its place again.
    fn forget(&mut self) {
        self.arena.clear();
    }

    /// What the groups say of a packet over IPv4. `origin` is [`Origin::Relayed`] if the source is not
    /// its sender's own: rules that name a group do not hold for it. A filter that is not there
    /// refuses.
    #[inline]
    pub fn groups_v4(
        &self,
        filter: FilterIdx,
        direction: Direction,
        probe: &Probe<u32>,
        origin: Origin,
    ) -> Word {
        word(self.say(filter.0, direction, probe, origin))
    }

    /// As [`Classifiers::groups_v4`], over IPv6.
    #[inline]
    pub fn groups_v6(
        &self,
        filter: FilterIdx,
        direction: Direction,
        probe: &Probe<u128>,
        origin: Origin,
    ) -> Word {
        word(self.say(filter.0, direction, probe, origin))
    }

    /// As [`Classifiers::groups_v4`], over either.
    pub fn groups(
        &self,
        filter: FilterIdx,
        direction: Direction,
        probe: &AnyProbe,
        origin: Origin,
    ) -> Word {
        match probe {
            AnyProbe::V4(probe) => self.groups_v4(filter, direction, probe, origin),
            AnyProbe::V6(probe) => self.groups_v6(filter, direction, probe, origin),
        }
    }

    /// Does an ACL let a packet over IPv4 pass?
    #[inline]
    pub fn acl_v4(&self, acl: AclFilterIdx, direction: Direction, probe: &Probe<u32>) -> bool {
        self.say(acl.0, direction, probe, Origin::Own) == TRACKED
    }

    /// Does an ACL let a packet over IPv6 pass?
    #[inline]
    pub fn acl_v6(&self, acl: AclFilterIdx, direction: Direction, probe: &Probe<u128>) -> bool {
        self.say(acl.0, direction, probe, Origin::Own) == TRACKED
    }

    /// Does an ACL let a packet pass?
    pub fn acl(&self, acl: AclFilterIdx, direction: Direction, probe: &AnyProbe) -> bool {
        match probe {
            AnyProbe::V4(probe) => self.acl_v4(acl, direction, probe),
            AnyProbe::V6(probe) => self.acl_v6(acl, direction, probe),
        }
    }

    #[inline]
    fn say<A: Indexed>(
        &self,
        filter: u32,
        direction: Direction,
        probe: &Probe<A>,
        origin: Origin,
    ) -> u8 {
        self.say_from(self.cell(filter, direction, probe), direction, probe, origin)
    }

    /// The decision that begins in a cell.
    #[inline]
    fn say_from<A: Indexed>(
        &self,
        cell: Cell,
        direction: Direction,
        probe: &Probe<A>,
        origin: Origin,
    ) -> u8 {
        if cell.is(Kind::Stretch) {
            return cell.within(probe.key_for(cell), probe.is_later);
        }
        self.arena.say(cell, direction, probe, origin)
    }

    /// Where a decision begins.
    #[inline]
    fn cell<A: Indexed>(&self, filter: u32, direction: Direction, probe: &Probe<A>) -> Cell {
        let lines = self.filters.get(filter as usize);
        lines.map_or(Cell::REFUSED, |both| both[side(direction)].cell(A::FAMILY, probe.class))
    }

    /// Do these groups let all TCP and UDP of a family pass both ways without remembering it?
    pub fn is_open(&self, filter: FilterIdx, family: Family) -> bool {
        let untracked = |line: &Line, class| line.cell(family, class) == Cell::constant(UNTRACKED);
        let open = |line: &Line| [Class::Tcp, Class::Udp].into_iter().all(|c| untracked(line, c));
        self.filters.get(filter.0 as usize).is_some_and(|both| both.iter().all(open))
    }

    /// Does an ACL let everything of a family pass in this direction?
    pub fn is_acl_open(&self, acl: AclFilterIdx, direction: Direction, family: Family) -> bool {
        let lines = self.filters.get(acl.0 as usize).map(|both| &both[side(direction)]);
        let passes = |line: &Line, class| line.cell(family, class) == Cell::constant(TRACKED);
        lines.is_some_and(|line| Class::ALL.into_iter().all(|class| passes(line, class)))
    }

    /// A row for a further group that rules may name, with no member.
    pub fn add_group(&mut self) -> GroupRow {
        self.arena.members.add_group()
    }

    /// An address becomes a member. Constant; no filter changes.
    pub fn join(&mut self, group: GroupRow, address: std::net::IpAddr) {
        match address {
            std::net::IpAddr::V4(address) => self.arena.members.join_v4(group, address.into()),
            std::net::IpAddr::V6(address) => self.arena.members.join_v6(group, address.into()),
        }
    }

    /// An address is a member no more. Constant; no filter changes.
    pub fn leave(&mut self, group: GroupRow, address: std::net::IpAddr) {
        match address {
            std::net::IpAddr::V4(address) => self.arena.members.leave_v4(group, address.into()),
            std::net::IpAddr::V6(address) => self.arena.members.leave_v6(group, address.into()),
        }
    }

    /// How many filters there are, two of them built in.
    pub fn count(&self) -> usize {
        self.filters.len()
    }

    /// Bytes of what answers.
    pub fn bytes(&self) -> usize {
        self.filters.capacity() * size_of::<[Line; 2]>() + self.arena.bytes()
    }
}
