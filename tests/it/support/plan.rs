//! Random worlds as plans: lists of small numbers that shrink, and the cloud that each one builds.
//!
//! Every number of a plan is taken modulo what there is to choose from, and what the cloud refuses
//! is left out, so every plan builds a world and every part of a plan can be left out. Addresses
//! come from few blocks, so that they hit: VPCs have equal, nested and disjoint blocks, routes name
//! blocks, parts of them, hosts and everything. Refuses to judge packets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use vpclab::base::id::{AccountId, InterfaceId, PeeringId, SubnetId, VpcId};
use vpclab::base::time::Span;
use vpclab::cloud::Cloud;
use vpclab::cloud::account::Region;
use vpclab::cloud::command::Command;
use vpclab::cloud::gateway::GatewayId;
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::RouteTarget;

use super::lab::Lab;

/// How long transient states last: long enough to be met, short against a request's week.
const SETTLE: Span = Span::from_secs(1);

/// A number to choose with.
pub(crate) type Pick = u16;

/// A world, and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) profile: Profile,
    pub(crate) vpcs: Vec<VpcPlan>,
    pub(crate) peerings: Vec<(Pick, Pick, Stage)>,
    pub(crate) routes: Vec<RoutePlan>,
    pub(crate) tweaks: Vec<Tweak>,
    pub(crate) packets: Vec<PacketPlan>,
    /// What happens while packets are on their way.
    pub(crate) meanwhile: Vec<Tweak>,
}

#[derive(Clone, Debug)]
pub(crate) struct VpcPlan {
    /// Which block it has, of [`BLOCKS`].
    block: usize,
    /// In the second account, in the second region (`today` only), with an IPv6 block, with a
    /// secondary block: one bit each.
    traits: u8,
    /// For each subnet: which part of the block (bits 0-2), in the secondary block (3), with a
    /// table of its own (4), and how many hosts, 0 to 3 (5-6).
    subnets: Vec<u8>,
}

/// How far a peering gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Active,
    Pending,
    Rejected,
    Deleted,
    Expired,
    Provisioning,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RoutePlan {
    /// In whose table it stands, or between whom (see [`Via`]).
    vpc: Pick,
    table: Pick,
    /// Whose addresses it is about.
    towards: Pick,
    scope: Scope,
    via: Via,
}

#[derive(Clone, Copy, Debug)]
enum Scope {
    Block,
    Half,
    Subnet,
    Host,
    Ten,
    Everything,
    Block6,
    Host6,
    Everything6,
}

#[derive(Clone, Copy, Debug)]
enum Via {
    /// Over a peering, about the VPC at its other end.
    Right,
    /// Some peering of the table's VPC.
    Any(Pick),
    /// Some interface of the table's VPC.
    Interface(Pick),
}

/// A change to a world that stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tweak {
    CheckOff(Pick),
    CheckOn(Pick),
    Stop(Pick),
    Start(Pick),
    Terminate(Pick),
    Host(Pick),
    Assign(Pick),
    DeletePeering(Pick),
    AcceptPeering(Pick),
    /// To another VPC.
    MoveGateway(Pick, Pick),
    Wait(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct PacketPlan {
    from: Pick,
    to: Aim,
    /// 0 is an address that is not the sender's.
    own: u8,
}

#[derive(Clone, Copy, Debug)]
enum Aim {
    /// An address of some host.
    Host(Pick),
    /// An address of a host in a VPC that shares a peering with the sender's, if there is any.
    Near(Pick),
    /// A little beside a host's address.
    Beside(Pick, i8),
    /// The last address of some VPC's block.
    Edge(Pick),
    /// An address that no VPC has.
    Outside,
    /// An address that is reserved for documentation, over IPv6.
    Outside6,
}

/// Few, so that VPCs often have equal or nested ones.
const BLOCKS: [&str; 14] = [
    "10.1.0.0/16",
    "10.2.0.0/16",
    "10.3.0.0/16",
    "10.4.0.0/16",
    "10.5.0.0/16",
    "10.6.0.0/16",
    "10.7.0.0/16",
    "10.8.0.0/16",
    "10.9.0.0/16",
    "10.10.0.0/16",
    "10.2.128.0/20",
    "172.16.0.0/16",
    "192.168.0.0/20",
    "100.70.0.0/18",
];

/// A world that stands.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) lab: Lab,
    /// In order of creation, as are the others.
    pub(crate) vpcs: Vec<VpcId>,
    pub(crate) subnets: Vec<SubnetId>,
    pub(crate) hosts: Vec<InterfaceId>,
    pub(crate) peerings: Vec<PeeringId>,
}

/// A packet to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub(crate) from: InterfaceId,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Whom it is meant for, if it was aimed at a host.
    pub(crate) meant: Option<InterfaceId>,
}

/// How large worlds are.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) vpcs: std::ops::Range<usize>,
    pub(crate) peerings: std::ops::Range<usize>,
    pub(crate) routes: std::ops::Range<usize>,
}

impl Size {
    const LARGE: Size = Size { vpcs: 2..20, peerings: 1..40, routes: 0..120 };
}

/// Plans with this many packets.
pub(crate) fn plans(size: Size, packets: std::ops::Range<usize>) -> impl Strategy<Value = Plan> {
    let profile = prop_oneof![Just(Profile::Seed), Just(Profile::Today)];
    let vpc = (0..BLOCKS.len(), any::<u8>(), vec(any::<u8>(), 1..4))
        .prop_map(|(block, traits, subnets)| VpcPlan { block, traits, subnets });
    let stage = prop_oneof![
        10 => Just(Stage::Active),
        1 => Just(Stage::Pending),
        1 => Just(Stage::Rejected),
        2 => Just(Stage::Deleted),
        1 => Just(Stage::Expired),
        1 => Just(Stage::Provisioning),
    ];
    let peering = (any::<Pick>(), any::<Pick>(), stage);
    (
        profile,
        vec(vpc, size.vpcs),
        vec(peering, size.peerings),
        vec(route(), size.routes),
        vec(tweak(), 0..12),
        vec(packet(), packets),
        vec(tweak(), 0..12),
    )
        .prop_map(|(profile, vpcs, peerings, routes, tweaks, packets, meanwhile)| Plan {
            profile,
            vpcs,
            peerings,
            routes,
            tweaks,
            packets,
            meanwhile,
        })
}

/// Runs a property over this many plans, with shrinking.
pub(crate) fn over_plans(
    cases: u32,
    packets: std::ops::Range<usize>,
    property: impl Fn(Plan) -> Result<(), TestCaseError>,
) {
    over(cases, &plans(Size::LARGE, packets), property);
}

/// Runs a property over this many of what a strategy makes, with shrinking.
pub(crate) fn over<S: Strategy>(
    cases: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 5_000,
        ..ProptestConfig::default()
    };
    // A failure prints the whole plan, which is all that is needed to repeat it.
    match TestRunner::new(config).run(strategy, property) {
        Ok(()) => {}
        Err(TestError::Fail(why, plan)) => panic!("{why}\nin the world of {plan:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

pub(crate) fn route() -> impl Strategy<Value = RoutePlan> {
    let scope = prop_oneof![
        6 => Just(Scope::Block),
        2 => Just(Scope::Half),
        2 => Just(Scope::Subnet),
        2 => Just(Scope::Host),
        1 => Just(Scope::Ten),
        2 => Just(Scope::Everything),
        3 => Just(Scope::Block6),
        1 => Just(Scope::Host6),
        1 => Just(Scope::Everything6),
    ];
    let via = prop_oneof![
        5 => Just(Via::Right),
        3 => any::<Pick>().prop_map(Via::Any),
        2 => any::<Pick>().prop_map(Via::Interface),
    ];
    (any::<Pick>(), any::<Pick>(), any::<Pick>(), scope, via)
        .prop_map(|(vpc, table, towards, scope, via)| RoutePlan { vpc, table, towards, scope, via })
}

/// What moves a gateway to another VPC, each command with the VPC it is about.
pub(crate) fn moving(cloud: &Cloud, nth: Pick, to: Pick) -> Option<[(VpcId, Command); 2]> {
    let attached: Vec<(GatewayId, VpcId)> =
        cloud.gateways().filter_map(|(id, gateway)| Some((id, gateway.vpc?))).collect();
    let (id, from) = pick(&attached, nth)?;
    let others: Vec<VpcId> = cloud.vpcs().map(|(id, _)| id).filter(|id| *id != from).collect();
    let to = pick(&others, to)?;
    let at = |vpc| match id {
        GatewayId::Internet(gateway) => Some([
            Command::DetachInternetGateway { gateway, vpc },
            Command::AttachInternetGateway { gateway, vpc },
        ]),
        GatewayId::Vpn(gateway) => Some([
            Command::DetachVpnGateway { gateway, vpc },
            Command::AttachVpnGateway { gateway, vpc },
        ]),
        // These stay where they were made.
        GatewayId::Endpoint(_) | GatewayId::EgressOnly(_) => None,
    };
    let ([detach, _], [_, attach]) = (at(from)?, at(to)?);
    Some([(from, detach), (to, attach)])
}

pub(crate) fn tweak() -> impl Strategy<Value = Tweak> {
    let pick = any::<Pick>();
    prop_oneof![
        2 => pick.prop_map(Tweak::CheckOff),
        1 => pick.prop_map(Tweak::CheckOn),
        1 => pick.prop_map(Tweak::Stop),
        1 => pick.prop_map(Tweak::Start),
        1 => pick.prop_map(Tweak::Terminate),
        1 => pick.prop_map(Tweak::Host),
        1 => pick.prop_map(Tweak::Assign),
        2 => pick.prop_map(Tweak::DeletePeering),
        1 => pick.prop_map(Tweak::AcceptPeering),
        2 => (pick, pick).prop_map(|(gateway, to)| Tweak::MoveGateway(gateway, to)),
        1 => any::<u8>().prop_map(Tweak::Wait),
    ]
}

fn packet() -> impl Strategy<Value = PacketPlan> {
    let pick = any::<Pick>();
    let to = prop_oneof![
        6 => pick.prop_map(Aim::Near),
        5 => pick.prop_map(Aim::Host),
        1 => (pick, any::<i8>()).prop_map(|(host, by)| Aim::Beside(host, by)),
        1 => pick.prop_map(Aim::Edge),
        1 => Just(Aim::Outside),
        1 => Just(Aim::Outside6),
    ];
    (pick, to, 0..30_u8).prop_map(|(from, to, own)| PacketPlan { from, to, own })
}

impl VpcPlan {
    fn has(&self, bit: u8) -> bool {
        self.traits >> bit & 1 == 1
    }
}

/// What the number chooses; `None` if there is nothing.
pub(crate) fn pick<T: Copy>(from: &[T], number: Pick) -> Option<T> {
    from.get(usize::from(number) % from.len().max(1)).copied()
}

impl World {
    /// The world of a plan, before anything happens in it.
    pub(crate) fn build(plan: &Plan) -> World {
        let lab = Lab::settling(plan.profile, SETTLE);
        let (vpcs, subnets, hosts, peerings) = Default::default();
        let mut world = World { lab, vpcs, subnets, hosts, peerings };
        for vpc in &plan.vpcs {
            world.add_vpc(vpc);
        }
        let wait = |world: &mut World, span| world.lab.now = world.lab.now + span;

        // Requests that nobody will answer are a day older than the others, so that they alone
        // expire. Active ones are accepted at once, so that several requests for one pair are not
        // all in the way of one another.
        let mut later: Vec<(PeeringId, Stage)> = Vec::new();
        let old = |stage: Stage| stage == Stage::Expired;
        for phase in [true, false] {
            for (a, b, stage) in plan.peerings.iter().filter(|p| old(p.2) == phase) {
                let (Some(a), Some(b)) = (pick(&world.vpcs, *a), pick(&world.vpcs, *b)) else {
                    continue;
                };
                let Ok(peering) = world.lab.request(a, b) else { continue };
                wait(&mut world, SETTLE);
                if !world.peerings.contains(&peering) {
                    world.peerings.push(peering);
                    later.push((peering, *stage));
                }
                if matches!(stage, Stage::Active | Stage::Deleted) {
                    let _ = world.lab.accept(peering);
                }
            }
            wait(&mut world, Span::from_days(1));
        }
        for route in &plan.routes {
            world.add_route(route);
        }
        wait(&mut world, Span::from_days(5));
        for (peering, stage) in later {
            // What has come otherwise (a request that failed, or was found) is left as it is.
            let _ = match stage {
                Stage::Active | Stage::Pending | Stage::Expired => Ok(()),
                Stage::Provisioning => world.lab.accept(peering),
                Stage::Rejected => world.lab.reject(peering),
                Stage::Deleted => world.lab.delete(peering),
            };
        }
        for tweak in &plan.tweaks {
            world.apply(*tweak);
        }
        world
    }

    fn add_vpc(&mut self, plan: &VpcPlan) {
        let today = self.lab.cloud.profile() == Profile::Today;
        let account = AccountId::from_number(111_111_111_111 + u64::from(plan.has(0))).unwrap();
        let region = match today && plan.has(1) && plan.has(2) {
            true => "eu-west-1".parse().unwrap(),
            false => Region::default(),
        };
        let block: Ipv4Net = BLOCKS[plan.block].parse().unwrap();
        let second: Ipv4Net = format!("100.{}.0.0/16", 80 + plan.block).parse().unwrap();
        let block6: Ipv6Net = format!("2001:db8:0:{:x}00::/56", plan.block / 2).parse().unwrap();
        let vpc = self.lab.vpc(account, region, block);
        self.vpcs.push(vpc);
        let mut add = |wanted: bool, block: IpNet| {
            wanted && self.lab.ask(vpc, &Command::AssociateVpcCidrBlock { vpc, block }).is_ok()
        };
        let has_second = add(plan.has(3), second.into());
        let has_6 = add(plan.has(4) || plan.has(5), block6.into());
        for (n, subnet) in plan.subnets.iter().enumerate() {
            let from = if has_second && subnet >> 3 & 1 == 1 { second } else { block };
            let part = from.subnets(24).unwrap().nth(usize::from(subnet & 7)).unwrap();
            let part6 = block6.subnets(64).unwrap().nth(n).filter(|_| has_6);
            let Ok(id) = self.lab.subnet(vpc, part, part6) else { continue };
            self.subnets.push(id);
            if subnet >> 4 & 1 == 1 {
                self.lab.table_for(id).unwrap();
            }
            for _ in 0..(subnet >> 5 & 3) {
                self.hosts.push(self.lab.host(id).unwrap());
            }
        }
    }

    pub(crate) fn add_route(&mut self, plan: &RoutePlan) -> Option<()> {
        let cloud = &self.lab.cloud;
        let (from, towards) = match plan.via {
            Via::Right => {
                let peering = cloud.peering(pick(&self.peerings, plan.vpc)?)?;
                let ends = [peering.requester().vpc, peering.accepter().vpc];
                let from = pick(&ends, plan.towards)?;
                (from, peering.other_end(from)?)
            }
            Via::Any(_) | Via::Interface(_) => {
                (pick(&self.vpcs, plan.vpc)?, pick(&self.vpcs, plan.towards)?)
            }
        };
        let table = pick(cloud.vpc(from)?.tables(), plan.table)?;
        let blocks = cloud.vpc(towards)?.blocks();
        let host = || {
            let inside: Vec<InterfaceId> =
                cloud.interfaces().filter(|(_, i)| i.vpc == towards).map(|(id, _)| id).collect();
            pick(&inside, plan.table).map(|id| &cloud.interface(id).unwrap().addresses)
        };
        let v6 = blocks.iter().find(|b| matches!(b, IpNet::V6(_)));
        let destination: IpNet = match plan.scope {
            Scope::Block => *blocks
                .iter()
                .filter(|b| matches!(b, IpNet::V4(_)))
                .nth(usize::from(plan.table & 1))
                .or(blocks.first())?,
            Scope::Half => {
                blocks.first()?.subnets(blocks.first()?.prefix_len() + 1).ok()?.next()?
            }
            Scope::Subnet => {
                let subnet = pick(cloud.vpc(towards)?.subnets(), plan.table)?;
                cloud.subnet(subnet)?.cidr.into()
            }
            Scope::Host => host()?.iter().find(|a| a.is_ipv4()).map(|a| IpNet::from(*a))?,
            Scope::Ten => "10.0.0.0/8".parse().ok()?,
            Scope::Everything => "0.0.0.0/0".parse().ok()?,
            Scope::Block6 => *v6?,
            Scope::Host6 => host()?.iter().find(|a| a.is_ipv6()).map(|a| IpNet::from(*a))?,
            Scope::Everything6 => "::/0".parse().ok()?,
        };
        let own: Vec<PeeringId> = cloud.vpc(from)?.peerings().collect();
        let target = match plan.via {
            Via::Right => RouteTarget::Peering(pick(&self.peerings, plan.vpc)?),
            Via::Any(nth) => RouteTarget::Peering(pick(&own, nth)?),
            Via::Interface(nth) => {
                let inside = cloud.interfaces().filter(|(_, i)| i.vpc == from);
                let inside: Vec<InterfaceId> = inside.map(|(id, _)| id).collect();
                RouteTarget::Interface(pick(&inside, nth)?)
            }
        };
        self.lab.route(table, destination, target).ok()
    }

    /// Makes one change, if the cloud lets it.
    pub(crate) fn apply(&mut self, tweak: Tweak) -> Option<()> {
        let host = |nth| {
            let id = pick(&self.hosts, nth)?;
            let interface = self.lab.cloud.interface(id)?;
            Some((id, interface.vpc, interface.instance()?, interface.subnet))
        };
        let (vpc, command) = match tweak {
            Tweak::CheckOff(nth) | Tweak::CheckOn(nth) => {
                let (interface, vpc, ..) = host(nth)?;
                let source_dest_check = match tweak {
                    Tweak::CheckOff(_) => SourceDestCheck::Off,
                    _ => SourceDestCheck::On,
                };
                (vpc, Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check })
            }
            Tweak::Stop(nth) => {
                let (_, vpc, instance, _) = host(nth)?;
                (vpc, Command::StopInstances { instance })
            }
            Tweak::Start(nth) => {
                let (_, vpc, instance, _) = host(nth)?;
                (vpc, Command::StartInstances { instance })
            }
            Tweak::Terminate(nth) => {
                let (_, vpc, instance, _) = host(nth)?;
                (vpc, Command::TerminateInstances { instance })
            }
            Tweak::Host(nth) => {
                let new = self.lab.host(pick(&self.subnets, nth)?).ok()?;
                self.hosts.push(new);
                return Some(());
            }
            Tweak::Assign(nth) => {
                let (interface, vpc, _, subnet) = host(nth)?;
                let addresses = vec![self.lab.cloud.subnet(subnet)?.next_ipv4()?];
                (vpc, Command::AssignPrivateIpAddresses { interface, addresses: addresses.into() })
            }
            Tweak::DeletePeering(nth) => {
                return self.lab.delete(pick(&self.peerings, nth)?).ok();
            }
            Tweak::AcceptPeering(nth) => {
                return self.lab.accept(pick(&self.peerings, nth)?).ok();
            }
            Tweak::MoveGateway(nth, to) => {
                let [(from, detach), (to, attach)] = moving(&self.lab.cloud, nth, to)?;
                self.lab.ask(from, &detach).ok()?;
                return self.lab.ask(to, &attach).ok().map(|_| ());
            }
            Tweak::Wait(tenths) => {
                self.lab.now = self.lab.now + Span::from_millis(100).times(tenths.into());
                return Some(());
            }
        };
        self.lab.ask(vpc, &command).ok().map(|_| ())
    }

    /// The packet of this plan; `None` if there is nobody to send it, or to aim at.
    pub(crate) fn packet(&self, plan: &PacketPlan) -> Option<Sent> {
        let cloud = &self.lab.cloud;
        let from = pick(&self.hosts, plan.from)?;
        let (destination, meant) = match plan.to {
            Aim::Host(nth) => self.address_of(pick(&self.hosts, nth)?, nth)?,
            Aim::Near(nth) => {
                let vpc = cloud.interface(from)?.vpc;
                let joined = cloud.vpc(vpc)?.peerings().filter_map(|p| cloud.peering(p));
                let mut near: Vec<VpcId> = joined.filter_map(|p| p.other_end(vpc)).collect();
                if near.is_empty() {
                    near.push(vpc);
                }
                let inside = cloud.interfaces().filter(|(_, i)| near.contains(&i.vpc));
                let inside: Vec<InterfaceId> = inside.map(|(id, _)| id).collect();
                self.address_of(pick(&inside, nth)?, nth)?
            }
            Aim::Beside(nth, by) => {
                let (address, _) = self.address_of(pick(&self.hosts, nth)?, nth)?;
                let beside = match address {
                    IpAddr::V4(a) => {
                        Ipv4Addr::from(u32::from(a).wrapping_add_signed(by.into())).into()
                    }
                    IpAddr::V6(a) => {
                        Ipv6Addr::from(u128::from(a).wrapping_add_signed(by.into())).into()
                    }
                };
                (beside, None)
            }
            Aim::Edge(nth) => {
                let blocks = cloud.vpc(pick(&self.vpcs, nth)?)?.blocks();
                (pick(blocks, nth / 7)?.broadcast(), None)
            }
            Aim::Outside => ("203.0.113.9".parse().ok()?, None),
            Aim::Outside6 => ("2001:db8:ffff::9".parse().ok()?, None),
        };
        let sender = cloud.interface(from);
        let family = |a: &&IpAddr| a.is_ipv4() == destination.is_ipv4();
        let own: Vec<IpAddr> =
            sender.into_iter().flat_map(|i| i.addresses.iter().filter(family)).copied().collect();
        let foreign = match destination {
            IpAddr::V4(_) => "198.51.100.1".parse().ok()?,
            IpAddr::V6(_) => "2001:db8:eeee::1".parse().ok()?,
        };
        let source = pick(&own, plan.own.into()).filter(|_| plan.own > 0).unwrap_or(foreign);
        Some(Sent { from, source, destination, meant })
    }

    /// One of the host's addresses, and the host.
    fn address_of(&self, host: InterfaceId, nth: Pick) -> Option<(IpAddr, Option<InterfaceId>)> {
        let addresses = &self.lab.cloud.interface(host)?.addresses;
        Some((pick(addresses, nth / 5)?, Some(host)))
    }
}
