//! What groups and ACLs say of a packet, read straight from the cloud.
//!
//! Holds the two questions, each a search of the whole list. Refuses to remember: connections are
//! asked by the caller.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::{Direction, Traffic};
use crate::cloud::instance::{Host, Interface};
use crate::cloud::network_acl::{AclEntry, RuleNumber};
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::connections::Word;
use crate::forward::gate::Origin;
use crate::wire::{Packet, Protocol};

/// The filters of the cloud as they are at one moment, and nothing else of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::forward) struct Filters<'c> {
    cloud: &'c Cloud,
    now: Instant,
}

/// A rule with the group that it is in.
pub(in crate::forward) type RuleOf = (SecurityGroupId, GroupRule);

impl<'c> Filters<'c> {
    pub(in crate::forward) const fn new(cloud: &'c Cloud, now: Instant) -> Filters<'c> {
        Filters { cloud, now }
    }

    /// What an interface's groups say of a packet, and the first rule that allows it.
    pub(in crate::forward) fn groups(
        self,
        interface: &Interface,
        direction: Direction,
        packet: &Packet,
        origin: Origin,
    ) -> (Word, Option<RuleOf>) {
        // A NAT gateway has no groups (3.6): everything passes, nothing is remembered.
        if let Host::NatGateway(_) = interface.host {
            return (Word::Untracked, None);
        }
        let far = match direction {
            Direction::Ingress => packet.source(),
            Direction::Egress => packet.destination(),
        };
        let allows = |(_, rule): &RuleOf| {
            rule.traffic.matches(packet) && self.is_peer(interface.vpc, rule.peer, far, origin)
        };
        let allowing: Vec<RuleOf> =
            self.rules(interface, direction).filter(|rule| allows(rule)).collect();
        let Some(first) = allowing.first() else { return (Word::Refused, None) };
        // 3.7: a TCP or UDP flow that a rule allows for all addresses is not tracked if all its
        // answers are allowed anyway; and an answer in such a flow opens no other.
        let protocol = packet.protocol();
        let all = |rule: &GroupRule| is_everybody(rule.peer, far);
        let all_ports = |direction| {
            self.rules(interface, direction)
                .any(|(_, rule)| all(&rule) && rule.traffic.is_all_ports_of(protocol))
        };
        let opens_untracked =
            allowing.iter().any(|(_, rule)| all(rule)) && all_ports(direction.opposite());
        let answers_untracked = all_ports(direction)
            && self
                .rules(interface, direction.opposite())
                .any(|(_, rule)| all(&rule) && rule.traffic.matches_answer_to(packet));
        let has_ports = [Protocol::TCP, Protocol::UDP].contains(&protocol);
        let untracked = has_ports && (opens_untracked || answers_untracked);
        let word = if untracked { Word::Untracked } else { Word::Tracked };
        (word, Some(*first))
    }

    /// The entry of an ACL that decides over a packet; `None` is the deny behind the last.
    pub(in crate::forward) fn acl(
        self,
        acl: NetworkAclId,
        direction: Direction,
        packet: &Packet,
    ) -> Option<(RuleNumber, AclEntry)> {
        let far = match direction {
            Direction::Ingress => packet.source(),
            Direction::Egress => packet.destination(),
        };
        let entries = self.cloud.acl(acl)?.entries(direction);
        let decides =
            |entry: &AclEntry| entry.block.contains(&far) && entry.traffic.matches(packet);
        entries.iter().find(|(_, entry)| decides(entry)).map(|(number, entry)| (*number, *entry))
    }

    fn rules(self, of: &Interface, direction: Direction) -> impl Iterator<Item = RuleOf> + use<'c> {
        let groups = of.groups.clone().into_iter();
        groups.flat_map(move |id| {
            let rules = self.cloud.group(id).map_or(&[][..], |group| group.rules(direction));
            rules.iter().map(move |rule| (id, *rule))
        })
    }

    /// Does a rule of a group in `vpc` mean the far end?
    fn is_peer(self, vpc: VpcId, peer: RulePeer, far: IpAddr, origin: Origin) -> bool {
        match peer {
            RulePeer::Block(block) => block.contains(&far),
            RulePeer::PrefixList(list) => self
                .cloud
                .prefix_list(list)
                .is_some_and(|list| list.entries.iter().any(|block| block.contains(&far))),
            RulePeer::Group(group) => {
                origin == Origin::Own
                    && self.cloud.group_usable(vpc, group, self.now)
                    && self.has_member(group, far)
            }
        }
    }

    /// Is the address a private one of an interface that has the group?
    fn has_member(self, group: SecurityGroupId, address: IpAddr) -> bool {
        let home = self.cloud.group(group).map(|group| group.vpc);
        let owner = home.and_then(|vpc| self.cloud.owner(vpc, address));
        let owner = owner.and_then(|id| self.cloud.interface(id));
        owner.is_some_and(|interface| interface.groups.contains(&group))
    }
}

/// Is this peer every address of the far end's family?
pub(in crate::forward) fn is_everybody(peer: RulePeer, far: IpAddr) -> bool {
    match peer {
        RulePeer::Block(IpNet::V4(block)) => far.is_ipv4() && block.prefix_len() == 0,
        RulePeer::Block(IpNet::V6(block)) => far.is_ipv6() && block.prefix_len() == 0,
        RulePeer::PrefixList(_) | RulePeer::Group(_) => false,
    }
}

/// Does a rule let everything through, so that nobody needs to be told?
pub(crate) fn is_open(rule: &GroupRule) -> bool {
    let everywhere = matches!(rule.peer, RulePeer::Block(block) if block.prefix_len() == 0);
    rule.traffic == Traffic::All && everywhere
}
