//! Records of small networks, through the simulator: windows, limits, and what is never logged.
//!
//! What scenarios leave behind is read field by field in `tests/it/flow_logs.rs`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use super::*;
use crate::base::rng::Seed;
use crate::base::time::Span;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::flow_log::{Interval, TrafficType};
use crate::cloud::instance::{NewInterface, SourceDestCheck};
use crate::cloud::profile::Profile;
use crate::cloud::security_group::GroupRule;
use crate::sim::tcp::{Patience, Serve, Transfer};
use crate::sim::{Datagrams, Load, Pace, Sim, Source, Twin};
use crate::wire::{Packet, build};

/// The bytes of each file by its name.
type Shelf = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

struct Sink(Shelf, String);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().entry(self.1.clone()).or_default().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Open = Box<dyn FnMut(&str) -> io::Result<Sink>>;
type Logs = FlowLogs<Sink, Open>;

fn logs(which: Which, limits: Limits) -> (Logs, Shelf) {
    let shelf = Shelf::default();
    let files = Rc::clone(&shelf);
    let open: Open = Box::new(move |name| Ok(Sink(Rc::clone(&files), name.to_owned())));
    (FlowLogs::new(which, CalendarStart::default(), open).within(limits), shelf)
}

/// Two hosts in one subnet, whose group lets everything in and out.
struct Pair {
    sim: Sim,
    vpc: VpcId,
    instances: [InstanceId; 2],
    ends: [(InterfaceId, IpAddr); 2],
}

fn caller() -> Caller {
    Caller { account: AccountId::DEFAULT, region: Region::default() }
}

impl Pair {
    fn new() -> Pair {
        let mut cloud = Cloud::new(Profile::Today, Span::ZERO);
        let mut ask = |command| {
            let events = cloud.apply(&caller(), &command, Instant::START).unwrap();
            events.into_iter().next().unwrap().change
        };
        let cidr = "10.0.0.0/16".parse().unwrap();
        let Change::VpcCreated { vpc, default_group: group, .. } = ask(Command::CreateVpc { cidr })
        else {
            panic!()
        };
        let rules = vec![GroupRule::everybody_v4()];
        ask(Command::AuthorizeSecurityGroupIngress { group, rules });
        let subnet = Command::CreateSubnet { vpc, cidr, ipv6: None, zone: None };
        let Change::SubnetCreated { subnet, .. } = ask(subnet) else { panic!() };
        let mut both = [(); 2].map(|()| {
            let source_dest_check = SourceDestCheck::On;
            let groups = Vec::new();
            let (ipv4, ipv6) = (None, None);
            let run = Command::run_instance(NewInterface {
                ipv4: ipv4.into_iter().collect(),
                ipv6: ipv6.into(),
                source_dest_check,
                groups,
                ..NewInterface::in_subnet(subnet)
            });
            let Change::InstanceRun { instance, interface, addresses, .. } = ask(run) else {
                panic!()
            };
            (instance, (interface, addresses[0]))
        });
        // Records of a window come in the order of the interfaces' ids.
        both.sort_by_key(|(_, (interface, _))| *interface);
        let sim = Sim::new(cloud, Seed(1), Twin::Compiled);
        Pair { sim, vpc, instances: both.map(|b| b.0), ends: both.map(|b| b.1) }
    }

    fn ask(&mut self, command: &Command, logs: &mut Logs) {
        self.sim.apply(&caller(), command).unwrap();
        logs.look(self.sim.world());
    }

    fn log(&mut self, recording: Recording, logs: &mut Logs) {
        self.ask(&Command::CreateFlowLogs { of: Watched::Vpc(self.vpc), recording }, logs);
    }

    /// One datagram from the first to the second, from this port.
    fn datagram(&self, port: u16) -> Packet {
        let [from, to] = self.ends.map(|(_, address)| address);
        build::udp(SocketAddr::new(from, port), SocketAddr::new(to, 9), b"?").unwrap()
    }

    fn send(&mut self, packets: impl IntoIterator<Item = Packet>, logs: &mut Logs) {
        let (from, meant) = (self.ends[0].0, None);
        let sources = packets.into_iter().map(|packet| {
            let load = Load::Repeat { packet, count: 1, pace: Pace::Every(Span::TICK) };
            Source { from, meant, load }
        });
        let probe = self.sim.start(Datagrams::Sunk, sources.collect::<Vec<_>>()).unwrap();
        self.sim.run_probe(probe, logs).unwrap();
    }

    fn wait(&mut self, span: Span, logs: &mut Logs) {
        self.sim.run_until(self.sim.now() + span, logs).unwrap();
        logs.look(self.sim.world());
    }

    /// Ends the run: what the only file says below its first line.
    fn records(mut self, mut logs: Logs, shelf: &Shelf) -> (Vec<String>, Tally) {
        self.wait(Span::ZERO, &mut logs);
        let mut written = logs.finish().unwrap();
        assert_eq!(written.len(), 1);
        let written = written.remove(0);
        let shelf = shelf.borrow();
        let text = std::str::from_utf8(&shelf[&written.name]).unwrap();
        (text.lines().skip(1).map(str::to_owned).collect(), written.tally)
    }
}

fn recording(format: &str) -> Recording {
    let interval = Interval::Minute;
    Recording { interval, format: format.parse().unwrap(), ..Recording::default() }
}

/// What an interface looks like in a record, a letter instead of its id.
fn lettered(pair: &[(InterfaceId, IpAddr); 2], lines: Vec<String>) -> Vec<String> {
    let name = |line: String| {
        let line = line.replace(&pair[0].0.to_string(), "a").replace(&pair[1].0.to_string(), "b");
        line.replace(&pair[0].1.to_string(), "A").replace(&pair[1].1.to_string(), "B")
    };
    lines.into_iter().map(name).collect()
}

const SHORT: &str = "${interface-id} ${packets} ${start} ${end} ${action} ${log-status}";

#[test]
fn windows_begin_with_the_log_and_nothing_comes_before_the_first_traffic() {
    let mut pair = Pair::new();
    let (mut logs, shelf) = logs(Which::OfCloud, Limits::default());
    pair.wait(Span::from_secs(10), &mut logs);
    pair.log(recording(SHORT), &mut logs);
    // Two windows in which nobody has been seen yet.
    pair.wait(Span::from_secs(150), &mut logs);
    // The third window is 130 s to 190 s.
    pair.send([pair.datagram(1)], &mut logs);
    pair.wait(Span::from_secs(29), &mut logs);
    pair.send([pair.datagram(1)], &mut logs);
    pair.wait(Span::from_secs(2), &mut logs);
    // Already in the fourth.
    pair.send([pair.datagram(1)], &mut logs);
    // The fifth is without traffic, and the sixth is cut short.
    pair.wait(Span::from_secs(121), &mut logs);
    let ends = pair.ends;
    let (lines, tally) = pair.records(logs, &shelf);
    assert_eq!(
        lettered(&ends, lines),
        [
            "a 2 160 189 ACCEPT OK",
            "b 2 160 189 ACCEPT OK",
            "a 1 191 191 ACCEPT OK",
            "b 1 191 191 ACCEPT OK",
            "a - 250 310 - NODATA",
            "b - 250 310 - NODATA",
        ]
    );
    assert_eq!((tally.records, tally.packets, tally.skipped), (6, 6, 0));
}

#[test]
fn what_ends_is_written_and_has_no_nodata_any_more() {
    let mut pair = Pair::new();
    let (mut logs, shelf) = logs(Which::OfCloud, Limits::default());
    pair.log(recording(SHORT), &mut logs);
    pair.send([pair.datagram(1)], &mut logs);
    pair.wait(Span::from_secs(130), &mut logs);
    // The second instance ends in the third window, the log in the fifth.
    pair.ask(&Command::TerminateInstances { instance: pair.instances[1] }, &mut logs);
    pair.wait(Span::from_secs(120), &mut logs);
    let log = pair.sim.cloud().flow_logs().next().unwrap().0;
    pair.ask(&Command::DeleteFlowLogs { log }, &mut logs);
    pair.wait(Span::from_secs(600), &mut logs);
    let ends = pair.ends;
    let (lines, _) = pair.records(logs, &shelf);
    assert_eq!(
        lettered(&ends, lines),
        [
            "a 1 0 0 ACCEPT OK",
            "b 1 0 0 ACCEPT OK",
            "a - 60 120 - NODATA",
            "b - 60 120 - NODATA",
            "a - 120 180 - NODATA",
            "a - 180 240 - NODATA",
        ]
    );
}

#[test]
fn a_window_with_too_many_flows_says_so() {
    for limits in [
        Limits { flows_per_interface: 2, ..Limits::default() },
        // Of all logs together: two of the first interface, two of the second.
        Limits { flows: 4, ..Limits::default() },
    ] {
        let mut pair = Pair::new();
        let (mut logs, shelf) = logs(Which::OfCloud, limits);
        pair.log(recording(SHORT), &mut logs);
        // Packets of a flow that is held are counted, also when there is no room for others.
        for port in [1, 2, 3, 1, 4] {
            pair.send([pair.datagram(port)], &mut logs);
        }
        pair.wait(Span::from_secs(60), &mut logs);
        pair.send([pair.datagram(5)], &mut logs);
        let ends = pair.ends;
        let (lines, tally) = pair.records(logs, &shelf);
        assert_eq!(
            lettered(&ends, lines),
            [
                "a 2 0 0 ACCEPT OK",
                "a 1 0 0 ACCEPT OK",
                "a - 0 60 - SKIPDATA",
                "b 2 0 0 ACCEPT OK",
                "b 1 0 0 ACCEPT OK",
                "b - 0 60 - SKIPDATA",
                "a 1 60 60 ACCEPT OK",
                "b 1 60 60 ACCEPT OK",
            ]
        );
        assert_eq!((tally.packets, tally.skipped), (8, 4), "{limits:?}");
    }
}

#[test]
fn a_full_file_ends_with_a_whole_record() {
    let whole = {
        let mut pair = Pair::new();
        let (mut logs, shelf) = logs(Which::EveryVpc, Limits::default());
        pair.send([pair.datagram(1)], &mut logs);
        pair.wait(Span::from_secs(600), &mut logs);
        pair.records(logs, &shelf).0
    };
    for bytes in [300, 500, 501] {
        let mut pair = Pair::new();
        let (mut logs, shelf) = logs(Which::EveryVpc, Limits { bytes, ..Limits::default() });
        pair.send([pair.datagram(1)], &mut logs);
        pair.wait(Span::from_secs(600), &mut logs);
        let (lines, tally) = pair.records(logs, &shelf);
        assert_eq!(tally.room, Room::Full);
        assert_eq!(tally.records, lines.len() as u64);
        assert!(!lines.is_empty() && lines.len() < whole.len(), "{bytes}");
        assert_eq!(lines, whole[..lines.len()], "{bytes}");
        let held: usize = shelf.borrow().values().map(Vec::len).sum();
        assert!(held as u64 <= bytes);
    }
}

#[test]
fn only_the_traffic_asked_for_is_recorded() {
    for (traffic, count) in
        [(TrafficType::All, 2), (TrafficType::Accept, 2), (TrafficType::Reject, 0)]
    {
        let mut pair = Pair::new();
        let (mut logs, shelf) = logs(Which::OfCloud, Limits::default());
        pair.log(Recording { traffic, ..recording(SHORT) }, &mut logs);
        pair.send([pair.datagram(1)], &mut logs);
        // There was traffic, if of another kind: no `NODATA`.
        pair.wait(Span::from_secs(60), &mut logs);
        let (lines, _) = pair.records(logs, &shelf);
        assert_eq!(lines.len(), count, "{traffic:?}: {lines:?}");
    }
}

#[test]
fn tcp_flags_are_ored_over_a_window() {
    const FLAGS: &str = "${interface-id} ${flow-direction} ${dstport} ${tcp-flags}";
    for (served, want) in [
        // SYN and FIN; SYN-ACK and FIN.
        (Some(Serve::Echo), ["a egress 80 3", "a ingress 4000 19"]),
        // SYN, answered by RST: its ACK does not count.
        (None, ["a egress 80 2", "a ingress 4000 4"]),
    ] {
        let mut pair = Pair::new();
        let (mut logs, shelf) = logs(Which::OfCloud, Limits::default());
        pair.log(recording(FLAGS), &mut logs);
        let [(a, from), (b, to)] = pair.ends;
        if let Some(serve) = served {
            pair.sim.listen(b, 80, serve).unwrap();
        }
        let sockets = (SocketAddr::new(from, 4_000), SocketAddr::new(to, 80));
        let transfer = Transfer { bytes: 100, patience: Patience::default() };
        let probe = pair.sim.connect(a, Some(b), sockets, transfer).unwrap();
        pair.sim.run_probe(probe, &mut logs).unwrap();
        let ends = pair.ends;
        let (lines, _) = pair.records(logs, &shelf);
        let of_a: Vec<String> =
            lettered(&ends, lines).into_iter().filter(|line| line.starts_with('a')).collect();
        assert_eq!(of_a, want, "{served:?}");
    }
}

#[test]
fn a_record_shows_the_primary_address_and_beside_it_that_of_the_packet() {
    const BOTH: &str = "${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr}";
    let mut pair = Pair::new();
    let (mut logs, shelf) = logs(Which::OfCloud, Limits::default());
    pair.log(recording(BOTH), &mut logs);
    let further = "10.0.9.9".parse().unwrap();
    let interface = pair.ends[1].0;
    let assign = Command::AssignPrivateIpAddresses { interface, addresses: vec![further].into() };
    pair.ask(&assign, &mut logs);
    let [from, _] = pair.ends.map(|(_, address)| SocketAddr::new(address, 1));
    let to = SocketAddr::new(further.into(), 9);
    pair.send([build::udp(from, to, b"?").unwrap()], &mut logs);
    let ends = pair.ends;
    let (lines, _) = pair.records(logs, &shelf);
    // The sender sees the far end as it is, the receiver itself by its primary address.
    assert_eq!(lettered(&ends, lines), ["A 10.0.9.9 A 10.0.9.9", "A B A 10.0.9.9"]);
}

#[test]
fn what_aws_never_logs_is_not_logged() {
    for (address, ports, is_logged) in [
        ("10.0.0.2", [4_000, 53], false),
        ("169.254.169.253", [4_000, 53], false),
        ("169.254.169.254", [4_000, 80], false),
        ("169.254.169.123", [123, 123], false),
        ("169.254.169.250", [4_000, 1_688], false),
        ("10.0.0.1", [4_000, 9], false),
        ("10.0.0.5", [68, 67], false),
        // A name server of one's own is logged, and so are other addresses of the link.
        ("10.0.0.5", [4_000, 53], true),
        ("169.254.169.1", [4_000, 80], true),
        ("10.0.0.5", [4_000, 67], true),
    ] {
        let mut pair = Pair::new();
        let (mut logs, shelf) = logs(Which::EveryVpc, Limits::default());
        let from = SocketAddr::new(pair.ends[0].1, ports[0]);
        let to = SocketAddr::new(address.parse().unwrap(), ports[1]);
        pair.send([build::udp(from, to, b"?").unwrap()], &mut logs);
        let (lines, _) = pair.records(logs, &shelf);
        assert_eq!(!lines.is_empty(), is_logged, "{address} {ports:?}: {lines:?}");
    }
}

#[test]
fn names_follow_the_convention_of_s3() {
    let mut pair = Pair::new();
    let (mut logs, _shelf) = logs(Which::OfCloud, Limits::default());
    pair.wait(Span::from_secs(3_700), &mut logs);
    pair.log(Recording::default(), &mut logs);
    let id = pair.sim.cloud().flow_logs().next().unwrap().0;
    let written = logs.finish().unwrap();
    let prefix = format!("123456789012_vpcflowlogs_us-east-1_{id}_19700101T0101Z_");
    let rest = written[0].name.strip_prefix(&prefix).unwrap().strip_suffix(".log").unwrap();
    assert!(rest.len() == 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()), "{rest}");
}

#[test]
fn an_error_of_a_sink_is_kept() {
    #[derive(Debug)]
    struct Broken;
    impl io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let start = CalendarStart::default();
    let pair = Pair::new();
    let mut logs = FlowLogs::new(Which::EveryVpc, start, |_: &str| Ok(Broken));
    logs.look(pair.sim.world());
    assert_eq!(logs.finish().unwrap_err().source.kind(), io::ErrorKind::StorageFull);
    let refuse = |_: &str| -> io::Result<Broken> { Err(io::ErrorKind::PermissionDenied.into()) };
    let mut logs = FlowLogs::new(Which::EveryVpc, start, refuse);
    logs.look(pair.sim.world());
    assert_eq!(logs.finish().unwrap_err().source.kind(), io::ErrorKind::PermissionDenied);
}
