//! An observer that keeps its own books: whatever it hears must be possible, and add up.
//!
//! Holds S12 (one fate a packet, also if it is cut up or sent on), S13 (bytes), S15 (order), S16
//! (causality) and what edges serve as checks made at every happening. Shares nothing with the simulator but what it is
//! told.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};

use vpclab::base::id::InterfaceIdx;
use vpclab::base::time::{Instant, Span};
use vpclab::forward::gate::{Edge, Mapping, Realm, Via};
use vpclab::forward::{Crossing, DropReason};
use vpclab::sim::{
    Happening, Leg, LinkOf, LinkSpec, Observer, ProbeId, ProbeTally, Subject, World,
};
use vpclab::wire::{FlowKey, Packet, Quoted, quoted};

/// What was heard of one leg of one probe.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Heard {
    sent: u64,
    delivered: u64,
    misdelivered: u64,
    drops: BTreeMap<DropReason, u64>,
}

/// A packet as its sender sent it. It has one fate, whatever happens to its parts.
#[derive(Debug)]
struct Whole {
    /// Parts without a fate.
    under_way: usize,
    failed: bool,
}

/// What left one interface: a packet, or all fragments of one.
#[derive(Clone, Debug)]
struct Flight {
    /// Which row of [`Monitor::wholes`] it is part of.
    of: usize,
    left: Instant,
    /// Which packet it was, of all that left.
    number: u64,
    /// How many parts of it have not landed.
    parts: usize,
}

/// What tells what left from all else: probe, leg, interface and bytes.
type Name = (usize, u8, usize, Vec<u8>);

/// Between whom and which way: packets of one lane keep their order unless there is jitter.
type Lane = (InterfaceIdx, u8, u64, Crossing);

/// The observer.
#[derive(Default, Debug)]
pub(super) struct Monitor {
    /// What links do, where it is not the default.
    links: BTreeMap<LinkOf, LinkSpec>,
    now: Instant,
    legs: BTreeMap<(usize, u8), Heard>,
    wholes: Vec<Whole>,
    flying: BTreeMap<Name, Vec<Flight>>,
    left: u64,
    /// What a middlebox is about to send on: the very next happening is about it.
    relaying: Option<(usize, InterfaceIdx)>,
    /// The number of the last packet that arrived in each lane.
    lanes: BTreeMap<Lane, u64>,
    digest: DefaultHasher,
    happenings: u64,
    /// How often something was cut up, sent on, and answered by the network.
    cut: u64,
    relayed: u64,
    notices: u64,
}

fn leg_row(leg: Leg) -> u8 {
    match leg {
        Leg::Request => 0,
        Leg::Answer => 1,
        Leg::Notice => 2,
    }
}

impl Monitor {
    pub(super) fn new(links: BTreeMap<LinkOf, LinkSpec>) -> Monitor {
        Monitor { links, ..Monitor::default() }
    }

    /// What left and has met no fate yet.
    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    /// A number that two runs share only if everything happened alike.
    pub(super) fn digest(&self) -> (u64, u64) {
        (self.happenings, self.digest.finish())
    }

    /// Packets that were cut up, sent on by a middlebox, and messages of the network itself.
    pub(super) fn unusual(&self) -> [u64; 3] {
        [self.cut, self.relayed, self.notices]
    }

    /// How often each reason was heard.
    pub(super) fn drops(&self) -> BTreeMap<DropReason, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.legs.values().flat_map(|heard| &heard.drops) {
            *all.entry(*reason).or_default() += count;
        }
        all
    }

    /// S12: the simulator's counts are what was heard, and nothing is missing. Of what the network
    /// itself sends, nothing is heard before it meets its fate.
    pub(super) fn agrees(&self, probe: ProbeId, tally: &ProbeTally) {
        let legs = [
            (Leg::Request, tally.requests),
            (Leg::Answer, tally.answers),
            (Leg::Notice, tally.notices),
        ];
        for (leg, tally) in legs {
            let row = (probe.number(), leg_row(leg));
            let mut heard = self.legs.get(&row).cloned().unwrap_or_default();
            if leg == Leg::Notice {
                heard.sent = tally.sent;
            }
            let counted = Heard {
                sent: tally.sent,
                delivered: tally.delivered,
                misdelivered: tally.misdelivered,
                drops: tally.drops.iter().collect(),
            };
            assert_eq!(heard, counted, "{probe:?} {leg:?}");
            let mut mine = std::collections::BTreeSet::new();
            for ((probe, leg, ..), flights) in &self.flying {
                if (*probe, *leg) == row {
                    let failed = |f: &&Flight| !self.wholes[f.of].failed;
                    mine.extend(flights.iter().filter(failed).map(|flight| flight.of));
                }
            }
            if leg != Leg::Notice {
                assert_eq!(tally.in_flight(), mine.len() as u64, "{probe:?} {leg:?} on their way");
            }
        }
    }

    /// The least time between leaving and arriving.
    fn least(&self, world: World<'_>, from: InterfaceIdx, crossing: Crossing) -> Span {
        let spec = |of, default| self.links.get(&of).copied().unwrap_or(default);
        let own = spec(LinkOf::Interface(world.rows.interface_id(from)), LinkSpec::INTERFACE);
        let over = |edge: Edge| {
            spec(LinkOf::Gateway(world.rows.gateway_id(edge.gateway)), LinkSpec::GATEWAY).latency
        };
        let other = match (crossing.via(), crossing.into_realm()) {
            (Via::Peering(row), _) => {
                spec(LinkOf::Peering(world.rows.peering_id(row)), LinkSpec::PEERING).latency
            }
            (Via::Gateway(_), _) => {
                let edges = crossing.edges().into_iter().flatten();
                edges.map(over).fold(Span::ZERO, |sum, latency| sum + latency)
            }
            (_, Realm::Vpc(row)) => {
                spec(LinkOf::Vpc(world.rows.vpc_id(row)), LinkSpec::VPC).latency
            }
            (_, Realm::Internet | Realm::Behind(_)) => Span::ZERO,
        };
        own.latency + other
    }

    fn has_jitter(&self) -> bool {
        self.links.values().any(|spec| spec.jitter > Span::ZERO)
    }

    fn heard(&mut self, subject: Subject) -> &mut Heard {
        self.legs.entry((subject.probe.number(), leg_row(subject.leg))).or_default()
    }

    fn name(subject: Subject, from: InterfaceIdx, packet: &Packet) -> Name {
        let (probe, leg) = (subject.probe.number(), leg_row(subject.leg));
        (probe, leg, from.row(), packet.bytes().to_vec())
    }

    /// A packet that its sender sends, or that a middlebox sends on: which one it is.
    fn whole(&mut self, subject: Subject, from: InterfaceIdx) -> usize {
        if let Some((of, at)) = self.relaying.take() {
            assert_eq!(at, from, "a middlebox sends on what came to it, at once");
            return of;
        }
        assert!(subject.leg == Leg::Notice || from == subject.sender, "{subject:?} from {from:?}");
        self.heard(subject).sent += 1;
        self.wholes.push(Whole { under_way: 1, failed: false });
        self.wholes.len() - 1
    }

    fn leave(&mut self, subject: Subject, from: InterfaceIdx, packet: &Packet, crossing: Crossing) {
        let of = self.whole(subject, from);
        let parts = parts(packet, usize::from(crossing.mtu().bytes()));
        self.cut += u64::from(parts > 1);
        self.wholes[of].under_way += parts - 1;
        self.left += 1;
        let flight = Flight { of, left: self.now, number: self.left, parts };
        self.flying.entry(Monitor::name(subject, from, packet)).or_default().push(flight);
    }

    /// A part of what left at that moment has come somewhere: it was on its way, with these very
    /// bytes. What the network sends itself is heard of here for the first time.
    fn land(
        &mut self,
        subject: Subject,
        from: InterfaceIdx,
        sent: &Packet,
        left: Instant,
    ) -> (usize, Option<u64>) {
        let name = Monitor::name(subject, from, sent);
        let flights = self.flying.get_mut(&name);
        let at = flights.as_ref().and_then(|all| all.iter().position(|f| f.left == left));
        match (flights, at) {
            (Some(flights), Some(at)) => {
                flights[at].parts -= 1;
                let Flight { of, number, parts, .. } = flights[at].clone();
                if parts == 0 {
                    flights.remove(at);
                }
                if flights.is_empty() {
                    self.flying.remove(&name);
                }
                (of, Some(number))
            }
            _ if subject.leg == Leg::Notice => {
                assert_eq!(self.relaying, None);
                self.notices += 1;
                (self.whole(subject, from), None)
            }
            _ => panic!("{sent:?} of {subject:?} was not on its way"),
        }
    }

    /// Part of a packet is lost: so is the packet, if it was not before.
    fn lose(&mut self, subject: Subject, of: usize, reason: DropReason) {
        self.wholes[of].under_way -= 1;
        if !std::mem::replace(&mut self.wholes[of].failed, true) {
            *self.heard(subject).drops.entry(reason).or_default() += 1;
        }
    }
}

/// Into how many parts IPv4 cuts a packet for a way that takes `mtu` bytes (RFC 791, 3.2): all but
/// the last carry a multiple of eight bytes.
fn parts(packet: &Packet, mtu: usize) -> usize {
    const HEADER: usize = 20;
    if packet.len() <= mtu {
        return 1;
    }
    assert!(packet.source().is_ipv4(), "routers cut nothing else");
    (packet.len() - HEADER).div_ceil((mtu - HEADER) / 8 * 8)
}

/// S13: between leaving and arriving nothing changes but what an internet gateway must, and a packet
/// is not cut up but where it is too long.
fn assert_intact(sent: &Packet, packet: &Packet, crossing: Crossing) {
    if packet.is_fragment() && !sent.is_fragment() {
        assert!(!crossing.mtu().holds(sent.len()), "{sent:?} was cut up");
    } else if crossing.mapping() == Mapping::default() && crossing.mtu().holds(sent.len()) {
        assert_eq!(sent.bytes(), packet.bytes());
    } else if crossing.mtu().holds(sent.len()) {
        let same = |p: &Packet| (p.len(), p.hop_limit(), p.protocol(), p.icmp());
        assert_eq!(same(sent), same(packet));
        match (quoted(sent), quoted(packet)) {
            // The packet that an error quotes is changed like the error.
            (Some(before), Some(after)) => {
                let Mapping { source, destination } = crossing.mapping();
                let changed = |address: IpAddr, own: IpAddr, to: Option<Ipv4Addr>| {
                    to.filter(|_| address == own).map_or(address, IpAddr::V4)
                };
                let flow = FlowKey {
                    source: changed(before.flow.source, sent.destination(), destination),
                    destination: changed(before.flow.destination, sent.source(), source),
                    ..before.flow
                };
                assert_eq!(after, Quoted { flow, ..before });
            }
            _ => assert_eq!(sent.payload(), packet.payload()),
        }
    }
    assert!(crossing.mtu().holds(packet.len()), "{packet:?} is too long for its way");
}

/// An edge serves the VPC that it is attached to: what has come over edges left a VPC, or entered one,
/// to which they are attached at this very moment.
fn assert_attached(world: World<'_>, from: InterfaceIdx, at: InterfaceIdx, crossing: Crossing) {
    if !matches!(crossing.via(), Via::Gateway(_)) {
        return;
    }
    let attached = crossing.edges().map(|edge| {
        edge.and_then(|edge| world.cloud.gateway(world.rows.gateway_id(edge.gateway))?.vpc)
    });
    let home = |row| world.cloud.interface(world.rows.interface_id(row)).map(|i| i.vpc);
    assert_eq!(attached[1], home(at), "{crossing:?} into a VPC that its edge does not serve");
    // Whoever sent it may be gone.
    if let Some(home) = home(from) {
        assert_eq!(
            attached[0],
            Some(home),
            "{crossing:?} out of a VPC that its edge does not serve"
        );
    }
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

        match what {
            Happening::Left { packet, from, crossing } => {
                self.leave(subject, from, packet, crossing);
            }
            Happening::Malformed { drop, .. } => {
                let of = self.whole(subject, subject.sender);
                self.lose(subject, of, drop.reason);
            }
            Happening::NotSent { from, drop, .. } => {
                let of = self.whole(subject, from);
                self.lose(subject, of, drop.reason);
            }
            Happening::Lost { sent, from, drop, left, .. } => {
                let (of, _) = self.land(subject, from, sent, left);
                self.lose(subject, of, drop.reason);
            }
            Happening::Relayed { packet, sent, at, from, crossing, left } => {
                let (of, number) = self.land(subject, from, sent, left);
                assert_intact(sent, packet, crossing);
                assert_attached(world, from, at, crossing);
                let least = number.map_or(Span::ZERO, |_| self.least(world, from, crossing));
                assert!(world.now >= left + least, "{packet:?} is sent on before its time");
                self.relayed += 1;
                self.relaying = Some((of, at));
            }
            Happening::Arrived { packet, sent, at, from, crossing, left } => {
                let (of, number) = self.land(subject, from, sent, left);
                assert_intact(sent, packet, crossing);
                assert_attached(world, from, at, crossing);
                let whole = &mut self.wholes[of];
                whole.under_way -= 1;
                if whole.under_way == 0 && !whole.failed {
                    let heard = self.heard(subject);
                    heard.delivered += 1;
                    heard.misdelivered += u64::from(subject.meant.is_some_and(|meant| meant != at));
                }
                let Some(number) = number else { return };
                let least = self.least(world, from, crossing);
                assert!(world.now >= left + least, "{packet:?} arrives before its time");
                if !self.has_jitter() {
                    let mut flow = DefaultHasher::new();
                    sent.flow().hash(&mut flow);
                    let lane = (from, leg_row(subject.leg), flow.finish(), crossing);
                    let last = self.lanes.insert(lane, number);
                    assert!(last <= Some(number), "{packet:?} overtakes");
                }
            }
        }
    }
}
