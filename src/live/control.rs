//! How other processes reach a running lab: one question and one answer a connection.
//!
//! Both sides check that the other belongs to the same user. Refuses to know what a lab does: it
//! asks the [`Desk`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::geteuid;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::LiveError;
use super::name::LabName;
use super::passing;

/// How long one side waits for the words of the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds that a lab has to end in after it was told to, before it is killed.
const FAREWELL_MILLIS: u16 = 5_000;

/// The flag of `/proc/net/unix` for sockets that take connections.
const LISTENING: &str = "00010000";

/// One live instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostLine {
    /// Its label in the file.
    pub label: String,
    /// Its id in the cloud.
    pub id: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A file as processes on one host see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostFile {
    /// Where, say `/etc/hosts`. The file exists on the machine.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// What it takes to run something on a host.
#[derive(Debug)]
pub struct Entrance {
    /// Its network namespace.
    pub netns: OwnedFd,
    /// Files that are its own.
    pub files: Vec<HostFile>,
}

/// Who answers for a lab.
pub trait Desk: Send + Sync {
    /// The live instances.
    fn hosts(&self) -> Vec<HostLine>;
    /// The way into the instance of this label, id or address.
    fn enter(&self, host: &str) -> Option<Entrance>;
    /// Ends the lab. Comes back at once; the process ends soon after, or is ended.
    fn stop(&self);
}

/// A running lab.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Lab {
    /// Its name.
    #[serde(serialize_with = "as_text")]
    pub name: LabName,
    /// The process that all of it ends with.
    pub pid: i32,
    /// Its live instances.
    pub hosts: Vec<HostLine>,
}

fn as_text<S: serde::Serializer>(name: &LabName, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
enum Ask {
    List,
    Enter { host: String },
    Stop,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
enum Answer {
    List { hosts: Vec<HostLine> },
    Enter { users: Users, files: Vec<HostFile> },
    Stop,
    Refused { why: String },
}

/// Whether a lab has a namespace of users.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Users {
    /// It has: nobody needed to be root.
    Own,
    /// It shares those of the machine.
    Shared,
}

/// The namespaces that processes of a lab have in common.
#[derive(Debug)]
struct Spaces {
    users: Users,
    user: File,
    mount: File,
    pid: File,
}

impl Spaces {
    /// Those of the calling process.
    fn of_this_process(users: Users) -> io::Result<Spaces> {
        let open = |kind: &str| File::open(format!("/proc/self/ns/{kind}"));
        Ok(Spaces { users, user: open("user")?, mount: open("mnt")?, pid: open("pid")? })
    }
}

/// What a lab hands out to whoever wants to run something on a host.
#[derive(Debug)]
pub(super) struct Keys {
    /// Only if the lab has its own.
    pub(super) user: Option<OwnedFd>,
    pub(super) mount: OwnedFd,
    pub(super) pid: OwnedFd,
    pub(super) net: OwnedFd,
    pub(super) files: Vec<HostFile>,
}

/// Takes the name for the calling user.
///
/// # Errors
/// A lab of this name runs.
pub(super) fn bind(name: &LabName) -> Result<UnixListener, LiveError> {
    let address = address(name)?;
    UnixListener::bind_addr(&address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => LiveError::Running(name.clone()),
        _ => LiveError::system("cannot open the control socket", error),
    })
}

/// Answers on a thread of its own until the process ends. Only the user whose lab it is gets one.
///
/// # Errors
/// There is no `/proc`, or no thread.
pub(super) fn serve(
    listener: UnixListener,
    users: Users,
    desk: Arc<dyn Desk>,
) -> Result<(), LiveError> {
    let doing = |error| LiveError::system("cannot serve the control socket", error);
    let spaces = Spaces::of_this_process(users).map_err(doing)?;
    let answer_all = move || {
        // Whoever asked for the end waits for it: these stay open until the process is gone.
        let mut waiting = Vec::new();
        for stream in listener.incoming() {
            // Out of open files, say. It will not be better at once.
            let Ok(stream) = stream else {
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            match answer(&stream, &spaces, &*desk) {
                Ok(After::Close) => {}
                Ok(After::Keep) => waiting.push(stream),
                Err(error) => tracing::debug!(%error, "a question of the control socket"),
            }
        }
    };
    let builder = thread::Builder::new().name("control".to_owned());
    builder.spawn(answer_all).map(drop).map_err(doing)
}

/// What becomes of a connection after the answer.
enum After {
    Close,
    Keep,
}

fn answer(stream: &UnixStream, spaces: &Spaces, desk: &dyn Desk) -> io::Result<After> {
    check_owner(stream)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some((ask, _)) = passing::receive(stream)? else { return Ok(After::Close) };
    match ask {
        Ask::List => passing::send(stream, &Answer::List { hosts: desk.hosts() }, &[])?,
        Ask::Enter { host } => match desk.enter(&host) {
            None => {
                let why = format!("no live instance `{host}`; `vpclab ps` lists those that are");
                passing::send(stream, &Answer::Refused { why }, &[])?;
            }
            Some(Entrance { netns, files }) => {
                let answer = Answer::Enter { users: spaces.users, files };
                let own: [BorrowedFd<'_>; 4] =
                    [netns.as_fd(), spaces.mount.as_fd(), spaces.pid.as_fd(), spaces.user.as_fd()];
                let shown = if spaces.users == Users::Own { &own[..] } else { &own[..3] };
                passing::send(stream, &answer, shown)?;
            }
        },
        Ask::Stop => {
            passing::send(stream, &Answer::Stop, &[])?;
            desk.stop();
            return Ok(After::Keep);
        }
    }
    Ok(After::Close)
}

/// The calling user's labs, by name. One that is being made is waited for, for a while; one that ends
/// is left out.
///
/// # Errors
/// There is no `/proc`.
pub fn labs() -> Result<Vec<Lab>, LiveError> {
    let mut labs = Vec::new();
    for name in names()? {
        let asked = connect(&name).and_then(|link| {
            let hosts = match link.ask(&Ask::List) {
                Ok((Answer::List { hosts }, _)) => hosts,
                Ok((other, _)) => return Err(link.refusal(other)),
                // It hangs, or takes its time to be made. That is no reason to hide it.
                Err(LiveError::Refused { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            Ok((link.pid, hosts))
        });
        match asked {
            Ok((pid, hosts)) => labs.push(Lab { name, pid, hosts }),
            Err(LiveError::NoLab(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(labs)
}

/// The names of the calling user's labs.
///
/// # Errors
/// There is no `/proc`.
pub fn names() -> Result<Vec<LabName>, LiveError> {
    let table = fs::read_to_string("/proc/net/unix")
        .map_err(|error| LiveError::system("cannot read /proc/net/unix", error))?;
    let owner = geteuid();
    let mut names = BTreeSet::new();
    for line in table.lines() {
        // Num, RefCount, Protocol, Flags, Type, St, Inode, Path.
        let mut fields = line.split_ascii_whitespace().skip(3);
        let (flags, path) = (fields.next(), fields.nth(3));
        if let (Some(LISTENING), Some(path)) = (flags, path)
            && let Some((of, name)) = LabName::parse_address(path)
            && of == owner
        {
            names.insert(name);
        }
    }
    Ok(names.into_iter().filter(|name| !is_taken_by_another(name)).collect())
}

/// Does another user listen under a name of this one? Anybody may take any abstract name.
fn is_taken_by_another(name: &LabName) -> bool {
    let stream = address(name).map(|address| UnixStream::connect_addr(&address));
    let owner = stream.map(|stream| stream.and_then(|stream| check_owner(&stream)));
    matches!(owner, Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied)
}

/// The lab that was named, or the only one.
///
/// # Errors
/// There is none, or more than one to choose from.
pub fn choose(wanted: Option<&LabName>) -> Result<LabName, LiveError> {
    if let Some(name) = wanted {
        return Ok(name.clone());
    }
    let mut names = names()?;
    match names.len() {
        0 => Err(LiveError::NoLabs),
        1 => Ok(names.remove(0)),
        _ => Err(LiveError::ManyLabs(names)),
    }
}

/// Ends a lab, and comes back when none of its processes is left.
///
/// # Errors
/// There is no such lab, or it cannot be killed.
pub fn stop(name: &LabName) -> Result<(), LiveError> {
    let doing = |error| LiveError::system(format!("cannot end the lab `{name}`"), error);
    let link = connect(name)?;
    let pid = Pid::from_raw(link.pid).ok_or_else(|| LiveError::NoLab(name.clone()))?;
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        // It has ended since.
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        other => other.map_err(|error| doing(error.into()))?,
    };
    // A lab that is being made or hangs does not answer; it is killed below.
    let asked = link.tell(&Ask::Stop);
    if asked.is_err() || !has_ended(&process).map_err(doing)? {
        match pidfd_send_signal(&process, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(doing(error.into())),
        }
        if !has_ended(&process).map_err(doing)? {
            return Err(doing(io::ErrorKind::TimedOut.into()));
        }
    }
    Ok(())
}

/// Waits a while for the end of a process. PID 1 of a namespace ends after all others in it.
fn has_ended(process: &OwnedFd) -> io::Result<bool> {
    let mut files = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut files, PollTimeout::from(FAREWELL_MILLIS)) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

/// Asks a lab for the way into one of its hosts.
pub(super) fn enter(name: &LabName, host: &str) -> Result<Keys, LiveError> {
    let link = connect(name)?;
    match link.ask(&Ask::Enter { host: host.to_owned() })? {
        (Answer::Enter { users, files }, keys) => {
            let mut keys = keys.into_iter();
            let mut next = || keys.next().ok_or_else(|| LiveError::Protocol("no file".to_owned()));
            let (net, mount, pid) = (next()?, next()?, next()?);
            let user = if users == Users::Own { Some(next()?) } else { None };
            Ok(Keys { user, mount, pid, net, files })
        }
        (other, _) => Err(link.refusal(other)),
    }
}

/// A connection to a lab.
struct Link {
    name: LabName,
    stream: UnixStream,
    /// The process that listens.
    pid: i32,
}

fn connect(name: &LabName) -> Result<Link, LiveError> {
    let address = address(name)?;
    let open = || {
        let stream = UnixStream::connect_addr(&address)?;
        let pid = check_owner(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Link { name: name.clone(), stream, pid })
    };
    open().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::ConnectionRefused => LiveError::NoLab(name.clone()),
        _ => LiveError::system(format!("cannot reach the lab `{name}`"), error),
    })
}

impl Link {
    fn tell(&self, ask: &Ask) -> Result<(), LiveError> {
        passing::send(&self.stream, ask, &[]).map_err(|error| self.trouble(error))
    }

    fn ask(&self, ask: &Ask) -> Result<(Answer, Vec<OwnedFd>), LiveError> {
        self.tell(ask)?;
        match passing::receive(&self.stream) {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(LiveError::NoLab(self.name.clone())),
            Err(error) => Err(self.trouble(error)),
        }
    }

    fn trouble(&self, error: io::Error) -> LiveError {
        match error.kind() {
            // It ended while it was asked.
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                LiveError::NoLab(self.name.clone())
            }
            io::ErrorKind::WouldBlock => LiveError::Refused {
                lab: self.name.clone(),
                why: "it is still being made, or hangs".to_owned(),
            },
            _ => LiveError::system(format!("cannot talk to the lab `{}`", self.name), error),
        }
    }

    fn refusal(&self, answer: Answer) -> LiveError {
        match answer {
            Answer::Refused { why } => LiveError::Refused { lab: self.name.clone(), why },
            other => LiveError::Protocol(format!("{other:?}")),
        }
    }
}

fn address(name: &LabName) -> Result<SocketAddr, LiveError> {
    SocketAddr::from_abstract_name(name.address(geteuid()))
        .map_err(|error| LiveError::system("cannot name the control socket", error))
}

/// That the other side is the same user; its process. Names of abstract sockets belong to nobody.
fn check_owner(stream: &UnixStream) -> io::Result<i32> {
    let peer = getsockopt(stream, sockopt::PeerCredentials)?;
    if peer.uid() == geteuid().as_raw() {
        Ok(peer.pid())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}
