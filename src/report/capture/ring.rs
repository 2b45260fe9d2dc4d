//! The latest packets of a world that never ends, as a capture shows them.
//!
//! Holds a ring of packets within bounds, and writes it as a file whenever it is asked to. What is
//! written where is said in [`capture`](super). Refuses to keep more than its bounds: the oldest
//! packets go first, and are counted.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::{Seen, describe, seen};
use crate::base::time::Instant;
use crate::report::pcapng::{self, CalendarStart, Direction, Error, Tally, Writer};
use crate::sim::{Happening, Observer, Subject, World};

/// How much a ring keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Packets.
    pub packets: usize,
    /// Bytes of their packets, comments not counted.
    pub bytes: usize,
}

/// The observer that keeps the latest packets.
#[derive(Debug)]
pub struct Ring {
    bounds: Bounds,
    packets: VecDeque<Kept>,
    bytes: usize,
    forgotten: u64,
}

#[derive(Debug)]
struct Kept {
    at: Instant,
    /// The name and description of where it was seen.
    place: Arc<(String, String)>,
    direction: Direction,
    bytes: Vec<u8>,
    comment: Option<String>,
}

impl Ring {
    /// An empty ring.
    pub fn new(bounds: Bounds) -> Ring {
        Ring { bounds, packets: VecDeque::new(), bytes: 0, forgotten: 0 }
    }

    /// Packets that it keeps.
    pub fn packets(&self) -> usize {
        self.packets.len()
    }

    /// Packets that had to go.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Writes what it keeps as a file in which virtual zero is `start`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: io::Write>(&self, sink: W, start: CalendarStart) -> Result<(W, Tally), Error> {
        let mut writer = Writer::new(sink, start);
        let mut places = BTreeMap::new();
        for kept in &self.packets {
            let (name, description) = &*kept.place;
            let interface = match places.get(&kept.place) {
                Some(known) => *known,
                None => {
                    let number = writer.add_interface(name, description)?;
                    places.insert(Arc::clone(&kept.place), number);
                    number
                }
            };
            // A full file counts what it leaves out.
            let _ = writer.write(&pcapng::Packet {
                interface,
                at: kept.at,
                direction: kept.direction,
                bytes: &kept.bytes,
                comment: kept.comment.as_deref(),
            })?;
        }
        writer.finish()
    }
}

impl Observer for Ring {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        let Seen { at, direction, bytes, comment } = seen(world, subject, what);
        let place = describe(world, at);
        // Packets of one place stand close together more often than not.
        let place = match self.packets.back() {
            Some(last) if *last.place == place => Arc::clone(&last.place),
            _ => Arc::new(place),
        };
        self.bytes += bytes.len();
        let bytes = bytes.to_vec();
        self.packets.push_back(Kept { at: world.now, place, direction, bytes, comment });
        while self.packets.len() > self.bounds.packets || self.bytes > self.bounds.bytes {
            let Some(oldest) = self.packets.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
            self.forgotten += 1;
        }
    }
}
