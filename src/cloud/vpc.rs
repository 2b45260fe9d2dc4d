//! VPCs: their blocks, what they own, and the commands about them.
//!
//! Holds the VPC and the decisions on creating, growing, shrinking and deleting one. Refuses to
//! hold arithmetic on blocks (`cidr.rs`).

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::account::{Caller, Region};
use super::dns::{DnsAttributes, Switch, VpcAttribute};
use super::event::Change;
use super::gateway::{Gateway, GatewayId};
use super::peering::{Action, FailureCause, Role, Status};
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use super::route_table::RouteTarget;
use super::subnet::{SubnetAttribute, SubnetKind};
use super::{Cloud, Mint, cidr};
use crate::base::id::*;
use crate::base::time::Instant;

/// Whether somebody created a VPC, or an account started with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum VpcKind {
    /// Somebody created it.
    #[default]
    Custom,
    /// The account's default VPC in its region.
    Default,
}

/// A VPC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vpc {
    /// The owner.
    pub owner: AccountId,
    /// The region.
    pub region: Region,
    /// Where it comes from.
    pub kind: VpcKind,
    pub(super) blocks: Vec<IpNet>,
    /// The associations of the blocks, in the same order.
    pub(super) block_ids: Vec<CidrAssociationId>,
    pub(super) main: (AssociationId, RouteTableId),
    pub(super) tables: Vec<RouteTableId>,
    pub(super) subnets: Vec<SubnetId>,
    pub(super) peerings: BTreeSet<PeeringId>,
    pub(super) gateways: BTreeSet<GatewayId>,
    pub(super) default_acl: NetworkAclId,
    pub(super) acls: Vec<NetworkAclId>,
    pub(super) default_group: SecurityGroupId,
    pub(super) groups: Vec<SecurityGroupId>,
    pub(super) dns: DnsAttributes,
}

impl Vpc {
    /// Its address blocks, the primary one first, then in order of association. Never overlapping.
    pub fn blocks(&self) -> &[IpNet] {
        &self.blocks
    }

    /// Its blocks with their associations, in the same order.
    pub fn block_associations(
        &self,
    ) -> impl DoubleEndedIterator<Item = (CidrAssociationId, IpNet)> + '_ {
        self.block_ids.iter().copied().zip(self.blocks.iter().copied())
    }

    /// Is it its account's default VPC in its region?
    pub fn is_default(&self) -> bool {
        self.kind == VpcKind::Default
    }

    /// The main route table.
    pub fn main_table(&self) -> RouteTableId {
        self.main.1
    }

    /// The association that makes that table the main one.
    pub fn main_association(&self) -> AssociationId {
        self.main.0
    }

    /// Its route tables, in order of creation.
    pub fn tables(&self) -> &[RouteTableId] {
        &self.tables
    }

    /// Its subnets, in order of creation.
    pub fn subnets(&self) -> &[SubnetId] {
        &self.subnets
    }

    /// The network ACL that it was born with.
    pub fn default_acl(&self) -> NetworkAclId {
        self.default_acl
    }

    /// The security group that it was born with.
    pub fn default_group(&self) -> SecurityGroupId {
        self.default_group
    }

    /// Its network ACLs, the default one first, then in order of creation.
    pub fn acls(&self) -> &[NetworkAclId] {
        &self.acls
    }

    /// Its security groups, the default one first, then in order of creation.
    pub fn groups(&self) -> &[SecurityGroupId] {
        &self.groups
    }

    /// What it does for DNS.
    pub fn dns(&self) -> DnsAttributes {
        self.dns
    }

    /// The peerings it is or was a party to, as long as anybody can see them, ordered by id.
    pub fn peerings(&self) -> impl Iterator<Item = PeeringId> + '_ {
        self.peerings.iter().copied()
    }

    /// The gateways attached to it and its endpoints, ordered by kind and id.
    pub fn gateways(&self) -> impl Iterator<Item = GatewayId> + '_ {
        self.gateways.iter().copied()
    }

    /// Does the address lie in one of its blocks?
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        self.blocks.iter().any(|block| block.contains(&address))
    }

    fn ipv4_blocks(&self) -> Vec<Ipv4Net> {
        let v4 = |b: &IpNet| if let IpNet::V4(b) = b { Some(*b) } else { None };
        self.blocks.iter().filter_map(v4).collect()
    }
}

/// The ids that a new VPC and what it is born with have.
struct BornWith {
    vpc: VpcId,
    main_table: RouteTableId,
    main_association: AssociationId,
    default_acl: NetworkAclId,
    default_group: SecurityGroupId,
}

impl BornWith {
    fn new(mint: &mut Mint) -> BornWith {
        BornWith {
            vpc: VpcId::new(mint.next()),
            main_table: RouteTableId::new(mint.next()),
            main_association: AssociationId::new(mint.next()),
            default_acl: NetworkAclId::new(mint.next()),
            default_group: SecurityGroupId::new(mint.next()),
        }
    }

    fn created(self, caller: &Caller, block: Ipv4Net, kind: VpcKind) -> Change {
        let BornWith { vpc, main_table, main_association, default_acl, default_group } = self;
        Change::VpcCreated {
            vpc,
            owner: caller.account,
            region: caller.region.clone(),
            block,
            main_table,
            main_association,
            default_acl,
            default_group,
            kind,
        }
    }
}

/// The block of every default VPC.
const DEFAULT_VPC_BLOCK: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(172, 31, 0, 0), 16);

/// The blocks of its subnets, one for each zone.
fn default_subnets() -> impl Iterator<Item = Ipv4Net> {
    DEFAULT_VPC_BLOCK.subnets(20).into_iter().flatten()
}

impl Cloud {
    /// The VPC, if it is the caller's and in the caller's region.
    pub(super) fn own_vpc(&self, caller: &Caller, id: VpcId) -> Result<&Vpc, Refusal> {
        self.vpcs
            .get(&id)
            .filter(|vpc| vpc.owner == caller.account && vpc.region == caller.region)
            .ok_or(Refusal::VpcNotFound(id))
    }

    pub(super) fn create_vpc(
        &self,
        caller: &Caller,
        block: Ipv4Net,
    ) -> Result<Vec<Change>, Refusal> {
        let block = block.trunc();
        if !cidr::is_vpc_ipv4_block(block) {
            return Err(Refusal::VpcBlockInvalid(block.into()));
        }
        self.within(caller.account, Quota::VpcsPerRegion, || self.usage(caller).vpcs.len())?;
        let mut mint = self.mint();
        let new = BornWith::new(&mut mint);
        Ok(vec![new.created(caller, block, VpcKind::Custom)])
    }

    /// What AWS makes for an account in each region (user guide, default VPC components).
    pub(super) fn create_default_vpc(&self, caller: &Caller) -> Result<Vec<Change>, Refusal> {
        if let Some(vpc) = self.default_vpc(caller) {
            return Err(Refusal::DefaultVpcExists(vpc));
        }
        self.within(caller.account, Quota::VpcsPerRegion, || self.usage(caller).vpcs.len())?;
        let mut mint = self.mint();
        let new = BornWith::new(&mut mint);
        let (vpc, table) = (new.vpc, new.main_table);
        let gateway = GatewayId::Internet(InternetGatewayId::new(mint.next()));
        let hostnames = VpcAttribute::DnsHostnames(Switch::On);
        let mut changes = vec![
            new.created(caller, DEFAULT_VPC_BLOCK, VpcKind::Default),
            Change::VpcAttributeSet { vpc, attribute: hostnames },
            Change::GatewayCreated { id: gateway, gateway: Gateway::new(caller) },
            Change::GatewayAttached { gateway, vpc },
            Change::RouteSet {
                table,
                destination: Ipv4Net::default().into(),
                target: RouteTarget::Gateway(gateway),
            },
        ];
        for (zone, cidr) in caller.region.zones().zip(default_subnets()) {
            let subnet = SubnetId::new(mint.next());
            let acl_association = AclAssociationId::new(mint.next());
            let attribute = SubnetAttribute::PublicOnLaunch(Switch::On);
            let kind = SubnetKind::DefaultForZone;
            changes.push(Change::SubnetCreated {
                subnet,
                vpc,
                cidr,
                ipv6: None,
                zone,
                acl_association,
                kind,
            });
            changes.push(Change::SubnetAttributeSet { subnet, attribute });
        }
        Ok(changes)
    }

    /// The caller's default VPC in its region.
    pub fn default_vpc(&self, caller: &Caller) -> Option<VpcId> {
        self.usage(caller).default_vpc
    }

    /// The VPC and the block of an association. Whose it is, is for whoever asks to check.
    pub fn block_by_association(&self, id: CidrAssociationId) -> Option<(VpcId, IpNet)> {
        let vpc = *self.block_associations.get(&id)?;
        let (_, block) =
            self.vpcs.get(&vpc)?.block_associations().find(|(known, _)| *known == id)?;
        Some((vpc, block))
    }

    pub(super) fn delete_vpc(
        &self,
        caller: &Caller,
        id: VpcId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, id)?;
        // What a VPC is born with goes with it, all the rest must go first.
        let bare = vpc.subnets.is_empty()
            && vpc.tables == [vpc.main_table()]
            && vpc.acls == [vpc.default_acl]
            && vpc.groups == [vpc.default_group]
            && vpc.gateways.is_empty();
        if !bare {
            return Err(Refusal::VpcInUse(id));
        }
        let mut changes = Vec::new();
        for peering in vpc.peerings.iter().filter_map(|p| self.peerings.get(p)) {
            let status = peering.status(now);
            let asked_by_stranger = status == Status::PendingAcceptance
                && peering.role(caller.account) == Role::Accepter;
            // A request that is still being checked does not show to the accepter, so it can't be
            // in the accepter's way (invariant S11): the checks then find no VPC.
            let unseen = status == Status::InitiatingRequest && peering.accepter().vpc == id;
            // In transition a peering can be neither deleted nor left without its VPC.
            let in_transition =
                !unseen && matches!(status, Status::InitiatingRequest | Status::Provisioning);
            if asked_by_stranger || in_transition {
                return Err(Refusal::VpcInUse(id));
            }
            let action = if unseen {
                Action::Fail(FailureCause::PeerUnknown)
            } else {
                Action::Delete { by: caller.account }
            };
            if let Some(to) = peering.state(now).on(action, now, self.pace()) {
                changes.push(Change::PeeringMoved { peering: peering.id(), to });
            }
        }
        let (main_table, default_acl) = (vpc.main_table(), vpc.default_acl);
        changes.push(Change::VpcDeleted { vpc: id, main_table, default_acl });
        Ok(changes)
    }

    pub(super) fn associate_block(
        &self,
        caller: &Caller,
        id: VpcId,
        block: IpNet,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, id)?;
        let block = block.trunc();
        let feature = match block {
            IpNet::V4(_) => Feature::SecondaryCidrBlocks,
            IpNet::V6(_) => Feature::Ipv6,
        };
        if !self.profile.has(feature) {
            return Err(Refusal::UnknownParameter("CidrBlock"));
        }
        match block {
            IpNet::V4(b) if !cidr::is_vpc_ipv4_block(b) => {
                return Err(Refusal::VpcBlockInvalid(block));
            }
            IpNet::V6(b) if !cidr::is_vpc_ipv6_block(b) => {
                return Err(Refusal::VpcBlockInvalid(block));
            }
            IpNet::V4(b) if !cidr::may_join(&vpc.ipv4_blocks(), b) => {
                return Err(Refusal::VpcBlockRestricted(block));
            }
            _ => {}
        }
        if cidr::any_overlap(&vpc.blocks, &[block]) {
            return Err(Refusal::VpcBlockConflict(block));
        }
        let destinations =
            vpc.tables.iter().filter_map(|t| self.tables.get(t)).flat_map(|t| t.routes.keys());
        if let Some(route) = destinations.into_iter().find(|route| block.contains(*route)) {
            return Err(Refusal::VpcBlockCoversRoute { block, route: *route });
        }
        let same_family = |b: &&IpNet| matches!(b, IpNet::V4(_)) == matches!(block, IpNet::V4(_));
        self.within(vpc.owner, Quota::CidrsPerVpc, || {
            vpc.blocks.iter().filter(same_family).count()
        })?;

        let association = CidrAssociationId::new(self.mint().next());
        let mut changes = vec![Change::VpcBlockAssociated { vpc: id, association, block }];
        for peering in vpc.peerings.iter().filter_map(|p| self.peerings.get(p)) {
            let peer = peering.other_end(id).and_then(|other| self.vpcs.get(&other));
            let overlaps = peer.is_some_and(|peer| cidr::any_overlap(&peer.blocks, &[block]));
            match peering.status(now) {
                Status::InitiatingRequest | Status::PendingAcceptance
                    if peering.requester().vpc == id =>
                {
                    return Err(Refusal::VpcBlockWhilePending { vpc: id, peering: peering.id() });
                }
                Status::InitiatingRequest | Status::PendingAcceptance if overlaps => {
                    let fail = Action::Fail(FailureCause::Overlap);
                    if let Some(to) = peering.state(now).on(fail, now, self.pace()) {
                        changes.push(Change::PeeringMoved { peering: peering.id(), to });
                    }
                }
                // What has been accepted can't fail any more, so the block may not come.
                Status::Provisioning | Status::Active if overlaps => {
                    return Err(Refusal::VpcBlockOverlapsPeer { block, peering: peering.id() });
                }
                _ => {}
            }
        }
        Ok(changes)
    }

    pub(super) fn disassociate_block(
        &self,
        caller: &Caller,
        id: VpcId,
        block: IpNet,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, id)?;
        let block = block.trunc();
        let secondary = vpc.blocks.iter().skip(1).any(|b| *b == block);
        let used = vpc
            .subnets
            .iter()
            .filter_map(|s| self.subnets.get(s))
            .any(|subnet| subnet.blocks().any(|b| block.contains(&b)));
        if !secondary || used {
            return Err(Refusal::VpcBlockNotRemovable(block));
        }
        Ok(vec![Change::VpcBlockDisassociated { vpc: id, block }])
    }
}
