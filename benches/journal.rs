//! What the journal of a server costs: acknowledged entries a second by how many wait, a snapshot, and
//! reading a million entries.
//!
//! Each figure is the median of several rounds, with its spread, and stands beside a floor from the
//! same round: a plain file that takes the same bytes with one write and one sync for each group, and
//! one that is read and checked from its beginning to its end. Refuses to judge: a sync takes what the disk takes.
//!
//! ```text
//! cargo bench --bench journal -- [--rounds 5] [--entries 1000000] [--bytes 120]
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run says so and stops"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant as HostInstant};

use vpclab::api::journal::{Format, Journal, JournalError, Position, Recovered};

const FORMAT: Format = Format { name: "bench", version: 1 };
/// How long one round of appends takes.
const ROUND: Duration = Duration::from_millis(500);

struct Arguments {
    rounds: usize,
    entries: u64,
    bytes: usize,
}

fn main() {
    let argument = |name: &str, default: usize| {
        let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
        args.next().map_or(default, |value| value.parse().unwrap())
    };
    let arguments = Arguments {
        rounds: argument("--rounds", 5),
        entries: argument("--entries", 1_000_000) as u64,
        bytes: argument("--bytes", 120),
    };
    println!(
        "entries of {} bytes; median (least..most) of {} rounds",
        arguments.bytes, arguments.rounds
    );
    println!("{:<34}{:>30}{:>30}  {:>8}", "", "journal", "floor", "of floor");
    for waiters in [1, 8, 64, 512] {
        appends(&arguments, waiters);
    }
    replays(&arguments);
}

/// A directory of its own on the disk of the build, not in memory.
fn directory() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal");
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// So many wait at the same time: each appends as soon as its last entry is durable.
fn appends(arguments: &Arguments, waiters: usize) {
    let (mut figures, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let path = directory();
        let (journal, _) = Journal::open(&path, FORMAT).unwrap();
        let journal = Arc::new(journal);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let begin = HostInstant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..waiters)
                .map(|_| {
                    let (journal, bytes) = (Arc::clone(&journal), arguments.bytes);
                    tokio::spawn(async move {
                        while begin.elapsed() < ROUND {
                            let at = journal.append(vec![7; bytes]);
                            journal.durable(at).await.unwrap();
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        let seconds = begin.elapsed().as_secs_f64();
        figures.push(journal.position().get() as f64 / seconds);
        journal.close().unwrap();

        let mut file = File::create(path.join("floor")).unwrap();
        let group = vec![7; arguments.bytes * waiters];
        let begin = HostInstant::now();
        let mut groups = 0_u64;
        while begin.elapsed() < ROUND {
            file.write_all(&group).unwrap();
            file.sync_data().unwrap();
            groups += 1;
        }
        floors.push(groups as f64 * waiters as f64 / begin.elapsed().as_secs_f64());
    }
    row(&format!("{waiters} waiting, acknowledged/s"), figures, floors, |own, floor| own / floor);
}

/// Writes the entries, reads them back, and lets a snapshot of as many bytes replace them.
fn replays(arguments: &Arguments) {
    let entries = arguments.entries;
    let (mut written, mut opened, mut replayed, mut both) = (vec![], vec![], vec![], vec![]);
    let (mut replaced, mut write_floors, mut read_floors) = (vec![], vec![], vec![]);
    let mut size = 0;
    for _ in 0..arguments.rounds {
        let path = directory();
        let (journal, _) = Journal::open(&path, FORMAT).unwrap();
        let begin = HostInstant::now();
        for _ in 0..entries {
            journal.append(vec![7; arguments.bytes]);
        }
        journal.close().unwrap();
        written.push(begin.elapsed().as_secs_f64() * 1e3);
        size = fs::metadata(path.join("journal.redb")).unwrap().len();

        let all = vec![7; arguments.bytes * usize::try_from(entries).unwrap()];
        let begin = HostInstant::now();
        let mut file = File::create(path.join("floor")).unwrap();
        file.write_all(&all).unwrap();
        file.sync_data().unwrap();
        write_floors.push(begin.elapsed().as_secs_f64() * 1e3);

        let begin = HostInstant::now();
        let (journal, recovered) = Journal::open(&path, FORMAT).unwrap();
        let open = begin.elapsed().as_secs_f64() * 1e3;
        let replay = replay(recovered, entries);
        opened.push(open);
        replayed.push(replay);
        both.push(open + replay);

        let begin = HostInstant::now();
        let mut file = File::open(path.join("floor")).unwrap();
        let mut bytes = vec![0; 1 << 16];
        let mut sum = 0_u64;
        loop {
            let read = file.read(&mut bytes).unwrap();
            if read == 0 {
                break;
            }
            sum += bytes[..read].iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        black_box(sum);
        read_floors.push(begin.elapsed().as_secs_f64() * 1e3);

        let begin = HostInstant::now();
        journal.snapshot(journal.position(), all);
        journal.close().unwrap();
        replaced.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let faster = |own: f64, floor: f64| floor / own;
    row(&format!("write {entries}, ms"), written, write_floors.clone(), faster);
    row("open, ms", opened, read_floors.clone(), faster);
    row("replay, ms", replayed, read_floors.clone(), faster);
    row("open and replay, ms", both, read_floors, faster);
    row("replace by a snapshot, ms", replaced, write_floors, faster);
    println!("{:<34}{:>30.1}", "bytes on disk/entry", size as f64 / entries as f64);
}

/// Milliseconds.
fn replay(recovered: Recovered, entries: u64) -> f64 {
    let begin = HostInstant::now();
    let mut bytes = 0;
    let last = recovered.replay(|_: Position, entry: &[u8]| {
        bytes += black_box(entry).len();
        Ok::<_, JournalError>(())
    });
    assert_eq!(last.unwrap().get(), entries);
    black_box(bytes);
    begin.elapsed().as_secs_f64() * 1e3
}

fn row(name: &str, figures: Vec<f64>, floors: Vec<f64>, of_floor: fn(f64, f64) -> f64) {
    let ratios = figures.iter().zip(&floors).map(|(own, floor)| of_floor(*own, *floor)).collect();
    let [least, ratio, most] = spread(ratios);
    println!(
        "{name:<34}{:>30}{:>30}  {ratio:>8.2} ({least:.2}..{most:.2})",
        shown(spread(figures)),
        shown(spread(floors))
    );
}

/// Least, median, most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

fn shown([least, median, most]: [f64; 3]) -> String {
    format!("{median:.0} ({least:.0}..{most:.0})")
}
