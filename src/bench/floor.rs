//! The least that forwarding a packet can cost here: what every figure is compared with.
//!
//! Holds two loops. One reads a header, looks one word up by its destination and writes a descriptor
//! of 16 bytes: no forwarder can do less, and none does so little. The other follows a chain of lines
//! through as much memory as a network takes: what its size costs whoever has to find five things of
//! a packet one by another. Both refuse to decide anything.

use std::hint::black_box;

/// Words of the table that is looked up in: 1 MiB of them, as a table of 1,000 routes may take.
const TABLE: usize = 1 << 18;
/// Descriptors of the ring.
const RING: usize = 1_024;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Lines of a chain: the sender, its table, the peering, the directory and the receiver.
const HOPS: usize = 5;
/// Packets whose chains are followed at the same time.
const AT_ONCE: usize = 64;

/// Which floor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One word of a table that fits a cache.
    Word,
    /// A chain of lines, each named by the one before it, through so many bytes.
    Chain(usize),
}

/// Headers, something to look up in, and a ring.
#[derive(Debug)]
pub(super) struct Floor {
    headers: Vec<u8>,
    stride: usize,
    lookup: Lookup,
    ring: Box<[(u64, u64); RING]>,
}

#[derive(Debug)]
enum Lookup {
    Word(Vec<u32>),
    Chain(Vec<[u64; LINE / 8]>),
}

impl Floor {
    /// For as many packets, so many bytes apart as packets of `length` lie at least.
    pub(super) fn new(kind: Kind, packets: usize, length: usize) -> Floor {
        let stride = length.next_multiple_of(LINE);
        let mut headers = vec![0; packets * stride];
        for (n, header) in headers.chunks_exact_mut(stride).enumerate() {
            #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
            let destination = crate::base::rng::mix(n as u64) as u32;
            header[16..20].copy_from_slice(&destination.to_be_bytes());
        }
        let lookup = match kind {
            Kind::Word => Lookup::Word(vec![1; TABLE]),
            Kind::Chain(bytes) => Lookup::Chain(chain((bytes / LINE).max(1))),
        };
        Floor { headers, stride, lookup, ring: Box::new([(0, 0); RING]) }
    }

    /// All packets once.
    pub(super) fn pass(&mut self) {
        let Floor { headers, stride, lookup, ring } = self;
        match lookup {
            Lookup::Word(table) => {
                for (header, tail) in headers.chunks_exact(*stride).zip(0..) {
                    let destination = destination(header);
                    let found = table[(destination >> 8) as usize % TABLE];
                    let tail: usize = tail;
                    ring[tail % RING] = (u64::from(found), u64::from(destination));
                }
            }
            Lookup::Chain(lines) => {
                let mut at = [0; AT_ONCE];
                for batch in headers.chunks(*stride * AT_ONCE) {
                    for (at, header) in at.iter_mut().zip(batch.chunks_exact(*stride)) {
                        *at = u64::from(destination(header)) % lines.len() as u64;
                    }
                    for _ in 0..HOPS {
                        at.iter_mut().for_each(|at| *at = next(lines, *at));
                    }
                    for (slot, at) in ring.iter_mut().zip(at) {
                        *slot = (at, 1);
                    }
                }
            }
        }
        black_box(&self.ring);
    }
}

#[inline]
fn destination(header: &[u8]) -> u32 {
    u32::from_be_bytes([header[16], header[17], header[18], header[19]])
}

#[inline]
fn next(lines: &[[u64; LINE / 8]], at: u64) -> u64 {
    #[allow(clippy::cast_possible_truncation, reason = "what is in a line is below their number")]
    lines.get(at as usize).map_or(0, |line| line[0])
}

/// Lines of which each names another, without a pattern.
fn chain(count: usize) -> Vec<[u64; LINE / 8]> {
    let line = |n: usize| [crate::base::rng::mix(n as u64) % count as u64; LINE / 8];
    (0..count).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::mix;

    /// What makes it a floor: it has read every header and written a descriptor for each.
    #[test]
    fn every_packet_leaves_a_descriptor() {
        let mut floor = Floor::new(Kind::Word, RING, 100);
        assert_eq!(floor.stride, 128);
        floor.pass();
        for (n, (found, destination)) in floor.ring.iter().enumerate() {
            let want = mix(n as u64) & 0xffff_ffff;
            assert_eq!((*found, *destination), (1, want), "{n}");
        }
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let count = 1_000;
        let mut floor = Floor::new(Kind::Chain(count * LINE), AT_ONCE, 64);
        floor.pass();
        for (n, (end, written)) in floor.ring.iter().take(AT_ONCE).enumerate() {
            let mut want = (mix(n as u64) & 0xffff_ffff) % count as u64;
            (0..HOPS).for_each(|_| want = mix(want) % count as u64);
            assert_eq!((*end, *written), (want, 1), "{n}");
        }
    }
}
