//! The independent oracle: what becomes of a packet of which nobody remembers anything, stated over
//! the cloud's data as vpc-semantics 3.1 states it, check after check.
//!
//! Holds that statement in two halves, [`leave`] and [`enter`]; filters and edges are in folders of
//! their own, and so are the safety properties in their own words. Refuses to use anything of
//! `forward` but the names of the reasons, and any of the cloud's answers to questions ("which
//! routes are in force", "who has this address", "is this peering usable"): it reads fields,
//! compares bits and searches lists in full.
#![allow(clippy::unwrap_used, reason = "a dangling reference in the cloud is a failure too")]

mod edges;
mod filters;
mod safety;

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use vpclab::base::id::{InterfaceId, PeeringId, RouteTableId, SubnetId, VpcId};
use vpclab::base::time::Instant;
use vpclab::cloud::Cloud;
use vpclab::cloud::gateway::{GatewayId, Site};
use vpclab::cloud::instance::{Host, InstanceState, Interface, SourceDestCheck};
use vpclab::cloud::peering::{Peering, State};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::{Blackhole, RouteTarget};
use vpclab::forward::DropReason::{self, *};

pub(crate) use filters::Carries;
pub(crate) use safety::{breaches, overlapping_peerings, trespass};

/// How a packet goes on after it has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To whoever has the address in this VPC, of whose subnets it does not leave one.
    Subnet(VpcId),
    /// To whoever has the address in this VPC.
    Inside(VpcId),
    /// To this interface, whoever has the address.
    At(InterfaceId),
    /// Over the peering, to whoever has the address in the VPC at its other end.
    Over(PeeringId, VpcId),
    /// Out of a VPC over the first gateway, into one over the second, to whoever has the address
    /// in that VPC or outside the cloud. Each with its VPC.
    Through([Option<(GatewayId, VpcId)>; 2], Beyond),
    /// To whoever has the address in the same network outside the cloud.
    Outside(Site),
}

/// The network that lies behind an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Beyond {
    Vpc(VpcId),
    Site(Site),
}

/// What is known of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Probe {
    pub(crate) from: InterfaceId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) carries: Carries,
    /// Its length in bytes, and whether routers may cut it up.
    pub(crate) length: usize,
    pub(crate) may_be_cut: bool,
}

/// A packet that has left, with the addresses that it arrives with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Left {
    pub(crate) way: Way,
    pub(crate) probe: Probe,
    /// Does its source belong to the interface that sent it?
    pub(crate) own: bool,
}

impl Probe {
    /// The short datagram that `lab::datagram` builds.
    pub(crate) fn datagram(from: InterfaceId, source: IpAddr, destination: IpAddr) -> Probe {
        let ends = [SocketAddr::new(source, 40_000), SocketAddr::new(destination, 9)];
        let carries = Carries::datagram(ends);
        Probe { from, source, destination, carries, length: 29, may_be_cut: false }
    }
}

/// The whole way, as if it took no time.
pub(crate) fn fate(cloud: &Cloud, now: Instant, probe: Probe) -> Result<InterfaceId, DropReason> {
    enter(cloud, now, leave(cloud, now, probe)?)
}

/// Rows 1 to 8 and 10 of the walk.
pub(crate) fn leave(cloud: &Cloud, now: Instant, probe: Probe) -> Result<Left, DropReason> {
    let left = match outside(cloud, probe.from) {
        Some(_) => edges::leave_from_outside(cloud, now, probe)?,
        None => leave_from_inside(cloud, now, probe)?,
    };
    let longest = longest(cloud, left.way);
    demand(probe.length <= longest || probe.may_be_cut, TooBig)?;
    Ok(left)
}

fn leave_from_inside(cloud: &Cloud, now: Instant, probe: Probe) -> Result<Left, DropReason> {
    let Probe { from, source, destination, .. } = probe;
    demand(is_up(cloud, from), InterfaceDown)?;
    let sender = cloud.interface(from).unwrap();
    demand(admits(sender, source), SourceCheck)?;
    demand(filters::groups_let_out(cloud, now, sender, &probe), GroupEgress)?;
    let own = sender.addresses.contains(&source);
    let goes = |way| Ok(Left { way, probe, own });
    if is_in_subnet(cloud, sender.subnet, destination) {
        return goes(Way::Subnet(sender.vpc));
    }
    demand(filters::acl_lets_out(cloud, sender.subnet, &probe), AclEgress)?;
    match longest_match(cloud, now, table_in_force(cloud, sender), destination).ok_or(NoRoute)? {
        None => goes(Way::Inside(sender.vpc)),
        Some(RouteTarget::Interface(target)) => {
            demand(is_up(cloud, target), Blackhole)?;
            goes(Way::At(target))
        }
        Some(RouteTarget::Nat(target)) => {
            goes(Way::At(cloud.nat_gateway(target).ok_or(Blackhole)?.interface))
        }
        Some(RouteTarget::Gateway(target)) => {
            let attached = cloud.gateway(target).and_then(|gateway| gateway.vpc);
            demand(attached == Some(sender.vpc), Blackhole)?;
            edges::leave_over(cloud, now, target, Left { way: Way::Inside(sender.vpc), probe, own })
        }
        Some(RouteTarget::Peering(target)) => {
            demand(is_active(cloud, target, now), Blackhole)?;
            let peer = other_than(sender.vpc, cloud.peering(target).unwrap());
            demand(has_address_space(cloud, peer, destination), Transit)?;
            goes(Way::Over(target, peer))
        }
    }
}

/// Rows 9 and 11 to 13, at the moment of arrival.
pub(crate) fn enter(cloud: &Cloud, now: Instant, left: Left) -> Result<InterfaceId, DropReason> {
    let Left { way, probe, own } = left;
    let destination = probe.destination;
    let having = |vpc| {
        let mut all = cloud.interfaces();
        all.find(|(_, i)| i.vpc == vpc && i.addresses.contains(&destination)).map(|(id, _)| id)
    };
    let outside = |site| {
        let mut all = cloud.outside_hosts();
        all.find(|(_, h)| h.site() == site && h.addresses.contains(&destination)).map(|(id, _)| id)
    };
    let receiver = match way {
        Way::Subnet(vpc) | Way::Inside(vpc) => having(vpc),
        Way::At(target) => cloud.interface(target).map(|_| target),
        Way::Over(peering, peer) => {
            demand(is_active(cloud, peering, now), PeeringGone)?;
            having(peer)
        }
        Way::Outside(site) => return outside(site).ok_or(NoSuchHost),
        Way::Through(gateways, beyond) => {
            for (gateway, vpc) in gateways.into_iter().flatten() {
                let attached = cloud.gateway(gateway).and_then(|gateway| gateway.vpc);
                demand(attached == Some(vpc), Blackhole)?;
            }
            // Nobody remembers anything, so this answers nothing.
            let egress_only = matches!(gateways[1], Some((GatewayId::EgressOnly(_), _)));
            demand(!egress_only, Unsolicited)?;
            match beyond {
                Beyond::Vpc(vpc) => having(vpc),
                Beyond::Site(site) => return outside(site).ok_or(NoSuchHost),
            }
        }
    };
    let receiver = receiver.ok_or(NoSuchHost)?;
    demand(is_up(cloud, receiver), InterfaceDown)?;
    let interface = cloud.interface(receiver).unwrap();
    let stays = matches!(way, Way::Subnet(_));
    demand(stays || filters::acl_lets_in(cloud, interface.subnet, &probe), AclIngress)?;
    demand(filters::groups_let_in(cloud, now, interface, &probe, own), GroupIngress)?;
    demand(admits(interface, destination), DestCheck)?;
    Ok(receiver)
}

/// 3.4: the bytes that each kind of way takes.
fn longest(cloud: &Cloud, way: Way) -> usize {
    match way {
        Way::Subnet(_) | Way::Inside(_) | Way::At(_) => 9_001,
        Way::Through([Some((GatewayId::Endpoint(_), _)), _], _)
        | Way::Through([_, Some((GatewayId::Endpoint(_), _))], _) => 9_001,
        Way::Through(..) | Way::Outside(_) => 1_500,
        Way::Over(..) if cloud.profile() == Profile::Seed => 1_500,
        Way::Over(peering, _) => {
            let peering = cloud.peering(peering).unwrap();
            let same = peering.requester().region == peering.accepter().region;
            if same { 9_001 } else { 8_500 }
        }
    }
}

/// 3.2: of all routes that cover the address the one with the longest prefix; of equal ones the
/// VPC's own, then one that somebody set, then an endpoint's. `Some(None)` is the VPC itself. If
/// packets fall through what cannot be used, that comes last.
fn longest_match(
    cloud: &Cloud,
    now: Instant,
    table: RouteTableId,
    address: IpAddr,
) -> Option<Option<RouteTarget>> {
    let table = cloud.table(table).unwrap();
    let blocks = cloud.vpc(table.vpc).unwrap().blocks();
    let mut routes: Vec<(IpNet, u8, Option<RouteTarget>)> =
        blocks.iter().map(|block| (*block, 0, None)).collect();
    routes.extend(table.routes().map(|(destination, target)| (destination, 1, Some(target))));
    for (id, gateway) in cloud.gateways() {
        if gateway.vpc != Some(table.vpc) || !table.learns_from(id) {
            continue;
        }
        let rank = if matches!(id, GatewayId::Endpoint(_)) { 2 } else { 3 };
        for prefix in &gateway.beyond {
            // Nothing that is learned pulls traffic out of the VPC.
            let within = |block: &IpNet| {
                covers(*block, prefix.addr()) && block.prefix_len() <= prefix.prefix_len()
            };
            if !blocks.iter().any(within) {
                routes.push((*prefix, rank, Some(RouteTarget::Gateway(id))));
            }
        }
    }
    // Of routes with one destination a table has only one, whether that can be used or not.
    let hidden = |net: &IpNet, rank: &u8| routes.iter().any(|(n, r, _)| n == net && r < rank);
    let in_force = routes.iter().filter(|(net, rank, _)| !hidden(net, rank));
    let covering = in_force.filter(|(net, ..)| covers(*net, address)).copied();
    let falls = cloud.blackhole() == Blackhole::FallsThrough;
    let best = covering.min_by_key(|(net, rank, target)| {
        let last = falls && !is_usable(cloud, now, *target);
        (last, std::cmp::Reverse(net.prefix_len()), *rank)
    });
    best.map(|(.., target)| target)
}

/// 3.2: is the target there, up, active, attached?
fn is_usable(cloud: &Cloud, now: Instant, target: Option<RouteTarget>) -> bool {
    match target {
        None => true,
        Some(RouteTarget::Interface(id)) => is_up(cloud, id),
        Some(RouteTarget::Nat(id)) => cloud.nat_gateways().any(|(other, _)| other == id),
        Some(RouteTarget::Gateway(id)) => cloud.gateway(id).is_some_and(|g| g.vpc.is_some()),
        Some(RouteTarget::Peering(id)) => is_active(cloud, id, now),
    }
}

fn demand(holds: bool, otherwise: DropReason) -> Result<(), DropReason> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// Of one family, and equal in the first `prefix_len` bits.
pub(crate) fn covers(net: IpNet, address: IpAddr) -> bool {
    let (one, other) = match (net.addr(), address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (u128::from(a.to_bits()) << 96, u128::from(b.to_bits()) << 96)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits()),
        _ => return false,
    };
    (one ^ other).leading_zeros() >= u32::from(net.prefix_len())
}

fn is_up(cloud: &Cloud, id: InterfaceId) -> bool {
    cloud.interface(id).is_some_and(|interface| match interface.host {
        Host::Instance(id) => cloud.instance(id).unwrap().state == InstanceState::Running,
        Host::NatGateway(_) => true,
        Host::Nobody => false,
    })
}

fn is_active(cloud: &Cloud, id: PeeringId, now: Instant) -> bool {
    cloud.peering(id).is_some_and(|p| matches!(p.state(now), State::Active { .. }))
}

fn admits(interface: &Interface, address: IpAddr) -> bool {
    interface.source_dest_check == SourceDestCheck::Off || interface.addresses.contains(&address)
}

fn has_address_space(cloud: &Cloud, vpc: VpcId, address: IpAddr) -> bool {
    cloud.vpc(vpc).unwrap().blocks().iter().any(|block| covers(*block, address))
}

fn is_in_subnet(cloud: &Cloud, subnet: SubnetId, address: IpAddr) -> bool {
    let subnet = cloud.subnet(subnet).unwrap();
    covers(subnet.cidr.into(), address)
        || subnet.ipv6.is_some_and(|block| covers(block.into(), address))
}

fn other_than(vpc: VpcId, peering: &Peering) -> VpcId {
    let (one, two) = (peering.requester().vpc, peering.accepter().vpc);
    if one == vpc { two } else { one }
}

fn table_in_force(cloud: &Cloud, interface: &Interface) -> RouteTableId {
    let association = cloud.subnet(interface.subnet).unwrap().association();
    association.map_or(cloud.vpc(interface.vpc).unwrap().main_table(), |(_, table)| table)
}

/// The host, if it is one outside the cloud.
fn outside(cloud: &Cloud, id: InterfaceId) -> Option<&vpclab::cloud::gateway::OutsideHost> {
    cloud.outside_hosts().find(|(other, _)| *other == id).map(|(_, host)| host)
}
