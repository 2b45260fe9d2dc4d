//! `kill -9` of a server at any moment, while clients change their networks: after the next start
//! everything that was acknowledged is there with all that came with it, and of what was not, each
//! request wholly or not at all.
//!
//! Each client has two accounts of its own and asks one thing after the other, so that one request at
//! most is without an answer when the server dies: what is there then must be exactly the network
//! before or after that request. Refuses to look at what one request answers.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; a failure names the line"
)]

mod client;
mod filters;
mod net;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use client::Client;
use vpclab::base::rng::{Seed, Stream};

use crate::support::served::{Connection, Served};

/// Clients at the same time.
const CLIENTS: u64 = 4;
/// Rounds on one directory: all that was acknowledged is compared again after the last.
const ROUNDS_OF_A_DIRECTORY: u64 = 10;
/// The server is killed after so many answers of a round, at most.
const ANSWERS_MAX: u64 = 150;
/// And so many microseconds later, at most.
const LATER_MAX: u64 = 3_000;

/// A server on a directory.
fn start(directory: &Path) -> Served {
    Served::start(&arguments(directory), &log(directory))
}

fn arguments(directory: &Path) -> [&OsStr; 2] {
    [OsStr::new("--data"), directory.as_os_str()]
}

/// Where a server on this directory writes what it has to say.
fn log(directory: &Path) -> PathBuf {
    directory.with_extension("log")
}

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = env::temp_dir().join(format!("vpclab-kill-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What a failure leaves is worth a look.
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
            let _ = fs::remove_file(log(&self.0));
        }
    }
}

/// What all rounds together have seen, so that a run that tested nothing is noticed.
#[derive(Default, Debug)]
struct Seen {
    answers: u64,
    /// Requests without an answer that have taken place.
    there: u64,
    /// Requests without an answer that have not.
    not_there: u64,
    /// Starts that were killed.
    starts: u64,
}

/// Clients at work until the server is killed; then a new one is asked for what they know.
fn round(directory: &Path, seed: Seed, round: u64, seen: &mut Seen) -> Vec<Client> {
    let mut rng = seed.stream(&format!("round {round}"));
    let server = start(directory);
    let (answers, enough) = (AtomicU64::new(0), rng.below(ANSWERS_MAX));
    let later = Duration::from_micros(rng.below(LATER_MAX));
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|nth| {
            let rng = seed.stream(&format!("round {round}, client {nth}"));
            Client::new(round * CLIENTS + nth, rng)
        })
        .collect();
    thread::scope(|scope| {
        let (address, answers) = (server.address().to_owned(), &answers);
        for client in &mut clients {
            let address = address.clone();
            scope.spawn(move || client.work(&address, answers));
        }
        while answers.load(Ordering::Relaxed) < enough {
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(later);
        drop(server);
    });
    seen.answers += answers.load(Ordering::Relaxed);
    kill_some_starts(directory, &mut rng, seen);

    let server = start(directory);
    let mut connection = Connection::open(server.address()).expect("it listens");
    for client in &mut clients {
        match client.compare(&mut connection) {
            None => {}
            Some(true) => seen.there += 1,
            Some(false) => seen.not_there += 1,
        }
    }
    clients
}

/// Now and then the next start is killed too, before or after it listens.
fn kill_some_starts(directory: &Path, rng: &mut Stream, seen: &mut Seen) {
    while rng.below(4) == 0 {
        let mut process = Served::spawn(&arguments(directory), &log(directory));
        thread::sleep(Duration::from_micros(rng.below(30_000)));
        process.kill().expect("it is ours");
        process.wait().expect("it is ours");
        seen.starts += 1;
    }
}

fn rounds(count: u64) {
    let seed = Seed(env::var("VPCLAB_SEED").map_or(1, |seed| seed.parse().expect("a number")));
    let mut seen = Seen::default();
    for first in (0..count).step_by(10) {
        let directory = Directory::new(&format!("{count}-{first}"));
        println!("rounds from {first}, seed {} (VPCLAB_SEED)", seed.0);
        let mut clients = Vec::new();
        for nth in first..count.min(first + ROUNDS_OF_A_DIRECTORY) {
            clients.extend(round(&directory.0, seed, nth, &mut seen));
        }
        // Nothing of the earlier rounds was lost by the later ones.
        let server = start(&directory.0);
        let mut connection = Connection::open(server.address()).expect("it listens");
        for client in &mut clients {
            assert_eq!(client.compare(&mut connection), None);
        }
    }
    println!("{count} rounds: {seen:?}");
    assert!(seen.answers > 10 * count, "{seen:?}");
    assert!(seen.there + seen.not_there > 0, "{seen:?}");
}

#[test]
fn a_killed_server_has_kept_what_it_acknowledged() {
    rounds(20);
}

#[test]
#[ignore = "minutes; tests/run.sh runs it"]
fn a_server_killed_200_times_has_kept_what_it_acknowledged() {
    rounds(200);
}

/// The account that a key belongs to.
fn account_of(connection: &mut Connection, key: &str) -> String {
    let answer = connection.ask(key, "Action=GetCallerIdentity&Version=2011-06-15");
    element(answer.expect("it listens").text(), "Account")
}

fn element(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("<{name}>")).expect("it is there");
    rest.split_once('<').expect("it ends").0.to_owned()
}

/// Also when the world was emptied meanwhile: keys are the server's, not the world's.
#[test]
fn credentials_outlive_the_server_that_handed_them_out() {
    const ROLES: &str = "222222222222";
    let directory = Directory::new("credentials");
    let form = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=alice\
                &RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fdeploy";
    let mut keys: Vec<String> = Vec::new();
    for round in 0..3 {
        let server = start(&directory.0);
        let mut connection = Connection::open(server.address()).expect("it listens");
        for key in &keys {
            assert_eq!(account_of(&mut connection, key), ROLES, "in round {round}");
        }
        let answer = connection.ask("111111111111", form).expect("it listens");
        keys.push(element(answer.text(), "AccessKeyId"));
        if round == 1 {
            assert_eq!(connection.post("/_vpclab/reset").expect("it listens").status, 200);
        }
    }
    assert_ne!(account_of_nobody(&directory.0), ROLES);
}

/// The account of a key that was handed out by nobody.
fn account_of_nobody(directory: &Path) -> String {
    let server = start(directory);
    let mut connection = Connection::open(server.address()).expect("it listens");
    account_of(&mut connection, "ASIAQAAAAAAAGMKEM7X5")
}
