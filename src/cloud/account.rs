//! Accounts, regions and who is calling.
//!
//! Holds the identity that every command is checked against. Refuses to hold credentials: a front
//! door decides who the caller is, the cloud decides what the caller may do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::gateway::GatewayId;
use super::quota::Quotas;
use crate::base::id::*;

/// A region such as `us-east-1`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(Arc<str>);

/// A text that cannot be the name of a region.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a region (want for example `us-east-1`)")]
pub struct MalformedRegion(
    /// What was given.
    pub String,
);

impl Region {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region's first availability zone, `us-east-1a`.
    pub fn first_zone(&self) -> Zone {
        Zone(format!("{}a", self.0).into())
    }

    /// The region's availability zones: `a`, `b` and `c` in every one.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = Zone> + '_ {
        ["a", "b", "c"].into_iter().map(|letter| Zone(format!("{}{letter}", self.0).into()))
    }
}

impl Default for Region {
    fn default() -> Region {
        Region("us-east-1".into())
    }
}

impl From<Region> for String {
    fn from(name: Region) -> String {
        name.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for Region {
    type Error = MalformedRegion;
    fn try_from(name: String) -> Result<Region, MalformedRegion> {
        name.parse()
    }
}

impl FromStr for Region {
    type Err = MalformedRegion;

    /// Words of lower-case letters joined by dashes, then a dash and a number.
    fn from_str(s: &str) -> Result<Region, MalformedRegion> {
        let mut parts: Vec<&str> = s.split('-').collect();
        let number = parts.pop().unwrap_or_default();
        let ok = s.len() <= 32
            && parts.len() >= 2
            && parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()))
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit());
        if ok { Ok(Region(s.into())) } else { Err(MalformedRegion(s.to_owned())) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An availability zone such as `us-east-1a`: its region's name and one letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Arc<str>);

impl Zone {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its id, as `use1-az1` of `us-east-1a`. AWS shuffles the letters of a region's zones between
    /// accounts; here `a` is the first for everybody.
    pub fn id(&self) -> String {
        let letter = self.0.bytes().last().unwrap_or(b'a');
        let region = &self.0[..self.0.len().saturating_sub(1)];
        let mut id = String::new();
        for (place, word) in region.split('-').enumerate() {
            match word {
                _ if place == 0 => id.push_str(word),
                "gov" => id.push('g'),
                "northeast" => id.push_str("ne"),
                "northwest" => id.push_str("nw"),
                "southeast" => id.push_str("se"),
                "southwest" => id.push_str("sw"),
                _ if word.starts_with(|c: char| c.is_ascii_digit()) => id.push_str(word),
                _ => id.extend(word.chars().next()),
            }
        }
        // A zone ends with a lower-case letter.
        format!("{id}-az{}", letter.saturating_sub(b'a') + 1)
    }

    /// Does the zone lie in this region?
    pub fn is_in(&self, region: &Region) -> bool {
        self.0.strip_prefix(region.as_str()).is_some_and(|rest| rest.len() == 1)
    }
}

impl From<Zone> for String {
    fn from(name: Zone) -> String {
        name.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for Zone {
    type Error = MalformedRegion;
    fn try_from(name: String) -> Result<Zone, MalformedRegion> {
        name.parse()
    }
}

impl FromStr for Zone {
    type Err = MalformedRegion;
    fn from_str(s: &str) -> Result<Zone, MalformedRegion> {
        let letter = s.bytes().last().is_some_and(|b| b.is_ascii_lowercase());
        match s.get(..s.len().saturating_sub(1)).map(str::parse::<Region>) {
            Some(Ok(_)) if letter => Ok(Zone(s.into())),
            _ => Err(MalformedRegion(s.to_owned())),
        }
    }
}

/// Who asks, and in which region: the authority behind a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The account that asks.
    pub account: AccountId,
    /// The region in which it asks; resources of other regions do not exist for this call.
    pub region: Region,
}

/// An account known to the cloud.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// What it may have.
    pub quotas: Quotas,
    /// What it has, by region: kept as it comes and goes, so that neither a quota nor a list costs a
    /// search. A region where it has nothing is not there.
    pub(super) holdings: BTreeMap<Region, Holdings>,
}

/// What an account has in one region.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Holdings {
    pub(super) vpcs: BTreeSet<VpcId>,
    pub(super) default_vpc: Option<VpcId>,
    /// Those that it can see from here: either end is in this region, and it owns one.
    pub(super) peerings: BTreeSet<PeeringId>,
    /// Terminated ones included, until they are forgotten.
    pub(super) instances: BTreeSet<InstanceId>,
    pub(super) prefix_lists: BTreeSet<PrefixListId>,
    pub(super) gateways: BTreeSet<GatewayId>,
    pub(super) nat_gateways: BTreeSet<NatGatewayId>,
    pub(super) public_addresses: BTreeSet<AllocationId>,
    pub(super) flow_logs: BTreeSet<FlowLogId>,
    pub(super) interfaces: usize,
    /// Security groups, those that VPCs were born with not counted.
    pub(super) groups: usize,
}

impl Holdings {
    /// What an account has that has nothing.
    pub(super) const NONE: &'static Holdings = &Holdings {
        vpcs: BTreeSet::new(),
        default_vpc: None,
        peerings: BTreeSet::new(),
        instances: BTreeSet::new(),
        prefix_lists: BTreeSet::new(),
        gateways: BTreeSet::new(),
        nat_gateways: BTreeSet::new(),
        public_addresses: BTreeSet::new(),
        flow_logs: BTreeSet::new(),
        interfaces: 0,
        groups: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_zones_are_checked() {
        for (text, ok) in [
            ("us-east-1", true),
            ("us-gov-west-1", true),
            ("us-east", false),
            ("US-EAST-1", false),
            ("east-1", false),
            ("", false),
            ("--1", false),
        ] {
            assert_eq!(text.parse::<Region>().is_ok(), ok, "{text}");
        }
        let zone: Zone = "us-east-1b".parse().unwrap();
        assert!(zone.is_in(&Region::default()));
        assert!(!zone.is_in(&"us-east-2".parse().unwrap()));
        assert!("us-east-1".parse::<Zone>().is_err());
        for (zone, id) in [
            ("us-east-1a", "use1-az1"),
            ("us-gov-west-1c", "usgw1-az3"),
            ("ap-southeast-2b", "apse2-az2"),
            ("eu-central-1a", "euc1-az1"),
        ] {
            assert_eq!(zone.parse::<Zone>().unwrap().id(), id, "{zone}");
        }
        assert!("é".parse::<Zone>().is_err());
    }
}
