//! The declared network: accounts, VPCs, peerings, routes and instances, in file order.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    AccountRef, AclName, Gateway, GroupRef, Label, NetworkAcl, OutsideHost, PrefixList, PublicIp,
    SecurityGroup, SubnetRef, TableRef, TargetRef, VpcRef,
};
use crate::base::diag::{Place, Spanned};
use crate::base::id::AccountId;
use crate::base::time::Span;
use crate::base::units::{BitRate, Probability};
use crate::cloud::account::{Region, Zone};
use crate::cloud::dns::Switch;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::quota::Quota;
use crate::forward::middlebox::Role;

/// Everything a file declares.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Network {
    /// The accounts; a file that declares none has one, [`AccountId::DEFAULT`].
    pub accounts: Vec<Account>,
    /// The VPCs.
    pub vpcs: Vec<Vpc>,
    /// The peerings.
    pub peerings: Vec<Peering>,
    /// The routes of all tables.
    pub routes: Vec<Route>,
    /// The security groups.
    pub security_groups: Vec<SecurityGroup>,
    /// The prefix lists.
    pub prefix_lists: Vec<PrefixList>,
    /// The network ACLs.
    pub network_acls: Vec<NetworkAcl>,
    /// The instances.
    pub instances: Vec<Instance>,
    /// The gateways.
    pub gateways: Vec<Gateway>,
    /// The hosts outside the cloud.
    pub outside: Vec<OutsideHost>,
}

/// An account.
#[derive(Clone, PartialEq, Debug)]
pub struct Account {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// Its id.
    pub id: Spanned<AccountId>,
    /// The quotas that differ from the cloud's defaults.
    pub quotas: Vec<(Spanned<Quota>, Spanned<u32>)>,
}

/// A VPC.
#[derive(Clone, PartialEq, Debug)]
pub struct Vpc {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// Its IPv4 blocks as written (host bits are the cloud's to clear); at least one, the first is
    /// the primary one.
    pub cidrs: Vec<Spanned<Ipv4Net>>,
    /// Its IPv6 blocks as written.
    pub ipv6: Vec<Spanned<Ipv6Net>>,
    /// Its owner; `None` only if the file declares at most one account, whose it then is.
    pub account: Option<Spanned<AccountRef>>,
    /// Its region; `None` is `us-east-1`.
    pub region: Option<Spanned<Region>>,
    /// Whether it has a resolver; `None` is the cloud's default.
    pub dns_support: Option<Spanned<Switch>>,
    /// Whether its instances have hostnames; `None` is the cloud's default.
    pub dns_hostnames: Option<Spanned<Switch>>,
    /// Its route tables beside the main one.
    pub route_tables: Vec<Spanned<Label>>,
    /// Its subnets; `None` if the key is left out, which asks for the default subnets.
    pub subnets: Option<Vec<Subnet>>,
    /// What traffic inside it goes through.
    pub link: Link,
}

/// A subnet of a [`Vpc`].
#[derive(Clone, PartialEq, Debug)]
pub struct Subnet {
    /// What its VPC calls it.
    pub label: Spanned<Label>,
    /// Its IPv4 block as written.
    pub cidr: Spanned<Ipv4Net>,
    /// Its IPv6 block as written.
    pub ipv6: Option<Spanned<Ipv6Net>>,
    /// Its availability zone; `None` is zone `a` of the region.
    pub az: Option<Spanned<Zone>>,
    /// The table it is associated with; `None` leaves it with the main table.
    pub route_table: Option<Spanned<Label>>,
    /// The network ACL that guards it; `None` leaves it with the one that the VPC was born with.
    pub network_acl: Option<Spanned<AclName>>,
}

/// A peering, requested by the owner of `requester`.
#[derive(Clone, PartialEq, Debug)]
pub struct Peering {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// The VPC that asks.
    pub requester: Spanned<Label>,
    /// The VPC that is asked.
    pub accepter: Spanned<Label>,
    /// `false` leaves the request pending.
    pub accepted: bool,
    /// What crosses it goes through, each direction by itself.
    pub link: Link,
}

/// A route of a declared table.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    /// The table.
    pub table: Spanned<TableRef>,
    /// The destination block as written.
    pub destination: Spanned<IpNet>,
    /// Where matching packets go.
    pub target: Spanned<TargetRef>,
}

/// An instance, declared or started by a step.
#[derive(Clone, PartialEq, Debug)]
pub struct Instance {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// The VPC or subnet it is placed in.
    pub placement: Placement,
    /// Its IPv4 address; `None` is the lowest free one.
    pub ip: Option<Spanned<Ipv4Addr>>,
    /// Its IPv6 address; `None` is the lowest free one if the subnet has an IPv6 block.
    pub ipv6: Option<Spanned<Ipv6Addr>>,
    /// Whether its interface drops what is neither from nor to itself.
    pub source_dest_check: SourceDestCheck,
    /// What it does with packets that are not for itself; `None` is nothing.
    pub role: Option<Role>,
    /// The TCP ports that it serves.
    pub listen: Vec<Spanned<u16>>,
    /// Its security groups; empty is one that allows everything.
    pub groups: Vec<Spanned<GroupRef>>,
    /// The public address that stands for its IPv4 address. Left empty by `run-instance`.
    pub public_ip: Option<Spanned<PublicIp>>,
    /// What it sends goes through this first. Left empty by `run-instance`.
    pub link: Link,
}

/// Where an instance is placed.
#[derive(Clone, PartialEq, Debug)]
pub enum Placement {
    /// In a VPC: the subnet that holds its address, else the only one, else the first default one.
    Vpc(Spanned<VpcRef>),
    /// In a subnet.
    Subnet(Spanned<SubnetRef>),
}

impl Placement {
    /// The VPC.
    pub fn vpc(&self) -> &VpcRef {
        match self {
            Placement::Vpc(vpc) => &vpc.value,
            Placement::Subnet(subnet) => &subnet.value.vpc,
        }
    }

    /// Where the placement is written.
    pub fn place(&self) -> Place {
        match self {
            Placement::Vpc(vpc) => vpc.place,
            Placement::Subnet(subnet) => subnet.place,
        }
    }
}

/// What a link does to packets; `None` is the default for the kind of link.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Link {
    /// Time every packet takes, at most [`crate::base::limit::LINK_DELAY_MAX`].
    pub latency: Option<Span>,
    /// Further time, uniform from zero to this, same bound.
    pub jitter: Option<Span>,
    /// The chance of loss.
    pub loss: Option<Probability>,
    /// The rate to which it shapes.
    pub rate: Option<BitRate>,
    /// How many packets wait, 1 to [`crate::base::limit::LINK_QUEUE_PACKETS_MAX`].
    pub queue: Option<u32>,
}
