//! One packet walked through the network as it stands, and its answer walked back.
//!
//! Holds the two walks and whether both passed. No time passes and no link
//! is asked: what is found is where the network's configuration leads the packet. Where nobody
//! listens, the answer is a reset. An answer has passed if it comes from the address and port that
//! were asked, whatever the protocol: nobody else's is taken for it. Refuses to put it into words.

use std::net::IpAddr;

use super::Reference;
use super::repair::{Diagnosis, Ground, Intent, Way, Ways, answers, diagnose};
use super::walk::{End, Walk};
use crate::base::id::InterfaceId;
use crate::cloud::Cloud;
use crate::wire::{Packet, Protocol, build};

/// A packet, who sent it, and how it fared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journey {
    /// Out or back.
    pub way: Way,
    /// The interface that sent it.
    pub from: InterfaceId,
    /// The packet as it was sent.
    pub packet: Packet,
    /// The interface it is meant for, where that is known.
    pub meant: Option<InterfaceId>,
    /// Its walk.
    pub walk: Walk,
}

/// Whether packet and answer passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// Both did.
    Both,
    /// One of them did not, or reached another host, or the answer came from another one.
    No,
}

/// Both ways.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoundTrip {
    /// The packet.
    pub there: Journey,
    /// Its answer, if it arrived at a host that answers.
    pub back: Option<Journey>,
    /// The TCP port that nobody serves at the host it came to: its answer is a reset.
    pub unserved: Option<u16>,
    /// Whether both passed.
    pub passed: Passed,
}

impl RoundTrip {
    /// What stands in the way of the packet and its answer, and the smallest change that would let
    /// them through. `ground` is what they were walked on. Costs a copy of the cloud, and more with
    /// each blocker.
    pub fn diagnose(&self, ground: Ground<'_>) -> Diagnosis {
        let Journey { from, packet, meant, .. } = &self.there;
        let intent = Intent { from: *from, packet, meant: *meant, ways: Ways::ThereAndBack };
        diagnose(ground, intent)
    }

    /// Did the answer arrive and is not taken for one?
    pub fn is_from_another(&self) -> bool {
        let arrived = |back: &Journey| back.walk.end == End::Delivered(self.there.from);
        self.back.as_ref().is_some_and(arrived) && self.passed == Passed::No
    }
}

/// Walks a packet and its answer. `serves` says whether the host behind an interface serves a TCP
/// port. `None` if the sender has no row: it is gone, or the rows are older than it.
pub fn round_trip(
    ground: Ground<'_>,
    from: InterfaceId,
    packet: &Packet,
    meant: Option<InterfaceId>,
    serves: impl Fn(InterfaceId, u16) -> bool,
) -> Option<RoundTrip> {
    let mut memory = ground.memory.clone();
    let mut walk = |from, packet: &Packet| {
        let row = ground.rows.interface(from)?;
        let reference = Reference::new(ground.cloud, ground.rows, ground.now);
        Some(reference.walk(row, packet, &mut memory))
    };
    let there = walk(from, packet)?;
    let arrived = match there.end {
        End::Delivered(at) if meant.is_none_or(|meant| meant == at) => Some(at),
        _ => None,
    };
    // A host that takes packets for others does not answer for them.
    let answering = arrived.filter(|at| owns(ground.cloud, *at, there.packet.destination()));
    let port = packet.flow().destination_port;
    let is_segment = packet.protocol() == Protocol::TCP;
    let unserved = answering.filter(|at| is_segment && !serves(*at, port)).map(|_| port);
    let answer = match unserved {
        Some(_) => build::tcp_reset(&there.packet),
        None => build::answer(&there.packet),
    };
    let mut passed = Passed::No;
    let back = match (answering, answer) {
        (Some(at), Some(answer)) => {
            let back = walk(at, &answer)?;
            if back.end == End::Delivered(from) && answers(&back.packet, packet) {
                passed = Passed::Both;
            }
            let meant = Some(from);
            Some(Journey { way: Way::Back, from: at, packet: answer, meant, walk: back })
        }
        _ => None,
    };
    let there = Journey { way: Way::There, from, packet: packet.clone(), meant, walk: there };
    Some(RoundTrip { there, back, unserved, passed })
}

/// Is the address one of the host's?
fn owns(cloud: &Cloud, at: InterfaceId, address: IpAddr) -> bool {
    let inside = cloud.interface(at).is_some_and(|interface| interface.owns(address));
    inside || cloud.outside_host(at).is_some_and(|host| host.owns(address))
}
