//! Scenario files with mistakes nobody thought of: each is refused or runs to its end.
//!
//! Files of `scenarios/` are the raw material; words, lines and bytes of them are moved about, so that
//! many of the results still mean something.

#![allow(clippy::expect_used, reason = "a scenario that is no text is a fault of the test")]

use std::sync::LazyLock;

use proptest::prelude::*;
use vpclab::base::diag::Colour;
use vpclab::scenario::{load, run};
use vpclab::sim::Twin;

use crate::files;

/// Packets a mutated file may want to send; more would only take longer.
const PACKETS_MAX: u64 = 20_000;

/// The texts of all scenarios, sorted by path.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let read = |path| std::fs::read_to_string(path).expect("scenarios are text");
    files::scenarios("scenarios").into_iter().map(read).collect()
});

/// One mistake. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Mistake {
    /// A line is left out.
    Omit(usize),
    /// A line stands in another place as well.
    Repeat(usize, usize),
    /// Two lines have changed places.
    Swap(usize, usize),
    /// A word of the file stands where another one should.
    Confuse(usize, usize),
    /// A word of another file does.
    Borrow(usize, usize, usize),
    /// A text stands where some bytes should.
    Garble(usize, usize, String),
}

fn mistake() -> impl Strategy<Value = Mistake> {
    let n = || any::<u16>().prop_map(usize::from);
    prop_oneof![
        2 => n().prop_map(Mistake::Omit),
        2 => (n(), n()).prop_map(|(a, b)| Mistake::Repeat(a, b)),
        1 => (n(), n()).prop_map(|(a, b)| Mistake::Swap(a, b)),
        6 => (n(), n()).prop_map(|(a, b)| Mistake::Confuse(a, b)),
        4 => (n(), n(), n()).prop_map(|(a, b, c)| Mistake::Borrow(a, b, c)),
        1 => (n(), 0..6_usize, "[a-z0-9:,{} \n-]{0,4}").prop_map(|(a, b, c)| Mistake::Garble(a, b, c)),
    ]
}

/// Where the words of a text are: labels, addresses, quantities, keys.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '_' | '-' | '%');
    let mut out = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (part(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                out.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    out
}

fn replace_word(text: &mut String, at: usize, by: &str) {
    let all = words(text);
    if let Some(range) = all.get(at % all.len().max(1)) {
        text.replace_range(range.clone(), by);
    }
}

fn nth_word(text: &str, n: usize) -> String {
    let all = words(text);
    all.get(n % all.len().max(1)).map_or(String::new(), |range| text[range.clone()].to_owned())
}

impl Mistake {
    fn make(&self, text: &mut String) {
        let mut lines: Vec<&str> = text.lines().collect();
        let count = lines.len().max(1);
        match self {
            _ if lines.is_empty() => return,
            Mistake::Omit(at) => {
                lines.remove(at % count);
            }
            Mistake::Repeat(from, to) => lines.insert(to % count, lines[from % count]),
            Mistake::Swap(a, b) => lines.swap(a % count, b % count),
            Mistake::Confuse(from, to) => {
                let word = nth_word(text, *from);
                return replace_word(text, *to, &word);
            }
            Mistake::Borrow(file, from, to) => {
                let word = nth_word(&TEXTS[file % TEXTS.len()], *from);
                return replace_word(text, *to, &word);
            }
            Mistake::Garble(at, length, put) => {
                let boundary =
                    |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i));
                let from = boundary(at % text.len().max(1)).unwrap_or(0);
                let to = boundary(from + length).unwrap_or(from);
                return text.replace_range(from..to, put);
            }
        }
        *text = lines.join("\n");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn every_file_is_refused_or_runs_to_its_end(
        file in any::<u16>(),
        mistakes in prop::collection::vec(mistake(), 1..4),
    ) {
        let mut text = TEXTS[usize::from(file) % TEXTS.len()].clone();
        mistakes.iter().for_each(|mistake| mistake.make(&mut text));
        let loaded = match load::parse("mutated.yaml", &text) {
            Ok(loaded) => loaded,
            Err(failure) => {
                let said = failure.diagnostics.render(&failure.sources, Colour::Plain);
                prop_assert!(said.starts_with("error["), "{said}");
                return Ok(());
            }
        };
        if run::planned_packets(&loaded.file) > PACKETS_MAX {
            return Ok(());
        }
        let under = |twin| {
            let settings = run::Settings { twin, ..run::Settings::default() };
            run::run(&loaded, "".as_ref(), settings, &mut ())
        };
        let outcome = match under(Twin::Compiled) {
            Ok(outcome) => outcome,
            Err(failure) => {
                prop_assert!(!failure.diagnostics.is_empty());
                return Ok(());
            }
        };
        for step in &outcome.steps {
            prop_assert!(!step.actual.is_empty(), "step {}", step.number);
            if let Some(traffic) = step.traffic {
                let ended = traffic.delivered + traffic.dropped.total();
                prop_assert_eq!(traffic.sent, ended, "step {}", step.number);
            }
        }
        prop_assert_eq!(under(Twin::Reference).ok(), Some(outcome));
    }
}
