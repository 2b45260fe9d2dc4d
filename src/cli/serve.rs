//! `vpclab serve`: the EC2 API on an address of this machine.
//!
//! Holds the flags, and what starts and stops a server. Refuses to answer requests.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;

use super::Exit;
use super::output::Output;
use crate::api::clock::Clock;
use crate::api::entry::{Entry, FORMAT, UnreadableEntry};
use crate::api::http::{self, Front, Hosts, Limits, MalformedHost};
use crate::api::identity::{Identities, Keys, Seed, Verification};
use crate::api::journal::{Journal, JournalError, Position};
use crate::api::records::Record;
use crate::api::server::Server;
use crate::api::world::{State, World};
use crate::base::id::AccountId;
use crate::base::limit::API_KEYS_FILE_BYTES_MAX;
use crate::cloud::profile::Profile;

/// How often the journal is looked after.
const TIDY: std::time::Duration = std::time::Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to listen; another address than a loopback one needs --public
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// Listen on an address that other machines reach. Nothing is checked there unless
    /// --verify-signatures is given
    #[arg(long)]
    public: bool,
    /// Keep the network in this directory: a change is answered once it is on disk
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The rule book: `seed` for 2014-15, `today` for 2026 [default: that of --data, else seed]
    #[arg(long, value_name = "PROFILE")]
    profile: Option<Profile>,
    /// Where the time comes from
    #[arg(long, value_enum, default_value_t = Time::Wall, value_name = "CLOCK")]
    clock: Time,
    /// Refuse requests without a valid signature of a key in --keys
    #[arg(long, requires = "keys")]
    verify_signatures: bool,
    /// Access keys with their accounts and secrets: `{"keys": [{"access_key", "account", "secret"}]}`
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The account of callers whose key is none of an account [default: 123456789012]
    #[arg(long, value_name = "ACCOUNT")]
    default_account: Option<AccountId>,
    /// Answer for this name of a host too, beside the loopback ones; may be given several times
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Time {
    /// This machine's clock
    Wall,
    /// A clock that stands still until `/_vpclab/clock/advance` moves it
    Virtual,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0} is not a loopback address; --public lets other machines in")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
    #[error(transparent)]
    Host(#[from] MalformedHost),
    #[error("{}: {why}", file.display())]
    Keys { file: PathBuf, why: String },
    #[error("{}: {why}", directory.display())]
    Data { directory: PathBuf, why: String },
    #[error("{} follows the profile `{profile}`, which cannot be changed", directory.display())]
    OtherProfile { directory: PathBuf, profile: Profile },
}

/// Serves until the process is told to stop.
pub(super) fn serve(args: &Args, out: &mut Output) -> io::Result<Exit> {
    Ok(match run(args, out) {
        Ok(()) => Exit::Held,
        Err(trouble) => {
            out.error(&format!("error: {trouble}"));
            Exit::CouldNotRun
        }
    })
}

fn run(args: &Args, out: &mut Output) -> Result<(), Trouble> {
    if !args.public && !http::is_loopback(&args.listen) {
        return Err(Trouble::NotLoopback(args.listen));
    }
    let (state, journal) = match &args.data {
        None => (State::empty(args.profile.unwrap_or_default()), None),
        Some(directory) => {
            let (state, journal) = recover(directory, args.profile)?;
            (state, Some(journal))
        }
    };
    let clock = match args.clock {
        Time::Wall => Clock::Wall,
        Time::Virtual => Clock::starting_at(state.now().max(Clock::Wall.now())),
    };
    let front = Front {
        limits: Limits::default().within(http::soft_limit()),
        hosts: Hosts::allowing(args.allow_host.iter().map(String::as_str))?,
        counts: Arc::default(),
    };
    let profile = state.profile();
    let counts = Arc::clone(&front.counts);
    // In memory, credentials end with the server that has handed them out.
    let seed = state.seed().cloned().unwrap_or_else(Seed::by_chance);
    let identities = identities(args, seed)?;
    let server = Arc::new(Server::new(World::new(state), journal, identities, clock, counts));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(args.listen)
            .await
            .map_err(|error| Trouble::Listen(args.listen, error))?;
        let address = listener.local_addr()?;
        out.print(&format!("EC2 on http://{address}, profile {profile}\n"))?;
        let tidier = Arc::clone(&server);
        tokio::spawn(async move {
            let mut every = tokio::time::interval(TIDY);
            every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                every.tick().await;
                let server = Arc::clone(&tidier);
                let tidied = tokio::task::spawn_blocking(move || server.tidy()).await;
                if let Ok(Err(fault)) = tidied {
                    tracing::error!(%fault, "no snapshot");
                }
            }
        });
        http::serve(listener, Arc::clone(&server), front, stopped()).await;
        Ok::<(), Trouble>(())
    })?;
    server.close();
    Ok(())
}

/// Who may call, and as whom.
fn identities(args: &Args, seed: Seed) -> Result<Identities, Trouble> {
    let mut keys = Keys::new(seed);
    if let Some(file) = &args.keys {
        let trouble = |why: &dyn std::fmt::Display| Trouble::Keys {
            file: file.clone(),
            why: why.to_string(),
        };
        let length = std::fs::metadata(file).map_err(|error| trouble(&error))?.len();
        if length > API_KEYS_FILE_BYTES_MAX {
            return Err(trouble(&format!("longer than {API_KEYS_FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(file).map_err(|error| trouble(&error))?;
        keys = keys.with_table(&text).map_err(|error| trouble(&error))?;
    }
    let mut identities = Identities::new(keys);
    identities.default_account = args.default_account.unwrap_or(identities.default_account);
    if args.verify_signatures {
        identities.verification = Verification::On;
    }
    Ok(identities)
}

/// Builds the world of a directory again.
fn recover(directory: &Path, profile: Option<Profile>) -> Result<(State, Journal), Trouble> {
    let trouble = |Damage(why)| Trouble::Data { directory: directory.to_owned(), why };
    let (journal, recovered) =
        Journal::open(directory, FORMAT).map_err(|error| trouble(error.into()))?;
    let is_new = recovered.last() == Position::NONE;
    let mut state = match recovered.snapshot() {
        None => State::empty(profile.unwrap_or_default()),
        Some((_, bytes)) => State::decode(bytes).map_err(|error| trouble(error.into()))?,
    };
    let replayed = recovered.replay(|_, bytes| {
        state.carry_out(&Entry::decode(bytes)?);
        Ok::<(), Damage>(())
    });
    replayed.map_err(trouble)?;
    if is_new {
        let founded = Record::Founded { profile: state.profile() };
        let seeded = Record::Seeded { seed: Seed::by_chance() };
        let entry = Entry { events: Vec::new(), records: vec![founded, seeded] };
        state.carry_out(&entry);
        journal.append(entry.encode().map_err(|error| trouble(error.into()))?);
    } else if profile.is_some_and(|wanted| wanted != state.profile()) {
        let profile = state.profile();
        return Err(Trouble::OtherProfile { directory: directory.to_owned(), profile });
    }
    Ok((state, journal))
}

/// What keeps a directory from being read.
struct Damage(String);

impl From<JournalError> for Damage {
    fn from(error: JournalError) -> Damage {
        Damage(error.to_string())
    }
}

impl From<UnreadableEntry> for Damage {
    fn from(error: UnreadableEntry) -> Damage {
        Damage(error.to_string())
    }
}

/// Completes when the process is asked to end.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    else {
        let _ = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}
