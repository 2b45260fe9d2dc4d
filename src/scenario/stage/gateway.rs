//! Gateways, public addresses and hosts outside the cloud: their labels, and the commands that
//! create them and give them their names.
//!
//! Refuses to know how a file is written, like the rest of the stage.

use std::net::{IpAddr, Ipv4Addr};

use super::{KnownHost, KnownInstance, Stage, Trouble, find, made};
use crate::base::id::*;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::GatewayId;
use crate::scenario::ast::Label;
use crate::sim::tcp::Serve;

/// What a file calls a gateway, and who owns it.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct KnownGateway {
    pub(in crate::scenario) id: GatewayId,
    pub(in crate::scenario) owner: Caller,
}

/// What a file calls a public address, and who holds it.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct KnownAddress {
    pub(in crate::scenario) id: AllocationId,
    pub(in crate::scenario) owner: Caller,
}

/// What a file calls a host outside the cloud, and who owns the gateway it is beyond.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct KnownOutside {
    pub(in crate::scenario) host: KnownHost,
    pub(in crate::scenario) owner: Caller,
}

impl Stage {
    // ---- labels ---------------------------------------------------------------------------------

    pub(in crate::scenario) fn gateway(
        &self,
        label: &Label,
        kind: &'static str,
    ) -> Result<KnownGateway, Trouble> {
        find(&self.labels.gateways, label, kind, label)
    }

    pub(in crate::scenario) fn internet_gateway(
        &self,
        label: &Label,
    ) -> Result<(InternetGatewayId, Caller), Trouble> {
        const KIND: &str = "internet gateway";
        match self.gateway(label, KIND)? {
            KnownGateway { id: GatewayId::Internet(id), owner } => Ok((id, owner)),
            _ => Err(Trouble::Absent { kind: KIND, label: label.to_string() }),
        }
    }

    pub(in crate::scenario) fn egress_only_gateway(
        &self,
        label: &Label,
    ) -> Result<(EgressOnlyGatewayId, Caller), Trouble> {
        const KIND: &str = "egress-only internet gateway";
        match self.gateway(label, KIND)? {
            KnownGateway { id: GatewayId::EgressOnly(id), owner } => Ok((id, owner)),
            _ => Err(Trouble::Absent { kind: KIND, label: label.to_string() }),
        }
    }

    pub(in crate::scenario) fn vpn_gateway(
        &self,
        label: &Label,
    ) -> Result<(VpnGatewayId, Caller), Trouble> {
        const KIND: &str = "virtual private gateway";
        match self.gateway(label, KIND)? {
            KnownGateway { id: GatewayId::Vpn(id), owner } => Ok((id, owner)),
            _ => Err(Trouble::Absent { kind: KIND, label: label.to_string() }),
        }
    }

    pub(in crate::scenario) fn endpoint(
        &self,
        label: &Label,
    ) -> Result<(EndpointId, Caller), Trouble> {
        const KIND: &str = "endpoint";
        match self.gateway(label, KIND)? {
            KnownGateway { id: GatewayId::Endpoint(id), owner } => Ok((id, owner)),
            _ => Err(Trouble::Absent { kind: KIND, label: label.to_string() }),
        }
    }

    pub(in crate::scenario) fn nat_gateway(
        &self,
        label: &Label,
    ) -> Result<(NatGatewayId, VpcId), Trouble> {
        find(&self.labels.nat_gateways, label, "NAT gateway", label)
    }

    pub(in crate::scenario) fn public_address(
        &self,
        label: &Label,
    ) -> Result<KnownAddress, Trouble> {
        find(&self.labels.addresses, label, "public address", label)
    }

    pub(in crate::scenario) fn outside_host(&self, label: &Label) -> Result<KnownOutside, Trouble> {
        find(&self.labels.outside, label, "outside host", label)
    }

    /// Whoever has this label among those that send and receive.
    pub(in crate::scenario) fn host(&self, label: &Label) -> Result<KnownHost, Trouble> {
        if let Some(outside) = self.labels.outside.get(label) {
            return Ok(outside.host.clone());
        }
        let KnownInstance { interface, addresses, .. } = self.instance(label)?;
        Ok(KnownHost { interface, addresses })
    }

    /// The interface of the instance, NAT gateway or outside host with this label.
    pub(in crate::scenario) fn interface(&self, label: &Label) -> Option<InterfaceId> {
        let nat = || {
            let (id, _) = self.labels.nat_gateways.get(label)?;
            Some(self.sim.cloud().nat_gateway(*id)?.interface)
        };
        self.host(label).ok().map(|host| host.interface).or_else(nat)
    }

    /// The public address that stands for the primary address of an instance, and the instance's
    /// interface.
    pub(super) fn public_of(
        &self,
        label: &Label,
    ) -> Result<(IpAddr, Option<InterfaceId>), Trouble> {
        let known = self.instance(label)?;
        let private = known.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let public = private
            .and_then(|private| self.sim.cloud().public_address(known.interface, private))
            .ok_or_else(|| Trouble::NoPublicAddress { instance: label.to_string() })?;
        Ok((public.into(), Some(known.interface)))
    }

    // ---- asking the cloud -----------------------------------------------------------------------

    /// Creates a gateway and gives it its label.
    pub(in crate::scenario) fn create_gateway(
        &mut self,
        caller: &Caller,
        label: &Label,
        command: &Command,
    ) -> Result<GatewayId, Trouble> {
        let changes = self.ask(caller, command)?;
        let id = made(changes, |c| match c {
            Change::GatewayCreated { id, .. } => Some(id),
            _ => None,
        });
        let known = KnownGateway { id, owner: caller.clone() };
        self.labels.gateways.insert(label.clone(), known);
        self.name(caller, ResourceId::Gateway(id), label)?;
        Ok(id)
    }

    pub(in crate::scenario) fn create_nat_gateway(
        &mut self,
        caller: &Caller,
        label: &Label,
        subnet: SubnetId,
        allocation: AllocationId,
    ) -> Result<(), Trouble> {
        let vpc = self.sim.cloud().subnet(subnet).map(|subnet| subnet.vpc);
        let changes = self.ask(caller, &Command::CreateNatGateway { subnet, allocation })?;
        let known = made(changes, |c| match c {
            Change::NatGatewayCreated { gateway, .. } => Some((gateway, vpc?)),
            _ => None,
        });
        self.labels.nat_gateways.insert(label.clone(), known);
        Ok(self.name(caller, ResourceId::NatGateway(known.0), label)?)
    }

    pub(in crate::scenario) fn allocate_address(
        &mut self,
        caller: &Caller,
        label: &Label,
        address: Option<Ipv4Addr>,
    ) -> Result<AllocationId, Trouble> {
        let changes = self.ask(caller, &Command::AllocateAddress { address })?;
        let id = made(changes, |c| match c {
            Change::AddressAllocated { allocation, .. } => Some(allocation),
            _ => None,
        });
        let known = KnownAddress { id, owner: caller.clone() };
        self.labels.addresses.insert(label.clone(), known);
        Ok(id)
    }

    pub(in crate::scenario) fn place_outside_host(
        &mut self,
        caller: &Caller,
        label: &Label,
        beyond: GatewayId,
        addresses: Vec<IpAddr>,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<(), Trouble> {
        let command = Command::PlaceOutsideHost { beyond, addresses };
        let changes = self.ask(caller, &command)?;
        let host = made(changes, |c| match c {
            Change::OutsideHostPlaced { host, addresses, .. } => {
                Some(KnownHost { interface: host, addresses })
            }
            _ => None,
        });
        let interface = host.interface;
        let known = KnownOutside { host, owner: caller.clone() };
        self.labels.outside.insert(label.clone(), known);
        self.name(caller, ResourceId::Interface(interface), label)?;
        self.listen(interface, ports)
    }

    /// Serves TCP ports at an instance or a host outside the cloud.
    pub(in crate::scenario) fn listen(
        &mut self,
        interface: InterfaceId,
        ports: impl IntoIterator<Item = u16>,
    ) -> Result<(), Trouble> {
        for port in ports {
            self.sim.listen(interface, port, Serve::Sink).map_err(Trouble::Tcp)?;
        }
        Ok(())
    }
}
