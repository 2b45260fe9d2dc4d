//! A summary as a screen of text.
//!
//! Holds the layout. Refuses to know a terminal: size and colour are arguments, and whoever prints
//! moves the cursor.

use std::fmt::Write;

use super::{Summary, Talk, Volume};
use crate::base::time::Span;
use crate::report::told::Told;

/// How much room there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Rows of text.
    pub rows: u16,
    /// Columns of text.
    pub columns: u16,
}

/// Pairs that are shown at least, before other parts have to do with less.
const TALKS_MIN: usize = 4;

/// The screen: a headline, who talks to whom, drops by reason, and the last drop explained. As many
/// rows as there is room for; longer ones are cut.
pub fn screen(headline: &str, summary: &Summary, size: Size) -> String {
    let reasons = reasons(summary);
    let last = last(summary);
    let fixed = 5 + reasons.len() + last.len();
    let room = usize::from(size.rows).saturating_sub(fixed).max(TALKS_MIN);
    let mut lines = vec![headline.to_owned(), total(summary), String::new()];
    lines.extend(talks(&summary.talks, summary.over, room));
    lines.push(String::new());
    lines.extend(reasons);
    lines.extend(last);
    let mut out = String::new();
    for line in lines.iter().take(size.rows.into()) {
        // Names are somebody's tags and may hold anything.
        let plain = line.chars().map(|c| if c.is_control() { '?' } else { c });
        let cut: String = plain.take(size.columns.into()).collect();
        // Writing to a string does not fail.
        let _ = writeln!(out, "{}", cut.trim_end());
    }
    out
}

fn total(summary: &Summary) -> String {
    let (since, total) = summary.delivered;
    let (packets, bits) = rates(since, summary.over);
    format!(
        "delivered: {packets} packets/s, {bits} bit/s; {} packets, {} bytes in all",
        scaled(total.packets as f64),
        scaled(total.bytes as f64)
    )
}

fn talks(talks: &[Talk], over: Span, room: usize) -> Vec<String> {
    if talks.is_empty() {
        return vec!["nobody has talked yet".to_owned()];
    }
    let shown = talks.get(..talks.len().min(room)).unwrap_or_default();
    let width = |of: fn(&Talk) -> &str| {
        shown.iter().map(|talk| of(talk).chars().count()).max().unwrap_or(0).max(4)
    };
    let (from, to) = (width(|talk| &talk.from), width(|talk| &talk.to));
    let mut lines = vec![format!(
        "{:from$}  {:to$}  {:>10}  {:>10}  {:>10}",
        "from", "to", "packets/s", "bit/s", "packets"
    )];
    lines.extend(shown.iter().map(|talk| {
        let (packets, bits) = rates(talk.since, over);
        let total = scaled(talk.total.packets as f64);
        format!("{:from$}  {:to$}  {packets:>10}  {bits:>10}  {total:>10}", talk.from, talk.to)
    }));
    if talks.len() > shown.len() {
        lines.push(format!("and {} pairs more", talks.len() - shown.len()));
    }
    lines
}

fn reasons(summary: &Summary) -> Vec<String> {
    if summary.reasons.is_empty() {
        return vec!["nothing was dropped".to_owned()];
    }
    let mut lines = vec![format!("{:<22}  {:>10}  {:>10}", "dropped", "packets/s", "packets")];
    lines.extend(summary.reasons.iter().map(|reason| {
        let (packets, _) = rates(reason.since, summary.over);
        let total = scaled(reason.total.packets as f64);
        format!("{:<22}  {packets:>10}  {total:>10}", reason.reason.label())
    }));
    lines
}

fn last(summary: &Summary) -> Vec<String> {
    let Some((at, told)) = &summary.last else { return Vec::new() };
    let ago = summary.now.since((*at).min(summary.now)).as_nanos() / 1_000_000_000;
    let mut lines = vec![String::new(), format!("last drop, {ago} s ago:")];
    lines.extend(explained(told).lines().map(|line| format!("  {line}")));
    lines
}

/// A walk in words, without the time.
pub fn explained(told: &Told) -> String {
    let text = told.to_string();
    text.strip_prefix(&format!("{}  ", told.at)).unwrap_or(&text).to_owned()
}

/// Packets and bits a second.
fn rates(volume: Volume, over: Span) -> (String, String) {
    let seconds = over.as_nanos() as f64 / 1e9;
    let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    (scaled(rate(volume.packets)), scaled(rate(volume.bytes.saturating_mul(8))))
}

/// A number with three digits and a prefix: `9.41 G`, `640`, `0`.
fn scaled(number: f64) -> String {
    const PREFIXES: [&str; 5] = ["", " k", " M", " G", " T"];
    let mut rest = number;
    let mut row = 0;
    while rest >= 999.5 && row + 1 < PREFIXES.len() {
        rest /= 1_000.0;
        row += 1;
    }
    let prefix = PREFIXES.get(row).unwrap_or(&"");
    let digits = match rest {
        _ if row == 0 && rest.fract() == 0.0 => 0,
        r if r >= 99.95 => 0,
        r if r >= 9.995 => 1,
        _ => 2,
    };
    format!("{rest:.digits$}{prefix}")
}
