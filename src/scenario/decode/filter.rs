//! Security groups, prefix lists and network ACLs: declared ones and those of steps.

use ipnet::IpNet;

use super::{Decoder, Fields, word};
use crate::base::diag::{Diagnostic, Place, Spanned};
use crate::cloud::filter::{Direction, Traffic};
use crate::cloud::network_acl::AclAction;
use crate::scenario::ast::{
    AclEntry, AclOfSubnet, CreateNetworkAcl, CreateSecurityGroup, EntryKey, EntryOfAcl, Filter,
    Label, ModifyPrefixList, ModifySecurityGroups, NetworkAcl, PrefixList, Rule, RuleOfGroup,
    SecurityGroup,
};
use crate::scenario::code;
use crate::scenario::format::{
    ACL_OF_SUBNET, CREATE_NETWORK_ACL, CREATE_PREFIX_LIST, CREATE_SECURITY_GROUP, EGRESS_ENTRY,
    EGRESS_OF_GROUP, EGRESS_RULE, ENTRY_KEY, ENTRY_OF_ACL, INGRESS_ENTRY, INGRESS_OF_GROUP,
    INGRESS_RULE, MODIFY_PREFIX_LIST, MODIFY_SECURITY_GROUPS, NETWORK_ACL, PREFIX_LIST,
    SECURITY_GROUP,
};
use crate::scenario::yaml::{Entry, Node, Value};

/// The key of the far end, by direction.
const fn far_key(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}

impl Decoder<'_> {
    pub(super) fn security_group(
        &mut self,
        label: Spanned<Label>,
        node: &Node,
    ) -> Option<SecurityGroup> {
        let fields = Fields::of(node, &SECURITY_GROUP);
        let vpc = fields.get("vpc").and_then(|n| self.read(n));
        let ingress = fields.get("ingress").map(|n| self.rules(n, Direction::Ingress));
        let egress = fields.get("egress").map(|n| self.rules(n, Direction::Egress));
        Some(SecurityGroup { label, vpc: vpc?, ingress, egress })
    }

    /// Rules, or the word `none`, the only one that shape lets through.
    fn rules(&mut self, node: &Node, direction: Direction) -> Vec<Rule> {
        let Value::List(items) = &node.value else { return Vec::new() };
        let mapping = match direction {
            Direction::Ingress => &INGRESS_RULE,
            Direction::Egress => &EGRESS_RULE,
        };
        items.iter().filter_map(|n| self.rule(&Fields::of(n, mapping), direction)).collect()
    }

    fn rule(&mut self, fields: &Fields<'_>, direction: Direction) -> Option<Rule> {
        let traffic = fields.get("allow").and_then(|n| self.read(n));
        let peer = fields.get(far_key(direction)).and_then(|n| self.read(n));
        Some(Rule { traffic: traffic?, peer: peer? })
    }

    pub(super) fn prefix_list(&mut self, label: Spanned<Label>, node: &Node) -> Option<PrefixList> {
        match &node.value {
            Value::List(_) => {
                let entries = self.read_all(node);
                Some(PrefixList { label, entries, account: None, region: None })
            }
            _ => self.owned_prefix_list(label, &Fields::of(node, &PREFIX_LIST)),
        }
    }

    fn owned_prefix_list(
        &mut self,
        label: Spanned<Label>,
        fields: &Fields<'_>,
    ) -> Option<PrefixList> {
        let entries = fields.get("entries").map(|n| self.read_all(n)).unwrap_or_default();
        let account = fields.get("account").and_then(|n| self.read(n));
        let region = fields.get("region").and_then(|n| self.read(n));
        Some(PrefixList { label, entries, account, region })
    }

    pub(super) fn network_acl(&mut self, entry: &Entry) -> Option<NetworkAcl> {
        let acl = self.read_text(&entry.key, entry.key_place);
        let fields = Fields::of(&entry.value, &NETWORK_ACL);
        let ingress = fields.get("ingress").map(|n| self.entries_of(n, Direction::Ingress));
        let egress = fields.get("egress").map(|n| self.entries_of(n, Direction::Egress));
        Some(NetworkAcl { acl: acl?, ingress, egress })
    }

    fn entries_of(&mut self, node: &Node, direction: Direction) -> Vec<AclEntry> {
        let Value::Mapping(entries) = &node.value else { return Vec::new() };
        let mapping = match direction {
            Direction::Ingress => &INGRESS_ENTRY,
            Direction::Egress => &EGRESS_ENTRY,
        };
        let one = |entry: &Entry| {
            let number = self.read_text(&entry.key, entry.key_place);
            let fields = Fields::of(&entry.value, mapping);
            let block = fields.get(far_key(direction)).and_then(|n| self.read(n));
            let (action, traffic) = self.deed(&fields)?;
            Some(AclEntry { number: number?, action, traffic, block: block? })
        };
        entries.iter().filter_map(one).collect()
    }

    /// What an entry does, and with which traffic.
    fn deed(&mut self, fields: &Fields<'_>) -> Option<(AclAction, Spanned<Traffic>)> {
        let (field, _) = fields.one_of()?;
        let action = match field.key {
            "allow" => AclAction::Allow,
            _ => AclAction::Deny,
        };
        Some((action, fields.get(field.key).and_then(|n| self.read(n))?))
    }

    /// The action of a step, if it is one about groups, prefix lists or ACLs.
    pub(super) fn filter(&mut self, key: &'static str, step: &Entry) -> Option<Filter> {
        use Direction::{Egress, Ingress};
        let node = &step.value;
        Some(match key {
            "create-security-group" => {
                let fields = Fields::of(node, &CREATE_SECURITY_GROUP);
                let vpc = fields.get("vpc").and_then(|n| self.read(n));
                let name = fields.get("name").and_then(|n| self.read(n));
                Filter::CreateSecurityGroup(CreateSecurityGroup { name: name?, vpc: vpc? })
            }
            "delete-security-group" => Filter::DeleteSecurityGroup(self.read(node)?),
            "authorize-security-group-ingress" => {
                Filter::Authorize(self.rule_of_group(node, Ingress)?)
            }
            "authorize-security-group-egress" => {
                Filter::Authorize(self.rule_of_group(node, Egress)?)
            }
            "revoke-security-group-ingress" => Filter::Revoke(self.rule_of_group(node, Ingress)?),
            "revoke-security-group-egress" => Filter::Revoke(self.rule_of_group(node, Egress)?),
            "modify-security-groups" => {
                let fields = Fields::of(node, &MODIFY_SECURITY_GROUPS);
                let instance = fields.get("instance").and_then(|n| self.read(n));
                let groups = fields.get("groups").map(|n| self.read_all(n)).unwrap_or_default();
                let instance = instance?;
                Filter::ModifySecurityGroups(ModifySecurityGroups { instance, groups })
            }
            "create-managed-prefix-list" => {
                let fields = Fields::of(node, &CREATE_PREFIX_LIST);
                let name = fields.get("name").and_then(|n| self.read(n));
                Filter::CreateManagedPrefixList(self.owned_prefix_list(name?, &fields)?)
            }
            "modify-managed-prefix-list" => {
                let fields = Fields::of(node, &MODIFY_PREFIX_LIST);
                let list = fields.get("list").and_then(|n| self.read(n));
                let add = fields.get("add").map(|n| self.read_all(n)).unwrap_or_default();
                let remove = fields.get("remove").map(|n| self.read_all(n)).unwrap_or_default();
                Filter::ModifyManagedPrefixList(ModifyPrefixList { list: list?, add, remove })
            }
            "delete-managed-prefix-list" => Filter::DeleteManagedPrefixList(self.read(node)?),
            "create-network-acl" => {
                let fields = Fields::of(node, &CREATE_NETWORK_ACL);
                let vpc = fields.get("vpc").and_then(|n| self.read(n));
                let name = fields.get("name").and_then(|n| self.read(n));
                Filter::CreateNetworkAcl(CreateNetworkAcl { vpc: vpc?, name: name? })
            }
            "delete-network-acl" => Filter::DeleteNetworkAcl(self.read(node)?),
            "create-network-acl-entry" => {
                Filter::CreateNetworkAclEntry(self.entry_of_acl(node, step.key_place)?)
            }
            "replace-network-acl-entry" => {
                Filter::ReplaceNetworkAclEntry(self.entry_of_acl(node, step.key_place)?)
            }
            "delete-network-acl-entry" => {
                let fields = Fields::of(node, &ENTRY_KEY);
                let acl = fields.get("acl").and_then(|n| self.read(n));
                let direction = fields.get("direction").and_then(|n| word(n, Direction::from_name));
                let number = fields.get("number").and_then(|n| self.read(n));
                let (acl, direction) = (acl?, direction?.value);
                Filter::DeleteNetworkAclEntry(EntryKey { acl, direction, number: number? })
            }
            "replace-network-acl-association" => {
                let fields = Fields::of(node, &ACL_OF_SUBNET);
                let subnet = fields.get("subnet").and_then(|n| self.read(n));
                let acl = fields.get("acl").and_then(|n| self.read(n));
                let pair = AclOfSubnet { subnet: subnet?, acl: acl? };
                Filter::ReplaceNetworkAclAssociation(pair)
            }
            _ => return None,
        })
    }

    fn rule_of_group(&mut self, node: &Node, direction: Direction) -> Option<RuleOfGroup> {
        let mapping = match direction {
            Direction::Ingress => &INGRESS_OF_GROUP,
            Direction::Egress => &EGRESS_OF_GROUP,
        };
        let fields = Fields::of(node, mapping);
        let group = fields.get("group").and_then(|n| self.read(n));
        let rule = self.rule(&fields, direction);
        Some(RuleOfGroup { group: group?, direction, rule: rule? })
    }

    fn entry_of_acl(&mut self, node: &Node, owner: Place) -> Option<EntryOfAcl> {
        let fields = Fields::of(node, &ENTRY_OF_ACL);
        let acl = fields.get("acl").and_then(|n| self.read(n));
        let number = fields.get("number").and_then(|n| self.read(n));
        let far = self.far(&fields, owner);
        let (action, traffic) = self.deed(&fields)?;
        let (direction, block) = far?;
        let entry = AclEntry { number: number?, action, traffic, block };
        Some(EntryOfAcl { acl: acl?, direction, entry })
    }

    /// The far end of an entry, whose key tells the direction.
    fn far(&mut self, fields: &Fields<'_>, owner: Place) -> Option<(Direction, Spanned<IpNet>)> {
        match (fields.entry("from"), fields.entry("to")) {
            (Some(from), None) => Some((Direction::Ingress, self.read(&from.value)?)),
            (None, Some(to)) => Some((Direction::Egress, self.read(&to.value)?)),
            (Some(from), Some(to)) => {
                let message = "an entry is for what comes in or for what goes out, not for both";
                self.diagnostics.push(
                    Diagnostic::at(to.key_place, code::COMBINATION, message)
                        .also(from.key_place, "the other one")
                        .help("`from` is for what comes in, `to` for what goes out"),
                );
                None
            }
            (None, None) => {
                let message = "an entry of a network ACL needs `from` or `to`";
                self.diagnostics.push(
                    Diagnostic::at(owner, code::MISSING_KEY, message)
                        .help("`from` is for what comes in, `to` for what goes out"),
                );
                None
            }
        }
    }
}
