//! What one core has for itself: its counters, its cache of passages, and the ring into which it
//! delivers.
//!
//! Holds no memory of connections and no packets. Refuses to be shared: workers are summed by whoever
//! reports.

use super::passages::Passages;
use crate::base::id::InterfaceIdx;
use crate::forward::{Drop, DropReason};

/// A packet that has arrived: 16 bytes, whoever takes it from the ring finds the packet by them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(align(16))]
pub struct Delivery {
    /// Where it has arrived.
    pub to: InterfaceIdx,
    /// Who sent it, or sent it on.
    pub from: InterfaceIdx,
    /// What the caller called it, see [`Batch::push`](super::Batch::push).
    pub name: u32,
    /// Its length in bytes according to its IP header.
    pub length: u16,
}

const _: () = assert!(size_of::<Delivery>() == 16);

/// One core's counters and ring.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(super) passages: Passages,
    ring: Box<[Delivery]>,
    /// How many were ever written, and taken. Their difference is at most the ring's length.
    written: usize,
    taken: usize,
    delivered: u64,
    bytes: u64,
    dropped: [u64; DropReason::COUNT],
    unread: u64,
}

impl Worker {
    /// A worker whose ring takes so many deliveries, rounded up to a power of two.
    pub fn new(ring: usize) -> Worker {
        let (nobody, size) = (InterfaceIdx::NOWHERE, ring.max(1).next_power_of_two());
        let nothing = Delivery { to: nobody, from: nobody, name: 0, length: 0 };
        Worker {
            passages: Passages::new(),
            ring: vec![nothing; size].into(),
            written: 0,
            taken: 0,
            delivered: 0,
            bytes: 0,
            dropped: [0; DropReason::COUNT],
            unread: 0,
        }
    }

    /// Packets that have arrived.
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Their bytes, by their IP headers.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets that were dropped for this reason.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason.row()]
    }

    /// Packets that have arrived while the ring was full: they count as delivered, and the ring does
    /// not tell of them.
    pub const fn unread(&self) -> u64 {
        self.unread
    }

    /// The oldest delivery that nobody has taken.
    pub fn take(&mut self) -> Option<Delivery> {
        if self.taken == self.written {
            return None;
        }
        let delivery = self.ring.get(self.taken & (self.ring.len() - 1)).copied();
        self.taken = self.taken.wrapping_add(1);
        delivery
    }

    /// Takes all of them at once without a look.
    pub fn clear(&mut self) {
        self.taken = self.written;
    }

    #[inline]
    pub(super) fn deliver(&mut self, delivery: Delivery) {
        self.delivered += 1;
        self.bytes += u64::from(delivery.length);
        let mask = self.ring.len() - 1;
        if self.written.wrapping_sub(self.taken) > mask {
            self.unread += 1;
        } else if let Some(slot) = self.ring.get_mut(self.written & mask) {
            *slot = delivery;
            self.written = self.written.wrapping_add(1);
        }
    }

    pub(super) fn drop(&mut self, drop: Drop) {
        self.dropped[drop.reason.row()] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_counts_what_it_cannot_tell() {
        let mut worker = Worker::new(3);
        let to = InterfaceIdx::from_row(1);
        for round in 0..3 {
            for name in 0..6 {
                worker.deliver(Delivery { to, from: to, name, length: 20 });
            }
            let names: Vec<u32> = std::iter::from_fn(|| worker.take()).map(|d| d.name).collect();
            assert_eq!(names, [0, 1, 2, 3], "a ring of four");
            assert_eq!((worker.delivered(), worker.unread()), ((round + 1) * 6, (round + 1) * 2));
        }
        assert_eq!(worker.bytes(), 18 * 20);
    }
}
