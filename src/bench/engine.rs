//! The forwarder under measurement, behind the one interface that the measuring loops use.
//!
//! Another one is measured by changing this file; `joined.rs` alone knows more, the workers' rings.
//! Holds what belongs to a packet's way: `leave`, `enter`, delivery into a ring and the counters.
//! Refuses to read a clock and to build packets.

use crate::base::id::InterfaceIdx;
use crate::base::limit::TRACKED_CONNECTIONS_MAX;
use crate::base::rng::Seed;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::event::Change;
use crate::forward::fabric::flows::Flows;
use crate::forward::fabric::{self, Batch, Fabric, Publisher, Reader};
use crate::forward::{Connections, DropReason, Forwarder, Reference, Rows};
use crate::wire::Packet;

/// What the forwarder is called in a report.
pub(super) const NAME: &str = "the compiled fabric, in batches";

/// Packets that it takes at once, at most.
pub(super) const BATCH: usize = fabric::BATCH;

/// Deliveries of the ring. Whoever forwards empties it behind each batch without a look.
pub(super) const RING: usize = BATCH;

/// One version of a network, ready to forward. Shared by all workers.
#[derive(Debug)]
pub(super) struct Engine {
    fabric: Fabric,
}

/// A packet, and the interface that sends it.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) from: InterfaceIdx,
    pub(super) packet: Packet,
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Fate {
    Delivered,
    Dropped(DropReason),
}

/// One core's part: the memory of connections, the batch, the ring and the counters.
#[derive(Debug)]
pub(super) struct Worker<'p> {
    batch: Batch<'p>,
    core: Core,
    /// Packets that were verified last, kept for their room.
    admitted: Vec<Parcel>,
}

/// What of a worker outlives its packets.
#[derive(Debug)]
struct Core {
    memory: Flows,
    counters: fabric::Worker,
    sent: u64,
    malformed: u64,
}

impl Engine {
    /// Compiles a cloud, whose resources have these rows.
    pub(super) fn compile(cloud: &Cloud, rows: &Rows) -> Engine {
        Engine { fabric: Fabric::compile(cloud, rows, Instant::START) }
    }

    /// Follows a cloud that these changes have made of the last one.
    pub(super) fn follow(&mut self, cloud: &Cloud, rows: &Rows, changes: &[Change]) {
        self.fabric.update(cloud, rows, changes, Instant::START);
    }

    /// The compiled network.
    pub(super) const fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// Bytes that it counts itself: rows, addresses and route tables.
    pub(super) fn bytes(&self) -> usize {
        self.fabric.bytes()
    }
}

/// A memory of connections with room for as many as there may be.
pub(super) fn memory() -> Flows {
    let mut memory = Flows::new(Seed::default());
    memory.set_limit(TRACKED_CONNECTIONS_MAX);
    memory
}

impl<'p> Worker<'p> {
    pub(super) fn new() -> Worker<'p> {
        let (memory, counters) = (memory(), fabric::Worker::new(RING));
        let core = Core { memory, counters, sent: 0, malformed: 0 };
        Worker { batch: Batch::new(), core, admitted: Vec::new() }
    }

    /// Forwards packets, at most [`BATCH`] at once: each leaves, enters, is delivered or dropped, and
    /// counted.
    pub(super) fn forward(&mut self, engine: &Engine, parcels: &'p [Parcel]) {
        for parcels in parcels.chunks(BATCH) {
            self.core.forward(&engine.fabric, &mut self.batch, parcels);
        }
    }

    /// The same by a network that changes meanwhile; each batch by one version of it.
    pub(super) fn forward_live(&mut self, follower: &mut Follower, parcels: &'p [Parcel]) {
        for parcels in parcels.chunks(BATCH) {
            self.core.forward(follower.0.fabric(), &mut self.batch, parcels);
        }
    }

    /// The same from bytes that nobody has looked at yet: header and checksums are verified first. A
    /// batch is made for each call.
    pub(super) fn admit_and_forward(&mut self, engine: &Engine, parcels: &[Parcel]) {
        self.admitted.clear();
        for Parcel { from, packet } in parcels {
            match Packet::parse(packet.bytes().clone()) {
                Ok(packet) => self.admitted.push(Parcel { from: *from, packet }),
                Err(_) => self.core.malformed += 1,
            }
        }
        let mut batch = Batch::new();
        for parcels in self.admitted.chunks(BATCH) {
            self.core.forward(&engine.fabric, &mut batch, parcels);
        }
    }

    /// Every packet so far, by fate; those that nobody met are left out.
    pub(super) fn fates(&self) -> Vec<(Fate, u64)> {
        let counters = &self.core.counters;
        let drops = DropReason::ALL.iter().map(|&reason| {
            let early = if reason == DropReason::Malformed { self.core.malformed } else { 0 };
            (Fate::Dropped(reason), counters.dropped(reason) + early)
        });
        let all = std::iter::once((Fate::Delivered, counters.delivered())).chain(drops);
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Packets that were handed over so far.
    pub(super) fn sent(&self) -> u64 {
        self.core.sent + self.core.malformed
    }
}

impl Core {
    fn forward<'q>(&mut self, fabric: &Fabric, batch: &mut Batch<'q>, parcels: &'q [Parcel]) {
        batch.clear();
        for (parcel, name) in parcels.iter().zip(0..) {
            batch.push(parcel.from, &parcel.packet, name);
        }
        fabric.leave_all(batch, &mut self.memory, &mut self.counters);
        fabric.enter_all(batch, &mut self.memory, &mut self.counters);
        self.counters.clear();
        self.sent += parcels.len() as u64;
    }
}

/// A network that changes while workers forward by it.
#[derive(Debug)]
pub(super) struct Live(Publisher);

/// A worker's hold on it.
#[derive(Debug)]
pub(super) struct Follower(Reader);

impl Live {
    pub(super) fn new(engine: Engine) -> Live {
        Live(Publisher::new(engine.fabric))
    }

    pub(super) fn follower(&self) -> Follower {
        Follower(self.0.reader())
    }

    /// Puts a version in use that follows these changes.
    pub(super) fn publish(&mut self, cloud: &Cloud, rows: &Rows, changes: &[Change]) {
        self.0.publish(cloud, rows, changes, Instant::START);
    }
}

/// What the reference says of each of these packets, sent in order.
pub(super) fn by_reference(cloud: &Cloud, rows: &Rows, parcels: &[Parcel]) -> Vec<Fate> {
    let reference = Reference::new(cloud, rows, Instant::START);
    let mut memory = Connections::default();
    let fate = |parcel: &Parcel| {
        let crossing = reference.leave(parcel.from, &parcel.packet, &mut memory);
        match crossing.and_then(|crossing| reference.enter(crossing, &parcel.packet, &mut memory)) {
            Ok(_) => Fate::Delivered,
            Err(drop) => Fate::Dropped(drop.reason),
        }
    };
    parcels.iter().map(fate).collect()
}
