//! The search of a leaf: which of its keys covers an address first?
//!
//! Holds one search for each family: all sixteen words of a line at once for IPv4, with the four lanes
//! of SSE2 where the processor has them (every x86-64 does), one key after the other for IPv6. Refuses to
//! branch on what is found, on the size of the leaf or on there being none: none of it is to be
//! foreseen, and a branch gone wrong costs as much as the whole search.

use std::hint::select_unpredictable;

use super::address::Address;
use super::arena::{Arena, LINE, UNIT};
use super::node::{Place, ROOM};

/// A family whose leaves can be searched.
pub(super) trait Search: Address {
    /// The code of the longest prefix in the leaf that covers the address, `best` if none does or no
    /// leaf is there. `place` is no node's.
    fn find(arena: &Arena, place: Place, best: u32, address: Self) -> u32;
}

/// Of each kind of leaf and each unit of a line at which it may begin: which words of the line are its
/// keys, one bit each, and, from bit 16 on, how far its codes are behind them.
#[allow(clippy::cast_possible_truncation, reason = "a leaf has room for 16")]
const LEAVES: [u32; 32] = {
    let mut out = [0; 32];
    let mut bits = 0;
    while bits < 32 {
        // A long leaf begins at a line; what would not fit is never asked for.
        let (room, word) = (ROOM[bits % 8], (bits / 8) * UNIT);
        out[bits] = ((((1 << room) - 1) << word) & 0xffff) | (room as u32) << 16;
        bits += 1;
    }
    out
};

impl Search for u32 {
    #[inline(always)]
    fn find(arena: &Arena, place: Place, best: u32, address: u32) -> u32 {
        let leaf = LEAVES[place.leaf_bits()];
        let line = place.line();
        // The keys are all in this line, and may have others and codes beside them.
        let covering = covering(arena.line(line), address.probe()) & leaf & 0xffff;
        // Bit 16 stands for none, whose code is whatever stands there.
        let nth = (covering | 1 << 16).trailing_zeros() as usize;
        let code = arena.word_from(line, nth + (leaf >> 16) as usize);
        select_unpredictable(covering == 0, best, code)
    }
}

impl Search for u128 {
    #[inline(always)]
    fn find(arena: &Arena, place: Place, best: u32, address: u128) -> u32 {
        let (at, room) = place.leaf();
        let probe = address.probe();
        let mut covering = 0_u32;
        for (unit, nth) in (at..).zip(0..room) {
            let words = arena.unit(unit);
            let key = (0..UNIT).fold(0, |key: u128, word| key.with_word(word, words[word]));
            covering |= u32::from(u128::covers(key, probe)) << nth;
        }
        let nth = (covering | 1 << 16).trailing_zeros() as usize;
        let code = arena.word(at, room * UNIT + nth);
        select_unpredictable(covering == 0, best, code)
    }
}

/// Which words of the line cover the address, taken for keys: bit `n` is for word `n`.
#[cfg(target_feature = "sse2")]
#[inline(always)]
#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the instructions call every number signed, and of the mask sixteen bits are set"
)]
#[allow(
    unsafe_code,
    reason = "the instructions are safe in a function for SSE2 only, which cannot be inlined"
)]
fn covering(words: &[u32; LINE], probe: u32) -> u32 {
    #[cfg(target_arch = "x86")]
    use std::arch::x86::*;
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::*;
    // SAFETY: these compute on values, touch no memory, and need nothing but SSE2, without which
    // this function is not compiled.
    unsafe {
        let one = _mm_set1_epi32(1);
        let probe = _mm_set1_epi32(probe as i32);
        let four = |from: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|n| words[from + n] as i32);
            let keys = _mm_set_epi32(d, c, b, a);
            let free = _mm_xor_si128(keys, _mm_sub_epi32(keys, one));
            let wrong = _mm_andnot_si128(free, _mm_xor_si128(keys, probe));
            _mm_cmpeq_epi32(wrong, _mm_setzero_si128())
        };
        let low = _mm_packs_epi32(four(0), four(4));
        let high = _mm_packs_epi32(four(8), four(12));
        _mm_movemask_epi8(_mm_packs_epi16(low, high)) as u32
    }
}

/// Which words of the line cover the address, taken for keys: bit `n` is for word `n`.
#[cfg(not(target_feature = "sse2"))]
#[inline(always)]
fn covering(words: &[u32; LINE], probe: u32) -> u32 {
    let bit = |(nth, key): (usize, &u32)| u32::from(u32::covers(*key, probe)) << nth;
    words.iter().enumerate().map(bit).fold(0, |all, one| all | one)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lanes agree with the arithmetic of one key.
    #[test]
    fn all_words_of_a_line_are_compared() {
        let address = 0x0a01_0203_u32;
        for shift in 0..4 {
            let mut words = [0; LINE];
            for (nth, word) in (0_u32..).zip(&mut words) {
                // Two of three differ from the address in the last bit of the prefix.
                let free = (nth * 2 + shift) % 31;
                let other = if nth % 3 == 0 { address } else { address ^ 1 << free };
                *word = other.truncate(32 - free).key(32 - free);
            }
            let got = covering(&words, address.probe());
            for (nth, word) in words.iter().enumerate() {
                assert_eq!(got >> nth & 1 == 1, u32::covers(*word, address.probe()), "{nth}");
            }
            assert_eq!(got.count_ones(), 6, "{got:b}");
        }
    }
}
