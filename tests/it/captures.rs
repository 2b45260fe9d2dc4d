//! Captures agree with the simulator's counts (invariant S12), and fail as they should.
//!
//! The files are read by a walker that shares nothing with the writer; `tshark.rs` asks a reader
//! that nobody here wrote.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use vpclab::forward::DropReason;
use vpclab::report::capture::{Capture, FABRIC};
use vpclab::report::outcome::Outcome;
use vpclab::report::pcapng::{CalendarStart, Error, Writer};
use vpclab::scenario::load;
use vpclab::scenario::run::{self, Settings};
use vpclab::sim::Twin;

use crate::files;

/// One packet of a capture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) interface: String,
    pub(crate) inbound: bool,
    pub(crate) unix_nanos: u64,
    pub(crate) bytes: u64,
    /// Its destination, of IPv4.
    pub(crate) destination: Option<[u8; 4]>,
    pub(crate) comment: String,
}

/// Where an IPv4 packet is to go (RFC 791, 3.1).
fn destination(packet: &[u8]) -> Option<[u8; 4]> {
    let version = packet.first()? >> 4;
    packet.get(16..20).filter(|_| version == 4)?.try_into().ok()
}

/// The interfaces of a capture, name and description, and its packets.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) interfaces: Vec<(String, String)>,
    pub(crate) records: Vec<Record>,
}

impl File {
    pub(crate) fn read(mut bytes: &[u8]) -> File {
        let mut file = File::default();
        while !bytes.is_empty() {
            let total = u32_at(bytes, 4) as usize;
            let body = &bytes[8..total - 4];
            match u32_at(bytes, 0) {
                0x0a0d_0d0a => {}
                1 => {
                    let options = options(&body[8..]);
                    file.interfaces.push((text(&options, 2), text(&options, 3)));
                }
                6 => {
                    let length = u32_at(body, 12) as usize;
                    let options = options(&body[20 + length.next_multiple_of(4)..]);
                    file.records.push(Record {
                        interface: file.interfaces[u32_at(body, 0) as usize].0.clone(),
                        inbound: u32_at(options[&2], 0) == 1,
                        unix_nanos: u64::from(u32_at(body, 4)) << 32 | u64::from(u32_at(body, 8)),
                        bytes: length as u64,
                        destination: destination(&body[20..20 + length]),
                        comment: text(&options, 1),
                    });
                }
                other => panic!("block of type {other:#x}"),
            }
            bytes = &bytes[total..];
        }
        file
    }

    fn count(&self, wanted: impl Fn(&Record) -> bool) -> u64 {
        self.records.iter().filter(|record| wanted(record)).count() as u64
    }
}

/// Options by code. Flags of packets and the resolution of interfaces share numbers with texts of
/// other blocks, so their values stay bytes.
fn options(mut bytes: &[u8]) -> BTreeMap<u16, &[u8]> {
    let mut all = BTreeMap::new();
    while let [code_low, code_high, length_low, length_high, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*length_low, *length_high]));
        all.insert(u16::from_le_bytes([*code_low, *code_high]), &rest[..length]);
        bytes = &rest[length.next_multiple_of(4)..];
    }
    all
}

fn text(options: &BTreeMap<u16, &[u8]>, code: u16) -> String {
    let bytes = options.get(&code).copied().unwrap_or_default();
    String::from_utf8(bytes.to_vec()).expect("texts of a capture are UTF-8")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What the simulator counted, all legs together.
#[derive(Default)]
struct Counted {
    /// Of hosts.
    sent: u64,
    /// Of the network.
    notices: u64,
    delivered: u64,
    drops: BTreeMap<&'static str, u64>,
    relayed: u64,
    fragments: u64,
}

fn counted(outcome: &Outcome) -> Counted {
    let mut all = Counted::default();
    for traffic in outcome.steps.iter().filter_map(|step| step.traffic) {
        let dropped = [traffic.dropped, traffic.answers_dropped, traffic.notices_dropped];
        for (reason, n) in dropped.iter().flat_map(|drops| drops.iter()) {
            *all.drops.entry(reason.label()).or_default() += n;
        }
        all.sent += traffic.sent + traffic.answers_sent;
        all.notices += traffic.notices_sent;
        let lost: u64 = traffic.answers_dropped.iter().map(|(_, n)| n).sum();
        all.delivered += traffic.delivered + traffic.answers_sent - lost;
        all.delivered += traffic.notices_delivered;
        all.relayed += traffic.relayed;
        all.fragments += traffic.fragments;
    }
    all
}

#[test]
fn captures_hold_as_many_packets_as_were_counted() {
    for path in files::scenarios("scenarios") {
        let ran = files::must_run(&path, Twin::Compiled);
        let file = File::read(&ran.capture);
        let all = counted(&ran.outcome);
        let (sent, drops) = (all.sent + all.notices, &all.drops);
        let shown = path.display();
        assert_eq!(ran.outcome.packets, sent, "{shown}: packets of the run and of its steps");
        // A middlebox shows what it sends on twice: as it comes and as it goes. The network's own
        // notices leave no interface.
        assert_eq!(file.count(|r| !r.inbound), all.sent + all.relayed, "{shown}: outbound");
        let at_host = |r: &Record| r.inbound && r.interface != FABRIC;
        let is_drop = |r: &Record| r.comment.starts_with("dropped: ");
        let fates = file.count(at_host) + file.count(is_drop);
        assert_eq!(fates, sent + all.relayed + all.fragments, "{shown}: each has one fate");
        // Every packet meets one fate.
        assert_eq!(sent, all.delivered + drops.values().sum::<u64>(), "{shown}");
        if all.fragments > 0 {
            continue;
        }
        assert_eq!(file.count(at_host), all.delivered + all.relayed, "{shown}: inbound");
        for reason in DropReason::ALL {
            let mark = format!("dropped: {reason} at ");
            let want = drops.get(reason.label()).copied().unwrap_or_default();
            assert_eq!(file.count(|r| r.comment.starts_with(&mark)), want, "{shown}: {reason}");
        }
        let mut at = 0;
        for record in &file.records {
            assert!(record.unix_nanos >= at, "{shown}: in the order of time");
            at = record.unix_nanos;
        }
    }
}

fn records(path: &str) -> File {
    File::read(&files::must_run(Path::new(path), Twin::Compiled).capture)
}

#[test]
fn a_drop_is_written_where_the_packet_was_last() {
    for (path, interface, inbound, comment) in [
        (
            "scenarios/drops/transit.yaml",
            "a",
            false,
            "dropped: transit at AB (PCX_REQUIRES_ADDRESS_IN_VPC_CIDR)",
        ),
        (
            "scenarios/drops/malformed.yaml",
            "a",
            false,
            "dropped: malformed at a: ipv4 checksum at byte 10 is 0x26bc, want 0x26bb",
        ),
        ("scenarios/drops/link-loss.yaml", FABRIC, true, "dropped: link-loss at AB"),
        ("scenarios/drops/misdelivered.yaml", "c", true, "misdelivered: meant for b"),
    ] {
        let file = records(path);
        let found = file.records.iter().find(|record| record.comment == comment);
        let found = found.unwrap_or_else(|| panic!("{path}: no `{comment}` in {:?}", file.records));
        assert_eq!((found.interface.as_str(), found.inbound), (interface, inbound), "{path}");
    }
}

#[test]
fn interfaces_say_whose_they_are() {
    let file = records("scenarios/drops/link-loss.yaml");
    let (name, description) = &file.interfaces[0];
    assert_eq!(name, "a");
    assert!(description.starts_with("eni-"), "{description}");
    assert!(description.ends_with(" in VPC A, 10.0.0.10"), "{description}");
    let fabric = (FABRIC.to_owned(), "drops after leaving".to_owned());
    assert!(file.interfaces.contains(&fabric), "{:?}", file.interfaces);
    // Virtual zero is where the file says, here by default.
    assert_eq!(file.records[0].unix_nanos, 1_420_070_400_000_000_000);
}

/// Runs the README's scenario into a capture.
fn run_into<W: io::Write>(capture: &mut Capture<W>) -> Outcome {
    let path = Path::new("scenarios/first/not-transitive.yaml");
    let loaded = load::load(path).unwrap();
    run::run(&loaded, Path::new("scenarios/first"), Settings::default(), capture).unwrap()
}

/// A sink that is full from the beginning.
struct Broken;

impl io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_error_of_the_sink_is_kept_and_changes_nothing_else() {
    let whole = files::must_run(Path::new("scenarios/first/not-transitive.yaml"), Twin::Compiled);
    let mut capture = Capture::new(Broken, CalendarStart::default());
    assert_eq!(run_into(&mut capture), whole.outcome);
    match capture.finish() {
        Err(Error::Sink { source, .. }) => assert_eq!(source.kind(), io::ErrorKind::StorageFull),
        other => panic!("{:?}", other.map(|(_, tally)| tally)),
    }
}

#[test]
fn a_full_file_is_a_beginning_and_the_rest_is_counted() {
    let whole = {
        let mut capture = Capture::new(Vec::new(), CalendarStart::default());
        run_into(&mut capture);
        capture.finish().unwrap().0
    };
    let all = File::read(&whole).records;
    for limit in 100..whole.len() as u64 {
        let Ok(writer) = Writer::with_limit(Vec::new(), CalendarStart::default(), limit) else {
            continue;
        };
        let mut capture = Capture::over(writer);
        run_into(&mut capture);
        let (bytes, tally) = capture.finish().unwrap();
        assert!(bytes.len() as u64 <= limit);
        let kept = File::read(&bytes).records;
        assert_eq!(kept, all[..kept.len()], "{limit}");
        assert_eq!(
            (kept.len() as u64, tally.packets + tally.left_out),
            (tally.packets, all.len() as u64)
        );
        assert!(tally.left_out > 0, "{limit}");
    }
}
