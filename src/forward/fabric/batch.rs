//! `leave` and `enter` in stages over a batch.
//!
//! Holds [`Batch`] and the stages: each asks for the lines that the next one reads, so that the time
//! memory takes passes once for a batch. Packets of the common kinds (IPv4, whole, from the
//! interface's own first address) are judged here; every other one goes, in its turn, through
//! `scalar`. Whatever is remembered is judged in the order of the batch, so that a batch is told from
//! one packet after another by nothing but the time it takes. Refuses to cut packets up and to send
//! them on: that is the caller's, between the two halves and after them.

mod handover;

pub(super) use handover::Handover;

use std::borrow::Cow;

use super::directory::Key;
use super::prefetch;
use super::routes::Code;
use super::rows::{Flags, InterfaceRow, Others};
use super::worker::{Delivery, Worker};
use super::{Fabric, Hosts};
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::gate::{Crossing, OpenEnd, Origin};
use crate::forward::snapshot::filters::Passes;
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Cut, Head, Packet, Protocol};

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
    lanes: Box<Lanes<'p>>,
    /// Those that an internet gateway has given other addresses, by place.
    mapped: Vec<(u8, Packet)>,
}

/// What is known of each packet, field by field. Only plain fields: an enum that carries something is
/// put together on the stack and copied, and the copy has to wait for its parts.
#[derive(Debug)]
struct Lanes<'p> {
    packet: [Option<&'p Packet>; BATCH],
    from: [InterfaceIdx; BATCH],
    name: [u32; BATCH],
    head: [Head; BATCH],
    code: [Code; BATCH],
    way: [Way; BATCH],
    into: [VpcIdx; BATCH],
    end: [OpenEnd; BATCH],
    /// The crossings that go a rare way.
    rare: [Option<Crossing>; BATCH],
    key: [Key; BATCH],
    to: [InterfaceIdx; BATCH],
    state: [State; BATCH],
    /// Why those were dropped that were.
    drop: [Option<Drop>; BATCH],
}

/// [`Fate`] without what it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waits,
    Left,
    MustBeCut,
    Delivered,
    Dropped,
}

/// How a packet crosses: with `into` and `end` a crossing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Subnet,
    Local,
    Peering,
    /// As `rare` says.
    Rare,
}

impl Lanes<'_> {
    #[inline(never)]
    fn fail(&mut self, at: usize, drop: Drop, worker: &mut Worker) {
        self.state[at] = State::Dropped;
        self.drop[at] = Some(drop);
        worker.drop(drop);
    }

    /// The crossing of a packet that has left.
    fn crossing(&self, at: usize) -> Option<Crossing> {
        match self.way[at] {
            Way::Subnet => Some(Crossing::in_subnet(self.into[at], Origin::Own)),
            Way::Local => Some(Crossing::local(self.into[at], Origin::Own)),
            Way::Peering => Some(Crossing::over(self.end[at], Origin::Own)),
            Way::Rare => self.rare[at],
        }
    }
}

/// Places in a batch, in its order.
struct List {
    places: [u8; BATCH],
    len: usize,
}

impl List {
    const fn new() -> List {
        List { places: [0; BATCH], len: 0 }
    }

    #[inline(always)]
    fn push(&mut self, place: u8) {
        // The mask spares a check: nobody pushes a place twice.
        self.places[self.len & (BATCH - 1)] = place;
        self.len += 1;
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().take(self.len).map(|place| usize::from(*place))
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
        let nowhere = InterfaceIdx::NOWHERE;
        let lanes = Lanes {
            packet: [None; BATCH],
            from: [nowhere; BATCH],
            name: [0; BATCH],
            head: [Head::default(); BATCH],
            code: [Code::LOCAL; BATCH],
            way: [Way::Rare; BATCH],
            into: [VpcIdx::NOWHERE; BATCH],
            end: [OpenEnd::NOWHERE; BATCH],
            rare: [None; BATCH],
            key: [Key::of(VpcIdx::NOWHERE, 0); BATCH],
            to: [nowhere; BATCH],
            state: [State::Waits; BATCH],
            drop: [None; BATCH],
        };
        Batch { len: 0, lanes: Box::new(lanes), mapped: Vec::new() }
    }

    /// Adds a packet that this interface wants to send; `name` is what deliveries call it by.
    /// `false` if the batch is full.
    #[inline]
    pub fn push(&mut self, from: InterfaceIdx, packet: &'p Packet, name: u32) -> bool {
        let at = self.len;
        if at >= BATCH {
            return false;
        }
        prefetch::line(packet);
        self.lanes.packet[at] = Some(packet);
        self.lanes.from[at] = from;
        self.lanes.name[at] = name;
        self.lanes.state[at] = State::Waits;
        self.len += 1;
        true
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
        self.mapped.clear();
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
        Some(match *self.lanes.state.get(..self.len)?.get(at)? {
            State::Waits => Fate::Waits,
            State::Left => Fate::Left,
            State::MustBeCut => Fate::MustBeCut,
            State::Delivered => Fate::Delivered(self.lanes.to[at]),
            State::Dropped => Fate::Dropped(self.lanes.drop[at]?),
        })
    }

    /// How a packet crosses that has left, or has arrived.
    pub fn crossing(&self, at: usize) -> Option<Crossing> {
        match self.fate(at)? {
            Fate::Left | Fate::MustBeCut | Fate::Delivered(_) => self.lanes.crossing(at),
            Fate::Waits | Fate::Dropped(_) => None,
        }
    }

    /// A packet as it arrives: as it was sent, or with the addresses that its crossing puts in.
    pub fn packet(&self, at: usize) -> Option<&Packet> {
        let packet = self.lanes.packet.get(..self.len)?.get(at).copied().flatten()?;
        let place = u8::try_from(at).ok()?;
        let mapped = self.mapped.iter().find(|(of, _)| *of == place).map(|(_, mapped)| mapped);
        Some(mapped.unwrap_or(packet))
    }

    /// Notes a crossing of a rare kind, or a rare packet's.
    #[cold]
    fn leave_rarely(&mut self, at: usize, crossing: Crossing, worker: &mut Worker) {
        let lanes = &mut *self.lanes;
        let Some(packet) = lanes.packet[at] else { return };
        lanes.way[at] = Way::Rare;
        lanes.rare[at] = Some(crossing);
        let fits = crossing.mtu().holds(packet.len());
        lanes.state[at] = if fits { State::Left } else { State::MustBeCut };
        match (crossing.mapped(packet), u8::try_from(at)) {
            (Ok(Cow::Owned(mapped)), Ok(place)) => self.mapped.push((place, mapped)),
            (Err(drop), _) => lanes.fail(at, drop, worker),
            (Ok(_), _) => {}
        }
    }
}

/// The places of a batch, as bytes.
#[inline(always)]
fn places(len: usize) -> impl Iterator<Item = u8> {
    (0..=u8::MAX).take(len)
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
        let (mut routed, mut gated) = (List::new(), List::new());
        self.ask_for_senders(batch);
        self.out_of_interfaces(batch, memory, worker, &mut routed);
        self.ask_for_routes(&batch.lanes, &routed);
        self.look_up_routes(&mut batch.lanes, worker, &routed, &mut gated);
        self.through_gates(batch, worker, &gated);
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

    #[inline(never)]
    fn ask_for_senders(&self, batch: &Batch<'_>) {
        for (packet, from) in batch.lanes.packet.iter().zip(&batch.lanes.from).take(batch.len) {
            if let Some(packet) = packet {
                prefetch::line::<[u8]>(packet.bytes());
            }
            prefetch::element(&self.hosts.interfaces, from.row());
        }
    }

    #[inline(never)]
    fn out_of_interfaces(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
        routed: &mut List,
    ) {
        for place in places(batch.len) {
            if self.out_of_interface(usize::from(place), batch, memory, worker) {
                routed.push(place);
            }
        }
    }

    #[inline(never)]
    fn ask_for_routes(&self, lanes: &Lanes<'_>, routed: &List) {
        for at in routed.iter() {
            if let Some(sender) = self.hosts.interfaces.get(lanes.from[at].row()) {
                self.tables.prefetch(sender.table, lanes.head[at].destination);
            }
        }
    }

    #[inline(never)]
    fn look_up_routes(
        &self,
        lanes: &mut Lanes<'_>,
        worker: &mut Worker,
        routed: &List,
        gated: &mut List,
    ) {
        for at in routed.iter() {
            let Some(sender) = self.hosts.interfaces.get(lanes.from[at].row()) else { continue };
            let Some(code) = self.tables.get(sender.table, lanes.head[at].destination) else {
                lanes.fail(at, self.no_route(lanes.from[at], sender), worker);
                continue;
            };
            lanes.code[at] = code;
            if let Some(peering) = code.peering() {
                prefetch::element(&self.hosts.peerings, peering.row());
            }
            #[allow(clippy::cast_possible_truncation, reason = "below the batch's length")]
            gated.push(at as u8);
        }
    }

    #[inline(never)]
    fn through_gates(&self, batch: &mut Batch<'_>, worker: &mut Worker, gated: &List) {
        for at in gated.iter() {
            self.hosts.through_gate(at, batch, worker);
        }
    }

    /// Everything before the look-up of a route, for one packet: whether it goes on to that.
    #[inline(always)]
    fn out_of_interface(
        &self,
        at: usize,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) -> bool {
        let (hosts, lanes) = (&self.hosts, &mut *batch.lanes);
        let Some(packet) = lanes.packet[at] else { return false };
        let from = lanes.from[at];
        let head = packet.view().head();
        let (Some(head), Some(sender)) = (head, hosts.interfaces.get(from.row())) else {
            self.leave_in_turn(at, batch, memory, worker);
            return false;
        };
        if !sender.flags.has(Flags::RUNS) || !sender.is_first(head.source) {
            self.leave_in_turn(at, batch, memory, worker);
            return false;
        }
        lanes.head[at] = head;
        let (protocol, direction) = (head.protocol, Direction::Egress);
        let passes = hosts.groups((sender, from), direction, packet, protocol, memory);
        if passes != Passes::Yes {
            lanes.fail(at, refused(passes, DropReason::GroupEgress, from), worker);
            return false;
        }
        if sender.shares_subnet_with(head.destination) {
            lanes.way[at] = Way::Subnet;
            hosts.let_out(at, sender.vpc, Mtu::JUMBO, lanes, worker);
            return false;
        }
        if !hosts.acl_passes(sender, direction, packet) {
            lanes.fail(at, Drop::new(DropReason::AclEgress, Place::Acl(sender.acl)), worker);
            return false;
        }
        if cidr::is_never_forwarded_v4(head.destination) {
            lanes.fail(at, self.no_route(from, sender), worker);
            return false;
        }
        self.tables.prefetch_table(sender.table);
        true
    }

    #[cold]
    fn no_route(&self, from: InterfaceIdx, sender: &InterfaceRow) -> Drop {
        if self.tables.has(sender.table) {
            Drop::new(DropReason::NoRoute, Place::Table(sender.table))
        } else {
            Drop::new(DropReason::InterfaceDown, Place::Interface(from))
        }
    }

    /// A packet of a rare kind, or from a rare place.
    #[cold]
    fn leave_in_turn(
        &self,
        at: usize,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) {
        let Some(packet) = batch.lanes.packet[at] else { return };
        match self.leave_one(batch.lanes.from[at], packet, memory) {
            Ok(crossing) => batch.leave_rarely(at, crossing, worker),
            Err(drop) => batch.lanes.fail(at, drop, worker),
        }
    }
}

fn refused(passes: Passes, reason: DropReason, at: InterfaceIdx) -> Drop {
    let reason = if passes == Passes::Full { DropReason::ConntrackFull } else { reason };
    Drop::new(reason, Place::Interface(at))
}

impl Hosts {
    /// A packet of a common kind, from its own interface, before the groups of an interface.
    #[inline(always)]
    fn groups(
        &self,
        (row, at): (&InterfaceRow, InterfaceIdx),
        direction: Direction,
        packet: &Packet,
        protocol: Protocol,
        memory: &mut impl Tracking,
    ) -> Passes {
        let open = row.flags.has(Flags::GROUPS_OPEN[0]) && protocol.has_ports();
        if open && memory.is_blank(at) {
            return Passes::Yes;
        }
        self.groups_pass(row, at, direction, packet, Origin::Own, memory)
    }

    /// From a route's target to a crossing, for a place that `leave_all` has looked up.
    #[inline(always)]
    fn through_gate(&self, at: usize, batch: &mut Batch<'_>, worker: &mut Worker) {
        let lanes = &mut *batch.lanes;
        let destination = lanes.head[at].destination;
        let Some(sender) = self.interfaces.get(lanes.from[at].row()) else { return };
        let Some(peering) = lanes.code[at].peering() else {
            if lanes.code[at] == Code::LOCAL {
                lanes.way[at] = Way::Local;
                self.let_out(at, sender.vpc, Mtu::JUMBO, lanes, worker);
            } else {
                self.through_rare_gate(at, batch, worker);
            }
            return;
        };
        let row = self.peerings.get(peering.row());
        let Some(end) = row.and_then(|row| row.end(sender.vpc)) else {
            let blackhole = Drop::new(DropReason::Blackhole, Place::Table(sender.table));
            lanes.fail(at, blackhole, worker);
            return;
        };
        if !end.block.holds(destination)
            && (end.others == Others::None
                || !self.leads_to(end, std::net::Ipv4Addr::from(destination).into()))
        {
            lanes.fail(at, Drop::new(DropReason::Transit, Place::Peering(peering)), worker);
            return;
        }
        lanes.way[at] = Way::Peering;
        lanes.end[at] = end.end;
        self.let_out(at, end.end.into_vpc(), end.end.mtu(), lanes, worker);
    }

    /// To an interface that a route names, or over an edge.
    #[cold]
    fn through_rare_gate(&self, at: usize, batch: &mut Batch<'_>, worker: &mut Worker) {
        let lanes = &mut *batch.lanes;
        let sender = self.interfaces.get(lanes.from[at].row());
        let (Some(packet), Some(sender)) = (lanes.packet[at], sender) else { return };
        let crossing = self.gate((sender, Origin::Own), lanes.code[at].target(), packet);
        let too_big = |crossing: &Crossing| {
            !crossing.mtu().holds(packet.len()) && !packet.may_be_fragmented()
        };
        match crossing {
            Ok(crossing) if too_big(&crossing) => {
                lanes.fail(at, Drop::new(DropReason::TooBig, crossing.bottleneck()), worker);
            }
            Ok(crossing) => batch.leave_rarely(at, crossing, worker),
            Err(drop) => lanes.fail(at, drop, worker),
        }
    }

    /// The last check of `leave`, the packet's length; and the line in which `enter` will search.
    #[inline(always)]
    fn let_out(
        &self,
        at: usize,
        into: VpcIdx,
        mtu: Mtu,
        lanes: &mut Lanes<'_>,
        worker: &mut Worker,
    ) {
        let head = &lanes.head[at];
        lanes.into[at] = into;
        if !mtu.holds(usize::from(head.length)) {
            lanes.state[at] = State::MustBeCut;
            if head.cut == Cut::Forbidden
                && let Some(crossing) = lanes.crossing(at)
            {
                lanes.fail(at, Drop::new(DropReason::TooBig, crossing.bottleneck()), worker);
            }
            return;
        }
        lanes.state[at] = State::Left;
        let key = Key::of(into, head.destination);
        lanes.key[at] = key;
        self.directory.prefetch(key);
    }

    fn enter_all(&self, batch: &mut Batch<'_>, memory: &mut impl Tracking, worker: &mut Worker) {
        let mut arriving = List::new();
        self.look_up_owners(batch, &mut arriving);
        self.into_interfaces(batch, memory, worker, &arriving);
    }

    #[inline(never)]
    fn look_up_owners(&self, batch: &mut Batch<'_>, arriving: &mut List) {
        let lanes = &mut *batch.lanes;
        for place in places(batch.len) {
            let at = usize::from(place);
            if lanes.state[at] != State::Left {
                continue;
            }
            arriving.push(place);
            lanes.to[at] = InterfaceIdx::NOWHERE;
            // Whoever stays nowhere here is looked up in its turn.
            let open = match lanes.way[at] {
                Way::Rare => continue,
                Way::Subnet | Way::Local => true,
                Way::Peering => {
                    let row = self.peerings.get(lanes.end[at].peering().row());
                    row.is_some_and(|row| row.ends.is_some())
                }
            };
            if let (true, Some(owner)) = (open, self.directory.candidate(lanes.key[at])) {
                lanes.to[at] = owner;
                prefetch::element(&self.interfaces, owner.row());
            }
        }
    }

    #[inline(never)]
    fn into_interfaces(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
        arriving: &List,
    ) {
        for at in arriving.iter() {
            if let Err(drop) = self.into_interface(at, batch, memory) {
                batch.lanes.fail(at, drop, worker);
                continue;
            }
            let lanes = &mut *batch.lanes;
            lanes.state[at] = State::Delivered;
            let (to, from, name) = (lanes.to[at], lanes.from[at], lanes.name[at]);
            worker.deliver(Delivery { to, from, name, length: lanes.head[at].length });
        }
    }

    /// The interface that a packet is for is in `to` afterwards, or it is dropped.
    #[inline(always)]
    fn into_interface(
        &self,
        at: usize,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let lanes = &*batch.lanes;
        let to = lanes.to[at];
        let (Some(row), Some(packet)) = (self.interfaces.get(to.row()), lanes.packet[at]) else {
            return self.enter_in_turn(at, batch, memory);
        };
        let head = &lanes.head[at];
        if !row.flags.has(Flags::RUNS)
            || row.vpc != lanes.into[at]
            || !row.is_first(head.destination)
        {
            return self.enter_in_turn(at, batch, memory);
        }
        let direction = Direction::Ingress;
        if lanes.way[at] != Way::Subnet && !self.acl_passes(row, direction, packet) {
            return Err(Drop::new(DropReason::AclIngress, Place::Acl(row.acl)));
        }
        match self.groups((row, to), direction, packet, head.protocol, memory) {
            Passes::Yes => Ok(()),
            passes => Err(refused(passes, DropReason::GroupIngress, to)),
        }
    }

    /// A packet of a rare kind, for a rare place or for nobody.
    #[cold]
    fn enter_in_turn(
        &self,
        at: usize,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let nowhere = Drop::new(DropReason::NoSuchHost, Place::Vpc(VpcIdx::NOWHERE));
        let crossing = batch.lanes.crossing(at).ok_or(nowhere)?;
        let packet = batch.packet(at).ok_or(nowhere)?;
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        let to = self.enter_one(crossing, packet, memory)?;
        batch.lanes.head[at].length = length;
        batch.lanes.to[at] = to;
        Ok(())
    }
}
