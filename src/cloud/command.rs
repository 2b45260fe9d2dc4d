//! What can be asked of the cloud, under EC2's names.
//!
//! Holds the commands as values. Refuses to hold what becomes of them: each is decided beside its
//! noun (`vpc.rs`, `peering.rs`, ...). Front doors, fuzzers and model checkers all speak this type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::account::{Region, Zone};
use super::dns::{Switch, VpcAttribute};
use super::event::ResourceId;
use super::filter::Direction;
use super::flow_log::{Recording, Watched};
use super::gateway::{GatewayId, Line};
use super::instance::{
    DeviceIndex, InterfaceWish, NewInterface, OnTermination, SourceDestCheck, Wanted,
};
use super::network_acl::{AclEntry, RuleNumber};
use super::quota::Quotas;
use super::route_table::RouteTarget;
use super::security_group::GroupRule;
use super::subnet::SubnetAttribute;
use crate::base::id::*;

/// One request to the control plane. Applied whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields carry the names and meanings of the EC2 parameters")]
pub enum Command {
    /// Makes the caller's account known and sets its quotas. The emulator's own: EC2 has no such call.
    OpenAccount { quotas: Quotas },

    /// Creates a VPC in the caller's region, with its main route table.
    CreateVpc { cidr: Ipv4Net },
    /// Creates the VPC that the account starts with in a region: 172.31.0.0/16 with an internet gateway
    /// and a subnet in each zone. An account has one in a region at most.
    CreateDefaultVpc,
    /// Deletes an empty VPC; its own peerings go with it (vpc-semantics 2.5).
    DeleteVpc { vpc: VpcId },
    /// Adds a secondary IPv4 block or an IPv6 block (`today`).
    AssociateVpcCidrBlock { vpc: VpcId, block: IpNet },
    /// Removes a block that is not the primary one.
    DisassociateVpcCidrBlock { vpc: VpcId, block: IpNet },
    /// Sets an attribute of a VPC.
    ModifyVpcAttribute { vpc: VpcId, attribute: VpcAttribute },

    /// Creates a subnet; without a zone, in the region's first.
    CreateSubnet { vpc: VpcId, cidr: Ipv4Net, ipv6: Option<Ipv6Net>, zone: Option<Zone> },
    /// Sets an attribute of a subnet.
    ModifySubnetAttribute { subnet: SubnetId, attribute: SubnetAttribute },
    /// Gives a subnet that has none an IPv6 block (`today`).
    AssociateSubnetCidrBlock { subnet: SubnetId, block: Ipv6Net },
    /// Takes the IPv6 block from a subnet, once no interface has an address of it.
    DisassociateSubnetCidrBlock { association: SubnetCidrAssociationId },
    /// Deletes a subnet without interfaces.
    DeleteSubnet { subnet: SubnetId },

    /// Creates a table that holds only local routes.
    CreateRouteTable { vpc: VpcId },
    /// Deletes a table that is neither a main table nor associated.
    DeleteRouteTable { table: RouteTableId },
    /// Puts a subnet that follows the main table on this table.
    AssociateRouteTable { table: RouteTableId, subnet: SubnetId },
    /// Puts a subnet back on the main table.
    DisassociateRouteTable { association: AssociationId },
    /// Moves an association (of a subnet, or the main one) to another table of the VPC.
    ReplaceRouteTableAssociation { association: AssociationId, table: RouteTableId },
    /// Adds a route.
    CreateRoute { table: RouteTableId, destination: IpNet, target: RouteTarget },
    /// Gives an existing route another target.
    ReplaceRoute { table: RouteTableId, destination: IpNet, target: RouteTarget },
    /// Removes a route.
    DeleteRoute { table: RouteTableId, destination: IpNet },

    /// Asks the owner of `accepter` for a peering. `peer_owner` defaults to the caller,
    /// `peer_region` to the caller's region.
    CreateVpcPeeringConnection {
        requester: VpcId,
        accepter: VpcId,
        peer_owner: Option<AccountId>,
        peer_region: Option<Region>,
    },
    /// Says yes to a request; the accepter's to do.
    AcceptVpcPeeringConnection { peering: PeeringId },
    /// Says no to a request; the accepter's to do.
    RejectVpcPeeringConnection { peering: PeeringId },
    /// Takes back a request (requester) or ends a peering (either).
    DeleteVpcPeeringConnection { peering: PeeringId },
    /// Sets `AllowDnsResolutionFromRemoteVpc` of the sides that are given (`today`): whether private
    /// addresses of that side's VPC resolve in the other. Each side is its owner's to set.
    ModifyVpcPeeringConnectionOptions {
        peering: PeeringId,
        requester: Option<Switch>,
        accepter: Option<Switch>,
    },

    /// Starts so many instances, all of them or none, each with these interfaces: the primary one at
    /// device 0, further ones at other places in the same zone. What exists already, or has an address
    /// that was asked for, can be of one instance only.
    RunInstances {
        count: NonZeroU16,
        primary: InterfaceWish,
        further: Vec<(DeviceIndex, InterfaceWish)>,
    },
    /// Stops a running instance; its interface keeps its addresses.
    StopInstances { instance: InstanceId },
    /// Starts a stopped instance.
    StartInstances { instance: InstanceId },
    /// Ends an instance. Its interfaces go with it or stand free, as their attachments say; it can be
    /// read for another hour.
    TerminateInstances { instance: InstanceId },
    /// Creates an interface that belongs to nobody.
    CreateNetworkInterface { wanted: NewInterface },
    /// Deletes an interface that belongs to nobody.
    DeleteNetworkInterface { interface: InterfaceId },
    /// Gives an instance an interface that belongs to nobody, in its VPC and zone.
    AttachNetworkInterface { interface: InterfaceId, instance: InstanceId, device: DeviceIndex },
    /// Takes a further interface from its instance.
    DetachNetworkInterface { attachment: AttachmentId },
    /// Says what becomes of an interface when its instance ends: `ModifyNetworkInterfaceAttribute`,
    /// which changes one attribute at a time.
    ModifyNetworkInterfaceAttachment { interface: InterfaceId, on_termination: OnTermination },
    /// Gives an interface further IPv4 addresses of its subnet.
    AssignPrivateIpAddresses { interface: InterfaceId, addresses: Wanted<Ipv4Addr> },
    /// Takes IPv4 addresses from an interface, but for the primary one; public addresses that stand for
    /// them stand for nothing then.
    UnassignPrivateIpAddresses { interface: InterfaceId, addresses: Vec<Ipv4Addr> },
    /// Gives an interface IPv6 addresses of its subnet (`today`).
    AssignIpv6Addresses { interface: InterfaceId, addresses: Wanted<Ipv6Addr> },
    /// Takes IPv6 addresses from an interface.
    UnassignIpv6Addresses { interface: InterfaceId, addresses: Vec<Ipv6Addr> },
    /// Switches an interface's source/destination check.
    ModifyNetworkInterfaceAttribute { interface: InterfaceId, source_dest_check: SourceDestCheck },
    /// Gives an interface other groups: the same call of EC2's, which changes one attribute at a
    /// time.
    ModifyNetworkInterfaceGroups { interface: InterfaceId, groups: Vec<SecurityGroupId> },

    /// Creates a group that lets nothing in and everything out.
    CreateSecurityGroup { vpc: VpcId, name: String },
    /// Deletes a group that no interface has and no other group of its VPC names.
    DeleteSecurityGroup { group: SecurityGroupId },
    /// Adds rules for what comes in: all of them or none.
    AuthorizeSecurityGroupIngress { group: SecurityGroupId, rules: Vec<GroupRule> },
    /// Adds rules for what goes out: all of them or none.
    AuthorizeSecurityGroupEgress { group: SecurityGroupId, rules: Vec<GroupRule> },
    /// Takes away rules for what comes in: all of them or none.
    RevokeSecurityGroupIngress { group: SecurityGroupId, rules: Vec<GroupRule> },
    /// Takes away rules for what goes out: all of them or none.
    RevokeSecurityGroupEgress { group: SecurityGroupId, rules: Vec<GroupRule> },
    /// Takes rules of one direction away and adds others: all of it or nothing.
    ModifySecurityGroupRules {
        group: SecurityGroupId,
        direction: Direction,
        remove: Vec<GroupRule>,
        add: Vec<GroupRule>,
    },

    /// Creates a prefix list in the caller's region.
    CreateManagedPrefixList { entries: Vec<IpNet> },
    /// Adds entries to a prefix list and removes others from it.
    ModifyManagedPrefixList { list: PrefixListId, add: Vec<IpNet>, remove: Vec<IpNet> },
    /// Deletes a prefix list that no rule names.
    DeleteManagedPrefixList { list: PrefixListId },

    /// Creates a list without entries: everything is denied.
    CreateNetworkAcl { vpc: VpcId },
    /// Deletes a list that no subnet uses.
    DeleteNetworkAcl { acl: NetworkAclId },
    /// Adds an entry under a number that is free.
    CreateNetworkAclEntry {
        acl: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
        entry: AclEntry,
    },
    /// Puts another entry under a number that is taken.
    ReplaceNetworkAclEntry {
        acl: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
        entry: AclEntry,
    },
    /// Removes an entry.
    DeleteNetworkAclEntry { acl: NetworkAclId, direction: Direction, number: RuleNumber },
    /// Puts the subnet of an association behind another list of its VPC.
    ReplaceNetworkAclAssociation { association: AclAssociationId, acl: NetworkAclId },

    /// Creates an internet gateway, attached to nothing.
    CreateInternetGateway,
    /// Attaches it to a VPC that has none.
    AttachInternetGateway { gateway: InternetGatewayId, vpc: VpcId },
    /// Detaches it, once no interface of the VPC has a public address.
    DetachInternetGateway { gateway: InternetGatewayId, vpc: VpcId },
    /// Deletes it, once it is detached.
    DeleteInternetGateway { gateway: InternetGatewayId },

    /// Creates a virtual private gateway together with the line behind it; `beyond` is what the line
    /// announces. In EC2 that is CreateVpnGateway, then CreateVpnConnection or a virtual interface.
    CreateVpnGateway { line: Line, beyond: Vec<IpNet> },
    /// Attaches it to a VPC that has none.
    AttachVpnGateway { gateway: VpnGatewayId, vpc: VpcId },
    /// Detaches it: its propagated routes vanish, static routes to it become blackholes.
    DetachVpnGateway { gateway: VpnGatewayId, vpc: VpcId },
    /// Deletes it, once it is detached.
    DeleteVpnGateway { gateway: VpnGatewayId },
    /// From now on a table has the routes that the gateway announces.
    EnableVgwRoutePropagation { gateway: VpnGatewayId, table: RouteTableId },
    /// From now on it has them no more.
    DisableVgwRoutePropagation { gateway: VpnGatewayId, table: RouteTableId },

    /// Creates a gateway endpoint: each table gets a route to it for each prefix of the service.
    CreateVpcEndpoint {
        vpc: VpcId,
        service: String,
        prefixes: Vec<IpNet>,
        tables: Vec<RouteTableId>,
    },
    /// Adds tables to an endpoint and takes others away.
    ModifyVpcEndpoint { endpoint: EndpointId, add: Vec<RouteTableId>, remove: Vec<RouteTableId> },
    /// Deletes an endpoint; its routes go with it.
    DeleteVpcEndpoints { endpoint: EndpointId },

    /// Creates a NAT gateway: an interface in the subnet, with the public address.
    CreateNatGateway { subnet: SubnetId, allocation: AllocationId },
    /// Deletes it; the public address stays the account's.
    DeleteNatGateway { gateway: NatGatewayId },

    /// Gets the account a public address; without a wish, the next of the emulator's pool.
    AllocateAddress { address: Option<Ipv4Addr> },
    /// Lets a public address stand for a private one; without a wish, for the interface's primary.
    AssociateAddress { allocation: AllocationId, interface: InterfaceId, private: Option<Ipv4Addr> },
    /// Ends that.
    DisassociateAddress { association: AddressAssociationId },
    /// Gives up a public address that stands for nothing.
    ReleaseAddress { allocation: AllocationId },

    /// Puts a host outside the cloud beyond a gateway. The emulator's own: EC2 has no such call.
    PlaceOutsideHost { beyond: GatewayId, addresses: Vec<IpAddr> },
    /// Takes it away. The emulator's own.
    RemoveOutsideHost { host: InterfaceId },

    /// Records the traffic of a VPC, a subnet or an interface; one at a time.
    CreateFlowLogs { of: Watched, recording: Recording },
    /// Ends a flow log; what it has recorded stays.
    DeleteFlowLogs { log: FlowLogId },

    /// Sets tags on a resource; for a peering they are the caller's own.
    CreateTags { resource: ResourceId, tags: Vec<(String, String)> },
    /// Removes tags by key.
    DeleteTags { resource: ResourceId, keys: Vec<String> },

    /// Creates the egress-only internet gateway of a VPC that has none (`today`).
    CreateEgressOnlyInternetGateway { vpc: VpcId },
    /// Deletes it: routes to it become blackholes.
    DeleteEgressOnlyInternetGateway { gateway: EgressOnlyGatewayId },
}

impl Command {
    /// One instance with one new interface, which goes with it.
    pub fn run_instance(wanted: NewInterface) -> Command {
        let on_termination = OnTermination::Delete;
        let primary = InterfaceWish::New { wanted, on_termination };
        Command::RunInstances { count: NonZeroU16::MIN, primary, further: Vec::new() }
    }
}
