//! The labels of security groups, prefix lists and network ACLs, and those that they use.

use super::scope::Kind;
use super::{Names, part};
use crate::base::diag::{Diagnostic, Place, Spanned};
use crate::scenario::ast::{
    AclName, AclRef, Filter, GroupRef, Network, NetworkAcl, PeerRef, PrefixList, PrefixListRef,
    Rule, RuleOfGroup, SecurityGroup, VpcRef,
};
use crate::scenario::code;

impl Names<'_> {
    /// Introduces what the network declares: the order of its keys does not matter.
    pub(super) fn declare_filters(&mut self, network: &Network) {
        for group in &network.security_groups {
            self.scope.introduces(Kind::Group, group.label.value.as_str(), group.label.place);
        }
        for list in &network.prefix_lists {
            self.scope.introduces(Kind::PrefixList, list.label.value.as_str(), list.label.place);
        }
        for NetworkAcl { acl: Spanned { value, place }, .. } in &network.network_acls {
            // The one that a VPC was born with is no new one.
            if let (VpcRef::Label(vpc), AclName::Label(label)) = (&value.vpc, &value.name) {
                self.scope.introduces(Kind::Acl, &part(vpc, label), *place);
            }
        }
    }

    /// What declared groups, lists and ACLs use.
    pub(super) fn filters(&mut self, network: &Network) {
        for group in &network.security_groups {
            self.declared_group(group);
        }
        for list in &network.prefix_lists {
            self.owner(list.account.as_ref(), &list.label, "prefix list");
        }
        for acl in &network.network_acls {
            match &acl.acl.value.vpc {
                VpcRef::Id(id) => self.scope.id_in_network(&id.to_string(), acl.acl.place),
                vpc => self.vpc_ref(vpc, acl.acl.place),
            }
        }
    }

    fn declared_group(&mut self, group: &SecurityGroup) {
        match &group.vpc.value {
            VpcRef::Id(id) => self.scope.id_in_network(&id.to_string(), group.vpc.place),
            vpc => self.vpc_ref(vpc, group.vpc.place),
        }
        for rule in group.ingress.iter().chain(&group.egress).flatten() {
            let place = rule.peer.place;
            match &rule.peer.value {
                PeerRef::Group(id) => self.scope.id_in_network(&id.to_string(), place),
                PeerRef::PrefixList(id) => self.scope.id_in_network(&id.to_string(), place),
                _ => self.rule(rule),
            }
        }
    }

    pub(super) fn filter(&mut self, filter: &Filter, has_asker: bool) {
        match filter {
            Filter::CreateSecurityGroup(new) => self.vpc_ref(&new.vpc.value, new.vpc.place),
            Filter::DeleteSecurityGroup(group) => self.group(group),
            Filter::Authorize(RuleOfGroup { group, rule, .. })
            | Filter::Revoke(RuleOfGroup { group, rule, .. }) => {
                self.group(group);
                self.rule(rule);
            }
            Filter::ModifySecurityGroups(modify) => {
                self.instance_label(&modify.instance);
                modify.groups.iter().for_each(|group| self.group(group));
            }
            Filter::CreateManagedPrefixList(new) => self.new_prefix_list(new, has_asker),
            Filter::ModifyManagedPrefixList(modify) => self.prefix_list(&modify.list),
            Filter::DeleteManagedPrefixList(list) => self.prefix_list(list),
            Filter::CreateNetworkAcl(new) => {
                self.vpc_ref(&new.vpc.value, new.vpc.place);
                let label = &new.name;
                if let Ok(AclName::Default) = label.value.as_str().parse() {
                    let message = "`default` is the network ACL that a VPC was born with";
                    let diagnostic = Diagnostic::at(label.place, code::LABEL_TAKEN, message);
                    self.scope.push(diagnostic.help("choose another label"));
                }
            }
            Filter::DeleteNetworkAcl(acl) => self.acl(&acl.value, acl.place),
            Filter::CreateNetworkAclEntry(entry) | Filter::ReplaceNetworkAclEntry(entry) => {
                self.acl(&entry.acl.value, entry.acl.place);
            }
            Filter::DeleteNetworkAclEntry(key) => self.acl(&key.acl.value, key.acl.place),
            Filter::ReplaceNetworkAclAssociation(pair) => {
                self.subnet(&pair.subnet);
                self.acl(&pair.acl.value, pair.acl.place);
            }
        }
    }

    fn new_prefix_list(&mut self, new: &PrefixList, has_asker: bool) {
        if new.account.is_some() || !has_asker {
            self.owner(new.account.as_ref(), &new.label, "prefix list");
        }
    }

    fn rule(&mut self, rule: &Rule) {
        let place = rule.peer.place;
        match &rule.peer.value {
            PeerRef::Label(label) => {
                self.scope.uses_any(&[Kind::Group, Kind::PrefixList], label.as_str(), place);
            }
            PeerRef::DefaultOf(vpc) => self.vpc_ref(vpc, place),
            PeerRef::Block(_) | PeerRef::Group(_) | PeerRef::PrefixList(_) => {}
        }
    }

    pub(super) fn group(&mut self, group: &Spanned<GroupRef>) {
        match &group.value {
            GroupRef::Label(label) => self.scope.uses(Kind::Group, label.as_str(), group.place),
            GroupRef::DefaultOf(vpc) => self.vpc_ref(vpc, group.place),
            GroupRef::Id(_) => {}
        }
    }

    fn prefix_list(&mut self, list: &Spanned<PrefixListRef>) {
        if let PrefixListRef::Label(label) = &list.value {
            self.scope.uses(Kind::PrefixList, label.as_str(), list.place);
        }
    }

    fn acl(&mut self, acl: &AclRef, place: Place) {
        match &acl.name {
            AclName::Default => self.vpc_ref(&acl.vpc, place),
            AclName::Label(label) => self.part_of(&[Kind::Acl], &acl.vpc, label, place),
        }
    }
}
