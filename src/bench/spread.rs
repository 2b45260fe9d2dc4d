//! What was measured several times: the middle, and how far apart the ends are.
//!
//! Holds the order statistics. Refuses a mean, which one slow moment of the machine moves.

/// Median and ends of one figure over the rounds of a run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The middle value; the lower of two middle ones.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let median = *values.get((values.len() - 1) / 2)?;
        Some(Spread { median, min, max })
    }

    /// Each value replaced by `by / value`: nanoseconds a packet to packets a time, and back. The ends
    /// change places.
    pub fn inverse(self, by: f64) -> Spread {
        Spread { median: by / self.median, min: by / self.max, max: by / self.min }
    }
}

/// The smallest of sorted values that so many parts of a thousand do not exceed; 0 if there are none.
pub(super) fn quantile(sorted: &[f64], part: usize) -> f64 {
    let at = (sorted.len() * part).div_ceil(1_000).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let rows: [(&[f64], Option<[f64; 3]>); 4] = [
            (&[], None),
            (&[3.0], Some([3.0, 3.0, 3.0])),
            (&[9.0, 1.0, 2.0], Some([2.0, 1.0, 9.0])),
            (&[4.0, 1.0, 3.0, 2.0], Some([2.0, 1.0, 4.0])),
        ];
        for (values, want) in rows {
            let got = Spread::of(values.iter().copied());
            assert_eq!(got.map(|s| [s.median, s.min, s.max]), want, "{values:?}");
        }
    }

    #[test]
    fn a_rate_is_the_inverse_of_a_time_and_its_ends_change_places() {
        let rate = Spread { median: 10.0, min: 5.0, max: 20.0 }.inverse(1_000.0);
        assert_eq!((rate.median, rate.min, rate.max), (100.0, 50.0, 200.0));
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let times: Vec<f64> = (1..=10).map(f64::from).collect();
        let rows = [(1, 1.0), (100, 1.0), (101, 2.0), (500, 5.0), (999, 10.0), (1_000, 10.0)];
        for (part, want) in rows {
            assert_eq!(quantile(&times, part), want, "{part}");
        }
        assert_eq!(quantile(&[], 500), 0.0);
    }
}
