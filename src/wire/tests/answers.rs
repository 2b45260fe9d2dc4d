//! What a host answers, and when it keeps silent.

use std::net::SocketAddr;

use super::*;
use crate::base::units::Mtu;

const ENDS: [[&str; 2]; 2] =
    [["10.1.0.10:40000", "10.2.0.10:9"], ["[fd00:1::10]:40000", "[fd00:2::10]:9"]];

fn sockets(ends: [&str; 2]) -> [SocketAddr; 2] {
    ends.map(|end| end.parse().unwrap())
}

fn ping(ends: [&str; 2]) -> Packet {
    let [from, to] = sockets(ends).map(|end| end.ip());
    build::echo(EchoKind::Request, from, to, 7, 3, b"hello").unwrap()
}

#[test]
fn an_echo_request_is_answered_with_its_own_data() {
    for ends in ENDS {
        let request = ping(ends);
        let reply = build::echo_reply(&request).unwrap();
        assert_eq!(reply.flow(), request.flow().reversed());
        assert_eq!(reply.icmp_echo(), Some(Echo { kind: EchoKind::Reply, ident: 7, seq: 3 }));
        assert_eq!(reply.payload(), b"hello");
        assert_eq!(build::echo_reply(&reply), None, "a reply is not answered");
    }
}

#[test]
fn a_datagram_is_echoed() {
    for ends in ENDS {
        let [from, to] = sockets(ends);
        let datagram = build::udp(from, to, b"hello").unwrap();
        let answer = build::udp_answer(&datagram).unwrap();
        assert_eq!(answer.flow(), datagram.flow().reversed());
        assert_eq!(answer.udp_payload(), Some(&b"hello"[..]));
    }
}

/// RFC 9293, 3.10.7.1, one row per sentence; the numbers are sequence and acknowledgement.
#[test]
fn a_closed_port_resets() {
    let (syn, ack, fin, rst) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST);
    for (flags, seq, acknowledged, payload, want) in [
        (syn, 100, 0, &b""[..], Some((rst | ack, 0, 101))),
        (syn, u32::MAX, 0, b"", Some((rst | ack, 0, 0))),
        (syn | fin, 100, 0, b"data", Some((rst | ack, 0, 106))),
        (TcpFlags::default(), 100, 0, b"data", Some((rst | ack, 0, 104))),
        (ack, 100, 500, b"data", Some((rst, 500, 0))),
        (syn | ack, 100, 500, b"", Some((rst, 500, 0))),
        (rst, 100, 0, b"", None),
        (rst | ack, 100, 500, b"", None),
    ] {
        for ends in ENDS {
            let [from, to] = sockets(ends);
            let segment = build::tcp(from, to, flags, seq, acknowledged, payload).unwrap();
            let reset = build::tcp_reset(&segment);
            let got = reset.as_ref().and_then(Packet::tcp);
            let got = got.map(|tcp| (tcp.flags, tcp.sequence, tcp.acknowledgement));
            assert_eq!(got, want, "{flags} {seq} {acknowledged}");
            if let Some(reset) = reset {
                assert_eq!(reset.flow(), segment.flow().reversed());
            }
        }
    }
}

#[test]
fn a_packet_too_big_is_reported_with_the_mtu_and_its_beginning() {
    for (ends, router, start, icmp, length) in [
        (ENDS[0], "10.1.0.1", "03 04 xxxx 0000 05dc", "icmp type 3 code 4", 576),
        (ENDS[1], "fd00:1::1", "02 00 xxxx 000005dc", "icmpv6 type 2 code 0", 1_280),
    ] {
        let [from, to] = sockets(ends);
        let router: IpAddr = router.parse().unwrap();
        let packet = build::udp(from, to, &[0xaa; 8_000]).unwrap();
        let report = build::too_big(&packet, router, Mtu::ETHERNET).unwrap();
        assert_eq!((report.source(), report.destination()), (router, from.ip()));
        assert_eq!(report.summary().to_string(), format!("{icmp}, {length} bytes"));
        let header = report.len() - report.payload().len() - 8;
        let want = hex(&start.replace("xxxx", ""));
        let at = |range| report.bytes().get(range).unwrap();
        assert_eq!([at(header..header + 2), at(header + 4..header + 8)].concat(), want);
        assert!(packet.bytes().starts_with(report.payload()));

        assert_eq!(mtu_told(&report), Some(1_500));

        let short = build::udp(from, to, b"hello").unwrap();
        let with_trailer = [short.bytes(), &b"trailer"[..]].concat();
        let report = build::too_big(&parse(with_trailer).unwrap(), router, Mtu::MIN).unwrap();
        assert_eq!(report.payload(), &short.bytes()[..], "a short packet is quoted whole");
    }
}

#[test]
fn each_error_says_what_happened() {
    for (ends, here, from, host) in [
        (ENDS[0], "10.2.0.10", "icmp type 11 code 0, 61 bytes", "icmp type 3 code 3, 61 bytes"),
        (
            ENDS[1],
            "fd00:2::10",
            "icmpv6 type 3 code 0, 101 bytes",
            "icmpv6 type 1 code 4, 101 bytes",
        ),
    ] {
        let [source, to] = sockets(ends);
        let here: IpAddr = here.parse().unwrap();
        let datagram = build::udp(source, to, b"hello").unwrap();
        for (report, want) in [
            (build::time_exceeded(&datagram, here), from),
            (build::port_unreachable(&datagram, here), host),
        ] {
            let report = report.unwrap();
            assert_eq!((report.source(), report.destination()), (here, source.ip()));
            assert_eq!(report.summary().to_string(), want);
            assert_eq!(report.payload(), &datagram.bytes()[..]);
            // The four bytes that some errors use are 0 in these.
            let header = report.len() - report.payload().len();
            assert_eq!(report.bytes()[header - 4..header], [0; 4]);
            assert_eq!(mtu_told(&report), None);
        }
        assert_eq!(build::port_unreachable(&ping(ends), here), None, "a ping has no port");
        let segment = build::tcp(source, to, TcpFlags::SYN, 0, 0, b"").unwrap();
        assert_eq!(build::port_unreachable(&segment, here), None, "a reset says it");
        assert_eq!(build::reassembly_time_exceeded(&datagram, here), None, "it is whole");
    }
}

#[test]
fn what_no_error_may_be_about_is_not_reported() {
    let [v4, v6]: [IpAddr; 2] = ["10.1.0.1", "fd00:1::1"].map(|text| text.parse().unwrap());
    let [from, to] = sockets(ENDS[0]);
    let whole = build::udp(from, to, b"hello").unwrap();
    let report = build::too_big(&whole, v4, Mtu::MIN).unwrap();
    let broadcast = build::udp(from, ([255; 4], 9).into(), b"hello").unwrap();
    let unreachable = parse_repaired(ipv6(&[], 58, &hex("01 00 0000 00000000"))).unwrap();
    let free_to_cut = parse_repaired(ipv4(&[], 0, 17, &udp(b"hello"))).unwrap();
    let middle = parse_repaired(ipv6(&[Link::fragment(8, 1)], 17, b"8 bytes.")).unwrap();
    let last = parse_repaired(ipv6(&[Link::fragment(8, 0)], 17, b"hello")).unwrap();
    let first = parse_repaired(ipv6(&[Link::fragment(0, 1)], 17, &udp(&[]))).unwrap();
    for (packet, router, reported) in [
        (&whole, v4, true),
        (&whole, v6, false),
        (&report, v4, false),
        (&broadcast, v4, false),
        (&unreachable, v6, false),
        (&free_to_cut, v4, false),
        (&middle, v6, false),
        (&last, v6, false),
        (&first, v6, true),
        (&ping(ENDS[0]), v4, true),
    ] {
        assert_eq!(build::too_big(packet, router, Mtu::MIN).is_some(), reported, "{packet:?}");
        let exceeded = build::time_exceeded(packet, router).is_some();
        assert_eq!(exceeded, reported || *packet == free_to_cut, "{packet:?}");
        let exceeded = build::reassembly_time_exceeded(packet, router).is_some();
        assert_eq!(exceeded, *packet == first, "{packet:?}");
        let unreachable = build::port_unreachable(packet, router).is_some();
        let may_be = [&whole, &free_to_cut].contains(&packet) && router == v4;
        assert_eq!(unreachable, may_be, "{packet:?}");
    }
}

#[test]
fn other_protocols_get_no_answer() {
    let [from, to] = sockets(ENDS[0]);
    let (icmp, udp, tcp) = (
        ping(ENDS[0]),
        build::udp(from, to, b"").unwrap(),
        build::tcp(from, to, TcpFlags::SYN, 0, 0, b"").unwrap(),
    );
    assert_eq!((build::echo_reply(&udp), build::echo_reply(&tcp)), (None, None));
    assert_eq!((build::udp_answer(&icmp), build::udp_answer(&tcp)), (None, None));
    assert_eq!((build::tcp_reset(&icmp), build::tcp_reset(&udp)), (None, None));
}

#[test]
fn what_is_not_from_one_host_to_one_host_gets_no_answer() {
    for ends in [
        ["0.0.0.0:1", "10.2.0.10:9"],
        ["224.0.0.1:1", "10.2.0.10:9"],
        ["255.255.255.255:1", "10.2.0.10:9"],
        ["10.1.0.10:1", "224.0.0.1:9"],
        ["10.1.0.10:1", "255.255.255.255:9"],
        ["[::]:1", "[fd00:2::10]:9"],
        ["[fd00:1::10]:1", "[ff02::1]:9"],
    ] {
        let [from, to] = sockets(ends);
        let datagram = build::udp(from, to, b"").unwrap();
        let segment = build::tcp(from, to, TcpFlags::SYN, 0, 0, b"").unwrap();
        assert_eq!(build::echo_reply(&ping(ends)), None, "{ends:?}");
        assert_eq!(build::udp_answer(&datagram), None, "{ends:?}");
        assert_eq!(build::tcp_reset(&segment), None, "{ends:?}");
    }
}

#[test]
fn port_0_wants_no_answer() {
    let [from, to] = sockets(["10.1.0.10:0", "10.2.0.10:9"]);
    assert_eq!(build::udp_answer(&build::udp(from, to, b"").unwrap()), None);
}

#[test]
fn fragments_get_no_answer() {
    let segment = hex("03e8 07d0 00000001 00000000 5002 ffff 0000 0000 00*4");
    for (protocol, body) in [(1, hex("0800 0000 0007 0003")), (17, udp(&[])), (6, segment)] {
        let packet = parse_repaired(ipv4(&[], 0x2000, protocol, &body)).unwrap();
        let answers =
            (build::echo_reply(&packet), build::udp_answer(&packet), build::tcp_reset(&packet));
        assert_eq!(answers, (None, None, None), "{packet:?}");
    }
}

#[test]
fn what_cannot_be_a_packet_is_not_built() {
    let [v4, _] = sockets(ENDS[0]);
    let [_, v6] = sockets(ENDS[1]);
    let long = vec![0; 65_508];
    let needed = |result: Result<Packet, build::BuildError>| result.map(|packet| packet.len());
    for (got, want) in [
        (
            needed(build::udp(v4, v6, b"")),
            "no packet from 10.1.0.10 to fd00:2::10: the address families differ",
        ),
        (
            needed(build::echo(EchoKind::Request, v6.ip(), v4.ip(), 0, 0, b"")),
            "no packet from fd00:2::10 to 10.1.0.10: the address families differ",
        ),
        (
            needed(build::udp(v4, v4, &long)),
            "a packet of 65536 bytes is too large, at most 65535 are possible",
        ),
        (
            needed(build::tcp(v6, v6, TcpFlags::SYN, 0, 0, &long)),
            "a packet of 65568 bytes is too large, at most 65535 are possible",
        ),
        (
            needed(build::echo(EchoKind::Reply, v6.ip(), v6.ip(), 0, 0, &long)),
            "a packet of 65556 bytes is too large, at most 65535 are possible",
        ),
    ] {
        assert_eq!(got.unwrap_err().to_string(), want);
    }
    assert_eq!(needed(build::udp(v4, v4, &long[1..])), Ok(65_535));
}
