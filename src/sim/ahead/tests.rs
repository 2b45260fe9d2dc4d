//! Random worlds in which many packets meet at one instant: with runs judged ahead, without, and by
//! the reference, everybody hears the same in the same order, and the same is remembered.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::super::*;
use super::*;
use crate::base::rng::Stream;
use crate::cloud::account::Region;
use crate::cloud::event::Change;
use crate::cloud::filter::{PortRange, Traffic};
use crate::cloud::instance::{Host, NewInterface};
use crate::cloud::profile::Profile;
use crate::cloud::route_table::RouteTarget;
use crate::cloud::security_group::GroupRule;
use crate::forward::Reference;
use crate::forward::walk::Step;
use crate::wire::{EchoKind, TcpFlags, build};

const HOSTS: usize = 24;

/// Two VPCs and a peering, with groups that remember everything, something or nothing.
struct Net {
    cloud: Cloud,
    hosts: Vec<(InterfaceId, IpAddr)>,
    vpcs: Vec<VpcId>,
    peering: PeeringId,
}

fn ask(cloud: &mut Cloud, command: &Command) -> Change {
    let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
    cloud.apply(&caller, command, Instant::START).unwrap().remove(0).change
}

fn udp_only() -> GroupRule {
    GroupRule { traffic: Traffic::Udp(PortRange::ALL), ..GroupRule::everybody_v4() }
}

fn net(chance: &mut Stream) -> Net {
    let mut cloud = Cloud::new(Profile::Seed, Span::ZERO);
    let (mut hosts, mut vpcs, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    let blocks = ["10.0.0.0/16", "10.1.0.0/16"].map(|block| block.parse().unwrap());
    for cidr in blocks {
        let made = ask(&mut cloud, &Command::CreateVpc { cidr });
        let Change::VpcCreated { vpc, main_table, default_group: group, .. } = made else {
            panic!()
        };
        let into = match chance.below(4) {
            0 | 1 => vec![GroupRule::everybody_v4()],
            2 => vec![udp_only()],
            _ => Vec::new(),
        };
        if !into.is_empty() {
            ask(&mut cloud, &Command::AuthorizeSecurityGroupIngress { group, rules: into });
        }
        if chance.below(2) == 0 {
            let all = vec![GroupRule::everybody_v4()];
            ask(&mut cloud, &Command::RevokeSecurityGroupEgress { group, rules: all });
            let rules = vec![udp_only()];
            ask(&mut cloud, &Command::AuthorizeSecurityGroupEgress { group, rules });
        }
        let subnet = Command::CreateSubnet { vpc, cidr, ipv6: None, zone: None };
        let Change::SubnetCreated { subnet, .. } = ask(&mut cloud, &subnet) else { panic!() };
        for _ in 0..HOSTS / 2 {
            let run = Command::run_instance(NewInterface::in_subnet(subnet));
            let Change::InstanceRun { interface, addresses, .. } = ask(&mut cloud, &run) else {
                panic!()
            };
            hosts.push((interface, addresses[0]));
        }
        vpcs.push(vpc);
        tables.push(main_table);
    }
    let (requester, accepter) = (vpcs[0], vpcs[1]);
    let request = Command::CreateVpcPeeringConnection {
        requester,
        accepter,
        peer_owner: None,
        peer_region: None,
    };
    let Change::PeeringRequested { peering, .. } = ask(&mut cloud, &request) else { panic!() };
    ask(&mut cloud, &Command::AcceptVpcPeeringConnection { peering });
    for (table, cidr) in [(tables[0], blocks[1]), (tables[1], blocks[0])] {
        let (destination, target) = (cidr.into(), RouteTarget::Peering(peering));
        ask(&mut cloud, &Command::CreateRoute { table, destination, target });
    }
    Net { cloud, hosts, vpcs, peering }
}

fn packet(chance: &mut Stream, source: IpAddr, destination: IpAddr) -> Packet {
    let ports = [(); 2].map(|()| 7_000 + u16::try_from(chance.below(2)).unwrap());
    let ends = [SocketAddr::new(source, ports[0]), SocketAddr::new(destination, ports[1])];
    let echo = |kind| build::echo(kind, source, destination, ports[0], 1, b"?").unwrap();
    match chance.below(16) {
        0 => echo(EchoKind::Request),
        1 => echo(EchoKind::Reply),
        2 => build::tcp(ends[0], ends[1], TcpFlags::SYN, 1, 0, &[]).unwrap(),
        3 => build::tcp(ends[0], ends[1], TcpFlags::RST, 1, 0, &[]).unwrap(),
        4 => build::udp(ends[0], ends[1], &[0; 9_100]).unwrap(),
        _ => build::udp(ends[0], ends[1], b"?").unwrap(),
    }
}

fn sources(chance: &mut Stream, hosts: &[(InterfaceId, IpAddr)]) -> Vec<Source> {
    let any = |chance: &mut Stream| hosts[usize::try_from(chance.below(HOSTS as u64)).unwrap()];
    let mut source = |n: usize| {
        let from = if n < HOSTS { hosts[n] } else { any(chance) };
        let to = any(chance);
        let packet = packet(chance, from.1, to.1);
        let (count, gap) = (1 + chance.below(5), Span::from_millis(1));
        let load = match chance.below(40) {
            0 => Load::Script(Arc::from(vec![(Span::ZERO, packet.bytes().clone()); 3])),
            1 => Load::Repeat { packet, count, pace: Pace::Every(Span::ZERO) },
            2 => Load::Ping { first: packet, count, pace: Pace::Every(gap) },
            _ => Load::Repeat { packet, count, pace: Pace::Every(gap) },
        };
        Source { from: from.0, meant: Some(to.0), load }
    };
    (0..120).map(&mut source).collect()
}

/// What is heard, and how it is explained by what is remembered at that moment.
#[derive(Default)]
struct Heard(String);

impl Observer for Heard {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        let rows = (0..world.rows.interface_count()).map(InterfaceIdx::from_row);
        let known: usize = rows.map(|row| world.memory.connections.count(row)).sum();
        let reference = Reference::new(world.cloud, world.rows, world.now);
        let memory = &mut world.memory.connections.peek();
        let mut steps: Vec<Step> = Vec::new();
        match what {
            Happening::NotSent { packet, from, .. } => {
                let _ = reference.leave_recorded(from, packet, memory, &mut steps);
            }
            Happening::Lost { packet, sent, from, crossing, .. }
            | Happening::Arrived { packet, sent, from, crossing, .. } => {
                let _ = reference.leave_recorded(from, sent, memory, &mut steps);
                let _ = reference.enter_recorded(crossing, packet, memory, &mut steps);
            }
            _ => {}
        }
        writeln!(self.0, "{} {subject:?} {known} {what:?} {steps:?}", world.now).unwrap();
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Judged {
    Ahead,
    OneByOne,
    ByReference,
}

/// What was heard and told, the memory in the end, and how many were let in ahead of their turn.
fn story(seed: u64, judged: Judged) -> (String, Memory, u64) {
    let mut chance = Seed(seed).stream("story");
    let net = net(&mut chance);
    let twin = if judged == Judged::ByReference { Twin::Reference } else { Twin::Compiled };
    let mut sim = Sim::new(net.cloud, Seed(seed), twin);
    if judged == Judged::OneByOne {
        sim.foresight.pause = usize::MAX;
    }
    if chance.below(2) == 0 {
        sim.set_tracked_connections(usize::try_from(chance.below(6)).unwrap());
    }
    if chance.below(3) == 0 {
        sim.set_role(net.hosts[3].0, Some(Role::Router));
        sim.set_role(net.hosts[HOSTS - 3].0, Some(Role::Nat));
    }
    if chance.below(4) == 0 {
        sim.set_link(LinkOf::Vpc(net.vpcs[0]), LinkSpec::plain(Span::ZERO));
    }
    let lossy = LinkSpec { loss: "10%".parse().unwrap(), ..LinkSpec::PEERING };
    if chance.below(3) == 0 {
        sim.set_link(LinkOf::Peering(net.peering), lossy);
    }
    if chance.below(3) == 0 {
        let spec = LinkSpec::plain(Span::from_micros(chance.below(60)));
        sim.set_link(LinkOf::Interface(net.hosts[1].0), spec);
    }
    let mut observer = Heard::default();
    let datagrams = [Datagrams::Sunk, Datagrams::Sunk, Datagrams::Returned];
    let probes = datagrams.map(|datagrams| {
        let sources = sources(&mut chance, &net.hosts);
        sim.start(datagrams, sources).unwrap()
    });
    for (probe, host) in probes.into_iter().zip(&net.hosts) {
        sim.run_probe(probe, &mut observer).unwrap();
        // In the middle of what the others send, at the very instant at which this one was done.
        let Host::Instance(instance) = sim.cloud.interface(host.0).unwrap().host else { panic!() };
        let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
        sim.apply(&caller, &Command::StopInstances { instance }).unwrap();
    }
    assert!(sim.foresight.verdicts.is_empty());
    let Heard(mut heard) = observer;
    for probe in probes {
        writeln!(heard, "{:?}", sim.tally(probe)).unwrap();
    }
    (heard, sim.memory.clone(), sim.foresight.worker.delivered())
}

#[test]
fn what_is_judged_ahead_is_what_would_have_been() {
    let mut ahead = 0;
    for seed in 0..60 {
        let [one, two, three] =
            [Judged::Ahead, Judged::OneByOne, Judged::ByReference].map(|by| story(seed, by));
        for (other, what) in [(&two, "one by one"), (&three, "by the reference")] {
            let first = one.0.lines().zip(other.0.lines()).find(|(a, b)| a != b);
            assert_eq!(first, None, "seed {seed}, ahead and {what}");
            assert!(one.0 == other.0 && one.1 == other.1, "seed {seed}, ahead and {what}");
        }
        assert_eq!((two.2, three.2), (0, 0));
        ahead += one.2;
    }
    assert!(ahead > 1_000, "{ahead} packets were let in ahead of their turn");
}
