//! Who calls: the account, the region and the name behind a request.
//!
//! By default nobody is asked for proof, as with other emulators (vpc-semantics 6.9): an access key of
//! twelve digits *is* the account, a key of the operator's table or of an assumed role belongs to its
//! account, and any other key, or none, stands for the default account. With [`Verification::On`] only
//! keys with a known secret get in, and only with a signature made by it.
//!
//! Holds the table of keys and these rules. Refuses to know what a caller may do.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use thiserror::Error;

use super::http::Request;
use super::signature::{self, Claim, Scope, Unsigned, session};
use crate::base::id::AccountId;
use crate::base::limit;
use crate::base::time::{Instant, Span};
use crate::cloud::account::{Caller, Region};

pub use super::signature::session::{MalformedName, RoleSession, Seed, SessionCredentials};

/// Under which name somebody acts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Principal {
    /// The account itself.
    Root,
    /// Somebody in a role of it.
    Role(RoleSession),
}

/// Who calls, and where to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The account, and the region of the credential's scope or the default one.
    pub caller: Caller,
    /// The name.
    pub principal: Principal,
    /// The service of the credential's scope, `ec2`; `None` without credentials.
    pub service: Option<String>,
    /// The access key; `None` without credentials.
    pub access_key: Option<String>,
}

impl Identity {
    /// Is the request meant for this service? Without credentials it is for `ec2`.
    pub fn is_for(&self, service: &str) -> bool {
        self.service.as_deref().unwrap_or("ec2") == service
    }

    /// The ARN that GetCallerIdentity answers with.
    pub fn arn(&self) -> String {
        match &self.principal {
            Principal::Root => format!("arn:aws:iam::{}:root", self.caller.account),
            Principal::Role(session) => session.arn(),
        }
    }

    /// The unique id that GetCallerIdentity answers with.
    pub fn user_id(&self) -> String {
        match &self.principal {
            Principal::Root => self.caller.account.to_string(),
            Principal::Role(session) => session.user_id(),
        }
    }
}

/// Why nobody was recognised, in EC2's words; in STS' where the request was for STS.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{code}: {message}")]
pub struct Denied {
    /// The error code.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The message. It repeats nothing of the request.
    pub message: String,
}

/// Is proof asked for?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verification {
    /// No: whoever names an account is believed.
    Off,
    /// Yes: a signature of version 4, in the header or presigned.
    On,
}

/// The rules by which callers are recognised. By default nobody has to prove anything.
#[derive(Debug)]
pub struct Identities {
    /// The keys that are known.
    pub keys: Keys,
    /// The account of everybody else.
    pub default_account: AccountId,
    /// The region of requests that name none.
    pub default_region: Region,
    /// Whether proof is asked for.
    pub verification: Verification,
}

impl Identities {
    /// These keys, without verification: the default account in the default region.
    pub fn new(keys: Keys) -> Identities {
        Identities {
            keys,
            default_account: AccountId::DEFAULT,
            default_region: Region::default(),
            verification: Verification::Off,
        }
    }

    /// Who sent this request, at this moment of the host's clock (not of a virtual one: clients sign
    /// with the time that they see).
    ///
    /// # Errors
    /// Without verification only a scope with a region that is none. With it, whatever is missing.
    pub fn of(&self, request: &Request, now: Instant) -> Result<Identity, Denied> {
        match self.verification {
            Verification::Off => self.believed(request),
            Verification::On => self.proved(request, now),
        }
    }

    fn believed(&self, request: &Request) -> Result<Identity, Denied> {
        let Some(named) = Named::of(request) else {
            return Ok(Identity {
                caller: Caller {
                    account: self.default_account,
                    region: self.default_region.clone(),
                },
                principal: Principal::Root,
                service: None,
                access_key: None,
            });
        };
        let role = named.token.as_deref().and_then(|token| self.keys.open(token));
        // A token that was minted for another key says nothing about this one.
        let role = role.filter(|role| role.access_key == named.key);
        let (account, principal) = match role {
            Some(role) => (role.session.account(), Principal::Role(role.session)),
            None => {
                (self.keys.account(&named.key).unwrap_or(self.default_account), Principal::Root)
            }
        };
        let region = match &named.region {
            Some(region) => region_of(region)?,
            None => self.default_region.clone(),
        };
        let caller = Caller { account, region };
        Ok(Identity { caller, principal, service: named.service, access_key: Some(named.key) })
    }

    fn proved(&self, request: &Request, now: Instant) -> Result<Identity, Denied> {
        let claim = Claim::of(request).map_err(Denied::from)?;
        let unknown = || Denied::unknown_key(&claim.scope.service);
        let (account, principal, secret) = match &claim.token {
            Some(token) => {
                let role = self.keys.open(token).ok_or_else(unknown)?;
                if role.access_key != claim.scope.key {
                    return Err(unknown());
                }
                if role.expires <= now {
                    return Err(Unsigned::Expired.into());
                }
                let secret = role.secret().to_owned();
                (role.session.account(), Principal::Role(role.session), secret)
            }
            None => {
                let (account, secret) = self.keys.secret(&claim.scope.key).ok_or_else(unknown)?;
                (account, Principal::Root, secret.to_owned())
            }
        };
        signature::verify(request, &claim, &secret, now)?;
        Ok(Identity {
            caller: Caller { account, region: region_of(&claim.scope.region)? },
            principal,
            service: Some(claim.scope.service),
            access_key: Some(claim.scope.key),
        })
    }
}

fn region_of(text: &str) -> Result<Region, Denied> {
    text.parse().map_err(|_| Denied {
        code: "AuthFailure",
        status: 401,
        message: "Credential should be scoped to a valid region.".to_owned(),
    })
}

impl Denied {
    /// A key that nobody has, or whose secret nobody knows here.
    fn unknown_key(service: &str) -> Denied {
        match service {
            "sts" => Denied {
                code: "InvalidClientTokenId",
                status: 403,
                message: "The security token included in the request is invalid.".to_owned(),
            },
            _ => Denied {
                code: "AuthFailure",
                status: 401,
                message: "AWS was not able to validate the provided access credentials".to_owned(),
            },
        }
    }
}

impl From<Unsigned> for Denied {
    fn from(unsigned: Unsigned) -> Denied {
        let (code, status) = match unsigned {
            Unsigned::Absent => ("MissingAuthenticationToken", 403),
            Unsigned::Incomplete(_) => ("IncompleteSignature", 400),
            Unsigned::Expired => ("RequestExpired", 400),
            Unsigned::Mismatch => ("SignatureDoesNotMatch", 403),
        };
        Denied { code, status, message: unsigned.to_string() }
    }
}

/// What a request says of its sender, believed as it is.
struct Named {
    key: String,
    region: Option<String>,
    service: Option<String>,
    token: Option<String>,
}

impl Named {
    /// From the `Authorization` header, else from the query of a presigned request, else from the
    /// parameter of the signatures before version 4.
    fn of(request: &Request) -> Option<Named> {
        let query = signature::decoded_pairs(&request.query);
        let get = |name: &str| {
            let (_, value) = query.iter().find(|(have, _)| have == name.as_bytes())?;
            String::from_utf8(value.clone()).ok()
        };
        let header = request.headers.get("authorization").and_then(|header| {
            let (_, rest) = header.split_once("Credential=")?;
            Scope::parse(rest.split([',', ' ']).next()?)
        });
        if let Some(scope) = header.or_else(|| Scope::parse(&get("X-Amz-Credential")?)) {
            let token = request.headers.get("x-amz-security-token").map(str::to_owned);
            return Some(Named {
                key: scope.key,
                region: Some(scope.region),
                service: Some(scope.service),
                token: token.or_else(|| get("X-Amz-Security-Token")),
            });
        }
        let key = get("AWSAccessKeyId").or_else(|| {
            let mut form = form_urlencoded::parse(&request.body);
            form.find(|(name, _)| name == "AWSAccessKeyId").map(|(_, key)| key.into_owned())
        })?;
        (key.len() <= limit::API_ACCESS_KEY_CHARS_MAX).then_some(Named {
            key,
            region: None,
            service: None,
            token: None,
        })
    }
}

/// The keys that are known: those of the operator's file, those of twelve digits, and those that were
/// minted here.
#[derive(Debug)]
pub struct Keys {
    table: BTreeMap<String, Entry>,
    seed: Seed,
    minted: AtomicU64,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    account: AccountId,
    secret: Option<String>,
}

impl fmt::Debug for Entry {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.account, f)
    }
}

/// Why a file of keys is not accepted.
#[derive(Debug, Error)]
pub enum MalformedKeys {
    /// It is not the JSON that is wanted; says where.
    #[error("not a list of keys: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A key cannot be one.
    #[error("key {row}: an access key has 1 to 128 letters, digits and `_`")]
    Key {
        /// Its row in the file, from 1.
        row: usize,
    },
    /// A key is there twice.
    #[error("key {row}: the access key stands in the file before")]
    Twice {
        /// Its row in the file, from 1.
        row: usize,
    },
    /// An account is none.
    #[error("key {row}: an account has 12 digits")]
    Account {
        /// The row in the file, from 1.
        row: usize,
    },
    /// A key of twelve digits is given to an account of another number.
    #[error("key {row}: an access key of 12 digits is the account of that number")]
    Foreign {
        /// The row in the file, from 1.
        row: usize,
    },
    /// A secret is empty or longer than 128 bytes.
    #[error("key {row}: a secret has 1 to 128 bytes")]
    Secret {
        /// The row in the file, from 1.
        row: usize,
    },
}

impl Keys {
    /// No table; minted credentials follow from this seed.
    pub fn new(seed: Seed) -> Keys {
        Keys { table: BTreeMap::new(), seed, minted: AtomicU64::new(0) }
    }

    /// The same with a table. The text is JSON:
    ///
    /// ```json
    /// {"keys": [
    ///   {"access_key": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalr...", "account": "111122223333"},
    ///   {"access_key": "222233334444", "secret": "another", "account": "222233334444"},
    ///   {"access_key": "TEAM_A", "account": "333344445555"}
    /// ]}
    /// ```
    ///
    /// A key without `secret` names its account, and is refused where signatures are verified. The file
    /// is at most [`limit::API_KEYS_FILE_BYTES_MAX`] long, which its reader checks.
    pub fn with_table(self, text: &str) -> Result<Keys, MalformedKeys> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            keys: Vec<Row>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Row {
            access_key: String,
            secret: Option<String>,
            account: String,
        }
        let file: File = serde_json::from_str(text)?;
        let mut table = BTreeMap::new();
        for (row, given) in (1..).zip(file.keys) {
            let lengths = 1..=limit::API_ACCESS_KEY_CHARS_MAX;
            let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
            let key = given.access_key;
            if !lengths.contains(&key.len()) || !key.bytes().all(word) {
                return Err(MalformedKeys::Key { row });
            }
            if given.secret.as_ref().is_some_and(|secret| !lengths.contains(&secret.len())) {
                return Err(MalformedKeys::Secret { row });
            }
            let account: AccountId =
                given.account.parse().map_err(|_| MalformedKeys::Account { row })?;
            if key.parse::<AccountId>().is_ok_and(|own| own != account) {
                return Err(MalformedKeys::Foreign { row });
            }
            if table.insert(key, Entry { account, secret: given.secret }).is_some() {
                return Err(MalformedKeys::Twice { row });
            }
        }
        Ok(Keys { table, ..self })
    }

    /// The account of a key; `None` if it is nobody's.
    pub fn account(&self, key: &str) -> Option<AccountId> {
        let listed = self.table.get(key).map(|entry| entry.account);
        listed.or_else(|| key.parse().ok()).or_else(|| session::account_of_key(&self.seed, key))
    }

    /// Credentials for this session that end `life` from now. Nothing is remembered of them.
    pub fn mint_session(
        &self,
        session: &RoleSession,
        life: Span,
        now: Instant,
    ) -> SessionCredentials {
        let number = self.minted.fetch_add(1, Ordering::Relaxed);
        session::mint(&self.seed, session, now + life, now, number)
    }

    fn open(&self, token: &str) -> Option<session::Opened> {
        session::open(&self.seed, token)
    }

    /// Account and secret of a key of the table that has one.
    fn secret(&self, key: &str) -> Option<(AccountId, &str)> {
        let entry = self.table.get(key)?;
        Some((entry.account, entry.secret.as_deref()?))
    }
}

#[cfg(test)]
mod tests;
