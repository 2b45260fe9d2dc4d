//! A cloud's filters beside the reference, at first and after every change.
//!
//! Holds a small cloud of two VPCs with a peering, random rules and random changes. What a rule
//! means is tested in `classify/tests.rs`; this is about names, members and staying up to date.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::base::time::Span;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::filter::Traffic;
use crate::cloud::instance::NewInterface;
use crate::cloud::network_acl::{AclAction, RuleNumber};
use crate::cloud::profile::Profile;
use crate::forward::fabric::classify::AnyProbe;
use crate::forward::gate::Origin;
use crate::forward::reference::filters::Filters as Judge;
use crate::wire::{Packet, TcpFlags, build};

const NOW: Instant = Instant::START;

/// Two VPCs with a subnet each and a peering between them.
struct World {
    cloud: Cloud,
    vpcs: [VpcId; 2],
    subnets: [SubnetId; 2],
    groups: Vec<SecurityGroupId>,
    list: PrefixListId,
    acls: [NetworkAclId; 2],
    peering: PeeringId,
    hosts: Vec<(InterfaceId, InstanceId)>,
}

fn ask(cloud: &mut Cloud, command: &Command) -> Vec<Change> {
    let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
    let events = cloud.apply(&caller, command, NOW);
    events.map(|all| all.into_iter().map(|event| event.change).collect()).unwrap_or_default()
}

/// The first value that a change made by the command has for us.
fn made<T>(cloud: &mut Cloud, command: &Command, of: impl Fn(&Change) -> Option<T>) -> T {
    ask(cloud, command).iter().find_map(of).unwrap()
}

impl World {
    fn new() -> World {
        let mut cloud = Cloud::new(Profile::Today, Span::ZERO);
        let vpcs = ["10.0.0.0/16", "10.1.0.0/16"].map(|cidr| {
            let command = Command::CreateVpc { cidr: cidr.parse().unwrap() };
            made(&mut cloud, &command, |change| match change {
                Change::VpcCreated { vpc, .. } => Some(*vpc),
                _ => None,
            })
        });
        let subnets = [0, 1].map(|at| {
            let cidr = format!("10.{at}.1.0/24").parse().unwrap();
            let command = Command::CreateSubnet { vpc: vpcs[at], cidr, ipv6: None, zone: None };
            made(&mut cloud, &command, |change| match change {
                Change::SubnetCreated { subnet, .. } => Some(*subnet),
                _ => None,
            })
        });
        let mut groups = Vec::new();
        for (at, vpc) in vpcs.into_iter().enumerate() {
            groups.push(cloud.vpc(vpc).unwrap().default_group());
            for name in ["web", "data"] {
                let command = Command::CreateSecurityGroup { vpc, name: format!("{name}{at}") };
                groups.push(made(&mut cloud, &command, |change| match change {
                    Change::SecurityGroupCreated { group, .. } => Some(*group),
                    _ => None,
                }));
            }
        }
        let entries = vec!["10.1.1.0/28".parse().unwrap()];
        let command = Command::CreateManagedPrefixList { entries };
        let list = made(&mut cloud, &command, |change| match change {
            Change::PrefixListCreated { list, .. } => Some(*list),
            _ => None,
        });
        let acls = vpcs.map(|vpc| cloud.vpc(vpc).unwrap().default_acl());
        let peering = World::peer(&mut cloud, vpcs);
        World { cloud, vpcs, subnets, groups, list, acls, peering, hosts: Vec::new() }
    }

    fn peer(cloud: &mut Cloud, [requester, accepter]: [VpcId; 2]) -> PeeringId {
        let command = Command::CreateVpcPeeringConnection {
            requester,
            accepter,
            peer_owner: None,
            peer_region: None,
        };
        let peering = made(cloud, &command, |change| match change {
            Change::PeeringRequested { peering, .. } => Some(*peering),
            _ => None,
        });
        ask(cloud, &Command::AcceptVpcPeeringConnection { peering });
        peering
    }

    /// The groups of a VPC with a bit set.
    fn chosen(&self, side: usize, bits: usize) -> Vec<SecurityGroupId> {
        let own = &self.groups[3 * side..3 * side + 3];
        own.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, g)| *g).collect()
    }

    /// Carries out a change and tells the filters what it touched.
    fn change(&mut self, change: Act, filters: &mut Filters, rows: &mut Rows) -> Moved {
        let World { vpcs, subnets, .. } = *self;
        let cloud = &mut self.cloud;
        match change {
            Act::Run { side, groups } => {
                let groups = self.chosen(side, groups);
                let command = Command::run_instance(NewInterface {
                    groups,
                    ..NewInterface::in_subnet(subnets[side])
                });
                for change in ask(&mut self.cloud, &command) {
                    if let Change::InstanceRun { interface, instance, .. } = change {
                        self.hosts.push((interface, instance));
                        filters.joined(self.cloud.interface(interface).unwrap());
                    }
                }
            }
            Act::Terminate { host } if !self.hosts.is_empty() => {
                let (interface, instance) = self.hosts.swap_remove(host % self.hosts.len());
                let gone = cloud.interface(interface).unwrap().clone();
                ask(cloud, &Command::TerminateInstances { instance });
                filters.left(cloud, gone.vpc, &gone.addresses);
            }
            Act::Regroup { host, groups } if !self.hosts.is_empty() => {
                let (interface, _) = self.hosts[host % self.hosts.len()];
                let old = cloud.interface(interface).unwrap().clone();
                let groups = self.chosen(usize::from(old.vpc == vpcs[1]), groups);
                ask(&mut self.cloud, &Command::ModifyNetworkInterfaceGroups { interface, groups });
                filters.left(&self.cloud, old.vpc, &old.addresses);
                filters.joined(self.cloud.interface(interface).unwrap());
            }
            Act::Rule { group, direction, traffic, peer } => {
                let group = self.groups[group];
                let peer = match peer {
                    Whose::Block(block) => RulePeer::Block(block),
                    Whose::List => RulePeer::PrefixList(self.list),
                    Whose::Group(named) => RulePeer::Group(self.groups[named]),
                };
                let rules = vec![GroupRule { traffic, peer }];
                let (add, remove) = match direction {
                    Direction::Ingress => (
                        Command::AuthorizeSecurityGroupIngress { group, rules: rules.clone() },
                        Command::RevokeSecurityGroupIngress { group, rules },
                    ),
                    Direction::Egress => (
                        Command::AuthorizeSecurityGroupEgress { group, rules: rules.clone() },
                        Command::RevokeSecurityGroupEgress { group, rules },
                    ),
                };
                // What is there already goes.
                if ask(cloud, &add).is_empty() {
                    ask(cloud, &remove);
                }
                return filters.group_changed(cloud, group, NOW);
            }
            Act::Entries { block } => {
                let (list, all) = (self.list, vec![block]);
                let add =
                    Command::ModifyManagedPrefixList { list, add: all.clone(), remove: vec![] };
                let is_new = !cloud.prefix_list(list).unwrap().entries.contains(&block);
                let remove = Command::ModifyManagedPrefixList { list, add: vec![], remove: all };
                ask(cloud, if is_new { &add } else { &remove });
                return filters.prefix_list_changed(cloud, list, NOW);
            }
            Act::Acl { side, number, entry } => {
                let (acl, direction) = (self.acls[side], Direction::Ingress);
                let number = RuleNumber::new(number).unwrap();
                let add = Command::CreateNetworkAclEntry { acl, direction, number, entry };
                if ask(cloud, &add).is_empty() {
                    ask(cloud, &Command::DeleteNetworkAclEntry { acl, direction, number });
                }
                rows.update(cloud);
                return filters.acl_changed(cloud, rows, rows.acl(acl).unwrap(), NOW);
            }
            Act::Peering => {
                let peering = self.peering;
                if ask(cloud, &Command::DeleteVpcPeeringConnection { peering }).is_empty() {
                    self.peering = World::peer(cloud, vpcs);
                }
                let [mut one, other] =
                    vpcs.map(|vpc| filters.peerings_changed(&self.cloud, vpc, NOW));
                one.lists.extend(other.lists);
                return one;
            }
            Act::Terminate { .. } | Act::Regroup { .. } => {}
        }
        Moved::default()
    }
}

#[derive(Clone, Copy, Debug)]
enum Whose {
    Block(IpNet),
    List,
    Group(usize),
}

#[derive(Clone, Debug)]
enum Act {
    Run { side: usize, groups: usize },
    Terminate { host: usize },
    Regroup { host: usize, groups: usize },
    Rule { group: usize, direction: Direction, traffic: Traffic, peer: Whose },
    Entries { block: IpNet },
    Acl { side: usize, number: u16, entry: AclEntry },
    Peering,
}

fn blocks() -> impl Strategy<Value = IpNet> {
    select(vec![
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.0.1.4/32",
        "10.1.1.0/29",
        "10.0.1.0/30",
    ])
    .prop_map(|block| block.parse().unwrap())
}

fn traffic() -> impl Strategy<Value = Traffic> {
    select(vec!["all", "tcp", "tcp 80", "tcp 50-90", "udp", "icmp"])
        .prop_map(|text| text.parse().unwrap())
}

fn acts() -> impl Strategy<Value = Act> {
    let whose = prop_oneof![
        2 => blocks().prop_map(Whose::Block),
        1 => Just(Whose::List),
        3 => (0..6_usize).prop_map(Whose::Group),
    ];
    let entry = (traffic(), blocks(), select(vec![AclAction::Allow, AclAction::Deny]))
        .prop_map(|(traffic, block, action)| AclEntry { traffic, block, action });
    prop_oneof![
        4 => (0..2_usize, 1..8_usize).prop_map(|(side, groups)| Act::Run { side, groups }),
        1 => any::<usize>().prop_map(|host| Act::Terminate { host }),
        2 => (any::<usize>(), 1..8_usize).prop_map(|(host, groups)| Act::Regroup { host, groups }),
        8 => (0..6_usize, select(Direction::ALL.to_vec()), traffic(), whose)
            .prop_map(|(group, direction, traffic, peer)| Act::Rule { group, direction, traffic, peer }),
        1 => blocks().prop_map(|block| Act::Entries { block }),
        2 => (0..2_usize, 98..102_u16, entry)
            .prop_map(|(side, number, entry)| Act::Acl { side, number, entry }),
        1 => Just(Act::Peering),
    ]
}

/// Packets between hosts of both VPCs and one address of nobody.
fn packets(world: &World) -> Vec<Packet> {
    let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::new(10, 1, 1, 200).into()];
    addresses.extend(world.cloud.interfaces().flat_map(|(_, i)| i.addresses.clone()));
    let mut all = Vec::new();
    for (at, from) in addresses.iter().enumerate() {
        let to = addresses[(at + 1) % addresses.len()];
        for port in [80, 81] {
            for (source, destination) in [(*from, to), (to, *from)] {
                let ends = [(source, 80).into(), (destination, port).into()];
                all.push(build::tcp(ends[0], ends[1], TcpFlags::SYN, 1, 0, &[]).unwrap());
                all.push(build::udp(ends[0], ends[1], b"x").unwrap());
            }
        }
    }
    all
}

fn agrees(world: &World, filters: &mut Filters, rows: &Rows) -> Result<(), TestCaseError> {
    let judge = Judge::new(&world.cloud, NOW);
    let packets = packets(world);
    for (id, interface) in world.cloud.interfaces() {
        let filter = filters.of(&world.cloud, interface, NOW);
        let id = world.cloud.acl_of(interface.subnet).map(|acl| (id, acl)).unwrap();
        let acl = filters.acl(rows.acl(id.1).unwrap());
        for packet in &packets {
            let probe = AnyProbe::of(packet);
            for direction in Direction::ALL {
                for origin in [Origin::Own, Origin::Relayed] {
                    let (want, _) = judge.groups(interface, direction, packet, origin);
                    let got = filters.classifiers().groups(filter, direction, &probe, origin);
                    prop_assert_eq!(
                        got,
                        want,
                        "{:?} {} {:?} at {}",
                        packet,
                        direction,
                        origin,
                        id.0
                    );
                }
                let entry = judge.acl(id.1, direction, packet);
                let want = entry.is_some_and(|(_, entry)| entry.action == AclAction::Allow);
                let got = filters.classifiers().acl(acl, direction, &probe);
                prop_assert_eq!(got, want, "{:?} {}", packet, direction);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// After every change; and lists that did not move kept their filter.
    #[test]
    fn filters_stay_equal_to_the_reference(acts in prop::collection::vec(acts(), 1..24)) {
        let mut world = World::new();
        let mut rows = Rows::of(&world.cloud);
        let mut filters = Filters::compile(&world.cloud, &rows);
        for act in acts {
            let held: Vec<_> = filters.by_list.keys().cloned().map(|list| {
                let filter = filters.lists[filters.by_list[&list] as usize].filter;
                (list, filter)
            }).collect();
            let moved = world.change(act, &mut filters, &mut rows);
            for (list, filter) in held {
                let now = filters.lists[filters.by_list[&list] as usize].filter;
                prop_assert_eq!(now != filter, moved.lists.contains(&list));
            }
            agrees(&world, &mut filters, &rows)?;
        }
        let mut fresh = Filters::compile(&world.cloud, &rows);
        agrees(&world, &mut fresh, &rows)?;
    }
}

/// Changes without end do not take memory without end, and filters stay where they are.
#[test]
fn what_is_superseded_is_forgotten() {
    let mut world = World::new();
    let rows = Rows::of(&world.cloud);
    let mut filters = Filters::compile(&world.cloud, &rows);
    let run = Act::Run { side: 0, groups: 0b010 };
    assert_eq!(world.change(run, &mut filters, &mut rows.clone()), Moved::default());
    let group = world.groups[1];
    let list: [SecurityGroupId; 1] = [group];
    agrees(&world, &mut filters, &rows).unwrap();
    let filter = |filters: &Filters| filters.lists[filters.by_list[&list[..]] as usize].filter;
    let (first, mut most) = (filter(&filters), 0);
    for round in 0..70_000_u32 {
        let block: IpNet =
            format!("{}.{}.{}.0/24", 10 + (round >> 16), round >> 8 & 255, round & 255)
                .parse()
                .unwrap();
        let rules = vec![GroupRule { traffic: Traffic::All, peer: RulePeer::Block(block) }];
        let add = Command::AuthorizeSecurityGroupIngress { group, rules: rules.clone() };
        ask(&mut world.cloud, &add);
        let moved = filters.group_changed(&world.cloud, group, NOW);
        assert_eq!(moved, Moved::default());
        ask(&mut world.cloud, &Command::RevokeSecurityGroupIngress { group, rules });
        most = most.max(filters.all.arena.len());
    }
    assert!(most <= 2 * filters.fresh + SUPERSEDED_MAX + 64, "{most}");
    assert!(most > SUPERSEDED_MAX / 2, "it never came to the bound: {most}");
    assert_eq!(filter(&filters), first);
    filters.group_changed(&world.cloud, group, NOW).lists.clear();
    agrees(&world, &mut filters, &rows).unwrap();
}
