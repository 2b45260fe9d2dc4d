//! Steps about flow logs.

use super::{Desk, Doing, Shown, Undone};
use crate::cloud::command::Command;
use crate::scenario::ast::FlowLogAction;

impl Desk<'_> {
    pub(super) fn flow_log_action(&mut self, action: &FlowLogAction) -> Result<Doing, Undone> {
        match action {
            FlowLogAction::Create(log) => {
                let (of, owner) = self.stage.watched(&log.of.value)?;
                let caller = self.caller(owner)?;
                self.stage.create_flow_log(&caller, &log.label.value, of, &log.recording)?;
            }
            FlowLogAction::Delete(label) => {
                let known = self.stage.flow_log(&label.value)?;
                let caller = self.caller(known.owner)?;
                self.stage.ask(&caller, &Command::DeleteFlowLogs { log: known.id })?;
            }
        }
        Ok(Doing::Asked(Shown::Nothing))
    }
}

/// What the action does, for a reader.
pub(super) fn words(action: &FlowLogAction) -> String {
    match action {
        FlowLogAction::Create(log) => {
            format!("create-flow-logs {}: {}", log.label.value, log.of.value)
        }
        FlowLogAction::Delete(label) => format!("delete-flow-logs {}", label.value),
    }
}
