//! What listens to the packets of a server's world: its flow logs and its captures.
//!
//! Holds both within bounds, so that a server may run for years. Refuses to send packets, and to
//! change the network: which flow logs there are is the cloud's.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::id::FlowLogId;
use crate::base::limit::*;
use crate::report::capture::ring::{Bounds, Ring};
use crate::report::flow_log::{FlowLogs, Kept, Limits, Room, Which};
use crate::report::pcapng::CalendarStart;
use crate::sim::{Happening, Observer, Subject, World};

/// Virtual zero: the Unix epoch.
const START: Option<CalendarStart> = CalendarStart::from_unix_nanos(0);

/// The text of one flow log. All of them share one budget of bytes; what is beyond it is not kept.
#[derive(Debug)]
struct Shelf {
    text: Vec<u8>,
    /// Bytes that all of them may yet take.
    left: Arc<AtomicUsize>,
    cut: bool,
}

impl Write for Shelf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes.len())
        });
        match taken {
            // After the first gap nothing more: what is there stays a gapless beginning.
            Ok(_) if !self.cut => self.text.extend_from_slice(bytes),
            Ok(_) => drop(self.left.fetch_add(bytes.len(), Ordering::Relaxed)),
            Err(_) => self.cut = true,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.left.fetch_add(self.text.len(), Ordering::Relaxed);
    }
}

/// How a flow log gets its text's place.
type Open = Box<dyn FnMut(&str) -> io::Result<Shelf> + Send + Sync>;

/// Somebody who listens besides.
type Guest = Box<dyn Observer + Send + Sync>;

/// All that listens.
pub struct Recorders {
    flow_logs: FlowLogs<Shelf, Open>,
    captures: BTreeMap<u64, Ring>,
    /// Captures so far.
    started: u64,
    guests: Vec<Guest>,
}

impl fmt::Debug for Recorders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorders")
            .field("flow_logs", &self.flow_logs)
            .field("captures", &self.captures)
            .field("guests", &self.guests.len())
            .finish_non_exhaustive()
    }
}

/// A flow log, as it can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowLogText {
    /// Its id.
    pub log: FlowLogId,
    /// The name that its file would have.
    pub name: String,
    /// Records in it.
    pub records: u64,
    /// Packets that no record counts, for want of room in a window.
    pub skipped: u64,
    /// Whether it is full: nothing after that is in it.
    pub full: bool,
    /// Whether it has been deleted.
    pub deleted: bool,
}

/// Why there is no capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoCapture {
    /// As many run as may.
    #[error("{API_CAPTURES_MAX} captures run; delete one")]
    TooMany,
    /// None has this number.
    #[error("there is no capture {0}")]
    Unknown(u64),
}

impl Default for Recorders {
    fn default() -> Recorders {
        let left = Arc::new(AtomicUsize::new(API_FLOW_LOGS_BYTES_MAX));
        let shelf = move || Shelf { text: Vec::new(), left: Arc::clone(&left), cut: false };
        let open: Open = Box::new(move |_| Ok(shelf()));
        let limits = Limits {
            bytes: API_FLOW_LOG_BYTES_MAX,
            flows: API_FLOW_LOG_FLOWS_MAX,
            ..Limits::default()
        };
        let flow_logs = FlowLogs::new(Which::OfCloud, start(), open).within(limits);
        Recorders { flow_logs, captures: BTreeMap::new(), started: 0, guests: Vec::new() }
    }
}

fn start() -> CalendarStart {
    START.unwrap_or_default()
}

impl Recorders {
    /// Somebody listens from now on: a live view, say.
    pub fn invite(&mut self, guest: Box<dyn Observer + Send + Sync>) {
        self.guests.push(guest);
    }

    /// The recorders of a world that begins anew, with the guests of this one.
    pub(super) fn anew(&mut self) -> Recorders {
        Recorders { guests: std::mem::take(&mut self.guests), ..Recorders::default() }
    }

    /// The flow logs that can be read, in the order in which they began. Windows that are open are
    /// written as far as they are.
    pub fn flow_logs(&mut self) -> Vec<FlowLogText> {
        self.flow_logs.write_early();
        let texts = self.flow_logs.so_far().map(|so_far| FlowLogText {
            log: so_far.log,
            name: so_far.name.to_owned(),
            records: so_far.tally.records,
            skipped: so_far.tally.skipped,
            full: so_far.tally.room == Room::Full || so_far.sink.cut,
            deleted: so_far.kept == Kept::Ended,
        });
        texts.collect()
    }

    /// The text of a flow log, the latest of this id.
    pub fn flow_log(&mut self, id: FlowLogId) -> Option<Vec<u8>> {
        self.flow_logs.write_early();
        let found = self.flow_logs.so_far().filter(|so_far| so_far.log == id).last()?;
        Some([found.sink.text.as_slice(), if found.sink.cut { b"" } else { found.rest }].concat())
    }

    /// Starts a capture of all packets and gives its number.
    ///
    /// # Errors
    /// [`NoCapture::TooMany`].
    pub fn start_capture(&mut self) -> Result<u64, NoCapture> {
        if self.captures.len() >= API_CAPTURES_MAX {
            return Err(NoCapture::TooMany);
        }
        self.started += 1;
        let bounds = Bounds { packets: API_CAPTURE_PACKETS_MAX, bytes: API_CAPTURE_BYTES_MAX };
        self.captures.insert(self.started, Ring::new(bounds));
        Ok(self.started)
    }

    /// Those that run, with the packets that each keeps and those that had to go.
    pub fn captures(&self) -> impl Iterator<Item = (u64, usize, u64)> + '_ {
        self.captures.iter().map(|(number, ring)| (*number, ring.packets(), ring.forgotten()))
    }

    /// What a capture keeps, as a pcapng file.
    ///
    /// # Errors
    /// [`NoCapture::Unknown`].
    pub fn capture(&self, number: u64) -> Result<Vec<u8>, NoCapture> {
        let ring = self.captures.get(&number).ok_or(NoCapture::Unknown(number))?;
        // Writing into memory does not fail, and what does not fit the format is left out.
        Ok(ring.write(Vec::new(), start()).map(|(file, _)| file).unwrap_or_default())
    }

    /// Ends a capture.
    ///
    /// # Errors
    /// [`NoCapture::Unknown`].
    pub fn end_capture(&mut self, number: u64) -> Result<(), NoCapture> {
        self.captures.remove(&number).map(|_| ()).ok_or(NoCapture::Unknown(number))
    }
}

impl Observer for Recorders {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        self.flow_logs.see(world, subject, what);
        for ring in self.captures.values_mut() {
            ring.see(world, subject, what);
        }
        for guest in &mut self.guests {
            guest.see(world, subject, what);
        }
    }

    fn look(&mut self, world: World<'_>) {
        self.flow_logs.look(world);
        self.flow_logs.forget_ended(API_FLOW_LOGS_ENDED_MAX);
        self.guests.iter_mut().for_each(|guest| guest.look(world));
    }
}
