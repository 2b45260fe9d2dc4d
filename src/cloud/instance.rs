//! Instances and their interfaces: who has which address.
//!
//! Holds both types and the commands about them. Refuses to hold what an instance *does* with a
//! packet: that is the simulator's, see `Sim`.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::Cloud;
use super::account::Caller;
use super::event::Change;
use super::quota::Quota;
use super::refusal::Refusal;
use super::subnet::Subnet;
use crate::base::id::*;

/// Whether an interface may send from and receive for addresses that are not its own
/// (vpc-semantics 3.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum SourceDestCheck {
    /// It may not. The default.
    #[default]
    On,
    /// It may: a router, NAT or firewall instance.
    Off,
}

/// Whether an instance runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum InstanceState {
    /// It sends and receives.
    Running,
    /// It does neither; its interface keeps its addresses.
    Stopped,
}

/// A virtual machine with one interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Its primary interface.
    pub interface: InterfaceId,
    /// Whether it runs.
    pub state: InstanceState,
}

/// What an interface belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Host {
    /// An instance.
    Instance(InstanceId),
    /// A NAT gateway, which has no groups.
    NatGateway(NatGatewayId),
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// The VPC it is in.
    pub vpc: VpcId,
    /// The subnet it is in.
    pub subnet: SubnetId,
    /// What it belongs to.
    pub host: Host,
    /// Its addresses, in order of assignment; the first of each family is the primary one.
    pub addresses: Vec<IpAddr>,
    /// Its source/destination check.
    pub source_dest_check: SourceDestCheck,
    /// Its security groups, ordered, none twice.
    pub groups: Vec<SecurityGroupId>,
}

impl Interface {
    /// The instance it belongs to, if it does.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self.host {
            Host::Instance(id) => Some(id),
            Host::NatGateway(_) => None,
        }
    }

    /// Is this one of its addresses?
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

impl Cloud {
    fn own_instance(&self, caller: &Caller, id: InstanceId) -> Result<&Instance, Refusal> {
        self.instances
            .get(&id)
            .filter(|instance| self.own_interface(caller, instance.interface).is_ok())
            .ok_or(Refusal::InstanceNotFound(id))
    }

    /// The interface, if its VPC is the caller's.
    pub(super) fn own_interface(
        &self,
        caller: &Caller,
        id: InterfaceId,
    ) -> Result<&Interface, Refusal> {
        self.interfaces
            .get(&id)
            .filter(|interface| self.own_vpc(caller, interface.vpc).is_ok())
            .ok_or(Refusal::InterfaceNotFound(id))
    }

    pub(super) fn run_instance(
        &self,
        caller: &Caller,
        subnet_id: SubnetId,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
        source_dest_check: SourceDestCheck,
        groups: &[SecurityGroupId],
    ) -> Result<Vec<Change>, Refusal> {
        let subnet = self.own_subnet(caller, subnet_id)?;
        let groups = self.groups_for_interface(caller, subnet.vpc, groups)?;
        self.within(caller.account, Quota::InterfacesPerRegion, || self.usage(caller).interfaces)?;
        let first = match ipv4 {
            Some(wanted) => wanted,
            None => subnet.next_ipv4().ok_or(Refusal::SubnetFull(subnet_id))?,
        };
        let second = ipv6.or_else(|| subnet.next_ipv6());
        let mut addresses = vec![IpAddr::V4(first)];
        addresses.extend(second.map(IpAddr::V6));
        for address in &addresses {
            subnet.check_free(*address)?;
        }
        let mut mint = self.mint();
        Ok(vec![Change::InstanceRun {
            instance: InstanceId::new(mint.next()),
            interface: InterfaceId::new(mint.next()),
            subnet: subnet_id,
            addresses,
            source_dest_check,
            groups,
        }])
    }

    pub(super) fn stop_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
    ) -> Result<Vec<Change>, Refusal> {
        match self.own_instance(caller, id)?.state {
            InstanceState::Running => Ok(vec![Change::InstanceStopped { instance: id }]),
            // As in EC2, asking again changes nothing and is no error.
            InstanceState::Stopped => Ok(Vec::new()),
        }
    }

    pub(super) fn start_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
    ) -> Result<Vec<Change>, Refusal> {
        match self.own_instance(caller, id)?.state {
            InstanceState::Stopped => Ok(vec![Change::InstanceStarted { instance: id }]),
            InstanceState::Running => Ok(Vec::new()),
        }
    }

    pub(super) fn terminate_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
    ) -> Result<Vec<Change>, Refusal> {
        let interface = self.own_instance(caller, id)?.interface;
        let mut changes = self.without_public_addresses(interface);
        changes.push(Change::InstanceTerminated { instance: id, interface });
        Ok(changes)
    }

    pub(super) fn assign_addresses(
        &self,
        caller: &Caller,
        id: InterfaceId,
        wanted: &[Ipv4Addr],
    ) -> Result<Vec<Change>, Refusal> {
        let interface = self.own_configurable_interface(caller, id)?;
        let subnet: &Subnet = self.own_subnet(caller, interface.subnet)?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        let mut seen = BTreeSet::new();
        for address in wanted.iter().map(|a| IpAddr::V4(*a)) {
            subnet.check_free(address)?;
            if !seen.insert(address) {
                return Err(Refusal::AddressInUse(address));
            }
            addresses.push(address);
        }
        Ok(vec![Change::AddressesAssigned { interface: id, addresses }])
    }

    pub(super) fn set_source_dest_check(
        &self,
        caller: &Caller,
        id: InterfaceId,
        source_dest_check: SourceDestCheck,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_configurable_interface(caller, id)?;
        Ok(vec![Change::SourceDestCheckSet { interface: id, source_dest_check }])
    }
}
