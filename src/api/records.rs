//! What EC2 remembers and no packet feels: descriptions, names of images, client tokens, rule ids.
//!
//! Holds facts about the cloud's resources and the resources that only the API has. Refuses to hold
//! anything that decides where a packet goes: that is the cloud's. Every change is a [`Record`],
//! which the journal keeps beside the cloud's events, and which replaying carries out again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::identity::Seed;
use crate::base::id::{AccountId, Digits};
use crate::base::limit::{API_CLIENT_TOKEN_BYTES_MAX, API_CLIENT_TOKENS_MAX};
use crate::base::rng::mix;
use crate::cloud::account::Region;
use crate::cloud::profile::Profile;

/// A resource that only the API has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// The identity of a rule of a security group.
    SecurityGroupRule,
    /// A set of DHCP options.
    DhcpOptions,
    /// A path of Network Insights.
    InsightsPath,
    /// An analysis of Network Insights.
    InsightsAnalysis,
    /// A key pair.
    KeyPair,
    /// What can still be seen of a NAT gateway that is deleted, under its old id.
    DeletedNatGateway,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 6] = [
        Kind::SecurityGroupRule,
        Kind::DhcpOptions,
        Kind::InsightsPath,
        Kind::InsightsAnalysis,
        Kind::KeyPair,
        Kind::DeletedNatGateway,
    ];

    /// The prefix of its ids, without the dash.
    pub const fn prefix(self) -> &'static str {
        match self {
            Kind::SecurityGroupRule => "sgr",
            Kind::DhcpOptions => "dopt",
            Kind::InsightsPath => "nip",
            Kind::InsightsAnalysis => "nia",
            Kind::KeyPair => "key",
            Kind::DeletedNatGateway => "nat",
        }
    }
}

/// What can be remembered of a resource. Each is text, as it came or as it goes out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the EC2 parameter or answer element of its name")]
pub enum Fact {
    Description,
    Name,
    Created,
    ImageId,
    InstanceType,
    KeyName,
    UserData,
    Reservation,
    LaunchIndex,
    ClientToken,
    DhcpOptions,
    InstanceTenancy,
    /// Of a rule: the group, the direction and the rule, as its owner names them.
    Rule,
    Group,
    Source,
    Destination,
    SourceIp,
    DestinationIp,
    Protocol,
    DestinationPort,
    Filter,
    Path,
    /// Of an analysis: what it found, as the part of the answer that tells it.
    Findings,
    /// Further attributes, as `name=value` lines.
    Options,
    /// When it was stopped or deleted, in nanoseconds since 1970.
    Deleted,
    AmazonSideAsn,
    Zone,
    Policy,
    DestinationType,
    PermissionArn,
    /// What goes with it: ids, with blanks between them.
    GoesWith,
    /// Of an interface: how it last belonged to an instance, if it does no more.
    Attachment,
    /// Of an attachment that has ended: the interface.
    Interface,
}

/// One change of the records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are what the variant's comment says")]
pub enum Record {
    /// An account has asked for something in a region for the first time.
    Seen { account: AccountId, region: Region },
    /// A resource that only the API has came to be.
    Made { kind: Kind, id: String, owner: AccountId, region: Region },
    /// A resource is gone, and all that was remembered of it.
    Gone { id: String },
    /// Something is remembered of a resource; an empty value is none.
    Set { of: String, fact: Fact, value: String },
    /// A tag of a resource that only the API has.
    Tagged { of: String, key: String, value: String },
    /// The tag is gone.
    Untagged { of: String, key: String },
    /// A request with a client token was answered.
    Answered { token: Token, request: u64, answer: String },
    /// The world begins, under this rule book: the first record of a journal.
    Founded { profile: Profile },
    /// Everything is gone, the cloud's resources too: the world is as it was at first.
    Emptied,
    /// What the credentials of assumed roles follow from: those of one run are known in the next.
    Seeded { seed: Seed },
}

/// Whose client token, and for what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Token {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
    /// The operation.
    pub operation: String,
    /// The token.
    pub token: String,
}

/// A resource that only the API has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Thing {
    /// What it is.
    pub kind: Kind,
    /// Whose it is.
    pub owner: AccountId,
    /// Where it is.
    pub region: Region,
}

/// All that is remembered.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Records {
    places: BTreeSet<(AccountId, Region)>,
    things: BTreeMap<String, Thing>,
    /// The same, by what it is, whose and where.
    owned: BTreeMap<(Kind, AccountId, Region), BTreeSet<String>>,
    facts: BTreeMap<String, BTreeMap<Fact, String>>,
    tags: BTreeMap<String, BTreeMap<String, String>>,
    answers: BTreeMap<Token, (u64, String)>,
    /// Tokens in order of their first use.
    order: VecDeque<Token>,
    answer_bytes: usize,
    minted: u64,
    seed: Option<Seed>,
}

impl Records {
    /// Carries out one change. Never fails: a record is the effect of a decision already taken.
    pub fn carry_out(&mut self, record: &Record) {
        match record {
            Record::Seen { account, region } => {
                self.places.insert((*account, region.clone()));
            }
            Record::Made { kind, id, owner, region } => {
                self.minted += 1;
                let place = (*kind, *owner, region.clone());
                self.owned.entry(place).or_default().insert(id.clone());
                let thing = Thing { kind: *kind, owner: *owner, region: region.clone() };
                self.things.insert(id.clone(), thing);
            }
            Record::Gone { id } => {
                self.facts.remove(id);
                self.tags.remove(id);
                if let Some(Thing { kind, owner, region }) = self.things.remove(id)
                    && let Some(owned) = self.owned.get_mut(&(kind, owner, region))
                {
                    owned.remove(id);
                }
            }
            Record::Set { of, fact, value } if value.is_empty() => {
                if let Some(facts) = self.facts.get_mut(of) {
                    facts.remove(fact);
                    if facts.is_empty() {
                        self.facts.remove(of);
                    }
                }
            }
            Record::Set { of, fact, value } => {
                self.facts.entry(of.clone()).or_default().insert(*fact, value.clone());
            }
            Record::Tagged { of, key, value } => {
                self.tags.entry(of.clone()).or_default().insert(key.clone(), value.clone());
            }
            Record::Untagged { of, key } => {
                if let Some(tags) = self.tags.get_mut(of) {
                    tags.remove(key);
                    if tags.is_empty() {
                        self.tags.remove(of);
                    }
                }
            }
            Record::Answered { token, request, answer } => {
                self.order.push_back(token.clone());
                self.answer_bytes += answer.len();
                self.answers.insert(token.clone(), (*request, answer.clone()));
                while self.order.len() > API_CLIENT_TOKENS_MAX
                    || self.answer_bytes > API_CLIENT_TOKEN_BYTES_MAX
                {
                    let Some(oldest) = self.order.pop_front() else { break };
                    let answer = self.answers.remove(&oldest).map_or(0, |(_, answer)| answer.len());
                    self.answer_bytes -= answer;
                }
            }
            // The world's own business.
            Record::Founded { .. } => {}
            Record::Emptied => *self = self.emptied(),
            Record::Seeded { seed } => self.seed = Some(seed.clone()),
        }
    }

    /// What is left when everything is gone.
    #[must_use]
    pub fn emptied(&self) -> Records {
        Records { seed: self.seed.clone(), ..Records::default() }
    }

    /// What the credentials of assumed roles follow from, if that is kept.
    pub fn seed(&self) -> Option<&Seed> {
        self.seed.as_ref()
    }

    /// Has the account asked for anything in this region?
    pub fn has_seen(&self, account: AccountId, region: &Region) -> bool {
        self.places.contains(&(account, region.clone()))
    }

    /// In how many regions accounts have asked for something.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// The id of the next resource of a kind. Two that are made from the same records are equal.
    pub fn next_id(&self, kind: Kind) -> String {
        // Another sequence than the cloud's: the ids of both stand side by side in tags.
        let digits = Digits::minted(mix(!self.minted));
        format!("{}-{}", kind.prefix(), digits.as_str())
    }

    /// What is remembered of a resource.
    pub fn fact(&self, of: &str, fact: Fact) -> Option<&str> {
        self.facts.get(of)?.get(&fact).map(String::as_str)
    }

    /// A resource that only the API has.
    pub fn thing(&self, id: &str) -> Option<&Thing> {
        self.things.get(id)
    }

    /// Those of a kind that an account has in a region, in order of id.
    pub fn owned(
        &self,
        kind: Kind,
        owner: AccountId,
        region: &Region,
    ) -> impl Iterator<Item = &str> {
        let owned = self.owned.get(&(kind, owner, region.clone()));
        owned.into_iter().flatten().map(String::as_str)
    }

    /// The tags of a resource that only the API has.
    pub fn tags(&self, of: &str) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.tags.get(of).unwrap_or(&NONE)
    }

    /// What a request with this client token was answered, and what it had asked.
    pub fn answered(&self, token: &Token) -> Option<(u64, &str)> {
        self.answers.get(token).map(|(request, answer)| (*request, answer.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(n: usize, answer: String) -> Record {
        let (account, region) = (AccountId::DEFAULT, Region::default());
        let token = Token { account, region, operation: "X".to_owned(), token: n.to_string() };
        Record::Answered { token, request: 0, answer }
    }

    fn has(records: &Records, n: usize) -> bool {
        let Record::Answered { token, .. } = answered(n, String::new()) else { return false };
        records.answered(&token).is_some()
    }

    #[test]
    fn s24_the_oldest_tokens_go_first() {
        let mut records = Records::default();
        for n in 0..=API_CLIENT_TOKENS_MAX {
            records.carry_out(&answered(n, "x".to_owned()));
        }
        assert!(!has(&records, 0) && has(&records, 1) && has(&records, API_CLIENT_TOKENS_MAX));
        assert_eq!(records.answer_bytes, API_CLIENT_TOKENS_MAX);
    }

    #[test]
    fn s24_long_answers_push_others_out() {
        let mut records = Records::default();
        let half = "x".repeat(API_CLIENT_TOKEN_BYTES_MAX / 2);
        for n in 0..3 {
            records.carry_out(&answered(n, half.clone()));
        }
        assert!(!has(&records, 0) && has(&records, 1) && has(&records, 2));
        records.carry_out(&answered(3, "x".repeat(API_CLIENT_TOKEN_BYTES_MAX + 1)));
        assert_eq!(records.answer_bytes, 0, "one that alone is too long is not kept");
    }

    /// What is made and gone leaves nothing, and no id comes twice.
    #[test]
    fn what_is_gone_is_forgotten() {
        let mut records = Records::default();
        let id = records.next_id(Kind::InsightsPath);
        let (owner, region) = (AccountId::DEFAULT, Region::default());
        let kind = Kind::InsightsPath;
        records.carry_out(&Record::Made { kind, id: id.clone(), owner, region: region.clone() });
        let value = "i-1".to_owned();
        records.carry_out(&Record::Set { of: id.clone(), fact: Fact::Source, value });
        let (key, value) = ("k".to_owned(), "v".to_owned());
        records.carry_out(&Record::Tagged { of: id.clone(), key, value });
        assert_eq!(records.fact(&id, Fact::Source), Some("i-1"));
        assert_ne!(records.next_id(kind), id);
        records.carry_out(&Record::Gone { id: id.clone() });
        assert_eq!(records.owned(kind, owner, &region).count(), 0);
        assert_eq!((records.fact(&id, Fact::Source), records.tags(&id).len()), (None, 0));
        assert_ne!(records.next_id(kind), id);
    }
}
