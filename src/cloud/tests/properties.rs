//! Random histories: a refusal changes nothing, the events rebuild the cloud, no id is used twice,
//! and what is written down is what is read back.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::dns::{Switch, VpcAttribute};
use super::super::event::ResourceId;
use super::super::filter::{Direction, Traffic};
use super::super::flow_log::{Recording, TrafficType, Watched};
use super::super::network_acl::{AclAction, AclEntry, RuleNumber};
use super::super::security_group::{GroupRule, RulePeer};
use super::*;

/// A command without ids: numbers that pick among what exists when its turn comes.
#[derive(Clone, Copy, Debug)]
struct Draw {
    kind: u8,
    who: bool,
    pick: [usize; 3],
    wait: u8,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = (0..43_u8, any::<bool>(), [0..64_usize, 0..64, 0..64], 0..16_u8)
        .prop_map(|(kind, who, pick, wait)| Draw { kind, who, pick, wait });
    prop::collection::vec(draw, 1..60)
}

/// Addresses close enough together for blocks to collide now and then.
fn block(n: usize) -> IpNet {
    let texts = ["10.10.0.0/16", "10.10.128.0/17", "10.20.0.0/16", "10.30.0.0/24", "2001:db8::/56"];
    net(texts[n % texts.len()])
}

fn pick<T: Copy>(all: impl Iterator<Item = T>, n: usize) -> Option<T> {
    let all: Vec<T> = all.collect();
    (!all.is_empty()).then(|| all[n % all.len()])
}

fn command(cloud: &Cloud, draw: Draw) -> Option<Command> {
    let [x, y, z] = draw.pick;
    let vpc = |n| pick(cloud.vpcs().map(|(id, _)| id), n);
    let subnet = |n| pick(cloud.subnets().map(|(id, _)| id), n);
    let table = |n| pick(cloud.tables().map(|(id, _)| id), n);
    let instance = |n| pick(cloud.instances().map(|(id, _)| id), n);
    let interface = |n| pick(cloud.interfaces().map(|(id, _)| id), n);
    let group = |n| pick(cloud.groups().map(|(id, _)| id), n);
    let acl = |n| pick(cloud.acls().map(|(id, _)| id), n);
    let rule = |n: usize| {
        let peer = match n % 2 {
            0 => RulePeer::Block(block(n)),
            _ => RulePeer::Group(group(n)?),
        };
        Some(GroupRule { traffic: Traffic::All, peer })
    };
    let peering = |n| pick(cloud.peerings().map(|p| p.id()), n);
    let association = |n| {
        let main = cloud.vpcs().map(|(_, vpc)| vpc.main_association());
        pick(main.chain(cloud.associations.keys().copied()), n)
    };
    let v4 = |n| if let IpNet::V4(b) = block(n) { b } else { net("10.40.0.0/16") };
    let switch = |n: usize| if n.is_multiple_of(2) { Switch::Off } else { Switch::On };
    let target = |n: usize| match n % 3 {
        0 => interface(n).map(RouteTarget::Interface),
        _ => peering(n).map(RouteTarget::Peering),
    };
    let resource = |n| match n % 3 {
        0 => vpc(n).map(ResourceId::Vpc),
        1 => peering(n).map(ResourceId::Peering),
        _ => instance(n).map(ResourceId::Instance),
    };
    let wish = |n: usize| {
        Some(match n % 3 {
            0 => InterfaceWish::Existing(interface(n)?),
            _ => InterfaceWish::New {
                wanted: NewInterface::in_subnet(subnet(n)?),
                on_termination: OnTermination::Delete,
            },
        })
    };
    Some(match draw.kind {
        0 | 1 => Command::CreateVpc { cidr: v4(x) },
        2 => Command::DeleteVpc { vpc: vpc(x)? },
        3 => Command::AssociateVpcCidrBlock { vpc: vpc(x)?, block: block(y) },
        4 => Command::DisassociateVpcCidrBlock { vpc: vpc(x)?, block: block(y) },
        5 | 6 => Command::CreateSubnet { vpc: vpc(x)?, cidr: v4(y), ipv6: None, zone: None },
        7 => Command::DeleteSubnet { subnet: subnet(x)? },
        8 => Command::CreateRouteTable { vpc: vpc(x)? },
        9 => Command::DeleteRouteTable { table: table(x)? },
        10 => Command::AssociateRouteTable { table: table(x)?, subnet: subnet(y)? },
        11 => Command::DisassociateRouteTable { association: association(x)? },
        12 => {
            Command::ReplaceRouteTableAssociation { association: association(x)?, table: table(y)? }
        }
        13 => Command::CreateRoute { table: table(x)?, destination: block(y), target: target(z)? },
        14 => Command::DeleteRoute { table: table(x)?, destination: block(y) },
        15 | 16 => {
            let accepter = vpc(y)?;
            let peer_owner = Some(cloud.vpc(accepter)?.owner);
            Command::CreateVpcPeeringConnection {
                requester: vpc(x)?,
                accepter,
                peer_owner,
                peer_region: None,
            }
        }
        17 | 18 => Command::AcceptVpcPeeringConnection { peering: peering(x)? },
        19 => match y % 2 {
            0 => Command::RejectVpcPeeringConnection { peering: peering(x)? },
            _ => Command::DeleteVpcPeeringConnection { peering: peering(x)? },
        },
        20 | 21 => run(subnet(x)?, None),
        22 => Command::TerminateInstances { instance: instance(x)? },
        23 => Command::ModifyVpcAttribute {
            vpc: vpc(x)?,
            attribute: match y % 4 {
                0 => VpcAttribute::DnsSupport(switch(z)),
                // Mostly on, or no option of a peering would ever be taken.
                1 => VpcAttribute::DnsHostnames(switch(z)),
                _ => VpcAttribute::DnsHostnames(Switch::On),
            },
        },
        24 => Command::ModifyVpcPeeringConnectionOptions {
            peering: peering(x)?,
            requester: (y % 3 > 0).then(|| switch(z)),
            accepter: (y % 2 > 0).then(|| switch(z)),
        },
        25 => Command::CreateSecurityGroup { vpc: vpc(x)?, name: format!("g{}", y % 3) },
        26 => Command::DeleteSecurityGroup { group: group(x)? },
        27 => match z % 2 {
            0 => Command::AuthorizeSecurityGroupIngress { group: group(x)?, rules: vec![rule(y)?] },
            _ => Command::AuthorizeSecurityGroupEgress { group: group(x)?, rules: vec![rule(y)?] },
        },
        28 => match z % 2 {
            0 => Command::RevokeSecurityGroupIngress { group: group(x)?, rules: vec![rule(y)?] },
            _ => Command::RevokeSecurityGroupEgress { group: group(x)?, rules: vec![rule(y)?] },
        },
        29 => match z % 3 {
            0 => Command::ModifyNetworkInterfaceGroups {
                interface: interface(x)?,
                groups: vec![group(y)?],
            },
            1 => Command::CreateNetworkAcl { vpc: vpc(x)? },
            _ => Command::DeleteNetworkAcl { acl: acl(x)? },
        },
        30 => {
            let associations = cloud.acl_associations.keys().copied();
            let association = pick(associations, x)?;
            Command::ReplaceNetworkAclAssociation { association, acl: acl(y)? }
        }
        31 => {
            let number = RuleNumber::new(u16::try_from(y % 4).unwrap() + 1).unwrap();
            let (acl, direction) = (acl(x)?, Direction::ALL[z % 2]);
            let (traffic, block) = (Traffic::All, block(z));
            let entry = AclEntry { traffic, block, action: AclAction::Deny };
            match z % 3 {
                0 => Command::CreateNetworkAclEntry { acl, direction, number, entry },
                1 => Command::ReplaceNetworkAclEntry { acl, direction, number, entry },
                _ => Command::DeleteNetworkAclEntry { acl, direction, number },
            }
        }
        32 => Command::CreateFlowLogs {
            of: match y % 3 {
                0 => Watched::Vpc(vpc(x)?),
                1 => Watched::Subnet(subnet(x)?),
                _ => Watched::Interface(interface(x)?),
            },
            recording: Recording { traffic: TrafficType::ALL[z % 3], ..Recording::default() },
        },
        33 => Command::DeleteFlowLogs { log: pick(cloud.flow_logs().map(|(id, _)| id), x)? },
        34 => Command::CreateNetworkInterface { wanted: NewInterface::in_subnet(subnet(x)?) },
        35 => Command::AttachNetworkInterface {
            interface: interface(x)?,
            instance: instance(y)?,
            device: DeviceIndex::new(u8::try_from(z % 4).unwrap()),
        },
        36 => match z % 4 {
            0 => Command::DeleteNetworkInterface { interface: interface(x)? },
            1 => Command::ModifyNetworkInterfaceAttachment {
                interface: interface(x)?,
                on_termination: OnTermination::Keep,
            },
            _ => {
                let attached = cloud.interfaces().filter_map(|(_, i)| Some(i.attachment?.id));
                Command::DetachNetworkInterface { attachment: pick(attached, x)? }
            }
        },
        37 => Command::RunInstances {
            count: std::num::NonZeroU16::new(1 + u16::try_from(y % 3).unwrap())?,
            primary: wish(x)?,
            further: (1..u8::try_from(z % 4).unwrap())
                .map(|device| Some((DeviceIndex::new(device), wish(x + usize::from(device))?)))
                .collect::<Option<_>>()?,
        },
        38 => Command::AssignPrivateIpAddresses {
            interface: interface(x)?,
            addresses: Wanted::Free(u16::try_from(y % 3).unwrap()),
        },
        39 => {
            let of = interface(x)?;
            let v4 = cloud.interface(of)?.addresses.iter().filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            let addresses = v4.skip(y % 3).collect();
            Command::UnassignPrivateIpAddresses { interface: of, addresses }
        }
        40 => match y % 3 {
            0 => Command::CreateDefaultVpc,
            1 => Command::AllocateAddress { address: None },
            _ => {
                let allocation = pick(cloud.public_addresses().map(|(id, _)| id), x)?;
                let interface = interface(z)?;
                Command::AssociateAddress { allocation, interface, private: None }
            }
        },
        41 => match y % 3 {
            0 => {
                let subnet = subnet(x)?;
                Command::AssociateSubnetCidrBlock { subnet, block: net("2001:db8::/64") }
            }
            1 => {
                let six = cloud.subnets().filter_map(|(_, subnet)| subnet.ipv6_association());
                Command::DisassociateSubnetCidrBlock { association: pick(six, x)? }
            }
            _ => Command::AssignIpv6Addresses {
                interface: interface(x)?,
                addresses: Wanted::Free(1),
            },
        },
        _ => {
            let (resource, key) = (resource(x)?, format!("k{}", y % 3));
            match z % 3 {
                0 => Command::DeleteTags { resource, keys: vec![key] },
                _ => Command::CreateTags { resource, tags: vec![(key, (z % 4).to_string())] },
            }
        }
    })
}

/// The ids that a change brings into the world.
fn born(change: &Change) -> Vec<String> {
    match change {
        Change::VpcCreated { vpc, main_table, main_association, .. } => {
            vec![vpc.to_string(), main_table.to_string(), main_association.to_string()]
        }
        Change::SubnetCreated { subnet, .. } => vec![subnet.to_string()],
        Change::RouteTableCreated { table, .. } => vec![table.to_string()],
        Change::RouteTableAssociated { association, .. }
        | Change::MainRouteTableReplaced { association, .. } => vec![association.to_string()],
        Change::PeeringRequested { peering, .. } => vec![peering.to_string()],
        Change::InstanceRun { instance, interface, attachment, .. } => {
            let new = attachment.digits() == interface.digits();
            let second = if new { interface.to_string() } else { attachment.to_string() };
            vec![instance.to_string(), second]
        }
        Change::InterfaceCreated { interface, .. } => vec![interface.to_string()],
        Change::InterfaceAttached { interface, attachment, .. } => {
            let of_its_own = attachment.digits() != interface.digits();
            of_its_own.then(|| attachment.to_string()).into_iter().collect()
        }
        Change::VpcBlockAssociated { association, .. } => vec![association.to_string()],
        Change::SubnetBlockAssociated { association, .. } => vec![association.to_string()],
        Change::GatewayCreated { id, .. } => vec![id.to_string()],
        Change::AddressAllocated { allocation, .. } => vec![allocation.to_string()],
        Change::AddressAssociated { association, .. } => vec![association.to_string()],
        Change::SecurityGroupCreated { group, .. } => vec![group.to_string()],
        Change::NetworkAclCreated { acl, .. } => vec![acl.to_string()],
        Change::AclAssociationReplaced { association, .. } => vec![association.to_string()],
        Change::FlowLogCreated { log, .. } => vec![log.to_string()],
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn random_histories_keep_the_promises(
        draws in draws(),
        today in any::<bool>(),
        settle in 0..3_u64,
    ) {
        let profile = if today { Profile::Today } else { Profile::Seed };
        let settle = Span::from_secs(settle);
        let mut cloud = Cloud::new(profile, settle);
        let (mut now, mut events, mut ids) = (Instant::START, Vec::new(), BTreeSet::new());
        for draw in draws {
            now = now + match draw.wait {
                0 => Span::from_days(7),
                1..=4 => Span::from_secs(1),
                _ => Span::ZERO,
            };
            let Some(command) = command(&cloud, draw) else { continue };
            let who = if draw.who { one() } else { two() };
            let before = cloud.clone();
            match cloud.apply(&who, &command, now) {
                Err(refusal) => prop_assert_eq!(&cloud, &before, "{}", refusal),
                Ok(new) => {
                    for id in new.iter().flat_map(|event| born(&event.change)) {
                        // The digits alone are new: no two kinds of resource share them either.
                        let digits = id.rsplit('-').next().unwrap_or_default().to_owned();
                        prop_assert!(ids.insert(digits), "{} used again", id);
                    }
                    events.extend(new);
                }
            }
            for (id, interface) in cloud.interfaces() {
                let of_vpc = |group| cloud.group(group).map(|group| group.vpc) == Some(interface.vpc);
                prop_assert!(interface.groups.iter().all(|group| of_vpc(*group)), "{}", id);
            }
            super::forgetting::holdings_are_right(&cloud);
            prop_assert!(cloud.tags.are_indexed());
            for (id, instance) in cloud.instances() {
                for (device, interface) in instance.interfaces() {
                    let interface = cloud.interface(interface).unwrap();
                    prop_assert_eq!(interface.instance(), Some(id));
                    let attachment = interface.attachment.unwrap();
                    prop_assert_eq!(attachment.device, device);
                    prop_assert!(cloud.interface_by_attachment(attachment.id).is_some());
                }
            }
            let attached = cloud.interfaces().filter(|(_, i)| i.attachment.is_some()).count();
            prop_assert_eq!(cloud.attachments.len(), attached);
            prop_assert_eq!(cloud.main_associations.len(), cloud.vpcs.len());
            for (id, vpc) in cloud.vpcs() {
                prop_assert_eq!(cloud.main_associations.get(&vpc.main.0), Some(&id));
            }
            prop_assert!(cloud.deadlines.values().all(|then| !then.is_empty()));
            for (id, subnet) in cloud.subnets() {
                let acl = cloud.acl(subnet.acl().1);
                prop_assert_eq!(acl.map(|acl| acl.vpc), Some(subnet.vpc), "{}", id);
                prop_assert_eq!(cloud.acl_associations.get(&subnet.acl().0), Some(&id));
            }
            for (id, log) in cloud.flow_logs() {
                let stands = match log.of {
                    Watched::Vpc(vpc) => cloud.vpc(vpc).is_some(),
                    Watched::Subnet(subnet) => cloud.subnet(subnet).is_some(),
                    Watched::Interface(interface) => cloud.interface(interface).is_some(),
                };
                prop_assert!(stands, "{} watches nothing", id);
            }
            for (id, vpc) in cloud.vpcs() {
                for (n, a) in vpc.blocks().iter().enumerate() {
                    let rest = &vpc.blocks()[n + 1..];
                    prop_assert!(!super::super::cidr::any_overlap(&[*a], rest), "{} overlaps", id);
                }
            }
        }
        #[cfg(feature = "serve")]
        {
            let kept = postcard::to_stdvec(&(&cloud, &events)).unwrap();
            let read: (Cloud, Vec<Event>) = postcard::from_bytes(&kept).unwrap();
            prop_assert_eq!(&read.0, &cloud);
            prop_assert_eq!(&read.1, &events);
        }
        prop_assert_eq!(Cloud::replay(profile, settle, &events), cloud);
    }
}
