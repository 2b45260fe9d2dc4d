//! The fabric, measured: nanoseconds a packet from the sender's interface to the receiver's ring.
//!
//! A ring of peered VPCs; every instance sends to one of the next VPC, in an order that is mixed.
//! Measured are batches (both halves, deliveries and counters included, packets made before), one
//! packet at a time, and in the same rounds a floor: the packet's header read, one line looked up, 16
//! bytes written. For trying out one size while tuning; `vpclab bench` has the figures that count.
//! Refuses to judge: it prints medians with spread.
//!
//! ```text
//! cargo bench --bench forward -- [--vpcs 2] [--instances 500] [--routes 1000] [--bytes 64] [--runs 9]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant as HostInstant;

use ipnet::Ipv4Net;
use vpclab::base::id::*;
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::{Caller, Region};
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::instance::NewInterface;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::quota::{Quota, Quotas};
use vpclab::cloud::route_table::RouteTarget;
use vpclab::cloud::security_group::GroupRule;
use vpclab::forward::fabric::{BATCH, Batch, Fabric, Worker};
use vpclab::forward::{Connections, Forwarder, Rows};
use vpclab::wire::{Packet, build};

/// VPCs of one account.
const VPCS_PER_ACCOUNT: usize = 1_000;
/// Distinct blocks; neighbours in the ring never share one.
const BLOCKS: usize = 2_048;

struct Size {
    vpcs: usize,
    instances: usize,
    routes: usize,
    bytes: usize,
    runs: usize,
    packets: usize,
    total: usize,
}

fn main() {
    let size = Size::from_args();
    let world = World::build(&size);
    let started = HostInstant::now();
    let fabric = Fabric::compile(&world.cloud, &world.rows, Instant::START);
    let compiled = started.elapsed().as_secs_f64();
    println!(
        "{} VPCs, {} instances, {} routes a table, {} bytes, {} packets in turn; compiled in {:.1} ms, {} KiB",
        size.vpcs,
        size.instances,
        size.routes,
        size.bytes,
        world.packets.len(),
        compiled * 1e3,
        fabric.bytes() / 1_024,
    );
    let rounds = (size.total / world.packets.len()).max(1);
    let (mut floor, mut batch, mut one) = (vec![], vec![], vec![]);
    for _ in 0..size.runs {
        floor.push(world.floor(rounds));
        batch.push(world.batches(&fabric, rounds));
        one.push(world.one_by_one(&fabric, rounds / 4 + 1));
    }
    let floor = print("floor", floor, None);
    print("batches of 256", batch, Some(floor));
    print("one by one", one, Some(floor));
}

fn print(what: &str, mut nanos: Vec<f64>, floor: Option<f64>) -> f64 {
    nanos.sort_by(f64::total_cmp);
    let (low, median, high) = (nanos[0], nanos[nanos.len() / 2], nanos[nanos.len() - 1]);
    let ratio =
        floor.map_or(String::new(), |floor| format!("  {:.2} of the floor", floor / median));
    println!(
        "    {what:<22} {median:>8.2} ns ({low:.2}..{high:.2})  {:>7.1} Mpps{ratio}",
        1e3 / median
    );
    median
}

struct World {
    cloud: Cloud,
    rows: Rows,
    packets: Vec<(InterfaceIdx, Packet)>,
}

impl World {
    fn build(size: &Size) -> World {
        let cloud = Cloud::new(Profile::Seed, Span::ZERO);
        let mut builder = Builder { cloud, owners: Vec::new() };
        let vpcs: Vec<_> = (0..size.vpcs).map(|at| builder.vpc(at, size)).collect();
        let hosts: Vec<Vec<_>> = (0..size.vpcs)
            .map(|at| {
                let count = size.instances / size.vpcs;
                (0..count).map(|_| builder.host(at, vpcs[at].1)).collect()
            })
            .collect();
        let pairs = if size.vpcs == 2 { 1 } else { size.vpcs };
        for at in 0..pairs {
            builder.peer(&vpcs, at, (at + 1) % size.vpcs);
        }
        for (at, (vpc, _)) in vpcs.iter().enumerate() {
            builder.fill(*vpc, at, size.routes);
        }
        let rows = Rows::of(&builder.cloud);
        let mut packets = Vec::new();
        let payload = vec![7; size.bytes - 28];
        for (at, of_it) in hosts.iter().enumerate() {
            let there = &hosts[(at + 1) % size.vpcs];
            for (n, (from, source)) in of_it.iter().enumerate() {
                let ends = [(*source, 40_000), (there[(n * 7 + 3) % there.len()].1, 9)];
                let ends = ends.map(|(address, port)| SocketAddr::new(address, port));
                let packet = build::udp(ends[0], ends[1], &payload).unwrap();
                packets.push((rows.interface(*from).unwrap(), packet));
            }
        }
        mix(&mut packets);
        packets.truncate(size.packets);
        // Copied in the order in which they are sent, as a driver's buffers would lie.
        let anew = |(from, packet): &(InterfaceIdx, Packet)| {
            (*from, Packet::parse(packet.bytes().to_vec().into()).unwrap())
        };
        let packets = packets.iter().map(anew).collect();
        World { cloud: builder.cloud, rows, packets }
    }

    fn batches(&self, fabric: &Fabric, rounds: usize) -> f64 {
        let mut memory = Connections::default();
        let mut worker = Worker::new(BATCH);
        let mut batch = Batch::new();
        let started = HostInstant::now();
        for _ in 0..rounds {
            for some in self.packets.chunks(BATCH) {
                batch.clear();
                for (from, packet) in some {
                    batch.push(*from, packet, 0);
                }
                fabric.leave_all(&mut batch, &mut memory, &mut worker);
                fabric.enter_all(&mut batch, &mut memory, &mut worker);
                worker.clear();
            }
        }
        let took = started.elapsed().as_secs_f64();
        assert_eq!(worker.delivered(), (rounds * self.packets.len()) as u64, "all arrive");
        took * 1e9 / (rounds * self.packets.len()) as f64
    }

    fn one_by_one(&self, by: &impl Forwarder, rounds: usize) -> f64 {
        let mut memory = Connections::default();
        let started = HostInstant::now();
        for _ in 0..rounds {
            for (from, packet) in &self.packets {
                let crossing = by.leave(*from, packet, &mut memory).unwrap();
                black_box(by.enter(crossing, packet, &mut memory).unwrap());
            }
        }
        started.elapsed().as_secs_f64() * 1e9 / (rounds * self.packets.len()) as f64
    }

    /// The header read, one line looked up by it, a descriptor written and a counter raised.
    fn floor(&self, rounds: usize) -> f64 {
        let lines = self.rows.interface_count().next_power_of_two();
        let table: Vec<[u64; 8]> = (0..lines).map(|at| [at as u64; 8]).collect();
        let mut ring = vec![[0_u64; 2]; BATCH];
        let mut count = 0_u64;
        let started = HostInstant::now();
        for _ in 0..rounds {
            for some in self.packets.chunks(BATCH) {
                for ((from, packet), slot) in some.iter().zip(&mut ring) {
                    let head: &[u8; 20] = packet.bytes().first_chunk().unwrap();
                    let destination = u32::from_be_bytes([head[16], head[17], head[18], head[19]]);
                    let at = (destination as usize ^ from.row()) & (lines - 1);
                    *slot = [table[at][3], destination.into()];
                    count += 1;
                }
                black_box(&mut ring);
            }
        }
        assert_eq!(black_box(count), (rounds * self.packets.len()) as u64);
        started.elapsed().as_secs_f64() * 1e9 / (rounds * self.packets.len()) as f64
    }
}

/// An order that no prefetcher guesses, the same in every run.
fn mix<T>(all: &mut [T]) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for at in (1..all.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(at, (state >> 33) as usize % (at + 1));
    }
}

fn block(at: usize) -> Ipv4Net {
    let first = Ipv4Addr::new(10, 0, 0, 0).to_bits() + (u32::try_from(at % BLOCKS).unwrap() << 12);
    Ipv4Net::new(first.into(), 20).unwrap()
}

/// Asks the cloud on behalf of the owners.
struct Builder {
    cloud: Cloud,
    owners: Vec<Caller>,
}

impl Builder {
    fn ask(&mut self, at: usize, command: &Command) -> Change {
        let events = self.cloud.apply(&self.owners[at], command, Instant::START);
        let events = events.unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
        events.into_iter().next().unwrap().change
    }

    fn vpc(&mut self, at: usize, size: &Size) -> (VpcId, SubnetId) {
        let account = u64::try_from(at / VPCS_PER_ACCOUNT).unwrap() + 111_111_111_111;
        let account = AccountId::from_number(account).unwrap();
        self.owners.push(Caller { account, region: Region::default() });
        if at.is_multiple_of(VPCS_PER_ACCOUNT) {
            let mut quotas = Quotas::default();
            quotas.set(Quota::RoutesPerTable, size.routes + 10);
            self.ask(at, &Command::OpenAccount { quotas });
        }
        let Change::VpcCreated { vpc, default_group: group, .. } =
            self.ask(at, &Command::CreateVpc { cidr: block(at) })
        else {
            panic!("no VPC")
        };
        let rules = vec![GroupRule::everybody_v4()];
        self.ask(at, &Command::AuthorizeSecurityGroupIngress { group, rules });
        let subnet = Command::CreateSubnet { vpc, cidr: block(at), ipv6: None, zone: None };
        let Change::SubnetCreated { subnet, .. } = self.ask(at, &subnet) else {
            panic!("no subnet")
        };
        (vpc, subnet)
    }

    fn host(&mut self, at: usize, subnet: SubnetId) -> (InterfaceId, IpAddr) {
        let run = Command::run_instance(NewInterface::in_subnet(subnet));
        let Change::InstanceRun { interface, addresses, .. } = self.ask(at, &run) else {
            panic!("no instance")
        };
        (interface, addresses[0])
    }

    fn peer(&mut self, vpcs: &[(VpcId, SubnetId)], at: usize, to: usize) {
        let request = Command::CreateVpcPeeringConnection {
            requester: vpcs[at].0,
            accepter: vpcs[to].0,
            peer_owner: Some(self.owners[to].account),
            peer_region: None,
        };
        let Change::PeeringRequested { peering, .. } = self.ask(at, &request) else {
            panic!("no peering")
        };
        self.ask(to, &Command::AcceptVpcPeeringConnection { peering });
        for (from, there) in [(at, to), (to, at)] {
            let table = self.cloud.vpc(vpcs[from].0).unwrap().main_table();
            let target = RouteTarget::Peering(peering);
            let destination = block(there).into();
            self.ask(from, &Command::CreateRoute { table, destination, target });
        }
    }

    /// Routes that no packet takes, until the table has so many.
    fn fill(&mut self, vpc: VpcId, at: usize, routes: usize) {
        let table = self.cloud.vpc(vpc).unwrap().main_table();
        if routes <= 3 {
            return;
        }
        let ends_here = |p: &&vpclab::cloud::peering::Peering| {
            [p.requester().vpc, p.accepter().vpc].contains(&vpc)
        };
        let peering = self.cloud.peerings().find(ends_here).unwrap().id();
        for n in 0..routes.saturating_sub(3) {
            let first =
                Ipv4Addr::new(20, 0, 0, 0).to_bits() + (u32::try_from(n).unwrap() * 256 * 5);
            let destination = Ipv4Net::new(first.into(), 24).unwrap().into();
            let target = RouteTarget::Peering(peering);
            self.ask(at, &Command::CreateRoute { table, destination, target });
        }
    }
}

impl Size {
    /// The flags of the command line; what is not named keeps its default.
    fn from_args() -> Size {
        let mut size = Size {
            vpcs: 2,
            instances: 500,
            routes: 1_000,
            bytes: 64,
            runs: 9,
            packets: 4_096,
            total: 4_000_000,
        };
        // `cargo bench` adds a flag of its own.
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().and_then(|value| value.parse().ok());
            let value = value.unwrap_or_else(|| panic!("{flag} wants a number"));
            match flag.as_str() {
                "--vpcs" => size.vpcs = value,
                "--instances" => size.instances = value,
                "--routes" => size.routes = value,
                "--bytes" => size.bytes = value,
                "--runs" => size.runs = value,
                "--packets" => size.packets = value,
                "--total" => size.total = value,
                _ => panic!("unknown flag {flag}"),
            }
        }
        assert!(size.vpcs >= 2 && size.instances >= size.vpcs && size.bytes >= 28 && size.runs > 0);
        size
    }
}
