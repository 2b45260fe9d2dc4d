//! Subnets and their addresses.
//!
//! Holds the subnet, which address is the next free one, and the commands about subnets. Refuses to
//! know who has an address: that is `Cloud::owner`, keyed by VPC *and* address, because two VPCs may
//! use the same one.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::account::{Caller, Zone};
use super::event::Change;
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use super::{Cloud, cidr};
use crate::base::id::*;

/// A subnet: a part of one VPC block, in one zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subnet {
    /// Its VPC.
    pub vpc: VpcId,
    /// Its IPv4 block.
    pub cidr: Ipv4Net,
    /// Its IPv6 block, if it has one.
    pub ipv6: Option<Ipv6Net>,
    /// Its zone.
    pub zone: Zone,
    pub(super) association: Option<(AssociationId, RouteTableId)>,
    pub(super) acl: (AclAssociationId, NetworkAclId),
    /// How many interfaces it has.
    pub(super) interfaces: usize,
    taken: BTreeSet<IpAddr>,
    /// No address below these is free; keeps "the lowest free address" cheap.
    free_from: (Ipv4Addr, Option<Ipv6Addr>),
}

impl Subnet {
    pub(super) fn new(
        vpc: VpcId,
        cidr: Ipv4Net,
        ipv6: Option<Ipv6Net>,
        zone: Zone,
        acl: (AclAssociationId, NetworkAclId),
    ) -> Subnet {
        let start = u32::from(cidr.network()).saturating_add(4);
        let start6 = ipv6.map(|block| u128::from(block.network()) + cidr::RESERVED_AT_START);
        Subnet {
            vpc,
            cidr,
            ipv6,
            zone,
            association: None,
            acl,
            interfaces: 0,
            taken: BTreeSet::new(),
            free_from: (start.into(), start6.map(Ipv6Addr::from)),
        }
    }

    /// Its blocks, IPv4 first.
    pub fn blocks(&self) -> impl Iterator<Item = IpNet> {
        [Some(IpNet::V4(self.cidr)), self.ipv6.map(IpNet::V6)].into_iter().flatten()
    }

    /// The explicit association with a route table; without one the subnet follows the main table.
    pub fn association(&self) -> Option<(AssociationId, RouteTableId)> {
        self.association
    }

    /// The association with a network ACL. Every subnet has one.
    pub fn acl(&self) -> (AclAssociationId, NetworkAclId) {
        self.acl
    }

    /// IPv4 addresses that are still free (vpc-semantics 1.1: 2^(32-len) - 5 - used).
    pub fn available_ipv4(&self) -> usize {
        let size = 1_usize << (32 - self.cidr.prefix_len());
        let used = self.taken.iter().filter(|a| a.is_ipv4()).count();
        size.saturating_sub(5 + used)
    }

    /// The addresses that interfaces have, in order.
    pub fn taken(&self) -> impl Iterator<Item = IpAddr> {
        self.taken.iter().copied()
    }

    pub(super) fn take(&mut self, address: IpAddr) {
        self.taken.insert(address);
        match address {
            IpAddr::V4(a) if a == self.free_from.0 => {
                self.free_from.0 = self.first_free_v4(a);
            }
            IpAddr::V6(a) if Some(a) == self.free_from.1 => {
                self.free_from.1 = Some(self.first_free_v6(a));
            }
            _ => {}
        }
    }

    pub(super) fn release(&mut self, address: IpAddr) {
        self.taken.remove(&address);
        match address {
            IpAddr::V4(a) => self.free_from.0 = self.free_from.0.min(a),
            IpAddr::V6(a) => self.free_from.1 = self.free_from.1.map(|from| from.min(a)),
        }
    }

    fn first_free_v4(&self, from: Ipv4Addr) -> Ipv4Addr {
        let mut candidate = u32::from(from);
        while self.taken.contains(&IpAddr::V4(candidate.into())) {
            candidate = candidate.saturating_add(1);
        }
        candidate.into()
    }

    fn first_free_v6(&self, from: Ipv6Addr) -> Ipv6Addr {
        let mut candidate = u128::from(from);
        while self.taken.contains(&IpAddr::V6(candidate.into())) {
            candidate = candidate.saturating_add(1);
        }
        candidate.into()
    }

    /// The lowest free IPv4 address, if one is left.
    pub fn next_ipv4(&self) -> Option<Ipv4Addr> {
        let address = self.free_from.0;
        cidr::is_assignable(self.cidr.into(), address.into()).then_some(address)
    }

    /// The lowest free IPv6 address, if the subnet has an IPv6 block and one is left.
    pub fn next_ipv6(&self) -> Option<Ipv6Addr> {
        let (block, address) = (self.ipv6?, self.free_from.1?);
        cidr::is_assignable(block.into(), address.into()).then_some(address)
    }

    /// Can this address be given out now?
    pub(super) fn check_free(&self, address: IpAddr) -> Result<(), Refusal> {
        if !self.blocks().any(|block| cidr::is_assignable(block, address)) {
            return Err(Refusal::AddressNotInSubnet(address));
        }
        if self.taken.contains(&address) {
            return Err(Refusal::AddressInUse(address));
        }
        Ok(())
    }
}

impl Cloud {
    /// The subnet, if its VPC is the caller's.
    pub(super) fn own_subnet(&self, caller: &Caller, id: SubnetId) -> Result<&Subnet, Refusal> {
        self.subnets
            .get(&id)
            .filter(|subnet| self.own_vpc(caller, subnet.vpc).is_ok())
            .ok_or(Refusal::SubnetNotFound(id))
    }

    pub(super) fn create_subnet(
        &self,
        caller: &Caller,
        vpc_id: VpcId,
        cidr: Ipv4Net,
        ipv6: Option<Ipv6Net>,
        zone: Option<Zone>,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, vpc_id)?;
        let (cidr, ipv6) = (cidr.trunc(), ipv6.map(|b| b.trunc()));
        if ipv6.is_some() && !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("Ipv6CidrBlock"));
        }
        let lies_in_vpc = |b: IpNet| vpc.blocks().iter().any(|block| block.contains(&b));
        if !cidr::is_subnet_ipv4_size(cidr) || !lies_in_vpc(cidr.into()) {
            return Err(Refusal::SubnetBlockInvalid(cidr.into()));
        }
        if let Some(b) = ipv6
            && (!cidr::is_subnet_ipv6_size(b) || !lies_in_vpc(b.into()))
        {
            return Err(Refusal::SubnetBlockInvalid(b.into()));
        }
        let wanted: Vec<IpNet> =
            [Some(IpNet::V4(cidr)), ipv6.map(IpNet::V6)].into_iter().flatten().collect();
        for sibling in vpc.subnets().iter().filter_map(|s| self.subnets.get(s)) {
            let have: Vec<IpNet> = sibling.blocks().collect();
            if let Some(block) = wanted.iter().find(|b| cidr::any_overlap(&have, &[**b])) {
                return Err(Refusal::SubnetBlockConflict(*block));
            }
        }
        let zone = zone.unwrap_or_else(|| vpc.region.first_zone());
        if !zone.is_in(&vpc.region) {
            return Err(Refusal::ZoneNotFound(zone.as_str().to_owned()));
        }
        self.within(vpc.owner, Quota::SubnetsPerVpc, || vpc.subnets().len())?;
        let mut mint = self.mint();
        let subnet = SubnetId::new(mint.next());
        let acl_association = AclAssociationId::new(mint.next());
        Ok(vec![Change::SubnetCreated { subnet, vpc: vpc_id, cidr, ipv6, zone, acl_association }])
    }

    pub(super) fn delete_subnet(
        &self,
        caller: &Caller,
        id: SubnetId,
    ) -> Result<Vec<Change>, Refusal> {
        let subnet = self.own_subnet(caller, id)?;
        if subnet.interfaces > 0 {
            return Err(Refusal::SubnetInUse(id));
        }
        let mut changes = Vec::new();
        if let Some((association, _)) = subnet.association {
            changes.push(Change::RouteTableDisassociated { association, subnet: id });
        }
        changes.push(Change::SubnetDeleted { subnet: id });
        Ok(changes)
    }
}
