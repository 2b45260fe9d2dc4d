//! A network as a file: what a cloud holds, in the format of scenario files.
//!
//! Holds the writer of network files. A packet meets the same fate in the network that such a file
//! declares as in the cloud it was written of; what the format cannot say is a warning, and stands in
//! the file as a comment. Refuses to read files (`scenario` does), and to leave anything out silently.

mod labels;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::account::Region;
use crate::cloud::dns::Switch;
use crate::cloud::event::ResourceId;
use crate::cloud::filter::Direction;
use crate::cloud::flow_log::{Recording, Watched};
use crate::cloud::gateway::{GatewayId, Line};
use crate::cloud::instance::{Host, InstanceState, Interface, SourceDestCheck};
use crate::cloud::network_acl::AclEntry;
use crate::cloud::peering::{End, Status};
use crate::cloud::profile::Profile;
use crate::cloud::route_table::{Blackhole, RouteTarget};
use crate::cloud::security_group::{GroupRule, RulePeer};
use labels::Labels;

/// A network file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// The file.
    pub text: String,
    /// What the format cannot say, a sentence each. They stand in the file too.
    pub warnings: Vec<String>,
}

/// Writes the network of a cloud as it is now, or what one account has of it. `name` is the line that
/// says what the file shows.
pub fn network(cloud: &Cloud, now: Instant, account: Option<AccountId>, name: &str) -> Export {
    let mut writer = Writer::new(cloud, now, account);
    writer.accounts();
    writer.vpcs();
    writer.peerings();
    writer.routes();
    writer.prefix_lists();
    writer.groups();
    writer.acls();
    writer.gateways();
    writer.outside();
    writer.instances();
    writer.flow_logs();
    writer.idle_addresses();
    writer.services();
    let Writer { out, warnings, .. } = writer;
    let mut text = String::from("vpclab: 1\n");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "name: {}", quoted(name));
    if cloud.profile() != Profile::Seed {
        let _ = writeln!(
            text,
            "# The scenario that names this file needs `profile: {}`.",
            cloud.profile()
        );
    }
    if cloud.blackhole() != Blackhole::default() {
        let _ = writeln!(
            text,
            "# The scenario that names this file needs `blackhole: {}`.",
            cloud.blackhole().name()
        );
    }
    for warning in &warnings {
        let _ = writeln!(text, "# Not said here: {}", warning.replace(['\n', '\r'], " "));
    }
    text += &out;
    Export { text, warnings }
}

/// A text in double quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A block or address; one of IPv6 has colons, which YAML minds.
fn block(block: impl Display) -> String {
    let text = block.to_string();
    if text.contains(':') { format!("\"{text}\"") } else { text }
}

/// `a`, or `[a, b]`.
fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [one] => one.as_ref().to_owned(),
        _ => {
            let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

struct Writer<'c> {
    cloud: &'c Cloud,
    now: Instant,
    /// Whose part is written; all if it is nobody's.
    account: Option<AccountId>,
    out: String,
    warnings: Vec<String>,
    /// Empty if all belongs to the account that files have by default.
    accounts: BTreeMap<AccountId, String>,
    vpcs: BTreeMap<VpcId, String>,
    tables: BTreeMap<RouteTableId, String>,
    subnets: BTreeMap<SubnetId, String>,
    acls: BTreeMap<NetworkAclId, String>,
    peerings: BTreeMap<PeeringId, String>,
    gateways: BTreeMap<GatewayId, String>,
    nats: BTreeMap<NatGatewayId, String>,
    /// What stands for an interface: an instance of its own.
    interfaces: BTreeMap<InterfaceId, String>,
    groups: BTreeMap<SecurityGroupId, String>,
    lists: BTreeMap<PrefixListId, String>,
}

impl<'c> Writer<'c> {
    /// Gives everything its label.
    fn new(cloud: &'c Cloud, now: Instant, account: Option<AccountId>) -> Writer<'c> {
        let is_meant = |owner: AccountId| account.is_none_or(|account| account == owner);
        let of_vpcs = cloud.vpcs().map(|(_, vpc)| vpc.owner);
        let owners = of_vpcs.chain(cloud.prefix_lists().map(|(_, list)| list.owner));
        let owners: BTreeSet<AccountId> = owners.filter(|owner| is_meant(*owner)).collect();
        let accounts = match owners.iter().all(|owner| *owner == AccountId::DEFAULT) {
            true => BTreeMap::new(),
            false => owners.into_iter().map(|owner| (owner, format!("a{owner}"))).collect(),
        };
        let name = |of: ResourceId| cloud.name(of);
        let mut writer = Writer {
            cloud,
            now,
            account,
            out: String::new(),
            warnings: Vec::new(),
            accounts,
            vpcs: BTreeMap::new(),
            tables: BTreeMap::new(),
            subnets: BTreeMap::new(),
            acls: BTreeMap::new(),
            peerings: BTreeMap::new(),
            gateways: BTreeMap::new(),
            nats: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            groups: BTreeMap::new(),
            lists: BTreeMap::new(),
        };
        let mut of_vpcs = Labels::default();
        for (id, vpc) in cloud.vpcs().filter(|(_, vpc)| is_meant(vpc.owner)) {
            let label = of_vpcs.give(name(ResourceId::Vpc(id)), &id.to_string());
            let mut inside = Labels::default();
            for table in vpc.tables() {
                let text = if *table == vpc.main_table() {
                    label.clone()
                } else {
                    let own = inside.give(name(ResourceId::RouteTable(*table)), &table.to_string());
                    format!("{label}/{own}")
                };
                writer.tables.insert(*table, text);
            }
            let mut inside = Labels::default();
            for subnet in vpc.subnets() {
                let own = inside.give(name(ResourceId::Subnet(*subnet)), &subnet.to_string());
                writer.subnets.insert(*subnet, format!("{label}/{own}"));
            }
            let mut inside = Labels::default();
            // Its own list has this label.
            inside.give(Some("default"), "");
            for acl in vpc.acls() {
                let own = if *acl == vpc.default_acl() {
                    "default".to_owned()
                } else {
                    inside.give(name(ResourceId::NetworkAcl(*acl)), &acl.to_string())
                };
                writer.acls.insert(*acl, format!("{label}/{own}"));
            }
            writer.vpcs.insert(id, label);
        }
        // Instances, peerings and gateways share their labels.
        let mut shared = Labels::default();
        for (id, interface) in cloud.interfaces() {
            if !writer.vpcs.contains_key(&interface.vpc) {
                continue;
            }
            if let Host::Instance(instance) = interface.host {
                let named = name(ResourceId::Instance(instance));
                let label = shared.give(named, &instance.to_string());
                writer.interfaces.insert(id, label);
            }
        }
        for peering in cloud.peerings() {
            let ends = [peering.requester().vpc, peering.accepter().vpc];
            let known = ends.map(|vpc| writer.vpcs.contains_key(&vpc));
            let status = peering.status(now);
            let id = peering.id();
            let says = matches!(
                status,
                Status::InitiatingRequest
                    | Status::PendingAcceptance
                    | Status::Provisioning
                    | Status::Active
            );
            if known == [true, true] && says {
                let label = shared.give(name(ResourceId::Peering(id)), &id.to_string());
                writer.peerings.insert(id, label);
            } else if known != [false, false] && says {
                writer.warn(format!("{id} leads to a VPC that is not in this file"));
            }
        }
        for (id, gateway) in cloud.gateways().filter(|(_, gateway)| is_meant(gateway.owner)) {
            match gateway.vpc {
                Some(vpc) if writer.vpcs.contains_key(&vpc) => {
                    let label = shared.give(name(ResourceId::Gateway(id)), &id.to_string());
                    writer.gateways.insert(id, label);
                }
                _ => writer.warn(format!("{id} is attached to no VPC")),
            }
        }
        for (id, nat) in cloud.nat_gateways() {
            if writer.vpcs.contains_key(&nat.vpc) {
                let label = shared.give(name(ResourceId::NatGateway(id)), &id.to_string());
                writer.nats.insert(id, label);
            }
        }
        let mut filters = Labels::default();
        for (id, group) in cloud.groups() {
            let Some(vpc) = writer.vpcs.get(&group.vpc) else { continue };
            let is_default = cloud.vpc(group.vpc).is_some_and(|vpc| vpc.default_group() == id);
            let own = if is_default { format!("{vpc}-default") } else { group.name.clone() };
            let named = name(ResourceId::SecurityGroup(id)).unwrap_or(&own);
            writer.groups.insert(id, filters.give(Some(named), &id.to_string()));
        }
        for (id, _) in cloud.prefix_lists().filter(|(_, list)| is_meant(list.owner)) {
            let label = filters.give(name(ResourceId::PrefixList(id)), &id.to_string());
            writer.lists.insert(id, label);
        }
        writer
    }

    fn warn(&mut self, what: String) {
        self.warnings.push(what);
    }

    /// A line of the file.
    fn line(&mut self, depth: usize, text: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{:1$}{text}", "", 2 * depth);
    }

    /// `key: {a: b, ...}`, below the heading of its kind.
    fn row(&mut self, key: &str, fields: &[(&str, String)]) {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        self.line(1, format!("{key}: {{{}}}", fields.join(", ")));
    }

    /// Who owns something and where, if that goes without saying nowhere.
    fn whose(&self, owner: AccountId, region: &Region) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        fields.extend(self.accounts.get(&owner).map(|label| ("account", label.clone())));
        if *region != Region::default() {
            fields.push(("region", region.to_string()));
        }
        fields
    }

    fn own(label: &str) -> &str {
        label.split_once('/').map_or(label, |(_, own)| own)
    }

    // ---- nouns ----------------------------------------------------------------------------------

    fn accounts(&mut self) {
        if self.accounts.is_empty() {
            return;
        }
        self.line(0, "accounts:");
        for (id, label) in self.accounts.clone() {
            self.row(&label, &[("id", quoted(&id.to_string()))]);
        }
    }

    fn vpcs(&mut self) {
        if self.vpcs.is_empty() {
            return;
        }
        self.line(0, "vpcs:");
        for (id, label) in self.vpcs.clone() {
            let Some(vpc) = self.cloud.vpc(id) else { continue };
            self.line(1, format!("{label}:"));
            let (v4, v6): (Vec<&IpNet>, Vec<&IpNet>) =
                vpc.blocks().iter().partition(|block| matches!(block, IpNet::V4(_)));
            let blocks = |blocks: &[&IpNet]| list(&blocks.iter().map(block).collect::<Vec<_>>());
            self.line(2, format!("cidr: {}", blocks(&v4)));
            if !v6.is_empty() {
                self.line(2, format!("ipv6: {}", blocks(&v6)));
            }
            for (name, value) in self.whose(vpc.owner, &vpc.region) {
                self.line(2, format!("{name}: {value}"));
            }
            let dns = vpc.dns();
            if dns.support == Switch::Off {
                self.line(2, "dns_support: false");
            }
            if dns.hostnames == Switch::On {
                self.line(2, "dns_hostnames: true");
            }
            let further = vpc.tables().iter().filter(|table| **table != vpc.main_table());
            let further: Vec<String> = further
                .filter_map(|table| self.tables.get(table).map(|label| Self::own(label).to_owned()))
                .collect();
            if !further.is_empty() {
                self.line(2, format!("route_tables: [{}]", further.join(", ")));
            }
            if vpc.subnets().is_empty() {
                self.line(2, "subnets: {}");
                continue;
            }
            self.line(2, "subnets:");
            for id in vpc.subnets() {
                self.subnet(*id);
            }
        }
    }

    fn subnet(&mut self, id: SubnetId) {
        let (Some(subnet), Some(label)) = (self.cloud.subnet(id), self.subnets.get(&id)) else {
            return;
        };
        let mut fields = vec![format!("cidr: {}", subnet.cidr)];
        fields.extend(subnet.ipv6.map(|ipv6| format!("ipv6: {}", block(ipv6))));
        fields.push(format!("az: {}", subnet.zone.as_str()));
        let table = subnet.association().map(|(_, table)| table);
        let main = self.cloud.vpc(subnet.vpc).map(|vpc| vpc.main_table());
        if let Some(table) = table.filter(|table| Some(*table) != main) {
            fields
                .extend(self.tables.get(&table).map(|t| format!("route_table: {}", Self::own(t))));
        }
        let (_, acl) = subnet.acl();
        let default = self.cloud.vpc(subnet.vpc).map(|vpc| vpc.default_acl());
        if Some(acl) != default {
            fields.extend(self.acls.get(&acl).map(|a| format!("network_acl: {}", Self::own(a))));
        }
        let line = format!("{}: {{{}}}", Self::own(label), fields.join(", "));
        self.line(3, line);
    }

    fn peerings(&mut self) {
        if self.peerings.is_empty() {
            return;
        }
        self.line(0, "peerings:");
        for (id, label) in self.peerings.clone() {
            let Some(peering) = self.cloud.peering(id) else { continue };
            let vpc =
                |end: End| self.vpcs.get(&peering.party(end).vpc).cloned().unwrap_or_default();
            let mut fields =
                vec![("requester", vpc(End::Requester)), ("accepter", vpc(End::Accepter))];
            if !peering.is_accepted(self.now) {
                fields.push(("accepted", "false".to_owned()));
            }
            let opens =
                |end: End| peering.dns_from_peer(peering.party(end).vpc) == Some(Switch::On);
            for end in [End::Requester, End::Accepter].into_iter().filter(|end| opens(*end)) {
                let side = match end {
                    End::Requester => "requester",
                    End::Accepter => "accepter",
                };
                self.warn(format!(
                    "a DNS option of `{label}`: begin with the step `modify-peering-options: \
                     {{peering: {label}, side: {side}, dns_from_peer: true}}`"
                ));
            }
            self.row(&label, &fields);
        }
    }

    fn routes(&mut self) {
        let mut heading = Some("routes:");
        for (id, label) in self.tables.clone() {
            let Some(table) = self.cloud.table(id) else { continue };
            let mut rows = Vec::new();
            for (destination, target) in table.routes() {
                let known = match target {
                    RouteTarget::Peering(id) => self.peerings.get(&id),
                    RouteTarget::Interface(id) => self.interfaces.get(&id),
                    RouteTarget::Gateway(id) => self.gateways.get(&id),
                    RouteTarget::Nat(id) => self.nats.get(&id),
                };
                match known {
                    Some(target) => rows.push(format!("{}: {target}", block(destination))),
                    None => self.warn(format!(
                        "the route of table `{label}` for {destination} to {target}, which leads nowhere: \
                         packets that it takes are dropped as `blackhole`"
                    )),
                }
            }
            if rows.is_empty() {
                continue;
            }
            if let Some(heading) = heading.take() {
                self.line(0, heading);
            }
            self.line(1, format!("{label}: {{{}}}", rows.join(", ")));
        }
    }

    fn prefix_lists(&mut self) {
        let mut heading = Some("prefix_lists:");
        for (id, label) in self.lists.clone() {
            let Some(prefixes) = self.cloud.prefix_list(id) else { continue };
            let entries: Vec<String> = prefixes.entries.iter().map(block).collect();
            if entries.is_empty() {
                self.lists.remove(&id);
                self.warn(format!("the prefix list `{label}`, which is empty"));
                continue;
            }
            if let Some(heading) = heading.take() {
                self.line(0, heading);
            }
            let mut fields = vec![("entries", format!("[{}]", entries.join(", ")))];
            fields.extend(self.whose(prefixes.owner, &prefixes.region));
            self.row(&label, &fields);
        }
    }

    fn groups(&mut self) {
        // A group that a VPC was born with stands here only if somebody uses it.
        let mut used: BTreeSet<SecurityGroupId> = BTreeSet::new();
        for (_, interface) in self.cloud.interfaces() {
            used.extend(&interface.groups);
        }
        for (own, group) in self.cloud.groups() {
            let rules = Direction::ALL.into_iter().flat_map(|direction| group.rules(direction));
            used.extend(rules.filter_map(|rule| match rule.peer {
                RulePeer::Group(id) if id != own => Some(id),
                _ => None,
            }));
        }
        let is_born = |id: SecurityGroupId, vpc: VpcId| {
            self.cloud.vpc(vpc).is_some_and(|vpc| vpc.default_group() == id)
        };
        let rows: Vec<(SecurityGroupId, String)> = self
            .groups
            .iter()
            .filter(|(id, _)| {
                let group = self.cloud.group(**id);
                group.is_some_and(|group| used.contains(id) || !is_born(**id, group.vpc))
            })
            .map(|(id, label)| (*id, label.clone()))
            .collect();
        if !rows.is_empty() {
            self.line(0, "security_groups:");
        }
        for (id, label) in rows {
            let Some(group) = self.cloud.group(id) else { continue };
            let vpc = self.vpcs.get(&group.vpc).cloned().unwrap_or_default();
            let mut fields = vec![("vpc", vpc)];
            let ingress = self.rules(&label, group.rules(Direction::Ingress), "from");
            if !ingress.is_empty() {
                fields.push(("ingress", format!("[{}]", ingress.join(", "))));
            }
            let egress = group.rules(Direction::Egress);
            let all = GroupRule::everybody();
            if egress.len() != all.len() || !all.iter().all(|rule| egress.contains(rule)) {
                let egress = self.rules(&label, egress, "to");
                fields.push(match egress.is_empty() {
                    true => ("egress", "none".to_owned()),
                    false => ("egress", format!("[{}]", egress.join(", "))),
                });
            }
            self.row(&label, &fields);
        }
    }

    fn rules(&mut self, group: &str, rules: &[GroupRule], far: &str) -> Vec<String> {
        let mut out = Vec::new();
        for rule in rules {
            let peer = match rule.peer {
                // The rules of 2014-15 know no IPv6, and no packet of it.
                RulePeer::Block(IpNet::V6(_)) if self.cloud.profile() == Profile::Seed => continue,
                RulePeer::Block(of) => Some(block(of)),
                RulePeer::PrefixList(list) => self.lists.get(&list).cloned(),
                RulePeer::Group(group) => self.groups.get(&group).cloned(),
            };
            match peer {
                Some(peer) => out.push(format!("{{allow: {}, {far}: {peer}}}", rule.traffic)),
                None => self.warn(format!(
                    "a rule of group `{group}` about {}, which matches nothing here",
                    rule.peer
                )),
            }
        }
        out
    }

    fn acls(&mut self) {
        let mut heading = Some("network_acls:");
        for (id, label) in self.acls.clone() {
            let Some(acl) = self.cloud.acl(id) else { continue };
            let is_default = label.ends_with("/default");
            let sides =
                [(Direction::Ingress, "ingress", "from"), (Direction::Egress, "egress", "to")];
            let mut fields = Vec::new();
            for (direction, name, far) in sides {
                let entries = acl.entries(direction);
                let is_born = is_default && allows_all(entries.values());
                if is_born {
                    continue;
                }
                let mut rows: Vec<String> = entries
                    .iter()
                    .filter(|(_, entry)| self.says(entry))
                    .map(|(number, entry)| {
                        let AclEntry { traffic, block: of, action } = entry;
                        format!("{number}: {{{}: {traffic}, {far}: {}}}", action.name(), block(of))
                    })
                    .collect();
                if rows.is_empty() {
                    // What nothing matches is denied; the format has no word for a list of nothing.
                    rows.push(format!("32766: {{deny: all, {far}: 0.0.0.0/0}}"));
                }
                fields.push((name, format!("{{{}}}", rows.join(", "))));
            }
            if fields.is_empty() {
                continue;
            }
            if let Some(heading) = heading.take() {
                self.line(0, heading);
            }
            self.row(&label, &fields);
        }
    }

    /// Can an entry be said? The rules of 2014-15 know no IPv6.
    fn says(&self, entry: &AclEntry) -> bool {
        self.cloud.profile() != Profile::Seed || matches!(entry.block, IpNet::V4(_))
    }

    fn public(&self, interface: InterfaceId, private: Ipv4Addr) -> Option<String> {
        self.cloud.public_address(interface, private).map(|address| address.to_string())
    }

    fn gateways(&mut self) {
        if self.gateways.is_empty() && self.nats.is_empty() {
            return;
        }
        self.line(0, "gateways:");
        for (id, label) in self.gateways.clone() {
            let Some(gateway) = self.cloud.gateway(id) else { continue };
            let vpc = gateway.vpc.and_then(|vpc| self.vpcs.get(&vpc)).cloned().unwrap_or_default();
            let kind = match (id, gateway.line) {
                (GatewayId::Internet(_), _) => "internet",
                (GatewayId::EgressOnly(_), _) => "egress-only",
                (GatewayId::Endpoint(_), _) => "endpoint",
                (GatewayId::Vpn(_), Some(Line::DirectConnect)) => "direct-connect",
                (GatewayId::Vpn(_), _) => "vpn",
            };
            let mut fields = vec![("type", kind.to_owned()), ("vpc", vpc)];
            let beyond: Vec<String> = gateway.beyond.iter().map(block).collect();
            let learning = self.tables.iter().filter(|(table, _)| {
                self.cloud.table(**table).is_some_and(|table| table.learns_from(id))
            });
            let learning: Vec<String> = learning.map(|(_, label)| label.clone()).collect();
            let [blocks, tables] = match id {
                GatewayId::Endpoint(_) => ["cidrs", "route_tables"],
                _ => ["on_premises", "propagate_to"],
            };
            fields.extend(gateway.service.iter().map(|service| ("service", service.clone())));
            if !beyond.is_empty() {
                fields.push((blocks, list(&beyond)));
            }
            if !learning.is_empty() {
                fields.push((tables, list(&learning)));
            }
            self.row(&label, &fields);
        }
        for (id, label) in self.nats.clone() {
            let Some(nat) = self.cloud.nat_gateway(id) else { continue };
            let Some(interface) = self.cloud.interface(nat.interface) else { continue };
            let subnet = self.subnets.get(&interface.subnet).cloned().unwrap_or_default();
            let mut fields = vec![("type", "nat".to_owned()), ("subnet", subnet)];
            match primary(interface).and_then(|private| self.public(nat.interface, private)) {
                Some(public) => fields.push(("public_ip", public)),
                None => self.warn(format!("that `{label}` has no public address")),
            }
            self.warn(format!(
                "the private address of `{label}`, which gets the lowest that instances leave free"
            ));
            self.row(&label, &fields);
        }
    }

    fn outside(&mut self) {
        let mut heading = Some("outside:");
        let mut labels = Labels::default();
        for (id, host) in self.cloud.outside_hosts() {
            let named = self.cloud.name(ResourceId::Interface(id));
            let label = labels.give(named, &id.to_string());
            let Some(beyond) = self.gateways.get(&host.beyond).cloned() else {
                self.warn(format!("the outside host `{label}`, whose gateway is not in this file"));
                continue;
            };
            if let Some(heading) = heading.take() {
                self.line(0, heading);
            }
            let addresses: Vec<String> = host.addresses.iter().map(block).collect();
            self.row(&label, &[("ip", list(&addresses)), ("beyond", beyond)]);
        }
    }

    fn instances(&mut self) {
        for (id, interface) in self.cloud.interfaces() {
            if interface.host == Host::Nobody && self.vpcs.contains_key(&interface.vpc) {
                self.warn(format!("the interface {id}, which belongs to no instance"));
            }
        }
        if self.interfaces.is_empty() {
            return;
        }
        self.line(0, "instances:");
        for (id, label) in self.interfaces.clone() {
            let Some(interface) = self.cloud.interface(id) else { continue };
            self.instance(id, &label, interface);
        }
    }

    fn instance(&mut self, id: InterfaceId, label: &str, interface: &Interface) {
        let subnet = self.subnets.get(&interface.subnet).cloned().unwrap_or_default();
        let mut fields = vec![("subnet", subnet)];
        let v6 = interface.addresses.iter().find(|address| address.is_ipv6());
        fields.extend(primary(interface).map(|address| ("ip", address.to_string())));
        fields.extend(v6.map(|address| ("ipv6", block(address))));
        let said = [primary(interface).map(IpAddr::V4), v6.copied()];
        for further in interface.addresses.iter().filter(|one| !said.contains(&Some(**one))) {
            self.warn(format!("the further address {further} of `{label}`"));
        }
        if interface.source_dest_check == SourceDestCheck::Off {
            fields.push(("source_dest_check", "false".to_owned()));
        }
        let groups: Vec<String> =
            interface.groups.iter().filter_map(|group| self.groups.get(group).cloned()).collect();
        if groups.is_empty() {
            self.warn(format!("that `{label}` has no security group"));
        } else {
            fields.push(("groups", list(&groups)));
        }
        for address in &interface.addresses {
            let IpAddr::V4(private) = address else { continue };
            let Some(public) = self.public(id, *private) else { continue };
            let leads_out = self.cloud.internet_gateway_of(interface.vpc).is_some();
            if Some(*private) == primary(interface) && leads_out {
                fields.push(("public_ip", public));
            } else {
                self.warn(format!("that {public} stands for {private} of `{label}`"));
            }
        }
        if let Some(instance) = interface.instance().and_then(|id| self.cloud.instance(id)) {
            if instance.state == InstanceState::Stopped {
                self.warn(format!(
                    "that `{label}` is stopped: begin with the step `stop-instance: {label}`"
                ));
            }
            if instance.interface() != Some(id) {
                self.warn(format!(
                    "that `{label}` is a further interface of an instance; here it is one by itself"
                ));
            }
        }
        self.row(label, &fields);
    }

    /// Public addresses that are held and stand for nothing.
    fn idle_addresses(&mut self) {
        for (_, held) in self.cloud.public_addresses() {
            let is_meant = self.account.is_none_or(|account| account == held.owner);
            if is_meant && held.association.is_none() {
                self.warn(format!("the public address {}, which stands for nothing", held.address));
            }
        }
    }

    /// What hosts do with what they get is no part of a cloud, and so of no file that is written of it.
    fn services(&mut self) {
        if !self.interfaces.is_empty() {
            self.warn(
                "which TCP ports instances serve, and who sends on packets that are for others: \
                 `listen` and `role`"
                    .to_owned(),
            );
        }
    }

    fn flow_logs(&mut self) {
        let mut heading = Some("flow_logs:");
        let mut labels = Labels::default();
        for (id, log) in self.cloud.flow_logs() {
            let of = match log.of {
                Watched::Vpc(vpc) => self.vpcs.get(&vpc),
                Watched::Subnet(subnet) => self.subnets.get(&subnet),
                Watched::Interface(interface) => self.interfaces.get(&interface),
            };
            let Some(of) = of.cloned() else { continue };
            let label = labels.give(self.cloud.name(ResourceId::FlowLog(id)), &id.to_string());
            let mut fields = vec![("of", of)];
            let Recording { traffic, interval, format } = &log.recording;
            let usual = Recording::default();
            if *traffic != usual.traffic {
                fields.push(("traffic", traffic.name().to_owned()));
            }
            if *interval != usual.interval {
                fields.push(("interval", interval.name().to_owned()));
            }
            if *format != usual.format {
                fields.push(("format", quoted(&format.to_string())));
            }
            if let Some(heading) = heading.take() {
                self.line(0, heading);
            }
            self.row(&label, &fields);
        }
    }
}

/// The primary private address of an interface.
fn primary(interface: &Interface) -> Option<Ipv4Addr> {
    interface.addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

/// Do these entries allow everything, as those that a VPC is born with?
fn allows_all<'e>(entries: impl Iterator<Item = &'e AclEntry>) -> bool {
    use crate::cloud::filter::Traffic;
    use crate::cloud::network_acl::AclAction;
    let all = |entry: &AclEntry| {
        entry.traffic == Traffic::All
            && entry.action == AclAction::Allow
            && entry.block.prefix_len() == 0
    };
    // One for each family: two of IPv4 would be as many, and let no IPv6 pass.
    let mut of = [0_u32; 2];
    let mut entries = entries.inspect(|entry| of[usize::from(entry.block.addr().is_ipv6())] += 1);
    entries.all(all) && of == [1, 1]
}
