//! The keys of flow logs.

use super::leaf::{FLOW_LOG as FLOW_LOG_REF, INTERVAL, LABEL, LOG_FORMAT, TRAFFIC_TYPE, WATCHED};
use super::step::action;
use super::{Field, Mapping, Shape};

const OF_FIELD: Field = Field::required(
    "of",
    Shape::Leaf(&WATCHED),
    "what it watches: a VPC, a subnet, or the interface of an instance or NAT gateway",
);
const TRAFFIC_FIELD: Field =
    Field::optional("traffic", Shape::Leaf(&TRAFFIC_TYPE), "`all`", "which traffic it records");
const INTERVAL_FIELD: Field = Field::optional(
    "interval",
    Shape::Leaf(&INTERVAL),
    "`600s`",
    "how long one record may last; one of an instance lasts `60s` at most, as on Nitro",
);
const FORMAT_FIELD: Field = Field::optional(
    "format",
    Shape::Leaf(&LOG_FORMAT),
    "the 14 fields of version 2",
    "the fields in their order, as `${srcaddr} ${dstaddr}`: any of versions 2 to 5",
);

/// A declared flow log.
pub static FLOW_LOG: Mapping = Mapping {
    name: "flow-log",
    what: "a flow log",
    doc: "A flow log. `vpclab run --flow-logs DIR` writes its records.",
    fields: &[OF_FIELD, TRAFFIC_FIELD, INTERVAL_FIELD, FORMAT_FIELD],
    one_of: &[],
};

/// `create-flow-logs`.
pub static CREATE_FLOW_LOGS: Mapping = Mapping {
    name: "create-flow-logs",
    what: "`create-flow-logs`",
    doc: "`CreateFlowLogs` for one resource.",
    fields: &[
        Field::required("name", Shape::Leaf(&LABEL), "what it is to be called"),
        OF_FIELD,
        TRAFFIC_FIELD,
        INTERVAL_FIELD,
        FORMAT_FIELD,
    ],
    one_of: &[],
};

/// The actions about flow logs.
pub(super) const ACTIONS: [Field; 2] = [
    action("create-flow-logs", Shape::Mapping(&CREATE_FLOW_LOGS), "records traffic from now on"),
    action("delete-flow-logs", Shape::Leaf(&FLOW_LOG_REF), "ends a flow log"),
];
