//! Level 1: the bytes of a packet. The only folder that names etherparse.
//!
//! A [`Packet`] is an *accepted* packet: [`Packet::parse`] is the one way to get one, so whoever
//! holds one may rely on what was checked there, and no accessor can fail. Bytes that do not make a
//! packet are a [`Malformed`], which says where and by how much. Nothing here panics on any input.
//! Refuses to know what an address means, to decide where a packet goes, and to keep state between
//! packets, but for the one thing that is made of several: [`Reassembly`].
//!
//! | what for | start at |
//! |---|---|
//! | read | [`Packet::parse`], [`Packet::flow`]; filters: [`Packet::transport`] |
//! | write: traffic, answers, ICMP errors | [`build`] |
//! | cut up and put together | [`fragment()`], [`fragment_v6`], [`Reassembly`] |
//! | change on the way: translation, hop limit | [`readdress`], [`lower_hop_limit`], [`clear_dont_fragment`] |
//! | finish what a host has left to its card | [`Packet::parse_offloaded`], [`carried_out`] |
//! | understand and translate ICMP errors | [`quoted`], [`mtu_told`], [`readdress_quoted`] |
//!
//! # What is checked, in this order
//!
//! | layer | refused | not looked at |
//! |---|---|---|
//! | input | no bytes; more than [`PACKET_BYTES_MAX`]; a version other than 4 and 6 | bytes behind the IP length (kept for captures) |
//! | IPv4 | header cut short or below 20 bytes, bad checksum, length below the header or beyond the bytes | contents of options, reserved flag, hop limit 0 |
//! | IPv6 | header cut short, length beyond the bytes; more or longer extension headers than [`IPV6_EXTENSIONS_MAX`] and [`IPV6_EXTENSION_BYTES_MAX`], two fragment headers, hop-by-hop options out of place | contents of extension headers, flow label; transport checksums behind a routing header with segments left, as they cover an address that is not at hand |
//! | fragments | not a multiple of 8 bytes though more follow, or ending beyond the longest packet | transport checksums; everything above IP in all but the first |
//! | UDP | header cut short, length below 8 or beyond the packet, bad checksum, over IPv6 a missing one | bytes between UDP length and IP length |
//! | TCP | header cut short or below 20 bytes, bad checksum | contents of options, odd combinations of flags |
//! | ICMP, ICMPv6 | header cut short, bad checksum | unknown types and codes |
//! | other protocols | nothing | everything: they have no ports |
//!
//! The first rule broken is the one reported. The parser reads by hand, for its speed and its
//! errors; etherparse builds packets, and is the parser's judge in the tests.
//!
//! # What a flipped bit can do
//!
//! One wrong bit in a whole packet with its checksums is always noticed, except where nothing
//! covers it (IPv6's traffic class, flow label and hop limit) or where it changes what is covered:
//! the version, IPv4's header length, IPv6's payload length and next header, UDP's length, and over
//! IPv4 a UDP checksum that becomes 0, "none". Of the latter most are noticed, but not all can be.
//! `tests/properties.rs` holds the list against every bit of random packets.
//!
//! # Example
//!
//! ```
//! use vpclab::wire::{Header, Malformed, Packet, build};
//!
//! let datagram = build::udp("10.1.0.10:40000".parse()?, "10.2.0.10:9".parse()?, b"hello")?;
//! assert_eq!(datagram.flow().to_string(), "10.1.0.10:40000 > 10.2.0.10:9 udp");
//! assert_eq!(datagram.summary().to_string(), "udp, 33 bytes");
//!
//! let cut = Packet::parse(datagram.bytes().slice(..25));
//! assert_eq!(cut, Err(Malformed::Incomplete { header: Header::Ipv4, needed: 33, had: 25 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`PACKET_BYTES_MAX`]: crate::base::limit::PACKET_BYTES_MAX
//! [`IPV6_EXTENSIONS_MAX`]: crate::base::limit::IPV6_EXTENSIONS_MAX
//! [`IPV6_EXTENSION_BYTES_MAX`]: crate::base::limit::IPV6_EXTENSION_BYTES_MAX

pub mod build;
mod checksum;
mod describe;
mod draft;
mod extension;
mod flow;
mod fragment;
mod malformed;
mod offload;
mod packet;
mod parse;
mod protocol;
mod quote;
mod reassembly;
mod rewrite;
#[cfg(test)]
mod tests;
mod view;

pub use describe::describe;
pub use flow::FlowKey;
pub use fragment::{CannotFragment, fragment, fragment_v6};
pub use malformed::{Header, Malformed};
pub use offload::{Offload, Places, SEGMENT_PAYLOAD_MIN, carried_out};
pub use packet::Packet;
pub use protocol::{
    Echo, EchoKind, Family, Fragment, FragmentPlace, Icmp, Protocol, TcpFlags, TcpSegment,
    Transport,
};
pub use quote::{Quoted, mtu_told, quoted};
pub use reassembly::{Expired, Offered, Reassembly, ReassemblyError};
pub use rewrite::{
    Change, clamp_mss, clear_dont_fragment, lower_hop_limit, readdress, readdress_quoted,
    with_tcp_header,
};
pub use view::{Cut, Flow, Head, View};
