//! Security groups and the prefix lists that their rules may name.
//!
//! Holds what a group *says* (vpc-semantics 3.7). Refuses to hold what an interface remembers about
//! connections, which is the forwarder's (`forward/connections.rs`).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Cloud;
use super::account::Caller;
use super::filter::{Direction, Traffic};
use super::refusal::Refusal;
use crate::base::id::*;

/// Whose packets a rule allows: the far end's address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RulePeer {
    /// Any address of this block.
    Block(IpNet),
    /// Any address of this list, as it is when a packet is judged.
    PrefixList(PrefixListId),
    /// Any private address of an interface that has this group, in the same VPC or across an active
    /// peering of the same region.
    Group(SecurityGroupId),
}

/// An allow rule; there are no others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupRule {
    /// What it allows.
    pub traffic: Traffic,
    /// From whom (ingress) or to whom (egress).
    pub peer: RulePeer,
}

/// A security group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecurityGroup {
    /// The VPC it belongs to.
    pub vpc: VpcId,
    /// Its name, unique in the VPC.
    pub name: String,
    pub(super) ingress: Vec<GroupRule>,
    pub(super) egress: Vec<GroupRule>,
}

impl SecurityGroup {
    /// The name of the group that every VPC is born with.
    pub const DEFAULT_NAME: &'static str = "default";

    /// The group that a VPC is born with: in from its own members, out to everybody. The rule for
    /// IPv6 is there from the start and matches nothing while the VPC has no IPv6 (3.7 adds it with
    /// the block; the difference cannot be seen by a packet).
    pub(super) fn born_with(vpc: VpcId, own: SecurityGroupId) -> SecurityGroup {
        let all = |peer| GroupRule { traffic: Traffic::All, peer };
        SecurityGroup {
            vpc,
            name: SecurityGroup::DEFAULT_NAME.to_owned(),
            ingress: vec![all(RulePeer::Group(own))],
            egress: Self::everywhere(),
        }
    }

    /// The rules of "to everybody", one for each family.
    pub(super) fn everywhere() -> Vec<GroupRule> {
        let blocks: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        let all = |block| GroupRule { traffic: Traffic::All, peer: RulePeer::Block(block) };
        blocks.map(all).into()
    }

    /// Its rules of one direction, in the order in which they were authorised. No two are equal.
    pub fn rules(&self, direction: Direction) -> &[GroupRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// A managed prefix list: blocks under one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrefixList {
    /// Who owns it. Only its owner's groups may name it.
    pub owner: AccountId,
    /// Its blocks, ordered, none twice.
    pub entries: Vec<IpNet>,
}

impl Cloud {
    /// The groups of a new interface: those asked for, else the VPC's default group.
    pub(super) fn groups_for_interface(
        &self,
        caller: &Caller,
        vpc: VpcId,
        wanted: &[SecurityGroupId],
    ) -> Result<Vec<SecurityGroupId>, Refusal> {
        let vpc = self.own_vpc(caller, vpc)?;
        Ok(if wanted.is_empty() { vec![vpc.default_group()] } else { wanted.to_vec() })
    }
}
