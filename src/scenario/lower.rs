//! The declared network becomes commands: a file can't declare what the cloud would refuse.
//!
//! Holds the order of the commands, the documented defaults and the diagnostics for what the cloud
//! says no to. Goes on after an error, so that all are reported at once; what depends on something
//! that failed is left out without a word of its own. Refuses any other way into the cloud.

mod filter;
mod gateway;

use ipnet::IpNet;

use super::ast::{self, Label, Network, Placement, VpcRef};
use super::code;
use super::stage::{Found, InstancePlan, Stage, SubnetPlan, Trouble};
use crate::base::diag::{Diagnostic, Diagnostics, Place, Spanned};
use crate::base::id::AccountId;
use crate::base::time::Span;
use crate::cloud::Cloud;
use crate::cloud::account::{Caller, Region};
use crate::cloud::cidr;
use crate::cloud::command::Command;
use crate::cloud::peering::{FailureCause, State};
use crate::cloud::quota::Quotas;
use crate::cloud::refusal::Refusal;
use crate::report::names::Names;
use crate::sim::{LinkOf, LinkSpec, Sim};

/// Builds the network of a file at virtual zero. Peerings are settled at once; from then on
/// transient states last as long as the file says.
pub(super) fn build(
    file: &ast::File,
    sim: impl FnOnce(Cloud) -> Sim,
) -> Result<Stage, Diagnostics> {
    let network = &file.network;
    let account = match &network.accounts[..] {
        [] => AccountId::DEFAULT,
        [first, ..] => first.id.value,
    };
    let stage = Stage::new(sim(Cloud::new(file.profile.value, Span::ZERO)), account);
    let mut builder = Builder { stage, network, diagnostics: Diagnostics::default() };
    builder.accounts();
    builder.vpcs();
    builder.prefix_lists();
    builder.groups();
    builder.acls();
    builder.acls_of_subnets();
    builder.edges();
    builder.named_addresses();
    builder.instances();
    builder.public_instances();
    builder.nat_gateways();
    builder.outside();
    builder.peerings();
    builder.group_rules();
    builder.routes();
    builder.links();
    builder.flow_logs();
    builder.stage.sim.set_settle(file.settle);
    builder.stage.sim.set_blackhole(file.blackhole);
    builder.stage.sim.set_tracked_connections(file.tracked_connections as usize);
    if builder.diagnostics.is_empty() { Ok(builder.stage) } else { Err(builder.diagnostics) }
}

struct Builder<'f> {
    stage: Stage,
    network: &'f Network,
    diagnostics: Diagnostics,
}

impl Builder<'_> {
    /// Reports trouble with what is written at `place`. Something that is absent was reported where
    /// it failed.
    fn report(&mut self, place: Place, what: &str, trouble: &Trouble) {
        let diagnostic = match trouble {
            Trouble::Absent { .. } => return,
            Trouble::Refused(refusal) => {
                // The cloud speaks of ids, of which a file that declares a network knows nothing.
                let why = Names(self.stage.sim.cloud()).told(&refusal.to_string());
                let message = format!("the cloud refuses {what}: {why}");
                let diagnostic = Diagnostic::at(place, code::REFUSED, message)
                    .note(format!("EC2 error code {}", refusal.code()));
                match refusal {
                    Refusal::UnknownParameter(name) if name.contains("Ipv6") => {
                        diagnostic.help("IPv6 is for the profile `today`: say `profile: today`")
                    }
                    _ => diagnostic,
                }
            }
            other => Diagnostic::at(place, code::PLACEMENT, other.to_string()),
        };
        self.diagnostics.push(diagnostic);
    }

    fn accounts(&mut self) {
        for account in &self.network.accounts {
            self.stage.labels.accounts.insert(account.label.value.clone(), account.id.value);
            let mut quotas = Quotas::default();
            for (quota, limit) in &account.quotas {
                quotas.set(quota.value, limit.value as usize);
            }
            let caller = Caller { account: account.id.value, region: Region::default() };
            if let Err(refusal) = self.stage.ask(&caller, &Command::OpenAccount { quotas }) {
                self.report(account.label.place, "this account", &refusal.into());
            }
        }
    }

    fn caller(&self, vpc: &ast::Vpc) -> Option<Caller> {
        let account = self.stage.account(vpc.account.as_ref().map(|a| &a.value)).ok()?;
        let region = vpc.region.as_ref().map(|region| region.value.clone()).unwrap_or_default();
        Some(Caller { account, region })
    }

    fn vpcs(&mut self) {
        for vpc in &self.network.vpcs {
            let Some(caller) = self.caller(vpc) else { continue };
            let Some((primary, further)) = vpc.cidrs.split_first() else { continue };
            let made = self.stage.create_vpc(&caller, &vpc.label.value, primary.value);
            let id = match made {
                Ok(id) => id,
                Err(trouble) => {
                    self.report(primary.place, "this VPC", &trouble);
                    continue;
                }
            };
            let v4 = further.iter().map(|b| (IpNet::V4(b.value), b.place));
            let v6 = vpc.ipv6.iter().map(|b| (IpNet::V6(b.value), b.place));
            let mut all_blocks = true;
            for (block, place) in v4.chain(v6) {
                let command = Command::AssociateVpcCidrBlock { vpc: id, block };
                if let Err(refusal) = self.stage.ask(&caller, &command) {
                    self.refused_block(place, block, refusal);
                    all_blocks = false;
                }
            }
            let (support, hostnames) = (vpc.dns_support, vpc.dns_hostnames);
            let dns = (support.map(|s| s.value), hostnames.map(|s| s.value));
            if let Err(refusal) = self.stage.set_dns(&caller, id, dns.0, dns.1) {
                let place = hostnames.or(support).map_or(vpc.label.place, |s| s.place);
                self.report(place, "this attribute", &refusal.into());
            }
            for table in &vpc.route_tables {
                if let Err(trouble) = self.stage.create_table(id, &caller, &table.value) {
                    self.report(table.place, "this route table", &trouble);
                }
            }
            match &vpc.subnets {
                // With a block missing, what is wrong has been said.
                None if !all_blocks => {}
                None => {
                    if let Err(trouble) = self.stage.default_subnets(id, &caller) {
                        self.report(vpc.label.place, "the default subnet", &trouble);
                    }
                }
                Some(subnets) => {
                    for subnet in subnets {
                        self.subnet(&vpc.label.value, &caller, subnet);
                    }
                }
            }
        }
    }

    /// After everything that they may watch.
    fn flow_logs(&mut self) {
        for log in &self.network.flow_logs {
            let watched = self.stage.watched(&log.of.value);
            let made = watched.and_then(|(of, owner)| {
                self.stage.create_flow_log(&owner, &log.label.value, of, &log.recording)
            });
            if let Err(trouble) = made {
                self.report(log.of.place, "this flow log", &trouble);
            }
        }
    }

    fn refused_block(&mut self, place: Place, block: IpNet, refusal: Refusal) {
        if let Refusal::UnknownParameter(_) = refusal {
            let what = match block {
                IpNet::V4(_) => "a second IPv4 block",
                IpNet::V6(_) => "an IPv6 block",
            };
            let message = format!("no VPC has {what} under the profile `seed`");
            self.diagnostics.push(
                Diagnostic::at(place, code::REFUSED, message)
                    .help("say `profile: today` in the scenario file"),
            );
        } else {
            self.report(place, "this block", &refusal.into());
        }
    }

    fn subnet(&mut self, vpc: &Label, caller: &Caller, subnet: &ast::Subnet) {
        let Ok(id) = self.stage.vpc(&VpcRef::Label(vpc.clone())) else { return };
        let plan = SubnetPlan {
            label: subnet.label.value.clone(),
            cidr: subnet.cidr.value,
            ipv6: subnet.ipv6.as_ref().map(|b| b.value),
            zone: subnet.az.as_ref().map(|az| az.value.clone()),
        };
        let made = match self.stage.create_subnet(id, caller, &plan) {
            Ok(made) => made,
            Err(trouble) => return self.report(subnet.cidr.place, "this subnet", &trouble),
        };
        if let Some(label) = &subnet.route_table
            && let Ok(table) = self.stage.named_table(&VpcRef::Label(vpc.clone()), &label.value)
        {
            let command = Command::AssociateRouteTable { table, subnet: made };
            if let Err(refusal) = self.stage.ask(caller, &command) {
                self.report(label.place, "this association", &refusal.into());
            }
        }
    }

    fn instances(&mut self) {
        for instance in &self.network.instances {
            if let Err(trouble) = start_instance(&mut self.stage, None, instance) {
                let ip = instance.ip.as_ref().map(|ip| ip.place);
                let ipv6 = instance.ipv6.as_ref().map(|ip| ip.place);
                let place = match &trouble {
                    Trouble::Refused(Refusal::GroupOfOtherVpc(_) | Refusal::GroupNotFound(_)) => {
                        self.refused_groups(instance);
                        continue;
                    }
                    _ => ip.or(ipv6).unwrap_or(instance.placement.place()),
                };
                self.report(place, "this instance", &trouble);
            }
        }
    }

    fn peerings(&mut self) {
        for peering in &self.network.peerings {
            let ends = [&peering.requester, &peering.accepter];
            let ids = ends.map(|end| self.stage.vpc(&VpcRef::Label(end.value.clone())));
            let [Ok(requester), Ok(accepter)] = ids else { continue };
            let (near, far) = (self.stage.owner(requester), self.stage.owner(accepter));
            let command = Command::CreateVpcPeeringConnection {
                requester,
                accepter,
                peer_owner: Some(far.account),
                peer_region: (near.region != far.region).then(|| far.region.clone()),
            };
            match self.stage.request_peering(&near, &peering.label.value, &command) {
                Err(trouble) => self.refused_peering(peering, &trouble),
                Ok((_, Found::Existing)) => self.declared_twice(peering),
                Ok((id, Found::New)) => {
                    let now = self.stage.sim.now();
                    let state = self.stage.sim.cloud().peering(id).map(|p| p.state(now));
                    if let Some(State::Failed { cause, .. }) = state {
                        self.failed_peering(peering, cause);
                    } else if peering.accepted {
                        let accept = Command::AcceptVpcPeeringConnection { peering: id };
                        if let Err(refusal) = self.stage.ask(&far, &accept) {
                            self.refused_peering(peering, &refusal.into());
                        }
                    }
                }
            }
        }
    }

    fn refused_peering(&mut self, peering: &ast::Peering, trouble: &Trouble) {
        let (a, b) = (&peering.requester.value, &peering.accepter.value);
        match trouble {
            Trouble::Refused(Refusal::PeeringExists(_)) => self.declared_twice(peering),
            Trouble::Refused(Refusal::PeeringWithItself(_)) => {
                let message = format!("`{a}` cannot be peered with itself");
                let diagnostic = Diagnostic::at(peering.accepter.place, code::REFUSED, message)
                    .also(peering.requester.place, "the same VPC");
                self.diagnostics.push(diagnostic);
            }
            Trouble::Refused(Refusal::UnknownParameter(_)) => {
                let message = format!(
                    "cannot peer `{a}` and `{b}`: they are in different regions, and under the profile `seed` a peering stays in one region"
                );
                let diagnostic = Diagnostic::at(peering.accepter.place, code::REFUSED, message)
                    .help("put both in one region, or say `profile: today`");
                self.diagnostics.push(diagnostic);
            }
            other => self.report(peering.label.place, "this peering", other),
        }
    }

    fn declared_twice(&mut self, peering: &ast::Peering) {
        let (a, b) = (&peering.requester.value, &peering.accepter.value);
        let same = |p: &&ast::Peering| {
            let ends = [&p.requester.value, &p.accepter.value];
            ends == [a, b] || ends == [b, a]
        };
        let mut diagnostic = Diagnostic::at(
            peering.label.place,
            code::REFUSED,
            format!("`{a}` and `{b}` are already peered: one pair, one peering"),
        );
        if let Some(first) = self.network.peerings.iter().find(same) {
            diagnostic = diagnostic.also(first.label.place, "by this one");
        }
        self.diagnostics.push(diagnostic);
    }

    fn failed_peering(&mut self, peering: &ast::Peering, cause: FailureCause) {
        let (a, b) = (&peering.requester.value, &peering.accepter.value);
        let message = match cause {
            FailureCause::Overlap => {
                format!("cannot peer `{a}` and `{b}`: their CIDR blocks overlap")
            }
            FailureCause::PeerUnknown => {
                format!("cannot peer `{a}` and `{b}`: the peer is unknown")
            }
        };
        let mut diagnostic = Diagnostic::at(peering.label.place, code::FAILED_PEERING, message);
        if cause == FailureCause::Overlap {
            for (end, (block, place)) in [a, b].into_iter().zip(self.overlap(a, b)) {
                diagnostic = diagnostic.also(place, format!("{block} of `{end}`"));
            }
            diagnostic = diagnostic
                .help("give one VPC blocks that share no address with the other's")
                .help("to show the failure, ask in a step: `request-peering` with `expect: {state: failed}`");
        }
        self.diagnostics.push(diagnostic);
    }

    /// The first two blocks of two VPCs that share an address; none if the file declares no such.
    fn overlap(&self, a: &Label, b: &Label) -> Vec<(IpNet, Place)> {
        let blocks = |label: &Label| -> Vec<(IpNet, Place)> {
            let vpc = self.network.vpcs.iter().find(|vpc| vpc.label.value == *label);
            vpc.into_iter()
                .flat_map(|vpc| {
                    let v4 = vpc.cidrs.iter().map(|b| (IpNet::V4(b.value.trunc()), b.place));
                    v4.chain(vpc.ipv6.iter().map(|b| (IpNet::V6(b.value.trunc()), b.place)))
                })
                .collect()
        };
        let theirs = blocks(b);
        for mine in blocks(a) {
            if let Some(other) = theirs.iter().find(|other| cidr::overlap(mine.0, other.0)) {
                return vec![mine, *other];
            }
        }
        Vec::new()
    }

    fn routes(&mut self) {
        for route in &self.network.routes {
            let table = self.stage.table(&route.table.value);
            let target = self.stage.target(&route.target.value);
            let (Ok(table), Ok(target)) = (table, target) else { continue };
            let Ok(vpc) = self.stage.vpc(&route.table.value.vpc) else { continue };
            let caller = self.stage.owner(vpc);
            let destination = route.destination.value;
            let command = Command::CreateRoute { table, destination, target };
            if let Err(refusal) = self.stage.ask(&caller, &command) {
                self.refused_route(route, &refusal);
            }
        }
    }

    fn refused_route(&mut self, route: &ast::Route, refusal: &Refusal) {
        match refusal {
            // The cloud would name the two by ids, of which the file knows nothing.
            Refusal::RouteTargetOfOtherVpc { .. }
            | Refusal::PeeringNotFound(_)
            | Refusal::RouteGatewayNotFound(_)
            | Refusal::RouteNatGatewayNotFound(_) => {
                let (table, target) = (&route.table.value, &route.target.value);
                let message = format!(
                    "the cloud refuses this route: `{target}` does not belong to the VPC of the table `{table}`"
                );
                self.diagnostics.push(
                    Diagnostic::at(route.target.place, code::REFUSED, message)
                        .note(format!("EC2 error code {}", refusal.code())),
                );
            }
            other => self.report(route.destination.place, "this route", &other.clone().into()),
        }
    }

    /// Last, because a link is set up for something that exists.
    fn links(&mut self) {
        let labels = &self.stage.labels;
        let mut links: Vec<(LinkOf, LinkSpec)> = Vec::new();
        for vpc in self.network.vpcs.iter().filter(|v| v.link != ast::Link::default()) {
            if let Some(id) = labels.vpcs.get(&vpc.label.value) {
                links.push((LinkOf::Vpc(*id), link_spec(&vpc.link, LinkSpec::VPC)));
            }
        }
        for peering in self.network.peerings.iter().filter(|p| p.link != ast::Link::default()) {
            if let Some(id) = labels.peerings.get(&peering.label.value) {
                links.push((LinkOf::Peering(*id), link_spec(&peering.link, LinkSpec::PEERING)));
            }
        }
        for gateway in self.network.gateways.iter().filter(|g| g.link != ast::Link::default()) {
            if let Ok(known) = self.stage.gateway(&gateway.label.value, "gateway") {
                let spec = link_spec(&gateway.link, LinkSpec::GATEWAY);
                links.push((LinkOf::Gateway(known.id), spec));
            }
        }
        for instance in self.network.instances.iter().filter(|i| i.link != ast::Link::default()) {
            if let Some(known) = labels.instances.get(&instance.label.value) {
                let spec = link_spec(&instance.link, LinkSpec::INTERFACE);
                links.push((LinkOf::Interface(known.interface), spec));
            }
        }
        for (of, spec) in links {
            self.stage.sim.set_link(of, spec);
        }
    }
}

/// Starts an instance as a file describes it, for its VPC's owner or for `caller`.
pub(super) fn start_instance(
    stage: &mut Stage,
    caller: Option<&Caller>,
    instance: &ast::Instance,
) -> Result<(), Trouble> {
    let ip = instance.ip.as_ref().map(|ip| ip.value);
    let (vpc, subnet) = match &instance.placement {
        Placement::Subnet(Spanned { value, .. }) => (stage.vpc(&value.vpc)?, stage.subnet(value)?),
        Placement::Vpc(Spanned { value, .. }) => {
            let vpc = stage.vpc(value)?;
            (vpc, stage.place_in_vpc(vpc, ip, &value.to_string())?)
        }
    };
    let owner = stage.owner(vpc);
    let groups = instance.groups.iter().map(|group| Ok(stage.group(&group.value)?.0));
    let plan = InstancePlan {
        groups: groups.collect::<Result<_, Trouble>>()?,
        ip,
        ipv6: instance.ipv6.as_ref().map(|ip| ip.value),
        check: instance.source_dest_check,
    };
    let caller = caller.unwrap_or(&owner);
    let interface = stage.run_instance(caller, &instance.label.value, subnet, plan)?;
    stage.sim.set_role(interface, instance.role);
    stage.listen(interface, instance.listen.iter().map(|port| port.value))
}

fn link_spec(link: &ast::Link, default: LinkSpec) -> LinkSpec {
    LinkSpec {
        latency: link.latency.unwrap_or(default.latency),
        jitter: link.jitter.unwrap_or(default.jitter),
        loss: link.loss.unwrap_or(default.loss),
        rate: link.rate.or(default.rate),
        queue: link.queue.unwrap_or(default.queue),
    }
}

#[cfg(test)]
mod tests;
