//! The measuring loops, which read the host's clock.
//!
//! Holds how a figure is taken: a warm-up, then rounds in which floor and forwarder take turns, so
//! that a slow moment of the machine meets both. Refuses to know what is measured.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::BenchError;
use super::engine::{Engine, Fate, Parcel, Worker};
use super::floor::{Floor, Kind};
use super::report::{Row, Unit};
use super::spread::Spread;

/// How long and how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Rounds of each figure, at least 1.
    pub rounds: usize,
    /// About how long one round of a figure takes.
    pub sample: Duration,
    /// Packets that are forwarded at once, 1..=256.
    pub batch: usize,
}

impl Default for Settings {
    /// 7 rounds of 12 ms, batches of 64.
    fn default() -> Settings {
        Settings { rounds: 7, sample: Duration::from_millis(12), batch: 64 }
    }
}

/// Whether packets are taken as they are or verified first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// Their headers have been verified.
    Admitted,
    /// Headers and checksums are verified within the time measured.
    Bytes,
}

/// A case: packets for an engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    pub(super) engine: &'a Engine,
    pub(super) parcels: &'a [Parcel],
    pub(super) entry: Entry,
    /// What it is compared with.
    pub(super) floor: Kind,
    /// What every packet is to meet; `None` if fates differ.
    pub(super) want: Option<Fate>,
}

impl<'a> Case<'a> {
    pub(super) fn pass(&self, worker: &mut Worker<'a>, batch: usize) {
        match self.entry {
            Entry::Admitted => {
                for batch in self.parcels.chunks(batch.max(1)) {
                    worker.forward(self.engine, batch);
                }
            }
            Entry::Bytes => worker.admit_and_forward(self.engine, self.parcels),
        }
        std::hint::black_box(worker);
    }

    /// Has every packet met its fate?
    pub(super) fn check(&self, worker: &Worker<'_>) -> Result<(), BenchError> {
        let Some(want) = self.want else { return Ok(()) };
        let fates = worker.fates();
        let sent = worker.sent();
        let met = fates.iter().find(|(fate, _)| *fate == want).map_or(0, |(_, count)| *count);
        if met == sent {
            return Ok(());
        }
        let want = match want {
            Fate::Delivered => "delivered".to_owned(),
            Fate::Dropped(reason) => format!("dropped: {}", reason.label()),
        };
        Err(BenchError::WrongFate { what: self.name.to_owned(), want, sent, met })
    }

    /// One worker on one core.
    pub(super) fn row(&self, settings: Settings) -> Result<Row, BenchError> {
        let length = self.parcels.first().map_or(64, |parcel| parcel.packet.len());
        let mut floor = Floor::new(self.floor, self.parcels.len().max(1), length);
        let mut worker = Worker::new();
        let mut pass = || self.pass(&mut worker, settings.batch);
        let taken = alternate(settings, self.parcels.len(), &mut pass, &mut || floor.pass());
        self.check(&worker)?;
        taken.map(|taken| taken.row(self.name)).ok_or(BenchError::Shape)
    }

    /// As many workers as there are cases, all at once, each with a memory and counters of its own.
    pub(super) fn together(cases: &[Case<'a>], settings: Settings) -> Result<Spread, BenchError> {
        let barrier = Barrier::new(cases.len());
        let one = |case: &Case<'a>| -> Result<Vec<f64>, BenchError> {
            let mut worker = Worker::new();
            let mut pass = || case.pass(&mut worker, settings.batch);
            let passes = passes_for(settings.sample, &mut pass);
            let mut rates = Vec::with_capacity(settings.rounds);
            for _ in 0..settings.rounds {
                barrier.wait();
                let packets = (passes * case.parcels.len()) as f64;
                rates.push(packets * 1e3 / nanos(|| (0..passes).for_each(|_| pass())));
            }
            case.check(&worker)?;
            Ok(rates)
        };
        let rates = std::thread::scope(|scope| {
            let threads: Vec<_> = cases.iter().map(|case| scope.spawn(move || one(case))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().map_err(|_| BenchError::Worker)?
            };
            threads.into_iter().map(join).collect::<Result<Vec<Vec<f64>>, BenchError>>()
        })?;
        let total = |round: usize| rates.iter().filter_map(|rates| rates.get(round)).sum();
        Spread::of((0..settings.rounds).map(total)).ok_or(BenchError::Shape)
    }
}

/// Times of both, in nanoseconds a packet.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    value: Spread,
    floor: Spread,
    of_floor: f64,
}

impl Taken {
    pub(super) fn row(self, name: &str) -> Row {
        Row {
            case: name.to_owned(),
            at: None,
            value: self.value,
            unit: Unit::NsPerPacket,
            floor: Some(self.floor),
            of_floor: Some(self.of_floor),
        }
    }
}

/// Takes turns; `None` without rounds or packets. Each call of either handles all `packets`.
fn alternate(
    settings: Settings,
    packets: usize,
    pass: &mut impl FnMut(),
    floor: &mut impl FnMut(),
) -> Option<Taken> {
    let of_floor = passes_for(settings.sample / 4, floor);
    let of_pass = passes_for(settings.sample, pass);
    let each = |passes: usize, work: &mut dyn FnMut()| {
        nanos(|| (0..passes).for_each(|_| work())) / (passes * packets) as f64
    };
    let rounds: Vec<(f64, f64)> =
        (0..settings.rounds).map(|_| (each(of_floor, floor), each(of_pass, pass))).collect();
    Some(Taken {
        value: Spread::of(rounds.iter().map(|(_, value)| *value))?,
        floor: Spread::of(rounds.iter().map(|(floor, _)| *floor))?,
        of_floor: Spread::of(rounds.iter().map(|(floor, value)| floor / value))?.median,
    })
}

/// How often `work` is to be done for it to take about this long. It has been done twice then, which
/// has filled caches and tables of connections.
fn passes_for(sample: Duration, work: &mut impl FnMut()) -> usize {
    work();
    let took = nanos(&mut *work).max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; small")]
    let passes = (sample.as_nanos() as f64 / took) as usize;
    passes.clamp(1, 1_000_000)
}

/// Nanoseconds that `work` takes.
pub(super) fn nanos(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() as f64
}
