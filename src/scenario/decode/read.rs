//! How the text of a single value is read, one row per type.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::base::id::AccountId;
use crate::base::time::Span;
use crate::base::units::{BitRate, PacketRate, Probability};
use crate::cloud::account::{Region, Zone};
use crate::cloud::filter::Traffic;
use crate::cloud::flow_log::LogFormat;
use crate::cloud::network_acl::RuleNumber;
use crate::scenario::ast::{
    AccountRef, AclName, AclRef, Bounds, Destination, FilePath, GroupRef, Label, Location, NameRef,
    NamedTableRef, PeerRef, PeeringRef, PrefixListRef, PublicIp, SubnetRef, TableRef, TargetRef,
    VpcRef, WatchedRef,
};

/// What was wanted instead of a text.
pub(super) struct Misread {
    /// What was wanted, with its article.
    pub(super) what: &'static str,
    /// What would do.
    pub(super) help: String,
}

/// A type that a single value can be read as.
pub(super) trait Read: Sized {
    fn read(text: &str) -> Result<Self, Misread>;
}

/// Types that explain themselves when a text is not one of them.
macro_rules! by_error {
    ($($type:ty: $what:literal;)+) => {
        $(impl Read for $type {
            fn read(text: &str) -> Result<Self, Misread> {
                text.parse().map_err(|e| Misread { what: $what, help: format!("{e}") })
            }
        })+
    };
}

by_error! {
    Label: "a label";
    AccountRef: "an account";
    VpcRef: "a VPC";
    PeeringRef: "a peering";
    TargetRef: "the target of a route";
    SubnetRef: "a subnet";
    TableRef: "a route table";
    NamedTableRef: "a route table";
    Destination: "a destination";
    Location: "a place in the network";
    NameRef: "a hostname of an instance";
    GroupRef: "a security group";
    PrefixListRef: "a prefix list";
    PeerRef: "a block, a security group or a prefix list";
    AclRef: "a network ACL";
    AclName: "a network ACL";
    LogFormat: "the format of a flow log";
    WatchedRef: "what a flow log can watch";
    FilePath: "a path that a scenario may name";
}

/// Types for which an example says it best.
macro_rules! by_example {
    ($($type:ty: $what:literal, $example:literal;)+) => {
        $(impl Read for $type {
            fn read(text: &str) -> Result<Self, Misread> {
                let help = || concat!("want for example ", $example).to_owned();
                text.parse().map_err(|_| Misread { what: $what, help: help() })
            }
        })+
    };
}

by_example! {
    AccountId: "an account id", "`\"123456789012\"`: twelve digits, in quotes";
    PublicIp: "a public address", "`203.0.113.7` or `auto`";
    Ipv4Addr: "an IPv4 address", "`10.0.0.5`";
    Ipv6Addr: "an IPv6 address", "`2001:db8::5`";
    IpAddr: "an IP address", "`10.0.0.5` or `2001:db8::5`";
    Ipv4Net: "an IPv4 block", "`10.0.0.0/16`";
    Ipv6Net: "an IPv6 block", "`2001:db8:1234:1a00::/56`";
    IpNet: "a block of addresses", "`10.0.0.0/16` or `2001:db8::/56`";
    Span: "a span of time", "`250us`, `1.5s` or `7d`";
    Probability: "a chance", "`0.1%` or `0.001`";
    BitRate: "a bit rate", "`100Mbit/s` or `1.5Gbit/s`";
    PacketRate: "a packet rate", "`1000/s`";
    Region: "a region", "`us-east-1`";
    Zone: "an availability zone", "`us-east-1a`";
    jiff::Timestamp: "a date and time", "`2015-01-01T00:00:00Z`";
}

impl Read for Traffic {
    fn read(text: &str) -> Result<Traffic, Misread> {
        let help = match text.split_once(' ').unwrap_or((text, "")) {
            ("tcp" | "udp", ports) if ports.contains(',') => {
                "a rule has one port or one range: write a rule for each"
            }
            ("tcp" | "udp", ports) if !ports.is_empty() => {
                "ports are 0 to 65535, one or from lower to higher: `443`, `5000-5999`"
            }
            ("icmp" | "icmpv6", _) => "want a type, or a type and a code, 0 to 255: `8`, `3/4`",
            ("protocol", number) => match number.parse() {
                Ok(6) => "write `tcp`",
                Ok(17) => "write `udp`",
                Ok(1) => "write `icmp`",
                Ok(58) => "write `icmpv6`",
                _ => "protocols are 0 to 255: `protocol 47`",
            },
            _ => "want for example `all`, `tcp 443`, `udp 5000-5999`, `icmp 3/4` or `protocol 47`",
        };
        text.parse().map_err(|_| Misread { what: "traffic", help: help.to_owned() })
    }
}

impl Read for RuleNumber {
    fn read(text: &str) -> Result<RuleNumber, Misread> {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten().and_then(RuleNumber::new);
        number.ok_or_else(|| Misread {
            what: "the number of an entry",
            help: format!("want 1 to {}", RuleNumber::MAX),
        })
    }
}

impl Read for Bounds {
    fn read(text: &str) -> Result<Bounds, Misread> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let bounds = match text.split_once("..") {
            Some((min, max)) => number(min).zip(number(max)),
            None => number(text).map(|n| (n, n)),
        };
        bounds.and_then(|(min, max)| Bounds::new(min, max)).ok_or_else(|| Misread {
            what: "a number of packets",
            help: "want for example `1000`, or bounds from less to more: `990..1000`".to_owned(),
        })
    }
}

/// An error code of the EC2 API, e.g. `InvalidParameterValue`: words with dots between them.
pub(super) struct Ec2Code(pub(super) String);

impl Read for Ec2Code {
    fn read(text: &str) -> Result<Ec2Code, Misread> {
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let fits = text.len() <= 128 && text.split('.').all(word);
        fits.then(|| Ec2Code(text.to_owned())).ok_or_else(|| Misread {
            what: "an EC2 error code",
            help: "want for example `InvalidParameterValue`".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads<T: Read>(rows: &[(&str, bool)]) {
        for (text, want) in rows {
            assert_eq!(T::read(text).is_ok(), *want, "{text}");
        }
    }

    #[test]
    fn bounds_go_from_less_to_more() {
        reads::<Bounds>(&[
            ("0", true),
            ("990..1000", true),
            ("5..5", true),
            ("1000..990", false),
            ("..5", false),
            ("5..", false),
            ("+5", false),
            ("99999999999999999999", false),
        ]);
    }

    #[test]
    fn what_is_no_traffic_says_what_would_be() {
        for (text, want) in [
            ("tcp 80,443", "a rule for each"),
            ("tcp 500-400", "from lower to higher"),
            ("udp 70000", "0 to 65535"),
            ("icmp 300", "0 to 255"),
            ("icmp echo", "`3/4`"),
            ("protocol 6", "write `tcp`"),
            ("protocol 300", "`protocol 47`"),
            ("TCP 80", "`tcp 443`"),
            ("", "`tcp 443`"),
        ] {
            let help = Traffic::read(text).err().unwrap().help;
            assert!(help.contains(want), "{text}: {help}");
        }
    }

    #[test]
    fn codes_are_words_and_dots() {
        reads::<Ec2Code>(&[
            ("InvalidVpcPeeringConnectionID.NotFound", true),
            ("OperationNotPermitted", true),
            ("Not permitted", false),
            ("A..B", false),
            ("", false),
        ]);
    }
}
