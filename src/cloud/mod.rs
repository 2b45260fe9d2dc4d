//! Level 2, the control plane: who owns what, and who may ask for what.
//!
//! Holds [`Cloud`] and its one entrance, [`Cloud::apply`]. A command is *decided* without changing
//! anything (each beside its noun: `vpc.rs`, `route_table.rs`, ...) and the events of the decision
//! are then carried out in one place, `evolve.rs`. So a command is applied whole or not at all, and
//! replaying the events rebuilds the cloud. Refuses to read a clock (`now` is an argument), to do
//! I/O, and to forward packets.

pub mod account;
pub mod cidr;
pub mod command;
pub mod dns;
pub mod event;
mod evolve;
pub mod filter;
pub mod flow_log;
pub mod gateway;
pub mod hostname;
pub mod instance;
mod interface;
mod mtu;
pub mod network_acl;
mod owned;
pub mod peering;
mod peering_commands;
pub mod peering_view;
pub mod prefix_list;
pub mod profile;
pub mod quota;
pub mod refusal;
pub mod route_table;
pub mod security_group;
pub mod subnet;
pub mod tag;
pub mod tagged;
pub mod vpc;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use account::{Account, Caller, Holdings};
use command::Command;
use event::{Change, Event, ResourceId};
use filter::Direction;
use flow_log::{FlowLog, Watched};
use gateway::{Gateway, GatewayId, NatGateway, OutsideHost, PublicAddress, Site};
use instance::{Host, Instance, InstanceState, Interface};
use network_acl::NetworkAcl;
use peering::{Pace, Peering};
pub use peering_view::PeeringView;
use prefix_list::PrefixList;
use profile::{Feature, Profile};
use quota::Quota;
use refusal::Refusal;
use route_table::{Blackhole, RouteTable};
use security_group::SecurityGroup;
use subnet::Subnet;
use tagged::Tags;
use vpc::Vpc;

use crate::base::id::*;
use crate::base::limit::FORGOTTEN_PER_COMMAND_MAX;
use crate::base::rng::mix;
use crate::base::time::{Instant, Span};

/// The emulated cloud: every account's resources at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cloud {
    profile: Profile,
    settle: Span,
    blackhole: Blackhole,
    accounts: BTreeMap<AccountId, Account>,
    vpcs: BTreeMap<VpcId, Vpc>,
    subnets: BTreeMap<SubnetId, Subnet>,
    tables: BTreeMap<RouteTableId, RouteTable>,
    associations: BTreeMap<AssociationId, SubnetId>,
    main_associations: BTreeMap<AssociationId, VpcId>,
    peerings: BTreeMap<PeeringId, Peering>,
    instances: BTreeMap<InstanceId, Instance>,
    interfaces: BTreeMap<InterfaceId, Interface>,
    owners: BTreeMap<(VpcId, IpAddr), InterfaceId>,
    groups: BTreeMap<SecurityGroupId, SecurityGroup>,
    prefix_lists: BTreeMap<PrefixListId, PrefixList>,
    acls: BTreeMap<NetworkAclId, NetworkAcl>,
    acl_associations: BTreeMap<AclAssociationId, SubnetId>,
    gateways: BTreeMap<GatewayId, Gateway>,
    nat_gateways: BTreeMap<NatGatewayId, NatGateway>,
    public_addresses: BTreeMap<AllocationId, PublicAddress>,
    /// Who holds a public address.
    allocations: BTreeMap<Ipv4Addr, AllocationId>,
    /// Which allocation stands for a private address of an interface.
    public_of: BTreeMap<(InterfaceId, Ipv4Addr), AllocationId>,
    outside_hosts: BTreeMap<InterfaceId, OutsideHost>,
    outside_owners: BTreeMap<(Site, IpAddr), InterfaceId>,
    flow_logs: BTreeMap<FlowLogId, FlowLog>,
    /// The flow logs of what is watched.
    watched: BTreeMap<Watched, BTreeSet<FlowLogId>>,
    block_associations: BTreeMap<CidrAssociationId, VpcId>,
    subnet_block_associations: BTreeMap<SubnetCidrAssociationId, SubnetId>,
    attachments: BTreeMap<AttachmentId, InterfaceId>,
    /// When passing time alone changes which peerings.
    deadlines: BTreeMap<Instant, BTreeSet<PeeringId>>,
    /// From when on nobody can see what any more.
    fading: BTreeMap<Instant, BTreeSet<ResourceId>>,
    tags: Tags,
    /// Ids handed out so far; the next one follows from it.
    minted: u64,
    /// The moment of the last event: no command may come from before it.
    latest: Instant,
}

/// Hands out new ids within one decision.
struct Mint(u64);

impl Mint {
    fn next(&mut self) -> Digits {
        self.0 += 1;
        // `mix` is a bijection, so no two ids share their digits, and ids look like AWS's: unordered.
        Digits::minted(mix(self.0))
    }
}

impl Cloud {
    /// An empty cloud. Transient peering states (`initiating-request`, `provisioning`, `deleting`)
    /// last `settle`; zero settles them at once.
    pub fn new(profile: Profile, settle: Span) -> Cloud {
        Cloud {
            profile,
            settle,
            blackhole: Blackhole::default(),
            accounts: BTreeMap::new(),
            vpcs: BTreeMap::new(),
            subnets: BTreeMap::new(),
            tables: BTreeMap::new(),
            associations: BTreeMap::new(),
            main_associations: BTreeMap::new(),
            peerings: BTreeMap::new(),
            instances: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            owners: BTreeMap::new(),
            groups: BTreeMap::new(),
            prefix_lists: BTreeMap::new(),
            acls: BTreeMap::new(),
            acl_associations: BTreeMap::new(),
            gateways: BTreeMap::new(),
            nat_gateways: BTreeMap::new(),
            public_addresses: BTreeMap::new(),
            allocations: BTreeMap::new(),
            public_of: BTreeMap::new(),
            outside_hosts: BTreeMap::new(),
            outside_owners: BTreeMap::new(),
            flow_logs: BTreeMap::new(),
            watched: BTreeMap::new(),
            block_associations: BTreeMap::new(),
            subnet_block_associations: BTreeMap::new(),
            attachments: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            fading: BTreeMap::new(),
            tags: Tags::default(),
            minted: 0,
            latest: Instant::START,
        }
    }

    /// From now on transient states last this long. A setting of the emulator, not of the cloud: it
    /// shapes later decisions, and no event records it.
    pub fn set_settle(&mut self, settle: Span) {
        self.settle = settle;
    }

    /// From now on routes that cannot be used do this to packets. A setting of the emulator, like
    /// [`Cloud::set_settle`].
    pub fn set_blackhole(&mut self, blackhole: Blackhole) {
        self.blackhole = blackhole;
    }

    /// What routes that cannot be used do to packets.
    pub fn blackhole(&self) -> Blackhole {
        self.blackhole
    }

    /// The one way in: `caller` asks for `command` at `now`. Either every change is made and
    /// returned, or none and the refusal says why. `now` must not go back; an earlier one is
    /// treated as the moment of the last event. In passing some of what nobody can see any more is
    /// forgotten, which makes events too, behind those of the command.
    ///
    /// # Errors
    /// A [`Refusal`] with its exact EC2 error code.
    pub fn apply(
        &mut self,
        caller: &Caller,
        command: &Command,
        now: Instant,
    ) -> Result<Vec<Event>, Refusal> {
        let at = now.max(self.latest);
        let mut changes = self.decide(caller, command, at)?;
        changes.extend(self.forgettable(at));
        let events: Vec<Event> = changes.into_iter().map(|change| Event { at, change }).collect();
        for event in &events {
            self.evolve(event);
        }
        Ok(events)
    }

    /// Would this command be refused now? Nothing happens.
    ///
    /// # Errors
    /// As [`Cloud::apply`].
    pub fn check(&self, caller: &Caller, command: &Command, now: Instant) -> Result<(), Refusal> {
        self.decide(caller, command, now.max(self.latest)).map(drop)
    }

    /// Carries out again what happened once: an event of a cloud that was in the same state.
    pub fn carry_out(&mut self, event: &Event) {
        self.evolve(event);
    }

    /// The cloud that these events made, in order, starting from an empty one.
    pub fn replay<'e>(
        profile: Profile,
        settle: Span,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Cloud {
        let mut cloud = Cloud::new(profile, settle);
        for event in events {
            cloud.evolve(event);
        }
        cloud
    }

    /// What the command would change. Pure: nothing happens.
    fn decide(
        &self,
        caller: &Caller,
        command: &Command,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        use Command as C;
        match command {
            C::OpenAccount { quotas } => {
                quotas.check()?;
                Ok(vec![Change::AccountOpened { account: caller.account, quotas: quotas.clone() }])
            }
            C::CreateVpc { cidr } => self.create_vpc(caller, *cidr),
            C::CreateDefaultVpc => self.create_default_vpc(caller),
            C::DeleteVpc { vpc } => self.delete_vpc(caller, *vpc, now),
            C::AssociateVpcCidrBlock { vpc, block } => {
                self.associate_block(caller, *vpc, *block, now)
            }
            C::DisassociateVpcCidrBlock { vpc, block } => {
                self.disassociate_block(caller, *vpc, *block)
            }
            C::ModifyVpcAttribute { vpc, attribute } => {
                self.modify_vpc_attribute(caller, *vpc, *attribute)
            }
            C::CreateSubnet { vpc, cidr, ipv6, zone } => {
                self.create_subnet(caller, *vpc, *cidr, *ipv6, zone.clone())
            }
            C::ModifySubnetAttribute { subnet, attribute } => {
                self.modify_subnet_attribute(caller, *subnet, *attribute)
            }
            C::AssociateSubnetCidrBlock { subnet, block } => {
                self.associate_subnet_block(caller, *subnet, *block)
            }
            C::DisassociateSubnetCidrBlock { association } => {
                self.disassociate_subnet_block(caller, *association)
            }
            C::DeleteSubnet { subnet } => self.delete_subnet(caller, *subnet),
            C::CreateRouteTable { vpc } => self.create_table(caller, *vpc),
            C::DeleteRouteTable { table } => self.delete_table(caller, *table),
            C::AssociateRouteTable { table, subnet } => {
                self.associate_table(caller, *table, *subnet)
            }
            C::DisassociateRouteTable { association } => {
                self.disassociate_table(caller, *association)
            }
            C::ReplaceRouteTableAssociation { association, table } => {
                self.replace_association(caller, *association, *table)
            }
            C::CreateRoute { table, destination, target } => {
                self.create_route(caller, *table, *destination, *target, now)
            }
            C::ReplaceRoute { table, destination, target } => {
                self.replace_route(caller, *table, *destination, *target, now)
            }
            C::DeleteRoute { table, destination } => {
                self.delete_route(caller, *table, *destination)
            }
            C::CreateVpcPeeringConnection { requester, accepter, peer_owner, peer_region } => self
                .request_peering(
                    caller,
                    *requester,
                    *accepter,
                    *peer_owner,
                    peer_region.as_ref(),
                    now,
                ),
            C::AcceptVpcPeeringConnection { peering } => self.accept_peering(caller, *peering, now),
            C::RejectVpcPeeringConnection { peering } => self.reject_peering(caller, *peering, now),
            C::DeleteVpcPeeringConnection { peering } => self.delete_peering(caller, *peering, now),
            C::ModifyVpcPeeringConnectionOptions { peering, requester, accepter } => {
                self.modify_peering_options(caller, *peering, *requester, *accepter, now)
            }
            C::RunInstances { count, primary, further } => {
                self.run_instances(caller, *count, primary, further)
            }
            C::StopInstances { instance } => self.stop_instance(caller, *instance, now),
            C::StartInstances { instance } => self.start_instance(caller, *instance, now),
            C::TerminateInstances { instance } => self.terminate_instance(caller, *instance, now),
            C::CreateNetworkInterface { wanted } => self.create_interface(caller, wanted),
            C::DeleteNetworkInterface { interface } => self.delete_interface(caller, *interface),
            C::AttachNetworkInterface { interface, instance, device } => {
                self.attach_interface(caller, *interface, *instance, *device, now)
            }
            C::DetachNetworkInterface { attachment } => self.detach_interface(caller, *attachment),
            C::ModifyNetworkInterfaceAttachment { interface, on_termination } => {
                self.set_on_termination(caller, *interface, *on_termination)
            }
            C::AssignPrivateIpAddresses { interface, addresses } => {
                self.assign_ipv4(caller, *interface, addresses)
            }
            C::UnassignPrivateIpAddresses { interface, addresses } => {
                self.unassign(caller, *interface, addresses.iter().copied().map(IpAddr::V4))
            }
            C::AssignIpv6Addresses { interface, addresses } => {
                self.assign_ipv6(caller, *interface, addresses)
            }
            C::UnassignIpv6Addresses { interface, addresses } => {
                self.unassign(caller, *interface, addresses.iter().copied().map(IpAddr::V6))
            }
            C::ModifyNetworkInterfaceAttribute { interface, source_dest_check } => {
                self.set_source_dest_check(caller, *interface, *source_dest_check)
            }
            C::ModifyNetworkInterfaceGroups { interface, groups } => {
                self.set_interface_groups(caller, *interface, groups)
            }
            C::CreateSecurityGroup { vpc, name } => self.create_group(caller, *vpc, name),
            C::DeleteSecurityGroup { group } => self.delete_group(caller, *group),
            C::AuthorizeSecurityGroupIngress { group, rules } => {
                self.modify_rules(caller, *group, Direction::Ingress, &[], rules, now)
            }
            C::AuthorizeSecurityGroupEgress { group, rules } => {
                self.modify_rules(caller, *group, Direction::Egress, &[], rules, now)
            }
            C::ModifySecurityGroupRules { group, direction, remove, add } => {
                self.modify_rules(caller, *group, *direction, remove, add, now)
            }
            C::RevokeSecurityGroupIngress { group, rules } => {
                self.modify_rules(caller, *group, Direction::Ingress, rules, &[], now)
            }
            C::RevokeSecurityGroupEgress { group, rules } => {
                self.modify_rules(caller, *group, Direction::Egress, rules, &[], now)
            }
            C::CreateManagedPrefixList { entries } => self.create_prefix_list(caller, entries),
            C::ModifyManagedPrefixList { list, add, remove } => {
                self.modify_prefix_list(caller, *list, add, remove)
            }
            C::DeleteManagedPrefixList { list } => self.delete_prefix_list(caller, *list),
            C::CreateNetworkAcl { vpc } => self.create_acl(caller, *vpc),
            C::DeleteNetworkAcl { acl } => self.delete_acl(caller, *acl),
            C::CreateNetworkAclEntry { acl, direction, number, entry } => {
                self.create_acl_entry(caller, *acl, *direction, *number, *entry)
            }
            C::ReplaceNetworkAclEntry { acl, direction, number, entry } => {
                self.replace_acl_entry(caller, *acl, *direction, *number, *entry)
            }
            C::DeleteNetworkAclEntry { acl, direction, number } => {
                self.delete_acl_entry(caller, *acl, *direction, *number)
            }
            C::ReplaceNetworkAclAssociation { association, acl } => {
                self.replace_acl_association(caller, *association, *acl)
            }
            C::CreateInternetGateway => self.create_internet_gateway(caller),
            C::AttachInternetGateway { gateway, vpc } => {
                self.attach_internet_gateway(caller, *gateway, *vpc)
            }
            C::DetachInternetGateway { gateway, vpc } => {
                self.detach_internet_gateway(caller, *gateway, *vpc)
            }
            C::DeleteInternetGateway { gateway } => self.delete_internet_gateway(caller, *gateway),
            C::CreateEgressOnlyInternetGateway { vpc } => {
                self.create_egress_only_gateway(caller, *vpc)
            }
            C::DeleteEgressOnlyInternetGateway { gateway } => {
                self.delete_egress_only_gateway(caller, *gateway)
            }
            C::CreateVpnGateway { line, beyond } => self.create_vpn_gateway(caller, *line, beyond),
            C::AttachVpnGateway { gateway, vpc } => self.attach_vpn_gateway(caller, *gateway, *vpc),
            C::DetachVpnGateway { gateway, vpc } => self.detach_vpn_gateway(caller, *gateway, *vpc),
            C::DeleteVpnGateway { gateway } => self.delete_vpn_gateway(caller, *gateway),
            C::EnableVgwRoutePropagation { gateway, table } => {
                self.enable_propagation(caller, *gateway, *table)
            }
            C::DisableVgwRoutePropagation { gateway, table } => {
                self.disable_propagation(caller, *gateway, *table)
            }
            C::CreateVpcEndpoint { vpc, service, prefixes, tables } => {
                self.create_endpoint(caller, *vpc, service, prefixes, tables)
            }
            C::ModifyVpcEndpoint { endpoint, add, remove } => {
                self.modify_endpoint(caller, *endpoint, add, remove)
            }
            C::DeleteVpcEndpoints { endpoint } => self.delete_endpoint(caller, *endpoint),
            C::CreateNatGateway { subnet, allocation } => {
                self.create_nat_gateway(caller, *subnet, *allocation)
            }
            C::DeleteNatGateway { gateway } => self.delete_nat_gateway(caller, *gateway),
            C::AllocateAddress { address } => self.allocate_public_address(caller, *address),
            C::AssociateAddress { allocation, interface, private } => {
                self.associate_public_address(caller, *allocation, *interface, *private)
            }
            C::DisassociateAddress { association } => {
                self.disassociate_public_address(caller, *association)
            }
            C::ReleaseAddress { allocation } => self.release_public_address(caller, *allocation),
            C::PlaceOutsideHost { beyond, addresses } => {
                self.place_host_outside(caller, *beyond, addresses)
            }
            C::RemoveOutsideHost { host } => self.remove_host_outside(caller, *host),
            C::CreateFlowLogs { of, recording } => {
                self.create_flow_log(caller, *of, recording, now)
            }
            C::DeleteFlowLogs { log } => self.delete_flow_log(caller, *log),
            C::CreateTags { resource, tags } => self.create_tags(caller, *resource, tags, now),
            C::DeleteTags { resource, keys } => self.delete_tags(caller, *resource, keys, now),
        }
    }

    // ---- reading: for the lab itself, which sees everything -----------------------------------

    /// The rule book in force.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The moment of the last event.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// How long transient peering states last.
    pub fn settle(&self) -> Span {
        self.settle
    }

    /// A VPC.
    pub fn vpc(&self, id: VpcId) -> Option<&Vpc> {
        self.vpcs.get(&id)
    }

    /// Every VPC, ordered by id.
    pub fn vpcs(&self) -> impl Iterator<Item = (VpcId, &Vpc)> {
        self.vpcs.iter().map(|(id, vpc)| (*id, vpc))
    }

    /// A subnet.
    pub fn subnet(&self, id: SubnetId) -> Option<&Subnet> {
        self.subnets.get(&id)
    }

    /// Every subnet, ordered by id.
    pub fn subnets(&self) -> impl Iterator<Item = (SubnetId, &Subnet)> {
        self.subnets.iter().map(|(id, subnet)| (*id, subnet))
    }

    /// A route table.
    pub fn table(&self, id: RouteTableId) -> Option<&RouteTable> {
        self.tables.get(&id)
    }

    /// Every route table, ordered by id.
    pub fn tables(&self) -> impl Iterator<Item = (RouteTableId, &RouteTable)> {
        self.tables.iter().map(|(id, table)| (*id, table))
    }

    /// A peering.
    pub fn peering(&self, id: PeeringId) -> Option<&Peering> {
        self.peerings.get(&id)
    }

    /// Every peering that somebody may still see, ordered by id.
    pub fn peerings(&self) -> impl Iterator<Item = &Peering> {
        self.peerings.values()
    }

    /// An instance.
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(&id)
    }

    /// Every instance, ordered by id.
    pub fn instances(&self) -> impl Iterator<Item = (InstanceId, &Instance)> {
        self.instances.iter().map(|(id, instance)| (*id, instance))
    }

    /// An interface.
    pub fn interface(&self, id: InterfaceId) -> Option<&Interface> {
        self.interfaces.get(&id)
    }

    /// Every interface, ordered by id.
    pub fn interfaces(&self) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        self.interfaces.iter().map(|(id, interface)| (*id, interface))
    }

    /// The interface that has the address in that VPC. An address alone names nobody: two VPCs may
    /// both use it.
    pub fn owner(&self, vpc: VpcId, address: IpAddr) -> Option<InterfaceId> {
        self.owners.get(&(vpc, address)).copied()
    }

    /// A security group.
    pub fn group(&self, id: SecurityGroupId) -> Option<&SecurityGroup> {
        self.groups.get(&id)
    }

    /// Every security group, ordered by id.
    pub fn groups(&self) -> impl Iterator<Item = (SecurityGroupId, &SecurityGroup)> {
        self.groups.iter().map(|(id, group)| (*id, group))
    }

    /// A prefix list.
    pub fn prefix_list(&self, id: PrefixListId) -> Option<&PrefixList> {
        self.prefix_lists.get(&id)
    }

    /// Every prefix list, ordered by id.
    pub fn prefix_lists(&self) -> impl Iterator<Item = (PrefixListId, &PrefixList)> {
        self.prefix_lists.iter().map(|(id, list)| (*id, list))
    }

    /// A network ACL.
    pub fn acl(&self, id: NetworkAclId) -> Option<&NetworkAcl> {
        self.acls.get(&id)
    }

    /// Every network ACL, ordered by id.
    pub fn acls(&self) -> impl Iterator<Item = (NetworkAclId, &NetworkAcl)> {
        self.acls.iter().map(|(id, acl)| (*id, acl))
    }

    /// The network ACL at the boundary of a subnet.
    pub fn acl_of(&self, subnet: SubnetId) -> Option<NetworkAclId> {
        self.subnets.get(&subnet).map(|subnet| subnet.acl().1)
    }

    /// The list that an association puts its subnet behind.
    pub fn acl_by_association(&self, id: AclAssociationId) -> Option<NetworkAclId> {
        self.acl_of(*self.acl_associations.get(&id)?)
    }

    /// A gateway.
    pub fn gateway(&self, id: GatewayId) -> Option<&Gateway> {
        self.gateways.get(&id)
    }

    /// Every gateway, ordered by id.
    pub fn gateways(&self) -> impl Iterator<Item = (GatewayId, &Gateway)> {
        self.gateways.iter().map(|(id, gateway)| (*id, gateway))
    }

    /// A NAT gateway.
    pub fn nat_gateway(&self, id: NatGatewayId) -> Option<&NatGateway> {
        self.nat_gateways.get(&id)
    }

    /// Every NAT gateway, ordered by id.
    pub fn nat_gateways(&self) -> impl Iterator<Item = (NatGatewayId, &NatGateway)> {
        self.nat_gateways.iter().map(|(id, gateway)| (*id, gateway))
    }

    /// Every public address that an account holds, ordered by allocation.
    pub fn public_addresses(&self) -> impl Iterator<Item = (AllocationId, &PublicAddress)> {
        self.public_addresses.iter().map(|(id, address)| (*id, address))
    }

    /// The public address that stands for a private one of an interface.
    pub fn public_address(&self, interface: InterfaceId, private: Ipv4Addr) -> Option<Ipv4Addr> {
        let held = self.public_addresses.get(self.public_of.get(&(interface, private))?)?;
        Some(held.address)
    }

    /// What holds the public address that stands for a private one of an interface.
    pub fn public_allocation(
        &self,
        interface: InterfaceId,
        private: Ipv4Addr,
    ) -> Option<(AllocationId, &PublicAddress)> {
        let allocation = *self.public_of.get(&(interface, private))?;
        Some((allocation, self.public_addresses.get(&allocation)?))
    }

    /// The interface, and its private address, for which a public one stands.
    pub fn behind_public(&self, public: Ipv4Addr) -> Option<(InterfaceId, Ipv4Addr)> {
        let held = self.public_addresses.get(self.allocations.get(&public)?)?;
        held.association.map(|(_, interface, private)| (interface, private))
    }

    /// The internet gateway that is attached to a VPC.
    pub fn internet_gateway_of(&self, vpc: VpcId) -> Option<GatewayId> {
        self.vpcs.get(&vpc)?.gateways().find(|id| matches!(id, GatewayId::Internet(_)))
    }

    /// The egress-only internet gateway of a VPC.
    pub fn egress_only_gateway_of(&self, vpc: VpcId) -> Option<GatewayId> {
        self.vpcs.get(&vpc)?.gateways().find(|id| matches!(id, GatewayId::EgressOnly(_)))
    }

    /// A host outside the cloud.
    pub fn outside_host(&self, id: InterfaceId) -> Option<&OutsideHost> {
        self.outside_hosts.get(&id)
    }

    /// Every host outside the cloud, ordered by id.
    pub fn outside_hosts(&self) -> impl Iterator<Item = (InterfaceId, &OutsideHost)> {
        self.outside_hosts.iter().map(|(id, host)| (*id, host))
    }

    /// The host that has the address in that network outside the cloud.
    pub fn outside_owner(&self, site: Site, address: IpAddr) -> Option<InterfaceId> {
        self.outside_owners.get(&(site, address)).copied()
    }

    /// What an allocation holds.
    pub fn allocation(&self, id: AllocationId) -> Option<&PublicAddress> {
        self.public_addresses.get(&id)
    }

    /// The interfaces of a subnet, each once. Logarithmic in the cloud for each.
    pub fn interfaces_in(
        &self,
        subnet: SubnetId,
    ) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        let home = self.subnets.get(&subnet);
        let taken = home.into_iter().flat_map(|home| home.taken().map(|a| (home.vpc, a)));
        taken.filter_map(|(vpc, address)| {
            let id = self.owner(vpc, address)?;
            let interface = self.interface(id)?;
            (interface.addresses.first() == Some(&address)).then_some((id, interface))
        })
    }

    /// Does what is behind an interface send and receive? A stopped instance does not, and nobody does
    /// not; a NAT gateway and a host outside the cloud always do.
    pub fn runs(&self, interface: InterfaceId) -> bool {
        match self.interfaces.get(&interface).map(|interface| interface.host) {
            Some(Host::Instance(id)) => {
                self.instances.get(&id).is_some_and(|i| i.state == InstanceState::Running)
            }
            Some(Host::NatGateway(_)) => true,
            Some(Host::Nobody) => false,
            None => self.outside_hosts.contains_key(&interface),
        }
    }

    /// The subnet of an association of an IPv6 block.
    pub fn subnet_by_block_association(&self, id: SubnetCidrAssociationId) -> Option<SubnetId> {
        self.subnet_block_associations.get(&id).copied()
    }

    /// The interface of an attachment.
    pub fn interface_by_attachment(&self, id: AttachmentId) -> Option<InterfaceId> {
        self.attachments.get(&id).copied()
    }

    /// The next moment after `now` at which passing time alone changes something (a request
    /// expires, a transient state settles); [`Instant::NEVER`] if there is none. Logarithmic in the
    /// number of peerings.
    pub fn next_deadline(&self, now: Instant) -> Instant {
        let later = (Bound::Excluded(now), Bound::Unbounded);
        self.deadlines.range(later).next().map_or(Instant::NEVER, |(at, _)| *at)
    }

    // ---- reading: for an account ----------------------------------------------------------------

    /// `DescribeVpcPeeringConnections` for one id, as the caller sees it.
    ///
    /// # Errors
    /// [`Refusal::PeeringNotFound`] if it does not exist for the caller (any more).
    pub fn describe_peering(
        &self,
        caller: &Caller,
        id: PeeringId,
        now: Instant,
    ) -> Result<PeeringView<'_>, Refusal> {
        let peering = self.visible_peering(caller, id, now)?;
        Ok(self.view(peering, caller.account, now))
    }

    /// `DescribeVpcPeeringConnections`: what the caller sees, live ones first, then by id. Costs what
    /// the caller has, not what others have.
    pub fn describe_peerings(&self, caller: &Caller, now: Instant) -> Vec<PeeringView<'_>> {
        let visible = self.peerings_of(caller, now);
        let mut rows: Vec<_> = visible.map(|p| (!p.is_live(now), p)).collect();
        rows.sort_by_key(|(ended, peering)| (*ended, peering.id()));
        rows.into_iter().map(|(_, peering)| self.view(peering, caller.account, now)).collect()
    }

    // ---- helpers of the decisions ---------------------------------------------------------------

    /// What nobody can see any more, the longest gone first, not too much at a time.
    fn forgettable(&self, now: Instant) -> impl Iterator<Item = Change> {
        let faded = self.fading.range(..=now).flat_map(|(_, resources)| resources);
        let forgotten = faded.filter_map(|resource| match *resource {
            ResourceId::Peering(peering) => Some(Change::PeeringForgotten { peering }),
            ResourceId::Instance(instance) => Some(Change::InstanceForgotten { instance }),
            _ => None,
        });
        forgotten.take(FORGOTTEN_PER_COMMAND_MAX)
    }

    fn mint(&self) -> Mint {
        Mint(self.minted)
    }

    fn pace(&self) -> Pace {
        Pace { settle: self.settle, deleting_shown: self.profile.has(Feature::DeletingShown) }
    }

    /// What the caller has in its region.
    fn usage(&self, caller: &Caller) -> &Holdings {
        let account = self.accounts.get(&caller.account);
        account.and_then(|a| a.holdings.get(&caller.region)).unwrap_or(Holdings::NONE)
    }

    /// May the account have one more, having as many as `count` finds?
    fn within(
        &self,
        account: AccountId,
        quota: Quota,
        count: impl FnOnce() -> usize,
    ) -> Result<(), Refusal> {
        let limit = self.limit(account, quota);
        if count() < limit { Ok(()) } else { Err(Refusal::QuotaExceeded { quota, limit }) }
    }

    /// May the account have as many as this?
    fn at_most(&self, account: AccountId, quota: Quota, count: usize) -> Result<(), Refusal> {
        let limit = self.limit(account, quota);
        if count <= limit { Ok(()) } else { Err(Refusal::QuotaExceeded { quota, limit }) }
    }

    /// What a quota of an account is: its default, unless somebody has adjusted it.
    pub fn limit(&self, account: AccountId, quota: Quota) -> usize {
        let account = self.accounts.get(&account);
        account.map_or(quota.default_limit(), |account| account.quotas.limit(quota))
    }
}
