//! One step: its action becomes a command for the cloud or traffic for the simulator.
//!
//! Holds the translation of commands; `traffic` has that of traffic, `words` says what is done.
//! Refuses to judge and to move time.

mod filter;
mod flow_log;
mod gateway;
mod traffic;
mod words;

use std::net::SocketAddr;
use std::path::Path;

use ipnet::IpNet;

use super::ast::{self, AccountRef, Action, Destination, Toggle, VpcRef};
use super::lower;
use super::stage::{Stage, Trouble};
use crate::base::diag::Spanned;
use crate::base::id::{AccountId, InterfaceId, PeeringId, RouteTableId, VpcId};
use crate::base::time::Span;
use crate::cloud::account::Caller;
use crate::cloud::command::Command;
use crate::cloud::dns::Resolution;
use crate::cloud::hostname::Hostname;
use crate::cloud::peering::{End, Status};
use crate::cloud::refusal::Refusal;
use crate::sim::tcp::Transfer;
use crate::sim::{Datagrams, Source};
pub(super) use filter::acl_entry;
pub(super) use traffic::capture_of;
pub(super) use words::words;

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
    /// A name was asked for, and this came of it.
    Resolved(Hostname, Resolution),
    /// Traffic of one probe is to be started.
    Probe(Probe),
    /// A connection is to be opened.
    Connect(Connect),
    /// Traffic of one probe for each target of a ping; at least one.
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

/// A connection to open.
pub(super) struct Connect {
    pub(super) from: InterfaceId,
    pub(super) meant: Option<InterfaceId>,
    pub(super) ends: (SocketAddr, SocketAddr),
    pub(super) transfer: Transfer,
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
        Action::ModifyPeeringOptions(modify) => desk.modify_peering_options(modify),
        Action::DescribePeering(p) => desk.describe_peering(p),
        Action::CreateVpc(vpc) => desk.create_vpc(vpc),
        Action::DeleteVpc(v) => {
            let vpc = desk.stage.vpc(&v.value)?;
            let caller = desk.caller(desk.stage.owner(vpc))?;
            desk.stage.close(&v.value, &caller);
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
        Action::ModifyVpcAttribute(modify) => {
            let vpc = desk.stage.vpc(&modify.vpc.value)?;
            let caller = desk.caller(desk.stage.owner(vpc))?;
            desk.stage.set_dns(&caller, vpc, modify.dns_support, modify.dns_hostnames)?;
            Ok(Doing::Asked(Shown::Nothing))
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
            let known = known.ok_or(Refusal::SubnetNotFound(subnet))?;
            let (association, _) = known
                .association()
                .ok_or_else(|| Trouble::NoAssociation { subnet: s.value.to_string() })?;
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
        Action::Resolve(query) => {
            let from = desk.stage.instance(&query.from.value)?;
            let name = desk.stage.hostname(&query.name.value)?;
            let sim = &desk.stage.sim;
            if !sim.cloud().runs(from.interface) {
                let instance = query.from.value.to_string();
                return Err(Trouble::NotRunning { instance }.into());
            }
            let resolution = sim.cloud().resolve(from.vpc, &name, sim.now());
            Ok(Doing::Resolved(name, resolution))
        }
        Action::Filter(filter) => desk.filter(filter),
        Action::Gateway(action) => desk.gateway_action(action),
        Action::FlowLog(action) => desk.flow_log_action(action),
        Action::Ping(ping) => traffic::pings(desk.stage, ping).map(Doing::Targets),
        Action::Udp(udp) => traffic::datagrams(desk.stage, udp).map(Doing::Probe),
        Action::Tcp(tcp) => traffic::connection(desk.stage, tcp).map(Doing::Connect),
        Action::Send(send) => traffic::bytes(desk.stage, send).map(Doing::Probe),
        Action::Replay(replay) => {
            traffic::replayed(desk.stage, replay, directory).map(Doing::Probe)
        }
        Action::Flows(flows) => traffic::flows(desk.stage, flows).map(Doing::Probe),
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

    /// Sets the side that is named, else every side of the account that asks: that of the VPC that
    /// asked for the peering, unless the step says another.
    fn modify_peering_options(
        &mut self,
        modify: &ast::ModifyPeeringOptions,
    ) -> Result<Doing, Undone> {
        let peering = self.stage.peering(&modify.peering.value)?;
        let party = |end| match end {
            End::Requester => self.stage.requester_of(peering),
            End::Accepter => self.stage.accepter_of(peering),
        };
        let asker = self.caller(party(modify.side.unwrap_or(End::Requester)))?.account;
        let sides = |end: &End| match modify.side {
            Some(side) => *end == side,
            None => party(*end).account == asker,
        };
        let sides: Vec<End> = End::ALL.into_iter().filter(sides).collect();
        // An account that owns neither side asks for one all the same, to be told what it is told.
        let first = sides.first().copied().unwrap_or(End::Requester);
        let caller = Caller { account: asker, region: party(first).region };
        let switch = |end| (end == first || sides.contains(&end)).then_some(modify.dns_from_peer);
        let command = Command::ModifyVpcPeeringConnectionOptions {
            peering,
            requester: switch(End::Requester),
            accepter: switch(End::Accepter),
        };
        self.stage.ask(&caller, &command)?;
        Ok(Doing::Asked(Shown::Nothing))
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
        let status: Status = self.stage.sim.cloud().describe_peering(&caller, id, now)?.status();
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

#[cfg(test)]
mod tests;
