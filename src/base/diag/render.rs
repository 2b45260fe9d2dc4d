//! A diagnostic as text. Placeholder.
use super::{Diagnostic, Sources};

/// Whether terminal styles are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Text only.
    Plain,
    /// With ANSI escape sequences.
    Ansi,
}

/// Text from the input, safe to show.
pub fn quote(text: &str) -> String {
    format!("`{text}`")
}

/// A diagnostic as text.
pub fn render(diagnostic: &Diagnostic, _sources: &Sources, _colour: Colour) -> String {
    diagnostic.message.clone()
}
