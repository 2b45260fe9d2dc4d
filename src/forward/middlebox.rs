//! Middleboxes: hosts inside a VPC that send on what they get.
//!
//! Holds routers, NAT instances and NAT gateways: given a packet that arrived, the packet that leaves
//! anew. Refuses to know where it goes then: it meets every check that any packet of that interface
//! meets, beginning with the first. So a middlebox is no way around the gate: a packet for another
//! VPC never reaches it over a peering, and what it sends crosses one network boundary at most.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::DropReason;
use super::connections::with_echo;
use crate::base::id::InterfaceId;
use crate::base::limit::NAT_TRANSLATIONS_MAX;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::instance::Host;
use crate::wire::{
    Change, FlowKey, Packet, Protocol, lower_hop_limit, quoted, readdress, readdress_quoted,
};

/// What an instance does with packets that are not for itself. Without a role it receives them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Sends them on unchanged, one hop lower.
    Router,
    /// Sends them on from its own address, and the answers back (vpc-semantics 3.6).
    Nat,
}

impl Role {
    /// Both.
    pub const ALL: [Role; 2] = [Role::Router, Role::Nat];

    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Router => "router",
            Role::Nat => "nat",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What becomes of a packet at the interface where it arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// It is received: the host is where it ends.
    Received,
    /// The host sends this one on instead.
    SentOn(Packet),
    /// The host cannot send it on.
    Dropped(DropReason),
}

/// Idle time of a translation (what AWS documents for its NAT gateways).
const TRANSLATION: Span = Span::from_secs(350);
/// The lowest port that a NAT device uses of its own accord (vpc-semantics 3.8: 1024-65535).
const LOWEST_PORT: u16 = 1_024;

/// Every middlebox that the lab has, and what NAT devices remember. A NAT gateway is one by itself;
/// an instance becomes one by its role.
#[derive(Clone, Debug, Default)]
pub struct Middleboxes {
    roles: BTreeMap<InterfaceId, Role>,
    translations: BTreeMap<InterfaceId, Translations>,
}

impl Middleboxes {
    /// From now on the host behind this interface has this role, or none.
    pub fn set_role(&mut self, interface: InterfaceId, role: Option<Role>) {
        match role {
            Some(role) => self.roles.insert(interface, role),
            None => self.roles.remove(&interface),
        };
    }

    /// The role of the host behind this interface.
    pub fn role(&self, interface: InterfaceId) -> Option<Role> {
        self.roles.get(&interface).copied()
    }

    /// What the host at `at` does with a packet that was let in there.
    pub fn next(&mut self, cloud: &Cloud, at: InterfaceId, packet: &Packet, now: Instant) -> Next {
        let Some(interface) = cloud.interface(at) else { return Next::Received };
        let own = interface.owns(packet.destination());
        match (interface.host, self.role(at)) {
            (Host::NatGateway(_), _) => {
                let Some(address) = interface.addresses.first() else {
                    return Next::Dropped(DropReason::NoTranslation);
                };
                self.translate(at, *address, own, packet, now)
                    .unwrap_or(Next::Dropped(DropReason::NoTranslation))
            }
            (Host::Instance(_), Some(Role::Nat)) => {
                let same_family = |a: &&IpAddr| a.is_ipv4() == packet.destination().is_ipv4();
                let address = interface.addresses.iter().find(same_family);
                let answer =
                    address.and_then(|address| self.translate(at, *address, own, packet, now));
                match answer {
                    Some(next) => next,
                    // What is for the instance itself and answers nothing is received.
                    None if own => Next::Received,
                    None => Next::Dropped(DropReason::NoTranslation),
                }
            }
            (Host::Instance(_), Some(Role::Router)) if !own => one_hop(packet),
            (Host::Instance(_), _) => Next::Received,
        }
    }

    /// One hop through a NAT device whose address is `address`; `None` if it cannot translate.
    fn translate(
        &mut self,
        at: InterfaceId,
        address: IpAddr,
        own: bool,
        packet: &Packet,
        now: Instant,
    ) -> Option<Next> {
        let table = self.translations.entry(at).or_default();
        let changed =
            if own { table.inwards(packet, now)? } else { table.outwards(packet, address, now)? };
        Some(one_hop(&changed))
    }
}

fn one_hop(packet: &Packet) -> Next {
    match lower_hop_limit(packet) {
        Some(lower) => Next::SentOn(lower),
        None => Next::Dropped(DropReason::HopLimit),
    }
}

/// A flow with the identifier of echo messages in place of ports.
type Flow = FlowKey;

/// The translations of one NAT device: by the flow as it comes from inside, and by the answers as
/// they come from outside.
#[derive(Clone, Debug, Default)]
struct Translations {
    by_inside: FxHashMap<Flow, Translation>,
    by_outside: FxHashMap<Flow, Flow>,
    /// How many ports each far end's answers take up: tells without a search that none is free.
    taken: FxHashMap<FarEnd, usize>,
    next_port: u16,
    /// Nothing expires before this: looking for what has would be in vain.
    none_before: Instant,
}

/// What a NAT device remembers of a flow: its own port, and until when.
#[derive(Clone, Copy, Debug)]
struct Translation {
    /// The answers as they come from outside; their destination port is the device's.
    answers: Flow,
    expires: Instant,
}

/// Where a flow leads: address, port (none for echo messages), protocol.
type FarEnd = (IpAddr, u16, Protocol);

/// The ports from which a NAT device chooses.
const PORTS: u16 = u16::MAX - LOWEST_PORT + 1;

impl Translations {
    /// A packet from inside: from the device's own address, with a port of its own.
    fn outwards(&mut self, packet: &Packet, address: IpAddr, now: Instant) -> Option<Packet> {
        let inside = flow(packet)?;
        let port = match self.by_inside.get_mut(&inside) {
            Some(known) if known.expires > now => {
                known.expires = now + TRANSLATION;
                known.answers.destination_port
            }
            _ => self.open(inside, address, now)?,
        };
        let change = Change { source: Some(address), source_port: Some(port), ..Change::default() };
        readdress(packet, change)
    }

    /// A packet for the device's own address: to whoever it is an answer for.
    fn inwards(&mut self, packet: &Packet, now: Instant) -> Option<Packet> {
        if let Some(quoted) = quoted(packet) {
            // The quote is of a packet that the device sent.
            let answers = with_echo(quoted.flow, quoted.echo).reversed();
            let (inside, _) = self.live(&answers, now)?;
            let outer = Change { destination: Some(inside.source), ..Change::default() };
            let inner = Change {
                source: Some(inside.source),
                source_port: Some(inside.source_port),
                ..Change::default()
            };
            return readdress_quoted(packet, outer, inner);
        }
        let (inside, known) = self.live(&flow(packet)?, now)?;
        known.expires = now + TRANSLATION;
        let change = Change {
            destination: Some(inside.source),
            destination_port: Some(inside.source_port),
            ..Change::default()
        };
        readdress(packet, change)
    }

    /// The flow from inside that these are answers to, unless it has been forgotten.
    fn live(&mut self, answers: &Flow, now: Instant) -> Option<(Flow, &mut Translation)> {
        let inside = *self.by_outside.get(answers)?;
        let known = self.by_inside.get_mut(&inside)?;
        (known.expires > now).then_some((inside, known))
    }

    /// A port for a new flow: its own if that is free, else the next free one. Linear in the table
    /// when there is no room and something has expired; else as long as the run of taken ports.
    fn open(&mut self, inside: Flow, address: IpAddr, now: Instant) -> Option<u16> {
        self.close(inside);
        let far_end = far_end(&inside);
        if self.is_full(far_end) {
            self.forget(now);
        }
        if self.is_full(far_end) {
            return None;
        }
        let answers = |port| {
            let mut outside = Flow { source: address, source_port: port, ..inside }.reversed();
            if !outside.protocol.has_ports() {
                // An echo answer carries the same identifier as its request.
                outside.source_port = port;
            }
            outside
        };
        let first = inside.source_port.max(LOWEST_PORT);
        let others = (self.next_port..PORTS).chain(0..self.next_port);
        let port = std::iter::once(first)
            .chain(others.map(|n| LOWEST_PORT + n))
            .find(|port| !self.by_outside.contains_key(&answers(*port)))?;
        if port != first {
            self.next_port = (port - LOWEST_PORT + 1) % PORTS;
        }
        let new = Translation { answers: answers(port), expires: now + TRANSLATION };
        self.by_outside.insert(new.answers, inside);
        self.by_inside.insert(inside, new);
        *self.taken.entry(far_end).or_default() += 1;
        self.none_before = self.none_before.min(new.expires);
        Some(port)
    }

    /// Is there no room for a further flow to this far end?
    fn is_full(&self, far_end: FarEnd) -> bool {
        self.by_inside.len() >= NAT_TRANSLATIONS_MAX
            || self.taken.get(&far_end).is_some_and(|taken| *taken >= usize::from(PORTS))
    }

    /// Lets go of a translation.
    fn close(&mut self, inside: Flow) {
        let Some(known) = self.by_inside.remove(&inside) else { return };
        self.by_outside.remove(&known.answers);
        let far_end = far_end(&inside);
        if let Some(taken) = self.taken.get_mut(&far_end) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(&far_end);
            }
        }
    }

    /// Lets go of what has expired. Linear in the table if something may have, else constant.
    fn forget(&mut self, now: Instant) {
        if self.none_before > now {
            return;
        }
        let expired =
            |(inside, known): (&Flow, &Translation)| (known.expires <= now).then_some(*inside);
        let expired: Vec<Flow> = self.by_inside.iter().filter_map(expired).collect();
        expired.into_iter().for_each(|inside| self.close(inside));
        let earliest = self.by_inside.values().map(|known| known.expires).min();
        self.none_before = earliest.unwrap_or(Instant::NEVER);
    }
}

/// Where a flow leads.
fn far_end(flow: &Flow) -> FarEnd {
    let port = if flow.protocol.has_ports() { flow.destination_port } else { 0 };
    (flow.destination, port, flow.protocol)
}

/// The flow of a packet that a NAT device can tell from others: TCP, UDP and echo messages, whole or
/// first fragments.
fn flow(packet: &Packet) -> Option<Flow> {
    let flow = packet.flow();
    if let Some(echo) = packet.icmp_echo() {
        return Some(with_echo(flow, Some(echo)));
    }
    let ported = [Protocol::TCP, Protocol::UDP].contains(&flow.protocol);
    (ported && !packet.is_later_fragment()).then_some(flow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::build;

    const DEVICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 9, 9));

    fn from_host(host: u8, port: u16) -> Packet {
        let (source, destination) = (([10, 0, 0, host], port).into(), ([198, 18, 0, 1], 53).into());
        build::udp(source, destination, &[]).unwrap()
    }

    /// Opens as many flows of one host as there are ports, at `now`.
    fn all_ports(of: u8, table: &mut Translations, now: Instant) {
        for port in LOWEST_PORT..=u16::MAX {
            let sent = table.outwards(&from_host(of, port), DEVICE, now).unwrap();
            assert_eq!(sent.flow().source_port, port);
        }
    }

    #[test]
    fn ports_run_out_for_one_far_end_and_come_back_when_they_expire() {
        let mut table = Translations::default();
        let later = Instant::START + TRANSLATION;
        all_ports(1, &mut table, Instant::START);
        assert!(table.outwards(&from_host(2, 5_000), DEVICE, Instant::START).is_none());
        // One flow goes on, all others have been silent for long enough.
        let soon = Instant::START + Span::from_secs(1);
        table.outwards(&from_host(1, 6_000), DEVICE, soon).unwrap();
        let sent = table.outwards(&from_host(2, 6_000), DEVICE, later).unwrap();
        assert_ne!(sent.flow().source_port, 6_000, "which the first host still has");
        assert_eq!(table.by_inside.len(), 2);
        assert_eq!(table.by_outside.len(), 2);
        assert_eq!(table.taken.values().sum::<usize>(), 2);
    }

    #[test]
    fn flows_that_begin_anew_take_no_second_port() {
        let mut table = Translations::default();
        for round in 0..3 {
            all_ports(1, &mut table, Instant::START + Span::from_secs(round * 3_600));
        }
        assert_eq!(table.by_outside.len(), usize::from(PORTS));
    }
}
