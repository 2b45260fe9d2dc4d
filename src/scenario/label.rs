//! Names in a scenario file: labels, and what may stand where a label may.
//!
//! Holds the types and their parsers. Refuses to know which labels a file declares: that is
//! the business of [`super::names`].

mod filter;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::base::id::{AccountId, PeeringId, PrefixListId, VpcId};
use crate::base::limit::LABEL_BYTES_MAX;
use crate::cloud::hostname::Hostname;

pub use filter::{AclName, AclRef, GroupRef, PeerRef};

/// What a file calls a resource: 1 to 64 of `A-Z a-z 0-9 . _ -`, not starting with `.` or `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(String);

/// Why a text is not a name of the wanted kind. The message does not repeat the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MalformedName {
    /// Nothing at all.
    #[error("a label has at least one character")]
    Empty,
    /// More than [`LABEL_BYTES_MAX`] characters.
    #[error("a label has at most {LABEL_BYTES_MAX} characters")]
    TooLong,
    /// `.` or `-` in front.
    #[error("a label does not start with `{0}`")]
    Start(char),
    /// A character that no label has.
    #[error("a label consists of `A-Z a-z 0-9 . _ -`, not of {0:?}")]
    Character(char),
    /// A subnet without its VPC or the other way round.
    #[error("want a VPC and a subnet of it, for example `A/web`")]
    NotASubnet,
    /// The main table where another one is wanted.
    #[error("want a VPC and a route table of it, for example `A/x`")]
    NotATable,
    /// A VPC and something else than its default group.
    #[error(
        "want the label of a group, or the one that a VPC was born with, for example `A/default`"
    )]
    NotAGroup,
    /// A network ACL without its VPC.
    #[error("want a VPC and a network ACL of it, for example `A/strict` or `A/default`")]
    NotAnAcl,
    /// Neither a block nor a name.
    #[error(
        "want a block such as `10.0.0.0/8`, the label of a security group or prefix list, or `A/default`"
    )]
    NotAPeer,
    /// An address where a block is wanted.
    #[error("an address is not a block: say how much of it counts, for example `10.0.0.5/32`")]
    AddressWithoutLength,
    /// Something after a colon that is no address.
    #[error(
        "want a host, an address, `public(a)`, or a VPC and an address: `A:10.0.0.5`, `A:[2001:db8::5]`"
    )]
    NotADestination,
    /// Neither a hostname nor an instance.
    #[error(
        "want an instance (`b`), its public name (`b/public`), or a hostname such as `ip-10-0-0-5.ec2.internal`"
    )]
    NotAName,
    /// No arrow.
    #[error("want two ends with an arrow between them, for example `b -> c`")]
    NotAPair,
}

impl Label {
    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Label, MalformedName> {
        match text.chars().next() {
            None => return Err(MalformedName::Empty),
            Some(c @ ('.' | '-')) => return Err(MalformedName::Start(c)),
            Some(_) => {}
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(c) = text.chars().find(|c| !allowed(*c)) {
            return Err(MalformedName::Character(c));
        }
        if text.len() > LABEL_BYTES_MAX {
            return Err(MalformedName::TooLong);
        }
        Ok(Label(text.to_owned()))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! label_or_id {
    ($(#[$doc:meta])* $name:ident, $id:ty) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name {
            /// By what the file calls it.
            Label(Label),
            /// By its id. A text that is an id is never taken as a label.
            Id($id),
        }

        impl FromStr for $name {
            type Err = MalformedName;

            fn from_str(text: &str) -> Result<Self, MalformedName> {
                match text.parse() {
                    Ok(id) => Ok($name::Id(id)),
                    Err(_) => text.parse().map($name::Label),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $name::Label(label) => label.fmt(f),
                    $name::Id(id) => id.fmt(f),
                }
            }
        }
    };
}

label_or_id!(
    /// An account.
    AccountRef, AccountId);
label_or_id!(
    /// A VPC.
    VpcRef, VpcId);
label_or_id!(
    /// A peering.
    PeeringRef, PeeringId);
label_or_id!(
    /// A prefix list.
    PrefixListRef, PrefixListId);
label_or_id!(
    /// What a route points at: a peering, or (by label only) a gateway or the interface of an
    /// instance.
    TargetRef, PeeringId);

/// A subnet, written `A/web`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubnetRef {
    /// The VPC it belongs to.
    pub vpc: VpcRef,
    /// What the VPC calls it.
    pub subnet: Label,
}

impl FromStr for SubnetRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<SubnetRef, MalformedName> {
        let (vpc, subnet) = text.split_once('/').ok_or(MalformedName::NotASubnet)?;
        Ok(SubnetRef { vpc: vpc.parse()?, subnet: subnet.parse()? })
    }
}

impl fmt::Display for SubnetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vpc, self.subnet)
    }
}

/// A route table: `A` is the main table of A, `A/x` its table x.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableRef {
    /// The VPC it belongs to.
    pub vpc: VpcRef,
    /// What the VPC calls it; `None` is the main table.
    pub table: Option<Label>,
}

impl FromStr for TableRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<TableRef, MalformedName> {
        match text.split_once('/') {
            Some((vpc, table)) => Ok(TableRef { vpc: vpc.parse()?, table: Some(table.parse()?) }),
            None => Ok(TableRef { vpc: text.parse()?, table: None }),
        }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "{}/{table}", self.vpc),
            None => self.vpc.fmt(f),
        }
    }
}

/// A route table other than the one that happens to be the main table, written `A/x`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamedTableRef {
    /// The VPC it belongs to.
    pub vpc: VpcRef,
    /// What the VPC calls it.
    pub table: Label,
}

impl FromStr for NamedTableRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<NamedTableRef, MalformedName> {
        let (vpc, table) = text.split_once('/').ok_or(MalformedName::NotATable)?;
        Ok(NamedTableRef { vpc: vpc.parse()?, table: table.parse()? })
    }
}

impl fmt::Display for NamedTableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vpc, self.table)
    }
}

/// Where traffic is sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Destination {
    /// To the address of an instance or of a host outside the cloud.
    Host(Label),
    /// To the public address of an instance: `public(a)`. No label has parentheses.
    Public(Label),
    /// To an address, whoever owns it.
    Address(IpAddr),
    /// To an address, meant to be that of this VPC: `A:10.0.0.5`, `A:[2001:db8::5]`. The brackets
    /// are needed because `a:2001:db8::5` is an IPv6 address in itself.
    AddressIn {
        /// The VPC that is meant.
        vpc: VpcRef,
        /// The address.
        address: IpAddr,
    },
}

impl FromStr for Destination {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Destination, MalformedName> {
        if let Ok(address) = text.parse() {
            return Ok(Destination::Address(address));
        }
        let Some((vpc, address)) = text.split_once(':') else {
            return match text.strip_prefix("public(").map(|rest| rest.strip_suffix(')')) {
                Some(Some(label)) => label.parse().map(Destination::Public),
                Some(None) => Err(MalformedName::NotADestination),
                None => text.parse().map(Destination::Host),
            };
        };
        let inner = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
        let address = match inner {
            Some(v6) => v6.parse().map(IpAddr::V6).ok(),
            None => address.parse().map(IpAddr::V4).ok(),
        };
        match (vpc.parse(), address) {
            (Ok(vpc), Some(address)) => Ok(Destination::AddressIn { vpc, address }),
            _ => Err(MalformedName::NotADestination),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Host(label) => label.fmt(f),
            Destination::Public(label) => write!(f, "public({label})"),
            Destination::Address(address) => address.fmt(f),
            Destination::AddressIn { vpc, address: IpAddr::V4(a) } => write!(f, "{vpc}:{a}"),
            Destination::AddressIn { vpc, address: IpAddr::V6(a) } => write!(f, "{vpc}:[{a}]"),
        }
    }
}

/// A spot in the network at which a packet may end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Location {
    /// The peering, gateway, VPC, instance or outside host with this label. A label that both a VPC and an instance
    /// carry stands for either; that of a VPC also stands for its main route table.
    Label(Label),
    /// The peering with this id.
    Peering(PeeringId),
    /// The VPC with this id.
    Vpc(VpcId),
    /// A route table or a network ACL, written `A/x`; `A/default` is A's own network ACL.
    Table(NamedTableRef),
}

impl FromStr for Location {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Location, MalformedName> {
        if text.contains('/') {
            return text.parse().map(Location::Table);
        }
        if let Ok(id) = text.parse() {
            return Ok(Location::Peering(id));
        }
        match text.parse::<VpcRef>()? {
            VpcRef::Id(id) => Ok(Location::Vpc(id)),
            VpcRef::Label(label) => Ok(Location::Label(label)),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Label(label) => label.fmt(f),
            Location::Peering(id) => id.fmt(f),
            Location::Vpc(id) => id.fmt(f),
            Location::Table(table) => table.fmt(f),
        }
    }
}

/// A hostname that is asked for: as it is, or by the instance that has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum NameRef {
    /// The name itself. A text that is one is never taken as a label.
    Hostname(Hostname),
    /// The private name of an instance, written `b`.
    PrivateOf(Label),
    /// The public name of an instance, written `b/public`.
    PublicOf(Label),
}

impl FromStr for NameRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<NameRef, MalformedName> {
        if let Ok(name) = text.parse() {
            return Ok(NameRef::Hostname(name));
        }
        let name = match text.split_once('/') {
            None => text.parse().map(NameRef::PrivateOf),
            Some((label, "public")) => label.parse().map(NameRef::PublicOf),
            Some(_) => Err(MalformedName::NotAName),
        };
        // A name that was meant to be one and is not would else pass for a label.
        let is_domain = [".internal", ".amazonaws.com"].iter().any(|end| text.ends_with(end));
        name.ok().filter(|_| !is_domain).ok_or(MalformedName::NotAName)
    }
}

impl fmt::Display for NameRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameRef::Hostname(name) => name.fmt(f),
            NameRef::PrivateOf(label) => label.fmt(f),
            NameRef::PublicOf(label) => write!(f, "{label}/public"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads<T: FromStr<Err = MalformedName> + fmt::Display>(rows: &[(&str, Option<&str>)]) {
        for (text, want) in rows {
            let got = text.parse::<T>().ok().map(|v| v.to_string());
            assert_eq!(got.as_deref(), *want, "{text}");
        }
    }

    #[test]
    fn labels() {
        let longest = "a".repeat(64);
        reads::<Label>(&[
            ("A", Some("A")),
            ("web-1.eu_2", Some("web-1.eu_2")),
            ("1", Some("1")),
            (&longest, Some(&longest)),
            (&"a".repeat(65), None),
            ("", None),
            (".", None),
            ("-a", None),
            ("a/b", None),
            ("über", None),
        ]);
    }

    #[test]
    fn references() {
        reads::<SubnetRef>(&[
            ("A/web", Some("A/web")),
            ("A", None),
            ("A/web/x", None),
            ("/x", None),
        ]);
        reads::<TableRef>(&[("A", Some("A")), ("A/x", Some("A/x")), ("A/", None)]);
        reads::<NamedTableRef>(&[("A", None), ("A/x", Some("A/x"))]);
        reads::<Destination>(&[
            ("c", Some("c")),
            ("10.0.0.5", Some("10.0.0.5")),
            ("2001:db8::5", Some("2001:db8::5")),
            ("A:10.0.0.5", Some("A:10.0.0.5")),
            ("A:[2001:DB8::5]", Some("A:[2001:db8::5]")),
            ("A:2001:db8::5", Some("a:2001:db8::5")),
            ("vpc:2001:db8::5", None),
            ("A:", None),
            ("A:web", None),
            ("public(a)", Some("public(a)")),
            ("public(10.0.0.5", None),
            ("public()", None),
            ("private(a)", None),
        ]);
    }

    #[test]
    fn names_that_are_asked_for() {
        reads::<NameRef>(&[
            ("b", Some("b")),
            ("b.eu", Some("b.eu")),
            ("b/public", Some("b/public")),
            ("IP-10-0-0-5.ec2.internal.", Some("ip-10-0-0-5.ec2.internal")),
            ("b/private", None),
            ("b/", None),
            ("/public", None),
            ("ip-10-0-0-5.eu.internal", None),
            ("", None),
        ]);
    }

    #[test]
    fn what_looks_like_an_id_is_one() {
        assert!(matches!("vpc-0a1b2c3d".parse(), Ok(VpcRef::Id(_))));
        assert!(matches!("vpc-a".parse(), Ok(VpcRef::Label(_))));
        assert!(matches!("111122223333".parse(), Ok(AccountRef::Id(_))));
        assert!(matches!("pcx-0a1b2c3d".parse(), Ok(Location::Peering(_))));
        assert!(matches!("vpc-0a1b2c3d".parse(), Ok(Location::Vpc(_))));
        assert!(matches!("A/x".parse(), Ok(Location::Table(_))));
    }
}
