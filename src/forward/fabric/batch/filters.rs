//! What groups and network ACLs say of a packet of a batch.
//!
//! Holds the shorter ways for TCP and UDP. Refuses to say anything else than `scalar` does.

use crate::base::id::*;
use crate::cloud::filter::Direction;
use crate::forward::connections::Tracking;
use crate::forward::fabric::Hosts;
use crate::forward::fabric::classify::FilterIdx;
use crate::forward::fabric::family::Kind;
use crate::forward::fabric::rows::{Flags, InterfaceRow};
use crate::forward::fabric::scalar::Passes;
use crate::forward::gate::Origin;
use crate::forward::{Drop, DropReason, Place};
use crate::wire::{Flow, Packet};

/// A packet under its sender's own address, and its flow if it is TCP or UDP.
pub(super) struct Asked<'a, K: Kind> {
    pub(super) packet: &'a Packet,
    pub(super) flow: Option<&'a Flow<K::Ip>>,
}
pub(super) fn refused(passes: Passes, reason: DropReason, at: InterfaceIdx) -> Drop {
    let reason = if passes == Passes::Full { DropReason::ConntrackFull } else { reason };
    Drop::new(reason, Place::Interface(at))
}
impl Hosts {
    /// Are the interface's groups open for TCP and UDP, and is nothing remembered of it?
    #[inline(always)]
    pub(super) fn is_untouched<K: Kind>(
        &self,
        row: &InterfaceRow,
        at: InterfaceIdx,
        memory: &impl Tracking,
    ) -> bool {
        row.flags.has(Flags::GROUPS_OPEN[K::ROW]) && memory.is_blank(at)
    }
    /// [`Hosts::groups_pass`], in fewer steps if it is TCP or UDP.
    #[inline(always)]
    pub(super) fn groups_let<K: Kind>(
        &self,
        (row, at): (&InterfaceRow, InterfaceIdx),
        way: Direction,
        asked: &Asked<'_, K>,
        memory: &mut impl Tracking,
    ) -> Passes {
        if self.is_untouched::<K>(row, at, memory) && asked.flow.is_some() {
            return Passes::Yes;
        }
        let Some(flow) = asked.flow.filter(|_| row.filter != FilterIdx::NONE) else {
            return self.groups_pass(row, at, way, asked.packet, Origin::Own, memory);
        };
        let say = || K::groups(self.filters.classifiers(), row.filter, way, &K::probe(flow));
        Passes::of(K::judge(memory, at, way, (flow, asked.packet), say))
    }

    /// [`Hosts::acl_passes`], in fewer steps if it is TCP or UDP.
    #[inline(always)]
    pub(super) fn acl_lets<K: Kind>(
        &self,
        row: &InterfaceRow,
        way: Direction,
        asked: &Asked<'_, K>,
    ) -> bool {
        let open = match way {
            Direction::Ingress => Flags::ACL_OPEN_IN,
            Direction::Egress => Flags::ACL_OPEN_OUT,
        };
        match asked.flow {
            _ if row.flags.has(open[K::ROW]) => true,
            Some(flow) => K::acl(self.filters.classifiers(), row.acl, way, &K::probe(flow)),
            None => self.acl_passes(row, way, asked.packet),
        }
    }
}
