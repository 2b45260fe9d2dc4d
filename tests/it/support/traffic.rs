//! Packets of all kinds for random worlds: TCP, UDP, echo, other ICMP, errors about what has gone
//! before, protocols without ports, fragments, and packets that are too long for some ways.
//!
//! Holds what is sent and what of it a filter can see. Refuses to know how a packet is judged.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use proptest::prelude::*;
use vpclab::base::id::InterfaceId;
use vpclab::base::units::Mtu;
use vpclab::wire::{EchoKind, Packet, TcpFlags, build, clear_dont_fragment, fragment, fragment_v6};

use super::oracle::{Carries, Probe};
use super::plan::{Pick, pick};
use super::whole::Whole;

/// One packet, or one after another has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendPlan {
    from: Pick,
    to: Aim,
    kind: Pick,
    /// 0 is an address that is not the sender's.
    own: u8,
    /// Does it take so long that the world may change meanwhile?
    pub(crate) late: bool,
}

#[derive(Clone, Copy, Debug)]
enum Aim {
    Host(Pick),
    Near(Pick),
    Outside(Pick),
    Public(Pick),
    Elsewhere(Pick),
    /// Back to the sender of what arrived lately.
    Back(Pick),
    /// Once more what was sent lately.
    Again(Pick),
}

/// A packet that arrived, and where.
pub(crate) type Arrived = (Packet, InterfaceId);

pub(crate) fn send() -> impl Strategy<Value = SendPlan> {
    let p = any::<Pick>();
    let to = prop_oneof![
        6 => p.prop_map(Aim::Near),
        3 => p.prop_map(Aim::Host),
        4 => p.prop_map(Aim::Outside),
        3 => p.prop_map(Aim::Public),
        2 => p.prop_map(Aim::Elsewhere),
        8 => p.prop_map(Aim::Back),
        2 => p.prop_map(Aim::Again),
    ];
    (p, to, p, 0..30_u8, 0..6_u8).prop_map(|(from, to, kind, own, late)| SendPlan {
        from,
        to,
        kind,
        own,
        late: late == 0,
    })
}

/// What the plan sends, fragment by fragment; nothing if there is nobody to send it or to aim at.
pub(crate) fn packets(
    whole: &Whole,
    plan: &SendPlan,
    lately: &[Arrived],
) -> Option<(InterfaceId, Vec<Packet>)> {
    if let Aim::Back(nth) | Aim::Again(nth) = plan.to {
        let (packet, at) = lately.get(usize::from(nth) % lately.len().max(1))?;
        if matches!(plan.to, Aim::Again(_)) {
            return Some((pick(&whole.senders(), plan.from)?, vec![packet.clone()]));
        }
        return Some((*at, answer(packet, plan.kind)?));
    }
    let Ends { from, source, destination, .. } = ends(whole, plan)?;
    Some((from, shaped(source, destination, plan.kind)))
}

/// Who sends to which address, in whose name.
pub(crate) struct Ends {
    pub(crate) from: InterfaceId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

/// The ends of what the plan sends, if it does not depend on what has been sent before.
pub(crate) fn ends(whole: &Whole, plan: &SendPlan) -> Option<Ends> {
    let cloud = &whole.world.lab.cloud;
    let from = pick(&whole.senders(), plan.from)?;
    let addresses = |id| match (cloud.interface(id), cloud.outside_host(id)) {
        (Some(interface), _) => interface.addresses.clone(),
        (None, Some(host)) => host.addresses.clone(),
        (None, None) => Vec::new(),
    };
    let one_of = |all: Vec<InterfaceId>, nth: Pick| pick(&addresses(pick(&all, nth)?), nth / 7);
    let destination = match plan.to {
        Aim::Host(nth) => one_of(whole.world.hosts.clone(), nth)?,
        Aim::Near(nth) => {
            let vpc = cloud.interface(from)?.vpc;
            let joined = cloud.vpc(vpc)?.peerings().filter_map(|p| cloud.peering(p));
            let near: Vec<_> = joined.filter_map(|p| p.other_end(vpc)).chain([vpc]).collect();
            let inside = cloud.interfaces().filter(|(_, i)| near.contains(&i.vpc));
            one_of(inside.map(|(id, _)| id).collect(), nth)?
        }
        Aim::Outside(nth) => one_of(cloud.outside_hosts().map(|(id, _)| id).collect(), nth)?,
        Aim::Public(nth) => {
            let held: Vec<_> = cloud.public_addresses().map(|(_, held)| held.address).collect();
            pick(&held, nth)?.into()
        }
        Aim::Elsewhere(nth) => {
            ["203.0.113.250", "192.168.77.250", "10.1.0.250", "2001:db8:ffff::1"]
                [usize::from(nth % 4)]
            .parse()
            .unwrap()
        }
        Aim::Back(_) | Aim::Again(_) => return None,
    };
    let own: Vec<IpAddr> =
        addresses(from).into_iter().filter(|a| a.is_ipv4() == destination.is_ipv4()).collect();
    let foreign: IpAddr =
        if destination.is_ipv4() { "10.1.0.4" } else { "2001:db8:eeee::1" }.parse().unwrap();
    let source = pick(&own, plan.own.into()).filter(|_| plan.own > 0).unwrap_or(foreign);
    Some(Ends { from, source, destination })
}

/// Few ports and identifiers, so that packets belong to each other.
fn shaped(source: IpAddr, destination: IpAddr, kind: Pick) -> Vec<Packet> {
    let variant = kind / 16;
    let ports = [40_000 + variant % 3, [22, 53, 443][usize::from(variant / 3 % 3)]];
    let [from, to] = [SocketAddr::new(source, ports[0]), SocketAddr::new(destination, ports[1])];
    let udp = |length: usize| build::udp(from, to, &vec![0; length]).unwrap();
    let echo = |length: usize| {
        let kind = EchoKind::Request;
        build::echo(kind, source, destination, ports[0], 1, &vec![0; length]).unwrap()
    };
    let flags = [
        TcpFlags::SYN,
        TcpFlags::SYN,
        TcpFlags::ACK,
        TcpFlags::FIN | TcpFlags::ACK,
        TcpFlags::RST,
        TcpFlags::SYN | TcpFlags::ACK,
    ][usize::from(variant / 9 % 6)];
    let pieces = |packet: &Packet| {
        let ident = 1 + variant / 9 % 3;
        let mtu = Mtu::ETHERNET;
        match source {
            IpAddr::V4(_) => fragment(&clear_dont_fragment(packet), mtu, ident).unwrap(),
            IpAddr::V6(_) => fragment_v6(packet, mtu, ident.into()).unwrap(),
        }
    };
    match kind % 16 {
        0..4 => vec![build::tcp(from, to, flags, 1, 1, b"").unwrap()],
        4..7 => vec![udp(4)],
        7 | 8 => vec![echo(4)],
        // ICMP that is neither echo nor error: a timestamp, and neighbour discovery.
        9 => vec![with_kind(&echo(4), if source.is_ipv4() { 13 } else { 135 })],
        10 => vec![with_protocol(&udp(4), 47)],
        // A whole train, or its end alone.
        11 => pieces(&udp(2_000)),
        12 => pieces(&udp(2_000)).split_off(1),
        13 => vec![udp([1_600, 8_600, 9_100][usize::from(variant % 3)])],
        14 => vec![clear_dont_fragment(&udp([1_600, 8_600, 9_100][usize::from(variant % 3)]))],
        _ => vec![hops(&udp(4), 1 + variant % 2)],
    }
}

/// What comes back: an answer, a reset, a FIN, or an error about it.
fn answer(packet: &Packet, kind: Pick) -> Option<Vec<Packet>> {
    let flow = packet.flow().reversed();
    let (from, to) = (flow.source_socket(), flow.destination_socket());
    let host = flow.source;
    let one = match kind % 8 {
        0 => build::time_exceeded(packet, host)?,
        1 => build::port_unreachable(packet, host)?,
        2 => build::tcp_reset(packet)?,
        3 if packet.tcp_flags().is_some() => {
            build::tcp(from, to, TcpFlags::FIN | TcpFlags::ACK, 1, 1, b"").unwrap()
        }
        _ => build::answer(packet)?,
    };
    Some(vec![one])
}

/// The packet with another word in place of the one at `at`, and the checksum at `sum` following.
fn with_word(packet: &Packet, at: usize, new: u16, sum: Option<usize>) -> Packet {
    let mut bytes = packet.bytes().to_vec();
    let word = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let old = word(&bytes, at);
    bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
    if let Some(sum) = sum {
        // RFC 1624, 3.
        let total = u32::from(!word(&bytes, sum)) + u32::from(!old) + u32::from(new);
        let folded = (total & 0xffff) + (total >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        let checksum = !u16::try_from(folded).unwrap();
        bytes[sum..sum + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    Packet::parse(Bytes::from(bytes)).unwrap()
}

fn with_kind(echo: &Packet, kind: u8) -> Packet {
    let at = if echo.source().is_ipv4() { 20 } else { 40 };
    with_word(echo, at, u16::from(kind) << 8, Some(at + 2))
}

pub(crate) fn with_protocol(packet: &Packet, protocol: u8) -> Packet {
    if packet.source().is_ipv4() {
        let hops = u16::from(packet.hop_limit()) << 8;
        with_word(packet, 8, hops | u16::from(protocol), Some(10))
    } else {
        let hops = u16::from(packet.hop_limit());
        with_word(packet, 6, u16::from(protocol) << 8 | hops, None)
    }
}

pub(crate) fn hops(packet: &Packet, limit: u16) -> Packet {
    let protocol = packet.protocol().0;
    if packet.source().is_ipv4() {
        with_word(packet, 8, limit << 8 | u16::from(protocol), Some(10))
    } else {
        with_word(packet, 6, u16::from(protocol) << 8 | limit, None)
    }
}

/// The packet in the oracle's words. It reads the bytes itself.
pub(crate) fn probe(from: InterfaceId, packet: &Packet) -> Probe {
    let bytes = packet.bytes();
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let v4 = bytes[0] >> 4 == 4;
    // These packets have no options, and at most one extension header: that of a fragment.
    let (protocol, at, later, may_be_cut) = if v4 {
        (bytes[9], 20, word(6) & 0x1fff != 0, word(6) & 0x4000 == 0)
    } else if bytes[6] == 44 {
        (bytes[40], 48, word(42) >> 3 != 0, false)
    } else {
        (bytes[6], 40, false, false)
    };
    let has_ports = [6, 17].contains(&protocol) && !later;
    let is_icmp = protocol == if v4 { 1 } else { 58 } && !later;
    let carries = Carries {
        protocol,
        ports: has_ports.then(|| (word(at), word(at + 2))),
        icmp: is_icmp.then(|| (bytes[at], bytes[at + 1])),
    };
    let (source, destination) = (packet.source(), packet.destination());
    Probe { from, source, destination, carries, length: bytes.len(), may_be_cut }
}
