//! The loop of a run, measured: packets per second around a ring of peered VPCs.
//!
//! Every instance of a VPC sends UDP to the instance with the same number in the next VPC, over the
//! peering between the two. Measured are building that network, the engine alone, the engine with
//! the explainer, and a scenario text that says the same, as `vpclab run` takes it; and in the same
//! rounds two floors, work that the loop cannot do without. Refuses to judge: it prints medians with
//! spread, and `docs/performance.md` says what they mean.
//!
//! ```text
//! cargo bench --bench scenario -- [--vpcs 1000] [--instances 10000] [--packets 1000000] [--runs 7]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant as HostInstant;

use ipnet::Ipv4Net;
use vpclab::base::id::{AccountId, InterfaceId, PeeringId, SubnetId, VpcId};
use vpclab::base::rng::Seed;
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::{Caller, Region};
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::instance::{NewInterface, SourceDestCheck};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::cloud::security_group::GroupRule;
use vpclab::report::explain::Explainer;
use vpclab::scenario::{load, run};
use vpclab::sim::{Datagrams, Load, Observer, Pace, Sim, Source, Twin};
use vpclab::wire::{Packet, build};

/// What goes around which ring.
#[derive(Clone, Copy, Debug)]
struct Size {
    vpcs: usize,
    instances: usize,
    packets: usize,
    runs: usize,
}

/// Data of each datagram: 46 bytes with its headers, the shortest that fills an Ethernet frame.
const PAYLOAD: [u8; 18] = *b"vpclab-vpclab-vpcl";
/// VPCs that one account may have without adjusting its quota.
const VPCS_PER_ACCOUNT: usize = 1_000;
/// Between two packets of one flow.
const GAP: Span = Span::from_millis(1);
/// A peering's latency, which keeps a packet pending.
const LATENCY: Span = Span::from_micros(250);

fn main() {
    let size = Size::from_args();
    println!(
        "ring of {} VPCs, {} instances, {} packets of {} bytes, {} runs; median (min..max)\n",
        size.vpcs,
        size.instances,
        size.packets,
        PAYLOAD.len() + 28,
        size.runs
    );
    measure(size);
    println!("\nengine and explainer by number of VPCs, the rest the same");
    for vpcs in [3, 10, 100, 1_000, 4_000].into_iter().filter(|vpcs| size.instances >= *vpcs) {
        let ring = Ring::build(Size { vpcs, ..size });
        let runs = (0..size.runs).map(|_| ring.drive(&mut Explainer::default()));
        Rate::of(size.packets, runs.collect()).print(&format!("{vpcs} VPCs"));
    }
    println!("\npeak resident memory {} MiB", peak_resident_kib() / 1_024);
}

fn measure(size: Size) {
    let mut took: [Vec<f64>; 8] = Default::default();
    let ring = Ring::build(size);
    let text = ring.scenario();
    let limit = vpclab::base::limit::SCENARIO_BYTES_MAX;
    let as_text = size.vpcs <= VPCS_PER_ACCOUNT && u64::try_from(text.len()).unwrap() <= limit;
    // One of each in every round, so that a slow moment of the machine meets all of them.
    for _ in 0..size.runs {
        took[0].push(seconds(|| Ring::build(size)));
        took[1].push(ring.drive(&mut ()));
        took[2].push(ring.drive(&mut Explainer::default()));
        took[3].push(ring.parse_alone());
        took[4].push(heap_alone(size));
        if as_text {
            let read = || load::parse("ring.yaml", &text);
            let started = HostInstant::now();
            let loaded = read().unwrap_or_else(|f| panic!("{:?}", f.diagnostics));
            took[5].push(started.elapsed().as_secs_f64());
            took[6].push(seconds(|| run::build(&loaded, None, Twin::Compiled).unwrap()));
            took[7].push(seconds(|| {
                let settings = run::Settings::default();
                let outcome = run::run(&loaded, Path::new("."), settings, &mut ()).unwrap();
                assert!(outcome.held() && outcome.packets == size.packets as u64, "all arrive");
            }));
        }
    }
    let [build, engine, explained, parse, heap, read, lower, whole] = took;
    Duration::of(build).print("build the network");
    let engine = Rate::of(size.packets, engine);
    engine.print("engine alone");
    let explained = Rate::of(size.packets, explained);
    explained.print("engine and explainer");
    if as_text {
        Duration::of(read).print("read the scenario text");
        Duration::of(lower).print("build the network it declares");
        Rate::of(size.packets, whole).print("run it, network included");
    }
    let parse = Rate::of(size.packets, parse);
    parse.print("floor: parse and checksum");
    let heap = Rate::of(size.packets, heap);
    heap.print("floor: std binary heap");
    // Times of different work add up; rates do not.
    let floor = 1.0 / (1.0 / parse.median() + 1.0 / heap.median());
    println!("    {:<32} {:>8.2}", "engine and explainer / floors", explained.median() / floor);
}

/// A network that stands.
struct Ring {
    size: Size,
    cloud: Cloud,
    /// By VPC and number within it.
    hosts: Vec<Vec<(InterfaceId, IpAddr)>>,
}

impl Ring {
    fn build(size: Size) -> Ring {
        assert!(size.vpcs >= 3 && size.vpcs <= 4_096, "a ring has 3 to 4,096 VPCs");
        let cloud = Cloud::new(Profile::Seed, Span::ZERO);
        let mut builder = Builder { cloud, owners: Vec::new() };
        let vpcs: Vec<(VpcId, SubnetId)> = (0..size.vpcs).map(|n| builder.vpc(n)).collect();
        let hosts = (0..size.vpcs).map(|at| {
            let count = size.instances / size.vpcs + usize::from(at < size.instances % size.vpcs);
            (0..count).map(|_| builder.host(at, vpcs[at].1)).collect()
        });
        let hosts = hosts.collect();
        for at in 0..size.vpcs {
            builder.peer(vpcs[at].0, at, vpcs[next(at, size)].0, next(at, size));
        }
        Ring { size, cloud: builder.cloud, hosts }
    }

    /// Each sender, its packet, and the interface it means.
    fn flows(&self) -> impl Iterator<Item = (InterfaceId, Packet, InterfaceId)> + '_ {
        self.hosts.iter().enumerate().flat_map(move |(at, hosts)| {
            // A VPC with fewer instances than the one before takes several flows to one of them.
            let there = &self.hosts[next(at, self.size)];
            hosts.iter().enumerate().map(move |(n, (from, source))| {
                let (to, destination) = there[n % there.len()];
                let ends = (SocketAddr::new(*source, 40_000), SocketAddr::new(destination, 9));
                (*from, build::udp(ends.0, ends.1, &PAYLOAD).unwrap(), to)
            })
        })
    }

    fn packets_per_flow(&self) -> u64 {
        (self.size.packets / self.size.instances) as u64
    }

    /// Sends everything and waits until it has arrived; the seconds that took, without building.
    fn drive(&self, observer: &mut impl Observer) -> f64 {
        let mut sim = Sim::new(self.cloud.clone(), Seed(1), Twin::Compiled);
        let sources: Vec<Source> = self
            .flows()
            .map(|(from, packet, to)| {
                let load =
                    Load::Repeat { packet, count: self.packets_per_flow(), pace: Pace::Every(GAP) };
                Source { from, meant: Some(to), load }
            })
            .collect();
        let started = HostInstant::now();
        let probe = sim.start(Datagrams::Sunk, sources).unwrap();
        sim.run_probe(probe, observer).unwrap();
        let took = started.elapsed().as_secs_f64();
        assert_eq!(sim.tally(probe).requests.delivered, self.size.packets as u64, "all arrive");
        took
    }

    /// The packets of a run, each parsed once and nothing else.
    fn parse_alone(&self) -> f64 {
        let packets: Vec<Packet> = self.flows().map(|(_, packet, _)| packet).collect();
        seconds(|| {
            for _ in 0..self.packets_per_flow() {
                for packet in &packets {
                    black_box(Packet::parse(packet.bytes().clone()).unwrap());
                }
            }
        })
    }

    /// The same as a scenario file.
    fn scenario(&self) -> String {
        let mut text = String::from("vpclab: 1\nname: a ring\nvpcs:\n");
        let vpcs = 0..self.size.vpcs;
        for at in vpcs.clone() {
            writeln!(text, "  v{at}: {{cidr: {}}}", block(at)).unwrap();
        }
        text.push_str("peerings:\n");
        for at in vpcs.clone() {
            let to = next(at, self.size);
            writeln!(text, "  p{at}: {{requester: v{at}, accepter: v{to}}}").unwrap();
        }
        text.push_str("routes:\n");
        for at in vpcs {
            let (to, from) = (next(at, self.size), (at + self.size.vpcs - 1) % self.size.vpcs);
            let (there, back) = (block(to), block(from));
            writeln!(text, "  v{at}: {{{there}: p{at}, {back}: p{from}}}").unwrap();
        }
        text.push_str("instances:\n");
        for (at, hosts) in self.hosts.iter().enumerate() {
            for n in 0..hosts.len() {
                writeln!(text, "  h{at}-{n}: {{vpc: v{at}}}").unwrap();
            }
        }
        text.push_str("steps:\n  - flows:\n      pairs:\n");
        for (at, hosts) in self.hosts.iter().enumerate() {
            let to = next(at, self.size);
            for n in 0..hosts.len() {
                let there = n % self.hosts[to].len();
                writeln!(text, "        - h{at}-{n} -> h{to}-{there}").unwrap();
            }
        }
        let count = self.packets_per_flow();
        writeln!(text, "      packets: {count}\n      rate: 1000/s\n    expect: delivered")
            .unwrap();
        text
    }
}

fn next(at: usize, size: Size) -> usize {
    (at + 1) % size.vpcs
}

fn block(at: usize) -> Ipv4Net {
    let first = Ipv4Addr::new(10, 0, 0, 0).to_bits() + (u32::try_from(at).unwrap() << 12);
    Ipv4Net::new(first.into(), 20).unwrap()
}

/// Asks the cloud on behalf of the owners.
struct Builder {
    cloud: Cloud,
    owners: Vec<Caller>,
}

impl Builder {
    fn ask(&mut self, at: usize, command: &Command) -> Change {
        let events = self.cloud.apply(&self.owners[at], command, Instant::START).unwrap();
        events.into_iter().next().unwrap().change
    }

    fn vpc(&mut self, at: usize) -> (VpcId, SubnetId) {
        let account = u64::try_from(at / VPCS_PER_ACCOUNT).unwrap() + 111_111_111_111;
        let account = AccountId::from_number(account).unwrap();
        self.owners.push(Caller { account, region: Region::default() });
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
        let source_dest_check = SourceDestCheck::On;
        let run = Command::run_instance(NewInterface {
            source_dest_check,
            ..NewInterface::in_subnet(subnet)
        });
        let Change::InstanceRun { interface, addresses, .. } = self.ask(at, &run) else {
            panic!("no instance")
        };
        (interface, addresses[0])
    }

    fn peer(&mut self, requester: VpcId, at: usize, accepter: VpcId, to: usize) {
        let request = Command::CreateVpcPeeringConnection {
            requester,
            accepter,
            peer_owner: Some(self.owners[to].account),
            peer_region: None,
        };
        let Change::PeeringRequested { peering, .. } = self.ask(at, &request) else {
            panic!("no peering")
        };
        self.ask(to, &Command::AcceptVpcPeeringConnection { peering });
        self.route(requester, at, block(to), peering);
        self.route(accepter, to, block(at), peering);
    }

    fn route(&mut self, vpc: VpcId, at: usize, destination: Ipv4Net, peering: PeeringId) {
        let table = self.cloud.vpc(vpc).unwrap().main_table();
        let (destination, target) = (destination.into(), RouteTarget::Peering(peering));
        self.ask(at, &Command::CreateRoute { table, destination, target });
    }
}

/// The events of a run through the standard library's heap and nothing else: each flow's next
/// packet and each packet's arrival, in the order of virtual time.
fn heap_alone(size: Size) -> f64 {
    let flows = u32::try_from(size.instances).unwrap();
    let mut left = vec![size.packets / size.instances; size.instances];
    let mut heap: BinaryHeap<Reverse<(u64, bool, u32)>> = BinaryHeap::new();
    seconds(|| {
        heap.extend((0..flows).map(|flow| Reverse((0, true, flow))));
        while let Some(Reverse((at, emits, flow))) = black_box(heap.pop()) {
            if emits {
                heap.push(Reverse((at + LATENCY.as_nanos(), false, flow)));
                left[flow as usize] -= 1;
                if left[flow as usize] > 0 {
                    heap.push(Reverse((at + GAP.as_nanos(), true, flow)));
                }
            }
        }
    })
}

fn seconds<T>(work: impl FnOnce() -> T) -> f64 {
    let started = HostInstant::now();
    black_box(work());
    started.elapsed().as_secs_f64()
}

/// Sorted measurements of one thing.
struct Spread(Vec<f64>);

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        Spread(values)
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn print(&self, what: &str, unit: &str) {
        let (low, high) = (self.0[0], self.0[self.0.len() - 1]);
        println!("    {what:<32} {:>8.2} ({low:.2}..{high:.2}) {unit}", self.median());
    }
}

/// How long something took.
struct Duration(Spread);

impl Duration {
    fn of(seconds: Vec<f64>) -> Duration {
        Duration(Spread::of(seconds.into_iter().map(|s| s * 1e3).collect()))
    }

    fn print(&self, what: &str) {
        self.0.print(what, "ms");
    }
}

/// How many packets went through in a second.
struct Rate(Spread);

impl Rate {
    fn of(packets: usize, seconds: Vec<f64>) -> Rate {
        let packets = packets as f64;
        Rate(Spread::of(seconds.into_iter().map(|s| packets / s / 1e6).collect()))
    }

    fn median(&self) -> f64 {
        self.0.median()
    }

    fn print(&self, what: &str) {
        self.0.print(what, "million packets/s");
    }
}

/// `VmHWM` of this process in KiB; 0 where the system does not tell.
fn peak_resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl Size {
    /// The flags of the command line; what is not named keeps its default.
    fn from_args() -> Size {
        let mut size = Size { vpcs: 1_000, instances: 10_000, packets: 1_000_000, runs: 7 };
        // `cargo bench` adds a flag of its own.
        let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(flag) = args.next() {
            let value = args.next().and_then(|value| value.parse().ok());
            let value = value.unwrap_or_else(|| panic!("{flag} wants a number"));
            match flag.as_str() {
                "--vpcs" => size.vpcs = value,
                "--instances" => size.instances = value,
                "--packets" => size.packets = value,
                "--runs" => size.runs = value,
                _ => panic!("unknown flag {flag}: --vpcs --instances --packets --runs"),
            }
        }
        assert!(size.runs >= 1 && size.instances >= size.vpcs, "at least an instance a VPC");
        // Whole flows only.
        size.packets = size.packets / size.instances * size.instances;
        assert!(size.packets > 0, "at least a packet an instance");
        size
    }
}
