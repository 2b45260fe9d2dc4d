//! Gateway endpoints to AWS's services.

use super::internet_gateway::{own, owned};
use super::prefix_list::{self, Amazons};
use super::{chosen, done, own_vpc};
use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, page, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{EndpointId, RouteTableId};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::{Gateway, GatewayId};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateVpcEndpoint",
        takes: &[
            "VpcEndpointType",
            "VpcId",
            "ServiceName",
            "PolicyDocument",
            "RouteTableId",
            "PrivateDnsEnabled",
        ],
        filters: &[],
        lacks: "Gateway endpoints only, to S3 and DynamoDB. A policy is remembered and bars nobody.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeVpcEndpoints",
        takes: &["VpcEndpointId"],
        filters: &[
            "service-name",
            "service-region",
            "vpc-endpoint-id",
            "vpc-endpoint-state",
            "vpc-endpoint-type",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_endpoints),
    },
    Operation {
        name: "ModifyVpcEndpoint",
        takes: &[
            "VpcEndpointId",
            "ResetPolicy",
            "PolicyDocument",
            "AddRouteTableId",
            "RemoveRouteTableId",
        ],
        filters: &[],
        lacks: "What interface endpoints have: subnets, groups, private DNS.",
        run: Run::Write(modify),
    },
    Operation {
        name: "DeleteVpcEndpoints",
        takes: &["VpcEndpointId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "DescribeVpcEndpointServices",
        takes: &["ServiceName"],
        filters: &[
            "owner",
            "service-name",
            "service-region",
            "service-type",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "Services with interface endpoints.",
        run: Run::Read(describe_services),
    },
];

/// The services that have gateway endpoints in the caller's region.
fn services(ask: &Ask<'_>) -> impl Iterator<Item = Amazons> {
    prefix_list::amazons(&ask.caller.region).into_iter()
}

/// The service of this name.
fn service(ask: &Ask<'_>, name: &str) -> Result<Amazons, Fault> {
    services(ask).find(|service| service.name == name).ok_or_else(|| {
        let message = format!("The Vpc Endpoint Service '{name}' does not exist");
        Fault::new("InvalidServiceName", message)
    })
}

/// The policy that an endpoint has, unless its owner says another: all is allowed.
const POLICY: &str = concat!(
    r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","#,
    r#""Resource":"*"}]}"#
);

struct EndpointRow<'a>(EndpointId, &'a Gateway);

impl EndpointRow<'_> {
    fn resource(&self) -> ResourceId {
        ResourceId::Gateway(GatewayId::Endpoint(self.0))
    }

    fn tables(&self, ask: &Ask<'_>) -> Vec<RouteTableId> {
        let vpc = self.1.vpc.and_then(|id| ask.cloud().vpc(id));
        let tables = vpc.into_iter().flat_map(|vpc| vpc.tables());
        let learns = |id: &&RouteTableId| {
            let table = ask.cloud().table(**id);
            table.is_some_and(|table| table.learns_from(GatewayId::Endpoint(self.0)))
        };
        tables.filter(learns).copied().collect()
    }
}

impl Row for EndpointRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "vpc-endpoint-id" => out.shows(self.0),
            "vpc-id" => out.maybe(self.1.vpc),
            "service-name" => out.maybe(self.1.service.as_ref()),
            "service-region" => out.shows(&self.1.region),
            "vpc-endpoint-state" => out.is("available"),
            "vpc-endpoint-type" => out.is("Gateway"),
            _ => tag_fields(ask.tags(self.resource()), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        xml.text("vpcEndpointId", self.0);
        xml.text("vpcEndpointType", "Gateway");
        xml.maybe("vpcId", self.1.vpc);
        xml.maybe("serviceName", self.1.service.as_ref());
        xml.text("state", "available");
        xml.text("policyDocument", ask.fact(self.0, Fact::Policy).unwrap_or(POLICY));
        xml.values("routeTableIdSet", self.tables(ask));
        xml.group("subnetIdSet", |_| {});
        xml.group("groupSet", |_| {});
        xml.text("privateDnsEnabled", false);
        xml.text("requesterManaged", false);
        xml.group("networkInterfaceIdSet", |_| {});
        xml.group("dnsEntrySet", |_| {});
        xml.maybe("creationTimestamp", ask.fact(self.0, Fact::Created));
        write_tags(xml, ask.tags(self.resource()));
        xml.text("ownerId", self.1.owner);
        xml.text("serviceRegion", &self.1.region);
    }
}

fn row<'a>(ask: &Ask<'a>, id: EndpointId) -> Result<EndpointRow<'a>, Fault> {
    Ok(EndpointRow(id, own(ask, GatewayId::Endpoint(id))?))
}

/// The policy of a request: a document, which nobody reads.
fn policy(edit: &Edit<'_>) -> Result<Option<String>, Fault> {
    let Some(text) = edit.params.text("PolicyDocument") else { return Ok(None) };
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(_) => Err(Fault::new("InvalidPolicyDocument", "Policy document is not valid JSON")),
    }
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    own_vpc(&edit.ask(), vpc)?;
    match edit.params.text("VpcEndpointType") {
        None | Some("Gateway") => {}
        Some(kind @ ("Interface" | "GatewayLoadBalancer" | "Resource" | "ServiceNetwork")) => {
            let message = format!("vpclab has no endpoints of type {kind}, only Gateway");
            return Err(Fault::new("UnsupportedOperation", message));
        }
        Some(other) => return Err(Fault::value("vpcEndpointType", other)),
    }
    if edit.params.flag("PrivateDnsEnabled")? == Some(true) {
        let message = "Private DNS is not supported for Gateway endpoints.";
        return Err(Fault::new("InvalidParameter", message));
    }
    for interface_only in ["SubnetId", "SecurityGroupId"] {
        if edit.params.member(interface_only).is_some() {
            let message = format!("{interface_only} is not supported for Gateway endpoints.");
            return Err(Fault::new("InvalidParameter", message));
        }
    }
    let name = edit.params.needed("ServiceName")?.to_owned();
    let prefixes = service(&edit.ask(), &name)?.entries;
    let tables = edit.params.ids("RouteTableId")?;
    let policy = policy(edit)?;
    let tags = edit.new_tags("vpc-endpoint")?;
    let command = Command::CreateVpcEndpoint { vpc, service: name, prefixes, tables };
    let id = edit.apply_for(&command, |change| match change {
        Change::GatewayCreated { id: GatewayId::Endpoint(id), .. } => Some(*id),
        _ => None,
    })?;
    edit.remember(id, Fact::Created, timestamp(edit.now));
    if let Some(policy) = policy {
        edit.remember(id, Fact::Policy, policy);
    }
    edit.tag(ResourceId::Gateway(GatewayId::Endpoint(id)), tags)?;
    let ask = edit.ask();
    let row = row(&ask, id)?;
    xml.group("vpcEndpoint", |xml| row.write(&ask, xml));
    xml.maybe("clientToken", edit.params.text("ClientToken"));
    Ok(())
}

fn describe_endpoints(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "VpcEndpointId",
        "vpc-endpoint-id",
        |id| row(ask, id),
        || {
            let owned = owned(ask, "vpc-id")?.into_iter();
            let endpoints = owned.filter_map(|(id, gateway)| match id {
                GatewayId::Endpoint(id) => Some(EndpointRow(id, gateway)),
                _ => None,
            });
            Ok(endpoints.collect())
        },
    )?;
    describe(ask, xml, "vpcEndpointSet", PageBounds::USUAL, rows)
}

fn modify(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let endpoint: EndpointId = edit.params.needed_id("VpcEndpointId")?;
    let add = edit.params.ids("AddRouteTableId")?;
    let remove = edit.params.ids("RemoveRouteTableId")?;
    let reset = edit.params.flag("ResetPolicy")?.unwrap_or(false);
    let policy = policy(edit)?;
    for interface_only in
        ["AddSubnetId", "RemoveSubnetId", "AddSecurityGroupId", "RemoveSecurityGroupId"]
    {
        if edit.params.member(interface_only).is_some() {
            let message = format!("{interface_only} is not supported for Gateway endpoints.");
            return Err(Fault::new("InvalidParameter", message));
        }
    }
    edit.apply(&Command::ModifyVpcEndpoint { endpoint, add, remove })?;
    if reset {
        edit.remember(endpoint, Fact::Policy, "");
    } else if let Some(policy) = policy {
        edit.remember(endpoint, Fact::Policy, policy);
    }
    done(xml);
    Ok(())
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let wanted: Vec<String> = edit.params.list("VpcEndpointId").map(str::to_owned).collect();
    if wanted.is_empty() {
        return Err(Fault::missing("vpcEndpointIdSet"));
    }
    // Each on its own: one that cannot go keeps no other.
    let mut failed: Vec<(String, Fault)> = Vec::new();
    for text in wanted {
        let gone = params::id::<EndpointId>(&text).and_then(|endpoint| {
            edit.apply(&Command::DeleteVpcEndpoints { endpoint })?;
            edit.forget(endpoint);
            Ok(())
        });
        if let Err(fault) = gone {
            failed.push((text, fault));
        }
    }
    xml.set("unsuccessful", failed, |xml, (id, fault)| {
        xml.text("resourceId", id);
        xml.group("error", |xml| {
            xml.text("code", fault.code());
            xml.text("message", fault.message());
        });
    });
    Ok(())
}

struct ServiceRow(Amazons);

impl ServiceRow {
    /// The last part of its name: what it is called in every region.
    fn short(&self) -> &str {
        self.0.name.rsplit('.').next().unwrap_or_default()
    }
}

impl Row for ServiceRow {
    fn key(&self) -> String {
        self.0.name.clone()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "service-name" => out.is(&self.0.name),
            "service-type" => out.is("Gateway"),
            "service-region" => out.shows(&ask.caller.region),
            "owner" => out.is("amazon"),
            // They have no tags.
            _ => {}
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let region = &ask.caller.region;
        xml.text("serviceName", &self.0.name);
        xml.text("serviceId", format!("vpce-svc-{}", self.0.id.digits().as_str()));
        xml.set("serviceType", ["Gateway"], |xml, kind| xml.text("serviceType", kind));
        xml.text("serviceRegion", region);
        xml.values("availabilityZoneSet", region.zones().map(String::from));
        xml.values("availabilityZoneIdSet", region.zones().map(|zone| zone.id()));
        xml.text("owner", "amazon");
        let host = format!("{}.{region}.amazonaws.com", self.short());
        xml.values("baseEndpointDnsNameSet", [host]);
        xml.text("vpcEndpointPolicySupported", true);
        xml.text("acceptanceRequired", false);
        xml.text("managesVpcEndpoints", false);
        xml.group("tagSet", |_| {});
        xml.values("supportedIpAddressTypeSet", ["ipv4"]);
    }
}

fn describe_services(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let wanted = ask.params.list("ServiceName").map(|name| service(ask, name));
    let mut wanted: Vec<Amazons> = wanted.collect::<Result<_, _>>()?;
    if wanted.is_empty() {
        wanted.extend(services(ask));
    }
    let page = page(ask, PageBounds::USUAL, wanted.into_iter().map(ServiceRow))?;
    xml.values("serviceNameSet", page.rows.iter().map(|row| &row.0.name));
    xml.set("serviceDetailSet", &page.rows, |xml, row| row.write(ask, xml));
    xml.maybe("nextToken", page.token);
    Ok(())
}
