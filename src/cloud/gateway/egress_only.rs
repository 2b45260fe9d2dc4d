//! Egress-only internet gateways: the commands about them.
//!
//! Holds their decisions: one for each VPC, so many a Region. Refuses to remember what went out over
//! one: that is the forwarder's.

use super::{Gateway, GatewayId};
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::profile::Feature;
use crate::cloud::quota::Quota;
use crate::cloud::refusal::Refusal;

impl Cloud {
    pub(in crate::cloud) fn create_egress_only_gateway(
        &self,
        caller: &Caller,
        vpc: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        // It came with IPv6.
        if !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("EgressOnlyInternetGateway"));
        }
        self.own_vpc(caller, vpc)?;
        if self.egress_only_gateway_of(vpc).is_some() {
            return Err(Refusal::VpcHasEgressOnlyGateway(vpc));
        }
        self.within(caller.account, Quota::EgressOnlyGatewaysPerRegion, || {
            let of_account = self.gateways_of(caller);
            of_account.filter(|(id, _)| matches!(id, GatewayId::EgressOnly(_))).count()
        })?;
        let id = GatewayId::EgressOnly(EgressOnlyGatewayId::new(self.mint().next()));
        let gateway = Gateway { vpc: Some(vpc), ..Gateway::new(caller) };
        Ok(vec![Change::GatewayCreated { id, gateway }])
    }

    /// It goes although routes name it, which become blackholes.
    pub(in crate::cloud) fn delete_egress_only_gateway(
        &self,
        caller: &Caller,
        id: EgressOnlyGatewayId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::EgressOnly(id);
        self.own_gateway(caller, gateway)?;
        Ok(self.without_gateway(gateway))
    }
}
