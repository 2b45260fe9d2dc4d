//! The DNS hostnames that the cloud gives to instances: their two forms, and the address in them.
//!
//! Holds [`Hostname`], its parser and its printer (vpc-semantics 3.9, UG23 vpc-dns). Refuses to hold
//! what a name resolves to: that depends on who asks, see [`super::dns`]. Names made from an
//! instance's id, and names of anything but instances, are not modelled and do not parse.
//!
//! ```text
//!            in us-east-1                                elsewhere
//! private    ip-10-0-0-5.ec2.internal                    ip-10-0-0-5.eu-west-1.compute.internal
//! public     ec2-203-0-113-7.compute-1.amazonaws.com     ec2-203-0-113-7.eu-west-1.compute.amazonaws.com
//! ```

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use thiserror::Error;

use super::account::Region;

/// Which of an instance's addresses a name is made from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// The private one.
    Private,
    /// The public one.
    Public,
}

impl Kind {
    /// What the first label of the name begins with.
    const fn prefix(self) -> &'static str {
        match self {
            Kind::Private => "ip-",
            Kind::Public => "ec2-",
        }
    }

    /// What follows the first dot in the one region whose names do not say it.
    const fn unsaid(self) -> &'static str {
        match self {
            Kind::Private => "ec2.internal",
            Kind::Public => "compute-1.amazonaws.com",
        }
    }

    /// What follows the region in the others.
    const fn said(self) -> &'static str {
        match self {
            Kind::Private => ".compute.internal",
            Kind::Public => ".compute.amazonaws.com",
        }
    }
}

/// The region whose names do not say which region they are of: the first there was.
fn is_unsaid(region: &Region) -> bool {
    region.as_str() == "us-east-1"
}

/// A name that the cloud gives to an instance: made from one of its IPv4 addresses and its region,
/// and nothing else, so it can be said of any address, also of one that nobody has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hostname {
    kind: Kind,
    address: Ipv4Addr,
    region: Region,
}

impl Hostname {
    /// The name made from an address in a region.
    pub fn new(kind: Kind, address: Ipv4Addr, region: Region) -> Hostname {
        Hostname { kind, address, region }
    }

    /// Which address it is made from.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address that it is made from: what a public name says is not always what it resolves to.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The region of the instance that would have it.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.address.octets();
        write!(f, "{}{a}-{b}-{c}-{d}.", self.kind.prefix())?;
        match is_unsaid(&self.region) {
            true => f.write_str(self.kind.unsaid()),
            false => write!(f, "{}{}", self.region, self.kind.said()),
        }
    }
}

/// A text that is no name which the cloud gives.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a hostname of an instance (want for example `ip-10-0-0-5.ec2.internal` or `ec2-203-0-113-7.eu-west-1.compute.amazonaws.com`)"
)]
pub struct MalformedHostname(
    /// What was given.
    pub String,
);

impl FromStr for Hostname {
    type Err = MalformedHostname;

    /// Upper and lower case are one (RFC 4343), and the dot of the root may stand at the end
    /// (RFC 1034, 3.1).
    fn from_str(text: &str) -> Result<Hostname, MalformedHostname> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let read = |kind: Kind| {
            let (host, domain) = name.strip_prefix(kind.prefix())?.split_once('.')?;
            let address: Ipv4Addr = host.replace('-', ".").parse().ok()?;
            let region = match domain.strip_suffix(kind.said()) {
                Some(region) => region.parse().ok().filter(|region| !is_unsaid(region))?,
                None => (domain == kind.unsaid()).then(Region::default)?,
            };
            Some(Hostname { kind, address, region })
        };
        [Kind::Private, Kind::Public]
            .into_iter()
            .find_map(read)
            .ok_or_else(|| MalformedHostname(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(Kind, [u8; 4], &str)>) {
        let got = text.parse::<Hostname>().ok();
        let want = want.map(|(kind, address, region)| {
            Hostname::new(kind, address.into(), region.parse().unwrap())
        });
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn names_say_kind_address_and_region() {
        use Kind::{Private, Public};
        for (text, kind, address, region) in [
            ("ip-10-0-0-5.ec2.internal", Private, [10, 0, 0, 5], "us-east-1"),
            ("ip-10-0-0-5.eu-west-1.compute.internal", Private, [10, 0, 0, 5], "eu-west-1"),
            ("ec2-203-0-113-7.compute-1.amazonaws.com", Public, [203, 0, 113, 7], "us-east-1"),
            (
                "ec2-203-0-113-7.ap-south-1.compute.amazonaws.com",
                Public,
                [203, 0, 113, 7],
                "ap-south-1",
            ),
        ] {
            check(text, Some((kind, address, region)));
            check(&text.to_ascii_uppercase(), Some((kind, address, region)));
            check(&format!("{text}."), Some((kind, address, region)));
            assert_eq!(text.parse::<Hostname>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_the_cloud_does_not_give_is_no_hostname() {
        for text in [
            "",
            ".",
            "example.com",
            "ip-10-0-0-5",
            "ip-10-0-0-5.",
            "ip-10-0-0-5.ec2.internal..",
            "ip-10-0-0.ec2.internal",
            "ip-10-0-0-5-6.ec2.internal",
            "ip-10-0-0-256.ec2.internal",
            "ip-10-0-0-05.ec2.internal", // one address, one name
            "ip-10.0-0-5.ec2.internal",
            "i-0a1b2c3d4e5f67890.ec2.internal",
            "ip-10-0-0-5.us-east-1.compute.internal", // that region's names do not say it
            "ip-10-0-0-5.compute.internal",
            "ip-10-0-0-5.nowhere.compute.internal",
            "ip-10-0-0-5.compute-1.amazonaws.com", // half of each
            "ec2-10-0-0-5.ec2.internal",
            "ec2-203-0-113-7.us-east-1.compute.amazonaws.com",
        ] {
            check(text, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_is_read_back(address: [u8; 4], public: bool, abroad: bool) {
            let kind = if public { Kind::Public } else { Kind::Private };
            let region = if abroad { "eu-west-1" } else { "us-east-1" };
            let name = Hostname::new(kind, address.into(), region.parse().unwrap());
            proptest::prop_assert_eq!(name.to_string().parse(), Ok(name));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(ip|ec2)?[-.0-9a-z€]{0,40}") {
            let _ = text.parse::<Hostname>();
        }
    }
}
