//! The gate: what turns a route's target into a crossing, and the only way into another VPC.
//!
//! Holds [`Crossing`], the one thing that passes between VPCs, and [`OpenEnd`], the proof that a
//! peering is active. Refuses a second look: a crossing can be *entered* and nothing else. There is
//! no function from a crossing, or from anything that `enter` has in reach, to another crossing,
//! and that absence is non-transitivity.
//!
//! The types say it. What can be named from outside:
//!
//! ```
//! use vpclab::base::id::{InterfaceIdx, PeeringIdx, VpcIdx};
//! use vpclab::forward::gate::{Crossing, OpenEnd, Via};
//! use vpclab::forward::{Drop, Forwarder, Rows};
//! use vpclab::cloud::peering::{ActivePeering, Peering};
//! let (into, peering) = (VpcIdx::from_row(0), PeeringIdx::from_row(0));
//! let via = Via::Peering(peering);
//! ```
//!
//! A crossing cannot be forged (E0451), nor the proof of an open end (E0451), nor the proof that a
//! peering is active (E0423); and a peering itself is no proof (E0308):
//!
//! ```compile_fail,E0451
//! # use vpclab::base::{id::{PeeringIdx, VpcIdx}, units::Mtu};
//! # use vpclab::forward::gate::{Crossing, Mapping, Origin, Realm, Via};
//! # let (into, via) = (Realm::Vpc(VpcIdx::from_row(0)), Via::Peering(PeeringIdx::from_row(0)));
//! # let (mapping, origin, mtu) = (Mapping::default(), Origin::Own, Mtu::JUMBO);
//! let forged = Crossing { into, via, mapping, origin, mtu };
//! ```
//!
//! ```compile_fail,E0451
//! # use vpclab::base::{id::{PeeringIdx, VpcIdx}, units::Mtu};
//! # use vpclab::forward::gate::OpenEnd;
//! # let (into, peering, mtu) = (VpcIdx::from_row(0), PeeringIdx::from_row(0), Mtu::JUMBO);
//! let forged = OpenEnd { peering, into, mtu };
//! ```
//!
//! ```compile_fail,E0423
//! # use vpclab::cloud::peering::{ActivePeering, Peering};
//! fn forged(pending: &Peering) -> ActivePeering<'_> {
//!     ActivePeering(pending)
//! }
//! ```
//!
//! ```compile_fail,E0308
//! # use vpclab::{base::id::VpcId, cloud::peering::Peering, forward::{Rows, gate::OpenEnd}};
//! fn unproved(peering: &Peering, from: VpcId, rows: &Rows) -> Option<OpenEnd> {
//!     OpenEnd::of(peering, from, rows, vpclab::base::units::Mtu::JUMBO)
//! }
//! ```
//!
//! And an arrival is an interface, from which nothing leads on (E0308):
//!
//! ```compile_fail,E0308
//! # use vpclab::base::id::InterfaceIdx;
//! # use vpclab::forward::{Connections, Crossing, Drop, Forwarder};
//! # use vpclab::wire::Packet;
//! fn relay(
//!     by: &impl Forwarder,
//!     crossing: Crossing,
//!     packet: &Packet,
//!     memory: &mut Connections,
//! ) -> Result<InterfaceIdx, Drop> {
//!     by.enter(by.enter(crossing, packet, memory)?, packet, memory)
//! }
//! ```

use std::net::Ipv4Addr;

use super::Place;
use super::rows::Rows;
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::peering::ActivePeering;
use crate::wire::{Change, Packet, readdress};

/// How a crossing came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Via {
    /// The destination is in the sender's own subnet: neither table nor network ACL is asked.
    Subnet,
    /// The destination is in the sender's own VPC.
    Local,
    /// A route hands the packet to this interface of the sender's own VPC.
    Interface(InterfaceIdx),
    /// Over this peering, which was active when the packet left.
    Peering(PeeringIdx),
    /// Over this edge of the sender's own VPC, outwards, or from beyond it into its VPC.
    Gateway(GatewayIdx),
    /// From a host outside the cloud, which lives beyond this gateway, to another one of its own
    /// network: no edge is crossed.
    Outside(GatewayIdx),
}

/// The network that a crossing enters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Realm {
    /// A VPC.
    Vpc(VpcIdx),
    /// The internet.
    Internet,
    /// The on-premises network or the service behind this gateway.
    Behind(GatewayIdx),
}

/// The addresses that an internet gateway puts in place of others, one to one and without state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mapping {
    /// The sender's public address in place of its private one.
    pub source: Option<Ipv4Addr>,
    /// The receiver's private address in place of its public one.
    pub destination: Option<Ipv4Addr>,
}

/// Whether the interface that sent a packet is where it came from: group references do not hold
/// through a middlebox (vpc-semantics 3.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// The source is an address of the sending interface.
    Own,
    /// It is another's.
    Relayed,
}

/// A packet's permit to enter one network, once. Made when it leaves; whoever holds it can enter
/// that network and do nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Crossing {
    into: Realm,
    via: Via,
    mapping: Mapping,
    origin: Origin,
    mtu: Mtu,
}

/// One direction of a peering that is active: where it leads. Made from an [`ActivePeering`] and
/// from nothing else, so whoever holds one may rely on it for the moment it was made at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenEnd {
    peering: PeeringIdx,
    into: VpcIdx,
    mtu: Mtu,
}

impl OpenEnd {
    /// Leads from nowhere to nowhere: what stands where no end has been put yet.
    pub(super) const NOWHERE: OpenEnd =
        OpenEnd { peering: PeeringIdx::NOWHERE, into: VpcIdx::NOWHERE, mtu: Mtu::MIN };

    /// The end that leads out of `from`; `None` if `from` is at neither end or `rows` does not know
    /// the peering yet. `mtu` is that of the peering.
    pub fn of(active: ActivePeering<'_>, from: VpcId, rows: &Rows, mtu: Mtu) -> Option<OpenEnd> {
        let peering = active.peering();
        Some(OpenEnd {
            peering: rows.peering(peering.id())?,
            into: rows.vpc(peering.other_end(from)?)?,
            mtu,
        })
    }

    /// The peering.
    pub const fn peering(self) -> PeeringIdx {
        self.peering
    }

    /// The VPC at the other end.
    #[inline]
    pub const fn into_vpc(self) -> VpcIdx {
        self.into
    }

    /// The longest packet that the peering takes.
    #[inline]
    pub const fn mtu(self) -> Mtu {
        self.mtu
    }
}

impl Crossing {
    const fn new(into: Realm, via: Via, origin: Origin, mtu: Mtu) -> Crossing {
        let mapping = Mapping { source: None, destination: None };
        Crossing { into, via, mapping, origin, mtu }
    }

    /// Stays in the subnet.
    pub(super) const fn in_subnet(vpc: VpcIdx, origin: Origin) -> Crossing {
        Crossing::new(Realm::Vpc(vpc), Via::Subnet, origin, Mtu::JUMBO)
    }

    /// Stays in the VPC.
    pub(super) const fn local(vpc: VpcIdx, origin: Origin) -> Crossing {
        Crossing::new(Realm::Vpc(vpc), Via::Local, origin, Mtu::JUMBO)
    }

    /// Stays in the VPC, at an interface that a route names.
    pub(super) const fn to_interface(vpc: VpcIdx, to: InterfaceIdx, origin: Origin) -> Crossing {
        Crossing::new(Realm::Vpc(vpc), Via::Interface(to), origin, Mtu::JUMBO)
    }

    /// Over a peering. The caller has checked that the destination lies in the VPC it leads to.
    pub(super) const fn over(end: OpenEnd, origin: Origin) -> Crossing {
        Crossing::new(Realm::Vpc(end.into), Via::Peering(end.peering), origin, end.mtu)
    }

    /// Over an edge, from the VPC that it belongs to outwards or from beyond it into that VPC.
    pub(super) const fn over_edge(
        edge: GatewayIdx,
        into: Realm,
        mapping: Mapping,
        origin: Origin,
        mtu: Mtu,
    ) -> Crossing {
        Crossing { into, via: Via::Gateway(edge), mapping, origin, mtu }
    }

    /// Between two hosts of one network outside the cloud, of which the sender lives beyond `edge`.
    pub(super) const fn outside(realm: Realm, edge: GatewayIdx) -> Crossing {
        Crossing::new(realm, Via::Outside(edge), Origin::Own, Mtu::ETHERNET)
    }

    /// The network to be entered.
    pub const fn into_realm(self) -> Realm {
        self.into
    }

    /// The VPC to be entered, if it is one.
    pub const fn into_vpc(self) -> Option<VpcIdx> {
        match self.into {
            Realm::Vpc(vpc) => Some(vpc),
            Realm::Internet | Realm::Behind(_) => None,
        }
    }

    /// How it came about.
    pub const fn via(self) -> Via {
        self.via
    }

    /// Whether the packet is the sender's own.
    pub const fn origin(self) -> Origin {
        self.origin
    }

    /// The longest packet that the way takes.
    pub const fn mtu(self) -> Mtu {
        self.mtu
    }

    /// What an internet gateway changes in the packet's addresses on this way.
    pub const fn mapping(self) -> Mapping {
        self.mapping
    }

    /// The resource on the way that is the narrowest, or beyond which nobody may be.
    pub const fn bottleneck(self) -> Place {
        match (self.via, self.into) {
            (Via::Peering(peering), _) => Place::Peering(peering),
            (Via::Gateway(gateway) | Via::Outside(gateway), _) => Place::Gateway(gateway),
            (Via::Interface(interface), _) => Place::Interface(interface),
            (Via::Subnet | Via::Local, Realm::Vpc(vpc)) => Place::Vpc(vpc),
            // Nobody makes these: what stays in a subnet or a VPC enters a VPC.
            (Via::Subnet | Via::Local, Realm::Behind(gateway)) => Place::Gateway(gateway),
            (Via::Subnet | Via::Local, Realm::Internet) => Place::Gateway(GatewayIdx::NOWHERE),
        }
    }

    /// The packet as it arrives, if an internet gateway puts other addresses in; `None` if it arrives
    /// as it is.
    pub fn mapped(self, packet: &Packet) -> Option<Packet> {
        if self.mapping == Mapping::default() {
            return None;
        }
        let change = Change {
            source: self.mapping.source.map(Into::into),
            destination: self.mapping.destination.map(Into::into),
            ..Change::default()
        };
        // A mapping is only made for an IPv4 packet, which takes every IPv4 address.
        readdress(packet, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::build;

    fn datagram(source: &str, destination: &str) -> Packet {
        build::udp(source.parse().unwrap(), destination.parse().unwrap(), b"?").unwrap()
    }

    /// The addresses of the crossing's mapping are put in, ports and data stay, checksums are right.
    #[test]
    fn an_internet_gateway_changes_addresses_and_nothing_else() {
        let edge = GatewayIdx::from_row(0);
        let (public, private) = ("203.0.113.1".parse().ok(), "10.0.0.4".parse().ok());
        let sent = datagram("10.1.0.4:40000", "203.0.113.9:53");
        let rows = [
            (None, None, None),
            (public, None, Some(datagram("203.0.113.1:40000", "203.0.113.9:53"))),
            (None, private, Some(datagram("10.1.0.4:40000", "10.0.0.4:53"))),
            (public, private, Some(datagram("203.0.113.1:40000", "10.0.0.4:53"))),
        ];
        for (source, destination, want) in rows {
            let mapping = Mapping { source, destination };
            let (realm, mtu) = (Realm::Internet, Mtu::ETHERNET);
            let crossing = Crossing::over_edge(edge, realm, mapping, Origin::Own, mtu);
            assert_eq!(crossing.mapped(&sent), want, "{mapping:?}");
        }
    }

    /// Where a packet that is too long for its way is said to have ended.
    #[test]
    fn the_bottleneck_is_what_the_way_is_named_after() {
        let (vpc, edge) = (VpcIdx::from_row(1), GatewayIdx::from_row(2));
        let (interface, own) = (InterfaceIdx::from_row(3), Origin::Own);
        let outwards =
            |realm| Crossing::over_edge(edge, realm, Mapping::default(), own, Mtu::ETHERNET);
        let rows = [
            (Crossing::in_subnet(vpc, own), Place::Vpc(vpc)),
            (Crossing::local(vpc, own), Place::Vpc(vpc)),
            (Crossing::to_interface(vpc, interface, own), Place::Interface(interface)),
            (outwards(Realm::Internet), Place::Gateway(edge)),
            (outwards(Realm::Vpc(vpc)), Place::Gateway(edge)),
            (Crossing::outside(Realm::Internet, edge), Place::Gateway(edge)),
            (Crossing::outside(Realm::Behind(edge), edge), Place::Gateway(edge)),
        ];
        for (crossing, want) in rows {
            assert_eq!(crossing.bottleneck(), want, "{crossing:?}");
        }
    }
}
