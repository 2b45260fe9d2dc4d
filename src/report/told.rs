//! A walk told in words: what a terminal prints and JSON carries.
//!
//! Holds the sentences. Refuses to hold findings of its own: every line is one step of the reference
//! forwarder, in the order in which it looked. Names are resolved when the walk is told, because
//! the network may change afterwards.

use std::fmt;
use std::net::SocketAddr;

use crate::base::id::{InterfaceId, SecurityGroupId};
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::filter::{Direction, Traffic};
use crate::cloud::gateway::{GatewayId, Site};
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::network_acl::{AclAction, AclEntry, RuleNumber};
use crate::cloud::peering::Status;
use crate::cloud::route_table::{Hop, RouteState};
use crate::cloud::security_group::GroupRule;
use crate::forward::walk::{Beyond, Cut, Holds, Match, Step};
use crate::forward::{Drop, DropReason, Judgement, Location, is_open};
use crate::report::names::Names;
use crate::report::remedy::Remedy;
use crate::sim::World;
use crate::wire::{FlowKey, Packet};

/// From so many equal rounds on, all but the first are counted only (ours).
const ROUNDS_MIN: usize = 3;

/// One line of a walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// What was looked at: `table B`, `AB`, an address.
    pub subject: String,
    /// What was found.
    pub finding: String,
}

impl Line {
    fn new(subject: impl Into<String>, finding: impl Into<String>) -> Line {
        Line { subject: subject.into(), finding: finding.into() }
    }
}

/// How a walk ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// At the host it was meant for, or whoever has the address.
    Delivered {
        /// The host.
        at: String,
    },
    /// At another host that has the same address.
    Misdelivered {
        /// The host.
        at: String,
    },
    /// Not.
    Dropped {
        /// The reason's label.
        reason: &'static str,
        /// The code of AWS Reachability Analyzer, where there is one.
        aws_code: Option<&'static str>,
        /// The resource that decided.
        at: String,
    },
}

impl Ending {
    /// Dropped, in names.
    pub fn dropped(drop: Drop, world: World<'_>) -> Ending {
        Ending::Dropped {
            reason: drop.reason.label(),
            aws_code: drop.reason.aws_code(),
            at: Names(world.cloud).location(world.rows.locate(drop.at)),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Delivered { at } => write!(f, "delivered to {at}"),
            Ending::Misdelivered { at } => write!(f, "misdelivered to {at}"),
            Ending::Dropped { reason, at, .. } => write!(f, "DROP {reason} at {at}"),
        }
    }
}

/// One packet's walk in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// When it was sent.
    pub at: Instant,
    /// Who sent it.
    pub sender: String,
    /// Its flow and what it is, or what is wrong with its bytes.
    pub packet: String,
    /// How it ended.
    pub ending: Ending,
    /// What was looked at, in order; the last line decides.
    pub lines: Vec<Line>,
    /// Everything that stands in the way of the packet and its answer, and what would let them
    /// through.
    pub remedy: Remedy,
}

/// The headline, then the lines with their subjects in one column.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {} {}  {}", self.at, self.sender, self.packet, self.ending)?;
        let width = self.lines.iter().map(|line| line.subject.chars().count()).max();
        for line in &self.lines {
            write!(
                f,
                "\n    {:width$}  {}",
                line.subject,
                line.finding,
                width = width.unwrap_or(0)
            )?;
        }
        self.remedy.fmt(f)
    }
}

/// The packet in words: `10.1.0.4 > 10.2.0.10 icmp echo request, 84 bytes`.
pub fn packet(packet: &Packet) -> String {
    let (flow, summary) = (packet.flow(), packet.summary().to_string());
    let protocol = packet.protocol().to_string();
    // The flow ends with the protocol and the summary begins with it.
    format!("{flow}{}", summary.strip_prefix(&protocol).unwrap_or(&summary))
}

/// What is wrong with an answer that came from another address than the one that was asked.
pub fn other_source(answer: &Packet, question: &Packet) -> Line {
    let (came, asked) = (answer.flow(), question.flow().reversed());
    let finding = if (came.source, came.source_port) != (asked.source, asked.source_port) {
        let asked = source_of(&asked);
        format!("is not who was asked, {asked}: the answer is not taken for one")
    } else {
        "answers with another port or identifier than the one that asked".to_owned()
    };
    Line { subject: source_of(&came), finding }
}

/// The source of a flow, with its port if it has one.
fn source_of(flow: &FlowKey) -> String {
    match flow.protocol.has_ports() {
        true => SocketAddr::new(flow.source, flow.source_port).to_string(),
        false => flow.source.to_string(),
    }
}

/// Every step in words. The rounds of a loop are told once.
pub fn lines(steps: &[Step], world: World<'_>) -> Vec<Line> {
    let names = Names(world.cloud);
    let lines: Vec<Line> = steps.iter().filter_map(|step| line(step, names)).collect();
    without_rounds(&lines)
}

/// The lines, with a count in place of all but the first of three or more equal rounds. Costs a
/// comparison for each pair of lines at most: walks have a few hundred lines.
fn without_rounds(mut lines: &[Line]) -> Vec<Line> {
    let mut out = Vec::with_capacity(lines.len());
    while let [first, after @ ..] = lines {
        let round = (1..=lines.len() / ROUNDS_MIN).find_map(|length| {
            let (round, others) = lines.split_at(length);
            let again = others.chunks_exact(length).take_while(|other| *other == round).count();
            (again + 1 >= ROUNDS_MIN).then_some((length, again))
        });
        match round {
            Some((length, again)) => {
                out.extend_from_slice(&lines[..length]);
                out.push(Line::new("...", format!("{again} more rounds like this one")));
                lines = &lines[length * (again + 1)..];
            }
            None => {
                out.push(first.clone());
                lines = after;
            }
        }
    }
    out
}

fn line(step: &Step, names: Names<'_>) -> Option<Line> {
    Some(match step {
        Step::Down { interface } => {
            let there = world_has(names.0, *interface);
            let finding = if there { "its instance is stopped" } else { "does not exist any more" };
            Line::new(names.interface(*interface), finding)
        }
        Step::ForeignSource { interface, source, check } => Line::new(
            names.interface(*interface),
            match check {
                SourceDestCheck::On => {
                    format!(
                        "the source {source} is not its address, and its source/destination check is on"
                    )
                }
                SourceDestCheck::Off => {
                    format!(
                        "the source {source} is not its address; its source/destination check is off"
                    )
                }
            },
        ),
        Step::SameSubnet { subnet } => Line::new(
            format!("subnet {}", names.subnet(*subnet)),
            "the destination is in the same subnet",
        ),
        Step::Table { table, matches, .. } => {
            Line::new(format!("table {}", names.table(*table)), longest_match(matches, names))
        }
        Step::NeverForwarded { destination } => Line::new(
            destination.to_string(),
            "is in a range of the cloud's own services, which no route covers",
        ),
        Step::Peering { status: Some(Status::Active), .. } => return None,
        Step::Peering { peering, status } => Line::new(
            names.peering(*peering),
            format!("{}; only an active peering carries packets", state(*status)),
        ),
        Step::Gate { peering, into, blocks, holds } => {
            let blocks: Vec<String> = blocks.iter().map(ToString::to_string).collect();
            let (vpc, blocks) = (names.vpc(*into), blocks.join(", "));
            Line::new(
                names.peering(*peering),
                match holds {
                    Holds::Yes => format!("active, leads into {vpc} ({blocks})"),
                    Holds::No => format!(
                        "active, leads into {vpc} ({blocks}) and no further: the destination is not in {vpc}"
                    ),
                },
            )
        }
        // What lets everything through decides nothing.
        Step::Groups { judgement: Judgement::ByRule, rule: None, .. } => return None,
        Step::Groups { judgement: Judgement::ByRule, rule: Some((_, rule)), .. }
            if is_open(rule) =>
        {
            return None;
        }
        Step::Groups { interface, direction, judgement, rule } => Line::new(
            names.interface(*interface),
            groups(names.0, *interface, *direction, *judgement, *rule),
        ),
        Step::Acl { entry: Some((number, entry)), .. } if is_pass_all(*number, entry) => {
            return None;
        }
        Step::Acl { acl, direction, entry } => {
            Line::new(format!("acl {}", names.acl(*acl)), acl_entry(*direction, *entry))
        }
        Step::Gateway { gateway, attached } => match attached {
            Some(_) => return None,
            None => Line::new(names.gateway(*gateway), "is not attached to a VPC"),
        },
        Step::GatewayMoved { gateway, now_of } => Line::new(
            names.gateway(*gateway),
            format!("serves {} by now, and no other VPC", names.vpc(*now_of)),
        ),
        Step::SpoofedSource { gateway, source, vpc } => Line::new(
            names.gateway(*gateway),
            format!("takes from {} only what comes from there: {source} does not", names.vpc(*vpc)),
        ),
        Step::GatewayGate { gateway, into, holds } => {
            let vpc = names.vpc(*into);
            Line::new(
                names.gateway(*gateway),
                match holds {
                    Holds::Yes => format!("leads into {vpc}"),
                    Holds::No => {
                        format!("leads into {vpc} and no further: the destination is not in {vpc}")
                    }
                },
            )
        }
        Step::PublicAddress { gateway, of, found } => Line::new(
            names.gateway(*gateway),
            match found {
                Some(public) => format!("{of} leaves as {public}"),
                None => format!("no public address stands for {of}"),
            },
        ),
        Step::StandsFor { gateway, public, private } => {
            Line::new(names.gateway(*gateway), format!("{public} stands for {private}"))
        }
        Step::EgressOnly { gateway, direction, judgement } => Line::new(
            names.gateway(*gateway),
            match (direction, judgement) {
                (_, Judgement::Full) => "remembers as many connections as it can",
                (Direction::Ingress, Judgement::Refused) => {
                    "lets answers in only, and this answers nothing that went out over it"
                }
                (Direction::Ingress, _) => "lets it in: it belongs to what went out over it",
                (Direction::Egress, Judgement::ByConnection(_)) => "knows the connection",
                (Direction::Egress, _) => "lets it out, and its answers in",
            },
        ),
        Step::TooLong { mtu, length, cut } => Line::new(
            "mtu",
            match cut {
                Cut::Fragments => format!("{mtu} bytes; the packet of {length} is cut up"),
                Cut::Forbidden => {
                    format!("{mtu} bytes; the packet of {length} may not be cut up")
                }
            },
        ),
        Step::OutsideOwner { site, address, owner } => {
            let place = match site {
                Site::Internet => "on the internet".to_owned(),
                Site::Behind(gateway) => format!("beyond {}", names.gateway(*gateway)),
            };
            Line::new(
                address.to_string(),
                match owner {
                    Some(owner) => format!("is {} {place}", names.interface(*owner)),
                    None => format!("is nobody's address {place}"),
                },
            )
        }
        Step::Relayed { interface, translated } => Line::new(
            names.interface(*interface),
            match translated {
                Some(flow) => format!("sends it on as {flow}"),
                None => "sends it on".to_owned(),
            },
        ),
        Step::NotRelayed { interface, why } => Line::new(
            names.interface(*interface),
            match why {
                DropReason::HopLimit => "got it with its last hop and cannot send it on",
                _ => "holds no translation for it and can make none",
            },
        ),
        Step::Beyond { found } => Line::new("beyond", beyond(found, names)),
        Step::PeeringGone { peering, status } => Line::new(
            names.peering(*peering),
            match status {
                Some(status) => format!("was {status} when the packet arrived"),
                None => "did not exist any more when the packet arrived".to_owned(),
            },
        ),
        Step::Owner { vpc, address, owner } => Line::new(
            address.to_string(),
            match owner {
                Some(owner) => format!("is {} in {}", names.interface(*owner), names.vpc(*vpc)),
                None => format!("is nobody's address in {}", names.vpc(*vpc)),
            },
        ),
        Step::ForeignDestination { interface, address, check } => Line::new(
            names.interface(*interface),
            match check {
                SourceDestCheck::On => {
                    format!("does not own {address}, and its source/destination check is on")
                }
                SourceDestCheck::Off => {
                    format!(
                        "does not own {address}; its source/destination check is off, so it takes the packet"
                    )
                }
            },
        ),
        Step::Delivered { .. } => return None,
    })
}

/// Is there still such an interface or host outside the cloud?
fn world_has(cloud: &Cloud, interface: InterfaceId) -> bool {
    cloud.interface(interface).is_some() || cloud.outside_host(interface).is_some()
}

fn groups(
    cloud: &Cloud,
    interface: InterfaceId,
    direction: Direction,
    judgement: Judgement,
    rule: Option<(SecurityGroupId, GroupRule)>,
) -> String {
    let names = Names(cloud);
    let of_interface = cloud.interface(interface).map_or(&[][..], |i| &i.groups);
    let listed: Vec<String> = of_interface.iter().map(|id| names.group(*id)).collect();
    let listed = listed.join(", ");
    let way = match direction {
        Direction::Ingress => "in",
        Direction::Egress => "out",
    };
    match (judgement, rule) {
        (Judgement::ByRule, Some((group, rule))) => {
            format!("group {} lets it {way}: {}", names.group(group), names.rule(direction, &rule))
        }
        (Judgement::ByRule, None) => format!("has no groups and lets it {way}"),
        (Judgement::ByConnection(_), _) => {
            format!("lets it {way}: it belongs to a connection that is tracked")
        }
        (Judgement::Related, _) => {
            format!("lets it {way}: it is an error about a connection that is tracked")
        }
        (Judgement::FragmentOfPassed, _) => {
            format!("lets it {way}: it continues a packet that passed")
        }
        (Judgement::Refused, _) => format!("no rule of its groups ({listed}) lets it {way}"),
        (Judgement::Full, _) => {
            "a rule allows it, but no further connection can be tracked".to_owned()
        }
    }
}

/// Is this the entry that every default ACL begins with?
fn is_pass_all(number: RuleNumber, entry: &AclEntry) -> bool {
    let everywhere = entry.traffic == Traffic::All && entry.block.prefix_len() == 0;
    everywhere && entry.action == AclAction::Allow && [100, 101].contains(&number.get())
}

fn acl_entry(direction: Direction, entry: Option<(RuleNumber, AclEntry)>) -> String {
    match entry {
        None => format!("{direction}: no entry matches, so the last one denies"),
        Some((number, entry)) => {
            let far = match direction {
                Direction::Ingress => "from",
                Direction::Egress => "to",
            };
            let (action, traffic) = (entry.action.name(), entry.traffic);
            format!("{direction}: entry {number} decides, {action} {traffic} {far} {}", entry.block)
        }
    }
}

fn state(status: Option<Status>) -> String {
    match status {
        Some(status) => format!("is {status}"),
        None => "does not exist".to_owned(),
    }
}

fn longest_match(matches: &[Match], names: Names<'_>) -> String {
    let Some(first) = matches.first() else {
        return "no route covers the destination".to_owned();
    };
    let count = match matches.len() {
        1 => "the only match".to_owned(),
        n => format!("the longest of {n} matches"),
    };
    let state = match (first.hop, first.state) {
        (Hop::To(_), RouteState::Blackhole) => ", a blackhole",
        _ => "",
    };
    format!("{} -> {} ({count}{state})", first.destination, names.hop(first.hop))
}

fn beyond(found: &[Beyond], names: Names<'_>) -> String {
    if found.is_empty() {
        return "nothing of the VPC in the middle leads there either".to_owned();
    }
    let one = |b: &Beyond| match b {
        Beyond::Vpc { vpc, peering, status } => {
            let (vpc, peering) = (names.vpc(*vpc), names.peering(*peering));
            match status {
                Status::Active => format!("{vpc} over {peering}"),
                status => format!("{vpc} over {peering}, which is {status}"),
            }
        }
        Beyond::Edge(gateway) => match gateway {
            GatewayId::Internet(_) | GatewayId::EgressOnly(_) => {
                format!("the internet over {}", names.gateway(*gateway))
            }
            GatewayId::Vpn(_) => {
                format!("an on-premises network over {}", names.gateway(*gateway))
            }
            GatewayId::Endpoint(_) => format!("a service over {}", names.gateway(*gateway)),
        },
        Beyond::Nat(nat) => format!("the internet through {}", names.nat(*nat)),
    };
    let named: Vec<String> = found.iter().map(one).collect();
    let vpcs_only = found.iter().all(|b| matches!(b, Beyond::Vpc { .. }));
    let why = if vpcs_only {
        "but peering is not transitive"
    } else {
        "but an edge serves its own VPC alone, and peering is not transitive"
    };
    format!("{}; {why}", named.join(" or "))
}

/// Why a middlebox did not send a packet on, if that is how it ended.
pub fn relay_line(drop: Drop, world: World<'_>) -> Option<Line> {
    let Location::Interface(interface) = world.rows.locate(drop.at) else { return None };
    let relays = matches!(drop.reason, DropReason::HopLimit | DropReason::NoTranslation);
    let step = relays.then_some(Step::NotRelayed { interface, why: drop.reason })?;
    line(&step, Names(world.cloud))
}

/// The line about a link that lost the packet, which the forwarder knows nothing of.
pub fn link_line(drop: Drop, world: World<'_>) -> Option<Line> {
    use crate::forward::DropReason::{LinkLoss, QueueFull};
    let finding = match drop.reason {
        LinkLoss => "its link lost the packet, by chance",
        QueueFull => "its link's queue was full",
        _ => return None,
    };
    let location: Location = world.rows.locate(drop.at);
    Some(Line::new(Names(world.cloud).location(location), finding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ending: Ending, lines: &[(&str, &str)], want: &str) {
        let told = Told {
            at: Instant::from_nanos(250_000),
            sender: "b".to_owned(),
            packet: "10.1.0.4 > 10.2.0.10 udp, 46 bytes".to_owned(),
            ending,
            lines: lines.iter().map(|(subject, finding)| Line::new(*subject, *finding)).collect(),
            remedy: Remedy::default(),
        };
        assert_eq!(told.to_string(), want);
    }

    #[test]
    fn findings_stand_in_one_column() {
        let at = "AB".to_owned();
        check(
            Ending::Dropped { reason: "transit", aws_code: None, at },
            &[("table B", "10.2.0.0/16 -> AB"), ("AB", "active"), ("É", "counts as one character")],
            "00:00:00.000250  b 10.1.0.4 > 10.2.0.10 udp, 46 bytes  DROP transit at AB\n    \
             table B  10.2.0.0/16 -> AB\n    \
             AB       active\n    \
             É        counts as one character",
        );
    }

    #[test]
    fn a_walk_without_a_look_is_its_headline() {
        let at = "c".to_owned();
        check(
            Ending::Misdelivered { at },
            &[],
            "00:00:00.000250  b 10.1.0.4 > 10.2.0.10 udp, 46 bytes  misdelivered to c",
        );
    }
}
