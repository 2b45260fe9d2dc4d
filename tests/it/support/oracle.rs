//! The independent oracle: what becomes of a packet, stated over the cloud's data as invariants.md
//! 1.1 states it, check after check.
//!
//! Holds that statement in two halves, [`leave`] and [`enter`], and the safety properties S1-S5 in
//! their own words ([`breaches`], [`overlapping_peerings`] for S7). Refuses to use anything of `forward` but the names of the
//! reasons, and any of the cloud's answers to questions ("which table is in force", "who has this
//! address", "is this peering usable"): it reads fields, compares bits and searches lists in full.
#![allow(clippy::unwrap_used, reason = "a dangling reference in the cloud is a failure too")]

use std::net::IpAddr;

use ipnet::IpNet;
use vpclab::base::id::{InterfaceId, PeeringId, VpcId};
use vpclab::base::time::Instant;
use vpclab::cloud::Cloud;
use vpclab::cloud::instance::{InstanceState, Interface, SourceDestCheck};
use vpclab::cloud::peering::{Peering, State};
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::DropReason::{self, *};

/// How a packet goes on after it has left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To whoever has the address in this VPC.
    Inside(VpcId),
    /// To this interface, whoever has the address.
    At(InterfaceId),
    /// Over the peering, to whoever has the address in the VPC at its other end.
    Over(PeeringId, VpcId),
}

/// What is known of a packet: addresses are all that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Probe {
    pub(crate) from: InterfaceId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// The whole way, as if it took no time.
pub(crate) fn fate(cloud: &Cloud, now: Instant, probe: Probe) -> Result<InterfaceId, DropReason> {
    enter(cloud, now, leave(cloud, now, probe)?, probe.destination)
}

/// Invariants.md 1.1, rows 2 to 9.
pub(crate) fn leave(cloud: &Cloud, now: Instant, probe: Probe) -> Result<Way, DropReason> {
    let Probe { from, source, destination } = probe;
    demand(is_up(cloud, from), InterfaceDown)?;
    let sender = cloud.interface(from).unwrap();
    demand(admits(sender, source), SourceCheck)?;
    let subnet = cloud.subnet(sender.subnet).unwrap();
    if covers(subnet.cidr.into(), destination)
        || subnet.ipv6.is_some_and(|block| covers(block.into(), destination))
    {
        return Ok(Way::Inside(sender.vpc));
    }
    let vpc = cloud.vpc(sender.vpc).unwrap();
    let local = vpc.blocks().iter().map(|block| (*block, None));
    let set = cloud.table(table_in_force(cloud, sender)).unwrap().routes();
    let routes = local.chain(set.map(|(destination, target)| (destination, Some(target))));
    let longest = routes.filter(|r| covers(r.0, destination)).max_by_key(|r| r.0.prefix_len());
    match longest.ok_or(NoRoute)?.1 {
        None => Ok(Way::Inside(sender.vpc)),
        Some(RouteTarget::Gateway(_) | RouteTarget::Nat(_)) => panic!("these worlds have no edges"),
        Some(RouteTarget::Interface(target)) => {
            demand(is_up(cloud, target), Blackhole)?;
            Ok(Way::At(target))
        }
        Some(RouteTarget::Peering(target)) => {
            demand(is_active(cloud, target, now), Blackhole)?;
            let peer = other_than(sender.vpc, cloud.peering(target).unwrap());
            demand(has_address_space(cloud, peer, destination), Transit)?;
            Ok(Way::Over(target, peer))
        }
    }
}

/// Invariants.md 1.1, rows 9 and 11, at the moment of arrival.
pub(crate) fn enter(
    cloud: &Cloud,
    now: Instant,
    way: Way,
    destination: IpAddr,
) -> Result<InterfaceId, DropReason> {
    let having = |vpc| {
        let mut all = cloud.interfaces();
        all.find(|(_, i)| i.vpc == vpc && i.addresses.contains(&destination)).map(|(id, _)| id)
    };
    let receiver = match way {
        Way::Inside(vpc) => having(vpc),
        Way::At(target) => cloud.interface(target).map(|_| target),
        Way::Over(peering, peer) => {
            demand(is_active(cloud, peering, now), PeeringGone)?;
            having(peer)
        }
    };
    let receiver = receiver.ok_or(NoSuchHost)?;
    demand(is_up(cloud, receiver), InterfaceDown)?;
    demand(admits(cloud.interface(receiver).unwrap(), destination), DestCheck)?;
    Ok(receiver)
}

/// Which of S1-S5 a delivery that took no time breaks; none, if all is well. Stated without a walk:
/// what must be true of sender, receiver, routes and peerings afterwards.
pub(crate) fn breaches(
    cloud: &Cloud,
    now: Instant,
    probe: Probe,
    to: InterfaceId,
) -> Vec<&'static str> {
    let (sender, receiver) = (cloud.interface(probe.from).unwrap(), cloud.interface(to).unwrap());
    let (x, y) = (sender.vpc, receiver.vpc);
    let between: Vec<&Peering> = cloud
        .peerings()
        .filter(|p| is_active(cloud, p.id(), now))
        .filter(|p| [p.requester().vpc, p.accepter().vpc].contains(&x))
        .filter(|p| other_than(x, p) == y)
        .collect();
    let own = has_address_space(cloud, x, probe.destination);
    // The longest match, without looking for it: a route that covers the destination, such that no
    // route that covers it is longer.
    let table = cloud.table(table_in_force(cloud, sender)).unwrap();
    let length = |net: IpNet| covers(net, probe.destination).then(|| net.prefix_len());
    let local = cloud.vpc(x).unwrap().blocks().iter().filter_map(|b| length(*b)).max();
    let points_at = |wanted: RouteTarget| {
        let longest = |l| table.routes().all(|(d, _)| length(d).is_none_or(|other| other <= l));
        table.routes().any(|(destination, target)| {
            target == wanted
                && length(destination).is_some_and(|l| local.is_none_or(|at| at < l) && longest(l))
        })
    };
    let over_it = between.first().is_some_and(|p| points_at(RouteTarget::Peering(p.id())));
    let owns = receiver.addresses.contains(&probe.destination);
    [
        ("S1: several or no active peerings", x != y && between.len() != 1),
        ("S1: longest match is not that peering", x != y && !over_it),
        ("S1: receiver is not the owner", x != y && !owns),
        (
            "S1: not in the receiver's blocks",
            x != y && !has_address_space(cloud, y, probe.destination),
        ),
        ("S1: neither owner nor target", !owns && !points_at(RouteTarget::Interface(to))),
        ("S2, S3: no active peering", x != y && between.is_empty()),
        ("S4: left the VPC by an edge", !owns && receiver.source_dest_check == SourceDestCheck::On),
        ("S5: own address left the VPC", x != y && own),
        ("S14: foreign source", !admits(sender, probe.source)),
    ]
    .into_iter()
    .filter_map(|(breach, happened)| happened.then_some(breach))
    .collect()
}

/// The active peerings whose VPCs share an address; none, if S7 holds.
pub(crate) fn overlapping_peerings(cloud: &Cloud, now: Instant) -> Vec<PeeringId> {
    let blocks = |vpc: VpcId| cloud.vpc(vpc).unwrap().blocks();
    let shared = |p: &&Peering| {
        let pairs = blocks(p.requester().vpc)
            .iter()
            .flat_map(|one| blocks(p.accepter().vpc).iter().map(move |two| (*one, *two)));
        pairs.into_iter().any(|(one, two)| covers(one, two.addr()) || covers(two, one.addr()))
    };
    let active = cloud.peerings().filter(|p| is_active(cloud, p.id(), now));
    active.filter(shared).map(Peering::id).collect()
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
    cloud.interface(id).is_some_and(|interface| {
        cloud.instance(interface.instance().unwrap()).unwrap().state == InstanceState::Running
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

fn other_than(vpc: VpcId, peering: &Peering) -> VpcId {
    let (one, two) = (peering.requester().vpc, peering.accepter().vpc);
    if one == vpc { two } else { one }
}

fn table_in_force(cloud: &Cloud, interface: &Interface) -> vpclab::base::id::RouteTableId {
    let association = cloud.subnet(interface.subnet).unwrap().association();
    association.map_or(cloud.vpc(interface.vpc).unwrap().main_table(), |(_, table)| table)
}
