//! Route tables, their routes and their associations.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::prefix_list;
use super::{chosen, done, in_vpcs, owns};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params;
use crate::api::xml::Xml;
use crate::base::id::*;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::GatewayId;
use crate::cloud::refusal::Refusal;
use crate::cloud::route_table::{Hop, Route, RouteTable, RouteTarget};
use crate::cloud::vpc::Vpc;

const DESTINATIONS: [&str; 3] =
    ["DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"];

const ROUTE: &[&str] = &[
    "RouteTableId",
    "DestinationCidrBlock",
    "DestinationIpv6CidrBlock",
    "GatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateRouteTable",
        takes: &["VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeRouteTables",
        takes: &["RouteTableId"],
        filters: &[
            "association.gateway-id",
            "association.main",
            "association.route-table-association-id",
            "association.route-table-id",
            "association.subnet-id",
            "owner-id",
            "route-table-id",
            "route.destination-cidr-block",
            "route.destination-ipv6-cidr-block",
            "route.destination-prefix-list-id",
            "route.egress-only-internet-gateway-id",
            "route.gateway-id",
            "route.instance-id",
            "route.nat-gateway-id",
            "route.origin",
            "route.state",
            "route.transit-gateway-id",
            "route.vpc-peering-connection-id",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_tables),
    },
    Operation {
        name: "DeleteRouteTable",
        takes: &["RouteTableId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "AssociateRouteTable",
        takes: &["RouteTableId", "SubnetId"],
        filters: &[],
        lacks: "Tables of gateways (`GatewayId`).",
        run: Run::Write(associate),
    },
    Operation {
        name: "DisassociateRouteTable",
        takes: &["AssociationId"],
        filters: &[],
        lacks: "",
        run: Run::Write(disassociate),
    },
    Operation {
        name: "ReplaceRouteTableAssociation",
        takes: &["AssociationId", "RouteTableId"],
        filters: &[],
        lacks: "",
        run: Run::Write(replace_association),
    },
    Operation {
        name: "CreateRoute",
        takes: ROUTE,
        filters: &[],
        lacks: "Prefix lists as destinations; transit and local gateways, carrier gateways, core \
                networks and endpoints as targets.",
        run: Run::Write(create_route),
    },
    Operation {
        name: "ReplaceRoute",
        takes: ROUTE,
        filters: &[],
        lacks: "As `CreateRoute`; `LocalTarget`.",
        run: Run::Write(replace_route),
    },
    Operation {
        name: "DeleteRoute",
        takes: &["RouteTableId", "DestinationCidrBlock", "DestinationIpv6CidrBlock"],
        filters: &[],
        lacks: "Prefix lists as destinations.",
        run: Run::Write(delete_route),
    },
    Operation {
        name: "EnableVgwRoutePropagation",
        takes: &["GatewayId", "RouteTableId"],
        filters: &[],
        lacks: "",
        run: Run::Write(enable_propagation),
    },
    Operation {
        name: "DisableVgwRoutePropagation",
        takes: &["GatewayId", "RouteTableId"],
        filters: &[],
        lacks: "",
        run: Run::Write(disable_propagation),
    },
];

/// A route table as it is shown.
struct TableRow<'a>(RouteTableId, &'a RouteTable);

/// What puts something on a table.
struct Association {
    id: AssociationId,
    /// None of the main table's own.
    subnet: Option<SubnetId>,
}

fn own<'a>(ask: &Ask<'a>, id: RouteTableId) -> Result<&'a RouteTable, Fault> {
    let table = ask.cloud().table(id).filter(|table| owns(ask, table.vpc));
    Ok(table.ok_or(Refusal::RouteTableNotFound(id))?)
}

/// The associations of a table: as main table, then of subnets in order of creation.
fn associations(ask: &Ask<'_>, id: RouteTableId, table: &RouteTable) -> Vec<Association> {
    let Some(vpc) = ask.cloud().vpc(table.vpc) else { return Vec::new() };
    let main =
        (vpc.main_table() == id).then(|| Association { id: vpc.main_association(), subnet: None });
    let explicit = vpc.subnets().iter().filter_map(|subnet| {
        let (association, of) = ask.cloud().subnet(*subnet)?.association()?;
        (of == id).then_some(Association { id: association, subnet: Some(*subnet) })
    });
    main.into_iter().chain(explicit).collect()
}

impl Row for TableRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let TableRow(id, table) = self;
        if let Some(what) = name.strip_prefix("association.") {
            for association in associations(ask, *id, table) {
                match what {
                    "main" => out.shows(association.subnet.is_none()),
                    "route-table-association-id" => out.shows(association.id),
                    "route-table-id" => out.shows(id),
                    "subnet-id" => out.maybe(association.subnet),
                    _ => {}
                }
            }
            return;
        }
        if let Some(what) = name.strip_prefix("route.") {
            ask.cloud().routes(*id).for_each(|route| route_field(ask, &route, what, out));
            return;
        }
        match name {
            "route-table-id" => out.shows(id),
            "vpc-id" => out.shows(table.vpc),
            "owner-id" => out.shows(ask.caller.account),
            _ => tag_fields(ask.tags(ResourceId::RouteTable(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        write(ask, xml, self.0, self.1);
    }
}

fn route_field(ask: &Ask<'_>, route: &Route, what: &str, out: &mut Values<'_>) {
    let list = endpoint_list(ask, route);
    match (what, route.destination, route.hop) {
        ("destination-prefix-list-id", _, _) => out.maybe(list),
        ("destination-cidr-block" | "destination-ipv6-cidr-block", _, _) if list.is_some() => {}
        ("destination-cidr-block", IpNet::V4(block), _) => out.shows(block),
        ("destination-ipv6-cidr-block", IpNet::V6(block), _) => out.shows(block),
        ("origin", _, _) => out.is(route.origin.code()),
        ("state", _, _) => out.is(ask.cloud().route_state(route.hop, ask.now).code()),
        ("gateway-id", _, Hop::Local) => out.is("local"),
        (
            "egress-only-internet-gateway-id",
            _,
            Hop::To(RouteTarget::Gateway(id @ GatewayId::EgressOnly(_))),
        ) => out.shows(id),
        ("gateway-id", _, Hop::To(RouteTarget::Gateway(GatewayId::EgressOnly(_)))) => {}
        ("gateway-id", _, Hop::To(RouteTarget::Gateway(id))) => out.shows(id),
        ("nat-gateway-id", _, Hop::To(RouteTarget::Nat(id))) => out.shows(id),
        ("vpc-peering-connection-id", _, Hop::To(RouteTarget::Peering(id))) => out.shows(id),
        ("instance-id", _, Hop::To(RouteTarget::Interface(id))) => {
            out.maybe(ask.cloud().interface(id).and_then(|interface| interface.instance()));
        }
        _ => {}
    }
}

fn write(ask: &Ask<'_>, xml: &mut Xml, id: RouteTableId, table: &RouteTable) {
    xml.text("routeTableId", id);
    xml.text("vpcId", table.vpc);
    xml.text("ownerId", ask.caller.account);
    xml.group("routeSet", |xml| {
        let mut endpoint = None;
        for route in ask.cloud().routes(id) {
            let list = endpoint_list(ask, &route);
            // All the prefixes of a service are one route to its list.
            if list.is_some() && endpoint == Some(route.hop) {
                continue;
            }
            endpoint = list.is_some().then_some(route.hop);
            xml.group("item", |xml| write_route(ask, xml, &route, list));
        }
    });
    xml.set("associationSet", associations(ask, id, table), |xml, association| {
        xml.text("routeTableAssociationId", association.id);
        xml.text("routeTableId", id);
        xml.maybe("subnetId", association.subnet);
        xml.text("main", association.subnet.is_none());
        write_association_state(xml, "associated");
    });
    let gateways = ask.cloud().vpc(table.vpc).into_iter().flat_map(|vpc| vpc.gateways());
    let propagating = gateways
        .filter(|gateway| matches!(gateway, GatewayId::Vpn(_)) && table.learns_from(*gateway));
    xml.set("propagatingVgwSet", propagating, |xml, gateway| xml.text("gatewayId", gateway));
    write_tags(xml, ask.tags(ResourceId::RouteTable(id)));
}

fn write_association_state(xml: &mut Xml, state: &str) {
    xml.group("associationState", |xml| xml.text("state", state));
}

/// The prefix list of the service, of a route to its endpoint.
fn endpoint_list(ask: &Ask<'_>, route: &Route) -> Option<PrefixListId> {
    let Hop::To(RouteTarget::Gateway(id @ GatewayId::Endpoint(_))) = route.hop else { return None };
    let service = ask.cloud().gateway(id)?.service.as_ref()?;
    let lists = prefix_list::amazons(&ask.caller.region);
    lists.into_iter().find(|list| list.name == *service).map(|list| list.id)
}

fn write_route(ask: &Ask<'_>, xml: &mut Xml, route: &Route, list: Option<PrefixListId>) {
    match (list, route.destination) {
        (Some(list), _) => xml.text("destinationPrefixListId", list),
        (None, IpNet::V4(block)) => xml.text("destinationCidrBlock", block),
        (None, IpNet::V6(block)) => xml.text("destinationIpv6CidrBlock", block),
    }
    match route.hop {
        Hop::Local => xml.text("gatewayId", "local"),
        Hop::To(RouteTarget::Gateway(id @ GatewayId::EgressOnly(_))) => {
            xml.text("egressOnlyInternetGatewayId", id);
        }
        Hop::To(RouteTarget::Gateway(id)) => xml.text("gatewayId", id),
        Hop::To(RouteTarget::Nat(id)) => xml.text("natGatewayId", id),
        Hop::To(RouteTarget::Peering(id)) => xml.text("vpcPeeringConnectionId", id),
        Hop::To(RouteTarget::Interface(id)) => {
            xml.text("networkInterfaceId", id);
            let instance = ask.cloud().interface(id).and_then(|interface| interface.instance());
            if let Some(instance) = instance {
                xml.text("instanceId", instance);
                xml.text("instanceOwnerId", ask.caller.account);
            }
        }
    }
    xml.text("state", ask.cloud().route_state(route.hop, ask.now).code());
    xml.text("origin", route.origin.code());
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    let tags = edit.new_tags("route-table")?;
    let id = edit.apply_for(&Command::CreateRouteTable { vpc }, |change| match change {
        Change::RouteTableCreated { table, .. } => Some(*table),
        _ => None,
    })?;
    edit.tag(ResourceId::RouteTable(id), tags)?;
    let ask = edit.ask();
    let table = own(&ask, id)?;
    xml.group("routeTable", |xml| write(&ask, xml, id, table));
    Ok(())
}

fn describe_tables(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let row = |id: RouteTableId| Ok(TableRow(id, own(ask, id)?));
    let rows = chosen(ask, "RouteTableId", "route-table-id", row, || {
        // A subnet, and the id of its association, name their table.
        let subnets = super::exactly::<SubnetId>(ask, "association.subnet-id")?;
        let named = super::exactly::<AssociationId>(ask, "association.route-table-association-id")?;
        let tables: Vec<RouteTableId> = if let Some(subnets) = subnets {
            let of = |id: &SubnetId| Some(ask.cloud().subnet(*id)?.association()?.1);
            subnets.iter().filter_map(of).collect()
        } else if let Some(named) = named {
            named.into_iter().filter_map(|id| ask.cloud().table_by_association(id)).collect()
        } else {
            in_vpcs(ask, "vpc-id", Vpc::tables)?
        };
        let mut tables = tables;
        tables.sort_unstable();
        tables.dedup();
        Ok(tables.into_iter().filter_map(|id| row(id).ok()).collect())
    })?;
    describe(ask, xml, "routeTableSet", PageBounds::TABLES, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let table = edit.params.needed_id("RouteTableId")?;
    edit.apply(&Command::DeleteRouteTable { table })?;
    edit.forget(table);
    done(xml);
    Ok(())
}

fn associate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let table = edit.params.needed_id("RouteTableId")?;
    if let Some(gateway) = edit.params.text("GatewayId") {
        let message = format!("vpclab has no route tables of gateways: {gateway}");
        return Err(Fault::new("UnsupportedOperation", message));
    }
    let subnet = edit.params.needed_id("SubnetId")?;
    let command = Command::AssociateRouteTable { table, subnet };
    let id = edit.apply_for(&command, |change| match change {
        Change::RouteTableAssociated { association, .. } => Some(*association),
        _ => None,
    })?;
    xml.text("associationId", id);
    write_association_state(xml, "associated");
    Ok(())
}

fn disassociate(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let association = edit.params.needed_id("AssociationId")?;
    edit.apply(&Command::DisassociateRouteTable { association })?;
    done(xml);
    Ok(())
}

fn replace_association(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let association = edit.params.needed_id("AssociationId")?;
    let table = edit.params.needed_id("RouteTableId")?;
    let events = edit.apply(&Command::ReplaceRouteTableAssociation { association, table })?;
    let new = events.iter().find_map(|event| match event.change {
        Change::RouteTableAssociated { association, .. }
        | Change::MainRouteTableReplaced { association, .. } => Some(association),
        _ => None,
    });
    // On the table that it is on already, the association stays what it is.
    xml.text("newAssociationId", new.unwrap_or(association));
    write_association_state(xml, "associated");
    Ok(())
}

/// The one destination of a request.
fn destination(edit: &Edit<'_>) -> Result<IpNet, Fault> {
    let given: Vec<&str> =
        DESTINATIONS.into_iter().filter(|name| edit.params.text(name).is_some()).collect();
    match given[..] {
        [] => Err(Fault::missing("destinationCidrBlock")),
        ["DestinationPrefixListId"] => {
            let message = "vpclab has no routes to prefix lists";
            Err(Fault::new("UnsupportedOperation", message))
        }
        [name] => {
            let text = edit.params.needed(name)?;
            let block = match name {
                "DestinationCidrBlock" => text.parse::<Ipv4Net>().ok().map(IpNet::V4),
                _ => text.parse::<Ipv6Net>().ok().map(IpNet::V6),
            };
            block.ok_or_else(|| {
                let message = format!(
                    "Value ({text}) for parameter destinationCidrBlock is invalid. This is not a \
                     valid CIDR block."
                );
                Fault::new("InvalidParameterValue", message)
            })
        }
        _ => Err(Fault::combination("Only one destination can be given")),
    }
}

/// The one target of a request.
fn target(edit: &Edit<'_>) -> Result<RouteTarget, Fault> {
    const TARGETS: [&str; 12] = [
        "GatewayId",
        "NatGatewayId",
        "NetworkInterfaceId",
        "InstanceId",
        "VpcPeeringConnectionId",
        "EgressOnlyInternetGatewayId",
        "TransitGatewayId",
        "VpcEndpointId",
        "LocalGatewayId",
        "CarrierGatewayId",
        "CoreNetworkArn",
        "LocalTarget",
    ];
    let given: Vec<(&str, &str)> =
        TARGETS.into_iter().filter_map(|name| Some((name, edit.params.text(name)?))).collect();
    let (name, text) = match given[..] {
        [one] => one,
        [] => {
            let message = "The request must contain exactly one of gatewayId, natGatewayId, \
                           networkInterfaceId, vpcPeeringConnectionId, instanceId";
            return Err(Fault::new("MissingParameter", message));
        }
        _ => return Err(Fault::combination("Only one target can be given")),
    };
    match name {
        "VpcPeeringConnectionId" => Ok(RouteTarget::Peering(params::id(text)?)),
        "NetworkInterfaceId" => Ok(RouteTarget::Interface(params::id(text)?)),
        "NatGatewayId" => Ok(RouteTarget::Nat(params::id(text)?)),
        "GatewayId" => Ok(RouteTarget::Gateway(gateway(text)?)),
        "EgressOnlyInternetGatewayId" => {
            Ok(RouteTarget::Gateway(GatewayId::EgressOnly(params::id(text)?)))
        }
        "InstanceId" => {
            let id: InstanceId = params::id(text)?;
            let ask = edit.ask();
            let interface = ask.cloud().instance(id).and_then(|instance| instance.interface());
            let own = interface.filter(|id| {
                ask.cloud().interface(*id).is_some_and(|interface| owns(&ask, interface.vpc))
            });
            Ok(RouteTarget::Interface(own.ok_or(Refusal::InstanceNotFound(id))?))
        }
        other => {
            let message = format!("vpclab has no routes to a {other}: {text}");
            Err(Fault::new("UnsupportedOperation", message))
        }
    }
}

/// A gateway that a route can name.
fn gateway(text: &str) -> Result<GatewayId, Fault> {
    match text.split('-').next() {
        Some(VpnGatewayId::PREFIX) => Ok(GatewayId::Vpn(params::id(text)?)),
        Some(EndpointId::PREFIX) => Ok(GatewayId::Endpoint(params::id(text)?)),
        _ => text.parse().map(GatewayId::Internet).map_err(|_| {
            let message = format!("The gateway ID '{text}' does not exist");
            Fault::new("InvalidGatewayID.NotFound", message)
        }),
    }
}

fn create_route(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let table = edit.params.needed_id("RouteTableId")?;
    let (destination, target) = (destination(edit)?, target(edit)?);
    edit.apply(&Command::CreateRoute { table, destination, target })?;
    done(xml);
    Ok(())
}

fn replace_route(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let table = edit.params.needed_id("RouteTableId")?;
    let (destination, target) = (destination(edit)?, target(edit)?);
    edit.apply(&Command::ReplaceRoute { table, destination, target })?;
    done(xml);
    Ok(())
}

fn delete_route(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let table = edit.params.needed_id("RouteTableId")?;
    let destination = destination(edit)?;
    edit.apply(&Command::DeleteRoute { table, destination })?;
    done(xml);
    Ok(())
}

fn enable_propagation(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway = edit.params.needed_id("GatewayId")?;
    let table = edit.params.needed_id("RouteTableId")?;
    edit.apply(&Command::EnableVgwRoutePropagation { gateway, table })?;
    done(xml);
    Ok(())
}

fn disable_propagation(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway = edit.params.needed_id("GatewayId")?;
    let table = edit.params.needed_id("RouteTableId")?;
    edit.apply(&Command::DisableVgwRoutePropagation { gateway, table })?;
    done(xml);
    Ok(())
}
