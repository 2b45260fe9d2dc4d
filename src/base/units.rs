//! Quantities with units: how they are written in files and printed in reports.
//!
//! Holds probabilities, bit rates, packet rates, MTUs and the parser of time spans. Refuses
//! floating point: a quantity that is read is kept exactly, so it prints as it was written and
//! behaves the same on every machine.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::limit::{MTU_BYTES_CONFIGURED_MIN, MTU_BYTES_MAX, MTU_BYTES_MIN};
use super::rng::Stream;
use super::time::Span;

/// A text that is not a quantity of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not a {kind} (want for example {example})")]
pub struct MalformedQuantity {
    /// What was given.
    pub text: String,
    /// What was wanted.
    pub kind: &'static str,
    /// Some that would do.
    pub example: &'static str,
}

/// Splits `text` into a decimal number and the unit behind it, and gives the number in billionths.
fn number_and_unit(text: &str) -> Option<(u128, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 18 || fraction.len() > 9 {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let billionths: u128 = format!("{fraction:0<9}").parse().ok()?;
    Some((whole * 1_000_000_000 + billionths, unit.trim()))
}

impl FromStr for Span {
    type Err = MalformedQuantity;

    /// A number and a unit of `ns us ms s m h d`: `250us`, `1.5s`, `7d`.
    fn from_str(text: &str) -> Result<Span, MalformedQuantity> {
        let parse = || {
            let (billionths, unit) = number_and_unit(text)?;
            let unit_nanos: u128 = match unit {
                "ns" => 1,
                "us" | "µs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                _ => return None,
            };
            let scaled = billionths.checked_mul(unit_nanos)?;
            let whole = scaled.is_multiple_of(1_000_000_000);
            whole.then(|| u64::try_from(scaled / 1_000_000_000).ok()).flatten()
        };
        parse().map(Span::from_nanos).ok_or_else(|| MalformedQuantity {
            text: text.to_owned(),
            kind: "span of time",
            example: "`250us`, `1.5s` or `7d`",
        })
    }
}

/// A chance in billionths, `0..=1_000_000_000`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Probability(u32);

impl Probability {
    /// Never.
    pub const ZERO: Probability = Probability(0);
    const ONE_IN_BILLIONTHS: u32 = 1_000_000_000;

    /// Draws once: does it happen? Draws nothing when the answer is certain.
    pub fn happens(self, stream: &mut Stream) -> bool {
        match self.0 {
            0 => false,
            Self::ONE_IN_BILLIONTHS => true,
            chance => stream.below(u64::from(Self::ONE_IN_BILLIONTHS)) < u64::from(chance),
        }
    }
}

impl FromStr for Probability {
    type Err = MalformedQuantity;

    /// A percentage (`0.1%`) or a plain number from 0 to 1 (`0.001`).
    fn from_str(text: &str) -> Result<Probability, MalformedQuantity> {
        let parse = || {
            let (billionths, unit) = number_and_unit(text)?;
            let value = match unit {
                "%" if billionths.is_multiple_of(100) => billionths / 100,
                "" => billionths,
                _ => return None,
            };
            u32::try_from(value).ok().filter(|v| *v <= Self::ONE_IN_BILLIONTHS)
        };
        parse().map(Probability).ok_or_else(|| MalformedQuantity {
            text: text.to_owned(),
            kind: "probability",
            example: "`0.1%` or `0.001`",
        })
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000_000, self.0 % 10_000_000);
        let digits = format!("{whole}.{rest:07}");
        write!(f, "{}%", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Bits per second, at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BitRate(std::num::NonZeroU64);

impl BitRate {
    /// How long `bytes` bytes take at this rate, rounded up to the nanosecond.
    pub fn time_for(self, bytes: usize) -> Span {
        let nanos = (bytes as u128 * 8 * 1_000_000_000).div_ceil(u128::from(self.0.get()));
        Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

const BIT_RATE_UNITS: [(&str, u128); 4] =
    [("Gbit/s", 1_000_000_000), ("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

impl FromStr for BitRate {
    type Err = MalformedQuantity;

    /// A number and a unit of `bit/s kbit/s Mbit/s Gbit/s`, decimal multiples.
    fn from_str(text: &str) -> Result<BitRate, MalformedQuantity> {
        let parse = || {
            let (billionths, unit) = number_and_unit(text)?;
            let (_, size) = BIT_RATE_UNITS.iter().find(|(name, _)| *name == unit)?;
            let scaled = billionths.checked_mul(*size)?;
            let whole = scaled.is_multiple_of(1_000_000_000);
            let bits = whole.then(|| u64::try_from(scaled / 1_000_000_000).ok()).flatten()?;
            std::num::NonZeroU64::new(bits)
        };
        parse().map(BitRate).ok_or_else(|| MalformedQuantity {
            text: text.to_owned(),
            kind: "bit rate",
            example: "`100Mbit/s` or `1.5Gbit/s`",
        })
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from(self.0.get());
        let (unit, size) = BIT_RATE_UNITS
            .into_iter()
            .find(|(_, size)| bits.is_multiple_of(*size))
            .unwrap_or(("bit/s", 1));
        write!(f, "{}{unit}", bits / size)
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Packets per second, at least 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PacketRate(std::num::NonZeroU64);

impl PacketRate {
    /// When packet number `n` (from 0) of a steady flow is due, counted from the flow's start.
    ///
    /// Computed from the number and not by adding gaps, so that a rate which does not divide a
    /// second does not drift.
    pub fn due(self, n: u64) -> Span {
        if let Some(nanos) = n.checked_mul(NANOS_PER_SECOND) {
            return Span::from_nanos(nanos / self.0.get());
        }
        let nanos = u128::from(n) * u128::from(NANOS_PER_SECOND) / u128::from(self.0.get());
        Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Are packets at least a nanosecond apart, so that no two of them are due at one instant?
    pub fn is_below_ticks(self) -> bool {
        self.0.get() <= NANOS_PER_SECOND
    }
}

impl FromStr for PacketRate {
    type Err = MalformedQuantity;

    /// A whole number and `/s`: `1000/s`.
    fn from_str(text: &str) -> Result<PacketRate, MalformedQuantity> {
        let number = text.trim().strip_suffix("/s").and_then(|n| n.trim().parse().ok());
        number.map(PacketRate).ok_or_else(|| MalformedQuantity {
            text: text.to_owned(),
            kind: "packet rate",
            example: "`1000/s`",
        })
    }
}

impl fmt::Display for PacketRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// The longest packet that a link carries in one piece, in bytes, IP header included: 68..=9,001.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mtu(u16);

impl Mtu {
    /// What every link must carry (RFC 791, 3.2).
    pub const MIN: Mtu = Mtu(MTU_BYTES_MIN);
    /// What every link under IPv6 must carry (RFC 8200, 5), and the least that a file may give.
    pub const IPV6_MIN: Mtu = Mtu(MTU_BYTES_CONFIGURED_MIN);
    /// Ethernet's, which always gets through (vpc-semantics 3.4).
    pub const ETHERNET: Mtu = Mtu(1_500);
    /// Jumbo frames: the most there is (vpc-semantics 3.4).
    pub const JUMBO: Mtu = Mtu(MTU_BYTES_MAX);

    /// An MTU of `bytes` bytes; `None` if no link has it. Wider than what a file may give, because
    /// a path can turn out narrower than any link that was configured.
    pub const fn new(bytes: u16) -> Option<Mtu> {
        if MTU_BYTES_MIN <= bytes && bytes <= MTU_BYTES_MAX { Some(Mtu(bytes)) } else { None }
    }

    /// In bytes.
    pub const fn bytes(self) -> u16 {
        self.0
    }

    /// Does a packet of `length` bytes pass in one piece?
    #[inline]
    pub const fn holds(self, length: usize) -> bool {
        length <= self.0 as usize
    }
}

impl FromStr for Mtu {
    type Err = MalformedQuantity;

    /// What a file may give: a whole number of bytes, 1280 to 9001.
    fn from_str(text: &str) -> Result<Mtu, MalformedQuantity> {
        let mtu = text.trim().parse().ok().and_then(Mtu::new);
        mtu.filter(|mtu| *mtu >= Mtu::IPV6_MIN).ok_or_else(|| MalformedQuantity {
            text: text.to_owned(),
            kind: "link MTU in bytes",
            example: "`1500`; from 1280 to 9001",
        })
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads<T: FromStr<Err = MalformedQuantity> + fmt::Display>(rows: &[(&str, Option<&str>)]) {
        for (text, want) in rows {
            let got = text.parse::<T>().ok().map(|v| v.to_string());
            assert_eq!(got.as_deref(), *want, "{text}");
        }
    }

    #[test]
    fn spans() {
        reads::<Span>(&[
            ("7d", Some("7d")),
            ("1.5s", Some("1500ms")),
            ("250us", Some("250us")),
            ("250µs", Some("250us")),
            ("0s", Some("0s")),
            ("1.5ns", None),
            ("7", None),
            ("7 weeks", None),
            ("-1s", None),
            ("1.s", None),
            ("99999999999999999d", None),
        ]);
    }

    #[test]
    fn probabilities() {
        reads::<Probability>(&[
            ("0.1%", Some("0.1%")),
            ("0.001", Some("0.1%")),
            ("100%", Some("100%")),
            ("1", Some("100%")),
            ("0", Some("0%")),
            ("101%", None),
            ("1.1", None),
            ("often", None),
        ]);
    }

    #[test]
    fn rates() {
        reads::<BitRate>(&[
            ("100Mbit/s", Some("100Mbit/s")),
            ("1.5Gbit/s", Some("1500Mbit/s")),
            ("0bit/s", None),
            ("100MB/s", None),
        ]);
        reads::<PacketRate>(&[("1000/s", Some("1000/s")), ("0/s", None), ("1.5/s", None)]);
    }

    #[test]
    fn mtus() {
        reads::<Mtu>(&[
            ("1500", Some("1500")),
            ("1280", Some("1280")),
            ("9001", Some("9001")),
            ("1279", None),
            ("9002", None),
            ("65536", None),
            ("1500B", None),
            ("-1", None),
        ]);
        for (bytes, is_one) in [(67, false), (68, true), (9_001, true), (9_002, false)] {
            assert_eq!(Mtu::new(bytes).is_some(), is_one, "{bytes}");
        }
        assert!(Mtu::ETHERNET.holds(1_500) && !Mtu::ETHERNET.holds(1_501));
    }

    #[test]
    fn a_packet_takes_its_bits_over_the_rate() {
        let rate: BitRate = "100Mbit/s".parse().unwrap();
        assert_eq!(rate.time_for(1_250), Span::from_micros(100));
        assert_eq!("3bit/s".parse::<BitRate>().unwrap().time_for(1).as_nanos(), 2_666_666_667);
    }

    #[test]
    fn a_steady_flow_does_not_drift() {
        let rate: PacketRate = "3/s".parse().unwrap();
        assert_eq!(rate.due(3), Span::from_secs(1));
        assert_eq!(rate.due(3_000_000), Span::from_secs(1_000_000));
    }
}
