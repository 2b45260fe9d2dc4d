//! Observers: how others hear what becomes of packets.
//!
//! Holds the hook and what is told through it. Refuses to know who listens: captures, reports and
//! tests hang on the same hook, and what they hear cannot change what happens.

use bytes::Bytes;

use super::traffic::{Leg, ProbeId};
use crate::base::id::InterfaceIdx;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::forward::gate::Crossing;
use crate::forward::{Drop, Memory, Rows};
use crate::wire::{Malformed, Packet};

/// The world at the moment of a happening.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The present.
    pub now: Instant,
    /// The network as it is now.
    pub cloud: &'a Cloud,
    /// What the rows mean.
    pub rows: &'a Rows,
    /// What interfaces and middleboxes remember.
    pub memory: &'a Memory,
}

/// Which packet a happening is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The probe that it belongs to.
    pub probe: ProbeId,
    /// Request, answer or notice.
    pub leg: Leg,
    /// The interface that sent it first; of a notice, the one whose packet it is about.
    pub sender: InterfaceIdx,
    /// The interface it is meant for, where that is known.
    pub meant: Option<InterfaceIdx>,
}

/// Something that happened to a packet. `from` is the interface that sent it last: a middlebox, if
/// it came through one, else the subject's sender.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// It left an interface and is on its way; if it is longer than the way takes, in fragments.
    Left {
        /// The packet, whole.
        packet: &'a Packet,
        /// The interface.
        from: InterfaceIdx,
        /// The crossing it is on.
        crossing: Crossing,
    },
    /// Its bytes are no packet; it did not leave.
    Malformed {
        /// What was to be sent.
        bytes: &'a Bytes,
        /// Where and why it ended.
        drop: Drop,
        /// What is wrong.
        wrong: Malformed,
    },
    /// It did not leave.
    NotSent {
        /// The packet.
        packet: &'a Packet,
        /// The interface.
        from: InterfaceIdx,
        /// Where and why it ended.
        drop: Drop,
    },
    /// It left, and was lost on a link, at the network that it came to, or in a middlebox.
    Lost {
        /// The packet, as it was there.
        packet: &'a Packet,
        /// The packet as it left that interface, whole.
        sent: &'a Packet,
        /// The interface that sent it.
        from: InterfaceIdx,
        /// Where and why it ended.
        drop: Drop,
        /// The crossing it was on.
        crossing: Crossing,
        /// When it left that interface.
        left: Instant,
    },
    /// It was let in at a middlebox, which sends it on.
    Relayed {
        /// The packet, as it came.
        packet: &'a Packet,
        /// The packet as it left that interface, whole.
        sent: &'a Packet,
        /// The middlebox's interface.
        at: InterfaceIdx,
        /// The interface that sent it.
        from: InterfaceIdx,
        /// The crossing it came by.
        crossing: Crossing,
        /// When it left that interface.
        left: Instant,
    },
    /// It reached an interface.
    Arrived {
        /// The packet.
        packet: &'a Packet,
        /// The packet as it left that interface, whole.
        sent: &'a Packet,
        /// The interface.
        at: InterfaceIdx,
        /// The interface that sent it.
        from: InterfaceIdx,
        /// The crossing it came by.
        crossing: Crossing,
        /// When it left that interface.
        left: Instant,
    },
}

/// Hears of everything that happens to packets, in the order of virtual time.
pub trait Observer {
    /// Hears of one happening.
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>);

    /// Looks at the world between two happenings. Whoever runs the simulator calls it before the
    /// first packet, after each command that was asked of the cloud, and when the run is over.
    fn look(&mut self, _: World<'_>) {}
}

/// Hears nothing.
impl Observer for () {
    fn see(&mut self, _: World<'_>, _: Subject, _: Happening<'_>) {}
}

/// Two observers are one: first the left, then the right.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        self.0.see(world, subject, what);
        self.1.see(world, subject, what);
    }

    fn look(&mut self, world: World<'_>) {
        self.0.look(world);
        self.1.look(world);
    }
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        (**self).see(world, subject, what);
    }

    fn look(&mut self, world: World<'_>) {
        (**self).look(world);
    }
}

/// Perhaps nobody.
impl<O: Observer> Observer for Option<O> {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        if let Some(observer) = self {
            observer.see(world, subject, what);
        }
    }

    fn look(&mut self, world: World<'_>) {
        if let Some(observer) = self {
            observer.look(world);
        }
    }
}
