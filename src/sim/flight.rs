//! One packet, from the interface that sends it to its fate.
//!
//! Holds the way: leave, the sender's link, the VPC's or peering's link, enter, and then the host or
//! the next hop behind a middlebox. One function ends a packet's life undelivered
//! (`Sim::drop_packet`), one delivered (`Sim::finish`); they do the counting. Refuses to decide:
//! verdicts are the forwarder's, chance is the links'.

use std::net::IpAddr;

use bytes::Bytes;

use super::Sim;
use super::ahead::Coming;
use super::host;
use super::observe::{Happening, Observer, Subject};
use super::queue::{Key, Kind};
use super::traffic::{Emission, Leg};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::base::units::Mtu;
use crate::forward::gate::{Crossing, Mapping, Realm, Via};
use crate::forward::middlebox::Next;
use crate::forward::{self, Drop, DropReason, Forwarder, Place, Reference};
use crate::wire::{Offload, Packet, Protocol, carried_out, clear_dont_fragment, fragment};

/// A packet on its way. Who sent it travels with it, so that nobody has to look up its source.
#[derive(Debug)]
pub(super) struct InFlight {
    packet: Packet,
    crossing: Crossing,
    subject: Subject,
    /// The interface that sent it last.
    from: InterfaceIdx,
    /// When it left that interface.
    left: Instant,
    /// The source to which it goes back when it has arrived.
    home: Home,
    /// Elsewhere, because hardly any has it and what waits in the queue must be small.
    rare: Option<Box<Rare>>,
}

const _: () = assert!(size_of::<InFlight>() <= 128);

/// The row of the source that sends a packet again and again, if one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Home(u32);

impl Home {
    const NONE: Home = Home(u32::MAX);
}

/// What is known of a packet when it leaves an interface.
#[derive(Debug)]
struct Departure {
    /// The interface.
    from: InterfaceIdx,
    /// What it is part of, if it is.
    train: Option<TrainIdx>,
    /// What the forwarder says, if it has been asked.
    judged: Option<Result<Crossing, Drop>>,
    home: Home,
}

impl Departure {
    const fn plain(from: InterfaceIdx) -> Departure {
        Departure { from, train: None, judged: None, home: Home::NONE }
    }
}

/// What few packets on their way have.
#[derive(Debug, Default)]
struct Rare {
    /// What it is a fragment of, if the network has cut that up.
    part_of: Option<Part>,
    /// Which stretch it is on, if there are two.
    stretch: Stretch,
}

/// Where a packet is that goes out of one VPC over an edge and into another over another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stretch {
    /// Before or on the link of the edge that leads out.
    #[default]
    First,
    /// Before or on that of the edge that leads in.
    Second,
}

/// What a fragment is a part of.
#[derive(Debug)]
struct Part {
    train: TrainIdx,
    /// The packet as it left, whole.
    whole: Packet,
}

impl InFlight {
    /// The packet as it left, whole.
    fn sent(&self) -> &Packet {
        self.part_of().map_or(&self.packet, |part| &part.whole)
    }

    fn train(&self) -> Option<TrainIdx> {
        self.part_of().map(|part| part.train)
    }

    fn part_of(&self) -> Option<&Part> {
        self.rare.as_ref()?.part_of.as_ref()
    }

    fn stretch(&self) -> Stretch {
        self.rare.as_ref().map_or(Stretch::First, |rare| rare.stretch)
    }

    /// What is asked of it before it arrives, if it may be judged then: nobody has a word to say about
    /// its coming, and no gateway changes it on the way.
    pub(super) fn foreseen(&self) -> Option<Coming<'_>> {
        let Subject { leg, probe, .. } = self.subject;
        let (packet, from, crossing) = (&self.packet, self.from, Some(self.crossing));
        let is_plain = self.rare.is_none() && self.crossing.mapping() == Mapping::default();
        // A host's TCP hears segments and notices.
        let is_heard = packet.protocol() == Protocol::TCP || leg == Leg::Notice;
        (is_plain && !is_heard && !packet.is_fragment()).then_some(Coming {
            packet,
            from,
            crossing,
            leg,
            probe,
        })
    }
}

/// A row of `Sim::trains`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TrainIdx(u32);

/// A packet that the network has cut up. It has one fate: delivered if all of its fragments are,
/// else dropped for the reason of the first that was not (invariant S12).
#[derive(Debug)]
pub(super) struct Train {
    /// Fragments without a fate.
    under_way: u32,
    /// Has the packet's fate been counted?
    failed: bool,
}

/// Whether what has just met its fate was the whole of a packet, or its last part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counts {
    /// It was: the packet's fate is to be counted.
    Whole,
    /// Other fragments decide, or have decided.
    Part,
}

/// Which of a gateway's links is which.
const INWARDS: usize = 0;
const OUTWARDS: usize = 1;

/// What goes onto a way that takes `mtu` bytes: fragments, or `None` for the packet as it is. What a
/// host has left to its network card is done here, unless the packet goes `smoothly`: then it is the
/// same to everybody as the packets that it stands for.
///
/// # Errors
/// `too-big` at `at` if it is too long and cannot be cut up. `leave` has let nothing pass that must
/// not be; header options that leave no room do not exist above the smallest MTU.
fn pieces(
    packet: &Packet,
    mtu: Mtu,
    at: Place,
    identification: u16,
    smoothly: impl FnOnce() -> bool,
) -> Result<Option<Vec<Packet>>, Drop> {
    let fits = mtu.holds(packet.longest());
    let is_offloaded = packet.offload().is_some();
    if fits && (!is_offloaded || smoothly()) {
        return Ok(None);
    }
    let mut pieces = Vec::new();
    for whole in carried_out(packet) {
        let cut = fragment(&whole, mtu, identification);
        pieces.extend(cut.map_err(|_| Drop::new(DropReason::TooBig, at))?);
    }
    Ok(Some(pieces))
}

impl Sim {
    fn leave(&mut self, from: InterfaceIdx, packet: &Packet) -> Result<Crossing, Drop> {
        let memory = &mut self.memory.connections;
        match self.plane.fabric() {
            Some(fabric) => fabric.leave(from, packet, memory),
            None => Reference::new(&self.cloud, &self.rows, self.now).leave(from, packet, memory),
        }
    }

    fn enter(&mut self, crossing: Crossing, packet: &Packet) -> Result<InterfaceIdx, Drop> {
        let memory = &mut self.memory.connections;
        match self.plane.fabric() {
            Some(fabric) => fabric.enter(crossing, packet, memory),
            None => {
                Reference::new(&self.cloud, &self.rows, self.now).enter(crossing, packet, memory)
            }
        }
    }

    /// A source sends its next packet, which may have been judged already.
    pub(super) fn emit(
        &mut self,
        row: u32,
        judged: Option<Result<Crossing, Drop>>,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let source = &mut self.sources[row as usize].1;
        let subject = source.subject();
        let emission = source.emit();
        self.unsent -= 1;
        self.probes[subject.probe].tally.unsent -= 1;
        self.schedule_source(row as usize);
        match emission {
            Emission::Packet(packet) => {
                self.count_sent(subject);
                let departure =
                    Departure { judged, home: Home(row), ..Departure::plain(subject.sender) };
                self.depart(packet, subject, departure, observer);
            }
            Emission::Bytes(bytes) => self.send_bytes(bytes, Offload::NONE, subject, observer),
        }
    }

    /// A host hands bytes to its interface, which are a packet or not.
    pub(super) fn send_bytes(
        &mut self,
        bytes: Bytes,
        offload: Offload,
        subject: Subject,
        observer: &mut (impl Observer + ?Sized),
    ) {
        match forward::admit(subject.sender, bytes.clone(), offload) {
            Ok(packet) => self.send(packet, subject, observer),
            Err((drop, wrong)) => {
                let what = Happening::Malformed { bytes: &bytes, drop, wrong };
                self.refuse(subject, drop, what, observer);
            }
        }
    }

    /// A host hands a packet to its interface.
    pub(super) fn send(
        &mut self,
        packet: Packet,
        subject: Subject,
        observer: &mut (impl Observer + ?Sized),
    ) {
        self.count_sent(subject);
        self.depart(packet, subject, Departure::plain(subject.sender), observer);
    }

    fn count_sent(&mut self, subject: Subject) {
        self.packets += 1;
        // What outside hosts say is no run's.
        self.forgotten += u64::from(self.stage_door.is_of(subject.probe));
        self.count(subject).sent += 1;
    }

    /// A packet leaves an interface: its sender's, or that of a middlebox which sends it on.
    fn depart(
        &mut self,
        packet: Packet,
        subject: Subject,
        departure: Departure,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let Departure { from, train, judged, home } = departure;
        let identification = self.identification.wrapping_add(1).max(1);
        let left = judged.unwrap_or_else(|| self.leave(from, &packet)).and_then(|crossing| {
            let (mtu, at) = (crossing.mtu(), crossing.bottleneck());
            let smoothly = || self.goes_smoothly(from, crossing);
            Ok((crossing, pieces(&packet, mtu, at, identification, smoothly)?))
        });
        let (crossing, pieces) = match left {
            Ok(left) => left,
            Err(drop) => {
                let counts = self.fate_of(train, Err(()));
                let what = Happening::NotSent { packet: &packet, from, drop };
                self.drop_packet(subject, counts, drop, what, observer);
                self.notify(&packet, subject, from, drop);
                return;
            }
        };
        observer.see(self.world(), subject, Happening::Left { packet: &packet, from, crossing });
        let left = self.now;
        let rare = |train| {
            let part_of = Some(Part { train, whole: packet.clone() });
            Box::new(Rare { part_of, stretch: Stretch::First })
        };
        let Some(pieces) = pieces else {
            let rare = train.map(rare);
            self.carry(InFlight { packet, crossing, subject, from, left, home, rare }, observer);
            return;
        };
        self.identification = identification;
        self.count(subject).fragments += (pieces.len() as u64).saturating_sub(1);
        let train = self.couple(train, pieces.len());
        for piece in pieces {
            let rare = Some(rare(train));
            let home = Home::NONE;
            let flight = InFlight { packet: piece, crossing, subject, from, left, home, rare };
            self.carry(flight, observer);
        }
    }

    /// Does nothing on the way tell the segments of one packet apart: no link draws lots, makes any
    /// wait or changes their order, and no edge reads them?
    fn goes_smoothly(&self, from: InterfaceIdx, crossing: Crossing) -> bool {
        let link = match (crossing.via(), crossing.into_realm()) {
            (Via::Peering(peering), into) => {
                let [a, b] = &self.peering_links[peering.row()];
                if Realm::Vpc(a.0) == into { &a.1 } else { &b.1 }
            }
            (Via::Gateway(_), _) | (_, Realm::Internet | Realm::Behind(_)) => return false,
            (_, Realm::Vpc(vpc)) => &self.vpc_links[vpc.row()],
        };
        link.only_delays() && self.stations[from.row()].link.only_delays()
    }

    /// The train of a packet that is cut into so many pieces, perhaps once more.
    fn couple(&mut self, train: Option<TrainIdx>, pieces: usize) -> TrainIdx {
        // A packet of 65,535 bytes makes far fewer pieces than 2^32.
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        if let Some(train) = train {
            self.trains[train.0 as usize].under_way += pieces.saturating_sub(1);
            return train;
        }
        let new = Train { under_way: pieces, failed: false };
        if let Some(row) = self.free_trains.pop() {
            self.trains[row as usize] = new;
            return TrainIdx(row);
        }
        self.trains.push(new);
        // No more trains than pending events, which are limited.
        TrainIdx(u32::try_from(self.trains.len() - 1).unwrap_or(u32::MAX))
    }

    /// A packet, or one fragment of a train, has met its fate: does that decide over the packet?
    fn fate_of(&mut self, train: Option<TrainIdx>, fate: Result<(), ()>) -> Counts {
        let Some(TrainIdx(row)) = train else { return Counts::Whole };
        let train = &mut self.trains[row as usize];
        train.under_way -= 1;
        let decides = !train.failed && (fate.is_err() || train.under_way == 0);
        train.failed |= fate.is_err();
        if train.under_way == 0 {
            self.free_trains.push(row);
        }
        if decides { Counts::Whole } else { Counts::Part }
    }

    /// Onto the sender's own link.
    #[inline]
    fn carry(&mut self, flight: InFlight, observer: &mut (impl Observer + ?Sized)) {
        let (now, bytes, from) = (self.now, flight.packet.len(), flight.from);
        match self.stations[from.row()].link.carry(now, bytes) {
            Ok(at) if at == now => self.cross(flight, observer),
            Ok(at) => self.push(at, Kind::Cross, flight),
            Err(reason) => {
                let drop = Drop::new(reason, Place::Interface(from));
                self.lose(&flight, &flight.packet, drop, observer);
            }
        }
    }

    /// A packet comes out of its sender's link and goes onto the VPC's, the peering's or
    /// the edge's; or out of the link of one edge, and goes onto that of the next.
    #[inline]
    pub(super) fn cross(&mut self, mut flight: InFlight, observer: &mut (impl Observer + ?Sized)) {
        let (now, bytes) = (self.now, flight.packet.len());
        let (out, place) = match (flight.crossing.via(), flight.crossing.into_realm()) {
            (Via::Peering(peering), into) => {
                let [a, b] = &mut self.peering_links[peering.row()];
                let link = if Realm::Vpc(a.0) == into { &mut a.1 } else { &mut b.1 };
                (link.carry(now, bytes), Place::Peering(peering))
            }
            (Via::Gateway(first), _) => {
                let way = match (flight.crossing.edges(), flight.stretch()) {
                    ([Some(out), _], Stretch::First) => (out.gateway, OUTWARDS),
                    ([_, Some(inwards)], _) => (inwards.gateway, INWARDS),
                    // Nobody makes this: only what goes over two edges has a second stretch.
                    ([_, None], _) => (first, OUTWARDS),
                };
                let link = &mut self.gateway_links[way.0.row()][way.1];
                (link.carry(now, bytes), Place::Gateway(way.0))
            }
            (_, Realm::Vpc(vpc)) => (self.vpc_links[vpc.row()].carry(now, bytes), Place::Vpc(vpc)),
            // Between two hosts outside the cloud there is no link of ours.
            _ => (Ok(now), Place::Interface(flight.from)),
        };
        let at = match out {
            Ok(at) => at,
            Err(reason) => {
                return self.lose(&flight, &flight.packet, Drop::new(reason, place), observer);
            }
        };
        let goes_on = matches!(flight.crossing.edges(), [Some(_), Some(_)]);
        if !goes_on || flight.stretch() == Stretch::Second {
            return self.push(at, Kind::Arrive, flight);
        }
        flight.rare.get_or_insert_default().stretch = Stretch::Second;
        if at == now {
            self.cross(flight, observer);
        } else {
            self.push(at, Kind::Cross, flight);
        }
    }

    #[inline]
    fn push(&mut self, at: Instant, kind: Kind, flight: InFlight) {
        let key = self.key(at, kind, flight.from);
        self.queue.push(key, flight);
    }

    /// The key of the next event that an interface causes.
    #[inline]
    fn key(&mut self, at: Instant, kind: Kind, by: InterfaceIdx) -> Key {
        let station = &mut self.stations[by.row()];
        station.sequence = station.sequence.wrapping_add(1);
        // Rows of interfaces stay below 2^30, see `queue::Key`.
        let source = u32::try_from(by.row()).unwrap_or(u32::MAX);
        Key::new(at, kind, source, station.sequence)
    }

    /// A packet comes to the network at the other end. It may have been judged already.
    pub(super) fn arrive(
        &mut self,
        flight: InFlight,
        judged: Option<Result<InterfaceIdx, Drop>>,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let mapped = match flight.crossing.mapped(&flight.packet) {
            Ok(mapped) => mapped,
            Err(drop) => return self.lose(&flight, &flight.packet, drop, observer),
        };
        let packet = mapped.as_ref();
        let judged = judged.unwrap_or_else(|| self.enter(flight.crossing, packet));
        let at = match judged {
            Ok(at) => at,
            Err(drop) => return self.lose(&flight, packet, drop, observer),
        };
        if packet.offload().is_some() && self.may_relay(at) {
            return self.cut_before_relay(&flight, packet, at, observer);
        }
        match self.next_at(at, packet) {
            Next::Received => {
                self.finish(&flight, packet, at, observer);
                self.receive(packet, flight.subject, at, observer);
                if let Some((_, source)) = self.sources.get_mut(flight.home.0 as usize) {
                    source.give_back(flight.packet);
                }
            }
            Next::SentOn(onward) => {
                let what = Happening::Relayed {
                    packet,
                    sent: flight.sent(),
                    at,
                    from: flight.from,
                    crossing: flight.crossing,
                    left: flight.left,
                };
                observer.see(self.world(), flight.subject, what);
                self.count(flight.subject).relayed += 1;
                let departure = Departure { train: flight.train(), ..Departure::plain(at) };
                self.depart(onward, flight.subject, departure, observer);
            }
            Next::Dropped(reason) => {
                let drop = Drop::new(reason, Place::Interface(at));
                self.lose(&flight, packet, drop, observer);
            }
        }
    }

    /// May the host at `at` send on what it gets?
    fn may_relay(&self, at: InterfaceIdx) -> bool {
        self.relays.get(at.row()).is_some_and(|relays| *relays)
    }

    /// Who sends on reads what it sends on: it gets packets that are finished.
    fn cut_before_relay(
        &mut self,
        flight: &InFlight,
        packet: &Packet,
        at: InterfaceIdx,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let pieces = carried_out(packet);
        let train = self.couple(flight.train(), pieces.len());
        let InFlight { crossing, subject, from, left, .. } = *flight;
        for piece in pieces {
            let part_of = Some(Part { train, whole: flight.sent().clone() });
            let rare = Some(Box::new(Rare { part_of, stretch: flight.stretch() }));
            let home = Home::NONE;
            let flight = InFlight { packet: piece, crossing, subject, from, left, home, rare };
            self.arrive(flight, Some(Ok(at)), observer);
        }
    }

    /// What the host at `at` does with a packet that was let in there.
    fn next_at(&mut self, at: InterfaceIdx, packet: &Packet) -> Next {
        if !self.may_relay(at) {
            return Next::Received;
        }
        let id = self.rows.interface_id(at);
        self.memory.middleboxes.next(&self.cloud, id, packet, self.now)
    }

    /// A packet that left does not arrive. `packet` is what it was there.
    fn lose(
        &mut self,
        flight: &InFlight,
        packet: &Packet,
        drop: Drop,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let counts = self.fate_of(flight.train(), Err(()));
        let (crossing, from, left) = (flight.crossing, flight.from, flight.left);
        let sent = flight.sent();
        let what = Happening::Lost { packet, sent, from, drop, crossing, left };
        self.drop_packet(flight.subject, counts, drop, what, observer);
    }

    /// The end of a packet that is not delivered.
    /// A host's packet ends before it leaves.
    pub(super) fn refuse(
        &mut self,
        subject: Subject,
        drop: Drop,
        what: Happening<'_>,
        observer: &mut (impl Observer + ?Sized),
    ) {
        self.count_sent(subject);
        self.drop_packet(subject, Counts::Whole, drop, what, observer);
    }

    fn drop_packet(
        &mut self,
        subject: Subject,
        counts: Counts,
        drop: Drop,
        what: Happening<'_>,
        observer: &mut (impl Observer + ?Sized),
    ) {
        if counts == Counts::Whole {
            self.count(subject).drops.add(drop.reason);
        }
        observer.see(self.world(), subject, what);
    }

    /// The end of a packet that is delivered.
    fn finish(
        &mut self,
        flight: &InFlight,
        packet: &Packet,
        at: InterfaceIdx,
        observer: &mut (impl Observer + ?Sized),
    ) {
        let subject = flight.subject;
        if self.fate_of(flight.train(), Ok(())) == Counts::Whole {
            let tally = self.count(subject);
            tally.delivered += 1;
            if subject.meant.is_some_and(|meant| meant != at) {
                tally.misdelivered += 1;
            }
        }
        let (crossing, from, left) = (flight.crossing, flight.from, flight.left);
        let what = Happening::Arrived { packet, sent: flight.sent(), at, from, crossing, left };
        observer.see(self.world(), subject, what);
    }

    /// What a host does with a packet that it got: it hands it to its TCP, or answers of itself. It
    /// does neither with what is not for one of its addresses.
    fn receive(
        &mut self,
        packet: &Packet,
        subject: Subject,
        at: InterfaceIdx,
        observer: &mut (impl Observer + ?Sized),
    ) {
        if self.stage_door.leads_from(at) && self.stage_door.is_of(subject.probe) {
            return self.stage_door.hand_out(at, packet);
        }
        if packet.offload().is_some() {
            let packets = carried_out(packet);
            packets.iter().for_each(|packet| self.receive(packet, subject, at, observer));
            return;
        }
        let datagrams = self.probes[subject.probe].datagrams;
        let has_tcp = self.tcp_at(at).is_some();
        let is_asked = subject.leg == Leg::Request && host::answers(packet.protocol(), datagrams);
        // Most packets end here, so whose the address is comes second: that is a longer look.
        let concerns = has_tcp || is_asked || packet.is_fragment();
        if !concerns || !self.owns(at, packet.destination()) {
            return;
        }
        let now = self.now;
        let completed = packet.is_fragment().then(|| self.host_mut(at).whole(packet, now));
        let packet = match &completed {
            None => packet,
            Some(Some(whole)) => whole,
            Some(None) => return,
        };
        if let Some(tcp) = self.tcp_at(at) {
            let is_segment = packet.protocol() == Protocol::TCP;
            if is_segment {
                tcp.hears(packet, subject, at);
            }
            if is_segment || subject.leg == Leg::Notice {
                tcp.stack.know(packet.destination());
                tcp.stack.receive(packet, now);
                return self.wake(at, observer);
            }
        }
        // Nobody answers an answer.
        if subject.leg != Leg::Request {
            return;
        }
        if let Some(answer) = host::answer(packet, datagrams) {
            let meant = Some(subject.sender);
            let subject = Subject { leg: Leg::Answer, sender: at, meant, ..subject };
            // Who is asked in pieces answers in pieces where that is needed.
            let in_pieces = packet.may_be_fragmented();
            let answer = if in_pieces { clear_dont_fragment(&answer) } else { answer };
            self.send(answer, subject, observer);
        }
    }

    /// Is the address one of the host's?
    fn owns(&self, at: InterfaceIdx, address: IpAddr) -> bool {
        let id = self.rows.interface_id(at);
        let inside = self.cloud.interface(id).is_some_and(|interface| interface.owns(address));
        inside || self.cloud.outside_host(id).is_some_and(|host| host.owns(address))
    }

    /// The TCP of a host that has one.
    pub(super) fn tcp_at(&mut self, at: InterfaceIdx) -> Option<&mut host::Tcp> {
        self.hosts.get_mut(at.row())?.as_deref_mut()?.tcp.as_deref_mut()
    }

    pub(super) fn host_mut(&mut self, at: InterfaceIdx) -> &mut host::Host {
        if self.hosts.len() <= at.row() {
            self.hosts.resize_with(at.row() + 1, || None);
        }
        self.hosts[at.row()].get_or_insert_default()
    }

    /// The TCP of a host, started if it has none yet.
    pub(super) fn tcp_of(&mut self, at: InterfaceIdx) -> &mut host::Tcp {
        let id = self.rows.interface_id(at);
        let (addresses, mtu) = match (self.cloud.interface(id), self.cloud.outside_host(id)) {
            (Some(inside), _) => (inside.addresses.clone(), Mtu::JUMBO),
            (None, Some(outside)) => (outside.addresses.clone(), Mtu::ETHERNET),
            (None, None) => (Vec::new(), Mtu::ETHERNET),
        };
        let chance = self.seed.stream(&format!("tcp:{id}"));
        self.host_mut(at).tcp(&addresses, mtu, chance)
    }

    /// Lets a host's TCP do what is due, and sends what it has made.
    pub(super) fn wake(&mut self, at: InterfaceIdx, observer: &mut (impl Observer + ?Sized)) {
        let now = self.now;
        let Some(tcp) = self.tcp_at(at) else { return };
        if tcp.wake.is_some_and(|wake| wake <= now) {
            tcp.wake = None;
        }
        let (out, ended) = (tcp.poll(now), tcp.ended());
        let next = tcp.stack.next_wake();
        for (segment, subject) in out {
            self.send(segment, subject, observer);
        }
        if let Some(next) = next {
            self.wake_at(at, next);
        }
        for probe in ended {
            self.probes[probe].tally.unsent = 0;
        }
    }

    /// Sees to it that a host's TCP is woken at `next` at the latest.
    pub(super) fn wake_at(&mut self, at: InterfaceIdx, next: Instant) {
        let next = next.max(self.now);
        let Some(tcp) = self.tcp_at(at) else { return };
        if tcp.wake.is_some_and(|wake| wake <= next) {
            return;
        }
        tcp.wake = Some(next);
        let key = self.key(next, Kind::Wake, at);
        self.queue.note(key);
    }

    /// The network tells the sender of a packet that was too long for its way.
    fn notify(&mut self, packet: &Packet, subject: Subject, from: InterfaceIdx, drop: Drop) {
        if drop.reason != DropReason::TooBig {
            return;
        }
        let Some((notice, crossing)) = forward::notice(&self.cloud, &self.rows, from, packet, drop)
        else {
            return;
        };
        let meant = Some(subject.sender);
        let subject = Subject { leg: Leg::Notice, meant, ..subject };
        self.count_sent(subject);
        let left = self.now;
        let (home, rare) = (Home::NONE, None);
        let flight = InFlight { packet: notice, crossing, subject, from, left, home, rare };
        // The router is one step away: the notice takes what a packet inside the VPC takes.
        let at = left + self.link_defaults.vpc.latency;
        self.push(at, Kind::Arrive, flight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{build, clear_dont_fragment};

    /// Nothing longer than its way is ever on it, whatever the forwarder has let pass.
    #[test]
    fn what_cannot_be_cut_up_does_not_go() {
        let (to, data) = ("10.0.0.5:9".parse().unwrap(), [0; 2_000]);
        let whole = build::udp("10.0.0.4:9".parse().unwrap(), to, &data).unwrap();
        let at = Place::Vpc(VpcIdx::from_row(0));
        assert_eq!(pieces(&whole, Mtu::JUMBO, at, 1, || true), Ok(None));
        let refused = Drop::new(DropReason::TooBig, at);
        assert_eq!(pieces(&whole, Mtu::ETHERNET, at, 1, || true), Err(refused));
        let cut =
            pieces(&clear_dont_fragment(&whole), Mtu::ETHERNET, at, 1, || true).unwrap().unwrap();
        assert!(cut.len() == 2 && cut.iter().all(|piece| Mtu::ETHERNET.holds(piece.len())));
    }
}
