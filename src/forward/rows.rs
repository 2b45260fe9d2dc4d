//! Dense numbers for the cloud's resources: what the data plane uses in place of ids.
//!
//! Holds the two-way translation. Refuses to forget: an id is never used twice, so its row means
//! the same for as long as the run lasts, also for packets that were on their way when the
//! network changed under them.

use std::collections::hash_map::Entry;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use super::verdict::{Location, Place};
use crate::base::id::*;
use crate::base::rng::unmix;
use crate::cloud::Cloud;
use crate::cloud::event::Change;
use crate::cloud::gateway::GatewayId;

/// The rows of one kind of resource.
#[derive(Clone, Debug)]
struct Column<Id, Idx> {
    ids: Vec<Id>,
    rows: FxHashMap<Id, Idx>,
}

impl<Id: Copy + Eq + Hash, Idx: Copy> Column<Id, Idx> {
    fn new() -> Self {
        Column { ids: Vec::new(), rows: FxHashMap::default() }
    }

    /// Gives rows to those that are new, in the order in which they were minted: what was made
    /// together lies together, and is found in the cache together. `benches/scenario.rs` shows it.
    fn extend(
        &mut self,
        ids: impl Iterator<Item = Id>,
        digits: impl Fn(Id) -> Digits,
        from_row: impl Fn(usize) -> Idx,
    ) {
        let known = self.ids.len();
        self.ids.extend(ids.filter(|id| !self.rows.contains_key(id)));
        self.ids[known..].sort_unstable_by_key(|id| unmix(digits(*id).value()));
        for (row, id) in self.ids.iter().enumerate().skip(known) {
            self.rows.insert(*id, from_row(row));
        }
    }

    /// Gives a row to this one, if it is new.
    fn add(&mut self, id: Id, from_row: impl Fn(usize) -> Idx) {
        let row = self.ids.len();
        if let Entry::Vacant(vacant) = self.rows.entry(id) {
            vacant.insert(from_row(row));
            self.ids.push(id);
        }
    }
}

/// The rows of every resource that a packet can meet.
#[derive(Clone, Debug)]
pub struct Rows {
    vpcs: Column<VpcId, VpcIdx>,
    interfaces: Column<InterfaceId, InterfaceIdx>,
    peerings: Column<PeeringId, PeeringIdx>,
    tables: Column<RouteTableId, TableIdx>,
    acls: Column<NetworkAclId, AclIdx>,
    gateways: Column<GatewayId, GatewayIdx>,
}

macro_rules! translation {
    ($column:ident, $id:ident, $idx:ident, $of:ident, $to:ident, $count:ident) => {
        #[doc = concat!("The row of this [`", stringify!($id), "`], if it was ever seen.")]
        pub fn $of(&self, id: $id) -> Option<$idx> {
            self.$column.rows.get(&id).copied()
        }

        #[doc = concat!("The [`", stringify!($id), "`] in this row.")]
        ///
        /// # Panics
        /// On a row of another run's `Rows`.
        pub fn $to(&self, idx: $idx) -> $id {
            self.$column.ids[idx.row()]
        }

        /// How many rows there are.
        pub fn $count(&self) -> usize {
            self.$column.ids.len()
        }
    };
}

impl Rows {
    /// The rows of everything in the cloud.
    pub fn of(cloud: &Cloud) -> Rows {
        let mut rows = Rows {
            vpcs: Column::new(),
            interfaces: Column::new(),
            peerings: Column::new(),
            tables: Column::new(),
            acls: Column::new(),
            gateways: Column::new(),
        };
        rows.update(cloud);
        rows
    }

    /// Gives a row to everything that is new. Linear in the size of the cloud, apart from sorting.
    pub fn update(&mut self, cloud: &Cloud) {
        let vpcs = cloud.vpcs().map(|(id, _)| id);
        let inside = cloud.interfaces().map(|(id, _)| id);
        let interfaces = inside.chain(cloud.outside_hosts().map(|(id, _)| id));
        let interfaces = interfaces.chain(cloud.gateways().filter_map(|(id, _)| memory_of(id)));
        let peerings = cloud.peerings().map(|p| p.id());
        let tables = cloud.tables().map(|(id, _)| id);
        self.vpcs.extend(vpcs, VpcId::digits, VpcIdx::from_row);
        self.interfaces.extend(interfaces, InterfaceId::digits, InterfaceIdx::from_row);
        self.peerings.extend(peerings, PeeringId::digits, PeeringIdx::from_row);
        self.tables.extend(tables, RouteTableId::digits, TableIdx::from_row);
        let acls = cloud.acls().map(|(id, _)| id);
        self.acls.extend(acls, NetworkAclId::digits, AclIdx::from_row);
        let gateways = cloud.gateways().map(|(id, _)| id);
        self.gateways.extend(gateways, GatewayId::digits, GatewayIdx::from_row);
    }

    /// Gives a row to everything that these changes have made, all that were since the last time. Costs
    /// the same in every cloud.
    pub fn follow(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::VpcCreated { vpc, main_table, default_acl, .. } => {
                    self.vpcs.add(vpc, VpcIdx::from_row);
                    self.tables.add(main_table, TableIdx::from_row);
                    self.acls.add(default_acl, AclIdx::from_row);
                }
                Change::RouteTableCreated { table, .. } => {
                    self.tables.add(table, TableIdx::from_row);
                }
                Change::PeeringRequested { peering, .. } => {
                    self.peerings.add(peering, PeeringIdx::from_row);
                }
                Change::InstanceRun { interface, .. }
                | Change::InterfaceCreated { interface, .. }
                | Change::NatGatewayCreated { interface, .. }
                | Change::OutsideHostPlaced { host: interface, .. } => {
                    self.interfaces.add(interface, InterfaceIdx::from_row);
                }
                Change::NetworkAclCreated { acl, .. } => self.acls.add(acl, AclIdx::from_row),
                Change::GatewayCreated { id, .. } => {
                    self.gateways.add(id, GatewayIdx::from_row);
                    if let Some(memory) = memory_of(id) {
                        self.interfaces.add(memory, InterfaceIdx::from_row);
                    }
                }
                _ => {}
            }
        }
    }

    translation!(vpcs, VpcId, VpcIdx, vpc, vpc_id, vpc_count);
    translation!(interfaces, InterfaceId, InterfaceIdx, interface, interface_id, interface_count);
    translation!(peerings, PeeringId, PeeringIdx, peering, peering_id, peering_count);
    translation!(tables, RouteTableId, TableIdx, table, table_id, table_count);
    translation!(acls, NetworkAclId, AclIdx, acl, acl_id, acl_count);
    translation!(gateways, GatewayId, GatewayIdx, gateway, gateway_id, gateway_count);

    /// The row under which an egress-only internet gateway remembers what went out over it, as an
    /// interface does under its own; no interface has it. `None` of a gateway that remembers nothing.
    pub fn memory_of(&self, gateway: GatewayIdx) -> Option<InterfaceIdx> {
        self.interface(memory_of(self.gateway_id(gateway))?)
    }

    /// The resource behind a place.
    pub fn locate(&self, place: Place) -> Location {
        match place {
            Place::Interface(idx) => Location::Interface(self.interface_id(idx)),
            Place::Table(idx) => Location::Table(self.table_id(idx)),
            Place::Peering(idx) => Location::Peering(self.peering_id(idx)),
            Place::Vpc(idx) => Location::Vpc(self.vpc_id(idx)),
            Place::Acl(idx) => Location::Acl(self.acl_id(idx)),
            Place::Gateway(idx) => Location::Gateway(self.gateway_id(idx)),
        }
    }
}

/// What stands for the memory of an egress-only internet gateway among interfaces: its own digits, which
/// are minted once and so no interface's.
fn memory_of(gateway: GatewayId) -> Option<InterfaceId> {
    match gateway {
        GatewayId::EgressOnly(id) => Some(InterfaceId::new(id.digits())),
        GatewayId::Internet(_) | GatewayId::Vpn(_) | GatewayId::Endpoint(_) => None,
    }
}
