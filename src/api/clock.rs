//! The server's clock: the host's, one that only moves when told to, or the host's and ahead of it.
//!
//! Holds all three. Refuses to let time go back: the world keeps the latest moment it has seen. Moments
//! are nanoseconds since the Unix epoch, so [`Instant::START`] is 1970.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;

use crate::base::limit::RUN_SPAN_MAX;
use crate::base::time::{Instant, Span};

/// Where the time comes from.
#[derive(Debug)]
pub enum Clock {
    /// The host's clock.
    Wall,
    /// Virtual time: it moves a microsecond with each request, and as far as it is told to.
    Virtual(AtomicU64),
    /// The host's clock, so many nanoseconds ahead: time passes by itself, and can be let pass.
    Ahead(AtomicU64),
}

/// The host's clock.
fn wall() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A host's clock before 1970 counts as 1970; one behind 2554 as 2554.
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Clock {
    /// A virtual clock that shows this moment.
    pub fn starting_at(moment: Instant) -> Clock {
        Clock::Virtual(AtomicU64::new(moment.as_nanos()))
    }

    /// The present, for one request: what the request before it has started has settled by now.
    pub fn now(&self) -> Instant {
        match self {
            Clock::Wall => Instant::from_nanos(wall()),
            Clock::Ahead(ahead) => {
                let now = wall().saturating_add(ahead.load(Ordering::Relaxed));
                Instant::from_nanos(now.min(END))
            }
            Clock::Virtual(nanos) => Instant::from_nanos(later(nanos, Span::from_micros(1))),
        }
    }

    /// Lets time pass at once. `None` on the host's clock, which nobody moves.
    pub fn advance(&self, by: Span) -> Option<Instant> {
        match self {
            Clock::Wall => None,
            Clock::Virtual(nanos) => Some(Instant::from_nanos(later(nanos, by))),
            Clock::Ahead(ahead) => {
                later(ahead, by);
                Some(self.now())
            }
        }
    }

    /// Lets time pass until the world's present, if the world is ahead of a clock that can follow: a
    /// question that was answered in virtual time has taken some.
    pub fn catch_up(&self, present: Instant) {
        if let Clock::Ahead(ahead) = self {
            later(ahead, present.since(self.now().min(present)));
        }
    }

    /// Its name in `/_vpclab/clock`.
    pub fn kind(&self) -> &'static str {
        match self {
            Clock::Wall => "wall",
            Clock::Virtual(_) => "virtual",
            Clock::Ahead(_) => "ahead",
        }
    }
}

/// Where virtual time ends and stands still: no run of the simulator goes further. In 2069.
const END: u64 = RUN_SPAN_MAX.as_nanos();

/// Moves a moment on, and returns it.
fn later(nanos: &AtomicU64, by: Span) -> u64 {
    let add = |now: u64| now.saturating_add(by.as_nanos()).min(END);
    // The update is never refused, so both arms hold the moment before.
    let (Ok(before) | Err(before)) =
        nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(add(now)));
    add(before)
}

/// A moment as EC2 writes it: `2015-03-25T12:00:00.000Z`.
pub fn timestamp(moment: Instant) -> String {
    let nanos = i128::from(moment.as_nanos());
    // Every moment of a `u64` lies before the year 2555, which a timestamp can hold.
    let stamp = Timestamp::from_nanosecond(nanos).unwrap_or_default();
    stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_when_told_and_a_little_with_each_request() {
        let clock = Clock::starting_at(Instant::START + Span::from_days(1));
        let first = clock.now();
        assert!(clock.now() > first);
        let later = clock.advance(Span::from_days(7)).unwrap();
        assert!(later.since(first) >= Span::from_days(7));
        assert_eq!(Clock::Wall.advance(Span::from_days(7)), None);
    }

    #[test]
    fn a_clock_that_runs_can_be_ahead() {
        let clock = Clock::Ahead(AtomicU64::new(0));
        let week = clock.advance(Span::from_days(7)).unwrap();
        assert!(week.since(Clock::Wall.now()) > Span::from_days(6));
        clock.catch_up(Instant::START);
        clock.catch_up(week + Span::from_days(1));
        assert!(clock.now() >= week + Span::from_days(1), "it follows");
        assert!(clock.now().since(Clock::Wall.now()) < Span::from_days(9), "and no further");
    }

    #[test]
    fn virtual_time_ends() {
        let clock = Clock::starting_at(Instant::START);
        let end = Instant::from_nanos(END);
        assert_eq!(clock.advance(Span::from_nanos(u64::MAX)), Some(end));
        assert_eq!(clock.advance(Span::from_days(1)), Some(end));
        assert_eq!(clock.now(), end);
    }

    #[test]
    fn moments_are_written_as_ec2_does() {
        let nanos = 1_427_284_800_123_456_789;
        assert_eq!(timestamp(Instant::from_nanos(nanos)), "2015-03-25T12:00:00.123Z");
    }
}
