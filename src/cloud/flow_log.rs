//! Flow logs: what is to be recorded, for whom, and how.
//!
//! Holds the resource and its two commands (vpc-semantics 4.6). Refuses to record anything: records
//! are made by the report, from packets that were seen. A flow log cannot be changed, only deleted
//! and made anew; it goes with what it watches. Where records are delivered to is not modelled.

mod format;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Cloud;
use super::account::{Caller, Region};
use super::event::Change;
use super::refusal::Refusal;
use crate::base::id::*;
use crate::base::limit::FLOW_LOGS_PER_RESOURCE_MAX;
use crate::base::time::{Instant, Span};

pub use format::{Field, LogFormat, MalformedFormat};

/// What a flow log watches: one interface, or all that a subnet or a VPC has at any time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Watched {
    /// Every interface of the VPC.
    Vpc(VpcId),
    /// Every interface of the subnet.
    Subnet(SubnetId),
    /// This interface.
    Interface(InterfaceId),
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Watched::Vpc(id) => id.fmt(f),
            Watched::Subnet(id) => id.fmt(f),
            Watched::Interface(id) => id.fmt(f),
        }
    }
}

/// Which traffic a flow log records.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub enum TrafficType {
    /// What groups and ACLs let through.
    Accept,
    /// What they do not.
    Reject,
    /// Both.
    #[default]
    All,
}

impl TrafficType {
    /// Every type.
    pub const ALL: [TrafficType; 3] = [TrafficType::Accept, TrafficType::Reject, TrafficType::All];

    /// The word in files.
    pub const fn name(self) -> &'static str {
        match self {
            TrafficType::Accept => "accept",
            TrafficType::Reject => "reject",
            TrafficType::All => "all",
        }
    }

    /// The type with this word.
    pub fn from_name(name: &str) -> Option<TrafficType> {
        TrafficType::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The longest time that the packets of one record are apart (`MaxAggregationInterval`): nothing
/// else than these two may be asked for.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub enum Interval {
    /// 60 s.
    Minute,
    /// 600 s. The default.
    #[default]
    TenMinutes,
}

impl Interval {
    /// Both.
    pub const ALL: [Interval; 2] = [Interval::Minute, Interval::TenMinutes];

    /// Its length.
    pub const fn span(self) -> Span {
        match self {
            Interval::Minute => Span::from_secs(60),
            Interval::TenMinutes => Span::from_secs(600),
        }
    }

    /// The word in files: its seconds.
    pub const fn name(self) -> &'static str {
        match self {
            Interval::Minute => "60s",
            Interval::TenMinutes => "600s",
        }
    }

    /// The interval with this word.
    pub fn from_name(name: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.name() == name)
    }
}

/// How a flow log is set up. Two of the same resource differ in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Recording {
    /// Which traffic.
    pub traffic: TrafficType,
    /// How long one record may last.
    pub interval: Interval,
    /// Which fields.
    pub format: LogFormat,
}

/// A flow log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlowLog {
    /// Who made it: the owner of what it watches.
    pub owner: AccountId,
    /// The region of what it watches.
    pub region: Region,
    /// What it watches.
    pub of: Watched,
    /// What is recorded.
    pub recording: Recording,
    /// Since when: its windows begin here.
    pub created: Instant,
}

impl FlowLog {
    /// Does it watch this interface, which is in that VPC and subnet?
    pub fn watches(&self, vpc: VpcId, subnet: SubnetId, interface: InterfaceId) -> bool {
        match self.of {
            Watched::Vpc(id) => id == vpc,
            Watched::Subnet(id) => id == subnet,
            Watched::Interface(id) => id == interface,
        }
    }
}

impl Cloud {
    /// A flow log.
    pub fn flow_log(&self, id: FlowLogId) -> Option<&FlowLog> {
        self.flow_logs.get(&id)
    }

    /// Every flow log, ordered by id.
    pub fn flow_logs(&self) -> impl Iterator<Item = (FlowLogId, &FlowLog)> {
        self.flow_logs.iter().map(|(id, log)| (*id, log))
    }

    /// The flow log, if it is the caller's and in the caller's region.
    pub(super) fn own_flow_log(&self, caller: &Caller, id: FlowLogId) -> Result<&FlowLog, Refusal> {
        self.flow_logs
            .get(&id)
            .filter(|log| log.owner == caller.account && log.region == caller.region)
            .ok_or(Refusal::FlowLogNotFound(id))
    }

    /// Only the owner of a resource may log it; another's does not exist for the caller.
    pub(super) fn create_flow_log(
        &self,
        caller: &Caller,
        of: Watched,
        recording: &Recording,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        match of {
            Watched::Vpc(id) => self.own_vpc(caller, id).map(drop)?,
            Watched::Subnet(id) => self.own_subnet(caller, id).map(drop)?,
            Watched::Interface(id) => self.own_interface(caller, id).map(drop)?,
        }
        let ids = || self.watched.get(&of).into_iter().flatten();
        let of_same = || ids().filter_map(|id| self.flow_logs.get(id));
        if of_same().any(|log| log.recording == *recording) {
            return Err(Refusal::FlowLogExists(of));
        }
        if of_same().count() >= FLOW_LOGS_PER_RESOURCE_MAX {
            return Err(Refusal::TooManyFlowLogs(of));
        }
        Ok(vec![Change::FlowLogCreated {
            log: FlowLogId::new(self.mint().next()),
            of,
            owner: caller.account,
            region: caller.region.clone(),
            recording: recording.clone(),
            created: now,
        }])
    }

    pub(super) fn delete_flow_log(
        &self,
        caller: &Caller,
        id: FlowLogId,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_flow_log(caller, id)?;
        Ok(vec![Change::FlowLogDeleted { log: id }])
    }
}
