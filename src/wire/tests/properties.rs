//! What holds for all bytes, all built packets, and all single-bit errors.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::*;
use crate::base::units::Mtu;

/// What to build.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Echo(EchoKind, u16, u16),
    Udp,
    Tcp(u8, u32, u32),
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

impl Order {
    pub(super) fn build(&self) -> Packet {
        let Order { from, to, payload, .. } = self;
        let built = match self.kind {
            Kind::Echo(kind, ident, seq) => {
                build::echo(kind, from.ip(), to.ip(), ident, seq, payload)
            }
            Kind::Udp => build::udp(*from, *to, payload),
            Kind::Tcp(flags, seq, ack) => {
                build::tcp(*from, *to, TcpFlags(flags), seq, ack, payload)
            }
        };
        built.unwrap()
    }
}

pub(super) fn orders(payload: std::ops::Range<usize>) -> impl Strategy<Value = Order> {
    let ends = prop_oneof![
        any::<([u32; 2], [u16; 2])>().prop_map(|(ips, ports)| {
            [0, 1].map(|i| SocketAddr::from((Ipv4Addr::from(ips[i]), ports[i])))
        }),
        any::<([u128; 2], [u16; 2])>().prop_map(|(ips, ports)| {
            [0, 1].map(|i| SocketAddr::from((Ipv6Addr::from(ips[i]), ports[i])))
        }),
    ];
    let kind = prop_oneof![
        (any::<bool>(), any::<u16>(), any::<u16>()).prop_map(|(reply, ident, seq)| {
            let kind = if reply { EchoKind::Reply } else { EchoKind::Request };
            Kind::Echo(kind, ident, seq)
        }),
        Just(Kind::Udp),
        any::<(u8, u32, u32)>().prop_map(|(flags, seq, ack)| Kind::Tcp(flags, seq, ack)),
    ];
    (ends, kind, vec(any::<u8>(), payload)).prop_map(|([from, to], kind, payload)| Order {
        from,
        to,
        kind,
        payload,
    })
}

/// Calls everything there is to call.
fn exercise(packet: &Packet) {
    let shown = format!("{packet:?} {:?} {:?}", packet.fragment(), packet.tcp());
    assert!(shown.is_ascii());
    assert!(packet.payload().len() < packet.len());
    assert!(packet.len() <= packet.bytes().len());
    assert_eq!(Family::of(packet.source()), packet.family());
    assert_eq!(Family::of(packet.destination()), packet.family());
    for answer in [build::echo_reply(packet), build::udp_answer(packet), build::tcp_reset(packet)] {
        assert!(answer.is_none_or(|answer| answer.flow() == packet.flow().reversed()));
    }
    let here = packet.destination();
    for report in [
        build::too_big(packet, here, Mtu::IPV6_MIN),
        build::time_exceeded(packet, here),
        build::port_unreachable(packet, here),
        build::reassembly_time_exceeded(packet, here),
    ] {
        let Some(report) = report else { continue };
        assert_eq!(report.destination(), packet.source());
        assert_eq!(quoted(&report).map(|quoted| quoted.flow), Some(packet.flow()));
    }
    let later = packet.fragment().is_some_and(|part| part.offset > 0);
    assert_eq!(packet.transport() == Transport::Later, later);
    let _ = (quoted(packet), mtu_told(packet));
}

/// What becomes of a built packet when one bit of it is flipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// A checksum covers it, and a single flipped bit never leaves a one's complement sum as it was.
    Rejected,
    /// No checksum covers it, and it says nothing about the parts of the packet.
    Unnoticed,
    /// It says which bytes are covered and by what. Most of these are rejected, too, but another
    /// range of bytes may happen to sum up, and another protocol may have no checksum.
    Open,
}

/// The fields that are not simply [`Fate::Rejected`], complete.
fn fate(packet: &Packet, byte: usize, flipped: &[u8]) -> Fate {
    let is_udp = packet.protocol() == Protocol::UDP;
    match (packet.family(), byte) {
        // Version and header length: 4 and 6 are one bit apart.
        (Family::V4, 0) => Fate::Open,
        // UDP's length, and a checksum that becomes 0, which means "none".
        (Family::V4, 24 | 25) if is_udp => Fate::Open,
        (Family::V4, 26 | 27) if is_udp && flipped[26..28] == [0, 0] => Fate::Open,
        // Version and the upper half of the traffic class.
        (Family::V6, 0) if flipped[0] >> 4 != 6 => Fate::Open,
        // Traffic class and flow label.
        (Family::V6, 0..=3) => Fate::Unnoticed,
        // Payload length; next header.
        (Family::V6, 4..=6) => Fate::Open,
        // Hop limit.
        (Family::V6, 7) => Fate::Unnoticed,
        // UDP's length.
        (Family::V6, 44 | 45) if is_udp => Fate::Open,
        _ => Fate::Rejected,
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(
        first in prop::sample::select(vec![None, Some(0x45_u8), Some(0x4f), Some(0x60)]),
        mut bytes in vec(any::<u8>(), 0..200),
    ) {
        if let (Some(first), Some(slot)) = (first, bytes.first_mut()) {
            *slot = first;
        }
        describe(&bytes);
        if let Ok(packet) = parse(bytes) {
            exercise(&packet);
        }
    }

    #[test]
    fn no_packet_that_is_almost_right_makes_anything_panic(
        bytes in almost_packets(),
        cut in any::<prop::sample::Index>(),
    ) {
        let _ = parse(bytes[..cut.index(bytes.len())].to_vec());
        match parse_repaired(bytes) {
            Ok(packet) => exercise(&packet),
            Err(malformed) => prop_assert!(
                !matches!(malformed, Malformed::Checksum { .. }),
                "still wrong after it was repaired: {malformed}"
            ),
        }
    }

    #[test]
    fn what_is_built_is_what_is_parsed(order in orders(0..1_500)) {
        let packet = order.build();
        let Order { from, to, ref kind, ref payload } = order;
        prop_assert_eq!((packet.source(), packet.destination()), (from.ip(), to.ip()));
        prop_assert_eq!(packet.payload(), &payload[..]);
        prop_assert_eq!(packet.len(), packet.bytes().len());
        prop_assert_eq!(packet.hop_limit(), build::HOP_LIMIT);
        prop_assert!(!packet.may_be_fragmented() && !packet.is_fragment());
        let flow = packet.flow();
        match *kind {
            Kind::Echo(kind, ident, seq) => {
                prop_assert_eq!(packet.icmp_echo(), Some(Echo { kind, ident, seq }));
                prop_assert_eq!((flow.source_port, flow.destination_port), (0, 0));
            }
            Kind::Udp => {
                prop_assert_eq!(packet.udp_payload(), Some(&payload[..]));
                prop_assert_eq!((flow.source_socket(), flow.destination_socket()), (from, to));
            }
            Kind::Tcp(flags, sequence, acknowledgement) => {
                let flags = TcpFlags(flags);
                let window = build::TCP_WINDOW;
                let want = TcpSegment { flags, sequence, acknowledgement, window };
                prop_assert_eq!(packet.tcp(), Some(want));
                prop_assert_eq!((flow.source_socket(), flow.destination_socket()), (from, to));
            }
        }
        if packet.family() == Family::V4 {
            prop_assert_eq!(packet.bytes()[4..8].to_vec(), [0, 0, 0x40, 0], "RFC 6864");
        }
        let again = Packet::parse(packet.bytes().clone());
        prop_assert_eq!(again, Ok(packet));
    }

    #[test]
    fn a_flipped_bit_is_noticed_unless_nothing_covers_it(order in orders(0..64)) {
        let packet = order.build();
        for bit in 0..packet.len() * 8 {
            let byte = bit / 8;
            let mut flipped = packet.bytes().to_vec();
            flipped[byte] ^= 1 << (bit % 8);
            let fate = fate(&packet, byte, &flipped);
            match (fate, parse(flipped)) {
                (Fate::Rejected, Ok(other)) => {
                    prop_assert!(false, "bit {bit} made {packet:?} {other:?}");
                }
                (Fate::Unnoticed, Ok(other)) => {
                    prop_assert_eq!(other.flow(), packet.flow());
                    prop_assert_eq!(other.payload(), packet.payload());
                    prop_assert_eq!(other.len(), packet.len());
                }
                (Fate::Unnoticed, Err(malformed)) => {
                    prop_assert!(false, "bit {bit} of {packet:?}: {malformed}");
                }
                (Fate::Rejected, Err(_)) | (Fate::Open, _) => {}
            }
        }
    }

    #[test]
    fn every_built_packet_cut_short_is_rejected(order in orders(0..64)) {
        let packet = order.build();
        for length in 0..packet.len() {
            let cut = Packet::parse(packet.bytes().slice(..length));
            prop_assert!(cut.is_err(), "{length} of {} bytes", packet.len());
        }
    }
}
