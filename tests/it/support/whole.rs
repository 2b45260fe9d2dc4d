//! Random worlds with everything a VPC has: the worlds of `plan.rs`, fitted out with groups, prefix
//! lists, ACLs, gateways, public addresses, hosts outside and middleboxes, and what happens in them.
//!
//! A fitting is four numbers taken modulo what there is to choose from; what the cloud refuses is
//! left out. So every part of a plan can be left out when it shrinks. Refuses to judge packets.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vpclab::base::id::*;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::filter::{Direction, IcmpMatch, PortRange, Traffic};
use vpclab::cloud::gateway::{GatewayId, Line};
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::cloud::network_acl::{AclAction, AclEntry, RuleNumber};
use vpclab::cloud::route_table::{Blackhole, RouteTarget};
use vpclab::cloud::security_group::{GroupRule, RulePeer};
use vpclab::forward::middlebox::Role;
use vpclab::wire::Protocol;

use super::plan::{Pick, Plan, Size, Tweak, World, pick, plans, tweak};
use super::remake::{Remaking, remaking};
use super::traffic::{SendPlan, send};

/// A world, how it is fitted out, and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct WholePlan {
    pub(crate) base: Plan,
    pub(crate) fittings: Vec<Fitting>,
    /// How many connections an interface remembers.
    pub(crate) tracked: usize,
    pub(crate) blackhole: Blackhole,
    pub(crate) acts: Vec<Act>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Send(SendPlan),
    /// This many seconds pass.
    Wait(u64),
    Tweak(Tweak),
    Fit(Fitting),
    Remake(Remaking),
}

/// A thing that a VPC can have, and which one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fitting {
    kind: FittingKind,
    picks: [Pick; 4],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum FittingKind {
    Group,
    Rule,
    Revoke,
    Wear,
    Unname,
    PrefixList,
    ModifyList,
    Acl,
    AclEntry,
    NoAclEntry,
    Internet,
    EgressOnly,
    Vpn,
    Endpoint,
    Detach,
    Nat,
    NoNat,
    Public,
    Outside,
    EdgeRoute,
    Propagate,
    Role,
}

/// A world with everything, and the roles of its instances.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) world: World,
    pub(crate) roles: Vec<(InterfaceId, Role)>,
    pub(crate) lists: Vec<PrefixListId>,
    names: u32,
}

/// Plans with about so many packets.
pub(crate) fn whole_plans(packets: usize) -> impl Strategy<Value = WholePlan> {
    let size = Size { vpcs: 2..6, peerings: 1..8, routes: 4..24 };
    let act = prop_oneof![8 => send().prop_map(Act::Send), 1 => change()];
    let tracked = prop_oneof![1 => 0..4_usize, 3 => Just(64_usize)];
    let blackhole = select(Blackhole::ALL.to_vec());
    let acts = vec(act, packets / 2..packets);
    (plans(size, 0..1), vec(fitting(), 0..90), tracked, blackhole, acts).prop_map(
        |(base, fittings, tracked, blackhole, acts)| WholePlan {
            base,
            fittings,
            tracked,
            blackhole,
            acts,
        },
    )
}

/// Something other than a packet.
pub(crate) fn change() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => select(vec![0_u64, 1, 29, 30, 120, 180, 350, 600, 432_000]).prop_map(Act::Wait),
        2 => tweak().prop_map(Act::Tweak),
        1 => fitting().prop_map(Act::Fit),
        1 => remaking().prop_map(Act::Remake),
    ]
}

fn fitting() -> impl Strategy<Value = Fitting> {
    use FittingKind::*;
    let kind = prop_oneof![
        3 => Just(Group),
        8 => Just(Rule),
        7 => Just(Revoke),
        4 => Just(Wear),
        1 => Just(Unname),
        1 => Just(PrefixList),
        1 => Just(ModifyList),
        1 => Just(Acl),
        5 => Just(AclEntry),
        1 => Just(NoAclEntry),
        4 => Just(Internet),
        3 => Just(EgressOnly),
        3 => Just(Vpn),
        2 => Just(Endpoint),
        1 => Just(Detach),
        2 => Just(Nat),
        1 => Just(NoNat),
        4 => Just(Public),
        4 => Just(Outside),
        14 => Just(EdgeRoute),
        2 => Just(Propagate),
        4 => Just(Role),
    ];
    (kind, any::<[Pick; 4]>()).prop_map(|(kind, picks)| Fitting { kind, picks })
}

const ROLES: [Role; 2] = [Role::Router, Role::Nat];

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

impl Whole {
    /// The world of a plan, fitted out.
    pub(crate) fn build(plan: &WholePlan) -> Whole {
        let world = World::build(&plan.base);
        let mut whole = Whole { world, roles: Vec::new(), lists: Vec::new(), names: 0 };
        whole.world.lab.cloud.set_blackhole(plan.blackhole);
        for fitting in &plan.fittings {
            whole.fit(*fitting);
        }
        whole
    }

    /// Everybody who can send: instances, and hosts outside.
    pub(crate) fn senders(&self) -> Vec<InterfaceId> {
        let outside = self.world.lab.cloud.outside_hosts().map(|(id, _)| id);
        self.world.hosts.iter().copied().chain(outside).collect()
    }

    /// Puts one more thing in its place, if the cloud lets it.
    pub(crate) fn fit(&mut self, fitting: Fitting) -> Option<()> {
        use FittingKind::*;
        let [p, q, r, s] = fitting.picks;
        match fitting.kind {
            Group | Rule | Revoke | Wear | Unname | PrefixList | ModifyList => {
                self.fit_groups(fitting)
            }
            Acl | AclEntry | NoAclEntry => self.fit_acl(fitting),
            Internet | EgressOnly | Vpn | Endpoint | Detach => self.fit_gateway(fitting),
            Nat => {
                let subnet = pick(&self.world.subnets, p)?;
                let vpc = self.world.lab.cloud.subnet(subnet)?.vpc;
                let allocation = self.public_address(vpc)?;
                self.ask(vpc, &Command::CreateNatGateway { subnet, allocation }).map(|_| ())
            }
            NoNat => {
                let all: Vec<_> = self.world.lab.cloud.nat_gateways().collect();
                let (gateway, vpc) =
                    all.get(usize::from(p) % all.len().max(1)).map(|n| (n.0, n.1.vpc))?;
                self.ask(vpc, &Command::DeleteNatGateway { gateway }).map(|_| ())
            }
            Public => {
                let interface = pick(&self.world.hosts, p)?;
                let vpc = self.world.lab.cloud.interface(interface)?.vpc;
                let allocation = self.public_address(vpc)?;
                let associate = Command::AssociateAddress { allocation, interface, private: None };
                self.ask(vpc, &associate).map(|_| ())
            }
            Outside => self.fit_outside(p, q),
            EdgeRoute => self.fit_route(p, q, r, s),
            Propagate => {
                let (gateway, vpc) = self.gateway(p, |id| matches!(id, GatewayId::Vpn(_)))?;
                let GatewayId::Vpn(gateway) = gateway else { return None };
                let table = pick(self.world.lab.cloud.vpc(vpc)?.tables(), q)?;
                self.ask(vpc, &Command::EnableVgwRoutePropagation { gateway, table }).map(|_| ())
            }
            Role => {
                let interface = pick(&self.world.hosts, p)?;
                let vpc = self.world.lab.cloud.interface(interface)?.vpc;
                let source_dest_check = SourceDestCheck::Off;
                let off = Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check };
                self.ask(vpc, &off)?;
                let role = ROLES[usize::from(q % 2)];
                self.roles.push((interface, role));
                Some(())
            }
        }
    }

    pub(crate) fn ask(&mut self, vpc: VpcId, command: &Command) -> Option<Vec<Change>> {
        self.world.lab.ask(vpc, command).ok()
    }

    fn public_address(&mut self, vpc: VpcId) -> Option<AllocationId> {
        match self.ask(vpc, &Command::AllocateAddress { address: None })?[..] {
            [Change::AddressAllocated { allocation, .. }] => Some(allocation),
            _ => None,
        }
    }

    /// A gateway of some kind that is attached, and to which VPC.
    pub(crate) fn gateway(
        &self,
        nth: Pick,
        kind: fn(GatewayId) -> bool,
    ) -> Option<(GatewayId, VpcId)> {
        let all = self.world.lab.cloud.gateways().filter(|(id, _)| kind(*id));
        let all: Vec<_> = all.filter_map(|(id, gateway)| Some((id, gateway.vpc?))).collect();
        pick(&all, nth)
    }

    fn group(&self, nth: Pick) -> Option<(SecurityGroupId, VpcId)> {
        let all: Vec<_> = self.world.lab.cloud.groups().map(|(id, g)| (id, g.vpc)).collect();
        pick(&all, nth)
    }

    /// A block that is about somebody.
    pub(crate) fn block(&self, nth: Pick) -> Option<IpNet> {
        let cloud = &self.world.lab.cloud;
        match nth % 8 {
            0 => Some(net("0.0.0.0/0")),
            1 => Some(net("::/0")),
            2 => Some(net("10.0.0.0/8")),
            3 => Some(net("198.51.100.0/24")),
            4 | 5 => pick(cloud.vpc(pick(&self.world.vpcs, nth / 8)?)?.blocks(), nth / 64),
            _ => {
                let addresses = &cloud.interface(pick(&self.world.hosts, nth / 8)?)?.addresses;
                pick(addresses, nth / 64).map(IpNet::from)
            }
        }
    }

    fn fit_groups(&mut self, Fitting { kind, picks: [p, q, r, s] }: Fitting) -> Option<()> {
        let direction = Direction::ALL[usize::from(q % 2)];
        match kind {
            FittingKind::Group => {
                let vpc = pick(&self.world.vpcs, p)?;
                self.names += 1;
                let name = format!("g{}", self.names);
                self.ask(vpc, &Command::CreateSecurityGroup { vpc, name })?;
            }
            FittingKind::Rule => {
                let (group, vpc) = self.group(p)?;
                let peer = match r % 8 {
                    0 => RulePeer::PrefixList(pick(&self.lists, s)?),
                    1..4 => RulePeer::Group(self.group(s)?.0),
                    _ => RulePeer::Block(self.block(s)?),
                };
                let rules = vec![GroupRule { traffic: traffic(q / 2), peer }];
                self.ask(
                    vpc,
                    &match direction {
                        Direction::Ingress => {
                            Command::AuthorizeSecurityGroupIngress { group, rules }
                        }
                        Direction::Egress => Command::AuthorizeSecurityGroupEgress { group, rules },
                    },
                )?;
            }
            FittingKind::Revoke => {
                let (group, vpc) = self.group(p)?;
                let rules = vec![pick(self.world.lab.cloud.group(group)?.rules(direction), r)?];
                self.ask(
                    vpc,
                    &match direction {
                        Direction::Ingress => Command::RevokeSecurityGroupIngress { group, rules },
                        Direction::Egress => Command::RevokeSecurityGroupEgress { group, rules },
                    },
                )?;
            }
            FittingKind::Wear => {
                let interface = pick(&self.world.hosts, p)?;
                let vpc = self.world.lab.cloud.interface(interface)?.vpc;
                let all = self.world.lab.cloud.vpc(vpc)?.groups();
                let mut groups: Vec<SecurityGroupId> =
                    [q, r].iter().filter_map(|n| pick(all, *n)).collect();
                groups.sort_unstable();
                groups.dedup();
                self.ask(vpc, &Command::ModifyNetworkInterfaceGroups { interface, groups })?;
            }
            FittingKind::Unname => {
                // A group that others across a peering may name: their rules go stale.
                let (group, vpc) = self.group(p)?;
                self.ask(vpc, &Command::DeleteSecurityGroup { group })?;
            }
            FittingKind::PrefixList => {
                let vpc = pick(&self.world.vpcs, p)?;
                let entries = [q, r, s].iter().filter_map(|n| self.block(*n)).collect();
                let made = self.ask(vpc, &Command::CreateManagedPrefixList { entries })?;
                let [Change::PrefixListCreated { list, .. }] = made[..] else { return None };
                self.lists.push(list);
            }
            _ => {
                let list = pick(&self.lists, p)?;
                let old = pick(&self.world.lab.cloud.prefix_list(list)?.entries, q);
                let (add, remove) =
                    (self.block(r).into_iter().collect(), old.into_iter().collect());
                let change = Command::ModifyManagedPrefixList { list, add, remove };
                let vpcs = self.world.vpcs.clone();
                vpcs.into_iter().find_map(|vpc| self.ask(vpc, &change))?;
            }
        }
        Some(())
    }

    fn fit_acl(&mut self, Fitting { kind, picks: [p, q, r, s] }: Fitting) -> Option<()> {
        let cloud = &self.world.lab.cloud;
        let direction = Direction::ALL[usize::from(q % 2)];
        if kind == FittingKind::Acl {
            let subnet = pick(&self.world.subnets, p)?;
            let (association, vpc) = (cloud.subnet(subnet)?.acl().0, cloud.subnet(subnet)?.vpc);
            let [Change::NetworkAclCreated { acl, .. }] =
                self.ask(vpc, &Command::CreateNetworkAcl { vpc })?[..]
            else {
                return None;
            };
            // Most of what is created lets much pass, behind what is added later.
            for (n, block) in [(30_000, "0.0.0.0/0"), (30_001, "::/0")] {
                for direction in Direction::ALL {
                    let number = RuleNumber::new(n)?;
                    let (traffic, action) = (Traffic::All, AclAction::Allow);
                    let entry = AclEntry { traffic, block: net(block), action };
                    if q % 8 > 0 {
                        self.ask(
                            vpc,
                            &Command::CreateNetworkAclEntry { acl, direction, number, entry },
                        );
                    }
                }
            }
            self.ask(vpc, &Command::ReplaceNetworkAclAssociation { association, acl })?;
            return Some(());
        }
        let all: Vec<_> = cloud.acls().map(|(id, acl)| (id, acl.vpc)).collect();
        let (acl, vpc) = pick(&all, p)?;
        let number = RuleNumber::new([50, 90, 100, 101, 110, 200][usize::from(r % 6)])?;
        let exists = cloud.acl(acl)?.entries(direction).contains_key(&number);
        if kind == FittingKind::NoAclEntry {
            self.ask(vpc, &Command::DeleteNetworkAclEntry { acl, direction, number })?;
            return Some(());
        }
        let action = if r / 6 % 3 == 0 { AclAction::Deny } else { AclAction::Allow };
        let entry = AclEntry { traffic: traffic(q / 2), block: self.block(s)?, action };
        self.ask(
            vpc,
            &match exists {
                true => Command::ReplaceNetworkAclEntry { acl, direction, number, entry },
                false => Command::CreateNetworkAclEntry { acl, direction, number, entry },
            },
        )?;
        Some(())
    }

    fn fit_gateway(&mut self, Fitting { kind, picks: [p, q, r, _] }: Fitting) -> Option<()> {
        let vpc = pick(&self.world.vpcs, p)?;
        match kind {
            FittingKind::Internet => {
                let made = self.ask(vpc, &Command::CreateInternetGateway)?;
                let [Change::GatewayCreated { id: GatewayId::Internet(gateway), .. }] = made[..]
                else {
                    return None;
                };
                self.ask(vpc, &Command::AttachInternetGateway { gateway, vpc })?;
            }
            FittingKind::EgressOnly => {
                self.ask(vpc, &Command::CreateEgressOnlyInternetGateway { vpc })?;
                let GatewayId::EgressOnly(id) = self.world.lab.cloud.egress_only_gateway_of(vpc)?
                else {
                    return None;
                };
                // Most of them are used.
                if q % 4 > 0 {
                    let target = RouteTarget::Gateway(GatewayId::EgressOnly(id));
                    let table = pick(self.world.lab.cloud.vpc(vpc)?.tables(), r)?;
                    self.world.lab.route(table, net("::/0"), target).ok()?;
                }
            }
            FittingKind::Vpn => {
                let beyond = match q % 4 {
                    0 => vec![net("192.168.77.0/24")],
                    1 => vec![net("172.20.0.0/16"), net("2001:db8:77::/48")],
                    // Overlaps with blocks of VPCs.
                    2 => vec![net("10.0.0.0/8")],
                    _ => vec![net("0.0.0.0/0")],
                };
                let line = Line::ALL[usize::from(r % 2)];
                let without_v6: Vec<IpNet> = beyond[..1].to_vec();
                let make = |beyond| Command::CreateVpnGateway { line, beyond };
                let made =
                    self.ask(vpc, &make(beyond)).or_else(|| self.ask(vpc, &make(without_v6)))?;
                let [Change::GatewayCreated { id: GatewayId::Vpn(gateway), .. }] = made[..] else {
                    return None;
                };
                self.ask(vpc, &Command::AttachVpnGateway { gateway, vpc })?;
            }
            FittingKind::Endpoint => {
                let prefixes = vec![net(["52.92.0.0/16", "10.250.0.0/16"][usize::from(q % 2)])];
                let tables = pick(self.world.lab.cloud.vpc(vpc)?.tables(), r).into_iter().collect();
                let service = "s3".to_owned();
                self.ask(vpc, &Command::CreateVpcEndpoint { vpc, service, prefixes, tables })?;
            }
            _ => {
                let (id, vpc) = self.gateway(q, |_| true)?;
                self.ask(
                    vpc,
                    &match id {
                        GatewayId::Internet(gateway) => {
                            Command::DetachInternetGateway { gateway, vpc }
                        }
                        GatewayId::Vpn(gateway) => Command::DetachVpnGateway { gateway, vpc },
                        GatewayId::Endpoint(endpoint) => Command::DeleteVpcEndpoints { endpoint },
                        GatewayId::EgressOnly(gateway) => {
                            Command::DeleteEgressOnlyInternetGateway { gateway }
                        }
                    },
                )?;
            }
        }
        Some(())
    }

    /// A host beyond some gateway.
    fn fit_outside(&mut self, p: Pick, q: Pick) -> Option<()> {
        let cloud = &self.world.lab.cloud;
        let all: Vec<_> = cloud.gateways().filter_map(|(id, g)| Some((id, g.vpc?))).collect();
        let (beyond, vpc) = pick(&all, p)?;
        let last = u8::try_from(q % 200).unwrap();
        let blocks = &cloud.gateway(beyond)?.beyond;
        let addresses: Vec<IpAddr> = match (beyond, blocks.first()) {
            (GatewayId::Internet(_) | GatewayId::EgressOnly(_), _) => {
                let v4 = IpAddr::from(Ipv4Addr::new(198, 51, 100, last));
                let v6 = format!("2001:db8:ffff::{last:x}").parse().unwrap();
                let both = Command::PlaceOutsideHost { beyond, addresses: vec![v4, v6] };
                if self.ask(vpc, &both).is_some() {
                    return Some(());
                }
                vec![v4]
            }
            (_, Some(IpNet::V4(block))) => {
                let base = block.network().octets();
                let host = [base[0].max(10), base[1], base[2], last.max(1)];
                let v6 = blocks.iter().find(|b| matches!(b, IpNet::V6(_))).map(|b| b.network());
                [IpAddr::from(host)].into_iter().chain(v6).collect()
            }
            (_, Some(IpNet::V6(_)) | None) => return None,
        };
        self.ask(vpc, &Command::PlaceOutsideHost { beyond, addresses }).map(|_| ())
    }

    /// A route over an edge, or to a NAT gateway, of the table's own VPC or of none.
    fn fit_route(&mut self, p: Pick, q: Pick, r: Pick, s: Pick) -> Option<()> {
        let cloud = &self.world.lab.cloud;
        let vpc = pick(&self.world.vpcs, p)?;
        let table = pick(cloud.vpc(vpc)?.tables(), q)?;
        let beyond: Vec<IpNet> =
            cloud.gateways().flat_map(|(_, gateway)| gateway.beyond.clone()).collect();
        let destination = match r % 6 {
            0 | 1 => net("0.0.0.0/0"),
            2 => net("::/0"),
            3 => net("198.51.100.0/24"),
            4 => self.block(r / 6)?,
            _ => pick(&beyond, r / 6)?,
        };
        let edges = cloud.gateways().filter(|(_, gateway)| gateway.vpc == Some(vpc));
        let edges = edges.filter(|(id, _)| !matches!(id, GatewayId::Endpoint(_)));
        let nats = cloud.nat_gateways().filter(|(_, nat)| nat.vpc == vpc);
        let relays = self.roles.iter().map(|(id, _)| *id);
        let relays = relays.filter(|id| cloud.interface(*id).is_some_and(|i| i.vpc == vpc));
        let targets: Vec<RouteTarget> = edges
            .map(|(id, _)| RouteTarget::Gateway(id))
            .chain(nats.map(|(id, _)| RouteTarget::Nat(id)))
            .chain(relays.map(RouteTarget::Interface))
            .collect();
        self.world.lab.route(table, destination, pick(&targets, s)?).ok()
    }
}

fn traffic(nth: Pick) -> Traffic {
    let ports = [PortRange::ALL, PortRange::one(53), PortRange::new(20, 60).unwrap()];
    let ports = ports.into_iter().chain(PortRange::new(32_768, 61_000));
    let ports: Vec<PortRange> = ports.collect();
    let range = ports[usize::from(nth / 8 % 4)];
    let icmp = [IcmpMatch::Any, IcmpMatch::Type(8), IcmpMatch::TypeAndCode(3, 3)];
    let icmpv6 = [IcmpMatch::Any, IcmpMatch::Type(128), IcmpMatch::TypeAndCode(1, 4)];
    match nth % 8 {
        0..3 => Traffic::All,
        3 => Traffic::Tcp(range),
        4 | 5 => Traffic::Udp(range),
        6 if nth & 8 == 0 => Traffic::Icmp(icmp[usize::from(nth / 16 % 3)]),
        6 => Traffic::Icmpv6(icmpv6[usize::from(nth / 16 % 3)]),
        _ => Traffic::Other(Protocol(47)),
    }
}
