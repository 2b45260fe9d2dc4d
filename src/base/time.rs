//! Virtual time: instants and spans in nanoseconds.
//!
//! Holds the two types and their arithmetic. Refuses to hold a clock: "now" is always an argument,
//! so the same inputs give the same run, and seven days pass in microseconds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A moment of the emulated world: nanoseconds since the start of the run.
///
/// A `u64` reaches 584 years; a run is limited to [`crate::base::limit::RUN_SPAN_MAX`], so sums of
/// an instant and a few limited spans cannot overflow. The operators nevertheless saturate rather
/// than wrap: time never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Instant(u64);

/// A length of virtual time in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Span(u64);

impl Instant {
    /// The start of the run.
    pub const START: Instant = Instant(0);
    /// Later than anything that happens; stands for "never".
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The moment `nanos` nanoseconds after the start of the run.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the start of the run.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The span from `earlier` to `self`; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// The smallest step of virtual time, one nanosecond: what a control-plane command takes.
    pub const TICK: Span = Span(1);

    /// `n` nanoseconds.
    pub const fn from_nanos(n: u64) -> Span {
        Span(n)
    }
    /// `n` microseconds, saturating.
    pub const fn from_micros(n: u64) -> Span {
        Span(n.saturating_mul(1_000))
    }
    /// `n` milliseconds, saturating.
    pub const fn from_millis(n: u64) -> Span {
        Span(n.saturating_mul(1_000_000))
    }
    /// `n` seconds, saturating.
    pub const fn from_secs(n: u64) -> Span {
        Span(n.saturating_mul(1_000_000_000))
    }
    /// `n` hours, saturating.
    pub const fn from_hours(n: u64) -> Span {
        Span::from_secs(n.saturating_mul(3_600))
    }
    /// `n` days of 24 hours, saturating.
    pub const fn from_days(n: u64) -> Span {
        Span::from_hours(n.saturating_mul(24))
    }

    /// The span in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The span in seconds, for rates in reports; exact to 2^53 ns (104 days).
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span `n` times over, saturating.
    pub const fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }
}

impl std::ops::Add<Span> for Instant {
    type Output = Instant;
    fn add(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }
}

impl std::ops::Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

/// `hh:mm:ss.mmm`, with as many further digits as the value needs and days in front when there are
/// any: `00:00:00.000`, `00:00:00.000250`, `7d 00:00:00.000`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (days, h, m, s) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60, secs % 60);
        if days > 0 {
            write!(f, "{days}d ")?;
        }
        write!(f, "{h:02}:{m:02}:{s:02}.")?;
        match nanos {
            n if n % 1_000_000 == 0 => write!(f, "{:03}", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{:06}", n / 1_000),
            n => write!(f, "{n:09}"),
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({self})")
    }
}

/// The largest unit that keeps the value whole: `7d`, `90s`, `250us`, `1ns`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 7] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ];
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (size, unit) in UNITS {
            if self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_a_clock() {
        for (nanos, text) in [
            (0, "00:00:00.000"),
            (2_000_000_000, "00:00:02.000"),
            (250_000, "00:00:00.000250"),
            (1, "00:00:00.000000001"),
            (604_800_000_000_000, "7d 00:00:00.000"),
        ] {
            assert_eq!(Instant::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn spans_print_in_the_largest_whole_unit() {
        for (span, text) in [
            (Span::from_days(7), "7d"),
            (Span::from_secs(90), "90s"),
            (Span::from_micros(250), "250us"),
            (Span::TICK, "1ns"),
            (Span::ZERO, "0s"),
        ] {
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn time_saturates_instead_of_going_back() {
        assert_eq!(Instant::NEVER + Span::from_days(1), Instant::NEVER);
        assert_eq!(Instant::START.since(Instant::from_nanos(5)), Span::ZERO);
    }
}
