//! The filters of a cloud: every interface's groups and every ACL, compiled, and kept up to date.
//!
//! Holds which rules a filter was made of. Refuses to answer: [`Classifiers`] does. A change compiles
//! the filters that it touches and nothing else, and tells whose rows they are in; who is in a group
//! is no part of a filter at all.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::{AclFilterIdx, Classifiers, Far, FilterIdx, GroupRow, Rule};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::Direction;
use crate::cloud::instance::{Host, Interface};
use crate::cloud::network_acl::AclEntry;
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::Rows;
use crate::wire::Family;

/// A list of groups that interfaces have, and the filter of their rules.
#[derive(Clone, Debug)]
struct List {
    vpc: VpcId,
    groups: Box<[SecurityGroupId]>,
    filter: FilterIdx,
    /// The interfaces that have it, of those that [`Filters::wear`] was told of.
    worn_by: Vec<InterfaceIdx>,
}

/// No list's row.
const NO_LIST: u32 = u32::MAX;

/// What a change has left behind in the rows of others.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use = "rows that hold these filters must ask for them again"]
pub struct Moved {
    /// Interfaces with these lists of groups have another filter now.
    pub lists: Vec<Box<[SecurityGroupId]>>,
    /// These have another filter, or one that is open now and was not, or the other way round.
    pub interfaces: Vec<InterfaceIdx>,
    /// The same of subnets with these ACLs.
    pub acls: Vec<AclIdx>,
}

impl Moved {
    /// These and those of another change.
    pub(in crate::forward::fabric) fn add(&mut self, other: Moved) {
        self.lists.extend(other.lists);
        self.interfaces.extend(other.interfaces);
        self.acls.extend(other.acls);
    }
}

/// The filters of a cloud.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    all: Classifiers,
    lists: Vec<List>,
    by_list: FxHashMap<Box<[SecurityGroupId]>, u32>,
    /// The lists that a group is in.
    lists_with: FxHashMap<SecurityGroupId, Vec<u32>>,
    /// The lists with a rule that names a prefix list, or had one once.
    lists_naming: FxHashMap<PrefixListId, BTreeSet<u32>>,
    /// The list of each interface that [`Filters::wear`] was told of.
    worn: Vec<u32>,
    acls: Vec<(Option<NetworkAclId>, AclFilterIdx)>,
    /// The groups that rules name, with their members.
    named: FxHashMap<SecurityGroupId, GroupRow>,
    /// How many lists and ACLs have a filter, by its row.
    users: Vec<u32>,
    /// What the decisions took when nothing was superseded yet.
    fresh: usize,
}

impl Filters {
    /// The ACLs of a cloud, and who is in the groups that rules name; the groups of interfaces come
    /// with [`Filters::of`]. Linear in rules, entries and interfaces.
    pub fn compile(cloud: &Cloud, rows: &Rows) -> Filters {
        let mut new = Filters::default();
        for (_, group) in cloud.groups() {
            for rule in Direction::ALL.into_iter().flat_map(|d| group.rules(d)) {
                if let RulePeer::Group(named) = rule.peer {
                    let all = &mut new.all;
                    new.named.entry(named).or_insert_with(|| all.add_group());
                }
            }
        }
        for (_, interface) in cloud.interfaces() {
            new.joined(interface);
        }
        for row in 0..rows.acl_count() {
            let id = rows.acl_id(AclIdx::from_row(row));
            let filter = acl_filter(&mut new.all, cloud, id, None);
            new.count(filter.0);
            new.acls.push((Some(id), filter));
        }
        new.fresh = new.all.arena.len();
        new
    }

    /// What answers.
    pub const fn classifiers(&self) -> &Classifiers {
        &self.all
    }

    /// The filter of an ACL; one that was never seen denies everything.
    pub fn acl(&self, acl: AclIdx) -> AclFilterIdx {
        self.acls.get(acl.row()).map_or(AclFilterIdx::NONE, |(_, filter)| *filter)
    }

    /// The filter of an interface, compiled when its list of groups is met for the first time.
    pub fn of(&mut self, cloud: &Cloud, interface: &Interface, now: Instant) -> FilterIdx {
        let list = self.list_of(cloud, interface, now);
        self.lists.get(list as usize).map_or(FilterIdx::NONE, |list| list.filter)
    }

    /// The row of an interface's list of groups, new or known; [`NO_LIST`] if it has none.
    fn list_of(&mut self, cloud: &Cloud, interface: &Interface, now: Instant) -> u32 {
        if let Host::NatGateway(_) = interface.host {
            return NO_LIST;
        }
        if let Some(known) = self.by_list.get(&interface.groups[..]) {
            return *known;
        }
        let groups: Box<[SecurityGroupId]> = interface.groups[..].into();
        for group in &groups {
            self.name_groups(cloud, *group);
        }
        let [ingress, egress] = rules(cloud, &self.named, (interface.vpc, &groups), now);
        let before = self.all.arena.len();
        let filter = self.all.add_groups(&ingress, &egress);
        self.fresh += self.all.arena.len() - before;
        // One list for each interface at most.
        let row = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        for group in &groups {
            self.lists_with.entry(*group).or_default().push(row);
        }
        self.by_list.insert(groups.clone(), row);
        self.lists.push(List { vpc: interface.vpc, groups, filter, worn_by: Vec::new() });
        self.count(filter.0);
        self.note_prefix_lists(cloud, row);
        row
    }

    /// [`Filters::of`], for the interface in this row: from now on [`Moved`] tells of it.
    pub fn wear(
        &mut self,
        cloud: &Cloud,
        (at, interface): (InterfaceIdx, &Interface),
        now: Instant,
    ) -> FilterIdx {
        let list = self.list_of(cloud, interface, now);
        if self.worn.get(at.row()).copied().unwrap_or(NO_LIST) != list {
            self.shed(at);
            if self.worn.len() <= at.row() {
                self.worn.resize(at.row() + 1, NO_LIST);
            }
            self.worn[at.row()] = list;
            if let Some(list) = self.lists.get_mut(list as usize) {
                list.worn_by.push(at);
            }
        }
        self.worn(at)
    }

    /// The interface in this row is gone. Linear in those that have the same groups.
    pub fn shed(&mut self, at: InterfaceIdx) {
        let Some(worn) = self.worn.get_mut(at.row()) else { return };
        let list = std::mem::replace(worn, NO_LIST);
        let Some(List { worn_by, .. }) = self.lists.get_mut(list as usize) else { return };
        if let Some(place) = worn_by.iter().position(|by| *by == at) {
            worn_by.swap_remove(place);
        }
    }

    /// The filter of the interface in this row.
    pub fn worn(&self, at: InterfaceIdx) -> FilterIdx {
        let list = self.worn.get(at.row()).and_then(|list| self.lists.get(*list as usize));
        list.map_or(FilterIdx::NONE, |list| list.filter)
    }

    /// Notes which prefix lists the rules of a list of groups name.
    fn note_prefix_lists(&mut self, cloud: &Cloud, row: u32) {
        let groups = self.lists[row as usize].groups.iter().filter_map(|id| cloud.group(*id));
        for rule in groups.flat_map(|group| Direction::ALL.into_iter().flat_map(|d| group.rules(d)))
        {
            if let RulePeer::PrefixList(list) = rule.peer {
                self.lists_naming.entry(list).or_default().insert(row);
            }
        }
    }

    /// An interface has come, or has got its addresses and groups. Constant for each of them; no
    /// filter is compiled.
    pub fn joined(&mut self, interface: &Interface) {
        for row in interface.groups.iter().filter_map(|group| self.named.get(group)) {
            interface.addresses.iter().for_each(|address| self.all.join(*row, *address));
        }
    }

    /// An interface with these addresses has gone from a VPC, or is about to get other groups.
    /// Linear in the groups of the VPC; no filter is compiled.
    pub fn left(&mut self, cloud: &Cloud, vpc: VpcId, addresses: &[IpAddr]) {
        let groups = cloud.vpc(vpc).map_or(&[][..], |vpc| vpc.groups());
        for row in groups.iter().filter_map(|group| self.named.get(group)) {
            addresses.iter().for_each(|address| self.all.leave(*row, *address));
        }
    }

    /// A group has other rules, or is gone. Compiles the lists that it is in; linear in the
    /// interfaces of a VPC if a rule is the first to name a group of it.
    pub fn group_changed(&mut self, cloud: &Cloud, group: SecurityGroupId, now: Instant) -> Moved {
        self.name_groups(cloud, group);
        let lists = self.lists_with.get(&group).cloned().unwrap_or_default();
        self.again(cloud, &lists, now)
    }

    /// A prefix list has other entries. Compiles the lists of groups that name it.
    pub fn prefix_list_changed(
        &mut self,
        cloud: &Cloud,
        list: PrefixListId,
        now: Instant,
    ) -> Moved {
        let lists = self.lists_naming.get(&list);
        let lists: Vec<u32> = lists.into_iter().flatten().copied().collect();
        self.again(cloud, &lists, now)
    }

    /// The peerings of a VPC are others than before: rules that name a group of another VPC come to
    /// life or go stale (2.5). Linear in the rules of the VPC's groups. Both ends are to be told.
    pub fn peerings_changed(&mut self, cloud: &Cloud, vpc: VpcId, now: Instant) -> Moved {
        let own = cloud.vpc(vpc).map_or(&[][..], |vpc| vpc.groups());
        let foreign =
            |rule: &GroupRule| matches!(rule.peer, RulePeer::Group(named) if !own.contains(&named));
        let lists = self.lists_where(cloud, own.iter().copied(), foreign);
        self.again(cloud, &lists, now)
    }

    /// An ACL has other entries, is new or is gone.
    pub fn acl_changed(&mut self, cloud: &Cloud, rows: &Rows, acl: AclIdx, now: Instant) -> Moved {
        if self.acls.len() <= acl.row() {
            self.acls.resize(acl.row() + 1, (None, AclFilterIdx::NONE));
        }
        let (_, old) = self.acls[acl.row()];
        let was_open = self.acl_openness(old);
        let id = rows.acl_id(acl);
        let is_sole = self.is_sole(old.0);
        let new = acl_filter(&mut self.all, cloud, id, is_sole.then_some(old));
        self.acls[acl.row()] = (Some(id), new);
        let moved = self.changed_hands(old.0, new.0) | (self.acl_openness(new) != was_open);
        self.tidy(cloud, now);
        Moved { acls: moved.then_some(acl).into_iter().collect(), ..Moved::default() }
    }

    /// Gives rows to groups that a group's rules are the first to name.
    fn name_groups(&mut self, cloud: &Cloud, group: SecurityGroupId) {
        let Some(group) = cloud.group(group) else { return };
        for rule in Direction::ALL.into_iter().flat_map(|d| group.rules(d)) {
            let RulePeer::Group(named) = rule.peer else { continue };
            if self.named.contains_key(&named) {
                continue;
            }
            let row = self.all.add_group();
            self.named.insert(named, row);
            // Whoever is in a group is in its VPC.
            let home = cloud.group(named).and_then(|group| cloud.vpc(group.vpc));
            let subnets = home.into_iter().flat_map(|vpc| vpc.subnets());
            let inside = subnets.flat_map(|subnet| cloud.interfaces_in(*subnet));
            for (_, member) in inside.filter(|(_, i)| i.groups.contains(&named)) {
                member.addresses.iter().for_each(|address| self.all.join(row, *address));
            }
        }
    }

    /// The lists with a group that has such a rule, each once, in order.
    fn lists_where(
        &self,
        cloud: &Cloud,
        groups: impl Iterator<Item = SecurityGroupId>,
        such: impl Fn(&GroupRule) -> bool,
    ) -> Vec<u32> {
        let has = |id: &SecurityGroupId| {
            let Some(group) = cloud.group(*id) else { return false };
            Direction::ALL.into_iter().flat_map(|d| group.rules(d)).any(&such)
        };
        let with = groups.filter(has).filter_map(|id| self.lists_with.get(&id));
        let mut lists: Vec<u32> = with.flatten().copied().collect();
        lists.sort_unstable();
        lists.dedup();
        lists
    }

    /// Compiles these lists again: where they are if nobody shares their filter, else elsewhere.
    fn again(&mut self, cloud: &Cloud, lists: &[u32], now: Instant) -> Moved {
        let mut moved = Moved::default();
        for row in lists {
            let List { vpc, groups, filter: old, .. } = &self.lists[*row as usize];
            let rules = rules(cloud, &self.named, (*vpc, groups), now);
            let (old, in_place) = (*old, self.is_sole(old.0).then_some(*old));
            let was_open = self.openness(old);
            let new = self.all.put_groups(&rules[0], &rules[1], in_place);
            let has_changed_hands = self.changed_hands(old.0, new.0);
            let list = &mut self.lists[*row as usize];
            if has_changed_hands {
                list.filter = new;
                moved.lists.push(list.groups.clone());
            }
            if has_changed_hands || self.openness(new) != was_open {
                moved.interfaces.extend(&self.lists[*row as usize].worn_by);
            }
            self.note_prefix_lists(cloud, *row);
        }
        self.tidy(cloud, now);
        moved
    }

    /// What the rows of interfaces say of their filter.
    fn openness(&self, filter: FilterIdx) -> [bool; 2] {
        Family::ALL.map(|family| self.all.is_open(filter, family))
    }

    /// And of the ACL's.
    fn acl_openness(&self, acl: AclFilterIdx) -> [[bool; 2]; 2] {
        let open = |way, family| self.all.is_acl_open(acl, way, family);
        Direction::ALL.map(|way| Family::ALL.map(|family| open(way, family)))
    }

    /// Is there one list or ACL that has this filter?
    fn is_sole(&self, filter: u32) -> bool {
        filter >= Classifiers::BUILT_IN && self.users.get(filter as usize) == Some(&1)
    }

    fn count(&mut self, filter: u32) {
        let row = filter as usize;
        if self.users.len() <= row {
            self.users.resize(row + 1, 0);
        }
        self.users[row] += 1;
    }

    /// One user of a filter has another now, if it is another.
    fn changed_hands(&mut self, old: u32, new: u32) -> bool {
        if old == new {
            return false;
        }
        self.count(new);
        if let Some(users) = self.users.get_mut(old as usize) {
            *users = users.saturating_sub(1);
        }
        true
    }

    /// Once more is superseded than in use, everything is compiled again, with the filters where
    /// they are: a constant for each change, in the long run.
    fn tidy(&mut self, cloud: &Cloud, now: Instant) {
        if self.all.arena.len() <= 2 * self.fresh + SUPERSEDED_MAX {
            return;
        }
        self.all.forget();
        for list in &self.lists {
            let rules = rules(cloud, &self.named, (list.vpc, &list.groups), now);
            self.all.put_groups(&rules[0], &rules[1], Some(list.filter));
        }
        for (id, filter) in &self.acls {
            if let (Some(id), true) = (id, filter.0 >= Classifiers::BUILT_IN) {
                acl_filter(&mut self.all, cloud, *id, Some(*filter));
            }
        }
        self.fresh = self.all.arena.len();
    }
}

/// Cells and lines that may be superseded before everything is compiled again, however little there
/// is.
const SUPERSEDED_MAX: usize = 1 << 16;

/// The rules of a list of groups, `[ingress, egress]`, with every name looked up.
fn rules<'c>(
    cloud: &'c Cloud,
    named: &FxHashMap<SecurityGroupId, GroupRow>,
    (vpc, groups): (VpcId, &[SecurityGroupId]),
    now: Instant,
) -> [Vec<Rule<'c>>; 2] {
    let blocks = |list| cloud.prefix_list(list).map_or(&[][..], |list| &list.entries[..]);
    Direction::ALL.map(|direction| {
        let groups = groups.iter().filter_map(|id| cloud.group(*id));
        let all = groups.flat_map(|group| group.rules(direction));
        let looked_up = all.filter_map(|rule| {
            let far = match rule.peer {
                RulePeer::Block(block) => Far::Block(block),
                RulePeer::PrefixList(list) => Far::Blocks(blocks(list)),
                // A stale rule allows nobody.
                RulePeer::Group(group) if !cloud.group_usable(vpc, group, now) => return None,
                RulePeer::Group(group) => Far::Members(*named.get(&group)?),
            };
            Some(Rule { traffic: rule.traffic, far })
        });
        looked_up.collect()
    })
}

fn acl_filter(
    all: &mut Classifiers,
    cloud: &Cloud,
    acl: NetworkAclId,
    in_place: Option<AclFilterIdx>,
) -> AclFilterIdx {
    let Some(acl) = cloud.acl(acl) else { return AclFilterIdx::NONE };
    let [ingress, egress] =
        Direction::ALL.map(|d| acl.entries(d).values().copied().collect::<Vec<AclEntry>>());
    all.put_acl(&ingress, &egress, in_place)
}

#[cfg(test)]
mod tests;
