//! Rows: instances, interfaces, and who has which address.

use super::*;

#[test]
fn instances_get_free_addresses_of_their_subnet() {
    let lab = Lab::new(Profile::Seed);
    let six = Command::run_instance(NewInterface {
        ipv6: Some(net("2001:db8::4")).into(),
        ..NewInterface::in_subnet(lab.a1)
    });
    check(
        &lab,
        [
            (one(), run(lab.a1, None), OK),
            (one(), run(lab.a1, Some("10.10.1.254")), OK),
            (one(), run(lab.a1, Some("10.10.1.4")), "InvalidIPAddress.InUse"),
            (one(), run(lab.a1, Some("10.10.1.3")), "InvalidParameterValue"),
            (one(), run(lab.a1, Some("10.10.1.255")), "InvalidParameterValue"),
            (one(), run(lab.a1, Some("10.10.2.4")), "InvalidParameterValue"),
            (one(), six, "InvalidParameterValue"), // the subnet has no IPv6 block
            (two(), run(lab.a1, None), "InvalidSubnetID.NotFound"),
            (one(), run(SubnetId::new(nothing()), None), "InvalidSubnetID.NotFound"),
        ],
    );
    let full = lab.clone().with((4..=14).map(|_| (one(), run(lab.a2, None))));
    check(&full, [(one(), run(lab.a2, None), "InsufficientFreeAddressesInSubnet")]);
    check(
        &lab.clone().quota(&one(), Quota::InterfacesPerRegion, 2),
        [
            (one(), run(lab.a1, None), "NetworkInterfaceLimitExceeded"),
            (two(), run(lab.b1, None), OK),
        ],
    );
}

#[test]
fn instances_start_stop_and_end() {
    let lab = Lab::new(Profile::Seed);
    let (stop, start, end) = (
        |instance| Command::StopInstances { instance },
        |instance| Command::StartInstances { instance },
        |instance| Command::TerminateInstances { instance },
    );
    let unknown = InstanceId::new(nothing());
    check(
        &lab,
        [
            (one(), stop(lab.i.0), OK),
            (one(), stop(lab.j.0), OK),
            (one(), start(lab.j.0), OK),
            (one(), start(lab.i.0), OK),
            (one(), end(lab.i.0), OK),
            (one(), end(lab.j.0), OK),
            (two(), stop(lab.i.0), "InvalidInstanceID.NotFound"),
            (two(), start(lab.j.0), "InvalidInstanceID.NotFound"),
            (two(), end(lab.i.0), "InvalidInstanceID.NotFound"),
            (one(), stop(unknown), "InvalidInstanceID.NotFound"),
        ],
    );
}

#[test]
fn interfaces_get_further_addresses_all_or_none() {
    let lab = Lab::new(Profile::Seed);
    let assign = |interface, addresses: &[&str]| Command::AssignPrivateIpAddresses {
        interface,
        addresses: Wanted::These(addresses.iter().map(|a| net(a)).collect()),
    };
    check(
        &lab,
        [
            (one(), assign(lab.i.1, &["10.10.1.7", "10.10.1.9"]), OK),
            (one(), assign(lab.i.1, &["10.10.1.7", "10.10.1.5"]), "InvalidIPAddress.InUse"), // j's
            (one(), assign(lab.i.1, &["10.10.1.7", "10.10.1.7"]), "InvalidIPAddress.InUse"),
            (one(), assign(lab.i.1, &["10.10.1.1"]), "InvalidParameterValue"),
            (one(), assign(lab.i.1, &["10.10.2.4"]), "InvalidParameterValue"),
            (two(), assign(lab.i.1, &["10.10.1.7"]), "InvalidNetworkInterfaceID.NotFound"),
        ],
    );
    let two_more = lab.clone().with([(one(), assign(lab.i.1, &["10.10.1.7", "10.10.1.9"]))]);
    for (address, owner) in [
        ("10.10.1.4", Some(lab.i.1)),
        ("10.10.1.9", Some(lab.i.1)),
        ("10.10.1.5", Some(lab.j.1)),
        ("10.10.1.8", None),
    ] {
        assert_eq!(two_more.cloud.owner(lab.a, net(address)), owner, "{address}");
        assert_eq!(two_more.cloud.owner(lab.b, net(address)), None, "{address} in another VPC");
    }
}

#[test]
fn the_source_destination_check_is_the_owners_to_switch() {
    let lab = Lab::new(Profile::Seed);
    let switch = |interface| Command::ModifyNetworkInterfaceAttribute {
        interface,
        source_dest_check: SourceDestCheck::Off,
    };
    check(
        &lab,
        [
            (one(), switch(lab.i.1), OK),
            (two(), switch(lab.i.1), "InvalidNetworkInterfaceID.NotFound"),
            (one(), switch(InterfaceId::new(nothing())), "InvalidNetworkInterfaceID.NotFound"),
        ],
    );
    let off = lab.clone().with([(one(), switch(lab.i.1))]);
    let check_of = |id| off.cloud.interface(id).unwrap().source_dest_check;
    assert_eq!((check_of(lab.i.1), check_of(lab.j.1)), (SourceDestCheck::Off, SourceDestCheck::On));
}

#[test]
fn ipv6_addresses_come_with_the_subnet() {
    let lab = Lab::new(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: Vec::new() };
    build.act(&one(), grow(lab.bare, "2001:db8::/56"));
    let command = Command::CreateSubnet {
        vpc: lab.bare,
        cidr: net("10.30.0.0/24"),
        ipv6: Some(net("2001:db8::/64")),
        zone: None,
    };
    let [Change::SubnetCreated { subnet, .. }] = build.act(&one(), command)[..] else {
        panic!("a subnet was asked for")
    };
    let (_, interface) = build.instance(&one(), subnet);
    let addresses = &build.cloud.interface(interface).unwrap().addresses;
    assert_eq!(addresses[..], [net::<IpAddr>("10.30.0.4"), net("2001:db8::4")]);
}
