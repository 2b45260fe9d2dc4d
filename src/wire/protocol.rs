//! The vocabulary of headers: address family, protocol number, ICMP and TCP fields.
//!
//! Holds small values and how they print. Refuses to hold bytes or offsets.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Which Internet protocol a packet or an address belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4 (RFC 791).
    V4,
    /// IPv6 (RFC 8200).
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The name used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }

    /// The name as it stands in a sentence.
    pub const fn title(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }

    /// The family with this name.
    pub fn from_name(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A protocol number as IANA assigns them: IPv4's protocol, IPv6's next header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Protocol(
    /// The number.
    pub u8,
);

impl Protocol {
    /// The control messages of IPv4 (RFC 792).
    pub const ICMP: Protocol = Protocol(1);
    /// RFC 9293.
    pub const TCP: Protocol = Protocol(6);
    /// RFC 768.
    pub const UDP: Protocol = Protocol(17);
    /// The control messages of IPv6 (RFC 4443).
    pub const ICMPV6: Protocol = Protocol(58);
    /// IPv6: nothing follows (RFC 8200, 4.7).
    pub const NO_NEXT_HEADER: Protocol = Protocol(59);

    /// The control messages of `family`.
    pub const fn icmp_of(family: Family) -> Protocol {
        match family {
            Family::V4 => Protocol::ICMP,
            Family::V6 => Protocol::ICMPV6,
        }
    }

    /// Does a packet of this protocol carry ports? Only TCP and UDP do, as far as the rules of a
    /// VPC can tell: these are the protocols for which they take a port range.
    pub const fn has_ports(self) -> bool {
        matches!(self, Protocol::TCP | Protocol::UDP)
    }
}

/// The name in lower case for the protocols that occur in practice, else `protocol 200`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Protocol::ICMP => "icmp",
            Protocol::TCP => "tcp",
            Protocol::UDP => "udp",
            Protocol::ICMPV6 => "icmpv6",
            Protocol(2) => "igmp",
            Protocol(47) => "gre",
            Protocol(50) => "esp",
            Protocol(51) => "ah",
            Protocol(132) => "sctp",
            Protocol(number) => return write!(f, "protocol {number}"),
        })
    }
}

/// Where in the original packet a fragment lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FragmentPlace {
    /// At its beginning: the only fragment with a transport header, and so with ports.
    First,
    /// Neither at its beginning nor at its end.
    Middle,
    /// At its end.
    Last,
}

impl FragmentPlace {
    /// The place that offset and flag of a header describe: `None` if the packet is whole, as is
    /// one with IPv6's fragment header that is both its first and its last fragment (RFC 6946).
    pub(super) const fn of(offset: u16, more_follow: bool) -> Option<FragmentPlace> {
        match (offset, more_follow) {
            (0, false) => None,
            (0, true) => Some(FragmentPlace::First),
            (_, true) => Some(FragmentPlace::Middle),
            (_, false) => Some(FragmentPlace::Last),
        }
    }
}

/// What makes a packet a fragment (RFC 791, 3.2; RFC 8200, 4.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fragment {
    /// Which packet it is from, among those of one source, destination and (IPv4) protocol:
    /// 16 bits in IPv4, 32 in IPv6.
    pub identification: u32,
    /// How many bytes of the original packet's payload lie before it, a multiple of 8.
    pub offset: u16,
    /// Whether some lie before it, behind it, or both.
    pub place: FragmentPlace,
}

/// The first two bytes of an ICMP or ICMPv6 message. The numbers mean different things in the two
/// families.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Icmp {
    /// The kind of message.
    pub kind: u8,
    /// What it says within its kind.
    pub code: u8,
}

impl Icmp {
    /// Does the message, seen in `family`, report an error? Nobody may answer one with another
    /// (RFC 1122, 3.2.2, which lists the types; RFC 4443, 2.1: below 128).
    pub const fn is_error(self, family: Family) -> bool {
        match family {
            Family::V4 => matches!(self.kind, 3 | 4 | 5 | 11 | 12),
            Family::V6 => self.kind < 128,
        }
    }

    /// Does the message, seen in `family`, quote the beginning of a packet behind its header of 8
    /// bytes? So do the errors that are defined; of others nobody knows.
    pub(super) const fn quotes(self, family: Family) -> bool {
        match family {
            Family::V4 => self.is_error(family),
            Family::V6 => matches!(self.kind, 1..=4),
        }
    }
}

/// What a packet shows of the layer above IP: all that a filter can go by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// TCP or UDP, whole or its first fragment.
    Ports {
        /// The sender's.
        source: u16,
        /// The receiver's.
        destination: u16,
    },
    /// ICMP of the packet's own family, whole or its first fragment.
    Icmp(Icmp),
    /// A fragment other than the first: only the protocol is known.
    Later,
    /// A protocol without ports, and ICMP of the other family.
    Other,
}

/// One of the two echo messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EchoKind {
    /// The question: type 8 (RFC 792), over IPv6 type 128 (RFC 4443, 4.1).
    Request,
    /// The answer: type 0, over IPv6 type 129 (RFC 4443, 4.2).
    Reply,
}

impl EchoKind {
    /// The kind of echo that ICMP in `family` means by `icmp`; `None` for every other message.
    pub(super) const fn of(icmp: Icmp, family: Family) -> Option<EchoKind> {
        match (family, icmp.kind, icmp.code) {
            (Family::V4, 8, 0) | (Family::V6, 128, 0) => Some(EchoKind::Request),
            (Family::V4, 0, 0) | (Family::V6, 129, 0) => Some(EchoKind::Reply),
            _ => None,
        }
    }
}

impl fmt::Display for EchoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            EchoKind::Request => "echo request",
            EchoKind::Reply => "echo reply",
        })
    }
}

/// An echo message without its data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Echo {
    /// Question or answer.
    pub kind: EchoKind,
    /// Whose question it is, chosen by the sender and returned in the answer.
    pub ident: u16,
    /// Which of its questions it is.
    pub seq: u16,
}

/// The control bits of a TCP segment (RFC 9293, 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct TcpFlags(
    /// The bits as they stand in the header's byte 13.
    pub u8,
);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: TcpFlags = TcpFlags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: TcpFlags = TcpFlags(0x02);
    /// Reset the connection.
    pub const RST: TcpFlags = TcpFlags(0x04);
    /// Hand the data to the application at once.
    pub const PSH: TcpFlags = TcpFlags(0x08);
    /// The acknowledgement number counts.
    pub const ACK: TcpFlags = TcpFlags(0x10);
    /// The urgent pointer counts.
    pub const URG: TcpFlags = TcpFlags(0x20);
    /// Congestion was met on the way (RFC 3168).
    pub const ECE: TcpFlags = TcpFlags(0x40);
    /// The sender has slowed down (RFC 3168).
    pub const CWR: TcpFlags = TcpFlags(0x80);

    const NAMES: [(TcpFlags, &'static str); 8] = [
        (TcpFlags::SYN, "syn"),
        (TcpFlags::FIN, "fin"),
        (TcpFlags::RST, "rst"),
        (TcpFlags::PSH, "psh"),
        (TcpFlags::ACK, "ack"),
        (TcpFlags::URG, "urg"),
        (TcpFlags::ECE, "ece"),
        (TcpFlags::CWR, "cwr"),
    ];

    /// Are all of `flags` set?
    pub const fn contains(self, flags: TcpFlags) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// How many sequence numbers a segment with these flags and as much data takes: its data, one
    /// for SYN and one for FIN (RFC 9293, 3.4).
    pub fn sequence_length(self, data: usize) -> u32 {
        let data = u32::try_from(data).unwrap_or(u32::MAX);
        let controls =
            [TcpFlags::SYN, TcpFlags::FIN].into_iter().filter(|flag| self.contains(*flag));
        controls.fold(data, |length, _| length.wrapping_add(1))
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = TcpFlags;
    fn bitor(self, other: TcpFlags) -> TcpFlags {
        TcpFlags(self.0 | other.0)
    }
}

/// The names of the flags that are set, `+` between them: `syn+ack`; `no flags` if there are none.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == TcpFlags::default() {
            return f.write_str("no flags");
        }
        let mut between = "";
        for (flag, name) in TcpFlags::NAMES {
            if self.contains(flag) {
                write!(f, "{between}{name}")?;
                between = "+";
            }
        }
        Ok(())
    }
}

/// What a TCP header says besides its ports (RFC 9293, 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TcpSegment {
    /// The control bits.
    pub flags: TcpFlags,
    /// The number of the first byte of data, or of the SYN.
    pub sequence: u32,
    /// The number of the byte expected next; counts only with [`TcpFlags::ACK`].
    pub acknowledgement: u32,
    /// How much more the sender takes, in units that both sides agreed on in their SYNs; bytes if
    /// they did not (RFC 7323, 2).
    pub window: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_in_a_fixed_order() {
        for (flags, text) in [
            (TcpFlags::SYN, "syn"),
            (TcpFlags::ACK | TcpFlags::SYN, "syn+ack"),
            (TcpFlags(0xff), "syn+fin+rst+psh+ack+urg+ece+cwr"),
            (TcpFlags::default(), "no flags"),
        ] {
            assert_eq!(flags.to_string(), text);
        }
    }

    #[test]
    fn protocols_without_a_name_print_their_number() {
        assert_eq!(Protocol::ICMPV6.to_string(), "icmpv6");
        assert_eq!(Protocol(200).to_string(), "protocol 200");
        assert_eq!(format!("{:>6}", Protocol::UDP), "   udp");
    }

    #[test]
    fn echo_types_differ_between_the_families() {
        use EchoKind::{Reply, Request};
        for (family, kind, code, want) in [
            (Family::V4, 8, 0, Some(Request)),
            (Family::V4, 0, 0, Some(Reply)),
            (Family::V6, 128, 0, Some(Request)),
            (Family::V6, 129, 0, Some(Reply)),
            (Family::V6, 8, 0, None),
            (Family::V4, 128, 0, None),
            (Family::V4, 8, 1, None),
        ] {
            assert_eq!(EchoKind::of(Icmp { kind, code }, family), want, "{family} {kind}/{code}");
        }
    }
}
