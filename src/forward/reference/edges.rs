//! The gate at the edges of a VPC: outwards, and from outside in.
//!
//! Holds both directions (vpc-semantics 3.3, and the table's rows 8a to 8c in 3.1). An edge serves
//! the VPC it is attached to and nobody else: what it lets out has left an interface of that VPC,
//! and what it lets in is for an address of that VPC. Refuses to know peerings, except to say what
//! would have lain beyond.

use std::net::{IpAddr, Ipv4Addr};

use super::Reference;
use crate::base::id::*;
use crate::cloud::gateway::{GatewayId, OutsideHost, Site};
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::forward::gate::{Crossing, Edge, Mapping, Origin, Outside};
use crate::forward::walk::{Holds, Recorder, Step};
use crate::forward::{Drop, DropReason, Place};
use crate::wire::Packet;

impl Reference<'_> {
    /// Out over an edge of the sender's VPC, to which the edge is attached.
    pub(super) fn over_edge(
        &self,
        out: Edge,
        origin: Origin,
        packet: &Packet,
        steps: &mut impl Recorder,
    ) -> Result<Crossing, Drop> {
        let at_edge = Place::Gateway(out.gateway);
        let (gateway, vpc) = (self.rows.gateway_id(out.gateway), self.rows.vpc_id(out.vpc));
        // An edge carries what is its own VPC's (vpc-semantics 5: gateways reject spoofed sources).
        let source = packet.source();
        if !self.cloud.vpc(vpc).is_some_and(|vpc| vpc.contains(source)) {
            steps.record(|| Step::SpoofedSource { gateway, source, vpc });
            return Err(Drop::new(DropReason::SpoofedSource, at_edge));
        }
        let mtu = self.cloud.mtu_of_gateway(gateway);
        if gateway.site() != Site::Internet {
            return Ok(Crossing::out_over(out, Outside::Behind, None, origin, mtu));
        }
        let to_internet =
            |source| Ok(Crossing::out_over(out, Outside::Internet, source, origin, mtu));
        let to = |inwards, mapping| Ok(Crossing::through(out, inwards, mapping, origin, mtu));
        match (packet.source(), packet.destination()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let public = self.public_of(vpc, source);
                let found = public.map(IpAddr::V4);
                steps.record(|| Step::PublicAddress { gateway, of: source.into(), found });
                let none = Drop::new(DropReason::NoPublicAddress, at_edge);
                let source = Some(public.ok_or(none)?);
                // The public address of an instance leads back into the cloud.
                match self.instance_behind(destination) {
                    Some((inwards, private)) => {
                        self.stands_for(inwards, destination, private, steps);
                        to(inwards, Mapping { source, destination: Some(private) })
                    }
                    None => to_internet(source),
                }
            }
            (source, destination) => match self.way_in(destination, source) {
                Some(inwards) => to(inwards, Mapping::default()),
                None => to_internet(None),
            },
        }
    }

    /// From a host outside the cloud: to another one there, or into the VPC of the gateway.
    pub(super) fn leave_from_outside(
        &self,
        from: InterfaceIdx,
        host: &OutsideHost,
        packet: &Packet,
        steps: &mut impl Recorder,
    ) -> Result<Crossing, Drop> {
        let (source, destination) = (packet.source(), packet.destination());
        let here = Place::Interface(from);
        if !host.owns(source) {
            return Err(Drop::new(DropReason::SourceCheck, here));
        }
        let unknown = Drop::new(DropReason::InterfaceDown, here);
        let edge = self.rows.gateway(host.beyond).ok_or(unknown)?;
        let mtu = self.cloud.mtu_of_gateway(host.beyond);
        let site = host.site();
        if self.cloud.outside_owner(site, destination).is_some() {
            let outside = match site {
                Site::Internet => Outside::Internet,
                Site::Behind(_) => Outside::Behind,
            };
            return Ok(Crossing::outside(outside, edge));
        }
        if site == Site::Internet {
            match destination {
                IpAddr::V4(public) => {
                    if let Some((inwards, private)) = self.instance_behind(public) {
                        self.stands_for(inwards, public, private, steps);
                        return Ok(Crossing::in_over(inwards, Some(private), mtu));
                    }
                }
                IpAddr::V6(_) => {
                    if let Some(inwards) = self.way_in(destination, source) {
                        return Ok(Crossing::in_over(inwards, None, mtu));
                    }
                }
            }
            // What nobody on the internet has goes nowhere. An address of a VPC is handed to the
            // sender's gateway all the same: it is there that the design is refused.
            if !self.cloud.vpcs().any(|(_, vpc)| vpc.contains(destination)) {
                steps.record(|| Step::OutsideOwner { site, address: destination, owner: None });
                return Err(Drop::new(DropReason::NoSuchHost, Place::Gateway(edge)));
            }
        }
        let attached = self.cloud.gateway(host.beyond).and_then(|gateway| gateway.vpc);
        steps.record(|| Step::Gateway { gateway: host.beyond, attached });
        let at_edge = Place::Gateway(edge);
        let vpc = attached.ok_or(Drop::new(DropReason::Blackhole, at_edge))?;
        let holds = self.cloud.vpc(vpc).is_some_and(|vpc| vpc.contains(destination));
        steps.record(|| Step::GatewayGate {
            gateway: host.beyond,
            into: vpc,
            holds: if holds { Holds::Yes } else { Holds::No },
        });
        if !holds {
            steps.record(|| Step::Beyond { found: self.beyond(vpc, None, destination) });
            return Err(Drop::new(DropReason::Transit, at_edge));
        }
        if site == Site::Internet {
            // Inside the VPC, but from the internet only a public address leads there.
            let (gateway, of) = (host.beyond, destination);
            steps.record(|| Step::PublicAddress { gateway, of, found: None });
            return Err(Drop::new(DropReason::NoPublicAddress, at_edge));
        }
        let row = self.rows.vpc(vpc).ok_or(unknown)?;
        Ok(Crossing::in_over(Edge { gateway: edge, vpc: row }, None, mtu))
    }

    fn stands_for(
        &self,
        edge: Edge,
        public: Ipv4Addr,
        private: Ipv4Addr,
        steps: &mut impl Recorder,
    ) {
        let gateway = self.rows.gateway_id(edge.gateway);
        let (public, private) = (public.into(), private.into());
        steps.record(|| Step::StandsFor { gateway, public, private });
    }

    /// The public address that stands for a private one of this VPC.
    fn public_of(&self, vpc: VpcId, private: Ipv4Addr) -> Option<Ipv4Addr> {
        self.cloud.public_address(self.cloud.owner(vpc, private.into())?, private)
    }

    /// For whom a public address stands, if the internet reaches them: the edge of their VPC, and
    /// the private address.
    fn instance_behind(&self, public: Ipv4Addr) -> Option<(Edge, Ipv4Addr)> {
        let (interface, private) = self.cloud.behind_public(public)?;
        Some((self.internet_edge(self.cloud.interface(interface)?.vpc)?, private))
    }

    /// The edge by which an IPv6 packet from the internet comes in: of the first VPC by id that has the
    /// address in a block and an edge to the internet. Blocks that Amazon provides are unique; only a
    /// file can give two VPCs the same.
    fn way_in(&self, address: IpAddr, from: IpAddr) -> Option<Edge> {
        let mut having = self.cloud.vpcs().filter(|(_, vpc)| vpc.contains(address));
        having.find_map(|(id, _)| self.ipv6_edge(id, address, from))
    }

    /// A VPC may have an internet gateway and an egress-only one (ours, since AWS does not say which of
    /// them the internet finds: a subnet is private by its route table, so it is the one to which the
    /// table there leads answers).
    fn ipv6_edge(&self, vpc: VpcId, address: IpAddr, from: IpAddr) -> Option<Edge> {
        let egress_only = self.cloud.egress_only_gateway_of(vpc);
        if let Some(gateway) = egress_only
            && (self.cloud.internet_gateway_of(vpc).is_none()
                || self.leads_back(vpc, address, from, gateway))
        {
            return Some(Edge { gateway: self.rows.gateway(gateway)?, vpc: self.rows.vpc(vpc)? });
        }
        self.internet_edge(vpc)
    }

    /// Does the table of whoever has the address lead over this gateway to where the packet is from?
    fn leads_back(&self, vpc: VpcId, address: IpAddr, from: IpAddr, gateway: GatewayId) -> bool {
        let owner = self.cloud.owner(vpc, address).and_then(|id| self.cloud.interface(id));
        let table = owner.and_then(|interface| self.cloud.table_of(interface.subnet));
        let route = table.and_then(|table| self.longest(&self.matches(table, from)));
        route.is_some_and(|route| route.hop == Hop::To(RouteTarget::Gateway(gateway)))
    }

    /// The internet gateway of a VPC that has one.
    fn internet_edge(&self, vpc: VpcId) -> Option<Edge> {
        let gateway = self.cloud.internet_gateway_of(vpc)?;
        Some(Edge { gateway: self.rows.gateway(gateway)?, vpc: self.rows.vpc(vpc)? })
    }
}
