//! Declared security groups, prefix lists and network ACLs become commands.
//!
//! Groups and lists are made before the instances that have them; rules come after the peerings,
//! because one may name a group of a peer.

use super::Builder;
use crate::base::diag::{Diagnostic, Place, Spanned};
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::filter::Direction;
use crate::cloud::profile::Profile;
use crate::cloud::refusal::Refusal;
use crate::cloud::security_group::GroupRule;
use crate::scenario::ast::{
    self, AclName, AclRef, GroupRef, Label, Rule, SecurityGroup, SubnetRef, VpcRef,
};
use crate::scenario::code;
use crate::scenario::stage::{Trouble, authorize, revoke};
use crate::scenario::step::acl_entry;

impl Builder<'_> {
    /// Makes them, empty.
    pub(super) fn groups(&mut self) {
        for group in &self.network.security_groups {
            let Ok(vpc) = self.stage.vpc(&group.vpc.value) else { continue };
            let caller = self.stage.owner(vpc);
            let label = &group.label;
            if let Err(trouble) = self.stage.create_group(vpc, &caller, &label.value) {
                self.report(label.place, "this security group", &trouble);
            }
        }
    }

    pub(super) fn prefix_lists(&mut self) {
        for list in &self.network.prefix_lists {
            let account = self.stage.account(list.account.as_ref().map(|a| &a.value));
            let Ok(account) = account else { continue };
            let region = list.region.as_ref().map(|r| r.value.clone()).unwrap_or_default();
            let entries = list.entries.iter().map(|entry| entry.value).collect();
            let caller = Caller { account, region };
            let label = &list.label;
            if let Err(trouble) = self.stage.create_prefix_list(&caller, &label.value, entries) {
                self.report(label.place, "this prefix list", &trouble);
            }
        }
    }

    /// The lists with their entries. A VPC's own list is not made, but entries that are given take
    /// the place of those it was born with.
    pub(super) fn acls(&mut self) {
        for acl in &self.network.network_acls {
            let place = acl.acl.place;
            let Ok(vpc) = self.stage.vpc(&acl.acl.value.vpc) else { continue };
            let caller = self.stage.owner(vpc);
            let id = match &acl.acl.value.name {
                AclName::Default => self.stage.acl(&acl.acl.value),
                AclName::Label(label) => self.stage.create_acl(vpc, &caller, label),
            };
            let id = match id {
                Ok(id) => id,
                Err(trouble) => {
                    self.report(place, "this network ACL", &trouble);
                    continue;
                }
            };
            let lists = [(Direction::Ingress, &acl.ingress), (Direction::Egress, &acl.egress)];
            for (direction, entries) in lists {
                let Some(entries) = entries else { continue };
                let born_with = self.stage.sim.cloud().acl(id);
                let born_with: Vec<_> = born_with
                    .map(|acl| acl.entries(direction).keys().copied().collect())
                    .unwrap_or_default();
                for number in born_with {
                    let command = Command::DeleteNetworkAclEntry { acl: id, direction, number };
                    if let Err(refusal) = self.stage.ask(&caller, &command) {
                        self.report(place, "this network ACL", &refusal.into());
                    }
                }
                for entry in entries {
                    let (number, written) = (entry.number, acl_entry(entry));
                    let command = Command::CreateNetworkAclEntry {
                        acl: id,
                        direction,
                        number: number.value,
                        entry: written,
                    };
                    if let Err(refusal) = self.stage.ask(&caller, &command) {
                        self.refused_filter(number.place, "this entry", &refusal);
                    }
                }
            }
        }
    }

    /// Puts subnets behind the lists that they name.
    pub(super) fn acls_of_subnets(&mut self) {
        for vpc in &self.network.vpcs {
            for subnet in vpc.subnets.iter().flatten() {
                if let Some(acl) = &subnet.network_acl {
                    self.acl_of_subnet(&vpc.label.value, &subnet.label.value, acl);
                }
            }
        }
    }

    fn acl_of_subnet(&mut self, vpc: &Label, subnet: &Label, acl: &Spanned<AclName>) {
        let vpc = VpcRef::Label(vpc.clone());
        let Ok(id) = self.stage.vpc(&vpc) else { return };
        let list = self.stage.acl(&AclRef { vpc: vpc.clone(), name: acl.value.clone() });
        let subnet = self.stage.subnet(&SubnetRef { vpc, subnet: subnet.clone() });
        let (Ok(list), Ok(subnet)) = (list, subnet) else { return };
        let Some(known) = self.stage.sim.cloud().subnet(subnet) else { return };
        let (association, now) = known.acl();
        if now == list {
            return;
        }
        let command = Command::ReplaceNetworkAclAssociation { association, acl: list };
        if let Err(refusal) = self.stage.ask(&self.stage.owner(id), &command) {
            self.report(acl.place, "this association", &refusal.into());
        }
    }

    /// The rules of all groups. Egress rules that are given take the place of the one that lets
    /// everything out.
    pub(super) fn group_rules(&mut self) {
        for group in &self.network.security_groups {
            let known = self.stage.group(&GroupRef::Label(group.label.value.clone()));
            let Ok((id, caller)) = known else { continue };
            if group.egress.is_some() {
                let all = GroupRule::everybody().into();
                if let Err(refusal) = self.stage.ask(&caller, &revoke(id, Direction::Egress, all)) {
                    self.report(group.label.place, "this security group", &refusal.into());
                }
            }
            let lists = [(Direction::Ingress, &group.ingress), (Direction::Egress, &group.egress)];
            for (direction, rules) in lists {
                for rule in rules.iter().flatten() {
                    let Ok(peer) = self.stage.rule_peer(&rule.peer.value) else { continue };
                    let written = GroupRule { traffic: rule.traffic.value, peer };
                    let command = authorize(id, direction, vec![written]);
                    if let Err(refusal) = self.stage.ask(&caller, &command) {
                        self.refused_rule(group, rule, &refusal);
                    }
                }
            }
        }
    }

    fn refused_rule(&mut self, group: &SecurityGroup, rule: &Rule, refusal: &Refusal) {
        let peer = &rule.peer;
        match refusal {
            // The cloud would name them by ids, of which the file knows nothing.
            Refusal::GroupNotFound(_) | Refusal::GroupOfOtherVpc(_) => {
                let (named, vpc) = (&peer.value, &group.vpc.value);
                let message = format!(
                    "the cloud refuses this rule: `{named}` is a group of another VPC, which a group of `{vpc}` may not name"
                );
                let help = match self.stage.sim.cloud().profile() {
                    Profile::Seed => "name its block instead, or say `profile: today`",
                    Profile::Today => {
                        "there must be an active peering between the two in one region"
                    }
                };
                self.diagnostics.push(
                    Diagnostic::at(peer.place, code::REFUSED, message)
                        .note(format!("EC2 error code {}", refusal.code()))
                        .help(help),
                );
            }
            Refusal::PrefixListNotFound(_) => {
                let message = format!(
                    "the cloud refuses this rule: `{}` is a prefix list of another account or region",
                    peer.value
                );
                self.diagnostics.push(
                    Diagnostic::at(peer.place, code::REFUSED, message)
                        .note(format!("EC2 error code {}", refusal.code())),
                );
            }
            other => self.refused_filter(rule.traffic.place, "this rule", other),
        }
    }

    /// Complains about groups that the instance cannot have: they are of another VPC.
    pub(super) fn refused_groups(&mut self, instance: &ast::Instance) {
        let Some(first) = instance.groups.first() else { return };
        let label = &instance.label.value;
        let message = format!("`{label}` has a security group of another VPC than its own");
        self.diagnostics.push(
            Diagnostic::at(first.place, code::REFUSED, message)
                .note("EC2 error code InvalidGroup.NotFound"),
        );
    }

    fn refused_filter(&mut self, place: Place, what: &str, refusal: &Refusal) {
        match refusal {
            Refusal::UnknownParameter(_) => {
                let message =
                    format!("{what} is about IPv6, which the profile `seed` does not have");
                self.diagnostics.push(
                    Diagnostic::at(place, code::REFUSED, message)
                        .help("say `profile: today` in the scenario file"),
                );
            }
            other => self.report(place, what, &Trouble::from(other.clone())),
        }
    }
}
