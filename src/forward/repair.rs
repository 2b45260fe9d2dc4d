//! The smallest change that would let a packet through.
//!
//! Holds the search: mend the first blocker in a copy of the cloud, walk again, until the packet
//! (and its answer, if one is wanted) arrives where it was meant to; then leave out again every
//! change that turns out not to be needed. A repair that is offered was therefore carried out and
//! seen to work, and does not work without any one of its parts (invariant S20). Refuses to offer
//! what no configuration can mend: lost bytes, full queues, overlapping blocks, addresses that
//! nobody has.

use ipnet::IpNet;

use super::walk::{End, Step, Walk};
use super::{DropReason, Memory, Reference, Rows};
use crate::base::id::*;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::peering::Status;
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::wire::{Packet, build};

/// One change to the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fix {
    /// Start the instance behind this interface.
    Start(InterfaceId),
    /// Switch off this interface's source/destination check.
    CheckOff(InterfaceId),
    /// Accept this pending peering.
    Accept(PeeringId),
    /// Peer these two VPCs: request and accept.
    Peer(VpcId, VpcId),
    /// Add a route over the peering of the table's VPC with this one.
    AddRoute {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
        /// The VPC at the other end of the peering.
        towards: VpcId,
    },
    /// Give an existing route another target: the peering of the table's VPC with this one.
    ReplaceRoute {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
        /// The VPC at the other end of the peering.
        towards: VpcId,
    },
}

/// Whether an answer must come back as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ways {
    /// The packet must arrive.
    There,
    /// And its answer too.
    ThereAndBack,
}

/// Mends tried before the search gives up (ours): a round trip over a new peering takes three.
const FIXES_MAX: usize = 8;

/// A packet and where it should end.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// Who sends it.
    pub from: InterfaceId,
    /// The packet.
    pub packet: &'a Packet,
    /// The interface it is meant for, where that is known: with equal addresses in two VPCs the
    /// address alone does not say it.
    pub meant: Option<InterfaceId>,
    /// One way or both.
    pub ways: Ways,
}

/// The changes that let the packet through, in order; `None` if no change of these kinds does, and
/// empty if it passes as things are. None of them can be left out. Costs a copy of the cloud and a
/// few walks for each change, and as much again for each try to do without one.
pub fn repair(
    cloud: &Cloud,
    memory: &Memory,
    now: Instant,
    intent: Intent<'_>,
) -> Option<Vec<Fix>> {
    let mut bench = Bench { cloud: cloud.clone(), memory, now };
    let mut fixes = Vec::new();
    while let Some(blocked) = bench.blocked(intent)? {
        let fix = bench.mend(&blocked)?;
        if fixes.len() == FIXES_MAX || fixes.contains(&fix) {
            return None;
        }
        bench.carry_out(fix)?;
        fixes.push(fix);
    }
    // A later change may have made an earlier one idle: a route that leads past a dead middlebox
    // makes it unnecessary to start it.
    let mut at = 0;
    while at < fixes.len() {
        let mut fewer = fixes.clone();
        fewer.remove(at);
        if suffices(cloud, memory, now, intent, &fewer) {
            fixes = fewer;
        } else {
            at += 1;
        }
    }
    Some(fixes)
}

/// Do these changes, made in this order, let the packet through?
fn suffices(
    cloud: &Cloud,
    memory: &Memory,
    now: Instant,
    intent: Intent<'_>,
    fixes: &[Fix],
) -> bool {
    let mut bench = Bench { cloud: cloud.clone(), memory, now };
    fixes.iter().all(|fix| bench.carry_out(*fix).is_some())
        && matches!(bench.blocked(intent), Some(None))
}

/// A copy of the cloud to try repairs on.
struct Bench<'m> {
    cloud: Cloud,
    memory: &'m Memory,
    now: Instant,
}

/// A walk that did not end where it should.
struct Blocked {
    walk: Walk,
    from: InterfaceId,
    packet: Packet,
    meant: Option<InterfaceId>,
}

impl Bench<'_> {
    /// The first walk of the intent that goes wrong; `Some(None)` if all is well, `None` if the
    /// question makes no sense any more (the sender is gone).
    #[allow(clippy::option_option, reason = "outer: can it be asked; inner: is something wrong")]
    fn blocked(&self, intent: Intent<'_>) -> Option<Option<Blocked>> {
        let mut memory = self.memory.clone();
        let there = self.walk(intent.from, intent.packet, &mut memory)?;
        let arrived = match there.end {
            End::Delivered(at) if intent.meant.is_none_or(|meant| meant == at) => at,
            _ => {
                return Some(Some(Blocked {
                    walk: there,
                    from: intent.from,
                    packet: intent.packet.clone(),
                    meant: intent.meant,
                }));
            }
        };
        if intent.ways == Ways::There {
            return Some(None);
        }
        let answer = build::answer(&there.packet);
        // What gets no answer is through when it has arrived.
        let Some(answer) = answer else { return Some(None) };
        let back = self.walk(arrived, &answer, &mut memory)?;
        if back.end == End::Delivered(intent.from) {
            return Some(None);
        }
        let meant = Some(intent.from);
        Some(Some(Blocked { walk: back, from: arrived, packet: answer, meant }))
    }

    fn walk(&self, from: InterfaceId, packet: &Packet, memory: &mut Memory) -> Option<Walk> {
        let rows = Rows::of(&self.cloud);
        let from = rows.interface(from)?;
        Some(Reference::new(&self.cloud, &rows, self.now).walk(from, packet, memory))
    }

    /// What would mend the deciding step of this walk.
    fn mend(&self, blocked: &Blocked) -> Option<Fix> {
        let sender = self.cloud.interface(blocked.from)?;
        let destination = blocked.packet.destination();
        let (reason, at) = match blocked.walk.end {
            // It reached another host: only a more specific route can tell the two apart.
            End::Delivered(_) => return self.pull_out(blocked),
            End::Dropped(reason, at) => (reason, at),
        };
        let table = blocked.walk.steps.iter().find_map(|step| match step {
            Step::Table { table, matches, .. } => Some((*table, matches.first().copied())),
            _ => None,
        });
        match reason {
            DropReason::InterfaceDown | DropReason::SourceCheck | DropReason::DestCheck => {
                let super::Location::Interface(interface) = at else { return None };
                Some(match reason {
                    DropReason::InterfaceDown => Fix::Start(interface),
                    _ => Fix::CheckOff(interface),
                })
            }
            DropReason::NoRoute => {
                let (home, block) = self.home(blocked)?;
                let reachable = self.reach(sender.vpc, home)?;
                let (table, _) = table?;
                Some(reachable.unwrap_or(Fix::AddRoute {
                    table,
                    destination: block,
                    towards: home,
                }))
            }
            DropReason::Blackhole | DropReason::Transit => {
                let (table, route) = table?;
                let route = route?;
                if let Hop::To(RouteTarget::Interface(target)) = route.hop
                    && self.cloud.interface(target).is_some()
                {
                    return Some(Fix::Start(target));
                }
                let (home, block) = self.home(blocked)?;
                if let Some(first) = self.reach(sender.vpc, home)? {
                    return Some(first);
                }
                let whole =
                    block.contains(&route.destination) && route.destination.contains(&destination);
                Some(if whole {
                    Fix::ReplaceRoute { table, destination: route.destination, towards: home }
                } else {
                    Fix::AddRoute { table, destination: block, towards: home }
                })
            }
            DropReason::NoSuchHost => self.pull_out(blocked),
            DropReason::GroupEgress
            | DropReason::ConntrackFull
            | DropReason::AclEgress
            | DropReason::TooBig
            | DropReason::AclIngress
            | DropReason::GroupIngress
            | DropReason::NoPublicAddress
            | DropReason::HopLimit
            | DropReason::NoTranslation
            | DropReason::Malformed
            | DropReason::LinkLoss
            | DropReason::QueueFull
            | DropReason::PeeringGone
            | DropReason::SpoofedSource => None,
        }
    }

    /// The interface at which the packet should end: the one it is meant for, else the only one that
    /// has the address.
    fn goal(&self, blocked: &Blocked) -> Option<InterfaceId> {
        let destination = blocked.packet.destination();
        blocked.meant.or_else(|| {
            let mut owners = self.cloud.interfaces().filter(|(_, i)| i.owns(destination));
            let only = owners.next()?.0;
            owners.next().is_none().then_some(only)
        })
    }

    /// The VPC in which the packet should end, and the block of it that holds the destination.
    fn home(&self, blocked: &Blocked) -> Option<(VpcId, IpNet)> {
        let destination = blocked.packet.destination();
        let vpc = self.cloud.interface(self.goal(blocked)?)?.vpc;
        let blocks = self.cloud.vpc(vpc)?.blocks();
        let block = blocks.iter().find(|block| block.contains(&destination))?;
        Some((vpc, *block))
    }

    /// What is missing before packets can cross from one VPC to the other: `Some(None)` is nothing,
    /// `None` is that nothing helps.
    #[allow(clippy::option_option, reason = "outer: can it be had; inner: is a change needed")]
    fn reach(&self, from: VpcId, to: VpcId) -> Option<Option<Fix>> {
        if from == to {
            return None;
        }
        let between = |p: &&crate::cloud::peering::Peering| p.other_end(from) == Some(to);
        let statuses: Vec<(PeeringId, Status)> =
            self.cloud.peerings().filter(between).map(|p| (p.id(), p.status(self.now))).collect();
        let having = |wanted| statuses.iter().find(|(_, status)| *status == wanted);
        if having(Status::Active).is_some() {
            return Some(None);
        }
        Some(Some(match having(Status::PendingAcceptance) {
            Some((pending, _)) => Fix::Accept(*pending),
            None => Fix::Peer(from, to),
        }))
    }

    /// A route for just this address, for packets that a wider route leads to the wrong VPC.
    fn pull_out(&self, blocked: &Blocked) -> Option<Fix> {
        let sender = self.cloud.interface(blocked.from)?;
        let meant = self.cloud.interface(self.goal(blocked)?)?;
        let destination = blocked.packet.destination();
        if meant.vpc == sender.vpc || !meant.owns(destination) {
            return None;
        }
        if let Some(first) = self.reach(sender.vpc, meant.vpc)? {
            return Some(first);
        }
        let table = self.cloud.table_of(sender.subnet)?;
        let host = IpNet::from(destination);
        let taken = self.cloud.routes(table).any(|route| route.destination == host);
        let towards = meant.vpc;
        Some(if taken {
            Fix::ReplaceRoute { table, destination: host, towards }
        } else {
            Fix::AddRoute { table, destination: host, towards }
        })
    }

    fn owner_of(&self, vpc: VpcId) -> Option<Caller> {
        let vpc = self.cloud.vpc(vpc)?;
        Some(Caller { account: vpc.owner, region: vpc.region.clone() })
    }

    /// Asks for the command and lets transient states settle. `None` if it is refused.
    fn ask(&mut self, vpc: VpcId, command: &Command) -> Option<Vec<Change>> {
        let caller = self.owner_of(vpc)?;
        let events = self.cloud.apply(&caller, command, self.now).ok()?;
        self.now = self.now + self.cloud.settle() + Span::TICK;
        Some(events.into_iter().map(|event| event.change).collect())
    }

    fn peering_between(&self, from: VpcId, to: VpcId) -> Option<PeeringId> {
        let mut active = self.cloud.peerings().filter(|p| p.active(self.now).is_some());
        active.find(|p| p.other_end(from) == Some(to)).map(|p| p.id())
    }

    fn carry_out(&mut self, fix: Fix) -> Option<()> {
        match fix {
            Fix::Start(interface) => {
                let interface = self.cloud.interface(interface)?;
                let (vpc, instance) = (interface.vpc, interface.instance()?);
                self.ask(vpc, &Command::StartInstances { instance })?;
            }
            Fix::CheckOff(interface) => {
                let vpc = self.cloud.interface(interface)?.vpc;
                let source_dest_check = SourceDestCheck::Off;
                self.ask(
                    vpc,
                    &Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check },
                )?;
            }
            Fix::Accept(peering) => {
                let accepter = self.cloud.peering(peering)?.accepter().vpc;
                self.ask(accepter, &Command::AcceptVpcPeeringConnection { peering })?;
            }
            Fix::Peer(requester, accepter) => {
                let peer = self.owner_of(accepter)?;
                let changes = self.ask(
                    requester,
                    &Command::CreateVpcPeeringConnection {
                        requester,
                        accepter,
                        peer_owner: Some(peer.account),
                        peer_region: Some(peer.region),
                    },
                )?;
                let peering = changes.into_iter().find_map(|change| match change {
                    Change::PeeringRequested { peering, .. } => Some(peering),
                    _ => None,
                })?;
                self.ask(accepter, &Command::AcceptVpcPeeringConnection { peering })?;
            }
            Fix::AddRoute { table, destination, towards } => {
                let vpc = self.cloud.table(table)?.vpc;
                let target = RouteTarget::Peering(self.peering_between(vpc, towards)?);
                self.ask(vpc, &Command::CreateRoute { table, destination, target })?;
            }
            Fix::ReplaceRoute { table, destination, towards } => {
                let vpc = self.cloud.table(table)?.vpc;
                let target = RouteTarget::Peering(self.peering_between(vpc, towards)?);
                self.ask(vpc, &Command::ReplaceRoute { table, destination, target })?;
            }
        }
        Some(())
    }
}
