//! The gate: what turns a route's target into a crossing, and the only way into another VPC.
//!
//! Holds [`Crossing`], the one thing that passes between VPCs, and [`OpenEnd`], the proof that a
//! peering is active. Refuses a second look: a crossing can be *entered* and nothing else. There is
//! no function from a crossing, or from anything that `enter` has in reach, to another crossing,
//! and that absence is non-transitivity.
//!
//! The types say it. What can be named from outside:
//!
//! ```
//! use vpclab::base::id::{InterfaceIdx, PeeringIdx, VpcIdx};
//! use vpclab::forward::gate::{Crossing, OpenEnd, Via};
//! use vpclab::forward::{Drop, Forwarder, Rows};
//! use vpclab::cloud::peering::{ActivePeering, Peering};
//! let (into, peering) = (VpcIdx::from_row(0), PeeringIdx::from_row(0));
//! let via = Via::Peering(peering);
//! ```
//!
//! A crossing cannot be forged (E0451), nor the proof of an open end (E0451), nor the proof that a
//! peering is active (E0423); and a peering itself is no proof (E0308):
//!
//! ```compile_fail,E0451
//! # use vpclab::base::id::{PeeringIdx, VpcIdx};
//! # use vpclab::forward::gate::{Crossing, Via};
//! # let (into, via) = (VpcIdx::from_row(0), Via::Peering(PeeringIdx::from_row(0)));
//! let forged = Crossing { into, via };
//! ```
//!
//! ```compile_fail,E0451
//! # use vpclab::base::id::{PeeringIdx, VpcIdx};
//! # use vpclab::forward::gate::OpenEnd;
//! # let (into, peering) = (VpcIdx::from_row(0), PeeringIdx::from_row(0));
//! let forged = OpenEnd { peering, into };
//! ```
//!
//! ```compile_fail,E0423
//! # use vpclab::cloud::peering::{ActivePeering, Peering};
//! fn forged(pending: &Peering) -> ActivePeering<'_> {
//!     ActivePeering(pending)
//! }
//! ```
//!
//! ```compile_fail,E0308
//! # use vpclab::{base::id::VpcId, cloud::peering::Peering, forward::{Rows, gate::OpenEnd}};
//! fn unproved(peering: &Peering, from: VpcId, rows: &Rows) -> Option<OpenEnd> {
//!     OpenEnd::of(peering, from, rows)
//! }
//! ```
//!
//! And an arrival is an interface, from which nothing leads on (E0308):
//!
//! ```compile_fail,E0308
//! # use vpclab::{base::id::InterfaceIdx, forward::{Crossing, Drop, Forwarder}, wire::Packet};
//! fn relay(by: &impl Forwarder, crossing: Crossing, packet: &Packet) -> Result<InterfaceIdx, Drop> {
//!     by.enter(by.enter(crossing, packet)?, packet)
//! }
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

/// A packet's permit to enter one VPC, once. Made when it leaves; whoever holds
/// it can enter that VPC and do nothing else.
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
