//! Rows of commands against one small network: what is accepted, and what is refused with which code.
//!
//! Holds the network ([`Lab`]) and the one function that touches the API ([`check`]). The rows are
//! beside it, one file per noun. Refuses to repeat the life of a peering: `tests/it/lifecycle.rs`.

mod dns;
mod flow_log;
mod forgetting;
mod gateway;
mod instance;
mod interface;
mod network_acl;
mod peering;
mod properties;
mod route_table;
mod security_group;
mod separation;
mod subnet;
mod tag;
mod vpc;

use std::net::IpAddr;

use ipnet::IpNet;

use super::Cloud;
use super::account::{Caller, Region};
use super::command::Command;
use super::event::{Change, Event};
use super::instance::{
    DeviceIndex, InterfaceWish, Ipv6Wish, NewInterface, OnTermination, SourceDestCheck, Wanted,
};
use super::peering::{End, Status};
use super::profile::Profile;
use super::quota::{Quota, Quotas};
use super::route_table::RouteTarget;
use crate::base::id::*;
use crate::base::time::{Instant, Span};

/// The word in a row for "accepted".
const OK: &str = "ok";
/// When the lab is ready, and when every row is asked.
const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

fn caller(number: u64, region: &str) -> Caller {
    Caller { account: AccountId::from_number(number).unwrap(), region: region.parse().unwrap() }
}

/// Owner of `a`, `bare` and all that is in them.
fn one() -> Caller {
    caller(111_111_111_111, "us-east-1")
}

/// Owner of `b`.
fn two() -> Caller {
    caller(222_222_222_222, "us-east-1")
}

/// Account one in a region where it has nothing.
fn one_abroad() -> Caller {
    caller(111_111_111_111, "eu-west-1")
}

/// An id that nothing has ever had.
fn nothing() -> Digits {
    Digits::parse("0badc0de").unwrap()
}

fn net<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// Two accounts, three VPCs, one active peering.
///
/// ```text
/// one: a     10.10.0.0/16  main, side ── a1 10.10.1.0/24 ── i (10.10.1.4), j (10.10.1.5, stopped)
///                                        a2 10.10.2.0/28
///      bare  10.30.0.0/16  main
/// two: b     10.20.0.0/16  main ──────── b1 10.20.1.0/24 ── k (10.20.1.4)
///      a ═══ ab ═══ b, and in the main table of a: 10.20.0.0/16 -> ab
/// ```
#[derive(Clone)]
struct Lab {
    cloud: Cloud,
    events: Vec<Event>,
    a: VpcId,
    a_main: RouteTableId,
    a_main_association: AssociationId,
    side: RouteTableId,
    side_association: AssociationId,
    a1: SubnetId,
    a2: SubnetId,
    i: (InstanceId, InterfaceId),
    j: (InstanceId, InterfaceId),
    bare: VpcId,
    bare_main: RouteTableId,
    b: VpcId,
    b_main: RouteTableId,
    b1: SubnetId,
    k: (InstanceId, InterfaceId),
    ab: PeeringId,
}

impl Lab {
    fn new(profile: Profile) -> Lab {
        let mut build = Build { cloud: Cloud::new(profile, Span::ZERO), events: Vec::new() };
        let (a, a_main, a_main_association) = build.vpc(&one(), "10.10.0.0/16");
        let (bare, bare_main, _) = build.vpc(&one(), "10.30.0.0/16");
        let (b, b_main, _) = build.vpc(&two(), "10.20.0.0/16");
        let a1 = build.subnet(&one(), a, "10.10.1.0/24");
        let a2 = build.subnet(&one(), a, "10.10.2.0/28");
        let b1 = build.subnet(&two(), b, "10.20.1.0/24");
        let side = build.table(&one(), a);
        let side_association = build.associate(&one(), side, a1);
        let (i, j) = (build.instance(&one(), a1), build.instance(&one(), a1));
        let k = build.instance(&two(), b1);
        build.act(&one(), Command::StopInstances { instance: j.0 });
        let ab = build.request(&one(), a, b, &two());
        build.act(&two(), Command::AcceptVpcPeeringConnection { peering: ab });
        build.act(
            &one(),
            Command::CreateRoute {
                table: a_main,
                destination: net("10.20.0.0/16"),
                target: RouteTarget::Peering(ab),
            },
        );
        let Build { cloud, events } = build;
        Lab {
            cloud,
            events,
            a,
            a_main,
            a_main_association,
            side,
            side_association,
            a1,
            a2,
            i,
            j,
            bare,
            bare_main,
            b,
            b_main,
            b1,
            k,
            ab,
        }
    }

    /// The lab after more commands, all of which must be accepted.
    fn with(self, commands: impl IntoIterator<Item = (Caller, Command)>) -> Lab {
        let mut build = Build { cloud: self.cloud, events: self.events };
        for (caller, command) in commands {
            build.act(&caller, command);
        }
        Lab { cloud: build.cloud, events: build.events, ..self }
    }

    /// The lab in which an account's quota is adjusted.
    fn quota(self, caller: &Caller, quota: Quota, limit: usize) -> Lab {
        let mut quotas = Quotas::default();
        quotas.set(quota, limit);
        self.with([(caller.clone(), Command::OpenAccount { quotas })])
    }
}

/// A cloud being built, and its events so far.
struct Build {
    cloud: Cloud,
    events: Vec<Event>,
}

impl Build {
    #[track_caller]
    fn act(&mut self, caller: &Caller, command: Command) -> Vec<Change> {
        let events = self.cloud.apply(caller, &command, NOW);
        let events = events.unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
        self.events.extend(events.iter().cloned());
        events.into_iter().map(|event| event.change).collect()
    }

    fn vpc(&mut self, caller: &Caller, cidr: &str) -> (VpcId, RouteTableId, AssociationId) {
        match self.act(caller, Command::CreateVpc { cidr: net(cidr) })[..] {
            [Change::VpcCreated { vpc, main_table, main_association, .. }] => {
                (vpc, main_table, main_association)
            }
            ref other => panic!("{other:?}"),
        }
    }

    fn subnet(&mut self, caller: &Caller, vpc: VpcId, cidr: &str) -> SubnetId {
        let command = Command::CreateSubnet { vpc, cidr: net(cidr), ipv6: None, zone: None };
        match self.act(caller, command)[..] {
            [Change::SubnetCreated { subnet, .. }] => subnet,
            ref other => panic!("{other:?}"),
        }
    }

    fn table(&mut self, caller: &Caller, vpc: VpcId) -> RouteTableId {
        match self.act(caller, Command::CreateRouteTable { vpc })[..] {
            [Change::RouteTableCreated { table, .. }] => table,
            ref other => panic!("{other:?}"),
        }
    }

    fn associate(
        &mut self,
        caller: &Caller,
        table: RouteTableId,
        subnet: SubnetId,
    ) -> AssociationId {
        match self.act(caller, Command::AssociateRouteTable { table, subnet })[..] {
            [Change::RouteTableAssociated { association, .. }] => association,
            ref other => panic!("{other:?}"),
        }
    }

    fn instance(&mut self, caller: &Caller, subnet: SubnetId) -> (InstanceId, InterfaceId) {
        match self.act(caller, run(subnet, None))[..] {
            [Change::InstanceRun { instance, interface, .. }] => (instance, interface),
            ref other => panic!("{other:?}"),
        }
    }

    /// An instance that comes with more than itself.
    fn instance_with_more(
        &mut self,
        caller: &Caller,
        subnet: SubnetId,
    ) -> (InstanceId, InterfaceId) {
        match self.act(caller, run(subnet, None))[..] {
            [Change::InstanceRun { instance, interface, .. }, ..] => (instance, interface),
            ref other => panic!("{other:?}"),
        }
    }

    /// An active peering with a VPC in the region of `peer`.
    fn abroad(&mut self, caller: &Caller, from: VpcId, to: VpcId, peer: &Caller) -> PeeringId {
        let command = Command::CreateVpcPeeringConnection {
            requester: from,
            accepter: to,
            peer_owner: Some(peer.account),
            peer_region: Some(peer.region.clone()),
        };
        let [Change::PeeringRequested { peering, .. }] = self.act(caller, command)[..] else {
            panic!("one request")
        };
        self.act(peer, Command::AcceptVpcPeeringConnection { peering });
        peering
    }

    fn request(&mut self, caller: &Caller, from: VpcId, to: VpcId, peer: &Caller) -> PeeringId {
        match self.act(caller, ask(from, to, peer))[..] {
            [Change::PeeringRequested { peering, .. } | Change::PeeringFound { peering }] => {
                peering
            }
            ref other => panic!("{other:?}"),
        }
    }
}

fn run(subnet: SubnetId, ipv4: Option<&str>) -> Command {
    Command::run_instance(NewInterface {
        ipv4: ipv4.map(net).into_iter().collect(),
        ..NewInterface::in_subnet(subnet)
    })
}

fn ask(requester: VpcId, accepter: VpcId, peer: &Caller) -> Command {
    Command::CreateVpcPeeringConnection {
        requester,
        accepter,
        peer_owner: Some(peer.account),
        peer_region: None,
    }
}

fn grow(vpc: VpcId, block: &str) -> Command {
    Command::AssociateVpcCidrBlock { vpc, block: net(block) }
}

/// Each row is asked of a lab of its own: who, what, and `ok` or the code of the refusal. In passing
/// every row shows that a refusal changes nothing and that the events rebuild the cloud.
#[track_caller]
fn check(lab: &Lab, rows: impl IntoIterator<Item = (Caller, Command, &'static str)>) {
    for (caller, command, want) in rows {
        let mut cloud = lab.cloud.clone();
        let got = cloud.apply(&caller, &command, NOW);
        let word = got.as_ref().map_or_else(|refusal| refusal.code(), |_| OK);
        assert_eq!(word, want, "{caller:?} {command:?}: {got:?}");
        match got {
            Err(_) => assert_eq!(cloud, lab.cloud, "{command:?} was refused and changed something"),
            Ok(events) => {
                let all = lab.events.iter().chain(&events);
                let replayed = Cloud::replay(cloud.profile(), Span::ZERO, all);
                assert_eq!(replayed, cloud, "{command:?} is not rebuilt by its events");
            }
        }
    }
}
