//! Names of security groups, prefix lists and network ACLs, and whom a rule may name.
//!
//! Refuses to know which of them a file declares.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::{Label, MalformedName, VpcRef};
use crate::base::id::{PrefixListId, SecurityGroupId};

/// What a VPC is born with goes by this name, after the VPC's: `A/default`.
const DEFAULT: &str = "default";

/// A security group: by its label, its id, or as the one that its VPC was born with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GroupRef {
    /// By what the file calls it.
    Label(Label),
    /// `A/default`.
    DefaultOf(VpcRef),
    /// By its id.
    Id(SecurityGroupId),
}

impl FromStr for GroupRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<GroupRef, MalformedName> {
        match text.split_once('/') {
            Some((vpc, DEFAULT)) => vpc.parse().map(GroupRef::DefaultOf),
            Some(_) => Err(MalformedName::NotAGroup),
            None => match text.parse() {
                Ok(id) => Ok(GroupRef::Id(id)),
                Err(_) => text.parse().map(GroupRef::Label),
            },
        }
    }
}

impl fmt::Display for GroupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupRef::Label(label) => label.fmt(f),
            GroupRef::DefaultOf(vpc) => write!(f, "{vpc}/{DEFAULT}"),
            GroupRef::Id(id) => id.fmt(f),
        }
    }
}

/// The far end of a rule of a security group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PeerRef {
    /// A block of addresses.
    Block(IpNet),
    /// A security group or a prefix list, which share their labels.
    Label(Label),
    /// The group that a VPC was born with, `A/default`.
    DefaultOf(VpcRef),
    /// A security group by its id.
    Group(SecurityGroupId),
    /// A prefix list by its id.
    PrefixList(PrefixListId),
}

impl FromStr for PeerRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<PeerRef, MalformedName> {
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(MalformedName::AddressWithoutLength);
        }
        if let Ok(block) = text.parse() {
            return Ok(PeerRef::Block(block));
        }
        if let Ok(list) = text.parse() {
            return Ok(PeerRef::PrefixList(list));
        }
        match text.parse() {
            Ok(GroupRef::Label(label)) => Ok(PeerRef::Label(label)),
            Ok(GroupRef::DefaultOf(vpc)) => Ok(PeerRef::DefaultOf(vpc)),
            Ok(GroupRef::Id(group)) => Ok(PeerRef::Group(group)),
            Err(_) if text.contains(['/', ':']) => Err(MalformedName::NotAPeer),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for PeerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerRef::Block(block) => block.fmt(f),
            PeerRef::Label(label) => label.fmt(f),
            PeerRef::DefaultOf(vpc) => write!(f, "{vpc}/{DEFAULT}"),
            PeerRef::Group(id) => id.fmt(f),
            PeerRef::PrefixList(id) => id.fmt(f),
        }
    }
}

/// A network ACL, written `A/strict`; `A/default` is the one that A was born with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AclRef {
    /// The VPC it belongs to.
    pub vpc: VpcRef,
    /// Which of its lists.
    pub name: AclName,
}

/// What a VPC calls one of its network ACLs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AclName {
    /// The one it was born with.
    Default,
    /// Another one.
    Label(Label),
}

impl FromStr for AclName {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<AclName, MalformedName> {
        if text == DEFAULT { Ok(AclName::Default) } else { text.parse().map(AclName::Label) }
    }
}

impl fmt::Display for AclName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AclName::Default => f.write_str(DEFAULT),
            AclName::Label(label) => label.fmt(f),
        }
    }
}

impl FromStr for AclRef {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<AclRef, MalformedName> {
        let (vpc, name) = text.split_once('/').ok_or(MalformedName::NotAnAcl)?;
        Ok(AclRef { vpc: vpc.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for AclRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vpc, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_rule_names() {
        let block = |text: &str| PeerRef::Block(text.parse().unwrap());
        let label = |text: &str| PeerRef::Label(text.parse().unwrap());
        for (text, want) in [
            ("10.0.0.0/8", Some(block("10.0.0.0/8"))),
            ("::/0", Some(block("::/0"))),
            ("bastion", Some(label("bastion"))),
            ("sg-x", Some(label("sg-x"))),
            ("A/default", Some(PeerRef::DefaultOf("A".parse().unwrap()))),
            ("sg-0a1b2c3d", Some(PeerRef::Group("sg-0a1b2c3d".parse().unwrap()))),
            ("pl-0a1b2c3d", Some(PeerRef::PrefixList("pl-0a1b2c3d".parse().unwrap()))),
            ("10.0.0.1", None), // an address without a length, not a label
            ("2001:db8::1", None),
            ("10.0.0.0/33", None),
            ("A/web", None),
            ("", None),
        ] {
            let got = text.parse::<PeerRef>().ok();
            assert_eq!(got, want, "{text}");
            if let Some(got) = got {
                assert_eq!(got.to_string(), text);
            }
        }
    }

    #[test]
    fn groups_and_lists() {
        for (text, ok) in [
            ("web", true),
            ("A/default", true),
            ("A/web", false),
            ("sg-0a1b2c3d", true),
            ("/", false),
        ] {
            assert_eq!(text.parse::<GroupRef>().is_ok(), ok, "{text}");
        }
        for (text, ok) in
            [("A/strict", true), ("A/default", true), ("A", false), ("A/", false), ("A/b/c", false)]
        {
            let got = text.parse::<AclRef>().map(|acl| acl.to_string());
            assert_eq!(got.ok().as_deref(), ok.then_some(text), "{text}");
        }
    }
}
