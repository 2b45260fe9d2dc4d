//! From the cloud to rows.
//!
//! Holds the compiler of each kind of row and of the whole. Refuses to judge packets.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};
use rustc_hash::{FxHashMap, FxHashSet};

use super::classify::network::Filters;
use super::classify::{AclFilterIdx, FilterIdx};
use super::directory::{Directory, Key};
use super::edges::Edges;
use super::routes::Tables;
use super::rows::{Flags, InterfaceRow, MoreOfInterface, PeeringEnd, PeeringRow, VpcRow};
use super::{Fabric, Hosts, Version};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::Direction;
use crate::cloud::instance::{Host, InstanceState, Interface, SourceDestCheck};
use crate::cloud::peering::Peering;
use crate::forward::Rows;
use crate::forward::gate::OpenEnd;
use crate::wire::Family;

/// What all interfaces of a subnet have from it.
#[derive(Clone, Copy, Debug)]
struct OfSubnet {
    vpc: VpcIdx,
    table: TableIdx,
    acl: AclIdx,
    /// What the ACL says, and whether it lets everything pass.
    filter: AclFilterIdx,
    flags: Flags,
    ipv4: Ipv4Net,
    ipv6: Option<Ipv6Net>,
}

/// Whether what is behind an interface sends and receives.
fn state_of(cloud: &Cloud, interface: InterfaceId) -> InstanceState {
    if cloud.runs(interface) { InstanceState::Running } else { InstanceState::Stopped }
}

impl Fabric {
    /// Compiles the cloud as it is at `now`. Linear in its size, apart from sorting; `rows` must
    /// know everything in it. Valid until the next event or deadline of the cloud.
    pub fn compile(cloud: &Cloud, rows: &Rows, now: Instant) -> Fabric {
        let vpc = |row| vpc_row(cloud, rows, VpcIdx::from_row(row));
        let mut hosts = Hosts {
            interfaces: vec![InterfaceRow::ABSENT; rows.interface_count()],
            acls: vec![AclIdx::NOWHERE; rows.interface_count()],
            more: Vec::new(),
            more_free: Vec::new(),
            peerings: Vec::new(),
            vpcs: (0..rows.vpc_count()).map(vpc).collect(),
            directory: Directory::with_room(rows.interface_count()),
            filters: Filters::compile(cloud, rows),
            edges: Edges::compile(cloud, rows),
        };
        for (id, _) in cloud.outside_hosts() {
            if let Some(at) = rows.interface(id) {
                hosts.interfaces[at.row()].flags = Flags::OUTSIDE;
            }
        }
        // A million look-ups of what a hundred thousand subnets have, and of instances that mostly run,
        // would take longer than all the rest.
        let mut subnets: FxHashMap<SubnetId, Option<OfSubnet>> = FxHashMap::default();
        let stopped: FxHashSet<InterfaceId> = cloud
            .instances()
            .filter(|(_, instance)| instance.state != InstanceState::Running)
            .flat_map(|(_, instance)| instance.interfaces().map(|(_, interface)| interface))
            .collect();
        for (id, interface) in cloud.interfaces() {
            let subnet = *subnets
                .entry(interface.subnet)
                .or_insert_with(|| hosts.of_subnet(cloud, rows, interface.subnet));
            if let (Some(at), Some(subnet)) = (rows.interface(id), subnet) {
                let down = interface.host == Host::Nobody || stopped.contains(&id);
                let state = match down {
                    true => InstanceState::Stopped,
                    false => InstanceState::Running,
                };
                hosts.place_in(cloud, (at, interface), &subnet, state, now);
            }
        }
        let peering = |row| hosts.peering_row(cloud, rows, PeeringIdx::from_row(row), now);
        hosts.peerings = (0..rows.peering_count()).map(peering).collect();
        let tables = Tables::compile(cloud, rows, now);
        let deadline = |peering: &Peering| {
            let at = peering.state(now).deadline().filter(|at| *at > now)?;
            Some((at, rows.peering(peering.id())?))
        };
        let deadlines = cloud.peerings().filter_map(deadline).collect();
        Fabric { hosts, tables, version: Version::next(), deadlines }
    }
}

impl Hosts {
    /// Gives an interface its row, and its addresses a place in the directory.
    pub(super) fn place(
        &mut self,
        cloud: &Cloud,
        rows: &Rows,
        (at, id, interface): (InterfaceIdx, InterfaceId, &Interface),
        now: Instant,
    ) {
        if let Some(subnet) = self.of_subnet(cloud, rows, interface.subnet) {
            self.place_in(cloud, (at, interface), &subnet, state_of(cloud, id), now);
        }
    }

    fn place_in(
        &mut self,
        cloud: &Cloud,
        (at, interface): (InterfaceIdx, &Interface),
        subnet: &OfSubnet,
        state: InstanceState,
        now: Instant,
    ) {
        let (row, more) = self.interface_row(cloud, (at, interface), subnet, state, now);
        self.interfaces[at.row()] = row;
        self.acls[at.row()] = subnet.acl;
        if let Some(more) = more {
            self.interfaces[at.row()].more = self.add_more(more);
        }
        self.enlist(at);
    }

    /// Where this is from now on.
    fn add_more(&mut self, more: MoreOfInterface) -> u32 {
        if let Some(free) = self.more_free.pop() {
            self.more[free as usize] = more;
            return free;
        }
        self.more.push(more);
        // There are fewer of them than interfaces.
        u32::try_from(self.more.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes an interface from its row, and its addresses from the directory: those it had.
    pub(super) fn vacate(&mut self, at: InterfaceIdx) -> Vec<IpAddr> {
        let addresses: Vec<IpAddr> = self.addresses_of(at).collect();
        let row = std::mem::replace(&mut self.interfaces[at.row()], InterfaceRow::ABSENT);
        self.acls[at.row()] = AclIdx::NOWHERE;
        if (row.more as usize) < self.more.len() {
            self.more_free.push(row.more);
        }
        for address in &addresses {
            self.directory.remove(Key::of(row.vpc, *address), at);
        }
        addresses
    }

    /// Brings up to date what an interface's row says of its table, ACL and groups; its addresses are
    /// those that it had.
    pub(super) fn refresh_row(
        &mut self,
        cloud: &Cloud,
        rows: &Rows,
        (at, id, interface): (InterfaceIdx, InterfaceId, &Interface),
        now: Instant,
    ) {
        if !self.interfaces[at.row()].flags.has(Flags::THERE) {
            return;
        }
        let Some(subnet) = self.of_subnet(cloud, rows, interface.subnet) else { return };
        let (more, state) = (self.interfaces[at.row()].more, state_of(cloud, id));
        let (row, _) = self.interface_row(cloud, (at, interface), &subnet, state, now);
        self.interfaces[at.row()] = InterfaceRow { more, ..row };
        self.acls[at.row()] = subnet.acl;
    }

    /// What all interfaces of a subnet have from it.
    fn of_subnet(&self, cloud: &Cloud, rows: &Rows, id: SubnetId) -> Option<OfSubnet> {
        let subnet = cloud.subnet(id)?;
        let acl = rows.acl(cloud.acl_of(id)?)?;
        let (filter, classifiers) = (self.filters.acl(acl), self.filters.classifiers());
        let [into, out] = Direction::ALL
            .map(|way| Family::ALL.map(|family| classifiers.is_acl_open(filter, way, family)));
        let flags = Family::ALL.map(family_row).into_iter().fold(Flags::NONE, |flags, family| {
            flags
                .with_if(into[family], Flags::ACL_OPEN_IN[family])
                .with_if(out[family], Flags::ACL_OPEN_OUT[family])
        });
        Some(OfSubnet {
            vpc: rows.vpc(subnet.vpc)?,
            table: rows.table(cloud.table_of(id)?)?,
            acl,
            filter,
            flags,
            ipv4: subnet.cidr,
            ipv6: subnet.ipv6.map(|block| block.trunc()),
        })
    }

    /// Brings up to date what an interface's row says of its groups.
    pub(super) fn refresh_filter(&mut self, at: InterfaceIdx) {
        let filter = self.filters.worn(at);
        let open = self.openness(filter);
        let Some(row) = self.interfaces.get_mut(at.row()) else { return };
        row.filter = filter;
        row.flags = row.flags.without(Flags::GROUPS_OPEN[0].with(Flags::GROUPS_OPEN[1])).with(open);
    }

    /// Which families the groups of a filter let pass.
    fn openness(&self, filter: FilterIdx) -> Flags {
        let classifiers = self.filters.classifiers();
        Family::ALL.into_iter().fold(Flags::NONE, |flags, family| {
            let open = Flags::GROUPS_OPEN[family_row(family)];
            flags.with_if(classifiers.is_open(filter, family), open)
        })
    }

    /// Puts the addresses of a row into the directory, which is built anew when it is full.
    fn enlist(&mut self, at: InterfaceIdx) {
        let vpc = self.interfaces[at.row()].vpc;
        let addresses: Vec<IpAddr> = self.addresses_of(at).collect();
        if self.directory.has_room_for(addresses.len()) {
            for address in addresses {
                self.directory.insert(Key::of(vpc, address), at);
            }
            return;
        }
        let mut larger = Directory::with_room(self.directory.len() + addresses.len());
        for (row, vpc, address) in self.addresses() {
            larger.insert(Key::of(vpc, address), row);
        }
        self.directory = larger;
    }

    fn addresses(&self) -> impl Iterator<Item = (InterfaceIdx, VpcIdx, IpAddr)> + '_ {
        self.interfaces.iter().enumerate().flat_map(|(row, interface)| {
            let at = InterfaceIdx::from_row(row);
            self.addresses_of(at).map(move |address| (at, interface.vpc, address))
        })
    }

    /// The addresses of a row.
    fn addresses_of(&self, at: InterfaceIdx) -> impl Iterator<Item = IpAddr> + '_ {
        let row = self.interfaces.get(at.row());
        let v4 = row.filter(|row| row.flags.has(Flags::HAS_IPV4)).map(|row| row.address);
        let more = row.and_then(|row| self.more.get(row.more as usize));
        let v6 = more.and_then(|more| more.address);
        let others = more.into_iter().flat_map(|more| more.others.iter().copied());
        let v4 = v4.map(|address| IpAddr::V4(address.into()));
        v4.into_iter().chain(v6.map(IpAddr::V6)).chain(others)
    }

    fn interface_row(
        &mut self,
        cloud: &Cloud,
        (at, interface): (InterfaceIdx, &Interface),
        subnet: &OfSubnet,
        state: InstanceState,
        now: Instant,
    ) -> (InterfaceRow, Option<MoreOfInterface>) {
        let as_v4 = |a: &IpAddr| if let IpAddr::V4(a) = a { Some(*a) } else { None };
        let as_v6 = |a: &IpAddr| if let IpAddr::V6(a) = a { Some(*a) } else { None };
        let v4 = interface.addresses.iter().find_map(as_v4);
        let v6 = interface.addresses.iter().find_map(as_v6);
        let firsts = [v4.map(IpAddr::V4), v6.map(IpAddr::V6)];
        let is_other = |a: &IpAddr| !firsts.contains(&Some(*a));
        let others: Box<[_]> = interface.addresses.iter().copied().filter(is_other).collect();
        let is_needed = subnet.ipv6.is_some() || v6.is_some() || !others.is_empty();
        let more = MoreOfInterface { address: v6, subnet: subnet.ipv6, others };
        let filter = self.filters.wear(cloud, (at, interface), now);
        let checked = interface.source_dest_check == SourceDestCheck::On;
        let flags = Flags::THERE
            .with_if(state == InstanceState::Running, Flags::RUNS)
            .with_if(checked, Flags::CHECKED)
            .with(self.openness(filter))
            .with(subnet.flags);
        let row = InterfaceRow {
            vpc: subnet.vpc,
            table: subnet.table,
            filter,
            acl: subnet.filter,
            flags,
            ..InterfaceRow::ABSENT
        };
        (row.in_subnet(subnet.ipv4).with_address(v4), is_needed.then_some(more))
    }

    /// The row of a peering, by the VPCs as they are compiled.
    pub(super) fn peering_row(
        &self,
        cloud: &Cloud,
        rows: &Rows,
        at: PeeringIdx,
        now: Instant,
    ) -> PeeringRow {
        let id = rows.peering_id(at);
        let active = cloud.peering(id).and_then(|p| p.active(now));
        let ends = active.and_then(|active| {
            let peering = active.peering();
            let mtu = cloud.mtu_of_peering(peering.id());
            let end = |from: VpcId| {
                let end = OpenEnd::of(active, from, rows, mtu)?;
                let into = self.vpcs.get(end.into_vpc().row()).filter(|vpc| vpc.there)?;
                let (block, others) = (into.block, into.others());
                Some(PeeringEnd { from: rows.vpc(from)?, end, block, others })
            };
            Some([end(peering.requester().vpc)?, end(peering.accepter().vpc)?])
        });
        PeeringRow { ends }
    }
}

pub(super) fn vpc_row(cloud: &Cloud, rows: &Rows, at: VpcIdx) -> VpcRow {
    cloud.vpc(rows.vpc_id(at)).map_or_else(VpcRow::absent, |vpc| VpcRow::of(vpc.blocks()))
}

/// IPv4 first.
pub(super) const fn family_row(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
