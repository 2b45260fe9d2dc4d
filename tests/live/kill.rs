//! `kill -9` at any moment: while a lab comes up, while it is at work, while it goes down.
//!
//! Who is killed is the process that the user started or the one that the lab lives in. Nobody gets
//! to clean up, so what is gone afterwards is gone because the kernel sees to it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vpclab::base::rng::{Seed, Stream};

use crate::host::{Host, children, is_gone, marked, namespaces_of};
use crate::lab::{Lab, README, Running, name, run, until, vpclab};

/// Kills.
const ROUNDS: u64 = 50;
/// Setting up takes some of this; the rest are kills of a lab that has just come up.
const SETUP_MICROS_MAX: u64 = 300_000;
/// Tearing down takes some of this.
const TEARDOWN_MICROS_MAX: u64 = 60_000;
/// Traffic goes on for as long at most.
const TRAFFIC_MICROS_MAX: u64 = 200_000;

/// Kills one of the two; whether it was the inner one. It may be gone already.
fn kill_one(lab: &Running, rng: &mut Stream) -> bool {
    let inner = children(lab.id()).into_iter().next();
    let (victim, is_inner) = match inner.filter(|_| rng.below(2) == 0) {
        Some(inner) => (inner, true),
        None => (lab.id(), false),
    };
    let _ = kill(Pid::from_raw(i32::try_from(victim).unwrap()), Signal::SIGKILL);
    is_inner
}

#[test]
fn nothing_is_left_of_what_is_killed() {
    let machine = Host::now();
    let seed = Seed(6);
    let mut inner_kills = 0;
    let mut seen = 0;
    for round in 0..ROUNDS {
        let mut rng = seed.stream(&format!("round {round}"));
        // The same name each time: what a killed lab left would be in the way of the next.
        let name = name("killed");
        let mut lab = Running::start(vpclab(&name, &["up", README, "--name", &name]), &name);
        let mut others = Vec::new();
        if round % 3 != 0 {
            let ping = ["exec", "--lab", &name, "b", "--", "ping", "-n", "-c1", "-W2", "a"];
            until("it is up", || run(&name, &ping).code == 0);
            for (from, to) in [("b", "a"), ("a", "c"), ("c", "b")] {
                let ping = ["exec", "--lab", &name, from, "--", "ping", "-n", "-i0.01", to];
                others.push(Running::start(vpclab(&name, &ping), &name));
            }
        }
        let max = match round % 3 {
            0 => SETUP_MICROS_MAX,
            1 => TRAFFIC_MICROS_MAX,
            _ => {
                others.push(Running::start(vpclab(&name, &["down", &name]), &name));
                TEARDOWN_MICROS_MAX
            }
        };
        sleep(Duration::from_micros(rng.below(max)));
        let had = namespaces_of(&name);
        seen += had.namespaces.len();
        inner_kills += u32::from(kill_one(&lab, &mut rng));
        lab.end();
        for other in &mut others {
            other.end();
        }
        is_gone(&name, &had);
        let listed = run("test-ps", &["ps"]).fine();
        assert!(!listed.contains(&name), "round {round}: {listed}");
    }
    assert_eq!(Host::now(), machine, "a killed lab left something of itself");
    assert!(inner_kills > 5 && seen > 100, "{inner_kills} inner processes, {seen} namespaces");
    let lab = Lab::up(README, "killed");
    assert!(lab.ping("b", "a"));
    lab.down();
}

/// The one in the background has no outer process to end it.
#[test]
fn a_lab_in_the_background_dies_whole() {
    let name = name("background");
    run(&name, &["up", README, "--name", &name, "--detach"]).fine();
    let had = namespaces_of(&name);
    let processes = marked(&name);
    assert!(!processes.is_empty() && had.namespaces.len() >= 3, "{processes:?} {had:?}");
    let ping = vpclab(&name, &["exec", "--lab", &name, "b", "--", "ping", "-n", "a"]);
    let mut ping = Running::start(ping, &name);
    until("it pings", || ping.said().contains("bytes from"));
    for process in processes {
        let _ = kill(Pid::from_raw(i32::try_from(process).unwrap()), Signal::SIGKILL);
    }
    ping.end();
    is_gone(&name, &had);
}
