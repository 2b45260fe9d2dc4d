//! Running a command on a live instance.
//!
//! A process enters namespaces of processes only with its children, so there are two: the one that
//! the user started waits, and the child becomes the command. Refuses to leave one without the other, but
//! for a program that gains privileges, which the kernel does not let die so.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, exit};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::LiveError;
use super::control::{self, HostFile};
use super::name::LabName;
use super::wait::{self, ExitCode};

/// A directory that is always there, where a host's files are written before they are put in place.
const SCRATCH: &str = "/tmp";

/// What a shell says of a command that it cannot find, and of one that it cannot run.
const NOT_FOUND: ExitCode = ExitCode(127);
const NOT_RUN: ExitCode = ExitCode(126);

/// Open files that the child works with. They are numbers here, as they are arguments of its.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handles {
    /// The mount namespace to enter.
    pub mount: RawFd,
    /// The host's files, as JSON.
    pub files: RawFd,
    /// The process that asked, by its number outside.
    pub asker: u32,
}

/// Runs a command on a host, and waits for it. `arguments` are this program's for the child, which
/// calls [`inside`].
///
/// The calling process must have one thread only, and is in the lab's namespaces afterwards.
///
/// # Errors
/// There is no such lab or host, or the kernel refuses a step.
pub fn exec(
    lab: &LabName,
    host: &str,
    arguments: impl FnOnce(Handles) -> Vec<OsString>,
) -> Result<ExitCode, LiveError> {
    let keys = control::enter(lab, host)?;
    let enter = |space: &OwnedFd, kind| {
        setns(space, kind)
            .map_err(|error| LiveError::system(format!("cannot enter `{host}`"), error))
    };
    if let Some(user) = &keys.user {
        enter(user, CloneFlags::CLONE_NEWUSER)?;
    }
    enter(&keys.net, CloneFlags::CLONE_NEWNET)?;
    enter(&keys.pid, CloneFlags::CLONE_NEWPID)?;
    let start = || {
        let mut text = File::from(memfd_create("vpclab", MFdFlags::MFD_CLOEXEC)?);
        text.write_all(&serde_json::to_vec(&keys.files)?)?;
        fcntl(&text, FcntlArg::F_SETFD(FdFlag::empty()))?;
        fcntl(&keys.mount, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let handles = Handles {
            mount: keys.mount.as_raw_fd(),
            files: text.as_raw_fd(),
            asker: std::process::id(),
        };
        wait::hold_signals()?;
        let command = arguments(handles);
        let mut child = Command::new("/proc/self/exe").arg0("vpclab").args(command).spawn()?;
        wait::until_it_ends(&mut child)
    };
    start().map_err(|error: io::Error| LiveError::system(format!("cannot run on `{host}`"), error))
}

/// In the child: enters the host's mounts, puts its files in place and becomes `command`. Returns
/// only if that fails.
pub fn inside(handles: Handles, command: &[OsString]) -> (ExitCode, LiveError) {
    match furnish(handles) {
        Ok(()) => {}
        Err(error) => return (NOT_RUN, error),
    }
    let Some((program, arguments)) = command.split_first() else {
        return (NOT_RUN, LiveError::ByHand);
    };
    let mut error = Command::new(program).args(arguments).exec();
    // A directory of the search path that is closed to this user makes it look forbidden.
    if error.kind() == io::ErrorKind::PermissionDenied && !is_there(program.as_ref()) {
        error = io::ErrorKind::NotFound.into();
    }
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN };
    (code, LiveError::system(format!("cannot run `{}`", program.to_string_lossy()), error))
}

/// Can the program be seen, by its path or on the search path?
fn is_there(program: &Path) -> bool {
    if program.components().nth(1).is_some() || program.is_absolute() {
        return program.exists();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).exists())
}

fn furnish(handles: Handles) -> Result<(), LiveError> {
    // In the machine's `/proc` still, which knows this process by another number.
    let space = take(handles.mount)?;
    let files: Vec<HostFile> =
        serde_json::from_reader(take(handles.files)?).map_err(|_| LiveError::ByHand)?;
    let doing = |error: nix::errno::Errno| LiveError::system("cannot enter the lab", error);
    set_pdeathsig(Signal::SIGKILL).map_err(doing)?;
    if parent() != Some(handles.asker) {
        // It was killed before this one asked to go with it.
        exit(1);
    }
    let directory = env::current_dir();
    setns(&space, CloneFlags::CLONE_NEWNS).map_err(doing)?;
    unshare(CloneFlags::CLONE_NEWNS).map_err(doing)?;
    // Shows this host's devices; the machine's own otherwise.
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let none = None::<&Path>;
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), flags, none);
    if !files.is_empty() {
        lay(&files)
            .map_err(|error| LiveError::system("cannot put the host's files in place", error))?;
    }
    // Entering mounts leads to their root.
    if let Ok(directory) = directory {
        let _ = env::set_current_dir(directory);
    }
    wait::release_signals().map_err(|error| LiveError::system("cannot release signals", error))
}

/// The parent of this process, as the machine's `/proc` knows it.
fn parent() -> Option<u32> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name before it may hold anything; the state comes first.
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// An inherited file as one of this process's own.
fn take(number: RawFd) -> Result<File, LiveError> {
    let file = File::open(format!("/proc/self/fd/{number}")).map_err(|_| LiveError::ByHand)?;
    nix::unistd::close(number).map_err(|_| LiveError::ByHand)?;
    Ok(file)
}

/// Covers files of the machine by a host's, for this process and its children. One that the machine
/// has not is left out: nothing can be mounted on it.
fn lay(files: &[HostFile]) -> io::Result<()> {
    let none = None::<&Path>;
    let scratch = Path::new(SCRATCH);
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755"))?;
    let laid = files.iter().enumerate().try_for_each(|(row, file)| {
        let from = scratch.join(row.to_string());
        fs::write(&from, &file.text)?;
        match mount(Some(&from), &file.path, none, MsFlags::MS_BIND, none) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    // What is mounted from it keeps it; the directory shows what it did before.
    umount2(scratch, MntFlags::MNT_DETACH)?;
    laid
}
