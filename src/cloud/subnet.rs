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
use super::dns::Switch;
use super::event::Change;
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use super::vpc::Vpc;
use super::{Cloud, cidr};
use crate::base::id::*;

/// Whether a subnet was born with a default VPC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum SubnetKind {
    /// Somebody created it.
    #[default]
    Custom,
    /// It was: whoever names only its zone means it.
    DefaultForZone,
}

/// An attribute of a subnet and its new value. One at a time, as of a VPC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SubnetAttribute {
    /// `mapPublicIpOnLaunch`: a new instance gets a public address.
    PublicOnLaunch(Switch),
    /// `assignIpv6AddressOnCreation`: a new interface gets an IPv6 address.
    Ipv6OnCreation(Switch),
}

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
    /// Where it comes from.
    pub kind: SubnetKind,
    pub(super) ipv6_association: Option<SubnetCidrAssociationId>,
    pub(super) public_on_launch: Switch,
    pub(super) ipv6_on_creation: Switch,
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
        kind: SubnetKind,
    ) -> Subnet {
        let start = u32::from(cidr.network()).saturating_add(4);
        Subnet {
            vpc,
            cidr,
            ipv6,
            zone,
            kind,
            ipv6_association: None,
            public_on_launch: Switch::Off,
            ipv6_on_creation: Switch::Off,
            association: None,
            acl,
            interfaces: 0,
            taken: BTreeSet::new(),
            free_from: (start.into(), ipv6.map(first_ipv6)),
        }
    }

    /// From now on it has this IPv6 block, or none.
    pub(super) fn set_ipv6(&mut self, block: Option<(SubnetCidrAssociationId, Ipv6Net)>) {
        self.ipv6 = block.map(|(_, block)| block);
        self.ipv6_association = block.map(|(id, _)| id);
        self.free_from.1 = self.ipv6.map(first_ipv6);
        if block.is_none() {
            self.ipv6_on_creation = Switch::Off;
        }
    }

    /// The association of its IPv6 block, if it has one.
    pub fn ipv6_association(&self) -> Option<SubnetCidrAssociationId> {
        self.ipv6_association
    }

    /// `mapPublicIpOnLaunch`.
    pub fn public_on_launch(&self) -> Switch {
        self.public_on_launch
    }

    /// `assignIpv6AddressOnCreation`.
    pub fn ipv6_on_creation(&self) -> Switch {
        self.ipv6_on_creation
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
        self.next_ipv4_from(None)
    }

    /// The lowest free IPv4 address that is not below `from`.
    pub(super) fn next_ipv4_from(&self, from: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let lowest = self.free_from.0;
        let address = match from {
            Some(from) if from > lowest => self.first_free_v4(from),
            _ => lowest,
        };
        cidr::is_assignable(self.cidr.into(), address.into()).then_some(address)
    }

    /// The lowest free IPv6 address, if the subnet has an IPv6 block and one is left.
    pub fn next_ipv6(&self) -> Option<Ipv6Addr> {
        self.next_ipv6_from(None)
    }

    /// The lowest free IPv6 address that is not below `from`.
    pub(super) fn next_ipv6_from(&self, from: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
        let (block, lowest) = (self.ipv6?, self.free_from.1?);
        let address = match from {
            Some(from) if from > lowest => self.first_free_v6(from),
            _ => lowest,
        };
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

/// The first address of a block that can be given out.
fn first_ipv6(block: Ipv6Net) -> Ipv6Addr {
    (u128::from(block.network()) + cidr::RESERVED_AT_START).into()
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
        let kind = SubnetKind::Custom;
        Ok(vec![Change::SubnetCreated {
            subnet,
            vpc: vpc_id,
            cidr,
            ipv6,
            zone,
            acl_association,
            kind,
        }])
    }

    pub(super) fn modify_subnet_attribute(
        &self,
        caller: &Caller,
        id: SubnetId,
        attribute: SubnetAttribute,
    ) -> Result<Vec<Change>, Refusal> {
        let subnet = self.own_subnet(caller, id)?;
        match attribute {
            SubnetAttribute::PublicOnLaunch(_) => {}
            SubnetAttribute::Ipv6OnCreation(_) if !self.profile.has(Feature::Ipv6) => {
                return Err(Refusal::UnknownParameter("AssignIpv6AddressOnCreation"));
            }
            SubnetAttribute::Ipv6OnCreation(switch) if switch.is_on() && subnet.ipv6.is_none() => {
                return Err(Refusal::SubnetWithoutIpv6(id));
            }
            SubnetAttribute::Ipv6OnCreation(_) => {}
        }
        Ok(vec![Change::SubnetAttributeSet { subnet: id, attribute }])
    }

    pub(super) fn associate_subnet_block(
        &self,
        caller: &Caller,
        id: SubnetId,
        block: Ipv6Net,
    ) -> Result<Vec<Change>, Refusal> {
        let subnet = self.own_subnet(caller, id)?;
        let vpc = self.own_vpc(caller, subnet.vpc)?;
        let block = block.trunc();
        if !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("Ipv6CidrBlock"));
        }
        if subnet.ipv6.is_some() {
            return Err(Refusal::SubnetHasIpv6(id));
        }
        self.check_subnet_ipv6(vpc, block)?;
        let association = SubnetCidrAssociationId::new(self.mint().next());
        Ok(vec![Change::SubnetBlockAssociated { subnet: id, association, block }])
    }

    /// Is the block a subnet's, in the VPC, and nobody else's?
    fn check_subnet_ipv6(&self, vpc: &Vpc, block: Ipv6Net) -> Result<(), Refusal> {
        let net = IpNet::V6(block);
        if !cidr::is_subnet_ipv6_size(block) || !vpc.blocks().iter().any(|b| b.contains(&net)) {
            return Err(Refusal::SubnetBlockInvalid(net));
        }
        let siblings = vpc.subnets().iter().filter_map(|s| self.subnets.get(s));
        match siblings.filter_map(|s| s.ipv6).any(|b| cidr::any_overlap(&[b.into()], &[net])) {
            true => Err(Refusal::SubnetBlockConflict(net)),
            false => Ok(()),
        }
    }

    pub(super) fn disassociate_subnet_block(
        &self,
        caller: &Caller,
        association: SubnetCidrAssociationId,
    ) -> Result<Vec<Change>, Refusal> {
        let (id, subnet) = self
            .subnet_block_associations
            .get(&association)
            .and_then(|id| Some((*id, self.own_subnet(caller, *id).ok()?)))
            .ok_or(Refusal::SubnetCidrAssociationNotFound(association))?;
        if subnet.taken().any(|address| address.is_ipv6()) {
            return Err(Refusal::SubnetInUse(id));
        }
        Ok(vec![Change::SubnetBlockDisassociated { subnet: id }])
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
