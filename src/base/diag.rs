//! Diagnostics: what is wrong with an input, where, and what to do about it.
//!
//! Holds places in source texts, the diagnostic, a bounded collector and the renderer. Refuses to
//! hold the checks themselves, and to print: rendering is a function from values to text, so the
//! same diagnostic can go to a terminal, a report or a test.

mod render;

use std::collections::BTreeMap;
use std::ops::Range;

use super::limit::DIAGNOSTICS_MAX;

pub use render::{Colour, quote, render};

/// One of the texts in a [`Sources`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(u32);

/// The named texts that places refer to: a scenario file and what it includes.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
    /// Where the line breaks are, ascending.
    breaks: Vec<usize>,
}

impl Sources {
    /// Adds a text under the name that messages show (as a rule, the path as the user gave it).
    /// Costs time linear in the text, and a word for each of its lines.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let id = SourceId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        let text: String = text.into();
        let breaks = text.match_indices('\n').map(|(at, _)| at).collect();
        self.0.push(Source { name: name.into(), text, breaks });
        id
    }

    /// The name of a source; empty for an id that another `Sources` handed out.
    pub fn name(&self, id: SourceId) -> &str {
        self.0.get(id.0 as usize).map_or("", |s| &s.name)
    }

    /// The text of a source; empty for an id that another `Sources` handed out.
    pub fn text(&self, id: SourceId) -> &str {
        self.0.get(id.0 as usize).map_or("", |s| &s.text)
    }

    /// The line on which a place begins, from 1. Logarithmic in the number of lines.
    pub fn line(&self, place: Place) -> usize {
        let source = self.0.get(place.source.0 as usize);
        1 + source.map_or(0, |source| source.breaks.partition_point(|at| *at < place.start))
    }
}

/// A range of bytes in a source. Ordered by source, then by position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    source: SourceId,
    start: usize,
    end: usize,
}

impl Place {
    /// The bytes `range` of `source`. A range that ends before it starts is taken as empty.
    pub fn new(source: SourceId, range: Range<usize>) -> Place {
        Place { source, start: range.start, end: range.end.max(range.start) }
    }

    /// The source that the place lies in.
    pub fn source(self) -> SourceId {
        self.source
    }

    /// The bytes that the place covers.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A value and where it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// `value`, as written at `place`.
    pub fn new(value: T, place: Place) -> Spanned<T> {
        Spanned { value, place }
    }

    /// Another value with the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), place: self.place }
    }
}

/// One thing that is wrong.
///
/// The message is lower case, has no full stop and stands alone without the excerpt. Text that
/// comes from the input enters it through [`quote`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// A stable code for the long explanation, e.g. `E0201`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where; `None` if the input has no text to point at (it could not be read).
    pub place: Option<Place>,
    /// What stands under the marks, if that adds to the message.
    pub label: Option<String>,
    /// Other places that have a part in it.
    pub secondary: Vec<(Place, String)>,
    /// Facts that explain the rule.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A problem at a place.
    pub fn at(place: Place, code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { place: Some(place), ..Diagnostic::without_place(code, message) }
    }

    /// A problem of an input as a whole.
    pub fn without_place(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            message: message.into(),
            place: None,
            label: None,
            secondary: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// With a text under the marks.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }

    /// With another place that has a part in it.
    #[must_use]
    pub fn also(mut self, place: Place, label: impl Into<String>) -> Diagnostic {
        self.secondary.push((place, label.into()));
        self
    }

    /// With a fact that explains the rule.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// With something to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help.push(help.into());
        self
    }
}

/// What is wrong with an input, in the order of places, the first [`DIAGNOSTICS_MAX`] kept and the
/// rest counted: a hostile file cannot make the list grow with its size.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    // The number keeps several diagnostics of one place apart, in the order in which they came.
    kept: BTreeMap<(Option<Place>, usize), Diagnostic>,
    seen: usize,
}

impl Diagnostics {
    /// Takes note of a problem. Costs a logarithm of the (bounded) number of kept ones.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.kept.insert((diagnostic.place, self.seen), diagnostic);
        self.seen += 1;
        if self.kept.len() > DIAGNOSTICS_MAX {
            self.kept.pop_last();
        }
    }

    /// Was there no problem?
    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The kept ones; those without a place come first, the others in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.kept.values()
    }

    /// How many problems there were beyond the kept ones.
    pub fn more(&self) -> usize {
        self.seen - self.kept.len()
    }

    /// All kept diagnostics as text, a blank line between them, and how many there are beyond.
    pub fn render(&self, sources: &Sources, colour: Colour) -> String {
        let mut out = String::new();
        for diagnostic in self.iter() {
            out.push_str(&render(diagnostic, sources, colour));
            out.push_str("\n\n");
        }
        if self.more() > 0 {
            out.push_str(&format!("... and {} more\n", self.more()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let mut sources = Sources::default();
        let empty = sources.add("empty", "");
        let id = sources.add("x", "a\n\r\nbc\n");
        let line = |id, at: usize| sources.line(Place::new(id, at..at));
        assert_eq!(line(empty, 0), 1);
        // The break belongs to the line that it ends.
        assert_eq!([0, 1, 2, 3, 4, 6, 7, 99].map(|at| line(id, at)), [1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(line(SourceId(9), 5), 1);
    }
}
