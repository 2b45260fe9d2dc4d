//! Whole files: what is reported about them and in which words, and that nothing makes them panic.

use proptest::prelude::*;

use super::*;
use crate::base::diag::Colour;
use crate::scenario::decode::tests::EVERYTHING;

#[track_caller]
fn refused(text: &str) -> String {
    let failure = parse("x.yaml", text).expect_err("something is wrong with it");
    failure.diagnostics.render(&failure.sources, Colour::Plain)
}

#[test]
fn a_file_that_uses_every_key_is_fine() {
    if let Err(failure) = parse("x.yaml", EVERYTHING) {
        panic!("{}", failure.diagnostics.render(&failure.sources, Colour::Plain));
    }
}

#[test]
fn all_errors_are_reported_in_the_order_of_their_places() {
    let text = "\
vpclab: 1
name: ÄÖÜ
vpcs:
  A: {cidr: 10.0.0.0/16}
peerings:
  AB: {requester: A, acceptor: B}
steps:
  - ping: a -> b
    expect: {dropped: transitt}
    udp: a -> b
  - wait: 7 weeks
";
    let want = "\
error[E0201]: unknown key `acceptor` in a peering
 --> x.yaml:6:22
  |
6 |   AB: {requester: A, acceptor: B}
  |                      ^^^^^^^^
  |
  = help: did you mean `accepter`?

error[E0204]: a step has one action, not both `ping` and `udp`
  --> x.yaml:10:5
   |
 8 |   - ping: a -> b
   |     ---- the first one
 9 |     expect: {dropped: transitt}
10 |     udp: a -> b
   |     ^^^
   |
   = help: write two, with one action each

error[E0301]: `7 weeks` is not a span of time
  --> x.yaml:11:11
   |
11 |   - wait: 7 weeks
   |           ^^^^^^^
   |
   = help: want for example `250us`, `1.5s` or `7d`

";
    assert_eq!(refused(text), want);
}

#[test]
fn what_does_not_fit_together_is_pointed_at() {
    let network = "vpclab: 1\nname: x\nvpcs: {A: {cidr: 10.0.0.0/16}}\n\
                   instances: {a: {vpc: A}, b: {vpc: A}}\nsteps:\n";
    for (step, marked, message) in [
        (
            "ping: a -> b\n  expect: {dropped: transitt}",
            "transitt",
            "`transitt` is not a drop reason",
        ),
        (
            "ping: a -> b\n  expect: {dropped: misdelivered}",
            "misdelivered",
            "`misdelivered` is not a drop reason",
        ),
        (
            "ping: a -> b\n  expect: {at: A}",
            "at",
            "`at` says nothing without `dropped` or `reply-lost`",
        ),
        (
            "ping: a -> b\n  expect: {refused: InvalidID, state: active}",
            "state",
            "`refused` and `state` do not go together",
        ),
        (
            "ping: a -> b\n  expect: {refused: InvalidID}",
            "{refused: InvalidID}",
            "`ping` is not asked of the cloud, which could refuse it",
        ),
        (
            "ping: a -> b\n  expect: {delivered: 1, dropped: transit}",
            "transit",
            "beside `delivered`, `dropped` counts packets for each reason",
        ),
        ("ping: a -> b\n  expect: {}", "{}", "the expectation is empty"),
        ("udp: a -> b\n  expect: replied", "replied", "nobody answers this `udp`"),
        (
            "delete-vpc: A\n  expect: delivered",
            "delivered",
            "`delete-vpc` sends no packets to expect this of",
        ),
        (
            "delete-vpc: A\n  expect: {state: active}",
            "active",
            "`state` is about peerings and routes",
        ),
        ("wait: 1s\n  expect: delivered", "delivered", "of `wait` there is nothing to expect"),
        (
            "ping: {from: a, to: [b, a]}\n  expect: {reaches: [b]}",
            "a",
            "nothing is expected of the target `a`",
        ),
        (
            "ping: {from: a, to: b}\n  expect: {never-reaches: [b]}",
            "{never-reaches: [b]}",
            "`never-reaches` needs the key `because`",
        ),
        ("ping: {from: a, to: b}\n  expect: {reaches: [b, b]}", "b", "`b` is expected twice"),
        (
            "ping: {from: a, to: '10.0.0.5', family: ipv6}",
            "'10.0.0.5'",
            "an IPv4 address in an IPv6 packet",
        ),
        ("ping: a -> c", "c", "no instance is called `c`"),
        ("ping: \"a -> \\x63\"", "\"a -> \\x63\"", "no instance is called `c`"),
        ("wait: 2s\n- wait: 1s\n  at: 1s", "1s", "1s is in the past"),
        ("wait: 1s\n  at: 3s\n- wait: 1s\n  at: 2s", "2s", "2s is in the past"),
        ("send: {from: a, hex: 45 0g}", "g", "`g` is not a hexadecimal digit"),
        ("send: {from: a, hex: 450}", "450", "an odd number of hexadecimal digits"),
        ("ping: {from: a, to: b, count: 0}", "0", "`0` is out of the range of `count`"),
        ("ping: {from: a, to: b, count: '1'}", "'1'", "`count` wants a whole number, found `1`"),
        (
            "udp: {from: a, to: b, answer: yes}",
            "yes",
            "`answer` wants `true` or `false`, found `yes`",
        ),
        ("wait: 200000d", "200000d", "`200000d` is longer than the 36500d that are allowed here"),
        (
            "replay: {from: a, capture: ../x}",
            "../x",
            "`../x` is not a path that a scenario may name",
        ),
        ("wait:", "wait", "`wait` has no value"),
        (
            "flows: {pairs: [a -> b, b -> a], packets: 600000000}",
            "flows",
            "the steps up to here send 1200000000 packets",
        ),
        ("flows: {pairs: []}", "[]", "`pairs` is an empty list"),
        ("wait: 1s\n  expect: delivered", "delivered", "of `wait` there is nothing to expect"),
        (
            "create-vpc: {name: D, cidr: 10.3.0.0/16, account: '123456789012'}\n  as: '123456789012'",
            "'123456789012'",
            "it belongs to whoever asks for it: give `as` or `account`, not both",
        ),
        (
            "allocate-address: {name: ip, account: '123456789012'}\n  as: '123456789012'",
            "'123456789012'",
            "it belongs to whoever asks for it: give `as` or `account`, not both",
        ),
        (
            "ping: {from: a, to: public(a), family: ipv6}",
            "public(a)",
            "an IPv4 address in an IPv6 packet",
        ),
        ("ping: a -> public(a", "public(a", "`public(a` is not a destination"),
        ("{}", "{}", "a step without an action"),
    ] {
        let text = format!("{network}- {step}\n");
        let failure = parse("x", &text).expect_err(step);
        let found: Vec<_> = failure
            .diagnostics
            .iter()
            .map(|d| (d.place.map_or("", |p| &text[p.range()]), d.message.as_str()))
            .collect();
        assert_eq!(found, [(marked, message)], "{step}");
    }
}

#[test]
fn the_keys_of_a_gateway_are_those_of_its_type() {
    for (gateway, marked, message) in [
        ("type: internet", "g", "the gateway `g` needs the key `vpc`"),
        ("type: vpn", "g", "the gateway `g` needs the key `vpc`"),
        ("type: nat", "g", "the gateway `g` needs the key `subnet`"),
        ("type: nat, subnet: A/default, vpc: A", "vpc", "a gateway of this type has no `vpc`"),
        (
            "type: internet, vpc: A, cidrs: 10.9.0.0/16",
            "cidrs",
            "a gateway of this type has no `cidrs`",
        ),
        (
            "type: endpoint, vpc: A, cidrs: 198.51.100.0/24",
            "g",
            "the gateway `g` needs the key `service`",
        ),
        (
            "type: direct-connect, vpc: A, public_ip: auto",
            "public_ip",
            "a gateway of this type has no `public_ip`",
        ),
        ("type: nat, subnet: A/default, public_ip: any", "any", "`any` is not a public address"),
    ] {
        let text = format!(
            "vpclab: 1\nname: x\nvpcs: {{A: {{cidr: 10.0.0.0/16}}}}\ngateways: {{g: {{{gateway}}}}}\n"
        );
        let failure = parse("x", &text).expect_err(gateway);
        let found: Vec<_> = failure
            .diagnostics
            .iter()
            .map(|d| (d.place.map_or("", |p| &text[p.range()]), d.message.as_str()))
            .collect();
        assert_eq!(found, [(marked, message)], "{gateway}");
    }
}

#[test]
fn only_the_first_errors_are_listed_and_the_rest_is_counted() {
    let text = format!("vpclab: 1\nname: x\nsteps:\n{}", "- fly: away\n".repeat(1_000));
    let report = refused(&text);
    assert_eq!(report.matches("error[E0201]").count(), 50);
    assert!(report.ends_with("\n... and 950 more\n"), "{report}");
}

/// A directory of its own below the system's temporary one, gone at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Scratch {
        let path = std::env::temp_dir().join(format!("vpclab-load-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("sub")).unwrap();
        for (name, bytes) in files {
            fs::write(path.join(name), bytes).unwrap();
        }
        Scratch(path)
    }

    fn load(&self, name: &str) -> Result<Loaded, String> {
        load(&self.0.join(name)).map_err(|failure| {
            let text = failure.diagnostics.render(&failure.sources, Colour::Plain);
            text.replace(&self.0.display().to_string(), "DIR")
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_network_file_is_merged_and_its_errors_are_its_own() {
    let main = b"vpclab: 1\nname: x\nnetwork: sub/net.yaml\nvpcs: {B: {cidr: 10.1.0.0/16}}\n\
                 peerings: {AB: {requester: A, accepter: B}}\n";
    let scratch = Scratch::new(
        "merge",
        &[("main.yaml", main), ("sub/net.yaml", b"vpclab: 1\nvpcs: {A: {cidr: 10.0.0.0/16}}\n")],
    );
    let network = scratch.load("main.yaml").expect("nothing is wrong with it").file.network;
    let labels: Vec<_> = network.vpcs.iter().map(|v| v.label.value.as_str()).collect();
    assert_eq!(labels, ["A", "B"]);

    fs::write(
        scratch.0.join("sub/net.yaml"),
        "vpclab: 1\nvpcs: {B: {cidr: 10.0.0.0/16}}\nsteps: []\n",
    )
    .unwrap();
    let want = "\
error[E0402]: the label `B` is taken by another VPC
 --> DIR/main.yaml:4:8
  |
4 | vpcs: {B: {cidr: 10.1.0.0/16}}
  |        ^
  |
 ::: DIR/sub/net.yaml:2:8
  |
2 | vpcs: {B: {cidr: 10.0.0.0/16}}
  |        - taken here

error[E0401]: no VPC is called `A`
 --> DIR/main.yaml:5:28
  |
5 | peerings: {AB: {requester: A, accepter: B}}
  |                            ^
  |
  = help: known at this point: `B`

error[E0201]: unknown key `steps` in a network file
 --> DIR/sub/net.yaml:3:1
  |
3 | steps: []
  | ^^^^^
  |
  = help: known keys: `vpclab`, `name`, `about`, `accounts`, `vpcs`, `peerings`, `routes`, `security_groups`, `prefix_lists`, `network_acls`, `instances`, `gateways`, `outside`

";
    assert_eq!(scratch.load("main.yaml").unwrap_err(), want);
}

#[test]
fn what_may_not_be_read_is_not() {
    let big = vec![b'#'; usize::try_from(SCENARIO_BYTES_MAX).unwrap() + 1];
    let scratch = Scratch::new(
        "refuse",
        &[
            ("big.yaml", &big),
            ("latin.yaml", b"name: x\nabout: \xe9\n"),
            ("sub/real.yaml", b"vpclab: 1\n"),
        ],
    );
    let first_line =
        |name: &str| scratch.load(name).unwrap_err().lines().next().unwrap().to_owned();
    for (name, want) in [
        ("absent.yaml", "cannot read `DIR/absent.yaml`: No such file or directory (os error 2)"),
        ("sub", "cannot read `DIR/sub`: it is not a regular file"),
        ("big.yaml", "cannot read `DIR/big.yaml`: it has 4194305 bytes, the limit is 4194304"),
        ("latin.yaml", "cannot read `DIR/latin.yaml`: line 2 is not UTF-8 text"),
    ] {
        assert_eq!(first_line(name), format!("error[E0001]: {want}"));
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(scratch.0.join("sub"), scratch.0.join("link")).unwrap();
        fs::write(scratch.0.join("main.yaml"), "vpclab: 1\nname: x\nnetwork: link/real.yaml\n")
            .unwrap();
        let report = scratch.load("main.yaml").unwrap_err();
        assert!(
            report.contains("`DIR/link` is a symbolic link\n --> DIR/main.yaml:3:10\n"),
            "{report}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A valid file with a piece cut out, and another text put in its place.
    #[test]
    fn no_mutation_of_a_file_makes_it_panic(
        at in 0..EVERYTHING.len(),
        length in 0..40_usize,
        put in "(?s)([a-zA-Z0-9:,#&*!|>'\"{}\\[\\]? \n-]|->|.){0,8}",
    ) {
        let boundary = |at: usize| (0..=at).rev().find(|i| EVERYTHING.is_char_boundary(*i)).unwrap_or(0);
        let (from, to) = (boundary(at), boundary((at + length).min(EVERYTHING.len())));
        let text = format!("{}{put}{}", &EVERYTHING[..from], &EVERYTHING[to..]);
        match parse("x", &text) {
            Ok(_) => {}
            Err(failure) => {
                prop_assert!(!failure.diagnostics.is_empty());
                prop_assert!(!failure.diagnostics.render(&failure.sources, Colour::Plain).is_empty());
            }
        }
    }
}
