//! Where words go: results to standard output, everything else to standard error.
//!
//! Holds the two streams and the decision about colour. Refuses `println!`, which panics when a pipe
//! is closed.

use std::io::{self, IsTerminal, Write};

use super::When;
use crate::base::diag::Colour;
use crate::report::terminal::Paint;

/// The two streams.
#[derive(Debug)]
pub(super) struct Output {
    paint: Paint,
    error_colour: Colour,
}

impl Output {
    pub(super) fn new(when: When) -> Output {
        let wanted = |is_terminal: bool| match when {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        };
        Output {
            paint: if wanted(io::stdout().is_terminal()) { Paint::Ansi } else { Paint::Plain },
            error_colour: if wanted(io::stderr().is_terminal()) {
                Colour::Ansi
            } else {
                Colour::Plain
            },
        }
    }

    /// Whether results are coloured.
    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// Whether diagnostics are coloured.
    pub(super) fn error_colour(&self) -> Colour {
        self.error_colour
    }

    /// Prints a result.
    pub(super) fn print(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Prints a document, with a newline at its end.
    pub(super) fn json(&mut self, document: &serde_json::Value) -> io::Result<()> {
        self.print(&format!("{document:#}\n"))
    }

    /// Prints the diagnostics of one file, apart from those of the next.
    pub(super) fn diagnostics(&mut self, rendered: &str) {
        self.error(&format!("{}\n", rendered.trim_end()));
    }

    /// Prints what is not a result. That standard error is closed changes nothing.
    pub(super) fn error(&mut self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
