//! Rules about network ACLs.
//!
//! Holds which entry stands in whose way, and whether an answer could pass. Only a single entry with a
//! lower number is held against another: several that cover it together are not looked for.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::blocks;
use super::lens::Lens;
use super::{Evidence, Finding, Subject};
use crate::base::id::*;
use crate::cloud::filter::{Direction, PortRange, Traffic};
use crate::cloud::network_acl::{AclAction, AclEntry, NetworkAcl, RuleNumber};
use crate::wire::{Family, Protocol};

/// Every port from which a client may ask (vpc-semantics 3.8): NAT gateways use them all.
const EPHEMERAL_FIRST: u16 = 1_024;

/// Ports that nearly every client asks from, Linux or other. An entry that has them all is there for
/// answers; one that has few of them is for requests to a service.
const ANSWERED_FIRST: u16 = 49_152;
const ANSWERED_LAST: u16 = 60_999;

type Entries = BTreeMap<RuleNumber, AclEntry>;

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    for (id, acl) in lens.cloud.acls() {
        let subject = Subject::Acl(id);
        for direction in Direction::ALL {
            let evidence = never_deciding(acl.entries(direction), direction);
            found.extend(evidence.map(|evidence| Finding { subject, evidence }));
        }
        if is_used(lens, id, acl) {
            let families = families(lens, acl.vpc);
            let unanswered = Direction::ALL.map(|requests| unanswered(acl, requests, &families));
            let evidence: Vec<Evidence> = unanswered.into_iter().flatten().collect();
            // Who is told which answers are lost needs not be told that everything is.
            let denied = if evidence.is_empty() { denies_all(acl) } else { None };
            let evidence = evidence.into_iter().chain(denied);
            found.extend(evidence.map(|evidence| Finding { subject, evidence }));
        }
    }
}

fn is_used(lens: &Lens<'_>, id: NetworkAclId, acl: &NetworkAcl) -> bool {
    let subnets = lens.cloud.vpc(acl.vpc).map_or(&[][..], |vpc| vpc.subnets());
    subnets.iter().any(|subnet| lens.cloud.acl_of(*subnet) == Some(id))
}

/// The families that a VPC has addresses of. Every ACL is born with entries for IPv6, which mean
/// nothing in a VPC without.
fn families(lens: &Lens<'_>, vpc: VpcId) -> Vec<Family> {
    let blocks = lens.cloud.vpc(vpc).map_or(&[][..], |vpc| vpc.blocks());
    blocks.iter().map(|block| Family::of(block.addr())).collect()
}

/// The directions in which nothing passes, if there is any.
fn denies_all(acl: &NetworkAcl) -> Option<Evidence> {
    let denies = |direction: &Direction| {
        let entries = acl.entries(*direction);
        let decides = |(number, entry): (&RuleNumber, &AclEntry)| {
            entry.action == AclAction::Allow
                && covered_by(entries, *number, entry)
                    .is_none_or(|(_, by)| by.action == AclAction::Allow)
        };
        !entries.iter().any(decides)
    };
    let directions: Vec<Direction> = Direction::ALL.into_iter().filter(denies).collect();
    (!directions.is_empty()).then_some(Evidence::AclDeniesAll { directions })
}

fn covers(wide: &AclEntry, narrow: &AclEntry) -> bool {
    wide.traffic.covers(narrow.traffic) && wide.block.contains(&narrow.block)
}

/// The first entry that covers this one and is looked at before it.
fn covered_by(
    entries: &Entries,
    number: RuleNumber,
    entry: &AclEntry,
) -> Option<(RuleNumber, AclEntry)> {
    let mut before = entries.range(..number);
    before.find(|(_, other)| covers(other, entry)).map(|(number, other)| (*number, *other))
}

fn never_deciding(entries: &Entries, direction: Direction) -> impl Iterator<Item = Evidence> {
    entries.iter().filter_map(move |(number, entry)| {
        let by = covered_by(entries, *number, entry)?;
        let entry = (*number, *entry);
        Some(match by.1.action == entry.1.action {
            true => Evidence::RedundantEntry { direction, entry, by },
            false => Evidence::ShadowedEntry { direction, entry, by },
        })
    })
}

/// Entries that let requests pass in this direction, to which no answer can pass in the other; for
/// each protocol and block the first.
fn unanswered(
    acl: &NetworkAcl,
    requests: Direction,
    families: &[Family],
) -> impl Iterator<Item = Evidence> + use<> {
    let entries = acl.entries(requests);
    let back = acl.entries(requests.opposite());
    let mut said: Vec<(Protocol, IpNet)> = Vec::new();
    let mut out = Vec::new();
    for (number, entry) in entries {
        let is_idle = !families.contains(&Family::of(entry.block.addr()));
        if is_idle
            || entry.action == AclAction::Deny
            || covered_by(entries, *number, entry).is_some()
        {
            continue;
        }
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let is_new = !said.contains(&(protocol, entry.block));
            let asks = requested(entry.traffic, protocol);
            if is_new && asks && !is_answered(back, protocol, entry.block) {
                said.push((protocol, entry.block));
                let entry = (*number, *entry);
                out.push(Evidence::AclNoAnswers { requests, entry, protocol });
            }
        }
    }
    out.into_iter()
}

/// The ports of a protocol that a traffic is about.
fn ports(traffic: Traffic, protocol: Protocol) -> Option<PortRange> {
    match traffic {
        Traffic::All => Some(PortRange::ALL),
        Traffic::Tcp(range) => (protocol == Protocol::TCP).then_some(range),
        Traffic::Udp(range) => (protocol == Protocol::UDP).then_some(range),
        Traffic::Icmp(_) | Traffic::Icmpv6(_) | Traffic::Other(_) => None,
    }
}

/// Is an entry about requests of this protocol? "All traffic" and "every port" are, of TCP alone: who
/// opens everything need not mean datagrams that are answered. What lets answers through is not.
fn requested(traffic: Traffic, protocol: Protocol) -> bool {
    let Some(range) = ports(traffic, protocol) else { return false };
    if traffic == Traffic::All && protocol != Protocol::TCP {
        return false;
    }
    let for_answers = range.first() >= EPHEMERAL_FIRST
        && range.first() <= ANSWERED_FIRST
        && range.last() >= ANSWERED_LAST;
    !for_answers
}

/// Can any answer pass these entries to somebody in the block? An entry does not count of which a
/// lower one denies all.
fn is_answered(back: &Entries, protocol: Protocol, block: IpNet) -> bool {
    back.iter().any(|(number, entry)| {
        let reaches =
            ports(entry.traffic, protocol).is_some_and(|range| range.last() >= EPHEMERAL_FIRST);
        entry.action == AclAction::Allow
            && reaches
            && blocks::common(entry.block, block).is_some()
            && covered_by(back, *number, entry).is_none_or(|(_, by)| by.action == AclAction::Allow)
    })
}
