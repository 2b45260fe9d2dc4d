//! What one change costs while packets flow: the median of each kind, in networks of several sizes.
//!
//! A ring of VPCs, each peered with the next, with ten instances, tables, groups and network ACLs of
//! the usual kind; each change is made in another VPC. Timed is what the data plane does about it,
//! [`Rows::follow`] and [`Fabric::update`], not what the cloud did to decide it. Refuses to judge.
//!
//! ```text
//! cargo bench --bench change [-- VPCS...]        # 1,000 and 10,000
//! ```
#![allow(clippy::print_stdout, reason = "the figures are the output")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run says so and stops"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant as HostInstant;

use ipnet::{IpNet, Ipv4Net};
use vpclab::base::id::*;
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::Caller;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::filter::{Direction, PortRange, Traffic};
use vpclab::cloud::gateway::GatewayId;
use vpclab::cloud::instance::NewInterface;
use vpclab::cloud::network_acl::{AclAction, AclEntry, RuleNumber};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::quota::{Quota, Quotas};
use vpclab::cloud::route_table::RouteTarget;
use vpclab::cloud::security_group::{GroupRule, RulePeer};
use vpclab::forward::Rows;
use vpclab::forward::fabric::Fabric;

/// Instances of each VPC.
const INSTANCES: usize = 10;
/// How often each kind of change is timed.
const ROUNDS: usize = 101;
const NOW: Instant = Instant::START;

/// A VPC of the ring.
struct Home {
    vpc: VpcId,
    table: RouteTableId,
    subnet: SubnetId,
    group: SecurityGroupId,
    acl: NetworkAclId,
    interfaces: Vec<(InstanceId, InterfaceId)>,
    /// To the next one.
    peering: Option<PeeringId>,
    block: Ipv4Net,
}

struct World {
    cloud: Cloud,
    caller: Caller,
    homes: Vec<Home>,
    rows: Rows,
    fabric: Fabric,
    /// By kind of change, in nanoseconds.
    times: BTreeMap<&'static str, Vec<u64>>,
}

fn block(nth: usize) -> Ipv4Net {
    // 65,536 VPCs have blocks of their own; neighbours always have.
    let nth = u32::try_from(nth % 65_536).unwrap();
    Ipv4Net::new(Ipv4Addr::from(10 << 24 | nth << 8), 24).unwrap()
}

fn ask(cloud: &mut Cloud, caller: &Caller, command: &Command) -> Vec<Change> {
    let events = cloud.apply(caller, command, NOW);
    let events = events.unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
    events.into_iter().map(|event| event.change).collect()
}

impl Home {
    fn build(cloud: &mut Cloud, caller: &Caller, nth: usize) -> Home {
        let block = block(nth);
        let [Change::VpcCreated { vpc, main_table, default_group, default_acl, .. }] =
            ask(cloud, caller, &Command::CreateVpc { cidr: block })[..]
        else {
            panic!("no VPC")
        };
        let create = Command::CreateSubnet { vpc, cidr: block, ipv6: None, zone: None };
        let [Change::SubnetCreated { subnet, .. }] = ask(cloud, caller, &create)[..] else {
            panic!("no subnet")
        };
        let run = run(subnet);
        let interfaces = (0..INSTANCES).map(|_| match ask(cloud, caller, &run)[..] {
            [Change::InstanceRun { instance, interface, .. }] => (instance, interface),
            _ => panic!("no instance"),
        });
        let interfaces = interfaces.collect();
        let (table, group, acl) = (main_table, default_group, default_acl);
        Home { vpc, table, subnet, group, acl, interfaces, peering: None, block }
    }
}

fn run(subnet: SubnetId) -> Command {
    let (ipv4, ipv6, groups) = (None, None, Vec::new());
    Command::run_instance(NewInterface {
        ipv4: ipv4.into_iter().collect(),
        ipv6: ipv6.into(),
        groups,
        ..NewInterface::in_subnet(subnet)
    })
}

fn request(requester: VpcId, accepter: VpcId) -> Command {
    let (peer_owner, peer_region) = (None, None);
    Command::CreateVpcPeeringConnection { requester, accepter, peer_owner, peer_region }
}

impl World {
    fn build(vpcs: usize) -> World {
        let mut cloud = Cloud::new(Profile::Today, Span::ZERO);
        let caller = Caller { account: AccountId::DEFAULT, region: Default::default() };
        let mut quotas = Quotas::default();
        let per_region =
            [Quota::VpcsPerRegion, Quota::InterfacesPerRegion, Quota::SecurityGroupsPerRegion];
        per_region.iter().for_each(|quota| quotas.set(*quota, 10_000_000));
        ask(&mut cloud, &caller, &Command::OpenAccount { quotas });
        let mut homes: Vec<Home> =
            (0..vpcs).map(|nth| Home::build(&mut cloud, &caller, nth)).collect();
        for nth in 0..vpcs {
            let next = (nth + 1) % vpcs;
            let (vpc, accepter) = (homes[nth].vpc, homes[next].vpc);
            let [Change::PeeringRequested { peering, .. }] =
                ask(&mut cloud, &caller, &request(vpc, accepter))[..]
            else {
                panic!("no peering")
            };
            ask(&mut cloud, &caller, &Command::AcceptVpcPeeringConnection { peering });
            homes[nth].peering = Some(peering);
            let target = RouteTarget::Peering(peering);
            for (at, of) in [(nth, next), (next, nth)] {
                let (table, destination) = (homes[at].table, homes[of].block.into());
                ask(&mut cloud, &caller, &Command::CreateRoute { table, destination, target });
            }
        }
        let rows = Rows::of(&cloud);
        let started = HostInstant::now();
        let fabric = Fabric::compile(&cloud, &rows, NOW);
        println!(
            "{vpcs} VPCs, {} instances: compiled in {:.1} ms",
            vpcs * INSTANCES,
            started.elapsed().as_secs_f64() * 1e3
        );
        World { cloud, caller, homes, rows, fabric, times: BTreeMap::new() }
    }

    /// Makes a change, and times what the data plane does about it.
    fn time(&mut self, kind: &'static str, command: &Command) -> Vec<Change> {
        let changes = ask(&mut self.cloud, &self.caller, command);
        let started = HostInstant::now();
        self.rows.follow(&changes);
        self.fabric.update(&self.cloud, &self.rows, &changes, NOW);
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap();
        self.times.entry(kind).or_default().push(nanos);
        changes
    }

    /// Every kind of change, in this VPC.
    fn change_all(&mut self, nth: usize) {
        let Home { vpc, table, subnet, group, acl, peering, block, .. } = self.homes[nth];
        let (instance, interface) = self.homes[nth].interfaces[0];
        let other = self.homes[(nth + 1) % self.homes.len()].vpc;
        let target = RouteTarget::Peering(peering.unwrap());
        let destination: IpNet = "203.0.113.0/24".parse().unwrap();
        self.time("route, created", &Command::CreateRoute { table, destination, target });
        let to = RouteTarget::Interface(interface);
        self.time("route, replaced", &Command::ReplaceRoute { table, destination, target: to });
        self.time("route, deleted", &Command::DeleteRoute { table, destination });

        let rule = |peer| vec![GroupRule { traffic: Traffic::Tcp(PortRange::one(443)), peer }];
        let near = rule(RulePeer::Block(destination));
        let add = Command::AuthorizeSecurityGroupIngress { group, rules: near.clone() };
        self.time("group, a rule more", &add);
        self.time(
            "group, a rule less",
            &Command::RevokeSecurityGroupIngress { group, rules: near },
        );
        let everybody = vec![GroupRule::everybody_v4()];
        let open = Command::AuthorizeSecurityGroupIngress { group, rules: everybody.clone() };
        self.time("group, opened for everybody", &open);
        let close = Command::RevokeSecurityGroupIngress { group, rules: everybody };
        self.time("group, closed again", &close);
        let create = Command::CreateSecurityGroup { vpc, name: "more".to_owned() };
        let [Change::SecurityGroupCreated { group: more, .. }] =
            self.time("group, created", &create)[..]
        else {
            panic!("no group")
        };
        let by_name = rule(RulePeer::Group(more));
        self.time(
            "group, a rule that names one",
            &Command::AuthorizeSecurityGroupIngress { group, rules: by_name },
        );
        let wear = |groups| Command::ModifyNetworkInterfaceGroups { interface, groups };
        self.time("instance, other groups", &wear(vec![more]));
        self.time("instance, its groups again", &wear(vec![group]));

        self.time("instance, stopped", &Command::StopInstances { instance });
        self.time("instance, started", &Command::StartInstances { instance });
        let [Change::InstanceRun { instance: new, interface: its, .. }] =
            self.time("instance, run", &run(subnet))[..]
        else {
            panic!("no instance")
        };
        let last = block.broadcast();
        let addresses = vec![Ipv4Addr::from(u32::from(last) - 1)];
        let interface_new = its;
        self.time(
            "instance, a further address",
            &Command::AssignPrivateIpAddresses {
                interface: interface_new,
                addresses: addresses.into(),
            },
        );
        self.time("instance, terminated", &Command::TerminateInstances { instance: new });

        let number = RuleNumber::new(50).unwrap();
        let (traffic, direction) = (Traffic::Tcp(PortRange::one(22)), Direction::Ingress);
        let entry = AclEntry { traffic, block: destination, action: AclAction::Deny };
        self.time(
            "ACL, an entry more",
            &Command::CreateNetworkAclEntry { acl, direction, number, entry },
        );
        let delete = Command::DeleteNetworkAclEntry { acl, direction, number };
        self.time("ACL, an entry less", &delete);
        let [Change::NetworkAclCreated { acl: empty, .. }] =
            self.time("ACL, created", &Command::CreateNetworkAcl { vpc })[..]
        else {
            panic!("no ACL")
        };
        for acl in [empty, acl] {
            let (association, _) = self.cloud.subnet(subnet).unwrap().acl();
            let replace = Command::ReplaceNetworkAclAssociation { association, acl };
            self.time("subnet, another ACL", &replace);
        }
        let [Change::RouteTableCreated { table: own, .. }] =
            self.time("table, created", &Command::CreateRouteTable { vpc })[..]
        else {
            panic!("no table")
        };
        let associate = Command::AssociateRouteTable { table: own, subnet };
        self.time("subnet, another table", &associate);
        let (association, _) = self.cloud.subnet(subnet).unwrap().association().unwrap();
        self.time("subnet, the main table", &Command::DisassociateRouteTable { association });

        let peering = peering.unwrap();
        self.time("peering, deleted", &Command::DeleteVpcPeeringConnection { peering });
        let [Change::PeeringRequested { peering, .. }] =
            self.time("peering, requested", &request(vpc, other))[..]
        else {
            panic!("no peering")
        };
        self.time("peering, accepted", &Command::AcceptVpcPeeringConnection { peering });

        let further: IpNet = "100.64.0.0/24".parse().unwrap();
        self.time("VPC, a further block", &Command::AssociateVpcCidrBlock { vpc, block: further });
        self.time("VPC, a block less", &Command::DisassociateVpcCidrBlock { vpc, block: further });
        let cidr = "100.65.0.0/24".parse().unwrap();
        let [Change::VpcCreated { vpc: new, .. }] =
            self.time("VPC, created", &Command::CreateVpc { cidr })[..]
        else {
            panic!("no VPC")
        };
        self.time("VPC, deleted", &Command::DeleteVpc { vpc: new });

        let [Change::GatewayCreated { id: GatewayId::Internet(gateway), .. }] =
            self.time("gateway, created", &Command::CreateInternetGateway)[..]
        else {
            panic!("no gateway")
        };
        self.time("gateway, attached", &Command::AttachInternetGateway { gateway, vpc });
        let [Change::AddressAllocated { allocation, .. }] =
            self.time("public address, allocated", &Command::AllocateAddress { address: None })[..]
        else {
            panic!("no address")
        };
        let associate = Command::AssociateAddress { allocation, interface, private: None };
        self.time("public address, associated", &associate);
        let beyond = GatewayId::Internet(gateway);
        let nth = u32::try_from(nth).unwrap();
        let host = IpAddr::from(Ipv4Addr::from((203 << 24) + nth));
        let place = Command::PlaceOutsideHost { beyond, addresses: vec![host] };
        self.time("outside host, placed", &place);
    }
}

fn main() {
    let args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mut sizes: Vec<usize> = args.map(|arg| arg.parse().unwrap()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 10_000];
    }
    for vpcs in sizes {
        let mut world = World::build(vpcs);
        for round in 0..ROUNDS {
            world.change_all(round * (vpcs / ROUNDS).max(1) % vpcs);
        }
        for (kind, times) in &mut world.times {
            times.sort_unstable();
            let at = |part: usize| times[(times.len() - 1) * part / 100] as f64 / 1e3;
            println!("    {kind:<30} {:>8.2} us ({:.2}..{:.2})", at(50), at(5), at(95));
        }
    }
}
