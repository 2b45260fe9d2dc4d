//! Tags of any resource.

use std::collections::BTreeMap;

use super::done;
use super::security_group::rule;
use crate::api::describe::{PageBounds, Row, describe};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params::Params;
use crate::api::records::{Kind, Record};
use crate::api::xml::Xml;
use crate::base::limit::TAGS_PER_RESOURCE_MAX;
use crate::cloud::Cloud;
use crate::cloud::command::Command;
use crate::cloud::event::ResourceId;
use crate::cloud::gateway::GatewayId;
use crate::cloud::refusal::Refusal;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateTags",
        takes: &["ResourceId", "Tag"],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeTags",
        takes: &[],
        filters: &["key", "resource-id", "resource-type", "value", "tag:<key>"],
        lacks: "",
        run: Run::Read(describe_tags),
    },
    Operation {
        name: "DeleteTags",
        takes: &["ResourceId", "Tag"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

/// Something that can be tagged.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Tagged {
    /// A resource of the cloud.
    Cloud(ResourceId),
    /// A resource that only the API has.
    Api(String, Kind),
}

/// What a resource is called in tag specifications.
pub(super) fn resource_type(of: ResourceId) -> &'static str {
    match of {
        ResourceId::Vpc(_) => "vpc",
        ResourceId::Subnet(_) => "subnet",
        ResourceId::RouteTable(_) => "route-table",
        ResourceId::Peering(_) => "vpc-peering-connection",
        ResourceId::Instance(_) => "instance",
        ResourceId::Interface(_) => "network-interface",
        ResourceId::SecurityGroup(_) => "security-group",
        ResourceId::PrefixList(_) => "prefix-list",
        ResourceId::NetworkAcl(_) => "network-acl",
        ResourceId::Gateway(GatewayId::Internet(_)) => "internet-gateway",
        ResourceId::Gateway(GatewayId::Vpn(_)) => "vpn-gateway",
        ResourceId::Gateway(GatewayId::Endpoint(_)) => "vpc-endpoint",
        ResourceId::Gateway(GatewayId::EgressOnly(_)) => "egress-only-internet-gateway",
        ResourceId::NatGateway(_) => "natgateway",
        ResourceId::FlowLog(_) => "vpc-flow-log",
        ResourceId::Allocation(_) => "elastic-ip",
    }
}

impl Kind {
    /// What it is called in tag specifications.
    pub(in crate::api) const fn resource_type(self) -> &'static str {
        match self {
            Kind::SecurityGroupRule => "security-group-rule",
            Kind::DhcpOptions => "dhcp-options",
            Kind::InsightsPath => "network-insights-path",
            Kind::InsightsAnalysis => "network-insights-analysis",
            Kind::KeyPair => "key-pair",
            Kind::DeletedNatGateway => "natgateway",
        }
    }
}

/// The resource of the cloud with this id, by its prefix; there need not be one.
fn resource(text: &str) -> Option<ResourceId> {
    let (prefix, _) = text.rsplit_once('-')?;
    Some(match prefix {
        "vpc" => ResourceId::Vpc(text.parse().ok()?),
        "subnet" => ResourceId::Subnet(text.parse().ok()?),
        "rtb" => ResourceId::RouteTable(text.parse().ok()?),
        "pcx" => ResourceId::Peering(text.parse().ok()?),
        "i" => ResourceId::Instance(text.parse().ok()?),
        "eni" => ResourceId::Interface(text.parse().ok()?),
        "sg" => ResourceId::SecurityGroup(text.parse().ok()?),
        "pl" => ResourceId::PrefixList(text.parse().ok()?),
        "acl" => ResourceId::NetworkAcl(text.parse().ok()?),
        "igw" => ResourceId::Gateway(GatewayId::Internet(text.parse().ok()?)),
        "vgw" => ResourceId::Gateway(GatewayId::Vpn(text.parse().ok()?)),
        "vpce" => ResourceId::Gateway(GatewayId::Endpoint(text.parse().ok()?)),
        "eigw" => ResourceId::Gateway(GatewayId::EgressOnly(text.parse().ok()?)),
        "nat" => ResourceId::NatGateway(text.parse().ok()?),
        "fl" => ResourceId::FlowLog(text.parse().ok()?),
        "eipalloc" => ResourceId::Allocation(text.parse().ok()?),
        _ => return None,
    })
}

/// The resource with this id, if the caller has it.
fn own(ask: &Ask<'_>, text: &str) -> Result<Tagged, Fault> {
    if let Some(thing) = ask.records().thing(text)
        && thing.owner == ask.caller.account
        && thing.region == ask.caller.region
    {
        return Ok(Tagged::Api(text.to_owned(), thing.kind));
    }
    if rule::find(ask, text).is_ok() {
        // A rule that a group was born with: nothing is recorded of it yet.
        return Ok(Tagged::Api(text.to_owned(), Kind::SecurityGroupRule));
    }
    let id = resource(text)
        .ok_or_else(|| Fault::new("InvalidID", format!("The ID '{text}' is not valid")))?;
    ask.cloud().check(
        ask.caller,
        &Command::CreateTags { resource: id, tags: Vec::new() },
        ask.now,
    )?;
    Ok(Tagged::Cloud(id))
}

/// The resources that a request lists: at least one.
fn listed(ask: &Ask<'_>) -> Result<Vec<Tagged>, Fault> {
    let found: Vec<Tagged> =
        ask.params.list("ResourceId").map(|text| own(ask, text)).collect::<Result<_, _>>()?;
    if found.is_empty() { Err(Fault::missing("resourceIdSet")) } else { Ok(found) }
}

/// The tags of `Tag.N` of a request or a part of one.
fn pairs(params: &Params) -> Result<Vec<(String, String)>, Fault> {
    let mut tags = Vec::new();
    for row in params.rows("Tag") {
        let key = row.text("Key").ok_or_else(|| Fault::missing("Tag.Key"))?;
        let value = row.text_or_empty("Value").unwrap_or_default();
        if tags.iter().any(|(other, _)| other == key) {
            let message = format!("Tag keys must be unique: '{key}'");
            return Err(Fault::new("InvalidParameterValue", message));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// The tags that a request wants on a new resource of type `wanted`; it may have specifications for
/// each of `allowed`. They are valid: tagging a new resource with them cannot be refused.
///
/// # Errors
/// A tag that cannot be, or a specification for another type.
pub(in crate::api) fn specified(
    params: &Params,
    allowed: &[&str],
    wanted: &str,
) -> Result<Vec<(String, String)>, Fault> {
    let mut tags = Vec::new();
    for row in params.rows("TagSpecification") {
        let of = row
            .needed("ResourceType")
            .map_err(|_| Fault::missing("Tag specification resource type"))?;
        if !allowed.contains(&of) {
            let message =
                format!("'{of}' is not a valid taggable resource type for this operation.");
            return Err(Fault::new("InvalidParameterValue", message));
        }
        let of_this = pairs(row)?;
        Cloud::check_tags(&of_this)?;
        if of == wanted {
            tags.extend(of_this);
        }
    }
    Cloud::check_tags(&tags)?;
    Ok(tags)
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let tags = pairs(edit.params)?;
    if tags.is_empty() {
        return Err(Fault::missing("Tag"));
    }
    Cloud::check_tags(&tags)?;
    let ask = edit.ask();
    let resources = listed(&ask)?;
    // All or none: each is asked for first.
    for tagged in &resources {
        match tagged {
            Tagged::Cloud(resource) => {
                let command = Command::CreateTags { resource: *resource, tags: tags.clone() };
                ask.cloud().check(ask.caller, &command, ask.now)?;
            }
            Tagged::Api(id, _) => {
                let mut after = ask.records().tags(id).clone();
                after.extend(tags.iter().cloned());
                if after.len() > TAGS_PER_RESOURCE_MAX {
                    return Err(Refusal::TooManyTags.into());
                }
            }
        }
    }
    for tagged in resources {
        match tagged {
            Tagged::Cloud(resource) => {
                edit.apply(&Command::CreateTags { resource, tags: tags.clone() })?;
            }
            Tagged::Api(id, _) => {
                rule::adopt_if_one(edit, &id);
                edit.tag_thing(&id, tags.clone());
            }
        }
    }
    done(xml);
    Ok(())
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    // With a value, a tag goes only if it has that value; without any `Tag`, all go.
    let wanted: Vec<(String, Option<String>)> = edit
        .params
        .rows("Tag")
        .map(|row| {
            let key = row.text("Key").ok_or_else(|| Fault::missing("Tag.Key"))?;
            Ok((key.to_owned(), row.text_or_empty("Value").map(str::to_owned)))
        })
        .collect::<Result<_, Fault>>()?;
    let ask = edit.ask();
    let going = |tags: &BTreeMap<String, String>| -> Vec<String> {
        let goes = |(key, value): &(&String, &String)| {
            let meant = |(k, v): &(String, Option<String>)| {
                k == *key && v.as_ref().is_none_or(|v| v == *value)
            };
            wanted.is_empty() || wanted.iter().any(meant)
        };
        tags.iter().filter(goes).map(|(key, _)| key.clone()).collect()
    };
    let resources = listed(&ask)?.into_iter().map(|tagged| {
        let keys = match &tagged {
            Tagged::Cloud(id) => going(ask.tags(*id)),
            Tagged::Api(id, _) => going(ask.records().tags(id)),
        };
        (tagged, keys)
    });
    let resources: Vec<(Tagged, Vec<String>)> = resources.collect();
    for (tagged, keys) in resources {
        match tagged {
            Tagged::Cloud(_) if keys.is_empty() => {}
            Tagged::Cloud(resource) => {
                edit.apply(&Command::DeleteTags { resource, keys })?;
            }
            Tagged::Api(id, _) => {
                for key in keys {
                    edit.record(Record::Untagged { of: id.clone(), key });
                }
            }
        }
    }
    done(xml);
    Ok(())
}

/// One tag of one resource.
struct TagRow<'a> {
    id: String,
    kind: &'static str,
    key: &'a str,
    value: &'a str,
}

impl Row for TagRow<'_> {
    fn key(&self) -> String {
        format!("{} {}", self.id, self.key)
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "key" => out.is(self.key),
            "value" => out.is(self.value),
            "resource-id" => out.is(&self.id),
            "resource-type" => out.is(self.kind),
            _ if name.strip_prefix("tag:") == Some(self.key) => out.is(self.value),
            _ => {}
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        xml.text("resourceId", &self.id);
        xml.text("resourceType", self.kind);
        xml.text("key", self.key);
        xml.text("value", self.value);
    }
}

fn describe_tags(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let filters = ask.filters()?;
    let named: Option<Vec<Tagged>> = filters
        .exactly("resource-id")
        .map(|ids| ids.into_iter().filter_map(|id| own(ask, id).ok()).collect());
    let tagged = match named {
        Some(named) => named,
        None => {
            let account = ask.caller.account;
            let of_cloud = ask.cloud().tagged_by(account).filter(|id| {
                let command = Command::CreateTags { resource: *id, tags: Vec::new() };
                ask.cloud().check(ask.caller, &command, ask.now).is_ok()
            });
            let of_api = Kind::ALL.into_iter().flat_map(|kind| {
                let owned = ask.records().owned(kind, account, &ask.caller.region);
                owned.map(move |id| Tagged::Api(id.to_owned(), kind))
            });
            of_cloud.map(Tagged::Cloud).chain(of_api).collect()
        }
    };
    let mut rows = Vec::new();
    for tagged in &tagged {
        let (id, kind, tags) = match tagged {
            Tagged::Cloud(id) => (id.to_string(), resource_type(*id), ask.tags(*id)),
            Tagged::Api(id, kind) => (id.clone(), kind.resource_type(), ask.records().tags(id)),
        };
        for (key, value) in tags {
            rows.push(TagRow { id: id.clone(), kind, key, value });
        }
    }
    describe(ask, xml, "tagSet", PageBounds::USUAL, rows)
}
