//! Requesting, accepting, rejecting and deleting a peering and setting its options: the checks, in
//! their order.
//!
//! Holds the decisions that look beyond one peering (overlap, duplicates, quotas, authority).
//! Refuses to hold the life of a peering itself, which is the table in `peering.rs`.

use std::collections::BTreeSet;

use super::account::{Caller, Region};
use super::dns::Switch;
use super::event::Change;
use super::peering::{Action, End, FailureCause, Party, Peering, Role, State, Status};
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use super::vpc::Vpc;
use super::{Cloud, cidr};
use crate::base::id::*;
use crate::base::time::Instant;

impl Cloud {
    /// The peering, if it exists for the caller: as a party, in the region of either end (so that
    /// an accepter who asks in the requester's region can be told the right one, 2.2), within the
    /// time that its state stays visible.
    pub(super) fn visible_peering(
        &self,
        caller: &Caller,
        id: PeeringId,
        now: Instant,
    ) -> Result<&Peering, Refusal> {
        self.peerings
            .get(&id)
            .filter(|p| p.is_visible_to(caller.account, now))
            .filter(|p| [p.requester(), p.accepter()].iter().any(|end| end.region == caller.region))
            .ok_or(Refusal::PeeringNotFound(id))
    }

    /// The live peerings of a VPC at `now`.
    fn live_peerings(&self, vpc: &Vpc, now: Instant) -> impl Iterator<Item = &Peering> {
        vpc.peerings.iter().filter_map(|p| self.peerings.get(p)).filter(move |p| p.is_live(now))
    }

    fn accepted_peerings(&self, vpc: &Vpc, now: Instant) -> usize {
        self.live_peerings(vpc, now).filter(|p| p.is_accepted(now)).count()
    }

    /// vpc-semantics 2.3; the numbers are its rows.
    pub(super) fn request_peering(
        &self,
        caller: &Caller,
        requester: VpcId,
        accepter: VpcId,
        peer_owner: Option<AccountId>,
        peer_region: Option<&Region>,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        // 2: the requester VPC must be the caller's, here.
        let own = self.own_vpc(caller, requester)?;
        // 3: the parameter did not exist.
        if !self.profile.has(Feature::InterRegionPeering)
            && peer_region.is_some_and(|region| *region != caller.region)
        {
            return Err(Refusal::UnknownParameter("PeerRegion"));
        }
        // 8: before the rows below, because a VPC always overlaps itself.
        if requester == accepter {
            return Err(Refusal::PeeringWithItself(requester));
        }
        // 4: quotas of the side that asks.
        self.within(own.owner, Quota::ActivePeeringsPerVpc, || self.accepted_peerings(own, now))?;
        self.within(own.owner, Quota::OutstandingPeeringRequests, || {
            self.outstanding_requests(caller.account, now)
        })?;
        // 5: a repeated request is answered with the connection that exists; a reversed one is a
        // request of its own, unless the profile counts requests as peerings.
        for existing in self.live_peerings(own, now) {
            if existing.requester().vpc == requester && existing.accepter().vpc == accepter {
                return Ok(vec![Change::PeeringFound { peering: existing.id() }]);
            }
            if existing.other_end(requester) == Some(accepter)
                && !self.profile.has(Feature::ReversedRequest)
            {
                return Err(Refusal::PeeringExists(existing.id()));
            }
        }
        let far = Party {
            vpc: accepter,
            account: peer_owner.unwrap_or(caller.account),
            region: peer_region.unwrap_or(&caller.region).clone(),
        };
        // 6 and 7: these fail the connection, not the call.
        let peer =
            self.vpcs.get(&accepter).filter(|v| v.owner == far.account && v.region == far.region);
        let failure = match peer {
            None => Some(FailureCause::PeerUnknown),
            Some(peer) if cidr::any_overlap(own.blocks(), peer.blocks()) => {
                Some(FailureCause::Overlap)
            }
            Some(_) => None,
        };
        // 9.
        let near = Party { vpc: requester, account: caller.account, region: caller.region.clone() };
        Ok(vec![Change::PeeringRequested {
            peering: PeeringId::new(self.mint().next()),
            requester: near,
            accepter: far,
            state: State::InitiatingRequest {
                requested_at: now,
                settles_at: now + self.pace().settle,
                failure,
            },
        }])
    }

    /// Requests made by the account that nobody has answered.
    fn outstanding_requests(&self, account: AccountId, now: Instant) -> usize {
        let waiting = |p: &&Peering| {
            let status = p.status(now);
            p.is_live(now)
                && matches!(status, Status::InitiatingRequest | Status::PendingAcceptance)
        };
        let Some(account_now) = self.accounts.get(&account) else { return 0 };
        let seen: BTreeSet<PeeringId> =
            account_now.holdings.values().flat_map(|has| &has.peerings).copied().collect();
        let seen = seen.iter().filter_map(|id| self.peerings.get(id));
        seen.filter(|p| p.requester().account == account).filter(waiting).count()
    }

    /// What accepting and rejecting share: it must be the accepter's to answer, and in the region
    /// of its VPC.
    fn answerable_peering(
        &self,
        caller: &Caller,
        id: PeeringId,
        action: Action,
        now: Instant,
    ) -> Result<&Peering, Refusal> {
        let peering = self.visible_peering(caller, id, now)?;
        if !matches!(peering.role(caller.account), Role::Accepter | Role::Both) {
            return Err(Refusal::PeeringNotYours {
                account: caller.account,
                action: action.verb(),
                peering: id,
            });
        }
        if peering.accepter().region != caller.region {
            return Err(Refusal::PeeringRegion {
                peering: id,
                answers: match action {
                    Action::Reject => "accepted or rejected",
                    _ => "accepted",
                },
                asked: caller.region.to_string(),
                expected: peering.accepter().region.to_string(),
            });
        }
        Ok(peering)
    }

    /// The change that the life of a peering allows, or the refusal that names both states.
    fn moved(&self, peering: &Peering, action: Action, now: Instant) -> Result<Change, Refusal> {
        let from = peering.state(now);
        match from.on(action, now, self.pace()) {
            Some(to) => Ok(Change::PeeringMoved { peering: peering.id(), to }),
            None => Err(Refusal::PeeringState {
                peering: peering.id(),
                from: from.status(),
                to: action.towards(),
            }),
        }
    }

    pub(super) fn accept_peering(
        &self,
        caller: &Caller,
        id: PeeringId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let peering = self.answerable_peering(caller, id, Action::Accept, now)?;
        let change = self.moved(peering, Action::Accept, now)?;
        let ends = [peering.accepter(), peering.requester()];
        for vpc in ends.iter().filter_map(|end| self.vpcs.get(&end.vpc)) {
            let rival = self.live_peerings(vpc, now).find(|other| {
                other.is_accepted(now) && other.other_end(ends[0].vpc) == Some(ends[1].vpc)
            });
            if rival.is_some() {
                return Err(Refusal::PeeringExists(id));
            }
            let room = self.within(vpc.owner, Quota::ActivePeeringsPerVpc, || {
                self.accepted_peerings(vpc, now)
            });
            if vpc.owner == caller.account {
                room?;
            } else {
                room.map_err(|_| Refusal::PeerQuotaExceeded(id))?;
            }
        }
        Ok(vec![change])
    }

    pub(super) fn reject_peering(
        &self,
        caller: &Caller,
        id: PeeringId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let peering = self.answerable_peering(caller, id, Action::Reject, now)?;
        Ok(vec![self.moved(peering, Action::Reject, now)?])
    }

    pub(super) fn delete_peering(
        &self,
        caller: &Caller,
        id: PeeringId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let peering = self.visible_peering(caller, id, now)?;
        let action = Action::Delete { by: caller.account };
        // A pending request is the requester's to take back; the accepter rejects it instead.
        if peering.status(now) == Status::PendingAcceptance
            && peering.role(caller.account) == Role::Accepter
        {
            return Err(Refusal::PeeringNotYours {
                account: caller.account,
                action: action.verb(),
                peering: id,
            });
        }
        Ok(vec![self.moved(peering, action, now)?])
    }

    /// vpc-semantics 2.6, and the column "modify options" of 2.2. Each side is set by its owner in its
    /// region, so one account sets both only if it owns both VPCs and they are in one region.
    pub(super) fn modify_peering_options(
        &self,
        caller: &Caller,
        id: PeeringId,
        requester: Option<Switch>,
        accepter: Option<Switch>,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        if !self.profile.has(Feature::DnsResolutionAcrossPeering) {
            return Err(Refusal::UnknownParameter("AllowDnsResolutionFromRemoteVpc"));
        }
        let peering = self.visible_peering(caller, id, now)?;
        let sides = [(End::Requester, requester), (End::Accepter, accepter)];
        let wanted = || sides.into_iter().filter_map(|(end, switch)| Some((end, switch?)));
        for (end, _) in wanted() {
            let party = peering.party(end);
            if party.account != caller.account || party.region != caller.region {
                let (account, region) = (caller.account, caller.region.to_string());
                return Err(Refusal::PeeringSideNotYours { peering: id, end, account, region });
            }
        }
        if peering.active(now).is_none() {
            return Err(Refusal::PeeringNotActive(id));
        }
        let ends = End::ALL.map(|end| self.vpcs.get(&peering.party(end).vpc));
        let has_hostnames = |vpc: &Vpc| vpc.dns().support.is_on() && vpc.dns().hostnames.is_on();
        // Only switching on needs them: what is on already may be switched off at any time.
        if wanted().any(|(_, switch)| switch.is_on())
            && !ends.into_iter().flatten().all(has_hostnames)
        {
            return Err(Refusal::PeeringNeedsDnsHostnames(id));
        }
        let set =
            |(end, dns_from_peer)| Change::PeeringOptionSet { peering: id, end, dns_from_peer };
        Ok(wanted().map(set).collect())
    }
}
