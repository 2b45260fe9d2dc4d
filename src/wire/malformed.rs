//! Why bytes are not a packet: one variant per cause, with the numbers that show it.
//!
//! Holds the causes and their text. Refuses to hold the checks, which are in `parse`, and
//! packets that are fine but unwelcome, which are the forwarder's business.

use std::fmt;

use thiserror::Error;

use crate::base::limit::{IPV6_EXTENSION_BYTES_MAX, IPV6_EXTENSIONS_MAX, PACKET_BYTES_MAX};

/// The header a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Header {
    /// IPv4, with its options.
    Ipv4,
    /// The fixed header of IPv6.
    Ipv6,
    /// An extension header of IPv6.
    Extension,
    /// ICMP.
    Icmp,
    /// ICMPv6.
    Icmpv6,
    /// TCP, with its options.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Header::Ipv4 => "ipv4",
            Header::Ipv6 => "ipv6",
            Header::Extension => "ipv6 extension",
            Header::Icmp => "icmp",
            Header::Icmpv6 => "icmpv6",
            Header::Tcp => "tcp",
            Header::Udp => "udp",
        })
    }
}

/// The first rule that some bytes broke. Offsets count from the first byte of the IP header and
/// point at the field in question; sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Malformed {
    /// There is nothing.
    #[error("empty: an ip header needs at least 20 bytes, had 0")]
    Empty,

    /// More bytes than any IP packet without jumbo payload has.
    #[error("packet of {had} bytes, at most {PACKET_BYTES_MAX} are accepted")]
    TooLong {
        /// How many there are.
        had: usize,
    },

    /// The first half byte is neither 4 nor 6.
    #[error("ip version at byte 0 is {version}, want 4 or 6")]
    Version {
        /// What it is.
        version: u8,
    },

    /// A header begins but does not end within the packet.
    #[error("{header} header at byte {offset}: needed {needed} bytes, had {had}")]
    Truncated {
        /// Which.
        header: Header,
        /// Where it begins.
        offset: usize,
        /// Its size, as far as it is known: the fixed part, or what its length field says.
        needed: usize,
        /// What the packet has from there on.
        had: usize,
    },

    /// IPv4's header length is below the fixed part of the header (RFC 791, 3.1).
    #[error("ipv4 header length at byte 0 is {words} words, needed at least 5")]
    HeaderLength {
        /// In words of 4 bytes.
        words: u8,
    },

    /// IPv4's total length does not even cover the header (RFC 791, 3.1).
    #[error("ipv4 total length at byte 2: needed {needed} bytes for the header, had {claimed}")]
    TotalLength {
        /// What the field says.
        claimed: usize,
        /// The size of the header.
        needed: usize,
    },

    /// The length in the IP header promises more bytes than there are.
    #[error("{header} packet length: needed {needed} bytes, had {had}")]
    Incomplete {
        /// [`Header::Ipv4`] or [`Header::Ipv6`].
        header: Header,
        /// The promised length, header included. Over IPv6 it can pass 65,535.
        needed: usize,
        /// The bytes present.
        had: usize,
    },

    /// A checksum does not fit the bytes it covers (RFC 1071).
    #[error("{header} checksum at byte {offset} is {carried:#06x}, want {computed:#06x}")]
    Checksum {
        /// Whose.
        header: Header,
        /// Where it stands.
        offset: usize,
        /// What it is.
        carried: u16,
        /// What the sender should have written.
        computed: u16,
    },

    /// UDP over IPv6 without a checksum, which only tunnels may omit (RFC 8200, 8.1).
    #[error("udp checksum at byte {offset} is absent, over ipv6 it is required")]
    ChecksumAbsent {
        /// Where it should stand.
        offset: usize,
    },

    /// UDP's length is below its header or beyond the packet (RFC 768).
    #[error("udp length at byte {offset} is {claimed}, want 8 to {room}")]
    UdpLength {
        /// Where it stands.
        offset: usize,
        /// What it is.
        claimed: usize,
        /// What the packet has from the UDP header on. For a first fragment 65,535, as the rest
        /// of the datagram is elsewhere.
        room: usize,
    },

    /// TCP's data offset is below the fixed part of the header (RFC 9293, 3.1).
    #[error("tcp data offset at byte {offset} is {words} words, needed at least 5")]
    DataOffset {
        /// Where it stands.
        offset: usize,
        /// What it is, in words of 4 bytes.
        words: u8,
    },

    /// More extension headers than [`IPV6_EXTENSIONS_MAX`].
    #[error(
        "ipv6 extension header at byte {offset}: at most {IPV6_EXTENSIONS_MAX} may come before it"
    )]
    ExtensionsTooMany {
        /// Where the one too many begins.
        offset: usize,
    },

    /// The extension headers are together longer than [`IPV6_EXTENSION_BYTES_MAX`].
    #[error("ipv6 extension headers of {had} bytes, at most {IPV6_EXTENSION_BYTES_MAX} accepted")]
    ExtensionsTooLong {
        /// Their length up to and with the one that is too much.
        had: usize,
    },

    /// A second fragment header; each header but destination options occurs once (RFC 8200, 4.1).
    #[error("ipv6 fragment header at byte {offset}: it is the second, at most one may occur")]
    FragmentTwice {
        /// Where the second begins.
        offset: usize,
    },

    /// Hop-by-hop options somewhere else than right behind the IPv6 header (RFC 8200, 4.1).
    #[error("ipv6 hop-by-hop options at byte {offset}, may only be at byte 40")]
    HopByHopNotFirst {
        /// Where they begin.
        offset: usize,
    },

    /// More fragments follow, but this one does not end on the 8-byte grid that their offsets
    /// count in (RFC 791, 3.1; RFC 8200, 4.5).
    #[error("{header} fragment of {had} bytes, want a multiple of 8 when more follow")]
    FragmentLength {
        /// [`Header::Ipv4`] or [`Header::Ipv6`].
        header: Header,
        /// The bytes of the original packet that it carries.
        had: usize,
    },

    /// The packet that the fragment is from would be too long (RFC 8200, 4.5).
    #[error(
        "{header} fragment ends at byte {end} of the original packet, at most {PACKET_BYTES_MAX}"
    )]
    FragmentEnd {
        /// [`Header::Ipv4`] or [`Header::Ipv6`].
        header: Header,
        /// Where it would end, headers that every fragment repeats included.
        end: usize,
    },
}
