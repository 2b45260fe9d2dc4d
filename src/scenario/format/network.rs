//! The keys of the declared network.

use super::leaf::{
    ACCOUNT as ACCOUNT_REF, ACCOUNT_ID, ACL_NAME, BIT_RATE, BLOCK, BOOLEAN, CHANCE, GROUP, IPV4,
    IPV4_BLOCK, IPV6, IPV6_BLOCK, LABEL, PUBLIC_IP, QUEUE, QUOTA, REGION, ROLE, SPAN,
    SUBNET as SUBNET_REF, TABLE, TARGET, TCP_PORT, VPC as VPC_REF, ZONE,
};
use super::{Field, Mapping, Shape};
use crate::cloud::quota::Quota;

/// An account.
pub static ACCOUNT: Mapping = Mapping {
    name: "account",
    what: "an account",
    doc: "An account: who owns VPCs and may ask for changes to them.",
    fields: &[
        Field::required("id", Shape::Leaf(&ACCOUNT_ID), "twelve digits, in quotes"),
        Field::optional(
            "quotas",
            Shape::Mapping(&QUOTAS),
            "the cloud's defaults",
            "quotas that differ from the defaults",
        ),
    ],
    one_of: &[],
};

const fn quota(quota: Quota, default: &'static str, doc: &'static str) -> Field {
    Field::optional(quota.name(), Shape::Leaf(&QUOTA), default, doc)
}

/// The quotas of an account, in the order of [`Quota::ALL`].
pub static QUOTAS: Mapping = Mapping {
    name: "quotas",
    what: "a set of quotas",
    doc: "How much an account may have.",
    fields: &[
        quota(Quota::VpcsPerRegion, "`1000`", "VPCs in one region"),
        quota(Quota::CidrsPerVpc, "`5`", "IPv4 blocks of one VPC, the primary one included"),
        quota(Quota::SubnetsPerVpc, "`200`", "subnets of one VPC"),
        quota(Quota::RouteTablesPerVpc, "`200`", "route tables of one VPC"),
        quota(Quota::RoutesPerTable, "`50`", "routes of one table, local ones not counted"),
        quota(
            Quota::PropagatedRoutesPerTable,
            "`100`",
            "routes of one table that a virtual private gateway propagates",
        ),
        quota(Quota::ActivePeeringsPerVpc, "`50`", "active peerings of one VPC"),
        quota(
            Quota::OutstandingPeeringRequests,
            "`25`",
            "requests of the account not answered yet",
        ),
        quota(Quota::InterfacesPerRegion, "`100000`", "network interfaces in one region"),
        quota(
            Quota::SecurityGroupsPerRegion,
            "`2500`",
            "security groups in one region, those that VPCs were born with not counted",
        ),
        quota(
            Quota::RulesPerSecurityGroup,
            "`60`",
            "rules of one group and direction, IPv4 and IPv6 counted apart",
        ),
        quota(
            Quota::SecurityGroupsPerInterface,
            "`5`",
            "groups of one interface, at most 16; times the rules of a group at most 1000",
        ),
        quota(Quota::EntriesPerPrefixList, "`1000`", "blocks of one prefix list"),
        quota(Quota::NetworkAclsPerVpc, "`200`", "network ACLs of one VPC"),
        quota(
            Quota::EntriesPerNetworkAcl,
            "`20`",
            "entries of one network ACL and direction, IPv4 and IPv6 counted apart",
        ),
        quota(
            Quota::EgressOnlyGatewaysPerRegion,
            "`5`",
            "egress-only internet gateways of one region",
        ),
    ],
    one_of: &[],
};

/// A VPC.
pub static VPC: Mapping = Mapping {
    name: "vpc",
    what: "a VPC",
    doc: "A VPC with its blocks, route tables and subnets.",
    fields: &[
        Field::required(
            "cidr",
            Shape::Either(&[Shape::Leaf(&IPV4_BLOCK), Shape::List(&Shape::Leaf(&IPV4_BLOCK))]),
            "its IPv4 block, or a list of which the first is the primary block",
        ),
        Field::optional(
            "ipv6",
            Shape::Either(&[Shape::Leaf(&IPV6_BLOCK), Shape::List(&Shape::Leaf(&IPV6_BLOCK))]),
            "none",
            "its IPv6 block or a list of them; profile `today` only",
        ),
        Field::optional(
            "account",
            Shape::Leaf(&ACCOUNT_REF),
            "the file's only account",
            "its owner",
        ),
        Field::optional("region", Shape::Leaf(&REGION), "`us-east-1`", "its region"),
        Field::optional(
            "dns_support",
            Shape::Leaf(&BOOLEAN),
            "`true`",
            "whether it has a resolver that answers its instances",
        ),
        Field::optional(
            "dns_hostnames",
            Shape::Leaf(&BOOLEAN),
            "`false`",
            "whether its instances have hostnames",
        ),
        Field::optional(
            "route_tables",
            Shape::List(&Shape::Leaf(&LABEL)),
            "none",
            "labels of its route tables beside the main one",
        ),
        Field::optional(
            "subnets",
            Shape::Map { key: &LABEL, value: &Shape::Mapping(&SUBNET) },
            "one per IPv4 block that fills it, named `default`, `default-2`, ...",
            "its subnets, by label",
        ),
        Field::optional(
            "link",
            Shape::Mapping(&LINK),
            "latency 50us",
            "what traffic inside it goes through",
        ),
    ],
    one_of: &[],
};

/// A subnet.
pub static SUBNET: Mapping = Mapping {
    name: "subnet",
    what: "a subnet",
    doc: "A subnet of a VPC.",
    fields: &[
        Field::required("cidr", Shape::Leaf(&IPV4_BLOCK), "its IPv4 block"),
        Field::optional("ipv6", Shape::Leaf(&IPV6_BLOCK), "none", "its IPv6 block"),
        Field::optional("az", Shape::Leaf(&ZONE), "the region's zone `a`", "its availability zone"),
        Field::optional(
            "route_table",
            Shape::Leaf(&LABEL),
            "the main table",
            "label of the table it is associated with",
        ),
        Field::optional(
            "network_acl",
            Shape::Leaf(&ACL_NAME),
            "`default`, the one that the VPC was born with",
            "label of the network ACL that guards it",
        ),
    ],
    one_of: &[],
};

/// A link.
pub static LINK: Mapping = Mapping {
    name: "link",
    what: "a link",
    doc: "What packets go through on their way.",
    fields: &[
        Field::optional(
            "latency",
            Shape::Leaf(&SPAN),
            "`0s` for instances, `50us` for VPCs, `250us` for peerings, `10ms` for gateways",
            "time every packet takes, at most 1h",
        ),
        Field::optional(
            "jitter",
            Shape::Leaf(&SPAN),
            "`0s`",
            "further time, uniform from zero to this, at most 1h",
        ),
        Field::optional("loss", Shape::Leaf(&CHANCE), "`0%`", "chance that a packet is lost"),
        Field::optional("rate", Shape::Leaf(&BIT_RATE), "no limit", "rate to which it shapes"),
        Field::optional(
            "queue",
            Shape::Leaf(&QUEUE),
            "`1000`",
            "packets that wait when there is a rate; one that finds the queue full is dropped",
        ),
    ],
    one_of: &[],
};

/// A declared peering.
pub static PEERING: Mapping = Mapping {
    name: "peering",
    what: "a peering",
    doc: "A peering, requested by the owner of one VPC and accepted by the owner of the other.",
    fields: &[
        Field::required("requester", Shape::Leaf(&LABEL), "label of the VPC that asks"),
        Field::required("accepter", Shape::Leaf(&LABEL), "label of the VPC that is asked"),
        Field::optional(
            "accepted",
            Shape::Leaf(&BOOLEAN),
            "`true`",
            "`false` leaves the request pending",
        ),
        Field::optional(
            "link",
            Shape::Mapping(&LINK),
            "latency 250us",
            "what crosses it goes through, each direction by itself",
        ),
    ],
    one_of: &[],
};

/// The routes of all tables.
pub(super) const ROUTES: Shape =
    Shape::Map { key: &TABLE, value: &Shape::Map { key: &BLOCK, value: &Shape::Leaf(&TARGET) } };

/// Where an instance is; shared by declared ones and those that a step starts.
const VPC_FIELD: Field = Field::optional(
    "vpc",
    Shape::Leaf(&VPC_REF),
    "that of `subnet`",
    "the VPC it is in; this or `subnet` is needed",
);
const SUBNET_FIELD: Field = Field::optional(
    "subnet",
    Shape::Leaf(&SUBNET_REF),
    "that which holds `ip`, else the only one, else the first default one",
    "the subnet it is in; this or `vpc` is needed",
);
const IP_FIELD: Field =
    Field::optional("ip", Shape::Leaf(&IPV4), "the lowest free one", "its IPv4 address");
const IPV6_FIELD: Field = Field::optional(
    "ipv6",
    Shape::Leaf(&IPV6),
    "the lowest free one, if the subnet has an IPv6 block",
    "its IPv6 address",
);
const CHECK_FIELD: Field = Field::optional(
    "source_dest_check",
    Shape::Leaf(&BOOLEAN),
    "`true`",
    "whether its interface drops what is neither from nor to itself",
);

/// One security group or several.
pub(super) const GROUPS: Shape =
    Shape::Either(&[Shape::Leaf(&GROUP), Shape::List(&Shape::Leaf(&GROUP))]);
const GROUPS_FIELD: Field = Field::optional(
    "groups",
    GROUPS,
    "a group that allows everything, `vpclab-open`",
    "its security group or a list of them; `A/default` is the one that A was born with",
);

const ROLE_FIELD: Field = Field::optional(
    "role",
    Shape::Leaf(&ROLE),
    "none",
    "what it does with packets that are not for itself: a `router` sends them on, a `nat` from its \
     own address; both need `source_dest_check: false`",
);
const PORTS: Shape = Shape::Either(&[Shape::Leaf(&TCP_PORT), Shape::List(&Shape::Leaf(&TCP_PORT))]);
/// The ports that an instance or a host outside the cloud serves.
pub(super) const LISTEN_FIELD: Field = Field::optional(
    "listen",
    PORTS,
    "none",
    "the TCP port that it serves, or a list of them; it reads what is sent",
);

/// The keys that a declared instance and one that a step starts have in common.
pub(super) const PLACEMENT: [Field; 8] = [
    VPC_FIELD,
    SUBNET_FIELD,
    IP_FIELD,
    IPV6_FIELD,
    CHECK_FIELD,
    GROUPS_FIELD,
    ROLE_FIELD,
    LISTEN_FIELD,
];

/// A declared instance.
pub static INSTANCE: Mapping = Mapping {
    name: "instance",
    what: "an instance",
    doc: "An instance with one network interface.",
    fields: &{
        let [vpc, subnet, ip, ipv6, check, groups, role, listen] = PLACEMENT;
        let link = Field::optional(
            "link",
            Shape::Mapping(&LINK),
            "none",
            "what it sends goes through this before anything else",
        );
        let public = Field::optional(
            "public_ip",
            Shape::Leaf(&PUBLIC_IP),
            "none",
            "the public address that stands for `ip`, or `auto`",
        );
        [vpc, subnet, ip, ipv6, check, groups, role, listen, public, link]
    },
    one_of: &[],
};
