//! The stage: the simulated world together with the labels of the file.
//!
//! Holds label resolution, who asks when a file does not say, and the commands that declare a
//! resource and give it its name; the declared network and the steps use the same ones. Refuses to
//! know how a file is written (places and diagnostics are the callers').

mod filter;
mod flow_log;
mod gateway;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use thiserror::Error;

use super::ast::{
    AccountRef, Destination, Label, NameRef, PeeringRef, SubnetRef, TableRef, TargetRef, VpcRef,
};
use crate::base::id::*;
use crate::cloud::account::{Caller, Region, Zone};
use crate::cloud::command::Command;
use crate::cloud::dns::{Switch, VpcAttribute};
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::hostname::{Hostname, Kind};
use crate::cloud::instance::{NewInterface, SourceDestCheck};
use crate::cloud::peering::Peering;
use crate::cloud::refusal::Refusal;
use crate::cloud::route_table::RouteTarget;
use crate::cloud::tag;
use crate::sim::Sim;
use crate::wire::Family;
use flow_log::KnownFlowLog;
use gateway::{KnownAddress, KnownGateway, KnownOutside};

pub(super) use filter::{authorize, revoke};

/// Why the stage cannot do what a file wants.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(super) enum Trouble {
    /// The cloud says no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The label was to be introduced by something that the cloud refused.
    #[error("{kind} `{label}` does not exist: what was to create it did not succeed")]
    Absent {
        /// What it was to be.
        kind: &'static str,
        /// The label.
        label: String,
    },
    /// Several subnets, and nothing says which one.
    #[error("`{vpc}` has several subnets: say which one with `subnet: {vpc}/...`, or give an `ip`")]
    WhichSubnet {
        /// The VPC.
        vpc: String,
    },
    /// No subnet has the address.
    #[error("no subnet of `{vpc}` holds {ip}")]
    NoSubnetHolds {
        /// The VPC.
        vpc: String,
        /// The address.
        ip: IpAddr,
    },
    /// The address is meant to be a VPC's and is not.
    #[error("{address} is in no block of `{vpc}`")]
    NotInVpc {
        /// The VPC.
        vpc: String,
        /// The address.
        address: IpAddr,
    },
    /// The VPC has no subnet.
    #[error("`{vpc}` has no subnet")]
    NoSubnet {
        /// The VPC.
        vpc: String,
    },
    /// The instance has no address of that family.
    #[error("`{instance}` has no {} address", family.title())]
    NoAddress {
        /// The instance.
        instance: String,
        /// The family.
        family: Family,
    },
    /// The instance has no public address, so it has no public name.
    #[error("`{instance}` has no public address, and so no public name")]
    NoPublicName {
        /// The instance.
        instance: String,
    },
    /// The instance cannot ask for a name.
    #[error("`{instance}` does not run, so it asks nobody")]
    NotRunning {
        /// The instance.
        instance: String,
    },
    /// No public address stands for the instance.
    #[error("`{instance}` has no public address")]
    NoPublicAddress {
        /// The instance.
        instance: String,
    },
    /// The subnet uses the main table without being told to.
    #[error("`{subnet}` has no association of its own: it uses the main table")]
    NoAssociation {
        /// The subnet.
        subnet: String,
    },
    /// A connection that cannot be opened or served.
    #[error("{0}")]
    Tcp(#[from] crate::sim::tcp::TcpError),
    /// A packet that cannot be built.
    #[error("{0}")]
    Packet(#[from] crate::wire::build::BuildError),
}

/// What a file calls an instance.
#[derive(Clone, Debug)]
pub(super) struct KnownInstance {
    pub(super) instance: InstanceId,
    pub(super) interface: InterfaceId,
    pub(super) vpc: VpcId,
    /// Its addresses when it was started; they stay known after its end.
    pub(super) addresses: Vec<IpAddr>,
}

/// Whoever sends and receives: an instance, or a host outside the cloud.
#[derive(Clone, Debug)]
pub(super) struct KnownHost {
    pub(super) interface: InterfaceId,
    /// Its addresses when it was started or placed; they stay known after its end.
    pub(super) addresses: Vec<IpAddr>,
}

/// What labels stand for. A label keeps its meaning after the resource is gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    pub(super) accounts: BTreeMap<Label, AccountId>,
    pub(super) vpcs: BTreeMap<Label, VpcId>,
    pub(super) subnets: BTreeMap<(VpcId, Label), SubnetId>,
    pub(super) tables: BTreeMap<(VpcId, Label), RouteTableId>,
    pub(super) peerings: BTreeMap<Label, PeeringId>,
    pub(super) instances: BTreeMap<Label, KnownInstance>,
    /// Groups with their VPCs.
    pub(super) groups: BTreeMap<Label, (SecurityGroupId, VpcId)>,
    /// Prefix lists with their owners.
    pub(super) prefix_lists: BTreeMap<Label, (PrefixListId, Caller)>,
    pub(super) acls: BTreeMap<(VpcId, Label), NetworkAclId>,
    gateways: BTreeMap<Label, KnownGateway>,
    nat_gateways: BTreeMap<Label, (NatGatewayId, VpcId)>,
    addresses: BTreeMap<Label, KnownAddress>,
    outside: BTreeMap<Label, KnownOutside>,
    flow_logs: BTreeMap<Label, KnownFlowLog>,
}

/// The world and its labels.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) sim: Sim,
    pub(super) labels: Labels,
    /// The owner of every VPC that ever was.
    owners: BTreeMap<VpcId, Caller>,
    /// VPCs whose subnets were left out, so that the first default one stands for all.
    default_subnets: BTreeSet<VpcId>,
    /// The group that allows everything, of VPCs in which an instance has needed it.
    open_groups: BTreeMap<VpcId, SecurityGroupId>,
    /// Who owns and asks where the file names nobody.
    account: AccountId,
    /// Pings so far, modulo 2^16.
    pings: u16,
    /// Connections so far.
    connections: u16,
}

/// What a subnet is made of.
#[derive(Clone, Debug)]
pub(super) struct SubnetPlan {
    pub(super) label: Label,
    pub(super) cidr: Ipv4Net,
    pub(super) ipv6: Option<Ipv6Net>,
    pub(super) zone: Option<Zone>,
}

/// Addresses, check and groups of an instance to be started.
#[derive(Clone, Debug)]
pub(super) struct InstancePlan {
    pub(super) ip: Option<Ipv4Addr>,
    pub(super) ipv6: Option<Ipv6Addr>,
    pub(super) check: SourceDestCheck,
    /// None is the VPC's open group.
    pub(super) groups: Vec<SecurityGroupId>,
}

/// `label` in `map`, or trouble.
fn find<K: Ord, V: Clone>(
    map: &BTreeMap<K, V>,
    key: &K,
    kind: &'static str,
    label: impl ToString,
) -> Result<V, Trouble> {
    map.get(key).cloned().ok_or_else(|| Trouble::Absent { kind, label: label.to_string() })
}

impl Stage {
    pub(super) fn new(sim: Sim, account: AccountId) -> Stage {
        Stage {
            sim,
            labels: Labels::default(),
            owners: BTreeMap::new(),
            default_subnets: BTreeSet::new(),
            open_groups: BTreeMap::new(),
            account,
            pings: 0,
            connections: 0,
        }
    }

    /// The identifier for the echo requests of one step, so that a capture tells steps apart.
    pub(super) fn next_ping(&mut self) -> u16 {
        self.pings = self.pings.wrapping_add(1);
        self.pings
    }

    /// The source port of the next connection: one after the other, so that no two are the same flow.
    pub(super) fn next_port(&mut self) -> u16 {
        const FIRST: u16 = 49_152;
        let port = FIRST + self.connections % (u16::MAX - FIRST + 1);
        self.connections = self.connections.wrapping_add(1);
        port
    }

    // ---- who asks -------------------------------------------------------------------------------

    pub(super) fn account(&self, account: Option<&AccountRef>) -> Result<AccountId, Trouble> {
        match account {
            None => Ok(self.account),
            Some(AccountRef::Id(id)) => Ok(*id),
            Some(AccountRef::Label(l)) => find(&self.labels.accounts, l, "account", l),
        }
    }

    /// The owner of a VPC, in its region; for a VPC that never was, the default account.
    pub(super) fn owner(&self, vpc: VpcId) -> Caller {
        let nobody = || Caller { account: self.account, region: Region::default() };
        self.owners.get(&vpc).cloned().unwrap_or_else(nobody)
    }

    fn peering_end(&self, id: PeeringId, end: impl Fn(&Peering) -> VpcId) -> Caller {
        match self.sim.cloud().peering(id) {
            Some(peering) => self.owner(end(peering)),
            None => Caller { account: self.account, region: Region::default() },
        }
    }

    pub(super) fn requester_of(&self, id: PeeringId) -> Caller {
        self.peering_end(id, |p| p.requester().vpc)
    }

    pub(super) fn accepter_of(&self, id: PeeringId) -> Caller {
        self.peering_end(id, |p| p.accepter().vpc)
    }

    // ---- labels ---------------------------------------------------------------------------------

    pub(super) fn vpc(&self, vpc: &VpcRef) -> Result<VpcId, Trouble> {
        match vpc {
            VpcRef::Id(id) => Ok(*id),
            VpcRef::Label(l) => find(&self.labels.vpcs, l, "VPC", l),
        }
    }

    pub(super) fn subnet(&self, subnet: &SubnetRef) -> Result<SubnetId, Trouble> {
        let key = (self.vpc(&subnet.vpc)?, subnet.subnet.clone());
        find(&self.labels.subnets, &key, "subnet", subnet)
    }

    pub(super) fn named_table(&self, vpc: &VpcRef, table: &Label) -> Result<RouteTableId, Trouble> {
        let key = (self.vpc(vpc)?, table.clone());
        find(&self.labels.tables, &key, "route table", format!("{vpc}/{table}"))
    }

    pub(super) fn table(&self, table: &TableRef) -> Result<RouteTableId, Trouble> {
        match &table.table {
            Some(label) => self.named_table(&table.vpc, label),
            None => {
                let vpc = self.sim.cloud().vpc(self.vpc(&table.vpc)?);
                let absent = || Trouble::Absent { kind: "VPC", label: table.vpc.to_string() };
                vpc.map(|vpc| vpc.main_table()).ok_or_else(absent)
            }
        }
    }

    pub(super) fn peering(&self, peering: &PeeringRef) -> Result<PeeringId, Trouble> {
        match peering {
            PeeringRef::Id(id) => Ok(*id),
            PeeringRef::Label(l) => find(&self.labels.peerings, l, "peering", l),
        }
    }

    pub(super) fn instance(&self, label: &Label) -> Result<KnownInstance, Trouble> {
        find(&self.labels.instances, label, "instance", label)
    }

    pub(super) fn target(&self, target: &TargetRef) -> Result<RouteTarget, Trouble> {
        let label = match target {
            TargetRef::Id(id) => return Ok(RouteTarget::Peering(*id)),
            TargetRef::Label(label) => label,
        };
        let labels = &self.labels;
        // No two of these carry the same label.
        let peering = labels.peerings.get(label).map(|id| RouteTarget::Peering(*id));
        let gateway = || labels.gateways.get(label).map(|known| RouteTarget::Gateway(known.id));
        let nat = || labels.nat_gateways.get(label).map(|known| RouteTarget::Nat(known.0));
        match peering.or_else(gateway).or_else(nat) {
            Some(target) => Ok(target),
            None => Ok(RouteTarget::Interface(
                find(&labels.instances, label, "peering, gateway or instance", label)?.interface,
            )),
        }
    }

    /// The address that traffic is sent to, and the interface that is meant, where that is known.
    pub(super) fn destination(
        &self,
        to: &Destination,
        family: Option<Family>,
    ) -> Result<(IpAddr, Option<InterfaceId>), Trouble> {
        match to {
            Destination::Public(label) => self.public_of(label),
            Destination::Host(label) => {
                let known = self.host(label)?;
                let wanted = family.unwrap_or(Family::V4);
                let address = primary(&known.addresses, wanted).ok_or_else(|| {
                    Trouble::NoAddress { instance: label.to_string(), family: wanted }
                })?;
                Ok((address, Some(known.interface)))
            }
            Destination::Address(address) => Ok((*address, None)),
            Destination::AddressIn { vpc, address } => {
                let id = self.vpc(vpc)?;
                if !self.sim.cloud().vpc(id).is_some_and(|v| v.contains(*address)) {
                    return Err(Trouble::NotInVpc { vpc: vpc.to_string(), address: *address });
                }
                Ok((*address, self.sim.cloud().owner(id, *address)))
            }
        }
    }

    /// The address that a host sends from towards `to`.
    pub(super) fn source_address(
        &self,
        label: &Label,
        known: &KnownHost,
        to: IpAddr,
    ) -> Result<IpAddr, Trouble> {
        let family = Family::of(to);
        primary(&known.addresses, family)
            .ok_or_else(|| Trouble::NoAddress { instance: label.to_string(), family })
    }

    /// The hostname that is meant. An instance's private one stays known after its end, like its
    /// addresses.
    pub(super) fn hostname(&self, name: &NameRef) -> Result<Hostname, Trouble> {
        let (label, kind) = match name {
            NameRef::Hostname(name) => return Ok(name.clone()),
            NameRef::PrivateOf(label) => (label, Kind::Private),
            NameRef::PublicOf(label) => (label, Kind::Public),
        };
        let known = self.instance(label)?;
        let private = known.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let instance = label.to_string();
        let private = private
            .ok_or_else(|| Trouble::NoAddress { instance: instance.clone(), family: Family::V4 })?;
        let address = match kind {
            Kind::Private => private,
            Kind::Public => self
                .sim
                .cloud()
                .public_address(known.interface, private)
                .ok_or(Trouble::NoPublicName { instance })?,
        };
        Ok(Hostname::new(kind, address, self.owner(known.vpc).region))
    }

    // ---- asking the cloud -----------------------------------------------------------------------

    pub(super) fn ask(
        &mut self,
        caller: &Caller,
        command: &Command,
    ) -> Result<Vec<Change>, Refusal> {
        let events = self.sim.apply(caller, command)?;
        Ok(events.into_iter().map(|event| event.change).collect())
    }

    fn name(
        &mut self,
        caller: &Caller,
        resource: ResourceId,
        label: &Label,
    ) -> Result<(), Refusal> {
        let tags = vec![(tag::NAME.to_owned(), label.to_string())];
        self.ask(caller, &Command::CreateTags { resource, tags }).map(|_| ())
    }

    pub(super) fn create_vpc(
        &mut self,
        caller: &Caller,
        label: &Label,
        cidr: Ipv4Net,
    ) -> Result<VpcId, Trouble> {
        let changes = self.ask(caller, &Command::CreateVpc { cidr })?;
        let id =
            made(
                changes,
                |c| if let Change::VpcCreated { vpc, .. } = c { Some(vpc) } else { None },
            );
        self.labels.vpcs.insert(label.clone(), id);
        self.owners.insert(id, caller.clone());
        self.name(caller, ResourceId::Vpc(id), label)?;
        Ok(id)
    }

    /// Switches attributes of a VPC, one request for each: support first if it is switched on,
    /// because hostnames need it, and else last.
    pub(super) fn set_dns(
        &mut self,
        caller: &Caller,
        vpc: VpcId,
        support: Option<Switch>,
        hostnames: Option<Switch>,
    ) -> Result<(), Refusal> {
        let support_of = |wanted: Switch| support.filter(|switch| *switch == wanted);
        let attributes = [
            support_of(Switch::On).map(VpcAttribute::DnsSupport),
            hostnames.map(VpcAttribute::DnsHostnames),
            support_of(Switch::Off).map(VpcAttribute::DnsSupport),
        ];
        for attribute in attributes.into_iter().flatten() {
            self.ask(caller, &Command::ModifyVpcAttribute { vpc, attribute })?;
        }
        Ok(())
    }

    pub(super) fn create_table(
        &mut self,
        vpc: VpcId,
        caller: &Caller,
        label: &Label,
    ) -> Result<(), Trouble> {
        let changes = self.ask(caller, &Command::CreateRouteTable { vpc })?;
        let id = made(changes, |c| {
            if let Change::RouteTableCreated { table, .. } = c { Some(table) } else { None }
        });
        self.labels.tables.insert((vpc, label.clone()), id);
        Ok(self.name(caller, ResourceId::RouteTable(id), label)?)
    }

    pub(super) fn create_subnet(
        &mut self,
        vpc: VpcId,
        caller: &Caller,
        plan: &SubnetPlan,
    ) -> Result<SubnetId, Trouble> {
        let SubnetPlan { label, cidr, ipv6, zone } = plan.clone();
        let changes = self.ask(caller, &Command::CreateSubnet { vpc, cidr, ipv6, zone })?;
        let id = made(changes, |c| {
            if let Change::SubnetCreated { subnet, .. } = c { Some(subnet) } else { None }
        });
        self.labels.subnets.insert((vpc, label.clone()), id);
        self.name(caller, ResourceId::Subnet(id), &label)?;
        Ok(id)
    }

    /// The subnets that a VPC gets whose file names none: one for each IPv4 block, which it fills,
    /// with the next /64 of the first IPv6 block.
    pub(super) fn default_subnets(&mut self, vpc: VpcId, caller: &Caller) -> Result<(), Trouble> {
        let blocks = self.sim.cloud().vpc(vpc).map_or(Vec::new(), |v| v.blocks().to_vec());
        let first_v6 =
            blocks.iter().find_map(|b| if let IpNet::V6(b) = b { Some(*b) } else { None });
        let v4 = blocks.iter().filter_map(|b| if let IpNet::V4(b) = b { Some(*b) } else { None });
        for (n, cidr) in v4.enumerate() {
            let text = if n == 0 { "default".to_owned() } else { format!("default-{}", n + 1) };
            // "default" and a number is a label; if it were not, the subnet would go unnamed.
            let Ok(label) = text.parse::<Label>() else { continue };
            let ipv6 = first_v6
                .and_then(|block| block.subnets(crate::base::limit::SUBNET_IPV6_PREFIX_LENGTH).ok())
                .and_then(|mut subnets| subnets.nth(n));
            self.create_subnet(vpc, caller, &SubnetPlan { label, cidr, ipv6, zone: None })?;
        }
        self.default_subnets.insert(vpc);
        Ok(())
    }

    /// The subnet in which an instance is placed that names only its VPC.
    pub(super) fn place_in_vpc(
        &self,
        vpc: VpcId,
        ip: Option<Ipv4Addr>,
        vpc_text: &str,
    ) -> Result<SubnetId, Trouble> {
        let cloud = self.sim.cloud();
        let subnets = cloud.vpc(vpc).map_or(&[][..], |v| v.subnets());
        let vpc_text = vpc_text.to_owned();
        if let Some(ip) = ip {
            let holds = |id: &&SubnetId| cloud.subnet(**id).is_some_and(|s| s.cidr.contains(&ip));
            let ip = IpAddr::V4(ip);
            return subnets
                .iter()
                .find(holds)
                .copied()
                .ok_or(Trouble::NoSubnetHolds { vpc: vpc_text, ip });
        }
        match subnets {
            [] => Err(Trouble::NoSubnet { vpc: vpc_text }),
            [only] => Ok(*only),
            [first, ..] if self.default_subnets.contains(&vpc) => Ok(*first),
            _ => Err(Trouble::WhichSubnet { vpc: vpc_text }),
        }
    }

    pub(super) fn run_instance(
        &mut self,
        caller: &Caller,
        label: &Label,
        subnet: SubnetId,
        plan: InstancePlan,
    ) -> Result<InterfaceId, Trouble> {
        let InstancePlan { ip: ipv4, ipv6, check: source_dest_check, mut groups } = plan;
        let vpc = self.sim.cloud().subnet(subnet).map(|s| s.vpc);
        if let Some(vpc) = vpc {
            groups = self.groups_of_interface(caller, vpc, groups)?;
        }
        let command = Command::run_instance(NewInterface {
            ipv4: ipv4.into_iter().collect(),
            ipv6: ipv6.into(),
            source_dest_check,
            groups,
            ..NewInterface::in_subnet(subnet)
        });
        let changes = self.ask(caller, &command)?;
        let (known, id) = made(changes, |c| match c {
            Change::InstanceRun { instance, interface, addresses, .. } => {
                Some((KnownInstance { instance, interface, vpc: vpc?, addresses }, instance))
            }
            _ => None,
        });
        let interface = known.interface;
        self.labels.instances.insert(label.clone(), known);
        self.name(caller, ResourceId::Instance(id), label)?;
        Ok(interface)
    }

    /// Asks for a peering and gives it its label: a new one, or the one that exists.
    pub(super) fn request_peering(
        &mut self,
        caller: &Caller,
        label: &Label,
        command: &Command,
    ) -> Result<(PeeringId, Found), Trouble> {
        let changes = self.ask(caller, command)?;
        let (id, found) = made(changes, |c| match c {
            Change::PeeringRequested { peering, .. } => Some((peering, Found::New)),
            Change::PeeringFound { peering } => Some((peering, Found::Existing)),
            _ => None,
        });
        self.labels.peerings.insert(label.clone(), id);
        if found == Found::New {
            self.name(caller, ResourceId::Peering(id), label)?;
        }
        Ok((id, found))
    }
}

/// Whether a request made a peering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// It did.
    New,
    /// It was answered with one that existed.
    Existing,
}

/// The new resource among the changes of a command that creates one.
///
/// # Panics
/// If the cloud accepts the command without creating anything: that would be a bug of the cloud.
#[allow(clippy::expect_used, reason = "an accepted creation contains its creation")]
#[track_caller]
fn made<T>(changes: Vec<Change>, pick: impl Fn(Change) -> Option<T>) -> T {
    changes.into_iter().find_map(pick).expect("an accepted creation contains its creation")
}

fn primary(addresses: &[IpAddr], family: Family) -> Option<IpAddr> {
    addresses.iter().copied().find(|address| Family::of(*address) == family)
}
