//! Several workers beside one: the same packets end alike, by the same memories, also while the
//! network changes under them.
//!
//! Holds the properties and stories; the worlds are those of `support/whole.rs`. Refuses to state
//! what is right: one worker does, who is compared with the reference in `whole.rs`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread::yield_now;

use proptest::prelude::*;
use vpclab::base::id::InterfaceIdx;
use vpclab::base::time::Span;
use vpclab::cloud::filter::Direction;
use vpclab::forward::fabric::{
    Batch, Delivery, Division, Fabric, Fate, Finished, Left, Publisher, Shard, Worker, crew,
};
use vpclab::forward::{Connections, DropReason, Judgement, Rows, Tracking, Word};
use vpclab::wire::Packet;

use crate::support::plan::over;
use crate::support::traffic::{self, Arrived};
use crate::support::whole::{Act, Whole, WholePlan, whole_plans};

type Sent = (InterfaceIdx, Packet);

/// Room for whatever a test sends at once.
const DELIVERIES: usize = 1 << 14;
/// How many packets make a round.
const FLOCK: usize = 100;
/// How many packets that arrived are kept, to be answered.
const LATELY: usize = 32;
/// The crews that are compared.
const CREWS: [usize; 3] = [1, 2, 3];

/// What becomes of packets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Ends {
    /// What each interface got, in its order.
    delivered: BTreeMap<InterfaceIdx, Vec<Delivery>>,
    dropped: BTreeMap<DropReason, u64>,
    bytes: u64,
    /// Names of packets that have to be cut up.
    too_long: Vec<u32>,
}

impl Ends {
    fn add(&mut self, worker: &mut Worker, too_long: impl IntoIterator<Item = u32>) {
        assert_eq!(worker.unread(), 0);
        for delivery in std::iter::from_fn(|| worker.take()) {
            self.delivered.entry(delivery.to).or_default().push(delivery);
        }
        for reason in DropReason::ALL {
            let count = worker.dropped(*reason);
            if count > 0 {
                *self.dropped.entry(*reason).or_default() += count;
            }
        }
        self.bytes += worker.bytes();
        self.too_long.extend(too_long);
        self.too_long.sort_unstable();
    }

    /// How many packets have met their end.
    fn count(&self) -> usize {
        let delivered: usize = self.delivered.values().map(Vec::len).sum();
        delivered + self.dropped_count() + self.too_long.len()
    }

    fn dropped_count(&self) -> usize {
        usize::try_from(self.dropped.values().sum::<u64>()).unwrap()
    }

    /// What came in an order that nobody has promised.
    fn in_any_order(mut self) -> Ends {
        for deliveries in self.delivered.values_mut() {
            deliveries.sort_unstable_by_key(|delivery| delivery.name);
        }
        self
    }
}

/// What all shards of a crew leave behind.
fn together<'p, M>(finished: impl IntoIterator<Item = Finished<'p, M>>) -> (Vec<M>, Ends) {
    let (mut memories, mut ends) = (Vec::new(), Ends::default());
    for mut finished in finished {
        ends.add(&mut finished.worker, finished.too_long.iter().map(|packet| packet.name));
        memories.push(finished.memory);
    }
    (memories, ends)
}

/// Which shard each packet is for.
fn homes(shards: usize, fabric: &Fabric, packets: &[Sent]) -> Vec<usize> {
    let division = Division::among(NonZeroUsize::new(shards).unwrap());
    packets.iter().map(|(from, _)| division.of(fabric, *from)).collect()
}

/// Packets under way by one worker.
struct One<'p> {
    batch: Batch<'p>,
    worker: Worker,
}

impl<'p> One<'p> {
    fn leave(fabric: &Fabric, packets: &'p [Sent], memory: &mut impl Tracking) -> One<'p> {
        let (mut batch, mut worker) = (Batch::new(), Worker::new(DELIVERIES));
        for (name, (from, packet)) in (0..).zip(packets) {
            assert!(batch.push(*from, packet, name));
        }
        fabric.leave_all(&mut batch, memory, &mut worker);
        One { batch, worker }
    }

    fn enter(&mut self, fabric: &Fabric, memory: &mut impl Tracking) -> Ends {
        fabric.enter_all(&mut self.batch, memory, &mut self.worker);
        let mut ends = Ends::default();
        let cut = |at: &usize| self.batch.fate(*at) == Some(Fate::MustBeCut);
        let cut = (0..self.batch.len()).filter(cut).map(|at| u32::try_from(at).unwrap());
        ends.add(&mut self.worker, cut);
        ends
    }
}

/// A world, and what happens in it.
struct Story {
    whole: Whole,
    rows: Rows,
    publisher: Publisher,
    /// What one worker remembers, and each shard of each crew.
    of_one: Connections,
    of_crews: Vec<Vec<Connections>>,
    lately: Vec<Arrived>,
    seen: Seen,
}

/// How much was looked at.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    packets: usize,
    dropped: usize,
    too_long: usize,
    /// Would enter in another shard of two than the one they left.
    handed_over: usize,
}

impl Seen {
    fn count(&mut self, ends: &Ends) {
        self.packets += ends.count();
        self.dropped += ends.dropped_count();
        self.too_long += ends.too_long.len();
    }

    fn add(self, other: Seen) -> Seen {
        Seen {
            packets: self.packets + other.packets,
            dropped: self.dropped + other.dropped,
            too_long: self.too_long + other.too_long,
            handed_over: self.handed_over + other.handed_over,
        }
    }
}

impl Story {
    fn begin(plan: &WholePlan) -> Story {
        let mut whole = Whole::build(plan);
        let lab = &mut whole.world.lab;
        lab.journal.clear();
        let rows = Rows::of(&lab.cloud);
        let publisher = Publisher::new(Fabric::compile(&lab.cloud, &rows, lab.now));
        let mut memory = Connections::default();
        memory.set_limit(plan.tracked);
        memory.set_now(lab.now);
        let of_crews = CREWS.iter().map(|count| vec![memory.clone(); *count]).collect();
        Story {
            whole,
            rows,
            publisher,
            of_one: memory,
            of_crews,
            lately: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Sends what the plan says, a flock at a time, by `round`.
    fn tell(
        plan: &WholePlan,
        round: impl Fn(&mut Story, &[Sent], &Act) -> Result<(), TestCaseError>,
    ) -> Result<Seen, TestCaseError> {
        let (mut story, mut flock) = (Story::begin(plan), Vec::new());
        for act in &plan.acts {
            if let Act::Send(plan) = act {
                let Some((from, packets)) = traffic::packets(&story.whole, plan, &story.lately)
                else {
                    continue;
                };
                if let Some(from) = story.rows.interface(from) {
                    flock.extend(packets.into_iter().map(|packet| (from, packet)));
                }
                if flock.len() < FLOCK {
                    continue;
                }
            }
            round(&mut story, &flock, act)?;
            flock.clear();
        }
        round(&mut story, &flock, &Act::Wait(0))?;
        Ok(story.seen)
    }

    fn note(&mut self, fabric: &Fabric, one: &One<'_>, packets: &[Sent]) {
        let two = Division::among(NonZeroUsize::new(2).unwrap());
        for (at, (from, _)) in packets.iter().enumerate() {
            let crossing =
                one.batch.crossing(at).filter(|_| one.batch.fate(at) == Some(Fate::Left));
            let handed = crossing.is_some_and(|crossing| {
                two.of_realm(crossing.into_realm()) != two.of(fabric, *from)
            });
            self.seen.handed_over += usize::from(handed);
        }
    }

    fn change(&mut self, change: &Act) {
        match change {
            Act::Send(_) => return,
            Act::Wait(seconds) => {
                let lab = &mut self.whole.world.lab;
                lab.now = lab.now + Span::from_secs(*seconds);
            }
            Act::Tweak(tweak) => drop(self.whole.world.apply(*tweak)),
            Act::Fit(fitting) => drop(self.whole.fit(*fitting)),
            Act::Remake(remaking) => drop(self.whole.remake(*remaking)),
        }
        let lab = &mut self.whole.world.lab;
        self.rows.update(&lab.cloud);
        let changes = std::mem::take(&mut lab.journal);
        self.publisher.publish(&lab.cloud, &self.rows, &changes, lab.now);
    }

    /// In rounds: what becomes of packets, and what is remembered, is what it is with one worker,
    /// also if the network changes while they are under way.
    fn in_rounds(&mut self, flock: &[Sent], change: &Act) -> Result<(), TestCaseError> {
        for memory in self.of_crews.iter_mut().flatten().chain([&mut self.of_one]) {
            memory.set_now(self.whole.world.lab.now);
        }
        let mut reader = self.publisher.reader();
        let fabric = reader.fabric();
        let mut one = One::leave(fabric, flock, &mut self.of_one);
        let mut crews: Vec<Vec<Shard<'_, _>>> = self
            .of_crews
            .iter_mut()
            .map(|memories| crew(&self.publisher, std::mem::take(memories), DELIVERIES, yield_now))
            .collect();
        for shards in &mut crews {
            let homes = homes(shards.len(), fabric, flock);
            for ((name, (from, packet)), home) in (0..).zip(flock).zip(homes) {
                prop_assert!(shards[home].push(*from, packet, name));
            }
        }
        self.note(fabric, &one, flock);
        let left: Vec<Left<'_, '_, _>> = crews.iter_mut().flatten().map(Shard::leave).collect();
        self.change(change);
        let want = one.enter(reader.fabric(), &mut self.of_one);
        prop_assert_eq!(want.count(), flock.len());
        self.seen.count(&want);
        for left in left {
            left.enter_in_order();
        }
        for (shards, of_crew) in crews.into_iter().zip(&mut self.of_crews) {
            let closed: Vec<_> = shards.into_iter().map(Shard::close).collect();
            let (memories, ends) = together(closed.into_iter().map(|shard| shard.finish()));
            prop_assert_eq!(&ends, &want, "{} shards", memories.len());
            let mut all = memories[0].clone();
            memories[1..].iter().for_each(|memory| all.absorb(memory.clone()));
            prop_assert!(all == self.of_one, "{} shards remember otherwise", memories.len());
            *of_crew = memories;
        }
        for delivery in want.delivered.values().flatten() {
            let packet = one.batch.packet(usize::try_from(delivery.name).unwrap()).unwrap();
            self.lately.push((packet.clone(), self.rows.interface_id(delivery.to)));
        }
        let old = self.lately.len().saturating_sub(LATELY);
        self.lately.drain(..old);
        Ok(())
    }

    /// Each shard by itself, on a thread of its own, in a world that remembers nothing: as many
    /// packets are delivered to each interface, and dropped for each reason, as with one worker.
    fn on_threads(&mut self, flock: &[Sent], change: &Act) -> Result<(), TestCaseError> {
        let mut reader = self.publisher.reader();
        let mut one = One::leave(reader.fabric(), flock, &mut Rules);
        self.note(reader.fabric(), &one, flock);
        let want = one.enter(reader.fabric(), &mut Rules);
        self.seen.count(&want);
        for count in CREWS {
            let homes = homes(count, reader.fabric(), flock);
            let shards = crew(&self.publisher, vec![Rules; count], DELIVERIES, yield_now);
            let finished: Vec<Finished<'_, Rules>> = std::thread::scope(|scope| {
                let start = |(home, shard)| {
                    let named = (0_u32..).zip(flock).zip(&homes);
                    let of_home = named.filter(|(_, at)| **at == home).map(|(named, _)| named);
                    let packets: Vec<(u32, &Sent)> = of_home.collect();
                    scope.spawn(move || forward(shard, packets))
                };
                let threads: Vec<_> = shards.into_iter().enumerate().map(start).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let (_, ends) = together(finished);
            prop_assert_eq!(ends.in_any_order(), want.clone().in_any_order(), "{} shards", count);
        }
        self.change(change);
        Ok(())
    }
}

/// Forwards by itself, in batches of several sizes.
fn forward<'p>(mut shard: Shard<'p, Rules>, packets: Vec<(u32, &'p Sent)>) -> Finished<'p, Rules> {
    for (name, (from, packet)) in packets {
        assert!(shard.push(*from, packet, name));
        if name % 7 == 0 {
            shard.leave().enter();
        }
    }
    shard.close().finish()
}

/// Remembers nothing: what groups say is all there is.
#[derive(Clone, Copy, Debug)]
struct Rules;

impl Tracking for Rules {
    fn judge(
        &mut self,
        _: InterfaceIdx,
        _: Direction,
        _: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        match rules() {
            Word::Refused => Judgement::Refused,
            Word::Untracked | Word::Tracked => Judgement::ByRule,
        }
    }
}

fn look(
    cases: u32,
    round: impl Fn(&mut Story, &[Sent], &Act) -> Result<(), TestCaseError>,
) -> Seen {
    let total = Cell::new(Seen::default());
    over(cases, &whole_plans(300), |plan| {
        total.set(total.get().add(Story::tell(&plan, &round)?));
        Ok(())
    });
    total.into_inner()
}

fn assert_lively(seen: Seen) {
    println!("{seen:?}");
    let Seen { packets, dropped, too_long, handed_over } = seen;
    assert!(packets > 10_000 && too_long * 1_000 > packets, "{seen:?}");
    assert!(dropped * 10 > packets && handed_over * 100 > packets, "{seen:?}");
}

#[test]
fn in_rounds_a_crew_is_one_worker() {
    assert_lively(look(600, Story::in_rounds));
}

#[test]
fn on_threads_a_crew_ends_every_packet_as_one_worker_does() {
    assert_lively(look(200, Story::on_threads));
}
