//! The highest rate at which nothing is lost between a sender and the forwarder.
//!
//! Holds a queue of bounded length between two threads and the search for that rate, after the
//! procedure of RFC 2544, 26.1. What it is not: there is no wire and no network card, a trial lasts
//! milliseconds in place of sixty seconds, and the system may take either core away, which counts as
//! loss. A trial is repeated once before its loss is believed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::BenchError;
use super::engine::Worker;
use super::report::{Row, Unit};
use super::spread::Spread;
use super::timing::{Case, Settings};

/// Packets that the queue holds.
const DEPTH: usize = 4_096;
/// Packets that the sender hands over at once.
const BURST: u64 = 32;
/// How long one trial lasts.
const TRIAL: Duration = Duration::from_millis(8);
/// Halvings of the span that the rate is looked for in: to about a part in a hundred.
const STEPS: usize = 7;

/// A queue of packet numbers with one writer and one reader. Each keeps its own end.
struct Queue {
    slots: Box<[AtomicU64]>,
    written: AtomicU64,
    read: AtomicU64,
}

impl Queue {
    fn new() -> Queue {
        let slots = (0..DEPTH).map(|_| AtomicU64::new(0)).collect();
        Queue { slots, written: AtomicU64::new(0), read: AtomicU64::new(0) }
    }

    fn slot(&self, at: u64) -> &AtomicU64 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below the length of a slice")]
        &self.slots[(at % DEPTH as u64) as usize]
    }

    /// Puts numbers in; how many had no room.
    fn put(&self, first: u64, count: u64) -> u64 {
        let written = self.written.load(Ordering::Relaxed);
        let room = DEPTH as u64 - (written - self.read.load(Ordering::Acquire));
        for n in 0..count.min(room) {
            self.slot(written + n).store(first + n, Ordering::Relaxed);
        }
        // What is in the slots is seen by whoever sees the new end.
        self.written.store(written + count.min(room), Ordering::Release);
        count.saturating_sub(room)
    }

    /// Takes up to `most` numbers out.
    fn take(&self, most: usize, into: &mut Vec<u64>) {
        let read = self.read.load(Ordering::Relaxed);
        let there = self.written.load(Ordering::Acquire) - read;
        let count = there.min(most as u64);
        into.clear();
        into.extend((0..count).map(|n| self.slot(read + n).load(Ordering::Relaxed)));
        self.read.store(read + count, Ordering::Release);
    }
}

/// The rate in million packets a second; `upper` is one that is surely too high.
pub(super) fn row(case: &Case<'_>, upper: f64, settings: Settings) -> Result<Row, BenchError> {
    let mut found = Vec::with_capacity(settings.rounds);
    for _ in 0..settings.rounds {
        let (mut low, mut high) = (0.0, upper);
        for _ in 0..STEPS {
            let rate = (low + high) / 2.0;
            let clean = trial(case, rate, settings)? == 0 || trial(case, rate, settings)? == 0;
            if clean { low = rate } else { high = rate }
        }
        found.push(low);
    }
    Ok(Row {
        case: format!("queue of {DEPTH}, bursts of {BURST}, trials of {} ms", TRIAL.as_millis()),
        at: None,
        value: Spread::of(found).ok_or(BenchError::Shape)?,
        unit: Unit::Mpps,
        floor: None,
        of_floor: None,
    })
}

/// Packets lost at this rate.
fn trial(case: &Case<'_>, rate: f64, settings: Settings) -> Result<u64, BenchError> {
    let queue = Queue::new();
    let over = AtomicBool::new(false);
    let gap = Duration::from_secs_f64(BURST as f64 / (rate * 1e6));
    std::thread::scope(|scope| {
        let forwarder = scope.spawn(|| {
            let mut worker = Worker::new();
            case.pass(&mut worker, settings.batch);
            let mut numbers = Vec::with_capacity(settings.batch);
            // The sender waits for it.
            over.store(true, Ordering::Release);
            loop {
                let last = !over.load(Ordering::Acquire);
                queue.take(settings.batch, &mut numbers);
                if numbers.is_empty() {
                    if last {
                        return case.check(&worker);
                    }
                    std::hint::spin_loop();
                    continue;
                }
                // Numbers follow one another unless some were lost, and then the trial is over anyway.
                #[allow(clippy::cast_possible_truncation, reason = "below a slice's length")]
                let first = (numbers[0] % case.parcels.len() as u64) as usize;
                let (head, tail) = case.parcels.split_at(first);
                let here = numbers.len().min(tail.len());
                worker.forward(case.engine, &tail[..here]);
                worker.forward(case.engine, &head[..(numbers.len() - here).min(head.len())]);
            }
        });
        while !over.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let began = Instant::now();
        let (mut due, mut sent, mut lost) = (Duration::ZERO, 0, 0);
        while due < TRIAL {
            while began.elapsed() < due {
                std::hint::spin_loop();
            }
            lost += queue.put(sent, BURST);
            sent += BURST;
            due += gap;
        }
        over.store(false, Ordering::Release);
        forwarder.join().map_err(|_| BenchError::Worker)??;
        Ok(lost)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_and_order_is_kept() {
        let (queue, depth) = (Queue::new(), DEPTH as u64);
        let mut out = Vec::new();
        assert_eq!(queue.put(0, depth - 1), 0);
        assert_eq!(queue.put(depth - 1, 3), 2);
        queue.take(2, &mut out);
        assert_eq!(out, [0, 1]);
        // Round the end.
        assert_eq!(queue.put(7_777, 2), 0);
        queue.take(DEPTH * 2, &mut out);
        assert_eq!((out.len(), out.last()), (DEPTH, Some(&7_778)));
        queue.take(1, &mut out);
        assert!(out.is_empty());
    }
}
