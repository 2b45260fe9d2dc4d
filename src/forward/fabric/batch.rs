//! `leave` and `enter` in stages over a batch.
//!
//! Holds [`Batch`] and the stages: each asks for the lines that the next one reads, so that the time
//! memory takes passes once for a batch. Packets of the common kinds (whole, and between the first
//! addresses of their interfaces) are judged here; every other one goes, in its turn, through
//! `scalar`. Whatever is remembered is judged in the order of the batch, so that a batch is told from
//! one packet after another by nothing but the time it takes. Refuses to cut packets up and to send
//! them on: that is the caller's, between the two halves and after them.

use std::borrow::Cow;
use std::net::IpAddr;

use super::compile::family_row;
use super::directory::Key;
use super::prefetch;
use super::routes::Code;
use super::rows::{Flags, InterfaceRow, Others};
use super::scalar::Passes;
use super::worker::{Delivery, Worker};
use super::{Fabric, Hosts};
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::gate::{Crossing, OpenEnd, Origin, Via};
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Family, Packet};

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
    /// Has left before: its header is to be read.
    Crossed,
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
enum Way {
    Subnet,
    Local,
    Peering,
    /// Over a peering since another batch, as [`Rare::crossing`] says.
    PeeringBefore,
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
    };

    /// The lower quarter.
    #[allow(clippy::cast_possible_truncation, reason = "that is where an IPv4 address is")]
    #[inline(always)]
    const fn destination_v4(&self) -> u32 {
        self.destination as u32
    }

    fn destination(&self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(self.destination_v4().into()),
            Family::V6 => IpAddr::V6(self.destination.into()),
        }
    }

    /// The crossing of a packet that has left by a common way.
    fn crossing(&self) -> Option<Crossing> {
        match self.way {
            Way::Subnet => Some(Crossing::in_subnet(self.into, Origin::Own)),
            Way::Local => Some(Crossing::local(self.into, Origin::Own)),
            Way::Peering => Some(Crossing::over(self.end, Origin::Own)),
            Way::PeeringBefore | Way::Rare => None,
        }
    }

    /// Behind the gate: the last check of `leave`, the packet's length, and where `enter` begins.
    #[inline(always)]
    fn let_out(&mut self, way: Way, into: VpcIdx, mtu: Mtu) {
        self.way = way;
        self.into = into;
        let fits = mtu.holds(usize::from(self.length));
        self.state = if fits { State::Left } else { State::MustBeCut };
        self.key = match self.family {
            Family::V4 => Key::of_v4(into, self.destination_v4()),
            Family::V6 => Key::of_v6(into, self.destination),
        };
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
        self.len += 1;
        true
    }

    /// Adds a packet that has left this interface by this crossing before, and is now to enter as
    /// [`Crossing::mapped`] made it. `false` if the batch is full.
    #[inline]
    pub fn push_crossed(
        &mut self,
        from: InterfaceIdx,
        crossing: Crossing,
        packet: &'p Packet,
        name: u32,
    ) -> bool {
        let Some(slot) = self.slots.get_mut(self.len) else { return false };
        prefetch::line::<[u8]>(packet.bytes());
        slot.packet = Some(packet);
        slot.from = from;
        slot.name = name;
        slot.into = crossing.into_vpc().unwrap_or(VpcIdx::NOWHERE);
        slot.state = State::Crossed;
        slot.way = match crossing.via() {
            _ if crossing.origin() != Origin::Own => Way::Rare,
            Via::Subnet => Way::Subnet,
            Via::Local => Way::Local,
            Via::Peering(_) => Way::PeeringBefore,
            Via::Interface(_) | Via::Gateway(_) | Via::Outside(_) => Way::Rare,
        };
        self.rare.crossing[self.len] = Some(crossing);
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
        (self.slots.iter_mut().take(self.len).enumerate(), &mut self.rare)
    }
}

/// Whether packets of a batch have to be judged one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InTurn {
    Nobody,
    Some,
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
        self.hosts.ask_for_senders(batch);
        if self.look_at_senders(batch, memory) == InTurn::Some {
            self.judge_senders(batch, memory, worker);
        }
        self.look_up_routes(batch, worker);
        self.hosts.through_gates(batch, worker);
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
    fn look_at_senders(&self, batch: &mut Batch<'_>, memory: &impl Tracking) -> InTurn {
        let mut in_turn = InTurn::Nobody;
        for (_, slot) in batch.all().0 {
            let (Some(packet), Some(sender)) =
                (slot.packet, self.hosts.interfaces.get(slot.from.row()))
            else {
                slot.state = State::LeavesRarely;
                in_turn = InTurn::Some;
                continue;
            };
            let view = packet.view();
            let is_own = if let Some(head) = view.head_v4() {
                slot.destination = head.destination.into();
                (slot.length, slot.has_ports) = (head.length, head.protocol.has_ports());
                slot.family = Family::V4;
                sender.is_first(head.source)
            } else if let Some(head) = view.head_v6() {
                slot.destination = head.destination;
                (slot.length, slot.has_ports) = (head.length, head.protocol.has_ports());
                slot.family = Family::V6;
                self.hosts.is_first_v6(sender, head.source)
            } else {
                false
            };
            slot.table = sender.table;
            slot.into = sender.vpc;
            let open = Flags::OPEN_OUT[family_row(slot.family)];
            if is_own && sender.flags.has(open) && slot.has_ports && memory.is_blank(slot.from) {
                self.send_on(slot, sender);
                continue;
            }
            in_turn = InTurn::Some;
            let is_common = is_own && sender.flags.has(Flags::RUNS);
            slot.state = if is_common { State::LeavesJudged } else { State::LeavesRarely };
            if is_common {
                memory.ask(slot.from, Direction::Egress, packet);
            }
        }
        in_turn
    }

    /// Behind the groups: stays in the subnet, or asks for a route.
    #[inline(always)]
    fn send_on(&self, slot: &mut Slot<'_>, sender: &InterfaceRow) {
        let stays = match slot.family {
            Family::V4 => sender.shares_subnet_with(slot.destination_v4()),
            Family::V6 => self.hosts.shares_subnet(sender, slot.destination()),
        };
        if stays {
            slot.let_out(Way::Subnet, sender.vpc, Mtu::JUMBO);
        } else {
            slot.state = State::Routed;
            self.tables.prefetch_table(slot.family, sender.table);
        }
    }

    /// Those that have to be judged, in the order of the batch.
    #[inline(never)]
    fn judge_senders(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let (Some(packet), from) = (slot.packet, slot.from) else { continue };
            match slot.state {
                State::LeavesJudged => {
                    let sender = &self.hosts.interfaces[from.row()];
                    match self.judge_sender(sender, packet, slot, memory) {
                        Ok(()) => {}
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
    fn judge_sender(
        &self,
        sender: &InterfaceRow,
        packet: &Packet,
        slot: &mut Slot<'_>,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let (hosts, from, out) = (&self.hosts, slot.from, Direction::Egress);
        match hosts.groups_pass(sender, from, out, packet, Origin::Own, memory) {
            Passes::Yes => {}
            passes => return Err(refused(passes, DropReason::GroupEgress, from)),
        }
        self.send_on(slot, sender);
        if slot.state == State::Routed && !hosts.acl_passes(sender, out, packet) {
            return Err(Drop::new(DropReason::AclEgress, hosts.acl_of(from)));
        }
        Ok(())
    }

    #[inline(never)]
    fn look_up_routes(&self, batch: &mut Batch<'_>, worker: &mut Worker) {
        for (_, slot) in batch.all().0 {
            match (slot.state, slot.family) {
                (State::Routed, Family::V4) => {
                    self.tables.prefetch(slot.table, slot.destination_v4());
                }
                (State::Routed, Family::V6) => {
                    self.tables.prefetch_v6(slot.table, slot.destination)
                }
                _ => {}
            }
        }
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            if slot.state != State::Routed {
                continue;
            }
            let (code, is_service) = match slot.family {
                Family::V4 => {
                    let destination = slot.destination_v4();
                    let is_service = cidr::is_never_forwarded_v4(destination);
                    (self.tables.get(slot.table, destination), is_service)
                }
                Family::V6 => {
                    let is_service = cidr::is_never_forwarded_v6(slot.destination);
                    (self.tables.get_v6(slot.table, slot.destination), is_service)
                }
            };
            match code {
                Some(code) if !is_service => {
                    slot.code = code;
                    slot.state = State::Gated;
                    if let Some(peering) = code.peering() {
                        prefetch::element(&self.hosts.peerings, peering.row());
                    }
                }
                _ => rare.fail(at, slot, self.no_route(slot), worker),
            }
        }
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
                State::Left | State::MustBeCut => {}
                _ => continue,
            }
            if slot.state == State::MustBeCut {
                rare.too_long(at, slot, worker);
            }
            self.directory.prefetch(slot.key);
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
        let in_first = slot.family == Family::V4 && end.block.holds(slot.destination_v4());
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

    fn enter_all(&self, batch: &mut Batch<'_>, memory: &mut impl Tracking, worker: &mut Worker) {
        self.look_at_crossed(batch);
        self.look_up_owners(batch);
        self.look_at_receivers(batch, memory);
        self.deliver(batch, memory, worker);
    }

    /// Reads the headers of those that have left before this batch.
    #[inline(never)]
    fn look_at_crossed(&self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            let (State::Crossed, Some(packet)) = (slot.state, slot.packet) else { continue };
            slot.state = State::Left;
            let view = packet.view();
            if let Some(head) = view.head_v4() {
                slot.destination = head.destination.into();
                (slot.length, slot.has_ports) = (head.length, head.protocol.has_ports());
                slot.family = Family::V4;
                slot.key = Key::of_v4(slot.into, head.destination);
            } else if let Some(head) = view.head_v6() {
                slot.destination = head.destination;
                (slot.length, slot.has_ports) = (head.length, head.protocol.has_ports());
                slot.family = Family::V6;
                slot.key = Key::of_v6(slot.into, head.destination);
            } else {
                slot.way = Way::Rare;
            }
            self.directory.prefetch(slot.key);
        }
    }

    #[inline(never)]
    fn look_up_owners(&self, batch: &mut Batch<'_>) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            if slot.state != State::Left {
                continue;
            }
            let is_open = match slot.way {
                Way::Subnet | Way::Local => true,
                Way::Peering => {
                    let row = self.peerings.get(slot.end.peering().row());
                    row.is_some_and(|row| row.ends.is_some())
                }
                Way::PeeringBefore => match rare.crossing[at].map(Crossing::via) {
                    Some(Via::Peering(peering)) => {
                        let row = self.peerings.get(peering.row());
                        row.is_some_and(|row| row.ends.is_some())
                    }
                    _ => false,
                },
                Way::Rare => false,
            };
            // Whoever stays nowhere is looked up in its turn.
            slot.to = InterfaceIdx::NOWHERE;
            if let (true, Some(owner)) = (is_open, self.directory.candidate(slot.key)) {
                slot.to = owner;
                prefetch::element(&self.interfaces, owner.row());
            }
        }
    }

    /// As [`Fabric::look_at_senders`].
    #[inline(never)]
    fn look_at_receivers(&self, batch: &mut Batch<'_>, memory: &impl Tracking) {
        for (_, slot) in batch.all().0 {
            if slot.state != State::Left {
                continue;
            }
            let Some(row) = self.interfaces.get(slot.to.row()) else {
                slot.state = State::ArrivesRarely;
                continue;
            };
            let is_own = match slot.family {
                Family::V4 => row.is_first(slot.destination_v4()),
                Family::V6 => self.is_first_v6(row, slot.destination),
            };
            let is_it = is_own && row.vpc == slot.into;
            let open = Flags::OPEN_IN[family_row(slot.family)];
            if is_it && row.flags.has(open) && slot.has_ports && memory.is_blank(slot.to) {
                slot.state = State::Arrives;
                continue;
            }
            let is_common = is_it && row.flags.has(Flags::RUNS);
            slot.state = if is_common { State::ArrivesJudged } else { State::ArrivesRarely };
            if let (true, Some(packet)) = (is_common, slot.packet) {
                memory.ask(slot.to, Direction::Ingress, packet);
            }
        }
    }

    /// Judges those that have to be, and delivers, in the order of the batch.
    #[inline(never)]
    fn deliver(&self, batch: &mut Batch<'_>, memory: &mut impl Tracking, worker: &mut Worker) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let arrival = match slot.state {
                State::Arrives => Ok(()),
                State::ArrivesJudged => self.judge_receiver(slot, memory),
                State::ArrivesRarely => self.enter_rarely(at, slot, rare, memory),
                _ => continue,
            };
            if let Err(drop) = arrival {
                rare.fail(at, slot, drop, worker);
                continue;
            }
            slot.state = State::Delivered;
            let Slot { to, from, name, length, .. } = *slot;
            worker.deliver(Delivery { to, from, name, length });
        }
    }

    #[inline(always)]
    fn judge_receiver(&self, slot: &Slot<'_>, memory: &mut impl Tracking) -> Result<(), Drop> {
        let (to, into) = (slot.to, Direction::Ingress);
        let (Some(row), Some(packet)) = (self.interfaces.get(to.row()), slot.packet) else {
            return Err(Drop::new(DropReason::NoSuchHost, Place::Vpc(slot.into)));
        };
        if slot.way != Way::Subnet && !self.acl_passes(row, into, packet) {
            return Err(Drop::new(DropReason::AclIngress, self.acl_of(to)));
        }
        match self.groups_pass(row, to, into, packet, Origin::Own, memory) {
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

    /// Is it the interface's first IPv6 address?
    #[inline(always)]
    fn is_first_v6(&self, row: &InterfaceRow, address: u128) -> bool {
        self.more(row).is_some_and(|more| more.address == Some(address.into()))
    }
}
