//! The table of the format as a JSON Schema, and as a reference for people.
//!
//! Refuses to know any key: whatever is said here follows from [`super::format`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::format::{NETWORK_FILE, SCENARIO};
use super::shape::{Field, Form, Leaf, Mapping, Need, Shape};

/// The JSON Schema (draft-07) of a scenario file; object keys are in alphabetical order.
pub fn schema() -> Value {
    schema_of(&SCENARIO)
}

/// The JSON Schema (draft-07) of a network file.
pub fn network_schema() -> Value {
    schema_of(&NETWORK_FILE)
}

/// Every mapping of the format with a table of its keys, in Markdown, the file itself first.
pub fn reference() -> String {
    let mut out = String::new();
    for mapping in mappings(&[&SCENARIO, &NETWORK_FILE]) {
        out.push_str(&format!("## {}\n\n{}\n\n", mapping.name, mapping.doc));
        out.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        for field in mapping.all_fields() {
            let default = match field.need {
                Need::Required => "required",
                Need::Default(text) => text,
            };
            let value = value_of(&field.shape).replace('|', "\\|");
            out.push_str(&format!("| `{}` | {value} | {default} | {} |\n", field.key, field.doc));
        }
        out.push('\n');
    }
    out
}

/// The mappings that can be reached from `roots`, each once, in the order in which they are met.
pub(super) fn mappings(roots: &[&'static Mapping]) -> Vec<&'static Mapping> {
    fn visit(shape: &Shape, out: &mut Vec<&'static Mapping>) {
        match *shape {
            Shape::Leaf(_) => {}
            Shape::List(item) => visit(item, out),
            Shape::Map { value, .. } => visit(value, out),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| visit(shape, out)),
            Shape::Mapping(mapping) => {
                if !out.iter().any(|known| known.name == mapping.name) {
                    out.push(mapping);
                    mapping.all_fields().for_each(|field| visit(&field.shape, out));
                }
            }
        }
    }
    let mut out = Vec::new();
    roots.iter().for_each(|root| visit(&Shape::Mapping(root), &mut out));
    out
}

/// What a value looks like, in words.
fn value_of(shape: &Shape) -> String {
    match shape {
        Shape::Leaf(leaf) => match leaf.form {
            Form::Word(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
            }
            Form::Whole { min, max } if min == max => format!("{}, {min}", leaf.what),
            Form::Whole { min, max } => format!("{}, {min} to {max}", leaf.what),
            Form::Text(_) | Form::TextOrNumber(_) | Form::Boolean => leaf.what.to_owned(),
        },
        Shape::List(item) => format!("list: {}", value_of(item)),
        Shape::Mapping(mapping) => format!("[{0}](#{0})", mapping.name),
        Shape::Map { key, value } => format!("{} to {}", key.what, value_of(value)),
        Shape::Either(shapes) => shapes.iter().map(value_of).collect::<Vec<_>>().join(", or "),
    }
}

fn schema_of(root: &'static Mapping) -> Value {
    let definitions: BTreeMap<&str, Value> =
        mappings(&[root]).into_iter().map(|m| (m.name, mapping_schema(m))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("vpclab {}", root.name),
        "$ref": format!("#/definitions/{}", root.name),
        "definitions": definitions,
    })
}

fn mapping_schema(mapping: &'static Mapping) -> Value {
    let properties: Map<String, Value> =
        mapping.all_fields().map(|f| (f.key.to_owned(), field_schema(f))).collect();
    let required: Vec<&str> =
        mapping.fields.iter().filter(|f| f.need == Need::Required).map(|f| f.key).collect();
    let mut schema = json!({
        "type": "object",
        "description": mapping.doc,
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !mapping.one_of.is_empty() {
        let row = |f: &Field| json!({ "required": [f.key] });
        schema["oneOf"] = mapping.one_of.iter().map(row).collect();
    }
    schema
}

fn field_schema(field: &Field) -> Value {
    let mut description = field.doc.to_owned();
    if let Need::Default(default) = field.need
        && default != "none"
    {
        description.push_str(&format!(" (default: {default})"));
    }
    match shape_schema(&field.shape) {
        // Draft 07 ignores what stands beside a reference.
        reference @ Value::Object(_) if reference.get("$ref").is_some() => {
            json!({ "description": description, "allOf": [reference] })
        }
        mut schema => {
            schema["description"] = Value::String(description);
            schema
        }
    }
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Leaf(leaf) => leaf_schema(leaf),
        Shape::List(item) => {
            json!({ "type": "array", "items": shape_schema(item), "minItems": 1 })
        }
        Shape::Mapping(mapping) => json!({ "$ref": format!("#/definitions/{}", mapping.name) }),
        Shape::Map { key, value } => {
            let mut schema =
                json!({ "type": "object", "additionalProperties": shape_schema(value) });
            if let Form::Text(pattern) | Form::TextOrNumber(pattern) = key.form {
                schema["propertyNames"] = json!({ "pattern": pattern });
            }
            schema
        }
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(shape_schema).collect::<Vec<_>>() })
        }
    }
}

fn leaf_schema(leaf: &Leaf) -> Value {
    match leaf.form {
        Form::Text("") => json!({ "type": "string" }),
        Form::Text(pattern) => json!({ "type": "string", "pattern": pattern }),
        Form::TextOrNumber("") => json!({ "type": ["string", "number", "boolean"] }),
        Form::TextOrNumber(pattern) => json!({ "type": ["string", "number"], "pattern": pattern }),
        Form::Word(words) => json!({ "enum": words }),
        Form::Whole { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Boolean => json!({ "type": "boolean" }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cloud::peering::Status;
    use crate::cloud::quota::Quota;
    use crate::cloud::route_table::RouteState;
    use crate::scenario::format::{EXPECTATION, QUOTAS};

    #[test]
    fn references_resolve_and_descriptions_are_there() {
        fn visit(value: &Value, root: &Value) {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("references stay in the document");
                assert!(root.pointer(pointer).is_some(), "{reference}");
            }
            if let Some(Value::Object(properties)) = value.get("properties") {
                for (key, property) in properties {
                    assert!(property["description"].is_string(), "{key}");
                }
            }
            match value {
                Value::Object(fields) => fields.values().for_each(|v| visit(v, root)),
                Value::Array(items) => items.iter().for_each(|v| visit(v, root)),
                _ => {}
            }
        }
        for root in [schema(), network_schema()] {
            visit(&root, &root);
        }
    }

    #[test]
    fn the_schema_says_what_the_check_says() {
        let schema = schema();
        let step = &schema["definitions"]["step"];
        assert_eq!(step["additionalProperties"], json!(false));
        assert!(step["oneOf"].as_array().unwrap().contains(&json!({"required": ["ping"]})));
        let peering = &schema["definitions"]["peering"];
        assert_eq!(peering["required"], json!(["requester", "accepter"]));
        assert_eq!(peering["properties"]["accepted"]["type"], "boolean");
        let link = &schema["definitions"]["link"]["properties"];
        assert_eq!(link["queue"]["maximum"], 1_000_000);
        assert_eq!(
            schema["definitions"]["scenario"]["properties"]["profile"]["enum"],
            json!(["seed", "today"])
        );
    }

    #[test]
    fn the_table_has_the_words_of_the_types() {
        let row = |q: Quota| (q.name(), format!("`{}`", q.default_limit()));
        let want: Vec<_> = Quota::ALL.into_iter().map(row).collect();
        let default = |f: &Field| match f.need {
            Need::Default(text) => text.to_owned(),
            Need::Required => String::new(),
        };
        let quotas: Vec<_> = QUOTAS.fields.iter().map(|f| (f.key, default(f))).collect();
        assert_eq!(quotas, want);
        let Some(Shape::Leaf(Leaf { form: Form::Word(states), .. })) =
            EXPECTATION.field("state").map(|f| f.shape)
        else {
            panic!("a state is a word")
        };
        let peering = Status::ALL.map(Status::code);
        let route = RouteState::ALL.map(RouteState::code);
        let want: BTreeSet<_> = peering.into_iter().chain(route).collect();
        assert_eq!(states.iter().copied().collect::<BTreeSet<_>>(), want);
        assert_eq!(states.len(), want.len());
    }

    #[test]
    fn the_reference_has_a_row_for_each_key() {
        let reference = reference();
        for mapping in mappings(&[&SCENARIO, &NETWORK_FILE]) {
            for field in mapping.all_fields() {
                assert!(reference.contains(&format!("| `{}` | ", field.key)), "{}", field.key);
            }
        }
    }
}
