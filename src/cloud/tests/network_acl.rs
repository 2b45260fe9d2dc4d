//! Rows: network ACLs, their entries and associations (vpc-semantics 1.4, 3.8, 6.7).

use super::super::filter::{Direction, Traffic};
use super::super::network_acl::{AclAction, AclEntry, RuleNumber};
use super::*;

const IN: Direction = Direction::Ingress;
const OUT: Direction = Direction::Egress;

fn number(n: u16) -> RuleNumber {
    RuleNumber::new(n).unwrap()
}

fn deny(block: &str) -> AclEntry {
    AclEntry { traffic: Traffic::All, block: net(block), action: AclAction::Deny }
}

fn create(acl: NetworkAclId, direction: Direction, n: u16, block: &str) -> Command {
    Command::CreateNetworkAclEntry { acl, direction, number: number(n), entry: deny(block) }
}

fn replace(acl: NetworkAclId, direction: Direction, n: u16, block: &str) -> Command {
    Command::ReplaceNetworkAclEntry { acl, direction, number: number(n), entry: deny(block) }
}

/// The lab with a list of its own in a and one in bare.
fn with_acls(profile: Profile) -> (Lab, [NetworkAclId; 2]) {
    let lab = Lab::new(profile);
    let lab = lab.clone().with([
        (one(), Command::CreateNetworkAcl { vpc: lab.a }),
        (one(), Command::CreateNetworkAcl { vpc: lab.bare }),
    ]);
    let last = |vpc| *lab.cloud.vpc(vpc).unwrap().acls().last().unwrap();
    let acls = [last(lab.a), last(lab.bare)];
    (lab, acls)
}

#[test]
fn a_new_list_is_empty_and_the_default_one_allows_everything() {
    let (lab, [strict, _]) = with_acls(Profile::Seed);
    let default = lab.cloud.vpc(lab.a).unwrap().default_acl();
    for direction in Direction::ALL {
        assert!(lab.cloud.acl(strict).unwrap().entries(direction).is_empty());
        let entries = lab.cloud.acl(default).unwrap().entries(direction);
        let allows = |entry: &AclEntry| entry.action == AclAction::Allow;
        assert!(entries.len() == 2 && entries.values().all(allows));
    }
    assert_eq!(lab.cloud.acl_of(lab.a1), Some(default));
}

#[test]
fn numbers_have_bounds() {
    for (n, ok) in [(0, false), (1, true), (32_766, true), (32_767, false)] {
        assert_eq!(RuleNumber::new(n).is_some(), ok, "{n}");
    }
}

#[test]
fn entries_come_and_go_by_number() {
    let (lab, [strict, _]) = with_acls(Profile::Seed);
    let lab = lab.with([(one(), create(strict, IN, 100, "10.9.0.1/16"))]);
    let held = lab.cloud.acl(strict).unwrap().entries(IN)[&number(100)];
    assert_eq!(held, deny("10.9.0.0/16"), "host bits are cleared");
    let delete =
        |direction, n| Command::DeleteNetworkAclEntry { acl: strict, direction, number: number(n) };
    let unknown = NetworkAclId::new(nothing());
    check(
        &lab,
        [
            (one(), create(strict, IN, 101, "10.9.0.0/16"), OK), // equal ones may stand twice
            (one(), create(strict, IN, 100, "10.8.0.0/16"), "NetworkAclEntryAlreadyExists"),
            (one(), create(strict, OUT, 100, "10.8.0.0/16"), OK),
            (one(), create(strict, IN, 101, "2001:db8::/56"), "UnknownParameter"),
            (one(), create(unknown, IN, 1, "10.9.0.0/16"), "InvalidNetworkAclID.NotFound"),
            (two(), create(strict, IN, 1, "10.9.0.0/16"), "InvalidNetworkAclID.NotFound"),
            (one(), replace(strict, IN, 100, "10.8.0.0/16"), OK),
            (one(), replace(strict, IN, 101, "10.8.0.0/16"), "InvalidNetworkAclEntry.NotFound"),
            (one(), replace(strict, OUT, 100, "10.8.0.0/16"), "InvalidNetworkAclEntry.NotFound"),
            (one(), delete(IN, 100), OK),
            (one(), delete(IN, 101), "InvalidNetworkAclEntry.NotFound"),
            (one(), delete(OUT, 100), "InvalidNetworkAclEntry.NotFound"),
        ],
    );
}

#[test]
fn entries_are_counted_by_direction_and_family() {
    let (lab, [strict, _]) = with_acls(Profile::Today);
    let lab = lab.quota(&one(), Quota::EntriesPerNetworkAcl, 1).with([
        (one(), create(strict, IN, 1, "10.0.0.0/8")),
        (one(), create(strict, IN, 2, "2001:db8::/32")),
    ]);
    let many = "NetworkAclEntryLimitExceeded";
    check(
        &lab,
        [
            (one(), create(strict, IN, 3, "11.0.0.0/8"), many),
            (one(), create(strict, IN, 3, "2001:db9::/32"), many),
            (one(), create(strict, OUT, 3, "11.0.0.0/8"), OK),
            (one(), replace(strict, IN, 1, "11.0.0.0/8"), OK),
            (one(), replace(strict, IN, 1, "2001:db9::/32"), many), // it would be the second one
        ],
    );
}

#[test]
fn lists_are_made_for_a_vpc_and_deleted_when_unused() {
    let (lab, [strict, _]) = with_acls(Profile::Seed);
    let default = lab.cloud.vpc(lab.a).unwrap().default_acl();
    let delete = |acl| Command::DeleteNetworkAcl { acl };
    let make = |vpc| Command::CreateNetworkAcl { vpc };
    check(
        &lab,
        [
            (one(), make(lab.a), OK),
            (two(), make(lab.a), "InvalidVpcID.NotFound"),
            (one(), delete(strict), OK),
            (one(), delete(default), "InvalidParameterValue"),
            (two(), delete(strict), "InvalidNetworkAclID.NotFound"),
            (one(), Command::DeleteVpc { vpc: lab.bare }, "DependencyViolation"),
        ],
    );
    check(
        &lab.clone().quota(&one(), Quota::NetworkAclsPerVpc, 2),
        [(one(), make(lab.a), "NetworkAclLimitExceeded"), (two(), make(lab.b), OK)],
    );
    let association = lab.cloud.subnet(lab.a1).unwrap().acl().0;
    let put = Command::ReplaceNetworkAclAssociation { association, acl: strict };
    check(&lab.with([(one(), put)]), [(one(), delete(strict), "DependencyViolation")]);
}

#[test]
fn an_association_moves_within_its_vpc() {
    let (lab, [strict, bare]) = with_acls(Profile::Seed);
    let old = lab.cloud.subnet(lab.a1).unwrap().acl().0;
    let put = |association, acl| Command::ReplaceNetworkAclAssociation { association, acl };
    let unknown = AclAssociationId::new(nothing());
    check(
        &lab,
        [
            (one(), put(old, strict), OK),
            (one(), put(old, bare), "InvalidParameterValue"),
            (one(), put(old, NetworkAclId::new(nothing())), "InvalidNetworkAclID.NotFound"),
            (one(), put(unknown, strict), "InvalidAssociationID.NotFound"),
            (two(), put(old, strict), "InvalidAssociationID.NotFound"),
        ],
    );
    let moved = lab.clone().with([(one(), put(old, strict))]);
    assert_eq!(moved.cloud.acl_of(lab.a1), Some(strict));
    assert_ne!(moved.cloud.acl_of(lab.a2), Some(strict), "the other subnet stays");
    // The association has a new id, and the old one is gone.
    check(&moved, [(one(), put(old, strict), "InvalidAssociationID.NotFound")]);
}
