//! Signature Version 4: does this request come from someone who knows the key's secret?
//!
//! Holds the parts of a signed request (`Claim`), the text that is signed (`canonical`), the check
//! itself, and the credentials that the server hands out by itself (`session`). Refuses to know which
//! keys there are, whom they belong to, and what time it is: all three are arguments. Section numbers
//! are of AWS' "Signature Version 4 signing process".

mod canonical;
mod claim;
pub(super) mod session;
mod text;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub(super) use canonical::decoded_pairs;
pub(super) use claim::{Claim, Scope};

use super::http::Request;
use crate::base::limit;
use crate::base::time::{Instant, Span};

/// The one algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a signature is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unsigned {
    /// There is none.
    #[error("Request must contain a signature.")]
    Absent,
    /// A part of it is missing or malformed.
    #[error("{0}")]
    Incomplete(&'static str),
    /// It is too old, or from the future.
    #[error("Request has expired.")]
    Expired,
    /// It is not what the secret makes of this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS \
         Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

/// Checks a claim against the secret of its key, at this moment of the host's clock.
pub fn verify(
    request: &Request,
    claim: &Claim,
    secret: &str,
    now: Instant,
) -> Result<(), Unsigned> {
    fresh(claim, now)?;
    let canonical = canonical::request(request, claim)?;
    let scope = claim.scope.path();
    let text = format!(
        "{ALGORITHM}\n{}\n{scope}\n{}",
        claim.date,
        text::hex(&sha256(canonical.as_bytes()))
    );
    let mut key = mac(format!("AWS4{secret}").as_bytes(), &[claim.scope.day.as_bytes()]);
    for part in [&claim.scope.region, &claim.scope.service, claim::TERMINATOR] {
        key = mac(&key, &[part.as_bytes()]);
    }
    // In constant time, whatever the first byte that differs.
    keyed(&key, &[text.as_bytes()]).verify_slice(&claim.signature).map_err(|_| Unsigned::Mismatch)
}

/// Is the claim's date near enough to now?
fn fresh(claim: &Claim, now: Instant) -> Result<(), Unsigned> {
    let from = text::moment(&claim.date)
        .ok_or(Unsigned::Incomplete("The date of the signature must be like 20140218T143725Z."))?;
    let skew = limit::API_SIGNATURE_SKEW;
    let life = match claim.life {
        Some(life) if life > Span::ZERO && life <= limit::API_PRESIGNED_SPAN_MAX => life,
        Some(_) => {
            return Err(Unsigned::Incomplete("X-Amz-Expires must be from 1 to 604800 seconds."));
        }
        None => skew,
    };
    if from.since(now) > skew || now.since(from) > life {
        return Err(Unsigned::Expired);
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[allow(clippy::expect_used, reason = "a key of any length makes an HMAC (RFC 2104, 3)")]
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    for part in parts {
        hmac.update(part);
    }
    hmac
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    keyed(key, parts).finalize().into_bytes().into()
}

#[cfg(test)]
pub(in crate::api) mod tests;
