//! Network interfaces: what is shown of them, and the commands about them.
//!
//! Holds their rows and the operations on whole interfaces; those on addresses and attributes stand in
//! `interface/`.

mod address;
mod attribute;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{chosen, done, exactly, own_vpc, owns, primary_ipv4, subnet};
use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params::Params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::*;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::{AddressKind, PublicAddress};
use crate::cloud::hostname::{Hostname, Kind};
use crate::cloud::instance::{
    Attachment, DeviceIndex, Host, Interface, Ipv6Wish, NewInterface, OnTermination,
    SourceDestCheck, Wanted,
};
use crate::cloud::refusal::Refusal;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateNetworkInterface",
        takes: &[
            "SubnetId",
            "Description",
            "PrivateIpAddress",
            "PrivateIpAddresses",
            "SecondaryPrivateIpAddressCount",
            "Ipv6Addresses",
            "Ipv6AddressCount",
            "SecurityGroupId",
            "InterfaceType",
        ],
        filters: &[],
        lacks: "Prefixes in place of addresses; other types than `interface`.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeNetworkInterfaces",
        takes: &["NetworkInterfaceId"],
        filters: &[
            "addresses.association.owner-id",
            "addresses.association.public-ip",
            "addresses.primary",
            "addresses.private-ip-address",
            "association.allocation-id",
            "association.association-id",
            "association.ip-owner-id",
            "association.public-dns-name",
            "association.public-ip",
            "attachment.attach-time",
            "attachment.attachment-id",
            "attachment.delete-on-termination",
            "attachment.device-index",
            "attachment.instance-id",
            "attachment.instance-owner-id",
            "attachment.status",
            "availability-zone",
            "availability-zone-id",
            "description",
            "group-id",
            "group-name",
            "interface-type",
            "ipv6-addresses.ipv6-address",
            "mac-address",
            "network-interface-id",
            "owner-id",
            "private-dns-name",
            "private-ip-address",
            "requester-id",
            "requester-managed",
            "source-dest-check",
            "status",
            "subnet-id",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_interfaces),
    },
    Operation {
        name: "DeleteNetworkInterface",
        takes: &["NetworkInterfaceId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "AttachNetworkInterface",
        takes: &["NetworkInterfaceId", "InstanceId", "DeviceIndex", "NetworkCardIndex"],
        filters: &[],
        lacks: "Further network cards.",
        run: Run::Write(attach),
    },
    Operation {
        name: "DetachNetworkInterface",
        takes: &["AttachmentId", "Force"],
        filters: &[],
        lacks: "",
        run: Run::Write(detach),
    },
    Operation {
        name: "ModifyNetworkInterfaceAttribute",
        takes: &[
            "NetworkInterfaceId",
            "Description",
            "SourceDestCheck",
            "SecurityGroupId",
            "Attachment",
        ],
        filters: &[],
        lacks: "Timeouts of connection tracking.",
        run: Run::Write(attribute::modify),
    },
    Operation {
        name: "ResetNetworkInterfaceAttribute",
        takes: &["NetworkInterfaceId", "SourceDestCheck"],
        filters: &[],
        lacks: "",
        run: Run::Write(attribute::reset),
    },
    Operation {
        name: "DescribeNetworkInterfaceAttribute",
        takes: &["NetworkInterfaceId", "Attribute"],
        filters: &[],
        lacks: "",
        run: Run::Read(attribute::describe_one),
    },
    Operation {
        name: "AssignPrivateIpAddresses",
        takes: &[
            "NetworkInterfaceId",
            "PrivateIpAddress",
            "SecondaryPrivateIpAddressCount",
            "AllowReassignment",
        ],
        filters: &[],
        lacks: "Prefixes.",
        run: Run::Write(address::assign_ipv4),
    },
    Operation {
        name: "UnassignPrivateIpAddresses",
        takes: &["NetworkInterfaceId", "PrivateIpAddress"],
        filters: &[],
        lacks: "Prefixes.",
        run: Run::Write(address::unassign_ipv4),
    },
    Operation {
        name: "AssignIpv6Addresses",
        takes: &["NetworkInterfaceId", "Ipv6Addresses", "Ipv6AddressCount"],
        filters: &[],
        lacks: "Prefixes.",
        run: Run::Write(address::assign_ipv6),
    },
    Operation {
        name: "UnassignIpv6Addresses",
        takes: &["NetworkInterfaceId", "Ipv6Addresses"],
        filters: &[],
        lacks: "Prefixes.",
        run: Run::Write(address::unassign_ipv6),
    },
];

/// Whether an attachment is shown in the answer to the request that makes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is: it is on its way.
    AtFirst,
    /// It has settled.
    Settled,
}

/// The interface, if its VPC is the caller's.
pub(super) fn own<'a>(ask: &Ask<'a>, id: InterfaceId) -> Result<&'a Interface, Fault> {
    let interface = ask.cloud().interface(id).filter(|interface| owns(ask, interface.vpc));
    Ok(interface.ok_or(Refusal::InterfaceNotFound(id))?)
}

/// The IPv4 addresses of an interface, the primary one first.
fn ipv4(interface: &Interface) -> impl Iterator<Item = Ipv4Addr> {
    interface.addresses.iter().filter_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

/// Its IPv6 addresses.
pub(super) fn ipv6(interface: &Interface) -> impl Iterator<Item = Ipv6Addr> {
    interface.addresses.iter().filter_map(|address| match address {
        IpAddr::V6(address) => Some(*address),
        IpAddr::V4(_) => None,
    })
}

/// The public addresses that stand for those of an interface, with what holds them.
pub(super) fn publics<'a>(
    ask: &Ask<'a>,
    id: InterfaceId,
) -> impl Iterator<Item = (Ipv4Addr, AllocationId, &'a PublicAddress)> {
    let cloud = ask.cloud();
    let addresses = own(ask, id).into_iter().flat_map(ipv4);
    addresses.filter_map(move |private| {
        let (allocation, held) = cloud.public_allocation(id, private)?;
        Some((private, allocation, held))
    })
}

/// What holds the public address for this one.
fn public_for<'a>(
    ask: &Ask<'a>,
    id: InterfaceId,
    private: Ipv4Addr,
) -> Option<(AllocationId, &'a PublicAddress)> {
    ask.cloud().public_allocation(id, private)
}

/// The hardware address of an interface.
pub(super) fn mac(id: InterfaceId) -> String {
    crate::cloud::instance::hardware_address(id)
}

/// Does the VPC give its interfaces names?
fn named(ask: &Ask<'_>, vpc: VpcId) -> bool {
    let dns = ask.cloud().vpc(vpc).map(|vpc| vpc.dns());
    dns.is_some_and(|dns| dns.support.is_on() && dns.hostnames.is_on())
}

/// The name that is made from a private address.
pub(super) fn private_name(ask: &Ask<'_>, address: Ipv4Addr) -> Hostname {
    Hostname::new(Kind::Private, address, ask.caller.region.clone())
}

/// The name that is made from a public address, if the VPC gives names.
pub(super) fn public_name(ask: &Ask<'_>, vpc: VpcId, address: Ipv4Addr) -> Option<Hostname> {
    let name = || Hostname::new(Kind::Public, address, ask.caller.region.clone());
    named(ask, vpc).then(name)
}

/// An interface as it is shown.
struct InterfaceRow<'a>(InterfaceId, &'a Interface);

impl InterfaceRow<'_> {
    fn status(&self) -> &'static str {
        match self.1.host {
            Host::Nobody => "available",
            Host::Instance(_) | Host::NatGateway(_) => "in-use",
        }
    }

    fn kind(&self) -> &'static str {
        match self.1.host {
            Host::NatGateway(_) => "nat_gateway",
            Host::Instance(_) | Host::Nobody => "interface",
        }
    }

    fn is_managed(&self) -> bool {
        matches!(self.1.host, Host::NatGateway(_))
    }

    fn description(&self, ask: &Ask<'_>) -> String {
        match self.1.host {
            Host::NatGateway(id) => format!("Interface for NAT Gateway {id}"),
            _ => ask.fact(self.0, Fact::Description).unwrap_or_default().to_owned(),
        }
    }

    fn attachment_field(&self, ask: &Ask<'_>, what: &str, out: &mut Values<'_>) {
        let Some(attachment) = self.1.attachment else {
            if let (Some(former), "attachment-id") = (former(ask, self.0, self.1), what) {
                out.shows(former.id);
            }
            return;
        };
        match what {
            "attachment-id" => out.shows(attachment.id),
            "attach-time" => out.shows(timestamp(attachment.since)),
            "delete-on-termination" => out.shows(deleted_with(attachment)),
            "device-index" => out.shows(attachment.device.get()),
            "instance-id" => out.maybe(self.1.instance()),
            "instance-owner-id" => out.shows(ask.caller.account),
            _ => out.is("attached"),
        }
    }

    fn association_field(&self, ask: &Ask<'_>, what: &str, out: &mut Values<'_>) {
        for (_, allocation, held) in publics(ask, self.0) {
            let elastic = held.kind == AddressKind::Elastic;
            match what {
                "public-ip" => out.shows(held.address),
                "public-dns-name" => out.maybe(public_name(ask, self.1.vpc, held.address)),
                "allocation-id" => out.maybe(elastic.then_some(allocation)),
                "association-id" => {
                    out.maybe(held.association.filter(|_| elastic).map(|(id, _, _)| id));
                }
                _ => out.is(&ip_owner(ask, held)),
            }
        }
    }

    fn write_as(&self, ask: &Ask<'_>, xml: &mut Xml, status: &str) {
        let InterfaceRow(id, interface) = self;
        let subnet = ask.cloud().subnet(interface.subnet);
        xml.text("networkInterfaceId", id);
        xml.text("subnetId", interface.subnet);
        xml.text("vpcId", interface.vpc);
        xml.maybe("availabilityZone", subnet.map(|subnet| subnet.zone.as_str()));
        xml.maybe("availabilityZoneId", subnet.map(|subnet| subnet.zone.id()));
        xml.text("description", self.description(ask));
        xml.text("ownerId", ask.caller.account);
        xml.maybe("requesterId", self.is_managed().then_some("amazon-aws"));
        xml.text("requesterManaged", self.is_managed());
        xml.text("status", status);
        xml.text("macAddress", mac(*id));
        let primary = primary_ipv4(interface);
        xml.maybe("privateIpAddress", primary);
        if named(ask, interface.vpc) {
            xml.maybe("privateDnsName", primary.map(|address| private_name(ask, address)));
        }
        xml.text("sourceDestCheck", interface.source_dest_check == SourceDestCheck::On);
        write_groups(ask, xml, &interface.groups);
        match (interface.attachment, interface.host) {
            (Some(attachment), _) => xml.group("attachment", |xml| {
                write_attachment(xml, attachment, Shown::Settled);
                xml.maybe("instanceId", interface.instance());
                xml.text("instanceOwnerId", ask.caller.account);
            }),
            (None, Host::NatGateway(_)) => xml.group("attachment", |xml| {
                xml.text("attachmentId", AttachmentId::new(id.digits()));
                xml.text("instanceOwnerId", "amazon-aws");
                xml.text("deviceIndex", 1);
                xml.text("status", "attached");
                xml.text("deleteOnTermination", false);
            }),
            (None, _) => {
                if let Some(former) = former(ask, *id, interface) {
                    xml.group("attachment", |xml| {
                        xml.text("attachmentId", former.id);
                        xml.text("instanceId", former.instance);
                        xml.text("instanceOwnerId", ask.caller.account);
                        xml.text("deviceIndex", former.device.get());
                        xml.text("status", "detached");
                    });
                }
            }
        }
        if let Some((allocation, held)) = primary.and_then(|a| public_for(ask, *id, a)) {
            write_association(ask, xml, interface.vpc, allocation, held);
        }
        write_tags(xml, ask.tags(ResourceId::Interface(*id)));
        write_addresses(ask, xml, *id, interface);
        xml.text("interfaceType", self.kind());
    }
}

/// How an interface last belonged to an instance. Who waits for the end of an attachment asks for it
/// by its id, and finds it ended; nobody else sees it.
struct Former {
    id: AttachmentId,
    instance: InstanceId,
    device: DeviceIndex,
}

fn former(ask: &Ask<'_>, id: InterfaceId, interface: &Interface) -> Option<Former> {
    if interface.attachment.is_some() {
        return None;
    }
    let mut words = ask.fact(id, Fact::Attachment)?.split(' ');
    let former = Former {
        id: words.next()?.parse().ok()?,
        instance: words.next()?.parse().ok()?,
        device: DeviceIndex::new(words.next()?.parse().ok()?),
    };
    let asked = exactly::<AttachmentId>(ask, "attachment.attachment-id").ok()??;
    asked.contains(&former.id).then_some(former)
}

/// Forgets how an interface last belonged to an instance.
pub(in crate::api) fn forget_attachment(edit: &mut Edit<'_>, id: InterfaceId) {
    let ask = edit.ask();
    let old = ask.fact(id, Fact::Attachment).and_then(|text| text.split(' ').next());
    if let Some(old) = old.map(str::to_owned) {
        edit.forget(old);
        edit.remember(id, Fact::Attachment, "");
    }
}

/// Whose a public address is said to be.
fn ip_owner(ask: &Ask<'_>, held: &PublicAddress) -> String {
    match held.kind {
        AddressKind::Elastic => ask.caller.account.to_string(),
        AddressKind::Lent => "amazon".to_owned(),
    }
}

fn deleted_with(attachment: Attachment) -> bool {
    attachment.on_termination == OnTermination::Delete
}

/// `groupSet`.
pub(super) fn write_groups(ask: &Ask<'_>, xml: &mut Xml, groups: &[SecurityGroupId]) {
    xml.set("groupSet", groups, |xml, id| {
        xml.text("groupId", id);
        xml.maybe("groupName", ask.cloud().group(*id).map(|group| &group.name));
    });
}

/// What stands in `attachment` of an interface, whoever shows it.
pub(super) fn write_attachment(xml: &mut Xml, attachment: Attachment, shown: Shown) {
    xml.text("attachmentId", attachment.id);
    xml.text("deviceIndex", attachment.device.get());
    xml.text("status", if shown == Shown::AtFirst { "attaching" } else { "attached" });
    xml.text("attachTime", timestamp(attachment.since));
    xml.text("deleteOnTermination", deleted_with(attachment));
    xml.text("networkCardIndex", 0);
}

/// `association`. Of an address that is lent there is nothing to name.
pub(super) fn write_association(
    ask: &Ask<'_>,
    xml: &mut Xml,
    vpc: VpcId,
    allocation: AllocationId,
    held: &PublicAddress,
) {
    xml.group("association", |xml| {
        xml.text("publicIp", held.address);
        xml.maybe("publicDnsName", public_name(ask, vpc, held.address));
        xml.text("ipOwnerId", ip_owner(ask, held));
        if held.kind == AddressKind::Elastic {
            xml.text("allocationId", allocation);
            xml.maybe("associationId", held.association.map(|(id, _, _)| id));
        }
    });
}

/// `privateIpAddressesSet` and `ipv6AddressesSet`.
pub(super) fn write_addresses(
    ask: &Ask<'_>,
    xml: &mut Xml,
    id: InterfaceId,
    interface: &Interface,
) {
    let primary = primary_ipv4(interface);
    xml.set("privateIpAddressesSet", ipv4(interface), |xml, address| {
        xml.text("privateIpAddress", address);
        if named(ask, interface.vpc) {
            xml.text("privateDnsName", private_name(ask, address));
        }
        xml.text("primary", Some(address) == primary);
        if let Some((allocation, held)) = public_for(ask, id, address) {
            write_association(ask, xml, interface.vpc, allocation, held);
        }
    });
    xml.set("ipv6AddressesSet", ipv6(interface), |xml, address| {
        xml.text("ipv6Address", address);
        xml.text("isPrimaryIpv6", false);
    });
}

impl Row for InterfaceRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let InterfaceRow(id, interface) = self;
        if let Some(what) = name.strip_prefix("attachment.") {
            return self.attachment_field(ask, what, out);
        }
        if let Some(what) = name.strip_prefix("association.") {
            return self.association_field(ask, what, out);
        }
        if let Some(what) = name.strip_prefix("addresses.association.") {
            let what = if what == "owner-id" { "ip-owner-id" } else { what };
            return self.association_field(ask, what, out);
        }
        let zone = || ask.cloud().subnet(interface.subnet).map(|subnet| &subnet.zone);
        match name {
            "network-interface-id" => out.shows(id),
            "vpc-id" => out.shows(interface.vpc),
            "subnet-id" => out.shows(interface.subnet),
            "owner-id" => out.shows(ask.caller.account),
            "availability-zone" => out.maybe(zone().map(|zone| zone.as_str())),
            "availability-zone-id" => out.maybe(zone().map(|zone| zone.id())),
            "description" => out.is(&self.description(ask)),
            "group-id" => interface.groups.iter().for_each(|group| out.shows(group)),
            "group-name" => {
                let groups = interface.groups.iter().filter_map(|id| ask.cloud().group(*id));
                groups.for_each(|group| out.is(&group.name));
            }
            "interface-type" => out.is(self.kind()),
            "ipv6-addresses.ipv6-address" => ipv6(interface).for_each(|a| out.shows(a)),
            "addresses.private-ip-address" => ipv4(interface).for_each(|a| out.shows(a)),
            "addresses.primary" => {
                ipv4(interface).enumerate().for_each(|(n, _)| out.shows(n == 0));
            }
            "mac-address" => out.is(&mac(*id)),
            "private-ip-address" => out.maybe(primary_ipv4(interface)),
            "private-dns-name" if named(ask, interface.vpc) => {
                out.maybe(primary_ipv4(interface).map(|a| private_name(ask, a)));
            }
            "requester-id" => out.maybe(self.is_managed().then_some("amazon-aws")),
            "requester-managed" => out.shows(self.is_managed()),
            "source-dest-check" => {
                out.shows(interface.source_dest_check == SourceDestCheck::On);
            }
            "status" => out.is(self.status()),
            _ => tag_fields(ask.tags(ResourceId::Interface(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        self.write_as(ask, xml, self.status());
    }
}

/// Tells what a filter asks of an interface.
pub(super) fn field(
    ask: &Ask<'_>,
    id: InterfaceId,
    interface: &Interface,
    name: &str,
    out: &mut Values<'_>,
) {
    InterfaceRow(id, interface).field(ask, name, out);
}

/// An interface as a request describes it: the whole request, or one row of `NetworkInterface.N`.
///
/// # Errors
/// A value that cannot be, or wishes that cannot stand together.
pub(super) fn described(params: &Params, subnet: SubnetId) -> Result<NewInterface, Fault> {
    for prefixes in ["Ipv4Prefix", "Ipv4PrefixCount", "Ipv6Prefix", "Ipv6PrefixCount"] {
        if params.member(prefixes).is_some() {
            let message = format!("vpclab has no prefixes in place of addresses: {prefixes}");
            return Err(Fault::new("UnsupportedOperation", message));
        }
    }
    let mut ipv4: Vec<Ipv4Addr> = Vec::new();
    let mut primary: Option<Ipv4Addr> = params.parsed("PrivateIpAddress")?;
    for row in params.rows("PrivateIpAddresses") {
        let address = row.parsed("PrivateIpAddress")?;
        let address = address.ok_or_else(|| Fault::missing("privateIpAddress"))?;
        match row.flag("Primary")? {
            Some(true) if primary.is_some_and(|other| other != address) => {
                let message = "Only one primary private IP address can be specified.";
                return Err(Fault::combination(message));
            }
            Some(true) => primary = Some(address),
            // Said twice: on its own, and in the list.
            _ if primary == Some(address) => {}
            _ => ipv4.push(address),
        }
    }
    match primary {
        Some(primary) => ipv4.insert(0, primary),
        // Secondary ones only: which is the primary one, nobody says.
        None if !ipv4.is_empty() => {
            let message = "One of the private IP addresses must be the primary one.";
            return Err(Fault::combination(message));
        }
        None => {}
    }
    let more_ipv4: u16 = params.parsed("SecondaryPrivateIpAddressCount")?.unwrap_or(0);
    let these: Vec<Ipv6Addr> = ipv6_of(params)?;
    let free: Option<u16> = params.parsed("Ipv6AddressCount")?;
    let ipv6 = match (these.is_empty(), free) {
        (false, Some(n)) if n > 0 => {
            let message = "Only one of ipv6Addresses and ipv6AddressCount can be specified";
            return Err(Fault::combination(message));
        }
        (false, _) => Ipv6Wish::Wanted(Wanted::These(these)),
        (true, Some(n)) => Ipv6Wish::Wanted(Wanted::Free(n)),
        (true, None) => Ipv6Wish::AsSubnet,
    };
    Ok(NewInterface {
        ipv4,
        more_ipv4,
        ipv6,
        groups: params.ids("SecurityGroupId")?,
        ..NewInterface::in_subnet(subnet)
    })
}

/// IPv6 addresses, which RunInstances names otherwise than the rest.
fn ipv6_of(params: &Params) -> Result<Vec<Ipv6Addr>, Fault> {
    let mut these = Vec::new();
    for row in params.rows("Ipv6Addresses").chain(params.rows("Ipv6Address")) {
        let address = row.parsed("Ipv6Address")?;
        these.push(address.ok_or_else(|| Fault::missing("ipv6Address"))?);
    }
    Ok(these)
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let subnet = edit.params.needed_id("SubnetId")?;
    subnet::own(&edit.ask(), subnet)?;
    match edit.params.text("InterfaceType") {
        None | Some("interface") => {}
        Some(kind @ ("efa" | "efa-only" | "trunk" | "branch")) => {
            let message = format!("vpclab has no interfaces of type {kind}");
            return Err(Fault::new("UnsupportedOperation", message));
        }
        Some(other) => return Err(Fault::value("interfaceType", other)),
    }
    let wanted = described(edit.params, subnet)?;
    let description = edit.params.text("Description").unwrap_or_default().to_owned();
    let tags = edit.new_tags("network-interface")?;
    let id =
        edit.apply_for(&Command::CreateNetworkInterface { wanted }, |change| match change {
            Change::InterfaceCreated { interface, .. } => Some(*interface),
            _ => None,
        })?;
    if !description.is_empty() {
        edit.remember(id, Fact::Description, description);
    }
    edit.tag(ResourceId::Interface(id), tags)?;
    let ask = edit.ask();
    let row = InterfaceRow(id, own(&ask, id)?);
    xml.group("networkInterface", |xml| row.write_as(&ask, xml, "pending"));
    xml.maybe("clientToken", edit.params.text("ClientToken"));
    Ok(())
}

fn describe_interfaces(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    if ask.params.list("NetworkInterfaceId").next().is_some()
        && ask.params.text("MaxResults").is_some()
    {
        let message = "The parameter networkInterfaceIdSet cannot be used with the parameter \
                       maxResults";
        return Err(Fault::combination(message));
    }
    let row = |id: InterfaceId| Ok(InterfaceRow(id, own(ask, id)?));
    let rows = chosen(ask, "NetworkInterfaceId", "network-interface-id", row, || {
        let ids = candidates(ask)?;
        Ok(ids.into_iter().filter_map(|id| row(id).ok()).collect())
    })?;
    describe(ask, xml, "networkInterfaceSet", PageBounds::USUAL, rows)
}

/// The interfaces that can match the filters, from the narrowest index that one of them names.
fn candidates(ask: &Ask<'_>) -> Result<Vec<InterfaceId>, Fault> {
    let cloud = ask.cloud();
    if let Some(attachments) = exactly::<AttachmentId>(ask, "attachment.attachment-id")? {
        return Ok(attachments
            .into_iter()
            .filter_map(|id| {
                let former = || ask.fact(id, Fact::Interface)?.parse().ok();
                cloud.interface_by_attachment(id).or_else(former)
            })
            .collect());
    }
    if let Some(instances) = exactly::<InstanceId>(ask, "attachment.instance-id")? {
        let instances = instances.into_iter().filter_map(|id| cloud.instance(id));
        return Ok(instances.flat_map(|found| found.interfaces().map(|(_, id)| id)).collect());
    }
    if let Some(subnets) = exactly::<SubnetId>(ask, "subnet-id")? {
        return Ok(subnets
            .into_iter()
            .flat_map(|id| cloud.interfaces_in(id).map(|(id, _)| id))
            .collect());
    }
    if let Some(vpcs) = exactly::<VpcId>(ask, "vpc-id")? {
        let vpcs = vpcs.into_iter().filter_map(|id| own_vpc(ask, id).ok());
        let subnets = vpcs.flat_map(|vpc| vpc.subnets());
        return Ok(subnets.flat_map(|id| cloud.interfaces_in(*id).map(|(id, _)| id)).collect());
    }
    if let Some(tagged) = super::tagged(ask)? {
        return Ok(tagged);
    }
    Ok(cloud.interfaces_of(ask.caller).map(|(id, _)| id).collect())
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface: InterfaceId = edit.params.needed_id("NetworkInterfaceId")?;
    edit.apply(&Command::DeleteNetworkInterface { interface })?;
    done(xml);
    Ok(())
}

/// The place that a request names.
pub(super) fn device(params: &Params) -> Result<DeviceIndex, Fault> {
    let number = params.parsed("DeviceIndex")?.ok_or_else(|| Fault::missing("deviceIndex"))?;
    Ok(DeviceIndex::new(number))
}

fn attach(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface = edit.params.needed_id("NetworkInterfaceId")?;
    let instance = edit.params.needed_id("InstanceId")?;
    let device = device(edit.params)?;
    if let Some(card) = edit.params.parsed::<u8>("NetworkCardIndex")?.filter(|card| *card > 0) {
        return Err(Fault::value("networkCardIndex", &card.to_string()));
    }
    let command = Command::AttachNetworkInterface { interface, instance, device };
    let id = edit.apply_for(&command, |change| match change {
        Change::InterfaceAttached { attachment, .. } => Some(*attachment),
        _ => None,
    })?;
    xml.text("attachmentId", id);
    xml.text("networkCardIndex", 0);
    Ok(())
}

fn detach(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let attachment: AttachmentId = edit.params.needed_id("AttachmentId")?;
    let ask = edit.ask();
    let interface = ask.cloud().interface_by_attachment(attachment);
    let before = interface.and_then(|id| {
        let interface = own(&ask, id).ok()?;
        Some((id, interface.instance()?, interface.attachment?.device.get()))
    });
    edit.apply(&Command::DetachNetworkInterface { attachment })?;
    if let Some((id, instance, device)) = before {
        forget_attachment(edit, id);
        edit.remember(id, Fact::Attachment, format!("{attachment} {instance} {device}"));
        edit.remember(attachment, Fact::Interface, id.to_string());
    }
    done(xml);
    Ok(())
}
