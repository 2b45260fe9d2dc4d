//! Words for bytes that are not a packet, so that a trace can show what was dropped.
//!
//! Holds one function that believes nothing: it reads what is there and says so. Refuses to decide
//! anything; a [`super::Malformed`] says what is wrong.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Protocol;

/// How many bytes [`describe`] shows in hexadecimal: IPv4's header without options.
const SHOWN: usize = 20;

/// What `bytes` look like: version, addresses and protocol if they are there, the length, and the
/// first 20 bytes. At most 200 characters of printable ASCII, whatever the bytes are.
///
/// The addresses are what the bytes claim; where a checksum is wrong they may be wrong too.
pub fn describe(bytes: &[u8]) -> String {
    let mut text = claims(bytes);
    // Writing to a string cannot fail.
    let _ = write!(text, "{} bytes", bytes.len());
    for (i, byte) in bytes.iter().take(SHOWN).enumerate() {
        let _ = write!(text, "{}{byte:02x}", if i == 0 { ": " } else { " " });
    }
    if bytes.len() > SHOWN {
        text.push_str(" ..");
    }
    text
}

fn claims(bytes: &[u8]) -> String {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => match bytes.first_chunk::<20>() {
            Some(h) => {
                let source = Ipv4Addr::new(h[12], h[13], h[14], h[15]);
                let destination = Ipv4Addr::new(h[16], h[17], h[18], h[19]);
                format!("ipv4 {source} > {destination} {}, ", Protocol(h[9]))
            }
            None => "ipv4, ".to_owned(),
        },
        Some(6) => match bytes.first_chunk::<40>() {
            Some(h) => {
                let [source, destination] = [&h[8..24], &h[24..40]]
                    .map(|half| Ipv6Addr::from(*half.first_chunk().unwrap_or(&[0; 16])));
                format!("ipv6 {source} > {destination} {}, ", Protocol(h[6]))
            }
            None => "ipv6, ".to_owned(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_as_much_as_there_is() {
        for (bytes, text) in [
            (&b""[..], "0 bytes"),
            (b"\x1b[31m", "5 bytes: 1b 5b 33 31 6d"),
            (b"\x45\x00", "ipv4, 2 bytes: 45 00"),
            (b"\x60", "ipv6, 1 bytes: 60"),
            (
                b"\x45\x00\x00\x1c\x00\x00\x40\x00\x40\x11\xff\xff\x0a\x01\x00\x0a\x0a\x02\x00\x0a!",
                "ipv4 10.1.0.10 > 10.2.0.10 udp, 21 bytes: \
                 45 00 00 1c 00 00 40 00 40 11 ff ff 0a 01 00 0a 0a 02 00 0a ..",
            ),
        ] {
            assert_eq!(describe(bytes), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn stays_short_and_printable(
            version in proptest::sample::select(&[0x45_u8, 0x60, 0x00][..]),
            mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..100),
        ) {
            bytes[0] = version;
            let text = describe(&bytes);
            proptest::prop_assert!(text.len() <= 200, "{} characters: {text}", text.len());
            proptest::prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
        }
    }
}
