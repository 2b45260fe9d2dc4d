//! What a finding rests on, as values.
//!
//! Holds one variant per rule, with the ids and blocks that its sentence names. Refuses text: a
//! report resolves the names.

use std::net::Ipv4Addr;

use ipnet::IpNet;

use super::rule::LintRule;
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::network_acl::{AclEntry, RuleNumber};
use crate::cloud::peering::Status;
use crate::cloud::quota::Quota;
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::cloud::security_group::GroupRule;
use crate::forward::middlebox::Role;
use crate::wire::Protocol;

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "each variant is the id of what it names")]
pub enum Subject {
    Account(AccountId),
    Vpc(VpcId),
    Subnet(SubnetId),
    Table(RouteTableId),
    Peering(PeeringId),
    Group(SecurityGroupId),
    PrefixList(PrefixListId),
    Acl(NetworkAclId),
    Nat(NatGatewayId),
    Interface(InterfaceId),
}

/// A route into a peering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeeringRoute {
    /// Its destination.
    pub destination: IpNet,
    /// Its target.
    pub peering: PeeringId,
    /// The VPC to which that leads.
    pub peer: VpcId,
}

/// The routes of one table into a peering.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeeringRoutes {
    /// Their destinations, in order.
    pub destinations: Vec<IpNet>,
    /// Their target.
    pub peering: PeeringId,
    /// The VPC to which that leads.
    pub peer: VpcId,
}

/// Why no packet that takes a route into a peering is for the VPC at its other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// The destination has no address of that VPC.
    Elsewhere,
    /// It has some, and longer routes of the table take them all.
    TakenByLonger,
}

/// A VPC behind a hub that a route hopes to reach through it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spoke {
    /// The VPC.
    pub vpc: VpcId,
    /// Its peering with the hub.
    pub over: PeeringId,
    /// How the two could be connected.
    pub direct: Direct,
}

/// How two VPCs that share a hub could be connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direct {
    /// By a peering, which is to be made.
    Peer,
    /// By a peering that there is: the route names the wrong one.
    Peered(PeeringId),
    /// Not at all: these blocks of the two overlap.
    Overlap(IpNet, IpNet),
    /// Not at all: they are in two regions, and the profile is `seed`.
    OtherRegion,
}

/// An edge of a peer that a route hopes to use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Edge {
    /// A gateway.
    Gateway(GatewayId),
    /// A NAT gateway.
    Nat(NatGatewayId),
}

/// Why a route's target cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// The peering is in this state.
    Peering(Status),
    /// The instance is stopped.
    Stopped,
    /// The gateway is attached to no VPC.
    Detached,
    /// There is no such thing any more.
    Gone,
}

/// Answers that do not come back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lost {
    /// The table that leads them, or has no route for them.
    pub table: RouteTableId,
    /// Whom the answers are for.
    pub to: IpNet,
    /// The route that takes them; `None` if none does.
    pub by: Option<(IpNet, Hop)>,
}

/// Answers that leave over another peering.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Astray {
    /// The table that leads them.
    pub table: RouteTableId,
    /// Whom the answers are for.
    pub to: IpNet,
    /// The route that takes them.
    pub by: IpNet,
    /// Its target.
    pub over: PeeringId,
    /// The VPC to which that leads.
    pub into: VpcId,
    /// What becomes of them there.
    pub fate: Fate,
}

/// What becomes of an answer that enters another VPC than the request came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fate {
    /// The VPC has the addresses too: somebody else may get the answer.
    Misdelivered,
    /// The VPC does not have them: the answer is dropped.
    Dropped,
}

/// What was found, one variant per rule.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the rules are documented at `LintRule`, the parts at their types")]
pub enum Evidence {
    HubTransit {
        route: PeeringRoute,
        beyond: Vec<Spoke>,
    },
    EdgeTransit {
        route: PeeringRoute,
        edges: Vec<Edge>,
    },
    NotInPeer {
        route: PeeringRoute,
        why: Miss,
    },
    WiderThanPeer {
        route: PeeringRoute,
        blocks: Vec<IpNet>,
    },
    BlackholeRoute {
        destination: IpNet,
        target: RouteTarget,
        why: Unusable,
    },
    ShadowedRoute {
        destination: IpNet,
        target: RouteTarget,
        by: Vec<IpNet>,
    },
    CheckedMiddlebox {
        role: Option<Role>,
        routes: Vec<(RouteTableId, IpNet)>,
    },
    IdleMiddlebox {
        routes: Vec<(RouteTableId, IpNet)>,
    },
    RoutingLoop {
        ring: Vec<(InterfaceId, RouteTableId)>,
        destinations: Vec<IpNet>,
    },
    NoReturnRoute {
        routes: PeeringRoutes,
        lost: Vec<Lost>,
    },
    PartialReturn {
        routes: PeeringRoutes,
        lost: Vec<Lost>,
    },
    AsymmetricReturn {
        routes: PeeringRoutes,
        astray: Vec<Astray>,
    },
    HubOverlap {
        spokes: Vec<(VpcId, PeeringId, IpNet)>,
    },
    Ipv4OnlyPeering {
        ends: [VpcId; 2],
    },
    ShadowedEntry {
        direction: Direction,
        entry: (RuleNumber, AclEntry),
        by: (RuleNumber, AclEntry),
    },
    RedundantEntry {
        direction: Direction,
        entry: (RuleNumber, AclEntry),
        by: (RuleNumber, AclEntry),
    },
    AclNoAnswers {
        requests: Direction,
        entry: (RuleNumber, AclEntry),
        protocol: Protocol,
    },
    StaleGroupRule {
        direction: Direction,
        rule: GroupRule,
    },
    UnusedGroup,
    SilentGroup {
        interfaces: Vec<InterfaceId>,
    },
    AclDeniesAll {
        directions: Vec<Direction>,
    },
    IgwNoPublicAddress {
        table: RouteTableId,
        destination: IpNet,
        gateway: GatewayId,
        instances: Vec<InstanceId>,
    },
    NatNoInternet {
        subnet: SubnetId,
        table: RouteTableId,
    },
    PublicNoGateway {
        address: Ipv4Addr,
        table: RouteTableId,
    },
    UnusedPeering {
        ends: [VpcId; 2],
    },
    ExpiringRequest {
        expires_at: Instant,
        asked: VpcId,
    },
    NearQuota {
        quota: Quota,
        used: usize,
        limit: usize,
    },
}

impl Evidence {
    /// The rule that found it.
    pub const fn rule(&self) -> LintRule {
        match self {
            Evidence::HubTransit { .. } => LintRule::HubTransit,
            Evidence::EdgeTransit { .. } => LintRule::EdgeTransit,
            Evidence::NotInPeer { .. } => LintRule::NotInPeer,
            Evidence::WiderThanPeer { .. } => LintRule::WiderThanPeer,
            Evidence::BlackholeRoute { .. } => LintRule::BlackholeRoute,
            Evidence::ShadowedRoute { .. } => LintRule::ShadowedRoute,
            Evidence::CheckedMiddlebox { .. } => LintRule::CheckedMiddlebox,
            Evidence::IdleMiddlebox { .. } => LintRule::IdleMiddlebox,
            Evidence::RoutingLoop { .. } => LintRule::RoutingLoop,
            Evidence::NoReturnRoute { .. } => LintRule::NoReturnRoute,
            Evidence::PartialReturn { .. } => LintRule::PartialReturn,
            Evidence::AsymmetricReturn { .. } => LintRule::AsymmetricReturn,
            Evidence::HubOverlap { .. } => LintRule::HubOverlap,
            Evidence::Ipv4OnlyPeering { .. } => LintRule::Ipv4OnlyPeering,
            Evidence::ShadowedEntry { .. } => LintRule::ShadowedEntry,
            Evidence::RedundantEntry { .. } => LintRule::RedundantEntry,
            Evidence::AclNoAnswers { .. } => LintRule::AclNoAnswers,
            Evidence::StaleGroupRule { .. } => LintRule::StaleGroupRule,
            Evidence::UnusedGroup => LintRule::UnusedGroup,
            Evidence::SilentGroup { .. } => LintRule::SilentGroup,
            Evidence::AclDeniesAll { .. } => LintRule::AclDeniesAll,
            Evidence::IgwNoPublicAddress { .. } => LintRule::IgwNoPublicAddress,
            Evidence::NatNoInternet { .. } => LintRule::NatNoInternet,
            Evidence::PublicNoGateway { .. } => LintRule::PublicNoGateway,
            Evidence::UnusedPeering { .. } => LintRule::UnusedPeering,
            Evidence::ExpiringRequest { .. } => LintRule::ExpiringRequest,
            Evidence::NearQuota { .. } => LintRule::NearQuota,
        }
    }
}
