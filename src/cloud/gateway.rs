//! Gateways: the edges of one VPC, and what lies beyond them.
//!
//! Holds internet gateways, egress-only ones, virtual private gateways, gateway endpoints, NAT gateways, public
//! addresses, and the hosts outside the cloud that answer beyond an edge. Refuses to hold what a
//! packet meets on its way: that is the forwarder's. An edge belongs to the VPC it is attached to and
//! serves nobody else (vpc-semantics 3.3); nothing here knows peerings.

mod address;
mod egress_only;
mod endpoint;
mod internet;
mod nat;
mod outside;
mod vpn;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::account::{Caller, Region};
use super::event::Change;
use super::profile::Feature;
use super::refusal::Refusal;
use super::{Cloud, cidr};
use crate::base::id::*;

/// An edge of a VPC that a route can name. (A NAT gateway is no edge: it is an interface inside the
/// VPC that sends what it gets anew.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum GatewayId {
    /// To the internet.
    Internet(InternetGatewayId),
    /// To an on-premises network, over a VPN or Direct Connect.
    Vpn(VpnGatewayId),
    /// To an AWS service.
    Endpoint(EndpointId),
    /// To the internet, for IPv6, and for what its own VPC asks only. Never detached: it belongs to its
    /// VPC from beginning to end.
    EgressOnly(EgressOnlyGatewayId),
}

impl GatewayId {
    /// Its digits.
    pub const fn digits(self) -> Digits {
        match self {
            GatewayId::Internet(id) => id.digits(),
            GatewayId::Vpn(id) => id.digits(),
            GatewayId::Endpoint(id) => id.digits(),
            GatewayId::EgressOnly(id) => id.digits(),
        }
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayId::Internet(id) => id.fmt(f),
            GatewayId::Vpn(id) => id.fmt(f),
            GatewayId::Endpoint(id) => id.fmt(f),
            GatewayId::EgressOnly(id) => id.fmt(f),
        }
    }
}

/// The line behind a virtual private gateway. Routing is the same; reports name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Line {
    /// A site-to-site VPN.
    #[default]
    Vpn,
    /// Direct Connect.
    DirectConnect,
}

impl Line {
    /// Both.
    pub const ALL: [Line; 2] = [Line::Vpn, Line::DirectConnect];

    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Line::Vpn => "vpn",
            Line::DirectConnect => "direct-connect",
        }
    }

    /// The line with this name.
    pub fn from_name(name: &str) -> Option<Line> {
        Line::ALL.into_iter().find(|line| line.name() == name)
    }
}

/// A gateway.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gateway {
    /// Who owns it.
    pub owner: AccountId,
    /// Its region.
    pub region: Region,
    /// The VPC it is attached to, if it is.
    pub vpc: Option<VpcId>,
    /// The line, if it is a virtual private gateway.
    pub line: Option<Line>,
    /// The service, if it is an endpoint.
    pub service: Option<String>,
    /// What it leads to: the prefixes of the on-premises network or of the service, ordered, none
    /// twice. Empty for the internet, which is everything.
    pub beyond: Vec<IpNet>,
}

/// A NAT gateway (public connectivity): an interface of its own in a subnet, with a public address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NatGateway {
    /// Its VPC.
    pub vpc: VpcId,
    /// Its interface, whose only private address it translates to.
    pub interface: InterfaceId,
}

/// Whose a public address is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum AddressKind {
    /// The account's, until it releases it: an Elastic IP address.
    #[default]
    Elastic,
    /// Amazon's, lent for as long as the interface belongs to its instance. Nobody can name its
    /// allocation.
    Lent,
}

/// A public address that an account holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublicAddress {
    /// Who holds it.
    pub owner: AccountId,
    /// The region in which it can be used.
    pub region: Region,
    /// The address.
    pub address: Ipv4Addr,
    /// Whose it is.
    pub kind: AddressKind,
    /// What it stands for, if it is associated.
    pub association: Option<(AddressAssociationId, InterfaceId, Ipv4Addr)>,
}

/// The network in which a host outside the cloud lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Site {
    /// The internet; there is one.
    Internet,
    /// The on-premises network or the service behind this gateway.
    Behind(GatewayId),
}

/// A host outside the cloud. It has an interface like every host; no group, ACL or route table of
/// the cloud applies to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutsideHost {
    /// The gateway to which it hands its packets.
    pub beyond: GatewayId,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl OutsideHost {
    /// Where it lives: whoever is beyond an internet gateway is on the one internet.
    pub const fn site(&self) -> Site {
        GatewayId::site(self.beyond)
    }

    /// Is this one of its addresses?
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

impl GatewayId {
    /// The network that it leads to.
    pub const fn site(self) -> Site {
        match self {
            GatewayId::Internet(_) | GatewayId::EgressOnly(_) => Site::Internet,
            GatewayId::Vpn(_) | GatewayId::Endpoint(_) => Site::Behind(self),
        }
    }
}

impl Gateway {
    /// A gateway that is attached to nothing and leads everywhere.
    pub(super) fn new(caller: &Caller) -> Gateway {
        let (owner, region) = (caller.account, caller.region.clone());
        Gateway { owner, region, vpc: None, line: None, service: None, beyond: Vec::new() }
    }
}

impl Cloud {
    /// The gateway, if it is the caller's and in the caller's region.
    pub(super) fn own_gateway(&self, caller: &Caller, id: GatewayId) -> Result<&Gateway, Refusal> {
        self.gateways
            .get(&id)
            .filter(|gateway| gateway.owner == caller.account && gateway.region == caller.region)
            .ok_or(Refusal::GatewayNotFound(id))
    }

    /// The prefixes that a gateway can lead to, ordered, none twice. None may be one that no route
    /// could name.
    fn prefixes_beyond(&self, wanted: &[IpNet], of: &str) -> Result<Vec<IpNet>, Refusal> {
        let mut prefixes: Vec<IpNet> = wanted.iter().map(IpNet::trunc).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        if prefixes.iter().any(|p| matches!(p, IpNet::V6(_))) && !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("DestinationIpv6CidrBlock"));
        }
        if prefixes.iter().any(|prefix| cidr::is_reserved_destination(*prefix)) {
            return Err(Refusal::PrefixesInvalid(of.to_owned()));
        }
        Ok(prefixes)
    }

    /// What happens when a gateway goes: the hosts beyond it go first, for they hand their packets
    /// to nobody else. Routes that follow from it are gone with it; those that name it stay.
    fn without_gateway(&self, gateway: GatewayId) -> Vec<Change> {
        let beyond = self.outside_hosts.iter().filter(|(_, host)| host.beyond == gateway);
        let mut changes: Vec<Change> =
            beyond.map(|(host, _)| Change::OutsideHostRemoved { host: *host }).collect();
        changes.push(Change::GatewayDeleted { gateway });
        changes
    }
}
