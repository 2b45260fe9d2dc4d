//! The forwarder under measurement, behind the one interface that the measuring loops use.
//!
//! The only file of the bench that names a forwarder: another one is measured by changing this file.
//! Holds what belongs to a packet's way: `leave`, `enter`, delivery into a ring and the counters.
//! Refuses to read a clock and to build packets.

use crate::base::id::InterfaceIdx;
use crate::base::limit::TRACKED_CONNECTIONS_MAX;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::forward::{Connections, DropReason, Forwarder, Reference, Rows, Snapshot};
use crate::wire::Packet;

/// What the forwarder is called in a report.
pub(super) const NAME: &str = "snapshot, one packet at a time";

/// One version of a network, ready to forward. Shared by all workers.
#[derive(Debug)]
pub(super) struct Engine {
    snapshot: Snapshot,
    interfaces: usize,
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

/// What a delivered packet leaves behind: 16 bytes, as the ring of a network card would hold.
#[derive(Clone, Copy, Debug, Default)]
struct Descriptor {
    to: u32,
    length: u32,
    packet: u64,
}

const _: () = assert!(size_of::<Descriptor>() == 16);

/// Descriptors of the ring; old ones are overwritten, so that it stays in the cache.
const RING: usize = 1_024;

/// One core's part: the memory of connections, the ring and the counters.
#[derive(Debug)]
pub(super) struct Worker {
    memory: Connections,
    ring: Box<[Descriptor; RING]>,
    tail: usize,
    /// Packets and bytes by receiving interface.
    received: Vec<(u64, u64)>,
    dropped: [u64; DropReason::COUNT],
}

impl Engine {
    /// Compiles a cloud, whose resources have these rows.
    pub(super) fn compile(cloud: &Cloud, rows: &Rows) -> Engine {
        let snapshot = Snapshot::compile(cloud, rows, Instant::START);
        Engine { snapshot, interfaces: rows.interface_count() }
    }

    /// Follows a cloud in which one route has changed: here by compiling all of it anew.
    pub(super) fn follow(&mut self, cloud: &Cloud, rows: &Rows) {
        *self = Engine::compile(cloud, rows);
    }

    pub(super) fn worker(&self) -> Worker {
        let mut memory = Connections::default();
        memory.set_limit(TRACKED_CONNECTIONS_MAX);
        Worker {
            memory,
            ring: Box::new([Descriptor::default(); RING]),
            tail: 0,
            received: vec![(0, 0); self.interfaces],
            dropped: [0; DropReason::COUNT],
        }
    }
}

impl Worker {
    /// Forwards a batch: each packet leaves, enters, is delivered or dropped, and counted.
    pub(super) fn forward(&mut self, engine: &Engine, batch: &[Parcel]) {
        for (n, parcel) in batch.iter().enumerate() {
            let snapshot = &engine.snapshot;
            let crossing = snapshot.leave(parcel.from, &parcel.packet, &mut self.memory);
            let end = crossing
                .and_then(|crossing| snapshot.enter(crossing, &parcel.packet, &mut self.memory));
            match end {
                Ok(to) => self.deliver(to, n, parcel.packet.len()),
                Err(drop) => self.dropped[drop.reason.row()] += 1,
            }
        }
    }

    /// The same from bytes that nobody has looked at yet: header and checksums are verified first.
    pub(super) fn admit_and_forward(&mut self, engine: &Engine, batch: &[Parcel]) {
        for parcel in batch {
            match Packet::parse(parcel.packet.bytes().clone()) {
                Ok(packet) => self.forward(engine, &[Parcel { from: parcel.from, packet }]),
                Err(_) => self.dropped[DropReason::Malformed.row()] += 1,
            }
        }
    }

    fn deliver(&mut self, to: InterfaceIdx, n: usize, length: usize) {
        #[allow(clippy::cast_possible_truncation, reason = "a packet has at most 65,535 bytes")]
        let descriptor =
            Descriptor { to: to.row() as u32, length: length as u32, packet: n as u64 };
        self.ring[self.tail % RING] = descriptor;
        self.tail = self.tail.wrapping_add(1);
        if let Some((packets, bytes)) = self.received.get_mut(to.row()) {
            *packets += 1;
            *bytes += u64::from(descriptor.length);
        }
    }

    /// Every packet so far, by fate; those that nobody met are left out.
    pub(super) fn fates(&self) -> Vec<(Fate, u64)> {
        let delivered = self.received.iter().map(|(packets, _)| packets).sum();
        let drops = DropReason::ALL.iter().map(|reason| Fate::Dropped(*reason));
        let counts = drops.zip(self.dropped);
        let all = std::iter::once((Fate::Delivered, delivered)).chain(counts);
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// What the last descriptor says, so that no compiler finds that nobody reads the ring.
    pub(super) fn last(&self) -> u64 {
        let last = self.ring[self.tail.wrapping_sub(1) % RING];
        u64::from(last.to) ^ u64::from(last.length) ^ last.packet
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
