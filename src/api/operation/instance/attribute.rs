//! The attributes of instances: those of the network, which are the cloud's, and those that are
//! remembered.

use super::show::InstanceRow;
use super::{State, own};
use crate::api::dispatch::{Ask, Edit};
use crate::api::fault::Fault;
use crate::api::operation::{done, instance_type, interface};
use crate::api::params::Params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::InstanceId;
use crate::cloud::command::Command;
use crate::cloud::instance::SourceDestCheck;
use crate::cloud::refusal::Refusal;

/// A further attribute of an instance, if it is not what every instance has.
pub(super) fn option<'a>(ask: &Ask<'a>, id: InstanceId, name: &str) -> Option<&'a str> {
    let lines = ask.fact(id, Fact::Options)?.lines();
    lines.filter_map(|line| line.split_once('=')).find(|(known, _)| *known == name).map(|(_, v)| v)
}

/// Remembers further attributes. Their values are words, so they fit on a line.
pub(super) fn set_options(edit: &mut Edit<'_>, id: InstanceId, new: &[(&str, String)]) {
    let ask = edit.ask();
    let old = ask.fact(id, Fact::Options).unwrap_or_default().lines();
    let kept = old.filter(|line| {
        let name = line.split('=').next().unwrap_or_default();
        new.iter().all(|(changed, _)| *changed != name)
    });
    let mut lines: Vec<String> = kept.map(str::to_owned).collect();
    lines.extend(new.iter().map(|(name, value)| format!("{name}={value}")));
    edit.remember(id, Fact::Options, lines.join("\n"));
}

/// A flag of the request under the name of its attribute, bare or as `Name.Value`.
pub(super) fn flag(params: &Params, name: &str) -> Result<Option<bool>, Fault> {
    match params.flag(&format!("{name}.Value"))? {
        Some(on) => Ok(Some(on)),
        None => params.flag(name),
    }
}

/// What an instance does when its own system shuts down, if a request says.
pub(super) fn shutdown_behavior(text: Option<&str>) -> Result<Option<String>, Fault> {
    match text {
        None => Ok(None),
        Some(known @ ("stop" | "terminate")) => Ok(Some(known.to_owned())),
        Some(other) => Err(Fault::value("instanceInitiatedShutdownBehavior", other)),
    }
}

/// `DescribeInstanceAttribute`.
pub(super) fn describe_one(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: InstanceId = ask.params.needed_id("InstanceId")?;
    let row = InstanceRow::find(ask, id)?;
    let attribute = ask.params.needed("Attribute")?;
    let option = |other: &'static str| option(ask, id, attribute).unwrap_or(other).to_owned();
    let value = match attribute {
        "instanceType" => Some(row.type_name(ask).to_owned()),
        "disableApiTermination" | "disableApiStop" | "ebsOptimized" => Some(option("false")),
        "instanceInitiatedShutdownBehavior" => Some(option("stop")),
        "enaSupport" => Some("true".to_owned()),
        "rootDeviceName" => Some("/dev/xvda".to_owned()),
        "sourceDestCheck" => row
            .primary(ask)
            .map(|(_, interface)| (interface.source_dest_check == SourceDestCheck::On).to_string()),
        "userData" => ask.fact(id, Fact::UserData).map(str::to_owned),
        "kernel" | "ramdisk" | "sriovNetSupport" => None,
        "groupSet" => {
            xml.text("instanceId", id);
            let groups = row.primary(ask).map(|(_, interface)| &interface.groups[..]);
            interface::write_groups(ask, xml, groups.unwrap_or_default());
            return Ok(());
        }
        set @ ("blockDeviceMapping" | "productCodes") => {
            xml.text("instanceId", id);
            xml.group(set, |_| {});
            return Ok(());
        }
        "enclaveOptions" => {
            xml.text("instanceId", id);
            xml.group("enclaveOptions", |xml| xml.text("enabled", false));
            return Ok(());
        }
        other => return Err(Fault::value("attribute", other)),
    };
    xml.text("instanceId", id);
    xml.group(attribute, |xml| xml.maybe("value", value));
    Ok(())
}

/// `ModifyInstanceAttribute`: one attribute a call, in the old form (`Attribute` and `Value`) or the
/// new one.
pub(super) fn modify(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    const ATTRIBUTES: [&str; 9] = [
        "sourceDestCheck",
        "groupId",
        "instanceType",
        "userData",
        "disableApiTermination",
        "disableApiStop",
        "instanceInitiatedShutdownBehavior",
        "ebsOptimized",
        "enaSupport",
    ];
    let id: InstanceId = edit.params.needed_id("InstanceId")?;
    let ask = edit.ask();
    let state = State::of(own(&ask, id)?);
    let primary = own(&ask, id)?.interface();
    let parameter = |name: &str| {
        let mut chars = name.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    let mut given: Vec<&str> = ATTRIBUTES
        .into_iter()
        .filter(|name| edit.params.member(&parameter(name)).is_some())
        .collect();
    given.extend(edit.params.text("Attribute"));
    let attribute = match given[..] {
        [one] => one.to_owned(),
        [] if edit.params.member("BlockDeviceMapping").is_some() => {
            return Err(Fault::new("UnsupportedOperation", "vpclab has no volumes"));
        }
        [] => return Err(Fault::missing("attribute")),
        _ => return Err(Fault::combination("Fields for multiple attribute types specified")),
    };
    let name = parameter(&attribute);
    let old_form = edit.params.text("Attribute").is_some();
    let text = match old_form {
        true => edit.params.text_or_empty("Value"),
        false => {
            let nested = edit.params.text_or_empty(&format!("{name}.Value"));
            nested.or_else(|| edit.params.text_or_empty(&name))
        }
    };
    let text = text.map(str::to_owned);
    let yes_or_no = || match text.as_deref() {
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) => Err(Fault::value(&attribute, value)),
        None => Err(Fault::missing("value")),
    };
    let value = || text.clone().ok_or_else(|| Fault::missing("value"));
    let stopped = || match state {
        State::Stopped => Ok(()),
        _ => {
            let message = format!("The instance '{id}' is not in the 'stopped' state.");
            Err(Fault::new("IncorrectInstanceState", message))
        }
    };
    let ended = Refusal::InstanceState { instance: id, action: "modified" };
    match attribute.as_str() {
        "sourceDestCheck" => {
            let on = yes_or_no()?;
            let source_dest_check = if on { SourceDestCheck::On } else { SourceDestCheck::Off };
            let interface = primary.ok_or(ended)?;
            edit.apply(&Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check })?;
        }
        "groupId" | "groupSet" => {
            let interface = primary.ok_or(ended)?;
            let groups = edit.params.ids("GroupId")?;
            edit.apply(&Command::ModifyNetworkInterfaceGroups { interface, groups })?;
        }
        "instanceType" => {
            stopped()?;
            let wanted = value()?;
            instance_type::known(&wanted)?;
            edit.remember(id, Fact::InstanceType, wanted);
        }
        "userData" => {
            stopped()?;
            edit.remember(id, Fact::UserData, value()?);
        }
        "ebsOptimized" => {
            stopped()?;
            set_options(edit, id, &[("ebsOptimized", yes_or_no()?.to_string())]);
        }
        "disableApiTermination" | "disableApiStop" => {
            set_options(edit, id, &[(&attribute, yes_or_no()?.to_string())]);
        }
        "instanceInitiatedShutdownBehavior" => {
            let wanted = shutdown_behavior(Some(&value()?))?.unwrap_or_default();
            set_options(edit, id, &[(&attribute, wanted)]);
        }
        "enaSupport" => {
            yes_or_no()?;
        }
        other => return Err(Fault::value("attribute", other)),
    }
    done(xml);
    Ok(())
}

/// What `ModifyInstanceMetadataOptions` takes.
pub(super) const METADATA: &[&str] = &[
    "InstanceId",
    "HttpTokens",
    "HttpPutResponseHopLimit",
    "HttpEndpoint",
    "HttpProtocolIpv6",
    "InstanceMetadataTags",
];

/// Parameter, element, the words that it may be (none is a number), and what it is unless told.
const METADATA_OPTIONS: [(&str, &str, &[&str], &str); 5] = [
    ("HttpTokens", "httpTokens", &["optional", "required"], "optional"),
    ("HttpPutResponseHopLimit", "httpPutResponseHopLimit", &[], "1"),
    ("HttpEndpoint", "httpEndpoint", &["enabled", "disabled"], "enabled"),
    ("HttpProtocolIpv6", "httpProtocolIpv6", &["enabled", "disabled"], "disabled"),
    ("InstanceMetadataTags", "instanceMetadataTags", &["enabled", "disabled"], "disabled"),
];

/// The options of the metadata service that a request sets.
pub(super) fn metadata(params: &Params) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut wanted = Vec::new();
    for (parameter, element, words, _) in METADATA_OPTIONS {
        let Some(text) = params.text(parameter) else { continue };
        let known = match words {
            [] => text.parse::<u8>().is_ok_and(|n| (1..=64).contains(&n)),
            _ => words.contains(&text),
        };
        if !known {
            return Err(Fault::value(parameter, text));
        }
        wanted.push((element, text.to_owned()));
    }
    Ok(wanted)
}

/// What stands in `metadataOptions`.
pub(super) fn write_metadata(ask: &Ask<'_>, xml: &mut Xml, id: InstanceId) {
    xml.text("state", "applied");
    for (_, element, _, usual) in METADATA_OPTIONS {
        xml.text(element, option(ask, id, element).unwrap_or(usual));
    }
}

/// `ModifyInstanceMetadataOptions`.
pub(super) fn modify_metadata(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: InstanceId = edit.params.needed_id("InstanceId")?;
    own(&edit.ask(), id)?;
    let wanted = metadata(edit.params)?;
    set_options(edit, id, &wanted);
    let ask = edit.ask();
    xml.text("instanceId", id);
    xml.group("instanceMetadataOptions", |xml| write_metadata(&ask, xml, id));
    Ok(())
}
