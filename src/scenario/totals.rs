//! Whether a file asks for more resources than one scenario may have.
//!
//! Holds the count of what the declared network and the steps introduce, before anything of it is
//! built. Refuses to enforce quotas: those are the cloud's, and an account may raise them.

use std::collections::BTreeMap;

use super::ast::{Action, File, Filter, GatewayAction, GatewayKind, Label};
use super::code;
use crate::base::diag::{Diagnostic, Diagnostics, Place};
use crate::base::limit::{
    SCENARIO_ACCOUNTS_MAX, SCENARIO_INTERFACES_MAX, SCENARIO_ROUTES_MAX, SCENARIO_RULES_MAX,
    SCENARIO_SUBNETS_MAX, SCENARIO_VPCS_MAX,
};

/// One kind of resource, counted.
struct Total {
    what: &'static str,
    max: usize,
    count: usize,
    /// Where the first one too many is introduced.
    beyond: Option<Place>,
}

impl Total {
    const fn new(what: &'static str, max: usize) -> Total {
        Total { what, max, count: 0, beyond: None }
    }

    fn add(&mut self, n: usize, place: Place) {
        self.count = self.count.saturating_add(n);
        if self.count > self.max {
            self.beyond.get_or_insert(place);
        }
    }
}

/// Complains once for each kind of resource of which there are too many, at the first one beyond the
/// limit. A step that expects to be refused counts like any other: it may be wrong.
pub(super) fn check(file: &File, diagnostics: &mut Diagnostics) {
    let mut accounts = Total::new("accounts", SCENARIO_ACCOUNTS_MAX);
    let mut vpcs = Total::new("VPCs", SCENARIO_VPCS_MAX);
    let mut subnets = Total::new("subnets", SCENARIO_SUBNETS_MAX);
    let mut interfaces = Total::new("network interfaces", SCENARIO_INTERFACES_MAX);
    let mut routes = Total::new("routes", SCENARIO_ROUTES_MAX);

    let mut rules = Total::new("rules and entries", SCENARIO_RULES_MAX);

    let network = &file.network;
    network.accounts.iter().for_each(|account| accounts.add(1, account.label.place));
    for vpc in &network.vpcs {
        vpcs.add(1, vpc.label.place);
        match &vpc.subnets {
            Some(named) => named.iter().for_each(|subnet| subnets.add(1, subnet.label.place)),
            // One default subnet for each block.
            None => subnets.add(vpc.cidrs.len(), vpc.label.place),
        }
    }
    network.instances.iter().for_each(|instance| interfaces.add(1, instance.label.place));
    network.routes.iter().for_each(|route| routes.add(1, route.destination.place));
    for group in &network.security_groups {
        let of_group = group.ingress.iter().chain(&group.egress).flatten();
        of_group.for_each(|rule| rules.add(1, rule.traffic.place));
    }
    for list in &network.prefix_lists {
        list.entries.iter().for_each(|entry| rules.add(1, entry.place));
    }
    for acl in &network.network_acls {
        let of_acl = acl.ingress.iter().chain(&acl.egress).flatten();
        of_acl.for_each(|entry| rules.add(1, entry.number.place));
    }
    // Routes that follow from a gateway count too, one for each block and table.
    let mut blocks: BTreeMap<&Label, usize> = BTreeMap::new();
    for gateway in &network.gateways {
        let label = &gateway.label;
        let (prefixes, tables) = match &gateway.kind {
            GatewayKind::Internet { .. } | GatewayKind::EgressOnly { .. } => continue,
            GatewayKind::Nat { .. } => {
                interfaces.add(1, label.place);
                continue;
            }
            GatewayKind::Vpn { on_premises, propagate_to, .. } => (on_premises, propagate_to),
            GatewayKind::Endpoint { service, route_tables, .. } => (&service.cidrs, route_tables),
        };
        blocks.insert(&label.value, prefixes.len());
        routes.add(prefixes.len().saturating_mul(tables.len()), label.place);
    }
    network.outside.iter().for_each(|host| interfaces.add(1, host.label.place));
    for step in &file.steps {
        match &step.action {
            Action::Gateway(action) => {
                let of = |label: &Label, blocks: &BTreeMap<&Label, usize>| {
                    blocks.get(label).copied().unwrap_or_default()
                };
                match action {
                    GatewayAction::CreateVpnGateway(new) => {
                        blocks.insert(&new.new.name.value, new.on_premises.len());
                    }
                    GatewayAction::EnablePropagation(propagation) => {
                        routes.add(of(&propagation.gateway.value, &blocks), step.place);
                    }
                    GatewayAction::CreateVpcEndpoint(new) => {
                        let prefixes = new.service.cidrs.len();
                        blocks.insert(&new.name.value, prefixes);
                        routes.add(prefixes.saturating_mul(new.route_tables.len()), step.place);
                    }
                    GatewayAction::ModifyVpcEndpoint(modify) => {
                        let prefixes = of(&modify.endpoint.value, &blocks);
                        routes.add(prefixes.saturating_mul(modify.add.len()), step.place);
                    }
                    GatewayAction::CreateNatGateway(_) | GatewayAction::PlaceOutsideHost(_) => {
                        interfaces.add(1, step.place);
                    }
                    _ => {}
                }
            }
            Action::CreateVpc(_) => vpcs.add(1, step.place),
            Action::CreateSubnet(_) => subnets.add(1, step.place),
            Action::RunInstance(_) => interfaces.add(1, step.place),
            Action::CreateRoute(_) => routes.add(1, step.place),
            Action::Filter(Filter::Authorize(_) | Filter::CreateNetworkAclEntry(_)) => {
                rules.add(1, step.place);
            }
            Action::Filter(Filter::CreateManagedPrefixList(new)) => {
                rules.add(new.entries.len(), step.place);
            }
            Action::Filter(Filter::ModifyManagedPrefixList(modify)) => {
                rules.add(modify.add.len(), step.place);
            }
            _ => {}
        }
    }
    for total in [accounts, vpcs, subnets, interfaces, routes, rules] {
        let Some(place) = total.beyond else { continue };
        let Total { what, max, count, .. } = total;
        let message = format!("the file has {count} {what}, a scenario may have {max}");
        diagnostics
            .push(Diagnostic::at(place, code::TOO_LARGE, message).label("the first one too many"));
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::scenario::load::parse;

    /// The messages about a file, each with the text at its place.
    fn messages(text: &str) -> Vec<(String, String)> {
        let Err(failure) = parse("x", text) else { return Vec::new() };
        let row = |d: &Diagnostic| {
            (d.place.map_or("", |p| &text[p.range()]).to_owned(), d.message.clone())
        };
        failure.diagnostics.iter().map(row).collect()
    }

    fn vpcs(n: usize) -> String {
        let mut text = String::from("vpclab: 1\nname: many\nvpcs:\n");
        for i in 0..n {
            writeln!(text, "  v{i}: {{cidr: 10.0.0.0/24}}").unwrap();
        }
        text
    }

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        assert_eq!(messages(&vpcs(SCENARIO_VPCS_MAX)), []);
        let want = "the file has 1001 VPCs, a scenario may have 1000";
        let marked = |text: &str| [(text.to_owned(), want.to_owned())];
        assert_eq!(messages(&vpcs(SCENARIO_VPCS_MAX + 1)), marked("v1000"));
        let step = "steps:\n- create-vpc: {name: more, cidr: 10.0.0.0/24}\n";
        assert_eq!(messages(&(vpcs(SCENARIO_VPCS_MAX) + step)), marked("create-vpc"));
    }

    #[test]
    fn rules_and_entries_count_together() {
        let blocks = vec!["10.0.0.0/8"; SCENARIO_RULES_MAX].join(", ");
        let text = format!(
            "vpclab: 1\nname: many\nvpcs: {{A: {{cidr: 10.0.0.0/16}}}}\nprefix_lists: {{l: [{blocks}]}}\n"
        );
        assert_eq!(messages(&text), []);
        let want = "the file has 100001 rules and entries, a scenario may have 100000";
        // Groups are counted before lists, ACLs after them.
        for (more, place) in [
            ("security_groups: {g: {vpc: A, egress: [{allow: tcp 22, to: l}]}}\n", "10.0.0.0/8"),
            ("network_acls: {A/x: {ingress: {7: {deny: all, from: 10.0.0.0/8}}}}\n", "7"),
        ] {
            let marked = [(place.to_owned(), want.to_owned())];
            assert_eq!(messages(&(text.clone() + more)), marked, "{more}");
        }
    }

    #[test]
    fn default_subnets_count() {
        let mut text = String::from("vpclab: 1\nname: many\nprofile: today\nvpcs:\n");
        let blocks: Vec<String> = (0..11).map(|i| format!("10.{i}.0.0/16")).collect();
        for i in 0..910 {
            writeln!(text, "  v{i}: {{cidr: [{}]}}", blocks.join(", ")).unwrap();
        }
        let want = "the file has 10010 subnets, a scenario may have 10000";
        assert_eq!(messages(&text), [("v909".to_owned(), want.to_owned())]);
    }
}
