//! The terminal summary: reads like a test runner, and tells why.
//!
//! Holds the layout of one scenario's result and of the closing line. Refuses to know a terminal:
//! colour is an argument, and whoever prints decides where to.

use std::fmt::Write;

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

/// How much to tell of a scenario that held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Its line.
    Line,
    /// Every step, and the walk of every packet.
    Walks,
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

/// One scenario. A failed one is told in full: each failed step with what was expected, what came
/// of it, the walks and the smallest change that would let the packet through.
pub fn scenario(outcome: &Outcome, detail: Detail, paint: Paint) -> String {
    let mut out = String::new();
    let (word, tone) = if outcome.held() { ("ok  ", Tone::Good) } else { ("FAIL", Tone::Bad) };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{} {}  {}",
        paint.paint(tone, word),
        outcome.file,
        paint.paint(Tone::Dim, &format!("{} ({})", outcome.name, steps(outcome.steps.len())))
    );
    for step in &outcome.steps {
        let shown = detail == Detail::Walks || step.verdict == Verdict::Failed;
        if shown {
            out += &self::step(outcome, step, detail, paint);
        }
    }
    if let Some(why) = &outcome.aborted {
        let _ = writeln!(out, "  {} {why}", paint.paint(Tone::Bad, "stopped:"));
    }
    out
}

fn steps(n: usize) -> String {
    if n == 1 { "1 step".to_owned() } else { format!("{n} steps") }
}

fn step(outcome: &Outcome, step: &StepOutcome, detail: Detail, paint: Paint) -> String {
    let mut out = String::new();
    let failed = step.verdict == Verdict::Failed;
    let (mark, tone) = match step.verdict {
        Verdict::Held => ("ok", Tone::Good),
        Verdict::Failed => ("FAIL", Tone::Bad),
        Verdict::Unjudged => ("--", Tone::Dim),
    };
    let _ = writeln!(
        out,
        "  {} {:<2} {}  {}",
        paint.paint(tone, &format!("{mark:<4}")),
        step.number,
        paint.paint(Tone::Strong, &step.action),
        if failed { String::new() } else { step.actual.clone() }
    );
    if let Some(note) = &step.note
        && detail == Detail::Walks
    {
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
    if !step.repair.is_empty() {
        let _ = writeln!(out, "              would pass: {}", step.repair.join("; "));
    }
    out
}

/// Walks by themselves, with what would let the packet through.
pub fn walks(walks: &[LegWalk], repair: &[String]) -> String {
    let mut out: String = walks.iter().map(|walk| told(&walk.told, walk.leg) + "\n").collect();
    if !repair.is_empty() {
        let _ = writeln!(out, "    would pass: {}", repair.join("; "));
    }
    out
}

/// A walk with the leg it was on.
fn told(told: &Told, leg: Leg) -> String {
    match leg {
        Leg::Request => told.to_string(),
        Leg::Answer => format!("answer: {told}"),
    }
}

fn indent(text: &str, columns: usize) -> String {
    text.lines().map(|line| format!("{:columns$}{line}\n", "")).collect()
}

/// The closing line: how many scenarios and steps, and how many did not hold.
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
    format!("\n{} ({steps} steps, {packets} packets)\n", paint.paint(tone, &text))
}
