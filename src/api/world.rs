//! The world that a server keeps: the cloud with its packets, and what is remembered beside it.
//!
//! Holds both, how they are changed, and how they are built again from the journal. Refuses to hold
//! who may ask for what, and to do I/O.

use serde::{Deserialize, Serialize};

use super::entry::{self, Entry, UnreadableEntry};
use super::identity::Seed as CredentialSeed;
use super::metrics::Gauges;
use super::recorders::Recorders;
use super::records::{Record, Records};
use crate::base::rng::Seed;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::Event;
use crate::cloud::peering::Status;
use crate::cloud::profile::Profile;
use crate::cloud::refusal::Refusal;
use crate::sim::{Observer, ProbeId, RunError, Sim, Twin};

/// How long transient states last: they show in the answer to the request that starts them and
/// have settled by the next one, so that no client's waiter waits (vpc-semantics 2.1, 6.6).
pub const SETTLE: Span = Span::TICK;

/// The world.
#[derive(Debug)]
pub struct World {
    sim: Sim,
    records: Records,
    recorders: Recorders,
    /// Has the cloud changed since the recorders looked at it?
    changed: bool,
    /// Questions that packets were sent for, modulo 2^16: each has ports and identifiers of its own.
    questions: u16,
}

/// The state of a world, as a snapshot keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub struct State {
    cloud: Cloud,
    records: Records,
}

impl State {
    /// A world without anything.
    pub fn empty(profile: Profile) -> State {
        State { cloud: Cloud::new(profile, SETTLE), records: Records::default() }
    }

    /// Carries out again what a request had changed.
    pub fn carry_out(&mut self, entry: &Entry) {
        for record in &entry.records {
            match record {
                Record::Founded { profile } => *self = State::empty(*profile),
                Record::Emptied => *self = emptied(&self.cloud, &self.records),
                _ => {}
            }
        }
        entry.events.iter().for_each(|event| self.cloud.carry_out(event));
        entry.records.iter().for_each(|record| self.records.carry_out(record));
    }

    /// What the credentials of assumed roles follow from, if the journal has kept it.
    pub fn seed(&self) -> Option<&CredentialSeed> {
        self.records.seed()
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// None that is known, as with entries.
    pub fn encode(&self) -> Result<Vec<u8>, UnreadableEntry> {
        entry::encode(self)
    }

    /// The state that these bytes encode.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<State, UnreadableEntry> {
        entry::decode(bytes)
    }

    /// When the last thing happened.
    pub fn now(&self) -> Instant {
        self.cloud.latest()
    }

    /// The rule book it follows.
    pub fn profile(&self) -> Profile {
        self.cloud.profile()
    }
}

/// What is left of a world that is emptied: its rule book, and what credentials follow from.
fn emptied(cloud: &Cloud, records: &Records) -> State {
    State { records: records.emptied(), ..State::empty(cloud.profile()) }
}

impl World {
    /// The world in this state.
    pub fn new(state: State) -> World {
        // Nothing in a server's world is left to chance but what links lose, and they lose nothing.
        let sim = Sim::new(state.cloud, Seed(0), Twin::Compiled);
        World { records: state.records, ..World::around(sim) }
    }

    /// The world of this simulator, of whose cloud nobody has asked anything yet.
    pub fn around(mut sim: Sim) -> World {
        sim.set_settle(SETTLE);
        World {
            sim,
            records: Records::default(),
            recorders: Recorders::default(),
            changed: true,
            questions: 0,
        }
    }

    /// Its state, for a snapshot.
    pub fn state(&self) -> State {
        State { cloud: self.cloud().clone(), records: self.records.clone() }
    }

    /// Empties the world. Who listens to it goes on, and its links are as they were.
    pub fn empty(&mut self) {
        let mut left = World::new(emptied(self.cloud(), &self.records));
        left.sim.set_link_defaults(self.sim.link_defaults());
        left.recorders = self.recorders.anew();
        *self = left;
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        self.sim.cloud()
    }

    /// What is remembered beside it.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The present of the world: no earlier than `moment`, and later than anything that has happened,
    /// so that what a request has started has settled by the next one.
    pub fn now(&self, moment: Instant) -> Instant {
        moment.max(self.sim.now() + Span::TICK)
    }

    /// Moves the present on. What still happens by itself until then does: a host's TCP wakes, a
    /// fragment whose packet is lost arrives.
    pub fn move_to(&mut self, moment: Instant) -> Instant {
        let now = self.now(moment);
        if self.sim.next_event().is_some_and(|at| at <= now) {
            self.look();
            if let Err(error) = self.sim.run_until(now, &mut self.recorders) {
                tracing::error!(%error, "time stands still");
                return self.sim.now();
            }
        }
        self.sim.move_to(now);
        self.sim.now()
    }

    /// Tells the recorders what has changed, and what time it is.
    pub fn look(&mut self) {
        self.sim.look_around();
        self.recorders.look(self.sim.world());
        self.changed = false;
    }

    /// Has it been looked at since it changed?
    pub fn is_looked_at(&self) -> bool {
        !self.changed
    }

    /// The world as packets see it. Whoever has changed it looks around first.
    pub fn view(&self) -> crate::sim::World<'_> {
        self.sim.world()
    }

    /// What listens to packets.
    pub fn recorders(&mut self) -> &mut Recorders {
        &mut self.recorders
    }

    /// A number for the next question.
    pub(super) fn next_question(&mut self) -> u16 {
        self.questions = self.questions.wrapping_add(1);
        self.questions
    }

    /// Sends packets and lets them meet their fates; `hear` hears of them beside the recorders.
    ///
    /// # Errors
    /// That of `start`, or of the run. What was started goes on then as time passes.
    pub fn run<E: From<RunError>>(
        &mut self,
        start: impl FnOnce(&mut Sim) -> Result<ProbeId, E>,
        hear: &mut impl Observer,
    ) -> Result<ProbeId, E> {
        if self.changed {
            self.look();
        }
        let probe = start(&mut self.sim)?;
        self.sim.run_probe(probe, &mut (&mut self.recorders, hear))?;
        Ok(probe)
    }

    /// Asks the cloud, now.
    ///
    /// # Errors
    /// The cloud's refusal; nothing has changed then.
    pub fn apply(&mut self, caller: &Caller, command: &Command) -> Result<Vec<Event>, Refusal> {
        self.changed = true;
        self.sim.apply(caller, command)
    }

    /// Changes what is remembered.
    pub fn carry_out(&mut self, record: &Record) {
        self.records.carry_out(record);
    }

    /// The simulator and who has to hear of its packets. Looks at what has changed before.
    pub fn stage(&mut self) -> (&mut Sim, &mut Recorders) {
        if self.changed {
            self.look();
        }
        (&mut self.sim, &mut self.recorders)
    }

    /// The simulator, to send packets.
    pub fn sim(&mut self) -> &mut Sim {
        &mut self.sim
    }

    /// How many of everything there are, for metrics. Linear in the cloud.
    pub fn gauges(&self, now: Instant) -> Gauges {
        let cloud = self.cloud();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let by_status = Status::ALL.map(|status| {
            let peerings = cloud.peerings().filter(|peering| peering.status(now) == status);
            (status.code(), count(peerings.count()))
        });
        Gauges::new()
            .with("vpcs", "VPCs", count(cloud.vpcs().count()))
            .with("subnets", "Subnets", count(cloud.subnets().count()))
            .with("route_tables", "Route tables", count(cloud.tables().count()))
            .with("instances", "Instances", count(cloud.instances().count()))
            .with("interfaces", "Network interfaces", count(cloud.interfaces().count()))
            .with("security_groups", "Security groups", count(cloud.groups().count()))
            .with("network_acls", "Network ACLs", count(cloud.acls().count()))
            .with_rows("peerings", "Peering connections by status", "status", by_status)
    }
}
