//! The declared gateways, public addresses and hosts outside the cloud become commands.

use super::Builder;
use crate::base::diag::{Diagnostic, Place, Spanned};
use crate::base::id::{RouteTableId, VpcId};
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::gateway::GatewayId;
use crate::cloud::refusal::Refusal;
use crate::scenario::ast::{Gateway, GatewayKind, Label, PublicIp, TableRef, VpcRef};
use crate::scenario::code;
use crate::scenario::stage::Trouble;

impl Builder<'_> {
    /// The edges, before the instances whose public addresses need one.
    pub(super) fn edges(&mut self) {
        for gateway in &self.network.gateways {
            if let Err((place, trouble)) = self.edge(gateway) {
                self.report(place, "this gateway", &trouble);
            }
        }
    }

    fn edge(&mut self, gateway: &Gateway) -> Result<(), (Place, Trouble)> {
        let label = &gateway.label.value;
        match &gateway.kind {
            GatewayKind::Internet { vpc } => {
                let at = |trouble| (vpc.place, trouble);
                let (id, owner) = self.home(vpc).map_err(at)?;
                let made =
                    self.stage.create_gateway(&owner, label, &Command::CreateInternetGateway);
                if let GatewayId::Internet(gateway) = made.map_err(at)? {
                    let attach = Command::AttachInternetGateway { gateway, vpc: id };
                    self.stage.ask(&owner, &attach).map_err(|refusal| at(refusal.into()))?;
                }
            }
            GatewayKind::EgressOnly { vpc } => {
                let at = |trouble| (vpc.place, trouble);
                let (id, owner) = self.home(vpc).map_err(at)?;
                let create = Command::CreateEgressOnlyInternetGateway { vpc: id };
                self.stage.create_gateway(&owner, label, &create).map_err(at)?;
            }
            GatewayKind::Vpn { line, vpc, on_premises, propagate_to } => {
                let at = |trouble| (vpc.place, trouble);
                let (id, owner) = self.home(vpc).map_err(at)?;
                let beyond = on_premises.iter().map(|block| block.value).collect();
                let create = Command::CreateVpnGateway { line: *line, beyond };
                let blocks_at = on_premises.first().map_or(vpc.place, |block| block.place);
                let made = self.stage.create_gateway(&owner, label, &create);
                let made = made.map_err(|trouble| (blocks_at, trouble))?;
                if let GatewayId::Vpn(gateway) = made {
                    let attach = Command::AttachVpnGateway { gateway, vpc: id };
                    self.stage.ask(&owner, &attach).map_err(|refusal| at(refusal.into()))?;
                    for table in propagate_to {
                        let at = |trouble| (table.place, trouble);
                        let id = self.stage.table(&table.value).map_err(at)?;
                        let enable = Command::EnableVgwRoutePropagation { gateway, table: id };
                        self.stage.ask(&owner, &enable).map_err(|refusal| at(refusal.into()))?;
                    }
                }
            }
            GatewayKind::Endpoint { vpc, service, route_tables } => {
                let at = |trouble| (vpc.place, trouble);
                let (id, owner) = self.home(vpc).map_err(at)?;
                let tables = self.table_ids(route_tables)?;
                let create = Command::CreateVpcEndpoint {
                    vpc: id,
                    service: service.name.value.to_string(),
                    prefixes: service.cidrs.iter().map(|block| block.value).collect(),
                    tables,
                };
                self.stage.create_gateway(&owner, label, &create).map_err(at)?;
            }
            // It needs a subnet with room beside the instances, and comes after them.
            GatewayKind::Nat { .. } => {}
        }
        Ok(())
    }

    fn home(&self, vpc: &Spanned<VpcRef>) -> Result<(VpcId, Caller), Trouble> {
        let id = self.stage.vpc(&vpc.value)?;
        Ok((id, self.stage.owner(id)))
    }

    fn table_ids(
        &self,
        tables: &[Spanned<TableRef>],
    ) -> Result<Vec<RouteTableId>, (Place, Trouble)> {
        let id = |table: &Spanned<TableRef>| {
            self.stage.table(&table.value).map_err(|trouble| (table.place, trouble))
        };
        tables.iter().map(id).collect()
    }

    /// The public addresses that the file names, before those of which it says `auto`: so no `auto`
    /// takes one that another asks for.
    pub(super) fn named_addresses(&mut self) {
        let network = self.network;
        for instance in &network.instances {
            let Some(Spanned { value: PublicIp::Address(_), place }) = instance.public_ip else {
                continue;
            };
            if let Some(vpc) = self.vpc_of(instance.placement.vpc()) {
                let wanted = instance.public_ip.map(|ip| ip.value).unwrap_or_default();
                self.address(vpc, &instance.label.value, wanted, place);
            }
        }
        for gateway in &network.gateways {
            if let GatewayKind::Nat { subnet, public_ip: wanted @ PublicIp::Address(_) } =
                &gateway.kind
                && let Some(vpc) = self.vpc_of(&subnet.value.vpc)
            {
                self.address(vpc, &gateway.label.value, *wanted, gateway.label.place);
            }
        }
    }

    fn vpc_of(&self, vpc: &VpcRef) -> Option<VpcId> {
        self.stage.vpc(vpc).ok()
    }

    /// Allocates a public address, by the label of what it is for.
    fn address(&mut self, vpc: VpcId, label: &Label, wanted: PublicIp, place: Place) {
        let owner = self.stage.owner(vpc);
        if let Err(trouble) = self.stage.allocate_address(&owner, label, wanted.wanted()) {
            self.report(place, "this public address", &trouble);
        }
    }

    /// Lets public addresses stand for the instances that have them.
    pub(super) fn public_instances(&mut self) {
        for instance in &self.network.instances {
            let Some(public) = instance.public_ip else { continue };
            let label = &instance.label.value;
            let Ok(known) = self.stage.instance(label) else { continue };
            if public.value == PublicIp::Auto {
                self.address(known.vpc, label, public.value, public.place);
            }
            let Ok(address) = self.stage.public_address(label) else { continue };
            let command = Command::AssociateAddress {
                allocation: address.id,
                interface: known.interface,
                private: None,
            };
            if let Err(refusal) = self.stage.ask(&address.owner, &command) {
                self.refused_address(public.place, "this public address", refusal);
            }
        }
    }

    pub(super) fn nat_gateways(&mut self) {
        for gateway in &self.network.gateways {
            let GatewayKind::Nat { subnet, public_ip } = &gateway.kind else { continue };
            let label = &gateway.label.value;
            let Ok(subnet_id) = self.stage.subnet(&subnet.value) else { continue };
            let Some(vpc) = self.vpc_of(&subnet.value.vpc) else { continue };
            if *public_ip == PublicIp::Auto {
                self.address(vpc, label, PublicIp::Auto, gateway.label.place);
            }
            let Ok(address) = self.stage.public_address(label) else { continue };
            let made = self.stage.create_nat_gateway(&address.owner, label, subnet_id, address.id);
            match made {
                Err(Trouble::Refused(refusal)) => {
                    self.refused_address(subnet.place, "this NAT gateway", refusal);
                }
                Err(trouble) => self.report(subnet.place, "this NAT gateway", &trouble),
                Ok(()) => {}
            }
        }
    }

    fn refused_address(&mut self, place: Place, what: &str, refusal: Refusal) {
        let Refusal::NoInternetGateway(_) = refusal else {
            return self.report(place, what, &refusal.into());
        };
        let message = format!("the cloud refuses {what}: its VPC has no internet gateway");
        self.diagnostics.push(
            Diagnostic::at(place, code::REFUSED, message)
                .note(format!("EC2 error code {}", refusal.code()))
                .help("declare one: `gateways: {igw: {type: internet, vpc: ...}}`"),
        );
    }

    pub(super) fn outside(&mut self) {
        for host in &self.network.outside {
            let Ok(beyond) = self.stage.gateway(&host.beyond.value, "gateway") else { continue };
            let addresses = host.addresses.iter().map(|address| address.value).collect();
            let label = &host.label.value;
            let ports = host.listen.iter().map(|port| port.value);
            let (owner, beyond) = (&beyond.owner, beyond.id);
            let placed = self.stage.place_outside_host(owner, label, beyond, addresses, ports);
            if let Err(trouble) = placed {
                let place = host.addresses.first().map_or(host.label.place, |a| a.place);
                self.report(place, "this outside host", &trouble);
            }
        }
    }
}
