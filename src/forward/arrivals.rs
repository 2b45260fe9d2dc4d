//! What the network being entered may be asked, and nothing else.
//!
//! Holds a view of the cloud that knows who is where, what filters stand before them, whether a
//! peering is active and a gateway attached. Refuses to hand out the cloud behind it: the
//! reference's `enter` is written over this view, so no route table is in its reach, and no
//! [`ActivePeering`](crate::cloud::peering::ActivePeering) from which another gate could be opened.

use std::net::IpAddr;

use super::reference::filters::Filters;
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::gateway::{GatewayId, OutsideHost, Site};
use crate::cloud::instance::Interface;
use crate::cloud::peering::Status;

/// The cloud as it is at one moment, without its route tables.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrivals<'c> {
    cloud: &'c Cloud,
    now: Instant,
}

impl<'c> Arrivals<'c> {
    pub(super) const fn new(cloud: &'c Cloud, now: Instant) -> Arrivals<'c> {
        Arrivals { cloud, now }
    }

    /// Where a peering stands; `None` if the cloud has forgotten it.
    pub(super) fn status(self, peering: PeeringId) -> Option<Status> {
        self.cloud.peering(peering).map(|p| p.status(self.now))
    }

    /// The VPC that a gateway is attached to.
    pub(super) fn attached(self, gateway: GatewayId) -> Option<VpcId> {
        self.cloud.gateway(gateway)?.vpc
    }

    /// Who has this address in this VPC.
    pub(super) fn owner(self, vpc: VpcId, address: IpAddr) -> Option<InterfaceId> {
        self.cloud.owner(vpc, address)
    }

    /// Who has this address in this network outside the cloud.
    pub(super) fn outside_owner(self, site: Site, address: IpAddr) -> Option<InterfaceId> {
        self.cloud.outside_owner(site, address)
    }

    /// A host outside the cloud.
    pub(super) fn outside_host(self, id: InterfaceId) -> Option<&'c OutsideHost> {
        self.cloud.outside_host(id)
    }

    /// An interface, if it is still there.
    pub(super) fn interface(self, id: InterfaceId) -> Option<&'c Interface> {
        self.cloud.interface(id)
    }

    /// Does what is behind the interface run?
    pub(super) fn runs(self, interface: InterfaceId) -> bool {
        self.cloud.runs(interface)
    }

    /// The network ACL before a subnet.
    pub(super) fn acl_of(self, subnet: SubnetId) -> Option<NetworkAclId> {
        self.cloud.acl_of(subnet)
    }

    /// The filters.
    pub(super) fn filters(self) -> Filters<'c> {
        Filters::new(self.cloud, self.now)
    }
}
