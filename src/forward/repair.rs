//! Every blocker of a packet and its answer, and the smallest change that would let both through.
//!
//! Holds the search: mend the first blocker in a copy of the cloud, walk again, until the packet
//! (and its answer, if one is wanted, from the address that was asked) arrives where it was meant to;
//! then leave out again every change that turns out not to be needed. A repair that is offered was therefore carried out and
//! seen to work, and does not work without any one of its parts (invariant S20). Where none can be
//! offered, the cause is a value ([`NoOffer`]). Refuses to offer what no configuration can mend: lost
//! bytes, full queues, overlapping blocks, addresses that nobody has.

mod bench;
mod edges;
mod filters;
mod mend;

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::{DropReason, Location, Memory, Rows};
use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::network_acl::{AclEntry, RuleNumber};
use crate::cloud::refusal::Refusal;
use crate::cloud::security_group::GroupRule;
use crate::wire::Packet;
use bench::Bench;
pub use bench::answers;

/// One change to the network, made by one or a few requests to the cloud.
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
    /// Add a route.
    AddRoute {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
        /// Where it leads.
        towards: Towards,
    },
    /// Give an existing route another target.
    ReplaceRoute {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
        /// Where it leads from now on.
        towards: Towards,
    },
    /// Remove a route that leads away what would stay inside the VPC.
    RemoveRoute {
        /// The table.
        table: RouteTableId,
        /// The destination.
        destination: IpNet,
    },
    /// Add a rule to a security group.
    AllowInGroup {
        /// The group.
        group: SecurityGroupId,
        /// For what comes in, or for what goes out.
        direction: Direction,
        /// The rule.
        rule: GroupRule,
    },
    /// Add an entry to a network ACL.
    AllowInAcl {
        /// The list.
        acl: NetworkAclId,
        /// For what comes in, or for what goes out.
        direction: Direction,
        /// A number that is free.
        number: RuleNumber,
        /// The entry.
        entry: AclEntry,
    },
    /// Put another entry in the place of one that denies: no number before it is free.
    ReplaceInAcl {
        /// The list.
        acl: NetworkAclId,
        /// For what comes in, or for what goes out.
        direction: Direction,
        /// The number of the entry that denies.
        number: RuleNumber,
        /// The entry in its place.
        entry: AclEntry,
    },
    /// Let a public address stand for this private one: allocate it and associate it.
    GivePublicAddress {
        /// The interface.
        interface: InterfaceId,
        /// Its private address.
        private: Ipv4Addr,
    },
    /// Attach this gateway, which is detached, to this VPC.
    Attach(GatewayId, VpcId),
    /// Put a table on a gateway endpoint: it gets routes for the prefixes of the service.
    AddToEndpoint {
        /// The endpoint.
        endpoint: EndpointId,
        /// The table.
        table: RouteTableId,
    },
}

/// Where a route of a repair leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Towards {
    /// Over the active peering of the table's VPC with this one.
    Vpc(VpcId),
    /// Over this gateway of the table's VPC.
    Gateway(GatewayId),
    /// Through this NAT gateway of the table's VPC.
    Nat(NatGatewayId),
    /// Through the NAT instance behind this interface of the table's VPC.
    NatInstance(InterfaceId),
}

/// Whether an answer must come back as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ways {
    /// The packet must arrive.
    There,
    /// And its answer too, from the address and port that were asked: nobody takes another one's.
    ThereAndBack,
    /// The packet is an answer itself, and must arrive. What was asked is not known.
    Back,
}

/// On which way a packet was blocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// On the way out.
    There,
    /// Its answer, on the way back.
    Back,
}

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

/// The network as it stands, of which copies are made to try repairs on.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The cloud.
    pub cloud: &'a Cloud,
    /// Its rows, under which `memory` remembers.
    pub rows: &'a Rows,
    /// What interfaces and middleboxes remember.
    pub memory: &'a Memory,
    /// The moment.
    pub now: Instant,
}

/// Why no repair is offered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoOffer {
    /// The sender does not exist any more, or something else that a change would need.
    Gone,
    /// The packet's source is not the sender's, so its answer goes to somebody else.
    ForeignSource,
    /// Nobody has the destination address.
    NobodyHasIt,
    /// Several hosts have the destination address, and the question does not say which is meant.
    SeveralHaveIt,
    /// The two VPCs have overlapping blocks: they cannot be peered, and the own block wins.
    Overlap(VpcId, VpcId),
    /// This peering is being set up: it takes time, not a change.
    Settling(PeeringId),
    /// No table forwards to this address, whatever its routes cover: it is one of the cloud's own
    /// services, which are not emulated.
    NeverForwarded(IpAddr),
    /// The destination lies outside the cloud, and the VPC has no gateway that leads there.
    NoGateway(VpcId),
    /// This gateway leads there, but an edge serves its own VPC alone.
    ForeignGateway(GatewayId),
    /// From the internet only public addresses are reached, and the packet is for a private one.
    PrivateFromOutside,
    /// The packet is longer than the way takes and may not be cut up: its sender must send less.
    TooBig,
    /// The interface tracks as many connections as it can: time or fewer connections help.
    TrackingFull,
    /// The packet has used up its hops.
    HopLimit,
    /// A NAT device carries answers only, and this is an answer to nothing.
    NoTranslation,
    /// An egress-only internet gateway lets answers in only, and this is an answer to nothing.
    Unsolicited,
    /// What ended the packet is not the configuration: bytes, chance, load, or an unlucky moment.
    NotConfiguration(DropReason),
    /// The cloud refuses the change that would be needed.
    Refused(Box<Refusal>),
    /// No change of these kinds brings the packet further.
    NoProgress,
    /// More changes would be needed than are looked for.
    TooManyChanges,
}

/// What is wrong with the way of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is dropped.
    Dropped(DropReason, Location),
    /// It arrives at this host, and was meant for another one.
    OtherHost(InterfaceId),
    /// It is an answer that a NAT device or gateway, this one, makes one of another address than the
    /// address that was asked: who has asked does not take it for an answer.
    OtherSource(Location),
}

/// One obstacle on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocker {
    /// On which way.
    pub way: Way,
    /// What happened there.
    pub fault: Fault,
    /// The changes that bring the packet past it, in order, or why there are none.
    pub mend: Result<Vec<Fix>, NoOffer>,
}

/// What stands in a packet's way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// Every blocker in the order in which the packet and its answer meet them, each one met after
    /// those before it were mended. What lies behind one that cannot be mended is not known.
    pub blockers: Vec<Blocker>,
    /// The changes that let the packet through, in order, of which none can be left out; empty if it
    /// passes as things are. Or why there are none.
    pub repair: Result<Vec<Fix>, NoOffer>,
}

/// Changes tried before the search gives up (ours): a round trip over a new peering, with groups and
/// ACLs against it at each end, takes nine.
const FIXES_MAX: usize = 16;

/// Finds every blocker and the smallest repair. Costs a copy of the cloud and a few walks for each
/// change, and as much again for each try to do without one.
pub fn diagnose(ground: Ground<'_>, intent: Intent<'_>) -> Diagnosis {
    let mut bench = Bench::new(ground);
    let mut blockers: Vec<Blocker> = Vec::new();
    let mut fixes: Vec<Fix> = Vec::new();
    loop {
        let blocked = match bench.blocked(intent) {
            Ok(Some(blocked)) => blocked,
            Ok(None) => break,
            Err(cause) => return Diagnosis { blockers, repair: Err(cause) },
        };
        let fix = bench.mend(&blocked).and_then(|fix| {
            if fixes.contains(&fix) {
                return Err(NoOffer::NoProgress);
            }
            if fixes.len() == FIXES_MAX {
                return Err(NoOffer::TooManyChanges);
            }
            bench.carry_out(fix).map(|()| fix)
        });
        let (way, fault) = (blocked.way, blocked.fault);
        // What takes two changes to mend, a peering and a route over it, is one blocker.
        let same = blockers.last_mut().filter(|last| (last.way, last.fault) == (way, fault));
        match (fix, same) {
            (Ok(fix), same) => {
                fixes.push(fix);
                match same.and_then(|last| last.mend.as_mut().ok()) {
                    Some(before) => before.push(fix),
                    None => blockers.push(Blocker { way, fault, mend: Ok(vec![fix]) }),
                }
            }
            (Err(cause), same) => {
                match same {
                    Some(last) => last.mend = Err(cause.clone()),
                    None => blockers.push(Blocker { way, fault, mend: Err(cause.clone()) }),
                }
                return Diagnosis { blockers, repair: Err(cause) };
            }
        }
    }
    Diagnosis { blockers, repair: Ok(smallest(ground, intent, fixes)) }
}

/// The smallest repair alone, see [`Diagnosis::repair`].
///
/// # Errors
/// Why there is none.
pub fn repair(ground: Ground<'_>, intent: Intent<'_>) -> Result<Vec<Fix>, NoOffer> {
    diagnose(ground, intent).repair
}

/// Leaves out what is idle. A later change may have made an earlier one so: a route that leads past
/// a dead middlebox makes it unnecessary to start it.
fn smallest(ground: Ground<'_>, intent: Intent<'_>, mut fixes: Vec<Fix>) -> Vec<Fix> {
    let mut at = 0;
    while at < fixes.len() {
        let mut fewer = fixes.clone();
        fewer.remove(at);
        if suffices(ground, intent, &fewer) {
            // What was needed beside it may be idle without it.
            (fixes, at) = (fewer, 0);
        } else {
            at += 1;
        }
    }
    fixes
}

/// Do these changes, made in this order, let the packet through?
fn suffices(ground: Ground<'_>, intent: Intent<'_>, fixes: &[Fix]) -> bool {
    let mut bench = Bench::new(ground);
    fixes.iter().all(|fix| bench.carry_out(*fix).is_ok())
        && matches!(bench.blocked(intent), Ok(None))
}

#[cfg(test)]
mod tests;
