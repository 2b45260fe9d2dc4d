//! Flow logs: declared, and in steps.

use super::{Decoder, Fields, word};
use crate::base::diag::Spanned;
use crate::cloud::flow_log::{Interval, Recording, TrafficType};
use crate::scenario::ast::{FlowLog, FlowLogAction, Label};
use crate::scenario::format::{CREATE_FLOW_LOGS, FLOW_LOG};
use crate::scenario::yaml::{Entry, Node};

impl Decoder<'_> {
    pub(super) fn declared_flow_log(
        &mut self,
        label: Spanned<Label>,
        node: &Node,
    ) -> Option<FlowLog> {
        self.flow_log(label, &Fields::of(node, &FLOW_LOG))
    }

    fn flow_log(&mut self, label: Spanned<Label>, fields: &Fields<'_>) -> Option<FlowLog> {
        let of = fields.get("of").and_then(|n| self.read(n));
        let traffic = fields.get("traffic").and_then(|n| word(n, TrafficType::from_name));
        let interval = fields.get("interval").and_then(|n| word(n, Interval::from_name));
        let format = fields.get("format").and_then(|n| self.read(n));
        let recording = Recording {
            traffic: traffic.map(|traffic| traffic.value).unwrap_or_default(),
            interval: interval.map(|interval| interval.value).unwrap_or_default(),
            format: format.map(|format| format.value).unwrap_or_default(),
        };
        Some(FlowLog { label, of: of?, recording })
    }

    /// An action of [`FlowLogAction`]; `None` if the key is another's or its value does not read.
    pub(super) fn flow_log_action(&mut self, key: &str, entry: &Entry) -> Option<FlowLogAction> {
        let node = &entry.value;
        Some(match key {
            "create-flow-logs" => {
                let fields = Fields::of(node, &CREATE_FLOW_LOGS);
                let name = fields.get("name").and_then(|n| self.read(n));
                FlowLogAction::Create(self.flow_log(name?, &fields)?)
            }
            "delete-flow-logs" => FlowLogAction::Delete(self.read(node)?),
            _ => return None,
        })
    }
}
