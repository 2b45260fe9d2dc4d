//! The compiled twin: one version of the network as flat arrays, immutable once built.
//!
//! Holds the arrays, their compiler and the same `leave` and `enter` as the reference; filters and
//! edges are compiled in `snapshot/`. Refuses to look at the cloud after it is built, to remember
//! anything (connections are an argument), and to explain itself: explanations are the reference's.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub(super) mod edges;
pub(super) mod filters;

use super::connections::Tracking;
use super::gate::{Crossing, Edge, OpenEnd, Origin, Realm, Via};
use super::lpm::{Block, Ranges};
use super::{Drop, DropReason, Forwarder, Place, Rows};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::cloud::instance::{InstanceState, SourceDestCheck};
use crate::cloud::route_table::{Blackhole, Hop, RouteState, RouteTarget};
use crate::wire::Packet;
use edges::{Blocks, Edges};
use filters::{FilterIdx, Filters, Passes};

/// A route's target, by row. Whether it can be used is not copied into every table that names it:
/// it is looked up in the target's own row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Local,
    Interface(InterfaceIdx),
    Peering(PeeringIdx),
    Gateway(GatewayIdx),
    /// Names something that has no row; nothing can pass.
    Unknown,
}

/// A map from addresses of both families, which never influence each other.
#[derive(Clone, Debug)]
struct ByAddress<V> {
    v4: Ranges<u32, V>,
    v6: Ranges<u128, V>,
}

impl<V: Copy + PartialEq> ByAddress<V> {
    fn build(entries: impl Iterator<Item = (IpNet, V)>) -> ByAddress<V> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (net, value) in entries {
            match net {
                IpNet::V4(net) => v4.push(Block {
                    first: u32::from(net.network()),
                    last: u32::from(net.broadcast()),
                    value,
                }),
                IpNet::V6(net) => v6.push(Block {
                    first: u128::from(net.network()),
                    last: u128::from(net.broadcast()),
                    value,
                }),
            }
        }
        ByAddress { v4: Ranges::build(v4), v6: Ranges::build(v6) }
    }

    fn get(&self, address: IpAddr) -> Option<V> {
        match address {
            IpAddr::V4(address) => self.v4.get(address.into()),
            IpAddr::V6(address) => self.v6.get(address.into()),
        }
    }
}

/// What `leave` and `enter` need of an interface. What most interfaces do without is kept elsewhere,
/// so that two rows share a line of the cache.
#[derive(Clone, Debug)]
struct InterfaceRow {
    vpc: VpcIdx,
    table: TableIdx,
    /// What its security groups say.
    filter: FilterIdx,
    /// The network ACL of its subnet.
    acl: AclIdx,
    /// The IPv4 block of its subnet.
    subnet: Ipv4Net,
    /// Its first IPv4 address.
    address: Option<Ipv4Addr>,
    check: SourceDestCheck,
    state: InstanceState,
    more: Option<Box<MoreOfInterface>>,
}

const _: () = assert!(size_of::<Option<InterfaceRow>>() <= 40);

#[derive(Clone, Debug)]
struct MoreOfInterface {
    /// The IPv6 block of its subnet.
    subnet: Option<Ipv6Net>,
    /// Its other addresses, of both families.
    addresses: Box<[IpAddr]>,
}

/// What `leave` needs of a peering: its two directions, each with the VPC that it starts in. Empty
/// unless it is active.
#[derive(Clone, Debug, Default)]
struct PeeringRow {
    ends: Option<[(VpcIdx, OpenEnd); 2]>,
}

/// A route table.
#[derive(Clone, Debug)]
struct TableRow {
    routes: ByAddress<Target>,
    /// The routes that cannot be used, if those let packets fall through to the others: they come
    /// into it where no other route covers the destination.
    unusable: Option<ByAddress<Target>>,
}

impl TableRow {
    fn get(&self, address: IpAddr) -> Option<Target> {
        let last = || self.unusable.as_ref()?.get(address);
        self.routes.get(address).or_else(last)
    }
}

#[derive(Clone, Debug)]
struct VpcRow {
    /// Its first IPv4 block, which is here and not behind a pointer because most have no other.
    block: Option<Ipv4Net>,
    /// Its other blocks, of both families.
    more: Box<[IpNet]>,
    /// Who has an address, sorted by address.
    directory_v4: Box<[(u32, InterfaceIdx)]>,
    directory_v6: Box<[(u128, InterfaceIdx)]>,
}

/// One version of the network, compiled. Rows are those of the [`Rows`] it was built with; a row
/// without a resource (deleted, or never there) is `None` and drops what meets it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    hosts: Hosts,
    tables: Box<[Option<TableRow>]>,
}

/// Who is where, and which peerings are open: all that `enter` sees. No route table is among it.
#[derive(Clone, Debug)]
struct Hosts {
    interfaces: Box<[Option<InterfaceRow>]>,
    peerings: Box<[PeeringRow]>,
    vpcs: Box<[Option<VpcRow>]>,
    filters: Filters,
    edges: Edges,
}

impl Snapshot {
    /// Compiles the cloud as it is at `now`. Linear in its size, apart from sorting; `rows` must
    /// know everything in it. Valid until the next event or deadline of the cloud.
    pub fn compile(cloud: &Cloud, rows: &Rows, now: Instant) -> Snapshot {
        let peering = |row| {
            let id = rows.peering_id(PeeringIdx::from_row(row));
            let active = cloud.peering(id).and_then(|p| p.active(now));
            let ends = active.and_then(|active| {
                let peering = active.peering();
                let mtu = cloud.mtu_of_peering(peering.id());
                let end =
                    |from: VpcId| Some((rows.vpc(from)?, OpenEnd::of(active, from, rows, mtu)?));
                Some([end(peering.requester().vpc)?, end(peering.accepter().vpc)?])
            });
            PeeringRow { ends }
        };
        let mut filters = Filters::compile(cloud, rows);
        let interfaces = (0..rows.interface_count())
            .map(|row| {
                let id = rows.interface_id(InterfaceIdx::from_row(row));
                interface_row(cloud, rows, id, &mut filters, now)
            })
            .collect();
        let table = |row| table_row(cloud, rows, rows.table_id(TableIdx::from_row(row)), now);
        Snapshot {
            hosts: Hosts {
                interfaces,
                peerings: (0..rows.peering_count()).map(peering).collect(),
                vpcs: vpc_rows(cloud, rows),
                filters,
                edges: Edges::compile(cloud, rows),
            },
            tables: (0..rows.table_count()).map(table).collect(),
        }
    }
}

impl Hosts {
    fn interface(&self, row: InterfaceIdx) -> Option<&InterfaceRow> {
        self.interfaces.get(row.row())?.as_ref()
    }

    fn running(&self, row: InterfaceIdx) -> Option<&InterfaceRow> {
        self.interface(row).filter(|interface| interface.state == InstanceState::Running)
    }

    fn vpc(&self, row: VpcIdx) -> Option<&VpcRow> {
        self.vpcs.get(row.row())?.as_ref()
    }

    /// The open end of a peering that starts in `from`.
    fn open_end(&self, peering: PeeringIdx, from: VpcIdx) -> Option<OpenEnd> {
        let ends = self.peerings.get(peering.row())?.ends.as_ref()?;
        ends.iter().find(|(vpc, _)| *vpc == from).map(|(_, end)| *end)
    }

    /// A method of what it may see, see [`Hosts`].
    fn enter(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        let destination = packet.destination();
        match crossing.via() {
            Via::Peering(peering) => {
                if self.peerings.get(peering.row()).is_none_or(|row| row.ends.is_none()) {
                    return Err(Drop::new(DropReason::PeeringGone, Place::Peering(peering)));
                }
            }
            Via::Gateway(_) => {
                for Edge { gateway, vpc } in crossing.edges().into_iter().flatten() {
                    if self.edges.attached(gateway) != Some(vpc) {
                        return Err(Drop::new(DropReason::Blackhole, Place::Gateway(gateway)));
                    }
                }
            }
            Via::Subnet | Via::Local | Via::Interface(_) | Via::Outside(_) => {}
        }
        let Realm::Vpc(into) = crossing.into_realm() else {
            let nobody = Drop::new(DropReason::NoSuchHost, crossing.bottleneck());
            return self.edges.owner(crossing.into_realm(), destination).ok_or(nobody);
        };
        let nobody = Drop::new(DropReason::NoSuchHost, Place::Vpc(into));
        let receiver = match crossing.via() {
            Via::Interface(named) => named,
            _ => {
                let vpc = self.vpc(into).ok_or(nobody)?;
                vpc.owner(destination).ok_or(nobody)?
            }
        };
        let row = self.interface(receiver).ok_or(nobody)?;
        let here = Place::Interface(receiver);
        if row.state != InstanceState::Running {
            return Err(Drop::new(DropReason::InterfaceDown, here));
        }
        if crossing.via() != Via::Subnet
            && !self.filters.acl_passes(row.acl, Direction::Ingress, packet)
        {
            return Err(Drop::new(DropReason::AclIngress, Place::Acl(row.acl)));
        }
        match self.groups_pass(row, receiver, Direction::Ingress, packet, crossing.origin(), memory)
        {
            Passes::Yes => {}
            Passes::No => return Err(Drop::new(DropReason::GroupIngress, here)),
            Passes::Full => return Err(Drop::new(DropReason::ConntrackFull, here)),
        }
        if row.check == SourceDestCheck::On && !row.owns(destination) {
            return Err(Drop::new(DropReason::DestCheck, here));
        }
        Ok(receiver)
    }

    fn groups_pass(
        &self,
        row: &InterfaceRow,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        origin: Origin,
        memory: &mut impl Tracking,
    ) -> Passes {
        self.filters.groups_pass((row.filter, at), direction, packet, origin, memory)
    }
}

impl Blocks for Box<[Option<VpcRow>]> {
    fn hold(&self, vpc: VpcIdx, address: IpAddr) -> bool {
        self.get(vpc.row()).and_then(Option::as_ref).is_some_and(|row| row.holds(address))
    }
}

impl Forwarder for Snapshot {
    fn leave(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        let crossing = self.cross(from, packet, memory)?;
        if !crossing.mtu().holds(packet.len()) && !packet.may_be_fragmented() {
            return Err(Drop::new(DropReason::TooBig, crossing.bottleneck()));
        }
        Ok(crossing)
    }

    fn enter(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        self.hosts.enter(crossing, packet, memory)
    }
}

impl Snapshot {
    /// `leave` but for the packet's length.
    fn cross(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        let hosts = &self.hosts;
        if let Some(host) = hosts.edges.host(from) {
            return hosts.edges.leave(from, host, packet, &hosts.vpcs);
        }
        let here = Place::Interface(from);
        let down = Drop::new(DropReason::InterfaceDown, here);
        let sender = hosts.running(from).ok_or(down)?;
        let origin = if sender.owns(packet.source()) { Origin::Own } else { Origin::Relayed };
        if sender.check == SourceDestCheck::On && origin == Origin::Relayed {
            return Err(Drop::new(DropReason::SourceCheck, here));
        }
        match hosts.groups_pass(sender, from, Direction::Egress, packet, Origin::Own, memory) {
            Passes::Yes => {}
            Passes::No => return Err(Drop::new(DropReason::GroupEgress, here)),
            Passes::Full => return Err(Drop::new(DropReason::ConntrackFull, here)),
        }
        let destination = packet.destination();
        if sender.shares_subnet_with(destination) {
            return Ok(Crossing::in_subnet(sender.vpc, origin));
        }
        if !hosts.filters.acl_passes(sender.acl, Direction::Egress, packet) {
            return Err(Drop::new(DropReason::AclEgress, Place::Acl(sender.acl)));
        }
        let in_table = Place::Table(sender.table);
        let blackhole = Drop::new(DropReason::Blackhole, in_table);
        let table = self.tables.get(sender.table.row()).and_then(Option::as_ref).ok_or(down)?;
        let target = table.get(destination).filter(|_| !cidr::is_never_forwarded(destination));
        match target.ok_or(Drop::new(DropReason::NoRoute, in_table))? {
            Target::Local => Ok(Crossing::local(sender.vpc, origin)),
            Target::Interface(target) => match hosts.running(target) {
                Some(_) => Ok(Crossing::to_interface(sender.vpc, target, origin)),
                None => Err(blackhole),
            },
            Target::Gateway(target) => {
                if hosts.edges.attached(target) != Some(sender.vpc) {
                    return Err(blackhole);
                }
                let out = Edge { gateway: target, vpc: sender.vpc };
                hosts.edges.over(out, origin, packet, &hosts.vpcs)
            }
            Target::Peering(target) => {
                let end = hosts.open_end(target, sender.vpc).ok_or(blackhole)?;
                let peer = hosts.vpc(end.into_vpc()).ok_or(blackhole)?;
                if !peer.holds(destination) {
                    return Err(Drop::new(DropReason::Transit, Place::Peering(target)));
                }
                Ok(Crossing::over(end, origin))
            }
            Target::Unknown => Err(blackhole),
        }
    }
}

impl InterfaceRow {
    fn owns(&self, address: IpAddr) -> bool {
        let first = self.address.map(IpAddr::V4);
        first == Some(address)
            || self.more.as_ref().is_some_and(|more| more.addresses.contains(&address))
    }

    fn shares_subnet_with(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.subnet.contains(&address),
            IpAddr::V6(address) => {
                let block = self.more.as_ref().and_then(|more| more.subnet);
                block.is_some_and(|block| block.contains(&address))
            }
        }
    }
}

impl VpcRow {
    fn holds(&self, address: IpAddr) -> bool {
        let in_first = match (address, self.block) {
            (IpAddr::V4(address), Some(block)) => block.contains(&address),
            _ => false,
        };
        in_first || self.more.iter().any(|block| block.contains(&address))
    }

    fn owner(&self, address: IpAddr) -> Option<InterfaceIdx> {
        fn find<A: Ord>(directory: &[(A, InterfaceIdx)], address: &A) -> Option<InterfaceIdx> {
            let at = directory.binary_search_by(|(have, _)| have.cmp(address)).ok()?;
            directory.get(at).map(|(_, owner)| *owner)
        }
        match address {
            IpAddr::V4(a) => find(&self.directory_v4, &u32::from(a)),
            IpAddr::V6(a) => find(&self.directory_v6, &u128::from(a)),
        }
    }
}

fn interface_row(
    cloud: &Cloud,
    rows: &Rows,
    id: InterfaceId,
    filters: &mut Filters,
    now: Instant,
) -> Option<InterfaceRow> {
    let interface = cloud.interface(id)?;
    let subnet = cloud.subnet(interface.subnet)?;
    let as_v4 = |a: &IpAddr| if let IpAddr::V4(a) = a { Some(*a) } else { None };
    let address = interface.addresses.iter().find_map(as_v4);
    let is_other = |a: &IpAddr| address.map(IpAddr::V4) != Some(*a);
    let addresses = interface.addresses.iter().copied().filter(is_other).collect();
    let more = MoreOfInterface { subnet: subnet.ipv6, addresses };
    let is_needed = more.subnet.is_some() || !more.addresses.is_empty();
    Some(InterfaceRow {
        vpc: rows.vpc(interface.vpc)?,
        table: rows.table(cloud.table_of(interface.subnet)?)?,
        filter: filters.of(cloud, interface, now),
        acl: rows.acl(cloud.acl_of(interface.subnet)?)?,
        subnet: subnet.cidr,
        address,
        check: interface.source_dest_check,
        state: if cloud.runs(id) { InstanceState::Running } else { InstanceState::Stopped },
        more: is_needed.then(|| Box::new(more)),
    })
}

fn table_row(cloud: &Cloud, rows: &Rows, id: RouteTableId, now: Instant) -> Option<TableRow> {
    cloud.table(id)?;
    let target = |hop| match hop {
        Hop::Local => Target::Local,
        Hop::To(RouteTarget::Gateway(id)) => {
            rows.gateway(id).map_or(Target::Unknown, Target::Gateway)
        }
        Hop::To(RouteTarget::Nat(id)) => {
            let interface = cloud.nat_gateway(id).and_then(|nat| rows.interface(nat.interface));
            interface.map_or(Target::Unknown, Target::Interface)
        }
        Hop::To(RouteTarget::Interface(id)) => {
            rows.interface(id).map_or(Target::Unknown, Target::Interface)
        }
        Hop::To(RouteTarget::Peering(id)) => {
            rows.peering(id).map_or(Target::Unknown, Target::Peering)
        }
    };
    let all = cloud.routes(id).map(|route| (route.destination, target(route.hop), route.hop));
    let build = |routes: Vec<(IpNet, Target, Hop)>| {
        ByAddress::build(routes.into_iter().map(|(destination, target, _)| (destination, target)))
    };
    if cloud.blackhole() == Blackhole::Drops {
        return Some(TableRow { routes: build(all.collect()), unusable: None });
    }
    let (usable, unusable) =
        all.partition(|(_, _, hop)| cloud.route_state(*hop, now) == RouteState::Active);
    Some(TableRow { routes: build(usable), unusable: Some(build(unusable)) })
}

fn vpc_rows(cloud: &Cloud, rows: &Rows) -> Box<[Option<VpcRow>]> {
    let mut v4: Vec<Vec<(u32, InterfaceIdx)>> = vec![Vec::new(); rows.vpc_count()];
    let mut v6: Vec<Vec<(u128, InterfaceIdx)>> = vec![Vec::new(); rows.vpc_count()];
    for (id, interface) in cloud.interfaces() {
        let (Some(vpc), Some(row)) = (rows.vpc(interface.vpc), rows.interface(id)) else {
            continue;
        };
        for address in &interface.addresses {
            match address {
                IpAddr::V4(a) => v4[vpc.row()].push((u32::from(*a), row)),
                IpAddr::V6(a) => v6[vpc.row()].push((u128::from(*a), row)),
            }
        }
    }
    let directories = v4.into_iter().zip(v6).enumerate();
    directories
        .map(|(row, (mut v4, mut v6))| {
            let vpc = cloud.vpc(rows.vpc_id(VpcIdx::from_row(row)))?;
            v4.sort_unstable();
            v6.sort_unstable();
            let v4_block = |b: &IpNet| if let IpNet::V4(b) = b { Some(*b) } else { None };
            let block = vpc.blocks().iter().find_map(v4_block);
            let is_other = |b: &IpNet| block.map(IpNet::V4) != Some(*b);
            Some(VpcRow {
                block,
                more: vpc.blocks().iter().copied().filter(is_other).collect(),
                directory_v4: v4.into(),
                directory_v6: v6.into(),
            })
        })
        .collect()
}
