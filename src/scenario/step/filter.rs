//! Steps about security groups, prefix lists and network ACLs, and what they are called.

use super::{Desk, Doing, Shown, Undone};
use crate::base::id::VpcId;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::filter::Direction;
use crate::cloud::network_acl::AclEntry;
use crate::cloud::refusal::Refusal;
use crate::cloud::security_group::GroupRule;
use crate::scenario::ast::{self, EntryOfAcl, Filter, Rule, RuleOfGroup, VpcRef};
use crate::scenario::stage::{authorize, revoke};

const ASKED: Doing = Doing::Asked(Shown::Nothing);

impl Desk<'_> {
    pub(super) fn filter(&mut self, filter: &Filter) -> Result<Doing, Undone> {
        match filter {
            Filter::CreateSecurityGroup(new) => {
                let (vpc, caller) = self.asks_about(&new.vpc.value)?;
                self.stage.create_group(vpc, &caller, &new.name.value)?;
                Ok(ASKED)
            }
            Filter::DeleteSecurityGroup(group) => {
                let (group, owner) = self.stage.group(&group.value)?;
                self.asked_by(owner, &Command::DeleteSecurityGroup { group })
            }
            Filter::Authorize(RuleOfGroup { group, direction, rule }) => {
                let (group, owner) = self.stage.group(&group.value)?;
                let rules = vec![self.group_rule(rule)?];
                self.asked_by(owner, &authorize(group, *direction, rules))
            }
            Filter::Revoke(RuleOfGroup { group, direction, rule }) => {
                let (group, owner) = self.stage.group(&group.value)?;
                let rules = vec![self.group_rule(rule)?];
                self.asked_by(owner, &revoke(group, *direction, rules))
            }
            Filter::ModifySecurityGroups(modify) => {
                let known = self.stage.instance(&modify.instance.value)?;
                let groups = modify.groups.iter().map(|g| Ok(self.stage.group(&g.value)?.0));
                let groups = groups.collect::<Result<Vec<_>, Undone>>()?;
                let interface = known.interface;
                let command = Command::ModifyNetworkInterfaceGroups { interface, groups };
                self.about_vpc(known.vpc, &command)
            }
            Filter::CreateManagedPrefixList(new) => {
                let account = self.stage.account(new.account.as_ref().map(|a| &a.value))?;
                let region = new.region.as_ref().map(|r| r.value.clone()).unwrap_or_default();
                let caller = self.caller(Caller { account, region })?;
                let entries = new.entries.iter().map(|entry| entry.value).collect();
                self.stage.create_prefix_list(&caller, &new.label.value, entries)?;
                Ok(ASKED)
            }
            Filter::ModifyManagedPrefixList(modify) => {
                let (list, owner) = self.stage.prefix_list(&modify.list.value)?;
                let add = modify.add.iter().map(|entry| entry.value).collect();
                let remove = modify.remove.iter().map(|entry| entry.value).collect();
                self.asked_by(owner, &Command::ModifyManagedPrefixList { list, add, remove })
            }
            Filter::DeleteManagedPrefixList(list) => {
                let (list, owner) = self.stage.prefix_list(&list.value)?;
                self.asked_by(owner, &Command::DeleteManagedPrefixList { list })
            }
            Filter::CreateNetworkAcl(new) => {
                let (vpc, caller) = self.asks_about(&new.vpc.value)?;
                self.stage.create_acl(vpc, &caller, &new.name.value)?;
                Ok(ASKED)
            }
            Filter::DeleteNetworkAcl(acl) => {
                let command = Command::DeleteNetworkAcl { acl: self.stage.acl(&acl.value)? };
                self.about(&acl.value.vpc, &command)
            }
            Filter::CreateNetworkAclEntry(EntryOfAcl { acl, direction, entry }) => {
                let (id, number) = (self.stage.acl(&acl.value)?, entry.number.value);
                let (direction, entry) = (*direction, acl_entry(entry));
                let command = Command::CreateNetworkAclEntry { acl: id, direction, number, entry };
                self.about(&acl.value.vpc, &command)
            }
            Filter::ReplaceNetworkAclEntry(EntryOfAcl { acl, direction, entry }) => {
                let (id, number) = (self.stage.acl(&acl.value)?, entry.number.value);
                let (direction, entry) = (*direction, acl_entry(entry));
                let command = Command::ReplaceNetworkAclEntry { acl: id, direction, number, entry };
                self.about(&acl.value.vpc, &command)
            }
            Filter::DeleteNetworkAclEntry(key) => {
                let (acl, direction) = (self.stage.acl(&key.acl.value)?, key.direction);
                let number = key.number.value;
                let command = Command::DeleteNetworkAclEntry { acl, direction, number };
                self.about(&key.acl.value.vpc, &command)
            }
            Filter::ReplaceNetworkAclAssociation(pair) => {
                let subnet = self.stage.subnet(&pair.subnet.value)?;
                let acl = self.stage.acl(&pair.acl.value)?;
                let known = self.stage.sim.cloud().subnet(subnet);
                let (association, _) = known.ok_or(Refusal::SubnetNotFound(subnet))?.acl();
                let command = Command::ReplaceNetworkAclAssociation { association, acl };
                self.about(&pair.subnet.value.vpc, &command)
            }
        }
    }

    fn asked_by(&mut self, owner: Caller, command: &Command) -> Result<Doing, Undone> {
        let caller = self.caller(owner)?;
        self.stage.ask(&caller, command)?;
        Ok(ASKED)
    }

    fn asks_about(&self, vpc: &VpcRef) -> Result<(VpcId, Caller), Undone> {
        let vpc = self.stage.vpc(vpc)?;
        Ok((vpc, self.caller(self.stage.owner(vpc))?))
    }

    fn group_rule(&self, rule: &Rule) -> Result<GroupRule, Undone> {
        let peer = self.stage.rule_peer(&rule.peer.value)?;
        Ok(GroupRule { traffic: rule.traffic.value, peer })
    }
}

/// An entry as the cloud takes it.
pub(in crate::scenario) fn acl_entry(entry: &ast::AclEntry) -> AclEntry {
    let ast::AclEntry { action, traffic, block, .. } = entry;
    AclEntry { traffic: traffic.value, block: block.value, action: *action }
}

/// What such a step does, in a line.
pub(super) fn words(filter: &Filter) -> String {
    match filter {
        Filter::CreateSecurityGroup(new) => {
            format!("create-security-group {} in {}", new.name.value, new.vpc.value)
        }
        Filter::DeleteSecurityGroup(group) => format!("delete-security-group {}", group.value),
        Filter::Authorize(rule) => rule_words("authorize", rule),
        Filter::Revoke(rule) => rule_words("revoke", rule),
        Filter::ModifySecurityGroups(modify) => {
            let groups: Vec<_> = modify.groups.iter().map(|g| g.value.to_string()).collect();
            format!("modify-security-groups {}: {}", modify.instance.value, groups.join(", "))
        }
        Filter::CreateManagedPrefixList(new) => {
            format!("create-managed-prefix-list {}", new.label.value)
        }
        Filter::ModifyManagedPrefixList(modify) => {
            let list = &modify.list.value;
            let (add, remove) = (modify.add.len(), modify.remove.len());
            format!("modify-managed-prefix-list {list}: {add} added, {remove} removed")
        }
        Filter::DeleteManagedPrefixList(list) => {
            format!("delete-managed-prefix-list {}", list.value)
        }
        Filter::CreateNetworkAcl(new) => {
            format!("create-network-acl {}/{}", new.vpc.value, new.name.value)
        }
        Filter::DeleteNetworkAcl(acl) => format!("delete-network-acl {}", acl.value),
        Filter::CreateNetworkAclEntry(entry) => entry_words("create", entry),
        Filter::ReplaceNetworkAclEntry(entry) => entry_words("replace", entry),
        Filter::DeleteNetworkAclEntry(key) => {
            let (acl, direction, number) = (&key.acl.value, key.direction, key.number.value);
            format!("delete-network-acl-entry {acl}: {direction} {number}")
        }
        Filter::ReplaceNetworkAclAssociation(pair) => {
            format!(
                "replace-network-acl-association of {} by {}",
                pair.subnet.value, pair.acl.value
            )
        }
    }
}

const fn towards(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}

fn rule_words(verb: &str, of: &RuleOfGroup) -> String {
    let RuleOfGroup { group, direction, rule } = of;
    let (group, traffic, peer) = (&group.value, rule.traffic.value, &rule.peer.value);
    let towards = towards(*direction);
    format!("{verb}-security-group-{direction} {group}: {traffic} {towards} {peer}")
}

fn entry_words(verb: &str, of: &EntryOfAcl) -> String {
    let EntryOfAcl { acl, direction, entry } = of;
    let (acl, number, action) = (&acl.value, entry.number.value, entry.action.name());
    let (traffic, towards, block) = (entry.traffic.value, towards(*direction), entry.block.value);
    format!(
        "{verb}-network-acl-entry {acl}: {direction} {number} {action} {traffic} {towards} {block}"
    )
}
