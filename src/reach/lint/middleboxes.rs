//! Rules about instances to which routes lead: do they get the packets, and do they send them on?
//!
//! Holds what follows from the source/destination check, the role and the tables of their subnets.
//! Refuses to ask whether a packet that is sent on arrives: that takes a packet.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::lens::Lens;
use super::{Evidence, Finding, Subject};
use crate::base::id::*;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::route_table::{Hop, Route, RouteState, RouteTarget};

/// The longest ring that is looked for: a packet has no more hops (RFC 1700).
const RING_MAX: usize = 64;

/// The routes to each instance, by table, of those that carry any packet.
type Led = BTreeMap<InterfaceId, Vec<(RouteTableId, IpNet)>>;

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    let led = led(lens);
    for (id, interface) in lens.cloud.interfaces() {
        if interface.instance().is_none() {
            continue;
        }
        let role = lens.middleboxes.role(id);
        let routes = led.get(&id).cloned().unwrap_or_default();
        let evidence = match (interface.source_dest_check, role) {
            (SourceDestCheck::On, None) if routes.is_empty() => continue,
            (SourceDestCheck::On, role) => Evidence::CheckedMiddlebox { role, routes },
            (SourceDestCheck::Off, None) if !routes.is_empty() => {
                Evidence::IdleMiddlebox { routes }
            }
            (SourceDestCheck::Off, _) => continue,
        };
        found.push(Finding { subject: Subject::Interface(id), evidence });
    }
    for (ring, destinations) in rings(lens, &led) {
        let Some((first, _)) = ring.first() else { continue };
        let subject = Subject::Interface(*first);
        let destinations = destinations.into_iter().collect();
        found.push(Finding { subject, evidence: Evidence::RoutingLoop { ring, destinations } });
    }
}

fn led(lens: &Lens<'_>) -> Led {
    let mut led = Led::new();
    for (id, table) in lens.cloud.tables() {
        for (destination, target) in table.routes() {
            let RouteTarget::Interface(to) = target else { continue };
            let usable = lens.cloud.route_state(Hop::To(target), lens.now) == RouteState::Active;
            if usable && !lens.effective(id, destination).is_empty() {
                led.entry(to).or_default().push((id, destination));
            }
        }
    }
    led
}

/// The table by which an instance sends on what it gets for others; `None` if it does not.
fn sends_on(lens: &Lens<'_>, id: InterfaceId) -> Option<RouteTableId> {
    let interface = lens.cloud.interface(id)?;
    lens.middleboxes.role(id)?;
    match interface.source_dest_check {
        SourceDestCheck::On => None,
        SourceDestCheck::Off => lens.cloud.table_of(interface.subnet),
    }
}

type Ring = Vec<(InterfaceId, RouteTableId)>;
type Rings = BTreeMap<Ring, BTreeSet<IpNet>>;

/// Every ring, from the one of its instances that has the lowest id, and the destinations of that
/// one's routes into it.
fn rings(lens: &Lens<'_>, led: &Led) -> Rings {
    let mut rings = Rings::new();
    for start in led.keys() {
        let Some(table) = sends_on(lens, *start) else { continue };
        for all in [Ipv4Net::default().into(), Ipv6Net::default().into()] {
            follow(lens, &mut vec![(*start, table)], all, None, &mut rings);
        }
    }
    rings
}

/// Follows packets for `block` from the last of `path` on. `into` is the route by which they left
/// the first.
fn follow(lens: &Lens<'_>, path: &mut Ring, block: IpNet, into: Option<IpNet>, rings: &mut Rings) {
    let (Some((first, _)), Some((_, table))) = (path.first().copied(), path.last().copied()) else {
        return;
    };
    for share in lens.shares(table, block) {
        let Some(route @ Route { hop: Hop::To(RouteTarget::Interface(next)), .. }) = share.route
        else {
            continue;
        };
        let into = into.unwrap_or(route.destination);
        let is_for_it = |address| IpNet::from(address) == share.block;
        let received =
            lens.cloud.interface(next).is_none_or(|i| i.addresses.iter().copied().any(is_for_it));
        if received || lens.cloud.route_state(route.hop, lens.now) != RouteState::Active {
            continue;
        }
        if next == first {
            rings.entry(path.clone()).or_default().insert(into);
        } else if next > first && path.len() < RING_MAX && path.iter().all(|(id, _)| *id != next) {
            let Some(table) = sends_on(lens, next) else { continue };
            path.push((next, table));
            follow(lens, path, share.block, Some(into), rings);
            path.pop();
        }
    }
}
