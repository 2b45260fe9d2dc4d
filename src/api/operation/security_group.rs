//! Security groups: the groups themselves, and which of them name each other.
//!
//! Rules are changed in `security_group/change.rs`, have their ids from `rule.rs` and their shapes
//! from `permission.rs`.

mod change;
mod permission;
pub(in crate::api) mod rule;

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use self::permission::{is_description, port_pair, protocol, write_permissions, write_stale};
use self::rule::{Place, RuleRow, own, shown};
use super::{arn, chosen, done, exactly, in_vpcs, own_vpc, vpcs};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{PeeringId, SecurityGroupId, VpcId};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::filter::Direction;
use crate::cloud::security_group::{RulePeer, SecurityGroup};
use crate::cloud::vpc::Vpc;

/// What names rules of a group in a request, beside `IpPermissions` the flat parameters of old.
const INGRESS: &[&str] = &[
    "GroupId",
    "GroupName",
    "IpPermissions",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "SourceSecurityGroupName",
    "SourceSecurityGroupOwnerId",
    "SecurityGroupRuleId",
];
const EGRESS: &[&str] = &[
    "GroupId",
    "IpPermissions",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "SourceSecurityGroupName",
    "SourceSecurityGroupOwnerId",
    "SecurityGroupRuleId",
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateSecurityGroup",
        takes: &["GroupName", "GroupDescription", "VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeSecurityGroups",
        takes: &["GroupId", "GroupName"],
        filters: &[
            "description",
            "egress.ip-permission.cidr",
            "egress.ip-permission.from-port",
            "egress.ip-permission.group-id",
            "egress.ip-permission.group-name",
            "egress.ip-permission.ipv6-cidr",
            "egress.ip-permission.prefix-list-id",
            "egress.ip-permission.protocol",
            "egress.ip-permission.to-port",
            "egress.ip-permission.user-id",
            "group-id",
            "group-name",
            "ip-permission.cidr",
            "ip-permission.from-port",
            "ip-permission.group-id",
            "ip-permission.group-name",
            "ip-permission.ipv6-cidr",
            "ip-permission.prefix-list-id",
            "ip-permission.protocol",
            "ip-permission.to-port",
            "ip-permission.user-id",
            "owner-id",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_groups),
    },
    Operation {
        name: "DeleteSecurityGroup",
        takes: &["GroupId", "GroupName"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "AuthorizeSecurityGroupIngress",
        takes: INGRESS,
        filters: &[],
        lacks: "Prefix lists of Amazon.",
        run: Run::Write(change::authorize_ingress),
    },
    Operation {
        name: "AuthorizeSecurityGroupEgress",
        takes: EGRESS,
        filters: &[],
        lacks: "Prefix lists of Amazon.",
        run: Run::Write(change::authorize_egress),
    },
    Operation {
        name: "RevokeSecurityGroupIngress",
        takes: INGRESS,
        filters: &[],
        lacks: "",
        run: Run::Write(change::revoke_ingress),
    },
    Operation {
        name: "RevokeSecurityGroupEgress",
        takes: EGRESS,
        filters: &[],
        lacks: "",
        run: Run::Write(change::revoke_egress),
    },
    Operation {
        name: "DescribeSecurityGroupRules",
        takes: &["SecurityGroupRuleId"],
        filters: &["group-id", "security-group-rule-id", "tag:<key>", "tag-key"],
        lacks: "",
        run: Run::Read(describe_rules),
    },
    Operation {
        name: "ModifySecurityGroupRules",
        takes: &["GroupId", "SecurityGroupRule"],
        filters: &[],
        lacks: "",
        run: Run::Write(change::modify),
    },
    Operation {
        name: "UpdateSecurityGroupRuleDescriptionsIngress",
        takes: &["GroupId", "GroupName", "IpPermissions", "SecurityGroupRuleDescription"],
        filters: &[],
        lacks: "",
        run: Run::Write(change::describe_ingress),
    },
    Operation {
        name: "UpdateSecurityGroupRuleDescriptionsEgress",
        takes: &["GroupId", "GroupName", "IpPermissions", "SecurityGroupRuleDescription"],
        filters: &[],
        lacks: "",
        run: Run::Write(change::describe_egress),
    },
    Operation {
        name: "DescribeStaleSecurityGroups",
        takes: &["VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Read(describe_stale),
    },
    Operation {
        name: "DescribeSecurityGroupReferences",
        takes: &["GroupId"],
        filters: &[],
        lacks: "Transit gateways.",
        run: Run::Read(describe_references),
    },
];

/// A group as it is shown.
struct GroupRow<'a>(SecurityGroupId, &'a SecurityGroup);

/// What is said about a group.
fn description<'a>(ask: &Ask<'a>, id: SecurityGroupId, group: &SecurityGroup) -> &'a str {
    let born = group.name == SecurityGroup::DEFAULT_NAME;
    let default = if born { "default VPC security group" } else { "" };
    ask.fact(id, Fact::Description).unwrap_or(default)
}

impl Row for GroupRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let GroupRow(id, group) = self;
        let (direction, of_rule) = match name.strip_prefix("egress.") {
            Some(rest) => (Direction::Egress, rest.strip_prefix("ip-permission.")),
            None => (Direction::Ingress, name.strip_prefix("ip-permission.")),
        };
        if let Some(what) = of_rule {
            let places = shown(ask, *id, group, direction);
            return places.iter().for_each(|place| rule_field(ask, place, what, out));
        }
        match name {
            "group-id" => out.shows(id),
            "group-name" => out.is(&group.name),
            "description" => out.is(description(ask, *id, group)),
            "owner-id" => out.shows(ask.caller.account),
            "vpc-id" => out.shows(group.vpc),
            _ => tag_fields(ask.tags(ResourceId::SecurityGroup(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let GroupRow(id, group) = self;
        xml.text("groupId", id);
        xml.text("groupName", &group.name);
        xml.text("groupDescription", description(ask, *id, group));
        xml.text("ownerId", ask.caller.account);
        xml.text("vpcId", group.vpc);
        xml.text("securityGroupArn", arn(ask.caller, "security-group", id));
        for (set, direction) in
            [("ipPermissions", Direction::Ingress), ("ipPermissionsEgress", Direction::Egress)]
        {
            write_permissions(ask, xml, set, &shown(ask, *id, group, direction));
        }
        write_tags(xml, ask.tags(ResourceId::SecurityGroup(*id)));
    }
}

fn rule_field(ask: &Ask<'_>, place: &Place, what: &str, out: &mut Values<'_>) {
    let rule = place.rule;
    match (what, rule.peer) {
        ("cidr", RulePeer::Block(IpNet::V4(block))) => out.shows(block),
        ("ipv6-cidr", RulePeer::Block(IpNet::V6(block))) => out.shows(block),
        ("prefix-list-id", RulePeer::PrefixList(id)) => out.shows(id),
        ("group-id", RulePeer::Group(id)) => out.shows(id),
        ("group-name", RulePeer::Group(id)) => {
            out.maybe(own(ask, id).ok().map(|group| &group.name));
        }
        ("user-id", RulePeer::Group(id)) => {
            out.maybe(permission::Relation::of(ask, place, id).owner);
        }
        ("protocol", _) => out.is(&protocol(rule.traffic)),
        ("from-port", _) => out.maybe(port_pair(rule.traffic).map(|(from, _)| from)),
        ("to-port", _) => out.maybe(port_pair(rule.traffic).map(|(_, to)| to)),
        _ => {}
    }
}

/// The group of this name in the default VPC: names alone stand for nothing else.
///
/// # Errors
/// `InvalidGroup.NotFound`.
fn by_name(ask: &Ask<'_>, name: &str) -> Result<SecurityGroupId, Fault> {
    let cloud = ask.cloud();
    let vpc = cloud.default_vpc(ask.caller);
    let groups = vpc.and_then(|id| cloud.vpc(id)).map_or(&[][..], |vpc| vpc.groups());
    let named = groups.iter().find(|id| cloud.group(**id).is_some_and(|group| group.name == name));
    named.copied().ok_or_else(|| {
        let place = vpc.map_or("null".to_owned(), |id| id.to_string());
        let message =
            format!("The security group '{name}' does not exist in default VPC '{place}'");
        Fault::new("InvalidGroup.NotFound", message)
    })
}

/// The group that a request is about: by `GroupId`, or by `GroupName` in the default VPC.
fn named(ask: &Ask<'_>) -> Result<SecurityGroupId, Fault> {
    match (ask.params.id("GroupId")?, ask.params.text("GroupName")) {
        (Some(id), _) => Ok(id),
        (None, Some(name)) => by_name(ask, name),
        (None, None) => {
            let message = "The request must contain the parameter groupName or groupId";
            Err(Fault::new("MissingParameter", message))
        }
    }
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let name = edit.params.needed("GroupName")?.to_owned();
    let described = edit.params.needed("GroupDescription")?.to_owned();
    if !is_description(&described) {
        let message = format!(
            "Value ({described}) for parameter GroupDescription is invalid. Valid descriptions \
             are strings less than 256 characters from the following set: a-zA-Z0-9. \
             _-:/()#,@[]+=&;{{}}!$*"
        );
        return Err(Fault::new("InvalidParameterValue", message));
    }
    let vpc = match edit.params.id("VpcId")? {
        Some(vpc) => vpc,
        None => edit
            .cloud()
            .default_vpc(edit.caller)
            .ok_or_else(|| Fault::new("VPCIdNotSpecified", "No default VPC for this user"))?,
    };
    let tags = edit.new_tags("security-group")?;
    let command = Command::CreateSecurityGroup { vpc, name };
    let id = edit.apply_for(&command, |change| match change {
        Change::SecurityGroupCreated { group, .. } => Some(*group),
        _ => None,
    })?;
    edit.remember(id, Fact::Description, described);
    edit.tag(ResourceId::SecurityGroup(id), tags)?;
    let ask = edit.ask();
    done(xml);
    xml.text("groupId", id);
    write_tags(xml, ask.tags(ResourceId::SecurityGroup(id)));
    xml.text("securityGroupArn", arn(ask.caller, "security-group", id));
    Ok(())
}

fn describe_groups(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let row = |id: SecurityGroupId| Ok(GroupRow(id, own(ask, id)?));
    let names: Vec<&str> = ask.params.list("GroupName").collect();
    let named = names.into_iter().map(|name| row(by_name(ask, name)?));
    let mut named: Vec<GroupRow<'_>> = named.collect::<Result<_, Fault>>()?;
    let rows = if named.is_empty() {
        chosen(ask, "GroupId", "group-id", row, || {
            let groups = in_vpcs(ask, "vpc-id", Vpc::groups)?.into_iter();
            Ok(groups.filter_map(|id| row(id).ok()).collect())
        })?
    } else {
        // Both lists together: whatever is on one of them, once.
        let ids: Vec<SecurityGroupId> = ask.params.ids("GroupId")?;
        named.extend(ids.into_iter().map(row).collect::<Result<Vec<_>, Fault>>()?);
        named.sort_by_key(|row| row.0);
        named.dedup_by_key(|row| row.0);
        named
    };
    describe(ask, xml, "securityGroupInfo", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let group = named(&ask)?;
    let rules = rule::all_of(&ask, group);
    edit.apply(&Command::DeleteSecurityGroup { group })?;
    rule::forget_group(edit, group, &rules);
    done(xml);
    xml.text("groupId", group);
    Ok(())
}

fn describe_rules(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let row = |place| RuleRow::new(ask, place);
    let listed: BTreeSet<&str> = ask.params.list("SecurityGroupRuleId").collect();
    let filters = ask.filters()?;
    let rows: Vec<RuleRow> = if !listed.is_empty() {
        let found = listed.into_iter().map(|id| Ok(row(rule::find(ask, id)?)));
        found.collect::<Result<_, Fault>>()?
    } else if let Some(ids) = filters.exactly("security-group-rule-id") {
        let ids: BTreeSet<&str> = ids.into_iter().collect();
        ids.into_iter().filter_map(|id| rule::find(ask, id).ok().map(row)).collect()
    } else {
        let groups: Vec<SecurityGroupId> = match exactly(ask, "group-id")? {
            Some(ids) => ids,
            None => {
                vpcs(ask, "vpc-id")?.iter().flat_map(|(_, vpc)| vpc.groups()).copied().collect()
            }
        };
        let groups = groups.into_iter().filter_map(|id| Some((id, own(ask, id).ok()?)));
        let places = groups.flat_map(|(id, group)| {
            Direction::ALL.into_iter().flat_map(move |d| shown(ask, id, group, d))
        });
        places.map(row).collect()
    };
    describe(ask, xml, "securityGroupRuleSet", PageBounds::USUAL, rows)
}

/// A group with rules that match nothing any more.
struct StaleRow<'a>(SecurityGroupId, &'a SecurityGroup, Vec<Place>);

impl Row for StaleRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, _: &Ask<'_>, _: &str, _: &mut Values<'_>) {}

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let StaleRow(id, group, places) = self;
        xml.text("groupId", id);
        xml.text("groupName", &group.name);
        xml.text("description", description(ask, *id, group));
        xml.text("vpcId", group.vpc);
        let (into, out): (Vec<Place>, Vec<Place>) =
            places.iter().partition(|place| place.direction == Direction::Ingress);
        write_stale(ask, xml, "staleIpPermissions", &into);
        write_stale(ask, xml, "staleIpPermissionsEgress", &out);
    }
}

fn describe_stale(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = ask.params.needed_id("VpcId")?;
    own_vpc(ask, vpc)?;
    let mut stale: BTreeMap<SecurityGroupId, Vec<Place>> = BTreeMap::new();
    for (group, direction, rule) in ask.cloud().stale_rules(vpc, ask.now) {
        stale.entry(group).or_default().push(Place { group, direction, rule });
    }
    let rows = stale.into_iter().filter_map(|(id, places)| {
        let group = own(ask, id).ok()?;
        Some(StaleRow(id, group, places))
    });
    describe(ask, xml, "staleSecurityGroupSet", PageBounds::STALE, rows)
}

fn describe_references(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ids: Vec<SecurityGroupId> = ask.params.ids("GroupId")?;
    if ids.is_empty() {
        return Err(Fault::missing("groupId"));
    }
    let mut references: Vec<(SecurityGroupId, VpcId, PeeringId)> = Vec::new();
    let cloud = ask.cloud();
    for id in ids {
        let here = own(ask, id)?.vpc;
        for peering in own_vpc(ask, here)?.peerings() {
            let active = cloud.peering(peering).filter(|peering| peering.active(ask.now).is_some());
            let Some(there) = active.and_then(|peering| peering.other_end(here)) else { continue };
            // Only a rule that the peering brings to life says that the group is referenced.
            if cloud.group_usable(there, id, ask.now) && names(ask, there, id) {
                references.push((id, there, peering));
            }
        }
    }
    xml.set("securityGroupReferenceSet", references, |xml, (group, vpc, peering)| {
        xml.text("groupId", group);
        xml.text("referencingVpcId", vpc);
        xml.text("vpcPeeringConnectionId", peering);
    });
    Ok(())
}

/// Does a rule of a VPC's groups name this group? Linear in the number of their rules.
fn names(ask: &Ask<'_>, vpc: VpcId, named: SecurityGroupId) -> bool {
    let cloud = ask.cloud();
    let groups = cloud.vpc(vpc).map_or(&[][..], |vpc| vpc.groups());
    groups.iter().filter_map(|id| cloud.group(*id)).any(|group| {
        let mut rules = Direction::ALL.into_iter().flat_map(|d| group.rules(d));
        rules.any(|rule| rule.peer == RulePeer::Group(named))
    })
}
