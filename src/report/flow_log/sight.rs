//! What of a happening an interface's flow log sees.
//!
//! Holds the mapping from happenings to sightings, and what is never logged. Refuses to remember
//! anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::id::InterfaceIdx;
use crate::cloud::Cloud;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::instance::Interface;
use crate::forward::gate::Via;
use crate::forward::{Crossing, Drop, DropReason, Place};
use crate::sim::{Happening, World};
use crate::wire::{Packet, Protocol};

/// What groups and ACLs did with a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Action {
    Accept,
    Reject,
}

/// The way that outgoing traffic took (`traffic-path`, vpc-semantics 4.2). Instances are Nitro
/// instances, for which gateways have numbers of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TrafficPath {
    /// To another resource in the same VPC.
    SameVpc,
    /// Through a virtual private gateway.
    VpnGateway,
    /// Over a peering with a VPC in the same region.
    PeeringInRegion,
    /// Over a peering with a VPC in another region.
    PeeringAcrossRegions,
    /// Through a gateway endpoint.
    GatewayEndpoint,
    /// Through an internet gateway.
    InternetGateway,
}

impl TrafficPath {
    /// The number in a record.
    pub const fn code(self) -> u8 {
        match self {
            TrafficPath::SameVpc => 1,
            TrafficPath::VpnGateway => 3,
            TrafficPath::PeeringInRegion => 4,
            TrafficPath::PeeringAcrossRegions => 5,
            TrafficPath::GatewayEndpoint => 7,
            TrafficPath::InternetGateway => 8,
        }
    }

    /// Between two hosts outside the cloud it is none: neither has a flow log.
    fn of(world: World<'_>, crossing: Crossing) -> Option<TrafficPath> {
        Some(match crossing.via() {
            Via::Subnet | Via::Local | Via::Interface(_) => TrafficPath::SameVpc,
            Via::Peering(row) => {
                let peering = world.cloud.peering(world.rows.peering_id(row));
                let is_abroad = |p: &crate::cloud::peering::Peering| {
                    p.requester().region != p.accepter().region
                };
                match peering.is_some_and(is_abroad) {
                    true => TrafficPath::PeeringAcrossRegions,
                    false => TrafficPath::PeeringInRegion,
                }
            }
            Via::Gateway(row) => match world.rows.gateway_id(row) {
                GatewayId::Internet(_) | GatewayId::EgressOnly(_) => TrafficPath::InternetGateway,
                GatewayId::Vpn(_) => TrafficPath::VpnGateway,
                GatewayId::Endpoint(_) => TrafficPath::GatewayEndpoint,
            },
            Via::Outside(_) => return None,
        })
    }
}

/// One packet at one interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting<'a> {
    pub(super) at: InterfaceIdx,
    pub(super) direction: Direction,
    pub(super) action: Action,
    pub(super) packet: &'a Packet,
    /// Of what left; what found no way took none.
    pub(super) path: Option<TrafficPath>,
}

/// What an interface sees of a happening, if one does.
pub(super) fn sighting<'a>(world: World<'_>, what: Happening<'a>) -> Option<Sighting<'a>> {
    let egress = |at, action, packet, path| Sighting {
        at,
        direction: Direction::Egress,
        action,
        packet,
        path,
    };
    let ingress = |at, action, packet| Sighting {
        at,
        direction: Direction::Ingress,
        action,
        packet,
        path: None,
    };
    match what {
        Happening::Left { packet, from, crossing } => {
            Some(egress(from, Action::Accept, packet, TrafficPath::of(world, crossing)))
        }
        Happening::Malformed { .. } => None,
        Happening::NotSent { packet, from, drop } => {
            Some(egress(from, action_at_source(drop.reason)?, packet, None))
        }
        Happening::Relayed { packet, at, .. } | Happening::Arrived { packet, at, .. } => {
            Some(ingress(at, Action::Accept, packet))
        }
        Happening::Lost { packet, drop, crossing, .. } => {
            let (at, action) = met(world, packet, drop, crossing)?;
            Some(ingress(at, action, packet))
        }
    }
}

/// What the sender's flow log says of a packet that did not leave.
const fn action_at_source(reason: DropReason) -> Option<Action> {
    use DropReason::*;
    match reason {
        GroupEgress | ConntrackFull | AclEgress => Some(Action::Reject),
        // It was let out, and then there was no way.
        NoRoute | Blackhole | Transit | TooBig | NoPublicAddress | SpoofedSource | NoSuchHost => {
            Some(Action::Accept)
        }
        // It was no traffic of this interface. The others do not arise where a packet leaves.
        Malformed | InterfaceDown | SourceCheck | LinkLoss | QueueFull | PeeringGone
        | AclIngress | GroupIngress | DestCheck | HopLimit | NoTranslation | Unsolicited => None,
    }
}

/// Which interface a packet met that was lost on its way, and what became of it there.
fn met(
    world: World<'_>,
    packet: &Packet,
    drop: Drop,
    crossing: Crossing,
) -> Option<(InterfaceIdx, Action)> {
    use DropReason::*;
    let here = match drop.at {
        Place::Interface(row) => Some(row),
        _ => None,
    };
    match drop.reason {
        GroupIngress | ConntrackFull => Some((here?, Action::Reject)),
        // The ACL stands before the interface that the packet was for.
        AclIngress => Some((receiver(world, packet, crossing)?, Action::Reject)),
        // Groups and ACL let it in; it was the device behind them that dropped it.
        HopLimit | NoTranslation => Some((here?, Action::Accept)),
        // It came to no interface, or was not for the one that it came to.
        Malformed | InterfaceDown | SourceCheck | GroupEgress | AclEgress | NoRoute | Blackhole
        | Transit | TooBig | LinkLoss | QueueFull | PeeringGone | NoSuchHost | DestCheck
        | NoPublicAddress | SpoofedSource | Unsolicited => None,
    }
}

fn receiver(world: World<'_>, packet: &Packet, crossing: Crossing) -> Option<InterfaceIdx> {
    if let Via::Interface(named) = crossing.via() {
        return Some(named);
    }
    let vpc = world.rows.vpc_id(crossing.into_vpc()?);
    world.rows.interface(world.cloud.owner(vpc, packet.destination())?)
}

/// DHCP between client and server (RFC 2131, 4.1; RFC 8415, 7.2).
const DHCP_PORTS: [u16; 4] = [67, 68, 546, 547];

/// Is it traffic that AWS never logs (vpc-semantics 4.5)? To and from the resolver, the instance
/// metadata, the clock and the licence server; DHCP; and to the subnet's own router.
pub(super) fn is_never_logged(cloud: &Cloud, interface: &Interface, packet: &Packet) -> bool {
    let flow = packet.flow();
    let is_dhcp = flow.protocol == Protocol::UDP
        && DHCP_PORTS.contains(&flow.source_port)
        && DHCP_PORTS.contains(&flow.destination_port);
    let resolver = cloud.vpc(interface.vpc).and_then(|vpc| vpc.blocks().first().copied());
    let resolver = resolver.and_then(|block| offset(block.network(), 2));
    let router = cloud.subnet(interface.subnet);
    let router = router.and_then(|subnet| offset(subnet.cidr.network().into(), 1));
    is_dhcp
        || router == Some(flow.destination)
        || [flow.source, flow.destination].into_iter().any(|address| {
            Some(address) == resolver
                || SERVICES.contains(&address)
                || SERVICES_V6.contains(&address)
        })
}

/// Resolver, metadata, clock, and the two of the licence server.
const SERVICES: [IpAddr; 5] = {
    const fn link_local(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, last))
    }
    [link_local(253), link_local(254), link_local(123), link_local(250), link_local(251)]
};

/// The same over IPv6: resolver, metadata, clock.
const SERVICES_V6: [IpAddr; 3] = {
    const fn local(last: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, last))
    }
    [local(0x253), local(0x254), local(0x123)]
};

fn offset(network: IpAddr, by: u32) -> Option<IpAddr> {
    match network {
        IpAddr::V4(base) => u32::from(base).checked_add(by).map(|a| Ipv4Addr::from(a).into()),
        IpAddr::V6(_) => None,
    }
}
