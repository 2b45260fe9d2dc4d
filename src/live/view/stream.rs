//! A summary as lines of JSON, one object each.
//!
//! Holds their shape, which is an interface: fields may be added, none changes its meaning. Refuses
//! to hold counts.

use serde_json::{Value, json};

use super::screen::explained;
use super::{Summary, Volume};

/// One `traffic` line for each pair that has talked since the last summary and one `drop` line for
/// each kind of drop there was. `at` is in seconds since 1970.
pub fn lines(summary: &Summary) -> Vec<Value> {
    let at = summary.now.as_nanos() as f64 / 1e9;
    let over = summary.over.as_nanos() as f64 / 1e9;
    let volume = |volume: Volume| json!({"packets": volume.packets, "bytes": volume.bytes});
    let talks = summary.talks.iter().filter(|talk| talk.since.packets > 0).map(|talk| {
        json!({
            "event": "traffic", "at": at, "seconds": over, "from": talk.from, "to": talk.to,
            "since": volume(talk.since), "total": volume(talk.total),
        })
    });
    let drops = summary.ended.iter().map(|ended| {
        json!({
            "event": "drop", "at": at, "seconds": over, "from": ended.from, "to": ended.to,
            "reason": ended.reason.label(), "aws_code": ended.reason.aws_code(),
            "since": volume(ended.since), "explanation": explained(&ended.told),
        })
    });
    talks.chain(drops).collect()
}
