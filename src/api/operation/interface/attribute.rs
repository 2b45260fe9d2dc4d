//! The attributes of interfaces, one a call.

use super::{InterfaceRow, Shown, own, write_attachment, write_groups};
use crate::api::dispatch::{Ask, Edit};
use crate::api::fault::Fault;
use crate::api::operation::done;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{AttachmentId, InterfaceId};
use crate::cloud::command::Command;
use crate::cloud::instance::{OnTermination, SourceDestCheck};
use crate::cloud::refusal::Refusal;

fn check_of(on: bool) -> SourceDestCheck {
    if on { SourceDestCheck::On } else { SourceDestCheck::Off }
}

/// `ModifyNetworkInterfaceAttribute`.
pub(super) fn modify(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    const ATTRIBUTES: [&str; 4] =
        ["Description", "SourceDestCheck", "SecurityGroupId", "Attachment"];
    let interface: InterfaceId = edit.params.needed_id("NetworkInterfaceId")?;
    let given: Vec<&str> =
        ATTRIBUTES.into_iter().filter(|name| edit.params.member(name).is_some()).collect();
    match given[..] {
        ["Description"] => {
            own(&edit.ask(), interface)?;
            let text = edit.params.text_or_empty("Description.Value");
            let text = text.ok_or_else(|| Fault::missing("description"))?.to_owned();
            edit.remember(interface, Fact::Description, text);
        }
        ["SourceDestCheck"] => {
            let on = edit.params.flag("SourceDestCheck.Value")?;
            let on = on.ok_or_else(|| Fault::missing("sourceDestCheck"))?;
            let source_dest_check = check_of(on);
            edit.apply(&Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check })?;
        }
        ["SecurityGroupId"] => {
            let groups = edit.params.ids("SecurityGroupId")?;
            edit.apply(&Command::ModifyNetworkInterfaceGroups { interface, groups })?;
        }
        ["Attachment"] => {
            let named: AttachmentId = edit.params.needed_id("Attachment.AttachmentId")?;
            let on = edit.params.flag("Attachment.DeleteOnTermination")?;
            let on = on.ok_or_else(|| Fault::missing("attachment.deleteOnTermination"))?;
            let has = own(&edit.ask(), interface)?.attachment.map(|attachment| attachment.id);
            if has != Some(named) {
                return Err(Refusal::AttachmentNotFound(named).into());
            }
            let on_termination = if on { OnTermination::Delete } else { OnTermination::Keep };
            edit.apply(&Command::ModifyNetworkInterfaceAttachment { interface, on_termination })?;
        }
        [] => return Err(Fault::missing("attribute")),
        _ => return Err(Fault::combination("Fields for multiple attribute types specified")),
    }
    done(xml);
    Ok(())
}

/// `ResetNetworkInterfaceAttribute`: there is one that can be reset.
pub(super) fn reset(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let interface = edit.params.needed_id("NetworkInterfaceId")?;
    let source_dest_check = SourceDestCheck::On;
    edit.apply(&Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check })?;
    done(xml);
    Ok(())
}

/// `DescribeNetworkInterfaceAttribute`.
pub(super) fn describe_one(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: InterfaceId = ask.params.needed_id("NetworkInterfaceId")?;
    let interface = own(ask, id)?;
    xml.text("networkInterfaceId", id);
    match ask.params.needed("Attribute")? {
        "description" => {
            let text = InterfaceRow(id, interface).description(ask);
            xml.group("description", |xml| xml.text("value", text));
        }
        "groupSet" => write_groups(ask, xml, &interface.groups),
        "sourceDestCheck" => {
            let on = interface.source_dest_check == SourceDestCheck::On;
            xml.group("sourceDestCheck", |xml| xml.text("value", on));
        }
        "attachment" => {
            if let Some(attachment) = interface.attachment {
                xml.group("attachment", |xml| {
                    write_attachment(xml, attachment, Shown::Settled);
                    xml.maybe("instanceId", interface.instance());
                    xml.text("instanceOwnerId", ask.caller.account);
                });
            }
        }
        "associatePublicIpAddress" => {
            xml.text("associatePublicIpAddress", super::publics(ask, id).next().is_some());
        }
        other => return Err(Fault::value("attribute", other)),
    }
    Ok(())
}
