//! A lab that runs, and commands on its hosts.
//!
//! Refuses to know how a lab is made: everything goes through the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::host::{MARK, is_gone, namespaces_of};

/// The three VPCs of the README: `b` 10.1.0.4 and `c` 10.2.0.10 each peer with `a` 10.0.0.4.
pub(crate) const README: &str = "scenarios/first/not-transitive.yaml";
/// More of everything.
pub(crate) const DUAL: &str = "tests/data/live/dual.yaml";

/// Seconds that a command may take; one that hangs fails its test.
const SECONDS_MAX: &str = "180";
/// For things to come to be.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program with these arguments, under a mark, in an environment that says nothing of proxies.
pub(crate) fn vpclab(mark: &str, args: &[&str]) -> Command {
    let built = || OsString::from(env!("CARGO_BIN_EXE_vpclab"));
    let mut command = Command::new(env::var_os("VPCLAB_BIN").unwrap_or_else(built));
    command.args(args).env(MARK, mark).stdin(Stdio::null());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A command that a signal ended is one that `timeout` gave up.
        let code = output.status.code().unwrap_or(-1);
        Said { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// Runs the program until it ends, or is given up.
pub(crate) fn run(mark: &str, args: &[&str]) -> Said {
    let inner = vpclab(mark, args);
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", SECONDS_MAX]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Said::of(command.stdin(Stdio::null()).output().expect("timeout is installed"))
}

/// A name that no other lab has, which is also the mark of its processes.
pub(crate) fn name(of: &str) -> String {
    format!("test-{}-{of}", std::process::id())
}

/// Tries until it is so.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not in {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// A lab. It goes down when this is dropped, and then nothing of it may be left.
pub(crate) struct Lab {
    pub(crate) name: String,
}

impl Lab {
    /// Brings up a file in the background. `of` names the test.
    #[track_caller]
    pub(crate) fn up(file: &str, of: &str) -> Lab {
        Lab::up_with(file, of, &[])
    }

    /// The same with more arguments.
    #[track_caller]
    pub(crate) fn up_with(file: &str, of: &str, more: &[&str]) -> Lab {
        let name = name(of);
        let mut args = vec!["up", file, "--name", &name, "--detach"];
        args.extend(more);
        let said = run(&name, &args);
        assert_eq!(said.code, 0, "{said:?}");
        Lab { name }
    }

    /// Runs a command on a host to its end.
    pub(crate) fn exec(&self, host: &str, command: &[&str]) -> Said {
        run(&self.name, &self.args(host, command))
    }

    fn args<'a>(&'a self, host: &'a str, command: &[&'a str]) -> Vec<&'a str> {
        [&["exec", "--lab", &self.name, host, "--"], command].concat()
    }

    /// Starts a command on a host that goes on meanwhile.
    pub(crate) fn start(&self, host: &str, command: &[&str]) -> Running {
        Running::start(vpclab(&self.name, &self.args(host, command)), &self.name)
    }

    /// Runs a command on a host with something to read.
    pub(crate) fn feed(&self, host: &str, command: &[&str], input: &[u8]) -> Said {
        let mut process = vpclab(&self.name, &self.args(host, command))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        process.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        Said::of(process.wait_with_output().expect("it ends"))
    }

    /// Waits until somebody on a host takes connections at a port.
    #[track_caller]
    pub(crate) fn wait_for_port(&self, host: &str, port: u16) {
        let row = format!(":{port:04X} ");
        until(&format!("{host} listens at {port}"), || {
            let tables = ["cat", "/proc/self/net/tcp", "/proc/self/net/tcp6"];
            let text = self.exec(host, &tables).out;
            // State 0A is LISTEN.
            text.lines().any(|line| {
                let mut words = line.split_whitespace().skip(1);
                let local = words.next().map(|word| format!("{word} "));
                local.is_some_and(|local| local.ends_with(&row)) && words.nth(1) == Some("0A")
            })
        });
    }

    /// Pings once; did an answer come?
    pub(crate) fn ping(&self, from: &str, to: &str) -> bool {
        let said = self.exec(from, &["ping", "-n", "-c1", "-W2", to]);
        assert!(matches!(said.code, 0 | 1), "{said:?}");
        said.code == 0
    }

    /// Takes it down, and looks that nothing is left.
    #[track_caller]
    pub(crate) fn down(self) {
        drop(self);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let had = namespaces_of(&self.name);
        let said = run(&self.name, &["down", &self.name]);
        if !std::thread::panicking() {
            assert_eq!(said.code, 0, "{said:?}");
            is_gone(&self.name, &had);
        }
    }
}

/// A command that goes on. It is killed when this is dropped.
pub(crate) struct Running {
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it; what it says goes to a file.
    pub(crate) fn start(mut command: Command, of: &str) -> Running {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let nth = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = env::temp_dir().join(format!("vpclab-{of}-{nth}.log"));
        let file = File::create(&log).expect("a temporary file");
        let both = file.try_clone().expect("a second handle");
        let process =
            command.stdout(file).stderr(both).process_group(0).spawn().expect("it starts");
        Running { process, log }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub(crate) fn end(&mut self) -> i32 {
        let mut code = None;
        until("it ends by itself", || {
            code = self.process.try_wait().expect("it is a child");
            code.is_some()
        });
        code.and_then(|code| code.code()).unwrap_or(-1)
    }

    /// Asks it to end as a terminal does on Ctrl-C: all of its processes that are in front.
    pub(crate) fn interrupt(&self) {
        let id = i32::try_from(self.process.id()).unwrap();
        let pid = nix::unistd::Pid::from_raw(id);
        nix::sys::signal::killpg(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.log);
    }
}
