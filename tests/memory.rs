//! Memory does not grow with the packets that are sent.
//!
//! A process of its own with one test, because it looks at what the whole process holds. Asked of
//! the system and not of a counting allocator: that would take `unsafe`, and would not see what the
//! allocator keeps back. Linux only.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure names the line")]

use std::net::{IpAddr, SocketAddr};

use vpclab::base::id::{AccountId, InterfaceId};
use vpclab::base::rng::Seed;
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::{Caller, Region};
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::instance::{NewInterface, SourceDestCheck};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::security_group::GroupRule;
use vpclab::report::explain::Explainer;
use vpclab::sim::{Datagrams, LinkOf, LinkSpec, Load, Pace, Sim, Source, Twin};
use vpclab::wire::build;

const HOSTS: usize = 1_000;
/// What may be held more at the end than after the first packets, in KiB: less than
/// two bytes for each packet that was sent in between.
const SLACK_KIB: u64 = 1_600;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A thousand hosts send at once, once a millisecond and a bit, so that their bursts fall into other
/// slots of time every round; answers come back, links lose some, and an explainer listens. After 10
/// rounds (20,000 packets) memory is what it will be after 500 (a million).
#[test]
fn memory_does_not_grow_with_the_packets_sent() {
    let (cloud, hosts) = network();
    let (first, rest) = (10, 490);
    let mut sim = Sim::new(cloud, Seed(1), Twin::Compiled);
    for (interface, _) in hosts.iter().step_by(7) {
        let spec = LinkSpec {
            loss: "1%".parse().unwrap(),
            rate: Some("20Mbit/s".parse().unwrap()),
            ..LinkSpec::INTERFACE
        };
        sim.set_link(LinkOf::Interface(*interface), spec);
    }
    let gap = Span::from_nanos(1_004_100);
    let source = |(n, (from, address)): (usize, &(InterfaceId, IpAddr))| {
        let (to, destination) = hosts[(n + 1) % HOSTS];
        let ends = [(*address, 40_000), (destination, 9)].map(SocketAddr::from);
        let packet = build::udp(ends[0], ends[1], &[0; 500]).unwrap();
        let load = Load::Repeat { packet, count: first + rest, pace: Pace::Every(gap) };
        Source { from: *from, meant: Some(to), load }
    };
    let probe = sim.start(Datagrams::Returned, hosts.iter().enumerate().map(source)).unwrap();

    let mut explainer = Explainer::default();
    sim.run_until(Instant::START + gap.times(first), &mut explainer).unwrap();
    let (packets, early) = (sim.packets(), resident_kib());
    assert!((10_000..30_000).contains(&packets), "{packets}");
    sim.run_probe(probe, &mut explainer).unwrap();
    let (packets, late) = (sim.packets(), resident_kib());
    assert!((980_000..=1_000_000).contains(&packets), "{packets}");
    assert!(sim.tally(probe).is_done());
    assert!(late <= early + SLACK_KIB, "{early} KiB after the first packets, {late} in the end");
}

fn network() -> (Cloud, Vec<(InterfaceId, IpAddr)>) {
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
    let source_dest_check = SourceDestCheck::On;
    let run = Command::run_instance(NewInterface {
        source_dest_check,
        ..NewInterface::in_subnet(subnet)
    });
    let hosts = (0..HOSTS).map(|_| {
        let Change::InstanceRun { interface, addresses, .. } = ask(run.clone()) else { panic!() };
        (interface, addresses[0])
    });
    let hosts = hosts.collect();
    (cloud, hosts)
}
