//! The edges, compiled: gateways, public addresses, and the hosts outside the cloud.
//!
//! Holds sorted arrays and the two ways across an edge. Refuses to know peerings and route tables.

use std::net::{IpAddr, Ipv4Addr};

use crate::base::id::*;
use crate::base::units::Mtu;
use crate::cloud::Cloud;
use crate::cloud::gateway::{GatewayId, Site};
use crate::forward::gate::{Crossing, Edge, Mapping, Origin, Outside, Realm};
use crate::forward::{Drop, DropReason, Place, Rows};
use crate::wire::Packet;

/// Who knows which addresses lie in the blocks of a VPC.
pub(super) trait Blocks {
    /// Does the address lie in a block of this VPC? No address lies in one that is not there.
    fn hold(&self, vpc: VpcIdx, address: IpAddr) -> bool;
}

#[derive(Clone, Debug)]
struct GatewayRow {
    internet: bool,
    vpc: Option<VpcIdx>,
    mtu: Mtu,
}

/// A host outside the cloud.
#[derive(Clone, Debug)]
pub(super) struct OutsideRow {
    beyond: GatewayIdx,
    addresses: Box<[IpAddr]>,
}

/// For whom a public address stands.
#[derive(Clone, Copy, Debug)]
struct Public {
    address: Ipv4Addr,
    vpc: VpcIdx,
    private: Ipv4Addr,
}

/// The edges of one version of the network.
#[derive(Clone, Debug)]
pub(super) struct Edges {
    gateways: Box<[Option<GatewayRow>]>,
    /// Sorted by public address.
    by_public: Box<[Public]>,
    /// The same, sorted by VPC and private address.
    by_private: Box<[Public]>,
    /// The internet gateway of a VPC, by VPC row.
    internet_of: Box<[Option<GatewayIdx>]>,
    /// VPC rows in the order of their ids: the first that holds an address counts.
    by_id: Box<[VpcIdx]>,
    /// Sorted by row.
    hosts: Box<[(InterfaceIdx, OutsideRow)]>,
    /// Sorted by network and address.
    owners: Box<[(Realm, IpAddr, InterfaceIdx)]>,
}

impl Edges {
    pub(super) fn compile(cloud: &Cloud, rows: &Rows) -> Edges {
        let gateway = |row| {
            let id = rows.gateway_id(GatewayIdx::from_row(row));
            let gateway = cloud.gateway(id)?;
            Some(GatewayRow {
                internet: id.site() == Site::Internet,
                vpc: gateway.vpc.and_then(|vpc| rows.vpc(vpc)),
                mtu: cloud.mtu_of_gateway(id),
            })
        };
        let mut internet_of = vec![None; rows.vpc_count()];
        for (id, gateway) in cloud.gateways() {
            if let (GatewayId::Internet(_), Some(vpc)) = (id, gateway.vpc)
                && let (Some(vpc), Some(row)) = (rows.vpc(vpc), rows.gateway(id))
            {
                internet_of[vpc.row()] = Some(row);
            }
        }
        let public = |held: &crate::cloud::gateway::PublicAddress| {
            let (_, interface, private) = held.association?;
            let vpc = rows.vpc(cloud.interface(interface)?.vpc)?;
            Some(Public { address: held.address, vpc, private })
        };
        let mut by_public: Vec<Public> =
            cloud.public_addresses().filter_map(|(_, held)| public(held)).collect();
        let mut by_private = by_public.clone();
        by_public.sort_unstable_by_key(|p| p.address);
        by_private.sort_unstable_by_key(|p| (p.vpc, p.private));
        let mut hosts = Vec::new();
        let mut owners = Vec::new();
        for (id, host) in cloud.outside_hosts() {
            let (Some(row), Some(beyond)) = (rows.interface(id), rows.gateway(host.beyond)) else {
                continue;
            };
            let realm = realm_of(host.site(), beyond);
            owners.extend(host.addresses.iter().map(|address| (realm, *address, row)));
            let addresses = host.addresses.clone().into();
            hosts.push((row, OutsideRow { beyond, addresses }));
        }
        hosts.sort_unstable_by_key(|(row, _)| *row);
        owners.sort_unstable();
        Edges {
            gateways: (0..rows.gateway_count()).map(gateway).collect(),
            by_public: by_public.into(),
            by_private: by_private.into(),
            internet_of: internet_of.into(),
            by_id: cloud.vpcs().filter_map(|(id, _)| rows.vpc(id)).collect(),
            hosts: hosts.into(),
            owners: owners.into(),
        }
    }

    fn gateway(&self, row: GatewayIdx) -> Option<&GatewayRow> {
        self.gateways.get(row.row())?.as_ref()
    }

    /// The VPC that a gateway is attached to.
    pub(super) fn attached(&self, gateway: GatewayIdx) -> Option<VpcIdx> {
        self.gateway(gateway)?.vpc
    }

    /// The host outside the cloud in this row.
    pub(super) fn host(&self, row: InterfaceIdx) -> Option<&OutsideRow> {
        let at = self.hosts.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        self.hosts.get(at).map(|(_, host)| host)
    }

    /// The network that a host outside the cloud is in.
    pub(in crate::forward) fn realm_of(&self, host: InterfaceIdx) -> Option<Realm> {
        let beyond = self.host(host)?.beyond;
        let internet = self.gateway(beyond)?.internet;
        Some(if internet { Realm::Internet } else { Realm::Behind(beyond) })
    }

    /// Who has the address in a network outside the cloud.
    pub(super) fn owner(&self, realm: Realm, address: IpAddr) -> Option<InterfaceIdx> {
        let key = (realm, address);
        let at = self.owners.binary_search_by(|(r, a, _)| (*r, *a).cmp(&key)).ok()?;
        self.owners.get(at).map(|(_, _, owner)| *owner)
    }

    /// Out over an edge that is attached to the sender's VPC.
    pub(super) fn over(
        &self,
        out: Edge,
        origin: Origin,
        packet: &Packet,
        vpcs: &impl Blocks,
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
            return Ok(match self.vpc_with_internet(packet.destination(), vpcs) {
                Some(inwards) => through(inwards, Mapping::default()),
                None => to(Outside::Internet, None),
            });
        };
        let none = Drop::new(DropReason::NoPublicAddress, at_edge);
        let at = self.by_private.binary_search_by_key(&(out.vpc, source), |p| (p.vpc, p.private));
        let public = at.ok().and_then(|at| self.by_private.get(at)).ok_or(none)?;
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
        vpcs: &impl Blocks,
    ) -> Result<Crossing, Drop> {
        let destination = packet.destination();
        let here = Place::Interface(from);
        if !host.addresses.contains(&packet.source()) {
            return Err(Drop::new(DropReason::SourceCheck, here));
        }
        let edge = host.beyond;
        let row = self.gateway(edge).ok_or(Drop::new(DropReason::InterfaceDown, here))?;
        let realm = if row.internet { Realm::Internet } else { Realm::Behind(edge) };
        if self.owner(realm, destination).is_some() {
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
                && let Some(inwards) = self.vpc_with_internet(destination, vpcs)
            {
                return Ok(Crossing::in_over(inwards, None, row.mtu));
            }
            if !self.by_id.iter().any(|vpc| holds(*vpc)) {
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
        let at = self.by_public.binary_search_by_key(&address, |p| p.address).ok()?;
        let public = *self.by_public.get(at)?;
        Some((self.internet_edge(public.vpc)?, public.private))
    }

    fn vpc_with_internet(&self, address: IpAddr, vpcs: &impl Blocks) -> Option<Edge> {
        self.by_id
            .iter()
            .filter(|vpc| vpcs.hold(**vpc, address))
            .find_map(|vpc| self.internet_edge(*vpc))
    }

    fn internet_edge(&self, vpc: VpcIdx) -> Option<Edge> {
        let gateway = (*self.internet_of.get(vpc.row())?)?;
        Some(Edge { gateway, vpc })
    }
}

fn realm_of(site: Site, gateway: GatewayIdx) -> Realm {
    match site {
        Site::Internet => Realm::Internet,
        Site::Behind(_) => Realm::Behind(gateway),
    }
}
