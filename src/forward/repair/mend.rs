//! What would bring a packet past the check that stopped it.
//!
//! Holds the choice of one change for each reason, and the ways that a route can lead: over a
//! peering, over an edge of the own VPC, or not at all. Refuses to try whether it helps.

use ipnet::IpNet;

use super::bench::{Bench, Blocked};
use super::{Fault, Fix, NoOffer, Towards, Way};
use crate::base::id::*;
use crate::cloud::cidr::any_overlap;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::{GatewayId, Site};
use crate::cloud::instance::Interface;
use crate::cloud::peering::{Peering, Status};
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::forward::walk::{Match, Step};
use crate::forward::{DropReason, Location};

/// Where a packet should go from the hop at which it was blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// To a host in this VPC; the block of it that holds the destination.
    Vpc(VpcId, IpNet),
    /// To the internet, where a host or a public address has the destination.
    Internet,
    /// To a host beyond this gateway.
    Beyond(GatewayId),
}

/// What is missing on the way to a goal.
pub(super) enum Missing {
    /// A change without which no route can lead there.
    First(Fix),
    /// A route that leads there, for this much.
    Route(IpNet, Towards),
    /// Nothing: the local route leads there, if no other one is longer.
    Local,
}

impl Bench<'_> {
    /// What would mend the deciding check of this walk.
    ///
    /// # Errors
    /// Why nothing would.
    pub(super) fn mend(&self, blocked: &Blocked) -> Result<Fix, NoOffer> {
        let (reason, at) = match blocked.fault {
            // Only a more specific route can tell the two hosts apart, or lead past who changes it.
            Fault::OtherHost(_) | Fault::OtherSource(_) => return self.reroute(blocked),
            Fault::Dropped(reason, at) => (reason, at),
        };
        match reason {
            DropReason::InterfaceDown => match at {
                Location::Interface(id) if self.instance_of(id).is_some() => Ok(Fix::Start(id)),
                _ => Err(NoOffer::Gone),
            },
            DropReason::SourceCheck | DropReason::DestCheck => match at {
                Location::Interface(id) if self.cloud.interface(id).is_some() => {
                    Ok(Fix::CheckOff(id))
                }
                _ => Err(NoOffer::ForeignSource),
            },
            DropReason::GroupEgress => self.allow_in_group(blocked, at, Direction::Egress),
            DropReason::GroupIngress => self.allow_in_group(blocked, at, Direction::Ingress),
            DropReason::AclEgress | DropReason::AclIngress => self.allow_in_acl(blocked, at),
            DropReason::NoRoute if is_never_forwarded(blocked) => {
                Err(NoOffer::NeverForwarded(blocked.walk.packet.destination()))
            }
            DropReason::NoRoute | DropReason::Blackhole | DropReason::Transit => {
                self.reopen(blocked).unwrap_or_else(|| self.route(blocked))
            }
            DropReason::NoSuchHost => self.reroute(blocked),
            DropReason::NoPublicAddress => self.public_address(blocked),
            DropReason::TooBig => Err(NoOffer::TooBig),
            DropReason::ConntrackFull => Err(NoOffer::TrackingFull),
            // Between routers that send it to one another it would go on for ever.
            DropReason::HopLimit => self.reroute(blocked).map_err(|_| NoOffer::HopLimit),
            DropReason::NoTranslation => Err(NoOffer::NoTranslation),
            DropReason::Unsolicited => Err(NoOffer::Unsolicited),
            DropReason::SpoofedSource => Err(NoOffer::ForeignSource),
            DropReason::Malformed
            | DropReason::LinkLoss
            | DropReason::QueueFull
            | DropReason::PeeringGone => Err(NoOffer::NotConfiguration(reason)),
        }
    }

    fn instance_of(&self, interface: InterfaceId) -> Option<InstanceId> {
        self.cloud.interface(interface)?.instance()
    }

    /// A target that is there and only out of use: a stopped instance, a detached gateway.
    fn reopen(&self, blocked: &Blocked) -> Option<Result<Fix, NoOffer>> {
        if let Some(gateway) = self.detached(blocked) {
            return Some(gateway);
        }
        let (_, route) = deciding(blocked)?;
        let Hop::To(RouteTarget::Interface(target)) = route?.hop else { return None };
        self.instance_of(target).map(|_| Ok(Fix::Start(target)))
    }

    /// A route that leads where the packet should go, in place of the one that leads astray or of
    /// none at all.
    fn route(&self, blocked: &Blocked) -> Result<Fix, NoOffer> {
        let destination = blocked.walk.packet.destination();
        let sender = self.sender(blocked)?;
        let (table, route) = deciding(blocked).ok_or(NoOffer::Gone)?;
        let (wanted, towards) = match self.missing(sender, blocked)? {
            Missing::First(fix) => return Ok(fix),
            Missing::Route(wanted, towards) => (wanted, towards),
            Missing::Local => return self.leave_local(blocked),
        };
        // As much of what the route that stands covers as leads there too.
        let replaced = route.map(|route| route.destination).filter(|standing| {
            wanted.contains(standing)
                && standing.contains(&destination)
                && self.is_set(table, *standing)
        });
        Ok(match replaced {
            Some(destination) => Fix::ReplaceRoute { table, destination, towards },
            None => Fix::AddRoute { table, destination: wanted, towards },
        })
    }

    /// A route for just this address, for packets that a wider route leads to the wrong place.
    fn reroute(&self, blocked: &Blocked) -> Result<Fix, NoOffer> {
        let sender = self.sender(blocked)?;
        let towards = match self.missing(sender, blocked)? {
            Missing::First(fix) => return Ok(fix),
            Missing::Route(_, towards) => towards,
            Missing::Local => return self.leave_local(blocked),
        };
        let table = self.cloud.table_of(sender.subnet).ok_or(NoOffer::Gone)?;
        let destination = IpNet::from(blocked.walk.packet.destination());
        Ok(if self.is_set(table, destination) {
            Fix::ReplaceRoute { table, destination, towards }
        } else {
            Fix::AddRoute { table, destination, towards }
        })
    }

    /// Did somebody set a route for this?
    fn is_set(&self, table: RouteTableId, destination: IpNet) -> bool {
        let table = self.cloud.table(table);
        table.is_some_and(|table| table.routes().any(|(other, _)| other == destination))
    }

    /// Without the route that is longer than the local one.
    fn leave_local(&self, blocked: &Blocked) -> Result<Fix, NoOffer> {
        match deciding(blocked) {
            Some((table, Some(Match { destination, hop: Hop::To(_), .. }))) => {
                Ok(Fix::RemoveRoute { table, destination })
            }
            _ => Err(NoOffer::NobodyHasIt),
        }
    }

    /// The interface that sent the packet last. A host outside the cloud has no table to mend.
    pub(super) fn sender(&self, blocked: &Blocked) -> Result<&Interface, NoOffer> {
        let id = blocked.walk.sender;
        match (self.cloud.interface(id), self.cloud.outside_host(id)) {
            (Some(interface), _) => Ok(interface),
            (None, Some(host)) => Err(self.cannot_from_outside(host, blocked)),
            (None, None) => Err(NoOffer::Gone),
        }
    }

    /// What is missing before a route of the sender's can lead to where the packet should go.
    fn missing(&self, sender: &Interface, blocked: &Blocked) -> Result<Missing, NoOffer> {
        match self.goal(sender.vpc, blocked)? {
            Goal::Vpc(home, _) if home == sender.vpc => Ok(Missing::Local),
            Goal::Vpc(home, block) => Ok(match self.peering_fix(sender.vpc, home)? {
                Some(fix) => Missing::First(fix),
                None => Missing::Route(block, Towards::Vpc(home)),
            }),
            Goal::Internet => self.missing_to_internet(sender, blocked),
            Goal::Beyond(gateway) => self.missing_to_gateway(sender, gateway, blocked),
        }
    }

    /// Where the packet should go: to whom it is meant for, if that one has the address, else to the
    /// only one who has it.
    pub(super) fn goal(&self, from: VpcId, blocked: &Blocked) -> Result<Goal, NoOffer> {
        let destination = blocked.walk.packet.destination();
        let in_vpc = |vpc: VpcId| {
            let blocks = self.cloud.vpc(vpc).ok_or(NoOffer::Gone)?.blocks();
            let block = blocks.iter().find(|block| block.contains(&destination));
            block.map(|block| Goal::Vpc(vpc, *block)).ok_or(NoOffer::NobodyHasIt)
        };
        if let Some(meant) = blocked.meant {
            if let Some(interface) = self.cloud.interface(meant).filter(|i| i.owns(destination)) {
                return in_vpc(interface.vpc);
            }
            if let Some(host) = self.cloud.outside_host(meant).filter(|h| h.owns(destination)) {
                return Ok(goal_outside(host.beyond));
            }
        }
        if self.cloud.owner(from, destination).is_some() {
            return in_vpc(from);
        }
        if self.has_public(destination) {
            return Ok(Goal::Internet);
        }
        let inside = self.cloud.interfaces().filter(|(_, i)| i.owns(destination));
        let inside = inside.map(|(_, interface)| in_vpc(interface.vpc));
        let outside = self.cloud.outside_hosts().filter(|(_, host)| host.owns(destination));
        let mut all = inside.chain(outside.map(|(_, host)| Ok(goal_outside(host.beyond))));
        match (all.next(), all.next()) {
            (Some(only), None) => only,
            (Some(_), Some(_)) => Err(NoOffer::SeveralHaveIt),
            // An answer goes where the packet says that it came from.
            (None, _) if blocked.way == Way::Back => Err(NoOffer::ForeignSource),
            (None, _) => Err(NoOffer::NobodyHasIt),
        }
    }

    /// What is missing before packets can cross from one VPC to another.
    fn peering_fix(&self, from: VpcId, to: VpcId) -> Result<Option<Fix>, NoOffer> {
        let between = |p: &&Peering| p.other_end(from) == Some(to);
        let statuses: Vec<(PeeringId, Status)> =
            self.cloud.peerings().filter(between).map(|p| (p.id(), p.status(self.now))).collect();
        let having = |wanted: &[Status]| {
            statuses.iter().find(|(_, status)| wanted.contains(status)).map(|(id, _)| *id)
        };
        if having(&[Status::Active]).is_some() {
            return Ok(None);
        }
        let blocks = |vpc: VpcId| self.cloud.vpc(vpc).map_or(&[][..], |vpc| vpc.blocks());
        if any_overlap(blocks(from), blocks(to)) {
            return Err(NoOffer::Overlap(from, to));
        }
        if let Some(id) = having(&[Status::InitiatingRequest, Status::Provisioning]) {
            return Err(NoOffer::Settling(id));
        }
        Ok(Some(match having(&[Status::PendingAcceptance]) {
            Some(pending) => Fix::Accept(pending),
            None => Fix::Peer(from, to),
        }))
    }
}

/// Where a host lives that hands its packets to this gateway.
fn goal_outside(beyond: GatewayId) -> Goal {
    match beyond.site() {
        Site::Internet => Goal::Internet,
        Site::Behind(gateway) => Goal::Beyond(gateway),
    }
}

/// Is the destination one that no table forwards to?
fn is_never_forwarded(blocked: &Blocked) -> bool {
    matches!(blocked.walk.steps.last(), Some(Step::NeverForwarded { .. }))
}

/// The table that was asked last, and its longest match.
pub(super) fn deciding(blocked: &Blocked) -> Option<(RouteTableId, Option<Match>)> {
    blocked.walk.steps.iter().rev().find_map(|step| match step {
        Step::Table { table, matches, .. } => Some((*table, matches.first().copied())),
        _ => None,
    })
}
