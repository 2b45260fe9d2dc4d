//! Files that a run leaves behind: captures, flow logs and the JUnit report.
//!
//! Holds opening, naming and not overwriting. An existing file is left alone unless `--force` says
//! otherwise; names of captures, and of folders of flow logs, are made from the scenarios' own,
//! inside the directory asked for.

mod flow_logs;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(super) use flow_logs::{FlowLogger, Packing};

use crate::report::capture::{self, Capture};
use crate::report::junit as format;
use crate::report::outcome::{Outcome, Unusable};
use crate::report::pcapng::{self, CalendarStart};
use crate::sim::{Happening, Observer, Subject, World};

/// Whether a file that exists may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Existing {
    /// It is left alone, and that is an error.
    Keep,
    /// It is.
    Replace,
}

/// Creates the directory and names one capture for each scenario, in the order of the scenarios.
///
/// # Errors
/// If the directory cannot be made, or a capture exists that may not be replaced.
pub(super) fn captures(
    directory: &Path,
    scenarios: &[PathBuf],
    existing: Existing,
) -> io::Result<Vec<PathBuf>> {
    in_directory(directory, capture::file_names(scenarios), existing)
}

/// Creates the directory and names one folder in it for each scenario, in the order of the scenarios.
///
/// # Errors
/// If the directory cannot be made, or a folder exists that may not be used again.
pub(super) fn folders(
    directory: &Path,
    scenarios: &[PathBuf],
    existing: Existing,
) -> io::Result<Vec<PathBuf>> {
    in_directory(directory, capture::stems(scenarios), existing)
}

fn in_directory(
    directory: &Path,
    names: Vec<String>,
    existing: Existing,
) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory).map_err(|error| about(directory, &error))?;
    let files: Vec<PathBuf> = names.into_iter().map(|name| directory.join(name)).collect();
    if existing == Existing::Keep
        && let Some(file) = files.iter().find(|file| file.symlink_metadata().is_ok())
    {
        let message = format!("`{}` exists; --force replaces it", file.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    Ok(files)
}

/// The JUnit report, opened before the run.
#[derive(Debug)]
pub(super) struct Junit {
    file: PathBuf,
    sink: File,
}

impl Junit {
    /// Opens the file.
    ///
    /// # Errors
    /// As the system says, or that the file exists.
    pub(super) fn create(file: &Path, existing: Existing) -> io::Result<Junit> {
        Ok(Junit { file: file.to_owned(), sink: open(file, existing)? })
    }

    /// Writes the report.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn write(self, outcomes: &[Outcome], unusable: &[Unusable]) -> io::Result<()> {
        let mut sink = io::BufWriter::new(self.sink);
        format::write(&mut sink, "vpclab", &format::suites(outcomes, unusable))
            .and_then(|()| io::Write::flush(&mut sink))
            .map_err(|error| about(&self.file, &error))
    }
}

fn open(file: &Path, existing: Existing) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    match existing {
        Existing::Keep => options.create_new(true),
        Existing::Replace => options.create(true).truncate(true),
    };
    options.open(file).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = format!("`{}` exists; --force replaces it", file.display());
            io::Error::new(error.kind(), message)
        }
        _ => about(file, &error),
    })
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display()))
}

/// The capture of one scenario, as an observer of its run.
#[derive(Debug)]
pub(super) struct Recorder {
    file: PathBuf,
    capture: Capture<File>,
}

impl Recorder {
    /// Opens the file. `start_unix` is virtual zero in seconds since 1970.
    ///
    /// # Errors
    /// As the system says, or that virtual zero does not fit a capture's time.
    pub(super) fn create(file: &Path, start_unix: i64, existing: Existing) -> io::Result<Recorder> {
        let start = CalendarStart::from_unix_seconds(start_unix).ok_or_else(|| {
            io::Error::other("the start of the scenario does not fit a capture's time")
        })?;
        let sink = open(file, existing)?;
        Ok(Recorder { file: file.to_owned(), capture: Capture::new(sink, start) })
    }

    /// Removes the file of a scenario that could not be run.
    pub(super) fn discard(self) {
        let Recorder { file, capture } = self;
        drop(capture);
        // One that cannot be removed is found by the next run, which will say so.
        let _ = fs::remove_file(file);
    }

    /// Closes the file; what did not fit into it is said.
    ///
    /// # Errors
    /// The first error of the run. The file is then cut back to whole blocks where that is possible.
    pub(super) fn finish(self) -> io::Result<Option<String>> {
        match self.capture.finish() {
            Ok((_, tally)) if tally.left_out > 0 => Ok(Some(format!(
                "warning: `{}` is full; {} packets are not in it",
                self.file.display(),
                tally.left_out
            ))),
            Ok(_) => Ok(None),
            Err(error) => {
                if let pcapng::Error::Sink { whole_bytes, .. } = &error
                    && let Ok(file) = OpenOptions::new().write(true).open(&self.file)
                {
                    // The error below is what the user must know; a cut that fails adds nothing.
                    let _ = file.set_len(*whole_bytes);
                }
                let message = format!("cannot write `{}`: {error}", self.file.display());
                Err(io::Error::other(message))
            }
        }
    }
}

impl Observer for Recorder {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        self.capture.see(world, subject, what);
    }
}
