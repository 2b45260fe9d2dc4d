//! An accepted packet: shared bytes and where its parts are.
//!
//! Holds [`Packet`] and everything one may ask it. Refuses to change a packet, to hold the checks
//! (see `parse`) and to build one (see [`build`](super::build)).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::parse::{self, Layout};
use super::{
    Echo, EchoKind, Family, FlowKey, Fragment, FragmentPlace, Icmp, Malformed, Offload, Protocol,
    TcpFlags, TcpSegment, Transport,
};

/// Bytes that were checked to be an IP packet. The contract is in [`crate::wire`].
///
/// 48 bytes; a clone shares the bytes and costs one atomic increment. Every accessor reads the
/// bytes in place in constant time and cannot fail.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    bytes: Bytes,
    layout: Layout,
}

// What the documentation promises; queues and tables count on it.
const _: () = assert!(size_of::<Packet>() <= 48);

impl Packet {
    /// Takes `bytes`, which begin with an IP header, as a packet.
    ///
    /// Costs a pass over the bytes for the checksums and allocates nothing.
    ///
    /// # Errors
    /// The first rule of [`crate::wire`] that they break.
    pub fn parse(bytes: Bytes) -> Result<Packet, Malformed> {
        let layout = parse::layout(&bytes)?;
        Ok(Packet { bytes, layout })
    }

    /// Takes `bytes` as [`Packet::parse`] does, as a packet that a host has handed to its network card
    /// with `offload` left to do: the transport checksum is not looked at, since it is not right yet.
    /// What no card could do, to segment a datagram or to finish the checksum of an ICMP message, is not
    /// believed to be left: such a packet is taken as it is.
    ///
    /// # Errors
    /// As [`Packet::parse`], but for that checksum.
    pub fn parse_offloaded(bytes: Bytes, offload: Offload) -> Result<Packet, Malformed> {
        let layout = parse::layout_of(&bytes, offload)?;
        if offload.is_some() && !offload.suits(&layout) {
            return Packet::parse(bytes);
        }
        Ok(Packet { bytes, layout })
    }

    /// What is left to be done to it.
    pub const fn offload(&self) -> Offload {
        self.layout.offload
    }

    /// Everything that was parsed, bytes behind the packet's end included: what a capture shows.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The packet's length in bytes according to its IP header, 20..=65,535: what counts against
    /// an MTU, a link's rate and a flow log's bytes.
    #[allow(clippy::len_without_is_empty, reason = "no packet is empty")]
    pub fn len(&self) -> usize {
        usize::from(self.layout.ip_len)
    }

    /// IPv4 or IPv6.
    pub const fn family(&self) -> Family {
        self.layout.family
    }

    /// The address in the source field, whether or not it is the sender's.
    pub fn source(&self) -> IpAddr {
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(self.field::<4>(12))),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(self.field::<16>(8))),
        }
    }

    /// The address in the destination field. An IPv6 routing header does not change it: it is
    /// where the packet goes next.
    pub fn destination(&self) -> IpAddr {
        match self.family() {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(self.field::<4>(16))),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(self.field::<16>(24))),
        }
    }

    /// What the packet carries. In IPv6 the first header that is no extension header; in a later
    /// fragment what the fragment header names.
    pub const fn protocol(&self) -> Protocol {
        self.layout.protocol
    }

    /// IPv4's time to live, IPv6's hop limit. The fabric does not lower it (VPC routers are no hops
    /// that a packet can see; vpc-semantics 3.4), so what arrives is what was sent.
    pub fn hop_limit(&self) -> u8 {
        let [limit] = match self.family() {
            Family::V4 => self.field(8),
            Family::V6 => self.field(7),
        };
        limit
    }

    /// May a router cut the packet into fragments? Never in IPv6 (RFC 8200, 5).
    pub fn may_be_fragmented(&self) -> bool {
        let [flags] = self.field(6);
        self.family() == Family::V4 && flags & 0x40 == 0
    }

    /// Is it a part of a packet?
    pub const fn is_fragment(&self) -> bool {
        self.layout.fragment.is_some()
    }

    /// Which part of which packet it is; `None` if it is whole.
    pub fn fragment(&self) -> Option<Fragment> {
        let place = self.layout.fragment?;
        Some(match self.family() {
            Family::V4 => Fragment {
                identification: u32::from(u16::from_be_bytes(self.field(4))),
                offset: (u16::from_be_bytes(self.field(6)) & 0x1fff) * 8,
                place,
            },
            Family::V6 => {
                let at = usize::from(self.layout.fragment_header);
                Fragment {
                    identification: u32::from_be_bytes(self.field(at + 4)),
                    offset: u16::from_be_bytes(self.field(at + 2)) & 0xfff8,
                    place,
                }
            }
        })
    }

    /// What it shows of the layer above IP.
    pub fn transport(&self) -> Transport {
        if self.is_later_fragment() {
            Transport::Later
        } else if let Some([source, destination]) = self.ports() {
            Transport::Ports { source, destination }
        } else {
            self.icmp().map_or(Transport::Other, Transport::Icmp)
        }
    }

    /// The flow it belongs to. Ports are 0 where there are none, see [`FlowKey`].
    pub fn flow(&self) -> FlowKey {
        let [source_port, destination_port] = self.ports().unwrap_or_default();
        FlowKey {
            source: self.source(),
            destination: self.destination(),
            protocol: self.protocol(),
            source_port,
            destination_port,
        }
    }

    /// Type and code, if it is an ICMP message of its family and has its header.
    pub fn icmp(&self) -> Option<Icmp> {
        let own = Protocol::icmp_of(self.family());
        let [kind, code] = self.field(usize::from(self.layout.transport));
        (self.protocol() == own && !self.is_later_fragment()).then_some(Icmp { kind, code })
    }

    /// The echo message, if it is one (RFC 792; RFC 4443, 4). A code other than 0 makes it
    /// something else.
    pub fn icmp_echo(&self) -> Option<Echo> {
        let kind = EchoKind::of(self.icmp()?, self.family())?;
        let at = usize::from(self.layout.transport);
        let [ident, seq] = [at + 4, at + 6].map(|at| u16::from_be_bytes(self.field(at)));
        Some(Echo { kind, ident, seq })
    }

    /// What its TCP header says, if it has one.
    pub fn tcp(&self) -> Option<TcpSegment> {
        let at = usize::from(self.layout.transport);
        let [flags] = self.field(at + 13);
        (self.protocol() == Protocol::TCP && !self.is_later_fragment()).then(|| TcpSegment {
            flags: TcpFlags(flags),
            sequence: u32::from_be_bytes(self.field(at + 4)),
            acknowledgement: u32::from_be_bytes(self.field(at + 8)),
            window: u16::from_be_bytes(self.field(at + 14)),
        })
    }

    /// The control bits of its TCP header, if it has one.
    pub fn tcp_flags(&self) -> Option<TcpFlags> {
        self.tcp().map(|segment| segment.flags)
    }

    /// The maximum segment size that it tells, if it is a TCP segment with that option
    /// (RFC 9293, 3.2 and 3.7.1).
    pub fn mss(&self) -> Option<u16> {
        self.tcp_option(2).map(|(_, mss)| u16::from_be_bytes(mss))
    }

    /// By how many bits the windows that its sender tells are to be shifted, if it is a TCP segment
    /// with that option (RFC 7323, 2.2): 0..=255, of which more than 14 counts as 14.
    pub fn window_scale(&self) -> Option<u8> {
        self.tcp_option(3).map(|(_, [scale])| scale)
    }

    /// Where the value of a TCP option stands, if it is there and has this length, and the value.
    pub(super) fn tcp_option<const N: usize>(&self, wanted: u8) -> Option<(usize, [u8; N])> {
        self.tcp()?;
        let end = usize::from(self.layout.payload);
        let mut at = usize::from(self.layout.transport) + 20;
        while at < end {
            let [kind, length] = self.field(at);
            let length = match kind {
                0 => return None,
                1 => 1,
                // An option takes two bytes at least, so the loop ends.
                _ => usize::from(length.max(2)),
            };
            if kind == wanted && length == N + 2 && at + length <= end {
                return Some((at + 2, self.field(at + 2)));
            }
            at += length;
        }
        None
    }

    /// The data behind the transport header; behind the IP headers if it has none that is known.
    pub fn payload(&self) -> &[u8] {
        let Layout { payload, payload_end, .. } = self.layout;
        // The parser saw to the order and the range, so the default is never taken.
        self.bytes.get(usize::from(payload)..usize::from(payload_end)).unwrap_or_default()
    }

    /// The data of a UDP datagram that is whole.
    pub fn udp_payload(&self) -> Option<&[u8]> {
        (self.protocol() == Protocol::UDP && !self.is_fragment()).then(|| self.payload())
    }

    /// What it is, in words: `icmp echo request, 84 bytes`. Without addresses and ports, which
    /// [`Packet::flow`] prints.
    pub fn summary(&self) -> impl fmt::Display + '_ {
        Summary(self)
    }

    /// Where its parts are.
    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The packet with other contents in the same places: whoever has kept lengths, kinds and
    /// checksums right saves a pass over the bytes.
    pub(super) fn with_bytes(&self, bytes: Bytes) -> Packet {
        debug_assert_eq!(parse::layout(&bytes), Ok(self.layout));
        Packet { bytes, layout: self.layout }
    }

    /// Is it a fragment that does not begin its packet, so that it has neither ports nor an ICMP
    /// header?
    pub fn is_later_fragment(&self) -> bool {
        matches!(self.layout.fragment, Some(FragmentPlace::Middle | FragmentPlace::Last))
    }

    /// The sender's and the receiver's port, if it carries them.
    fn ports(&self) -> Option<[u16; 2]> {
        let at = usize::from(self.layout.transport);
        (self.protocol().has_ports() && !self.is_later_fragment())
            .then(|| [at, at + 2].map(|at| u16::from_be_bytes(self.field(at))))
    }

    /// The `N` bytes at `at`. Callers ask for bytes that the parser has seen, so the default is
    /// never taken; it stands in for a panic that would have to be argued away.
    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }
}

/// The flow and the summary, for test failures and logs.
impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({}, {})", self.flow(), self.summary())
    }
}

struct Summary<'a>(&'a Packet);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = self.0;
        write!(f, "{}", packet.protocol())?;
        if let Some(echo) = packet.icmp_echo() {
            write!(f, " {}", echo.kind)?;
        } else if let Some(Icmp { kind, code }) = packet.icmp() {
            write!(f, " type {kind} code {code}")?;
        } else if let Some(flags) = packet.tcp_flags() {
            write!(f, " {flags}")?;
        }
        if let Some(fragment) = packet.fragment() {
            write!(f, " fragment at {}", fragment.offset)?;
        }
        write!(f, ", {} bytes", packet.len())
    }
}
