//! The oracle's edges: what leaves a VPC over one of its gateways, and what comes in from outside
//! (vpc-semantics 3.3, and rows 8a to 8c of 3.1).
//!
//! Refuses to know peerings: an edge serves the VPC that it is attached to.

use std::net::{IpAddr, Ipv4Addr};

use vpclab::base::id::VpcId;
use vpclab::base::time::Instant;
use vpclab::cloud::Cloud;
use vpclab::cloud::gateway::{GatewayId, Site};
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::DropReason::{self, *};

use super::{
    Beyond, Left, Probe, Way, demand, has_address_space, longest_match, outside, table_in_force,
};

/// Out over a gateway of the sender's VPC.
pub(super) fn leave_over(
    cloud: &Cloud,
    now: Instant,
    gateway: GatewayId,
    mut left: Left,
) -> Result<Left, DropReason> {
    let Way::Inside(vpc) = left.way else { unreachable!("{:?}", left.way) };
    demand(has_address_space(cloud, vpc, left.probe.source), SpoofedSource)?;
    if gateway.site() != Site::Internet {
        left.way = Way::Through([Some((gateway, vpc)), None], Beyond::Site(gateway.site()));
        return Ok(left);
    }
    if let IpAddr::V4(source) = left.probe.source {
        let stands = |(held, of, private): (Ipv4Addr, VpcId, Ipv4Addr)| {
            (of == vpc && private == source).then_some(held)
        };
        let public = publics(cloud).find_map(stands).ok_or(NoPublicAddress)?;
        left.probe.source = public.into();
    }
    let out = Some((gateway, vpc));
    left.way = match on_the_internet(cloud, now, left.probe) {
        Some((inwards, there, private)) => {
            left.probe.destination = private;
            Way::Through([out, Some((inwards, there))], Beyond::Vpc(there))
        }
        None => Way::Through([out, None], Beyond::Site(Site::Internet)),
    };
    Ok(left)
}

/// From a host outside the cloud.
pub(super) fn leave_from_outside(
    cloud: &Cloud,
    now: Instant,
    mut probe: Probe,
) -> Result<Left, DropReason> {
    let host = outside(cloud, probe.from).unwrap();
    demand(host.addresses.contains(&probe.source), SourceCheck)?;
    let (site, destination) = (host.site(), probe.destination);
    let mut neighbours = cloud.outside_hosts().filter(|(_, other)| other.site() == site);
    if neighbours.any(|(_, other)| other.addresses.contains(&destination)) {
        return Ok(Left { way: Way::Outside(site), probe, own: true });
    }
    if site == Site::Internet {
        if let Some((gateway, vpc, private)) = on_the_internet(cloud, now, probe) {
            probe.destination = private;
            let way = Way::Through([None, Some((gateway, vpc))], Beyond::Vpc(vpc));
            return Ok(Left { way, probe, own: true });
        }
        // An address that no VPC has is nobody's.
        let of_some_vpc = cloud.vpcs().any(|(id, _)| has_address_space(cloud, id, destination));
        demand(of_some_vpc, NoSuchHost)?;
    }
    let vpc = cloud.gateway(host.beyond).unwrap().vpc.ok_or(Blackhole)?;
    demand(has_address_space(cloud, vpc, destination), Transit)?;
    demand(site != Site::Internet, NoPublicAddress)?;
    let way = Way::Through([None, Some((host.beyond, vpc))], Beyond::Vpc(vpc));
    Ok(Left { way, probe, own: true })
}

/// Whose address this is on the internet, if it is one of the cloud: the gateway that leads to it,
/// the VPC, and the address there. For IPv4 a public address stands for it; IPv6 is as it is.
fn on_the_internet(
    cloud: &Cloud,
    now: Instant,
    probe: Probe,
) -> Option<(GatewayId, VpcId, IpAddr)> {
    let address = probe.destination;
    match address {
        IpAddr::V4(wanted) => {
            let (_, vpc, private) = publics(cloud).find(|(held, ..)| *held == wanted)?;
            Some((internet_gateway(cloud, vpc)?, vpc, private.into()))
        }
        IpAddr::V6(_) => {
            let mut having = cloud.vpcs().filter(|(id, _)| has_address_space(cloud, *id, address));
            having.find_map(|(id, _)| Some((ipv6_gateway(cloud, now, id, probe)?, id, address)))
        }
    }
}

/// The edge by which IPv6 comes in: of two, the egress-only one if answers leave over it.
fn ipv6_gateway(cloud: &Cloud, now: Instant, vpc: VpcId, probe: Probe) -> Option<GatewayId> {
    let (igw, out) = (internet_gateway(cloud, vpc), egress_only_gateway(cloud, vpc));
    let (Some(_), Some(out)) = (igw, out) else { return igw.or(out) };
    let mut all = cloud.interfaces().map(|(_, interface)| interface);
    let owner = all.find(|i| i.vpc == vpc && i.addresses.contains(&probe.destination));
    let table = owner.map(|owner| table_in_force(cloud, owner));
    let back = table.and_then(|table| longest_match(cloud, now, table, probe.source));
    if back == Some(Some(RouteTarget::Gateway(out))) { Some(out) } else { igw }
}

/// Every public address that stands for a private one, the VPC of that, and it.
fn publics(cloud: &Cloud) -> impl Iterator<Item = (Ipv4Addr, VpcId, Ipv4Addr)> + '_ {
    cloud.public_addresses().filter_map(|(_, held)| {
        let (_, interface, private) = held.association?;
        Some((held.address, cloud.interface(interface)?.vpc, private))
    })
}

pub(super) fn internet_gateway(cloud: &Cloud, vpc: VpcId) -> Option<GatewayId> {
    let mut attached = cloud.gateways().filter(|(_, gateway)| gateway.vpc == Some(vpc));
    attached.find(|(id, _)| matches!(id, GatewayId::Internet(_))).map(|(id, _)| id)
}

pub(super) fn egress_only_gateway(cloud: &Cloud, vpc: VpcId) -> Option<GatewayId> {
    let mut attached = cloud.gateways().filter(|(_, gateway)| gateway.vpc == Some(vpc));
    attached.find(|(id, _)| matches!(id, GatewayId::EgressOnly(_))).map(|(id, _)| id)
}
