//! Ten million packets in batches: the fabric and the reference agree on each, in random worlds with
//! everything a VPC has that change between batches and in the middle of them.
//!
//! Holds the property; worlds and changes are those of `support/whole.rs` and `support/remake.rs`. The
//! reference itself is believed because `whole.rs` compares it with the oracle, packet by packet.
//! Refuses to build packets for each batch: a pool of them is sent again and again, so that what
//! connections and workers remember is warm.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestError, TestRng, TestRunner};
use vpclab::base::id::InterfaceIdx;
use vpclab::base::rng::{Seed, Stream};
use vpclab::base::time::{Instant, Span};
use vpclab::forward::fabric::flows::Flows;
use vpclab::forward::fabric::{BATCH, Batch, Fabric, Publisher, Reader};
use vpclab::forward::gate::Via;
use vpclab::forward::{Connections, Crossing, DropReason, Reference, Rows};
use vpclab::wire::Packet;

use crate::support::batched::{Fates, Memory, Pair, Parcel};
use crate::support::traffic::{self, Arrived, SendPlan, send};
use crate::support::whole::{Act, Whole, WholePlan, change, whole_plans};

/// A world, and what happens in it.
#[derive(Clone, Debug)]
struct Plan {
    whole: WholePlan,
    /// Chooses what is sent, and when changes come.
    seed: u64,
    chapters: Vec<Chapter>,
}

/// Packets to choose from, and what changes while they are sent.
#[derive(Clone, Debug)]
struct Chapter {
    pool: Vec<SendPlan>,
    changes: Vec<Act>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let chapter = (vec(send(), 20..120), vec(change(), 1..12))
        .prop_map(|(pool, changes)| Chapter { pool, changes });
    (whole_plans(2), any::<u64>(), vec(chapter, 1..12)).prop_map(|(whole, seed, chapters)| Plan {
        whole,
        seed,
        chapters,
    })
}

/// A memory of the fabric that begins as this one of the reference does.
trait Begins: Memory + Sized {
    fn begin(seed: Seed, limit: usize, now: Instant) -> Self;
}

impl Begins for Connections {
    fn begin(_: Seed, limit: usize, now: Instant) -> Connections {
        let mut memory = Connections::default();
        memory.set_limit(limit);
        memory.set_now(now);
        memory
    }
}

impl Begins for Flows {
    fn begin(seed: Seed, limit: usize, now: Instant) -> Flows {
        let mut memory = Flows::new(seed);
        memory.set_limit(limit);
        memory.set_now(now);
        memory
    }
}

/// A story under way.
struct Story<M> {
    whole: Whole,
    rows: Rows,
    publisher: Publisher,
    reader: Reader,
    /// Does not look for a new version all the time, so that both copies are in use.
    slow_reader: Reader,
    pair: Pair<M>,
    chance: Stream,
    /// Packets that arrived, to be answered.
    lately: Vec<Arrived>,
    /// Where in the pool those are that arrived from afar: they are sent more often than others.
    liked: Vec<usize>,
}

/// How many packets that arrived are kept.
const LATELY: usize = 64;
/// How many packets from afar are liked.
const LIKED: usize = 16;

impl<M: Begins> Story<M> {
    fn begin(plan: &WholePlan, seed: Seed) -> Story<M> {
        let mut whole = Whole::build(plan);
        let lab = &mut whole.world.lab;
        lab.journal.clear();
        let rows = Rows::of(&lab.cloud);
        let publisher = Publisher::new(Fabric::compile(&lab.cloud, &rows, lab.now));
        let of_fabric = M::begin(seed, plan.tracked, lab.now);
        let of_reference = Connections::begin(seed, plan.tracked, lab.now);
        Story {
            rows,
            reader: publisher.reader(),
            slow_reader: publisher.reader(),
            publisher,
            pair: Pair::new(of_fabric, of_reference),
            chance: seed.stream("batches"),
            lately: Vec::new(),
            liked: Vec::new(),
            whole,
        }
    }

    fn chapter(&mut self, chapter: &Chapter) -> Result<(), TestCaseError> {
        let mut pool: Vec<(InterfaceIdx, Packet)> = Vec::new();
        for plan in &chapter.pool {
            let Some((from, packets)) = traffic::packets(&self.whole, plan, &self.lately) else {
                continue;
            };
            let Some(from) = self.rows.interface(from) else { continue };
            pool.extend(packets.into_iter().map(|packet| (from, packet)));
        }
        if pool.is_empty() {
            return Ok(());
        }
        self.liked.clear();
        let mut batch = Batch::new();
        for change in &chapter.changes {
            for _ in 0..1 + self.chance.below(3) {
                self.send(&mut batch, &pool, None)?;
            }
            // In the middle of a batch, or between two of them.
            if self.chance.below(2) == 0 {
                self.send(&mut batch, &pool, Some(change))?;
            } else {
                self.change(change);
            }
        }
        self.send(&mut batch, &pool, None)?;
        self.pair.compare(self.rows.interface_count())
    }

    /// Sends a batch of packets of the pool; the world changes when they have left.
    fn send<'p>(
        &mut self,
        batch: &mut Batch<'p>,
        pool: &'p [(InterfaceIdx, Packet)],
        change: Option<&Act>,
    ) -> Result<(), TestCaseError> {
        let count = 1 + self.chance.below(BATCH as u64);
        // From all of the pool, or from a small part of it.
        let most = if count.is_multiple_of(2) { pool.len() } else { pool.len().min(8) };
        let first = self.draw(pool.len());
        let chosen: Vec<usize> = (0..count)
            .map(|_| match self.draw(2 * self.liked.len()) {
                n if n < self.liked.len() => self.liked[n],
                _ => (first + self.draw(most)) % pool.len(),
            })
            .collect();
        let parcels: Vec<Parcel<'p>> =
            chosen.iter().map(|at| (pool[*at].0, &pool[*at].1)).collect();
        let lab = &self.whole.world.lab;
        let reference = Reference::new(&lab.cloud, &self.rows, lab.now);
        self.pair.leave(batch, &parcels, self.reader.fabric(), &reference)?;
        if let Some(change) = change {
            self.change(change);
        }
        let lab = &self.whole.world.lab;
        let reference = Reference::new(&lab.cloud, &self.rows, lab.now);
        let (kept, rows) = (self.chance.below(count), &self.rows);
        let (lately, liked) = (&mut self.lately, &mut self.liked);
        let keep = |at: usize, crossing: Crossing, packet: &Packet, to| {
            let is_far = !matches!(crossing.via(), Via::Subnet | Via::Interface(_));
            if is_far && !liked.contains(&chosen[at]) {
                liked.truncate(LIKED - 1);
                liked.insert(0, chosen[at]);
            }
            if at as u64 % 64 == kept % 64 {
                lately.truncate(LATELY - 1);
                lately.insert(0, (packet.clone(), rows.interface_id(to)));
            }
        };
        self.pair.enter(batch, &parcels, self.reader.fabric(), &reference, keep)
    }

    /// A number below this one.
    fn draw(&mut self, below: usize) -> usize {
        usize::try_from(self.chance.below(below as u64)).unwrap()
    }

    fn change(&mut self, change: &Act) {
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
        let lab = &mut self.whole.world.lab;
        let changes = std::mem::take(&mut lab.journal);
        self.rows.follow(&changes);
        self.publisher.publish(&lab.cloud, &self.rows, &changes, lab.now);
        if self.chance.below(2) == 0 {
            self.slow_reader.fabric();
        }
        self.pair.set_now(self.whole.world.lab.now);
    }
}

/// Tells the story of a plan.
fn tell<M: Begins>(plan: &Plan) -> Result<Fates, TestCaseError> {
    let mut story: Story<M> = Story::begin(&plan.whole, Seed(plan.seed));
    for chapter in &plan.chapters {
        story.chapter(chapter)?;
    }
    Ok(story.pair.fates)
}

/// Stories of so many seeds, on all processors. What is told is a function of the seed; a failure says
/// what it was, and in the smallest world that was found.
fn tell_all<M: Begins>(seeds: u64) -> Fates {
    let (next, total) = (AtomicU64::new(0), Mutex::new(Fates::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&seed.to_le_bytes());
            let config = ProptestConfig {
                cases: 1,
                failure_persistence: None,
                max_shrink_iters: 2_000,
                ..ProptestConfig::default()
            };
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
            // How many packets all threads had sent when it failed for the first time.
            let failed = Cell::new(None);
            let told = TestRunner::new_with_rng(config, rng).run(&plans(), |plan| {
                let (told, mut total) = (tell::<M>(&plan), total.lock().unwrap());
                match &told {
                    Ok(fates) if failed.get().is_none() => total.add(fates),
                    Ok(_) => {}
                    Err(_) => failed.set(failed.get().or(Some(total.packets()))),
                }
                told.map(|_| ())
            });
            match told {
                Ok(()) => {}
                Err(TestError::Fail(why, plan)) => {
                    let sent = failed.get().unwrap_or_default();
                    // The others need not look further.
                    next.store(seeds, Ordering::Relaxed);
                    panic!("seed {seed}, after {sent} packets: {why}\nin the world of {plan:?}");
                }
                Err(TestError::Abort(why)) => panic!("{why}"),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // The panic of a worker is the message; that it panicked, what scope would say.
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    total.into_inner().unwrap()
}

fn print(fates: &Fates, name: &str) {
    println!("{name}: {} packets, {} to be cut up", fates.packets(), fates.to_be_cut);
    for (way, count) in &fates.delivered {
        println!("    delivered {way:<14} {count}");
    }
    for (reason, count) in &fates.dropped {
        println!("    {reason:<24} {count}");
    }
}

/// Every way and every reason must have been seen, but for those of links and middleboxes.
fn assert_lively(fates: &Fates) {
    use DropReason::*;
    let of_others = [Malformed, LinkLoss, QueueFull, HopLimit, NoTranslation];
    let missing = DropReason::ALL.iter().filter(|r| !of_others.contains(r));
    let missing: Vec<_> = missing.filter(|reason| !fates.dropped.contains_key(reason)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
    assert_eq!(fates.delivered.len(), 7, "{:?}", fates.delivered);
    let delivered: u64 = fates.delivered.values().sum();
    assert!(delivered * 5 > fates.packets() && fates.to_be_cut > 0, "{fates:?}");
}

/// With the same memory on both sides, which is compared whole.
#[test]
fn batches_agree_with_the_reference_and_remember_the_same() {
    let fates = tell_all::<Connections>(300);
    print(&fates, "batches, one kind of memory");
    assert!(fates.packets() >= 100_000, "{} packets", fates.packets());
}

/// With the fabric's own memory: what is remembered is compared by how many connections each interface
/// has, and by every verdict.
#[test]
fn batches_agree_with_the_reference() {
    let fates = tell_all::<Flows>(100);
    print(&fates, "batches");
    assert_lively(&fates);
}

/// Verdicts equal the reference twin's, bit for bit, on random worlds with everything on.
///
/// Faults that were planted one at a time, and after how many packets the first verdict or count that
/// differed was seen, here or (*) by `batches_agree_with_the_reference_and_remember_the_same`:
///
/// | fault | packets |
/// |---|---|
/// | the cache of passages keeps what another version found | 4,000 |
/// | it takes one table's passages for another's | 4,000 |
/// | a passed ACL counts in a later version too | 0.9 to 7.7 million |
/// | the ACL is asked before the subnet | 36,000 |
/// | `enter` does not look whether the peering is still open | 4,000 |
/// | deliveries that need no judgement overtake others | 26,000 |
/// | a packet for a mapped address enters under its old one | 1.4 million |
/// | what is untracked is remembered | 4,000 |
/// | a reset does not end its connection | 8,000 |
/// | what is remembered is not looked at where groups are open, at the sender, at the receiver | 170,000 (*) |
/// | rules that name a group hold for relayed packets | 1.8 million |
/// | the second copy misses the changes of the first | 4,000 |
/// | a deadline of a peering goes by | 0.9 million |
/// | who leaves, joins or is first named as member of a group | 0.3, 0.1, 1 million |
/// | rows keep their filter, that groups or an ACL are open | 3,000, 0.3, 0.3 million |
/// | tables, peerings of a VPC with another block | 0.6, 4.6 million |
/// | tables of a VPC whose gateway came or went; the gateway itself | 0.6 million, 3,000 |
/// | rows of a subnet, of those on another main table | 0.2, 1.5 million (*) |
/// | a private address whose public one is gone | 4.5 to 8.4 million |
/// | a host outside that is gone; a prefix list; entries of an ACL | 0.6, 0.3 million, 4,000 |
/// | groups of a peer that went; packets that fall through | 5.1, 0.4 million |
/// | a search in the directory that ends where somebody was | 3,000 |
#[test]
#[ignore = "half a minute on two cores; tests/run.sh runs it"]
fn ten_million_packets_in_batches() {
    let fates = tell_all::<Flows>(2_000);
    print(&fates, "ten million packets in batches");
    assert_lively(&fates);
    assert!(fates.packets() >= 10_000_000, "{} packets", fates.packets());
}
