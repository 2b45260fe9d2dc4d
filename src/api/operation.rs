//! The operations of the API, one file for each noun.
//!
//! Holds the list of areas, and the few things that several operations share. Refuses to hold rules
//! of the network: an operation turns parameters into a command of the cloud, and what the cloud says
//! into elements.

pub(super) mod account;
pub(super) mod address;
pub(super) mod dhcp;
pub(super) mod egress_only;
pub(super) mod endpoint;
pub(super) mod flow_log;
pub(super) mod image;
pub(super) mod insights;
pub(super) mod instance;
pub(super) mod instance_type;
pub(super) mod interface;
pub(super) mod internet_gateway;
pub(super) mod key_pair;
pub(super) mod nat_gateway;
pub(super) mod network_acl;
pub(super) mod peering;
pub(super) mod prefix_list;
pub(super) mod region;
pub(super) mod route_table;
pub(super) mod security_group;
pub(super) mod subnet;
pub(super) mod tag;
pub(super) mod vpc;
pub(super) mod vpn_gateway;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::dispatch::{Ask, Operation};
use super::fault::Fault;
use super::params::WireId;
use super::xml::Xml;
use crate::base::id::{AccountId, VpcId};
use crate::cloud::account::Caller;
use crate::cloud::instance::Interface;
use crate::cloud::refusal::Refusal;
use crate::cloud::tagged::TaggedId;
use crate::cloud::vpc::Vpc;

/// Every operation, by area, in the order of the coverage page.
pub(super) const AREAS: &[(&str, &[Operation])] = &[
    ("Regions and zones", region::OPERATIONS),
    ("VPCs", vpc::OPERATIONS),
    ("DHCP options", dhcp::OPERATIONS),
    ("Subnets", subnet::OPERATIONS),
    ("Route tables", route_table::OPERATIONS),
    ("Peering connections", peering::OPERATIONS),
    ("Instances", instance::OPERATIONS),
    ("Instance types", instance_type::OPERATIONS),
    ("Images", image::OPERATIONS),
    ("Key pairs", key_pair::OPERATIONS),
    ("Network interfaces", interface::OPERATIONS),
    ("Elastic IP addresses", address::OPERATIONS),
    ("Network Insights", insights::OPERATIONS),
    ("Internet gateways", internet_gateway::OPERATIONS),
    ("Egress-only internet gateways", egress_only::OPERATIONS),
    ("NAT gateways", nat_gateway::OPERATIONS),
    ("Virtual private gateways", vpn_gateway::OPERATIONS),
    ("Endpoints", endpoint::OPERATIONS),
    ("Security groups", security_group::OPERATIONS),
    ("Prefix lists", prefix_list::OPERATIONS),
    ("Network ACLs", network_acl::OPERATIONS),
    ("Flow logs", flow_log::OPERATIONS),
    ("Tags", tag::OPERATIONS),
    ("Accounts", account::OPERATIONS),
];

/// The primary private address of an interface.
pub(super) fn primary_ipv4(interface: &Interface) -> Option<Ipv4Addr> {
    interface.addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

/// The answer of an operation that has nothing to say.
pub(super) fn done(xml: &mut Xml) {
    xml.text("return", true);
}

/// A resource's name across accounts and regions.
pub(super) fn arn(caller: &Caller, kind: &str, id: impl std::fmt::Display) -> String {
    arn_of(caller.account, caller.region.as_str(), kind, id)
}

/// The same, of a resource whose owner need not be the caller.
pub(super) fn arn_of(
    owner: AccountId,
    region: &str,
    kind: &str,
    id: impl std::fmt::Display,
) -> String {
    format!("arn:aws:ec2:{region}:{owner}:{kind}/{id}")
}

/// The VPC, if it is the caller's.
///
/// # Errors
/// `InvalidVpcID.NotFound`.
pub(super) fn own_vpc<'a>(ask: &Ask<'a>, id: VpcId) -> Result<&'a Vpc, Fault> {
    let owned = |vpc: &&Vpc| vpc.owner == ask.caller.account && vpc.region == ask.caller.region;
    Ok(ask.cloud().vpc(id).filter(owned).ok_or(Refusal::VpcNotFound(id))?)
}

/// Is the VPC the caller's?
pub(super) fn owns(ask: &Ask<'_>, id: VpcId) -> bool {
    own_vpc(ask, id).is_ok()
}

/// The caller's VPCs; if filters name some of them in `field`, only those.
pub(super) fn vpcs<'a>(ask: &Ask<'a>, field: &str) -> Result<Vec<(VpcId, &'a Vpc)>, Fault> {
    match exactly::<VpcId>(ask, field)? {
        Some(ids) => {
            Ok(ids.into_iter().filter_map(|id| Some((id, own_vpc(ask, id).ok()?))).collect())
        }
        None => Ok(ask.cloud().vpcs_of(ask.caller).collect()),
    }
}

/// The ids that a field must have, if a filter without wildcards says so, each once: what an index is
/// asked for. A value that is no id matches nothing.
pub(super) fn exactly<T: WireId>(ask: &Ask<'_>, field: &str) -> Result<Option<Vec<T>>, Fault> {
    let filters = ask.filters()?;
    let Some(values) = filters.exactly(field) else { return Ok(None) };
    let mut ids: Vec<T> = Vec::new();
    for id in values.into_iter().filter_map(|value| value.parse().ok()) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(Some(ids))
}

/// The resources that filters on tags leave, as far as the index of tags tells: each once, in any
/// order and any region. `None` if there is no such filter.
pub(super) fn tagged<T: TaggedId>(ask: &Ask<'_>) -> Result<Option<Vec<T>>, Fault> {
    let filters = ask.filters()?;
    let (cloud, account) = (ask.cloud(), ask.caller.account);
    let mut walks: Vec<(Vec<T>, Box<dyn Iterator<Item = T> + '_>)> = Vec::new();
    for (key, values) in filters.tags() {
        let walk: Box<dyn Iterator<Item = T>> = match values {
            None => Box::new(cloud.tagged_with_key(account, key)),
            Some(values) => {
                let values: BTreeSet<&str> = values.into_iter().collect();
                let of = move |value| cloud.tagged_with(account, key, value);
                Box::new(values.into_iter().flat_map(of))
            }
        };
        walks.push((Vec::new(), walk));
    }
    // One step in each in turn, so that it is the narrowest filter that decides what this costs.
    while !walks.is_empty() {
        for (found, walk) in &mut walks {
            match walk.next() {
                Some(id) => found.push(id),
                None => return Ok(Some(std::mem::take(found))),
            }
        }
    }
    Ok(None)
}

/// What VPCs have, of the kind that `of` tells: those VPCs that a filter on `field` names; else what
/// filters on tags leave, which need not be the caller's here; else all of the caller's.
pub(super) fn in_vpcs<'a, T: TaggedId + 'a>(
    ask: &Ask<'a>,
    field: &str,
    of: impl Fn(&'a Vpc) -> &'a [T],
) -> Result<Vec<T>, Fault> {
    if exactly::<VpcId>(ask, field)?.is_none()
        && let Some(tagged) = tagged(ask)?
    {
        return Ok(tagged);
    }
    Ok(vpcs(ask, field)?.into_iter().flat_map(|(_, vpc)| of(vpc)).copied().collect())
}

/// The rows that a Describe operation is about: those that the request lists under `list`, which must
/// all be there; else those that a filter on `field` names; else all.
///
/// # Errors
/// An id that is none, or the refusal of `find` for a listed id.
pub(super) fn chosen<T: WireId + Copy, R>(
    ask: &Ask<'_>,
    list: &str,
    field: &str,
    find: impl Fn(T) -> Result<R, Fault>,
    all: impl FnOnce() -> Result<Vec<R>, Fault>,
) -> Result<Vec<R>, Fault> {
    let listed: Vec<T> = ask.params.ids(list)?;
    if !listed.is_empty() {
        return listed.into_iter().map(find).collect();
    }
    match exactly(ask, field)? {
        Some(ids) => Ok(ids.into_iter().filter_map(|id| find(id).ok()).collect()),
        None => all(),
    }
}
