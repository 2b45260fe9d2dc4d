//! From a request to its answer: the table of operations, and what each is given.
//!
//! Holds the table, from which the coverage page is written too, and the two kinds of operations:
//! those that read an [`Ask`] and those that change the world through an [`Edit`]. Refuses to hold an
//! operation: each stands beside its noun in `operation/`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::entry::Entry;
use super::fault::{Fault, Status};
use super::filter::Filters;
use super::operation;
use super::params::Params;
use super::records::{Fact, Kind, Record, Records};
use super::world::World;
use super::xml::Xml;
use crate::base::id::InterfaceId;
use crate::base::limit::API_THINGS_MAX;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, Event, ResourceId};

/// One operation of the API.
#[derive(Debug)]
pub struct Operation {
    /// Its name: the value of `Action`.
    pub name: &'static str,
    /// The parameters that it takes, at the top. Others are ignored, and said to be.
    pub takes: &'static [&'static str],
    /// The filters that it has; none if it takes no `Filter`.
    pub filters: &'static [&'static str],
    /// What EC2 has of it and we do not, for the coverage page; empty if nothing.
    pub lacks: &'static str,
    /// What carries it out.
    pub run: Run,
}

/// What carries an operation out. It writes the elements of the answer that follow `requestId`.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// Nothing changes.
    Read(fn(&Ask<'_>, &mut Xml) -> Result<(), Fault>),
    /// Something may change. An operation that refuses has changed nothing.
    Write(fn(&mut Edit<'_>, &mut Xml) -> Result<(), Fault>),
}

/// The parameters that any operation may have.
const COMMON: &[&str] = &["Action", "Version", "DryRun", "ClientToken", "TagSpecification"];
/// Those that carry a signature in the query string.
const SIGNATURE: &[&str] = &[
    "AWSAccessKeyId",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "Expires",
    "SecurityToken",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
];

static TABLE: LazyLock<BTreeMap<&'static str, &'static Operation>> =
    LazyLock::new(|| operations().map(|(_, operation)| (operation.name, operation)).collect());

/// Every operation, with the area it belongs to, in the order of the areas.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static Operation)> {
    operation::AREAS.iter().flat_map(|(area, rows)| rows.iter().map(move |row| (*area, row)))
}

/// The operation of this name.
pub fn find(name: &str) -> Option<&'static Operation> {
    TABLE.get(name).copied()
}

impl Operation {
    /// The parameters of a request that mean nothing to this operation.
    pub fn ignored<'p>(&self, params: &'p Params) -> impl Iterator<Item = &'p str> {
        let pages = ["MaxResults", "NextToken", "Filter"];
        params.names().filter(move |name| {
            let known = [COMMON, SIGNATURE, self.takes].iter().any(|set| set.contains(name))
                || (self.pages() && pages.contains(name));
            !known
        })
    }

    /// Does it answer in pages?
    pub fn pages(&self) -> bool {
        self.name.starts_with("Describe")
    }
}

/// What a reading operation is given.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The world as it is.
    pub world: &'a World,
    /// Who asks.
    pub caller: &'a Caller,
    /// What was asked.
    pub params: &'a Params,
    /// The present.
    pub now: Instant,
    /// The operation.
    pub operation: &'static Operation,
}

impl<'a> Ask<'a> {
    /// The cloud.
    pub fn cloud(&self) -> &'a Cloud {
        self.world.cloud()
    }

    /// What is remembered beside the cloud.
    pub fn records(&self) -> &'a Records {
        self.world.records()
    }

    /// The filters of the request.
    ///
    /// # Errors
    /// One that the operation does not have.
    pub fn filters(&self) -> Result<Filters, Fault> {
        Filters::parse(self.params, self.operation.filters)
    }

    /// The caller's tags of a resource.
    pub fn tags(&self, of: ResourceId) -> &'a BTreeMap<String, String> {
        self.cloud().tags(of, self.caller.account)
    }

    /// Something that is remembered of a resource.
    pub fn fact(&self, of: impl std::fmt::Display, fact: Fact) -> Option<&'a str> {
        self.records().fact(&of.to_string(), fact)
    }
}

/// Is a request meant?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meant {
    Yes,
    /// No: it is asked for whether it would be refused (`DryRun`).
    No {
        /// Has it come to something that would have changed?
        would_change: bool,
    },
}

/// What a request that is not meant is answered if it would not be refused.
pub(super) fn dry_run() -> Fault {
    let message = "Request would have succeeded, but DryRun flag is set.";
    Fault::new("DryRunOperation", message).with_status(Status::DryRun)
}

/// What a changing operation is given. Every change goes through it, so that the journal hears of it.
#[derive(Debug)]
pub struct Edit<'a> {
    world: &'a mut World,
    /// Who asks.
    pub caller: &'a Caller,
    /// What was asked.
    pub params: &'a Params,
    /// The present.
    pub now: Instant,
    /// The operation.
    pub operation: &'static Operation,
    entry: Entry,
    meant: Meant,
}

impl<'a> Edit<'a> {
    /// An edit that has changed nothing yet.
    pub fn new(
        world: &'a mut World,
        caller: &'a Caller,
        params: &'a Params,
        now: Instant,
        operation: &'static Operation,
    ) -> Edit<'a> {
        let entry = Entry::default();
        Edit { world, caller, params, now, operation, entry, meant: Meant::Yes }
    }

    /// Runs an operation as far as it can be refused, and changes nothing: only the first change that
    /// an operation comes to can be, so it is asked whether the cloud would refuse that one.
    ///
    /// Returns what the operation would be refused with, else `DryRunOperation`.
    pub fn rehearse(mut self, run: fn(&mut Edit<'_>, &mut Xml) -> Result<(), Fault>) -> Fault {
        self.meant = Meant::No { would_change: false };
        let ran = run(&mut self, &mut Xml::part());
        match (ran, self.meant) {
            // Behind a change that did not take place, an operation misses what it would have made.
            (Err(fault), Meant::No { would_change: false }) => fault,
            _ => dry_run(),
        }
    }

    /// What has been changed.
    pub fn finish(self) -> Entry {
        self.entry
    }

    /// The world as it has become, for writing the answer.
    pub fn ask(&self) -> Ask<'_> {
        let Edit { world, caller, params, now, operation, .. } = self;
        Ask { world, caller, params, now: *now, operation }
    }

    /// The cloud as it has become.
    pub fn cloud(&self) -> &Cloud {
        self.world.cloud()
    }

    /// What is remembered beside the cloud.
    pub fn records(&self) -> &Records {
        self.world.records()
    }

    /// Asks the cloud.
    ///
    /// # Errors
    /// The cloud's refusal. An operation of several commands sees to it beforehand that only the
    /// first can be refused.
    pub fn apply(&mut self, command: &Command) -> Result<Vec<Event>, Fault> {
        if let Meant::No { would_change } = &mut self.meant {
            if !*would_change {
                self.world.cloud().check(self.caller, command, self.now)?;
                *would_change = true;
            }
            return Err(dry_run());
        }
        let events = self.world.apply(self.caller, command)?;
        self.entry.events.extend_from_slice(&events);
        for event in &events {
            // What is gone for everybody is remembered no more.
            match event.change {
                Change::InstanceForgotten { instance } => self.forget(instance),
                Change::InterfaceDeleted { interface } => self.forget_interface(interface),
                Change::InstanceTerminated { interface, .. }
                    if self.cloud().interface(interface).is_none() =>
                {
                    self.forget_interface(interface);
                }
                _ => {}
            }
        }
        Ok(events)
    }

    /// Asks the cloud, and finds in what happened what the caller looks for.
    ///
    /// # Errors
    /// The cloud's refusal; `InternalError` if it is not there, which would be a fault of ours.
    pub fn apply_for<T>(
        &mut self,
        command: &Command,
        find: impl Fn(&Change) -> Option<T>,
    ) -> Result<T, Fault> {
        let events = self.apply(command)?;
        events.iter().find_map(|event| find(&event.change)).ok_or_else(|| {
            let message = format!("{command:?} did not do what it is for");
            Fault::new("InternalError", message).with_status(super::fault::Status::Internal)
        })
    }

    /// Changes what is remembered beside the cloud.
    pub fn record(&mut self, record: Record) {
        if let Meant::No { would_change } = &mut self.meant {
            *would_change = true;
            return;
        }
        self.world.carry_out(&record);
        self.entry.records.push(record);
    }

    /// Remembers something of a resource; an empty value forgets it.
    pub fn remember(&mut self, of: impl std::fmt::Display, fact: Fact, value: impl Into<String>) {
        self.record(Record::Set { of: of.to_string(), fact, value: value.into() });
    }

    /// Makes a resource that only the API has, of the caller in its region.
    pub fn make(&mut self, kind: Kind) -> String {
        let id = self.records().next_id(kind);
        self.make_known(kind, &id);
        id
    }

    /// As [`Edit::make`], as long as there are not too many of the kind.
    ///
    /// # Errors
    /// `ResourceLimitExceeded`.
    pub fn make_another(&mut self, kind: Kind) -> Result<String, Fault> {
        let Caller { account, region } = self.caller;
        if self.records().owned(kind, *account, region).nth(API_THINGS_MAX - 1).is_some() {
            let message = format!(
                "The maximum of {API_THINGS_MAX} has been reached ({})",
                kind.resource_type()
            );
            return Err(Fault::new("ResourceLimitExceeded", message));
        }
        Ok(self.make(kind))
    }

    /// As [`Edit::make`], of a resource that has had this id all along.
    pub fn make_known(&mut self, kind: Kind, id: &str) {
        let (owner, region) = (self.caller.account, self.caller.region.clone());
        self.record(Record::Made { kind, id: id.to_owned(), owner, region });
    }

    /// Forgets an interface, and how it last belonged to an instance.
    fn forget_interface(&mut self, id: InterfaceId) {
        operation::interface::forget_attachment(self, id);
        self.forget(id);
    }

    /// Forgets all that was remembered of a resource that is gone, and of what went with it.
    pub fn forget(&mut self, id: impl std::fmt::Display) {
        let id = id.to_string();
        let with_it = self.records().fact(&id, Fact::GoesWith).unwrap_or_default();
        let with_it: Vec<String> = with_it.split(' ').map(str::to_owned).collect();
        for id in with_it.into_iter().filter(|id| !id.is_empty()) {
            self.record(Record::Gone { id });
        }
        self.record(Record::Gone { id });
    }

    /// The tags that the request wants on a new resource of this type (`TagSpecification.N`), valid
    /// ones: tagging with them cannot be refused.
    ///
    /// # Errors
    /// A tag that cannot be, or a specification for another type of resource.
    pub fn new_tags(&self, resource_type: &str) -> Result<Vec<(String, String)>, Fault> {
        operation::tag::specified(self.params, &[resource_type], resource_type)
    }

    /// Tags a new resource of the cloud. `tags` come from [`Edit::new_tags`].
    ///
    /// # Errors
    /// None that is known, see there.
    pub fn tag(&mut self, resource: ResourceId, tags: Vec<(String, String)>) -> Result<(), Fault> {
        if !tags.is_empty() {
            self.apply(&Command::CreateTags { resource, tags })?;
        }
        Ok(())
    }

    /// Tags a new resource that only the API has.
    pub fn tag_thing(&mut self, of: &str, tags: Vec<(String, String)>) {
        for (key, value) in tags {
            self.record(Record::Tagged { of: of.to_owned(), key, value });
        }
    }

    /// The world, for what is no change of the network: sending packets through it.
    pub fn world(&mut self) -> &mut World {
        self.world
    }

    /// Does the host behind an interface run?
    pub fn runs(&self, interface: InterfaceId) -> bool {
        self.cloud().runs(interface)
    }
}
