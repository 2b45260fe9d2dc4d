//! Rules of the source text that the compiler does not know: the levels, who may name which crate,
//! where the host is out of reach, and that nothing is missing from a map.
//!
//! Reads lines without their comments. A finding says `path:line: what is wrong`.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use vpclab::forward::DropReason;
use vpclab::forward::reason::MISDELIVERED;

/// The folders from the bottom up. A module uses levels below its own, and no sibling.
const LEVELS: &[(u8, &str)] = &[
    (0, "base"),
    (1, "wire"),
    (2, "cloud"),
    (3, "forward"),
    (4, "sim"),
    (4, "reach"),
    (5, "report"),
    (6, "bench"),
    (6, "scenario"),
    (6, "api"),
    (6, "live"),
    (6, "import"),
    (7, "cli"),
];

/// The lowest level that may know the host.
const HOST_LEVEL: u8 = 6;

/// What only the host has: clocks, chance, the environment, files, sockets, threads.
const HOST: &[&str] = &[
    "std::time",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "fs",
    "File",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "UnixStream",
    "rand",
    "getrandom",
    "RandomState",
];

/// Crates and the paths below `src/` that may name them: one place for each format and each store.
const CRATES: &[(&str, &[&str])] = &[
    ("etherparse", &["wire/"]),
    ("smoltcp", &["sim/tcp"]),
    ("saphyr_parser", &["scenario/yaml"]),
    ("annotate_snippets", &["base/diag"]),
    ("serde_json", &["report/json.rs", "scenario/", "cli/", "api/", "live/"]),
    ("jiff", &["report/json.rs", "scenario/", "api/"]),
    ("tokio", &["api/", "cli/", "live/"]),
    ("hyper", &["api/http", "cli/", "live/services/metadata"]),
    ("simple_dns", &["live/services/dns"]),
    ("redb", &["api/journal"]),
    ("postcard", &["api/journal", "api/entry.rs", "cloud/tests/properties.rs", "base/id.rs"]),
    ("prometheus_client", &["api/metrics.rs"]),
    ("hmac", &["api/signature"]),
    ("sha2", &["api/signature"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("anstream", &["cli/"]),
    ("indicatif", &["cli/"]),
    ("tracing_subscriber", &["cli/"]),
    ("nix", &["live/"]),
    ("rustix", &["live/", "cli/up.rs"]),
    ("tun_rs", &["live/netns.rs"]),
    ("netlink_packet_core", &["live/netns.rs"]),
    ("netlink_packet_route", &["live/netns.rs"]),
    ("netlink_sys", &["live/netns.rs", "live/ethtool.rs"]),
];

/// Lines of a file before it is to be split by noun.
const LINES_MAX: usize = 900;

/// A file, and its lines without comments.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The path below `src/`, with `/`.
    fn name(&self) -> String {
        let path = self.path.strip_prefix("src").unwrap_or(&self.path);
        path.to_string_lossy().replace('\\', "/")
    }

    /// Its folder: `report` also for `src/report/json.rs`; `None` for the two files of the root.
    fn folder(&self) -> Option<String> {
        let name = self.name();
        name.split_once('/').map(|(folder, _)| folder.to_owned())
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(row, line)| (row + 1, code(line)))
    }
}

/// The line without its comment.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn sources(folder: &str) -> Vec<Source> {
    fn descend(folder: &Path, out: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                descend(&path, out);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                out.push(Source { path, text });
            }
        }
    }
    let mut out = Vec::new();
    descend(Path::new(folder), &mut out);
    out.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!out.is_empty(), "nothing in {folder}");
    out
}

fn level(folder: &str) -> Option<u8> {
    LEVELS.iter().find(|(_, name)| *name == folder).map(|(level, _)| *level)
}

/// Where `word` stands in `line` as a word of its own.
fn positions<'l>(line: &'l str, word: &'l str) -> impl Iterator<Item = usize> + 'l {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !line[..*at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    })
}

/// The modules of the crate that a line names: behind `crate::`, and in a group behind it.
fn modules_named(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    for at in positions(line, "crate") {
        let Some(rest) = line[at..].strip_prefix("crate::") else { continue };
        match rest.strip_prefix('{') {
            None => out.extend(first_word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut fresh = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => fresh = true,
                        c if fresh && !c.is_whitespace() => {
                            out.extend(first_word(&group[at..]));
                            fresh = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    out
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[track_caller]
fn no_findings(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn modules_named_are_found() {
    for (line, want) in [
        ("use crate::base::id::*;", &["base"][..]),
        ("use crate::{base::id, wire::{Packet, build}, sim};", &["base", "wire", "sim"]),
        ("f(crate::report::xml::Text(x), crate::wire::describe(y))", &["report", "wire"]),
        ("pub(crate) fn in_crate() {}", &[]),
    ] {
        assert_eq!(modules_named(line), want, "{line}");
    }
}

#[test]
fn modules_use_levels_below_their_own() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some(folder) = source.folder() else { continue };
        let path = source.path.display();
        let Some(own) = level(&folder) else {
            wrong.push(format!("{path}:1: `{folder}` has no level"));
            continue;
        };
        for (row, line) in source.lines() {
            if line.trim_end().ends_with("crate::{") {
                wrong.push(format!(
                    "{path}:{row}: one line for each module, or nobody sees it here"
                ));
            }
            for named in modules_named(line).into_iter().filter(|named| *named != folder) {
                match level(&named) {
                    Some(other) if other < own => {}
                    Some(_) => {
                        wrong.push(format!("{path}:{row}: `{folder}` must not know `{named}`"))
                    }
                    None => {
                        wrong.push(format!("{path}:{row}: `{named}` is not on the list of levels"))
                    }
                }
            }
        }
    }
    no_findings(&wrong);
}

/// `super::` leads to the parent and no further than the folder: what is beyond is named from
/// `crate`, where the check above sees it.
#[test]
fn no_path_climbs_out_of_its_folder() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        // `report/json.rs` and `report/mod.rs` are one and no step below their folder.
        let steps = source.name().matches('/').count();
        let is_mod = source.path.ends_with("mod.rs");
        let below = if is_mod { steps.saturating_sub(1) } else { steps };
        let mut nested = 0;
        for (row, line) in source.lines() {
            // Modules in a file come last in it, so there is no need to see where they end.
            nested += usize::from(line.starts_with("mod ") && line.ends_with('{'));
            let climbs = line.match_indices("super::").filter(|(at, _)| {
                let chain = line[*at..].split("super::").take_while(|part| part.is_empty()).count();
                !line[..*at].ends_with("super::") && chain > below + nested
            });
            for _ in climbs {
                wrong.push(format!("{}:{row}: write it from `crate`", source.path.display()));
            }
        }
    }
    no_findings(&wrong);
}

#[test]
fn crates_are_named_in_their_place_only() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let name = source.name();
        for (row, line) in source.lines() {
            for (krate, places) in CRATES {
                let is_path = |at: usize| {
                    let rest = &line[at + krate.len()..];
                    rest.starts_with("::") || (line.starts_with("use ") && rest.starts_with(';'))
                };
                let named = positions(line, krate).any(is_path);
                if named && !places.iter().any(|place| name.starts_with(place)) {
                    wrong.push(format!(
                        "{}:{row}: only {places:?} may name {krate}",
                        source.path.display()
                    ));
                }
            }
        }
    }
    no_findings(&wrong);
}

#[test]
fn only_front_doors_know_the_host() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let folder = source.folder();
        if folder.as_deref().and_then(level).is_none_or(|level| level >= HOST_LEVEL) {
            continue;
        }
        for (row, line) in source.lines() {
            // In a group, `std` stands before the brace.
            let grouped = line.replace("std::{", "std::");
            for word in HOST.iter().filter(|word| positions(&grouped, word).next().is_some()) {
                wrong
                    .push(format!("{}:{row}: `{word}` is an argument here", source.path.display()));
            }
        }
    }
    no_findings(&wrong);
}

/// A default-hashed map has another order in each run, and sooner or later somebody prints it.
#[test]
fn maps_have_an_order_or_a_fixed_hash() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for (row, line) in source.lines() {
            for word in ["HashMap", "HashSet", "DefaultHasher"] {
                if positions(line, word).next().is_some() {
                    wrong.push(format!("{}:{row}: `{word}` of std", source.path.display()));
                }
            }
        }
    }
    no_findings(&wrong);
}

#[test]
fn files_say_what_they_hold_and_are_not_long() {
    let mut wrong = Vec::new();
    for source in [sources("src"), sources("tests")].into_iter().flatten() {
        let path = source.path.display();
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{path}:1: does not say what it holds"));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{path}:{lines}: longer than {LINES_MAX} lines"));
        }
    }
    no_findings(&wrong);
}

#[test]
fn nothing_is_left_half_done() {
    // In two parts, or this file would be found.
    let marks = [["to", "do!"], ["unimple", "mented!"], ["db", "g!"], ["FIX", "ME"], ["X", "XX"]];
    let marks = marks.map(|parts| parts.concat());
    let mut wrong = Vec::new();
    for source in [sources("src"), sources("tests")].into_iter().flatten() {
        for (row, line) in source.text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(*mark)) {
                wrong.push(format!("{}:{}: `{mark}`", source.path.display(), row + 1));
            }
        }
    }
    no_findings(&wrong);
}

/// `scenarios/drops/` has one file for each reason, named after its label, in which it is expected.
#[test]
fn every_drop_reason_has_its_scenario() {
    let labels = DropReason::ALL.iter().map(|reason| reason.label()).chain([MISDELIVERED]);
    let want: BTreeSet<String> = labels.map(|label| format!("{label}.yaml")).collect();
    let entries = fs::read_dir("scenarios/drops").unwrap();
    let have: BTreeSet<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(have, want);
    let mut wrong = Vec::new();
    for name in &want {
        let path = format!("scenarios/drops/{name}");
        let text = fs::read_to_string(&path).unwrap();
        let label = name.trim_end_matches(".yaml");
        let expected = |line: &str| line.contains("expect:") && line.contains(label);
        if !text.lines().any(expected) {
            wrong.push(format!("{path}:1: does not expect `{label}`"));
        }
    }
    no_findings(&wrong);
}

/// The map in `lib.rs` has a row for each module, at the level that is checked above.
#[test]
fn every_module_is_on_the_map() {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let modules: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    let rows: Vec<(u8, String)> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("//! |")?.split('|').map(str::trim);
            let level = cells.next()?.parse().ok()?;
            Some((level, cells.next()?.split('`').nth(1)?.to_owned()))
        })
        .collect();
    let mapped: BTreeSet<String> = rows.iter().map(|(_, name)| name.clone()).collect();
    assert_eq!(mapped, modules);
    for (own, name) in &rows {
        assert_eq!(level(name), Some(*own), "{name}");
    }
    assert!(rows.is_sorted_by_key(|(level, _)| *level), "bottom-up");
}
