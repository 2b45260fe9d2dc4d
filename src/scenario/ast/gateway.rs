//! Gateways and what lies beyond them: declared ones, and the actions of steps about them.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::IpNet;

use super::{AccountRef, Label, Link, SubnetRef, TableRef, VpcRef};
use crate::base::diag::Spanned;
use crate::cloud::account::Region;
use crate::cloud::gateway::Line;

/// A declared gateway.
#[derive(Clone, PartialEq, Debug)]
pub struct Gateway {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// What it is.
    pub kind: GatewayKind,
    /// What crosses it goes through, each direction by itself. Left empty by a NAT gateway.
    pub link: Link,
}

/// What a declared gateway is.
#[derive(Clone, PartialEq, Debug)]
pub enum GatewayKind {
    /// An internet gateway.
    Internet {
        /// The VPC that it is attached to.
        vpc: Spanned<VpcRef>,
    },
    /// An egress-only internet gateway.
    EgressOnly {
        /// Its VPC.
        vpc: Spanned<VpcRef>,
    },
    /// A virtual private gateway with the line behind it.
    Vpn {
        /// The line.
        line: Line,
        /// The VPC that it is attached to.
        vpc: Spanned<VpcRef>,
        /// The blocks that the line announces, as written.
        on_premises: Vec<Spanned<IpNet>>,
        /// The tables to which they propagate.
        propagate_to: Vec<Spanned<TableRef>>,
    },
    /// A NAT gateway.
    Nat {
        /// The subnet that its interface is in.
        subnet: Spanned<SubnetRef>,
        /// Its public address.
        public_ip: PublicIp,
    },
    /// A gateway endpoint.
    Endpoint {
        /// Its VPC.
        vpc: Spanned<VpcRef>,
        /// The service, and where it is.
        service: Service,
        /// The tables that get its routes.
        route_tables: Vec<Spanned<TableRef>>,
    },
}

/// A service that an endpoint leads to.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// What it is called.
    pub name: Spanned<Label>,
    /// Its blocks as written, at least one.
    pub cidrs: Vec<Spanned<IpNet>>,
}

/// Which public address something gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PublicIp {
    /// The next one of the cloud's.
    #[default]
    Auto,
    /// This one.
    Address(Ipv4Addr),
}

impl PublicIp {
    /// The address that is asked for.
    pub const fn wanted(self) -> Option<Ipv4Addr> {
        match self {
            PublicIp::Auto => None,
            PublicIp::Address(address) => Some(address),
        }
    }
}

/// A text that says no public address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAPublicIp;

impl FromStr for PublicIp {
    type Err = NotAPublicIp;

    fn from_str(text: &str) -> Result<PublicIp, NotAPublicIp> {
        match text {
            "auto" => Ok(PublicIp::Auto),
            _ => text.parse().map(PublicIp::Address).map_err(|_| NotAPublicIp),
        }
    }
}

/// A host outside the cloud, declared or placed by a step.
#[derive(Clone, PartialEq, Debug)]
pub struct OutsideHost {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// Its addresses, at least one.
    pub addresses: Vec<Spanned<IpAddr>>,
    /// The gateway to which it hands its packets.
    pub beyond: Spanned<Label>,
    /// The TCP ports that it serves.
    pub listen: Vec<Spanned<u16>>,
}

/// What a step does to gateways, public addresses and hosts outside the cloud.
#[derive(Clone, PartialEq, Debug)]
pub enum GatewayAction {
    /// `create-internet-gateway`.
    CreateInternetGateway(NewOwned),
    /// `attach-internet-gateway`.
    AttachInternetGateway(Attachment),
    /// `detach-internet-gateway`.
    DetachInternetGateway(Attachment),
    /// `delete-internet-gateway`.
    DeleteInternetGateway(Spanned<Label>),
    /// `create-egress-only-internet-gateway`.
    CreateEgressOnlyGateway(CreateEgressOnlyGateway),
    /// `delete-egress-only-internet-gateway`.
    DeleteEgressOnlyGateway(Spanned<Label>),
    /// `create-vpn-gateway`.
    CreateVpnGateway(CreateVpnGateway),
    /// `attach-vpn-gateway`.
    AttachVpnGateway(Attachment),
    /// `detach-vpn-gateway`.
    DetachVpnGateway(Attachment),
    /// `delete-vpn-gateway`.
    DeleteVpnGateway(Spanned<Label>),
    /// `enable-vgw-route-propagation`.
    EnablePropagation(Propagation),
    /// `disable-vgw-route-propagation`.
    DisablePropagation(Propagation),
    /// `create-vpc-endpoint`.
    CreateVpcEndpoint(CreateVpcEndpoint),
    /// `modify-vpc-endpoint`.
    ModifyVpcEndpoint(ModifyVpcEndpoint),
    /// `delete-vpc-endpoint`.
    DeleteVpcEndpoint(Spanned<Label>),
    /// `create-nat-gateway`.
    CreateNatGateway(CreateNatGateway),
    /// `delete-nat-gateway`.
    DeleteNatGateway(Spanned<Label>),
    /// `allocate-address`.
    AllocateAddress(AllocateAddress),
    /// `associate-address`.
    AssociateAddress(AssociateAddress),
    /// `disassociate-address`.
    DisassociateAddress(Spanned<Label>),
    /// `release-address`.
    ReleaseAddress(Spanned<Label>),
    /// `place-outside-host`.
    PlaceOutsideHost(OutsideHost),
    /// `remove-outside-host`.
    RemoveOutsideHost(Spanned<Label>),
}

/// A new resource that belongs to an account and not to a VPC.
#[derive(Clone, PartialEq, Debug)]
pub struct NewOwned {
    /// What the file calls it.
    pub name: Spanned<Label>,
    /// Its owner; `None` is whoever asks by `as`, else the file's only account.
    pub account: Option<Spanned<AccountRef>>,
    /// Its region; `None` is `us-east-1`.
    pub region: Option<Spanned<Region>>,
}

/// `create-egress-only-internet-gateway`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateEgressOnlyGateway {
    /// What the file calls it.
    pub name: Spanned<Label>,
    /// Its VPC.
    pub vpc: Spanned<VpcRef>,
}

/// A gateway and a VPC.
#[derive(Clone, PartialEq, Debug)]
pub struct Attachment {
    /// The gateway.
    pub gateway: Spanned<Label>,
    /// The VPC.
    pub vpc: Spanned<VpcRef>,
}

/// `create-vpn-gateway`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateVpnGateway {
    /// Name and owner.
    pub new: NewOwned,
    /// The line behind it.
    pub line: Line,
    /// The blocks that the line announces, as written.
    pub on_premises: Vec<Spanned<IpNet>>,
}

/// A virtual private gateway and a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Propagation {
    /// The gateway.
    pub gateway: Spanned<Label>,
    /// The table.
    pub table: Spanned<TableRef>,
}

/// `create-vpc-endpoint`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateVpcEndpoint {
    /// What the file calls it.
    pub name: Spanned<Label>,
    /// Its VPC.
    pub vpc: Spanned<VpcRef>,
    /// The service, and where it is.
    pub service: Service,
    /// The tables that get its routes.
    pub route_tables: Vec<Spanned<TableRef>>,
}

/// `modify-vpc-endpoint`.
#[derive(Clone, PartialEq, Debug)]
pub struct ModifyVpcEndpoint {
    /// The endpoint.
    pub endpoint: Spanned<Label>,
    /// Tables that get its routes from now on.
    pub add: Vec<Spanned<TableRef>>,
    /// Tables that have them no more.
    pub remove: Vec<Spanned<TableRef>>,
}

/// `create-nat-gateway`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateNatGateway {
    /// What the file calls it.
    pub name: Spanned<Label>,
    /// The subnet that its interface is in.
    pub subnet: Spanned<SubnetRef>,
    /// Its public address.
    pub address: Spanned<Label>,
}

/// `allocate-address`.
#[derive(Clone, PartialEq, Debug)]
pub struct AllocateAddress {
    /// Name and owner.
    pub new: NewOwned,
    /// Which address.
    pub ip: PublicIp,
}

/// `associate-address`.
#[derive(Clone, PartialEq, Debug)]
pub struct AssociateAddress {
    /// The public address.
    pub address: Spanned<Label>,
    /// The instance for which it is to stand.
    pub instance: Spanned<Label>,
    /// For which of its addresses; `None` is the primary one.
    pub private_ip: Option<Spanned<Ipv4Addr>>,
}
