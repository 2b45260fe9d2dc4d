//! Network ACLs and their entries.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{chosen, done, exactly, in_vpcs, owns};
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::{AclAssociationId, NetworkAclId, SubnetId};
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::filter::{Direction, IcmpMatch, PortRange, Traffic};
use crate::cloud::network_acl::{AclAction, AclEntry, AclKind, NetworkAcl, RuleNumber};
use crate::cloud::refusal::Refusal;
use crate::cloud::vpc::Vpc;
use crate::wire::Protocol;

/// What makes an entry.
const ENTRY: &[&str] = &[
    "NetworkAclId",
    "RuleNumber",
    "Protocol",
    "RuleAction",
    "Egress",
    "CidrBlock",
    "Ipv6CidrBlock",
    "PortRange",
    "Icmp",
];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateNetworkAcl",
        takes: &["VpcId"],
        filters: &[],
        lacks: "",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeNetworkAcls",
        takes: &["NetworkAclId"],
        filters: &[
            "association.association-id",
            "association.network-acl-id",
            "association.subnet-id",
            "default",
            "entry.cidr",
            "entry.egress",
            "entry.icmp.code",
            "entry.icmp.type",
            "entry.ipv6-cidr",
            "entry.port-range.from",
            "entry.port-range.to",
            "entry.protocol",
            "entry.rule-action",
            "entry.rule-number",
            "network-acl-id",
            "owner-id",
            "vpc-id",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_acls),
    },
    Operation {
        name: "DeleteNetworkAcl",
        takes: &["NetworkAclId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
    Operation {
        name: "CreateNetworkAclEntry",
        takes: ENTRY,
        filters: &[],
        lacks: "",
        run: Run::Write(create_entry),
    },
    Operation {
        name: "ReplaceNetworkAclEntry",
        takes: ENTRY,
        filters: &[],
        lacks: "",
        run: Run::Write(replace_entry),
    },
    Operation {
        name: "DeleteNetworkAclEntry",
        takes: &["NetworkAclId", "RuleNumber", "Egress"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete_entry),
    },
    Operation {
        name: "ReplaceNetworkAclAssociation",
        takes: &["AssociationId", "NetworkAclId"],
        filters: &[],
        lacks: "",
        run: Run::Write(replace_association),
    },
];

/// The number of the last entry of each family, which nobody can change.
const LAST_V4: u16 = 32_767;
const LAST_V6: u16 = 32_768;
/// What is remembered of a list that somebody has changed.
const CHANGED: &str = "changed";

/// A list as it is shown.
struct AclRow<'a>(NetworkAclId, &'a NetworkAcl);

fn own<'a>(ask: &Ask<'a>, id: NetworkAclId) -> Result<&'a NetworkAcl, Fault> {
    let acl = ask.cloud().acl(id).filter(|acl| owns(ask, acl.vpc));
    Ok(acl.ok_or(Refusal::AclNotFound(id))?)
}

fn has_v6(ask: &Ask<'_>, acl: &NetworkAcl) -> bool {
    let is_v6 = |block: &IpNet| matches!(block, IpNet::V6(_));
    ask.cloud().vpc(acl.vpc).is_some_and(|vpc| vpc.blocks().iter().any(is_v6))
}

/// The number of the entry for IPv6 that a default list has from the start in the cloud's model. EC2
/// adds it when the VPC gets its block, and only to a list that nobody has changed: so it is not shown
/// before, and goes with the first change.
const BORN_V6: u16 = 101;

fn is_hidden(ask: &Ask<'_>, id: NetworkAclId, acl: &NetworkAcl, number: RuleNumber) -> bool {
    acl.kind == AclKind::Default
        && number.get() == BORN_V6
        && ask.fact(id, Fact::Options) != Some(CHANGED)
        && !has_v6(ask, acl)
}

/// An entry as it is shown: of the cloud, or one of the last, which no packet gets past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shown {
    direction: Direction,
    number: u16,
    entry: AclEntry,
}

/// What is shown of a list: outgoing first, by number.
fn shown(ask: &Ask<'_>, id: NetworkAclId, acl: &NetworkAcl) -> Vec<Shown> {
    let last = |number: u16, block: IpNet| {
        (number, AclEntry { traffic: Traffic::All, block, action: AclAction::Deny })
    };
    let lasts = [
        Some(last(LAST_V4, Ipv4Net::default().into())),
        has_v6(ask, acl).then(|| last(LAST_V6, Ipv6Net::default().into())),
    ];
    let mut all = Vec::new();
    for direction in [Direction::Egress, Direction::Ingress] {
        let entries = acl.entries(direction).iter();
        let entries = entries
            .filter(|(number, _)| !is_hidden(ask, id, acl, **number))
            .map(|(number, entry)| (number.get(), *entry))
            .chain(lasts.into_iter().flatten());
        all.extend(entries.map(|(number, entry)| Shown { direction, number, entry }));
    }
    all
}

/// The subnets behind a list, with their associations.
fn associations(
    ask: &Ask<'_>,
    id: NetworkAclId,
    acl: &NetworkAcl,
) -> Vec<(AclAssociationId, SubnetId)> {
    let subnets = ask.cloud().vpc(acl.vpc).map_or(&[][..], |vpc| vpc.subnets());
    let behind = subnets.iter().filter_map(|subnet| {
        let (association, of) = ask.cloud().subnet(*subnet)?.acl();
        (of == id).then_some((association, *subnet))
    });
    behind.collect()
}

impl Row for AclRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let AclRow(id, acl) = self;
        if let Some(what) = name.strip_prefix("association.") {
            for (association, subnet) in associations(ask, *id, acl) {
                match what {
                    "association-id" => out.shows(association),
                    "network-acl-id" => out.shows(id),
                    "subnet-id" => out.shows(subnet),
                    _ => {}
                }
            }
            return;
        }
        if let Some(what) = name.strip_prefix("entry.") {
            return shown(ask, *id, acl).iter().for_each(|entry| entry_field(entry, what, out));
        }
        match name {
            "network-acl-id" => out.shows(id),
            "vpc-id" => out.shows(acl.vpc),
            "owner-id" => out.shows(ask.caller.account),
            "default" => out.shows(acl.kind == AclKind::Default),
            _ => tag_fields(ask.tags(ResourceId::NetworkAcl(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let AclRow(id, acl) = self;
        xml.text("networkAclId", id);
        xml.text("vpcId", acl.vpc);
        xml.text("ownerId", ask.caller.account);
        xml.text("default", acl.kind == AclKind::Default);
        xml.set("entrySet", shown(ask, *id, acl), |xml, entry| write_entry(xml, &entry));
        xml.set("associationSet", associations(ask, *id, acl), |xml, (association, subnet)| {
            xml.text("networkAclAssociationId", association);
            xml.text("networkAclId", id);
            xml.text("subnetId", subnet);
        });
        write_tags(xml, ask.tags(ResourceId::NetworkAcl(*id)));
    }
}

/// The protocol as lists show it: its number.
fn protocol(traffic: Traffic) -> i32 {
    match traffic {
        Traffic::All => -1,
        Traffic::Tcp(_) => Protocol::TCP.0.into(),
        Traffic::Udp(_) => Protocol::UDP.0.into(),
        Traffic::Icmp(_) => Protocol::ICMP.0.into(),
        Traffic::Icmpv6(_) => Protocol::ICMPV6.0.into(),
        Traffic::Other(protocol) => protocol.0.into(),
    }
}

fn range(traffic: Traffic) -> Option<PortRange> {
    match traffic {
        Traffic::Tcp(range) | Traffic::Udp(range) => Some(range),
        _ => None,
    }
}

/// ICMP's type and code; -1 is any.
fn type_and_code(traffic: Traffic) -> Option<(i32, i32)> {
    match traffic {
        Traffic::Icmp(which) | Traffic::Icmpv6(which) => Some(match which {
            IcmpMatch::Any => (-1, -1),
            IcmpMatch::Type(kind) => (kind.into(), -1),
            IcmpMatch::TypeAndCode(kind, code) => (kind.into(), code.into()),
        }),
        _ => None,
    }
}

fn entry_field(shown: &Shown, what: &str, out: &mut Values<'_>) {
    let traffic = shown.entry.traffic;
    match (what, shown.entry.block) {
        ("cidr", IpNet::V4(block)) => out.shows(block),
        ("ipv6-cidr", IpNet::V6(block)) => out.shows(block),
        ("egress", _) => out.shows(shown.direction == Direction::Egress),
        ("icmp.code", _) => out.maybe(type_and_code(traffic).map(|(_, code)| code)),
        ("icmp.type", _) => out.maybe(type_and_code(traffic).map(|(kind, _)| kind)),
        ("port-range.from", _) => out.maybe(range(traffic).map(PortRange::first)),
        ("port-range.to", _) => out.maybe(range(traffic).map(PortRange::last)),
        ("protocol", _) => out.shows(protocol(traffic)),
        ("rule-action", _) => out.is(shown.entry.action.name()),
        ("rule-number", _) => out.shows(shown.number),
        _ => {}
    }
}

fn write_entry(xml: &mut Xml, shown: &Shown) {
    let AclEntry { traffic, block, action } = shown.entry;
    xml.text("ruleNumber", shown.number);
    xml.text("protocol", protocol(traffic));
    xml.text("ruleAction", action.name());
    xml.text("egress", shown.direction == Direction::Egress);
    match block {
        IpNet::V4(block) => xml.text("cidrBlock", block),
        IpNet::V6(block) => xml.text("ipv6CidrBlock", block),
    }
    if let Some(range) = range(traffic) {
        xml.group("portRange", |xml| {
            xml.text("from", range.first());
            xml.text("to", range.last());
        });
    }
    if let Some((kind, code)) = type_and_code(traffic) {
        xml.group("icmpTypeCode", |xml| {
            xml.text("code", code);
            xml.text("type", kind);
        });
    }
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let vpc = edit.params.needed_id("VpcId")?;
    let tags = edit.new_tags("network-acl")?;
    let id = edit.apply_for(&Command::CreateNetworkAcl { vpc }, |change| match change {
        Change::NetworkAclCreated { acl, .. } => Some(*acl),
        _ => None,
    })?;
    edit.tag(ResourceId::NetworkAcl(id), tags)?;
    let ask = edit.ask();
    let acl = own(&ask, id)?;
    xml.group("networkAcl", |xml| AclRow(id, acl).write(&ask, xml));
    xml.maybe("clientToken", edit.params.text("ClientToken"));
    Ok(())
}

fn describe_acls(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let row = |id: NetworkAclId| Ok(AclRow(id, own(ask, id)?));
    let rows = chosen(ask, "NetworkAclId", "network-acl-id", row, || {
        // A subnet, and the id of its association, name their list.
        let subnets = exactly::<SubnetId>(ask, "association.subnet-id")?;
        let named = exactly::<AclAssociationId>(ask, "association.association-id")?;
        let mut acls: Vec<NetworkAclId> = if let Some(subnets) = subnets {
            subnets.into_iter().filter_map(|id| ask.cloud().acl_of(id)).collect()
        } else if let Some(named) = named {
            named.into_iter().filter_map(|id| ask.cloud().acl_by_association(id)).collect()
        } else if let Some(acls) = exactly(ask, "association.network-acl-id")? {
            acls
        } else {
            in_vpcs(ask, "vpc-id", Vpc::acls)?
        };
        acls.sort_unstable();
        acls.dedup();
        Ok(acls.into_iter().filter_map(|id| row(id).ok()).collect())
    })?;
    describe(ask, xml, "networkAclSet", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let acl = edit.params.needed_id("NetworkAclId")?;
    edit.apply(&Command::DeleteNetworkAcl { acl })?;
    edit.forget(acl);
    done(xml);
    Ok(())
}

fn direction(edit: &Edit<'_>) -> Result<Direction, Fault> {
    match edit.params.flag("Egress")? {
        Some(true) => Ok(Direction::Egress),
        Some(false) => Ok(Direction::Ingress),
        None => Err(Fault::missing("egress")),
    }
}

fn number(edit: &Edit<'_>) -> Result<RuleNumber, Fault> {
    let text = edit.params.needed("RuleNumber").map_err(|_| Fault::missing("ruleNumber"))?;
    text.parse().ok().and_then(RuleNumber::new).ok_or_else(|| {
        let message = format!(
            "Value ({text}) for parameter ruleNumber is invalid. Must be between 1 and {}.",
            RuleNumber::MAX
        );
        Fault::new("InvalidParameterValue", message)
    })
}

/// The entry that a request describes.
fn entry(edit: &Edit<'_>) -> Result<AclEntry, Fault> {
    let params = edit.params;
    let v4 = params.text("CidrBlock");
    let v6 = params.text("Ipv6CidrBlock");
    let (text, block) = match (v4, v6) {
        (Some(text), None) => (text, text.parse::<Ipv4Net>().ok().map(IpNet::V4)),
        (None, Some(text)) => (text, text.parse::<Ipv6Net>().ok().map(IpNet::V6)),
        (None, None) => return Err(Fault::missing("cidrBlock or ipv6CidrBlock")),
        (Some(_), Some(_)) => {
            let message = "Only one of cidrBlock and ipv6CidrBlock can be given";
            return Err(Fault::combination(message));
        }
    };
    let block = block.ok_or_else(|| {
        let message = format!("CIDR block {text} is malformed");
        Fault::new("InvalidParameterValue", message)
    })?;
    let action = match params.needed("RuleAction").map_err(|_| Fault::missing("ruleAction"))? {
        "allow" => AclAction::Allow,
        "deny" => AclAction::Deny,
        other => return Err(Fault::value("ruleAction", other)),
    };
    let is_v6 = matches!(block, IpNet::V6(_));
    let protocol = params.needed("Protocol").map_err(|_| Fault::missing("protocol"))?;
    let traffic = match protocol {
        "-1" => Traffic::All,
        number => match number.parse().map(Protocol) {
            Ok(Protocol::TCP) => Traffic::Tcp(ports(edit)?),
            Ok(Protocol::UDP) => Traffic::Udp(ports(edit)?),
            Ok(Protocol::ICMP) => Traffic::Icmp(icmp(edit)?),
            Ok(Protocol::ICMPV6) if is_v6 => Traffic::Icmpv6(icmp(edit)?),
            Ok(other) => Traffic::Other(other),
            Err(_) => return Err(Fault::value("protocol", number)),
        },
    };
    Ok(AclEntry { traffic, block, action })
}

fn ports(edit: &Edit<'_>) -> Result<PortRange, Fault> {
    let from: Option<u16> = edit.params.parsed("PortRange.From")?;
    let to: Option<u16> = edit.params.parsed("PortRange.To")?;
    let (Some(from), Some(to)) = (from, to) else { return Err(Fault::missing("portRange")) };
    PortRange::new(from, to).ok_or_else(|| {
        let message = format!("Value ({from}-{to}) for parameter portRange is invalid.");
        Fault::new("InvalidParameterValue", message)
    })
}

fn icmp(edit: &Edit<'_>) -> Result<IcmpMatch, Fault> {
    let kind: Option<i32> = edit.params.parsed("Icmp.Type")?;
    let code: Option<i32> = edit.params.parsed("Icmp.Code")?;
    let (Some(kind), Some(code)) = (kind, code) else {
        return Err(Fault::missing("icmpTypeCode"));
    };
    let bad = || {
        let message = format!("Value ({kind}/{code}) for parameter icmpTypeCode is invalid.");
        Fault::new("InvalidParameterValue", message)
    };
    match (kind, code) {
        (-1, -1) => Ok(IcmpMatch::Any),
        (kind, -1) => Ok(IcmpMatch::Type(u8::try_from(kind).map_err(|_| bad())?)),
        (kind, code) => match (u8::try_from(kind), u8::try_from(code)) {
            (Ok(kind), Ok(code)) => Ok(IcmpMatch::TypeAndCode(kind, code)),
            _ => Err(bad()),
        },
    }
}

/// Carries out a change of the entry with this number; the first one takes what nobody was shown.
fn change(
    edit: &mut Edit<'_>,
    id: NetworkAclId,
    (direction, number): (Direction, RuleNumber),
    command: Command,
) -> Result<(), Fault> {
    let ask = edit.ask();
    let acl = own(&ask, id)?;
    let is_hidden = |number: &RuleNumber| is_hidden(&ask, id, acl, *number);
    let all = Direction::ALL.into_iter().flat_map(|d| acl.entries(d).keys().map(move |n| (d, *n)));
    let mut hidden: Vec<(Direction, RuleNumber)> = all.filter(|(_, n)| is_hidden(n)).collect();
    let is_first = ask.fact(id, Fact::Options) != Some(CHANGED);
    let command = match (command, hidden.iter().position(|at| *at == (direction, number))) {
        (command, None) => command,
        // Its number is free, as far as anybody can see.
        (Command::CreateNetworkAclEntry { acl, direction, number, entry }, Some(place)) => {
            hidden.remove(place);
            Command::ReplaceNetworkAclEntry { acl, direction, number, entry }
        }
        (_, Some(_)) => return Err(Refusal::AclEntryNotFound(number).into()),
    };
    edit.apply(&command)?;
    for (direction, number) in hidden {
        edit.apply(&Command::DeleteNetworkAclEntry { acl: id, direction, number })?;
    }
    if is_first {
        edit.remember(id, Fact::Options, CHANGED);
    }
    Ok(())
}

fn create_entry(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let acl = edit.params.needed_id("NetworkAclId")?;
    let (direction, number, entry) = (direction(edit)?, number(edit)?, entry(edit)?);
    let command = Command::CreateNetworkAclEntry { acl, direction, number, entry };
    change(edit, acl, (direction, number), command)?;
    done(xml);
    Ok(())
}

fn replace_entry(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let acl = edit.params.needed_id("NetworkAclId")?;
    let (direction, number, entry) = (direction(edit)?, number(edit)?, entry(edit)?);
    let command = Command::ReplaceNetworkAclEntry { acl, direction, number, entry };
    change(edit, acl, (direction, number), command)?;
    done(xml);
    Ok(())
}

fn delete_entry(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let acl = edit.params.needed_id("NetworkAclId")?;
    let (direction, number) = (direction(edit)?, number(edit)?);
    let command = Command::DeleteNetworkAclEntry { acl, direction, number };
    change(edit, acl, (direction, number), command)?;
    done(xml);
    Ok(())
}

fn replace_association(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let association = edit.params.needed_id("AssociationId")?;
    let acl = edit.params.needed_id("NetworkAclId")?;
    let command = Command::ReplaceNetworkAclAssociation { association, acl };
    let new = edit.apply_for(&command, |change| match change {
        Change::AclAssociationReplaced { association, .. } => Some(*association),
        _ => None,
    })?;
    xml.text("newAssociationId", new);
    Ok(())
}
