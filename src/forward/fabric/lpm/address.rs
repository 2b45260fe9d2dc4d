//! What the two address families differ in: the width of an address, and of a key.
//!
//! Holds the arithmetic of keys. Refuses to know how keys are laid out or searched (`leaf.rs`).
//!
//! A key is a prefix of at least one bit in as many bits as an address has, which is possible
//! because who searches knows the first bit (each table is split by it):
//!
//! ```text
//! 10.0.0.0/8   0000101000000000...0    the address
//!              000101010000000000...0  without its first bit, and a mark behind the prefix
//! ```
//!
//! The mark is the lowest bit set, so everything from it down is free: two instructions make the mask.

use std::fmt::Debug;

/// An address as a number.
pub(super) trait Address: Copy + Ord + Default + Debug {
    /// Bits of an address.
    const BITS: u32;
    /// Words of four bytes of a key.
    const WORDS: usize;
    /// Routes of the longest leaf: as many as are searched for the price of a node.
    const LEAF: usize;
    /// A node has about a slot for each 2^this routes when it is built, so that few leaves are full.
    const ROUTES_PER_SLOT_LOG: u32;

    /// The key of the prefix of `len` bits, 1..=BITS, at this address; bits behind it are zero.
    fn key(self, len: u32) -> Self;
    /// The prefix of a key: without its first bit, which is that of `half`; and its length.
    fn prefix(key: Self, half: usize) -> (Self, u32);
    /// The mark of a key alone: the lower, the longer the prefix.
    fn mark(key: Self) -> Self;
    /// 0 for the lower half of all addresses, 1 for the upper.
    fn half(self) -> usize;
    /// `count` bits, 1..=31, from bit `from` on, the highest bit of an address being bit 0.
    /// `from + count` is at most BITS.
    fn bits(self, from: u32, count: u32) -> usize;
    /// Which of the blocks of `2^shift` addresses from `net` on it lies in, or `last` if that is less.
    /// Addresses before `net` come behind all others.
    fn slot(self, net: Self, shift: u32, last: u32) -> usize;
    /// Do the first `len` bits, 1..=BITS, agree?
    fn agrees(self, other: Self, len: u32) -> bool;
    /// How many bits agree from the first on.
    fn common(self, other: Self) -> u32;
    /// Only the first `len` bits, 1..=BITS.
    fn truncate(self, len: u32) -> Self;
    /// With these `count` bits, 0..=31, from bit `from` on, 1..BITS, where there are zeros.
    fn with_bits(self, from: u32, count: u32, bits: usize) -> Self;
    /// Word `at` of the number, the lowest first: as the processor reads two of them at once.
    fn word(self, at: usize) -> u32;
    /// The number with this word where it has zeros.
    fn with_word(self, at: usize, word: u32) -> Self;
    /// Does the key cover the address that had this `probe` (see [`Address::probe`])?
    fn covers(key: Self, probe: Self) -> bool;
    /// The address without its first bit, in the place where keys have theirs.
    fn probe(self) -> Self;
}

macro_rules! address {
    ($number:ty, leaf: $leaf:literal, routes_per_slot_log: $log:literal) => {
        impl Address for $number {
            const BITS: u32 = <$number>::BITS;
            const WORDS: usize = size_of::<$number>() / 4;
            const LEAF: usize = $leaf;
            const ROUTES_PER_SLOT_LOG: u32 = $log;

            #[inline(always)]
            fn key(self, len: u32) -> Self {
                (self << 1) | (1 << (Self::BITS - len))
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "a half is 0 or 1")]
            fn prefix(key: Self, half: usize) -> (Self, u32) {
                let first = (half as Self) << (Self::BITS - 1);
                let bits = (key & key.wrapping_sub(1)) >> 1;
                (bits | first, Self::BITS - key.trailing_zeros())
            }

            #[inline(always)]
            fn mark(key: Self) -> Self {
                key & key.wrapping_neg()
            }

            #[inline(always)]
            fn half(self) -> usize {
                (self >> (Self::BITS - 1)) as usize
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "shifted down to `count` bits")]
            fn bits(self, from: u32, count: u32) -> usize {
                ((self << from) >> (Self::BITS - count)) as usize
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "at most `last`")]
            fn slot(self, net: Self, shift: u32, last: u32) -> usize {
                self.wrapping_sub(net).wrapping_shr(shift).min(Self::from(last)) as usize
            }

            #[inline(always)]
            fn agrees(self, other: Self, len: u32) -> bool {
                (self ^ other) >> (Self::BITS - len) == 0
            }

            #[inline(always)]
            fn common(self, other: Self) -> u32 {
                (self ^ other).leading_zeros()
            }

            #[inline(always)]
            fn truncate(self, len: u32) -> Self {
                let down = Self::BITS - len;
                (self >> down) << down
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "at most 31 bits")]
            fn with_bits(self, from: u32, count: u32, bits: usize) -> Self {
                self | Self::from(bits as u32) << (Self::BITS - from - count)
            }

            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, reason = "one word is asked for")]
            fn word(self, at: usize) -> u32 {
                (self >> (32 * at)) as u32
            }

            #[inline(always)]
            fn with_word(self, at: usize, word: u32) -> Self {
                self | Self::from(word) << (32 * at)
            }

            #[inline(always)]
            fn covers(key: Self, probe: Self) -> bool {
                let free = key ^ key.wrapping_sub(1);
                (key ^ probe) & !free == 0
            }

            #[inline(always)]
            fn probe(self) -> Self {
                self << 1
            }
        }
    };
}

address!(u32, leaf: 16, routes_per_slot_log: 3);
address!(u128, leaf: 16, routes_per_slot_log: 3);

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<A: Address>(address: A, outside: A) {
        for len in 1..=A::BITS {
            let net = address.truncate(len);
            let key = net.key(len);
            assert_eq!(A::prefix(key, address.half()), (net, len));
            assert!(A::covers(key, address.probe()), "{net:?}/{len}");
            let meets = address.common(outside) >= len;
            assert_eq!(A::covers(key, outside.probe()), meets, "{net:?}/{len}");
            assert_eq!(address.agrees(outside, len), meets);
            let words = |whole: A, at| whole.with_word(at, key.word(at));
            assert_eq!((0..A::WORDS).fold(A::default(), words), key);
        }
    }

    /// Every length, both halves, and an address that agrees in some bits only.
    #[test]
    fn keys_hold_prefixes_of_every_length() {
        there_and_back(0x0a01_0203_u32, 0x0a01_8203);
        there_and_back(u32::MAX, u32::MAX - 1);
        there_and_back(0_u32, 1);
        there_and_back(0xfd00_u128 << 112 | 7, 0xfd00 << 112 | 6);
        there_and_back(u128::MAX, u128::MAX - 1);
        there_and_back(0_u128, 1);
    }

    #[test]
    fn bits_are_counted_from_the_highest() {
        assert_eq!(0x0a01_0203_u32.bits(0, 8), 0x0a);
        assert_eq!(0x0a01_0203_u32.bits(28, 4), 3);
        assert_eq!((0x2001_0db8_u128 << 96).bits(16, 16), 0x0db8);
    }
}
