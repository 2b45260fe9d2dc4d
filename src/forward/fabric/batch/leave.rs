//! The stages of `leave`: who sends, where the route leads, through the gate.
//!
//! Holds them in their order, and what a worker learns on the way. Refuses to let anybody in.

use super::filters::{Asked, refused};
use super::{Acls, Batch, Rare, Slot, State, Way};
use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::fabric::family::{Kind, V4, V6};
use crate::forward::fabric::passages::{Passage, Passages};
use crate::forward::fabric::routes::{Code, Tables};
use crate::forward::fabric::rows::{Flags, InterfaceRow, Others};
use crate::forward::fabric::scalar::Passes;
use crate::forward::fabric::worker::Worker;
use crate::forward::fabric::{Fabric, Hosts, prefetch};
use crate::forward::gate::Origin;
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Family, Packet};

/// What is to be done with packets of a batch after the first look.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Further {
    /// Some have to be judged one after the other.
    pub(super) judged: bool,
    /// Some look for a route, or are too long for a way that asks none.
    pub(super) routed: bool,
    /// Some have left without a hint at who has the address.
    pub(super) unowned: bool,
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
    /// Reads headers and senders' rows: who may leave without a further question, and who has to be
    /// judged. The former are told from the latter before anybody is judged, which changes nothing:
    /// of an interface that is open and of which nothing is remembered, TCP and UDP leave no trace,
    /// and nothing that others leave behind there stops them.
    #[inline(never)]
    pub(super) fn look_at_senders(
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
            if !self.hosts.is_untouched::<K>(sender, slot.from, memory)
                && let Some(flow) = K::flow(&packet.view())
            {
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
        let known = K::onward(passages, slot.table, destination);
        if known.is_some_and(|passage| self.hosts.follow(slot, sender, passage)) {
            return;
        }
        slot.state = State::Routed;
        slot.is_new = true;
        slot.to = InterfaceIdx::NOWHERE;
        slot.into = sender.vpc;
        K::prefetch_table(&self.tables, sender.table);
    }

    /// Those that have to be judged, in the order of the batch.
    #[inline(never)]
    pub(super) fn judge_senders(
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
                State::LeavesRarely => match self.leave_unnoted(from, packet, memory) {
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
        // A flow that is known needs no ACL; nor does one that stays in its subnet, and none of those
        // is ever noted.
        let is_open = sender.flags.has(Flags::ACL_OPEN_OUT[K::ROW]);
        let known = flow.filter(|_| !is_open).and_then(|flow| K::sent(passages, from, flow));
        if known.is_some_and(|passage| hosts.follow(slot, sender, passage)) {
            slot.acls = Acls::Passed;
            return Ok(());
        }
        self.send_on::<K>(slot, sender, passages);
        let stays = slot.state != State::Routed && slot.way == Way::Subnet;
        if !stays && !is_open {
            slot.acls = Acls::Ask;
            if !hosts.acl_lets(sender, out, &asked) {
                return Err(Drop::new(DropReason::AclEgress, hosts.acl_of(from)));
            }
        }
        Ok(())
    }

    #[inline(never)]
    pub(super) fn look_up_routes(&self, batch: &mut Batch<'_>, worker: &mut Worker) {
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

impl Hosts {
    #[inline(never)]
    pub(super) fn ask_for_senders(&self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            if let Some(packet) = slot.packet {
                prefetch::line::<[u8]>(packet.bytes());
            }
            prefetch::element(&self.interfaces, slot.from.row());
        }
    }
    /// Lets a packet out the way another one went; `false` if it is too long for it and has to go the
    /// long way.
    #[inline(always)]
    fn follow(&self, slot: &mut Slot<'_>, sender: &InterfaceRow, passage: &Passage) -> bool {
        let Passage { way, end, to } = *passage;
        let (into, mtu) = match way {
            Way::Peering => (end.into_vpc(), end.mtu()),
            _ => (sender.vpc, Mtu::JUMBO),
        };
        (slot.end, slot.to) = (end, to);
        slot.let_out(way, into, mtu);
        prefetch::element(&self.interfaces, to.row());
        slot.state == State::Left
    }
    /// From routes' targets to crossings.
    #[inline(never)]
    pub(super) fn through_gates(
        &self,
        batch: &mut Batch<'_>,
        tables: &Tables,
        worker: &mut Worker,
    ) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            match slot.state {
                State::Gated => match slot.code.peering() {
                    Some(peering) => self.over_peering(at, peering, slot, rare, worker),
                    None if slot.code == Code::LOCAL => {
                        slot.let_out(Way::Local, slot.into, Mtu::JUMBO);
                    }
                    None => self.through_rare_gate(at, slot, tables, rare, worker),
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
        tables: &Tables,
        rare: &mut Rare,
        worker: &mut Worker,
    ) {
        let sender = self.interfaces.get(slot.from.row());
        let (Some(packet), Some(sender)) = (slot.packet, sender) else { return };
        match self.gate((sender, Origin::Own), slot.code.target(), packet, tables) {
            Ok(crossing) => rare.leave(at, slot, crossing, worker),
            Err(drop) => rare.fail(at, slot, drop, worker),
        }
    }

    /// What has left over egress-only internet gateways is remembered there, in the order of the batch.
    #[cold]
    pub(super) fn note_those_who_left(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
    ) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let has_left = matches!(slot.state, State::Left | State::MustBeCut);
            if let (Some(crossing), Some(packet)) = (rare.crossing[at], slot.packet)
                && has_left
                && slot.way == Way::Rare
                && let Err(drop) = self.note_leaving(crossing, packet, memory)
            {
                rare.fail(at, slot, drop, worker);
            }
        }
    }

    /// Hints at who has the destinations of those that have left by a common way. No more than hints:
    /// the network may be another one when they enter.
    #[inline(never)]
    pub(super) fn look_up_owners(&self, batch: &mut Batch<'_>) {
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
}

impl Passages {
    /// Notes where those crossed that have just left by this worker.
    #[inline(never)]
    pub(super) fn learn(&mut self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            let Slot { table, way, end, to, is_new: true, .. } = *slot else { continue };
            if slot.state != State::Left || to == InterfaceIdx::NOWHERE {
                continue;
            }
            let passage = Passage { way, end, to };
            match slot.family {
                Family::V4 => V4::note_onward(self, table, slot.destination, passage),
                Family::V6 => V6::note_onward(self, table, slot.destination, passage),
            }
        }
    }
}
