//! Instructions a packet on the forwarding path, counted by callgrind and compared with a baseline.
//!
//! Counts are equal on every machine that runs the same binary, so that a slower path shows without a
//! quiet machine. Each case runs twice, with more passes the second time: the difference is the passes
//! alone, without what it takes to build the network. Fails if a case takes over 5 % more
//! instructions than `benches/instructions.txt` says, or has no line there. Counts change with the
//! compiler: the baseline names the one it was taken with, and another one only warns.
//!
//! ```text
//! cargo bench --bench instructions            # needs valgrind
//! BLESS=1 cargo bench --bench instructions    # writes the baseline
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the output")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run says so and stops")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use vpclab::bench::steady::{CASES, Steady};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");
/// Passes of the two runs of a case.
const PASSES: [u64; 2] = [1, 21];
/// Per cent that a case may take more.
const SLACK: f64 = 5.0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [case, passes] = &args[..] {
        // Below callgrind: the work itself.
        let steady = Steady::build(case).unwrap().unwrap();
        let packets = steady.passes(passes.parse().unwrap()).unwrap();
        println!("{packets}");
        return ExitCode::SUCCESS;
    }
    let counted: BTreeMap<&str, f64> = CASES.map(|case| (case, instructions(case))).into();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(BASELINE, baseline(&counted)).unwrap();
        return ExitCode::SUCCESS;
    }
    compare(&counted, &std::fs::read_to_string(BASELINE).unwrap())
}

fn compare(counted: &BTreeMap<&str, f64>, text: &str) -> ExitCode {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeMap<&str, f64> = lines
        .filter_map(|line| line.split_once(' '))
        .map(|(case, count)| (case, count.trim().parse().unwrap()))
        .collect();
    let mut verdict = ExitCode::SUCCESS;
    let same_compiler = text.contains(&compiler());
    for (case, count) in counted {
        let Some(before) = known.get(case) else {
            eprintln!("{case}: no baseline; `BLESS=1 cargo bench --bench instructions` writes one");
            return ExitCode::FAILURE;
        };
        let change = (count / before - 1.0) * 100.0;
        println!("{case:<16} {count:>8.1} instructions a packet, {change:+.1} % of {before:.1}");
        if change > SLACK && same_compiler {
            eprintln!(
                "{case}: over {SLACK} % more than the baseline. If that is worth it, say why in the \
                 commit and write a new one: BLESS=1 cargo bench --bench instructions"
            );
            verdict = ExitCode::FAILURE;
        }
    }
    if !same_compiler {
        eprintln!("the baseline is another compiler's; nothing is judged ({})", compiler());
    }
    verdict
}

/// Instructions a packet.
fn instructions(case: &str) -> f64 {
    let [few, many] = PASSES.map(|passes| counted(case, passes));
    (many.0 - few.0) as f64 / (many.1 - few.1) as f64
}

/// Instructions and packets of a whole run.
fn counted(case: &str, passes: u64) -> (u64, u64) {
    let own = std::env::current_exe().unwrap();
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let run = valgrind.arg(own).args([case, &passes.to_string()]).output();
    let output = run.unwrap_or_else(|error| panic!("valgrind cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let total = said.lines().find_map(|line| line.split_once("Collected :"));
    let total = total.unwrap_or_else(|| panic!("no count in:\n{said}")).1.trim();
    let packets = String::from_utf8_lossy(&output.stdout);
    (total.parse().unwrap(), packets.trim().parse().unwrap())
}

fn baseline(counted: &BTreeMap<&str, f64>) -> String {
    let mut text = format!(
        "# Instructions a packet, by callgrind. Written by `BLESS=1 cargo bench --bench instructions`.\n\
         # {}\n",
        compiler()
    );
    for (case, count) in counted {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{case} {count:.1}");
        println!("{case:<16} {count:>8.1} instructions a packet");
    }
    text
}

/// The compiler's version, by its own words.
fn compiler() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output();
    output.map_or("unknown".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}
