//! Launching instances: what a request wants of their interfaces, and how many there can be.

use std::num::NonZeroU16;

use super::show::InstanceRow;
use super::{State, attribute};
use crate::api::dispatch::{Ask, Edit};
use crate::api::fault::Fault;
use crate::api::operation::interface::{self, Shown};
use crate::api::operation::{image, instance_type, key_pair, subnet, tag};
use crate::api::params::Params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{InstanceId, InterfaceId, SecurityGroupId, SubnetId};
use crate::base::limit::INSTANCES_PER_REQUEST_MAX;
use crate::cloud::account::Zone;
use crate::cloud::command::Command;
use crate::cloud::dns::Switch;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::instance::{DeviceIndex, InterfaceWish, OnTermination};
use crate::cloud::refusal::Refusal;
use crate::cloud::subnet::SubnetKind;

/// What `RunInstances` takes.
pub(super) const TAKES: &[&str] = &[
    "ImageId",
    "InstanceType",
    "MinCount",
    "MaxCount",
    "SubnetId",
    "SecurityGroupId",
    "SecurityGroup",
    "PrivateIpAddress",
    "Ipv6AddressCount",
    "Ipv6Address",
    "NetworkInterface",
    "Placement",
    "KeyName",
    "UserData",
    "Monitoring",
    "EbsOptimized",
    "DisableApiTermination",
    "DisableApiStop",
    "InstanceInitiatedShutdownBehavior",
    "CreditSpecification",
    "MetadataOptions",
    "HibernationOptions",
    "EnclaveOptions",
];

/// The types of resources that a launch may tag. There are no volumes to tag.
const TAGGED: [&str; 5] =
    ["instance", "network-interface", "volume", "spot-instances-request", "elastic-gpu"];

/// What is wanted of the interfaces of each instance.
struct Interfaces {
    primary: InterfaceWish,
    further: Vec<(DeviceIndex, InterfaceWish)>,
    /// What the interfaces are for, by place.
    descriptions: Vec<(DeviceIndex, String)>,
}

/// `RunInstances`.
pub(super) fn run(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let (least, most) = counts(edit.params)?;
    for unsupported in ["HibernationOptions.Configured", "EnclaveOptions.Enabled"] {
        if edit.params.flag(unsupported)? == Some(true) {
            let message = format!("vpclab has no {unsupported}");
            return Err(Fault::new("UnsupportedOperation", message));
        }
    }
    for unsupported in ["LaunchTemplate", "InstanceMarketOptions"] {
        if edit.params.member(unsupported).is_some() {
            let message = format!("vpclab has no {unsupported}");
            return Err(Fault::new("UnsupportedOperation", message));
        }
    }
    let image = edit.params.needed("ImageId")?.to_owned();
    image::check_id(&image)?;
    let kind = edit.params.text("InstanceType").unwrap_or(instance_type::DEFAULT).to_owned();
    instance_type::known(&kind)?;
    let key = edit.params.text("KeyName").map(str::to_owned);
    if let Some(key) = &key {
        key_pair::by_name(&edit.ask(), key)?;
    }
    let options = options(edit.params)?;
    let instance_tags = tag::specified(edit.params, &TAGGED, "instance")?;
    let interface_tags = tag::specified(edit.params, &TAGGED, "network-interface")?;
    let wanted = interfaces(&edit.ask())?;
    let (user_data, token) = (
        edit.params.text("UserData").map(str::to_owned),
        edit.params.text("ClientToken").map(str::to_owned),
    );

    let count = as_many_as_possible(&edit.ask(), &wanted, least, most)?;
    let events = edit.apply(&command(&wanted, count))?;
    let mut instances: Vec<InstanceId> = Vec::new();
    // Every interface that was made, with the place where it is.
    let mut interfaces: Vec<(DeviceIndex, InterfaceId)> = Vec::new();
    let mut zone: Option<Zone> = None;
    for event in &events {
        match &event.change {
            Change::InstanceRun { instance, interface, subnet, .. } => {
                zone = edit.cloud().subnet(*subnet).map(|subnet| subnet.zone.clone());
                instances.push(*instance);
                if let InterfaceWish::New { .. } = wanted.primary {
                    interfaces.push((DeviceIndex::PRIMARY, *interface));
                }
            }
            Change::InterfaceAttached { interface, device, .. } => {
                let is_new = |(place, wish): &(DeviceIndex, InterfaceWish)| {
                    place == device && matches!(wish, InterfaceWish::New { .. })
                };
                if wanted.further.iter().any(is_new) {
                    interfaces.push((*device, *interface));
                }
            }
            _ => {}
        }
    }
    let Some(first) = instances.first() else {
        return Err(crate::api::server::internal("no instance was started"));
    };
    // A launch is called after its first instance.
    let reservation = format!("r-{}", first.digits().as_str());
    for (n, id) in instances.iter().enumerate() {
        edit.remember(id, Fact::Reservation, &reservation);
        edit.remember(id, Fact::ImageId, &image);
        edit.remember(id, Fact::InstanceType, &kind);
        edit.remember(id, Fact::Zone, zone.as_ref().map(Zone::as_str).unwrap_or_default());
        if n > 0 {
            edit.remember(id, Fact::LaunchIndex, n.to_string());
        }
        for (fact, value) in
            [(Fact::KeyName, &key), (Fact::UserData, &user_data), (Fact::ClientToken, &token)]
        {
            if let Some(value) = value {
                edit.remember(id, fact, value);
            }
        }
        if !options.is_empty() {
            attribute::set_options(edit, *id, &options);
        }
        edit.tag(ResourceId::Instance(*id), instance_tags.clone())?;
    }
    for (place, id) in interfaces {
        if let Some((_, text)) = wanted.descriptions.iter().find(|(known, _)| *known == place) {
            edit.remember(id, Fact::Description, text);
        }
        edit.tag(ResourceId::Interface(id), interface_tags.clone())?;
    }
    let ask = edit.ask();
    xml.text("reservationId", reservation);
    xml.text("ownerId", ask.caller.account);
    xml.group("groupSet", |_| {});
    let rows: Vec<InstanceRow<'_>> =
        instances.into_iter().map(|id| InstanceRow::find(&ask, id)).collect::<Result<_, _>>()?;
    xml.set("instancesSet", rows, |xml, row| {
        row.write_as(&ask, xml, State::Pending, Shown::AtFirst);
    });
    Ok(())
}

/// How many there must be at least, and may be at most.
fn counts(params: &Params) -> Result<(u16, u16), Fault> {
    let count = |name: &str, wire: &str| -> Result<u32, Fault> {
        params.needed(name)?;
        match params.parsed::<u32>(name)? {
            Some(0) => Err(Fault::value(wire, "0")),
            Some(count) => Ok(count),
            None => Err(Fault::missing(name)),
        }
    };
    let (least, most) = (count("MinCount", "minCount")?, count("MaxCount", "maxCount")?);
    if least > most {
        let message = format!(
            "Value ({least}) for parameter minCount is invalid. It is more than maxCount ({most})."
        );
        return Err(Fault::new("InvalidParameterValue", message));
    }
    let bound = u32::from(INSTANCES_PER_REQUEST_MAX);
    if least > bound {
        return Err(Refusal::TooManyInstances(INSTANCES_PER_REQUEST_MAX).into());
    }
    // Both fit by now.
    let fits = |count: u32| u16::try_from(count.min(bound)).unwrap_or(INSTANCES_PER_REQUEST_MAX);
    Ok((fits(least), fits(most)))
}

/// The attributes that are remembered, where they are not what every instance has.
fn options(params: &Params) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut options: Vec<(&'static str, String)> = Vec::new();
    for (parameter, name) in [
        ("DisableApiTermination", "disableApiTermination"),
        ("DisableApiStop", "disableApiStop"),
        ("EbsOptimized", "ebsOptimized"),
    ] {
        if attribute::flag(params, parameter)? == Some(true) {
            options.push((name, "true".to_owned()));
        }
    }
    if params.flag("Monitoring.Enabled")? == Some(true) {
        options.push(("monitoring", "enabled".to_owned()));
    }
    let behavior = attribute::shutdown_behavior(params.text("InstanceInitiatedShutdownBehavior"))?;
    options.extend(behavior.map(|text| ("instanceInitiatedShutdownBehavior", text)));
    match params.text("CreditSpecification.CpuCredits") {
        None => {}
        Some(known @ ("standard" | "unlimited")) => options.push(("cpuCredits", known.to_owned())),
        Some(other) => return Err(Fault::value("cpuCredits", other)),
    }
    if let Some(member) = params.member("MetadataOptions") {
        options.extend(attribute::metadata(member)?);
    }
    Ok(options)
}

fn command(wanted: &Interfaces, count: NonZeroU16) -> Command {
    Command::RunInstances {
        count,
        primary: wanted.primary.clone(),
        further: wanted.further.clone(),
    }
}

/// How many can be started: all, or fewer if only places are short.
fn as_many_as_possible(
    ask: &Ask<'_>,
    wanted: &Interfaces,
    least: u16,
    most: u16,
) -> Result<NonZeroU16, Fault> {
    let can = |count: u16| -> Result<NonZeroU16, Refusal> {
        let count = NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN);
        ask.cloud().check(ask.caller, &command(wanted, count), ask.now)?;
        Ok(count)
    };
    let short = match can(most) {
        Ok(count) => return Ok(count),
        Err(refusal) => refusal,
    };
    let about_places = matches!(
        short,
        Refusal::SubnetFull(_) | Refusal::QuotaExceeded { .. } | Refusal::NoPublicAddressLeft
    );
    if !about_places || least == most {
        return Err(short.into());
    }
    // What is enough for so many is enough for fewer.
    let mut found = can(least)?;
    let mut too_many = most;
    while too_many - found.get() > 1 {
        let middle = found.get() + (too_many - found.get()) / 2;
        match can(middle) {
            Ok(count) => found = count,
            Err(_) => too_many = middle,
        }
    }
    Ok(found)
}

/// The subnet that a request means which names none: of the default VPC, in the zone that it names.
fn default_subnet(ask: &Ask<'_>, zone: Option<&Zone>) -> Result<SubnetId, Fault> {
    let Some(vpc) = ask.cloud().default_vpc(ask.caller) else {
        let message = "No default VPC for this user. GroupName is only supported for EC2-Classic and \
                       default VPC.";
        return Err(Fault::new("VPCIdNotSpecified", message));
    };
    let subnets = ask.cloud().vpc(vpc).into_iter().flat_map(|vpc| vpc.subnets());
    let mut fitting = subnets.filter(|id| {
        ask.cloud().subnet(**id).is_some_and(|subnet| {
            let fits = zone.is_none_or(|zone| *zone == subnet.zone);
            fits && subnet.kind == SubnetKind::DefaultForZone
        })
    });
    fitting.next().copied().ok_or_else(|| {
        let message =
            format!("No subnets found for the default VPC '{vpc}'. Please specify a subnet.");
        Fault::new("MissingInput", message)
    })
}

/// The subnet of an interface.
fn subnet_of(ask: &Ask<'_>, params: &Params, zone: Option<&Zone>) -> Result<SubnetId, Fault> {
    let Some(id) = params.id("SubnetId")? else { return default_subnet(ask, zone) };
    let there = &subnet::own(ask, id)?.zone;
    match zone {
        Some(zone) if zone != there => Err(Fault::new(
            "InvalidParameterValue",
            format!("The subnet '{id}' is not in the availability zone {}", zone.as_str()),
        )),
        _ => Ok(id),
    }
}

/// The groups that a request names by their names, as was usual once: those of the default VPC.
fn groups_by_name(ask: &Ask<'_>, params: &Params) -> Result<Vec<SecurityGroupId>, Fault> {
    let names: Vec<&str> = params.list("SecurityGroup").collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    if params.text("SubnetId").is_some() {
        let message = "The parameter groupName cannot be used with the parameter subnet";
        return Err(Fault::combination(message));
    }
    let vpc = ask.cloud().default_vpc(ask.caller).and_then(|id| ask.cloud().vpc(id));
    let groups = vpc.map(|vpc| vpc.groups()).unwrap_or_default();
    let find = |name: &str| {
        let is = |id: &&SecurityGroupId| ask.cloud().group(**id).is_some_and(|g| g.name == name);
        groups.iter().find(is).copied().ok_or_else(|| {
            let message = format!("The security group '{name}' does not exist in default VPC");
            Fault::new("InvalidGroup.NotFound", message)
        })
    };
    names.into_iter().map(find).collect()
}

/// What a request wants of the interfaces of each instance.
fn interfaces(ask: &Ask<'_>) -> Result<Interfaces, Fault> {
    let params = ask.params;
    let zone = match params.text("Placement.AvailabilityZone") {
        None => None,
        Some(text) => {
            let known = ask.caller.region.zones().into_iter().find(|zone| zone.as_str() == text);
            Some(known.ok_or_else(|| {
                Fault::new("InvalidParameterValue", format!("Invalid availability zone: [{text}]"))
            })?)
        }
    };
    if params.rows("NetworkInterface").next().is_none() {
        let mut wanted = interface::described(params, subnet_of(ask, params, zone.as_ref())?)?;
        wanted.groups.extend(groups_by_name(ask, params)?);
        let primary = InterfaceWish::New { wanted, on_termination: OnTermination::Delete };
        return Ok(Interfaces { primary, further: Vec::new(), descriptions: Vec::new() });
    }
    for (parameter, what) in [
        ("SubnetId", "an instance-level subnet ID"),
        ("SecurityGroupId", "instance-level security groups"),
        ("SecurityGroup", "instance-level security groups"),
        ("PrivateIpAddress", "an instance-level private IP address"),
        ("Ipv6Address", "instance-level IPv6 addresses"),
        ("Ipv6AddressCount", "an instance-level IPv6 address count"),
    ] {
        if params.member(parameter).is_some() {
            let message =
                format!("Network interfaces and {what} may not be specified on the same request");
            return Err(Fault::combination(message));
        }
    }
    let (mut primary, mut further, mut descriptions) = (None, Vec::new(), Vec::new());
    for row in params.rows("NetworkInterface") {
        let device = interface::device(row)?;
        let wish = wish(ask, row, zone.as_ref())?;
        if let Some(text) = row.text("Description") {
            descriptions.push((device, text.to_owned()));
        }
        match (device, &primary) {
            (DeviceIndex::PRIMARY, None) => primary = Some(wish),
            // A second primary one is refused by the cloud, as any place that is named twice.
            _ => further.push((device, wish)),
        }
    }
    let primary = primary.ok_or_else(|| {
        Fault::new("InvalidParameterValue", "There is no network interface with device index 0")
    })?;
    Ok(Interfaces { primary, further, descriptions })
}

/// One row of `NetworkInterface.N`.
fn wish(ask: &Ask<'_>, row: &Params, zone: Option<&Zone>) -> Result<InterfaceWish, Fault> {
    if let Some(id) = row.id("NetworkInterfaceId")? {
        for of_new_ones in ["SubnetId", "SecurityGroupId", "PrivateIpAddress"] {
            if row.member(of_new_ones).is_some() {
                let message = format!(
                    "A network interface may not specify both a network interface ID and {of_new_ones}"
                );
                return Err(Fault::combination(message));
            }
        }
        return Ok(InterfaceWish::Existing(id));
    }
    let mut wanted = interface::described(row, subnet_of(ask, row, zone)?)?;
    let public = row.flag("AssociatePublicIpAddress")?;
    wanted.public = public.map(|on| if on { Switch::On } else { Switch::Off });
    let on_termination = match row.flag("DeleteOnTermination")? {
        Some(false) => OnTermination::Keep,
        _ => OnTermination::Delete,
    };
    Ok(InterfaceWish::New { wanted, on_termination })
}
