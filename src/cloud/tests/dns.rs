//! Rows: attributes of a VPC, options of a peering, and what names resolve to (vpc-semantics 2.2, 2.6,
//! 3.9). Public addresses are put in place by hand: what this is about is who sees them.

use super::super::dns::{Answer, Denial, Reason, Rule, Spot, Switch, VpcAttribute};
use super::super::gateway::{AddressKind, PublicAddress};
use super::super::hostname::{Hostname, Kind};
use super::*;
use Switch::{Off, On};

const DISABLED: &str = "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled";
const I: &str = "ip-10-10-1-4.ec2.internal";
const K: &str = "ip-10-20-1-4.ec2.internal";
const K_PUBLIC: &str = "ec2-203-0-113-7.compute-1.amazonaws.com";

fn support(vpc: VpcId, switch: Switch) -> Command {
    Command::ModifyVpcAttribute { vpc, attribute: VpcAttribute::DnsSupport(switch) }
}

fn hostnames(vpc: VpcId, switch: Switch) -> Command {
    Command::ModifyVpcAttribute { vpc, attribute: VpcAttribute::DnsHostnames(switch) }
}

fn options(peering: PeeringId, requester: Option<Switch>, accepter: Option<Switch>) -> Command {
    Command::ModifyVpcPeeringConnectionOptions { peering, requester, accepter }
}

/// The lab with DNS hostnames in `a` and `b`.
fn named(profile: Profile) -> Lab {
    let lab = Lab::new(profile);
    let (a, b) = (lab.a, lab.b);
    lab.with([(one(), hostnames(a, On)), (two(), hostnames(b, On))])
}

/// The lab in which a public address stands for the one address of an interface.
fn public(mut lab: Lab, (_, interface): (InstanceId, InterfaceId), address: &str) -> Lab {
    let IpAddr::V4(private) = lab.cloud.interface(interface).unwrap().addresses[0] else {
        panic!("IPv4 first")
    };
    let vpc = lab.cloud.interface(interface).unwrap().vpc;
    let of = lab.cloud.vpc(vpc).unwrap();
    let (owner, region) = (of.owner, of.region.clone());
    let (id, digits) = (AllocationId::new(nothing()), AddressAssociationId::new(nothing()));
    let address = net(address);
    let association = Some((digits, interface, private));
    let held = PublicAddress { owner, region, address, kind: AddressKind::Elastic, association };
    lab.cloud.public_addresses.insert(id, held);
    lab.cloud.allocations.insert(address, id);
    lab.cloud.public_of.insert((interface, private), id);
    lab
}

/// Asks from a VPC; the answer as an address and its rule, or as a reason, with what it is about.
fn asked(cloud: &Cloud, from: VpcId, name: &str) -> String {
    let spot = |at| match at {
        Spot::Vpc(id) => id.to_string(),
        Spot::Peering(id) => id.to_string(),
    };
    let denied = |Denial { reason, at }| format!("{reason} at {}", spot(at));
    match cloud.resolve(from, &name.parse::<Hostname>().unwrap(), NOW) {
        Ok(Answer { address, rule }) => match rule {
            Rule::SameVpc => format!("{address} in the same VPC"),
            Rule::PrivateRange(id) => format!("{address} over {id}"),
            Rule::Allowed(id) => format!("{address} allowed over {id}"),
            Rule::Public(denial) => format!("{address} because {}", denied(denial)),
        },
        Err(denial) => denied(denial),
    }
}

#[track_caller]
fn answers<const N: usize>(lab: &Lab, rows: [(VpcId, &str, String); N]) {
    for (from, name, want) in rows {
        assert_eq!(asked(&lab.cloud, from, name), want, "{from} asks for {name}");
    }
}

#[test]
fn attributes_are_the_owners_to_set() {
    let lab = Lab::new(Profile::Seed);
    let new = lab.cloud.vpc(lab.a).unwrap().dns();
    assert_eq!((new.support, new.hostnames), (On, Off));
    check(
        &lab,
        [
            (one(), hostnames(lab.a, On), OK),
            (one(), hostnames(lab.a, Off), OK),
            (one(), support(lab.a, Off), OK),
            (two(), support(lab.a, Off), "InvalidVpcID.NotFound"),
            (one_abroad(), support(lab.a, Off), "InvalidVpcID.NotFound"),
        ],
    );
    let off = lab.clone().with([(one(), support(lab.a, Off))]);
    check(
        &off,
        [
            (one(), hostnames(lab.a, On), "InvalidParameterValue"),
            (one(), hostnames(lab.a, Off), OK),
            (one(), support(lab.a, On), OK),
        ],
    );
    // What is on stays on, without effect until support is back.
    let both = lab.clone().with([(one(), hostnames(lab.a, On)), (one(), support(lab.a, Off))]);
    let dns = both.cloud.vpc(lab.a).unwrap().dns();
    assert_eq!((dns.support, dns.hostnames), (Off, On));
}

#[test]
fn options_are_set_by_side_while_the_peering_is_active() {
    let denied = "OperationNotPermitted";
    let lab = named(Profile::Today);
    check(
        &lab,
        [
            (one(), options(lab.ab, Some(On), None), OK),
            (two(), options(lab.ab, None, Some(On)), OK),
            (one(), options(lab.ab, None, None), OK),
            (one(), options(lab.ab, None, Some(On)), denied),
            (one(), options(lab.ab, Some(On), Some(On)), denied),
            (two(), options(lab.ab, Some(Off), None), denied),
            (one_abroad(), options(lab.ab, Some(On), None), PEERING_NOT_FOUND),
            (one(), options(PeeringId::new(nothing()), Some(On), None), PEERING_NOT_FOUND),
        ],
    );
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let pending = build.request(&one(), lab.bare, lab.b, &two());
    let (cloud, events) = (build.cloud, build.events);
    check(
        &Lab { cloud, events, ..lab.clone() },
        [
            (one(), options(pending, Some(Off), None), denied),
            (two(), options(pending, None, Some(Off)), denied),
        ],
    );
    let ended =
        lab.clone().with([(one(), Command::DeleteVpcPeeringConnection { peering: lab.ab })]);
    check(&ended, [(one(), options(lab.ab, Some(On), None), denied)]);
    let seed = named(Profile::Seed);
    check(&seed, [(one(), options(seed.ab, Some(On), None), "UnknownParameter")]);
}

const PEERING_NOT_FOUND: &str = "InvalidVpcPeeringConnectionID.NotFound";

#[test]
fn switching_the_option_on_needs_both_attributes_in_both_vpcs() {
    let lab = named(Profile::Today);
    for (who, command) in [
        (one(), hostnames(lab.a, Off)),
        (two(), hostnames(lab.b, Off)),
        (one(), support(lab.a, Off)),
        (two(), support(lab.b, Off)),
    ] {
        let lacking = lab.clone().with([(who, command)]);
        check(
            &lacking,
            [
                (one(), options(lab.ab, Some(On), None), DISABLED),
                (two(), options(lab.ab, None, Some(On)), DISABLED),
                (one(), options(lab.ab, Some(Off), None), OK),
            ],
        );
    }
}

#[test]
fn whoever_owns_both_ends_sets_both_sides_in_one_region() {
    let mut lab = named(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let near = build.request(&one(), lab.bare, lab.a, &one());
    build.act(&one(), Command::AcceptVpcPeeringConnection { peering: near });
    build.act(&one(), hostnames(lab.bare, On));
    let (far, ..) = build.vpc(&one_abroad(), "10.40.0.0/16");
    build.act(&one_abroad(), hostnames(far, On));
    let abroad = build.abroad(&one(), lab.a, far, &one_abroad());
    (lab.cloud, lab.events) = (build.cloud, build.events);
    check(
        &lab,
        [
            (one(), options(near, Some(On), Some(On)), OK),
            (one(), options(abroad, Some(On), None), OK),
            (one_abroad(), options(abroad, None, Some(On)), OK),
            (one(), options(abroad, Some(On), Some(On)), "OperationNotPermitted"),
            (one_abroad(), options(abroad, Some(On), None), "OperationNotPermitted"),
        ],
    );
}

#[test]
fn inside_a_vpc_private_names_need_both_attributes() {
    let lab = named(Profile::Seed);
    let (a, bare) = (lab.a, lab.bare);
    answers(
        &lab,
        [
            (a, I, "10.10.1.4 in the same VPC".to_owned()),
            (a, "ip-10-10-1-5.ec2.internal", "10.10.1.5 in the same VPC".to_owned()), // stopped
            (a, "ip-10-10-1-6.ec2.internal", format!("no-such-name at {a}")),
            (a, "ip-10-10-1-4.eu-west-1.compute.internal", format!("no-such-name at {a}")),
            (bare, "ip-10-30-0-4.ec2.internal", format!("dns-hostnames-off at {bare}")),
        ],
    );
    let off = lab.clone().with([(one(), support(a, Off))]);
    answers(&off, [(a, I, format!("no-resolver at {a}"))]);
    let nowhere = VpcId::new(nothing());
    answers(&off, [(nowhere, I, format!("no-resolver at {nowhere}"))]);
}

/// Row three of 3.9, and the last.
#[test]
fn private_names_of_a_peer_resolve_in_one_region() {
    let seed = named(Profile::Seed);
    answers(&seed, [(seed.a, K, format!("not-across-peering at {}", seed.ab))]);

    let lab = named(Profile::Today);
    let (a, b, ab) = (lab.a, lab.b, lab.ab);
    answers(
        &lab,
        [
            (a, K, format!("10.20.1.4 over {ab}")),
            (b, I, format!("10.10.1.4 over {ab}")),
            (a, "ip-10-20-1-9.ec2.internal", format!("no-such-name at {a}")),
        ],
    );
    // The name says the address, so the attributes of the peer do not matter; those of the VPC that
    // asks do.
    let silent = lab.clone().with([(two(), hostnames(b, Off)), (two(), support(b, Off))]);
    answers(
        &silent,
        [(a, K, format!("10.20.1.4 over {ab}")), (b, I, format!("no-resolver at {b}"))],
    );
    let off = lab.clone().with([(one(), hostnames(a, Off))]);
    answers(&off, [(a, K, format!("dns-hostnames-off at {a}"))]);
    let ended = lab.clone().with([(one(), Command::DeleteVpcPeeringConnection { peering: ab })]);
    answers(&ended, [(a, K, format!("not-peered at {a}"))]);
}

#[test]
fn beyond_region_and_rfc_1918_private_names_need_the_option() {
    let mut lab = named(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let there = caller(222_222_222_222, "eu-west-1");
    let (far, ..) = build.vpc(&there, "10.40.0.0/16");
    let subnet = build.subnet(&there, far, "10.40.0.0/24");
    build.act(&there, run(subnet, None));
    let abroad = build.abroad(&one(), lab.a, far, &there);
    let (odd, ..) = build.vpc(&two(), "100.64.0.0/16");
    let subnet = build.subnet(&two(), odd, "100.64.0.0/24");
    build.act(&two(), run(subnet, None));
    let shared = build.request(&one(), lab.a, odd, &two());
    build.act(&two(), Command::AcceptVpcPeeringConnection { peering: shared });
    (lab.cloud, lab.events) = (build.cloud, build.events);

    let a = lab.a;
    let (far_name, odd_name) =
        ("ip-10-40-0-4.eu-west-1.compute.internal", "ip-100-64-0-4.ec2.internal");
    answers(
        &lab,
        [
            (a, far_name, format!("dns-hostnames-off at {far}")),
            (a, odd_name, format!("dns-hostnames-off at {odd}")),
            (a, "ip-10-40-0-4.ec2.internal", format!("no-such-name at {a}")),
        ],
    );
    let lab = lab.with([(there.clone(), hostnames(far, On)), (two(), hostnames(odd, On))]);
    answers(
        &lab,
        [
            (a, far_name, format!("dns-option-off at {abroad}")),
            (a, odd_name, format!("dns-option-off at {shared}")),
        ],
    );
    // The side that has the instance is the one that counts.
    let wrong = lab
        .clone()
        .with([(one(), options(abroad, Some(On), None)), (one(), options(shared, Some(On), None))]);
    answers(
        &wrong,
        [
            (a, far_name, format!("dns-option-off at {abroad}")),
            (a, odd_name, format!("dns-option-off at {shared}")),
        ],
    );
    let right = lab
        .clone()
        .with([(there, options(abroad, None, Some(On))), (two(), options(shared, None, Some(On)))]);
    answers(
        &right,
        [
            (a, far_name, format!("10.40.0.4 allowed over {abroad}")),
            (a, odd_name, format!("100.64.0.4 allowed over {shared}")),
        ],
    );
}

/// Rows one and two of 3.9.
#[test]
fn public_names_resolve_to_what_the_asker_may_use() {
    let lab = named(Profile::Today);
    let (a, b, ab, bare) = (lab.a, lab.b, lab.ab, lab.bare);
    let lab = public(lab.clone(), lab.k, "203.0.113.7");
    answers(
        &lab,
        [
            (b, K_PUBLIC, "10.20.1.4 in the same VPC".to_owned()),
            (a, K_PUBLIC, format!("203.0.113.7 because dns-option-off at {ab}")),
            (bare, K_PUBLIC, format!("203.0.113.7 because not-peered at {bare}")),
            (a, "ec2-203-0-113-8.compute-1.amazonaws.com", format!("no-such-name at {a}")),
            (a, "ec2-203-0-113-7.eu-west-1.compute.amazonaws.com", format!("no-such-name at {a}")),
        ],
    );
    let allowed = lab.with([(two(), options(ab, None, Some(On)))]);
    answers(&allowed, [(a, K_PUBLIC, format!("10.20.1.4 allowed over {ab}"))]);
    // Attributes that are switched off later take the effect of the option away.
    for (who, command, from, want) in [
        (one(), hostnames(a, Off), a, format!("203.0.113.7 because dns-hostnames-off at {a}")),
        (one(), support(a, Off), a, format!("no-resolver at {a}")),
        (two(), hostnames(b, Off), a, format!("dns-hostnames-off at {b}")),
        (two(), support(b, Off), a, format!("dns-support-off at {b}")),
        (
            two(),
            options(ab, None, Some(Off)),
            a,
            format!("203.0.113.7 because dns-option-off at {ab}"),
        ),
        (
            two(),
            Command::DeleteVpcPeeringConnection { peering: ab },
            a,
            format!("203.0.113.7 because not-peered at {a}"),
        ),
    ] {
        answers(&allowed.clone().with([(who, command)]), [(from, K_PUBLIC, want)]);
    }
    let seed = named(Profile::Seed);
    let seed = public(seed.clone(), seed.k, "203.0.113.7");
    let want = format!("203.0.113.7 because not-across-peering at {}", seed.ab);
    answers(&seed, [(seed.a, K_PUBLIC, want)]);
}

/// Two peers of one VPC may have the same address: a name that resolves for one of them resolves.
#[test]
fn a_name_that_two_peers_could_have_resolves_if_it_does_for_one() {
    let lab = named(Profile::Today);
    let mut build = Build { cloud: lab.cloud.clone(), events: lab.events.clone() };
    let mut peers = Vec::new();
    for _ in 0..2 {
        let (odd, ..) = build.vpc(&two(), "100.64.0.0/16");
        let subnet = build.subnet(&two(), odd, "100.64.0.0/24");
        build.act(&two(), run(subnet, None));
        build.act(&two(), hostnames(odd, On));
        let peering = build.request(&one(), lab.a, odd, &two());
        build.act(&two(), Command::AcceptVpcPeeringConnection { peering });
        peers.push(peering);
    }
    for allowed in peers {
        let mut build = Build { cloud: build.cloud.clone(), events: Vec::new() };
        build.act(&two(), options(allowed, None, Some(On)));
        let got = asked(&build.cloud, lab.a, "ip-100-64-0-4.ec2.internal");
        assert_eq!(got, format!("100.64.0.4 allowed over {allowed}"));
    }
}

#[test]
fn a_name_is_that_of_the_kind_and_place_it_was_made_for() {
    let region = one().region;
    let name = Hostname::new(Kind::Private, net("10.10.1.4"), region);
    assert_eq!(name.to_string(), I);
}

#[test]
fn labels_of_reasons_are_read_back_and_are_all_different() {
    for (n, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(Reason::from_label(reason.label()), Some(reason));
        let first = Reason::ALL.iter().position(|other| other.label() == reason.label());
        assert_eq!(first, Some(n), "{reason}");
    }
    assert_eq!(Reason::from_label("transit"), None);
}
