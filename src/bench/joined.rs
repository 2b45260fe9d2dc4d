//! Workers joined by rings: each VPC is in one of them, and what crosses into another is handed over.
//!
//! Holds one measurement, of as many workers as it is asked for, each on a thread of its own. Refuses
//! to give workers networks of their own: that is `topics.rs`'s figure without rings.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::time::Instant;

use super::BenchError;
use super::engine::{Engine, Parcel, RING, memory};
use super::spread::Spread;
use super::timing::Settings;
use crate::forward::fabric::flows::Flows;
use crate::forward::fabric::{Division, Publisher, Shard, crew};

/// Packets of a round and worker: some milliseconds.
const PACKETS: usize = 1 << 18;

/// Millions of packets a second that so many workers forward together, from the first that begins to
/// the last that has taken in what others handed over.
///
/// # Errors
/// If a packet does not arrive.
pub(super) fn rate(
    engine: &Engine,
    parcels: &[Parcel],
    workers: NonZeroUsize,
    settings: Settings,
) -> Result<Spread, BenchError> {
    let publisher = Publisher::new(engine.fabric().clone());
    let division = Division::among(workers);
    let mut homes: Vec<Vec<&Parcel>> = vec![Vec::new(); workers.get()];
    for parcel in parcels {
        homes[division.of(engine.fabric(), parcel.from)].push(parcel);
    }
    let round = |_| {
        let memories = homes.iter().map(|_| memory()).collect();
        let shards = crew(&publisher, memories, RING, std::thread::yield_now);
        let barrier = Barrier::new(workers.get());
        let done = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for (shard, home) in shards.into_iter().zip(&homes) {
                let barrier = &barrier;
                threads.push(scope.spawn(move || forward(shard, home, settings.batch, barrier)));
            }
            let join = |thread: std::thread::ScopedJoinHandle<'_, Done>| thread.join();
            threads.into_iter().map(join).collect::<Result<Vec<Done>, _>>()
        });
        let done = done.map_err(|_| BenchError::Worker)?;
        let sum = |of: fn(&Done) -> u64| done.iter().map(of).sum::<u64>();
        let (sent, met) = (sum(|done| done.sent), sum(|done| done.delivered));
        if sent != met {
            let (what, want) = ("joined workers".to_owned(), "delivered".to_owned());
            return Err(BenchError::WrongFate { what, want, sent, met });
        }
        let (first, last) =
            (done.iter().map(|d| d.began).min(), done.iter().map(|d| d.ended).max());
        let (Some(first), Some(last)) = (first, last) else { return Err(BenchError::Shape) };
        Ok(sent as f64 / last.duration_since(first).as_secs_f64() / 1e6)
    };
    let rates = (0..settings.rounds).map(round).collect::<Result<Vec<f64>, BenchError>>()?;
    Spread::of(rates).ok_or(BenchError::Shape)
}

struct Done {
    began: Instant,
    ended: Instant,
    sent: u64,
    delivered: u64,
}

/// One worker's packets again and again, until it has sent its share.
fn forward<'p>(
    mut shard: Shard<'p, Flows>,
    home: &[&'p Parcel],
    batch: usize,
    barrier: &Barrier,
) -> Done {
    let passes = PACKETS.div_ceil(home.len().max(1));
    barrier.wait();
    let began = Instant::now();
    for _ in 0..passes {
        for parcels in home.chunks(batch.max(1)) {
            for parcel in parcels {
                shard.push(parcel.from, &parcel.packet, 0);
            }
            shard.leave().enter();
            shard.worker().clear();
        }
    }
    let finished = shard.close().finish();
    let ended = Instant::now();
    let sent = (passes * home.len()) as u64;
    Done { began, ended, sent, delivered: finished.worker.delivered() }
}
