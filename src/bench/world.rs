//! The networks that are measured, and the packets that are sent through them.
//!
//! Holds a ring of VPCs, each peered with the next, in the sizes and with the filters of a
//! [`Shape`]. Refuses to forward. What is small is asked of the cloud command by command; long
//! tables of routes and long rings are carried out as events that nobody decided, because each
//! `CreateRoute` looks through the table it adds to and each request through all peerings: a million
//! of them would take hours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::BenchError;
use super::engine::Parcel;
use crate::base::id::*;
use crate::base::rng::mix;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, Event};
use crate::cloud::filter::{Direction, PortRange, Traffic};
use crate::cloud::instance::NewInterface;
use crate::cloud::network_acl::{AclAction, AclEntry, RuleNumber};
use crate::cloud::profile::Profile;
use crate::cloud::quota::{Quota, Quotas};
use crate::cloud::route_table::RouteTarget;
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::forward::Rows;
use crate::wire::{Family, build};

/// Rules of each filter: as many in a group and direction as in a list and direction.
pub(super) const RULES: u16 = 100;
/// Ports that one rule is about.
const PORTS_PER_RULE: u16 = 10;
/// The first port that the rules are about.
const FIRST_PORT: u16 = 20_000;
/// Routes beyond which a table is not asked for command by command.
const ROUTES_ASKED_FOR: usize = 64;
/// VPCs beyond which the peerings of a ring are not.
const VPCS_ASKED_FOR: usize = 128;

/// What is in a packet's way beside routes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filters {
    /// What a VPC is born with, and groups that let everybody in.
    Plain,
    /// Network ACLs of [`RULES`] entries in each direction.
    Acls,
    /// Stateful groups of [`RULES`] rules in each direction.
    Groups,
    /// Both.
    Everything,
}

impl Filters {
    pub(super) const ALL: [Filters; 4] =
        [Filters::Plain, Filters::Acls, Filters::Groups, Filters::Everything];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Filters::Plain => "plain",
            Filters::Acls => "+ACL",
            Filters::Groups => "+groups",
            Filters::Everything => "everything",
        }
    }

    const fn has_acls(self) -> bool {
        matches!(self, Filters::Acls | Filters::Everything)
    }

    const fn has_groups(self) -> bool {
        matches!(self, Filters::Groups | Filters::Everything)
    }
}

/// A network to be built.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shape {
    /// 2..=131,072.
    pub(super) vpcs: usize,
    /// Of each VPC: at most 54, or 60,000 if there are at most 128 VPCs.
    pub(super) hosts: usize,
    /// Of each main table, beside the local ones and the two that the ring takes.
    pub(super) routes: usize,
    pub(super) family: Family,
    pub(super) filters: Filters,
}

impl Shape {
    /// Small enough for a second-level cache: two VPCs with 512 instances and 1,000 routes each.
    pub(super) const BASE: Shape =
        Shape { vpcs: 2, hosts: 512, routes: 1_000, family: Family::V4, filters: Filters::Plain };

    const fn next(self, vpc: usize) -> usize {
        (vpc + 1) % self.vpcs
    }

    const fn peerings(self) -> usize {
        if self.vpcs == 2 { 1 } else { self.vpcs }
    }

    /// The IPv4 block of a VPC: 10.n.0.0/16, or a /26 where there are many.
    fn block(self, vpc: usize) -> Result<Ipv4Net, BenchError> {
        let length: u8 = if self.vpcs <= 128 { 16 } else { 26 };
        let first = 10 << 24 | narrow(vpc)? << (32 - length);
        Ipv4Net::new(Ipv4Addr::from(first), length).map_err(|_| BenchError::Shape)
    }

    /// The IPv6 block of a VPC.
    fn block_v6(vpc: usize) -> Result<Ipv6Net, BenchError> {
        let first = 0x2600_1f00_u128 << 96 | (vpc as u128) << 72;
        Ipv6Net::new(Ipv6Addr::from(first), 56).map_err(|_| BenchError::Shape)
    }

    /// The `n`-th of the further routes of a table: all different, some inside others, none in a VPC.
    fn elsewhere(self, n: usize) -> Result<IpNet, BenchError> {
        // An odd factor permutes the 2^22 blocks of 32.0.0.0/6.. that are drawn from; three in ten
        // routes lie inside the block of the seventh before them.
        let (which, length) = match n % 10 {
            7 => (n - 7, 28),
            8 => (n - 7, 32),
            9 => (n - 7, 26),
            _ => (n, 24),
        };
        let drawn = narrow(which)?.wrapping_mul(2_654_435_761) & 0x003f_ffff;
        let net = match self.family {
            Family::V4 => IpNet::new(Ipv4Addr::from((32 << 24) + (drawn << 8)).into(), length),
            Family::V6 => {
                let first = 0x2a00_u128 << 112 | u128::from(drawn) << 80;
                IpNet::new(Ipv6Addr::from(first).into(), length * 2)
            }
        };
        net.map_err(|_| BenchError::Shape)
    }
}

fn narrow(n: usize) -> Result<u32, BenchError> {
    u32::try_from(n).map_err(|_| BenchError::Shape)
}

/// Where packets go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Towards {
    /// An instance of the next VPC.
    Peer,
    /// An instance of the sender's own VPC, in its other subnet.
    Local,
    /// An address beyond the peer, to which a route over the peering leads.
    Beyond,
    /// An address that no route covers.
    Nowhere,
}

/// How often each VPC is chosen as a sender's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    /// One as often as another.
    Uniform,
    /// The `n`-th most frequent one an `n`-th as often as the most frequent (Zipf's law), wherever it
    /// lies.
    Skewed,
}

/// Packets to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stream {
    /// Different flows; each has one packet in the pool.
    pub(super) flows: usize,
    /// Bytes of a packet, its IP header included.
    pub(super) length: usize,
    pub(super) towards: Towards,
    pub(super) choice: Choice,
}

impl Stream {
    /// 1,024 flows of 64 bytes across the peering.
    pub(super) const BASE: Stream =
        Stream { flows: 1_024, length: 64, towards: Towards::Peer, choice: Choice::Uniform };
}

/// A network that stands.
#[derive(Debug)]
pub(super) struct World {
    pub(super) shape: Shape,
    pub(super) cloud: Cloud,
    pub(super) rows: Rows,
    /// By VPC and number: interface and address of the family measured.
    hosts: Vec<Vec<(InterfaceIdx, IpAddr)>>,
    /// Of the first VPC.
    table: RouteTableId,
    peering: PeeringId,
}

impl World {
    /// Builds a network.
    pub(super) fn build(shape: Shape) -> Result<World, BenchError> {
        let mut builder = Builder::new(shape)?;
        for vpc in 0..shape.vpcs {
            builder.vpc(vpc)?;
        }
        for at in 0..shape.peerings() {
            builder.peer(at)?;
        }
        builder.further_routes()?;
        builder.finish()
    }

    /// The packets of a stream, in an order that says nothing about their places.
    pub(super) fn parcels(&self, stream: Stream) -> Result<Vec<Parcel>, BenchError> {
        (0..stream.flows).map(|flow| self.parcel(stream, flow)).collect()
    }

    fn parcel(&self, stream: Stream, flow: usize) -> Result<Parcel, BenchError> {
        let (vpcs, hosts) = (self.shape.vpcs, self.shape.hosts);
        let drawn = mix(flow as u64);
        let draw = |shift: u32, bound: usize| {
            let bits = (mix(drawn.rotate_left(shift)) >> 32) * bound as u64;
            #[allow(clippy::cast_possible_truncation, reason = "it is below the bound, a usize")]
            {
                (bits >> 32) as usize
            }
        };
        let at = match stream.choice {
            Choice::Uniform => draw(1, vpcs),
            Choice::Skewed => zipf(draw(1, 1 << 30) as f64 / f64::from(1 << 30), vpcs),
        };
        let n = draw(17, hosts);
        let (from, source) = self.host(at, n)?;
        let destination = match stream.towards {
            Towards::Peer => self.host(self.shape.next(at), draw(31, hosts))?.1,
            // The subnets take turns.
            Towards::Local => self.host(at, (n + 1 + 2 * draw(31, hosts / 2)) % hosts)?.1,
            Towards::Beyond => {
                self.shape.elsewhere(draw(31, self.shape.routes.div_ceil(2)))?.addr()
            }
            Towards::Nowhere => match self.shape.family {
                Family::V4 => IpAddr::V4(Ipv4Addr::new(172, 31, 0, 1)),
                Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2a10, 0, 0, 0, 0, 0, 0, 1)),
            },
        };
        let rules = usize::from(RULES * PORTS_PER_RULE);
        let port = |n: usize| u16::try_from(n).map_err(|_| BenchError::Shape);
        let source = SocketAddr::new(source, 1_024 + port(flow % 16_384)?);
        let destination = SocketAddr::new(destination, FIRST_PORT + port(draw(47, rules))?);
        let headers = match self.shape.family {
            Family::V4 => 28,
            Family::V6 => 48,
        };
        let data = vec![0; stream.length.saturating_sub(headers)];
        let packet = build::udp(source, destination, &data).map_err(|_| BenchError::Shape)?;
        Ok(Parcel { from, packet })
    }

    fn host(&self, vpc: usize, n: usize) -> Result<(InterfaceIdx, IpAddr), BenchError> {
        self.hosts.get(vpc).and_then(|hosts| hosts.get(n)).copied().ok_or(BenchError::Shape)
    }

    /// One route more or less in the first VPC's table, to a part of the second VPC: what a change
    /// under traffic is. With it and without it packets take the same peering, so that none is lost.
    pub(super) fn change_route(&mut self, add: bool) -> Result<Vec<Change>, BenchError> {
        let caller = caller();
        let second = match self.shape.family {
            Family::V4 => IpNet::V4(self.shape.block(1)?),
            Family::V6 => IpNet::V6(Shape::block_v6(1)?),
        };
        let longer = (second.prefix_len() + 8).min(second.max_prefix_len());
        let mut parts = second.subnets(longer).map_err(|_| BenchError::Shape)?;
        let destination = parts.nth(1).ok_or(BenchError::Shape)?;
        let (table, target) = (self.table, RouteTarget::Peering(self.peering));
        let command = match add {
            true => Command::CreateRoute { table, destination, target },
            false => Command::DeleteRoute { table, destination },
        };
        let events = self.cloud.apply(&caller, &command, Instant::START)?;
        Ok(events.into_iter().map(|event| event.change).collect())
    }
}

/// One of so many by Zipf's law, for a number that is uniform in 0..1. The most frequent ones are
/// spread over all.
pub(super) fn zipf(uniform: f64, of: usize) -> usize {
    // The inverse of the distribution function of 1/x.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 1..=of")]
    let rank = (of as f64 + 1.0).powf(uniform) as usize;
    // A prime factor that no size here is a multiple of: a permutation.
    rank.clamp(1, of) * 999_983 % of
}

fn caller() -> Caller {
    Caller { account: AccountId::DEFAULT, region: Region::default() }
}

/// The same change of another peering.
fn between(
    change: &Change,
    peering: PeeringId,
    (near, far): (VpcId, VpcId),
) -> Result<Change, BenchError> {
    let mut change = change.clone();
    match &mut change {
        Change::PeeringRequested { peering: id, requester, accepter, .. } => {
            (*id, requester.vpc, accepter.vpc) = (peering, near, far);
        }
        Change::PeeringMoved { peering: id, .. } => *id = peering,
        _ => return Err(BenchError::Shape),
    }
    Ok(change)
}

struct Builder {
    shape: Shape,
    cloud: Cloud,
    /// Whether routes and further peerings are asked for.
    by_command: bool,
    /// What was asked for and granted when the first two VPCs were peered.
    first_peering: Option<(Change, Change)>,
    vpcs: Vec<(VpcId, RouteTableId)>,
    peerings: Vec<PeeringId>,
    hosts: Vec<Vec<(InterfaceId, IpAddr)>>,
}

impl Builder {
    fn new(shape: Shape) -> Result<Builder, BenchError> {
        let is_large = shape.vpcs > 128;
        let most = if is_large { 54 } else { 60_000 };
        if !(2..=131_072).contains(&shape.vpcs) || !(2..=most).contains(&shape.hosts) {
            return Err(BenchError::Shape);
        }
        let mut builder = Builder {
            shape,
            cloud: Cloud::new(Profile::Today, Span::ZERO),
            by_command: shape.vpcs <= VPCS_ASKED_FOR && shape.routes <= ROUTES_ASKED_FOR,
            first_peering: None,
            vpcs: Vec::new(),
            peerings: Vec::new(),
            hosts: Vec::new(),
        };
        let mut quotas = Quotas::default();
        for quota in Quota::ALL {
            quotas.set(quota, 10_000_000);
        }
        quotas.set(Quota::SecurityGroupsPerInterface, 5);
        quotas.set(Quota::RulesPerSecurityGroup, usize::from(RULES) + 1);
        builder.ask(Command::OpenAccount { quotas })?;
        Ok(builder)
    }

    /// Asks, and gives back what changed first.
    fn ask(&mut self, command: Command) -> Result<Option<Change>, BenchError> {
        let events = self.cloud.apply(&caller(), &command, Instant::START)?;
        Ok(events.into_iter().next().map(|event| event.change))
    }

    /// Makes a change that nobody has decided.
    fn evolve(&mut self, change: Change) {
        self.cloud.evolve(&Event { at: Instant::START, change });
    }

    fn vpc(&mut self, at: usize) -> Result<(), BenchError> {
        let cidr = self.shape.block(at)?;
        let created = self.ask(Command::CreateVpc { cidr })?;
        let Some(Change::VpcCreated {
            vpc,
            main_table,
            default_acl: acl,
            default_group: group,
            ..
        }) = created
        else {
            return Err(BenchError::Shape);
        };
        self.vpcs.push((vpc, main_table));
        let v6 = Shape::block_v6(at)?;
        if self.shape.family == Family::V6 {
            self.ask(Command::AssociateVpcCidrBlock { vpc, block: v6.into() })?;
        }
        self.filters(group, acl)?;
        let mut subnets = Vec::new();
        let halves = cidr.subnets(cidr.prefix_len() + 1).map_err(|_| BenchError::Shape)?;
        let quarters = v6.subnets(64).map_err(|_| BenchError::Shape)?;
        for (cidr, ipv6) in halves.zip(quarters) {
            let ipv6 = (self.shape.family == Family::V6).then_some(ipv6);
            match self.ask(Command::CreateSubnet { vpc, cidr, ipv6, zone: None })? {
                Some(Change::SubnetCreated { subnet, .. }) => subnets.push(subnet),
                _ => return Err(BenchError::Shape),
            }
        }
        let mut hosts = Vec::with_capacity(self.shape.hosts);
        for subnet in subnets.into_iter().cycle().take(self.shape.hosts) {
            let run = Command::run_instance(NewInterface::in_subnet(subnet));
            let Some(Change::InstanceRun { interface, addresses, .. }) = self.ask(run)? else {
                return Err(BenchError::Shape);
            };
            let wanted = |a: &&IpAddr| a.is_ipv6() == (self.shape.family == Family::V6);
            let address = addresses.iter().find(wanted).ok_or(BenchError::Shape)?;
            hosts.push((interface, *address));
        }
        self.hosts.push(hosts);
        Ok(())
    }

    /// Fills the group and the list that a VPC was born with.
    fn filters(&mut self, group: SecurityGroupId, acl: NetworkAclId) -> Result<(), BenchError> {
        let everybody: IpNet = match self.shape.family {
            Family::V4 => Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8).into(),
            Family::V6 => {
                Ipv6Net::new_assert(Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 0), 16).into()
            }
        };
        let traffic = |n: u16| {
            let first = FIRST_PORT + n * PORTS_PER_RULE;
            PortRange::new(first, first + PORTS_PER_RULE - 1)
                .map(Traffic::Udp)
                .ok_or(BenchError::Shape)
        };
        if self.shape.filters.has_groups() {
            let rule = |n| Ok(GroupRule { traffic: traffic(n)?, peer: RulePeer::Block(everybody) });
            let rules = (0..RULES).map(rule).collect::<Result<Vec<_>, BenchError>>()?;
            let open = GroupRule::everybody().into();
            self.ask(Command::RevokeSecurityGroupEgress { group, rules: open })?;
            self.ask(Command::AuthorizeSecurityGroupEgress { group, rules: rules.clone() })?;
            self.ask(Command::AuthorizeSecurityGroupIngress { group, rules })?;
        } else {
            let rules = GroupRule::everybody().into();
            self.ask(Command::AuthorizeSecurityGroupIngress { group, rules })?;
        }
        if self.shape.filters.has_acls() {
            for direction in Direction::ALL {
                for number in [100, 101].into_iter().filter_map(RuleNumber::new) {
                    self.ask(Command::DeleteNetworkAclEntry { acl, direction, number })?;
                }
                for n in 0..RULES {
                    let number = RuleNumber::new(n + 1).ok_or(BenchError::Shape)?;
                    let entry = AclEntry {
                        traffic: traffic(n)?,
                        block: everybody,
                        action: AclAction::Allow,
                    };
                    self.ask(Command::CreateNetworkAclEntry { acl, direction, number, entry })?;
                }
            }
        }
        Ok(())
    }

    /// Peers a VPC with the next, and gives each the route to the other. In large networks peerings
    /// after the first are events that repeat it between other VPCs.
    fn peer(&mut self, at: usize) -> Result<(), BenchError> {
        let to = self.shape.next(at);
        let (&(requester, table), &(accepter, other)) =
            self.vpcs.get(at).zip(self.vpcs.get(to)).ok_or(BenchError::Shape)?;
        let peering = match &self.first_peering {
            Some((requested, accepted)) if !self.by_command => {
                // Numbers that the cloud itself will not come to.
                let peering = PeeringId::new(Digits::minted(mix(1 << 40 | at as u64)));
                let ends = (requester, accepter);
                let changes =
                    [between(requested, peering, ends)?, between(accepted, peering, ends)?];
                changes.into_iter().for_each(|change| self.evolve(change));
                peering
            }
            _ => self.first_peer(requester, accepter)?,
        };
        self.peerings.push(peering);
        for (table, of) in [(table, to), (other, at)] {
            let destination = match self.shape.family {
                Family::V4 => self.shape.block(of)?.into(),
                Family::V6 => Shape::block_v6(of)?.into(),
            };
            self.route(table, destination, peering)?;
        }
        Ok(())
    }

    fn first_peer(&mut self, requester: VpcId, accepter: VpcId) -> Result<PeeringId, BenchError> {
        let request = Command::CreateVpcPeeringConnection {
            requester,
            accepter,
            peer_owner: None,
            peer_region: None,
        };
        let requested = self.ask(request)?.ok_or(BenchError::Shape)?;
        let Change::PeeringRequested { peering, .. } = requested else {
            return Err(BenchError::Shape);
        };
        let accepted = self.ask(Command::AcceptVpcPeeringConnection { peering })?;
        self.first_peering = Some((requested, accepted.ok_or(BenchError::Shape)?));
        Ok(peering)
    }

    /// A route over a peering.
    fn route(
        &mut self,
        table: RouteTableId,
        destination: IpNet,
        peering: PeeringId,
    ) -> Result<(), BenchError> {
        let target = RouteTarget::Peering(peering);
        if self.by_command {
            self.ask(Command::CreateRoute { table, destination, target })?;
        } else {
            self.evolve(Change::RouteSet { table, destination, target });
        }
        Ok(())
    }

    /// Half of them, as far as they reach, one for each instance of the next VPC; the others lead
    /// over the peering and beyond.
    fn further_routes(&mut self) -> Result<(), BenchError> {
        for at in 0..self.shape.vpcs {
            let (to, table) = (self.shape.next(at), self.vpcs.get(at).map(|(_, table)| *table));
            let peering = self.peerings.get(at.min(self.shape.peerings() - 1)).copied();
            let (table, peering) = table.zip(peering).ok_or(BenchError::Shape)?;
            let hosts = self.hosts.get(to).ok_or(BenchError::Shape)?;
            let own = hosts.iter().map(|(_, address)| IpNet::from(*address));
            let mut routes: Vec<IpNet> = own.take(self.shape.routes / 2).collect();
            for n in 0..self.shape.routes - routes.len() {
                routes.push(self.shape.elsewhere(n)?);
            }
            for destination in routes {
                self.route(table, destination, peering)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<World, BenchError> {
        let cloud = self.cloud;
        let rows = Rows::of(&cloud);
        let row = |(id, address)| Some((rows.interface(id)?, address));
        let of_vpc = |hosts: Vec<_>| hosts.into_iter().map(row).collect::<Option<Vec<_>>>();
        let hosts = self.hosts.into_iter().map(of_vpc).collect::<Option<Vec<_>>>();
        let first = self.vpcs.first().zip(self.peerings.first());
        let (&(_, table), &peering) = first.ok_or(BenchError::Shape)?;
        let hosts = hosts.ok_or(BenchError::Shape)?;
        Ok(World { shape: self.shape, cloud, rows, hosts, table, peering })
    }
}
