//! Much at once: iperf3 each way, and a gigabyte that must come out as it went in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::process::Command;

use crate::lab::{DUAL, Lab, README};

/// The program that makes the gigabyte.
const GIGABYTE: &str = include_str!("gigabyte.py");

/// Runs iperf3 from one host to an address of another; the bytes that the receiver counted.
fn iperf(lab: &Lab, from: &str, (host, address): (&str, &str), more: &[&str]) -> f64 {
    let _server = lab.start(host, &["iperf3", "-s", "-1"]);
    lab.wait_for_port(host, 5201);
    let command = [&["iperf3", "-c", address, "-t2", "-J"], more].concat();
    let said = lab.exec(from, &command).fine();
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let sums = ["sum_received", "sum"].map(|name| report["end"][name]["bytes"].as_f64());
    sums.into_iter().flatten().next().unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn iperf_goes_both_ways() {
    let lab = Lab::up(DUAL, "iperf");
    for (from, to, more) in [
        // Within a VPC, over a peering, backwards, four at once; then datagrams, and IPv6.
        ("a", ("a2", "10.0.0.5"), &[][..]),
        ("b", ("a", "10.0.0.4"), &[]),
        ("b", ("a", "10.0.0.4"), &["-R"]),
        ("b", ("a", "10.0.0.4"), &["-P4"]),
        ("b", ("a", "10.0.0.4"), &["-u", "-b20M"]),
        ("b", ("a", "2001:db8:1234:aa00::4"), &["-6"]),
    ] {
        let bytes = iperf(&lab, from, to, more);
        // The datagrams are 5 MB in these two seconds, if all of them come.
        assert!(bytes > 400_000.0, "{from} to {to:?} {more:?}: {bytes} bytes");
    }
}

/// From a host with large frames over a peering with small ones, so that every size there is occurs.
#[test]
fn a_gigabyte_arrives_as_it_left() {
    let want = Command::new("python3").args(["-c", GIGABYTE, "sum"]).output().expect("python3");
    let want = String::from_utf8(want.stdout).unwrap();
    assert_eq!(want.trim().len(), 64, "{want}");
    let lab = Lab::up(README, "gigabyte");
    let _server = lab.start("a", &["python3", "-c", GIGABYTE, "serve"]);
    lab.wait_for_port("a", 8000);
    let command = "curl -sS --max-time 170 http://a:8000/ | sha256sum";
    let said = lab.exec("b", &["sh", "-c", command]).fine();
    assert_eq!(said.split_whitespace().next(), Some(want.trim()), "{said}");
}
