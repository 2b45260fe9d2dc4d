//! Rows of questions: how the walks end, and what is said of a question that cannot be asked.

use super::*;
use crate::scenario::load::parse;
use crate::scenario::rows::NETWORK;
use crate::scenario::run::build;
use crate::sim::Twin;

/// The endings of the walks and whether both passed, or why there is no answer.
fn traced(from: &str, to: &str, carrying: Carrying) -> Result<(Vec<String>, Passed), String> {
    let loaded = parse("x.yaml", NETWORK).expect("it is well-formed");
    let mut built = build(&loaded, None, Twin::Compiled).expect("the cloud takes it");
    let from = from.parse().expect("a label");
    let to = to.parse().expect("a destination");
    let question = Question { from, to, family: None, carrying };
    let traced = trace(&mut built, &question).map_err(|error| error.to_string())?;
    let endings = traced.walks.iter().map(|walk| walk.told.ending.to_string()).collect();
    Ok((endings, traced.passed))
}

#[test]
fn packets_are_walked_there_and_back() {
    for carrying in [Carrying::Echo, Carrying::Udp(53), Carrying::Tcp(443)] {
        for (from, to, endings, passed) in [
            ("a", "b", &["delivered to b", "delivered to a"][..], Passed::Both),
            ("a", "c", &["DROP transit at AB"], Passed::No),
            ("c", "a", &["DROP transit at BC"], Passed::No),
            ("b", "c", &["delivered to c", "DROP no-route at C"], Passed::No),
            ("a", "10.1.0.99", &["DROP no-such-host at B"], Passed::No),
            ("a", "B:10.1.0.10", &["delivered to b", "delivered to a"], Passed::Both),
        ] {
            let endings = endings.iter().map(|s| (*s).to_owned()).collect();
            assert_eq!(traced(from, to, carrying), Ok((endings, passed)), "{from} -> {to}");
        }
    }
}

#[test]
fn questions_that_cannot_be_asked() {
    for (from, to, want) in [
        ("x", "b", "there is no instance `x` in the file"),
        ("a", "b3", "there is no instance `b3` in the file"),
        ("a", "ZZ:10.0.0.1", "there is no VPC `ZZ` in the file"),
        ("a", "2001:db8::1", "`a` has no IPv6 address"),
    ] {
        assert_eq!(traced(from, to, Carrying::Echo), Err(want.to_owned()), "{from} -> {to}");
    }
}
