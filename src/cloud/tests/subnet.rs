//! Rows: subnets, their zones and their addresses (vpc-semantics 1.1).

use super::*;

fn create(vpc: VpcId, cidr: &str) -> Command {
    Command::CreateSubnet { vpc, cidr: net(cidr), ipv6: None, zone: None }
}

#[test]
fn subnets_lie_in_a_block_of_their_vpc_and_apart() {
    let lab = Lab::new(Profile::Seed);
    let zoned = |zone: &str| Command::CreateSubnet {
        vpc: lab.bare,
        cidr: net("10.30.0.0/24"),
        ipv6: None,
        zone: Some(net(zone)),
    };
    let six = Command::CreateSubnet {
        vpc: lab.bare,
        cidr: net("10.30.0.0/24"),
        ipv6: Some(net("2001:db8::/64")),
        zone: None,
    };
    check(
        &lab,
        [
            (one(), create(lab.bare, "10.30.0.0/16"), OK), // may equal the VPC's block
            (one(), create(lab.bare, "10.30.255.240/28"), OK),
            (one(), create(lab.bare, "10.30.0.0/29"), "InvalidSubnet.Range"),
            (one(), create(lab.bare, "10.30.0.0/15"), "InvalidSubnet.Range"),
            (one(), create(lab.bare, "10.31.0.0/24"), "InvalidSubnet.Range"),
            (one(), create(lab.a, "10.10.1.128/25"), "InvalidSubnet.Conflict"),
            (one(), create(lab.a, "10.10.0.0/20"), "InvalidSubnet.Conflict"),
            (one(), create(lab.a, "10.10.3.0/24"), OK),
            (two(), create(lab.bare, "10.30.0.0/24"), "InvalidVpcID.NotFound"),
            (one(), zoned("us-east-1c"), OK),
            (one(), zoned("us-east-2a"), "InvalidZone.NotFound"),
            (one(), six, "UnknownParameter"),
        ],
    );
    let full = lab.clone().quota(&one(), Quota::SubnetsPerVpc, 2);
    check(
        &full,
        [
            (one(), create(lab.a, "10.10.3.0/24"), "SubnetLimitExceeded"),
            (one(), create(lab.bare, "10.30.3.0/24"), OK),
        ],
    );
}

#[test]
fn ipv6_blocks_of_subnets_are_64s_of_the_vpc() {
    let lab = Lab::new(Profile::Today);
    let lab = lab.clone().with([(one(), grow(lab.bare, "2001:db8::/56"))]);
    let six = |block: &str| Command::CreateSubnet {
        vpc: lab.bare,
        cidr: net("10.30.0.0/24"),
        ipv6: Some(net(block)),
        zone: None,
    };
    check(
        &lab,
        [
            (one(), six("2001:db8::/64"), OK),
            (one(), six("2001:db8::/60"), "InvalidSubnet.Range"),
            (one(), six("2001:db9::/64"), "InvalidSubnet.Range"),
        ],
    );
}

#[test]
fn subnets_are_deleted_when_no_interface_is_left() {
    let lab = Lab::new(Profile::Seed);
    let delete = |subnet| Command::DeleteSubnet { subnet };
    check(
        &lab,
        [
            (one(), delete(lab.a2), OK),
            (one(), delete(lab.a1), "DependencyViolation"),
            (two(), delete(lab.a2), "InvalidSubnetID.NotFound"),
            (one_abroad(), delete(lab.a2), "InvalidSubnetID.NotFound"),
            (one(), delete(SubnetId::new(nothing())), "InvalidSubnetID.NotFound"),
        ],
    );
    let emptied = lab.clone().with([
        (one(), Command::TerminateInstances { instance: lab.i.0 }),
        (one(), Command::TerminateInstances { instance: lab.j.0 }),
    ]);
    // Its association goes with it, so the table is free as well.
    let freed = emptied.with([(one(), delete(lab.a1))]);
    check(&freed, [(one(), Command::DeleteRouteTable { table: lab.side }, OK)]);
}

#[test]
fn the_lowest_free_address_is_next() {
    let lab = Lab::new(Profile::Seed);
    let next = |lab: &Lab| lab.cloud.subnet(lab.a2).unwrap().next_ipv4().map(|a| a.to_string());
    let at = |last: u8| (one(), run(lab.a2, Some(&format!("10.10.2.{last}"))));
    for (taken, want) in [
        (vec![], Some("10.10.2.4")),
        (vec![4], Some("10.10.2.5")),
        (vec![5], Some("10.10.2.4")),
        (vec![5, 4, 6], Some("10.10.2.7")),
        ((4..=14).collect(), None), // .15 is the last of the /28 and reserved
    ] {
        let lab = lab.clone().with(taken.iter().map(|last| at(*last)));
        assert_eq!(next(&lab).as_deref(), want, "{taken:?}");
        let free = lab.cloud.subnet(lab.a2).unwrap().available_ipv4();
        assert_eq!(free, 11 - taken.len(), "{taken:?}");
    }
}

#[test]
fn a_released_address_is_given_out_again() {
    let lab = Lab::new(Profile::Seed);
    let freed = lab.clone().with([(one(), Command::TerminateInstances { instance: lab.i.0 })]);
    let subnet = freed.cloud.subnet(lab.a1).unwrap();
    assert_eq!(subnet.next_ipv4(), Some(net("10.10.1.4")));
    assert_eq!(freed.cloud.owner(lab.a, net::<IpAddr>("10.10.1.4")), None);
}
