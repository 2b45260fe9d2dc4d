//! Random worlds: reference, fabric and the independent oracle agree on every packet.
//!
//! Holds the properties of the data plane over worlds of `support/plan.rs`, and tests that the
//! worlds are not idle: every reason must have been seen, and how often is printed. Refuses to
//! state what is right: `support/oracle.rs` does.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use ipnet::IpNet;
use proptest::prelude::*;
use vpclab::base::id::{InterfaceId, InterfaceIdx};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::fabric::Fabric;
use vpclab::forward::gate::Via;
use vpclab::forward::{self, Connections, Crossing, Drop, DropReason, Forwarder, Reference, Rows};
use vpclab::wire::Packet;

use crate::support::lab::{Lab, datagram};
use crate::support::oracle::{self, Left, Probe, Way};
use crate::support::plan::{Sent, World, over_plans};

/// How often each fate was seen.
#[derive(Default, Debug)]
struct Seen {
    packets: u64,
    delivered: u64,
    over_a_peering: u64,
    dropped: BTreeMap<DropReason, u64>,
}

impl Seen {
    fn count<T>(&mut self, fate: Result<T, DropReason>, peered: bool) {
        self.packets += 1;
        match fate {
            Ok(_) => {
                self.delivered += 1;
                self.over_a_peering += u64::from(peered);
            }
            Err(reason) => *self.dropped.entry(reason).or_default() += 1,
        }
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {} packets, {} delivered, {} of them over a peering",
            self.packets, self.delivered, self.over_a_peering
        );
        for (reason, count) in &self.dropped {
            println!("    {reason:<16} {count}");
        }
    }
}

fn fate(by: &impl Forwarder, from: InterfaceIdx, packet: &Packet) -> Result<InterfaceIdx, Drop> {
    let mut memory = Connections::default();
    by.enter(by.leave(from, packet, &mut memory)?, packet, &mut memory)
}

/// A crossing in the oracle's words.
fn way(crossing: Crossing, rows: &Rows) -> Way {
    let into = rows.vpc_id(crossing.into_vpc().unwrap());
    match crossing.via() {
        Via::Gateway(_) | Via::Outside(_) => panic!("these worlds have no edges"),
        Via::Subnet => Way::Subnet(into),
        Via::Local => Way::Inside(into),
        Via::Interface(named) => Way::At(rows.interface_id(named)),
        Via::Peering(peering) => Way::Over(rows.peering_id(peering), into),
    }
}

fn in_ids(fate: Result<InterfaceIdx, Drop>, rows: &Rows) -> Result<InterfaceId, DropReason> {
    fate.map(|at| rows.interface_id(at)).map_err(|drop| drop.reason)
}

fn probe(sent: Sent) -> Probe {
    Probe::datagram(sent.from, sent.source, sent.destination)
}

/// S1-S5, S7, S14, S18, L1, and the order of the checks: in each world every packet is judged by both
/// twins (answers compared whole, place included), by the oracle, and if it is delivered by the
/// safety properties in their own words.
///
/// Then time passes and the world changes while the packets that left are on their way; both twins
/// must judge their arrival by the new version, with the rows that the old crossing names.
#[test]
fn twins_and_oracle_agree() {
    let at_once = RefCell::new(Seen::default());
    let in_flight = RefCell::new(Seen::default());
    over_plans(1_000, 380..420, |plan| {
        let mut world = World::build(&plan);
        let mut rows = Rows::of(&world.lab.cloud);
        let sent: Vec<Sent> = plan.packets.iter().filter_map(|p| world.packet(p)).collect();
        let mut on_their_way: Vec<(Sent, Crossing, Packet)> = Vec::new();
        {
            let (cloud, now) = (&world.lab.cloud, world.lab.now);
            prop_assert_eq!(oracle::overlapping_peerings(cloud, now), vec![], "S7");
            let reference = Reference::new(cloud, &rows, now);
            let fabric = Fabric::compile(cloud, &rows, now);
            // Hosts that were terminated before are known to nobody who has just come.
            for sent in sent.into_iter().filter(|sent| rows.interface(sent.from).is_some()) {
                let packet = datagram(sent.source, sent.destination);
                let from = rows.interface(sent.from).unwrap();
                let verdict = fate(&reference, from, &packet);
                prop_assert_eq!(verdict, fate(&fabric, from, &packet), "{:?}", sent);
                let left = reference.leave(from, &packet, &mut Connections::default());
                let by_fabric = fabric.leave(from, &packet, &mut Connections::default());
                prop_assert_eq!(left, by_fabric, "{:?}", sent);
                let by_oracle = oracle::fate(cloud, now, probe(sent));
                prop_assert_eq!(in_ids(verdict, &rows), by_oracle, "{:?}", sent);
                let peered = left.is_ok_and(|crossing| matches!(crossing.via(), Via::Peering(_)));
                at_once.borrow_mut().count(by_oracle, peered);
                if let Ok(to) = by_oracle {
                    let breaches = oracle::breaches(cloud, now, probe(sent), to);
                    prop_assert!(breaches.is_empty(), "{:?}: {:?}", sent, breaches);
                }
                if let Ok(crossing) = left {
                    on_their_way.push((sent, crossing, packet));
                }
            }
        }
        for tweak in &plan.meanwhile {
            world.apply(*tweak);
        }
        let before = rows.clone();
        rows.update(&world.lab.cloud);
        let (cloud, now) = (&world.lab.cloud, world.lab.now);
        prop_assert_eq!(oracle::overlapping_peerings(cloud, now), vec![], "S7");
        let reference = Reference::new(cloud, &rows, now);
        let fabric = Fabric::compile(cloud, &rows, now);
        for (sent, crossing, packet) in on_their_way {
            prop_assert_eq!(
                way(crossing, &before),
                way(crossing, &rows),
                "rows keep their meaning"
            );
            let verdict = reference.enter(crossing, &packet, &mut Connections::default());
            let by_fabric = fabric.enter(crossing, &packet, &mut Connections::default());
            prop_assert_eq!(verdict, by_fabric, "{:?}", crossing);
            let left = Left { way: way(crossing, &rows), probe: probe(sent), own: true };
            let by_oracle = oracle::enter(cloud, now, left);
            prop_assert_eq!(in_ids(verdict, &rows), by_oracle, "{:?}", crossing);
            let peered = matches!(crossing.via(), Via::Peering(_));
            in_flight.borrow_mut().count(by_oracle, peered);
        }
        Ok(())
    });

    let (at_once, in_flight) = (at_once.into_inner(), in_flight.into_inner());
    at_once.print("random worlds, at once");
    in_flight.print("random worlds, changed while packets were on their way");
    assert!(at_once.packets >= 100_000, "{} packets", at_once.packets);
    assert!(at_once.over_a_peering > 10_000, "{at_once:?}");
    // What a packet that takes no time can meet, and what can come between.
    use DropReason::*;
    let met: Vec<DropReason> = at_once.dropped.keys().copied().collect();
    let all = [InterfaceDown, SourceCheck, NoRoute, Blackhole, Transit, NoSuchHost, DestCheck];
    assert_eq!(met, all);
    let met: Vec<DropReason> = in_flight.dropped.keys().copied().collect();
    assert_eq!(met, [InterfaceDown, PeeringGone, NoSuchHost, DestCheck]);
}

/// S6: what a table does is a function of the set of its routes. Five nested routes, among them a
/// blackhole, an interface and a default, set in each of the 120 orders: the same verdict for every
/// address at and beside each end of each prefix.
#[test]
fn the_order_of_routes_does_not_matter() {
    let mut lab = Lab::new(Profile::Seed);
    let (a, home) = lab.simple_vpc("10.0.0.0/16".parse().unwrap());
    let (b, far) = lab.simple_vpc("10.1.0.0/16".parse().unwrap());
    let (c, other) = lab.simple_vpc("10.2.0.0/16".parse().unwrap());
    let from = lab.host(home).unwrap();
    for subnet in [home, far, other] {
        lab.host(subnet).unwrap();
    }
    let (ab, ac) = (lab.request(a, b).unwrap(), lab.request(a, c).unwrap());
    lab.accept(ab).unwrap();
    let routes: Vec<(IpNet, RouteTarget)> = [
        ("0.0.0.0/0", RouteTarget::Peering(ab)),
        ("10.0.0.0/8", RouteTarget::Peering(ac)),
        ("10.1.0.0/16", RouteTarget::Peering(ab)),
        ("10.1.0.0/24", RouteTarget::Interface(from)),
        ("10.1.0.4/32", RouteTarget::Peering(ab)),
    ]
    .map(|(destination, target)| (destination.parse().unwrap(), target))
    .into();
    let ends = routes.iter().flat_map(|(net, _)| match net {
        IpNet::V4(net) => [net.network(), net.broadcast()].map(u32::from),
        IpNet::V6(_) => unreachable!("there is none above"),
    });
    let probes: BTreeSet<u32> =
        ends.flat_map(|end| [end.wrapping_sub(1), end, end.wrapping_add(1)]).collect();
    let packets: Vec<Packet> = probes
        .into_iter()
        .map(|address| datagram(lab.address(from), IpAddr::from(Ipv4Addr::from(address))))
        .collect();

    let rows = Rows::of(&lab.cloud);
    let sender = rows.interface(from).unwrap();
    let mut answers = BTreeSet::new();
    for order in orders(routes.len()) {
        let mut lab = lab.clone();
        for (destination, target) in order.iter().map(|at| routes[*at]) {
            lab.route(lab.main_table(a), destination, target).unwrap();
        }
        let reference = Reference::new(&lab.cloud, &rows, lab.now);
        let fabric = Fabric::compile(&lab.cloud, &rows, lab.now);
        let fates: Vec<_> = packets.iter().map(|p| fate(&reference, sender, p)).collect();
        assert_eq!(fates, packets.iter().map(|p| fate(&fabric, sender, p)).collect::<Vec<_>>());
        answers.insert(fates);
    }
    assert_eq!(answers.len(), 1, "one set of routes, several functions");
    let fates = answers.into_iter().next().unwrap();
    let seen: BTreeSet<Option<DropReason>> =
        fates.iter().map(|fate| fate.err().map(|drop| drop.reason)).collect();
    use DropReason::{Blackhole, DestCheck, NoSuchHost, Transit};
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [None, Some(Blackhole), Some(Transit), Some(NoSuchHost), Some(DestCheck)]
    );
}

/// Every order of `0..n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![Vec::new()] };
    let put = |mut order: Vec<usize>, at: usize| {
        order.insert(at, last);
        order
    };
    orders(last)
        .into_iter()
        .flat_map(|order| (0..n).map(move |at| put(order.clone(), at)))
        .collect()
}

/// The one reason that neither twin gives: bytes that are no packet never come to them. (That every
/// other reason of theirs is met is asserted in `whole.rs`; the links' are in `sim/worlds.rs`.)
#[test]
fn what_is_no_packet_is_dropped_before_the_twins() {
    let (drop, _) =
        forward::admit(InterfaceIdx::from_row(0), Bytes::new(), vpclab::wire::Offload::NONE)
            .unwrap_err();
    assert_eq!(drop.reason, DropReason::Malformed);
}
