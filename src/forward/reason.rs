//! Why packets are dropped: one row per reason.
//!
//! Holds the table from which label, number, analyzer code, explanation and cure all derive, so
//! they cannot disagree: counters, traces, captures, expectations, `vpclab explain` and
//! `docs/drop-reasons.md` read it. Refuses an "other": a drop without a name is a bug.

/// Builds the enum and its table from one list.
macro_rules! drop_reasons {
    ($($number:literal $variant:ident $label:literal $aws:expr, $what:literal, $cure:literal;)+) => {
        /// Why a packet was dropped. In the order in which the checks run.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum DropReason {
            $(#[doc = $what] $variant,)+
        }

        impl DropReason {
            /// Every reason, in the order in which the checks run.
            pub const ALL: &[DropReason] = &[$(DropReason::$variant),+];

            /// How many there are.
            pub const COUNT: usize = DropReason::ALL.len();

            /// The stable label.
            pub const fn label(self) -> &'static str {
                match self { $(DropReason::$variant => $label),+ }
            }

            /// The stable number. Numbers are never given to another reason; the gaps belong to
            /// checks between these.
            pub const fn number(self) -> u8 {
                match self { $(DropReason::$variant => $number),+ }
            }

            /// The code with which AWS Reachability Analyzer would explain it, where there is one
            /// (vpc-semantics 5).
            pub const fn aws_code(self) -> Option<&'static str> {
                match self { $(DropReason::$variant => $aws),+ }
            }

            /// What happened, in a few sentences.
            pub const fn what(self) -> &'static str {
                match self { $(DropReason::$variant => $what),+ }
            }

            /// What to do about it.
            pub const fn cure(self) -> &'static str {
                match self { $(DropReason::$variant => $cure),+ }
            }
        }
    };
}

drop_reasons! {
    1 Malformed "malformed" None,
        "The bytes are not a packet: a header is cut short, a length or a checksum is wrong. The trace names the field.",
        "Correct the named field. Checksums are checked where a packet enters the network, because the receiver would discard it without a word.";
    2 InterfaceDown "interface-down" None,
        "The sending or the receiving instance is stopped.",
        "Start the instance.";
    3 SourceCheck "source-check" Some("ENI_SOURCE_DEST_CHECK_RESTRICTION"),
        "The packet's source is not an address of the interface that sends it, and the interface's source/destination check is on.",
        "Send from an own address, or switch the check off for an instance that forwards for others.";
    4 GroupEgress "group-egress" Some("ENI_SG_RULES_MISMATCH"),
        "No rule of the sending interface's security groups allows the packet out, and it belongs to no connection that they let in.",
        "Allow the traffic in an egress rule of one of the sender's groups.";
    5 ConntrackFull "conntrack-full" None,
        "The packet would open a connection that must be tracked, and the interface, or the egress-only internet gateway on its way, tracks as many as it can.",
        "Open fewer connections at a time, or use rules under which the flow is not tracked: all addresses in the rule, and all addresses and ports in the other direction.";
    6 AclEgress "acl-egress" Some("SUBNET_ACL_RESTRICTION"),
        "The network ACL of the sender's subnet does not let the packet out. ACLs keep no state: an answer needs an entry of its own, for ephemeral ports.",
        "Add an allow entry for outbound traffic with a number below the one that denies.";
    7 NoRoute "no-route" Some("NO_ROUTE_TO_DESTINATION"),
        "No route of the sender's route table covers the destination.",
        "Add a route for the destination to the table that the sender's subnet uses. A route in the other VPC's table does not help: it is read for answers only.";
    8 Blackhole "blackhole" Some("BAD_STATE_ROUTE"),
        "The longest matching route has a target that cannot be used: a peering that is not active, or an interface that is gone or stopped. A shorter usable route does not take over.",
        "Accept the peering if it is pending. If it has ended, a new peering has a new id: replace the route.";
    9 Transit "transit" Some("PCX_REQUIRES_ADDRESS_IN_VPC_CIDR"),
        "The route leads over an active peering, but the destination is not an address of the VPC at its other end. Peering is not transitive: nothing passes through the peer to another VPC, the internet, a VPN or a gateway.",
        "Peer the two VPCs directly, with routes on both sides. Route tables of the VPC in the middle cannot help.";
    10 TooBig "too-big" None,
        "The packet is longer than the path takes, and may not be cut up: it is IPv6, or has \"don't fragment\" set. The network sends its sender an ICMP message with the size that would pass.",
        "Send smaller packets. If the sender never learns the size, let ICMP type 3 code 4 (IPv6: type 2) through network ACLs.";
    11 LinkLoss "link-loss" None,
        "The link lost the packet, with the probability that the scenario gave it.",
        "Nothing is wrong with the network's configuration; lower the link's `loss` if it should not happen.";
    12 QueueFull "queue-full" None,
        "The link's queue had no room: packets came faster than its rate.",
        "Send more slowly, or raise the link's `rate` or `queue`.";
    13 PeeringGone "peering-gone" Some("BAD_STATE"),
        "The peering stopped being active while the packet was on its way across it.",
        "Nothing to mend for this packet; the next one meets a blackhole route until a new peering is in the table.";
    14 NoSuchHost "no-such-host" Some("NO_POSSIBLE_DESTINATION"),
        "The packet reached the VPC that the route leads to, but no interface there has the destination address.",
        "Check the address; where two VPCs use the same block, check which of them the longest matching route leads to.";
    15 AclIngress "acl-ingress" Some("SUBNET_ACL_RESTRICTION"),
        "The network ACL of the receiver's subnet does not let the packet in.",
        "Add an allow entry for inbound traffic with a number below the one that denies; for answers, for ephemeral ports.";
    16 GroupIngress "group-ingress" Some("ENI_SG_RULES_MISMATCH"),
        "No rule of the receiving interface's security groups allows the packet in, and it belongs to no connection that they let out.",
        "Allow the traffic in an ingress rule of one of the receiver's groups.";
    17 DestCheck "dest-check" Some("ENI_SOURCE_DEST_CHECK_RESTRICTION"),
        "A route handed the packet to an interface that does not own the destination, and the interface's source/destination check is on.",
        "Switch the check off if the instance is to forward for others.";
    18 NoPublicAddress "no-public-address" Some("IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"),
        "The internet gateway carries IPv4 only for addresses for which a public address stands: the sender has none, or the packet from outside is for a private address.",
        "Give the interface a public address, or send through a NAT gateway in a subnet whose table leads to the internet gateway.";
    19 HopLimit "hop-limit" None,
        "A router instance got the packet with its last hop: it would have to lower the hop limit to 0.",
        "Look for a loop between router instances, or send with a higher hop limit.";
    20 NoTranslation "no-translation" None,
        "A NAT device got a packet that is an answer to nothing it has translated, or that it cannot translate.",
        "NAT devices carry answers only: what is to be reached from outside needs a public address of its own.";
    21 SpoofedSource "spoofed-source" Some("GATEWAY_REJECTS_SPOOFED_TRAFFIC"),
        "A gateway got a packet out of its VPC whose source is not in a block of that VPC. It carries its own VPC's traffic only.",
        "Send from an address of the VPC; an instance that forwards for others has to translate their addresses first.";
    22 Unsolicited "unsolicited" None,
        "An egress-only internet gateway got a packet from the internet that belongs to nothing its VPC has sent out over it. It lets answers in and nothing else.",
        "What is to be reached from the internet needs a subnet whose table leads over an internet gateway; groups and ACLs then say who gets in.";
}

/// The label of an outcome that is no drop: the packet reached a host, but not the one it was meant
/// for, because two VPCs use the same address and the longest matching route led to the other one.
pub const MISDELIVERED: &str = "misdelivered";

/// What [`MISDELIVERED`] means, in the form of [`DropReason::what`].
pub const MISDELIVERED_WHAT: &str = "Not a drop: the packet was delivered, but to another host that has the same address in another VPC. The sender's longest matching route decides alone, and there is no reverse-path check, so an answer may leave over another peering than the request came in by.";

/// What to do about [`MISDELIVERED`].
pub const MISDELIVERED_CURE: &str =
    "Give the table of the side that answers a more specific route for the host that asked.";

impl DropReason {
    /// The reason with this label.
    pub fn from_label(label: &str) -> Option<DropReason> {
        DropReason::ALL.iter().copied().find(|reason| reason.label() == label)
    }

    /// Its place in [`DropReason::ALL`]: a row number for counters.
    pub const fn row(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_numbers_are_unique_and_ordered() {
        for pair in DropReason::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
        }
        for (row, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(DropReason::from_label(reason.label()), Some(*reason));
            assert_eq!(reason.row(), row);
        }
    }
}
