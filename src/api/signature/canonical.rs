//! The text that is signed: one spelling for all spellings of a request ("create a canonical request").
//!
//! Holds the rules of every service but S3: the path is encoded once more, and the body counts as it
//! came, whatever `X-Amz-Content-Sha256` says of it. So a request that leaves its body unsigned is
//! refused, as EC2 does.

use super::claim::{Claim, Place};
use super::{Unsigned, sha256, text};
use crate::api::http::Request;

/// The canonical request.
pub(super) fn request(request: &Request, claim: &Claim) -> Result<String, Unsigned> {
    let method = request.method.word().ok_or(Unsigned::Mismatch)?;
    let mut out =
        format!("{method}\n{}\n{}\n", path(&request.path), query(&request.query, claim.place));
    covered(request, claim)?;
    for name in &claim.headers {
        out.push_str(name);
        out.push(':');
        for (row, value) in request.headers.all(name).enumerate() {
            if row > 0 {
                out.push(',');
            }
            // Values that are not text have no canonical spelling.
            let value = std::str::from_utf8(value).map_err(|_| Unsigned::Mismatch)?;
            for (row, word) in value.split_ascii_whitespace().enumerate() {
                if row > 0 {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&claim.headers.join(";"));
    out.push('\n');
    out.push_str(&text::hex(&sha256(&request.body)));
    Ok(out)
}

/// Every header that must be signed is, and every header that is said to be is there.
fn covered(request: &Request, claim: &Claim) -> Result<(), Unsigned> {
    let signed = |name: &str| claim.headers.iter().any(|have| have == name);
    if !signed("host") {
        return Err(Unsigned::Incomplete("SignedHeaders must name host."));
    }
    if !claim.headers.iter().all(|name| request.headers.has(name)) {
        return Err(Unsigned::Incomplete("SignedHeaders names a header that is not there."));
    }
    let ours = |name: &str| name.starts_with("x-amz-");
    if !request.headers.names().all(|(name, _)| !ours(name) || signed(name)) {
        return Err(Unsigned::Incomplete("SignedHeaders must name each X-Amz- header."));
    }
    Ok(())
}

/// The path without dots and empty parts, encoded once more.
fn path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = String::from("/");
    for (row, part) in parts.iter().enumerate() {
        if row > 0 {
            out.push('/');
        }
        encode(part.as_bytes(), &mut out);
    }
    if path.ends_with('/') && !parts.is_empty() {
        out.push('/');
    }
    out
}

/// The query, sorted, in one encoding; without the signature itself.
fn query(query: &str, place: Place) -> String {
    let mut pairs: Vec<(String, String)> = decoded_pairs(query)
        .into_iter()
        .filter(|(name, _)| place == Place::Header || name != b"X-Amz-Signature")
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The names and values of a query as bytes. What is no encoding stands for itself.
pub(in crate::api) fn decoded_pairs(query: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = digit(at + 1).zip(digit(at + 2));
        match (bytes[at], pair) {
            (b'%', Some((high, low))) => {
                out.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn encoded(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    encode(bytes, &mut out);
    out
}

/// Percent-encodes all but the unreserved characters (RFC 3986, 2.3).
fn encode(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for (given, want) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b/", "/b/"),
            ("/../a//b", "/a/b"),
            ("/a%20b", "/a%2520b"),
            ("/-._~", "/-._~"),
        ] {
            assert_eq!(path(given), want, "{given}");
        }
    }

    #[test]
    fn queries_have_one_spelling() {
        for (given, want) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1", "a=1&a=2"),
            ("a", "a="),
            ("a=b=c", "a=b%3Dc"),
            ("a=b+c&d=%7e", "a=b%20c&d=~"),
            ("a=%zz&b=%4", "a=%25zz&b=%254"),
            ("a=%c3%a9", "a=%C3%A9"),
            ("a-b=1&a=1", "a=1&a-b=1"),
            ("&&a=1&", "a=1"),
        ] {
            assert_eq!(query(given, Place::Header), want, "{given}");
        }
        assert_eq!(query("X-Amz-Signature=1&a=2", Place::Query), "a=2");
        assert_eq!(query("X-Amz-Signature=1&a=2", Place::Header), "X-Amz-Signature=1&a=2");
    }
}
