//! What a filter asks of a packet, ready to be compared.
//!
//! Holds [`Probe`] and the two kinds of address it is about. Refuses to read bytes: whoever has read
//! them, [`Packet`] or another view, makes a probe.

use std::net::IpAddr;

use super::cell::Cell;
use crate::cloud::filter::Direction;
use crate::wire::{Family, Packet, Protocol, Transport};

/// The ways in which traffic is told apart: each has rules and keys of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// By port.
    Tcp,
    /// By port.
    Udp,
    /// ICMP of the packet's own family, by type and code.
    Icmp,
    /// By protocol number.
    Other,
}

impl Class {
    pub(super) const ALL: [Class; 4] = [Class::Tcp, Class::Udp, Class::Icmp, Class::Other];

    const fn of(protocol: Protocol, family: Family) -> Class {
        match (protocol, family) {
            (Protocol::TCP, _) => Class::Tcp,
            (Protocol::UDP, _) => Class::Udp,
            (Protocol::ICMP, Family::V4) | (Protocol::ICMPV6, Family::V6) => Class::Icmp,
            _ => Class::Other,
        }
    }

    /// The protocol that makes this class in `family`, if it is one.
    pub(super) const fn protocol(self, family: Family) -> Option<Protocol> {
        match self {
            Class::Tcp => Some(Protocol::TCP),
            Class::Udp => Some(Protocol::UDP),
            Class::Icmp => Some(Protocol::icmp_of(family)),
            Class::Other => None,
        }
    }
}

/// A packet's addresses and what it shows of the layer above; `A` is `u32` for IPv4 and `u128` for
/// IPv6, in the order of the bytes.
///
/// Small, `Copy`, made in a few instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe<A> {
    pub(super) source: A,
    pub(super) destination: A,
    /// What the rules of the class compare: the receiver's port, type and code, or the protocol.
    pub(super) key: u16,
    /// The same of an answer: the sender's port.
    pub(super) answer_key: u16,
    pub(super) class: Class,
    /// Is it a fragment that shows no ports and no ICMP header?
    pub(super) is_later: bool,
}

impl<A: Address> Probe<A> {
    /// A probe of these fields. `transport` is what [`Packet::transport`] says: ICMP only of the
    /// packet's own family, ports only of TCP and UDP.
    #[inline]
    pub fn new(source: A, destination: A, protocol: Protocol, transport: Transport) -> Probe<A> {
        let class = Class::of(protocol, A::FAMILY);
        let number = u16::from(protocol.0);
        let (key, answer_key, is_later) = match (transport, class) {
            (_, Class::Other) => (number, number, false),
            (Transport::Ports { source, destination }, _) => (destination, source, false),
            (Transport::Icmp(icmp), _) => {
                let key = u16::from_be_bytes([icmp.kind, icmp.code]);
                (key, key, false)
            }
            (Transport::Later | Transport::Other, _) => (0, 0, true),
        };
        Probe { source, destination, key, answer_key, class, is_later }
    }

    /// The key that a cell for keys compares.
    #[inline]
    pub(super) fn key_for(&self, cell: Cell) -> u16 {
        if cell.flag() { self.answer_key } else { self.key }
    }

    /// The far end's address: the source of what comes in, the destination of what goes out.
    #[inline]
    pub(super) fn far(&self, direction: Direction) -> A {
        match direction {
            Direction::Ingress => self.source,
            Direction::Egress => self.destination,
        }
    }
}

/// A probe of either family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnyProbe {
    /// Over IPv4.
    V4(Probe<u32>),
    /// Over IPv6.
    V6(Probe<u128>),
}

impl AnyProbe {
    /// The probe of a packet.
    pub fn of(packet: &Packet) -> AnyProbe {
        let (protocol, transport) = (packet.protocol(), packet.transport());
        match (packet.source(), packet.destination()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                AnyProbe::V4(Probe::new(source.into(), destination.into(), protocol, transport))
            }
            (source, destination) => {
                let [source, destination] = [source, destination].map(|address| match address {
                    IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
                    IpAddr::V6(address) => u128::from(address),
                });
                AnyProbe::V6(Probe::new(source, destination, protocol, transport))
            }
        }
    }
}

/// An address as a number: `u32` for IPv4, `u128` for IPv6. There are no others.
pub trait Address: Copy + Ord + std::hash::Hash + sealed::Sealed {
    /// Whose addresses these are.
    const FAMILY: Family;
}

impl Address for u32 {
    const FAMILY: Family = Family::V4;
}

impl Address for u128 {
    const FAMILY: Family = Family::V6;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u128 {}
}
