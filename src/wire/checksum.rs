//! The Internet checksum (RFC 1071) over any number of pieces.
//!
//! Holds the sum and the pseudo headers of both families. Refuses to know where a checksum is
//! carried and what follows when it is wrong.
//!
//! Words are added in the machine's own byte order and swapped once at the end: the one's complement
//! sum does not care (RFC 1071, 2(B)), and a loop without swaps is one the compiler vectorises.

use super::Protocol;

/// A one's complement sum in progress.
///
/// 64 bits hold the carries of 2^32 additions; a packet needs fewer than 2^15.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The sum with `bytes` added, which start at an even offset of what is being summed.
    ///
    /// An odd last byte counts as if a zero followed (RFC 1071, 1), so only the last piece may
    /// have an odd length.
    #[must_use]
    pub(super) fn bytes(self, bytes: &[u8]) -> Sum {
        let (quads, rest) = bytes.as_chunks::<4>();
        let sum = quads.iter().fold(self.0, |sum, quad| sum + u64::from(u32::from_ne_bytes(*quad)));
        let mut last = [0; 4];
        for (slot, byte) in last.iter_mut().zip(rest) {
            *slot = *byte;
        }
        Sum(sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// The sum with the pseudo header of IPv4 (RFC 768; RFC 9293, 3.1) or IPv6 (RFC 8200, 8.1)
    /// added: both addresses, the protocol and the length of the transport header and its data.
    ///
    /// `addresses` are source and destination as they stand in the IP header. Both families lead
    /// to the same sum, because zero bytes in between add nothing.
    #[must_use]
    pub(super) fn pseudo_header(self, addresses: &[u8], protocol: Protocol, length: u16) -> Sum {
        self.bytes(addresses).bytes(&[0, protocol.0]).bytes(&length.to_be_bytes())
    }

    /// The checksum of what was added: 0 if that contained its own, right checksum.
    pub(super) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        #[allow(clippy::cast_possible_truncation, reason = "the loop ends below 2^16")]
        let sum = sum as u16;
        u16::from_be(!sum)
    }
}

/// What changes to covered bytes do to a checksum, without a look at the bytes that stay
/// (RFC 1624, 3, equation 3).
#[derive(Clone, Copy, Default)]
pub(super) struct Adjustment(Sum);

impl Adjustment {
    /// With `old`, at an even offset of what is covered, replaced by `new`, equally long and of an
    /// even length.
    #[must_use]
    pub(super) fn replaced(self, old: &[u8], new: &[u8]) -> Adjustment {
        let (words, _) = old.as_chunks::<2>();
        let gone = words.iter().map(|word| u64::from(!u16::from_ne_bytes(*word))).sum::<u64>();
        Adjustment(Sum(self.0.0 + gone).bytes(new))
    }

    /// Both changes.
    #[must_use]
    pub(super) fn and(self, other: Adjustment) -> Adjustment {
        Adjustment(Sum(self.0.0 + other.0.0))
    }

    /// What becomes of a checksum: right if it was right, as wrong as before if it was wrong.
    pub(super) fn applied_to(self, checksum: [u8; 2]) -> [u8; 2] {
        let sum = self.0.bytes(&checksum.map(|byte| !byte));
        sum.finish().to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook loop: one big-endian word at a time.
    fn by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn the_example_of_rfc_1071_comes_out() {
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&example).finish(), !0xddf2);
    }

    /// RFC 1624, 4: its example, which the older equation of RFC 1141 gets wrong.
    #[test]
    fn the_example_of_rfc_1624_comes_out() {
        let change = Adjustment::default().replaced(&[0x55, 0x55], &[0x32, 0x85]);
        assert_eq!(change.applied_to([0xdd, 0x2f]), [0x00, 0x00]);
    }

    proptest::proptest! {
        #[test]
        fn adjusting_equals_computing_anew(
            mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 40..60),
            new in proptest::collection::vec(proptest::num::u8::ANY, 16),
            at in 0..12_usize,
        ) {
            let before = Sum::default().bytes(&bytes).finish().to_be_bytes();
            let (at, half) = (at * 2, 8);
            let change = Adjustment::default()
                .replaced(&bytes[at..at + half], &new[..half])
                .and(Adjustment::default().replaced(&bytes[at + half..at + 16], &new[half..]));
            bytes[at..at + 16].copy_from_slice(&new);
            let after = Sum::default().bytes(&bytes).finish().to_be_bytes();
            proptest::prop_assert_eq!(change.applied_to(before), after);
        }

        #[test]
        fn equals_the_textbook_in_one_piece_and_in_two(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            cut in 0..100_usize,
        ) {
            let cut = (cut * 2).min(bytes.len() & !1);
            let (front, back) = bytes.split_at(cut);
            let want = by_the_book(&bytes);
            proptest::prop_assert_eq!(Sum::default().bytes(&bytes).finish(), want);
            proptest::prop_assert_eq!(Sum::default().bytes(front).bytes(back).finish(), want);
        }
    }
}
