//! Rules about security groups.
//!
//! Holds which rules match nothing any more, and which groups do nothing. (In the profile `seed` a
//! rule that names a group of a peer is refused by the cloud, so there is none to be found.)

use std::collections::{BTreeMap, BTreeSet};

use super::lens::Lens;
use super::{Evidence, Finding, Subject};
use crate::base::id::*;
use crate::cloud::filter::Direction;
use crate::cloud::security_group::{RulePeer, SecurityGroup};

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    stale(lens, found);
    let mut worn: BTreeSet<SecurityGroupId> = BTreeSet::new();
    let mut silent: BTreeMap<SecurityGroupId, Vec<InterfaceId>> = BTreeMap::new();
    for (id, interface) in lens.cloud.interfaces() {
        worn.extend(&interface.groups);
        let groups = || interface.groups.iter().filter_map(|group| lens.cloud.group(*group));
        if groups().next().is_some() && groups().all(has_no_rule) {
            interface.groups.iter().for_each(|g| silent.entry(*g).or_default().push(id));
        }
    }
    for (group, interfaces) in silent {
        let evidence = Evidence::SilentGroup { interfaces };
        found.push(Finding { subject: Subject::Group(group), evidence });
    }
    let named = named(lens);
    for (id, group) in lens.cloud.groups() {
        let born = lens.cloud.vpc(group.vpc).is_some_and(|vpc| vpc.default_group() == id);
        if !born && !worn.contains(&id) && !named.contains(&id) {
            found.push(Finding { subject: Subject::Group(id), evidence: Evidence::UnusedGroup });
        }
    }
}

fn stale(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    for (vpc, _) in lens.cloud.vpcs() {
        for (group, direction, rule) in lens.cloud.stale_rules(vpc, lens.now) {
            let evidence = Evidence::StaleGroupRule { direction, rule };
            found.push(Finding { subject: Subject::Group(group), evidence });
        }
    }
}

fn has_no_rule(group: &SecurityGroup) -> bool {
    Direction::ALL.into_iter().all(|direction| group.rules(direction).is_empty())
}

/// The groups that rules of other groups name.
fn named(lens: &Lens<'_>) -> BTreeSet<SecurityGroupId> {
    let mut named = BTreeSet::new();
    for (id, group) in lens.cloud.groups() {
        let rules = Direction::ALL.into_iter().flat_map(|direction| group.rules(direction));
        named.extend(rules.filter_map(|rule| match rule.peer {
            RulePeer::Group(other) if other != id => Some(other),
            RulePeer::Group(_) | RulePeer::Block(_) | RulePeer::PrefixList(_) => None,
        }));
    }
    named
}
