//! A valid packet in one call: traffic, answers, tests.
//!
//! Holds constructors by kind of packet and the answers that hosts and routers give of themselves.
//! Refuses to send anything, to build broken packets, and to choose identifiers, sequence numbers
//! or ports: they are arguments, so that a run stays a function of its input.
//!
//! Every packet says: hop limit [`HOP_LIMIT`], no options, no flow label, "don't fragment" in IPv4
//! (hosts do path MTU discovery, RFC 1191; who wants it otherwise has
//! [`clear_dont_fragment`](super::clear_dont_fragment)), identification 0 (what cannot be
//! fragmented needs none, RFC 6864, 4.1), and has been through [`Packet::parse`]. Answers are given
//! to whole packets from one host to one host only: none to fragments, none to or from a multicast,
//! limited broadcast or unspecified address (RFC 1122, 3.2.1.3 and 4.2.3.10).
//!
//! ICMP errors quote the packet they are about, up to a length of 576 bytes in all (RFC 1812,
//! 4.3.2.3), over IPv6 1,280 (RFC 4443, 2.4). There are none about an ICMP error, about a later
//! fragment, about what is not from one host to one host (RFC 1122, 3.2.2), nor from an address of
//! the other family. Unlike RFC 4443, 2.4(e.3), that holds for multicast as well: the fabric
//! carries none.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpNumber, Ipv4Header,
    Ipv6FlowLabel, Ipv6Header, TcpHeader, TransportHeader, UdpHeader,
    icmpv4::{self, DestUnreachableHeader},
    icmpv6,
};
use thiserror::Error;

use super::{EchoKind, Family, FlowKey, Packet, Protocol, TcpFlags, TcpSegment};
use crate::base::limit::PACKET_BYTES_MAX;
use crate::base::units::Mtu;

/// The hop limit of what is built: the default that IANA's registry of IP parameters recommends to
/// hosts (RFC 1122, 3.2.1.7 leaves the value to it), and what today's systems send.
pub const HOP_LIMIT: u8 = 64;

/// The receive window that built TCP segments announce, in bytes: the largest that needs no
/// window scale option (RFC 9293, 3.1).
pub const TCP_WINDOW: u16 = 65_535;

/// Why a packet cannot be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BuildError {
    /// One address is IPv4, the other IPv6.
    #[error("no packet from {from} to {to}: the address families differ")]
    FamiliesDiffer {
        /// Where it would come from.
        from: IpAddr,
        /// Where it would go.
        to: IpAddr,
    },
    /// Headers and payload are longer than a packet can be.
    #[error("a packet of {needed} bytes is too large, at most {PACKET_BYTES_MAX} are possible")]
    TooLarge {
        /// The length it would have.
        needed: usize,
    },
}

/// An ICMP echo message from `source` to `destination`, over IPv6 an ICMPv6 one.
///
/// # Errors
/// Both of [`BuildError`], before anything is allocated.
pub fn echo(
    kind: EchoKind,
    source: IpAddr,
    destination: IpAddr,
    ident: u16,
    seq: u16,
    payload: &[u8],
) -> Result<Packet, BuildError> {
    let echo = IcmpEchoHeader { id: ident, seq };
    let v4 = |kind| TransportHeader::Icmpv4(Icmpv4Header::new(kind));
    let v6 = |kind| TransportHeader::Icmpv6(Icmpv6Header::new(kind));
    let header = match (source, kind) {
        (IpAddr::V4(_), EchoKind::Request) => v4(Icmpv4Type::EchoRequest(echo)),
        (IpAddr::V4(_), EchoKind::Reply) => v4(Icmpv4Type::EchoReply(echo)),
        (IpAddr::V6(_), EchoKind::Request) => v6(Icmpv6Type::EchoRequest(echo)),
        (IpAddr::V6(_), EchoKind::Reply) => v6(Icmpv6Type::EchoReply(echo)),
    };
    packet(source, destination, header, payload)
}

/// A UDP datagram with its checksum, also over IPv4, where it could be left out.
///
/// # Errors
/// Both of [`BuildError`], before anything is allocated.
pub fn udp(
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> Result<Packet, BuildError> {
    let header = UdpHeader {
        source_port: source.port(),
        destination_port: destination.port(),
        // Where this is too small for the datagram, so is the packet's length, and `packet`
        // refuses.
        length: u16::try_from(UdpHeader::LEN + payload.len()).unwrap_or(u16::MAX),
        checksum: 0,
    };
    packet(source.ip(), destination.ip(), TransportHeader::Udp(header), payload)
}

/// A TCP segment without options. `ack` goes into the header as it is, also without
/// [`TcpFlags::ACK`].
///
/// # Errors
/// Both of [`BuildError`], before anything is allocated.
pub fn tcp(
    source: SocketAddr,
    destination: SocketAddr,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    payload: &[u8],
) -> Result<Packet, BuildError> {
    let mut header = TcpHeader::new(source.port(), destination.port(), seq, TCP_WINDOW);
    header.acknowledgment_number = ack;
    header.fin = flags.contains(TcpFlags::FIN);
    header.syn = flags.contains(TcpFlags::SYN);
    header.rst = flags.contains(TcpFlags::RST);
    header.psh = flags.contains(TcpFlags::PSH);
    header.ack = flags.contains(TcpFlags::ACK);
    header.urg = flags.contains(TcpFlags::URG);
    header.ece = flags.contains(TcpFlags::ECE);
    header.cwr = flags.contains(TcpFlags::CWR);
    packet(source.ip(), destination.ip(), TransportHeader::Tcp(header), payload)
}

/// The answer to an echo request: ends swapped, identifier, sequence number and data returned
/// (RFC 1122, 3.2.2.6; RFC 4443, 4.2).
///
/// `None` for other messages and for what gets no answer at all, see [`self`]. Unlike RFC 1122,
/// 3.2.2.6, IP options of the request are not returned: no one here sends any.
pub fn echo_reply(request: &Packet) -> Option<Packet> {
    let echo = request.icmp_echo().filter(|echo| echo.kind == EchoKind::Request)?;
    let FlowKey { source, destination, .. } = answerable(request)?;
    let (ident, seq, data) = (echo.ident, echo.seq, request.payload());
    self::echo(EchoKind::Reply, destination, source, ident, seq, data).ok()
}

/// The answer of an echo server: the datagram with its ends swapped.
///
/// `None` if it is no UDP, if it comes from port 0, by which the sender says that it wants no
/// answer (RFC 768), and for what gets no answer at all, see [`self`].
pub fn udp_answer(datagram: &Packet) -> Option<Packet> {
    let payload = datagram.udp_payload()?;
    let back = answerable(datagram)?.reversed();
    if back.destination_port == 0 {
        return None;
    }
    udp(back.source_socket(), back.destination_socket(), payload).ok()
}

/// What a host answers on which everything is served: the echo, the datagram, or SYN and ACK; to any
/// other segment a reset.
///
/// `None` for what gets no answer.
pub fn answer(packet: &Packet) -> Option<Packet> {
    match packet.tcp_flags() {
        Some(TcpFlags::SYN) => tcp_accept(packet),
        Some(_) => tcp_reset(packet),
        None => echo_reply(packet).or_else(|| udp_answer(packet)),
    }
}

/// What a host answers to a SYN for a port on which something listens (RFC 9293, 3.10.7.2), with the
/// sequence number 1.
fn tcp_accept(syn: &Packet) -> Option<Packet> {
    let segment = syn.tcp()?;
    let back = answerable(syn)?.reversed();
    let length = segment.flags.sequence_length(syn.payload().len());
    let ack = segment.sequence.wrapping_add(length);
    tcp(back.source_socket(), back.destination_socket(), TcpFlags::SYN | TcpFlags::ACK, 1, ack, &[])
        .ok()
}

/// What a host answers to a segment for a port on which nothing listens (RFC 9293, 3.10.7.1).
///
/// `None` if it is no TCP or a reset itself, and for what gets no answer at all, see [`self`].
pub fn tcp_reset(segment: &Packet) -> Option<Packet> {
    let TcpSegment { flags, sequence, acknowledgement, .. } = segment.tcp()?;
    let back = answerable(segment)?.reversed();
    if flags.contains(TcpFlags::RST) {
        return None;
    }
    let (flags, seq, ack) = if flags.contains(TcpFlags::ACK) {
        (TcpFlags::RST, acknowledgement, 0)
    } else {
        let length = flags.sequence_length(segment.payload().len());
        (TcpFlags::RST | TcpFlags::ACK, 0, sequence.wrapping_add(length))
    };
    tcp(back.source_socket(), back.destination_socket(), flags, seq, ack, &[]).ok()
}

/// What a router sends back when `packet` is too long for a link that takes `mtu` bytes: ICMP type
/// 3 code 4 with the MTU (RFC 792; RFC 1191, 4), over IPv6 type 2 (RFC 4443, 3.2), from `router`.
///
/// `None` if the router would have to cut the packet up instead, and for what no error may be
/// about, see [`self`].
pub fn too_big(packet: &Packet, router: IpAddr, mtu: Mtu) -> Option<Packet> {
    if packet.may_be_fragmented() {
        return None;
    }
    let v4 = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu.bytes() };
    let v6 = Icmpv6Type::PacketTooBig { mtu: u32::from(mtu.bytes()) };
    error(packet, router, Icmpv4Type::DestinationUnreachable(v4), v6)
}

/// What a router sends back when `packet` has used up its hop limit: type 11 code 0 (RFC 792), over
/// IPv6 type 3 code 0 (RFC 4443, 3.3), from `router`.
///
/// `None` for what no error may be about, see [`self`].
pub fn time_exceeded(packet: &Packet, router: IpAddr) -> Option<Packet> {
    let v4 = icmpv4::TimeExceededCode::TtlExceededInTransit;
    let v6 = icmpv6::TimeExceededCode::HopLimitExceeded;
    error(packet, router, Icmpv4Type::TimeExceeded(v4), Icmpv6Type::TimeExceeded(v6))
}

/// What a host sends back when the rest of a packet has not come in time: type 11 code 1 (RFC 1122,
/// 3.3.2), over IPv6 type 3 code 1 (RFC 8200, 4.5), from `host`, about the first fragment.
///
/// `None` if `fragment` is not the first, and for what no error may be about, see [`self`].
pub fn reassembly_time_exceeded(fragment: &Packet, host: IpAddr) -> Option<Packet> {
    fragment.fragment()?;
    let v4 = icmpv4::TimeExceededCode::FragmentReassemblyTimeExceeded;
    let v6 = icmpv6::TimeExceededCode::FragmentReassemblyTimeExceeded;
    error(fragment, host, Icmpv4Type::TimeExceeded(v4), Icmpv6Type::TimeExceeded(v6))
}

/// What a host sends back when nothing listens on the port of a datagram: type 3 code 3 (RFC 1122,
/// 3.2.2.1), over IPv6 type 1 code 4 (RFC 4443, 3.1), from `host`.
///
/// `None` if it is no UDP, as TCP answers with [`tcp_reset`], for a fragment, whose datagram is to
/// be put together first, and for what no error may be about, see [`self`].
pub fn port_unreachable(datagram: &Packet, host: IpAddr) -> Option<Packet> {
    datagram.udp_payload()?;
    let v4 = DestUnreachableHeader::Port;
    let v6 = icmpv6::DestUnreachableCode::Port;
    let (v4, v6) = (Icmpv4Type::DestinationUnreachable(v4), Icmpv6Type::DestinationUnreachable(v6));
    error(datagram, host, v4, v6)
}

/// The ICMP error about `packet` in its family, unless no error may be about it.
fn error(packet: &Packet, from: IpAddr, v4: Icmpv4Type, v6: Icmpv6Type) -> Option<Packet> {
    let flow = between_hosts(packet)?;
    let is_error = packet.icmp().is_some_and(|icmp| icmp.is_error(packet.family()));
    if is_error || packet.is_later_fragment() {
        return None;
    }
    let (header, room) = match packet.family() {
        Family::V4 => {
            let header = TransportHeader::Icmpv4(Icmpv4Header::new(v4));
            (header, 576 - Ipv4Header::MIN_LEN - Icmpv4Header::MIN_LEN)
        }
        Family::V6 => {
            let header = TransportHeader::Icmpv6(Icmpv6Header::new(v6));
            (header, 1_280 - Ipv6Header::LEN - Icmpv6Header::MIN_LEN)
        }
    };
    let quoted = packet.bytes().get(..packet.len().min(room))?;
    self::packet(from, flow.source, header, quoted).ok()
}

/// The packet's flow, if a host may answer it (see the module).
fn answerable(packet: &Packet) -> Option<FlowKey> {
    between_hosts(packet).filter(|_| !packet.is_fragment())
}

/// The packet's flow, if both ends are a single host each.
///
/// Only the limited broadcast is known as such here; that of a subnet takes a subnet to know.
fn between_hosts(packet: &Packet) -> Option<FlowKey> {
    let flow = packet.flow();
    let one_host = |address: IpAddr| {
        let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        !(broadcast || address.is_multicast() || address.is_unspecified())
    };
    (one_host(flow.source) && one_host(flow.destination)).then_some(flow)
}

/// Checks what the caller chose, then puts the packet together.
fn packet(
    from: IpAddr,
    to: IpAddr,
    transport: TransportHeader,
    payload: &[u8],
) -> Result<Packet, BuildError> {
    let ip_header = match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) => Ipv4Header::MIN_LEN,
        (IpAddr::V6(_), IpAddr::V6(_)) => Ipv6Header::LEN,
        _ => return Err(BuildError::FamiliesDiffer { from, to }),
    };
    let needed = ip_header.saturating_add(transport.header_len()).saturating_add(payload.len());
    if needed > PACKET_BYTES_MAX {
        return Err(BuildError::TooLarge { needed });
    }
    #[allow(
        clippy::expect_used,
        reason = "families and length, all that can be wrong, were checked above; \
                  the property `what_is_built_is_what_is_parsed` watches it"
    )]
    Ok(assemble(from, to, transport, payload, needed).expect("checked arguments make a packet"))
}

/// `None` if etherparse or our own parser finds fault with the arguments.
fn assemble(
    from: IpAddr,
    to: IpAddr,
    mut transport: TransportHeader,
    payload: &[u8],
    needed: usize,
) -> Option<Packet> {
    let protocol = match &transport {
        TransportHeader::Icmpv4(_) => Protocol::ICMP,
        TransportHeader::Icmpv6(_) => Protocol::ICMPV6,
        TransportHeader::Udp(_) => Protocol::UDP,
        TransportHeader::Tcp(_) => Protocol::TCP,
        TransportHeader::Igmp(_) => return None,
    };
    let upper_len = u16::try_from(transport.header_len() + payload.len()).ok()?;
    let mut bytes = Vec::with_capacity(needed);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let protocol = IpNumber(protocol.0);
            let mut ip =
                Ipv4Header::new(upper_len, HOP_LIMIT, protocol, from.octets(), to.octets()).ok()?;
            ip.dont_fragment = true;
            ip.identification = 0;
            ip.header_checksum = ip.calc_header_checksum();
            transport.update_checksum_ipv4(&ip, payload).ok()?;
            bytes.extend_from_slice(&ip.to_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let ip = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: upper_len,
                next_header: IpNumber(protocol.0),
                hop_limit: HOP_LIMIT,
                source: from.octets(),
                destination: to.octets(),
            };
            transport.update_checksum_ipv6(&ip, payload).ok()?;
            bytes.extend_from_slice(&ip.to_bytes());
        }
        _ => return None,
    }
    transport.write(&mut bytes).ok()?;
    bytes.extend_from_slice(payload);
    Packet::parse(Bytes::from(bytes)).ok()
}
