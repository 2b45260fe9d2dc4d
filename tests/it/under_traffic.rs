//! Two workers on two threads, while the network changes and while rings are full.
//!
//! Holds stories whose packets have few ends that are right, whatever the threads do. Refuses to
//! measure time: whoever waits for a thread waits for what it has done.
#![allow(clippy::unwrap_used, reason = "tests; a failure names the line")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::yield_now;

use vpclab::base::id::{InterfaceId, InterfaceIdx, SubnetId, VpcId};
use vpclab::base::rng::Seed;
use vpclab::cloud::command::Command;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::fabric::flows::Flows;
use vpclab::forward::fabric::{BATCH, Fabric, HANDOVERS, Publisher, Shard, crew};
use vpclab::forward::{DropReason, Rows};
use vpclab::wire::Packet;

use crate::support::lab::{Lab, datagram};

/// Two VPCs, each in a shard of its own, that are peered and have a route to each other.
struct Pair {
    lab: Lab,
    vpcs: [VpcId; 2],
    subnets: [SubnetId; 2],
    hosts: [InterfaceId; 2],
}

impl Pair {
    fn new() -> Pair {
        let mut lab = Lab::new(Profile::ALL[0]);
        let (a, in_a) = lab.simple_vpc("10.0.0.0/16".parse().unwrap());
        let (b, in_b) = lab.simple_vpc("10.2.0.0/16".parse().unwrap());
        let hosts = [lab.host(in_a).unwrap(), lab.host(in_b).unwrap()];
        let peering = lab.request(a, b).unwrap();
        lab.accept(peering).unwrap();
        let target = RouteTarget::Peering(peering);
        lab.route(lab.main_table(a), "10.2.0.0/16".parse().unwrap(), target).unwrap();
        lab.route(lab.main_table(b), "10.0.0.0/16".parse().unwrap(), target).unwrap();
        Pair { lab, vpcs: [a, b], subnets: [in_a, in_b], hosts }
    }

    fn datagram(&self, from: InterfaceId, to: InterfaceId) -> Packet {
        datagram(self.lab.address(from), self.lab.address(to))
    }
}

fn memories() -> Vec<Flows> {
    vec![Flows::new(Seed(1)), Flows::new(Seed(2))]
}

/// What was delivered: how often each name where.
type Delivered = BTreeMap<(u32, InterfaceIdx), usize>;

/// One worker of a story: how often it has sent, and what has come.
struct Hand<'p, 's> {
    shard: Shard<'p, Flows>,
    /// What it sends again and again, by name.
    sends: Vec<(u32, InterfaceIdx, &'p Packet)>,
    rounds: &'s AtomicUsize,
    delivered: Delivered,
}

impl Hand<'_, '_> {
    /// A batch of each, once.
    fn turn(&mut self) {
        for (name, from, packet) in &self.sends {
            while self.shard.push(*from, packet, *name) {}
            self.shard.leave().enter();
            while let Some(delivery) = self.shard.worker().take() {
                *self.delivered.entry((delivery.name, delivery.to)).or_default() += 1;
            }
        }
        self.rounds.fetch_add(1, Ordering::Release);
    }

    /// How many packets it has sent, what has come, and what was dropped.
    fn finish(mut self) -> (usize, Delivered, BTreeMap<DropReason, u64>) {
        let mut finished = self.shard.close().finish();
        let worker = &mut finished.worker;
        while let Some(delivery) = worker.take() {
            *self.delivered.entry((delivery.name, delivery.to)).or_default() += 1;
        }
        assert_eq!((worker.unread(), finished.too_long.len()), (0, 0));
        let dropped = DropReason::ALL.iter().map(|reason| (*reason, worker.dropped(*reason)));
        let dropped = dropped.filter(|(_, count)| *count > 0).collect();
        (self.rounds.load(Ordering::Acquire) * self.sends.len() * BATCH, self.delivered, dropped)
    }
}

/// Whoever is full waits, takes in what comes meanwhile, and loses nothing.
#[test]
fn full_rings_lose_nothing() {
    const TURNS: usize = 64;
    let pair = Pair::new();
    let rows = Rows::of(&pair.lab.cloud);
    let publisher = Publisher::new(Fabric::compile(&pair.lab.cloud, &rows, pair.lab.now));
    let [a, b] = pair.hosts;
    let at = |host| rows.interface(host).unwrap();
    let packets = [pair.datagram(a, b), pair.datagram(b, a)];
    let rounds = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let ends: Vec<_> = std::thread::scope(|scope| {
        let shards = crew(&publisher, memories(), HANDOVERS * 8, yield_now);
        let rounds = &rounds;
        let start = |(n, shard): (usize, _)| {
            let name = u32::try_from(n).unwrap();
            let sends = vec![(name, at(pair.hosts[n]), &packets[n])];
            let mut hand = Hand { shard, sends, rounds: &rounds[n], delivered: Delivered::new() };
            scope.spawn(move || {
                // The second begins when the first has filled the ring.
                while n == 1 && rounds[0].load(Ordering::Acquire) * BATCH < HANDOVERS {
                    yield_now();
                }
                (0..TURNS).for_each(|_| hand.turn());
                hand.finish()
            })
        };
        let threads: Vec<_> = shards.into_iter().enumerate().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let want = |name, to| (TURNS * BATCH, BTreeMap::from([((name, at(to)), TURNS * BATCH)]));
    let none = BTreeMap::new();
    let [(sent_by_a, to_a, drops_a), (sent_by_b, to_b, drops_b)] = ends.try_into().unwrap();
    assert_eq!(((sent_by_b, to_a), drops_a), (want(1, a), none.clone()));
    assert_eq!(((sent_by_a, to_b), drops_b), (want(0, b), none));
}

/// Waits until both workers have forwarded by the version in use, and what was under way has arrived.
fn settle(rounds: &[AtomicUsize; 2]) {
    // The turn that is under way, one by that version, and as many to take in what they hand over.
    for _ in 0..2 {
        let begun = rounds.each_ref().map(|rounds| rounds.load(Ordering::Acquire));
        for (rounds, begun) in rounds.iter().zip(begun) {
            while rounds.load(Ordering::Acquire) < begun + 2 {
                yield_now();
            }
        }
    }
}

/// Every version gives a block of addresses to another, new VPC, in several changes of which no part
/// alone leads anywhere. All packets arrive, in one of those VPCs: none is judged by half a version,
/// by an older version than it left by, or lost. What does not change is not disturbed, and a host
/// that is stopped and started drops packets for that reason alone.
#[test]
fn every_packet_ends_as_some_version_says() {
    const VERSIONS: usize = 24;
    let (block, near) = ("10.1.0.0/16", "10.1.0.0/24");
    let mut pair = Pair::new();
    let ([a, b], [host_a, host_b]) = (pair.vpcs, pair.hosts);
    let blinker = pair.lab.host(pair.subnets[0]).unwrap();
    let lab = &mut pair.lab;
    let instance = lab.cloud.interface(blinker).unwrap().instance().unwrap();
    let table = lab.main_table(a);
    // Leads to b, which has no such addresses: packets that take it are dropped.
    let astray = lab.cloud.vpc(a).unwrap().peerings().next().map(RouteTarget::Peering).unwrap();
    let grow = |lab: &mut Lab, version: usize| {
        let (vpc, subnet) = lab.simple_vpc(block.parse().unwrap());
        let host = lab.host(subnet).unwrap();
        let peering = lab.request(a, vpc).unwrap();
        lab.accept(peering).unwrap();
        let target = RouteTarget::Peering(peering);
        // The longer prefix and the shorter one take turns.
        if version.is_multiple_of(2) {
            lab.route(table, block.parse().unwrap(), astray).unwrap();
            lab.route(table, near.parse().unwrap(), target).unwrap();
            if version > 0 {
                lab.must(b, &Command::StartInstances { instance });
            }
        } else {
            let destination = near.parse().unwrap();
            lab.must(a, &Command::DeleteRoute { table, destination });
            lab.route(table, block.parse().unwrap(), target).unwrap();
            lab.must(b, &Command::StopInstances { instance });
        }
        host
    };
    let mut ever_new = vec![grow(lab, 0)];
    lab.journal.clear();
    let mut rows = Rows::of(&lab.cloud);
    let mut publisher = Publisher::new(Fabric::compile(&lab.cloud, &rows, lab.now));
    let at = |rows: &Rows, host| rows.interface(host).unwrap();
    let packets = [
        pair.datagram(host_a, ever_new[0]),
        pair.datagram(host_b, host_a),
        pair.datagram(host_b, blinker),
    ];
    let (from_a, from_b) = (at(&rows, host_a), at(&rows, host_b));
    let sends =
        [vec![(0, from_a, &packets[0])], vec![(1, from_b, &packets[1]), (2, from_b, &packets[2])]];
    let (over, rounds) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let shards = crew(&publisher, memories(), HANDOVERS * 8, yield_now);
        let (over, rounds) = (&over, &rounds);
        let start = |((shard, sends), rounds)| {
            let mut hand = Hand { shard, sends, rounds, delivered: Delivered::new() };
            scope.spawn(move || {
                while !over.load(Ordering::Acquire) {
                    hand.turn();
                }
                hand.finish()
            })
        };
        let threads: Vec<_> = shards.into_iter().zip(sends).zip(rounds).map(start).collect();
        settle(rounds);
        for version in 1..VERSIONS {
            ever_new.push(grow(&mut pair.lab, version));
            let lab = &mut pair.lab;
            rows.update(&lab.cloud);
            publisher.publish(&lab.cloud, &rows, &std::mem::take(&mut lab.journal), lab.now);
            settle(rounds);
        }
        over.store(true, Ordering::Release);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let sent: Vec<usize> = ends.iter().map(|(sent, ..)| *sent).collect();
    let mut dropped: BTreeMap<DropReason, u64> = BTreeMap::new();
    let mut delivered = Delivered::new();
    for (_, theirs, reasons) in ends {
        theirs.into_iter().for_each(|(what, n)| *delivered.entry(what).or_default() += n);
        reasons.into_iter().for_each(|(reason, n)| *dropped.entry(reason).or_default() += n);
    }
    let mut at_new = 0;
    for host in ever_new {
        let here = delivered.remove(&(0, at(&rows, host))).unwrap_or(0);
        assert!(here > 0, "every version was in use");
        at_new += here;
    }
    assert_eq!(at_new, sent[0]);
    assert_eq!(delivered.remove(&(1, from_a)), Some(sent[1] / 2));
    let met = delivered.remove(&(2, at(&rows, blinker))).unwrap();
    let missed = sent[1] / 2 - met;
    assert_eq!(dropped, BTreeMap::from([(DropReason::InterfaceDown, missed as u64)]));
    assert!(met > 0 && missed > 0 && delivered.is_empty(), "{met} {missed} {delivered:?}");
}
