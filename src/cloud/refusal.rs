//! Why the cloud declined: one variant per rule, each with its exact EC2 error code.
//!
//! Holds values of the emulated world. Refuses to hold faults of a file (those are diagnostics) and
//! of this program (those are panics). A refused command has changed nothing.
//!
//! Codes and message templates: vpc-semantics 1.4, 2.2, 2.3, 6.7. Where AWS's answer is not known,
//! the variant says so.

mod code;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use thiserror::Error;

use super::event::ResourceId;
use super::flow_log::Watched;
use super::gateway::GatewayId;
use super::network_acl::RuleNumber;
use super::peering::{End, Status};
use super::quota::{Quota, Quotas};
use super::security_group::GroupRule;
use crate::base::id::*;

/// The cloud's answer to a command that breaks a rule. [`Refusal::code`] is the EC2 error code, the
/// `Display` form the message.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    // ---- it is not there, or not the caller's (one answer for both: invariant S11) ----------
    /// No such VPC for this caller in this region.
    #[error("The vpc ID '{0}' does not exist")]
    VpcNotFound(VpcId),
    /// No such subnet.
    #[error("The subnet ID '{0}' does not exist")]
    SubnetNotFound(SubnetId),
    /// No such route table.
    #[error("The routeTable ID '{0}' does not exist")]
    RouteTableNotFound(RouteTableId),
    /// No such association.
    #[error("The association ID '{0}' does not exist")]
    AssociationNotFound(AssociationId),
    /// No such peering, or no longer visible.
    #[error("The vpcPeeringConnection ID '{0}' does not exist")]
    PeeringNotFound(PeeringId),
    /// No such instance.
    #[error("The instance ID '{0}' does not exist")]
    InstanceNotFound(InstanceId),
    /// No such interface.
    #[error("The networkInterface ID '{0}' does not exist")]
    InterfaceNotFound(InterfaceId),
    /// No such security group, or one that the caller may not name.
    #[error("The security group '{0}' does not exist")]
    GroupNotFound(SecurityGroupId),
    /// No such prefix list.
    #[error("The prefix list ID '{0}' does not exist")]
    PrefixListNotFound(PrefixListId),
    /// No such network ACL.
    #[error("The networkAcl ID '{0}' does not exist")]
    AclNotFound(NetworkAclId),
    /// No such association of a network ACL.
    #[error("The association ID '{0}' does not exist")]
    AclAssociationNotFound(AclAssociationId),
    /// No such gateway or endpoint.
    #[error("The {noun} ID '{0}' does not exist", noun = noun(*.0))]
    GatewayNotFound(GatewayId),
    /// No such gateway to route to.
    #[error("The gateway ID '{0}' does not exist")]
    RouteGatewayNotFound(GatewayId),
    /// No such NAT gateway.
    #[error("The NAT gateway '{0}' does not exist")]
    NatGatewayNotFound(NatGatewayId),
    /// No such NAT gateway to route to.
    #[error("The natGateway ID '{0}' does not exist")]
    RouteNatGatewayNotFound(NatGatewayId),
    /// The account holds no such public address.
    #[error("The allocation ID '{0}' does not exist")]
    AllocationNotFound(AllocationId),
    /// No such association of a public address.
    #[error("The association ID '{0}' does not exist")]
    AddressAssociationNotFound(AddressAssociationId),
    /// The public address stands for nothing.
    #[error("Address {0} is not associated with anything")]
    AddressNotAssociated(Ipv4Addr),
    /// No such association of an IPv6 block with a subnet.
    #[error("The subnet CIDR block association ID '{0}' does not exist")]
    SubnetCidrAssociationNotFound(SubnetCidrAssociationId),
    /// No such attachment of an interface.
    #[error("An attachment with ID '{0}' does not exist")]
    AttachmentNotFound(AttachmentId),
    /// No such flow log.
    #[error("The flow log '{0}' does not exist")]
    FlowLogNotFound(FlowLogId),
    /// Nothing with this id can be tagged.
    #[error("The ID '{0}' is not valid")]
    ResourceNotFound(ResourceId),

    // ---- blocks -----------------------------------------------------------------------------
    /// A VPC's block is outside /16../28 (IPv6: not /56) or in a range no VPC may use.
    #[error("The CIDR '{0}' is invalid.")]
    VpcBlockInvalid(IpNet),
    /// A further block is in a range that the VPC's blocks rule out (1.2).
    #[error(
        "The CIDR '{0}' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, or use a publicly-routable CIDR."
    )]
    VpcBlockRestricted(IpNet),
    /// A further block shares addresses with one that the VPC has.
    #[error("The CIDR '{0}' conflicts with another block of the vpc")]
    VpcBlockConflict(IpNet),
    /// A further block would be equal to or larger than the destination of a route (1.2).
    #[error(
        "The CIDR '{block}' is equal to or larger than the destination {route} of an existing route"
    )]
    VpcBlockCoversRoute {
        /// The block asked for.
        block: IpNet,
        /// The route's destination.
        route: IpNet,
    },
    /// The requester may add no block while its request is pending (1.2).
    /// AWS's code is not known; `OperationNotPermitted` is a choice.
    #[error(
        "The vpc '{vpc}' has requested the peering {peering}: no CIDR block can be added until it is answered"
    )]
    VpcBlockWhilePending {
        /// The requester's VPC.
        vpc: VpcId,
        /// The pending peering.
        peering: PeeringId,
    },
    /// A further block overlaps the other VPC of an accepted peering (1.2).
    #[error("The CIDR '{block}' overlaps a CIDR of the peer vpc of {peering}")]
    VpcBlockOverlapsPeer {
        /// The block asked for.
        block: IpNet,
        /// The active peering.
        peering: PeeringId,
    },
    /// The block is not one of the VPC's secondary blocks, or still has subnets.
    #[error(
        "The CIDR '{0}' cannot be disassociated: it is the primary block, unknown, or has subnets"
    )]
    VpcBlockNotRemovable(IpNet),
    /// A subnet's block is not /16../28 (IPv6: /64) or lies in no block of the VPC.
    #[error("The CIDR '{0}' is invalid.")]
    SubnetBlockInvalid(IpNet),
    /// A subnet's block overlaps another subnet.
    #[error("The CIDR '{0}' conflicts with another subnet")]
    SubnetBlockConflict(IpNet),
    /// The account has a default VPC in the region.
    #[error("A Default VPC already exists for this account in this region: {0}")]
    DefaultVpcExists(VpcId),
    /// The subnet has an IPv6 block, and can have one. AWS's code is not known;
    /// `Resource.AlreadyAssociated` is a choice.
    #[error("The subnet '{0}' has an IPv6 CIDR block already")]
    SubnetHasIpv6(SubnetId),
    /// The subnet has no IPv6 block to take an address from. AWS's code is not known;
    /// `InvalidParameterValue` is a choice.
    #[error("The subnet '{0}' has no IPv6 CIDR block")]
    SubnetWithoutIpv6(SubnetId),
    /// The zone is not one of the region.
    #[error("The availability zone '{0}' does not exist in this region")]
    ZoneNotFound(String),

    // ---- addresses --------------------------------------------------------------------------
    /// The address is not one the subnet can give out: outside it, or reserved.
    #[error("Address {0} does not fall within the subnet's usable address range")]
    AddressNotInSubnet(IpAddr),
    /// The address belongs to another interface.
    #[error("Address {0} is in use.")]
    AddressInUse(IpAddr),
    /// The address is not one that an account can hold on the internet.
    #[error("Address {0} is not a public address")]
    AddressNotPublic(IpAddr),
    /// The private address is not one of the interface.
    #[error("Address {address} is not assigned to {interface}")]
    AddressNotOfInterface {
        /// The interface.
        interface: InterfaceId,
        /// The address asked for.
        address: IpAddr,
    },
    /// An interface keeps its primary private address as long as it lives.
    #[error("Address {0} is the primary address of the interface and cannot be unassigned")]
    PrimaryAddressStays(IpAddr),
    /// The public address, or the private one, has its counterpart already.
    #[error("resource {0} is already associated with an address")]
    AddressAlreadyAssociated(String),
    /// The emulator's pool of public addresses is used up.
    #[error("There are not enough addresses available to satisfy the request.")]
    NoPublicAddressLeft,
    /// A host outside the cloud cannot have this address where it is to live (the emulator's own).
    #[error("A host beyond {beyond} cannot have the address {address}")]
    AddressNotBeyond {
        /// Where it is to live.
        beyond: GatewayId,
        /// The address.
        address: IpAddr,
    },
    /// No address is left.
    #[error(
        "There are not enough free addresses in subnet '{0}' to satisfy the requested number of instances."
    )]
    SubnetFull(SubnetId),

    // ---- dependencies -----------------------------------------------------------------------
    /// The VPC still has more than it was born with, or a pending request of another account.
    #[error("The vpc '{0}' has dependencies and cannot be deleted.")]
    VpcInUse(VpcId),
    /// The subnet still has interfaces.
    #[error("The subnet '{0}' has dependencies and cannot be deleted.")]
    SubnetInUse(SubnetId),
    /// The table is a main table or has associations.
    #[error("The routeTable '{0}' has dependencies and cannot be deleted.")]
    RouteTableInUse(RouteTableId),

    /// An interface has the group, or another group of its VPC names it.
    #[error("resource {0} has a dependent object")]
    GroupInUse(SecurityGroupId),
    /// A group's rule names the list. AWS's code is not known; `DependencyViolation` is a choice.
    #[error("resource {0} has a dependent object")]
    PrefixListInUse(PrefixListId),
    /// The list still guards a subnet.
    #[error("The networkAcl '{0}' has dependencies and cannot be deleted.")]
    AclInUse(NetworkAclId),

    // ---- instances and interfaces -----------------------------------------------------------
    /// The instance has ended.
    #[error("The instance '{instance}' is not in a state from which it can be {action}.")]
    InstanceState {
        /// The instance.
        instance: InstanceId,
        /// What was asked.
        action: &'static str,
    },
    /// The interface belongs to somebody.
    #[error("Network interface '{0}' is currently in use.")]
    InterfaceInUse(InterfaceId),
    /// The interface belongs to nobody, so it has no attachment to change. AWS's code is not known;
    /// `InvalidParameterValue` is a choice.
    #[error("Network interface '{0}' is not attached to an instance")]
    InterfaceNotAttached(InterfaceId),
    /// The primary interface stays as long as its instance.
    #[error("The network interface at device index 0 cannot be detached: {0}")]
    PrimaryInterfaceStays(AttachmentId),
    /// The place is taken. AWS's code is not known; `InvalidParameterValue` is a choice.
    #[error("Instance '{instance}' already has an interface attached at device index '{device}'.")]
    DeviceTaken {
        /// The instance.
        instance: InstanceId,
        /// The place.
        device: u8,
    },
    /// One place, two interfaces.
    #[error("Each network interface requires a unique device index: {0} is given twice")]
    DeviceNamedTwice(u8),
    /// An instance and its interfaces are in one VPC and one zone.
    #[error(
        "You may not attach a network interface to an instance of another network or availability zone"
    )]
    InterfaceElsewhere,
    /// More interfaces than an instance can have.
    #[error("Interface count exceeds the limit of the instance")]
    TooManyInterfaces,
    /// More instances than one request may ask for (the emulator's own bound).
    #[error("You have requested more instances than your limit of {0} in one request")]
    TooManyInstances(u16),
    /// What only one instance can have was asked for several.
    #[error(
        "Network interfaces and addresses of your choice cannot be given to more than one instance"
    )]
    ForOneInstance,

    // ---- security groups and prefix lists -----------------------------------------------------
    /// The group is the caller's, but of a VPC whose groups cannot be used here.
    #[error(
        "You have specified two resources that belong to different networks: '{0}' is of another vpc"
    )]
    GroupOfOtherVpc(SecurityGroupId),
    /// The VPC has a group of this name.
    #[error("The security group '{0}' already exists for this vpc")]
    GroupNameTaken(String),
    /// Only the group that a VPC is born with is called that.
    #[error("The security group name '{0}' is reserved")]
    GroupNameReserved(String),
    /// The name is empty, too long, begins like an id, or has a character that names may not have.
    #[error("Value ({0}) for parameter GroupName is invalid")]
    GroupNameInvalid(String),
    /// The default group stays as long as its VPC.
    #[error("the specified group '{0}' is a default group and cannot be deleted by a user")]
    DefaultGroupStays(SecurityGroupId),
    /// The group has this rule, or the request has it twice.
    #[error("the specified rule \"{0}\" already exists")]
    RuleExists(GroupRule),
    /// The group has no such rule.
    #[error("The specified rule \"{0}\" does not exist in this security group")]
    RuleNotFound(GroupRule),
    /// An interface has at least one group. AWS's code is not known; `MissingParameter` is a choice.
    #[error("You must specify at least one security group")]
    NoGroups,
    /// The interface belongs to a gateway and is not the caller's to change.
    #[error("You do not have permission to change the network interface '{0}'")]
    InterfaceManaged(InterfaceId),
    /// The prefix list has no such entry to remove. AWS's code is not known;
    /// `InvalidParameterValue` is a choice.
    #[error("The prefix list '{list}' has no entry {entry}")]
    PrefixListEntryNotFound {
        /// The list.
        list: PrefixListId,
        /// The entry.
        entry: IpNet,
    },

    // ---- network ACLs -------------------------------------------------------------------------
    /// The number is taken.
    #[error("The network acl entry identified by {0} already exists.")]
    AclEntryExists(RuleNumber),
    /// Nothing has this number.
    #[error("The network acl entry identified by {0} does not exist.")]
    AclEntryNotFound(RuleNumber),
    /// The default list stays as long as its VPC.
    #[error("cannot delete default network ACL {0}")]
    DefaultAclStays(NetworkAclId),
    /// List and subnet are of two VPCs.
    #[error("network ACL {acl} and subnet {subnet} belong to different networks")]
    AclOfOtherVpc {
        /// The list.
        acl: NetworkAclId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// The gateway is attached to a VPC.
    #[error("The {noun} '{0}' has dependencies and cannot be deleted.", noun = noun(*.0))]
    GatewayInUse(GatewayId),
    /// Interfaces of the VPC have public addresses.
    #[error(
        "Network {0} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway."
    )]
    PublicAddressesMapped(VpcId),

    // ---- gateways ---------------------------------------------------------------------------
    /// The internet gateway is attached already.
    #[error("resource {gateway} is already attached to network {vpc}")]
    GatewayAlreadyAttached {
        /// The gateway.
        gateway: GatewayId,
        /// The VPC that it is attached to.
        vpc: VpcId,
    },
    /// The VPC has an internet gateway.
    #[error("Network {0} already has an internet gateway attached")]
    VpcHasInternetGateway(VpcId),
    /// The VPC has an egress-only internet gateway. The code is a choice.
    #[error("Network {0} already has an egress-only internet gateway attached")]
    VpcHasEgressOnlyGateway(VpcId),
    /// The VPC has a virtual private gateway.
    #[error("Network {0} already has a virtual private gateway attached")]
    VpcHasVpnGateway(VpcId),
    /// The gateway is not attached to this VPC.
    #[error("resource {gateway} is not attached to network {vpc}")]
    GatewayNotAttached {
        /// The gateway.
        gateway: GatewayId,
        /// The VPC.
        vpc: VpcId,
    },
    /// A table can learn routes only from the gateway that is attached to its VPC.
    #[error("{gateway} is not attached to the network of route table {table}")]
    PropagationNotAttached {
        /// The gateway.
        gateway: VpnGatewayId,
        /// The table.
        table: RouteTableId,
    },
    /// The VPC has no way to the internet, so a public address would lead nowhere.
    #[error("Network {0} is not attached to any internet gateway")]
    NoInternetGateway(VpcId),
    /// The virtual private gateway can't be deleted while it is attached.
    #[error("The vpnGateway '{0}' is in an incorrect state: it is attached")]
    VpnGatewayAttached(VpnGatewayId),
    /// What a line announces, or a service has, cannot be routed: reserved, or (of a service) nothing.
    #[error("The prefixes of {0} are not valid")]
    PrefixesInvalid(String),

    // ---- routes and tables ------------------------------------------------------------------
    /// The destination has a route.
    #[error("The route identified by {0} already exists.")]
    RouteExists(IpNet),
    /// The destination has no route to delete.
    #[error("no route with destination-cidr-block {destination} in route table {table}")]
    RouteNotFound {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
    },
    /// The destination has no route to replace.
    #[error(
        "There is no route defined for '{destination}' in the route table {table}. Use CreateRoute instead."
    )]
    RouteToReplaceNotFound {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
    },
    /// Local routes stay.
    #[error("cannot remove local route {destination} in route table {table}")]
    LocalRouteStays {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
    },
    /// The destination is equal to or inside a block of the table's VPC.
    #[error(
        "The destination CIDR block {0} is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface or an instance."
    )]
    RouteInsideLocal(IpNet),
    /// More specific than local needs a whole subnet as destination; equal to local is no better.
    #[error(
        "The destination CIDR block {0} is equal to or more specific than one of this VPC's CIDR blocks and is not the block of a subnet of this VPC."
    )]
    RouteInsideLocalNotSubnet(IpNet),
    /// The destination is reserved by the cloud.
    #[error("The destination CIDR block {0} is reserved and cannot be routed.")]
    RouteReserved(IpNet),
    /// The target is of another VPC.
    #[error("route table {table} and network gateway {target} belong to different networks")]
    RouteTargetOfOtherVpc {
        /// The table.
        table: RouteTableId,
        /// The target's id.
        target: String,
    },
    /// Routes to an endpoint follow from the endpoint's tables; nobody sets them.
    #[error("cannot set a route to {0}: its routes follow from its route tables")]
    RouteToEndpoint(GatewayId),
    /// An egress-only internet gateway carries IPv6 only.
    #[error("Route destination {0} is not supported for egress-only internet gateways")]
    RouteToEgressOnlyNotIpv6(IpNet),
    /// Table and endpoint are of two VPCs.
    #[error("route table {table} and endpoint vpc {vpc} belong to different networks")]
    EndpointOfOtherVpc {
        /// The table.
        table: RouteTableId,
        /// The endpoint's VPC.
        vpc: VpcId,
    },
    /// Table and subnet are of two VPCs.
    #[error("route table {table} and subnet {subnet} belong to different networks")]
    AssociationOfOtherVpc {
        /// The table.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// The subnet has an explicit association already.
    #[error(
        "the specified association for route table {table} conflicts with an existing association of subnet {subnet}"
    )]
    AlreadyAssociated {
        /// The table asked for.
        table: RouteTableId,
        /// The subnet.
        subnet: SubnetId,
    },
    /// The main association can be replaced, not removed.
    #[error("cannot disassociate the main route table association {0}")]
    MainAssociationStays(AssociationId),

    // ---- peerings ---------------------------------------------------------------------------
    /// A VPC cannot peer with itself. AWS's answer is not known (2.3, row 8).
    #[error("The vpc '{0}' cannot be peered with itself")]
    PeeringWithItself(VpcId),
    /// The pair has a peering; `seed` counts requests too, whichever side asked.
    #[error("The vpc peering connection identified by {0} already exists.")]
    PeeringExists(PeeringId),
    /// The state of the peering rules the action out.
    #[error("Invalid state transition for {peering}, attempted to transition from {from} to {to}")]
    PeeringState {
        /// The peering.
        peering: PeeringId,
        /// Its status.
        from: Status,
        /// The status that the action leads to.
        to: Status,
    },
    /// The caller is a party, but this is the other party's to do.
    #[error("User {account} cannot {action} peering {peering}")]
    PeeringNotYours {
        /// The caller.
        account: AccountId,
        /// What it wanted.
        action: &'static str,
        /// The peering.
        peering: PeeringId,
    },
    /// Right account, wrong region.
    #[error(
        "Incorrect region ({asked}) specified for this request. VPC peering connection {peering} must be {answers} in region {expected}"
    )]
    PeeringRegion {
        /// The peering.
        peering: PeeringId,
        /// What can be done there.
        answers: &'static str,
        /// Where it was asked.
        asked: String,
        /// Where it must be asked.
        expected: String,
    },

    /// The options of a side are its owner's to set, in the region of its VPC (2.2).
    #[error(
        "User {account} in region {region} does not have permission to modify the {} side options of peering {peering}",
        end.name()
    )]
    PeeringSideNotYours {
        /// The peering.
        peering: PeeringId,
        /// The side that is not the caller's.
        end: End,
        /// The caller.
        account: AccountId,
        /// Where it asked.
        region: String,
    },
    /// Options can be set while the peering is active (2.2).
    #[error("The options of {0} cannot be modified: the peering connection is not active")]
    PeeringNotActive(PeeringId),
    /// One of the two VPCs has DNS support or DNS hostnames off; which one, the message does not say,
    /// since it may be the other party's (invariant S11).
    #[error("DNS resolution over {0} needs DNS support and DNS hostnames in both VPCs")]
    PeeringNeedsDnsHostnames(PeeringId),

    // ---- attributes of a VPC ------------------------------------------------------------------
    /// DNS hostnames need DNS support. AWS's code is not known; `InvalidParameterValue` is a choice.
    #[error("The vpc '{0}' cannot have DNS hostnames while its DNS support is disabled")]
    DnsHostnamesNeedSupport(VpcId),

    // ---- the rest ---------------------------------------------------------------------------
    /// The parameter did not exist under this profile.
    #[error("The parameter {0} is not recognized")]
    UnknownParameter(&'static str),
    /// A quota is used up.
    #[error("The maximum of {limit} has been reached ({})", quota.name())]
    QuotaExceeded {
        /// Which one.
        quota: Quota,
        /// Its value for the account concerned.
        limit: usize,
    },
    /// Two quotas together are more than AWS grants (1.4). The emulator's own: EC2 has no such call.
    #[error(
        "{groups} groups of an interface with {rules} rules each: at most {} groups and {} rules in all",
        Quotas::GROUPS_PER_INTERFACE_MAX,
        Quotas::RULES_PER_INTERFACE_MAX
    )]
    QuotaNotGranted {
        /// Groups of an interface.
        groups: usize,
        /// Rules of a group.
        rules: usize,
    },
    /// The other party's VPC has as many active peerings as it may. How many that is, is not this
    /// caller's to know (invariant S11).
    #[error("The peer vpc of {0} has reached its maximum of active peering connections")]
    PeerQuotaExceeded(PeeringId),
    /// What is watched has a flow log with the same traffic type, interval and format.
    #[error("A flow log with the specified configuration already exists on '{0}'")]
    FlowLogExists(Watched),
    /// What is watched has as many flow logs as it may; the limit cannot be adjusted.
    #[error("The maximum number of flow logs on '{0}' has been reached")]
    TooManyFlowLogs(Watched),
    /// More than fifty tags on one resource.
    #[error("The maximum number of tags has been reached")]
    TooManyTags,
    /// A tag's key or value is too long, empty, or uses the reserved prefix.
    #[error("The tag key or value '{0}' is not valid")]
    InvalidTag(String),
}

/// What EC2 calls this kind of gateway in its messages.
const fn noun(gateway: GatewayId) -> &'static str {
    match gateway {
        GatewayId::Internet(_) => "internetGateway",
        GatewayId::Vpn(_) => "vpnGateway",
        GatewayId::Endpoint(_) => "vpcEndpoint",
        GatewayId::EgressOnly(_) => "egressOnlyInternetGateway",
    }
}
