//! Network ACLs: numbered, stateless lists at the boundary of a subnet.
//!
//! Holds what a list says and the commands about lists (vpc-semantics 3.8). Refuses to hold state: a
//! reply is judged like any other packet.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::Cloud;
use super::account::Caller;
use super::event::Change;
use super::filter::{Direction, Traffic};
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use crate::base::id::*;

/// The number of an entry, 1..=32,766: lower ones are looked at first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
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

impl From<RuleNumber> for u16 {
    fn from(number: RuleNumber) -> u16 {
        number.0
    }
}

impl TryFrom<u16> for RuleNumber {
    type Error = &'static str;
    fn try_from(n: u16) -> Result<RuleNumber, &'static str> {
        RuleNumber::new(n).ok_or("a rule number outside 1..=32766")
    }
}

impl fmt::Display for RuleNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an entry does with the packets it matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AclEntry {
    /// The traffic it is about; ports are those of the destination.
    pub traffic: Traffic,
    /// The far end's address: the source of what comes in, the destination of what goes out.
    pub block: IpNet,
    /// What it does.
    pub action: AclAction,
}

/// Whether a VPC was born with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum AclKind {
    /// It was: it serves every subnet that has no other, and allows everything until changed.
    Default,
    /// Somebody created it: it denies everything until changed.
    Custom,
}

/// A network ACL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

    /// A list that somebody creates: nothing passes.
    pub(super) fn new(vpc: VpcId, kind: AclKind) -> NetworkAcl {
        NetworkAcl { vpc, kind, ingress: BTreeMap::new(), egress: BTreeMap::new() }
    }

    /// Its entries of one direction by ascending number. Behind the last stands a deny that cannot
    /// be removed (`*`; 32767 and 32768 in the API) and is not listed here.
    pub fn entries(&self, direction: Direction) -> &BTreeMap<RuleNumber, AclEntry> {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    pub(super) fn entries_mut(
        &mut self,
        direction: Direction,
    ) -> &mut BTreeMap<RuleNumber, AclEntry> {
        match direction {
            Direction::Ingress => &mut self.ingress,
            Direction::Egress => &mut self.egress,
        }
    }
}

impl Cloud {
    /// The list, if its VPC is the caller's.
    pub(super) fn own_acl(
        &self,
        caller: &Caller,
        id: NetworkAclId,
    ) -> Result<&NetworkAcl, Refusal> {
        self.acls
            .get(&id)
            .filter(|acl| self.own_vpc(caller, acl.vpc).is_ok())
            .ok_or(Refusal::AclNotFound(id))
    }

    pub(super) fn create_acl(
        &self,
        caller: &Caller,
        vpc_id: VpcId,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, vpc_id)?;
        self.within(vpc.owner, Quota::NetworkAclsPerVpc, || vpc.acls().len())?;
        let acl = NetworkAclId::new(self.mint().next());
        Ok(vec![Change::NetworkAclCreated { acl, vpc: vpc_id }])
    }

    /// Linear in the number of subnets of the VPC.
    pub(super) fn delete_acl(
        &self,
        caller: &Caller,
        id: NetworkAclId,
    ) -> Result<Vec<Change>, Refusal> {
        let acl = self.own_acl(caller, id)?;
        if acl.kind == AclKind::Default {
            return Err(Refusal::DefaultAclStays(id));
        }
        let vpc = self.own_vpc(caller, acl.vpc)?;
        if vpc.subnets().iter().any(|subnet| self.acl_of(*subnet) == Some(id)) {
            return Err(Refusal::AclInUse(id));
        }
        Ok(vec![Change::NetworkAclDeleted { acl: id }])
    }

    pub(super) fn create_acl_entry(
        &self,
        caller: &Caller,
        id: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
        entry: AclEntry,
    ) -> Result<Vec<Change>, Refusal> {
        let entries = self.own_acl(caller, id)?.entries(direction);
        let entry = self.check_entry(entry)?;
        if entries.contains_key(&number) {
            return Err(Refusal::AclEntryExists(number));
        }
        self.check_room(caller, entries, number, &entry)?;
        Ok(vec![Change::AclEntrySet { acl: id, direction, number, entry }])
    }

    /// The number keeps its place in the order. An entry of the other family may take it if there is
    /// room for one more of that family.
    pub(super) fn replace_acl_entry(
        &self,
        caller: &Caller,
        id: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
        entry: AclEntry,
    ) -> Result<Vec<Change>, Refusal> {
        let entries = self.own_acl(caller, id)?.entries(direction);
        let entry = self.check_entry(entry)?;
        if !entries.contains_key(&number) {
            return Err(Refusal::AclEntryNotFound(number));
        }
        self.check_room(caller, entries, number, &entry)?;
        Ok(vec![Change::AclEntrySet { acl: id, direction, number, entry }])
    }

    pub(super) fn delete_acl_entry(
        &self,
        caller: &Caller,
        id: NetworkAclId,
        direction: Direction,
        number: RuleNumber,
    ) -> Result<Vec<Change>, Refusal> {
        if !self.own_acl(caller, id)?.entries(direction).contains_key(&number) {
            return Err(Refusal::AclEntryNotFound(number));
        }
        Ok(vec![Change::AclEntryDeleted { acl: id, direction, number }])
    }

    pub(super) fn replace_acl_association(
        &self,
        caller: &Caller,
        association: AclAssociationId,
        id: NetworkAclId,
    ) -> Result<Vec<Change>, Refusal> {
        let unknown = Refusal::AclAssociationNotFound(association);
        let subnet = *self.acl_associations.get(&association).ok_or(unknown.clone())?;
        let vpc = self.own_subnet(caller, subnet).map_err(|_| unknown)?.vpc;
        if self.own_acl(caller, id)?.vpc != vpc {
            return Err(Refusal::AclOfOtherVpc { acl: id, subnet });
        }
        let association = AclAssociationId::new(self.mint().next());
        Ok(vec![Change::AclAssociationReplaced { association, subnet, acl: id }])
    }

    /// Is there room for the entry beside those of its family that have other numbers?
    fn check_room(
        &self,
        caller: &Caller,
        entries: &BTreeMap<RuleNumber, AclEntry>,
        number: RuleNumber,
        entry: &AclEntry,
    ) -> Result<(), Refusal> {
        let is_v4 = |entry: &AclEntry| matches!(entry.block, IpNet::V4(_));
        let beside =
            |(n, other): &(&RuleNumber, &AclEntry)| **n != number && is_v4(other) == is_v4(entry);
        self.within(caller.account, Quota::EntriesPerNetworkAcl, || {
            entries.iter().filter(beside).count()
        })
    }

    /// The entry with the host bits of its block cleared, if this rule book has such entries.
    fn check_entry(&self, entry: AclEntry) -> Result<AclEntry, Refusal> {
        let v6 = matches!(entry.block, IpNet::V6(_)) || matches!(entry.traffic, Traffic::Icmpv6(_));
        if v6 && !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("Ipv6CidrBlock"));
        }
        Ok(AclEntry { block: entry.block.trunc(), ..entry })
    }
}
