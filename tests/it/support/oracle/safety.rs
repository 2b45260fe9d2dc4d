//! Safety in its own words: what must be true after a packet was delivered, and of peerings at any
//! time (invariants S1 to S5, S7 and S14).
//!
//! Stated without a walk. Refuses to say what should have become of a packet that was dropped.

use ipnet::IpNet;
use vpclab::base::id::{InterfaceId, PeeringId, VpcId};
use vpclab::base::time::Instant;
use vpclab::cloud::Cloud;
use vpclab::cloud::gateway::{GatewayId, Site};
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::cloud::peering::Peering;
use vpclab::cloud::route_table::RouteTarget;

use super::edges::{egress_only_gateway, internet_gateway};
use super::{
    Probe, admits, covers, has_address_space, is_active, other_than, outside, table_in_force,
};

/// Which of S1-S5 a delivery that took no time breaks in a world without edges; none, if all is
/// well.
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

/// The rule that a delivery breaks, if any, in a world with edges: a packet stays in its VPC, goes
/// to a VPC that is directly and actively peered with it, or over an edge of its own VPC; and what
/// comes from outside stays there or enters the VPC that the edge is attached to (S2, S3, S4).
///
/// Two VPCs meet on the internet like anybody else: over an internet gateway of each, or for IPv6 over
/// an egress-only one.
pub(crate) fn trespass(
    cloud: &Cloud,
    now: Instant,
    probe: Probe,
    to: InterfaceId,
) -> Option<&'static str> {
    let is_v6 = probe.destination.is_ipv6();
    let egress_only = |vpc| is_v6 && egress_only_gateway(cloud, vpc).is_some();
    let online = |vpc| internet_gateway(cloud, vpc).is_some() || egress_only(vpc);
    let public = |x, y| x != y && online(x) && online(y) && is_public(cloud, probe, to);
    let attached = |gateway: GatewayId, vpc| cloud.gateway(gateway).unwrap().vpc == Some(vpc);
    let is_allowed = match (outside(cloud, probe.from), outside(cloud, to)) {
        (None, None) => {
            let [x, y] = [probe.from, to].map(|id| cloud.interface(id).unwrap().vpc);
            let joins = |p: &Peering| {
                let ends = [p.requester().vpc, p.accepter().vpc];
                is_active(cloud, p.id(), now) && ends.contains(&x) && other_than(x, p) == y
            };
            let joined = cloud.peerings().filter(|p| joins(p)).count() == 1;
            x == y || (joined && has_address_space(cloud, y, probe.destination)) || public(x, y)
        }
        (None, Some(host)) => {
            let vpc = cloud.interface(probe.from).unwrap().vpc;
            match host.site() {
                Site::Internet => online(vpc),
                Site::Behind(gateway) => attached(gateway, vpc),
            }
        }
        (Some(host), None) => {
            let vpc = cloud.interface(to).unwrap().vpc;
            match host.site() {
                Site::Internet => online(vpc) && is_public(cloud, probe, to),
                Site::Behind(gateway) => {
                    attached(gateway, vpc) && has_address_space(cloud, vpc, probe.destination)
                }
            }
        }
        (Some(one), Some(two)) => one.site() == two.site(),
    };
    let honest = cloud.interface(probe.from).is_none_or(|sender| admits(sender, probe.source));
    match (is_allowed, honest) {
        (true, true) => None,
        (false, _) => Some("S2, S3, S4: delivered where nothing of its sender's may go"),
        (true, false) => Some("S14: foreign source"),
    }
}

/// Did the packet, as it left, name its receiver as the internet does?
fn is_public(cloud: &Cloud, probe: Probe, to: InterfaceId) -> bool {
    if probe.destination.is_ipv6() {
        return cloud.interface(to).unwrap().addresses.contains(&probe.destination);
    }
    cloud.public_addresses().any(|(_, held)| {
        let stands_for = held.association.map(|(_, interface, _)| interface);
        probe.destination == held.address && stands_for == Some(to)
    })
}
