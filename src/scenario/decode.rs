//! Tree to types: every value becomes what it stands for, and stays at its place.
//!
//! Holds the reading of values and of what values mean to one another within a step. Refuses to
//! complain about keys and kinds, which [`super::shape`] has done before (a value it refused is
//! skipped in silence), and about labels that nothing carries, which is for [`super::names`].

mod expect;
mod fields;
mod filter;
mod gateway;
mod network;
mod read;
mod step;

use std::collections::BTreeSet;

use super::ast::{File, Network};
use super::code;
use super::format::{NETWORK_FILE, SCENARIO};
use super::shape;
use super::yaml::{Node, Scalar, Value};
use crate::base::diag::{Diagnostic, Diagnostics, Place, Spanned, quote};
use crate::base::limit::{RUN_SPAN_MAX, TRACKED_CONNECTIONS_DEFAULT};
use crate::base::rng::Seed;
use crate::base::time::Span;
use crate::cloud::dns::Switch;
use crate::cloud::profile::Profile;
use crate::cloud::route_table::Blackhole;
use fields::Fields;
use read::Read;

/// 2015-01-01T00:00:00Z, in seconds since 1970.
const START_DEFAULT: i64 = 1_420_070_400;

/// What could be read, also of a file with errors.
#[derive(Debug)]
pub struct Decoded {
    /// The file, without the declarations and steps that could not be read.
    pub file: File,
    /// The labels of those: they are not unknown, although nothing in `file` carries them.
    pub unread: BTreeSet<String>,
}

/// Reads a scenario file.
///
/// Complains about everything that is wrong with the tree; a decoded file without complaints has all
/// that its text says.
pub fn scenario(root: &Node, diagnostics: &mut Diagnostics) -> Decoded {
    shape::check(root, &SCENARIO, diagnostics);
    let mut decoder = Decoder { diagnostics, unread: BTreeSet::new() };
    let whole = Place::new(root.place.source(), 0..0);
    let fields = Fields::of(root, &SCENARIO);
    let file = decoder.file(&fields, whole);
    Decoded { file, unread: decoder.unread }
}

/// Reads a network file; the labels of what could not be read are added to `unread`.
pub fn network(
    root: &Node,
    diagnostics: &mut Diagnostics,
    unread: &mut BTreeSet<String>,
) -> Network {
    shape::check(root, &NETWORK_FILE, diagnostics);
    let mut decoder = Decoder { diagnostics, unread: BTreeSet::new() };
    let fields = Fields::of(root, &NETWORK_FILE);
    for key in ["vpclab", "name", "about"] {
        // Checked by shape; a network has no use for them.
        fields.get(key);
    }
    let network = decoder.network(&fields);
    unread.append(&mut decoder.unread);
    network
}

/// What an interface tracks if the file does not say.
#[allow(clippy::cast_possible_truncation, reason = "65,536")]
const TRACKED: u32 = TRACKED_CONNECTIONS_DEFAULT as u32;

struct Decoder<'d> {
    diagnostics: &'d mut Diagnostics,
    unread: BTreeSet<String>,
}

impl Decoder<'_> {
    fn file(&mut self, fields: &Fields<'_>, whole: Place) -> File {
        // The version has one value so far, and shape has checked it.
        fields.get("vpclab");
        let name = fields.get("name").and_then(|n| self.line(n));
        let about = fields.get("about").and_then(|n| self.text(n)).map(|s| s.value);
        let profile = fields.get("profile").and_then(|n| word(n, Profile::from_name));
        let start = fields.get("start").and_then(|n| self.start(n));
        let seed = fields.get("seed").and_then(whole_number);
        let settle = fields.get("settle").and_then(|n| self.span(n, RUN_SPAN_MAX));
        let blackhole = fields.get("blackhole").and_then(|n| word(n, Blackhole::from_name));
        let tracked = fields.get("tracked_connections").and_then(whole_number);
        let network_file = fields.get("network").and_then(|n| self.read(n));
        let network = self.network(fields);
        let steps = fields.get("steps").map(|n| self.steps(n)).unwrap_or_default();
        File {
            name: name.unwrap_or_else(|| Spanned::new(String::new(), whole)),
            about,
            profile: profile.unwrap_or(Spanned::new(Profile::Seed, whole)),
            start: start.unwrap_or(Spanned::new(START_DEFAULT, whole)),
            seed: Seed(seed.map_or(0, |s| s.value)),
            settle: settle.map_or(Span::TICK, |s| s.value),
            blackhole: blackhole.map(|s| s.value).unwrap_or_default(),
            tracked_connections: tracked.map_or(TRACKED, |s| s.value),
            network_file,
            network,
            steps,
        }
    }

    fn start(&mut self, node: &Node) -> Option<Spanned<i64>> {
        let time: Spanned<jiff::Timestamp> = self.read(node)?;
        let help = if time.value.subsec_nanosecond() != 0 {
            "leave out the fraction of a second"
        } else if !(0..1 << 32).contains(&time.value.as_second()) {
            "want a time from 1970 to 2106, which captures can hold"
        } else {
            return Some(time.map(jiff::Timestamp::as_second));
        };
        let message = "the start is not a time that a run can begin at";
        self.diagnostics.push(Diagnostic::at(node.place, code::RANGE, message).help(help));
        None
    }

    /// Reads a single value, or complains.
    fn read<T: Read>(&mut self, node: &Node) -> Option<Spanned<T>> {
        let scalar = single(node)?;
        self.read_text(&scalar.text, node.place)
    }

    fn read_text<T: Read>(&mut self, text: &str, place: Place) -> Option<Spanned<T>> {
        match T::read(text) {
            Ok(value) => Some(Spanned::new(value, place)),
            Err(misread) => {
                let message = format!("{} is not {}", quote(text), misread.what);
                let diagnostic = Diagnostic::at(place, code::VALUE, message);
                self.diagnostics.push(diagnostic.help(misread.help));
                None
            }
        }
    }

    /// Reads each item of a list, or a single value as a list of one.
    fn read_all<T: Read>(&mut self, node: &Node) -> Vec<Spanned<T>> {
        match &node.value {
            Value::List(items) => items.iter().filter_map(|item| self.read(item)).collect(),
            _ => self.read(node).into_iter().collect(),
        }
    }

    /// Reads a span of time that has an upper bound.
    fn span(&mut self, node: &Node, max: Span) -> Option<Spanned<Span>> {
        let span: Spanned<Span> = self.read(node)?;
        if span.value <= max {
            return Some(span);
        }
        let message = format!("`{}` is longer than the {max} that are allowed here", span.value);
        self.diagnostics.push(Diagnostic::at(node.place, code::RANGE, message));
        None
    }

    /// Takes any text; the words for nothing are refused by shape.
    /// A text for a reader, of one or more lines. It goes to terminals and reports as it is, so it
    /// may not hold what a terminal would obey.
    fn text(&mut self, node: &Node) -> Option<Spanned<String>> {
        self.readable(node, |c| c == '\n', "plain text")
    }

    /// A text of one line.
    fn line(&mut self, node: &Node) -> Option<Spanned<String>> {
        self.readable(node, |_| false, "one line of plain text")
    }

    fn readable(
        &mut self,
        node: &Node,
        allowed: impl Fn(char) -> bool,
        want: &str,
    ) -> Option<Spanned<String>> {
        let text = &single(node)?.text;
        if let Some(c) = text.chars().find(|c| c.is_control() && !allowed(*c)) {
            let message = format!("the control character U+{:04X} in a text", u32::from(c));
            let diagnostic = Diagnostic::at(node.place, code::VALUE, message);
            self.diagnostics.push(diagnostic.help(format!("want {want}")));
            return None;
        }
        Some(Spanned::new(text.clone(), node.place))
    }
}

/// The scalar of a node; `None` if shape has refused it.
fn single(node: &Node) -> Option<&Scalar> {
    match &node.value {
        Value::Scalar(scalar) if !shape::is_null(&node.value) => Some(scalar),
        _ => None,
    }
}

/// A word of a list; `None` if shape has refused it.
fn word<T>(node: &Node, from_word: impl Fn(&str) -> Option<T>) -> Option<Spanned<T>> {
    Some(Spanned::new(from_word(&single(node)?.text)?, node.place))
}

/// A whole number; `None` if shape has refused it.
fn whole_number<T: TryFrom<u64>>(node: &Node) -> Option<Spanned<T>> {
    let number: u64 = shape::bare(single(node)?)?.parse().ok()?;
    Some(Spanned::new(T::try_from(number).ok()?, node.place))
}

/// `true` or `false`; `None` if shape has refused it.
fn truth(node: &Node) -> Option<Spanned<bool>> {
    let value = match shape::bare(single(node)?)? {
        "true" => true,
        "false" => false,
        _ => return None,
    };
    Some(Spanned::new(value, node.place))
}

/// What `true` or `false` says of something that is on or off.
fn switch(node: &Node) -> Option<Spanned<Switch>> {
    Some(truth(node)?.map(|on| if on { Switch::On } else { Switch::Off }))
}

#[cfg(test)]
pub(in crate::scenario) mod tests;
