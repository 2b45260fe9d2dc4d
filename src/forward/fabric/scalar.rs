//! `leave` and `enter` for one packet, of any kind.
//!
//! Holds every check in its order. Batches come here with what they do not do themselves. Refuses to
//! let `enter` see a route table: it is a method of [`Hosts`], which has none.

use std::net::IpAddr;

use super::classify::{AnyProbe, FilterIdx};
use super::compile::family_row;
use super::directory::Key;
use super::edges::Inside;
use super::routes::{Tables, Target};
use super::rows::{Flags, InterfaceRow, MoreOfInterface, Others, PeeringEnd};
use super::{Fabric, Hosts};
use crate::base::id::*;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::cloud::instance::SourceDestCheck;
use crate::forward::connections::{Judgement, Tracking, Word};
use crate::forward::gate::{Crossing, Edge, Origin, Realm, Via};
use crate::forward::{Drop, DropReason, Place};
use crate::wire::Packet;

/// Whether a packet passes an interface's groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passes {
    Yes,
    No,
    /// It would, if its connection could be remembered.
    Full,
}

impl Passes {
    #[inline(always)]
    pub(super) const fn of(judgement: Judgement) -> Passes {
        match judgement {
            Judgement::Refused => Passes::No,
            Judgement::Full => Passes::Full,
            Judgement::ByRule
            | Judgement::ByConnection(_)
            | Judgement::Related
            | Judgement::FragmentOfPassed => Passes::Yes,
        }
    }
}

impl Fabric {
    /// May the packet leave this interface, and where does it cross to?
    pub(super) fn leave_one(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        let crossing = self.leave_unnoted(from, packet, memory)?;
        self.hosts.note_leaving(crossing, packet, memory)?;
        Ok(crossing)
    }

    /// [`Fabric::leave_one`] but for what the edge remembers.
    pub(super) fn leave_unnoted(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        let crossing = self.cross(from, packet, memory)?;
        if !crossing.mtu().holds(packet.longest()) && !packet.may_be_fragmented() {
            return Err(Drop::new(DropReason::TooBig, crossing.bottleneck()));
        }
        Ok(crossing)
    }

    /// Which interface does the packet reach?
    pub(super) fn enter_one(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        self.hosts.enter_one(crossing, packet, memory)
    }

    /// `leave` but for the packet's length.
    fn cross(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        let hosts = &self.hosts;
        let here = Place::Interface(from);
        let down = Drop::new(DropReason::InterfaceDown, here);
        let sender = hosts.interfaces.get(from.row()).ok_or(down)?;
        if sender.flags.has(Flags::OUTSIDE) {
            let host = hosts.edges.host(from).ok_or(down)?;
            return hosts.edges.leave(from, host, packet, &self.sight());
        }
        if !sender.flags.has(Flags::RUNS) {
            return Err(down);
        }
        let own = hosts.owns(sender, packet.source());
        let origin = if own { Origin::Own } else { Origin::Relayed };
        if sender.check() == SourceDestCheck::On && origin == Origin::Relayed {
            return Err(Drop::new(DropReason::SourceCheck, here));
        }
        match hosts.groups_pass(sender, from, Direction::Egress, packet, Origin::Own, memory) {
            Passes::Yes => {}
            Passes::No => return Err(Drop::new(DropReason::GroupEgress, here)),
            Passes::Full => return Err(Drop::new(DropReason::ConntrackFull, here)),
        }
        let destination = packet.destination();
        if hosts.shares_subnet(sender, destination) {
            return Ok(Crossing::in_subnet(sender.vpc, origin));
        }
        if !hosts.acl_passes(sender, Direction::Egress, packet) {
            return Err(Drop::new(DropReason::AclEgress, hosts.acl_of(from)));
        }
        if !self.tables.has(sender.table) {
            return Err(down);
        }
        let code = match destination {
            IpAddr::V4(address) => self.tables.get(sender.table, address.into()),
            IpAddr::V6(address) => self.tables.get_v6(sender.table, address.into()),
        };
        let in_table = Place::Table(sender.table);
        let code = code.filter(|_| !cidr::is_never_forwarded(destination));
        let code = code.ok_or(Drop::new(DropReason::NoRoute, in_table))?;
        hosts.gate((sender, origin), code.target(), packet, &self.tables)
    }

    /// Is there an edge that remembers what goes out over it: an egress-only internet gateway?
    pub(crate) fn remembers_at_edges(&self) -> bool {
        self.hosts.edges.remember()
    }

    const fn sight(&self) -> Sight<'_> {
        Sight { hosts: &self.hosts, tables: &self.tables }
    }
}

/// What decides by which edge a packet comes in from the internet, before it does.
struct Sight<'f> {
    hosts: &'f Hosts,
    tables: &'f Tables,
}

impl Hosts {
    /// The gate: from a route's target to a crossing.
    pub(super) fn gate(
        &self,
        (sender, origin): (&InterfaceRow, Origin),
        target: Target,
        packet: &Packet,
        tables: &Tables,
    ) -> Result<Crossing, Drop> {
        let blackhole = Drop::new(DropReason::Blackhole, Place::Table(sender.table));
        let destination = packet.destination();
        match target {
            Target::Local => Ok(Crossing::local(sender.vpc, origin)),
            Target::Interface(target) => {
                let row = self.interfaces.get(target.row());
                if row.is_none_or(|row| !row.flags.has(Flags::RUNS)) {
                    return Err(blackhole);
                }
                Ok(Crossing::to_interface(sender.vpc, target, origin))
            }
            Target::Gateway(target) => {
                if self.edges.attached(target) != Some(sender.vpc) {
                    return Err(blackhole);
                }
                let out = Edge { gateway: target, vpc: sender.vpc };
                self.edges.over(out, origin, packet, &Sight { hosts: self, tables })
            }
            Target::Peering(target) => {
                let row = self.peerings.get(target.row());
                let end = row.and_then(|row| row.end(sender.vpc)).ok_or(blackhole)?;
                if !self.leads_to(end, destination) {
                    return Err(Drop::new(DropReason::Transit, Place::Peering(target)));
                }
                Ok(Crossing::over(end.end, origin))
            }
            Target::Unknown => Err(blackhole),
        }
    }

    /// Does the address lie in a block of the VPC that a peering leads to?
    pub(super) fn leads_to(&self, end: &PeeringEnd, address: IpAddr) -> bool {
        let in_first = match address {
            IpAddr::V4(address) => end.block.holds(address.into()),
            IpAddr::V6(_) => false,
        };
        in_first || (end.others == Others::Some && self.hold(end.end.into_vpc(), address))
    }

    /// What an egress-only internet gateway lets out, it remembers.
    pub(super) fn note_leaving(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let [out, _] = crossing.edges();
        let Some(at) = self.edges.memory_of(out) else { return Ok(()) };
        match Passes::of(memory.judge(at, Direction::Egress, packet, || Word::Tracked)) {
            Passes::Yes => Ok(()),
            Passes::No | Passes::Full => {
                Err(Drop::new(DropReason::ConntrackFull, crossing.bottleneck()))
            }
        }
    }

    /// An egress-only internet gateway lets answers in, and nothing else.
    fn let_in(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<(), Drop> {
        let [_, Some(inwards)] = crossing.edges() else { return Ok(()) };
        let Some(at) = self.edges.memory_of(Some(inwards)) else { return Ok(()) };
        let here = Place::Gateway(inwards.gateway);
        match Passes::of(memory.judge(at, Direction::Ingress, packet, || Word::Refused)) {
            Passes::Yes => Ok(()),
            Passes::No => Err(Drop::new(DropReason::Unsolicited, here)),
            Passes::Full => Err(Drop::new(DropReason::ConntrackFull, here)),
        }
    }

    pub(super) fn enter_one(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        let destination = packet.destination();
        match crossing.via() {
            Via::Peering(peering) => {
                if self.peerings.get(peering.row()).is_none_or(|row| row.ends.is_none()) {
                    return Err(Drop::new(DropReason::PeeringGone, Place::Peering(peering)));
                }
            }
            Via::Gateway(_) => {
                for Edge { gateway, vpc } in crossing.edges().into_iter().flatten() {
                    if self.edges.attached(gateway) != Some(vpc) {
                        return Err(Drop::new(DropReason::Blackhole, Place::Gateway(gateway)));
                    }
                }
                self.let_in(crossing, packet, memory)?;
            }
            Via::Subnet | Via::Local | Via::Interface(_) | Via::Outside(_) => {}
        }
        let Realm::Vpc(into) = crossing.into_realm() else {
            let nobody = Drop::new(DropReason::NoSuchHost, crossing.bottleneck());
            return self.edges.owner(crossing.into_realm(), destination).ok_or(nobody);
        };
        let nobody = Drop::new(DropReason::NoSuchHost, Place::Vpc(into));
        let receiver = match crossing.via() {
            Via::Interface(named) => named,
            _ => self.owner(into, destination).ok_or(nobody)?,
        };
        let row = self.interfaces.get(receiver.row()).ok_or(nobody)?;
        self.arrive((receiver, row), crossing, packet, memory)
    }

    /// `enter` from the owner on.
    pub(super) fn arrive(
        &self,
        (receiver, row): (InterfaceIdx, &InterfaceRow),
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        let here = Place::Interface(receiver);
        if !row.flags.has(Flags::THERE) {
            // Only an interface that a route names can be gone.
            let into = crossing.into_vpc().unwrap_or(VpcIdx::NOWHERE);
            return Err(Drop::new(DropReason::NoSuchHost, Place::Vpc(into)));
        }
        if !row.flags.has(Flags::RUNS) {
            return Err(Drop::new(DropReason::InterfaceDown, here));
        }
        if crossing.via() != Via::Subnet && !self.acl_passes(row, Direction::Ingress, packet) {
            return Err(Drop::new(DropReason::AclIngress, self.acl_of(receiver)));
        }
        let (direction, origin) = (Direction::Ingress, crossing.origin());
        match self.groups_pass(row, receiver, direction, packet, origin, memory) {
            Passes::Yes => {}
            Passes::No => return Err(Drop::new(DropReason::GroupIngress, here)),
            Passes::Full => return Err(Drop::new(DropReason::ConntrackFull, here)),
        }
        if row.check() == SourceDestCheck::On && !self.owns(row, packet.destination()) {
            return Err(Drop::new(DropReason::DestCheck, here));
        }
        Ok(receiver)
    }

    /// Does the address lie in a block of this VPC? No address lies in one that is not there.
    fn hold(&self, vpc: VpcIdx, address: IpAddr) -> bool {
        self.vpcs.get(vpc.row()).is_some_and(|vpc| vpc.holds(address))
    }

    /// Who has the address in this VPC.
    fn owner(&self, vpc: VpcIdx, address: IpAddr) -> Option<InterfaceIdx> {
        self.directory.find(Key::of(vpc, address), |at| {
            let row = self.interfaces.get(at.row());
            row.is_some_and(|row| row.vpc == vpc && self.owns(row, address))
        })
    }

    pub(super) fn more(&self, row: &InterfaceRow) -> Option<&MoreOfInterface> {
        self.more.get(row.more as usize)
    }

    /// Is it an address of the interface?
    pub(super) fn owns(&self, row: &InterfaceRow, address: IpAddr) -> bool {
        let first = match address {
            IpAddr::V4(address) => row.is_first(address.into()),
            IpAddr::V6(address) => self.more(row).is_some_and(|more| more.address == Some(address)),
        };
        first || self.more(row).is_some_and(|more| more.others.contains(&address))
    }

    pub(super) fn shares_subnet(&self, row: &InterfaceRow, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => row.shares_subnet_with(address.into()),
            IpAddr::V6(address) => {
                self.more(row).is_some_and(|more| more.shares_subnet_with(address))
            }
        }
    }

    #[inline]
    pub(super) fn acl_passes(
        &self,
        row: &InterfaceRow,
        direction: Direction,
        packet: &Packet,
    ) -> bool {
        let open = match direction {
            Direction::Ingress => Flags::ACL_OPEN_IN,
            Direction::Egress => Flags::ACL_OPEN_OUT,
        };
        row.flags.has(open[family_row(packet.family())])
            || self.filters.classifiers().acl(row.acl, direction, &AnyProbe::of(packet))
    }

    /// The network ACL of an interface's subnet.
    pub(super) fn acl_of(&self, at: InterfaceIdx) -> Place {
        Place::Acl(self.acls.get(at.row()).copied().unwrap_or(AclIdx::NOWHERE))
    }

    pub(super) fn groups_pass(
        &self,
        row: &InterfaceRow,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        origin: Origin,
        memory: &mut impl Tracking,
    ) -> Passes {
        let open = row.flags.has(Flags::GROUPS_OPEN[family_row(packet.family())]);
        let has_ports = packet.protocol().has_ports() && !packet.is_fragment();
        if row.filter == FilterIdx::NONE || (open && has_ports && memory.is_blank(at)) {
            // Without groups everything passes. Open both ways and nothing remembered: it passes
            // too, and nothing will be remembered.
            return Passes::Yes;
        }
        let say = || {
            self.filters.classifiers().groups(row.filter, direction, &AnyProbe::of(packet), origin)
        };
        Passes::of(memory.judge(at, direction, packet, say))
    }
}

impl Inside for Sight<'_> {
    fn hold(&self, vpc: VpcIdx, address: IpAddr) -> bool {
        self.hosts.hold(vpc, address)
    }

    fn way_back(&self, vpc: VpcIdx, address: IpAddr, from: IpAddr) -> Option<GatewayIdx> {
        let owner = self.hosts.owner(vpc, address)?;
        let table = self.hosts.interfaces.get(owner.row())?.table;
        let code = match from {
            _ if cidr::is_never_forwarded(from) => None,
            IpAddr::V4(from) => self.tables.get(table, from.into()),
            IpAddr::V6(from) => self.tables.get_v6(table, from.into()),
        };
        match code?.target() {
            Target::Gateway(gateway) => Some(gateway),
            _ => None,
        }
    }
}
