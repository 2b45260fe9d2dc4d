//! From the batch in which a packet has left to another in which it enters.
//!
//! Holds [`Handover`]: a packet, its permit, and a hint at who has its address. What else `enter_all`
//! reads is read from the packet once more: lines that another core has written cost more than
//! anything that can be done meanwhile. Nothing is made here: a crossing is moved (see `gate.rs`).
//! Refuses to know who hands over to whom.

use std::borrow::Cow;

use super::{Acls, Batch, Slot, State, Way};
use crate::base::id::*;
use crate::forward::Crossing;
use crate::forward::fabric::crew::Division;
use crate::forward::gate::OpenEnd;
use crate::wire::Packet;

/// A packet that has left and is in no batch. Only plain fields, as in a [`Slot`].
#[derive(Debug)]
pub(in crate::forward::fabric) struct Handover<'p> {
    packet: &'p Packet,
    /// The permit of whoever does not cross a peering by the common way. In a box, so that the
    /// others stay short.
    rare: Option<Box<Crossing>>,
    /// That of everybody else.
    end: OpenEnd,
    from: InterfaceIdx,
    name: u32,
    to: InterfaceIdx,
}

const _: () = assert!(size_of::<Handover<'_>>() == 40);

impl Handover<'_> {
    /// What deliveries call it by.
    pub(in crate::forward::fabric) const fn name(&self) -> u32 {
        self.name
    }
}

impl<'p> Batch<'p> {
    /// The shard in which the packet in this place is about to enter; `None` if it is not.
    #[inline(always)]
    pub(in crate::forward::fabric) fn home(&self, at: usize, division: Division) -> Option<usize> {
        let slot = self.slot(at).filter(|slot| slot.state == State::Left)?;
        if slot.way != Way::Rare {
            return Some(division.of_vpc(slot.into));
        }
        self.rare.crossing[at].map(|crossing| division.of_realm(crossing.into_realm()))
    }

    /// Who sends the packet in this place, the packet as it was sent, and what it is called.
    pub(in crate::forward::fabric) fn sent(
        &self,
        at: usize,
    ) -> Option<(InterfaceIdx, &'p Packet, u32)> {
        let slot = self.slot(at)?;
        Some((slot.from, slot.packet?, slot.name))
    }

    /// Takes a packet out that has left: in this batch it will not enter.
    #[inline(always)]
    pub(in crate::forward::fabric) fn hand_over(&mut self, at: usize) -> Option<Handover<'p>> {
        let slot = self.slots.get_mut(..self.len)?.get_mut(at)?;
        if slot.state != State::Left {
            return None;
        }
        // What waits does not enter.
        slot.state = State::Waits;
        let Slot { packet, end, from, name, to, way, .. } = *slot;
        let rare = if way == Way::Peering { None } else { self.rarely(at) };
        Some(Handover { packet: packet?, rare, end, from, name, to })
    }

    #[cold]
    fn rarely(&self, at: usize) -> Option<Box<Crossing>> {
        self.slot(at)?.crossing().or(self.rare.crossing[at]).map(Box::new)
    }

    /// Takes a packet in that has left elsewhere. The batch must not be full.
    #[inline(always)]
    pub(in crate::forward::fabric) fn take_over(&mut self, handover: Handover<'p>) {
        let Handover { packet, rare, end, from, name, to } = handover;
        let at = self.len;
        if !self.push(from, packet, name) {
            debug_assert!(false, "whoever takes over has looked whether there is room");
            return;
        }
        let slot = &mut self.slots[at];
        (slot.state, slot.way, slot.into) = (State::Crossed, Way::Peering, end.into_vpc());
        (slot.end, slot.to, slot.acls) = (end, to, Acls::Open);
        if let Some(crossing) = rare {
            self.take_over_rarely(at, packet, *crossing);
        }
    }

    #[cold]
    fn take_over_rarely(&mut self, at: usize, packet: &Packet, crossing: Crossing) {
        (self.slots[at].way, self.slots[at].to) = (Way::Rare, InterfaceIdx::NOWHERE);
        self.rare.crossing[at] = Some(crossing);
        // It was mapped when it left, so it can be.
        if let Ok(Cow::Owned(mapped)) = crossing.mapped(packet) {
            self.rare.mapped.push((at, mapped));
        }
    }
}
