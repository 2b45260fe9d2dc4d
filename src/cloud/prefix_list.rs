//! Managed prefix lists: blocks under one name, for the rules of security groups.
//!
//! Holds the list and the commands about lists. Refuses to keep the versions that AWS keeps of a
//! list, and a maximum of entries beside the account's quota: a list counts with the entries it has.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Cloud;
use super::account::{Caller, Region};
use super::event::Change;
use super::filter::Direction;
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use super::security_group::{RulePeer, SecurityGroup};
use crate::base::id::*;

/// A managed prefix list: blocks under one name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrefixList {
    /// Who owns it. Only its owner's groups may name it.
    pub owner: AccountId,
    /// The region it is in. Only groups of this region may name it.
    pub region: Region,
    /// Its blocks, ordered, none twice.
    pub entries: Vec<IpNet>,
}

impl Cloud {
    /// The list, if it is the caller's and in the caller's region.
    pub(super) fn own_prefix_list(
        &self,
        caller: &Caller,
        id: PrefixListId,
    ) -> Result<&PrefixList, Refusal> {
        self.prefix_lists
            .get(&id)
            .filter(|list| list.owner == caller.account && list.region == caller.region)
            .ok_or(Refusal::PrefixListNotFound(id))
    }

    pub(super) fn create_prefix_list(
        &self,
        caller: &Caller,
        entries: &[IpNet],
    ) -> Result<Vec<Change>, Refusal> {
        let entries = self.with_entries(caller, &[], entries)?;
        Ok(vec![Change::PrefixListCreated {
            list: PrefixListId::new(self.mint().next()),
            owner: caller.account,
            region: caller.region.clone(),
            entries,
        }])
    }

    /// Entries that are to be removed must be there; one that is to be added may be there already.
    /// Every group that names the list must have room for what it becomes: linear in the number of
    /// rules of the caller's groups.
    pub(super) fn modify_prefix_list(
        &self,
        caller: &Caller,
        id: PrefixListId,
        add: &[IpNet],
        remove: &[IpNet],
    ) -> Result<Vec<Change>, Refusal> {
        let list = self.own_prefix_list(caller, id)?;
        let mut kept: BTreeSet<IpNet> = list.entries.iter().copied().collect();
        for entry in remove.iter().map(IpNet::trunc) {
            if !kept.remove(&entry) {
                return Err(Refusal::PrefixListEntryNotFound { list: id, entry });
            }
        }
        let kept: Vec<IpNet> = kept.into_iter().collect();
        let entries = self.with_entries(caller, &kept, add)?;
        for group in self.groups_naming(caller, id) {
            for direction in Direction::ALL {
                self.check_rule_count(caller, group.rules(direction), Some((id, &entries)))?;
            }
        }
        Ok(vec![Change::PrefixListModified { list: id, entries }])
    }

    /// Linear in the number of rules of all groups.
    pub(super) fn delete_prefix_list(
        &self,
        caller: &Caller,
        id: PrefixListId,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_prefix_list(caller, id)?;
        if self.groups_naming(caller, id).next().is_some() {
            return Err(Refusal::PrefixListInUse(id));
        }
        Ok(vec![Change::PrefixListDeleted { list: id }])
    }

    /// Those entries and further ones, ordered and none twice.
    fn with_entries(
        &self,
        caller: &Caller,
        have: &[IpNet],
        add: &[IpNet],
    ) -> Result<Vec<IpNet>, Refusal> {
        if add.iter().any(|b| matches!(b, IpNet::V6(_))) && !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("AddressFamily"));
        }
        let all: BTreeSet<IpNet> =
            have.iter().copied().chain(add.iter().map(IpNet::trunc)).collect();
        self.at_most(caller.account, Quota::EntriesPerPrefixList, all.len())?;
        Ok(all.into_iter().collect())
    }

    /// The groups whose rules name the list: only its owner's in its region may.
    fn groups_naming(
        &self,
        caller: &Caller,
        id: PrefixListId,
    ) -> impl Iterator<Item = &SecurityGroup> {
        let named = RulePeer::PrefixList(id);
        let own = self.vpcs_of(caller).flat_map(|(_, vpc)| vpc.groups());
        own.filter_map(|group| self.groups.get(group)).filter(move |group| {
            Direction::ALL.iter().any(|d| group.rules(*d).iter().any(|rule| rule.peer == named))
        })
    }
}
