//! Temporary.
#![allow(missing_docs)]
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::account::{Region, Zone};
use crate::cloud::dns::Switch;
use crate::cloud::instance::Instance;
use crate::cloud::peering::{End, Party, Status};
use crate::cloud::{Cloud, PeeringView, vpc::Vpc};
use ipnet::IpNet;
pub trait VpcShim {
    fn block_associations(&self) -> impl DoubleEndedIterator<Item = (CidrAssociationId, IpNet)>;
    fn is_default(&self) -> bool;
}
impl VpcShim for Vpc {
    fn block_associations(&self) -> impl DoubleEndedIterator<Item = (CidrAssociationId, IpNet)> {
        let id = CidrAssociationId::new(self.main_table().digits());
        self.blocks().iter().map(move |b| (id, *b))
    }
    fn is_default(&self) -> bool {
        false
    }
}
pub trait CloudShim {
    fn block_by_association(&self, id: CidrAssociationId) -> Option<(VpcId, IpNet)>;
    fn check_tags(tags: &[(String, String)]) -> Result<(), crate::cloud::refusal::Refusal>;
}
impl CloudShim for Cloud {
    fn block_by_association(&self, _: CidrAssociationId) -> Option<(VpcId, IpNet)> {
        None
    }
    fn check_tags(_: &[(String, String)]) -> Result<(), crate::cloud::refusal::Refusal> {
        Ok(())
    }
}
pub trait RegionShim {
    fn zones(&self) -> std::vec::IntoIter<Zone>;
}
impl RegionShim for Region {
    fn zones(&self) -> std::vec::IntoIter<Zone> {
        ["a", "b", "c"]
            .into_iter()
            .filter_map(|l| format!("{}{l}", self).parse().ok())
            .collect::<Vec<_>>()
            .into_iter()
    }
}
pub trait InstanceShim {
    fn interface(&self) -> Option<InterfaceId>;
}
impl InstanceShim for Instance {
    fn interface(&self) -> Option<InterfaceId> {
        Some(self.interface)
    }
}
pub trait ViewShim {
    fn id(&self) -> PeeringId;
    fn status(&self) -> Status;
    fn blocks(&self, e: End) -> &[IpNet];
    fn party(&self, e: End) -> &Party;
    fn message(&self) -> String;
    fn expires_at(&self) -> Option<Instant>;
    fn tags(&self) -> &std::collections::BTreeMap<String, String>;
    fn dns_from_peer(&self, e: End) -> Option<Switch>;
}
impl ViewShim for PeeringView<'_> {
    fn id(&self) -> PeeringId {
        self.peering.id()
    }
    fn status(&self) -> Status {
        self.status
    }
    fn blocks(&self, e: End) -> &[IpNet] {
        match e {
            End::Requester => self.requester_blocks,
            End::Accepter => self.accepter_blocks,
        }
    }
    fn party(&self, e: End) -> &Party {
        self.peering.party(e)
    }
    fn message(&self) -> String {
        match self.status {
            Status::PendingAcceptance => {
                format!("Pending Acceptance by {}", self.peering.accepter().account)
            }
            Status::InitiatingRequest => {
                format!("Initiating Request to {}", self.peering.accepter().account)
            }
            Status::Active => "Active".into(),
            s => s.code().to_owned(),
        }
    }
    fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }
    fn tags(&self) -> &std::collections::BTreeMap<String, String> {
        self.tags
    }
    fn dns_from_peer(&self, _: End) -> Option<Switch> {
        Some(Switch::Off)
    }
}

pub trait OwnShim {
    fn gateways_of<'a>(
        &'a self,
        c: &crate::cloud::account::Caller,
    ) -> std::vec::IntoIter<(crate::cloud::gateway::GatewayId, &'a crate::cloud::gateway::Gateway)>;
    fn nat_gateways_of<'a>(
        &'a self,
        c: &crate::cloud::account::Caller,
    ) -> std::vec::IntoIter<(NatGatewayId, &'a crate::cloud::gateway::NatGateway)>;
}
impl OwnShim for Cloud {
    fn gateways_of<'a>(
        &'a self,
        c: &crate::cloud::account::Caller,
    ) -> std::vec::IntoIter<(crate::cloud::gateway::GatewayId, &'a crate::cloud::gateway::Gateway)>
    {
        self.gateways()
            .filter(|(_, g)| g.owner == c.account && g.region == c.region)
            .collect::<Vec<_>>()
            .into_iter()
    }
    fn nat_gateways_of<'a>(
        &'a self,
        c: &crate::cloud::account::Caller,
    ) -> std::vec::IntoIter<(NatGatewayId, &'a crate::cloud::gateway::NatGateway)> {
        self.nat_gateways()
            .filter(|(_, g)| {
                self.vpc(g.vpc).is_some_and(|v| v.owner == c.account && v.region == c.region)
            })
            .collect::<Vec<_>>()
            .into_iter()
    }
}
