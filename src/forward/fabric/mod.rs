//! The compiled twin: one version of the network as flat arrays, for batches of packets.
//!
//! Holds [`Fabric`], which answers as [`Reference`](super::Reference) does: one packet at a time as a
//! [`Forwarder`], or up to [`BATCH`] at a time with [`Fabric::leave_all`] and [`Fabric::enter_all`],
//! which wait for memory once a batch and not once a packet. Refuses to look at the cloud while it
//! forwards, to remember anything (connections are an argument), and to explain itself.
//!
//! | file | what |
//! |---|---|
//! | `rows` | an interface in half a line of the cache, a peering in one, with all that the gate asks |
//! | `directory` | who has an address: one open-addressed table for all VPCs |
//! | `lpm`, `routes` | the route tables, and what their codes mean |
//! | `edges` | gateways, public addresses and the hosts outside the cloud |
//! | `compile`, `update` | from the cloud to rows, all of them or those that an event touched |
//! | `scalar` | `leave` and `enter` for one packet, of any kind |
//! | `batch` | the same in stages over a batch, for the kinds that are common |
//! | `passages` | where packets for a destination have crossed lately, for each worker |
//! | `family` | what differs between IPv4 and IPv6 |
//! | `publish` | two copies: one is in use while the other is brought up to date |
//! | `crew` | several cores: each has VPCs of its own, and hands over what crosses into others' |
//! | `prefetch` | the one instruction that has no safe form |
//!
//! While packets flow nothing is allocated for packets of the common kinds, no lock is taken and no
//! clock is read. A `Fabric` is `Send` and `Sync`: workers share one, each with a batch, a
//! [`Worker`] and a memory of its own.

mod batch;
pub mod classify;
mod compile;
mod crew;
mod directory;
mod edges;
mod family;
pub mod flows;
pub mod lpm;
mod passages;
pub(crate) mod prefetch;
mod publish;
mod routes;
mod rows;
mod scalar;
mod update;
mod worker;

pub use batch::{BATCH, Batch, Fate};
pub use crew::{Closed, Division, Finished, HANDOVERS, Left, Shard, TooLong, crew};
pub use publish::{Publisher, Reader};
pub use worker::{Delivery, Worker};

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Crossing, Drop, Forwarder, Tracking};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::wire::Packet;
use classify::network::Filters;
use directory::Directory;
use edges::Edges;
use routes::Tables;
use rows::{InterfaceRow, MoreOfInterface, PeeringRow, VpcRow};

/// One version of the network, compiled. Rows are those of the [`Rows`](super::Rows) that it was
/// built with; a row without a resource (deleted, or never there) drops what meets it.
#[derive(Clone, Debug)]
pub struct Fabric {
    hosts: Hosts,
    tables: Tables,
    version: Version,
    /// When passing time alone changes a peering; some of them no more, because it has changed before.
    deadlines: BTreeSet<(Instant, PeeringIdx)>,
}

/// Tells one content of a fabric from every other: whatever was found out by a version holds as long
/// as it is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version(u64);

impl Version {
    /// No fabric's.
    const NONE: Version = Version(0);

    /// Its upper and its lower half.
    #[allow(clippy::cast_possible_truncation, reason = "both halves are kept")]
    const fn halves(self) -> [u32; 2] {
        [(self.0 >> 32) as u32, self.0 as u32]
    }

    /// One that no fabric has had in this process.
    fn next() -> Version {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Version(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Who is where, and which peerings are open: all that `enter` sees. No route table is among it.
#[derive(Clone, Debug)]
struct Hosts {
    interfaces: Vec<InterfaceRow>,
    /// The network ACL of each interface's subnet, for those who are told about it.
    acls: Vec<AclIdx>,
    more: Vec<MoreOfInterface>,
    /// Rows of it that nobody has.
    more_free: Vec<u32>,
    peerings: Vec<PeeringRow>,
    vpcs: Vec<VpcRow>,
    directory: Directory,
    filters: Filters,
    edges: Edges,
}

impl Fabric {
    /// What the rows, the directory of IPv4 addresses and the route tables take, in bytes; filters,
    /// edges and what few interfaces have are not counted.
    pub fn bytes(&self) -> usize {
        let hosts = &self.hosts;
        size_of_val(&hosts.interfaces[..])
            + size_of_val(&hosts.peerings[..])
            + size_of_val(&hosts.vpcs[..])
            + hosts.directory.bytes()
            + self.tables.bytes()
    }
}

impl Forwarder for Fabric {
    fn leave(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        self.leave_one(from, packet, memory)
    }

    fn enter(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        self.enter_one(crossing, packet, memory)
    }
}
