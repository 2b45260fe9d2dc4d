//! One step: its action becomes a command for the cloud or traffic for the simulator.
//!
//! Holds the translation and the words for it. Refuses to judge and to move time.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ipnet::IpNet;

use super::ast::{self, AccountRef, Action, Destination, Label, Toggle, VpcRef};
use super::capture;
use super::load::{self, Unreadable};
use super::lower;
use super::stage::{Stage, Trouble};
use crate::base::diag::Spanned;
use crate::base::id::{AccountId, PeeringId, RouteTableId, VpcId};
use crate::base::limit::REPLAY_BYTES_MAX;
use crate::base::time::Span;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::peering::Status;
use crate::cloud::refusal::Refusal;
use crate::sim::{Datagrams, Load, Pace, Source};
use crate::wire::{EchoKind, Family, build};

/// Why a step could not be done, apart from a refusal.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undone {
    /// See there.
    #[error("{0}")]
    Trouble(#[from] Trouble),
    /// The capture to replay cannot be read.
    #[error("cannot read `{path}`: {why}")]
    Capture {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}

impl From<Refusal> for Undone {
    fn from(refusal: Refusal) -> Undone {
        Undone::Trouble(Trouble::Refused(refusal))
    }
}

/// What a step does with the stage.
pub(super) enum Doing {
    /// The cloud was asked; the state to be shown is that of this.
    Asked(Shown),
    /// The cloud was looked at, and this is the state.
    Looked(&'static str),
    /// Traffic of one probe is to be started.
    Probe(Probe),
    /// Traffic of one probe for each target.
    Targets(Vec<(Destination, Probe)>),
    /// Time is to pass.
    Wait(Span),
}

/// What has a state to show after a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown {
    Nothing,
    Peering(PeeringId),
    Route(RouteTableId, IpNet),
}

/// The traffic of one probe.
pub(super) struct Probe {
    pub(super) datagrams: Datagrams,
    pub(super) sources: Vec<Source>,
    pub(super) background: Toggle,
}

impl Probe {
    fn of(source: Source) -> Probe {
        Probe { datagrams: Datagrams::Sunk, sources: vec![source], background: Toggle::No }
    }
}

/// Does the step's action, or prepares its traffic. `directory` is the scenario file's.
pub(super) fn act(stage: &mut Stage, step: &ast::Step, directory: &Path) -> Result<Doing, Undone> {
    let asker = step.as_account.as_ref().map(|account| &account.value);
    let mut desk = Desk { stage, asker };
    match &step.action {
        Action::RequestPeering(request) => desk.request_peering(request),
        Action::AcceptPeering(p) => {
            let peering = desk.stage.peering(&p.value)?;
            let caller = desk.stage.accepter_of(peering);
            desk.peering(caller, peering, &Command::AcceptVpcPeeringConnection { peering })
        }
        Action::RejectPeering(p) => {
            let peering = desk.stage.peering(&p.value)?;
            let caller = desk.stage.accepter_of(peering);
            desk.peering(caller, peering, &Command::RejectVpcPeeringConnection { peering })
        }
        Action::DeletePeering(p) => {
            let peering = desk.stage.peering(&p.value)?;
            let caller = desk.stage.requester_of(peering);
            desk.peering(caller, peering, &Command::DeleteVpcPeeringConnection { peering })
        }
        Action::DescribePeering(p) => desk.describe_peering(p),
        Action::CreateVpc(vpc) => desk.create_vpc(vpc),
        Action::DeleteVpc(v) => {
            let vpc = desk.stage.vpc(&v.value)?;
            desk.about_vpc(vpc, &Command::DeleteVpc { vpc })
        }
        Action::AssociateVpcCidrBlock(block) => {
            let vpc = desk.stage.vpc(&block.vpc.value)?;
            let block = block.cidr.value;
            desk.about_vpc(vpc, &Command::AssociateVpcCidrBlock { vpc, block })
        }
        Action::DisassociateVpcCidrBlock(block) => {
            let vpc = desk.stage.vpc(&block.vpc.value)?;
            let block = block.cidr.value;
            desk.about_vpc(vpc, &Command::DisassociateVpcCidrBlock { vpc, block })
        }
        Action::CreateSubnet(subnet) => desk.create_subnet(subnet),
        Action::DeleteSubnet(s) => {
            let subnet = desk.stage.subnet(&s.value)?;
            desk.about(&s.value.vpc, &Command::DeleteSubnet { subnet })
        }
        Action::CreateRouteTable(table) => {
            let vpc = desk.stage.vpc(&table.vpc.value)?;
            let caller = desk.caller(desk.stage.owner(vpc))?;
            desk.stage.create_table(vpc, &caller, &table.name.value)?;
            Ok(Doing::Asked(Shown::Nothing))
        }
        Action::DeleteRouteTable(t) => {
            let table = desk.stage.named_table(&t.value.vpc, &t.value.table)?;
            desk.about(&t.value.vpc, &Command::DeleteRouteTable { table })
        }
        Action::AssociateRouteTable(a) => {
            let table = desk.stage.named_table(&a.table.value.vpc, &a.table.value.table)?;
            let subnet = desk.stage.subnet(&a.subnet.value)?;
            desk.about(&a.subnet.value.vpc, &Command::AssociateRouteTable { table, subnet })
        }
        Action::DisassociateRouteTable(s) => {
            let subnet = desk.stage.subnet(&s.value)?;
            let known = desk.stage.sim.cloud().subnet(subnet);
            let association = known.and_then(|s| s.association()).map(|(id, _)| id);
            let label = || format!("association of {}", s.value);
            let association = association
                .ok_or_else(|| Trouble::Absent { kind: "the explicit", label: label() })?;
            desk.about(&s.value.vpc, &Command::DisassociateRouteTable { association })
        }
        Action::ReplaceMainRouteTable(t) => {
            let table = desk.stage.named_table(&t.value.vpc, &t.value.table)?;
            let vpc = desk.stage.vpc(&t.value.vpc)?;
            let main = desk.stage.sim.cloud().vpc(vpc).map(|v| v.main_association());
            let association = main.ok_or(Refusal::VpcNotFound(vpc))?;
            desk.about_vpc(vpc, &Command::ReplaceRouteTableAssociation { association, table })
        }
        Action::CreateRoute(set) => {
            let table = desk.stage.table(&set.route.table.value)?;
            let target = desk.stage.target(&set.target.value)?;
            let destination = set.route.destination.value;
            desk.about(
                &set.route.table.value.vpc,
                &Command::CreateRoute { table, destination, target },
            )?;
            Ok(Doing::Asked(Shown::Route(table, destination)))
        }
        Action::ReplaceRoute(set) => {
            let table = desk.stage.table(&set.route.table.value)?;
            let target = desk.stage.target(&set.target.value)?;
            let destination = set.route.destination.value;
            desk.about(
                &set.route.table.value.vpc,
                &Command::ReplaceRoute { table, destination, target },
            )?;
            Ok(Doing::Asked(Shown::Route(table, destination)))
        }
        Action::DeleteRoute(key) => {
            let table = desk.stage.table(&key.table.value)?;
            let destination = key.destination.value;
            desk.about(&key.table.value.vpc, &Command::DeleteRoute { table, destination })
        }
        Action::DescribeRoute(key) => desk.describe_route(key),
        Action::RunInstance(instance) => {
            let vpc = match &instance.placement {
                ast::Placement::Vpc(vpc) => desk.stage.vpc(&vpc.value)?,
                ast::Placement::Subnet(subnet) => desk.stage.vpc(&subnet.value.vpc)?,
            };
            let caller = desk.caller(desk.stage.owner(vpc))?;
            lower::start_instance(desk.stage, Some(&caller), instance)?;
            Ok(Doing::Asked(Shown::Nothing))
        }
        Action::StopInstance(label) => {
            let known = desk.stage.instance(&label.value)?;
            desk.about_vpc(known.vpc, &Command::StopInstances { instance: known.instance })
        }
        Action::StartInstance(label) => {
            let known = desk.stage.instance(&label.value)?;
            desk.about_vpc(known.vpc, &Command::StartInstances { instance: known.instance })
        }
        Action::TerminateInstance(label) => {
            let known = desk.stage.instance(&label.value)?;
            desk.about_vpc(known.vpc, &Command::TerminateInstances { instance: known.instance })
        }
        Action::ModifySourceDestCheck(modify) => {
            let known = desk.stage.instance(&modify.instance.value)?;
            let command = Command::ModifyNetworkInterfaceAttribute {
                interface: known.interface,
                source_dest_check: modify.value,
            };
            desk.about_vpc(known.vpc, &command)
        }
        Action::Ping(ping) => pings(desk.stage, ping),
        Action::Udp(udp) => datagrams(desk.stage, udp).map(Doing::Probe),
        Action::Send(send) => {
            let from = desk.stage.instance(&send.from.value)?.interface;
            let script = [(Span::ZERO, Bytes::from(send.bytes.value.clone()))];
            let load = Load::Script(Arc::new(script));
            Ok(Doing::Probe(Probe::of(Source { from, meant: None, load })))
        }
        Action::Replay(replay) => replayed(desk.stage, replay, directory).map(Doing::Probe),
        Action::Flows(flows) => many_flows(desk.stage, flows).map(Doing::Probe),
        Action::Wait(span) => Ok(Doing::Wait(span.value)),
    }
}

/// Where a step's commands are made out: the stage, and who asks if the step says so.
struct Desk<'a> {
    stage: &'a mut Stage,
    asker: Option<&'a AccountRef>,
}

impl Desk<'_> {
    /// `usual`, unless the step names another account; the region stays.
    fn caller(&self, usual: Caller) -> Result<Caller, Trouble> {
        match self.asker {
            None => Ok(usual),
            Some(asker) => {
                Ok(Caller { account: self.stage.account(Some(asker))?, region: usual.region })
            }
        }
    }

    fn about_vpc(&mut self, vpc: VpcId, command: &Command) -> Result<Doing, Undone> {
        let caller = self.caller(self.stage.owner(vpc))?;
        self.stage.ask(&caller, command)?;
        Ok(Doing::Asked(Shown::Nothing))
    }

    fn about(&mut self, vpc: &VpcRef, command: &Command) -> Result<Doing, Undone> {
        let vpc = self.stage.vpc(vpc)?;
        self.about_vpc(vpc, command)
    }

    fn peering(
        &mut self,
        usual: Caller,
        id: PeeringId,
        command: &Command,
    ) -> Result<Doing, Undone> {
        let caller = self.caller(usual)?;
        self.stage.ask(&caller, command)?;
        Ok(Doing::Asked(Shown::Peering(id)))
    }

    fn request_peering(&mut self, request: &ast::RequestPeering) -> Result<Doing, Undone> {
        let requester = self.stage.vpc(&request.requester.value)?;
        let accepter = self.stage.vpc(&request.accepter.value)?;
        let near = self.stage.owner(requester);
        let far = self.stage.sim.cloud().vpc(accepter).map(|_| self.stage.owner(accepter));
        let peer_owner: Option<AccountId> = match &request.peer_owner {
            Some(owner) => Some(self.stage.account(Some(&owner.value))?),
            None => far.as_ref().map(|far| far.account),
        };
        let peer_region = match &request.peer_region {
            Some(region) => Some(region.value.clone()),
            None => far.map(|far| far.region).filter(|region| *region != near.region),
        };
        let caller = self.caller(near)?;
        let command =
            Command::CreateVpcPeeringConnection { requester, accepter, peer_owner, peer_region };
        let (id, _) = self.stage.request_peering(&caller, &request.name.value, &command)?;
        Ok(Doing::Asked(Shown::Peering(id)))
    }

    fn describe_peering(&mut self, peering: &Spanned<ast::PeeringRef>) -> Result<Doing, Undone> {
        let id = self.stage.peering(&peering.value)?;
        let ends = self
            .stage
            .sim
            .cloud()
            .peering(id)
            .map(|p| (p.requester().clone(), p.accepter().clone()));
        let mut caller = self.caller(self.stage.requester_of(id))?;
        // Whoever looks does so in the region of its own VPC.
        if let Some((requester, accepter)) = ends
            && caller.account != requester.account
            && caller.account == accepter.account
        {
            caller.region = accepter.region;
        }
        let now = self.stage.sim.now();
        let status: Status = self.stage.sim.cloud().describe_peering(&caller, id, now)?.status;
        Ok(Doing::Looked(status.code()))
    }

    fn describe_route(&mut self, key: &ast::RouteKey) -> Result<Doing, Undone> {
        let table = self.stage.table(&key.table.value)?;
        let destination = key.destination.value.trunc();
        let owner = self.stage.owner(self.stage.vpc(&key.table.value.vpc)?);
        if self.caller(owner.clone())? != owner {
            return Err(Refusal::RouteTableNotFound(table).into());
        }
        let state = route_state(self.stage, table, destination);
        Ok(Doing::Looked(state.ok_or(Refusal::RouteNotFound { table, destination })?))
    }

    fn create_vpc(&mut self, vpc: &ast::CreateVpc) -> Result<Doing, Undone> {
        let account = self.stage.account(vpc.account.as_ref().map(|a| &a.value))?;
        let region = vpc.region.as_ref().map(|region| region.value.clone()).unwrap_or_default();
        let caller = self.caller(Caller { account, region })?;
        self.stage.create_vpc(&caller, &vpc.name.value, vpc.cidr.value)?;
        Ok(Doing::Asked(Shown::Nothing))
    }

    fn create_subnet(&mut self, subnet: &ast::CreateSubnet) -> Result<Doing, Undone> {
        let vpc = self.stage.vpc(&subnet.vpc.value)?;
        let caller = self.caller(self.stage.owner(vpc))?;
        let plan = super::stage::SubnetPlan {
            label: subnet.name.value.clone(),
            cidr: subnet.cidr.value,
            ipv6: subnet.ipv6.as_ref().map(|b| b.value),
            zone: subnet.az.as_ref().map(|az| az.value.clone()),
        };
        self.stage.create_subnet(vpc, &caller, &plan)?;
        Ok(Doing::Asked(Shown::Nothing))
    }
}

/// The state of the route for exactly this destination, if there is one.
pub(super) fn route_state(
    stage: &Stage,
    table: RouteTableId,
    destination: IpNet,
) -> Option<&'static str> {
    let (cloud, now) = (stage.sim.cloud(), stage.sim.now());
    let route = cloud.routes(table).find(|route| route.destination == destination.trunc())?;
    Some(cloud.route_state(route.hop, now).code())
}

// ---- traffic -------------------------------------------------------------------------------------

/// Payload that is easy to recognise in a capture: the letters of the alphabet, over and over.
fn payload(size: u16) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(usize::from(size)).collect()
}

/// The identifier of a run's echo requests: any will do, as nobody else pings.
const PING_IDENT: u16 = 1;
/// The source port of `flows`; each flow has its own pair of hosts.
const FLOWS_SOURCE_PORT: u16 = 40_000;

fn pings(stage: &Stage, ping: &ast::Ping) -> Result<Doing, Undone> {
    let known = stage.instance(&ping.from.value)?;
    let family = ping.family.as_ref().map(|f| f.value);
    let mut probes = Vec::with_capacity(ping.to.len());
    for target in &ping.to {
        let (to, meant) = stage.destination(&target.value, family)?;
        let source = match &ping.source {
            Some(source) => source.value,
            None => stage.source_address(&ping.from.value, &known, to)?,
        };
        let first = build::echo(EchoKind::Request, source, to, PING_IDENT, 1, &payload(ping.size))
            .map_err(Trouble::Packet)?;
        let (count, pace) = (u64::from(ping.count.get()), Pace::Every(ping.interval));
        let load = Load::Ping { first, count, pace };
        let probe = Probe::of(Source { from: known.interface, meant, load });
        probes.push((target.value.clone(), probe));
    }
    match <[_; 1]>::try_from(probes) {
        Ok([(_, only)]) => Ok(Doing::Probe(only)),
        Err(several) => Ok(Doing::Targets(several)),
    }
}

fn udp_source(
    stage: &Stage,
    from: &Label,
    to: (&Destination, Option<Family>, u16),
    source: (Option<std::net::IpAddr>, u16),
    (size, count, pace): (u16, u64, Pace),
) -> Result<Source, Undone> {
    let known = stage.instance(from)?;
    let (address, meant) = stage.destination(to.0, to.1)?;
    let own = match source.0 {
        Some(source) => source,
        None => stage.source_address(from, &known, address)?,
    };
    let ends = ((own, source.1).into(), (address, to.2).into());
    let packet = build::udp(ends.0, ends.1, &payload(size)).map_err(Trouble::Packet)?;
    let load = Load::Repeat { packet, count, pace };
    Ok(Source { from: known.interface, meant, load })
}

fn datagrams(stage: &Stage, udp: &ast::Udp) -> Result<Probe, Undone> {
    let family = udp.family.as_ref().map(|f| f.value);
    let source = (udp.source.as_ref().map(|s| s.value), udp.source_port);
    let load = (udp.size, u64::from(udp.count.get()), Pace::Every(udp.interval));
    let to = (&udp.to.value, family, udp.port);
    let source = udp_source(stage, &udp.from.value, to, source, load)?;
    let datagrams = match udp.answer {
        Toggle::Yes => Datagrams::Returned,
        Toggle::No => Datagrams::Sunk,
    };
    Ok(Probe { datagrams, ..Probe::of(source) })
}

fn many_flows(stage: &Stage, flows: &ast::Flows) -> Result<Probe, Undone> {
    let load = (flows.size, u64::from(flows.packets.get()), Pace::Rate(flows.rate));
    let source = |pair: &ast::Flow| {
        let to = (&pair.to.value, None, flows.port);
        udp_source(stage, &pair.from.value, to, (None, FLOWS_SOURCE_PORT), load)
    };
    let sources = flows.pairs.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    Ok(Probe { datagrams: Datagrams::Sunk, sources, background: flows.background })
}

fn replayed(stage: &Stage, replay: &ast::Replay, directory: &Path) -> Result<Probe, Undone> {
    let from = stage.instance(&replay.from.value)?.interface;
    let path = &replay.capture.value;
    let fail = |why: String| Undone::Capture { path: path.as_str().to_owned(), why };
    let bytes = load::read_below(directory, path, REPLAY_BYTES_MAX)
        .map_err(|why: Unreadable| fail(why.to_string()))?;
    let capture = capture::parse(&Bytes::from(bytes)).map_err(|why| fail(why.to_string()))?;
    if capture.packets.is_empty() {
        let skipped: Vec<String> =
            capture.skipped.iter().map(|(why, n)| format!("{n} x {why}")).collect();
        return Err(fail(match &skipped[..] {
            [] => "it holds no packets".to_owned(),
            some => format!("it holds no IP packets, only {}", some.join(", ")),
        }));
    }
    let script: Vec<(Span, Bytes)> =
        capture.packets.into_iter().map(|p| (p.since_first, p.bytes)).collect();
    Ok(Probe::of(Source { from, meant: None, load: Load::Script(script.into()) }))
}

// ---- words ---------------------------------------------------------------------------------------

/// What the step does, for a reader: `ping b -> c`.
pub(super) fn words(action: &Action) -> String {
    let pair = |a: &dyn std::fmt::Display, b: &dyn std::fmt::Display| format!("{a} -> {b}");
    match action {
        Action::RequestPeering(r) => format!(
            "request-peering {}: {}",
            r.name.value,
            pair(&r.requester.value, &r.accepter.value)
        ),
        Action::AcceptPeering(p) => format!("accept-peering {}", p.value),
        Action::RejectPeering(p) => format!("reject-peering {}", p.value),
        Action::DeletePeering(p) => format!("delete-peering {}", p.value),
        Action::DescribePeering(p) => format!("describe-peering {}", p.value),
        Action::CreateVpc(v) => format!("create-vpc {}: {}", v.name.value, v.cidr.value),
        Action::DeleteVpc(v) => format!("delete-vpc {}", v.value),
        Action::AssociateVpcCidrBlock(b) => {
            format!("associate-vpc-cidr-block {}: {}", b.vpc.value, b.cidr.value)
        }
        Action::DisassociateVpcCidrBlock(b) => {
            format!("disassociate-vpc-cidr-block {}: {}", b.vpc.value, b.cidr.value)
        }
        Action::CreateSubnet(s) => {
            format!("create-subnet {}/{}: {}", s.vpc.value, s.name.value, s.cidr.value)
        }
        Action::DeleteSubnet(s) => format!("delete-subnet {}", s.value),
        Action::CreateRouteTable(t) => {
            format!("create-route-table {}/{}", t.vpc.value, t.name.value)
        }
        Action::DeleteRouteTable(t) => format!("delete-route-table {}", t.value),
        Action::AssociateRouteTable(a) => {
            format!("associate-route-table {} with {}", a.table.value, a.subnet.value)
        }
        Action::DisassociateRouteTable(s) => format!("disassociate-route-table of {}", s.value),
        Action::ReplaceMainRouteTable(t) => format!("replace-main-route-table by {}", t.value),
        Action::CreateRoute(s) => route_words("create-route", &s.route, Some(&s.target.value)),
        Action::ReplaceRoute(s) => route_words("replace-route", &s.route, Some(&s.target.value)),
        Action::DeleteRoute(k) => route_words("delete-route", k, None),
        Action::DescribeRoute(k) => route_words("describe-route", k, None),
        Action::RunInstance(i) => format!("run-instance {}", i.label.value),
        Action::StopInstance(l) => format!("stop-instance {}", l.value),
        Action::StartInstance(l) => format!("start-instance {}", l.value),
        Action::TerminateInstance(l) => format!("terminate-instance {}", l.value),
        Action::ModifySourceDestCheck(m) => format!(
            "modify-source-dest-check {}: {}",
            m.instance.value,
            match m.value {
                SourceDestCheck::On => "on",
                SourceDestCheck::Off => "off",
            }
        ),
        Action::Ping(p) => {
            let to: Vec<String> = p.to.iter().map(|d| d.value.to_string()).collect();
            let to = match &to[..] {
                [only] => only.clone(),
                several => format!("[{}]", several.join(", ")),
            };
            format!("ping {}{}", pair(&p.from.value, &to), times(p.count.get()))
        }
        Action::Udp(u) => {
            format!("udp {}{}", pair(&u.from.value, &u.to.value), times(u.count.get()))
        }
        Action::Send(s) => format!("send from {}, {} bytes", s.from.value, s.bytes.value.len()),
        Action::Replay(r) => format!("replay {} from {}", r.capture.value.as_str(), r.from.value),
        Action::Flows(f) => {
            let pairs: Vec<String> =
                f.pairs.iter().take(3).map(|p| pair(&p.from.value, &p.to.value)).collect();
            let more = f.pairs.len() - pairs.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("flows {}{more}, {} packets each at {}", pairs.join(", "), f.packets, f.rate)
        }
        Action::Wait(span) => format!("wait {}", span.value),
    }
}

fn times(n: u32) -> String {
    if n == 1 { String::new() } else { format!(", {n} times") }
}

fn route_words(verb: &str, key: &ast::RouteKey, target: Option<&ast::TargetRef>) -> String {
    let target = target.map_or_else(String::new, |t| format!(" -> {t}"));
    format!("{verb} {}: {}{target}", key.table.value, key.destination.value)
}
