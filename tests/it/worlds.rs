//! Every small world: no packet crosses two peerings, whatever the route tables say.
//!
//! Visits worlds exhaustively and compares four answers for every ordered pair of VPCs: those of
//! both forwarders, whole, that of the oracle, and what `support/small.rs` expects of the numbers
//! that the world was made from. Which sets are visited, and how large they are, stands at each
//! test.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use vpclab::base::id::InterfaceIdx;
use vpclab::forward::fabric::Fabric;
use vpclab::forward::{Connections, Drop, DropReason, Forwarder, Reference, Rows};
use vpclab::wire::Packet;

use crate::support::family::{Family, Tally, families, families_up_to_names, visit};
use crate::support::oracle::{self, Probe};
use crate::support::small::{Defaults, Expected, Shape, SmallWorld, Stage};

/// The whole way of a packet, as if it took no time.
fn fate(by: &impl Forwarder, from: InterfaceIdx, packet: &Packet) -> Result<InterfaceIdx, Drop> {
    let mut memory = Connections::default();
    by.enter(by.leave(from, packet, &mut memory)?, packet, &mut memory)
}

fn look_at(world: &SmallWorld, rows: &Rows, packets: &[(usize, usize, Packet)], tally: &mut Tally) {
    let (cloud, now) = (&world.lab.cloud, world.lab.now);
    let reference = Reference::new(cloud, rows, now);
    let fabric = Fabric::compile(cloud, rows, now);
    tally.worlds += 1;
    for (x, y, packet) in packets {
        let from = rows.interface(world.hosts[*x]).unwrap();
        let by_reference = fate(&reference, from, packet);
        let by_fabric = fate(&fabric, from, packet);
        let seen = match by_reference {
            Ok(at) => {
                let id = rows.interface_id(at);
                Expected::Host(world.hosts.iter().position(|host| *host == id).unwrap())
            }
            Err(drop) => Expected::Dropped(drop.reason),
        };
        let context =
            || format!("{x} -> {y}\n{:?}\n{:?}\n{:?}", world.shape, world.digits, world.slots);
        assert_eq!(by_reference, by_fabric, "reference and fabric, {}", context());
        assert_eq!(seen, world.expected(*x, *y), "{}", context());
        let (source, destination) = (packet.source(), packet.destination());
        let probe = Probe::datagram(world.hosts[*x], source, destination);
        let in_ids = by_reference.map(|at| rows.interface_id(at)).map_err(|drop| drop.reason);
        assert_eq!(in_ids, oracle::fate(cloud, now, probe), "oracle, {}", context());
        match seen {
            Expected::Host(z) => {
                assert!(world.may_meet(*x, z), "no active peering joins the two, {}", context());
                tally.delivered += 1;
            }
            Expected::Dropped(reason) => *tally.dropped.entry(reason).or_default() += 1,
        }
    }
}

/// Every world of three VPCs with different blocks: each pair has no peering, or one that is
/// pending, active or deleted; each table has, for either other block and for everything, no route
/// or one to a peering of its VPC.
///
/// A VPC with `d` peerings has `(d + 1)^3` tables, so by the number of peerings, with `3` stages
/// each: `1 + 3·3·8² + 3·9·27·8² + 27·27³ = 578,674`.
#[test]
fn three_vpcs() {
    const STAGES: &[Stage] = &[Stage::Pending, Stage::Active, Stage::Deleted];
    let seen =
        visit("three VPCs", &families(&Shape::all(&[0, 1, 2]), Defaults::With, STAGES), look_at);
    assert_eq!(seen.worlds, 578_674);
    assert_eq!(seen.packets(), 578_674 * 6);
    assert_eq!(
        seen.dropped.keys().copied().collect::<Vec<_>>(),
        [DropReason::NoRoute, DropReason::Blackhole, DropReason::Transit]
    );
}

/// The same, with equal blocks: two VPCs (three ways to choose them), or all three.
///
/// Two that share a block have no peering with each other, and there is one other block:
/// `(d + 1)^2` tables, `1 + 2·3·4² + 9·9·4² = 1,393` worlds. If all three share it: one world.
/// Together `3·1,393 + 1 = 4,180`.
#[test]
fn three_vpcs_with_equal_blocks() {
    const STAGES: &[Stage] = &[Stage::Pending, Stage::Active, Stage::Deleted];
    let blocks = [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1]];
    let shapes: Vec<Shape> = blocks.iter().flat_map(|blocks| Shape::all(blocks)).collect();
    let seen =
        visit("three VPCs, equal blocks", &families(&shapes, Defaults::With, STAGES), look_at);
    assert_eq!(seen.worlds, 4_180);
}

/// The families of all worlds of four VPCs in which at most two of the four tables have routes.
fn at_most_two_tables(defaults: Defaults) -> Vec<Family> {
    let sets = (0..16_usize).filter(|set| set.count_ones() <= 2);
    let busy = sets.map(|set| (0..4).filter(|vpc| set >> vpc & 1 == 1).collect::<Vec<usize>>());
    let busy: Vec<Vec<usize>> = busy.collect();
    let shapes = Shape::all(&[0, 1, 2, 3]);
    let of = |shape| busy.iter().map(move |busy| Family::only(shape, defaults, busy));
    shapes.iter().flat_map(of).collect()
}

/// Four VPCs, every graph of active peerings, no default routes: every world in which at most two
/// of the four tables have routes. A packet that went *through* one VPC would need just two tables.
///
/// A table of a VPC with 0, 1, 2, 3 peerings can be non-empty in 0, 7, 26, 63 ways (`(d + 1)^3 - 1`).
/// Over the 64 graphs: none has routes, 64; one, `4·(24·7 + 24·26 + 8·63)`; two, for each of the 6
/// pairs, peered or not, `2·(7 + 2·26 + 63)² + 2·(2·7 + 26)²`. Together 203,056.
#[test]
fn four_vpcs_with_at_most_two_tables() {
    let seen = visit("four VPCs, two tables", &at_most_two_tables(Defaults::Without), look_at);
    assert_eq!(seen.worlds, 203_056);
}

/// The same with default routes: `(d + 1)^4 - 1` is 0, 15, 80, 255.
/// `64 + 4·(24·15 + 24·80 + 8·255) + 6·(2·(15 + 2·80 + 255)² + 2·(2·15 + 80)²) = 2,381,344`.
#[test]
#[ignore = "28 million packets: half a minute on two cores"]
fn four_vpcs_with_at_most_two_tables_and_default_routes() {
    let seen =
        visit("four VPCs, two tables, defaults", &at_most_two_tables(Defaults::With), look_at);
    assert_eq!(seen.worlds, 2_381_344);
}

/// Four VPCs, every graph of active peerings, every table, no default routes; of worlds that differ
/// by the names of VPCs alone, one (the worlds of three VPCs are visited under all their names).
///
/// `(d + 1)^3` tables; by the number of peerings there are, with names, `1 + 6·8² +
/// (12·27·8² + 3·8⁴) + (4·27³ + 4·64·8³ + 12·27²·8²) + (3·27⁴ + 12·64·27²·8) + 6·64²·27² + 64⁴ =
/// 41,569,504` worlds: each visited one is counted as often as it has names.
#[test]
#[ignore = "seventy million packets: a minute and a half on two cores"]
fn four_vpcs() {
    let shapes = Shape::all(&[0, 1, 2, 3]);
    let seen = visit("four VPCs", &families_up_to_names(&shapes), look_at);
    assert_eq!(seen.with_names, 41_569_504);
    assert_eq!(seen.packets(), seen.worlds * 12);
}
