//! Where a packet ended: the types in which both twins answer.
//!
//! Holds the drop with its reason and place. Refuses to hold the way there (see `walk.rs`).

use super::reason::DropReason;
use crate::base::id::*;
use crate::cloud::gateway::GatewayId;

/// The resource at which a packet was dropped: the one whose line in a trace decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// An interface: of the sender, the receiver, or a route's target.
    Interface(InterfaceIdx),
    /// A route table without a matching route, or whose longest match cannot be used.
    Table(TableIdx),
    /// A peering.
    Peering(PeeringIdx),
    /// A VPC in which nobody has the address, or whose own link failed.
    Vpc(VpcIdx),
    /// The network ACL of the subnet that was to be left or entered.
    Acl(AclIdx),
    /// A gateway, or the network beyond it.
    Gateway(GatewayIdx),
}

/// A [`Place`] by its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "each variant is the id of what it names")]
pub enum Location {
    Interface(InterfaceId),
    Table(RouteTableId),
    Peering(PeeringId),
    Vpc(VpcId),
    Acl(NetworkAclId),
    Gateway(GatewayId),
}

/// The end of a packet that was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Drop {
    /// The first check that failed.
    pub reason: DropReason,
    /// Where it failed.
    pub at: Place,
}

impl Drop {
    /// Dropped for this reason, here.
    pub const fn new(reason: DropReason, at: Place) -> Drop {
        Drop { reason, at }
    }
}
