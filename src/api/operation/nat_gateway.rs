//! NAT gateways. A deleted one can be seen for an hour: what is shown of it then is remembered here,
//! since the cloud has it no more.

use super::{chosen, own_vpc, subnet};
use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::{Fact, Kind, Record};
use crate::api::xml::Xml;
use crate::base::id::{NatGatewayId, SubnetId, VpcId};
use crate::base::limit::API_DELETED_NAT_GATEWAY_SHOWN;
use crate::base::time::Instant;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::gateway::NatGateway;
use crate::cloud::instance::Host;
use crate::cloud::refusal::Refusal;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateNatGateway",
        takes: &["SubnetId", "AllocationId", "ConnectivityType"],
        filters: &[],
        lacks: "Private and regional NAT gateways, a private address of one's choice, secondary \
                addresses.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeNatGateways",
        takes: &["NatGatewayId"],
        filters: &["nat-gateway-id", "state", "subnet-id", "vpc-id", "tag:<key>", "tag-key"],
        lacks: "",
        run: Run::Read(describe_gateways),
    },
    Operation {
        name: "DeleteNatGateway",
        takes: &["NatGatewayId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

/// A NAT gateway as it is shown.
enum NatRow<'a> {
    /// One that works.
    There(NatGatewayId, &'a NatGateway),
    /// One that is deleted.
    Gone(NatGatewayId),
}

/// What a NAT gateway's row tells, whether it is there or gone.
#[derive(Default)]
struct Shown {
    subnet: String,
    vpc: String,
    interface: String,
    private: String,
    public: String,
    allocation: String,
}

impl Shown {
    fn of(ask: &Ask<'_>, gateway: &NatGateway) -> Shown {
        let mut shown = Shown {
            vpc: gateway.vpc.to_string(),
            interface: gateway.interface.to_string(),
            ..Shown::default()
        };
        let Some(interface) = ask.cloud().interface(gateway.interface) else { return shown };
        shown.subnet = interface.subnet.to_string();
        if let Some(private) = super::primary_ipv4(interface) {
            shown.private = private.to_string();
            if let Some((allocation, held)) =
                ask.cloud().public_allocation(gateway.interface, private)
            {
                shown.allocation = allocation.to_string();
                shown.public = held.address.to_string();
            }
        }
        shown
    }

    /// As one line, in the order of the fields.
    fn remembered(&self) -> String {
        let Shown { subnet, vpc, interface, private, public, allocation } = self;
        format!("{subnet} {vpc} {interface} {private} {public} {allocation}")
    }

    fn from_memory(line: &str) -> Shown {
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        Shown {
            subnet: next(),
            vpc: next(),
            interface: next(),
            private: next(),
            public: next(),
            allocation: next(),
        }
    }
}

impl NatRow<'_> {
    const fn id(&self) -> NatGatewayId {
        match self {
            NatRow::There(id, _) | NatRow::Gone(id) => *id,
        }
    }

    const fn state(&self) -> &'static str {
        match self {
            NatRow::There(..) => "available",
            NatRow::Gone(_) => "deleted",
        }
    }

    fn shown(&self, ask: &Ask<'_>) -> Shown {
        match self {
            NatRow::There(_, gateway) => Shown::of(ask, gateway),
            NatRow::Gone(id) => Shown::from_memory(ask.fact(id, Fact::Options).unwrap_or_default()),
        }
    }

    fn tags<'t>(&self, ask: &Ask<'t>) -> &'t std::collections::BTreeMap<String, String> {
        match self {
            NatRow::There(id, _) => ask.tags(ResourceId::NatGateway(*id)),
            NatRow::Gone(id) => ask.records().tags(&id.to_string()),
        }
    }

    fn write_as(&self, ask: &Ask<'_>, xml: &mut Xml, state: &str) {
        let shown = self.shown(ask);
        xml.text("natGatewayId", self.id());
        xml.text("subnetId", &shown.subnet);
        xml.text("vpcId", &shown.vpc);
        xml.text("state", state);
        xml.maybe("createTime", ask.fact(self.id(), Fact::Created));
        xml.maybe("deleteTime", deleted_at(ask, self.id()).map(timestamp));
        xml.text("connectivityType", "public");
        xml.set("natGatewayAddressSet", [&shown], |xml, shown| {
            xml.text("allocationId", &shown.allocation);
            xml.text("networkInterfaceId", &shown.interface);
            xml.text("privateIp", &shown.private);
            xml.text("publicIp", &shown.public);
            xml.text("isPrimary", true);
            xml.text("status", "succeeded");
        });
        write_tags(xml, self.tags(ask));
    }
}

impl Row for NatRow<'_> {
    fn key(&self) -> String {
        self.id().to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "nat-gateway-id" => out.shows(self.id()),
            "state" => out.is(self.state()),
            "subnet-id" => out.is(&self.shown(ask).subnet),
            "vpc-id" => out.is(&self.shown(ask).vpc),
            _ => tag_fields(self.tags(ask), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        self.write_as(ask, xml, self.state());
    }
}

/// When it was deleted, of one that is.
fn deleted_at(ask: &Ask<'_>, id: NatGatewayId) -> Option<Instant> {
    ask.fact(id, Fact::Deleted)?.parse().ok().map(Instant::from_nanos)
}

/// The deleted ones of the caller, and whether each can still be seen.
fn gone(ask: &Ask<'_>) -> impl Iterator<Item = (NatGatewayId, bool)> {
    let ids = ask.records().owned(Kind::DeletedNatGateway, ask.caller.account, &ask.caller.region);
    ids.filter_map(|id| {
        let id = id.parse().ok()?;
        let seen_until = deleted_at(ask, id)? + API_DELETED_NAT_GATEWAY_SHOWN;
        Some((id, ask.now < seen_until))
    })
}

fn row<'a>(ask: &Ask<'a>, id: NatGatewayId) -> Result<NatRow<'a>, Fault> {
    if let Some(gateway) = ask.cloud().nat_gateway(id)
        && own_vpc(ask, gateway.vpc).is_ok()
    {
        return Ok(NatRow::There(id, gateway));
    }
    match gone(ask).find(|(other, seen)| *other == id && *seen) {
        Some(_) => Ok(NatRow::Gone(id)),
        None => Err(Refusal::NatGatewayNotFound(id).into()),
    }
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    match edit.params.text("ConnectivityType") {
        None | Some("public") => {}
        Some("private") => return Err(unsupported("private NAT gateways")),
        Some(other) => return Err(Fault::value("connectivityType", other)),
    }
    for further in
        ["PrivateIpAddress", "SecondaryAllocationId", "SecondaryPrivateIpAddress", "VpcId"]
    {
        if edit.params.member(further).is_some() {
            return Err(unsupported(&format!("NAT gateways with {further}")));
        }
    }
    let subnet: SubnetId = edit.params.needed_id("SubnetId")?;
    subnet::own(&edit.ask(), subnet)?;
    let allocation = edit.params.needed_id("AllocationId")?;
    let tags = edit.new_tags("natgateway")?;
    let command = Command::CreateNatGateway { subnet, allocation };
    let id = edit.apply_for(&command, |change| match change {
        Change::NatGatewayCreated { gateway, .. } => Some(*gateway),
        _ => None,
    })?;
    edit.remember(id, Fact::Created, timestamp(edit.now));
    edit.tag(ResourceId::NatGateway(id), tags)?;
    forget_old(edit);
    let ask = edit.ask();
    let row = row(&ask, id)?;
    xml.maybe("clientToken", edit.params.text("ClientToken"));
    xml.group("natGateway", |xml| row.write_as(&ask, xml, "pending"));
    Ok(())
}

fn unsupported(what: &str) -> Fault {
    Fault::new("UnsupportedOperation", format!("vpclab has no {what}"))
}

fn describe_gateways(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "NatGatewayId",
        "nat-gateway-id",
        |id| row(ask, id),
        || {
            let there = match (
                super::exactly::<SubnetId>(ask, "subnet-id")?,
                super::exactly::<VpcId>(ask, "vpc-id")?,
            ) {
                (Some(subnets), _) => in_subnets(ask, subnets),
                (None, Some(vpcs)) => {
                    let vpcs = vpcs.into_iter().filter_map(|id| own_vpc(ask, id).ok());
                    in_subnets(ask, vpcs.flat_map(|vpc| vpc.subnets()).copied().collect())
                }
                (None, None) => match super::tagged(ask)? {
                    Some(ids) => ids.into_iter().filter(|id| row(ask, *id).is_ok()).collect(),
                    None => ask.cloud().nat_gateways_of(ask.caller).map(|(id, _)| id).collect(),
                },
            };
            let gone = gone(ask).filter(|(_, seen)| *seen).map(|(id, _)| Ok(NatRow::Gone(id)));
            there.into_iter().map(|id| row(ask, id)).chain(gone).collect()
        },
    )?;
    describe(ask, xml, "natGatewaySet", PageBounds::USUAL, rows)
}

/// The NAT gateways whose interfaces are in these subnets, as far as they are the caller's.
fn in_subnets(ask: &Ask<'_>, subnets: Vec<SubnetId>) -> Vec<NatGatewayId> {
    let own = subnets.into_iter().filter(|id| subnet::own(ask, *id).is_ok());
    let interfaces = own.flat_map(|id| ask.cloud().interfaces_in(id));
    interfaces
        .filter_map(|(_, interface)| match interface.host {
            Host::NatGateway(id) => Some(id),
            _ => None,
        })
        .collect()
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let gateway: NatGatewayId = edit.params.needed_id("NatGatewayId")?;
    let ask = edit.ask();
    if let NatRow::There(_, there) = row(&ask, gateway)? {
        let shown = Shown::of(&ask, there).remembered();
        let tags = ask.tags(ResourceId::NatGateway(gateway)).clone();
        edit.apply(&Command::DeleteNatGateway { gateway })?;
        let (owner, region) = (edit.caller.account, edit.caller.region.clone());
        let id = gateway.to_string();
        edit.record(Record::Made { kind: Kind::DeletedNatGateway, id: id.clone(), owner, region });
        edit.remember(&id, Fact::Options, shown);
        edit.remember(&id, Fact::Deleted, edit.now.as_nanos().to_string());
        edit.tag_thing(&id, tags.into_iter().collect());
    }
    forget_old(edit);
    xml.text("natGatewayId", gateway);
    Ok(())
}

/// Forgets the deleted ones that nobody can see any more.
fn forget_old(edit: &mut Edit<'_>) {
    let old: Vec<NatGatewayId> =
        gone(&edit.ask()).filter(|(_, seen)| !seen).map(|(id, _)| id).collect();
    old.into_iter().for_each(|id| edit.forget(id));
}
