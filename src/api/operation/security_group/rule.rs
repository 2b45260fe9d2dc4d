//! The identity of a rule of a group: its `sgr-` id, its description, its tags.
//!
//! Holds where ids come from. A rule that a request authorises gets one from the records, which keep
//! both ways: from the id to the place of the rule, and from the place to the id. The rules that a
//! group is born with have ids that follow from the group's own, so nothing is recorded for groups
//! that nobody touches; once somebody describes, tags or modifies such a rule, it is recorded like
//! the others. Refuses to hold what a rule does: that is the cloud's.

use std::fmt;
use std::str::FromStr;

use super::permission::{Relation, active_peering, port_pair, protocol};
use crate::api::describe::{Row, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::operation::{arn, own_vpc, owns};
use crate::api::records::{Fact, Kind};
use crate::api::xml::Xml;
use crate::base::id::{Digits, PeeringId, SecurityGroupId, VpcId};
use crate::cloud::filter::{Direction, Traffic};
use crate::cloud::refusal::Refusal;
use crate::cloud::security_group::{GroupRule, RulePeer, SecurityGroup};

use ipnet::IpNet;

/// A rule where it stands. No two rules of a group's direction are equal, so this is its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::api) struct Place {
    pub(super) group: SecurityGroupId,
    pub(super) direction: Direction,
    pub(super) rule: GroupRule,
}

/// `sg-... ingress 10.0.0.0/8 tcp 22`: the key under which the records know it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { group, direction, rule: GroupRule { traffic, peer } } = self;
        write!(f, "{group} {direction} {peer} {traffic}")
    }
}

impl FromStr for Place {
    /// What it is not is of no interest: the records hold nothing else.
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let mut words = text.splitn(4, ' ');
        let mut word = || words.next().ok_or(());
        let group = word()?.parse().map_err(drop)?;
        let direction = Direction::from_name(word()?).ok_or(())?;
        let peer = word()?;
        let peer = if let Ok(block) = peer.parse() {
            RulePeer::Block(block)
        } else if let Ok(list) = peer.parse() {
            RulePeer::PrefixList(list)
        } else {
            RulePeer::Group(peer.parse().map_err(drop)?)
        };
        let traffic: Traffic = word()?.parse().map_err(drop)?;
        Ok(Place { group, direction, rule: GroupRule { traffic, peer } })
    }
}

/// A rule that a group can be born with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Born {
    /// Out to everybody, over IPv4.
    EgressV4,
    /// Out to everybody, over IPv6.
    EgressV6,
    /// In from the group's own members; of default groups.
    FromMembers,
}

impl Born {
    const ALL: [Born; 3] = [Born::EgressV4, Born::EgressV6, Born::FromMembers];

    /// What makes its id another number than its group's.
    const fn salt(self) -> u64 {
        match self {
            Born::EgressV4 => 0x9e37_79b9_7f4a_7c15,
            Born::EgressV6 => 0xbf58_476d_1ce4_e5b9,
            Born::FromMembers => 0x94d0_49bb_1331_11eb,
        }
    }

    /// Where it stands.
    fn of(self, group: SecurityGroupId) -> Place {
        let [v4, v6] = GroupRule::everybody();
        let (direction, rule) = match self {
            Born::EgressV4 => (Direction::Egress, v4),
            Born::EgressV6 => (Direction::Egress, v6),
            Born::FromMembers => {
                let rule = GroupRule { traffic: Traffic::All, peer: RulePeer::Group(group) };
                (Direction::Ingress, rule)
            }
        };
        Place { group, direction, rule }
    }
}

impl Place {
    /// The group that the rule names.
    pub(super) fn peer_group(&self) -> Option<SecurityGroupId> {
        match self.rule.peer {
            RulePeer::Group(group) => Some(group),
            RulePeer::Block(_) | RulePeer::PrefixList(_) => None,
        }
    }

    /// The id that the records have for it.
    fn recorded<'a>(&self, ask: &Ask<'a>) -> Option<&'a str> {
        ask.fact(self, Fact::Rule)
    }

    /// Its id. Every rule has one: it was authorised, or its group was born with it.
    pub(super) fn id(&self, ask: &Ask<'_>) -> String {
        if let Some(id) = self.recorded(ask) {
            return id.to_owned();
        }
        let born = Born::ALL.into_iter().find(|born| born.of(self.group) == *self);
        let salt = born.map_or(0, Born::salt);
        let digits = Digits::minted(self.group.digits().value() ^ salt);
        format!("{}-{}", Kind::SecurityGroupRule.prefix(), digits.as_str())
    }

    /// What is said about it.
    pub(super) fn description<'a>(&self, ask: &Ask<'a>) -> Option<&'a str> {
        ask.fact(self.recorded(ask)?, Fact::Description)
    }

    /// The VPC of the group that it names, and the peering that led there when it was authorised.
    pub(super) fn across(&self, ask: &Ask<'_>) -> Option<(VpcId, PeeringId)> {
        let (vpc, peering) = ask.fact(self.recorded(ask)?, Fact::Options)?.split_once(' ')?;
        Some((vpc.parse().ok()?, peering.parse().ok()?))
    }

    /// Is it a rule that nobody has asked for, for a family that its VPC does not have? EC2 adds the
    /// rule for IPv6 when the VPC gets its block; the cloud's groups have it from the start, where it
    /// matches nothing. So it is not shown before that.
    fn is_hidden(&self, ask: &Ask<'_>, vpc: VpcId) -> bool {
        *self == Born::EgressV6.of(self.group)
            && self.recorded(ask).is_none()
            && ask.cloud().vpc(vpc).is_none_or(|vpc| !vpc.blocks().iter().any(is_v6))
    }
}

fn is_v6(block: &IpNet) -> bool {
    matches!(block, IpNet::V6(_))
}

/// The group, if its VPC is the caller's.
///
/// # Errors
/// `InvalidGroup.NotFound`.
pub(super) fn own<'a>(ask: &Ask<'a>, id: SecurityGroupId) -> Result<&'a SecurityGroup, Fault> {
    let group = ask.cloud().group(id).filter(|group| owns(ask, group.vpc));
    Ok(group.ok_or(Refusal::GroupNotFound(id))?)
}

/// The rules of one direction of a group, as its owner sees them.
pub(super) fn shown(
    ask: &Ask<'_>,
    id: SecurityGroupId,
    group: &SecurityGroup,
    direction: Direction,
) -> Vec<Place> {
    let places =
        group.rules(direction).iter().map(|rule| Place { group: id, direction, rule: *rule });
    places.filter(|place| !place.is_hidden(ask, group.vpc)).collect()
}

/// The rule of the group that its owner does not see, if it has one: whoever changes what may go out
/// takes it away, as EC2 adds no rule for IPv6 to a group that has been changed.
pub(super) fn hidden(
    ask: &Ask<'_>,
    id: SecurityGroupId,
    group: &SecurityGroup,
    direction: Direction,
) -> Option<GroupRule> {
    let place = Born::EgressV6.of(id);
    let has_it = direction == place.direction && group.rules(direction).contains(&place.rule);
    (has_it && place.is_hidden(ask, group.vpc)).then_some(place.rule)
}

/// The rule with this id, of a group of the caller's.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.Malformed` and `.NotFound`.
pub(in crate::api) fn find(ask: &Ask<'_>, id: &str) -> Result<Place, Fault> {
    let prefix = Kind::SecurityGroupRule.prefix();
    let digits = id.strip_prefix(prefix).and_then(|rest| Digits::parse(rest.strip_prefix('-')?));
    let digits = digits.ok_or_else(|| {
        let message = format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")");
        Fault::new("InvalidSecurityGroupRuleId.Malformed", message)
    })?;
    let recorded: Option<Place> = ask.fact(id, Fact::Rule).and_then(|place| place.parse().ok());
    let place = recorded.or_else(|| {
        // One that a group was born with, if there is such a group.
        Born::ALL.into_iter().find_map(|born| {
            let group = SecurityGroupId::new(Digits::minted(digits.value() ^ born.salt()));
            ask.cloud().group(group)?;
            Some(born.of(group)).filter(|place| place.recorded(ask).is_none())
        })
    });
    let there = place.filter(|place| {
        own(ask, place.group).is_ok_and(|group| {
            group.rules(place.direction).contains(&place.rule) && !place.is_hidden(ask, group.vpc)
        })
    });
    there.ok_or_else(|| {
        let message = format!("The security group rule ID '{id}' does not exist");
        Fault::new("InvalidSecurityGroupRuleId.NotFound", message)
    })
}

/// Has a rule recorded, under the id that it has. One that is recorded stays as it is.
pub(super) fn adopt(edit: &mut Edit<'_>, place: &Place) -> String {
    let id = place.id(&edit.ask());
    if edit.records().thing(&id).is_none() {
        edit.make_known(Kind::SecurityGroupRule, &id);
        put(edit, &id, place);
    }
    id
}

/// Has the rule with this id recorded, if there is one.
pub(in crate::api) fn adopt_if_one(edit: &mut Edit<'_>, id: &str) {
    if let Ok(place) = find(&edit.ask(), id) {
        adopt(edit, &place);
    }
}

/// Gives a rule that has just been authorised an id.
pub(super) fn make(edit: &mut Edit<'_>, place: &Place, description: Option<String>) -> String {
    let id = edit.make(Kind::SecurityGroupRule);
    put(edit, &id, place);
    if let Some(description) = description {
        edit.remember(&id, Fact::Description, description);
    }
    id
}

/// From now on this id stands for the rule at that place.
pub(super) fn put(edit: &mut Edit<'_>, id: &str, place: &Place) {
    edit.remember(id, Fact::Rule, place.to_string());
    edit.remember(place, Fact::Rule, id);
    let ask = edit.ask();
    let vpc_of = |group| ask.cloud().group(group).map(|group| group.vpc);
    let across = place.peer_group().and_then(|named| {
        let (here, there) = (vpc_of(place.group)?, vpc_of(named)?);
        let peering = (here != there).then(|| active_peering(&ask, here, there))??;
        Some(format!("{there} {peering}"))
    });
    let known = ask.fact(id, Fact::Options).is_some();
    if known || across.is_some() {
        edit.remember(id, Fact::Options, across.unwrap_or_default());
    }
}

/// Forgets a rule that is gone.
pub(super) fn forget(edit: &mut Edit<'_>, place: &Place) {
    let recorded = place.recorded(&edit.ask()).map(str::to_owned);
    if let Some(id) = recorded {
        edit.forget(id);
        edit.forget(place);
    }
}

/// The rules of a group, hidden ones too: what is to be forgotten once it is gone.
pub(in crate::api) fn all_of(ask: &Ask<'_>, id: SecurityGroupId) -> Vec<Place> {
    let Some(group) = ask.cloud().group(id) else { return Vec::new() };
    let of = |direction| {
        let rules = group.rules(direction).iter();
        rules.map(move |rule| Place { group: id, direction, rule: *rule })
    };
    Direction::ALL.into_iter().flat_map(of).collect()
}

/// Forgets a group that is gone, and its rules.
pub(in crate::api) fn forget_group(edit: &mut Edit<'_>, id: SecurityGroupId, rules: &[Place]) {
    rules.iter().for_each(|place| forget(edit, place));
    edit.forget(id);
}

/// A rule as `SecurityGroupRule`.
pub(super) struct RuleRow {
    pub(super) id: String,
    pub(super) place: Place,
}

impl RuleRow {
    pub(super) fn new(ask: &Ask<'_>, place: Place) -> RuleRow {
        RuleRow { id: place.id(ask), place }
    }

    /// Writes what `SecurityGroupRule` and `RevokedSecurityGroupRule` have in common.
    pub(super) fn write_common(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let Place { group, direction, rule } = self.place;
        xml.text("securityGroupRuleId", &self.id);
        xml.text("groupId", group);
        xml.text("isEgress", direction == Direction::Egress);
        xml.text("ipProtocol", protocol(rule.traffic));
        let (from, to) = port_pair(rule.traffic).unwrap_or((-1, -1));
        xml.text("fromPort", from);
        xml.text("toPort", to);
        match rule.peer {
            RulePeer::Block(IpNet::V4(block)) => xml.text("cidrIpv4", block),
            RulePeer::Block(IpNet::V6(block)) => xml.text("cidrIpv6", block),
            RulePeer::PrefixList(list) => xml.text("prefixListId", list),
            RulePeer::Group(_) => {}
        }
        xml.maybe("description", self.place.description(ask));
    }

    /// Writes it as `RevokedSecurityGroupRule`.
    pub(super) fn write_revoked(&self, ask: &Ask<'_>, xml: &mut Xml) {
        self.write_common(ask, xml);
        xml.maybe("referencedGroupId", self.place.peer_group());
    }
}

impl Row for RuleRow {
    fn key(&self) -> String {
        self.id.clone()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "group-id" => out.shows(self.place.group),
            "security-group-rule-id" => out.is(&self.id),
            _ => tag_fields(ask.records().tags(&self.id), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        self.write_common(ask, xml);
        xml.text("groupOwnerId", ask.caller.account);
        if let Some(named) = self.place.peer_group() {
            let relation = Relation::of(ask, &self.place, named);
            xml.group("referencedGroupInfo", |xml| relation.write(xml, named));
        }
        write_tags(xml, ask.records().tags(&self.id));
        xml.text("securityGroupRuleArn", arn(ask.caller, "security-group-rule", &self.id));
    }
}

/// Does the caller's VPC of this group count as a default one?
pub(super) fn in_default_vpc(ask: &Ask<'_>, group: &SecurityGroup) -> bool {
    own_vpc(ask, group.vpc).is_ok_and(|vpc| vpc.is_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in [
            "sg-00000000000000001 ingress 10.0.0.0/8 tcp 22",
            "sg-00000000000000001 egress ::/0 all",
            "sg-00000000000000001 ingress sg-00000000000000002 icmp 3/4",
            "sg-00000000000000001 egress pl-00000000000000003 protocol 47",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert!("sg-00000000000000001 ingress".parse::<Place>().is_err());
    }

    #[test]
    fn the_rules_that_a_group_is_born_with_have_ids_of_their_own() {
        let group = SecurityGroupId::new(Digits::minted(7));
        let places = Born::ALL.map(|born| born.of(group));
        assert!(places[0] != places[1] && places[1] != places[2]);
        let salts = Born::ALL.map(Born::salt);
        assert!(salts[0] != salts[1] && salts[1] != salts[2] && salts[0] != salts[2]);
        assert!(!salts.contains(&0));
    }
}
