//! What lint looks for: one row per rule.
//!
//! Holds the table from which label, number, severity, meaning and advice all derive, so they cannot
//! disagree: reports, `vpclab explain` and `docs/lint.md` read it. Refuses to look for anything.

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Legal, and some packet meets another fate than its owner most likely expects.
    Warning,
    /// Legal, and either without effect or soon in the way. It may well be meant.
    Hint,
}

impl Severity {
    /// Both, the graver one first.
    pub const ALL: [Severity; 2] = [Severity::Warning, Severity::Hint];

    /// `warning` or `hint`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Hint => "hint",
        }
    }
}

/// Builds the enum and its table from one list.
macro_rules! lint_rules {
    ($($number:literal $variant:ident $severity:ident $label:literal, $what:literal, $advice:literal;)+) => {
        /// Something that is legal and will surprise.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum LintRule {
            $(#[doc = $what] $variant,)+
        }

        impl LintRule {
            /// Every rule, by number.
            pub const ALL: &[LintRule] = &[$(LintRule::$variant),+];

            /// The stable label. No rule is called like a drop reason.
            pub const fn label(self) -> &'static str {
                match self { $(LintRule::$variant => $label),+ }
            }

            /// The stable number. Numbers are never given to another rule.
            pub const fn number(self) -> u8 {
                match self { $(LintRule::$variant => $number),+ }
            }

            /// How much it matters.
            pub const fn severity(self) -> Severity {
                match self { $(LintRule::$variant => Severity::$severity),+ }
            }

            /// What is found and why it surprises, in a few sentences.
            pub const fn what(self) -> &'static str {
                match self { $(LintRule::$variant => $what),+ }
            }

            /// What to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(LintRule::$variant => $advice),+ }
            }
        }
    };
}

lint_rules! {
    // ---- routes: does this table lead where its owner thinks? ----------------------------------
    1 HubTransit Warning "hub-transit",
        "A route leads into a peering, but part of its addresses lie in a third VPC that is peered with the same hub. It looks connected through the hub and is not: peering is not transitive, so those packets are dropped with `transit`.",
        "Peer the two outer VPCs directly, with routes on both sides; if their blocks overlap that cannot be, and one of them must be readdressed.";
    2 EdgeTransit Warning "edge-transit",
        "A route leads into a peering, but part of its addresses lie beyond an edge of the peer: its internet gateway, NAT gateway, VPN, Direct Connect or gateway endpoint. An edge serves its own VPC alone, so those packets are dropped with `transit`.",
        "Give the VPC an edge of its own, and narrow the route to the peer's blocks.";
    3 NotInPeer Warning "not-in-peer",
        "A route leads into a peering, but no packet that takes it is for the VPC at its other end: it covers no address of that VPC, or longer routes of the table take them all. Every packet that takes it is dropped with `transit`.",
        "Correct the destination, or point the route at the peering that leads to those addresses.";
    4 WiderThanPeer Hint "wider-than-peer",
        "A route into a peering covers more than the blocks of the VPC at its other end. Packets for the rest are dropped with `transit` rather than `no-route`, and a shorter route cannot take them.",
        "Narrow the route to the peer's blocks, one route for each, unless the peer is to grow into it.";
    5 BlackholeRoute Warning "blackhole-route",
        "A route's target cannot be used: a peering that is pending or has ended, a gateway that is detached or gone, an instance that is stopped or gone. Packets that take the route are dropped with `blackhole`; a shorter usable route takes over only where the emulator is set so.",
        "Accept a pending peering; replace or delete a route whose target has ended: a new peering or gateway has a new id.";
    6 ShadowedRoute Hint "shadowed-route",
        "Other routes of the same table, as a rule longer ones, take every address of this one, so no packet takes it.",
        "Delete it, or one of the others if this was to count.";
    7 CheckedMiddlebox Warning "checked-middlebox",
        "Routes lead to an instance, or its role is to send on what it gets, and the source/destination check of its interface is on. The interface drops every packet that is neither from nor to itself, with `dest-check`: the classic mistake with NAT instances.",
        "Switch the check off: `source_dest_check: false`, which EC2 does by ModifyNetworkInterfaceAttribute.";
    8 IdleMiddlebox Warning "idle-middlebox",
        "Routes lead to an instance that sends nothing on: it has no role. What it gets on behalf of others ends there.",
        "Give the instance the role of a router or a NAT instance, or point the routes elsewhere.";
    9 RoutingLoop Warning "routing-loop",
        "Instances that send on what they get route to each other in a ring, or one routes to itself: the table of its own subnet leads back to it. Packets go round until their hop limit is used up, and are dropped with `hop-limit`.",
        "Put one of them into a subnet whose table leads on, to a gateway for example.";

    // ---- answers: does what was let through find its way back? ---------------------------------
    10 NoReturnRoute Warning "no-return-route",
        "A table routes to a peer, and no table there routes anything back over the peering: requests arrive, and every answer is lost. There is no connection until both sides have a route.",
        "Add a route for the asking VPC's block to the tables of the subnets that answer.";
    11 PartialReturn Hint "partial-return",
        "A table routes to a peer, and some subnets there have a route back and some have none. Right if the others are to be kept apart, but then the narrower route on this side says it better.",
        "Add the missing routes on the far side, or narrow the route on this side to the subnets that answer.";
    12 AsymmetricReturn Warning "asymmetric-return",
        "Answers do not return over the peering that requests come by: on the far side a longer route for the asking addresses leads into another peering. There is no reverse-path check, so an answer goes to whoever has the address there, or is dropped.",
        "Give the answering table a route for the asking addresses, longer than the one that leads astray, into this peering.";
    13 HubOverlap Hint "hub-overlap",
        "Two VPCs whose blocks overlap are both peered with the same VPC. Its tables can lead a common address to one of them only, whoever asked; the longest route decides alone.",
        "Route the parts of the common block by themselves, one table for each side if need be, or readdress one of the two.";

    14 Ipv4OnlyPeering Hint "ipv4-only-peering",
        "Both VPCs of a peering have IPv6 blocks, and only IPv4 routes lead into it: IPv6 packets for the peer find no route, or leave by another one. Routes are per family.",
        "Add routes for the IPv6 blocks on both sides, and rules for them in groups and ACLs, unless IPv4 is all that is wanted.";

    // ---- filters -------------------------------------------------------------------------------
    20 ShadowedEntry Warning "shadowed-entry",
        "An entry of a network ACL never decides: one with a lower number matches all that it matches, and does the opposite.",
        "Give it a lower number than the entry before it, or delete one of the two.";
    21 RedundantEntry Hint "redundant-entry",
        "An entry of a network ACL never decides: one with a lower number matches all that it matches, and does the same.",
        "Delete it.";
    22 AclNoAnswers Warning "acl-no-answers",
        "A network ACL lets requests pass one way and lets no answer pass the other. ACLs keep no state: an answer goes to the ephemeral port of whoever asked and needs an entry of its own.",
        "Allow the ephemeral ports the other way: 1024-65535 suits every client, 32768-60999 suits Linux.";
    23 StaleGroupRule Warning "stale-group-rule",
        "A rule names a security group of a VPC to which no active peering leads any more, or a group that is gone. It matches nothing.",
        "Revoke the rule, or peer the VPCs again, which revives it.";
    24 UnusedGroup Hint "unused-group",
        "No interface has the security group and no rule names it.",
        "Delete it, or give it to the instances it was made for.";
    25 SilentGroup Warning "silent-group",
        "Interfaces have this security group, and none of their groups has any rule: nothing gets in or out.",
        "Authorise what they need. A group that only serves to be named in other groups' rules goes beside one that has rules.";
    26 AclDeniesAll Warning "acl-denies-all",
        "A network ACL guards a subnet and allows nothing in one direction or both. What no entry allows is denied, answers included, and ACLs keep no state: nobody in the subnet has a connection with anybody outside it.",
        "Add entries that allow the traffic of the subnet and its answers; an ACL is born with none, unlike the one that a VPC is born with.";

    // ---- edges ---------------------------------------------------------------------------------
    30 IgwNoPublicAddress Warning "igw-no-public-address",
        "The table of a subnet leads to the internet gateway, but no instance there has a public address, for which alone the gateway carries IPv4. What they send to the internet is dropped with `no-public-address`.",
        "Give the instances public addresses, or lead the subnet's table to a NAT gateway in another subnet.";
    31 NatNoInternet Warning "nat-no-internet",
        "A NAT gateway stands in a subnet whose table does not lead to an internet gateway, so what it has translated goes nowhere.",
        "Put it into a public subnet: one whose table has a route for 0.0.0.0/0 to the VPC's internet gateway.";
    32 PublicNoGateway Warning "public-no-gateway",
        "An instance has a public address, and the table of its subnet leads neither to an internet gateway nor to an instance that might. Requests from the internet arrive, and every answer is lost.",
        "Route 0.0.0.0/0 in the subnet's table to the VPC's internet gateway, or take the public address away.";

    // ---- peerings and quotas -------------------------------------------------------------------
    40 UnusedPeering Hint "unused-peering",
        "A peering is active, and no table on either side leads into it: it carries nothing.",
        "Add routes on both sides, or delete the peering: it counts against the quota of both VPCs.";
    41 ExpiringRequest Warning "expiring-request",
        "Nobody has answered a peering request, and in less than a day it will have expired. Then it has to be made anew, with a new id in every route.",
        "Accept it in time.";
    42 NearQuota Hint "near-quota",
        "Four fifths or more of a quota are used.",
        "Have the quota raised before it is reached, or make do with less.";
}

impl LintRule {
    /// The rule with this label.
    pub fn from_label(label: &str) -> Option<LintRule> {
        LintRule::ALL.iter().copied().find(|rule| rule.label() == label)
    }
}

impl std::fmt::Display for LintRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::DropReason;

    #[test]
    fn labels_and_numbers_are_unique_and_nobody_elses() {
        for pair in LintRule::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        for rule in LintRule::ALL {
            assert_eq!(LintRule::from_label(rule.label()), Some(*rule));
            assert_eq!(DropReason::from_label(rule.label()), None, "explained under one label");
        }
    }

    #[test]
    fn drop_reasons_in_the_texts_exist() {
        for rule in LintRule::ALL {
            let quoted = rule.what().split('`').skip(1).step_by(2);
            for label in quoted {
                assert!(DropReason::from_label(label).is_some(), "{rule}: `{label}`");
            }
        }
    }
}
