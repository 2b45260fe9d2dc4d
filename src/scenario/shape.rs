//! The vocabulary in which the format is described as data, and the check that follows from it.
//!
//! Holds the types of the table and what a tree must look like to fit it: known keys, required
//! keys, kinds of values, words and whole numbers. Refuses to read values whose text has a form of
//! its own (labels, addresses, quantities); that is the decoder's. The table is in
//! [`super::format`].

use super::code;
use super::near::nearest;
use super::yaml::{Entry, Node, Scalar, Style, Value};
use crate::base::diag::{Diagnostic, Diagnostics, Place, quote};

/// A mapping with known keys.
#[derive(Debug)]
pub struct Mapping {
    /// Its name in the schema, unique in the table.
    pub name: &'static str,
    /// How messages call it, e.g. `a peering`.
    pub what: &'static str,
    /// What it describes, a sentence.
    pub doc: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
    /// Further keys of which exactly one must be given; none if empty.
    pub one_of: &'static [Field],
}

/// A key of a [`Mapping`].
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What it means, with its unit.
    pub doc: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Whether it may be left out.
    pub need: Need,
}

/// Whether a key may be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// It may not.
    Required,
    /// It may, and this is what holds then, in words.
    Default(&'static str),
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A single value.
    Leaf(&'static Leaf),
    /// A list with at least one item.
    List(&'static Shape),
    /// A mapping with known keys.
    Mapping(&'static Mapping),
    /// A mapping whose keys are the file's own.
    Map {
        /// What the keys look like.
        key: &'static Leaf,
        /// What the values look like.
        value: &'static Shape,
    },
    /// One of several, of which at most one is a leaf, one a list and one a mapping.
    Either(&'static [Shape]),
}

/// A single value.
#[derive(Debug)]
pub struct Leaf {
    /// How messages call it, e.g. `a label`.
    pub what: &'static str,
    /// What its text looks like.
    pub form: Form,
}

/// What the text of a single value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// Any text that fits the pattern (ECMA 262, for the schema only; the decoder parses).
    Text(&'static str),
    /// As above, but the text may look like a number to an editor.
    TextOrNumber(&'static str),
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A whole number in a range.
    Whole {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// `true` or `false`.
    Boolean,
}

impl Field {
    /// A key that must be given.
    pub const fn required(key: &'static str, shape: Shape, doc: &'static str) -> Field {
        Field { key, doc, shape, need: Need::Required }
    }

    /// A key that may be left out, and what holds then.
    pub const fn optional(
        key: &'static str,
        shape: Shape,
        default: &'static str,
        doc: &'static str,
    ) -> Field {
        Field { key, doc, shape, need: Need::Default(default) }
    }
}

impl Mapping {
    /// All keys, in the order of the table.
    pub fn all_fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.fields.iter().chain(self.one_of)
    }

    /// The field with this key.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.all_fields().find(|field| field.key == key)
    }
}

impl Shape {
    /// How messages call what is wanted.
    fn what(&self) -> String {
        match self {
            Shape::Leaf(leaf) => leaf.what.to_owned(),
            Shape::List(_) => "a list".to_owned(),
            Shape::Mapping(_) | Shape::Map { .. } => "a mapping".to_owned(),
            Shape::Either(shapes) => {
                shapes.iter().map(Shape::what).collect::<Vec<_>>().join(" or ")
            }
        }
    }

    /// The alternative for a value of the kind of `value`; itself where there is no choice.
    fn for_value(&self, value: &Value) -> Option<Shape> {
        let fits = match self {
            Shape::Either(shapes) => return shapes.iter().find_map(|s| s.for_value(value)),
            Shape::Leaf(_) => matches!(value, Value::Scalar(_)),
            Shape::List(_) => matches!(value, Value::List(_)),
            Shape::Mapping(_) | Shape::Map { .. } => matches!(value, Value::Mapping(_)),
        };
        fits.then_some(*self)
    }
}

/// Complains about whatever in `root` does not fit `mapping`.
pub fn check(root: &Node, mapping: &'static Mapping, diagnostics: &mut Diagnostics) {
    let mut checker = Checker { diagnostics };
    checker.value(
        root,
        &Shape::Mapping(mapping),
        "the file",
        Place::new(root.place.source(), 0..0),
    );
}

struct Checker<'d> {
    diagnostics: &'d mut Diagnostics,
}

impl Checker<'_> {
    /// Checks a value called `name`; `owner` stands for it where it has no good place of its own.
    fn value(&mut self, node: &Node, shape: &Shape, name: &str, owner: Place) {
        if node.value == Value::Refused {
            return;
        }
        if is_null(&node.value) {
            self.no_value(shape, name, owner, ", or leave it out");
            return;
        }
        match (shape.for_value(&node.value), &node.value) {
            (Some(Shape::Leaf(leaf)), Value::Scalar(scalar)) => {
                self.leaf(scalar, node.place, leaf, name);
            }
            (Some(Shape::List(item)), Value::List(items)) => {
                if items.is_empty() {
                    let message = format!("{name} is an empty list");
                    self.diagnostics.push(Diagnostic::at(node.place, code::WRONG_KIND, message));
                }
                for node in items {
                    self.value(node, item, &format!("an item of {name}"), node.place);
                }
            }
            (Some(Shape::Map { value, .. }), Value::Mapping(entries)) => {
                for entry in entries {
                    self.value(&entry.value, value, &quote(&entry.key), entry.key_place);
                }
            }
            (Some(Shape::Mapping(mapping)), Value::Mapping(entries)) => {
                self.mapping(entries, mapping, owner);
            }
            _ => {
                let message = format!("{name} wants {}, found {}", shape.what(), kind(&node.value));
                self.diagnostics.push(Diagnostic::at(node.place, code::WRONG_KIND, message));
            }
        }
    }

    fn mapping(&mut self, entries: &[Entry], mapping: &'static Mapping, owner: Place) {
        let mut unknown = 0;
        // A required key that was misspelt is not reported as missing as well.
        let mut meant: Vec<&str> = Vec::new();
        for entry in entries {
            match mapping.field(&entry.key) {
                Some(field) if field.need == Need::Required && is_null(&entry.value.value) => {
                    self.no_value(&field.shape, &quote(field.key), entry.key_place, "");
                }
                Some(field) => {
                    self.value(&entry.value, &field.shape, &quote(field.key), entry.key_place);
                }
                None => {
                    unknown += 1;
                    meant.extend(self.unknown_key(entry, mapping));
                }
            }
        }
        let given = |key: &str| entries.iter().any(|entry| entry.key == key);
        for field in mapping.fields {
            let missing = !given(field.key) && !meant.contains(&field.key);
            if field.need == Need::Required && missing {
                let message = format!("{} needs the key `{}`", mapping.what, field.key);
                self.diagnostics.push(
                    Diagnostic::at(owner, code::MISSING_KEY, message)
                        .help(format!("`{}`: {}", field.key, field.doc)),
                );
            }
        }
        self.one_of(entries, mapping, owner, unknown);
    }

    /// Complains about a key without a value; `else_` is what may be done but giving it one.
    fn no_value(&mut self, shape: &Shape, name: &str, owner: Place, else_: &str) {
        let want = shape.what();
        self.diagnostics.push(
            Diagnostic::at(owner, code::WRONG_KIND, format!("{name} has no value"))
                .help(format!("give it {want}{else_}")),
        );
    }

    /// Complains about a key, and gives the one that was probably meant.
    fn unknown_key(&mut self, entry: &Entry, mapping: &'static Mapping) -> Option<&'static str> {
        let message = format!("unknown key {} in {}", quote(&entry.key), mapping.what);
        let known = || mapping.all_fields().map(|field| field.key);
        // Comparing words takes longer than anything else here, and is not worth it unseen.
        let shown = self.diagnostics.more() == 0;
        let meant = if shown { nearest(&entry.key, known()) } else { None };
        let help = match meant {
            Some(key) => format!("did you mean `{key}`?"),
            None => format!("known keys: {}", list(known())),
        };
        let place = entry.key_place;
        self.diagnostics.push(Diagnostic::at(place, code::UNKNOWN_KEY, message).help(help));
        meant
    }

    fn one_of(&mut self, entries: &[Entry], mapping: &Mapping, owner: Place, unknown: usize) {
        if mapping.one_of.is_empty() {
            return;
        }
        let is_one = |entry: &&Entry| mapping.one_of.iter().any(|f| f.key == entry.key);
        let mut given = entries.iter().filter(is_one);
        match (given.next(), given.next()) {
            // Whoever misspelt the key has been told so.
            (None, _) if unknown > 0 => {}
            (None, _) => {
                let known = list(mapping.one_of.iter().map(|f| f.key));
                self.diagnostics.push(
                    Diagnostic::at(
                        entries.first().map_or(owner, |entry| entry.key_place),
                        code::COMBINATION,
                        format!("{} without an action", mapping.what),
                    )
                    .help(format!("add one of {known}")),
                );
            }
            (Some(first), Some(second)) => self.diagnostics.push(
                Diagnostic::at(
                    second.key_place,
                    code::COMBINATION,
                    format!(
                        "{} has one action, not both `{}` and `{}`",
                        mapping.what, first.key, second.key
                    ),
                )
                .also(first.key_place, "the first one")
                .help("write two, with one action each"),
            ),
            (Some(_), None) => {}
        }
    }

    fn leaf(&mut self, scalar: &Scalar, place: Place, leaf: &Leaf, name: &str) {
        let text = &scalar.text;
        let complaint = match leaf.form {
            Form::Text(_) | Form::TextOrNumber(_) => return,
            Form::Word(words) => {
                if words.contains(&text.as_str()) {
                    return;
                }
                let message = format!("{} is not {}", quote(text), leaf.what);
                let help = match nearest(text, words.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    // A single word is written where a list or a mapping could be.
                    None if words.len() == 1 => {
                        format!("{name} is {}, or written out", list(words.iter().copied()))
                    }
                    None => format!("{name} is one of {}", list(words.iter().copied())),
                };
                Diagnostic::at(place, code::VALUE, message).help(help)
            }
            Form::Boolean => {
                if bare(scalar).is_some_and(|text| matches!(text, "true" | "false")) {
                    return;
                }
                let message = format!("{name} wants `true` or `false`, found {}", quote(text));
                Diagnostic::at(place, code::VALUE, message)
            }
            Form::Whole { min, max } => {
                let want =
                    if min == max { format!("want {min}") } else { format!("want {min} to {max}") };
                let (code, message) = match bare(scalar).map(str::parse::<u64>) {
                    Some(Ok(n)) if (min..=max).contains(&n) => return,
                    Some(Ok(_)) => {
                        (code::RANGE, format!("{} is out of the range of {name}", quote(text)))
                    }
                    _ => {
                        (code::VALUE, format!("{name} wants a whole number, found {}", quote(text)))
                    }
                };
                Diagnostic::at(place, code, message).help(want)
            }
        };
        self.diagnostics.push(complaint);
    }
}

/// The text of a scalar that may be a number or a boolean: those stand without quotes, and numbers
/// without signs.
pub(super) fn bare(scalar: &Scalar) -> Option<&str> {
    let bare = scalar.style == Style::Plain && !scalar.text.starts_with('+');
    bare.then_some(scalar.text.as_str())
}

/// Nothing, or one of the words that YAML has for it.
pub(super) fn is_null(value: &Value) -> bool {
    match value {
        Value::Scalar(Scalar { text, style: Style::Plain, .. }) => {
            matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
        }
        _ => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Scalar(_) => "a single value",
        Value::List(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Refused => "nothing",
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
