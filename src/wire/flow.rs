//! The flow a packet belongs to: addresses, protocol, ports.
//!
//! Holds the key, its reverse and its text. Refuses to hold anything that differs between packets
//! of one flow (echo sequence numbers, flags, lengths).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Protocol;

/// What connection tracking, flow logs and routing by flow tell packets apart by.
///
/// Both addresses are of one family when the key comes from a packet. Ports are 0 for protocols
/// without ports, also for ICMP (flow logs show 0; vpc-semantics, flow log fields `srcport` and
/// `dstport`), and for fragments other than the first, which do not carry them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowKey {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// What it carries.
    pub protocol: Protocol,
    /// The sender's port, or 0.
    pub source_port: u16,
    /// The receiver's port, or 0.
    pub destination_port: u16,
}

impl FlowKey {
    /// The key of the answers to this flow. Reversing twice changes nothing.
    #[must_use]
    pub const fn reversed(self) -> FlowKey {
        FlowKey {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_port: self.destination_port,
            destination_port: self.source_port,
        }
    }

    /// The sender's address and port.
    pub const fn source_socket(self) -> SocketAddr {
        SocketAddr::new(self.source, self.source_port)
    }

    /// The receiver's address and port.
    pub const fn destination_socket(self) -> SocketAddr {
        SocketAddr::new(self.destination, self.destination_port)
    }
}

/// `10.1.0.10:40000 > 10.2.0.10:9 udp`; without ports `10.1.0.10 > 10.2.0.10 icmp`.
impl fmt::Display for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source_port == 0 && self.destination_port == 0 {
            write!(f, "{} > {} {}", self.source, self.destination, self.protocol)
        } else {
            let (source, destination) = (self.source_socket(), self.destination_socket());
            write!(f, "{source} > {destination} {}", self.protocol)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(source: &str, destination: &str, protocol: Protocol) -> FlowKey {
        let [source, destination]: [SocketAddr; 2] =
            [source, destination].map(|s| s.parse().unwrap());
        FlowKey {
            source: source.ip(),
            destination: destination.ip(),
            protocol,
            source_port: source.port(),
            destination_port: destination.port(),
        }
    }

    #[test]
    fn prints_ports_where_there_are_some() {
        for (key, text) in [
            (
                key("10.1.0.10:40000", "10.2.0.10:9", Protocol::UDP),
                "10.1.0.10:40000 > 10.2.0.10:9 udp",
            ),
            (key("10.1.0.10:0", "10.2.0.10:9", Protocol::UDP), "10.1.0.10:0 > 10.2.0.10:9 udp"),
            (key("10.1.0.10:0", "10.2.0.10:0", Protocol::ICMP), "10.1.0.10 > 10.2.0.10 icmp"),
            (key("[fd00::1]:1", "[fd00::2]:2", Protocol::TCP), "[fd00::1]:1 > [fd00::2]:2 tcp"),
        ] {
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn reversing_swaps_both_ends_and_undoes_itself() {
        let there = key("10.1.0.10:40000", "10.2.0.10:9", Protocol::UDP);
        assert_eq!(there.reversed(), key("10.2.0.10:9", "10.1.0.10:40000", Protocol::UDP));
        assert_eq!(there.reversed().reversed(), there);
    }
}
