//! The stage: security groups, prefix lists and network ACLs.
//!
//! Holds what their labels stand for, and the group that allows everything, which an instance gets
//! whose file names none.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Stage, Trouble, find, made};
use crate::base::id::*;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::filter::Direction;
use crate::cloud::profile::Feature;
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::scenario::ast::{AclName, AclRef, GroupRef, Label, PeerRef, PrefixListRef, VpcRef};

/// The name of the group that allows everything: a default of files, which EC2 does not have.
const OPEN: &str = "vpclab-open";

/// The command that adds rules to a group.
pub(in crate::scenario) fn authorize(
    group: SecurityGroupId,
    direction: Direction,
    rules: Vec<GroupRule>,
) -> Command {
    match direction {
        Direction::Ingress => Command::AuthorizeSecurityGroupIngress { group, rules },
        Direction::Egress => Command::AuthorizeSecurityGroupEgress { group, rules },
    }
}

/// The command that takes rules from a group.
pub(in crate::scenario) fn revoke(
    group: SecurityGroupId,
    direction: Direction,
    rules: Vec<GroupRule>,
) -> Command {
    match direction {
        Direction::Ingress => Command::RevokeSecurityGroupIngress { group, rules },
        Direction::Egress => Command::RevokeSecurityGroupEgress { group, rules },
    }
}

impl Stage {
    // ---- labels ---------------------------------------------------------------------------------

    /// A group, and the owner of its VPC.
    pub(in crate::scenario) fn group(
        &self,
        group: &GroupRef,
    ) -> Result<(SecurityGroupId, Caller), Trouble> {
        match group {
            GroupRef::Label(l) => {
                let (id, vpc) = find(&self.labels.groups, l, "security group", l)?;
                Ok((id, self.owner(vpc)))
            }
            GroupRef::DefaultOf(vpc_ref) => {
                let vpc = self.vpc(vpc_ref)?;
                let default = self.sim.cloud().vpc(vpc).map(|vpc| vpc.default_group());
                let absent = || Trouble::Absent { kind: "VPC", label: vpc_ref.to_string() };
                Ok((default.ok_or_else(absent)?, self.owner(vpc)))
            }
            GroupRef::Id(id) => {
                let vpc = self.sim.cloud().group(*id).map(|group| group.vpc);
                Ok((*id, vpc.map_or_else(|| self.nobody(), |vpc| self.owner(vpc))))
            }
        }
    }

    /// Whom a rule names.
    pub(in crate::scenario) fn rule_peer(&self, peer: &PeerRef) -> Result<RulePeer, Trouble> {
        Ok(match peer {
            PeerRef::Block(block) => RulePeer::Block(*block),
            PeerRef::Group(id) => RulePeer::Group(*id),
            PeerRef::PrefixList(id) => RulePeer::PrefixList(*id),
            PeerRef::DefaultOf(vpc) => {
                RulePeer::Group(self.group(&GroupRef::DefaultOf(vpc.clone()))?.0)
            }
            PeerRef::Label(l) => match self.labels.prefix_lists.get(l) {
                Some((id, _)) => RulePeer::PrefixList(*id),
                None => {
                    let kind = "security group or prefix list";
                    RulePeer::Group(find(&self.labels.groups, l, kind, l)?.0)
                }
            },
        })
    }

    /// A prefix list and its owner.
    pub(in crate::scenario) fn prefix_list(
        &self,
        list: &PrefixListRef,
    ) -> Result<(PrefixListId, Caller), Trouble> {
        match list {
            PrefixListRef::Label(l) => find(&self.labels.prefix_lists, l, "prefix list", l),
            PrefixListRef::Id(id) => {
                let known = self.sim.cloud().prefix_list(*id);
                let owner = known.map(|l| Caller { account: l.owner, region: l.region.clone() });
                Ok((*id, owner.unwrap_or_else(|| self.nobody())))
            }
        }
    }

    pub(in crate::scenario) fn acl(&self, acl: &AclRef) -> Result<NetworkAclId, Trouble> {
        let vpc = self.vpc(&acl.vpc)?;
        match &acl.name {
            AclName::Label(label) => {
                let key = (vpc, label.clone());
                find(&self.labels.acls, &key, "network ACL", acl)
            }
            AclName::Default => {
                let default = self.sim.cloud().vpc(vpc).map(|vpc| vpc.default_acl());
                let absent = || Trouble::Absent { kind: "VPC", label: acl.vpc.to_string() };
                default.ok_or_else(absent)
            }
        }
    }

    /// Who asks about what nobody has.
    fn nobody(&self) -> Caller {
        Caller { account: self.account, region: Region::default() }
    }

    // ---- asking the cloud -----------------------------------------------------------------------

    pub(in crate::scenario) fn create_group(
        &mut self,
        vpc: VpcId,
        caller: &Caller,
        label: &Label,
    ) -> Result<SecurityGroupId, Trouble> {
        let name = label.to_string();
        let changes = self.ask(caller, &Command::CreateSecurityGroup { vpc, name })?;
        let id = made(changes, |c| {
            if let Change::SecurityGroupCreated { group, .. } = c { Some(group) } else { None }
        });
        self.labels.groups.insert(label.clone(), (id, vpc));
        self.name(caller, ResourceId::SecurityGroup(id), label)?;
        Ok(id)
    }

    pub(in crate::scenario) fn create_prefix_list(
        &mut self,
        caller: &Caller,
        label: &Label,
        entries: Vec<IpNet>,
    ) -> Result<(), Trouble> {
        let changes = self.ask(caller, &Command::CreateManagedPrefixList { entries })?;
        let id = made(changes, |c| {
            if let Change::PrefixListCreated { list, .. } = c { Some(list) } else { None }
        });
        self.labels.prefix_lists.insert(label.clone(), (id, caller.clone()));
        Ok(self.name(caller, ResourceId::PrefixList(id), label)?)
    }

    pub(in crate::scenario) fn create_acl(
        &mut self,
        vpc: VpcId,
        caller: &Caller,
        label: &Label,
    ) -> Result<NetworkAclId, Trouble> {
        let changes = self.ask(caller, &Command::CreateNetworkAcl { vpc })?;
        let id = made(changes, |c| {
            if let Change::NetworkAclCreated { acl, .. } = c { Some(acl) } else { None }
        });
        self.labels.acls.insert((vpc, label.clone()), id);
        self.name(caller, ResourceId::NetworkAcl(id), label)?;
        Ok(id)
    }

    // ---- the group that allows everything -------------------------------------------------------

    /// The groups that instances got because their file named none.
    pub(in crate::scenario) fn open_groups(&self) -> BTreeSet<SecurityGroupId> {
        self.open_groups.values().copied().collect()
    }

    /// The groups of a new interface: those named, else the VPC's open group, which is made when it
    /// is first needed. Somebody else than the VPC's owner is left to the cloud's answer.
    pub(in crate::scenario) fn groups_of_interface(
        &mut self,
        caller: &Caller,
        vpc: VpcId,
        named: Vec<SecurityGroupId>,
    ) -> Result<Vec<SecurityGroupId>, Trouble> {
        if !named.is_empty() || *caller != self.owner(vpc) || self.sim.cloud().vpc(vpc).is_none() {
            return Ok(named);
        }
        if let Some(open) = self.open_groups.get(&vpc) {
            return Ok(vec![*open]);
        }
        let command = Command::CreateSecurityGroup { vpc, name: OPEN.to_owned() };
        let changes = self.ask(caller, &command)?;
        let group = made(changes, |c| {
            if let Change::SecurityGroupCreated { group, .. } = c { Some(group) } else { None }
        });
        // What goes out is open from the start.
        let [v4, v6] = GroupRule::everybody();
        let mut rules = vec![v4];
        if self.sim.cloud().profile().has(Feature::Ipv6) {
            rules.push(v6);
        }
        self.ask(caller, &authorize(group, Direction::Ingress, rules))?;
        self.open_groups.insert(vpc, group);
        Ok(vec![group])
    }

    /// Deletes the open group of a VPC that is to be deleted: no file has named it, so it must not be
    /// in the way. While an interface has it, it stays, and the VPC with it.
    pub(in crate::scenario) fn close(&mut self, vpc: &VpcRef, caller: &Caller) {
        let Ok(vpc) = self.vpc(vpc) else { return };
        let Some(group) = self.open_groups.get(&vpc).copied() else { return };
        if self.ask(caller, &Command::DeleteSecurityGroup { group }).is_ok() {
            self.open_groups.remove(&vpc);
        }
    }
}
