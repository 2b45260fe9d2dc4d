//! Rows of questions and what is said to them; then bytes of any kind.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use proptest::prelude::*;

use super::super::tests::{Lab, support_off};
use super::*;
use crate::cloud::profile::Profile;

const A_: u16 = 1;
const PTR_: u16 = 12;
const TXT_: u16 = 16;
const AAAA_: u16 = 28;
/// SVCB's neighbour, which nobody uses.
const UNKNOWN: u16 = 65_000;

/// A query as any client sends it, with the bytes put down by hand.
pub(in super::super) fn query(name: &str, kind: u16) -> Vec<u8> {
    let mut out = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend(kind.to_be_bytes());
    out.extend([0, 1]);
    out
}

/// The same with an OPT record (RFC 6891) of this version.
fn extended(name: &str, kind: u16, version: u8) -> Vec<u8> {
    let mut out = query(name, kind);
    out[11] = 1;
    out.extend([0, 0, 41, 0x10, 0, 0, version, 0, 0, 0, 0]);
    out
}

/// The same with the flag of those who check signatures (RFC 4035, 3.2.1).
fn wishing(name: &str, kind: u16) -> Vec<u8> {
    let mut out = extended(name, kind, 0);
    let flags = out.len() - 4;
    out[flags] = 0x80;
    out
}

/// What an answer says: a value, `nodata`, or a code. `None` if it is no answer to `query`'s id.
pub(in super::super) fn said(answer: &[u8]) -> Option<String> {
    if answer.get(..2)? != [0x12, 0x34] || answer.get(2)? & 0x80 == 0 {
        return None;
    }
    // The reader of answers knows no more types than that of questions.
    let mut known = answer.to_vec();
    if let Some(kind) = question_type(answer).and_then(|at| known.get_mut(at..at + 2)) {
        kind.copy_from_slice(&TXT_.to_be_bytes());
    }
    let packet = Packet::parse(&known).ok()?;
    Some(match (packet.rcode(), packet.answers.first().map(|record| &record.rdata)) {
        (RCODE::NoError, Some(RData::A(a))) => Ipv4Addr::from_bits(a.address).to_string(),
        (RCODE::NoError, Some(RData::PTR(PTR(name)))) => name.to_string(),
        (RCODE::NoError, None) => "nodata".to_owned(),
        (RCODE::NameError, None) => "nxdomain".to_owned(),
        (RCODE::FormatError, None) => "formerr".to_owned(),
        (RCODE::NotImplemented, None) => "notimp".to_owned(),
        (RCODE::Refused, None) => "refused".to_owned(),
        other => format!("{other:?}"),
    })
}

fn asked(lab: &Lab, host: InterfaceId, query: &[u8]) -> String {
    match respond(query, host, lab) {
        Some(answer) => said(&answer).unwrap_or_else(|| format!("no answer: {answer:02x?}")),
        None => "silence".to_owned(),
    }
}

const X: &str = "ip-10-10-0-4.ec2.internal";
const Y: &str = "ip-10-20-0-4.ec2.internal";

#[test]
fn questions_have_answers() {
    let (seed, today) = (Lab::new(Profile::Seed), Lab::new(Profile::Today));
    let own = seed.public_name();
    let outside = seed.public.to_string();
    let backwards = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        format!("{d}.{c}.{b}.{a}.in-addr.arpa")
    };
    let back = backwards(seed.public);
    for (lab, host, name, kind, want) in [
        (&seed, seed.x.1, X, A_, "10.10.0.4"),
        (&seed, seed.x.1, "IP-10-10-0-4.EC2.Internal.", A_, "10.10.0.4"),
        (&seed, seed.x.1, X, AAAA_, "nodata"),
        (&seed, seed.x.1, X, TXT_, "nodata"),
        (&seed, seed.x.1, X, UNKNOWN, "nodata"),
        // Nobody has the address, or nothing in the emulated world the name.
        (&seed, seed.x.1, "ip-10-10-0-5.ec2.internal", A_, "nxdomain"),
        (&seed, seed.x.1, "example.com", A_, "nxdomain"),
        (&seed, seed.x.1, "example.com", UNKNOWN, "nxdomain"),
        (&seed, seed.x.1, "", A_, "nxdomain"),
        // In the rules of 2014-15 private names and values stay at home (vpc-semantics 3.9).
        (&seed, seed.x.1, Y, A_, "nxdomain"),
        (&today, today.x.1, Y, A_, "10.20.0.4"),
        (&today, today.y.1, X, A_, "10.10.0.4"),
        (&seed, seed.x.1, &own, A_, "10.10.0.4"),
        (&seed, seed.y.1, &own, A_, &outside),
        // Addresses back to names.
        (&seed, seed.x.1, "4.0.10.10.in-addr.arpa", PTR_, X),
        (&seed, seed.x.1, "4.0.10.10.in-addr.arpa", A_, "nodata"),
        (&seed, seed.x.1, "4.0.20.10.in-addr.arpa", PTR_, "nxdomain"),
        (&seed, seed.x.1, "10.10.in-addr.arpa", PTR_, "nxdomain"),
        (&seed, seed.y.1, &back, PTR_, &own),
    ] {
        let question = query(name, kind);
        assert_eq!(asked(lab, host, &question), want, "{name:?} of type {kind}");
        // The answer repeats the question, in the case in which it came.
        let answer = respond(&question, host, lab).unwrap_or_default();
        assert_eq!(answer.get(12..question.len()), question.get(12..), "{name:?} of type {kind}");
        // A client that says what it can take is told no less.
        assert_eq!(asked(lab, host, &extended(name, kind, 0)), want, "{name:?}, type {kind}, OPT");
    }
}

#[test]
fn what_is_no_question_is_refused() {
    let lab = Lab::new(Profile::Seed);
    let changed = |at: usize, value: u8| {
        let mut query = query(X, A_);
        query[at] = value;
        query
    };
    let class = query(X, A_).len() - 1;
    let mut cut = query(X, A_);
    cut.pop();
    let mut long = query(X, A_);
    long.resize(QUERY_BYTES_MAX + 1, 0);
    for (what, query, want) in [
        ("two questions", changed(5, 2), "formerr"),
        ("no question", changed(5, 0), "formerr"),
        ("an answer with it", changed(7, 1), "formerr"),
        ("more than there is", changed(10, 255), "formerr"),
        ("cut off", cut, "formerr"),
        ("too long", long, "formerr"),
        ("a label that is too long", changed(12, 63), "formerr"),
        (
            "a name that never ends",
            [&query(X, A_)[..12], &[0xc0, 12, 0, 1, 0, 1]].concat(),
            "formerr",
        ),
        ("the class of chaos", changed(class, 3), "refused"),
        ("no class", changed(class, 77), "refused"),
        ("a status request", changed(2, 2 << 3), "notimp"),
        // What is not understood is told with what is.
        ("a later version", extended(X, A_, 1), "10.10.0.4"),
        ("a wish for signatures", wishing(X, A_), "10.10.0.4"),
        ("an answer", changed(2, 0x80), "silence"),
        ("half a header", vec![0x12, 0x34, 1], "silence"),
        ("nothing", Vec::new(), "silence"),
    ] {
        assert_eq!(asked(&lab, lab.x.1, &query), want, "{what}");
    }
}

#[test]
fn without_support_there_is_nobody_to_answer() {
    let lab = Lab::new(Profile::Seed);
    lab.act(&support_off(lab.a));
    assert_eq!(asked(&lab, lab.x.1, &query(X, A_)), "silence");
    assert_eq!(asked(&lab, lab.y.1, &query(Y, A_)), "10.20.0.4");
}

proptest! {
    /// Any bytes, and queries that are almost right: each answer is one to its question.
    #[test]
    fn bytes_of_any_kind_are_borne(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        at in 0_usize..64,
        kind in any::<u16>(),
    ) {
        let lab = Lab::new(Profile::Seed);
        let mut almost = query(X, kind);
        let end = almost.len().min(at + bytes.len().min(4));
        for (place, byte) in almost.iter_mut().take(end).skip(at).zip(&bytes) {
            *place = *byte;
        }
        let mut named = query("", kind)[..12].to_vec();
        named.extend(&bytes);
        for query in [bytes, almost, named] {
            if let Some(answer) = respond(&query, lab.x.1, &lab) {
                prop_assert!(answer.len() <= query.len() + 600);
                prop_assert_eq!(&answer[..2], &query[..2]);
                prop_assert!(answer[2] & 0x80 != 0);
            }
        }
    }
}
