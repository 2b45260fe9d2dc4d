//! `vpclab up`: the flags, and what runs inside the lab.
//!
//! Holds how the world, the engine and whoever shows it are joined. Refuses to know namespaces:
//! `live/lab.rs` has made them before, `live/roster.rs` makes those of the instances.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Exit;
use super::output::Output;
use crate::api::clock::Clock;
use crate::api::http::{self, Front, Hosts, Limits};
use crate::api::identity::{Identities, Keys, Seed};
use crate::api::server::Server;
use crate::api::world::World;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::live::LiveError;
use crate::live::control::Desk;
use crate::live::engine::Engine;
use crate::live::ground::{BrokenGround, Ground};
use crate::live::lab::Inside;
use crate::live::name::LabName;
use crate::live::roster::{Cast, Roster};
use crate::live::view::{Summary, View, screen, stream};
use crate::report::capture::Capture;
use crate::report::pcapng::CalendarStart;
use crate::scenario::{load, run};
use crate::sim::{Happening, LinkDefaults, Observer, Sim, Subject, Twin};

/// How often the cloud is looked at and the screen drawn anew.
const BEAT: Duration = Duration::from_millis(500);

/// Flags of `up`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file whose declared network comes to life; its steps are not taken
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The lab's name [default: the file's]
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<LabName>,
    /// Leave the lab running in the background
    #[arg(long)]
    pub(super) detach: bool,
    /// Answer the EC2 API too, so that its clients change the network while it runs
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:4566")]
    api: Option<SocketAddr>,
    /// Only these instances are live, by label; the simulator plays the others [default: all]
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',')]
    live: Option<Vec<String>>,
    /// Print what happens as lines of JSON
    #[arg(long, conflicts_with = "detach")]
    json: bool,
    /// Capture all packets into this pcapng file
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Overwrite the capture if it exists
    #[arg(long, requires = "pcap")]
    force: bool,
}

/// What is to be known before anything is made: that the file can be used, and that the API can
/// listen. Gives the sockets that are to listen in the machine's own network, or says what is wrong.
pub(super) fn check(args: &Args, out: &mut Output) -> Result<Vec<OwnedFd>, Exit> {
    let Some(built) = build(args, Instant::START, out) else { return Err(Exit::CouldNotRun) };
    let mut refuse = |why: String| {
        out.error(&format!("error: {why}"));
        Exit::CouldNotRun
    };
    let labels: Vec<&str> = built
        .cloud()
        .instances()
        .filter_map(|(id, _)| built.cloud().name(crate::cloud::event::ResourceId::Instance(id)))
        .collect();
    if let Some(label) = args.live.iter().flatten().find(|label| !labels.contains(&label.as_str()))
    {
        let known = labels.join(", ");
        return Err(refuse(format!(
            "--live: no instance `{label}` in the file, which has {known}"
        )));
    }
    if let Some(pcap) = &args.pcap
        && !args.force
        && pcap.symlink_metadata().is_ok()
    {
        return Err(refuse(format!("`{}` exists; --force replaces it", pcap.display())));
    }
    let Some(address) = args.api else { return Ok(Vec::new()) };
    if !http::is_loopback(&address) {
        return Err(refuse(format!("{address} is not a loopback address")));
    }
    match TcpListener::bind(address) {
        Ok(listener) => Ok(vec![listener.into()]),
        Err(error) => Err(refuse(format!("cannot listen on {address}: {error}"))),
    }
}

/// The network of the file at a moment; `None` after saying what is wrong.
fn build(args: &Args, moment: Instant, out: &mut Output) -> Option<run::Built> {
    let built = load::load(&args.file)
        .and_then(|loaded| run::build_at(&loaded, None, Twin::Compiled, moment));
    match built {
        Ok(built) => Some(built),
        Err(failure) => {
            out.diagnostics(&failure.diagnostics.render(&failure.sources, out.error_colour()));
            None
        }
    }
}

/// The server's world, for live hosts.
struct Stage(Arc<Server>);

impl Ground for Stage {
    fn act(&self, work: &mut dyn FnMut(&mut Sim, &mut dyn Observer)) -> Result<(), BrokenGround> {
        let acted = self.0.act(|world| {
            let (sim, recorders) = world.stage();
            work(sim, recorders);
        });
        acted.map_err(|_| BrokenGround)
    }

    fn look(&self, work: &mut dyn FnMut(&Cloud)) -> Result<(), BrokenGround> {
        self.0.look(work).map_err(|_| BrokenGround)
    }
}

/// What runs inside.
pub(super) fn inside(args: &Args, lab: Inside, out: &mut Output) -> Result<Exit, LiveError> {
    let doing = |what: &'static str| move |error: io::Error| LiveError::system(what, error);
    let clock = Clock::Ahead(AtomicU64::new(0));
    let Some(built) = build(args, clock.now(), out) else { return Ok(Exit::CouldNotRun) };
    let mut sim = built.into_sim();
    // Packets take real time as it is. What the file says of a link is added.
    sim.set_link_defaults(LinkDefaults::NONE);
    let mut world = World::around(sim);
    let view = View::default();
    world.recorders().invite(Box::new(view.clone()));
    let pcap = args.pcap.as_deref().map(Pcap::create).transpose();
    let pcap = pcap.map_err(|error| LiveError::system("cannot write the capture", error))?;
    if let Some(pcap) = &pcap {
        world.recorders().invite(Box::new(pcap.clone()));
    }
    let front = Front {
        limits: Limits::default().within(http::soft_limit()),
        hosts: Hosts::default(),
        counts: Arc::default(),
    };
    let identities = Identities::new(Keys::new(Seed::by_chance()));
    let server = Arc::new(Server::new(world, None, identities, clock, Arc::clone(&front.counts)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(doing("cannot start"))?;
    let mut about = format!("lab {}", lab.name);
    if let Some(socket) = lab.carried.first() {
        let listener = socket.try_clone().map_err(doing("cannot listen"))?;
        let listener = TcpListener::from(listener);
        listener.set_nonblocking(true).map_err(doing("cannot listen"))?;
        let address = listener.local_addr().map_err(doing("cannot listen"))?;
        let _guard = runtime.enter();
        let listener =
            tokio::net::TcpListener::from_std(listener).map_err(doing("cannot listen"))?;
        let server = Arc::clone(&server);
        runtime.spawn(http::serve(listener, server, front, std::future::pending()));
        about += &format!("  EC2 on http://{address}");
    }
    let ground: Arc<dyn Ground> = Arc::new(Stage(server));
    let engine = Engine::start(Arc::clone(&ground))?;
    let (end, ended) = mpsc::channel();
    let cast = match &args.live {
        None => Cast::Everybody,
        Some(labels) => Cast::These(labels.iter().cloned().collect()),
    };
    let runtime_handle = runtime.handle().clone();
    let roster = Arc::new(Roster::new(Arc::clone(&ground), engine, runtime_handle, cast, end));
    roster.follow()?;
    lab.ready(Arc::clone(&roster) as Arc<dyn Desk>)?;
    let show = Show::of(args);
    let lived = watch(&Watch { ground, view, roster, about, show }, pcap.as_ref(), &ended, out);
    if let Some(pcap) = &pcap {
        pcap.write_early(out);
    }
    // Whatever a client still waits for ends with the process.
    runtime.shutdown_background();
    lived.map(|()| Exit::Held)
}

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    /// As a screen that is drawn anew.
    Screen,
    /// As text that goes on: each kind of drop when it comes up.
    Log,
    /// As lines of JSON.
    Json,
}

impl Show {
    fn of(args: &Args) -> Show {
        match (args.json, io::stdout().is_terminal()) {
            (true, _) => Show::Json,
            (false, true) => Show::Screen,
            (false, false) => Show::Log,
        }
    }
}

/// What is watched.
struct Watch {
    ground: Arc<dyn Ground>,
    view: View,
    roster: Arc<Roster>,
    about: String,
    show: Show,
}

/// Follows the cloud and shows what happens, until somebody wants the end.
fn watch(
    of: &Watch,
    pcap: Option<&Pcap>,
    ended: &Receiver<()>,
    out: &mut Output,
) -> Result<(), LiveError> {
    let began = std::time::Instant::now();
    let mut drawn = began;
    let mut told = Told::default();
    if of.show == Show::Log {
        let _ = out.print(&format!("{}, {}\n", of.about, live(of)));
    }
    loop {
        match ended.recv_timeout(BEAT) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // Without it nothing moves any more.
        of.roster.engine().check()?;
        if let Err(error) = of.roster.follow() {
            out.error(&format!("error: {error}"));
        }
        if let Some(pcap) = pcap {
            pcap.write_early(out);
        }
        let now = std::time::Instant::now();
        let over = Span::from_nanos(u64::try_from((now - drawn).as_nanos()).unwrap_or(u64::MAX));
        drawn = now;
        let mut present = Instant::START;
        of.ground.act(&mut |sim, _| present = sim.now())?;
        let mut summary = None;
        of.ground.look(&mut |cloud| summary = Some(of.view.summary(cloud, present, over)))?;
        let Some(summary) = summary else { continue };
        let text = match of.show {
            Show::Json => stream::lines(&summary).iter().map(|line| format!("{line}\n")).collect(),
            Show::Log => told.news(&summary),
            Show::Screen => {
                let headline = format!(
                    "{}  {}{}  up {}  Ctrl-C ends it",
                    of.about,
                    live(of),
                    lost(of),
                    Span::from_secs(began.elapsed().as_secs())
                );
                let size = terminal_size();
                drawing(&screen::screen(&headline, &summary, size))
            }
        };
        // Nobody has to watch.
        let _ = out.print(&text);
    }
}

/// What is live, in words.
fn live(of: &Watch) -> String {
    match of.roster.hosts().len() {
        1 => "1 live instance".to_owned(),
        count => format!("{count} live instances"),
    }
}

/// What no observer sees: packets that the network delivered and a device did not take.
fn lost(of: &Watch) -> String {
    let counts = of.roster.engine().counts();
    let lost = [&counts.unwritten, &counts.misunderstood];
    match lost.map(|count| count.load(Ordering::Relaxed)).iter().sum() {
        0_u64 => String::new(),
        lost => format!("  {lost} packets lost at devices"),
    }
}

/// The screen from its top left corner on; what was there is overwritten, so that nothing flickers.
fn drawing(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}\u{1b}[K\n")).collect();
    format!("\u{1b}[H{lines}\u{1b}[J")
}

/// The size of the terminal, less a row for the cursor.
fn terminal_size() -> screen::Size {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
    screen::Size { rows: rows.max(9) - 1, columns: columns.max(40) }
}

/// What a log has told already.
#[derive(Default)]
struct Told(std::collections::BTreeMap<(String, Option<std::net::IpAddr>), String>);

impl Told {
    /// Drops of a kind that was not the last told of the same two ends.
    fn news(&mut self, summary: &Summary) -> String {
        let mut text = String::new();
        for ended in &summary.ended {
            let explained = screen::explained(&ended.told);
            let known = self.0.entry((ended.from.clone(), ended.to)).or_default();
            let heart = format!("{} {explained}", ended.reason.label());
            if *known != heart {
                text += &explained;
                text.push('\n');
                *known = heart;
            }
        }
        text
    }
}

/// A capture that can be read while it grows. Clones write the same file.
#[derive(Clone)]
struct Pcap(Arc<Mutex<Capture<File>>>);

impl Pcap {
    fn create(path: &Path) -> io::Result<Pcap> {
        // The world's instants are counted from 1970.
        let start = CalendarStart::from_unix_nanos(0).unwrap_or_default();
        Ok(Pcap(Arc::new(Mutex::new(Capture::new(File::create(path)?, start)))))
    }

    fn capture(&self) -> MutexGuard<'_, Capture<File>> {
        // The file ends with a whole block between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what there is; says so once if it cannot be.
    fn write_early(&self, out: &mut Output) {
        let mut capture = self.capture();
        let before = capture.failed().is_some();
        capture.write_early();
        if let Some(error) = capture.failed().filter(|_| !before) {
            out.error(&format!("error: the capture has ended: {error}"));
        }
    }
}

impl Observer for Pcap {
    fn see(&mut self, world: crate::sim::World<'_>, subject: Subject, what: Happening<'_>) {
        self.capture().see(world, subject, what);
    }

    fn look(&mut self, world: crate::sim::World<'_>) {
        self.capture().look(world);
    }
}
