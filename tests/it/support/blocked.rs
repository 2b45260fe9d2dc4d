//! Random worlds with everything that can block a packet: groups, ACLs, gateways, NAT devices and
//! routers, stopped instances, tight quotas, both families.
//!
//! Holds the worlds, each grown from one number, and the judge of what ends where: the compiled
//! twin, while repairs are looked for with the reference. What the cloud refuses is left out. Refuses
//! to know of repairs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vpclab::base::id::*;
use vpclab::base::limit::WALK_RELAYS_MAX;
use vpclab::base::rng::{Seed, Stream};
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::account::Region;
use vpclab::cloud::cidr::is_private;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::filter::{Direction, IcmpMatch, PortRange, Traffic};
use vpclab::cloud::gateway::{GatewayId, Line, Site};
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::cloud::network_acl::{AclAction, AclEntry, RuleNumber};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::quota::{Quota, Quotas};
use vpclab::cloud::route_table::RouteTarget;
use vpclab::cloud::security_group::{GroupRule, RulePeer};
use vpclab::forward::fabric::Fabric;
use vpclab::forward::middlebox::{Next, Role};
use vpclab::forward::repair::{Intent, Ways};
use vpclab::forward::{DropReason, Forwarder, Memory, Rows};
use vpclab::wire::{EchoKind, Packet, TcpFlags, build};

use super::lab::Lab;

/// How long transient states last.
const SETTLE: Span = Span::from_secs(1);

/// A world that stands.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) memory: Memory,
    dice: Dice,
    vpcs: Vec<VpcId>,
    hosts: Vec<InterfaceId>,
    /// Hosts outside the cloud.
    outside: Vec<InterfaceId>,
    gateways: Vec<GatewayId>,
    nats: Vec<NatGatewayId>,
}

/// A packet to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) from: InterfaceId,
    pub(crate) packet: Packet,
    pub(crate) meant: Option<InterfaceId>,
    pub(crate) ways: Ways,
}

impl Sent {
    pub(crate) fn intent(&self) -> Intent<'_> {
        let Sent { from, packet, meant, ways } = self;
        Intent { from: *from, packet, meant: *meant, ways: *ways }
    }
}

#[derive(Clone, Debug)]
struct Dice(Stream);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(u64::try_from(bound.max(1)).unwrap())).unwrap()
    }

    /// Once in `n` throws.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).copied()
    }
}

impl World {
    /// The world of this number.
    pub(crate) fn grow(number: u64) -> World {
        let mut dice = Dice(Seed(number).stream("blocked"));
        let profile = dice.pick(&[Profile::Seed, Profile::Today, Profile::Today]).unwrap();
        let lab = Lab::settling(profile, SETTLE);
        let (memory, vpcs, hosts, outside, gateways, nats) = Default::default();
        let mut world = World { lab, memory, dice, vpcs, hosts, outside, gateways, nats };
        for n in 0..world.dice.pick(&[2, 3, 4, 5]).unwrap() {
            world.add_vpc(n);
        }
        world.add_peerings();
        world.add_edges();
        world.add_routes();
        world.add_filters();
        world.add_trouble();
        world
    }

    fn account(n: u64) -> AccountId {
        AccountId::from_number(111_111_111_111 + n).unwrap()
    }

    /// Two subnets, the second with a table of its own, and one to four hosts.
    fn add_vpc(&mut self, n: u8) {
        // Now and then the block of the one before.
        let block = if self.dice.once_in(8) { n.saturating_sub(1) } else { n };
        let account = World::account(self.dice.0.below(2));
        let cidr: Ipv4Net = format!("10.{block}.0.0/16").parse().unwrap();
        let vpc = self.lab.vpc(account, Region::default(), cidr);
        self.vpcs.push(vpc);
        let block6: Ipv6Net = format!("2001:db8:0:{n:x}00::/56").parse().unwrap();
        let wanted = self.dice.once_in(2);
        let associate = Command::AssociateVpcCidrBlock { vpc, block: block6.into() };
        let has_6 = wanted && self.lab.ask(vpc, &associate).is_ok();
        for part in 0..2 {
            let cidr = cidr.subnets(24).unwrap().nth(part).unwrap();
            let ipv6 = block6.subnets(64).unwrap().nth(part).filter(|_| has_6);
            let subnet = self.lab.subnet(vpc, cidr, ipv6).unwrap();
            if part == 1 {
                self.lab.table_for(subnet).unwrap();
            }
            for _ in 0..1 + self.dice.below(2) {
                self.hosts.push(self.lab.host(subnet).unwrap());
            }
        }
    }

    fn wait(&mut self) {
        self.lab.now = self.lab.now + SETTLE + Span::TICK;
    }

    fn add_peerings(&mut self) {
        let vpcs = self.vpcs.clone();
        for (n, a) in vpcs.iter().enumerate() {
            for b in &vpcs[n + 1..] {
                if self.dice.once_in(3) {
                    continue;
                }
                let Ok(peering) = self.lab.request(*a, *b) else { continue };
                self.wait();
                if self.dice.once_in(8) || self.lab.accept(peering).is_err() {
                    continue;
                }
                self.wait();
                if self.dice.once_in(8) {
                    let _ = self.lab.delete(peering);
                }
            }
        }
        if self.dice.once_in(10) {
            // One that is being set up when the packets are sent.
            let pending: Vec<PeeringId> = self.lab.cloud.peerings().map(|p| p.id()).collect();
            let _ = self.dice.pick(&pending).map(|id| self.lab.accept(id));
        }
    }

    fn add_edges(&mut self) {
        for (n, vpc) in (0..).zip(self.vpcs.clone()) {
            if !self.dice.once_in(3) {
                self.add_internet(n, vpc);
            }
            if self.dice.once_in(2) {
                self.add_vpn(n, vpc);
            }
            if self.dice.once_in(4) {
                self.add_endpoint(n, vpc);
            }
        }
    }

    /// The gateway that the cloud says it has made, in the list of all.
    fn note_gateway(&mut self, changes: &[Change]) -> Option<GatewayId> {
        let made = changes.iter().find_map(|change| match change {
            Change::GatewayCreated { id, .. } => Some(*id),
            _ => None,
        })?;
        self.gateways.push(made);
        Some(made)
    }

    fn place(&mut self, vpc: VpcId, beyond: GatewayId, addresses: Vec<IpAddr>) {
        let place = Command::PlaceOutsideHost { beyond, addresses };
        if let Ok(changes) = self.lab.ask(vpc, &place)
            && let [Change::OutsideHostPlaced { host, .. }] = changes[..]
        {
            self.outside.push(host);
        }
    }

    /// An internet gateway, a host beyond it, public addresses, a NAT gateway.
    fn add_internet(&mut self, n: u8, vpc: VpcId) {
        let changes = self.lab.must(vpc, &Command::CreateInternetGateway);
        let Some(id @ GatewayId::Internet(gateway)) = self.note_gateway(&changes) else {
            panic!("{changes:?}")
        };
        self.lab.must(vpc, &Command::AttachInternetGateway { gateway, vpc });
        let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::new(198, 51, 100, n + 1).into()];
        if self.lab.cloud.profile() == Profile::Today {
            addresses.push(format!("2001:db8:ffff::{n:x}").parse().unwrap());
        }
        self.place(vpc, id, addresses);
        if self.dice.once_in(6) {
            self.lab.must(vpc, &Command::DetachInternetGateway { gateway, vpc });
            return;
        }
        for host in self.hosts_of(vpc) {
            if self.dice.once_in(2) {
                let allocation = self.allocate(vpc);
                let give = Command::AssociateAddress { allocation, interface: host, private: None };
                self.lab.must(vpc, &give);
            }
        }
        if self.lab.cloud.profile() == Profile::Today && self.dice.once_in(4) {
            let create = Command::CreateEgressOnlyInternetGateway { vpc };
            if let Ok(changes) = self.lab.ask(vpc, &create) {
                self.note_gateway(&changes);
            }
        }
        if self.dice.once_in(2) {
            let (allocation, subnet) = (self.allocate(vpc), self.subnets_of(vpc)[0]);
            let nat = self.lab.must(vpc, &Command::CreateNatGateway { subnet, allocation });
            self.nats.extend(nat.iter().find_map(|change| match change {
                Change::NatGatewayCreated { gateway, .. } => Some(*gateway),
                _ => None,
            }));
        }
    }

    fn allocate(&mut self, vpc: VpcId) -> AllocationId {
        match self.lab.must(vpc, &Command::AllocateAddress { address: None })[..] {
            [Change::AddressAllocated { allocation, .. }] => allocation,
            ref other => panic!("{other:?}"),
        }
    }

    fn add_vpn(&mut self, n: u8, vpc: VpcId) {
        let beyond: Vec<IpNet> = vec![format!("192.168.{n}.0/24").parse().unwrap()];
        let create = Command::CreateVpnGateway { line: Line::Vpn, beyond };
        let changes = self.lab.must(vpc, &create);
        let Some(id @ GatewayId::Vpn(gateway)) = self.note_gateway(&changes) else {
            panic!("{changes:?}")
        };
        self.place(vpc, id, vec![Ipv4Addr::new(192, 168, n, 7).into()]);
        if !self.dice.once_in(4) {
            self.lab.must(vpc, &Command::AttachVpnGateway { gateway, vpc });
            if self.dice.once_in(2) {
                let table = self.tables_of(vpc)[0];
                self.lab.must(vpc, &Command::EnableVgwRoutePropagation { gateway, table });
            }
        }
    }

    fn add_endpoint(&mut self, n: u8, vpc: VpcId) {
        let tables = self.tables_of(vpc)[..self.dice.below(2)].to_vec();
        let prefixes = vec![format!("52.216.{n}.0/24").parse().unwrap()];
        let service = "s3".to_owned();
        let create = Command::CreateVpcEndpoint { vpc, service, prefixes, tables };
        let Ok(changes) = self.lab.ask(vpc, &create) else { return };
        if let Some(id) = self.note_gateway(&changes) {
            self.place(vpc, id, vec![Ipv4Addr::new(52, 216, n, 9).into()]);
        }
    }

    fn hosts_of(&self, vpc: VpcId) -> Vec<InterfaceId> {
        let inside = |id: &&InterfaceId| self.lab.cloud.interface(**id).unwrap().vpc == vpc;
        self.hosts.iter().filter(inside).copied().collect()
    }

    fn subnets_of(&self, vpc: VpcId) -> Vec<SubnetId> {
        self.lab.cloud.vpc(vpc).unwrap().subnets().to_vec()
    }

    fn tables_of(&self, vpc: VpcId) -> Vec<RouteTableId> {
        self.lab.cloud.vpc(vpc).unwrap().tables().to_vec()
    }

    /// Routes as somebody meant them, most of the time.
    fn add_routes(&mut self) {
        for vpc in self.vpcs.clone() {
            for table in self.tables_of(vpc) {
                for (destination, target) in self.sensible_routes(vpc) {
                    if !self.dice.once_in(4) {
                        let _ = self.lab.route(table, destination, target);
                    }
                }
                if self.dice.once_in(3) {
                    self.odd_route(vpc, table);
                }
            }
        }
    }

    fn sensible_routes(&mut self, vpc: VpcId) -> Vec<(IpNet, RouteTarget)> {
        let cloud = &self.lab.cloud;
        let mut routes = Vec::new();
        for peering in cloud.peerings() {
            let Some(other) = peering.other_end(vpc) else { continue };
            let blocks = cloud.vpc(other).unwrap().blocks();
            let target = RouteTarget::Peering(peering.id());
            routes.extend(blocks.iter().map(|block| (*block, target)));
        }
        let everything: [IpNet; 2] = [Ipv4Net::default().into(), Ipv6Net::default().into()];
        for (id, gateway) in cloud.gateways().filter(|(_, gateway)| gateway.vpc == Some(vpc)) {
            let target = RouteTarget::Gateway(id);
            match id {
                GatewayId::Internet(_) => routes.extend(everything.map(|all| (all, target))),
                GatewayId::EgressOnly(_) => routes.push((everything[1], target)),
                GatewayId::Vpn(_) => routes.extend(gateway.beyond.iter().map(|b| (*b, target))),
                GatewayId::Endpoint(_) => {}
            }
        }
        let nat = self.nats.iter().find(|id| cloud.nat_gateway(**id).unwrap().vpc == vpc).copied();
        if let Some(nat) = nat
            && self.dice.once_in(2)
        {
            routes.push((everything[0], RouteTarget::Nat(nat)));
        }
        routes
    }

    /// A route towards a host, or over a peering for what lies elsewhere.
    fn odd_route(&mut self, vpc: VpcId, table: RouteTableId) {
        let blocks: Vec<IpNet> =
            self.lab.cloud.vpcs().flat_map(|(_, vpc)| vpc.blocks().to_vec()).collect();
        let subnets: Vec<IpNet> =
            self.lab.cloud.subnets().map(|(_, subnet)| subnet.cidr.into()).collect();
        let outside: Vec<IpNet> = vec![
            Ipv4Net::default().into(),
            "198.51.100.0/24".parse().unwrap(),
            "192.168.0.0/16".parse().unwrap(),
        ];
        let destination = match self.dice.below(3) {
            0 => self.dice.pick(&blocks),
            1 => self.dice.pick(&subnets),
            _ => self.dice.pick(&outside),
        };
        let hosts = self.hosts_of(vpc).into_iter().map(RouteTarget::Interface);
        let peerings = self.lab.cloud.vpc(vpc).unwrap().peerings().map(RouteTarget::Peering);
        let targets: Vec<RouteTarget> = hosts.chain(peerings).collect();
        if let (Some(destination), Some(target)) = (destination, self.dice.pick(&targets)) {
            let _ = self.lab.route(table, destination, target);
        }
    }

    fn traffic(&mut self) -> Traffic {
        let all = [
            Traffic::All,
            Traffic::Tcp(PortRange::ALL),
            Traffic::Tcp(PortRange::one(443)),
            Traffic::Udp(PortRange::one(53)),
            Traffic::Udp(PortRange::new(1_024, u16::MAX).unwrap()),
            Traffic::Tcp(PortRange::new(1_024, u16::MAX).unwrap()),
            Traffic::Icmp(IcmpMatch::Any),
            Traffic::Icmpv6(IcmpMatch::Any),
        ];
        self.dice.pick(&all).unwrap()
    }

    fn block(&mut self) -> IpNet {
        let mut blocks: Vec<IpNet> = vec![
            Ipv4Net::default().into(),
            Ipv6Net::default().into(),
            "10.0.0.0/8".parse().unwrap(),
            "198.51.100.0/24".parse().unwrap(),
        ];
        blocks.extend(self.lab.cloud.vpcs().flat_map(|(_, vpc)| vpc.blocks().to_vec()));
        self.dice.pick(&blocks).unwrap()
    }

    fn add_filters(&mut self) {
        for vpc in self.vpcs.clone() {
            if self.dice.once_in(2) {
                self.add_groups(vpc);
            }
            for _ in 0..self.dice.below(4) {
                let acl = self.lab.cloud.vpc(vpc).unwrap().default_acl();
                self.add_entry(vpc, acl);
            }
            if self.dice.once_in(4) {
                self.add_acl(vpc);
            }
        }
    }

    /// Groups of its own for some hosts; rules name blocks and groups of this and other VPCs.
    fn add_groups(&mut self, vpc: VpcId) {
        let everybody: Vec<GroupRule> = GroupRule::everybody().into();
        for (n, host) in self.hosts_of(vpc).into_iter().enumerate() {
            if self.dice.once_in(2) {
                continue;
            }
            let name = format!("g{n}");
            let made = self.lab.must(vpc, &Command::CreateSecurityGroup { vpc, name });
            let [Change::SecurityGroupCreated { group, .. }] = made[..] else { panic!("{made:?}") };
            let mut groups = vec![group];
            if self.dice.once_in(4) {
                groups.push(self.lab.cloud.vpc(vpc).unwrap().default_group());
            }
            let set = Command::ModifyNetworkInterfaceGroups { interface: host, groups };
            self.lab.must(vpc, &set);
            if self.dice.once_in(3) {
                let rules = everybody.clone();
                let _ = self.lab.ask(vpc, &Command::RevokeSecurityGroupEgress { group, rules });
            }
            for _ in 0..self.dice.below(3) {
                let all: Vec<SecurityGroupId> = self.lab.cloud.groups().map(|(id, _)| id).collect();
                let peer = match self.dice.pick(&all) {
                    Some(group) if self.dice.once_in(3) => RulePeer::Group(group),
                    _ => RulePeer::Block(self.block()),
                };
                let rules = vec![GroupRule { traffic: self.traffic(), peer }];
                let _ = match self.dice.once_in(2) {
                    true => {
                        self.lab.ask(vpc, &Command::AuthorizeSecurityGroupIngress { group, rules })
                    }
                    false => {
                        self.lab.ask(vpc, &Command::AuthorizeSecurityGroupEgress { group, rules })
                    }
                };
            }
        }
    }

    fn add_entry(&mut self, vpc: VpcId, acl: NetworkAclId) {
        let number = self.dice.pick(&[1, 2, 50, 99, 110, 200]).and_then(RuleNumber::new).unwrap();
        let direction = self.dice.pick(&Direction::ALL).unwrap();
        let action = self.dice.pick(&[AclAction::Deny, AclAction::Allow]).unwrap();
        let entry = AclEntry { traffic: self.traffic(), block: self.block(), action };
        let create = Command::CreateNetworkAclEntry { acl, direction, number, entry };
        let _ = self.lab.ask(vpc, &create);
    }

    /// A list of its own for the second subnet: it denies what no entry allows.
    fn add_acl(&mut self, vpc: VpcId) {
        let made = self.lab.must(vpc, &Command::CreateNetworkAcl { vpc });
        let [Change::NetworkAclCreated { acl, .. }] = made[..] else { panic!("{made:?}") };
        let (association, _) = self.lab.cloud.subnet(self.subnets_of(vpc)[1]).unwrap().acl();
        self.lab.must(vpc, &Command::ReplaceNetworkAclAssociation { association, acl });
        for _ in 0..self.dice.below(6) {
            self.add_entry(vpc, acl);
        }
    }

    /// Stopped instances, routers, NAT instances, checks that are off, quotas that are used up.
    fn add_trouble(&mut self) {
        for host in self.hosts.clone() {
            let interface = self.lab.cloud.interface(host).unwrap();
            let (vpc, instance) = (interface.vpc, interface.instance().unwrap());
            let what = self.dice.below(30);
            if (3..=7).contains(&what) {
                let source_dest_check = SourceDestCheck::Off;
                let off =
                    Command::ModifyNetworkInterfaceAttribute { interface: host, source_dest_check };
                self.lab.must(vpc, &off);
            }
            match what {
                0..=2 => drop(self.lab.must(vpc, &Command::StopInstances { instance })),
                3..=4 | 8 => self.memory.middleboxes.set_role(host, Some(Role::Router)),
                5..=6 | 9 => self.memory.middleboxes.set_role(host, Some(Role::Nat)),
                _ => {}
            }
        }
        if self.dice.once_in(6) {
            let mut quotas = Quotas::default();
            let (quota, limit) = self
                .dice
                .pick(&[
                    (Quota::RulesPerSecurityGroup, 2),
                    (Quota::RoutesPerTable, 3),
                    (Quota::ActivePeeringsPerVpc, 2),
                    (Quota::EntriesPerNetworkAcl, 3),
                ])
                .unwrap();
            quotas.set(quota, limit);
            let caller = self.lab.owner(self.vpcs[0]);
            let _ = self.lab.ask_as(&caller, &Command::OpenAccount { quotas });
        }
        self.memory.connections.set_now(self.lab.now);
        if self.dice.once_in(20) {
            self.memory.connections.set_limit(0);
        }
    }

    /// The next packet; `None` if its ends have no common family.
    pub(crate) fn packet(&mut self) -> Option<Sent> {
        let from = match self.dice.once_in(5) {
            true => self.dice.pick(&self.outside)?,
            false => self.dice.pick(&self.hosts)?,
        };
        let to = self.aim(from)?;
        let mut addresses = self.addresses(to);
        let public = self.lab.cloud.public_addresses();
        let of_it = public.filter(|(_, held)| held.association.is_some_and(|a| a.1 == to));
        addresses.extend(of_it.map(|(_, held)| IpAddr::from(held.address)));
        let from_outside = self.lab.cloud.outside_host(from).map(|host| host.site());
        if from_outside == Some(Site::Internet) && !self.dice.once_in(4) {
            addresses.retain(|a| a.is_ipv6() || !is_private(*a));
        }
        let mut destination = self.dice.pick(&addresses)?;
        let mut meant = Some(to).filter(|_| !self.dice.once_in(4));
        if self.dice.once_in(30) {
            (destination, meant) = (Ipv4Addr::new(10, 0, 77, 77).into(), None);
        }
        let own = self.addresses(from);
        let mut source = own.into_iter().find(|a| a.is_ipv4() == destination.is_ipv4())?;
        if self.dice.once_in(30) && source.is_ipv4() {
            source = Ipv4Addr::new(10, 99, 0, 9).into();
        }
        let ways = self.dice.pick(&[Ways::There, Ways::ThereAndBack, Ways::ThereAndBack])?;
        let packet = self.content(source, destination)?;
        Some(Sent { from, packet, meant, ways })
    }

    /// Somebody to send to: most often one whom the sender's own edges lead to, or a host of another
    /// VPC.
    fn aim(&mut self, from: InterfaceId) -> Option<InterfaceId> {
        let cloud = &self.lab.cloud;
        let gateway_of = |id: &InterfaceId| {
            cloud.outside_host(*id).and_then(|host| cloud.gateway(host.beyond)?.vpc)
        };
        let vpc_of = |id: &InterfaceId| cloud.interface(*id).map(|interface| interface.vpc);
        let near: Vec<InterfaceId> = match vpc_of(&from) {
            Some(vpc) => {
                let inside = self.hosts.iter();
                let beyond = self.outside.iter().filter(|id| gateway_of(id) == Some(vpc));
                inside.chain(beyond).copied().collect()
            }
            None => {
                let inside = self.hosts.iter();
                inside.filter(|id| vpc_of(id) == gateway_of(&from)).copied().collect()
            }
        };
        let everybody = self.hosts.iter().chain(&self.outside).copied().collect();
        let among: Vec<InterfaceId> =
            if near.is_empty() || self.dice.once_in(5) { everybody } else { near };
        self.dice.pick(&among)
    }

    fn addresses(&self, of: InterfaceId) -> Vec<IpAddr> {
        let inside = self.lab.cloud.interface(of).map(|interface| interface.addresses.clone());
        let outside = self.lab.cloud.outside_host(of).map(|host| host.addresses.clone());
        inside.or(outside).unwrap_or_default()
    }

    fn content(&mut self, source: IpAddr, destination: IpAddr) -> Option<Packet> {
        let port = self.dice.pick(&[443, 22, 53, 5_000])?;
        let ends = (SocketAddr::new(source, 40_000), SocketAddr::new(destination, port));
        let payload = vec![0; if self.dice.once_in(12) { 2_000 } else { 32 }];
        match self.dice.below(3) {
            0 => build::tcp(ends.0, ends.1, TcpFlags::SYN, 1, 0, &[]).ok(),
            1 => build::udp(ends.0, ends.1, &payload).ok(),
            _ => build::echo(EchoKind::Request, source, destination, 7, 1, &payload).ok(),
        }
    }
}

/// Where the packet, or its answer, ends by the compiled twin; `Ok` if that is where both were meant
/// to.
pub(crate) fn outcome(lab: &Lab, rows: &Rows, memory: &Memory, sent: &Sent) -> Result<(), String> {
    let fabric = Fabric::compile(&lab.cloud, rows, lab.now);
    let mut memory = memory.clone();
    memory.connections.set_now(lab.now);
    let mut arrive = |from, packet: &Packet, meant: Option<InterfaceId>| match walk(
        lab,
        rows,
        &fabric,
        &mut memory,
        from,
        packet,
    ) {
        Ok((at, packet)) if meant.is_none_or(|meant| meant == at) => Ok((at, packet)),
        Ok(_) => Err("misdelivered".to_owned()),
        Err(reason) => Err(reason.label().to_owned()),
    };
    let (at, arrived) = arrive(sent.from, &sent.packet, sent.meant)?;
    if sent.ways == Ways::ThereAndBack
        && let Some(answer) = build::answer(&arrived)
    {
        let back = arrive(at, &answer, Some(sent.from));
        let (_, back) = back.map_err(|why| format!("answer {why}"))?;
        // A connected socket takes nothing else.
        let asked = &sent.packet;
        let sockets = (asked.destination(), asked.source());
        let same_ports = match (asked.flow(), back.flow()) {
            (there, back) if asked.icmp_echo().is_none() => {
                (there.source_port, there.destination_port)
                    == (back.destination_port, back.source_port)
            }
            _ => asked.icmp_echo().map(|e| e.ident) == back.icmp_echo().map(|e| e.ident),
        };
        if (back.source(), back.destination()) != sockets || !same_ports {
            return Err("answer from another address".to_owned());
        }
    }
    Ok(())
}

fn walk(
    lab: &Lab,
    rows: &Rows,
    fabric: &Fabric,
    memory: &mut Memory,
    from: InterfaceId,
    packet: &Packet,
) -> Result<(InterfaceId, Packet), DropReason> {
    let (mut from, mut packet) = (rows.interface(from).unwrap(), packet.clone());
    let now: Instant = lab.now;
    for _ in 0..=WALK_RELAYS_MAX {
        let connections = &mut memory.connections;
        let crossing = fabric.leave(from, &packet, connections).map_err(|drop| drop.reason)?;
        packet = crossing.mapped(&packet).map_err(|drop| drop.reason)?.into_owned();
        let at = fabric.enter(crossing, &packet, connections).map_err(|drop| drop.reason)?;
        let id = rows.interface_id(at);
        match memory.middleboxes.next(&lab.cloud, id, &packet, now) {
            Next::Received => return Ok((id, packet)),
            Next::SentOn(onward) => (from, packet) = (at, onward),
            Next::Dropped(why) => return Err(why),
        }
    }
    Err(DropReason::HopLimit)
}
