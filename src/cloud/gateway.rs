//! Gateways: the edges of one VPC, and what lies beyond them.
//!
//! Holds internet gateways, virtual private gateways, gateway endpoints, NAT gateways, public
//! addresses, and the hosts outside the cloud that answer beyond an edge. Refuses to hold what a
//! packet meets on its way: that is the forwarder's. An edge belongs to the VPC it is attached to and
//! serves nobody else (vpc-semantics 3.3); nothing here knows peerings.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::account::Region;
use crate::base::id::*;

/// An edge of a VPC that a route can name. (A NAT gateway is no edge: it is an interface inside the
/// VPC that sends what it gets anew.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GatewayId {
    /// To the internet.
    Internet(InternetGatewayId),
    /// To an on-premises network, over a VPN or Direct Connect.
    Vpn(VpnGatewayId),
    /// To an AWS service.
    Endpoint(EndpointId),
}

impl GatewayId {
    /// Its digits.
    pub const fn digits(self) -> Digits {
        match self {
            GatewayId::Internet(id) => id.digits(),
            GatewayId::Vpn(id) => id.digits(),
            GatewayId::Endpoint(id) => id.digits(),
        }
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GatewayId::Internet(id) => id.fmt(f),
            GatewayId::Vpn(id) => id.fmt(f),
            GatewayId::Endpoint(id) => id.fmt(f),
        }
    }
}

/// The line behind a virtual private gateway. Routing is the same; reports name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Line {
    /// A site-to-site VPN.
    #[default]
    Vpn,
    /// Direct Connect.
    DirectConnect,
}

/// A gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gateway {
    /// Who owns it.
    pub owner: AccountId,
    /// Its region.
    pub region: Region,
    /// The VPC it is attached to, if it is.
    pub vpc: Option<VpcId>,
    /// The line, if it is a virtual private gateway.
    pub line: Option<Line>,
    /// What it leads to: the prefixes of the on-premises network or of the service. Empty for the
    /// internet, which is everything.
    pub beyond: Vec<IpNet>,
}

/// A NAT gateway (public connectivity): an interface of its own in a subnet, with a public address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NatGateway {
    /// Its VPC.
    pub vpc: VpcId,
    /// Its interface, whose only private address it translates to.
    pub interface: InterfaceId,
}

/// A public address that an account holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicAddress {
    /// Who holds it.
    pub owner: AccountId,
    /// The address.
    pub address: Ipv4Addr,
    /// What it stands for, if it is associated.
    pub association: Option<(AddressAssociationId, InterfaceId, Ipv4Addr)>,
}

/// The network in which a host outside the cloud lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Site {
    /// The internet; there is one.
    Internet,
    /// The on-premises network or the service behind this gateway.
    Behind(GatewayId),
}

/// A host outside the cloud. It has an interface like every host; no group, ACL or route table of
/// the cloud applies to it.
#[derive(Clone, PartialEq, Eq, Debug)]
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
            GatewayId::Internet(_) => Site::Internet,
            GatewayId::Vpn(_) | GatewayId::Endpoint(_) => Site::Behind(self),
        }
    }
}
