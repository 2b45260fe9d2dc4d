//! Batches beside the reference: the same packets, in the same order, each twin with a memory of its
//! own.
//!
//! Compares what becomes of each packet, how it crosses, what is counted and what the ring tells;
//! what is remembered is compared as far as the fabric's memory can be. Worker and batch live on from
//! one batch to the next, as they do in a program. Refuses to state what is right: the reference does.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use vpclab::base::id::InterfaceIdx;
use vpclab::base::time::Instant;
use vpclab::forward::fabric::flows::Flows;
use vpclab::forward::fabric::{BATCH, Batch, Delivery, Fabric, Fate, Worker};
use vpclab::forward::gate::{Realm, Via};
use vpclab::forward::{Connections, Crossing, Drop, DropReason, Forwarder, Reference, Tracking};
use vpclab::wire::Packet;

/// A memory that the fabric can have.
pub(crate) trait Memory: Tracking {
    fn set_now(&mut self, now: Instant);

    /// Where it differs from the reference's, among interfaces up to this row; `None` if it does not,
    /// as far as one can see.
    fn differs(&self, reference: &Connections, interfaces: usize) -> Option<InterfaceIdx>;
}

impl Memory for Connections {
    fn set_now(&mut self, now: Instant) {
        Connections::set_now(self, now);
    }

    fn differs(&self, reference: &Connections, _: usize) -> Option<InterfaceIdx> {
        (self != reference).then_some(InterfaceIdx::NOWHERE)
    }
}

impl Memory for Flows {
    fn set_now(&mut self, now: Instant) {
        Flows::set_now(self, now);
    }

    fn differs(&self, reference: &Connections, interfaces: usize) -> Option<InterfaceIdx> {
        let all = (0..interfaces).map(InterfaceIdx::from_row);
        all.into_iter().find(|at| self.live(*at) != reference.live(*at))
    }
}

/// A packet to be sent.
pub(crate) type Parcel<'p> = (InterfaceIdx, &'p Packet);

/// By what way a packet came, in few words.
pub(crate) fn way(crossing: Crossing) -> &'static str {
    match (crossing.via(), crossing.into_realm()) {
        (Via::Subnet, _) => "in the subnet",
        (Via::Interface(_), _) => "at a target",
        (Via::Peering(_), _) => "over a peering",
        (Via::Gateway(_), Realm::Vpc(_)) => "over an edge in",
        (Via::Gateway(_), _) => "over an edge out",
        (Via::Local, _) => "in the VPC",
        (Via::Outside(_), _) => "outside",
    }
}

/// What has become of packets.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Fates {
    pub(crate) delivered: BTreeMap<&'static str, u64>,
    pub(crate) dropped: BTreeMap<DropReason, u64>,
    /// Those that left and are too long for their way.
    pub(crate) to_be_cut: u64,
}

impl Fates {
    pub(crate) fn packets(&self) -> u64 {
        self.delivered.values().chain(self.dropped.values()).sum::<u64>() + self.to_be_cut
    }

    pub(crate) fn add(&mut self, other: &Fates) {
        for (name, count) in &other.delivered {
            *self.delivered.entry(name).or_default() += count;
        }
        for (reason, count) in &other.dropped {
            *self.dropped.entry(*reason).or_default() += count;
        }
        self.to_be_cut += other.to_be_cut;
    }
}

/// One worker of the fabric and one of the reference, for as many batches as are wanted.
pub(crate) struct Pair<M> {
    pub(crate) of_fabric: M,
    pub(crate) of_reference: Connections,
    worker: Worker,
    /// What the reference says of the batch that is under way.
    left: Vec<Result<Crossing, Drop>>,
    /// What has become of all packets, and how many bytes were delivered.
    pub(crate) fates: Fates,
    bytes: u64,
}

impl<M: Memory> Pair<M> {
    pub(crate) fn new(of_fabric: M, of_reference: Connections) -> Pair<M> {
        Pair {
            of_fabric,
            of_reference,
            worker: Worker::new(BATCH),
            left: Vec::new(),
            fates: Fates::default(),
            bytes: 0,
        }
    }

    /// From now on it is this moment.
    pub(crate) fn set_now(&mut self, now: Instant) {
        self.of_reference.set_now(now);
        self.of_fabric.set_now(now);
    }

    /// Lets packets leave, in `batch`, which is emptied first.
    pub(crate) fn leave<'p>(
        &mut self,
        batch: &mut Batch<'p>,
        packets: &[Parcel<'p>],
        fabric: &Fabric,
        reference: &Reference<'_>,
    ) -> Result<(), TestCaseError> {
        self.left.clear();
        for (from, packet) in packets {
            self.left.push(reference.leave(*from, packet, &mut self.of_reference));
        }
        batch.clear();
        for (at, (from, packet)) in packets.iter().enumerate() {
            prop_assert!(batch.push(*from, packet, u32::try_from(at).unwrap()));
        }
        fabric.leave_all(batch, &mut self.of_fabric, &mut self.worker);
        for (at, (left, parcel)) in self.left.iter().zip(packets).enumerate() {
            let want = match left {
                Err(drop) => Fate::Dropped(*drop),
                Ok(crossing) if crossing.mtu().holds(parcel.1.len()) => Fate::Left,
                Ok(_) => Fate::MustBeCut,
            };
            prop_assert_eq!(batch.fate(at), Some(want), "{:?}", parcel);
            prop_assert_eq!(batch.crossing(at), left.ok(), "{:?}", parcel);
        }
        Ok(())
    }

    /// Lets those arrive that have left, perhaps in another version of the network. `arrived` hears of
    /// each that does, with its place in the batch.
    pub(crate) fn enter<'p>(
        &mut self,
        batch: &mut Batch<'p>,
        packets: &[Parcel<'p>],
        fabric: &Fabric,
        reference: &Reference<'_>,
        mut arrived: impl FnMut(usize, Crossing, &Packet, InterfaceIdx),
    ) -> Result<(), TestCaseError> {
        fabric.enter_all(batch, &mut self.of_fabric, &mut self.worker);
        for (at, (left, (from, packet))) in self.left.iter().zip(packets).enumerate() {
            let fate = match left {
                Err(drop) => Err(*drop),
                Ok(crossing) if !crossing.mtu().holds(packet.len()) => {
                    self.fates.to_be_cut += 1;
                    continue;
                }
                Ok(crossing) => {
                    let mapped = crossing.mapped(packet).unwrap();
                    let end = reference.enter(*crossing, &mapped, &mut self.of_reference);
                    end.inspect(|to| arrived(at, *crossing, &mapped, *to)).map(|to| (*crossing, to))
                }
            };
            let want = fate.map_or_else(Fate::Dropped, |(_, to)| Fate::Delivered(to));
            prop_assert_eq!(batch.fate(at), Some(want), "{:?} by {:?}", packet, left);
            match fate {
                Ok((crossing, to)) => {
                    let length = u16::try_from(packet.len()).unwrap();
                    let name = u32::try_from(at).unwrap();
                    let told = self.worker.take();
                    prop_assert_eq!(told, Some(Delivery { to, from: *from, name, length }));
                    self.bytes += u64::from(length);
                    *self.fates.delivered.entry(way(crossing)).or_default() += 1;
                }
                Err(drop) => *self.fates.dropped.entry(drop.reason).or_default() += 1,
            }
        }
        prop_assert_eq!(self.worker.take(), None);
        Ok(())
    }

    /// Compares what was counted since the pair began, and what is remembered of interfaces up to this
    /// row.
    pub(crate) fn compare(&self, interfaces: usize) -> Result<(), TestCaseError> {
        let (worker, fates) = (&self.worker, &self.fates);
        prop_assert_eq!(worker.delivered(), fates.delivered.values().sum::<u64>());
        prop_assert_eq!((worker.bytes(), worker.unread()), (self.bytes, 0));
        for reason in DropReason::ALL {
            let want = fates.dropped.get(reason).copied().unwrap_or(0);
            prop_assert_eq!(worker.dropped(*reason), want, "{}", reason);
        }
        let differs = self.of_fabric.differs(&self.of_reference, interfaces);
        prop_assert_eq!(differs, None, "memories are not equal any more");
        Ok(())
    }
}
