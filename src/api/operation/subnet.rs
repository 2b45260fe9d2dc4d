//! Subnets.

use ipnet::{Ipv4Net, Ipv6Net};

use super::{arn_of, chosen, done, in_vpcs, owns};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::xml::Xml;
use crate::base::id::{SubnetCidrAssociationId, SubnetId};
use crate::cloud::account::Zone;
use crate::cloud::command::Command;
use crate::cloud::dns::Switch;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::refusal::Refusal;
use crate::cloud::subnet::{Subnet, SubnetAttribute, SubnetKind};
use crate::cloud::vpc::Vpc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateSubnet",
        takes: &["VpcId", "CidrBlock", "Ipv6CidrBlock", "AvailabilityZone", "AvailabilityZoneId"],
        filters: &[],
        lacks: "IPv6-only subnets, Outposts, IPAM pools.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeSubnets",
        takes: &["SubnetId"],
        filters: &[
            "availability-zone",
            "availabilityZone",
            "availability-zone-id",
            "available-ip-address-count",
            "cidr-block",
            "cidr",
            "cidrBlock",
            "default-for-az",
            "defaultForAz",
            "ipv6-cidr-block-association.ipv6-cidr-block",
            "ipv6-cidr-block-association.association-id",
            "ipv6-cidr-block-association.state",
            "ipv6-native",
            "map-public-ip-on-launch",
            "owner-id",
            "state",
            "subnet-arn",
            "subnet-id",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "Filters on Outposts, customer-owned addresses and name options.",
        run: Run::Read(describe_subnets),
    },
    Operation {
        name: "DeleteSubnet",
        takes: &["SubnetId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "ModifySubnetAttribute",
        takes: &[
            "SubnetId",
            "MapPublicIpOnLaunch",
            "AssignIpv6AddressOnCreation",
            "EnableDns64",
            "PrivateDnsHostnameTypeOnLaunch",
            "EnableResourceNameDnsARecordOnLaunch",
            "EnableResourceNameDnsAAAARecordOnLaunch",
        ],
        filters: &[],
        lacks: "DNS64 and names made from ids: only what is so anyway can be asked for. \
                Customer-owned addresses, local network interfaces.",
        run: Run::Write(modify_attribute),
    },
    Operation {
        name: "AssociateSubnetCidrBlock",
        takes: &["SubnetId", "Ipv6CidrBlock"],
        filters: &[],
        lacks: "IPAM pools.",
        run: Run::Write(associate_block),
    },
    Operation {
        name: "DisassociateSubnetCidrBlock",
        takes: &["AssociationId"],
        filters: &[],
        lacks: "",
        run: Run::Write(disassociate_block),
    },
];

/// A subnet as it is shown.
struct SubnetRow<'a>(SubnetId, &'a Subnet);

/// The subnet, if its VPC is the caller's.
pub(super) fn own<'a>(ask: &Ask<'a>, id: SubnetId) -> Result<&'a Subnet, Fault> {
    let subnet = ask.cloud().subnet(id).filter(|subnet| owns(ask, subnet.vpc));
    Ok(subnet.ok_or(Refusal::SubnetNotFound(id))?)
}

impl Row for SubnetRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let SubnetRow(id, subnet) = self;
        match name {
            "subnet-id" => out.shows(id),
            "vpc-id" => out.shows(subnet.vpc),
            "availability-zone" | "availabilityZone" => out.is(subnet.zone.as_str()),
            "availability-zone-id" => out.is(&subnet.zone.id()),
            "available-ip-address-count" => out.shows(subnet.available_ipv4()),
            "cidr-block" | "cidr" | "cidrBlock" => out.shows(subnet.cidr),
            "default-for-az" | "defaultForAz" => out.shows(is_default(subnet)),
            "ipv6-cidr-block-association.ipv6-cidr-block" => out.maybe(subnet.ipv6),
            "ipv6-cidr-block-association.association-id" => out.maybe(subnet.ipv6_association()),
            "ipv6-cidr-block-association.state" => out.maybe(subnet.ipv6.map(|_| "associated")),
            "ipv6-native" => out.is("false"),
            "map-public-ip-on-launch" => out.shows(subnet.public_on_launch().is_on()),
            "owner-id" => out.shows(ask.caller.account),
            "state" => out.is("available"),
            "subnet-arn" => out.is(&super::arn(ask.caller, "subnet", id)),
            _ => tag_fields(ask.tags(ResourceId::Subnet(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        write(ask, xml, self.0, self.1, "available");
    }
}

fn is_default(subnet: &Subnet) -> bool {
    subnet.kind == SubnetKind::DefaultForZone
}

fn write(ask: &Ask<'_>, xml: &mut Xml, id: SubnetId, subnet: &Subnet, state: &str) {
    let region = ask.caller.region.as_str();
    xml.text("subnetId", id);
    xml.text("subnetArn", arn_of(ask.caller.account, region, "subnet", id));
    xml.text("state", state);
    xml.text("ownerId", ask.caller.account);
    xml.text("vpcId", subnet.vpc);
    xml.text("cidrBlock", subnet.cidr);
    xml.text("availableIpAddressCount", subnet.available_ipv4());
    xml.text("availabilityZone", subnet.zone.as_str());
    xml.text("availabilityZoneId", subnet.zone.id());
    xml.text("defaultForAz", is_default(subnet));
    xml.text("mapPublicIpOnLaunch", subnet.public_on_launch().is_on());
    xml.text("assignIpv6AddressOnCreation", subnet.ipv6_on_creation().is_on());
    let ipv6 = subnet.ipv6.and_then(|block| Some((subnet.ipv6_association()?, block)));
    xml.set("ipv6CidrBlockAssociationSet", ipv6, |xml, (association, block)| {
        write_block(xml, association, block, "associated");
    });
    xml.text("enableDns64", false);
    xml.text("ipv6Native", false);
    xml.text("mapCustomerOwnedIpOnLaunch", false);
    xml.group("privateDnsNameOptionsOnLaunch", |xml| {
        xml.text("hostnameType", "ip-name");
        xml.text("enableResourceNameDnsARecord", false);
        xml.text("enableResourceNameDnsAAAARecord", false);
    });
    write_tags(xml, ask.tags(ResourceId::Subnet(id)));
}

fn write_block(xml: &mut Xml, association: SubnetCidrAssociationId, block: Ipv6Net, state: &str) {
    xml.text("associationId", association);
    xml.text("ipv6CidrBlock", block);
    xml.group("ipv6CidrBlockState", |xml| xml.text("state", state));
    xml.text("ipv6AddressAttribute", "public");
    xml.text("ipSource", "amazon");
}

/// The zone that a request names.
pub(super) fn zone(edit: &Edit<'_>) -> Result<Option<Zone>, Fault> {
    if let Some(id) = edit.params.text("AvailabilityZoneId") {
        let found = edit.caller.region.zones().find(|zone| zone.id() == id);
        return found.map(Some).ok_or_else(|| Fault::value("availabilityZoneId", id));
    }
    let Some(text) = edit.params.text("AvailabilityZone") else { return Ok(None) };
    let found = edit.caller.region.zones().find(|zone| zone.as_str() == text);
    found.map(Some).ok_or_else(|| Fault::value("availabilityZone", text))
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    let text = edit.params.needed("CidrBlock")?;
    let cidr: Ipv4Net = text.parse().map_err(|_| Fault::value("cidrBlock", text))?;
    let ipv6: Option<Ipv6Net> = edit.params.parsed("Ipv6CidrBlock")?;
    let zone = zone(edit)?;
    let tags = edit.new_tags("subnet")?;
    let command = Command::CreateSubnet { vpc, cidr, ipv6, zone };
    let id = edit.apply_for(&command, |change| match change {
        Change::SubnetCreated { subnet, .. } => Some(*subnet),
        _ => None,
    })?;
    edit.tag(ResourceId::Subnet(id), tags)?;
    let ask = edit.ask();
    let subnet = own(&ask, id)?;
    xml.group("subnet", |xml| write(&ask, xml, id, subnet, "available"));
    Ok(())
}

fn describe_subnets(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "SubnetId",
        "subnet-id",
        |id| Ok(SubnetRow(id, own(ask, id)?)),
        || {
            let row = |id: SubnetId| Some(SubnetRow(id, own(ask, id).ok()?));
            Ok(in_vpcs(ask, "vpc-id", Vpc::subnets)?.into_iter().filter_map(row).collect())
        },
    )?;
    describe(ask, xml, "subnetSet", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let subnet = edit.params.needed_id("SubnetId")?;
    edit.apply(&Command::DeleteSubnet { subnet })?;
    edit.forget(subnet);
    done(xml);
    Ok(())
}

/// `ModifySubnetAttribute`: one attribute a call.
fn modify_attribute(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    // What every subnet has, and the only value that it can have here.
    const FIXED: [(&str, &str); 4] = [
        ("EnableDns64.Value", "false"),
        ("PrivateDnsHostnameTypeOnLaunch", "ip-name"),
        ("EnableResourceNameDnsARecordOnLaunch.Value", "false"),
        ("EnableResourceNameDnsAAAARecordOnLaunch.Value", "false"),
    ];
    let subnet = edit.params.needed_id("SubnetId")?;
    let switch = |on| if on { Switch::On } else { Switch::Off };
    let public = edit.params.flag("MapPublicIpOnLaunch.Value")?.map(switch);
    let ipv6 = edit.params.flag("AssignIpv6AddressOnCreation.Value")?.map(switch);
    let fixed: Vec<(&str, &str, &str)> = FIXED
        .into_iter()
        .filter_map(|(name, only)| Some((name, only, edit.params.text(name)?)))
        .collect();
    let attribute = match (public, ipv6, &fixed[..]) {
        (Some(switch), None, []) => SubnetAttribute::PublicOnLaunch(switch),
        (None, Some(switch), []) => SubnetAttribute::Ipv6OnCreation(switch),
        (None, None, [(_, only, text)]) if text.eq_ignore_ascii_case(only) => {
            own(&edit.ask(), subnet)?;
            done(xml);
            return Ok(());
        }
        (None, None, [(name, _, text)]) => {
            let message = format!("vpclab has no {name}: {text}");
            return Err(Fault::new("UnsupportedOperation", message));
        }
        (None, None, []) => return Err(Fault::missing("attribute")),
        _ => return Err(Fault::combination("Fields for multiple attribute types specified")),
    };
    edit.apply(&Command::ModifySubnetAttribute { subnet, attribute })?;
    done(xml);
    Ok(())
}

fn associate_block(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let subnet = edit.params.needed_id("SubnetId")?;
    edit.params.needed("Ipv6CidrBlock")?;
    let block: Option<Ipv6Net> = edit.params.parsed("Ipv6CidrBlock")?;
    let block = block.ok_or_else(|| Fault::missing("ipv6CidrBlock"))?;
    let command = Command::AssociateSubnetCidrBlock { subnet, block };
    let (id, block) = edit.apply_for(&command, |change| match change {
        Change::SubnetBlockAssociated { association, block, .. } => Some((*association, *block)),
        _ => None,
    })?;
    xml.text("subnetId", subnet);
    xml.group("ipv6CidrBlockAssociation", |xml| write_block(xml, id, block, "associating"));
    Ok(())
}

fn disassociate_block(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let association = edit.params.needed_id("AssociationId")?;
    let ask = edit.ask();
    let found = ask.cloud().subnet_by_block_association(association);
    let block = found.and_then(|id| own(&ask, id).ok()?.ipv6);
    let command = Command::DisassociateSubnetCidrBlock { association };
    let subnet = edit.apply_for(&command, |change| match change {
        Change::SubnetBlockDisassociated { subnet } => Some(*subnet),
        _ => None,
    })?;
    xml.text("subnetId", subnet);
    if let Some(block) = block {
        xml.group("ipv6CidrBlockAssociation", |xml| {
            write_block(xml, association, block, "disassociating");
        });
    }
    Ok(())
}
