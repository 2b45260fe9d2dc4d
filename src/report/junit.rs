//! Results for continuous integration: the XML that JUnit made customary.
//!
//! ```text
//! testsuites ─► testsuite (a scenario) ─► testcase (an expectation) ─► failure | error | skipped
//!                                                                   └► system-out
//! ```
//!
//! Holds the input types, the writer, and [`suites`], which makes the one of a run. Written to what the xunit plugin's `junit-10.xsd` allows,
//! which Jenkins and GitLab both read. Refuses host names and time stamps, which the format leaves
//! optional: the same results give the same bytes. Durations are virtual.

use std::io;

use super::outcome::{self, StepOutcome, Verdict};
use super::terminal;
use super::xml::{Attribute, Text};
use crate::base::time::{Instant, Span};

/// The results of one scenario.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Suite {
    /// What the scenario is called; a file's path serves well.
    pub name: String,
    /// Its checks, in the order in which they are to be shown.
    pub cases: Vec<Case>,
}

/// The result of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// What was checked; readers tell cases apart by class and name together.
    pub name: String,
    /// What the case belongs to. Readers show it as a path with dots, so a scenario's name goes
    /// here.
    pub classname: String,
    /// How long it took in virtual time.
    pub took: Span,
    /// How it ended.
    pub outcome: Outcome,
    /// What else there is to read, such as a trace; left out if empty.
    pub output: String,
}

/// How a check ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// As expected.
    Pass,
    /// Not as expected: the scenario's statement about the network is wrong.
    Fail(Finding),
    /// There is no answer, since the check could not be carried out.
    Error(Finding),
    /// Nobody asked: something before it made the check pointless.
    Skipped {
        /// What that was, in one line.
        because: String,
    },
}

/// What is said about a check that did not pass.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Finding {
    /// One line, shown in overviews.
    pub message: String,
    /// As many lines as needed; may be empty.
    pub detail: String,
}

/// Numbers of one suite or of all.
#[derive(Clone, Copy, Default)]
struct Totals {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    took: Span,
}

impl Totals {
    fn of<'a>(cases: impl Iterator<Item = &'a Case>) -> Totals {
        cases.fold(Totals::default(), |mut sum, case| {
            sum.tests += 1;
            sum.took = sum.took + case.took;
            match case.outcome {
                Outcome::Pass => {}
                Outcome::Fail(_) => sum.failures += 1,
                Outcome::Error(_) => sum.errors += 1,
                Outcome::Skipped { .. } => sum.skipped += 1,
            }
            sum
        })
    }
}

/// Writes one document: `run` names the whole, `suites` come in the order given.
///
/// Cost: one pass for the totals and one for the text. `out` sees many small writes; a file wants a
/// buffer around it.
///
/// # Errors
/// Those of `out`.
pub fn write(mut out: impl io::Write, run: &str, suites: &[Suite]) -> io::Result<()> {
    let all = Totals::of(suites.iter().flat_map(|suite| &suite.cases));
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    // The schema knows no total of skipped cases at this level.
    writeln!(
        out,
        r#"<testsuites name="{}" tests="{}" failures="{}" errors="{}" time="{}">"#,
        Attribute(run),
        all.tests,
        all.failures,
        all.errors,
        seconds(all.took),
    )?;
    for suite in suites {
        write_suite(&mut out, suite)?;
    }
    writeln!(out, "</testsuites>")
}

fn write_suite(out: &mut impl io::Write, suite: &Suite) -> io::Result<()> {
    let sum = Totals::of(suite.cases.iter());
    writeln!(
        out,
        r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" time="{}">"#,
        Attribute(&suite.name),
        sum.tests,
        sum.failures,
        sum.errors,
        sum.skipped,
        seconds(sum.took),
    )?;
    for case in &suite.cases {
        write_case(out, case)?;
    }
    writeln!(out, "  </testsuite>")
}

fn write_case(out: &mut impl io::Write, case: &Case) -> io::Result<()> {
    write!(
        out,
        r#"    <testcase name="{}" classname="{}" time="{}""#,
        Attribute(&case.name),
        Attribute(&case.classname),
        seconds(case.took),
    )?;
    if case.outcome == Outcome::Pass && case.output.is_empty() {
        return writeln!(out, "/>");
    }
    writeln!(out, ">")?;
    match &case.outcome {
        Outcome::Pass => {}
        Outcome::Fail(finding) => write_finding(out, "failure", "expectation", finding)?,
        Outcome::Error(finding) => write_finding(out, "error", "not-run", finding)?,
        Outcome::Skipped { because } => {
            writeln!(out, r#"      <skipped message="{}"/>"#, Attribute(because))?;
        }
    }
    if !case.output.is_empty() {
        // Nothing is indented here, because all of it counts as content.
        writeln!(out, "      <system-out>{}</system-out>", Text(&case.output))?;
    }
    writeln!(out, "    </testcase>")
}

/// A finding as element `tag` of type `kind`, which some readers insist on.
fn write_finding(
    out: &mut impl io::Write,
    tag: &str,
    kind: &str,
    finding: &Finding,
) -> io::Result<()> {
    writeln!(
        out,
        r#"      <{tag} message="{}" type="{kind}">{}</{tag}>"#,
        Attribute(&finding.message),
        Text(&finding.detail),
    )
}

/// The results of a run: one suite for each scenario, one case for each step, and one more for a
/// scenario that was cut short.
///
/// A step lasts until the next one begins. What failed carries its walks as the terminal shows them.
/// A file that could not be run is a suite with one error.
pub fn suites(outcomes: &[outcome::Outcome], unusable: &[outcome::Unusable]) -> Vec<Suite> {
    outcomes.iter().map(suite_of).chain(unusable.iter().map(not_run)).collect()
}

fn not_run(file: &outcome::Unusable) -> Suite {
    let message = file.why.lines().next().unwrap_or_default().to_owned();
    let case = Case {
        name: "the whole run".to_owned(),
        classname: classname(&file.file),
        took: Span::ZERO,
        outcome: Outcome::Error(Finding { message, detail: file.why.clone() }),
        output: String::new(),
    };
    Suite { name: file.file.clone(), cases: vec![case] }
}

fn suite_of(scenario: &outcome::Outcome) -> Suite {
    let class = classname(&scenario.file);
    let ends = scenario.steps.iter().skip(1).map(|step| step.at).chain([scenario.ended]);
    let steps = scenario.steps.iter().zip(ends);
    let mut cases: Vec<Case> =
        steps.map(|(step, end)| case_of(&scenario.file, &class, step, end)).collect();
    if let Some(why) = &scenario.aborted {
        cases.push(Case {
            name: "the whole run".to_owned(),
            classname: class,
            took: Span::ZERO,
            outcome: Outcome::Error(Finding { message: why.clone(), detail: String::new() }),
            output: String::new(),
        });
    }
    Suite { name: scenario.file.clone(), cases }
}

fn case_of(file: &str, class: &str, step: &StepOutcome, end: Instant) -> Case {
    let outcome = match step.verdict {
        Verdict::Held | Verdict::Unjudged => Outcome::Pass,
        Verdict::Failed => {
            let expected = step.expected.as_deref().unwrap_or("success");
            let walks = terminal::walks(&step.walks);
            Outcome::Fail(Finding {
                message: format!("expected {expected}, got {}", step.actual),
                detail: format!(
                    "at        {file}:{}\nexpected  {expected}\nactual    {}\n{walks}",
                    step.line, step.actual
                ),
            })
        }
    };
    Case {
        // The number tells equal actions apart.
        name: format!("{} {}", step.number, step.action),
        classname: class.to_owned(),
        took: end.since(step.at),
        outcome,
        output: step.note.clone().unwrap_or_default(),
    }
}

/// The path of a scenario with dots between its parts and without its extension:
/// `scenarios.drops.transit`.
fn classname(file: &str) -> String {
    let stem = file.strip_suffix(".yaml").unwrap_or(file);
    let parts = stem.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."));
    parts.collect::<Vec<_>>().join(".")
}

/// Seconds with nine decimals, computed in integers so that they are exact.
fn seconds(span: Span) -> String {
    const NANOS: u64 = 1_000_000_000;
    format!("{}.{:09}", span.as_nanos() / NANOS, span.as_nanos() % NANOS)
}

#[cfg(test)]
mod tests;
