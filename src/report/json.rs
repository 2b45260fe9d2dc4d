//! The machine-readable report: outcomes as one JSON document, `vpclab-run/1`.
//!
//! Holds the mapping; [`SCHEMA`] describes it key by key. Every key is always there (`null` where
//! there is nothing to say), numbers are whole (virtual nanoseconds reach 2^62: read them as 64-bit
//! integers), and objects are printed in alphabetical order, so equal outcomes give equal bytes.
//! Refuses to name the host: no clock, version or number of threads of the machine that ran it, and
//! no path but those of the files as they were named.

use serde_json::{Map, Value, json};

use super::lint::{self, Linted};
use super::outcome::{LegWalk, Outcome, StepOutcome, Traffic, Unusable, Verdict};
use super::remedy::{self, Obstacle};
use super::told::{Ending, Line};
use crate::reach::lint::Severity;
use crate::sim::Leg;
use crate::sim::traffic::Drops;

/// The format of [`run_document`]. A key is added without notice; the number grows when one changes
/// its meaning or goes.
pub const FORMAT: &str = "vpclab-run/1";

/// The JSON Schema (draft-07) of [`run_document`].
pub const SCHEMA: &str = include_str!("../../docs/run-report.schema.json");

/// The report of a run: what came of each scenario, in the order given, how many held, and which
/// files could not be run.
pub fn run_document(outcomes: &[Outcome], unusable: &[Unusable]) -> Value {
    let held = outcomes.iter().filter(|outcome| outcome.held()).count();
    let of = |verdict| {
        let steps = outcomes.iter().flat_map(|outcome| &outcome.steps);
        steps.filter(|step| step.verdict == verdict).count()
    };
    json!({
        "format": FORMAT,
        "summary": {
            "scenarios": outcomes.len(),
            "held": held,
            "failed": outcomes.len() - held,
            "could_not_run": unusable.len(),
            "steps": {
                "held": of(Verdict::Held),
                "failed": of(Verdict::Failed),
                "unjudged": of(Verdict::Unjudged),
            },
            "packets": outcomes.iter().map(|outcome| outcome.packets).sum::<u64>(),
        },
        "scenarios": outcomes.iter().map(scenario).collect::<Vec<_>>(),
        "could_not_run": unusable
            .iter()
            .map(|file| json!({ "file": file.file, "why": file.why }))
            .collect::<Vec<_>>(),
    })
}

/// Walks by themselves: the part of a step that bears the same name in [`run_document`].
pub fn trace_document(walks: &[LegWalk]) -> Value {
    json!({
        "format": "vpclab-trace/1",
        "walks": walks.iter().map(walk).collect::<Vec<_>>(),
    })
}

/// What lint found, file by file in the order given, and which files could not be read.
pub fn lint_document(linted: &[Linted], unusable: &[Unusable]) -> Value {
    let of = |severity| linted.iter().map(|file| file.count(severity)).sum::<usize>();
    json!({
        "format": "vpclab-lint/1",
        "summary": {
            "files": linted.len(),
            "warnings": of(Severity::Warning),
            "hints": of(Severity::Hint),
            "could_not_run": unusable.len(),
        },
        "files": linted
            .iter()
            .map(|file| json!({
                "file": file.file,
                "findings": file.findings.iter().map(finding).collect::<Vec<_>>(),
            }))
            .collect::<Vec<_>>(),
        "could_not_run": unusable
            .iter()
            .map(|file| json!({ "file": file.file, "why": file.why }))
            .collect::<Vec<_>>(),
    })
}

fn finding(told: &lint::Told) -> Value {
    json!({
        "rule": told.rule.label(),
        "number": told.rule.number(),
        "severity": told.rule.severity().name(),
        "subject": { "kind": told.noun, "name": told.subject, "id": told.id },
        "message": told.message,
        "help": told.help,
    })
}

fn scenario(outcome: &Outcome) -> Value {
    json!({
        "file": outcome.file,
        "name": outcome.name,
        "about": outcome.about,
        "profile": outcome.profile,
        "seed": outcome.seed,
        "start": calendar(outcome.start_unix),
        "ended": {
            "ns": outcome.ended.as_nanos(),
            "text": outcome.ended.to_string(),
        },
        "held": outcome.held(),
        "packets": outcome.packets,
        "aborted": outcome.aborted,
        "steps": outcome.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

/// The date and time in RFC 3339; `null` outside the years 1 to 9999, which no file can ask for.
fn calendar(unix: i64) -> Option<String> {
    jiff::Timestamp::from_second(unix).ok().map(|time| time.to_string())
}

fn step(step: &StepOutcome) -> Value {
    json!({
        "number": step.number,
        "line": step.line,
        "at_ns": step.at.as_nanos(),
        "action": step.action,
        "note": step.note,
        "expected": step.expected,
        "actual": step.actual,
        "verdict": step.verdict.word(),
        "traffic": step.traffic.as_ref().map(traffic),
        "walks": step.walks.iter().map(walk).collect::<Vec<_>>(),
    })
}

/// What became of packets: the part of a step that bears the same name in [`run_document`].
pub fn traffic(traffic: &Traffic) -> Value {
    json!({
        "sent": traffic.sent,
        "delivered": traffic.delivered,
        "misdelivered": traffic.misdelivered,
        "dropped": drops(&traffic.dropped),
        "answers_sent": traffic.answers_sent,
        "answered": traffic.answered,
        "answers_dropped": drops(&traffic.answers_dropped),
    })
}

/// Counts by label; a reason that did not occur is left out.
fn drops(drops: &Drops) -> Map<String, Value> {
    drops.iter().map(|(reason, n)| (reason.label().to_owned(), json!(n))).collect()
}

fn walk(walk: &LegWalk) -> Value {
    let told = &walk.told;
    json!({
        "leg": match walk.leg {
            Leg::Request => "request",
            Leg::Answer => "answer",
            Leg::Notice => "notice",
        },
        "at_ns": told.at.as_nanos(),
        "sender": told.sender,
        "packet": told.packet,
        "ending": ending(&told.ending),
        "lines": told.lines.iter().map(line).collect::<Vec<_>>(),
        "blockers": told.remedy.blockers.iter().map(blocker).collect::<Vec<_>>(),
        "repair": told.remedy.changes,
        "no_repair": told.remedy.no_offer,
    })
}

fn blocker(blocker: &Obstacle) -> Value {
    json!({
        "way": remedy::way(blocker.way),
        "reason": blocker.reason,
        "at": blocker.at,
        "changes": blocker.changes,
        "no_change": blocker.no_offer,
    })
}

fn ending(ending: &Ending) -> Value {
    let (kind, at, reason, aws_code) = match ending {
        Ending::Delivered { at } => ("delivered", at, None, None),
        Ending::Misdelivered { at } => ("misdelivered", at, None, None),
        Ending::Dropped { reason, aws_code, at } => ("dropped", at, Some(*reason), *aws_code),
    };
    json!({ "kind": kind, "at": at, "reason": reason, "aws_code": aws_code })
}

fn line(line: &Line) -> Value {
    json!({ "subject": line.subject, "finding": line.finding })
}
