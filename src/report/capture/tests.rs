//! Names of capture files. What the files hold is tested on whole runs, beside the front doors.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(paths: &[&str], want: &[&str]) {
    let want: Vec<String> = want.iter().map(|name| format!("{name}.pcapng")).collect();
    assert_eq!(file_names(paths), want, "{paths:?}");
}

#[test]
fn names_are_stems_with_as_many_directories_as_needed() {
    check(&["scenarios/drops/transit.yaml", "first.yml"], &["transit", "first"]);
    check(&["a/x/ping.yaml", "b/x/ping.yaml", "c.yaml"], &["a-x-ping", "b-x-ping", "c"]);
    // The shorter path has no more to give.
    check(&["ping.yaml", "x/ping.yaml"], &["ping", "x-ping"]);
    // A lengthened name may meet another, which is then lengthened in turn.
    check(&["d/x-ping.yaml", "x/ping.yaml", "y/ping.yaml"], &["d-x-ping", "x-ping", "y-ping"]);
}

#[test]
fn equal_names_are_numbered() {
    check(&["ping.yaml", "ping.yaml", "./ping.yml"], &["ping", "ping-2", "ping-3"]);
    check(&["ping-2.yaml", "ping.yaml", "PING.yaml"], &["ping-2", "ping", "PING-3"]);
}

#[test]
fn names_are_safe_whatever_the_path() {
    check(&["../-rf.yaml", ".hidden.yaml", "/etc/a b\n.yaml"], &["rf", "hidden", "a_b_"]);
    check(&["é.yaml", "", "..", "-.yaml"], &["_", "scenario", "scenario-2", "scenario-3"]);
    check(&[&format!("{}end.yaml", "x".repeat(200))], &[&format!("{}end", "x".repeat(61))]);
}

proptest! {
    #[test]
    fn names_are_safe_and_distinct(paths in prop::collection::vec("[aAb.\\-/é\u{1b} ]{0,8}", 0..12)) {
        let names = file_names(&paths);
        prop_assert_eq!(names.len(), paths.len());
        let distinct: BTreeSet<String> = names.iter().map(|n| n.to_ascii_lowercase()).collect();
        prop_assert_eq!(distinct.len(), names.len(), "{:?}", names);
        for name in names {
            prop_assert!(!name.starts_with(['.', '-']), "{}", name);
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{}", name);
        }
    }
}
