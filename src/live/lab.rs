//! The life of a lab: the process outside that the user sees, and the one inside that holds all.
//!
//! Outside makes the namespaces and starts the same program again in them, as PID 1: when that
//! process ends, in whichever way, the kernel ends every other in its namespace, and with them what
//! only their open files held. Refuses to write anything to disk.
//!
//! The two are joined by a socket, the inner one's standard input: first what the inner one works
//! with, later the word that it is ready.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, exit};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_name, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::socket::{Backlog, listen};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, getegid, geteuid, setsid};
use serde::{Deserialize, Serialize};

use super::LiveError;
use super::control::{self, Desk, Users};
use super::name::LabName;
use super::passing;
use super::wait::{self, ExitCode};

/// How long a lab has for its farewell after it was told to end.
const GRACE: Duration = Duration::from_secs(2);

/// How long `up` stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stay {
    /// The lab ends with the process that started it.
    Foreground,
    /// The lab goes on when it is ready, and that process ends.
    Detached,
}

/// A lab to be.
#[derive(Debug)]
pub struct Setup {
    /// Its name.
    pub name: LabName,
    /// With or without its maker.
    pub stay: Stay,
    /// This program's arguments for the process inside, which calls [`Inside::take`].
    pub arguments: Vec<OsString>,
    /// Open files that it needs from out here: sockets that listen in the machine's own network. 15
    /// at most.
    pub carried: Vec<OwnedFd>,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The process inside has ended so, and said why.
    Ended(ExitCode),
    /// It runs, and this process is not needed any more.
    Running,
}

/// What the process outside hands over, beside the control socket and what is carried.
#[derive(Debug, Serialize, Deserialize)]
struct Handover {
    name: String,
    stay: Stay,
    users: Users,
}

/// What the process inside answers when it is [`Inside::ready`].
#[derive(Debug, Serialize, Deserialize)]
struct Ready;

/// Starts a lab, and waits for its end, or until it is ready if it stays by itself.
///
/// The calling process must have one thread only, and is in other namespaces afterwards: all that is
/// left for it is to end.
///
/// # Errors
/// There is a lab of this name, or the machine does not offer what it takes.
pub fn outside(setup: Setup) -> Result<Outcome, LiveError> {
    let Setup { name, stay, arguments, carried } = setup;
    let listener = control::bind(&name)?;
    let starting = |error| LiveError::system("cannot start the process of the lab", error);
    let (leash, theirs) = UnixStream::pair().map_err(starting)?;
    // Until it is detached, Ctrl-C may well end this process, and the lab with it.
    if stay == Stay::Foreground {
        wait::hold_signals().map_err(starting)?;
    }
    let users = leave_namespaces()?;
    let mut child = Command::new("/proc/self/exe")
        .arg0("vpclab")
        .args(arguments)
        .stdin(OwnedFd::from(theirs))
        .spawn()
        .map_err(starting)?;
    let files: Vec<BorrowedFd<'_>> =
        [listener.as_fd()].into_iter().chain(carried.iter().map(AsFd::as_fd)).collect();
    let handover = Handover { name: name.to_string(), stay, users };
    // If it is gone already, how it ended says more.
    let _ = passing::send(&leash, &handover, &files);
    // From here on the sockets are the lab's alone.
    drop(files);
    drop((listener, carried));
    let ready =
        stay == Stay::Detached && matches!(passing::receive::<Ready>(&leash), Ok(Some((Ready, _))));
    if ready {
        return Ok(Outcome::Running);
    }
    let code = match stay {
        Stay::Foreground => wait::until_it_ends(&mut child),
        Stay::Detached => child.wait().map(ExitCode::from),
    };
    code.map(Outcome::Ended).map_err(starting)
}

/// Moves the calling process, and all it starts, into namespaces of its own.
fn leave_namespaces() -> Result<Users, LiveError> {
    let spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        match unshare(spaces) {
            Ok(()) => return Ok(Users::Shared),
            // Root of a container, perhaps, who may still do it as others do.
            Err(Errno::EPERM) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    unshare(spaces | CloneFlags::CLONE_NEWUSER).map_err(refused)?;
    let map = |file: &str, text: &str| {
        fs::write(format!("/proc/self/{file}"), text)
            .map_err(|error| LiveError::system(format!("cannot write /proc/self/{file}"), error))
    };
    map("setgroups", "deny")?;
    map("uid_map", &format!("0 {user} 1"))?;
    map("gid_map", &format!("0 {group} 1"))?;
    Ok(Users::Own)
}

/// Why the kernel gives no namespaces, as far as one can tell.
fn refused(error: Errno) -> LiveError {
    let restricted = || {
        let file = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
        fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
    };
    let why = match error {
        Errno::EPERM if restricted() => {
            "without root, a lab lives in a user namespace, which AppArmor forbids here \
             (`sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or run as root)"
        }
        Errno::EPERM => {
            "without root, a lab lives in a user namespace, which this machine or container forbids \
             (run as root; in a container with `--privileged`)"
        }
        Errno::ENOSPC => {
            "the limit on namespaces is reached, or they are switched off \
             (`sysctl user.max_user_namespaces user.max_net_namespaces`)"
        }
        error => return LiveError::system("cannot make namespaces", error),
    };
    LiveError::Missing { what: "the right to make namespaces", why }
}

/// The process inside, at its start.
#[derive(Debug)]
pub struct Inside {
    /// The lab's name.
    pub name: LabName,
    /// With or without its maker.
    pub stay: Stay,
    /// [`Setup::carried`], in its order.
    pub carried: Vec<OwnedFd>,
    users: Users,
    control: UnixListener,
    leash: UnixStream,
}

impl Inside {
    /// Takes over from [`outside`], and furnishes the namespaces. The first thing that the process
    /// does: it has one thread only.
    ///
    /// # Errors
    /// The process was started by hand, or the kernel refuses a step.
    pub fn take() -> Result<Inside, LiveError> {
        let doing = |error| LiveError::system("cannot furnish the lab", error);
        let leash = io::stdin().as_fd().try_clone_to_owned().map_err(doing)?;
        let leash = UnixStream::from(leash);
        // A terminal or a file is no socket.
        let (handover, files) = match passing::receive::<Handover>(&leash) {
            Ok(Some(handover)) => handover,
            Ok(None) | Err(_) => return Err(LiveError::ByHand),
        };
        set_pdeathsig(Signal::SIGKILL).map_err(|error| doing(error.into()))?;
        // It may have ended just before, and then its end of the socket has too.
        if has_gone(&leash).map_err(doing)? {
            exit(1);
        }
        wait::hold_signals().map_err(doing)?;
        let mut files = files.into_iter();
        let control = UnixListener::from(files.next().ok_or(LiveError::ByHand)?);
        // Who connects sees the process that listened last.
        listen(&control, Backlog::MAXCONN).map_err(|error| doing(error.into()))?;
        let null = File::open("/dev/null").map_err(doing)?;
        dup2_stdin(&null).map_err(|error| doing(error.into()))?;
        furnish()?;
        // Each host is several open files; the usual limit is 1,024, and what may be is far more.
        let _ = getrlimit(Resource::RLIMIT_NOFILE)
            .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
        // Not `exe`, as which it was started.
        let _ = set_name(c"vpclab");
        Ok(Inside {
            name: handover.name.parse().map_err(|_| LiveError::ByHand)?,
            stay: handover.stay,
            carried: files.collect(),
            users: handover.users,
            control,
            leash,
        })
    }

    /// Opens the lab: answers for it, minds signals and orphans, and, if it is detached, lets the
    /// process outside go. Returns while others do this. From here on the process may not wait for
    /// children of its own.
    ///
    /// # Errors
    /// The kernel refuses a thread, or a step of detaching.
    pub fn ready(self, desk: Arc<dyn Desk>) -> Result<(), LiveError> {
        let doing = |error| LiveError::system("cannot open the lab", error);
        let desk: Arc<dyn Desk> = Arc::new(Punctual(desk));
        let minded = Arc::clone(&desk);
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                while let Ok(news) = wait::news() {
                    match news {
                        wait::News::Child => wait::reap(),
                        wait::News::End => minded.stop(),
                    }
                }
            })
            .map_err(doing)?;
        control::serve(self.control, self.users, desk)?;
        match self.stay {
            Stay::Foreground => Ok(()),
            Stay::Detached => detach(&self.leash).map_err(doing),
        }
    }
}

/// Cuts the tie to whoever started this. The last word is that it is done.
fn detach(leash: &UnixStream) -> io::Result<()> {
    setsid()?;
    set_pdeathsig(None)?;
    let null = File::options().write(true).open("/dev/null")?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    passing::send(leash, &Ready, &[])
}

/// Has the other end of `socket` been closed? That is told without being asked for.
fn has_gone(socket: &UnixStream) -> io::Result<bool> {
    let mut files = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    Ok(poll(&mut files, PollTimeout::ZERO)? > 0)
}

/// Mounts of the lab's own.
fn furnish() -> Result<(), LiveError> {
    let none = None::<&Path>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| LiveError::system("cannot make the lab's mounts private", error))?;
    // Refused in containers that hide parts of theirs. Then `ps` shows the machine's processes.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let _ = mount(Some("proc"), "/proc", Some("proc"), flags, none);
    Ok(())
}

/// A desk whose lab ends when it was told to.
struct Punctual(Arc<dyn Desk>);

impl Desk for Punctual {
    fn hosts(&self) -> Vec<control::HostLine> {
        self.0.hosts()
    }

    fn enter(&self, host: &str) -> Option<control::Entrance> {
        self.0.enter(host)
    }

    fn stop(&self) {
        self.0.stop();
        let late = thread::Builder::new().spawn(|| {
            thread::sleep(GRACE);
            exit(0);
        });
        if late.is_err() {
            exit(0);
        }
    }
}
