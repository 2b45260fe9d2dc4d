//! Level 4, the world in motion: virtual time, links, and what instances do.
//!
//! Holds [`Sim`], the only owner of the cloud and of the event queue during a run. Refuses to know
//! files, reports or sockets; time moves only when [`Sim::run_until`] is called, and everything that
//! happens to a packet is told to an [`Observer`]. What happens between leaving and arriving is in
//! `flight.rs`, what hosts do with what they get in `host.rs`.

mod ahead;
mod bounds;
mod flight;
mod host;
mod link;
pub mod observe;
mod plane;
mod probes;
mod queue;
mod stage_door;
pub mod tcp;
pub mod traffic;

#[cfg(test)]
mod tests;

pub use bounds::RunError;
pub use link::{LinkDefaults, LinkOf, LinkSpec};
pub use observe::{Happening, Observer, Subject, World};
pub use stage_door::Player;
pub use traffic::{Datagrams, Leg, Load, Pace, ProbeId, ProbeTally, Source, Tally};

use ahead::{Foresight, Verdict};
use bounds::Bounds;
use flight::{InFlight, Train};
use host::Host;
use link::Link;
use plane::{Plane, Refreshed};
use probes::Probes;
use queue::{EventQueue, Key, Kind};
use stage_door::StageDoor;
use tcp::{ConnectionId, Report, Serve, TcpError, Transfer};
use traffic::ActiveSource;

use crate::base::id::*;
use crate::base::limit::{PENDING_EVENTS_MAX, RUN_SPAN_MAX};
use crate::base::rng::Seed;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::Event;
use crate::cloud::gateway::GatewayId;
use crate::cloud::refusal::Refusal;
use crate::cloud::route_table::Blackhole;
use crate::forward::middlebox::Role;
use crate::forward::{Memory, Rows};
use crate::wire::{FlowKey, Protocol};

/// Which of the two forwarders judges. The outcome is the same (invariant S18).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Twin {
    /// The compiled one.
    #[default]
    Compiled,
    /// The reference, straight over the cloud.
    Reference,
}

/// What is known of one interface.
#[derive(Debug)]
struct Station {
    link: Link,
    /// Events it has caused; orders them. It comes round after more events than can be pending.
    sequence: u32,
}

const _: () = assert!((PENDING_EVENTS_MAX as u64) < 1 << 32);

/// The emulated world: a cloud, its packets, and the present.
///
/// Memory grows with the network (rows are never taken back), with the probes and sources that were
/// started and not forgotten ([`Sim::forget`]), and with the packets that are on their way at one
/// time; not with the packets that were sent.
#[derive(Debug)]
pub struct Sim {
    cloud: Cloud,
    rows: Rows,
    plane: Plane,
    now: Instant,
    seed: Seed,
    /// What is on its way, what sources send next, and who is to be woken.
    queue: EventQueue<InFlight>,
    foresight: Foresight,
    /// What interfaces and middleboxes remember.
    memory: Memory,
    sources: Vec<(Instant, ActiveSource)>,
    /// Rows of sources whose probe is forgotten.
    free_sources: Vec<u32>,
    probes: Probes,
    /// Packets that were cut up, and how many of their fragments have met their fate.
    trains: Vec<Train>,
    free_trains: Vec<u32>,
    /// The identification of the next packet that is cut up.
    identification: u16,
    /// By interface: may the host send on what it gets? Asked for every packet that arrives; follows
    /// from the cloud's NAT gateways and from the roles.
    relays: Vec<bool>,
    /// By interface.
    hosts: Vec<Option<Box<Host>>>,
    /// The client's connection of each probe that is one.
    connections: std::collections::BTreeMap<ProbeId, (InterfaceIdx, ConnectionId)>,
    stations: Vec<Station>,
    vpc_links: Vec<Link>,
    /// By peering: one link into each of the two VPCs.
    peering_links: Vec<[(VpcIdx, Link); 2]>,
    /// By gateway: one link inwards and one outwards.
    gateway_links: Vec<[Link; 2]>,
    specs: std::collections::BTreeMap<LinkOf, LinkSpec>,
    link_defaults: LinkDefaults,
    /// Hosts that are played by somebody outside, and what has come for them.
    stage_door: StageDoor,
    packets: u64,
    /// Of these: packets of probes that are forgotten, which count no more for the run's limit.
    forgotten: u64,
    /// Packets that sources have yet to send.
    unsent: u64,
    bounds: Bounds,
    /// The instant being worked on and how many events it has had.
    instant: (Instant, u64),
}

impl Sim {
    /// A world at virtual zero in which this cloud stands ready.
    pub fn new(cloud: Cloud, seed: Seed, twin: Twin) -> Sim {
        let rows = Rows::of(&cloud);
        let plane = Plane::new(&cloud, &rows, twin);
        let mut sim = Sim {
            cloud,
            rows,
            plane,
            now: Instant::START,
            seed,
            queue: EventQueue::new(),
            foresight: Foresight::default(),
            memory: Memory::default(),
            sources: Vec::new(),
            free_sources: Vec::new(),
            probes: Probes::default(),
            trains: Vec::new(),
            free_trains: Vec::new(),
            identification: 0,
            relays: Vec::new(),
            hosts: Vec::new(),
            connections: std::collections::BTreeMap::new(),
            stations: Vec::new(),
            vpc_links: Vec::new(),
            peering_links: Vec::new(),
            gateway_links: Vec::new(),
            specs: std::collections::BTreeMap::new(),
            link_defaults: LinkDefaults::USUAL,
            stage_door: StageDoor::default(),
            packets: 0,
            forgotten: 0,
            unsent: 0,
            bounds: Bounds::default(),
            instant: (Instant::START, 0),
        };
        sim.add_links();
        sim.note_relays();
        sim
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The network as it is.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The world as an observer sees it.
    pub fn world(&self) -> World<'_> {
        World { now: self.now, cloud: &self.cloud, rows: &self.rows, memory: &self.memory }
    }

    /// Brings the data plane up to date, so that [`Sim::world`] knows the rows of everything.
    pub fn look_around(&mut self) {
        self.refresh();
    }

    /// The row of an interface in happenings, if it has been seen by the data plane.
    pub fn row_of(&self, interface: InterfaceId) -> Option<InterfaceIdx> {
        self.rows.interface(interface)
    }

    /// Packets that were handed to interfaces so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Asks the cloud, now.
    ///
    /// # Errors
    /// The cloud's refusal; nothing has changed then.
    pub fn apply(&mut self, caller: &Caller, command: &Command) -> Result<Vec<Event>, Refusal> {
        let events = self.cloud.apply(caller, command, self.now)?;
        self.plane.hear(&events, self.now);
        Ok(events)
    }

    /// From now on transient peering states last this long.
    pub fn set_settle(&mut self, settle: Span) {
        self.cloud.set_settle(settle);
    }

    /// From now on routes that cannot be used do this to packets.
    pub fn set_blackhole(&mut self, blackhole: Blackhole) {
        self.cloud.set_blackhole(blackhole);
        self.plane.forget(self.now);
    }

    /// Says how a link behaves from now on, for packets that are yet to be sent. What waited on the
    /// link before goes its way; its queue starts empty, and its stream of chance from its beginning.
    pub fn set_link(&mut self, of: LinkOf, spec: LinkSpec) {
        self.specs.insert(of, spec);
        if !matches!(of, LinkOf::Interface(_)) {
            self.foresight.hear_of(spec);
        }
        self.refresh();
        match of {
            LinkOf::Interface(id) => {
                if let Some(row) = self.rows.interface(id) {
                    self.stations[row.row()].link =
                        Link::new(spec, self.seed, &format!("link:{id}"));
                }
            }
            LinkOf::Vpc(id) => {
                if let Some(row) = self.rows.vpc(id) {
                    self.vpc_links[row.row()] = Link::new(spec, self.seed, &format!("link:{id}"));
                }
            }
            LinkOf::Peering(id) => {
                if let Some(row) = self.rows.peering(id) {
                    self.peering_links[row.row()] = self.links_of_peering(id);
                }
            }
            LinkOf::Gateway(id) => {
                if let Some(row) = self.rows.gateway(id) {
                    self.gateway_links[row.row()] = self.links_of_gateway(id);
                }
            }
        }
    }

    /// Starts a probe now: every source begins at once. A source whose interface is not known to
    /// the cloud sends nothing.
    ///
    /// # Errors
    /// [`RunError::TooManyPackets`] if the run would have more than it may, what other sources have
    /// yet to send included; [`RunError::TooManyPending`] with too many sources. Nothing is started
    /// then.
    pub fn start(
        &mut self,
        datagrams: Datagrams,
        sources: impl IntoIterator<Item = Source>,
    ) -> Result<ProbeId, RunError> {
        self.refresh();
        let probe = self.probes.next();
        let mut active = Vec::new();
        let mut total = 0_u64;
        for source in sources {
            let Some(from) = self.rows.interface(source.from) else { continue };
            let meant = source.meant.and_then(|id| self.rows.interface(id));
            let source = ActiveSource::new(probe, from, meant, source.load);
            // A source of nothing would have a row and no packet that limits how many there are.
            if source.total() > 0 {
                total = total.saturating_add(source.total());
                active.push(source);
            }
        }
        let counted = self.packets - self.forgotten;
        let run_total = counted.saturating_add(self.unsent).saturating_add(total);
        if run_total > self.bounds.packets {
            return Err(RunError::TooManyPackets);
        }
        if self.queue.len() + active.len() > self.bounds.pending {
            return Err(RunError::TooManyPending(self.now));
        }
        self.unsent += total;
        let rows = active.into_iter().map(|source| self.add_source(source)).collect();
        let tally = ProbeTally { unsent: total, ..ProbeTally::default() };
        self.probes.push(datagrams, tally, rows);
        Ok(probe)
    }

    /// Makes the host behind an interface a middlebox, or an ordinary host again.
    pub fn set_role(&mut self, interface: InterfaceId, role: Option<Role>) {
        self.memory.middleboxes.set_role(interface, role);
        let row = self.rows.interface(interface);
        if let Some(relays) = row.and_then(|row| self.relays.get_mut(row.row())) {
            *relays = true;
        }
    }

    /// From now on each interface tracks at most so many connections.
    pub fn set_tracked_connections(&mut self, most: usize) {
        self.memory.connections.set_limit(most);
    }

    /// Serves a TCP port at the host behind an interface.
    ///
    /// # Errors
    /// [`TcpError::PortZero`].
    pub fn listen(
        &mut self,
        interface: InterfaceId,
        port: u16,
        serve: Serve,
    ) -> Result<(), TcpError> {
        self.refresh();
        match self.rows.interface(interface) {
            Some(row) => self.tcp_of(row).listen(port, serve),
            // Nobody can come to a host that is not there.
            None => Ok(()),
        }
    }

    /// Does the host behind an interface serve this TCP port?
    pub fn serves(&self, interface: InterfaceId, port: u16) -> bool {
        let row = self.rows.interface(interface);
        let host = row.and_then(|row| self.hosts.get(row.row())?.as_ref());
        host.and_then(|host| host.tcp.as_ref()).is_some_and(|tcp| tcp.stack.serves(port))
    }

    /// Opens a TCP connection now and sends over it. Its segments are the requests of the probe, the
    /// peer's the answers; the probe is done when the connection is.
    ///
    /// # Errors
    /// All of [`TcpError`]; nothing is started then.
    pub fn connect(
        &mut self,
        from: InterfaceId,
        meant: Option<InterfaceId>,
        (local, remote): (std::net::SocketAddr, std::net::SocketAddr),
        transfer: Transfer,
    ) -> Result<ProbeId, TcpError> {
        self.refresh();
        let row = self.rows.interface(from).ok_or(TcpError::NotOurs(local.ip()))?;
        let meant = meant.and_then(|id| self.rows.interface(id));
        let probe = self.probes.next();
        let now = self.now;
        let tcp = self.tcp_of(row);
        let id = tcp.stack.connect(local, remote, transfer, now)?;
        let flow = FlowKey {
            source: local.ip(),
            destination: remote.ip(),
            protocol: Protocol::TCP,
            source_port: local.port(),
            destination_port: remote.port(),
        };
        tcp.opens(id, flow, Subject { probe, leg: Leg::Request, sender: row, meant });
        // What the connection has yet to send is not known: it counts as one until it is done.
        let tally = ProbeTally { unsent: 1, ..ProbeTally::default() };
        self.probes.push(Datagrams::Sunk, tally, Vec::new());
        self.connections.insert(probe, (row, id));
        self.wake_at(row, now);
        Ok(probe)
    }

    /// How the connection of a probe is doing; `None` if the probe is none.
    pub fn connection(&self, probe: ProbeId) -> Option<Report> {
        let (row, id) = self.connections.get(&probe)?;
        self.hosts.get(row.row())?.as_ref()?.tcp.as_ref()?.stack.report(*id)
    }

    /// Whether the instances that get a probe's datagrams send them back. Of one
    /// that is forgotten nothing is known.
    pub fn datagrams(&self, probe: ProbeId) -> Datagrams {
        self.probes[probe].datagrams
    }

    /// What became of a probe's packets so far. Of one that is forgotten nothing is known.
    pub fn tally(&self, probe: ProbeId) -> ProbeTally {
        self.probes[probe].tally
    }

    /// Forgets a probe whose packets have all met their fate, and gives what became of them. Its
    /// connection, if it is one, is gone at both ends without a further word, and its packets count
    /// no more for the limit of a run. Of a probe that is not done nothing is forgotten.
    ///
    /// Costs a look at every host if it was a connection, else little.
    pub fn forget(&mut self, probe: ProbeId) -> Option<ProbeTally> {
        if !self.probes[probe].tally.is_done() {
            return None;
        }
        let probes::Probe { tally, sources, .. } = self.probes.forget(probe);
        self.free_sources.extend(sources);
        if let Some((row, id)) = self.connections.remove(&probe) {
            if let Some(tcp) = self.tcp_at(row) {
                tcp.stack.forget(id);
            }
            let hosts = self.hosts.iter_mut().flatten();
            hosts.filter_map(|host| host.tcp.as_deref_mut()).for_each(|tcp| tcp.forget(probe));
        }
        let legs = [&tally.requests, &tally.answers, &tally.notices];
        self.forgotten += legs.map(|leg| leg.sent).iter().sum::<u64>();
        Some(tally)
    }

    /// When the next packet moves, if any does.
    pub fn next_event(&mut self) -> Option<Instant> {
        self.queue.next_at()
    }

    /// Lets time pass until `until`, everything that happens at that moment included.
    ///
    /// # Errors
    /// A limit of the run is reached.
    pub fn run_until(
        &mut self,
        until: Instant,
        observer: &mut (impl Observer + ?Sized),
    ) -> Result<(), RunError> {
        if until.since(Instant::START) > RUN_SPAN_MAX {
            return Err(RunError::TooLong);
        }
        while self.queue.next_at().is_some_and(|at| at <= until) {
            self.step(None, observer)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Moves the present to a later moment before anything that happens at it: what is asked of the
    /// cloud now comes first. An earlier moment changes nothing.
    pub fn move_to(&mut self, moment: Instant) {
        debug_assert!(self.queue.next_at().is_none_or(|at| at >= moment), "nothing is skipped");
        self.now = self.now.max(moment);
    }

    /// Lets time pass until every packet of the probe has met its fate.
    ///
    /// # Errors
    /// A limit of the run is reached.
    pub fn run_probe(
        &mut self,
        probe: ProbeId,
        observer: &mut (impl Observer + ?Sized),
    ) -> Result<(), RunError> {
        loop {
            // An event is the end of a packet at most, and of its connection: before half of what is
            // awaited has had its turn nobody need ask.
            let awaited = self.probes[probe].tally.awaited();
            if awaited == 0 {
                return Ok(());
            }
            for _ in 0..awaited.div_ceil(2) {
                if !self.step(Some(probe), observer)? {
                    debug_assert!(false, "what a probe waits for is on its way");
                    return Ok(());
                }
            }
        }
    }

    /// Works on the next event; `false` if there is none. Whoever goes on until a probe is done says
    /// which one: nothing that comes after its end is judged before it.
    fn step(
        &mut self,
        awaited: Option<ProbeId>,
        observer: &mut (impl Observer + ?Sized),
    ) -> Result<bool, RunError> {
        let Some(key) = self.queue.next_key() else { return Ok(false) };
        self.begin(key.at())?;
        let verdict = self.foresee(key, awaited);
        let Some((_, kept)) = self.queue.pop() else { return Ok(false) };
        match key.kind() {
            Kind::Emit => {
                let judged = verdict.and_then(Verdict::leaves);
                self.emit(key.source(), judged, observer);
            }
            Kind::Arrive => {
                let judged = verdict.and_then(Verdict::enters);
                if let Some(flight) = self.queue.take(kept) {
                    self.arrive(flight, judged, observer);
                }
            }
            Kind::Cross => {
                if let Some(flight) = self.queue.take(kept) {
                    self.cross(flight, observer);
                }
            }
            Kind::Wake => self.wake(InterfaceIdx::from_row(key.source() as usize), observer),
        }
        if self.queue.len() > self.bounds.pending {
            return Err(RunError::TooManyPending(self.now));
        }
        if self.packets - self.forgotten > self.bounds.packets {
            return Err(RunError::TooManyPackets);
        }
        Ok(true)
    }

    /// It is the turn of an event at this instant.
    fn begin(&mut self, at: Instant) -> Result<(), RunError> {
        self.now = self.now.max(at);
        if self.now.since(Instant::START) > RUN_SPAN_MAX {
            return Err(RunError::TooLong);
        }
        if self.instant.0 == self.now {
            self.instant.1 += 1;
            if self.instant.1 > self.bounds.events_per_instant {
                return Err(RunError::Livelock(self.now));
            }
        } else {
            self.instant = (self.now, 1);
        }
        // Whatever happens is judged, and told, by the network of this moment.
        self.refresh();
        self.memory.connections.set_now(self.now);
        Ok(())
    }

    /// Brings rows, forwarder and links up to date with the cloud.
    fn refresh(&mut self) {
        if self.plane.refresh(&self.cloud, &mut self.rows, self.now) == Refreshed::Resources {
            self.add_links();
            self.note_relays();
        }
    }

    /// Brings the rows of those that send on up to date.
    fn note_relays(&mut self) {
        self.relays.clear();
        self.relays.resize(self.rows.interface_count(), false);
        let relays = self.memory.middleboxes.all(&self.cloud);
        for row in relays.filter_map(|id| self.rows.interface(id)) {
            self.relays[row.row()] = true;
        }
    }

    /// Gives a link to every row that has none yet.
    fn add_links(&mut self) {
        let spec = |specs: &std::collections::BTreeMap<LinkOf, LinkSpec>, of, default| {
            specs.get(&of).copied().unwrap_or(default)
        };
        for row in self.stations.len()..self.rows.interface_count() {
            let id = self.rows.interface_id(InterfaceIdx::from_row(row));
            let spec = spec(&self.specs, LinkOf::Interface(id), self.link_defaults.interface);
            let link = Link::new(spec, self.seed, &format!("link:{id}"));
            self.stations.push(Station { link, sequence: 0 });
        }
        for row in self.vpc_links.len()..self.rows.vpc_count() {
            let id = self.rows.vpc_id(VpcIdx::from_row(row));
            let spec = spec(&self.specs, LinkOf::Vpc(id), self.link_defaults.vpc);
            self.vpc_links.push(Link::new(spec, self.seed, &format!("link:{id}")));
        }
        for row in self.peering_links.len()..self.rows.peering_count() {
            let links = self.links_of_peering(self.rows.peering_id(PeeringIdx::from_row(row)));
            self.peering_links.push(links);
        }
        for row in self.gateway_links.len()..self.rows.gateway_count() {
            let links = self.links_of_gateway(self.rows.gateway_id(GatewayIdx::from_row(row)));
            self.gateway_links.push(links);
        }
    }

    fn links_of_gateway(&self, id: GatewayId) -> [Link; 2] {
        let spec = *self.specs.get(&LinkOf::Gateway(id)).unwrap_or(&self.link_defaults.gateway);
        ["in", "out"].map(|name| Link::new(spec, self.seed, &format!("link:{id}:{name}")))
    }

    fn links_of_peering(&self, id: PeeringId) -> [(VpcIdx, Link); 2] {
        let spec = *self.specs.get(&LinkOf::Peering(id)).unwrap_or(&self.link_defaults.peering);
        let ends = self.cloud.peering(id).map(|p| [p.accepter().vpc, p.requester().vpc]);
        let into = |end: usize, name| {
            // A failed request may name a VPC that does not exist; nothing ever crosses to it.
            let row = ends.and_then(|ends| self.rows.vpc(ends[end])).unwrap_or(VpcIdx::NOWHERE);
            (row, Link::new(spec, self.seed, &format!("link:{id}:{name}")))
        };
        [into(0, "to-accepter"), into(1, "to-requester")]
    }

    /// Gives a source that begins now a row.
    fn add_source(&mut self, source: ActiveSource) -> u32 {
        let started = (self.now, source);
        let row = match self.free_sources.pop() {
            Some(row) => {
                self.sources[row as usize] = started;
                row
            }
            None => {
                self.sources.push(started);
                // Sources are limited by the packets of a run, far below 2^30.
                u32::try_from(self.sources.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.schedule_source(row as usize);
        row
    }

    /// Stops serving a TCP port at the host behind an interface. Connections that stand go on.
    pub fn stop_listening(&mut self, interface: InterfaceId, port: u16) {
        let row = self.rows.interface(interface);
        if let Some(tcp) = row.and_then(|row| self.tcp_at(row)) {
            tcp.stack.stop_listening(port);
        }
    }

    fn schedule_source(&mut self, row: usize) {
        let (started, source) = &self.sources[row];
        let Some(due) = source.due() else { return };
        // Sources are limited by the packets of a run, far below 2^30.
        let number = u32::try_from(row).unwrap_or(u32::MAX);
        let key = Key::new(*started + due, Kind::Emit, number, 0);
        self.queue.note(key);
    }

    fn count(&mut self, subject: Subject) -> &mut traffic::Tally {
        self.probes[subject.probe].tally.leg(subject.leg)
    }

    /// How long a command takes in virtual time: one tick, after which its transient states have
    /// settled if they settle at once.
    pub const COMMAND: Span = Span::TICK;
}
