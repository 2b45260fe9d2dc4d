//! The declared network.

use super::read::Read;
use super::{Decoder, Fields, switch, truth, whole_number, word};
use crate::base::diag::Spanned;
use crate::base::diag::{Diagnostic, Place};
use crate::base::limit::LINK_DELAY_MAX;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::quota::Quota;
use crate::forward::middlebox::Role;
use crate::scenario::ast::{
    Account, Instance, Label, Link, Network, NetworkAcl, Peering, Placement, Route, Subnet,
    TableRef, Vpc,
};
use crate::scenario::code;
use crate::scenario::format::{ACCOUNT, INSTANCE, LINK, PEERING, QUOTAS, SUBNET, VPC};
use crate::scenario::yaml::{Entry, Node, Value};

impl Decoder<'_> {
    pub(super) fn network(&mut self, fields: &Fields<'_>) -> Network {
        Network {
            accounts: self.each(fields.get("accounts"), Self::account),
            vpcs: self.each(fields.get("vpcs"), Self::vpc),
            peerings: self.each(fields.get("peerings"), Self::peering),
            routes: fields.get("routes").map(|n| self.routes(n)).unwrap_or_default(),
            security_groups: self.each(fields.get("security_groups"), Self::security_group),
            prefix_lists: self.each(fields.get("prefix_lists"), Self::prefix_list),
            network_acls: self.network_acls(fields.get("network_acls")),
            instances: self.each(fields.get("instances"), |decoder, label, node| {
                let place = label.place;
                decoder.instance(label, &Fields::of(node, &INSTANCE), place)
            }),
            gateways: self.each(fields.get("gateways"), Self::gateway),
            outside: self.each(fields.get("outside"), Self::declared_outside_host),
            flow_logs: self.each(fields.get("flow_logs"), Self::declared_flow_log),
        }
    }

    /// Reads what stands under each label, and remembers the labels under which nothing could be
    /// read.
    fn each<T>(
        &mut self,
        node: Option<&Node>,
        mut one: impl FnMut(&mut Self, Spanned<Label>, &Node) -> Option<T>,
    ) -> Vec<T> {
        let mut out = Vec::new();
        for entry in entries(node) {
            let label = self.read_text(&entry.key, entry.key_place);
            match label.and_then(|label| one(self, label, &entry.value)) {
                Some(value) => out.push(value),
                None => {
                    self.unread.insert(entry.key.clone());
                }
            }
        }
        out
    }

    fn account(&mut self, label: Spanned<Label>, node: &Node) -> Option<Account> {
        let fields = Fields::of(node, &ACCOUNT);
        let id = fields.get("id").and_then(|n| self.read(n));
        let mut quotas = Vec::new();
        if let Some(node) = fields.get("quotas") {
            let fields = Fields::of(node, &QUOTAS);
            for quota in Quota::ALL {
                let Some(entry) = fields.entry(quota.name()) else { continue };
                let value = whole_number(&entry.value);
                quotas.extend(value.map(|v| (Spanned::new(quota, entry.key_place), v)));
            }
        }
        Some(Account { label, id: id?, quotas })
    }

    fn vpc(&mut self, label: Spanned<Label>, node: &Node) -> Option<Vpc> {
        let fields = Fields::of(node, &VPC);
        let cidrs: Vec<_> = fields.get("cidr").map(|n| self.read_all(n)).unwrap_or_default();
        let vpc = Vpc {
            label,
            ipv6: fields.get("ipv6").map(|n| self.read_all(n)).unwrap_or_default(),
            account: fields.get("account").and_then(|n| self.read(n)),
            region: fields.get("region").and_then(|n| self.read(n)),
            dns_support: fields.get("dns_support").and_then(switch),
            dns_hostnames: fields.get("dns_hostnames").and_then(switch),
            route_tables: fields.get("route_tables").map(|n| self.read_all(n)).unwrap_or_default(),
            subnets: fields.get("subnets").map(|n| self.each(Some(n), Self::subnet)),
            link: self.link(fields.get("link")),
            cidrs,
        };
        (!vpc.cidrs.is_empty()).then_some(vpc)
    }

    fn subnet(&mut self, label: Spanned<Label>, node: &Node) -> Option<Subnet> {
        let fields = Fields::of(node, &SUBNET);
        let cidr = fields.get("cidr").and_then(|n| self.read(n));
        let ipv6 = fields.get("ipv6").and_then(|n| self.read(n));
        let az = fields.get("az").and_then(|n| self.read(n));
        let route_table = fields.get("route_table").and_then(|n| self.read(n));
        let network_acl = fields.get("network_acl").and_then(|n| self.read(n));
        Some(Subnet { label, cidr: cidr?, ipv6, az, route_table, network_acl })
    }

    fn peering(&mut self, label: Spanned<Label>, node: &Node) -> Option<Peering> {
        let fields = Fields::of(node, &PEERING);
        let requester = fields.get("requester").and_then(|n| self.read(n));
        let accepter = fields.get("accepter").and_then(|n| self.read(n));
        let accepted = fields.get("accepted").and_then(truth).is_none_or(|a| a.value);
        let link = self.link(fields.get("link"));
        Some(Peering { label, requester: requester?, accepter: accepter?, accepted, link })
    }

    fn routes(&mut self, node: &Node) -> Vec<Route> {
        let mut out = Vec::new();
        for table_entry in entries(Some(node)) {
            let table = self.read_text::<TableRef>(&table_entry.key, table_entry.key_place);
            for entry in entries(Some(&table_entry.value)) {
                let destination = self.read_text(&entry.key, entry.key_place);
                let target = self.read(&entry.value);
                if let (Some(table), Some(destination), Some(target)) =
                    (&table, destination, target)
                {
                    out.push(Route { table: table.clone(), destination, target });
                }
            }
        }
        out
    }

    fn network_acls(&mut self, node: Option<&Node>) -> Vec<NetworkAcl> {
        entries(node).iter().filter_map(|entry| self.network_acl(entry)).collect()
    }

    /// Reads a declared instance, or one that a step starts; `owner` stands for it.
    pub(super) fn instance(
        &mut self,
        label: Spanned<Label>,
        fields: &Fields<'_>,
        owner: Place,
    ) -> Option<Instance> {
        let placement = self.placement(fields, owner);
        let ip = fields.get("ip").and_then(|n| self.read(n));
        let ipv6 = fields.get("ipv6").and_then(|n| self.read(n));
        let source_dest_check =
            fields.get("source_dest_check").and_then(truth).map(|t| check(t.value));
        let groups = fields.get("groups").map(|n| self.read_all(n)).unwrap_or_default();
        // A step that starts an instance has neither: each would be a command of its own.
        let public_ip = if fields.has("public_ip") { fields.get("public_ip") } else { None };
        let public_ip = public_ip.and_then(|n| self.read(n));
        let role = fields.get("role").and_then(|n| word(n, Role::from_name));
        let listen = fields.get("listen").map(whole_numbers).unwrap_or_default();
        let link = if fields.has("link") { self.link(fields.get("link")) } else { Link::default() };
        Some(Instance {
            label,
            placement: placement?,
            ip,
            ipv6,
            source_dest_check: source_dest_check.unwrap_or_default(),
            role: role.map(|role| role.value),
            listen,
            groups,
            public_ip,
            link,
        })
    }

    fn placement(&mut self, fields: &Fields<'_>, owner: Place) -> Option<Placement> {
        let (vpc, subnet) = (fields.entry("vpc"), fields.entry("subnet"));
        match (vpc, subnet) {
            (Some(vpc), None) => self.read(&vpc.value).map(Placement::Vpc),
            (None, Some(subnet)) => self.read(&subnet.value).map(Placement::Subnet),
            (Some(vpc), Some(subnet)) => {
                self.diagnostics.push(
                    Diagnostic::at(
                        subnet.key_place,
                        code::COMBINATION,
                        "an instance is placed by `vpc` or by `subnet`, not by both",
                    )
                    .also(vpc.key_place, "the other one")
                    .help("leave out `vpc`: a subnet belongs to one VPC"),
                );
                None
            }
            (None, None) => {
                self.diagnostics.push(
                    Diagnostic::at(owner, code::MISSING_KEY, "an instance needs `vpc` or `subnet`")
                        .help("say where it is, for example `vpc: A` or `subnet: A/web`"),
                );
                None
            }
        }
    }

    pub(super) fn link(&mut self, node: Option<&Node>) -> Link {
        let Some(node) = node else { return Link::default() };
        let fields = Fields::of(node, &LINK);
        let delay = |decoder: &mut Self, key| {
            let node = fields.get(key)?;
            decoder.span(node, LINK_DELAY_MAX).map(|s| s.value)
        };
        Link {
            latency: delay(self, "latency"),
            jitter: delay(self, "jitter"),
            loss: self.plain(fields.get("loss")),
            rate: self.plain(fields.get("rate")),
            queue: fields.get("queue").and_then(whole_number).map(|q| q.value),
        }
    }

    /// Reads a value whose place does not matter later.
    pub(super) fn plain<T: Read>(&mut self, node: Option<&Node>) -> Option<T> {
        node.and_then(|n| self.read(n)).map(|s| s.value)
    }
}

/// One whole number or a list of them.
pub(super) fn whole_numbers(node: &Node) -> Vec<Spanned<u16>> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(whole_number).collect(),
        _ => whole_number(node).into_iter().collect(),
    }
}

/// What a boolean says about a check.
pub(super) fn check(value: bool) -> SourceDestCheck {
    if value { SourceDestCheck::On } else { SourceDestCheck::Off }
}

fn entries(node: Option<&Node>) -> &[Entry] {
    match node.map(|n| &n.value) {
        Some(Value::Mapping(entries)) => entries,
        _ => &[],
    }
}
