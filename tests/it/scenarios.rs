//! Every scenario file does what it claims, whoever judges and however often it is run.
//!
//! Adding a file below `scenarios/`, `tests/data/refused/` or `tests/data/failing/` adds a test.

use vpclab::report::outcome::Verdict;
use vpclab::sim::Twin;

use crate::files;

#[test]
fn every_scenario_holds() {
    let mut wrong = Vec::new();
    for path in files::scenarios("scenarios") {
        match files::run(&path, Twin::Compiled) {
            Ok(ran) => wrong.extend(files::failed_steps(&ran.outcome)),
            Err(failure) => {
                let said = files::said(&failure);
                wrong.extend(said.iter().map(|line| format!("{}: {line}", path.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Same file, same seed: the same outcome and the same capture, byte for byte, when it is run again
/// and when the other forwarder judges.
#[test]
fn every_scenario_comes_out_the_same_again() {
    let mut wrong = Vec::new();
    for path in files::scenarios("scenarios") {
        let Ok(first) = files::run(&path, Twin::Compiled) else {
            wrong.push(format!("{} cannot be run", path.display()));
            continue;
        };
        for twin in [Twin::Compiled, Twin::Reference] {
            let again = files::must_run(&path, twin);
            if again.outcome != first.outcome {
                wrong.push(format!("{}: another outcome, {twin:?}", path.display()));
            }
            if again.capture != first.capture {
                wrong.push(format!("{}: another capture, {twin:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The first line of each file has words that a diagnostic must say.
#[test]
fn every_refused_file_is_refused_for_its_reason() {
    let mut wrong = Vec::new();
    for path in files::scenarios("tests/data/refused") {
        let promise = files::promise(&path, "refused:");
        match files::run(&path, Twin::Compiled) {
            Ok(_) => wrong.push(format!("{}: is taken, want `{promise}`", path.display())),
            Err(failure) => {
                let said = files::said(&failure);
                if !said.iter().any(|line| line.contains(&promise)) {
                    wrong.push(format!("{}: no `{promise}` in {said:?}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The first line of each file has words that stand in what came of a failed step.
#[test]
fn every_failing_file_fails_for_its_reason() {
    let mut wrong = Vec::new();
    for path in files::scenarios("tests/data/failing") {
        let promise = files::promise(&path, "fails:");
        let outcome = files::must_run(&path, Twin::Compiled).outcome;
        let failed = outcome.steps.iter().filter(|step| step.verdict == Verdict::Failed);
        let actual: Vec<&str> = failed.map(|step| step.actual.as_str()).collect();
        if outcome.held() || !actual.iter().any(|text| text.contains(&promise)) {
            wrong.push(format!("{}: no `{promise}` in {actual:?}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
