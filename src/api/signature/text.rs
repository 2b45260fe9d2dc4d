//! Bytes as text, and a date as a moment.
//!
//! Holds the four encodings that signatures and keys use. Refuses to be lenient: what does not decode
//! exactly does not decode.

use crate::base::time::Instant;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Two lower-case digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// 64 lower-case digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 32];
    if text.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(out)
}

/// Base 32 (RFC 4648, 6) without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    encode::<5>(bytes, BASE32)
}

/// Back again.
pub(super) fn unbase32(text: &str) -> Option<Vec<u8>> {
    decode::<5>(text, BASE32)
}

/// Base 64 for addresses (RFC 4648, 5) without padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    encode::<6>(bytes, BASE64)
}

/// Back again.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    decode::<6>(text, BASE64)
}

fn encode<const BITS: u32>(bytes: &[u8], alphabet: &[u8]) -> String {
    let mut out = String::new();
    let (mut held, mut bits) = (0_u32, 0);
    let letter = |held: u32| char::from(alphabet[(held & ((1 << BITS) - 1)) as usize]);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= BITS {
            bits -= BITS;
            out.push(letter(held >> bits));
        }
    }
    if bits > 0 {
        out.push(letter(held << (BITS - bits)));
    }
    out
}

fn decode<const BITS: u32>(text: &str, alphabet: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut held, mut bits) = (0_u32, 0);
    for c in text.bytes() {
        let value = alphabet.iter().position(|letter| *letter == c)?;
        held = (held << BITS) | u32::try_from(value).ok()?;
        bits += BITS;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((held >> bits) & 0xFF).ok()?);
        }
        held &= (1 << bits) - 1;
    }
    // A rest is filled with zeros, and is shorter than a letter.
    (held == 0 && bits < BITS).then_some(out)
}

/// `20140218T143725Z` as a moment; `None` if it is anything else, or before 1970.
pub(super) fn moment(text: &str) -> Option<Instant> {
    let bytes = text.as_bytes();
    let framed = bytes.len() == 16 && bytes[8] == b'T' && bytes[15] == b'Z';
    let digits = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_i16, |sum, c| c.is_ascii_digit().then(|| sum * 10 + i16::from(c - b'0')))
    };
    if !framed {
        return None;
    }
    let small = |from: usize| i8::try_from(digits(from, from + 2)?).ok();
    let date = jiff::civil::DateTime::new(
        digits(0, 4)?,
        small(4)?,
        small(6)?,
        small(9)?,
        small(11)?,
        small(13)?,
        0,
    );
    let stamp = date.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Instant::from_nanos(u64::try_from(stamp.as_nanosecond()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_go_there_and_back() {
        // RFC 4648, 10, without padding.
        for (bytes, thirty_two, sixty_four) in [
            ("", "", ""),
            ("f", "MY", "Zg"),
            ("fo", "MZXQ", "Zm8"),
            ("foo", "MZXW6", "Zm9v"),
            ("foob", "MZXW6YQ", "Zm9vYg"),
            ("fooba", "MZXW6YTB", "Zm9vYmE"),
            ("foobar", "MZXW6YTBOI", "Zm9vYmFy"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), thirty_two);
            assert_eq!(base64(bytes.as_bytes()), sixty_four);
            assert_eq!(unbase32(thirty_two).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(unbase64(sixty_four).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["M", "MZ", "my", "MY======", "MZX", "M1"] {
            assert_eq!(unbase32(text), None, "{text}");
        }
        for text in ["Z", "Zh", "Zg==", "Zm9v+"] {
            assert_eq!(unbase64(text), None, "{text}");
        }
        let bytes = sha(7);
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex(&hex(&bytes).to_uppercase()), None);
        assert_eq!(unhex("00"), None);
    }

    fn sha(n: u8) -> [u8; 32] {
        super::super::sha256(&[n])
    }

    #[test]
    fn moments_are_read_exactly() {
        for (text, seconds) in [
            ("19700101T000000Z", Some(0)),
            ("20150830T123600Z", Some(1_440_938_160)),
            ("20240229T235959Z", Some(1_709_251_199)),
            ("20230229T000000Z", None),
            ("19691231T235959Z", None),
            ("20150830T123600", None),
            ("20150830T1236000", None),
            ("2015083aT123600Z", None),
            ("20150830T126000Z", None),
            ("2015-08-30T12:36:00Z", None),
            ("", None),
        ] {
            let want = seconds.map(|s: u64| Instant::from_nanos(s * 1_000_000_000));
            assert_eq!(moment(text), want, "{text}");
        }
    }
}
