//! Elastic IP addresses. What is lent to an instance is no allocation that anybody could name, so it
//! is shown with interfaces only.

use std::net::Ipv4Addr;

use super::{chosen, done, exactly, interface, tagged};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::base::id::{AddressAssociationId, AllocationId, InstanceId, InterfaceId};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::{AddressKind, PublicAddress};
use crate::cloud::refusal::Refusal;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "AllocateAddress",
        takes: &["Domain", "Address", "PublicIpv4Pool", "NetworkBorderGroup"],
        filters: &[],
        lacks: "Pools of one's own. Addresses are of the ranges for documentation and benchmarks.",
        run: Run::Write(allocate),
    },
    Operation {
        name: "DescribeAddresses",
        takes: &["AllocationId", "PublicIp"],
        filters: &[
            "allocation-id",
            "association-id",
            "domain",
            "instance-id",
            "network-border-group",
            "network-interface-id",
            "network-interface-owner-id",
            "private-ip-address",
            "public-ip",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_addresses),
    },
    Operation {
        name: "AssociateAddress",
        takes: &[
            "AllocationId",
            "PublicIp",
            "InstanceId",
            "NetworkInterfaceId",
            "PrivateIpAddress",
            "AllowReassociation",
        ],
        filters: &[],
        lacks: "",
        run: Run::Write(associate),
    },
    Operation {
        name: "DisassociateAddress",
        takes: &["AssociationId", "PublicIp"],
        filters: &[],
        lacks: "",
        run: Run::Write(disassociate),
    },
    Operation {
        name: "ReleaseAddress",
        takes: &["AllocationId", "PublicIp", "NetworkBorderGroup"],
        filters: &[],
        lacks: "",
        run: Run::Write(release),
    },
    Operation {
        name: "DescribeAddressesAttribute",
        takes: &["AllocationId", "Attribute"],
        filters: &[],
        lacks: "Nobody has a reverse DNS record.",
        run: Run::Read(describe_attribute),
    },
];

/// An address as it is shown.
struct AddressRow<'a>(AllocationId, &'a PublicAddress);

impl AddressRow<'_> {
    fn instance(&self, ask: &Ask<'_>) -> Option<InstanceId> {
        let (_, interface, _) = self.1.association?;
        ask.cloud().interface(interface)?.instance()
    }
}

impl Row for AddressRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let AddressRow(id, held) = self;
        match name {
            "allocation-id" => out.shows(id),
            "public-ip" => out.shows(held.address),
            "domain" => out.is("vpc"),
            "network-border-group" => out.is(ask.caller.region.as_str()),
            "association-id" => out.maybe(held.association.map(|(id, _, _)| id)),
            "network-interface-id" => out.maybe(held.association.map(|(_, id, _)| id)),
            "private-ip-address" => out.maybe(held.association.map(|(_, _, address)| address)),
            "network-interface-owner-id" => out.maybe(held.association.map(|_| held.owner)),
            "instance-id" => out.maybe(self.instance(ask)),
            _ => tag_fields(ask.tags(ResourceId::Allocation(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let AddressRow(id, held) = self;
        xml.text("publicIp", held.address);
        xml.text("allocationId", id);
        xml.text("domain", "vpc");
        xml.maybe("instanceId", self.instance(ask));
        if let Some((association, interface, private)) = held.association {
            xml.text("associationId", association);
            xml.text("networkInterfaceId", interface);
            xml.text("networkInterfaceOwnerId", held.owner);
            xml.text("privateIpAddress", private);
        }
        write_tags(xml, ask.tags(ResourceId::Allocation(*id)));
        xml.text("publicIpv4Pool", "amazon");
        xml.text("networkBorderGroup", ask.caller.region.as_str());
    }
}

/// The caller's addresses, without those that are lent to it.
fn owned<'a>(ask: &Ask<'a>) -> impl Iterator<Item = AddressRow<'a>> {
    let held = ask.cloud().public_addresses_of(ask.caller);
    held.filter(|(_, held)| held.kind == AddressKind::Elastic)
        .map(|(id, held)| AddressRow(id, held))
}

fn row<'a>(ask: &Ask<'a>, id: AllocationId) -> Result<AddressRow<'a>, Fault> {
    let held = ask.cloud().allocation(id).filter(|held| {
        let own = held.owner == ask.caller.account && held.region == ask.caller.region;
        own && held.kind == AddressKind::Elastic
    });
    Ok(AddressRow(id, held.ok_or(Refusal::AllocationNotFound(id))?))
}

/// The caller's address that is this one.
fn by_address<'a>(ask: &Ask<'a>, text: &str) -> Result<AddressRow<'a>, Fault> {
    let Ok(address) = text.parse::<Ipv4Addr>() else {
        return Err(Fault::value("publicIp", text));
    };
    owned(ask).find(|row| row.1.address == address).ok_or_else(|| {
        let message = format!("Address '{address}' not found.");
        Fault::new("InvalidAddress.NotFound", message)
    })
}

/// The address that a request is about, by its allocation or, as of old, by itself.
fn wanted<'a>(ask: &Ask<'a>) -> Result<AddressRow<'a>, Fault> {
    match (ask.params.id("AllocationId")?, ask.params.text("PublicIp")) {
        (Some(_), Some(_)) => {
            let message =
                "You may specify public IP or allocation id, but not both in the same call";
            Err(Fault::combination(message))
        }
        (Some(id), None) => row(ask, id),
        (None, Some(text)) => by_address(ask, text),
        (None, None) => {
            let message = "Either public IP or allocation id must be specified";
            Err(Fault::new("MissingParameter", message))
        }
    }
}

fn allocate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    match edit.params.text("Domain") {
        None | Some("vpc") => {}
        Some(other) => return Err(Fault::value("domain", other)),
    }
    match edit.params.text("PublicIpv4Pool") {
        None | Some("amazon") => {}
        Some(pool) => {
            let message = format!("The pool ID '{pool}' does not exist");
            return Err(Fault::new("InvalidPublicIpv4PoolID.NotFound", message));
        }
    }
    let address = edit.params.parsed("Address")?;
    let tags = edit.new_tags("elastic-ip")?;
    let id = edit.apply_for(&Command::AllocateAddress { address }, |change| match change {
        Change::AddressAllocated { allocation, .. } => Some(*allocation),
        _ => None,
    })?;
    edit.tag(ResourceId::Allocation(id), tags)?;
    let ask = edit.ask();
    xml.text("publicIp", row(&ask, id)?.1.address);
    xml.text("allocationId", id);
    xml.text("domain", "vpc");
    xml.text("publicIpv4Pool", "amazon");
    xml.text("networkBorderGroup", ask.caller.region.as_str());
    Ok(())
}

fn describe_addresses(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let mut rows = chosen(
        ask,
        "AllocationId",
        "allocation-id",
        |id| row(ask, id),
        || match exactly::<InterfaceId>(ask, "network-interface-id")? {
            Some(interfaces) => {
                let stand_for = interfaces.into_iter().flat_map(|id| interface::publics(ask, id));
                let allocations = stand_for.map(|(_, allocation, _)| allocation);
                Ok(allocations.filter_map(|id| row(ask, id).ok()).collect())
            }
            None => match tagged(ask)? {
                Some(ids) => Ok(ids.into_iter().filter_map(|id| row(ask, id).ok()).collect()),
                None => Ok(owned(ask).collect()),
            },
        },
    )?;
    let named: Vec<&str> = ask.params.list("PublicIp").collect();
    if !named.is_empty() {
        rows = named.into_iter().map(|text| by_address(ask, text)).collect::<Result<_, _>>()?;
    }
    describe(ask, xml, "addressesSet", PageBounds::USUAL, rows)
}

/// The interface that a request wants an address for.
fn target(ask: &Ask<'_>) -> Result<InterfaceId, Fault> {
    let interface: Option<InterfaceId> = ask.params.id("NetworkInterfaceId")?;
    let instance: Option<InstanceId> = ask.params.id("InstanceId")?;
    match (interface, instance) {
        (Some(interface), None) => Ok(interface),
        (None, Some(id)) => {
            let instance = ask.cloud().describe_instance(ask.caller, id, ask.now)?;
            let mut interfaces = instance.interfaces().map(|(_, interface)| interface);
            match (interfaces.next(), interfaces.next()) {
                (Some(only), None) => Ok(only),
                (Some(_), Some(_)) => {
                    let message = format!(
                        "There are multiple interfaces attached to instance '{id}'. Please specify \
                         an interface ID for the operation instead."
                    );
                    Err(Fault::new("InvalidInstanceID", message))
                }
                (None, _) => {
                    Err(Refusal::InstanceState { instance: id, action: "given an address" }.into())
                }
            }
        }
        (Some(interface), Some(id)) => {
            let instance = ask.cloud().describe_instance(ask.caller, id, ask.now)?;
            match instance.interfaces().any(|(_, of_it)| of_it == interface) {
                true => Ok(interface),
                false => Err(Fault::combination(format!(
                    "Network interface '{interface}' is not attached to instance '{id}'"
                ))),
            }
        }
        (None, None) => {
            let message = "Either instance ID or network interface id must be specified";
            Err(Fault::new("MissingParameter", message))
        }
    }
}

fn associate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let AddressRow(allocation, held) = wanted(&ask)?;
    let interface = target(&ask)?;
    let private: Option<Ipv4Addr> = ask.params.parsed("PrivateIpAddress")?;
    // In a VPC an address moves, unless it is said that it must not.
    let may_move = ask.params.flag("AllowReassociation")?.unwrap_or(true);
    let stands_for =
        private.or_else(|| ask.cloud().interface(interface).and_then(super::primary_ipv4));
    let before = held.association;
    // Asked for again, it stays as it is.
    if let Some((association, of, private)) = before
        && of == interface
        && Some(private) == stands_for
    {
        done(xml);
        xml.text("associationId", association);
        return Ok(());
    }
    let command = Command::AssociateAddress { allocation, interface, private };
    let mut leaving: Vec<AddressAssociationId> = Vec::new();
    match ask.cloud().check(ask.caller, &command, ask.now) {
        Ok(()) => {}
        // The last of the cloud's questions, so nothing else will be in the way.
        Err(Refusal::AddressAlreadyAssociated(_)) if may_move => {
            leaving.extend(before.map(|(association, _, _)| association));
            let other =
                stands_for.and_then(|private| ask.cloud().public_allocation(interface, private));
            let other = other.filter(|(_, held)| held.kind == AddressKind::Elastic);
            leaving.extend(other.and_then(|(_, held)| Some(held.association?.0)));
        }
        Err(refusal) => return Err(refusal.into()),
    }
    for association in &leaving {
        let command = Command::DisassociateAddress { association: *association };
        ask.cloud().check(ask.caller, &command, ask.now)?;
    }
    for association in leaving {
        edit.apply(&Command::DisassociateAddress { association })?;
    }
    let association = edit.apply_for(&command, |change| match change {
        Change::AddressAssociated { association, .. } => Some(*association),
        _ => None,
    })?;
    done(xml);
    xml.text("associationId", association);
    Ok(())
}

fn disassociate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let association = match (ask.params.id("AssociationId")?, ask.params.text("PublicIp")) {
        (Some(association), _) => association,
        (None, Some(text)) => {
            let held = by_address(&ask, text)?.1;
            let (association, ..) =
                held.association.ok_or(Refusal::AddressNotAssociated(held.address))?;
            association
        }
        (None, None) => {
            let message = "Either public IP or association id must be specified";
            return Err(Fault::new("MissingParameter", message));
        }
    };
    edit.apply(&Command::DisassociateAddress { association })?;
    done(xml);
    Ok(())
}

fn release(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let AddressRow(allocation, _) = wanted(&edit.ask())?;
    edit.apply(&Command::ReleaseAddress { allocation })?;
    done(xml);
    Ok(())
}

/// An address with its reverse DNS record, which none has.
struct RecordRow<'a>(AddressRow<'a>);

impl Row for RecordRow<'_> {
    fn key(&self) -> String {
        self.0.key()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        self.0.field(ask, name, out);
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        xml.text("publicIp", self.0.1.address);
        xml.text("allocationId", self.0.0);
    }
}

fn describe_attribute(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    match ask.params.text("Attribute") {
        None | Some("domain-name") => {}
        Some(other) => return Err(Fault::value("attribute", other)),
    }
    let rows = chosen(
        ask,
        "AllocationId",
        "allocation-id",
        |id| row(ask, id),
        || Ok(owned(ask).collect()),
    )?;
    let rows = rows.into_iter().map(RecordRow);
    describe(ask, xml, "addressSet", PageBounds { least: 1, most: 1_000 }, rows)
}
