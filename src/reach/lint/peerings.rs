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
use crate::wire::Family;

/// How long before its end a request is said to expire.
const NOTICE: Span = Span::from_days(1);

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    let routes = lens.cloud.tables().flat_map(|(_, table)| table.routes());
    let routed: BTreeSet<(PeeringId, Family)> = routes
        .filter_map(|(destination, target)| match target {
            RouteTarget::Peering(id) => Some((id, Family::of(destination.addr()))),
            RouteTarget::Interface(_) | RouteTarget::Gateway(_) | RouteTarget::Nat(_) => None,
        })
        .collect();
    for peering in lens.cloud.peerings() {
        let subject = Subject::Peering(peering.id());
        let ends = [peering.requester().vpc, peering.accepter().vpc];
        let [v4, v6] = [Family::V4, Family::V6].map(|f| routed.contains(&(peering.id(), f)));
        match peering.state(lens.now) {
            State::Active { .. } if !v4 && !v6 => {
                found.push(Finding { subject, evidence: Evidence::UnusedPeering { ends } });
            }
            State::Active { .. } if !v6 && ends.iter().all(|id| has_ipv6(lens, *id)) => {
                found.push(Finding { subject, evidence: Evidence::Ipv4OnlyPeering { ends } });
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

fn has_ipv6(lens: &Lens<'_>, vpc: VpcId) -> bool {
    let blocks = lens.cloud.vpc(vpc).map_or(&[][..], |vpc| vpc.blocks());
    blocks.iter().any(|block| Family::of(block.addr()) == Family::V6)
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
