//! Lint, file by file: `tests/data/lint` says on each first line what is to be found in it.
//!
//! `# lint: hub-transit B, hub-overlap A` names every finding by rule and subject, `# lint: nothing`
//! none; `# lint after steps:` looks when the steps have been taken. A case needs no Rust.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeSet;
use std::path::Path;

use vpclab::reach::lint::{LintRule, Severity};
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
    // `hub-transit.overlap.yaml` is a further case of its rule.
    let names = files.iter().filter_map(|path| path.file_name()?.to_str()?.split('.').next());
    let names: BTreeSet<&str> = names.collect();
    let named_after_a_rule = |name: &&str| LintRule::from_label(name).is_some();
    assert!(names.iter().all(named_after_a_rule), "{names:?}");
}

/// What helps depends on the network.
#[test]
fn sentences_say_what_would_help() {
    for (file, sentence) in [
        ("hub-transit", "peer B with C, with routes on both sides"),
        ("hub-transit", "route D over CD, its peering with C"),
        (
            "hub-transit.overlap",
            "B and C cannot be peered: 10.1.0.0/16 and 10.1.0.0/16 overlap; readdress one",
        ),
        ("edge-transit", "give B an edge of its own"),
        ("blackhole-route", "accept AB"),
        ("blackhole-route", "start proxy"),
        ("blackhole-route", "attach vpn, or delete the route or give it another target"),
        ("no-return-route", "add 10.0.0.0/16 -> AB to table B"),
        ("partial-return", "add 10.0.0.0/16 -> AB to table B/alone"),
        ("partial-return.replaced", "point 10.0.0.0/16 in table B/astray at AB"),
        (
            "asymmetric-return",
            "add routes longer than 10.1.0.0/16, to AC, for those who ask, to table A",
        ),
        ("acl-no-answers", "allow tcp 1024-65535 to 0.0.0.0/0 (egress)"),
        ("acl-no-answers", "allow udp 1024-65535 from 10.1.0.0/16 (ingress)"),
    ] {
        let path = format!("{FOLDER}/{file}.yaml");
        let (moment, _) = promised(Path::new(&path));
        let told = linted(Path::new(&path), moment).findings;
        let helps: Vec<&String> = told.iter().flat_map(|told| &told.help).collect();
        assert!(
            helps.iter().any(|help| *help == sentence),
            "{file}: no `{sentence}` in {helps:#?}"
        );
    }
}

/// The configurations of the AWS guide, and those of them that deserve a warning as they are declared:
/// each shows in its steps that something is lost, or begins with a peering that is pending.
#[test]
fn supported_configurations_get_no_warning() {
    use LintRule::{AsymmetricReturn, BlackholeRoute, EdgeTransit, HubTransit, NoReturnRoute};
    let warned: &[(&str, &[LintRule])] = &[
        ("b1-blackhole-until-active", &[BlackholeRoute]),
        ("b3-blackhole-shadows", &[BlackholeRoute]),
        ("f1-no-return-route", &[NoReturnRoute]),
        ("f1-no-route", &[NoReturnRoute]),
        ("f2-hopeful-route", &[HubTransit]),
        ("s3-bad-no-such-host", &[AsymmetricReturn]),
        ("s3-bad-response-routing", &[AsymmetricReturn]),
        ("s3-fix1-specific-route", &[AsymmetricReturn]),
        ("s3-fix2-two-subnets", &[AsymmetricReturn]),
        ("s3-fix3-host-route", &[AsymmetricReturn]),
        ("s5-longest-prefix", &[AsymmetricReturn]),
        ("s6-merged-table", &[NoReturnRoute, AsymmetricReturn]),
        ("sc2-overlapping-customers", &[BlackholeRoute]),
        ("u10-gateway-endpoint", &[EdgeTransit]),
        ("u5b-transitive-all-routes", &[HubTransit]),
        ("u5c-transitive-one-side", &[HubTransit]),
        ("u5d-transitive-default-route", &[HubTransit]),
        ("u5e-transitive-cure", &[HubTransit]),
        ("u6-vpn", &[EdgeTransit]),
        ("u7-direct-connect", &[EdgeTransit]),
        ("u8-internet-gateway", &[EdgeTransit]),
        ("u8-v6", &[EdgeTransit]),
        ("u9-nat-gateway", &[EdgeTransit]),
        ("u9-nat-instance", &[EdgeTransit]),
    ];
    let mut wrong = Vec::new();
    for path in files::scenarios("scenarios/documented") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let row = warned.iter().find(|(file, _)| *file == name);
        let want: BTreeSet<LintRule> =
            row.into_iter().flat_map(|(_, rules)| *rules).copied().collect();
        let findings = linted(&path, Moment::Declared).findings;
        let warnings = findings.iter().filter(|t| t.rule.severity() == Severity::Warning);
        let have: BTreeSet<LintRule> = warnings.map(|told| told.rule).collect();
        if have != want {
            wrong.push(format!("{name}: want {want:?}, got {have:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
