//! What clients ask about an account on their way, and what nobody has here: volumes, launch
//! templates, instance profiles, ClassicLink.

use crate::api::describe::{PageBounds, Row, describe};
use crate::api::dispatch::{Ask, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::cloud::quota::Quota;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "DescribeAccountAttributes",
        takes: &["AttributeName"],
        filters: &[],
        lacks: "",
        run: Run::Read(describe_attributes),
    },
    Operation {
        name: "DescribeVolumes",
        takes: &["VolumeId"],
        filters: &[
            "attachment.attach-time",
            "attachment.delete-on-termination",
            "attachment.device",
            "attachment.instance-id",
            "attachment.status",
            "availability-zone",
            "create-time",
            "encrypted",
            "size",
            "snapshot-id",
            "status",
            "volume-id",
            "volume-type",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "There are no volumes.",
        run: Run::Read(describe_volumes),
    },
    Operation {
        name: "DescribeLaunchTemplates",
        takes: &["LaunchTemplateId", "LaunchTemplateName"],
        filters: &["create-time", "launch-template-name", "tag:<key>", "tag-key"],
        lacks: "There are no launch templates.",
        run: Run::Read(describe_templates),
    },
    Operation {
        name: "DescribeIamInstanceProfileAssociations",
        takes: &["AssociationId"],
        filters: &["instance-id", "state"],
        lacks: "There are no instance profiles.",
        run: Run::Read(describe_profiles),
    },
    Operation {
        name: "DescribeVpcClassicLink",
        takes: &["VpcId"],
        filters: &[],
        lacks: "Retired: it is refused, as EC2 does.",
        run: Run::Read(retired),
    },
    Operation {
        name: "DescribeVpcClassicLinkDnsSupport",
        takes: &["VpcIds"],
        filters: &[],
        lacks: "Retired: it is refused, as EC2 does.",
        run: Run::Read(retired),
    },
];

fn describe_attributes(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let default_vpc = match ask.cloud().default_vpc(ask.caller) {
        Some(vpc) => vpc.to_string(),
        None => "none".to_owned(),
    };
    let groups =
        ask.cloud().limit(ask.caller.account, Quota::SecurityGroupsPerInterface).to_string();
    let all = [
        ("supported-platforms", "VPC".to_owned()),
        ("vpc-max-security-groups-per-interface", groups),
        ("max-elastic-ips", "5".to_owned()),
        ("max-instances", "20".to_owned()),
        ("vpc-max-elastic-ips", "5".to_owned()),
        ("default-vpc", default_vpc),
    ];
    let wanted: Vec<&str> = ask.params.list("AttributeName").collect();
    if let Some(other) = wanted.iter().find(|name| all.iter().all(|(known, _)| known != *name)) {
        return Err(Fault::value("attributeName", other));
    }
    let shown = all.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    xml.set("accountAttributeSet", shown, |xml, (name, value)| {
        xml.text("attributeName", name);
        xml.set("attributeValueSet", [value], |xml, value| xml.text("attributeValue", value));
    });
    Ok(())
}

/// A row of which there is none.
struct NoRow;

impl Row for NoRow {
    fn key(&self) -> String {
        String::new()
    }
    fn field(&self, _: &Ask<'_>, _: &str, _: &mut Values<'_>) {}
    fn write(&self, _: &Ask<'_>, _: &mut Xml) {}
}

/// Answers with an empty set, and refuses whoever names something that would be in it.
pub(super) fn describe_none(
    ask: &Ask<'_>,
    xml: &mut Xml,
    set: &str,
    names: &[(&str, &'static str, &str)],
) -> Result<(), Fault> {
    for (parameter, code, what) in names {
        if let Some(id) = ask.params.list(parameter).next() {
            return Err(Fault::new(code, format!("The {what} '{id}' does not exist.")));
        }
    }
    describe::<NoRow>(ask, xml, set, PageBounds::USUAL, None)
}

fn describe_volumes(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    describe_none(ask, xml, "volumeSet", &[("VolumeId", "InvalidVolume.NotFound", "volume")])
}

fn describe_templates(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let names = [
        ("LaunchTemplateId", "InvalidLaunchTemplateId.NotFound", "launch template ID"),
        (
            "LaunchTemplateName",
            "InvalidLaunchTemplateName.NotFoundException",
            "launch template name",
        ),
    ];
    describe_none(ask, xml, "launchTemplates", &names)
}

fn describe_profiles(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let names = [("AssociationId", "InvalidAssociationID.NotFound", "association ID")];
    describe_none(ask, xml, "iamInstanceProfileAssociationSet", &names)
}

fn retired(_: &Ask<'_>, _: &mut Xml) -> Result<(), Fault> {
    let message = "The functionality you requested is not available in this region.";
    Err(Fault::new("UnsupportedOperation", message))
}
