//! One row and more for each cause: the bytes and what is said about them. Nothing is repaired.

use super::*;

/// 10.1.0.10 to 10.2.0.10, as the last eight bytes of a header.
const ENDS_V4: &str = "0a01000a 0a02000a";
/// fd00:1::10 to fd00:2::10.
const ENDS_V6: &str = "fd000001 00*10 0010 fd000002 00*10 0010";

/// The bytes, in which `4>` and `6>` stand for the addresses of each family, and the complaint.
const ROWS: &[(&str, &str)] = &[
    ("", "empty: an ip header needs at least 20 bytes, had 0"),
    ("45*65536", "packet of 65536 bytes, at most 65535 are accepted"),
    ("54 00*40", "ip version at byte 0 is 5, want 4 or 6"),
    ("00", "ip version at byte 0 is 0, want 4 or 6"),
    // IPv4's header.
    ("45", "ipv4 header at byte 0: needed 20 bytes, had 1"),
    ("45 00*18", "ipv4 header at byte 0: needed 20 bytes, had 19"),
    ("44 00*19", "ipv4 header length at byte 0 is 4 words, needed at least 5"),
    ("46 00*22", "ipv4 header at byte 0: needed 24 bytes, had 23"),
    ("4f 00*19", "ipv4 header at byte 0: needed 60 bytes, had 20"),
    ("4500 001c 0000 4000 4011 26ba 4>", "ipv4 checksum at byte 10 is 0x26ba, want 0x26bb"),
    (
        "4500 0013 0000 4000 4011 26c4 4>",
        "ipv4 total length at byte 2: needed 20 bytes for the header, had 19",
    ),
    ("4500 001c 0000 4000 4011 26bb 4> 00*7", "ipv4 packet length: needed 28 bytes, had 27"),
    // IPv6's headers.
    ("60 00*38", "ipv6 header at byte 0: needed 40 bytes, had 39"),
    ("60000000 0009 1140 6> 00*8", "ipv6 packet length: needed 49 bytes, had 48"),
    ("60000000 ffff 1140 6>", "ipv6 packet length: needed 65575 bytes, had 40"),
    ("60000000 0000 0040 6>", "ipv6 extension header at byte 40: needed 8 bytes, had 0"),
    ("60000000 0008 3c40 6> 1101 00*6", "ipv6 extension header at byte 40: needed 16 bytes, had 8"),
    (
        "60000000 000c 3340 6> 1102 00*10",
        "ipv6 extension header at byte 40: needed 16 bytes, had 12",
    ),
    (
        "60000000 0048 3c40 6> 3c00000000000000*9",
        "ipv6 extension header at byte 104: at most 8 may come before it",
    ),
    (
        "60000000 0808 3c40 6> 3cff 00*2046 1100 00*6",
        "ipv6 extension headers of 2056 bytes, at most 2048 accepted",
    ),
    (
        "60000000 0010 2c40 6> 2c00 0000 00000001 1100 0000 00000001",
        "ipv6 fragment header at byte 48: it is the second, at most one may occur",
    ),
    (
        "60000000 0010 3c40 6> 0000 00*6 1100 00*6",
        "ipv6 hop-by-hop options at byte 48, may only be at byte 40",
    ),
    // Fragments.
    (
        "4500 001d 0000 2000 4011 46ba 4> 00*9",
        "ipv4 fragment of 9 bytes, want a multiple of 8 when more follow",
    ),
    (
        "4500 001c 0000 1ffe 4011 46bd 4> 00*8",
        "ipv4 fragment ends at byte 65548 of the original packet, at most 65535",
    ),
    (
        "60000000 000f 2c40 6> 1100 0009 00000001 00*7",
        "ipv6 fragment of 7 bytes, want a multiple of 8 when more follow",
    ),
    (
        "60000000 0010 2c40 6> 1100 fff8 00000001 00*8",
        "ipv6 fragment ends at byte 65576 of the original packet, at most 65535",
    ),
    // UDP.
    (
        "4500 001b 0000 4000 4011 26bc 4> 03e8 07d0 0007 00",
        "udp header at byte 20: needed 8 bytes, had 7",
    ),
    (
        "4500 001c 0000 4000 4011 26bb 4> 03e8 07d0 0007 0000",
        "udp length at byte 24 is 7, want 8 to 8",
    ),
    (
        "4500 001c 0000 4000 4011 26bb 4> 03e8 07d0 0009 0000",
        "udp length at byte 24 is 9, want 8 to 8",
    ),
    (
        "4500 001c 0000 4000 4011 26bb 4> 03e8 07d0 0008 e00e",
        "udp checksum at byte 26 is 0xe00e, want 0xe00f",
    ),
    ("60000000 0008 1140 6> 03e8 07d0 0008 fa02", "udp checksum at byte 46 is 0xfa02, want 0xfa01"),
    (
        "60000000 0008 1140 6> 03e8 07d0 0008 0000",
        "udp checksum at byte 46 is absent, over ipv6 it is required",
    ),
    // A first fragment too small for the header that the rules of a VPC look at (RFC 1858).
    ("60000000 0008 2c40 6> 1100 0001 00000001", "udp header at byte 48: needed 8 bytes, had 0"),
    // TCP.
    (
        "4500 0027 0000 4000 4006 26bb 4> 00*12 50 00*6",
        "tcp header at byte 20: needed 20 bytes, had 19",
    ),
    (
        "4500 0028 0000 4000 4006 26ba 4> 00*12 40 00*7",
        "tcp data offset at byte 32 is 4 words, needed at least 5",
    ),
    (
        "4500 0028 0000 4000 4006 26ba 4> 00*12 60 00*7",
        "tcp header at byte 20: needed 24 bytes, had 20",
    ),
    (
        "4500 0028 0000 4000 4006 26ba 4> 03e8 07d0 00000001 00000000 5002 ffff 0000 0000",
        "tcp checksum at byte 36 is 0x0000, want 0x9013",
    ),
    // ICMP and ICMPv6.
    (
        "4500 001b 0000 4000 4001 26cc 4> 0800 f7f5 0007 00",
        "icmp header at byte 20: needed 8 bytes, had 7",
    ),
    (
        "4500 001c 0000 4000 4001 26cb 4> 0800 ffff 0007 0003",
        "icmp checksum at byte 22 is 0xffff, want 0xf7f5",
    ),
    ("60000000 0007 3a40 6> 8000 858e 0007 00", "icmpv6 header at byte 40: needed 8 bytes, had 7"),
    (
        "60000000 0008 3a40 6> 8000 f7f5 0007 0003",
        "icmpv6 checksum at byte 42 is 0xf7f5, want 0x858e",
    ),
];

fn malformed(text: &str) -> Malformed {
    let text = text.replace("4>", ENDS_V4).replace("6>", ENDS_V6);
    match parse(hex(&text)) {
        Err(malformed) => malformed,
        Ok(packet) => panic!("accepted {text} as {packet:?}"),
    }
}

#[test]
fn every_complaint_says_what_where_and_how_much() {
    for (bytes, want) in ROWS {
        assert_eq!(malformed(bytes).to_string(), *want, "{bytes}");
    }
}

/// A new cause fails to compile here until it has a name, and fails the test until it has a row.
#[test]
fn every_cause_has_a_row() {
    const CAUSES: [&str; 17] = [
        "empty",
        "too long",
        "version",
        "truncated",
        "header length",
        "total length",
        "incomplete",
        "checksum",
        "checksum absent",
        "udp length",
        "data offset",
        "extensions too many",
        "extensions too long",
        "fragment twice",
        "hop-by-hop",
        "fragment length",
        "fragment end",
    ];
    let cause = |malformed| match malformed {
        Malformed::Empty => 0,
        Malformed::TooLong { .. } => 1,
        Malformed::Version { .. } => 2,
        Malformed::Truncated { .. } => 3,
        Malformed::HeaderLength { .. } => 4,
        Malformed::TotalLength { .. } => 5,
        Malformed::Incomplete { .. } => 6,
        Malformed::Checksum { .. } => 7,
        Malformed::ChecksumAbsent { .. } => 8,
        Malformed::UdpLength { .. } => 9,
        Malformed::DataOffset { .. } => 10,
        Malformed::ExtensionsTooMany { .. } => 11,
        Malformed::ExtensionsTooLong { .. } => 12,
        Malformed::FragmentTwice { .. } => 13,
        Malformed::HopByHopNotFirst { .. } => 14,
        Malformed::FragmentLength { .. } => 15,
        Malformed::FragmentEnd { .. } => 16,
    };
    let mut shown = [false; CAUSES.len()];
    for (bytes, _) in ROWS {
        shown[cause(malformed(bytes))] = true;
    }
    let missing: Vec<_> =
        CAUSES.iter().zip(shown).filter(|(_, shown)| !shown).map(|(cause, _)| cause).collect();
    assert!(missing.is_empty(), "no row shows {missing:?}");
}

/// The rows for checksums are one bit away from a packet, not broken in some other way too.
#[test]
fn a_wrong_checksum_is_the_only_fault_of_its_row() {
    let mut seen = 0;
    for (text, want) in ROWS.iter().filter(|(_, want)| want.contains("checksum at byte")) {
        let Malformed::Checksum { header, offset, computed, .. } = malformed(text) else {
            continue;
        };
        let mut bytes = hex(&text.replace("4>", ENDS_V4).replace("6>", ENDS_V6));
        bytes[offset..offset + 2].copy_from_slice(&computed.to_be_bytes());
        seen += 1;
        // The row about IPv4's own checksum ends with the header.
        assert_eq!(parse(bytes).is_ok(), header != Header::Ipv4, "{want}");
    }
    assert_eq!(seen, 6);
}
