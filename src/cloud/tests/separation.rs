//! S11: what an account is told depends only on what it may see.
//!
//! Two labs that differ in what account two has must answer every other account with the same bytes,
//! and an id that is somebody else's must answer like one that nothing ever had.

use super::super::dns::{Rcode, Reason, Switch, VpcAttribute};
use super::super::event::ResourceId;
use super::super::filter::{Direction, Traffic};
use super::super::flow_log::{Recording, Watched};
use super::super::network_acl::{AclAction, AclEntry, RuleNumber};
use super::super::security_group::GroupRule;
use super::*;

fn stranger() -> Caller {
    caller(999_999_999_999, "us-east-1")
}

/// Every command that names a resource, naming the ids that `of` hands out.
fn naming(lab: &Lab, unknown: bool) -> Vec<Command> {
    let digits = nothing();
    let vpc = |id| if unknown { VpcId::new(digits) } else { id };
    let subnet = |id| if unknown { SubnetId::new(digits) } else { id };
    let table = |id| if unknown { RouteTableId::new(digits) } else { id };
    let association = |id| if unknown { AssociationId::new(digits) } else { id };
    let instance = |id| if unknown { InstanceId::new(digits) } else { id };
    let interface = |id| if unknown { InterfaceId::new(digits) } else { id };
    let group = |id| if unknown { SecurityGroupId::new(digits) } else { id };
    let acl = |id| if unknown { NetworkAclId::new(digits) } else { id };
    let acl_association = |id| if unknown { AclAssociationId::new(digits) } else { id };
    let peering = if unknown { PeeringId::new(digits) } else { lab.ab };
    let (a, side, i) = (vpc(lab.a), table(lab.side), instance(lab.i.0));
    let (a1, eni) = (subnet(lab.a1), interface(lab.i.1));
    let (default_group, default_acl) = {
        let vpc = lab.cloud.vpc(lab.a).unwrap();
        (group(vpc.default_group()), acl(vpc.default_acl()))
    };
    let acl_of_a1 = acl_association(lab.cloud.subnet(lab.a1).unwrap().acl().0);
    let rules = || GroupRule::everybody().to_vec();
    let (direction, number) = (Direction::Ingress, RuleNumber::new(100).unwrap());
    let entry =
        AclEntry { traffic: Traffic::All, block: net("192.0.2.0/24"), action: AclAction::Allow };
    let destination = net("192.0.2.0/24");
    let target = RouteTarget::Peering(peering);
    let mut commands = vec![
        Command::DeleteVpc { vpc: a },
        grow(a, "10.99.0.0/16"),
        Command::DisassociateVpcCidrBlock { vpc: a, block: net("10.10.0.0/16") },
        Command::ModifyVpcAttribute { vpc: a, attribute: VpcAttribute::DnsHostnames(Switch::On) },
        Command::CreateSubnet { vpc: a, cidr: net("10.10.9.0/24"), ipv6: None, zone: None },
        Command::DeleteSubnet { subnet: a1 },
        Command::CreateRouteTable { vpc: a },
        Command::DeleteRouteTable { table: side },
        Command::AssociateRouteTable { table: side, subnet: a1 },
        Command::CreateRoute { table: side, destination, target },
        Command::ReplaceRoute { table: side, destination, target },
        Command::DeleteRoute { table: side, destination },
        ask(a, vpc(lab.b), &two()),
        Command::AcceptVpcPeeringConnection { peering },
        Command::RejectVpcPeeringConnection { peering },
        Command::DeleteVpcPeeringConnection { peering },
        Command::ModifyVpcPeeringConnectionOptions {
            peering,
            requester: Some(Switch::On),
            accepter: None,
        },
        run(a1, None),
        run(a1, Some("10.10.1.4")),
        Command::StopInstances { instance: i },
        Command::StartInstances { instance: i },
        Command::TerminateInstances { instance: i },
        Command::AssignPrivateIpAddresses {
            interface: eni,
            addresses: vec![net("10.10.1.5")].into(),
        },
        Command::ModifyNetworkInterfaceAttribute {
            interface: eni,
            source_dest_check: SourceDestCheck::Off,
        },
        Command::ModifyNetworkInterfaceGroups { interface: eni, groups: vec![default_group] },
        Command::CreateSecurityGroup { vpc: a, name: "web".into() },
        Command::DeleteSecurityGroup { group: default_group },
        Command::AuthorizeSecurityGroupIngress { group: default_group, rules: rules() },
        Command::AuthorizeSecurityGroupEgress { group: default_group, rules: rules() },
        Command::RevokeSecurityGroupIngress { group: default_group, rules: rules() },
        Command::RevokeSecurityGroupEgress { group: default_group, rules: rules() },
        Command::CreateFlowLogs { of: Watched::Vpc(a), recording: Recording::default() },
        Command::CreateFlowLogs { of: Watched::Subnet(a1), recording: Recording::default() },
        Command::CreateFlowLogs { of: Watched::Interface(eni), recording: Recording::default() },
        Command::CreateNetworkAcl { vpc: a },
        Command::DeleteNetworkAcl { acl: default_acl },
        Command::CreateNetworkAclEntry { acl: default_acl, direction, number, entry },
        Command::ReplaceNetworkAclEntry { acl: default_acl, direction, number, entry },
        Command::DeleteNetworkAclEntry { acl: default_acl, direction, number },
        Command::ReplaceNetworkAclAssociation { association: acl_of_a1, acl: default_acl },
    ];
    for id in [lab.side_association, lab.a_main_association] {
        commands.push(Command::DisassociateRouteTable { association: association(id) });
        commands.push(Command::ReplaceRouteTableAssociation {
            association: association(id),
            table: side,
        });
    }
    for resource in [
        ResourceId::Vpc(a),
        ResourceId::Subnet(a1),
        ResourceId::RouteTable(side),
        ResourceId::Peering(peering),
        ResourceId::Instance(i),
        ResourceId::Interface(eni),
        ResourceId::SecurityGroup(default_group),
        ResourceId::NetworkAcl(default_acl),
    ] {
        commands.push(Command::CreateTags { resource, tags: vec![("k".into(), "v".into())] });
        commands.push(Command::DeleteTags { resource, keys: vec!["k".into()] });
    }
    commands
}

#[test]
fn s11_not_yours_reads_like_does_not_exist() {
    let lab = Lab::new(Profile::Today);
    let theirs = [
        lab.a.to_string(),
        lab.b.to_string(),
        lab.side.to_string(),
        lab.a1.to_string(),
        lab.i.0.to_string(),
        lab.i.1.to_string(),
        lab.ab.to_string(),
        lab.side_association.to_string(),
        lab.a_main_association.to_string(),
        lab.cloud.vpc(lab.a).unwrap().default_group().to_string(),
        lab.cloud.vpc(lab.a).unwrap().default_acl().to_string(),
        lab.cloud.subnet(lab.a1).unwrap().acl().0.to_string(),
    ];
    let neutral = |text: String| {
        theirs.iter().fold(text, |text, id| {
            let (prefix, _) = id.rsplit_once('-').unwrap();
            text.replace(id.as_str(), &format!("{prefix}-{}", nothing().as_str()))
        })
    };
    for (real, unknown) in naming(&lab, false).into_iter().zip(naming(&lab, true)) {
        let answer = |command: &Command| {
            let refusal = lab.cloud.clone().apply(&stranger(), command, NOW).unwrap_err();
            (refusal.code(), neutral(refusal.to_string()))
        };
        assert_eq!(answer(&real), answer(&unknown), "{real:?}");
    }
    assert!(lab.cloud.describe_peerings(&stranger(), NOW).is_empty());
    assert!(lab.cloud.describe_peering(&stranger(), lab.ab, NOW).is_err());
}

/// What two does alone leaves every answer to one as it was. New ids differ, since all accounts draw
/// from one sequence; they tell nothing but that time has passed.
#[test]
fn s11_what_others_do_alone_changes_no_answer() {
    let lab = Lab::new(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    let (extra, ..) = build.vpc(&two(), "10.50.0.0/16");
    let (other, ..) = build.vpc(&two(), "10.51.0.0/16");
    let pcx = build.request(&two(), extra, other, &two());
    build.act(&two(), Command::AcceptVpcPeeringConnection { peering: pcx });
    build.act(&two(), run(lab.b1, None));
    let busy = build.cloud;
    for who in [one(), stranger()] {
        for command in naming(&lab, false) {
            let before = lab.cloud.clone().apply(&who, &command, NOW).map(|events| events.len());
            let after = busy.clone().apply(&who, &command, NOW).map(|events| events.len());
            assert_eq!(before, after, "{who:?} {command:?}");
        }
        let shown = |cloud: &Cloud| format!("{:?}", cloud.describe_peerings(&who, NOW));
        assert_eq!(shown(&lab.cloud), shown(&busy), "{who:?}");
    }
}

/// A host that asks for a name hears the same whether the name is a stranger's, a peer's that does
/// not allow it, or nobody's: the reason is for the lab's own explanations.
#[test]
fn s11_names_of_others_read_like_nobodys() {
    let lab = Lab::new(Profile::Today);
    let hostnames = VpcAttribute::DnsHostnames(Switch::On);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    build.act(&one(), Command::ModifyVpcAttribute { vpc: lab.a, attribute: hostnames });
    for cidr in ["10.50.0.0/24", "100.64.0.0/24"] {
        let (vpc, ..) = build.vpc(&two(), cidr);
        let subnet = build.subnet(&two(), vpc, cidr);
        build.act(&two(), run(subnet, None));
        if cidr.starts_with("100") {
            let peering = build.request(&one(), lab.a, vpc, &two());
            build.act(&two(), Command::AcceptVpcPeeringConnection { peering });
        }
    }
    let heard = ["ip-10-50-0-4", "ip-100-64-0-4", "ip-10-60-0-4"].map(|host| {
        let name = format!("{host}.ec2.internal").parse().unwrap();
        build.cloud.resolve(lab.a, &name, NOW).unwrap_err()
    });
    let reasons = heard.map(|denial| denial.reason);
    assert_eq!(reasons, [Reason::NotPeered, Reason::HostnamesOff, Reason::NoSuchName]);
    assert_eq!(heard.map(|denial| denial.reason.rcode()), [Rcode::NxDomain; 3]);
}

/// A rejected or failed request looks the same to the requester whatever the other side has.
#[test]
fn s11_failed_requests_do_not_tell_why() {
    let mut build = Build { cloud: Cloud::new(Profile::Seed, Span::ZERO), events: Vec::new() };
    let (a, ..) = build.vpc(&one(), "10.10.0.0/16");
    let (overlapping, ..) = build.vpc(&two(), "10.10.0.0/16");
    let unknown = VpcId::new(nothing());
    let told = [overlapping, unknown].map(|accepter| {
        let pcx = build.request(&one(), a, accepter, &two());
        let view = build.cloud.describe_peering(&one(), pcx, NOW).unwrap();
        let blocks = End::ALL.map(|end| view.blocks(end).to_vec());
        let fades = NOW + Span::from_hours(2);
        let gone = build.cloud.describe_peering(&one(), pcx, fades).is_err();
        (view.status(), view.message(), blocks, view.expires_at(), gone)
    });
    assert_eq!(told[0], told[1]);
}
