//! Rows of networks: where instances end up, and what is said when the cloud refuses something.

use crate::base::diag::Colour;
use crate::cloud::filter::Direction;
use crate::cloud::security_group::{RulePeer, SecurityGroup};
use crate::scenario::load::parse;
use crate::scenario::run::build;
use crate::sim::Twin;

/// Each instance of the network with its addresses, or what is wrong, one line each.
fn built(network: &str) -> Result<Vec<String>, Vec<String>> {
    let text = format!("vpclab: 1\nname: x\n{network}\n");
    let loaded = parse("x.yaml", &text).unwrap_or_else(|failure| {
        panic!("{}", failure.diagnostics.render(&failure.sources, Colour::Plain))
    });
    match build(&loaded, None, Twin::Compiled) {
        Ok(built) => Ok(built
            .stage
            .labels
            .instances
            .iter()
            .map(|(label, known)| {
                let addresses: Vec<_> = known.addresses.iter().map(|a| a.to_string()).collect();
                format!("{label} {}", addresses.join(" "))
            })
            .collect()),
        Err(failure) => Err(failure
            .diagnostics
            .iter()
            .map(|d| format!("{}: {}", d.place.map_or("", |p| &text[p.range()]), d.message))
            .collect()),
    }
}

#[test]
fn instances_are_placed_as_documented() {
    for (network, want) in [
        // The lowest free address; the first four and the last are reserved.
        (
            "vpcs: {A: {cidr: 10.0.0.0/28}}\ninstances: {a: {vpc: A}, b: {vpc: A, ip: 10.0.0.5}, c: {vpc: A}}",
            &["a 10.0.0.4", "b 10.0.0.5", "c 10.0.0.6"][..],
        ),
        // One default subnet for each block, and the first one is meant.
        (
            "profile: today\nvpcs: {A: {cidr: [10.0.0.0/16, 10.9.0.0/16]}}\n\
             instances: {a: {vpc: A}, b: {vpc: A, ip: 10.9.0.7}, c: {subnet: A/default-2}}",
            &["a 10.0.0.4", "b 10.9.0.7", "c 10.9.0.4"],
        ),
        // An IPv6 block gives each default subnet the next /64.
        (
            "profile: today\nvpcs: {A: {cidr: [10.0.0.0/16, 10.9.0.0/16], ipv6: 2001:db8:0:100::/56}}\n\
             instances: {a: {vpc: A}, b: {subnet: A/default-2, ipv6: 2001:db8:0:101::99}}",
            &["a 10.0.0.4 2001:db8:0:100::4", "b 10.9.0.4 2001:db8:0:101::99"],
        ),
        // The only subnet, or the one that holds the address.
        (
            "vpcs: {A: {cidr: 10.0.0.0/16, subnets: {s: {cidr: 10.0.3.0/24}}}}\ninstances: {a: {vpc: A}}",
            &["a 10.0.3.4"],
        ),
        (
            "vpcs: {A: {cidr: 10.0.0.0/16, subnets: {s: {cidr: 10.0.3.0/24}, t: {cidr: 10.0.4.0/24}}}}\n\
             instances: {a: {vpc: A, ip: 10.0.4.9}, b: {subnet: A/t}}",
            &["a 10.0.4.9", "b 10.0.4.4"],
        ),
    ] {
        let want: Vec<String> = want.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(built(network), Ok(want), "{network}");
    }
}

#[test]
fn what_the_cloud_refuses_is_said_at_its_place() {
    let two =
        "vpcs: {A: {cidr: 10.0.0.0/16, subnets: {s: {cidr: 10.0.3.0/24}, t: {cidr: 10.0.4.0/24}}}}";
    let peered =
        "vpcs: {A: {cidr: 10.0.0.0/16}, B: {cidr: 10.1.0.0/16}, C: {cidr: 10.0.0.0/20}}\npeerings:";
    for (network, want) in [
        (
            "vpcs: {A: {cidr: 10.0.0.0/8}, B: {cidr: 10.1.0.0/29}}".to_owned(),
            &[
                "10.0.0.0/8: the cloud refuses this VPC: The CIDR '10.0.0.0/8' is invalid.",
                "10.1.0.0/29: the cloud refuses this VPC: The CIDR '10.1.0.0/29' is invalid.",
            ][..],
        ),
        // What depends on what failed is not listed as well.
        (
            "vpcs: {A: {cidr: 10.0.0.0/8}}\ninstances: {a: {vpc: A}}\nroutes: {A: {10.9.0.0/16: a}}"
                .to_owned(),
            &["10.0.0.0/8: the cloud refuses this VPC: The CIDR '10.0.0.0/8' is invalid."],
        ),
        (
            format!("{two}\ninstances: {{a: {{vpc: A}}}}"),
            &["A: `A` has several subnets: say which one with `subnet: A/...`, or give an `ip`"],
        ),
        (
            format!("{two}\ninstances: {{a: {{vpc: A, ip: 10.0.9.9}}}}"),
            &["10.0.9.9: no subnet of `A` holds 10.0.9.9"],
        ),
        (
            "vpcs: {A: {cidr: 10.0.0.0/16, subnets: {}}}\ninstances: {a: {vpc: A}}".to_owned(),
            &["A: `A` has no subnet"],
        ),
        (
            format!("{peered} {{AA: {{requester: A, accepter: A}}}}"),
            &["A: `A` cannot be peered with itself"],
        ),
        (
            format!("{peered} {{AC: {{requester: A, accepter: C}}}}"),
            &["AC: cannot peer `A` and `C`: their CIDR blocks overlap"],
        ),
        (
            format!("{peered} {{AB: {{requester: A, accepter: B}}, BA: {{requester: B, accepter: A}}}}"),
            &["BA: `B` and `A` are already peered: one pair, one peering"],
        ),
        (
            format!("{peered} {{AB: {{requester: A, accepter: B}}}}\nroutes: {{C: {{10.1.0.0/16: AB}}}}"),
            &["AB: the cloud refuses this route: `AB` does not belong to the VPC of the table `C`"],
        ),
        (
            "vpcs: {A: {cidr: 10.0.0.0/16, subnets: {s: {cidr: 10.0.0.0/24, az: eu-west-1a}}}}".to_owned(),
            &["10.0.0.0/24: the cloud refuses this subnet: The availability zone 'eu-west-1a' does not exist in this region"],
        ),
        (
            "accounts: {x: {id: '111122223333', quotas: {vpcs-per-region: 1}}}\n\
             vpcs: {A: {cidr: 10.0.0.0/16}, B: {cidr: 10.1.0.0/16}}"
                .to_owned(),
            &["10.1.0.0/16: the cloud refuses this VPC: The maximum of 1 has been reached (vpcs-per-region)"],
        ),
    ] {
        let want: Vec<String> = want.iter().map(|s| (*s).to_owned()).collect();
        assert_eq!(built(&network), Err(want), "{network}");
    }
}

/// What each group of the network says: ingress, then egress.
fn groups(network: &str) -> Vec<String> {
    let loaded = parse("x.yaml", &format!("vpclab: 1\nname: x\n{network}\n")).expect("a file");
    let built = build(&loaded, None, Twin::Compiled).expect("a network");
    let cloud = built.stage.sim.cloud();
    let mut out: Vec<String> = cloud
        .groups()
        .filter(|(_, group)| group.name != SecurityGroup::DEFAULT_NAME)
        .map(|(_, group)| {
            let rules = Direction::ALL.map(|direction| {
                let rules = group.rules(direction).iter();
                let words = rules.map(|rule| match rule.peer {
                    RulePeer::Block(block) => format!("{} {block}", rule.traffic),
                    RulePeer::Group(_) => format!("{} group", rule.traffic),
                    RulePeer::PrefixList(_) => format!("{} list", rule.traffic),
                });
                words.collect::<Vec<_>>().join(", ")
            });
            format!("{}: [{}] [{}]", group.name, rules[0], rules[1])
        })
        .collect();
    out.sort();
    out
}

#[test]
fn groups_say_what_the_file_says() {
    let vpc = "vpcs: {A: {cidr: 10.0.0.0/16}, B: {cidr: 10.1.0.0/16}}";
    for (network, want) in [
        ("", &[][..]),
        // One open group in each VPC that needs one, however many instances it has.
        (
            "instances: {a: {vpc: A}, a2: {vpc: A}, b: {vpc: B, groups: B/default}}",
            &["vpclab-open: [all 0.0.0.0/0] [all 0.0.0.0/0, all ::/0]"],
        ),
        (
            "profile: today\ninstances: {a: {vpc: A}}",
            &["vpclab-open: [all 0.0.0.0/0, all ::/0] [all 0.0.0.0/0, all ::/0]"],
        ),
        (
            "security_groups: {g: {vpc: A}, h: {vpc: A, egress: none}}",
            &["g: [] [all 0.0.0.0/0, all ::/0]", "h: [] []"],
        ),
        (
            "prefix_lists: {l: [192.0.2.0/24]}\nsecurity_groups: {g: {vpc: A, ingress: [{allow: tcp \
             22, from: l}, {allow: icmp 8, from: g}], egress: [{allow: udp, to: 10.9.9.9/8}]}}",
            &["g: [tcp 22 list, icmp 8 group] [udp 10.0.0.0/8]"],
        ),
    ] {
        assert_eq!(groups(&format!("{vpc}\n{network}")), want, "{network}");
    }
}

const EDGES: &str = "\
vpcs: {A: {cidr: 10.0.0.0/24}, B: {cidr: 10.1.0.0/24}}
gateways:
  igw: {type: internet, vpc: A}
  vpn: {type: vpn, vpc: A, on_premises: [192.168.0.0/16], propagate_to: [A]}
  nat: {type: nat, subnet: A/default}
  s3: {type: endpoint, vpc: A, service: s3, cidrs: [198.51.100.0/24], route_tables: [A]}
outside:
  web: {ip: 198.18.0.10, beyond: igw}
  corp: {ip: 192.168.1.10, beyond: vpn}
instances:
  a: {vpc: A, public_ip: auto}
  b: {vpc: A, public_ip: 203.0.113.1}
  c: {vpc: A}
routes: {A: {0.0.0.0/0: igw}, A/x: {0.0.0.0/0: nat}}
";

#[test]
fn edges_are_built_around_the_instances() {
    let text = EDGES.replace("10.0.0.0/24}", "10.0.0.0/24, route_tables: [x]}");
    let loaded = parse("x.yaml", &format!("vpclab: 1\nname: x\n{text}")).expect("a network");
    let built = build(&loaded, None, Twin::Compiled).expect("it can be built");
    let stage = &built.stage;
    let cloud = stage.sim.cloud();
    // No `auto` takes the address that an instance names; the NAT gateway's own comes last.
    let held: Vec<_> = cloud
        .public_addresses()
        .filter_map(|(_, held)| Some((held.address.to_string(), held.association?.2.to_string())))
        .collect();
    for (public, private) in
        [("203.0.113.1", "10.0.0.5"), ("203.0.113.2", "10.0.0.4"), ("203.0.113.3", "10.0.0.7")]
    {
        assert!(held.contains(&(public.to_owned(), private.to_owned())), "{held:?}");
    }
    let a = stage.vpc(&"A".parse().expect("a label")).expect("A");
    let table = cloud.vpc(a).expect("A").main_table();
    let names = crate::report::names::Names(cloud);
    let routes: Vec<_> = cloud
        .routes(table)
        .map(|r| format!("{} {} {}", r.destination, names.hop(r.hop), r.origin.code()))
        .collect();
    let want = [
        "10.0.0.0/24 local CreateRouteTable",
        "0.0.0.0/0 igw CreateRoute",
        "198.51.100.0/24 s3 CreateRoute",
        "192.168.0.0/16 vpn EnableVgwRoutePropagation",
    ];
    assert_eq!(routes, want);
    let outside: Vec<_> = cloud.outside_hosts().map(|(id, _)| names.interface(id)).collect();
    assert_eq!((outside.len(), outside.contains(&"web".to_owned())), (2, true), "{outside:?}");
}

#[test]
fn what_an_edge_may_not_be_is_said_at_its_place() {
    for (from, to, want) in [
        (
            "igw: {type: internet, vpc: A}",
            "igw: {type: internet, vpc: B}",
            &[
                "A/default: the cloud refuses this NAT gateway: its VPC has no internet gateway",
                "auto: the cloud refuses this public address: its VPC has no internet gateway",
                "203.0.113.1: the cloud refuses this public address: its VPC has no internet gateway",
                "igw: the cloud refuses this route: `igw` does not belong to the VPC of the table `A`",
            ][..],
        ),
        (
            "ip: 198.18.0.10",
            "ip: 203.0.113.1",
            &["203.0.113.1: the cloud refuses this outside host: Address 203.0.113.1 is in use."],
        ),
        (
            "public_ip: 203.0.113.1",
            "public_ip: 10.0.0.1",
            &[
                "10.0.0.1: the cloud refuses this public address: Address 10.0.0.1 is not a public address",
            ],
        ),
        (
            "on_premises: [192.168.0.0/16]",
            "on_premises: [169.254.169.0/24]",
            &[
                "169.254.169.0/24: the cloud refuses this gateway: The prefixes of vpn are not valid",
            ],
        ),
        ("propagate_to: [A]", "propagate_to: [B]", &["B: the cloud refuses this gateway: "]),
        (
            "routes: {A: {0.0.0.0/0: igw}",
            "routes: {A: {0.0.0.0/0: s3}",
            &["0.0.0.0/0: the cloud refuses this route: cannot set a route to "],
        ),
    ] {
        let network = EDGES.replace(", A/x: {0.0.0.0/0: nat}", "").replace(from, to);
        let got = built(&network).expect_err(to);
        assert_eq!(got.len(), want.len(), "{to}: {got:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.starts_with(want), "{to}: {got}");
        }
    }
}
