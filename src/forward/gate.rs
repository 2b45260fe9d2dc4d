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
//! # use vpclab::forward::gate::{Crossing, Origin, Via};
//! # let (way, origin, mtu) = (Via::Peering(PeeringIdx::from_row(0)), Origin::Own, Mtu::JUMBO);
//! let forged = Crossing { way, origin, mtu };
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

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use super::rows::Rows;
use super::{Drop, DropReason, Place};
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::peering::ActivePeering;
use crate::wire::{Change, Packet, quoted, readdress, readdress_quoted};

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
    /// Over this edge: outwards, from beyond it into its VPC, or out over it and then in over
    /// another ([`Crossing::edges`] has them all).
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

/// An edge, with the VPC that it was attached to when the packet left. While the packet is on its
/// way an edge may be detached, and attached to another VPC, for which it was not meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Edge {
    /// The edge.
    pub gateway: GatewayIdx,
    /// The VPC that the packet leaves or enters over it.
    pub vpc: VpcIdx,
}

/// Where an edge leads, outwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Outside {
    /// To the one internet.
    Internet,
    /// To the on-premises network or the service behind this very edge.
    Behind,
}

impl Outside {
    const fn realm(self, edge: GatewayIdx) -> Realm {
        match self {
            Outside::Internet => Realm::Internet,
            Outside::Behind => Realm::Behind(edge),
        }
    }
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

/// A packet's permit to enter one network. Made when it leaves; whoever holds it can enter that
/// network and do nothing else. Observers may keep a copy: it never leads on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Crossing {
    way: Way,
    origin: Origin,
    mtu: Mtu,
}

// Every packet on its way has one.
const _: () = assert!(size_of::<Crossing>() <= 32);

/// How and where to, in one: so that no crossing stays in a subnet and enters the internet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Way {
    Subnet(VpcIdx),
    Local(VpcIdx),
    Interface(VpcIdx, InterfaceIdx),
    Peering(VpcIdx, PeeringIdx),
    /// Out over an edge. What lies beyond has no mapping, so there is none of the destination.
    Out(Edge, Outside, Option<Ipv4Addr>),
    /// In over an edge. What comes from beyond has no mapping, so there is none of the source.
    In(Edge, Option<Ipv4Addr>),
    /// Out over one edge, and in over another or the same.
    Through(Edge, Edge, Mapping),
    Outside(GatewayIdx, Outside),
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
    const fn new(way: Way, origin: Origin, mtu: Mtu) -> Crossing {
        Crossing { way, origin, mtu }
    }

    /// Stays in the subnet.
    pub(super) const fn in_subnet(vpc: VpcIdx, origin: Origin) -> Crossing {
        Crossing::new(Way::Subnet(vpc), origin, Mtu::JUMBO)
    }

    /// Stays in the VPC.
    pub(super) const fn local(vpc: VpcIdx, origin: Origin) -> Crossing {
        Crossing::new(Way::Local(vpc), origin, Mtu::JUMBO)
    }

    /// Stays in the VPC, at an interface that a route names.
    pub(super) const fn to_interface(vpc: VpcIdx, to: InterfaceIdx, origin: Origin) -> Crossing {
        Crossing::new(Way::Interface(vpc, to), origin, Mtu::JUMBO)
    }

    /// Over a peering. The caller has checked that the destination lies in the VPC it leads to.
    pub(super) const fn over(end: OpenEnd, origin: Origin) -> Crossing {
        Crossing::new(Way::Peering(end.into, end.peering), origin, end.mtu)
    }

    /// Out over an edge of the sender's VPC, from the public address `source` if there is one.
    pub(super) const fn out_over(
        edge: Edge,
        outside: Outside,
        source: Option<Ipv4Addr>,
        origin: Origin,
        mtu: Mtu,
    ) -> Crossing {
        Crossing::new(Way::Out(edge, outside, source), origin, mtu)
    }

    /// From a host outside the cloud in over an edge, to the private address `destination` if the
    /// packet is for a public one.
    pub(super) const fn in_over(edge: Edge, destination: Option<Ipv4Addr>, mtu: Mtu) -> Crossing {
        Crossing::new(Way::In(edge, destination), Origin::Own, mtu)
    }

    /// Out over the sender's internet gateway and in over the receiver's.
    pub(super) const fn through(
        out: Edge,
        inwards: Edge,
        mapping: Mapping,
        origin: Origin,
        mtu: Mtu,
    ) -> Crossing {
        Crossing::new(Way::Through(out, inwards, mapping), origin, mtu)
    }

    /// Between two hosts of one network outside the cloud, of which the sender lives beyond `edge`.
    pub(super) const fn outside(outside: Outside, edge: GatewayIdx) -> Crossing {
        Crossing::new(Way::Outside(edge, outside), Origin::Own, Mtu::ETHERNET)
    }

    /// The network to be entered.
    pub const fn into_realm(self) -> Realm {
        match self.way {
            Way::Subnet(vpc)
            | Way::Local(vpc)
            | Way::Interface(vpc, _)
            | Way::Peering(vpc, _)
            | Way::In(Edge { vpc, .. }, _)
            | Way::Through(_, Edge { vpc, .. }, _) => Realm::Vpc(vpc),
            Way::Out(Edge { gateway, .. }, outside, _) | Way::Outside(gateway, outside) => {
                outside.realm(gateway)
            }
        }
    }

    /// The VPC to be entered, if it is one.
    pub const fn into_vpc(self) -> Option<VpcIdx> {
        match self.into_realm() {
            Realm::Vpc(vpc) => Some(vpc),
            Realm::Internet | Realm::Behind(_) => None,
        }
    }

    /// How it came about.
    pub const fn via(self) -> Via {
        match self.way {
            Way::Subnet(_) => Via::Subnet,
            Way::Local(_) => Via::Local,
            Way::Interface(_, interface) => Via::Interface(interface),
            Way::Peering(_, peering) => Via::Peering(peering),
            Way::Out(edge, ..) | Way::In(edge, _) | Way::Through(edge, ..) => {
                Via::Gateway(edge.gateway)
            }
            Way::Outside(gateway, _) => Via::Outside(gateway),
        }
    }

    /// The edges on the way: the one that leads out of the sender's VPC, and the one that leads
    /// into the receiver's. Each must still be attached to its VPC when the packet enters.
    pub const fn edges(self) -> [Option<Edge>; 2] {
        match self.way {
            Way::Out(edge, ..) => [Some(edge), None],
            Way::In(edge, _) => [None, Some(edge)],
            Way::Through(out, inwards, _) => [Some(out), Some(inwards)],
            Way::Subnet(_)
            | Way::Local(_)
            | Way::Interface(..)
            | Way::Peering(..)
            | Way::Outside(..) => [None, None],
        }
    }

    /// Whether the packet is the sender's own.
    pub const fn origin(self) -> Origin {
        self.origin
    }

    /// The longest packet that the way takes.
    pub const fn mtu(self) -> Mtu {
        self.mtu
    }

    /// What internet gateways change in the packet's addresses on this way.
    pub const fn mapping(self) -> Mapping {
        match self.way {
            Way::Out(_, _, source) => Mapping { source, destination: None },
            Way::In(_, destination) => Mapping { source: None, destination },
            Way::Through(_, _, mapping) => mapping,
            Way::Subnet(_)
            | Way::Local(_)
            | Way::Interface(..)
            | Way::Peering(..)
            | Way::Outside(..) => Mapping { source: None, destination: None },
        }
    }

    /// The resource on the way that is the narrowest, or beyond which nobody may be.
    pub const fn bottleneck(self) -> Place {
        match self.way {
            Way::Subnet(vpc) | Way::Local(vpc) => Place::Vpc(vpc),
            Way::Interface(_, interface) => Place::Interface(interface),
            Way::Peering(_, peering) => Place::Peering(peering),
            Way::Out(Edge { gateway, .. }, ..)
            | Way::In(Edge { gateway, .. }, _)
            | Way::Through(Edge { gateway, .. }, ..)
            | Way::Outside(gateway, _) => Place::Gateway(gateway),
        }
    }

    /// The packet as it arrives: with the addresses that internet gateways put in, also in the packet
    /// that an ICMP error quotes, so that the host inside recognises its own and the one outside
    /// learns of no private address (RFC 5508, 4.2). Borrowed if nothing changes, which costs
    /// nothing; else one copy.
    ///
    /// # Errors
    /// `no-translation` at the gateway for a packet that does not take the addresses; it must not go
    /// on with those it has. Mappings are only made for IPv4 packets, which take them all.
    pub fn mapped(self, packet: &Packet) -> Result<Cow<'_, Packet>, Drop> {
        let mapping = self.mapping();
        if mapping == Mapping::default() {
            return Ok(Cow::Borrowed(packet));
        }
        let (source, destination) =
            (mapping.source.map(IpAddr::V4), mapping.destination.map(IpAddr::V4));
        let outer = Change { source, destination, ..Change::default() };
        let changed = match quoted(packet) {
            None => readdress(packet, outer),
            Some(quote) => {
                // The quoted packet went the other way. An address is known to stand for the one
                // that the error itself has; any other is not this mapping's to change.
                let (sent_to, came_from) = (packet.source(), packet.destination());
                let inner = Change {
                    source: destination.filter(|_| quote.flow.source == came_from),
                    destination: source.filter(|_| quote.flow.destination == sent_to),
                    ..Change::default()
                };
                readdress_quoted(packet, outer, inner)
            }
        };
        let refused = Drop::new(DropReason::NoTranslation, self.bottleneck());
        changed.map(Cow::Owned).ok_or(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::build;

    fn datagram(source: &str, destination: &str) -> Packet {
        build::udp(source.parse().unwrap(), destination.parse().unwrap(), b"?").unwrap()
    }

    fn address(text: &str) -> Option<Ipv4Addr> {
        Some(text.parse().unwrap())
    }

    fn edge(row: usize) -> Edge {
        Edge { gateway: GatewayIdx::from_row(row), vpc: VpcIdx::from_row(row) }
    }

    /// Over an internet gateway out, in, and out over one and in over another.
    fn with_mapping(source: Option<Ipv4Addr>, destination: Option<Ipv4Addr>) -> Crossing {
        let (own, mtu) = (Origin::Own, Mtu::ETHERNET);
        match (source, destination) {
            (source, None) => Crossing::out_over(edge(0), Outside::Internet, source, own, mtu),
            (None, destination) => Crossing::in_over(edge(0), destination, mtu),
            (source, destination) => {
                let mapping = Mapping { source, destination };
                Crossing::through(edge(0), edge(1), mapping, own, mtu)
            }
        }
    }

    /// The addresses of the crossing's mapping are put in, ports and data stay, checksums are right.
    #[test]
    fn an_internet_gateway_changes_addresses_and_nothing_else() {
        let (public, private) = (address("203.0.113.1"), address("10.0.0.4"));
        let sent = datagram("10.1.0.4:40000", "203.0.113.9:53");
        let rows = [
            (None, None, "10.1.0.4:40000", "203.0.113.9:53"),
            (public, None, "203.0.113.1:40000", "203.0.113.9:53"),
            (None, private, "10.1.0.4:40000", "10.0.0.4:53"),
            (public, private, "203.0.113.1:40000", "10.0.0.4:53"),
        ];
        for (source, destination, from, to) in rows {
            let mapped = with_mapping(source, destination).mapped(&sent);
            assert_eq!(mapped.as_deref(), Ok(&datagram(from, to)), "{source:?} {destination:?}");
        }
    }

    /// An error arrives as it would be if it were about the packet as its sender sent it (RFC 5508,
    /// 4.2), checksums included: `build::too_big` of the one, mapped, is that of the other.
    #[test]
    fn an_internet_gateway_changes_the_packet_that_an_error_quotes() {
        let (a, b) = ("10.0.0.4:40000", "10.1.0.4:53");
        let (public_a, public_b) = ("203.0.113.1:40000", "203.0.113.9:53");
        let far = "198.18.0.9:53";
        let of = |end: &str| address(end.split(':').next().unwrap());
        let router = "198.18.0.1:0";
        let rows = [
            // What a host outside says of a packet from a: the quote is from a again.
            (None, of(a), (far, public_a), (public_a, far), (far, a), (a, far)),
            // So does a router on the way there.
            (None, of(a), (router, public_a), (public_a, far), (router, a), (a, far)),
            // What a says of a packet to it: the quote is to its public address.
            (of(public_a), None, (a, far), (far, a), (public_a, far), (far, public_a)),
            // b has got from a's public address, and says so to it.
            (of(public_b), of(a), (b, public_a), (public_a, b), (public_b, a), (a, public_b)),
            // Of an address that is not the mapping's nothing is known.
            (of(public_a), None, (a, far), (far, b), (public_a, far), (far, b)),
            (None, of(a), (far, public_a), (b, far), (far, a), (b, far)),
        ];
        for (source, destination, (from, to), (sent, sent_to), after, about) in rows {
            let error = |(from, to), (sent, sent_to)| {
                let about = build::too_big(&datagram(sent, sent_to), from, Mtu::MIN).unwrap();
                let change = Change { destination: Some(to), ..Change::default() };
                readdress(&about, change).unwrap()
            };
            let ip = |end: &str| IpAddr::V4(of(end).unwrap());
            let sent = error((ip(from), ip(to)), (sent, sent_to));
            let want = error((ip(after.0), ip(after.1)), about);
            let got = with_mapping(source, destination).mapped(&sent).unwrap();
            assert_eq!(quoted(&got), quoted(&want), "{from} to {to}");
            assert_eq!(got.as_ref(), &want, "{from} to {to}");
            assert!(Packet::parse(got.bytes().to_vec().into()).is_ok(), "{from} to {to}");
        }
    }

    /// What cannot take the new addresses does not go on with the old ones.
    #[test]
    fn what_cannot_be_mapped_is_dropped() {
        let sent = datagram("[fd00::1]:40000", "[fd00::2]:53");
        let crossing = with_mapping(address("203.0.113.1"), None);
        let refused = Drop::new(DropReason::NoTranslation, Place::Gateway(edge(0).gateway));
        assert_eq!(crossing.mapped(&sent), Err(refused));
    }

    /// Where a packet that is too long for its way is said to have ended.
    #[test]
    fn the_bottleneck_is_what_the_way_is_named_after() {
        let (vpc, at) = (VpcIdx::from_row(1), GatewayIdx::from_row(2));
        let (interface, own) = (InterfaceIdx::from_row(3), Origin::Own);
        let (mapping, mtu) = (Mapping::default(), Mtu::ETHERNET);
        let out = |outside| Crossing::out_over(edge(2), outside, None, own, mtu);
        let rows = [
            (Crossing::in_subnet(vpc, own), Realm::Vpc(vpc), Place::Vpc(vpc)),
            (Crossing::local(vpc, own), Realm::Vpc(vpc), Place::Vpc(vpc)),
            (
                Crossing::to_interface(vpc, interface, own),
                Realm::Vpc(vpc),
                Place::Interface(interface),
            ),
            (out(Outside::Internet), Realm::Internet, Place::Gateway(at)),
            (out(Outside::Behind), Realm::Behind(at), Place::Gateway(at)),
            (Crossing::in_over(edge(2), None, mtu), Realm::Vpc(edge(2).vpc), Place::Gateway(at)),
            (
                Crossing::through(edge(2), edge(1), mapping, own, mtu),
                Realm::Vpc(vpc),
                Place::Gateway(at),
            ),
            (Crossing::outside(Outside::Internet, at), Realm::Internet, Place::Gateway(at)),
            (Crossing::outside(Outside::Behind, at), Realm::Behind(at), Place::Gateway(at)),
        ];
        for (crossing, into, want) in rows {
            assert_eq!(
                (crossing.into_realm(), crossing.bottleneck()),
                (into, want),
                "{crossing:?}"
            );
        }
    }
}
