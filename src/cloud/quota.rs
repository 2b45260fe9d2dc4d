//! Quotas: how much of everything one account may have.
//!
//! Holds the adjustable limits with their defaults (vpc-semantics 1.4, figures of 2023, the same
//! in 2018 for all that is modelled) and their names in files. Refuses to count anything.

/// A quota that can be adjusted for an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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
}

impl Quota {
    /// Every quota.
    pub const ALL: [Quota; 9] = [
        Quota::VpcsPerRegion,
        Quota::CidrsPerVpc,
        Quota::SubnetsPerVpc,
        Quota::RouteTablesPerVpc,
        Quota::RoutesPerTable,
        Quota::PropagatedRoutesPerTable,
        Quota::ActivePeeringsPerVpc,
        Quota::OutstandingPeeringRequests,
        Quota::InterfacesPerRegion,
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
            Quota::CidrsPerVpc => 5,
            Quota::SubnetsPerVpc | Quota::RouteTablesPerVpc => 200,
            Quota::RoutesPerTable | Quota::ActivePeeringsPerVpc => 50,
            Quota::PropagatedRoutesPerTable => 100,
            Quota::OutstandingPeeringRequests => 25,
            Quota::InterfacesPerRegion => 100_000,
        }
    }
}

/// The quotas of one account: the defaults, except where adjusted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quotas(std::collections::BTreeMap<Quota, usize>);

impl Quotas {
    /// The limit in force.
    pub fn limit(&self, quota: Quota) -> usize {
        self.0.get(&quota).copied().unwrap_or(quota.default_limit())
    }

    /// Adjusts one quota.
    pub fn set(&mut self, quota: Quota, limit: usize) {
        self.0.insert(quota, limit);
    }
}
