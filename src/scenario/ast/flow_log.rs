//! Flow logs: declared ones, and the actions of steps about them.

use std::fmt;
use std::str::FromStr;

use super::{Label, SubnetRef};
use crate::base::diag::Spanned;
use crate::cloud::flow_log::Recording;
use crate::scenario::label::MalformedName;

/// What a flow log is to watch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum WatchedRef {
    /// The VPC with this label; if no VPC has it, the interface of the instance or NAT gateway that
    /// does.
    Label(Label),
    /// A subnet, written `A/x`.
    Subnet(SubnetRef),
}

impl FromStr for WatchedRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<WatchedRef, MalformedName> {
        match text.contains('/') {
            true => text.parse().map(WatchedRef::Subnet),
            false => text.parse().map(WatchedRef::Label),
        }
    }
}

impl fmt::Display for WatchedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatchedRef::Label(label) => label.fmt(f),
            WatchedRef::Subnet(subnet) => subnet.fmt(f),
        }
    }
}

/// A flow log, declared or made by a step.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowLog {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// What it watches.
    pub of: Spanned<WatchedRef>,
    /// What it records.
    pub recording: Recording,
}

/// What a step does to flow logs.
#[derive(Clone, PartialEq, Debug)]
pub enum FlowLogAction {
    /// `create-flow-logs`.
    Create(FlowLog),
    /// `delete-flow-logs`.
    Delete(Spanned<Label>),
}
