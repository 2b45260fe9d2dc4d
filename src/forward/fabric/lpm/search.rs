//! The search of a leaf: which of its keys covers an address first?
//!
//! Holds one search for each family: four keys of IPv4 at a time where the processor can (SSE2,
//! which every x86-64 has), one after the other elsewhere and for IPv6. Refuses to branch on a key of
//! IPv4 before four or eight are compared: which of them covers is not to be foreseen.

use super::address::Address;
use super::arena::{Arena, LINE};
use super::leaf::Leaf;

/// A family whose leaves can be searched.
pub(super) trait Search: Address {
    /// The code of the longest prefix in the leaf that covers the address, 0 if none does.
    fn find(arena: &Arena, leaf: Leaf, address: Self) -> u32;
}

impl Search for u128 {
    #[inline(always)]
    fn find(arena: &Arena, leaf: Leaf, address: u128) -> u32 {
        let probe = address.probe();
        let first = (0..leaf.room()).find(|place| u128::covers(leaf.key(arena, *place), probe));
        first.map_or(0, |place| leaf.code::<u128>(arena, place))
    }
}

impl Search for u32 {
    #[inline(always)]
    fn find(arena: &Arena, leaf: Leaf, address: u32) -> u32 {
        let probe = address.probe();
        let (line, word) = arena.line(leaf.at);
        let words = &line.0;
        match leaf.size {
            // Up to a line it is all in one.
            0 => {
                let [a, b] = [words[word & 12], words[(word & 12) | 1]];
                let covered =
                    u32::from(u32::covers(a, probe)) | u32::from(u32::covers(b, probe)) << 1;
                pick(covered, |place| words[(word & 12) | 2 | place & 1])
            }
            1 => {
                let word = word & 8;
                let covered = four(words, word, probe);
                pick(covered, |place| words[word | 4 | place & 3])
            }
            2 => {
                let covered = four(words, 0, probe) | four(words, 4, probe) << 4;
                pick(covered, |place| words[8 | place & 7])
            }
            _ => {
                let lines = leaf.room() / LINE;
                for nth in 0..lines {
                    let covered = sixteen(line_of(arena, leaf, nth), probe);
                    if covered != 0 {
                        let codes = line_of(arena, leaf, lines + nth);
                        return codes[covered.trailing_zeros() as usize % LINE];
                    }
                }
                0
            }
        }
    }
}

/// The code at the lowest place that is set, if one is.
#[inline(always)]
fn pick(covered: u32, code: impl Fn(usize) -> u32) -> u32 {
    let code = code(covered.trailing_zeros() as usize);
    if covered == 0 { 0 } else { code }
}

#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "0 or 1: a leaf has four lines at most")]
fn line_of(arena: &Arena, leaf: Leaf, nth: usize) -> &[u32; LINE] {
    &arena.line(leaf.at + 4 * nth as u32).0.0
}

/// Which of a line of keys cover the address, as bits.
#[inline(always)]
fn sixteen(keys: &[u32; LINE], probe: u32) -> u32 {
    [0, 4, 8, 12].into_iter().fold(0, |covered, from| covered | four(keys, from, probe) << from)
}

/// Which of the four keys from `from` on, a multiple of 4 below 16, cover the address, as bits.
#[inline(always)]
fn four(keys: &[u32; LINE], from: usize, probe: u32) -> u32 {
    let from = from & 12;
    let keys = [keys[from], keys[from | 1], keys[from | 2], keys[from | 3]];
    covering(keys, probe)
}

#[cfg(target_feature = "sse2")]
#[inline(always)]
#[allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the instructions call every number signed, and of the mask four bits are set"
)]
#[allow(
    unsafe_code,
    reason = "the instructions have no safe form outside of a function for SSE2 only"
)]
fn covering(keys: [u32; 4], probe: u32) -> u32 {
    #[cfg(target_arch = "x86")]
    use std::arch::x86::*;
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::*;
    let [a, b, c, d] = keys.map(|key| key as i32);
    // SAFETY: these compute on values, touch no memory, and need nothing but SSE2, without which
    // this function is not compiled.
    unsafe {
        let keys = _mm_set_epi32(d, c, b, a);
        let below = _mm_sub_epi32(keys, _mm_set1_epi32(1));
        let free = _mm_xor_si128(keys, below);
        let differ = _mm_xor_si128(keys, _mm_set1_epi32(probe as i32));
        let wrong = _mm_andnot_si128(free, differ);
        let right = _mm_cmpeq_epi32(wrong, _mm_setzero_si128());
        _mm_movemask_ps(_mm_castsi128_ps(right)) as u32
    }
}

#[cfg(not(target_feature = "sse2"))]
#[inline(always)]
fn covering(keys: [u32; 4], probe: u32) -> u32 {
    let bits = keys.map(|key| u32::from(u32::covers(key, probe)));
    bits[0] | bits[1] << 1 | bits[2] << 2 | bits[3] << 3
}
