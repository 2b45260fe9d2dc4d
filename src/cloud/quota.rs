//! Quotas: how much of everything one account may have.
//!
//! Holds the adjustable limits with their defaults (vpc-semantics 1.4, figures of 2023, the same
//! in 2018 unless a quota says otherwise) and their names in files. Refuses to count anything.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// A quota that can be adjusted for an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Quota {
    /// VPCs of one region. AWS: 5; ours is 1,000 so that large networks need no paperwork.
    VpcsPerRegion,
    /// IPv4 blocks of one VPC, and IPv6 blocks of one VPC.
    CidrsPerVpc,
    /// Subnets of one VPC.
    SubnetsPerVpc,
    /// Route tables of one VPC, the main table included.
    RouteTablesPerVpc,
    /// Routes of one table beside the local ones, IPv4 and IPv6 counted apart.
    RoutesPerTable,
    /// Routes of one table that a virtual private gateway propagates.
    PropagatedRoutesPerTable,
    /// Active peerings of one VPC, those being provisioned included.
    ActivePeeringsPerVpc,
    /// Peering requests that an account has made and nobody has answered.
    OutstandingPeeringRequests,
    /// Network interfaces of one region. AWS: 5,000; ours is 100,000.
    InterfacesPerRegion,
    /// Security groups of one region, those that VPCs were born with not counted. (Until 2018 the
    /// quota was one of 500 for each VPC.)
    SecurityGroupsPerRegion,
    /// Rules of one security group and direction, IPv4 and IPv6 counted apart. A rule that names a
    /// group counts once in each family, one that names a prefix list once for each entry.
    RulesPerSecurityGroup,
    /// Security groups of one interface, at most [`Quotas::GROUPS_PER_INTERFACE_MAX`].
    SecurityGroupsPerInterface,
    /// Entries of one prefix list.
    EntriesPerPrefixList,
    /// Network ACLs of one VPC, the default one included.
    NetworkAclsPerVpc,
    /// Entries of one network ACL and direction, IPv4 and IPv6 counted apart. (Until 2018 together,
    /// with the last deny.)
    EntriesPerNetworkAcl,
    /// Egress-only internet gateways of one region.
    EgressOnlyGatewaysPerRegion,
}

impl Quota {
    /// Every quota.
    pub const ALL: [Quota; 16] = [
        Quota::VpcsPerRegion,
        Quota::CidrsPerVpc,
        Quota::SubnetsPerVpc,
        Quota::RouteTablesPerVpc,
        Quota::RoutesPerTable,
        Quota::PropagatedRoutesPerTable,
        Quota::ActivePeeringsPerVpc,
        Quota::OutstandingPeeringRequests,
        Quota::InterfacesPerRegion,
        Quota::SecurityGroupsPerRegion,
        Quota::RulesPerSecurityGroup,
        Quota::SecurityGroupsPerInterface,
        Quota::EntriesPerPrefixList,
        Quota::NetworkAclsPerVpc,
        Quota::EntriesPerNetworkAcl,
        Quota::EgressOnlyGatewaysPerRegion,
    ];

    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Quota::VpcsPerRegion => "vpcs-per-region",
            Quota::CidrsPerVpc => "cidrs-per-vpc",
            Quota::SubnetsPerVpc => "subnets-per-vpc",
            Quota::RouteTablesPerVpc => "route-tables-per-vpc",
            Quota::RoutesPerTable => "routes-per-table",
            Quota::PropagatedRoutesPerTable => "propagated-routes-per-table",
            Quota::ActivePeeringsPerVpc => "active-peerings-per-vpc",
            Quota::OutstandingPeeringRequests => "outstanding-peering-requests",
            Quota::InterfacesPerRegion => "interfaces-per-region",
            Quota::SecurityGroupsPerRegion => "security-groups-per-region",
            Quota::RulesPerSecurityGroup => "rules-per-security-group",
            Quota::SecurityGroupsPerInterface => "security-groups-per-interface",
            Quota::EntriesPerPrefixList => "entries-per-prefix-list",
            Quota::NetworkAclsPerVpc => "network-acls-per-vpc",
            Quota::EntriesPerNetworkAcl => "entries-per-network-acl",
            Quota::EgressOnlyGatewaysPerRegion => "egress-only-gateways-per-region",
        }
    }

    /// The quota with this name.
    pub fn from_name(name: &str) -> Option<Quota> {
        Quota::ALL.into_iter().find(|q| q.name() == name)
    }

    /// What an account has before anybody adjusts it.
    pub const fn default_limit(self) -> usize {
        match self {
            Quota::VpcsPerRegion => 1_000,
            Quota::CidrsPerVpc | Quota::EgressOnlyGatewaysPerRegion => 5,
            Quota::SubnetsPerVpc | Quota::RouteTablesPerVpc | Quota::NetworkAclsPerVpc => 200,
            Quota::RoutesPerTable | Quota::ActivePeeringsPerVpc => 50,
            Quota::PropagatedRoutesPerTable => 100,
            Quota::OutstandingPeeringRequests => 25,
            Quota::InterfacesPerRegion => 100_000,
            Quota::SecurityGroupsPerRegion => 2_500,
            Quota::RulesPerSecurityGroup => 60,
            Quota::SecurityGroupsPerInterface => 5,
            Quota::EntriesPerPrefixList => 1_000,
            Quota::EntriesPerNetworkAcl => 20,
        }
    }
}

/// The quotas of one account: the defaults, except where adjusted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Quotas(std::collections::BTreeMap<Quota, usize>);

impl Quotas {
    /// Groups of one interface, however the quota is adjusted (1.4).
    pub const GROUPS_PER_INTERFACE_MAX: usize = 16;
    /// Rules of one group times groups of one interface (1.4): what one packet may have to pass.
    pub const RULES_PER_INTERFACE_MAX: usize = 1_000;

    /// Do they stay within what AWS grants together?
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let groups = self.limit(Quota::SecurityGroupsPerInterface);
        let rules = self.limit(Quota::RulesPerSecurityGroup);
        let fits = groups <= Quotas::GROUPS_PER_INTERFACE_MAX
            && groups.saturating_mul(rules) <= Quotas::RULES_PER_INTERFACE_MAX;
        if fits { Ok(()) } else { Err(Refusal::QuotaNotGranted { groups, rules }) }
    }

    /// The limit in force.
    pub fn limit(&self, quota: Quota) -> usize {
        self.0.get(&quota).copied().unwrap_or(quota.default_limit())
    }

    /// Adjusts one quota.
    pub fn set(&mut self, quota: Quota, limit: usize) {
        self.0.insert(quota, limit);
    }
}
