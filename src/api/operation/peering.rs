//! Peering connections: the protocol of request and acceptance.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{chosen, done, exactly, tagged};
use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params::Params;
use crate::api::xml::Xml;
use crate::base::id::{PeeringId, VpcId};
use crate::cloud::PeeringView;
use crate::cloud::command::Command;
use crate::cloud::dns::Switch;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::peering::{End, Party};
use crate::cloud::vpc::Vpc;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateVpcPeeringConnection",
        takes: &["VpcId", "PeerVpcId", "PeerOwnerId", "PeerRegion"],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "AcceptVpcPeeringConnection",
        takes: &["VpcPeeringConnectionId"],
        filters: &[],
        lacks: "",
        run: Run::Write(accept),
    },
    Operation {
        name: "RejectVpcPeeringConnection",
        takes: &["VpcPeeringConnectionId"],
        filters: &[],
        lacks: "",
        run: Run::Write(reject),
    },
    Operation {
        name: "DeleteVpcPeeringConnection",
        takes: &["VpcPeeringConnectionId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "DescribeVpcPeeringConnections",
        takes: &["VpcPeeringConnectionId"],
        filters: &[
            "accepter-vpc-info.cidr-block",
            "accepter-vpc-info.owner-id",
            "accepter-vpc-info.vpc-id",
            "expiration-time",
            "requester-vpc-info.cidr-block",
            "requester-vpc-info.owner-id",
            "requester-vpc-info.vpc-id",
            "status-code",
            "status-message",
            "vpc-peering-connection-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_peerings),
    },
    Operation {
        name: "ModifyVpcPeeringConnectionOptions",
        takes: &[
            "VpcPeeringConnectionId",
            "RequesterPeeringConnectionOptions",
            "AccepterPeeringConnectionOptions",
        ],
        filters: &[],
        lacks: "ClassicLink (retired) and multipath options.",
        run: Run::Write(modify_options),
    },
];

/// A peering as its party is shown it. Live ones come first: clients that ask for a pair of VPCs take
/// the first (vpc-semantics 6.8).
struct PeeringRow<'a>(PeeringView<'a>);

impl PeeringRow<'_> {
    fn id(&self) -> PeeringId {
        self.0.id()
    }
}

impl Row for PeeringRow<'_> {
    fn key(&self) -> String {
        let ended = if self.0.status().is_live() { "live" } else { "over" };
        format!("{ended} {}", self.id())
    }

    fn field(&self, _: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let end = |end: End, what: &str, out: &mut Values<'_>| match what {
            "cidr-block" => self.0.blocks(end).iter().for_each(|block| out.shows(block)),
            "owner-id" => out.shows(self.0.party(end).account),
            _ => out.shows(self.0.party(end).vpc),
        };
        match name {
            "vpc-peering-connection-id" => out.shows(self.id()),
            "status-code" => out.is(self.0.status().code()),
            "status-message" => out.is(&self.0.message()),
            "expiration-time" => out.maybe(self.0.expires_at().map(timestamp)),
            _ => match (
                name.strip_prefix("accepter-vpc-info."),
                name.strip_prefix("requester-vpc-info."),
            ) {
                (Some(what), _) => end(End::Accepter, what, out),
                (_, Some(what)) => end(End::Requester, what, out),
                _ => tag_fields(self.0.tags(), name, out),
            },
        }
    }

    fn write(&self, _: &Ask<'_>, xml: &mut Xml) {
        write(xml, &self.0);
    }
}

fn write(xml: &mut Xml, view: &PeeringView<'_>) {
    xml.text("vpcPeeringConnectionId", view.id());
    for (name, end) in [("requesterVpcInfo", End::Requester), ("accepterVpcInfo", End::Accepter)] {
        xml.group(name, |xml| write_end(xml, view, end));
    }
    xml.maybe("expirationTime", view.expires_at().map(timestamp));
    xml.group("status", |xml| {
        xml.text("code", view.status().code());
        xml.text("message", view.message());
    });
    write_tags(xml, view.tags());
}

fn write_end(xml: &mut Xml, view: &PeeringView<'_>, end: End) {
    let Party { vpc, account, region } = view.party(end);
    xml.text("ownerId", account);
    xml.text("vpcId", vpc);
    xml.text("region", region);
    let blocks = view.blocks(end);
    if let Some(primary) = blocks.first() {
        xml.text("cidrBlock", primary);
        let (v4, v6): (Vec<&IpNet>, Vec<&IpNet>) =
            blocks.iter().partition(|block| matches!(block, IpNet::V4(_)));
        xml.set("cidrBlockSet", v4, |xml, block| xml.text("cidrBlock", block));
        if !v6.is_empty() {
            xml.set("ipv6CidrBlockSet", v6, |xml, block| xml.text("ipv6CidrBlock", block));
        }
        if let Some(switch) = view.dns_from_peer(end) {
            xml.group("peeringOptions", |xml| write_options(xml, switch));
        }
    }
}

fn write_options(xml: &mut Xml, dns_from_peer: Switch) {
    xml.text("allowDnsResolutionFromRemoteVpc", dns_from_peer == Switch::On);
    // EC2-Classic is gone.
    xml.text("allowEgressFromLocalClassicLinkToRemoteVpc", false);
    xml.text("allowEgressFromLocalVpcToRemoteClassicLink", false);
}

fn view<'a>(ask: &Ask<'a>, id: PeeringId) -> Result<PeeringView<'a>, Fault> {
    Ok(ask.cloud().describe_peering(ask.caller, id, ask.now)?)
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let requester = edit.params.needed_id("VpcId")?;
    let accepter = edit.params.needed_id("PeerVpcId")?;
    let command = Command::CreateVpcPeeringConnection {
        requester,
        accepter,
        peer_owner: edit.params.parsed("PeerOwnerId")?,
        peer_region: edit.params.parsed("PeerRegion")?,
    };
    let tags = edit.new_tags("vpc-peering-connection")?;
    let (id, new) = edit.apply_for(&command, |change| match change {
        Change::PeeringRequested { peering, .. } => Some((*peering, true)),
        Change::PeeringFound { peering } => Some((*peering, false)),
        _ => None,
    })?;
    if new {
        edit.tag(ResourceId::Peering(id), tags)?;
    }
    let ask = edit.ask();
    let view = view(&ask, id)?;
    xml.group("vpcPeeringConnection", |xml| write(xml, &view));
    Ok(())
}

fn accept(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let peering = edit.params.needed_id("VpcPeeringConnectionId")?;
    edit.apply(&Command::AcceptVpcPeeringConnection { peering })?;
    let ask = edit.ask();
    let view = view(&ask, peering)?;
    xml.group("vpcPeeringConnection", |xml| write(xml, &view));
    Ok(())
}

fn reject(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let peering = edit.params.needed_id("VpcPeeringConnectionId")?;
    edit.apply(&Command::RejectVpcPeeringConnection { peering })?;
    done(xml);
    Ok(())
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let peering = edit.params.needed_id("VpcPeeringConnectionId")?;
    edit.apply(&Command::DeleteVpcPeeringConnection { peering })?;
    done(xml);
    Ok(())
}

fn describe_peerings(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = chosen(
        ask,
        "VpcPeeringConnectionId",
        "vpc-peering-connection-id",
        |id| Ok(PeeringRow(view(ask, id)?)),
        || {
            let Some(ids) = candidates(ask)? else {
                let all = ask.cloud().describe_peerings(ask.caller, ask.now);
                return Ok(all.into_iter().map(PeeringRow).collect());
            };
            Ok(ids.into_iter().filter_map(|id| Some(PeeringRow(view(ask, id).ok()?))).collect())
        },
    )?;
    describe(ask, xml, "vpcPeeringConnectionSet", PageBounds::USUAL, rows)
}

/// The peerings that can match the filters, if an index tells.
///
/// That of an accepter's VPC would not tell all: a request that names the VPC under a wrong owner has
/// failed and shows that VPC, which never had a part in it.
fn candidates(ask: &Ask<'_>) -> Result<Option<Vec<PeeringId>>, Fault> {
    if let Some(vpcs) = exactly::<VpcId>(ask, "requester-vpc-info.vpc-id")? {
        // What is left of the peerings of a VPC that is gone is known by their accounts alone.
        let found: Option<Vec<&Vpc>> = vpcs.into_iter().map(|id| ask.cloud().vpc(id)).collect();
        if let Some(vpcs) = found {
            let ids: BTreeSet<PeeringId> = vpcs.into_iter().flat_map(Vpc::peerings).collect();
            return Ok(Some(ids.into_iter().collect()));
        }
    }
    tagged(ask)
}

fn modify_options(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let peering = edit.params.needed_id("VpcPeeringConnectionId")?;
    let side = |name: &str| -> Result<Option<Switch>, Fault> {
        let options = edit.params.member(name);
        let wanted = options.map(|o: &Params| o.flag("AllowDnsResolutionFromRemoteVpc"));
        let wanted = wanted.transpose()?.flatten();
        Ok(wanted.map(|on| if on { Switch::On } else { Switch::Off }))
    };
    let requester = side("RequesterPeeringConnectionOptions")?;
    let accepter = side("AccepterPeeringConnectionOptions")?;
    if requester.is_none() && accepter.is_none() {
        return Err(Fault::missing("requesterPeeringConnectionOptions"));
    }
    edit.apply(&Command::ModifyVpcPeeringConnectionOptions { peering, requester, accepter })?;
    for (name, switch) in [
        ("requesterPeeringConnectionOptions", requester),
        ("accepterPeeringConnectionOptions", accepter),
    ] {
        if let Some(switch) = switch {
            xml.group(name, |xml| write_options(xml, switch));
        }
    }
    Ok(())
}
