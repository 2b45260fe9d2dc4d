//! What a decision of security groups or of a network ACL costs, by number of rules and of filters.
//!
//! Beside each stand a linear search of the same rules and a floor: one line of the cache for each
//! packet, out of as many as there are filters. Figures are nanoseconds a decision, the median of
//! seven rounds with their spread; three of four packets are allowed by a rule.
//!
//! ```text
//! cargo bench --bench classify -- [--rounds 7] [--compile 100000]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run says so and stops")]

use std::hint::black_box;
use std::net::Ipv6Addr;
use std::time::Instant;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vpclab::cloud::filter::{Direction, PortRange, Traffic};
use vpclab::cloud::network_acl::{AclAction, AclEntry};
use vpclab::cloud::security_group::GroupRule;
use vpclab::forward::Word;
use vpclab::forward::fabric::classify::{AclFilterIdx, Classifiers, Far, FilterIdx, Probe, Rule};
use vpclab::forward::gate::Origin;
use vpclab::wire::{Protocol, Transport};

/// Decisions of one round, a multiple of the batch.
const DECISIONS: usize = 1 << 16;
const BATCH: usize = 64;

/// Chance, the same in every run (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).unwrap()
    }

    fn port(&mut self) -> u16 {
        u16::try_from(self.below(65_536)).unwrap()
    }
}

/// A rule as a linear search compares it.
#[derive(Clone, Copy)]
struct Row {
    first: u32,
    last: u32,
    ports: PortRange,
    protocol: Protocol,
}

/// TCP or UDP to a port or a range of them, in a block of 10.0.0.0/8; one in eight for everybody.
fn random_row(chance: &mut Chance) -> Row {
    let length = [0, 24, 24, 24, 26, 28, 32, 32][chance.below(8) as usize];
    let address = 0x0a00_0000 | chance.below(1 << 24);
    let block = Ipv4Net::new(address.into(), length).unwrap();
    let port = chance.port();
    let ports = match chance.below(4) {
        0 => PortRange::new(port, port.saturating_add(100)).unwrap(),
        _ => PortRange::one(port),
    };
    let protocol = if chance.below(4) == 0 { Protocol::UDP } else { Protocol::TCP };
    Row { first: block.network().into(), last: block.broadcast().into(), ports, protocol }
}

impl Row {
    fn traffic(&self) -> Traffic {
        match self.protocol {
            Protocol::TCP => Traffic::Tcp(self.ports),
            _ => Traffic::Udp(self.ports),
        }
    }

    fn length(&self) -> u8 {
        u8::try_from((self.first ^ self.last).leading_zeros()).unwrap()
    }

    fn block(&self) -> IpNet {
        Ipv4Net::new(self.first.into(), self.length()).unwrap().into()
    }

    /// The same 32 bits further on: a /24 becomes a /56, a /32 a /64; everybody is everybody.
    fn block_v6(&self) -> IpNet {
        match self.length() {
            0 => Ipv6Net::default().into(),
            length => Ipv6Net::new(v6(self.first), length + 32).unwrap().into(),
        }
    }

    fn holds(&self, far: u32, protocol: Protocol, port: u16) -> bool {
        self.first <= far
            && far <= self.last
            && self.protocol == protocol
            && self.ports.contains(port)
    }
}

fn v6(address: u32) -> Ipv6Addr {
    (0x2001_0db8_u128 << 96 | u128::from(address) << 64).into()
}

/// One case: filters, and packets that each meet one of them.
struct Case {
    classifiers: Classifiers,
    filters: Vec<FilterIdx>,
    acls: Vec<AclFilterIdx>,
    rows: Vec<Vec<Row>>,
    /// Which filter, and the packet.
    packets: Vec<(u32, u32, Protocol, u16)>,
}

impl Case {
    fn new(rules: usize, sets: usize) -> Case {
        let mut chance = Chance(7);
        let mut classifiers = Classifiers::default();
        let (mut filters, mut acls, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..sets {
            let of_it: Vec<Row> = (0..rules).map(|_| random_row(&mut chance)).collect();
            let both = of_it.iter().flat_map(|row| {
                [row.block(), row.block_v6()]
                    .map(|block| Rule { traffic: row.traffic(), far: Far::Block(block) })
            });
            let ingress: Vec<Rule> = both.collect();
            let open: Vec<Rule> = GroupRule::everybody()
                .into_iter()
                .map(|rule| Rule {
                    traffic: rule.traffic,
                    far: match rule.peer {
                        vpclab::cloud::security_group::RulePeer::Block(block) => Far::Block(block),
                        _ => Far::Blocks(&[]),
                    },
                })
                .collect();
            let ingress = if rules == 0 { open.clone() } else { ingress };
            let entries: Vec<AclEntry> = ingress
                .iter()
                .enumerate()
                // The cloud's ceiling is 40 in each family.
                .take(200)
                .filter_map(|(at, rule)| {
                    let Far::Block(block) = rule.far else { return None };
                    let action = if at % 8 == 1 { AclAction::Deny } else { AclAction::Allow };
                    let action = if rules == 0 { AclAction::Allow } else { action };
                    Some(AclEntry { traffic: rule.traffic, block, action })
                })
                .collect();
            filters.push(classifiers.add_groups(&ingress, &open[..0]));
            acls.push(classifiers.add_acl(&entries, &entries));
            rows.push(of_it);
        }
        let packets = (0..DECISIONS)
            .map(|_| {
                let set = chance.below(u32::try_from(sets).unwrap());
                let of_it = &rows[set as usize];
                let far = 0x0a00_0000 | chance.below(1 << 24);
                if of_it.is_empty() || chance.below(4) == 0 {
                    return (set, far, Protocol::TCP, chance.port());
                }
                let row = of_it[chance.below(u32::try_from(of_it.len()).unwrap()) as usize];
                let far = row.first | (far & (row.last - row.first));
                let span = u32::from(row.ports.last() - row.ports.first()) + 1;
                let port = row.ports.first() + u16::try_from(chance.below(span)).unwrap();
                (set, far, row.protocol, port)
            })
            .collect();
        Case { classifiers, filters, acls, rows, packets }
    }

    fn probes<A: Copy>(
        &self,
        probe: impl Fn(u32, Protocol, u16) -> Probe<A>,
    ) -> Vec<(u32, Probe<A>)> {
        self.packets
            .iter()
            .map(|(set, far, proto, port)| (*set, probe(*far, *proto, *port)))
            .collect()
    }
}

/// Nanoseconds a decision: median, lowest and highest of the rounds.
fn measure(rounds: usize, mut round: impl FnMut() -> usize) -> [f64; 3] {
    round();
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            let done = black_box(round());
            started.elapsed().as_nanos() as f64 / done as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], times[0], times[times.len() - 1]]
}

fn show(name: &str, [median, low, high]: [f64; 3]) {
    print!("  {name} {median:>7.2} ({low:.2}..{high:.2})");
}

/// Decides batch by batch, as the fabric does; `decide` says how many of a batch are allowed.
fn batches<P>(packets: &[P], mut decide: impl FnMut(&[P]) -> usize) -> usize {
    let allowed: usize = packets.chunks_exact(BATCH).map(&mut decide).sum();
    black_box(allowed);
    packets.len()
}

/// A line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; 8]);

fn main() {
    let argument = |name: &str, default: usize| {
        let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
        args.next().map_or(default, |value| value.parse().unwrap())
    };
    let rounds = argument("--rounds", 7);
    println!("ns a decision in batches of {BATCH}, median (lowest..highest) of {rounds}\n");
    for (rules, sets) in [
        (0, 1),
        (1, 1),
        (10, 1),
        (100, 1),
        (1_000, 1),
        (0, 10_000),
        (1, 10_000),
        (10, 10_000),
        (100, 1_000),
        (1_000, 10),
    ] {
        let case = Case::new(rules, sets);
        let v4 = |far, protocol, port| {
            let transport = Transport::Ports { source: 40_000, destination: port };
            Probe::<u32>::new(far, 0x0b00_0001, protocol, transport)
        };
        let by_v6 = |far, protocol, port| {
            let transport = Transport::Ports { source: 40_000, destination: port };
            Probe::<u128>::new(v6(far).into(), 1, protocol, transport)
        };
        let (probes, probes6) = (case.probes(v4), case.probes(by_v6));
        let all = &case.classifiers;
        let bytes = all.bytes() / sets;
        print!("{rules:>5} rules {sets:>6} sets {bytes:>7} B each");
        let lines: Vec<Line> = (0..2 * sets.max(1)).map(|at| Line([at as u64; 8])).collect();
        show(
            "floor",
            measure(rounds, || {
                batches(&probes, |batch| {
                    batch
                        .iter()
                        .filter(|(set, _)| lines[2 * *set as usize].0[3].is_multiple_of(2))
                        .count()
                })
            }),
        );
        let ingress = Direction::Ingress;
        let asked: Vec<_> = probes
            .iter()
            .map(|(set, probe)| (case.filters[*set as usize], *probe, Origin::Own))
            .collect();
        let mut words = [Word::Refused; BATCH];
        show(
            "groups",
            measure(rounds, || {
                batches(&asked, |batch| {
                    all.groups_all_v4(ingress, batch, &mut words);
                    words.iter().filter(|word| **word != Word::Refused).count()
                })
            }),
        );
        show(
            "one by one",
            measure(rounds, || {
                batches(&asked, |batch| {
                    let say = |(filter, probe, origin): &(FilterIdx, Probe<u32>, Origin)| {
                        all.groups_v4(*filter, ingress, probe, *origin) != Word::Refused
                    };
                    batch.iter().filter(|question| say(question)).count()
                })
            }),
        );
        let of_acl: Vec<_> =
            probes.iter().map(|(set, probe)| (case.acls[*set as usize], *probe)).collect();
        let mut passes = [false; BATCH];
        show(
            "acl",
            measure(rounds, || {
                batches(&of_acl, |batch| {
                    all.acl_all_v4(ingress, batch, &mut passes);
                    passes.iter().filter(|passes| **passes).count()
                })
            }),
        );
        let over_v6: Vec<_> = probes6
            .iter()
            .map(|(set, probe)| (case.filters[*set as usize], *probe, Origin::Own))
            .collect();
        show(
            "groups v6",
            measure(rounds, || {
                batches(&over_v6, |batch| {
                    all.groups_all_v6(ingress, batch, &mut words);
                    words.iter().filter(|word| **word != Word::Refused).count()
                })
            }),
        );
        let some = &case.packets[..if rules > 100 { 4_096 } else { DECISIONS }];
        let search = |(set, far, protocol, port): &(u32, u32, Protocol, u16)| {
            let rows = &case.rows[*set as usize];
            rows.is_empty() || rows.iter().any(|row| row.holds(*far, *protocol, *port))
        };
        show(
            "search",
            measure(rounds, || batches(some, |batch| batch.iter().filter(|p| search(p)).count())),
        );
        println!();
        let agree = case.packets.iter().zip(&asked).all(|(packet, (filter, probe, origin))| {
            search(packet) == (all.groups_v4(*filter, ingress, probe, *origin) != Word::Refused)
        });
        assert!(agree, "search and classifier differ");
    }
    compile(argument("--compile", 100_000), rounds.min(5));
}

/// How long filters of ten rules take to compile, all of them different.
fn compile(sets: usize, rounds: usize) {
    let mut chance = Chance(11);
    let rules: Vec<Vec<Rule>> = (0..sets)
        .map(|_| {
            let rows = (0..10).map(|_| random_row(&mut chance));
            let rule = |row: Row| Rule { traffic: row.traffic(), far: Far::Block(row.block()) };
            rows.map(rule).collect()
        })
        .collect();
    let mut bytes = 0;
    let [median, low, high] = measure(rounds, || {
        let mut all = Classifiers::default();
        for rules in &rules {
            black_box(all.add_groups(rules, &[]));
        }
        bytes = all.bytes();
        1
    });
    println!(
        "\n{sets} sets of 10 rules: {:.0} ms ({:.0}..{:.0}), {} B each",
        median / 1e6,
        low / 1e6,
        high / 1e6,
        bytes / sets.max(1)
    );
}
