//! A network that is written as a file: what it says, and that packets meet the same fates in it.
//!
//! Holds one network as a golden that a human has read, and random ones. In these everything that a
//! warning names is taken away first, so that a difference in a packet's fate would be something that
//! is left out silently. Refuses to know the format: the project's own reader reads it.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at; a failure names the line"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use vpclab::base::diag::Colour;
use vpclab::base::id::*;
use vpclab::base::time::Span;
use vpclab::cloud::Cloud;
use vpclab::cloud::account::Region;
use vpclab::cloud::command::Command;
use vpclab::cloud::event::ResourceId;
use vpclab::cloud::filter::{Direction, Traffic};
use vpclab::cloud::gateway::OutsideHost;
use vpclab::cloud::instance::{Host, InstanceState};
use vpclab::cloud::network_acl::{AclAction, AclEntry};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::{Hop, RouteState, RouteTarget};
use vpclab::forward::walk::End;
use vpclab::forward::{Memory, Reference, Rows};
use vpclab::report::export;
use vpclab::scenario::{load, run};
use vpclab::sim::Twin;

use crate::pages::current;
use crate::support::lab::Lab;
use crate::support::plan::over;
use crate::support::traffic;
use crate::support::whole::{Act, Whole, whole_plans};

/// Where something is, in words that are the same in both networks: its VPC or gateway, and addresses.
type Place = (String, Vec<IpAddr>);

/// The places of all interfaces. `name` says what a VPC or gateway is called.
fn places(cloud: &Cloud, name: impl Fn(ResourceId) -> String) -> BTreeMap<InterfaceId, Place> {
    let inside = cloud.interfaces().map(|(id, interface)| {
        (id, (name(ResourceId::Vpc(interface.vpc)), interface.addresses.clone()))
    });
    let outside = cloud
        .outside_hosts()
        .map(|(id, host)| (id, (name(ResourceId::Gateway(host.beyond)), host.addresses.clone())));
    inside.chain(outside).collect()
}

/// The cloud that a written network declares.
fn declared(cloud: &Cloud, text: &str) -> Result<run::Built, String> {
    // Behind the two lines of the head stands what only a whole file may say.
    let (profile, blackhole) = (cloud.profile(), cloud.blackhole().name());
    let head = format!("\nprofile: {profile}\nblackhole: {blackhole}\nname");
    let text = text.replacen("\nname", &head, 1);
    let loaded = load::parse("written.yaml", &text);
    let built = loaded.and_then(|file| run::build(&file, None, Twin::Compiled));
    built.map_err(|failure| {
        format!("{}\n{text}", failure.diagnostics.render(&failure.sources, Colour::Plain))
    })
}

/// Takes away, or puts right, what a file cannot say.
fn simplify(whole: &mut Whole) {
    let cloud = whole.world.lab.cloud.clone();
    for (interface, found) in cloud.interfaces() {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for address in &found.addresses {
            match address {
                IpAddr::V4(address) => v4.push(*address),
                IpAddr::V6(address) => v6.push(*address),
            }
        }
        if v4.len() > 1 {
            let addresses = v4.split_off(1);
            whole.ask(found.vpc, &Command::UnassignPrivateIpAddresses { interface, addresses });
        }
        if v6.len() > 1 {
            let addresses = v6.split_off(1);
            whole.ask(found.vpc, &Command::UnassignIpv6Addresses { interface, addresses });
        }
        if let Host::Instance(instance) = found.host
            && cloud.instance(instance).is_some_and(|one| one.state == InstanceState::Stopped)
        {
            whole.ask(found.vpc, &Command::StartInstances { instance });
        }
        if found.host == Host::Nobody {
            whole.ask(found.vpc, &Command::DeleteNetworkInterface { interface });
        }
    }
    let lab = &mut whole.world.lab;
    lab.now = lab.now + Span::from_secs(10);
    let cloud = lab.cloud.clone();
    for (table, found) in cloud.tables() {
        for (destination, target) in found.routes() {
            let waits = match target {
                // Declared with `accepted: false`.
                RouteTarget::Peering(id) => cloud.peering(id).is_some_and(|p| {
                    p.status(lab.now) == vpclab::cloud::peering::Status::PendingAcceptance
                }),
                _ => false,
            };
            let state = cloud.route_state(Hop::To(target), lab.now);
            if state == RouteState::Blackhole && !waits {
                let command = Command::DeleteRoute { table, destination };
                let owner = lab.owner(found.vpc);
                lab.ask_as(&owner, &command).unwrap();
            }
        }
    }
}

/// What may stand in a file whose packets fare as they did: it is about packets that are not sent here.
const HARMLESS: [&str; 7] = [
    "the private address of",
    "which TCP ports instances serve",
    "is attached to no VPC",
    "whose gateway is not in this file",
    "which stands for nothing",
    "which is empty",
    "which matches nothing here",
];

#[derive(Default, Debug)]
struct Seen {
    worlds: u64,
    /// Worlds of which a file cannot say all.
    left_out: u64,
    packets: u64,
    /// Packets whose sender or receiver is not in the file, or not the only one.
    strangers: u64,
    delivered: u64,
    dropped: BTreeMap<&'static str, u64>,
}

#[test]
fn packets_meet_the_same_fates_in_what_is_written() {
    let seen = RefCell::new(Seen::default());
    over(150, &whole_plans(120), |plan| {
        let mut whole = Whole::build(&plan);
        let as_it_is = export::network(&whole.world.lab.cloud, whole.world.lab.now, None, "all");
        // Whatever the warnings say, it loads.
        declared(&whole.world.lab.cloud, &as_it_is.text).map_err(TestCaseError::fail)?;
        simplify(&mut whole);
        let (cloud, now) = (&whole.world.lab.cloud, whole.world.lab.now);
        let written = export::network(cloud, now, None, "simple");
        let again = declared(cloud, &written.text).map_err(TestCaseError::fail)?;
        let mut seen = seen.borrow_mut();
        seen.worlds += 1;
        let is_harmless = |warning: &String| HARMLESS.iter().any(|one| warning.contains(one));
        if let Some(warning) = written.warnings.iter().find(|one| !is_harmless(one)) {
            // Rare: counted below.
            println!("not compared: {warning}");
            seen.left_out += 1;
            return Ok(());
        }
        let (other, later) = (again.cloud(), again.cloud().latest() + Span::from_secs(1));
        // Without names, labels are ids as labels can be.
        let here = places(cloud, |id| id.to_string().replace('-', "_"));
        let there = places(other, |id| other.name(id).unwrap_or_default().to_owned());
        let by_place: BTreeMap<&Place, InterfaceId> =
            there.iter().map(|(id, place)| (place, *id)).collect();
        // The private address of a NAT gateway cannot be wished.
        let nats: Vec<IpAddr> = [cloud, other]
            .into_iter()
            .flat_map(|cloud| cloud.nat_gateways().map(move |(_, nat)| (cloud, nat.interface)))
            .filter_map(|(cloud, id)| Some(cloud.interface(id)?.addresses.clone()))
            .flatten()
            .collect();
        let rows = [Rows::of(cloud), Rows::of(other)];
        let twins = [Reference::new(cloud, &rows[0], now), Reference::new(other, &rows[1], later)];
        for act in &plan.acts {
            let Act::Send(send) = act else { continue };
            let Some((from, packets)) = traffic::packets(&whole, send, &[]) else { continue };
            let Some(from) = here.get(&from).and_then(|place| Some([from, *by_place.get(place)?]))
            else {
                seen.strangers += 1;
                continue;
            };
            let Some(packet) = packets.first() else { continue };
            // The rules of 2014-15 know no IPv6: packets of it are lost, and files say nothing of it.
            if cloud.profile() == Profile::Seed && packet.destination().is_ipv6() {
                continue;
            }
            if nats.contains(&packet.destination()) || nats.contains(&packet.source()) {
                continue;
            }
            // The internet is one, so a host behind a gateway that is left out is reached over others;
            // the warning names it.
            let to = packet.destination();
            let is_left_out = |(id, host): (_, &OutsideHost)| {
                host.addresses.contains(&to) && !by_place.contains_key(&here[&id])
            };
            // Which of several VPCs with one IPv6 block the internet leads into follows from ids.
            let holders = cloud.vpcs().filter(|(_, vpc)| vpc.contains(to)).count();
            if cloud.outside_hosts().any(is_left_out) || (to.is_ipv6() && holders > 1) {
                seen.strangers += 1;
                continue;
            }
            let fates = [0, 1].map(|n| {
                let row = rows[n].interface(from[n]).unwrap();
                twins[n].walk(row, packet, &mut Memory::default()).end
            });
            let place = |end: End, places: &BTreeMap<InterfaceId, Place>| match end {
                End::Delivered(at) => Ok(places.get(&at).cloned()),
                End::Dropped(reason, _) => Err(reason),
            };
            let [had, has] = fates;
            let (had, has) = (place(had, &here), place(has, &there));
            prop_assert_eq!(&had, &has, "{:?}\n{}", send, written.text);
            seen.packets += 1;
            match had {
                Ok(_) => seen.delivered += 1,
                Err(reason) => *seen.dropped.entry(reason.label()).or_default() += 1,
            }
        }
        Ok(())
    });
    let seen = seen.into_inner();
    println!("{seen:?}");
    assert!(seen.left_out * 4 < seen.worlds, "{seen:?}");
    assert!(seen.strangers * 5 < seen.packets, "{seen:?}");
    assert!(seen.delivered > 100 && seen.dropped.len() > 5, "{seen:?}");
}

/// A network with one of everything that a file cannot say.
#[test]
fn what_a_file_cannot_say_stands_in_it() {
    let mut lab = Lab::new(Profile::Today);
    let account = AccountId::DEFAULT;
    let [a, b, c] = ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16"]
        .map(|block| lab.vpc(account, Region::default(), block.parse().unwrap()));
    let subnets = [(a, "10.0.1.0/24"), (b, "10.1.1.0/24"), (c, "10.2.1.0/24")]
        .map(|(vpc, block)| lab.subnet(vpc, block.parse().unwrap(), None).unwrap());
    let hosts = subnets.map(|subnet| lab.host(subnet).unwrap());
    let peerings = [(a, b), (a, c)].map(|(one, other)| {
        let peering = lab.request(one, other).unwrap();
        lab.accept(peering).unwrap();
        peering
    });
    let table = lab.cloud.vpc(a).unwrap().main_table();
    for (peering, block) in peerings.into_iter().zip(["10.1.0.0/16", "10.2.0.0/16"]) {
        lab.route(table, block.parse().unwrap(), RouteTarget::Peering(peering)).unwrap();
    }
    lab.delete(peerings[1]).unwrap();
    let second = vec!["10.0.1.99".parse().unwrap()];
    let wanted = vpclab::cloud::instance::Wanted::These(second);
    lab.must(a, &Command::AssignPrivateIpAddresses { interface: hosts[0], addresses: wanted });
    let instance = lab.cloud.interface(hosts[1]).unwrap().instance().unwrap();
    lab.must(b, &Command::StopInstances { instance });
    lab.must(a, &Command::AllocateAddress { address: Some("203.0.113.9".parse().unwrap()) });
    let written = export::network(&lab.cloud, lab.now, None, "What a file cannot say");
    current("tests/data/export.yaml", &written.text);
    declared(&lab.cloud, &written.text).unwrap();
    assert_eq!(written.text.matches("# Not said here: ").count(), written.warnings.len());
}

/// A default ACL with two rules for IPv4 and none for IPv6 is not what a VPC is born with, though there
/// are as many rules.
#[test]
fn a_default_acl_that_lets_no_ipv6_pass_is_written_out() {
    let mut lab = Lab::new(Profile::Today);
    let block = "10.0.0.0/16".parse().unwrap();
    let vpc = lab.vpc(AccountId::DEFAULT, Region::default(), block);
    let acl = lab.cloud.vpc(vpc).unwrap().default_acl();
    let written = |lab: &Lab| export::network(&lab.cloud, lab.now, None, "A default ACL").text;
    let born = written(&lab);
    assert!(!born.contains("network_acls:"), "{born}");
    for direction in [Direction::Ingress, Direction::Egress] {
        let entries = lab.cloud.acl(acl).unwrap().entries(direction);
        let v6 = entries.iter().find(|(_, entry)| entry.block.addr().is_ipv6()).map(|(&n, _)| n);
        let number = v6.unwrap();
        lab.must(vpc, &Command::DeleteNetworkAclEntry { acl, direction, number });
        let entry = AclEntry {
            traffic: Traffic::All,
            block: "0.0.0.0/0".parse().unwrap(),
            action: AclAction::Allow,
        };
        lab.must(vpc, &Command::CreateNetworkAclEntry { acl, direction, number, entry });
    }
    let text = written(&lab);
    assert!(text.contains("network_acls:") && !text.contains("::/0"), "{text}");
    declared(&lab.cloud, &text).unwrap();
}
