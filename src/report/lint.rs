//! Findings of lint in words: what a terminal prints and JSON carries.
//!
//! Holds the sentences, with names in place of ids. Refuses to find anything, and to leave anything
//! out: what is listed is what the finding holds, long lists cut after a few with their number.

mod middleboxes;

use std::fmt;

use crate::cloud::Cloud;
use crate::cloud::event::ResourceId;
use crate::cloud::filter::Direction;
use crate::cloud::gateway::GatewayId;
use crate::cloud::network_acl::{AclEntry, RuleNumber};
use crate::cloud::route_table::{Hop, RouteTarget};
use crate::reach::lint::{
    Astray, Direct, Edge, Evidence, Fate, Finding, LintRule, Lost, Miss, PeeringRoute,
    PeeringRoutes, Severity, Spoke, Subject, Unusable,
};
use crate::report::names::Names;

/// A finding in words.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Told {
    /// The rule that found it.
    pub rule: LintRule,
    /// What kind of thing it is about: `table`, `peering`, `acl`.
    pub noun: &'static str,
    /// What that is called.
    pub subject: String,
    /// Its id.
    pub id: String,
    /// What was found.
    pub message: String,
    /// What would help, one sentence each; never empty.
    pub help: Vec<String>,
}

/// `warning[hub-transit] table B: ...`, and below it a line for each help.
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, rule) = (self.rule.severity().name(), self.rule);
        write!(f, "{severity}[{rule}] {} {}: {}", self.noun, self.subject, self.message)?;
        for help in &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// The findings of one network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Linted {
    /// The file that describes it, as it was named.
    pub file: String,
    /// What was found, by rule, then by name.
    pub findings: Vec<Told>,
}

impl Linted {
    /// How many findings have this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|told| told.rule.severity() == severity).count()
    }
}

/// A finding in words, with the names that things have in `cloud`.
pub fn told(finding: &Finding, cloud: &Cloud) -> Told {
    let words = Words { names: Names(cloud), cloud };
    let (noun, subject, id) = words.subject(finding.subject);
    let (message, help) = words.evidence(finding.subject, &finding.evidence);
    Told { rule: finding.rule(), noun, subject, id, message, help }
}

/// Names listed before the rest is only counted.
const LISTED: usize = 4;

fn listed(items: impl IntoIterator<Item = String>) -> String {
    listed_by(", ", items)
}

fn listed_by(separator: &str, items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    let shown = items.len().min(LISTED);
    let text = items[..shown].join(separator);
    match items.len() - shown {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Each once, in order of first occurrence.
fn each_once(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    items.for_each(|item| {
        if !out.contains(&item) {
            out.push(item);
        }
    });
    out
}

struct Words<'c> {
    names: Names<'c>,
    cloud: &'c Cloud,
}

impl Words<'_> {
    fn subject(&self, subject: Subject) -> (&'static str, String, String) {
        let names = self.names;
        match subject {
            Subject::Account(id) => ("account", id.to_string(), id.to_string()),
            Subject::Vpc(id) => ("vpc", names.vpc(id), id.to_string()),
            Subject::Subnet(id) => ("subnet", names.subnet(id), id.to_string()),
            Subject::Table(id) => ("table", names.table(id), id.to_string()),
            Subject::Peering(id) => ("peering", names.peering(id), id.to_string()),
            Subject::Group(id) => ("group", names.group(id), id.to_string()),
            Subject::PrefixList(id) => {
                let name = self.cloud.name(ResourceId::PrefixList(id));
                let name = name.map_or_else(|| id.to_string(), str::to_owned);
                ("prefix list", name, id.to_string())
            }
            Subject::Acl(id) => ("acl", names.acl(id), id.to_string()),
            Subject::Nat(id) => ("nat gateway", names.nat(id), id.to_string()),
            Subject::Interface(id) => ("interface", names.interface(id), id.to_string()),
        }
    }

    fn evidence(&self, subject: Subject, evidence: &Evidence) -> (String, Vec<String>) {
        let names = self.names;
        match evidence {
            Evidence::HubTransit { route, beyond } => self.hub_transit(subject, route, beyond),
            Evidence::EdgeTransit { route, edges } => {
                let peer = names.vpc(route.peer);
                let beyond = listed(edges.iter().map(|edge| self.edge(*edge)));
                let serve = if edges.len() == 1 { "serves" } else { "serve" };
                let message = format!(
                    "{} ends at {peer}; {beyond} of {peer} {serve} {peer} alone",
                    self.route(route)
                );
                let help = format!("give {} an edge of its own", self.vpc_of(subject));
                (message, vec![help])
            }
            Evidence::NotInPeer { route, why } => self.not_in_peer(route, *why),
            Evidence::WiderThanPeer { route, blocks } => {
                let blocks = listed(blocks.iter().map(ToString::to_string));
                let message = format!(
                    "{} covers more than {} ({blocks}); the rest is dropped",
                    self.route(route),
                    names.vpc(route.peer)
                );
                (message, vec![format!("narrow it to {blocks}")])
            }
            Evidence::BlackholeRoute { destination, target, why } => {
                self.blackhole(format!("{destination} -> {}", self.target(*target)), *target, *why)
            }
            Evidence::ShadowedRoute { destination, target, by } => {
                let by = listed(by.iter().map(ToString::to_string));
                let route = format!("{destination} -> {}", self.target(*target));
                let message = format!("no packet takes {route}: all of it goes to {by}");
                (message, vec![format!("delete {destination}, or what it was to take from")])
            }
            Evidence::CheckedMiddlebox { role, routes } => self.checked(*role, routes),
            Evidence::IdleMiddlebox { routes } => self.idle(routes),
            Evidence::RoutingLoop { ring, destinations } => self.ring(ring, destinations),
            Evidence::NoReturnRoute { routes, lost } => {
                let message =
                    format!("nothing answers over {}: {}", self.routes(routes), self.lost(lost));
                (message, self.missing(routes, lost))
            }
            Evidence::PartialReturn { routes, lost } => {
                let message =
                    format!("not all answer over {}: {}", self.routes(routes), self.lost(lost));
                (message, self.missing(routes, lost))
            }
            Evidence::AsymmetricReturn { routes, astray } => self.asymmetric(routes, astray),
            Evidence::HubOverlap { spokes } => {
                let spoke = |(vpc, over, block): &(_, _, _)| {
                    format!("{block} of {} (over {})", names.vpc(*vpc), names.peering(*over))
                };
                let mut spokes: Vec<String> = spokes.iter().map(spoke).collect();
                spokes.sort();
                let message = format!(
                    "{} overlap: the longest route alone decides who gets a packet",
                    listed_by(" and ", spokes)
                );
                (message, vec!["route the parts of the common block by themselves".to_owned()])
            }
            Evidence::Ipv4OnlyPeering { ends: [a, b] } => {
                let (a, b) = (names.vpc(*a), names.vpc(*b));
                let message =
                    format!("{a} and {b} have IPv6 blocks, and only IPv4 routes lead into it");
                (message, vec!["add routes for the IPv6 blocks on both sides".to_owned()])
            }
            Evidence::ShadowedEntry { direction, entry, by } => {
                let message = format!(
                    "{direction} entry {} never decides: entry {} does the opposite before it",
                    self.entry(*direction, entry),
                    self.entry(*direction, by)
                );
                (message, vec![format!("give it a number below {}, or delete one of them", by.0)])
            }
            Evidence::RedundantEntry { direction, entry, by } => {
                let message = format!(
                    "{direction} entry {} never decides: entry {} does the same before it",
                    self.entry(*direction, entry),
                    self.entry(*direction, by)
                );
                (message, vec![format!("delete entry {}", entry.0)])
            }
            Evidence::AclNoAnswers { requests, entry, protocol } => {
                let back = requests.opposite();
                let message = format!(
                    "{requests} entry {} lets {protocol} requests pass, but no {back} entry lets an answer pass",
                    self.entry(*requests, entry)
                );
                let far = far(back);
                let block = entry.1.block;
                (message, vec![format!("allow {protocol} 1024-65535 {far} {block} ({back})")])
            }
            Evidence::StaleGroupRule { direction, rule } => {
                let rule = names.rule(*direction, rule);
                let message = format!(
                    "the {direction} rule `{rule}` matches nothing: no active peering leads to that group"
                );
                (message, vec!["revoke it, or peer the two VPCs again".to_owned()])
            }
            Evidence::UnusedGroup => (
                "no interface has it and no rule names it".to_owned(),
                vec!["delete it, or give it to an instance".to_owned()],
            ),
            Evidence::SilentGroup { interfaces } => {
                let who = listed(interfaces.iter().map(|id| names.interface(*id)));
                let message =
                    format!("nothing gets in or out of {who}: none of their groups has a rule");
                (message, vec!["authorise what they need".to_owned()])
            }
            Evidence::AclDeniesAll { directions } => {
                let ways = listed_by(" and no ", directions.iter().map(ToString::to_string));
                let message = format!("it guards a subnet, and no {ways} entry allows anything");
                (message, vec!["allow what the subnet needs, and its answers".to_owned()])
            }
            Evidence::IgwNoPublicAddress { table, destination, gateway, instances } => {
                let name = |id: &_| {
                    let resource = ResourceId::Instance(*id);
                    self.cloud.name(resource).map_or_else(|| id.to_string(), str::to_owned)
                };
                let message = format!(
                    "table {} sends {destination} to {}, but nobody here has a public address: {}",
                    names.table(*table),
                    names.gateway(*gateway),
                    listed(instances.iter().map(name))
                );
                let help =
                    "give them public addresses, or route to a NAT gateway in another subnet";
                (message, vec![help.to_owned()])
            }
            Evidence::NatNoInternet { subnet, table } => {
                let (subnet, table) = (names.subnet(*subnet), names.table(*table));
                let message = format!(
                    "it stands in subnet {subnet}, and table {table} leads to no internet gateway"
                );
                let help =
                    format!("route 0.0.0.0/0 in table {table} to the VPC's internet gateway");
                (message, vec![help])
            }
            Evidence::PublicNoGateway { address, table } => {
                let table = names.table(*table);
                let message = format!(
                    "it has the public address {address}, and table {table} leads to no internet gateway: answers are lost"
                );
                let help =
                    format!("route 0.0.0.0/0 in table {table} to the VPC's internet gateway");
                (message, vec![help])
            }
            Evidence::UnusedPeering { ends: [a, b] } => {
                let (a, b) = (names.vpc(*a), names.vpc(*b));
                let message = format!("no table of {a} or {b} leads into it");
                (message, vec!["add routes on both sides, or delete it".to_owned()])
            }
            Evidence::ExpiringRequest { expires_at, asked } => {
                let message = format!("nobody has accepted it, and it expires at {expires_at}");
                (message, vec![format!("the owner of {} has to accept it", names.vpc(*asked))])
            }
            Evidence::NearQuota { quota, used, limit } => {
                let message = format!("{used} of {limit} used of the quota {}", quota.name());
                (message, vec!["have the quota raised, or make do with less".to_owned()])
            }
        }
    }

    fn route(&self, route: &PeeringRoute) -> String {
        format!("{} -> {}", route.destination, self.names.peering(route.peering))
    }

    fn routes(&self, routes: &PeeringRoutes) -> String {
        let destinations = listed(routes.destinations.iter().map(ToString::to_string));
        format!("{destinations} -> {}", self.names.peering(routes.peering))
    }

    fn target(&self, target: RouteTarget) -> String {
        self.names.hop(Hop::To(target))
    }

    fn blocks_of(&self, route: &PeeringRoute) -> String {
        let blocks = self.cloud.vpc(route.peer).map_or(&[][..], |vpc| vpc.blocks());
        listed(blocks.iter().map(ToString::to_string))
    }

    /// The VPC of a table.
    fn vpc_of(&self, subject: Subject) -> String {
        match subject {
            Subject::Table(id) => {
                self.cloud.table(id).map_or_else(String::new, |table| self.names.vpc(table.vpc))
            }
            other => self.subject(other).1,
        }
    }

    fn not_in_peer(&self, route: &PeeringRoute, why: Miss) -> (String, Vec<String>) {
        let (peer, blocks) = (self.names.vpc(route.peer), self.blocks_of(route));
        let why = match why {
            Miss::Elsewhere => {
                format!("leads to {peer} ({blocks}), which has none of these addresses")
            }
            Miss::TakenByLonger => format!(
                "leads to {peer}, but longer routes take all addresses of {peer} ({blocks}); the rest is dropped"
            ),
        };
        let message = format!("{} {why}", self.route(route));
        (message, vec!["correct the destination or the target".to_owned()])
    }

    fn hub_transit(
        &self,
        subject: Subject,
        route: &PeeringRoute,
        beyond: &[Spoke],
    ) -> (String, Vec<String>) {
        let (names, own) = (self.names, self.vpc_of(subject));
        let spoke = |s: &Spoke| format!("{} (over {})", names.vpc(s.vpc), names.peering(s.over));
        let mut spokes: Vec<String> = beyond.iter().map(spoke).collect();
        spokes.sort();
        let message = format!(
            "{} ends at {}; beyond it {} {}, but peering is not transitive",
            self.route(route),
            names.vpc(route.peer),
            if beyond.len() == 1 { "lies" } else { "lie" },
            listed(spokes),
        );
        let mut help = Vec::new();
        let mut peer: Vec<String> = beyond
            .iter()
            .filter(|spoke| spoke.direct == Direct::Peer)
            .map(|spoke| names.vpc(spoke.vpc))
            .collect();
        if !peer.is_empty() {
            peer.sort();
            help.push(format!("peer {own} with {}, with routes on both sides", listed(peer)));
        }
        for spoke in beyond {
            let other = names.vpc(spoke.vpc);
            help.extend(match spoke.direct {
                Direct::Peer => None,
                Direct::Peered(by) => Some(format!(
                    "route {other} over {}, its peering with {own}",
                    names.peering(by)
                )),
                Direct::Overlap(mine, theirs) => Some(format!(
                    "{own} and {other} cannot be peered: {mine} and {theirs} overlap; readdress one"
                )),
                Direct::OtherRegion => Some(format!(
                    "{own} and {other} cannot be peered under `seed`: they are in two regions"
                )),
            });
        }
        (message, help)
    }

    fn edge(&self, edge: Edge) -> String {
        match edge {
            Edge::Gateway(id) => {
                let kind = match id {
                    GatewayId::Internet(_) => "the internet gateway",
                    GatewayId::Vpn(_) => "the private gateway",
                    GatewayId::Endpoint(_) => "the endpoint",
                    GatewayId::EgressOnly(_) => "the egress-only internet gateway",
                };
                format!("{kind} {}", self.names.gateway(id))
            }
            Edge::Nat(id) => format!("the NAT gateway {}", self.names.nat(id)),
        }
    }

    fn blackhole(
        &self,
        route: String,
        target: RouteTarget,
        why: Unusable,
    ) -> (String, Vec<String>) {
        use crate::cloud::peering::Status;
        let name = self.target(target);
        let delete = "delete the route or give it another target";
        let (is, help) = match why {
            Unusable::Peering(status @ Status::PendingAcceptance) => {
                (format!("{name} is {status}"), format!("accept {name}"))
            }
            Unusable::Peering(status @ (Status::InitiatingRequest | Status::Provisioning)) => {
                (format!("{name} is {status}"), "wait until it is active".to_owned())
            }
            Unusable::Peering(status) => (format!("{name} is {status}"), delete.to_owned()),
            Unusable::Stopped => (format!("{name} is stopped"), format!("start {name}")),
            Unusable::Detached => {
                (format!("{name} is attached to no VPC"), format!("attach {name}, or {delete}"))
            }
            Unusable::Gone => (format!("{name} is gone"), delete.to_owned()),
        };
        (format!("{route} is a blackhole: {is}"), vec![help])
    }

    fn lost(&self, lost: &[Lost]) -> String {
        let one = |lost: &Lost| {
            let table = self.names.table(lost.table);
            match lost.by {
                None => format!("table {table} has no route to {}", lost.to),
                Some((by, hop)) => {
                    format!("table {table} sends {} along {by} -> {}", lost.to, self.names.hop(hop))
                }
            }
        };
        listed(lost.iter().map(one))
    }

    fn missing(&self, routes: &PeeringRoutes, lost: &[Lost]) -> Vec<String> {
        let over = self.names.peering(routes.peering);
        let mend = |lost: &Lost| {
            let (to, table) = (lost.to, self.names.table(lost.table));
            match lost.by {
                Some((by, _)) if by == to => format!("point {to} in table {table} at {over}"),
                _ => format!("add {to} -> {over} to table {table}"),
            }
        };
        let mended = each_once(lost.iter().map(mend));
        vec![listed_by("; ", mended)]
    }

    fn asymmetric(&self, routes: &PeeringRoutes, astray: &[Astray]) -> (String, Vec<String>) {
        let names = self.names;
        let one = |a: &Astray| {
            let fate = match a.fate {
                Fate::Misdelivered => "which has these addresses too",
                Fate::Dropped => "which drops them",
            };
            format!(
                "table {} answers {} along {} -> {} into {}, {fate}",
                names.table(a.table),
                a.to,
                a.by,
                names.peering(a.over),
                names.vpc(a.into)
            )
        };
        let all: Vec<String> = astray.iter().map(one).collect();
        let message =
            format!("answers to {} go elsewhere: {}", self.routes(routes), listed_by("; ", all));
        let over = names.peering(routes.peering);
        let mend = |a: &Astray| {
            let (to, table) = (a.to, names.table(a.table));
            match (to == a.by, a.fate) {
                (false, _) => format!("add {to} -> {over} to table {table}"),
                (true, Fate::Dropped) => format!("point {to} in table {table} at {over}"),
                // Whoever has these addresses in the other VPC needs the route that is there.
                (true, Fate::Misdelivered) => format!(
                    "add routes longer than {to}, to {over}, for those who ask, to table {table}"
                ),
            }
        };
        (message, each_once(astray.iter().take(LISTED).map(mend)))
    }

    fn entry(&self, direction: Direction, (number, entry): &(RuleNumber, AclEntry)) -> String {
        let (action, far) = (entry.action.name(), far(direction));
        format!("{number} ({action} {} {far} {})", entry.traffic, entry.block)
    }
}

/// Before the far end of what goes this way.
const fn far(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}
