//! One golden document, and a small strict parser that reads back whatever is written.

use proptest::prelude::*;

use super::*;
use crate::report::outcome::LegWalk;
use crate::report::remedy::Remedy;
use crate::report::told::{Ending, Told};
use crate::sim::Leg;

fn case(name: &str, outcome: Outcome) -> Case {
    Case {
        name: name.to_owned(),
        classname: "peering".to_owned(),
        took: Span::from_millis(1),
        outcome,
        output: String::new(),
    }
}

fn finding(message: &str, detail: &str) -> Finding {
    Finding { message: message.to_owned(), detail: detail.to_owned() }
}

fn document(run: &str, suites: &[Suite]) -> String {
    let mut out = Vec::new();
    write(&mut out, run, suites).unwrap();
    String::from_utf8(out).unwrap()
}

/// An element as a parser sees it: name, attributes in order, own text, children.
#[derive(Debug, Default, PartialEq)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> &str {
        &self.attributes.iter().find(|(n, _)| n == name).unwrap().1
    }
}

/// Reads one document of the subset that is written here; panics on anything ill-formed.
fn parse(document: &str) -> Element {
    let mut rest = document.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    let mut open = vec![Element::default()];
    while let Some((text, tail)) = rest.split_once('<') {
        open.last_mut().unwrap().text += &unescape(text);
        let (tag, tail) = tail.split_once('>').unwrap();
        rest = tail;
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().unwrap();
            assert_eq!(done.name, name, "tags nest");
            open.last_mut().unwrap().children.push(done);
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element { name: name.to_owned(), ..Element::default() };
        while let Some((key, tail)) = attributes.split_once("=\"") {
            let (value, tail) = tail.split_once('"').unwrap();
            assert!(!value.contains(['\n', '\t', '\r']), "a parser would make spaces of these");
            let key = key.trim_start().to_owned();
            assert!(element.attributes.iter().all(|(k, _)| *k != key), "{key} stands once");
            element.attributes.push((key, unescape(value)));
            attributes = tail;
        }
        assert_eq!(attributes, "", "nothing but attributes in a tag");
        match empty {
            true => open.last_mut().unwrap().children.push(element),
            false => open.push(element),
        }
    }
    assert_eq!((open.len(), rest), (1, "\n"), "all tags are closed, nothing follows");
    let mut root = open.pop().unwrap().children;
    assert_eq!(root.len(), 1);
    root.pop().unwrap()
}

fn unescape(raw: &str) -> String {
    let possible = |c: char| c >= ' ' && c != '\u{fffe}' && c != '\u{ffff}';
    assert!(raw.chars().all(|c| possible(c) || c == '\n' || c == '\t'), "{raw:?}");
    assert!(!raw.contains('>'), "a bare `>` can end a character-data section");
    let mut parts = raw.split('&');
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (entity, tail) = part.split_once(';').expect("an ampersand begins a reference");
        text.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#9" => '\t',
            "#10" => '\n',
            "#13" => '\r',
            other => panic!("unknown reference &{other};"),
        });
        text += tail;
    }
    text
}

#[test]
fn the_whole_document() {
    let mut passed = case("ping b -> a", Outcome::Pass);
    passed.output = "replied after 1ms\n".to_owned();
    let dropped = finding("dropped: \"transit\"", "at AB\nC lies beyond A & B");
    let suites = [
        Suite {
            name: "peering/chain.yaml".to_owned(),
            cases: vec![
                passed,
                case("ping b -> c", Outcome::Fail(dropped)),
                case("replay", Outcome::Error(finding("no such file", ""))),
                case("udp b -> c", Outcome::Skipped { because: "after an error".to_owned() }),
                Case { took: Span::from_days(7), ..case("wait", Outcome::Pass) },
            ],
        },
        Suite { name: "empty.yaml".to_owned(), cases: vec![] },
    ];
    let want = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"vpclab\" tests=\"5\" failures=\"1\" errors=\"1\" time=\"604800.004000000\">
  <testsuite name=\"peering/chain.yaml\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\" time=\"604800.004000000\">
    <testcase name=\"ping b -&gt; a\" classname=\"peering\" time=\"0.001000000\">
      <system-out>replied after 1ms
</system-out>
    </testcase>
    <testcase name=\"ping b -&gt; c\" classname=\"peering\" time=\"0.001000000\">
      <failure message=\"dropped: &quot;transit&quot;\" type=\"expectation\">at AB
C lies beyond A &amp; B</failure>
    </testcase>
    <testcase name=\"replay\" classname=\"peering\" time=\"0.001000000\">
      <error message=\"no such file\" type=\"not-run\"></error>
    </testcase>
    <testcase name=\"udp b -&gt; c\" classname=\"peering\" time=\"0.001000000\">
      <skipped message=\"after an error\"/>
    </testcase>
    <testcase name=\"wait\" classname=\"peering\" time=\"604800.000000000\"/>
  </testsuite>
  <testsuite name=\"empty.yaml\" tests=\"0\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"0.000000000\">
  </testsuite>
</testsuites>
";
    assert_eq!(document("vpclab", &suites), want);
}

#[test]
fn an_error_of_the_sink_is_passed_on() {
    let suites = [Suite { name: "a".to_owned(), cases: vec![case("b", Outcome::Pass)] }];
    let whole = document("run", &suites).len();
    for room in 0..whole {
        let mut sink = vec![0; room];
        assert!(write(&mut sink[..], "run", &suites).is_err(), "{room} of {whole} bytes");
    }
}

/// What XML can carry of a text.
fn carried(text: &str) -> String {
    let kept = |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    text.replace(|c| !kept(c), "\u{fffd}")
}

/// Texts that provoke: markup, controls, line ends, what XML cannot carry.
fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        '<', '>', '&', '"', '\'', '\n', '\r', '\t', ']', '\0', '\u{ffff}',
    ]);
    prop::collection::vec(prop_oneof![nasty, any::<char>()], 0..12)
        .prop_map(|chars| chars.into_iter().collect())
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Pass),
        (text(), text()).prop_map(|(m, d)| Outcome::Fail(finding(&m, &d))),
        (text(), text()).prop_map(|(m, d)| Outcome::Error(finding(&m, &d))),
        text().prop_map(|because| Outcome::Skipped { because }),
    ]
}

proptest! {
    /// A parser finds every text where it was put, whatever it contains.
    #[test]
    fn any_texts_are_read_back(
        run in text(),
        rows in prop::collection::vec((text(), text(), outcome(), text()), 0..6),
    ) {
        let cases: Vec<Case> = rows
            .into_iter()
            .map(|(name, classname, outcome, output)| {
                Case { name, classname, took: Span::TICK, outcome, output }
            })
            .collect();
        let root = parse(&document(&run, &[Suite { name: run.clone(), cases: cases.clone() }]));
        prop_assert_eq!(root.attribute("name"), carried(&run));
        prop_assert_eq!(root.children[0].children.len(), cases.len());
        for (element, case) in root.children[0].children.iter().zip(&cases) {
            prop_assert_eq!(element.attribute("name"), carried(&case.name));
            prop_assert_eq!(element.attribute("classname"), carried(&case.classname));
            prop_assert_eq!(element.attribute("time"), "0.000000001");
            let want: Vec<(&str, &str, &str)> = match &case.outcome {
                Outcome::Pass => vec![],
                Outcome::Fail(f) => vec![("failure", &f.message, &f.detail)],
                Outcome::Error(f) => vec![("error", &f.message, &f.detail)],
                Outcome::Skipped { because } => vec![("skipped", because, "")],
            };
            let mut children = element.children.iter();
            for (name, message, detail) in want {
                let child = children.next().unwrap();
                prop_assert_eq!(&child.name, name);
                prop_assert_eq!(child.attribute("message"), carried(message));
                prop_assert_eq!(&child.text, &carried(detail));
            }
            let output = children.next().map_or("", |child| &child.text);
            prop_assert_eq!(output, carried(&case.output));
            prop_assert_eq!(children.next(), None);
        }
    }
}

fn step(number: usize, at: Span, verdict: Verdict) -> StepOutcome {
    StepOutcome {
        number,
        line: 7,
        at: Instant::START + at,
        action: "ping a -> b".to_owned(),
        note: None,
        expected: Some("replied".to_owned()),
        actual: "dropped: no-route, at: A".to_owned(),
        verdict,
        traffic: None,
        walks: vec![LegWalk { leg: Leg::Request, told: told() }],
    }
}

fn told() -> Told {
    Told {
        at: Instant::START,
        sender: "a".to_owned(),
        packet: "10.0.0.4 > 10.1.0.4 udp, 46 bytes".to_owned(),
        ending: Ending::Dropped { reason: "no-route", aws_code: None, at: "A".to_owned() },
        lines: Vec::new(),
        remedy: Remedy { changes: vec!["peer A with B".to_owned()], ..Remedy::default() },
    }
}

fn scenario(file: &str, steps: Vec<StepOutcome>, aborted: Option<&str>) -> outcome::Outcome {
    outcome::Outcome {
        file: file.to_owned(),
        name: "a claim".to_owned(),
        about: None,
        profile: "seed",
        seed: 0,
        start_unix: 0,
        ended: Instant::START + Span::from_secs(5),
        steps,
        packets: 2,
        aborted: aborted.map(str::to_owned),
    }
}

#[test]
fn a_step_is_a_case_that_lasts_until_the_next() {
    let steps = vec![
        step(1, Span::ZERO, Verdict::Held),
        step(2, Span::from_secs(2), Verdict::Failed),
        step(3, Span::from_secs(2), Verdict::Unjudged),
    ];
    let [suite] = &suites(&[scenario("./drops/no-route.yaml", steps, None)], &[])[..] else {
        panic!("one scenario is one suite")
    };
    assert_eq!(suite.name, "./drops/no-route.yaml");
    let shown: Vec<_> = suite.cases.iter().map(|c| (c.name.as_str(), c.took)).collect();
    let (two, three) = (Span::from_secs(2), Span::from_secs(3));
    assert_eq!(
        shown,
        [("1 ping a -> b", two), ("2 ping a -> b", Span::ZERO), ("3 ping a -> b", three)]
    );
    assert!(suite.cases.iter().all(|case| case.classname == "drops.no-route"));
    assert_eq!(suite.cases[0].outcome, Outcome::Pass);
    assert_eq!(suite.cases[2].outcome, Outcome::Pass);
    assert_eq!(
        suite.cases[1].outcome,
        Outcome::Fail(finding(
            "expected replied, got dropped: no-route, at: A",
            "at        ./drops/no-route.yaml:7\n\
             expected  replied\n\
             actual    dropped: no-route, at: A\n\
             00:00:00.000  a 10.0.0.4 > 10.1.0.4 udp, 46 bytes  DROP no-route at A\n    \
             would pass: peer A with B\n",
        ))
    );
}

#[test]
fn a_run_that_was_cut_short_has_an_error() {
    let suites = suites(&[scenario("a.yaml", Vec::new(), Some("the run is too long"))], &[]);
    let case = &suites[0].cases[0];
    assert_eq!(case.outcome, Outcome::Error(finding("the run is too long", "")));
}

#[test]
fn a_file_that_could_not_be_run_is_an_error_and_not_missing() {
    let why = "error[E0105]: the file is empty\n  help".to_owned();
    let file = outcome::Unusable { file: "dir/empty.yaml".to_owned(), why: why.clone() };
    let suites = suites(&[], &[file]);
    assert_eq!(suites[0].name, "dir/empty.yaml");
    let case = &suites[0].cases[0];
    assert_eq!(case.outcome, Outcome::Error(finding("error[E0105]: the file is empty", &why)));
}
