//! Rows of texts, what is read from them and what is refused.

use proptest::prelude::*;

use super::*;
use crate::base::diag::Colour;

fn read(text: &str) -> (Option<Node>, Vec<String>) {
    let mut sources = Sources::default();
    let id = sources.add("x", text);
    let mut diagnostics = Diagnostics::default();
    let node = parse(id, &sources, &mut diagnostics);
    let _ = diagnostics.render(&sources, Colour::Plain);
    let complaints = diagnostics
        .iter()
        .map(|d| {
            let marked = d.place.map_or("", |p| text.get(p.range()).unwrap_or("not a range"));
            format!("{} at <{marked}>", d.message)
        })
        .collect();
    (node, complaints)
}

/// The tree in brief: scalars as their source text, so that a wrong place shows.
fn brief(text: &str, node: &Node) -> String {
    match &node.value {
        Value::Scalar(_) => text[node.place.range()].to_owned(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|n| brief(text, n)).collect::<Vec<_>>().join(" "))
        }
        Value::Mapping(entries) => {
            let row =
                |e: &Entry| format!("{}={}", &text[e.key_place.range()], brief(text, &e.value));
            format!("{{{}}}", entries.iter().map(row).collect::<Vec<_>>().join(" "))
        }
        Value::Refused => "refused".to_owned(),
    }
}

#[test]
fn places_are_bytes_whatever_the_characters_and_line_ends() {
    for (text, want) in [
        ("a: 1\nb: [c, 'd e']\n", "{a=1 b=[c 'd e']}"),
        ("ä: ö # ü\r\nb: {ß: \"é\"}\r\n", "{ä=ö b={ß=\"é\"}}"),
        ("\u{feff}a: é\nbb: c d\n", "{a=é bb=c d}"),
        ("a:\n- b\n- c: d\n  e: f\n", "{a=[b {c=d e=f}]}"),
        ("a:\nb: c\n", "{a= b=c}"),
    ] {
        let (node, complaints) = read(text);
        assert_eq!(complaints, [""; 0], "{text}");
        assert_eq!(brief(text, &node.unwrap()), want, "{text}");
    }
}

#[test]
fn scalars_keep_their_text() {
    let text = "a: 0.10\nb: \"x\\n\"\nc: 'y'\nd: |\n  z\n";
    let Some(Node { value: Value::Mapping(entries), .. }) = read(text).0 else {
        panic!("a mapping")
    };
    let scalars: Vec<_> = entries
        .iter()
        .map(|e| match &e.value.value {
            Value::Scalar(s) => (s.text.as_str(), s.style, s.verbatim_at),
            other => panic!("{other:?}"),
        })
        .collect();
    let want = [
        ("0.10", Style::Plain, Some(3)),
        ("x\n", Style::Quoted, None),
        ("y", Style::Quoted, Some(21)),
        ("z\n", Style::Quoted, Some(31)),
    ];
    assert_eq!(scalars, want);
}

#[test]
fn what_scenario_files_do_not_have_is_refused_at_its_place() {
    for (text, want) in [
        ("", vec!["the file is empty at <>"]),
        ("# a comment\n", vec!["the file is empty at <>"]),
        ("---\n", vec!["the file is empty at <>"]),
        ("é: &x b", vec!["anchors are not part of the format at <&x>"]),
        (
            "a: !z &x [b]\nc: *x\nd: !!str e\nf: &y !z {g: *x}",
            vec![
                "tags are not part of the format at <!z>",
                "anchors are not part of the format at <&x>",
                "aliases are not part of the format at <*x>",
            ],
        ),
        ("a: *x", vec!["aliases are not part of the format at <*x>"]),
        ("a: 1\nb: 2\na: 3", vec!["the key `a` stands twice in one mapping at <a>"]),
        ("? [a, b]\n: c", vec!["a key must be a single value at <[a, b]>"]),
        ("a: 1\n---\nb: 2", vec!["a second document in one file at <--->"]),
        ("a:\n\t- b", vec!["a tab in the indentation at <>"]),
    ] {
        assert_eq!(read(text).1, want, "{text}");
    }
}

#[test]
fn size_is_limited() {
    let deep = |open: &str, n: usize| read(&open.repeat(n)).1;
    for open in ["[", "{a: ", "- ", "? ", "\"\": [", "[\"]\", "] {
        assert!(deep(open, 200_000)[0].starts_with("nested deeper than 32 levels"), "{open}");
    }
    let many = "- a\n".repeat(SCENARIO_NODES_MAX);
    assert_eq!(
        read(&many).1,
        [format!("more than {SCENARIO_NODES_MAX} values in one file at <a>")]
    );
    let long = "#".repeat(usize::try_from(SCENARIO_BYTES_MAX).unwrap() + 1);
    assert_eq!(read(&long).1, ["`x` has 4194305 bytes, the limit is 4194304 at <>"]);
}

proptest! {
    #[test]
    fn any_text_is_a_tree_or_a_complaint(text in "(?s)([a-b:,#&*!|>'\"%@`{}\\[\\]? \n\t\r-]|\\PC|.){0,60}") {
        let (node, complaints) = read(&text);
        prop_assert!(node.is_some() || !complaints.is_empty());
        prop_assert!(complaints.iter().all(|c| !c.contains("not a range")), "{:?}", complaints);
    }
}
