//! The keys of gateways, public addresses and hosts outside the cloud.

use super::leaf::{
    ACCOUNT, ADDRESS, BLOCK, GATEWAY as GATEWAY_REF, GATEWAY_TYPE, INSTANCE, IPV4, LABEL, LINE,
    PUBLIC_ADDRESS, PUBLIC_IP, REGION, SUBNET, TABLE, VPC,
};
use super::network::{LINK, LISTEN_FIELD};
use super::step::action;
use super::{Field, Mapping, Shape};

const ONE_OR_MORE_BLOCKS: Shape =
    Shape::Either(&[Shape::Leaf(&BLOCK), Shape::List(&Shape::Leaf(&BLOCK))]);
const ONE_OR_MORE_TABLES: Shape =
    Shape::Either(&[Shape::Leaf(&TABLE), Shape::List(&Shape::Leaf(&TABLE))]);
const ONE_OR_MORE_ADDRESSES: Shape =
    Shape::Either(&[Shape::Leaf(&ADDRESS), Shape::List(&Shape::Leaf(&ADDRESS))]);

const ON_PREMISES_FIELD: Field = Field::optional(
    "on_premises",
    ONE_OR_MORE_BLOCKS,
    "none",
    "the blocks that the line announces: the network behind it",
);
const ROUTE_TABLES_FIELD: Field = Field::optional(
    "route_tables",
    ONE_OR_MORE_TABLES,
    "none",
    "of an endpoint: the tables that get a route to each of its blocks",
);

/// A declared gateway. Which keys it has depends on its type.
pub static GATEWAY: Mapping = Mapping {
    name: "gateway",
    what: "a gateway",
    doc: "A gateway of a VPC: `internet` and `egress-only` have `vpc`; `vpn` and `direct-connect` have `vpc`, \
          `on_premises` and `propagate_to`; `nat` has `subnet` and `public_ip`; `endpoint` has \
          `vpc`, `service`, `cidrs` and `route_tables`. All but `nat` can have `link`.",
    fields: &[
        Field::required("type", Shape::Leaf(&GATEWAY_TYPE), "what it is"),
        Field::optional(
            "vpc",
            Shape::Leaf(&VPC),
            "required, except of type `nat`",
            "the VPC that it is attached to",
        ),
        ON_PREMISES_FIELD,
        Field::optional(
            "propagate_to",
            ONE_OR_MORE_TABLES,
            "none",
            "the tables to which a `vpn` or `direct-connect` propagates those blocks",
        ),
        Field::optional(
            "subnet",
            Shape::Leaf(&SUBNET),
            "required of type `nat`",
            "the subnet that a NAT gateway is in",
        ),
        Field::optional(
            "public_ip",
            Shape::Leaf(&PUBLIC_IP),
            "`auto`",
            "the public address of a NAT gateway, or `auto`",
        ),
        Field::optional(
            "service",
            Shape::Leaf(&LABEL),
            "required of type `endpoint`",
            "what the service is called",
        ),
        Field::optional(
            "cidrs",
            ONE_OR_MORE_BLOCKS,
            "required of type `endpoint`",
            "the blocks of the service",
        ),
        ROUTE_TABLES_FIELD,
        Field::optional(
            "link",
            Shape::Mapping(&LINK),
            "latency 10ms",
            "what crosses it goes through, each direction by itself; not of type `nat`",
        ),
    ],
    one_of: &[],
};

const IP_FIELD: Field =
    Field::required("ip", ONE_OR_MORE_ADDRESSES, "its address, or a list of them");
const BEYOND_FIELD: Field = Field::required(
    "beyond",
    Shape::Leaf(&GATEWAY_REF),
    "the gateway to which it hands its packets; beyond every internet gateway is the one internet",
);

/// A declared host outside the cloud.
pub static OUTSIDE_HOST: Mapping = Mapping {
    name: "outside-host",
    what: "an outside host",
    doc: "A host outside the cloud: on the internet, on premises, or of a service.",
    fields: &[IP_FIELD, BEYOND_FIELD, LISTEN_FIELD],
    one_of: &[],
};

const NAME_FIELD: Field = Field::required("name", Shape::Leaf(&LABEL), "what it is to be called");
const ACCOUNT_FIELD: Field = Field::optional(
    "account",
    Shape::Leaf(&ACCOUNT),
    "whoever asks, else the file's only account",
    "its owner",
);
const REGION_FIELD: Field =
    Field::optional("region", Shape::Leaf(&REGION), "`us-east-1`", "its region");
const VPC_FIELD: Field = Field::required("vpc", Shape::Leaf(&VPC), "the VPC");
const GATEWAY_FIELD: Field = Field::required("gateway", Shape::Leaf(&GATEWAY_REF), "the gateway");

/// `create-internet-gateway`.
pub static CREATE_INTERNET_GATEWAY: Mapping = Mapping {
    name: "create-internet-gateway",
    what: "`create-internet-gateway`",
    doc: "`CreateInternetGateway`.",
    fields: &[NAME_FIELD, ACCOUNT_FIELD, REGION_FIELD],
    one_of: &[],
};

/// `attach-internet-gateway`, `detach-internet-gateway` and those of virtual private gateways.
pub static ATTACHMENT: Mapping = Mapping {
    name: "attachment",
    what: "a gateway and a VPC",
    doc: "`AttachInternetGateway`, `DetachInternetGateway`, `AttachVpnGateway`, `DetachVpnGateway`.",
    fields: &[GATEWAY_FIELD, VPC_FIELD],
    one_of: &[],
};

/// `create-egress-only-internet-gateway`.
pub static CREATE_EGRESS_ONLY_GATEWAY: Mapping = Mapping {
    name: "create-egress-only-internet-gateway",
    what: "`create-egress-only-internet-gateway`",
    doc: "`CreateEgressOnlyInternetGateway`.",
    fields: &[NAME_FIELD, VPC_FIELD],
    one_of: &[],
};

/// `create-vpn-gateway`.
pub static CREATE_VPN_GATEWAY: Mapping = Mapping {
    name: "create-vpn-gateway",
    what: "`create-vpn-gateway`",
    doc: "`CreateVpnGateway` together with the line behind it.",
    fields: &[
        NAME_FIELD,
        Field::optional("line", Shape::Leaf(&LINE), "`vpn`", "the line behind it"),
        ON_PREMISES_FIELD,
        ACCOUNT_FIELD,
        REGION_FIELD,
    ],
    one_of: &[],
};

/// `enable-vgw-route-propagation` and `disable-vgw-route-propagation`.
pub static PROPAGATION: Mapping = Mapping {
    name: "propagation",
    what: "a gateway and a route table",
    doc: "`EnableVgwRoutePropagation` and `DisableVgwRoutePropagation`.",
    fields: &[GATEWAY_FIELD, Field::required("table", Shape::Leaf(&TABLE), "the route table")],
    one_of: &[],
};

/// `create-vpc-endpoint`.
pub static CREATE_VPC_ENDPOINT: Mapping = Mapping {
    name: "create-vpc-endpoint",
    what: "`create-vpc-endpoint`",
    doc: "`CreateVpcEndpoint` for a gateway endpoint.",
    fields: &[
        NAME_FIELD,
        VPC_FIELD,
        Field::required("service", Shape::Leaf(&LABEL), "what the service is called"),
        Field::required("cidrs", ONE_OR_MORE_BLOCKS, "the blocks of the service"),
        ROUTE_TABLES_FIELD,
    ],
    one_of: &[],
};

/// `modify-vpc-endpoint`.
pub static MODIFY_VPC_ENDPOINT: Mapping = Mapping {
    name: "modify-vpc-endpoint",
    what: "`modify-vpc-endpoint`",
    doc: "`ModifyVpcEndpoint`.",
    fields: &[
        Field::required("endpoint", Shape::Leaf(&GATEWAY_REF), "the endpoint"),
        Field::optional("add", ONE_OR_MORE_TABLES, "none", "tables that get its routes"),
        Field::optional("remove", ONE_OR_MORE_TABLES, "none", "tables that lose them"),
    ],
    one_of: &[],
};

/// `create-nat-gateway`.
pub static CREATE_NAT_GATEWAY: Mapping = Mapping {
    name: "create-nat-gateway",
    what: "`create-nat-gateway`",
    doc: "`CreateNatGateway`.",
    fields: &[
        NAME_FIELD,
        Field::required("subnet", Shape::Leaf(&SUBNET), "the subnet that it is in"),
        Field::required("address", Shape::Leaf(&PUBLIC_ADDRESS), "its public address"),
    ],
    one_of: &[],
};

/// `allocate-address`.
pub static ALLOCATE_ADDRESS: Mapping = Mapping {
    name: "allocate-address",
    what: "`allocate-address`",
    doc: "`AllocateAddress`.",
    fields: &[
        NAME_FIELD,
        Field::optional("ip", Shape::Leaf(&PUBLIC_IP), "`auto`", "the address, or `auto`"),
        ACCOUNT_FIELD,
        REGION_FIELD,
    ],
    one_of: &[],
};

/// `associate-address`.
pub static ASSOCIATE_ADDRESS: Mapping = Mapping {
    name: "associate-address",
    what: "`associate-address`",
    doc: "`AssociateAddress`.",
    fields: &[
        Field::required("address", Shape::Leaf(&PUBLIC_ADDRESS), "the public address"),
        Field::required("instance", Shape::Leaf(&INSTANCE), "the instance"),
        Field::optional(
            "private_ip",
            Shape::Leaf(&IPV4),
            "the primary one",
            "the address of the instance for which it is to stand",
        ),
    ],
    one_of: &[],
};

/// `place-outside-host`.
pub static PLACE_OUTSIDE_HOST: Mapping = Mapping {
    name: "place-outside-host",
    what: "`place-outside-host`",
    doc: "Puts a host outside the cloud. The lab's own: EC2 has no such call.",
    fields: &[NAME_FIELD, IP_FIELD, BEYOND_FIELD, LISTEN_FIELD],
    one_of: &[],
};

/// The actions about gateways, public addresses and hosts outside the cloud.
pub(super) const ACTIONS: [Field; 23] = [
    action(
        "create-internet-gateway",
        Shape::Mapping(&CREATE_INTERNET_GATEWAY),
        "makes an internet gateway",
    ),
    action("attach-internet-gateway", Shape::Mapping(&ATTACHMENT), "attaches it to a VPC"),
    action("detach-internet-gateway", Shape::Mapping(&ATTACHMENT), "detaches it from its VPC"),
    action("delete-internet-gateway", Shape::Leaf(&GATEWAY_REF), "deletes an internet gateway"),
    action(
        "create-egress-only-internet-gateway",
        Shape::Mapping(&CREATE_EGRESS_ONLY_GATEWAY),
        "makes the egress-only internet gateway of a VPC",
    ),
    action(
        "delete-egress-only-internet-gateway",
        Shape::Leaf(&GATEWAY_REF),
        "deletes an egress-only internet gateway",
    ),
    action(
        "create-vpn-gateway",
        Shape::Mapping(&CREATE_VPN_GATEWAY),
        "makes a virtual private gateway and the line behind it",
    ),
    action("attach-vpn-gateway", Shape::Mapping(&ATTACHMENT), "attaches it to a VPC"),
    action("detach-vpn-gateway", Shape::Mapping(&ATTACHMENT), "detaches it from its VPC"),
    action("delete-vpn-gateway", Shape::Leaf(&GATEWAY_REF), "deletes a virtual private gateway"),
    action(
        "enable-vgw-route-propagation",
        Shape::Mapping(&PROPAGATION),
        "gives a table the routes that a gateway announces",
    ),
    action("disable-vgw-route-propagation", Shape::Mapping(&PROPAGATION), "takes them away"),
    action(
        "create-vpc-endpoint",
        Shape::Mapping(&CREATE_VPC_ENDPOINT),
        "makes a gateway endpoint with its routes",
    ),
    action(
        "modify-vpc-endpoint",
        Shape::Mapping(&MODIFY_VPC_ENDPOINT),
        "gives its routes to other tables",
    ),
    action("delete-vpc-endpoint", Shape::Leaf(&GATEWAY_REF), "deletes an endpoint and its routes"),
    action("create-nat-gateway", Shape::Mapping(&CREATE_NAT_GATEWAY), "makes a NAT gateway"),
    action("delete-nat-gateway", Shape::Leaf(&GATEWAY_REF), "deletes a NAT gateway"),
    action("allocate-address", Shape::Mapping(&ALLOCATE_ADDRESS), "gets a public address"),
    action(
        "associate-address",
        Shape::Mapping(&ASSOCIATE_ADDRESS),
        "lets a public address stand for an instance",
    ),
    action("disassociate-address", Shape::Leaf(&PUBLIC_ADDRESS), "ends that"),
    action("release-address", Shape::Leaf(&PUBLIC_ADDRESS), "gives a public address up"),
    action("place-outside-host", Shape::Mapping(&PLACE_OUTSIDE_HOST), "puts a host outside"),
    action("remove-outside-host", Shape::Leaf(&INSTANCE), "takes it away"),
];
