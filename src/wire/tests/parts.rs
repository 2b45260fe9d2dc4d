//! What accessors say about packets with everything that headers may have.

use super::*;

/// One line that shows every accessor.
fn shown(packet: &Packet) -> String {
    let payload: String = packet.payload().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} | {} | {payload}", packet.flow(), packet.summary())
}

#[track_caller]
fn check(bytes: Vec<u8>, want: &str) -> Packet {
    let packet = parse_repaired(bytes).unwrap_or_else(|malformed| panic!("{malformed}"));
    assert_eq!(shown(&packet), want);
    packet
}

#[test]
fn a_ping_is_read_as_it_is() {
    // Checksums worked out by hand; nothing is repaired.
    let packet = parse(hex(
        "4500 0024 0000 4000 4001 26c3 0a01000a 0a02000a  0800 92e1 0007 0003 68656c6c6f212121",
    ))
    .unwrap();
    assert_eq!(
        shown(&packet),
        "10.1.0.10 > 10.2.0.10 icmp | icmp echo request, 36 bytes | 68656c6c6f212121"
    );
    assert_eq!(packet.icmp_echo(), Some(Echo { kind: EchoKind::Request, ident: 7, seq: 3 }));
    assert_eq!(packet.icmp(), Some(Icmp { kind: 8, code: 0 }));
    assert_eq!((packet.family(), packet.hop_limit()), (Family::V4, 64));
    assert!(!packet.may_be_fragmented());
    assert_eq!((packet.tcp(), packet.udp_payload(), packet.fragment()), (None, None, None));
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    check(
        ipv4(&[1; 40], 0x4000, 17, &udp(&[0xaa])),
        "10.1.0.10:1000 > 10.2.0.10:2000 udp | udp, 69 bytes | aa",
    );
    let chain = [
        Link::sized(0, 0, 0),
        Link::sized(43, 1, 0),
        Link::sized(51, 2, 0),
        Link::sized(60, 3, 0),
        Link::sized(135, 0, 0),
        Link::sized(139, 0, 0),
        Link::sized(140, 0, 0),
        Link::sized(60, 0, 0),
    ];
    let packet = check(
        ipv6(&chain, 17, &udp(&[0xaa])),
        "[fd00:1::10]:1000 > [fd00:2::10]:2000 udp | udp, 161 bytes | aa",
    );
    assert_eq!((packet.family(), packet.hop_limit()), (Family::V6, 64));
    assert!(!packet.may_be_fragmented());
}

#[test]
fn tcp_options_are_no_payload() {
    let segment = hex("03e8 07d0 01020304 05060708 6012 ffff 0000 0000 020405b4 aabb");
    let packet = check(
        ipv4(&[], 0, 6, &segment),
        "10.1.0.10:1000 > 10.2.0.10:2000 tcp | tcp syn+ack, 46 bytes | aabb",
    );
    let flags = TcpFlags::SYN | TcpFlags::ACK;
    let (sequence, acknowledgement) = (0x0102_0304, 0x0506_0708);
    assert_eq!(packet.tcp(), Some(TcpSegment { flags, sequence, acknowledgement, window: 0xffff }));
    assert_eq!(packet.tcp_flags(), Some(flags));
    assert!(packet.may_be_fragmented());
}

#[test]
fn bytes_behind_the_packet_are_kept_and_not_counted() {
    let mut bytes = ipv4(&[], 0, 17, &udp(&[0xaa]));
    bytes.extend([0xee; 17]);
    let packet = check(bytes, "10.1.0.10:1000 > 10.2.0.10:2000 udp | udp, 29 bytes | aa");
    assert_eq!((packet.len(), packet.bytes().len()), (29, 46));
}

#[test]
fn bytes_behind_the_datagram_are_counted_and_no_payload() {
    let mut datagram = udp(&[0xaa]);
    datagram.extend([0xee; 5]);
    for bytes in [ipv4(&[], 0, 17, &datagram), ipv6(&[], 17, &datagram)] {
        let packet = parse_repaired(bytes).unwrap();
        assert_eq!(packet.udp_payload(), Some(&[0xaa][..]));
        assert_eq!(packet.len(), packet.bytes().len());
    }
}

#[test]
fn udp_over_ipv4_may_go_without_a_checksum() {
    let datagram = hex("03e8 07d0 0009 0000 aa");
    check(ipv4(&[], 0, 17, &datagram), "10.1.0.10:1000 > 10.2.0.10:2000 udp | udp, 29 bytes | aa");
}

#[test]
fn only_the_first_fragment_has_ports() {
    use FragmentPlace::{First, Last, Middle};
    let body = udp(&[0xaa; 8]);
    let (with, without) = ("10.1.0.10:1000 > 10.2.0.10:2000 udp", "10.1.0.10 > 10.2.0.10 udp");
    for (flags_and_offset, place, offset, flow) in
        [(0x2000, First, 0, with), (0x2001, Middle, 8, without), (0x0002, Last, 16, without)]
    {
        let packet = parse_repaired(ipv4(&[], flags_and_offset, 17, &body)).unwrap();
        let fragment = Fragment { identification: 0xabcd, offset, place };
        assert_eq!(packet.fragment(), Some(fragment));
        assert_eq!(packet.flow().to_string(), flow);
        assert_eq!(packet.udp_payload(), None);
    }
    let with = "[fd00:1::10]:1000 > [fd00:2::10]:2000 udp";
    let without = "fd00:1::10 > fd00:2::10 udp";
    for (offset, more, place, flow) in
        [(0, 1, First, with), (8, 1, Middle, without), (65_000, 0, Last, without)]
    {
        let chain = [Link::sized(60, 1, 0), Link::fragment(offset, more)];
        let packet = parse_repaired(ipv6(&chain, 17, &body)).unwrap();
        let fragment = Fragment { identification: 0x0102_0304, offset, place };
        assert_eq!(packet.fragment(), Some(fragment));
        assert_eq!(packet.flow().to_string(), flow);
    }
}

#[test]
fn a_first_fragment_may_announce_more_than_it_has() {
    let mut first = udp(&[0xaa; 8]);
    first[4..6].copy_from_slice(&3_000_u16.to_be_bytes());
    check(
        ipv4(&[], 0x2000, 17, &first),
        "10.1.0.10:1000 > 10.2.0.10:2000 udp | udp fragment at 0, 36 bytes | aaaaaaaaaaaaaaaa",
    );
}

/// The checksum covers bytes that are elsewhere.
#[test]
fn the_checksum_of_a_first_fragment_goes_unchecked() {
    let body = udp(&[0xaa; 8]);
    for bytes in [ipv4(&[], 0x2000, 17, &body), ipv6(&[Link::fragment(0, 1)], 17, &body)] {
        let packet = parse_repaired(bytes).unwrap();
        assert!(packet.bytes().ends_with(&body), "repaired: {packet:?}");
    }
}

#[test]
fn the_first_fragment_may_have_more_extension_headers() {
    let chain = [Link::fragment(0, 1), Link::sized(60, 0, 0)];
    check(
        ipv6(&chain, 17, &udp(&[])),
        "[fd00:1::10]:1000 > [fd00:2::10]:2000 udp | udp fragment at 0, 64 bytes | ",
    );
}

/// RFC 8200, 4.5: the two bits between offset and flag are to be ignored.
#[test]
fn reserved_bits_of_a_fragment_header_say_nothing() {
    let packet = parse_repaired(ipv6(&[Link::fragment(6, 0)], 17, &udp(&[]))).unwrap();
    assert_eq!(packet.fragment(), None);
    let packet = parse_repaired(ipv6(&[Link::fragment(8, 7)], 17, &udp(&[]))).unwrap();
    assert_eq!(packet.fragment().map(|fragment| fragment.offset), Some(8));
}

/// RFC 768: 0 means "none", so a sum of 0 is sent as its twin, and that is what is asked for.
#[test]
fn a_udp_checksum_of_zero_is_sent_as_ffff() {
    let ends = [[10, 1, 0, 10], [10, 2, 0, 10]].map(|ip| (ip, 9).into());
    let checksum = |packet: &Packet| packet.bytes()[26..28].to_vec();
    let plain = build::udp(ends[0], ends[1], &[0, 0]).unwrap();
    let zero = build::udp(ends[0], ends[1], &checksum(&plain)).unwrap();
    assert_eq!(checksum(&zero), [0xff, 0xff]);
    let mut wrong = zero.bytes().to_vec();
    wrong[26] = 0x12;
    let (header, offset) = (Header::Udp, 26);
    let (carried, computed) = (0x12ff, 0xffff);
    assert_eq!(parse(wrong), Err(Malformed::Checksum { header, offset, carried, computed }));
}

#[test]
fn later_fragments_are_data_whatever_they_look_like() {
    for protocol in [1, 6, 17, 58, 60] {
        for bytes in [
            ipv4(&[], 0x0001, protocol, &[0xff; 3]),
            ipv6(&[Link::fragment(8, 0)], protocol, &[0xff; 3]),
        ] {
            let packet = parse_repaired(bytes).unwrap();
            assert_eq!(packet.payload(), [0xff; 3]);
            assert_eq!(packet.protocol(), Protocol(protocol));
            assert_eq!((packet.icmp(), packet.tcp()), (None, None));
        }
    }
}

#[test]
fn a_filter_is_told_what_the_packet_shows() {
    let ports = Transport::Ports { source: 1000, destination: 2000 };
    let message = |kind| Transport::Icmp(Icmp { kind, code: 1 });
    let segment = hex("03e8 07d0 00*8 5002 ffff 00*4");
    let (icmp, fragment) = (hex("0301 00*6"), |offset, more| [Link::fragment(offset, more)]);
    for (bytes, want) in [
        (ipv4(&[], 0, 17, &udp(b"hello")), ports),
        (ipv4(&[1; 4], 0x2000, 17, &udp(&[])), ports),
        (ipv4(&[], 0x2001, 17, &udp(&[])), Transport::Later),
        (ipv4(&[], 0x0001, 1, &icmp), Transport::Later),
        (ipv4(&[], 0, 6, &segment), ports),
        (ipv4(&[], 0, 1, &icmp), message(3)),
        (ipv4(&[], 0x2000, 1, &icmp), message(3)),
        (ipv4(&[], 0, 58, &icmp), Transport::Other),
        (ipv4(&[], 0, 47, &udp(&[])), Transport::Other),
        (ipv6(&[], 17, &udp(b"hello")), ports),
        (ipv6(&fragment(0, 1), 17, &udp(&[])), ports),
        (ipv6(&fragment(8, 0), 17, &udp(&[])), Transport::Later),
        (ipv6(&fragment(0, 0), 58, &icmp), message(3)),
        (ipv6(&fragment(8, 1), 58, &icmp), Transport::Later),
        (ipv6(&[], 1, &icmp), Transport::Other),
        (ipv6(&[], 59, &[]), Transport::Other),
    ] {
        let packet = parse_repaired(bytes).unwrap();
        assert_eq!(packet.transport(), want, "{packet:?}");
    }
}

/// RFC 6946: a fragment header does not make a fragment.
#[test]
fn the_only_fragment_of_a_packet_is_whole() {
    let bytes = ipv6(&[Link::fragment(0, 0)], 17, &udp(&[0xaa]));
    assert!(matches!(parse(bytes.clone()), Err(Malformed::Checksum { .. })));
    let packet = check(bytes, "[fd00:1::10]:1000 > [fd00:2::10]:2000 udp | udp, 57 bytes | aa");
    assert!(!packet.is_fragment());
    assert_eq!(packet.udp_payload(), Some(&[0xaa][..]));
}

#[test]
fn a_packet_with_segments_left_goes_unchecked() {
    let bytes = ipv6(&[Link::sized(43, 2, 1)], 17, &udp(&[0xaa]));
    let packet = parse(bytes).unwrap();
    assert_eq!(packet.flow().destination_port, 2000);
}

#[test]
fn other_protocols_are_accepted_as_they_are() {
    check(ipv4(&[], 0, 132, &[0xaa; 3]), "10.1.0.10 > 10.2.0.10 sctp | sctp, 23 bytes | aaaaaa");
    check(ipv4(&[], 0, 51, &[]), "10.1.0.10 > 10.2.0.10 ah | ah, 20 bytes | ");
    check(
        ipv6(&[], 59, &[0xaa]),
        "fd00:1::10 > fd00:2::10 protocol 59 | protocol 59, 41 bytes | aa",
    );
    // The other family's ICMP is just a number.
    check(ipv4(&[], 0, 58, &[8, 0]), "10.1.0.10 > 10.2.0.10 icmpv6 | icmpv6, 22 bytes | 0800");
    check(ipv6(&[], 1, &[8, 0]), "fd00:1::10 > fd00:2::10 icmp | icmp, 42 bytes | 0800");
}

#[test]
fn icmp_that_is_no_echo_shows_type_and_code() {
    check(
        ipv4(&[], 0, 1, &hex("03 04 0000 0000 05dc")),
        "10.1.0.10 > 10.2.0.10 icmp | icmp type 3 code 4, 28 bytes | ",
    );
    check(
        ipv6(&[], 58, &hex("02 00 0000 000005dc")),
        "fd00:1::10 > fd00:2::10 icmpv6 | icmpv6 type 2 code 0, 48 bytes | ",
    );
}

#[test]
fn the_longest_packet_is_accepted() {
    let packet = parse_repaired(ipv4(&[], 0, 17, &udp(&[0; 65_507]))).unwrap();
    assert_eq!(packet.len(), 65_535);
    let packet = parse_repaired(ipv6(&[], 17, &udp(&[0; 65_487]))).unwrap();
    assert_eq!(packet.len(), 65_535);
}

#[test]
fn eight_extension_headers_of_2048_bytes_are_accepted() {
    let chain: Vec<Link> = (0..8).map(|_| Link::sized(60, 31, 0)).collect();
    let packet = parse_repaired(ipv6(&chain, 17, &udp(&[]))).unwrap();
    assert_eq!(packet.len(), 40 + 2_048 + 8);
}
