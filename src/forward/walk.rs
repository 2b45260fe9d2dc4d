//! The walk of one packet, step by step: what the reference looked at and what it found.
//!
//! Holds the steps as values, in ids. Refuses to hold text: a report prints them with the names of
//! the scenario.

use std::net::IpAddr;

use ipnet::IpNet;

use super::DropReason;
use super::connections::Judgement;
use super::verdict::Location;
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::{GatewayId, Site};
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::network_acl::{AclEntry, RuleNumber};
use crate::cloud::peering::Status;
use crate::cloud::route_table::{Hop, RouteState};
use crate::cloud::security_group::GroupRule;
use crate::wire::{FlowKey, Packet};

/// A route that covers the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Match {
    /// The route's destination.
    pub destination: IpNet,
    /// Where it leads.
    pub hop: Hop,
    /// Whether that can be used.
    pub state: RouteState,
}

/// Where the destination would lie, one step beyond the VPC that the packet wanted to pass through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Beyond {
    /// In a VPC that is peered with it.
    Vpc {
        /// The VPC.
        vpc: VpcId,
        /// The peering between the two.
        peering: PeeringId,
        /// Where that peering stands: pending, active, or between the two.
        status: Status,
    },
    /// Beyond an edge of it.
    Edge(GatewayId),
    /// Beyond a NAT gateway of it.
    Nat(NatGatewayId),
}

/// One look, and what it found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields are the ids of what was looked at")]
pub enum Step {
    /// The instance behind an interface is stopped.
    Down { interface: InterfaceId },
    /// The packet claims a source that is not the interface's.
    ForeignSource { interface: InterfaceId, source: IpAddr, check: SourceDestCheck },
    /// An interface's security groups, and the rule that allows the packet if one does.
    Groups {
        interface: InterfaceId,
        direction: Direction,
        judgement: Judgement,
        rule: Option<(SecurityGroupId, GroupRule)>,
    },
    /// A subnet's network ACL, and the entry that decides; `None` is the deny behind the last.
    Acl { acl: NetworkAclId, direction: Direction, entry: Option<(RuleNumber, AclEntry)> },
    /// Sender and destination share a subnet: no table is asked.
    SameSubnet { subnet: SubnetId },
    /// The table in force, with every match, the longest first.
    Table { table: RouteTableId, matches: Vec<Match> },
    /// The destination is in a range that no table forwards, whatever its routes cover.
    NeverForwarded { destination: IpAddr },
    /// The state of the peering that the route names; `None` if the cloud has forgotten it.
    Peering { peering: PeeringId, status: Option<Status> },
    /// The gate: does the destination lie in a block of the VPC at the other end?
    Gate { peering: PeeringId, into: VpcId, blocks: Vec<IpNet>, holds: Holds },
    /// The VPC that a gateway is attached to; `None` if it is detached or gone.
    Gateway { gateway: GatewayId, attached: Option<VpcId> },
    /// The gateway was attached to this other VPC when the packet arrived.
    GatewayMoved { gateway: GatewayId, now_of: VpcId },
    /// A gateway finds that the source of a packet from its own VPC is not an address of it.
    SpoofedSource { gateway: GatewayId, source: IpAddr, vpc: VpcId },
    /// A gateway looks whether its own VPC holds the destination of a packet from outside.
    GatewayGate { gateway: GatewayId, into: VpcId, holds: Holds },
    /// An internet gateway looks for the public address of a private one, or the other way round.
    PublicAddress { gateway: GatewayId, of: IpAddr, found: Option<IpAddr> },
    /// An internet gateway puts the private address in place of the public one that stands for it.
    StandsFor { gateway: GatewayId, public: IpAddr, private: IpAddr },
    /// An egress-only internet gateway remembers what goes out, or looks whether it asked for this.
    EgressOnly { gateway: GatewayId, direction: Direction, judgement: Judgement },
    /// What lies behind the VPC that will not pass the packet on.
    Beyond { found: Vec<Beyond> },
    /// The packet is longer than the way takes.
    TooLong { mtu: Mtu, length: usize, cut: Cut },
    /// On arrival the peering is no longer active.
    PeeringGone { peering: PeeringId, status: Option<Status> },
    /// Who has the address in the VPC being entered.
    Owner { vpc: VpcId, address: IpAddr, owner: Option<InterfaceId> },
    /// Who has the address in a network outside the cloud.
    OutsideOwner { site: Site, address: IpAddr, owner: Option<InterfaceId> },
    /// A middlebox sends the packet on.
    Relayed { interface: InterfaceId, translated: Option<FlowKey> },
    /// A middlebox does not.
    NotRelayed { interface: InterfaceId, why: DropReason },
    /// A route's target interface looks whether the destination is its own.
    ForeignDestination { interface: InterfaceId, address: IpAddr, check: SourceDestCheck },
    /// Delivered.
    Delivered { interface: InterfaceId },
}

/// Whether the blocks of the peer hold the destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holds {
    /// One of them does.
    Yes,
    /// None does.
    No,
}

/// What becomes of a packet that is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// It is cut into fragments.
    Fragments,
    /// It may not be cut: it is dropped, and its sender told.
    Forbidden,
}

/// Where a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// At this interface.
    Delivered(InterfaceId),
    /// Not.
    Dropped(DropReason, Location),
}

/// What hears of the steps while the reference decides.
pub trait Recorder {
    /// Hears of one step. The closure is not called by a recorder that keeps nothing.
    fn record(&mut self, step: impl FnOnce() -> Step);
}

/// Keeps nothing.
impl Recorder for () {
    fn record(&mut self, _: impl FnOnce() -> Step) {}
}

/// Keeps every step.
impl Recorder for Vec<Step> {
    fn record(&mut self, step: impl FnOnce() -> Step) {
        self.push(step());
    }
}

/// The whole walk of one packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// What was looked at, in order.
    pub steps: Vec<Step>,
    /// Where it ended.
    pub end: End,
    /// The packet as it was there: gateways and middleboxes may have changed its addresses.
    pub packet: Packet,
    /// The interface that sent it last: a middlebox, if there was one.
    pub sender: InterfaceId,
}
