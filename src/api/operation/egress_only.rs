//! Egress-only internet gateways.

use super::chosen;
use super::internet_gateway::{own, owned};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::base::id::EgressOnlyGatewayId;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::{Gateway, GatewayId};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateEgressOnlyInternetGateway",
        takes: &["VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeEgressOnlyInternetGateways",
        takes: &["EgressOnlyInternetGatewayId"],
        filters: &["tag:<key>", "tag-key"],
        lacks: "",
        run: Run::Read(describe_gateways),
    },
    Operation {
        name: "DeleteEgressOnlyInternetGateway",
        takes: &["EgressOnlyInternetGatewayId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

struct GatewayRow<'a>(EgressOnlyGatewayId, &'a Gateway);

impl GatewayRow<'_> {
    fn resource(&self) -> ResourceId {
        ResourceId::Gateway(GatewayId::EgressOnly(self.0))
    }
}

impl Row for GatewayRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    /// EC2 has filters by tag here, and no others.
    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        tag_fields(ask.tags(self.resource()), name, out);
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("egressOnlyInternetGatewayId", self.0);
        xml.set("attachmentSet", self.1.vpc, |xml, vpc| {
            xml.text("state", "attached");
            xml.text("vpcId", vpc);
        });
        write_tags(xml, ask.tags(self.resource()));
    }
}

fn row<'a>(ask: &Ask<'a>, id: EgressOnlyGatewayId) -> Result<GatewayRow<'a>, Fault> {
    Ok(GatewayRow(id, own(ask, GatewayId::EgressOnly(id))?))
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    let tags = edit.new_tags("egress-only-internet-gateway")?;
    let command = Command::CreateEgressOnlyInternetGateway { vpc };
    let id = edit.apply_for(&command, |change| match change {
        Change::GatewayCreated { id: GatewayId::EgressOnly(id), .. } => Some(*id),
        _ => None,
    })?;
    edit.tag(ResourceId::Gateway(GatewayId::EgressOnly(id)), tags)?;
    let ask = edit.ask();
    let row = row(&ask, id)?;
    xml.group("egressOnlyInternetGateway", |xml| row.write(&ask, xml));
    Ok(())
}

fn describe_gateways(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "EgressOnlyInternetGatewayId",
        "egress-only-internet-gateway-id",
        |id| row(ask, id),
        || {
            let owned = owned(ask, "attachment.vpc-id")?.into_iter();
            let egress_only = owned.filter_map(|(id, gateway)| match id {
                GatewayId::EgressOnly(id) => Some(GatewayRow(id, gateway)),
                _ => None,
            });
            Ok(egress_only.collect())
        },
    )?;
    describe(ask, xml, "egressOnlyInternetGatewaySet", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway: EgressOnlyGatewayId = edit.params.needed_id("EgressOnlyInternetGatewayId")?;
    edit.apply(&Command::DeleteEgressOnlyInternetGateway { gateway })?;
    edit.forget(gateway);
    // This one answer has its own name for it.
    xml.text("returnCode", true);
    Ok(())
}
