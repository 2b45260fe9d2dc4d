//! What would bring a packet over an edge of its VPC, or in over one.
//!
//! Holds the ways to the internet and to networks behind gateways. Refuses to make gateways: where a
//! VPC has none, whether it should have one is for its owner to say.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::bench::{Bench, Blocked};
use super::mend::{Missing, deciding};
use super::{Fault, Fix, NoOffer, Towards};
use crate::base::id::*;
use crate::cloud::gateway::{GatewayId, OutsideHost, Site};
use crate::cloud::instance::{Host, Interface, SourceDestCheck};
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::forward::DropReason;
use crate::forward::middlebox::Role;
use crate::forward::walk::Step;

impl Bench<'_> {
    /// Is it the public address of an interface?
    pub(super) fn has_public(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(public) => self.cloud.behind_public(public).is_some(),
            IpAddr::V6(_) => false,
        }
    }

    /// A default route: over the VPC's internet gateway, for IPv6 else its egress-only one, or through a NAT gateway, else a NAT instance,
    /// for a sender for whom no public address stands.
    pub(super) fn missing_to_internet(
        &self,
        sender: &Interface,
        blocked: &Blocked,
    ) -> Result<Missing, NoOffer> {
        let vpc = sender.vpc;
        let source = blocked.walk.packet.source();
        let everything = |of: IpAddr| match of {
            IpAddr::V4(_) => IpNet::from(Ipv4Net::default()),
            IpAddr::V6(_) => IpNet::from(Ipv6Net::default()),
        };
        let everything = everything(blocked.walk.packet.destination());
        if let IpAddr::V4(private) = source
            && self.cloud.public_address(blocked.walk.sender, private).is_none()
            && let Some(nat) = self.nat_for(sender)
        {
            return Ok(Missing::Route(everything, nat));
        }
        let egress_only = || self.cloud.egress_only_gateway_of(vpc).filter(|_| source.is_ipv6());
        // A subnet that was private stays so.
        let was_private = deciding(blocked).and_then(|(_, route)| route).is_some_and(|route| {
            matches!(route.hop, Hop::To(RouteTarget::Gateway(GatewayId::EgressOnly(_))))
        });
        let kept = egress_only().filter(|_| was_private);
        let gateway = kept.or_else(|| self.cloud.internet_gateway_of(vpc)).or_else(egress_only);
        match gateway {
            Some(gateway) => Ok(Missing::Route(everything, Towards::Gateway(gateway))),
            None => Err(NoOffer::NoGateway(vpc)),
        }
    }

    /// A NAT device whose own packets follow another table than the sender's: through one that
    /// follows the same, they would come back to it. A gateway, or else an instance that works: it
    /// runs, takes packets for others, and has a public address.
    fn nat_for(&self, sender: &Interface) -> Option<Towards> {
        if let Host::NatGateway(_) = sender.host {
            return None;
        }
        let table = self.cloud.table_of(sender.subnet);
        let elsewhere = |interface: &Interface| {
            interface.vpc == sender.vpc && self.cloud.table_of(interface.subnet) != table
        };
        let mut gateways = self.cloud.nat_gateways();
        let gateway =
            gateways.find(|(_, nat)| self.cloud.interface(nat.interface).is_some_and(elsewhere));
        if let Some((id, _)) = gateway {
            return Some(Towards::Nat(id));
        }
        let works = |id: InterfaceId, interface: &Interface| {
            let v4 = interface.addresses.iter().find_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            self.memory.middleboxes.role(id) == Some(Role::Nat)
                && interface.source_dest_check == SourceDestCheck::Off
                && self.cloud.runs(id)
                && v4.is_some_and(|private| self.cloud.public_address(id, private).is_some())
        };
        let mut instances = self.cloud.interfaces();
        let instance = instances.find(|(id, i)| elsewhere(i) && works(*id, i));
        instance.map(|(id, _)| Towards::NatInstance(id))
    }

    /// A route for the prefix that the gateway announces, or the gateway itself.
    pub(super) fn missing_to_gateway(
        &self,
        sender: &Interface,
        id: GatewayId,
        blocked: &Blocked,
    ) -> Result<Missing, NoOffer> {
        let destination = blocked.walk.packet.destination();
        let gateway = self.cloud.gateway(id).ok_or(NoOffer::Gone)?;
        match gateway.vpc {
            Some(attached) if attached != sender.vpc => return Err(NoOffer::ForeignGateway(id)),
            Some(_) => {}
            None => return self.attach(id, sender.vpc).map(Missing::First),
        }
        if let GatewayId::Endpoint(endpoint) = id {
            // Its routes follow from the tables that it is for; nobody can set one.
            let table = self.cloud.table_of(sender.subnet).ok_or(NoOffer::Gone)?;
            return match self.cloud.table(table).is_some_and(|table| table.learns_from(id)) {
                true => Err(NoOffer::NoProgress),
                false => Ok(Missing::First(Fix::AddToEndpoint { endpoint, table })),
            };
        }
        let announced = gateway.beyond.iter().filter(|prefix| prefix.contains(&destination));
        let narrowest = announced.max_by_key(|prefix| prefix.prefix_len()).copied();
        let wanted = narrowest.unwrap_or(IpNet::from(destination));
        Ok(Missing::Route(wanted, Towards::Gateway(id)))
    }

    /// The detached gateway at which the packet stopped, attached again to the VPC that it is for, if
    /// nothing there has taken its place.
    pub(super) fn detached(&self, blocked: &Blocked) -> Option<Result<Fix, NoOffer>> {
        let Fault::Dropped(DropReason::Blackhole, _) = blocked.fault else { return None };
        let Some(Step::Gateway { gateway, attached: None }) = blocked.walk.steps.last() else {
            return None;
        };
        let sender = self.cloud.interface(blocked.walk.sender);
        let vpc = match sender {
            Some(interface) => interface.vpc,
            None => self.cloud.interface(blocked.meant?)?.vpc,
        };
        match self.attach(*gateway, vpc) {
            Ok(fix) => Some(Ok(fix)),
            // A route over another gateway may help; a host outside has no table to put it in.
            Err(_) if sender.is_some() => None,
            Err(cause) => Some(Err(cause)),
        }
    }

    /// Attach a detached gateway to a VPC of its owner that has none of the kind.
    fn attach(&self, id: GatewayId, vpc: VpcId) -> Result<Fix, NoOffer> {
        let gateway = self.cloud.gateway(id).ok_or(NoOffer::Gone)?;
        let home = self.cloud.vpc(vpc).ok_or(NoOffer::Gone)?;
        let same_kind =
            |other: GatewayId| std::mem::discriminant(&other) == std::mem::discriminant(&id);
        let taken = self.cloud.gateways().any(|(id, g)| g.vpc == Some(vpc) && same_kind(id));
        let own = (gateway.owner, &gateway.region) == (home.owner, &home.region);
        if own && !taken { Ok(Fix::Attach(id, vpc)) } else { Err(NoOffer::ForeignGateway(id)) }
    }

    /// A public address for the private one that the packet comes from.
    pub(super) fn public_address(&self, blocked: &Blocked) -> Result<Fix, NoOffer> {
        let sender = self.sender(blocked)?;
        let IpAddr::V4(private) = blocked.walk.packet.source() else { return Err(NoOffer::Gone) };
        let interface = self.cloud.owner(sender.vpc, private.into());
        Ok(Fix::GivePublicAddress { interface: interface.ok_or(NoOffer::ForeignSource)?, private })
    }

    /// Why nothing in the cloud's tables helps a host outside.
    pub(super) fn cannot_from_outside(&self, host: &OutsideHost, blocked: &Blocked) -> NoOffer {
        let inside = |vpc: &crate::cloud::vpc::Vpc| vpc.contains(blocked.walk.packet.destination());
        match (blocked.fault, host.site()) {
            (Fault::Dropped(DropReason::NoSuchHost, _), _) => NoOffer::NobodyHasIt,
            (_, Site::Internet) if self.cloud.vpcs().any(|(_, vpc)| inside(vpc)) => {
                NoOffer::PrivateFromOutside
            }
            _ => NoOffer::ForeignGateway(host.beyond),
        }
    }
}
