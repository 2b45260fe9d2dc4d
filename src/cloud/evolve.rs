//! Carrying events out: the only place that changes a cloud.
//!
//! Holds [`Cloud::evolve`], one arm for each change; what the longer arms do for gateways stands in
//! `evolve/gateway.rs`. Refuses to hold any rule: an event is a decision
//! already taken, so nothing here can be refused.

mod gateway;

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Cloud;
use super::account::Usage;
use super::dns::{DnsAttributes, VpcAttribute};
use super::event::{Change, Event, ResourceId};
use super::flow_log::{FlowLog, Watched};
use super::instance::{Host, Instance, InstanceState, Interface};
use super::network_acl::{AclKind, NetworkAcl};
use super::peering::Peering;
use super::prefix_list::PrefixList;
use super::route_table::RouteTable;
use super::security_group::SecurityGroup;
use super::subnet::Subnet;
use super::vpc::Vpc;
use crate::base::id::*;

impl Cloud {
    /// Carries an event out. Every reference it makes was checked by the decision that made it; one
    /// that is missing nevertheless (a damaged journal) leaves that part undone rather than panics.
    pub(crate) fn evolve(&mut self, event: &Event) {
        self.latest = self.latest.max(event.at);
        match &event.change {
            Change::AccountOpened { account, quotas } => {
                self.accounts.entry(*account).or_default().quotas = quotas.clone();
            }

            Change::VpcCreated {
                vpc,
                owner,
                region,
                block,
                main_table,
                main_association,
                default_acl,
                default_group,
            } => {
                self.minted += 5;
                let account = self.accounts.entry(*owner).or_default();
                account.usage.entry(region.clone()).or_default().vpcs += 1;
                let new = Vpc {
                    owner: *owner,
                    region: region.clone(),
                    blocks: vec![(*block).into()],
                    main: (*main_association, *main_table),
                    tables: vec![*main_table],
                    subnets: Vec::new(),
                    peerings: BTreeSet::new(),
                    dns: DnsAttributes::default(),
                    gateways: BTreeSet::new(),
                    default_acl: *default_acl,
                    acls: vec![*default_acl],
                    default_group: *default_group,
                    groups: vec![*default_group],
                };
                self.vpcs.insert(*vpc, new);
                self.acls.insert(*default_acl, NetworkAcl::born_with(*vpc));
                self.groups.insert(*default_group, SecurityGroup::born_with(*vpc, *default_group));
                self.tables.insert(*main_table, RouteTable::new(*vpc));
            }
            Change::VpcDeleted { vpc, .. } => {
                if let Some(usage) = self.usage_of(*vpc) {
                    usage.vpcs = usage.vpcs.saturating_sub(1);
                }
                if let Some(gone) = self.vpcs.remove(vpc) {
                    self.tables.remove(&gone.main_table());
                    self.acls.remove(&gone.default_acl);
                    self.groups.remove(&gone.default_group);
                    self.untag(ResourceId::Vpc(*vpc));
                    self.unwatch(Watched::Vpc(*vpc));
                    self.untag(ResourceId::RouteTable(gone.main_table()));
                    self.untag(ResourceId::NetworkAcl(gone.default_acl));
                    self.untag(ResourceId::SecurityGroup(gone.default_group));
                }
            }
            Change::VpcBlockAssociated { vpc, block } => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.blocks.push(*block);
                }
            }
            Change::VpcBlockDisassociated { vpc, block } => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.blocks.retain(|b| b != block);
                }
            }
            Change::VpcAttributeSet { vpc, attribute } => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    match attribute {
                        VpcAttribute::DnsSupport(switch) => vpc.dns.support = *switch,
                        VpcAttribute::DnsHostnames(switch) => vpc.dns.hostnames = *switch,
                    }
                }
            }

            Change::SubnetCreated { subnet, vpc: vpc_id, cidr, ipv6, zone, acl_association } => {
                self.minted += 2;
                let Some(vpc) = self.vpcs.get_mut(vpc_id) else { return };
                vpc.subnets.push(*subnet);
                let acl = (*acl_association, vpc.default_acl);
                let new = Subnet::new(*vpc_id, *cidr, *ipv6, zone.clone(), acl);
                self.subnets.insert(*subnet, new);
                self.acl_associations.insert(*acl_association, *subnet);
            }
            Change::SubnetDeleted { subnet } => {
                if let Some(gone) = self.subnets.remove(subnet) {
                    if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                        vpc.subnets.retain(|s| s != subnet);
                    }
                    self.acl_associations.remove(&gone.acl().0);
                    self.untag(ResourceId::Subnet(*subnet));
                    self.unwatch(Watched::Subnet(*subnet));
                }
            }

            Change::RouteTableCreated { table, vpc } => {
                self.minted += 1;
                self.tables.insert(*table, RouteTable::new(*vpc));
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.tables.push(*table);
                }
            }
            Change::RouteTableDeleted { table } => {
                if let Some(gone) = self.tables.remove(table) {
                    if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                        vpc.tables.retain(|t| t != table);
                    }
                    self.untag(ResourceId::RouteTable(*table));
                }
            }
            Change::RouteTableAssociated { association, table, subnet } => {
                self.minted += 1;
                if let Some(old) = self
                    .subnets
                    .get_mut(subnet)
                    .and_then(|s| s.association.replace((*association, *table)))
                {
                    self.associations.remove(&old.0);
                }
                self.associations.insert(*association, *subnet);
            }
            Change::RouteTableDisassociated { association, .. } => {
                if let Some(subnet) = self.associations.remove(association)
                    && let Some(subnet) = self.subnets.get_mut(&subnet)
                {
                    subnet.association = None;
                }
            }
            Change::MainRouteTableReplaced { vpc, association, table } => {
                self.minted += 1;
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.main = (*association, *table);
                }
            }
            Change::RouteSet { table, destination, target } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.routes.insert(*destination, *target);
                }
            }
            Change::RouteDeleted { table, destination } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.routes.remove(destination);
                }
            }

            Change::PeeringRequested { peering, requester, accepter, state } => {
                self.minted += 1;
                for party in [requester, accepter] {
                    // A request may name a VPC with the wrong owner or region: it fails, and the
                    // VPC's real owner never had a part in it.
                    let named = |v: &&mut Vpc| v.owner == party.account && v.region == party.region;
                    if let Some(vpc) = self.vpcs.get_mut(&party.vpc).filter(named) {
                        vpc.peerings.insert(*peering);
                    }
                }
                let new = Peering::new(*peering, requester.clone(), accepter.clone(), *state);
                self.peerings.insert(*peering, new);
            }
            Change::PeeringFound { .. } => {}
            Change::PeeringMoved { peering, to } => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.move_to(*to);
                }
            }
            Change::PeeringOptionSet { peering, end, dns_from_peer } => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.set_dns_from_peer(*end, *dns_from_peer);
                }
            }

            Change::InstanceRun {
                instance,
                interface,
                subnet,
                addresses,
                source_dest_check,
                groups,
            } => {
                self.minted += 2;
                let Some(home) = self.subnets.get(subnet) else { return };
                let vpc = home.vpc;
                self.instances.insert(
                    *instance,
                    Instance { interface: *interface, state: InstanceState::Running },
                );
                let new = Interface {
                    vpc,
                    subnet: *subnet,
                    host: Host::Instance(*instance),
                    addresses: Vec::new(),
                    source_dest_check: *source_dest_check,
                    groups: groups.clone(),
                };
                self.insert_interface(*interface, new, addresses);
            }
            Change::InstanceStopped { instance } => {
                self.set_state(*instance, InstanceState::Stopped)
            }
            Change::InstanceStarted { instance } => {
                self.set_state(*instance, InstanceState::Running)
            }
            Change::InstanceTerminated { instance, .. } => {
                let Some(gone) = self.instances.remove(instance) else { return };
                self.untag(ResourceId::Instance(*instance));
                self.remove_interface(gone.interface);
            }
            Change::AddressesAssigned { interface, addresses } => {
                self.give_addresses(*interface, addresses);
            }
            Change::SourceDestCheckSet { interface, source_dest_check } => {
                if let Some(interface) = self.interfaces.get_mut(interface) {
                    interface.source_dest_check = *source_dest_check;
                }
            }
            Change::InterfaceGroupsSet { interface, groups } => {
                if let Some(interface) = self.interfaces.get_mut(interface) {
                    interface.groups.clone_from(groups);
                }
            }

            Change::SecurityGroupCreated { group, vpc, name } => {
                self.minted += 1;
                self.groups.insert(*group, SecurityGroup::new(*vpc, name.clone()));
                if let Some(usage) = self.usage_of(*vpc) {
                    usage.groups += 1;
                }
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.groups.push(*group);
                }
            }
            Change::SecurityGroupDeleted { group } => {
                let Some(gone) = self.groups.remove(group) else { return };
                if let Some(usage) = self.usage_of(gone.vpc) {
                    usage.groups = usage.groups.saturating_sub(1);
                }
                if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                    vpc.groups.retain(|g| g != group);
                }
                self.untag(ResourceId::SecurityGroup(*group));
            }
            Change::GroupRuleAuthorized { group, direction, rule } => {
                if let Some(group) = self.groups.get_mut(group) {
                    group.rules_mut(*direction).push(*rule);
                }
            }
            Change::GroupRuleRevoked { group, direction, rule } => {
                if let Some(group) = self.groups.get_mut(group) {
                    group.rules_mut(*direction).retain(|r| r != rule);
                }
            }

            Change::PrefixListCreated { list, owner, region, entries } => {
                self.minted += 1;
                let (owner, region, entries) = (*owner, region.clone(), entries.clone());
                self.prefix_lists.insert(*list, PrefixList { owner, region, entries });
            }
            Change::PrefixListModified { list, entries } => {
                if let Some(list) = self.prefix_lists.get_mut(list) {
                    list.entries.clone_from(entries);
                }
            }
            Change::PrefixListDeleted { list } => {
                self.prefix_lists.remove(list);
                self.untag(ResourceId::PrefixList(*list));
            }

            Change::NetworkAclCreated { acl, vpc } => {
                self.minted += 1;
                self.acls.insert(*acl, NetworkAcl::new(*vpc, AclKind::Custom));
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.acls.push(*acl);
                }
            }
            Change::NetworkAclDeleted { acl } => {
                let Some(gone) = self.acls.remove(acl) else { return };
                if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                    vpc.acls.retain(|a| a != acl);
                }
                self.untag(ResourceId::NetworkAcl(*acl));
            }
            Change::AclEntrySet { acl, direction, number, entry } => {
                if let Some(acl) = self.acls.get_mut(acl) {
                    acl.entries_mut(*direction).insert(*number, *entry);
                }
            }
            Change::AclEntryDeleted { acl, direction, number } => {
                if let Some(acl) = self.acls.get_mut(acl) {
                    acl.entries_mut(*direction).remove(number);
                }
            }
            Change::AclAssociationReplaced { association, subnet, acl } => {
                self.minted += 1;
                if let Some(subnet) = self.subnets.get_mut(subnet) {
                    self.acl_associations.remove(&subnet.acl.0);
                    subnet.acl = (*association, *acl);
                }
                self.acl_associations.insert(*association, *subnet);
            }

            Change::GatewayCreated { id, gateway } => {
                self.minted += 1;
                self.gateway_created(*id, gateway);
            }
            Change::GatewayAttached { gateway, vpc } => self.gateway_attached(*gateway, *vpc),
            Change::GatewayDetached { gateway } => self.gateway_detached(*gateway),
            Change::GatewayDeleted { gateway } => self.gateway_deleted(*gateway),
            Change::TableLearns { table, gateway } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.learns_from.insert(*gateway);
                }
            }
            Change::TableForgets { table, gateway } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.learns_from.remove(gateway);
                }
            }
            Change::NatGatewayCreated { gateway, interface, subnet, address } => {
                self.minted += 2;
                self.nat_gateway_created(*gateway, *interface, *subnet, *address);
            }
            Change::NatGatewayDeleted { gateway, .. } => self.nat_gateway_deleted(*gateway),
            Change::AddressAllocated { allocation, owner, region, address } => {
                self.minted += 1;
                self.address_allocated(*allocation, *owner, region, *address);
            }
            Change::AddressAssociated { association, allocation, interface, private } => {
                self.minted += 1;
                self.address_associated(*allocation, (*association, *interface, *private));
            }
            Change::AddressDisassociated { allocation } => self.address_disassociated(*allocation),
            Change::AddressReleased { allocation } => self.address_released(*allocation),
            Change::OutsideHostPlaced { host, beyond, addresses } => {
                self.minted += 1;
                self.outside_host_placed(*host, *beyond, addresses);
            }
            Change::OutsideHostRemoved { host } => self.outside_host_removed(*host),

            Change::FlowLogCreated { log, of, owner, region, recording, created } => {
                self.minted += 1;
                let new = FlowLog {
                    owner: *owner,
                    region: region.clone(),
                    of: *of,
                    recording: recording.clone(),
                    created: *created,
                };
                self.flow_logs.insert(*log, new);
            }
            Change::FlowLogDeleted { log } => {
                self.flow_logs.remove(log);
                self.untag(ResourceId::FlowLog(*log));
            }

            Change::TagSet { resource, account, key, value } => {
                self.tags
                    .entry((*resource, *account))
                    .or_default()
                    .insert(key.clone(), value.clone());
            }
            Change::TagRemoved { resource, account, key } => {
                if let Some(tags) = self.tags.get_mut(&(*resource, *account)) {
                    tags.remove(key);
                }
            }
        }
    }

    /// The count of what the owner of a VPC has in the VPC's region.
    fn usage_of(&mut self, vpc: VpcId) -> Option<&mut Usage> {
        let vpc = self.vpcs.get(&vpc)?;
        self.accounts.get_mut(&vpc.owner)?.usage.get_mut(&vpc.region)
    }

    fn insert_interface(&mut self, id: InterfaceId, new: Interface, addresses: &[IpAddr]) {
        let (vpc, subnet) = (new.vpc, new.subnet);
        self.interfaces.insert(id, new);
        self.give_addresses(id, addresses);
        if let Some(home) = self.subnets.get_mut(&subnet) {
            home.interfaces += 1;
        }
        if let Some(usage) = self.usage_of(vpc) {
            usage.interfaces += 1;
        }
    }

    fn remove_interface(&mut self, id: InterfaceId) {
        let Some(interface) = self.interfaces.remove(&id) else { return };
        self.untag(ResourceId::Interface(id));
        self.unwatch(Watched::Interface(id));
        if let Some(usage) = self.usage_of(interface.vpc) {
            usage.interfaces = usage.interfaces.saturating_sub(1);
        }
        if let Some(subnet) = self.subnets.get_mut(&interface.subnet) {
            subnet.interfaces = subnet.interfaces.saturating_sub(1);
            for address in &interface.addresses {
                subnet.release(*address);
            }
        }
        for address in interface.addresses {
            self.owners.remove(&(interface.vpc, address));
        }
    }

    /// The flow logs of what is gone go with it.
    fn unwatch(&mut self, gone: Watched) {
        let of_it = self.flow_logs.iter().filter(|(_, log)| log.of == gone);
        let logs: Vec<FlowLogId> = of_it.map(|(id, _)| *id).collect();
        for log in logs {
            self.flow_logs.remove(&log);
            self.untag(ResourceId::FlowLog(log));
        }
    }

    fn give_addresses(&mut self, interface: InterfaceId, addresses: &[IpAddr]) {
        let Some(owner) = self.interfaces.get_mut(&interface) else { return };
        let Some(subnet) = self.subnets.get_mut(&owner.subnet) else { return };
        for address in addresses {
            owner.addresses.push(*address);
            subnet.take(*address);
            self.owners.insert((owner.vpc, *address), interface);
        }
    }

    fn set_state(&mut self, instance: InstanceId, state: InstanceState) {
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.state = state;
        }
    }

    fn untag(&mut self, resource: ResourceId) {
        let first = (resource, AccountId::LOWEST);
        let of_it = self.tags.range(first..).take_while(|((tagged, _), _)| *tagged == resource);
        let keys: Vec<_> = of_it.map(|(key, _)| *key).collect();
        for key in keys {
            self.tags.remove(&key);
        }
    }
}
