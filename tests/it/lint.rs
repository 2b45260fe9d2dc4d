//! Lint, file by file: `tests/data/lint` says on each first line what is to be found in it.
//!
//! `# lint: hub-transit B, hub-overlap A` names every finding by rule and subject, `# lint: nothing`
//! none; `# lint after steps:` looks when the steps have been taken. A case needs no Rust.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeSet;
use std::path::Path;

use vpclab::reach::lint::LintRule;
use vpclab::report::lint::{Linted, Told};
use vpclab::scenario::lint::{Moment, lint};
use vpclab::scenario::load;

use crate::files;

const FOLDER: &str = "tests/data/lint";

fn linted(path: &Path, moment: Moment) -> Linted {
    let linted = load::load(path).and_then(|file| lint(&file, path.parent().unwrap(), moment));
    linted.unwrap_or_else(|failure| {
        panic!("{} is refused:\n{}", path.display(), files::said(&failure).join("\n"))
    })
}

/// What a file promises: when to look, and what is to be found, sorted.
fn promised(path: &Path) -> (Moment, Vec<String>) {
    let text = files::promise(path, "lint");
    let (moment, list) = match text.strip_prefix("after steps:") {
        Some(list) => (Moment::AfterSteps, list),
        None => (Moment::Declared, text.strip_prefix(':').unwrap()),
    };
    let mut findings: Vec<String> = match list.trim() {
        "nothing" => Vec::new(),
        list => list.split(',').map(|finding| finding.trim().to_owned()).collect(),
    };
    findings.sort();
    (moment, findings)
}

fn short(told: &Told) -> String {
    format!("{} {}", told.rule, told.subject)
}

#[test]
fn files_yield_what_they_promise() {
    let mut wrong = Vec::new();
    for path in files::scenarios(FOLDER) {
        let (moment, want) = promised(&path);
        let linted = linted(&path, moment);
        let mut have: Vec<String> = linted.findings.iter().map(short).collect();
        have.sort();
        if have != want {
            let told: Vec<String> = linted.findings.iter().map(ToString::to_string).collect();
            wrong.push(format!("{}: want {want:?}, got\n{}", path.display(), told.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

/// Each rule has a file in which it finds something and one, as near to it, in which it finds nothing.
#[test]
fn every_rule_has_both_files() {
    for rule in LintRule::ALL {
        let found = format!("{FOLDER}/{rule}.yaml");
        let (_, want) = promised(Path::new(&found));
        let names_it = |finding: &String| finding.split(' ').next() == Some(rule.label());
        assert!(want.iter().any(names_it), "{found}");
        let fine = format!("{FOLDER}/fine/{rule}.yaml");
        let (_, want) = promised(Path::new(&fine));
        assert!(!want.iter().any(names_it), "{fine}");
    }
    let files = files::scenarios(FOLDER);
    let names: BTreeSet<_> = files.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    let named_after_a_rule = |name: &&str| LintRule::from_label(name).is_some();
    assert!(names.iter().all(named_after_a_rule), "{names:?}");
}
