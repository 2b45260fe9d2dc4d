//! From a captured frame to the IP packet in it.
//!
//! Holds the link layers that captures of IP commonly have. Refuses to look at IP beyond its length
//! field, which alone tells a packet from the padding behind it.

use super::{LinkType, Skip};
use crate::base::limit;

/// Link-layer header types (tcpdump.org's list).
const NULL: u16 = 0;
const ETHERNET: u16 = 1;
/// What some systems write for `RAW`, after the number that their programs know it by.
const RAW_LOCAL: u16 = 12;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_COOKED: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_COOKED_2: u16 = 276;

/// EtherTypes of IP (IEEE registry).
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// EtherTypes of VLAN tags: customer (802.1Q), service (802.1ad), and the latter's forerunner.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// Below this the field is the length of an 802.3 frame and not a type.
const ETHERTYPE_LEAST: u16 = 0x0600;
const VLAN_TAGS_MAX: usize = 2;

/// Address families of IP as `NULL` and `LOOP` frames state them. IPv6 has as many numbers as there
/// are families of systems: Linux, NetBSD and OpenBSD, FreeBSD, macOS.
const FAMILY_IPV4: u32 = 2;
const FAMILIES_IPV6: [u32; 4] = [10, 24, 28, 30];

/// The IP packet in `frame`, which had `original` bytes on the wire.
///
/// A frame's padding is not part of it; bytes that follow the IP length where there is no frame
/// (`RAW`) are, since somebody sent them.
///
/// # Errors
/// Why there is no packet to replay.
pub(super) fn ip_packet(link: LinkType, frame: &[u8], original: u32) -> Result<&[u8], Skip> {
    let cut = frame.len() < original as usize;
    let packet = match link.0 {
        RAW | RAW_LOCAL | IPV4 | IPV6 => whole(frame, cut)?,
        NULL | LOOP => whole(after_family(frame)?, cut)?,
        ETHERNET => without_padding(after_ethertype(frame, 12, 14)?, cut)?,
        LINUX_COOKED => without_padding(after_ethertype(frame, 14, 16)?, cut)?,
        LINUX_COOKED_2 => without_padding(after_ethertype(frame, 0, 20)?, cut)?,
        _ => return Err(Skip::LinkType(link)),
    };
    if packet.len() > limit::PACKET_BYTES_MAX { Err(Skip::TooLong) } else { Ok(packet) }
}

/// What follows an address family of four bytes. `LOOP` has it in network order and `NULL` in that
/// of whoever captured, but no family is large enough for the two to be mixed up.
fn after_family(frame: &[u8]) -> Result<&[u8], Skip> {
    let (family, packet) = frame.split_first_chunk::<4>().ok_or(Skip::ShortFrame)?;
    let family = u32::from_be_bytes(*family).min(u32::from_le_bytes(*family));
    let is_ip = family == FAMILY_IPV4 || FAMILIES_IPV6.contains(&family);
    if is_ip { Ok(packet) } else { Err(Skip::NotIp) }
}

/// What follows a header with its EtherType at `at` and its end at `end`, and up to two VLAN tags.
fn after_ethertype(frame: &[u8], at: usize, end: usize) -> Result<&[u8], Skip> {
    let mut ethertype = be16(frame, at).ok_or(Skip::ShortFrame)?;
    let mut rest = frame.get(end..).ok_or(Skip::ShortFrame)?;
    for _ in 0..VLAN_TAGS_MAX {
        if ETHERTYPES_VLAN.contains(&ethertype) {
            // A tag is two bytes and the type of what follows it.
            ethertype = be16(rest, 2).ok_or(Skip::ShortFrame)?;
            rest = rest.get(4..).ok_or(Skip::ShortFrame)?;
        }
    }
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Ok(rest),
        0..ETHERTYPE_LEAST => Err(Skip::NotIp),
        other => Err(Skip::EtherType(other)),
    }
}

/// `packet`, unless the capture `cut` into it.
fn whole(packet: &[u8], cut: bool) -> Result<&[u8], Skip> {
    let complete = ip_length(packet).is_some_and(|length| length <= packet.len());
    if cut && !complete { Err(Skip::CutShort) } else { Ok(packet) }
}

/// `packet` up to its own length, unless the capture `cut` into it.
fn without_padding(packet: &[u8], cut: bool) -> Result<&[u8], Skip> {
    let packet = whole(packet, cut)?;
    Ok(ip_length(packet).and_then(|length| packet.get(..length)).unwrap_or(packet))
}

/// The length that an IP header states; `None` if it states none, or an impossible one.
fn ip_length(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        // RFC 791, 3.1: header included. 0 is what segmentation offload leaves there.
        4 => Some(usize::from(be16(packet, 2)?)).filter(|length| *length >= 20),
        // RFC 8200, 3: header excluded. 0 with hop-by-hop options (next header 0) is a jumbogram.
        6 => match (be16(packet, 4)?, *packet.get(6)?) {
            (0, 0) => None,
            (payload, _) => Some(40 + usize::from(payload)),
        },
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_be_bytes(*field))
}
