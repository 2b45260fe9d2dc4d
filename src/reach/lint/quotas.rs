//! Which quotas are nearly used up (vpc-semantics 1.4).
//!
//! Holds the count for each quota. Refuses to know limits: those are the account's.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::lens::Lens;
use super::{Evidence, Finding, Subject};
use crate::base::id::*;
use crate::cloud::account::Region;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::peering::Status;
use crate::cloud::quota::Quota;
use crate::cloud::route_table::{Origin, Route};
use crate::cloud::vpc::Vpc;

/// A quota of which so many parts in a hundred are used is named.
const PERCENT: usize = 80;

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    let mut count = Count { lens, found };
    count.regions();
    for (id, vpc) in lens.cloud.vpcs() {
        count.vpc(id, vpc);
    }
    for (id, table) in lens.cloud.tables() {
        count.table(id, table.vpc);
    }
    for (id, interface) in lens.cloud.interfaces() {
        let (subject, used) = (Subject::Interface(id), interface.groups.len());
        count.of_vpc(subject, interface.vpc, Quota::SecurityGroupsPerInterface, used);
    }
    for (id, group) in lens.cloud.groups() {
        let used = Direction::ALL.map(|direction| lens.cloud.rules_used(group, direction));
        let most = used.into_iter().max().unwrap_or_default();
        count.of_vpc(Subject::Group(id), group.vpc, Quota::RulesPerSecurityGroup, most);
    }
    for (id, acl) in lens.cloud.acls() {
        let entries = Direction::ALL.map(|direction| {
            most_of_family(acl.entries(direction).values().map(|entry| entry.block))
        });
        let most = entries.into_iter().max().unwrap_or_default();
        count.of_vpc(Subject::Acl(id), acl.vpc, Quota::EntriesPerNetworkAcl, most);
    }
    for (id, list) in lens.cloud.prefix_lists() {
        let used = list.entries.len();
        count.of(Subject::PrefixList(id), list.owner, Quota::EntriesPerPrefixList, used);
    }
}

/// How many blocks the family has that has more of them.
fn most_of_family(blocks: impl Iterator<Item = IpNet>) -> usize {
    let (v4, v6): (Vec<IpNet>, Vec<IpNet>) =
        blocks.partition(|block| matches!(block, IpNet::V4(_)));
    v4.len().max(v6.len())
}

struct Count<'a, 'c> {
    lens: &'a Lens<'c>,
    found: &'a mut Vec<Finding>,
}

impl Count<'_, '_> {
    fn of(&mut self, subject: Subject, account: AccountId, quota: Quota, used: usize) {
        let limit = self.lens.cloud.limit(account, quota);
        if used > 0 && used.saturating_mul(100) >= limit.saturating_mul(PERCENT) {
            let evidence = Evidence::NearQuota { quota, used, limit };
            self.found.push(Finding { subject, evidence });
        }
    }

    fn of_vpc(&mut self, subject: Subject, vpc: VpcId, quota: Quota, used: usize) {
        if let Some(vpc) = self.lens.cloud.vpc(vpc) {
            self.of(subject, vpc.owner, quota, used);
        }
    }

    fn vpc(&mut self, id: VpcId, vpc: &Vpc) {
        let accepted = self.lens.live_peerings(vpc).filter(|p| p.is_accepted(self.lens.now));
        for (quota, used) in [
            (Quota::CidrsPerVpc, most_of_family(vpc.blocks().iter().copied())),
            (Quota::SubnetsPerVpc, vpc.subnets().len()),
            (Quota::RouteTablesPerVpc, vpc.tables().len()),
            (Quota::ActivePeeringsPerVpc, accepted.count()),
            (Quota::NetworkAclsPerVpc, vpc.acls().len()),
        ] {
            self.of(Subject::Vpc(id), vpc.owner, quota, used);
        }
    }

    /// Propagated routes have a quota of their own; local ones and those of endpoints have none.
    fn table(&mut self, id: RouteTableId, vpc: VpcId) {
        let lens = self.lens;
        let set = lens.cloud.table(id).into_iter().flat_map(|table| table.routes());
        let used = most_of_family(set.map(|(destination, _)| destination));
        self.of_vpc(Subject::Table(id), vpc, Quota::RoutesPerTable, used);
        let is_propagated = |route: &&Route| route.origin == Origin::Propagated;
        let propagated = lens.routes(id).iter().filter(is_propagated).count();
        self.of_vpc(Subject::Table(id), vpc, Quota::PropagatedRoutesPerTable, propagated);
    }

    /// What is counted for each account, in each region or in all.
    fn regions(&mut self) {
        let mut used: BTreeMap<(AccountId, &Region, Quota), usize> = BTreeMap::new();
        let mut requests: BTreeMap<AccountId, usize> = BTreeMap::new();
        let cloud = self.lens.cloud;
        for (_, vpc) in cloud.vpcs() {
            *used.entry((vpc.owner, &vpc.region, Quota::VpcsPerRegion)).or_default() += 1;
            // The group that a VPC is born with does not count.
            let groups = vpc.groups().len().saturating_sub(1);
            *used.entry((vpc.owner, &vpc.region, Quota::SecurityGroupsPerRegion)).or_default() +=
                groups;
        }
        for vpc in cloud.interfaces().filter_map(|(_, i)| cloud.vpc(i.vpc)) {
            *used.entry((vpc.owner, &vpc.region, Quota::InterfacesPerRegion)).or_default() += 1;
        }
        for (id, gateway) in cloud.gateways() {
            if let GatewayId::EgressOnly(_) = id {
                let quota = Quota::EgressOnlyGatewaysPerRegion;
                *used.entry((gateway.owner, &gateway.region, quota)).or_default() += 1;
            }
        }
        for peering in cloud.peerings() {
            let status = peering.status(self.lens.now);
            if matches!(status, Status::InitiatingRequest | Status::PendingAcceptance) {
                *requests.entry(peering.requester().account).or_default() += 1;
            }
        }
        for ((account, _, quota), used) in used {
            self.of(Subject::Account(account), account, quota, used);
        }
        for (account, used) in requests {
            let quota = Quota::OutstandingPeeringRequests;
            self.of(Subject::Account(account), account, quota, used);
        }
    }
}
