//! What the network says back: the one ICMP error that a VPC's router sends.
//!
//! Holds the message about a packet that was too long for its way, and the crossing by which it comes
//! to its sender's VPC. Refuses every other error: routers say nothing of packets without a route, a
//! host or a permit (vpc-semantics 3.4).

use std::net::IpAddr;

use super::gate::{Crossing, Origin};
use super::{Drop, Place, Rows};
use crate::base::id::InterfaceIdx;
use crate::base::units::Mtu;
use crate::cloud::Cloud;
use crate::cloud::subnet::Subnet;
use crate::wire::{Packet, build};

/// The message about `packet`, which left `from` and was too long at `drop`, and its way back.
/// `None` if it may not be answered with an error, or was sent from outside the cloud.
///
/// It comes from the router of the sender's subnet (vpc-semantics 3.4: not documented, our choice),
/// through the subnet's ACL and the interface's groups, to whoever has the packet's source address.
pub fn notice(
    cloud: &Cloud,
    rows: &Rows,
    from: InterfaceIdx,
    packet: &Packet,
    drop: Drop,
) -> Option<(Packet, Crossing)> {
    let sender = cloud.interface(rows.interface_id(from))?;
    let router = router(cloud.subnet(sender.subnet)?, packet)?;
    let mtu = match drop.at {
        Place::Peering(peering) => cloud.mtu_of_peering(rows.peering_id(peering)),
        Place::Gateway(gateway) => cloud.mtu_of_gateway(rows.gateway_id(gateway)),
        Place::Interface(_) | Place::Vpc(_) | Place::Table(_) | Place::Acl(_) => Mtu::JUMBO,
    };
    let message = build::too_big(packet, router, mtu)?;
    Some((message, Crossing::local(rows.vpc(sender.vpc)?, Origin::Own)))
}

/// The address of a subnet's router: the first after the network's own (1.1).
fn router(subnet: &Subnet, packet: &Packet) -> Option<IpAddr> {
    match packet.destination() {
        IpAddr::V4(_) => {
            let base = u32::from(subnet.cidr.network());
            Some(IpAddr::V4(base.checked_add(1)?.into()))
        }
        IpAddr::V6(_) => {
            let base = u128::from(subnet.ipv6?.network());
            Some(IpAddr::V6(base.checked_add(1)?.into()))
        }
    }
}
