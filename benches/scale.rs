//! What 100,000 VPCs, a million instances and a million routes take: memory, compilation, one change.
//!
//! Each size is measured in a process of its own, because an allocator keeps what is given back to it.
//! Bytes of one instance, VPC and route follow from networks that differ in one of the three. The
//! networks are made of commands, but for the ring's peerings and further routes, which are added as
//! events (`src/bench/world.rs` says why). Refuses to judge.
//!
//! ```text
//! cargo bench --bench scale                                        # four networks, about 12 GiB
//! cargo bench --bench scale -- 10000 10 10                         # VPCs, instances and routes of each
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::process::Command;

use vpclab::bench::{Settings, Sizes, stand};

/// VPCs, instances and further routes of each.
const NETWORKS: [[usize; 3]; 4] =
    [[50_000, 2, 0], [100_000, 2, 0], [100_000, 10, 0], [100_000, 10, 8]];
/// Times that compiling and changing are timed.
const ROUNDS: usize = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [vpcs, instances, routes] = &args[..] {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no number"));
        let sizes =
            Sizes { vpcs: number(vpcs), instances: number(instances), routes: number(routes) };
        measure(sizes);
        return;
    }
    println!(
        "{:>8} {:>9} {:>9} {:>8} {:>24} {:>7} {:>9} {:>24} {:>24} {:>24}",
        "VPCs",
        "instances",
        "routes",
        "built s",
        "compiled ms",
        "MiB",
        "peak MiB",
        "uniform ns/packet",
        "skewed ns/packet",
        "one route us"
    );
    let bytes: Vec<f64> = NETWORKS.iter().map(|sizes| of_its_own(*sizes)).collect();
    let each = |more: usize, less: usize, count: usize| (bytes[more] - bytes[less]) / count as f64;
    println!("\nbytes of the compiled network, by difference");
    println!("{:>10.1} an instance", each(2, 1, 800_000));
    println!("{:>10.1} a route", each(3, 2, 800_000));
    println!("{:>10.1} a VPC with 2 instances, a peering and 2 routes", each(1, 0, 50_000));
}

/// Measures in a process of its own; the bytes that the compiled network takes.
fn of_its_own(sizes: [usize; 3]) -> f64 {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own).args(sizes.map(|n| n.to_string())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (line, bytes) = said.trim_end().rsplit_once('\n').unwrap();
    println!("{line}");
    bytes.parse().unwrap()
}

fn measure(sizes: Sizes) {
    let settings = Settings { rounds: ROUNDS, ..Settings::default() };
    let standing = stand(sizes, settings).unwrap_or_else(|error| panic!("{error}"));
    let (vpcs, instances, routes) = standing.counts;
    let spread = |s: vpclab::bench::Spread| format!("{:.1} ({:.1}..{:.1})", s.median, s.min, s.max);
    println!(
        "{vpcs:>8} {instances:>9} {routes:>9} {:>8.1} {:>24} {:>7.1} {:>9.0} {:>24} {:>24} {:>24}",
        standing.built / 1e3,
        spread(standing.compiled),
        standing.bytes as f64 / f64::from(1 << 20),
        standing.peak as f64 / f64::from(1 << 20),
        spread(standing.packet[0].value),
        spread(standing.packet[1].value),
        spread(standing.changed),
    );
    println!("{}", standing.bytes);
}
