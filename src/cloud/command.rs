//! What can be asked of the cloud, under EC2's names.
//!
//! Holds the commands as values. Refuses to hold what becomes of them: each is decided beside its
//! noun (`vpc.rs`, `peering.rs`, ...). Front doors, fuzzers and model checkers all speak this type.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::account::{Region, Zone};
use super::event::ResourceId;
use super::instance::SourceDestCheck;
use super::quota::Quotas;
use super::route_table::RouteTarget;
use crate::base::id::*;

/// One request to the control plane. Applied whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields carry the names and meanings of the EC2 parameters")]
pub enum Command {
    /// Makes the caller's account known and sets its quotas. The emulator's own: EC2 has no such call.
    OpenAccount { quotas: Quotas },

    /// Creates a VPC in the caller's region, with its main route table.
    CreateVpc { cidr: Ipv4Net },
    /// Deletes an empty VPC; its own peerings go with it (vpc-semantics 2.5).
    DeleteVpc { vpc: VpcId },
    /// Adds a secondary IPv4 block or an IPv6 block (`today`).
    AssociateVpcCidrBlock { vpc: VpcId, block: IpNet },
    /// Removes a block that is not the primary one.
    DisassociateVpcCidrBlock { vpc: VpcId, block: IpNet },

    /// Creates a subnet; without a zone, in the region's first.
    CreateSubnet { vpc: VpcId, cidr: Ipv4Net, ipv6: Option<Ipv6Net>, zone: Option<Zone> },
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

    /// Starts one instance with one interface; without addresses it gets the lowest free ones.
    RunInstances {
        subnet: SubnetId,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
        source_dest_check: SourceDestCheck,
        /// None is the VPC's default group.
        groups: Vec<SecurityGroupId>,
    },
    /// Stops a running instance; its interface keeps its addresses.
    StopInstances { instance: InstanceId },
    /// Starts a stopped instance.
    StartInstances { instance: InstanceId },
    /// Ends an instance; its interfaces go with it.
    TerminateInstances { instance: InstanceId },
    /// Gives an interface further IPv4 addresses of its subnet.
    AssignPrivateIpAddresses { interface: InterfaceId, addresses: Vec<Ipv4Addr> },
    /// Switches an interface's source/destination check.
    ModifyNetworkInterfaceAttribute { interface: InterfaceId, source_dest_check: SourceDestCheck },

    /// Sets tags on a resource; for a peering they are the caller's own.
    CreateTags { resource: ResourceId, tags: Vec<(String, String)> },
    /// Removes tags by key.
    DeleteTags { resource: ResourceId, keys: Vec<String> },
}
