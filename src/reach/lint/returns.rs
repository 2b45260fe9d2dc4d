//! Rules about answers: does what a route lets out find its way back?
//!
//! Holds the look from the asking table into the answering ones. A route is judged by the addresses
//! that somebody has on either side, so that a route for one host is judged by that host.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::blocks;
use super::lens::{Lens, PeerRoute};
use super::{Astray, Evidence, Fate, Finding, Lost, PeeringRoutes, Subject};
use crate::base::id::*;
use crate::cloud::cidr;
use crate::cloud::route_table::{Hop, Route, RouteTarget};
use crate::cloud::vpc::Vpc;
use crate::wire::Family;

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    // What a table has into one peering is judged together: where the way back is missing, it is
    // missing for all of it.
    let mut judged: BTreeMap<(RouteTableId, PeeringId), (PeeringRoutes, Answers)> = BTreeMap::new();
    for route in lens.peer_routes() {
        let (peering, peer) = (route.peering.id(), route.peer_id);
        let (routes, answers) = judged.entry((route.table, peering)).or_insert_with(|| {
            (PeeringRoutes { destinations: Vec::new(), peering, peer }, Answers::default())
        });
        if answers.look(lens, &route) == Looked::Somebody {
            routes.destinations.push(route.destination);
        }
    }
    for ((table, _), (routes, answers)) in judged {
        let subject = Subject::Table(table);
        let Answers { returned, lost, astray, .. } = answers;
        let (lost, astray) = (Vec::from_iter(lost), Vec::from_iter(astray));
        if !astray.is_empty() {
            let routes = routes.clone();
            found
                .push(Finding { subject, evidence: Evidence::AsymmetricReturn { routes, astray } });
        }
        if !lost.is_empty() {
            let evidence = match returned {
                Returned::Some => Evidence::PartialReturn { routes, lost },
                Returned::None => Evidence::NoReturnRoute { routes, lost },
            };
            found.push(Finding { subject, evidence });
        }
    }
}

/// Whether answers of anybody come back as they should.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Returned {
    Some,
    #[default]
    None,
}

/// Whether a route reaches anybody who could answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looked {
    Somebody,
    Nobody,
}

/// What becomes of the answers to what the routes of a table into one peering let out.
#[derive(Default)]
struct Answers {
    returned: Returned,
    lost: BTreeSet<Lost>,
    astray: BTreeSet<Astray>,
    /// The tables that have been looked at, by family: each says the same for every route.
    seen: BTreeSet<(Family, RouteTableId)>,
}

/// The tables of the subnets in which the route reaches somebody.
fn answering_tables(lens: &Lens<'_>, route: &PeerRoute<'_>) -> BTreeSet<RouteTableId> {
    let reached = route.reached();
    let is_reached = |id: &&SubnetId| {
        let blocks: Vec<IpNet> =
            lens.cloud.subnet(**id).into_iter().flat_map(|s| s.blocks()).collect();
        let common = |block: &IpNet| {
            let block = *block;
            reached.iter().filter_map(move |part| blocks::common(block, *part))
        };
        blocks.iter().flat_map(common).any(|part| lens.is_inhabited(route.peer_id, part))
    };
    let subnets = route.peer.subnets().iter().filter(is_reached);
    subnets.filter_map(|id| lens.cloud.table_of(*id)).collect()
}

impl Answers {
    /// Adds the answers to what one route lets out.
    fn look(&mut self, lens: &Lens<'_>, route: &PeerRoute<'_>) -> Looked {
        let family = Family::of(route.destination.addr());
        let subnets = lens.users(route.table).iter().filter_map(|id| lens.cloud.subnet(*id));
        let blocks = subnets.flat_map(|subnet| subnet.blocks());
        let askers: Vec<IpNet> = blocks.filter(|b| Family::of(b.addr()) == family).collect();
        let tables = answering_tables(lens, route);
        for table in &tables {
            if !self.seen.insert((family, *table)) {
                continue;
            }
            for share in askers.iter().flat_map(|asker| lens.shares(*table, *asker)) {
                if lens.is_inhabited(route.vpc_id, share.block) {
                    self.sort_in(lens, route, *table, share.block, share.route);
                }
            }
        }
        if tables.is_empty() { Looked::Nobody } else { Looked::Somebody }
    }

    fn sort_in(
        &mut self,
        lens: &Lens<'_>,
        asked: &PeerRoute<'_>,
        table: RouteTableId,
        to: IpNet,
        by: Option<Route>,
    ) {
        let lost = Lost { table, to, by: by.map(|route| (route.destination, route.hop)) };
        let Some(route) = by else {
            self.lost.insert(lost);
            return;
        };
        match route.hop {
            Hop::To(RouteTarget::Peering(over)) if over == asked.peering.id() => {
                self.returned = Returned::Some;
            }
            // Where a middlebox sends it is the middlebox's affair.
            Hop::Local | Hop::To(RouteTarget::Interface(_)) => self.returned = Returned::Some,
            Hop::To(RouteTarget::Peering(over)) => match leads_into(lens, asked.peer_id, over) {
                Some((into, vpc)) => {
                    let has = cidr::any_overlap(vpc.blocks(), &[to]);
                    let fate = if has { Fate::Misdelivered } else { Fate::Dropped };
                    let by = route.destination;
                    self.astray.insert(Astray { table, to, by, over, into, fate });
                }
                None => {
                    self.lost.insert(lost);
                }
            },
            Hop::To(RouteTarget::Gateway(_) | RouteTarget::Nat(_)) => {
                self.lost.insert(lost);
            }
        }
    }
}

/// The VPC at the other end of a peering of `from`, if it is active.
fn leads_into<'c>(lens: &Lens<'c>, from: VpcId, over: PeeringId) -> Option<(VpcId, &'c Vpc)> {
    let active = lens.cloud.peering(over)?.active(lens.now)?;
    let into = active.peering().other_end(from)?;
    Some((into, lens.cloud.vpc(into)?))
}
