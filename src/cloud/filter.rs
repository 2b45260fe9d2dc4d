//! What security groups and network ACLs say about a packet beside its addresses.
//!
//! Holds [`Traffic`] and the one rule by which it matches a packet. Refuses to know addresses, order
//! and state: a group's are in `security_group.rs`, an ACL's in `network_acl.rs`, and what an
//! interface remembers is the forwarder's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wire::{Family, Icmp, Packet, Protocol, Transport};

/// A range of ports, both ends included. Never empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port.
    pub const ALL: PortRange = PortRange { first: 0, last: u16::MAX };

    /// From `first` to `last`; `None` if that is the wrong way round.
    pub const fn new(first: u16, last: u16) -> Option<PortRange> {
        if first <= last { Some(PortRange { first, last }) } else { None }
    }

    /// One port.
    pub const fn one(port: u16) -> PortRange {
        PortRange { first: port, last: port }
    }

    /// Its lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// Its highest port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Is the port one of them?
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl From<PortRange> for (u16, u16) {
    fn from(range: PortRange) -> (u16, u16) {
        (range.first, range.last)
    }
}

impl TryFrom<(u16, u16)> for PortRange {
    type Error = &'static str;
    fn try_from((first, last): (u16, u16)) -> Result<PortRange, &'static str> {
        PortRange::new(first, last).ok_or("a range of ports that ends before it begins")
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// Which ICMP messages: any, those of a type, or those of a type and code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum IcmpMatch {
    /// Every type and code.
    Any,
    /// Every code of this type.
    Type(u8),
    /// This type and code.
    TypeAndCode(u8, u8),
}

impl IcmpMatch {
    fn covers(self, other: IcmpMatch) -> bool {
        match (self, other) {
            (IcmpMatch::Any, _) => true,
            (IcmpMatch::Type(a), IcmpMatch::Type(b) | IcmpMatch::TypeAndCode(b, _)) => a == b,
            (a, b) => a == b,
        }
    }

    const fn matches(self, icmp: Icmp) -> bool {
        match self {
            IcmpMatch::Any => true,
            IcmpMatch::Type(kind) => icmp.kind == kind,
            IcmpMatch::TypeAndCode(kind, code) => icmp.kind == kind && icmp.code == code,
        }
    }
}

/// The traffic that a rule is about (vpc-semantics 3.7, 3.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Traffic {
    /// Every protocol (`-1`).
    All,
    /// TCP to these ports.
    Tcp(PortRange),
    /// UDP to these ports.
    Udp(PortRange),
    /// ICMP over IPv4.
    Icmp(IcmpMatch),
    /// ICMP over IPv6.
    Icmpv6(IcmpMatch),
    /// Another protocol, whole.
    Other(Protocol),
}

impl Traffic {
    /// Does a packet fall under it? Of a later fragment, which carries no ports and no ICMP header,
    /// only what asks for neither is known (vpc-semantics 3.4, our choice).
    pub fn matches(self, packet: &Packet) -> bool {
        self.matches_by(packet, |_, destination| destination)
    }

    /// Would the packet's answer fall under it: the same, with the ports swapped?
    pub fn matches_answer_to(self, packet: &Packet) -> bool {
        self.matches_by(packet, |source, _| source)
    }

    fn matches_by(self, packet: &Packet, port: impl Fn(u16, u16) -> u16) -> bool {
        let protocol = packet.protocol();
        let ports = |wanted: Protocol, range: PortRange| {
            protocol == wanted
                && match packet.transport() {
                    Transport::Ports { source, destination } => {
                        range.contains(port(source, destination))
                    }
                    _ => range == PortRange::ALL,
                }
        };
        let icmp = |wanted: Protocol, family: Family, which: IcmpMatch| {
            protocol == wanted
                && packet.family() == family
                && (which == IcmpMatch::Any
                    || packet.icmp().is_some_and(|icmp| which.matches(icmp)))
        };
        match self {
            Traffic::All => true,
            Traffic::Tcp(range) => ports(Protocol::TCP, range),
            Traffic::Udp(range) => ports(Protocol::UDP, range),
            Traffic::Icmp(which) => icmp(Protocol::ICMP, Family::V4, which),
            Traffic::Icmpv6(which) => icmp(Protocol::ICMPV6, Family::V6, which),
            Traffic::Other(wanted) => protocol == wanted,
        }
    }

    /// Does whatever falls under `other` fall under this too?
    pub fn covers(self, other: Traffic) -> bool {
        use Traffic::{All, Icmp, Icmpv6, Tcp, Udp};
        match (self, other) {
            (All, _) => true,
            (Tcp(a), Tcp(b)) | (Udp(a), Udp(b)) => a.contains(b.first) && a.contains(b.last),
            (Icmp(a), Icmp(b)) | (Icmpv6(a), Icmpv6(b)) => a.covers(b),
            (a, b) => a == b,
        }
    }

    /// Is it about every port of this protocol, if the protocol has ports?
    pub fn is_all_ports_of(self, protocol: Protocol) -> bool {
        match self {
            Traffic::All => true,
            Traffic::Tcp(range) => protocol == Protocol::TCP && range == PortRange::ALL,
            Traffic::Udp(range) => protocol == Protocol::UDP && range == PortRange::ALL,
            Traffic::Icmp(_) | Traffic::Icmpv6(_) | Traffic::Other(_) => false,
        }
    }
}

/// `tcp 443`, `udp 5000-5999`, `icmp`, `icmp 3/4`, `all`, `protocol 47`.
impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |f: &mut fmt::Formatter<'_>, name: &str, range: &PortRange| match *range {
            PortRange::ALL => f.write_str(name),
            range => write!(f, "{name} {range}"),
        };
        let icmp = |f: &mut fmt::Formatter<'_>, name: &str, which: &IcmpMatch| match which {
            IcmpMatch::Any => f.write_str(name),
            IcmpMatch::Type(kind) => write!(f, "{name} {kind}"),
            IcmpMatch::TypeAndCode(kind, code) => write!(f, "{name} {kind}/{code}"),
        };
        match self {
            Traffic::All => f.write_str("all"),
            Traffic::Tcp(range) => ports(f, "tcp", range),
            Traffic::Udp(range) => ports(f, "udp", range),
            Traffic::Icmp(which) => icmp(f, "icmp", which),
            Traffic::Icmpv6(which) => icmp(f, "icmpv6", which),
            Traffic::Other(protocol) => write!(f, "protocol {}", protocol.0),
        }
    }
}

/// A text that says no traffic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no traffic")]
pub struct MalformedTraffic(
    /// What was given.
    pub String,
);

impl FromStr for Traffic {
    type Err = MalformedTraffic;

    /// What the traffic is written as; a protocol that has a word is never a number.
    fn from_str(text: &str) -> Result<Traffic, MalformedTraffic> {
        let (protocol, detail) = match text.split_once(' ') {
            Some((protocol, detail)) => (protocol, Some(detail)),
            None => (text, None),
        };
        let ports = || detail.map_or(Some(PortRange::ALL), port_range);
        let icmp = || detail.map_or(Some(IcmpMatch::Any), icmp_match);
        let traffic = match protocol {
            "all" => detail.is_none().then_some(Traffic::All),
            "tcp" => ports().map(Traffic::Tcp),
            "udp" => ports().map(Traffic::Udp),
            "icmp" => icmp().map(Traffic::Icmp),
            "icmpv6" => icmp().map(Traffic::Icmpv6),
            "protocol" => {
                let has_word = |p: &Protocol| {
                    [Protocol::TCP, Protocol::UDP, Protocol::ICMP, Protocol::ICMPV6].contains(p)
                };
                let number = detail.and_then(digits::<u8>).map(Protocol);
                number.filter(|p| !has_word(p)).map(Traffic::Other)
            }
            _ => None,
        };
        traffic.ok_or_else(|| MalformedTraffic(text.to_owned()))
    }
}

/// A number of digits alone.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn port_range(text: &str) -> Option<PortRange> {
    match text.split_once('-') {
        Some((first, last)) => PortRange::new(digits(first)?, digits(last)?),
        None => digits(text).map(PortRange::one),
    }
}

fn icmp_match(text: &str) -> Option<IcmpMatch> {
    match text.split_once('/') {
        Some((kind, code)) => Some(IcmpMatch::TypeAndCode(digits(kind)?, digits(code)?)),
        None => digits(text).map(IcmpMatch::Type),
    }
}

/// Which way packets go, seen from an interface or a subnet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Direction {
    /// Inwards.
    Ingress,
    /// Outwards.
    Egress,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Direction {
        match self {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        }
    }

    /// `ingress` or `egress`.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    /// The direction with this name.
    pub fn from_name(name: &str) -> Option<Direction> {
        Direction::ALL.into_iter().find(|direction| direction.name() == name)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_as_it_is_written() {
        for text in [
            "all",
            "tcp",
            "tcp 443",
            "tcp 0",
            "udp 5000-5999",
            "udp 53",
            "icmp",
            "icmp 8",
            "icmp 3/4",
            "icmpv6",
            "icmpv6 128",
            "icmpv6 2/0",
            "protocol 47",
            "protocol 0",
            "protocol 255",
        ] {
            assert_eq!(text.parse::<Traffic>().unwrap().to_string(), text);
        }
        assert_eq!("tcp 0-65535".parse::<Traffic>(), "tcp".parse());
        assert_eq!("udp 7-7".parse::<Traffic>(), "udp 7".parse());
    }

    #[test]
    fn what_covers_what() {
        for (wide, narrow, both_ways) in [
            ("all", "tcp 443", false),
            ("all", "protocol 47", false),
            ("tcp", "tcp 0-1023", false),
            ("tcp 1-9", "tcp 9", false),
            ("tcp 0-65535", "tcp", true),
            ("icmp", "icmp 3/4", false),
            ("icmp 3", "icmp 3/4", false),
            ("icmpv6 128", "icmpv6 128", true),
        ] {
            let [wide, narrow]: [Traffic; 2] = [wide, narrow].map(|t| t.parse().unwrap());
            assert!(wide.covers(narrow), "{wide} {narrow}");
            assert_eq!(narrow.covers(wide), both_ways, "{wide} {narrow}");
        }
        for (a, b) in
            [("tcp", "udp"), ("tcp 1-5", "tcp 5-9"), ("icmp", "icmpv6"), ("icmp 8", "icmp 3")]
        {
            let [a, b]: [Traffic; 2] = [a, b].map(|t| t.parse().unwrap());
            assert!(!a.covers(b) && !b.covers(a), "{a} {b}");
        }
    }

    #[test]
    fn other_texts_are_no_traffic() {
        for text in [
            "",
            " ",
            "ALL",
            "all 1",
            "tcp ",
            "tcp  443",
            "tcp 443 ",
            "tcp 65536",
            "tcp 9-8",
            "tcp 1-",
            "tcp -1",
            "tcp +1",
            "tcp 443,80",
            "icmp 256",
            "icmp 3/",
            "icmp /4",
            "icmp 3-4",
            "gre",
            "protocol",
            "protocol 6",
            "protocol 17",
            "protocol 1",
            "protocol 58",
            "protocol 256",
        ] {
            assert!(text.parse::<Traffic>().is_err(), "{text:?}");
        }
    }
}
