//! What would let a packet through security groups and network ACLs.
//!
//! Holds the choice of the narrowest rule that an operator would write: the packet's own protocol
//! and port, or ICMP type, and the far host alone. Refuses to widen what others have written: an
//! entry that denies stays, behind the new one, unless there is no number before it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::bench::{Bench, Blocked};
use super::{Fix, NoOffer, Way};
use crate::base::id::*;
use crate::cloud::filter::{Direction, IcmpMatch, PortRange, Traffic};
use crate::cloud::network_acl::{AclAction, AclEntry, NetworkAcl, RuleNumber};
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::Location;
use crate::forward::walk::Step;
use crate::wire::{Family, Packet, Protocol, Transport};

/// The lowest port that a client may use of its own accord (vpc-semantics 3.8: 1024-65535 serves
/// every client).
const EPHEMERAL_FIRST: u16 = 1_024;

/// How far apart operators number entries (vpc-semantics 3.8), and the number of the first.
const NUMBER_STEP: u16 = 10;
const NUMBER_FIRST: u16 = 100;

impl Bench<'_> {
    /// A rule in one of the interface's groups: in the one that the fewest interfaces have, so that
    /// the rule opens as little as can be.
    pub(super) fn allow_in_group(
        &self,
        blocked: &Blocked,
        at: Location,
        direction: Direction,
    ) -> Result<Fix, NoOffer> {
        let Location::Interface(interface) = at else { return Err(NoOffer::Gone) };
        let groups = &self.cloud.interface(interface).ok_or(NoOffer::Gone)?.groups;
        let members = |group: &SecurityGroupId| {
            self.cloud.interfaces().filter(|(_, other)| other.groups.contains(group)).count()
        };
        let group = *groups.iter().min_by_key(|group| members(group)).ok_or(NoOffer::Gone)?;
        let peer = RulePeer::Block(far_host(&blocked.walk.packet, direction));
        let rule = GroupRule { traffic: traffic(blocked), peer };
        Ok(Fix::AllowInGroup { group, direction, rule })
    }

    /// An entry of the ACL before the one that decided.
    pub(super) fn allow_in_acl(&self, blocked: &Blocked, at: Location) -> Result<Fix, NoOffer> {
        let Location::Acl(acl) = at else { return Err(NoOffer::Gone) };
        let decided = blocked.walk.steps.iter().rev().find_map(|step| match step {
            Step::Acl { direction, entry, .. } => {
                Some((*direction, entry.map(|(number, _)| number)))
            }
            _ => None,
        });
        let (direction, decided) = decided.ok_or(NoOffer::Gone)?;
        let list = self.cloud.acl(acl).ok_or(NoOffer::Gone)?;
        let block = far_host(&blocked.walk.packet, direction);
        let entry = AclEntry { traffic: traffic(blocked), block, action: AclAction::Allow };
        Ok(match (free_number(list, direction, decided), decided) {
            (Some(number), _) => Fix::AllowInAcl { acl, direction, number, entry },
            (None, Some(number)) => Fix::ReplaceInAcl { acl, direction, number, entry },
            (None, None) => return Err(NoOffer::NoProgress),
        })
    }
}

/// A free number before the one that decided: the next lower one. Behind all entries, if none of
/// them decided: as operators number them, else the highest that is free.
fn free_number(
    acl: &NetworkAcl,
    direction: Direction,
    decided: Option<RuleNumber>,
) -> Option<RuleNumber> {
    let taken = acl.entries(direction);
    let free = |n: &u16| RuleNumber::new(*n).is_some_and(|number| !taken.contains_key(&number));
    let number = match decided {
        Some(decided) => (1..decided.get()).rev().find(free),
        None => {
            let after_last = taken.keys().next_back().map_or(NUMBER_FIRST, |last| {
                (last.get() / NUMBER_STEP).saturating_add(1).saturating_mul(NUMBER_STEP)
            });
            Some(after_last).filter(free).or_else(|| (1..=RuleNumber::MAX.get()).rev().find(free))
        }
    };
    number.and_then(RuleNumber::new)
}

/// The address at the other end, alone.
fn far_host(packet: &Packet, direction: Direction) -> IpNet {
    let far: IpAddr = match direction {
        Direction::Ingress => packet.source(),
        Direction::Egress => packet.destination(),
    };
    far.into()
}

/// The traffic of the packet that was blocked, as a rule would say it.
///
/// An answer goes to a port that its receiver chose at random, another one each time: a rule about
/// it names them all.
fn traffic(blocked: &Blocked) -> Traffic {
    let packet = &blocked.walk.packet;
    let ports = match packet.transport() {
        Transport::Ports { destination, .. } if blocked.way == Way::Back => {
            PortRange::new(EPHEMERAL_FIRST, u16::MAX)
                .filter(|range| range.contains(destination))
                .unwrap_or(PortRange::one(destination))
        }
        Transport::Ports { destination, .. } => PortRange::one(destination),
        // A fragment without its ports is only let through by a rule that asks for none.
        _ => PortRange::ALL,
    };
    let icmp = packet.icmp().map_or(IcmpMatch::Any, |icmp| IcmpMatch::Type(icmp.kind));
    match (packet.protocol(), packet.family()) {
        (Protocol::TCP, _) => Traffic::Tcp(ports),
        (Protocol::UDP, _) => Traffic::Udp(ports),
        (Protocol::ICMP, Family::V4) => Traffic::Icmp(icmp),
        (Protocol::ICMPV6, Family::V6) => Traffic::Icmpv6(icmp),
        (other, _) => Traffic::Other(other),
    }
}
