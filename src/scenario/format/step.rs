//! The keys of a step: actions and expectations.

use super::filter::{
    ACL_OF_SUBNET, CREATE_NETWORK_ACL, CREATE_PREFIX_LIST, CREATE_SECURITY_GROUP, EGRESS_OF_GROUP,
    ENTRY_KEY, ENTRY_OF_ACL, INGRESS_OF_GROUP, MODIFY_PREFIX_LIST, MODIFY_SECURITY_GROUPS,
};
use super::leaf::{
    ACCOUNT, ACL, ADDRESS, BLOCK, BOOLEAN, BOUNDS, BYTES, COUNT, DESTINATION, EC2_CODE, FAMILY,
    GROUP, HEX, HOST, INSTANCE, IPV4, IPV4_BLOCK, IPV6_BLOCK, LABEL, LOCATION, NAME, NAMED_TABLE,
    PACKET_RATE, PAIR, PATH, PAYLOAD, PEERING, PORT, PREFIX_LIST, REASON, REGION, SIDE, SPAN,
    STATE, SUBNET, TABLE, TARGET, TCP_PORT, TEXT, UNRESOLVED, VERDICT, VPC, ZONE,
};
use super::network::PLACEMENT;
use super::{Field, Mapping, Shape, gateway};

pub(super) const fn action(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field::optional(key, shape, "none", doc)
}

/// A step of the timeline.
pub static STEP: Mapping = Mapping {
    name: "step",
    what: "a step",
    doc: "One action, when it happens and what must come of it.",
    fields: &[
        Field::optional(
            "at",
            Shape::Leaf(&SPAN),
            "when the step before has ended",
            "virtual time from the start at which the step begins",
        ),
        Field::optional(
            "as",
            Shape::Leaf(&ACCOUNT),
            "the owner of the resource",
            "the account that asks",
        ),
        Field::optional(
            "expect",
            Shape::Either(&[Shape::Leaf(&VERDICT), Shape::Mapping(&EXPECTATION)]),
            "success of a command; of traffic nothing is judged",
            "what must come of it",
        ),
        Field::optional("note", Shape::Leaf(&TEXT), "none", "a line for the reader and the report"),
    ],
    one_of: &ACTIONS,
};

const PAIR_OR_RESOLVE: Shape = Shape::Either(&[Shape::Leaf(&PAIR), Shape::Mapping(&RESOLVE)]);
const PAIR_OR_PING: Shape = Shape::Either(&[Shape::Leaf(&PAIR), Shape::Mapping(&PING)]);
const PAIR_OR_TCP: Shape = Shape::Either(&[Shape::Leaf(&PAIR), Shape::Mapping(&TCP)]);
const PAIR_OR_UDP: Shape = Shape::Either(&[Shape::Leaf(&PAIR), Shape::Mapping(&UDP)]);

const COMMANDS: &[Field] = &[
    action("request-peering", Shape::Mapping(&REQUEST_PEERING), "asks for a peering"),
    action("accept-peering", Shape::Leaf(&PEERING), "accepts a request"),
    action("reject-peering", Shape::Leaf(&PEERING), "declines a request"),
    action("delete-peering", Shape::Leaf(&PEERING), "deletes a peering, from either side"),
    action(
        "modify-peering-options",
        Shape::Mapping(&MODIFY_PEERING_OPTIONS),
        "says what resolves across a peering",
    ),
    action("describe-peering", Shape::Leaf(&PEERING), "looks, for an expected `state`"),
    action("create-vpc", Shape::Mapping(&CREATE_VPC), "makes a VPC"),
    action("delete-vpc", Shape::Leaf(&VPC), "deletes a VPC"),
    action("associate-vpc-cidr-block", Shape::Mapping(&CIDR_OF_VPC), "gives a VPC a block more"),
    action("disassociate-vpc-cidr-block", Shape::Mapping(&CIDR_OF_VPC), "takes a block away"),
    action(
        "modify-vpc-attribute",
        Shape::Mapping(&MODIFY_VPC_ATTRIBUTE),
        "switches what a VPC does for DNS",
    ),
    action("create-subnet", Shape::Mapping(&CREATE_SUBNET), "makes a subnet"),
    action("delete-subnet", Shape::Leaf(&SUBNET), "deletes a subnet"),
    action("create-route-table", Shape::Mapping(&CREATE_ROUTE_TABLE), "makes a route table"),
    action("delete-route-table", Shape::Leaf(&NAMED_TABLE), "deletes a route table"),
    action(
        "associate-route-table",
        Shape::Mapping(&ASSOCIATE_ROUTE_TABLE),
        "gives a subnet a table",
    ),
    action(
        "disassociate-route-table",
        Shape::Leaf(&SUBNET),
        "gives a subnet back to the main table",
    ),
    action(
        "replace-main-route-table",
        Shape::Leaf(&NAMED_TABLE),
        "makes this the main table of its VPC",
    ),
    action("create-route", Shape::Mapping(&SET_ROUTE), "adds a route"),
    action("replace-route", Shape::Mapping(&SET_ROUTE), "points a route elsewhere"),
    action("delete-route", Shape::Mapping(&ROUTE_KEY), "removes a route"),
    action("describe-route", Shape::Mapping(&ROUTE_KEY), "looks, for an expected `state`"),
    action("run-instance", Shape::Mapping(&RUN_INSTANCE), "starts a new instance"),
    action("stop-instance", Shape::Leaf(&INSTANCE), "stops an instance"),
    action("start-instance", Shape::Leaf(&INSTANCE), "starts a stopped instance"),
    action("terminate-instance", Shape::Leaf(&INSTANCE), "ends an instance for good"),
    action(
        "modify-source-dest-check",
        Shape::Mapping(&MODIFY_SOURCE_DEST_CHECK),
        "switches the check of an instance's interface",
    ),
    action("resolve", PAIR_OR_RESOLVE, "asks the resolver of the VPC for the address of a name"),
    action(
        "create-security-group",
        Shape::Mapping(&CREATE_SECURITY_GROUP),
        "makes a security group",
    ),
    action("delete-security-group", Shape::Leaf(&GROUP), "deletes a security group"),
    action(
        "authorize-security-group-ingress",
        Shape::Mapping(&INGRESS_OF_GROUP),
        "adds a rule for what comes in",
    ),
    action(
        "authorize-security-group-egress",
        Shape::Mapping(&EGRESS_OF_GROUP),
        "adds a rule for what goes out",
    ),
    action(
        "revoke-security-group-ingress",
        Shape::Mapping(&INGRESS_OF_GROUP),
        "takes away a rule for what comes in",
    ),
    action(
        "revoke-security-group-egress",
        Shape::Mapping(&EGRESS_OF_GROUP),
        "takes away a rule for what goes out",
    ),
    action(
        "modify-security-groups",
        Shape::Mapping(&MODIFY_SECURITY_GROUPS),
        "gives an instance's interface other groups",
    ),
    action(
        "create-managed-prefix-list",
        Shape::Mapping(&CREATE_PREFIX_LIST),
        "makes a prefix list",
    ),
    action(
        "modify-managed-prefix-list",
        Shape::Mapping(&MODIFY_PREFIX_LIST),
        "adds blocks to a prefix list and removes others",
    ),
    action("delete-managed-prefix-list", Shape::Leaf(&PREFIX_LIST), "deletes a prefix list"),
    action("create-network-acl", Shape::Mapping(&CREATE_NETWORK_ACL), "makes a network ACL"),
    action("delete-network-acl", Shape::Leaf(&ACL), "deletes a network ACL"),
    action("create-network-acl-entry", Shape::Mapping(&ENTRY_OF_ACL), "adds an entry"),
    action("replace-network-acl-entry", Shape::Mapping(&ENTRY_OF_ACL), "changes an entry"),
    action("delete-network-acl-entry", Shape::Mapping(&ENTRY_KEY), "removes an entry"),
    action(
        "replace-network-acl-association",
        Shape::Mapping(&ACL_OF_SUBNET),
        "puts a subnet behind another network ACL",
    ),
];

const TRAFFIC: &[Field] = &[
    action("ping", PAIR_OR_PING, "ICMP echo; the target answers"),
    action("udp", PAIR_OR_UDP, "datagrams"),
    action("tcp", PAIR_OR_TCP, "one TCP connection"),
    action("send", Shape::Mapping(&SEND), "one packet of raw bytes"),
    action("replay", Shape::Mapping(&REPLAY), "the IP packets of a capture, with their spacing"),
    action("flows", Shape::Mapping(&FLOWS), "many UDP flows at once"),
    action("wait", Shape::Leaf(&SPAN), "lets virtual time pass"),
];

/// Every action: commands, those about gateways among them, then traffic.
const ACTIONS: [Field; COMMANDS.len() + gateway::ACTIONS.len() + TRAFFIC.len()] = {
    let groups = [COMMANDS, &gateway::ACTIONS, TRAFFIC];
    let mut all = [COMMANDS[0]; COMMANDS.len() + gateway::ACTIONS.len() + TRAFFIC.len()];
    let (mut group, mut row) = (0, 0);
    while group < groups.len() {
        let mut of_group = 0;
        while of_group < groups[group].len() {
            all[row] = groups[group][of_group];
            (row, of_group) = (row + 1, of_group + 1);
        }
        group += 1;
    }
    all
};

/// `request-peering`.
pub static REQUEST_PEERING: Mapping = Mapping {
    name: "request-peering",
    what: "`request-peering`",
    doc: "`CreateVpcPeeringConnection`.",
    fields: &[
        Field::required("name", Shape::Leaf(&LABEL), "label of the new peering"),
        Field::required("requester", Shape::Leaf(&VPC), "the VPC that asks"),
        Field::required("accepter", Shape::Leaf(&VPC), "the VPC that is asked, or any `vpc-` id"),
        Field::optional(
            "peer-owner",
            Shape::Leaf(&ACCOUNT),
            "the accepter's",
            "the account named as owner of the accepter",
        ),
        Field::optional(
            "peer-region",
            Shape::Leaf(&REGION),
            "the accepter's, if it is not the requester's",
            "the region named as the accepter's",
        ),
    ],
    one_of: &[],
};

/// `modify-peering-options`.
pub static MODIFY_PEERING_OPTIONS: Mapping = Mapping {
    name: "modify-peering-options",
    what: "`modify-peering-options`",
    doc: "`ModifyVpcPeeringConnectionOptions`.",
    fields: &[
        Field::required("peering", Shape::Leaf(&PEERING), "the peering"),
        Field::required(
            "dns_from_peer",
            Shape::Leaf(&BOOLEAN),
            "whether private addresses of the side's VPC resolve in the other from now on; profile \
             `today` only",
        ),
        Field::optional(
            "side",
            Shape::Leaf(&SIDE),
            "every side of whoever asks",
            "the side that is set; its owner asks, unless `as` says another",
        ),
    ],
    one_of: &[],
};

/// `create-vpc`.
pub static CREATE_VPC: Mapping = Mapping {
    name: "create-vpc",
    what: "`create-vpc`",
    doc: "`CreateVpc`.",
    fields: &[
        Field::required("name", Shape::Leaf(&LABEL), "label of the new VPC"),
        Field::required("cidr", Shape::Leaf(&IPV4_BLOCK), "its primary IPv4 block"),
        Field::optional(
            "account",
            Shape::Leaf(&ACCOUNT),
            "whoever asks, else the file's only account",
            "its owner",
        ),
        Field::optional("region", Shape::Leaf(&REGION), "`us-east-1`", "its region"),
    ],
    one_of: &[],
};

/// `associate-vpc-cidr-block` and `disassociate-vpc-cidr-block`.
pub static CIDR_OF_VPC: Mapping = Mapping {
    name: "cidr-of-vpc",
    what: "a block of a VPC",
    doc: "`AssociateVpcCidrBlock` and `DisassociateVpcCidrBlock`.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC"),
        Field::required("cidr", Shape::Leaf(&BLOCK), "the block, IPv4 or IPv6"),
    ],
    one_of: &[],
};

/// `modify-vpc-attribute`.
pub static MODIFY_VPC_ATTRIBUTE: Mapping = Mapping {
    name: "modify-vpc-attribute",
    what: "`modify-vpc-attribute`",
    doc: "`ModifyVpcAttribute`, once for each attribute that is given.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC"),
        Field::optional(
            "dns_support",
            Shape::Leaf(&BOOLEAN),
            "as it is",
            "whether it has a resolver from now on",
        ),
        Field::optional(
            "dns_hostnames",
            Shape::Leaf(&BOOLEAN),
            "as it is",
            "whether its instances have hostnames from now on; this or `dns_support` is needed",
        ),
    ],
    one_of: &[],
};

/// `create-subnet`.
pub static CREATE_SUBNET: Mapping = Mapping {
    name: "create-subnet",
    what: "`create-subnet`",
    doc: "`CreateSubnet`.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC"),
        Field::required("name", Shape::Leaf(&LABEL), "label of the new subnet"),
        Field::required("cidr", Shape::Leaf(&IPV4_BLOCK), "its IPv4 block"),
        Field::optional("ipv6", Shape::Leaf(&IPV6_BLOCK), "none", "its IPv6 block"),
        Field::optional("az", Shape::Leaf(&ZONE), "the region's zone `a`", "its availability zone"),
    ],
    one_of: &[],
};

/// `create-route-table`.
pub static CREATE_ROUTE_TABLE: Mapping = Mapping {
    name: "create-route-table",
    what: "`create-route-table`",
    doc: "`CreateRouteTable`.",
    fields: &[
        Field::required("vpc", Shape::Leaf(&VPC), "the VPC"),
        Field::required("name", Shape::Leaf(&LABEL), "label of the new table"),
    ],
    one_of: &[],
};

/// `associate-route-table`.
pub static ASSOCIATE_ROUTE_TABLE: Mapping = Mapping {
    name: "associate-route-table",
    what: "`associate-route-table`",
    doc: "`AssociateRouteTable`.",
    fields: &[
        Field::required("table", Shape::Leaf(&NAMED_TABLE), "the table"),
        Field::required("subnet", Shape::Leaf(&SUBNET), "the subnet that is to use it"),
    ],
    one_of: &[],
};

const TABLE_FIELD: Field = Field::required("table", Shape::Leaf(&TABLE), "the route table");
const DESTINATION_FIELD: Field =
    Field::required("destination", Shape::Leaf(&BLOCK), "the destination block of the route");

/// `create-route` and `replace-route`.
pub static SET_ROUTE: Mapping = Mapping {
    name: "set-route",
    what: "a route with its target",
    doc: "`CreateRoute` and `ReplaceRoute`.",
    fields: &[
        TABLE_FIELD,
        DESTINATION_FIELD,
        Field::required("target", Shape::Leaf(&TARGET), "where matching packets go"),
    ],
    one_of: &[],
};

/// `delete-route` and `describe-route`.
pub static ROUTE_KEY: Mapping = Mapping {
    name: "route",
    what: "a route",
    doc: "A route of a table.",
    fields: &[TABLE_FIELD, DESTINATION_FIELD],
    one_of: &[],
};

/// `run-instance`.
pub static RUN_INSTANCE: Mapping = Mapping {
    name: "run-instance",
    what: "`run-instance`",
    doc: "`RunInstances` for one instance.",
    fields: &{
        let [vpc, subnet, ip, ipv6, check, groups, role, listen] = PLACEMENT;
        let name = Field::required("name", Shape::Leaf(&LABEL), "label of the new instance");
        [name, vpc, subnet, ip, ipv6, check, groups, role, listen]
    },
    one_of: &[],
};

/// `modify-source-dest-check`.
pub static MODIFY_SOURCE_DEST_CHECK: Mapping = Mapping {
    name: "modify-source-dest-check",
    what: "`modify-source-dest-check`",
    doc: "`ModifyNetworkInterfaceAttribute`.",
    fields: &[
        Field::required("instance", Shape::Leaf(&INSTANCE), "the instance"),
        Field::required("value", Shape::Leaf(&BOOLEAN), "whether its interface checks from now on"),
    ],
    one_of: &[],
};

/// `resolve`.
pub static RESOLVE: Mapping = Mapping {
    name: "resolve",
    what: "`resolve`",
    doc: "A DNS query. `a -> b` is short for `{from: a, name: b}`.",
    fields: &[
        Field::required("from", Shape::Leaf(&INSTANCE), "the instance that asks"),
        Field::required(
            "name",
            Shape::Leaf(&NAME),
            "the name: a hostname, `b` for the private one of an instance, `b/public` for its public \
             one",
        ),
    ],
    one_of: &[],
};

const FROM_FIELD: Field =
    Field::required("from", Shape::Leaf(&HOST), "the instance or outside host that sends");
const SOURCE_FIELD: Field = Field::optional(
    "source",
    Shape::Leaf(&ADDRESS),
    "the sender's own",
    "source address, also one that the sender does not own",
);
const FAMILY_FIELD: Field = Field::optional(
    "family",
    Shape::Leaf(&FAMILY),
    "that of the address, `ipv4` for an instance",
    "family of addresses to use",
);

const FRAGMENT_FIELD: Field = Field::optional(
    "fragment",
    Shape::Leaf(&BOOLEAN),
    "`false`",
    "whether the packets may be cut up where the way is too narrow (IPv4)",
);

const fn payload(default: &'static str) -> Field {
    Field::optional("size", Shape::Leaf(&PAYLOAD), default, "payload in bytes")
}

const fn count(doc: &'static str) -> Field {
    Field::optional("count", Shape::Leaf(&COUNT), "`1`", doc)
}

const fn interval(default: &'static str) -> Field {
    Field::optional("interval", Shape::Leaf(&SPAN), default, "time from one to the next")
}

/// `ping`.
pub static PING: Mapping = Mapping {
    name: "ping",
    what: "`ping`",
    doc: "ICMP echo requests. `b -> c` is short for `{from: b, to: c}`.",
    fields: &[
        FROM_FIELD,
        Field::required(
            "to",
            Shape::Either(&[Shape::Leaf(&DESTINATION), Shape::List(&Shape::Leaf(&DESTINATION))]),
            "the target, or a list of targets",
        ),
        SOURCE_FIELD,
        count("requests to each target"),
        interval("`1s`"),
        payload("`56`"),
        FRAGMENT_FIELD,
        FAMILY_FIELD,
    ],
    one_of: &[],
};

/// `udp`.
pub static UDP: Mapping = Mapping {
    name: "udp",
    what: "`udp`",
    doc: "Datagrams. `b -> c` is short for `{from: b, to: c}`.",
    fields: &[
        FROM_FIELD,
        Field::required("to", Shape::Leaf(&DESTINATION), "the target"),
        SOURCE_FIELD,
        Field::optional("port", Shape::Leaf(&PORT), "`9`", "destination port"),
        Field::optional("source-port", Shape::Leaf(&PORT), "`40000`", "source port"),
        payload("`18`"),
        FRAGMENT_FIELD,
        count("datagrams"),
        interval("`1ms`"),
        Field::optional(
            "answer",
            Shape::Leaf(&BOOLEAN),
            "`false`",
            "whether the target sends each back",
        ),
        FAMILY_FIELD,
    ],
    one_of: &[],
};

/// `tcp`.
pub static TCP: Mapping = Mapping {
    name: "tcp",
    what: "`tcp`",
    doc: "One TCP connection: opened, used, closed. `b -> c` is short for `{from: b, to: c}`.",
    fields: &[
        FROM_FIELD,
        Field::required("to", Shape::Leaf(&DESTINATION), "the target"),
        Field::optional("port", Shape::Leaf(&TCP_PORT), "`80`", "destination port"),
        Field::optional(
            "source-port",
            Shape::Leaf(&TCP_PORT),
            "a new one each time",
            "source port",
        ),
        Field::optional("bytes", Shape::Leaf(&BYTES), "`0`", "data to send, in bytes"),
        Field::optional("timeout", Shape::Leaf(&SPAN), "`127s`", "how long it tries to connect"),
        FAMILY_FIELD,
        Field::optional(
            "background",
            Shape::Leaf(&BOOLEAN),
            "`false`",
            "whether the next step starts at once",
        ),
    ],
    one_of: &[],
};

/// `send`.
pub static SEND: Mapping = Mapping {
    name: "send",
    what: "`send`",
    doc: "One packet of raw bytes.",
    fields: &[
        FROM_FIELD,
        Field::required(
            "hex",
            Shape::Leaf(&HEX),
            "the packet from its IP header on, in hexadecimal",
        ),
    ],
    one_of: &[],
};

/// `replay`.
pub static REPLAY: Mapping = Mapping {
    name: "replay",
    what: "`replay`",
    doc: "The IP packets of a capture, with their spacing.",
    fields: &[
        FROM_FIELD,
        Field::required(
            "capture",
            Shape::Leaf(&PATH),
            "a pcap or pcapng file, below this file's directory",
        ),
    ],
    one_of: &[],
};

/// `flows`.
pub static FLOWS: Mapping = Mapping {
    name: "flows",
    what: "`flows`",
    doc: "Many UDP flows at once.",
    fields: &[
        Field::required("pairs", Shape::List(&Shape::Leaf(&PAIR)), "one flow each"),
        Field::optional("packets", Shape::Leaf(&COUNT), "`1000`", "packets of each flow"),
        Field::optional("rate", Shape::Leaf(&PACKET_RATE), "`1000/s`", "rate of each flow"),
        payload("`18`"),
        Field::optional("port", Shape::Leaf(&PORT), "`9`", "destination port"),
        Field::optional(
            "background",
            Shape::Leaf(&BOOLEAN),
            "`false`",
            "whether the next step starts at once",
        ),
    ],
    one_of: &[],
};

/// What must come of a step, where a word does not say it.
pub static EXPECTATION: Mapping = Mapping {
    name: "expectation",
    what: "an expectation",
    doc: "What must come of a step.",
    fields: &[
        Field::optional(
            "delivered-to",
            Shape::Leaf(&HOST),
            "none",
            "every packet is delivered, to this instance or outside host",
        ),
        Field::optional(
            "delivered",
            Shape::Leaf(&BOUNDS),
            "not judged",
            "so many packets are delivered",
        ),
        Field::optional(
            "dropped",
            Shape::Either(&[
                Shape::Leaf(&REASON),
                Shape::Map { key: &REASON, value: &Shape::Leaf(&BOUNDS) },
            ]),
            "none",
            "every request is dropped for this reason; or so many for each reason",
        ),
        Field::optional(
            "goodput",
            Shape::Leaf(&BOUNDS),
            "not judged",
            "the connection is `connected`, and carries so many kbit/s from handshake to last acknowledgement",
        ),
        Field::optional(
            "reply-lost",
            Shape::Leaf(&REASON),
            "none",
            "every request is delivered and every answer dropped for this reason, or `misdelivered`",
        ),
        Field::optional(
            "at",
            Shape::Leaf(&LOCATION),
            "anywhere",
            "where, beside `dropped` or `reply-lost`: a peering, gateway, VPC, route table, network ACL or instance",
        ),
        Field::optional(
            "reaches",
            Shape::List(&Shape::Leaf(&DESTINATION)),
            "none",
            "targets of the ping that answer",
        ),
        Field::optional(
            "never-reaches",
            Shape::List(&Shape::Leaf(&DESTINATION)),
            "none",
            "targets of the ping that do not answer",
        ),
        Field::optional(
            "because",
            Shape::Either(&[
                Shape::Leaf(&REASON),
                Shape::Map { key: &DESTINATION, value: &Shape::Leaf(&REASON) },
            ]),
            "none",
            "why those do not answer: one reason, or one for each target",
        ),
        Field::optional(
            "refused",
            Shape::Leaf(&EC2_CODE),
            "none",
            "the cloud refuses the command with this code",
        ),
        Field::optional(
            "state",
            Shape::Leaf(&STATE),
            "none",
            "state of the peering or route after the command",
        ),
        Field::optional("address", Shape::Leaf(&IPV4), "none", "the name resolves to this address"),
        Field::optional(
            "unresolved",
            Shape::Leaf(&UNRESOLVED),
            "none",
            "the name does not resolve, for this reason",
        ),
    ],
    one_of: &[],
};
