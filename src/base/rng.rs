//! Chance as an argument: a seed and its named streams.
//!
//! Holds the generator and the few ways of drawing from it. Refuses to hold entropy: a run is a
//! function of its seed. Streams are *named*, so that a new consumer of random numbers does not
//! shift what the old ones draw, and every golden stays valid. The generator is our own (SplitMix64,
//! Steele, Lea and Flood 2014) because results must not change with a dependency.

/// Where all chance of a run comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seed(pub u64);

/// A sequence of random numbers that belongs to one named purpose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream(u64);

impl Seed {
    /// The stream called `name`: the same for the same seed and name, unrelated to any other.
    pub fn stream(self, name: &str) -> Stream {
        // FNV-1a over the name, then two rounds of the mixer so that close names part.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        Stream(mix(mix(hash) ^ self.0))
    }
}

impl Stream {
    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number in `0..bound`, uniform to within 2^-64; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product (Lemire 2019) without the rejection step: a bias below
        // 2^-64 per outcome is nothing an emulator can show.
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        #[allow(clippy::cast_possible_truncation, reason = "the high half of a u128 is a u64")]
        {
            (wide >> 64) as u64
        }
    }
}

/// 2^64 divided by the golden ratio, odd: SplitMix64's increment.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finalizer: a bijection on 64 bits, so distinct inputs give distinct outputs.
pub fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What [`mix`] was given: its inverse.
pub fn unmix(z: u64) -> u64 {
    // A shift by more than a third of the width is undone by shifting once more; the factors are
    // the inverses of those above modulo 2^64.
    let z = (z ^ (z >> 31) ^ (z >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let z = (z ^ (z >> 27) ^ (z >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    z ^ (z >> 30) ^ (z >> 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_functions_of_seed_and_name() {
        let draw = |seed, name| Seed(seed).stream(name).next_u64();
        assert_eq!(draw(1, "loss:AB"), draw(1, "loss:AB"));
        assert_ne!(draw(1, "loss:AB"), draw(2, "loss:AB"));
        assert_ne!(draw(1, "loss:AB"), draw(1, "loss:AC"));
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_everything() {
        let mut stream = Seed(7).stream("dice");
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[usize::try_from(stream.below(6)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn mixing_can_be_undone() {
        let mut stream = Seed(3).stream("numbers");
        let numbers = (0..1_000).chain((0..1_000).map(|_| stream.next_u64()));
        for number in numbers.chain([u64::MAX]) {
            assert_eq!(unmix(mix(number)), number);
            assert_eq!(mix(unmix(number)), number);
        }
    }

    /// The reference output of SplitMix64 for the seed 1234567 (first value).
    #[test]
    fn the_generator_is_splitmix64() {
        assert_eq!(Stream(1_234_567).next_u64(), 6_457_827_717_110_365_317);
    }
}
