//! A peering as one of its parties sees it (vpc-semantics 2.1, 2.4).
//!
//! Holds the view: what it does not hand out, no front door can tell. Refuses to decide who sees a
//! peering at all, which is `peering.rs`, and to know why a request failed (invariant S11).

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::Cloud;
use super::dns::Switch;
use super::event::ResourceId;
use super::peering::{End, Party, Peering, State, Status};
use crate::base::id::*;
use crate::base::time::Instant;

/// A peering as one party sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeeringView<'c> {
    id: PeeringId,
    parties: [&'c Party; 2],
    status: Status,
    blocks: [&'c [IpNet]; 2],
    options: [Option<Switch>; 2],
    expires_at: Option<Instant>,
    deleted_by: Option<AccountId>,
    tags: &'c BTreeMap<String, String>,
}

impl<'c> PeeringView<'c> {
    /// Its id.
    pub fn id(&self) -> PeeringId {
        self.id
    }

    /// The VPC, owner and region of an end, as the request named them: always shown.
    pub fn party(&self, end: End) -> &'c Party {
        self.parties[at(end)]
    }

    /// The status code.
    pub fn status(&self) -> Status {
        self.status
    }

    /// What EC2 says beside the code (2.1).
    pub fn message(&self) -> String {
        let accepter = self.party(End::Accepter).account;
        match self.status {
            Status::InitiatingRequest => format!("Initiating Request to {accepter}"),
            Status::Failed => {
                "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned()
            }
            Status::PendingAcceptance => format!("Pending Acceptance by {accepter}"),
            Status::Expired => "Expired".to_owned(),
            Status::Rejected => "Inactive".to_owned(),
            Status::Provisioning => "Provisioning".to_owned(),
            Status::Active => "Active".to_owned(),
            Status::Deleting => "Deleting".to_owned(),
            Status::Deleted => match self.deleted_by {
                Some(account) => format!("Deleted by {account}"),
                None => "Deleted".to_owned(),
            },
        }
    }

    /// The blocks of the VPC at an end: the requester's until it ends, the accepter's while it is
    /// active. Empty means not shown: a VPC has at least one.
    pub fn blocks(&self, end: End) -> &'c [IpNet] {
        self.blocks[at(end)]
    }

    /// Whether private addresses of that end's VPC resolve at the other; shown when its blocks are.
    pub fn dns_from_peer(&self, end: End) -> Option<Switch> {
        self.options[at(end)]
    }

    /// The deadline: shown while pending.
    pub fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }

    /// The party's own tags.
    pub fn tags(&self) -> &'c BTreeMap<String, String> {
        self.tags
    }
}

const fn at(end: End) -> usize {
    match end {
        End::Requester => 0,
        End::Accepter => 1,
    }
}

impl Cloud {
    pub(super) fn view<'c>(
        &'c self,
        peering: &'c Peering,
        account: AccountId,
        now: Instant,
    ) -> PeeringView<'c> {
        let (state, status) = (peering.state(now), peering.status(now));
        let is_asked = matches!(
            status,
            Status::InitiatingRequest | Status::PendingAcceptance | Status::Provisioning
        );
        let shown =
            End::ALL.map(|end| status == Status::Active || (is_asked && end == End::Requester));
        let parties = End::ALL.map(|end| peering.party(end));
        let blocks = End::ALL.map(|end| {
            let vpc = self.vpcs.get(&peering.party(end).vpc).filter(|_| shown[at(end)]);
            vpc.map_or(&[][..], |vpc| vpc.blocks())
        });
        let options = End::ALL.map(|end| {
            let switch = peering.dns_from_peer(peering.party(end).vpc);
            switch.filter(|_| shown[at(end)])
        });
        let expires_at = match state {
            State::PendingAcceptance { expires_at } => Some(expires_at),
            _ => None,
        };
        let deleted_by = match state {
            State::Deleted { by, .. } => Some(by),
            _ => None,
        };
        let tags = self.tags(ResourceId::Peering(peering.id()), account);
        let id = peering.id();
        PeeringView { id, parties, status, blocks, options, expires_at, deleted_by, tags }
    }
}
