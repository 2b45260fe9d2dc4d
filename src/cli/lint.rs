//! `vpclab lint`: what is legal and will surprise.
//!
//! Holds the flags, the layout and what counts as a failure.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use super::Exit;
use super::output::Output;
use super::run::gather;
use crate::base::diag::Colour;
use crate::reach::lint::Severity;
use crate::report::json::lint_document;
use crate::report::lint::Linted;
use crate::report::outcome::Unusable;
use crate::report::terminal;
use crate::scenario::lint::{Moment, lint};
use crate::scenario::load;

/// Flags of `lint`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories that are searched for `*.yaml`
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Look at the network as the steps leave it, not as it is declared
    #[arg(long)]
    after: bool,
    /// Let hints fail as well as warnings
    #[arg(long)]
    strict: bool,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

/// `vpclab lint`. Exit code 1 says that there are warnings, with `--strict` also hints.
pub(super) fn run(args: &Args, out: &mut Output) -> io::Result<Exit> {
    let Some(paths) = gather(&args.paths, out) else { return Ok(Exit::CouldNotRun) };
    let moment = if args.after { Moment::AfterSteps } else { Moment::Declared };
    let mut linted: Vec<Linted> = Vec::with_capacity(paths.len());
    let mut unusable = Vec::new();
    for path in &paths {
        let directory = path.parent().unwrap_or(Path::new(""));
        match load::load(path).and_then(|loaded| lint(&loaded, directory, moment)) {
            Ok(file) => linted.push(file),
            Err(failure) => {
                let rendered = failure.diagnostics.render(&failure.sources, out.error_colour());
                out.diagnostics(&rendered);
                let why = failure.diagnostics.render(&failure.sources, Colour::Plain);
                unusable.push(Unusable { file: path.display().to_string(), why });
            }
        }
    }
    if args.json {
        out.json(&lint_document(&linted, &unusable))?;
    } else {
        out.print(&text(&linted, paths.len(), out))?;
    }
    let any = |severity| linted.iter().any(|file| file.count(severity) > 0);
    Ok(if !unusable.is_empty() {
        Exit::CouldNotRun
    } else if any(Severity::Warning) || (args.strict && any(Severity::Hint)) {
        Exit::NotHeld
    } else {
        Exit::Held
    })
}

/// The findings, below the name of their file if there are several, and how many there are.
fn text(linted: &[Linted], files: usize, out: &Output) -> String {
    let mut text = String::new();
    for file in linted.iter().filter(|file| !file.findings.is_empty()) {
        if files > 1 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", file.file);
        }
        for told in &file.findings {
            text += &terminal::finding(told, out.paint());
        }
        text.push('\n');
    }
    text + &terminal::lint_closing(linted, out.paint())
}
