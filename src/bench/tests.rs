//! The networks of the bench are what they are said to be, and its packets meet their fates.
#![allow(clippy::unwrap_used, reason = "a failure names the line")]

use super::engine::{Engine, Fate, Worker, by_reference};
use super::topics::thousands;
use super::world::{Choice, Filters, Shape, Stream, Towards, World, zipf};
use crate::forward::DropReason;
use crate::wire::Family;

const SMALL: Shape =
    Shape { vpcs: 3, hosts: 6, routes: 40, family: Family::V4, filters: Filters::Plain };

/// Every kind of network and packet, judged by the forwarder and by the reference.
#[test]
fn packets_meet_the_fate_they_are_made_for() {
    let towards = [
        (Towards::Peer, Fate::Delivered),
        (Towards::Local, Fate::Delivered),
        (Towards::Beyond, Fate::Dropped(DropReason::Transit)),
        (Towards::Nowhere, Fate::Dropped(DropReason::NoRoute)),
    ];
    for (vpcs, routes) in [(2, 10), (3, 40), (3, 200), (130, 2)] {
        for family in [Family::V4, Family::V6] {
            for filters in Filters::ALL {
                // Lists would stop what goes nowhere before a table is asked.
                let shape = Shape { vpcs, routes, family, filters, ..SMALL };
                let world = World::build(shape).unwrap();
                let engine = Engine::compile(&world.cloud, &world.rows);
                for (towards, want) in towards {
                    let is_filtered = filters != Filters::Plain;
                    if is_filtered && matches!(want, Fate::Dropped(_)) {
                        continue;
                    }
                    let stream = Stream { flows: 64, length: 64, towards, choice: Choice::Skewed };
                    let parcels = world.parcels(stream).unwrap();
                    assert!(parcels.iter().all(|p| p.packet.len() == 64));
                    let mut worker = Worker::new();
                    worker.forward(&engine, &parcels);
                    assert_eq!(worker.fates(), [(want, 64)], "{shape:?} {towards:?}");
                    worker.admit_and_forward(&engine, &parcels);
                    assert_eq!(worker.fates(), [(want, 128)], "{shape:?} {towards:?}");
                    let judged = by_reference(&world.cloud, &world.rows, &parcels);
                    assert!(judged.iter().all(|fate| *fate == want), "{shape:?} {towards:?}");
                }
            }
        }
    }
}

/// As many routes as are asked for, all different, whether or not they were asked for.
#[test]
fn tables_have_the_routes_they_are_said_to_have() {
    for routes in [2, 63, 65, 5_000] {
        let world = World::build(Shape { routes, ..SMALL }).unwrap();
        for (_, table) in world.cloud.tables() {
            assert_eq!(table.routes().count(), routes + 2, "{routes}");
        }
    }
}

#[test]
fn a_changed_route_is_one_more_and_then_one_less() {
    let mut world = World::build(SMALL).unwrap();
    let count =
        |world: &World| world.cloud.tables().map(|(_, t)| t.routes().count()).sum::<usize>();
    let before = count(&world);
    world.change_route(true).unwrap();
    assert_eq!(count(&world), before + 1);
    world.change_route(false).unwrap();
    assert_eq!(count(&world), before);
}

#[test]
fn sizes_out_of_range_are_refused() {
    let rows = [(1, 6), (131_073, 6), (2, 1), (2, 60_001), (129, 55)];
    for (vpcs, hosts) in rows {
        assert!(World::build(Shape { vpcs, hosts, ..SMALL }).is_err(), "{vpcs} {hosts}");
    }
}

/// By rank 1/1, 1/2, 1/3 and so on, but for what rounding ranks down adds to the first.
#[test]
fn a_skewed_choice_falls_with_the_rank() {
    let mut counts = [0; 10];
    for n in 0..10_000 {
        counts[zipf(f64::from(n) / 1e4, 10)] += 1;
    }
    let mut sorted = counts;
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!((2_800..3_000).contains(&sorted[0]), "ln 2 / ln 11: {counts:?}");
    assert!((1_600..1_800).contains(&sorted[1]), "ln 1.5 / ln 11: {counts:?}");
}

#[test]
fn numbers_have_commas() {
    let rows = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
    for (n, want) in rows {
        assert_eq!(thousands(n), want);
    }
}
