//! The folder of a scenario's flow logs.
//!
//! Holds opening, compressing and closing them. A file is open only while a piece of it is written, so
//! that a scenario may have more flow logs than a process may have files. What compresses is named
//! here and nowhere else.

use std::cell::RefCell;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Existing, about, open};
use crate::report::flow_log::{FlowLogs, Room, Which};
use crate::report::pcapng::CalendarStart;
use crate::sim::{Happening, Observer, Subject, World};

/// How flow logs lie in their files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Packing {
    /// As text.
    Plain,
    /// Compressed with gzip, as AWS delivers them to S3.
    Gzip,
}

/// Adds each piece to the end of a file.
#[derive(Debug)]
struct Appending {
    file: PathBuf,
}

impl Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        OpenOptions::new().append(true).open(&self.file)?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the records of one log go.
#[derive(Debug)]
enum Sink {
    Plain(Appending),
    Gzip(Box<GzEncoder<Appending>>),
}

impl Sink {
    fn new(file: PathBuf, packing: Packing) -> Sink {
        let end = Appending { file };
        match packing {
            Packing::Plain => Sink::Plain(end),
            // A header without time or name: the same records are the same bytes.
            Packing::Gzip => Sink::Gzip(Box::new(GzEncoder::new(end, Compression::default()))),
        }
    }

    /// Writes what is left to be written.
    fn finish(self) -> io::Result<()> {
        match self {
            Sink::Plain(_) => Ok(()),
            Sink::Gzip(encoder) => encoder.finish().map(drop),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Plain(file) => file.write(bytes),
            Sink::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Plain(file) => file.flush(),
            // A flush in the middle would only make the file longer.
            Sink::Gzip(_) => Ok(()),
        }
    }
}

type Opener = Box<dyn FnMut(&str) -> io::Result<Sink>>;

/// The flow logs of one scenario, as an observer of its run.
pub(in crate::cli) struct FlowLogger {
    folder: PathBuf,
    logs: FlowLogs<Sink, Opener>,
    /// The files that were made.
    made: Rc<RefCell<Vec<PathBuf>>>,
}

impl FlowLogger {
    /// Makes the folder. `start_unix` is virtual zero in seconds since 1970.
    ///
    /// # Errors
    /// As the system says, or that virtual zero is too late.
    pub(in crate::cli) fn create(
        folder: &Path,
        which: Which,
        start_unix: i64,
        existing: Existing,
        packing: Packing,
    ) -> io::Result<FlowLogger> {
        let start = CalendarStart::from_unix_seconds(start_unix).ok_or_else(|| {
            io::Error::other("the start of the scenario does not fit a flow log's time")
        })?;
        fs::create_dir_all(folder).map_err(|error| about(folder, &error))?;
        let made = Rc::new(RefCell::new(Vec::new()));
        let (within, known) = (folder.to_owned(), Rc::clone(&made));
        let opener: Opener = Box::new(move |name| {
            let ending = match packing {
                Packing::Plain => "",
                Packing::Gzip => ".gz",
            };
            let file = within.join(format!("{name}{ending}"));
            open(&file, existing)?;
            known.borrow_mut().push(file.clone());
            Ok(Sink::new(file, packing))
        });
        let logs = FlowLogs::new(which, start, opener);
        Ok(FlowLogger { folder: folder.to_owned(), logs, made })
    }

    /// Removes the files of a scenario that could not be run.
    pub(in crate::cli) fn discard(self) {
        // What cannot be removed is found by the next run, which will say so.
        for file in self.made.borrow().iter() {
            let _ = fs::remove_file(file);
        }
        let _ = fs::remove_dir(&self.folder);
    }

    /// Closes the files; what is not in them is said.
    ///
    /// # Errors
    /// The first error of the run.
    pub(in crate::cli) fn finish(self) -> io::Result<Vec<String>> {
        let mut warnings = Vec::new();
        for written in self.logs.finish().map_err(io::Error::other)? {
            let shown = self.folder.join(&written.name);
            let shown = shown.display();
            written.sink.finish().map_err(|error| {
                io::Error::new(error.kind(), format!("cannot write `{shown}`: {error}"))
            })?;
            if written.tally.room == Room::Full {
                warnings.push(format!("warning: `{shown}` is full; what came later is not in it"));
            }
            if written.tally.skipped > 0 {
                let packets = written.tally.skipped;
                warnings.push(format!(
                    "warning: `{shown}` lacks {packets} packets: too many flows in one window"
                ));
            }
        }
        Ok(warnings)
    }
}

impl Observer for FlowLogger {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        self.logs.see(world, subject, what);
    }

    fn look(&mut self, world: World<'_>) {
        self.logs.look(world);
    }
}
