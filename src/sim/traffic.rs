//! Traffic: what instances send, and what is counted about it.
//!
//! Holds probes (a question, with its counts) and sources (one sender of a probe). Sources make
//! their packets one at a time when they are due, so a million packets need no more memory than one.
//! Refuses to decide where a packet goes.

use std::sync::Arc;

use bytes::Bytes;

use super::ahead::Coming;
use super::observe::Subject;
use crate::base::id::{InterfaceId, InterfaceIdx};
use crate::base::time::Span;
use crate::base::units::PacketRate;
use crate::forward::DropReason;
use crate::wire::{EchoKind, Packet, build};

/// A probe of one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProbeId(u32);

impl ProbeId {
    /// The probe with this number.
    #[allow(clippy::expect_used, reason = "each step starts one: far fewer than 2^32")]
    pub(super) fn numbered(number: usize) -> ProbeId {
        ProbeId(u32::try_from(number).expect("a run has fewer than 2^32 probes"))
    }

    /// Its number: probes are counted from 0 in the order in which they start.
    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

/// What part a packet has in its probe.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Leg {
    /// From a source of the probe.
    Request,
    /// From the instance that a request reached.
    Answer,
    /// An ICMP error of the network about one of them.
    Notice,
}

impl Leg {
    /// All of them.
    pub const ALL: [Leg; 3] = [Leg::Request, Leg::Answer, Leg::Notice];

    /// Its row in [`Leg::ALL`].
    pub const fn row(self) -> usize {
        self as usize
    }
}

/// Whether the instances that get a probe's datagrams send them back. Echo requests are always
/// answered, as hosts do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Datagrams {
    /// They are received and that is all.
    #[default]
    Sunk,
    /// Each is sent back, as by an echo server.
    Returned,
}

/// When packet number `n` of a source is due, counted from the source's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// A fixed time apart.
    Every(Span),
    /// So many a second.
    Rate(PacketRate),
}

impl Pace {
    /// Are no two packets due at one instant?
    fn moves_on(self) -> bool {
        match self {
            Pace::Every(gap) => gap > Span::ZERO,
            Pace::Rate(rate) => rate.is_below_ticks(),
        }
    }

    fn due(self, n: u64) -> Span {
        match self {
            Pace::Every(gap) => gap.times(n),
            Pace::Rate(rate) => rate.due(n),
        }
    }
}

/// What a source sends.
#[derive(Clone, Debug)]
pub enum Load {
    /// The same packet, `count` times.
    Repeat {
        /// The packet.
        packet: Packet,
        /// How often.
        count: u64,
        /// When.
        pace: Pace,
    },
    /// Echo requests like this one, with sequence numbers that count up from its own.
    Ping {
        /// The first request.
        first: Packet,
        /// How many.
        count: u64,
        /// When.
        pace: Pace,
    },
    /// Bytes that may or may not be packets, each at its time after the start, in order.
    Script(Arc<[(Span, Bytes)]>),
}

impl Load {
    fn count(&self) -> u64 {
        match self {
            Load::Repeat { count, .. } | Load::Ping { count, .. } => *count,
            Load::Script(packets) => packets.len() as u64,
        }
    }
}

/// One sender.
#[derive(Clone, Debug)]
pub struct Source {
    /// The interface that sends.
    pub from: InterfaceId,
    /// The interface that it means to reach, where that is known.
    pub meant: Option<InterfaceId>,
    /// What it sends.
    pub load: Load,
}

/// A source at work.
#[derive(Debug)]
pub(super) struct ActiveSource {
    subject: Subject,
    load: Load,
    sent: u64,
    /// The packet that is sent again and again, back from its way: to share its bytes once more would
    /// cost two locked instructions.
    spare: Option<Packet>,
}

/// What a source has to send now.
pub(super) enum Emission {
    Packet(Packet),
    Bytes(Bytes),
}

impl ActiveSource {
    pub(super) fn new(
        probe: ProbeId,
        from: InterfaceIdx,
        meant: Option<InterfaceIdx>,
        load: Load,
    ) -> ActiveSource {
        let subject = Subject { probe, leg: Leg::Request, sender: from, meant };
        ActiveSource { subject, load, sent: 0, spare: None }
    }

    /// Of each packet that it sends.
    pub(super) fn subject(&self) -> Subject {
        self.subject
    }

    /// Its next packet, if it is known before it is sent and does not share its instant with another
    /// one of this source.
    pub(super) fn foreseen(&self) -> Option<Coming<'_>> {
        let Subject { sender: from, leg, probe, .. } = self.subject;
        match &self.load {
            Load::Repeat { packet, pace, .. } if pace.moves_on() => {
                Some(Coming { packet, from, crossing: None, leg, probe })
            }
            Load::Repeat { .. } | Load::Ping { .. } | Load::Script(_) => None,
        }
    }

    /// A packet that this source has sent is at the end of its way, unchanged.
    pub(super) fn give_back(&mut self, packet: Packet) {
        if matches!(self.load, Load::Repeat { .. }) {
            self.spare = Some(packet);
        }
    }

    /// How many packets it will send in all.
    pub(super) fn total(&self) -> u64 {
        self.load.count()
    }

    /// When its next packet is due, counted from its start; `None` when it has sent all.
    pub(super) fn due(&self) -> Option<Span> {
        if self.sent >= self.load.count() {
            return None;
        }
        match &self.load {
            Load::Repeat { pace, .. } | Load::Ping { pace, .. } => Some(pace.due(self.sent)),
            Load::Script(packets) => {
                packets.get(usize::try_from(self.sent).ok()?).map(|(at, _)| *at)
            }
        }
    }

    /// Its next packet. Behind the last one a script goes on with packets of no bytes, the others
    /// as before.
    pub(super) fn emit(&mut self) -> Emission {
        let n = self.sent;
        self.sent += 1;
        match &self.load {
            Load::Repeat { packet, .. } => {
                Emission::Packet(self.spare.take().unwrap_or_else(|| packet.clone()))
            }
            Load::Ping { first, .. } => {
                Emission::Packet(numbered(first, n).unwrap_or_else(|| first.clone()))
            }
            Load::Script(packets) => {
                let packet = usize::try_from(n).ok().and_then(|n| packets.get(n));
                Emission::Bytes(packet.map(|(_, bytes)| bytes.clone()).unwrap_or_default())
            }
        }
    }
}

/// Echo request number `n` (from 0) of a series; `None` for the first, which is there already, and
/// in a series that began with something else.
fn numbered(first: &Packet, n: u64) -> Option<Packet> {
    if n == 0 {
        return None;
    }
    let echo = first.icmp_echo()?;
    // Sequence numbers wrap after 65,535, as ping's do.
    let seq = echo.seq.wrapping_add(u16::try_from(n % 65_536).unwrap_or_default());
    let (source, destination, payload) = (first.source(), first.destination(), first.payload());
    build::echo(EchoKind::Request, source, destination, echo.ident, seq, payload).ok()
}

/// How often each reason dropped a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drops {
    by_reason: [u64; DropReason::COUNT],
    /// Their sum: whether a probe is done is asked after every event.
    total: u64,
}

impl Default for Drops {
    fn default() -> Drops {
        Drops { by_reason: [0; DropReason::COUNT], total: 0 }
    }
}

impl Drops {
    /// Drops for one reason.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.by_reason[reason.row()]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|r| (*r, self.of(*r))).filter(|(_, n)| *n > 0)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Drops) -> Drops {
        Drops {
            by_reason: std::array::from_fn(|row| self.by_reason[row] + other.by_reason[row]),
            total: self.total + other.total,
        }
    }

    pub(super) fn add(&mut self, reason: DropReason) {
        self.by_reason[reason.row()] += 1;
        self.total += 1;
    }
}

/// What became of the packets of one leg. Every packet that is sent is delivered, dropped, or
/// still on its way (invariant S12).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Handed to an interface to send.
    pub sent: u64,
    /// Received by an interface.
    pub delivered: u64,
    /// Of these: received by another interface than the one meant.
    pub misdelivered: u64,
    /// Dropped.
    pub drops: Drops,
    /// Times that a middlebox sent one of them on.
    pub relayed: u64,
    /// Fragments that the network made of them, the first of each packet not counted.
    pub fragments: u64,
}

impl Tally {
    /// On their way.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.delivered - self.drops.total()
    }
}

/// What became of a probe's packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProbeTally {
    /// The packets of its sources.
    pub requests: Tally,
    /// The answers.
    pub answers: Tally,
    /// What the network said about them.
    pub notices: Tally,
    /// Packets that its sources have not sent yet; 1 while its TCP connection is not done.
    pub unsent: u64,
}

impl ProbeTally {
    /// Has every packet met its fate?
    pub fn is_done(&self) -> bool {
        self.awaited() == 0
    }

    /// How many packets have yet to meet their fate, as far as is known.
    pub(super) fn awaited(&self) -> u64 {
        let legs = [&self.requests, &self.answers, &self.notices];
        self.unsent + legs.map(Tally::in_flight).iter().sum::<u64>()
    }

    pub(super) fn leg(&mut self, leg: Leg) -> &mut Tally {
        match leg {
            Leg::Request => &mut self.requests,
            Leg::Answer => &mut self.answers,
            Leg::Notice => &mut self.notices,
        }
    }
}
