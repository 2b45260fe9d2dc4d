//! The JSON report says what its schema says, and the schema says nothing else.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use vpclab::report::json::{self, SCHEMA};
use vpclab::report::outcome::Unusable;
use vpclab::sim::Twin;

use crate::files;

/// As much of JSON Schema, draft-07, as the schema uses; an unknown word is an error of the test.
struct Check<'s> {
    root: &'s Value,
    /// Places of the schema that have met a value other than `null`.
    met: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Check<'_> {
    /// Checks `value`, which stands at `at`, against the part of the schema at `pointer`.
    fn visit(&mut self, pointer: &str, value: &Value, at: &str) {
        let rule = self.root.pointer(pointer).expect("a place of the schema");
        let rule = rule.as_object().expect("a schema is an object").clone();
        if !value.is_null() {
            self.met.insert(pointer.to_owned());
        }
        for (word, rule) in &rule {
            match word.as_str() {
                "$schema" | "title" | "description" | "format" | "definitions" | "properties" => {}
                "$ref" => {
                    let target = rule.as_str().and_then(|text| text.strip_prefix('#'));
                    self.visit(target.expect("a local reference"), value, at);
                }
                "type" => self.expect(has_type(rule, value), at, "type", value),
                "const" => self.expect(rule == value, at, "const", value),
                "enum" => {
                    let words = rule.as_array().expect("enum is a list");
                    self.expect(words.contains(value), at, "enum", value);
                }
                "minimum" => {
                    let enough = value.as_u64() >= rule.as_u64();
                    self.expect(enough, at, "minimum", value);
                }
                "anyOf" => {
                    let row = usize::from(!value.is_null());
                    self.visit(&format!("{pointer}/anyOf/{row}"), value, at);
                }
                "items" => {
                    for (row, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.visit(&format!("{pointer}/items"), item, &format!("{at}/{row}"));
                    }
                }
                "propertyNames" => {
                    let labels = value.as_object().into_iter().flat_map(|object| object.keys());
                    for label in labels {
                        let plain = label.chars().all(|c| c == '-' || c.is_ascii_lowercase());
                        self.expect(plain, at, "propertyNames", value);
                    }
                }
                "required" => {
                    for key in rule.as_array().expect("required is a list") {
                        let there = value.get(key.as_str().expect("a key")).is_some();
                        self.expect(there, at, &format!("required {key}"), value);
                    }
                }
                "additionalProperties" => {
                    let known = self.root.pointer(&format!("{pointer}/properties"));
                    let known = known.and_then(Value::as_object).cloned().unwrap_or_default();
                    self.visit_fields(pointer, &known, rule, value, at);
                }
                other => panic!("the schema uses `{other}`, which this test does not know"),
            }
        }
    }

    fn visit_fields(
        &mut self,
        pointer: &str,
        known: &Map<String, Value>,
        additional: &Value,
        value: &Value,
        at: &str,
    ) {
        for (key, field) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{key}");
            if known.contains_key(key) {
                self.visit(&format!("{pointer}/properties/{key}"), field, &at);
            } else if additional.is_object() {
                self.visit(&format!("{pointer}/additionalProperties"), field, &at);
            } else {
                self.wrong.push(format!("{at} is not in the schema"));
            }
        }
    }

    fn expect(&mut self, holds: bool, at: &str, word: &str, value: &Value) {
        if !holds {
            self.wrong.push(format!("{at}: `{word}` does not hold for {value}"));
        }
    }
}

fn has_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema uses the type `{other}`"),
    };
    let names = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
    names.iter().filter_map(Value::as_str).any(is)
}

/// Every place of the schema that describes a key.
fn keys(schema: &Value) -> BTreeSet<String> {
    fn visit(value: &Value, pointer: &str, out: &mut BTreeSet<String>) {
        for (key, child) in value.as_object().into_iter().flatten() {
            let pointer = format!("{pointer}/{key}");
            if key == "properties" {
                let names = child.as_object().into_iter().flatten();
                out.extend(names.map(|(name, _)| format!("{pointer}/{name}")));
            }
            visit(child, &pointer, out);
        }
    }
    let mut out = BTreeSet::new();
    visit(schema, "", &mut out);
    out
}

#[test]
fn the_report_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    // Failing ones are here for their repairs.
    let paths = [files::scenarios("scenarios"), files::scenarios("tests/data/failing")].concat();
    let outcomes: Vec<_> =
        paths.iter().map(|path| files::must_run(path, Twin::Compiled).outcome).collect();
    let empty = Unusable { file: "empty.yaml".to_owned(), why: "it is empty".to_owned() };
    let document = json::run_document(&outcomes, &[empty]);
    let mut check = Check { root: &schema, met: BTreeSet::new(), wrong: Vec::new() };
    check.visit("", &document, "");
    assert!(check.wrong.is_empty(), "\n{}", check.wrong.join("\n"));

    let unmet: Vec<_> = keys(&schema).difference(&check.met).cloned().collect();
    // No file here runs into a limit of the run.
    assert_eq!(unmet, ["/definitions/scenario/properties/aborted"], "never seen in a report");

    let summary = &document["summary"];
    assert_eq!(summary["scenarios"], outcomes.len());
    assert_eq!(summary["failed"], files::scenarios("tests/data/failing").len());
    assert!(!document.to_string().contains(env!("CARGO_MANIFEST_DIR")), "no path of the host");
}

#[test]
fn a_trace_has_the_walks_of_the_report() {
    let path = std::path::Path::new("tests/data/failing/wrong-reason.yaml");
    let outcome = files::must_run(path, Twin::Compiled).outcome;
    let report = json::run_document(std::slice::from_ref(&outcome), &[]);
    let step = &outcome.steps[0];
    let trace = json::trace_document(&step.walks);
    assert_eq!(trace["walks"], report["scenarios"][0]["steps"][0]["walks"]);
    assert_eq!(trace["walks"][0]["ending"]["reason"], "transit");
    assert_eq!(report["scenarios"][0]["start"], "2015-01-01T00:00:00Z");
}
