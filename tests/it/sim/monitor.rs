//! An observer that keeps its own books: whatever it hears must be possible, and add up.
//!
//! Holds S12 (one fate a packet), S13 (bytes), S15 (order) and S16 (causality) as checks made at
//! every happening. Shares nothing with the simulator but what it is told.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use vpclab::base::time::{Instant, Span};
use vpclab::forward::gate::Via;
use vpclab::forward::{Crossing, DropReason};
use vpclab::sim::{
    Happening, Leg, LinkOf, LinkSpec, Observer, ProbeId, ProbeTally, Subject, World,
};
use vpclab::wire::Packet;

/// What was heard of one leg of one probe.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    sent: u64,
    delivered: u64,
    misdelivered: u64,
    drops: BTreeMap<DropReason, u64>,
}

/// A packet that left, by what tells it from all others: tests give each one bytes of its own.
type Flying = (ProbeId, Leg, Bytes);

/// Between whom and which way: packets of one lane keep their order unless there is jitter.
type Lane = (u32, Leg, u64, Crossing);

/// The observer.
#[derive(Default, Debug)]
pub(super) struct Monitor {
    /// What links do, where it is not the default.
    links: BTreeMap<LinkOf, LinkSpec>,
    now: Instant,
    legs: BTreeMap<(ProbeId, u8), Heard>,
    flying: BTreeMap<Vec<u8>, (Instant, u64)>,
    left: u64,
    /// The number of the last packet that arrived in each lane.
    lanes: BTreeMap<Vec<u8>, u64>,
    digest: DefaultHasher,
    happenings: u64,
}

fn name((probe, leg, bytes): &Flying) -> Vec<u8> {
    let head = [u8::from(*leg == Leg::Answer)];
    let probe = u32::try_from(probe.number()).unwrap().to_be_bytes();
    [&probe[..], &head[..], bytes].concat()
}

fn lane_name(lane: &Lane) -> Vec<u8> {
    format!("{lane:?}").into_bytes()
}

impl Monitor {
    pub(super) fn new(links: BTreeMap<LinkOf, LinkSpec>) -> Monitor {
        Monitor { links, ..Monitor::default() }
    }

    /// Packets that left and have met no fate yet.
    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    /// A number that two runs share only if everything happened alike.
    pub(super) fn digest(&self) -> (u64, u64) {
        (self.happenings, self.digest.finish())
    }

    /// How often each reason was heard.
    pub(super) fn drops(&self) -> BTreeMap<DropReason, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.legs.values().flat_map(|heard| &heard.drops) {
            *all.entry(*reason).or_default() += count;
        }
        all
    }

    /// S12: the simulator's counts are what was heard, and nothing is missing.
    pub(super) fn agrees(&self, probe: ProbeId, tally: &ProbeTally) {
        let mut in_flight = 0;
        for (leg, tally) in [(Leg::Request, tally.requests), (Leg::Answer, tally.answers)] {
            let heard = self.legs.get(&(probe, leg_row(leg))).cloned().unwrap_or_default();
            let counted = Heard {
                sent: tally.sent,
                delivered: tally.delivered,
                misdelivered: tally.misdelivered,
                drops: tally.drops.iter().collect(),
            };
            assert_eq!(heard, counted, "{probe:?} {leg:?}");
            in_flight += tally.in_flight();
        }
        let probe = u32::try_from(probe.number()).unwrap().to_be_bytes();
        let flying = self.flying.range(probe.to_vec()..).take_while(|(k, _)| k.starts_with(&probe));
        assert_eq!(in_flight, flying.count() as u64, "on their way");
    }

    /// The least time between leaving and arriving.
    fn least(&self, world: World<'_>, subject: Subject, crossing: Crossing) -> Span {
        let spec = |of, default| self.links.get(&of).copied().unwrap_or(default);
        let own = LinkOf::Interface(world.rows.interface_id(subject.sender));
        let other = match crossing.via() {
            Via::Peering(row) => {
                spec(LinkOf::Peering(world.rows.peering_id(row)), LinkSpec::PEERING)
            }
            Via::Gateway(_) | Via::Outside(_) => panic!("these worlds have no edges"),
            Via::Subnet | Via::Local | Via::Interface(_) => {
                let vpc = world.rows.vpc_id(crossing.into_vpc().unwrap());
                spec(LinkOf::Vpc(vpc), LinkSpec::VPC)
            }
        };
        spec(own, LinkSpec::INTERFACE).latency + other.latency
    }

    fn has_jitter(&self) -> bool {
        self.links.values().any(|spec| spec.jitter > Span::ZERO)
    }

    /// The packet's flight ends: it was on its way, once, with these very bytes.
    fn land(&mut self, subject: Subject, packet: &Packet) -> (Instant, u64) {
        let key = name(&(subject.probe, subject.leg, packet.bytes().clone()));
        let flight = self.flying.remove(&key);
        flight.unwrap_or_else(|| panic!("{packet:?} of {subject:?} was not on its way"))
    }
}

fn leg_row(leg: Leg) -> u8 {
    u8::from(leg == Leg::Answer)
}

impl Observer for Monitor {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        assert!(world.now >= self.now, "time goes back from {} to {}", self.now, world.now);
        self.now = world.now;
        self.happenings += 1;
        let bytes = match what {
            Happening::Left { packet, .. }
            | Happening::Relayed { packet, .. }
            | Happening::NotSent { packet, .. }
            | Happening::Lost { packet, .. }
            | Happening::Arrived { packet, .. } => packet.bytes(),
            Happening::Malformed { bytes, .. } => bytes,
        };
        (world.now.as_nanos(), format!("{subject:?} {what:?}"), bytes).hash(&mut self.digest);

        let mut heard =
            self.legs.remove(&(subject.probe, leg_row(subject.leg))).unwrap_or_default();
        let lose = |heard: &mut Heard, reason| *heard.drops.entry(reason).or_default() += 1;
        match what {
            Happening::Relayed { .. } => panic!("these worlds have no middleboxes"),
            Happening::Left { packet, .. } => {
                heard.sent += 1;
                self.left += 1;
                let key = name(&(subject.probe, subject.leg, packet.bytes().clone()));
                let before = self.flying.insert(key, (world.now, self.left));
                assert!(before.is_none(), "{packet:?} leaves twice");
            }
            Happening::Malformed { drop, .. } | Happening::NotSent { drop, .. } => {
                heard.sent += 1;
                lose(&mut heard, drop.reason);
            }
            Happening::Lost { packet, drop, left, .. } => {
                assert_eq!(self.land(subject, packet).0, left);
                lose(&mut heard, drop.reason);
            }
            Happening::Arrived { packet, at, crossing, left, .. } => {
                let (left_at, number) = self.land(subject, packet);
                assert_eq!(left_at, left);
                let least = self.least(world, subject, crossing);
                assert!(world.now >= left_at + least, "{packet:?} arrives before its time");
                heard.delivered += 1;
                heard.misdelivered += u64::from(subject.meant.is_some_and(|meant| meant != at));
                if !self.has_jitter() {
                    let mut flow = DefaultHasher::new();
                    packet.flow().hash(&mut flow);
                    let sender = u32::try_from(subject.sender.row()).unwrap();
                    let lane = (sender, subject.leg, flow.finish(), crossing);
                    let last = self.lanes.insert(lane_name(&lane), number);
                    assert!(last < Some(number), "{packet:?} overtakes");
                }
            }
        }
        self.legs.insert((subject.probe, leg_row(subject.leg)), heard);
    }
}
