//! Whether every label that a file uses is carried by something at that point of the timeline.
//!
//! Holds the walk over the declared network and then the steps, which introduce labels one by one.
//! Refuses to look up anything: what a label stands for at run time is the lowering's business, and
//! whether a resource still exists is the cloud's.

mod filter;
mod flow_log;
mod gateway;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::ast::{
    AccountRef, AclName, Action, Destination, Expect, File, Filter, Flow, Instance, Label,
    Location, NameRef, NamedTableRef, Network, PeeringRef, Placement, Step, SubnetRef, TableRef,
    TargetRef, Vpc, VpcRef,
};
use super::code;
use crate::base::diag::{Diagnostic, Diagnostics, Place, Spanned};
use crate::base::id::AccountId;
use gateway::GATEWAYS;
pub(super) use gateway::new_owned;
use scope::{Kind, Outcome, Scope};

/// Complains about labels that nothing carries and labels that are taken. Labels in `unread` belong
/// to what could not be read, and are taken on trust.
///
/// Costs a logarithm of the number of labels for each use of one, and a walk over all labels for
/// each of the first few that are unknown.
pub fn check(file: &File, unread: &BTreeSet<String>, diagnostics: &mut Diagnostics) {
    let scope = Scope::new(unread, introductions(&file.steps), diagnostics);
    let mut names = Names { scope, accounts: BTreeSet::new() };
    names.network(&file.network);
    for step in &file.steps {
        names.step(step);
    }
}

/// A label that a step introduces.
struct Introduction<'f> {
    kind: Kind,
    /// The label, or `VPC/label` for what belongs to a VPC.
    name: String,
    label: &'f Spanned<Label>,
}

fn introduction(action: &Action) -> Option<Introduction<'_>> {
    let (kind, vpc, label) = match action {
        Action::RequestPeering(new) => (Kind::Peering, None, &new.name),
        Action::CreateVpc(new) => (Kind::Vpc, None, &new.name),
        Action::CreateSubnet(new) => (Kind::Subnet, Some(&new.vpc), &new.name),
        Action::CreateRouteTable(new) => (Kind::Table, Some(&new.vpc), &new.name),
        Action::RunInstance(new) => (Kind::Instance, None, &new.label),
        Action::Filter(Filter::CreateSecurityGroup(new)) => (Kind::Group, None, &new.name),
        Action::Filter(Filter::CreateManagedPrefixList(new)) => {
            (Kind::PrefixList, None, &new.label)
        }
        Action::Filter(Filter::CreateNetworkAcl(new)) => (Kind::Acl, Some(&new.vpc), &new.name),
        Action::Gateway(action) => return gateway::introduction(action),
        Action::FlowLog(action) => return flow_log::introduction(action),
        _ => return None,
    };
    let name = match vpc {
        Some(vpc) => format!("{}/{}", vpc.value, label.value),
        None => label.value.to_string(),
    };
    Some(Introduction { kind, name, label })
}

fn is_refused(step: &Step) -> bool {
    matches!(step.expect, Some(Spanned { value: Expect::Refused(_), .. }))
}

/// Where steps would introduce which labels, to explain a use that comes too early.
fn introductions(steps: &[Step]) -> BTreeMap<(Kind, String), (Place, &'static str)> {
    let mut out = BTreeMap::new();
    for step in steps {
        if let Some(new) = introduction(&step.action) {
            let why = if is_refused(step) {
                "this step would introduce it, but expects to be refused"
            } else {
                "it is introduced only here"
            };
            out.entry((new.kind, new.name)).or_insert((new.label.place, why));
        }
    }
    out
}

struct Names<'d> {
    scope: Scope<'d>,
    accounts: BTreeSet<AccountId>,
}

impl Names<'_> {
    fn network(&mut self, network: &Network) {
        self.declare(network);
        for vpc in &network.vpcs {
            self.vpc(vpc);
        }
        for peering in &network.peerings {
            for side in [&peering.requester, &peering.accepter] {
                self.scope.uses(Kind::Vpc, side.value.as_str(), side.place);
            }
        }
        self.gateways(network);
        let mut seen: BTreeMap<(&TableRef, IpNet), Place> = BTreeMap::new();
        for route in &network.routes {
            self.declared_table(&route.table);
            match &route.target.value {
                TargetRef::Label(label) => self.target(label, route.target.place),
                TargetRef::Id(id) => self.scope.id_in_network(&id.to_string(), route.target.place),
            }
            let (table, place) = (&route.table.value, route.destination.place);
            let destination = route.destination.value.trunc();
            if let Some(first) = seen.insert((table, destination), place) {
                let message = format!("table `{table}` has two routes to {destination}");
                self.scope.push(
                    Diagnostic::at(place, code::DUPLICATE_KEY, message)
                        .also(first, "the first one"),
                );
            }
        }
        self.filters(network);
        self.flow_logs(network);
        for instance in &network.instances {
            self.instance(instance);
            if let Placement::Vpc(Spanned { value: VpcRef::Id(id), place }) = &instance.placement {
                self.scope.id_in_network(&id.to_string(), *place);
            }
        }
    }

    /// Introduces everything that the network declares: the order of its keys does not matter.
    fn declare(&mut self, network: &Network) {
        let mut ids: BTreeMap<AccountId, Place> = BTreeMap::new();
        for account in &network.accounts {
            self.scope.introduces(Kind::Account, account.label.value.as_str(), account.label.place);
            if let Some(first) = ids.insert(account.id.value, account.id.place) {
                let message = format!("two accounts with the id {}", account.id.value);
                self.scope.push(
                    Diagnostic::at(account.id.place, code::LABEL_TAKEN, message)
                        .also(first, "the first one"),
                );
            }
        }
        self.accounts = ids.into_keys().collect();
        for vpc in &network.vpcs {
            let label = &vpc.label;
            let outcome = self.scope.introduces(Kind::Vpc, label.value.as_str(), label.place);
            if outcome == Outcome::Taken {
                // Then its parts are taken as well, most likely, and need not be listed.
                continue;
            }
            for table in &vpc.route_tables {
                let name = format!("{}/{}", label.value, table.value);
                self.scope.introduces(Kind::Table, &name, table.place);
            }
            match &vpc.subnets {
                Some(subnets) => {
                    for subnet in subnets {
                        let name = format!("{}/{}", label.value, subnet.label.value);
                        self.scope.introduces(Kind::Subnet, &name, subnet.label.place);
                    }
                }
                None => {
                    for n in 1..=vpc.cidrs.len() {
                        let name = match n {
                            1 => format!("{}/default", label.value),
                            _ => format!("{}/default-{n}", label.value),
                        };
                        self.scope.introduces(Kind::Subnet, &name, label.place);
                    }
                }
            }
        }
        for peering in &network.peerings {
            let label = &peering.label;
            self.scope.introduces(Kind::Peering, label.value.as_str(), label.place);
        }
        self.declare_filters(network);
        for instance in &network.instances {
            let label = &instance.label;
            self.scope.introduces(Kind::Instance, label.value.as_str(), label.place);
            if instance.public_ip.is_some() {
                self.scope.introduces(Kind::Address, label.value.as_str(), label.place);
            }
        }
        self.declare_gateways(network);
    }

    fn vpc(&mut self, vpc: &Vpc) {
        self.owner(vpc.account.as_ref(), &vpc.label, "VPC");
        for subnet in vpc.subnets.iter().flatten() {
            if let Some(table) = &subnet.route_table {
                let name = format!("{}/{}", vpc.label.value, table.value);
                self.scope.uses(Kind::Table, &name, table.place);
            }
            if let Some(Spanned { value: AclName::Label(acl), place }) = &subnet.network_acl {
                self.scope.uses(Kind::Acl, &part(&vpc.label.value, acl), *place);
            }
        }
    }

    /// The owner of a new thing: named, or the only one there is.
    fn owner(
        &mut self,
        account: Option<&Spanned<AccountRef>>,
        new: &Spanned<Label>,
        noun: &'static str,
    ) {
        match account {
            Some(account) => self.account(account),
            None if self.accounts.len() > 1 => self.scope.push(
                Diagnostic::at(
                    new.place,
                    code::MISSING_KEY,
                    format!("the {noun} `{}` needs the key `account`", new.value),
                )
                .help("a file with several accounts says which of them owns what"),
            ),
            None => {}
        }
    }

    fn account(&mut self, account: &Spanned<AccountRef>) {
        match &account.value {
            AccountRef::Label(label) => {
                self.scope.uses(Kind::Account, label.as_str(), account.place);
            }
            AccountRef::Id(id) => {
                let only = self.accounts.is_empty() && *id == AccountId::DEFAULT;
                if !only && !self.accounts.contains(id) {
                    let message = format!("no account has the id {id}");
                    let help = "declare it under `accounts`";
                    self.scope.push(
                        Diagnostic::at(account.place, code::UNKNOWN_LABEL, message).help(help),
                    );
                }
            }
        }
    }

    fn instance(&mut self, instance: &Instance) {
        match &instance.placement {
            Placement::Vpc(vpc) => self.vpc_ref(&vpc.value, vpc.place),
            Placement::Subnet(subnet) => self.subnet(subnet),
        }
        instance.groups.iter().for_each(|group| self.group(group));
    }

    fn vpc_ref(&mut self, vpc: &VpcRef, place: Place) {
        // An id may be one that nothing has: to show what the cloud answers.
        if let VpcRef::Label(label) = vpc {
            self.scope.uses(Kind::Vpc, label.as_str(), place);
        }
    }

    fn peering_ref(&mut self, peering: &Spanned<PeeringRef>) {
        if let PeeringRef::Label(label) = &peering.value {
            self.scope.uses(Kind::Peering, label.as_str(), peering.place);
        }
    }

    fn instance_label(&mut self, label: &Spanned<Label>) {
        self.scope.uses(Kind::Instance, label.value.as_str(), label.place);
    }

    fn subnet(&mut self, subnet: &Spanned<SubnetRef>) {
        let SubnetRef { vpc, subnet: label } = &subnet.value;
        self.part_of(&[Kind::Subnet], vpc, label, subnet.place);
    }

    fn named_table(&mut self, table: &NamedTableRef, place: Place) {
        self.part_of(&[Kind::Table], &table.vpc, &table.table, place);
    }

    fn table(&mut self, table: &Spanned<TableRef>) {
        match &table.value {
            TableRef { vpc, table: Some(label) } => {
                self.part_of(&[Kind::Table], vpc, label, table.place);
            }
            TableRef { vpc, table: None } => self.vpc_ref(vpc, table.place),
        }
    }

    fn declared_table(&mut self, table: &Spanned<TableRef>) {
        match &table.value.vpc {
            VpcRef::Id(id) => self.scope.id_in_network(&id.to_string(), table.place),
            VpcRef::Label(_) => self.table(table),
        }
    }

    /// A thing that belongs to a VPC. A VPC that is unknown is complained about instead of it.
    fn part_of(&mut self, kinds: &[Kind], vpc: &VpcRef, label: &Label, place: Place) {
        let VpcRef::Label(vpc) = vpc else { return };
        if self.scope.knows(Kind::Vpc, vpc.as_str()) {
            self.scope.uses_any(kinds, &part(vpc, label), place);
        } else {
            self.scope.uses(Kind::Vpc, vpc.as_str(), place);
        }
    }

    fn target(&mut self, label: &Label, place: Place) {
        let [igw, egress_only, vpn, endpoint, nat] = GATEWAYS;
        let kinds = [Kind::Peering, Kind::Instance, igw, egress_only, vpn, endpoint, nat];
        self.scope.uses_any(&kinds, label.as_str(), place);
    }

    fn destination(&mut self, to: &Spanned<Destination>) {
        match &to.value {
            Destination::Host(label) => {
                let kinds = [Kind::Instance, Kind::OutsideHost];
                self.scope.uses_any(&kinds, label.as_str(), to.place);
            }
            Destination::Public(label) => {
                self.scope.uses(Kind::Instance, label.as_str(), to.place);
            }
            Destination::AddressIn { vpc, .. } => self.vpc_ref(vpc, to.place),
            Destination::Address(_) => {}
        }
    }

    fn step(&mut self, step: &Step) {
        if let Some(account) = &step.as_account {
            self.account(account);
        }
        self.action(&step.action, step.as_account.is_some());
        if let Some(new) = introduction(&step.action)
            && !is_refused(step)
        {
            self.scope.introduces(new.kind, &new.name, new.label.place);
        }
        if let Some(expect) = &step.expect {
            self.expect(&expect.value);
        }
    }

    fn action(&mut self, action: &Action, has_asker: bool) {
        match action {
            Action::RequestPeering(request) => {
                self.vpc_ref(&request.requester.value, request.requester.place);
                self.vpc_ref(&request.accepter.value, request.accepter.place);
                if let Some(Spanned { value: AccountRef::Label(label), place }) =
                    &request.peer_owner
                {
                    self.scope.uses(Kind::Account, label.as_str(), *place);
                }
            }
            Action::AcceptPeering(peering)
            | Action::RejectPeering(peering)
            | Action::DeletePeering(peering)
            | Action::DescribePeering(peering) => self.peering_ref(peering),
            Action::ModifyPeeringOptions(modify) => self.peering_ref(&modify.peering),
            Action::CreateVpc(vpc) => {
                if vpc.account.is_some() || !has_asker {
                    self.owner(vpc.account.as_ref(), &vpc.name, "VPC");
                }
            }
            Action::DeleteVpc(vpc) => self.vpc_ref(&vpc.value, vpc.place),
            Action::AssociateVpcCidrBlock(block) | Action::DisassociateVpcCidrBlock(block) => {
                self.vpc_ref(&block.vpc.value, block.vpc.place);
            }
            Action::ModifyVpcAttribute(modify) => {
                self.vpc_ref(&modify.vpc.value, modify.vpc.place);
            }
            Action::CreateSubnet(new) => self.vpc_ref(&new.vpc.value, new.vpc.place),
            Action::CreateRouteTable(new) => self.vpc_ref(&new.vpc.value, new.vpc.place),
            Action::DeleteSubnet(subnet) | Action::DisassociateRouteTable(subnet) => {
                self.subnet(subnet);
            }
            Action::DeleteRouteTable(table) | Action::ReplaceMainRouteTable(table) => {
                self.named_table(&table.value, table.place);
            }
            Action::AssociateRouteTable(pair) => {
                self.named_table(&pair.table.value, pair.table.place);
                self.subnet(&pair.subnet);
            }
            Action::CreateRoute(set) | Action::ReplaceRoute(set) => {
                self.table(&set.route.table);
                if let TargetRef::Label(label) = &set.target.value {
                    self.target(label, set.target.place);
                }
            }
            Action::DeleteRoute(route) | Action::DescribeRoute(route) => self.table(&route.table),
            Action::RunInstance(instance) => self.instance(instance),
            Action::StopInstance(label)
            | Action::StartInstance(label)
            | Action::TerminateInstance(label) => self.instance_label(label),
            Action::ModifySourceDestCheck(modify) => self.instance_label(&modify.instance),
            Action::Resolve(query) => {
                self.instance_label(&query.from);
                if let NameRef::PrivateOf(label) | NameRef::PublicOf(label) = &query.name.value {
                    self.scope.uses(Kind::Instance, label.as_str(), query.name.place);
                }
            }
            Action::Filter(filter) => self.filter(filter, has_asker),
            Action::Gateway(action) => self.gateway_action(action, has_asker),
            Action::FlowLog(action) => self.flow_log_action(action),
            Action::Ping(ping) => {
                self.host_label(&ping.from);
                ping.to.iter().for_each(|to| self.destination(to));
            }
            Action::Udp(udp) => {
                self.host_label(&udp.from);
                self.destination(&udp.to);
            }
            Action::Tcp(tcp) => {
                self.host_label(&tcp.from);
                self.destination(&tcp.to);
            }
            Action::Send(send) => self.host_label(&send.from),
            Action::Replay(replay) => self.host_label(&replay.from),
            Action::Flows(flows) => {
                for Flow { from, to } in &flows.pairs {
                    self.host_label(from);
                    self.destination(to);
                }
            }
            Action::Wait(_) => {}
        }
    }

    fn expect(&mut self, expect: &Expect) {
        match expect {
            Expect::DeliveredTo(label) => self.host_label(label),
            Expect::Dropped { at: Some(at), .. } | Expect::ReplyLost { at: Some(at), .. } => {
                self.location(at);
            }
            // Whom a ping reaches is one of its targets, or has been complained about.
            _ => {}
        }
    }

    fn location(&mut self, at: &Spanned<Location>) {
        match &at.value {
            Location::Label(label) => {
                let [igw, egress_only, vpn, endpoint, nat] = GATEWAYS;
                let kinds = [
                    Kind::Peering,
                    Kind::Vpc,
                    Kind::Instance,
                    Kind::OutsideHost,
                    igw,
                    egress_only,
                    vpn,
                    endpoint,
                    nat,
                ];
                self.scope.uses_any(&kinds, label.as_str(), at.place);
            }
            Location::Table(table) if is_default(table) => self.vpc_ref(&table.vpc, at.place),
            Location::Table(table) => {
                let kinds = [Kind::Table, Kind::Acl];
                self.part_of(&kinds, &table.vpc, &table.table, at.place);
            }
            Location::Peering(_) | Location::Vpc(_) => {}
        }
    }
}

/// How the scope calls what belongs to a VPC.
fn part(vpc: &Label, label: &Label) -> String {
    format!("{vpc}/{label}")
}

/// Is it how a VPC's own network ACL is written? No route table of a file is called so.
fn is_default(at: &NamedTableRef) -> bool {
    matches!(at.table.as_str().parse(), Ok(AclName::Default))
}

#[cfg(test)]
mod tests;
