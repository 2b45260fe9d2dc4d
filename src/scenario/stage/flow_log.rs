//! Flow logs: their labels, what they watch, and the command that makes them.
//!
//! Refuses to know how a file is written, like the rest of the stage.

use super::{Stage, Trouble, find, made};
use crate::base::id::*;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::flow_log::{Recording, Watched};
use crate::scenario::ast::{Label, WatchedRef};

/// What a file calls a flow log, and who owns it.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct KnownFlowLog {
    pub(in crate::scenario) id: FlowLogId,
    pub(in crate::scenario) owner: Caller,
}

impl Stage {
    /// The flow log with this label.
    pub(in crate::scenario) fn flow_log(&self, label: &Label) -> Result<KnownFlowLog, Trouble> {
        find(&self.labels.flow_logs, label, "flow log", label)
    }

    /// What is to be watched, and its owner.
    pub(in crate::scenario) fn watched(
        &self,
        of: &WatchedRef,
    ) -> Result<(Watched, Caller), Trouble> {
        let label = match of {
            WatchedRef::Subnet(subnet) => {
                let vpc = self.vpc(&subnet.vpc)?;
                return Ok((Watched::Subnet(self.subnet(subnet)?), self.owner(vpc)));
            }
            WatchedRef::Label(label) => label,
        };
        if let Some(vpc) = self.labels.vpcs.get(label) {
            return Ok((Watched::Vpc(*vpc), self.owner(*vpc)));
        }
        if let Some((nat, vpc)) = self.labels.nat_gateways.get(label) {
            let absent = || Trouble::Absent { kind: "NAT gateway", label: label.to_string() };
            let nat = self.sim.cloud().nat_gateway(*nat).ok_or_else(absent)?;
            return Ok((Watched::Interface(nat.interface), self.owner(*vpc)));
        }
        let known = find(&self.labels.instances, label, "VPC, instance or NAT gateway", label)?;
        Ok((Watched::Interface(known.interface), self.owner(known.vpc)))
    }

    /// Makes a flow log and gives it its label.
    pub(in crate::scenario) fn create_flow_log(
        &mut self,
        caller: &Caller,
        label: &Label,
        of: Watched,
        recording: &Recording,
    ) -> Result<(), Trouble> {
        let command = Command::CreateFlowLogs { of, recording: recording.clone() };
        let changes = self.ask(caller, &command)?;
        let id = made(changes, |c| match c {
            Change::FlowLogCreated { log, .. } => Some(log),
            _ => None,
        });
        let known = KnownFlowLog { id, owner: caller.clone() };
        self.labels.flow_logs.insert(label.clone(), known);
        Ok(self.name(caller, ResourceId::FlowLog(id), label)?)
    }
}
