//! Carrying out what happens to gateways, public addresses and hosts outside the cloud.
//!
//! Holds the longer arms of `evolve.rs`, under its rules: nothing here can be refused.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Region;
use crate::cloud::event::ResourceId;
use crate::cloud::gateway::{
    AddressKind, Gateway, GatewayId, NatGateway, OutsideHost, PublicAddress,
};
use crate::cloud::instance::{Host, Interface, SourceDestCheck};

impl Cloud {
    pub(super) fn gateway_created(&mut self, id: GatewayId, gateway: &Gateway) {
        if let Some(vpc) = gateway.vpc.and_then(|vpc| self.vpcs.get_mut(&vpc)) {
            vpc.gateways.insert(id);
        }
        self.holdings(gateway.owner, &gateway.region).gateways.insert(id);
        self.gateways.insert(id, gateway.clone());
    }

    pub(super) fn gateway_attached(&mut self, id: GatewayId, vpc_id: VpcId) {
        let Some(gateway) = self.gateways.get_mut(&id) else { return };
        gateway.vpc = Some(vpc_id);
        if let Some(vpc) = self.vpcs.get_mut(&vpc_id) {
            vpc.gateways.insert(id);
        }
    }

    pub(super) fn gateway_detached(&mut self, id: GatewayId) {
        let vpc = self.gateways.get_mut(&id).and_then(|gateway| gateway.vpc.take());
        if let Some(vpc) = vpc.and_then(|vpc| self.vpcs.get_mut(&vpc)) {
            vpc.gateways.remove(&id);
        }
    }

    pub(super) fn gateway_deleted(&mut self, id: GatewayId) {
        self.gateway_detached(id);
        let Some(gone) = self.gateways.remove(&id) else { return };
        // Only tables of its owner's VPCs learn from it.
        let vpcs = self.holdings(gone.owner, &gone.region).vpcs.iter();
        let vpcs = vpcs.copied().collect::<Vec<VpcId>>();
        for vpc in vpcs.iter().filter_map(|vpc| self.vpcs.get(vpc)) {
            for table in &vpc.tables {
                if let Some(table) = self.tables.get_mut(table) {
                    table.learns_from.remove(&id);
                }
            }
        }
        self.lose(gone.owner, &gone.region, |has| has.gateways.remove(&id));
        self.untag(ResourceId::Gateway(id));
    }

    pub(super) fn nat_gateway_created(
        &mut self,
        id: NatGatewayId,
        interface: InterfaceId,
        subnet: SubnetId,
        address: Ipv4Addr,
    ) {
        let Some(vpc) = self.subnets.get(&subnet).map(|home| home.vpc) else { return };
        self.nat_gateways.insert(id, NatGateway { vpc, interface });
        if let Some(has) = self.holdings_of(vpc) {
            has.nat_gateways.insert(id);
        }
        let new = Interface {
            vpc,
            subnet,
            host: Host::NatGateway(id),
            attachment: None,
            addresses: Vec::new(),
            // It gets packets that are for others: that is what it is for.
            source_dest_check: SourceDestCheck::Off,
            groups: Vec::new(),
        };
        self.insert_interface(interface, new, &[IpAddr::V4(address)]);
    }

    pub(super) fn nat_gateway_deleted(&mut self, id: NatGatewayId) {
        if let Some(gone) = self.nat_gateways.remove(&id) {
            if let Some(has) = self.holdings_of(gone.vpc) {
                has.nat_gateways.remove(&id);
            }
            self.remove_interface(gone.interface);
            self.untag(ResourceId::NatGateway(id));
        }
    }

    pub(super) fn address_allocated(
        &mut self,
        allocation: AllocationId,
        owner: AccountId,
        region: &Region,
        (address, kind): (Ipv4Addr, AddressKind),
    ) {
        let new = PublicAddress { owner, region: region.clone(), address, kind, association: None };
        self.holdings(owner, region).public_addresses.insert(allocation);
        self.public_addresses.insert(allocation, new);
        self.allocations.insert(address, allocation);
    }

    pub(super) fn address_associated(
        &mut self,
        allocation: AllocationId,
        association: (AddressAssociationId, InterfaceId, Ipv4Addr),
    ) {
        let Some(held) = self.public_addresses.get_mut(&allocation) else { return };
        held.association = Some(association);
        self.public_of.insert((association.1, association.2), allocation);
    }

    pub(super) fn address_disassociated(&mut self, allocation: AllocationId) {
        let held = self.public_addresses.get_mut(&allocation);
        if let Some((_, interface, private)) = held.and_then(|held| held.association.take()) {
            self.public_of.remove(&(interface, private));
        }
    }

    pub(super) fn address_released(&mut self, allocation: AllocationId) {
        if let Some(gone) = self.public_addresses.remove(&allocation) {
            self.allocations.remove(&gone.address);
            self.lose(gone.owner, &gone.region, |has| has.public_addresses.remove(&allocation));
            self.untag(ResourceId::Allocation(allocation));
        }
    }

    pub(super) fn outside_host_placed(
        &mut self,
        id: InterfaceId,
        beyond: GatewayId,
        addresses: &[IpAddr],
    ) {
        for address in addresses {
            self.outside_owners.insert((beyond.site(), *address), id);
        }
        let new = OutsideHost { beyond, addresses: addresses.to_vec() };
        self.outside_hosts.insert(id, new);
    }

    pub(super) fn outside_host_removed(&mut self, id: InterfaceId) {
        let Some(gone) = self.outside_hosts.remove(&id) else { return };
        for address in &gone.addresses {
            self.outside_owners.remove(&(gone.site(), *address));
        }
    }
}
