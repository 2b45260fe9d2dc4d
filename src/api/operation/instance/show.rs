//! An instance as it is shown.

use std::collections::BTreeMap;

use super::{State, attribute, own, wanted};
use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, page, tag_fields, write_tags};
use crate::api::dispatch::Ask;
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::operation::interface::{self, Shown};
use crate::api::operation::{instance_type, primary_ipv4};
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{InstanceId, InterfaceId};
use crate::base::time::Instant;
use crate::cloud::account::Zone;
use crate::cloud::event::ResourceId;
use crate::cloud::instance::{Instance, InstanceState, Interface, SourceDestCheck};

/// The filters of `DescribeInstances`.
pub(super) const FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "availability-zone-id",
    "client-token",
    "dns-name",
    "group-id",
    "group-name",
    "hypervisor",
    "image-id",
    "instance-id",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "instance.group-id",
    "instance.group-name",
    "ip-address",
    "ipv6-address",
    "key-name",
    "launch-index",
    "launch-time",
    "monitoring-state",
    "network-interface.addresses.association.public-ip",
    "network-interface.addresses.primary",
    "network-interface.addresses.private-ip-address",
    "network-interface.association.allocation-id",
    "network-interface.association.association-id",
    "network-interface.association.public-ip",
    "network-interface.attachment.attachment-id",
    "network-interface.attachment.delete-on-termination",
    "network-interface.attachment.device-index",
    "network-interface.attachment.instance-id",
    "network-interface.attachment.status",
    "network-interface.availability-zone",
    "network-interface.description",
    "network-interface.group-id",
    "network-interface.group-name",
    "network-interface.ipv6-addresses.ipv6-address",
    "network-interface.mac-address",
    "network-interface.network-interface-id",
    "network-interface.owner-id",
    "network-interface.private-dns-name",
    "network-interface.private-ip-address",
    "network-interface.source-dest-check",
    "network-interface.status",
    "network-interface.subnet-id",
    "network-interface.vpc-id",
    "owner-id",
    "placement-group-name",
    "platform",
    "private-dns-name",
    "private-ip-address",
    "reason",
    "reservation-id",
    "root-device-name",
    "root-device-type",
    "source-dest-check",
    "state-reason-code",
    "subnet-id",
    "tenancy",
    "virtualization-type",
    "vpc-id",
    "tag:<key>",
    "tag-key",
];

const ROOT_DEVICE: &str = "/dev/xvda";

/// An instance as it is shown.
pub(super) struct InstanceRow<'a>(pub(super) InstanceId, pub(super) &'a Instance);

impl<'a> InstanceRow<'a> {
    pub(super) fn find(ask: &Ask<'a>, id: InstanceId) -> Result<InstanceRow<'a>, Fault> {
        Ok(InstanceRow(id, own(ask, id)?))
    }

    /// The primary interface; a terminated instance has none.
    pub(super) fn primary<'i>(&self, ask: &Ask<'i>) -> Option<(InterfaceId, &'i Interface)> {
        let id = self.1.interface()?;
        Some((id, ask.cloud().interface(id)?))
    }

    fn interfaces<'i>(&self, ask: &Ask<'i>) -> Vec<(InterfaceId, &'i Interface)> {
        let ids = self.1.interfaces().map(|(_, id)| id);
        ids.filter_map(|id| Some((id, ask.cloud().interface(id)?))).collect()
    }

    /// Where it is, or was.
    pub(super) fn zone(&self, ask: &Ask<'_>) -> Option<Zone> {
        ask.fact(self.0, Fact::Zone)?.parse().ok()
    }

    pub(super) fn reservation<'f>(&self, ask: &Ask<'f>) -> &'f str {
        ask.fact(self.0, Fact::Reservation).unwrap_or_default()
    }

    pub(super) fn type_name<'f>(&self, ask: &Ask<'f>) -> &'f str {
        ask.fact(self.0, Fact::InstanceType).unwrap_or(instance_type::DEFAULT)
    }

    fn launch_index<'f>(&self, ask: &Ask<'f>) -> &'f str {
        ask.fact(self.0, Fact::LaunchIndex).unwrap_or("0")
    }

    fn launched(&self, ask: &Ask<'_>) -> String {
        let again = ask.fact(self.0, Fact::Created).map(str::to_owned);
        again.unwrap_or_else(|| timestamp(self.1.launched))
    }

    fn public_ip(&self, ask: &Ask<'_>) -> Option<std::net::Ipv4Addr> {
        let (id, interface) = self.primary(ask)?;
        ask.cloud().public_address(id, primary_ipv4(interface)?)
    }

    fn public_name(&self, ask: &Ask<'_>) -> Option<crate::cloud::hostname::Hostname> {
        let (_, interface) = self.primary(ask)?;
        interface::public_name(ask, interface.vpc, self.public_ip(ask)?)
    }

    fn private_name(&self, ask: &Ask<'_>) -> Option<crate::cloud::hostname::Hostname> {
        let (_, interface) = self.primary(ask)?;
        Some(interface::private_name(ask, primary_ipv4(interface)?))
    }

    /// When its user stopped or ended it, if it does not run.
    fn ended(&self, ask: &Ask<'_>) -> Option<Instant> {
        match self.1.state {
            InstanceState::Running => None,
            InstanceState::Terminated { at } => Some(at),
            InstanceState::Stopped => {
                let nanos = ask.fact(self.0, Fact::Deleted)?.parse().ok()?;
                Some(Instant::from_nanos(nanos))
            }
        }
    }

    fn interface_field(&self, ask: &Ask<'_>, what: &str, out: &mut Values<'_>) {
        for (id, found) in self.interfaces(ask) {
            interface::field(ask, id, found, what, out);
        }
    }

    /// The elements of an instance that is in this state.
    pub(super) fn write_as(&self, ask: &Ask<'_>, xml: &mut Xml, state: State, shown: Shown) {
        let InstanceRow(id, _) = self;
        let fact = |fact: Fact| ask.fact(id, fact);
        let option = |name: &str, other: &'static str| {
            attribute::option(ask, *id, name).unwrap_or(other).to_owned()
        };
        let primary = self.primary(ask);
        let described = instance_type::find(self.type_name(ask));
        xml.text("instanceId", id);
        xml.maybe("imageId", fact(Fact::ImageId));
        state.write(xml, "instanceState");
        let name = self.private_name(ask).map(|name| name.to_string());
        xml.text("privateDnsName", name.unwrap_or_default());
        let name = self.public_name(ask).map(|name| name.to_string());
        xml.text("dnsName", name.unwrap_or_default());
        let ended = self.ended(ask);
        let reason = ended.map(|at| format!("User initiated ({} GMT)", spoken(at)));
        xml.text("reason", reason.unwrap_or_default());
        xml.maybe("keyName", fact(Fact::KeyName));
        xml.text("amiLaunchIndex", self.launch_index(ask));
        xml.group("productCodes", |_| {});
        xml.text("instanceType", self.type_name(ask));
        xml.text("launchTime", self.launched(ask));
        xml.group("placement", |xml| {
            let zone = self.zone(ask);
            xml.maybe("availabilityZone", zone.as_ref().map(Zone::as_str));
            xml.maybe("availabilityZoneId", zone.as_ref().map(Zone::id));
            xml.text("groupName", "");
            xml.text("tenancy", "default");
        });
        xml.group("monitoring", |xml| xml.text("state", option("monitoring", "disabled")));
        if let Some((_, interface)) = primary {
            xml.text("subnetId", interface.subnet);
            xml.text("vpcId", interface.vpc);
            xml.maybe("privateIpAddress", primary_ipv4(interface));
            xml.maybe("ipAddress", self.public_ip(ask));
            xml.maybe("ipv6Address", interface::ipv6(interface).next());
            let checked = interface.source_dest_check == SourceDestCheck::On;
            xml.text("sourceDestCheck", checked);
            interface::write_groups(ask, xml, &interface.groups);
        }
        if ended.is_some() {
            xml.group("stateReason", |xml| {
                xml.text("code", USER_INITIATED);
                xml.text("message", format!("{USER_INITIATED}: User initiated shutdown"));
            });
        }
        xml.text("architecture", described.architecture);
        xml.text("rootDeviceType", "ebs");
        xml.text("rootDeviceName", ROOT_DEVICE);
        xml.group("blockDeviceMapping", |_| {});
        xml.text("virtualizationType", "hvm");
        xml.text("clientToken", fact(Fact::ClientToken).unwrap_or_default());
        write_tags(xml, ask.tags(ResourceId::Instance(*id)));
        xml.text("hypervisor", "xen");
        xml.set("networkInterfaceSet", self.interfaces(ask), |xml, (id, interface)| {
            write_interface(ask, xml, id, interface, shown);
        });
        xml.text("ebsOptimized", option("ebsOptimized", "false"));
        xml.text("enaSupport", true);
        xml.group("cpuOptions", |xml| {
            xml.text("coreCount", described.cores());
            xml.text("threadsPerCore", described.threads_per_core());
        });
        xml.group("capacityReservationSpecification", |xml| {
            xml.text("capacityReservationPreference", "open");
        });
        xml.group("hibernationOptions", |xml| xml.text("configured", false));
        xml.group("metadataOptions", |xml| attribute::write_metadata(ask, xml, *id));
        xml.group("enclaveOptions", |xml| xml.text("enabled", false));
        xml.text("platformDetails", "Linux/UNIX");
        xml.text("usageOperation", "RunInstances");
        xml.group("privateDnsNameOptions", |xml| {
            xml.text("hostnameType", "ip-name");
            xml.text("enableResourceNameDnsARecord", false);
            xml.text("enableResourceNameDnsAAAARecord", false);
        });
        xml.group("maintenanceOptions", |xml| xml.text("autoRecovery", "default"));
        xml.text("currentInstanceBootMode", "legacy-bios");
    }
}

const USER_INITIATED: &str = "Client.UserInitiatedShutdown";

/// A moment as it stands in a reason: `2015-03-25 12:00:00`.
fn spoken(at: Instant) -> String {
    let text = timestamp(at);
    text.get(..19).unwrap_or_default().replace('T', " ")
}

fn write_interface(
    ask: &Ask<'_>,
    xml: &mut Xml,
    id: InterfaceId,
    interface: &Interface,
    shown: Shown,
) {
    xml.text("networkInterfaceId", id);
    xml.text("subnetId", interface.subnet);
    xml.text("vpcId", interface.vpc);
    xml.text("description", ask.fact(id, Fact::Description).unwrap_or_default());
    xml.text("ownerId", ask.caller.account);
    xml.text("status", "in-use");
    xml.text("macAddress", interface::mac(id));
    let primary = primary_ipv4(interface);
    xml.maybe("privateIpAddress", primary);
    xml.maybe("privateDnsName", primary.map(|a| interface::private_name(ask, a)));
    xml.text("sourceDestCheck", interface.source_dest_check == SourceDestCheck::On);
    interface::write_groups(ask, xml, &interface.groups);
    if let Some(attachment) = interface.attachment {
        xml.group("attachment", |xml| interface::write_attachment(xml, attachment, shown));
    }
    let held = primary.and_then(|address| ask.cloud().public_allocation(id, address));
    if let Some((allocation, held)) = held {
        interface::write_association(ask, xml, interface.vpc, allocation, held);
    }
    interface::write_addresses(ask, xml, id, interface);
    xml.text("interfaceType", "interface");
}

impl Row for InstanceRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let InstanceRow(id, instance) = self;
        if let Some(what) = name.strip_prefix("network-interface.") {
            return self.interface_field(ask, what, out);
        }
        let primary = || self.primary(ask).map(|(_, interface)| interface);
        let zone = || self.zone(ask);
        match name {
            "architecture" => out.is(instance_type::find(self.type_name(ask)).architecture),
            "availability-zone" => out.maybe(zone().as_ref().map(Zone::as_str)),
            "availability-zone-id" => out.maybe(zone().as_ref().map(Zone::id)),
            "client-token" => out.maybe(ask.fact(id, Fact::ClientToken)),
            "dns-name" => out.maybe(self.public_name(ask)),
            "group-id" | "instance.group-id" => {
                primary().into_iter().flat_map(|i| &i.groups).for_each(|group| out.shows(group));
            }
            "group-name" | "instance.group-name" => {
                let groups = primary().into_iter().flat_map(|i| &i.groups);
                let groups = groups.filter_map(|id| ask.cloud().group(*id));
                groups.for_each(|group| out.is(&group.name));
            }
            "hypervisor" => out.is("xen"),
            "image-id" => out.maybe(ask.fact(id, Fact::ImageId)),
            "instance-id" => out.shows(id),
            "instance-state-code" => out.shows(State::of(instance).code()),
            "instance-state-name" => out.is(State::of(instance).name()),
            "instance-type" => out.is(self.type_name(ask)),
            "ip-address" => out.maybe(self.public_ip(ask)),
            "ipv6-address" => {
                let interfaces = self.interfaces(ask);
                let all = interfaces.iter().flat_map(|(_, found)| interface::ipv6(found));
                all.for_each(|address| out.shows(address));
            }
            "key-name" => out.maybe(ask.fact(id, Fact::KeyName)),
            "launch-index" => out.is(self.launch_index(ask)),
            "launch-time" => out.is(&self.launched(ask)),
            "monitoring-state" => {
                out.is(attribute::option(ask, *id, "monitoring").unwrap_or("disabled"));
            }
            "owner-id" => out.shows(instance.owner),
            "private-dns-name" => out.maybe(self.private_name(ask)),
            "private-ip-address" => out.maybe(primary().and_then(primary_ipv4)),
            "reason" => {
                out.maybe(self.ended(ask).map(|at| format!("User initiated ({})", spoken(at))))
            }
            "reservation-id" => out.is(self.reservation(ask)),
            "root-device-name" => out.is(ROOT_DEVICE),
            "root-device-type" => out.is("ebs"),
            "source-dest-check" => {
                out.maybe(primary().map(|i| i.source_dest_check == SourceDestCheck::On));
            }
            "state-reason-code" => out.maybe(self.ended(ask).map(|_| USER_INITIATED)),
            "subnet-id" => out.maybe(primary().map(|interface| interface.subnet)),
            "tenancy" => out.is("default"),
            "virtualization-type" => out.is("hvm"),
            "vpc-id" => out.maybe(primary().map(|interface| interface.vpc)),
            // Nobody is in a placement group, and everybody runs Linux.
            "placement-group-name" | "platform" => {}
            _ => tag_fields(ask.tags(ResourceId::Instance(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        self.write_as(ask, xml, State::of(self.1), Shown::Settled);
    }
}

/// `DescribeInstances`: the instances that match, each within its launch.
pub(super) fn describe_instances(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    if ask.params.list("InstanceId").next().is_some() && ask.params.text("MaxResults").is_some() {
        let message = "The parameter instancesSet cannot be used with the parameter maxResults";
        return Err(Fault::combination(message));
    }
    let rows = wanted(ask)?.into_iter().map(|(id, instance)| InstanceRow(id, instance));
    let page = page(ask, PageBounds::USUAL, rows)?;
    let mut launches: Vec<(&str, Vec<&InstanceRow<'_>>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &page.rows {
        let reservation = row.reservation(ask);
        let place = *places.entry(reservation).or_insert(launches.len());
        match launches.get_mut(place) {
            Some((_, rows)) => rows.push(row),
            None => launches.push((reservation, vec![row])),
        }
    }
    xml.set("reservationSet", launches, |xml, (reservation, rows)| {
        xml.text("reservationId", reservation);
        xml.text("ownerId", ask.caller.account);
        xml.group("groupSet", |_| {});
        xml.set("instancesSet", rows, |xml, row| row.write(ask, xml));
    });
    xml.maybe("nextToken", page.token);
    Ok(())
}
