//! How long a batch takes from its being handed over to its last packet's end.
//!
//! Holds the distribution over many batches, which shows what a median hides: misses of the cache,
//! the growth of a table, the system taking the core away. The clock itself is in every sample.

use super::BenchError;
use super::engine::Worker;
use super::report::{Row, Unit};
use super::spread::{Spread, quantile};
use super::timing::{Case, Settings, nanos};

/// Parts of a thousand that are reported; the last is the slowest batch of all.
const QUANTILES: [(usize, &str); 5] =
    [(500, "50 %"), (900, "90 %"), (990, "99 %"), (999, "99.9 %"), (1_000, "slowest")];

/// One row for each quantile: its median and ends over the rounds.
pub(super) fn rows(case: &Case<'_>, settings: Settings) -> Result<Vec<Row>, BenchError> {
    let mut worker = Worker::new();
    case.pass(&mut worker, settings.batch);
    let mut rounds = Vec::with_capacity(settings.rounds);
    for _ in 0..settings.rounds {
        rounds.push(sorted_times(case, &mut worker, settings));
    }
    case.check(&worker)?;
    let rows = QUANTILES.map(|(part, name)| {
        let value = rounds.iter().map(|times| quantile(times, part));
        Some(Row {
            case: format!("batch of {}, {name}", settings.batch),
            at: None,
            value: Spread::of(value)?,
            unit: Unit::NsPerBatch,
            floor: None,
            of_floor: None,
        })
    });
    rows.into_iter().collect::<Option<Vec<Row>>>().ok_or(BenchError::Shape)
}

fn sorted_times<'a>(case: &Case<'a>, worker: &mut Worker<'a>, settings: Settings) -> Vec<f64> {
    let mut times = Vec::new();
    let mut spent = 0.0;
    while spent < settings.sample.as_nanos() as f64 {
        for batch in case.parcels.chunks_exact(settings.batch.clamp(1, case.parcels.len())) {
            let took = nanos(|| worker.forward(case.engine, batch));
            spent += took;
            times.push(took);
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    times
}
