//! Tags: keys and values that an account hangs on a resource.
//!
//! Holds the commands and the `Name` convention that reports read. Refuses to give tags any other
//! meaning. Tags of a peering are each party's own (vpc-semantics 2.4).

use std::collections::{BTreeMap, BTreeSet};

use super::Cloud;
use super::account::Caller;
use super::event::{Change, ResourceId};
use super::refusal::Refusal;
use crate::base::id::AccountId;
use crate::base::limit::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_PER_RESOURCE_MAX};
use crate::base::time::Instant;

/// The key whose value is shown in place of an id.
pub const NAME: &str = "Name";

impl Cloud {
    /// The tags that an account has hung on a resource.
    pub fn tags(&self, resource: ResourceId, account: AccountId) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.tags.get(resource, account).unwrap_or(&NONE)
    }

    /// The `Name` of a resource: of a peering, the requester's word before the accepter's.
    pub fn name(&self, resource: ResourceId) -> Option<&str> {
        let requester = match resource {
            ResourceId::Peering(id) => self.peerings.get(&id).map(|p| p.requester().account),
            _ => None,
        };
        let preferred = requester.and_then(|account| self.tags.get(resource, account));
        preferred
            .and_then(|tags| tags.get(NAME))
            .or_else(|| self.tags.of_all(resource).find_map(|(_, tags)| tags.get(NAME)))
            .map(String::as_str)
    }

    /// Can a new resource have these tags?
    ///
    /// # Errors
    /// [`Refusal::InvalidTag`] and [`Refusal::TooManyTags`], as `CreateTags` would refuse them.
    pub fn check_tags(tags: &[(String, String)]) -> Result<(), Refusal> {
        check_tags(std::iter::empty(), tags)
    }

    fn own_resource(&self, caller: &Caller, id: ResourceId, now: Instant) -> Result<(), Refusal> {
        let found = match id {
            ResourceId::Vpc(id) => self.own_vpc(caller, id).is_ok(),
            ResourceId::Subnet(id) => self.own_subnet(caller, id).is_ok(),
            ResourceId::RouteTable(id) => {
                self.tables.get(&id).is_some_and(|t| self.own_vpc(caller, t.vpc).is_ok())
            }
            ResourceId::Peering(id) => self.visible_peering(caller, id, now).is_ok(),
            ResourceId::Instance(id) => self.own_instance(caller, id, now).is_ok(),
            ResourceId::Allocation(id) => self.own_address(caller, id).is_ok(),
            ResourceId::Interface(id) => {
                self.own_interface(caller, id).is_ok() || self.own_outside_host(caller, id).is_ok()
            }
            ResourceId::SecurityGroup(id) => self.own_group(caller, id).is_ok(),
            ResourceId::PrefixList(id) => self.own_prefix_list(caller, id).is_ok(),
            ResourceId::NetworkAcl(id) => self.own_acl(caller, id).is_ok(),
            ResourceId::Gateway(id) => self.own_gateway(caller, id).is_ok(),
            ResourceId::NatGateway(id) => {
                self.nat_gateways.get(&id).is_some_and(|nat| self.own_vpc(caller, nat.vpc).is_ok())
            }
            ResourceId::FlowLog(id) => self.own_flow_log(caller, id).is_ok(),
        };
        if found { Ok(()) } else { Err(Refusal::ResourceNotFound(id)) }
    }

    pub(super) fn create_tags(
        &self,
        caller: &Caller,
        resource: ResourceId,
        tags: &[(String, String)],
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_resource(caller, resource, now)?;
        let account = caller.account;
        check_tags(self.tags(resource, account).keys(), tags)?;
        let set = |(key, value): &(String, String)| Change::TagSet {
            resource,
            account,
            key: key.clone(),
            value: value.clone(),
        };
        Ok(tags.iter().map(set).collect())
    }

    pub(super) fn delete_tags(
        &self,
        caller: &Caller,
        resource: ResourceId,
        keys: &[String],
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_resource(caller, resource, now)?;
        let account = caller.account;
        let have = self.tags(resource, account);
        let gone = keys.iter().filter(|key| have.contains_key(*key));
        Ok(gone.map(|key| Change::TagRemoved { resource, account, key: key.clone() }).collect())
    }
}

/// Can a resource with tags of these keys have these as well?
fn check_tags<'t>(
    have: impl Iterator<Item = &'t String>,
    tags: &'t [(String, String)],
) -> Result<(), Refusal> {
    let mut keys: BTreeSet<&String> = have.collect();
    for (key, value) in tags {
        let key_ok = !key.is_empty() && key.chars().count() <= TAG_KEY_CHARS_MAX;
        if !key_ok || key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Refusal::InvalidTag(key.clone()));
        }
        if value.chars().count() > TAG_VALUE_CHARS_MAX {
            return Err(Refusal::InvalidTag(value.clone()));
        }
        keys.insert(key);
    }
    if keys.len() > TAGS_PER_RESOURCE_MAX { Err(Refusal::TooManyTags) } else { Ok(()) }
}
