//! Generated pages are current. `BLESS=1 cargo test` writes them; the diff is for review.
//!
//! Holds the layout of each page. What is said on them comes from the enum, the table of the format
//! and the scenarios' own names.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use vpclab::api::dispatch::{Operation, operations};
use vpclab::forward::DropReason;
use vpclab::forward::reason::{MISDELIVERED, MISDELIVERED_CURE, MISDELIVERED_WHAT};
use vpclab::reach::lint::{LintRule, Severity};
use vpclab::scenario::{load, schema};

use crate::files;

/// What the folders of `scenarios/` are for, in the order of the index.
const FOLDERS: &[(&str, &str)] = &[
    ("first", "The one to begin with: it is on the README's first screen."),
    ("lessons", "One rule of VPC peering each, shown from both sides."),
    (
        "dns",
        "What a name resolves to, case by case: whose it is, who asks, and what was switched on.",
    ),
    (
        "profiles",
        "Each difference between the two rule books, as a pair: the same network and the same steps, \
         with another outcome. [docs/profiles.md](../docs/profiles.md) is the table.",
    ),
    ("drops", "One for each reason for which a packet is dropped, named after its label."),
    (
        "documented",
        "The configurations of the AWS guide to VPC peering. The letter is the chapter: `f` whole \
         VPCs, `s` specific subnets and addresses, `r` and `b` routes and blackholes, `sc` \
         scenarios, `u` configurations that are not supported.",
    ),
];

/// The page at `path` is `text`.
#[track_caller]
pub(crate) fn current(path: &str, text: &str) {
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(path, text).unwrap();
        return;
    }
    let have = fs::read_to_string(path).unwrap_or_default();
    // Not both texts: a diff after blessing shows more than an assertion could.
    assert!(have == text, "{path} is out of date: run `BLESS=1 cargo test`");
}

/// What the EC2 API has, from its own dispatch table.
#[test]
fn the_coverage_of_the_api() {
    let mut areas: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let mut order = Vec::new();
    for (area, operation) in operations() {
        if !areas.contains_key(area) {
            order.push(area);
        }
        areas.entry(area).or_default().push(operation);
    }
    let count: usize = areas.values().map(Vec::len).sum();
    let mut out = format!(
        "# What the EC2 API has\n\n\
         <!-- Generated from the dispatch table of src/api by `BLESS=1 cargo test`. -->\n\n\
         The {count} operations of EC2 that `vpclab serve` answers, with the parameters and filters \
         that each takes and what it lacks.\nBeside them `GetCallerIdentity` and `AssumeRole` of STS. \
         Every operation takes `DryRun`, and `ClientToken` and\n`TagSpecification` where it makes \
         something; `Describe...` takes `MaxResults` and `NextToken`. A parameter that is not listed \
         is\nignored, and the answer's header `x-vpclab-ignored` names it. Any other operation is \
         answered `InvalidAction`.\n"
    );
    for area in order {
        let _ = write!(
            out,
            "\n## {area}\n\n| operation | parameters | filters | not supported |\n| --- | --- | --- | --- |\n"
        );
        for operation in &areas[area] {
            let list = |names: &[&str]| {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
            };
            let Operation { name, takes, filters, lacks, .. } = operation;
            let _ = writeln!(out, "| `{name}` | {} | {} | {lacks} |", list(takes), list(filters));
        }
    }
    current("docs/ec2-coverage.md", &out);
}

#[test]
fn the_drop_reasons() {
    let mut out = String::from(
        "# Why packets are dropped\n\n\
         <!-- Generated from src/forward/reason.rs by `BLESS=1 cargo test`. -->\n\n\
         In the order in which the checks run: the first that fails names the drop. Labels and \
         numbers are stable; the gaps\nbelong to checks that are not emulated yet. The AWS code is \
         the one with which VPC Reachability Analyzer explains the\nsame finding. `vpclab explain \
         LABEL` prints an entry.\n\n\
         | number | label | AWS code | scenario |\n| ---: | --- | --- | --- |\n",
    );
    let scenario = |label: &str| format!("[{label}.yaml](../scenarios/drops/{label}.yaml)");
    for reason in DropReason::ALL {
        let (number, label) = (reason.number(), reason.label());
        let code = reason.aws_code().map_or_else(String::new, |code| format!("`{code}`"));
        let file = scenario(label);
        let _ = writeln!(out, "| {number} | [`{label}`](#{label}) | {code} | {file} |");
    }
    let file = scenario(MISDELIVERED);
    let _ = writeln!(out, "| | [`{MISDELIVERED}`](#{MISDELIVERED}), not a drop | | {file} |");
    for reason in DropReason::ALL {
        entry(&mut out, reason.label(), reason.what(), reason.cure());
    }
    entry(&mut out, MISDELIVERED, MISDELIVERED_WHAT, MISDELIVERED_CURE);
    current("docs/drop-reasons.md", &out);
}

fn entry(out: &mut String, label: &str, what: &str, cure: &str) {
    let _ = write!(out, "\n## {label}\n\n{what}\n\n**What to do.** {cure}\n");
}

#[test]
fn the_lint_rules() {
    let mut out = String::from(
        "# What `vpclab lint` finds\n\n\
         <!-- Generated from src/reach/lint/rule.rs by `BLESS=1 cargo test`. -->\n\n\
         Everything here is legal: the cloud accepts it, and a packet meets another fate than its \
         owner may expect. `vpclab lint FILE...`\nlooks at the network as it is declared, with \
         `--after` as the steps leave it. Exit code 1 says that there are warnings, with\n\
         `--strict` also hints. A route is judged by the addresses that somebody has; in a VPC \
         without instances everybody might have any.\nLabels and numbers are stable. \
         `vpclab explain LABEL` prints an entry. Each rule has a file in which it finds something, \
         and one, as\nnear to it, in which it finds nothing.\n\n\
         | number | label | severity | found in | not in |\n| ---: | --- | --- | --- | --- |\n",
    );
    for rule in LintRule::ALL {
        let (number, severity) = (rule.number(), rule.severity().name());
        let folder = "../tests/data/lint";
        let _ = writeln!(
            out,
            "| {number} | [`{rule}`](#{rule}) | {severity} | [file]({folder}/{rule}.yaml) | \
             [file]({folder}/fine/{rule}.yaml) |"
        );
    }
    for severity in Severity::ALL {
        assert!(LintRule::ALL.iter().any(|rule| rule.severity() == severity), "{severity:?}");
    }
    for rule in LintRule::ALL {
        entry(&mut out, rule.label(), rule.what(), rule.advice());
    }
    current("docs/lint.md", &out);
}

#[test]
fn the_index_of_scenarios() {
    let mut by_folder: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in files::scenarios("scenarios") {
        let below = path.strip_prefix("scenarios").unwrap();
        let folder = below.parent().and_then(Path::to_str).unwrap().to_owned();
        let file = below.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
        let loaded = load::load(&path);
        let loaded = loaded.unwrap_or_else(|failure| panic!("{:?}", files::said(&failure)));
        by_folder.entry(folder).or_default().push((file, loaded.file.name.value));
    }
    let mut out = String::from(
        "# Scenarios\n\n\
         <!-- Generated from the files' names by `BLESS=1 cargo test`. -->\n\n\
         Examples and tests in one: `vpclab run scenarios` runs them all, and each says in its \
         `about` why it is so.\n",
    );
    for (folder, about) in FOLDERS {
        let rows = by_folder.remove(*folder).unwrap_or_else(|| panic!("no {folder}"));
        let _ = write!(out, "\n## {folder}\n\n{about}\n\n| file | shows |\n| --- | --- |\n");
        for (file, name) in rows {
            let name = name.replace('|', "\\|");
            let _ = writeln!(out, "| [{file}]({folder}/{file}) | {name} |");
        }
    }
    assert!(by_folder.is_empty(), "no sentence for {:?}", by_folder.keys());
    current("scenarios/README.md", &out);
}

#[test]
fn the_keys_of_the_format() {
    let text = format!(
        "# Every key of a scenario file\n\n\
         <!-- Generated from src/scenario/format.rs by `BLESS=1 cargo test`. -->\n\n\
         The table that files are checked against. [scenario-format.md](scenario-format.md) says \
         what it means.\n\n{}",
        schema::reference().trim_end().to_owned() + "\n"
    );
    current("docs/scenario-keys.md", &text);
}

#[test]
fn the_schemas_of_the_format() {
    for (path, schema) in [
        ("docs/scenario.schema.json", schema::schema()),
        ("docs/network.schema.json", schema::network_schema()),
    ] {
        current(path, &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
    }
}
