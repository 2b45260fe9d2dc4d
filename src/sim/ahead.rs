//! Runs of events that are judged as one batch, before the first of them happens.
//!
//! Holds what may be judged ahead, and the verdicts until their events' turn. Refuses to do anything
//! else ahead: packets are counted, told about and sent on one after another, in the order of their
//! keys, and what they meet there is what they would have met without this file.
//!
//! A run is of one instant and of one kind: sources that send, or packets that arrive. It is taken no
//! further than to the first event that
//!
//! - somebody answers at once, because an answer is judged between two of the run;
//! - opens or ends a connection, or is refused for want of room ([`Connections::ahead`]): whoever is
//!   told of an earlier packet of the run may ask what is remembered;
//! - is IPv6, where an egress-only internet gateway remembers what goes out;
//! - ends the probe that is waited for, after which the network may become another one;
//! - shares its instant with a further packet of the same source.
//!
//! Nothing that is sent arrives at the same instant, or no run of sources is judged: links without
//! latency are looked for when they are made.
//!
//! [`Connections::ahead`]: crate::forward::Connections::ahead

use std::collections::VecDeque;

use super::flight::InFlight;
use super::host;
use super::queue::{Key, Kind};
use super::traffic::{Leg, ProbeId};
use super::{LinkSpec, Sim};
use crate::base::id::*;
use crate::base::time::Span;
use crate::forward::fabric::{BATCH, Batch, Fate, Worker, prefetch};
use crate::forward::{Crossing, Drop, DropReason};
use crate::wire::{Family, Packet};

/// What a packet has been judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// On leaving.
    Leaves(Result<Crossing, Drop>),
    /// On entering.
    Enters(Result<InterfaceIdx, Drop>),
}

impl Verdict {
    pub(super) fn leaves(self) -> Option<Result<Crossing, Drop>> {
        if let Verdict::Leaves(judged) = self { Some(judged) } else { None }
    }

    pub(super) fn enters(self) -> Option<Result<InterfaceIdx, Drop>> {
        if let Verdict::Enters(judged) = self { Some(judged) } else { None }
    }
}

/// A packet of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming<'a> {
    pub(super) packet: &'a Packet,
    /// The interface that sends it, or has.
    pub(super) from: InterfaceIdx,
    /// How it has left, if it has.
    pub(super) crossing: Option<Crossing>,
    pub(super) leg: Leg,
    pub(super) probe: ProbeId,
}

/// A shorter run is not worth a batch.
const RUN_MIN: usize = 32;
/// So many events are worked on one by one at most before it is tried again.
const PAUSE_MAX: usize = 4 * RUN_MIN;

/// What has been judged ahead of its turn.
#[derive(Debug)]
pub(super) struct Foresight {
    verdicts: VecDeque<(Key, Verdict)>,
    /// Events to be worked on before it is tried again.
    pause: usize,
    /// How long the last pause was that an event has made necessary.
    last_pause: usize,
    /// Is there a link that takes no time?
    instant_links: bool,
    worker: Worker,
}

impl Default for Foresight {
    fn default() -> Foresight {
        Foresight {
            verdicts: VecDeque::new(),
            pause: 0,
            last_pause: 0,
            instant_links: false,
            // Verdicts are read from the batch: nobody takes deliveries from the ring.
            worker: Worker::new(1),
        }
    }
}

impl Foresight {
    /// A run that was cut short costs more than it brings: there is a pause, twice as long each time.
    fn pause_after_run(&mut self) {
        self.last_pause = match self.verdicts.len() {
            RUN_MIN.. => 0,
            _ => (2 * self.last_pause + 1).min(PAUSE_MAX),
        };
        self.pause = self.last_pause;
    }

    /// There is a link like this between VPCs, or inside one.
    pub(super) fn hear_of(&mut self, link: LinkSpec) {
        self.instant_links |= link.latency == Span::ZERO;
    }
}

impl Sim {
    /// The verdict on the next event, if it has been judged, or is now with others.
    #[inline]
    pub(super) fn foresee(&mut self, next: Key, awaited: Option<ProbeId>) -> Option<Verdict> {
        if self.foresight.verdicts.is_empty() {
            if self.foresight.pause > 0 {
                self.foresight.pause -= 1;
                return None;
            }
            self.look_ahead(next, awaited);
        }
        // What has come in between is judged in its turn.
        self.foresight.verdicts.front().filter(|(key, _)| *key == next)?;
        self.foresight.verdicts.pop_front().map(|(_, verdict)| verdict)
    }

    /// Judges a run that begins with the next event.
    fn look_ahead(&mut self, next: Key, awaited: Option<ProbeId>) {
        let (at, kind) = (next.at(), next.kind());
        let is_judged = match kind {
            Kind::Arrive => true,
            Kind::Emit => !self.foresight.instant_links,
            Kind::Cross | Kind::Wake => false,
        };
        let Some(fabric) = self.plane.fabric().filter(|_| is_judged) else { return };
        let upcoming = || self.queue.upcoming();
        let alike = |(key, _): &(Key, Option<&InFlight>)| key.at() == at && key.kind() == kind;
        let length = upcoming().take(RUN_MIN).take_while(alike).count();
        if length < RUN_MIN {
            self.foresight.pause = length.saturating_sub(1);
            return;
        }
        // An egress-only internet gateway judges a packet too: what is judged twice cannot be ahead.
        let noted = fabric.remembers_at_edges();
        let mut awaits = awaited.map(|probe| (probe, self.probes[probe].tally.awaited()));
        let mut run = upcoming().take_while(alike).map_while(|(key, flight)| {
            let coming = match flight {
                None => self.sources.get(key.source() as usize)?.1.foreseen()?,
                Some(flight) => flight.foreseen()?,
            };
            let datagrams = self.probes[coming.probe].datagrams;
            if noted && coming.packet.family() == Family::V6 {
                return None;
            }
            let is_answered =
                coming.leg == Leg::Request && host::answers(coming.packet.protocol(), datagrams);
            if kind == Kind::Arrive && is_answered {
                return None;
            }
            // Nothing beyond the end of the probe that is waited for.
            if let Some((probe, left)) = &mut awaits
                && *probe == coming.probe
            {
                *left = left.checked_sub(1)?;
            }
            Some((key, coming))
        });
        // Not more than a batch at a time: verdicts, packets and sources are to be in the cache still
        // when their turn comes.
        match kind {
            Kind::Emit => {
                for key in self.queue.upcoming_keys().take(BATCH) {
                    prefetch::whole(&self.sources, key.source() as usize);
                }
            }
            _ => self.queue.ask_for(BATCH),
        }
        let Foresight { verdicts, worker, .. } = &mut self.foresight;
        let memory = &mut self.memory.connections.ahead(&self.relays);
        let mut keys = [next; BATCH];
        let mut batch = Batch::new();
        for (room, (key, coming)) in keys.iter_mut().zip(run.by_ref()) {
            *room = key;
            match coming.crossing {
                None => batch.push(coming.from, coming.packet, 0),
                Some(crossing) => batch.push_crossed(coming.from, crossing, coming.packet, 0),
            };
        }
        match kind {
            Kind::Emit => fabric.leave_all(&mut batch, memory, worker),
            _ => fabric.enter_all(&mut batch, memory, worker),
        }
        for (place, key) in keys.iter().take(batch.len()).enumerate() {
            let verdict = match (batch.fate(place), batch.crossing(place)) {
                (Some(Fate::Delivered(at)), _) => Verdict::Enters(Ok(at)),
                (Some(Fate::Left | Fate::MustBeCut), Some(way)) => Verdict::Leaves(Ok(way)),
                // What cannot be judged ahead is told so.
                (Some(Fate::Dropped(drop)), _) if drop.reason != DropReason::ConntrackFull => {
                    match kind {
                        Kind::Emit => Verdict::Leaves(Err(drop)),
                        _ => Verdict::Enters(Err(drop)),
                    }
                }
                _ => break,
            };
            verdicts.push_back((*key, verdict));
        }
        self.foresight.pause_after_run();
    }
}

#[cfg(test)]
mod tests;
