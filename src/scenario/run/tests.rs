//! The timeline: when steps begin and end, what chance does, and what cuts a run short.

use super::*;
use crate::report::outcome::Verdict::{Failed, Held, Unjudged};
use crate::report::told::Ending;
use crate::scenario::rows::{NETWORK, outcome, steps};

/// The beginnings of steps in nanoseconds.
fn begins(outcome: &Outcome) -> Vec<u64> {
    outcome.steps.iter().map(|step| step.at.as_nanos()).collect()
}

#[test]
fn a_command_takes_a_tick_and_a_wait_its_time() {
    let outcome = steps(
        "\
- describe-peering: AB
- create-vpc: {name: D, cidr: 10.3.0.0/16}
- create-vpc: {name: E, cidr: 10.0.0.0/8}
- wait: 1us
- describe-route: {table: A, destination: 10.1.0.0/16}
  at: 2us
- wait: 1ns
",
    );
    assert_eq!(begins(&outcome), [0, 1, 2, 3, 2_000, 2_001]);
}

#[test]
fn a_probe_ends_when_its_fate_is_known() {
    // 250us there and 250us back.
    let outcome = steps("- ping: a -> b\n- ping: a -> c\n- wait: 1s\n");
    assert_eq!(begins(&outcome), [0, 500_000, 500_000]);
}

#[test]
fn a_step_that_comes_too_late_is_an_error_of_the_file() {
    let text = format!("{NETWORK}steps:\n- ping: a -> b\n- wait: 1s\n  at: 100us\n");
    let report = outcome(&text, Settings::default()).unwrap_err();
    let want = "\
error[E0504]: this step cannot begin at 00:00:00.000100: that is past, the step before ended at 00:00:00.000500
  --> x.yaml:22:7
   |
22 |   at: 100us
   |       ^^^^^
";
    assert!(report.starts_with(want), "{report}");
}

/// Flows in the background go on through later steps, whatever those do to time.
#[test]
fn background_flows_are_judged_when_their_last_packet_is() {
    let outcome = steps(
        "\
- flows: {pairs: [a -> b, b -> a], packets: 1000, rate: 1000/s, background: true}
  expect: {delivered: 2000}
- ping: a -> b
  at: 100ms
  expect: replied
- describe-peering: AB
  at: 200ms
",
    );
    assert_eq!(begins(&outcome), [0, 100_000_000, 200_000_000]);
    assert_eq!(outcome.steps[0].actual, "delivered to a, b");
    assert!(outcome.held());
    // The last packet leaves after 999 ms and takes 250 us.
    assert_eq!(outcome.ended.as_nanos(), 999_250_000);
    assert_eq!(outcome.packets, 2_002);
}

/// At one instant the command comes before the packets.
#[test]
fn what_happens_at_the_instant_of_a_command_happens_after_it() {
    let outcome = steps(
        "\
- flows: {pairs: [a -> b], packets: 2, rate: 1/s, background: true}
  expect: {delivered: 1, dropped: {blackhole: 1}}
- delete-peering: AB
  at: 1s
",
    );
    assert_eq!(outcome.steps[0].verdict, Held, "{}", outcome.steps[0].actual);
}

#[test]
fn the_seed_decides_what_chance_does() {
    let text = "\
vpclab: 1
name: a lossy link
vpcs: {A: {cidr: 10.0.0.0/16, link: {loss: 50%}}}
instances: {a: {vpc: A}, b: {vpc: A}}
steps:
- flows: {pairs: [a -> b], packets: 1000}
";
    let dropped = |seed| {
        let settings = Settings { seed, ..Settings::default() };
        let outcome = outcome(text, settings).expect("it can be run");
        (outcome.seed, outcome.steps[0].actual.clone())
    };
    let of_file = dropped(None);
    assert_eq!(of_file, dropped(Some(Seed(0))));
    let others: Vec<_> = (1..5).map(|n| dropped(Some(Seed(n)))).collect();
    assert_ne!(others[0].1, of_file.1);
    assert_eq!(others[0].0, 1);
    let in_file = outcome(&text.replace("name:", "seed: 3\nname:"), Settings::default());
    assert_eq!(in_file.expect("it can be run").steps[0].actual, others[2].1);
}

/// Both twins, and the same again.
#[test]
fn every_way_of_running_has_the_same_outcome() {
    let text = format!(
        "{NETWORK}steps:\n- ping: {{from: a, to: [b, c, b2], count: 3}}\n- delete-peering: AB\n\
         - udp: {{from: b, to: a, count: 5}}\n"
    );
    let first = outcome(&text, Settings::default());
    for twin in [Twin::Compiled, Twin::Reference] {
        assert_eq!(outcome(&text, Settings { twin, ..Settings::default() }), first);
    }
}

#[test]
fn a_run_that_is_cut_short_says_so() {
    let outcome = steps(
        "\
- flows: {pairs: [a -> b], packets: 10, rate: 1/s, background: true}
  expect: {delivered: 10}
- wait: 36500d
- wait: 1ns
- ping: a -> b
  expect: replied
",
    );
    assert_eq!(outcome.aborted.as_deref(), Some("the run is longer than 36500d of virtual time"));
    assert!(!outcome.held());
    let got: Vec<_> =
        outcome.steps.iter().map(|step| (step.actual.as_str(), step.verdict)).collect();
    assert_eq!(got, [("not finished", Failed), ("done", Unjudged), ("not finished", Unjudged)]);
}

/// A capture can tell the echo requests of two steps apart.
#[test]
fn pings_have_identifiers_and_sequence_numbers_of_their_own() {
    #[derive(Default)]
    struct Echoes(Vec<(u16, u16)>);
    impl Observer for Echoes {
        fn see(
            &mut self,
            _: crate::sim::World<'_>,
            subject: crate::sim::Subject,
            what: crate::sim::Happening<'_>,
        ) {
            if let crate::sim::Happening::Left { packet, .. } = what
                && subject.leg == Leg::Request
                && let Some(echo) = packet.icmp_echo()
            {
                self.0.push((echo.ident, echo.seq));
            }
        }
    }
    let text = format!("{NETWORK}steps:\n- ping: {{from: a, to: b, count: 3}}\n- ping: b -> a\n");
    let loaded = crate::scenario::load::parse("x.yaml", &text).expect("it is well-formed");
    let mut echoes = Echoes::default();
    run(&loaded, "".as_ref(), Settings::default(), &mut echoes).expect("it can be run");
    assert_eq!(echoes.0, [(1, 1), (1, 2), (1, 3), (2, 1)]);
}

#[test]
fn planned_packets_are_those_the_file_names() {
    let text = format!(
        "{NETWORK}steps:\n- ping: {{from: a, to: [b, c], count: 3}}\n- udp: {{from: a, to: b, count: 5}}\n\
         - flows: {{pairs: [a -> b, b -> a], packets: 7}}\n- send: {{from: a, hex: 45}}\n"
    );
    let loaded = crate::scenario::load::parse("x.yaml", &text).expect("it is well-formed");
    assert_eq!(planned_packets(&loaded.file), 6 + 5 + 14);
}

/// A walk is that of its own packet: its route and its time, also where a probe has several
/// destinations and one of them is lost much later.
#[test]
fn walks_are_those_of_their_own_packets() {
    let outcome = steps(
        "\
- flows: {pairs: [b -> a, b -> c], packets: 10, rate: 10/s, background: true}
- delete-peering: AB
  at: 500.1ms
",
    );
    let shown: Vec<String> =
        outcome.steps[0].walks.iter().map(|walk| walk.told.to_string()).collect();
    let (to_a, to_c) = ("10.0.0.0/16 -> AB", "10.2.0.0/16 -> BC");
    assert_eq!(shown.len(), 4, "{shown:#?}");
    for (walk, at, route, ending) in [
        (&shown[0], "00:00:00.000 ", to_a, "delivered to a"),
        (&shown[1], "00:00:00.000 ", to_c, "delivered to c"),
        (&shown[2], "00:00:00.500 ", "AB", "DROP peering-gone at AB"),
        (&shown[3], "00:00:00.600 ", "10.0.0.0/16 -> AB", "DROP blackhole at B"),
    ] {
        assert!(walk.starts_with(at), "{at} {walk}");
        assert!(walk.contains(route) && walk.contains(ending), "{route} {ending} {walk}");
    }
    // The route it took is a blackhole by now: only the way is told.
    assert!(shown[2].contains("AB  took the packet when it left"), "{}", shown[2]);
    assert!(shown[2].contains("was deleted when the packet arrived"), "{}", shown[2]);
}

/// How the walks of a step ended that did not arrive, with the blockers and the changes found for each.
#[track_caller]
fn remedies(text: &str, step: usize, repairs: Repairs) -> Vec<(String, Vec<String>, String)> {
    let outcome =
        outcome(text, Settings { repairs, ..Settings::default() }).expect("it can be run");
    let told = outcome.steps[step].walks.iter().map(|walk| &walk.told);
    let astray = told.filter(|told| !matches!(told.ending, Ending::Delivered { .. }));
    astray
        .map(|told| {
            let blockers = told.remedy.blockers.iter().map(ToString::to_string).collect();
            (told.ending.to_string(), blockers, told.remedy.changes.join("; "))
        })
        .collect()
}

/// What went astray in the background is explained by the network in which it did, not by that at the
/// end of the run.
#[test]
fn repairs_are_of_the_network_in_which_the_packet_died() {
    let down = |expect: &str| {
        format!(
            "{NETWORK}steps:\n- stop-instance: b\n\
             - flows: {{pairs: [a -> b], packets: 10, rate: 10/s, background: true}}\n{expect}\
             - wait: 500ms\n- start-instance: b\n- wait: 1s\n- delete-peering: AB\n"
        )
    };
    let died = ("DROP interface-down at b", "out: interface-down at b", "start b");
    let lossy = format!("{NETWORK}steps:\n").replace(
        "AB: {requester: A, accepter: B}",
        "AB: {requester: A, accepter: B, link: {loss: 10%}}",
    ) + "- flows: {pairs: [a -> b], packets: 100, background: true}\n- wait: 1s\n- delete-peering: AB\n";
    for (text, step, repairs, want) in [
        (down(""), 1, Repairs::All, Some(died)),
        (down("  expect: {delivered: 10}\n"), 1, Repairs::Failed, Some(died)),
        (
            down("  expect: {delivered: 5, dropped: {interface-down: 5}}\n"),
            1,
            Repairs::Failed,
            Some((died.0, "", "")),
        ),
        (lossy, 0, Repairs::All, Some(("DROP link-loss at AB", "", ""))),
    ] {
        let found = remedies(&text, step, repairs);
        let found = found.first().map(|(end, blockers, change)| {
            (end.as_str(), blockers.first().map_or("", String::as_str), change.as_str())
        });
        assert_eq!(found, want, "{text}");
    }
}

/// Two routers that send it to one another: what mends it is found from where the packet began, not
/// from its last hop.
#[test]
fn a_loop_is_mended_from_the_sender_on() {
    let text = "\
vpclab: 1
name: loop
vpcs:
  A:
    cidr: 10.0.0.0/16
    route_tables: [pub, r1, r2]
    subnets:
      pub: {cidr: 10.0.0.0/24, route_table: pub}
      x: {cidr: 10.0.2.0/24, route_table: r1}
      y: {cidr: 10.0.3.0/24, route_table: r2}
gateways: {igw: {type: internet, vpc: A}, nat: {type: nat, subnet: A/pub}}
outside: {web: {ip: 198.18.0.10, beyond: igw}}
routes: {A/pub: {0.0.0.0/0: igw}, A/r1: {0.0.0.0/0: ry}, A/r2: {0.0.0.0/0: rx}}
instances:
  rx: {subnet: A/x, source_dest_check: false, role: router}
  ry: {subnet: A/y, source_dest_check: false, role: router}
steps:
- ping: rx -> web
";
    let [(end, blockers, change)] = &remedies(text, 0, Repairs::All)[..] else { panic!("one end") };
    assert_eq!(end, "DROP hop-limit at rx");
    assert_eq!(blockers[..], ["out: hop-limit at rx"]);
    assert_eq!(change, "add 198.18.0.10/32 -> nat to table A/r2");
}

/// A lost answer is diagnosed as an answer: what lets it through is for every port that a client may
/// choose.
#[test]
fn a_lost_answer_is_diagnosed_as_an_answer() {
    let text = "\
vpclab: 1
name: answers
vpcs:
  A:
    cidr: 10.0.0.0/16
    subnets: {s: {cidr: 10.0.0.0/24, network_acl: x}, t: {cidr: 10.0.1.0/24}}
network_acls: {A/x: {ingress: {100: {allow: tcp 443, from: 0.0.0.0/0}}, egress: {100: {allow: all, to: 0.0.0.0/0}}}}
instances: {a: {subnet: A/s}, b: {subnet: A/t, listen: 80}}
steps:
";
    for (step, allow) in [
        ("tcp: {from: a, to: b, timeout: 1s}", "tcp 1024-65535"),
        ("udp: {from: a, to: b, port: 53, answer: true}", "udp 1024-65535"),
        ("ping: a -> b", "icmp 0"),
    ] {
        let found = remedies(&format!("{text}- {step}\n"), 0, Repairs::All);
        let [(end, blockers, change)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(end, "DROP acl-ingress at A/x");
        assert_eq!(blockers[..], ["back: acl-ingress at A/x"], "{step}");
        let want = format!("add ingress entry 110 to acl A/x: allow {allow} from 10.0.1.4/32");
        assert_eq!(change, &want, "{step}");
    }
}

/// An answer that a NAT device makes its own comes back and is taken by nobody: that is said, and what
/// mends it.
#[test]
fn an_answer_from_another_address_is_told() {
    let text = "\
vpclab: 1
name: other source
vpcs:
  A:
    cidr: 10.0.0.0/16
    route_tables: [public]
    subnets: {public: {cidr: 10.0.0.0/24, route_table: public}, p: {cidr: 10.0.1.0/24}}
gateways: {vgw: {type: vpn, vpc: A, on_premises: [192.168.0.0/16]}}
outside: {corp: {ip: 192.168.0.1, beyond: vgw}}
routes: {A: {0.0.0.0/0: nat}, A/public: {192.168.0.0/16: vgw}}
instances:
  nat: {subnet: A/public, source_dest_check: false, role: nat}
  p: {subnet: A/p, listen: 80}
steps:
- tcp: {from: corp, to: p, timeout: 1s}
";
    let outcome = outcome(text, Settings { repairs: Repairs::All, ..Settings::default() });
    let step = &outcome.expect("it can be run").steps[0];
    let told = &step.walks.iter().find(|walk| walk.leg == Leg::Answer).expect("an answer").told;
    let last = told.lines.last().map(|line| line.subject.as_str());
    assert_eq!(last, Some("10.0.0.4:1024"), "{told}");
    assert_eq!(told.remedy.changes, ["add 192.168.0.1/32 -> vgw to table A"]);
}
