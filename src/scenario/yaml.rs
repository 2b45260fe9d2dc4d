//! Text to tree: mappings, lists and scalars, each with its place.
//!
//! Holds the subset of YAML 1.2 that scenario files have, and the limits on its size. Refuses to give
//! scalars a meaning: they keep their text, and it is known whether they were quoted. The only
//! module that names the YAML parser.

mod prescan;

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::code;
use crate::base::diag::{Diagnostic, Diagnostics, Place, SourceId, Sources, quote};
use crate::base::limit::{SCENARIO_BYTES_MAX, SCENARIO_DEPTH_MAX, SCENARIO_NODES_MAX};

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// From its first byte to its last; for a block mapping, from its first key.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in file order, each key once.
    Mapping(Vec<Entry>),
    /// Something that has been complained about already.
    Refused,
}

/// A single value, as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scalar {
    /// The text without quotes, escapes resolved.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// The byte at which `text` stands in the source character by character; `None` if escapes or
    /// line folding make the two differ.
    pub verbatim_at: Option<usize>,
}

/// How a scalar was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Without quotes: numbers and `true` are written so.
    Plain,
    /// In quotes or as a block: always a text.
    Quoted,
}

/// A key and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_place: Place,
    /// The value.
    pub value: Node,
}

/// Reads one document. Complaints go to `diagnostics`; `None` if there is no tree to go on with.
///
/// Costs time and memory linear in the text, which is refused above [`SCENARIO_BYTES_MAX`].
pub fn parse(id: SourceId, sources: &Sources, diagnostics: &mut Diagnostics) -> Option<Node> {
    let text = sources.text(id);
    if text.len() as u64 > SCENARIO_BYTES_MAX {
        let name = quote(sources.name(id));
        let message = format!("{name} has {} bytes, the limit is {SCENARIO_BYTES_MAX}", text.len());
        diagnostics.push(Diagnostic::without_place(code::TOO_LARGE, message));
        return None;
    }
    if let Some(at) = prescan::too_deep(text, SCENARIO_DEPTH_MAX) {
        diagnostics.push(too_deep(Place::new(id, at..at + 1)));
        return None;
    }
    let offsets = Offsets::new(text);
    let parser = Parser::new_from_str(text);
    let mut builder =
        Builder { id, text, offsets, parser, diagnostics, nodes: 0, refused: BTreeSet::new() };
    builder.document().ok()
}

fn too_deep(place: Place) -> Diagnostic {
    let message = format!("nested deeper than {SCENARIO_DEPTH_MAX} levels");
    Diagnostic::at(place, code::TOO_LARGE, message)
}

/// Reading cannot go on; the reason is among the diagnostics.
struct Stop;

struct Builder<'t, 'd> {
    id: SourceId,
    text: &'t str,
    offsets: Offsets<'t>,
    parser: Parser<'t, StrInput<'t>>,
    diagnostics: &'d mut Diagnostics,
    nodes: usize,
    refused: BTreeSet<Feature>,
}

/// What YAML has and scenario files do not; each is complained about once, where it is first used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Feature {
    Anchor,
    Alias,
    Tag,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<Node, Stop> {
        loop {
            match self.next()? {
                (Event::StreamStart, _) => {}
                (Event::DocumentStart(_), _) => break,
                _ => return Err(self.empty()),
            }
        }
        let first = self.next()?;
        if matches!(&first.0, Event::Scalar(text, ScalarStyle::Plain, 0, None) if text.is_empty()) {
            return Err(self.empty());
        }
        let root = self.node(first, 1)?;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(_), place) => {
                    let message = "a second document in one file";
                    let help = "put each scenario into a file of its own";
                    self.diagnostics.push(Diagnostic::at(place, code::FEATURE, message).help(help));
                    return Ok(root);
                }
                _ => {}
            }
        }
    }

    fn empty(&mut self) -> Stop {
        let place = Place::new(self.id, 0..0);
        self.diagnostics.push(
            Diagnostic::at(place, code::EMPTY, "the file is empty")
                .help("begin with `vpclab: 1` and `name: ...`"),
        );
        Stop
    }

    fn next(&mut self) -> Result<(Event<'t>, Place), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.place(span))),
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Err(Stop),
        }
    }

    fn syntax_error(&mut self, error: &ScanError) -> Stop {
        let at = self.offsets.byte(*error.marker());
        let place = Place::new(self.id, at..at);
        let rest = &self.text[at..];
        let info = error.info();
        if rest.starts_with('*') && info.contains("unknown anchor") {
            self.refuse(Feature::Alias, self.word_at(at));
            return Stop;
        }
        let diagnostic = if info.contains("tab") {
            let message = "a tab in the indentation";
            Diagnostic::at(place, code::SYNTAX, message).help("indent with spaces")
        } else {
            Diagnostic::at(place, code::SYNTAX, format!("not YAML: {info}"))
        };
        self.diagnostics.push(diagnostic);
        Stop
    }

    /// Builds the node that begins with `event`. Recursion is bounded by the nesting limit.
    fn node(&mut self, (event, place): (Event<'t>, Place), depth: usize) -> Result<Node, Stop> {
        self.nodes += 1;
        if self.nodes > SCENARIO_NODES_MAX {
            let message = format!("more than {SCENARIO_NODES_MAX} values in one file");
            self.diagnostics.push(Diagnostic::at(place, code::TOO_LARGE, message));
            return Err(Stop);
        }
        if depth > SCENARIO_DEPTH_MAX {
            self.diagnostics.push(too_deep(place));
            return Err(Stop);
        }
        match event {
            Event::Alias(_) => {
                self.refuse(Feature::Alias, place);
                Ok(Node { place, value: Value::Refused })
            }
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.without_properties(place, anchor != 0, tag.is_some());
                Ok(self.scalar(&text, style, place))
            }
            Event::SequenceStart(anchor, tag) => {
                let start = self.without_properties(place, anchor != 0, tag.is_some());
                self.list(start, depth)
            }
            Event::MappingStart(anchor, tag) => {
                let start = self.without_properties(place, anchor != 0, tag.is_some());
                self.mapping(start, depth)
            }
            _ => Err(Stop),
        }
    }

    fn refuse(&mut self, feature: Feature, place: Place) {
        if !self.refused.insert(feature) {
            return;
        }
        let (message, help) = match feature {
            Feature::Anchor => (
                "anchors are not part of the format",
                "write the value out wherever it is needed, or quote it if it begins with `&`",
            ),
            Feature::Alias => (
                "aliases are not part of the format",
                "write the value out, or quote it if it begins with `*`",
            ),
            Feature::Tag => (
                "tags are not part of the format",
                "leave it out, or quote the value if it begins with `!`",
            ),
        };
        self.diagnostics.push(Diagnostic::at(place, code::FEATURE, message).help(help));
    }

    /// Complains about an anchor or a tag in front of a node, and gives the place behind them.
    fn without_properties(&mut self, place: Place, anchor: bool, tag: bool) -> Place {
        let mut at = place.range().start;
        for _ in 0..usize::from(anchor) + usize::from(tag) {
            let word = self.word_at(at);
            let feature = match self.text[at..].chars().next() {
                Some('&') => Feature::Anchor,
                _ => Feature::Tag,
            };
            self.refuse(feature, word);
            let rest = &self.text[word.range().end..];
            at = self.text.len() - rest.trim_start().len();
        }
        Place::new(self.id, at..place.range().end)
    }

    /// The run of characters from byte `at` on that are neither white space nor brackets.
    fn word_at(&self, at: usize) -> Place {
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}');
        let length = self.text[at..].find(ends).unwrap_or(self.text.len() - at);
        Place::new(self.id, at..at + length)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, place: Place) -> Node {
        let mut range = place.range();
        let (style, quotes) = match style {
            ScalarStyle::Plain => (Style::Plain, 0),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => (Style::Quoted, 1),
            ScalarStyle::Literal | ScalarStyle::Folded => (Style::Quoted, 0),
        };
        if text.is_empty() && quotes == 0 {
            // The parser may point at what stands behind a value that is left out.
            range.end = range.start;
        }
        let inner = self.text.get(range.start + quotes..range.end.saturating_sub(quotes));
        let verbatim_at = (inner == Some(text)).then_some(range.start + quotes);
        Node {
            place: Place::new(self.id, range),
            value: Value::Scalar(Scalar { text: text.to_owned(), style, verbatim_at }),
        }
    }

    fn list(&mut self, start: Place, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, end) => break end,
                event => items.push(self.node(event, depth + 1)?),
            }
        };
        let place = self.extent(start, items.last().map(|n| n.place), end);
        Ok(Node { place, value: Value::List(items) })
    }

    fn mapping(&mut self, start: Place, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeMap<String, Place> = BTreeMap::new();
        let mut last = None;
        let end = loop {
            let key = match self.next()? {
                (Event::MappingEnd, end) => break end,
                event => self.node(event, depth + 1)?,
            };
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            last = Some(value.place);
            let key_place = key.place;
            let Value::Scalar(Scalar { text: key, .. }) = key.value else {
                if key.value != Value::Refused {
                    let message = "a key must be a single value";
                    self.diagnostics.push(Diagnostic::at(key_place, code::FEATURE, message));
                }
                continue;
            };
            match seen.get(&key) {
                Some(first) => self.diagnostics.push(
                    Diagnostic::at(
                        key_place,
                        code::DUPLICATE_KEY,
                        format!("the key {} stands twice in one mapping", quote(&key)),
                    )
                    .label("again here")
                    .also(*first, "first here"),
                ),
                None => {
                    seen.insert(key.clone(), key_place);
                    entries.push(Entry { key, key_place, value });
                }
            }
        };
        let place = self.extent(start, last, end);
        Ok(Node { place, value: Value::Mapping(entries) })
    }

    /// All of a collection: to its closing bracket, else to the end of its last value.
    fn extent(&self, start: Place, last: Option<Place>, end: Place) -> Place {
        let bracket = matches!(self.text.get(end.range()), Some("]" | "}"));
        let end = match last {
            Some(last) if !bracket => last.range().end,
            _ => end.range().end,
        };
        Place::new(self.id, start.range().start..end)
    }

    fn place(&self, span: Span) -> Place {
        Place::new(self.id, self.offsets.byte(span.start)..self.offsets.byte(span.end))
    }
}

/// Turns the parser's positions, counted in characters, into bytes.
struct Offsets<'t> {
    text: &'t str,
    /// The byte at which each [`Offsets::STRIDE`]th character begins; empty if all are ASCII.
    strides: Vec<usize>,
}

impl<'t> Offsets<'t> {
    const STRIDE: usize = 64;

    fn new(text: &'t str) -> Offsets<'t> {
        let strides = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(Self::STRIDE).map(|(i, _)| i).collect()
        };
        Offsets { text, strides }
    }

    fn byte(&self, marker: Marker) -> usize {
        let index = marker.index();
        if self.strides.is_empty() {
            return index.min(self.text.len());
        }
        let Some(start) = self.strides.get(index / Self::STRIDE) else {
            return self.text.len();
        };
        let rest = &self.text[*start..];
        let within = rest.char_indices().nth(index % Self::STRIDE).map_or(rest.len(), |(i, _)| i);
        start + within
    }
}

#[cfg(test)]
mod tests;
