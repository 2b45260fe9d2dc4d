//! The scenario format as a table: every mapping, every key, its meaning, kind and default.
//!
//! Check, JSON Schema and reference are derived from it; a test holds the decoder to it. Refuses to
//! hold code. Beginnings of documentation texts are lower case, because they follow the key.

mod filter;
mod flow_log;
mod gateway;
mod leaf;
mod network;
mod step;

use super::shape::{Field, Form, Leaf, Mapping, Shape};
use crate::base::limit::TRACKED_CONNECTIONS_MAX;
use crate::cloud::profile::Profile;
use crate::cloud::route_table::Blackhole;
use leaf::{ACL, BLOCK, LABEL, PATH, SPAN, TEXT, words_of};

pub use filter::{
    ACL_OF_SUBNET, CREATE_NETWORK_ACL, CREATE_PREFIX_LIST, CREATE_SECURITY_GROUP, EGRESS_ENTRY,
    EGRESS_OF_GROUP, EGRESS_RULE, ENTRY_KEY, ENTRY_OF_ACL, INGRESS_ENTRY, INGRESS_OF_GROUP,
    INGRESS_RULE, MODIFY_PREFIX_LIST, MODIFY_SECURITY_GROUPS, NETWORK_ACL, PREFIX_LIST,
    SECURITY_GROUP,
};
pub use flow_log::{CREATE_FLOW_LOGS, FLOW_LOG};
pub use gateway::{
    ALLOCATE_ADDRESS, ASSOCIATE_ADDRESS, ATTACHMENT, CREATE_EGRESS_ONLY_GATEWAY,
    CREATE_INTERNET_GATEWAY, CREATE_NAT_GATEWAY, CREATE_VPC_ENDPOINT, CREATE_VPN_GATEWAY, GATEWAY,
    MODIFY_VPC_ENDPOINT, OUTSIDE_HOST, PLACE_OUTSIDE_HOST, PROPAGATION,
};
pub use network::{ACCOUNT, INSTANCE, LINK, PEERING, QUOTAS, SUBNET, VPC};
pub use step::{
    ASSOCIATE_ROUTE_TABLE, CIDR_OF_VPC, CREATE_ROUTE_TABLE, CREATE_SUBNET, CREATE_VPC, EXPECTATION,
    FLOWS, MODIFY_PEERING_OPTIONS, MODIFY_SOURCE_DEST_CHECK, MODIFY_VPC_ATTRIBUTE, PING, REPLAY,
    REQUEST_PEERING, RESOLVE, ROUTE_KEY, RUN_INSTANCE, SEND, SET_ROUTE, STEP, TCP, UDP,
};

static VERSION: Leaf = Leaf { what: "a format version", form: Form::Whole { min: 1, max: 1 } };
static SEED: Leaf = Leaf { what: "a whole number", form: Form::Whole { min: 0, max: u64::MAX } };
static PROFILE: Leaf = Leaf { what: "a profile", form: Form::Word(words_of!(Profile, name)) };
static BLACKHOLE: Leaf =
    Leaf { what: "what an unusable route does", form: Form::Word(words_of!(Blackhole, name)) };
static TRACKED: Leaf = Leaf {
    what: "a whole number",
    form: Form::Whole { min: 1, max: TRACKED_CONNECTIONS_MAX as u64 },
};
static START: Leaf = Leaf {
    what: "a date and time",
    form: Form::Text(
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$",
    ),
};

const ACCOUNTS: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&ACCOUNT) };
const VPCS: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&VPC) };
const PEERINGS: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&PEERING) };
const INSTANCES: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&INSTANCE) };

const GROUPS: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&SECURITY_GROUP) };
const PREFIX_LISTS: Shape = Shape::Map {
    key: &LABEL,
    value: &Shape::Either(&[Shape::List(&Shape::Leaf(&BLOCK)), Shape::Mapping(&PREFIX_LIST)]),
};
const ACLS: Shape = Shape::Map { key: &ACL, value: &Shape::Mapping(&NETWORK_ACL) };
const GATEWAYS: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&GATEWAY) };
const OUTSIDE: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&OUTSIDE_HOST) };
const FLOW_LOGS: Shape = Shape::Map { key: &LABEL, value: &Shape::Mapping(&FLOW_LOG) };

const ACCOUNTS_FIELD: Field =
    Field::optional("accounts", ACCOUNTS, "one account, `123456789012`", "the accounts, by label");
const VPCS_FIELD: Field = Field::optional("vpcs", VPCS, "none", "the VPCs, by label");
const PEERINGS_FIELD: Field = Field::optional(
    "peerings",
    PEERINGS,
    "none",
    "the peerings, by label; requested and accepted in file order",
);
const ROUTES_FIELD: Field = Field::optional(
    "routes",
    network::ROUTES,
    "none",
    "the routes: table (`A` is the main table of A, `A/x` its table x) to destination to target",
);
const GROUPS_FIELD: Field =
    Field::optional("security_groups", GROUPS, "none", "the security groups, by label");
const PREFIX_LISTS_FIELD: Field = Field::optional(
    "prefix_lists",
    PREFIX_LISTS,
    "none",
    "the prefix lists, by label: blocks, or a mapping",
);
const ACLS_FIELD: Field = Field::optional(
    "network_acls",
    ACLS,
    "none",
    "the network ACLs: `A/x` is a new one of A, `A/default` the one that A was born with",
);
const INSTANCES_FIELD: Field =
    Field::optional("instances", INSTANCES, "none", "the instances, by label");
const GATEWAYS_FIELD: Field = Field::optional(
    "gateways",
    GATEWAYS,
    "none",
    "the gateways: edges of VPCs and NAT gateways, by label",
);
const OUTSIDE_FIELD: Field =
    Field::optional("outside", OUTSIDE, "none", "the hosts outside the cloud, by label");
const FLOW_LOGS_FIELD: Field =
    Field::optional("flow_logs", FLOW_LOGS, "none", "the flow logs, by label");
const VERSION_FIELD: Field =
    Field::required("vpclab", Shape::Leaf(&VERSION), "version of the format, `1`");
const ABOUT_FIELD: Field =
    Field::optional("about", Shape::Leaf(&TEXT), "none", "why it is so, in a sentence or a few");

/// A scenario file.
pub static SCENARIO: Mapping = Mapping {
    name: "scenario",
    what: "a scenario",
    doc: "A declared network, then a timeline of steps.",
    fields: &[
        VERSION_FIELD,
        Field::required("name", Shape::Leaf(&TEXT), "what the file shows, in a line"),
        ABOUT_FIELD,
        Field::optional(
            "profile",
            Shape::Leaf(&PROFILE),
            "`seed`",
            "which year's rules hold: `seed` (2014-15) or `today`",
        ),
        Field::optional(
            "start",
            Shape::Leaf(&START),
            "`2015-01-01T00:00:00Z`",
            "calendar date and time of virtual zero, RFC 3339, for captures and reports",
        ),
        Field::optional(
            "seed",
            Shape::Leaf(&SEED),
            "`0`",
            "whole number from which all chance of the run comes",
        ),
        Field::optional(
            "settle",
            Shape::Leaf(&SPAN),
            "`1ns`",
            "how long a peering stays in a transient state",
        ),
        Field::optional(
            "blackhole",
            Shape::Leaf(&BLACKHOLE),
            "`drops`",
            "what a route that cannot be used does to packets that no longer route covers",
        ),
        Field::optional(
            "tracked_connections",
            Shape::Leaf(&TRACKED),
            "`65536`",
            "how many connections each interface tracks for its security groups",
        ),
        Field::optional(
            "network",
            Shape::Leaf(&PATH),
            "none",
            "path of a network file, below the directory of this one",
        ),
        ACCOUNTS_FIELD,
        VPCS_FIELD,
        PEERINGS_FIELD,
        ROUTES_FIELD,
        GROUPS_FIELD,
        PREFIX_LISTS_FIELD,
        ACLS_FIELD,
        INSTANCES_FIELD,
        GATEWAYS_FIELD,
        OUTSIDE_FIELD,
        FLOW_LOGS_FIELD,
        Field::optional(
            "steps",
            Shape::List(&Shape::Mapping(&STEP)),
            "none",
            "the timeline, in order",
        ),
    ],
    one_of: &[],
};

/// A network file.
pub static NETWORK_FILE: Mapping = Mapping {
    name: "network-file",
    what: "a network file",
    doc: "A declared network alone, for scenarios to name with `network`.",
    fields: &[
        VERSION_FIELD,
        Field::optional("name", Shape::Leaf(&TEXT), "none", "which network it is, in a line"),
        ABOUT_FIELD,
        ACCOUNTS_FIELD,
        VPCS_FIELD,
        PEERINGS_FIELD,
        ROUTES_FIELD,
        GROUPS_FIELD,
        PREFIX_LISTS_FIELD,
        ACLS_FIELD,
        INSTANCES_FIELD,
        GATEWAYS_FIELD,
        OUTSIDE_FIELD,
        FLOW_LOGS_FIELD,
    ],
    one_of: &[],
};
