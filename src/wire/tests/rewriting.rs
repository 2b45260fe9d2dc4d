//! Packets with other ends: as if they had been built with them, by etherparse.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::properties::{Kind, Order, orders};
use super::*;
use crate::base::units::Mtu;

/// Other ends of the family of `order`.
fn other_ends(order: &Order, words: [u128; 2], ports: [u16; 2]) -> [SocketAddr; 2] {
    [0, 1].map(|i| {
        let ip: IpAddr = match order.from {
            #[allow(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
            SocketAddr::V4(_) => Ipv4Addr::from(words[i] as u32).into(),
            SocketAddr::V6(_) => Ipv6Addr::from(words[i]).into(),
        };
        SocketAddr::new(ip, ports[i])
    })
}

fn change(from: Option<SocketAddr>, to: Option<SocketAddr>) -> Change {
    Change {
        source: from.map(|end| end.ip()),
        source_port: from.map(|end| end.port()),
        destination: to.map(|end| end.ip()),
        destination_port: to.map(|end| end.port()),
    }
}

/// What `order` would be with other ends; an identifier is the asking side's port.
fn reordered(order: &Order, from: Option<SocketAddr>, to: Option<SocketAddr>) -> Order {
    let mut order = order.clone();
    if let Kind::Echo(kind, ident, _) = &mut order.kind {
        let asking = if *kind == EchoKind::Request { from } else { to };
        *ident = asking.map_or(*ident, |end| end.port());
    }
    order.from = from.unwrap_or(order.from);
    order.to = to.unwrap_or(order.to);
    order
}

proptest! {
    #[test]
    fn other_ends_make_the_packet_that_would_have_been_built(
        order in orders(0..100),
        words in any::<[u128; 2]>(),
        ports in any::<[u16; 2]>(),
        both in any::<[bool; 2]>(),
    ) {
        let [from, to] = other_ends(&order, words, ports);
        let (from, to) = (both[0].then_some(from), both[1].then_some(to));
        let changed = readdress(&order.build(), change(from, to)).unwrap();
        let want = reordered(&order, from, to).build();
        prop_assert_eq!(changed.bytes(), want.bytes());
    }

    #[test]
    fn another_header_makes_the_segment_that_would_have_been_built(
        order in orders(0..100),
        flags in any::<u8>().prop_map(TcpFlags),
        (sequence, acknowledgement, window) in any::<(u32, u32, u16)>(),
    ) {
        let header = TcpSegment { flags, sequence, acknowledgement, window };
        let changed = with_tcp_header(&order.build(), header);
        let Kind::Tcp(..) = order.kind else {
            prop_assert_eq!(changed, None);
            return Ok(());
        };
        let changed = changed.unwrap();
        prop_assert_eq!(changed.tcp(), Some(header));
        prop_assert_eq!(Packet::parse(changed.bytes().clone()), Ok(changed.clone()), "checksum");
        let window = build::TCP_WINDOW;
        let built = with_tcp_header(&changed, TcpSegment { window, ..header }).unwrap();
        let order = Order { kind: Kind::Tcp(flags.0, sequence, acknowledgement), ..order };
        let want = order.build();
        prop_assert_eq!(built.bytes(), want.bytes());
    }

    #[test]
    fn an_error_comes_back_through_a_translator_as_if_there_were_none(
        order in orders(0..1_500),
        words in any::<[u128; 2]>(),
        ports in any::<[u16; 2]>(),
    ) {
        let [outside, router] = other_ends(&order, words, ports);
        let inside = order.build();
        let translated = readdress(&inside, change(Some(outside), None)).unwrap();
        let reports = |packet: &Packet| [
            build::too_big(packet, router.ip(), Mtu::MIN),
            build::time_exceeded(packet, router.ip()),
            build::port_unreachable(packet, router.ip()),
        ];
        for (report, want) in reports(&translated).into_iter().zip(reports(&inside)) {
            let outer = change(None, Some(order.from));
            let inner = change(Some(order.from), None);
            // In echo requests the identifier is the port.
            let ident = inside.icmp_echo().map(|echo| echo.ident);
            let inner = Change { source_port: ident.or(inner.source_port), ..inner };
            let (Some(report), Some(want)) = (report, want) else { continue };
            let back = readdress_quoted(&report, outer, inner).unwrap();
            prop_assert_eq!(back.bytes(), want.bytes());
            let quoted = quoted(&back).unwrap();
            prop_assert_eq!(quoted.flow, inside.flow());
            prop_assert_eq!(quoted.echo, inside.icmp_echo());
            prop_assert_eq!(quoted.sequence, inside.tcp().map(|tcp| tcp.sequence));
        }
    }

    #[test]
    fn no_packet_that_is_almost_right_makes_a_change_panic(
        bytes in almost_packets(),
        words in any::<[u128; 2]>(),
        ports in any::<[u16; 2]>(),
        error in prop::option::of(0..13_u8),
    ) {
        let Ok(packet) = parse_repaired(bytes) else { return Ok(()) };
        // Now and then inside an error.
        let packet = match (error, packet.family()) {
            (None, _) => Ok(packet),
            (Some(kind), Family::V4) => {
                let message = [&[kind, 0, 0, 0, 0, 0, 0, 0], &packet.bytes()[..]].concat();
                parse_repaired(ipv4(&[], 0, 1, &message))
            }
            (Some(kind), Family::V6) => {
                let message = [&[kind, 0, 0, 0, 0, 0, 0, 0], &packet.bytes()[..]].concat();
                parse_repaired(ipv6(&[], 58, &message))
            }
        };
        let packet = packet.unwrap();
        let end = |i: usize| match packet.family() {
            #[allow(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
            Family::V4 => SocketAddr::from((Ipv4Addr::from(words[i] as u32), ports[i])),
            Family::V6 => SocketAddr::from((Ipv6Addr::from(words[i]), ports[i])),
        };
        let change = change(Some(end(0)), Some(end(1)));
        // Each is held against the parser where it is made.
        let readdressed = readdress(&packet, change).unwrap();
        prop_assert_eq!(Packet::parse(readdressed.bytes().clone()).unwrap(), readdressed);
        if let Some(both) = readdress_quoted(&packet, change, change) {
            let quoted = quoted(&both).unwrap();
            prop_assert_eq!(quoted.flow.source, end(0).ip());
            prop_assert_eq!(Packet::parse(both.bytes().clone()).unwrap(), both);
        }
        if let Some(lower) = lower_hop_limit(&packet) {
            prop_assert_eq!(lower.hop_limit(), packet.hop_limit() - 1);
            prop_assert_eq!(Packet::parse(lower.bytes().clone()).unwrap(), lower);
        }
        let free = clear_dont_fragment(&packet);
        prop_assert_eq!(free.may_be_fragmented(), packet.family() == Family::V4);
        prop_assert_eq!(Packet::parse(free.bytes().clone()).unwrap(), free);
    }
}

pub(super) fn ends(from: &str, to: &str) -> Change {
    change(Some(from.parse().unwrap()), Some(to.parse().unwrap()))
}

#[test]
fn a_checksum_that_was_left_out_stays_out() {
    let mut datagram = udp(b"hello");
    datagram[6..8].copy_from_slice(&[0, 0]);
    let packet = parse_repaired(ipv4(&[], 0, 17, &datagram)).unwrap();
    let changed = readdress(&packet, ends("10.1.0.11:1", "10.2.0.11:2")).unwrap();
    assert_eq!(changed.flow().to_string(), "10.1.0.11:1 > 10.2.0.11:2 udp");
    assert_eq!(changed.bytes()[26..28], [0, 0]);
}

/// RFC 768: 0 means "none", so a sum of 0 is sent as its twin.
#[test]
fn a_checksum_that_becomes_zero_is_sent_as_ffff() {
    let socket = |port| SocketAddr::from(([10, 1, 0, 10], port));
    let plain = build::udp(socket(0), socket(9), b"hello").unwrap();
    let checksum = u16::from_be_bytes(plain.bytes()[26..28].try_into().unwrap());
    // What is added to a covered word is taken from the checksum.
    let change = Change { source_port: Some(checksum), ..Change::default() };
    let changed = readdress(&plain, change).unwrap();
    assert_eq!(changed.bytes()[26..28], [0xff, 0xff]);
    assert_eq!(changed.bytes(), build::udp(socket(checksum), socket(9), b"hello").unwrap().bytes());
}

#[test]
fn a_later_fragment_gets_addresses_only() {
    let change = ends("10.1.0.11:1", "10.2.0.11:2");
    let packet = parse_repaired(ipv4(&[], 0x2001, 17, b"sixteen bytes ..")).unwrap();
    let changed = readdress(&packet, change).unwrap();
    assert_eq!(changed.flow().to_string(), "10.1.0.11 > 10.2.0.11 udp");
    assert_eq!(changed.payload(), packet.payload());
}

#[test]
fn an_address_of_the_other_family_is_refused() {
    let [v4, v6] = [ipv4(&[], 0, 17, &udp(&[])), ipv6(&[], 17, &udp(&[]))]
        .map(|bytes| parse_repaired(bytes).unwrap());
    let [to_v4, to_v6] = ["10.1.0.11", "fd00::11"]
        .map(|ip| Change { destination: ip.parse().ok(), ..Change::default() });
    for (packet, change, fits) in
        [(&v4, to_v4, true), (&v4, to_v6, false), (&v6, to_v4, false), (&v6, to_v6, true)]
    {
        assert_eq!(readdress(packet, change).is_some(), fits, "{packet:?}");
        let error = build::time_exceeded(packet, packet.destination()).unwrap();
        let nothing = Change::default();
        assert_eq!(readdress_quoted(&error, change, nothing).is_some(), fits, "{packet:?}");
        assert_eq!(readdress_quoted(&error, nothing, change).is_some(), fits, "{packet:?}");
    }
    assert_eq!(readdress_quoted(&v4, to_v4, to_v4), None, "it is no error");
}

/// The checksum covers the last address of the routing header, which stays.
#[test]
fn the_next_stop_of_a_routed_packet_is_not_covered() {
    let stop = Change { destination: "fd00::99".parse().ok(), ..Change::default() };
    let start = Change { source: "fd00::99".parse().ok(), ..Change::default() };
    let bytes = ipv6(&[Link::sized(43, 2, 1)], 17, &udp(b"hello"));
    let packet = parse(bytes).unwrap();
    let checksum = |packet: Packet| packet.bytes()[64 + 6..64 + 8].to_vec();
    assert_eq!(checksum(readdress(&packet, stop).unwrap()), [0xba, 0xad]);
    assert_ne!(checksum(readdress(&packet, start).unwrap()), [0xba, 0xad]);
}

#[test]
fn a_hop_limit_never_reaches_zero() {
    for packet in [ipv4(&[], 0, 17, &udp(b"hello")), ipv6(&[], 17, &udp(b"hello"))] {
        let mut packet = parse_repaired(packet).unwrap();
        for limit in (1..64).rev() {
            packet = lower_hop_limit(&packet).unwrap();
            assert_eq!(Packet::parse(packet.bytes().clone()).unwrap().hop_limit(), limit);
        }
        assert_eq!(lower_hop_limit(&packet), None);
    }
}

#[test]
fn a_quote_is_read_as_far_as_it_goes() {
    let echo = hex("0800 0000 0007 0003");
    let segment = hex("03e8 07d0 01020304 00*4 5002 ffff 0000 0000");
    let v4 = |protocol, body: &[u8]| ipv4(&[], 0, protocol, body);
    let v6 = |protocol, body: &[u8]| ipv6(&[Link::sized(60, 0, 0)], protocol, body);
    let later = ipv4(&[], 0x2001, 17, &udp(b"sixteen bytes .."));
    // The length says that they end behind the IP header; the rest is something else's.
    let ended = [ipv4(&[], 0, 17, &[]), udp(&[])].concat();
    let ended_v6 = [ipv6(&[], 17, &[]), udp(&[])].concat();
    for (quote, length, want) in [
        (v4(17, &udp(b"hello")), 33, "10.1.0.10:1000 > 10.2.0.10:2000 udp"),
        (v4(17, &udp(b"hello")), 28, "10.1.0.10:1000 > 10.2.0.10:2000 udp"),
        (v4(17, &udp(b"hello")), 24, "10.1.0.10:1000 > 10.2.0.10:2000 udp"),
        (v4(17, &udp(b"hello")), 23, "10.1.0.10 > 10.2.0.10 udp"),
        (v4(17, &udp(b"hello")), 20, "10.1.0.10 > 10.2.0.10 udp"),
        (v4(17, &udp(b"hello")), 19, "nothing"),
        (v4(17, &udp(b"hello")), 0, "nothing"),
        (v4(6, &segment), 40, "10.1.0.10:1000 > 10.2.0.10:2000 tcp, at 16909060"),
        (v4(6, &segment), 28, "10.1.0.10:1000 > 10.2.0.10:2000 tcp, at 16909060"),
        (v4(6, &segment), 27, "10.1.0.10:1000 > 10.2.0.10:2000 tcp"),
        (v4(1, &echo), 28, "10.1.0.10 > 10.2.0.10 icmp, echo request 7/3"),
        (v4(1, &echo), 27, "10.1.0.10 > 10.2.0.10 icmp"),
        (later, 40, "10.1.0.10 > 10.2.0.10 udp"),
        (ended, 28, "10.1.0.10 > 10.2.0.10 udp"),
        (ended_v6, 48, "fd00:1::10 > fd00:2::10 udp"),
        (hex("44 00*30"), 31, "nothing"),
        (hex("55 00*50"), 51, "nothing"),
        (v6(17, &udp(b"hello")), 61, "[fd00:1::10]:1000 > [fd00:2::10]:2000 udp"),
        (v6(17, &udp(b"hello")), 51, "fd00:1::10 > fd00:2::10 udp"),
        (v6(17, &udp(b"hello")), 47, "fd00:1::10 > fd00:2::10 protocol 60"),
        (v6(17, &udp(b"hello")), 40, "fd00:1::10 > fd00:2::10 protocol 60"),
        (v6(17, &udp(b"hello")), 39, "nothing"),
        (v6(58, &hex("8100 0000 0007 0003")), 56, "fd00:1::10 > fd00:2::10 icmpv6, echo reply 7/3"),
        (v6(6, &segment), 68, "[fd00:1::10]:1000 > [fd00:2::10]:2000 tcp, at 16909060"),
    ] {
        let message = |kind: u8| [&[kind, 0, 0, 0, 0, 0, 0, 0], &quote[..length]].concat();
        let error = match quote[0] >> 4 {
            4 | 5 => ipv4(&[], 0, 1, &message(11)),
            _ => ipv6(&[], 58, &message(3)),
        };
        let error = parse_repaired(error).unwrap();
        let shown = quoted(&error).map_or("nothing".to_owned(), |quoted| {
            let echo = quoted.echo.map(|e| format!(", {} {}/{}", e.kind, e.ident, e.seq));
            let sequence = quoted.sequence.map(|number| format!(", at {number}"));
            format!("{}{}{}", quoted.flow, echo.unwrap_or_default(), sequence.unwrap_or_default())
        });
        assert_eq!(shown, want, "{length} bytes of {quote:02x?}");

        // What is there is changed, and the rest does not get in the way.
        let (ends, whole) = match quote[0] >> 4 {
            4 | 5 => (ends("10.1.0.11:1", "10.2.0.11:2"), "10.1.0.11"),
            _ => (ends("[fd00::11]:1", "[fd00::12]:2"), "fd00::11"),
        };
        let changed = readdress_quoted(&error, Change::default(), ends);
        let source = changed.as_ref().and_then(quoted).map(|quoted| quoted.flow.source.to_string());
        assert_eq!(source.as_deref(), (want != "nothing").then_some(whole));
        let ports = changed.as_ref().and_then(quoted).map(|quoted| quoted.flow.source_port);
        assert_eq!(ports == Some(1), want.contains(":1000"), "{want}");
    }
}

#[test]
fn only_errors_quote() {
    let quote = ipv4(&[], 0, 17, &udp(b"hello"));
    let quote_v6 = ipv6(&[], 17, &udp(b"hello"));
    let v4 = |kind: u8| ipv4(&[], 0, 1, &[&[kind, 0, 0, 0, 0, 0, 0, 0], &quote[..]].concat());
    let v6 = |kind: u8| ipv6(&[], 58, &[&[kind, 0, 0, 0, 0, 0, 0, 0], &quote_v6[..]].concat());
    for kind in 0..=255 {
        let [in_v4, in_v6] =
            [v4(kind), v6(kind)].map(|bytes| quoted(&parse_repaired(bytes).unwrap()).is_some());
        assert_eq!(in_v4, [3, 4, 5, 11, 12].contains(&kind), "{kind}");
        assert_eq!(in_v6, [1, 2, 3, 4].contains(&kind), "{kind}");
    }
    let across = ipv4(&[], 0, 1, &[&[3, 0, 0, 0, 0, 0, 0, 0], &quote_v6[..]].concat());
    assert_eq!(quoted(&parse_repaired(across).unwrap()), None, "the families differ");
    let later = ipv4(&[], 0x0001, 1, &[&[3, 0, 0, 0, 0, 0, 0, 0], &quote[..]].concat());
    assert_eq!(quoted(&parse_repaired(later).unwrap()), None, "it is no message");
}

#[test]
fn an_mtu_is_told_by_two_messages() {
    for (bytes, want) in [
        (ipv4(&[], 0, 1, &hex("0304 0000 0000 05dc")), Some(1_500)),
        (ipv4(&[], 0, 1, &hex("0304 0000 ffff 0001")), Some(1)),
        (ipv4(&[], 0, 1, &hex("0304 0000 0000 0000")), None),
        (ipv4(&[], 0, 1, &hex("0303 0000 0000 05dc")), None),
        (ipv4(&[], 0, 1, &hex("0b04 0000 0000 05dc")), None),
        (ipv4(&[], 0x0001, 1, &hex("0304 0000 0000 05dc")), None),
        (ipv4(&[], 0, 17, &udp(&[])), None),
        (ipv6(&[], 58, &hex("0200 0000 0000 0500")), Some(1_280)),
        (ipv6(&[], 58, &hex("0204 0000 0001 0000")), Some(65_535)),
        (ipv6(&[], 58, &hex("0200 0000 0000 0000")), None),
        (ipv6(&[], 58, &hex("0304 0000 0000 0500")), None),
        (ipv6(&[], 1, &hex("0304 0000 0000 0500")), None),
    ] {
        let packet = parse_repaired(bytes).unwrap();
        assert_eq!(mtu_told(&packet), want, "{packet:?}");
    }
}

#[test]
fn permission_to_cut_is_all_that_changes() {
    let [from, to] = [[10, 1, 0, 10], [10, 2, 0, 10]].map(|ip| SocketAddr::from((ip, 9)));
    let packet = build::udp(from, to, b"hello").unwrap();
    let free = clear_dont_fragment(&packet);
    let changed: Vec<usize> =
        (0..packet.len()).filter(|at| packet.bytes()[*at] != free.bytes()[*at]).collect();
    assert_eq!(changed, [6, 10], "the flag and the checksum");
    assert_eq!(clear_dont_fragment(&free), free);
}
