//! What would have lain beyond: for the explanation of a refused transit only.
//!
//! Holds the search one step behind a VPC that passes nothing on. Refuses to be part of a verdict: no
//! packet goes where this looks.

use std::net::IpAddr;

use super::Reference;
use crate::base::id::*;
use crate::cloud::cidr;
use crate::cloud::gateway::GatewayId;
use crate::forward::walk::Beyond;

impl Reference<'_> {
    /// The VPCs one live peering beyond `vpc` in whose blocks the address lies, not counting the
    /// peering the packet wanted to come by; then the edges of `vpc` that lead to the address.
    pub(super) fn beyond(&self, vpc: VpcId, by: Option<PeeringId>, address: IpAddr) -> Vec<Beyond> {
        let peerings = self.cloud.vpc(vpc).into_iter().flat_map(|vpc| vpc.peerings());
        let mut found: Vec<Beyond> = peerings
            .filter(|id| Some(*id) != by)
            .filter_map(|id| self.cloud.peering(id))
            .filter(|p| p.is_live(self.now))
            .filter_map(|p| {
                let (peering, status) = (p.id(), p.status(self.now));
                Some(Beyond::Vpc { vpc: p.other_end(vpc)?, peering, status })
            })
            .filter(|beyond| match beyond {
                Beyond::Vpc { vpc, .. } => {
                    self.cloud.vpc(*vpc).is_some_and(|vpc| vpc.contains(address))
                }
                Beyond::Edge(_) | Beyond::Nat(_) => false,
            })
            .collect();
        let leads_there = |(id, gateway): &(GatewayId, &crate::cloud::gateway::Gateway)| {
            gateway.vpc == Some(vpc)
                && match id {
                    GatewayId::Internet(_) => !cidr::is_private(address),
                    GatewayId::EgressOnly(_) => address.is_ipv6() && !cidr::is_private(address),
                    GatewayId::Vpn(_) | GatewayId::Endpoint(_) => {
                        gateway.beyond.iter().any(|block| block.contains(&address))
                    }
                }
        };
        let edges = self.cloud.gateways().filter(leads_there).map(|(id, _)| Beyond::Edge(id));
        found.extend(edges);
        if !cidr::is_private(address) && address.is_ipv4() {
            let nats = self.cloud.nat_gateways().filter(|(_, nat)| nat.vpc == vpc);
            found.extend(nats.map(|(id, _)| Beyond::Nat(id)));
        }
        found.sort_unstable();
        found
    }
}
