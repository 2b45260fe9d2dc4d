//! A cloud with a clock, and short ways of asking it for things.
//!
//! Every change goes through `Cloud::apply`, under the account that owns the VPC in question.
//! Refuses to know what a world is for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use vpclab::base::id::{AccountId, InterfaceId, PeeringId, RouteTableId, SubnetId, VpcId};
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::{Caller, Region};
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::instance::{NewInterface, SourceDestCheck};
use vpclab::cloud::peering::Peering;
use vpclab::cloud::profile::{Feature, Profile};
use vpclab::cloud::refusal::Refusal;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::cloud::security_group::GroupRule;
use vpclab::wire::{Packet, build};

/// A cloud and the moment it is.
#[derive(Clone, Debug)]
pub(crate) struct Lab {
    pub(crate) cloud: Cloud,
    pub(crate) now: Instant,
    /// What has changed, for whoever takes it.
    pub(crate) journal: Vec<Change>,
}

impl Lab {
    /// An empty cloud in which transient states take no time.
    pub(crate) fn new(profile: Profile) -> Lab {
        Lab { cloud: Cloud::new(profile, Span::ZERO), now: Instant::START, journal: Vec::new() }
    }

    /// An empty cloud in which transient states last `settle`.
    pub(crate) fn settling(profile: Profile, settle: Span) -> Lab {
        Lab { cloud: Cloud::new(profile, settle), now: Instant::START, journal: Vec::new() }
    }

    /// Asks as this account.
    pub(crate) fn ask_as(
        &mut self,
        caller: &Caller,
        command: &Command,
    ) -> Result<Vec<Change>, Refusal> {
        let events = self.cloud.apply(caller, command, self.now)?;
        let changes: Vec<Change> = events.into_iter().map(|event| event.change).collect();
        self.journal.extend_from_slice(&changes);
        // What time has done to others meanwhile is not what the command did.
        let forgotten = |change: &Change| {
            matches!(change, Change::PeeringForgotten { .. } | Change::InstanceForgotten { .. })
        };
        Ok(changes.into_iter().filter(|change| !forgotten(change)).collect())
    }

    /// Asks as the owner of this VPC, in its region.
    pub(crate) fn ask(&mut self, vpc: VpcId, command: &Command) -> Result<Vec<Change>, Refusal> {
        let owner = self.owner(vpc);
        self.ask_as(&owner, command)
    }

    /// Asks, and panics on a refusal.
    #[track_caller]
    pub(crate) fn must(&mut self, vpc: VpcId, command: &Command) -> Vec<Change> {
        self.ask(vpc, command).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"))
    }

    pub(crate) fn owner(&self, vpc: VpcId) -> Caller {
        let vpc = self.cloud.vpc(vpc).unwrap();
        Caller { account: vpc.owner, region: vpc.region.clone() }
    }

    /// A VPC of this account, and its main table.
    pub(crate) fn vpc(&mut self, account: AccountId, region: Region, cidr: Ipv4Net) -> VpcId {
        let caller = Caller { account, region };
        let changes = self.ask_as(&caller, &Command::CreateVpc { cidr }).unwrap();
        let [Change::VpcCreated { vpc, default_group: group, .. }] = changes[..] else {
            panic!("{changes:?}")
        };
        // Groups are not what these worlds are about: the default group lets everybody in.
        let families = if self.cloud.profile().has(Feature::Ipv6) { 2 } else { 1 };
        let rules = GroupRule::everybody()[..families].to_vec();
        self.ask_as(&caller, &Command::AuthorizeSecurityGroupIngress { group, rules }).unwrap();
        vpc
    }

    /// A VPC of the default account and region with one subnet that fills it.
    pub(crate) fn simple_vpc(&mut self, cidr: Ipv4Net) -> (VpcId, SubnetId) {
        let vpc = self.vpc(AccountId::DEFAULT, Region::default(), cidr);
        let subnet = self.subnet(vpc, cidr, None).unwrap();
        (vpc, subnet)
    }

    pub(crate) fn main_table(&self, vpc: VpcId) -> RouteTableId {
        self.cloud.vpc(vpc).unwrap().main_table()
    }

    pub(crate) fn subnet(
        &mut self,
        vpc: VpcId,
        cidr: Ipv4Net,
        ipv6: Option<ipnet::Ipv6Net>,
    ) -> Result<SubnetId, Refusal> {
        let changes = self.ask(vpc, &Command::CreateSubnet { vpc, cidr, ipv6, zone: None })?;
        match changes[..] {
            [Change::SubnetCreated { subnet, .. }] => Ok(subnet),
            ref other => panic!("{other:?}"),
        }
    }

    /// A table of its own for this subnet.
    pub(crate) fn table_for(&mut self, subnet: SubnetId) -> Result<RouteTableId, Refusal> {
        let vpc = self.cloud.subnet(subnet).unwrap().vpc;
        let table = match self.ask(vpc, &Command::CreateRouteTable { vpc })?[..] {
            [Change::RouteTableCreated { table, .. }] => table,
            ref other => panic!("{other:?}"),
        };
        self.ask(vpc, &Command::AssociateRouteTable { table, subnet })?;
        Ok(table)
    }

    /// A running instance with the lowest free addresses of its subnet.
    pub(crate) fn host(&mut self, subnet: SubnetId) -> Result<InterfaceId, Refusal> {
        let vpc = self.cloud.subnet(subnet).unwrap().vpc;
        let source_dest_check = SourceDestCheck::On;
        let run = Command::run_instance(NewInterface {
            source_dest_check,
            ..NewInterface::in_subnet(subnet)
        });
        match self.ask(vpc, &run)?[..] {
            [Change::InstanceRun { interface, .. }] => Ok(interface),
            ref other => panic!("{other:?}"),
        }
    }

    /// A request from one VPC to another.
    pub(crate) fn request(
        &mut self,
        requester: VpcId,
        accepter: VpcId,
    ) -> Result<PeeringId, Refusal> {
        let peer = self.owner(accepter);
        let request = Command::CreateVpcPeeringConnection {
            requester,
            accepter,
            peer_owner: Some(peer.account),
            peer_region: Some(peer.region),
        };
        match self.ask(requester, &request)?[..] {
            [Change::PeeringRequested { peering, .. } | Change::PeeringFound { peering }] => {
                Ok(peering)
            }
            ref other => panic!("{other:?}"),
        }
    }

    /// The peering, unless everybody has forgotten it.
    fn peering(&self, peering: PeeringId) -> Result<&Peering, Refusal> {
        self.cloud.peering(peering).ok_or(Refusal::PeeringNotFound(peering))
    }

    pub(crate) fn accept(&mut self, peering: PeeringId) -> Result<(), Refusal> {
        let accepter = self.peering(peering)?.accepter().vpc;
        self.ask(accepter, &Command::AcceptVpcPeeringConnection { peering }).map(|_| ())
    }

    pub(crate) fn reject(&mut self, peering: PeeringId) -> Result<(), Refusal> {
        let accepter = self.peering(peering)?.accepter().vpc;
        self.ask(accepter, &Command::RejectVpcPeeringConnection { peering }).map(|_| ())
    }

    pub(crate) fn delete(&mut self, peering: PeeringId) -> Result<(), Refusal> {
        let requester = self.peering(peering)?.requester().vpc;
        self.ask(requester, &Command::DeleteVpcPeeringConnection { peering }).map(|_| ())
    }

    /// Adds a route, or gives the one that exists this target.
    pub(crate) fn route(
        &mut self,
        table: RouteTableId,
        destination: IpNet,
        target: RouteTarget,
    ) -> Result<(), Refusal> {
        let vpc = self.cloud.table(table).unwrap().vpc;
        let exists = self.cloud.table(table).unwrap().routes().any(|r| r.0 == destination);
        let command = if exists {
            Command::ReplaceRoute { table, destination, target }
        } else {
            Command::CreateRoute { table, destination, target }
        };
        self.ask(vpc, &command).map(|_| ())
    }

    /// The interface's first address.
    pub(crate) fn address(&self, interface: InterfaceId) -> IpAddr {
        self.cloud.interface(interface).unwrap().addresses[0]
    }
}

/// A datagram between these addresses, from a port that takes an answer.
pub(crate) fn datagram(source: IpAddr, destination: IpAddr) -> Packet {
    build::udp(SocketAddr::new(source, 40_000), SocketAddr::new(destination, 9), b"?").unwrap()
}
