//! From bytes to a [`Layout`]: where a packet's parts are, or the first rule it breaks.
//!
//! Holds every check that the table in [`super`] lists. Refuses to hold the packet, and to
//! interpret what lies behind the transport header.
//!
//! By hand and not through etherparse: the checks of checksums, fragments and the limits of the
//! extension chain would have to be added around it anyway, and would walk the headers once more
//! for the offsets that the errors and the layout carry. The tests hold it against etherparse.

use super::checksum::Sum;
use super::extension::{Extension, FIXED};
use super::{Family, FragmentPlace, Header, Malformed, Offload, Protocol};
use crate::base::limit::{IPV6_EXTENSION_BYTES_MAX, IPV6_EXTENSIONS_MAX, PACKET_BYTES_MAX};

/// Offsets into an accepted packet, counted from the first byte of the IP header.
///
/// `transport <= payload <= payload_end <= ip_len <=` the bytes present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Where the packet ends according to its IP header.
    pub(super) ip_len: u16,
    /// Where the transport header begins, or would.
    pub(super) transport: u16,
    /// Where the data behind the transport header begin.
    pub(super) payload: u16,
    /// Where they end. Before `ip_len` if UDP says so.
    pub(super) payload_end: u16,
    /// Where IPv6's fragment header begins; 0 if there is none.
    pub(super) fragment_header: u16,
    /// Which fragment it is; `None` if it is whole.
    pub(super) fragment: Option<FragmentPlace>,
    pub(super) family: Family,
    /// What begins at `transport`.
    pub(super) protocol: Protocol,
    /// What is left to be done to it.
    pub(super) offload: Offload,
}

/// Where the parts of the packet at the start of `bytes` are. Reads each byte once for its
/// checksums and allocates nothing.
pub(super) fn layout(bytes: &[u8]) -> Result<Layout, Malformed> {
    layout_of(bytes, Offload::NONE)
}

/// The same of a packet with `offload` left to do: if any is, its transport checksum is not read.
#[inline]
pub(super) fn layout_of(bytes: &[u8], offload: Offload) -> Result<Layout, Malformed> {
    let Some(first) = bytes.first() else { return Err(Malformed::Empty) };
    if bytes.len() > PACKET_BYTES_MAX {
        return Err(Malformed::TooLong { had: bytes.len() });
    }
    match first >> 4 {
        4 => ipv4(bytes, offload),
        6 => ipv6(bytes, offload),
        version => Err(Malformed::Version { version }),
    }
}

/// The part of a packet above IP, as the IP headers announce it.
struct Upper<'a> {
    /// The packet without trailing bytes.
    ip: &'a [u8],
    family: Family,
    /// Source and destination, next to each other in both families.
    addresses: &'a [u8],
    protocol: Protocol,
    /// Where it begins; at most `ip.len()`.
    at: usize,
    fragment: Option<FragmentPlace>,
    fragment_header: usize,
    /// Can the transport checksum be computed from this packet alone?
    checksum: Verifiable,
    offload: Offload,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verifiable {
    Yes,
    No,
}

impl Verifiable {
    const fn of(offload: Offload) -> Verifiable {
        if offload.is_some() { Verifiable::No } else { Verifiable::Yes }
    }
}

/// RFC 791, 3.1. The checksum comes before the lengths, since they are worth nothing without it
/// (RFC 1812, 5.2.2).
fn ipv4(bytes: &[u8], offload: Offload) -> Result<Layout, Malformed> {
    let head: &[u8; 20] = fixed_part(Header::Ipv4, bytes, 0)?;
    let words = head[0] & 0x0f;
    if words < 5 {
        return Err(Malformed::HeaderLength { words });
    }
    let header_len = usize::from(words) * 4;
    let header = prefix(Header::Ipv4, bytes, 0, header_len)?;
    verify(Header::Ipv4, Sum::default(), header, 0, 10)?;

    let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if total < header_len {
        return Err(Malformed::TotalLength { claimed: total, needed: header_len });
    }
    let Some(ip) = bytes.get(..total) else {
        return Err(Malformed::Incomplete {
            header: Header::Ipv4,
            needed: total,
            had: bytes.len(),
        });
    };
    let flags_and_offset = u16::from_be_bytes([head[6], head[7]]);
    let offset = (flags_and_offset & 0x1fff) * 8;
    let fragment = FragmentPlace::of(offset, flags_and_offset & 0x2000 != 0);
    if let Some(place) = fragment {
        check_fragment(Header::Ipv4, place, offset, header_len, total - header_len)?;
    }
    upper(&Upper {
        ip,
        family: Family::V4,
        addresses: &head[12..20],
        protocol: Protocol(head[9]),
        at: header_len,
        fragment,
        fragment_header: 0,
        checksum: if fragment.is_none() { Verifiable::of(offload) } else { Verifiable::No },
        offload,
    })
}

/// RFC 8200, 3 and 4.
fn ipv6(bytes: &[u8], offload: Offload) -> Result<Layout, Malformed> {
    let head: &[u8; FIXED] = fixed_part(Header::Ipv6, bytes, 0)?;
    let total = FIXED + usize::from(u16::from_be_bytes([head[4], head[5]]));
    let Some(ip) = bytes.get(..total) else {
        return Err(Malformed::Incomplete {
            header: Header::Ipv6,
            needed: total,
            had: bytes.len(),
        });
    };
    let mut found = Upper {
        ip,
        family: Family::V6,
        addresses: &head[8..40],
        protocol: Protocol(head[6]),
        at: FIXED,
        fragment: None,
        fragment_header: 0,
        checksum: Verifiable::of(offload),
        offload,
    };
    let mut count = 0;
    // What follows the header of a later fragment is data from the middle of the packet.
    while let Some(kind) = Extension::of(found.protocol)
        && !is_later(found.fragment)
    {
        if count == IPV6_EXTENSIONS_MAX {
            return Err(Malformed::ExtensionsTooMany { offset: found.at });
        }
        count += 1;
        extension(kind, &mut found)?;
    }
    upper(&found)
}

/// Steps over the extension header at `found.at`, and notes what it says about the packet.
fn extension(kind: Extension, found: &mut Upper<'_>) -> Result<(), Malformed> {
    let (ip, at) = (found.ip, found.at);
    let head: &[u8; 8] = fixed_part(Header::Extension, ip, at)?;
    let length = kind.length(head[1]);
    prefix(Header::Extension, ip, at, length)?;
    let end = at + length;
    if end - FIXED > IPV6_EXTENSION_BYTES_MAX {
        return Err(Malformed::ExtensionsTooLong { had: end - FIXED });
    }
    match kind {
        Extension::HopByHop if at != FIXED => {
            return Err(Malformed::HopByHopNotFirst { offset: at });
        }
        // The pseudo header has the final destination, which only the kind of routing header that
        // put it there knows how to find (RFC 8200, 8.1). Byte 3 counts the segments left.
        Extension::Routing if head[3] != 0 => found.checksum = Verifiable::No,
        Extension::Fragment => {
            if found.fragment_header != 0 {
                return Err(Malformed::FragmentTwice { offset: at });
            }
            found.fragment_header = at;
            let offset_and_more = u16::from_be_bytes([head[2], head[3]]);
            let offset = offset_and_more & 0xfff8;
            found.fragment = FragmentPlace::of(offset, offset_and_more & 1 != 0);
            if let Some(place) = found.fragment {
                found.checksum = Verifiable::No;
                check_fragment(Header::Ipv6, place, offset, at, ip.len() - end)?;
            }
        }
        _ => {}
    }
    found.protocol = Protocol(head[0]);
    found.at = end;
    Ok(())
}

const fn is_later(fragment: Option<FragmentPlace>) -> bool {
    matches!(fragment, Some(FragmentPlace::Middle | FragmentPlace::Last))
}

/// `repeated` is the length of the headers that stand before the data in every fragment.
fn check_fragment(
    header: Header,
    place: FragmentPlace,
    offset: u16,
    repeated: usize,
    had: usize,
) -> Result<(), Malformed> {
    if place != FragmentPlace::Last && !had.is_multiple_of(8) {
        return Err(Malformed::FragmentLength { header, had });
    }
    let end = repeated + usize::from(offset) + had;
    if end > PACKET_BYTES_MAX {
        return Err(Malformed::FragmentEnd { header, end });
    }
    Ok(())
}

fn upper(found: &Upper<'_>) -> Result<Layout, Malformed> {
    let segment = found.ip.get(found.at..).unwrap_or_default();
    let (header_len, end) = match (found.protocol, found.family) {
        _ if is_later(found.fragment) => (0, segment.len()),
        (Protocol::UDP, _) => udp(found, segment)?,
        (Protocol::TCP, _) => tcp(found, segment)?,
        (Protocol::ICMP, Family::V4) => icmp(Header::Icmp, found, segment)?,
        (Protocol::ICMPV6, Family::V6) => icmp(Header::Icmpv6, found, segment)?,
        _ => (0, segment.len()),
    };
    Ok(Layout {
        ip_len: narrow(found.ip.len()),
        transport: narrow(found.at),
        payload: narrow(found.at + header_len),
        payload_end: narrow(found.at + end),
        fragment_header: narrow(found.fragment_header),
        fragment: found.fragment,
        family: found.family,
        protocol: found.protocol,
        offload: found.offload,
    })
}

/// RFC 768. Gives the length of the header and where the datagram ends.
///
/// The datagram may end before the packet does: nothing forbids it, and receivers ignore the rest.
fn udp(found: &Upper<'_>, segment: &[u8]) -> Result<(usize, usize), Malformed> {
    let head: &[u8; 8] = fixed_part(Header::Udp, found.ip, found.at)?;
    let claimed = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let room = if found.fragment.is_some() { PACKET_BYTES_MAX } else { segment.len() };
    if claimed < head.len() || claimed > room {
        return Err(Malformed::UdpLength { offset: found.at + 4, claimed, room });
    }
    let datagram = segment.get(..claimed).unwrap_or(segment);
    if found.checksum == Verifiable::Yes {
        match (head[6..8] == [0, 0], found.family) {
            (true, Family::V4) => {}
            (true, Family::V6) => {
                return Err(Malformed::ChecksumAbsent { offset: found.at + 6 });
            }
            (false, _) => verify(Header::Udp, found.pseudo(datagram), datagram, found.at, 6)?,
        }
    }
    Ok((head.len(), datagram.len()))
}

/// RFC 9293, 3.1. Gives the length of the header and where the segment ends.
fn tcp(found: &Upper<'_>, segment: &[u8]) -> Result<(usize, usize), Malformed> {
    let head: &[u8; 20] = fixed_part(Header::Tcp, found.ip, found.at)?;
    let words = head[12] >> 4;
    if words < 5 {
        return Err(Malformed::DataOffset { offset: found.at + 12, words });
    }
    let header = prefix(Header::Tcp, found.ip, found.at, usize::from(words) * 4)?;
    if found.checksum == Verifiable::Yes {
        verify(Header::Tcp, found.pseudo(segment), segment, found.at, 16)?;
    }
    Ok((header.len(), segment.len()))
}

/// RFC 792 and RFC 4443, 2. Gives the length of the header and where the message ends.
///
/// Both leave four bytes behind the checksum to each type; no type in use is without them.
fn icmp(header: Header, found: &Upper<'_>, segment: &[u8]) -> Result<(usize, usize), Malformed> {
    let head: &[u8; 8] = fixed_part(header, found.ip, found.at)?;
    if found.checksum == Verifiable::Yes {
        let before = if header == Header::Icmpv6 { found.pseudo(segment) } else { Sum::default() };
        verify(header, before, segment, found.at, 2)?;
    }
    Ok((head.len(), segment.len()))
}

impl Upper<'_> {
    fn pseudo(&self, covered: &[u8]) -> Sum {
        Sum::default().pseudo_header(self.addresses, self.protocol, narrow(covered.len()))
    }
}

/// Checks the checksum in `covered`, which begins at byte `at` of the packet and carries it at
/// byte `field`, both even; `before` has summed what else it covers.
fn verify(
    header: Header,
    before: Sum,
    covered: &[u8],
    at: usize,
    field: usize,
) -> Result<(), Malformed> {
    if before.bytes(covered).finish() == 0 {
        Ok(())
    } else {
        Err(wrong_checksum(header, before, covered, at, field))
    }
}

#[cold]
fn wrong_checksum(
    header: Header,
    before: Sum,
    covered: &[u8],
    at: usize,
    field: usize,
) -> Malformed {
    let (front, rest) = covered.split_at_checked(field).unwrap_or_default();
    let (carried, back) = rest.split_first_chunk().unwrap_or((&[0; 2], &[]));
    let computed = match before.bytes(front).bytes(back).finish() {
        // In UDP 0 says that there is none, and its twin is sent instead (RFC 768).
        0 if header == Header::Udp => 0xffff,
        sum => sum,
    };
    let carried = u16::from_be_bytes(*carried);
    Malformed::Checksum { header, offset: at + field, carried, computed }
}

/// The fixed part of the header at byte `at` of the packet.
fn fixed_part<const N: usize>(
    header: Header,
    packet: &[u8],
    at: usize,
) -> Result<&[u8; N], Malformed> {
    let rest = packet.get(at..).unwrap_or_default();
    rest.first_chunk().ok_or(Malformed::Truncated {
        header,
        offset: at,
        needed: N,
        had: rest.len(),
    })
}

/// The header at byte `at` of the packet, of which `length` is now known.
fn prefix(header: Header, packet: &[u8], at: usize, length: usize) -> Result<&[u8], Malformed> {
    let rest = packet.get(at..).unwrap_or_default();
    rest.get(..length).ok_or(Malformed::Truncated {
        header,
        offset: at,
        needed: length,
        had: rest.len(),
    })
}

#[allow(clippy::cast_possible_truncation, reason = "inside a packet, so at most 65,535")]
fn narrow(offset: usize) -> u16 {
    debug_assert!(offset <= PACKET_BYTES_MAX);
    offset as u16
}
