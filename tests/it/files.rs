//! What the tests of scenario files share: finding them and running them.
//!
//! Paths are relative to the package, which is where tests are run. Refuses to hold a test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::fs;
use std::path::{Path, PathBuf};

use vpclab::report::capture::Capture;
use vpclab::report::outcome::{Outcome, Verdict};
use vpclab::report::pcapng::CalendarStart;
use vpclab::scenario::load::{self, Failure};
use vpclab::scenario::run::{self, Settings};
use vpclab::sim::Twin;

/// Every file below `folder` whose name ends with `ending`, sorted by path.
pub(crate) fn below(folder: &str, ending: &str) -> Vec<PathBuf> {
    fn descend(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                descend(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    descend(Path::new(folder), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "there is no *{ending} in {folder}");
    found
}

/// Every scenario below `folder`; network files are not scenarios.
pub(crate) fn scenarios(folder: &str) -> Vec<PathBuf> {
    let mut all = below(folder, ".yaml");
    all.retain(|path| !path.to_string_lossy().ends_with(".net.yaml"));
    all
}

/// What comes of running a file.
#[derive(PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    /// The bytes of its capture file.
    pub(crate) capture: Vec<u8>,
}

/// Runs a file as `vpclab run --pcap` does.
pub(crate) fn run(path: &Path, twin: Twin) -> Result<Ran, Failure> {
    let loaded = load::load(path)?;
    let start = CalendarStart::from_unix_seconds(loaded.file.start.value).unwrap();
    let mut capture = Capture::new(Vec::new(), start);
    let directory = path.parent().unwrap();
    let settings = Settings { twin, ..Settings::default() };
    let outcome = run::run(&loaded, directory, settings, &mut capture)?;
    let (capture, tally) = capture.finish().unwrap();
    assert_eq!(tally.left_out, 0, "{}: scenarios are small", path.display());
    assert_eq!(tally.bytes, capture.len() as u64);
    Ok(Ran { outcome, capture })
}

/// Runs a file of which it is known that it can be run.
pub(crate) fn must_run(path: &Path, twin: Twin) -> Ran {
    run(path, twin).unwrap_or_else(|failure| {
        let said: Vec<String> = said(&failure);
        panic!("{} is refused:\n{}", path.display(), said.join("\n"))
    })
}

/// What the diagnostics say in their own words, without the excerpts of the file.
pub(crate) fn said(failure: &Failure) -> Vec<String> {
    let words = |d: &vpclab::base::diag::Diagnostic| {
        let parts = [&d.message].into_iter().chain(&d.label).chain(&d.notes).chain(&d.help);
        parts.cloned().collect::<Vec<_>>()
    };
    failure.diagnostics.iter().flat_map(words).collect()
}

/// The failed steps of a scenario, a line each.
pub(crate) fn failed_steps(outcome: &Outcome) -> Vec<String> {
    let failed = outcome.steps.iter().filter(|step| step.verdict == Verdict::Failed);
    let mut lines: Vec<String> = failed
        .map(|step| {
            let expected = step.expected.as_deref().unwrap_or("success");
            let (file, line, action) = (&outcome.file, step.line, &step.action);
            format!("{file}:{line}: {action}: expected {expected}, got {}", step.actual)
        })
        .collect();
    lines.extend(outcome.aborted.as_ref().map(|why| format!("{}: {why}", outcome.file)));
    lines
}

/// What follows `mark` on the first line of a file: `# refused: overlap`.
pub(crate) fn promise(path: &Path, mark: &str) -> String {
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let first = text.lines().next().unwrap_or_default();
    let promise = first.strip_prefix("# ").and_then(|rest| rest.strip_prefix(mark));
    let promise = promise.unwrap_or_else(|| panic!("{}: want `# {mark} …`", path.display()));
    promise.trim().to_owned()
}
