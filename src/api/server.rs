//! The server: a request comes in, an answer goes out, and what it changed is on disk before that.
//!
//! Holds the one world behind its lock, and the order of things for each request: who asks, which
//! operation, carry it out, keep it, answer. Refuses to know HTTP (`http.rs`) and any operation.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::clock::Clock;
use super::dispatch::{Ask, Edit, Operation, Run, dry_run, find};
use super::entry::Entry;
use super::fault::{Fault, Status};
use super::http::{Answer, Counts, Method, Request, Service};
use super::identity::{Denied, Identities, Identity};
use super::journal::{Journal, Position};
use super::metrics::{Gauges, Metrics, Outcome, UNKNOWN_OPERATION};
use super::operation::dhcp;
use super::params::Params;
use super::records::{Record, Token};
use super::world::World;
use super::xml::Xml;
use super::{local, sts};
use crate::base::limit::API_PLACES_MAX;
use crate::base::rng::mix;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;

/// The version of the API that a request without one is answered in.
const VERSION: &str = "2016-11-15";

/// A running server.
#[derive(Debug)]
pub struct Server {
    world: RwLock<World>,
    journal: Option<Journal>,
    identities: Identities,
    clock: Clock,
    metrics: Metrics,
    /// What the HTTP front counts.
    counts: Arc<Counts>,
    /// Requests so far: their ids follow from it.
    requests: AtomicU64,
}

impl Server {
    /// A server of this world. Without a journal all is in memory.
    pub fn new(
        world: World,
        journal: Option<Journal>,
        identities: Identities,
        clock: Clock,
        counts: Arc<Counts>,
    ) -> Server {
        let requests = AtomicU64::new(0);
        let (world, metrics) = (RwLock::new(world), Metrics::new());
        Server { world, journal, identities, clock, metrics, counts, requests }
    }

    /// The server's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What it counts.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Who its callers are.
    pub(super) fn identities(&self) -> &Identities {
        &self.identities
    }

    /// All figures, as text.
    pub(super) fn figures(&self, gauges: &Gauges) -> String {
        self.metrics.render(gauges, &self.counts)
    }

    /// The world, for reading.
    ///
    /// # Errors
    /// `InternalError` after a fault of this program while the world was being changed: what is on
    /// disk is whole, what is in memory may not be.
    pub(super) fn read(&self) -> Result<RwLockReadGuard<'_, World>, Fault> {
        self.world.read().map_err(|_| broken())
    }

    /// The world, for changing. Whoever changes what a journal has to keep uses [`Server::edit`].
    ///
    /// # Errors
    /// `InternalError` after a fault of this program while the world was being changed.
    pub(super) fn write(&self) -> Result<RwLockWriteGuard<'_, World>, Fault> {
        self.world.write().map_err(|_| broken())
    }

    /// Works on the world of this moment, to send packets: nothing that a journal has to keep.
    ///
    /// # Errors
    /// `InternalError` after a fault of this program while the world was being changed.
    pub fn act<T>(&self, work: impl FnOnce(&mut World) -> T) -> Result<T, Fault> {
        let mut world = self.write()?;
        let now = world.move_to(self.clock.now());
        self.clock.catch_up(now);
        Ok(work(&mut world))
    }

    /// Looks at the cloud.
    ///
    /// # Errors
    /// `InternalError` after a fault of this program while the world was being changed.
    pub fn look<T>(&self, work: impl FnOnce(&Cloud) -> T) -> Result<T, Fault> {
        Ok(work(self.read()?.cloud()))
    }

    /// Empties the world: no account has ever asked for anything.
    ///
    /// # Errors
    /// `InternalError` after a fault of this program while the world was being changed.
    pub(super) fn empty(&self) -> Result<Position, Fault> {
        let mut world = self.write()?;
        world.empty();
        self.append(&Entry { events: Vec::new(), records: vec![Record::Emptied] })?;
        Ok(self.seen())
    }

    /// How far the journal has got with what the world shows.
    pub(super) fn seen(&self) -> Position {
        self.journal.as_ref().map_or(Position::NONE, Journal::position)
    }

    /// Waits until the journal has got that far.
    ///
    /// # Errors
    /// `InternalError` if it cannot.
    pub(super) async fn kept(&self, upto: Position) -> Result<(), Fault> {
        let Some(journal) = &self.journal else { return Ok(()) };
        let begun = std::time::Instant::now();
        let kept = journal.durable(upto).await;
        self.metrics.journal_wait(begun.elapsed());
        kept.map_err(|error| {
            tracing::error!(%error, "the journal cannot be written");
            internal("The change could not be kept")
        })
    }

    /// Writes the state down if the journal has grown enough, so that a start stays short. Nothing
    /// changes meanwhile.
    ///
    /// # Errors
    /// `InternalError` after a fault of this program while the world was being changed.
    pub fn tidy(&self) -> Result<(), Fault> {
        let Some(journal) = self.journal.as_ref().filter(|journal| journal.wants_snapshot()) else {
            return Ok(());
        };
        let world = self.read()?;
        let upto = journal.position();
        let state = world.state();
        drop(world);
        let state = state.encode().map_err(|error| internal(&error.to_string()))?;
        tracing::info!(bytes = state.len(), position = upto.get(), "snapshot");
        journal.snapshot(upto, state);
        Ok(())
    }

    /// Flushes the journal.
    pub fn close(&self) {
        if let Some(journal) = &self.journal
            && let Err(error) = journal.close()
        {
            tracing::error!(%error, "the journal cannot be closed");
        }
    }

    /// The first request of an account in a region finds what every region has: a default VPC, a set
    /// of DHCP options.
    fn welcome(&self, caller: &Caller) -> Result<(), Fault> {
        if self.read()?.records().has_seen(caller.account, &caller.region) {
            return Ok(());
        }
        let mut world = self.write()?;
        if world.records().has_seen(caller.account, &caller.region) {
            return Ok(());
        }
        if world.records().places() >= API_PLACES_MAX {
            let message = format!("More than {API_PLACES_MAX} accounts and regions are in use.");
            return Err(
                Fault::new("RequestLimitExceeded", message).with_status(Status::Unavailable)
            );
        }
        let now = world.move_to(self.clock.now());
        let params = Params::default();
        let Some(operation) = find("DescribeVpcs") else { return Err(internal("no operations")) };
        let mut edit = Edit::new(&mut world, caller, &params, now, operation);
        let (account, region) = (caller.account, caller.region.clone());
        edit.record(Record::Seen { account, region });
        dhcp::make_default(&mut edit);
        let welcomed = edit.apply(&Command::CreateDefaultVpc).map(drop);
        self.keep(edit)?;
        welcomed
    }

    /// Hands what an edit has changed to the journal.
    fn keep(&self, edit: Edit<'_>) -> Result<(), Fault> {
        self.append(&edit.finish())
    }

    /// Called while the world is held for changing, so that entries stand in the order of changes.
    fn append(&self, entry: &Entry) -> Result<(), Fault> {
        if let Some(journal) = &self.journal
            && !entry.is_empty()
        {
            journal.append(entry.encode().map_err(|error| internal(&error.to_string()))?);
        }
        Ok(())
    }

    /// Carries an operation out: the elements of its answer, and how far the journal has seen it.
    fn carry_out(
        &self,
        operation: &'static Operation,
        caller: &Caller,
        params: &Params,
    ) -> Result<(Xml, Position), Fault> {
        self.welcome(caller)?;
        let is_dry_run = params.flag("DryRun")? == Some(true);
        match operation.run {
            Run::Read(run) => {
                let world = self.read()?;
                let now = world.now(self.clock.now());
                let mut xml = Xml::part();
                run(&Ask { world: &world, caller, params, now, operation }, &mut xml)?;
                if is_dry_run { Err(dry_run()) } else { Ok((xml, self.seen())) }
            }
            Run::Write(run) => {
                if self.journal.as_ref().is_some_and(|journal| !journal.has_room()) {
                    let message = "The journal is behind; try again.";
                    return Err(Fault::new("RequestLimitExceeded", message)
                        .with_status(Status::Unavailable));
                }
                let mut world = self.write()?;
                let now = world.move_to(self.clock.now());
                let mut edit = Edit::new(&mut world, caller, params, now, operation);
                if is_dry_run {
                    return Err(edit.rehearse(run));
                }
                let answer = answer_once(&mut edit, run);
                let entry = edit.finish();
                // A refused operation has changed nothing; if it has all the same, the journal has to
                // know what the memory knows.
                self.append(&entry)?;
                debug_assert!(answer.is_ok() || entry.is_empty(), "{answer:?}, yet {entry:?}");
                Ok((answer?, self.seen()))
            }
        }
    }

    /// One request of EC2's protocol.
    async fn ec2(&self, params: &Params, identity: &Identity, request_id: &str) -> Answer {
        let begun = std::time::Instant::now();
        let caller = &identity.caller;
        let action = params.text("Action").unwrap_or_default();
        let operation = find(action);
        let outcome = match operation {
            Some(operation) => self.carry_out(operation, caller, params),
            None if action.is_empty() => {
                Err(Fault::new("MissingAction", "The request must contain the parameter Action"))
            }
            None => Err(Fault::new(
                "InvalidAction",
                format!(
                    "The action {action} is not valid for this web service. vpclab does not have \
                     it; docs/ec2-coverage.md lists what it has."
                ),
            )),
        };
        let outcome = match outcome {
            Ok((xml, seen)) => self.kept(seen).await.map(|()| xml),
            Err(fault) => {
                // A refusal too tells what has been seen.
                self.kept(self.seen()).await.and(Err(fault))
            }
        };
        let name = operation.map_or(UNKNOWN_OPERATION, |operation| operation.name);
        let told = match &outcome {
            Ok(_) => Outcome::Answered,
            Err(fault) if fault.status() == Status::Internal => Outcome::Failed(fault.code()),
            Err(fault) => Outcome::Refused(fault.code()),
        };
        self.metrics.request(name, told, begun.elapsed());
        let mut answer = match outcome {
            Ok(xml) => {
                tracing::debug!(operation = name, account = %caller.account, "answered");
                let version = params.text("Version").filter(|v| is_version(v)).unwrap_or(VERSION);
                let mut document = Xml::document();
                let namespace = format!("http://ec2.amazonaws.com/doc/{version}/");
                document.group_of(&format!("{name}Response"), &namespace, |document| {
                    document.text("requestId", request_id);
                    document.raw(&xml.finish());
                });
                Answer::xml(200, document.finish())
            }
            Err(fault) => {
                tracing::info!(operation = action, account = %caller.account, code = fault.code(), "refused");
                Answer::xml(fault.status().number(), fault.ec2_document(request_id))
            }
        };
        if let Some(operation) = operation {
            let ignored: Vec<&str> = operation.ignored(params).collect();
            if !ignored.is_empty() {
                // Nothing silent: what is not modelled is said to be.
                let ignored = ignored.join(", ");
                tracing::warn!(operation = name, parameters = ignored, "ignored");
                answer = answer.with_header("x-vpclab-ignored", header_safe(&ignored));
            }
        }
        answer
    }

    /// Anything that speaks AWS's query protocol: EC2, and STS on the same address.
    async fn query(&self, request: &Request) -> Answer {
        let id = self.request_id();
        let form: &[u8] = if request.method == Method::Post { &request.body } else { b"" };
        let refused = |fault: Fault| Answer::xml(fault.status().number(), fault.ec2_document(&id));
        let params = match Params::parse([request.query.as_bytes(), form]) {
            Ok(params) => params,
            Err(fault) => return refused(fault),
        };
        // Clients sign with the time that they see, whatever the time is in the emulated world.
        let identity = match self.identities.of(request, Clock::Wall.now()) {
            Ok(identity) => identity,
            Err(Denied { code, status, message }) => {
                self.metrics.request(UNKNOWN_OPERATION, Outcome::Refused(code), Duration::ZERO);
                let fault = Fault::new(code, message);
                return Answer::xml(status, fault.ec2_document(&id));
            }
        };
        match sts::answer(self, &params, &identity, &id) {
            // The credentials that it hands out have to be known after a restart.
            Some(answer) => self.kept(self.seen()).await.map_or_else(refused, |()| answer),
            None => self.ec2(&params, &identity, &id).await,
        }
    }
}

impl Service for Server {
    /// In the form of AWS's.
    fn request_id(&self) -> String {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (mix(n), mix(!n));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }

    async fn answer(&self, request: Request) -> Answer {
        match request.path.as_str() {
            "/" | "" => self.query(&request).await,
            path if path.starts_with(local::ROOT) => local::answer(self, &request).await,
            path => {
                let message =
                    format!("{path} is nothing here: clients ask at /, people at {}", local::ROOT);
                let fault = Fault::new("InvalidAction", message).with_status(Status::NotFound);
                Answer::xml(404, fault.ec2_document(&self.request_id()))
            }
        }
    }
}

/// Runs an operation, unless a request with the same client token has been answered before.
fn answer_once(
    edit: &mut Edit<'_>,
    run: fn(&mut Edit<'_>, &mut Xml) -> Result<(), Fault>,
) -> Result<Xml, Fault> {
    let mut xml = Xml::part();
    let Some(token) = edit.params.text("ClientToken") else {
        run(edit, &mut xml)?;
        return Ok(xml);
    };
    let token = Token {
        account: edit.caller.account,
        region: edit.caller.region.clone(),
        operation: edit.operation.name.to_owned(),
        token: token.to_owned(),
    };
    let asked = fingerprint(edit.params);
    if let Some((before, answer)) = edit.records().answered(&token) {
        if before != asked {
            let message = "The client token has been used with other parameters.";
            return Err(Fault::new("IdempotentParameterMismatch", message));
        }
        xml.raw(answer);
        return Ok(xml);
    }
    run(edit, &mut xml)?;
    let answer = xml.clone().finish();
    edit.record(Record::Answered { token, request: asked, answer });
    Ok(xml)
}

/// A number that tells requests with other parameters apart. The same after a restart.
fn fingerprint(params: &Params) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    params.hash(&mut hasher);
    mix(hasher.finish())
}

/// Is it a version of the API: a date?
fn is_version(text: &str) -> bool {
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// What a header can carry.
fn header_safe(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// A fault of this program.
pub(super) fn internal(message: &str) -> Fault {
    Fault::new("InternalError", message).with_status(Status::Internal)
}

fn broken() -> Fault {
    internal("An internal error has occurred before; restart the server.")
}

/// The present of a request.
pub(super) fn present(server: &Server, world: &World) -> Instant {
    world.now(server.clock.now())
}
