//! What happens on a live network, counted while it does: who talks to whom, what is dropped and why.
//!
//! Holds the observer that counts, and the summary that is taken of it from time to time. Refuses to
//! print: `view/screen.rs` makes text of a summary, `view/stream.rs` JSON.

pub mod screen;
pub mod stream;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::base::id::InterfaceId;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::forward::{Drop, DropReason};
use crate::report::explain;
use crate::report::names::Names;
use crate::report::told::Told;
use crate::sim::{Happening, Leg, Observer, Subject, World};
use crate::wire::Packet;

/// Pairs that are told apart (ours). Whoever talks when there are so many is counted in the totals
/// alone.
const TALKS_MAX: usize = 10_000;

/// Kinds of drops that are told apart: from whom, to where, why (ours). Of more, the one that was explained
/// longest ago is forgotten; its packets stay in the totals.
const DROPS_MAX: usize = 1_000;

/// After so long a kind of drop is explained anew (ours): the network may have changed.
const EXPLAINED_FOR: Span = Span::from_secs(1);

/// Packets and their bytes, headers included, as they would be on a wire.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Volume {
    fn add(&mut self, packet: &Packet) {
        self.packets += packet.count();
        self.bytes += packet.wire_bytes();
    }
}

/// A count, and what it was when it was last looked at.
#[derive(Clone, Copy, Default, Debug)]
struct Meter {
    total: Volume,
    seen: Volume,
}

impl Meter {
    /// What came since this was asked last.
    fn since(&mut self) -> Volume {
        let Volume { packets, bytes } = self.seen;
        self.seen = self.total;
        Volume { packets: self.total.packets - packets, bytes: self.total.bytes - bytes }
    }
}

/// A kind of drop: who sent, where to, and why it ended.
type DropKey = (InterfaceId, Option<IpAddr>, DropReason);

/// What is known of a kind of drop.
#[derive(Debug)]
struct Dropped {
    meter: Meter,
    told: Told,
    explained: Instant,
}

#[derive(Debug, Default)]
struct Board {
    /// Looked at for every packet that arrives; summaries are ordered by name.
    talks: FxHashMap<(InterfaceId, InterfaceId), Meter>,
    delivered: Meter,
    dropped: BTreeMap<DropKey, Dropped>,
    reasons: BTreeMap<DropReason, Meter>,
    last: Option<(Instant, DropKey)>,
}

/// The observer. Clones share what they count.
#[derive(Clone, Debug, Default)]
pub struct View(Arc<Mutex<Board>>);

/// Who talks to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Talk {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Since the last summary.
    pub since: Volume,
    /// In all.
    pub total: Volume,
}

/// Packets that ended for one reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason {
    /// The reason.
    pub reason: DropReason,
    /// Since the last summary.
    pub since: Volume,
    /// In all.
    pub total: Volume,
}

/// Drops of one kind since the last summary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Who sent.
    pub from: String,
    /// The destination, if the bytes had one.
    pub to: Option<IpAddr>,
    /// Why.
    pub reason: DropReason,
    /// Since the last summary.
    pub since: Volume,
    /// One of them, explained.
    pub told: Told,
}

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// How long the time between this summary and the last one was.
    pub over: Span,
    /// The present.
    pub now: Instant,
    /// Everything that was delivered since the last summary, and in all.
    pub delivered: (Volume, Volume),
    /// Pairs by traffic since the last summary, then by traffic in all, the largest first.
    pub talks: Vec<Talk>,
    /// Reasons in the order in which the checks run.
    pub reasons: Vec<Reason>,
    /// Drops since the last summary.
    pub ended: Vec<Ended>,
    /// When the last drop was, and why.
    pub last: Option<(Instant, Told)>,
}

impl View {
    fn board(&self) -> MutexGuard<'_, Board> {
        // Counts are whole between any two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has happened since the last summary, `over` ago. Linear in what is told apart.
    pub fn summary(&self, cloud: &Cloud, now: Instant, over: Span) -> Summary {
        let board = &mut *self.board();
        let names = Names(cloud);
        let mut talks: Vec<Talk> = board
            .talks
            .iter_mut()
            .map(|((from, to), meter)| Talk {
                from: names.interface(*from),
                to: names.interface(*to),
                since: meter.since(),
                total: meter.total,
            })
            .collect();
        talks.sort_by(|a, b| {
            let volume = |talk: &Talk| std::cmp::Reverse((talk.since.bytes, talk.total.bytes));
            (volume(a), &a.from, &a.to).cmp(&(volume(b), &b.from, &b.to))
        });
        let reasons = board.reasons.iter_mut();
        let reasons = reasons
            .map(|(reason, meter)| Reason {
                reason: *reason,
                since: meter.since(),
                total: meter.total,
            })
            .collect();
        let ended = board.dropped.iter_mut().filter_map(|((from, to, reason), dropped)| {
            let since = dropped.meter.since();
            (since.packets > 0).then(|| Ended {
                from: names.interface(*from),
                to: *to,
                reason: *reason,
                since,
                told: dropped.told.clone(),
            })
        });
        let ended = ended.collect();
        let last =
            board.last.and_then(|(at, key)| Some((at, board.dropped.get(&key)?.told.clone())));
        let delivered = (board.delivered.since(), board.delivered.total);
        Summary { over, now, delivered, talks, reasons, ended, last }
    }
}

impl Board {
    fn arrived(&mut self, from: InterfaceId, to: InterfaceId, packet: &Packet) {
        self.delivered.total.add(packet);
        let is_full = self.talks.len() >= TALKS_MAX;
        match self.talks.get_mut(&(from, to)) {
            Some(meter) => meter.total.add(packet),
            None if is_full => {}
            None => self.talks.entry((from, to)).or_default().total.add(packet),
        }
    }

    fn dropped(
        &mut self,
        world: World<'_>,
        subject: Subject,
        what: Happening<'_>,
        (from, drop): (InterfaceId, Drop),
        packet: Option<&Packet>,
    ) {
        let count = |volume: &mut Volume| match packet {
            Some(packet) => volume.add(packet),
            None => volume.packets += 1,
        };
        count(&mut self.reasons.entry(drop.reason).or_default().total);
        let key = (from, packet.map(Packet::destination), drop.reason);
        let known = self.dropped.get_mut(&key);
        let is_fresh = known
            .as_ref()
            .is_some_and(|known| world.now.since(known.explained.min(world.now)) < EXPLAINED_FOR);
        if let Some(known) = known {
            count(&mut known.meter.total);
            self.last = Some((world.now, key));
            if !is_fresh && let Some(told) = explain::one(world, subject, what) {
                known.told = told;
                known.explained = world.now;
            }
        } else if let Some(told) = explain::one(world, subject, what) {
            if self.dropped.len() >= DROPS_MAX {
                self.forget_oldest();
            }
            let mut meter = Meter::default();
            count(&mut meter.total);
            self.dropped.insert(key, Dropped { meter, told, explained: world.now });
            self.last = Some((world.now, key));
        }
    }

    /// Makes room for a new kind of drop. Linear, for those who drop a thousand kinds.
    fn forget_oldest(&mut self) {
        let oldest = self.dropped.iter().min_by_key(|(_, dropped)| dropped.explained);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.dropped.remove(&key);
        }
    }
}

impl Observer for View {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        let id = |row| world.rows.interface_id(row);
        match what {
            Happening::Left { .. } | Happening::Relayed { .. } => {}
            // A router says something to whoever sent a packet: nobody talks to anybody.
            Happening::Arrived { .. } if subject.leg == Leg::Notice => {}
            Happening::Arrived { packet, at, from, .. } => {
                self.board().arrived(id(from), id(at), packet);
            }
            Happening::NotSent { packet, from, drop }
            | Happening::Lost { packet, from, drop, .. } => {
                let ended = (id(from), drop);
                self.board().dropped(world, subject, what, ended, Some(packet));
            }
            Happening::Malformed { drop, .. } => {
                let ended = (id(subject.sender), drop);
                self.board().dropped(world, subject, what, ended, None);
            }
        }
    }
}
