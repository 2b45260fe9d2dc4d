//! The gate: what turns a route's target into a crossing, and the only way into another VPC.
//!
//! Holds [`Crossing`], the one thing that passes between VPCs, and [`OpenEnd`], the proof that a
//! peering is active. Refuses a second look: a crossing can be *entered* and nothing else. There is
//! no function from a crossing, or from anything that `enter` has in reach, to another crossing,
//! and that absence is non-transitivity.
//!
//! The types say it (this does not compile, because a crossing over a peering needs the proof):
//!
//! ```compile_fail
//! use vpclab::base::id::{PeeringIdx, VpcIdx};
//! use vpclab::forward::gate::{Crossing, Via};
//! let forged = Crossing { into: VpcIdx::from_row(0), via: Via::Peering(PeeringIdx::from_row(0)) };
//! ```

use super::rows::Rows;
use crate::base::id::*;
use crate::cloud::peering::ActivePeering;

/// How a crossing came about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Via {
    /// The destination is in the sender's own VPC.
    Local,
    /// A route hands the packet to this interface of the sender's own VPC.
    Interface(InterfaceIdx),
    /// Over this peering, which was active when the packet left.
    Peering(PeeringIdx),
}

/// A packet's permit to enter one VPC, once. Made when it leaves, used up when it arrives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Crossing {
    into: VpcIdx,
    via: Via,
}

/// One direction of a peering that is active: where it leads. Made from an [`ActivePeering`] and
/// from nothing else, so whoever holds one may rely on it for the moment it was made at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenEnd {
    peering: PeeringIdx,
    into: VpcIdx,
}

impl OpenEnd {
    /// The end that leads out of `from`; `None` if `from` is at neither end or `rows` does not know
    /// the peering yet.
    pub fn of(active: ActivePeering<'_>, from: VpcId, rows: &Rows) -> Option<OpenEnd> {
        let peering = active.peering();
        Some(OpenEnd {
            peering: rows.peering(peering.id())?,
            into: rows.vpc(peering.other_end(from)?)?,
        })
    }

    /// The peering.
    pub const fn peering(self) -> PeeringIdx {
        self.peering
    }

    /// The VPC at the other end.
    pub const fn into_vpc(self) -> VpcIdx {
        self.into
    }
}

impl Crossing {
    /// Stays in the VPC.
    pub(super) const fn local(vpc: VpcIdx) -> Crossing {
        Crossing { into: vpc, via: Via::Local }
    }

    /// Stays in the VPC, at an interface that a route names.
    pub(super) const fn to_interface(vpc: VpcIdx, interface: InterfaceIdx) -> Crossing {
        Crossing { into: vpc, via: Via::Interface(interface) }
    }

    /// Over a peering. The caller has checked that the destination lies in the VPC it leads to.
    pub(super) const fn over(end: OpenEnd) -> Crossing {
        Crossing { into: end.into, via: Via::Peering(end.peering) }
    }

    /// The VPC to be entered.
    pub const fn into_vpc(self) -> VpcIdx {
        self.into
    }

    /// How it came about.
    pub const fn via(self) -> Via {
        self.via
    }
}
