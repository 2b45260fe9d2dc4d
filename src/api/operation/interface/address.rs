//! Giving addresses to interfaces, and taking them away.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::own;
use crate::api::dispatch::Edit;
use crate::api::fault::Fault;
use crate::api::operation::done;
use crate::api::xml::Xml;
use crate::base::id::InterfaceId;
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::instance::Wanted;
use crate::cloud::refusal::Refusal;

/// Addresses that a request lists.
fn listed<A: std::str::FromStr>(edit: &Edit<'_>, name: &str) -> Result<Vec<A>, Fault> {
    let parse = |text: &str| text.parse().map_err(|_| Fault::value(name, text));
    edit.params.list(name).map(parse).collect()
}

/// What a request wants: these, or so many.
fn wanted<A: std::str::FromStr>(
    edit: &Edit<'_>,
    list: &'static str,
    count: &'static str,
) -> Result<Wanted<A>, Fault> {
    let these = listed(edit, list)?;
    match (these.is_empty(), edit.params.parsed::<u16>(count)?) {
        (false, Some(_)) => {
            Err(Fault::combination(format!("Only one of {list} and {count} can be specified")))
        }
        (false, None) => Ok(Wanted::These(these)),
        (true, Some(0)) => Err(Fault::value(count, "0")),
        (true, Some(count)) => Ok(Wanted::Free(count)),
        (true, None) => Err(Fault::missing(list)),
    }
}

fn assigned(change: &Change) -> Option<Vec<IpAddr>> {
    match change {
        Change::AddressesAssigned { addresses, .. } => Some(addresses.clone()),
        _ => None,
    }
}

/// `AssignPrivateIpAddresses`.
pub(super) fn assign_ipv4(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface = edit.params.needed_id("NetworkInterfaceId")?;
    let addresses: Wanted<Ipv4Addr> =
        wanted(edit, "PrivateIpAddress", "SecondaryPrivateIpAddressCount")?;
    if edit.params.flag("AllowReassignment")? == Some(true)
        && let Wanted::These(these) = &addresses
    {
        make_room(edit, interface, these)?;
    }
    let command = Command::AssignPrivateIpAddresses { interface, addresses };
    let addresses = edit.apply_for(&command, assigned)?;
    xml.text("networkInterfaceId", interface);
    xml.set("assignedPrivateIpAddressesSet", addresses, |xml, address| {
        xml.text("privateIpAddress", address);
    });
    done(xml);
    Ok(())
}

/// Takes addresses from the interfaces that have them, if nothing stands in the way of giving them to
/// this one.
fn make_room(
    edit: &mut Edit<'_>,
    interface: InterfaceId,
    wanted: &[Ipv4Addr],
) -> Result<(), Fault> {
    let ask = edit.ask();
    let new = own(&ask, interface)?;
    let taken = |address: &Ipv4Addr| ask.cloud().owner(new.vpc, (*address).into());
    let free: Vec<Ipv4Addr> = wanted.iter().filter(|a| taken(a).is_none()).copied().collect();
    let rest = Command::AssignPrivateIpAddresses { interface, addresses: Wanted::These(free) };
    ask.cloud().check(ask.caller, &rest, ask.now)?;
    let cidr = ask.cloud().subnet(new.subnet).map(|subnet| subnet.cidr);
    let mut leaving = Vec::new();
    for (n, address) in wanted.iter().enumerate() {
        let Some(old) = taken(address) else { continue };
        if wanted[..n].contains(address) {
            return Err(Refusal::AddressInUse((*address).into()).into());
        }
        if !cidr.is_some_and(|cidr| cidr.contains(address)) {
            return Err(Refusal::AddressNotInSubnet((*address).into()).into());
        }
        let command =
            Command::UnassignPrivateIpAddresses { interface: old, addresses: vec![*address] };
        ask.cloud().check(ask.caller, &command, ask.now)?;
        leaving.push(command);
    }
    for command in leaving {
        edit.apply(&command)?;
    }
    Ok(())
}

/// `UnassignPrivateIpAddresses`.
pub(super) fn unassign_ipv4(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface = edit.params.needed_id("NetworkInterfaceId")?;
    let addresses: Vec<Ipv4Addr> = listed(edit, "PrivateIpAddress")?;
    if addresses.is_empty() {
        return Err(Fault::missing("privateIpAddress"));
    }
    edit.apply(&Command::UnassignPrivateIpAddresses { interface, addresses })?;
    done(xml);
    Ok(())
}

/// `AssignIpv6Addresses`.
pub(super) fn assign_ipv6(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface = edit.params.needed_id("NetworkInterfaceId")?;
    let addresses: Wanted<Ipv6Addr> = wanted(edit, "Ipv6Addresses", "Ipv6AddressCount")?;
    let command = Command::AssignIpv6Addresses { interface, addresses };
    let addresses = edit.apply_for(&command, assigned)?;
    xml.text("networkInterfaceId", interface);
    xml.values("assignedIpv6Addresses", addresses);
    Ok(())
}

/// `UnassignIpv6Addresses`.
pub(super) fn unassign_ipv6(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface = edit.params.needed_id("NetworkInterfaceId")?;
    let addresses: Vec<Ipv6Addr> = listed(edit, "Ipv6Addresses")?;
    if addresses.is_empty() {
        return Err(Fault::missing("ipv6Addresses"));
    }
    let command = Command::UnassignIpv6Addresses { interface, addresses: addresses.clone() };
    edit.apply(&command)?;
    xml.text("networkInterfaceId", interface);
    xml.values("unassignedIpv6Addresses", addresses);
    Ok(())
}
