//! Rules about peerings as such, and about the VPCs that one hub brings together.

use std::collections::BTreeSet;

use super::blocks;
use super::lens::Lens;
use super::{Evidence, Finding, Subject};
use crate::base::id::*;
use crate::base::time::Span;
use crate::cloud::peering::State;
use crate::cloud::route_table::RouteTarget;
use crate::cloud::vpc::Vpc;

/// How long before its end a request is said to expire.
const NOTICE: Span = Span::from_days(1);

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    let routed: BTreeSet<PeeringId> = lens
        .cloud
        .tables()
        .flat_map(|(_, table)| table.routes())
        .filter_map(|(_, target)| match target {
            RouteTarget::Peering(id) => Some(id),
            RouteTarget::Interface(_) | RouteTarget::Gateway(_) | RouteTarget::Nat(_) => None,
        })
        .collect();
    for peering in lens.cloud.peerings() {
        let subject = Subject::Peering(peering.id());
        match peering.state(lens.now) {
            State::Active { .. } if !routed.contains(&peering.id()) => {
                let ends = [peering.requester().vpc, peering.accepter().vpc];
                found.push(Finding { subject, evidence: Evidence::UnusedPeering { ends } });
            }
            State::PendingAcceptance { expires_at } if expires_at <= lens.now + NOTICE => {
                let asked = peering.accepter().vpc;
                let evidence = Evidence::ExpiringRequest { expires_at, asked };
                found.push(Finding { subject, evidence });
            }
            _ => {}
        }
    }
    for (id, hub) in lens.cloud.vpcs() {
        overlaps(lens, id, hub, found);
    }
}

/// Pairs of VPCs around a hub that share addresses. Quadratic in the peerings of the hub, of which a
/// quota allows few.
fn overlaps(lens: &Lens<'_>, hub_id: VpcId, hub: &Vpc, found: &mut Vec<Finding>) {
    let spokes: Vec<(VpcId, PeeringId, &Vpc)> = lens
        .live_peerings(hub)
        .filter_map(|peering| {
            let id = peering.other_end(hub_id)?;
            Some((id, peering.id(), lens.cloud.vpc(id)?))
        })
        .collect();
    for (row, (one, over_one, a)) in spokes.iter().enumerate() {
        for (other, over_other, b) in &spokes[row + 1..] {
            let mut pairs =
                a.blocks().iter().flat_map(|x| b.blocks().iter().map(move |y| (*x, *y)));
            // With `today` one pair of VPCs may have two live peerings, of which one is a request.
            let common = pairs.find(|(x, y)| blocks::common(*x, *y).is_some());
            if let Some((x, y)) = common.filter(|_| one != other) {
                let evidence = Evidence::HubOverlap {
                    one: (*one, *over_one, x),
                    other: (*other, *over_other, y),
                };
                found.push(Finding { subject: Subject::Vpc(hub_id), evidence });
            }
        }
    }
}
