//! Rows of requests: which there are, with which token, and what is told.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use http_body_util::BodyExt as _;

use super::super::tests::Lab;
use super::*;
use crate::cloud::instance::hardware_address;
use crate::cloud::profile::Profile;

/// Asks, and brings back the status and the text.
fn ask(
    lab: &Lab,
    tokens: &Tokens,
    method: &Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (u16, String) {
    let headers = headers.iter().map(|(name, value)| {
        (hyper::header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    });
    let reply = answer(method, path, &headers.collect(), tokens, lab.x.1, lab);
    let status = reply.status().as_u16();
    let mut body = Box::pin(reply.into_body().collect());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(body) = body.as_mut().poll(&mut context) else {
        unreachable!("the whole of it is there")
    };
    (status, String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap())
}

fn get(lab: &Lab, path: &str) -> (u16, String) {
    ask(lab, &Tokens::new(), &Method::GET, path, &[])
}

#[test]
fn an_instance_is_told_what_it_is() {
    let lab = Lab::new(Profile::Seed);
    let (instance, interface) = lab.x;
    let mac = hardware_address(interface);
    let name = "ip-10-10-0-4.ec2.internal";
    let of_interface = |leaf: &str| format!("network/interfaces/macs/{mac}/{leaf}");
    let public = lab.public.to_string();
    for (path, want) in [
        ("instance-id".to_owned(), instance.to_string()),
        ("local-ipv4".to_owned(), "10.10.0.4".to_owned()),
        ("mac".to_owned(), mac.clone()),
        ("hostname".to_owned(), name.to_owned()),
        ("local-hostname".to_owned(), name.to_owned()),
        ("public-ipv4".to_owned(), public.clone()),
        ("public-hostname".to_owned(), lab.public_name()),
        ("placement/region".to_owned(), "us-east-1".to_owned()),
        ("placement/availability-zone".to_owned(), "us-east-1a".to_owned()),
        (of_interface("vpc-id"), lab.a.to_string()),
        (of_interface("interface-id"), interface.to_string()),
        (of_interface("device-number"), "0".to_owned()),
        (of_interface("vpc-ipv4-cidr-blocks"), "10.10.0.0/16".to_owned()),
        (of_interface("subnet-ipv4-cidr-block"), "10.10.0.0/16".to_owned()),
        (of_interface(&format!("ipv4-associations/{public}")), "10.10.0.4".to_owned()),
        // Folders.
        ("placement/".to_owned(), "availability-zone\navailability-zone-id\nregion".to_owned()),
        ("network".to_owned(), "interfaces/".to_owned()),
        ("network/interfaces/macs/".to_owned(), format!("{mac}/")),
    ] {
        assert_eq!(get(&lab, &format!("/latest/meta-data/{path}")), (200, want), "{path}");
    }
    assert_eq!(get(&lab, "/"), (200, "latest/".to_owned()));
    assert_eq!(get(&lab, "/latest"), (200, "meta-data/".to_owned()));
    let (_, listing) = get(&lab, "/latest/meta-data/");
    let want = "hostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nmac\nnetwork/\nplacement/\n\
                public-hostname\npublic-ipv4";
    assert_eq!(listing, want);
}

#[test]
fn what_there_is_not_is_not_found() {
    let lab = Lab::new(Profile::Seed);
    for path in [
        "/latest/user-data",
        "/latest/meta-data/iam/security-credentials/",
        "/latest/meta-data/instance-id/",
        "/latest/meta-data/place",
        "/latest/meta-data/ipv6",
        "/latest/meta-data/../meta-data/mac",
        "/latest/dynamic/instance-identity/document",
        "/1.0/",
    ] {
        assert_eq!(get(&lab, path).0, 404, "{path}");
    }
}

#[test]
fn tokens_are_made_and_known_again() {
    let lab = Lab::new(Profile::Seed);
    let tokens = Tokens::new();
    let put = |headers: &[_]| ask(&lab, &tokens, &Method::PUT, TOKEN_PATH, headers);
    let with = |token: &str| {
        let path = "/latest/meta-data/mac";
        ask(&lab, &tokens, &Method::GET, path, &[(TOKEN_HEADER, token)]).0
    };
    for seconds in ["1", "21600"] {
        let (status, token) = put(&[(TTL_HEADER, seconds)]);
        assert_eq!((status, with(&token)), (200, 200));
        let mut other = token.clone();
        let last = if other.pop() == Some('0') { '1' } else { '0' };
        other.push(last);
        assert_eq!(with(&other), 401, "a token that was changed");
        let later = format!("ffffffff{}", &token[8..]);
        assert_eq!(with(&later), 401, "a token that would live longer");
    }
    for bad in ["", "0", "21601", "-1", "1h"] {
        assert_eq!(put(&[(TTL_HEADER, bad)]).0, 400, "{bad}");
    }
    assert_eq!(put(&[]).0, 400);
    assert_eq!(put(&[(TTL_HEADER, "60"), ("x-forwarded-for", "10.0.0.1")]).0, 403);
    assert_eq!(with(""), 401);
    assert_eq!(with(&Tokens::new().make(60)), 401, "of another server");
}

#[test]
fn a_token_ends() {
    let tokens = Tokens::new();
    let past = Tokens { seals: tokens.seals.clone(), begun: tokens.begun };
    let token = past.make(60);
    assert!(tokens.is_valid(&token));
    // The same seals an hour on.
    let Some(begun) = tokens.begun.checked_sub(Duration::from_secs(3600)) else { return };
    let later = Tokens { seals: tokens.seals.clone(), begun };
    assert!(!later.is_valid(&token));
}

#[test]
fn other_methods_are_refused() {
    let lab = Lab::new(Profile::Seed);
    for (method, path, want) in [
        (Method::GET, TOKEN_PATH, 405),
        (Method::PUT, "/latest/meta-data/mac", 404),
        (Method::POST, "/latest/meta-data/mac", 405),
        (Method::DELETE, "/", 405),
    ] {
        let got = ask(&lab, &Tokens::new(), &method, path, &[(TTL_HEADER, "60")]).0;
        assert_eq!(got, want, "{method} {path}");
    }
}
