//! Flow logs, read field by field: what each situation leaves behind, and that sums agree with
//! captures and counts (invariant S12).
//!
//! The records of `tests/data/flow_logs/` stand beside the scenarios as goldens; `BLESS=1 cargo test`
//! rewrites them. Records are read by a parser that shares nothing with the writer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use vpclab::report::capture::{Capture, FABRIC};
use vpclab::report::flow_log::{FlowLogs, Which};
use vpclab::report::outcome::Outcome;
use vpclab::report::pcapng::CalendarStart;
use vpclab::scenario::load;
use vpclab::scenario::run::{self, Settings};
use vpclab::sim::Twin;

use crate::captures::File as CaptureFile;
use crate::files;

/// One record: the value of each field by its name. Every value has been looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Record(BTreeMap<String, String>);

impl Record {
    fn parse(fields: &[&str], line: &str) -> Record {
        let values: Vec<&str> = line.split(' ').collect();
        assert_eq!(values.len(), fields.len(), "`{line}` has a value for each field");
        let record: BTreeMap<String, String> =
            fields.iter().zip(values).map(|(f, v)| ((*f).to_owned(), v.to_owned())).collect();
        let status = record.get("log-status").map_or("OK", String::as_str);
        for (field, value) in &record {
            assert!(is_valid(field, value, status), "{field} is `{value}` in `{line}`");
        }
        let record = Record(record);
        record.check_together(line);
        record
    }

    /// What fields say about one another.
    fn check_together(&self, line: &str) {
        if let (Some(start), Some(end)) = (self.number("start"), self.number("end")) {
            assert!(start <= end && end <= start + 600, "{line}");
        }
        if let (Some(packets), Some(bytes)) = (self.number("packets"), self.number("bytes")) {
            assert!((20 * packets..=65_535 * packets).contains(&bytes), "{line}");
        }
        if self.get("flow-direction") == Some("ingress") {
            assert!(matches!(self.get("traffic-path"), None | Some("-")), "{line}");
        }
        if let Some(protocol) = self.get("protocol").filter(|p| !["6", "17", "-"].contains(p)) {
            for port in ["srcport", "dstport"] {
                assert!(matches!(self.get(port), None | Some("0")), "{protocol}: {line}");
            }
        }
    }

    fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    fn number(&self, field: &str) -> Option<u64> {
        self.get(field).and_then(|value| value.parse().ok())
    }

    /// These fields, with spaces between them.
    fn show(&self, fields: &[&str]) -> String {
        let value = |field: &&str| self.get(field).unwrap_or_else(|| panic!("no {field}"));
        fields.iter().map(value).collect::<Vec<_>>().join(" ")
    }
}

/// Is the value one that the field can have, in a record of this status?
fn is_valid(field: &str, value: &str, status: &str) -> bool {
    let whole = |range: std::ops::RangeInclusive<u64>| {
        value.parse().is_ok_and(|n| range.contains(&n))
            && value.parse::<u64>().unwrap().to_string() == value
    };
    let one_of = |words: &[&str]| words.contains(&value);
    let id = |prefix: &str| {
        let digits = value.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
        digits.is_some_and(|d| {
            d.len() == 17 && d.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    };
    // What every record has.
    let of_all = match field {
        "version" => Some(whole(2..=5)),
        "account-id" => Some(value.len() == 12 && value.bytes().all(|b| b.is_ascii_digit())),
        "interface-id" => Some(id("eni")),
        "start" | "end" => Some(whole(0..=1 << 33)),
        "log-status" => Some(one_of(&["OK", "NODATA", "SKIPDATA"])),
        "vpc-id" => Some(id("vpc")),
        "subnet-id" => Some(id("subnet")),
        "instance-id" => Some(value == "-" || id("i")),
        "region" => Some(value.split('-').count() >= 3),
        "az-id" => Some(value.split_once("-az").is_some_and(|(region, n)| {
            region.bytes().all(|b| b.is_ascii_alphanumeric()) && n.parse::<u8>().is_ok()
        })),
        "sublocation-type" | "sublocation-id" => Some(value == "-"),
        _ => None,
    };
    match (of_all, status) {
        (Some(valid), _) => return valid,
        // A record without data has nothing of a flow.
        (None, "NODATA" | "SKIPDATA") => return value == "-",
        (None, _) => {}
    }
    // Where the format has no `log-status`, a record without data looks like this.
    if value == "-" && !matches!(field, "traffic-path") && !field.ends_with("aws-service") {
        return false;
    }
    match field {
        "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => value.parse::<IpAddr>().is_ok(),
        "srcport" | "dstport" => whole(0..=65_535),
        "protocol" => whole(0..=255),
        "packets" => whole(1..=1 << 40),
        "bytes" => whole(20..=1 << 50),
        "action" => one_of(&["ACCEPT", "REJECT"]),
        // Or-ed of FIN 1, SYN 2, RST 4 and ACK 16, the last only beside SYN.
        "tcp-flags" => {
            whole(0..=23)
                && value.parse::<u8>().is_ok_and(|f| f & 8 == 0 && (f & 16 == 0 || f & 2 != 0))
        }
        "type" => one_of(&["IPv4", "IPv6"]),
        "pkt-src-aws-service" | "pkt-dst-aws-service" => {
            value == "-" || value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        }
        "flow-direction" => one_of(&["ingress", "egress"]),
        "traffic-path" => one_of(&["-", "1", "3", "4", "5", "7", "8"]),
        other => panic!("no flow log has a field `{other}`"),
    }
}

/// What a run left behind.
struct Logged {
    /// Name and text of each file, in the order in which the logs began.
    files: Vec<(String, String)>,
    capture: CaptureFile,
    outcome: Outcome,
}

impl Logged {
    /// The records of all files.
    fn records(&self) -> Vec<Record> {
        let of_file = |(name, text): &(String, String)| {
            let mut lines = text.lines();
            let header = lines.next().unwrap_or_else(|| panic!("{name} has a first line"));
            let fields: Vec<&str> = header.split(' ').collect();
            let distinct: BTreeSet<&&str> = fields.iter().collect();
            assert_eq!(distinct.len(), fields.len(), "{header}");
            lines.map(|line| Record::parse(&fields, line)).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(of_file).collect()
    }

    /// These fields of all records, sorted.
    fn show(&self, fields: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = self.records().iter().map(|r| r.show(fields)).collect();
        all.sort();
        all
    }
}

#[derive(Clone)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(path: &Path, which: Which, twin: Twin) -> Logged {
    let loaded = load::load(path).unwrap_or_else(|e| panic!("{}: {e:?}", path.display()));
    let start = CalendarStart::from_unix_seconds(loaded.file.start.value).unwrap();
    let open = |_: &str| Ok(Sink(Rc::default()));
    let mut observers = (Capture::new(Vec::new(), start), FlowLogs::new(which, start, open));
    let settings = Settings { twin, ..Settings::default() };
    let outcome = run::run(&loaded, path.parent().unwrap(), settings, &mut observers).unwrap();
    let failed = files::failed_steps(&outcome);
    assert!(failed.is_empty(), "{}: {failed:?}", path.display());
    let (capture, logs) = observers;
    let text = |sink: Sink| String::from_utf8(sink.0.borrow().clone()).unwrap();
    Logged {
        files: logs.finish().unwrap().into_iter().map(|w| (w.name, text(w.sink))).collect(),
        capture: CaptureFile::read(&capture.finish().unwrap().0),
        outcome,
    }
}

/// A scenario of `tests/data/flow_logs/`.
fn of(name: &str) -> Logged {
    let path = format!("tests/data/flow_logs/{name}.yaml");
    logged(Path::new(&path), Which::OfCloud, Twin::Compiled)
}

#[test]
fn records_are_those_that_a_human_has_read() {
    for path in files::scenarios("tests/data/flow_logs") {
        let texts = [Twin::Compiled, Twin::Reference].map(|twin| {
            let mut out = String::new();
            for (name, text) in logged(&path, Which::OfCloud, twin).files {
                let _ = writeln!(out, "# {name}\n{text}");
            }
            out
        });
        assert!(texts[0] == texts[1], "{}: both twins", path.display());
        let golden = path.with_extension("log");
        if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
            fs::write(&golden, &texts[0]).unwrap();
        }
        let have = fs::read_to_string(&golden).unwrap_or_default();
        assert!(have == texts[0], "{} is out of date: `BLESS=1 cargo test`", golden.display());
    }
}

#[test]
fn an_exchange_is_two_records_at_each_end() {
    let peering = of("peering");
    let at_a = &peering.files.iter().find(|(_, text)| text.starts_with("version")).unwrap().1;
    assert_eq!(at_a.lines().next().unwrap().split(' ').count(), 29, "all fields there are");
    let records = peering.records();
    let of_a: Vec<&Record> = records.iter().filter(|r| r.get("version").is_some()).collect();
    let shown = |fields: &[&str]| of_a.iter().map(|r| r.show(fields)).collect::<Vec<_>>();
    const FLOW: &[&str] =
        &["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "flow-direction", "traffic-path"];
    assert_eq!(
        shown(FLOW),
        [
            "10.0.0.10 10.1.0.10 0 0 1 egress 4",
            "10.1.0.10 10.0.0.10 0 0 1 ingress -",
            "10.0.0.10 10.2.0.10 0 0 1 egress 5",
            "10.2.0.10 10.0.0.10 0 0 1 ingress -",
            "10.0.0.10 10.0.0.11 5353 53 17 egress 1",
            "10.0.0.10 10.0.0.11 5353 53 17 ingress -",
        ]
    );
    assert_eq!(
        shown(&["version", "account-id", "type", "region", "az-id", "tcp-flags", "log-status"]),
        ["5 123456789012 IPv4 us-east-1 use1-az1 0 OK"; 6]
    );
    // Three pings a second apart are one record; an echo of 56 bytes is a packet of 84.
    assert_eq!(
        shown(&["packets", "bytes", "start", "end", "action"])[..3],
        [
            "3 252 1420070400 1420070402 ACCEPT",
            "3 252 1420070400 1420070402 ACCEPT",
            "1 84 1420070402 1420070402 ACCEPT",
        ]
    );
    // The other region sees the same from its side.
    let abroad: Vec<&Record> = records.iter().filter(|r| r.get("version").is_none()).collect();
    let shown: Vec<String> = abroad
        .iter()
        .map(|r| r.show(&["region", "az-id", "flow-direction", "traffic-path", "packets"]))
        .collect();
    assert_eq!(shown, ["eu-west-1 euw1-az1 ingress - 1", "eu-west-1 euw1-az1 egress 5 1"]);
}

#[test]
fn groups_and_acls_are_told_where_they_refuse() {
    let filters = of("filters");
    assert_eq!(
        filters.show(&["srcaddr", "dstaddr", "flow-direction", "traffic-path", "action"]),
        [
            "10.0.1.10 10.0.1.11 egress 1 ACCEPT",
            // The receiver's group.
            "10.0.1.10 10.0.1.11 ingress - REJECT",
            "10.0.1.10 10.0.2.10 egress 1 ACCEPT",
            // The request comes in, and the ACL keeps the answer: both at one interface.
            "10.0.1.10 10.0.2.10 ingress - ACCEPT",
            "10.0.1.10 10.0.3.10 egress 1 ACCEPT",
            // The receiver's ACL.
            "10.0.1.10 10.0.3.10 ingress - REJECT",
            // The sender's group; nobody else hears of it.
            "10.0.1.12 10.0.1.10 egress - REJECT",
            "10.0.2.10 10.0.1.10 egress - REJECT",
        ]
    );
    let records = filters.records();
    let at = |source: &str, direction: &str| {
        let is =
            |r: &&Record| r.show(&["srcaddr", "flow-direction"]) == format!("{source} {direction}");
        records.iter().find(is).and_then(|r| r.get("interface-id")).map(str::to_owned).unwrap()
    };
    let answer = at("10.0.2.10", "egress");
    let request = records
        .iter()
        .find(|r| r.show(&["dstaddr", "flow-direction", "action"]) == "10.0.2.10 ingress ACCEPT");
    assert_eq!(request.unwrap().get("interface-id"), Some(answer.as_str()));
}

#[test]
fn what_finds_no_way_is_an_accept_at_its_sender_alone() {
    assert_eq!(
        of("nowhere").show(&["dstaddr", "flow-direction", "traffic-path", "action"]),
        [
            "10.1.0.99 egress 4 ACCEPT",
            "10.2.0.10 egress - ACCEPT",
            "10.2.9.10 egress - ACCEPT",
            "192.0.2.1 egress - ACCEPT",
        ]
    );
}

#[test]
fn an_answer_that_goes_to_another_vpc_is_logged_there() {
    let logs = of("wrong-vpc");
    let records = logs.records();
    let interfaces: BTreeSet<_> = records.iter().map(|r| r.get("interface-id")).collect();
    assert_eq!((records.len(), interfaces.len()), (4, 3));
    assert_eq!(
        logs.show(&["srcaddr", "dstaddr", "flow-direction", "action"]),
        [
            "10.0.0.10 10.1.0.10 egress ACCEPT",
            // At c, which has asked nothing.
            "10.0.0.10 10.1.0.10 ingress ACCEPT",
            "10.1.0.10 10.0.0.10 egress ACCEPT",
            "10.1.0.10 10.0.0.10 ingress ACCEPT",
        ]
    );
    let by = |wanted: &str| {
        let mut all = records.iter().filter(|r| r.show(&["srcaddr", "flow-direction"]) == wanted);
        all.next().and_then(|r| r.get("interface-id")).unwrap().to_owned()
    };
    assert_ne!(by("10.1.0.10 egress"), by("10.0.0.10 ingress"), "b asked, c was answered");
}

#[test]
fn the_edges_of_a_vpc_have_paths_of_their_own() {
    let logs = of("edges");
    let shown = logs.show(&[
        "srcaddr",
        "dstaddr",
        "pkt-srcaddr",
        "pkt-dstaddr",
        "flow-direction",
        "traffic-path",
    ]);
    for want in [
        "10.0.1.10 198.18.0.10 10.0.1.10 198.18.0.10 egress 8",
        "10.0.1.10 192.168.1.10 10.0.1.10 192.168.1.10 egress 3",
        "10.0.1.10 198.51.100.10 10.0.1.10 198.51.100.10 egress 7",
        "10.0.2.10 198.18.0.10 10.0.2.10 198.18.0.10 egress 1",
        // A NAT gateway shows itself, and in the packet whom it stands for.
        "10.0.2.10 10.0.1.4 10.0.2.10 198.18.0.10 ingress -",
        "10.0.1.4 198.18.0.10 10.0.1.4 198.18.0.10 egress 8",
        "198.18.0.10 10.0.1.4 198.18.0.10 10.0.1.4 ingress -",
        "10.0.1.4 10.0.2.10 198.18.0.10 10.0.2.10 egress 1",
        "198.18.0.10 10.0.2.10 198.18.0.10 10.0.2.10 ingress -",
    ] {
        assert!(shown.iter().any(|line| line == want), "no `{want}` in {shown:#?}");
    }
    for record in logs.records() {
        let of_nat = record.show(&["srcaddr", "dstaddr"]).contains("10.0.1.4")
            && !record.show(&["srcaddr", "dstaddr"]).contains("10.0.2.10 198");
        assert_eq!(record.get("instance-id") == Some("-"), of_nat, "{record:?}");
        let s3 = |address, service| {
            let is_s3 = record.get(address) == Some("198.51.100.10");
            assert_eq!(record.get(service), Some(if is_s3 { "S3" } else { "-" }), "{record:?}");
        };
        s3("pkt-srcaddr", "pkt-src-aws-service");
        s3("pkt-dstaddr", "pkt-dst-aws-service");
    }
}

#[test]
fn tcp_flags_are_ored_and_later_fragments_have_no_ports() {
    let logs = of("tcp");
    let flags = |port: &str| {
        let of_port = |r: &&Record| {
            let ports = [r.get("srcport"), r.get("dstport")];
            r.get("protocol") == Some("6") && ports.contains(&Some(port))
        };
        let records = logs.records();
        let mut all: Vec<String> = records
            .iter()
            .filter(of_port)
            .map(|r| r.show(&["srcaddr", "flow-direction", "tcp-flags"]))
            .collect();
        all.sort();
        all
    };
    // SYN and FIN of whoever connects, SYN-ACK and FIN of whoever answers, as each end sees them.
    assert_eq!(
        flags("80"),
        [
            "10.0.0.10 egress 3",
            "10.0.0.10 ingress 3",
            "10.1.0.10 egress 19",
            "10.1.0.10 ingress 19"
        ]
    );
    // SYN, and RST.
    assert_eq!(
        flags("443"),
        ["10.0.0.10 egress 2", "10.0.0.10 ingress 2", "10.1.0.10 egress 4", "10.1.0.10 ingress 4"]
    );
    let udp = logs.records().into_iter().filter(|r| r.get("protocol") == Some("17"));
    let mut udp: Vec<String> = udp
        .map(|r| r.show(&["srcport", "dstport", "packets", "bytes", "flow-direction"]))
        .collect();
    udp.sort();
    // Sent in one piece of 4,028 bytes; the peering cuts it in three, each with a header of its own.
    assert_eq!(udp, ["0 0 2 2568 ingress", "5353 53 1 1500 ingress", "5353 53 1 4028 egress"]);
    // What was too long has left as far as groups and ACLs go; the router's notice comes in.
    let icmp = logs.records().into_iter().filter(|r| r.get("protocol") == Some("1"));
    let mut icmp: Vec<String> =
        icmp.map(|r| r.show(&["srcaddr", "dstaddr", "flow-direction", "action"])).collect();
    icmp.sort();
    assert_eq!(icmp, ["10.0.0.1 10.0.0.10 ingress ACCEPT", "10.0.0.10 10.1.0.10 egress ACCEPT"]);
}

#[test]
fn windows_without_traffic_say_so_from_the_first_traffic_on() {
    // By file: statuses and times, seconds from the start.
    let logs = of("windows");
    let start = 1_700_000_000;
    let files: BTreeMap<usize, Vec<(String, u64, u64)>> = logs
        .files
        .iter()
        .map(|(_, text)| {
            let fields: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
            let shown: Vec<(String, u64, u64)> = text
                .lines()
                .skip(1)
                .map(|line| {
                    let record = Record::parse(&fields, line);
                    let at = |field| record.number(field).unwrap() - start;
                    (record.get("log-status").unwrap().to_owned(), at("start"), at("end"))
                })
                .collect();
            (shown.len(), shown)
        })
        .collect();
    let row = |status: &str, from, to| (status.to_owned(), from, to);
    // The instance and the NAT gateway with windows of a minute: the same, but that the NAT gateway
    // has four flows in a window.
    let quiet = [(180, 240), (240, 300)].map(|(from, to)| row("NODATA", from, to));
    let late = [(360, 420), (420, 480), (480, 540), (540, 600)];
    let late = late.map(|(from, to)| row("NODATA", from, to));
    for flows in [2, 4] {
        let mut want = vec![row("OK", 150, 150); flows];
        want.extend_from_slice(&quiet);
        want.extend(vec![row("OK", 350, 350); flows]);
        want.extend_from_slice(&late);
        assert_eq!(files[&want.len()], want, "{flows} flows");
    }
    // With ten minutes everything is in one window, which ends at 600 s.
    assert_eq!(files[&4], vec![row("OK", 150, 350); 4]);
}

/// Packets and bytes.
type Sums = (u64, u64);

/// Resolver, metadata, clock and licence server (vpc-semantics 4.5).
const NEVER_LOGGED: [[u8; 4]; 5] = [
    [169, 254, 169, 253],
    [169, 254, 169, 254],
    [169, 254, 169, 123],
    [169, 254, 169, 250],
    [169, 254, 169, 251],
];

/// What flow logs must say in all, by direction and action, if the capture is right: what left an
/// interface, what came to one, and what a filter kept from either.
fn from_capture(capture: &CaptureFile) -> BTreeMap<(&'static str, &'static str), Sums> {
    let inside: BTreeSet<&str> = capture
        .interfaces
        .iter()
        .filter(|(_, description)| description.contains(" in VPC "))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut sums: BTreeMap<_, Sums> = BTreeMap::new();
    for record in &capture.records {
        if record.destination.is_some_and(|to| NEVER_LOGGED.contains(&to)) {
            continue;
        }
        let words: Vec<&str> = record.comment.split([' ', ':']).filter(|w| !w.is_empty()).collect();
        let reason = match words[..] {
            ["dropped", reason, ..] => reason,
            _ => "",
        };
        let key = match (record.inbound, record.interface == FABRIC, reason) {
            (false, _, _) if !inside.contains(record.interface.as_str()) => continue,
            (false, _, "malformed" | "interface-down" | "source-check") => continue,
            (false, _, "group-egress" | "acl-egress" | "conntrack-full") => ("egress", "REJECT"),
            (false, _, _) => ("egress", "ACCEPT"),
            (true, true, "group-ingress" | "acl-ingress" | "conntrack-full") => {
                ("ingress", "REJECT")
            }
            (true, true, "hop-limit" | "no-translation") => ("ingress", "ACCEPT"),
            (true, true, _) => continue,
            (true, false, _) if inside.contains(record.interface.as_str()) => ("ingress", "ACCEPT"),
            (true, false, _) => continue,
        };
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + 1, sum.1 + record.bytes);
    }
    sums
}

/// The sums of the records of a log of every VPC, which has no direction: an interface's own address
/// is not told from others, so only by action.
fn by_action(records: &[Record]) -> BTreeMap<&str, Sums> {
    let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
    for record in records {
        let (Some(packets), Some(bytes)) = (record.number("packets"), record.number("bytes"))
        else {
            continue;
        };
        let sum = sums.entry(record.get("action").unwrap()).or_default();
        *sum = (sum.0 + packets, sum.1 + bytes);
    }
    sums
}

#[test]
fn s12_flow_logs_of_every_scenario_agree_with_its_capture() {
    let mut seen = Sums::default();
    for path in files::scenarios("scenarios") {
        let logs = logged(&path, Which::EveryVpc, Twin::Compiled);
        let records = logs.records();
        let mut want: BTreeMap<&str, Sums> = BTreeMap::new();
        for ((_, action), (packets, bytes)) in from_capture(&logs.capture) {
            let sum = want.entry(action).or_default();
            *sum = (sum.0 + packets, sum.1 + bytes);
        }
        assert_eq!(by_action(&records), want, "{}", path.display());
        seen = (seen.0 + 1, seen.1 + records.len() as u64);
    }
    assert!(seen.0 > 50 && seen.1 > 500, "{seen:?}: that would show nothing");
}

#[test]
fn s12_flow_logs_agree_with_the_counts_of_a_step() {
    let logs = of("flows");
    let counted = logs.outcome.steps[0].traffic.unwrap();
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for record in logs.records() {
        let key = record.show(&["flow-direction", "action"]);
        *sums.entry(key).or_default() += record.number("packets").unwrap();
    }
    let lost: u64 = counted.dropped.iter().map(|(_, n)| n).sum();
    assert!(lost > 0, "a link that loses nothing shows nothing");
    assert_eq!(counted.sent, counted.delivered + lost);
    let want = [("egress ACCEPT", counted.sent), ("ingress ACCEPT", counted.delivered)];
    assert_eq!(sums, want.map(|(key, n)| (key.to_owned(), n)).into());
}
