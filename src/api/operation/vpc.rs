//! VPCs and their blocks.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::security_group::rule;
use super::{chosen, dhcp, done, own_vpc, tagged};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{CidrAssociationId, VpcId};
use crate::base::limit::VPC_IPV6_PREFIX_LENGTH;
use crate::cloud::command::Command;
use crate::cloud::dns::{Switch, VpcAttribute};
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::profile::Feature;
use crate::cloud::vpc::Vpc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateVpc",
        takes: &["CidrBlock", "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlock", "InstanceTenancy"],
        filters: &[],
        lacks: "IPAM pools, network border groups. `InstanceTenancy` is remembered and changes nothing.",
        run: Run::Write(create),
    },
    Operation {
        name: "CreateDefaultVpc",
        takes: &[],
        filters: &[],
        lacks: "",
        run: Run::Write(create_default),
    },
    Operation {
        name: "DescribeVpcs",
        takes: &["VpcId"],
        filters: &[
            "cidr",
            "cidr-block",
            "cidrBlock",
            "cidr-block-association.cidr-block",
            "cidr-block-association.association-id",
            "cidr-block-association.state",
            "dhcp-options-id",
            "ipv6-cidr-block-association.ipv6-cidr-block",
            "ipv6-cidr-block-association.association-id",
            "ipv6-cidr-block-association.state",
            "is-default",
            "isDefault",
            "owner-id",
            "state",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_vpcs),
    },
    Operation {
        name: "DeleteVpc",
        takes: &["VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "ModifyVpcAttribute",
        takes: &["VpcId", "EnableDnsSupport", "EnableDnsHostnames"],
        filters: &[],
        lacks: "`EnableNetworkAddressUsageMetrics`.",
        run: Run::Write(modify_attribute),
    },
    Operation {
        name: "DescribeVpcAttribute",
        takes: &["VpcId", "Attribute"],
        filters: &[],
        lacks: "",
        run: Run::Read(describe_attribute),
    },
    Operation {
        name: "AssociateVpcCidrBlock",
        takes: &["VpcId", "CidrBlock", "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlock"],
        filters: &[],
        lacks: "IPAM pools and pools of one's own.",
        run: Run::Write(associate),
    },
    Operation {
        name: "DisassociateVpcCidrBlock",
        takes: &["AssociationId"],
        filters: &[],
        lacks: "",
        run: Run::Write(disassociate),
    },
];

/// A VPC as it is shown.
struct VpcRow<'a>(VpcId, &'a Vpc);

impl Row for VpcRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let VpcRow(id, vpc) = self;
        let v4 = || vpc.block_associations().filter(|(_, block)| matches!(block, IpNet::V4(_)));
        let v6 = || vpc.block_associations().filter(|(_, block)| matches!(block, IpNet::V6(_)));
        match name {
            "vpc-id" => out.shows(id),
            "cidr" | "cidr-block" | "cidrBlock" => out.maybe(vpc.blocks().first()),
            "cidr-block-association.cidr-block" => v4().for_each(|(_, block)| out.shows(block)),
            "cidr-block-association.association-id" => v4().for_each(|(id, _)| out.shows(id)),
            "cidr-block-association.state" => v4().for_each(|_| out.is(ASSOCIATED)),
            "ipv6-cidr-block-association.ipv6-cidr-block" => {
                v6().for_each(|(_, block)| out.shows(block));
            }
            "ipv6-cidr-block-association.association-id" => v6().for_each(|(id, _)| out.shows(id)),
            "ipv6-cidr-block-association.state" => v6().for_each(|_| out.is(ASSOCIATED)),
            "dhcp-options-id" => out.maybe(dhcp::of(ask, *id)),
            "is-default" | "isDefault" => out.shows(vpc.is_default()),
            "owner-id" => out.shows(vpc.owner),
            "state" => out.is("available"),
            _ => tag_fields(ask.tags(ResourceId::Vpc(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        write(ask, xml, self.0, self.1, "available");
    }
}

const ASSOCIATED: &str = "associated";

fn write(ask: &Ask<'_>, xml: &mut Xml, id: VpcId, vpc: &Vpc, state: &str) {
    xml.text("vpcId", id);
    xml.text("ownerId", vpc.owner);
    xml.text("state", state);
    xml.maybe("cidrBlock", vpc.blocks().first());
    let (v4, v6): (Vec<_>, Vec<_>) =
        vpc.block_associations().partition(|(_, block)| matches!(block, IpNet::V4(_)));
    xml.set("cidrBlockAssociationSet", v4, |xml, (association, block)| {
        write_block(xml, association, block, ASSOCIATED);
    });
    if !v6.is_empty() {
        xml.set("ipv6CidrBlockAssociationSet", v6, |xml, (association, block)| {
            write_block(xml, association, block, ASSOCIATED);
        });
    }
    xml.maybe("dhcpOptionsId", dhcp::of(ask, id));
    write_tags(xml, ask.tags(ResourceId::Vpc(id)));
    xml.text("instanceTenancy", ask.fact(id, Fact::InstanceTenancy).unwrap_or("default"));
    xml.text("isDefault", vpc.is_default());
}

fn write_block(xml: &mut Xml, association: CidrAssociationId, block: IpNet, state: &str) {
    let (name, holder) = match block {
        IpNet::V4(_) => ("cidrBlock", "cidrBlockState"),
        IpNet::V6(_) => ("ipv6CidrBlock", "ipv6CidrBlockState"),
    };
    xml.text("associationId", association);
    xml.text(name, block);
    xml.group(holder, |xml| xml.text("state", state));
    if let IpNet::V6(_) = block {
        xml.text("ipv6Pool", "Amazon");
        xml.text("ipv6AddressAttribute", "public");
        xml.text("ipSource", "amazon");
    }
}

/// The IPv6 block that a request wants for a VPC, if it wants one. Amazon chooses: here the bits come
/// from the VPC's id, so that two VPCs do not meet.
fn wanted_ipv6(edit: &Edit<'_>) -> Result<Option<Option<Ipv6Net>>, Fault> {
    let given: Option<Ipv6Net> = edit.params.parsed("Ipv6CidrBlock")?;
    let amazon = edit.params.flag("AmazonProvidedIpv6CidrBlock")?.unwrap_or(false);
    let wanted = match (given, amazon) {
        (Some(_), true) => {
            return Err(Fault::combination(
                "Only one of Ipv6CidrBlock and AmazonProvidedIpv6CidrBlock can be given",
            ));
        }
        (None, false) => return Ok(None),
        (given, _) => Some(given),
    };
    if !edit.cloud().profile().has(Feature::Ipv6) {
        let message = "The parameter Ipv6CidrBlock is not recognized";
        return Err(Fault::new("UnknownParameter", message));
    }
    Ok(wanted)
}

fn amazon_block(id: VpcId) -> Result<Ipv6Net, Fault> {
    // 2600:1f00::/24 and 32 bits of the VPC's own.
    let own = u128::from(id.digits().value() & 0xffff_ffff);
    let bits = 0x2600_1f00_u128 << 96 | own << (128 - u32::from(VPC_IPV6_PREFIX_LENGTH));
    Ipv6Net::new(bits.into(), VPC_IPV6_PREFIX_LENGTH)
        .map_err(|error| Fault::new("InternalError", error.to_string()))
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let cidr = block(edit, "CidrBlock")?.ok_or_else(|| Fault::missing("cidrBlock"))?;
    let ipv6 = wanted_ipv6(edit)?;
    let tenancy = match edit.params.text("InstanceTenancy") {
        None | Some("default") => None,
        Some(other @ ("dedicated" | "host")) => Some(other),
        Some(other) => return Err(Fault::value("instanceTenancy", other)),
    };
    let tags = edit.new_tags("vpc")?;
    let id = edit.apply_for(&Command::CreateVpc { cidr }, |change| match change {
        Change::VpcCreated { vpc, .. } => Some(*vpc),
        _ => None,
    })?;
    if let Some(given) = ipv6 {
        let block = given.map_or_else(|| amazon_block(id), Ok)?.into();
        edit.apply(&Command::AssociateVpcCidrBlock { vpc: id, block })?;
    }
    if let Some(tenancy) = tenancy {
        edit.remember(id, Fact::InstanceTenancy, tenancy);
    }
    edit.tag(ResourceId::Vpc(id), tags)?;
    let ask = edit.ask();
    let vpc = own_vpc(&ask, id)?;
    xml.group("vpc", |xml| write(&ask, xml, id, vpc, "pending"));
    Ok(())
}

fn create_default(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id = edit.apply_for(&Command::CreateDefaultVpc, |change| match change {
        Change::VpcCreated { vpc, .. } => Some(*vpc),
        _ => None,
    })?;
    let ask = edit.ask();
    let vpc = own_vpc(&ask, id)?;
    xml.group("vpc", |xml| write(&ask, xml, id, vpc, "pending"));
    Ok(())
}

/// An IPv4 block of the request.
fn block(edit: &Edit<'_>, name: &str) -> Result<Option<Ipv4Net>, Fault> {
    let Some(text) = edit.params.text(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let message = format!(
            "Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block."
        );
        Fault::new("InvalidParameterValue", message)
    })
}

fn describe_vpcs(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "VpcId",
        "vpc-id",
        |id| Ok(VpcRow(id, own_vpc(ask, id)?)),
        || match tagged(ask)? {
            Some(ids) => {
                let own = |id| Some(VpcRow(id, own_vpc(ask, id).ok()?));
                Ok(ids.into_iter().filter_map(own).collect())
            }
            None => Ok(ask.cloud().vpcs_of(ask.caller).map(|(id, vpc)| VpcRow(id, vpc)).collect()),
        },
    )?;
    describe(ask, xml, "vpcSet", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    let ask = edit.ask();
    let born_with = ask.cloud().vpc(vpc).map(|vpc| (vpc.default_group(), vpc.default_acl()));
    let rules = born_with.map(|(group, _)| rule::all_of(&ask, group)).unwrap_or_default();
    edit.apply(&Command::DeleteVpc { vpc })?;
    if let Some((group, acl)) = born_with {
        rule::forget_group(edit, group, &rules);
        edit.forget(acl);
    }
    edit.forget(vpc);
    done(xml);
    Ok(())
}

fn modify_attribute(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    let switch = |on| if on { Switch::On } else { Switch::Off };
    let support = edit.params.flag("EnableDnsSupport.Value")?.map(switch);
    let hostnames = edit.params.flag("EnableDnsHostnames.Value")?.map(switch);
    let attribute = match (support, hostnames) {
        (Some(switch), None) => VpcAttribute::DnsSupport(switch),
        (None, Some(switch)) => VpcAttribute::DnsHostnames(switch),
        (None, None) => return Err(Fault::missing("attribute")),
        (Some(_), Some(_)) => {
            return Err(Fault::combination("Fields for multiple attribute types specified"));
        }
    };
    edit.apply(&Command::ModifyVpcAttribute { vpc, attribute })?;
    done(xml);
    Ok(())
}

fn describe_attribute(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id = ask.params.needed_id("VpcId")?;
    let dns = own_vpc(ask, id)?.dns();
    let attribute = ask.params.needed("Attribute")?;
    let value = match attribute {
        "enableDnsSupport" => dns.support == Switch::On,
        "enableDnsHostnames" => dns.hostnames == Switch::On,
        // Nothing here counts addresses for bills.
        "enableNetworkAddressUsageMetrics" => false,
        other => return Err(Fault::value("attribute", other)),
    };
    xml.text("vpcId", id);
    xml.group(attribute, |xml| xml.text("value", value));
    Ok(())
}

fn associate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc: VpcId = edit.params.needed_id("VpcId")?;
    let v4 = block(edit, "CidrBlock")?;
    let v6 = wanted_ipv6(edit)?;
    let wanted: IpNet = match (v4, v6) {
        (Some(block), None) => block.into(),
        (None, Some(given)) => given.map_or_else(|| amazon_block(vpc), Ok)?.into(),
        (None, None) => return Err(Fault::missing("cidrBlock")),
        (Some(_), Some(_)) => {
            return Err(Fault::combination("Only one of an IPv4 and an IPv6 block can be given"));
        }
    };
    edit.apply(&Command::AssociateVpcCidrBlock { vpc, block: wanted })?;
    let ask = edit.ask();
    let associated = own_vpc(&ask, vpc)?.block_associations().last();
    xml.text("vpcId", vpc);
    if let Some((association, block)) = associated {
        write_association(xml, association, block, "associating");
    }
    Ok(())
}

fn write_association(xml: &mut Xml, id: CidrAssociationId, block: IpNet, state: &str) {
    let name = match block {
        IpNet::V4(_) => "cidrBlockAssociation",
        IpNet::V6(_) => "ipv6CidrBlockAssociation",
    };
    xml.group(name, |xml| write_block(xml, id, block, state));
}

fn disassociate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let id: CidrAssociationId = edit.params.needed_id("AssociationId")?;
    let ask = edit.ask();
    let found = ask.cloud().block_by_association(id).filter(|(vpc, _)| super::owns(&ask, *vpc));
    let (vpc, block) = found.ok_or_else(|| {
        let message = format!("The vpc CIDR block association ID '{id}' does not exist");
        Fault::new("InvalidVpcCidrBlockAssociationID.NotFound", message)
    })?;
    edit.apply(&Command::DisassociateVpcCidrBlock { vpc, block })?;
    xml.text("vpcId", vpc);
    write_association(xml, id, block, "disassociating");
    Ok(())
}
