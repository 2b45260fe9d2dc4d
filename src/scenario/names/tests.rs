//! Rows of steps and what is said about their labels.

use crate::scenario::load::parse;

const NETWORK: &str = "\
vpclab: 1
name: x
vpcs:
  A: {cidr: 10.0.0.0/16, route_tables: [x], subnets: {web: {cidr: 10.0.1.0/24, route_table: x}}}
  B: {cidr: [10.1.0.0/16, 10.2.0.0/16]}
peerings:
  AB: {requester: A, accepter: B}
routes:
  A/x: {10.1.0.0/16: AB, 10.9.0.0/16: router}
instances:
  router: {subnet: A/web}
  b: {subnet: B/default-2}
";

/// The messages about a file, without their places.
fn messages(text: &str) -> Vec<String> {
    match parse("x", text) {
        Ok(_) => Vec::new(),
        Err(failure) => failure
            .diagnostics
            .iter()
            .map(|d| {
                let more = d.secondary.iter().map(|(_, label)| label).chain(&d.help);
                more.fold(d.message.clone(), |text, label| format!("{text}; {label}"))
            })
            .collect(),
    }
}

#[track_caller]
fn check(steps: &str, want: &[&str]) {
    assert_eq!(messages(&format!("{NETWORK}steps:\n{steps}")), want, "{steps}");
}

/// Beside [`NETWORK`], an edge of every kind.
const EDGES: &str = "\
gateways:
  igw: {type: internet, vpc: A}
  vpn: {type: vpn, vpc: A, propagate_to: [A, A/x]}
  nat: {type: nat, subnet: A/web}
  s3: {type: endpoint, vpc: A, service: s3, cidrs: [198.51.100.0/24], route_tables: [A]}
outside:
  web: {ip: 198.18.0.10, beyond: igw}
";

#[test]
fn edges_have_labels_of_their_kind() {
    let network = format!("{NETWORK}{EDGES}");
    for (steps, want) in [
        ("- ping: web -> b", &[][..]),
        ("- ping: router -> web", &[]),
        ("- create-route: {table: A, destination: 0.0.0.0/0, target: igw}", &[]),
        ("- create-route: {table: A, destination: 0.0.0.0/0, target: nat}", &[]),
        ("- disassociate-address: nat", &[]),
        (
            "- delete-internet-gateway: vpn",
            &["no internet gateway is called `vpn`; this is a virtual private gateway"],
        ),
        (
            "- create-route: {table: A, destination: 0.0.0.0/0, target: web}",
            &["no peering or instance or gateway is called `web`; this is an outside host"],
        ),
        (
            "- place-outside-host: {name: web2, ip: 198.18.0.11, beyond: nat}",
            &["no gateway is called `nat`; this is a NAT gateway"],
        ),
        ("- ping: web -> public(web)", &["no instance is called `web`; this is an outside host"]),
        ("- ping: b -> wob", &["no instance or outside host is called `wob`; did you mean `web`?"]),
        (
            "- create-internet-gateway: {name: b}",
            &["the label `b` is taken by an instance; taken here"],
        ),
        ("- stop-instance: web", &["no instance is called `web`; this is an outside host"]),
        (
            "- release-address: ip\n- allocate-address: {name: ip}",
            &["no public address is called `ip`; it is introduced only here"],
        ),
    ] {
        assert_eq!(messages(&format!("{network}steps:\n{steps}")), want, "{steps}");
    }
    let missing = network.replace("propagate_to: [A, A/x]", "propagate_to: A/y");
    assert_eq!(messages(&missing), ["no route table is called `A/y`; did you mean `A/x`?"]);
}

#[test]
fn labels_live_from_where_they_are_introduced() {
    check("- ping: router -> b", &[]);
    check("- create-vpc: {name: C, cidr: 10.3.0.0/16}\n- delete-vpc: C", &[]);
    check(
        "- delete-vpc: C\n- create-vpc: {name: C, cidr: 10.3.0.0/16}",
        &["no VPC is called `C`; it is introduced only here"],
    );
    check(
        "- create-vpc: {name: C, cidr: 10.3.0.0/16}\n  expect: {refused: InvalidVpc.Range}\n- delete-vpc: C",
        &["no VPC is called `C`; this step would introduce it, but expects to be refused"],
    );
    // What was refused took no label.
    check(
        "- create-vpc: {name: C, cidr: 10.3.0.0/8}\n  expect: {refused: InvalidVpc.Range}\n\
         - create-vpc: {name: C, cidr: 10.3.0.0/16}",
        &[],
    );
    check(
        "- create-subnet: {vpc: A, name: db, cidr: 10.0.2.0/24}\n- delete-subnet: A/db\n\
         - create-route-table: {vpc: B, name: y}\n- replace-main-route-table: B/y",
        &[],
    );
}

#[test]
fn unknown_labels_are_named_with_what_was_probably_meant() {
    check("- ping: ruoter -> b", &["no instance is called `ruoter`; did you mean `router`?"]);
    check("- ping: b -> c", &["no instance is called `c`; known at this point: `b`, `router`"]);
    check("- accept-peering: A", &["no peering is called `A`; this is a VPC"]);
    check("- delete-subnet: A/wbe", &["no subnet is called `A/wbe`; did you mean `A/web`?"]);
    check("- delete-subnet: Q/web", &["no VPC is called `Q`; known at this point: `A`, `B`"]);
    check(
        "- resolve: b -> ruoter/public",
        &["no instance is called `ruoter`; did you mean `router`?"],
    );
    check("- resolve: ruoter -> b", &["no instance is called `ruoter`; did you mean `router`?"]);
    check("- resolve: b -> ip-10-9-9-9.ec2.internal", &[]);
    check(
        "- modify-vpc-attribute: {vpc: AB, dns_support: true}",
        &["no VPC is called `AB`; this is a peering"],
    );
    check(
        "- create-route: {table: A, destination: 10.7.0.0/16, target: local}",
        &["no peering or instance is called `local`; \
           local routes need not be written: every table has them"],
    );
    check(
        "- ping: b -> router\n  expect: {dropped: transit, at: ab}",
        &["no peering or VPC or instance is called `ab`; did you mean `AB`?"],
    );
    check(
        "- ping: b -> router\n  as: me",
        &[
            "`ping` is not asked of the cloud, so nobody asks it; leave out `as`",
            "no account is called `me`",
        ],
    );
}

#[test]
fn ids_need_not_be_known_in_steps_only() {
    check("- accept-peering: pcx-0a1b2c3d", &[]);
    check("- request-peering: {name: X, requester: A, accepter: vpc-0a1b2c3d}", &[]);
    let text = NETWORK.replace(": router}", ": pcx-0a1b2c3d}");
    let want = "`pcx-0a1b2c3d` is an id, and a declared network has none yet; use the label";
    assert_eq!(messages(&text), [want]);
}

#[test]
fn labels_stand_for_one_thing() {
    check(
        "- request-peering: {name: AB, requester: B, accepter: A}",
        &["the label `AB` is taken by another peering; taken here"],
    );
    check(
        "- run-instance: {name: AB, vpc: B}",
        &["the label `AB` is taken by a peering; taken here"],
    );
    check("- run-instance: {name: A, vpc: B}", &[]);
    check(
        "- create-vpc: {name: vpc-0a1b2c3d, cidr: 10.3.0.0/16}",
        &["the label `vpc-0a1b2c3d` would be taken for an id; choose another one"],
    );
    let text = NETWORK.replace("10.9.0.0/16: router", "10.1.2.3/16: router");
    assert_eq!(messages(&text), ["table `A/x` has two routes to 10.1.0.0/16; the first one"]);
}

#[test]
fn several_accounts_say_what_is_whose() {
    let accounts = "accounts: {me: {id: '111122223333'}, you: {id: '444455556666'}}\n";
    let text = NETWORK.replace("cidr: 10.0.0.0/16", "account: me, cidr: 10.0.0.0/16");
    let want = "the VPC `B` needs the key `account`; \
                a file with several accounts says which of them owns what";
    assert_eq!(messages(&format!("{text}{accounts}")), [want]);
    let text = text.replace("cidr: [10.1", "account: \"444455556666\", cidr: [10.1");
    assert_eq!(messages(&format!("{text}{accounts}")), [""; 0]);
    let text = text.replace("444455556666", "444455556667");
    let want = "no account has the id 444455556667; declare it under `accounts`";
    assert_eq!(messages(&format!("{text}{accounts}")), [want]);
}

#[test]
fn what_could_not_be_read_is_not_unknown_as_well() {
    let text = NETWORK.replace("10.0.0.0/16, route", "10.0.0.0/64, route");
    assert_eq!(
        messages(&text),
        ["`10.0.0.0/64` is not an IPv4 block; want for example `10.0.0.0/16`"]
    );
    check(
        "- create-vpc: {name: C, cidr: ten}\n- delete-vpc: C",
        &["`ten` is not an IPv4 block; want for example `10.0.0.0/16`"],
    );
}

#[test]
fn groups_lists_and_acls() {
    let new = "- create-security-group: {vpc: A, name: web}\n\
               - create-managed-prefix-list: {name: office, entries: [192.0.2.0/24]}\n\
               - create-network-acl: {vpc: A, name: strict}\n";
    let rule = |from: &str| {
        format!("{new}- authorize-security-group-ingress: {{group: web, allow: all, from: {from}}}")
    };
    for (from, want) in [
        ("office", &[][..]),
        ("web", &[]),
        ("B/default", &[]),
        ("10.0.0.0/8", &[]),
        ("sg-0a1b2c3d", &[]), // to show what the cloud answers
        (
            "offices",
            &["no security group or prefix list is called `offices`; did you mean `office`?"],
        ),
        ("C/default", &["no VPC is called `C`; known at this point: `A`, `B`"]),
    ] {
        check(&rule(from), want);
    }
    for (step, want) in [
        ("delete-network-acl: A/strict", &[][..]),
        ("replace-network-acl-association: {subnet: A/web, acl: A/default}", &[]),
        ("ping: router -> b\n  expect: {dropped: acl-egress, at: A/strict}", &[]),
        ("ping: router -> b\n  expect: {dropped: acl-egress, at: A/default}", &[]),
        (
            "ping: router -> b\n  expect: {dropped: acl-egress, at: A/y}",
            &[
                "no route table or network ACL is called `A/y`; did you mean `A/x`?",
            ],
        ),
        (
            "delete-network-acl: B/strict",
            &["no network ACL is called `B/strict`; did you mean `A/strict`?"],
        ),
        (
            "delete-security-group: office",
            &["no security group is called `office`; this is a prefix list"],
        ),
        (
            "create-security-group: {vpc: B, name: office}",
            &["the label `office` is taken by a prefix list; taken here"],
        ),
        (
            "create-network-acl: {vpc: B, name: default}",
            &["`default` is the network ACL that a VPC was born with; choose another label"],
        ),
    ] {
        check(&format!("{new}- {step}"), want);
    }
}
