//! Single values: what messages call them and what an editor checks.
//!
//! Words of the cloud and of packets are taken from their types; this file has none of its own for
//! them.

use crate::base::limit::{LINK_QUEUE_PACKETS_MAX, PACKETS_PER_RUN_MAX, TCP_BYTES_MAX};
use crate::cloud::dns::Reason;
use crate::cloud::filter::Direction;
use crate::cloud::flow_log::{Interval, TrafficType};
use crate::cloud::gateway::Line;
use crate::cloud::peering::{End, Status};
use crate::cloud::route_table::RouteState;
use crate::forward::middlebox::Role;
use crate::scenario::shape::{Form, Leaf};
use crate::wire::Family;

/// The words of all values of a type, in the order of its `ALL`.
macro_rules! words_of {
    ($type:ident, $word:ident) => {{
        const WORDS: [&str; $type::ALL.len()] = {
            let mut words = [""; $type::ALL.len()];
            let mut row = 0;
            while row < words.len() {
                words[row] = $type::ALL[row].$word();
                row += 1;
            }
            words
        };
        &WORDS
    }};
}
pub(super) use words_of;

/// The states of a peering, then the one of a route that no peering has. A test holds it to the two
/// types.
const STATES: &[&str] = &{
    let peering: &[&str; Status::ALL.len()] = words_of!(Status, code);
    let mut words = [RouteState::Blackhole.code(); Status::ALL.len() + 1];
    let mut row = 0;
    while row < peering.len() {
        words[row] = peering[row];
        row += 1;
    }
    words
};

/// Largest payload: a packet less the shortest IPv4 header and an ICMP or UDP header.
const PAYLOAD_MAX: u64 = 65_535 - 20 - 8;

macro_rules! leaves {
    ($($name:ident = $what:literal, $form:expr;)+) => {
        $(pub(super) static $name: Leaf = Leaf { what: $what, form: $form };)+
    };
}

leaves! {
    TEXT = "a text", Form::TextOrNumber("");
    LABEL = "a label", Form::TextOrNumber("^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$");
    ACCOUNT_ID = "an account id", Form::TextOrNumber("^[0-9]{12}$");
    ACCOUNT = "the label or id of an account", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    REGION = "a region", Form::Text("^[a-z]+(-[a-z]+)+-[0-9]+$");
    ZONE = "an availability zone", Form::Text("^[a-z]+(-[a-z]+)+-[0-9]+[a-z]$");
    IPV4_BLOCK = "an IPv4 block", Form::Text("^[0-9.]+/[0-9]+$");
    IPV6_BLOCK = "an IPv6 block", Form::Text("^[0-9A-Fa-f:.]+/[0-9]+$");
    BLOCK = "a block of addresses", Form::Text("^[0-9A-Fa-f:.]+/[0-9]+$");
    IPV4 = "an IPv4 address", Form::Text("^[0-9.]+$");
    IPV6 = "an IPv6 address", Form::Text("^[0-9A-Fa-f:.]+$");
    ADDRESS = "an address", Form::Text("^[0-9A-Fa-f:.]+$");
    VPC = "the label or id of a VPC", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    PEERING = "the label or id of a peering", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    HOST = "the label of an instance or outside host", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    GATEWAY = "the label of a gateway", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    GATEWAY_TYPE = "a type of gateway",
        Form::Word(&["internet", "egress-only", "vpn", "direct-connect", "nat", "endpoint"]);
    LINE = "a line", Form::Word(words_of!(Line, name));
    PUBLIC_ADDRESS = "the label of a public address", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    PUBLIC_IP = "a public address or `auto`", Form::Text("^(auto|[0-9.]+)$");
    FLOW_LOG = "the label of a flow log", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    WATCHED = "a VPC, a subnet (`VPC/subnet`), an instance or a NAT gateway",
        Form::TextOrNumber("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$");
    TRAFFIC_TYPE = "a type of traffic", Form::Word(words_of!(TrafficType, name));
    INTERVAL = "an interval", Form::Word(words_of!(Interval, name));
    LOG_FORMAT = "the format of a flow log",
        Form::Text("^\\s*\\$\\{[a-z-]+\\}(\\s+\\$\\{[a-z-]+\\})*\\s*$");
    INSTANCE = "the label of an instance", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    SUBNET = "a subnet (`VPC/subnet`)", Form::Text("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$");
    TABLE = "a route table (`VPC` or `VPC/table`)",
        Form::TextOrNumber("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$");
    NAMED_TABLE = "a route table (`VPC/table`)", Form::Text("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$");
    GROUP = "a security group (a label, an id or `VPC/default`)",
        Form::TextOrNumber("^[A-Za-z0-9._-]+(/default)?$");
    PREFIX_LIST = "the label or id of a prefix list", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    PEER = "a block, a security group or a prefix list",
        Form::TextOrNumber("^[A-Za-z0-9._:-]+(/[A-Za-z0-9]+)?$");
    ACL = "a network ACL (`VPC/acl` or `VPC/default`)",
        Form::Text("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$");
    ACL_NAME = "the label of a network ACL, or `default`", Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    RULE_NUMBER = "a number from 1 to 32766", Form::TextOrNumber("^[0-9]{1,5}$");
    TRAFFIC = "traffic",
        Form::Text("^(all|(tcp|udp)( [0-9]+(-[0-9]+)?)?|icmp(v6)?( [0-9]+(/[0-9]+)?)?|protocol [0-9]+)$");
    DIRECTION = "a direction", Form::Word(words_of!(Direction, name));
    NONE = "`none`", Form::Word(&["none"]);
    TARGET = "the label or id of a peering, or the label of a gateway or instance",
        Form::TextOrNumber("^[A-Za-z0-9._-]+$");
    DESTINATION = "a host, an address, `public(instance)` or `VPC:address`", Form::TextOrNumber("^\\S+$");
    PAIR = "a pair (`b -> c`)", Form::Text("^\\s*\\S+\\s*->\\s*\\S+\\s*$");
    NAME = "a hostname or an instance", Form::TextOrNumber("^[A-Za-z0-9._-]+(/public)?$");
    LOCATION = "a peering, gateway, VPC, route table, network ACL or host",
        Form::TextOrNumber("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?$");
    SPAN = "a span of time", Form::Text("^[0-9]+(\\.[0-9]+)? ?(ns|us|µs|ms|s|m|h|d)$");
    BIT_RATE = "a bit rate", Form::Text("^[0-9]+(\\.[0-9]+)? ?(bit|kbit|Mbit|Gbit)/s$");
    PACKET_RATE = "a packet rate", Form::Text("^[0-9]+ ?/s$");
    CHANCE = "a chance", Form::TextOrNumber("^[0-9]+(\\.[0-9]+)? ?%?$");
    BOUNDS = "a number or bounds (`A..B`)", Form::TextOrNumber("^[0-9]+(\\.\\.[0-9]+)?$");
    REASON = "the label of a drop reason", Form::Text("^[a-z][a-z0-9-]*$");
    EC2_CODE = "an EC2 error code", Form::Text("^[A-Za-z]+(\\.[A-Za-z]+)*$");
    STATE = "a state", Form::Word(STATES);
    HEX = "bytes in hexadecimal", Form::TextOrNumber("^[0-9A-Fa-f\\s]+$");
    PATH = "a path", Form::Text("^[^/\\\\:][^\\\\:]*$");
    BOOLEAN = "`true` or `false`", Form::Boolean;
    FAMILY = "a family of addresses", Form::Word(words_of!(Family, name));
    QUOTA = "a whole number", Form::Whole { min: 0, max: u32::MAX as u64 };
    QUEUE = "a whole number", Form::Whole { min: 1, max: LINK_QUEUE_PACKETS_MAX as u64 };
    COUNT = "a whole number", Form::Whole { min: 1, max: PACKETS_PER_RUN_MAX };
    PORT = "a port", Form::Whole { min: 0, max: 65_535 };
    PAYLOAD = "a whole number", Form::Whole { min: 0, max: PAYLOAD_MAX };
    SIDE = "a side of a peering", Form::Word(words_of!(End, name));
    UNRESOLVED = "a reason for which a name does not resolve", Form::Word(words_of!(Reason, label));
    VERDICT = "an expectation",
        Form::Word(&["replied", "delivered", "connected", "refused", "timed-out", "reset"]);
    ROLE = "a role", Form::Word(words_of!(Role, name));
    TCP_PORT = "a port", Form::Whole { min: 1, max: 65_535 };
    BYTES = "a whole number", Form::Whole { min: 0, max: TCP_BYTES_MAX };
}
