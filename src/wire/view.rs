//! A packet's bytes in place: the accepted packet that owns nothing.
//!
//! Holds [`View`], which [`View::parse`] makes of bytes under the same rules as
//! [`Packet::parse`](super::Packet::parse), and [`Head`], the fields by which most packets are
//! forwarded. Refuses to change bytes, and to answer what few ask: that is the packet's.
//!
//! What is verified, and when: a view is *accepted* when it is made from bytes, checksums over the
//! whole packet included, which costs a pass over it. A view of a packet is not verified again. So a
//! packet is verified once, where it enters the network, and on its way only its header is read:
//! there long packets cost what short ones do.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::parse::{self, Layout};
use super::{Family, Malformed, Packet, Protocol};

/// Bytes that were checked to be an IP packet. The contract is in [`crate::wire`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    layout: Layout,
}

/// The addresses and ports of a packet, or those that an ICMP error quotes.
///
/// For echo messages both ports are the identifier; 0 where there are none. One type for each
/// family: `Flow<Ipv4Addr>` and `Flow<Ipv6Addr>`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow<A> {
    /// Where it comes from.
    pub source: A,
    /// Where it goes.
    pub destination: A,
    /// What it carries.
    pub protocol: Protocol,
    /// The sender's port, or the identifier, or 0.
    pub source_port: u16,
    /// The receiver's port, or the identifier, or 0.
    pub destination_port: u16,
}

/// May a router cut a packet up?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// It may.
    Allowed,
    /// It must drop it instead.
    Forbidden,
}

/// What forwarding reads of a packet that is whole, over IPv4 (`u32`) or IPv6 (`u128`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head<A> {
    /// The address in the source field.
    pub source: A,
    /// The address in the destination field.
    pub destination: A,
    /// The length in bytes according to the header.
    pub length: u16,
    /// What it carries.
    pub protocol: Protocol,
    /// May a router cut it up?
    pub cut: Cut,
}

impl<'a> View<'a> {
    /// Takes `bytes`, which begin with an IP header, as a packet.
    ///
    /// Costs a pass over the bytes for the checksums and allocates nothing.
    ///
    /// # Errors
    /// The first rule of [`crate::wire`] that they break.
    pub fn parse(bytes: &'a [u8]) -> Result<View<'a>, Malformed> {
        let layout = parse::layout(bytes)?;
        Ok(View { bytes, layout })
    }

    /// The bytes and layout of a packet.
    pub(super) const fn new(bytes: &'a [u8], layout: Layout) -> View<'a> {
        View { bytes, layout }
    }

    /// IPv4 or IPv6.
    #[inline]
    pub const fn family(&self) -> Family {
        self.layout.family
    }

    /// The fields by which it is forwarded, if it is IPv4 and no fragment. Reads the first 20 bytes.
    #[inline]
    pub fn head_v4(&self) -> Option<Head<u32>> {
        if self.layout.family != Family::V4 || self.layout.fragment.is_some() {
            return None;
        }
        let header: &[u8; 20] = self.bytes.first_chunk()?;
        let [.., a, b, c, d, e, f, g, h] = *header;
        Some(Head {
            source: u32::from_be_bytes([a, b, c, d]),
            destination: u32::from_be_bytes([e, f, g, h]),
            length: self.layout.ip_len,
            protocol: self.layout.protocol,
            cut: if header[6] & 0x40 == 0 { Cut::Allowed } else { Cut::Forbidden },
        })
    }

    /// The same of an IPv6 packet that is no fragment. Reads the first 40 bytes.
    #[inline]
    pub fn head_v6(&self) -> Option<Head<u128>> {
        if self.layout.family != Family::V6 || self.layout.fragment.is_some() {
            return None;
        }
        let header: &[u8; 40] = self.bytes.first_chunk()?;
        let source: &[u8; 16] = header[8..].first_chunk()?;
        let destination: &[u8; 16] = header[24..].first_chunk()?;
        Some(Head {
            source: u128::from_be_bytes(*source),
            destination: u128::from_be_bytes(*destination),
            length: self.layout.ip_len,
            protocol: self.layout.protocol,
            cut: Cut::Forbidden,
        })
    }

    /// The flow of an IPv4 packet that is whole TCP or UDP.
    #[inline]
    pub fn flow_v4(&self) -> Option<Flow<Ipv4Addr>> {
        let head = self.head_v4()?;
        self.flow(head.source.into(), head.destination.into())
    }

    /// The same of an IPv6 packet.
    #[inline]
    pub fn flow_v6(&self) -> Option<Flow<Ipv6Addr>> {
        let head = self.head_v6()?;
        self.flow(head.source.into(), head.destination.into())
    }

    #[inline]
    fn flow<A>(&self, source: A, destination: A) -> Option<Flow<A>> {
        let protocol = self.layout.protocol;
        let at = usize::from(self.layout.transport);
        let [a, b, c, d] = *self.bytes.get(at..)?.first_chunk()?;
        protocol.has_ports().then_some(Flow {
            source,
            destination,
            protocol,
            source_port: u16::from_be_bytes([a, b]),
            destination_port: u16::from_be_bytes([c, d]),
        })
    }
}

impl Packet {
    /// The packet without its ownership.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View::new(self.bytes(), *self.layout())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use proptest::prelude::*;

    use super::*;
    use crate::base::units::Mtu;
    use crate::wire::{build, clear_dont_fragment, fragment};

    /// What the head says is what the packet says.
    fn check(packet: &Packet) {
        let view = packet.view();
        assert_eq!(view.family(), packet.family());
        let (v4, v6) = (view.head_v4(), view.head_v6());
        let whole = |family| packet.family() == family && !packet.is_fragment();
        assert_eq!([v4.is_some(), v6.is_some()], Family::ALL.map(whole), "{packet:?}");
        let flows = [view.flow_v4().is_some(), view.flow_v6().is_some()];
        let ported = |is_there| is_there && packet.protocol().has_ports();
        assert_eq!(flows, [ported(v4.is_some()), ported(v6.is_some())]);
        let want = packet.flow();
        if let Some(flow) = view.flow_v4() {
            assert_eq!(
                (flow.source.into(), flow.destination.into()),
                (want.source, want.destination)
            );
            check_ports(flow, packet);
        }
        if let Some(flow) = view.flow_v6() {
            assert_eq!(
                (flow.source.into(), flow.destination.into()),
                (want.source, want.destination)
            );
            check_ports(flow, packet);
        }
        if let Some(head) = v4 {
            assert_eq!(IpAddr::from(head.source.to_be_bytes()), packet.source());
            assert_eq!(IpAddr::from(head.destination.to_be_bytes()), packet.destination());
            check_rest(head, packet);
        }
        if let Some(head) = v6 {
            assert_eq!(IpAddr::from(head.source.to_be_bytes()), packet.source());
            assert_eq!(IpAddr::from(head.destination.to_be_bytes()), packet.destination());
            check_rest(head, packet);
        }
    }

    fn check_ports<A>(flow: Flow<A>, packet: &Packet) {
        let want = packet.flow();
        assert_eq!(flow.protocol, want.protocol);
        let ports = (flow.source_port, flow.destination_port);
        assert_eq!(ports, (want.source_port, want.destination_port));
    }

    fn check_rest<A>(head: Head<A>, packet: &Packet) {
        assert_eq!(usize::from(head.length), packet.len());
        assert_eq!(head.protocol, packet.protocol());
        assert_eq!(head.cut == Cut::Allowed, packet.may_be_fragmented());
    }

    proptest! {
        /// Of any bytes, broken ones too, a view and a packet are made alike.
        #[test]
        fn a_view_is_a_packet_that_owns_nothing(
            ends: (u32, u32, u16, u16),
            v6: bool,
            data in prop::collection::vec(any::<u8>(), 0..64),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let address = |n: u32| match v6 {
                false => IpAddr::from(n.to_be_bytes()),
                true => IpAddr::from(u128::from(n).to_be_bytes()),
            };
            let (from, to) = (address(ends.0), address(ends.1));
            let ends = (SocketAddr::new(from, ends.2), SocketAddr::new(to, ends.3));
            let packet = build::udp(ends.0, ends.1, &data).unwrap();
            let mut bytes = packet.bytes().to_vec();
            for (at, flip) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
            let packet = Packet::parse(bytes.clone().into());
            match (View::parse(&bytes), packet) {
                (Ok(view), Ok(packet)) => {
                    prop_assert_eq!(view, packet.view());
                    check(&packet);
                }
                (view, packet) => prop_assert_eq!(view.err(), packet.err()),
            }
        }
    }

    #[test]
    fn a_fragment_has_no_head() {
        let ends = ["10.0.0.4:1", "10.0.0.5:2"].map(|end| end.parse().unwrap());
        let whole = build::udp(ends[0], ends[1], &[7; 2_000]).unwrap();
        let whole = clear_dont_fragment(&whole);
        check(&whole);
        let parts = fragment(&whole, Mtu::ETHERNET, 1).unwrap();
        assert_eq!(parts.len(), 2);
        parts.iter().for_each(check);
    }
}
