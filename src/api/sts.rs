//! STS on the same address: who am I, and another account's credentials.
//!
//! Holds the two operations that clients of EC2 call. Refuses to hold credentials (`identity.rs`).

use super::clock::{Clock, timestamp};
use super::fault::Fault;
use super::http::Answer;
use super::identity::{Identity, RoleSession};
use super::params::Params;
use super::server::Server;
use super::xml::Xml;
use crate::base::time::Span;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The answer, if the request is one of STS.
pub(super) fn answer(
    server: &Server,
    params: &Params,
    identity: &Identity,
    request: &str,
) -> Option<Answer> {
    let action = params.text("Action")?;
    let (name, answered) = match action {
        "GetCallerIdentity" => (action, Ok(caller_identity(identity))),
        "AssumeRole" => (action, assume_role(server, params)),
        _ if identity.service.as_deref() == Some("sts") => {
            let message = format!("The action {action} is not one that vpclab has of STS.");
            (action, Err(Fault::new("InvalidAction", message)))
        }
        _ => return None,
    };
    Some(match answered {
        Ok(result) => {
            let mut xml = Xml::document();
            xml.group_of(&format!("{name}Response"), NAMESPACE, |xml| {
                xml.group(&format!("{name}Result"), |xml| xml.raw(&result.finish()));
                xml.group("ResponseMetadata", |xml| xml.text("RequestId", request));
            });
            Answer::xml(200, xml.finish())
        }
        Err(fault) => {
            Answer::xml(fault.status().number(), fault.query_document(NAMESPACE, request))
        }
    })
}

fn caller_identity(identity: &Identity) -> Xml {
    let mut xml = Xml::part();
    xml.text("Arn", identity.arn());
    xml.text("UserId", identity.user_id());
    xml.text("Account", identity.caller.account);
    xml
}

/// Credentials for a role of any account: whoever asks gets them, since there are no policies here.
fn assume_role(server: &Server, params: &Params) -> Result<Xml, Fault> {
    let arn = params.needed("RoleArn")?;
    let name = params.needed("RoleSessionName")?;
    let bad = |what: &str| {
        let message = format!("1 validation error detected: {what}");
        Fault::new("ValidationError", message)
    };
    // arn:aws:iam::111122223333:role/path/name
    let (account, role) = arn
        .strip_prefix("arn:aws:iam::")
        .and_then(|rest| rest.split_once(":role/"))
        .and_then(|(account, path)| Some((account.parse().ok()?, path.rsplit('/').next()?)))
        .ok_or_else(|| bad(&format!("{arn} is not the ARN of a role")))?;
    let seconds: u64 = params.parsed("DurationSeconds")?.unwrap_or(3_600);
    // AWS: 900 seconds to twelve hours.
    if !(900..=43_200).contains(&seconds) {
        return Err(bad("DurationSeconds must be between 900 and 43200"));
    }
    let session = RoleSession::new(account, role, name).map_err(|error| bad(&error.to_string()))?;
    let keys = &server.identities().keys;
    let credentials = keys.mint_session(&session, Span::from_secs(seconds), Clock::Wall.now());
    let mut xml = Xml::part();
    xml.group("Credentials", |xml| {
        xml.text("AccessKeyId", &credentials.access_key);
        xml.text("SecretAccessKey", &credentials.secret);
        xml.text("SessionToken", &credentials.token);
        xml.text("Expiration", timestamp(credentials.expires));
    });
    xml.group("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", session.user_id());
        xml.text("Arn", session.arn());
    });
    xml.text("PackedPolicySize", 0);
    Ok(xml)
}
