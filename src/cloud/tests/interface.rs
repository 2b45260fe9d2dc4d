//! Rows: instances with several interfaces, interfaces of nobody, lent public addresses, default VPCs,
//! blocks of subnets.

use std::num::NonZeroU16;

use super::super::dns::Switch;
use super::super::event::ResourceId;
use super::super::gateway::AddressKind;
use super::super::instance::{Host, InstanceState};
use super::super::refusal::Refusal;
use super::super::route_table::Hop;
use super::super::subnet::{SubnetAttribute, SubnetKind};
use super::*;

fn new(subnet: SubnetId) -> InterfaceWish {
    let on_termination = OnTermination::Delete;
    InterfaceWish::New { wanted: NewInterface::in_subnet(subnet), on_termination }
}

fn several(count: u16, primary: InterfaceWish, further: &[(u8, InterfaceWish)]) -> Command {
    let place = |(n, wish): &(u8, InterfaceWish)| (DeviceIndex::new(*n), wish.clone());
    let further = further.iter().map(place).collect();
    Command::RunInstances { count: NonZeroU16::new(count).unwrap(), primary, further }
}

fn create(subnet: SubnetId) -> Command {
    Command::CreateNetworkInterface { wanted: NewInterface::in_subnet(subnet) }
}

/// The lab with an interface `e` of nobody in a1 (10.10.1.6).
fn with_free(profile: Profile) -> (Build, Lab, InterfaceId) {
    let lab = Lab::new(profile);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let [Change::InterfaceCreated { interface, .. }] = build.act(&one(), create(lab.a1))[..] else {
        panic!("an interface was asked for")
    };
    let lab = Lab { cloud: build.cloud.clone(), events: build.events.clone(), ..lab };
    (build, lab, interface)
}

fn attach(interface: InterfaceId, instance: InstanceId, device: u8) -> Command {
    Command::AttachNetworkInterface { interface, instance, device: DeviceIndex::new(device) }
}

#[test]
fn instances_start_all_or_none() {
    let (_, lab, free) = with_free(Profile::Seed);
    let existing = || InterfaceWish::Existing(free);
    let chosen = InterfaceWish::New {
        wanted: NewInterface { ipv4: vec![net("10.10.1.9")], ..NewInterface::in_subnet(lab.a1) },
        on_termination: OnTermination::Keep,
    };
    check(
        &lab,
        [
            (one(), several(1, new(lab.a1), &[]), OK),
            (one(), several(3, new(lab.a1), &[(1, new(lab.a1)), (7, new(lab.a2))]), OK),
            (one(), several(11, new(lab.a2), &[]), OK),
            (one(), several(12, new(lab.a2), &[]), "InsufficientFreeAddressesInSubnet"),
            (one(), several(1_001, new(lab.a1), &[]), "InstanceLimitExceeded"),
            (one(), several(1, existing(), &[]), OK),
            (one(), several(1, new(lab.a1), &[(1, existing())]), OK),
            (one(), several(2, existing(), &[]), "InvalidParameterCombination"),
            (one(), several(2, chosen.clone(), &[]), "InvalidParameterCombination"),
            (one(), several(1, chosen.clone(), &[(1, chosen)]), "InvalidIPAddress.InUse"),
            (one(), several(1, existing(), &[(1, existing())]), "InvalidNetworkInterface.InUse"),
            (
                one(),
                several(1, InterfaceWish::Existing(lab.i.1), &[]),
                "InvalidNetworkInterface.InUse",
            ),
            (one(), several(1, new(lab.a1), &[(0, new(lab.a1))]), "InvalidParameterValue"),
            (
                one(),
                several(1, new(lab.a1), &[(1, new(lab.a1)), (1, new(lab.a1))]),
                "InvalidParameterValue",
            ),
            (two(), several(1, existing(), &[]), "InvalidNetworkInterfaceID.NotFound"),
            (one(), several(1, new(lab.a1), &[(1, new(lab.b1))]), "InvalidSubnetID.NotFound"),
        ],
    );
    let many: Vec<(u8, InterfaceWish)> = (1..15).map(|n| (n, new(lab.a1))).collect();
    let too_many: Vec<(u8, InterfaceWish)> = (1..16).map(|n| (n, new(lab.a1))).collect();
    check(
        &lab,
        [
            (one(), several(1, new(lab.a1), &many), OK),
            (one(), several(1, new(lab.a1), &too_many), "AttachmentLimitExceeded"),
        ],
    );
    let quota = lab.clone().quota(&one(), Quota::InterfacesPerRegion, 6);
    check(
        &quota,
        [
            (one(), several(3, new(lab.a1), &[]), OK),
            (one(), several(2, new(lab.a1), &[(1, new(lab.a1))]), "NetworkInterfaceLimitExceeded"),
        ],
    );
}

#[test]
fn instances_of_one_request_have_addresses_of_their_own() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    build.act(&one(), several(2, new(lab.a1), &[(1, new(lab.a2))]));
    let found: Vec<Vec<String>> = build
        .cloud
        .instances_of(&one(), NOW)
        .map(|(_, instance)| {
            let ids = instance.interfaces().map(|(_, id)| id);
            ids.map(|id| build.cloud.interface(id).unwrap().addresses[0].to_string()).collect()
        })
        .filter(|addresses: &Vec<String>| addresses.len() == 2)
        .collect();
    let mut found = found;
    found.sort();
    assert_eq!(found, [["10.10.1.6", "10.10.2.4"], ["10.10.1.7", "10.10.2.5"]]);
}

#[test]
fn an_interface_and_its_instance_are_in_one_zone_of_one_vpc() {
    let (mut build, lab, free) = with_free(Profile::Seed);
    let zone = Some("us-east-1b".parse().unwrap());
    let elsewhere =
        Command::CreateSubnet { vpc: lab.a, cidr: net("10.10.3.0/24"), ipv6: None, zone };
    let [Change::SubnetCreated { subnet, .. }] = build.act(&one(), elsewhere)[..] else {
        panic!("a subnet was asked for")
    };
    let (there, _) = build.instance(&one(), subnet);
    let lab = Lab { cloud: build.cloud, events: build.events, ..lab };
    check(
        &lab,
        [
            (one(), attach(free, lab.i.0, 1), OK),
            (one(), attach(free, lab.j.0, 200), OK), // stopped
            (one(), attach(free, there, 1), "InvalidParameterCombination"),
            (one(), attach(free, lab.i.0, 0), "InvalidParameterValue"),
            (one(), attach(lab.j.1, lab.i.0, 1), "InvalidNetworkInterface.InUse"),
            (one(), attach(free, lab.k.0, 1), "InvalidInstanceID.NotFound"),
            (two(), attach(free, lab.k.0, 1), "InvalidNetworkInterfaceID.NotFound"),
            (one(), several(1, new(lab.a1), &[(1, new(subnet))]), "InvalidParameterCombination"),
        ],
    );
}

#[test]
fn interfaces_come_and_go_on_their_own() {
    let (build, lab, free) = with_free(Profile::Seed);
    let delete = |interface| Command::DeleteNetworkInterface { interface };
    let detach = |attachment| Command::DetachNetworkInterface { attachment };
    let of = |cloud: &Cloud, id| cloud.interface(id).unwrap().attachment.unwrap().id;
    let keep = |interface| Command::ModifyNetworkInterfaceAttachment {
        interface,
        on_termination: OnTermination::Keep,
    };
    let primary = of(&build.cloud, lab.i.1);
    let unknown = AttachmentId::new(nothing());
    check(
        &lab,
        [
            (one(), create(lab.a1), OK),
            (two(), create(lab.a1), "InvalidSubnetID.NotFound"),
            (one(), delete(free), OK),
            (one(), delete(lab.i.1), "InvalidNetworkInterface.InUse"),
            (two(), delete(free), "InvalidNetworkInterfaceID.NotFound"),
            (one(), detach(primary), "OperationNotPermitted"),
            (one(), detach(unknown), "InvalidAttachmentID.NotFound"),
            (two(), detach(primary), "InvalidAttachmentID.NotFound"),
            (one(), keep(lab.i.1), OK),
            (one(), keep(free), "InvalidParameterValue"),
            (one(), Command::DeleteSubnet { subnet: lab.a1 }, "DependencyViolation"),
        ],
    );
    // Attached, it can be taken away again, and is another attachment the next time.
    let attached = lab.clone().with([(one(), attach(free, lab.i.0, 1))]);
    let first = of(&attached.cloud, free);
    assert_eq!(attached.cloud.interface_by_attachment(first), Some(free));
    assert!(attached.cloud.runs(free));
    check(
        &attached,
        [(one(), detach(first), OK), (one(), delete(free), "InvalidNetworkInterface.InUse")],
    );
    let again = attached.clone().with([(one(), detach(first)), (one(), attach(free, lab.j.0, 3))]);
    assert_ne!(of(&again.cloud, free), first);
    assert_eq!(again.cloud.interface_by_attachment(first), None);
    assert!(!again.cloud.runs(free), "j is stopped");
}

#[test]
fn what_becomes_of_interfaces_when_their_instance_ends() {
    let (mut build, lab, free) = with_free(Profile::Seed);
    build.act(&one(), attach(free, lab.i.0, 1));
    let run = several(1, new(lab.a1), &[(1, new(lab.a1))]);
    let changes = build.act(&one(), run);
    let Change::InstanceRun { instance, interface: primary, .. } = changes[0] else { panic!() };
    let Change::InterfaceCreated { interface: further, .. } = changes[1] else { panic!() };
    let keep = OnTermination::Keep;
    build.act(
        &one(),
        Command::ModifyNetworkInterfaceAttachment { interface: primary, on_termination: keep },
    );
    for instance in [instance, lab.i.0] {
        build.act(&one(), Command::TerminateInstances { instance });
    }
    for (id, left) in [(primary, true), (further, false), (lab.i.1, false), (free, true)] {
        let host = build.cloud.interface(id).map(|interface| interface.host);
        assert_eq!(host, left.then_some(Host::Nobody), "{id}");
        assert!(!build.cloud.runs(id));
    }
    assert_eq!(build.cloud.instance(instance).unwrap().interfaces().count(), 0);
    let lab = Lab { cloud: build.cloud, events: build.events, ..lab };
    check(
        &lab,
        [
            (one(), Command::StartInstances { instance }, "IncorrectInstanceState"),
            (one(), Command::StopInstances { instance }, "IncorrectInstanceState"),
            (one(), Command::TerminateInstances { instance }, OK),
            (one(), attach(free, instance, 1), "IncorrectInstanceState"),
            (one(), several(1, InterfaceWish::Existing(primary), &[]), OK),
        ],
    );
    let state = lab.cloud.describe_instance(&one(), instance, NOW).unwrap().state;
    assert_eq!(state, InstanceState::Terminated { at: NOW });
    let hour = NOW + Span::from_hours(1);
    let gone = lab.cloud.describe_instance(&one(), instance, hour).unwrap_err();
    assert_eq!(gone, Refusal::InstanceNotFound(instance));
}

#[test]
fn addresses_are_taken_away_but_for_the_primary_one() {
    let lab = Lab::new(Profile::Seed);
    let more =
        |n| Command::AssignPrivateIpAddresses { interface: lab.i.1, addresses: Wanted::Free(n) };
    let less = |addresses: &[&str]| Command::UnassignPrivateIpAddresses {
        interface: lab.i.1,
        addresses: addresses.iter().map(|a| net(a)).collect(),
    };
    let lab = lab.clone().with([(one(), more(2))]);
    let addresses = |lab: &Lab| lab.cloud.interface(lab.i.1).unwrap().addresses.clone();
    assert_eq!(addresses(&lab), ["10.10.1.4", "10.10.1.6", "10.10.1.7"].map(net::<IpAddr>));
    check(
        &lab,
        [
            (one(), more(247), OK),
            (one(), more(249), "InsufficientFreeAddressesInSubnet"),
            (one(), less(&["10.10.1.6", "10.10.1.7"]), OK),
            (one(), less(&["10.10.1.6", "10.10.1.8"]), "InvalidParameterValue"),
            (one(), less(&["10.10.1.4"]), "InvalidParameterValue"),
            (two(), less(&["10.10.1.6"]), "InvalidNetworkInterfaceID.NotFound"),
        ],
    );
    let fewer = lab.clone().with([(one(), less(&["10.10.1.6"]))]);
    assert_eq!(fewer.cloud.owner(lab.a, net("10.10.1.6")), None);
    assert_eq!(fewer.cloud.subnet(lab.a1).unwrap().next_ipv4(), Some(net("10.10.1.6")));
}

#[test]
fn subnets_gain_and_lose_an_ipv6_block() {
    let lab = Lab::new(Profile::Today);
    let lab = lab.clone().with([(one(), grow(lab.a, "2001:db8::/56"))]);
    let gain =
        |subnet, block: &str| Command::AssociateSubnetCidrBlock { subnet, block: net(block) };
    let lose = |association| Command::DisassociateSubnetCidrBlock { association };
    let assign =
        |n| Command::AssignIpv6Addresses { interface: lab.i.1, addresses: Wanted::Free(n) };
    let set = |on| {
        let attribute = SubnetAttribute::Ipv6OnCreation(on);
        Command::ModifySubnetAttribute { subnet: lab.a1, attribute }
    };
    check(
        &lab,
        [
            (one(), gain(lab.a1, "2001:db8::/64"), OK),
            (one(), gain(lab.a1, "2001:db8::/60"), "InvalidSubnet.Range"),
            (one(), gain(lab.a1, "2001:db9::/64"), "InvalidSubnet.Range"),
            (two(), gain(lab.a1, "2001:db8::/64"), "InvalidSubnetID.NotFound"),
            (one(), assign(1), "InvalidParameterValue"),
            (one(), set(Switch::On), "InvalidParameterValue"),
        ],
    );
    let six = lab.clone().with([(one(), gain(lab.a1, "2001:db8::/64")), (one(), set(Switch::On))]);
    let association = six.cloud.subnet(six.a1).unwrap().ipv6_association().unwrap();
    let unknown = SubnetCidrAssociationId::new(nothing());
    check(
        &six,
        [
            (one(), gain(six.a1, "2001:db8:0:1::/64"), "Resource.AlreadyAssociated"),
            (one(), gain(six.a2, "2001:db8::/64"), "InvalidSubnet.Conflict"),
            (one(), lose(association), OK),
            (two(), lose(association), "InvalidSubnetCidrBlockAssociationID.NotFound"),
            (one(), lose(unknown), "InvalidSubnetCidrBlockAssociationID.NotFound"),
            (one(), assign(2), OK),
        ],
    );
    let used = six.clone().with([(one(), assign(1))]);
    check(&used, [(one(), lose(association), "DependencyViolation")]);
    let six_of = |used: &Lab| used.cloud.interface(used.i.1).unwrap().addresses[1];
    assert_eq!(six_of(&used), net::<IpAddr>("2001:db8::4"));
    let less =
        Command::UnassignIpv6Addresses { interface: used.i.1, addresses: vec![net("2001:db8::4")] };
    check(&used.clone().with([(one(), less)]), [(one(), lose(association), OK)]);
    // A new interface follows the subnet unless told otherwise.
    for (wish, many) in [
        (Ipv6Wish::AsSubnet, 1),
        (Ipv6Wish::IfAny, 1),
        (Ipv6Wish::Wanted(Wanted::Free(0)), 0),
        (Ipv6Wish::Wanted(Wanted::Free(3)), 3),
    ] {
        let wanted = NewInterface { ipv6: wish, ..NewInterface::in_subnet(six.a1) };
        let mut build = Build { cloud: six.cloud.clone(), events: Vec::new() };
        let made = build.act(&one(), Command::CreateNetworkInterface { wanted });
        let [Change::InterfaceCreated { addresses, .. }] = &made[..] else { panic!("{made:?}") };
        assert_eq!(addresses.len(), 1 + many);
    }
}

#[test]
fn a_default_vpc_is_ready_for_use() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    assert_eq!(build.cloud.default_vpc(&one()), None);
    build.act(&one(), Command::CreateDefaultVpc);
    let vpc_id = build.cloud.default_vpc(&one()).unwrap();
    let vpc = build.cloud.vpc(vpc_id).unwrap();
    assert!(vpc.is_default() && vpc.dns().hostnames.is_on());
    assert_eq!(vpc.blocks(), [net("172.31.0.0/16")]);
    let gateway = build.cloud.internet_gateway_of(vpc_id).unwrap();
    let to_internet = build.cloud.route_to(vpc.main_table(), net("0.0.0.0/0")).unwrap();
    assert_eq!(to_internet.hop, Hop::To(RouteTarget::Gateway(gateway)));
    let subnets = vpc.subnets().iter().map(|id| {
        let subnet = build.cloud.subnet(*id).unwrap();
        assert_eq!(subnet.kind, SubnetKind::DefaultForZone);
        assert!(subnet.public_on_launch().is_on());
        (subnet.zone.as_str().to_owned(), subnet.cidr.to_string())
    });
    let want = [
        ("us-east-1a", "172.31.0.0/20"),
        ("us-east-1b", "172.31.16.0/20"),
        ("us-east-1c", "172.31.32.0/20"),
    ];
    assert_eq!(subnets.collect::<Vec<_>>(), want.map(|(z, c)| (z.to_owned(), c.to_owned())));
    let lab = Lab { cloud: build.cloud.clone(), events: build.events.clone(), ..lab };
    check(
        &lab,
        [
            (one(), Command::CreateDefaultVpc, "DefaultVpcAlreadyExists"),
            (one_abroad(), Command::CreateDefaultVpc, OK),
            (two(), Command::CreateDefaultVpc, OK),
        ],
    );

    // Its instances are lent a public address, which goes as it came.
    let first = vpc.subnets()[0];
    let (instance, interface) = build.instance_with_more(&one(), first);
    let private = net("172.31.0.4");
    let lent = build.cloud.public_address(interface, private).unwrap();
    let (allocation, held) = build.cloud.public_addresses_of(&one()).next().unwrap();
    assert_eq!((held.kind, held.address), (AddressKind::Lent, lent));
    let release = Command::ReleaseAddress { allocation };
    let tag = Command::CreateTags { resource: ResourceId::Allocation(allocation), tags: vec![] };
    let lab = Lab { cloud: build.cloud.clone(), events: build.events.clone(), ..lab };
    check(&lab, [(one(), release, "InvalidAllocationID.NotFound"), (one(), tag, "InvalidID")]);
    build.act(&one(), Command::TerminateInstances { instance });
    assert_eq!(build.cloud.public_addresses_of(&one()).count(), 0);
    let no = NewInterface { public: Some(Switch::Off), ..NewInterface::in_subnet(first) };
    build.act(&one(), Command::run_instance(no));
    assert_eq!(build.cloud.public_addresses_of(&one()).count(), 0);
}

#[test]
fn an_address_of_ones_own_takes_the_place_of_one_that_was_lent() {
    let lab = Lab::new(Profile::Seed);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    build.act(&one(), Command::CreateDefaultVpc);
    let vpc = build.cloud.default_vpc(&one()).unwrap();
    let subnet = build.cloud.vpc(vpc).unwrap().subnets()[1];
    let (_, interface) = build.instance_with_more(&one(), subnet);
    let made = build.act(&one(), Command::AllocateAddress { address: None });
    let [Change::AddressAllocated { allocation, address, .. }] = made[..] else { panic!() };
    let associate = Command::AssociateAddress { allocation, interface, private: None };
    build.act(&one(), associate);
    assert_eq!(build.cloud.public_address(interface, net("172.31.16.4")), Some(address));
    assert_eq!(build.cloud.public_addresses_of(&one()).count(), 1);
    let tags = vec![("Name".to_owned(), "mine".to_owned())];
    let resource = ResourceId::Allocation(allocation);
    build.act(&one(), Command::CreateTags { resource, tags });
    assert_eq!(build.cloud.name(resource), Some("mine"));
    let lab = Lab { cloud: build.cloud, events: build.events, ..lab };
    check(
        &lab,
        [(two(), Command::DeleteTags { resource, keys: vec!["Name".to_owned()] }, "InvalidID")],
    );
}

#[test]
fn blocks_are_found_by_their_associations() {
    let lab = Lab::new(Profile::Today);
    let lab = lab.clone().with([(one(), grow(lab.bare, "10.31.0.0/16"))]);
    let of_bare: Vec<_> = lab.cloud.vpc(lab.bare).unwrap().block_associations().collect();
    assert_eq!(of_bare.len(), 2);
    for (id, block) in &of_bare {
        assert_eq!(lab.cloud.block_by_association(*id), Some((lab.bare, *block)));
    }
    let (second, block) = of_bare[1];
    let vpc = lab.bare;
    let gone = lab.clone().with([(one(), Command::DisassociateVpcCidrBlock { vpc, block })]);
    assert!(gone.cloud.block_by_association(second).is_none());
    assert!(gone.cloud.block_by_association(of_bare[0].0).is_some());
}
