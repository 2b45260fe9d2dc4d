//! Rules of groups come and go, and change.
//!
//! Holds the operations on rules. Each becomes one command of the cloud, or several that are all
//! asked for beforehand; then the rules' ids follow.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::permission::{Wanted, description, traffic, wanted, write_unknown};
use super::rule::{self, Place, RuleRow, adopt, hidden, in_default_vpc, own, shown};
use super::{done, named};
use crate::api::describe::Row;
use crate::api::dispatch::{Ask, Edit};
use crate::api::fault::Fault;
use crate::api::params::Params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::SecurityGroupId;
use crate::cloud::command::Command;
use crate::cloud::filter::Direction;
use crate::cloud::refusal::Refusal;
use crate::cloud::security_group::{GroupRule, RulePeer};

pub(super) fn authorize_ingress(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    authorize(edit, xml, Direction::Ingress)
}

pub(super) fn authorize_egress(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    authorize(edit, xml, Direction::Egress)
}

pub(super) fn revoke_ingress(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    revoke(edit, xml, Direction::Ingress)
}

pub(super) fn revoke_egress(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    revoke(edit, xml, Direction::Egress)
}

pub(super) fn describe_ingress(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    update_descriptions(edit, xml, Direction::Ingress)
}

pub(super) fn describe_egress(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    update_descriptions(edit, xml, Direction::Egress)
}

fn authorize(edit: &mut Edit<'_>, xml: &mut Xml, direction: Direction) -> Result<(), Fault> {
    let ask = edit.ask();
    let group = named(&ask)?;
    let remove = hidden(&ask, group, own(&ask, group)?, direction);
    let wanted = wanted(&ask)?;
    if wanted.is_empty() {
        return Err(Fault::missing("ipPermissions"));
    }
    let tags = edit.new_tags("security-group-rule")?;
    edit.apply(&Command::ModifySecurityGroupRules {
        group,
        direction,
        remove: remove.into_iter().collect(),
        add: wanted.iter().map(|wanted| wanted.rule).collect(),
    })?;
    let mut places = Vec::new();
    for Wanted { rule, description } in wanted {
        let place = Place { group, direction, rule };
        let id = rule::make(edit, &place, description);
        edit.tag_thing(&id, tags.clone());
        places.push(place);
    }
    let ask = edit.ask();
    done(xml);
    let rows = places.into_iter().map(|place| RuleRow::new(&ask, place));
    xml.set("securityGroupRuleSet", rows, |xml, row| row.write(&ask, xml));
    Ok(())
}

/// The rules with these ids, which must be of this group and direction.
fn listed(
    ask: &Ask<'_>,
    ids: &[&str],
    group: SecurityGroupId,
    direction: Direction,
) -> Result<Vec<Place>, Fault> {
    let mut places = Vec::new();
    for id in ids {
        let place = rule::find(ask, id)?;
        if (place.group, place.direction) != (group, direction) {
            return Err(elsewhere(id));
        }
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places)
}

fn elsewhere(id: &str) -> Fault {
    let message = format!("The security group rule ID '{id}' does not exist");
    Fault::new("InvalidSecurityGroupRuleId.NotFound", message)
}

fn revoke(edit: &mut Edit<'_>, xml: &mut Xml, direction: Direction) -> Result<(), Fault> {
    let ask = edit.ask();
    let group = named(&ask)?;
    let of = own(&ask, group)?;
    let wanted = wanted(&ask)?;
    let ids: Vec<&str> = edit.params.list("SecurityGroupRuleId").collect();
    let (places, unknown) = match (ids.is_empty(), wanted.is_empty()) {
        (true, true) => {
            let message = "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.";
            return Err(Fault::new("MissingParameter", message));
        }
        (false, false) => {
            let message = "Only one of 'ipPermissions' and 'securityGroupRuleIds' can be given.";
            return Err(Fault::combination(message));
        }
        (false, true) => (listed(&ask, &ids, group, direction)?, Vec::new()),
        (true, false) => {
            let has: BTreeSet<Place> = shown(&ask, group, of, direction).into_iter().collect();
            let (known, unknown): (Vec<Wanted>, Vec<Wanted>) = wanted
                .into_iter()
                .partition(|w| has.contains(&Place { group, direction, rule: w.rule }));
            // In a default VPC, as in EC2 before there were VPCs, that is no error.
            if let Some(first) = unknown.first()
                && !in_default_vpc(&ask, of)
            {
                return Err(Refusal::RuleNotFound(first.rule).into());
            }
            let places = known.iter().map(|w| Place { group, direction, rule: w.rule });
            (places.collect::<Vec<_>>(), unknown)
        }
    };
    let mut remove: Vec<GroupRule> = places.iter().map(|place| place.rule).collect();
    if !remove.is_empty() {
        remove.extend(hidden(&ask, group, of, direction));
    }
    let mut revoked = Xml::part();
    let rows = places.iter().map(|place| RuleRow::new(&ask, *place));
    revoked.set("revokedSecurityGroupRuleSet", rows, |xml, row| row.write_revoked(&ask, xml));
    edit.apply(&Command::ModifySecurityGroupRules { group, direction, remove, add: Vec::new() })?;
    places.iter().for_each(|place| rule::forget(edit, place));
    done(xml);
    write_unknown(xml, "unknownIpPermissionSet", &unknown);
    xml.raw(&revoked.finish());
    Ok(())
}

fn update_descriptions(
    edit: &mut Edit<'_>,
    xml: &mut Xml,
    direction: Direction,
) -> Result<(), Fault> {
    let ask = edit.ask();
    let group = named(&ask)?;
    let of = own(&ask, group)?;
    let has: BTreeSet<Place> = shown(&ask, group, of, direction).into_iter().collect();
    let mut updates: Vec<(Place, Option<String>)> = Vec::new();
    for Wanted { rule, description } in wanted(&ask)? {
        let place = Place { group, direction, rule };
        if !has.contains(&place) {
            return Err(Refusal::RuleNotFound(rule).into());
        }
        updates.push((place, description));
    }
    for row in edit.params.rows("SecurityGroupRuleDescription") {
        let places = listed(&ask, &[row.needed("SecurityGroupRuleId")?], group, direction)?;
        let description = description(row)?;
        updates.extend(places.into_iter().map(|place| (place, description.clone())));
    }
    if updates.is_empty() {
        let message =
            "Either 'ipPermissions' or 'securityGroupRuleDescriptions' should be provided.";
        return Err(Fault::new("MissingParameter", message));
    }
    for (place, description) in updates {
        let id = adopt(edit, &place);
        edit.remember(id, Fact::Description, description.unwrap_or_default());
    }
    done(xml);
    Ok(())
}

/// What a rule is to become. What the request leaves out stays as it is, but for the description,
/// which goes.
fn updated(place: &Place, row: &Params) -> Result<Wanted, Fault> {
    let mut peers: Vec<RulePeer> = Vec::new();
    let bad =
        |text: &str| Fault::new("InvalidParameterValue", format!("CIDR block {text} is malformed"));
    if let Some(text) = row.text("CidrIpv4") {
        let block: Ipv4Net = text.parse().map_err(|_| bad(text))?;
        peers.push(RulePeer::Block(IpNet::V4(block)));
    }
    if let Some(text) = row.text("CidrIpv6") {
        let block: Ipv6Net = text.parse().map_err(|_| bad(text))?;
        peers.push(RulePeer::Block(IpNet::V6(block)));
    }
    peers.extend(row.id("PrefixListId")?.map(RulePeer::PrefixList));
    peers.extend(row.id("ReferencedGroupId")?.map(RulePeer::Group));
    let peer = match peers[..] {
        [] => place.rule.peer,
        [peer] => peer,
        _ => {
            let message = "Only one of cidrIpv4, cidrIpv6, prefixListId and referencedGroupId can \
                           be given for a rule";
            return Err(Fault::combination(message));
        }
    };
    let says = |name: &str| row.text(name).is_some();
    let traffic = if says("IpProtocol") || says("FromPort") || says("ToPort") {
        traffic(row)?
    } else {
        place.rule.traffic
    };
    Ok(Wanted { rule: GroupRule { traffic, peer }.trunc(), description: description(row)? })
}

pub(super) fn modify(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let group = edit.params.needed_id("GroupId")?;
    let of = own(&ask, group)?;
    let mut updates: Vec<(Place, Wanted)> = Vec::new();
    for row in edit.params.rows("SecurityGroupRule") {
        let id = row.needed("SecurityGroupRuleId")?;
        let place = rule::find(&ask, id)?;
        if place.group != group {
            return Err(elsewhere(id));
        }
        if updates.iter().any(|(other, _)| *other == place) {
            let message = format!("The security group rule ID '{id}' is given more than once");
            return Err(Fault::new("InvalidParameterValue", message));
        }
        let to = row.member("SecurityGroupRule");
        let to = to.ok_or_else(|| Fault::missing("SecurityGroupRule.SecurityGroupRule"))?;
        updates.push((place, updated(&place, to)?));
    }
    if updates.is_empty() {
        return Err(Fault::missing("SecurityGroupRule"));
    }
    let mut commands = Vec::new();
    for direction in Direction::ALL {
        let of_it = || updates.iter().filter(|(place, _)| place.direction == direction);
        if of_it().next().is_none() {
            continue;
        }
        let gone = of_it().map(|(place, _)| place.rule);
        let command = Command::ModifySecurityGroupRules {
            group,
            direction,
            remove: gone.chain(hidden(&ask, group, of, direction)).collect(),
            add: of_it().map(|(_, wanted)| wanted.rule).collect(),
        };
        ask.cloud().check(ask.caller, &command, ask.now)?;
        commands.push(command);
    }
    for command in &commands {
        edit.apply(command)?;
    }
    // Ids leave their old places before any takes a new one, so that two rules can change places.
    let mut ids = Vec::new();
    for (place, _) in &updates {
        let id = adopt(edit, place);
        edit.forget(place);
        ids.push(id);
    }
    for ((place, wanted), id) in updates.into_iter().zip(ids) {
        let place = Place { rule: wanted.rule, ..place };
        rule::put(edit, &id, &place);
        edit.remember(&id, Fact::Description, wanted.description.unwrap_or_default());
    }
    done(xml);
    Ok(())
}
