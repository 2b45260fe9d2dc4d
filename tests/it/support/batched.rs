//! A batch beside the reference: the same packets, in the same order, each with a memory of its own.
//!
//! Compares what becomes of each packet, how it crosses, what is counted, what the ring tells and
//! what is remembered afterwards. Refuses to state what is right: the reference does.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use vpclab::base::id::InterfaceIdx;
use vpclab::base::time::Instant;
use vpclab::forward::fabric::{BATCH, Batch, Delivery, Fabric, Fate, Worker};
use vpclab::forward::{Connections, Crossing, Drop, DropReason, Forwarder, Reference};
use vpclab::wire::Packet;

/// A batch that has left, and what the reference makes of it.
pub(crate) struct Flock<'p> {
    packets: &'p [(InterfaceIdx, Packet)],
    batch: Batch<'p>,
    worker: Worker,
    of_batch: Connections,
    of_reference: Connections,
    left: Vec<Result<Crossing, Drop>>,
}

impl<'p> Flock<'p> {
    /// Lets the packets leave. Both begin with this memory.
    pub(crate) fn leave(
        packets: &'p [(InterfaceIdx, Packet)],
        fabric: &Fabric,
        reference: &Reference<'_>,
        memory: &Connections,
    ) -> Result<Flock<'p>, TestCaseError> {
        let mut of_reference = memory.clone();
        let left: Vec<_> = packets
            .iter()
            .map(|(from, packet)| reference.leave(*from, packet, &mut of_reference))
            .collect();
        let (mut batch, mut worker) = (Batch::new(), Worker::new(BATCH));
        for (at, (from, packet)) in packets.iter().enumerate() {
            prop_assert!(batch.push(*from, packet, u32::try_from(at).unwrap()));
        }
        let mut of_batch = memory.clone();
        fabric.leave_all(&mut batch, &mut of_batch, &mut worker);
        for (at, left) in left.iter().enumerate() {
            let packet = &packets[at].1;
            let want = match left {
                Err(drop) => Fate::Dropped(*drop),
                Ok(crossing) if crossing.mtu().holds(packet.len()) => Fate::Left,
                Ok(_) => Fate::MustBeCut,
            };
            prop_assert_eq!(batch.fate(at), Some(want), "{:?}", packets[at]);
            prop_assert_eq!(batch.crossing(at), left.ok(), "{:?}", packets[at]);
        }
        prop_assert!(of_batch == of_reference, "after leaving, memories are not equal any more");
        Ok(Flock { packets, batch, worker, of_batch, of_reference, left })
    }

    /// Lets those arrive that have left, perhaps in another version of the network. Gives what was
    /// dropped on the whole way.
    pub(crate) fn enter(
        mut self,
        fabric: &Fabric,
        reference: &Reference<'_>,
        now: Instant,
    ) -> Result<BTreeMap<DropReason, u64>, TestCaseError> {
        self.of_reference.set_now(now);
        self.of_batch.set_now(now);
        fabric.enter_all(&mut self.batch, &mut self.of_batch, &mut self.worker);
        let mut dropped: BTreeMap<DropReason, u64> = BTreeMap::new();
        let (mut deliveries, mut bytes) = (Vec::new(), 0);
        for (at, (left, (from, packet))) in self.left.iter().zip(self.packets).enumerate() {
            let fate = match left {
                Err(drop) => Err(*drop),
                Ok(crossing) if !crossing.mtu().holds(packet.len()) => continue,
                Ok(crossing) => {
                    let mapped = crossing.mapped(packet).unwrap();
                    reference.enter(*crossing, &mapped, &mut self.of_reference)
                }
            };
            match fate {
                Ok(to) => {
                    let length = u16::try_from(packet.len()).unwrap();
                    let name = u32::try_from(at).unwrap();
                    deliveries.push(Delivery { to, from: *from, name, length });
                    bytes += u64::from(length);
                }
                Err(drop) => *dropped.entry(drop.reason).or_default() += 1,
            }
            let want = fate.map_or_else(Fate::Dropped, Fate::Delivered);
            prop_assert_eq!(self.batch.fate(at), Some(want), "{:?} by {:?}", packet, left);
        }
        prop_assert!(self.of_batch == self.of_reference, "memories are not equal any more");
        let worker = &mut self.worker;
        prop_assert_eq!(worker.delivered(), deliveries.len() as u64);
        prop_assert_eq!((worker.bytes(), worker.unread()), (bytes, 0));
        for reason in DropReason::ALL {
            let want = dropped.get(reason).copied().unwrap_or(0);
            prop_assert_eq!(worker.dropped(*reason), want, "{}", reason);
        }
        let told: Vec<Delivery> = std::iter::from_fn(|| worker.take()).collect();
        prop_assert_eq!(told, deliveries);
        Ok(dropped)
    }
}
