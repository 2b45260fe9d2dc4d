//! Rules about answers: does what a route lets out find its way back?
//!
//! Holds the look from the asking table into the answering ones. A route is judged by the addresses
//! that somebody has on either side, so that a route for one host is judged by that host.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::blocks;
use super::lens::{Lens, PeerRoute};
use super::{Astray, Evidence, Fate, Finding, Lost, Subject};
use crate::base::id::*;
use crate::cloud::route_table::{Hop, Route, RouteState, RouteTarget};

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    for route in lens.peer_routes() {
        let answers = answers(lens, &route);
        let (subject, named) = (Subject::Table(route.table), route.named());
        let Answers { returned, lost, astray } = answers;
        if !astray.is_empty() {
            let evidence = Evidence::AsymmetricReturn { route: named, astray };
            found.push(Finding { subject, evidence });
        }
        if !lost.is_empty() {
            let evidence = match returned {
                Returned::Some => Evidence::PartialReturn { route: named, lost },
                Returned::None => Evidence::NoReturnRoute { route: named, lost },
            };
            found.push(Finding { subject, evidence });
        }
    }
}

/// Whether answers of anybody come back as they should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Returned {
    Some,
    None,
}

/// What becomes of the answers to what a route lets out.
struct Answers {
    returned: Returned,
    lost: Vec<Lost>,
    astray: Vec<Astray>,
}

fn answers(lens: &Lens<'_>, route: &PeerRoute<'_>) -> Answers {
    let mut out = Answers { returned: Returned::None, lost: Vec::new(), astray: Vec::new() };
    let askers: Vec<IpNet> = lens
        .users(route.table)
        .iter()
        .filter_map(|id| lens.cloud.subnet(*id))
        .flat_map(|subnet| subnet.blocks())
        .filter(|block| same_family(*block, route.destination))
        .collect();
    for table in answering_tables(lens, route) {
        for asker in &askers {
            for share in lens.shares(table, *asker) {
                if lens.is_inhabited(route.vpc_id, share.block) {
                    out.sort_in(lens, route, table, share.block, share.route);
                }
            }
        }
    }
    out
}

fn same_family(a: IpNet, b: IpNet) -> bool {
    matches!(a, IpNet::V4(_)) == matches!(b, IpNet::V4(_))
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
    fn sort_in(
        &mut self,
        lens: &Lens<'_>,
        asked: &PeerRoute<'_>,
        table: RouteTableId,
        to: IpNet,
        by: Option<Route>,
    ) {
        let Some(route) = by else { return self.lost.push(Lost { table, to, by: None }) };
        let lost = Lost { table, to, by: Some((route.destination, route.hop)) };
        match route.hop {
            Hop::To(RouteTarget::Peering(over)) if over == asked.peering.id() => {
                self.returned = Returned::Some;
            }
            // Where a middlebox sends it is the middlebox's affair.
            Hop::Local | Hop::To(RouteTarget::Interface(_)) => self.returned = Returned::Some,
            Hop::To(RouteTarget::Gateway(_) | RouteTarget::Nat(_)) => self.lost.push(lost),
            hop if lens.cloud.route_state(hop, lens.now) == RouteState::Blackhole => {
                self.lost.push(lost);
            }
            Hop::To(RouteTarget::Peering(over)) => {
                let other = lens.cloud.peering(over).and_then(|p| p.other_end(asked.peer_id));
                let Some(into) = other else { return self.lost.push(lost) };
                let blocks = lens.cloud.vpc(into).map_or(&[][..], |vpc| vpc.blocks());
                let fate = match crate::cloud::cidr::any_overlap(blocks, &[to]) {
                    true => Fate::Misdelivered,
                    false => Fate::Dropped,
                };
                let by = route.destination;
                self.astray.push(Astray { table, to, by, over, into, fate });
            }
        }
    }
}
