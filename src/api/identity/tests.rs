//! Who is recognised, by which rule.

use super::*;
use crate::api::http::{Headers, Method};
use crate::api::signature::tests::vectors;

const SEED: Seed = Seed::new([3; 32]);
const NOW: Instant = Instant::from_nanos(1_773_500_966_000_000_000);

fn request(query: &str, headers: &[(&str, &str)], body: &'static str) -> Request {
    Request {
        method: Method::Post,
        path: "/".to_owned(),
        query: query.to_owned(),
        headers: Headers::of(headers.iter().copied()).unwrap(),
        body: body.into(),
        peer: None,
    }
}

fn keys() -> Keys {
    let table = r#"{"keys": [
        {"access_key": "AKIAIOSFODNN7EXAMPLE", "account": "111122223333",
         "secret": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
        {"access_key": "TEAM_A", "account": "333344445555"}
    ]}"#;
    Keys::new(SEED).with_table(table).unwrap()
}

#[test]
fn callers_are_believed() {
    let identities = Identities::new(keys());
    let header = |key: &str, region: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260314/{region}/ec2/aws4_request, SignedHeaders="
        )
    };
    for (key, account) in [
        ("444455556666", "444455556666"),
        ("000000000000", "000000000000"),
        ("TEAM_A", "333344445555"),
        ("AKIAIOSFODNN7EXAMPLE", "111122223333"),
        ("test", "123456789012"),
        ("4444555566667", "123456789012"),
        ("44445555666", "123456789012"),
        ("ASIAQAAAAAAAGMKEM7X5", "123456789012"),
    ] {
        let authorization = header(key, "eu-west-1");
        let identity =
            identities.of(&request("", &[("authorization", &authorization)], ""), NOW).unwrap();
        assert_eq!(identity.caller.account.to_string(), account, "{key}");
        assert_eq!(identity.caller.region.as_str(), "eu-west-1");
        assert!(identity.is_for("ec2") && !identity.is_for("sts"));
        assert_eq!(identity.access_key.as_deref(), Some(key));
        assert_eq!(identity.arn(), format!("arn:aws:iam::{account}:root"));
        assert_eq!(identity.user_id(), account);
    }
    let nowhere = header("test", "Nowhere");
    let refused = identities.of(&request("", &[("authorization", &nowhere)], ""), NOW).unwrap_err();
    assert_eq!((refused.code, refused.status), ("AuthFailure", 401));
}

#[test]
fn keys_stand_in_several_places() {
    let identities = Identities::new(keys());
    const PRESIGNED: &str =
        "X-Amz-Credential=444455556666%2F20260314%2Feu-west-1%2Fsts%2Faws4_request";
    for (query, headers, body, account, region, for_sts) in [
        (PRESIGNED, &[][..], "", "444455556666", "eu-west-1", true),
        ("AWSAccessKeyId=444455556666", &[], "", "444455556666", "us-east-1", false),
        ("", &[], "Action=X&AWSAccessKeyId=444455556666", "444455556666", "us-east-1", false),
        ("", &[], "Action=X", "123456789012", "us-east-1", false),
        ("", &[("authorization", "Basic YTpi")], "", "123456789012", "us-east-1", false),
        (
            PRESIGNED,
            &[("authorization", "Credential=TEAM_A/20260314/us-west-2/ec2/aws4_request")],
            "",
            "333344445555",
            "us-west-2",
            false,
        ),
    ] {
        let identity = identities.of(&request(query, headers, body), NOW).unwrap();
        assert_eq!(identity.caller.account.to_string(), account, "{query} {body}");
        assert_eq!(identity.caller.region.as_str(), region, "{query} {body}");
        assert_eq!(identity.is_for("sts"), for_sts, "{query} {body}");
    }
}

#[test]
fn sessions_belong_to_their_role() {
    let identities = Identities::new(keys());
    let account: AccountId = "777788889999".parse().unwrap();
    let session = RoleSession::new(account, "deploy", "alice").unwrap();
    let mut minted =
        (0..2).map(|_| identities.keys.mint_session(&session, Span::from_hours(1), NOW));
    let (one, two) = (minted.next().unwrap(), minted.next().unwrap());
    assert_ne!(one.access_key, two.access_key);
    assert_eq!(one.expires, NOW + Span::from_hours(1));
    let header = format!("AWS4 Credential={}/20260314/us-east-1/ec2/aws4_request", one.access_key);
    let with = |token: &str| {
        let request =
            request("", &[("authorization", &header), ("x-amz-security-token", token)], "");
        identities.of(&request, NOW).unwrap()
    };
    let role = with(&one.token);
    assert_eq!(role.caller.account, account);
    assert_eq!(role.arn(), "arn:aws:sts::777788889999:assumed-role/deploy/alice");
    assert!(role.user_id().ends_with(":alice"));
    // The key alone names the account, but nobody in it.
    for token in [two.token.as_str(), "nonsense"] {
        let root = with(token);
        assert_eq!(root.caller.account, account);
        assert_eq!(root.principal, Principal::Root);
    }
}

#[test]
fn callers_prove_themselves() {
    let mut identities = Identities::new(keys());
    identities.verification = Verification::On;
    for signed in vectors().into_iter().filter(|signed| signed.now == NOW) {
        let has_token = signed.name.contains("token");
        let outcome = identities.of(&signed.request().unwrap(), signed.now);
        if has_token {
            // A token of somebody else's.
            let sts = signed.name.contains("sts");
            let want = if sts { "InvalidClientTokenId" } else { "AuthFailure" };
            assert_eq!(outcome.unwrap_err().code, want, "{}", signed.name);
        } else {
            let identity = outcome.unwrap();
            assert_eq!(identity.caller.account.to_string(), "111122223333", "{}", signed.name);
        }
        let late = identities.of(&signed.request().unwrap(), signed.now + Span::from_hours(1));
        let want = if has_token { 401..=403 } else { 400..=400 };
        assert!(want.contains(&late.unwrap_err().status));
        // Others have no secret, or none at all.
        for key in ["TEAM_A", "444455556666", "AKIAIOSFODNN7EXAMPLF"] {
            let mut other = signed.clone();
            let swap = |text: &str| text.replace("AKIAIOSFODNN7EXAMPLE", key);
            other.query = swap(&other.query);
            other.headers.iter_mut().for_each(|(_, value)| *value = swap(value));
            let refused = identities.of(&other.request().unwrap(), NOW).unwrap_err();
            assert!(["AuthFailure", "InvalidClientTokenId"].contains(&refused.code), "{key}");
        }
    }
    let nobody = identities.of(&request("", &[("host", "localhost")], ""), NOW).unwrap_err();
    assert_eq!((nobody.code, nobody.status), ("MissingAuthenticationToken", 403));
    let basic = [("host", "localhost"), ("authorization", "Basic YTpi")];
    let basic = identities.of(&request("", &basic, ""), NOW).unwrap_err();
    assert_eq!((basic.code, basic.status), ("IncompleteSignature", 400));
}

#[test]
fn minted_credentials_sign() {
    let mut identities = Identities::new(keys());
    identities.verification = Verification::On;
    let account: AccountId = "777788889999".parse().unwrap();
    let session = RoleSession::new(account, "deploy", "alice").unwrap();
    let minted = identities.keys.mint_session(&session, Span::from_secs(60), NOW);
    let sign = |token: &str, secret: &str| {
        signature::tests::sign(&minted.access_key, secret, Some(token), NOW, "Action=DescribeVpcs")
    };
    let good = sign(&minted.token, &minted.secret);
    let identity = identities.of(&good, NOW).unwrap();
    assert_eq!(identity.caller.account, account);
    assert_eq!(identity.arn(), session.arn());
    let code = |request: &Request, now| identities.of(request, now).unwrap_err().code;
    assert_eq!(code(&good, NOW + Span::from_secs(60)), "RequestExpired");
    assert_eq!(code(&sign(&minted.token, "guessed"), NOW), "SignatureDoesNotMatch");
    let other = identities.keys.mint_session(&session, Span::from_secs(60), NOW);
    assert_eq!(code(&sign(&other.token, &other.secret), NOW), "AuthFailure");
    let bare = signature::tests::sign(
        &minted.access_key,
        &minted.secret,
        None,
        NOW,
        "Action=DescribeVpcs",
    );
    assert_eq!(code(&bare, NOW), "AuthFailure");
}

#[test]
fn tables_are_read_strictly() {
    let row = |key: &str, secret: &str, account: &str| {
        format!(r#"{{"access_key": "{key}", "secret": "{secret}", "account": "{account}"}}"#)
    };
    let good = row("A", "s", "111122223333");
    let long = "x".repeat(129);
    for (rows, want) in [
        (vec![], None),
        (vec![good.clone()], None),
        (vec![row("111122223333", "s", "111122223333")], None),
        (vec![good.clone(), good.clone()], Some("key 2: the access key stands in the file before")),
        (vec![row("111122223334", "s", "111122223333")], Some("key 1: an access key of 12 digits")),
        (vec![row("", "s", "111122223333")], Some("key 1: an access key has")),
        (vec![row("a/b", "s", "111122223333")], Some("key 1: an access key has")),
        (vec![row(&long, "s", "111122223333")], Some("key 1: an access key has")),
        (vec![row("A", "", "111122223333")], Some("key 1: a secret has")),
        (vec![row("A", &long, "111122223333")], Some("key 1: a secret has")),
        (vec![good.clone(), row("B", "s", "1")], Some("key 2: an account has 12 digits")),
        (vec![r#"{"access_key": "A"}"#.to_owned()], Some("not a list of keys: missing field")),
        (vec![r#"{"key": "A"}"#.to_owned()], Some("not a list of keys: unknown field")),
    ] {
        let text = format!("{{\"keys\": [{}]}}", rows.join(","));
        let message = Keys::new(SEED).with_table(&text).err().map(|error| error.to_string());
        match (want, &message) {
            (None, None) => {}
            (Some(want), Some(have)) => assert!(have.starts_with(want), "{have}"),
            _ => panic!("{text}: {message:?}"),
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let identities = Identities::new(keys());
    let session = RoleSession::new(AccountId::DEFAULT, "deploy", "alice").unwrap();
    let minted = identities.keys.mint_session(&session, Span::from_hours(1), NOW);
    let shown = format!("{identities:?} {minted:?}");
    for hidden in ["wJalr", minted.secret.as_str(), minted.token.as_str(), "3, 3"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
