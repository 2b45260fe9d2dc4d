//! From the cloud to rows.
//!
//! Holds the compiler of each kind of row and of the whole. Refuses to judge packets.

use std::net::IpAddr;

use super::classify::network::Filters;
use super::directory::{Directory, Key};
use super::edges::Edges;
use super::routes::Tables;
use super::rows::{Flags, InterfaceRow, MoreOfInterface, PeeringEnd, PeeringRow, VpcRow};
use super::{Fabric, Hosts, Version};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::Direction;
use crate::cloud::instance::{Interface, SourceDestCheck};
use crate::forward::Rows;
use crate::forward::gate::OpenEnd;
use crate::wire::Family;

impl Fabric {
    /// Compiles the cloud as it is at `now`. Linear in its size, apart from sorting; `rows` must
    /// know everything in it. Valid until the next event or deadline of the cloud.
    pub fn compile(cloud: &Cloud, rows: &Rows, now: Instant) -> Fabric {
        let vpc = |row| vpc_row(cloud, rows, VpcIdx::from_row(row));
        let mut hosts = Hosts {
            interfaces: vec![InterfaceRow::ABSENT; rows.interface_count()],
            acls: vec![AclIdx::NOWHERE; rows.interface_count()],
            more: Vec::new(),
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
        for (id, interface) in cloud.interfaces() {
            if let Some(at) = rows.interface(id) {
                hosts.place(cloud, rows, (at, id, interface), now);
            }
        }
        let peering = |row| hosts.peering_row(cloud, rows, PeeringIdx::from_row(row), now);
        hosts.peerings = (0..rows.peering_count()).map(peering).collect();
        let tables = Tables::compile(cloud, rows, now);
        Fabric { hosts, tables, version: Version::next(), until: cloud.next_deadline(now) }
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
        let Some(acl) = cloud.acl_of(interface.subnet).and_then(|acl| rows.acl(acl)) else {
            return;
        };
        let built = self.interface_row(cloud, rows, (id, interface, acl), now);
        let Some((row, more)) = built else { return };
        self.interfaces[at.row()] = row;
        self.acls[at.row()] = acl;
        if let Some(more) = more {
            // There are fewer of them than interfaces.
            self.interfaces[at.row()].more = u32::try_from(self.more.len()).unwrap_or(u32::MAX);
            self.more.push(more);
        }
        self.enlist(at);
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
        rows: &Rows,
        (id, interface, acl): (InterfaceId, &Interface, AclIdx),
        now: Instant,
    ) -> Option<(InterfaceRow, Option<MoreOfInterface>)> {
        let subnet = cloud.subnet(interface.subnet)?;
        let as_v4 = |a: &IpAddr| if let IpAddr::V4(a) = a { Some(*a) } else { None };
        let as_v6 = |a: &IpAddr| if let IpAddr::V6(a) = a { Some(*a) } else { None };
        let v4 = interface.addresses.iter().find_map(as_v4);
        let v6 = interface.addresses.iter().find_map(as_v6);
        let firsts = [v4.map(IpAddr::V4), v6.map(IpAddr::V6)];
        let is_other = |a: &IpAddr| !firsts.contains(&Some(*a));
        let others: Box<[_]> = interface.addresses.iter().copied().filter(is_other).collect();
        let is_needed = subnet.ipv6.is_some() || v6.is_some() || !others.is_empty();
        let more =
            MoreOfInterface { address: v6, subnet: subnet.ipv6.map(|block| block.trunc()), others };
        let filter = self.filters.of(cloud, interface, now);
        let acl = self.filters.acl(acl);
        let checked = interface.source_dest_check == SourceDestCheck::On;
        let mut flags =
            Flags::THERE.with_if(cloud.runs(id), Flags::RUNS).with_if(checked, Flags::CHECKED);
        let classifiers = self.filters.classifiers();
        let groups = Family::ALL.map(|family| classifiers.is_open(filter, family));
        let [into, out] = Direction::ALL
            .map(|way| Family::ALL.map(|family| classifiers.is_acl_open(acl, way, family)));
        for family in Family::ALL.map(family_row) {
            flags = flags
                .with_if(groups[family], Flags::GROUPS_OPEN[family])
                .with_if(into[family], Flags::ACL_OPEN_IN[family])
                .with_if(out[family], Flags::ACL_OPEN_OUT[family]);
        }
        let row = InterfaceRow {
            vpc: rows.vpc(interface.vpc)?,
            table: rows.table(cloud.table_of(interface.subnet)?)?,
            filter,
            acl,
            flags,
            ..InterfaceRow::ABSENT
        };
        let row = row.in_subnet(subnet.cidr).with_address(v4);
        Some((row, is_needed.then_some(more)))
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
