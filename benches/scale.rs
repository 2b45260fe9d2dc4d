//! What 100,000 VPCs, a million instances and a million routes take: memory, compilation, one change.
//!
//! Each size is measured in a process of its own, because an allocator keeps what is given back to it.
//! Bytes of one instance, VPC and route follow from networks that differ in one of the three. The
//! networks are made of commands, but for the ring's peerings and further routes, which are carried
//! out as events (`src/bench/world.rs` says why). Refuses to judge.
//!
//! ```text
//! cargo bench --bench scale [-- --json]                            # four networks, about 6 GiB
//! cargo bench --bench scale -- 10000 10 10                         # VPCs, instances and routes of each
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::process::Command;

use serde_json::{Value, json};
use vpclab::bench::{Settings, Sizes, Spread, stand};

/// VPCs, instances and further routes of each.
const NETWORKS: [[usize; 3]; 4] =
    [[50_000, 2, 0], [100_000, 2, 0], [100_000, 10, 0], [100_000, 10, 8]];
/// Times that compiling and changing are timed.
const ROUNDS: usize = 5;
/// A row of the table: width, title, key of the figure.
const COLUMNS: [(usize, &str, &str); 10] = [
    (7, "VPCs", "vpcs"),
    (9, "instances", "instances"),
    (9, "routes", "routes"),
    (8, "built s", "built_s"),
    (22, "compiled ms", "compiled_ms"),
    (9, "grown MiB", "grown_mib"),
    (9, "tables MiB", "tables_mib"),
    (22, "uniform ns/packet", "uniform_ns"),
    (22, "skewed ns/packet", "skewed_ns"),
    (22, "one route us", "change_us"),
];

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let is_json = args.last().is_some_and(|arg| arg == "--json");
    if is_json {
        args.pop();
    }
    if let [vpcs, instances, routes] = &args[..] {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no number"));
        let [vpcs, instances, routes] = [vpcs, instances, routes].map(|text| number(text));
        let network = measure(Sizes { vpcs, instances, routes });
        println!("{}", if is_json { network.to_string() } else { line(&network) });
        return;
    }
    let networks: Vec<Value> = NETWORKS
        .iter()
        .map(|sizes| {
            let network = of_its_own(*sizes);
            if !is_json {
                println!("{}", line(&network));
            }
            network
        })
        .collect();
    let each = |key: &str, more: usize, less: usize, count: usize| {
        let bytes = |at: usize| networks[at][key].as_f64().unwrap() * f64::from(1 << 20);
        (bytes(more) - bytes(less)) / count as f64
    };
    // A VPC has two instances, a peering and two routes; an instance and a route are known by then.
    let by = |key: &str| {
        let (instance, route) = (each(key, 2, 1, 800_000), each(key, 3, 2, 800_000));
        let vpc = each(key, 1, 0, 50_000) - 2.0 * instance;
        json!({"instance": instance, "route": route, "vpc": vpc})
    };
    let bytes = json!({"grown": by("grown_mib"), "tables": by("tables_mib")});
    if is_json {
        println!("{}", json!({"networks": networks, "bytes": bytes}));
    } else {
        println!("bytes of each (a VPC with its peering, two subnets and two routes): {bytes:#}");
    }
}

/// Measures in a process of its own.
fn of_its_own(sizes: [usize; 3]) -> Value {
    let mut own = Command::new(std::env::current_exe().unwrap());
    let output = own.args(sizes.map(|n| n.to_string())).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn measure(sizes: Sizes) -> Value {
    let settings = Settings { rounds: ROUNDS, ..Settings::default() };
    let standing = stand(sizes, settings).unwrap_or_else(|error| panic!("{error}"));
    let spread = |s: Spread| json!({"median": s.median, "min": s.min, "max": s.max});
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (vpcs, instances, routes) = standing.counts;
    let [uniform, skewed] = standing.packet;
    json!({
        "vpcs": vpcs,
        "instances": instances,
        "routes": routes,
        "built_s": standing.built / 1e3,
        "compiled_ms": spread(standing.compiled),
        "grown_mib": mib(standing.grown),
        "tables_mib": mib(standing.tables),
        "peak_mib": mib(standing.peak),
        "uniform_ns": spread(uniform.value),
        "uniform_of_chain": uniform.of_floor,
        "skewed_ns": spread(skewed.value),
        "change_us": spread(standing.changed),
    })
}

fn line(network: &Value) -> String {
    let cell = |(width, title, key): (usize, &str, &str)| {
        let value = &network[key];
        let text = match (value.as_u64(), value.as_f64()) {
            (Some(count), _) => count.to_string(),
            (None, Some(figure)) => format!("{figure:.1}"),
            (None, None) => {
                let end = |key: &str| value[key].as_f64().unwrap();
                format!("{:.2} ({:.2}..{:.2})", end("median"), end("min"), end("max"))
            }
        };
        format!("{title} {text:>width$}")
    };
    COLUMNS.map(cell).join(", ")
}
