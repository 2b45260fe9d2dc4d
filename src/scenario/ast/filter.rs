//! Security groups, prefix lists and network ACLs: declared ones, and what steps do with them.

use ipnet::IpNet;

use super::{AccountRef, AclRef, GroupRef, Label, PeerRef, PrefixListRef, SubnetRef, VpcRef};
use crate::base::diag::Spanned;
use crate::cloud::account::Region;
use crate::cloud::filter::{Direction, Traffic};
use crate::cloud::network_acl::{AclAction, RuleNumber};

/// A security group.
#[derive(Clone, PartialEq, Debug)]
pub struct SecurityGroup {
    /// What the file calls it; also its name in the cloud.
    pub label: Spanned<Label>,
    /// Its VPC.
    pub vpc: Spanned<VpcRef>,
    /// What it lets in; `None` is nothing.
    pub ingress: Option<Vec<Rule>>,
    /// What it lets out; `None` is everything, as in EC2.
    pub egress: Option<Vec<Rule>>,
}

/// A rule of a security group.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// What it allows.
    pub traffic: Spanned<Traffic>,
    /// From whom or to whom.
    pub peer: Spanned<PeerRef>,
}

/// A prefix list.
#[derive(Clone, PartialEq, Debug)]
pub struct PrefixList {
    /// What the file calls it.
    pub label: Spanned<Label>,
    /// Its blocks as written.
    pub entries: Vec<Spanned<IpNet>>,
    /// Its owner; `None` is whoever asks by `as`, else the file's only account.
    pub account: Option<Spanned<AccountRef>>,
    /// Its region; `None` is `us-east-1`.
    pub region: Option<Spanned<Region>>,
}

/// A network ACL. That of a VPC's birth is not new: entries that are given take the place of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct NetworkAcl {
    /// Its VPC and what that calls it.
    pub acl: Spanned<AclRef>,
    /// Its entries for what comes in; `None` leaves those it is born with.
    pub ingress: Option<Vec<AclEntry>>,
    /// Its entries for what goes out.
    pub egress: Option<Vec<AclEntry>>,
}

/// An entry of a network ACL.
#[derive(Clone, PartialEq, Debug)]
pub struct AclEntry {
    /// Its number.
    pub number: Spanned<RuleNumber>,
    /// What it does.
    pub action: AclAction,
    /// The traffic it is about.
    pub traffic: Spanned<Traffic>,
    /// The far end's block as written.
    pub block: Spanned<IpNet>,
}

/// What a step does about groups, prefix lists and ACLs.
#[derive(Clone, PartialEq, Debug)]
pub enum Filter {
    /// `create-security-group`.
    CreateSecurityGroup(CreateSecurityGroup),
    /// `delete-security-group`.
    DeleteSecurityGroup(Spanned<GroupRef>),
    /// `authorize-security-group-ingress` and `-egress`.
    Authorize(RuleOfGroup),
    /// `revoke-security-group-ingress` and `-egress`.
    Revoke(RuleOfGroup),
    /// `modify-security-groups` (`ModifyNetworkInterfaceAttribute`).
    ModifySecurityGroups(ModifySecurityGroups),
    /// `create-managed-prefix-list`.
    CreateManagedPrefixList(PrefixList),
    /// `modify-managed-prefix-list`.
    ModifyManagedPrefixList(ModifyPrefixList),
    /// `delete-managed-prefix-list`.
    DeleteManagedPrefixList(Spanned<PrefixListRef>),
    /// `create-network-acl`.
    CreateNetworkAcl(CreateNetworkAcl),
    /// `delete-network-acl`.
    DeleteNetworkAcl(Spanned<AclRef>),
    /// `create-network-acl-entry`.
    CreateNetworkAclEntry(EntryOfAcl),
    /// `replace-network-acl-entry`.
    ReplaceNetworkAclEntry(EntryOfAcl),
    /// `delete-network-acl-entry`.
    DeleteNetworkAclEntry(EntryKey),
    /// `replace-network-acl-association`.
    ReplaceNetworkAclAssociation(AclOfSubnet),
}

/// `create-security-group`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateSecurityGroup {
    /// What the file calls it; also its name in the cloud.
    pub name: Spanned<Label>,
    /// Its VPC.
    pub vpc: Spanned<VpcRef>,
}

/// A rule to add to a group or to take from it.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleOfGroup {
    /// The group.
    pub group: Spanned<GroupRef>,
    /// Of which list.
    pub direction: Direction,
    /// The rule.
    pub rule: Rule,
}

/// `modify-security-groups`.
#[derive(Clone, PartialEq, Debug)]
pub struct ModifySecurityGroups {
    /// The instance whose interface is meant.
    pub instance: Spanned<Label>,
    /// The groups it has from now on; at least one.
    pub groups: Vec<Spanned<GroupRef>>,
}

/// `modify-managed-prefix-list`.
#[derive(Clone, PartialEq, Debug)]
pub struct ModifyPrefixList {
    /// The list.
    pub list: Spanned<PrefixListRef>,
    /// Blocks to add.
    pub add: Vec<Spanned<IpNet>>,
    /// Blocks to remove.
    pub remove: Vec<Spanned<IpNet>>,
}

/// `create-network-acl`.
#[derive(Clone, PartialEq, Debug)]
pub struct CreateNetworkAcl {
    /// The VPC.
    pub vpc: Spanned<VpcRef>,
    /// What the VPC calls the new list.
    pub name: Spanned<Label>,
}

/// An entry to put into a list.
#[derive(Clone, PartialEq, Debug)]
pub struct EntryOfAcl {
    /// The list.
    pub acl: Spanned<AclRef>,
    /// Of which direction.
    pub direction: Direction,
    /// The entry.
    pub entry: AclEntry,
}

/// An entry to take from a list.
#[derive(Clone, PartialEq, Debug)]
pub struct EntryKey {
    /// The list.
    pub acl: Spanned<AclRef>,
    /// Of which direction.
    pub direction: Direction,
    /// Its number.
    pub number: Spanned<RuleNumber>,
}

/// A subnet and the list that is to guard it.
#[derive(Clone, PartialEq, Debug)]
pub struct AclOfSubnet {
    /// The subnet.
    pub subnet: Spanned<SubnetRef>,
    /// The list.
    pub acl: Spanned<AclRef>,
}
