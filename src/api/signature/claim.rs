//! What a request says about its signature, in the `Authorization` header or in its query.
//!
//! Holds the parts. Refuses to believe any of them.

use super::canonical::decoded_pairs;
use super::{ALGORITHM, Unsigned, text};
use crate::api::http::Request;
use crate::base::limit;
use crate::base::time::Span;

/// What every scope ends with.
pub(super) const TERMINATOR: &str = "aws4_request";

/// For whom a signature holds: `KEY/20150830/us-east-1/ec2/aws4_request`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// The access key.
    pub key: String,
    /// The day, `20150830`.
    pub day: String,
    /// The region as it was written.
    pub region: String,
    /// The service as it was written, `ec2`.
    pub service: String,
}

impl Scope {
    /// The parts of a credential; `None` unless there are five and none is empty or long.
    pub fn parse(credential: &str) -> Option<Scope> {
        let mut parts = credential.split('/');
        let mut next = || {
            let fits = |part: &&str| (1..=limit::API_ACCESS_KEY_CHARS_MAX).contains(&part.len());
            parts.next().filter(fits).map(str::to_owned)
        };
        let scope = Scope { key: next()?, day: next()?, region: next()?, service: next()? };
        (next()? == TERMINATOR && parts.next().is_none()).then_some(scope)
    }

    /// The scope without the key, as it is signed.
    pub(super) fn path(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.day, self.region, self.service)
    }
}

/// Where a signature stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned request.
    Query,
}

/// A signature and what it claims to cover.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// For whom.
    pub scope: Scope,
    /// The token of temporary credentials.
    pub token: Option<String>,
    /// When, `20150830T123600Z`.
    pub(super) date: String,
    /// How long, if it is presigned.
    pub(super) life: Option<Span>,
    /// Which headers, in lower case, in order.
    pub(super) headers: Vec<String>,
    /// The signature.
    pub(super) signature: [u8; 32],
    pub(super) place: Place,
}

impl Claim {
    /// The claim of a request.
    ///
    /// # Errors
    /// [`Unsigned::Absent`] without any, [`Unsigned::Incomplete`] if a part is missing, is there twice,
    /// or is not what it must be.
    pub fn of(request: &Request) -> Result<Claim, Unsigned> {
        let query = decoded_pairs(&request.query);
        let presigned = query.iter().any(|(name, _)| name == b"X-Amz-Signature");
        match (request.headers.has("authorization"), presigned) {
            (true, true) => {
                Err(Unsigned::Incomplete("Only one of header and query may hold a signature."))
            }
            (true, false) => Claim::in_header(request),
            (false, true) => Claim::in_query(&query),
            (false, false) => Err(Unsigned::Absent),
        }
    }

    fn in_header(request: &Request) -> Result<Claim, Unsigned> {
        let header = request.headers.get("authorization");
        let parts = header
            .and_then(|header| header.strip_prefix(ALGORITHM)?.strip_prefix(' '))
            .ok_or(Unsigned::Incomplete("Authorization must be of AWS4-HMAC-SHA256."))?;
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for part in parts.split(',') {
            let (name, value) = part.trim().split_once('=').unwrap_or_default();
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                _ => return Err(Unsigned::Incomplete("Authorization has an unknown part.")),
            };
            if slot.replace(value).is_some() {
                return Err(Unsigned::Incomplete("Authorization has a part twice."));
            }
        }
        let date = request.headers.get("x-amz-date");
        let token = match request.headers.has("x-amz-security-token") {
            false => None,
            true => Some(
                request
                    .headers
                    .get("x-amz-security-token")
                    .ok_or(Unsigned::Incomplete("X-Amz-Security-Token must be there once."))?
                    .to_owned(),
            ),
        };
        Claim::from_parts(credential, headers, signature, date, token, None, Place::Header)
    }

    fn in_query(query: &[(Vec<u8>, Vec<u8>)]) -> Result<Claim, Unsigned> {
        let get = |name: &str| {
            let mut found = query.iter().filter(|(have, _)| have == name.as_bytes());
            match (found.next(), found.next()) {
                (None, _) => Ok(None),
                (Some((_, value)), None) => std::str::from_utf8(value)
                    .map(Some)
                    .map_err(|_| Unsigned::Incomplete("A part of the signature is not text.")),
                (Some(_), Some(_)) => {
                    Err(Unsigned::Incomplete("A part of the signature is there twice."))
                }
            }
        };
        if get("X-Amz-Algorithm")? != Some(ALGORITHM) {
            return Err(Unsigned::Incomplete("X-Amz-Algorithm must be AWS4-HMAC-SHA256."));
        }
        let seconds = get("X-Amz-Expires")?
            .and_then(|text| text.parse().ok())
            .ok_or(Unsigned::Incomplete("X-Amz-Expires must be a number of seconds."))?;
        Claim::from_parts(
            get("X-Amz-Credential")?,
            get("X-Amz-SignedHeaders")?,
            get("X-Amz-Signature")?,
            get("X-Amz-Date")?,
            get("X-Amz-Security-Token")?.map(str::to_owned),
            Some(Span::from_secs(seconds)),
            Place::Query,
        )
    }

    fn from_parts(
        credential: Option<&str>,
        headers: Option<&str>,
        signature: Option<&str>,
        date: Option<&str>,
        token: Option<String>,
        life: Option<Span>,
        place: Place,
    ) -> Result<Claim, Unsigned> {
        let missing = |what| move || Unsigned::Incomplete(what);
        let scope = Scope::parse(credential.ok_or_else(missing("Credential is missing."))?)
            .ok_or_else(missing(
                "Credential must be like KEY/20150830/us-east-1/ec2/aws4_request.",
            ))?;
        let date = date.ok_or_else(missing("X-Amz-Date is missing."))?;
        if date.get(..8) != Some(&scope.day) {
            return Err(Unsigned::Incomplete("The day of Credential is not that of X-Amz-Date."));
        }
        let headers: Vec<String> = headers
            .ok_or_else(missing("SignedHeaders is missing."))?
            .split(';')
            .map(str::to_owned)
            .collect();
        if headers.len() > limit::API_HEADERS_MAX || !headers.is_sorted_by(|a, b| a < b) {
            return Err(Unsigned::Incomplete("SignedHeaders must be in order, each once."));
        }
        let signature = signature
            .and_then(text::unhex)
            .ok_or_else(missing("Signature must be of 64 lower-case hexadecimal digits."))?;
        Ok(Claim { scope, token, date: date.to_owned(), life, headers, signature, place })
    }
}
