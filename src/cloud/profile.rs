//! The two rule books, `seed` and `today`, and every difference between them: one row each.
//!
//! Holds the table of differences; `docs/profiles.md` is written from it. Refuses to hold what a
//! difference leads to: whoever is affected asks [`Profile::has`] at the one place where the rule
//! acts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The rule book that a cloud follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Profile {
    /// The rules of 2014-15, read strictly. The default.
    #[default]
    Seed,
    /// The rules of 2026.
    Today,
}

/// Builds the enum and its table from one list.
macro_rules! features {
    ($($variant:ident $label:literal $topic:literal,
        $seed:literal, $today:literal, $source:literal;)+) => {
        /// Something that `today` has and `seed` lacks. Each row of vpc-semantics 0.3 that the
        /// engine models is one variant here.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Feature {
            $(#[doc = $today] $variant,)+
        }

        impl Feature {
            /// Every difference, in the order of the reference.
            pub const ALL: &[Feature] = &[$(Feature::$variant),+];

            /// The stable label. The two scenarios that show the difference are named after it.
            pub const fn label(self) -> &'static str {
                match self { $(Feature::$variant => $label),+ }
            }

            /// What it is about, in a few words.
            pub const fn topic(self) -> &'static str {
                match self { $(Feature::$variant => $topic),+ }
            }

            /// What a profile does, in a sentence or two.
            pub const fn rule(self, profile: Profile) -> &'static str {
                match (self, profile) {
                    $((Feature::$variant, Profile::Seed) => $seed,
                      (Feature::$variant, Profile::Today) => $today,)+
                }
            }

            /// Where the two rules come from: the section of vpc-semantics, and the source it
            /// names.
            pub const fn source(self) -> &'static str {
                match self { $(Feature::$variant => $source),+ }
            }
        }
    };
}

features! {
    InterRegionPeering "inter-region-peering" "peering across regions",
        "Both VPCs are in one region. A request that names the peer's region has an unknown parameter.",
        "A request may name the region of the peer, and the two may differ.",
        "2.3; peering page of 2015, since 2017-11-29";
    ReversedRequest "reversed-request" "asking a VPC that has asked",
        "At most one peering for a pair, whichever side asks: a request from the other side is refused while one lives.",
        "The other side may ask as well. Only acceptance is limited to one for a pair.",
        "2.5; `seed` reads \"at most one peering for a pair\" strictly";
    PeerGroupReference "peer-group-reference" "security groups of a peer VPC",
        "A rule names blocks of the peer, not its groups.",
        "A rule may name a group of a peer VPC in the same region while the peering is active.",
        "2.5, 3.7; peering pages of 2015 and 2023";
    DnsResolutionAcrossPeering "dns-resolution-across-peering" "private names of a peer VPC",
        "No private value resolves across a peering, and there is no option for it.",
        "Private names of a peer resolve; with the option of the side that has the instance, its public names resolve to private addresses.",
        "2.6, 3.9; peering pages of 2015 and 2023, since 2016-07-28";
    JumboPeering "jumbo-peering" "longest packet across a peering",
        "1,500 bytes.",
        "9,001 bytes in one region, 8,500 between two.",
        "3.4; peering page of 2015, EC2 guide on MTU";
    Ipv6 "ipv6" "IPv6",
        "VPCs, subnets, interfaces and rules have IPv4 addresses only.",
        "VPCs, subnets, interfaces, routes and rules may have IPv6 addresses, across peerings and regions too.",
        "1.1, 3.10; user guide, since 2016-12-01";
    SecondaryCidrBlocks "secondary-cidr-blocks" "further IPv4 blocks of a VPC",
        "A VPC has the IPv4 block it was made with.",
        "A VPC may have several IPv4 blocks, five by default.",
        "1.2; user guide, since 2017-08-29";
    RouteInsideLocal "route-inside-local" "routes more specific than the local one",
        "No route may lie inside a block of its own VPC.",
        "A route to an interface may, if its destination is a whole subnet.",
        "3.2; user guides of 2018 and 2023, since 2021-08-30";
    DeletingShown "deleting-shown" "the state `deleting`",
        "A peering that is deleted is `deleted` at once.",
        "It is shown as `deleting` first.",
        "2.1; peering guide of 2018 (between regions only) and of today";
}

impl Profile {
    /// Both, the default first.
    pub const ALL: [Profile; 2] = [Profile::Seed, Profile::Today];

    /// Does this rule book have the feature?
    pub const fn has(self, feature: Feature) -> bool {
        // Rows are named one by one on purpose: one that is added must be decided here.
        match feature {
            Feature::InterRegionPeering
            | Feature::ReversedRequest
            | Feature::PeerGroupReference
            | Feature::DnsResolutionAcrossPeering
            | Feature::JumboPeering
            | Feature::Ipv6
            | Feature::SecondaryCidrBlocks
            | Feature::RouteInsideLocal
            | Feature::DeletingShown => matches!(self, Profile::Today),
        }
    }

    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Seed => "seed",
            Profile::Today => "today",
        }
    }

    /// The profile with this name.
    pub fn from_name(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a profile (want `seed` or `today`)")]
pub struct UnknownProfile(
    /// What was given.
    pub String,
);

impl FromStr for Profile {
    type Err = UnknownProfile;
    fn from_str(s: &str) -> Result<Profile, UnknownProfile> {
        Profile::from_name(s).ok_or_else(|| UnknownProfile(s.to_owned()))
    }
}
