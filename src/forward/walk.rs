//! The walk of one packet, step by step: what the reference looked at and what it found.
//!
//! Holds the steps as values, in ids. Refuses to hold text: a report prints them with the names of
//! the scenario.

use std::net::IpAddr;

use ipnet::IpNet;

use super::verdict::Location;
use super::{Drop, DropReason, Rows};
use crate::base::id::*;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::peering::Status;
use crate::cloud::route_table::{Hop, RouteState};

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

/// A VPC in which the destination would lie, one peering beyond the peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Beyond {
    /// The VPC.
    pub vpc: VpcId,
    /// The peering between the peer and that VPC.
    pub peering: PeeringId,
    /// Where that peering stands: pending, active, or between the two.
    pub status: Status,
}

/// One look, and what it found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields are the ids of what was looked at")]
pub enum Step {
    /// The instance behind an interface is stopped.
    Down { interface: InterfaceId },
    /// The packet claims a source that is not the interface's.
    ForeignSource { interface: InterfaceId, source: IpAddr, check: SourceDestCheck },
    /// Sender and destination share a subnet: no table is asked.
    SameSubnet { subnet: SubnetId },
    /// The table in force, with every match, the longest first. `VpcId` is the table's VPC.
    Table { table: RouteTableId, vpc: VpcId, matches: Vec<Match> },
    /// The state of the peering that the route names; `None` if the cloud has forgotten it.
    Peering { peering: PeeringId, status: Option<Status> },
    /// The gate: does the destination lie in a block of the VPC at the other end?
    Gate { peering: PeeringId, into: VpcId, blocks: Vec<IpNet>, holds: Holds },
    /// What lies behind the peer, when the gate refuses.
    Beyond { found: Vec<Beyond> },
    /// On arrival the peering is no longer active.
    PeeringGone { peering: PeeringId, status: Option<Status> },
    /// Who has the address in the VPC being entered.
    Owner { vpc: VpcId, address: IpAddr, owner: Option<InterfaceId> },
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
}

impl Walk {
    /// The walk that ended in this verdict.
    pub fn ended(steps: Vec<Step>, verdict: Result<InterfaceIdx, Drop>, rows: &Rows) -> Walk {
        let end = match verdict {
            Ok(interface) => End::Delivered(rows.interface_id(interface)),
            Err(drop) => End::Dropped(drop.reason, rows.locate(drop.at)),
        };
        Walk { steps, end }
    }
}
