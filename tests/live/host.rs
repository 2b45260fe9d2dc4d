//! What the machine has: processes that carry a mark, the namespaces they are in, its own network.
//!
//! Reads `/proc` and nothing else: it is not the program under test that says what is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The variable that carries a mark. Children inherit it, wherever they go.
pub(crate) const MARK: &str = "VPCLAB_TEST_MARK";
/// Longer than the kernel takes to end a lab of a few hosts.
const PATIENCE: Duration = Duration::from_secs(20);

/// The kinds of namespaces in which a lab has some of its own.
const KINDS: [&str; 4] = ["net", "pid", "mnt", "user"];

/// The processes there are.
fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// Does a process carry a mark, in its environment or on its command line (which anybody may read)?
fn carries(pid: u32, mark: &str) -> bool {
    ["environ", "cmdline"].iter().any(|file| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
    })
}

/// Those that carry a mark.
pub(crate) fn marked(mark: &str) -> BTreeSet<u32> {
    processes().into_iter().filter(|pid| carries(*pid, mark) && lives(*pid)).collect()
}

/// Is it more than the memory of one that has ended, for a parent who has not asked yet?
fn lives(pid: u32) -> bool {
    status(pid).is_some_and(|(state, _)| state != 'Z')
}

/// The state of a process, and its parent.
fn status(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

/// The children of a process.
pub(crate) fn children(parent: u32) -> BTreeSet<u32> {
    let is_child = |pid: &u32| status(*pid).is_some_and(|(_, its)| its == parent);
    processes().into_iter().filter(is_child).collect()
}

/// The namespaces that a process is in or holds open, such as `net:[4026531840]`.
fn namespaces(pid: u32) -> BTreeSet<String> {
    let of_process = KINDS.map(|kind| format!("/proc/{pid}/ns/{kind}"));
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open = open.map(|entry| entry.path());
    let links = of_process.iter().map(|path| Path::new(path).to_owned()).chain(open);
    let targets =
        links.filter_map(|path| fs::read_link(path).ok()?.into_os_string().into_string().ok());
    targets.filter(|to| KINDS.iter().any(|kind| to.starts_with(&format!("{kind}:[")))).collect()
}

/// What a lab had at a moment.
#[derive(Debug)]
pub(crate) struct Had {
    pub(crate) namespaces: BTreeSet<String>,
    /// When the youngest process of the machine had started, in clock ticks.
    at: u64,
}

/// When a process was started, in clock ticks since the machine was.
fn started(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22; the second, a name, may hold anything, and the state behind it is the third.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The namespaces that marked processes have and this one does not.
pub(crate) fn namespaces_of(mark: &str) -> Had {
    let own = namespaces(std::process::id());
    let all = marked(mark).into_iter().flat_map(namespaces);
    let at = processes().into_iter().filter_map(started).max().unwrap_or(0);
    Had { namespaces: all.filter(|namespace| !own.contains(namespace)).collect(), at }
}

/// Waits until no process carries the mark and none is in one of these namespaces. The kernel gives
/// their numbers to others at once, so processes of other tests do not count, nor those that
/// were started later without a mark that can be read.
#[track_caller]
pub(crate) fn is_gone(mark: &str, had: &Had) {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = marked(mark);
        let held: Vec<(u32, String)> = processes()
            .into_iter()
            .flat_map(|pid| namespaces(pid).into_iter().map(move |namespace| (pid, namespace)))
            .filter(|(pid, namespace)| {
                had.namespaces.contains(namespace)
                    && lives(*pid)
                    && started(*pid).is_some_and(|at| at <= had.at)
                    && !carries(*pid, MARK)
            })
            .collect();
        if left.is_empty() && held.is_empty() {
            return;
        }
        let told: Vec<String> = left.iter().map(|pid| command_line(*pid)).collect();
        assert!(Instant::now() < end, "left of {mark}: {told:?}, namespaces {held:?}");
        sleep(Duration::from_millis(20));
    }
}

/// A process as `ps` shows it.
fn command_line(pid: u32) -> String {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("{pid} {}", line.replace('\0', " "))
}

/// The machine's own network and mounts, which no lab touches.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Host {
    devices: BTreeSet<String>,
    routes: String,
    mounts: BTreeSet<String>,
    named: bool,
}

impl Host {
    /// As it is now.
    pub(crate) fn now() -> Host {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let devices = read("/proc/self/net/dev");
        let devices =
            devices.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
        Host {
            devices: devices.collect(),
            routes: read("/proc/self/net/route"),
            mounts: read("/proc/self/mountinfo").lines().map(str::to_owned).collect(),
            named: Path::new("/run/netns").exists(),
        }
    }
}
