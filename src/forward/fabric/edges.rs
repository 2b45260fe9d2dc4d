//! The edges, compiled: gateways, public addresses, and the hosts outside the cloud.
//!
//! Holds maps and the two ways across an edge. Refuses to know peerings and route tables. Whatever
//! changes is looked up in the cloud again by its id, which costs the same however much there is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use rustc_hash::FxHashMap;

use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::Cloud;
use crate::cloud::gateway::{GatewayId, Site};
use crate::forward::gate::{Crossing, Edge, Mapping, Origin, Outside, Realm};
use crate::forward::{Drop, DropReason, Place, Rows};
use crate::wire::Packet;

/// Who knows which addresses lie in the blocks of a VPC, and where its route tables lead.
pub(super) trait Inside {
    /// Does the address lie in a block of this VPC? No address lies in one that is not there.
    fn hold(&self, vpc: VpcIdx, address: IpAddr) -> bool;

    /// The gateway to which the table of whoever has `address` in this VPC leads packets for `from`.
    fn way_back(&self, vpc: VpcIdx, address: IpAddr, from: IpAddr) -> Option<GatewayIdx>;
}

#[derive(Clone, Debug)]
struct GatewayRow {
    internet: bool,
    vpc: Option<VpcIdx>,
    mtu: Mtu,
    /// Where an egress-only internet gateway remembers.
    memory: Option<InterfaceIdx>,
}

/// A host outside the cloud.
#[derive(Clone, Debug)]
pub(super) struct OutsideRow {
    beyond: GatewayIdx,
    realm: Realm,
    addresses: Box<[IpAddr]>,
}

/// For whom a public address stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Public {
    address: Ipv4Addr,
    vpc: VpcIdx,
    private: Ipv4Addr,
}

/// The edges of one version of the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Edges {
    gateways: Vec<Option<GatewayRow>>,
    allocations: FxHashMap<AllocationId, Public>,
    by_public: FxHashMap<Ipv4Addr, Public>,
    by_private: FxHashMap<(VpcIdx, Ipv4Addr), Public>,
    /// The internet gateway of a VPC.
    internet_of: FxHashMap<VpcIdx, GatewayIdx>,
    /// The egress-only internet gateway of a VPC.
    egress_only_of: FxHashMap<VpcIdx, GatewayIdx>,
    /// VPC rows in the order of their ids: the first that holds an address counts.
    by_id: BTreeMap<VpcId, VpcIdx>,
    hosts: FxHashMap<InterfaceIdx, OutsideRow>,
    owners: FxHashMap<(Realm, IpAddr), InterfaceIdx>,
}

impl Edges {
    pub(super) fn compile(cloud: &Cloud, rows: &Rows) -> Edges {
        let mut edges = Edges::default();
        for (id, _) in cloud.gateways() {
            edges.refresh_gateway(cloud, rows, id);
        }
        cloud.public_addresses().for_each(|(id, _)| edges.refresh_public(cloud, rows, id));
        cloud.vpcs().for_each(|(id, _)| edges.refresh_vpc(cloud, rows, id));
        cloud.outside_hosts().for_each(|(id, _)| edges.refresh_host(cloud, rows, id));
        edges
    }

    /// Brings a gateway up to date. Gives the VPC that it was attached to before.
    pub(super) fn refresh_gateway(
        &mut self,
        cloud: &Cloud,
        rows: &Rows,
        id: GatewayId,
    ) -> Option<VpcIdx> {
        let at = rows.gateway(id)?;
        let old = self.attached(at);
        for kind in [&mut self.internet_of, &mut self.egress_only_of] {
            if let Some(old) = old
                && kind.get(&old) == Some(&at)
            {
                kind.remove(&old);
            }
        }
        if self.gateways.len() <= at.row() {
            self.gateways.resize(at.row() + 1, None);
        }
        self.gateways[at.row()] = cloud.gateway(id).map(|gateway| GatewayRow {
            internet: id.site() == Site::Internet,
            vpc: gateway.vpc.and_then(|vpc| rows.vpc(vpc)),
            mtu: cloud.mtu_of_gateway(id),
            memory: rows.memory_of(at),
        });
        if let Some(vpc) = self.attached(at) {
            match id {
                GatewayId::Internet(_) => drop(self.internet_of.insert(vpc, at)),
                GatewayId::EgressOnly(_) => drop(self.egress_only_of.insert(vpc, at)),
                GatewayId::Vpn(_) | GatewayId::Endpoint(_) => {}
            }
        }
        old
    }

    /// Brings up to date for whom a public address stands.
    pub(super) fn refresh_public(&mut self, cloud: &Cloud, rows: &Rows, id: AllocationId) {
        if let Some(old) = self.allocations.remove(&id) {
            // The private address may be another's by now.
            let private = (old.vpc, old.private);
            if self.by_private.get(&private).is_some_and(|p| p.address == old.address) {
                self.by_private.remove(&private);
            }
            if self.by_public.get(&old.address) == Some(&old) {
                self.by_public.remove(&old.address);
            }
        }
        let public = || {
            let held = cloud.allocation(id)?;
            let (_, interface, private) = held.association?;
            let vpc = rows.vpc(cloud.interface(interface)?.vpc)?;
            Some(Public { address: held.address, vpc, private })
        };
        if let Some(new) = public() {
            self.allocations.insert(id, new);
            self.by_public.insert(new.address, new);
            self.by_private.insert((new.vpc, new.private), new);
        }
    }

    /// A VPC has come or gone.
    pub(super) fn refresh_vpc(&mut self, cloud: &Cloud, rows: &Rows, id: VpcId) {
        match rows.vpc(id).filter(|_| cloud.vpc(id).is_some()) {
            Some(at) => drop(self.by_id.insert(id, at)),
            None => drop(self.by_id.remove(&id)),
        }
    }

    /// A host outside the cloud has come or gone.
    pub(super) fn refresh_host(&mut self, cloud: &Cloud, rows: &Rows, id: InterfaceId) {
        let Some(at) = rows.interface(id) else { return };
        if let Some(old) = self.hosts.remove(&at) {
            for address in &old.addresses {
                let place = (old.realm, *address);
                if self.owners.get(&place) == Some(&at) {
                    self.owners.remove(&place);
                }
            }
        }
        let Some(host) = cloud.outside_host(id) else { return };
        let Some(beyond) = rows.gateway(host.beyond) else { return };
        let realm = realm_of(host.site(), beyond);
        self.owners.extend(host.addresses.iter().map(|address| ((realm, *address), at)));
        let addresses = host.addresses.clone().into();
        self.hosts.insert(at, OutsideRow { beyond, realm, addresses });
    }

    fn gateway(&self, row: GatewayIdx) -> Option<&GatewayRow> {
        self.gateways.get(row.row())?.as_ref()
    }

    /// The VPC that a gateway is attached to.
    pub(super) fn attached(&self, gateway: GatewayIdx) -> Option<VpcIdx> {
        self.gateway(gateway)?.vpc
    }

    /// Where an egress-only internet gateway remembers; `None` of any other edge.
    pub(super) fn memory_of(&self, edge: Option<Edge>) -> Option<InterfaceIdx> {
        self.gateway(edge?.gateway)?.memory
    }

    /// Is there an egress-only internet gateway?
    pub(super) fn remember(&self) -> bool {
        !self.egress_only_of.is_empty()
    }

    /// The host outside the cloud in this row.
    pub(super) fn host(&self, row: InterfaceIdx) -> Option<&OutsideRow> {
        self.hosts.get(&row)
    }

    /// The network that a host outside the cloud is in.
    pub(in crate::forward) fn realm_of(&self, host: InterfaceIdx) -> Option<Realm> {
        let beyond = self.host(host)?.beyond;
        let internet = self.gateway(beyond)?.internet;
        Some(if internet { Realm::Internet } else { Realm::Behind(beyond) })
    }

    /// Who has the address in a network outside the cloud.
    pub(super) fn owner(&self, realm: Realm, address: IpAddr) -> Option<InterfaceIdx> {
        self.owners.get(&(realm, address)).copied()
    }

    /// Out over an edge that is attached to the sender's VPC.
    pub(super) fn over(
        &self,
        out: Edge,
        origin: Origin,
        packet: &Packet,
        vpcs: &impl Inside,
    ) -> Result<Crossing, Drop> {
        let at_edge = Place::Gateway(out.gateway);
        let row = self.gateway(out.gateway).ok_or(Drop::new(DropReason::Blackhole, at_edge))?;
        if !vpcs.hold(out.vpc, packet.source()) {
            return Err(Drop::new(DropReason::SpoofedSource, at_edge));
        }
        let to = |outside, source| Crossing::out_over(out, outside, source, origin, row.mtu);
        let through = |inwards, mapping| Crossing::through(out, inwards, mapping, origin, row.mtu);
        if !row.internet {
            return Ok(to(Outside::Behind, None));
        }
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.source(), packet.destination())
        else {
            return Ok(match self.way_in(packet, vpcs) {
                Some(inwards) => through(inwards, Mapping::default()),
                None => to(Outside::Internet, None),
            });
        };
        let none = Drop::new(DropReason::NoPublicAddress, at_edge);
        let public = self.by_private.get(&(out.vpc, source)).ok_or(none)?;
        let source = Some(public.address);
        Ok(match self.behind(destination) {
            Some((inwards, private)) => {
                through(inwards, Mapping { source, destination: Some(private) })
            }
            None => to(Outside::Internet, source),
        })
    }

    /// From a host outside the cloud.
    pub(super) fn leave(
        &self,
        from: InterfaceIdx,
        host: &OutsideRow,
        packet: &Packet,
        vpcs: &impl Inside,
    ) -> Result<Crossing, Drop> {
        let destination = packet.destination();
        let here = Place::Interface(from);
        if !host.addresses.contains(&packet.source()) {
            return Err(Drop::new(DropReason::SourceCheck, here));
        }
        let edge = host.beyond;
        let row = self.gateway(edge).ok_or(Drop::new(DropReason::InterfaceDown, here))?;
        if self.owner(host.realm, destination).is_some() {
            let outside = if row.internet { Outside::Internet } else { Outside::Behind };
            return Ok(Crossing::outside(outside, edge));
        }
        let at_edge = Place::Gateway(edge);
        let holds = |vpc: VpcIdx| vpcs.hold(vpc, destination);
        if row.internet {
            if let IpAddr::V4(public) = destination
                && let Some((inwards, private)) = self.behind(public)
            {
                return Ok(Crossing::in_over(inwards, Some(private), row.mtu));
            }
            if destination.is_ipv6()
                && let Some(inwards) = self.way_in(packet, vpcs)
            {
                return Ok(Crossing::in_over(inwards, None, row.mtu));
            }
            if !self.by_id.values().any(|vpc| holds(*vpc)) {
                return Err(Drop::new(DropReason::NoSuchHost, at_edge));
            }
        }
        let vpc = row.vpc.ok_or(Drop::new(DropReason::Blackhole, at_edge))?;
        match (holds(vpc), row.internet) {
            (false, _) => Err(Drop::new(DropReason::Transit, at_edge)),
            (true, true) => Err(Drop::new(DropReason::NoPublicAddress, at_edge)),
            (true, false) => Ok(Crossing::in_over(Edge { gateway: edge, vpc }, None, row.mtu)),
        }
    }

    /// For whom a public address stands: the edge through which the internet reaches them, and the
    /// private address.
    fn behind(&self, address: Ipv4Addr) -> Option<(Edge, Ipv4Addr)> {
        let public = *self.by_public.get(&address)?;
        Some((self.internet_edge(public.vpc)?, public.private))
    }

    /// The edge by which an IPv6 packet comes in from the internet.
    fn way_in(&self, packet: &Packet, vpcs: &impl Inside) -> Option<Edge> {
        let (from, address) = (packet.source(), packet.destination());
        let mut having = self.by_id.values().copied().filter(|vpc| vpcs.hold(*vpc, address));
        having.find_map(|vpc| {
            let internet = self.internet_edge(vpc);
            let Some(gateway) = self.egress_only_of.get(&vpc).copied() else { return internet };
            let answers_leave_there = || vpcs.way_back(vpc, address, from) == Some(gateway);
            match internet {
                Some(_) if !answers_leave_there() => internet,
                _ => Some(Edge { gateway, vpc }),
            }
        })
    }

    fn internet_edge(&self, vpc: VpcIdx) -> Option<Edge> {
        let gateway = *self.internet_of.get(&vpc)?;
        Some(Edge { gateway, vpc })
    }
}

fn realm_of(site: Site, gateway: GatewayIdx) -> Realm {
    match site {
        Site::Internet => Realm::Internet,
        Site::Behind(_) => Realm::Behind(gateway),
    }
}
