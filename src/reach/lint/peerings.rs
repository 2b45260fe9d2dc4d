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

/// VPCs around a hub that share addresses: with each, those after it that overlap it, unless both
/// have been named already. Quadratic in the peerings of the hub, of which a quota allows few.
fn overlaps(lens: &Lens<'_>, hub_id: VpcId, hub: &Vpc, found: &mut Vec<Finding>) {
    let mut spokes: Vec<(VpcId, PeeringId, &Vpc)> = lens
        .live_peerings(hub)
        .filter_map(|peering| {
            let id = peering.other_end(hub_id)?;
            Some((id, peering.id(), lens.cloud.vpc(id)?))
        })
        .collect();
    // With `today` one pair of VPCs may have two live peerings, of which one is a request.
    spokes.sort_by_key(|(id, _, _)| *id);
    spokes.dedup_by_key(|(id, _, _)| *id);
    let mut named: BTreeSet<VpcId> = BTreeSet::new();
    for (row, (one, over_one, a)) in spokes.iter().enumerate() {
        let mut shared = Vec::new();
        for (other, over_other, b) in &spokes[row + 1..] {
            let mut pairs =
                a.blocks().iter().flat_map(|x| b.blocks().iter().map(move |y| (*x, *y)));
            let common = pairs.find(|(x, y)| blocks::common(*x, *y).is_some());
            if let Some((x, y)) = common.filter(|_| !(named.contains(one) && named.contains(other)))
            {
                if shared.is_empty() {
                    shared.push((*one, *over_one, x));
                }
                shared.push((*other, *over_other, y));
            }
        }
        named.extend(shared.iter().map(|(vpc, _, _)| *vpc));
        if !shared.is_empty() {
            let evidence = Evidence::HubOverlap { spokes: shared };
            found.push(Finding { subject: Subject::Vpc(hub_id), evidence });
        }
    }
}
