//! Rows: creating, growing, shrinking and deleting VPCs (vpc-semantics 1.1, 1.2, 2.5).

use super::*;

#[test]
fn vpcs_are_created_with_a_block_of_the_right_size() {
    let lab = Lab::new(Profile::Seed);
    let create = |cidr| Command::CreateVpc { cidr: net(cidr) };
    check(
        &lab,
        [
            (one(), create("10.0.0.0/16"), OK),
            (one(), create("10.0.0.0/28"), OK),
            (one(), create("10.10.0.0/16"), OK), // another VPC of the same account may overlap
            (one(), create("100.68.0.18/18"), OK), // host bits are cleared, not refused
            (one(), create("10.0.0.0/15"), "InvalidVpc.Range"),
            (one(), create("10.0.0.0/29"), "InvalidVpc.Range"),
            (one(), create("169.254.0.0/16"), "InvalidVpc.Range"),
        ],
    );
    check(
        &lab.clone().quota(&one(), Quota::VpcsPerRegion, 2),
        [
            (one(), create("10.0.0.0/16"), "VpcLimitExceeded"),
            (one_abroad(), create("10.0.0.0/16"), OK),
            (two(), create("10.0.0.0/16"), OK),
        ],
    );
    check(&lab.quota(&one(), Quota::VpcsPerRegion, 3), [(one(), create("10.0.0.0/16"), OK)]);
}

#[test]
fn host_bits_of_a_block_are_cleared() {
    let mut build = Build { cloud: Cloud::new(Profile::Seed, Span::ZERO), events: Vec::new() };
    let (vpc, ..) = build.vpc(&one(), "100.68.0.18/18");
    assert_eq!(build.cloud.vpc(vpc).unwrap().blocks(), [net::<IpNet>("100.68.0.0/18")]);
}

#[test]
fn vpcs_are_deleted_when_nothing_is_left_in_them() {
    let lab = Lab::new(Profile::Seed);
    let delete = |vpc| Command::DeleteVpc { vpc };
    check(
        &lab,
        [
            (one(), delete(lab.bare), OK),
            (one(), delete(lab.a), "DependencyViolation"), // subnets and a table
            (two(), delete(lab.a), "InvalidVpcID.NotFound"),
            (one_abroad(), delete(lab.a), "InvalidVpcID.NotFound"),
            (one(), delete(VpcId::new(nothing())), "InvalidVpcID.NotFound"),
        ],
    );
    let with_table = [(one(), Command::CreateRouteTable { vpc: lab.bare })];
    check(&lab.clone().with(with_table), [(one(), delete(lab.bare), "DependencyViolation")]);
}

#[test]
fn a_deleted_vpc_takes_its_main_table_and_leaves_blackholes() {
    let lab = Lab::new(Profile::Seed);
    let gone = lab.clone().with([
        (two(), Command::TerminateInstances { instance: lab.k.0 }),
        (two(), Command::DeleteSubnet { subnet: lab.b1 }),
        (two(), Command::DeleteVpc { vpc: lab.b }),
    ]);
    assert!(gone.cloud.table(lab.b_main).is_none());
    let status = gone.cloud.peering(lab.ab).unwrap().status(NOW);
    assert_eq!(status, Status::Deleted);
    let to_b = gone.cloud.routes(lab.a_main).find(|r| r.destination == net("10.20.0.0/16"));
    let state = gone.cloud.route_state(to_b.unwrap().hop, NOW);
    assert_eq!(state.code(), "blackhole");
}

#[test]
fn in_seed_a_vpc_has_one_block() {
    let lab = Lab::new(Profile::Seed);
    check(
        &lab,
        [
            (one(), grow(lab.bare, "10.31.0.0/16"), "UnknownParameter"),
            (one(), grow(lab.bare, "2001:db8::/56"), "UnknownParameter"),
            (two(), grow(lab.bare, "10.31.0.0/16"), "InvalidVpcID.NotFound"),
        ],
    );
}

#[test]
fn in_today_a_vpc_may_gain_blocks() {
    let lab = Lab::new(Profile::Today);
    check(
        &lab,
        [
            (one(), grow(lab.bare, "10.31.0.0/16"), OK),
            (one(), grow(lab.bare, "10.20.0.0/16"), OK), // not peered with b
            (one(), grow(lab.bare, "2001:db8::/56"), OK),
            (one(), grow(lab.bare, "2001:db8::/64"), "InvalidVpc.Range"),
            (one(), grow(lab.bare, "ff00::/56"), "InvalidVpc.Range"),
            (one(), grow(lab.bare, "10.31.0.0/15"), "InvalidVpc.Range"),
            (one(), grow(lab.bare, "172.16.0.0/16"), "InvalidVpc.Range"), // another private range
            (one(), grow(lab.bare, "10.30.128.0/17"), "InvalidVpc.Range"), // its own block
            (two(), grow(lab.bare, "10.31.0.0/16"), "InvalidVpcID.NotFound"),
            // a and b are peered: neither may grow into the other
            (one(), grow(lab.a, "10.20.0.0/20"), "OperationNotPermitted"),
            (two(), grow(lab.b, "10.10.0.0/20"), "OperationNotPermitted"),
            (two(), grow(lab.b, "10.40.0.0/16"), OK),
        ],
    );
}

#[test]
fn a_block_must_not_cover_the_destination_of_a_route() {
    let lab = Lab::new(Profile::Today);
    let route = Command::CreateRoute {
        table: lab.side,
        destination: net("10.50.1.0/24"),
        target: RouteTarget::Peering(lab.ab),
    };
    check(
        &lab.clone().with([(one(), route)]),
        [
            (one(), grow(lab.a, "10.50.0.0/16"), "InvalidVpc.Range"),
            (one(), grow(lab.a, "10.50.1.0/24"), "InvalidVpc.Range"),
            (one(), grow(lab.a, "10.50.1.0/25"), OK), // smaller is fine
            (one(), grow(lab.a, "10.50.2.0/24"), OK),
        ],
    );
}

#[test]
fn blocks_are_counted_by_family() {
    let lab = Lab::new(Profile::Today).quota(&one(), Quota::CidrsPerVpc, 2);
    let full = lab.clone().with([(one(), grow(lab.bare, "10.31.0.0/16"))]);
    check(
        &full,
        [
            (one(), grow(lab.bare, "10.32.0.0/16"), "CidrLimitExceeded"),
            (one(), grow(lab.bare, "2001:db8::/56"), OK),
        ],
    );
    check(&lab, [(one(), grow(lab.bare, "10.32.0.0/16"), OK)]);
}

#[test]
fn only_unused_secondary_blocks_can_be_removed() {
    let lab = Lab::new(Profile::Today);
    let lab = lab.clone().with([
        (one(), grow(lab.bare, "10.31.0.0/16")),
        (one(), grow(lab.bare, "10.32.0.0/16")),
        (
            one(),
            Command::CreateSubnet {
                vpc: lab.bare,
                cidr: net("10.32.0.0/24"),
                ipv6: None,
                zone: None,
            },
        ),
    ]);
    let shrink = |block| Command::DisassociateVpcCidrBlock { vpc: lab.bare, block: net(block) };
    check(
        &lab,
        [
            (one(), shrink("10.31.0.0/16"), OK),
            (one(), shrink("10.30.0.0/16"), "OperationNotPermitted"), // the primary one
            (one(), shrink("10.32.0.0/16"), "OperationNotPermitted"), // has a subnet
            (one(), shrink("10.99.0.0/16"), "OperationNotPermitted"), // not there
            (two(), shrink("10.31.0.0/16"), "InvalidVpcID.NotFound"),
        ],
    );
}

/// The rows of 1.2 on pending requests. What the lifecycle golden can't show: a request that names
/// the VPC with the wrong owner, or one that is still being checked, is not in the owner's way.
#[test]
fn s11_what_an_owner_cannot_see_does_not_stop_it() {
    for settle in [Span::ZERO, Span::from_secs(1)] {
        let mut build = Build { cloud: Cloud::new(Profile::Today, settle), events: Vec::new() };
        let (a, ..) = build.vpc(&one(), "10.10.0.0/16");
        let (b, ..) = build.vpc(&two(), "10.20.0.0/16");
        // Account one names itself as the owner of b: the request fails, two never hears of it.
        let pcx = build.request(&one(), a, b, &one());
        assert_eq!(build.cloud.vpc(b).unwrap().peerings().count(), 0);
        build.act(&two(), grow(b, "10.10.128.0/17"));
        build.act(&two(), Command::DeleteVpc { vpc: b });
        let later = NOW + Span::from_secs(1);
        assert_eq!(build.cloud.peering(pcx).unwrap().status(later), Status::Failed);
    }
}
