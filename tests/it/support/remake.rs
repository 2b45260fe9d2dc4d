//! What else can happen to a network: everything that `plan.rs` and `whole.rs` make comes and goes.
//!
//! Together with their changes these are all that the data plane has to follow. As there, numbers are
//! taken modulo what there is to choose from, and what the cloud refuses is left out. Refuses to judge
//! packets.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;
use vpclab::base::id::*;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::{Change, ResourceId};
use vpclab::cloud::filter::{Direction, PortRange, Traffic};
use vpclab::cloud::gateway::GatewayId;
use vpclab::cloud::instance::{Attachment, DeviceIndex, Host, NewInterface, SourceDestCheck};
use vpclab::cloud::network_acl::{AclAction, AclEntry, RuleNumber};
use vpclab::cloud::route_table::RouteTarget;
use vpclab::cloud::security_group::{GroupRule, RulePeer};

use super::plan::{Pick, RoutePlan, pick, route};
use super::whole::{Whole, net};

/// A change of another kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Remaking {
    /// Sets a route, over a peering or to an interface.
    Route(RoutePlan),
    Other(Kind, [Pick; 4]),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    NoRoute,
    Vpc,
    NoVpc,
    Block,
    NoBlock,
    Subnet,
    NoSubnet,
    Table,
    NoTable,
    OnTable,
    OffTable,
    MoveTable,
    Request,
    Reject,
    Run,
    Dress,
    Deny,
    Grow,
    Relist,
    NoList,
    OnAcl,
    NoAcl,
    NoGateway,
    Forget,
    Endpoint,
    NoPublic,
    Release,
    NoOutside,
    /// An interface of nobody.
    Free,
    NoFree,
    Attach,
    Detach,
    Unassign,
    SubnetBlock,
    /// Of no interest to packets.
    Tag,
}

pub(crate) fn remaking() -> impl Strategy<Value = Remaking> {
    use Kind::*;
    let kind = prop_oneof![
        4 => Just(NoRoute),
        1 => Just(Vpc),
        1 => Just(NoVpc),
        2 => Just(Block),
        2 => Just(NoBlock),
        2 => Just(Subnet),
        1 => Just(NoSubnet),
        2 => Just(Table),
        1 => Just(NoTable),
        2 => Just(OnTable),
        2 => Just(OffTable),
        2 => Just(MoveTable),
        3 => Just(Request),
        1 => Just(Reject),
        3 => Just(Run),
        16 => Just(Dress),
        8 => Just(Deny),
        10 => Just(Grow),
        6 => Just(Relist),
        1 => Just(NoList),
        2 => Just(OnAcl),
        1 => Just(NoAcl),
        1 => Just(NoGateway),
        1 => Just(Forget),
        2 => Just(Endpoint),
        2 => Just(NoPublic),
        1 => Just(Release),
        1 => Just(NoOutside),
        4 => Just(Free),
        1 => Just(NoFree),
        4 => Just(Attach),
        3 => Just(Detach),
        2 => Just(Unassign),
        2 => Just(SubnetBlock),
        1 => Just(Tag),
    ];
    prop_oneof![
        1 => route().prop_map(Remaking::Route),
        3 => (kind, any::<[Pick; 4]>()).prop_map(|(kind, picks)| Remaking::Other(kind, picks)),
    ]
}

impl Whole {
    /// Makes the change, if the cloud lets it.
    pub(crate) fn remake(&mut self, remaking: Remaking) -> Option<()> {
        match remaking {
            Remaking::Route(plan) => self.world.add_route(&plan),
            Remaking::Other(Kind::Vpc, picks) => self.add_vpc(picks),
            Remaking::Other(Kind::NoVpc, [p, ..]) => self.delete_vpc(p),
            Remaking::Other(Kind::Run, picks) => self.run(picks),
            Remaking::Other(Kind::Dress, picks) => self.dress(picks),
            Remaking::Other(Kind::Deny, picks) => self.deny(picks),
            Remaking::Other(Kind::Grow, picks) => self.grow(picks),
            Remaking::Other(Kind::Request, [p, q, ..]) => {
                let vpcs = &self.world.vpcs;
                let (from, to) = (pick(vpcs, p)?, pick(vpcs, q)?);
                let peering = self.world.lab.request(from, to).ok()?;
                if !self.world.peerings.contains(&peering) {
                    self.world.peerings.push(peering);
                }
                Some(())
            }
            Remaking::Other(Kind::Reject, [p, ..]) => {
                self.world.lab.reject(pick(&self.world.peerings, p)?).ok()
            }
            Remaking::Other(kind, picks) => {
                let (vpc, command) = self.command(kind, picks)?;
                let changes = self.ask(vpc, &command)?;
                for change in changes {
                    match change {
                        Change::SubnetCreated { subnet, .. } => self.world.subnets.push(subnet),
                        Change::SubnetDeleted { subnet } => {
                            self.world.subnets.retain(|s| *s != subnet);
                        }
                        Change::InterfaceCreated { interface, .. } => {
                            self.world.hosts.push(interface);
                        }
                        _ => {}
                    }
                }
                Some(())
            }
        }
    }

    /// The command for a change that takes one, and whose VPC it is about.
    fn command(&self, kind: Kind, [p, q, r, s]: [Pick; 4]) -> Option<(VpcId, Command)> {
        let cloud = &self.world.lab.cloud;
        let vpc = pick(&self.world.vpcs, p)?;
        let (tables, acls) = (cloud.vpc(vpc)?.tables(), cloud.vpc(vpc)?.acls());
        let subnet = pick(cloud.vpc(vpc)?.subnets(), q);
        let routes = |table| cloud.table(table).into_iter().flat_map(|t| t.routes());
        let public: Vec<_> = cloud.public_addresses().collect();
        let public = public.get(usize::from(q) % public.len().max(1));
        let inside = || cloud.interfaces().filter(|(_, i)| i.vpc == vpc);
        let of_nobody = inside().filter(|(_, i)| i.host == Host::Nobody).map(|(id, _)| id);
        let of_nobody: Vec<InterfaceId> = of_nobody.collect();
        let command = match kind {
            Kind::NoRoute => {
                let all = tables.iter().flat_map(|table| routes(*table).map(|r| (*table, r.0)));
                let (table, destination) = pick(&all.collect::<Vec<_>>(), q)?;
                Command::DeleteRoute { table, destination }
            }
            Kind::Block => {
                let v6 = cloud.vpc(pick(&self.world.vpcs, s)?)?.blocks().iter();
                let v6 = v6.copied().find(|block| matches!(block, IpNet::V6(_)));
                let block = match q % 3 {
                    0 => v6?,
                    1 => net("2001:db8:0:7700::/56"),
                    _ => net(&format!("100.{}.0.0/16", 100 + r % 4)),
                };
                Command::AssociateVpcCidrBlock { vpc, block }
            }
            Kind::NoBlock => {
                let block = pick(cloud.vpc(vpc)?.blocks(), q)?;
                Command::DisassociateVpcCidrBlock { vpc, block }
            }
            Kind::Subnet => {
                let v4 = |block: &IpNet| if let IpNet::V4(b) = block { Some(*b) } else { None };
                let v6 = |block: &IpNet| if let IpNet::V6(b) = block { Some(*b) } else { None };
                let blocks = cloud.vpc(vpc)?.blocks();
                let all: Vec<Ipv4Net> = blocks.iter().filter_map(v4).collect();
                let cidr = pick(&all, q)?.subnets(24).ok()?.nth(usize::from(r % 12))?;
                let v6 = blocks.iter().find_map(v6).filter(|_| s % 2 == 0);
                let ipv6 = v6.and_then(|block| block.subnets(64).ok()?.nth(usize::from(r)));
                Command::CreateSubnet { vpc, cidr, ipv6, zone: None }
            }
            Kind::NoSubnet => Command::DeleteSubnet { subnet: subnet? },
            Kind::Table => Command::CreateRouteTable { vpc },
            Kind::NoTable => Command::DeleteRouteTable { table: pick(tables, q)? },
            Kind::OnTable => {
                Command::AssociateRouteTable { table: pick(tables, r)?, subnet: subnet? }
            }
            Kind::OffTable => {
                let (association, _) = cloud.subnet(subnet?)?.association()?;
                Command::DisassociateRouteTable { association }
            }
            Kind::MoveTable => {
                let main = cloud.vpc(vpc)?.main_association();
                let own = cloud.subnet(subnet?)?.association().map(|(id, _)| id);
                let association = own.filter(|_| s % 2 == 0).unwrap_or(main);
                Command::ReplaceRouteTableAssociation { association, table: pick(tables, r)? }
            }
            Kind::Relist => {
                let (list, ten) = (pick(&self.lists, q)?, net("10.0.0.0/8"));
                let has = cloud.prefix_list(list)?.entries.contains(&ten);
                let (add, remove) =
                    if has { (Vec::new(), vec![ten]) } else { (vec![ten], Vec::new()) };
                Command::ModifyManagedPrefixList { list, add, remove }
            }
            Kind::NoList => Command::DeleteManagedPrefixList { list: pick(&self.lists, q)? },
            Kind::OnAcl => {
                let (association, _) = cloud.subnet(subnet?)?.acl();
                Command::ReplaceNetworkAclAssociation { association, acl: pick(acls, r)? }
            }
            Kind::NoAcl => Command::DeleteNetworkAcl { acl: pick(acls, r)? },
            Kind::NoGateway => {
                let all = cloud.gateways().filter(|(_, gateway)| gateway.vpc.is_none());
                match pick(&all.map(|(id, _)| id).collect::<Vec<_>>(), q)? {
                    GatewayId::Internet(gateway) => Command::DeleteInternetGateway { gateway },
                    GatewayId::Vpn(gateway) => Command::DeleteVpnGateway { gateway },
                    GatewayId::Endpoint(endpoint) => Command::DeleteVpcEndpoints { endpoint },
                    GatewayId::EgressOnly(gateway) => {
                        Command::DeleteEgressOnlyInternetGateway { gateway }
                    }
                }
            }
            Kind::Forget => {
                let (gateway, vpc) = self.gateway(q, |id| matches!(id, GatewayId::Vpn(_)))?;
                let learns = |table: &&RouteTableId| {
                    cloud.table(**table).is_some_and(|t| t.learns_from(gateway))
                };
                let table = *cloud.vpc(vpc)?.tables().iter().find(learns)?;
                let GatewayId::Vpn(gateway) = gateway else { return None };
                return Some((vpc, Command::DisableVgwRoutePropagation { gateway, table }));
            }
            Kind::Endpoint => {
                let (id, vpc) = self.gateway(q, |id| matches!(id, GatewayId::Endpoint(_)))?;
                let GatewayId::Endpoint(endpoint) = id else { return None };
                let table = pick(cloud.vpc(vpc)?.tables(), r)?;
                let has = cloud.table(table)?.learns_from(id);
                let (add, remove) =
                    if has { (Vec::new(), vec![table]) } else { (vec![table], Vec::new()) };
                return Some((vpc, Command::ModifyVpcEndpoint { endpoint, add, remove }));
            }
            Kind::NoPublic => {
                let (association, ..) = public?.1.association?;
                Command::DisassociateAddress { association }
            }
            Kind::Release => Command::ReleaseAddress { allocation: public?.0 },
            Kind::NoOutside => {
                let all: Vec<_> = cloud.outside_hosts().map(|(id, _)| id).collect();
                Command::RemoveOutsideHost { host: pick(&all, q)? }
            }
            Kind::Free => {
                let wanted = NewInterface::in_subnet(subnet?);
                Command::CreateNetworkInterface { wanted }
            }
            Kind::NoFree => Command::DeleteNetworkInterface { interface: pick(&of_nobody, q)? },
            Kind::Attach => {
                let instances: Vec<InstanceId> =
                    inside().filter_map(|(_, i)| i.instance()).collect();
                let device = DeviceIndex::new(1 + u8::try_from(s % 3).ok()?);
                let (interface, instance) = (pick(&of_nobody, q)?, pick(&instances, r)?);
                Command::AttachNetworkInterface { interface, instance, device }
            }
            Kind::Detach => {
                let further = |attached: &Attachment| attached.device != DeviceIndex::PRIMARY;
                let all = inside().filter_map(|(_, i)| Some(i.attachment.filter(further)?.id));
                let attachment = pick(&all.collect::<Vec<_>>(), q)?;
                Command::DetachNetworkInterface { attachment }
            }
            Kind::Unassign => {
                let further = inside().flat_map(|(id, i)| {
                    let v4 = |a: &IpAddr| if let IpAddr::V4(a) = a { Some(*a) } else { None };
                    i.addresses.iter().filter_map(v4).skip(1).map(move |address| (id, address))
                });
                let (interface, address) = pick(&further.collect::<Vec<_>>(), q)?;
                Command::UnassignPrivateIpAddresses { interface, addresses: vec![address] }
            }
            Kind::SubnetBlock => match cloud.subnet(subnet?)?.ipv6_association() {
                Some(association) => Command::DisassociateSubnetCidrBlock { association },
                None => {
                    let v6 = |block: &IpNet| if let IpNet::V6(b) = block { Some(*b) } else { None };
                    let block = cloud.vpc(vpc)?.blocks().iter().find_map(v6)?;
                    let block = block.subnets(64).ok()?.nth(usize::from(r % 64))?;
                    Command::AssociateSubnetCidrBlock { subnet: subnet?, block }
                }
            },
            Kind::Tag => {
                let tags = vec![("name".to_owned(), q.to_string())];
                Command::CreateTags { resource: ResourceId::Vpc(vpc), tags }
            }
            _ => return None,
        };
        Some((vpc, command))
    }

    /// A VPC like another one, or one with a block of its own, and a host in it.
    fn add_vpc(&mut self, [p, q, r, s]: [Pick; 4]) -> Option<()> {
        let like = pick(&self.world.vpcs, p)?;
        let lab = &mut self.world.lab;
        let caller = lab.owner(like);
        let first = match (lab.cloud.vpc(like)?.blocks().first()?, q % 2) {
            (IpNet::V4(block), 0) => *block,
            _ => format!("10.{}.0.0/16", 20 + q / 2 % 4).parse().ok()?,
        };
        let vpc = lab.vpc(caller.account, caller.region, first);
        self.world.vpcs.push(vpc);
        let cidr = first.subnets(24.max(first.prefix_len())).ok()?.next()?;
        let subnet = self.world.lab.subnet(vpc, cidr, None).ok()?;
        self.world.subnets.push(subnet);
        for _ in 0..r % 3 {
            let host = self.world.lab.host(subnet).ok()?;
            self.world.hosts.push(host);
        }
        let peering = self.world.lab.request(like, vpc).ok()?;
        self.world.peerings.push(peering);
        if s % 2 == 0 {
            let _ = self.world.lab.accept(peering);
        }
        Some(())
    }

    /// Tears a VPC down as far as the cloud lets it, and itself if nothing is left in it.
    fn delete_vpc(&mut self, p: Pick) -> Option<()> {
        let vpc = pick(&self.world.vpcs, p).filter(|_| self.world.vpcs.len() > 2)?;
        let cloud = &self.world.lab.cloud;
        let mut steps: Vec<Command> = Vec::new();
        for (id, interface) in cloud.interfaces().filter(|(_, i)| i.vpc == vpc) {
            let public = cloud.public_addresses().filter_map(|(_, held)| held.association);
            let public = public.filter(|(_, interface, _)| *interface == id);
            steps.extend(
                public.map(|(association, ..)| Command::DisassociateAddress { association }),
            );
            steps.push(match interface.host {
                Host::Instance(instance) => Command::TerminateInstances { instance },
                Host::NatGateway(gateway) => Command::DeleteNatGateway { gateway },
                Host::Nobody => Command::DeleteNetworkInterface { interface: id },
            });
        }
        let this = cloud.vpc(vpc)?;
        steps.extend(this.gateways().map(|id| match id {
            GatewayId::Internet(gateway) => Command::DetachInternetGateway { gateway, vpc },
            GatewayId::Vpn(gateway) => Command::DetachVpnGateway { gateway, vpc },
            GatewayId::Endpoint(endpoint) => Command::DeleteVpcEndpoints { endpoint },
            GatewayId::EgressOnly(gateway) => Command::DeleteEgressOnlyInternetGateway { gateway },
        }));
        steps.extend(this.subnets().iter().map(|subnet| Command::DeleteSubnet { subnet: *subnet }));
        steps.extend(this.tables().iter().map(|table| Command::DeleteRouteTable { table: *table }));
        steps.extend(this.acls().iter().map(|acl| Command::DeleteNetworkAcl { acl: *acl }));
        steps.extend(this.groups().iter().map(|id| Command::DeleteSecurityGroup { group: *id }));
        steps.push(Command::DeleteVpc { vpc });
        for step in steps {
            // The cloud says what is in the way; the rest goes all the same.
            let _ = self.ask(vpc, &step);
        }
        let cloud = &self.world.lab.cloud;
        let there = |peering: &PeeringId| {
            let ends = cloud.peering(*peering).map(|p| [p.requester().vpc, p.accepter().vpc]);
            ends.is_some_and(|ends| ends.iter().all(|vpc| cloud.vpc(*vpc).is_some()))
        };
        self.world.peerings.retain(there);
        self.world.subnets.retain(|subnet| cloud.subnet(*subnet).is_some());
        self.world.vpcs.retain(|vpc| cloud.vpc(*vpc).is_some());
        Some(())
    }

    /// From the default group, which is open here, into one that remembers, and back: connections
    /// that were opened in the one are heard in the other.
    fn dress(&mut self, [p, q, r, s]: [Pick; 4]) -> Option<()> {
        // Few, so that it happens to the same ones.
        let interface = pick(&self.world.hosts, p % 4)?;
        let vpc = self.world.lab.cloud.interface(interface)?.vpc;
        let this = self.world.lab.cloud.vpc(vpc)?;
        let (default, others) = (this.default_group(), this.groups().len() > 1);
        let group = match pick(this.groups(), r).filter(|_| others) {
            _ if q % 2 == 0 => default,
            Some(group) => group,
            None => {
                let create = Command::CreateSecurityGroup { vpc, name: format!("of {interface}") };
                let [Change::SecurityGroupCreated { group, .. }] = self.ask(vpc, &create)?[..]
                else {
                    return None;
                };
                // Whoever is in a default group may come in: the own, or a neighbour's.
                let cloud = &self.world.lab.cloud;
                let peers = cloud.vpc(vpc)?.peerings().filter_map(|p| cloud.peering(p));
                let near: Vec<_> = peers.filter_map(|p| p.other_end(vpc)).collect();
                let named = pick(&near, s).filter(|_| s % 3 > 0).unwrap_or(vpc);
                let default = cloud.vpc(named)?.default_group();
                // Or whoever is on a list.
                let peer = match self.list(vpc).filter(|_| s % 4 == 0) {
                    Some(list) => RulePeer::PrefixList(list),
                    None => RulePeer::Group(default),
                };
                let rules = vec![GroupRule { traffic: Traffic::All, peer }];
                self.ask(vpc, &Command::AuthorizeSecurityGroupIngress { group, rules });
                group
            }
        };
        let groups = vec![group];
        self.ask(vpc, &Command::ModifyNetworkInterfaceGroups { interface, groups }).map(|_| ())
    }

    /// A prefix list of whoever owns the VPC.
    fn list(&mut self, vpc: VpcId) -> Option<PrefixListId> {
        let owner = self.world.lab.owner(vpc).account;
        let cloud = &self.world.lab.cloud;
        let is_own = |id: &&PrefixListId| cloud.prefix_list(**id).is_some_and(|l| l.owner == owner);
        if let Some(list) = self.lists.iter().find(is_own) {
            return Some(*list);
        }
        let create = Command::CreateManagedPrefixList { entries: vec![net("172.16.0.0/12")] };
        let [Change::PrefixListCreated { list, .. }] = self.ask(vpc, &create)?[..] else {
            return None;
        };
        self.lists.push(list);
        Some(list)
    }

    /// Denies something at a subnet, or lets it pass again.
    fn deny(&mut self, [p, q, r, _]: [Pick; 4]) -> Option<()> {
        let cloud = &self.world.lab.cloud;
        let subnet = cloud.subnet(pick(&self.world.subnets, p % 4)?)?;
        let (vpc, (_, acl)) = (subnet.vpc, subnet.acl());
        let direction = Direction::ALL[usize::from(r % 2)];
        let number = RuleNumber::new(1 + q % 3)?;
        let traffic =
            [Traffic::All, Traffic::Udp(PortRange::one(53)), Traffic::Tcp(PortRange::one(22))]
                [usize::from(q % 3)];
        let command = if cloud.acl(acl)?.entries(direction).contains_key(&number) {
            Command::DeleteNetworkAclEntry { acl, direction, number }
        } else {
            let entry = AclEntry { traffic, block: net("10.0.0.0/8"), action: AclAction::Deny };
            Command::CreateNetworkAclEntry { acl, direction, number, entry }
        };
        self.ask(vpc, &command).map(|_| ())
    }

    /// A further block of a VPC, a host in it, and a route to it in a neighbour.
    fn grow(&mut self, [p, q, _, _]: [Pick; 4]) -> Option<()> {
        let vpc = pick(&self.world.vpcs, p)?;
        let cidr: Ipv4Net = format!("100.{}.0.0/24", 110 + q % 4).parse().ok()?;
        self.ask(vpc, &Command::AssociateVpcCidrBlock { vpc, block: cidr.into() })?;
        let subnet = self.world.lab.subnet(vpc, cidr, None).ok()?;
        self.world.subnets.push(subnet);
        let host = self.world.lab.host(subnet).ok()?;
        self.world.hosts.push(host);
        let cloud = &self.world.lab.cloud;
        let peerings: Vec<_> = cloud.vpc(vpc)?.peerings().collect();
        for peering in peerings {
            let other = self.world.lab.cloud.peering(peering)?.other_end(vpc)?;
            let Some(table) = self.world.lab.cloud.vpc(other).map(|vpc| vpc.main_table()) else {
                continue;
            };
            let _ = self.world.lab.route(table, cidr.into(), RouteTarget::Peering(peering));
        }
        Some(())
    }

    /// An instance with groups of its own choice.
    fn run(&mut self, [p, q, r, s]: [Pick; 4]) -> Option<()> {
        let cloud = &self.world.lab.cloud;
        let subnet = pick(&self.world.subnets, p)?;
        let vpc = cloud.subnet(subnet)?.vpc;
        let all = cloud.vpc(vpc)?.groups();
        let mut groups: Vec<_> = [q, r].iter().filter_map(|n| pick(all, *n)).collect();
        groups.sort_unstable();
        groups.dedup();
        let source_dest_check = if s % 4 == 0 { SourceDestCheck::Off } else { SourceDestCheck::On };
        let run = Command::run_instance(NewInterface {
            source_dest_check,
            groups,
            ..NewInterface::in_subnet(subnet)
        });
        match self.ask(vpc, &run)?[..] {
            [Change::InstanceRun { interface, .. }] => self.world.hosts.push(interface),
            _ => return None,
        }
        Some(())
    }
}
