//! Middleboxes: hosts inside a VPC that send on what they get.
//!
//! Holds routers, NAT instances and NAT gateways: given a packet that arrived, the packet that leaves
//! anew. Refuses to know where it goes then: it meets every check that any packet of that interface
//! meets, beginning with the first. So a middlebox is no way around the gate: a packet for another
//! VPC never reaches it over a peering, and what it sends crosses one network boundary at most.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::DropReason;
use super::connections::{FRAGMENTS, with_echo};
use super::expiring::Expiring;
use crate::base::id::InterfaceId;
use crate::base::limit::{FRAGMENTS_TRACKED_MAX, NAT_TRANSLATIONS_MAX};
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::instance::Host;
use crate::wire::{
    Change, FlowKey, Packet, Protocol, lower_hop_limit, quoted, readdress, readdress_quoted,
};

#[cfg(test)]
mod tests;

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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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

    /// The interfaces of NAT gateways and of hosts with a role: what arrives anywhere else is
    /// received. Some of them may be gone.
    pub fn all(&self, cloud: &Cloud) -> impl Iterator<Item = InterfaceId> {
        let gateways = cloud.nat_gateways().map(|(_, gateway)| gateway.interface);
        gateways.chain(self.roles.keys().copied())
    }

    /// What the host at `at` does with a packet that was let in there.
    pub fn next(&mut self, cloud: &Cloud, at: InterfaceId, packet: &Packet, now: Instant) -> Next {
        let Some(interface) = cloud.interface(at) else { return Next::Received };
        let own = interface.owns(packet.destination());
        match (interface.host, self.role(at)) {
            // It carries fragments of UDP, and of nothing else (vpc-semantics 3.8).
            (Host::NatGateway(_), _)
                if packet.is_fragment() && packet.protocol() != Protocol::UDP =>
            {
                Next::Dropped(DropReason::NoTranslation)
            }
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
            // Nobody gets nothing: no packet is let in there.
            (Host::Instance(_) | Host::Nobody, _) => Next::Received,
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
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Translations {
    by_inside: Expiring<Flow, Outside>,
    by_outside: FxHashMap<Flow, Flow>,
    /// How many ports each far end's answers take up: tells without a search that none is free.
    taken: FxHashMap<FarEnd, u16>,
    /// Where to look first for a port that is free.
    next_port: u16,
    /// What was changed in a packet's first fragment, for those that follow without ports.
    fragments: Expiring<FragmentKey, Change>,
}

/// What a flow from inside looks like outside: the device's address, of which it has one for each
/// family, and a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Outside {
    address: IpAddr,
    port: u16,
}

/// The packet that a fragment belongs to: source, destination, protocol, identification.
type FragmentKey = (IpAddr, IpAddr, Protocol, u32);

impl Translations {
    /// A packet from inside: from the device's own address, with a port of its own.
    fn outwards(&mut self, packet: &Packet, address: IpAddr, now: Instant) -> Option<Packet> {
        if packet.source().is_ipv4() != address.is_ipv4() {
            return None;
        }
        if let Some(quoted) = quoted(packet) {
            // The quote is of a packet that the device sent inwards (RFC 5508, 4.2).
            let inside = with_echo(quoted.flow, quoted.echo).reversed();
            let outside = *self.by_inside.get(&inside, now)?;
            let outer = Change { source: Some(outside.address), ..Change::default() };
            let inner = Change {
                destination: Some(outside.address),
                destination_port: Some(outside.port),
                ..Change::default()
            };
            return readdress_quoted(packet, outer, inner);
        }
        if packet.is_later_fragment() {
            return self.like_the_first(packet, now);
        }
        let inside = flow(packet)?;
        let port = match self.by_inside.get(&inside, now) {
            Some(outside) => {
                let port = outside.port;
                self.by_inside.set_expiry(&inside, now + TRANSLATION);
                port
            }
            None => self.open(inside, address, now)?,
        };
        let change = Change { source: Some(address), source_port: Some(port), ..Change::default() };
        self.remember_fragments(packet, change, now);
        readdress(packet, change)
    }

    /// A packet for the device's own address: to whoever it is an answer for.
    fn inwards(&mut self, packet: &Packet, now: Instant) -> Option<Packet> {
        if let Some(quoted) = quoted(packet) {
            // The quote is of a packet that the device sent. Errors keep no translation alive.
            let inside = self.inside(&with_echo(quoted.flow, quoted.echo).reversed(), now)?;
            let outer = Change { destination: Some(inside.source), ..Change::default() };
            let inner = Change {
                source: Some(inside.source),
                source_port: Some(inside.source_port),
                ..Change::default()
            };
            return readdress_quoted(packet, outer, inner);
        }
        if packet.is_later_fragment() {
            return self.like_the_first(packet, now);
        }
        let inside = self.inside(&flow(packet)?, now)?;
        self.by_inside.set_expiry(&inside, now + TRANSLATION);
        let change = Change {
            destination: Some(inside.source),
            destination_port: Some(inside.source_port),
            ..Change::default()
        };
        self.remember_fragments(packet, change, now);
        readdress(packet, change)
    }

    /// The fragments that follow this one are changed like it. Without room they are not sent on.
    fn remember_fragments(&mut self, packet: &Packet, change: Change, now: Instant) {
        if let Some(key) = fragment_key(packet) {
            self.fragments.insert(key, change, now + FRAGMENTS, now, FRAGMENTS_TRACKED_MAX);
        }
    }

    /// A later fragment, which has no ports: what its first one was changed to says where it goes.
    fn like_the_first(&self, packet: &Packet, now: Instant) -> Option<Packet> {
        readdress(packet, *self.fragments.get(&fragment_key(packet)?, now)?)
    }

    /// The flow from inside for which this is an answer, if the translation is still in force.
    fn inside(&self, answer: &Flow, now: Instant) -> Option<Flow> {
        let inside = self.by_outside.get(answer)?;
        self.by_inside.get(inside, now).map(|_| *inside)
    }

    /// A port for a new flow: its own if that is free, else the next free one. Costs a logarithm and
    /// the run of ports that are taken; nothing more when there is no room.
    fn open(&mut self, inside: Flow, address: IpAddr, now: Instant) -> Option<u16> {
        let Translations { by_inside, by_outside, taken, next_port, .. } = self;
        by_inside.forget(now, |gone, outside| {
            by_outside.remove(&answers_to(gone, outside));
            if let Entry::Occupied(mut ports) = taken.entry(far_end(&gone)) {
                *ports.get_mut() -= 1;
                if *ports.get() == 0 {
                    ports.remove();
                }
            }
        });
        // From here on, whatever is in the tables is in force.
        let far_end = far_end(&inside);
        let all_taken = taken.get(&far_end).is_some_and(|ports| *ports >= PORTS);
        if all_taken || by_inside.len() >= NAT_TRANSLATIONS_MAX {
            return None;
        }
        let first = inside.source_port.max(LOWEST_PORT);
        let others = ((*next_port).max(LOWEST_PORT)..=u16::MAX).chain(LOWEST_PORT..=u16::MAX);
        let is_free = |port: &u16| {
            !by_outside.contains_key(&answers_to(inside, Outside { address, port: *port }))
        };
        let port = std::iter::once(first).chain(others).find(is_free)?;
        if port != first {
            *next_port = port.checked_add(1).unwrap_or(LOWEST_PORT);
        }
        *taken.entry(far_end).or_default() += 1;
        let outside = Outside { address, port };
        by_outside.insert(answers_to(inside, outside), inside);
        let expires = now + TRANSLATION;
        let has_room = by_inside.insert(inside, outside, expires, now, NAT_TRANSLATIONS_MAX);
        has_room.then_some(port)
    }
}

/// Where a flow leads: address, port (none for echo messages), protocol.
type FarEnd = (IpAddr, u16, Protocol);

/// How many ports a NAT device has for each far end.
const PORTS: u16 = u16::MAX - LOWEST_PORT + 1;

/// Where a flow leads.
fn far_end(flow: &Flow) -> FarEnd {
    let port = if flow.protocol.has_ports() { flow.destination_port } else { 0 };
    (flow.destination, port, flow.protocol)
}

/// The flow of the answers to `inside`, which comes from `outside`.
fn answers_to(inside: Flow, outside: Outside) -> Flow {
    let sent = Flow { source: outside.address, source_port: outside.port, ..inside };
    let mut answers = sent.reversed();
    if !answers.protocol.has_ports() {
        // An echo answer carries the same identifier as its request.
        answers.source_port = outside.port;
    }
    answers
}

fn fragment_key(packet: &Packet) -> Option<FragmentKey> {
    let part = packet.fragment()?;
    Some((packet.source(), packet.destination(), packet.protocol(), part.identification))
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
