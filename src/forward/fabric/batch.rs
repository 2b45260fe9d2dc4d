//! `leave` and `enter` in stages over a batch.
//!
//! Holds [`Batch`] and the stages: each asks for the lines that the next one reads, so that the time
//! memory takes passes once for a batch. Packets of the common kinds (IPv4, whole, from the
//! interface's own first address) are judged here; every other one goes, in its turn, through
//! `scalar`. Whatever is remembered is judged in the order of the batch, so that a batch is told from
//! one packet after another by nothing but the time it takes. Refuses to cut packets up and to send
//! them on: that is the caller's, between the two halves and after them.

use super::directory::Key;
use super::prefetch;
use super::routes::{Code, Target};
use super::rows::{Flags, InterfaceRow, Others};
use super::worker::{Delivery, Worker};
use super::{Fabric, Hosts};
use crate::base::id::*;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::gate::{Crossing, Origin, Via};
use crate::forward::snapshot::filters::Passes;
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Cut, Head, Packet};

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

/// What is known of each packet, field by field.
#[derive(Debug)]
struct Lanes<'p> {
    packet: [Option<&'p Packet>; BATCH],
    from: [InterfaceIdx; BATCH],
    name: [u32; BATCH],
    head: [Head; BATCH],
    code: [Code; BATCH],
    crossing: [Option<Crossing>; BATCH],
    key: [Key; BATCH],
    to: [InterfaceIdx; BATCH],
    fate: [Fate; BATCH],
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
        if let Some(slot) = self.places.get_mut(self.len) {
            *slot = place;
            self.len += 1;
        }
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
            crossing: [None; BATCH],
            key: [Key::of(VpcIdx::NOWHERE, 0); BATCH],
            to: [nowhere; BATCH],
            fate: [Fate::Waits; BATCH],
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
        self.lanes.fate[at] = Fate::Waits;
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
        self.lanes.fate.get(..self.len)?.get(at).copied()
    }

    /// How a packet crosses that has left.
    pub fn crossing(&self, at: usize) -> Option<Crossing> {
        match self.fate(at)? {
            Fate::Left | Fate::MustBeCut | Fate::Delivered(_) => self.lanes.crossing[at],
            // What was dropped at its arrival has left too.
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
        let (hosts, len) = (&self.hosts, batch.len);
        for (packet, from) in batch.lanes.packet.iter().zip(&batch.lanes.from).take(len) {
            if let Some(packet) = packet {
                prefetch::line::<[u8]>(packet.bytes());
            }
            prefetch::element(&hosts.interfaces, from.row());
        }
        let (mut routed, mut gated) = (List::new(), List::new());
        for place in places(len) {
            if self.out_of_interface(usize::from(place), batch, memory, worker) {
                routed.push(place);
            }
        }
        let lanes = &mut *batch.lanes;
        for at in routed.iter() {
            if let Some(sender) = hosts.interfaces.get(lanes.from[at].row()) {
                self.tables.prefetch(sender.table, lanes.head[at].destination);
            }
        }
        for at in routed.iter() {
            let Some(sender) = hosts.interfaces.get(lanes.from[at].row()) else { continue };
            let code = self.tables.get(sender.table, lanes.head[at].destination);
            let Some(code) = code else {
                let drop = self.no_route(lanes.from[at], sender);
                lanes.fate[at] = Fate::Dropped(drop);
                worker.drop(drop);
                continue;
            };
            lanes.code[at] = code;
            if let Target::Peering(peering) = code.target() {
                prefetch::element(&hosts.peerings, peering.row());
            }
            #[allow(clippy::cast_possible_truncation, reason = "below the batch's length")]
            gated.push(at as u8);
        }
        for at in gated.iter() {
            hosts.through_gate(at, batch, worker);
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
        let common = packet.view().head().zip(hosts.interfaces.get(from.row()));
        let common = common
            .filter(|(head, sender)| sender.flags.has(Flags::RUNS) && sender.is_first(head.source));
        let Some((head, sender)) = common else {
            self.leave_in_turn(at, batch, memory, worker);
            return false;
        };
        lanes.head[at] = head;
        let passes =
            hosts.groups(sender, from, Direction::Egress, packet, &head, Origin::Own, memory);
        if passes != Passes::Yes {
            let drop = refused(passes, DropReason::GroupEgress, from);
            lanes.fate[at] = Fate::Dropped(drop);
            worker.drop(drop);
            return false;
        }
        if sender.shares_subnet_with(head.destination) {
            let crossing = Crossing::in_subnet(sender.vpc, Origin::Own);
            hosts.let_out(at, sender.vpc, crossing, lanes, worker);
            return false;
        }
        if !hosts.acl_passes(sender, Direction::Egress, packet) {
            let drop = Drop::new(DropReason::AclEgress, Place::Acl(sender.acl));
            lanes.fate[at] = Fate::Dropped(drop);
            worker.drop(drop);
            return false;
        }
        if cidr::is_never_forwarded_v4(head.destination) {
            let drop = self.no_route(from, sender);
            lanes.fate[at] = Fate::Dropped(drop);
            worker.drop(drop);
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
        let lanes = &mut *batch.lanes;
        let Some(packet) = lanes.packet[at] else { return };
        // What is not of a common kind at its arrival either has no head.
        lanes.head[at] = Head::default();
        match self.leave_one(lanes.from[at], packet, memory) {
            Ok(crossing) => {
                lanes.crossing[at] = Some(crossing);
                let fits = crossing.mtu().holds(packet.len());
                lanes.fate[at] = if fits { Fate::Left } else { Fate::MustBeCut };
                if let (Some(mapped), Ok(place)) = (crossing.mapped(packet), u8::try_from(at)) {
                    batch.mapped.push((place, mapped));
                }
            }
            Err(drop) => {
                lanes.fate[at] = Fate::Dropped(drop);
                worker.drop(drop);
            }
        }
    }
}

fn refused(passes: Passes, reason: DropReason, at: InterfaceIdx) -> Drop {
    let reason = if passes == Passes::Full { DropReason::ConntrackFull } else { reason };
    Drop::new(reason, Place::Interface(at))
}

impl Hosts {
    /// A packet of a common kind before the groups of an interface.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of them are the question")]
    fn groups(
        &self,
        row: &InterfaceRow,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        head: &Head,
        origin: Origin,
        memory: &mut impl Tracking,
    ) -> Passes {
        let open = row.flags.has(Flags::GROUPS_OPEN[0]) && head.protocol.has_ports();
        if open && memory.is_blank(at) {
            return Passes::Yes;
        }
        self.groups_pass(row, at, direction, packet, origin, memory)
    }

    /// From a route's target to a crossing, for the places that `leave_all` has looked up.
    #[inline(always)]
    fn through_gate(&self, at: usize, batch: &mut Batch<'_>, worker: &mut Worker) {
        let lanes = &mut *batch.lanes;
        let (from, head) = (lanes.from[at], lanes.head[at]);
        let Some(sender) = self.interfaces.get(from.row()) else { return };
        let crossing = match lanes.code[at].target() {
            Target::Peering(peering) => {
                let end = self.peerings.get(peering.row()).and_then(|row| row.end(sender.vpc));
                match end {
                    None => Err(Drop::new(DropReason::Blackhole, Place::Table(sender.table))),
                    Some(end) if end.block.holds(head.destination) => {
                        Ok(Crossing::over(end.end, Origin::Own))
                    }
                    Some(end) => {
                        let address = std::net::Ipv4Addr::from(head.destination).into();
                        if end.others == Others::Some && self.leads_to(end, address) {
                            Ok(Crossing::over(end.end, Origin::Own))
                        } else {
                            Err(Drop::new(DropReason::Transit, Place::Peering(peering)))
                        }
                    }
                }
            }
            Target::Local => Ok(Crossing::local(sender.vpc, Origin::Own)),
            target => match lanes.packet[at] {
                Some(packet) => self.gate((sender, Origin::Own), target, packet),
                None => return,
            },
        };
        match crossing {
            Ok(crossing) => {
                if let (Some(packet), Via::Gateway(_)) = (lanes.packet[at], crossing.via())
                    && let (Some(mapped), Ok(place)) = (crossing.mapped(packet), u8::try_from(at))
                {
                    batch.mapped.push((place, mapped));
                    lanes.head[at] = Head::default();
                }
                let into = crossing.into_vpc().unwrap_or(VpcIdx::NOWHERE);
                lanes.head[at].length = head.length;
                lanes.head[at].cut = head.cut;
                self.let_out(at, into, crossing, lanes, worker);
            }
            Err(drop) => {
                lanes.fate[at] = Fate::Dropped(drop);
                worker.drop(drop);
            }
        }
    }

    /// The last check of `leave`, the packet's length; and the line in which `enter` will search.
    #[inline(always)]
    fn let_out(
        &self,
        at: usize,
        into: VpcIdx,
        crossing: Crossing,
        lanes: &mut Lanes<'_>,
        worker: &mut Worker,
    ) {
        let head = lanes.head[at];
        if !crossing.mtu().holds(usize::from(head.length)) {
            if head.cut == Cut::Forbidden {
                let drop = Drop::new(DropReason::TooBig, crossing.bottleneck());
                lanes.fate[at] = Fate::Dropped(drop);
                worker.drop(drop);
                return;
            }
            lanes.crossing[at] = Some(crossing);
            lanes.fate[at] = Fate::MustBeCut;
            return;
        }
        lanes.crossing[at] = Some(crossing);
        lanes.fate[at] = Fate::Left;
        let key = Key::of(into, head.destination);
        lanes.key[at] = key;
        self.directory.prefetch(key);
    }

    fn enter_all(&self, batch: &mut Batch<'_>, memory: &mut impl Tracking, worker: &mut Worker) {
        let mut arriving = List::new();
        let lanes = &mut *batch.lanes;
        for place in places(batch.len) {
            let at = usize::from(place);
            if lanes.fate[at] != Fate::Left {
                continue;
            }
            arriving.push(place);
            lanes.to[at] = InterfaceIdx::NOWHERE;
            let Some(crossing) = lanes.crossing[at] else { continue };
            match crossing.via() {
                Via::Peering(peering)
                    if self.peerings.get(peering.row()).is_none_or(|row| row.ends.is_none()) =>
                {
                    continue;
                }
                Via::Peering(_) | Via::Local | Via::Subnet => {}
                Via::Interface(_) | Via::Gateway(_) | Via::Outside(_) => continue,
            }
            // What has no head of its own finds nobody here, and is looked up in its turn.
            if let Some(owner) = self.directory.candidate(lanes.key[at])
                && lanes.head[at].is_there()
            {
                lanes.to[at] = owner;
                prefetch::element(&self.interfaces, owner.row());
            }
        }
        for at in arriving.iter() {
            let verdict = self.into_interface(at, batch, memory);
            let lanes = &mut *batch.lanes;
            match verdict {
                Ok(to) => {
                    lanes.fate[at] = Fate::Delivered(to);
                    let (from, name) = (lanes.from[at], lanes.name[at]);
                    worker.deliver(Delivery { to, from, name, length: lanes.head[at].length });
                }
                Err(drop) => {
                    lanes.fate[at] = Fate::Dropped(drop);
                    worker.drop(drop);
                }
            }
        }
    }

    #[inline(always)]
    fn into_interface(
        &self,
        at: usize,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        let lanes = &*batch.lanes;
        let (to, head) = (lanes.to[at], lanes.head[at]);
        let common = self.interfaces.get(to.row()).zip(lanes.crossing[at]).zip(lanes.packet[at]);
        let common = common.filter(|((row, crossing), _)| {
            row.flags.has(Flags::RUNS)
                && crossing.into_vpc() == Some(row.vpc)
                && row.is_first(head.destination)
        });
        let Some(((row, crossing), packet)) = common else {
            return self.enter_in_turn(at, batch, memory);
        };
        if crossing.via() != Via::Subnet && !self.acl_passes(row, Direction::Ingress, packet) {
            return Err(Drop::new(DropReason::AclIngress, Place::Acl(row.acl)));
        }
        let (direction, origin) = (Direction::Ingress, crossing.origin());
        match self.groups(row, to, direction, packet, &head, origin, memory) {
            Passes::Yes => Ok(to),
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
    ) -> Result<InterfaceIdx, Drop> {
        let nowhere = Drop::new(DropReason::NoSuchHost, Place::Vpc(VpcIdx::NOWHERE));
        let crossing = batch.lanes.crossing[at].ok_or(nowhere)?;
        let packet = batch.packet(at).ok_or(nowhere)?;
        let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
        let verdict = self.enter_one(crossing, packet, memory);
        batch.lanes.head[at].length = length;
        verdict
    }
}
