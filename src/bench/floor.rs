//! The least that forwarding a packet can cost here: what every figure is compared with.
//!
//! Holds one loop that reads a header, looks one word up by its destination and writes a descriptor
//! of 16 bytes. Refuses to decide anything: no forwarder can do less, and none does so little.

use std::hint::black_box;

/// Words of the table that is looked up in: 1 MiB of them, as a table of 1,000 routes may take.
const TABLE: usize = 1 << 18;
/// Descriptors of the ring.
const RING: usize = 1_024;
/// Bytes of a cache line.
const LINE: usize = 64;

/// Headers, a table and a ring.
#[derive(Debug)]
pub(super) struct Floor {
    headers: Vec<u8>,
    stride: usize,
    table: Vec<u32>,
    ring: Box<[(u64, u64); RING]>,
}

impl Floor {
    /// For as many packets, so many bytes apart as packets of `length` lie at least.
    pub(super) fn new(packets: usize, length: usize) -> Floor {
        let stride = length.next_multiple_of(LINE);
        let mut headers = vec![0; packets * stride];
        for (n, header) in headers.chunks_exact_mut(stride).enumerate() {
            #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
            let destination = crate::base::rng::mix(n as u64) as u32;
            header[16..20].copy_from_slice(&destination.to_be_bytes());
        }
        let ring = Box::new([(0, 0); RING]);
        Floor { headers, stride, table: vec![1; TABLE], ring }
    }

    /// All packets once.
    pub(super) fn pass(&mut self) {
        let mut tail = 0;
        for header in self.headers.chunks_exact(self.stride) {
            let destination = [header[16], header[17], header[18], header[19]];
            let destination = u32::from_be_bytes(destination);
            let found = self.table[(destination >> 8) as usize % TABLE];
            self.ring[tail % RING] = (u64::from(found), u64::from(destination));
            tail += 1;
        }
        black_box(&self.ring);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What makes it a floor: it has read every header and written a descriptor for each.
    #[test]
    fn every_packet_leaves_a_descriptor() {
        let mut floor = Floor::new(RING, 100);
        assert_eq!(floor.stride, 128);
        floor.pass();
        for (n, (found, destination)) in floor.ring.iter().enumerate() {
            let want = crate::base::rng::mix(n as u64) & 0xffff_ffff;
            assert_eq!((*found, *destination), (1, want), "{n}");
        }
    }
}
