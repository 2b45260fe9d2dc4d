//! What stands in a packet's way and what would let it through, in words.
//!
//! Holds the sentences for blockers, changes, and the causes for which no change is offered. Refuses
//! to look for any: `forward/repair.rs` does. Names are resolved when it is told.

use std::fmt;

use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::network_acl::AclEntry;
use crate::forward::reason::MISDELIVERED;
use crate::forward::repair::{Blocker, Diagnosis, Fault, Fix, NoOffer, Towards, Way};
use crate::report::names::Names;
use crate::sim::World;

/// The label of an answer that comes from another address than the one that was asked: no drop and no
/// arrival elsewhere, and yet nobody takes it for an answer.
pub const OTHER_SOURCE: &str = "other-source";

/// A diagnosis in words; empty for a packet that passed, or about which nobody asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remedy {
    /// What stops the packet and its answer, in the order in which they meet it.
    pub blockers: Vec<Obstacle>,
    /// The smallest change that would let both through, one clause a change.
    pub changes: Vec<String>,
    /// Why there is none.
    pub no_offer: Option<String>,
}

/// One blocker in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obstacle {
    /// On which way.
    pub way: Way,
    /// The label of the reason.
    pub reason: &'static str,
    /// The resource that decided.
    pub at: String,
    /// What brings the packet past it, one clause a change.
    pub changes: Vec<String>,
    /// Why nothing does; what lies behind it is not known.
    pub no_offer: Option<String>,
}

impl Remedy {
    /// What was found, in names.
    pub fn of(found: &Diagnosis, world: World<'_>) -> Remedy {
        let (changes, no_offer) = told(&found.repair, world);
        let blockers = found.blockers.iter().map(|blocker| obstacle(blocker, world)).collect();
        Remedy { blockers, changes, no_offer }
    }
}

/// `blocked by` if more than one thing does, then the repair or why there is none; each line begins
/// with a line break.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The only blocker is what the walk above has ended with.
        if self.blockers.len() > 1 {
            write!(f, "\n    blocked by ({}):", self.blockers.len())?;
            for (row, blocker) in self.blockers.iter().enumerate() {
                write!(f, "\n      {}. {blocker}", row + 1)?;
            }
        }
        if !self.changes.is_empty() {
            write!(f, "\n    would pass: {}", self.changes.join("; "))?;
        }
        match &self.no_offer {
            Some(why) => write!(f, "\n    no repair: {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at {}", way(self.way), self.reason, self.at)
    }
}

/// `out` or `back`.
pub const fn way(way: Way) -> &'static str {
    match way {
        Way::There => "out",
        Way::Back => "back",
    }
}

fn told(mend: &Result<Vec<Fix>, NoOffer>, world: World<'_>) -> (Vec<String>, Option<String>) {
    match mend {
        Ok(fixes) => (fixes.iter().map(|fix| change(fix, world)).collect(), None),
        Err(cause) => (Vec::new(), Some(why_not(cause, world))),
    }
}

fn obstacle(blocker: &Blocker, world: World<'_>) -> Obstacle {
    let names = Names(world.cloud);
    let (reason, at) = match blocker.fault {
        Fault::Dropped(reason, at) => (reason.label(), names.location(at)),
        Fault::OtherHost(at) => (MISDELIVERED, names.interface(at)),
        Fault::OtherSource(at) => (OTHER_SOURCE, names.location(at)),
    };
    let (changes, no_offer) = told(&blocker.mend, world);
    Obstacle { way: blocker.way, reason, at, changes, no_offer }
}

/// A change in words.
fn change(fix: &Fix, world: World<'_>) -> String {
    let names = Names(world.cloud);
    match *fix {
        Fix::Start(id) => format!("start {}", names.interface(id)),
        Fix::CheckOff(id) => {
            format!("switch off the source/destination check of {}", names.interface(id))
        }
        Fix::Accept(id) => format!("accept {}", names.peering(id)),
        Fix::Peer(a, b) => format!("peer {} with {}", names.vpc(a), names.vpc(b)),
        Fix::AddRoute { table, destination, towards } => format!(
            "add {destination} -> {} to table {}",
            self::towards(towards, names),
            names.table(table)
        ),
        Fix::ReplaceRoute { table, destination, towards } => format!(
            "point {destination} in table {} at {}",
            names.table(table),
            match towards {
                Towards::Vpc(_) => format!("the {}", self::towards(towards, names)),
                _ => self::towards(towards, names),
            }
        ),
        Fix::RemoveRoute { table, destination } => {
            format!("remove {destination} from table {}", names.table(table))
        }
        Fix::AllowInGroup { group, direction, rule } => format!(
            "allow {} in the {direction} rules of group {}",
            names.rule(direction, &rule),
            names.group(group)
        ),
        Fix::AllowInAcl { acl, direction, number, entry } => format!(
            "add {direction} entry {number} to acl {}: {}",
            names.acl(acl),
            self::entry(direction, entry)
        ),
        Fix::ReplaceInAcl { acl, direction, number, entry } => format!(
            "replace {direction} entry {number} of acl {}: {}",
            names.acl(acl),
            self::entry(direction, entry)
        ),
        Fix::GivePublicAddress { interface, private } => {
            format!("give {} a public address for {private}", names.interface(interface))
        }
        Fix::Attach(gateway, vpc) => {
            format!("attach {} to {}", names.gateway(gateway), names.vpc(vpc))
        }
        Fix::AddToEndpoint { endpoint, table } => format!(
            "put table {} on {}",
            names.table(table),
            names.gateway(GatewayId::Endpoint(endpoint))
        ),
    }
}

fn towards(towards: Towards, names: Names<'_>) -> String {
    match towards {
        Towards::Vpc(vpc) => format!("peering with {}", names.vpc(vpc)),
        Towards::Gateway(gateway) => names.gateway(gateway),
        Towards::Nat(nat) => names.nat(nat),
        Towards::NatInstance(id) => names.interface(id),
    }
}

fn entry(direction: Direction, entry: AclEntry) -> String {
    let far = match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    format!("{} {} {far} {}", entry.action.name(), entry.traffic, entry.block)
}

/// Why no change is offered, in words.
fn why_not(cause: &NoOffer, world: World<'_>) -> String {
    let names = Names(world.cloud);
    match cause {
        NoOffer::Gone => "what the packet would need does not exist any more".to_owned(),
        NoOffer::ForeignSource => {
            "the packet's source is not the sender's, so its answer goes to somebody else"
                .to_owned()
        }
        NoOffer::NobodyHasIt => "nobody has the destination address".to_owned(),
        NoOffer::SeveralHaveIt => {
            "several hosts have the destination address; name the one that is meant".to_owned()
        }
        NoOffer::Overlap(a, b) => format!(
            "{} and {} have overlapping blocks and cannot be peered",
            names.vpc(*a),
            names.vpc(*b)
        ),
        NoOffer::Settling(peering) => {
            format!("{} is being set up, which takes time and no change", names.peering(*peering))
        }
        NoOffer::NeverForwarded(address) => format!(
            "{address} is in a range of the cloud's own services, which are not emulated and which no route covers"
        ),
        NoOffer::NoGateway(vpc) => {
            format!("{} has no gateway that leads to the destination", names.vpc(*vpc))
        }
        NoOffer::ForeignGateway(gateway) => {
            format!(
                "only {} leads there, and an edge serves its own VPC alone",
                names.gateway(*gateway)
            )
        }
        NoOffer::PrivateFromOutside => {
            "the internet reaches public addresses only, and the packet is for a private one"
                .to_owned()
        }
        NoOffer::TooBig => {
            "the way takes no packet of this length; its sender must send shorter ones".to_owned()
        }
        NoOffer::TrackingFull => {
            "the interface tracks as many connections as it can; fewer at a time would pass"
                .to_owned()
        }
        NoOffer::HopLimit => "the packet has used up its hops".to_owned(),
        NoOffer::NoTranslation => {
            "a NAT device carries answers only, and this answers nothing that it has sent"
                .to_owned()
        }
        NoOffer::Unsolicited => {
            "an egress-only internet gateway lets answers in only, and this answers nothing that went out over it"
                .to_owned()
        }
        NoOffer::NotConfiguration(reason) => {
            format!("{reason} is not a matter of the network's configuration")
        }
        NoOffer::Refused(refusal) => {
            format!("the cloud refuses the change ({}): {refusal}", refusal.code())
        }
        NoOffer::NoProgress => "no single change brings the packet further".to_owned(),
        NoOffer::TooManyChanges => "it would take more changes than are looked for".to_owned(),
    }
}
