//! The world that a server keeps: the cloud with its packets, and what is remembered beside it.
//!
//! Holds both, how they are changed, and how they are built again from the journal. Refuses to hold
//! who may ask for what, and to do I/O.

use serde::{Deserialize, Serialize};

use super::entry::{self, Entry, UnreadableEntry};
use super::metrics::Gauges;
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
use crate::sim::{Sim, Twin};

/// How long transient states last: they show in the answer to the request that starts them and
/// have settled by the next one, so that no client's waiter waits (vpc-semantics 2.1, 6.6).
pub const SETTLE: Span = Span::TICK;

/// The world.
#[derive(Debug)]
pub struct World {
    sim: Sim,
    records: Records,
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
                Record::Emptied => *self = State::empty(self.profile()),
                _ => {}
            }
        }
        entry.events.iter().for_each(|event| self.cloud.carry_out(event));
        entry.records.iter().for_each(|record| self.records.carry_out(record));
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

impl World {
    /// The world in this state.
    pub fn new(state: State) -> World {
        // Nothing in a server's world is left to chance but what links lose, and they lose nothing.
        World { sim: Sim::new(state.cloud, Seed(0), Twin::Compiled), records: state.records }
    }

    /// Its state, for a snapshot.
    pub fn state(&self) -> State {
        State { cloud: self.cloud().clone(), records: self.records.clone() }
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        self.sim.cloud()
    }

    /// What is remembered beside it.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The present of the world: no earlier than `moment`, nor than anything that has happened.
    pub fn now(&self, moment: Instant) -> Instant {
        moment.max(self.sim.now())
    }

    /// Moves the present on.
    pub fn move_to(&mut self, moment: Instant) -> Instant {
        // Packets on their way at that moment have arrived: traffic is always run to its end.
        self.sim.move_to(moment);
        self.sim.now()
    }

    /// Asks the cloud, now.
    ///
    /// # Errors
    /// The cloud's refusal; nothing has changed then.
    pub fn apply(&mut self, caller: &Caller, command: &Command) -> Result<Vec<Event>, Refusal> {
        self.sim.apply(caller, command)
    }

    /// Changes what is remembered.
    pub fn carry_out(&mut self, record: &Record) {
        self.records.carry_out(record);
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
