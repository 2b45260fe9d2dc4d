//! From the batch in which a packet has left to another in which it enters.
//!
//! Holds [`Handover`]: what `enter_all` reads of a packet, in one line of the cache, so that the core
//! that takes it over waits for that line alone. Nothing in it is made here: a crossing is moved and
//! never made (see `gate.rs`). Refuses to know who hands over to whom.

use super::{BATCH, Batch, State, Way};
use crate::base::id::*;
use crate::forward::Crossing;
use crate::forward::fabric::Hosts;
use crate::forward::fabric::directory::Key;
use crate::forward::gate::{OpenEnd, Realm};
use crate::wire::{Head, Packet};

/// A packet that has left and is in no batch.
#[derive(Debug)]
#[repr(align(64))]
pub(in crate::forward::fabric) struct Handover<'p> {
    packet: &'p Packet,
    /// What `way` is, if it is rare: in a box, so that the others stay short.
    rare: Option<Box<Crossing>>,
    head: Head,
    end: OpenEnd,
    from: InterfaceIdx,
    name: u32,
    into: VpcIdx,
    way: Way,
}

const _: () = assert!(size_of::<Handover<'_>>() == 64);

impl Handover<'_> {
    /// What deliveries call it by.
    pub(in crate::forward::fabric) const fn name(&self) -> u32 {
        self.name
    }
}

impl<'p> Batch<'p> {
    /// The network that the packet in this place is about to enter; `None` if it is not.
    #[inline]
    pub(in crate::forward::fabric) fn realm(&self, at: usize) -> Option<Realm> {
        if self.lanes.state.get(..self.len)?.get(at) != Some(&State::Left) {
            return None;
        }
        match self.lanes.way[at] {
            Way::Subnet | Way::Local | Way::Peering => Some(Realm::Vpc(self.lanes.into[at])),
            Way::Rare => self.lanes.rare[at].map(Crossing::into_realm),
        }
    }

    /// Who sends the packet in this place, the packet as it was sent, and what it is called.
    pub(in crate::forward::fabric) fn sent(
        &self,
        at: usize,
    ) -> Option<(InterfaceIdx, &'p Packet, u32)> {
        let packet = self.lanes.packet.get(..self.len)?.get(at).copied().flatten()?;
        Some((self.lanes.from[at], packet, self.lanes.name[at]))
    }

    /// Takes a packet out that has left: in this batch it will not enter.
    #[inline]
    pub(in crate::forward::fabric) fn hand_over(&mut self, at: usize) -> Option<Handover<'p>> {
        let lanes = &mut *self.lanes;
        if lanes.state.get(..self.len)?.get(at) != Some(&State::Left) {
            return None;
        }
        let packet = lanes.packet[at]?;
        // What waits does not enter.
        lanes.state[at] = State::Waits;
        let way = lanes.way[at];
        let rare = if way == Way::Rare { lanes.rare[at].map(Box::new) } else { None };
        let (from, name) = (lanes.from[at], lanes.name[at]);
        let (head, end, into) = (lanes.head[at], lanes.end[at], lanes.into[at]);
        Some(Handover { packet, rare, head, end, from, name, into, way })
    }

    /// Takes a packet in that has left elsewhere. The batch must not be full.
    #[inline]
    pub(in crate::forward::fabric) fn take_over(&mut self, handover: Handover<'p>, hosts: &Hosts) {
        let (at, lanes) = (self.len, &mut *self.lanes);
        debug_assert!(at < BATCH, "whoever takes over has looked whether there is room");
        if at >= BATCH {
            return;
        }
        let Handover { packet, rare, head, end, from, name, into, way } = handover;
        lanes.packet[at] = Some(packet);
        (lanes.from[at], lanes.name[at]) = (from, name);
        (lanes.head[at], lanes.end[at], lanes.into[at]) = (head, end, into);
        lanes.way[at] = way;
        lanes.state[at] = State::Left;
        self.len += 1;
        match rare {
            Some(crossing) => self.take_over_rarely(at, packet, *crossing),
            None => {
                let key = Key::of(into, head.destination);
                lanes.key[at] = key;
                hosts.directory.prefetch(key);
            }
        }
    }

    #[cold]
    fn take_over_rarely(&mut self, at: usize, packet: &Packet, crossing: Crossing) {
        self.lanes.rare[at] = Some(crossing);
        // It was mapped when it left, so it can be.
        if let (Ok(std::borrow::Cow::Owned(mapped)), Ok(place)) =
            (crossing.mapped(packet), u8::try_from(at))
        {
            self.mapped.push((place, mapped));
        }
    }
}
