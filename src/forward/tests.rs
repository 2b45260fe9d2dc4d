//! Walks, word for word: what a trace is made of.
//!
//! Holds a small language for worlds of VPCs `A`..`D` with hosts `a`..`d`, and tables of what is
//! found in them. Refuses to hold the proof that verdicts are right: that is in `tests/it`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::fabric::Fabric;
use super::walk::{End, Step, Walk};
use super::{Connections, Forwarder, Memory, Reference, Rows};
use crate::base::id::*;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::account::{Caller, Region};
use crate::cloud::command::Command;
use crate::cloud::event::Change;
use crate::cloud::instance::{DeviceIndex, NewInterface, SourceDestCheck};
use crate::cloud::profile::Profile;
use crate::cloud::route_table::RouteTarget;
use crate::cloud::security_group::GroupRule;
use crate::wire::{Packet, TcpFlags, build};

/// A world in which everything has a one- or two-letter name.
pub(super) struct World {
    pub(super) cloud: Cloud,
    pub(super) vpcs: BTreeMap<String, (VpcId, RouteTableId)>,
    pub(super) hosts: BTreeMap<String, (InterfaceId, InstanceId, IpAddr)>,
    peerings: BTreeMap<String, PeeringId>,
}

pub(super) const NOW: Instant = Instant::START;

impl World {
    /// One line a change: `vpc A 10.0.0.0/16` (with host `a`), `peer AB`, `ask AB`, `end AB`,
    /// `route A 10.1.0.0/16 AB` (or a host for a peering), `stop a`, `terminate a`, `check-off a`, `eni a ae` (an interface
    /// of nobody beside `a`), `attach ae` (to `a`), `detach ae`.
    pub(super) fn of(lines: &str) -> World {
        let cloud = Cloud::new(Profile::Seed, Span::ZERO);
        let (vpcs, hosts, peerings) = Default::default();
        let mut world = World { cloud, vpcs, hosts, peerings };
        for line in lines.split(';').map(str::trim) {
            world.change(&line.split_whitespace().collect::<Vec<_>>());
        }
        world
    }

    pub(super) fn ask(&mut self, command: &Command) -> Vec<Change> {
        let caller = Caller { account: AccountId::DEFAULT, region: Region::default() };
        let events = self.cloud.apply(&caller, command, NOW).unwrap();
        events.into_iter().map(|event| event.change).collect()
    }

    fn change(&mut self, words: &[&str]) {
        match words {
            ["vpc", name, cidr] => self.add_vpc(name, cidr),
            ["peer" | "ask", pair] => {
                let end = |at| self.vpcs[&pair[at..=at]].0;
                let command = Command::CreateVpcPeeringConnection {
                    requester: end(0),
                    accepter: end(1),
                    peer_owner: None,
                    peer_region: None,
                };
                let [Change::PeeringRequested { peering, .. }] = self.ask(&command)[..] else {
                    panic!("{pair}")
                };
                self.peerings.insert((*pair).to_owned(), peering);
                if words[0] == "peer" {
                    self.ask(&Command::AcceptVpcPeeringConnection { peering });
                }
            }
            ["end", pair] => {
                let peering = self.peerings[*pair];
                self.ask(&Command::DeleteVpcPeeringConnection { peering });
            }
            ["route", vpc, destination, target] => {
                let target = match self.hosts.get(*target) {
                    Some((interface, ..)) => RouteTarget::Interface(*interface),
                    None => RouteTarget::Peering(self.peerings[*target]),
                };
                let (table, destination) = (self.vpcs[*vpc].1, destination.parse().unwrap());
                self.ask(&Command::CreateRoute { table, destination, target });
            }
            ["eni", beside, name] => {
                let (near, instance, _) = self.hosts[*beside];
                let subnet = self.cloud.interface(near).unwrap().subnet;
                let wanted = NewInterface::in_subnet(subnet);
                let changes = self.ask(&Command::CreateNetworkInterface { wanted });
                let [Change::InterfaceCreated { interface, ref addresses, .. }] = changes[..]
                else {
                    panic!("{name}")
                };
                self.hosts.insert((*name).to_owned(), (interface, instance, addresses[0]));
            }
            ["attach", name] => {
                let (interface, instance, _) = self.hosts[*name];
                let device = DeviceIndex::new(1);
                self.ask(&Command::AttachNetworkInterface { interface, instance, device });
            }
            ["detach", name] => {
                let interface = self.cloud.interface(self.hosts[*name].0).unwrap();
                let attachment = interface.attachment.unwrap().id;
                self.ask(&Command::DetachNetworkInterface { attachment });
            }
            [verb, host] => {
                let (interface, instance, _) = self.hosts[*host];
                let source_dest_check = SourceDestCheck::Off;
                self.ask(&match *verb {
                    "stop" => Command::StopInstances { instance },
                    "terminate" => Command::TerminateInstances { instance },
                    "check-off" => {
                        Command::ModifyNetworkInterfaceAttribute { interface, source_dest_check }
                    }
                    _ => panic!("{verb}"),
                });
            }
            _ => panic!("{words:?}"),
        }
    }

    fn add_vpc(&mut self, name: &str, cidr: &str) {
        let cidr = cidr.parse().unwrap();
        let [Change::VpcCreated { vpc, main_table, default_group: group, .. }] =
            self.ask(&Command::CreateVpc { cidr })[..]
        else {
            panic!("{name}")
        };
        let rules = vec![GroupRule::everybody_v4()];
        self.ask(&Command::AuthorizeSecurityGroupIngress { group, rules });
        self.vpcs.insert(name.to_owned(), (vpc, main_table));
        let command = Command::CreateSubnet { vpc, cidr, ipv6: None, zone: None };
        let [Change::SubnetCreated { subnet, .. }] = self.ask(&command)[..] else {
            panic!("{name}")
        };
        // A router `x` beside host `a`, for tables that name one.
        for host in [name.to_lowercase(), format!("{}x", name.to_lowercase())] {
            let source_dest_check = SourceDestCheck::On;
            let run = Command::run_instance(NewInterface {
                source_dest_check,
                ..NewInterface::in_subnet(subnet)
            });
            let [Change::InstanceRun { interface, instance, ref addresses, .. }] =
                self.ask(&run)[..]
            else {
                panic!("{host}")
            };
            self.hosts.insert(host, (interface, instance, addresses[0]));
        }
    }

    pub(super) fn packet(&self, from: &str, to: &str) -> Packet {
        // A host, or an address.
        let address = |who: &str| self.hosts.get(who).map_or_else(|| who.parse().unwrap(), |h| h.2);
        let ends = [from, to].map(|who| SocketAddr::new(address(who), 80));
        build::tcp(ends[0], ends[1], TcpFlags::SYN, 1, 0, &[]).unwrap()
    }

    pub(super) fn walk(&self, from: &str, packet: &Packet) -> Walk {
        let rows = Rows::of(&self.cloud);
        let from = rows.interface(self.hosts[from].0).unwrap();
        let fabric = Fabric::compile(&self.cloud, &rows, NOW);
        let mut memory = Connections::default();
        let by_fabric = fabric
            .leave(from, packet, &mut memory)
            .and_then(|crossing| fabric.enter(crossing, packet, &mut memory));
        let walk =
            Reference::new(&self.cloud, &rows, NOW).walk(from, packet, &mut Memory::default());
        let end = match by_fabric {
            Ok(at) => End::Delivered(rows.interface_id(at)),
            Err(drop) => End::Dropped(drop.reason, rows.locate(drop.at)),
        };
        assert_eq!(walk.end, end);
        walk
    }

    /// The value as text, with names for ids.
    pub(super) fn named(&self, value: &impl std::fmt::Debug) -> String {
        let mut text = format!("{value:?}");
        let mut name =
            |id: &dyn std::fmt::Debug, name: &str| text = text.replace(&format!("{id:?}"), name);
        for (vpc, (id, table)) in &self.vpcs {
            name(id, vpc);
            name(table, vpc);
            if let Some(of_it) = self.cloud.vpc(*id) {
                name(&of_it.default_group(), &format!("{vpc}-group"));
                name(&of_it.default_acl(), &format!("{vpc}-acl"));
            }
        }
        for (host, (interface, ..)) in &self.hosts {
            name(interface, host);
        }
        for (peering, id) in &self.peerings {
            name(id, peering);
        }
        text
    }
}

/// A hub A with two spokes B and C, routes of the spokes to the hub and back.
pub(super) const HUB: &str = "vpc A 10.0.0.0/16; vpc B 10.1.0.0/16; vpc C 10.2.0.0/16; peer AB; peer AC; \
    route A 10.1.0.0/16 AB; route A 10.2.0.0/16 AC; route B 10.0.0.0/16 AB; route C 10.0.0.0/16 AC";

#[test]
fn a_walk_names_what_decided() {
    for (more, from, to, want) in [
        ("", "a", "ax", "Delivered(ax)"),
        ("", "b", "a", "Delivered(a)"),
        ("", "b", "c", "Dropped(NoRoute, Table(B))"),
        ("route B 10.2.0.0/16 AB", "b", "c", "Dropped(Transit, Peering(AB))"),
        ("route B 0.0.0.0/0 AB", "b", "192.0.2.1", "Dropped(Transit, Peering(AB))"),
        ("end AB", "b", "a", "Dropped(Blackhole, Table(B))"),
        ("route B 0.0.0.0/0 bx; stop bx", "b", "c", "Dropped(Blackhole, Table(B))"),
        ("route B 0.0.0.0/0 bx", "b", "c", "Dropped(DestCheck, Interface(bx))"),
        ("route B 0.0.0.0/0 bx; check-off bx", "b", "c", "Delivered(bx)"),
        ("stop a", "b", "a", "Dropped(InterfaceDown, Interface(a))"),
        ("stop b", "b", "a", "Dropped(InterfaceDown, Interface(b))"),
        ("terminate a", "b", "a", "Dropped(NoSuchHost, Vpc(A))"),
        ("eni a ae", "b", "ae", "Dropped(InterfaceDown, Interface(ae))"),
        ("eni a ae", "ae", "b", "Dropped(InterfaceDown, Interface(ae))"),
        ("eni a ae; attach ae", "b", "ae", "Delivered(ae)"),
        ("eni a ae; attach ae", "ae", "b", "Delivered(b)"),
        ("eni a ae; attach ae; stop a", "b", "ae", "Dropped(InterfaceDown, Interface(ae))"),
        ("eni a ae; attach ae; detach ae", "b", "ae", "Dropped(InterfaceDown, Interface(ae))"),
        ("eni a ae; attach ae; terminate a", "b", "ae", "Dropped(InterfaceDown, Interface(ae))"),
    ] {
        let lines = if more.is_empty() { HUB.to_owned() } else { format!("{HUB}; {more}") };
        let world = World::of(&lines);
        let walk = world.walk(from, &world.packet(from, to));
        assert_eq!(world.named(&walk.end), want, "{from} -> {to}, {more}");
    }
}

#[test]
fn a_walk_into_transit_tells_what_lies_beyond() {
    let world = World::of(&format!("{HUB}; route B 0.0.0.0/0 AB; route B 10.2.0.0/16 AB"));
    let walk = world.walk("b", &world.packet("b", "c"));
    let filters = |step: &&Step| matches!(step, Step::Groups { .. } | Step::Acl { .. });
    let steps = walk.steps.iter().filter(|step| !filters(step));
    let steps: Vec<String> = steps.map(|step| world.named(step)).collect();
    let to_ab = "hop: To(Peering(AB)), state: Active }";
    assert_eq!(
        steps,
        [
            &format!(
                "Table {{ table: B, matches: [Match {{ destination: 10.2.0.0/16, {to_ab}, \
                 Match {{ destination: 0.0.0.0/0, {to_ab}] }}"
            ),
            "Peering { peering: AB, status: Some(Active) }",
            "Gate { peering: AB, into: A, blocks: [10.0.0.0/16], holds: No }",
            "Beyond { found: [Vpc { vpc: C, peering: AC, status: Active }] }",
        ]
    );
}

/// A row outlives what it stood for, and what comes later gets rows of its own.
#[test]
fn rows_are_never_given_to_another() {
    let mut world = World::of(HUB);
    let mut rows = Rows::of(&world.cloud);
    let (a, ab) = (world.hosts["a"].0, world.peerings["AB"]);
    let (row, peering) = (rows.interface(a), rows.peering(ab));
    let count = rows.interface_count();
    for line in ["terminate a", "end AB", "vpc D 10.3.0.0/16", "peer AD"] {
        world.change(&line.split_whitespace().collect::<Vec<_>>());
        rows.update(&world.cloud);
        assert_eq!((rows.interface(a), rows.peering(ab)), (row, peering), "{line}");
    }
    assert_eq!(rows.interface_count(), count + 2);
    let new = rows.interface(world.hosts["d"].0).unwrap();
    assert!(new.row() >= count, "{new:?}");
}
