//! What an ICMP error tells: the packet it is about, as far as it is quoted, and the MTU.
//!
//! Holds the reading of quotes, which are packets cut short, and where the fields of a header stand
//! in a packet and in a quote alike. Refuses to judge whether an error is to be believed: that
//! takes the flows of whoever receives it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::extension::{Chain, FIXED};
use super::{Echo, EchoKind, Family, FlowKey, Icmp, Packet, Protocol};

/// What is known of the packet that an ICMP error quotes. Nothing of it was verified: whoever sends
/// errors can write what it likes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Quoted {
    /// Its flow, in the direction in which it went. Ports are 0 where there are none, as in
    /// [`Packet::flow`], and where the quote ends before them.
    pub flow: FlowKey,
    /// The echo message, if it is one and the quote goes that far.
    pub echo: Option<Echo>,
    /// TCP's sequence number, if it is a segment and the quote goes that far (RFC 5927, 4.1: by
    /// which a host tells an error from a forged one).
    pub sequence: Option<u32>,
}

/// What `packet` says about another; `None` if it is no ICMP error or quotes no header in full.
///
/// Both families' errors quote packets of their own family only. Costs no allocation.
pub fn quoted(packet: &Packet) -> Option<Quoted> {
    let head = Head::quoted(packet)?;
    let bytes = packet.bytes();
    let [source_port, destination_port] = head.ports(bytes).unwrap_or_default();
    Some(Quoted {
        flow: FlowKey {
            source: head.source(bytes)?,
            destination: head.destination(bytes)?,
            protocol: head.protocol,
            source_port,
            destination_port,
        },
        echo: head.echo(bytes),
        sequence: head.tcp_sequence(bytes),
    })
}

/// The MTU in bytes of the link that the quoted packet did not fit, as an ICMP "fragmentation
/// needed" (RFC 1191, 4) or ICMPv6 "packet too big" (RFC 4443, 3.2) tells it; at most 65,535, as no
/// packet is longer.
///
/// `None` for everything else, and if it is 0: what routers before RFC 1191 say, who do not tell.
/// Any other value is returned, also one below all that links have; hosts keep floors (RFC 8201,
/// 4).
pub fn mtu_told(packet: &Packet) -> Option<u16> {
    let at = usize::from(packet.layout().transport);
    let mtu = match (packet.family(), packet.icmp()?) {
        (Family::V4, Icmp { kind: 3, code: 4 }) => {
            u32::from(u16::from_be_bytes(chunk(packet.bytes(), at + 6)?))
        }
        // The code is to be ignored.
        (Family::V6, Icmp { kind: 2, .. }) => u32::from_be_bytes(chunk(packet.bytes(), at + 4)?),
        _ => return None,
    };
    (mtu != 0).then(|| u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// Where the parts of an accepted or a quoted packet are, among the bytes of a packet.
pub(super) struct Head {
    pub(super) family: Family,
    /// Where its IP header begins.
    pub(super) ip: usize,
    pub(super) protocol: Protocol,
    /// Where its transport header begins, or would; possibly behind `end`.
    transport: usize,
    /// Where it ends, or the part of it that is there.
    end: usize,
    /// Is it a fragment other than the first, so that it has no transport header?
    later: bool,
    /// Is the address in its header the one that its transport checksum covers?
    pub(super) destination_is_final: bool,
}

impl Head {
    /// That of `packet` itself.
    pub(super) fn of(packet: &Packet) -> Head {
        let transport = usize::from(packet.layout().transport);
        let has_chain = packet.family() == Family::V6 && transport > FIXED;
        Head {
            family: packet.family(),
            ip: 0,
            protocol: packet.protocol(),
            transport,
            end: packet.len(),
            later: packet.is_later_fragment(),
            destination_is_final: !(has_chain && Chain::new(packet.bytes()).end().segments_left),
        }
    }

    /// That of the packet that `packet`, an ICMP error, quotes. Both addresses are there.
    pub(super) fn quoted(packet: &Packet) -> Option<Head> {
        let family = packet.family();
        packet.icmp().filter(|icmp| icmp.quotes(family))?;
        let quote = packet.payload();
        let ip = usize::from(packet.layout().payload);
        let first = quote.first()?;
        match family {
            Family::V4 => {
                let head: &[u8; 20] = quote.first_chunk().filter(|_| first >> 4 == 4)?;
                let header_len = usize::from(first & 0x0f) * 4;
                let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
                (header_len >= head.len()).then(|| Head {
                    family,
                    ip,
                    protocol: Protocol(head[9]),
                    transport: ip + header_len,
                    end: ip + quote.len().min(total),
                    later: u16::from_be_bytes([head[6], head[7]]) & 0x1fff != 0,
                    destination_is_final: true,
                })
            }
            Family::V6 => {
                let head: &[u8; FIXED] = quote.first_chunk().filter(|_| first >> 4 == 6)?;
                let total = FIXED + usize::from(u16::from_be_bytes([head[4], head[5]]));
                let quote = quote.get(..total).unwrap_or(quote);
                let chain = Chain::new(quote).end();
                Some(Head {
                    family,
                    ip,
                    protocol: chain.protocol,
                    transport: ip + chain.at,
                    end: ip + quote.len(),
                    later: chain.later,
                    destination_is_final: !chain.segments_left,
                })
            }
        }
    }

    /// Where source and destination stand.
    pub(super) const fn addresses_at(&self) -> [usize; 2] {
        match self.family {
            Family::V4 => [self.ip + 12, self.ip + 16],
            Family::V6 => [self.ip + 8, self.ip + 24],
        }
    }

    /// Where the sender's and the receiver's port stand, if they are there. An echo message has its
    /// identifier in the place of the asking side's port.
    pub(super) fn ports_at(&self, bytes: &[u8]) -> [Option<usize>; 2] {
        if self.protocol.has_ports() {
            [0, 2].map(|offset| self.transport_field(offset, 2))
        } else {
            let ident = self.transport_field(4, 2);
            match self.echo(bytes).map(|echo| echo.kind) {
                Some(EchoKind::Request) => [ident, None],
                Some(EchoKind::Reply) => [None, ident],
                None => [None, None],
            }
        }
    }

    /// Where the transport checksum stands, if it is known and there.
    pub(super) fn checksum_at(&self) -> Option<usize> {
        let offset = match self.protocol {
            Protocol::TCP => 16,
            Protocol::UDP => 6,
            _ if self.is_icmp() => 2,
            _ => return None,
        };
        self.transport_field(offset, 2)
    }

    /// Does the transport checksum cover the addresses? Of those known, all but ICMP's do.
    pub(super) fn covers_addresses(&self) -> bool {
        self.protocol != Protocol::ICMP
    }

    /// Does it carry the ICMP of its family?
    fn is_icmp(&self) -> bool {
        self.protocol == Protocol::icmp_of(self.family)
    }

    fn source(&self, bytes: &[u8]) -> Option<IpAddr> {
        self.address(bytes, self.addresses_at()[0])
    }

    fn destination(&self, bytes: &[u8]) -> Option<IpAddr> {
        self.address(bytes, self.addresses_at()[1])
    }

    fn address(&self, bytes: &[u8], at: usize) -> Option<IpAddr> {
        Some(match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::from(chunk::<4>(bytes, at)?)),
            Family::V6 => IpAddr::V6(Ipv6Addr::from(chunk::<16>(bytes, at)?)),
        })
    }

    fn ports(&self, bytes: &[u8]) -> Option<[u16; 2]> {
        let at = self.transport_field(0, 4).filter(|_| self.protocol.has_ports())?;
        let [a, b, c, d] = chunk(bytes, at)?;
        Some([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])])
    }

    fn echo(&self, bytes: &[u8]) -> Option<Echo> {
        let at = self.transport_field(0, 8).filter(|_| self.is_icmp())?;
        let [kind, code, _, _, i, j, s, t] = chunk(bytes, at)?;
        let kind = EchoKind::of(Icmp { kind, code }, self.family)?;
        Some(Echo { kind, ident: u16::from_be_bytes([i, j]), seq: u16::from_be_bytes([s, t]) })
    }

    fn tcp_sequence(&self, bytes: &[u8]) -> Option<u32> {
        let at = self.transport_field(4, 4).filter(|_| self.protocol == Protocol::TCP)?;
        chunk(bytes, at).map(u32::from_be_bytes)
    }

    /// Where `length` bytes at `offset` of the transport header stand, if they are there.
    fn transport_field(&self, offset: usize, length: usize) -> Option<usize> {
        let at = self.transport + offset;
        (!self.later && at + length <= self.end).then_some(at)
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
