//! The stages of `enter`: who has the address, and is it let in?
//!
//! Holds them in their order. They are methods of [`Hosts`], so that none of them has a route table in
//! reach. Refuses to send anybody on.

use super::filters::{Asked, refused};
use super::{Acls, Batch, Rare, Slot, State, Way};
use crate::base::id::*;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::fabric::Hosts;
use crate::forward::fabric::family::{Kind, V4, V6};
use crate::forward::fabric::passages::{Passage, Passages};
use crate::forward::fabric::rows::{Flags, InterfaceRow};
use crate::forward::fabric::scalar::Passes;
use crate::forward::fabric::worker::Worker;
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Family, Packet};

impl Hosts {
    /// Asks for what is remembered of a packet at the interface where it arrives.
    #[inline(always)]
    fn ask_for<K: Kind>(
        &self,
        slot: &Slot<'_>,
        row: &InterfaceRow,
        packet: &Packet,
        memory: &impl Tracking,
    ) {
        if !self.is_untouched::<K>(row, slot.to, memory)
            && let Some(flow) = K::flow(&packet.view())
        {
            K::ask(memory, slot.to, Direction::Ingress, &flow);
        }
    }
    /// As [`Fabric::look_at_senders`]; does one wait to be judged? Up to that one, packets are delivered.
    #[inline(never)]
    pub(super) fn look_at_receivers(
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
                (Some(packet), Family::V4) if is_common => {
                    self.ask_for::<V4>(slot, row, packet, memory);
                }
                (Some(packet), Family::V6) if is_common => {
                    self.ask_for::<V6>(slot, row, packet, memory);
                }
                _ => {}
            }
        }
        waits
    }

    /// Judges those that have to be, and delivers, in the order of the batch.
    #[inline(never)]
    pub(super) fn judge_receivers(
        &self,
        batch: &mut Batch<'_>,
        memory: &mut impl Tracking,
        worker: &mut Worker,
        same_version: bool,
    ) {
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let arrival = match slot.state {
                State::Arrives => Ok(()),
                State::ArrivesJudged => match slot.family {
                    Family::V4 => self.judge_receiver::<V4>(slot, memory, same_version),
                    Family::V6 => self.judge_receiver::<V6>(slot, memory, same_version),
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
        slot: &mut Slot<'_>,
        memory: &mut impl Tracking,
        same_version: bool,
    ) -> Result<(), Drop> {
        let (to, into) = (slot.to, Direction::Ingress);
        let (Some(row), Some(packet)) = (self.interfaces.get(to.row()), slot.packet) else {
            return Err(Drop::new(DropReason::NoSuchHost, Place::Vpc(slot.into)));
        };
        let flow = K::flow(&packet.view());
        let asked = Asked::<K> { packet, flow: flow.as_ref() };
        let is_let_in = slot.acls == Acls::Passed && same_version;
        if slot.way != Way::Subnet && !is_let_in && !self.acl_lets(row, into, &asked) {
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
    pub(super) fn is_open(&self, peering: PeeringIdx) -> bool {
        self.peerings.get(peering.row()).is_some_and(|row| row.ends.is_some())
    }

    /// Is it for this interface's first address?
    #[inline(always)]
    fn is_for<K: Kind>(&self, slot: &Slot<'_>, row: &InterfaceRow) -> bool {
        K::is_first(self, row, K::narrow(slot.destination))
    }
}

impl Passages {
    /// Notes the flows that ACLs have let out and in.
    #[inline(never)]
    pub(super) fn learn_flows(&mut self, batch: &mut Batch<'_>) {
        for (_, slot) in batch.all().0 {
            let (Acls::Ask, State::Delivered, Some(packet)) = (slot.acls, slot.state, slot.packet)
            else {
                continue;
            };
            if !matches!(slot.way, Way::Local | Way::Peering) {
                continue;
            }
            let (view, Slot { from, way, end, to, .. }) = (packet.view(), *slot);
            let passage = Passage { way, end, to };
            if let Some(flow) = view.flow_v4() {
                V4::note_sent(self, from, flow, passage);
            } else if let Some(flow) = view.flow_v6() {
                V6::note_sent(self, from, flow, passage);
            }
        }
    }
}
