//! Network ACLs: numbered, stateless lists at the boundary of a subnet.
//!
//! Holds what a list says and which entry decides (vpc-semantics 3.8). Refuses to hold state: a reply
//! is judged like any other packet.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::filter::{Direction, Traffic};
use crate::base::id::*;

/// The number of an entry, 1..=32,766: lower ones are looked at first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RuleNumber(u16);

impl RuleNumber {
    /// The highest number that an entry can have.
    pub const MAX: RuleNumber = RuleNumber(32_766);

    /// The number `n`; `None` outside 1..=32,766.
    pub const fn new(n: u16) -> Option<RuleNumber> {
        if 1 <= n && n <= RuleNumber::MAX.0 { Some(RuleNumber(n)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for RuleNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an entry does with the packets it matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AclAction {
    /// Lets them pass.
    Allow,
    /// Drops them.
    Deny,
}

impl AclAction {
    /// `allow` or `deny`.
    pub const fn name(self) -> &'static str {
        match self {
            AclAction::Allow => "allow",
            AclAction::Deny => "deny",
        }
    }
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AclEntry {
    /// The traffic it is about; ports are those of the destination.
    pub traffic: Traffic,
    /// The far end's address: the source of what comes in, the destination of what goes out.
    pub block: IpNet,
    /// What it does.
    pub action: AclAction,
}

/// Whether a VPC was born with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AclKind {
    /// It was: it serves every subnet that has no other, and allows everything until changed.
    Default,
    /// Somebody created it: it denies everything until changed.
    Custom,
}

/// A network ACL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworkAcl {
    /// The VPC it belongs to.
    pub vpc: VpcId,
    /// Where it comes from.
    pub kind: AclKind,
    pub(super) ingress: BTreeMap<RuleNumber, AclEntry>,
    pub(super) egress: BTreeMap<RuleNumber, AclEntry>,
}

impl NetworkAcl {
    /// The list that a VPC is born with: everything passes (3.8, rules 100 and 101).
    pub(super) fn born_with(vpc: VpcId) -> NetworkAcl {
        let blocks: [(u16, IpNet); 2] =
            [(100, Ipv4Net::default().into()), (101, Ipv6Net::default().into())];
        let allow = |(number, block)| {
            let entry = AclEntry { traffic: Traffic::All, block, action: AclAction::Allow };
            (RuleNumber(number), entry)
        };
        let all: BTreeMap<RuleNumber, AclEntry> = blocks.map(allow).into();
        NetworkAcl { vpc, kind: AclKind::Default, ingress: all.clone(), egress: all }
    }

    /// Its entries of one direction by ascending number. Behind the last stands a deny that cannot
    /// be removed (`*`; 32767 and 32768 in the API) and is not listed here.
    pub fn entries(&self, direction: Direction) -> &BTreeMap<RuleNumber, AclEntry> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}
