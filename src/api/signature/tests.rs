//! Signatures of others, and what breaks them.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::api::http::{Headers, Method};

/// A request that somebody signed.
#[derive(Clone, Debug)]
pub(in crate::api) struct Signed {
    pub(in crate::api) name: String,
    pub(in crate::api) method: Method,
    pub(in crate::api) path: String,
    pub(in crate::api) query: String,
    pub(in crate::api) headers: Vec<(String, String)>,
    pub(in crate::api) body: Vec<u8>,
    pub(in crate::api) secret: String,
    pub(in crate::api) now: Instant,
}

impl Signed {
    pub(in crate::api) fn request(&self) -> Option<Request> {
        let pairs = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Some(Request {
            method: self.method,
            path: self.path.clone(),
            query: self.query.clone(),
            headers: Headers::of(pairs)?,
            body: Bytes::from(self.body.clone()),
            peer: None,
        })
    }

    fn verify_at(&self, now: Instant) -> Result<(), Unsigned> {
        let request = self.request().expect("headers");
        verify(&request, &Claim::of(&request)?, &self.secret, now)
    }

    fn verify(&self) -> Result<(), Unsigned> {
        self.verify_at(self.now)
    }

    fn header(&mut self, name: &str) -> &mut String {
        let found = self.headers.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(name));
        &mut found.unwrap().1
    }
}

/// The worked example of AWS' page "Create a signed AWS API request" and its predecessors.
fn documented() -> Signed {
    let pairs = [
        ("Host", "iam.amazonaws.com"),
        ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("X-Amz-Date", "20150830T123600Z"),
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ];
    Signed {
        name: "AWS' example".to_owned(),
        method: Method::Get,
        path: "/".to_owned(),
        query: "Action=ListUsers&Version=2010-05-08".to_owned(),
        headers: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Vec::new(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        now: text::moment("20150830T123600Z").unwrap(),
    }
}

pub(in crate::api) fn vectors() -> Vec<Signed> {
    let text = include_str!("../../../tests/data/sigv4/vectors.json");
    let rows: Vec<Value> = serde_json::from_str(text).unwrap();
    let read = |row: &Value| {
        let word = |key: &str| row[key].as_str().unwrap().to_owned();
        let headers = row["headers"].as_array().unwrap().iter();
        Signed {
            name: word("name"),
            method: match row["method"].as_str() {
                Some("GET") => Method::Get,
                Some("POST") => Method::Post,
                other => panic!("{other:?}"),
            },
            path: word("path"),
            query: word("query"),
            headers: headers
                .map(|pair| {
                    let word = |at: usize| pair[at].as_str().unwrap().to_owned();
                    (word(0), word(1))
                })
                .collect(),
            body: word("body").into_bytes(),
            secret: word("secret"),
            now: Instant::from_nanos(row["now"].as_u64().unwrap() * 1_000_000_000),
        }
    };
    let mut out = vec![documented()];
    out.extend(rows.iter().map(read));
    assert_eq!(out.len(), 9);
    out
}

#[test]
fn signatures_of_others_hold() {
    for signed in vectors() {
        assert_eq!(signed.verify(), Ok(()), "{}", signed.name);
        let wrong = Signed { secret: format!("{}x", signed.secret), ..signed };
        assert_eq!(wrong.verify(), Err(Unsigned::Mismatch), "{}", wrong.name);
    }
}

#[test]
fn a_signature_holds_for_its_time_only() {
    let second = Span::from_secs(1);
    for signed in vectors() {
        let presigned = signed.query.contains("X-Amz-Signature");
        // All vectors are presigned for as long as the others hold.
        let life = Span::from_secs(900);
        let early = Instant::from_nanos(signed.now.as_nanos() - life.as_nanos());
        let too_early = Instant::from_nanos(early.as_nanos() - 1);
        for (now, want) in [
            (early, Ok(())),
            (too_early, Err(Unsigned::Expired)),
            (signed.now + life, Ok(())),
            (signed.now + life + Span::TICK, Err(Unsigned::Expired)),
            (signed.now + life + second, Err(Unsigned::Expired)),
            (Instant::START, Err(Unsigned::Expired)),
            (Instant::NEVER, Err(Unsigned::Expired)),
        ] {
            assert_eq!(signed.verify_at(now), want, "{} {presigned} {now:?}", signed.name);
        }
    }
}

/// The places of a request that its signature covers.
#[derive(Clone, Copy, Debug)]
enum Spot {
    Path,
    Query,
    Header(usize),
    Body,
    Method,
}

fn spots(signed: &Signed) -> Vec<Spot> {
    let mut out = vec![Spot::Method, Spot::Path];
    if !signed.query.is_empty() {
        out.push(Spot::Query);
    }
    if !signed.body.is_empty() {
        out.push(Spot::Body);
    }
    out.extend((0..signed.headers.len()).map(Spot::Header));
    out
}

proptest! {
    /// Whatever byte is changed: either the request still says the same, or it is refused.
    #[test]
    fn a_changed_byte_breaks_it(row in 0..9_usize, pick: prop::sample::Index, at: prop::sample::Index, byte: u8) {
        let signed = vectors().swap_remove(row);
        let spots = spots(&signed);
        let spot = spots[pick.index(spots.len())];
        let mut changed = signed.clone();
        let replace = |text: &mut Vec<u8>| {
            let at = at.index(text.len());
            text[at] = byte;
        };
        let replace_text = |text: &mut String| {
            let mut bytes = text.clone().into_bytes();
            replace(&mut bytes);
            // A head holds text only.
            if let Ok(new) = String::from_utf8(bytes) && !new.is_empty() {
                *text = new;
            }
        };
        match spot {
            Spot::Method => changed.method = Method::Put,
            Spot::Path => replace_text(&mut changed.path),
            Spot::Query => replace_text(&mut changed.query),
            Spot::Header(row) => replace_text(&mut changed.headers[row].1),
            Spot::Body => {
                let mut bytes = changed.body.clone();
                replace(&mut bytes);
                changed.body = bytes;
            }
        }
        let Some(request) = changed.request() else { return Ok(()) };
        let same = match Claim::of(&request) {
            Err(_) => false,
            Ok(mut claim) => {
                let before = signed.request().unwrap();
                let old = Claim::of(&before).unwrap();
                // The key is not signed: it names the secret, and another has another.
                claim.scope.key.clone_from(&old.scope.key);
                let one = canonical::request(&before, &old);
                claim == old && canonical::request(&request, &claim) == one
            }
        };
        let outcome = changed.verify();
        prop_assert_eq!(outcome.is_ok(), same, "{} {:?}: {:?}", changed.name, spot, outcome);
    }

    /// No request, however odd, does more than being refused.
    #[test]
    fn nonsense_is_refused(
        query in ".{0,80}",
        authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,120}",
        date in "[0-9TZ]{0,17}",
    ) {
        let mut signed = documented();
        signed.query = query;
        *signed.header("authorization") = authorization;
        *signed.header("x-amz-date") = date;
        prop_assert!(signed.verify().is_err());
    }
}

#[test]
fn what_must_be_signed_is() {
    let incomplete = |result: Result<(), Unsigned>| matches!(result, Err(Unsigned::Incomplete(_)));
    let vectors = vectors();
    // A header of AWS' own that somebody added on the way.
    let mut added = vectors[1].clone();
    added.headers.push(("X-Amz-Security-Token".to_owned(), "token".to_owned()));
    assert!(incomplete(added.verify()));
    // One that says of the body what it is not: the body itself counts, see `canonical`.
    let mut unsigned = vectors[1].clone();
    unsigned.headers.push(("X-Amz-Content-Sha256".to_owned(), "UNSIGNED-PAYLOAD".to_owned()));
    assert!(incomplete(unsigned.verify()));
    // Other headers may be added: proxies do.
    let mut traced = vectors[1].clone();
    traced.headers.push(("X-Forwarded-For".to_owned(), "192.0.2.1".to_owned()));
    assert_eq!(traced.verify(), Ok(()));
    // Nor may one be there twice that is signed once.
    let mut twice = vectors[1].clone();
    twice.headers.push(("Content-Type".to_owned(), "text/plain".to_owned()));
    assert_eq!(twice.verify(), Err(Unsigned::Mismatch));
}

#[test]
fn parts_must_be_there_once_and_whole() {
    const GOOD: &str = "AWS4-HMAC-SHA256 Credential=K/20150830/us-east-1/iam/aws4_request, \
                        SignedHeaders=content-type;host;x-amz-date, Signature=";
    let digits = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let good = format!("{GOOD}{digits}");
    for (from, to, whole) in [
        ("", "", true),
        (", ", ",", true),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", false),
        ("AWS4-HMAC-SHA256", "AWS3-HMAC-SHA256", false),
        ("Credential=", "Credentials=", false),
        ("SignedHeaders=content-type;host;x-amz-date, ", "", false),
        ("content-type;host", "host;content-type", false),
        ("content-type;host", "host", true),
        ("content-type;host", "content-type", true),
        ("content-type;host", "host;host", false),
        ("/aws4_request", "/aws5_request", false),
        ("/aws4_request", "/aws4_request/x", false),
        ("/aws4_request", "", false),
        ("us-east-1", "", false),
        ("20150830", "20150831", false),
        ("5d67", "5D67", false),
        ("5d67", "5d6", false),
        (", Signature", ", Credential=x, Signature", false),
        (", Signature", ", Odd=x, Signature", false),
    ] {
        let mut signed = documented();
        *signed.header("authorization") = good.replacen(from, to, 1);
        let claim = Claim::of(&signed.request().unwrap());
        assert_eq!(claim.is_ok(), whole, "{from} -> {to}: {claim:?}");
    }
    let mut none = documented();
    none.headers.retain(|(name, _)| name != "Authorization");
    assert_eq!(none.verify(), Err(Unsigned::Absent));
    let mut both = documented();
    both.query.push_str("&X-Amz-Signature=00");
    assert!(matches!(both.verify(), Err(Unsigned::Incomplete(_))));
}

/// A request of EC2 signed by our own hand: for credentials that only we can make.
pub(in crate::api) fn sign(
    key: &str,
    secret: &str,
    token: Option<&str>,
    now: Instant,
    body: &'static str,
) -> Request {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(now.as_nanos())).unwrap();
    let date = stamp.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &date[..8];
    let mut headers = vec![("host", "localhost"), ("x-amz-date", &date)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = names.join(";");
    let hash = text::hex(&sha256(body.as_bytes()));
    let canonical = format!("POST\n/\n\n{lines}\n{names}\n{hash}");
    let scope = format!("{day}/us-east-1/ec2/aws4_request");
    let hash = text::hex(&sha256(canonical.as_bytes()));
    let text_to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let signing = [day, "us-east-1", "ec2", "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
            mac(&key, &[part.as_bytes()]).to_vec()
        });
    let signature = text::hex(&mac(&signing, &[text_to_sign.as_bytes()]));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    headers.push(("authorization", &authorization));
    Request {
        method: Method::Post,
        path: "/".to_owned(),
        query: String::new(),
        headers: Headers::of(headers.iter().copied()).unwrap(),
        body: Bytes::from_static(body.as_bytes()),
        peer: None,
    }
}
