//! Requests as nobody sends them: every operation with every parameter it takes, mostly meant well and
//! somewhere badly wrong, and requests that are hardly HTTP.
//!
//! Holds the words. What a server answers teaches it ids, so that requests get beyond the first check.

use std::collections::BTreeMap;

use vpclab::api::dispatch::{Operation, operations};
use vpclab::base::rng::Stream;

/// Ids of one kind that are remembered.
const IDS_MAX: usize = 64;

/// What may be the matter with the connection behind a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// It is HTTP: there is an answer, and the connection can be used again.
    Whole,
    /// The same, of a HEAD request: the answer has no body.
    Head,
    /// It is HTTP, and the last request of its connection or more than the server reads: there is an
    /// answer.
    Last,
    /// It is no HTTP, or not all of it: there may be an answer.
    Broken,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    pub(super) bytes: Vec<u8>,
    pub(super) framing: Framing,
}

/// Where requests come from.
pub(super) struct Fuzzer {
    rng: Stream,
    /// By who saw them, and their kind.
    ids: BTreeMap<(Place, String), Vec<String>>,
    operations: Vec<&'static Operation>,
    /// Who asks now.
    place: Place,
    /// Is the present request meant well?
    honest: bool,
}

/// An account and a region.
type Place = (&'static str, &'static str);

const ACCOUNTS: &[&str] = &["111111111111", "222222222222", "333333333333"];
const REGIONS: &[&str] = &["us-east-1", "us-east-1", "us-east-1", "eu-west-1"];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "5",
    "100",
    "1000",
    "32766",
    "65535",
    "65536",
    "-1",
    "-2",
    "2147483647",
    "2147483648",
    "4294967296",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "1e9",
    "1.5",
    "0x10",
    " 7",
    "+5",
    "\u{ff17}",
    "NaN",
    "",
];

const TEXTS: &[&str] = &[
    "a",
    "Name",
    "true",
    "null",
    "",
    " ",
    "<a>&\"'</a>",
    "]]>",
    "<!--",
    "\0",
    "a\0b",
    "\u{1}\u{8}\u{b}\u{1f}",
    "\u{7f}\u{85}\u{9f}",
    "\u{fffe}\u{ffff}",
    "\u{feff}",
    "\u{202e}evil\u{2066}",
    "e\u{301}\u{327}",
    "\u{1f600}",
    "\u{10ffff}",
    "\\",
    "a\\",
    "%",
    "%s%n",
    "aws:reserved",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "' OR 1=1 --",
    "*",
    "?",
    "a\r\nX-Injected: yes",
    "\t",
    "&lt;",
    "${version} ${account-id}",
    "{\"Statement\": []}",
];

const BLOCKS: &[&str] = &[
    "10.0.0.0/16",
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.0.0.0/28",
    "10.1.0.0/16",
    "172.31.0.0/16",
    "172.31.0.0/20",
    "192.168.0.0/24",
    "100.64.0.0/10",
    "0.0.0.0/0",
    "::/0",
    "2001:db8::/64",
    "2600:1f00::/56",
    "::ffff:10.0.0.0/112",
    "10.0.0.1/16",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "256.0.0.0/8",
    "224.0.0.0/4",
    "10.0.0.0",
    "/",
    "fe80::1%eth0/64",
];

/// Words that some operation knows.
const WORDS: &[&str] = &[
    "vpc",
    "subnet",
    "instance",
    "network-interface",
    "security-group",
    "vpc-peering-connection",
    "tcp",
    "udp",
    "icmp",
    "icmpv6",
    "-1",
    "6",
    "58",
    "allow",
    "deny",
    "ingress",
    "egress",
    "default",
    "dedicated",
    "host",
    "Gateway",
    "Interface",
    "ALL",
    "ACCEPT",
    "REJECT",
    "VPC",
    "Subnet",
    "NetworkInterface",
    "s3",
    "cloud-watch-logs",
    "com.amazonaws.us-east-1.s3",
    "IPv4",
    "IPv6",
    "public",
    "private",
    "ipsec.1",
    "us-east-1a",
    "us-east-1b",
    "use1-az1",
    "us-east-1",
    "enableDnsSupport",
    "enableDnsHostnames",
    "domain-name-servers",
    "AmazonProvidedDNS",
    "local",
    "pending-acceptance",
    "active",
    "arn:aws:iam::444444444444:role/path/name",
    "arn:aws:iam::1:role/",
    "arn:aws:s3:::bucket",
];

/// What a request that is meant well has for parameters of these names.
const GOOD: &[(&str, &[&str])] = &[
    ("IpProtocol", &["tcp", "udp", "icmp", "-1"]),
    ("Protocol", &["6", "17", "-1"]),
    ("RuleAction", &["allow", "deny"]),
    ("RuleNumber", &["1", "50", "100", "110", "32766"]),
    ("FromPort", &["22", "80"]),
    ("ToPort", &["80", "443"]),
    ("From", &["22"]),
    ("To", &["443"]),
    ("Egress", &["true", "false"]),
    ("TrafficType", &["ALL", "ACCEPT", "REJECT"]),
    ("LogDestinationType", &["cloud-watch-logs"]),
    ("LogGroupName", &["logs"]),
    ("DeliverLogsPermissionArn", &["arn:aws:iam::111111111111:role/logs"]),
    ("LogFormat", &["${version} ${srcaddr} ${action}"]),
    ("MaxAggregationInterval", &["60", "600"]),
    ("ResourceType", &["VPC", "Subnet", "vpc", "subnet"]),
    ("AvailabilityZone", &["us-east-1a", "us-east-1b"]),
    ("PeerRegion", &["us-east-1", "eu-west-1"]),
    ("PeerOwnerId", ACCOUNTS),
    ("VpcEndpointType", &["Gateway"]),
    ("ServiceName", &["com.amazonaws.us-east-1.s3", "com.amazonaws.us-east-1.dynamodb"]),
    ("PolicyDocument", &["{\"Statement\": []}"]),
    ("Type", &["ipsec.1", "8"]),
    ("InstanceTenancy", &["default", "dedicated"]),
    ("Attribute", &["enableDnsSupport", "enableDnsHostnames"]),
    ("AddressFamily", &["IPv4"]),
    ("MaxEntries", &["2", "10"]),
    ("AmazonSideAsn", &["64512"]),
    ("ConnectivityType", &["private", "public"]),
    ("RoleArn", &["arn:aws:iam::444444444444:role/path/name"]),
    ("RoleSessionName", &["session"]),
    ("DurationSeconds", &["900"]),
];

/// Operations that are none of EC2's table, and their parameters.
const OTHERS: &[(&str, &[&str])] = &[
    ("GetCallerIdentity", &[]),
    ("AssumeRole", &["RoleArn", "RoleSessionName", "DurationSeconds"]),
    ("GetSessionToken", &["DurationSeconds"]),
    ("RunInstances", &["ImageId", "MinCount", "MaxCount", "SubnetId"]),
    ("DescribeNothing", &["VpcId"]),
    ("createvpc", &["CidrBlock"]),
    ("", &["CidrBlock"]),
];

/// What stands below a parameter that is a structure or a list of them.
const BELOW: &[(&str, &[&str])] = &[
    (
        "IpPermissions",
        &[
            "1.IpProtocol",
            "1.FromPort",
            "1.ToPort",
            "1.IpRanges.1.CidrIp",
            "1.IpRanges.1.Description",
            "1.Ipv6Ranges.1.CidrIpv6",
            "1.Groups.1.GroupId",
            "1.Groups.1.UserId",
            "1.PrefixListIds.1.PrefixListId",
            "2.IpProtocol",
            "2.IpRanges.1.CidrIp",
        ],
    ),
    (
        "SecurityGroupRule",
        &[
            "1.SecurityGroupRuleId",
            "1.SecurityGroupRule.IpProtocol",
            "1.SecurityGroupRule.FromPort",
            "1.SecurityGroupRule.ToPort",
            "1.SecurityGroupRule.CidrIpv4",
            "1.SecurityGroupRule.CidrIpv6",
            "1.SecurityGroupRule.ReferencedGroupId",
            "1.SecurityGroupRule.Description",
        ],
    ),
    ("SecurityGroupRuleDescription", &["1.SecurityGroupRuleId", "1.Description"]),
    ("DhcpConfiguration", &["1.Key", "1.Value.1", "1.Value.2", "2.Key", "2.Value.1"]),
    ("AddEntry", &["1.Cidr", "1.Description", "2.Cidr"]),
    ("Entry", &["1.Cidr", "1.Description", "2.Cidr"]),
    ("RemoveEntry", &["1.Cidr", "2.Cidr"]),
    ("RequesterPeeringConnectionOptions", &["AllowDnsResolutionFromRemoteVpc"]),
    (
        "AccepterPeeringConnectionOptions",
        &["AllowDnsResolutionFromRemoteVpc", "AllowEgressFromLocalClassicLinkToRemoteVpc"],
    ),
    ("EnableDnsSupport", &["Value"]),
    ("EnableDnsHostnames", &["Value"]),
    ("MapPublicIpOnLaunch", &["Value"]),
    ("AssignIpv6AddressOnCreation", &["Value"]),
    ("SourceDestCheck", &["Value"]),
    ("Icmp", &["Type", "Code"]),
    ("PortRange", &["From", "To"]),
    ("Tag", &["1.Key", "1.Value", "2.Key", "2.Value"]),
    (
        "TagSpecification",
        &["1.ResourceType", "1.Tag.1.Key", "1.Tag.1.Value", "1.Tag.2.Key", "2.ResourceType"],
    ),
    (
        "NetworkInterface",
        &["1.DeviceIndex", "1.SubnetId", "1.SecurityGroupId.1", "1.PrivateIpAddress"],
    ),
    ("Placement", &["AvailabilityZone", "Tenancy"]),
    ("Attachment", &["AttachmentId", "DeleteOnTermination"]),
    ("PrivateIpAddresses", &["1.PrivateIpAddress", "1.Primary"]),
];

/// Which ids a parameter wants, by a part of its name. The first that fits counts.
const KINDS: &[(&str, &str)] = &[
    ("SecurityGroupRule", "sgr"),
    ("Group", "sg"),
    ("Peering", "pcx"),
    ("RouteTable", "rtb"),
    ("Subnet", "subnet"),
    ("NetworkAcl", "acl"),
    ("EgressOnlyInternetGateway", "eigw"),
    ("InternetGateway", "igw"),
    ("VpnGateway", "vgw"),
    ("NatGateway", "nat"),
    ("GatewayId", "igw"),
    ("Endpoint", "vpce"),
    ("DhcpOptions", "dopt"),
    ("PrefixList", "pl"),
    ("FlowLog", "fl"),
    ("Allocation", "eipalloc"),
    ("Association", "rtbassoc"),
    ("NetworkInterface", "eni"),
    ("InsightsPath", "nip"),
    ("InsightsAnalys", "nia"),
    ("Instance", "i"),
    ("Image", "ami"),
    ("Vpc", "vpc"),
    ("Resource", "vpc"),
];

impl Fuzzer {
    pub(super) fn new(rng: Stream) -> Fuzzer {
        let operations = operations().map(|(_, operation)| operation).collect();
        let place = (ACCOUNTS[0], REGIONS[0]);
        Fuzzer { rng, ids: BTreeMap::new(), operations, place, honest: true }
    }

    /// True once in `n` times.
    fn one_in(&mut self, n: u64) -> bool {
        self.rng.below(n) == 0
    }

    fn below(&mut self, n: usize) -> usize {
        // Lossless: it is below `n`.
        usize::try_from(self.rng.below(n as u64)).unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Remembers the ids of an answer.
    pub(super) fn learn(&mut self, answer: &str) {
        for text in answer.split('>') {
            let text = text.split('<').next().unwrap_or_default();
            let Some((kind, digits)) = text.rsplit_once('-') else { continue };
            let is_hex = digits.bytes().all(|c| c.is_ascii_hexdigit());
            if !is_hex || !(8..=17).contains(&digits.len()) || kind.len() > 20 {
                continue;
            }
            let known = self.ids.entry((self.place, kind.to_owned())).or_default();
            known.retain(|id| id != text);
            known.push(text.to_owned());
            if known.len() > IDS_MAX {
                known.remove(0);
            }
        }
    }

    /// The next request.
    pub(super) fn shot(&mut self) -> Shot {
        self.place = (self.pick(ACCOUNTS), self.pick(REGIONS));
        match self.rng.below(100) {
            0..3 => self.no_http(),
            3..13 => self.page(),
            _ => self.call(),
        }
    }

    /// A call of EC2 or STS.
    fn call(&mut self) -> Shot {
        let form = self.form();
        let in_query = self.one_in(6);
        let method = match self.rng.below(60) {
            0 => "HEAD",
            1 => "PUT",
            2 => "DELETE",
            3 => "OPTIONS",
            4 => "PATCH",
            5 => "BREW",
            _ if in_query => "GET",
            _ => "POST",
        };
        let path = match self.rng.below(60) {
            0 => "//",
            1 => "/%2e%2e/",
            2 => "/\u{7e}",
            3 => "/_vpclab",
            4 if !in_query => "*",
            _ => "/",
        };
        if in_query {
            self.request(method, &format!("{path}?{form}"), Vec::new())
        } else {
            self.request(method, path, form.into_bytes())
        }
    }

    /// The parameters of a call.
    fn form(&mut self) -> String {
        let operation = self.pick(&self.operations.clone());
        let (name, takes, filters) = if self.one_in(25) {
            let (name, takes) = self.pick(OTHERS);
            (name, takes, &[][..])
        } else {
            (operation.name, operation.takes, operation.filters)
        };
        let mut form = format!("Action={name}&Version=2016-11-15");
        // Most requests are meant well, or few would get past the first check.
        self.honest = !self.one_in(3);
        let wild = if self.honest { 200 } else { 5 };
        // Whoever describes names nothing, or little.
        let reads = name.starts_with("Describe") && !self.one_in(4);
        let left_out = if self.honest { 6 } else { 4 };
        for name in takes {
            if reads || self.one_in(left_out) {
                continue;
            }
            let below = BELOW.iter().find(|(top, _)| top == name);
            match below {
                Some((_, below)) if !self.one_in(20) => {
                    for part in *below {
                        if !self.one_in(3) {
                            self.add(&mut form, &format!("{name}.{part}"), wild);
                        }
                    }
                }
                _ if self.one_in(if self.honest { 12 } else { 4 }) => {
                    for n in 1..=self.rng.below(4) {
                        self.add(&mut form, &format!("{name}.{n}"), wild);
                    }
                }
                _ => self.add(&mut form, name, wild),
            }
        }
        if !filters.is_empty() && self.one_in(3) {
            self.filters(&mut form, filters, wild);
        }
        if self.one_in(8) {
            for name in ["1.ResourceType", "1.Tag.1.Key", "1.Tag.1.Value"] {
                self.add(&mut form, &format!("TagSpecification.{name}"), wild);
            }
        }
        for (name, rarely) in
            [("MaxResults", 12), ("NextToken", 20), ("ClientToken", 12), ("DryRun", 30)]
        {
            if self.one_in(rarely) {
                self.add(&mut form, name, wild);
            }
        }
        if self.one_in(60) {
            self.spoil(&mut form);
        }
        form
    }

    fn add(&mut self, form: &mut String, name: &str, wild: u64) {
        let value = if self.one_in(wild) { self.any() } else { self.value(name) };
        form.push('&');
        form.push_str(name);
        form.push('=');
        form.extend(form_urlencoded::byte_serialize(value.as_bytes()));
    }

    fn filters(&mut self, form: &mut String, names: &[&str], wild: u64) {
        let many = if self.one_in(200) { 60 } else { 1 + self.rng.below(3) };
        for n in 1..=many {
            let name = if self.one_in(wild) { self.any() } else { self.pick(names).to_owned() };
            let name = name.replace("<key>", "Name");
            form.push_str(&format!("&Filter.{n}.Name="));
            form.extend(form_urlencoded::byte_serialize(name.as_bytes()));
            let values = if self.one_in(200) { 250 } else { self.rng.below(4) };
            for v in 1..=values {
                let value = match self.rng.below(10) {
                    0..4 => self.known(),
                    4..6 => self.pick(WORDS).to_owned(),
                    6 => self.pick(BLOCKS).to_owned(),
                    7 => self.wildcards(),
                    _ => self.any(),
                };
                form.push_str(&format!("&Filter.{n}.Value.{v}="));
                form.extend(form_urlencoded::byte_serialize(value.as_bytes()));
            }
        }
    }

    /// A pattern that a careless matcher takes for ever for.
    fn wildcards(&mut self) -> String {
        let times = self.pick(&[1, 3, 30, 300, 5_000]);
        let part = self.pick(&["*a", "*", "?", "*?", "*-*", "\\*", "*0*1", "?*?"]);
        let tail = self.pick(&["", "b", "*", "\\"]);
        format!("{}{tail}", part.repeat(times))
    }

    /// A form that is none, or too much of one.
    fn spoil(&mut self, form: &mut String) {
        match self.rng.below(10) {
            0 => form.push_str("&%zz=%&%=%c3%28&=&&&=%00&%u0041"),
            1 => (0..25_000).for_each(|n| form.push_str(&format!("&A.{n}=x"))),
            2 => (0..3_000).for_each(|n| form.push_str(&format!("&VpcId.{n}=vpc-{n:08x}"))),
            3 => form.push_str(&format!("&{}=x", vec!["a"; 5_000].join("."))),
            4 => form.push_str("&Filter.4294967296.Name=x&Filter.-1.Name=y&Filter..=z&.=."),
            5 => form.push_str(&format!("&VpcId={}", "x".repeat(900_000))),
            6 => form.push_str(&format!("&Description={}", "y".repeat(1_100_000))),
            7 => form.push_str("&Action=DescribeVpcs&Action=DeleteVpc&Version=%ff"),
            8 => form.push_str("&Filter.1.Name=tag:&Filter.1.Value.1.2.3=x&Filter=1&Filter.1=2"),
            _ => form.truncate(self.below(form.len())),
        }
        // Cut at a character: forms are ASCII by now.
    }

    /// What a parameter of this name may have.
    fn value(&mut self, name: &str) -> String {
        let last = name.rsplit('.').find(|part| part.parse::<u32>().is_err()).unwrap_or(name);
        if let Some((_, values)) = GOOD.iter().find(|(good, _)| *good == last && self.honest) {
            return self.pick(values).to_owned();
        }
        let has = |words: &[&str]| words.iter().any(|word| last.contains(word));
        let ends = |words: &[&str]| words.iter().any(|word| last.ends_with(word));
        if has(&["Cidr"]) && !ends(&["Id"]) {
            return self.block();
        }
        if has(&["Owner", "UserId"]) {
            return self.pick(ACCOUNTS).to_owned();
        }
        if last == "MaxResults" {
            return self.pick(&["5", "6", "50", "1000", "4", "1001"]).to_owned();
        }
        if last == "NextToken" {
            return self.any();
        }
        if ends(&["Id", "Ids"]) {
            let kind = KINDS.iter().find(|(part, _)| last.contains(part));
            return match kind {
                Some((_, kind)) => self.id(kind),
                None => self.known(),
            };
        }
        if has(&["Port", "Number", "Max", "Version", "Asn", "Interval", "Seconds", "Count"])
            || ["From", "To", "Code", "Type"].contains(&last)
        {
            return match self.rng.below(3) {
                0 => self.pick(NUMBERS).to_owned(),
                1 => self.rng.below(200).to_string(),
                _ => self.pick(WORDS).to_owned(),
            };
        }
        if has(&["Enable", "Egress", "DryRun", "Allow", "Reset", "Amazon", "Check", "Delete"])
            || ["Value", "Main"].contains(&last) && self.one_in(2)
        {
            return self.pick(&["true", "true", "false", "maybe"]).to_owned();
        }
        if has(&["Key", "Description", "Token", "GroupName"]) {
            return self.text();
        }
        self.pick(WORDS).to_owned()
    }

    fn block(&mut self) -> String {
        match if self.honest { 1 + self.rng.below(3) } else { self.rng.below(4) } {
            0 => self.pick(BLOCKS).to_owned(),
            1 => format!("10.{}.0.0/16", self.rng.below(40)),
            _ => format!("10.{}.{}.0/24", self.rng.below(40), self.rng.below(256)),
        }
    }

    /// An id of this kind, known or not.
    fn id(&mut self, kind: &str) -> String {
        let wild = if self.honest { 200 } else { 10 };
        match self.rng.below(wild) {
            0 => format!("{kind}-{:017x}", self.rng.next_u64() >> 4),
            1 => format!("{kind}-{:08x}", self.rng.next_u64() >> 32),
            2 => format!("{kind}-{}", self.any()),
            3 => self.known(),
            _ => match self.ids.get(&(self.place, kind.to_owned())).map(Vec::len) {
                Some(n @ 1..) => {
                    // What was made last has hardly been deleted yet.
                    let at = if self.honest { n - 1 - self.below(n.min(4)) } else { self.below(n) };
                    self.ids[&(self.place, kind.to_owned())][at].clone()
                }
                _ => self.known(),
            },
        }
    }

    /// An id of any kind and place.
    fn known(&mut self) -> String {
        let nth = self.below(self.ids.len());
        let Some(known) = self.ids.values().nth(nth) else { return "vpc-1".to_owned() };
        let at = usize::try_from(self.rng.below(known.len() as u64)).unwrap_or(0);
        known[at].clone()
    }

    fn text(&mut self) -> String {
        match self.rng.below(4) {
            0 => self.pick(TEXTS).to_owned(),
            _ => format!("name {}", self.rng.below(50)),
        }
    }

    /// Anything.
    fn any(&mut self) -> String {
        match self.rng.below(12) {
            0..3 => self.pick(NUMBERS).to_owned(),
            3..6 => self.pick(TEXTS).to_owned(),
            6 => self.pick(BLOCKS).to_owned(),
            7 => self.pick(WORDS).to_owned(),
            8 => self.known(),
            9 => self.pick(TEXTS).repeat(self.pick_len()),
            10 => {
                let length = self.below(40);
                (0..length)
                    .filter_map(|_| char::from_u32((self.rng.next_u64() >> 43) as u32))
                    .collect()
            }
            _ => format!("{}{}", self.pick(TEXTS), self.pick(NUMBERS)),
        }
    }

    fn pick_len(&mut self) -> usize {
        self.pick(&[1, 2, 64, 65, 128, 129, 255, 256, 257, 2_000])
    }

    /// A page of the server's own.
    fn page(&mut self) -> Shot {
        let pages = [
            ("POST", "ping"),
            ("POST", "ping"),
            ("POST", "udp"),
            ("POST", "tcp"),
            ("POST", "trace"),
            ("POST", "trace"),
            ("GET", "health"),
            ("GET", "metrics"),
            ("GET", "clock"),
            ("GET", "flow-logs"),
            ("GET", "captures"),
            ("POST", "captures"),
        ];
        let (method, mut page) = match self.rng.below(20) {
            0 => ("GET", format!("flow-logs/{}", encoded(&self.id("fl")))),
            1 => ("GET", format!("captures/{}", self.rng.below(20))),
            2 => ("DELETE", format!("captures/{}", self.rng.below(20))),
            3 => ("GET", format!("captures/{}", encoded(&self.any()))),
            4 => ("POST", format!("clock/advance?by={}", encoded(self.pick(SPANS)))),
            5 => ("GET", format!("{}/{}", encoded(&self.any()), encoded(&self.any()))),
            _ => {
                let (method, page) = self.pick(&pages);
                (method, page.to_owned())
            }
        };
        page.insert_str(0, "/_vpclab/");
        let method =
            if self.one_in(30) { self.pick(&["GET", "POST", "PUT", "HEAD"]) } else { method };
        let body = if method == "POST" { self.json() } else { Vec::new() };
        self.request(method, &page, body)
    }

    /// A body for one of the pages that send packets.
    fn json(&mut self) -> Vec<u8> {
        if self.one_in(8) {
            return match self.rng.below(8) {
                0 => Vec::new(),
                1 => b"[".repeat(100_000),
                2 => b"{\"from\":".repeat(10_000),
                3 => b"{\"from\": \"\\ud800\", \"to\": \"\xff\xfe\"}".to_vec(),
                4 => b"{\"from\": 1e999, \"to\": -0}".to_vec(),
                5 => b"null".to_vec(),
                6 => b"{\"from\": \"i-1\", \"to\": \"i-2\", \"from\": \"i-3\", \"x\": 1}".to_vec(),
                _ => self.any().into_bytes(),
            };
        }
        let mut rows = Vec::new();
        let (from, to) = (self.end(), self.end());
        rows.push(format!("\"from\": {from:?}"));
        rows.push(format!("\"to\": {to:?}"));
        for (name, rarely) in [("count", 4), ("size", 4), ("port", 4), ("bytes", 8)] {
            if self.one_in(rarely) {
                let number = if self.one_in(5) { self.pick(NUMBERS) } else { "3" };
                rows.push(format!("\"{name}\": {number}"));
            }
        }
        if self.one_in(6) {
            let protocol = self.pick(&["icmp", "udp", "tcp", "TCP", "6"]);
            rows.push(format!("\"protocol\": \"{protocol}\""));
        }
        if self.one_in(6) {
            rows.push("\"ipv6\": true".to_owned());
        }
        format!("{{{}}}", rows.join(", ")).into_bytes()
    }

    /// One end of a packet's way.
    fn end(&mut self) -> String {
        match self.rng.below(6) {
            0 => self.id("eni"),
            1 => format!("10.0.{}.{}", self.rng.below(4), self.rng.below(256)),
            2 => self.pick(&["8.8.8.8", "::1", "0.0.0.0", "169.254.169.254", "fe80::1"]).to_owned(),
            3 => self.known(),
            _ => self.id("i"),
        }
    }

    /// A request with a body of this length.
    fn request(&mut self, method: &str, target: &str, body: Vec<u8>) -> Shot {
        let mut framing = if method == "HEAD" { Framing::Head } else { Framing::Whole };
        if target.len() > 15_000 || body.len() > 1 << 20 {
            framing = Framing::Last;
        }
        let version = if self.one_in(200) { "1.0" } else { "1.1" };
        if version == "1.0" {
            framing = Framing::Last;
        }
        let mut head = format!("{method} {target} HTTP/{version}\r\n").into_bytes();
        let host = match self.rng.below(300) {
            0 => "Host: evil.example\r\n",
            1 => "",
            2 => "Host: localhost\r\nHost: localhost\r\n",
            3 => "Host: [::1]:4566\r\nOrigin: http://evil.example\r\n",
            4 => "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n",
            5 => "Host: \r\n",
            _ => "Host: localhost:4566\r\n",
        };
        head.extend_from_slice(host.as_bytes());
        // A request that is refused unread is the last one of its connection.
        if !host.starts_with("Host: localhost:") {
            framing = if method == "HEAD" { Framing::Broken } else { Framing::Last };
        }
        self.credentials(&mut head);
        match self.rng.below(120) {
            0 => head.extend_from_slice(b"X-Bytes: \x80\xff\xfe\t\r\n"),
            1 => (0..40).for_each(|n| head.extend_from_slice(format!("X-{n}: {n}\r\n").as_bytes())),
            2 => {
                (0..90).for_each(|n| head.extend_from_slice(format!("X-{n}: {n}\r\n").as_bytes()));
                framing = Framing::Broken;
            }
            3 => {
                head.extend_from_slice(format!("X-Long: {}\r\n", "l".repeat(20_000)).as_bytes());
                framing = Framing::Broken;
            }
            4 => head.extend_from_slice(b"Content-Type: application/json; charset=\"\r\n"),
            5 => head.extend_from_slice(b"Expect: 100-continue\r\n"),
            6 => head.extend_from_slice(b"Accept-Encoding: gzip\r\nUpgrade: h2c\r\n"),
            _ => {}
        }
        if method == "HEAD" && framing == Framing::Last {
            framing = Framing::Broken;
        }
        if !body.is_empty() || method != "GET" {
            head.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(&body);
        Shot { bytes: head, framing }
    }

    fn credentials(&mut self, head: &mut Vec<u8>) {
        let (account, region) = self.place;
        let line = match self.rng.below(100) {
            0 => String::new(),
            1 => "Authorization: \r\n".to_owned(),
            2 => "Authorization: AWS4-HMAC-SHA256 Credential=////,,=\r\n".to_owned(),
            3 => "Authorization: Basic YTpi\r\n".to_owned(),
            4 => format!("Authorization: AWS4-HMAC-SHA256 Credential={}\r\n", "x".repeat(500)),
            5 => format!(
                "Authorization: AWS4-HMAC-SHA256 Credential=ASIA{}/20260101/{region}/ec2/aws4_request\r\n\
                 X-Amz-Security-Token: AAAA\r\n",
                "A".repeat(16)
            ),
            6 => format!(
                "Authorization: AWS4-HMAC-SHA256 Credential={account}/20260101/nowhere-{}/ec2/aws4_request, SignedHeaders=host, Signature=x\r\n",
                self.rng.below(50)
            ),
            7 => format!(
                "Authorization: AWS4-HMAC-SHA256 Credential={:012}/20260101/{region}/ec2/aws4_request, SignedHeaders=host, Signature=x\r\n",
                self.rng.below(1_000)
            ),
            _ => format!(
                "Authorization: {}\r\n",
                crate::support::served::authorization(account, region)
            ),
        };
        head.extend_from_slice(line.as_bytes());
    }

    /// Bytes that are no request, or only a part of one.
    fn no_http(&mut self) -> Shot {
        let bytes = match self.rng.below(16) {
            0 => b"\r\n\r\n\r\n".to_vec(),
            1 => b"GET\r\n\r\n".to_vec(),
            2 => b"GET / HTTP/9.9\r\n\r\n".to_vec(),
            3 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            4 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            5 => b"GET / HTTP/1.1\r\nNo colon\r\n\r\n".to_vec(),
            6 => b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello".to_vec(),
            7 => b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!".to_vec(),
            8 => b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n".to_vec(),
            9 => b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n".to_vec(),
            10 => b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx".to_vec(),
            11 => b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n".to_vec(),
            12 => b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            13 => b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            14 => (0..self.below(3_000)).map(|_| self.rng.next_u64().to_le_bytes()[0]).collect(),
            _ => {
                // Half of a request.
                let mut bytes = self.call().bytes;
                bytes.truncate(self.below(bytes.len()));
                bytes
            }
        };
        Shot { bytes, framing: Framing::Broken }
    }
}

/// Spans of time to let pass; the whole range is a test of its own.
const SPANS: &[&str] = &["0s", "1ns", "1ms", "61s", "1h", "7d", "-1d", "x", "1", "", "1e9d"];

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
