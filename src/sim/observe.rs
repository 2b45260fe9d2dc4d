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
use crate::forward::{Drop, Rows};
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
}

/// Which packet a happening is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The probe that it belongs to.
    pub probe: ProbeId,
    /// Request or answer.
    pub leg: Leg,
    /// The interface that sent it.
    pub sender: InterfaceIdx,
    /// The interface it is meant for, where that is known.
    pub meant: Option<InterfaceIdx>,
}

/// Something that happened to a packet.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// It left its interface and is on its way.
    Left {
        /// The packet.
        packet: &'a Packet,
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
        /// Where and why it ended.
        drop: Drop,
    },
    /// It left, and was lost on a link or at the VPC that it came to.
    Lost {
        /// The packet.
        packet: &'a Packet,
        /// Where and why it ended.
        drop: Drop,
        /// The crossing it was on.
        crossing: Crossing,
        /// When it left its interface.
        left: Instant,
    },
    /// It reached an interface.
    Arrived {
        /// The packet.
        packet: &'a Packet,
        /// The interface.
        at: InterfaceIdx,
        /// The crossing it came by.
        crossing: Crossing,
        /// When it left its interface.
        left: Instant,
    },
}

/// Hears of everything that happens to packets, in the order of virtual time.
pub trait Observer {
    /// Hears of one happening.
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>);
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
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        (**self).see(world, subject, what);
    }
}

/// Perhaps nobody.
impl<O: Observer> Observer for Option<O> {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        if let Some(observer) = self {
            observer.see(world, subject, what);
        }
    }
}
