//! What an analysis finds, as elements.
//!
//! Holds the packet that stands for a path, and how its walks and blockers are told in EC2's shapes.
//! An analysis is of the configuration alone: what interfaces remember of earlier packets is left
//! aside. Refuses to walk: `forward::round_trip` does.
//!
//! What a caller is told about others: components of its own VPCs as they are, peerings that it has an
//! end of with both VPCs, and what the path itself names. Groups, ACLs, tables and interfaces of
//! another account are left out of a path; where one of them stands in the way, the explanation is
//! `NO_POSSIBLE_DESTINATION` with the account, whichever it is (invariant S11).

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Endpoint, PathRow};
use crate::api::dispatch::{Ask, Edit};
use crate::api::operation::arn_of;
use crate::api::operation::tag::resource_type;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::event::ResourceId;
use crate::cloud::filter::{Direction, PortRange, Traffic};
use crate::cloud::gateway::GatewayId;
use crate::cloud::instance::Host;
use crate::cloud::network_acl::{AclEntry, RuleNumber};
use crate::cloud::route_table::{Hop, RouteState, RouteTarget};
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::repair::{Blocker, Fault, Ground, Way};
use crate::forward::round_trip::{Journey, Passed, RoundTrip, round_trip};
use crate::forward::walk::{End, Match, Step};
use crate::forward::{DropReason, Location, Memory};
use crate::wire::{Family, Packet, Protocol, TcpFlags, build};

/// What an analysis found.
pub(super) struct Findings {
    /// Is there a way?
    pub(super) found: Found,
    /// The elements that follow `networkPathFound`.
    pub(super) part: String,
}

/// Is there a way for the packet and its answer?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Yes,
    No,
}

impl Found {
    /// As EC2 writes it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Found::Yes => "true",
            Found::No => "false",
        }
    }
}

/// The number of the deny behind the last entry, by family (vpc-semantics 6.4).
const DENY_ALL: [(Family, u16); 2] = [(Family::V4, 32_767), (Family::V6, 32_768)];
/// What most would ask about.
const PORT_DEFAULT: u16 = 443;
/// Where the packet comes from, if the path does not say: the first ephemeral port.
const SOURCE_PORT: u16 = 49_152;
/// Ports that are tried where the path names none.
const PORTS_MAX: usize = 16;
/// An address of the internet, for a path to an internet gateway that names none.
const SOMEWHERE: &str = "8.8.8.8";

/// A path that can be walked.
struct Question {
    from: InterfaceId,
    meant: Option<InterfaceId>,
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    source_port: u16,
    ports: Vec<u16>,
}

impl Question {
    /// `Err` has the code of what is wrong with the ends.
    fn of(ask: &Ask<'_>, path: &PathRow) -> Result<Question, &'static str> {
        const NOWHERE: &str = "NO_SOURCE_OR_DESTINATION";
        let cloud = ask.cloud();
        let fact = |fact| ask.fact(&path.0, fact);
        let end = |of| {
            let (end, _) = Endpoint::parse("end", fact(of)?).ok()?;
            Some((end, end.found(cloud)))
        };
        let filter = |name: &str| path.filter(ask, &format!("FilterAtSource.{name}"));
        let address = |of: Option<&str>| of.and_then(|text| text.parse::<IpAddr>().ok());
        let (_, found) = end(Fact::Source).ok_or(NOWHERE)?;
        let from = found.and_then(|(_, interface)| interface).ok_or(NOWHERE)?;
        let destination = end(Fact::Destination);
        let meant = match destination {
            Some((Endpoint::Gateway(_), _)) | None => None,
            Some((_, found)) => {
                let interface = found.and_then(|(_, interface)| interface);
                Some(interface.ok_or("NO_POSSIBLE_DESTINATION")?)
            }
        };
        let primary = |id: InterfaceId, family: Family| {
            let mut addresses = cloud.interface(id).into_iter().flat_map(|i| &i.addresses);
            addresses.find(|address| Family::of(**address) == family).copied()
        };
        let given = address(fact(Fact::DestinationIp).or_else(|| filter("DestinationAddress")));
        let destination = match (given, meant) {
            (Some(address), _) => address,
            (None, Some(meant)) => primary(meant, Family::V4).ok_or(NOWHERE)?,
            (None, None) => address(Some(SOMEWHERE)).ok_or(NOWHERE)?,
        };
        let given = address(fact(Fact::SourceIp).or_else(|| filter("SourceAddress")));
        let source = given.or_else(|| primary(from, Family::of(destination))).ok_or(NOWHERE)?;
        let first = |range: &str| range.split('-').next().and_then(|port| port.parse().ok());
        let port = fact(Fact::DestinationPort).and_then(|port| port.parse().ok());
        let port = port.or_else(|| filter("DestinationPortRange").and_then(first));
        let protocol = match fact(Fact::Protocol) {
            Some("udp") => Protocol::UDP,
            _ => Protocol::TCP,
        };
        let ports = match port {
            Some(port) => vec![port],
            None => open_ports(cloud, meant, protocol, ask.caller.account),
        };
        let source_port = filter("SourcePortRange").and_then(first).unwrap_or(SOURCE_PORT);
        Ok(Question { from, meant, source, destination, protocol, source_port, ports })
    }

    fn packet(&self, port: u16) -> Option<Packet> {
        let (from, to) = ((self.source, self.source_port).into(), (self.destination, port).into());
        match self.protocol {
            Protocol::UDP => build::udp(from, to, &[]).ok(),
            _ => build::tcp(from, to, TcpFlags::SYN, 1, 0, &[]).ok(),
        }
    }
}

/// The ports to try where the path names none: what most would ask about, and what the destination's
/// groups let in, if they are the caller's.
fn open_ports(
    cloud: &Cloud,
    meant: Option<InterfaceId>,
    protocol: Protocol,
    caller: AccountId,
) -> Vec<u16> {
    let mut ports = vec![PORT_DEFAULT];
    let interface = meant.and_then(|id| cloud.interface(id));
    let own = interface.filter(|i| cloud.vpc(i.vpc).is_some_and(|vpc| vpc.owner == caller));
    let groups = own.into_iter().flat_map(|i| &i.groups).filter_map(|id| cloud.group(*id));
    for rule in groups.flat_map(|group| group.rules(Direction::Ingress)) {
        let range = match (rule.traffic, protocol) {
            (Traffic::Tcp(range), Protocol::TCP) | (Traffic::Udp(range), Protocol::UDP) => range,
            _ => continue,
        };
        if ports.len() < PORTS_MAX && !ports.contains(&range.first()) {
            ports.push(range.first());
        }
    }
    ports
}

/// Walks the packet of a path and tells what came of it.
pub(super) fn analyse(edit: &mut Edit<'_>, path: &PathRow) -> Findings {
    edit.world().sim().look_around();
    let ask = edit.ask();
    let question = match Question::of(&ask, path) {
        Ok(question) => question,
        Err(code) => {
            let mut xml = Xml::part();
            xml.set("explanationSet", [code], |xml, code| xml.text("explanationCode", code));
            return Findings { found: Found::No, part: xml.finish() };
        }
    };
    let crate::sim::World { cloud, rows, now, .. } = ask.world.view();
    let memory = Memory::default();
    let ground = Ground { cloud, rows, memory: &memory, now };
    let mut trips = question.ports.iter().filter_map(|port| {
        let packet = question.packet(*port)?;
        round_trip(ground, question.from, &packet, question.meant, |_, _| true)
    });
    let Some(first) = trips.next() else {
        return Findings { found: Found::No, part: String::new() };
    };
    let trip = match found(&first) {
        Found::Yes => first,
        Found::No => trips.find(|trip| found(trip) == Found::Yes).unwrap_or(first),
    };
    let teller = Teller { ask, cloud, meant: question.meant };
    let found = found(&trip);
    let mut xml = Xml::part();
    if went(&trip) {
        teller.components(&mut xml, "forwardPathComponentSet", &trip.there);
    }
    if let (Found::Yes, Some(back)) = (found, &trip.back) {
        teller.components(&mut xml, "returnPathComponentSet", back);
    }
    if found == Found::No {
        let blockers = trip.diagnose(ground).blockers;
        let beyond = |blocker: &Blocker| {
            let at_end = matches!(
                blocker.fault,
                Fault::Dropped(DropReason::NoSuchHost, Location::Gateway(_))
            );
            at_end && question.meant.is_none()
        };
        let blockers: Vec<Blocker> = blockers.into_iter().filter(|b| !beyond(b)).collect();
        teller.explanations(&mut xml, &trip, &blockers);
    }
    Findings { found, part: xml.finish() }
}

/// Did the packet reach its end, be it only that of the emulated network?
fn went(trip: &RoundTrip) -> bool {
    let there = &trip.there;
    let leaves = matches!(there.walk.steps.last(), Some(Step::OutsideOwner { owner: None, .. }));
    match there.walk.end {
        End::Delivered(at) => there.meant.is_none_or(|meant| meant == at),
        End::Dropped(..) => leaves && there.meant.is_none(),
    }
}

fn found(trip: &RoundTrip) -> Found {
    // Beyond an internet gateway nobody answers here; what leaves by it has found its way.
    let leaves = trip.back.is_none() && matches!(trip.there.walk.end, End::Dropped(..));
    match trip.passed {
        Passed::Both => Found::Yes,
        Passed::No if leaves && went(trip) => Found::Yes,
        Passed::No => Found::No,
    }
}

/// Tells what one caller may know.
struct Teller<'a> {
    ask: Ask<'a>,
    cloud: &'a Cloud,
    meant: Option<InterfaceId>,
}

impl Teller<'_> {
    fn owner(&self, vpc: VpcId) -> Option<AccountId> {
        self.cloud.vpc(vpc).map(|vpc| vpc.owner)
    }

    fn is_own(&self, vpc: VpcId) -> bool {
        self.owner(vpc) == Some(self.ask.caller.account)
    }

    /// A component: its id, its ARN, and its name if the caller has given it one.
    fn component(&self, xml: &mut Xml, element: &str, of: ResourceId, owner: Option<AccountId>) {
        let owner = owner.unwrap_or(self.ask.caller.account);
        xml.group(element, |xml| {
            xml.text("id", of);
            let region = self.ask.caller.region.as_str();
            xml.text("arn", arn_of(owner, region, resource_type(of), of));
            xml.maybe("name", self.ask.tags(of).get("Name"));
        });
    }

    fn vpc(&self, xml: &mut Xml, element: &str, id: VpcId) {
        self.component(xml, element, ResourceId::Vpc(id), self.owner(id));
    }

    // ---- the way --------------------------------------------------------------------------------

    /// The components of a way, in order.
    fn components(&self, xml: &mut Xml, element: &str, journey: &Journey) {
        let mut items: Vec<String> = Vec::new();
        items.extend(self.endpoint(journey.from, "outboundHeader", &journey.packet));
        items.extend(journey.walk.steps.iter().filter_map(|step| self.step(step, journey)));
        xml.set(element, items.iter().enumerate(), |xml, (number, item)| {
            xml.text("sequenceNumber", number + 1);
            xml.raw(item);
        });
    }

    /// An end of the way, with the packet as it is there.
    fn endpoint(&self, id: InterfaceId, header: &str, packet: &Packet) -> Option<String> {
        let interface = self.cloud.interface(id)?;
        let own = self.is_own(interface.vpc);
        if !own && self.meant != Some(id) {
            return None;
        }
        let mut xml = Xml::part();
        self.component(&mut xml, "component", ResourceId::Interface(id), self.owner(interface.vpc));
        if own {
            if let Some(instance) = interface.instance() {
                self.component(&mut xml, "attachedTo", ResourceId::Instance(instance), None);
            }
            self.component(&mut xml, "subnet", ResourceId::Subnet(interface.subnet), None);
            write_header(&mut xml, header, packet);
        }
        self.vpc(&mut xml, "vpc", interface.vpc);
        Some(xml.finish())
    }

    fn step(&self, step: &Step, journey: &Journey) -> Option<String> {
        let mut xml = Xml::part();
        match step {
            Step::Groups { interface, direction, rule, .. } => {
                let has = self.cloud.interface(*interface)?;
                let group = rule.map(|(group, _)| group).or(has.groups.first().copied())?;
                if !self.is_own(has.vpc) {
                    return None;
                }
                self.component(&mut xml, "component", ResourceId::SecurityGroup(group), None);
                if let Some((group, rule)) = rule {
                    write_group_rule(&mut xml, *group, *direction, rule);
                }
                self.vpc(&mut xml, "vpc", has.vpc);
            }
            Step::Acl { acl, direction, entry } => {
                let vpc = self.cloud.acl(*acl)?.vpc;
                if !self.is_own(vpc) {
                    return None;
                }
                self.component(&mut xml, "component", ResourceId::NetworkAcl(*acl), None);
                write_acl_rule(&mut xml, *direction, *entry, journey.packet.family());
                self.vpc(&mut xml, "vpc", vpc);
            }
            Step::Table { table, matches } => {
                let vpc = self.cloud.table(*table)?.vpc;
                if !self.is_own(vpc) {
                    return None;
                }
                self.component(&mut xml, "component", ResourceId::RouteTable(*table), None);
                if let Some(taken) = matches.first() {
                    write_route(&mut xml, taken, self.origin(*table, taken.destination));
                }
                self.vpc(&mut xml, "vpc", vpc);
            }
            Step::Gate { peering, into, .. } => {
                let from = self.cloud.peering(*peering)?.other_end(*into)?;
                if !self.is_own(from) && !self.is_own(*into) {
                    return None;
                }
                self.component(&mut xml, "component", ResourceId::Peering(*peering), None);
                self.vpc(&mut xml, "sourceVpc", from);
                self.vpc(&mut xml, "destinationVpc", *into);
            }
            Step::Gateway { gateway, .. } => {
                let owner = self.cloud.gateway(*gateway)?.owner;
                if owner != self.ask.caller.account {
                    return None;
                }
                self.component(&mut xml, "component", ResourceId::Gateway(*gateway), None);
            }
            Step::Relayed { interface, .. } => {
                let has = self.cloud.interface(*interface)?;
                if !self.is_own(has.vpc) {
                    return None;
                }
                let of = match has.host {
                    Host::NatGateway(nat) => ResourceId::NatGateway(nat),
                    _ => ResourceId::Interface(*interface),
                };
                self.component(&mut xml, "component", of, None);
                self.vpc(&mut xml, "vpc", has.vpc);
            }
            Step::Delivered { interface } => {
                return self.endpoint(*interface, "inboundHeader", &journey.walk.packet);
            }
            _ => return None,
        }
        Some(xml.finish())
    }

    fn origin(&self, table: RouteTableId, destination: IpNet) -> Option<&'static str> {
        self.cloud.route_to(table, destination).map(|route| route.origin.code())
    }

    // ---- what stands in the way ---------------------------------------------------------------------

    /// One explanation for each blocker; those in one other account are one.
    fn explanations(&self, xml: &mut Xml, trip: &RoundTrip, blockers: &[Blocker]) {
        let mut parts: Vec<String> = Vec::new();
        let mut others: Vec<AccountId> = Vec::new();
        for blocker in blockers {
            let part = match self.foreign(blocker) {
                Some(account) => {
                    if !others.contains(&account) {
                        others.push(account);
                    }
                    elsewhere(account)
                }
                None => self.explanation(trip, blocker),
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        if parts.is_empty() {
            // Nothing that a walk meets: a way that no change can make.
            let mut part = Xml::part();
            part.text("explanationCode", "NO_PATH");
            parts.push(part.finish());
        }
        xml.set("explanationSet", parts, |xml, part| xml.raw(&part));
        if !others.is_empty() {
            xml.values("suggestedAccountSet", others);
        }
    }

    /// The other account in which the blocker stands, if it does.
    fn foreign(&self, blocker: &Blocker) -> Option<AccountId> {
        let caller = self.ask.caller.account;
        let at = match blocker.fault {
            Fault::Dropped(_, at) | Fault::OtherSource(at) => at,
            Fault::OtherHost(id) => Location::Interface(id),
        };
        let vpc = match at {
            Location::Interface(id) => self.cloud.interface(id)?.vpc,
            Location::Table(id) => self.cloud.table(id)?.vpc,
            Location::Vpc(id) => id,
            Location::Acl(id) => self.cloud.acl(id)?.vpc,
            Location::Gateway(id) => {
                let owner = self.cloud.gateway(id)?.owner;
                return (owner != caller).then_some(owner);
            }
            Location::Peering(id) => {
                let peering = self.cloud.peering(id)?;
                let accounts = [peering.requester().account, peering.accepter().account];
                return (!accounts.contains(&caller)).then_some(accounts[0]);
            }
        };
        self.owner(vpc).filter(|owner| *owner != caller)
    }

    fn explanation(&self, trip: &RoundTrip, blocker: &Blocker) -> String {
        let mut xml = Xml::part();
        let journey = match (blocker.way, &trip.back) {
            (Way::Back, Some(back)) => back,
            _ => &trip.there,
        };
        let destination = match blocker.way {
            Way::There => trip.there.packet.destination(),
            Way::Back => trip.there.packet.source(),
        };
        let (reason, at) = match blocker.fault {
            Fault::Dropped(reason, at) => (Some(reason), at),
            Fault::OtherHost(id) => (None, Location::Interface(id)),
            Fault::OtherSource(at) => (None, at),
        };
        let direction = match reason {
            Some(DropReason::GroupEgress | DropReason::AclEgress) => Some("egress"),
            Some(DropReason::GroupIngress | DropReason::AclIngress) => Some("ingress"),
            _ => None,
        };
        let code = match (reason, blocker.fault) {
            (_, Fault::OtherHost(_)) => "MORE_SPECIFIC_ROUTE",
            (Some(DropReason::InterfaceDown), _) => "BAD_STATE",
            (Some(reason), _) => reason.aws_code().unwrap_or("NO_PATH"),
            (None, _) => "NO_PATH",
        };
        match at {
            Location::Acl(id) => {
                self.component(&mut xml, "acl", ResourceId::NetworkAcl(id), None);
                let decided = journey.walk.steps.iter().rev().find_map(|step| match step {
                    Step::Acl { acl, direction, entry } if *acl == id => Some((direction, entry)),
                    _ => None,
                });
                if let Some((direction, entry)) = decided {
                    write_acl_rule(&mut xml, *direction, *entry, journey.packet.family());
                }
            }
            Location::Gateway(id) => {
                let element = match id {
                    GatewayId::Internet(_) => "internetGateway",
                    GatewayId::Vpn(_) => "vpnGateway",
                    GatewayId::Endpoint(_) => "vpcEndpoint",
                    GatewayId::EgressOnly(_) => "component",
                };
                self.component(&mut xml, element, ResourceId::Gateway(id), None);
            }
            _ => {}
        }
        match at {
            Location::Peering(_) | Location::Table(_) | Location::Vpc(_) => {
                xml.text("address", destination);
            }
            _ => {}
        }
        if let Location::Peering(id) = at {
            self.peering(&mut xml, id);
        }
        xml.maybe("direction", direction);
        xml.text("explanationCode", code);
        match at {
            Location::Interface(id) => self.interface(&mut xml, id, direction),
            Location::Table(id) => self.table(&mut xml, id, destination),
            Location::Vpc(id) => self.vpc(&mut xml, "vpc", id),
            _ => {}
        }
        xml.text("componentAccount", self.ask.caller.account);
        xml.text("componentRegion", self.ask.caller.region.as_str());
        xml.finish()
    }

    fn peering(&self, xml: &mut Xml, id: PeeringId) {
        let of = ResourceId::Peering(id);
        self.component(xml, "component", of, None);
        self.component(xml, "vpcPeeringConnection", of, None);
        let Some(peering) = self.cloud.peering(id) else { return };
        // From the caller's end to the other.
        let (near, far) = match self.is_own(peering.requester().vpc) {
            true => (peering.requester().vpc, peering.accepter().vpc),
            false => (peering.accepter().vpc, peering.requester().vpc),
        };
        let blocks = self.cloud.vpc(far).map(|vpc| vpc.blocks().to_vec()).unwrap_or_default();
        if peering.active(self.ask.now).is_some() {
            xml.values("cidrSet", blocks);
        }
        xml.text("state", peering.status(self.ask.now).code());
        self.vpc(xml, "sourceVpc", near);
        self.vpc(xml, "destinationVpc", far);
    }

    fn interface(&self, xml: &mut Xml, id: InterfaceId, direction: Option<&str>) {
        self.component(xml, "networkInterface", ResourceId::Interface(id), None);
        let Some(interface) = self.cloud.interface(id) else { return };
        if direction.is_some() {
            xml.set("securityGroupSet", &interface.groups, |xml, group| {
                let of = ResourceId::SecurityGroup(*group);
                xml.text("id", of);
                let (owner, region) = (self.ask.caller.account, self.ask.caller.region.as_str());
                xml.text("arn", arn_of(owner, region, resource_type(of), of));
            });
        }
        self.component(xml, "subnet", ResourceId::Subnet(interface.subnet), None);
        self.vpc(xml, "vpc", interface.vpc);
    }

    fn table(&self, xml: &mut Xml, id: RouteTableId, destination: IpAddr) {
        self.component(xml, "routeTable", ResourceId::RouteTable(id), None);
        let covering =
            self.cloud.routes(id).filter(|route| route.destination.contains(&destination));
        if let Some(route) = covering.max_by_key(|route| route.destination.prefix_len()) {
            let state = self.cloud.route_state(route.hop, self.ask.now);
            let taken = Match { destination: route.destination, hop: route.hop, state };
            write_route(xml, &taken, Some(route.origin.code()));
        }
        if let Some(table) = self.cloud.table(id) {
            self.vpc(xml, "vpc", table.vpc);
        }
    }
}

/// Something of another account stands in the way: no more than that.
fn elsewhere(account: AccountId) -> String {
    let mut xml = Xml::part();
    xml.text("explanationCode", "NO_POSSIBLE_DESTINATION");
    xml.text("componentAccount", account);
    xml.finish()
}

fn write_range(xml: &mut Xml, range: PortRange) {
    xml.text("from", range.first());
    xml.text("to", range.last());
}

fn write_header(xml: &mut Xml, element: &str, packet: &Packet) {
    let flow = packet.flow();
    let one = |xml: &mut Xml, element: &str, port: u16| {
        xml.set(element, [PortRange::one(port)], write_range);
    };
    xml.group(element, |xml| {
        xml.values("destinationAddressSet", [IpNet::from(flow.destination)]);
        one(xml, "destinationPortRangeSet", flow.destination_port);
        xml.text("protocol", flow.protocol.0);
        xml.values("sourceAddressSet", [IpNet::from(flow.source)]);
        one(xml, "sourcePortRangeSet", flow.source_port);
    });
}

/// The protocol and the ports of a rule.
fn write_traffic(xml: &mut Xml, traffic: Traffic) {
    match traffic {
        Traffic::Tcp(range) | Traffic::Udp(range) => {
            xml.group("portRange", |xml| write_range(xml, range));
        }
        _ => {}
    }
    match traffic {
        Traffic::All => xml.text("protocol", "all"),
        Traffic::Tcp(_) => xml.text("protocol", "tcp"),
        Traffic::Udp(_) => xml.text("protocol", "udp"),
        Traffic::Icmp(_) => xml.text("protocol", "icmp"),
        Traffic::Icmpv6(_) => xml.text("protocol", "icmpv6"),
        Traffic::Other(protocol) => xml.text("protocol", protocol.0),
    }
}

fn write_group_rule(xml: &mut Xml, group: SecurityGroupId, direction: Direction, rule: &GroupRule) {
    xml.group("securityGroupRule", |xml| {
        match rule.peer {
            RulePeer::Block(block) => xml.text("cidr", block),
            RulePeer::PrefixList(list) => xml.text("prefixListId", list),
            // The shape has one id: that of the group which the rule names.
            RulePeer::Group(_) => {}
        }
        xml.text("direction", direction.name());
        let shown = if let RulePeer::Group(named) = rule.peer { named } else { group };
        xml.text("securityGroupId", shown);
        write_traffic(xml, rule.traffic);
    });
}

fn write_acl_rule(
    xml: &mut Xml,
    direction: Direction,
    entry: Option<(RuleNumber, AclEntry)>,
    family: Family,
) {
    xml.group("aclRule", |xml| {
        let egress = direction == Direction::Egress;
        let Some((number, entry)) = entry else {
            let all = match family {
                Family::V4 => "0.0.0.0/0",
                Family::V6 => "::/0",
            };
            xml.text("cidr", all);
            xml.text("egress", egress);
            xml.text("protocol", "all");
            xml.text("ruleAction", "deny");
            let number = DENY_ALL.iter().find(|(of, _)| *of == family);
            xml.maybe("ruleNumber", number.map(|(_, number)| number));
            return;
        };
        xml.text("cidr", entry.block);
        xml.text("egress", egress);
        write_traffic(xml, entry.traffic);
        xml.text("ruleAction", entry.action.name());
        xml.text("ruleNumber", number);
    });
}

fn write_route(xml: &mut Xml, taken: &Match, origin: Option<&str>) {
    xml.group("routeTableRoute", |xml| {
        xml.text("destinationCidr", taken.destination);
        match taken.hop {
            Hop::Local => xml.text("gatewayId", "local"),
            Hop::To(RouteTarget::Gateway(id @ GatewayId::EgressOnly(_))) => {
                xml.text("egressOnlyInternetGatewayId", id);
            }
            Hop::To(RouteTarget::Gateway(id)) => xml.text("gatewayId", id),
            Hop::To(RouteTarget::Nat(id)) => xml.text("natGatewayId", id),
            Hop::To(RouteTarget::Interface(id)) => xml.text("networkInterfaceId", id),
            Hop::To(RouteTarget::Peering(id)) => xml.text("vpcPeeringConnectionId", id),
        }
        xml.maybe("origin", origin);
        let state = match taken.state {
            RouteState::Active => RouteState::Active.code(),
            RouteState::Blackhole => RouteState::Blackhole.code(),
        };
        xml.text("state", state);
    });
}
