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
use crate::forward::gate::{Crossing, Mapping, Origin, Realm};
use crate::forward::walk::{Holds, Recorder, Step};
use crate::forward::{Drop, DropReason, Place};
use crate::wire::Packet;

impl Reference<'_> {
    /// Out over an edge of the sender's VPC, to which the edge is attached.
    pub(super) fn over_edge(
        &self,
        vpc: VpcId,
        gateway: GatewayId,
        origin: Origin,
        packet: &Packet,
        steps: &mut impl Recorder,
    ) -> Result<Crossing, Drop> {
        let nowhere = Place::Gateway(GatewayIdx::NOWHERE);
        let unknown = Drop::new(DropReason::NoSuchHost, nowhere);
        let edge = self.rows.gateway(gateway).ok_or(unknown)?;
        let mtu = self.cloud.mtu_of_gateway(gateway);
        let over = |realm, mapping| Crossing::over_edge(edge, realm, mapping, origin, mtu);
        if gateway.site() != Site::Internet {
            return Ok(over(Realm::Behind(edge), Mapping::default()));
        }
        match (packet.source(), packet.destination()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let public = self.public_of(vpc, source);
                let found = public.map(IpAddr::V4);
                steps.record(|| Step::PublicAddress { gateway, of: source.into(), found });
                let none = Drop::new(DropReason::NoPublicAddress, Place::Gateway(edge));
                let source = Some(public.ok_or(none)?);
                // The public address of an instance leads back into the cloud.
                Ok(match self.instance_behind(destination) {
                    Some((realm, _, private)) => {
                        over(realm, Mapping { source, destination: Some(private) })
                    }
                    None => over(Realm::Internet, Mapping { source, destination: None }),
                })
            }
            (_, destination) => {
                let realm = self.vpc_with_internet(destination).map(|(realm, _)| realm);
                Ok(over(realm.unwrap_or(Realm::Internet), Mapping::default()))
            }
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
            let realm = match site {
                Site::Internet => Realm::Internet,
                Site::Behind(_) => Realm::Behind(edge),
            };
            return Ok(Crossing::outside(realm, edge));
        }
        let into =
            |edge, realm, mapping| Crossing::over_edge(edge, realm, mapping, Origin::Own, mtu);
        if site == Site::Internet {
            match destination {
                IpAddr::V4(public) => {
                    if let Some((realm, edge, private)) = self.instance_behind(public) {
                        let destination = Some(private);
                        return Ok(into(edge, realm, Mapping { source: None, destination }));
                    }
                }
                IpAddr::V6(_) => {
                    if let Some((realm, edge)) = self.vpc_with_internet(destination) {
                        return Ok(into(edge, realm, Mapping::default()));
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
        Ok(into(edge, Realm::Vpc(row), Mapping::default()))
    }

    /// The public address that stands for a private one of this VPC.
    fn public_of(&self, vpc: VpcId, private: Ipv4Addr) -> Option<Ipv4Addr> {
        self.cloud.public_address(self.cloud.owner(vpc, private.into())?, private)
    }

    /// For whom a public address stands, if the internet reaches them: the VPC, its gateway, and the
    /// private address.
    fn instance_behind(&self, public: Ipv4Addr) -> Option<(Realm, GatewayIdx, Ipv4Addr)> {
        let (interface, private) = self.cloud.behind_public(public)?;
        let vpc = self.cloud.interface(interface)?.vpc;
        let gateway = self.cloud.internet_gateway_of(vpc)?;
        Some((Realm::Vpc(self.rows.vpc(vpc)?), self.rows.gateway(gateway)?, private))
    }

    /// The first VPC by id that has the address in a block and an internet gateway. Blocks that
    /// Amazon provides are unique; only a file can give two VPCs the same.
    fn vpc_with_internet(&self, address: IpAddr) -> Option<(Realm, GatewayIdx)> {
        self.cloud.vpcs().filter(|(_, vpc)| vpc.contains(address)).find_map(|(id, _)| {
            let gateway = self.cloud.internet_gateway_of(id)?;
            Some((Realm::Vpc(self.rows.vpc(id)?), self.rows.gateway(gateway)?))
        })
    }
}
