//! A reader that nobody here wrote takes every capture, and finds nothing wrong with its packets.
//!
//! Needs `tshark` (package `tshark` of Debian and Ubuntu). Without it the test fails, unless
//! `VPCLAB_WITHOUT_TSHARK=1` says that this is meant.

#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vpclab::report::capture::file_names;
use vpclab::report::outcome::Outcome;
use vpclab::sim::Twin;

use crate::files;

/// What is asked of tshark, one column each.
const FIELDS: [&str; 10] = [
    "frame.comment",
    "frame.interface_name",
    "_ws.malformed",
    "icmp.type",
    "icmpv6.type",
    "ip.checksum.status",
    "udp.checksum.status",
    "tcp.checksum.status",
    "icmp.checksum.status",
    "icmpv6.checksum.status",
];

/// The columns of [`FIELDS`] from the first checksum on.
const CHECKSUMS: std::ops::Range<usize> = 5..FIELDS.len();

/// The words of `proto_checksum_enum_e` that do not mean trouble: good, and not present, which UDP
/// over IPv4 may be.
const FINE: [&str; 2] = ["1", "3"];

/// A directory that goes when the test ends, however it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("vpclab-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the directory for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Is tshark here? Panics if it should be and is not.
fn is_there() -> bool {
    let found = Command::new("tshark").arg("--version").output().is_ok_and(|o| o.status.success());
    let excused = std::env::var_os("VPCLAB_WITHOUT_TSHARK").is_some_and(|value| value == "1");
    assert!(
        found || excused,
        "no tshark: `apt-get install tshark`, or VPCLAB_WITHOUT_TSHARK=1 to do without this test"
    );
    found
}

/// The rows that tshark prints for a capture, and what it says beside.
fn dissect(file: &Path) -> Result<Vec<Vec<String>>, String> {
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(file).args(["-n", "-T", "fields", "-E", "separator=/t"]);
    for field in FIELDS {
        tshark.args(["-e", field]);
    }
    for protocol in ["ip", "udp", "tcp"] {
        tshark.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    let output = tshark.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let notice = |line: &&str| !line.contains("This could be dangerous") && !line.is_empty();
    let warnings: Vec<&str> = said.lines().filter(notice).collect();
    if !output.status.success() || !warnings.is_empty() {
        return Err(format!("tshark ends with {}: {}", output.status, warnings.join("; ")));
    }
    let text = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

/// Comments with how often they must stand in the capture: reasons of drops as they were counted.
fn drops_of(outcome: &Outcome) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for traffic in outcome.steps.iter().filter_map(|step| step.traffic) {
        let dropped = [traffic.dropped, traffic.answers_dropped, traffic.notices_dropped];
        for (reason, n) in dropped.iter().flat_map(|drops| drops.iter()) {
            *all.entry(reason.label()).or_default() += n;
        }
    }
    all
}

/// Is the outermost ICMP header one of an error (RFC 792; RFC 4443, 2.1)?
fn is_error(icmp: &str, icmpv6: &str) -> bool {
    let outermost = |types: &str| types.split(',').next().and_then(|text| text.parse::<u8>().ok());
    outermost(icmp).is_some_and(|kind| [3, 4, 5, 11, 12].contains(&kind))
        || outermost(icmpv6).is_some_and(|kind| kind < 128)
}

/// What is wrong with one capture.
fn judge(outcome: &Outcome, rows: &[Vec<String>]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut drops: BTreeMap<&str, u64> = BTreeMap::new();
    for (row, columns) in rows.iter().enumerate() {
        let [comment, interface, malformed, icmp, icmpv6, ..] = &columns[..] else {
            wrong.push(format!("packet {}: {} columns", row + 1, columns.len()));
            continue;
        };
        if interface.is_empty() {
            wrong.push(format!("packet {}: no name of an interface", row + 1));
        }
        let reason = comment.strip_prefix("dropped: ").and_then(|rest| rest.split(' ').next());
        if let Some(reason) = reason {
            *drops.entry(reason).or_default() += 1;
        }
        if reason == Some("malformed") {
            continue;
        }
        if !malformed.is_empty() {
            wrong.push(format!("packet {}: malformed", row + 1));
        }
        let is_error = is_error(icmp, icmpv6);
        for column in CHECKSUMS {
            // An ICMP error quotes the beginning of a packet, so a field can occur twice. What covers
            // bytes that are not quoted cannot be right: only a quoted IP header is whole.
            let own = match FIELDS[column] {
                "ip.checksum.status" => usize::MAX,
                "udp.checksum.status" | "tcp.checksum.status" if is_error => 0,
                _ => 1,
            };
            let states = columns[column].split(',').filter(|state| !state.is_empty()).take(own);
            for state in states.filter(|state| !FINE.contains(state)) {
                wrong.push(format!("packet {}: {} is {state}", row + 1, FIELDS[column]));
            }
        }
    }
    let counted = drops_of(outcome);
    if drops != counted {
        wrong.push(format!("comments say {drops:?}, counted were {counted:?}"));
    }
    wrong
}

#[test]
fn tshark_takes_every_capture() {
    if !is_there() {
        return;
    }
    let paths = files::scenarios("scenarios");
    let names = file_names(&paths);
    let scratch = Scratch::new("tshark");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((path, name)) = {
            let row = next.fetch_add(1, Ordering::Relaxed);
            paths.get(row).zip(names.get(row))
        } {
            let ran = files::must_run(path, Twin::Compiled);
            let file = scratch.0.join(name);
            fs::write(&file, &ran.capture).unwrap();
            let found = match dissect(&file) {
                Ok(rows) => judge(&ran.outcome, &rows),
                Err(error) => vec![error],
            };
            let lines = found.iter().map(|line| format!("{}: {line}", path.display()));
            wrong.lock().unwrap().extend(lines);
        }
    };
    // A start of tshark takes far longer than a scenario.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(work);
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The check can fail: tshark itself sees what is wrong with the bytes of the malformed packets.
#[test]
fn tshark_sees_a_wrong_checksum() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::new("tshark-wrong");
    let file = scratch.0.join("wrong.pcapng");
    let ran = files::must_run(Path::new("scenarios/drops/malformed.yaml"), Twin::Compiled);
    fs::write(&file, &ran.capture).unwrap();
    let rows = dissect(&file).unwrap();
    let (ip, udp) = (CHECKSUMS.start, CHECKSUMS.start + 1);
    assert!(rows.iter().any(|columns| columns[ip] == "0"), "{rows:?}");
    assert!(rows.iter().any(|columns| columns[ip] == "1" && columns[udp] == "0"), "{rows:?}");
}

/// What tshark's expert says of one TCP stream as one interface saw it: how often each summary.
fn expert(capture: &Path, interface: &str, stream: u32) -> BTreeMap<String, u64> {
    let own = capture.with_extension(format!("{interface}.pcapng"));
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    // A capture has each packet where it left and where it arrived: taken together it would look as
    // if each had been sent twice.
    let only = format!("frame.interface_name == \"{interface}\" and tcp.stream == {stream}");
    run(Command::new("tshark").arg("-r").arg(capture).args(["-Y", &only, "-w"]).arg(&own));
    let text = run(Command::new("tshark").arg("-r").arg(&own).args(["-n", "-q", "-z", "expert"]));
    let mut summaries = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(Ok(times)) = words.next().map(str::parse::<u64>) else { continue };
        // Group and protocol come before the summary; which duplicate it is, after it.
        let summary: Vec<&str> = words.skip(2).collect();
        let summary = summary.join(" ");
        let kind = summary.split(" (#").next().unwrap_or(&summary);
        *summaries.entry(kind.to_owned()).or_default() += times;
    }
    summaries
}

/// Over a peering of 50 ms that loses a packet in a thousand, an expert who sees one end of the
/// connection finds the losses and what TCP does about them, and nothing else that is odd.
#[test]
fn tshark_finds_nothing_odd_in_tcp_but_the_losses() {
    if !is_there() {
        return;
    }
    let scratch = Scratch::new("tshark-tcp");
    let file = scratch.0.join("lossy.pcapng");
    let path = Path::new("scenarios/lessons/tcp-over-a-long-lossy-peering.yaml");
    let ran = files::must_run(path, Twin::Compiled);
    fs::write(&file, &ran.capture).unwrap();
    let traffic = ran.outcome.steps[1].traffic.unwrap();
    let lost: Vec<u64> = [traffic.dropped, traffic.answers_dropped]
        .iter()
        .map(|drops| {
            drops
                .iter()
                .map(|(reason, n)| {
                    assert_eq!(reason.label(), "link-loss");
                    n
                })
                .sum()
        })
        .collect();
    assert!(lost[0] > 10 && lost[1] > 10, "{lost:?} lost of {}", traffic.sent);

    const AGAIN: [&str; 2] = [
        "This frame is a (suspected) retransmission",
        "This frame is a (suspected) out-of-order segment",
    ];
    const GAP: &str = "Previous segment(s) not captured (common at capture start)";
    const OF_LOSSES: [&str; 5] = [
        AGAIN[0],
        AGAIN[1],
        GAP,
        "Duplicate ACK",
        // Each of these is a retransmission too.
        "This frame is a (suspected) fast retransmission",
    ];
    const OF_EVERY_CONNECTION: [&str; 6] = [
        "Connection establish request (SYN): server port 5001",
        "Connection establish acknowledge (SYN+ACK): server port 5001",
        "TCP window update",
        "This frame initiates the connection closing",
        "This frame undergoes the connection closing",
        "Connection finish (FIN)",
    ];
    let [sender, receiver] = ["a", "b"].map(|interface| expert(&file, interface, 1));
    for found in [&sender, &receiver] {
        let odd = found.keys().filter(|summary| {
            !OF_LOSSES.contains(&summary.as_str())
                && !OF_EVERY_CONNECTION.contains(&summary.as_str())
        });
        assert_eq!(odd.collect::<Vec<_>>(), Vec::<&String>::new());
    }
    let count = |found: &BTreeMap<String, u64>, summaries: &[&str]| {
        summaries.iter().filter_map(|summary| found.get(*summary)).sum::<u64>()
    };
    // Each lost segment is sent again once, and leaves one gap until then.
    assert_eq!(count(&sender, &AGAIN), lost[0], "{sender:?}");
    assert_eq!(count(&receiver, &[GAP]), lost[0], "{receiver:?}");
    assert_eq!(count(&receiver, &AGAIN), lost[0], "{receiver:?}");
}
