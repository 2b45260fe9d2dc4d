//! Repairs and blockers, word for word.

use super::*;
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::filter::Traffic;
use crate::cloud::network_acl::AclAction;
use crate::cloud::quota::{Quota, Quotas};
use crate::cloud::route_table::RouteTarget;
use crate::forward::tests::{HUB, NOW, World};
use crate::wire::build;

fn asked(world: &World, intent: Intent<'_>) -> Result<Vec<Fix>, NoOffer> {
    let (rows, memory) = (Rows::of(&world.cloud), Memory::default());
    repair(Ground { cloud: &world.cloud, rows: &rows, memory: &memory, now: NOW }, intent)
}

#[test]
fn a_repair_is_the_smallest_that_works() {
    use Ways::{There, ThereAndBack};
    let bare = "vpc A 10.0.0.0/16; vpc B 10.1.0.0/16";
    let equal = "vpc A 10.0.0.0/16; vpc B 10.1.0.0/16; vpc C 10.1.0.0/16; peer AB; peer AC; \
        route A 10.1.0.0/16 AB; route B 10.0.0.0/16 AB; route C 10.0.0.0/16 AC";
    let add = |table, destination, towards| {
        format!(
            "AddRoute {{ table: {table}, destination: {destination}, towards: Vpc({towards}) }}"
        )
    };
    let replace = |table, destination, towards| {
        format!(
            "ReplaceRoute {{ table: {table}, destination: {destination}, towards: Vpc({towards}) }}"
        )
    };
    let (b_to_a, a_to_b) = (add("B", "10.0.0.0/16", "A"), add("A", "10.1.0.0/16", "B"));
    for (world, more, from, to, ways, want) in [
        // All is well.
        (HUB, "", "a", "b", ThereAndBack, Ok(vec![])),
        // The two have never heard of each other; the whole block is routed, not the host.
        (bare, "", "a", "b", There, Ok(vec!["Peer(A, B)".into(), a_to_b.clone()])),
        (
            bare,
            "",
            "a",
            "b",
            ThereAndBack,
            Ok(vec!["Peer(A, B)".into(), a_to_b.clone(), b_to_a.clone()]),
        ),
        // One piece is missing.
        (bare, "peer AB; route A 10.1.0.0/16 AB", "a", "b", There, Ok(vec![])),
        (bare, "peer AB; route A 10.1.0.0/16 AB", "a", "b", ThereAndBack, Ok(vec![b_to_a])),
        (bare, "peer AB; route B 10.0.0.0/16 AB", "a", "b", ThereAndBack, Ok(vec![a_to_b])),
        (
            bare,
            "ask AB; route A 10.1.0.0/16 AB; route B 10.0.0.0/16 AB",
            "a",
            "b",
            ThereAndBack,
            Ok(vec!["Accept(AB)".into()]),
        ),
        (HUB, "stop b", "a", "b", ThereAndBack, Ok(vec!["Start(b)".into()])),
        // Not through the hub: a peering of their own, and a route in place of the hopeful one.
        (
            HUB,
            "route B 10.2.0.0/16 AB",
            "b",
            "c",
            ThereAndBack,
            Ok(vec![
                "Peer(B, C)".into(),
                replace("B", "10.2.0.0/16", "C"),
                add("C", "10.1.0.0/16", "B"),
            ]),
        ),
        // A default route stays: others may need it.
        (
            HUB,
            "route B 0.0.0.0/0 AB",
            "b",
            "c",
            There,
            Ok(vec!["Peer(B, C)".into(), add("B", "10.2.0.0/16", "C")]),
        ),
        // A peering that has ended does not come back: its successor has another id.
        (
            HUB,
            "end AB",
            "b",
            "a",
            There,
            Ok(vec!["Peer(B, A)".into(), replace("B", "10.0.0.0/16", "A")]),
        ),
        // A dead router in the way of a host whose VPC is known.
        (
            HUB,
            "peer BC; route B 10.2.0.0/16 bx; terminate bx",
            "b",
            "c",
            There,
            Ok(vec![replace("B", "10.2.0.0/16", "C")]),
        ),
        // The same address twice: the one host is pulled out, the other's block stays.
        (equal, "", "a", "c", There, Ok(vec![add("A", "10.1.0.4/32", "C")])),
        // Nothing helps: overlapping blocks, and an address that nobody has.
        (equal, "", "b", "c", There, Err("Overlap(B, C)".to_owned())),
        (HUB, "", "a", "10.1.9.9", There, Err("NobodyHasIt".to_owned())),
    ] {
        let lines = if more.is_empty() { world.to_owned() } else { format!("{world}; {more}") };
        let world = World::of(&lines);
        let packet = world.packet(from, to);
        let meant = world.hosts.get(to).map(|host| host.0);
        let intent = Intent { from: world.hosts[from].0, packet: &packet, meant, ways };
        let offered = asked(&world, intent);
        let offered = offered
            .map(|fixes| fixes.iter().map(|fix| world.named(fix)).collect())
            .map_err(|cause| world.named(&cause));
        assert_eq!(offered, want, "{from} -> {to}, {lines}");
    }
}

#[test]
fn a_foreign_source_needs_the_check_off() {
    let world = World::of(HUB);
    let packet = world.packet("192.0.2.9", "b");
    let walk = world.walk("a", &packet);
    assert_eq!(world.named(&walk.end), "Dropped(SourceCheck, Interface(a))");
    let intent =
        Intent { from: world.hosts["a"].0, packet: &packet, meant: None, ways: Ways::There };
    let fixes = asked(&world, intent).unwrap();
    assert_eq!(world.named(&fixes), "[CheckOff(a)]");
    // Its answer goes to somebody else, whatever is mended.
    let intent = Intent { ways: Ways::ThereAndBack, ..intent };
    assert_eq!(asked(&world, intent), Err(NoOffer::ForeignSource));
}

/// Closes the group of a VPC for what comes in.
fn close(world: &mut World, vpc: &str) {
    let group = world.cloud.vpc(world.vpcs[vpc].0).unwrap().default_group();
    let rules = vec![GroupRule::everybody_v4()];
    world.ask(&Command::RevokeSecurityGroupIngress { group, rules });
}

/// Denies everything one way at the subnets of a VPC, under this number.
fn deny(world: &mut World, vpc: &str, direction: Direction, number: u16) {
    let acl = world.cloud.vpc(world.vpcs[vpc].0).unwrap().default_acl();
    let (number, block) = (RuleNumber::new(number).unwrap(), "0.0.0.0/0".parse().unwrap());
    let entry = AclEntry { traffic: Traffic::All, block, action: AclAction::Deny };
    world.ask(&Command::CreateNetworkAclEntry { acl, direction, number, entry });
}

#[test]
fn every_blocker_is_found_in_order() {
    let mut world = World::of("vpc A 10.0.0.0/16; vpc B 10.1.0.0/16; stop b");
    deny(&mut world, "A", Direction::Egress, 7);
    deny(&mut world, "B", Direction::Ingress, 1);
    close(&mut world, "B");
    deny(&mut world, "B", Direction::Egress, 90);
    deny(&mut world, "A", Direction::Ingress, 50);
    let packet = world.packet("a", "b");
    let (from, meant) = (world.hosts["a"].0, Some(world.hosts["b"].0));
    let intent = Intent { from, packet: &packet, meant, ways: Ways::ThereAndBack };
    let (rows, memory) = (Rows::of(&world.cloud), Memory::default());
    let ground = Ground { cloud: &world.cloud, rows: &rows, memory: &memory, now: NOW };
    let found = diagnose(ground, intent);
    let seen: Vec<String> = found
        .blockers
        .iter()
        .map(|blocker| {
            let Fault::Dropped(reason, at) = blocker.fault else { panic!("{blocker:?}") };
            let fixes: Vec<String> =
                blocker.mend.as_ref().unwrap().iter().map(|fix| told(&world, fix)).collect();
            format!("{:?} {reason} {}: {}", blocker.way, world.named(&at), fixes.join("; "))
        })
        .collect();
    assert_eq!(
        seen,
        [
            "There acl-egress Acl(A-acl): A-acl egress 6 tcp 80 10.1.0.4/32",
            "There no-route Table(A): Peer(A, B); \
             AddRoute { table: A, destination: 10.1.0.0/16, towards: Vpc(B) }",
            "There interface-down Interface(b): Start(b)",
            "There acl-ingress Acl(B-acl): instead B-acl ingress 1 tcp 80 10.0.0.4/32",
            "There group-ingress Interface(b): B-group ingress tcp 80 10.0.0.4/32",
            "Back acl-egress Acl(B-acl): B-acl egress 89 tcp 80 10.0.0.4/32",
            "Back no-route Table(B): \
             AddRoute { table: B, destination: 10.0.0.0/16, towards: Vpc(A) }",
            "Back acl-ingress Acl(A-acl): A-acl ingress 49 tcp 80 10.1.0.4/32",
        ]
    );
    assert_eq!(found.repair.map(|fixes| fixes.len()), Ok(9));
}

/// A change in short, with names.
fn told(world: &World, fix: &Fix) -> String {
    let entry = |acl, direction, number: RuleNumber, entry: AclEntry| {
        let acl = world.named(&acl);
        format!("{acl} {direction} {number} {} {}", entry.traffic, entry.block)
    };
    match *fix {
        Fix::AllowInAcl { acl, direction, number, entry: new } => {
            entry(acl, direction, number, new)
        }
        Fix::ReplaceInAcl { acl, direction, number, entry: new } => {
            format!("instead {}", entry(acl, direction, number, new))
        }
        Fix::AllowInGroup { group, direction, rule } => {
            format!("{} {direction} {} {}", world.named(&group), rule.traffic, rule.peer)
        }
        other => world.named(&other),
    }
}

/// An answer is for a port that its receiver chose: the entry names all that it might have chosen.
#[test]
fn an_entry_for_answers_is_for_ephemeral_ports() {
    let mut world = World::of(HUB);
    deny(&mut world, "A", Direction::Ingress, 50);
    let ends = [("a", 40_000), ("b", 443)].map(|(host, port)| (world.hosts[host].2, port).into());
    let packet = build::udp(ends[0], ends[1], b"?").unwrap();
    let from = world.hosts["a"].0;
    let intent = Intent { from, packet: &packet, meant: None, ways: Ways::ThereAndBack };
    let fixes = asked(&world, intent).unwrap();
    let fixes: Vec<String> = fixes.iter().map(|fix| told(&world, fix)).collect();
    assert_eq!(fixes, ["A-acl ingress 49 udp 1024-65535 10.1.0.4/32"]);
}

#[test]
fn ways_to_the_internet_lead_over_what_the_vpc_has() {
    let mut world = World::of("vpc A 10.0.0.0/16; vpc B 10.1.0.0/16; peer AB");
    let (vpc, table) = world.vpcs["A"];
    let [Change::GatewayCreated { id: id @ GatewayId::Internet(gateway), .. }] =
        world.ask(&Command::CreateInternetGateway)[..]
    else {
        panic!("no gateway")
    };
    let addresses = vec!["198.51.100.1".parse().unwrap()];
    world.ask(&Command::PlaceOutsideHost { beyond: id, addresses });
    let packet = world.packet("a", "198.51.100.1");
    let from = world.hosts["a"].0;
    let intent = Intent { from, packet: &packet, meant: None, ways: Ways::ThereAndBack };
    let other =
        Intent { from: world.hosts["b"].0, packet: &world.packet("b", "198.51.100.1"), ..intent };

    // A gateway that is attached to nothing is not this VPC's.
    assert_eq!(asked(&world, intent), Err(NoOffer::NoGateway(vpc)));
    world.ask(&Command::AttachInternetGateway { gateway, vpc });
    let destination = "0.0.0.0/0".parse().unwrap();
    let towards = Towards::Gateway(id);
    let private = "10.0.0.4".parse().unwrap();
    let public = Fix::GivePublicAddress { interface: from, private };
    let route = Fix::AddRoute { table, destination, towards };
    assert_eq!(asked(&world, intent), Ok(vec![route, public]));
    // Nor is it the peer's.
    assert_eq!(asked(&world, other), Err(NoOffer::NoGateway(world.vpcs["B"].0)));

    let target = RouteTarget::Gateway(id);
    world.ask(&Command::CreateRoute { table, destination, target });
    world.ask(&Command::DetachInternetGateway { gateway, vpc });
    assert_eq!(asked(&world, intent), Ok(vec![Fix::Attach(id, vpc), public]));
}

/// An entry or a rule that an account may not have is not offered, and the cause is told.
#[test]
fn what_the_cloud_refuses_is_not_offered() {
    let mut world = World::of(HUB);
    let mut quotas = Quotas::default();
    quotas.set(Quota::RulesPerSecurityGroup, 1);
    world.ask(&Command::OpenAccount { quotas });
    close(&mut world, "B");
    let packet = world.packet("a", "b");
    let (from, meant) = (world.hosts["a"].0, Some(world.hosts["b"].0));
    let intent = Intent { from, packet: &packet, meant, ways: Ways::There };
    let Err(NoOffer::Refused(refusal)) = asked(&world, intent) else { panic!("an offer") };
    assert_eq!(refusal.code(), "RulesPerSecurityGroupLimitExceeded");
}

/// What was mended before a blocker that nothing mends is still told, and nothing after it.
#[test]
fn what_lies_behind_the_last_blocker_is_not_known() {
    let mut world = World::of(HUB);
    deny(&mut world, "A", Direction::Egress, 7);
    let packet = world.packet("a", "10.1.9.9");
    let intent =
        Intent { from: world.hosts["a"].0, packet: &packet, meant: None, ways: Ways::ThereAndBack };
    let (rows, memory) = (Rows::of(&world.cloud), Memory::default());
    let ground = Ground { cloud: &world.cloud, rows: &rows, memory: &memory, now: NOW };
    let found = diagnose(ground, intent);
    let ends: Vec<_> =
        found.blockers.iter().map(|blocker| (blocker.mend.is_ok(), blocker.fault)).collect();
    assert_eq!(
        world.named(&ends),
        "[(true, Dropped(AclEgress, Acl(A-acl))), (false, Dropped(NoSuchHost, Vpc(B)))]"
    );
    assert_eq!(found.repair, Err(NoOffer::NobodyHasIt));
}
