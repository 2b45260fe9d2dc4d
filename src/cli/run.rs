//! `vpclab run` and `vpclab check`: files and directories of scenarios.
//!
//! Holds which files are run, on how many threads, and where results go. Results come in the order
//! of the files, never as threads finish.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::output::Output;
use super::output_files::{self, FlowLogger, Recorder};
use super::progress::Progress;
use super::{Exit, Files};
use crate::base::diag::Colour;
use crate::base::rng::Seed;
use crate::report::flow_log::Which;
use crate::report::outcome::{Outcome, Unusable};
use crate::report::terminal::{self, Detail};
use crate::scenario::ast::{Action, File, FlowLogAction, Step};
use crate::scenario::load::{self, Failure};
use crate::scenario::run::{self, Repairs, Settings};
use crate::sim::Twin;

/// Flags of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories that are searched for `*.yaml`
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Tell every step and the walk of every packet that did not arrive; with a TEXT only of
    /// scenarios whose path contains it
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    trace: Option<String>,
    /// Print the results as JSON instead
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: Files,
    /// Use this seed in place of the files' own
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Scenarios run at the same time; the output is the same for every number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Judge packets with the reference forwarder; the output is the same
    #[arg(long)]
    reference: bool,
}

/// Flags of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Scenario files, or directories that are searched for `*.yaml`
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}

/// What came of one file.
enum Done {
    /// With what is to be said about its files.
    Ran(Outcome, Vec<String>),
    /// With what is wrong as it is to be printed.
    Unusable(Unusable, String),
}

/// `vpclab run`.
pub(super) fn run(args: &Args, out: &mut Output) -> io::Result<Exit> {
    let Some(paths) = gather(&args.paths, out) else { return Ok(Exit::CouldNotRun) };
    let captures = match &args.files.pcap {
        Some(directory) => Some(output_files::captures(directory, &paths, args.files.existing())?),
        None => None,
    };
    let flow_logs = match &args.files.flow_logs {
        Some(directory) => Some(output_files::folders(directory, &paths, args.files.existing())?),
        None => None,
    };
    // Opened before anything runs: a long run should not end with a report that cannot be written.
    let junit = match &args.files.junit {
        Some(file) => Some(output_files::Junit::create(file, args.files.existing())?),
        None => None,
    };
    let colour = out.error_colour();
    let results: Vec<Done> = in_order(args.threads, paths.len(), |row| {
        let of_row = |files: &Option<Vec<PathBuf>>| files.as_ref().map(|files| files[row].clone());
        let files = Wanted { capture: of_row(&captures), flow_logs: of_row(&flow_logs) };
        run_file(args, &paths[row], &files, colour)
    });
    let mut outcomes = Vec::with_capacity(results.len());
    let mut unusable = Vec::new();
    for done in results {
        match done {
            Done::Ran(outcome, warnings) => {
                warn(&outcome, &warnings, out);
                outcomes.push(outcome);
            }
            Done::Unusable(file, rendered) => {
                out.diagnostics(&rendered);
                unusable.push(file);
            }
        }
    }
    // Before anything is printed: whoever closes the pipe early still gets report and exit code.
    if let Some(junit) = junit {
        junit.write(&outcomes, &unusable)?;
    }
    let exit = if !unusable.is_empty() {
        Exit::CouldNotRun
    } else if outcomes.iter().all(Outcome::held) {
        Exit::Held
    } else {
        Exit::NotHeld
    };
    match print(args, &outcomes, &unusable, paths.len(), out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(exit),
    }
}

/// The results, as text or as JSON.
fn print(
    args: &Args,
    outcomes: &[Outcome],
    unusable: &[Unusable],
    files: usize,
    out: &mut Output,
) -> io::Result<()> {
    if args.json {
        return out.json(&crate::report::json::run_document(outcomes, unusable));
    }
    if files > 1 {
        let lines: String = outcomes.iter().map(|o| terminal::line(o, out.paint())).collect();
        out.print(&lines)?;
    }
    tell(args, outcomes, files, out)?;
    out.print(&terminal::closing(outcomes, unusable.len(), out.paint()))
}

/// What a green result would hide.
fn warn(outcome: &Outcome, warnings: &[String], out: &mut Output) {
    for warning in warnings {
        out.error(warning);
    }
    if outcome.steps.iter().all(|step| step.expected.is_none()) {
        out.error(&format!("warning: `{}` expects nothing", outcome.file));
    }
}

/// Tells the steps of what failed and of what was asked for, behind the list of all scenarios.
fn tell(args: &Args, outcomes: &[Outcome], files: usize, out: &mut Output) -> io::Result<()> {
    for outcome in outcomes {
        let asked = args.wants_walks(&outcome.file);
        if files > 1 && (asked || !outcome.held()) {
            out.print("\n")?;
        }
        if files == 1 || asked || !outcome.held() {
            let detail = if asked { Detail::All } else { Detail::Failed };
            out.print(&terminal::line(outcome, out.paint()))?;
            out.print(&terminal::steps(outcome, detail, out.paint()))?;
        }
    }
    out.print("\n")
}

impl Args {
    fn wants_walks(&self, file: &str) -> bool {
        self.trace.as_ref().is_some_and(|text| file.contains(text.as_str()))
    }
}

/// The files that a scenario is to leave behind.
struct Wanted {
    capture: Option<PathBuf>,
    flow_logs: Option<PathBuf>,
}

fn run_file(args: &Args, path: &Path, files: &Wanted, colour: Colour) -> Done {
    let file = path.display().to_string();
    let unusable = |failure: Failure| {
        let plain = failure.diagnostics.render(&failure.sources, Colour::Plain);
        let rendered = failure.diagnostics.render(&failure.sources, colour);
        Done::Unusable(Unusable { file: file.clone(), why: plain }, rendered)
    };
    let unwritten = |error: &io::Error| {
        let why = format!("error: {error}");
        Done::Unusable(Unusable { file: file.clone(), why: why.clone() }, why)
    };
    let loaded = match load::load(path) {
        Ok(loaded) => loaded,
        Err(failure) => return unusable(failure),
    };
    let settings = Settings {
        seed: args.seed.map(Seed),
        twin: if args.reference { Twin::Reference } else { Twin::Compiled },
        repairs: if args.wants_walks(&path.display().to_string()) {
            Repairs::All
        } else {
            Repairs::Failed
        },
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut progress = Progress::new(run::planned_packets(&loaded.file));
    let start = loaded.file.start.value;
    let existing = args.files.existing();
    let recorder = files.capture.as_ref().map(|file| Recorder::create(file, start, existing));
    let recorder = match recorder.transpose() {
        Ok(recorder) => recorder,
        Err(error) => return unwritten(&error),
    };
    let which = if has_flow_logs(&loaded.file) { Which::OfCloud } else { Which::EveryVpc };
    let logger = files
        .flow_logs
        .as_ref()
        .map(|folder| FlowLogger::create(folder, which, start, existing, args.files.packing()));
    let logger = match logger.transpose() {
        Ok(logger) => logger,
        Err(error) => return unwritten(&error),
    };
    let mut observers = (&mut progress, (recorder, logger));
    let ran = run::run(&loaded, directory, settings, &mut observers);
    let (recorder, logger) = observers.1;
    let outcome = match ran {
        Ok(outcome) => outcome,
        Err(failure) => {
            recorder.into_iter().for_each(Recorder::discard);
            logger.into_iter().for_each(FlowLogger::discard);
            return unusable(failure);
        }
    };
    let of_capture = recorder.map_or(Ok(None), Recorder::finish);
    let of_flow_logs = logger.map_or(Ok(Vec::new()), FlowLogger::finish);
    match (of_capture, of_flow_logs) {
        (Ok(capture), Ok(flow_logs)) => {
            Done::Ran(outcome, capture.into_iter().chain(flow_logs).collect())
        }
        (Err(error), _) | (_, Err(error)) => unwritten(&error),
    }
}

/// Does the file say itself what is to be logged?
fn has_flow_logs(file: &File) -> bool {
    let creates = |step: &Step| matches!(step.action, Action::FlowLog(FlowLogAction::Create(_)));
    !file.network.flow_logs.is_empty() || file.steps.iter().any(creates)
}

/// `vpclab check`.
pub(super) fn check(args: &CheckArgs, out: &mut Output) -> io::Result<Exit> {
    let Some(paths) = gather(&args.paths, out) else { return Ok(Exit::CouldNotRun) };
    let mut wrong = 0;
    for path in &paths {
        let directory = path.parent().unwrap_or(Path::new(""));
        let checked = load::load(path).and_then(|loaded| {
            run::check_captures(&loaded, directory)?;
            run::build(&loaded, None, Twin::Compiled)
        });
        match checked {
            Ok(_) => out.print(&format!("ok    {}\n", path.display()))?,
            Err(failure) => {
                wrong += 1;
                out.diagnostics(&failure.diagnostics.render(&failure.sources, out.error_colour()));
            }
        }
    }
    out.print(&format!("\n{} valid, {wrong} not\n", paths.len() - wrong))?;
    Ok(if wrong == 0 { Exit::Held } else { Exit::CouldNotRun })
}

/// The scenario files behind these paths, those of a directory sorted by path. Says what is wrong
/// and gives `None` if a path cannot be read or a directory holds no scenario.
pub(super) fn gather(paths: &[PathBuf], out: &mut Output) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut all = true;
    for path in paths {
        let found = if path.is_dir() { search(path) } else { Ok(vec![path.clone()]) };
        match found {
            Ok(found) if found.is_empty() => {
                out.error(&format!(
                    "error: there is no scenario (*.yaml, not *.net.yaml) in `{}`",
                    path.display()
                ));
                all = false;
            }
            Ok(found) => files.extend(found),
            Err(error) => {
                out.error(&format!("error: cannot read `{}`: {error}", path.display()));
                all = false;
            }
        }
    }
    all.then_some(files)
}

/// Directories below which scenarios are looked for, at most (ours): symbolic links are not followed,
/// so this bounds only real nesting.
const SEARCH_DEPTH_MAX: usize = 16;

fn search(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fn descend(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kind.is_dir() {
                if depth == SEARCH_DEPTH_MAX {
                    let message = format!("`{}` is nested too deep", path.display());
                    return Err(io::Error::other(message));
                }
                descend(&path, depth + 1, found)?;
            } else if kind.is_file() && name.ends_with(".yaml") && !name.ends_with(".net.yaml") {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    descend(directory, 0, &mut found)?;
    found.sort();
    Ok(found)
}

/// `work` for every row, on several threads, with the results in the order of the rows.
fn in_order<T: Send>(threads: u16, rows: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads <= 1 || rows <= 1 {
        return (0..rows).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<T>>> = Mutex::new((0..rows).map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..usize::from(threads).min(rows) {
            scope.spawn(|| {
                loop {
                    let row = next.fetch_add(1, Ordering::Relaxed);
                    if row >= rows {
                        break;
                    }
                    let result = work(row);
                    // A panic of another worker ends the scope with that panic anyway.
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results[row] = Some(result);
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}
