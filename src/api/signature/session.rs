//! Credentials that the server hands out by itself: those of an assumed role.
//!
//! They are self-contained. The token holds account, role, session and end, under a seal of the server;
//! the key names its account; the secret follows from the token's content. So nothing is remembered of
//! them, however many are asked for, and a server with the same seed knows those of its last run.
//!
//! Holds the minting and the reading. Refuses to read a clock or chance: seed and moment are arguments.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{keyed, mac, sha256, text};
use crate::base::id::AccountId;
use crate::base::limit;
use crate::base::time::Instant;
use hmac::Mac;

/// What all minted credentials of a server follow from. Whoever knows it can mint.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Seed {
        Seed(bytes)
    }

    /// A seed of the host's chance.
    pub fn by_chance() -> Seed {
        use std::hash::{BuildHasher, RandomState};
        use std::io::Read;
        let mut bytes = [0; 32];
        let read =
            std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        if read.is_err() {
            // The keys of a hasher are 128 bits of the host's chance, for each thread once.
            for (row, chunk) in bytes.chunks_exact_mut(8).enumerate() {
                chunk.copy_from_slice(&RandomState::new().hash_one(row).to_be_bytes());
            }
        }
        Seed(bytes)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// Somebody in a role: which, of which account, and under which name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleSession {
    account: AccountId,
    role: String,
    name: String,
}

/// A text that is no name of a role or of a session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a name of 2 to 64 letters, digits and `+=,.@_-`")]
pub struct MalformedName(
    /// What was given.
    pub String,
);

impl RoleSession {
    /// A session of this name in this role of this account.
    ///
    /// # Errors
    /// A name that AWS does not take either.
    pub fn new(account: AccountId, role: &str, name: &str) -> Result<RoleSession, MalformedName> {
        let fits = |text: &str, least: usize| {
            (least..=limit::API_ROLE_NAME_CHARS_MAX).contains(&text.len())
                && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"+=,.@_-".contains(&c))
        };
        for (text, least) in [(role, 1), (name, 2)] {
            if !fits(text, least) {
                return Err(MalformedName(text.to_owned()));
            }
        }
        Ok(RoleSession { account, role: role.to_owned(), name: name.to_owned() })
    }

    /// The account that the role belongs to.
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// `arn:aws:sts::111122223333:assumed-role/ROLE/SESSION`.
    pub fn arn(&self) -> String {
        format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account, self.role, self.name)
    }

    /// `AROA...:SESSION`; the first half is the role's own, always the same.
    pub fn user_id(&self) -> String {
        let digest = sha256(format!("{}/{}", self.account, self.role).as_bytes());
        format!("AROA{}:{}", text::base32(&digest[..10]), self.name)
    }
}

/// Temporary credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCredentials {
    /// The access key, `ASIA` and sixteen characters.
    pub access_key: String,
    /// The secret.
    pub secret: String,
    /// The token that must come with every request.
    pub token: String,
    /// When they end.
    pub expires: Instant,
}

impl fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionCredentials({}, ..)", self.access_key)
    }
}

/// What a token says, once its seal is found whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::api) struct Opened {
    pub(in crate::api) session: RoleSession,
    pub(in crate::api) expires: Instant,
    pub(in crate::api) access_key: String,
    secret: String,
}

impl Opened {
    pub(in crate::api) fn secret(&self) -> &str {
        &self.secret
    }
}

const VERSION: u8 = 1;
const SEAL_BYTES: usize = 32;

/// Credentials of a session that end at `expires`. Two of the same number and moment are the same.
pub(in crate::api) fn mint(
    seed: &Seed,
    session: &RoleSession,
    expires: Instant,
    now: Instant,
    number: u64,
) -> SessionCredentials {
    let nonce = mac(&seed.0, &[b"nonce", &now.as_nanos().to_be_bytes(), &number.to_be_bytes()]);
    let mut content = vec![VERSION];
    content.extend_from_slice(&account_bytes(session.account));
    content.extend_from_slice(&nonce[..8]);
    content.extend_from_slice(&expires.as_nanos().to_be_bytes());
    for name in [&session.role, &session.name] {
        // At most 64, see `RoleSession::new`.
        content.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        content.extend_from_slice(name.as_bytes());
    }
    let mut sealed = content.clone();
    sealed.extend_from_slice(&mac(&seed.0, &[b"token", &content]));
    SessionCredentials {
        access_key: access_key(seed, session.account, [nonce[0], nonce[1]]),
        secret: secret(seed, &content),
        token: text::base64(&sealed),
        expires,
    }
}

/// What a token of this server says; `None` of anything else.
pub(in crate::api) fn open(seed: &Seed, token: &str) -> Option<Opened> {
    // Version, account, nonce, end, two names of 64: nothing longer was ever minted.
    const MOST: usize = 1 + 5 + 8 + 8 + 2 * (1 + limit::API_ROLE_NAME_CHARS_MAX) + SEAL_BYTES;
    if token.len() > MOST * 4 / 3 + 1 {
        return None;
    }
    let sealed = text::unbase64(token)?;
    let (content, seal) = sealed.split_last_chunk::<SEAL_BYTES>()?;
    keyed(&seed.0, &[b"token", content]).verify_slice(seal).ok()?;
    let (version, rest) = content.split_first()?;
    if *version != VERSION {
        return None;
    }
    let (account, rest) = rest.split_first_chunk::<5>()?;
    let (nonce, rest) = rest.split_first_chunk::<8>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let name = |rest: &[u8]| {
        let (length, rest) = rest.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        Some((String::from_utf8(name.to_vec()).ok()?, rest.to_vec()))
    };
    let (role, rest) = name(rest)?;
    let (session, _) = name(&rest)?;
    let account = account_of(*account)?;
    Some(Opened {
        session: RoleSession::new(account, &role, &session).ok()?,
        expires: Instant::from_nanos(u64::from_be_bytes(*expires)),
        access_key: access_key(seed, account, [nonce[0], nonce[1]]),
        secret: secret(seed, content),
    })
}

/// The account of a key that this server has minted. The check has 24 bits: enough to tell a key of
/// ours from one that somebody uses elsewhere, and no proof of anything.
pub(in crate::api) fn account_of_key(seed: &Seed, key: &str) -> Option<AccountId> {
    let bytes = text::unbase32(key.strip_prefix("ASIA")?)?;
    let (account, rest) = bytes.split_first_chunk::<5>()?;
    let account = account_of(*account)?;
    let number = rest.first_chunk::<2>()?;
    (access_key(seed, account, *number) == key).then_some(account)
}

fn access_key(seed: &Seed, account: AccountId, number: [u8; 2]) -> String {
    let account = account_bytes(account);
    let check = mac(&seed.0, &[b"key", &account, &number]);
    let mut bytes = account.to_vec();
    bytes.extend_from_slice(&number);
    bytes.extend_from_slice(&check[..3]);
    format!("ASIA{}", text::base32(&bytes))
}

fn secret(seed: &Seed, content: &[u8]) -> String {
    // 30 bytes make the 40 characters that secrets have.
    text::base64(&mac(&seed.0, &[b"secret", content])[..30])
}

/// Twelve digits fit into five bytes.
fn account_bytes(account: AccountId) -> [u8; 5] {
    let [_, _, _, a, b, c, d, e] = account.number().to_be_bytes();
    [a, b, c, d, e]
}

fn account_of(bytes: [u8; 5]) -> Option<AccountId> {
    let [a, b, c, d, e] = bytes;
    AccountId::from_number(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Span;

    const SEED: Seed = Seed::new([7; 32]);
    const NOW: Instant = Instant::from_nanos(1_700_000_000_000_000_000);

    fn minted(number: u64) -> (RoleSession, SessionCredentials) {
        let session = RoleSession::new(AccountId::DEFAULT, "deploy", "alice@example.com").unwrap();
        let credentials = mint(&SEED, &session, NOW + Span::from_hours(1), NOW, number);
        (session, credentials)
    }

    #[test]
    fn what_was_minted_is_known_again() {
        let (session, credentials) = minted(1);
        assert_eq!(credentials.access_key.len(), 20);
        assert_eq!(credentials.secret.len(), 40);
        let opened = open(&SEED, &credentials.token).unwrap();
        assert_eq!(opened.session, session);
        assert_eq!(opened.expires, credentials.expires);
        assert_eq!(opened.access_key, credentials.access_key);
        assert_eq!(opened.secret(), credentials.secret);
        assert_eq!(account_of_key(&SEED, &credentials.access_key), Some(AccountId::DEFAULT));
        let (_, other) = minted(2);
        assert_ne!(other.access_key, credentials.access_key);
        assert_ne!(other.secret, credentials.secret);
        assert_ne!(other.token, credentials.token);
    }

    #[test]
    fn nothing_else_is() {
        let (_, credentials) = minted(1);
        let other = Seed::new([8; 32]);
        assert_eq!(open(&other, &credentials.token), None);
        assert_eq!(account_of_key(&other, &credentials.access_key), None);
        for at in 0..credentials.token.len() {
            let mut token = credentials.token.clone().into_bytes();
            token[at] = if token[at] == b'A' { b'B' } else { b'A' };
            let token = String::from_utf8(token).unwrap();
            assert_eq!(open(&SEED, &token), None, "{at}");
            assert_eq!(open(&SEED, &credentials.token[..at]), None, "{at}");
        }
        assert_eq!(open(&SEED, &format!("{}AAAA", credentials.token)), None);
        assert_eq!(open(&SEED, &"A".repeat(100_000)), None);
        for key in ["ASIA", "ASIAQAAAAAAAGMKEM7X5", "AKIAIOSFODNN7EXAMPLE", "", "123456789012"] {
            assert_eq!(account_of_key(&SEED, key), None, "{key}");
        }
    }

    #[test]
    fn names_are_those_that_aws_takes() {
        let long = "x".repeat(65);
        for (role, name, fine) in [
            ("r", "se", true),
            ("a+b=c,d.e@f_g-h", "se", true),
            (&long[1..], &long[1..], true),
            ("", "se", false),
            ("r", "s", false),
            (&long, "se", false),
            ("r", &long, false),
            ("r/x", "se", false),
            ("r", "s e", false),
            ("r", "<se>", false),
        ] {
            let made = RoleSession::new(AccountId::DEFAULT, role, name);
            assert_eq!(made.is_ok(), fine, "{role} {name}");
        }
        let session = RoleSession::new(AccountId::DEFAULT, "deploy", "alice").unwrap();
        assert_eq!(session.arn(), "arn:aws:sts::123456789012:assumed-role/deploy/alice");
        assert!(session.user_id().starts_with("AROA") && session.user_id().ends_with(":alice"));
    }
}
