//! What a host has left for its network card to do: to finish a checksum, and to cut up a segment.
//!
//! Holds the note that travels with such a packet ([`Offload`]), and the doing of what it says
//! ([`carried_out`]). Refuses to know where the note comes from (a TUN device's virtio header, say)
//! and to decide whether a packet may go as it is.
//!
//! A host's stack hands down one packet of up to 64 KiB for some 40 segments, and the receiver's
//! takes it up as one: what is never cut up need not be put together. Everybody who counts or
//! measures asks for what would be on the wire: [`Packet::longest`], [`Packet::count`],
//! [`Packet::wire_bytes`].

use super::checksum::Sum;
use super::parse::Layout;
use super::{Family, Packet, Protocol, TcpFlags};

/// The least payload of a segment that a host may leave to its card (ours, as Linux's
/// `tcp_min_snd_mss`): with one byte each, a packet would be 65,000.
pub const SEGMENT_PAYLOAD_MIN: u16 = 48;

/// What is left to be done to a packet before it could be on a wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Offload(u16);

impl Offload {
    /// Nothing.
    pub const NONE: Offload = Offload(0);
    /// The transport checksum covers the pseudo header alone.
    pub const CHECKSUM: Offload = Offload(u16::MAX);

    /// It stands for TCP segments with at most `payload` bytes each, whose checksums are left
    /// too. `None` for less than [`SEGMENT_PAYLOAD_MIN`] and for 65,535, which no segment has.
    pub const fn segments(payload: u16) -> Option<Offload> {
        match payload {
            ..SEGMENT_PAYLOAD_MIN | u16::MAX => None,
            payload => Some(Offload(payload)),
        }
    }

    /// Can a card do this to a whole packet of this layout?
    pub(super) fn suits(self, layout: &Layout) -> bool {
        let protocol = layout.protocol;
        let has_checksum = protocol == Protocol::TCP || protocol == Protocol::UDP;
        let may_be_cut = self.payload().is_none() || protocol == Protocol::TCP;
        layout.fragment.is_none() && has_checksum && may_be_cut
    }

    /// Is anything left to be done?
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// The most bytes of payload in a segment, if it stands for several.
    pub const fn payload(self) -> Option<u16> {
        match self.0 {
            0 | u16::MAX => None,
            payload => Some(payload),
        }
    }
}

/// Where a network card finds what it has to read and write, in bytes from the IP header's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// The transport header, where the checksum's range begins.
    pub transport: u16,
    /// The checksum.
    pub checksum: u16,
    /// The first byte behind all headers.
    pub payload: u16,
}

impl Packet {
    /// Where a card finds what it needs; `None` of what has no transport checksum to be finished.
    pub fn places(&self) -> Option<Places> {
        let layout = self.layout();
        let field = match self.protocol() {
            Protocol::TCP => 16,
            Protocol::UDP => 6,
            _ => return None,
        };
        let (transport, payload) = (layout.transport, layout.payload);
        Some(Places { transport, checksum: transport + field, payload })
    }

    /// The length in bytes of the longest of the packets that it stands for: what has to fit an MTU.
    #[inline]
    pub fn longest(&self) -> usize {
        match self.layout().offload.payload() {
            None => self.len(),
            Some(payload) => {
                self.len().min(usize::from(self.layout().payload) + usize::from(payload))
            }
        }
    }

    /// How many packets it stands for: 1, but for segments that are yet to be cut.
    pub fn count(&self) -> u64 {
        let data = self.payload().len() as u64;
        match self.layout().offload.payload() {
            None => 1,
            Some(payload) => data.div_ceil(u64::from(payload)).max(1),
        }
    }

    /// The bytes of all packets that it stands for, IP headers included.
    pub fn wire_bytes(&self) -> u64 {
        let headers = u64::from(self.layout().payload);
        self.len() as u64 + (self.count() - 1) * headers
    }
}

/// The packets that `packet` stands for, with right checksums: itself, if nothing is left to be
/// done.
///
/// Segments are cut as RFC 9293 and network cards do: sequence numbers and IPv4's identifications
/// count on, FIN and PSH go to the last, CWR to the first (RFC 3168, 6.1.2). Costs two passes over
/// the bytes and an allocation for each packet.
pub fn carried_out(packet: &Packet) -> Vec<Packet> {
    let layout = packet.layout();
    let offload = layout.offload;
    if !offload.is_some() {
        return vec![packet.clone()];
    }
    let size = match offload.payload() {
        Some(size) if packet.protocol() == Protocol::TCP => usize::from(size),
        _ => usize::MAX,
    };
    let headers = packet.bytes().get(..usize::from(layout.payload)).unwrap_or_default();
    let data = packet.payload();
    let count = data.len().div_ceil(size).max(1);
    let piece = |number: usize| {
        let from = number.saturating_mul(size).min(data.len());
        let data = data.get(from..from.saturating_add(size).min(data.len())).unwrap_or_default();
        let mut bytes = Vec::with_capacity(headers.len() + data.len());
        bytes.extend_from_slice(headers);
        bytes.extend_from_slice(data);
        let place = Place { number, from, is_last: number + 1 == count };
        finish(&mut bytes, packet, &place);
        // Only lengths, counters and checksums differ from what was accepted.
        let piece = Packet::parse(bytes.into());
        debug_assert!(piece.is_ok(), "{piece:?}");
        piece.ok()
    };
    (0..count).filter_map(piece).collect()
}

/// Which piece of a packet.
struct Place {
    number: usize,
    /// Where its data begin among the packet's.
    from: usize,
    is_last: bool,
}

/// Makes of a copy of the packet's headers, and the data behind them, the piece at `place`.
fn finish(bytes: &mut [u8], packet: &Packet, place: &Place) {
    let layout = packet.layout();
    let (total, transport) = (bytes.len(), usize::from(layout.transport));
    let mut put = |at: usize, new: [u8; 2]| {
        if let Some(old) = bytes.get_mut(at..at + 2) {
            old.copy_from_slice(&new);
        }
    };
    let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    match packet.family() {
        Family::V4 => {
            let [high, low] = [4, 5].map(|at| packet.bytes().get(at).copied().unwrap_or_default());
            let number = u16::try_from(place.number).unwrap_or(u16::MAX);
            let identification = u16::from_be_bytes([high, low]).wrapping_add(number);
            put(2, short(total));
            put(4, identification.to_be_bytes());
            put(10, [0; 2]);
            let sum = Sum::default().bytes(bytes.get(..transport).unwrap_or_default()).finish();
            if let Some(old) = bytes.get_mut(10..12) {
                old.copy_from_slice(&sum.to_be_bytes());
            }
        }
        Family::V6 => put(4, short(total - super::extension::FIXED)),
    }
    let addresses = match packet.family() {
        Family::V4 => 12..20,
        Family::V6 => 8..40,
    };
    let pseudo = Sum::default().pseudo_header(
        bytes.get(addresses).unwrap_or_default(),
        packet.protocol(),
        u16::try_from(total - transport).unwrap_or(u16::MAX),
    );
    let Some(segment) = bytes.get_mut(transport..) else { return };
    let field = match packet.protocol() {
        Protocol::TCP => {
            number_segment(segment, place);
            16
        }
        Protocol::UDP => 6,
        _ => return,
    };
    if let Some(old) = segment.get_mut(field..field + 2) {
        old.copy_from_slice(&[0; 2]);
    }
    let sum = match pseudo.bytes(segment).finish() {
        // In UDP 0 says that there is none, and its twin is sent instead (RFC 768).
        0 if packet.protocol() == Protocol::UDP => 0xffff,
        sum => sum,
    };
    if let Some(old) = segment.get_mut(field..field + 2) {
        old.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Sequence number and control bits of a segment at its place.
fn number_segment(segment: &mut [u8], place: &Place) {
    if let Some(field) = segment.get_mut(4..8) {
        let first = field.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let from = u32::try_from(place.from).unwrap_or(u32::MAX);
        field.copy_from_slice(&first.wrapping_add(from).to_be_bytes());
    }
    if let Some(flags) = segment.get_mut(13) {
        if !place.is_last {
            *flags &= !(TcpFlags::FIN | TcpFlags::PSH).0;
        }
        if place.number > 0 {
            *flags &= !CWR;
        }
    }
}

/// "Congestion window reduced" (RFC 3168, 6.1).
const CWR: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::build;

    /// A packet as a stack hands it down: its checksum covers the pseudo header alone.
    fn handed_down(from: &str, to: &str, flags: TcpFlags, data: &[u8], offload: Offload) -> Packet {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let whole = build::tcp(from, to, flags, u32::MAX - 9, 7, data).unwrap();
        let mut bytes = whole.bytes().to_vec();
        let at = usize::from(whole.layout().transport) + 16;
        bytes[at..at + 2].copy_from_slice(&[0x12, 0x34]);
        assert!(Packet::parse(bytes.clone().into()).is_err(), "it is not right yet");
        Packet::parse_offloaded(bytes.into(), offload).unwrap()
    }

    #[test]
    fn a_checksum_is_finished() {
        for [from, to] in [["10.0.0.1:1", "10.1.0.2:80"], ["[2001:db8::1]:1", "[2001:db8::2]:80"]] {
            let flags = TcpFlags::PSH | TcpFlags::ACK;
            let right = build::tcp(
                from.parse().unwrap(),
                to.parse().unwrap(),
                flags,
                u32::MAX - 9,
                7,
                b"some data",
            );
            let packet = handed_down(from, to, flags, b"some data", Offload::CHECKSUM);
            assert_eq!((packet.count(), packet.longest()), (1, packet.len()));
            assert_eq!(carried_out(&packet), [right.unwrap()]);
        }
    }

    #[test]
    fn a_datagram_without_data_keeps_a_checksum() {
        let right =
            build::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap(), b"").unwrap();
        let mut bytes = right.bytes().to_vec();
        bytes[26..28].copy_from_slice(&[1, 1]);
        let packet = Packet::parse_offloaded(bytes.into(), Offload::CHECKSUM).unwrap();
        assert_eq!(carried_out(&packet), [right]);
    }

    #[test]
    fn segments_add_up_to_what_was_handed_down() {
        let data: Vec<u8> = (0..10_000).map(|n: u32| n.to_le_bytes()[0]).collect();
        let flags = TcpFlags::FIN | TcpFlags::PSH | TcpFlags::ACK | TcpFlags(CWR);
        for [from, to] in [["10.0.0.1:1", "10.1.0.2:80"], ["[2001:db8::1]:1", "[2001:db8::2]:80"]] {
            let offload = Offload::segments(1_448).unwrap();
            let packet = handed_down(from, to, flags, &data, offload);
            let pieces = carried_out(&packet);
            assert_eq!(pieces.len() as u64, packet.count());
            assert_eq!(pieces.iter().map(Packet::len).max(), Some(packet.longest()));
            assert_eq!(pieces.iter().map(|p| p.len() as u64).sum::<u64>(), packet.wire_bytes());
            assert_eq!(pieces.iter().flat_map(|p| p.payload().to_vec()).collect::<Vec<_>>(), data);
            let (first, last) = (pieces.first().unwrap(), pieces.last().unwrap());
            let mut expected = u32::MAX - 9;
            for piece in &pieces {
                let segment = piece.tcp().unwrap();
                assert_eq!(segment.sequence, expected);
                expected = expected.wrapping_add(u32::try_from(piece.payload().len()).unwrap());
                let ends = segment.flags.0 & (TcpFlags::FIN | TcpFlags::PSH).0;
                assert_eq!(ends != 0, piece == last);
                assert_eq!(segment.flags.0 & CWR != 0, piece == first);
                assert_eq!(piece.flow(), packet.flow());
            }
        }
    }

    #[test]
    fn what_no_card_can_do_is_not_left() {
        let (from, to) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let segments = Offload::segments(100).unwrap();
        let echo = build::echo(crate::wire::EchoKind::Request, from, to, 1, 1, &[0; 500]).unwrap();
        let datagram = build::udp((from, 1).into(), (to, 2).into(), &[0; 500]).unwrap();
        for (right, offload) in
            [(&echo, Offload::CHECKSUM), (&echo, segments), (&datagram, segments)]
        {
            let packet = Packet::parse_offloaded(right.bytes().clone(), offload).unwrap();
            assert_eq!((packet.offload(), packet.count()), (Offload::NONE, 1));
            let mut wrong = right.bytes().to_vec();
            *wrong.last_mut().unwrap() ^= 1;
            assert!(Packet::parse_offloaded(wrong.into(), offload).is_err(), "{offload:?}");
        }
    }

    #[test]
    fn what_is_short_enough_is_one_packet() {
        let offload = Offload::segments(1_448).unwrap();
        let packet = handed_down("10.0.0.1:1", "10.1.0.2:80", TcpFlags::ACK, b"x", offload);
        assert_eq!((packet.count(), packet.longest()), (1, packet.len()));
        assert_eq!(packet.wire_bytes(), packet.len() as u64);
        assert_eq!(carried_out(&packet).len(), 1);
        assert_eq!(Offload::segments(SEGMENT_PAYLOAD_MIN - 1), None);
        assert!(Offload::segments(SEGMENT_PAYLOAD_MIN).is_some());
        assert_eq!(Offload::segments(u16::MAX), None);
    }
}
