//! The keys of security groups, prefix lists and network ACLs: declared ones and those of steps.

use super::leaf::{
    ACCOUNT, ACL, BLOCK, DIRECTION, GROUP, INSTANCE, LABEL, NONE, PEER, PREFIX_LIST as LIST,
    REGION, RULE_NUMBER, SUBNET, TRAFFIC, VPC,
};
use super::network::GROUPS;
use super::{Field, Mapping, Shape};

const ALLOW_FIELD: Field = Field::required(
    "allow",
    Shape::Leaf(&TRAFFIC),
    "the traffic: `all`, `tcp 443`, `udp 5000-5999`, `icmp`, `icmp 3/4`, `protocol 47`",
);
const FROM_FIELD: Field = Field::required(
    "from",
    Shape::Leaf(&PEER),
    "whose packets come in: a block, a security group or a prefix list",
);
const TO_FIELD: Field = Field::required(
    "to",
    Shape::Leaf(&PEER),
    "to whom packets go out: a block, a security group or a prefix list",
);

/// A rule for what comes in.
pub static INGRESS_RULE: Mapping = Mapping {
    name: "ingress-rule",
    what: "a rule for what comes in",
    doc: "What a security group lets in. There are only rules that allow.",
    fields: &[ALLOW_FIELD, FROM_FIELD],
    one_of: &[],
};

/// A rule for what goes out.
pub static EGRESS_RULE: Mapping = Mapping {
    name: "egress-rule",
    what: "a rule for what goes out",
    doc: "What a security group lets out. There are only rules that allow.",
    fields: &[ALLOW_FIELD, TO_FIELD],
    one_of: &[],
};

/// A security group.
pub static SECURITY_GROUP: Mapping = Mapping {
    name: "security-group",
    what: "a security group",
    doc: "A security group: what the interfaces that have it let in and out. Answers always pass.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC it belongs to"),
        Field::optional(
            "ingress",
            Shape::Either(&[Shape::Leaf(&NONE), Shape::List(&Shape::Mapping(&INGRESS_RULE))]),
            "`none`",
            "what it lets in: rules, or `none`",
        ),
        Field::optional(
            "egress",
            Shape::Either(&[Shape::Leaf(&NONE), Shape::List(&Shape::Mapping(&EGRESS_RULE))]),
            "everything",
            "what it lets out: rules, or `none`",
        ),
    ],
    one_of: &[],
};

/// A prefix list with an owner.
pub static PREFIX_LIST: Mapping = Mapping {
    name: "prefix-list",
    what: "a prefix list",
    doc: "A prefix list: blocks under one name, for the rules of its owner's security groups.",
    fields: &[ENTRIES_FIELD, ACCOUNT_FIELD, REGION_FIELD],
    one_of: &[],
};

const BLOCKS: Shape = Shape::List(&Shape::Leaf(&BLOCK));
const ENTRIES_FIELD: Field = Field::required("entries", BLOCKS, "its blocks");
const ACCOUNT_FIELD: Field = Field::optional(
    "account",
    Shape::Leaf(&ACCOUNT),
    "whoever asks, else the file's only account",
    "its owner",
);
const REGION_FIELD: Field =
    Field::optional("region", Shape::Leaf(&REGION), "`us-east-1`", "its region");

const fn deeds(doc: [&'static str; 2]) -> [Field; 2] {
    let [allow, deny] = doc;
    [
        Field::optional("allow", Shape::Leaf(&TRAFFIC), "none", allow),
        Field::optional("deny", Shape::Leaf(&TRAFFIC), "none", deny),
    ]
}
static DEEDS: [Field; 2] = deeds([
    "the traffic that passes; its ports are those of the destination",
    "the traffic that does not",
]);

/// An entry for what comes in.
pub static INGRESS_ENTRY: Mapping = Mapping {
    name: "ingress-entry",
    what: "an entry for what comes in",
    doc: "An entry of a network ACL for what enters a subnet.",
    fields: &[Field::required("from", Shape::Leaf(&BLOCK), "block of the source")],
    one_of: &DEEDS,
};

/// An entry for what goes out.
pub static EGRESS_ENTRY: Mapping = Mapping {
    name: "egress-entry",
    what: "an entry for what goes out",
    doc: "An entry of a network ACL for what leaves a subnet.",
    fields: &[Field::required("to", Shape::Leaf(&BLOCK), "block of the destination")],
    one_of: &DEEDS,
};

/// A network ACL.
pub static NETWORK_ACL: Mapping = Mapping {
    name: "network-acl",
    what: "a network ACL",
    doc: "A network ACL: numbered entries at the boundary of a subnet. The lowest number that \
          matches decides, and what none matches is denied. Answers are judged like anything else.",
    fields: &[
        Field::optional(
            "ingress",
            Shape::Map { key: &RULE_NUMBER, value: &Shape::Mapping(&INGRESS_ENTRY) },
            "none; of `VPC/default`: everything is allowed",
            "its entries for what comes in, by number",
        ),
        Field::optional(
            "egress",
            Shape::Map { key: &RULE_NUMBER, value: &Shape::Mapping(&EGRESS_ENTRY) },
            "none; of `VPC/default`: everything is allowed",
            "its entries for what goes out, by number",
        ),
    ],
    one_of: &[],
};

/// `create-security-group`.
pub static CREATE_SECURITY_GROUP: Mapping = Mapping {
    name: "create-security-group",
    what: "`create-security-group`",
    doc: "`CreateSecurityGroup`: nothing comes in, everything goes out.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC"),
        Field::required("name", Shape::Leaf(&LABEL), "label of the new group, and its name"),
    ],
    one_of: &[],
};

const GROUP_FIELD: Field = Field::required("group", Shape::Leaf(&GROUP), "the group");

/// `authorize-security-group-ingress` and `revoke-security-group-ingress`.
pub static INGRESS_OF_GROUP: Mapping = Mapping {
    name: "ingress-of-group",
    what: "a rule of a group for what comes in",
    doc: "`AuthorizeSecurityGroupIngress` and `RevokeSecurityGroupIngress`.",
    fields: &[GROUP_FIELD, ALLOW_FIELD, FROM_FIELD],
    one_of: &[],
};

/// `authorize-security-group-egress` and `revoke-security-group-egress`.
pub static EGRESS_OF_GROUP: Mapping = Mapping {
    name: "egress-of-group",
    what: "a rule of a group for what goes out",
    doc: "`AuthorizeSecurityGroupEgress` and `RevokeSecurityGroupEgress`.",
    fields: &[GROUP_FIELD, ALLOW_FIELD, TO_FIELD],
    one_of: &[],
};

/// `modify-security-groups`.
pub static MODIFY_SECURITY_GROUPS: Mapping = Mapping {
    name: "modify-security-groups",
    what: "`modify-security-groups`",
    doc: "`ModifyNetworkInterfaceAttribute`.",
    fields: &[
        Field::required("instance", Shape::Leaf(&INSTANCE), "the instance"),
        Field::required(
            "groups",
            GROUPS,
            "the group, or list of groups, that its interface has from now on",
        ),
    ],
    one_of: &[],
};

/// `create-managed-prefix-list`.
pub static CREATE_PREFIX_LIST: Mapping = Mapping {
    name: "create-managed-prefix-list",
    what: "`create-managed-prefix-list`",
    doc: "`CreateManagedPrefixList`.",
    fields: &[
        Field::required("name", Shape::Leaf(&LABEL), "label of the new list"),
        ENTRIES_FIELD,
        ACCOUNT_FIELD,
        REGION_FIELD,
    ],
    one_of: &[],
};

/// `modify-managed-prefix-list`.
pub static MODIFY_PREFIX_LIST: Mapping = Mapping {
    name: "modify-managed-prefix-list",
    what: "`modify-managed-prefix-list`",
    doc: "`ModifyManagedPrefixList`.",
    fields: &[
        Field::required("list", Shape::Leaf(&LIST), "the list"),
        Field::optional("add", Shape::List(&Shape::Leaf(&BLOCK)), "none", "blocks to add"),
        Field::optional("remove", Shape::List(&Shape::Leaf(&BLOCK)), "none", "blocks to remove"),
    ],
    one_of: &[],
};

/// `create-network-acl`.
pub static CREATE_NETWORK_ACL: Mapping = Mapping {
    name: "create-network-acl",
    what: "`create-network-acl`",
    doc: "`CreateNetworkAcl`: everything is denied.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC"),
        Field::required("name", Shape::Leaf(&LABEL), "label of the new list"),
    ],
    one_of: &[],
};

const ACL_FIELD: Field = Field::required("acl", Shape::Leaf(&ACL), "the list");
const NUMBER_FIELD: Field =
    Field::required("number", Shape::Leaf(&RULE_NUMBER), "number of the entry");

/// `create-network-acl-entry` and `replace-network-acl-entry`.
pub static ENTRY_OF_ACL: Mapping = Mapping {
    name: "entry-of-acl",
    what: "an entry of a network ACL",
    doc: "`CreateNetworkAclEntry` and `ReplaceNetworkAclEntry`.",
    fields: &[
        ACL_FIELD,
        NUMBER_FIELD,
        Field::optional(
            "from",
            Shape::Leaf(&BLOCK),
            "it is for what goes out",
            "block of the source, of what comes in; this or `to` is needed",
        ),
        Field::optional(
            "to",
            Shape::Leaf(&BLOCK),
            "it is for what comes in",
            "block of the destination, of what goes out; this or `from` is needed",
        ),
    ],
    one_of: &DEEDS,
};

/// `delete-network-acl-entry`.
pub static ENTRY_KEY: Mapping = Mapping {
    name: "delete-network-acl-entry",
    what: "`delete-network-acl-entry`",
    doc: "`DeleteNetworkAclEntry`.",
    fields: &[
        ACL_FIELD,
        Field::required("direction", Shape::Leaf(&DIRECTION), "`ingress` or `egress`"),
        NUMBER_FIELD,
    ],
    one_of: &[],
};

/// `replace-network-acl-association`.
pub static ACL_OF_SUBNET: Mapping = Mapping {
    name: "replace-network-acl-association",
    what: "`replace-network-acl-association`",
    doc: "`ReplaceNetworkAclAssociation`.",
    fields: &[
        Field::required("subnet", Shape::Leaf(&SUBNET), "the subnet"),
        Field::required("acl", Shape::Leaf(&ACL), "the list that is to guard it"),
    ],
    one_of: &[],
};
