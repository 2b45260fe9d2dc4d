//! What a router says of a packet that was too long for it.
//!
//! Holds the reader of that message; [`build::too_big`](super::build::too_big) writes it. Refuses to
//! judge whether it is to be believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Family, FlowKey, Icmp, Packet, Protocol};

/// "Fragmentation needed" (RFC 792, type 3 code 4; RFC 1191, 4) or "packet too big" (RFC 4443, 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig {
    /// The longest packet that the next link takes, in bytes. 0 if an old router does not say.
    pub mtu: u32,
    /// The flow of the packet that was too long.
    pub quoted: FlowKey,
    /// Its sequence number, if it was TCP.
    pub sequence: Option<u32>,
}

impl TooBig {
    /// What `packet` says, if it is such a message and quotes enough of a packet without IPv6
    /// extension headers to know its flow.
    pub fn read(packet: &Packet) -> Option<TooBig> {
        let Icmp { kind, code } = packet.icmp().filter(|_| !packet.is_fragment())?;
        let [.., a, b, c, d] = packet.icmp_header()?;
        let mtu = match (packet.family(), kind, code) {
            (Family::V4, 3, 4) => u32::from(u16::from_be_bytes([c, d])),
            (Family::V6, 2, _) => u32::from_be_bytes([a, b, c, d]),
            _ => return None,
        };
        let (quoted, sequence) = quote(packet.family(), packet.payload())?;
        Some(TooBig { mtu, quoted, sequence })
    }
}

/// The flow and the sequence number of a packet of which only the beginning is there.
fn quote(family: Family, bytes: &[u8]) -> Option<(FlowKey, Option<u32>)> {
    let version = bytes.first()? >> 4;
    let (source, destination, protocol, rest) = match (family, version) {
        (Family::V4, 4) => {
            let head: &[u8; 20] = bytes.first_chunk()?;
            let [source, destination]: [IpAddr; 2] = [12, 16]
                .map(|at| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]).into());
            // A later fragment has no ports.
            if u16::from_be_bytes([head[6], head[7]]) & 0x1fff != 0 {
                return None;
            }
            let header = usize::from(head[0] & 0x0f) * 4;
            (source, destination, Protocol(head[9]), bytes.get(header.max(head.len())..)?)
        }
        (Family::V6, 6) => {
            let (head, rest) = bytes.split_first_chunk::<40>()?;
            let address = |at: usize| {
                let octets = head.get(at..).and_then(<[u8]>::first_chunk::<16>)?;
                Some(IpAddr::V6(Ipv6Addr::from(*octets)))
            };
            (address(8)?, address(24)?, Protocol(head[6]), rest)
        }
        _ => return None,
    };
    let [source_port, destination_port] = if protocol.has_ports() {
        let [a, b, c, d] = *rest.first_chunk()?;
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    } else {
        [0, 0]
    };
    let number =
        rest.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_be_bytes(*bytes));
    let sequence = number.filter(|_| protocol == Protocol::TCP);
    Some((FlowKey { source, destination, protocol, source_port, destination_port }, sequence))
}
