//! Rules about a VPC's own edges: the way to the internet.
//!
//! Holds the mistakes that leave a subnet, a NAT gateway or a public address without it. Using a peer's edge is in
//! `routes.rs`.

use super::lens::Lens;
use super::{Evidence, Finding, Subject};
use crate::base::id::*;
use crate::cloud::gateway::GatewayId;
use crate::cloud::instance::{Host, Interface};
use crate::cloud::route_table::{Hop, Route, RouteState, RouteTarget};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) fn check(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    without_public_address(lens, found);
    without_gateway(lens, found);
    for (id, nat) in lens.cloud.nat_gateways() {
        let Some(subnet) = lens.cloud.interface(nat.interface).map(|i| i.subnet) else { continue };
        let Some(table) = lens.cloud.table_of(subnet) else { continue };
        if internet_route(lens, table).is_none() {
            let evidence = Evidence::NatNoInternet { subnet, table };
            found.push(Finding { subject: Subject::Nat(id), evidence });
        }
    }
}

/// The widest IPv4 route of a table that leads to an internet gateway, and the gateway.
fn internet_route(lens: &Lens<'_>, table: RouteTableId) -> Option<(Route, GatewayId)> {
    let usable = |route: &Route| lens.cloud.route_state(route.hop, lens.now) == RouteState::Active;
    let leads = |route: Route| match route.hop {
        Hop::To(RouteTarget::Gateway(id @ GatewayId::Internet(_)))
            if route.destination.addr().is_ipv4() && usable(&route) =>
        {
            Some((route, id))
        }
        _ => None,
    };
    let routes = lens.routes(table).iter().copied().filter_map(leads);
    routes.min_by_key(|(route, _)| (route.destination.prefix_len(), route.destination))
}

/// Subnets that lead to the internet gateway and have instances, none of them with a public address. A
/// NAT gateway there is what the route is for.
fn without_public_address(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    let held = lens.cloud.public_addresses().filter_map(|(_, address)| address.association);
    let public: BTreeSet<InterfaceId> = held.map(|(_, interface, _)| interface).collect();
    let mut residents: BTreeMap<SubnetId, Vec<(InterfaceId, &Interface)>> = BTreeMap::new();
    for (id, interface) in lens.cloud.interfaces() {
        if interface.host != Host::Nobody && interface.addresses.iter().any(IpAddr::is_ipv4) {
            residents.entry(interface.subnet).or_default().push((id, interface));
        }
    }
    for (subnet, residents) in residents {
        let Some(table) = lens.cloud.table_of(subnet) else { continue };
        let Some((route, gateway)) = internet_route(lens, table) else { continue };
        if residents.iter().any(|(id, _)| public.contains(id)) {
            continue;
        }
        let instances = residents.iter().filter_map(|(_, i)| i.instance()).collect();
        let destination = route.destination;
        let evidence = Evidence::IgwNoPublicAddress { table, destination, gateway, instances };
        found.push(Finding { subject: Subject::Subnet(subnet), evidence });
    }
}

/// Instances with a public address in subnets whose table leads to no internet gateway. A route to an
/// instance may lead there by a firewall, as internet gateways go by the address alone.
fn without_gateway(lens: &Lens<'_>, found: &mut Vec<Finding>) {
    for (_, public) in lens.cloud.public_addresses() {
        let Some((_, id, _)) = public.association else { continue };
        let Some(interface) = lens.cloud.interface(id).filter(|i| i.instance().is_some()) else {
            continue;
        };
        let Some(table) = lens.cloud.table_of(interface.subnet) else { continue };
        let is_to_instance =
            |route: &Route| matches!(route.hop, Hop::To(RouteTarget::Interface(_)));
        let leads =
            internet_route(lens, table).is_some() || lens.routes(table).iter().any(is_to_instance);
        if !leads {
            let evidence = Evidence::PublicNoGateway { address: public.address, table };
            found.push(Finding { subject: Subject::Interface(id), evidence });
        }
    }
}
