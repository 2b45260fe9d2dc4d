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
    by_inside: FxHashMap<Flow, (u16, Instant)>,
    by_outside: FxHashMap<Flow, Flow>,
    next_port: u16,
}

impl Translations {
    /// A packet from inside: from the device's own address, with a port of its own.
    fn outwards(&mut self, packet: &Packet, address: IpAddr, now: Instant) -> Option<Packet> {
        let inside = flow(packet)?;
        let port = match self.by_inside.get_mut(&inside) {
            Some((port, expires)) if *expires > now => {
                *expires = now + TRANSLATION;
                *port
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
            let inside = *self.by_outside.get(&with_echo(quoted.flow, quoted.echo).reversed())?;
            let outer = Change { destination: Some(inside.source), ..Change::default() };
            let inner = Change {
                source: Some(inside.source),
                source_port: Some(inside.source_port),
                ..Change::default()
            };
            return readdress_quoted(packet, outer, inner);
        }
        let inside = *self.by_outside.get(&flow(packet)?)?;
        let (_, expires) = self.by_inside.get_mut(&inside)?;
        if *expires <= now {
            return None;
        }
        *expires = now + TRANSLATION;
        let change = Change {
            destination: Some(inside.source),
            destination_port: Some(inside.source_port),
            ..Change::default()
        };
        readdress(packet, change)
    }

    /// A port for a new flow: its own if that is free, else the next free one.
    fn open(&mut self, inside: Flow, address: IpAddr, now: Instant) -> Option<u16> {
        if self.by_inside.len() >= NAT_TRANSLATIONS_MAX {
            self.forget(now);
        }
        if self.by_inside.len() >= NAT_TRANSLATIONS_MAX {
            return None;
        }
        self.close(inside);
        let answers = |port| {
            let mut outside = Flow { source: address, source_port: port, ..inside }.reversed();
            if !outside.protocol.has_ports() {
                // An echo answer carries the same identifier as its request.
                outside.source_port = port;
            }
            outside
        };
        let span = u16::MAX - LOWEST_PORT;
        let first = inside.source_port.max(LOWEST_PORT);
        let others = (0..=span).map(|n| LOWEST_PORT + self.next_port.wrapping_add(n) % span);
        let port = std::iter::once(first)
            .chain(others)
            .find(|port| !self.by_outside.contains_key(&answers(*port)))?;
        if port != first {
            self.next_port = (port - LOWEST_PORT).wrapping_add(1);
        }
        self.by_outside.insert(answers(port), inside);
        self.by_inside.insert(inside, (port, now + TRANSLATION));
        Some(port)
    }

    /// Lets go of a translation.
    fn close(&mut self, inside: Flow) {
        if self.by_inside.remove(&inside).is_some() {
            self.by_outside.retain(|_, of| *of != inside);
        }
    }

    /// Lets go of what has expired. Linear in the table.
    fn forget(&mut self, now: Instant) {
        self.by_inside.retain(|_, (_, expires)| *expires > now);
        let live = &self.by_inside;
        self.by_outside.retain(|_, inside| live.contains_key(inside));
    }
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
