//! How long a packet each kind of path takes (vpc-semantics 3.4).
//!
//! Holds the figures, as [`Mtu`]s, and which of them a peering or a gateway has. Refuses to cut a
//! packet up or to drop it: that is the forwarder's and the simulator's.

use super::Cloud;
use super::gateway::GatewayId;
use super::profile::Feature;
use crate::base::id::PeeringId;
use crate::base::units::Mtu;

/// Across a peering between two regions, since 2025 (3.4).
const INTER_REGION: Mtu = Mtu::new(8_500).unwrap();

impl Cloud {
    /// Across a peering: 1,500 bytes by the rules of 2014-15, else jumbo frames, between two regions
    /// somewhat shorter ones.
    pub fn mtu_of_peering(&self, id: PeeringId) -> Mtu {
        let regions = self.peerings.get(&id).map(|p| p.requester().region == p.accepter().region);
        match regions {
            _ if !self.profile.has(Feature::JumboPeering) => Mtu::ETHERNET,
            Some(false) => INTER_REGION,
            _ => Mtu::JUMBO,
        }
    }

    /// Over an edge: 1,500 bytes to the internet and over a VPN (3.4), and over Direct Connect, whose
    /// virtual interfaces start with it (ours); to a service what the VPC takes (ours).
    pub fn mtu_of_gateway(&self, id: GatewayId) -> Mtu {
        match id {
            GatewayId::Internet(_) | GatewayId::EgressOnly(_) | GatewayId::Vpn(_) => Mtu::ETHERNET,
            GatewayId::Endpoint(_) => Mtu::JUMBO,
        }
    }
}
