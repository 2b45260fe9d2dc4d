//! Internet gateways: the commands about them.
//!
//! Holds their decisions. Refuses to hold public addresses, without which an internet gateway is of
//! no use to anybody: those are in `address.rs`.

use super::{Gateway, GatewayId};
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::refusal::Refusal;

impl Cloud {
    pub(in crate::cloud) fn create_internet_gateway(
        &self,
        caller: &Caller,
    ) -> Result<Vec<Change>, Refusal> {
        let id = GatewayId::Internet(InternetGatewayId::new(self.mint().next()));
        Ok(vec![Change::GatewayCreated { id, gateway: Gateway::new(caller) }])
    }

    pub(in crate::cloud) fn attach_internet_gateway(
        &self,
        caller: &Caller,
        id: InternetGatewayId,
        vpc: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Internet(id);
        let found = self.own_gateway(caller, gateway)?;
        self.own_vpc(caller, vpc)?;
        if let Some(vpc) = found.vpc {
            return Err(Refusal::GatewayAlreadyAttached { gateway, vpc });
        }
        if self.internet_gateway_of(vpc).is_some() {
            return Err(Refusal::VpcHasInternetGateway(vpc));
        }
        Ok(vec![Change::GatewayAttached { gateway, vpc }])
    }

    pub(in crate::cloud) fn detach_internet_gateway(
        &self,
        caller: &Caller,
        id: InternetGatewayId,
        vpc: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Internet(id);
        let found = self.own_gateway(caller, gateway)?;
        self.own_vpc(caller, vpc)?;
        if found.vpc != Some(vpc) {
            return Err(Refusal::GatewayNotAttached { gateway, vpc });
        }
        let in_vpc = |interface| self.interfaces.get(&interface).is_some_and(|i| i.vpc == vpc);
        let mut mapped = self.public_addresses_of(caller).filter_map(|(_, held)| held.association);
        if mapped.any(|(_, interface, _)| in_vpc(interface)) {
            return Err(Refusal::PublicAddressesMapped(vpc));
        }
        Ok(vec![Change::GatewayDetached { gateway }])
    }

    pub(in crate::cloud) fn delete_internet_gateway(
        &self,
        caller: &Caller,
        id: InternetGatewayId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = GatewayId::Internet(id);
        if self.own_gateway(caller, gateway)?.vpc.is_some() {
            return Err(Refusal::GatewayInUse(gateway));
        }
        Ok(self.without_gateway(gateway))
    }
}
