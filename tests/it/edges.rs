//! Every small world with an edge: a hub with a gateway, a peer with routes to what lies beyond it,
//! and no way from the one to the other (S4, edge-to-edge; vpc-semantics 3.3).
//!
//! Visits each combination of the routes below, for each kind of edge, with an instance of the hub
//! that forwards or translates or neither, whatever the tables say. What is visited, and how large
//! it is, stands at each test.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests say how much they have looked at"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use vpclab::base::id::*;
use vpclab::base::time::Instant;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::gateway::{GatewayId, Line};
use vpclab::cloud::instance::SourceDestCheck;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::fabric::Fabric;
use vpclab::forward::middlebox::Role;
use vpclab::forward::walk::End;
use vpclab::forward::{DropReason, Forwarder, Memory, Reference, Rows};
use vpclab::wire::{Packet, build};

use crate::support::lab::Lab;

/// The kinds of edge that a hub can have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Edge {
    Internet,
    Nat,
    Vpn,
    DirectConnect,
    Endpoint,
}

const EDGES: [Edge; 5] =
    [Edge::Internet, Edge::Nat, Edge::Vpn, Edge::DirectConnect, Edge::Endpoint];

impl Edge {
    /// What lies beyond it.
    fn prefix(self) -> &'static str {
        match self {
            Edge::Internet | Edge::Nat => "198.51.100.0/24",
            Edge::Vpn | Edge::DirectConnect => "192.168.77.0/24",
            Edge::Endpoint => "52.92.0.0/16",
        }
    }

    /// A host there.
    fn host(self) -> IpAddr {
        match self {
            Edge::Internet | Edge::Nat => [198, 51, 100, 9].into(),
            Edge::Vpn | Edge::DirectConnect => [192, 168, 77, 9].into(),
            Edge::Endpoint => [52, 92, 0, 9].into(),
        }
    }
}

/// A hub `A` (10.0.0.0/16) with an edge and a middlebox, and a peer `B` (10.1.0.0/16).
///
/// `A` has a subnet for its host `a`, and one with a table of its own for the middlebox `m` and the
/// NAT gateway. `b` is in `B`, `o` beyond the edge. `a` and `m` have public addresses if the edge
/// leads to the internet.
struct World {
    lab: Lab,
    a: InterfaceId,
    m: InterfaceId,
    b: InterfaceId,
    o: InterfaceId,
    hub: VpcId,
    tables: [RouteTableId; 3],
    peering: PeeringId,
    /// What routes of A can name as the edge.
    edge: RouteTarget,
    /// The edge itself, where it is another: of the subnet of a NAT gateway.
    outer: RouteTarget,
    publics: Vec<IpAddr>,
}

const A_MAIN: usize = 0;
const A_MIDDLE: usize = 1;
const B_MAIN: usize = 2;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

impl World {
    fn new(edge: Edge) -> World {
        let mut lab = Lab::new(Profile::Seed);
        let account = AccountId::DEFAULT;
        let vpc =
            |lab: &mut Lab, cidr: &str| lab.vpc(account, Default::default(), cidr.parse().unwrap());
        let (hub, peer) = (vpc(&mut lab, "10.0.0.0/16"), vpc(&mut lab, "10.1.0.0/16"));
        let inner = lab.subnet(hub, "10.0.0.0/24".parse().unwrap(), None).unwrap();
        let middle = lab.subnet(hub, "10.0.1.0/24".parse().unwrap(), None).unwrap();
        let far = lab.subnet(peer, "10.1.0.0/24".parse().unwrap(), None).unwrap();
        let of_middle = lab.table_for(middle).unwrap();
        let [a, m, b] = [inner, middle, far].map(|subnet| lab.host(subnet).unwrap());
        let source_dest_check = SourceDestCheck::Off;
        let off =
            |interface| Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check };
        lab.must(hub, &off(m));
        // The peer's host may send what it likes: it stands for a router of its own.
        lab.must(peer, &off(b));
        let peering = lab.request(hub, peer).unwrap();
        lab.accept(peering).unwrap();
        let tables = [lab.main_table(hub), of_middle, lab.main_table(peer)];

        let mut publics = Vec::new();
        let mut public = |lab: &mut Lab| {
            let changes = lab.must(hub, &Command::AllocateAddress { address: None });
            let [Change::AddressAllocated { allocation, address, .. }] = changes[..] else {
                panic!("{changes:?}")
            };
            publics.push(IpAddr::V4(address));
            allocation
        };
        let made = |changes: Vec<Change>| match changes.first() {
            Some(Change::GatewayCreated { id, .. }) => *id,
            other => panic!("{other:?}"),
        };
        let beyond = vec![net(edge.prefix())];
        let outer = match edge {
            Edge::Internet | Edge::Nat => {
                let id = made(lab.must(hub, &Command::CreateInternetGateway));
                let GatewayId::Internet(gateway) = id else { panic!("{id}") };
                lab.must(hub, &Command::AttachInternetGateway { gateway, vpc: hub });
                for interface in [a, m] {
                    let allocation = public(&mut lab);
                    let private = None;
                    lab.must(hub, &Command::AssociateAddress { allocation, interface, private });
                }
                id
            }
            Edge::Vpn | Edge::DirectConnect => {
                let line = if edge == Edge::Vpn { Line::Vpn } else { Line::DirectConnect };
                let id = made(lab.must(hub, &Command::CreateVpnGateway { line, beyond }));
                let GatewayId::Vpn(gateway) = id else { panic!("{id}") };
                lab.must(hub, &Command::AttachVpnGateway { gateway, vpc: hub });
                id
            }
            Edge::Endpoint => {
                let (service, tables) = ("s3".to_owned(), Vec::new());
                let create =
                    Command::CreateVpcEndpoint { vpc: hub, service, prefixes: beyond, tables };
                made(lab.must(hub, &create))
            }
        };
        let place = Command::PlaceOutsideHost { beyond: outer, addresses: vec![edge.host()] };
        let o = match lab.must(hub, &place)[..] {
            [Change::OutsideHostPlaced { host, .. }] => host,
            ref other => panic!("{other:?}"),
        };
        let outer = RouteTarget::Gateway(outer);
        let edge = match edge {
            Edge::Nat => {
                let allocation = public(&mut lab);
                let create = Command::CreateNatGateway { subnet: middle, allocation };
                match lab.must(hub, &create).first() {
                    Some(Change::NatGatewayCreated { gateway, .. }) => RouteTarget::Nat(*gateway),
                    other => panic!("{other:?}"),
                }
            }
            _ => outer,
        };
        World { lab, a, m, b, o, hub, tables, peering, edge, outer, publics }
    }

    /// Sets a route, unless there is to be none. `false` if there can be no such route: those to an
    /// endpoint are to its own prefixes only.
    fn route(&mut self, table: usize, to: &str, target: Option<RouteTarget>) -> bool {
        let table = self.tables[table];
        match target {
            None => true,
            Some(RouteTarget::Gateway(GatewayId::Endpoint(endpoint))) => {
                if net(to) != net(Edge::Endpoint.prefix()) {
                    return false;
                }
                let (add, remove) = (vec![table], Vec::new());
                self.lab
                    .ask(self.hub, &Command::ModifyVpcEndpoint { endpoint, add, remove })
                    .is_ok()
            }
            Some(target) => self.lab.route(table, net(to), target).is_ok(),
        }
    }
}

/// What was seen of the pairs that may meet, and of those that may not.
#[derive(Default, Debug)]
struct Seen {
    worlds: u64,
    packets: u64,
    delivered: BTreeMap<(Edge, &'static str), u64>,
    dropped: BTreeMap<DropReason, u64>,
}

/// The packets of a world: from whom, and what. Answers to nothing are among them, because a NAT
/// device looks for what they answer.
fn packets(world: &World, edge: Edge) -> Vec<(InterfaceId, Packet)> {
    let address = |id| world.lab.address(id);
    let (a, m, b, o) = (address(world.a), address(world.m), address(world.b), edge.host());
    let udp = |source: IpAddr, destination: IpAddr, ports: [u16; 2]| {
        build::udp(SocketAddr::new(source, ports[0]), SocketAddr::new(destination, ports[1]), b"?")
            .unwrap()
    };
    let (ask, reply) = ([40_000, 53], [53, 40_000]);
    // First what opens translations: a, and b by its own name and in the name of a.
    let mut out = vec![
        (world.a, udp(a, o, ask)),
        (world.b, udp(b, o, ask)),
        (world.b, udp(a, o, ask)),
        (world.b, udp(o, a, reply)),
        (world.b, udp(b, a, ask)),
        (world.b, udp(b, m, ask)),
        (world.b, udp(b, m, reply)),
        (world.a, udp(a, b, reply)),
        (world.m, udp(m, b, ask)),
        (world.m, udp(m, o, ask)),
    ];
    for to in world.publics.iter().copied().chain([a, m, b]) {
        out.push((world.o, udp(o, to, reply)));
        out.push((world.o, udp(o, to, ask)));
        out.push((world.b, udp(b, to, ask)));
    }
    out
}

fn look(world: &World, edge: Edge, role: Option<Role>, seen: &mut Seen) {
    let (cloud, now) = (&world.lab.cloud, Instant::START);
    let rows = Rows::of(cloud);
    let reference = Reference::new(cloud, &rows, now);
    let fabric = Fabric::compile(cloud, &rows, now);
    let mut memory = Memory::default();
    memory.middleboxes.set_role(world.m, role);
    let mut of_fabric = memory.connections.clone();
    seen.worlds += 1;
    for (from, packet) in packets(world, edge) {
        seen.packets += 1;
        let row = rows.interface(from).unwrap();
        // The first leg, by both twins.
        let mut of_reference = memory.connections.clone();
        let one = reference.leave(row, &packet, &mut of_reference);
        assert_eq!(one, fabric.leave(row, &packet, &mut of_fabric), "{packet:?}");
        let walk = reference.walk(row, &packet, &mut memory);
        of_fabric = memory.connections.clone();
        let to = match walk.end {
            End::Delivered(to) => to,
            End::Dropped(reason, _) => {
                *seen.dropped.entry(reason).or_default() += 1;
                continue;
            }
        };
        let within = |id| cloud.interface(id).map(|i| i.vpc);
        let who = match (from, within(from), within(to)) {
            (_, Some(x), Some(y)) if x == world.hub && y == world.hub => "a to a",
            (_, Some(x), Some(y)) if x == world.hub && y != world.hub => "a to b",
            (_, Some(x), Some(y)) if x != world.hub && y == world.hub => "b to a",
            (_, Some(_), Some(_)) => "b to b",
            (_, Some(x), None) if x == world.hub => "a to o",
            (_, None, Some(y)) if y == world.hub => "o to a",
            (_, None, None) => "o to o",
            (_, Some(_), None) | (_, None, Some(_)) => {
                panic!("{edge:?}: {packet:?} sent by {from} reached {to}\n{:#?}", walk.steps)
            }
        };
        *seen.delivered.entry((edge, who)).or_default() += 1;
    }
}

/// Five kinds of edge; each of these tables' choices, with a middlebox that does nothing, routes or
/// translates. For each destination: no route, or each target that the VPC has.
///
/// | table | what lies beyond | the other VPC |
/// |---|---|---|
/// | of `a` | none, edge, peering, middlebox | none, edge, peering, middlebox |
/// | of the middlebox | none, edge, gateway behind it, peering | none, edge, peering |
/// | of `b` | none, peering; by a default route: none, peering | none, peering |
///
/// With three roles that is `3·4²·3²·2³ = 3,456` worlds for each edge, a third more for the NAT gateway,
/// which has a gateway behind it, and half for the endpoint, whose routes are to its own prefixes only.
#[test]
fn no_edge_is_reached_from_a_peer_nor_reaches_one() {
    let mut seen = Seen::default();
    for edge in EDGES {
        let base = World::new(edge);
        let beyond = edge.prefix();
        let (peer, hub) = ("10.1.0.0/16", "10.0.0.0/16");
        let over = Some(RouteTarget::Peering(base.peering));
        let at_edge = Some(base.edge);
        let at_outer = Some(base.outer);
        let at_box = Some(RouteTarget::Interface(base.m));
        let mut slots: [(usize, &str, Vec<Option<RouteTarget>>); 7] = [
            (A_MAIN, beyond, vec![None, at_edge, over, at_box]),
            (A_MAIN, peer, vec![None, at_edge, over, at_box]),
            (A_MIDDLE, beyond, vec![None, at_edge, at_outer, over]),
            (A_MIDDLE, peer, vec![None, at_edge, over]),
            (B_MAIN, beyond, vec![None, over]),
            (B_MAIN, "0.0.0.0/0", vec![None, over]),
            (B_MAIN, hub, vec![None, over]),
        ];
        // Only a NAT gateway has another edge behind it.
        slots.iter_mut().for_each(|(.., choices)| choices.dedup());
        let worlds: usize = slots.iter().map(|(.., choices)| choices.len()).product();
        for number in 0..worlds {
            let mut world = World { lab: base.lab.clone(), publics: base.publics.clone(), ..base };
            let mut rest = number;
            let mut is_possible = true;
            for (table, to, choices) in &slots {
                let target = choices[rest % choices.len()];
                rest /= choices.len();
                is_possible &= world.route(*table, to, target);
            }
            if is_possible {
                for role in [None, Some(Role::Router), Some(Role::Nat)] {
                    look(&world, edge, role, &mut seen);
                }
            }
        }
    }
    println!("edges: {} worlds, {} packets", seen.worlds, seen.packets);
    for ((edge, who), count) in &seen.delivered {
        println!("    {who} {edge:<14?} {count}");
    }
    for (reason, count) in &seen.dropped {
        println!("    {reason:<20} {count}");
    }
    assert_eq!(seen.worlds, 3 * 3_456 + 3_456 * 4 / 3 + 3_456 / 2);
    // Nobody was refused for want of trying: each hub reaches beyond its edge, and each peer the hub.
    for edge in EDGES {
        for who in ["a to o", "a to b", "b to a", "o to a"] {
            assert!(seen.delivered.contains_key(&(edge, who)), "{who} with {edge:?}");
        }
    }
    for reason in [DropReason::Transit, DropReason::NoTranslation, DropReason::NoPublicAddress] {
        assert!(seen.dropped.contains_key(&reason), "{reason}");
    }
}
