//! Forwarding while the network changes.
//!
//! Holds one worker that forwards and one thread that changes a route a thousand times a second: what
//! the worker loses by it, and what a change costs whoever makes it. The changed route leads to a
//! part of the second VPC, over the same peering as without it, so that a packet that is lost is
//! lost to the change; and then there are no figures. Refuses to decide what changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::BenchError;
use super::engine::{Engine, Live, Worker};
use super::report::{Row, Unit};
use super::spread::{Spread, quantile};
use super::timing::{Case, Settings, nanos};
use super::world::World;
use crate::cloud::Cloud;
use crate::cloud::event::Change;

/// Time between two changes.
const GAP: Duration = Duration::from_millis(1);
/// The least that a round takes, so that there are changes in it.
const ROUND_MIN: Duration = Duration::from_millis(50);

/// A network without and with one route more, and what makes one of the other.
#[derive(Debug)]
pub(super) struct Toggle {
    states: [(Cloud, Vec<Change>); 2],
}

impl Toggle {
    /// Of the first VPC's table. The world is as it was afterwards.
    pub(super) fn of(world: &mut World) -> Result<Toggle, BenchError> {
        let added = world.change_route(true)?;
        let with = world.cloud.clone();
        let taken = world.change_route(false)?;
        Ok(Toggle { states: [(with, added), (world.cloud.clone(), taken)] })
    }

    /// What the `n`-th change makes, from 0; an even number of them makes nothing.
    pub(super) fn state(&self, n: usize) -> (&Cloud, &[Change]) {
        let (cloud, changes) = &self.states[n % 2];
        (cloud, changes)
    }
}

/// What one round has found: million packets a second, changes a second, microseconds of each.
struct Round {
    still: f64,
    moved: f64,
    a_second: f64,
    times: Vec<f64>,
}

/// Throughput undisturbed and under changes, their ratio, and the cost of a change.
pub(super) fn rows<'a>(
    world: &World,
    toggle: &Toggle,
    case: &Case<'a>,
    settings: Settings,
) -> Result<Vec<Row>, BenchError> {
    let mut live = Live::new(Engine::compile(&world.cloud, &world.rows));
    let mut follower = live.follower();
    let mut worker = Worker::new();
    let span = ROUND_MIN.max(settings.sample * 4);
    // Packets a second, in millions.
    let mut forward = |worker: &mut Worker<'a>| {
        let (began, mut packets) = (Instant::now(), 0);
        while began.elapsed() < span {
            for batch in case.parcels.chunks(settings.batch.max(1)) {
                worker.forward_live(&mut follower, batch);
            }
            packets += case.parcels.len();
        }
        packets as f64 / began.elapsed().as_secs_f64() / 1e6
    };
    forward(&mut worker);
    let mut rounds = Vec::with_capacity(settings.rounds);
    for _ in 0..settings.rounds {
        let still = forward(&mut worker);
        let over = AtomicBool::new(false);
        let (moved, (times, took)) = std::thread::scope(|scope| {
            let changer = scope.spawn(|| changes(world, toggle, &mut live, &over));
            let moved = forward(&mut worker);
            over.store(true, Ordering::Relaxed);
            changer.join().map(|times| (moved, times)).map_err(|_| BenchError::Worker)
        })?;
        let a_second = times.len() as f64 / took.as_secs_f64();
        rounds.push(Round { still, moved, a_second, times });
    }
    case.check(&worker)?;
    let row = |case: &str, unit, value: fn(&Round) -> f64| {
        let value = Spread::of(rounds.iter().map(value))?;
        Some(Row { case: case.to_owned(), at: None, value, unit, floor: None, of_floor: None })
    };
    let rows = [
        row("forwarding, nothing changes", Unit::Mpps, |round| round.still),
        row("forwarding, changes beside it", Unit::Mpps, |round| round.moved),
        row("the second over the first", Unit::Times, |round| round.moved / round.still),
        row("changes made", Unit::ASecond, |round| round.a_second),
        row("making one, 50 %", Unit::Micros, |round| quantile(&round.times, 500)),
        row("making one, 99 %", Unit::Micros, |round| quantile(&round.times, 990)),
    ];
    rows.into_iter().collect::<Option<Vec<Row>>>().ok_or(BenchError::Shape)
}

/// Changes the network a thousand times a second until it is over: how long each took, in
/// microseconds, sorted, and how long all of it took. There is an even number of changes.
fn changes(
    world: &World,
    toggle: &Toggle,
    live: &mut Live,
    over: &AtomicBool,
) -> (Vec<f64>, Duration) {
    let began = Instant::now();
    let (mut due, mut took) = (Duration::ZERO, Vec::new());
    while !over.load(Ordering::Relaxed) || took.len() % 2 == 1 {
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let (cloud, changes) = toggle.state(took.len());
        took.push(nanos(|| live.publish(cloud, &world.rows, changes)) / 1e3);
        due += GAP;
    }
    let all = began.elapsed().max(due);
    took.sort_unstable_by(f64::total_cmp);
    (took, all)
}

/// Microseconds for one route more or less, once the cloud has it and nobody forwards: the medians
/// of the rounds.
pub(super) fn quiet(
    world: &World,
    toggle: &Toggle,
    engine: &mut Engine,
    rounds: usize,
) -> Result<Spread, BenchError> {
    /// Changes of a round, an even number.
    const CHANGES: usize = 64;
    let median = |_| {
        let mut took: Vec<f64> = (0..CHANGES)
            .map(|n| {
                let (cloud, changes) = toggle.state(n);
                nanos(|| engine.follow(cloud, &world.rows, changes)) / 1e3
            })
            .collect();
        took.sort_unstable_by(f64::total_cmp);
        quantile(&took, 500)
    };
    Spread::of((0..rounds.max(1)).map(median)).ok_or(BenchError::Shape)
}
