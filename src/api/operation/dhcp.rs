//! Sets of DHCP options: remembered and shown, since clients want to see theirs again. What they say
//! reaches no instance.

use super::{done, own_vpc};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::{Fact, Kind};
use crate::api::xml::Xml;
use crate::base::id::VpcId;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateDhcpOptions",
        takes: &["DhcpConfiguration"],
        filters: &[],
        lacks: "Options are remembered; no instance gets them.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeDhcpOptions",
        takes: &["DhcpOptionsId"],
        filters: &["dhcp-options-id", "key", "value", "owner-id", "tag:<key>", "tag-key"],
        lacks: "",
        run: Run::Read(describe_options),
    },
    Operation {
        name: "DeleteDhcpOptions",
        takes: &["DhcpOptionsId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "AssociateDhcpOptions",
        takes: &["DhcpOptionsId", "VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(associate),
    },
];

/// The name of the set that a region has from the start.
const DEFAULT: &str = "default";

/// The set of a VPC: its own, or the region's.
pub(super) fn of<'a>(ask: &Ask<'a>, vpc: VpcId) -> Option<&'a str> {
    ask.fact(vpc, Fact::DhcpOptions).or_else(|| default_of(ask))
}

fn default_of<'a>(ask: &Ask<'a>) -> Option<&'a str> {
    owned(ask).find(|id| ask.records().fact(id, Fact::Name) == Some(DEFAULT))
}

fn owned<'a>(ask: &Ask<'a>) -> impl Iterator<Item = &'a str> {
    ask.records().owned(Kind::DhcpOptions, ask.caller.account, &ask.caller.region)
}

/// Makes the set that a region has from the start.
pub(in crate::api) fn make_default(edit: &mut Edit<'_>) {
    let id = edit.make(Kind::DhcpOptions);
    edit.remember(&id, Fact::Name, DEFAULT);
    let region = edit.caller.region.as_str();
    let domain = match region {
        "us-east-1" => "ec2.internal".to_owned(),
        _ => format!("{region}.compute.internal"),
    };
    let options = format!("domain-name={domain}\ndomain-name-servers=AmazonProvidedDNS");
    edit.remember(&id, Fact::Options, options);
}

fn absent(id: &str) -> Fault {
    let message = format!("The dhcpOption ID '{id}' does not exist");
    Fault::new("InvalidDhcpOptionID.NotFound", message)
}

struct OptionsRow(String);

impl OptionsRow {
    /// Each option with its values.
    fn options<'a>(
        &self,
        ask: &Ask<'a>,
    ) -> impl Iterator<Item = (&'a str, std::str::Split<'a, char>)> {
        let lines = ask.records().fact(&self.0, Fact::Options).unwrap_or_default().lines();
        lines
            .filter_map(|line| line.split_once('='))
            .map(|(name, values)| (name, values.split(',')))
    }
}

impl Row for OptionsRow {
    fn key(&self) -> String {
        self.0.clone()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "dhcp-options-id" => out.is(&self.0),
            "owner-id" => out.shows(ask.caller.account),
            "key" => self.options(ask).for_each(|(key, _)| out.is(key)),
            "value" => self.options(ask).flat_map(|(_, values)| values).for_each(|v| out.is(v)),
            _ => tag_fields(ask.records().tags(&self.0), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("dhcpOptionsId", &self.0);
        xml.text("ownerId", ask.caller.account);
        xml.set("dhcpConfigurationSet", self.options(ask), |xml, (key, values)| {
            xml.text("key", key);
            xml.set("valueSet", values, |xml, value| xml.text("value", value));
        });
        write_tags(xml, ask.records().tags(&self.0));
    }
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    const KEYS: [&str; 6] = [
        "domain-name",
        "domain-name-servers",
        "ntp-servers",
        "netbios-name-servers",
        "netbios-node-type",
        "ipv6-address-preferred-lease-time",
    ];
    let mut lines = Vec::new();
    for row in edit.params.rows("DhcpConfiguration") {
        let key = row.text("Key").ok_or_else(|| Fault::missing("dhcpConfiguration.key"))?;
        if !KEYS.contains(&key) {
            return Err(Fault::value("dhcpConfiguration", key));
        }
        let values: Vec<&str> = row.list("Value").collect();
        if values.iter().any(|value| value.contains([',', '\n', '='])) || values.is_empty() {
            return Err(Fault::value(key, &values.join(" ")));
        }
        lines.push(format!("{key}={}", values.join(",")));
    }
    if lines.is_empty() {
        return Err(Fault::missing("dhcpConfiguration"));
    }
    let tags = edit.new_tags("dhcp-options")?;
    let id = edit.make_another(Kind::DhcpOptions)?;
    edit.remember(&id, Fact::Options, lines.join("\n"));
    edit.tag_thing(&id, tags);
    let ask = edit.ask();
    xml.group("dhcpOptions", |xml| OptionsRow(id).write(&ask, xml));
    Ok(())
}

fn describe_options(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let listed: Vec<&str> = ask.params.list("DhcpOptionsId").collect();
    if let Some(id) = listed.iter().find(|id| !owned(ask).any(|own| own == **id)) {
        return Err(absent(id));
    }
    let wanted = |id: &&str| listed.is_empty() || listed.contains(id);
    let rows = owned(ask).filter(wanted).map(|id| OptionsRow(id.to_owned()));
    describe(ask, xml, "dhcpOptionsSet", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id = edit.params.needed("DhcpOptionsId")?.to_owned();
    let ask = edit.ask();
    if !owned(&ask).any(|own| own == id) {
        return Err(absent(&id));
    }
    let used = super::vpcs(&ask, "vpc-id")?.iter().any(|(vpc, _)| of(&ask, *vpc) == Some(&id));
    if used || default_of(&ask) == Some(&id) {
        let message = format!("The dhcpOptions '{id}' has dependencies and cannot be deleted.");
        return Err(Fault::new("DependencyViolation", message));
    }
    edit.forget(&id);
    done(xml);
    Ok(())
}

fn associate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc: VpcId = edit.params.needed_id("VpcId")?;
    let wanted = edit.params.needed("DhcpOptionsId")?;
    let ask = edit.ask();
    own_vpc(&ask, vpc)?;
    let id = match wanted {
        DEFAULT => default_of(&ask).unwrap_or_default().to_owned(),
        id if owned(&ask).any(|own| own == id) => id.to_owned(),
        id => return Err(absent(id)),
    };
    edit.remember(vpc, Fact::DhcpOptions, id);
    done(xml);
    Ok(())
}
