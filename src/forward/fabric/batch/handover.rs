//! From the batch in which a packet has left to another in which it enters.
//!
//! Holds [`Handover`]: a packet and its permit, two to a line of the cache. What else `enter_all`
//! reads is read from the packet once more: lines that another core has written cost more than
//! anything that can be done meanwhile. Nothing is made here: a crossing is moved (see `gate.rs`).
//! Refuses to know who hands over to whom.

use std::borrow::Cow;

use super::{BATCH, Batch, State, Way};
use crate::base::id::*;
use crate::forward::Crossing;
use crate::forward::fabric::directory::Key;
use crate::forward::fabric::{Hosts, prefetch};
use crate::forward::gate::{OpenEnd, Realm};
use crate::wire::Packet;

/// A packet that has left and is in no batch.
#[derive(Debug)]
#[repr(align(32))]
pub(in crate::forward::fabric) struct Handover<'p> {
    packet: &'p Packet,
    permit: Permit,
    from: InterfaceIdx,
    name: u32,
}

const _: () = assert!(size_of::<Handover<'_>>() == 32);

/// What it may enter.
#[derive(Debug)]
enum Permit {
    Subnet(VpcIdx),
    Local(VpcIdx),
    Peering(OpenEnd),
    /// In a box, so that the others stay short.
    Rare(Box<Crossing>),
}

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
        let permit = match lanes.way[at] {
            Way::Subnet => Permit::Subnet(lanes.into[at]),
            Way::Local => Permit::Local(lanes.into[at]),
            Way::Peering => Permit::Peering(lanes.end[at]),
            Way::Rare => Permit::Rare(Box::new(lanes.rare[at]?)),
        };
        Some(Handover { packet, permit, from: lanes.from[at], name: lanes.name[at] })
    }

    /// Takes a packet in that has left elsewhere. The batch must not be full. Those that were taken
    /// in enter after [`Batch::look_at_taken`].
    #[inline]
    pub(in crate::forward::fabric) fn take_over(&mut self, handover: Handover<'p>) {
        let (at, lanes) = (self.len, &mut *self.lanes);
        debug_assert!(at < BATCH, "whoever takes over has looked whether there is room");
        if at >= BATCH {
            return;
        }
        let Handover { packet, permit, from, name } = handover;
        prefetch::line(packet);
        lanes.packet[at] = Some(packet);
        lanes.from[at] = from;
        lanes.name[at] = name;
        lanes.state[at] = State::Left;
        self.len += 1;
        match permit {
            Permit::Subnet(into) => (lanes.way[at], lanes.into[at]) = (Way::Subnet, into),
            Permit::Local(into) => (lanes.way[at], lanes.into[at]) = (Way::Local, into),
            Permit::Peering(end) => {
                (lanes.way[at], lanes.into[at], lanes.end[at]) =
                    (Way::Peering, end.into_vpc(), end);
            }
            Permit::Rare(crossing) => self.take_over_rarely(at, packet, *crossing),
        }
    }

    /// The stages between those of `leave_all` and those of `enter_all`, for a batch of packets that
    /// have left elsewhere.
    pub(in crate::forward::fabric) fn look_at_taken(&mut self, hosts: &Hosts) {
        let (len, lanes) = (self.len, &mut *self.lanes);
        for packet in lanes.packet.iter().take(len).flatten() {
            prefetch::line::<[u8]>(packet.bytes());
        }
        for at in 0..len.min(BATCH) {
            let head = lanes.packet[at].and_then(|packet| packet.view().head());
            if let (Some(head), Way::Subnet | Way::Local | Way::Peering) = (head, lanes.way[at]) {
                let key = Key::of(lanes.into[at], head.destination);
                (lanes.head[at], lanes.key[at]) = (head, key);
                hosts.directory.prefetch(key);
            }
        }
    }

    #[cold]
    fn take_over_rarely(&mut self, at: usize, packet: &Packet, crossing: Crossing) {
        (self.lanes.way[at], self.lanes.rare[at]) = (Way::Rare, Some(crossing));
        // It was mapped when it left, so it can be.
        if let (Ok(Cow::Owned(mapped)), Ok(place)) = (crossing.mapped(packet), u8::try_from(at)) {
            self.mapped.push((place, mapped));
        }
    }
}
