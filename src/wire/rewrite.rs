//! A packet with something changed: addresses and ports, hop limit, permission to be cut, a segment's
//! header.
//!
//! Holds the changes that devices on the way make, and hosts: those that do not discover the path's
//! MTU, and the end of a TCP connection that keeps its own count of what was lost.
//! Refuses to choose what to change, which takes tables, and to repair: a checksum that was right
//! stays right, one that was not is as wrong as before, because only the difference is worked into
//! it (RFC 1624). The packet that is given stays as it is; one with changes is a copy.

use std::net::IpAddr;

use super::checksum::Adjustment;
use super::draft::Draft;
use super::quote::Head;
use super::{Family, Packet, Protocol, TcpSegment};

/// What to write over the ends of a packet; what is `None` stays.
///
/// A port goes to what has one: TCP and UDP, whole or their first fragment, and echo messages,
/// whose identifier stands for the port of the side that asks (RFC 5508, 3.1). So it is the source
/// port of a request and the destination port of a reply. Elsewhere ports are passed over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Change {
    /// Where the packet is to come from.
    pub source: Option<IpAddr>,
    /// Its sender's port, or identifier of an echo request.
    pub source_port: Option<u16>,
    /// Where it is to go.
    pub destination: Option<IpAddr>,
    /// Its receiver's port, or identifier of an echo reply.
    pub destination_port: Option<u16>,
}

impl Change {
    /// Are all new addresses of `family`?
    fn fits(&self, family: Family) -> bool {
        let addresses = [self.source, self.destination];
        addresses.into_iter().flatten().all(|address| Family::of(address) == family)
    }
}

/// `packet` with other ends. Checksums follow; one that UDP leaves out over IPv4 stays out.
///
/// `None` if an address is of another family than the packet. Costs one copy, and no look at the
/// data.
pub fn readdress(packet: &Packet, change: Change) -> Option<Packet> {
    if change == Change::default() {
        return Some(packet.clone());
    }
    rewrite(packet, |draft| change_ends(draft, &Head::of(packet), &change).map(drop))
}

/// The ICMP error `packet` with other ends, and with other ends in the packet that it quotes: what
/// a device that translates addresses does, so that the host inside recognises its packet (RFC
/// 5508, 4.2). `outer` is for the error and `inner` for the quote, in the direction in which the
/// quoted packet went. Ports and checksums that are not in the quote any more are passed over.
///
/// `None` if it quotes nothing (see [`quoted`](super::quoted)), or an address is of another family.
pub fn readdress_quoted(packet: &Packet, outer: Change, inner: Change) -> Option<Packet> {
    let quoted = Head::quoted(packet)?;
    rewrite(packet, |draft| {
        let inside = change_ends(draft, &quoted, &inner)?;
        let around = Head::of(packet);
        if let Some(at) = around.checksum_at() {
            draft.adjust(at, inside);
        }
        change_ends(draft, &around, &outer).map(drop)
    })
}

/// `packet` after one more router: its hop limit is one lower.
///
/// `None` if that would be 0: the packet goes no further, and the answer is
/// [`time_exceeded`](super::build::time_exceeded) (RFC 1812, 5.3.1; RFC 8200, 3).
pub fn lower_hop_limit(packet: &Packet) -> Option<Packet> {
    let limit = packet.hop_limit().checked_sub(1).filter(|limit| *limit > 0)?;
    rewrite(packet, |draft| {
        match packet.family() {
            // The checksum is a sum of words, and the protocol is the other half of this one.
            Family::V4 => {
                let [_, protocol] = draft.read(8)?;
                let lowered = draft.put(8, &[limit, protocol]);
                draft.adjust(10, lowered);
            }
            Family::V6 => {
                draft.put(7, &[limit]);
            }
        }
        Some(())
    })
}

/// `packet` without IPv4's "don't fragment": as hosts send it that do no path MTU discovery, so
/// that a router may [`fragment`](super::fragment()) it. Over IPv6, where routers never do, and if
/// it is so already, it is returned as it is.
pub fn clear_dont_fragment(packet: &Packet) -> Packet {
    let with_bit = packet.family() == Family::V4 && !packet.may_be_fragmented();
    let cleared = with_bit.then(|| {
        rewrite(packet, |draft| {
            let [flags, offset] = draft.read(6)?;
            let cleared = draft.put(6, &[flags & !0x40, offset]);
            draft.adjust(10, cleared);
            Some(())
        })
    });
    cleared.flatten().unwrap_or_else(|| packet.clone())
}

/// The TCP segment `packet` with this header, ports and options apart.
///
/// `None` if it is no segment. Costs one copy, and no look at the data.
pub fn with_tcp_header(packet: &Packet, header: TcpSegment) -> Option<Packet> {
    packet.tcp()?;
    rewrite(packet, |draft| {
        let at = usize::from(packet.layout().transport);
        let [length, _] = draft.read(at + 12)?;
        let changed = draft
            .put(at + 4, &header.sequence.to_be_bytes())
            .and(draft.put(at + 8, &header.acknowledgement.to_be_bytes()))
            .and(draft.put(at + 12, &[length, header.flags.0]))
            .and(draft.put(at + 14, &header.window.to_be_bytes()));
        draft.adjust(at + 16, changed);
        Some(())
    })
}

/// `packet` with the changes that `change` makes to its bytes: none to lengths or kinds.
fn rewrite(packet: &Packet, change: impl FnOnce(&mut Draft) -> Option<()>) -> Option<Packet> {
    let mut draft = Draft::of(packet.bytes());
    change(&mut draft)?;
    Some(packet.with_bytes(draft.finish()))
}

/// Writes `change` over the packet that `head` describes. Returns what that does, its own checksums
/// included, to a checksum around it.
fn change_ends(draft: &mut Draft, head: &Head, change: &Change) -> Option<Adjustment> {
    if !change.fits(head.family) {
        return None;
    }
    let [source_at, destination_at] = head.addresses_at();
    let source = change_address(draft, source_at, change.source);
    let destination = change_address(draft, destination_at, change.destination);
    let mut all = source.and(destination);
    if head.family == Family::V4 {
        all = all.and(draft.adjust(head.ip + 10, all));
    }

    let mut covered = Adjustment::default();
    let [source_port_at, destination_port_at] = head.ports_at(draft.bytes());
    for (at, port) in
        [(source_port_at, change.source_port), (destination_port_at, change.destination_port)]
    {
        if let (Some(at), Some(port)) = (at, port) {
            covered = covered.and(draft.put(at, &port.to_be_bytes()));
        }
    }
    all = all.and(covered);
    if head.covers_addresses() {
        covered = covered.and(source);
        if head.destination_is_final {
            covered = covered.and(destination);
        }
    }
    let Some(at) = head.checksum_at() else { return Some(all) };
    let is_udp = head.protocol == Protocol::UDP;
    // Zero means "none", and if that is what a sum comes to, its twin is sent (RFC 768).
    if is_udp && draft.read(at) == Some([0, 0]) {
        return Some(all);
    }
    all = all.and(draft.adjust(at, covered));
    if is_udp && draft.read(at) == Some([0, 0]) {
        draft.put(at, &[0xff, 0xff]);
    }
    Some(all)
}

fn change_address(draft: &mut Draft, at: usize, address: Option<IpAddr>) -> Adjustment {
    match address {
        Some(IpAddr::V4(v4)) => draft.put(at, &v4.octets()),
        Some(IpAddr::V6(v6)) => draft.put(at, &v6.octets()),
        None => Adjustment::default(),
    }
}
