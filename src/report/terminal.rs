//! The terminal summary: reads like a test runner, and tells why.
//!
//! Holds the layout of one scenario's result and of the closing line. Refuses to know a terminal:
//! colour is an argument, and whoever prints decides where to.

use std::fmt::Write;

use crate::reach::lint::Severity;
use crate::report::lint::{self, Linted};
use crate::report::outcome::{LegWalk, Outcome, StepOutcome, Verdict};
use crate::report::told::{Ending, Told};
use crate::sim::Leg;

/// Whether to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    /// No.
    Plain,
    /// With ANSI escape sequences.
    Ansi,
}

/// Which steps to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Those that failed.
    Failed,
    /// All.
    All,
}

#[derive(Clone, Copy)]
enum Tone {
    Good,
    Bad,
    Dim,
    Strong,
}

impl Paint {
    fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The line of one scenario.
pub fn line(outcome: &Outcome, paint: Paint) -> String {
    let (word, tone) = if outcome.held() { ("ok  ", Tone::Good) } else { ("FAIL", Tone::Bad) };
    let claim = format!("{} ({})", outcome.name, count(outcome.steps.len(), "step"));
    format!("{} {}  {}\n", paint.paint(tone, word), outcome.file, paint.paint(Tone::Dim, &claim))
}

/// The steps of one scenario: all of them, or those that failed. A failed step says what was
/// expected and what came of it; packets that did not arrive are told with their walks and the
/// smallest change that would let them through.
pub fn steps(outcome: &Outcome, detail: Detail, paint: Paint) -> String {
    let mut out = String::new();
    for step in &outcome.steps {
        if detail == Detail::All || step.verdict == Verdict::Failed {
            out += &self::step(outcome, step, paint);
        }
    }
    if let Some(why) = &outcome.aborted {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {} {why}", paint.paint(Tone::Bad, "stopped:"));
    }
    out
}

/// `1 step`, `2 steps`.
fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn step(outcome: &Outcome, step: &StepOutcome, paint: Paint) -> String {
    let mut out = String::new();
    let failed = step.verdict == Verdict::Failed;
    let (mark, tone) = match step.verdict {
        Verdict::Held => ("ok", Tone::Good),
        Verdict::Failed => ("FAIL", Tone::Bad),
        Verdict::Unjudged => ("--", Tone::Dim),
    };
    let mark = paint.paint(tone, &format!("{mark:<4}"));
    let result = if failed { String::new() } else { format!("  {}", step.actual) };
    let action = paint.paint(Tone::Strong, &step.action);
    let _ = writeln!(out, "  {mark} {:<2} {action}{result}", step.number);
    if let Some(note) = &step.note {
        let _ = writeln!(out, "          {}", paint.paint(Tone::Dim, note));
    }
    if failed {
        let _ = writeln!(out, "          at        {}:{}", outcome.file, step.line);
        let expected = step.expected.as_deref().unwrap_or("success");
        let _ = writeln!(out, "          expected  {expected}");
        let _ = writeln!(out, "          actual    {}", paint.paint(Tone::Bad, &step.actual));
    }
    for walk in &step.walks {
        let arrived = matches!(walk.told.ending, Ending::Delivered { .. });
        // Of a step that came out as expected, what arrived needs no telling.
        if failed || !arrived {
            out += &indent(&told(&walk.told, walk.leg), 10);
        }
    }
    out
}

/// Walks by themselves.
pub fn walks(walks: &[LegWalk]) -> String {
    walks.iter().map(|walk| told(&walk.told, walk.leg) + "\n").collect()
}

/// A walk with the leg it was on.
fn told(told: &Told, leg: Leg) -> String {
    match leg {
        Leg::Request => told.to_string(),
        Leg::Answer => format!("answer: {told}"),
        Leg::Notice => format!("notice: {told}"),
    }
}

fn indent(text: &str, columns: usize) -> String {
    text.lines().map(|line| format!("{:columns$}{line}\n", "")).collect()
}

/// The closing line: how many scenarios held, and on what they were judged.
pub fn closing(outcomes: &[Outcome], unusable: usize, paint: Paint) -> String {
    let held = outcomes.iter().filter(|o| o.held()).count();
    let failed = outcomes.len() - held;
    let steps: usize = outcomes.iter().map(|o| o.steps.len()).sum();
    let packets: u64 = outcomes.iter().map(|o| o.packets).sum();
    let mut text = format!("{held} held, {failed} failed");
    if unusable > 0 {
        let _ = write!(text, ", {unusable} could not be run");
    }
    let tone = if failed + unusable == 0 { Tone::Good } else { Tone::Bad };
    let packets = if packets == 1 { "1 packet".to_owned() } else { format!("{packets} packets") };
    format!("{} ({}, {packets})\n", paint.paint(tone, &text), count(steps, "step"))
}

/// A finding of lint, with its helps below it.
pub fn finding(told: &lint::Told, paint: Paint) -> String {
    let severity = told.rule.severity();
    let tone = match severity {
        Severity::Warning => Tone::Bad,
        Severity::Hint => Tone::Dim,
    };
    let mark = paint.paint(tone, &format!("{}[{}]", severity.name(), told.rule));
    let subject = paint.paint(Tone::Strong, &format!("{} {}", told.noun, told.subject));
    let mut out = format!("{mark} {subject}: {}\n", told.message);
    for help in &told.help {
        let _ = writeln!(out, "  {} {help}", paint.paint(Tone::Dim, "help:"));
    }
    out
}

/// The closing line of lint: how much was found, and where.
pub fn lint_closing(linted: &[Linted], paint: Paint) -> String {
    let of = |severity| linted.iter().map(|file| file.count(severity)).sum::<usize>();
    let (warnings, hints) = (of(Severity::Warning), of(Severity::Hint));
    let tone = if warnings == 0 { Tone::Good } else { Tone::Bad };
    let text = format!("{}, {}", count(warnings, "warning"), count(hints, "hint"));
    format!("{} in {}\n", paint.paint(tone, &text), count(linted.len(), "file"))
}
