//! Rules about where a route leads.
//!
//! Holds what can be seen in the table that has the route: targets that cannot be used, longer routes
//! that take everything, and addresses that the peer does not have. Answers are `returns.rs`.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::blocks;
use super::lens::{Lens, PeerRoute};
use super::{Direct, Edge, Evidence, Finding, Miss, PeeringRoute, Spoke, Subject, Unusable};
use crate::base::id::*;
use crate::cloud::cidr;
use crate::cloud::gateway::GatewayId;
use crate::cloud::profile::Feature;
use crate::cloud::route_table::{Hop, RouteState, RouteTarget};
use crate::cloud::vpc::Vpc;

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    for (id, table) in lens.cloud.tables() {
        for (destination, target) in table.routes() {
            let subject = Subject::Table(id);
            let shares = lens.shares(id, destination);
            let takers = shares.filter_map(|share| share.route).map(|r| r.destination);
            let takers: BTreeSet<IpNet> = takers.collect();
            let evidence = if !takers.contains(&destination) {
                let by = takers.into_iter().collect();
                Some(Evidence::ShadowedRoute { destination, target, by })
            } else {
                let why = unusable(lens, target);
                why.map(|why| Evidence::BlackholeRoute { destination, target, why })
            };
            found.extend(evidence.map(|evidence| Finding { subject, evidence }));
        }
    }
    for route in lens.peer_routes() {
        let evidence = beyond(lens, &route);
        found.extend(
            evidence.map(|e| Finding { subject: Subject::Table(route.table), evidence: e }),
        );
    }
}

impl PeerRoute<'_> {
    /// The route as a finding names it.
    pub(super) fn named(&self) -> PeeringRoute {
        let PeerRoute { destination, peer_id, peering, .. } = *self;
        PeeringRoute { destination, peering: peering.id(), peer: peer_id }
    }
}

fn unusable(lens: &Lens<'_>, target: RouteTarget) -> Option<Unusable> {
    if lens.cloud.route_state(Hop::To(target), lens.now) == RouteState::Active {
        return None;
    }
    Some(match target {
        RouteTarget::Peering(id) => match lens.cloud.peering(id) {
            Some(peering) => Unusable::Peering(peering.status(lens.now)),
            None => Unusable::Gone,
        },
        RouteTarget::Interface(id) if lens.cloud.interface(id).is_some() => Unusable::Stopped,
        RouteTarget::Gateway(id) if lens.cloud.gateway(id).is_some() => Unusable::Detached,
        RouteTarget::Interface(_) | RouteTarget::Gateway(_) | RouteTarget::Nat(_) => Unusable::Gone,
    })
}

/// What lies in the part of a route that the peer does not have. At most one finding: who hopes for
/// another VPC is told of that and not of the peer's gateways, though a default route covers both.
fn beyond(lens: &Lens<'_>, route: &PeerRoute<'_>) -> impl Iterator<Item = Evidence> + use<> {
    let surplus = route.surplus();
    let named = route.named();
    let mut out = Vec::new();
    if !surplus.is_empty() {
        let spokes = spokes(lens, route, &surplus);
        let edges = edges(lens, route.peer_id, &surplus);
        if !spokes.is_empty() {
            out.push(Evidence::HubTransit { route: named, beyond: spokes });
        }
        if !edges.is_empty() {
            out.push(Evidence::EdgeTransit { route: named, edges });
        }
        if out.is_empty() {
            out.push(if route.reached().is_empty() {
                Evidence::NotInPeer { route: named, why: miss(route) }
            } else {
                Evidence::WiderThanPeer { route: named, blocks: route.peer.blocks().to_vec() }
            });
        }
    }
    out.into_iter()
}

fn miss(route: &PeerRoute<'_>) -> Miss {
    match cidr::any_overlap(&[route.destination], route.peer.blocks()) {
        true => Miss::TakenByLonger,
        false => Miss::Elsewhere,
    }
}

/// The VPCs behind the peer in which a part of the surplus lies.
fn spokes(lens: &Lens<'_>, route: &PeerRoute<'_>, surplus: &[IpNet]) -> Vec<Spoke> {
    let others = lens.live_peerings(route.peer).filter(|p| p.id() != route.peering.id());
    let spoke = |over: &crate::cloud::peering::Peering| {
        let id = over.other_end(route.peer_id)?;
        let vpc = lens.cloud.vpc(id)?;
        let direct = direct(lens, route, id, vpc);
        cidr::any_overlap(vpc.blocks(), surplus).then_some(Spoke {
            vpc: id,
            over: over.id(),
            direct,
        })
    };
    others.filter_map(spoke).collect()
}

fn direct(lens: &Lens<'_>, route: &PeerRoute<'_>, other_id: VpcId, other: &Vpc) -> Direct {
    let mut live = lens.live_peerings(route.vpc);
    if let Some(peering) = live.find(|p| p.other_end(route.vpc_id) == Some(other_id)) {
        return Direct::Peered(peering.id());
    }
    for own in route.vpc.blocks() {
        if let Some(theirs) = other.blocks().iter().find(|b| cidr::overlap(*own, **b)) {
            return Direct::Overlap(*own, *theirs);
        }
    }
    let inter_region = lens.cloud.profile().has(Feature::InterRegionPeering);
    match inter_region || route.vpc.region == other.region {
        true => Direct::Peer,
        false => Direct::OtherRegion,
    }
}

/// Blocks that the internet does not route (as `cidr::is_private` has it), and link-local ones.
const NOT_PUBLIC: [IpNet; 7] = [
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
    v4([169, 254, 0, 0], 16),
    v6(0xfc00, 7),
    v6(0xfe80, 10),
];

const fn v4(octets: [u8; 4], length: u8) -> IpNet {
    let [a, b, c, d] = octets;
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(first: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), length))
}

/// The edges of the peer beyond which a part of the surplus lies.
fn edges(lens: &Lens<'_>, peer: VpcId, surplus: &[IpNet]) -> Vec<Edge> {
    let public: Vec<IpNet> =
        surplus.iter().flat_map(|block| blocks::without(*block, &NOT_PUBLIC)).collect();
    let public_v4 = public.iter().any(|block| matches!(block, IpNet::V4(_)));
    let public_v6 = public.iter().any(|block| matches!(block, IpNet::V6(_)));
    let gateways = lens.cloud.gateways().filter(|(_, gateway)| gateway.vpc == Some(peer));
    let mut out: Vec<Edge> = gateways
        .filter(|(id, gateway)| match id {
            GatewayId::Internet(_) => !public.is_empty(),
            GatewayId::EgressOnly(_) => public_v6,
            GatewayId::Vpn(_) | GatewayId::Endpoint(_) => {
                cidr::any_overlap(&gateway.beyond, surplus)
            }
        })
        .map(|(id, _)| Edge::Gateway(id))
        .collect();
    let nats = lens.cloud.nat_gateways().filter(|(_, nat)| public_v4 && nat.vpc == peer);
    out.extend(nats.map(|(id, _)| Edge::Nat(id)));
    out
}
