//! Packets that left before this batch: in another one, or in none.
//!
//! Holds how they get in, and what `leave` would have read of them. Refuses to judge: from there on
//! they are entered as those that have left in the batch.

use super::super::Hosts;
use super::{Acls, Batch, Slot, State, Way, prefetch};
use crate::base::id::*;
use crate::forward::fabric::family::{Kind, V4, V6};
use crate::forward::gate::{Crossing, Origin, Via};
use crate::wire::{Family, Packet};

impl<'p> Batch<'p> {
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
        slot.to = InterfaceIdx::NOWHERE;
        slot.is_new = false;
        slot.acls = Acls::Open;
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
}

impl Hosts {
    /// Reads the headers of those that have left before this batch, and asks who has their
    /// destinations unless somebody has hinted at it.
    #[inline(never)]
    pub(super) fn look_at_crossed(&self, batch: &mut Batch<'_>) {
        let mut any = false;
        for (_, slot) in batch.all().0 {
            if let (State::Crossed, Some(packet)) = (slot.state, slot.packet) {
                any = true;
                prefetch::line::<[u8]>(packet.bytes());
                prefetch::element(&self.interfaces, slot.to.row());
            }
        }
        if !any {
            return;
        }
        let mut unowned = false;
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let (State::Crossed, Some(packet)) = (slot.state, slot.packet) else { continue };
            slot.state = State::Left;
            slot.family = packet.family();
            let is_common = match slot.family {
                Family::V4 => look_at::<V4>(slot, packet),
                Family::V6 => look_at::<V6>(slot, packet),
            };
            if !is_common {
                slot.way = Way::Rare;
            }
            if let (Way::PeeringBefore, Some(Via::Peering(peering))) =
                (slot.way, rare.crossing[at].map(Crossing::via))
                && !self.is_open(peering)
            {
                slot.way = Way::Rare;
            }
            unowned |= slot.is_unowned();
        }
        if unowned {
            self.look_up_owners(batch);
        }
    }
}

/// What `leave` would have read of a packet; `false` if it is of a rare kind.
#[inline(always)]
fn look_at<K: Kind>(slot: &mut Slot<'_>, packet: &Packet) -> bool {
    let Some(head) = K::head(&packet.view()) else { return false };
    slot.destination = K::wide(head.destination);
    slot.length = head.length;
    slot.has_ports = head.protocol.has_ports();
    true
}
