//! The upper bounds of inputs, runs and outputs: what each bounds and whether it is the cloud's or
//! ours. A bound that only shapes one file's own working (how many endings an explanation keeps, how
//! many repairs are tried on a packet) stands in that file.
//!
//! Holds constants and the relations between them. Refuses to hold adjustable quotas of an account
//! (those are values, see [`crate::cloud::quota`]) and any code that enforces a bound.

use super::time::Span;

// ---- time -----------------------------------------------------------------------------------

/// Packets on their way at one time in a network with live hosts (ours): what hosts send beyond that ends
/// at their interfaces, `queue-full`. Whoever floods a link of long latency stops there.
pub const OUTSIDE_PENDING_MAX: usize = 32_768;

/// Longest run in virtual time (ours): 100 years of 365 days.
pub const RUN_SPAN_MAX: Span = Span::from_days(36_500);
/// Longest latency or jitter of a link (ours).
pub const LINK_DELAY_MAX: Span = Span::from_hours(1);
/// Events at one virtual instant before the run stops with an error (ours).
pub const EVENTS_PER_INSTANT_MAX: u64 = 1_000_000;
/// Pending events of one run (ours).
pub const PENDING_EVENTS_MAX: usize = 10_000_000;

// ---- packets --------------------------------------------------------------------------------

/// Longest packet in bytes: the 16-bit total length of IPv4 (RFC 791, 3.1).
pub const PACKET_BYTES_MAX: usize = 65_535;
/// IPv6 extension headers of one packet (ours).
pub const IPV6_EXTENSIONS_MAX: usize = 8;
/// Bytes of all IPv6 extension headers of one packet (ours).
pub const IPV6_EXTENSION_BYTES_MAX: usize = 2_048;
/// Smallest MTU in bytes: what every link must carry in one piece (RFC 791, 3.2).
pub const MTU_BYTES_MIN: u16 = 68;
/// Smallest MTU in bytes that a file may give (RFC 8200, 5: what IPv6 asks of every link).
pub const MTU_BYTES_CONFIGURED_MIN: u16 = 1_280;
/// Largest MTU in bytes (AWS, vpc-semantics 3.4: jumbo frames inside a region).
pub const MTU_BYTES_MAX: u16 = 9_001;
/// Packets that one host puts together at the same time, given up ones included (ours).
pub const REASSEMBLY_PACKETS_MAX: usize = 64;
/// Fragments of one packet (ours): a packet of 65,535 bytes, cut to the smallest MTU of a file, has
/// 53, and each may have been cut in two once more on the way.
pub const REASSEMBLY_FRAGMENTS_MAX: usize = 128;
/// Bytes of all fragments that one host keeps (ours).
pub const REASSEMBLY_BYTES_MAX: usize = 1 << 20;
/// How long a host waits for the rest of an IPv4 packet, from its first fragment on (ours, as
/// Linux; RFC 791, 3.2 starts at 15 s, RFC 1122, 3.3.2 at 60 s).
pub const REASSEMBLY_IPV4_SPAN: Span = Span::from_secs(30);
/// How long a host waits for the rest of an IPv6 packet, likewise (RFC 8200, 4.5).
pub const REASSEMBLY_IPV6_SPAN: Span = Span::from_secs(60);
/// Packets waiting on one link, by default (ours).
pub const LINK_QUEUE_PACKETS_DEFAULT: u32 = 1_000;
/// Packets waiting on one link, at most (ours).
pub const LINK_QUEUE_PACKETS_MAX: u32 = 1_000_000;
/// Packets one run may inject (ours).
pub const PACKETS_PER_RUN_MAX: u64 = 1_000_000_000;

// ---- TCP of instances -----------------------------------------------------------------------

/// Connections of one instance at a time (ours); a SYN beyond it is not answered.
pub const TCP_CONNECTIONS_PER_STACK_MAX: usize = 1_024;
/// Bytes that one direction of a TCP connection may have under way (ours). Enough for 100 Mbit/s over
/// 100 ms; and not more than the default queue of a link holds in packets of 1,500 bytes, so that
/// one transfer alone does not overrun it.
pub const TCP_BUFFER_BYTES: usize = 1_400_000;
/// Bytes that the sender of that direction keeps (ours): what is under way, and as much again that
/// waits for the first of them to be acknowledged.
pub const TCP_SEND_BUFFER_BYTES: usize = 2 * TCP_BUFFER_BYTES;
/// Bytes of the other direction if nothing is meant to go there (ours).
pub const TCP_SMALL_BUFFER_BYTES: usize = 64 << 10;
/// Destinations whose path MTU one instance remembers (ours).
pub const TCP_PATHS_PER_STACK_MAX: usize = 1_024;

// ---- scenario files -------------------------------------------------------------------------

/// Bytes of one scenario file (ours). Checked before the file is read.
pub const SCENARIO_BYTES_MAX: u64 = 4 << 20;
/// Nesting of collections in a scenario file (ours). Checked before the parser runs.
pub const SCENARIO_DEPTH_MAX: usize = 32;
/// Scalars and collections in a scenario file (ours).
pub const SCENARIO_NODES_MAX: usize = 250_000;
/// Accounts of one scenario (ours).
pub const SCENARIO_ACCOUNTS_MAX: usize = 1_000;
/// VPCs of one scenario, those that steps create included (ours); as the totals below.
pub const SCENARIO_VPCS_MAX: usize = 1_000;
/// Subnets of one scenario (ours).
pub const SCENARIO_SUBNETS_MAX: usize = 10_000;
/// Network interfaces of one scenario, one for each instance (ours).
pub const SCENARIO_INTERFACES_MAX: usize = 100_000;
/// Routes of one scenario, local ones not counted (ours).
pub const SCENARIO_ROUTES_MAX: usize = 100_000;
/// Rules of security groups, entries of prefix lists and entries of network ACLs of one scenario
/// together (ours).
pub const SCENARIO_RULES_MAX: usize = 100_000;
/// Length of a label in bytes (ours).
pub const LABEL_BYTES_MAX: usize = 64;
/// Diagnostics printed for one file before the rest is only counted (ours).
pub const DIAGNOSTICS_MAX: usize = 50;
/// Bytes of one capture that a scenario replays (ours). Checked before the file is read.
pub const REPLAY_BYTES_MAX: u64 = 64 << 20;
/// Packets of one capture that a scenario replays (ours).
pub const REPLAY_PACKETS_MAX: usize = 1_000_000;

/// Repairs looked for in one step (ours): each costs copies of the cloud, and a reader wants few.
pub const REPAIRS_PER_STEP_MAX: usize = 16;

// ---- outputs --------------------------------------------------------------------------------

/// Bytes of one capture file (ours); packets beyond it are counted, not written.
pub const CAPTURE_BYTES_MAX: u64 = 1 << 30;
/// Bytes of one packet's comment in a capture (ours; the format's own bound is 65,535).
pub const CAPTURE_COMMENT_BYTES_MAX: usize = 4_096;
/// Bytes of an interface's name or description in a capture (ours).
pub const CAPTURE_NAME_BYTES_MAX: usize = 256;

/// Bytes of the file of one flow log (ours); it ends with the last whole record before.
pub const FLOW_LOG_BYTES_MAX: u64 = 256 << 20;
/// Flows that one flow log holds of one interface in one window (ours); there is `SKIPDATA` for more.
pub const FLOW_LOG_FLOWS_PER_INTERFACE_MAX: usize = 16_384;
/// Flows that all flow logs of a run hold together (ours); there is `SKIPDATA` for more.
pub const FLOW_LOG_FLOWS_MAX: usize = 1_000_000;

// ---- the journal of a server -----------------------------------------------------------------

/// Bytes that wait for the journal's writer before changes are refused (ours). Entries of requests
/// already under way still come on top: as many as there may be, each as long as its request.
pub const JOURNAL_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Bytes appended to the journal before a snapshot is due (ours; invariants 6.7).
pub const JOURNAL_BYTES_BEFORE_SNAPSHOT: u64 = 64 << 20;
/// Entries of the journal before a snapshot is due (ours): what replays in a second or two.
pub const JOURNAL_ENTRIES_BEFORE_SNAPSHOT: u64 = 500_000;
// ---- the API server --------------------------------------------------------------------------

/// Bytes of one request's body (ours): EC2's requests are forms of a few kilobytes.
pub const API_BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of all bodies that are being read or answered (ours); there is a refusal for more.
pub const API_BODIES_BYTES_MAX: usize = 64 << 20;
/// Bytes of all answers that clients have not taken yet (ours); there is a refusal for more.
pub const API_ANSWERS_BYTES_MAX: usize = 256 << 20;
/// Bytes of an answer that is sent whatever else waits (ours): what a change is answered with.
pub const API_SMALL_ANSWER_BYTES: usize = 16 << 10;
/// Bytes of a request's line and headers together (ours): a presigned request with its session
/// token stays below half of it.
pub const API_HEAD_BYTES_MAX: usize = 16 << 10;
/// Headers of one request (ours).
pub const API_HEADERS_MAX: usize = 64;
/// Connections at a time (ours); fewer if the process may not hold as many descriptors.
pub const API_CONNECTIONS_MAX: usize = 10_000;
/// Descriptors that stay free for files and listeners (ours).
pub const API_DESCRIPTORS_SPARE: usize = 64;
/// Connections beyond the others that are being told so (ours); more are closed without a word.
pub const API_TURNED_AWAY_MAX: usize = 32;
/// How long the line and the headers of a request may take from their first byte on (ours).
pub const API_HEAD_SPAN: Span = Span::from_secs(10);
/// How long a request's body may take (ours).
pub const API_BODY_SPAN: Span = Span::from_secs(30);
/// How long an answer may take to be found (ours).
pub const API_ANSWER_SPAN: Span = Span::from_secs(60);
/// How long a client may take none of an answer's bytes (ours).
pub const API_STALL_SPAN: Span = Span::from_secs(30);
/// How long a connection is kept without a request (ours; common clients drop theirs after a minute).
pub const API_IDLE_SPAN: Span = Span::from_secs(75);
/// How long requests in flight may take to end when the server is stopped (ours).
pub const API_DRAIN_SPAN: Span = Span::from_secs(10);
/// How long a refused request is read on, so that its client gets to see why (ours).
pub const API_LINGER_SPAN: Span = Span::from_secs(2);
/// Bytes that are read and thrown away meanwhile (ours).
pub const API_LINGER_BYTES: usize = 256 << 10;
/// How long no connection is accepted after the host had no descriptor left (ours).
pub const API_ACCEPT_PAUSE: Span = Span::from_millis(100);
/// Bytes of a file of access keys (ours). Checked before it is read.
pub const API_KEYS_FILE_BYTES_MAX: u64 = 4 << 20;
/// Characters of an access key (ours; AWS documents 16 to 128).
pub const API_ACCESS_KEY_CHARS_MAX: usize = 128;
/// Characters of the name of a role or of a session (AWS: 64).
pub const API_ROLE_NAME_CHARS_MAX: usize = 64;
/// How far a signature's date may lie from the server's clock (AWS, vpc-semantics 6.1: 15 min).
pub const API_SIGNATURE_SKEW: Span = Span::from_secs(15 * 60);
/// How long a presigned request may hold (AWS: seven days).
pub const API_PRESIGNED_SPAN_MAX: Span = Span::from_days(7);

// ---- the cloud's fixed rules (adjustable quotas live in `cloud::quota`) ----------------------

/// Life of an unanswered peering request (AWS, vpc-semantics 0.3: 168 h, not adjustable).
pub const PEERING_REQUEST_LIFE: Span = Span::from_days(7);
/// Prefix lengths of a VPC's or subnet's IPv4 block, longest block first (AWS, 1.1).
pub const IPV4_BLOCK_PREFIX_LENGTHS: std::ops::RangeInclusive<u8> = 16..=28;
/// Prefix length of a VPC's IPv6 block (AWS, 1.1).
pub const VPC_IPV6_PREFIX_LENGTH: u8 = 56;
/// Prefix length of a subnet's IPv6 block (AWS, 1.1).
pub const SUBNET_IPV6_PREFIX_LENGTH: u8 = 64;
/// Tags of one resource (AWS, 1.4).
pub const TAGS_PER_RESOURCE_MAX: usize = 50;
/// Characters of a tag's key (AWS).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of a tag's value (AWS).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Characters of a security group's name (AWS).
pub const GROUP_NAME_CHARS_MAX: usize = 255;
/// Characters of the description of a security group or of one of its rules (AWS).
pub const RULE_DESCRIPTION_CHARS_MAX: usize = 255;
/// Entries that a managed prefix list can be made for (AWS).
pub const PREFIX_LIST_ENTRIES_MAX: usize = 1_000;
/// Versions of a managed prefix list whose entries are kept (ours).
pub const PREFIX_LIST_VERSIONS_KEPT: u64 = 100;
/// Flow logs of one VPC, subnet or interface (AWS; not adjustable).
pub const FLOW_LOGS_PER_RESOURCE_MAX: usize = 2;

/// Instances that one request may start (ours).
pub const INSTANCES_PER_REQUEST_MAX: u16 = 1_000;
/// Interfaces of one instance (AWS grants the largest types 15, counted from 0 to 14; here every
/// instance is as large).
pub const INTERFACES_PER_INSTANCE_MAX: usize = 15;
/// How long a terminated instance can be read (AWS: about an hour, vpc-semantics 6.3).
pub const TERMINATED_INSTANCE_SHOWN: Span = Span::from_hours(1);
/// Ended peerings and terminated instances that one command forgets in passing (ours): more than it
/// can end, so that they do not pile up, and few enough not to be noticed.
pub const FORGOTTEN_PER_COMMAND_MAX: usize = 64;

/// Bytes that one `tcp` step sends (ours).
pub const TCP_BYTES_MAX: u64 = 100_000_000_000;

// ---- the EC2 API ----------------------------------------------------------------------------

/// Parameters of one request (ours): fifty filters of two hundred values, and room.
pub const API_PARAMETERS_MAX: usize = 20_000;
/// Parts of the dotted name of a parameter (ours; EC2's longest have seven).
pub const API_PARAMETER_DEPTH_MAX: usize = 10;
/// Filters of one request (AWS, 6.2).
pub const API_FILTERS_MAX: usize = 50;
/// Values of one filter (AWS, 6.2).
pub const API_FILTER_VALUES_MAX: usize = 200;
/// How long a deleted NAT gateway can be read (AWS: about an hour).
pub const API_DELETED_NAT_GATEWAY_SHOWN: Span = Span::from_hours(1);
/// Client tokens whose answers are remembered, the oldest going first (ours; AWS keeps them a day).
pub const API_CLIENT_TOKENS_MAX: usize = 4_096;
/// Bytes of those answers together (ours).
pub const API_CLIENT_TOKEN_BYTES_MAX: usize = 64 << 20;
/// Resources of one kind that only the API has, of one account in one region (ours; AWS: 5,000 key pairs,
/// 1,000 sets of DHCP options, 100 paths, 1,000 analyses). Rules of groups are bounded by their groups.
pub const API_THINGS_MAX: usize = 5_000;
/// Accounts and regions in which somebody has asked for something (ours): each has a default VPC.
pub const API_PLACES_MAX: usize = 10_000;

/// Paths of Network Insights that an account has in a region, and analyses (ours).
pub const API_INSIGHTS_MAX: usize = 1_000;

// ---- traffic in a server ---------------------------------------------------------------------

/// Packets that one request sends (ours).
pub const API_PACKETS_MAX: u64 = 1_000;
/// Bytes that one TCP connection of a request sends (ours).
pub const API_TCP_BYTES_MAX: u64 = 16 << 20;
/// Between two packets of one request (ours).
pub const API_PACKET_GAP: Span = Span::from_micros(100);
/// How long a TCP connection of a request waits for its first answer, and for any other (ours): the
/// longest way there is takes a few tens of milliseconds.
pub const API_TCP_CONNECT_SPAN: Span = Span::from_millis(500);
/// The same while data are on their way (ours): three retransmissions.
pub const API_TCP_SILENCE_SPAN: Span = Span::from_secs(8);
/// Captures that run at a time in a server (ours).
pub const API_CAPTURES_MAX: usize = 8;
/// Packets that one of them keeps, the latest (ours).
pub const API_CAPTURE_PACKETS_MAX: usize = 10_000;
/// Bytes of packets that one of them keeps (ours).
pub const API_CAPTURE_BYTES_MAX: usize = 16 << 20;
/// Bytes of one flow log in a server (ours); it ends with the last whole record before.
pub const API_FLOW_LOG_BYTES_MAX: u64 = 4 << 20;
/// Flows that all flow logs of a server hold in their present windows (ours).
pub const API_FLOW_LOG_FLOWS_MAX: usize = 100_000;
/// Bytes of all flow logs of a server (ours); records beyond it are counted, not kept.
pub const API_FLOW_LOGS_BYTES_MAX: usize = 64 << 20;
/// Flow logs that are deleted and can still be read, the latest (ours).
pub const API_FLOW_LOGS_ENDED_MAX: usize = 64;

// ---- what the data plane remembers -----------------------------------------------------------

/// Connections that one interface tracks (ours; invariants 6.5).
pub const TRACKED_CONNECTIONS_DEFAULT: usize = 65_536;
/// The most that a file may let one interface track (ours; invariants 6.5).
pub const TRACKED_CONNECTIONS_MAX: usize = 1_000_000;
/// Packets whose later fragments one interface waits for (ours).
pub const FRAGMENTS_TRACKED_MAX: usize = 4_096;
/// Translations of one NAT device (ours; AWS gives 55,000 for each destination).
pub const NAT_TRANSLATIONS_MAX: usize = 65_536;
/// Middleboxes that one walk follows a packet through before it calls it a loop (ours).
pub const WALK_RELAYS_MAX: usize = 64;

const _: () = assert!(LINK_QUEUE_PACKETS_DEFAULT <= LINK_QUEUE_PACKETS_MAX);
const _: () = assert!(TCP_BUFFER_BYTES >= 100_000_000 / 8 / 10);
const _: () = assert!(TCP_BUFFER_BYTES <= (1_500 - 40) * LINK_QUEUE_PACKETS_DEFAULT as usize);
const _: () = assert!(MTU_BYTES_MIN <= MTU_BYTES_CONFIGURED_MIN);
const _: () = assert!(MTU_BYTES_CONFIGURED_MIN < MTU_BYTES_MAX);
// The longest packet can always be put together.
const _: () = assert!(REASSEMBLY_BYTES_MAX >= PACKET_BYTES_MAX + 60 * REASSEMBLY_FRAGMENTS_MAX);
// An instant plus two link delays and a request's life must not saturate within a run.
const _: () = assert!(RUN_SPAN_MAX.as_nanos() < u64::MAX / 2);
