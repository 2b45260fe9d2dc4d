//! The limits of a run, one below, at and above each, and what a run keeps.
//!
//! Refuses to hold what can be seen from outside: that is in `tests/it/sim.rs`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;

use super::traffic::Emission;
use super::*;
use crate::base::limit::PACKETS_PER_RUN_MAX;
use crate::cloud::account::Region;
use crate::cloud::event::Change;
use crate::cloud::instance::{NewInterface, SourceDestCheck};
use crate::cloud::profile::Profile;
use crate::cloud::security_group::GroupRule;
use crate::wire::{EchoKind, Packet, build};

/// Two hosts in one VPC.
struct Pair {
    sim: Sim,
    ends: [(InterfaceId, IpAddr); 2],
}

impl Pair {
    fn new() -> Pair {
        let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
        let mut cloud = Cloud::new(Profile::Seed, Span::ZERO);
        let mut ask = |command| {
            let events = cloud.apply(&caller, &command, Instant::START).unwrap();
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
        let ends = [(); 2].map(|()| {
            let source_dest_check = SourceDestCheck::On;
            let run = Command::run_instance(NewInterface {
                source_dest_check,
                ..NewInterface::in_subnet(subnet)
            });
            let Change::InstanceRun { interface, addresses, .. } = ask(run) else { panic!() };
            (interface, addresses[0])
        });
        Pair { sim: Sim::new(cloud, Seed(1), Twin::Compiled), ends }
    }

    fn packet(&self) -> Packet {
        let [from, to] = self.ends.map(|(_, address)| SocketAddr::new(address, 4_000));
        build::udp(from, to, b"?").unwrap()
    }

    fn source(&self, load: Load) -> Source {
        Source { from: self.ends[0].0, meant: Some(self.ends[1].0), load }
    }

    /// So many packets, a nanosecond apart.
    fn stream(&self, count: u64) -> Source {
        self.source(Load::Repeat { packet: self.packet(), count, pace: Pace::Every(Span::TICK) })
    }

    fn start(&mut self, count: u64) -> Result<ProbeId, RunError> {
        self.sim.start(Datagrams::Returned, [self.stream(count)])
    }
}

#[test]
fn sources_together_stay_below_the_packets_of_a_run() {
    const MAX: u64 = PACKETS_PER_RUN_MAX;
    for (counts, want) in [
        (&[MAX][..], true),
        (&[MAX + 1], false),
        (&[u64::MAX], false),
        (&[MAX - 1, 1], true),
        (&[MAX - 1, 2], false),
        (&[1, u64::MAX], false),
    ] {
        // In one probe, and in one each: what waits to be sent counts as well.
        let mut pair = Pair::new();
        let sources: Vec<Source> = counts.iter().map(|n| pair.stream(*n)).collect();
        assert_eq!(pair.sim.start(Datagrams::Sunk, sources).is_ok(), want, "{counts:?}");
        let mut pair = Pair::new();
        let started = counts.iter().all(|n| pair.start(*n).is_ok());
        assert_eq!(started, want, "{counts:?}");
    }
}

#[test]
fn a_probe_that_is_refused_leaves_no_trace() {
    let mut pair = Pair::new();
    let many = [pair.stream(PACKETS_PER_RUN_MAX), pair.stream(1)];
    assert_eq!(pair.sim.start(Datagrams::Sunk, many), Err(RunError::TooManyPackets));
    assert_eq!(pair.sim.next_event(), None);
    let probe = pair.start(3).unwrap();
    pair.sim.run_probe(probe, &mut ()).unwrap();
    assert_eq!((probe.number(), pair.sim.packets()), (0, 6));
}

#[test]
fn answers_count_among_the_packets_of_a_run() {
    for (bound, want) in [(5, Err(RunError::TooManyPackets)), (6, Ok(())), (7, Ok(()))] {
        let mut pair = Pair::new();
        pair.sim.bounds.packets = bound;
        let probe = pair.start(3).unwrap();
        assert_eq!(pair.sim.run_probe(probe, &mut ()), want, "{bound}");
    }
}

#[test]
fn pending_events_are_bounded() {
    // Three packets on their way, and the source's next one until there is none.
    for (bound, want) in
        [(2, Err(RunError::TooManyPending(Instant::from_nanos(1)))), (3, Ok(())), (4, Ok(()))]
    {
        let mut pair = Pair::new();
        pair.sim.bounds.pending = bound;
        let probe = pair.start(3).unwrap();
        assert_eq!(pair.sim.run_probe(probe, &mut ()), want, "{bound}");
    }
    let mut pair = Pair::new();
    pair.sim.bounds.pending = 2;
    let sources = [(); 3].map(|()| pair.stream(1));
    let refused = pair.sim.start(Datagrams::Sunk, sources);
    assert_eq!(refused, Err(RunError::TooManyPending(Instant::START)));
}

#[test]
fn time_must_move_on() {
    let at_once = |count| {
        let mut pair = Pair::new();
        pair.sim.bounds.events_per_instant = 100;
        let pace = Pace::Every(Span::ZERO);
        let load = Load::Repeat { packet: pair.packet(), count, pace };
        let source = pair.source(load);
        let probe = pair.sim.start(Datagrams::Sunk, [source]).unwrap();
        pair.sim.run_probe(probe, &mut ())
    };
    for (count, want) in [(99, Ok(())), (100, Ok(())), (101, Err(Instant::START))] {
        assert_eq!(at_once(count), want.map_err(RunError::Livelock), "{count}");
    }
}

#[test]
fn a_run_ends_after_its_longest_span() {
    let end = Instant::START + RUN_SPAN_MAX;
    let mut pair = Pair::new();
    assert_eq!(pair.sim.run_until(end, &mut ()), Ok(()));
    assert_eq!(pair.sim.run_until(end + Span::TICK, &mut ()), Err(RunError::TooLong));
    // What leaves in time and would arrive too late does not arrive.
    let probe = pair.start(1).unwrap();
    assert_eq!(pair.sim.run_probe(probe, &mut ()), Err(RunError::TooLong));
    assert_eq!(pair.sim.tally(probe).requests.in_flight(), 1);
}

#[test]
fn a_source_of_nothing_is_done_at_once() {
    let mut pair = Pair::new();
    let empty = pair.source(Load::Script(Arc::new([])));
    let probe = pair.sim.start(Datagrams::Sunk, [pair.stream(0), empty]).unwrap();
    assert!(pair.sim.tally(probe).is_done());
    assert_eq!(pair.sim.next_event(), None);
}

/// A series of pings that begins with something else repeats that: nothing gets lost on the way to
/// the interface (S12).
#[test]
fn every_packet_of_a_source_is_sent() {
    let mut pair = Pair::new();
    let pace = Pace::Every(Span::TICK);
    let script = [Bytes::from_static(b"?"), pair.packet().bytes().clone()];
    let script: Vec<(Span, Bytes)> = script.map(|bytes| (Span::ZERO, bytes)).into();
    for (load, count, dropped) in [
        (Load::Repeat { packet: pair.packet(), count: 5, pace }, 5, 0),
        (Load::Ping { first: pair.packet(), count: 5, pace }, 5, 0),
        (Load::Script(script.into()), 2, 1),
    ] {
        let source = pair.source(load);
        let probe = pair.sim.start(Datagrams::Sunk, [source]).unwrap();
        pair.sim.run_probe(probe, &mut ()).unwrap();
        let tally = pair.sim.tally(probe).requests;
        assert_eq!(tally.sent, count);
        assert_eq!((tally.delivered, tally.drops.total()), (count - dropped, dropped));
    }
}

/// Echo requests count up from the number of the first, around the end of the field.
#[test]
fn pings_are_numbered() {
    let [from, to] = Pair::new().ends.map(|(_, address)| address);
    let first = build::echo(EchoKind::Request, from, to, 7, 65_534, b"data").unwrap();
    let load = Load::Ping { first, count: 4, pace: Pace::Every(Span::TICK) };
    let row = InterfaceIdx::from_row(0);
    let mut source = ActiveSource::new(ProbeId::numbered(0), row, None, load);
    let numbers = [(); 4].map(|()| match source.emit() {
        Emission::Packet(packet) => packet.icmp_echo().unwrap().seq,
        Emission::Bytes(_) => panic!(),
    });
    assert_eq!(numbers, [65_534, 65_535, 0, 1]);
}

/// An interface that the cloud does not know sends nothing; one that it has forgotten is down.
#[test]
fn nobody_sends_nothing() {
    let mut pair = Pair::new();
    let stranger = Pair::new().sim;
    let nobody: InterfaceId = "eni-0123456789abcdef0".parse().unwrap();
    assert_eq!(stranger.row_of(nobody), None);
    let source = Source { from: nobody, ..pair.stream(5) };
    let probe = pair.sim.start(Datagrams::Sunk, [source]).unwrap();
    assert!(pair.sim.tally(probe).is_done());
    pair.sim.set_link(LinkOf::Interface(nobody), LinkSpec::PEERING);
}

/// Question after question: what is kept of them does not grow, ports and rows are used again, and what
/// is forgotten is no part of what comes after it.
#[test]
fn forgotten_probes_leave_nothing() {
    let mut pair = Pair::new();
    let [from, to] = pair.ends;
    for round in 0..50_u16 {
        let probe = pair.start(3).unwrap();
        assert_eq!(pair.sim.forget(probe), None, "its packets are on their way");
        pair.sim.run_probe(probe, &mut ()).unwrap();
        let tally = pair.sim.forget(probe).unwrap();
        assert_eq!((tally.requests.delivered, tally.answers.delivered), (3, 3));
        assert_eq!(pair.sim.tally(probe), ProbeTally::default());
        pair.sim.listen(to.0, 80, Serve::Echo).unwrap();
        let ends = ((from.1, 50_000 + round).into(), (to.1, 80).into());
        let transfer = Transfer { bytes: 1_000, patience: tcp::Patience::default() };
        let probe = pair.sim.connect(from.0, Some(to.0), ends, transfer).unwrap();
        pair.sim.run_probe(probe, &mut ()).unwrap();
        assert_eq!(pair.sim.connection(probe).unwrap().outcome, tcp::Outcome::Done);
        pair.sim.stop_listening(to.0, 80);
        assert!(pair.sim.forget(probe).is_some());
        assert_eq!(pair.sim.connection(probe), None);
        assert!(!pair.sim.serves(to.0, 80));
        assert_eq!(pair.sim.probes.len(), 0);
        assert_eq!(pair.sim.sources.len(), 1);
        assert!(pair.sim.connections.is_empty());
    }
    let hosts = pair.sim.hosts.iter().flatten().filter_map(|host| host.tcp.as_deref());
    assert!(
        hosts.clone().count() == 2
            && hosts.into_iter().all(|tcp| tcp.stack.connection_count() == 0)
    );
    assert_eq!(pair.sim.packets() - pair.sim.forgotten, 0);
}

/// One that is forgotten before another that is not makes no difference to it.
#[test]
fn probes_are_forgotten_in_any_order() {
    let mut pair = Pair::new();
    let probes = [1, 2, 3].map(|count| pair.start(count).unwrap());
    for probe in probes {
        pair.sim.run_probe(probe, &mut ()).unwrap();
    }
    for (probe, left) in [(1, 3), (0, 1), (2, 0)] {
        let tally = pair.sim.forget(probes[probe]).unwrap();
        assert_eq!(tally.requests.sent, probe as u64 + 1);
        assert_eq!(pair.sim.probes.len(), left);
    }
    let next = pair.start(4).unwrap();
    pair.sim.run_probe(next, &mut ()).unwrap();
    assert_eq!(pair.sim.tally(next).answers.delivered, 4);
}
