//! `leave` and `enter` in stages over a batch.
//!
//! Holds [`Batch`] and the stages: each asks for the lines that the next one reads, so that the time
//! memory takes passes once for a batch. Packets of the common kinds (whole, and between the first
//! addresses of their interfaces) are judged here; every other one goes, in its turn, through
//! `scalar`. Whatever is remembered is judged in the order of the batch, so that a batch is told from
//! one packet after another by nothing but the time it takes. Refuses to cut packets up and to send
//! them on: that is the caller's, between the two halves and after them.

mod crossed;
mod enter;
mod filters;
mod handover;
mod leave;

pub(super) use handover::Handover;

use std::borrow::Cow;
use std::net::IpAddr;

use super::directory::Key;
use super::family::{Kind, V4, V6};
use super::prefetch;
use super::routes::Code;
use super::worker::{Delivery, Worker};
use super::{Fabric, Version};
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::forward::connections::Tracking;
use crate::forward::gate::{Crossing, OpenEnd, Origin};
use crate::forward::{Drop, DropReason};
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
    /// By which its packets have left.
    version: Version,
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
    acls: Acls,
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
pub(super) enum Way {
    Subnet,
    Local,
    Peering,
    /// Over a peering since another batch, as [`Rare::crossing`] says.
    PeeringBefore,
    /// As [`Rare::crossing`] says.
    Rare,
}

/// What network ACLs have to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Acls {
    /// Nothing, or nothing yet.
    Open,
    /// The sender's was asked.
    Ask,
    /// By the version by which it left, one lets its flow out and one lets it in at `to`.
    Passed,
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
        acls: Acls::Open,
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
            Way::PeeringBefore | Way::Rare => None,
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
        let fits = crossing.mtu().holds(packet.longest());
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
        Batch { len: 0, version: Version::NONE, slots: Box::new([Slot::EMPTY; BATCH]), rare }
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
        slot.acls = Acls::Open;
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
        batch.version = self.version;
        self.hosts.ask_for_senders(batch);
        let mut further = self.look_at_senders(batch, memory, &worker.passages);
        if further.judged {
            self.judge_senders(batch, memory, worker, &mut further);
        }
        if further.routed {
            self.look_up_routes(batch, worker);
            self.hosts.through_gates(batch, &self.tables, worker);
        }
        if self.hosts.edges.remember() && (further.judged || further.routed) {
            self.hosts.note_those_who_left(batch, memory, worker);
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
        let is_same = batch.version == self.version;
        self.hosts.look_at_crossed(batch);
        if self.hosts.look_at_receivers(batch, memory, worker) {
            self.hosts.judge_receivers(batch, memory, worker, is_same);
            if is_same && worker.passages.version() == self.version {
                worker.passages.learn_flows(batch);
            }
        }
    }
}
