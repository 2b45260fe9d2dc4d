//! Rows: tables, associations and routes (vpc-semantics 1.3, 2.2, 3.2).

use super::super::route_table::Hop;
use super::*;

fn create(table: RouteTableId, destination: &str, target: RouteTarget) -> Command {
    Command::CreateRoute { table, destination: net(destination), target }
}

fn replace(table: RouteTableId, destination: &str, target: RouteTarget) -> Command {
    Command::ReplaceRoute { table, destination: net(destination), target }
}

#[test]
fn tables_come_and_go() {
    let lab = Lab::new(Profile::Seed);
    let (new, delete) =
        (|vpc| Command::CreateRouteTable { vpc }, |table| Command::DeleteRouteTable { table });
    check(
        &lab,
        [
            (one(), new(lab.a), OK),
            (two(), new(lab.a), "InvalidVpcID.NotFound"),
            (one(), delete(lab.side), "DependencyViolation"), // a1 is on it
            (one(), delete(lab.a_main), "DependencyViolation"),
            (two(), delete(lab.side), "InvalidRouteTableID.NotFound"),
            (one(), delete(RouteTableId::new(nothing())), "InvalidRouteTableID.NotFound"),
        ],
    );
    let association = lab.side_association;
    let freed = lab.clone().with([(one(), Command::DisassociateRouteTable { association })]);
    check(&freed, [(one(), delete(lab.side), OK)]);
    check(
        &lab.clone().quota(&one(), Quota::RouteTablesPerVpc, 2),
        [(one(), new(lab.a), "RouteTableLimitExceeded"), (one(), new(lab.bare), OK)],
    );
}

#[test]
fn a_subnet_is_on_one_table() {
    let lab = Lab::new(Profile::Seed);
    let put = |table, subnet| Command::AssociateRouteTable { table, subnet };
    let off = |association| Command::DisassociateRouteTable { association };
    let unknown = AssociationId::new(nothing());
    check(
        &lab,
        [
            (one(), put(lab.side, lab.a2), OK),
            (one(), put(lab.a_main, lab.a2), OK), // explicitly on the main table
            (one(), put(lab.a_main, lab.a1), "Resource.AlreadyAssociated"),
            (one(), put(lab.bare_main, lab.a2), "InvalidParameterValue"),
            (two(), put(lab.b_main, lab.a2), "InvalidSubnetID.NotFound"),
            (two(), put(lab.side, lab.b1), "InvalidRouteTableID.NotFound"),
            (one(), off(lab.side_association), OK),
            (one(), off(lab.a_main_association), "InvalidParameterValue"),
            (one(), off(unknown), "InvalidAssociationID.NotFound"),
            (two(), off(lab.side_association), "InvalidAssociationID.NotFound"),
            (two(), off(lab.a_main_association), "InvalidAssociationID.NotFound"),
        ],
    );
}

#[test]
fn associations_move_to_another_table_of_the_vpc() {
    let lab = Lab::new(Profile::Seed);
    let (association, main) = (lab.side_association, lab.a_main_association);
    let to = |association, table| Command::ReplaceRouteTableAssociation { association, table };
    check(
        &lab,
        [
            (one(), to(association, lab.a_main), OK),
            (one(), to(main, lab.side), OK),
            (one(), to(association, lab.bare_main), "InvalidParameterValue"),
            (one(), to(main, lab.bare_main), "InvalidRouteTableID.NotFound"),
            (one(), to(AssociationId::new(nothing()), lab.side), "InvalidAssociationID.NotFound"),
            (two(), to(association, lab.side), "InvalidRouteTableID.NotFound"),
            (two(), to(association, lab.b_main), "InvalidAssociationID.NotFound"),
            (two(), to(main, lab.b_main), "InvalidAssociationID.NotFound"),
        ],
    );

    let on = |lab: &Lab| [lab.a1, lab.a2].map(|subnet| lab.cloud.table_of(subnet).unwrap());
    assert_eq!(on(&lab), [lab.side, lab.a_main]);
    let moved = lab.clone().with([(one(), to(association, lab.a_main))]);
    assert_eq!(on(&moved), [lab.a_main, lab.a_main]);
    // The old association is gone, and what was explicitly on the old main table stays there.
    check(&moved, [(one(), to(association, lab.side), "InvalidAssociationID.NotFound")]);
    let moved = moved.with([(one(), to(main, lab.side))]);
    assert_eq!(on(&moved), [lab.a_main, lab.side]);
    // The former main table is in use no less; the new one can't be deleted either.
    let delete = |table| Command::DeleteRouteTable { table };
    check(
        &moved,
        [
            (one(), delete(lab.a_main), "DependencyViolation"),
            (one(), delete(lab.side), "DependencyViolation"),
            (one(), to(main, lab.a_main), "InvalidAssociationID.NotFound"),
        ],
    );
}

#[test]
fn routes_are_created_once() {
    let lab = Lab::new(Profile::Seed);
    let (ab, i, k) = (
        RouteTarget::Peering(lab.ab),
        RouteTarget::Interface(lab.i.1),
        RouteTarget::Interface(lab.k.1),
    );
    let unknown = RouteTarget::Peering(PeeringId::new(nothing()));
    check(
        &lab,
        [
            (one(), create(lab.side, "10.20.0.0/16", ab), OK),
            (one(), create(lab.side, "0.0.0.0/0", ab), OK), // need not lie in the peer's blocks
            (one(), create(lab.side, "0.0.0.0/0", i), OK),
            (one(), create(lab.a_main, "10.20.0.0/16", ab), "RouteAlreadyExists"),
            (one(), create(lab.a_main, "10.20.0.1/16", ab), "RouteAlreadyExists"), // host bits cleared
            (one(), create(lab.a_main, "10.20.1.0/24", ab), OK),
            (one(), create(lab.side, "10.10.0.0/16", ab), "InvalidParameterValue"), // local
            (one(), create(lab.side, "10.10.1.0/24", ab), "InvalidParameterValue"), // inside local
            (one(), create(lab.side, "10.10.1.0/24", i), "InvalidParameterValue"),  // `today` only
            (one(), create(lab.side, "10.0.0.0/8", ab), OK), // covers local, which stays first
            (one(), create(lab.side, "169.254.169.254/32", ab), "InvalidParameterValue"),
            (one(), create(lab.side, "169.254.0.0/16", ab), OK),
            (one(), create(lab.side, "::/0", ab), "UnknownParameter"),
            (one(), create(lab.bare_main, "10.20.0.0/16", ab), "InvalidParameterValue"), // not its VPC's
            (one(), create(lab.bare_main, "0.0.0.0/0", i), "InvalidParameterValue"),
            (one(), create(lab.side, "0.0.0.0/0", k), "InvalidNetworkInterfaceID.NotFound"),
            (
                one(),
                create(lab.side, "0.0.0.0/0", unknown),
                "InvalidVpcPeeringConnectionID.NotFound",
            ),
            (two(), create(lab.b_main, "10.10.0.0/16", ab), OK), // the other side, from its own table
            (two(), create(lab.side, "10.20.0.0/16", ab), "InvalidRouteTableID.NotFound"),
        ],
    );
}

#[test]
fn in_today_a_route_may_send_a_whole_subnet_to_an_interface() {
    let lab = Lab::new(Profile::Today);
    let (ab, i) = (RouteTarget::Peering(lab.ab), RouteTarget::Interface(lab.i.1));
    check(
        &lab,
        [
            (one(), create(lab.side, "10.10.2.0/28", i), OK),
            (one(), create(lab.side, "10.10.2.0/28", ab), "InvalidParameterValue"),
            (one(), create(lab.side, "10.10.2.0/29", i), "InvalidParameterValue"),
            (one(), create(lab.side, "10.10.0.0/16", i), "InvalidParameterValue"),
            (one(), create(lab.side, "::/0", ab), OK),
            (one(), create(lab.side, "fd00:ec2::254/128", ab), "InvalidParameterValue"),
        ],
    );
}

#[test]
fn routes_are_replaced_and_deleted_where_they_are() {
    let lab = Lab::new(Profile::Seed);
    let (ab, i) = (RouteTarget::Peering(lab.ab), RouteTarget::Interface(lab.i.1));
    let delete = |table, destination| Command::DeleteRoute { table, destination: net(destination) };
    check(
        &lab,
        [
            (one(), replace(lab.a_main, "10.20.0.0/16", i), OK),
            (one(), replace(lab.a_main, "10.21.0.0/16", i), "InvalidParameterValue"),
            (one(), replace(lab.a_main, "10.10.0.0/16", i), "InvalidParameterValue"),
            (two(), replace(lab.a_main, "10.20.0.0/16", ab), "InvalidRouteTableID.NotFound"),
            (one(), delete(lab.a_main, "10.20.0.0/16"), OK),
            (one(), delete(lab.a_main, "10.20.0.0/17"), "InvalidRoute.NotFound"),
            (one(), delete(lab.a_main, "10.10.0.0/16"), "InvalidParameterValue"), // local
            (one(), delete(lab.side, "10.20.0.0/16"), "InvalidRoute.NotFound"),
            (two(), delete(lab.a_main, "10.20.0.0/16"), "InvalidRouteTableID.NotFound"),
        ],
    );
}

#[test]
fn routes_are_counted_by_table_and_family() {
    let lab = Lab::new(Profile::Today).quota(&one(), Quota::RoutesPerTable, 1);
    let ab = RouteTarget::Peering(lab.ab);
    check(
        &lab,
        [
            (one(), create(lab.a_main, "10.99.0.0/16", ab), "RouteLimitExceeded"),
            (one(), create(lab.a_main, "::/0", ab), OK),
            (one(), create(lab.side, "10.99.0.0/16", ab), OK),
            (one(), replace(lab.a_main, "10.20.0.0/16", RouteTarget::Interface(lab.i.1)), OK),
        ],
    );
}

/// L5: a route's state follows its target's, without anybody touching the route.
#[test]
fn l5_routes_become_blackholes_with_their_target() {
    let lab = Lab::new(Profile::Seed);
    let (ab, i) = (RouteTarget::Peering(lab.ab), RouteTarget::Interface(lab.i.1));
    let stop = Command::StopInstances { instance: lab.i.0 };
    let end = Command::TerminateInstances { instance: lab.i.0 };
    let unpeer = Command::DeleteVpcPeeringConnection { peering: lab.ab };
    for (target, command, want) in [
        (ab, None, "active"),
        (i, None, "active"),
        (RouteTarget::Interface(lab.j.1), None, "blackhole"), // stopped from the start
        (ab, Some(unpeer), "blackhole"),
        (i, Some(stop), "blackhole"),
        (i, Some(end), "blackhole"),
    ] {
        let lab = lab.clone().with(command.clone().map(|command| (one(), command)));
        let state = lab.cloud.route_state(Hop::To(target), NOW);
        assert_eq!(state.code(), want, "{target} after {command:?}");
    }
}

#[test]
fn every_block_has_its_local_route_in_every_table() {
    let lab = Lab::new(Profile::Today);
    let lab = lab.clone().with([(one(), grow(lab.a, "10.11.0.0/16"))]);
    let text = |table| {
        let routes = lab.cloud.routes(table).map(|route| match route.hop {
            Hop::Local => format!("{} local", route.destination),
            Hop::To(_) => format!("{} set", route.destination),
        });
        routes.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(text(lab.a_main), "10.10.0.0/16 local, 10.11.0.0/16 local, 10.20.0.0/16 set");
    assert_eq!(text(lab.side), "10.10.0.0/16 local, 10.11.0.0/16 local");
}
