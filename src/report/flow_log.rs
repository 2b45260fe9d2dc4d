//! VPC flow logs: what AWS would have recorded of the packets of a run.
//!
//! | what happened | record, at which interface |
//! |---|---|
//! | it left | egress `ACCEPT`, at the one that sent it |
//! | a group, an ACL or the connection table kept it from leaving | egress `REJECT`, there |
//! | it found no way: no route, blackhole, transit, too long, no public address | egress `ACCEPT`, there |
//! | it came in, also at a middlebox, which may drop it afterwards | ingress `ACCEPT`, at the one it came to |
//! | a group, an ACL or the connection table kept it out | ingress `REJECT`, at the one it was for |
//! | source or destination check, not a packet, stopped, lost between interfaces | none |
//!
//! (vpc-semantics 4.5 and 3.1.) Holds the observer: which logs there are, and their windows. Records
//! are made of packets that were seen and of nothing else; a host outside the cloud has none. Refuses
//! to open files, and to stop a run: an error of a sink is kept until [`FlowLogs::finish`].

mod log;
mod name;
mod record;
mod sight;

use std::collections::BTreeMap;
use std::io;

use log::{Log, Station};
use thiserror::Error;

use super::pcapng::CalendarStart;
use crate::base::id::*;
use crate::base::limit::{
    FLOW_LOG_BYTES_MAX, FLOW_LOG_FLOWS_MAX, FLOW_LOG_FLOWS_PER_INTERFACE_MAX,
};
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::flow_log::{FlowLog, Recording, Watched};
use crate::sim::{Happening, Observer, Subject, World};

pub use sight::TrafficPath;

/// Which flow logs are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Which {
    /// Those of the cloud.
    #[default]
    OfCloud,
    /// One of every VPC, of all traffic in the default format, as if it had been created with the
    /// VPC. Those of the cloud are not looked at.
    EveryVpc,
}

/// How much is held and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one file.
    pub bytes: u64,
    /// Flows that one log holds of one interface in one window; there is `SKIPDATA` for more.
    pub flows_per_interface: usize,
    /// Flows that all logs hold together; there is `SKIPDATA` for more.
    pub flows: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: FLOW_LOG_BYTES_MAX,
            flows_per_interface: FLOW_LOG_FLOWS_PER_INTERFACE_MAX,
            flows: FLOW_LOG_FLOWS_MAX,
        }
    }
}

/// What one file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Records, those without data included.
    pub records: u64,
    /// Packets in them.
    pub packets: u64,
    /// Packets in no record because there were too many flows in a window: the file says `SKIPDATA`.
    pub skipped: u64,
    /// Whether the file holds everything.
    pub room: Room,
}

/// Whether a file held everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Room {
    /// It did.
    #[default]
    Left,
    /// It reached its limit; nothing after that is in it.
    Full,
}

/// A file that is complete.
#[derive(Debug)]
pub struct Written<W> {
    /// Its name.
    pub name: String,
    /// The flow log.
    pub log: FlowLogId,
    /// The sink, flushed.
    pub sink: W,
    /// What it holds.
    pub tally: Tally,
}

/// A file while its log is kept, or after that.
#[derive(Debug)]
pub struct SoFar<'a, W> {
    /// Its name.
    pub name: &'a str,
    /// The flow log.
    pub log: FlowLogId,
    /// The sink.
    pub sink: &'a W,
    /// What the sink has yet to get.
    pub rest: &'a [u8],
    /// What sink and rest hold.
    pub tally: Tally,
    /// Whether records come to it.
    pub kept: Kept,
}

/// Whether a flow log is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is.
    On,
    /// It has been deleted.
    Ended,
}

/// A file could not be written.
#[derive(Debug, Error)]
#[error("cannot write the flow log `{name}`: {source}")]
pub struct FlowLogError {
    /// The name of the file.
    pub name: String,
    /// What its sink said.
    pub source: io::Error,
}

/// The observer that keeps flow logs: each in one file of its own, which `open` gives a sink by its
/// name.
///
/// It looks at the cloud for its flow logs when it is told to ([`Observer::look`]), and before the
/// first packet. Memory grows with the interfaces that are watched and with the flows of a
/// window, both limited; not with the packets, nor with the length of the run.
#[must_use = "flow logs are complete only after `finish`"]
pub struct FlowLogs<W, F> {
    open: F,
    which: Which,
    start: CalendarStart,
    limits: Limits,
    /// Those that are kept at present and those that have ended, in the order in which they began.
    logs: Vec<Log<W>>,
    /// The rows of those kept at present.
    present: BTreeMap<FlowLogId, usize>,
    /// Which logs watch an interface, by its row; found when it is first met.
    watching: BTreeMap<InterfaceIdx, Vec<usize>>,
    /// The end of the first window to end.
    due: Instant,
    now: Instant,
    looked: bool,
    /// Flows held in all windows.
    flows: usize,
    failed: Option<FlowLogError>,
}

impl<W, F> std::fmt::Debug for FlowLogs<W, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let FlowLogs { which, now, due, flows, .. } = self;
        let mut out = f.debug_struct("FlowLogs");
        out.field("which", which).field("now", now).field("due", due).field("flows", flows);
        out.finish_non_exhaustive()
    }
}

impl<W: io::Write, F: FnMut(&str) -> io::Result<W>> FlowLogs<W, F> {
    /// Keeps flow logs of a run in which virtual zero is `start`.
    pub fn new(which: Which, start: CalendarStart, open: F) -> FlowLogs<W, F> {
        FlowLogs {
            open,
            which,
            start,
            limits: Limits::default(),
            logs: Vec::new(),
            present: BTreeMap::new(),
            watching: BTreeMap::new(),
            due: Instant::NEVER,
            now: Instant::START,
            looked: false,
            flows: 0,
            failed: None,
        }
    }

    /// The same with other limits.
    pub fn within(self, limits: Limits) -> FlowLogs<W, F> {
        FlowLogs { limits, ..self }
    }

    /// Writes what the last windows hold and gives the files back, in the order in which their logs
    /// began. The run has ended when it was last looked at; a window that it cut short has no
    /// `NODATA`.
    ///
    /// # Errors
    /// The first that a sink met.
    pub fn finish(mut self) -> Result<Vec<Written<W>>, FlowLogError> {
        let rows: Vec<usize> = self.present.values().copied().collect();
        rows.into_iter().for_each(|row| self.end(row));
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.logs.into_iter().map(Log::finish).collect()
    }

    /// Writes what all present windows hold so far; the windows go on. A flow that goes on has a
    /// further record then, as one whose window ends has.
    pub fn write_early(&mut self) {
        for row in self.present.values() {
            self.flows -= self.logs[*row].write_early(self.start);
        }
        self.keep_error();
    }

    /// The files so far, in the order in which their logs began.
    pub fn so_far(&self) -> impl Iterator<Item = SoFar<'_, W>> {
        self.logs.iter().map(|log| {
            let (sink, rest) = log.so_far();
            let kept = if self.present.contains_key(&log.id()) { Kept::On } else { Kept::Ended };
            SoFar { name: log.name(), log: log.id(), sink, rest, tally: log.tally(), kept }
        })
    }

    /// Forgets files of logs that have ended, the oldest first, until `most` of them are left.
    pub fn forget_ended(&mut self, most: usize) {
        let has_ended = |log: &Log<W>| !self.present.contains_key(&log.id());
        let mut excess = self.logs.iter().filter(|log| has_ended(log)).count().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let present = &self.present;
        self.logs.retain(|log| {
            let goes = excess > 0 && !present.contains_key(&log.id());
            excess -= usize::from(goes);
            !goes
        });
        let rows = self.logs.iter().enumerate().map(|(row, log)| (log.id(), row));
        self.present = rows.filter(|(id, _)| self.present.contains_key(id)).collect();
        self.watching.clear();
    }

    /// The logs that are to be kept by the cloud as it is now.
    fn wanted(&self, cloud: &Cloud) -> BTreeMap<FlowLogId, FlowLog> {
        match self.which {
            Which::OfCloud => cloud.flow_logs().map(|(id, log)| (id, log.clone())).collect(),
            Which::EveryVpc => {
                let of_vpc = cloud.vpcs().map(|(id, vpc)| {
                    let log = FlowLog {
                        owner: vpc.owner,
                        region: vpc.region.clone(),
                        of: Watched::Vpc(id),
                        recording: Recording::default(),
                        created: self.now,
                    };
                    // No flow log of the cloud is kept beside these, so the digits are free.
                    (FlowLogId::new(id.digits()), log)
                });
                of_vpc.collect()
            }
        }
    }

    /// Begins logs that are new, ends those that are gone, and forgets interfaces that are. Costs as
    /// much as there are logs, and interfaces that have been seen.
    fn sync(&mut self, cloud: &Cloud) {
        self.looked = true;
        let wanted = self.wanted(cloud);
        let is_gone = |id: &&FlowLogId| !wanted.contains_key(id);
        let gone: Vec<FlowLogId> = self.present.keys().filter(is_gone).copied().collect();
        for id in gone {
            if let Some(row) = self.present.remove(&id) {
                self.end(row);
            }
        }
        for (id, log) in wanted {
            if !self.present.contains_key(&id) {
                self.begin(id, log);
            }
        }
        for row in self.present.values() {
            let log = &mut self.logs[*row];
            self.flows -= log.forget(|interface| cloud.interface(interface).is_none(), self.start);
        }
        self.watching.clear();
        self.keep_error();
    }

    fn begin(&mut self, id: FlowLogId, log: FlowLog) {
        let name = name::of(id, &log, self.start);
        match (self.open)(&name) {
            Ok(sink) => {
                self.present.insert(id, self.logs.len());
                self.logs.push(Log::new(id, log, name, sink, self.limits));
            }
            Err(source) => {
                self.failed.get_or_insert(FlowLogError { name, source });
            }
        }
    }

    fn end(&mut self, row: usize) {
        self.flows -= self.logs[row].forget(|_| true, self.start);
        self.keep_error();
    }

    /// Lets time pass: every window that has ended by `now` is written.
    fn pass(&mut self, now: Instant) {
        while self.due <= now {
            let due = self.due;
            for row in self.present.values() {
                self.flows -= self.logs[*row].close(due, self.start);
            }
            self.keep_error();
            self.due = self.next_due();
        }
        self.now = self.now.max(now);
    }

    fn next_due(&self) -> Instant {
        let dues = self.present.values().filter_map(|row| self.logs[*row].due());
        dues.min().unwrap_or(Instant::NEVER)
    }

    fn keep_error(&mut self) {
        if self.failed.is_none() {
            self.failed = self.logs.iter_mut().find_map(Log::take_error);
        }
    }
}

impl<W: io::Write, F: FnMut(&str) -> io::Result<W>> Observer for FlowLogs<W, F> {
    fn see(&mut self, world: World<'_>, _: Subject, what: Happening<'_>) {
        if self.failed.is_some() {
            return;
        }
        if !self.looked {
            self.look(world);
        }
        self.pass(world.now);
        let Some(sighting) = sight::sighting(world, what) else { return };
        let id = world.rows.interface_id(sighting.at);
        // A host outside the cloud has no flow logs, and what is gone has none any more.
        let Some(interface) = world.cloud.interface(id) else { return };
        if sight::is_never_logged(world.cloud, interface, sighting.packet) {
            return;
        }
        let watching = self.watching.entry(sighting.at).or_insert_with(|| {
            let watches =
                |row: &&usize| self.logs[**row].log.watches(interface.vpc, interface.subnet, id);
            self.present.values().filter(watches).copied().collect()
        });
        for row in watching {
            let log = &mut self.logs[*row];
            let station = || Station::of(world.cloud, id, interface);
            let added = log.add(world, &sighting, id, self.flows, station);
            self.flows += added.flows;
            self.due = self.due.min(added.due);
        }
    }

    fn look(&mut self, world: World<'_>) {
        if self.failed.is_some() {
            return;
        }
        self.pass(world.now);
        self.sync(world.cloud);
        self.due = self.next_due();
    }
}

#[cfg(test)]
mod tests;
