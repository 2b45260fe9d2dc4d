//! Waiting for children and signals.
//!
//! One thread only waits for a child that does the work, because whoever has entered or left
//! namespaces may not start others. Refuses to die before the child: Ctrl-C reaches both, and the
//! child says when it is done.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// `SI_KERNEL` of `siginfo_t`: a terminal, not a process, has sent the signal.
const SENT_BY_KERNEL: i32 = 0x80;

/// How a command ended, as a shell counts: its code, or 128 and the signal that ended it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitCode(pub u8);

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> ExitCode {
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        ExitCode(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
    }
}

/// Signals that are waited for instead of suffered.
fn watched() -> SigSet {
    let all = [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP];
    all.into_iter().collect()
}

/// Makes signals wait until [`until_it_ends`] takes them. The child inherits this, and undoes it.
pub(super) fn hold_signals() -> io::Result<()> {
    Ok(watched().thread_block()?)
}

/// Undoes [`hold_signals`] in a child.
pub(super) fn release_signals() -> io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Waits for `child`, and passes on what was sent to this process alone. What the terminal sends, the
/// child has got itself.
pub(super) fn until_it_ends(child: &mut Child) -> io::Result<ExitCode> {
    let signals = SignalFd::new(&watched())?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.into());
        }
        let Some(news) = signals.read_signal()? else { continue };
        let signal = i32::try_from(news.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
        let by_kernel = news.ssi_code == SENT_BY_KERNEL;
        match (signal, i32::try_from(child.id())) {
            (None | Some(Signal::SIGCHLD), _) | (_, Err(_)) => {}
            (Some(_), _) if by_kernel => {}
            // It may have ended meanwhile, which the next round sees.
            (Some(signal), Ok(pid)) => drop(kill(Pid::from_raw(pid), signal)),
        }
    }
}

/// What PID 1 is told.
pub(super) enum News {
    /// A process has ended whose parent did before.
    Child,
    /// It is asked to end.
    End,
}

/// Waits for a signal. They have been held since before the first thread.
pub(super) fn news() -> io::Result<News> {
    Ok(match watched().wait()? {
        Signal::SIGCHLD => News::Child,
        _ => News::End,
    })
}

/// Takes note of every process that has ended.
pub(super) fn reap() {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
