//! The reference twin: the obvious forwarder, straight over the cloud.
//!
//! Holds `leave` and `enter` as a reader would write them down from vpc-semantics 3.1, one check
//! after another. Slow on purpose: it is what the compiled snapshot is checked against and what
//! every explanation is made of, so it must be believed by reading it. Shares no prefix match and
//! no address table with the snapshot.

use std::net::IpAddr;

use super::arrivals::Arrivals;
use super::gate::{Crossing, OpenEnd, Via};
use super::walk::{Beyond, Holds, Match, Recorder, Step, Walk};
use super::{Drop, DropReason, Forwarder, Place, Rows};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::peering::Status;
use crate::cloud::route_table::{Hop, RouteState, RouteTarget};
use crate::wire::Packet;

/// The cloud as it is at one moment, ready to judge packets.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'c> {
    cloud: &'c Cloud,
    rows: &'c Rows,
    now: Instant,
}

impl Forwarder for Reference<'_> {
    fn leave(&self, from: InterfaceIdx, packet: &Packet) -> Result<Crossing, Drop> {
        self.leave_recorded(from, packet, &mut ())
    }

    fn enter(&self, crossing: Crossing, packet: &Packet) -> Result<InterfaceIdx, Drop> {
        self.enter_recorded(crossing, packet, &mut ())
    }
}

impl<'c> Reference<'c> {
    /// Judges by `cloud` as it is at `now`. `rows` must know everything in the cloud.
    pub const fn new(cloud: &'c Cloud, rows: &'c Rows, now: Instant) -> Reference<'c> {
        Reference { cloud, rows, now }
    }

    /// The whole walk of a packet that leaves `from`, as if it took no time.
    pub fn walk(&self, from: InterfaceIdx, packet: &Packet) -> Walk {
        let mut steps = Vec::new();
        let verdict = self
            .leave_recorded(from, packet, &mut steps)
            .and_then(|crossing| self.enter_recorded(crossing, packet, &mut steps));
        Walk::ended(steps, verdict, self.rows)
    }

    /// `leave`, the half of the pipeline that belongs to the sender's VPC.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn leave_recorded(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        steps: &mut impl Recorder,
    ) -> Result<Crossing, Drop> {
        use DropReason::{Blackhole, InterfaceDown, NoRoute, SourceCheck, Transit};
        let (source, destination) = (packet.source(), packet.destination());
        let id = self.rows.interface_id(from);
        let here = Place::Interface(from);

        // The sender exists and runs.
        let Some(sender) = self.cloud.interface(id).filter(|_| self.arrivals().runs(id)) else {
            steps.record(|| Step::Down { interface: id });
            return Err(Drop::new(InterfaceDown, here));
        };

        // 3.1 row 1: an own source address, unless the check is off.
        if !sender.owns(source) {
            let check = sender.source_dest_check;
            steps.record(|| Step::ForeignSource { interface: id, source, check });
            if check == SourceDestCheck::On {
                return Err(Drop::new(SourceCheck, here));
            }
        }

        // 3.1 row 3, security groups out: not modelled yet, everything passes.

        // 3.1 row 4: inside one subnet neither table nor network ACL is asked.
        let vpc = self.known_vpc(sender.vpc).ok_or(Drop::new(InterfaceDown, here))?;
        let subnet = self.cloud.subnet(sender.subnet);
        if subnet.is_some_and(|s| s.blocks().any(|block| block.contains(&destination))) {
            steps.record(|| Step::SameSubnet { subnet: sender.subnet });
            return Ok(Crossing::local(vpc));
        }

        // 3.1 row 5, network ACL out: not modelled yet, everything passes.

        // 3.1 row 6: longest prefix match in the table of the subnet.
        let table = self.cloud.table_of(sender.subnet).ok_or(Drop::new(InterfaceDown, here))?;
        let in_table = Place::Table(self.rows.table(table).ok_or(Drop::new(InterfaceDown, here))?);
        let matches = self.matches(table, destination);
        let longest = matches.first().copied();
        steps.record(|| Step::Table { table, vpc: sender.vpc, matches });
        let route = longest.ok_or(Drop::new(NoRoute, in_table))?;
        let blackhole = Drop::new(Blackhole, in_table);

        // 3.1 rows 7 and 8: the gate.
        match route.hop {
            Hop::Local => Ok(Crossing::local(vpc)),
            Hop::To(RouteTarget::Interface(target)) => {
                match (route.state, self.rows.interface(target)) {
                    (RouteState::Active, Some(row)) => Ok(Crossing::to_interface(vpc, row)),
                    _ => Err(blackhole),
                }
            }
            Hop::To(RouteTarget::Gateway(_) | RouteTarget::Nat(_)) => Err(blackhole),
            Hop::To(RouteTarget::Peering(target)) => {
                let peering = self.cloud.peering(target);
                let status = peering.map(|p| p.status(self.now));
                steps.record(|| Step::Peering { peering: target, status });
                let active = peering.and_then(|p| p.active(self.now)).ok_or(blackhole)?;
                let end = OpenEnd::of(active, sender.vpc, self.rows).ok_or(blackhole)?;
                let into = self.rows.vpc_id(end.into_vpc());
                let blocks = self.cloud.vpc(into).map_or(&[][..], |vpc| vpc.blocks());
                let holds = blocks.iter().any(|block| block.contains(&destination));
                steps.record(|| Step::Gate {
                    peering: target,
                    into,
                    blocks: blocks.to_vec(),
                    holds: if holds { Holds::Yes } else { Holds::No },
                });
                if !holds {
                    steps.record(|| Step::Beyond { found: self.beyond(into, target, destination) });
                    return Err(Drop::new(Transit, Place::Peering(end.peering())));
                }
                Ok(Crossing::over(end))
            }
        }
    }

    /// `enter`, the half that belongs to the VPC being entered.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn enter_recorded(
        &self,
        crossing: Crossing,
        packet: &Packet,
        steps: &mut impl Recorder,
    ) -> Result<InterfaceIdx, Drop> {
        enter(self.arrivals(), self.rows, crossing, packet, steps)
    }

    /// Every route of the table that covers the address, the longest first. A list, searched in
    /// full.
    fn matches(&self, table: RouteTableId, address: IpAddr) -> Vec<Match> {
        let covering = self.cloud.routes(table).filter(|r| r.destination.contains(&address));
        let mut matches: Vec<Match> = covering
            .map(|route| Match {
                destination: route.destination,
                hop: route.hop,
                state: self.cloud.route_state(route.hop, self.now),
            })
            .collect();
        matches.sort_by_key(|m| std::cmp::Reverse(m.destination.prefix_len()));
        matches
    }

    /// The VPCs one live peering beyond `peer` in whose blocks the address lies, not counting the
    /// peering the packet wanted to come by. For the explanation only; no packet goes there.
    fn beyond(&self, peer: VpcId, by: PeeringId, address: IpAddr) -> Vec<Beyond> {
        let peerings = self.cloud.vpc(peer).into_iter().flat_map(|vpc| vpc.peerings());
        let mut found: Vec<Beyond> = peerings
            .filter(|id| *id != by)
            .filter_map(|id| self.cloud.peering(id))
            .filter(|p| p.is_live(self.now))
            .filter_map(|p| {
                let (peering, status) = (p.id(), p.status(self.now));
                Some(Beyond { vpc: p.other_end(peer)?, peering, status })
            })
            .filter(|b| self.cloud.vpc(b.vpc).is_some_and(|vpc| vpc.contains(address)))
            .collect();
        found.sort_unstable();
        found
    }

    fn known_vpc(&self, id: VpcId) -> Option<VpcIdx> {
        self.rows.vpc(id)
    }

    fn arrivals(&self) -> Arrivals<'c> {
        Arrivals::new(self.cloud, self.now)
    }
}

/// `enter`. A function of [`Arrivals`], not of the cloud: no route table is in reach here, and
/// nothing that could make another crossing.
fn enter(
    here: Arrivals<'_>,
    rows: &Rows,
    crossing: Crossing,
    packet: &Packet,
    steps: &mut impl Recorder,
) -> Result<InterfaceIdx, Drop> {
    use DropReason::{DestCheck, InterfaceDown, NoSuchHost, PeeringGone};
    let destination = packet.destination();
    let vpc = rows.vpc_id(crossing.into_vpc());
    let nobody = Drop::new(NoSuchHost, Place::Vpc(crossing.into_vpc()));

    // The peering must still be active: a packet may have been on its way when it ended.
    if let Via::Peering(row) = crossing.via() {
        let id = rows.peering_id(row);
        let status = here.status(id);
        if status != Some(Status::Active) {
            steps.record(|| Step::PeeringGone { peering: id, status });
            return Err(Drop::new(PeeringGone, Place::Peering(row)));
        }
    }

    // 3.1 row 9: who has the address here, or the interface that the route named.
    let owner = match crossing.via() {
        Via::Interface(named) => {
            let id = rows.interface_id(named);
            here.interface(id).map(|_| id)
        }
        Via::Local | Via::Peering(_) => {
            let owner = here.owner(vpc, destination);
            steps.record(|| Step::Owner { vpc, address: destination, owner });
            owner
        }
    };
    let owner = owner.ok_or(nobody)?;
    let row = rows.interface(owner).ok_or(nobody)?;
    let receiver = here.interface(owner).ok_or(nobody)?;
    if !here.runs(owner) {
        steps.record(|| Step::Down { interface: owner });
        return Err(Drop::new(InterfaceDown, Place::Interface(row)));
    }

    // 3.1 rows 11 and 12, network ACL in and security groups in: not modelled yet.

    // 3.1 row 13: an own destination address, unless the check is off.
    if !receiver.owns(destination) {
        let check = receiver.source_dest_check;
        steps.record(|| Step::ForeignDestination { interface: owner, address: destination, check });
        if check == SourceDestCheck::On {
            return Err(Drop::new(DestCheck, Place::Interface(row)));
        }
    }
    steps.record(|| Step::Delivered { interface: owner });
    Ok(row)
}
