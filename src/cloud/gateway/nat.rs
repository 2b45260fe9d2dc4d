//! NAT gateways: the commands about them.
//!
//! Holds their decisions. Refuses to translate anything: that is `forward/middlebox.rs`.

use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::quota::Quota;
use crate::cloud::refusal::Refusal;

impl Cloud {
    pub(in crate::cloud) fn create_nat_gateway(
        &self,
        caller: &Caller,
        subnet_id: SubnetId,
        allocation: AllocationId,
    ) -> Result<Vec<Change>, Refusal> {
        let subnet = self.own_subnet(caller, subnet_id)?;
        let held = self.own_address(caller, allocation)?;
        if held.association.is_some() {
            return Err(Refusal::AddressAlreadyAssociated(allocation.to_string()));
        }
        if self.internet_gateway_of(subnet.vpc).is_none() {
            return Err(Refusal::NoInternetGateway(subnet.vpc));
        }
        self.within(caller.account, Quota::InterfacesPerRegion, || self.usage(caller).interfaces)?;
        let address = subnet.next_ipv4().ok_or(Refusal::SubnetFull(subnet_id))?;
        let mut mint = self.mint();
        let gateway = NatGatewayId::new(mint.next());
        let interface = InterfaceId::new(mint.next());
        let association = AddressAssociationId::new(mint.next());
        Ok(vec![
            Change::NatGatewayCreated { gateway, interface, subnet: subnet_id, address },
            Change::AddressAssociated { association, allocation, interface, private: address },
        ])
    }

    pub(in crate::cloud) fn delete_nat_gateway(
        &self,
        caller: &Caller,
        id: NatGatewayId,
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = self
            .nat_gateways
            .get(&id)
            .filter(|gateway| self.own_vpc(caller, gateway.vpc).is_ok())
            .ok_or(Refusal::NatGatewayNotFound(id))?;
        let mut changes = self.without_public_addresses(gateway.interface);
        let interface = gateway.interface;
        changes.push(Change::NatGatewayDeleted { gateway: id, interface });
        Ok(changes)
    }
}
