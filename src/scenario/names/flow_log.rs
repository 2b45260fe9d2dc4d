//! The labels of flow logs, and of what they watch.

use super::scope::Kind;
use super::{Introduction, Names};
use crate::scenario::ast::{FlowLog, FlowLogAction, Network, WatchedRef};

/// What carries the label of something that can be watched, a subnet apart.
const WATCHED: [Kind; 3] = [Kind::Vpc, Kind::Instance, Kind::NatGateway];

/// The label that an action introduces.
pub(super) fn introduction(action: &FlowLogAction) -> Option<Introduction<'_>> {
    match action {
        FlowLogAction::Create(log) => {
            let (label, name) = (&log.label, log.label.value.to_string());
            Some(Introduction { kind: Kind::FlowLog, name, label })
        }
        FlowLogAction::Delete(_) => None,
    }
}

impl Names<'_> {
    pub(super) fn flow_logs(&mut self, network: &Network) {
        for log in &network.flow_logs {
            let label = &log.label;
            self.scope.introduces(Kind::FlowLog, label.value.as_str(), label.place);
            self.watched(log);
        }
    }

    fn watched(&mut self, log: &FlowLog) {
        let place = log.of.place;
        match &log.of.value {
            WatchedRef::Label(label) => self.scope.uses_any(&WATCHED, label.as_str(), place),
            WatchedRef::Subnet(subnet) => {
                self.scope.uses(Kind::Subnet, &subnet.to_string(), place);
            }
        }
    }

    pub(super) fn flow_log_action(&mut self, action: &FlowLogAction) {
        match action {
            FlowLogAction::Create(log) => self.watched(log),
            FlowLogAction::Delete(label) => {
                self.scope.uses(Kind::FlowLog, label.value.as_str(), label.place);
            }
        }
    }
}
