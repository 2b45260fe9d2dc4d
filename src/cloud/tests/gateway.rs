//! Rows: gateways, the routes that follow from them, public addresses, hosts outside the cloud.

use super::*;
use crate::cloud::event::ResourceId;
use crate::cloud::gateway::{GatewayId, Line};
use crate::cloud::instance::Host;
use crate::cloud::route_table::{Hop, Origin, RouteState};

/// The lab with one of everything on VPC a, a second one of each that is attached to nothing, and an
/// internet gateway of account two on VPC b.
struct Edges {
    lab: Lab,
    igw: InternetGatewayId,
    spare_igw: InternetGatewayId,
    igw_of_b: InternetGatewayId,
    vgw: VpnGatewayId,
    spare_vgw: VpnGatewayId,
    s3: EndpointId,
    nat: NatGatewayId,
    nat_interface: InterfaceId,
    /// Of the NAT gateway, of instance i, of nobody.
    held: [AllocationId; 3],
    of_nat: AddressAssociationId,
    of_i: AddressAssociationId,
    web: InterfaceId,
    corp: InterfaceId,
}

fn create_vpn(beyond: &[&str]) -> Command {
    let beyond = beyond.iter().map(|b| net(b)).collect();
    Command::CreateVpnGateway { line: Line::Vpn, beyond }
}

fn endpoint(vpc: VpcId, prefixes: &[&str], tables: &[RouteTableId]) -> Command {
    let prefixes = prefixes.iter().map(|p| net(p)).collect();
    Command::CreateVpcEndpoint { vpc, service: "s3".into(), prefixes, tables: tables.to_vec() }
}

fn place(beyond: GatewayId, addresses: &[&str]) -> Command {
    Command::PlaceOutsideHost { beyond, addresses: addresses.iter().map(|a| net(a)).collect() }
}

fn route(table: RouteTableId, destination: &str, target: RouteTarget) -> Command {
    Command::CreateRoute { table, destination: net(destination), target }
}

fn associate(allocation: AllocationId, interface: InterfaceId, private: Option<&str>) -> Command {
    Command::AssociateAddress { allocation, interface, private: private.map(net) }
}

const ALLOCATE: Command = Command::AllocateAddress { address: None };

impl Build {
    fn gateway(&mut self, caller: &Caller, command: Command) -> GatewayId {
        match self.act(caller, command)[..] {
            [Change::GatewayCreated { id, .. }, ..] => id,
            ref other => panic!("{other:?}"),
        }
    }

    fn internet_gateway(&mut self, caller: &Caller) -> InternetGatewayId {
        match self.gateway(caller, Command::CreateInternetGateway) {
            GatewayId::Internet(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn vpn_gateway(&mut self, caller: &Caller, beyond: &[&str]) -> VpnGatewayId {
        match self.gateway(caller, create_vpn(beyond)) {
            GatewayId::Vpn(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn allocate(&mut self, caller: &Caller) -> AllocationId {
        match self.act(caller, ALLOCATE)[..] {
            [Change::AddressAllocated { allocation, .. }] => allocation,
            ref other => panic!("{other:?}"),
        }
    }

    fn outside(&mut self, caller: &Caller, beyond: GatewayId, address: &str) -> InterfaceId {
        match self.act(caller, place(beyond, &[address]))[..] {
            [Change::OutsideHostPlaced { host, .. }] => host,
            ref other => panic!("{other:?}"),
        }
    }
}

impl Edges {
    fn new(profile: Profile) -> Edges {
        let mut lab = Lab::new(profile);
        let mut build = Build { cloud: lab.cloud, events: lab.events };
        let igw = build.internet_gateway(&one());
        let spare_igw = build.internet_gateway(&one());
        let igw_of_b = build.internet_gateway(&two());
        build.act(&one(), Command::AttachInternetGateway { gateway: igw, vpc: lab.a });
        build.act(&two(), Command::AttachInternetGateway { gateway: igw_of_b, vpc: lab.b });
        let vgw = build.vpn_gateway(&one(), &["192.168.0.0/16", "172.16.0.0/12"]);
        let spare_vgw = build.vpn_gateway(&one(), &["192.168.0.0/16"]);
        build.act(&one(), Command::AttachVpnGateway { gateway: vgw, vpc: lab.a });
        let s3 = build.gateway(&one(), endpoint(lab.a, &["198.51.100.0/24"], &[lab.a_main]));
        let GatewayId::Endpoint(s3) = s3 else { panic!("an endpoint was asked for") };
        let held = [(); 3].map(|()| build.allocate(&one()));
        let nat = Command::CreateNatGateway { subnet: lab.a2, allocation: held[0] };
        let [
            Change::NatGatewayCreated { gateway: nat, interface: nat_interface, .. },
            Change::AddressAssociated { association: of_nat, .. },
        ] = build.act(&one(), nat)[..]
        else {
            panic!("a NAT gateway was asked for")
        };
        let of_i = match build.act(&one(), associate(held[1], lab.i.1, None))[..] {
            [Change::AddressAssociated { association, .. }] => association,
            ref other => panic!("{other:?}"),
        };
        let web = build.outside(&one(), GatewayId::Internet(igw), "198.18.0.10");
        let corp = build.outside(&one(), GatewayId::Vpn(vgw), "192.168.1.10");
        (lab.cloud, lab.events) = (build.cloud, build.events);
        Edges {
            lab,
            igw,
            spare_igw,
            igw_of_b,
            vgw,
            spare_vgw,
            s3,
            nat,
            nat_interface,
            held,
            of_nat,
            of_i,
            web,
            corp,
        }
    }

    /// The routes that somebody or something other than the VPC put into a table, in words.
    fn routes(&self, table: RouteTableId) -> Vec<(String, &'static str, &'static str)> {
        let cloud = &self.lab.cloud;
        let row = |route: crate::cloud::route_table::Route| {
            let state = cloud.route_state(route.hop, NOW).code();
            (route.destination.to_string(), route.origin.code(), state)
        };
        cloud.routes(table).filter(|route| route.hop != Hop::Local).map(row).collect()
    }

    fn with(self, commands: impl IntoIterator<Item = (Caller, Command)>) -> Edges {
        Edges { lab: self.lab.with(commands), ..self }
    }
}

#[test]
fn an_internet_gateway_serves_one_vpc_and_a_vpc_has_one() {
    let e = Edges::new(Profile::Seed);
    let attach = |gateway, vpc| Command::AttachInternetGateway { gateway, vpc };
    let detach = |gateway, vpc| Command::DetachInternetGateway { gateway, vpc };
    let delete = |gateway| Command::DeleteInternetGateway { gateway };
    check(
        &e.lab,
        [
            (one(), Command::CreateInternetGateway, OK),
            (one(), attach(e.spare_igw, e.lab.bare), OK),
            (one(), attach(e.spare_igw, e.lab.a), "InvalidParameterValue"),
            (one(), attach(e.igw, e.lab.bare), "Resource.AlreadyAssociated"),
            (one(), attach(e.spare_igw, e.lab.b), "InvalidVpcID.NotFound"),
            (one(), attach(e.igw_of_b, e.lab.bare), "InvalidInternetGatewayID.NotFound"),
            (one_abroad(), attach(e.spare_igw, e.lab.bare), "InvalidInternetGatewayID.NotFound"),
            (two(), detach(e.igw_of_b, e.lab.b), OK),
            (one(), detach(e.igw, e.lab.a), "DependencyViolation"),
            (one(), detach(e.spare_igw, e.lab.a), "Gateway.NotAttached"),
            (two(), detach(e.igw, e.lab.a), "InvalidInternetGatewayID.NotFound"),
            (one(), delete(e.spare_igw), OK),
            (one(), delete(e.igw), "DependencyViolation"),
            (two(), delete(e.spare_igw), "InvalidInternetGatewayID.NotFound"),
        ],
    );
}

#[test]
fn a_virtual_private_gateway_serves_one_vpc_and_a_vpc_has_one() {
    let e = Edges::new(Profile::Seed);
    let attach = |gateway, vpc| Command::AttachVpnGateway { gateway, vpc };
    let detach = |gateway, vpc| Command::DetachVpnGateway { gateway, vpc };
    let delete = |gateway| Command::DeleteVpnGateway { gateway };
    check(
        &e.lab,
        [
            (one(), create_vpn(&["0.0.0.0/0"]), OK),
            (one(), create_vpn(&["169.254.169.0/24"]), "InvalidParameterValue"),
            (one(), create_vpn(&["2001:db8::/32"]), "UnknownParameter"),
            (one(), attach(e.spare_vgw, e.lab.bare), OK),
            (one(), attach(e.spare_vgw, e.lab.a), "InvalidVpcState"),
            (one(), attach(e.vgw, e.lab.bare), "VpnGatewayAttachmentLimitExceeded"),
            (two(), attach(e.spare_vgw, e.lab.b), "InvalidVpnGatewayID.NotFound"),
            (one(), detach(e.vgw, e.lab.a), OK),
            (one(), detach(e.vgw, e.lab.bare), "InvalidVpnGatewayAttachment.NotFound"),
            (two(), detach(e.vgw, e.lab.a), "InvalidVpnGatewayID.NotFound"),
            (one(), delete(e.spare_vgw), OK),
            (one(), delete(e.vgw), "IncorrectState"),
            (two(), delete(e.spare_vgw), "InvalidVpnGatewayID.NotFound"),
        ],
    );
}

#[test]
fn propagation_is_between_a_gateway_and_a_table_of_its_vpc() {
    let e = Edges::new(Profile::Seed);
    let enable = |gateway, table| Command::EnableVgwRoutePropagation { gateway, table };
    let disable = |gateway, table| Command::DisableVgwRoutePropagation { gateway, table };
    let rows = [
        (one(), enable(e.vgw, e.lab.side), OK),
        (one(), disable(e.vgw, e.lab.side), OK),
        (one(), enable(e.vgw, e.lab.bare_main), "Gateway.NotAttached"),
        (one(), enable(e.spare_vgw, e.lab.side), "Gateway.NotAttached"),
        (one(), enable(e.vgw, e.lab.b_main), "InvalidRouteTableID.NotFound"),
        (two(), enable(e.vgw, e.lab.b_main), "InvalidVpnGatewayID.NotFound"),
        (two(), disable(e.vgw, e.lab.b_main), "InvalidVpnGatewayID.NotFound"),
    ];
    check(&e.lab, rows);
    // Two prefixes: a quota of two lets them in, one of one does not.
    let of = |limit| e.lab.clone().quota(&one(), Quota::PropagatedRoutesPerTable, limit);
    check(&of(2), [(one(), enable(e.vgw, e.lab.side), OK)]);
    check(&of(1), [(one(), enable(e.vgw, e.lab.side), "RouteLimitExceeded")]);
}

#[test]
fn propagated_routes_come_and_go_with_their_gateway() {
    let propagated =
        |d: &str, state| (d.to_owned(), Origin::Propagated.code(), RouteState::code(state));
    let set = |d: &str, state| (d.to_owned(), Origin::CreateRoute.code(), RouteState::code(state));
    use RouteState::{Active, Blackhole};

    let mut e = Edges::new(Profile::Seed);
    let (vgw, side) = (RouteTarget::Gateway(GatewayId::Vpn(e.vgw)), e.lab.side);
    let (gateway, vpc) = (e.vgw, e.lab.a);
    assert_eq!(e.routes(side), []);
    e = e.with([(one(), Command::EnableVgwRoutePropagation { gateway, table: side })]);
    let both = [propagated("172.16.0.0/12", Active), propagated("192.168.0.0/16", Active)];
    assert_eq!(e.routes(side), both);

    // A route that is set wins over an equal propagated one, and gives it way again.
    e = e.with([(one(), route(side, "192.168.0.0/16", vgw))]);
    let with_static = [set("192.168.0.0/16", Active), propagated("172.16.0.0/12", Active)];
    assert_eq!(e.routes(side), with_static);
    let not_there = "InvalidRoute.NotFound";
    let delete = |d| Command::DeleteRoute { table: side, destination: net(d) };
    check(&e.lab, [(one(), delete("172.16.0.0/12"), not_there)]);

    // Detached: what propagates vanishes, what is set becomes a blackhole. Attached: as before.
    e = e.with([(one(), Command::DetachVpnGateway { gateway, vpc })]);
    assert_eq!(e.routes(side), [set("192.168.0.0/16", Blackhole)]);
    e = e.with([(one(), Command::AttachVpnGateway { gateway, vpc })]);
    assert_eq!(e.routes(side), with_static);
    e = e.with([(one(), delete("192.168.0.0/16"))]);
    assert_eq!(e.routes(side), both);
    e = e.with([(one(), Command::DisableVgwRoutePropagation { gateway, table: side })]);
    assert_eq!(e.routes(side), []);
}

#[test]
fn what_propagates_never_pulls_traffic_out_of_the_vpc() {
    let lab = Lab::new(Profile::Seed);
    let (a, side) = (lab.a, lab.side);
    let mut build = Build { cloud: lab.cloud, events: lab.events };
    let gateway =
        build.vpn_gateway(&one(), &["10.10.0.0/16", "10.10.7.0/24", "10.0.0.0/8", "10.11.0.0/16"]);
    build.act(&one(), Command::AttachVpnGateway { gateway, vpc: a });
    build.act(&one(), Command::EnableVgwRoutePropagation { gateway, table: side });
    let routes: Vec<_> =
        build.cloud.routes(side).map(|route| (route.destination.to_string(), route.hop)).collect();
    let vpn = Hop::To(RouteTarget::Gateway(GatewayId::Vpn(gateway)));
    let want = [("10.10.0.0/16", Hop::Local), ("10.0.0.0/8", vpn), ("10.11.0.0/16", vpn)];
    assert_eq!(routes, want.map(|(destination, hop)| (destination.to_owned(), hop)));
}

#[test]
fn an_endpoint_gives_its_tables_their_routes() {
    let e = Edges::new(Profile::Seed);
    let modify = |add: &[RouteTableId], remove: &[RouteTableId]| Command::ModifyVpcEndpoint {
        endpoint: e.s3,
        add: add.to_vec(),
        remove: remove.to_vec(),
    };
    let delete = Command::DeleteVpcEndpoints { endpoint: e.s3 };
    let (main, side) = (e.lab.a_main, e.lab.side);
    check(
        &e.lab,
        [
            (one(), endpoint(e.lab.a, &["198.51.100.0/24"], &[side]), OK),
            (one(), endpoint(e.lab.a, &["198.51.100.0/24"], &[main]), "RouteAlreadyExists"),
            (one(), endpoint(e.lab.a, &[], &[side]), "InvalidParameterValue"),
            (
                one(),
                endpoint(e.lab.a, &["198.51.100.0/24"], &[e.lab.bare_main]),
                "InvalidParameterValue",
            ),
            (one(), endpoint(e.lab.b, &["198.51.100.0/24"], &[]), "InvalidVpcID.NotFound"),
            (
                one(),
                endpoint(e.lab.a, &["198.51.100.0/24"], &[e.lab.b_main]),
                "InvalidRouteTableID.NotFound",
            ),
            (one(), modify(&[side], &[main]), OK),
            (one(), modify(&[e.lab.bare_main], &[]), "InvalidParameterValue"),
            (two(), modify(&[], &[]), "InvalidVpcEndpointId.NotFound"),
            (one(), delete.clone(), OK),
            (two(), delete.clone(), "InvalidVpcEndpointId.NotFound"),
        ],
    );
    let row = ("198.51.100.0/24".to_owned(), "CreateRoute", "active");
    assert!(e.routes(main).contains(&row));
    let (add, remove) = (modify(&[side, side], &[]), modify(&[], &[main]));
    let e = e.with([(one(), add), (one(), remove)]);
    assert!(!e.routes(main).contains(&row));
    assert_eq!(e.routes(side), [row]);
    // An endpoint wins over an equal propagated route, a route that is set over an endpoint.
    let mut build = Build { cloud: e.lab.cloud.clone(), events: Vec::new() };
    build.act(&one(), Command::DetachVpnGateway { gateway: e.vgw, vpc: e.lab.a });
    let gateway = build.vpn_gateway(&one(), &["198.51.100.0/24"]);
    build.act(&one(), Command::AttachVpnGateway { gateway, vpc: e.lab.a });
    build.act(&one(), Command::EnableVgwRoutePropagation { gateway, table: side });
    let hops = |cloud: &Cloud| {
        cloud
            .routes(side)
            .map(|route| route.hop)
            .filter(|hop| *hop != Hop::Local)
            .collect::<Vec<_>>()
    };
    let to = |gateway| Hop::To(RouteTarget::Gateway(gateway));
    assert_eq!(hops(&build.cloud), [to(GatewayId::Endpoint(e.s3))]);
    build.act(&one(), route(side, "198.51.100.0/24", RouteTarget::Peering(e.lab.ab)));
    assert_eq!(hops(&build.cloud), [Hop::To(RouteTarget::Peering(e.lab.ab))]);
    build.act(&one(), Command::DeleteRoute { table: side, destination: net("198.51.100.0/24") });
    build.act(&one(), delete);
    assert_eq!(hops(&build.cloud), [to(GatewayId::Vpn(gateway))]);
}

#[test]
fn a_route_names_a_gateway_of_its_own_vpc() {
    let e = Edges::new(Profile::Today);
    let to = |gateway| RouteTarget::Gateway(gateway);
    let igw = to(GatewayId::Internet(e.igw));
    let spare = to(GatewayId::Internet(e.spare_igw));
    let (s3, of_b) = (to(GatewayId::Endpoint(e.s3)), to(GatewayId::Internet(e.igw_of_b)));
    let nat = RouteTarget::Nat(e.nat);
    let unknown_nat = RouteTarget::Nat(NatGatewayId::new(nothing()));
    let (side, bare) = (e.lab.side, e.lab.bare_main);
    check(
        &e.lab,
        [
            (one(), route(side, "0.0.0.0/0", igw), OK),
            (one(), route(side, "0.0.0.0/0", nat), OK),
            (one(), route(bare, "0.0.0.0/0", igw), "InvalidParameterValue"),
            (one(), route(side, "0.0.0.0/0", spare), "InvalidParameterValue"), // attached to nothing
            (one(), route(side, "0.0.0.0/0", of_b), "InvalidGatewayID.NotFound"),
            (one(), route(side, "198.51.100.0/24", s3), "InvalidParameterValue"),
            (one(), route(bare, "0.0.0.0/0", nat), "InvalidParameterValue"),
            (one(), route(side, "0.0.0.0/0", unknown_nat), "InvalidNatGatewayID.NotFound"),
            (two(), route(e.lab.b_main, "0.0.0.0/0", nat), "InvalidNatGatewayID.NotFound"),
            // More specific than local: a whole subnet, to an interface or a NAT gateway.
            (one(), route(side, "10.10.2.0/28", nat), OK),
            (one(), route(side, "10.10.2.0/28", igw), "InvalidParameterValue"),
        ],
    );
    let e = e.with([(one(), route(side, "0.0.0.0/0", nat))]);
    let state = |e: &Edges| e.routes(side).pop().map(|row| row.2);
    assert_eq!(state(&e), Some("active"));
    let gateway = e.nat;
    let e = e.with([(one(), Command::DeleteNatGateway { gateway })]);
    assert_eq!(state(&e), Some("blackhole"));
}

#[test]
fn a_nat_gateway_is_an_interface_that_nobody_configures() {
    let e = Edges::new(Profile::Seed);
    let create = |subnet, allocation| Command::CreateNatGateway { subnet, allocation };
    let delete = |gateway| Command::DeleteNatGateway { gateway };
    let mut build = Build { cloud: e.lab.cloud.clone(), events: e.lab.events.clone() };
    let of_two = build.allocate(&two());
    let lab = Lab { cloud: build.cloud, events: build.events, ..e.lab.clone() };
    let switch = Command::ModifyNetworkInterfaceAttribute {
        interface: e.nat_interface,
        source_dest_check: SourceDestCheck::On,
    };
    let [_, _, free] = e.held;
    check(
        &lab,
        [
            (one(), create(e.lab.a1, free), OK),
            (one(), create(e.lab.a1, e.held[1]), "Resource.AlreadyAssociated"),
            (one(), create(e.lab.a1, of_two), "InvalidAllocationID.NotFound"),
            (two(), create(e.lab.a1, of_two), "InvalidSubnetID.NotFound"),
            (one(), delete(e.nat), OK),
            (two(), delete(e.nat), "NatGatewayNotFound"),
            (one(), switch, "OperationNotPermitted"),
            (one(), associate(free, e.nat_interface, None), "OperationNotPermitted"),
            (
                one(),
                Command::DisassociateAddress { association: e.of_nat },
                "OperationNotPermitted",
            ),
            (one(), Command::DeleteSubnet { subnet: e.lab.a2 }, "DependencyViolation"),
        ],
    );
    let without_gateway =
        [(two(), Command::DetachInternetGateway { gateway: e.igw_of_b, vpc: e.lab.b })];
    check(
        &lab.clone().with(without_gateway),
        [(two(), create(e.lab.b1, of_two), "Gateway.NotAttached")],
    );
    let full = lab.quota(&one(), Quota::InterfacesPerRegion, 3);
    check(&full, [(one(), create(e.lab.a1, free), "NetworkInterfaceLimitExceeded")]);

    let interface = e.lab.cloud.interface(e.nat_interface).unwrap();
    assert_eq!(interface.host, Host::NatGateway(e.nat));
    assert_eq!(interface.source_dest_check, SourceDestCheck::Off);
    assert!(interface.groups.is_empty());
    let public = e.lab.cloud.public_address(e.nat_interface, net("10.10.2.4"));
    assert_eq!(public, Some(net("203.0.113.1")));
    let (gateway, subnet) = (e.nat, e.lab.a2);
    let gone = e.with([(one(), delete(gateway)), (one(), Command::DeleteSubnet { subnet })]);
    assert_eq!(gone.lab.cloud.behind_public(net("203.0.113.1")), None);
    assert_eq!(gone.lab.cloud.owner(gone.lab.a, net("10.10.2.4")), None);
}

#[test]
fn a_public_address_stands_for_one_private_address() {
    let e = Edges::new(Profile::Seed);
    let allocate = |address: &str| Command::AllocateAddress { address: Some(net(address)) };
    let release = |allocation| Command::ReleaseAddress { allocation };
    let [_, of_i, free] = e.held;
    let end_of = |association| Command::DisassociateAddress { association };
    let unknown = AddressAssociationId::new(nothing());
    check(
        &e.lab,
        [
            (two(), ALLOCATE, OK),
            (two(), allocate("203.0.113.77"), OK),
            (two(), allocate("203.0.113.1"), "InvalidIPAddress.InUse"),
            (two(), allocate("198.18.0.10"), "InvalidIPAddress.InUse"), // a host on the internet
            (one(), allocate("10.0.0.1"), "InvalidParameterValue"),
            (one(), allocate("100.64.0.1"), "InvalidParameterValue"),
            (one(), allocate("127.0.0.1"), "InvalidParameterValue"),
            (one(), allocate("224.0.0.1"), "InvalidParameterValue"),
            (one(), associate(free, e.lab.j.1, None), OK),
            (one(), associate(free, e.lab.j.1, Some("10.10.1.5")), OK),
            (one(), associate(free, e.lab.j.1, Some("10.10.1.9")), "InvalidParameterValue"),
            (one(), associate(free, e.lab.i.1, None), "Resource.AlreadyAssociated"),
            (one(), associate(of_i, e.lab.j.1, None), "Resource.AlreadyAssociated"),
            (one(), associate(free, e.lab.k.1, None), "InvalidNetworkInterfaceID.NotFound"),
            (two(), associate(free, e.lab.k.1, None), "InvalidAllocationID.NotFound"),
            (one_abroad(), associate(free, e.lab.j.1, None), "InvalidAllocationID.NotFound"),
            (one(), end_of(e.of_i), OK),
            (two(), end_of(e.of_i), "InvalidAssociationID.NotFound"),
            (one(), end_of(unknown), "InvalidAssociationID.NotFound"),
            (one(), release(free), OK),
            (one(), release(of_i), "InvalidIPAddress.InUse"),
            (two(), release(free), "InvalidAllocationID.NotFound"),
        ],
    );
    let cloud = &e.lab.cloud;
    let (private, public) = (net("10.10.1.4"), net("203.0.113.2"));
    assert_eq!(cloud.public_address(e.lab.i.1, private), Some(public));
    assert_eq!(cloud.behind_public(public), Some((e.lab.i.1, private)));
    let instance = e.lab.i.0;
    let gone = e.with([(one(), Command::TerminateInstances { instance }), (one(), release(of_i))]);
    assert_eq!(gone.lab.cloud.behind_public(public), None);
    // The lowest free address of the pool is given out again.
    let again = gone.with([(two(), ALLOCATE)]);
    assert!(again.lab.cloud.public_addresses().any(|(_, held)| held.address == public));
}

#[test]
fn a_host_lives_outside_where_its_address_can_be() {
    let e = Edges::new(Profile::Today);
    let (igw, vgw) = (GatewayId::Internet(e.igw), GatewayId::Vpn(e.vgw));
    let (spare, s3) = (GatewayId::Vpn(e.spare_vgw), GatewayId::Endpoint(e.s3));
    let other_igw = GatewayId::Internet(e.spare_igw);
    let remove = |host| Command::RemoveOutsideHost { host };
    check(
        &e.lab,
        [
            (one(), place(igw, &["198.18.0.11", "2001:db8::1"]), OK),
            (one(), place(other_igw, &["198.18.0.10"]), "InvalidIPAddress.InUse"), // one internet
            (one(), place(igw, &["198.18.0.11", "198.18.0.11"]), "InvalidIPAddress.InUse"),
            (one(), place(igw, &["203.0.113.3"]), "InvalidIPAddress.InUse"), // held by an account
            (one(), place(igw, &["10.0.0.1"]), "InvalidParameterValue"),
            (one(), place(igw, &["fd00::1"]), "InvalidParameterValue"),
            (one(), place(igw, &["169.254.1.1"]), "InvalidParameterValue"),
            (one(), place(igw, &[]), "InvalidParameterValue"),
            (one(), place(vgw, &["192.168.1.10"]), "InvalidIPAddress.InUse"),
            (one(), place(spare, &["192.168.1.10"]), OK), // another network
            (one(), place(vgw, &["198.18.0.99"]), "InvalidParameterValue"),
            (one(), place(s3, &["198.51.100.7"]), OK),
            (one(), place(s3, &["198.51.101.7"]), "InvalidParameterValue"),
            (two(), place(igw, &["198.18.0.11"]), "InvalidInternetGatewayID.NotFound"),
            (one(), remove(e.corp), OK),
            (two(), remove(e.corp), "InvalidNetworkInterfaceID.NotFound"),
            (one(), remove(e.lab.i.1), "InvalidNetworkInterfaceID.NotFound"),
        ],
    );
    let seed = Edges::new(Profile::Seed);
    let igw = GatewayId::Internet(seed.igw);
    check(&seed.lab, [(one(), place(igw, &["2001:db8::1"]), "UnknownParameter")]);
    // Nobody is beyond a gateway that is gone.
    let (gateway, vpc, corp, web) = (e.vgw, e.lab.a, e.corp, e.web);
    let gone = e.with([
        (one(), Command::DetachVpnGateway { gateway, vpc }),
        (one(), Command::DeleteVpnGateway { gateway }),
    ]);
    assert!(gone.lab.cloud.outside_host(corp).is_none());
    assert!(gone.lab.cloud.outside_host(web).is_some());
}

#[test]
fn gateways_and_hosts_outside_have_names() {
    let e = Edges::new(Profile::Seed);
    let name = |resource| Command::CreateTags {
        resource,
        tags: vec![("Name".to_owned(), "edge".to_owned())],
    };
    for resource in [
        ResourceId::Gateway(GatewayId::Internet(e.igw)),
        ResourceId::NatGateway(e.nat),
        ResourceId::Interface(e.web),
    ] {
        check(&e.lab, [(one(), name(resource), OK), (two(), name(resource), "InvalidID")]);
    }
}

#[test]
fn a_vpc_with_an_edge_stays() {
    let lab = Lab::new(Profile::Seed);
    let vpc = lab.bare;
    let delete = || Command::DeleteVpc { vpc };
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let igw = build.internet_gateway(&one());
    let vgw = build.vpn_gateway(&one(), &[]);
    let s3 = endpoint(vpc, &["198.51.100.0/24"], &[lab.bare_main]);
    let lab = Lab { cloud: build.cloud, events: build.events, ..lab };
    check(&lab, [(one(), delete(), OK)]);
    for edge in [
        Command::AttachInternetGateway { gateway: igw, vpc },
        Command::AttachVpnGateway { gateway: vgw, vpc },
        s3,
    ] {
        check(&lab.clone().with([(one(), edge)]), [(one(), delete(), "DependencyViolation")]);
    }
}

#[test]
fn an_egress_only_gateway_is_its_vpcs_and_for_ipv6() {
    let e = Edges::new(Profile::Today);
    let (a, b, bare) = (e.lab.a, e.lab.b, e.lab.bare);
    let create = |vpc| Command::CreateEgressOnlyInternetGateway { vpc };
    let mut build = Build { cloud: e.lab.cloud.clone(), events: e.lab.events.clone() };
    let made = build.gateway(&one(), create(a));
    let GatewayId::EgressOnly(gateway) = made else { panic!("{made}") };
    let delete = || Command::DeleteEgressOnlyInternetGateway { gateway };
    let target = RouteTarget::Gateway(made);
    let to = |table, destination: &str| route(table, destination, target);
    let lab = Lab { cloud: build.cloud, events: build.events, ..e.lab };
    check(
        &lab,
        [
            (one(), create(a), "InvalidParameterValue"), // one for a VPC
            (one(), create(bare), OK),
            (one(), create(b), "InvalidVpcID.NotFound"),
            (two(), delete(), "InvalidEgressOnlyInternetGatewayId.NotFound"),
            (one(), delete(), OK),
            (one(), to(lab.a_main, "::/0"), OK),
            (one(), to(lab.a_main, "0.0.0.0/0"), "InvalidParameterValue"),
            (one(), to(lab.bare_main, "::/0"), "InvalidParameterValue"), // another VPC's
            (two(), to(lab.b_main, "::/0"), "InvalidGatewayID.NotFound"),
            (one(), place(made, &["2001:db8:ffff::1"]), OK),
        ],
    );
    let full = lab.quota(&one(), Quota::EgressOnlyGatewaysPerRegion, 1);
    check(&full, [(one(), create(bare), "EgressOnlyInternetGatewayLimitExceeded")]);
    // What names it stays, and cannot be used.
    let table = full.a_main;
    let named = full.with([(one(), to(table, "::/0"))]);
    let state = |lab: &Lab| lab.cloud.route_state(Hop::To(target), NOW);
    assert_eq!(state(&named), RouteState::Active);
    let gone = named.with([(one(), delete())]);
    assert_eq!(state(&gone), RouteState::Blackhole);
    assert_eq!(gone.cloud.egress_only_gateway_of(a), None);
    check(
        &gone,
        [
            (one(), create(bare), OK),
            (one(), delete(), "InvalidEgressOnlyInternetGatewayId.NotFound"),
        ],
    );
    // The rules of 2014-15 know no IPv6.
    let seed = Lab::new(Profile::Seed);
    check(&seed, [(one(), create(seed.a), "UnknownParameter")]);
}
