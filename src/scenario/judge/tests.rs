//! Rows of traffic and expectations: what is said to have happened, and whether it was expected.

use crate::report::outcome::LegWalk;
use crate::report::outcome::Verdict::{Failed, Held, Unjudged};
use crate::scenario::rows::{last, steps};

/// One ping or the like against several expectations, of which only those marked hold.
#[track_caller]
fn check(action: &str, actual: &str, expectations: &[(&str, bool)]) {
    last(&format!("- {action}\n"), actual, Unjudged);
    for (expect, held) in expectations {
        let verdict = if *held { Held } else { Failed };
        last(&format!("- {action}\n  expect: {expect}\n"), actual, verdict);
    }
}

#[test]
fn what_happened_has_one_name() {
    check(
        "ping: a -> b",
        "replied",
        &[
            ("replied", true),
            ("delivered", true),
            ("{delivered-to: b}", true),
            ("{delivered-to: b2}", false),
            ("{dropped: no-route}", false),
            ("{reply-lost: no-route}", false),
            ("{delivered: 1}", true),
            ("{delivered: 2..9}", false),
            ("{delivered: 1, dropped: {link-loss: 0..1}}", true),
        ],
    );
    check(
        "ping: a -> c",
        "dropped: transit, at: AB",
        &[
            ("{dropped: transit}", true),
            ("{dropped: transit, at: AB}", true),
            ("{dropped: transit, at: BC}", false),
            ("{dropped: transit, at: A}", false),
            ("{dropped: no-route}", false),
            ("replied", false),
            ("delivered", false),
            ("{delivered: 0, dropped: {transit: 1}}", true),
        ],
    );
    // What would hold but for a drop that is not listed says so.
    let text = "- ping: a -> c\n  expect: {delivered: 0}\n";
    last(text, "dropped: transit, at: AB; not listed under `dropped`: transit", Failed);
    // The main table of a VPC is meant by the VPC's label too.
    check(
        "ping: c -> b",
        "dropped: no-route, at: C",
        &[("{dropped: no-route, at: C}", true), ("{dropped: no-route, at: B}", false)],
    );
    check("udp: a -> b", "delivered to b", &[("delivered", true), ("{delivered-to: b}", true)]);
    check(
        "ping: {from: a, to: b, source: 10.0.0.99}",
        "dropped: source-check, at: a",
        &[("{dropped: source-check, at: a}", true), ("{dropped: source-check, at: A}", false)],
    );
}

#[test]
fn answers_that_are_lost_say_how() {
    let back = "- delete-route: {table: B, destination: 10.0.0.0/16}\n";
    for (step, actual, verdict) in [
        (
            "ping: a -> b\n  expect: {reply-lost: no-route, at: B}",
            "reply-lost: no-route, at: B",
            Held,
        ),
        ("ping: a -> b\n  expect: {reply-lost: transit}", "reply-lost: no-route, at: B", Failed),
        ("ping: a -> b\n  expect: {dropped: no-route}", "reply-lost: no-route, at: B", Failed),
        ("ping: a -> b\n  expect: delivered", "reply-lost: no-route, at: B", Held),
        (
            "ping: {from: a, to: [b]}\n  expect: {never-reaches: [b], because: no-route}",
            "b: reply-lost: no-route, at: B",
            Held,
        ),
    ] {
        last(&format!("{back}- {step}\n"), actual, verdict);
    }
}

#[test]
fn lists_are_judged_target_by_target() {
    for (expect, held) in [
        ("{reaches: [b], never-reaches: [c], because: transit}", true),
        ("{reaches: [b], never-reaches: [c], because: {c: transit}}", true),
        ("{reaches: [b], never-reaches: [c], because: no-route}", false),
        ("{reaches: [b, c]}", false),
        ("{never-reaches: [b, c], because: transit}", false),
        // Whatever else is expected is expected of each.
        ("replied", false),
        ("{delivered: 0..1, dropped: {transit: 0..1}}", true),
        ("{delivered: 1, dropped: {transit: 1}}", false),
    ] {
        let text = format!("- ping: {{from: a, to: [b, c]}}\n  expect: {expect}\n");
        let verdict = if held { Held } else { Failed };
        last(&text, "b: replied; c: dropped: transit, at: AB", verdict);
    }
    // A list of one is a list.
    last("- ping: {from: a, to: [b]}\n  expect: {reaches: [b]}\n", "b: replied", Held);
    last("- ping: a -> b\n  expect: {reaches: [b]}\n", "b: replied", Held);
    last("- ping: {from: a, to: [b]}\n  expect: replied\n", "replied", Held);
}

/// Only the target that did not come out as expected is worth a repair.
#[test]
fn a_repair_is_looked_for_where_the_expectation_failed() {
    let outcome = steps("- ping: {from: a, to: [b, c]}\n  expect: {reaches: [b, c]}\n");
    let repaired =
        |walks: &[LegWalk]| walks.iter().any(|walk| !walk.told.remedy.changes.is_empty());
    assert!(repaired(&outcome.steps[0].walks));
    let expected = "{reaches: [b], never-reaches: [c], because: transit}";
    let outcome = steps(&format!("- ping: {{from: a, to: [b, c]}}\n  expect: {expected}\n"));
    assert!(!repaired(&outcome.steps[0].walks));
}

/// What reaches another host than the one meant is delivered, but not where it was to go.
#[test]
fn delivery_to_another_host_is_no_success() {
    let text = "\
- create-vpc: {name: D, cidr: 10.1.0.0/16}
- create-subnet: {vpc: D, name: s, cidr: 10.1.0.0/24}
- run-instance: {name: d, subnet: D/s, ip: 10.1.0.10}
- udp: {from: a, to: 'D:10.1.0.10', count: 2}
";
    for (expect, held) in [
        ("delivered", false),
        ("{delivered: 2}", false),
        ("{delivered: 0}", true),
        ("{delivered-to: b}", true),
        ("{delivered-to: d}", false),
    ] {
        let verdict = if held { Held } else { Failed };
        last(&format!("{text}  expect: {expect}\n"), "misdelivered to b", verdict);
    }
}

#[test]
fn mixtures_are_counted() {
    // The second of two packets is sent after the route has gone.
    let text = "\
- flows: {pairs: [a -> b], packets: 2, rate: 1/s, background: true}
  expect: {delivered: 1, dropped: {no-route: 1}}
- wait: 500ms
- delete-route: {table: A, destination: 10.1.0.0/16}
";
    let outcome = steps(text);
    let flows = &outcome.steps[0];
    assert_eq!(flows.actual, "sent: 2, delivered: 1, dropped: {no-route: 1}");
    assert_eq!(flows.verdict, Held);
}

/// Nothing sent, nothing shown.
#[test]
fn an_expectation_does_not_hold_of_nothing() {
    let gone = "- terminate-instance: a\n- udp: a -> b\n";
    let outcome = steps(gone);
    let sent = outcome.steps[1].traffic.map(|t| t.sent);
    assert_eq!((sent, outcome.steps[1].actual.as_str()), (Some(0), "nothing was sent"));
    for expect in ["{delivered: 0}", "delivered", "{dropped: interface-down}", "{delivered-to: b}"]
    {
        last(&format!("{gone}  expect: {expect}\n"), "nothing was sent", Failed);
    }
}

/// What nobody answers needs no way back.
#[test]
fn a_one_way_step_gets_a_one_way_repair() {
    let repair = |step: &str| {
        let outcome = steps(&format!("- {step}\n  expect: delivered\n"));
        outcome.steps[0].walks[0].told.remedy.changes.clone()
    };
    let there = ["peer C with A", "point 10.0.0.0/16 in table C at the peering with A"];
    assert_eq!(repair("udp: c -> a"), there);
    let back = "point 10.2.0.0/16 in table A at the peering with C";
    assert_eq!(repair("ping: c -> a"), [&there[..], &[back]].concat());
    assert_eq!(repair("udp: {from: c, to: a, answer: true}"), [&there[..], &[back]].concat());
}
