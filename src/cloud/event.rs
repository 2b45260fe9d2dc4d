//! What happened: the changes that a command makes, as values.
//!
//! Holds the events and the one function that carries each out ([`Cloud::evolve`]). Refuses to hold
//! any rule: an event is the effect of a decision already taken (ids, instants, results), so
//! replaying events asks neither a clock nor a generator and cannot be refused.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Cloud;
use super::account::{Region, Zone};
use super::instance::{Instance, InstanceState, Interface, SourceDestCheck};
use super::peering::{Party, Peering, State};
use super::quota::Quotas;
use super::route_table::{RouteTable, RouteTarget};
use super::subnet::Subnet;
use super::vpc::Vpc;
use crate::base::id::*;
use crate::base::time::Instant;

/// Anything that can carry tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "each variant is the id of what it names")]
pub enum ResourceId {
    Vpc(VpcId),
    Subnet(SubnetId),
    RouteTable(RouteTableId),
    Peering(PeeringId),
    Instance(InstanceId),
    Interface(InterfaceId),
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResourceId::Vpc(id) => id.fmt(f),
            ResourceId::Subnet(id) => id.fmt(f),
            ResourceId::RouteTable(id) => id.fmt(f),
            ResourceId::Peering(id) => id.fmt(f),
            ResourceId::Instance(id) => id.fmt(f),
            ResourceId::Interface(id) => id.fmt(f),
        }
    }
}

/// One change and its moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When it happened.
    pub at: Instant,
    /// What happened.
    pub change: Change,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "fields carry the names of the command's parameters and new ids")]
pub enum Change {
    AccountOpened {
        account: AccountId,
        quotas: Quotas,
    },

    VpcCreated {
        vpc: VpcId,
        owner: AccountId,
        region: Region,
        block: Ipv4Net,
        main_table: RouteTableId,
        main_association: AssociationId,
    },
    VpcDeleted {
        vpc: VpcId,
    },
    VpcBlockAssociated {
        vpc: VpcId,
        block: IpNet,
    },
    VpcBlockDisassociated {
        vpc: VpcId,
        block: IpNet,
    },

    SubnetCreated {
        subnet: SubnetId,
        vpc: VpcId,
        cidr: Ipv4Net,
        ipv6: Option<Ipv6Net>,
        zone: Zone,
    },
    SubnetDeleted {
        subnet: SubnetId,
    },

    RouteTableCreated {
        table: RouteTableId,
        vpc: VpcId,
    },
    RouteTableDeleted {
        table: RouteTableId,
    },
    RouteTableAssociated {
        association: AssociationId,
        table: RouteTableId,
        subnet: SubnetId,
    },
    RouteTableDisassociated {
        association: AssociationId,
    },
    MainRouteTableReplaced {
        vpc: VpcId,
        association: AssociationId,
        table: RouteTableId,
    },
    /// A route was created, or its target replaced.
    RouteSet {
        table: RouteTableId,
        destination: IpNet,
        target: RouteTarget,
    },
    RouteDeleted {
        table: RouteTableId,
        destination: IpNet,
    },

    PeeringRequested {
        peering: PeeringId,
        requester: Party,
        accepter: Party,
        state: State,
    },
    /// The request repeats one that is pending or active: that one is the answer, nothing changed.
    PeeringFound {
        peering: PeeringId,
    },
    PeeringMoved {
        peering: PeeringId,
        to: State,
    },

    InstanceRun {
        instance: InstanceId,
        interface: InterfaceId,
        subnet: SubnetId,
        addresses: Vec<IpAddr>,
        source_dest_check: SourceDestCheck,
    },
    InstanceStopped {
        instance: InstanceId,
    },
    InstanceStarted {
        instance: InstanceId,
    },
    InstanceTerminated {
        instance: InstanceId,
    },
    AddressesAssigned {
        interface: InterfaceId,
        addresses: Vec<IpAddr>,
    },
    SourceDestCheckSet {
        interface: InterfaceId,
        source_dest_check: SourceDestCheck,
    },

    TagSet {
        resource: ResourceId,
        account: AccountId,
        key: String,
        value: String,
    },
    TagRemoved {
        resource: ResourceId,
        account: AccountId,
        key: String,
    },
}

impl Cloud {
    /// Carries an event out. Every reference it makes was checked by the decision that made it; one
    /// that is missing nevertheless (a damaged journal) leaves that part undone rather than panics.
    pub(super) fn evolve(&mut self, event: &Event) {
        self.latest = self.latest.max(event.at);
        match &event.change {
            Change::AccountOpened { account, quotas } => {
                self.accounts.entry(*account).or_default().quotas = quotas.clone();
            }

            Change::VpcCreated { vpc, owner, region, block, main_table, main_association } => {
                self.minted += 3;
                self.accounts.entry(*owner).or_default();
                let new = Vpc::new(*owner, region.clone(), *block, *main_table, *main_association);
                self.vpcs.insert(*vpc, new);
                self.tables.insert(*main_table, RouteTable::new(*vpc));
            }
            Change::VpcDeleted { vpc } => {
                if let Some(gone) = self.vpcs.remove(vpc) {
                    self.tables.remove(&gone.main_table());
                    self.untag(ResourceId::Vpc(*vpc));
                    self.untag(ResourceId::RouteTable(gone.main_table()));
                }
            }
            Change::VpcBlockAssociated { vpc, block } => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.blocks.push(*block);
                }
            }
            Change::VpcBlockDisassociated { vpc, block } => {
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.blocks.retain(|b| b != block);
                }
            }

            Change::SubnetCreated { subnet, vpc, cidr, ipv6, zone } => {
                self.minted += 1;
                self.subnets.insert(*subnet, Subnet::new(*vpc, *cidr, *ipv6, zone.clone()));
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.subnets.push(*subnet);
                }
            }
            Change::SubnetDeleted { subnet } => {
                if let Some(gone) = self.subnets.remove(subnet) {
                    if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                        vpc.subnets.retain(|s| s != subnet);
                    }
                    self.untag(ResourceId::Subnet(*subnet));
                }
            }

            Change::RouteTableCreated { table, vpc } => {
                self.minted += 1;
                self.tables.insert(*table, RouteTable::new(*vpc));
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.tables.push(*table);
                }
            }
            Change::RouteTableDeleted { table } => {
                if let Some(gone) = self.tables.remove(table) {
                    if let Some(vpc) = self.vpcs.get_mut(&gone.vpc) {
                        vpc.tables.retain(|t| t != table);
                    }
                    self.untag(ResourceId::RouteTable(*table));
                }
            }
            Change::RouteTableAssociated { association, table, subnet } => {
                self.minted += 1;
                if let Some(old) = self
                    .subnets
                    .get_mut(subnet)
                    .and_then(|s| s.association.replace((*association, *table)))
                {
                    self.associations.remove(&old.0);
                }
                self.associations.insert(*association, *subnet);
            }
            Change::RouteTableDisassociated { association } => {
                if let Some(subnet) = self.associations.remove(association)
                    && let Some(subnet) = self.subnets.get_mut(&subnet)
                {
                    subnet.association = None;
                }
            }
            Change::MainRouteTableReplaced { vpc, association, table } => {
                self.minted += 1;
                if let Some(vpc) = self.vpcs.get_mut(vpc) {
                    vpc.main = (*association, *table);
                }
            }
            Change::RouteSet { table, destination, target } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.routes.insert(*destination, *target);
                }
            }
            Change::RouteDeleted { table, destination } => {
                if let Some(table) = self.tables.get_mut(table) {
                    table.routes.remove(destination);
                }
            }

            Change::PeeringRequested { peering, requester, accepter, state } => {
                self.minted += 1;
                for party in [requester, accepter] {
                    // A request may name a VPC with the wrong owner or region: it fails, and the
                    // VPC's real owner never had a part in it.
                    let named = |v: &&mut Vpc| v.owner == party.account && v.region == party.region;
                    if let Some(vpc) = self.vpcs.get_mut(&party.vpc).filter(named) {
                        vpc.peerings.insert(*peering);
                    }
                }
                let new = Peering::new(*peering, requester.clone(), accepter.clone(), *state);
                self.peerings.insert(*peering, new);
            }
            Change::PeeringFound { .. } => {}
            Change::PeeringMoved { peering, to } => {
                if let Some(peering) = self.peerings.get_mut(peering) {
                    peering.move_to(*to);
                }
            }

            Change::InstanceRun { instance, interface, subnet, addresses, source_dest_check } => {
                self.minted += 2;
                let Some(home) = self.subnets.get(subnet) else { return };
                let vpc = home.vpc;
                self.instances.insert(
                    *instance,
                    Instance { interface: *interface, state: InstanceState::Running },
                );
                self.interfaces.insert(
                    *interface,
                    Interface {
                        vpc,
                        subnet: *subnet,
                        instance: *instance,
                        addresses: Vec::new(),
                        source_dest_check: *source_dest_check,
                    },
                );
                self.give_addresses(*interface, addresses);
                if let Some(home) = self.subnets.get_mut(subnet) {
                    home.interfaces += 1;
                }
            }
            Change::InstanceStopped { instance } => {
                self.set_state(*instance, InstanceState::Stopped)
            }
            Change::InstanceStarted { instance } => {
                self.set_state(*instance, InstanceState::Running)
            }
            Change::InstanceTerminated { instance } => {
                let Some(gone) = self.instances.remove(instance) else { return };
                self.untag(ResourceId::Instance(*instance));
                let Some(interface) = self.interfaces.remove(&gone.interface) else { return };
                self.untag(ResourceId::Interface(gone.interface));
                if let Some(subnet) = self.subnets.get_mut(&interface.subnet) {
                    subnet.interfaces = subnet.interfaces.saturating_sub(1);
                    for address in &interface.addresses {
                        subnet.release(*address);
                    }
                }
                for address in interface.addresses {
                    self.owners.remove(&(interface.vpc, address));
                }
            }
            Change::AddressesAssigned { interface, addresses } => {
                self.give_addresses(*interface, addresses);
            }
            Change::SourceDestCheckSet { interface, source_dest_check } => {
                if let Some(interface) = self.interfaces.get_mut(interface) {
                    interface.source_dest_check = *source_dest_check;
                }
            }

            Change::TagSet { resource, account, key, value } => {
                self.tags
                    .entry((*resource, *account))
                    .or_default()
                    .insert(key.clone(), value.clone());
            }
            Change::TagRemoved { resource, account, key } => {
                if let Some(tags) = self.tags.get_mut(&(*resource, *account)) {
                    tags.remove(key);
                }
            }
        }
    }

    fn give_addresses(&mut self, interface: InterfaceId, addresses: &[IpAddr]) {
        let Some(owner) = self.interfaces.get_mut(&interface) else { return };
        let Some(subnet) = self.subnets.get_mut(&owner.subnet) else { return };
        for address in addresses {
            owner.addresses.push(*address);
            subnet.take(*address);
            self.owners.insert((owner.vpc, *address), interface);
        }
    }

    fn set_state(&mut self, instance: InstanceId, state: InstanceState) {
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.state = state;
        }
    }

    fn untag(&mut self, resource: ResourceId) {
        let first = (resource, AccountId::LOWEST);
        let of_it = self.tags.range(first..).take_while(|((tagged, _), _)| *tagged == resource);
        let keys: Vec<_> = of_it.map(|(key, _)| *key).collect();
        for key in keys {
            self.tags.remove(&key);
        }
    }
}
