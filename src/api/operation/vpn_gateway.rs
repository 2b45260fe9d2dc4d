//! Virtual private gateways. The line behind one announces nothing: customer gateways and VPN
//! connections, which would say what, are not here.

use super::internet_gateway::{own, owned};
use super::{chosen, done};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::VpnGatewayId;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::{Gateway, GatewayId, Line};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateVpnGateway",
        takes: &["Type", "AmazonSideAsn", "AvailabilityZone"],
        filters: &[],
        lacks: "Nothing is announced over its line: there are no customer gateways and no VPN \
                connections.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeVpnGateways",
        takes: &["VpnGatewayId"],
        filters: &[
            "amazon-side-asn",
            "attachment.state",
            "attachment.vpc-id",
            "availability-zone",
            "state",
            "type",
            "vpn-gateway-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_gateways),
    },
    Operation {
        name: "AttachVpnGateway",
        takes: &["VpnGatewayId", "VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(attach),
    },
    Operation {
        name: "DetachVpnGateway",
        takes: &["VpnGatewayId", "VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(detach),
    },
    Operation {
        name: "DeleteVpnGateway",
        takes: &["VpnGatewayId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

/// The only kind there is.
const TYPE: &str = "ipsec.1";
/// The autonomous system that Amazon's side belongs to, unless its owner says another.
const AMAZON_SIDE_ASN: &str = "64512";

struct GatewayRow<'a>(VpnGatewayId, &'a Gateway);

impl GatewayRow<'_> {
    fn resource(&self) -> ResourceId {
        ResourceId::Gateway(GatewayId::Vpn(self.0))
    }

    fn asn<'f>(&self, ask: &Ask<'f>) -> &'f str {
        ask.fact(self.0, Fact::AmazonSideAsn).unwrap_or(AMAZON_SIDE_ASN)
    }
}

impl Row for GatewayRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "vpn-gateway-id" => out.shows(self.0),
            "amazon-side-asn" => out.is(self.asn(ask)),
            "attachment.vpc-id" => out.maybe(self.1.vpc),
            "attachment.state" => out.maybe(self.1.vpc.map(|_| "attached")),
            "availability-zone" => out.maybe(ask.fact(self.0, Fact::Zone)),
            "state" => out.is("available"),
            "type" => out.is(TYPE),
            _ => tag_fields(ask.tags(self.resource()), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("vpnGatewayId", self.0);
        xml.text("state", "available");
        xml.text("type", TYPE);
        xml.maybe("availabilityZone", ask.fact(self.0, Fact::Zone));
        xml.set("attachments", self.1.vpc, |xml, vpc| {
            xml.text("vpcId", vpc);
            xml.text("state", "attached");
        });
        xml.text("amazonSideAsn", self.asn(ask));
        write_tags(xml, ask.tags(self.resource()));
    }
}

fn row<'a>(ask: &Ask<'a>, id: VpnGatewayId) -> Result<GatewayRow<'a>, Fault> {
    Ok(GatewayRow(id, own(ask, GatewayId::Vpn(id))?))
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let kind = edit.params.needed("Type")?;
    if kind != TYPE {
        return Err(Fault::value("type", kind));
    }
    // RFC 6996 and 5398 have the private ones; AWS takes these two ranges.
    let asn: Option<u32> = edit.params.parsed("AmazonSideAsn")?;
    if let Some(asn) = asn
        && !(64_512..=65_534).contains(&asn)
        && !(4_200_000_000..=4_294_967_294).contains(&asn)
    {
        return Err(Fault::value("amazonSideAsn", &asn.to_string()));
    }
    let zone = super::subnet::zone(edit)?;
    let tags = edit.new_tags("vpn-gateway")?;
    let command = Command::CreateVpnGateway { line: Line::Vpn, beyond: Vec::new() };
    let id = edit.apply_for(&command, |change| match change {
        Change::GatewayCreated { id: GatewayId::Vpn(id), .. } => Some(*id),
        _ => None,
    })?;
    if let Some(asn) = asn {
        edit.remember(id, Fact::AmazonSideAsn, asn.to_string());
    }
    if let Some(zone) = zone {
        edit.remember(id, Fact::Zone, zone.as_str());
    }
    edit.tag(ResourceId::Gateway(GatewayId::Vpn(id)), tags)?;
    let ask = edit.ask();
    let row = row(&ask, id)?;
    xml.group("vpnGateway", |xml| row.write(&ask, xml));
    Ok(())
}

fn describe_gateways(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "VpnGatewayId",
        "vpn-gateway-id",
        |id| row(ask, id),
        || {
            let owned = owned(ask, "attachment.vpc-id")?.into_iter();
            let vpn = owned.filter_map(|(id, gateway)| match id {
                GatewayId::Vpn(id) => Some(GatewayRow(id, gateway)),
                _ => None,
            });
            Ok(vpn.collect())
        },
    )?;
    describe(ask, xml, "vpnGatewaySet", PageBounds::USUAL, rows)
}

fn attach(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway = edit.params.needed_id("VpnGatewayId")?;
    let vpc = edit.params.needed_id("VpcId")?;
    edit.apply(&Command::AttachVpnGateway { gateway, vpc })?;
    xml.group("attachment", |xml| {
        xml.text("vpcId", vpc);
        xml.text("state", "attaching");
    });
    Ok(())
}

fn detach(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway = edit.params.needed_id("VpnGatewayId")?;
    let vpc = edit.params.needed_id("VpcId")?;
    edit.apply(&Command::DetachVpnGateway { gateway, vpc })?;
    done(xml);
    Ok(())
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway: VpnGatewayId = edit.params.needed_id("VpnGatewayId")?;
    edit.apply(&Command::DeleteVpnGateway { gateway })?;
    edit.forget(gateway);
    done(xml);
    Ok(())
}
