//! The tree of what an instance is told: leaves with their texts, and folders that list what they hold.
//!
//! Holds which leaves there are (EUG instancedata-data-categories, those of which the cloud knows
//! anything) and how a path is looked up. Refuses to know HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::base::id::InterfaceId;
use crate::cloud::Cloud;
use crate::cloud::hostname::{Hostname, Kind};
use crate::cloud::instance::{DeviceIndex, Host, hardware_address};
use crate::cloud::vpc::Vpc;

/// Texts by their paths below `/latest/meta-data/`.
pub(super) type Leaves = BTreeMap<String, String>;

/// Where the tree stands.
const ROOT: &str = "latest/meta-data/";

/// The text at a path: a leaf's own, or the list of what a folder holds, folders with a slash behind.
/// `None` if there is neither.
pub(super) fn look_up(leaves: &Leaves, path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    let below = |folder: &str| -> Option<String> {
        let mut names = BTreeSet::new();
        for leaf in leaves.keys() {
            let full = format!("{ROOT}{leaf}");
            let Some(rest) = full.strip_prefix(folder) else { continue };
            names.insert(match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None => rest.to_owned(),
            });
        }
        let names: Vec<String> = names.into_iter().collect();
        (!names.is_empty()).then(|| names.join("\n"))
    };
    if let Some(text) = path.strip_prefix(ROOT).and_then(|leaf| leaves.get(leaf)) {
        return Some(text.clone());
    }
    match path {
        "" => below(""),
        path if path.ends_with('/') => below(path),
        path => below(&format!("{path}/")),
    }
}

/// What the instance behind an interface is told. Empty if there is none.
pub(super) fn leaves(cloud: &Cloud, host: InterfaceId) -> Leaves {
    leaves_of(cloud, host).unwrap_or_default()
}

fn leaves_of(cloud: &Cloud, host: InterfaceId) -> Option<Leaves> {
    let Host::Instance(id) = cloud.interface(host)?.host else { return None };
    let instance = cloud.instance(id)?;
    let primary = instance.interface().unwrap_or(host);
    let mut out = Leaves::new();
    for (device, interface) in instance.interfaces() {
        let folder = format!("network/interfaces/macs/{}/", hardware_address(interface));
        for (name, text) in interface_leaves(cloud, device, interface)? {
            // The primary interface is what the instance is known by.
            let known = match name.as_str() {
                "local-hostname" => &["hostname", "local-hostname"][..],
                "mac" => &["mac"],
                "public-hostname" => &["public-hostname"],
                _ => &[],
            };
            for known in known.iter().filter(|_| interface == primary) {
                out.insert((*known).to_owned(), text.clone());
            }
            out.insert(format!("{folder}{name}"), text);
        }
    }
    let at = cloud.interface(primary)?;
    let (v4, v6) = split(&at.addresses);
    out.insert("instance-id".to_owned(), id.to_string());
    out.extend(v4.first().map(|first| ("local-ipv4".to_owned(), first.to_string())));
    out.extend(v6.first().map(|first| ("ipv6".to_owned(), first.clone())));
    let public = v4.first().and_then(|first| cloud.public_address(primary, *first));
    out.extend(public.map(|public| ("public-ipv4".to_owned(), public.to_string())));
    let subnet = cloud.subnet(at.subnet)?;
    let zone = subnet.zone.as_str().to_owned();
    out.insert("placement/availability-zone".to_owned(), zone);
    out.insert("placement/availability-zone-id".to_owned(), subnet.zone.id());
    out.insert("placement/region".to_owned(), instance.region.as_str().to_owned());
    Some(out)
}

fn split(addresses: &[IpAddr]) -> (Vec<Ipv4Addr>, Vec<String>) {
    let mut out = (Vec::new(), Vec::new());
    for address in addresses {
        match address {
            IpAddr::V4(address) => out.0.push(*address),
            IpAddr::V6(address) => out.1.push(address.to_string()),
        }
    }
    out
}

/// What is told of one interface; lines of several values are empty of nothing.
fn interface_leaves(cloud: &Cloud, device: DeviceIndex, id: InterfaceId) -> Option<Leaves> {
    let interface = cloud.interface(id)?;
    let vpc = cloud.vpc(interface.vpc)?;
    let subnet = cloud.subnet(interface.subnet)?;
    let (v4, v6) = split(&interface.addresses);
    let public_of = |private: &Ipv4Addr| Some((cloud.public_address(id, *private)?, *private));
    let publics: Vec<(Ipv4Addr, Ipv4Addr)> = v4.iter().filter_map(public_of).collect();
    let name = |kind, address| Hostname::new(kind, address, vpc.region.clone()).to_string();
    let groups: Vec<String> = interface.groups.iter().map(ToString::to_string).collect();
    let named = vpc.dns().support.is_on() && vpc.dns().hostnames.is_on();
    let public = publics.first().filter(|_| named);
    let rows = [
        ("device-number", vec![device.get().to_string()]),
        ("interface-id", vec![id.to_string()]),
        ("ipv6s", v6),
        ("local-hostname", v4.first().map(|a| name(Kind::Private, *a)).into_iter().collect()),
        ("local-ipv4s", v4.iter().map(ToString::to_string).collect()),
        ("mac", vec![hardware_address(id)]),
        ("owner-id", vec![vpc.owner.to_string()]),
        ("public-hostname", public.map(|(a, _)| name(Kind::Public, *a)).into_iter().collect()),
        ("public-ipv4s", publics.iter().map(|(public, _)| public.to_string()).collect()),
        ("security-group-ids", groups),
        ("subnet-id", vec![interface.subnet.to_string()]),
        ("subnet-ipv4-cidr-block", vec![subnet.cidr.to_string()]),
        ("subnet-ipv6-cidr-blocks", subnet.ipv6.iter().map(ToString::to_string).collect()),
        ("vpc-id", vec![interface.vpc.to_string()]),
        ("vpc-ipv4-cidr-block", blocks(vpc, false).into_iter().take(1).collect()),
        ("vpc-ipv4-cidr-blocks", blocks(vpc, false)),
        ("vpc-ipv6-cidr-blocks", blocks(vpc, true)),
    ];
    let mut out = Leaves::new();
    for (name, lines) in rows.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        out.insert(name.to_owned(), lines.join("\n"));
    }
    for (public, private) in publics {
        out.insert(format!("ipv4-associations/{public}"), private.to_string());
    }
    Some(out)
}

fn blocks(vpc: &Vpc, ipv6: bool) -> Vec<String> {
    let of_family = |block: &&IpNet| matches!(block, IpNet::V6(_)) == ipv6;
    vpc.blocks().iter().filter(of_family).map(ToString::to_string).collect()
}
