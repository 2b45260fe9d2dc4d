//! Level 4, the world in motion: virtual time, links, and what instances do.
//!
//! Holds [`Sim`], the only owner of the cloud and of the event queue during a run. Refuses to know
//! files, reports or sockets; time moves only when [`Sim::run_until`] is called, and everything that
//! happens to a packet is told to an [`Observer`]. One function ends a packet's life undelivered
//! (`Sim::drop_packet`), one delivered (`Sim::deliver`); they do the counting.

mod bounds;
mod link;
pub mod observe;
mod queue;
pub mod tcp;
pub mod traffic;

#[cfg(test)]
mod tests;

pub use bounds::RunError;
pub use link::{LinkOf, LinkSpec};
pub use observe::{Happening, Observer, Subject, World};
pub use traffic::{Datagrams, Leg, Load, Pace, ProbeId, ProbeTally, Source};

use bounds::Bounds;
use link::Link;
use queue::{EventQueue, Key, Kind};
use traffic::{ActiveSource, Emission};

use crate::base::id::*;
use crate::base::limit::{PACKETS_PER_RUN_MAX, RUN_SPAN_MAX};
use crate::base::rng::Seed;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::Event;
use crate::cloud::refusal::Refusal;
use crate::forward::gate::{Crossing, Via};
use crate::forward::{self, Drop, Forwarder, Place, Reference, Rows, Snapshot};
use crate::wire::{EchoKind, Packet, build};

/// Which of the two forwarders judges. The outcome is the same (invariant S18).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Twin {
    /// The compiled snapshot.
    #[default]
    Compiled,
    /// The reference, straight over the cloud.
    Reference,
}

/// A packet on its way. Who sent it travels with it, so that nobody has to look up its source.
#[derive(Debug)]
struct InFlight {
    packet: Packet,
    crossing: Crossing,
    subject: Subject,
    /// When it left its interface.
    left: Instant,
}

#[derive(Debug)]
enum Pending {
    /// The source sends its next packet.
    Emit(u32),
    /// The packet comes out of its sender's own link.
    Cross(InFlight),
    /// The packet arrives.
    Arrive(InFlight),
}

/// What is known of one interface.
#[derive(Debug)]
struct Station {
    link: Link,
    /// Events it has caused; orders them. Two a packet at most, so it does not come round.
    sequence: u32,
}

const _: () = assert!(2 * PACKETS_PER_RUN_MAX < 1 << 32);

/// The emulated world: a cloud, its packets, and the present.
///
/// Memory grows with the network (rows are never taken back), with the number of probes and sources
/// that were started (their counts are kept), and with the packets that are on their way at one
/// time; not with the packets that were sent.
#[derive(Debug)]
pub struct Sim {
    cloud: Cloud,
    rows: Rows,
    twin: Twin,
    snapshot: Snapshot,
    /// From this moment on the snapshot is out of date.
    snapshot_until: Instant,
    now: Instant,
    seed: Seed,
    queue: EventQueue<Pending>,
    sources: Vec<(Instant, ActiveSource)>,
    probes: Vec<(Datagrams, ProbeTally)>,
    stations: Vec<Station>,
    vpc_links: Vec<Link>,
    /// By peering: one link into each of the two VPCs.
    peering_links: Vec<[(VpcIdx, Link); 2]>,
    specs: std::collections::BTreeMap<LinkOf, LinkSpec>,
    packets: u64,
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
        let snapshot = Snapshot::compile(&cloud, &rows, Instant::START);
        let mut sim = Sim {
            snapshot_until: cloud.next_deadline(Instant::START),
            cloud,
            rows,
            twin,
            snapshot,
            now: Instant::START,
            seed,
            queue: EventQueue::new(),
            sources: Vec::new(),
            probes: Vec::new(),
            stations: Vec::new(),
            vpc_links: Vec::new(),
            peering_links: Vec::new(),
            specs: std::collections::BTreeMap::new(),
            packets: 0,
            unsent: 0,
            bounds: Bounds::default(),
            instant: (Instant::START, 0),
        };
        sim.add_links();
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
        World { now: self.now, cloud: &self.cloud, rows: &self.rows }
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
        if !events.is_empty() {
            self.snapshot_until = self.now;
        }
        Ok(events)
    }

    /// From now on transient peering states last this long.
    pub fn set_settle(&mut self, settle: Span) {
        self.cloud.set_settle(settle);
    }

    /// Says how a link behaves from now on, for packets that are yet to be sent. What waited on the
    /// link before goes its way; its queue starts empty, and its stream of chance from its beginning.
    pub fn set_link(&mut self, of: LinkOf, spec: LinkSpec) {
        self.specs.insert(of, spec);
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
        let probe =
            ProbeId(u32::try_from(self.probes.len()).map_err(|_| RunError::TooManyPackets)?);
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
        let run_total = self.packets.saturating_add(self.unsent).saturating_add(total);
        if run_total > self.bounds.packets {
            return Err(RunError::TooManyPackets);
        }
        if self.queue.len() + active.len() > self.bounds.pending {
            return Err(RunError::TooManyPending(self.now));
        }
        self.unsent += total;
        self.probes.push((datagrams, ProbeTally { unsent: total, ..ProbeTally::default() }));
        for source in active {
            self.sources.push((self.now, source));
            self.schedule_source(self.sources.len() - 1);
        }
        Ok(probe)
    }

    /// Whether the instances that get a probe's datagrams send them back.
    pub fn datagrams(&self, probe: ProbeId) -> Datagrams {
        self.probes[probe.number()].0
    }

    /// What became of a probe's packets so far.
    ///
    /// # Panics
    /// On a probe of another run.
    pub fn tally(&self, probe: ProbeId) -> ProbeTally {
        self.probes[probe.number()].1
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
            self.step(observer)?;
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
    ///
    /// # Panics
    /// On a probe of another run.
    pub fn run_probe(
        &mut self,
        probe: ProbeId,
        observer: &mut (impl Observer + ?Sized),
    ) -> Result<(), RunError> {
        while !self.probes[probe.number()].1.is_done() && self.step(observer)? {}
        Ok(())
    }

    /// Works on the next event; `false` if there is none.
    fn step(&mut self, observer: &mut (impl Observer + ?Sized)) -> Result<bool, RunError> {
        let Some((key, pending)) = self.queue.pop() else { return Ok(false) };
        self.now = self.now.max(key.at());
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
        match pending {
            Pending::Emit(row) => self.emit(row, observer),
            Pending::Cross(flight) => self.cross(flight, observer),
            Pending::Arrive(flight) => self.arrive(flight, observer),
        }
        if self.queue.len() > self.bounds.pending {
            return Err(RunError::TooManyPending(self.now));
        }
        if self.packets > self.bounds.packets {
            return Err(RunError::TooManyPackets);
        }
        Ok(true)
    }

    /// Brings rows, snapshot and links up to date with the cloud.
    fn refresh(&mut self) {
        if self.now < self.snapshot_until {
            return;
        }
        self.rows.update(&self.cloud);
        if self.twin == Twin::Compiled {
            self.snapshot = Snapshot::compile(&self.cloud, &self.rows, self.now);
        }
        self.snapshot_until = self.cloud.next_deadline(self.now);
        self.add_links();
    }

    /// Gives a link to every row that has none yet.
    fn add_links(&mut self) {
        let spec = |specs: &std::collections::BTreeMap<LinkOf, LinkSpec>, of, default| {
            specs.get(&of).copied().unwrap_or(default)
        };
        for row in self.stations.len()..self.rows.interface_count() {
            let id = self.rows.interface_id(InterfaceIdx::from_row(row));
            let spec = spec(&self.specs, LinkOf::Interface(id), LinkSpec::INTERFACE);
            let link = Link::new(spec, self.seed, &format!("link:{id}"));
            self.stations.push(Station { link, sequence: 0 });
        }
        for row in self.vpc_links.len()..self.rows.vpc_count() {
            let id = self.rows.vpc_id(VpcIdx::from_row(row));
            let spec = spec(&self.specs, LinkOf::Vpc(id), LinkSpec::VPC);
            self.vpc_links.push(Link::new(spec, self.seed, &format!("link:{id}")));
        }
        for row in self.peering_links.len()..self.rows.peering_count() {
            let links = self.links_of_peering(self.rows.peering_id(PeeringIdx::from_row(row)));
            self.peering_links.push(links);
        }
    }

    fn links_of_peering(&self, id: PeeringId) -> [(VpcIdx, Link); 2] {
        let spec = self.specs.get(&LinkOf::Peering(id)).copied().unwrap_or(LinkSpec::PEERING);
        let ends = self.cloud.peering(id).map(|p| [p.accepter().vpc, p.requester().vpc]);
        let into = |end: usize, name| {
            // A failed request may name a VPC that does not exist; nothing ever crosses to it.
            let row = ends.and_then(|ends| self.rows.vpc(ends[end])).unwrap_or(VpcIdx::NOWHERE);
            (row, Link::new(spec, self.seed, &format!("link:{id}:{name}")))
        };
        [into(0, "to-accepter"), into(1, "to-requester")]
    }

    fn leave(&self, from: InterfaceIdx, packet: &Packet) -> Result<Crossing, Drop> {
        match self.twin {
            Twin::Compiled => self.snapshot.leave(from, packet),
            Twin::Reference => {
                Reference::new(&self.cloud, &self.rows, self.now).leave(from, packet)
            }
        }
    }

    fn enter(&self, crossing: Crossing, packet: &Packet) -> Result<InterfaceIdx, Drop> {
        match self.twin {
            Twin::Compiled => self.snapshot.enter(crossing, packet),
            Twin::Reference => {
                Reference::new(&self.cloud, &self.rows, self.now).enter(crossing, packet)
            }
        }
    }

    fn schedule_source(&mut self, row: usize) {
        let (started, source) = &self.sources[row];
        let Some(due) = source.due() else { return };
        // Sources are limited by the packets of a run, far below 2^30.
        let number = u32::try_from(row).unwrap_or(u32::MAX);
        let key = Key::new(*started + due, Kind::Emit, number, 0);
        self.queue.push(key, Pending::Emit(number));
    }

    fn count(&mut self, subject: Subject) -> &mut traffic::Tally {
        self.probes[subject.probe.number()].1.leg(subject.leg)
    }

    fn emit(&mut self, row: u32, observer: &mut (impl Observer + ?Sized)) {
        let source = &mut self.sources[row as usize].1;
        let subject = source.subject();
        let emission = source.emit();
        self.unsent -= 1;
        self.probes[subject.probe.number()].1.unsent -= 1;
        self.schedule_source(row as usize);
        match emission {
            Emission::Packet(packet) => self.send(packet, subject, observer),
            Emission::Bytes(bytes) => match forward::admit(subject.sender, bytes.clone()) {
                Ok(packet) => self.send(packet, subject, observer),
                Err((drop, wrong)) => {
                    self.packets += 1;
                    self.count(subject).sent += 1;
                    let what = Happening::Malformed { bytes: &bytes, drop, wrong };
                    self.drop_packet(subject, drop, what, observer);
                }
            },
        }
    }

    /// A packet is handed to its interface.
    fn send(&mut self, packet: Packet, subject: Subject, observer: &mut (impl Observer + ?Sized)) {
        self.packets += 1;
        self.count(subject).sent += 1;
        let crossing = match self.leave(subject.sender, &packet) {
            Ok(crossing) => crossing,
            Err(drop) => {
                let what = Happening::NotSent { packet: &packet, drop };
                return self.drop_packet(subject, drop, what, observer);
            }
        };
        observer.see(self.world(), subject, Happening::Left { packet: &packet });
        let (now, bytes) = (self.now, packet.len());
        let out = self.stations[subject.sender.row()].link.carry(now, bytes);
        let flight = InFlight { packet, crossing, subject, left: now };
        match out {
            Ok(at) if at == now => self.cross(flight, observer),
            Ok(at) => self.push(at, Kind::Cross, flight),
            Err(reason) => {
                let drop = Drop::new(reason, Place::Interface(subject.sender));
                self.lose(&flight, drop, observer);
            }
        }
    }

    /// A packet comes out of its sender's link and goes onto the VPC's or the peering's.
    fn cross(&mut self, flight: InFlight, observer: &mut (impl Observer + ?Sized)) {
        let (now, bytes, into) = (self.now, flight.packet.len(), flight.crossing.into_vpc());
        let (out, place) = match flight.crossing.via() {
            Via::Local | Via::Interface(_) => {
                (self.vpc_links[into.row()].carry(now, bytes), Place::Vpc(into))
            }
            Via::Peering(peering) => {
                let [a, b] = &mut self.peering_links[peering.row()];
                let link = if a.0 == into { &mut a.1 } else { &mut b.1 };
                (link.carry(now, bytes), Place::Peering(peering))
            }
        };
        match out {
            Ok(at) => self.push(at, Kind::Arrive, flight),
            Err(reason) => self.lose(&flight, Drop::new(reason, place), observer),
        }
    }

    fn push(&mut self, at: Instant, kind: Kind, flight: InFlight) {
        let sender = flight.subject.sender.row();
        let station = &mut self.stations[sender];
        station.sequence = station.sequence.wrapping_add(1);
        // Rows of interfaces stay below 2^30, see `queue::Key`.
        let source = u32::try_from(sender).unwrap_or(u32::MAX);
        let key = Key::new(at, kind, source, station.sequence);
        let pending = match kind {
            Kind::Cross => Pending::Cross(flight),
            _ => Pending::Arrive(flight),
        };
        self.queue.push(key, pending);
    }

    fn arrive(&mut self, flight: InFlight, observer: &mut (impl Observer + ?Sized)) {
        match self.enter(flight.crossing, &flight.packet) {
            Ok(at) => self.deliver(flight, at, observer),
            Err(drop) => {
                self.lose(&flight, drop, observer);
            }
        }
    }

    /// A packet that left does not arrive.
    fn lose(&mut self, flight: &InFlight, drop: Drop, observer: &mut (impl Observer + ?Sized)) {
        let InFlight { packet, crossing, subject, left } = flight;
        let what = Happening::Lost { packet, drop, crossing: *crossing, left: *left };
        self.drop_packet(*subject, drop, what, observer);
    }

    /// The end of a packet that is not delivered.
    fn drop_packet(
        &mut self,
        subject: Subject,
        drop: Drop,
        what: Happening<'_>,
        observer: &mut (impl Observer + ?Sized),
    ) {
        self.count(subject).drops.add(drop.reason);
        observer.see(self.world(), subject, what);
    }

    /// The end of a packet that is delivered, and what the instance does with it: echo requests
    /// for an own address are answered, datagrams if the probe says so, the rest is received.
    fn deliver(
        &mut self,
        flight: InFlight,
        at: InterfaceIdx,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let InFlight { packet, crossing, subject, left } = flight;
        let tally = self.count(subject);
        tally.delivered += 1;
        if subject.meant.is_some_and(|meant| meant != at) {
            tally.misdelivered += 1;
        }
        observer.see(
            self.world(),
            subject,
            Happening::Arrived { packet: &packet, at, crossing, left },
        );
        if subject.leg == Leg::Answer {
            return;
        }
        let returned = self.probes[subject.probe.number()].0 == Datagrams::Returned;
        let is_request = packet.icmp_echo().is_some_and(|echo| echo.kind == EchoKind::Request);
        if !is_request && !returned {
            return;
        }
        let own = self.cloud.interface(self.rows.interface_id(at));
        if !own.is_some_and(|interface| interface.owns(packet.destination())) {
            return;
        }
        let answer =
            if is_request { build::echo_reply(&packet) } else { build::udp_answer(&packet) };
        if let Some(answer) = answer {
            let meant = Some(subject.sender);
            let subject = Subject { leg: Leg::Answer, sender: at, meant, ..subject };
            self.send(answer, subject, observer);
        }
    }

    /// How long a command takes in virtual time: one tick, after which its transient states have
    /// settled if they settle at once.
    pub const COMMAND: Span = Span::TICK;
}
