//! Random worlds with everything a VPC has: both twins, each with a memory of its own, and the
//! oracle agree on every packet of long stories; so do batches, also when the network changes between
//! their two halves. `batches.rs` has ten times as many packets, and less of a story.
//!
//! Holds the properties; the worlds are those of `support/whole.rs`, the packets those of
//! `support/traffic.rs`. Refuses to state what is right: `support/oracle.rs` does.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use vpclab::base::id::{InterfaceId, InterfaceIdx};
use vpclab::base::time::Span;
use vpclab::cloud::gateway::Site;
use vpclab::forward::gate::{Edge, Realm, Via};
use vpclab::forward::middlebox::{Middleboxes, Next};
use vpclab::forward::{
    Connections, Crossing, Drop, DropReason, Forwarder, Reference, Rows,
    fabric::{Batch, Fabric, Publisher, Reader},
};
use vpclab::wire::{Packet, fragment};

use crate::support::batched::{Fates, Pair, way};
use crate::support::oracle::{self, Beyond, Left, Way};
use crate::support::plan::over;
use crate::support::traffic::{self, Arrived, probe};
use crate::support::whole::{Act, Whole, WholePlan, whole_plans};

/// How often each fate was seen, and by what right packets were let through.
#[derive(Default, Debug)]
struct Seen {
    packets: u64,
    delivered: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<DropReason, u64>,
    relayed: u64,
    /// Packets that a memory lets pass though the rules alone would not.
    remembered: u64,
    cut: u64,
    /// What became of packets in batches.
    batched: Fates,
}

impl Seen {
    fn add(&mut self, other: &Seen) {
        self.packets += other.packets;
        self.relayed += other.relayed;
        self.remembered += other.remembered;
        self.cut += other.cut;
        self.batched.add(&other.batched);
        for (name, count) in &other.delivered {
            *self.delivered.entry(name).or_default() += count;
        }
        for (reason, count) in &other.dropped {
            *self.dropped.entry(*reason).or_default() += count;
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {} packets, {} relayed, {} let through by memory, {} cut up, {} in batches",
            self.packets,
            self.relayed,
            self.remembered,
            self.cut,
            self.batched.packets()
        );
        for (way, count) in &self.delivered {
            println!("    delivered {way:<14} {count}");
        }
        for (reason, count) in &self.dropped {
            println!("    {reason:<24} {count}");
        }
    }
}

/// A packet that has left and not arrived yet.
struct Flight {
    from: InterfaceId,
    crossing: Crossing,
    /// As it left, and as it arrives.
    sent: Packet,
    packet: Packet,
    own: bool,
}

/// A story under way.
struct Story {
    whole: Whole,
    rows: Rows,
    publisher: Publisher,
    reader: Reader,
    /// Does not look for a new version all the time, so that both copies are in use.
    slow_reader: Reader,
    of_reference: Connections,
    of_fabric: Connections,
    /// What was sent lately, to be sent again as a batch.
    flock: Vec<(InterfaceIdx, Packet)>,
    /// Who sends batches: with the memory of the moment, which is forgotten afterwards.
    pair: Pair<Connections>,
    boxes: Middleboxes,
    lately: Vec<Arrived>,
    on_their_way: Vec<Flight>,
    seen: Seen,
}

/// How many packets make a batch.
const FLOCK: usize = 100;
/// How many packets that arrived are kept, to be answered.
const LATELY: usize = 32;
/// How many hosts may send a packet on, one after another.
const RELAYS: usize = 6;

fn way_of(crossing: Crossing, rows: &Rows) -> Way {
    let into = |realm| match realm {
        Realm::Vpc(vpc) => Beyond::Vpc(rows.vpc_id(vpc)),
        Realm::Internet => Beyond::Site(Site::Internet),
        Realm::Behind(gateway) => Beyond::Site(Site::Behind(rows.gateway_id(gateway))),
    };
    match (crossing.via(), into(crossing.into_realm())) {
        (Via::Subnet, Beyond::Vpc(vpc)) => Way::Subnet(vpc),
        (Via::Local, Beyond::Vpc(vpc)) => Way::Inside(vpc),
        (Via::Interface(named), _) => Way::At(rows.interface_id(named)),
        (Via::Peering(peering), Beyond::Vpc(vpc)) => Way::Over(rows.peering_id(peering), vpc),
        (Via::Gateway(_), beyond) => {
            let edge = |edge: Edge| (rows.gateway_id(edge.gateway), rows.vpc_id(edge.vpc));
            Way::Through(crossing.edges().map(|one| one.map(edge)), beyond)
        }
        (Via::Outside(_), Beyond::Site(site)) => Way::Outside(site),
        other => unreachable!("{other:?}"),
    }
}

impl Story {
    fn begin(plan: &WholePlan) -> Story {
        let mut whole = Whole::build(plan);
        let lab = &mut whole.world.lab;
        lab.journal.clear();
        let rows = Rows::of(&lab.cloud);
        let fabric = Fabric::compile(&lab.cloud, &rows, lab.now);
        let publisher = Publisher::new(fabric);
        let mut memory = Connections::default();
        memory.set_limit(plan.tracked);
        memory.set_now(lab.now);
        let mut story = Story {
            rows,
            reader: publisher.reader(),
            slow_reader: publisher.reader(),
            publisher,
            of_reference: memory.clone(),
            pair: Pair::new(memory.clone(), memory.clone()),
            of_fabric: memory,
            flock: Vec::new(),
            boxes: Middleboxes::default(),
            lately: Vec::new(),
            on_their_way: Vec::new(),
            seen: Seen::default(),
            whole,
        };
        story.set_roles();
        story
    }

    fn set_roles(&mut self) {
        for (interface, role) in &self.whole.roles {
            self.boxes.set_role(*interface, Some(*role));
        }
    }

    fn act(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Send(plan) => {
                let sent = traffic::packets(&self.whole, plan, &self.lately);
                for packet in sent.iter().flat_map(|(_, packets)| packets) {
                    self.send(sent.as_ref().unwrap().0, packet.clone(), plan.late)?;
                }
                if self.flock.len() >= FLOCK {
                    self.batch(&Act::Wait(0))?;
                }
                return Ok(());
            }
            Act::Wait(_) | Act::Tweak(_) | Act::Fit(_) | Act::Remake(_) => self.batch(act)?,
        }
        for flight in std::mem::take(&mut self.on_their_way) {
            self.arrive(&flight)?;
        }
        prop_assert!(self.of_reference == self.of_fabric, "memories are not equal any more");
        Ok(())
    }

    /// Lets what was sent lately leave once more as a batch, changes the world, and lets it arrive.
    fn batch(&mut self, change: &Act) -> Result<(), TestCaseError> {
        let flock = std::mem::take(&mut self.flock);
        let parcels: Vec<_> = flock.iter().map(|(from, packet)| (*from, packet)).collect();
        self.pair.of_fabric = self.of_fabric.clone();
        self.pair.of_reference = self.of_fabric.clone();
        let mut batch = Batch::new();
        let lab = &self.whole.world.lab;
        let reference = Reference::new(&lab.cloud, &self.rows, lab.now);
        self.pair.leave(&mut batch, &parcels, self.reader.fabric(), &reference)?;
        self.change(change)?;
        let lab = &self.whole.world.lab;
        let reference = Reference::new(&lab.cloud, &self.rows, lab.now);
        self.pair.set_now(lab.now);
        self.pair.enter(&mut batch, &parcels, self.reader.fabric(), &reference, |_, _, _, _| {})?;
        self.pair.compare(self.rows.interface_count())
    }

    fn change(&mut self, change: &Act) -> Result<(), TestCaseError> {
        match change {
            Act::Send(_) => {}
            Act::Wait(seconds) => {
                let lab = &mut self.whole.world.lab;
                lab.now = lab.now + Span::from_secs(*seconds);
            }
            Act::Tweak(tweak) => drop(self.whole.world.apply(*tweak)),
            Act::Fit(fitting) => drop(self.whole.fit(*fitting)),
            Act::Remake(remaking) => drop(self.whole.remake(*remaking)),
        }
        // The world is another now, and packets that were on their way arrive in it.
        self.set_roles();
        let lab = &mut self.whole.world.lab;
        self.rows.update(&lab.cloud);
        let changes = std::mem::take(&mut lab.journal);
        self.publisher.publish(&lab.cloud, &self.rows, &changes, lab.now);
        if changes.len().is_multiple_of(2) {
            self.slow_reader.fabric();
        }
        self.of_reference.set_now(lab.now);
        self.of_fabric.set_now(lab.now);
        prop_assert_eq!(oracle::overlapping_peerings(&lab.cloud, lab.now), vec![], "S7");
        Ok(())
    }

    /// A packet from one host to where it ends, also through others that send it on.
    fn send(&mut self, from: InterfaceId, packet: Packet, late: bool) -> Result<(), TestCaseError> {
        let mut queue = vec![(from, packet, RELAYS)];
        while let Some((from, packet, relays)) = queue.pop() {
            for flight in self.leave(from, packet)? {
                if late {
                    self.on_their_way.push(flight);
                    continue;
                }
                let Some(to) = self.arrive(&flight)? else { continue };
                let lab = &self.whole.world.lab;
                let breach =
                    oracle::trespass(&lab.cloud, lab.now, probe(flight.from, &flight.sent), to);
                prop_assert_eq!(breach, None, "{:?} to {}", flight.sent, to);
                match self.boxes.next(&lab.cloud, to, &flight.packet, lab.now) {
                    Next::Received => {
                        self.lately.push((flight.packet, to));
                        if self.lately.len() > LATELY {
                            self.lately.remove(0);
                        }
                    }
                    Next::SentOn(onward) => {
                        self.seen.relayed += 1;
                        if relays > 0 {
                            queue.push((to, onward, relays - 1));
                        }
                    }
                    Next::Dropped(reason) => *self.seen.dropped.entry(reason).or_default() += 1,
                }
            }
        }
        Ok(())
    }

    /// What leaves, in fragments if it must be.
    fn leave(&mut self, id: InterfaceId, packet: Packet) -> Result<Vec<Flight>, TestCaseError> {
        let Some(from) = self.rows.interface(id) else { return Ok(Vec::new()) };
        let (cloud, now) = (&self.whole.world.lab.cloud, self.whole.world.lab.now);
        let reference = Reference::new(cloud, &self.rows, now);
        self.seen.packets += 1;
        let left = reference.leave(from, &packet, &mut self.of_reference);
        let by_fabric = self.reader.fabric().leave(from, &packet, &mut self.of_fabric);
        prop_assert_eq!(left, by_fabric, "{} sends {:?}", id, packet);
        if self.flock.len() < 2 * FLOCK {
            self.flock.push((from, packet.clone()));
        }

        // Of what nobody remembers anything, the oracle knows what becomes.
        let fresh = reference.leave(from, &packet, &mut Connections::default());
        let by_oracle = oracle::leave(cloud, now, probe(id, &packet));
        let in_its_words = fresh.map_err(|drop| drop.reason).map(|crossing| {
            let packet = crossing.mapped(&packet).unwrap();
            (way_of(crossing, &self.rows), packet.source(), packet.destination())
        });
        let its = by_oracle.map(|left| (left.way, left.probe.source, left.probe.destination));
        prop_assert_eq!(in_its_words, its, "oracle: {} sends {:?}", id, packet);
        self.seen.remembered += u64::from(left.is_ok() && fresh.is_err());

        let crossing = match left {
            Ok(crossing) => crossing,
            Err(drop) => {
                self.count(drop);
                return Ok(Vec::new());
            }
        };
        let pieces = if crossing.mtu().holds(packet.len()) {
            vec![packet]
        } else {
            self.seen.cut += 1;
            fragment(&packet, crossing.mtu(), 1).unwrap()
        };
        let own = cloud.interface(id).is_none_or(|i| i.addresses.contains(&pieces[0].source()));
        let flight = |sent: Packet| {
            let packet = crossing.mapped(&sent).unwrap().into_owned();
            Flight { from: id, crossing, sent, packet, own }
        };
        Ok(pieces.into_iter().map(flight).collect())
    }

    fn arrive(&mut self, flight: &Flight) -> Result<Option<InterfaceId>, TestCaseError> {
        let Flight { from, crossing, ref packet, own, .. } = *flight;
        let (cloud, now) = (&self.whole.world.lab.cloud, self.whole.world.lab.now);
        let reference = Reference::new(cloud, &self.rows, now);
        let verdict = reference.enter(crossing, packet, &mut self.of_reference);
        let by_fabric = self.reader.fabric().enter(crossing, packet, &mut self.of_fabric);
        prop_assert_eq!(verdict, by_fabric, "{:?} of {:?}", crossing, packet);

        let fresh = reference.enter(crossing, packet, &mut Connections::default());
        let fresh = fresh.map(|at| self.rows.interface_id(at)).map_err(|drop| drop.reason);
        let left = Left { way: way_of(crossing, &self.rows), probe: probe(from, packet), own };
        prop_assert_eq!(fresh, oracle::enter(cloud, now, left), "{:?} of {:?}", left, packet);
        self.seen.remembered += u64::from(verdict.is_ok() && fresh.is_err());
        match verdict {
            Ok(at) => {
                *self.seen.delivered.entry(way(crossing)).or_default() += 1;
                Ok(Some(self.rows.interface_id(at)))
            }
            Err(drop) => {
                self.count(drop);
                Ok(None)
            }
        }
    }

    fn count(&mut self, drop: Drop) {
        *self.seen.dropped.entry(drop.reason).or_default() += 1;
    }
}

/// S1 to S5, S7, S14, S18, L1, and the order of the checks, as in `twins.rs`, with everything that a
/// VPC has: answers are compared whole, memories too, and what is delivered breaks no rule.
fn look(cases: u32, packets: usize) -> Seen {
    let total = RefCell::new(Seen::default());
    over(cases, &whole_plans(packets), |plan| {
        let mut story = Story::begin(&plan);
        for act in &plan.acts {
            story.act(act)?;
        }
        prop_assert!(story.of_reference == story.of_fabric, "memories are not equal any more");
        story.seen.batched = story.pair.fates.clone();
        total.borrow_mut().add(&story.seen);
        Ok(())
    });
    total.into_inner()
}

/// Every way and every reason that the data plane has must have been seen.
fn assert_lively(seen: &Seen) {
    use DropReason::*;
    let links = [Malformed, LinkLoss, QueueFull];
    let missing = DropReason::ALL.iter().filter(|r| !links.contains(r));
    let was_seen =
        |reason| seen.dropped.contains_key(reason) || seen.batched.dropped.contains_key(reason);
    let missing: Vec<_> = missing.filter(|reason| !was_seen(reason)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
    assert_eq!(seen.delivered.len(), 7, "{:?}", seen.delivered);
    let (relayed, remembered) = (seen.relayed * 100, seen.remembered * 1_000);
    assert!(relayed > seen.packets && remembered > seen.packets, "{seen:?}");
    assert!(seen.cut > 0 && seen.batched.packets() * 2 > seen.packets, "{seen:?}");
}

#[test]
fn twins_and_oracle_agree_on_the_whole_vpc() {
    let seen = look(300, 300);
    seen.print("worlds with everything");
    assert_lively(&seen);
}

#[test]
#[ignore = "a minute; tests/run.sh runs it"]
fn many_worlds_with_everything() {
    let seen = look(6_000, 400);
    seen.print("many worlds with everything");
    assert_lively(&seen);
    assert!(seen.packets >= 1_000_000, "{} packets", seen.packets);
}
