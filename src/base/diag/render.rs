//! A diagnostic as text, in the manner of rustc: message, place, excerpt with marks, help.
//!
//! Holds what keeps an excerpt fit for a terminal: it is bounded however long the lines are, and
//! shows control characters instead of sending them. Refuses to write anywhere.

use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet,
};

use super::{Diagnostic, Place, SourceId, Sources};

/// Whether terminal styles are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Text only.
    Plain,
    /// With ANSI escape sequences.
    Ansi,
}

/// Characters of the input that a message repeats.
const QUOTED_CHARS: usize = 60;
/// Characters of a line that an excerpt shows, and how many of them before the mark.
const LINE_CHARS: usize = 160;
const LINE_CHARS_BEFORE_MARK: usize = 60;
/// Places that are at most this many lines apart share an excerpt.
const LINES_APART: usize = 4;
/// Other places that are shown; a file with a thousand duplicates does not list them all.
const OTHER_PLACES: usize = 8;

/// Text from the input between backticks: bounded, with control characters shown as escapes.
pub fn quote(text: &str) -> String {
    let mut out = String::from("`");
    let mut chars = text.chars();
    for c in chars.by_ref().take(QUOTED_CHARS) {
        push_visible(&mut out, c);
    }
    out.push_str(if chars.next().is_some() { "...`" } else { "`" });
    out
}

/// A diagnostic as text, without a line break at its end.
///
/// Costs a walk over the source up to the place for each place shown.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, colour: Colour) -> String {
    let marks = marks(diagnostic, sources);
    let title = Level::ERROR.primary_title(visible(&diagnostic.message)).id(diagnostic.code);
    let mut groups = vec![Group::with_title(title)];
    for (i, excerpt) in excerpts(&marks).iter().enumerate() {
        let (snippet, columns) = excerpt.shown(sources);
        let path = visible(sources.name(excerpt.first.source));
        if i == 0 && columns == Columns::Shifted {
            // The renderer counts columns in what it is shown, so here they must be given to it. It
            // takes a place and an excerpt that it does not relate only from separate groups.
            let origin = Origin::path(path)
                .line(excerpt.first.line_number)
                .char_column(excerpt.first.column(sources));
            add(&mut groups, origin);
            groups.push(Group::with_level(Level::ERROR).element(snippet));
        } else {
            add(&mut groups, snippet.path(path));
        }
    }
    for note in &diagnostic.notes {
        add(&mut groups, Level::NOTE.message(visible(note)));
    }
    for help in &diagnostic.help {
        add(&mut groups, Level::HELP.message(visible(help)));
    }
    let renderer = match colour {
        Colour::Plain => Renderer::plain(),
        Colour::Ansi => Renderer::styled(),
    };
    renderer.render(&groups)
}

/// Appends an element to the last group.
fn add<'a>(groups: &mut Vec<Group<'a>>, element: impl Into<Element<'a>>) {
    if let Some(group) = groups.pop() {
        groups.push(group.element(element));
    }
}

/// The characters that would change how the rest of a terminal line looks.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn push_visible(out: &mut String, c: char) {
    if is_unsafe(c) {
        out.extend(c.escape_unicode());
    } else {
        out.push(c);
    }
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut out, c));
    out
}

/// A place that is marked, reduced to the line in which it begins.
struct Mark<'a> {
    source: SourceId,
    /// Bytes of the source: the line without its break, and the marked part of it.
    line: Range<usize>,
    marked: Range<usize>,
    /// Counted from 1.
    line_number: usize,
    label: Option<&'a str>,
    kind: AnnotationKind,
}

impl Mark<'_> {
    /// The column at which the marked part begins, in characters from 1.
    fn column(&self, sources: &Sources) -> usize {
        sources.text(self.source)[self.line.start..self.marked.start].chars().count() + 1
    }

    fn locate<'a>(
        place: Place,
        sources: &Sources,
        label: Option<&'a str>,
        kind: AnnotationKind,
    ) -> Mark<'a> {
        let text = sources.text(place.source());
        let start = floor_char(text, place.range().start);
        let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
        let trimmed = line_start + text[line_start..line_end].trim_end_matches('\r').len();
        let line = line_start..trimmed.max(start);
        let end = floor_char(text, place.range().end).clamp(start, line.end);
        Mark {
            source: place.source(),
            line_number: text[..line_start].bytes().filter(|b| *b == b'\n').count() + 1,
            line,
            marked: start..end,
            label,
            kind,
        }
    }
}

/// The last boundary between characters at or before byte `at`.
fn floor_char(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The primary mark first, the others in the order of their places.
fn marks<'a>(diagnostic: &'a Diagnostic, sources: &Sources) -> Vec<Mark<'a>> {
    let Some(primary) = diagnostic.place else {
        return Vec::new();
    };
    let label = diagnostic.label.as_deref();
    let mut marks = vec![Mark::locate(primary, sources, label, AnnotationKind::Primary)];
    let mut others: Vec<_> = diagnostic.secondary.iter().take(OTHER_PLACES).collect();
    others.sort_by_key(|(place, _)| *place);
    for (place, label) in others {
        marks.push(Mark::locate(*place, sources, Some(label), AnnotationKind::Context));
    }
    marks
}

/// Marks that are close enough to be shown as one piece of text.
struct Excerpt<'m, 'a> {
    first: &'m Mark<'a>,
    others: Vec<&'m Mark<'a>>,
}

fn excerpts<'m, 'a>(marks: &'m [Mark<'a>]) -> Vec<Excerpt<'m, 'a>> {
    let mut out: Vec<Excerpt<'m, 'a>> = Vec::new();
    for mark in marks {
        let near = |other: &Mark<'a>| {
            other.source == mark.source
                && other.line_number.abs_diff(mark.line_number) <= LINES_APART
        };
        match out.iter_mut().find(|excerpt| excerpt.marks().any(near)) {
            Some(excerpt) => excerpt.others.push(mark),
            None => out.push(Excerpt { first: mark, others: Vec::new() }),
        }
    }
    out
}

/// Whether columns of the shown text are those of the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    AsInSource,
    Shifted,
}

impl<'m, 'a: 'm> Excerpt<'m, 'a> {
    fn marks(&self) -> impl Iterator<Item = &'m Mark<'a>> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    fn shown(&self, sources: &Sources) -> (Snippet<'m, Annotation<'m>>, Columns) {
        let text = sources.text(self.first.source);
        let (mut from, mut to) = (self.first.line.start, self.first.line.end);
        let mut line_number = self.first.line_number;
        for mark in self.marks() {
            from = from.min(mark.line.start);
            to = to.max(mark.line.end);
            line_number = line_number.min(mark.line_number);
        }
        let mut shown = String::new();
        let mut annotations = Vec::new();
        let mut columns = Columns::AsInSource;
        let mut at = from;
        for line in text[from..to].split('\n') {
            if at > from {
                shown.push('\n');
            }
            let shown_from = shown.len();
            let here: Vec<_> = self.marks().filter(|m| m.line.start == at).collect();
            push_line(&mut shown, &mut annotations, line, at, &here);
            let before = self.first.marked.start - self.first.line.start;
            let same = shown.get(shown_from..shown_from + before) == line.get(..before);
            if at == self.first.line.start && !same {
                columns = Columns::Shifted;
            }
            at += line.len() + 1;
        }
        (Snippet::source(shown).line_start(line_number).annotations(annotations), columns)
    }
}

/// Appends what is shown of one line, and the annotations of the marks in it.
fn push_line<'m>(
    shown: &mut String,
    annotations: &mut Vec<Annotation<'m>>,
    line: &str,
    line_at: usize,
    marks: &[&Mark<'m>],
) {
    let first = marks.iter().map(|m| m.marked.start - line_at).min().unwrap_or(0);
    let skipped = match line[..first].char_indices().nth_back(LINE_CHARS_BEFORE_MARK) {
        Some((i, _)) if line.chars().nth(LINE_CHARS).is_some() => i,
        _ => 0,
    };
    if skipped > 0 {
        shown.push_str("...");
    }
    let mut spans = vec![shown.len()..shown.len(); marks.len()];
    let rest = &line[skipped..];
    let end = rest.char_indices().nth(LINE_CHARS).map_or(rest.len(), |(i, _)| i);
    for (i, c) in rest[..end].trim_end_matches('\r').char_indices() {
        let from = shown.len();
        match c {
            '\t' => shown.push(c),
            _ => push_visible(shown, c),
        }
        let at = line_at + skipped + i;
        for (span, mark) in spans.iter_mut().zip(marks) {
            if at < mark.marked.start {
                *span = shown.len()..shown.len();
            } else if at == mark.marked.start {
                *span = from..from;
            }
            if mark.marked.contains(&at) {
                span.end = shown.len();
            }
        }
    }
    if end < rest.len() {
        shown.push_str("...");
    }
    for (span, mark) in spans.into_iter().zip(marks) {
        annotations.push(mark.kind.span(span).label(mark.label.map(visible)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "vpcs:\n  A: {cidr: 10.0.0.0/16}\n  B: {cidr: 10.0.128.0/17}\n\n\n\n\n\npeerings:\n  AB: {requester: A, accepter: B}\n";

    fn place_of(sources: &Sources, id: SourceId, needle: &str) -> Place {
        let start = sources.text(id).find(needle).expect("the text holds the needle");
        Place::new(id, start..start + needle.len())
    }

    #[test]
    fn places_stand_under_their_text() {
        let mut sources = Sources::default();
        let id = sources.add("overlap.yaml", FILE);
        let diagnostic = Diagnostic::at(place_of(&sources, id, "AB"), "E0000", "blocks overlap")
            .label("peering requested here")
            .also(place_of(&sources, id, "10.0.0.0/16"), "the block of `A`")
            .also(place_of(&sources, id, "10.0.128.0/17"), "lies inside it")
            .help("give one VPC a block that shares no address with the other");
        let want = "\
error[E0000]: blocks overlap
  --> overlap.yaml:10:3
   |
10 |   AB: {requester: A, accepter: B}
   |   ^^ peering requested here
   |
  ::: overlap.yaml:2:13
   |
 2 |   A: {cidr: 10.0.0.0/16}
   |             ----------- the block of `A`
 3 |   B: {cidr: 10.0.128.0/17}
   |             ------------- lies inside it
   |
   = help: give one VPC a block that shares no address with the other";
        assert_eq!(render(&diagnostic, &sources, Colour::Plain), want);
    }

    #[test]
    fn a_problem_without_a_place_has_a_message_and_help() {
        let diagnostic =
            Diagnostic::without_place("E0001", "`x.yaml` is not UTF-8").help("save it so");
        assert_eq!(
            render(&diagnostic, &Sources::default(), Colour::Plain),
            "error[E0001]: `x.yaml` is not UTF-8\n |\n = help: save it so"
        );
        let styled = render(&diagnostic, &Sources::default(), Colour::Ansi);
        assert!(styled.starts_with("\u{1b}["), "{styled}");
    }

    #[test]
    fn excerpts_are_bounded_and_harmless() {
        let mut sources = Sources::default();
        let long = format!("{}: é\u{1b}[31m{}\u{202e}", "k".repeat(100_000), "v".repeat(100_000));
        let id = sources.add("evil\u{1b}]0;.yaml", long);
        let place = place_of(&sources, id, "é\u{1b}[31m");
        let text = render(&Diagnostic::at(place, "E0000", "no\u{7}"), &sources, Colour::Plain);
        assert!(text.len() < 1_000, "{}", text.len());
        assert!(text.contains("é\\u{1b}[31mvvv"), "{text}");
        assert!(text.contains("^^^^^^^^^^^"), "{text}");
        assert!(text.contains("evil\\u{1b}]0;.yaml:1:100003"), "{text}");
        assert!(!text.contains(|c| c != '\n' && is_unsafe(c)), "{text:?}");
    }

    #[test]
    fn what_is_quoted_is_short_and_visible() {
        assert_eq!(quote("a\nb"), "`a\\u{a}b`");
        assert_eq!(quote(&"x".repeat(100)), format!("`{}...`", "x".repeat(60)));
    }

    proptest! {
        #[test]
        fn any_place_of_any_text_renders(text in "(?s).{0,80}", a in 0..90_usize, b in 0..90_usize, c in 0..90_usize) {
            let mut sources = Sources::default();
            let id = sources.add("x", text);
            let diagnostic = Diagnostic::at(Place::new(id, a..b), "E0000", "x")
                .also(Place::new(id, c..c + 3), "y");
            let out = render(&diagnostic, &sources, Colour::Plain);
            prop_assert!(!out.contains(|c| c != '\n' && is_unsafe(c)), "{:?}", out);
        }
    }
}
