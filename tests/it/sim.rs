//! The world in motion: what time, links and changes do to packets that are on their way.
//!
//! Holds rows about small networks whose times can be computed by hand; `worlds` holds the same
//! invariants over random ones. Refuses to judge forwarding as such: `twins.rs` does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure names the line")]

mod monitor;
mod worlds;

use std::sync::Arc;

use bytes::Bytes;
use ipnet::Ipv4Net;
use vpclab::base::id::{InterfaceId, PeeringId, SubnetId, VpcId};
use vpclab::base::rng::Seed;
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::account::Caller;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Event;
use vpclab::cloud::instance::NewInterface;
use vpclab::cloud::peering::Status;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::refusal::Refusal;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::DropReason;
use vpclab::report::explain::Explainer;
use vpclab::sim::traffic::Tally;
use vpclab::sim::{
    Datagrams, Happening, LinkOf, LinkSpec, Load, Observer, Pace, ProbeId, Sim, Source, Subject,
    Twin, World,
};

use crate::support::lab::{Lab, datagram};

/// A VPC and its one host.
#[derive(Clone, Copy)]
struct Member {
    vpc: VpcId,
    subnet: SubnetId,
    host: InterfaceId,
}

/// VPCs, each peered with some of the others, routes in place.
struct Net {
    lab: Lab,
    members: Vec<Member>,
    /// Peerings and the members that they join.
    peerings: Vec<(PeeringId, usize, usize)>,
}

impl Net {
    fn new(vpcs: usize, settle: Span) -> Net {
        let mut lab = Lab::settling(Profile::Seed, settle);
        let members = (0..vpcs).map(|n| {
            let block: Ipv4Net = format!("10.{n}.0.0/16").parse().unwrap();
            let (vpc, subnet) = lab.simple_vpc(block);
            Member { vpc, subnet, host: lab.host(subnet).unwrap() }
        });
        Net { members: members.collect(), lab, peerings: Vec::new() }
    }

    /// Every pair peered.
    fn mesh(vpcs: usize) -> Net {
        let mut net = Net::new(vpcs, Span::ZERO);
        for (a, b) in (0..vpcs).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let peering = net.request(a, b);
            net.lab.accept(peering).unwrap();
        }
        net
    }

    /// Asks for a peering, and routes to it from both sides.
    fn request(&mut self, a: usize, b: usize) -> PeeringId {
        let [from, to] = [a, b].map(|n| self.members[n].vpc);
        let peering = self.lab.request(from, to).unwrap();
        for (here, there) in [(from, to), (to, from)] {
            let block = self.lab.cloud.vpc(there).unwrap().blocks()[0];
            let table = self.lab.main_table(here);
            self.lab.route(table, block, RouteTarget::Peering(peering)).unwrap();
        }
        self.peerings.push((peering, a, b));
        peering
    }

    fn sim(&self) -> Sim {
        Sim::new(self.lab.cloud.clone(), Seed(1), Twin::Compiled)
    }

    fn source(&self, from: usize, to: usize, count: u64, gap: Span) -> Source {
        let [from, to] = [from, to].map(|n| self.members[n].host);
        let packet = datagram(self.lab.address(from), self.lab.address(to));
        let load = Load::Repeat { packet, count, pace: Pace::Every(gap) };
        Source { from, meant: Some(to), load }
    }

    /// One packet at each of these moments after the start.
    fn script(&self, from: usize, to: usize, at: &[Span]) -> Source {
        let [from, to] = [from, to].map(|n| self.members[n].host);
        let packet = datagram(self.lab.address(from), self.lab.address(to));
        let script: Vec<(Span, Bytes)> =
            at.iter().map(|at| (*at, packet.bytes().clone())).collect();
        Source { from, meant: Some(to), load: Load::Script(Arc::from(script)) }
    }

    fn caller(&self, member: usize) -> Caller {
        self.lab.owner(self.members[member].vpc)
    }
}

fn at(span: Span) -> Instant {
    Instant::START + span
}

/// Lets everything happen before `moment`, and then, first of all at it, this.
#[track_caller]
fn change(sim: &mut Sim, moment: Instant, caller: &Caller, command: &Command) -> Vec<Event> {
    ask(sim, moment, caller, command, &mut ()).unwrap_or_else(|no| panic!("{command:?}: {no}"))
}

fn ask(
    sim: &mut Sim,
    moment: Instant,
    caller: &Caller,
    command: &Command,
    observer: &mut impl Observer,
) -> Result<Vec<Event>, Refusal> {
    sim.run_until(Instant::from_nanos(moment.as_nanos() - 1), observer).unwrap();
    sim.move_to(moment);
    sim.apply(caller, command)
}

/// Sent, delivered, and dropped by reason.
fn counts(tally: Tally) -> (u64, u64, Vec<(DropReason, u64)>) {
    (tally.sent, tally.delivered, tally.drops.iter().collect())
}

fn finish(sim: &mut Sim, probe: ProbeId) -> (u64, u64, Vec<(DropReason, u64)>) {
    sim.run_probe(probe, &mut ()).unwrap();
    counts(sim.tally(probe).requests)
}

/// L4: accepted at 20 ms, active 10 ms later to the nanosecond, also for packets in motion.
#[test]
fn a_peering_carries_packets_from_the_instant_it_is_active() {
    let settle = Span::from_millis(10);
    let mut net = Net::new(2, settle);
    let peering = net.request(0, 1);
    for twin in [Twin::Compiled, Twin::Reference] {
        let mut sim = Sim::new(net.lab.cloud.clone(), Seed(1), twin);
        let active = Span::from_millis(30);
        let before = Span::from_nanos(active.as_nanos() - 1);
        let moments = [Span::ZERO, Span::from_millis(25), before, active, active + Span::TICK];
        let probe = sim.start(Datagrams::Sunk, [net.script(0, 1, &moments)]).unwrap();
        let accept = Command::AcceptVpcPeeringConnection { peering };
        change(&mut sim, at(Span::from_millis(20)), &net.caller(1), &accept);
        let want = (5, 2, vec![(DropReason::Blackhole, 3)]);
        assert_eq!(finish(&mut sim, probe), want, "{twin:?}");
    }
}

/// L3: with packets flowing all week, a request that nobody answered is refused at its deadline and
/// taken a nanosecond earlier.
#[test]
fn a_request_expires_at_its_deadline_while_packets_flow() {
    const WEEK: Span = Span::from_days(7);
    for (moment, want) in [
        (Span::from_nanos(WEEK.as_nanos() - 1), Ok(Status::Active)),
        (WEEK, Err("InvalidStateTransition")),
    ] {
        let mut net = Net::new(2, Span::ZERO);
        let peering = net.request(0, 1);
        let mut sim = net.sim();
        let source = net.source(0, 1, 7 * 24, Span::from_hours(1));
        let probe = sim.start(Datagrams::Sunk, [source]).unwrap();
        let accept = Command::AcceptVpcPeeringConnection { peering };
        let answer = ask(&mut sim, at(moment), &net.caller(1), &accept, &mut ());
        sim.run_until(sim.now() + Sim::COMMAND, &mut ()).unwrap();
        let status = |_| sim.cloud().peering(peering).unwrap().status(sim.now());
        assert_eq!(answer.map(status).map_err(|no| no.code()), want, "{moment}");
        assert_eq!(counts(sim.tally(probe).requests).2, [(DropReason::Blackhole, 168)]);
    }
}

/// A change to a network while a packet is on its way.
type Meanwhile = fn(&Net, &mut Sim, Instant);

fn instance(sim: &Sim, host: InterfaceId) -> vpclab::base::id::InstanceId {
    sim.cloud().interface(host).unwrap().instance().unwrap()
}

fn delete_peering(net: &Net, sim: &mut Sim, moment: Instant) {
    let peering = net.peerings[0].0;
    let delete = Command::DeleteVpcPeeringConnection { peering };
    change(sim, moment, &net.caller(0), &delete);
}

fn terminate(net: &Net, sim: &mut Sim, moment: Instant, member: usize) {
    let instance = instance(sim, net.members[member].host);
    change(sim, moment, &net.caller(member), &Command::TerminateInstances { instance });
}

fn delete_vpc(net: &Net, sim: &mut Sim, moment: Instant, member: usize) {
    let (caller, Member { vpc, subnet, .. }) = (net.caller(member), net.members[member]);
    terminate(net, sim, moment, member);
    sim.apply(&caller, &Command::DeleteSubnet { subnet }).unwrap();
    sim.apply(&caller, &Command::DeleteVpc { vpc }).unwrap();
}

fn host(net: &Net, sim: &mut Sim, member: usize) {
    let run = Command::run_instance(NewInterface::in_subnet(net.members[member].subnet));
    sim.apply(&net.caller(member), &run).unwrap();
}

const MEANWHILE: &[(&str, Meanwhile, Option<DropReason>)] = &[
    ("nothing", |_, _, _| (), None),
    ("the peering is deleted", delete_peering, Some(DropReason::PeeringGone)),
    (
        "the receiver is stopped",
        |net, sim, moment| {
            let instance = instance(sim, net.members[1].host);
            change(sim, moment, &net.caller(1), &Command::StopInstances { instance });
        },
        Some(DropReason::InterfaceDown),
    ),
    (
        "the receiver is terminated",
        |net, sim, moment| terminate(net, sim, moment, 1),
        Some(DropReason::NoSuchHost),
    ),
    (
        "the receiver's VPC is deleted",
        |net, sim, moment| delete_vpc(net, sim, moment, 1),
        Some(DropReason::PeeringGone),
    ),
    ("the sender is terminated", |net, sim, moment| terminate(net, sim, moment, 0), None),
    (
        "the sender's VPC is deleted",
        |net, sim, moment| delete_vpc(net, sim, moment, 0),
        Some(DropReason::PeeringGone),
    ),
    (
        "the route is deleted",
        |net, sim, moment| {
            let table = net.lab.main_table(net.members[0].vpc);
            let destination = net.lab.cloud.vpc(net.members[1].vpc).unwrap().blocks()[0];
            change(sim, moment, &net.caller(0), &Command::DeleteRoute { table, destination });
        },
        None,
    ),
    (
        "hosts come",
        |net, sim, moment| {
            sim.run_until(Instant::from_nanos(moment.as_nanos() - 1), &mut ()).unwrap();
            sim.move_to(moment);
            (0..20).for_each(|n| host(net, sim, n % 2));
        },
        None,
    ),
];

/// S17: a packet's arrival is judged by the network of that very instant, commands first; what comes
/// after it does not matter.
#[test]
fn what_happens_on_the_way_counts_on_arrival() {
    let arrival = LinkSpec::PEERING.latency;
    for (what, meanwhile, want) in MEANWHILE {
        for (moment, in_time) in
            [(Span::TICK, true), (arrival, true), (arrival + Span::TICK, false)]
        {
            for twin in [Twin::Compiled, Twin::Reference] {
                let net = Net::mesh(2);
                let mut sim = Sim::new(net.lab.cloud.clone(), Seed(1), twin);
                let source = net.source(0, 1, 1, Span::ZERO);
                let probe = sim.start(Datagrams::Sunk, [source]).unwrap();
                meanwhile(&net, &mut sim, at(moment));
                let want = want.filter(|_| in_time);
                let drops = want.map(|reason| (reason, 1));
                let want = (1, u64::from(want.is_none()), Vec::from_iter(drops));
                assert_eq!(finish(&mut sim, probe), want, "{what} at {moment}, {twin:?}");
            }
        }
    }
}

/// Rows that come during a run: a host that nobody knew when the run began sends and receives.
#[test]
fn hosts_may_come_at_any_time() {
    let net = Net::mesh(3);
    let mut sim = net.sim();
    let old = sim.start(Datagrams::Sunk, [net.source(0, 1, 100, Span::from_micros(10))]).unwrap();
    for n in 1..=50_u64 {
        sim.run_until(at(Span::from_micros(10 * n)), &mut ()).unwrap();
        host(&net, &mut sim, 2);
        let (new, interface) =
            sim.cloud().interfaces().find(|(id, _)| sim.row_of(*id).is_none()).unwrap();
        let (from, to) = (interface.addresses[0], net.lab.address(net.members[1].host));
        let load = |packet| Load::Repeat { packet, count: 1, pace: Pace::Every(Span::ZERO) };
        let sources = [
            Source { from: new, meant: Some(net.members[1].host), load: load(datagram(from, to)) },
            Source { from: net.members[1].host, meant: Some(new), load: load(datagram(to, from)) },
        ];
        let probe = sim.start(Datagrams::Sunk, sources).unwrap();
        assert_eq!(finish(&mut sim, probe), (2, 2, vec![]), "host {n}");
    }
    assert_eq!(finish(&mut sim, old), (100, 100, vec![]));
}

/// L2: an echo is answered within twice the latency, to the nanosecond; without a route back the
/// answer is dropped where it began.
#[test]
fn a_datagram_and_its_answer_take_twice_the_latency() {
    let net = Net::mesh(2);
    let mut sim = net.sim();
    let probe = sim.start(Datagrams::Returned, [net.source(0, 1, 1, Span::ZERO)]).unwrap();
    sim.run_probe(probe, &mut ()).unwrap();
    assert_eq!(sim.now(), at(LinkSpec::PEERING.latency.times(2)));
    assert_eq!(counts(sim.tally(probe).answers), (1, 1, vec![]));

    let (table, destination) = (
        net.lab.main_table(net.members[1].vpc),
        net.lab.cloud.vpc(net.members[0].vpc).unwrap().blocks()[0],
    );
    sim.apply(&net.caller(1), &Command::DeleteRoute { table, destination }).unwrap();
    let probe = sim.start(Datagrams::Returned, [net.source(0, 1, 1, Span::ZERO)]).unwrap();
    assert_eq!(finish(&mut sim, probe), (1, 1, vec![]));
    assert_eq!(counts(sim.tally(probe).answers), (1, 0, vec![(DropReason::NoRoute, 1)]));
}

/// A peering is an edge, never a node: every pair of six VPCs talks, one of the fifteen peerings is
/// deleted under load, and no other pair loses a packet.
#[test]
fn losing_a_peering_touches_no_other() {
    let net = Net::mesh(6);
    assert_eq!(net.peerings.len(), 15);
    let deletion = at(Span::from_micros(50_100));
    for (lost, ..) in &net.peerings {
        let mut sim = net.sim();
        let mut probes = Vec::new();
        for (peering, a, b) in &net.peerings {
            for (from, to) in [(*a, *b), (*b, *a)] {
                let source = net.source(from, to, 100, Span::from_millis(1));
                probes.push((*peering, sim.start(Datagrams::Sunk, [source]).unwrap()));
            }
        }
        let delete = Command::DeleteVpcPeeringConnection { peering: *lost };
        change(&mut sim, deletion, &net.caller(0), &delete);
        for (peering, probe) in probes {
            // Packets leave at 0, 1, ... 99 ms. Of the lost peering's, 0..=49 have arrived, number
            // 50 is on its way, and the rest finds a blackhole.
            let want = if peering == *lost {
                (100, 50, vec![(DropReason::Blackhole, 49), (DropReason::PeeringGone, 1)])
            } else {
                (100, 100, vec![])
            };
            assert_eq!(finish(&mut sim, probe), want);
        }
    }
}

/// S20: the walk that is told of an ending is that of the packet which ended so: its own sender,
/// table and time, whatever left in between. Where the network has changed since, the walk does not
/// pretend that the packet met it.
#[test]
fn walks_are_those_of_the_packet_that_ended() {
    let net = Net::mesh(3);
    let mut sim = net.sim();
    let moments = [Span::ZERO, Span::from_millis(1)];
    let sources = [net.script(0, 1, &moments), net.script(2, 0, &[Span::from_micros(1)])];
    let probe = sim.start(Datagrams::Sunk, sources).unwrap();
    let mut explainer = Explainer::default();
    let peering = net.peerings[0].0;
    let delete = Command::DeleteVpcPeeringConnection { peering };
    let moment = at(Span::from_micros(1_100));
    ask(&mut sim, moment, &net.caller(0), &delete, &mut explainer).unwrap();
    sim.run_probe(probe, &mut explainer).unwrap();

    let told: Vec<_> = explainer.walks(probe).map(|(_, told, _)| told).collect();
    let first_lines = told.iter().map(|told| {
        let first = &told.lines[0];
        (told.at, told.sender.clone(), format!("{}: {}", first.subject, first.finding))
    });
    let row = |nanos, sender: usize, line: String| {
        (Instant::from_nanos(nanos), net.members[sender].host.to_string(), line)
    };
    let by_table = |from: usize, to: usize, peering: usize| {
        // A main table is told by its VPC.
        let (table, peering) = (net.members[from].vpc, net.peerings[peering].0);
        format!("table {table}: 10.{to}.0.0/16 -> {peering} (the only match)")
    };
    let gone = format!("{peering}: took the packet when it left, and would not now");
    assert_eq!(
        first_lines.collect::<Vec<_>>(),
        [row(0, 0, by_table(0, 1, 0)), row(1_000, 2, by_table(2, 0, 1)), row(1_000_000, 0, gone),]
    );
    assert_eq!(told[2].lines[1].finding, "was deleted when the packet arrived");
}

/// When packets arrived, and where they were lost.
#[derive(Default)]
struct Log {
    arrivals: Vec<(ProbeId, Instant)>,
    lost: Vec<(ProbeId, Instant, DropReason)>,
}

impl Log {
    fn arrivals_of(&self, probe: ProbeId) -> Vec<Instant> {
        self.arrivals.iter().filter(|(p, _)| *p == probe).map(|(_, at)| *at).collect()
    }
}

impl Observer for Log {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        match what {
            Happening::Arrived { .. } => self.arrivals.push((subject.probe, world.now)),
            Happening::Lost { drop, .. } => self.lost.push((subject.probe, world.now, drop.reason)),
            Happening::Left { .. }
            | Happening::Relayed { .. }
            | Happening::NotSent { .. }
            | Happening::Malformed { .. } => (),
        }
    }
}

/// L8: a full queue drops and counts; the packets of another peering of the same VPC arrive to the
/// nanosecond as if it were empty, also those that come from the same sender.
#[test]
fn a_full_queue_delays_nobody_else() {
    let net = Net::mesh(3);
    let peering_of = |a, b| net.peerings.iter().find(|p| (p.1, p.2) == (a, b)).unwrap().0;
    // 29 bytes at 232 kbit/s are a millisecond; they come ten times as fast.
    let slow = LinkSpec { rate: Some("232kbit/s".parse().unwrap()), queue: 4, ..LinkSpec::PEERING };
    let run = |spec: Option<LinkSpec>| {
        let mut sim = net.sim();
        if let Some(spec) = spec {
            sim.set_link(LinkOf::Peering(peering_of(1, 0)), spec);
        }
        let gap = Span::from_micros(100);
        let jammed = sim.start(Datagrams::Sunk, [net.source(0, 1, 1_000, gap)]).unwrap();
        let back = sim.start(Datagrams::Sunk, [net.source(1, 0, 50, gap)]).unwrap();
        let free = sim.start(Datagrams::Sunk, [net.source(0, 2, 1_000, gap)]).unwrap();
        let far = sim.start(Datagrams::Sunk, [net.source(2, 1, 1_000, gap)]).unwrap();
        let mut log = Log::default();
        [jammed, back, free, far].iter().for_each(|p| sim.run_probe(*p, &mut log).unwrap());
        let others = [free, far].map(|p| log.arrivals_of(p));
        (counts(sim.tally(jammed).requests), counts(sim.tally(back).requests), others)
    };
    let (quick, _, undisturbed) = run(None);
    assert_eq!(quick, (1_000, 1_000, vec![]));
    let (jammed, back, others) = run(Some(slow));
    // At 0 ms one goes and four wait; then one a millisecond, until 99.9 ms.
    assert_eq!(jammed, (1_000, 104, vec![(DropReason::QueueFull, 896)]));
    // The other direction is a link of its own: as slow, with a queue of its own.
    assert_eq!(back, (50, 9, vec![(DropReason::QueueFull, 41)]));
    assert_eq!(others, undisturbed);
}

/// Chance is named: what one link loses does not depend on which other links lose something, and no
/// two links, or directions of one, lose alike.
#[test]
fn links_do_not_share_their_chance() {
    let net = Net::mesh(3);
    let lossy = LinkSpec {
        loss: "20%".parse().unwrap(),
        jitter: Span::from_micros(100),
        ..LinkSpec::PEERING
    };
    let run = |links: &[LinkOf], seed| {
        let mut sim = Sim::new(net.lab.cloud.clone(), Seed(seed), Twin::Compiled);
        links.iter().for_each(|link| sim.set_link(*link, lossy));
        let gap = Span::from_micros(10);
        let pairs = [(0, 1), (0, 2), (1, 2), (1, 0)];
        let sources = pairs.map(|(a, b)| net.source(a, b, 500, gap));
        let probes = sources.map(|source| sim.start(Datagrams::Sunk, [source]).unwrap());
        let mut log = Log::default();
        probes.iter().for_each(|probe| sim.run_probe(*probe, &mut log).unwrap());
        let lost = probes.map(|probe| {
            log.lost.iter().filter(|l| l.0 == probe).map(|l| l.1).collect::<Vec<Instant>>()
        });
        if links.len() == 3 {
            // They lose at the moment of sending, and all send at the same moments.
            let distinct: std::collections::BTreeSet<_> = lost.iter().collect();
            assert_eq!(distinct.len(), 4, "four directions of three links");
        }
        let [lost, ..] = lost;
        (log.arrivals_of(probes[0]), lost)
    };
    let [ab, ac, bc] = [0, 1, 2].map(|n| LinkOf::Peering(net.peerings[n].0));
    let alone = run(&[ab], 7);
    assert!((50..150).contains(&alone.1.len()), "some are lost: {}", alone.1.len());
    assert_eq!(run(&[ab, ac, bc], 7), alone);
    assert_eq!(run(&[ac, ab], 7), alone);
    assert_ne!(run(&[ab], 8), alone);
    let elsewhere = LinkOf::Vpc(net.members[1].vpc);
    assert_eq!(run(&[elsewhere, ab], 7), alone);
}
