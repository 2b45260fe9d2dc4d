//! What a packet capture shows of a run: every packet where it was sent, where it arrived, and
//! where it was lost.
//!
//! | what happened | written at | direction | comment |
//! |---|---|---|---|
//! | it left its sender | the sender's interface | outbound | none |
//! | it did not leave | the sender's interface | outbound | why |
//! | it was lost after it had left | `fabric` | inbound | why |
//! | it arrived | the receiver's interface | inbound | only if another was meant |
//!
//! So a capture holds as many outbound packets as were sent, as many inbound ones at interfaces as
//! were delivered, and as many at `fabric` as were lost on the way (invariant S12). Holds the
//! observer and the names of capture files. Refuses to open them, and to stop a run: an error of
//! the sink is kept until [`Capture::finish`].

pub mod ring;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::io;
use std::path::{Component, Path};

use super::names::Names;
use super::pcapng::{self, CalendarStart, Direction, Error, InterfaceNumber, Tally, Writer};
use crate::base::id::InterfaceIdx;
use crate::base::limit::LABEL_BYTES_MAX;
use crate::forward::Drop;
use crate::forward::reason::MISDELIVERED;
use crate::sim::{Happening, Observer, Subject, World};

/// The name of the block that stands for everything between interfaces.
pub const FABRIC: &str = "fabric";

/// The observer that writes one capture file to `W`.
///
/// An interface is described when its first packet is seen, under its instance's name. Costs a copy
/// of every packet, and a text for each that carries a comment.
#[derive(Debug)]
#[must_use = "a capture is complete only after `finish`"]
pub struct Capture<W> {
    writer: Writer<W>,
    /// The interfaces described so far.
    blocks: BTreeMap<Block, InterfaceNumber>,
    /// Packets of an interface that the file had no room to describe, and all after them.
    left_out: u64,
    /// The first error; nothing is written after it.
    failed: Option<Error>,
}

/// What a packet of the file is written at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Block {
    Interface(InterfaceIdx),
    Fabric,
}

impl<W: io::Write> Capture<W> {
    /// Starts a file in which virtual zero is `start`.
    pub fn new(sink: W, start: CalendarStart) -> Capture<W> {
        Capture::over(Writer::new(sink, start))
    }

    /// Goes on with a file that has been started, for example with a limit of its own.
    pub fn over(writer: Writer<W>) -> Capture<W> {
        Capture { writer, blocks: BTreeMap::new(), left_out: 0, failed: None }
    }

    /// Hands what there is to the sink, so that whoever reads the file sees it. A failure is kept for
    /// [`Capture::finish`].
    pub fn write_early(&mut self) {
        if self.failed.is_none() {
            self.failed = self.writer.write_early().err();
        }
    }

    /// What has gone wrong so far; nothing is written after it.
    pub fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// Hands the rest to the sink and gives it back, with what the file holds.
    ///
    /// # Errors
    /// The first that the run met, else those of [`Writer::finish`].
    pub fn finish(self) -> Result<(W, Tally), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (sink, mut tally) = self.writer.finish()?;
        tally.left_out += self.left_out;
        Ok((sink, tally))
    }

    fn put(&mut self, world: World<'_>, seen: Seen<'_>) {
        if self.failed.is_some() {
            return;
        }
        if self.left_out > 0 {
            self.left_out += 1;
            return;
        }
        match self.try_put(world, seen) {
            Ok(()) => {}
            // The file is full, which is no error: it stays a gapless beginning.
            Err(Error::NoRoom { .. }) => self.left_out += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    fn try_put(&mut self, world: World<'_>, seen: Seen<'_>) -> Result<(), Error> {
        let interface = match self.blocks.get(&seen.at) {
            Some(known) => *known,
            None => {
                let (name, description) = describe(world, seen.at);
                let number = self.writer.add_interface(&name, &description)?;
                self.blocks.insert(seen.at, number);
                number
            }
        };
        // A full file counts what it leaves out.
        let _ = self.writer.write(&pcapng::Packet {
            interface,
            at: world.now,
            direction: seen.direction,
            bytes: seen.bytes,
            comment: seen.comment.as_deref(),
        })?;
        Ok(())
    }
}

/// One record of the file.
struct Seen<'a> {
    at: Block,
    direction: Direction,
    bytes: &'a [u8],
    comment: Option<String>,
}

impl<W: io::Write> Observer for Capture<W> {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        self.put(world, seen(world, subject, what));
    }
}

/// What a capture shows of a happening.
fn seen<'a>(world: World<'_>, subject: Subject, what: Happening<'a>) -> Seen<'a> {
    let (at, direction, bytes, comment) = match what {
        Happening::Left { packet, from, .. } => {
            (Block::Interface(from), Direction::Outbound, packet.bytes(), None)
        }
        Happening::Malformed { bytes, drop, wrong } => {
            let comment = format!("{}: {wrong}", dropped(world, drop));
            (Block::Interface(subject.sender), Direction::Outbound, bytes, Some(comment))
        }
        Happening::NotSent { packet, from, drop } => {
            let comment = Some(dropped(world, drop));
            (Block::Interface(from), Direction::Outbound, packet.bytes(), comment)
        }
        Happening::Lost { packet, drop, .. } => {
            (Block::Fabric, Direction::Inbound, packet.bytes(), Some(dropped(world, drop)))
        }
        Happening::Relayed { packet, at, .. } => {
            (Block::Interface(at), Direction::Inbound, packet.bytes(), None)
        }
        Happening::Arrived { packet, at, .. } => {
            let astray = subject.meant.filter(|meant| *meant != at);
            let comment = astray.map(|meant| misdelivered(world, meant));
            (Block::Interface(at), Direction::Inbound, packet.bytes(), comment)
        }
    };
    Seen { at, direction, bytes, comment }
}

/// The name and the description of a block.
fn describe(world: World<'_>, block: Block) -> (String, String) {
    let Block::Interface(row) = block else {
        return (FABRIC.to_owned(), "drops after leaving".to_owned());
    };
    let names = Names(world.cloud);
    let id = world.rows.interface_id(row);
    let mut description = id.to_string();
    if let Some(interface) = world.cloud.interface(id) {
        // Writing to a string cannot fail.
        let _ = write!(description, " in VPC {}", names.vpc(interface.vpc));
        for address in &interface.addresses {
            let _ = write!(description, ", {address}");
        }
    }
    (names.interface(id), description)
}

/// The comment on a packet that was dropped.
fn dropped(world: World<'_>, drop: Drop) -> String {
    let at = Names(world.cloud).location(world.rows.locate(drop.at));
    let code = drop.reason.aws_code().map(|code| format!(" ({code})"));
    format!("dropped: {} at {at}{}", drop.reason, code.unwrap_or_default())
}

/// The comment on a packet that reached another host.
fn misdelivered(world: World<'_>, meant: InterfaceIdx) -> String {
    let meant = Names(world.cloud).interface(world.rows.interface_id(meant));
    format!("{MISDELIVERED}: meant for {meant}")
}

/// A name for the capture of each scenario, such as `transit.pcapng`, in the order of `scenarios`:
/// that of [`stems`].
pub fn file_names<P: AsRef<Path>>(scenarios: &[P]) -> Vec<String> {
    stems(scenarios).into_iter().map(|stem| stem + ".pcapng").collect()
}

/// A name for what is written of each scenario, such as `transit`, in the order of `scenarios`.
///
/// A name is made of the file's stem, and of the names of its directories as far as they are needed
/// to tell it from the others (`drops-transit.pcapng`); where that does not help, of a number. It
/// holds only `A-Z a-z 0-9 . _ -`, does not begin with `.` or `-`, and differs from all others in
/// more than the case of letters, so that the files can lie in one directory of any system.
pub fn stems<P: AsRef<Path>>(scenarios: &[P]) -> Vec<String> {
    let mut stems: Vec<Stem> = scenarios.iter().map(|path| Stem::of(path.as_ref())).collect();
    // Each round lengthens a stem, so there are at most as many as the paths have directories.
    while lengthen_equal(&mut stems) {}
    let mut taken = BTreeSet::new();
    let mut next_number: BTreeMap<String, usize> = BTreeMap::new();
    let names = stems.iter().map(Stem::to_string).map(|stem| {
        let mut name = stem.clone();
        let number = next_number.entry(stem.to_ascii_lowercase()).or_insert(2);
        while !taken.insert(name.to_ascii_lowercase()) {
            name = format!("{stem}-{number}");
            *number += 1;
        }
        name
    });
    names.collect()
}

/// Takes one more directory into each stem that equals another; `false` if nothing could be done.
fn lengthen_equal(stems: &mut [Stem]) -> bool {
    let mut equal: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, stem) in stems.iter().enumerate() {
        equal.entry(stem.to_string().to_ascii_lowercase()).or_default().push(row);
    }
    let mut lengthened = false;
    for row in equal.into_values().filter(|rows| rows.len() > 1).flatten() {
        let stem = &mut stems[row];
        if stem.used < stem.parts.len() {
            stem.used += 1;
            lengthened = true;
        }
    }
    lengthened
}

/// The parts of a path that a file name can be made of.
#[derive(Debug)]
struct Stem {
    /// The file's stem, then its directories from the innermost on; safe characters only.
    parts: Vec<String>,
    /// How many of them make the name.
    used: usize,
}

impl Stem {
    fn of(path: &Path) -> Stem {
        let stem = path.file_stem().map(|stem| safe(&stem.to_string_lossy()));
        let above = path.parent().into_iter().flat_map(|parent| parent.components().rev());
        let directories = above.filter_map(|component| match component {
            Component::Normal(name) => Some(safe(&name.to_string_lossy())),
            _ => None,
        });
        let parts: Vec<String> = stem.into_iter().chain(directories).collect();
        Stem { used: parts.len().min(1), parts }
    }
}

/// The used parts, outermost first; the end of them if they are long, since it tells most.
impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.parts[..self.used].iter().rev().map(String::as_str).collect();
        let joined = parts.join("-");
        let tail = &joined[joined.len().saturating_sub(LABEL_BYTES_MAX)..];
        f.write_str(match tail.trim_start_matches(['.', '-']) {
            "" => "scenario",
            name => name,
        })
    }
}

/// The text with `_` in place of every character that a label may not have: only ASCII remains.
fn safe(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.chars().map(|c| if is_safe(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests;
