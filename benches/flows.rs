//! Connection tracking from one flow to ten million: look-ups and growth, beside a floor.
//!
//! Look-ups are of established UDP flows in random order, both directions, each a verdict with its
//! idle time started anew: in batches of 64 with all lines asked for first, and one by one. The
//! floor of a row reads and writes one random line of as many bytes as the flows take, in batches of
//! 64, prefetched alike. Insertions are timed one at a time over the growth of one table; a second
//! run times groups of 64, since reading the clock costs as much as an insertion. Refuses to judge,
//! and to measure packets: parsing and rules are not in it.
//!
//! ```text
//! cargo bench --bench flows -- [--most 10000000] [--runs 5]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant as HostInstant;

use vpclab::base::id::InterfaceIdx;
use vpclab::base::rng::Seed;
use vpclab::cloud::filter::Direction;
use vpclab::forward::fabric::flows::Flows;
use vpclab::forward::{Judgement, Word};
use vpclab::wire::{Flow, Protocol};

const BATCH: usize = 64;
/// Flows of one interface, below its limit.
const EACH: u32 = 10_000;
/// What one timed run looks up.
const LOOKUPS: usize = 1 << 20;

fn main() {
    let (mut most, mut runs) = (10_000_000, 5);
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--most" => most = value.parse().unwrap(),
            [name, value] if name == "--runs" => runs = value.parse().unwrap(),
            _ => panic!("unknown argument {pair:?}"),
        }
    }
    println!("look-ups, ns each: median (min..max) of {runs} runs; the floor is one random line\n");
    println!(
        "{:>10} {:>8} {:>22} {:>22} {:>22} {:>6}",
        "flows", "B/flow", "batch of 64", "one by one", "floor", "ratio"
    );
    for flows in [1, 1_000, 30_000, 1_000_000, 10_000_000].into_iter().filter(|n| *n <= most) {
        lookups(flows, runs);
    }
    println!("\ninsertions over the growth from 1 to {most} flows, ns");
    growth(most);
}

fn flow(nth: u32, direction: Direction) -> (InterfaceIdx, Flow<Ipv4Addr>) {
    let near = (Ipv4Addr::new(10, 0, 0, 4), 443);
    let [a, b, c, d] = (nth % EACH).to_be_bytes();
    let far = (Ipv4Addr::new(10, a, b, c), 1_024 + u16::from(d));
    let (from, to) = if direction == Direction::Egress { (near, far) } else { (far, near) };
    let flow = Flow {
        source: from.0,
        destination: to.0,
        protocol: Protocol::UDP,
        source_port: from.1,
        destination_port: to.1,
    };
    (InterfaceIdx::from_row((nth / EACH) as usize), flow)
}

fn insert(flows: &mut Flows, nth: u32) {
    let (at, flow) = flow(nth, Direction::Egress);
    let probe = flows.prefetch(at, Direction::Egress, &flow);
    let judged = flows.judge_probe(&probe, None, || Word::Tracked);
    assert_eq!(judged, Judgement::ByRule, "{nth}");
}

fn filled(most: u32) -> Flows {
    let mut flows = Flows::new(Seed(1));
    for nth in 0..most {
        insert(&mut flows, nth);
    }
    flows
}

/// A flow that is there, in one of its directions; the number says which.
#[inline(always)]
fn drawn(number: u32) -> (Direction, InterfaceIdx, Flow<Ipv4Addr>) {
    let direction = [Direction::Egress, Direction::Ingress][number as usize & 1];
    let (at, flow) = flow(number >> 1, direction);
    (direction, at, flow)
}

fn lookups(most: u32, runs: usize) {
    let mut flows = filled(most);
    let bytes = flows.bytes();
    let mut chance = Seed(2).stream("look-ups");
    let mut below = |bound: u64| -> Vec<u32> {
        (0..LOOKUPS).map(|_| u32::try_from(chance.below(bound)).unwrap()).collect()
    };
    // Few enough to stay in the cache beside few flows, and enough to be all of many.
    let distinct = if most <= 100_000 { 1 << 14 } else { LOOKUPS };
    let numbers = below(2 * u64::from(most));
    let wanted: Vec<_> = numbers[..distinct].iter().map(|number| drawn(*number)).collect();
    let mut pool = vec![[0_u64; 8]; (bytes / 64).max(1)];
    let places: Vec<u32> =
        (0..LOOKUPS).map(|_| u32::try_from(chance.below(pool.len() as u64)).unwrap()).collect();
    let (mut batched, mut single, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        floor.push(timed(|| touch(&mut pool, &places)));
        batched.push(timed(|| {
            for batch in wanted.chunks_exact(BATCH).cycle().take(LOOKUPS / BATCH) {
                let batch: &[_; BATCH] = batch.try_into().unwrap();
                let probes =
                    batch.map(|(direction, at, flow)| flows.prefetch(at, direction, &flow));
                for probe in &probes {
                    known(flows.judge_probe(probe, None, || Word::Refused));
                }
            }
        }));
        single.push(timed(|| {
            for (direction, at, flow) in wanted.iter().cycle().take(LOOKUPS) {
                let probe = flows.prefetch(*at, *direction, flow);
                known(flows.judge_probe(&probe, None, || Word::Refused));
            }
        }));
    }
    let [batched, single, floor] = [batched, single, floor].map(Spread::of);
    let ratio = batched.median / floor.median;
    println!(
        "{most:>10} {:>8} {batched:>22} {single:>22} {floor:>22} {ratio:>6.1}",
        bytes / most as usize
    );
}

#[inline(always)]
fn known(judged: Judgement) {
    assert!(matches!(judged, Judgement::ByConnection(_)), "{judged:?}");
}

/// Reads and writes a random line. The loads do not depend on one another, so the processor waits for
/// several at once, as it does after a prefetch.
fn touch(pool: &mut [[u64; 8]], places: &[u32]) {
    for batch in places.chunks_exact(BATCH) {
        let sum: u64 = batch.iter().map(|at| pool[*at as usize][0]).sum();
        for at in batch {
            pool[*at as usize][1] += sum | 1;
        }
    }
    black_box(pool);
}

/// Nanoseconds for each of the look-ups.
fn timed(work: impl FnOnce()) -> f64 {
    let start = HostInstant::now();
    work();
    start.elapsed().as_nanos() as f64 / LOOKUPS as f64
}

fn growth(most: u32) {
    let mut flows = Flows::new(Seed(1));
    let mut each: Vec<u32> = Vec::with_capacity(most as usize);
    for nth in 0..most {
        let start = HostInstant::now();
        insert(&mut flows, nth);
        each.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    drop(flows);
    // What the clock and the host cost by themselves: the same without an insertion.
    let mut nothing: Vec<u32> = Vec::with_capacity(most as usize);
    for _ in 0..most {
        let start = HostInstant::now();
        black_box(());
        nothing.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    for (name, mut times) in [("one insertion", each), ("the clock alone", nothing)] {
        times.sort_unstable();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below the length"
        )]
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "{name:>16}: median {} p99 {} p99.9 {} p99.99 {} max {}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.9999),
            at(1.0)
        );
    }
    let mut flows = Flows::new(Seed(1));
    let (mut next, mut from) = (10, 0);
    while from < most {
        let until = next.min(most);
        let start = HostInstant::now();
        (from..until).for_each(|nth| insert(&mut flows, nth));
        let mean = start.elapsed().as_nanos() as f64 / f64::from(until - from);
        println!("{from:>10} to {until:>10}: mean {mean:.0}");
        (from, next) = (until, next * 10);
    }
}

struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut times: Vec<f64>) -> Spread {
        times.sort_unstable_by(f64::total_cmp);
        Spread { median: times[times.len() / 2], least: times[0], most: times[times.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.1} ({:.1}..{:.1})", self.median, self.least, self.most))
    }
}
