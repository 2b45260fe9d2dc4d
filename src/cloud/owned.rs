//! What one account has in one region: the lists that a front door shows.
//!
//! Holds the readers, each of which costs what the account has there and not what others have. Refuses
//! to decide who may see what: a caller is shown what is its own, and peerings as `peering.rs` says.

use super::Cloud;
use super::account::Caller;
use super::flow_log::FlowLog;
use super::gateway::{Gateway, GatewayId, NatGateway, PublicAddress};
use super::instance::{Instance, Interface};
use super::peering::Peering;
use super::prefix_list::PrefixList;
use super::refusal::Refusal;
use super::vpc::Vpc;
use crate::base::id::*;
use crate::base::time::Instant;

impl Cloud {
    /// The caller's VPCs, ordered by id. What is in them is in theirs: subnets, tables, groups, ACLs.
    pub fn vpcs_of(&self, caller: &Caller) -> impl Iterator<Item = (VpcId, &Vpc)> {
        self.usage(caller).vpcs.iter().filter_map(|id| Some((*id, self.vpcs.get(id)?)))
    }

    /// The peerings that the caller sees at `now`, ordered by id.
    pub fn peerings_of(&self, caller: &Caller, now: Instant) -> impl Iterator<Item = &Peering> {
        let account = caller.account;
        let known = self.usage(caller).peerings.iter().filter_map(|id| self.peerings.get(id));
        known.filter(move |peering| peering.is_visible_to(account, now))
    }

    /// The peerings that have these two VPCs as ends, whichever asked, ordered by id. Costs what one
    /// of them has.
    pub fn peerings_between(&self, a: VpcId, b: VpcId) -> impl Iterator<Item = &Peering> {
        let of_a = self.vpcs.get(&a).into_iter().flat_map(Vpc::peerings);
        of_a.filter_map(|id| self.peerings.get(&id)).filter(move |p| p.other_end(a) == Some(b))
    }

    /// The caller's instances that can be seen at `now`, ordered by id.
    pub fn instances_of(
        &self,
        caller: &Caller,
        now: Instant,
    ) -> impl Iterator<Item = (InstanceId, &Instance)> {
        let ids = self.usage(caller).instances.iter();
        let known = ids.filter_map(|id| Some((*id, self.instances.get(id)?)));
        known.filter(move |(_, instance)| now < instance.forgotten_at())
    }

    /// The caller's instance, if it can be seen at `now`.
    ///
    /// # Errors
    /// [`Refusal::InstanceNotFound`], also if it is another account's.
    pub fn describe_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
        now: Instant,
    ) -> Result<&Instance, Refusal> {
        self.own_instance(caller, id, now)
    }

    /// The caller's interfaces, VPC by VPC and subnet by subnet.
    pub fn interfaces_of(
        &self,
        caller: &Caller,
    ) -> impl Iterator<Item = (InterfaceId, &Interface)> {
        let subnets = self.vpcs_of(caller).flat_map(|(_, vpc)| vpc.subnets());
        subnets.flat_map(|subnet| self.interfaces_in(*subnet))
    }

    /// The caller's prefix lists, ordered by id.
    pub fn prefix_lists_of(
        &self,
        caller: &Caller,
    ) -> impl Iterator<Item = (PrefixListId, &PrefixList)> {
        let ids = self.usage(caller).prefix_lists.iter();
        ids.filter_map(|id| Some((*id, self.prefix_lists.get(id)?)))
    }

    /// The public addresses that the caller holds or is lent, ordered by allocation.
    pub fn public_addresses_of(
        &self,
        caller: &Caller,
    ) -> impl Iterator<Item = (AllocationId, &PublicAddress)> {
        let ids = self.usage(caller).public_addresses.iter();
        ids.filter_map(|id| Some((*id, self.public_addresses.get(id)?)))
    }

    /// The caller's gateways and endpoints, ordered by kind and id.
    pub fn gateways_of(&self, caller: &Caller) -> impl Iterator<Item = (GatewayId, &Gateway)> {
        let ids = self.usage(caller).gateways.iter();
        ids.filter_map(|id| Some((*id, self.gateways.get(id)?)))
    }

    /// The caller's NAT gateways, ordered by id.
    pub fn nat_gateways_of(
        &self,
        caller: &Caller,
    ) -> impl Iterator<Item = (NatGatewayId, &NatGateway)> {
        let ids = self.usage(caller).nat_gateways.iter();
        ids.filter_map(|id| Some((*id, self.nat_gateways.get(id)?)))
    }

    /// The caller's flow logs, ordered by id.
    pub fn flow_logs_of(&self, caller: &Caller) -> impl Iterator<Item = (FlowLogId, &FlowLog)> {
        let ids = self.usage(caller).flow_logs.iter();
        ids.filter_map(|id| Some((*id, self.flow_logs.get(id)?)))
    }
}
