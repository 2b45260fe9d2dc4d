//! Security groups and network ACLs as they can be seen from outside: a line for each rule and entry.
//!
//! Refuses to know what a request makes of them: `net.rs` does.

use std::collections::BTreeSet;

use super::net::Element;

/// A group or an ACL: its VPC, and its rules or entries as lines.
pub(super) type Filter = (String, BTreeSet<String>);

/// What every new group lets out.
pub(super) const BORN_OPEN: &str = "egress -1 - 0.0.0.0/0 ()";
/// What every ACL ends with, in both directions.
pub(super) const BORN_DENIED: [&str; 2] =
    ["false 32767 deny -1 0.0.0.0/0", "true 32767 deny -1 0.0.0.0/0"];

/// The line of a rule that lets TCP in.
pub(super) fn rule(port: u64, block: &str, about: &str) -> String {
    format!("ingress tcp {port}-{port} {block} ({about})")
}

/// The line of an entry about everything.
pub(super) fn entry(egress: bool, number: u64, action: &str, block: &str) -> String {
    format!("{egress} {number} {action} -1 {block}")
}

/// The rules of a group that an answer shows.
pub(super) fn rules(group: &Element) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (set, direction) in [("ipPermissions", "ingress"), ("ipPermissionsEgress", "egress")] {
        for permission in group.items(set) {
            let ports = [permission.text("fromPort"), permission.text("toPort")].join("-");
            for range in permission.items("ipRanges") {
                let [protocol, block, about] = [
                    permission.text("ipProtocol"),
                    range.text("cidrIp"),
                    range.text("description"),
                ];
                lines.insert(format!("{direction} {protocol} {ports} {block} ({about})"));
            }
        }
    }
    lines
}

/// The entries of an ACL that an answer shows.
pub(super) fn entries(acl: &Element) -> BTreeSet<String> {
    let line = |entry: &Element| {
        let fields = ["egress", "ruleNumber", "ruleAction", "protocol", "cidrBlock"];
        fields.map(|field| entry.text(field)).join(" ")
    };
    acl.items("entrySet").iter().map(line).collect()
}
