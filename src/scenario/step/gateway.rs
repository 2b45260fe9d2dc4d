//! Steps about gateways, public addresses and hosts outside the cloud.

use super::{Desk, Doing, Shown, Undone};
use crate::base::diag::Spanned;
use crate::base::id::{AddressAssociationId, AllocationId, RouteTableId, VpcId, VpnGatewayId};
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::refusal::Refusal;
use crate::scenario::ast::{Attachment, GatewayAction, NewOwned, Propagation, TableRef};

impl Desk<'_> {
    /// Asks for `usual`, unless the step names another account.
    fn ask_for(&mut self, usual: Caller, command: &Command) -> Result<Doing, Undone> {
        let caller = self.caller(usual)?;
        self.stage.ask(&caller, command)?;
        Ok(Doing::Asked(Shown::Nothing))
    }

    /// Who owns something new that belongs to no VPC.
    fn new_owner(&self, new: &NewOwned) -> Result<Caller, Undone> {
        let account = self.stage.account(new.account.as_ref().map(|a| &a.value))?;
        let region = new.region.as_ref().map(|region| region.value.clone()).unwrap_or_default();
        Ok(self.caller(Caller { account, region })?)
    }

    fn vpc_of(&self, attachment: &Attachment) -> Result<VpcId, Undone> {
        Ok(self.stage.vpc(&attachment.vpc.value)?)
    }

    fn propagate(
        &mut self,
        propagation: &Propagation,
        command: impl FnOnce(VpnGatewayId, RouteTableId) -> Command,
    ) -> Result<Doing, Undone> {
        let (gateway, owner) = self.stage.vpn_gateway(&propagation.gateway.value)?;
        let table = self.stage.table(&propagation.table.value)?;
        self.ask_for(owner, &command(gateway, table))
    }

    fn tables(&self, tables: &[Spanned<TableRef>]) -> Result<Vec<RouteTableId>, Undone> {
        tables.iter().map(|table| Ok(self.stage.table(&table.value)?)).collect()
    }

    pub(super) fn gateway_action(&mut self, action: &GatewayAction) -> Result<Doing, Undone> {
        use GatewayAction as G;
        match action {
            G::CreateInternetGateway(new) => {
                let owner = self.new_owner(new)?;
                let command = Command::CreateInternetGateway;
                self.stage.create_gateway(&owner, &new.name.value, &command)?;
            }
            G::AttachInternetGateway(a) => {
                let (gateway, owner) = self.stage.internet_gateway(&a.gateway.value)?;
                let vpc = self.vpc_of(a)?;
                return self.ask_for(owner, &Command::AttachInternetGateway { gateway, vpc });
            }
            G::DetachInternetGateway(a) => {
                let (gateway, owner) = self.stage.internet_gateway(&a.gateway.value)?;
                let vpc = self.vpc_of(a)?;
                return self.ask_for(owner, &Command::DetachInternetGateway { gateway, vpc });
            }
            G::DeleteInternetGateway(label) => {
                let (gateway, owner) = self.stage.internet_gateway(&label.value)?;
                return self.ask_for(owner, &Command::DeleteInternetGateway { gateway });
            }
            G::CreateEgressOnlyGateway(new) => {
                let vpc = self.stage.vpc(&new.vpc.value)?;
                let caller = self.caller(self.stage.owner(vpc))?;
                let command = Command::CreateEgressOnlyInternetGateway { vpc };
                self.stage.create_gateway(&caller, &new.name.value, &command)?;
            }
            G::DeleteEgressOnlyGateway(label) => {
                let (gateway, owner) = self.stage.egress_only_gateway(&label.value)?;
                return self.ask_for(owner, &Command::DeleteEgressOnlyInternetGateway { gateway });
            }
            G::CreateVpnGateway(new) => {
                let owner = self.new_owner(&new.new)?;
                let beyond = new.on_premises.iter().map(|block| block.value).collect();
                let command = Command::CreateVpnGateway { line: new.line, beyond };
                self.stage.create_gateway(&owner, &new.new.name.value, &command)?;
            }
            G::AttachVpnGateway(a) => {
                let (gateway, owner) = self.stage.vpn_gateway(&a.gateway.value)?;
                let vpc = self.vpc_of(a)?;
                return self.ask_for(owner, &Command::AttachVpnGateway { gateway, vpc });
            }
            G::DetachVpnGateway(a) => {
                let (gateway, owner) = self.stage.vpn_gateway(&a.gateway.value)?;
                let vpc = self.vpc_of(a)?;
                return self.ask_for(owner, &Command::DetachVpnGateway { gateway, vpc });
            }
            G::DeleteVpnGateway(label) => {
                let (gateway, owner) = self.stage.vpn_gateway(&label.value)?;
                return self.ask_for(owner, &Command::DeleteVpnGateway { gateway });
            }
            G::EnablePropagation(p) => {
                return self.propagate(p, |gateway, table| Command::EnableVgwRoutePropagation {
                    gateway,
                    table,
                });
            }
            G::DisablePropagation(p) => {
                return self.propagate(p, |gateway, table| Command::DisableVgwRoutePropagation {
                    gateway,
                    table,
                });
            }
            G::CreateVpcEndpoint(new) => {
                let vpc = self.stage.vpc(&new.vpc.value)?;
                let caller = self.caller(self.stage.owner(vpc))?;
                let command = Command::CreateVpcEndpoint {
                    vpc,
                    service: new.service.name.value.to_string(),
                    prefixes: new.service.cidrs.iter().map(|block| block.value).collect(),
                    tables: self.tables(&new.route_tables)?,
                };
                self.stage.create_gateway(&caller, &new.name.value, &command)?;
            }
            G::ModifyVpcEndpoint(modify) => {
                let (endpoint, owner) = self.stage.endpoint(&modify.endpoint.value)?;
                let (add, remove) = (self.tables(&modify.add)?, self.tables(&modify.remove)?);
                let command = Command::ModifyVpcEndpoint { endpoint, add, remove };
                return self.ask_for(owner, &command);
            }
            G::DeleteVpcEndpoint(label) => {
                let (endpoint, owner) = self.stage.endpoint(&label.value)?;
                return self.ask_for(owner, &Command::DeleteVpcEndpoints { endpoint });
            }
            G::CreateNatGateway(new) => {
                let subnet = self.stage.subnet(&new.subnet.value)?;
                let allocation = self.stage.public_address(&new.address.value)?.id;
                let vpc = self.stage.vpc(&new.subnet.value.vpc)?;
                let caller = self.caller(self.stage.owner(vpc))?;
                self.stage.create_nat_gateway(&caller, &new.name.value, subnet, allocation)?;
            }
            G::DeleteNatGateway(label) => {
                let (gateway, vpc) = self.stage.nat_gateway(&label.value)?;
                return self.about_vpc(vpc, &Command::DeleteNatGateway { gateway });
            }
            G::AllocateAddress(new) => {
                let owner = self.new_owner(&new.new)?;
                self.stage.allocate_address(&owner, &new.new.name.value, new.ip.wanted())?;
            }
            G::AssociateAddress(pair) => {
                let address = self.stage.public_address(&pair.address.value)?;
                let command = Command::AssociateAddress {
                    allocation: address.id,
                    interface: self.stage.instance(&pair.instance.value)?.interface,
                    private: pair.private_ip.as_ref().map(|ip| ip.value),
                };
                return self.ask_for(address.owner, &command);
            }
            G::DisassociateAddress(label) => {
                let address = self.stage.public_address(&label.value)?;
                let association = self.association(address.id)?;
                return self.ask_for(address.owner, &Command::DisassociateAddress { association });
            }
            G::ReleaseAddress(label) => {
                let address = self.stage.public_address(&label.value)?;
                let command = Command::ReleaseAddress { allocation: address.id };
                return self.ask_for(address.owner, &command);
            }
            G::PlaceOutsideHost(host) => {
                let beyond = self.stage.gateway(&host.beyond.value, "gateway")?;
                let caller = self.caller(beyond.owner)?;
                let addresses = host.addresses.iter().map(|address| address.value).collect();
                let label = &host.label.value;
                let ports = host.listen.iter().map(|port| port.value);
                self.stage.place_outside_host(&caller, label, beyond.id, addresses, ports)?;
            }
            G::RemoveOutsideHost(label) => {
                let known = self.stage.outside_host(&label.value)?;
                let command = Command::RemoveOutsideHost { host: known.host.interface };
                return self.ask_for(known.owner, &command);
            }
        }
        Ok(Doing::Asked(Shown::Nothing))
    }

    /// The association of a public address, which a file does not name: there is one at most.
    fn association(&self, id: AllocationId) -> Result<AddressAssociationId, Undone> {
        let cloud = self.stage.sim.cloud();
        let held = cloud.public_addresses().find(|(allocation, _)| *allocation == id);
        let (_, held) = held.ok_or(Refusal::AllocationNotFound(id))?;
        Ok(held.association.ok_or(Refusal::AddressNotAssociated(held.address))?.0)
    }
}
