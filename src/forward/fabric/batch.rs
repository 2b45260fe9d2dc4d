//! `leave` and `enter` in stages over a batch.
//!
//! Holds [`Batch`] and the stages: each asks for the lines that the next one reads, so that the time
//! memory takes passes once for a batch. Packets of the common kinds (whole, and between the first
//! addresses of their interfaces) are judged here; every other one goes, in its turn, through
//! `scalar`. Whatever is remembered is judged in the order of the batch, so that a batch is told from
//! one packet after another by nothing but the time it takes. Refuses to cut packets up and to send
//! them on: that is the caller's, between the two halves and after them.

mod handover;

pub(super) use handover::Handover;

use std::borrow::Cow;
use std::net::IpAddr;

use super::classify::FilterIdx;
use super::directory::Key;
use super::family::{Kind, V4, V6};
use super::passages::{Passage, Passages};
use super::prefetch;
use super::routes::Code;
use super::rows::{Flags, InterfaceRow, Others};
use super::scalar::Passes;
use super::worker::{Delivery, Worker};
use super::{Fabric, Hosts};
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::gate::{Crossing, OpenEnd, Origin};
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Family, Flow, Packet};

/// How many packets a batch takes.
pub const BATCH: usize = 256;

/// What has become of a packet of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Nobody has looked at it yet.
    Waits,
    /// It has left, see [`Batch::crossing`].
    Left,
    /// It has left, and is too long for its way: whoever holds it has to cut it up and let the
    /// pieces enter. [`Fabric::enter_all`] leaves it alone.
    MustBeCut,
    /// It has arrived at this interface.
    Delivered(InterfaceIdx),
    /// It has not.
    Dropped(Drop),
}

/// Up to [`BATCH`] packets under way, in order. Made once and used again and again.
#[derive(Debug)]
pub struct Batch<'p> {
    len: usize,
    slots: Box<[Slot<'p>; BATCH]>,
    rare: Rare,
}

/// What is known of a packet on its way. Only plain fields: an enum that carries something is put
/// together on the stack and copied, and the copy has to wait for its parts.
#[derive(Clone, Copy, Debug)]
struct Slot<'p> {
    packet: Option<&'p Packet>,
    /// Of `family`; an IPv4 address is the lower quarter.
    destination: u128,
    /// Where the directory knows the destination, once the network that is entered is known.
    key: Key,
    from: InterfaceIdx,
    name: u32,
    table: TableIdx,
    code: Code,
    /// The network that is entered, over `end` if it is a peering's.
    into: VpcIdx,
    end: OpenEnd,
    /// Who has the address, perhaps; at the end, for certain.
    to: InterfaceIdx,
    length: u16,
    state: State,
    way: Way,
    family: Family,
    /// Is it TCP or UDP?
    has_ports: bool,
    /// Has a route been looked up for it?
    is_new: bool,
}

/// [`Fate`] without what it carries, and the steps on the way to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waits,
    /// Leaves: is to be judged by filters, in its turn.
    LeavesJudged,
    /// Leaves: is to be judged as a whole, in its turn.
    LeavesRarely,
    /// Leaves: a route is to be found.
    Routed,
    /// Leaves: stands before the gate.
    Gated,
    Left,
    MustBeCut,
    /// Arrives: nothing more is to be asked.
    Arrives,
    /// Arrives: is to be judged by filters, in its turn.
    ArrivesJudged,
    /// Arrives: is to be judged as a whole, in its turn.
    ArrivesRarely,
    Delivered,
    Dropped,
}

/// How a packet crosses: with `into` and `end` a crossing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Subnet,
    Local,
    Peering,
    /// As [`Rare::crossing`] says.
    Rare,
}

/// What few packets of a batch have, by place.
#[derive(Debug)]
struct Rare {
    /// Why those were dropped that were.
    drop: Box<[Option<Drop>; BATCH]>,
    /// How those cross that go a rare way.
    crossing: Box<[Option<Crossing>; BATCH]>,
    /// Those that an internet gateway has given other addresses.
    mapped: Vec<(usize, Packet)>,
}

impl Slot<'_> {
    const EMPTY: Slot<'static> = Slot {
        packet: None,
        destination: 0,
        key: Key::NONE,
        from: InterfaceIdx::NOWHERE,
        name: 0,
        table: TableIdx::NOWHERE,
        code: Code::LOCAL,
        into: VpcIdx::NOWHERE,
        end: OpenEnd::NOWHERE,
        to: InterfaceIdx::NOWHERE,
        length: 0,
        state: State::Waits,
        way: Way::Rare,
        family: Family::V4,
        has_ports: false,
        is_new: false,
    };

    fn destination(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(V4::narrow(self.destination).into()),
            Family::V6 => IpAddr::V6(self.destination.into()),
        }
    }

    /// The crossing of a packet that has left by a common way.
    fn crossing(&self) -> Option<Crossing> {
        match self.way {
            Way::Subnet => Some(Crossing::in_subnet(self.into, Origin::Own)),
            Way::Local => Some(Crossing::local(self.into, Origin::Own)),
            Way::Peering => Some(Crossing::over(self.end, Origin::Own)),
            Way::Rare => None,
        }
    }

    /// Behind the gate: the last check of `leave`, the packet's length.
    #[inline(always)]
    fn let_out(&mut self, way: Way, into: VpcIdx, mtu: Mtu) {
        self.way = way;
        self.into = into;
        let fits = mtu.holds(usize::from(self.length));
        self.state = if fits { State::Left } else { State::MustBeCut };
    }

    /// Has it left by a common way, and nobody knows who has the address?
    #[inline(always)]
    fn is_unowned(&self) -> bool {
        self.state == State::Left && self.to == InterfaceIdx::NOWHERE && self.way != Way::Rare
    }

    /// Tells the worker, in whose ring the packet is from now on.
    #[inline(always)]
    fn deliver(&mut self, worker: &mut Worker) {
        self.state = State::Delivered;
        let Slot { to, from, name, length, .. } = *self;
        worker.deliver(Delivery { to, from, name, length });
    }

    /// Where the directory has the destination.
    fn key(&self) -> Key {
        match self.family {
            Family::V4 => V4::key(self.into, V4::narrow(self.destination)),
            Family::V6 => V6::key(self.into, V6::narrow(self.destination)),
        }
    }
}

impl Rare {
    #[cold]
    #[inline(never)]
    fn fail(&mut self, at: usize, slot: &mut Slot<'_>, drop: Drop, worker: &mut Worker) {
        slot.state = State::Dropped;
        self.drop[at] = Some(drop);
        worker.drop(drop);
    }

    /// A packet that is longer than its way takes: dropped, if nobody may cut it up.
    #[cold]
    #[inline(never)]
    fn too_long(&mut self, at: usize, slot: &mut Slot<'_>, worker: &mut Worker) {
        let may_be_cut = slot.packet.is_some_and(Packet::may_be_fragmented);
        let crossing = slot.crossing().or(self.crossing[at]);
        if let (false, Some(crossing)) = (may_be_cut, crossing) {
            let drop = Drop::new(DropReason::TooBig, crossing.bottleneck());
            self.fail(at, slot, drop, worker);
        }
    }

    /// A packet has left by a rare way.
    #[cold]
    fn leave(&mut self, at: usize, slot: &mut Slot<'_>, crossing: Crossing, worker: &mut Worker) {
        let Some(packet) = slot.packet else { return };
        slot.way = Way::Rare;
        slot.is_new = false;
        self.crossing[at] = Some(crossing);
        let fits = crossing.mtu().holds(packet.len());
        slot.state = if fits { State::Left } else { State::MustBeCut };
        if !fits {
            self.too_long(at, slot, worker);
        }
        match crossing.mapped(packet) {
            _ if slot.state == State::Dropped => {}
            Ok(Cow::Owned(mapped)) => self.mapped.push((at, mapped)),
            Ok(Cow::Borrowed(_)) => {}
            Err(drop) => self.fail(at, slot, drop, worker),
        }
    }

    /// A packet as it arrives.
    fn packet<'a>(&'a self, at: usize, slot: &Slot<'a>) -> Option<&'a Packet> {
        let mapped = self.mapped.iter().find(|(of, _)| *of == at).map(|(_, mapped)| mapped);
        mapped.or(slot.packet)
    }
}

impl Passages {
    /// Notes where those crossed that have just left by this worker.
    #[inline(never)]
    fn learn(&mut self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            let Slot { table, way, end, to, is_new: true, .. } = *slot else { continue };
            if slot.state != State::Left || to == InterfaceIdx::NOWHERE {
                continue;
            }
            let passage = Passage { way, end, to };
            match slot.family {
                Family::V4 => self.v4.put(table, V4::narrow(slot.destination), passage),
                Family::V6 => self.v6.put(table, V6::narrow(slot.destination), passage),
            }
        }
    }
}

impl Default for Batch<'_> {
    fn default() -> Self {
        Batch::new()
    }
}

impl<'p> Batch<'p> {
    /// An empty batch.
    pub fn new() -> Batch<'p> {
        let rare = Rare {
            drop: Box::new([None; BATCH]),
            crossing: Box::new([None; BATCH]),
            mapped: Vec::new(),
        };
        Batch { len: 0, slots: Box::new([Slot::EMPTY; BATCH]), rare }
    }

    /// Adds a packet that this interface wants to send; `name` is what deliveries call it by.
    /// `false` if the batch is full.
    #[inline]
    pub fn push(&mut self, from: InterfaceIdx, packet: &'p Packet, name: u32) -> bool {
        let Some(slot) = self.slots.get_mut(self.len) else { return false };
        prefetch::line(packet);
        slot.packet = Some(packet);
        slot.from = from;
        slot.name = name;
        slot.state = State::Waits;
        slot.to = InterfaceIdx::NOWHERE;
        slot.is_new = false;
        self.len += 1;
        true
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
        self.rare.mapped.clear();
    }

    /// How many packets are in it.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Is nothing in it?
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What has become of a packet; `None` behind the last one.
    pub fn fate(&self, at: usize) -> Option<Fate> {
        let slot = self.slot(at)?;
        Some(match slot.state {
            State::Left => Fate::Left,
            State::MustBeCut => Fate::MustBeCut,
            State::Delivered => Fate::Delivered(slot.to),
            State::Dropped => Fate::Dropped(self.rare.drop[at]?),
            _ => Fate::Waits,
        })
    }

    /// How a packet crosses that has left, or has arrived.
    pub fn crossing(&self, at: usize) -> Option<Crossing> {
        match self.fate(at)? {
            Fate::Left | Fate::MustBeCut | Fate::Delivered(_) => {
                self.slot(at)?.crossing().or(self.rare.crossing[at])
            }
            Fate::Waits | Fate::Dropped(_) => None,
        }
    }

    /// A packet as it arrives: as it was sent, or with the addresses that its crossing puts in.
    pub fn packet(&self, at: usize) -> Option<&Packet> {
        self.rare.packet(at, self.slot(at)?)
    }

    fn slot(&self, at: usize) -> Option<&Slot<'p>> {
        self.slots.get(..self.len)?.get(at)
    }

    /// Those that are in it, with their places, and what few of them have.
    #[inline(always)]
    fn all(&mut self) -> (impl Iterator<Item = (usize, &mut Slot<'p>)>, &mut Rare) {
        let len = self.len.min(BATCH);
        (self.slots[..len].iter_mut().enumerate(), &mut self.rare)
    }
}

/// What is to be done with packets of a batch after the first look.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Further {
    /// Some have to be judged one after the other.
    judged: bool,
    /// Some look for a route, or are too long for a way that asks none.
    routed: bool,
    /// Some have left without a hint at who has the address.
    unowned: bool,
}

impl Further {
    /// A packet has been looked at, or judged.
    #[inline(always)]
    fn note(&mut self, slot: &Slot<'_>) {
        if slot.state == State::Left {
            self.unowned |= slot.to == InterfaceIdx::NOWHERE;
            return;
        }
        match slot.state {
            State::LeavesJudged | State::LeavesRarely => self.judged = true,
            State::Routed | State::MustBeCut => (self.routed, self.unowned) = (true, true),
            _ => {}
        }
    }
}

impl Fabric {
    /// The first half: may these packets leave, and where do they cross to? The same answers, in
    /// [`Batch::fate`], and the same memory as [`Forwarder::leave`](crate::forward::Forwarder::leave)
    /// gives for one packet of the batch after another.
    pub fn leave_all(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) {
        worker.passages.follow(self.version);
        self.hosts.ask_for_senders(batch);
        let mut further = self.look_at_senders(batch, memory, &worker.passages);
        if further.judged {
            self.judge_senders(batch, memory, worker, &mut further);
        }
        if further.routed {
            self.look_up_routes(batch, worker);
            self.hosts.through_gates(batch, worker);
        }
        if further.unowned {
            self.hosts.look_up_owners(batch);
            worker.passages.learn(batch);
        }
    }

    /// The second half: where do the packets arrive that have left? Deliveries go into the worker's
    /// ring. The same answers and memory as [`Forwarder::enter`](crate::forward::Forwarder::enter)
    /// gives for one packet of the batch after another.
    pub fn enter_all(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) {
        self.hosts.enter_all(batch, memory, worker);
    }

    /// Reads headers and senders' rows: who may leave without a further question, and who has to be
    /// judged. The former are told from the latter before anybody is judged, which changes nothing:
    /// of an interface that is open and of which nothing is remembered, TCP and UDP leave no trace,
    /// and nothing that others leave behind there stops them.
    #[inline(never)]
    fn look_at_senders(
        &self,
        batch: &mut Batch<'_>,
        memory: &impl Tracking,
        passages: &Passages,
    ) -> Further {
        let mut further = Further::default();
        for (_, slot) in batch.all().0 {
            slot.state = State::LeavesRarely;
            if let (Some(packet), Some(sender)) =
                (slot.packet, self.hosts.interfaces.get(slot.from.row()))
            {
                slot.family = packet.family();
                match slot.family {
                    Family::V4 => {
                        self.look_at_sender::<V4>(slot, packet, sender, memory, passages);
                    }
                    Family::V6 => {
                        self.look_at_sender::<V6>(slot, packet, sender, memory, passages);
                    }
                }
            }
            further.note(slot);
        }
        further
    }

    #[inline(always)]
    fn look_at_sender<K: Kind>(
        &self,
        slot: &mut Slot<'_>,
        packet: &Packet,
        sender: &InterfaceRow,
        memory: &impl Tracking,
        passages: &Passages,
    ) {
        let Some(head) = K::head(&packet.view()) else { return };
        if !K::is_first(&self.hosts, sender, head.source) {
            return;
        }
        slot.destination = K::wide(head.destination);
        slot.length = head.length;
        slot.has_ports = head.protocol.has_ports();
        let is_open = sender.flags.has(Flags::OPEN_OUT[K::ROW]);
        if is_open && slot.has_ports && memory.is_blank(slot.from) {
            self.send_on::<K>(slot, sender, passages);
        } else if sender.flags.has(Flags::RUNS) {
            slot.state = State::LeavesJudged;
            if let Some(flow) = K::flow(&packet.view()) {
                K::ask(memory, slot.from, Direction::Egress, &flow);
            }
        }
    }

    /// Behind the groups: stays in the subnet, goes where others went, or asks for a route.
    #[inline(always)]
    fn send_on<K: Kind>(&self, slot: &mut Slot<'_>, sender: &InterfaceRow, passages: &Passages) {
        let destination = K::narrow(slot.destination);
        slot.table = sender.table;
        if K::shares_subnet(&self.hosts, sender, destination) {
            slot.let_out(Way::Subnet, sender.vpc, Mtu::JUMBO);
            return;
        }
        if let Some(Passage { way, end, to }) = K::passages(passages).get(slot.table, destination) {
            let (into, mtu) = match way {
                Way::Peering => (end.into_vpc(), end.mtu()),
                _ => (sender.vpc, Mtu::JUMBO),
            };
            slot.end = *end;
            slot.to = *to;
            slot.let_out(*way, into, mtu);
            prefetch::element(&self.hosts.interfaces, to.row());
            if slot.state == State::Left {
                return;
            }
        }
        // Whoever is too long goes the long way.
        slot.state = State::Routed;
        slot.is_new = true;
        slot.to = InterfaceIdx::NOWHERE;
        slot.into = sender.vpc;
        K::prefetch_table(&self.tables, sender.table);
    }

    /// Those that have to be judged, in the order of the batch.
    #[inline(never)]
    fn judge_senders(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
        further: &mut Further,
    ) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let (Some(packet), from) = (slot.packet, slot.from) else { continue };
            match slot.state {
                State::LeavesJudged => {
                    let sender = &self.hosts.interfaces[from.row()];
                    let judged = match slot.family {
                        Family::V4 => {
                            self.judge_sender::<V4>(sender, packet, slot, memory, &worker.passages)
                        }
                        Family::V6 => {
                            self.judge_sender::<V6>(sender, packet, slot, memory, &worker.passages)
                        }
                    };
                    match judged {
                        Ok(()) => further.note(slot),
                        Err(drop) => rare.fail(at, slot, drop, worker),
                    }
                }
                State::LeavesRarely => match self.leave_one(from, packet, memory) {
                    Ok(crossing) => rare.leave(at, slot, crossing, worker),
                    Err(drop) => rare.fail(at, slot, drop, worker),
                },
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn judge_sender<K: Kind>(
        &self,
        sender: &InterfaceRow,
        packet: &Packet,
        slot: &mut Slot<'_>,
        memory: &mut impl Tracking,
        passages: &Passages,
    ) -> Result<(), Drop> {
        let (hosts, from, out) = (&self.hosts, slot.from, Direction::Egress);
        let flow = K::flow(&packet.view());
        let asked = Asked::<K> { packet, flow: flow.as_ref() };
        match hosts.groups_let::<K>((sender, from), out, &asked, memory) {
            Passes::Yes => {}
            passes => return Err(refused(passes, DropReason::GroupEgress, from)),
        }
        self.send_on::<K>(slot, sender, passages);
        let is_subnets =
            matches!(slot.state, State::Left | State::MustBeCut) && slot.way == Way::Subnet;
        if !is_subnets && !hosts.acl_lets(sender, out, &asked) {
            return Err(Drop::new(DropReason::AclEgress, hosts.acl_of(from)));
        }
        Ok(())
    }

    #[inline(never)]
    fn look_up_routes(&self, batch: &mut Batch<'_>, worker: &mut Worker) {
        for (_, slot) in batch.all().0 {
            match (slot.state, slot.family) {
                (State::Routed, Family::V4) => self.ask_for_route::<V4>(slot),
                (State::Routed, Family::V6) => self.ask_for_route::<V6>(slot),
                _ => {}
            }
        }
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            if slot.state != State::Routed {
                continue;
            }
            let code = match slot.family {
                Family::V4 => self.route::<V4>(slot),
                Family::V6 => self.route::<V6>(slot),
            };
            let Some(code) = code else {
                rare.fail(at, slot, self.no_route(slot), worker);
                continue;
            };
            slot.code = code;
            slot.state = State::Gated;
            if let Some(peering) = code.peering() {
                prefetch::element(&self.hosts.peerings, peering.row());
            }
        }
    }

    #[inline(always)]
    fn ask_for_route<K: Kind>(&self, slot: &Slot<'_>) {
        K::prefetch_route(&self.tables, slot.table, K::narrow(slot.destination));
    }

    #[inline(always)]
    fn route<K: Kind>(&self, slot: &Slot<'_>) -> Option<Code> {
        let destination = K::narrow(slot.destination);
        let code = K::route(&self.tables, slot.table, destination);
        code.filter(|_| !K::is_service(destination))
    }

    #[cold]
    fn no_route(&self, slot: &Slot<'_>) -> Drop {
        if self.tables.has(slot.table) {
            Drop::new(DropReason::NoRoute, Place::Table(slot.table))
        } else {
            Drop::new(DropReason::InterfaceDown, Place::Interface(slot.from))
        }
    }
}

/// A packet under its sender's own address, and its flow if it is TCP or UDP.
struct Asked<'a, K: Kind> {
    packet: &'a Packet,
    flow: Option<&'a Flow<K::Ip>>,
}

/// Asks for what is remembered of a packet at the interface where it arrives.
#[inline(always)]
fn ask_for<K: Kind>(slot: &Slot<'_>, packet: &Packet, memory: &impl Tracking) {
    if let Some(flow) = K::flow(&packet.view()) {
        K::ask(memory, slot.to, Direction::Ingress, &flow);
    }
}

fn refused(passes: Passes, reason: DropReason, at: InterfaceIdx) -> Drop {
    let reason = if passes == Passes::Full { DropReason::ConntrackFull } else { reason };
    Drop::new(reason, Place::Interface(at))
}

impl Hosts {
    #[inline(never)]
    fn ask_for_senders(&self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            if let Some(packet) = slot.packet {
                prefetch::line::<[u8]>(packet.bytes());
            }
            prefetch::element(&self.interfaces, slot.from.row());
        }
    }

    /// [`Hosts::groups_pass`], in fewer steps if it is TCP or UDP.
    #[inline(always)]
    fn groups_let<K: Kind>(
        &self,
        (row, at): (&InterfaceRow, InterfaceIdx),
        way: Direction,
        asked: &Asked<'_, K>,
        memory: &mut impl Tracking,
    ) -> Passes {
        let Some(flow) = asked.flow.filter(|_| row.filter != FilterIdx::NONE) else {
            return self.groups_pass(row, at, way, asked.packet, Origin::Own, memory);
        };
        let say = || K::groups(self.filters.classifiers(), row.filter, way, &K::probe(flow));
        Passes::of(K::judge(memory, at, way, (flow, asked.packet), say))
    }

    /// [`Hosts::acl_passes`], in fewer steps if it is TCP or UDP.
    #[inline(always)]
    fn acl_lets<K: Kind>(&self, row: &InterfaceRow, way: Direction, asked: &Asked<'_, K>) -> bool {
        let open = match way {
            Direction::Ingress => Flags::ACL_OPEN_IN,
            Direction::Egress => Flags::ACL_OPEN_OUT,
        };
        match asked.flow {
            _ if row.flags.has(open[K::ROW]) => true,
            Some(flow) => K::acl(self.filters.classifiers(), row.acl, way, &K::probe(flow)),
            None => self.acl_passes(row, way, asked.packet),
        }
    }

    /// From routes' targets to crossings.
    #[inline(never)]
    fn through_gates(&self, batch: &mut Batch<'_>, worker: &mut Worker) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            match slot.state {
                State::Gated => match slot.code.peering() {
                    Some(peering) => self.over_peering(at, peering, slot, rare, worker),
                    None if slot.code == Code::LOCAL => {
                        slot.let_out(Way::Local, slot.into, Mtu::JUMBO);
                    }
                    None => self.through_rare_gate(at, slot, rare, worker),
                },
                State::MustBeCut => {}
                _ => continue,
            }
            if slot.state == State::MustBeCut {
                rare.too_long(at, slot, worker);
            }
        }
    }

    #[inline(always)]
    fn over_peering(
        &self,
        at: usize,
        peering: PeeringIdx,
        slot: &mut Slot<'_>,
        rare: &mut Rare,
        worker: &mut Worker,
    ) {
        let row = self.peerings.get(peering.row());
        let Some(end) = row.and_then(|row| row.end(slot.into)) else {
            let blackhole = Drop::new(DropReason::Blackhole, Place::Table(slot.table));
            rare.fail(at, slot, blackhole, worker);
            return;
        };
        let in_first = slot.family == Family::V4 && end.block.holds(V4::narrow(slot.destination));
        let leads =
            in_first || (end.others == Others::Some && self.leads_to(end, slot.destination()));
        if !leads {
            rare.fail(at, slot, Drop::new(DropReason::Transit, Place::Peering(peering)), worker);
            return;
        }
        slot.end = end.end;
        slot.let_out(Way::Peering, end.end.into_vpc(), end.end.mtu());
    }

    /// To an interface that a route names, or over an edge.
    #[cold]
    fn through_rare_gate(
        &self,
        at: usize,
        slot: &mut Slot<'_>,
        rare: &mut Rare,
        worker: &mut Worker,
    ) {
        let sender = self.interfaces.get(slot.from.row());
        let (Some(packet), Some(sender)) = (slot.packet, sender) else { return };
        match self.gate((sender, Origin::Own), slot.code.target(), packet) {
            Ok(crossing) => rare.leave(at, slot, crossing, worker),
            Err(drop) => rare.fail(at, slot, drop, worker),
        }
    }

    /// Hints at who has the destinations of those that have left by a common way. No more than hints:
    /// the network may be another one when they enter.
    #[inline(never)]
    fn look_up_owners(&self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            if slot.is_unowned() {
                slot.key = slot.key();
                self.directory.prefetch(slot.key);
            }
        }
        for (_, slot) in batch.all().0 {
            if slot.is_unowned()
                && let Some(owner) = self.directory.candidate(slot.key)
            {
                slot.to = owner;
                prefetch::element(&self.interfaces, owner.row());
            }
        }
    }

    fn enter_all(&self, batch: &mut Batch<'_>, memory: &mut impl Tracking, worker: &mut Worker) {
        if self.look_at_receivers(batch, memory, worker) {
            self.judge_receivers(batch, memory, worker);
        }
    }

    /// As [`Fabric::look_at_senders`]; does one wait to be judged? Up to that one, packets are delivered.
    #[inline(never)]
    fn look_at_receivers(
        &self,
        batch: &mut Batch<'_>,
        memory: &impl Tracking,
        worker: &mut Worker,
    ) -> bool {
        let mut waits = false;
        for (_, slot) in batch.all().0 {
            if slot.state != State::Left {
                continue;
            }
            let is_open = slot.way != Way::Peering || self.is_open(slot.end.peering());
            let row = self.interfaces.get(slot.to.row()).filter(|_| is_open);
            let Some(row) = row else {
                slot.state = State::ArrivesRarely;
                waits = true;
                continue;
            };
            let (is_own, open) = match slot.family {
                Family::V4 => (self.is_for::<V4>(slot, row), Flags::OPEN_IN[V4::ROW]),
                Family::V6 => (self.is_for::<V6>(slot, row), Flags::OPEN_IN[V6::ROW]),
            };
            let is_it = is_own && row.vpc == slot.into;
            if is_it && row.flags.has(open) && slot.has_ports && memory.is_blank(slot.to) {
                slot.state = State::Arrives;
                if !waits {
                    slot.deliver(worker);
                }
                continue;
            }
            waits = true;
            let is_common = is_it && row.flags.has(Flags::RUNS);
            slot.state = if is_common { State::ArrivesJudged } else { State::ArrivesRarely };
            match (slot.packet, slot.family) {
                (Some(packet), Family::V4) if is_common => ask_for::<V4>(slot, packet, memory),
                (Some(packet), Family::V6) if is_common => ask_for::<V6>(slot, packet, memory),
                _ => {}
            }
        }
        waits
    }

    /// Judges those that have to be, and delivers, in the order of the batch.
    #[inline(never)]
    fn judge_receivers(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let arrival = match slot.state {
                State::Arrives => Ok(()),
                State::ArrivesJudged => match slot.family {
                    Family::V4 => self.judge_receiver::<V4>(slot, memory),
                    Family::V6 => self.judge_receiver::<V6>(slot, memory),
                },
                State::ArrivesRarely => self.enter_rarely(at, slot, rare, memory),
                _ => continue,
            };
            if let Err(drop) = arrival {
                rare.fail(at, slot, drop, worker);
                continue;
            }
            slot.deliver(worker);
        }
    }

    #[inline(always)]
    fn judge_receiver<K: Kind>(
        &self,
        slot: &Slot<'_>,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let (to, into) = (slot.to, Direction::Ingress);
        let (Some(row), Some(packet)) = (self.interfaces.get(to.row()), slot.packet) else {
            return Err(Drop::new(DropReason::NoSuchHost, Place::Vpc(slot.into)));
        };
        let flow = K::flow(&packet.view());
        let asked = Asked::<K> { packet, flow: flow.as_ref() };
        if slot.way != Way::Subnet && !self.acl_lets(row, into, &asked) {
            return Err(Drop::new(DropReason::AclIngress, self.acl_of(to)));
        }
        match self.groups_let::<K>((row, to), into, &asked, memory) {
            Passes::Yes => Ok(()),
            passes => Err(refused(passes, DropReason::GroupIngress, to)),
        }
    }

    /// A packet of a rare kind, for a rare place or for nobody.
    #[cold]
    fn enter_rarely(
        &self,
        at: usize,
        slot: &mut Slot<'_>,
        rare: &Rare,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let nowhere = Drop::new(DropReason::NoSuchHost, Place::Vpc(VpcIdx::NOWHERE));
        let crossing = slot.crossing().or(rare.crossing[at]).ok_or(nowhere)?;
        let packet = rare.packet(at, slot).ok_or(nowhere)?;
        slot.to = self.enter_one(crossing, packet, memory)?;
        slot.length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        Ok(())
    }

    #[inline(always)]
    fn is_open(&self, peering: PeeringIdx) -> bool {
        self.peerings.get(peering.row()).is_some_and(|row| row.ends.is_some())
    }

    /// Is it for this interface's first address?
    #[inline(always)]
    fn is_for<K: Kind>(&self, slot: &Slot<'_>, row: &InterfaceRow) -> bool {
        K::is_first(self, row, K::narrow(slot.destination))
    }
}
