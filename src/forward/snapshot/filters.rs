//! Groups and ACLs, compiled: what each interface's rules say, with every address looked up.
//!
//! Holds one row for each distinct list of groups and for each ACL. Refuses to share a line with the
//! reference's filters beyond the types of the rules.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::{Direction, Traffic};
use crate::cloud::instance::{Host, Interface};
use crate::cloud::network_acl::{AclAction, AclEntry};
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::Rows;
use crate::forward::connections::{Judgement, Tracking, Word};
use crate::forward::gate::Origin;
use crate::wire::{Family, Packet, Protocol};

/// The row of an interface's groups, counted from one; a NAT gateway has none, and everything
/// passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::forward) struct FilterIdx(Option<NonZeroU32>);

impl FilterIdx {
    pub(in crate::forward) const NO_GROUPS: FilterIdx = FilterIdx(None);

    /// The row after so many others.
    #[allow(clippy::expect_used, reason = "one list for each interface at most: far below 2^32")]
    fn after(rows: usize) -> FilterIdx {
        let number = u32::try_from(rows + 1).ok().and_then(NonZeroU32::new);
        FilterIdx(Some(number.expect("there are fewer than 2^32 lists of groups")))
    }
}

/// Whether a packet passes an interface's groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::forward) enum Passes {
    Yes,
    No,
    /// It would, if its connection could be remembered.
    Full,
}

/// Whose packets a rule allows, with every name looked up.
#[derive(Clone, Debug)]
enum Far {
    Block(IpNet),
    /// A prefix list's blocks.
    Blocks(Box<[IpNet]>),
    /// A group's members, sorted. Many rules may name the same group.
    Members(Arc<[IpAddr]>),
}

#[derive(Clone, Debug)]
struct Rule {
    traffic: Traffic,
    far: Far,
}

/// The rules of one direction, and over what everybody may talk: bit 0 TCP, bit 1 UDP over IPv4,
/// bits 2 and 3 the same over IPv6, all ports each (3.7, untracked connections).
#[derive(Clone, Debug, Default)]
struct Rules {
    rules: Box<[Rule]>,
    to_everybody: u8,
    /// By family, IPv4 first: is everything allowed for everybody?
    open: [bool; 2],
}

/// An ACL's entries of one direction, by ascending number.
#[derive(Clone, Debug)]
struct Entries {
    all: Box<[AclEntry]>,
    /// By family, IPv4 first: does the first entry let everything pass?
    open: [bool; 2],
}

/// Every filter of one version of the network.
#[derive(Clone, Debug)]
pub(in crate::forward) struct Filters {
    /// By distinct list of groups, ingress and egress.
    groups: Vec<[Rules; 2]>,
    by_list: FxHashMap<(VpcId, Vec<SecurityGroupId>), FilterIdx>,
    members: FxHashMap<SecurityGroupId, Arc<[IpAddr]>>,
    acls: Box<[Option<[Entries; 2]>]>,
}

const fn side(direction: Direction) -> usize {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 1,
    }
}

impl Filters {
    /// The ACLs, and who is in which group; interfaces come with [`Filters::of`].
    pub(in crate::forward) fn compile(cloud: &Cloud, rows: &Rows) -> Filters {
        let mut members: FxHashMap<SecurityGroupId, Vec<IpAddr>> = FxHashMap::default();
        for (_, interface) in cloud.interfaces() {
            for group in &interface.groups {
                members.entry(*group).or_default().extend(&interface.addresses);
            }
        }
        let sorted = |(group, mut addresses): (SecurityGroupId, Vec<IpAddr>)| {
            addresses.sort_unstable();
            (group, addresses.into())
        };
        let members = members.into_iter().map(sorted).collect();
        let acl = |row| {
            let acl = cloud.acl(rows.acl_id(AclIdx::from_row(row)))?;
            Some(Direction::ALL.map(|direction| entries(acl.entries(direction).values().copied())))
        };
        Filters {
            groups: Vec::new(),
            by_list: FxHashMap::default(),
            members,
            acls: (0..rows.acl_count()).map(acl).collect(),
        }
    }

    /// The row of an interface's groups, compiled when the list is met for the first time.
    pub(in crate::forward) fn of(
        &mut self,
        cloud: &Cloud,
        interface: &Interface,
        now: Instant,
    ) -> FilterIdx {
        if let Host::NatGateway(_) = interface.host {
            return FilterIdx::NO_GROUPS;
        }
        let list = (interface.vpc, interface.groups.clone());
        if let Some(known) = self.by_list.get(&list) {
            return *known;
        }
        let rules = Direction::ALL.map(|direction| {
            let groups = interface.groups.iter().filter_map(|id| cloud.group(*id));
            let all = groups.flat_map(|group| group.rules(direction));
            self.rules(cloud, interface.vpc, all, now)
        });
        let row = FilterIdx::after(self.groups.len());
        self.groups.push(rules);
        self.by_list.insert(list, row);
        row
    }

    fn rules<'r>(
        &self,
        cloud: &Cloud,
        vpc: VpcId,
        all: impl Iterator<Item = &'r GroupRule>,
        now: Instant,
    ) -> Rules {
        let mut compiled = Rules::default();
        let mut rules = Vec::new();
        let mut open = [false; 2];
        for rule in all {
            let far = match rule.peer {
                RulePeer::Block(block) => {
                    if block.prefix_len() == 0 {
                        let v6 = matches!(block, IpNet::V6(_));
                        compiled.to_everybody |= every_port(rule.traffic) << (2 * u8::from(v6));
                        open[usize::from(v6)] |= rule.traffic == Traffic::All;
                    }
                    Far::Block(block)
                }
                RulePeer::PrefixList(list) => {
                    let list = cloud.prefix_list(list);
                    Far::Blocks(list.map(|list| list.entries.clone()).unwrap_or_default().into())
                }
                RulePeer::Group(group) if cloud.group_usable(vpc, group, now) => {
                    Far::Members(self.members.get(&group).cloned().unwrap_or_default())
                }
                // A stale rule allows nobody.
                RulePeer::Group(_) => continue,
            };
            rules.push(Rule { traffic: rule.traffic, far });
        }
        compiled.rules = rules.into();
        compiled.open = open;
        compiled
    }

    /// Does a packet pass the groups of an interface in this direction?
    pub(in crate::forward) fn groups_pass(
        &self,
        (filter, at): (FilterIdx, InterfaceIdx),
        direction: Direction,
        packet: &Packet,
        origin: Origin,
        memory: &mut impl Tracking,
    ) -> Passes {
        let Some(number) = filter.0 else { return Passes::Yes };
        let Some(both) = self.groups.get(number.get() as usize - 1) else { return Passes::No };
        let (rules, answers) = (&both[side(direction)], &both[side(direction.opposite())]);
        let has_ports = [Protocol::TCP, Protocol::UDP].contains(&packet.protocol());
        let family = family_row(packet);
        let is_open = rules.open[family] && answers.open[family];
        if is_open && has_ports && memory.is_blank(at) && !packet.is_fragment() {
            // Open both ways and nothing remembered: it passes, and nothing will be remembered.
            return Passes::Yes;
        }
        let say = || rules.say(answers, direction, packet, origin);
        match memory.judge(at, direction, packet, say) {
            Judgement::Refused => Passes::No,
            Judgement::Full => Passes::Full,
            _ => Passes::Yes,
        }
    }

    /// By family, IPv4 first: do these groups let everything pass both ways?
    pub(in crate::forward) fn groups_open(&self, filter: FilterIdx) -> [bool; 2] {
        let Some(number) = filter.0 else { return [true; 2] };
        let Some([into, out]) = self.groups.get(number.get() as usize - 1) else {
            return [false; 2];
        };
        [into.open[0] && out.open[0], into.open[1] && out.open[1]]
    }

    /// By family, IPv4 first: does the ACL let everything pass in this direction?
    pub(in crate::forward) fn acl_open(&self, acl: AclIdx, direction: Direction) -> [bool; 2] {
        let both = self.acls.get(acl.row()).and_then(Option::as_ref);
        both.map_or([false; 2], |both| both[side(direction)].open)
    }

    /// Does a packet pass an ACL?
    pub(in crate::forward) fn acl_passes(
        &self,
        acl: AclIdx,
        direction: Direction,
        packet: &Packet,
    ) -> bool {
        let Some(both) = self.acls.get(acl.row()).and_then(Option::as_ref) else { return false };
        let entries = &both[side(direction)];
        if entries.open[family_row(packet)] {
            return true;
        }
        let far = far_end(packet, direction);
        for entry in &entries.all {
            if entry.block.contains(&far) && entry.traffic.matches(packet) {
                return entry.action == AclAction::Allow;
            }
        }
        false
    }
}

impl Rules {
    fn say(&self, answers: &Rules, direction: Direction, packet: &Packet, origin: Origin) -> Word {
        let far = far_end(packet, direction);
        let bit = port_bit(packet.protocol(), far);
        let mut word = Word::Refused;
        for rule in &self.rules {
            if !rule.traffic.matches(packet) || !rule.far.holds(far, origin) {
                continue;
            }
            word = Word::Tracked;
            if rule.far.is_everybody(far) && answers.to_everybody & bit != 0 {
                return Word::Untracked;
            }
        }
        let answers_untracked = word == Word::Tracked
            && self.to_everybody & bit != 0
            && answers
                .rules
                .iter()
                .any(|rule| rule.far.is_everybody(far) && rule.traffic.matches_answer_to(packet));
        if answers_untracked { Word::Untracked } else { word }
    }
}

impl Far {
    /// Is it every address of the far end's family?
    fn is_everybody(&self, far: IpAddr) -> bool {
        matches!(self, Far::Block(block) if block.prefix_len() == 0 && block.contains(&far))
    }

    fn holds(&self, far: IpAddr, origin: Origin) -> bool {
        match self {
            Far::Block(block) => block.contains(&far),
            Far::Blocks(blocks) => blocks.iter().any(|block| block.contains(&far)),
            Far::Members(members) => origin == Origin::Own && members.binary_search(&far).is_ok(),
        }
    }
}

fn far_end(packet: &Packet, direction: Direction) -> IpAddr {
    match direction {
        Direction::Ingress => packet.source(),
        Direction::Egress => packet.destination(),
    }
}

/// The bits of [`Rules::to_everybody`] for IPv4: which protocols with ports this is all ports of.
const fn every_port(traffic: Traffic) -> u8 {
    match traffic {
        Traffic::All => 0b11,
        Traffic::Tcp(ports) if ports.first() == 0 && ports.last() == u16::MAX => 0b01,
        Traffic::Udp(ports) if ports.first() == 0 && ports.last() == u16::MAX => 0b10,
        _ => 0,
    }
}

/// The bit of a protocol with ports; none for others, which are always tracked.
fn port_bit(protocol: Protocol, far: IpAddr) -> u8 {
    let bit = match protocol {
        Protocol::TCP => 0b01,
        Protocol::UDP => 0b10,
        _ => 0,
    };
    if far.is_ipv6() { bit << 2 } else { bit }
}

fn entries(all: impl Iterator<Item = AclEntry>) -> Entries {
    let all: Box<[AclEntry]> = all.collect();
    let family = |v6: bool| all.iter().find(move |e| matches!(e.block, IpNet::V6(_)) == v6);
    let passes = |entry: Option<&AclEntry>| {
        entry.is_some_and(|e| {
            e.action == AclAction::Allow && e.traffic == Traffic::All && e.block.prefix_len() == 0
        })
    };
    let open = [passes(family(false)), passes(family(true))];
    Entries { all, open }
}

/// IPv4 first.
fn family_row(packet: &Packet) -> usize {
    usize::from(packet.family() == Family::V6)
}
