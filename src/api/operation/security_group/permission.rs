//! Rules as requests name them (`IpPermissions`, or the flat parameters of old) and as answers show
//! them.
//!
//! Holds both directions between EC2's shapes and the cloud's rules. Refuses to decide whether a group
//! may have a rule, which is the cloud's, and to give rules ids (`rule.rs`).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::by_name;
use super::rule::Place;
use crate::api::dispatch::Ask;
use crate::api::fault::Fault;
use crate::api::params::{self, Params};
use crate::api::xml::Xml;
use crate::base::id::{AccountId, PeeringId, SecurityGroupId, VpcId};
use crate::base::limit::RULE_DESCRIPTION_CHARS_MAX;
use crate::cloud::filter::{IcmpMatch, PortRange, Traffic};
use crate::cloud::peering::Status;
use crate::cloud::refusal::Refusal;
use crate::cloud::security_group::{GroupRule, RulePeer};
use crate::wire::Protocol;

/// A rule that a request names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    /// The rule, with the host bits of its block cleared.
    pub(super) rule: GroupRule,
    /// What is said about it.
    pub(super) description: Option<String>,
}

/// The flat parameters: one rule for one block, or for a group of the default VPC.
const FLAT: [&str; 6] =
    ["IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName", CIDR_OF_V6];
/// Not EC2's: here so that it is refused and not ignored.
const CIDR_OF_V6: &str = "CidrIpv6";

fn malformed(message: &str) -> Fault {
    Fault::new("InvalidPermission.Malformed", message)
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", message)
}

/// The rules that a request names, none twice.
///
/// # Errors
/// One that is no rule, or that stands there twice.
pub(super) fn wanted(ask: &Ask<'_>) -> Result<Vec<Wanted>, Fault> {
    let mut all = Vec::new();
    for row in ask.params.rows("IpPermissions") {
        permission(ask, row, &mut all)?;
    }
    if FLAT.iter().any(|name| ask.params.text(name).is_some()) {
        if !all.is_empty() {
            let message = "The parameter ipPermissions may not be used with flat parameters";
            return Err(Fault::combination(message));
        }
        all.push(flat(ask)?);
    }
    let mut seen = BTreeSet::new();
    if all.iter().any(|wanted| !seen.insert(wanted.rule)) {
        return Err(invalid("The same permission must not appear multiple times"));
    }
    Ok(all)
}

/// One permission: one kind of traffic, and any number of far ends.
fn permission(ask: &Ask<'_>, row: &Params, all: &mut Vec<Wanted>) -> Result<(), Fault> {
    let traffic = traffic(row)?;
    let before = all.len();
    let mut add = |peer: RulePeer, row: &Params| -> Result<(), Fault> {
        let rule = GroupRule { traffic, peer }.trunc();
        all.push(Wanted { rule, description: description(row)? });
        Ok(())
    };
    for range in row.rows("IpRanges") {
        let text = range.text("CidrIp").ok_or_else(|| Fault::missing("cidrIp"))?;
        add(RulePeer::Block(v4(text)?), range)?;
    }
    for range in row.rows("Ipv6Ranges") {
        let text = range.text("CidrIpv6").ok_or_else(|| Fault::missing("cidrIpv6"))?;
        add(RulePeer::Block(v6(text)?), range)?;
    }
    for group in row.rows("Groups") {
        add(RulePeer::Group(named_group(ask, group)?), group)?;
    }
    for list in row.rows("PrefixListIds") {
        add(RulePeer::PrefixList(list.needed_id("PrefixListId")?), list)?;
    }
    if all.len() == before {
        return Err(malformed(
            "The permission names no IP range, no prefix list and no security group",
        ));
    }
    Ok(())
}

fn flat(ask: &Ask<'_>) -> Result<Wanted, Fault> {
    let params = ask.params;
    let peer = match (params.text("CidrIp"), params.text("SourceSecurityGroupName")) {
        (Some(_), Some(_)) => {
            let message = "Only one of cidrIp and sourceSecurityGroupName can be given";
            return Err(Fault::combination(message));
        }
        (Some(block), None) => RulePeer::Block(v4(block)?),
        (None, Some(name)) => RulePeer::Group(by_name(ask, name)?),
        (None, None) => return Err(Fault::missing("cidrIp")),
    };
    // A group without a protocol stands for all that its members send.
    let traffic = match (params.text("IpProtocol"), peer) {
        (None, RulePeer::Group(_)) => Traffic::All,
        _ => traffic(params)?,
    };
    Ok(Wanted { rule: GroupRule { traffic, peer }.trunc(), description: None })
}

fn bad_block(text: &str) -> Fault {
    invalid(format!("CIDR block {text} is malformed"))
}

fn v4(text: &str) -> Result<IpNet, Fault> {
    text.parse::<Ipv4Net>().map(IpNet::V4).map_err(|_| bad_block(text))
}

fn v6(text: &str) -> Result<IpNet, Fault> {
    text.parse::<Ipv6Net>().map(IpNet::V6).map_err(|_| bad_block(text))
}

/// The group that a permission names: by id, also as `account/sg-...`, or by its name in the default
/// VPC. With an owner, it must be that owner's.
fn named_group(ask: &Ask<'_>, row: &Params) -> Result<SecurityGroupId, Fault> {
    let (owner, id) = match (row.text("GroupId"), row.text("GroupName")) {
        (Some(text), _) => match text.split_once('/') {
            Some((owner, id)) => (Some(owner), params::id(id)?),
            None => (row.text("UserId"), params::id(text)?),
        },
        (None, Some(name)) => (row.text("UserId"), by_name(ask, name)?),
        (None, None) => return Err(Fault::new("MissingParameter", "Source group ID missing.")),
    };
    let cloud = ask.cloud();
    let vpc = cloud.group(id).and_then(|group| cloud.vpc(group.vpc));
    if let (Some(owner), Some(vpc)) = (owner, vpc)
        && owner.parse() != Ok(vpc.owner)
    {
        return Err(Refusal::GroupNotFound(id).into());
    }
    Ok(id)
}

/// The description beside a far end; an empty one is none.
///
/// # Errors
/// One that is too long, or has a character that descriptions may not have.
pub(super) fn description(row: &Params) -> Result<Option<String>, Fault> {
    let Some(text) = row.text("Description") else { return Ok(None) };
    if !is_description(text) {
        return Err(invalid(
            "Invalid rule description. Valid descriptions are strings less than 256 characters \
             from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// May a group or a rule be described so?
pub(super) fn is_description(text: &str) -> bool {
    text.len() <= RULE_DESCRIPTION_CHARS_MAX
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c))
}

/// The traffic of `IpProtocol`, `FromPort` and `ToPort`.
pub(super) fn traffic(row: &Params) -> Result<Traffic, Fault> {
    let Some(name) = row.text("IpProtocol") else {
        return Err(invalid(
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols \
             explicitly.",
        ));
    };
    let from: Option<i64> = row.parsed("FromPort")?;
    let to: Option<i64> = row.parsed("ToPort")?;
    let protocol = match name.to_ascii_lowercase().as_str() {
        "-1" => return Ok(Traffic::All),
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        "icmp" => Protocol::ICMP,
        "icmpv6" => Protocol::ICMPV6,
        number => number.parse().map(Protocol).map_err(|_| {
            invalid(format!("Invalid value '{name}' for IP protocol. Unknown protocol."))
        })?,
    };
    match protocol {
        Protocol::TCP => ports(from, to).map(Traffic::Tcp),
        Protocol::UDP => ports(from, to).map(Traffic::Udp),
        Protocol::ICMP => icmp(from, to).map(Traffic::Icmp),
        Protocol::ICMPV6 => icmp(from, to).map(Traffic::Icmpv6),
        other => Ok(Traffic::Other(other)),
    }
}

fn ports(from: Option<i64>, to: Option<i64>) -> Result<PortRange, Fault> {
    let (Some(from), Some(to)) = (from, to) else {
        return Err(invalid(
            "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
        ));
    };
    let port =
        |n: i64| u16::try_from(n).map_err(|_| invalid(format!("TCP/UDP port ({n}) out of range")));
    PortRange::new(port(from)?, port(to)?)
        .ok_or_else(|| invalid(format!("Invalid TCP/UDP port range ({from}:{to})")))
}

/// ICMP's type stands where the first port does, its code where the last one does; -1 is any.
fn icmp(kind: Option<i64>, code: Option<i64>) -> Result<IcmpMatch, Fault> {
    let byte = |n: i64, what: &str| {
        u8::try_from(n).map_err(|_| invalid(format!("ICMP {what} ({n}) out of range")))
    };
    match (kind.unwrap_or(-1), code.unwrap_or(-1)) {
        (-1, -1) => Ok(IcmpMatch::Any),
        (-1, code) => {
            Err(invalid(format!("ICMP code ({code}) cannot be specified with all ICMP types")))
        }
        (kind, -1) => Ok(IcmpMatch::Type(byte(kind, "type")?)),
        (kind, code) => Ok(IcmpMatch::TypeAndCode(byte(kind, "type")?, byte(code, "code")?)),
    }
}

/// The protocol as groups show it.
pub(super) fn protocol(traffic: Traffic) -> String {
    match traffic {
        Traffic::All => "-1".to_owned(),
        Traffic::Tcp(_) => "tcp".to_owned(),
        Traffic::Udp(_) => "udp".to_owned(),
        Traffic::Icmp(_) => "icmp".to_owned(),
        Traffic::Icmpv6(_) => "icmpv6".to_owned(),
        Traffic::Other(protocol) => protocol.0.to_string(),
    }
}

/// The two ends of the range of ports, or ICMP's type and code.
pub(super) fn port_pair(traffic: Traffic) -> Option<(i32, i32)> {
    match traffic {
        Traffic::Tcp(range) | Traffic::Udp(range) => {
            Some((range.first().into(), range.last().into()))
        }
        Traffic::Icmp(which) | Traffic::Icmpv6(which) => Some(match which {
            IcmpMatch::Any => (-1, -1),
            IcmpMatch::Type(kind) => (kind.into(), -1),
            IcmpMatch::TypeAndCode(kind, code) => (kind.into(), code.into()),
        }),
        Traffic::All | Traffic::Other(_) => None,
    }
}

/// Writes rules as `IpPermission`s: those of equal traffic together.
pub(super) fn write_permissions(ask: &Ask<'_>, xml: &mut Xml, set: &str, places: &[Place]) {
    xml.set(set, by_traffic(places), |xml, (traffic, places)| {
        write_traffic(xml, traffic);
        let groups = places.iter().filter_map(|place| Some((place, place.peer_group()?)));
        xml.set("groups", groups, |xml, (place, group)| write_pair(ask, xml, place, group));
        let blocks = |v6: bool| {
            places.iter().filter_map(move |place| match place.rule.peer {
                RulePeer::Block(block) if block.addr().is_ipv6() == v6 => Some((place, block)),
                _ => None,
            })
        };
        xml.set("ipRanges", blocks(false), |xml, (place, block)| {
            xml.maybe("description", place.description(ask));
            xml.text("cidrIp", block);
        });
        xml.set("ipv6Ranges", blocks(true), |xml, (place, block)| {
            xml.maybe("description", place.description(ask));
            xml.text("cidrIpv6", block);
        });
        let lists = places.iter().filter_map(|place| match place.rule.peer {
            RulePeer::PrefixList(id) => Some((place, id)),
            _ => None,
        });
        xml.set("prefixListIds", lists, |xml, (place, id)| {
            xml.maybe("description", place.description(ask));
            xml.text("prefixListId", id);
        });
    });
}

/// Writes rules whose groups have gone stale, as `StaleIpPermission`s.
pub(super) fn write_stale(ask: &Ask<'_>, xml: &mut Xml, set: &str, places: &[Place]) {
    xml.set(set, by_traffic(places), |xml, (traffic, places)| {
        write_traffic(xml, traffic);
        xml.group("ipRanges", |_| {});
        xml.group("prefixListIds", |_| {});
        let groups = places.iter().filter_map(|place| Some((place, place.peer_group()?)));
        xml.set("groups", groups, |xml, (place, group)| write_pair(ask, xml, place, group));
    });
}

/// Writes rules that nobody has, as `IpPermission`s, to a request that wanted them revoked.
pub(super) fn write_unknown(xml: &mut Xml, set: &str, wanted: &[Wanted]) {
    xml.set(set, wanted, |xml, Wanted { rule, .. }| {
        write_traffic(xml, rule.traffic);
        let (name, inside) = match rule.peer {
            RulePeer::Group(_) => ("groups", "groupId"),
            RulePeer::Block(IpNet::V4(_)) => ("ipRanges", "cidrIp"),
            RulePeer::Block(IpNet::V6(_)) => ("ipv6Ranges", "cidrIpv6"),
            RulePeer::PrefixList(_) => ("prefixListIds", "prefixListId"),
        };
        for set in ["groups", "ipRanges", "ipv6Ranges", "prefixListIds"] {
            let of_it = (set == name).then_some(rule.peer);
            xml.set(set, of_it, |xml, peer| xml.text(inside, peer));
        }
    });
}

fn by_traffic(places: &[Place]) -> BTreeMap<Traffic, Vec<Place>> {
    let mut sorted: BTreeMap<Traffic, Vec<Place>> = BTreeMap::new();
    for place in places {
        sorted.entry(place.rule.traffic).or_default().push(*place);
    }
    sorted
}

fn write_traffic(xml: &mut Xml, traffic: Traffic) {
    xml.text("ipProtocol", protocol(traffic));
    if let Some((from, to)) = port_pair(traffic) {
        xml.text("fromPort", from);
        xml.text("toPort", to);
    }
}

fn write_pair(ask: &Ask<'_>, xml: &mut Xml, place: &Place, group: SecurityGroupId) {
    xml.maybe("description", place.description(ask));
    Relation::of(ask, place, group).write(xml, group);
}

/// How a rule stands to the group that it names.
pub(super) struct Relation {
    /// Whose the group is; nobody's once it is gone.
    pub(super) owner: Option<AccountId>,
    /// Its VPC, if that is another one, and the peering that leads there.
    across: Option<(VpcId, PeeringId, &'static str)>,
}

impl Relation {
    pub(super) fn of(ask: &Ask<'_>, place: &Place, named: SecurityGroupId) -> Relation {
        let cloud = ask.cloud();
        let here = cloud.group(place.group).map(|group| group.vpc);
        let there = cloud.group(named).map(|group| group.vpc);
        let owner = there.and_then(|vpc| cloud.vpc(vpc)).map(|vpc| vpc.owner);
        if there.is_some() && there == here {
            return Relation { owner, across: None };
        }
        // What was remembered when the rule was authorised: the only trace of a group that is gone.
        let remembered = place.across(ask);
        let vpc = there.or(remembered.map(|(vpc, _)| vpc));
        let active = here.zip(vpc).and_then(|(here, there)| active_peering(ask, here, there));
        let peering = active.or(remembered.map(|(_, peering)| peering));
        let across = vpc.zip(peering).map(|(vpc, peering)| {
            let status = cloud.peering(peering).map(|peering| peering.status(ask.now));
            (vpc, peering, status.unwrap_or(Status::Deleted).code())
        });
        Relation { owner, across }
    }

    /// Writes what `UserIdGroupPair` and `ReferencedSecurityGroup` have in common.
    pub(super) fn write(&self, xml: &mut Xml, group: SecurityGroupId) {
        xml.maybe("userId", self.owner);
        xml.text("groupId", group);
        if let Some((vpc, peering, status)) = self.across {
            xml.text("vpcId", vpc);
            xml.text("vpcPeeringConnectionId", peering);
            xml.text("peeringStatus", status);
        }
    }
}

/// The active peering between two VPCs. Linear in the number of peerings of the first.
pub(super) fn active_peering(ask: &Ask<'_>, here: VpcId, there: VpcId) -> Option<PeeringId> {
    let cloud = ask.cloud();
    cloud.vpc(here)?.peerings().find(|id| {
        cloud.peering(*id).is_some_and(|peering| {
            peering.other_end(here) == Some(there) && peering.active(ask.now).is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Result<Traffic, Fault> {
        traffic(&Params::parse([form.as_bytes()]).unwrap())
    }

    #[test]
    fn protocols_and_ports_are_read_as_they_are_shown() {
        for (form, wanted, shown, ports) in [
            ("IpProtocol=tcp&FromPort=22&ToPort=23", "tcp 22-23", "tcp", Some((22, 23))),
            ("IpProtocol=6&FromPort=0&ToPort=65535", "tcp", "tcp", Some((0, 65_535))),
            ("IpProtocol=UDP&FromPort=53&ToPort=53", "udp 53", "udp", Some((53, 53))),
            ("IpProtocol=icmp&FromPort=-1&ToPort=-1", "icmp", "icmp", Some((-1, -1))),
            ("IpProtocol=1", "icmp", "icmp", Some((-1, -1))),
            ("IpProtocol=icmp&FromPort=8&ToPort=-1", "icmp 8", "icmp", Some((8, -1))),
            ("IpProtocol=icmp&FromPort=3&ToPort=4", "icmp 3/4", "icmp", Some((3, 4))),
            ("IpProtocol=58&FromPort=128&ToPort=0", "icmpv6 128/0", "icmpv6", Some((128, 0))),
            ("IpProtocol=-1&FromPort=1&ToPort=2", "all", "-1", None),
            ("IpProtocol=47&FromPort=1&ToPort=2", "protocol 47", "47", None),
        ] {
            let traffic = read(form).unwrap();
            assert_eq!(traffic.to_string(), wanted, "{form}");
            assert_eq!(protocol(traffic), shown, "{form}");
            assert_eq!(port_pair(traffic), ports, "{form}");
        }
    }

    #[test]
    fn what_is_no_traffic_is_refused() {
        for form in [
            "",
            "IpProtocol=256",
            "IpProtocol=foo",
            "IpProtocol=-2",
            "IpProtocol=tcp",
            "IpProtocol=tcp&FromPort=1",
            "IpProtocol=tcp&FromPort=2&ToPort=1",
            "IpProtocol=tcp&FromPort=-1&ToPort=-1",
            "IpProtocol=udp&FromPort=0&ToPort=65536",
            "IpProtocol=icmp&FromPort=256&ToPort=-1",
            "IpProtocol=icmp&FromPort=-1&ToPort=0",
            "IpProtocol=tcp&FromPort=x&ToPort=1",
        ] {
            assert_eq!(read(form).unwrap_err().code(), "InvalidParameterValue", "{form}");
        }
    }
}
