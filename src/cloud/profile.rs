//! The two rule books, `seed` and `today`, and every difference between them: one row each.
//!
//! Holds the table of differences. Refuses to hold what a difference leads to: whoever is affected
//! asks [`Profile::has`] at the one place where the rule acts.

use std::fmt;
use std::str::FromStr;

/// The rule book that a cloud follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Profile {
    /// The rules of 2014-15, read strictly. The default.
    #[default]
    Seed,
    /// The rules of 2026.
    Today,
}

/// Something that `today` has and `seed` lacks. Each row of vpc-semantics 0.3 that the engine
/// models is one variant here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Feature {
    /// A peering may join VPCs of two regions, by naming the peer's region in the request.
    InterRegionPeering,
    /// While A asked B (or they are peered), B may ask A too; only acceptance is limited to one.
    /// `seed` reads "at most one peering for a pair" strictly: whichever side asks (2.5).
    ReversedRequest,
    /// A rule of a security group may name a group of a peer VPC in the same region.
    PeerGroupReference,
    /// Private values resolve across a peering: private names of a peer, and with the option of the
    /// side that has the instance also its public names to private addresses (2.6, 3.9).
    DnsResolutionAcrossPeering,
    /// VPCs, subnets, interfaces and routes may have IPv6 addresses.
    Ipv6,
    /// A VPC may have more than one IPv4 block.
    SecondaryCidrBlocks,
    /// A route to an interface may be more specific than a local route if it names a whole subnet.
    RouteInsideLocal,
    /// A peering carries jumbo frames; without it, 1,500 bytes.
    JumboPeering,
    /// A deletion is shown as `deleting` before it is `deleted`.
    DeletingShown,
}

impl Feature {
    /// Every difference, in the order of the reference.
    pub const ALL: [Feature; 9] = [
        Feature::InterRegionPeering,
        Feature::ReversedRequest,
        Feature::PeerGroupReference,
        Feature::DnsResolutionAcrossPeering,
        Feature::Ipv6,
        Feature::SecondaryCidrBlocks,
        Feature::RouteInsideLocal,
        Feature::JumboPeering,
        Feature::DeletingShown,
    ];
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
            | Feature::Ipv6
            | Feature::SecondaryCidrBlocks
            | Feature::RouteInsideLocal
            | Feature::JumboPeering
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
