//! Level 3, the data plane: where a packet ends, and why.
//!
//! A packet leaves once and enters once:
//!
//! ```text
//!        source VPC                      gate                 destination VPC
//!  leave ─ interface up                                  enter ─ way still open
//!        ─ source check                                        ─ owner of the address
//!        ─ groups out                                          ─ interface up
//!        ─ same subnet? ───────────────► Crossing ───────────► ─ ACL in
//!        ─ ACL out                          ▲                  ─ groups in
//!        ─ longest prefix match             │                  ─ destination check
//!        ─ target usable? ── local ─────────┤                  ─ delivered
//!                         ── interface ─────┤
//!                         ── own gateway ───┤
//!                         ── active peering ┘ if the destination lies in the peer's blocks
//!        ─ short enough?
//! ```
//!
//! Checks run in this order and the first that fails names the drop ([`DropReason`]). `enter` has no
//! route table in reach: in either implementation it is written over a type that holds none. What a
//! middlebox sends on begins anew at the top ([`middlebox`]).
//!
//! Two implementations answer alike: [`mod@reference`], to be believed by reading, and [`fabric`], to
//! be fast. What interfaces remember ([`Connections`]) is handed to both. Refuses to change the cloud,
//! to know time beyond the moment it is asked about, and to deliver: what happens between `leave` and
//! `enter` is the simulator's.

mod arrivals;
mod connections;
mod expiring;
pub mod fabric;
pub mod gate;
pub mod memory;
pub mod middlebox;
mod notice;
pub mod reason;
pub mod reference;
pub mod repair;
pub mod round_trip;
pub mod rows;
pub mod verdict;
pub mod walk;

#[cfg(test)]
mod tests;

pub use connections::{Connections, Judgement, Peek, Tracking, Word};
pub use gate::Crossing;
pub use memory::Memory;
pub use notice::notice;
pub use reason::DropReason;
pub use reference::Reference;
pub(crate) use reference::filters::is_open;
pub use rows::Rows;
pub use verdict::{Drop, Location, Place};

use bytes::Bytes;

use crate::base::id::InterfaceIdx;
use crate::wire::{Malformed, Offload, Packet};

/// Decides over packets by one version of the network.
pub trait Forwarder {
    /// May the packet leave this interface, and where does it cross to? `memory` learns of it.
    ///
    /// # Errors
    /// The first check that fails.
    fn leave(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop>;

    /// Which interface does the packet reach with this crossing? It is the packet as
    /// [`Crossing::mapped`] made it. `memory` learns of it.
    ///
    /// # Errors
    /// The first check that fails.
    fn enter(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop>;
}

/// The check before all others: bytes that an interface wants to send become a packet, or a drop
/// with the field that is wrong. `offload` is what the sender has left to do.
///
/// # Errors
/// [`DropReason::Malformed`] at the interface, and what is wrong.
pub fn admit(
    from: InterfaceIdx,
    bytes: Bytes,
    offload: Offload,
) -> Result<Packet, (Drop, Malformed)> {
    Packet::parse_offloaded(bytes, offload)
        .map_err(|wrong| (Drop::new(DropReason::Malformed, Place::Interface(from)), wrong))
}
