//! What the tests of a run share: a small network, and running steps in it.
//!
//! Refuses to hold a test.

use super::load::parse;
use super::run::{Settings, run};
use crate::base::diag::Colour;
use crate::report::outcome::{Outcome, Verdict};

/// Three VPCs in a row, B in the middle; A and C hope to get through it.
pub(super) const NETWORK: &str = "\
vpclab: 1
name: rows
vpcs:
  A: {cidr: 10.0.0.0/16, route_tables: [x]}
  B: {cidr: 10.1.0.0/16}
  C: {cidr: 10.2.0.0/16}
peerings:
  AB: {requester: A, accepter: B}
  BC: {requester: B, accepter: C}
routes:
  A: {10.1.0.0/16: AB, 10.2.0.0/16: AB}
  B: {10.0.0.0/16: AB, 10.2.0.0/16: BC}
  C: {10.0.0.0/16: BC}
instances:
  a: {vpc: A, ip: 10.0.0.10}
  b: {vpc: B, ip: 10.1.0.10}
  b2: {vpc: B, ip: 10.1.0.20, source_dest_check: false}
  c: {vpc: C, ip: 10.2.0.10}
";

/// Runs a text.
///
/// # Errors
/// What is said about it if it cannot be run.
pub(super) fn outcome(text: &str, settings: Settings) -> Result<Outcome, String> {
    parse("x.yaml", text)
        .and_then(|loaded| run(&loaded, "".as_ref(), settings, &mut ()))
        .map_err(|failure| failure.diagnostics.render(&failure.sources, Colour::Plain))
}

/// Runs steps in [`NETWORK`].
#[track_caller]
pub(super) fn steps(steps: &str) -> Outcome {
    outcome(&format!("{NETWORK}steps:\n{steps}"), Settings::default()).expect("it can be run")
}

/// The last of these steps comes out so.
#[track_caller]
pub(super) fn last(text: &str, actual: &str, verdict: Verdict) {
    let outcome = steps(text);
    let step = outcome.steps.last().expect("a step");
    assert_eq!((step.actual.as_str(), step.verdict), (actual, verdict), "{text}");
}
