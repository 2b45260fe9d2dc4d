//! What a step does: commands to the cloud under their EC2 names, and traffic.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use super::{
    AccountRef, Destination, Filter, GatewayAction, Instance, Label, NameRef, NamedTableRef,
    PeeringRef, SubnetRef, TableRef, TargetRef, VpcRef,
};
use crate::base::diag::Spanned;
use crate::base::time::Span;
use crate::base::units::PacketRate;
use crate::cloud::account::{Region, Zone};
use crate::cloud::dns::Switch;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::peering::End;
use crate::wire::Family;

/// What a step does.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// `request-peering` (`CreateVpcPeeringConnection`).
    RequestPeering(RequestPeering),
    /// `accept-peering`.
    AcceptPeering(Spanned<PeeringRef>),
    /// `reject-peering`.
    RejectPeering(Spanned<PeeringRef>),
    /// `delete-peering`.
    DeletePeering(Spanned<PeeringRef>),
    /// `modify-peering-options`.
    ModifyPeeringOptions(ModifyPeeringOptions),
    /// `describe-peering`: changes nothing, for an expected state.
    DescribePeering(Spanned<PeeringRef>),
    /// `create-vpc`.
    CreateVpc(CreateVpc),
    /// `delete-vpc`.
    DeleteVpc(Spanned<VpcRef>),
    /// `associate-vpc-cidr-block`.
    AssociateVpcCidrBlock(CidrOfVpc),
    /// `disassociate-vpc-cidr-block`.
    DisassociateVpcCidrBlock(CidrOfVpc),
    /// `modify-vpc-attribute`.
    ModifyVpcAttribute(ModifyVpcAttribute),
    /// `create-subnet`.
    CreateSubnet(CreateSubnet),
    /// `delete-subnet`.
    DeleteSubnet(Spanned<SubnetRef>),
    /// `create-route-table`.
    CreateRouteTable(CreateRouteTable),
    /// `delete-route-table`.
    DeleteRouteTable(Spanned<NamedTableRef>),
    /// `associate-route-table`.
    AssociateRouteTable(AssociateRouteTable),
    /// `disassociate-route-table`: the subnet goes back to the main table.
    DisassociateRouteTable(Spanned<SubnetRef>),
    /// `replace-main-route-table`.
    ReplaceMainRouteTable(Spanned<NamedTableRef>),
    /// `create-route`.
    CreateRoute(SetRoute),
    /// `replace-route`.
    ReplaceRoute(SetRoute),
    /// `delete-route`.
    DeleteRoute(RouteKey),
    /// `describe-route`: changes nothing, for an expected state.
    DescribeRoute(RouteKey),
    /// `run-instance`.
    RunInstance(Instance),
    /// `stop-instance`.
    StopInstance(Spanned<Label>),
    /// `start-instance`.
    StartInstance(Spanned<Label>),
    /// `terminate-instance`.
    TerminateInstance(Spanned<Label>),
    /// `modify-source-dest-check`.
    ModifySourceDestCheck(ModifySourceDestCheck),
    /// `resolve`: changes nothing.
    Resolve(Resolve),
    /// About security groups, prefix lists and network ACLs.
    Filter(Filter),
    /// One about gateways, public addresses or hosts outside the cloud.
    Gateway(GatewayAction),
    /// `ping`.
    Ping(Ping),
    /// `udp`.
    Udp(Udp),
    /// `tcp`.
    Tcp(Tcp),
    /// `send`.
    Send(SendBytes),
    /// `replay`.
    Replay(Replay),
    /// `flows`.
    Flows(Flows),
    /// `wait`.
    Wait(Spanned<Span>),
}

/// `request-peering`.
#[derive(Clone, PartialEq, Debug)]
pub struct RequestPeering {
    /// What the file calls the new peering.
    pub name: Spanned<Label>,
    /// The VPC that asks.
    pub requester: Spanned<VpcRef>,
    /// The VPC that is asked; any id, also of a VPC that does not exist.
    pub accepter: Spanned<VpcRef>,
    /// The account named as the accepter's owner; `None` is the true one.
    pub peer_owner: Option<Spanned<AccountRef>>,
    /// The region named as the accepter's; `None` is the true one.
    pub peer_region: Option<Spanned<Region>>,
}

/// `modify-peering-options` (`ModifyVpcPeeringConnectionOptions`).
#[derive(Clone, PartialEq, Debug)]
pub struct ModifyPeeringOptions {
    /// The peering.
    pub peering: Spanned<PeeringRef>,
    /// Whether private addresses of the side's VPC resolve in the other from now on.
    pub dns_from_peer: Switch,
    /// The side; `None` is every side of whoever asks.
    pub side: Option<End>,
}

/// `create-vpc`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateVpc {
    /// What the file calls the new VPC.
    pub name: Spanned<Label>,
    /// Its primary IPv4 block as written.
    pub cidr: Spanned<Ipv4Net>,
    /// Its owner; `None` is whoever asks by `as`, else the file's only account.
    pub account: Option<Spanned<AccountRef>>,
    /// Its region; `None` is `us-east-1`.
    pub region: Option<Spanned<Region>>,
}

/// A block to associate with a VPC or to take from it.
#[derive(Clone, PartialEq, Debug)]
pub struct CidrOfVpc {
    /// The VPC.
    pub vpc: Spanned<VpcRef>,
    /// The block as written.
    pub cidr: Spanned<IpNet>,
}

/// `modify-vpc-attribute` (`ModifyVpcAttribute`, once for each attribute); at least one is given.
#[derive(Clone, PartialEq, Debug)]
pub struct ModifyVpcAttribute {
    /// The VPC.
    pub vpc: Spanned<VpcRef>,
    /// Whether it has a resolver from now on; `None` leaves it as it is.
    pub dns_support: Option<Switch>,
    /// Whether its instances have hostnames from now on; `None` leaves it as it is.
    pub dns_hostnames: Option<Switch>,
}

/// `create-subnet`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateSubnet {
    /// The VPC.
    pub vpc: Spanned<VpcRef>,
    /// What the VPC calls the new subnet.
    pub name: Spanned<Label>,
    /// Its IPv4 block as written.
    pub cidr: Spanned<Ipv4Net>,
    /// Its IPv6 block as written.
    pub ipv6: Option<Spanned<Ipv6Net>>,
    /// Its availability zone; `None` is zone `a` of the region.
    pub az: Option<Spanned<Zone>>,
}

/// `create-route-table`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateRouteTable {
    /// The VPC.
    pub vpc: Spanned<VpcRef>,
    /// What the VPC calls the new table.
    pub name: Spanned<Label>,
}

/// `associate-route-table`.
#[derive(Clone, PartialEq, Debug)]
pub struct AssociateRouteTable {
    /// The table.
    pub table: Spanned<NamedTableRef>,
    /// The subnet that is to use it.
    pub subnet: Spanned<SubnetRef>,
}

/// A route of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct RouteKey {
    /// The table.
    pub table: Spanned<TableRef>,
    /// The destination block as written.
    pub destination: Spanned<IpNet>,
}

/// `create-route` and `replace-route`.
#[derive(Clone, PartialEq, Debug)]
pub struct SetRoute {
    /// Which route.
    pub route: RouteKey,
    /// Where matching packets go from now on.
    pub target: Spanned<TargetRef>,
}

/// `modify-source-dest-check` (`ModifyNetworkInterfaceAttribute`).
#[derive(Clone, PartialEq, Debug)]
pub struct ModifySourceDestCheck {
    /// The instance.
    pub instance: Spanned<Label>,
    /// What its interface does from now on.
    pub value: SourceDestCheck,
}

/// `resolve`: an instance asks the resolver of its VPC for the address of a name.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolve {
    /// The instance that asks.
    pub from: Spanned<Label>,
    /// The name.
    pub name: Spanned<NameRef>,
}

/// `ping`: ICMP echo requests.
#[derive(Clone, PartialEq, Debug)]
pub struct Ping {
    /// The instance or outside host that sends.
    pub from: Spanned<Label>,
    /// The targets, at least one; more than one only if the file gives a list.
    pub to: Vec<Spanned<Destination>>,
    /// The source address, if it is not the instance's own.
    pub source: Option<Spanned<IpAddr>>,
    /// Requests to each target.
    pub count: NonZeroU32,
    /// Time between two requests to one target.
    pub interval: Span,
    /// Payload in bytes, at most 65507.
    pub size: u16,
    /// Whether routers may cut the requests up (IPv4). Answers are never to be cut.
    pub fragment: Toggle,
    /// The family if `to` is an instance; an address is of its own family. `None` is that of
    /// the address, and IPv4 for an instance.
    pub family: Option<Spanned<Family>>,
}

/// `udp`: datagrams.
#[derive(Clone, PartialEq, Debug)]
pub struct Udp {
    /// The instance or outside host that sends.
    pub from: Spanned<Label>,
    /// The target.
    pub to: Spanned<Destination>,
    /// The source address, if it is not the instance's own.
    pub source: Option<Spanned<IpAddr>>,
    /// Destination port.
    pub port: u16,
    /// Source port.
    pub source_port: u16,
    /// Payload in bytes, at most 65507.
    pub size: u16,
    /// As in [`Ping`].
    pub fragment: Toggle,
    /// Datagrams.
    pub count: NonZeroU32,
    /// Time between two datagrams.
    pub interval: Span,
    /// Whether the target sends each back.
    pub answer: Toggle,
    /// As in [`Ping`].
    pub family: Option<Spanned<Family>>,
}

/// `tcp`: one connection, which is opened, carries data to the target, and is closed.
#[derive(Clone, PartialEq, Debug)]
pub struct Tcp {
    /// The instance or outside host that connects.
    pub from: Spanned<Label>,
    /// The target.
    pub to: Spanned<Destination>,
    /// Destination port.
    pub port: u16,
    /// Source port; `None` is the next of those that the emulator hands out.
    pub source_port: Option<u16>,
    /// Bytes to send.
    pub bytes: u64,
    /// How long it tries to connect.
    pub timeout: Span,
    /// As in [`Ping`].
    pub family: Option<Spanned<Family>>,
    /// Whether the next step starts at once.
    pub background: Toggle,
}

/// A thing that is done or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Toggle {
    /// It is not done.
    #[default]
    No,
    /// It is done.
    Yes,
}

/// `send`: one packet as given.
#[derive(Clone, PartialEq, Debug)]
pub struct SendBytes {
    /// The instance or outside host that sends.
    pub from: Spanned<Label>,
    /// The packet from its IP header on, 1 to [`crate::base::limit::PACKET_BYTES_MAX`] bytes.
    pub bytes: Spanned<Vec<u8>>,
}

/// `replay`: the IP packets of a capture, with their spacing.
#[derive(Clone, PartialEq, Debug)]
pub struct Replay {
    /// The instance or outside host that sends.
    pub from: Spanned<Label>,
    /// The capture.
    pub capture: Spanned<FilePath>,
}

/// `flows`: many UDP flows at once.
#[derive(Clone, PartialEq, Debug)]
pub struct Flows {
    /// One flow each; at least one.
    pub pairs: Vec<Flow>,
    /// Packets of each flow.
    pub packets: NonZeroU32,
    /// Rate of each flow.
    pub rate: PacketRate,
    /// Payload in bytes, at most 65507.
    pub size: u16,
    /// Destination port.
    pub port: u16,
    /// Whether the next step starts at once.
    pub background: Toggle,
}

/// Who sends to whom, written `b -> c`.
#[derive(Clone, PartialEq, Debug)]
pub struct Flow {
    /// The instance or outside host that sends.
    pub from: Spanned<Label>,
    /// The target.
    pub to: Spanned<Destination>,
}

/// A path that stays below the directory it is relative to: names with `/` between them, none of
/// them `..`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilePath(String);

/// Why a text is not such a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MalformedPath {
    /// Nothing at all.
    #[error("a path has at least one name")]
    Empty,
    /// It begins at the root of a file system.
    #[error("the path must be relative to the directory of this file")]
    Absolute,
    /// It climbs.
    #[error("the path must stay below the directory of this file")]
    Climbs,
    /// It holds a character that paths of scenario files do not have.
    #[error("the path must not contain {0:?}")]
    Character(char),
}

impl FilePath {
    /// The path as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names it consists of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !matches!(*name, "" | "."))
    }
}

impl FromStr for FilePath {
    type Err = MalformedPath;

    fn from_str(text: &str) -> Result<FilePath, MalformedPath> {
        // A backslash and a colon climb or leave on some systems, and no file needs them.
        let odd = |c: char| c.is_control() || matches!(c, '\\' | ':');
        if let Some(c) = text.chars().find(|c| odd(*c)) {
            return Err(MalformedPath::Character(c));
        }
        if text.starts_with('/') {
            return Err(MalformedPath::Absolute);
        }
        let path = FilePath(text.to_owned());
        if path.names().any(|name| name == "..") {
            return Err(MalformedPath::Climbs);
        }
        if path.names().next().is_none() {
            return Err(MalformedPath::Empty);
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_their_directory() {
        for (text, want) in [
            ("prod.net.yaml", Ok(())),
            ("./nets/prod.yaml", Ok(())),
            ("..dots", Ok(())),
            ("", Err(MalformedPath::Empty)),
            (".", Err(MalformedPath::Empty)),
            ("/etc/passwd", Err(MalformedPath::Absolute)),
            ("a/../../b", Err(MalformedPath::Climbs)),
            ("c:\\b", Err(MalformedPath::Character(':'))),
            ("a\0b", Err(MalformedPath::Character('\0'))),
        ] {
            assert_eq!(text.parse::<FilePath>().map(|_| ()), want, "{text}");
        }
    }
}
