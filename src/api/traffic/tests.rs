//! Packets through a small world: A and B peered, B and C peered, C out of A's reach.

use super::*;
use crate::api::world::State;
use crate::base::id::{AccountId, VpcId};
use crate::base::time::Instant;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::flow_log::{Recording, Watched};
use crate::cloud::instance::NewInterface;
use crate::cloud::profile::Profile;
use crate::cloud::route_table::RouteTarget;
use crate::cloud::security_group::GroupRule;
use crate::forward::DropReason;
use crate::forward::round_trip::Passed;

struct Net {
    world: World,
    caller: Caller,
    /// Of A, B and C.
    hosts: Vec<(VpcId, InstanceId, InterfaceId)>,
}

impl Net {
    fn ask<T>(&mut self, command: Command, find: impl Fn(&Change) -> Option<T>) -> T {
        self.world.move_to(Instant::START);
        let events = self.world.apply(&self.caller, &command).unwrap();
        events.iter().find_map(|event| find(&event.change)).unwrap()
    }

    fn new() -> Net {
        let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
        let world = World::new(State::empty(Profile::Seed));
        let mut net = Net { world, caller, hosts: Vec::new() };
        let mut tables = Vec::new();
        for n in 0..3 {
            let cidr: ipnet::Ipv4Net = format!("10.{n}.0.0/16").parse().unwrap();
            let (vpc, group, table) = net.ask(Command::CreateVpc { cidr }, |change| match change {
                Change::VpcCreated { vpc, default_group, main_table, .. } => {
                    Some((*vpc, *default_group, *main_table))
                }
                _ => None,
            });
            let rules = vec![GroupRule::everybody_v4()];
            net.ask(Command::AuthorizeSecurityGroupIngress { group, rules }, |_| Some(()));
            let create = Command::CreateSubnet { vpc, cidr, ipv6: None, zone: None };
            let subnet = net.ask(create, |change| match change {
                Change::SubnetCreated { subnet, .. } => Some(*subnet),
                _ => None,
            });
            let run = Command::run_instance(NewInterface::in_subnet(subnet));
            let host = net.ask(run, |change| match change {
                Change::InstanceRun { instance, interface, .. } => Some((*instance, *interface)),
                _ => None,
            });
            net.hosts.push((vpc, host.0, host.1));
            tables.push(table);
        }
        for (a, b) in [(0, 1), (1, 2)] {
            let request = Command::CreateVpcPeeringConnection {
                requester: net.hosts[a].0,
                accepter: net.hosts[b].0,
                peer_owner: None,
                peer_region: None,
            };
            let peering = net.ask(request, |change| match change {
                Change::PeeringRequested { peering, .. } => Some(*peering),
                _ => None,
            });
            net.ask(Command::AcceptVpcPeeringConnection { peering }, |_| Some(()));
            let target = RouteTarget::Peering(peering);
            for (table, far) in [(a, b), (b, a)] {
                let destination = format!("10.{far}.0.0/16").parse().unwrap();
                let table = tables[table];
                net.ask(Command::CreateRoute { table, destination, target }, |_| Some(()));
            }
            // The way over B is in A's table; it leads nowhere.
            if a == 0 {
                let (table, destination) = (tables[0], "10.2.0.0/16".parse().unwrap());
                net.ask(Command::CreateRoute { table, destination, target }, |_| Some(()));
            }
        }
        net
    }

    fn question(&mut self, from: usize, to: usize, carrying: Carrying) -> Question {
        let [from, to] = [from, to].map(|host| self.hosts[host].1.to_string());
        let (from, source, to, meant) = ends(self.world.cloud(), &from, &to, None).unwrap();
        Question { from, source, to, meant, carrying }
    }

    fn send(&mut self, from: usize, to: usize, carrying: Carrying) -> Answered {
        let question = self.question(from, to, carrying);
        self.world.move_to(Instant::START);
        send(&mut self.world, &question).unwrap()
    }
}

const PING: Carrying = Carrying::Echo { count: 3, size: 56 };
const UDP: Carrying = Carrying::Udp { port: 53, count: 2, size: 10 };
const TCP: Carrying = Carrying::Tcp { port: 5_432, bytes: 100_000 };

#[test]
fn everything_is_answered_over_a_peering() {
    let mut net = Net::new();
    for (carrying, sent) in [(PING, 3), (UDP, 2)] {
        let answered = net.send(0, 1, carrying);
        assert_eq!(answered.arrived, Arrived::All);
        assert_eq!((answered.tally.requests.sent, answered.tally.answers.delivered), (sent, sent));
    }
    // Twice the latency of a peering.
    let spans = net.send(0, 1, PING).round_trips;
    assert_eq!(spans, vec![Span::from_micros(500); 3]);
    let answered = net.send(0, 1, TCP);
    let report = answered.connection.unwrap();
    assert_eq!((answered.arrived, report.outcome), (Arrived::All, Outcome::Done));
    assert_eq!((report.acknowledged, report.received), (100_000, 100_000));
}

#[test]
fn a_peering_carries_nothing_further() {
    let mut net = Net::new();
    for carrying in [PING, UDP, TCP] {
        let answered = net.send(0, 2, carrying);
        assert_eq!(answered.arrived, Arrived::NotAll);
        let tally = answered.tally.requests;
        assert_eq!((tally.delivered, tally.drops.of(DropReason::Transit)), (0, tally.sent));
        let question = net.question(0, 2, carrying);
        let packet = sample(&mut net.world, &question).unwrap();
        net.world.look();
        let trip = explain(&net.world, &question, &packet).unwrap();
        assert_eq!((trip.passed, trip.back), (Passed::No, None));
        assert!(matches!(trip.there.walk.end, End::Dropped(DropReason::Transit, _)));
    }
}

/// However much is asked, time stays near that of the clock, and nothing waits for what was asked.
#[test]
fn a_world_does_not_grow_with_questions() {
    let mut net = Net::new();
    for _ in 0..50 {
        for carrying in [PING, UDP, TCP] {
            net.send(0, 1, carrying);
            net.send(0, 2, carrying);
        }
    }
    let now = net.world.move_to(Instant::START);
    assert!(now.since(Instant::START) < Span::from_secs(60), "{now}");
    // What is left in the queue are the alarms of TCP stacks without a connection.
    let later = net.world.move_to(now + Span::from_secs(600));
    assert_eq!(later, now + Span::from_secs(600));
    assert_eq!(net.world.sim().next_event(), None);
}

#[test]
fn transient_states_have_settled_when_the_next_request_comes() {
    let mut net = Net::new();
    net.send(0, 2, TCP);
    // The clock stands still behind the world's present: a moment passes all the same.
    let before = net.world.now(Instant::START);
    let moved = net.world.move_to(Instant::START);
    assert_eq!(before, moved);
    assert!(net.world.now(Instant::START) > moved);
}

#[test]
fn what_was_sent_is_recorded() {
    let mut net = Net::new();
    let of = Watched::Interface(net.hosts[0].2);
    let log = net.ask(Command::CreateFlowLogs { of, recording: Recording::default() }, |change| {
        match change {
            Change::FlowLogCreated { log, .. } => Some(*log),
            _ => None,
        }
    });
    let capture = net.world.recorders().start_capture().unwrap();
    net.send(0, 1, PING);
    net.world.look();
    let [listed] = <[_; 1]>::try_from(net.world.recorders().flow_logs()).unwrap();
    assert_eq!((listed.log, listed.records, listed.full, listed.deleted), (log, 2, false, false));
    let text = String::from_utf8(net.world.recorders().flow_log(log).unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("version account-id"), "{text}");
    assert!(
        lines[1..].iter().all(|line| line.contains(" 1 3 252 ") && line.ends_with("ACCEPT OK")),
        "{text}"
    );
    let rows: Vec<_> = net.world.recorders().captures().collect();
    assert_eq!(rows, [(capture, 12, 0)], "each packet where it left and where it came");
    let file = net.world.recorders().capture(capture).unwrap();
    assert_eq!(&file[..4], &[0x0a, 0x0d, 0x0d, 0x0a]);
    net.world.recorders().end_capture(capture).unwrap();
    assert!(net.world.recorders().capture(capture).is_err());
    net.ask(Command::DeleteFlowLogs { log }, |_| Some(()));
    net.world.look();
    assert!(net.world.recorders().flow_logs()[0].deleted);
}

#[test]
fn captures_are_few() {
    let mut net = Net::new();
    let recorders = net.world.recorders();
    for _ in 0..API_CAPTURES_MAX {
        recorders.start_capture().unwrap();
    }
    assert!(recorders.start_capture().is_err());
}

#[test]
fn ends_that_cannot_be_are_refused() {
    let mut net = Net::new();
    let cloud = net.world.cloud();
    let host = net.hosts[0].1.to_string();
    for (from, to, code) in [
        ("i-00000000", &*host, "InvalidInstanceID.NotFound"),
        ("x", &*host, "InvalidInstanceID.Malformed"),
        ("eni-00000000", &*host, "InvalidNetworkInterfaceID.NotFound"),
        (&*host, "nowhere", "InvalidInstanceID.Malformed"),
        (&*host, "2001:db8::1", "InvalidParameterValue"),
    ] {
        assert_eq!(ends(cloud, from, to, None).unwrap_err().code(), code, "{from} {to}");
    }
    let question = net.question(0, 1, Carrying::Echo { count: 1, size: u16::MAX });
    assert!(send(&mut net.world, &question).is_err());
}
