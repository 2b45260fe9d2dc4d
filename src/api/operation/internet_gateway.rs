//! Internet gateways. The egress-only ones are in `egress_only.rs`.

use super::{chosen, done};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::base::id::{InternetGatewayId, VpcId};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::{Gateway, GatewayId};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateInternetGateway",
        takes: &[],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeInternetGateways",
        takes: &["InternetGatewayId"],
        filters: &[
            "attachment.state",
            "attachment.vpc-id",
            "internet-gateway-id",
            "owner-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_gateways),
    },
    Operation {
        name: "AttachInternetGateway",
        takes: &["InternetGatewayId", "VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(attach),
    },
    Operation {
        name: "DetachInternetGateway",
        takes: &["InternetGatewayId", "VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(detach),
    },
    Operation {
        name: "DeleteInternetGateway",
        takes: &["InternetGatewayId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

/// The gateway, if it is the caller's.
pub(super) fn own<'a>(ask: &Ask<'a>, id: GatewayId) -> Result<&'a Gateway, Fault> {
    let is_own = |gateway: &&Gateway| {
        gateway.owner == ask.caller.account && gateway.region == ask.caller.region
    };
    let refusal = crate::cloud::refusal::Refusal::GatewayNotFound(id);
    Ok(ask.cloud().gateway(id).filter(is_own).ok_or(refusal)?)
}

/// The caller's gateways and endpoints; if filters name VPCs in `field`, only those that are attached
/// to one of them.
pub(super) fn owned<'a>(
    ask: &Ask<'a>,
    field: &str,
) -> Result<Vec<(GatewayId, &'a Gateway)>, Fault> {
    let Some(vpcs) = super::exactly::<VpcId>(ask, field)? else {
        let Some(tagged) = super::tagged(ask)? else {
            return Ok(ask.cloud().gateways_of(ask.caller).collect());
        };
        return Ok(tagged.into_iter().filter_map(|id| Some((id, own(ask, id).ok()?))).collect());
    };
    let attached = vpcs.into_iter().filter_map(|id| super::own_vpc(ask, id).ok());
    let attached = attached.flat_map(|vpc| vpc.gateways());
    Ok(attached.filter_map(|id| Some((id, own(ask, id).ok()?))).collect())
}

struct GatewayRow<'a>(InternetGatewayId, &'a Gateway);

/// The word of EC2 for a gateway that is attached, and only of this kind.
const ATTACHED: &str = "available";

impl GatewayRow<'_> {
    fn resource(&self) -> ResourceId {
        ResourceId::Gateway(GatewayId::Internet(self.0))
    }
}

impl Row for GatewayRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "internet-gateway-id" => out.shows(self.0),
            "owner-id" => out.shows(self.1.owner),
            "attachment.vpc-id" => out.maybe(self.1.vpc),
            "attachment.state" => out.maybe(self.1.vpc.map(|_| ATTACHED)),
            _ => tag_fields(ask.tags(self.resource()), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("internetGatewayId", self.0);
        xml.text("ownerId", self.1.owner);
        xml.set("attachmentSet", self.1.vpc, |xml, vpc| {
            xml.text("vpcId", vpc);
            xml.text("state", ATTACHED);
        });
        write_tags(xml, ask.tags(self.resource()));
    }
}

fn row<'a>(ask: &Ask<'a>, id: InternetGatewayId) -> Result<GatewayRow<'a>, Fault> {
    Ok(GatewayRow(id, own(ask, GatewayId::Internet(id))?))
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let tags = edit.new_tags("internet-gateway")?;
    let id = edit.apply_for(&Command::CreateInternetGateway, |change| match change {
        Change::GatewayCreated { id: GatewayId::Internet(id), .. } => Some(*id),
        _ => None,
    })?;
    edit.tag(ResourceId::Gateway(GatewayId::Internet(id)), tags)?;
    let ask = edit.ask();
    let row = row(&ask, id)?;
    xml.group("internetGateway", |xml| row.write(&ask, xml));
    Ok(())
}

fn describe_gateways(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "InternetGatewayId",
        "internet-gateway-id",
        |id| row(ask, id),
        || {
            let owned = owned(ask, "attachment.vpc-id")?.into_iter();
            let internet = owned.filter_map(|(id, gateway)| match id {
                GatewayId::Internet(id) => Some(GatewayRow(id, gateway)),
                _ => None,
            });
            Ok(internet.collect())
        },
    )?;
    describe(ask, xml, "internetGatewaySet", PageBounds::USUAL, rows)
}

fn attach(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway = edit.params.needed_id("InternetGatewayId")?;
    let vpc = edit.params.needed_id("VpcId")?;
    edit.apply(&Command::AttachInternetGateway { gateway, vpc })?;
    done(xml);
    Ok(())
}

fn detach(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway = edit.params.needed_id("InternetGatewayId")?;
    let vpc = edit.params.needed_id("VpcId")?;
    edit.apply(&Command::DetachInternetGateway { gateway, vpc })?;
    done(xml);
    Ok(())
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway: InternetGatewayId = edit.params.needed_id("InternetGatewayId")?;
    edit.apply(&Command::DeleteInternetGateway { gateway })?;
    edit.forget(gateway);
    done(xml);
    Ok(())
}
