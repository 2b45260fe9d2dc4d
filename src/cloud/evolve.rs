//! Carrying events out: the only place that changes a cloud.
//!
//! Holds [`Cloud::evolve`], one arm for each change; what the longer arms do for gateways and
//! instances stands in `evolve/`. Refuses to hold any rule: an event is a decision
//! already taken, so nothing here can be refused.

mod gateway;
mod instance;

use std::collections::BTreeSet;

use super::Cloud;
use super::account::{Account, Holdings, Region};
use super::dns::{DnsAttributes, VpcAttribute};
use super::event::{Change, Event, ResourceId};
use super::flow_log::{FlowLog, Watched};
use super::instance::{Attachment, DeviceIndex, InstanceState};
use super::network_acl::{AclKind, NetworkAcl};
use super::peering::Peering;
use super::prefix_list::PrefixList;
use super::route_table::RouteTable;
use super::security_group::SecurityGroup;
use super::subnet::{Subnet, SubnetAttribute};
use super::vpc::{Vpc, VpcKind};
use crate::base::id::*;
use crate::base::time::Instant;

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
                kind,
            } => {
                self.minted += 5;
                let has = self.holdings(*owner, region);
                has.vpcs.insert(*vpc);
                if *kind == VpcKind::Default {
                    has.default_vpc = Some(*vpc);
                }
                let block_id = CidrAssociationId::new(vpc.digits());
                self.block_associations.insert(block_id, *vpc);
                self.main_associations.insert(*main_association, *vpc);
                let new = Vpc {
                    owner: *owner,
                    region: region.clone(),
                    kind: *kind,
                    blocks: vec![(*block).into()],
                    block_ids: vec![block_id],
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
                if let Some(gone) = self.vpcs.remove(vpc) {
                    self.lose(gone.owner, &gone.region, |has| {
                        has.default_vpc = has.default_vpc.filter(|id| id != vpc);
                        has.vpcs.remove(vpc)
                    });
                    self.main_associations.remove(&gone.main.0);
                    for id in &gone.block_ids {
                        self.block_associations.remove(id);
                    }
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
            Change::VpcBlockAssociated { vpc: id, association, block } => {
                self.minted += 1;
                if let Some(vpc) = self.vpcs.get_mut(id) {
                    vpc.blocks.push(*block);
                    vpc.block_ids.push(*association);
                    self.block_associations.insert(*association, *id);
                }
            }
            Change::VpcBlockDisassociated { vpc, block } => {
                if let Some(vpc) = self.vpcs.get_mut(vpc)
                    && let Some(place) = vpc.blocks.iter().position(|b| b == block)
                {
                    vpc.blocks.remove(place);
                    self.block_associations.remove(&vpc.block_ids.remove(place));
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

            Change::SubnetCreated {
                subnet,
                vpc: vpc_id,
                cidr,
                ipv6,
                zone,
                acl_association,
                kind,
            } => {
                self.minted += 2;
                let Some(vpc) = self.vpcs.get_mut(vpc_id) else { return };
                vpc.subnets.push(*subnet);
                let acl = (*acl_association, vpc.default_acl);
                let mut new = Subnet::new(*vpc_id, *cidr, *ipv6, zone.clone(), acl, *kind);
                if ipv6.is_some() {
                    let association = SubnetCidrAssociationId::new(subnet.digits());
                    new.ipv6_association = Some(association);
                    self.subnet_block_associations.insert(association, *subnet);
                }
                self.subnets.insert(*subnet, new);
                self.acl_associations.insert(*acl_association, *subnet);
            }
            Change::SubnetDeleted { subnet } => {
                if let Some(gone) = self.subnets.remove(subnet) {
                    if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                        vpc.subnets.retain(|s| s != subnet);
                    }
                    self.acl_associations.remove(&gone.acl().0);
                    if let Some(association) = gone.ipv6_association {
                        self.subnet_block_associations.remove(&association);
                    }
                    self.untag(ResourceId::Subnet(*subnet));
                    self.unwatch(Watched::Subnet(*subnet));
                }
            }

            Change::SubnetAttributeSet { subnet, attribute } => {
                if let Some(subnet) = self.subnets.get_mut(subnet) {
                    match attribute {
                        SubnetAttribute::PublicOnLaunch(switch) => {
                            subnet.public_on_launch = *switch
                        }
                        SubnetAttribute::Ipv6OnCreation(switch) => {
                            subnet.ipv6_on_creation = *switch
                        }
                    }
                }
            }
            Change::SubnetBlockAssociated { subnet: id, association, block } => {
                self.minted += 1;
                if let Some(subnet) = self.subnets.get_mut(id) {
                    subnet.set_ipv6(Some((*association, *block)));
                    self.subnet_block_associations.insert(*association, *id);
                }
            }
            Change::SubnetBlockDisassociated { subnet } => {
                if let Some(subnet) = self.subnets.get_mut(subnet) {
                    if let Some(association) = subnet.ipv6_association {
                        self.subnet_block_associations.remove(&association);
                    }
                    subnet.set_ipv6(None);
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
            Change::MainRouteTableReplaced { vpc: id, association, table } => {
                self.minted += 1;
                if let Some(vpc) = self.vpcs.get_mut(id) {
                    self.main_associations.remove(&vpc.main.0);
                    self.main_associations.insert(*association, *id);
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
                self.expect(&new);
                for (account, region) in new.seen_from() {
                    self.holdings(account, &region).peerings.insert(*peering);
                }
                self.peerings.insert(*peering, new);
            }
            Change::PeeringFound { .. } => {}
            Change::PeeringMoved { peering, to } => {
                if let Some(mut moved) = self.peerings.remove(peering) {
                    self.expect_no_more(&moved);
                    moved.move_to(*to);
                    self.expect(&moved);
                    self.peerings.insert(*peering, moved);
                }
            }
            Change::PeeringForgotten { peering } => self.peering_forgotten(*peering),
            Change::PeeringOptionSet { peering, end, dns_from_peer } => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.set_dns_from_peer(*end, *dns_from_peer);
                }
            }

            Change::InstanceRun {
                instance,
                interface,
                attachment,
                on_termination,
                subnet,
                addresses,
                source_dest_check,
                groups,
            } => {
                self.minted += 2;
                if !self.interfaces.contains_key(interface) {
                    let (check, groups) = (*source_dest_check, groups);
                    self.interface_created(*interface, *subnet, addresses, check, groups);
                }
                let (device, since) = (DeviceIndex::PRIMARY, event.at);
                let (id, on_termination) = (*attachment, *on_termination);
                let attachment = Attachment { id, device, on_termination, since };
                self.instance_run(*instance, *interface, attachment);
            }
            Change::InstanceStopped { instance } => {
                self.set_state(*instance, InstanceState::Stopped)
            }
            Change::InstanceStarted { instance } => {
                self.set_state(*instance, InstanceState::Running)
            }
            Change::InstanceTerminated { instance, .. } => {
                self.instance_terminated(*instance, event.at);
            }
            Change::InstanceForgotten { instance } => self.instance_forgotten(*instance),
            Change::InterfaceCreated {
                interface,
                subnet,
                addresses,
                source_dest_check,
                groups,
            } => {
                self.minted += 1;
                let check = *source_dest_check;
                self.interface_created(*interface, *subnet, addresses, check, groups);
            }
            Change::InterfaceDeleted { interface } => self.remove_interface(*interface),
            Change::InterfaceAttached {
                interface,
                instance,
                device,
                attachment,
                on_termination,
            } => {
                // One that was made together with its instance has its interface's digits.
                self.minted += u64::from(attachment.digits() != interface.digits());
                let (id, device, since) = (*attachment, *device, event.at);
                let on_termination = *on_termination;
                let attachment = Attachment { id, device, on_termination, since };
                self.interface_attached(*interface, *instance, attachment);
            }
            Change::InterfaceDetached { interface } => self.interface_detached(*interface),
            Change::OnTerminationSet { interface, on_termination } => {
                let found = self.interfaces.get_mut(interface);
                if let Some(attachment) = found.and_then(|i| i.attachment.as_mut()) {
                    attachment.on_termination = *on_termination;
                }
            }
            Change::AddressesAssigned { interface, addresses } => {
                self.give_addresses(*interface, addresses);
            }
            Change::AddressesUnassigned { interface, addresses } => {
                self.take_addresses(*interface, addresses);
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
                if let Some(has) = self.holdings_of(*vpc) {
                    has.groups += 1;
                }
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.groups.push(*group);
                }
            }
            Change::SecurityGroupDeleted { group } => {
                let Some(gone) = self.groups.remove(group) else { return };
                if let Some(has) = self.holdings_of(gone.vpc) {
                    has.groups = has.groups.saturating_sub(1);
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
                self.holdings(*owner, region).prefix_lists.insert(*list);
                let (owner, region, entries) = (*owner, region.clone(), entries.clone());
                self.prefix_lists.insert(*list, PrefixList { owner, region, entries });
            }
            Change::PrefixListModified { list, entries } => {
                if let Some(list) = self.prefix_lists.get_mut(list) {
                    list.entries.clone_from(entries);
                }
            }
            Change::PrefixListDeleted { list } => {
                if let Some(gone) = self.prefix_lists.remove(list) {
                    self.lose(gone.owner, &gone.region, |has| has.prefix_lists.remove(list));
                }
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
            Change::AddressAllocated { allocation, owner, region, address, kind } => {
                self.minted += 1;
                self.address_allocated(*allocation, *owner, region, (*address, *kind));
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
                self.holdings(*owner, region).flow_logs.insert(*log);
                self.watched.entry(*of).or_default().insert(*log);
                self.flow_logs.insert(*log, new);
            }
            Change::FlowLogDeleted { log } => self.flow_log_deleted(*log),

            Change::TagSet { resource, account, key, value } => {
                self.tags.set(*resource, *account, key, value);
            }
            Change::TagRemoved { resource, account, key } => {
                self.tags.remove(*resource, *account, key);
            }
        }
    }

    /// What an account has in a region.
    fn holdings(&mut self, owner: AccountId, region: &Region) -> &mut Holdings {
        self.accounts.entry(owner).or_default().holdings.entry(region.clone()).or_default()
    }

    /// What the owner of a VPC has in the VPC's region.
    fn holdings_of(&mut self, vpc: VpcId) -> Option<&mut Holdings> {
        let vpc = self.vpcs.get(&vpc)?;
        self.accounts.get_mut(&vpc.owner)?.holdings.get_mut(&vpc.region)
    }

    /// An account has something no more, in a region where it may have had nothing else.
    fn lose(
        &mut self,
        owner: AccountId,
        region: &Region,
        remove: impl FnOnce(&mut Holdings) -> bool,
    ) {
        let Some(account) = self.accounts.get_mut(&owner) else { return };
        let Some(has) = account.holdings.get_mut(region) else { return };
        remove(has);
        if has == Holdings::NONE {
            account.holdings.remove(region);
        }
        // An account that nobody opened is only what it has.
        if *account == Account::default() {
            self.accounts.remove(&owner);
        }
    }

    /// The flow logs of what is gone go with it.
    fn unwatch(&mut self, gone: Watched) {
        for log in self.watched.remove(&gone).unwrap_or_default() {
            self.flow_log_deleted(log);
        }
    }

    fn flow_log_deleted(&mut self, id: FlowLogId) {
        if let Some(gone) = self.flow_logs.remove(&id) {
            self.lose(gone.owner, &gone.region, |has| has.flow_logs.remove(&id));
            if let Some(logs) = self.watched.get_mut(&gone.of) {
                logs.remove(&id);
                if logs.is_empty() {
                    self.watched.remove(&gone.of);
                }
            }
        }
        self.untag(ResourceId::FlowLog(id));
    }

    /// Notes when passing time changes a peering, and when nobody sees it any more.
    fn expect(&mut self, peering: &Peering) {
        for at in peering.deadlines() {
            self.deadlines.entry(at).or_default().insert(peering.id());
        }
        self.forget_at(peering.forgotten_at(), ResourceId::Peering(peering.id()));
    }

    fn expect_no_more(&mut self, peering: &Peering) {
        for at in peering.deadlines() {
            if let Some(then) = self.deadlines.get_mut(&at) {
                then.remove(&peering.id());
                if then.is_empty() {
                    self.deadlines.remove(&at);
                }
            }
        }
        self.forget_not(peering.forgotten_at(), ResourceId::Peering(peering.id()));
    }

    fn forget_at(&mut self, at: Instant, resource: ResourceId) {
        if at < Instant::NEVER {
            self.fading.entry(at).or_default().insert(resource);
        }
    }

    fn forget_not(&mut self, at: Instant, resource: ResourceId) {
        if let Some(then) = self.fading.get_mut(&at) {
            then.remove(&resource);
            if then.is_empty() {
                self.fading.remove(&at);
            }
        }
    }

    fn peering_forgotten(&mut self, id: PeeringId) {
        let Some(gone) = self.peerings.remove(&id) else { return };
        self.expect_no_more(&gone);
        for end in [gone.requester(), gone.accepter()] {
            if let Some(vpc) = self.vpcs.get_mut(&end.vpc) {
                vpc.peerings.remove(&id);
            }
        }
        for (account, region) in gone.seen_from() {
            self.lose(account, &region, |has| has.peerings.remove(&id));
        }
        self.untag(ResourceId::Peering(id));
    }

    fn untag(&mut self, resource: ResourceId) {
        self.tags.remove_all(resource);
    }
}
