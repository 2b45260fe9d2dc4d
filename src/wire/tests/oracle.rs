//! The parser against etherparse's, on packets of every shape.
//!
//! etherparse looks at structure only, neither at checksums nor at our limits. Where the two differ
//! for another reason, [`on_purpose`] says so; everything else is a failure.

use std::cell::Cell;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::test_runner::TestRunner;

use super::*;

/// What both are asked for.
#[derive(PartialEq, Eq, Debug)]
struct Seen<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    ports: [u16; 2],
    tcp: Option<TcpSegment>,
    icmp: Option<Icmp>,
    /// Without transport header if that was looked at.
    payload: &'a [u8],
}

fn ours(packet: &Packet) -> Seen<'_> {
    let flow = packet.flow();
    Seen {
        source: flow.source,
        destination: flow.destination,
        protocol: flow.protocol,
        ports: [flow.source_port, flow.destination_port],
        tcp: packet.tcp(),
        icmp: packet.icmp(),
        payload: packet.payload(),
    }
}

/// `None` if etherparse finds no packet.
fn theirs(bytes: &[u8]) -> Option<Seen<'_>> {
    let sliced = SlicedPacket::from_ip(bytes).ok()?;
    let (source, destination, above): (IpAddr, IpAddr, _) = match sliced.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), ip.payload())
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), ip.payload())
        }
        NetSlice::Arp(_) => return None,
    };
    let mut seen = Seen {
        source,
        destination,
        protocol: Protocol(above.ip_number.0),
        ports: [0, 0],
        tcp: None,
        icmp: None,
        payload: above.payload,
    };
    match &sliced.transport {
        Some(TransportSlice::Udp(udp)) => {
            seen.ports = [udp.source_port(), udp.destination_port()];
            seen.payload = udp.payload();
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let flags = [
                (tcp.fin(), TcpFlags::FIN),
                (tcp.syn(), TcpFlags::SYN),
                (tcp.rst(), TcpFlags::RST),
                (tcp.psh(), TcpFlags::PSH),
                (tcp.ack(), TcpFlags::ACK),
                (tcp.urg(), TcpFlags::URG),
                (tcp.ece(), TcpFlags::ECE),
                (tcp.cwr(), TcpFlags::CWR),
            ];
            let set = flags.into_iter().filter(|(set, _)| *set);
            seen.tcp = Some(TcpSegment {
                flags: set.fold(TcpFlags::default(), |all, (_, flag)| all | flag),
                sequence: tcp.sequence_number(),
                acknowledgement: tcp.acknowledgment_number(),
                window: tcp.window_size(),
            });
            seen.ports = [tcp.source_port(), tcp.destination_port()];
            seen.payload = tcp.payload();
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            seen.icmp = Some(Icmp { kind: icmp.type_u8(), code: icmp.code_u8() });
            seen.payload = &icmp.slice()[8..];
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            seen.icmp = Some(Icmp { kind: icmp.type_u8(), code: icmp.code_u8() });
            seen.payload = &icmp.slice()[8..];
        }
        Some(TransportSlice::Igmp(_)) | None => {}
    }
    Some(seen)
}

/// Do the two part on these bytes for a reason that we know and want?
fn on_purpose(bytes: &[u8], ours: &Result<Packet, Malformed>) -> bool {
    // Some extension headers etherparse does not step over; authentication it looks into.
    if bytes[0] >> 4 == 6 && has_link(bytes, &[51, 135, 139, 140]) {
        return true;
    }
    // It leaves fragments alone, where we read the transport header of the first.
    if ours.as_ref().map_or_else(|_| is_fragment(bytes), Packet::is_fragment) {
        return true;
    }
    // A length of 0 is "all there is" to it, as in jumbograms, which there are none of here.
    if bytes[0] >> 4 == 6 && bytes[4..6] == [0, 0] {
        return true;
    }
    match ours {
        Ok(packet) => match (packet.family(), packet.protocol()) {
            // Authentication is a protocol in IPv4, and IGMP one that we do not look into.
            (Family::V4, Protocol(51)) | (_, Protocol(2)) => true,
            // Each family has its own ICMP.
            (Family::V4, Protocol::ICMPV6) | (Family::V6, Protocol::ICMP) => true,
            // The length of time stamp messages is left to who reads them.
            (Family::V4, Protocol::ICMP) => {
                matches!(packet.icmp(), Some(Icmp { kind: 13 | 14, .. }))
            }
            _ => false,
        },
        Err(malformed) => matches!(
            malformed,
            Malformed::TooLong { .. }
                | Malformed::Checksum { .. }
                | Malformed::ChecksumAbsent { .. }
                | Malformed::ExtensionsTooMany { .. }
                | Malformed::ExtensionsTooLong { .. }
                | Malformed::FragmentTwice { .. }
                | Malformed::UdpLength { claimed: 0, .. }
        ),
    }
}

/// Is one of `kinds` among the extension headers? Reads as far as it gets.
fn has_link(bytes: &[u8], kinds: &[u8]) -> bool {
    let (mut next, mut rest) = (bytes[6], &bytes[40..]);
    while let (0 | 43 | 44 | 51 | 60 | 135 | 139 | 140, [following, length, ..]) = (next, rest) {
        if kinds.contains(&next) {
            return true;
        }
        let length = if next == 44 { 8 } else { 8 * (1 + usize::from(*length)) };
        rest = rest.get(length..).unwrap_or_default();
        next = *following;
    }
    false
}

fn is_fragment(bytes: &[u8]) -> bool {
    match bytes[0] >> 4 {
        4 => u16::from_be_bytes([bytes[6], bytes[7]]) & 0x3fff != 0,
        _ => has_link(bytes, &[44]),
    }
}

#[test]
fn etherparse_sees_the_same() {
    let (alike, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::default();
    let cases = runner.config().cases;
    let result = runner.run(&almost_packets(), |bytes| {
        let parsed = parse_repaired(bytes.clone());
        match (&parsed, theirs(&bytes)) {
            // Checksums are the only bytes that repairing changed, and etherparse ignores them.
            (Ok(packet), Some(theirs)) if ours(packet) == theirs => alike.set(alike.get() + 1),
            (Err(_), None) => refused.set(refused.get() + 1),
            (_, theirs) => prop_assert!(
                on_purpose(&bytes, &parsed),
                "{bytes:02x?}\nours {parsed:?} {:?}\ntheirs {theirs:?}",
                parsed.as_ref().map(ours)
            ),
        }
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    // The differences must stay the exception, or this test would say nothing.
    let (alike, refused) = (alike.get(), refused.get());
    assert!(alike > cases / 5 && refused > cases / 10, "{alike} and {refused} of {cases}");
}
