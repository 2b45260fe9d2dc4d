//! Rows of steps: what the cloud or the network answers, in the words of the file.

use crate::report::outcome::Verdict::{Failed, Held, Unjudged};
use crate::scenario::rows::{NETWORK, last, outcome, steps};
use crate::scenario::run::Settings;

#[test]
fn commands_are_answered_in_the_words_of_the_file() {
    for (step, actual, verdict) in [
        ("describe-peering: AB", "state: active", Held),
        ("delete-peering: BC\n  expect: {state: deleted}", "state: deleted", Held),
        ("delete-peering: BC\n  expect: {state: active}", "state: deleted", Failed),
        ("create-vpc: {name: D, cidr: 10.3.0.0/16}", "done", Held),
        (
            "create-vpc: {name: D, cidr: 10.3.0.0/16}\n  expect: {refused: InvalidVpc.Range}",
            "accepted",
            Failed,
        ),
        (
            "create-vpc: {name: D, cidr: 10.3.0.0/8}\n  expect: {refused: InvalidVpc.Range}",
            "refused: InvalidVpc.Range (The CIDR '10.0.0.0/8' is invalid.)",
            Held,
        ),
        (
            "create-route: {table: A, destination: 10.9.0.0/16, target: AB}\n  \
             expect: {state: active}",
            "state: active",
            Held,
        ),
        (
            "describe-route: {table: A, destination: 10.2.0.0/16}\n  expect: {state: blackhole}",
            "state: active",
            Failed,
        ),
        (
            "delete-route: {table: A, destination: 10.9.0.0/16}\n  \
             expect: {refused: InvalidRoute.NotFound}",
            "refused: InvalidRoute.NotFound (no route with destination-cidr-block 10.9.0.0/16 in \
             route table rtb-TABLE)",
            Held,
        ),
        (
            "disassociate-route-table: A/default",
            "`A/default` has no association of its own: it uses the main table",
            Failed,
        ),
        ("modify-vpc-attribute: {vpc: A, dns_support: false}", "done", Held),
        (
            "modify-peering-options: {peering: AB, dns_from_peer: true}",
            "refused: UnknownParameter (The parameter AllowDnsResolutionFromRemoteVpc is not \
             recognized)",
            Failed,
        ),
        ("wait: 7d", "done", Unjudged),
    ] {
        let outcome = steps(&format!("- {step}\n"));
        let got = &outcome.steps[0];
        // Ids are the cloud's; a row shows only that there is one.
        let mut text = got.actual.clone();
        if let Some(at) = text.find("rtb-") {
            let end = text[at..].find(')').map_or(text.len(), |n| at + n);
            text.replace_range(at..end, "rtb-TABLE");
        }
        assert_eq!((text.as_str(), got.verdict), (actual, verdict), "{step}");
    }
}

#[test]
fn queries_are_answered_in_the_words_of_the_file() {
    let name = "ip-10-0-0-10.ec2.internal";
    let answer = format!("address: 10.0.0.10 ({name}, of the VPC that asks)");
    let none = "unresolved: no-such-name, at: A (ip-10-0-0-11.ec2.internal: NXDOMAIN)";
    for (step, actual, verdict) in [
        ("resolve: a -> a", &answer[..], Unjudged),
        ("resolve: a -> a\n  expect: {address: 10.0.0.10}", &answer, Held),
        ("resolve: a -> a\n  expect: {address: 10.0.0.11}", &answer, Failed),
        ("resolve: a -> a\n  expect: {unresolved: no-such-name}", &answer, Failed),
        ("resolve: a -> ip-10-0-0-11.ec2.internal", none, Unjudged),
        (
            "resolve: {from: a, name: ip-10-0-0-11.ec2.internal}\n  \
             expect: {unresolved: no-such-name}",
            none,
            Held,
        ),
        (
            "resolve: {from: a, name: ip-10-0-0-11.ec2.internal}\n  \
             expect: {unresolved: not-peered}",
            none,
            Failed,
        ),
        (
            "resolve: {from: a, name: ip-10-0-0-11.ec2.internal}\n  expect: {address: 10.0.0.11}",
            none,
            Failed,
        ),
        ("resolve: a -> a/public", "`a` has no public address, and so no public name", Failed),
        ("stop-instance: a\n- resolve: a -> a", "`a` does not run, so it asks nobody", Failed),
    ] {
        let hostnames = "- modify-vpc-attribute: {vpc: A, dns_hostnames: true}";
        last(&format!("{hostnames}\n- {step}\n"), actual, verdict);
    }
}

/// Without a side, what is set is what the account that asks owns.
#[test]
fn the_side_of_an_option_is_the_askers() {
    const OWNERS: &str = "\
vpclab: 1
name: two owners
profile: today
accounts: {me: {id: '111122223333'}, you: {id: '444455556666'}}
vpcs:
  A: {cidr: 10.0.0.0/16, account: me, dns_hostnames: true}
  B: {cidr: 10.1.0.0/16, account: you, dns_hostnames: true}
  C: {cidr: 10.2.0.0/16, account: you, dns_hostnames: true, region: eu-west-1}
peerings:
  AB: {requester: A, accepter: B}
  AC: {requester: A, accepter: C}
  BC: {requester: B, accepter: C}
steps:
";
    for (step, held) in [
        ("{peering: AB, dns_from_peer: true}", true),
        ("{peering: AB, dns_from_peer: true}\n  as: you", true),
        ("{peering: AC, dns_from_peer: true}\n  as: you", true), // in the region of C
        ("{peering: AC, side: accepter, dns_from_peer: true}", true),
        ("{peering: AC, side: accepter, dns_from_peer: true}\n  as: me", false),
        ("{peering: BC, dns_from_peer: true}", false), // one account, but two regions
        ("{peering: BC, side: requester, dns_from_peer: true}", true),
        ("{peering: BC, dns_from_peer: true}\n  as: me", false),
    ] {
        let text = format!("{OWNERS}- modify-peering-options: {step}\n");
        let outcome = outcome(&text, Settings::default()).expect(step);
        assert_eq!(outcome.held(), held, "{step}: {}", outcome.steps[0].actual);
    }
}

/// What a refused step was to create is missing from then on, and the steps that need it say so.
#[test]
fn a_label_whose_creation_was_refused_stands_for_nothing() {
    for (first, second, actual) in [
        (
            "create-vpc: {name: D, cidr: 10.0.0.0/8}",
            "delete-vpc: D",
            "VPC `D` does not exist: what was to create it did not succeed",
        ),
        (
            "run-instance: {name: d, vpc: A, ip: 10.0.0.10}",
            "ping: a -> d",
            "instance `d` does not exist: what was to create it did not succeed",
        ),
        (
            "request-peering: {name: AA, requester: A, accepter: A}",
            "accept-peering: AA",
            "peering `AA` does not exist: what was to create it did not succeed",
        ),
        (
            "run-instance: {name: d, vpc: A, ip: 10.0.0.10}",
            "create-route: {table: A, destination: 10.9.0.0/16, target: d}",
            "peering, gateway or instance `d` does not exist: what was to create it did not succeed",
        ),
    ] {
        last(&format!("- {first}\n- {second}\n"), actual, Failed);
        last(
            &format!("- {first}\n- {second}\n  expect: {{{}}}\n", expected(second)),
            actual,
            Failed,
        );
    }
}

/// An expectation that fits the step and must not hold.
fn expected(step: &str) -> &'static str {
    if step.starts_with("ping") {
        "dropped: no-such-host"
    } else {
        "refused: InvalidVpcID.NotFound"
    }
}

#[test]
fn packets_that_cannot_be_built_fail_their_step() {
    const DUAL: &str = "\
vpclab: 1
name: both families
profile: today
vpcs:
  A: {cidr: 10.0.0.0/16, ipv6: 2001:db8:1234:1a00::/56}
  B: {cidr: 10.1.0.0/16}
instances:
  a: {vpc: A}
  a2: {vpc: A}
  b: {vpc: B}
steps:
";
    for (step, actual, verdict) in [
        ("ping: {from: a, to: a2, family: ipv6}", "replied", Unjudged),
        ("ping: {from: a, to: a2, size: 65507}", "dropped: too-big, at: A", Unjudged),
        (
            "ping: {from: a, to: a2, family: ipv6, size: 65507}",
            "a packet of 65555 bytes is too large, at most 65535 are possible",
            Failed,
        ),
        (
            "udp: {from: a, to: a2, family: ipv6, size: 65488}",
            "a packet of 65536 bytes is too large, at most 65535 are possible",
            Failed,
        ),
        ("ping: {from: a, to: b, family: ipv6}", "`b` has no IPv6 address", Failed),
        ("ping: b -> 2001:db8::1", "`b` has no IPv6 address", Failed),
        // The source says which family is meant.
        ("ping: {from: a, to: a2, source: 2001:db8::1}", "dropped: source-check, at: a", Unjudged),
    ] {
        let outcome =
            crate::scenario::rows::outcome(&format!("{DUAL}- {step}\n"), Default::default());
        let outcome = outcome.expect(step);
        let got = &outcome.steps[0];
        assert_eq!((got.actual.as_str(), got.verdict), (actual, verdict), "{step}");
    }
}

#[test]
fn a_capture_that_cannot_be_replayed_is_an_error_of_the_file() {
    let text = format!("{NETWORK}steps:\n- replay: {{from: a, capture: no/such.pcap}}\n");
    let report = outcome(&text, Settings::default()).unwrap_err();
    assert!(report.starts_with("error[E0001]: cannot replay `no/such.pcap`: "), "{report}");
    assert!(report.contains("capture: no/such.pcap"), "{report}");
}

#[test]
fn steps_are_named_as_the_file_writes_them() {
    for (step, words) in [
        ("ping: {from: a, to: [b, c], count: 3}", "ping a -> [b, c], 3 times"),
        ("udp: a -> B:10.1.0.10", "udp a -> B:10.1.0.10"),
        ("send: {from: a, hex: 45 00}", "send from a, 2 bytes"),
        (
            "flows: {pairs: [a -> b, b -> a], packets: 1}",
            "flows a -> b, b -> a, 1 packets each at 1000/s",
        ),
        (
            "ping: {from: a, to: [b, c, b, c, b, c, b, c, b, c]}",
            "ping a -> [b, c, b, c, b, c, b, c and 2 more]",
        ),
        (
            "modify-source-dest-check: {instance: a, value: false}",
            "modify-source-dest-check a: off",
        ),
        ("resolve: a -> IP-10-1-0-10.ec2.internal", "resolve a -> ip-10-1-0-10.ec2.internal"),
        ("resolve: {from: a, name: b/public}", "resolve a -> b/public"),
        (
            "modify-vpc-attribute: {vpc: A, dns_support: true, dns_hostnames: false}",
            "modify-vpc-attribute A: DNS support on, DNS hostnames off",
        ),
        (
            "modify-peering-options: {peering: AB, side: accepter, dns_from_peer: true}",
            "modify-peering-options AB, accepter: DNS from peer on",
        ),
        (
            "replace-route: {table: A, destination: 10.2.0.0/16, target: a}",
            "replace-route A: 10.2.0.0/16 -> a",
        ),
    ] {
        assert_eq!(steps(&format!("- {step}\n")).steps[0].action, words);
    }
}

/// The group that allows everything is a default of files: no step can name it, so it must not keep
/// a VPC from being deleted. One that a step has made does.
#[test]
fn the_open_group_goes_with_its_vpc() {
    let used = "- create-vpc: {name: D, cidr: 10.3.0.0/16}\n\
                - create-subnet: {vpc: D, name: s, cidr: 10.3.0.0/24}\n\
                - run-instance: {name: d, vpc: D}\n\
                - terminate-instance: d\n\
                - delete-subnet: D/s\n";
    last(&format!("{used}- delete-vpc: D\n"), "done", Held);
    let group = "- create-security-group: {vpc: D, name: web}\n";
    let refused = "- delete-vpc: D\n  expect: {refused: DependencyViolation}\n";
    let outcome = steps(&format!("{used}{group}{refused}"));
    assert_eq!(outcome.steps.last().map(|step| step.verdict), Some(Held));
}

/// A gateway of every kind comes, is used by a route, and goes.
#[test]
fn edges_come_and_go() {
    let outcome = steps(
        "\
- create-internet-gateway: {name: igw}
- attach-internet-gateway: {gateway: igw, vpc: A}
- attach-internet-gateway: {gateway: igw, vpc: B}
  expect: {refused: Resource.AlreadyAssociated}
- create-route: {table: A, destination: 0.0.0.0/0, target: igw}
  expect: {state: active}
- allocate-address: {name: ip, ip: 203.0.113.9}
- associate-address: {address: ip, instance: a}
- detach-internet-gateway: {gateway: igw, vpc: A}
  expect: {refused: DependencyViolation}
- disassociate-address: ip
- disassociate-address: ip
  expect: {refused: InvalidAllocationID.NotFound}
- create-nat-gateway: {name: nat, subnet: A/default, address: ip}
- create-route: {table: A/x, destination: 0.0.0.0/0, target: nat}
  expect: {state: active}
- delete-nat-gateway: nat
- describe-route: {table: A/x, destination: 0.0.0.0/0}
  expect: {state: blackhole}
- release-address: ip
- place-outside-host: {name: web, ip: 198.18.0.10, beyond: igw}
- remove-outside-host: web
- detach-internet-gateway: {gateway: igw, vpc: A}
- describe-route: {table: A, destination: 0.0.0.0/0}
  expect: {state: blackhole}
- delete-internet-gateway: igw
- create-vpn-gateway: {name: vpn, on_premises: 192.168.0.0/16}
- attach-vpn-gateway: {gateway: vpn, vpc: A}
- enable-vgw-route-propagation: {gateway: vpn, table: A/x}
- describe-route: {table: A/x, destination: 192.168.0.0/16}
  expect: {state: active}
- detach-vpn-gateway: {gateway: vpn, vpc: A}
- describe-route: {table: A/x, destination: 192.168.0.0/16}
  expect: {refused: InvalidRoute.NotFound}
- delete-vpn-gateway: vpn
- create-vpc-endpoint: {name: s3, vpc: B, service: s3, cidrs: 198.51.100.0/24}
- modify-vpc-endpoint: {endpoint: s3, add: B}
- describe-route: {table: B, destination: 198.51.100.0/24}
  expect: {state: active}
- delete-vpc-endpoint: s3
- describe-route: {table: B, destination: 198.51.100.0/24}
  expect: {refused: InvalidRoute.NotFound}
",
    );
    for step in &outcome.steps {
        assert_eq!(step.verdict, Held, "{}: {}", step.action, step.actual);
    }
}
