//! Longest-prefix match over tables of every size: what a look-up, a route and a change cost.
//!
//! Each figure is the median of several rounds, with its spread, and stands beside a floor from the
//! same round: one read of a random line of an array that takes as many bytes as the tables do. The
//! answers are compared with those of sorted ranges before anything is timed. Refuses to measure what
//! surrounds a look-up in a forwarder.
//!
//! ```text
//! cargo bench --bench lpm -- [--rounds 7] [--only 1000000]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Instant as HostInstant;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vpclab::base::id::TableIdx;
use vpclab::forward::fabric::lpm::{Code, Tables};

/// Look-ups of one round.
const LOOKUPS: usize = 1 << 20;
/// Look-ups between two of which nothing is waited for.
const BATCH: usize = 64;
/// Changes of one round, half of them insertions.
const CHANGES: usize = 20_000;

/// How prefixes are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// As peerings are: /16s of 10.0.0.0/8 and of 172.16.0.0/12, and a default.
    Cloud,
    /// Lengths as in the Internet, over half of them /24, anywhere; and a default.
    Internet,
    /// Single addresses anywhere.
    Hosts,
    /// /64s of some hundred /40s, a few /48s, and a default.
    V6,
}

/// What is measured.
struct Case {
    kind: Kind,
    tables: usize,
    /// Of each table.
    routes: usize,
}

fn main() {
    let argument = |name: &str| {
        let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
        args.next().map(|value| value.parse::<usize>().unwrap())
    };
    let rounds = argument("--rounds").unwrap_or(7);
    let only = argument("--only");
    println!(
        "ns a look-up, median (least..most) of {rounds}; floor: a random line of as many bytes"
    );
    println!(
        "{:<24}{:>22}{:>22}{:>22}{:>22}  B/route  build ns/route",
        "tables x routes", "one by one", "floor", "batch of 64", "floor"
    );
    let one = |kind, routes| Case { kind, tables: 1, routes };
    let mut cases = vec![one(Kind::Cloud, 10), one(Kind::Cloud, 50), one(Kind::Cloud, 250)];
    cases.extend([10, 100, 1_000, 10_000, 100_000, 1_000_000].map(|n| one(Kind::Internet, n)));
    cases.push(one(Kind::Hosts, 1_000_000));
    let many = |tables, routes| Case { kind: Kind::Cloud, tables, routes };
    cases.extend([many(1_000, 10), many(100_000, 10), many(100_000, 50)]);
    cases.extend([10, 1_000, 100_000, 1_000_000].map(|n| one(Kind::V6, n)));
    cases.retain(|case| only.is_none_or(|n| case.tables * case.routes == n));
    for case in cases {
        case.measure(rounds);
    }
}

/// Numbers that are the same in each run (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[allow(clippy::cast_possible_truncation, reason = "a bound of 32 bits bounds the result")]
    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn place(&mut self, len: usize) -> usize {
        self.below(u32::try_from(len).unwrap()) as usize
    }

    fn word(&mut self) -> u32 {
        self.next().to_be_bytes()[..4].iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Cloud => "",
            Kind::Internet => " internet",
            Kind::Hosts => " hosts",
            Kind::V6 => " IPv6",
        }
    }

    fn draw(self, numbers: &mut Numbers) -> IpNet {
        let v4 = |address: u32, len: u32| {
            let len = u8::try_from(len).unwrap();
            Ipv4Net::new(address.into(), len).unwrap().trunc().into()
        };
        match self {
            Kind::Cloud => match numbers.below(32) {
                0..28 => v4(0x0a00_0000 | numbers.below(1 << 24), 16 + 4 * (numbers.below(5) / 4)),
                _ => v4(0xac10_0000 | numbers.below(1 << 20), 20),
            },
            Kind::Internet => {
                let len = match numbers.below(100) {
                    0..56 => 24,
                    56..68 => 22,
                    68..76 => 23,
                    76..86 => 20 + numbers.below(2),
                    86..97 => 16 + numbers.below(4),
                    97 => 12 + numbers.below(4),
                    98 => 25 + numbers.below(7),
                    _ => 32,
                };
                // 1.0.0.0 to 223.255.255.255.
                v4(0x0100_0000 + numbers.below(0xdf00_0000), len)
            }
            Kind::Hosts => v4(numbers.word(), 32),
            Kind::V6 => {
                let site = (0x2600_u128 << 112) | (u128::from(numbers.below(300)) << 88);
                let (bits, len) = match numbers.below(20) {
                    0 => (u128::from(numbers.below(256)) << 80, 48),
                    _ => (u128::from(numbers.below(1 << 24)) << 64, 64),
                };
                Ipv6Net::new((site | bits).into(), len).unwrap().trunc().into()
            }
        }
    }
}

/// A look-up: table and address.
type Asked = (TableIdx, u128);

impl Case {
    fn name(&self) -> String {
        format!("{} x {}{}", self.tables, self.routes, self.kind.name())
    }

    /// The routes of each table, a default among them, and the addresses to look up: of a random
    /// table a random address in one of its routes.
    fn draw(&self) -> (Vec<Vec<(IpNet, Code)>>, Vec<Asked>) {
        let mut numbers = Numbers(self.routes as u64);
        let tables: Vec<Vec<(IpNet, Code)>> = (0..self.tables)
            .map(|_| {
                let default = if self.kind == Kind::V6 {
                    Ipv6Net::default().into()
                } else {
                    Ipv4Net::default().into()
                };
                let mut routes = BTreeMap::from([(default, code(&mut numbers))]);
                while routes.len() < self.routes {
                    routes.insert(self.kind.draw(&mut numbers), code(&mut numbers));
                }
                routes.into_iter().collect()
            })
            .collect();
        let asked = (0..LOOKUPS)
            .map(|_| {
                let table = numbers.place(tables.len());
                let (net, _) = tables[table][numbers.place(tables[table].len())];
                let host = (u128::from(numbers.next()) << 64) | u128::from(numbers.next());
                let address = match net {
                    IpNet::V4(net) => u128::from(
                        net.addr().to_bits() | (numbers.word() & net.hostmask().to_bits()),
                    ),
                    IpNet::V6(net) => net.addr().to_bits() | (host & net.hostmask().to_bits()),
                };
                (TableIdx::from_row(table), address)
            })
            .collect();
        (tables, asked)
    }

    fn measure(&self, rounds: usize) {
        let (routes, asked) = self.draw();
        let mut built = Series::default();
        let mut tables = Tables::default();
        let total = (self.tables * self.routes) as f64;
        for _ in 0..rounds.min(3) {
            drop(std::mem::take(&mut tables));
            let rows = (0..).map(TableIdx::from_row);
            let start = HostInstant::now();
            tables = Tables::build(rows.zip(routes.iter().map(|r| r.iter().copied()))).unwrap();
            built.push(start, total);
        }
        verify(&tables, &routes, &asked);
        let rows: Vec<TableIdx> = asked.iter().map(|(table, _)| *table).collect();
        let bytes = tables.bytes();
        let floor = Floor::new(bytes);
        let [mut single, mut single_floor, mut batch, mut batch_floor] =
            [const { Series(Vec::new()) }; 4];
        let mut found = vec![None; LOOKUPS];
        if self.kind == Kind::V6 {
            let addresses: Vec<u128> = asked.iter().map(|(_, address)| *address).collect();
            for _ in 0..rounds {
                single.time(|| one_by_one(&rows, &addresses, |t, a| tables.get_v6(t, a)));
                single_floor.time(|| floor.one_by_one());
                batch.time(|| {
                    for ((t, a), f) in
                        rows.chunks(BATCH).zip(addresses.chunks(BATCH)).zip(found.chunks_mut(BATCH))
                    {
                        tables.get_each_v6(t, a, f);
                    }
                });
                batch_floor.time(|| floor.batches());
            }
        } else {
            let addresses: Vec<u32> =
                asked.iter().map(|(_, a)| u32::try_from(*a).unwrap()).collect();
            for _ in 0..rounds {
                single.time(|| one_by_one(&rows, &addresses, |t, a| tables.get(t, a)));
                single_floor.time(|| floor.one_by_one());
                batch.time(|| {
                    for ((t, a), f) in
                        rows.chunks(BATCH).zip(addresses.chunks(BATCH)).zip(found.chunks_mut(BATCH))
                    {
                        tables.get_each(t, a, f);
                    }
                });
                batch_floor.time(|| floor.batches());
            }
        }
        println!(
            "{:<24}{}{}{}{}  {:7.1}  {}",
            self.name(),
            single.told(),
            single_floor.told(),
            batch.told(),
            batch_floor.told(),
            bytes as f64 / total,
            built.told(),
        );
        if self.tables * self.routes >= 10_000 || self.routes >= 1_000 {
            self.change(tables, &routes);
        }
    }

    /// Removes random routes and puts others in, each change timed alone.
    fn change(&self, mut tables: Tables, routes: &[Vec<(IpNet, Code)>]) {
        let mut numbers = Numbers(7);
        let mut inserts = Vec::with_capacity(CHANGES / 2);
        let mut removes = Vec::with_capacity(CHANGES / 2);
        let clock = least(|| {});
        for _ in 0..CHANGES / 2 {
            let row = numbers.place(routes.len());
            let (net, code) = routes[row][numbers.place(self.routes - 1) + 1];
            let fresh = self.kind.draw(&mut numbers);
            let table = TableIdx::from_row(row);
            let start = HostInstant::now();
            let had = tables.remove(table, net);
            removes.push(start.elapsed().as_nanos());
            let start = HostInstant::now();
            black_box(tables.insert(table, fresh, code)).unwrap();
            inserts.push(start.elapsed().as_nanos());
            black_box(had);
        }
        for (name, mut times) in [("remove", removes), ("insert", inserts)] {
            times.sort_unstable();
            let at = |per_mille: usize| times[(times.len() - 1) * per_mille / 1_000];
            println!(
                "    {name}: median {} ns, p99 {} ns, p99.9 {} ns, most {} ns (the clock's {clock} among them)",
                at(500),
                at(990),
                at(999),
                at(1_000)
            );
        }
        let left: usize = (0..self.tables).map(|row| tables.routes(TableIdx::from_row(row))).sum();
        println!("    then {:.1} bytes a route", tables.bytes() as f64 / left as f64);
    }
}

fn code(numbers: &mut Numbers) -> Code {
    Code::new(numbers.below(1 << 20)).unwrap()
}

fn one_by_one<A: Copy>(
    rows: &[TableIdx],
    addresses: &[A],
    get: impl Fn(TableIdx, A) -> Option<Code>,
) {
    let mut sum = 0_u32;
    for (table, address) in rows.iter().zip(addresses) {
        sum = sum.wrapping_add(get(*table, *address).map_or(0, Code::number));
    }
    black_box(sum);
}

/// The answers are right, or their time means nothing: by a map of prefixes, from the longest on.
fn verify(tables: &Tables, routes: &[Vec<(IpNet, Code)>], asked: &[Asked]) {
    let maps: BTreeMap<(usize, IpNet), Code> = routes
        .iter()
        .enumerate()
        .flat_map(|(row, routes)| routes.iter().map(move |(net, code)| ((row, *net), *code)))
        .collect();
    for (table, address) in asked.iter().take(20_000) {
        let is_v6 = matches!(routes[0][0].0, IpNet::V6(_));
        let prefix = |len: u8| -> IpNet {
            if is_v6 {
                Ipv6Net::new(Ipv6Addr::from_bits(*address), len).unwrap().trunc().into()
            } else {
                let address = Ipv4Addr::from_bits(u32::try_from(*address).unwrap());
                Ipv4Net::new(address, len).unwrap().trunc().into()
            }
        };
        let longest = if is_v6 { 128 } else { 32 };
        let want = (0..=longest).rev().find_map(|len| maps.get(&(table.row(), prefix(len))));
        let got = if is_v6 {
            tables.get_v6(*table, *address)
        } else {
            tables.get(*table, u32::try_from(*address).unwrap())
        };
        assert_eq!(got, want.copied(), "{address:x} in {table:?}");
    }
}

/// What the machine allows: one random line of an array for each look-up.
struct Floor {
    lines: Vec<[u64; 8]>,
    order: Vec<u32>,
}

impl Floor {
    fn new(bytes: usize) -> Floor {
        let lines = vec![[1; 8]; bytes.div_ceil(64)];
        let mut numbers = Numbers(1);
        let bound = u32::try_from(lines.len()).unwrap();
        let order = (0..LOOKUPS).map(|_| numbers.below(bound)).collect();
        Floor { lines, order }
    }

    fn one_by_one(&self) {
        black_box(self.order.iter().map(|at| self.lines[*at as usize][0]).sum::<u64>());
    }

    /// All lines of a batch are read before any is used; the processor needs no asking for so few
    /// instructions.
    fn batches(&self) {
        let mut sum = 0;
        for order in self.order.chunks(BATCH) {
            let mut read = [0; BATCH];
            for (to, at) in read.iter_mut().zip(order) {
                *to = self.lines[*at as usize][0];
            }
            sum += black_box(read).iter().sum::<u64>();
        }
        black_box(sum);
    }
}

/// The least that timing nothing takes, in ns.
fn least(mut what: impl FnMut()) -> u128 {
    let once = |_| {
        let start = HostInstant::now();
        what();
        start.elapsed().as_nanos()
    };
    (0..1_000).map(once).min().unwrap()
}

/// Times of rounds, in ns for each of what a round does.
#[derive(Default)]
struct Series(Vec<f64>);

impl Series {
    fn push(&mut self, start: HostInstant, count: f64) {
        self.0.push(start.elapsed().as_secs_f64() * 1e9 / count);
    }

    fn time(&mut self, round: impl FnOnce()) {
        let start = HostInstant::now();
        round();
        self.push(start, LOOKUPS as f64);
    }

    fn told(&self) -> String {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        format!("{:>8.2} ({least:.2}..{most:.2})", sorted[sorted.len() / 2])
    }
}
