//! The header in front of each packet of a TUN device that leaves work to its reader.
//!
//! Holds its ten bytes, both ways (virtio 1.2, 5.1.6, without `num_buffers`; little-endian, as TUN has
//! it on little-endian machines unless told otherwise). Refuses to do the work: `wire::offload`.

use crate::wire::{Family, Offload, Packet};

/// The header's length in bytes.
pub const LENGTH: usize = 10;

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the transport checksum covers the pseudo header alone.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_F_DATA_VALID`: checksums are right.
const VALID: u8 = 2;
/// `VIRTIO_NET_HDR_GSO_TCPV4`.
const SEGMENTS_V4: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV6`.
const SEGMENTS_V6: u8 = 4;
/// `VIRTIO_NET_HDR_GSO_ECN`: the first segment alone has CWR. Cutting up does that in any case.
const ECN: u8 = 0x80;

/// What a header says that is not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misunderstood {
    /// Less than a header.
    #[error("{0} bytes are no virtio-net header")]
    Short(usize),
    /// Segments of a kind that was not offered.
    #[error("segments of kind {0}, which were not offered")]
    Segments(u8),
}

/// What is left to be done to the packet behind this header.
///
/// # Errors
/// [`Misunderstood`]; the packet cannot be used then.
pub fn offload(header: &[u8]) -> Result<Offload, Misunderstood> {
    let Some(header) = header.first_chunk::<LENGTH>() else {
        return Err(Misunderstood::Short(header.len()));
    };
    let [flags, kind, _, _, size_low, size_high, ..] = *header;
    match kind & !ECN {
        0 if flags & NEEDS_CHECKSUM != 0 => Ok(Offload::CHECKSUM),
        0 => Ok(Offload::NONE),
        SEGMENTS_V4 | SEGMENTS_V6 => {
            let size = u16::from_le_bytes([size_low, size_high]);
            Offload::segments(size).ok_or(Misunderstood::Segments(kind))
        }
        other => Err(Misunderstood::Segments(other)),
    }
}

/// The header of a packet that is handed to a stack.
pub fn header(packet: &Packet) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    let offload = packet.offload();
    if !offload.is_some() {
        // Whoever made the packet has computed its checksums, or they were verified.
        header[0] = VALID;
        return header;
    }
    let Some(places) = packet.places() else {
        // Left undone, but there is nothing to do: a packet without a checksum.
        return header;
    };
    header[0] = NEEDS_CHECKSUM;
    let mut put = |at: usize, value: u16| {
        header[at..at + 2].copy_from_slice(&value.to_le_bytes());
    };
    put(6, places.transport);
    put(8, places.checksum - places.transport);
    if let Some(size) = offload.payload().filter(|_| packet.count() > 1) {
        put(2, places.payload);
        put(4, size);
        header[1] = match packet.family() {
            Family::V4 => SEGMENTS_V4,
            Family::V6 => SEGMENTS_V6,
        };
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TcpFlags;
    use crate::wire::build;

    fn packet(offload: Offload, from: &str, to: &str) -> Packet {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let whole = build::tcp(from, to, TcpFlags::ACK, 1, 2, &[7; 4_000]).unwrap();
        Packet::parse_offloaded(whole.bytes().clone(), offload).unwrap()
    }

    #[test]
    fn a_header_says_what_it_was_made_from() {
        for [from, to] in [["10.0.0.1:1", "10.1.0.2:80"], ["[2001:db8::1]:1", "[2001:db8::2]:80"]] {
            for offload in [Offload::NONE, Offload::CHECKSUM, Offload::segments(1_448).unwrap()] {
                let header = header(&packet(offload, from, to));
                assert_eq!(super::offload(&header), Ok(offload));
            }
        }
    }

    #[test]
    fn the_fields_are_where_a_kernel_looks_for_them() {
        let v4 = packet(Offload::segments(1_448).unwrap(), "10.0.0.1:1", "10.1.0.2:80");
        // NEEDS_CSUM, TCPV4, headers of 40 bytes, segments of 1,448, checksum at 20 + 16.
        assert_eq!(header(&v4), [1, 1, 40, 0, 0xa8, 5, 20, 0, 16, 0]);
        let v6 = packet(Offload::CHECKSUM, "[2001:db8::1]:1", "[2001:db8::2]:80");
        assert_eq!(header(&v6), [1, 0, 0, 0, 0, 0, 40, 0, 16, 0]);
        let short = Offload::segments(5_000).unwrap();
        let whole = packet(short, "10.0.0.1:1", "10.1.0.2:80");
        assert_eq!(header(&whole)[..2], [1, 0], "one segment is no segmentation");
    }

    #[test]
    fn what_was_not_offered_is_not_taken() {
        assert_eq!(offload(&[0; 9]), Err(Misunderstood::Short(9)));
        let of = |kind: u8, size: u8| offload(&[1, kind, 0, 0, size, 0, 0, 0, 0, 0]);
        assert_eq!(of(3, 9), Err(Misunderstood::Segments(3)), "UDP fragments");
        assert_eq!(of(1, 0), Err(Misunderstood::Segments(1)), "segments of nothing");
        assert_eq!(of(1, 9), Err(Misunderstood::Segments(1)), "65,000 segments of one packet");
        assert_eq!(of(1 | 0x80, 99), Ok(Offload::segments(99).unwrap()), "with ECN");
        assert_eq!(of(0, 0), Ok(Offload::CHECKSUM));
    }
}
