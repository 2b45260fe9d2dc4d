//! Security groups: what they say, and the commands about them.
//!
//! Holds the rules (vpc-semantics 3.7), who may name whom in one, and which have gone stale. Refuses
//! to hold what an interface remembers about connections, which is the forwarder's
//! (`forward/connections.rs`), and prefix lists (`prefix_list.rs`).

use std::collections::BTreeSet;
use std::fmt;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::Cloud;
use super::account::Caller;
use super::event::Change;
use super::filter::{Direction, Traffic};
use super::instance::Host;
use super::peering::Peering;
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use crate::base::id::*;
use crate::base::limit::GROUP_NAME_CHARS_MAX;
use crate::base::time::Instant;

/// Whose packets a rule allows: the far end's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum RulePeer {
    /// Any address of this block.
    Block(IpNet),
    /// Any address of this list, as it is when a packet is judged.
    PrefixList(PrefixListId),
    /// Any private address of an interface that has this group, in the same VPC or across an active
    /// peering of the same region.
    Group(SecurityGroupId),
}

impl fmt::Display for RulePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RulePeer::Block(block) => block.fmt(f),
            RulePeer::PrefixList(id) => id.fmt(f),
            RulePeer::Group(id) => id.fmt(f),
        }
    }
}

/// An allow rule; there are no others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct GroupRule {
    /// What it allows.
    pub traffic: Traffic,
    /// From whom (ingress) or to whom (egress).
    pub peer: RulePeer,
}

impl GroupRule {
    /// The rules of "from or to everybody", IPv4 first.
    pub fn everybody() -> [GroupRule; 2] {
        let blocks: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        blocks.map(|block| GroupRule { traffic: Traffic::All, peer: RulePeer::Block(block) })
    }

    /// The rule of "from or to everybody" over IPv4.
    pub fn everybody_v4() -> GroupRule {
        let [v4, _] = GroupRule::everybody();
        v4
    }

    /// The rule with the host bits of its block cleared: as a group keeps it.
    #[must_use]
    pub fn trunc(self) -> GroupRule {
        match self.peer {
            RulePeer::Block(block) => GroupRule { peer: RulePeer::Block(block.trunc()), ..self },
            RulePeer::PrefixList(_) | RulePeer::Group(_) => self,
        }
    }
}

impl fmt::Display for GroupRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer: {}, {}, ALLOW", self.peer, self.traffic)
    }
}

/// A security group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// The VPC it belongs to.
    pub vpc: VpcId,
    /// Its name, unique in the VPC.
    pub name: String,
    pub(super) ingress: Vec<GroupRule>,
    pub(super) egress: Vec<GroupRule>,
}

impl SecurityGroup {
    /// The name of the group that every VPC is born with.
    pub const DEFAULT_NAME: &'static str = "default";

    /// The group that a VPC is born with: in from its own members, out to everybody. The rule for
    /// IPv6 is there from the start and matches nothing while the VPC has no IPv6 (3.7 adds it with
    /// the block; the difference cannot be seen by a packet).
    pub(super) fn born_with(vpc: VpcId, own: SecurityGroupId) -> SecurityGroup {
        let all = |peer| GroupRule { traffic: Traffic::All, peer };
        SecurityGroup {
            vpc,
            name: SecurityGroup::DEFAULT_NAME.to_owned(),
            ingress: vec![all(RulePeer::Group(own))],
            egress: GroupRule::everybody().into(),
        }
    }

    /// A group as it is created: nothing in, everything out, in each family (see
    /// [`SecurityGroup::born_with`] on IPv6).
    pub(super) fn new(vpc: VpcId, name: String) -> SecurityGroup {
        let egress = GroupRule::everybody().into();
        SecurityGroup { vpc, name, ingress: Vec::new(), egress }
    }

    /// Its rules of one direction, in the order in which they were authorised. No two are equal.
    pub fn rules(&self, direction: Direction) -> &[GroupRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    pub(super) fn rules_mut(&mut self, direction: Direction) -> &mut Vec<GroupRule> {
        match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        }
    }
}

impl Cloud {
    /// May a rule of a group in `in_vpc` use the addresses of the members of `group` at `now`?
    /// Those of its own VPC always; those of a peer VPC in `today`, while a peering inside the
    /// region is active (vpc-semantics 0.3, 3.7). Who owns the two VPCs does not matter: whoever
    /// authorised the rule was asked. Linear in the number of peerings of `in_vpc`.
    pub fn group_usable(&self, in_vpc: VpcId, group: SecurityGroupId, now: Instant) -> bool {
        let Some(group) = self.groups.get(&group) else { return false };
        group.vpc == in_vpc || self.groups_shared(in_vpc, group.vpc, now)
    }

    /// May the groups of two VPCs name each other at `now`?
    fn groups_shared(&self, a: VpcId, b: VpcId, now: Instant) -> bool {
        let Some(vpc) = self.vpcs.get(&a) else { return false };
        let joins = |peering: &Peering| {
            peering.other_end(a) == Some(b)
                && peering.requester().region == peering.accepter().region
                && peering.active(now).is_some()
        };
        self.profile.has(Feature::PeerGroupReference)
            && vpc.peerings().filter_map(|p| self.peerings.get(&p)).any(joins)
    }

    /// The rules of a VPC's groups that match nothing now, because they name a group that is gone or
    /// that no active peering leads to (vpc-semantics 2.5, 3.7; `DescribeStaleSecurityGroups`). By
    /// group in order of creation, then ingress before egress, then in order of authorisation. A
    /// stale rule comes back to life when the VPCs are peered again.
    pub fn stale_rules(
        &self,
        vpc: VpcId,
        now: Instant,
    ) -> Vec<(SecurityGroupId, Direction, GroupRule)> {
        let mut stale = Vec::new();
        for id in self.vpcs.get(&vpc).map_or(&[][..], |vpc| vpc.groups()) {
            let Some(group) = self.groups.get(id) else { continue };
            for direction in Direction::ALL {
                let of_it = group.rules(direction).iter().filter(|rule| match rule.peer {
                    RulePeer::Group(named) => !self.group_usable(vpc, named, now),
                    RulePeer::Block(_) | RulePeer::PrefixList(_) => false,
                });
                stale.extend(of_it.map(|rule| (*id, direction, *rule)));
            }
        }
        stale
    }

    /// The group, if its VPC is the caller's.
    pub(super) fn own_group(
        &self,
        caller: &Caller,
        id: SecurityGroupId,
    ) -> Result<&SecurityGroup, Refusal> {
        self.groups
            .get(&id)
            .filter(|group| self.own_vpc(caller, group.vpc).is_ok())
            .ok_or(Refusal::GroupNotFound(id))
    }

    /// The groups of a new interface: those asked for, else the VPC's default group.
    pub(super) fn groups_for_interface(
        &self,
        caller: &Caller,
        vpc: VpcId,
        wanted: &[SecurityGroupId],
    ) -> Result<Vec<SecurityGroupId>, Refusal> {
        if wanted.is_empty() {
            return Ok(vec![self.own_vpc(caller, vpc)?.default_group()]);
        }
        for id in wanted {
            if self.own_group(caller, *id)?.vpc != vpc {
                return Err(Refusal::GroupOfOtherVpc(*id));
            }
        }
        let groups: BTreeSet<SecurityGroupId> = wanted.iter().copied().collect();
        self.at_most(caller.account, Quota::SecurityGroupsPerInterface, groups.len())?;
        Ok(groups.into_iter().collect())
    }

    pub(super) fn set_interface_groups(
        &self,
        caller: &Caller,
        id: InterfaceId,
        wanted: &[SecurityGroupId],
    ) -> Result<Vec<Change>, Refusal> {
        let interface = self.own_interface(caller, id)?;
        match interface.host {
            Host::Instance(_) | Host::Nobody => {}
            Host::NatGateway(_) => return Err(Refusal::InterfaceManaged(id)),
        }
        if wanted.is_empty() {
            return Err(Refusal::NoGroups);
        }
        let groups = self.groups_for_interface(caller, interface.vpc, wanted)?;
        Ok(vec![Change::InterfaceGroupsSet { interface: id, groups }])
    }

    pub(super) fn create_group(
        &self,
        caller: &Caller,
        vpc_id: VpcId,
        name: &str,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, vpc_id)?;
        if name == SecurityGroup::DEFAULT_NAME {
            return Err(Refusal::GroupNameReserved(name.to_owned()));
        }
        if !is_group_name(name) {
            return Err(Refusal::GroupNameInvalid(name.to_owned()));
        }
        if vpc.groups().iter().any(|g| self.groups.get(g).is_some_and(|g| g.name == name)) {
            return Err(Refusal::GroupNameTaken(name.to_owned()));
        }
        let quota = Quota::SecurityGroupsPerRegion;
        self.within(caller.account, quota, || self.usage(caller).groups)?;
        let group = SecurityGroupId::new(self.mint().next());
        Ok(vec![Change::SecurityGroupCreated { group, vpc: vpc_id, name: name.to_owned() }])
    }

    /// A rule of a peer VPC's group is not in the way: it goes stale (2.5), and its owner is
    /// somebody else (invariant S11). Linear in the number of interfaces of the VPC.
    pub(super) fn delete_group(
        &self,
        caller: &Caller,
        id: SecurityGroupId,
    ) -> Result<Vec<Change>, Refusal> {
        let group = self.own_group(caller, id)?;
        let vpc = self.own_vpc(caller, group.vpc)?;
        if vpc.default_group() == id {
            return Err(Refusal::DefaultGroupStays(id));
        }
        let names_it = |other: &SecurityGroup| {
            let mut rules = Direction::ALL.into_iter().flat_map(|d| other.rules(d));
            rules.any(|rule| rule.peer == RulePeer::Group(id))
        };
        let others = vpc.groups().iter().filter(|other| **other != id);
        let named = others.filter_map(|other| self.groups.get(other)).any(names_it);
        let mut residents = vpc.subnets().iter().flat_map(|subnet| self.interfaces_in(*subnet));
        if named || residents.any(|(_, interface)| interface.groups.contains(&id)) {
            return Err(Refusal::GroupInUse(id));
        }
        Ok(vec![Change::SecurityGroupDeleted { group: id }])
    }

    /// Rules that go are taken away first, so one may come again as another.
    pub(super) fn modify_rules(
        &self,
        caller: &Caller,
        id: SecurityGroupId,
        direction: Direction,
        remove: &[GroupRule],
        add: &[GroupRule],
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let group = self.own_group(caller, id)?;
        let mut rules: BTreeSet<GroupRule> = group.rules(direction).iter().copied().collect();
        let mut changes = Vec::new();
        for rule in remove.iter().map(|rule| rule.trunc()) {
            if !rules.remove(&rule) {
                return Err(Refusal::RuleNotFound(rule));
            }
            changes.push(Change::GroupRuleRevoked { group: id, direction, rule });
        }
        for rule in add.iter().map(|rule| rule.trunc()) {
            self.check_rule(caller, group.vpc, &rule, now)?;
            if !rules.insert(rule) {
                return Err(Refusal::RuleExists(rule));
            }
            changes.push(Change::GroupRuleAuthorized { group: id, direction, rule });
        }
        if !add.is_empty() {
            self.check_rule_count(caller, &rules, None)?;
        }
        Ok(changes)
    }

    /// May a group of this VPC have such a rule? A group of another VPC that cannot be used from
    /// here is answered alike whether it exists or not, unless it is the caller's own (6.7).
    fn check_rule(
        &self,
        caller: &Caller,
        vpc: VpcId,
        rule: &GroupRule,
        now: Instant,
    ) -> Result<(), Refusal> {
        let ipv6 = self.profile.has(Feature::Ipv6);
        match rule.traffic {
            Traffic::Icmpv6(_) if !ipv6 => return Err(Refusal::UnknownParameter("icmpv6")),
            _ => {}
        }
        match rule.peer {
            RulePeer::Block(IpNet::V6(_)) if !ipv6 => Err(Refusal::UnknownParameter("Ipv6Ranges")),
            RulePeer::Block(_) => Ok(()),
            RulePeer::PrefixList(list) => self.own_prefix_list(caller, list).map(drop),
            RulePeer::Group(named) if self.group_usable(vpc, named, now) => Ok(()),
            RulePeer::Group(named) => {
                self.own_group(caller, named)?;
                Err(Refusal::GroupOfOtherVpc(named))
            }
        }
    }

    /// Is there room for so many rules in one direction of a group? `instead` gives a prefix list
    /// other entries than it has now.
    pub(super) fn check_rule_count<'r>(
        &self,
        caller: &Caller,
        rules: impl IntoIterator<Item = &'r GroupRule>,
        instead: Option<(PrefixListId, &[IpNet])>,
    ) -> Result<(), Refusal> {
        let count = self.rule_count(rules, instead);
        self.at_most(caller.account, Quota::RulesPerSecurityGroup, count)
    }

    /// How many rules a group has in a direction, as [`Quota::RulesPerSecurityGroup`] counts.
    pub fn rules_used(&self, group: &SecurityGroup, direction: Direction) -> usize {
        self.rule_count(group.rules(direction), None)
    }

    /// The greater number of the two families.
    fn rule_count<'r>(
        &self,
        rules: impl IntoIterator<Item = &'r GroupRule>,
        instead: Option<(PrefixListId, &[IpNet])>,
    ) -> usize {
        let (mut v4, mut v6) = (0, 0);
        let mut count = |block: &IpNet| match block {
            IpNet::V4(_) => v4 += 1,
            IpNet::V6(_) => v6 += 1,
        };
        let everywhere: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        for rule in rules {
            match rule.peer {
                RulePeer::Block(block) => count(&block),
                RulePeer::Group(_) => everywhere.iter().for_each(&mut count),
                RulePeer::PrefixList(id) => match instead {
                    Some((list, entries)) if list == id => entries.iter().for_each(&mut count),
                    _ => {
                        let list = self.prefix_lists.get(&id);
                        list.into_iter().flat_map(|list| &list.entries).for_each(&mut count);
                    }
                },
            }
        }
        v4.max(v6)
    }
}

/// May a group be called so (EC2 `CreateSecurityGroup`)?
fn is_group_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
    !name.is_empty()
        && !name.starts_with("sg-")
        && name.chars().all(allowed)
        && name.len() <= GROUP_NAME_CHARS_MAX
}
