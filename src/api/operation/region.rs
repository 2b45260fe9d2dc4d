//! Regions and their zones: a fixed catalogue.

use crate::api::describe::{PageBounds, Row, describe};
use crate::api::dispatch::{Ask, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::cloud::account::Zone;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "DescribeRegions",
        takes: &["RegionName", "AllRegions"],
        filters: &["endpoint", "opt-in-status", "region-name"],
        lacks: "Regions that have to be opted into.",
        run: Run::Read(describe_regions),
    },
    Operation {
        name: "DescribeAvailabilityZones",
        takes: &["ZoneName", "ZoneId", "AllAvailabilityZones"],
        filters: &[
            "group-name",
            "message",
            "opt-in-status",
            "region-name",
            "state",
            "zone-id",
            "zone-name",
            "zone-type",
        ],
        lacks: "Local Zones and Wavelength Zones.",
        run: Run::Read(describe_zones),
    },
];

/// The regions that are told of. A caller may be in any other as well: a region is a name.
const REGIONS: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

struct RegionRow(&'static str);

impl RegionRow {
    fn endpoint(&self) -> String {
        format!("ec2.{}.amazonaws.com", self.0)
    }
}

const OPT_IN: &str = "opt-in-not-required";

impl Row for RegionRow {
    fn key(&self) -> String {
        self.0.to_owned()
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "region-name" => out.is(self.0),
            "endpoint" => out.is(&self.endpoint()),
            _ => out.is(OPT_IN),
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        xml.text("regionName", self.0);
        xml.text("regionEndpoint", self.endpoint());
        xml.text("optInStatus", OPT_IN);
    }
}

fn describe_regions(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for wanted in ask.params.list("RegionName") {
        let found = REGIONS.into_iter().find(|region| *region == wanted);
        rows.push(RegionRow(found.ok_or_else(|| {
            Fault::new("InvalidParameterValue", format!("Invalid region name '{wanted}'"))
        })?));
    }
    if rows.is_empty() {
        rows.extend(REGIONS.map(RegionRow));
    }
    describe(ask, xml, "regionInfo", PageBounds::USUAL, rows)
}

struct ZoneRow(Zone);

impl Row for ZoneRow {
    fn key(&self) -> String {
        self.0.as_str().to_owned()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "zone-name" => out.is(self.0.as_str()),
            "zone-id" => out.is(&self.0.id()),
            "zone-type" => out.is("availability-zone"),
            "state" => out.is("available"),
            "region-name" | "group-name" => out.is(ask.caller.region.as_str()),
            "opt-in-status" => out.is(OPT_IN),
            // No zone has a message.
            _ => {}
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("zoneName", self.0.as_str());
        xml.text("zoneState", "available");
        xml.text("regionName", ask.caller.region.as_str());
        xml.group("messageSet", |_| {});
        xml.text("zoneId", self.0.id());
        xml.text("groupName", ask.caller.region.as_str());
        xml.text("networkBorderGroup", ask.caller.region.as_str());
        xml.text("zoneType", "availability-zone");
        xml.text("optInStatus", OPT_IN);
    }
}

fn describe_zones(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let zones: Vec<Zone> = ask.caller.region.zones().collect();
    let by_name = ask.params.list("ZoneName").map(|name| (name, false));
    let by_id = ask.params.list("ZoneId").map(|id| (id, true));
    let mut rows = Vec::new();
    for (wanted, is_id) in by_name.chain(by_id) {
        let is = |zone: &&Zone| if is_id { zone.id() == wanted } else { zone.as_str() == wanted };
        let found = zones.iter().find(is).cloned();
        rows.push(ZoneRow(found.ok_or_else(|| {
            Fault::new("InvalidParameterValue", format!("Invalid availability zone: [{wanted}]"))
        })?));
    }
    if rows.is_empty() {
        rows.extend(zones.into_iter().map(ZoneRow));
    }
    describe(ask, xml, "availabilityZoneInfo", PageBounds::USUAL, rows)
}
