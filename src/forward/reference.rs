//! The reference twin: the obvious forwarder, straight over the cloud.
//!
//! Holds `leave` and `enter` as a reader would write them down from vpc-semantics 3.1, one check
//! after another. Slow on purpose: it is what the compiled fabric is checked against and what
//! every explanation is made of, so it must be believed by reading it. Shares no prefix match, no
//! filter and no address table with the fabric; what interfaces remember is the caller's.

mod beyond;
mod edges;
pub(super) mod filters;

use std::net::IpAddr;

use super::arrivals::Arrivals;
use super::connections::{Judgement, Tracking, Word};
use super::gate::{Crossing, Edge, OpenEnd, Origin, Realm, Via};
use super::memory::Memory;
use super::middlebox::Next;
use super::walk::{Cut, End, Holds, Match, Recorder, Step, Walk};
use super::{Drop, DropReason, Forwarder, Place, Rows};
use crate::base::id::*;
use crate::base::limit::WALK_RELAYS_MAX;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::cidr;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::Site;
use crate::cloud::instance::{Host, Interface, SourceDestCheck};
use crate::cloud::network_acl::AclAction;
use crate::cloud::peering::Status;
use crate::cloud::route_table::{Blackhole, Hop, RouteState, RouteTarget};
use crate::wire::Packet;
use filters::Filters;

/// The cloud as it is at one moment, ready to judge packets.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'c> {
    cloud: &'c Cloud,
    rows: &'c Rows,
    now: Instant,
}

impl Forwarder for Reference<'_> {
    fn leave(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<Crossing, Drop> {
        self.leave_recorded(from, packet, memory, &mut ())
    }

    fn enter(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
    ) -> Result<InterfaceIdx, Drop> {
        self.enter_recorded(crossing, packet, memory, &mut ())
    }
}

impl<'c> Reference<'c> {
    /// Judges by `cloud` as it is at `now`. `rows` must know everything in the cloud.
    pub const fn new(cloud: &'c Cloud, rows: &'c Rows, now: Instant) -> Reference<'c> {
        Reference { cloud, rows, now }
    }

    /// The whole walk of a packet that leaves `from`, as if it took no time, also through
    /// middleboxes. `memory` is what interfaces and middleboxes remember, and learns from the walk.
    pub fn walk(&self, from: InterfaceIdx, packet: &Packet, memory: &mut Memory) -> Walk {
        memory.connections.set_now(self.now);
        let mut steps = Vec::new();
        let mut packet = packet.clone();
        let mut sender = from;
        let mut relays = 0;
        let end = loop {
            let left = self.leave_recorded(sender, &packet, &mut memory.connections, &mut steps);
            let arrived = left.and_then(|crossing| {
                packet = crossing.mapped(&packet)?.into_owned();
                self.enter_recorded(crossing, &packet, &mut memory.connections, &mut steps)
            });
            let at = match arrived {
                Ok(at) => at,
                Err(drop) => break End::Dropped(drop.reason, self.rows.locate(drop.at)),
            };
            let id = self.rows.interface_id(at);
            match memory.middleboxes.next(self.cloud, id, &packet, self.now) {
                Next::Received => break End::Delivered(id),
                Next::SentOn(onward) if relays < WALK_RELAYS_MAX => {
                    let translated = (onward.flow() != packet.flow()).then(|| onward.flow());
                    steps.record(|| Step::Relayed { interface: id, translated });
                    (packet, sender) = (onward, at);
                    relays += 1;
                }
                Next::SentOn(_) => break self.not_relayed(id, DropReason::HopLimit, &mut steps),
                Next::Dropped(why) => break self.not_relayed(id, why, &mut steps),
            }
        };
        Walk { steps, end, packet, sender: self.rows.interface_id(sender) }
    }

    fn not_relayed(&self, at: InterfaceId, why: DropReason, steps: &mut impl Recorder) -> End {
        steps.record(|| Step::NotRelayed { interface: at, why });
        End::Dropped(why, super::Location::Interface(at))
    }

    /// `leave`, the half of the pipeline that belongs to the sender's VPC.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn leave_recorded(
        &self,
        from: InterfaceIdx,
        packet: &Packet,
        memory: &mut impl Tracking,
        steps: &mut impl Recorder,
    ) -> Result<Crossing, Drop> {
        use DropReason::{AclEgress, GroupEgress, InterfaceDown, SourceCheck};
        let (source, destination) = (packet.source(), packet.destination());
        let id = self.rows.interface_id(from);
        let here = Place::Interface(from);

        // A host outside the cloud has no VPC whose checks it could meet.
        if let Some(host) = self.cloud.outside_host(id) {
            let crossing = self.leave_from_outside(from, host, packet, steps)?;
            return fits(crossing, packet, steps);
        }

        // The sender exists and runs.
        let Some(sender) = self.cloud.interface(id).filter(|_| self.cloud.runs(id)) else {
            steps.record(|| Step::Down { interface: id });
            return Err(Drop::new(InterfaceDown, here));
        };

        // 3.1 row 1: an own source address, unless the check is off.
        let origin = if sender.owns(source) { Origin::Own } else { Origin::Relayed };
        if origin == Origin::Relayed {
            let check = sender.source_dest_check;
            steps.record(|| Step::ForeignSource { interface: id, source, check });
            if check == SourceDestCheck::On {
                return Err(Drop::new(SourceCheck, here));
            }
        }

        // 3.1 row 3: security groups out.
        let filters = self.arrivals().filters();
        let checked =
            Checked { interface: sender, row: from, id, direction: Direction::Egress, packet };
        checked.groups(filters, Origin::Own, memory, steps, GroupEgress)?;

        // 3.1 row 4: inside one subnet neither table nor network ACL is asked.
        let vpc = self.rows.vpc(sender.vpc).ok_or(Drop::new(InterfaceDown, here))?;
        let subnet = self.cloud.subnet(sender.subnet);
        if subnet.is_some_and(|s| s.blocks().any(|block| block.contains(&destination))) {
            steps.record(|| Step::SameSubnet { subnet: sender.subnet });
            return fits(Crossing::in_subnet(vpc, origin), packet, steps);
        }

        // 3.1 row 5: network ACL out.
        checked.acl(filters, self.arrivals(), self.rows, steps, AclEgress)?;

        // 3.1 row 6: longest prefix match in the table of the subnet.
        let route = self.route(sender, here, destination, steps)?;

        // 3.1 rows 7 and 8: the gate.
        let crossing = self.gate(sender, vpc, origin, route, packet, steps)?;

        // 3.1 row 10: what is too long and may not be cut ends here.
        let crossing = fits(crossing, packet, steps)?;

        // What an egress-only internet gateway lets out, it remembers.
        if let [Some(out), _] = crossing.edges() {
            let (row, direction) = (out.gateway, Direction::Egress);
            egress_only(self.rows, row, direction, packet, Word::Tracked, memory, steps)?;
        }
        Ok(crossing)
    }

    /// The longest match in the table in force, and the table.
    fn route(
        &self,
        sender: &Interface,
        here: Place,
        destination: IpAddr,
        steps: &mut impl Recorder,
    ) -> Result<(Match, Place), Drop> {
        let unknown = Drop::new(DropReason::InterfaceDown, here);
        let table = self.cloud.table_of(sender.subnet).ok_or(unknown)?;
        let in_table = Place::Table(self.rows.table(table).ok_or(unknown)?);
        let matches = self.matches(table, destination);
        let longest = self.longest(&matches);
        steps.record(|| match cidr::is_never_forwarded(destination) {
            true => Step::NeverForwarded { destination },
            false => Step::Table { table, matches },
        });
        let route = longest.ok_or(Drop::new(DropReason::NoRoute, in_table))?;
        Ok((route, in_table))
    }

    /// The gate: from a route's target to a crossing.
    fn gate(
        &self,
        sender: &Interface,
        vpc: VpcIdx,
        origin: Origin,
        (route, in_table): (Match, Place),
        packet: &Packet,
        steps: &mut impl Recorder,
    ) -> Result<Crossing, Drop> {
        use DropReason::{Blackhole, Transit};
        let destination = packet.destination();
        let blackhole = Drop::new(Blackhole, in_table);
        let to_interface = |target| match (route.state, self.rows.interface(target)) {
            (RouteState::Active, Some(row)) => Ok(Crossing::to_interface(vpc, row, origin)),
            _ => Err(blackhole),
        };
        match route.hop {
            Hop::Local => Ok(Crossing::local(vpc, origin)),
            Hop::To(RouteTarget::Interface(target)) => to_interface(target),
            Hop::To(RouteTarget::Nat(target)) => {
                let nat = self.cloud.nat_gateway(target).ok_or(blackhole)?;
                to_interface(nat.interface)
            }
            Hop::To(RouteTarget::Gateway(target)) => {
                let attached = self.cloud.gateway(target).and_then(|gateway| gateway.vpc);
                steps.record(|| Step::Gateway { gateway: target, attached });
                if attached != Some(sender.vpc) {
                    return Err(blackhole);
                }
                let gateway = self.rows.gateway(target).ok_or(blackhole)?;
                self.over_edge(Edge { gateway, vpc }, origin, packet, steps)
            }
            Hop::To(RouteTarget::Peering(target)) => {
                let peering = self.cloud.peering(target);
                let status = peering.map(|p| p.status(self.now));
                steps.record(|| Step::Peering { peering: target, status });
                let active = peering.and_then(|p| p.active(self.now)).ok_or(blackhole)?;
                let mtu = self.cloud.mtu_of_peering(target);
                let end = OpenEnd::of(active, sender.vpc, self.rows, mtu).ok_or(blackhole)?;
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
                    steps.record(|| Step::Beyond {
                        found: self.beyond(into, Some(target), destination),
                    });
                    return Err(Drop::new(Transit, Place::Peering(end.peering())));
                }
                Ok(Crossing::over(end, origin))
            }
        }
    }

    /// `enter`, the half that belongs to the network being entered.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn enter_recorded(
        &self,
        crossing: Crossing,
        packet: &Packet,
        memory: &mut impl Tracking,
        steps: &mut impl Recorder,
    ) -> Result<InterfaceIdx, Drop> {
        enter(self.arrivals(), self.rows, crossing, packet, memory, steps)
    }

    /// Every route of the table that covers the address, the longest first. A list, searched in
    /// full. The ranges of the cloud's own services are covered by none (1.3).
    fn matches(&self, table: RouteTableId, address: IpAddr) -> Vec<Match> {
        if cidr::is_never_forwarded(address) {
            return Vec::new();
        }
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

    /// Which of the routes that cover an address is taken.
    fn longest(&self, matches: &[Match]) -> Option<Match> {
        let usable = matches.iter().find(|route| route.state == RouteState::Active);
        let longest = match self.cloud.blackhole() {
            Blackhole::Drops => matches.first(),
            Blackhole::FallsThrough => usable.or(matches.first()),
        };
        longest.copied()
    }

    fn arrivals(&self) -> Arrivals<'c> {
        Arrivals::new(self.cloud, self.now)
    }
}

/// 3.1 row 10: a packet that is too long for its way and may not be cut up is dropped.
fn fits(crossing: Crossing, packet: &Packet, steps: &mut impl Recorder) -> Result<Crossing, Drop> {
    let (mtu, length) = (crossing.mtu(), packet.longest());
    if mtu.holds(length) {
        return Ok(crossing);
    }
    let cut = if packet.may_be_fragmented() { Cut::Fragments } else { Cut::Forbidden };
    steps.record(|| Step::TooLong { mtu, length, cut });
    match cut {
        Cut::Fragments => Ok(crossing),
        Cut::Forbidden => Err(Drop::new(DropReason::TooBig, crossing.bottleneck())),
    }
}

/// What an egress-only internet gateway makes of a packet: outwards it remembers it, inwards it lets
/// in what it remembers. Any other gateway makes nothing of it.
fn egress_only(
    rows: &Rows,
    row: GatewayIdx,
    direction: Direction,
    packet: &Packet,
    word: Word,
    memory: &mut impl Tracking,
    steps: &mut impl Recorder,
) -> Result<(), Drop> {
    let Some(at) = rows.memory_of(row) else { return Ok(()) };
    let gateway = rows.gateway_id(row);
    let judgement = memory.judge(at, direction, packet, || word);
    steps.record(|| Step::EgressOnly { gateway, direction, judgement });
    match judgement {
        Judgement::Refused => Err(Drop::new(DropReason::Unsolicited, Place::Gateway(row))),
        Judgement::Full => Err(Drop::new(DropReason::ConntrackFull, Place::Gateway(row))),
        _ => Ok(()),
    }
}

/// A packet before the filters of an interface, in one direction.
#[derive(Clone, Copy)]
struct Checked<'a> {
    interface: &'a Interface,
    row: InterfaceIdx,
    id: InterfaceId,
    direction: Direction,
    packet: &'a Packet,
}

impl Checked<'_> {
    /// Its security groups, with what it remembers.
    fn groups(
        self,
        filters: Filters<'_>,
        origin: Origin,
        memory: &mut impl Tracking,
        steps: &mut impl Recorder,
        refused: DropReason,
    ) -> Result<(), Drop> {
        let Checked { interface, row, id, direction, packet } = self;
        let (word, rule) = filters.groups(interface, direction, packet, origin);
        let judgement = match interface.host {
            // Without groups there is nothing to remember.
            Host::NatGateway(_) => Judgement::ByRule,
            Host::Instance(_) | Host::Nobody => memory.judge(row, direction, packet, || word),
        };
        steps.record(|| Step::Groups { interface: id, direction, judgement, rule });
        match judgement {
            Judgement::Refused => Err(Drop::new(refused, Place::Interface(row))),
            Judgement::Full => Err(Drop::new(DropReason::ConntrackFull, Place::Interface(row))),
            _ => Ok(()),
        }
    }

    /// The network ACL of its subnet.
    fn acl(
        self,
        filters: Filters<'_>,
        here: Arrivals<'_>,
        rows: &Rows,
        steps: &mut impl Recorder,
        refused: DropReason,
    ) -> Result<(), Drop> {
        let Checked { interface, row, direction, packet, .. } = self;
        // Every subnet has an ACL; one without is not there any more.
        let gone = Drop::new(DropReason::InterfaceDown, Place::Interface(row));
        let acl = here.acl_of(interface.subnet).ok_or(gone)?;
        let at = Place::Acl(rows.acl(acl).ok_or(gone)?);
        let entry = filters.acl(acl, direction, packet);
        steps.record(|| Step::Acl { acl, direction, entry });
        match entry {
            Some((_, entry)) if entry.action == AclAction::Allow => Ok(()),
            _ => Err(Drop::new(refused, at)),
        }
    }
}

/// `enter`. A function of [`Arrivals`], not of the cloud: no route table is in reach here, and
/// nothing that could make another crossing.
fn enter(
    here: Arrivals<'_>,
    rows: &Rows,
    crossing: Crossing,
    packet: &Packet,
    memory: &mut impl Tracking,
    steps: &mut impl Recorder,
) -> Result<InterfaceIdx, Drop> {
    use DropReason::{
        AclIngress, Blackhole, DestCheck, GroupIngress, InterfaceDown, NoSuchHost, PeeringGone,
    };
    let destination = packet.destination();

    // The way must still be open: a packet may have been on it when it closed.
    match crossing.via() {
        Via::Peering(row) => {
            let id = rows.peering_id(row);
            let status = here.status(id);
            if status != Some(Status::Active) {
                steps.record(|| Step::PeeringGone { peering: id, status });
                return Err(Drop::new(PeeringGone, Place::Peering(row)));
            }
        }
        Via::Gateway(_) => {
            for edge in crossing.edges().into_iter().flatten() {
                let gateway = rows.gateway_id(edge.gateway);
                let attached = here.attached(gateway);
                if attached != Some(rows.vpc_id(edge.vpc)) {
                    steps.record(|| match attached {
                        None => Step::Gateway { gateway, attached },
                        Some(now_of) => Step::GatewayMoved { gateway, now_of },
                    });
                    return Err(Drop::new(Blackhole, Place::Gateway(edge.gateway)));
                }
            }
        }
        Via::Subnet | Via::Local | Via::Interface(_) | Via::Outside(_) => {}
    }

    // An egress-only internet gateway lets answers in, and nothing else.
    if let [_, Some(inwards)] = crossing.edges() {
        let direction = Direction::Ingress;
        egress_only(rows, inwards.gateway, direction, packet, Word::Refused, memory, steps)?;
    }

    let vpc_row = match crossing.into_realm() {
        Realm::Vpc(vpc) => vpc,
        Realm::Internet | Realm::Behind(_) => {
            return enter_outside(here, rows, crossing, destination, steps);
        }
    };
    let vpc = rows.vpc_id(vpc_row);
    let nobody = Drop::new(NoSuchHost, Place::Vpc(vpc_row));

    // 3.1 row 9: who has the address here, or the interface that the route named.
    let owner = match crossing.via() {
        Via::Interface(named) => {
            let id = rows.interface_id(named);
            here.interface(id).map(|_| id)
        }
        _ => {
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

    // 3.1 row 11: network ACL in, unless the packet never left its subnet.
    let direction = Direction::Ingress;
    let checked = Checked { interface: receiver, row, id: owner, direction, packet };
    if crossing.via() != Via::Subnet {
        checked.acl(here.filters(), here, rows, steps, AclIngress)?;
    }

    // 3.1 row 12: security groups in.
    checked.groups(here.filters(), crossing.origin(), memory, steps, GroupIngress)?;

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

/// `enter` for a network outside the cloud: who has the address there.
fn enter_outside(
    here: Arrivals<'_>,
    rows: &Rows,
    crossing: Crossing,
    destination: IpAddr,
    steps: &mut impl Recorder,
) -> Result<InterfaceIdx, Drop> {
    let site = match crossing.into_realm() {
        Realm::Behind(gateway) => Site::Behind(rows.gateway_id(gateway)),
        Realm::Internet | Realm::Vpc(_) => Site::Internet,
    };
    let nobody = Drop::new(DropReason::NoSuchHost, crossing.bottleneck());
    let owner = here.outside_owner(site, destination);
    steps.record(|| Step::OutsideOwner { site, address: destination, owner });
    let owner = owner.filter(|id| here.outside_host(*id).is_some()).ok_or(nobody)?;
    let row = rows.interface(owner).ok_or(nobody)?;
    steps.record(|| Step::Delivered { interface: owner });
    Ok(row)
}
