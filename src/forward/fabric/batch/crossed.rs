//! Packets that left before this batch: in another one, or in none.
//!
//! Holds how they get in, and what `leave` would have read of them. Refuses to judge: from there on
//! they are entered as those that have left in the batch.

use super::super::Hosts;
use super::{Acls, Batch, State, Way, prefetch};
use crate::base::id::*;
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
        slot.acls = Acls::Before;
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
    /// destinations.
    #[inline(never)]
    pub(super) fn look_at_crossed(&self, batch: &mut Batch<'_>) {
        let mut any = false;
        let (slots, rare) = batch.all();
        for (at, slot) in slots {
            let (State::Crossed, Some(packet)) = (slot.state, slot.packet) else { continue };
            (slot.state, any) = (State::Left, true);
            let view = packet.view();
            if let Some(head) = view.head_v4() {
                slot.destination = head.destination.into();
                (slot.length, slot.has_ports) = (head.length, head.protocol.has_ports());
                slot.family = Family::V4;
            } else if let Some(head) = view.head_v6() {
                slot.destination = head.destination;
                (slot.length, slot.has_ports) = (head.length, head.protocol.has_ports());
                slot.family = Family::V6;
            } else {
                slot.way = Way::Rare;
            }
            if let (Way::PeeringBefore, Some(Via::Peering(peering))) =
                (slot.way, rare.crossing[at].map(Crossing::via))
                && !self.is_open(peering)
            {
                slot.way = Way::Rare;
            }
        }
        if any {
            self.look_up_owners(batch);
        }
    }
}
