//! The network as lint looks at it: who lives where, who uses which table, which route wins.
//!
//! Holds what several rules need, gathered once. Refuses to judge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::blocks::{self, Share};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::peering::Peering;
use crate::cloud::route_table::{Blackhole, Route, RouteState, RouteTarget};
use crate::cloud::vpc::Vpc;
use crate::forward::middlebox::Middleboxes;

/// A cloud at one moment.
pub(super) struct Lens<'c> {
    pub(super) cloud: &'c Cloud,
    pub(super) middleboxes: &'c Middleboxes,
    pub(super) now: Instant,
    /// The addresses of the interfaces of each VPC that has any.
    inhabitants: BTreeMap<VpcId, BTreeSet<IpAddr>>,
    /// The subnets that use a table, for tables that any uses.
    users: BTreeMap<RouteTableId, Vec<SubnetId>>,
    /// Every table.
    routes: BTreeMap<RouteTableId, Routes>,
}

/// What a table makes of every address, worked out once.
#[derive(Default)]
struct Routes {
    routes: Vec<Route>,
    /// All addresses, IPv4 first, ascending.
    shares: Vec<Share>,
}

impl Routes {
    fn of(cloud: &Cloud, table: RouteTableId, now: Instant) -> Routes {
        let routes: Vec<Route> = cloud.routes(table).collect();
        let drops = cloud.blackhole() == Blackhole::Drops;
        let counts = |r: &Route| drops || cloud.route_state(r.hop, now) == RouteState::Active;
        // Those that cannot be used come last where the cloud lets packets fall through them.
        let (first, last): (Vec<Route>, Vec<Route>) = routes.iter().copied().partition(counts);
        let fallen = |share: Share| match share.route {
            None if !last.is_empty() => blocks::shares(&last, share.block),
            _ => vec![share],
        };
        let everything = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        let shares = everything.into_iter().flat_map(|all| blocks::shares(&first, all));
        Routes { shares: shares.flat_map(fallen).collect(), routes }
    }

    fn shares(&self, block: IpNet) -> impl Iterator<Item = Share> {
        let before = |share: &Share| share.block.broadcast() < block.network();
        let from = self.shares.partition_point(before);
        self.shares[from..].iter().map_while(move |share| {
            let common = blocks::common(share.block, block)?;
            Some(Share { block: common, route: share.route })
        })
    }
}

/// A route that somebody set into a peering which may carry packets, now or once it is accepted.
pub(super) struct PeerRoute<'c> {
    pub(super) table: RouteTableId,
    pub(super) vpc: &'c Vpc,
    pub(super) vpc_id: VpcId,
    pub(super) destination: IpNet,
    pub(super) peering: &'c Peering,
    pub(super) peer: &'c Vpc,
    pub(super) peer_id: VpcId,
    /// The part of the destination that no other route of the table takes.
    pub(super) effective: Vec<IpNet>,
}

impl<'c> Lens<'c> {
    pub(super) fn new(cloud: &'c Cloud, middleboxes: &'c Middleboxes, now: Instant) -> Lens<'c> {
        let mut inhabitants: BTreeMap<VpcId, BTreeSet<IpAddr>> = BTreeMap::new();
        for (_, interface) in cloud.interfaces() {
            inhabitants.entry(interface.vpc).or_default().extend(&interface.addresses);
        }
        let mut users: BTreeMap<RouteTableId, Vec<SubnetId>> = BTreeMap::new();
        // In order of creation, so that findings name subnets in the order of a file.
        for subnet in cloud.vpcs().flat_map(|(_, vpc)| vpc.subnets()) {
            if let Some(table) = cloud.table_of(*subnet) {
                users.entry(table).or_default().push(*subnet);
            }
        }
        let routes = cloud.tables().map(|(id, _)| (id, Routes::of(cloud, id, now))).collect();
        Lens { cloud, middleboxes, now, inhabitants, users, routes }
    }

    /// Does anybody live at one of these addresses? In a VPC without interfaces, which is one that
    /// is still to be moved into, everybody might.
    pub(super) fn is_inhabited(&self, vpc: VpcId, block: IpNet) -> bool {
        let Some(addresses) = self.inhabitants.get(&vpc) else { return true };
        addresses.range(block.network()..=block.broadcast()).next().is_some()
    }

    /// The subnets that use a table.
    pub(super) fn users(&self, table: RouteTableId) -> &[SubnetId] {
        self.users.get(&table).map_or(&[], Vec::as_slice)
    }

    /// The routes in force of a table.
    pub(super) fn routes(&self, table: RouteTableId) -> &[Route] {
        self.routes.get(&table).map_or(&[], |routes| &routes.routes)
    }

    /// How a table shares out a block, ascending. Costs no more than the parts it yields.
    pub(super) fn shares(&self, table: RouteTableId, block: IpNet) -> impl Iterator<Item = Share> {
        self.routes.get(&table).into_iter().flat_map(move |routes| routes.shares(block))
    }

    /// The part of a destination in a table that no other route takes.
    pub(super) fn effective(&self, table: RouteTableId, destination: IpNet) -> Vec<IpNet> {
        let own = |share: &Share| share.route.is_some_and(|route| route.destination == destination);
        self.shares(table, destination).filter(own).map(|share| share.block).collect()
    }

    /// The peerings of a VPC that are active, or may become it.
    pub(super) fn live_peerings(&self, vpc: &'c Vpc) -> impl Iterator<Item = &'c Peering> {
        let (cloud, now) = (self.cloud, self.now);
        vpc.peerings().filter_map(|id| cloud.peering(id)).filter(move |p| p.is_live(now))
    }

    /// Every route into a live peering, by table.
    pub(super) fn peer_routes(&self) -> impl Iterator<Item = PeerRoute<'c>> {
        self.cloud.tables().flat_map(move |(id, table)| {
            table.routes().filter_map(move |(destination, target)| {
                self.peer_route(id, table.vpc, destination, target)
            })
        })
    }

    fn peer_route(
        &self,
        table: RouteTableId,
        vpc_id: VpcId,
        destination: IpNet,
        target: RouteTarget,
    ) -> Option<PeerRoute<'c>> {
        let RouteTarget::Peering(id) = target else { return None };
        let peering = self.cloud.peering(id).filter(|p| p.is_live(self.now))?;
        let peer_id = peering.other_end(vpc_id)?;
        let (vpc, peer) = (self.cloud.vpc(vpc_id)?, self.cloud.vpc(peer_id)?);
        let effective = self.effective(table, destination);
        Some(PeerRoute { table, vpc, vpc_id, destination, peering, peer, peer_id, effective })
    }
}

impl PeerRoute<'_> {
    /// The addresses of the peer that the route leads to.
    pub(super) fn reached(&self) -> Vec<IpNet> {
        let of_part = |part: &IpNet| {
            let part = *part;
            self.peer.blocks().iter().filter_map(move |block| blocks::common(part, *block))
        };
        self.effective.iter().flat_map(of_part).collect()
    }

    /// The addresses that the route takes and the peer does not have.
    pub(super) fn surplus(&self) -> Vec<IpNet> {
        self.effective.iter().flat_map(|part| blocks::without(*part, self.peer.blocks())).collect()
    }
}
