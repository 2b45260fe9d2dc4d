//! Rows: security groups, their rules and whom a rule may name (vpc-semantics 1.4, 2.5, 3.7, 6.7).

use super::super::filter::{Direction, PortRange, Traffic};
use super::super::security_group::{GroupRule, RulePeer};
use super::*;

fn tcp(port: u16, peer: RulePeer) -> GroupRule {
    GroupRule { traffic: Traffic::Tcp(PortRange::one(port)), peer }
}

fn from(block: &str) -> RulePeer {
    RulePeer::Block(net(block))
}

fn allow_in(group: SecurityGroupId, rules: impl Into<Vec<GroupRule>>) -> Command {
    Command::AuthorizeSecurityGroupIngress { group, rules: rules.into() }
}

fn forbid_in(group: SecurityGroupId, rules: impl Into<Vec<GroupRule>>) -> Command {
    Command::RevokeSecurityGroupIngress { group, rules: rules.into() }
}

fn create(vpc: VpcId, name: &str) -> Command {
    Command::CreateSecurityGroup { vpc, name: name.to_owned() }
}

/// The lab with a group `web` in each of a, bare and b.
fn with_groups(profile: Profile) -> (Lab, [SecurityGroupId; 3]) {
    let lab = Lab::new(profile);
    let lab = lab.clone().with([
        (one(), create(lab.a, "web")),
        (one(), create(lab.bare, "web")),
        (two(), create(lab.b, "web")),
    ]);
    let web = |vpc| {
        let of_vpc = lab.cloud.vpc(vpc).unwrap().groups();
        *of_vpc.last().unwrap()
    };
    let groups = [web(lab.a), web(lab.bare), web(lab.b)];
    (lab, groups)
}

#[test]
fn a_new_group_lets_nothing_in_and_everything_out() {
    let (lab, [web, ..]) = with_groups(Profile::Seed);
    let group = lab.cloud.group(web).unwrap();
    assert_eq!((group.vpc, group.name.as_str()), (lab.a, "web"));
    assert_eq!(group.rules(Direction::Ingress), []);
    assert_eq!(group.rules(Direction::Egress), GroupRule::everybody());
}

#[test]
fn names_of_groups() {
    let (lab, _) = with_groups(Profile::Seed);
    let longest = "x".repeat(255);
    check(
        &lab,
        [
            (one(), create(lab.a, "db"), OK),
            (one(), create(lab.a, &longest), OK),
            (one(), create(lab.a, "web"), "InvalidGroup.Duplicate"),
            (one(), create(lab.a, "default"), "InvalidGroup.Reserved"),
            (one(), create(lab.a, ""), "InvalidParameterValue"),
            (one(), create(lab.a, "sg-1"), "InvalidParameterValue"),
            (one(), create(lab.a, "wéb"), "InvalidParameterValue"),
            (one(), create(lab.a, &format!("{longest}x")), "InvalidParameterValue"),
            (two(), create(lab.a, "db"), "InvalidVpcID.NotFound"),
        ],
    );
    // Two groups count: that of a and that of bare. Those the VPCs were born with do not.
    let full = lab.clone().quota(&one(), Quota::SecurityGroupsPerRegion, 2);
    check(
        &full,
        [
            (one(), create(lab.a, "db"), "SecurityGroupLimitExceeded"),
            (two(), create(lab.b, "db"), OK),
        ],
    );
    check(
        &lab.clone().quota(&one(), Quota::SecurityGroupsPerRegion, 3),
        [(one(), create(lab.a, "db"), OK)],
    );
}

#[test]
fn groups_are_deleted_when_nothing_uses_them() {
    let (lab, [web, bare, theirs]) = with_groups(Profile::Today);
    let default = lab.cloud.vpc(lab.a).unwrap().default_group();
    let delete = |group| Command::DeleteSecurityGroup { group };
    check(
        &lab,
        [
            (one(), delete(web), OK),
            (one(), delete(default), "CannotDelete"),
            (two(), delete(web), "InvalidGroup.NotFound"),
            (one_abroad(), delete(web), "InvalidGroup.NotFound"),
            (one(), delete(SecurityGroupId::new(nothing())), "InvalidGroup.NotFound"),
        ],
    );
    let worn = Command::ModifyNetworkInterfaceGroups { interface: lab.i.1, groups: vec![web] };
    check(&lab.clone().with([(one(), worn)]), [(one(), delete(web), "DependencyViolation")]);
    let names_web = tcp(22, RulePeer::Group(web));
    let named = allow_in(default, [names_web]);
    check(&lab.clone().with([(one(), named)]), [(one(), delete(web), "DependencyViolation")]);
    // Its own rule is not in its way, and neither is that of a peer's group.
    let by_itself = allow_in(web, [names_web]);
    check(&lab.clone().with([(one(), by_itself)]), [(one(), delete(web), OK)]);
    let by_a_peer = allow_in(theirs, [names_web]);
    check(&lab.clone().with([(two(), by_a_peer)]), [(one(), delete(web), OK)]);
    check(&lab, [(one(), delete(bare), OK)]);
}

#[test]
fn a_vpc_with_a_group_of_its_own_stays() {
    let (lab, [_, bare, _]) = with_groups(Profile::Seed);
    let delete = Command::DeleteVpc { vpc: lab.bare };
    check(&lab, [(one(), delete.clone(), "DependencyViolation")]);
    let emptied = lab.with([(one(), Command::DeleteSecurityGroup { group: bare })]);
    check(&emptied, [(one(), delete.clone(), OK)]);
    let gone = emptied.clone().with([(one(), delete)]);
    assert_eq!(gone.cloud.groups().filter(|(_, group)| group.vpc == gone.bare).count(), 0);
}

#[test]
fn rules_are_added_and_taken_away_whole() {
    let (lab, [web, ..]) = with_groups(Profile::Seed);
    let (https, ssh) = (tcp(443, from("0.0.0.0/0")), tcp(22, from("10.0.0.0/8")));
    let lab = lab.with([(one(), allow_in(web, [https]))]);
    check(
        &lab,
        [
            (one(), allow_in(web, [ssh]), OK),
            (one(), allow_in(web, [https]), "InvalidPermission.Duplicate"),
            (one(), allow_in(web, [ssh, https]), "InvalidPermission.Duplicate"),
            (one(), allow_in(web, [ssh, ssh]), "InvalidPermission.Duplicate"),
            // Host bits are cleared, so these two are one rule.
            (
                one(),
                allow_in(web, [ssh, tcp(22, from("10.9.9.9/8"))]),
                "InvalidPermission.Duplicate",
            ),
            (one(), forbid_in(web, [https]), OK),
            (one(), forbid_in(web, [ssh]), "InvalidPermission.NotFound"),
            (one(), forbid_in(web, [https, https]), "InvalidPermission.NotFound"),
            (two(), allow_in(web, [ssh]), "InvalidGroup.NotFound"),
            (two(), forbid_in(web, [https]), "InvalidGroup.NotFound"),
            (
                one(),
                Command::AuthorizeSecurityGroupEgress { group: web, rules: vec![https] },
                OK, // the other direction is another list
            ),
            (
                one(),
                Command::AuthorizeSecurityGroupEgress {
                    group: web,
                    rules: GroupRule::everybody()[..1].to_vec(),
                },
                "InvalidPermission.Duplicate",
            ),
            (
                one(),
                Command::RevokeSecurityGroupEgress {
                    group: web,
                    rules: GroupRule::everybody().into(),
                },
                OK,
            ),
        ],
    );
}

#[test]
fn rules_are_counted_by_direction_and_family() {
    let (lab, [web, bare, _]) = with_groups(Profile::Today);
    let list = Command::CreateManagedPrefixList {
        entries: vec![net("192.0.2.0/24"), net("198.51.100.0/24"), net("2001:db8::/32")],
    };
    let lab = lab
        .quota(&one(), Quota::RulesPerSecurityGroup, 2)
        .with([(one(), allow_in(web, [tcp(1, from("10.0.0.0/8"))])), (one(), list)]);
    let (&list, _) = lab.cloud.prefix_lists.iter().next().unwrap();
    let of_list = RulePeer::PrefixList(list);
    let many = "RulesPerSecurityGroupLimitExceeded";
    let grow = |add: &str| Command::ModifyManagedPrefixList {
        list,
        add: vec![net(add)],
        remove: Vec::new(),
    };
    check(
        &lab,
        [
            (one(), allow_in(web, [tcp(2, from("10.0.0.0/8"))]), OK),
            (one(), allow_in(web, [tcp(2, from("10.0.0.0/8")), tcp(3, from("10.0.0.0/8"))]), many),
            (one(), allow_in(web, [tcp(2, from("::/0")), tcp(3, from("::/0"))]), OK),
            (one(), allow_in(web, [tcp(2, RulePeer::Group(web))]), OK), // one of each family
            (one(), allow_in(web, [tcp(2, of_list)]), many),            // two and one
            (one(), allow_in(bare, [tcp(2, of_list)]), OK),
            (
                one(),
                Command::AuthorizeSecurityGroupEgress {
                    group: web,
                    rules: vec![tcp(1, from("10.0.0.0/8"))],
                },
                OK,
            ),
            (one(), grow("203.0.113.0/24"), OK), // nobody names it
        ],
    );
    check(
        &lab.with([(one(), allow_in(bare, [tcp(2, of_list)]))]),
        [(one(), grow("203.0.113.0/24"), many), (one(), grow("2001:db9::/32"), OK)],
    );
}

#[test]
fn whom_a_rule_may_name() {
    let not_found = "InvalidGroup.NotFound";
    let nobody = SecurityGroupId::new(nothing());
    for (profile, peer) in [(Profile::Seed, not_found), (Profile::Today, OK)] {
        let (lab, [web, bare, theirs]) = with_groups(profile);
        let default = lab.cloud.vpc(lab.a).unwrap().default_group();
        let name = |group| allow_in(web, [tcp(22, RulePeer::Group(group))]);
        check(
            &lab,
            [
                (one(), name(web), OK),
                (one(), name(default), OK),
                (one(), name(theirs), peer),
                (one(), name(bare), not_found), // the caller's own, but no peering leads there
                (one(), name(nobody), not_found),
                (two(), allow_in(theirs, [tcp(22, RulePeer::Group(web))]), peer),
                (two(), allow_in(theirs, [tcp(22, RulePeer::Group(bare))]), not_found),
            ],
        );
    }
}

#[test]
fn a_request_is_not_enough_to_name_a_group() {
    let (lab, [_, bare, theirs]) = with_groups(Profile::Today);
    let name = allow_in(bare, [tcp(22, RulePeer::Group(theirs))]);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let peering = build.request(&one(), lab.bare, lab.b, &two());
    let asked = Lab { cloud: build.cloud, events: build.events, ..lab };
    check(&asked, [(one(), name.clone(), "InvalidGroup.NotFound")]);
    let accepted = asked.with([(two(), Command::AcceptVpcPeeringConnection { peering })]);
    check(&accepted, [(one(), name, OK)]);
}

#[test]
fn no_group_is_named_across_regions() {
    let mut build = Build { cloud: Cloud::new(Profile::Today, Span::ZERO), events: Vec::new() };
    let (near, ..) = build.vpc(&one(), "10.1.0.0/16");
    let (far, ..) = build.vpc(&one_abroad(), "10.2.0.0/16");
    let [Change::PeeringRequested { peering, .. }] = build.act(
        &one(),
        Command::CreateVpcPeeringConnection {
            requester: near,
            accepter: far,
            peer_owner: None,
            peer_region: Some(one_abroad().region),
        },
    )[..] else {
        panic!("a peering was asked for")
    };
    build.act(&one_abroad(), Command::AcceptVpcPeeringConnection { peering });
    let default = |vpc| build.cloud.vpc(vpc).unwrap().default_group();
    let (ours, theirs) = (default(near), default(far));
    assert!(!build.cloud.group_usable(near, theirs, NOW));
    let rule = allow_in(ours, [tcp(22, RulePeer::Group(theirs))]);
    let refusal = build.cloud.apply(&one(), &rule, NOW).unwrap_err();
    assert_eq!(refusal.code(), "InvalidGroup.NotFound");
}

#[test]
fn ipv6_is_for_today() {
    let v6 = tcp(443, from("::/0"));
    let ping = GroupRule {
        traffic: Traffic::Icmpv6(super::super::filter::IcmpMatch::Any),
        peer: from("10.0.0.0/8"),
    };
    for (profile, word) in [(Profile::Seed, "UnknownParameter"), (Profile::Today, OK)] {
        let (lab, [web, ..]) = with_groups(profile);
        check(&lab, [(one(), allow_in(web, [v6]), word), (one(), allow_in(web, [ping]), word)]);
    }
}

/// vpc-semantics 2.5 and 3.7: a rule outlives what it names, and lives again with a new peering.
#[test]
fn rules_go_stale_and_come_back() {
    let (lab, [web, _, theirs]) = with_groups(Profile::Today);
    let rule = tcp(22, RulePeer::Group(theirs));
    let lab = lab.with([(one(), allow_in(web, [rule]))]);
    let stale = [(web, Direction::Ingress, rule)];
    let stale_rules = |lab: &Lab| lab.cloud.stale_rules(lab.a, NOW);
    assert_eq!(stale_rules(&lab), []);

    let group_gone = lab.clone().with([(two(), Command::DeleteSecurityGroup { group: theirs })]);
    assert_eq!(stale_rules(&group_gone), stale);

    let ended =
        lab.clone().with([(one(), Command::DeleteVpcPeeringConnection { peering: lab.ab })]);
    assert_eq!(stale_rules(&ended), stale);
    assert!(!ended.cloud.group_usable(lab.a, theirs, NOW));
    let mut build = Build { cloud: ended.cloud, events: ended.events };
    let again = build.request(&two(), lab.b, lab.a, &one());
    assert_eq!(build.cloud.stale_rules(lab.a, NOW), stale, "asking is not enough");
    build.act(&one(), Command::AcceptVpcPeeringConnection { peering: again });
    assert_eq!(build.cloud.stale_rules(lab.a, NOW), []);
    assert!(build.cloud.group_usable(lab.a, theirs, NOW));
}

#[test]
fn an_interface_has_groups_of_its_vpc() {
    let (lab, [web, bare, theirs]) = with_groups(Profile::Today);
    let default = lab.cloud.vpc(lab.a).unwrap().default_group();
    let set = |groups: &[SecurityGroupId]| Command::ModifyNetworkInterfaceGroups {
        interface: lab.i.1,
        groups: groups.to_vec(),
    };
    let start = |groups: &[SecurityGroupId]| {
        Command::run_instance(NewInterface {
            groups: groups.to_vec(),
            ..NewInterface::in_subnet(lab.a1)
        })
    };
    assert_eq!(lab.cloud.interface(lab.i.1).unwrap().groups, [default]);
    check(
        &lab,
        [
            (one(), set(&[web]), OK),
            (one(), set(&[web, default, web]), OK),
            (one(), set(&[]), "MissingParameter"),
            (one(), set(&[bare]), "InvalidGroup.NotFound"),
            (one(), set(&[theirs]), "InvalidGroup.NotFound"),
            (two(), set(&[theirs]), "InvalidNetworkInterfaceID.NotFound"),
            (one(), start(&[web]), OK),
            (one(), start(&[bare]), "InvalidGroup.NotFound"),
            (one(), start(&[theirs]), "InvalidGroup.NotFound"),
        ],
    );
    let both = lab.clone().with([(one(), set(&[web, default, web]))]);
    let mut want = vec![web, default];
    want.sort_unstable();
    assert_eq!(both.cloud.interface(lab.i.1).unwrap().groups, want);
    check(
        &lab.clone().quota(&one(), Quota::SecurityGroupsPerInterface, 1),
        [
            (one(), set(&[web, web]), OK),
            (one(), set(&[web, default]), "SecurityGroupsPerInterfaceLimitExceeded"),
            (one(), start(&[web, default]), "SecurityGroupsPerInterfaceLimitExceeded"),
        ],
    );
}

#[test]
fn rules_of_an_interface_have_a_ceiling() {
    let lab = Lab::new(Profile::Seed);
    let open = |groups, rules| {
        let mut quotas = Quotas::default();
        quotas.set(Quota::SecurityGroupsPerInterface, groups);
        quotas.set(Quota::RulesPerSecurityGroup, rules);
        Command::OpenAccount { quotas }
    };
    check(
        &lab,
        [
            (one(), open(5, 200), OK),
            (one(), open(1, 1_000), OK),
            (one(), open(16, 62), OK),
            (one(), open(5, 201), "InvalidParameterValue"),
            (one(), open(17, 1), "InvalidParameterValue"),
            (one(), open(16, 63), "InvalidParameterValue"),
        ],
    );
}

#[test]
fn prefix_lists_are_their_owners() {
    let create = |entries: &[&str]| Command::CreateManagedPrefixList {
        entries: entries.iter().map(|entry| net(entry)).collect(),
    };
    let (lab, [web, _, theirs]) = with_groups(Profile::Today);
    let lab = lab.with([(one(), create(&["192.0.2.0/24", "192.0.2.77/24", "10.0.0.0/8"]))]);
    let (&list, held) = lab.cloud.prefix_lists.iter().next().unwrap();
    assert_eq!(held.entries, [net::<IpNet>("10.0.0.0/8"), net("192.0.2.0/24")]);
    let modify = |add: &[&str], remove: &[&str]| Command::ModifyManagedPrefixList {
        list,
        add: add.iter().map(|entry| net(entry)).collect(),
        remove: remove.iter().map(|entry| net(entry)).collect(),
    };
    let delete = Command::DeleteManagedPrefixList { list };
    let named = tcp(22, RulePeer::PrefixList(list));
    check(
        &lab,
        [
            (one(), modify(&["2001:db8::/32"], &["10.0.0.0/8"]), OK),
            (one(), modify(&["10.0.0.0/8"], &[]), OK), // there already
            (one(), modify(&[], &["10.1.0.0/16"]), "InvalidParameterValue"),
            (two(), modify(&[], &[]), "InvalidPrefixListID.NotFound"),
            (one_abroad(), modify(&[], &[]), "InvalidPrefixListID.NotFound"),
            (two(), delete.clone(), "InvalidPrefixListID.NotFound"),
            (one(), delete.clone(), OK),
            (one(), allow_in(web, [named]), OK),
            (two(), allow_in(theirs, [named]), "InvalidPrefixListID.NotFound"),
        ],
    );
    check(
        &lab.clone().with([(one(), allow_in(web, [named]))]),
        [(one(), delete, "DependencyViolation")],
    );
    check(
        &lab.quota(&one(), Quota::EntriesPerPrefixList, 2),
        [
            (one(), create(&["10.0.0.0/8", "11.0.0.0/8"]), OK),
            (
                one(),
                create(&["10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"]),
                "PrefixListMaxEntriesExceeded",
            ),
            (one(), modify(&["11.0.0.0/8"], &[]), "PrefixListMaxEntriesExceeded"),
            (one(), modify(&["11.0.0.0/8"], &["10.0.0.0/8"]), OK),
        ],
    );
    check(
        &Lab::new(Profile::Seed),
        [
            (one(), create(&["10.0.0.0/8"]), OK),
            (one(), create(&["2001:db8::/32"]), "UnknownParameter"),
        ],
    );
}
