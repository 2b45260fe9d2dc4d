//! Rows of questions: how the walks end, and what is said of a question that cannot be asked.

use super::*;
use crate::scenario::load::parse;
use crate::scenario::rows::NETWORK;
use crate::scenario::run::build;
use crate::sim::Twin;

/// The endings of the walks and whether both passed, or why there is no answer.
fn traced(from: &str, to: &str, carrying: Carrying) -> Result<(Vec<String>, Passed), String> {
    let loaded = parse("x.yaml", NETWORK).expect("it is well-formed");
    let mut built = build(&loaded, None, Twin::Compiled).expect("the cloud takes it");
    let from = from.parse().expect("a label");
    let to = to.parse().expect("a destination");
    let question = Question { from, to, family: None, carrying, payload: None };
    let traced = trace(&mut built, &question).map_err(|error| error.to_string())?;
    let endings = traced.walks.iter().map(|walk| walk.told.ending.to_string()).collect();
    Ok((endings, traced.passed))
}

#[test]
fn packets_are_walked_there_and_back() {
    for carrying in [Carrying::Echo, Carrying::Udp(53), Carrying::Tcp(443)] {
        for (from, to, endings, passed) in [
            ("a", "b", &["delivered to b", "delivered to a"][..], Passed::Both),
            ("a", "c", &["DROP transit at AB"], Passed::No),
            ("c", "a", &["DROP transit at BC"], Passed::No),
            ("b", "c", &["delivered to c", "DROP no-route at C"], Passed::No),
            ("a", "10.1.0.99", &["DROP no-such-host at B"], Passed::No),
            ("a", "B:10.1.0.10", &["delivered to b", "delivered to a"], Passed::Both),
        ] {
            let endings = endings.iter().map(|s| (*s).to_owned()).collect();
            assert_eq!(traced(from, to, carrying), Ok((endings, passed)), "{from} -> {to}");
        }
    }
}

#[test]
fn questions_that_cannot_be_asked() {
    for (from, to, want) in [
        ("x", "b", "there is no instance `x` in the file"),
        ("a", "b3", "there is no instance `b3` in the file"),
        ("a", "ZZ:10.0.0.1", "there is no VPC `ZZ` in the file"),
        ("a", "2001:db8::1", "`a` has no IPv6 address"),
    ] {
        assert_eq!(traced(from, to, Carrying::Echo), Err(want.to_owned()), "{from} -> {to}");
    }
}

/// The walks through another network, and whether both passed.
fn traced_in(network: &str, from: &str, to: &str, carrying: Carrying) -> Traced {
    let loaded = parse("x.yaml", network).expect("it is well-formed");
    let mut built = build(&loaded, None, Twin::Compiled).expect("the cloud takes it");
    let (from, to) = (from.parse().expect("a label"), to.parse().expect("a destination"));
    trace(&mut built, &Question { from, to, family: None, carrying, payload: None })
        .expect("an answer")
}

/// A private subnet `p` behind a NAT instance, and a host `corp` on premises.
const BEHIND_NAT: &str = "\
vpclab: 1
name: behind NAT
vpcs:
  A:
    cidr: 10.0.0.0/16
    route_tables: [public]
    subnets: {public: {cidr: 10.0.0.0/24, route_table: public}, p: {cidr: 10.0.1.0/24}}
gateways:
  igw: {type: internet, vpc: A}
  vgw: {type: vpn, vpc: A, on_premises: [192.168.0.0/16]}
outside:
  web: {ip: 198.18.0.10, beyond: igw}
  corp: {ip: 192.168.0.1, beyond: vgw}
";

/// An answer that a NAT instance makes its own is nobody's answer: what brings it so to the sender is
/// no repair, what leads it past the NAT instance is.
#[test]
fn an_answer_from_another_address_is_none() {
    let with = |table: &str, public: &str, check: &str| {
        format!(
            "{BEHIND_NAT}routes: {{A: {{0.0.0.0/0: nat{table}}}, A/public: {{0.0.0.0/0: igw{public}}}}}\n\
             instances:\n  nat: {{subnet: A/public, public_ip: auto, role: nat{check}}}\n  p: {{subnet: A/p}}\n"
        )
    };
    let (route, off) = (", 192.168.0.1/32: vgw", ", source_dest_check: false");
    let change = ["add 192.168.0.1/32 -> vgw to table A"];
    let others = ["dest-check at nat", "no-such-host at igw", "other-source at nat"];
    for carrying in [Carrying::Echo, Carrying::Udp(53), Carrying::Tcp(80)] {
        for (network, passed, blockers, changes) in [
            (with("", "", ""), Passed::No, &others[..], &change[..]),
            (with("", route, off), Passed::No, &others[2..], &change),
            (with(route, "", ""), Passed::Both, &[], &[]),
        ] {
            let traced = traced_in(&network, "corp", "p", carrying);
            let remedy = &traced.walks[1].told.remedy;
            let met = remedy.blockers.iter().map(|b| format!("{} at {}", b.reason, b.at));
            assert_eq!(met.collect::<Vec<_>>(), blockers, "{carrying:?}, {network}");
            assert_eq!(remedy.changes, changes, "{carrying:?}, {network}");
            assert_eq!(traced.passed, passed, "{carrying:?}, {network}");
        }
    }
    let traced = traced_in(&with("", route, off), "corp", "p", Carrying::Tcp(80));
    let line = traced.walks[1].told.lines.last().map(|line| (&*line.subject, &*line.finding));
    let finding = "is not who was asked, 10.0.1.4:80: the answer is not taken for one";
    assert_eq!(line, Some(("10.0.0.4:1024", finding)));
}

/// A route through a NAT instance that works is one change, and leaves a private subnet private.
#[test]
fn a_private_subnet_is_led_through_the_nat_instance_that_works() {
    let with = |nat: &str| {
        format!(
            "{BEHIND_NAT}routes: {{A/public: {{0.0.0.0/0: igw}}}}\n\
             instances:\n  nat: {{subnet: A/public, {nat}}}\n  p: {{subnet: A/p}}\n"
        )
    };
    let through = ["add 0.0.0.0/0 -> nat to table A"];
    let around = ["add 0.0.0.0/0 -> igw to table A", "give p a public address for 10.0.1.4"];
    for (nat, changes) in [
        ("public_ip: auto, source_dest_check: false, role: nat", &through[..]),
        ("public_ip: auto, role: nat", &around),
        ("public_ip: auto, source_dest_check: false", &around),
        ("source_dest_check: false, role: nat", &around),
    ] {
        let traced = traced_in(&with(nat), "p", "web", Carrying::Echo);
        assert_eq!(traced.walks[0].told.remedy.changes, changes, "{nat}");
    }
}

#[test]
fn what_no_route_can_lead_to_is_said_to_be_so() {
    for to in ["169.254.169.254", "169.254.169.253"] {
        let traced = traced_in(NETWORK, "a", to, Carrying::Echo);
        let why = traced.walks[0].told.remedy.no_offer.as_deref();
        let want = format!(
            "{to} is in a range of the cloud's own services, which are not emulated and which no \
             route covers"
        );
        assert_eq!(why, Some(want.as_str()));
    }
}

/// What nobody listens on answers with a reset, which is told.
#[test]
fn a_port_that_nobody_serves_resets() {
    let network =
        NETWORK.replace("b: {vpc: B, ip: 10.1.0.10}", "b: {vpc: B, ip: 10.1.0.10, listen: 80}");
    for (port, answer, first) in [
        (80, "tcp syn+ack", None),
        (443, "tcp rst+ack", Some("does not listen on port 443 and answers with a reset")),
    ] {
        let traced = traced_in(&network, "a", "b", Carrying::Tcp(port));
        let told = &traced.walks[1].told;
        assert!(told.packet.contains(answer), "{told}");
        let said = told.lines.iter().find(|line| line.subject == "b").map(|line| &*line.finding);
        assert_eq!((said, traced.passed), (first, Passed::Both), "{told}");
    }
}

/// A loop is told once, with how often it goes round.
#[test]
fn the_rounds_of_a_loop_are_counted() {
    let network = "\
vpclab: 1
name: loop
vpcs:
  A:
    cidr: 10.0.0.0/16
    route_tables: [r1, r2]
    subnets: {x: {cidr: 10.0.2.0/24, route_table: r1}, y: {cidr: 10.0.3.0/24, route_table: r2}}
routes: {A/r1: {0.0.0.0/0: ry}, A/r2: {0.0.0.0/0: rx}}
instances:
  rx: {subnet: A/x, source_dest_check: false, role: router}
  ry: {subnet: A/y, source_dest_check: false, role: router}
";
    let traced = traced_in(network, "rx", "198.18.0.10", Carrying::Echo);
    let told = &traced.walks[0].told;
    let rounds = told.lines.iter().find(|line| line.subject == "...").map(|line| &*line.finding);
    assert_eq!(rounds, Some("30 more rounds like this one"), "{told}");
    assert!(told.lines.len() < 40, "{told}");
}

#[test]
fn longer_packets_meet_the_mtu() {
    let loaded = parse("x.yaml", NETWORK).expect("it is well-formed");
    let mut built = build(&loaded, None, Twin::Compiled).expect("the cloud takes it");
    for (carrying, payload, passed) in [
        (Carrying::Echo, 1_472, Passed::Both),
        (Carrying::Echo, 1_473, Passed::No),
        (Carrying::Udp(53), 1_472, Passed::Both),
        (Carrying::Udp(53), 1_473, Passed::No),
    ] {
        let (from, to) = ("a".parse().expect("a label"), "b".parse().expect("a destination"));
        let question = Question { from, to, family: None, carrying, payload: Some(payload) };
        let traced = trace(&mut built, &question).expect("an answer");
        assert_eq!(traced.passed, passed, "{carrying:?} {payload}");
    }
}
