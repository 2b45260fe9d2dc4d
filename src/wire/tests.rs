//! The folder's contract from outside: rows of bytes, properties, and etherparse as judge.
//!
//! Holds what the tests share: bytes from text, headers put together by hand, checksums repaired.
//! The builder under test is not used to make odd packets.

mod answers;
mod fragments;
mod malformed;
mod oracle;
mod parts;
mod properties;
mod reassembly;
mod rewriting;

use std::net::IpAddr;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Bytes from hexadecimal text. White space separates, `00*40` repeats what is in front of it.
fn hex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let (digits, times) = word.split_once('*').unwrap_or((word, "1"));
        let some: Vec<u8> = (0..digits.len() / 2)
            .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        bytes.extend(some.repeat(times.parse().unwrap()));
    }
    bytes
}

fn parse(bytes: Vec<u8>) -> Result<Packet, Malformed> {
    Packet::parse(Bytes::from(bytes))
}

/// The packet in `bytes` once its checksums are what the parser says they should be.
///
/// A packet has at most two, so that a third complaint is returned like any other.
fn parse_repaired(mut bytes: Vec<u8>) -> Result<Packet, Malformed> {
    for _ in 0..2 {
        match parse(bytes.clone()) {
            Err(Malformed::Checksum { offset, computed, .. }) => {
                bytes[offset..offset + 2].copy_from_slice(&computed.to_be_bytes());
            }
            other => return other,
        }
    }
    parse(bytes)
}

/// IPv4 from 10.1.0.10 to 10.2.0.10, its header checksum left at zero.
fn ipv4(options: &[u8], flags_and_offset: u16, protocol: u8, body: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let total = u16::try_from(header_len + body.len()).unwrap();
    let mut bytes = vec![0x40 | u8::try_from(header_len / 4).unwrap(), 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0xab, 0xcd]);
    bytes.extend(flags_and_offset.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 10, 1, 0, 10, 10, 2, 0, 10]);
    bytes.extend(options);
    bytes.extend(body);
    bytes
}

/// An IPv6 extension header without its first byte, which names what follows.
#[derive(Clone, Debug)]
struct Link {
    kind: u8,
    rest: Vec<u8>,
}

impl Link {
    fn fragment(offset: u16, more: u16) -> Link {
        let [high, low] = (offset | more).to_be_bytes();
        Link { kind: 44, rest: vec![0, high, low, 0x01, 0x02, 0x03, 0x04] }
    }

    /// One of `units` times 8 bytes (plus 8), whose byte 3 is `segments`, if it is a routing header.
    fn sized(kind: u8, units: u8, segments: u8) -> Link {
        // Authentication headers count words of 4 bytes, and count two less than there are.
        let length = if kind == 51 { 2 * units } else { units };
        let mut rest = vec![length, 0, segments];
        rest.resize(7 + 8 * usize::from(units), 0);
        Link { kind, rest }
    }
}

/// IPv6 from fd00:1::10 to fd00:2::10 with extension headers.
fn ipv6(chain: &[Link], protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut kinds = chain.iter().map(|link| link.kind).chain([protocol]);
    let first = kinds.next().unwrap();
    let mut above = Vec::new();
    for (link, next) in chain.iter().zip(kinds) {
        above.push(next);
        above.extend(&link.rest);
    }
    above.extend(body);
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(above.len()).unwrap().to_be_bytes());
    bytes.extend([first, 64]);
    bytes.extend(hex("fd000001 00*10 0010 fd000002 00*10 0010"));
    bytes.extend(above);
    bytes
}

/// A UDP datagram from port 1000 to port 2000; its checksum is wrong, so that it can be repaired.
fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut bytes = hex("03e8 07d0");
    bytes.extend(length.to_be_bytes());
    bytes.extend([0xba, 0xad]);
    bytes.extend(payload);
    bytes
}

/// Packets that are almost right: plausible headers of every kind around arbitrary bytes.
fn almost_packets() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop_oneof![
        4 => prop::sample::select(vec![1_u8, 6, 17, 58]),
        1 => any::<u8>(),
    ];
    let body = prop_oneof![
        vec(any::<u8>(), 0..80),
        vec(any::<u8>(), 0..40).prop_map(|payload| udp(&payload)),
        (5..9_u8, vec(any::<u8>(), 20..60)).prop_map(|(words, mut segment)| {
            segment[12] = words << 4;
            segment
        }),
    ];
    let flags = prop_oneof![3 => Just(0x4000_u16), 1 => any::<u16>()];
    let link = prop_oneof![
        (prop::sample::select(vec![0_u8, 43, 51, 60, 135, 139, 140]), 0..4_u8, 0..2_u8)
            .prop_map(|(kind, units, segments)| Link::sized(kind, units, segments)),
        (any::<u16>(), 0..2_u16).prop_map(|(offset, more)| Link::fragment(offset & 0xfff8, more)),
        Just(Link::fragment(0, 0)),
    ];
    let families = prop_oneof![
        (0..11_usize, flags, protocol.clone(), body.clone()).prop_map(
            |(words, flags, protocol, body)| ipv4(&vec![1; words * 4], flags, protocol, &body)
        ),
        (vec(link, 0..4), protocol, body)
            .prop_map(|(chain, protocol, body)| ipv6(&chain, protocol, &body)),
    ];
    (families, prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()))).prop_map(
        |(mut bytes, change)| {
            if let Some((at, value)) = change {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes
        },
    )
}
