//! Instances and their interfaces: who has which address.
//!
//! Holds both types and the commands about instances; those about interfaces stand in
//! `interface.rs`. Refuses to hold what an instance *does* with a packet: that is the simulator's,
//! see `Sim`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::account::{Caller, Region};
use super::dns::Switch;
use super::event::Change;
use super::interface::Chooser;
use super::quota::Quota;
use super::refusal::Refusal;
use super::{Cloud, Mint};
use crate::base::id::*;
use crate::base::limit::{
    INSTANCES_PER_REQUEST_MAX, INTERFACES_PER_INSTANCE_MAX, TERMINATED_INSTANCE_SHOWN,
};
use crate::base::time::Instant;

/// Whether an interface may send from and receive for addresses that are not its own
/// (vpc-semantics 3.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum SourceDestCheck {
    /// It may not. The default.
    #[default]
    On,
    /// It may: a router, NAT or firewall instance.
    Off,
}

/// Whether an instance runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum InstanceState {
    /// It sends and receives.
    Running,
    /// It does neither; its interfaces keep their addresses.
    Stopped,
    /// It has ended and has no interfaces any more. It can be read for an hour.
    Terminated {
        /// Since when.
        at: Instant,
    },
}

/// A virtual machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// Its owner.
    pub owner: AccountId,
    /// Its region.
    pub region: Region,
    /// Its interface at device 0; of a terminated instance the one that it had.
    pub(super) primary: InterfaceId,
    /// Whether it runs.
    pub state: InstanceState,
    /// When it was made.
    pub launched: Instant,
    /// The interfaces at other places, ordered.
    pub(super) further: Vec<(DeviceIndex, InterfaceId)>,
}

impl Instance {
    /// Has it ended?
    pub const fn is_terminated(&self) -> bool {
        matches!(self.state, InstanceState::Terminated { .. })
    }

    /// Its primary interface, at device 0; a terminated instance has none.
    pub fn interface(&self) -> Option<InterfaceId> {
        (!self.is_terminated()).then_some(self.primary)
    }

    /// Its interfaces, ordered by place; a terminated instance has none.
    pub fn interfaces(&self) -> impl Iterator<Item = (DeviceIndex, InterfaceId)> + '_ {
        let primary = self.interface().map(|id| (DeviceIndex::PRIMARY, id));
        primary.into_iter().chain(self.further.iter().copied())
    }

    /// From when on nobody can see it; [`Instant::NEVER`] before it has ended.
    pub(super) fn forgotten_at(&self) -> Instant {
        match self.state {
            InstanceState::Terminated { at } => at + TERMINATED_INSTANCE_SHOWN,
            _ => Instant::NEVER,
        }
    }
}

/// The place of an interface in its instance.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct DeviceIndex(u8);

impl DeviceIndex {
    /// The place of the primary interface, which stays as long as its instance.
    pub const PRIMARY: DeviceIndex = DeviceIndex(0);

    /// The place with this number.
    pub const fn new(n: u8) -> DeviceIndex {
        DeviceIndex(n)
    }

    /// Its number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What becomes of an interface when its instance ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum OnTermination {
    /// It stands free. The default of an interface that is attached.
    #[default]
    Keep,
    /// It goes too. The default of an interface that was made with its instance.
    Delete,
}

/// How an interface belongs to its instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attachment {
    /// Its id. Of an interface that was made with its instance, the interface's digits.
    pub id: AttachmentId,
    /// The place in the instance.
    pub device: DeviceIndex,
    /// What becomes of it when the instance ends.
    pub on_termination: OnTermination,
    /// Since when.
    pub since: Instant,
}

/// What an interface belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Host {
    /// An instance.
    Instance(InstanceId),
    /// A NAT gateway, which has no groups.
    NatGateway(NatGatewayId),
    /// Nobody: it owns its addresses, and what is sent to them is lost.
    Nobody,
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interface {
    /// The VPC it is in.
    pub vpc: VpcId,
    /// The subnet it is in.
    pub subnet: SubnetId,
    /// What it belongs to.
    pub host: Host,
    /// How it belongs to its instance, if it belongs to one.
    pub attachment: Option<Attachment>,
    /// Its addresses, in order of assignment; the first of each family is the primary one.
    pub addresses: Vec<IpAddr>,
    /// Its source/destination check.
    pub source_dest_check: SourceDestCheck,
    /// Its security groups, ordered, none twice.
    pub groups: Vec<SecurityGroupId>,
}

impl Interface {
    /// The instance it belongs to, if it does.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self.host {
            Host::Instance(id) => Some(id),
            Host::NatGateway(_) | Host::Nobody => None,
        }
    }

    /// Is this one of its addresses?
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// Addresses that are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted<A> {
    /// These.
    These(Vec<A>),
    /// So many, the lowest that are free.
    Free(u16),
}

impl<A> From<Vec<A>> for Wanted<A> {
    fn from(these: Vec<A>) -> Wanted<A> {
        Wanted::These(these)
    }
}

/// The IPv6 addresses of a new interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Ipv6Wish {
    /// One if its subnet says so (`AssignIpv6AddressOnCreation`), as in EC2.
    #[default]
    AsSubnet,
    /// One if its subnet has an IPv6 block. The emulator's own.
    IfAny,
    /// These, or so many.
    Wanted(Wanted<Ipv6Addr>),
}

impl From<Option<Ipv6Addr>> for Ipv6Wish {
    fn from(wanted: Option<Ipv6Addr>) -> Ipv6Wish {
        wanted.map_or(Ipv6Wish::IfAny, |one| Ipv6Wish::Wanted(Wanted::These(vec![one])))
    }
}

/// An interface that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewInterface {
    /// The subnet it is to be in.
    pub subnet: SubnetId,
    /// Its IPv4 addresses, the primary one first; none is the lowest that is free.
    pub ipv4: Vec<Ipv4Addr>,
    /// So many more, the lowest that are free.
    pub more_ipv4: u16,
    /// Its IPv6 addresses.
    pub ipv6: Ipv6Wish,
    /// Whether a public address stands for the primary one, if the VPC has an internet gateway; if not
    /// said, as its subnet says (`MapPublicIpOnLaunch`). Interfaces that are made without an instance
    /// get none.
    pub public: Option<Switch>,
    /// Its source/destination check.
    pub source_dest_check: SourceDestCheck,
    /// Its security groups; none is the VPC's default group.
    pub groups: Vec<SecurityGroupId>,
}

impl NewInterface {
    /// One with the lowest free addresses, of both families if the subnet has both, and the default
    /// group.
    pub fn in_subnet(subnet: SubnetId) -> NewInterface {
        NewInterface {
            subnet,
            ipv4: Vec::new(),
            more_ipv4: 0,
            ipv6: Ipv6Wish::IfAny,
            public: None,
            source_dest_check: SourceDestCheck::On,
            groups: Vec::new(),
        }
    }
}

/// An interface of an instance that is to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InterfaceWish {
    /// A new one.
    New {
        /// What it is to be.
        wanted: NewInterface,
        /// What becomes of it when the instance ends.
        on_termination: OnTermination,
    },
    /// One that belongs to nobody. It outlives the instance.
    Existing(InterfaceId),
}

impl InterfaceWish {
    /// Can only one instance have it?
    fn is_for_one(&self) -> bool {
        match self {
            InterfaceWish::Existing(_) => true,
            InterfaceWish::New { wanted, .. } => {
                let these = matches!(&wanted.ipv6, Ipv6Wish::Wanted(Wanted::These(_)));
                these || !wanted.ipv4.is_empty()
            }
        }
    }
}

impl Cloud {
    /// The instance, if it is the caller's and can still be seen.
    pub(super) fn own_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
        now: Instant,
    ) -> Result<&Instance, Refusal> {
        self.instances
            .get(&id)
            .filter(|found| found.owner == caller.account && found.region == caller.region)
            .filter(|found| now < found.forgotten_at())
            .ok_or(Refusal::InstanceNotFound(id))
    }

    pub(super) fn run_instances(
        &self,
        caller: &Caller,
        count: NonZeroU16,
        primary: &InterfaceWish,
        further: &[(DeviceIndex, InterfaceWish)],
    ) -> Result<Vec<Change>, Refusal> {
        let mut places: BTreeMap<DeviceIndex, &InterfaceWish> = BTreeMap::new();
        for (device, wish) in [(DeviceIndex::PRIMARY, primary)]
            .into_iter()
            .chain(further.iter().map(|(device, wish)| (*device, wish)))
        {
            if places.insert(device, wish).is_some() {
                return Err(Refusal::DeviceNamedTwice(device.get()));
            }
        }
        if places.len() > INTERFACES_PER_INSTANCE_MAX {
            return Err(Refusal::TooManyInterfaces);
        }
        if count.get() > INSTANCES_PER_REQUEST_MAX {
            return Err(Refusal::TooManyInstances(INSTANCES_PER_REQUEST_MAX));
        }
        if count.get() > 1 && places.values().any(|wish| wish.is_for_one()) {
            return Err(Refusal::ForOneInstance);
        }
        let is_new = |wish: &&&InterfaceWish| matches!(wish, InterfaceWish::New { .. });
        let new = usize::from(count.get()) * places.values().filter(is_new).count();
        let interfaces = self.usage(caller).interfaces + new;
        self.at_most(caller.account, Quota::InterfacesPerRegion, interfaces)?;

        let mut chooser = Chooser::new(self);
        let mut mint = self.mint();
        let mut changes = Vec::new();
        for _ in 0..count.get() {
            let instance = InstanceId::new(mint.next());
            let mut home = None;
            for (device, wish) in &places {
                let place = self.place_of(caller, wish)?;
                // All interfaces of an instance are in its VPC and zone.
                if *home.get_or_insert_with(|| place.clone()) != place {
                    return Err(Refusal::InterfaceElsewhere);
                }
                self.start_on(
                    caller,
                    (instance, *device),
                    wish,
                    (&mut chooser, &mut mint),
                    &mut changes,
                )?;
            }
        }
        Ok(changes)
    }

    /// What gives an instance one of its interfaces.
    fn start_on(
        &self,
        caller: &Caller,
        (instance, device): (InstanceId, DeviceIndex),
        wish: &InterfaceWish,
        (chooser, mint): (&mut Chooser<'_>, &mut Mint),
        changes: &mut Vec<Change>,
    ) -> Result<(), Refusal> {
        let (interface, attachment, on_termination, made) = match wish {
            InterfaceWish::Existing(id) => {
                let found = self.own_configurable_interface(caller, *id)?;
                let again = chooser.take_interface(*id).is_err();
                if found.host != Host::Nobody || again {
                    return Err(Refusal::InterfaceInUse(*id));
                }
                let made = (found.subnet, found.addresses.clone(), found.source_dest_check);
                let made = (made, found.groups.clone());
                (*id, AttachmentId::new(mint.next()), OnTermination::Keep, made)
            }
            InterfaceWish::New { wanted, on_termination } => {
                let (addresses, groups) = self.equip(caller, wanted, chooser)?;
                let id = InterfaceId::new(mint.next());
                let made = ((wanted.subnet, addresses, wanted.source_dest_check), groups);
                (id, AttachmentId::new(id.digits()), *on_termination, made)
            }
        };
        let ((subnet, addresses, source_dest_check), groups) = made;
        let primary = addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        if device == DeviceIndex::PRIMARY {
            changes.push(Change::InstanceRun {
                instance,
                interface,
                attachment,
                on_termination,
                subnet,
                addresses,
                source_dest_check,
                groups,
            });
        } else {
            if let InterfaceWish::New { .. } = wish {
                changes.push(Change::InterfaceCreated {
                    interface,
                    subnet,
                    addresses,
                    source_dest_check,
                    groups,
                });
            }
            changes.push(Change::InterfaceAttached {
                interface,
                instance,
                device,
                attachment,
                on_termination,
            });
        }
        if let (InterfaceWish::New { wanted, .. }, Some(private)) = (wish, primary) {
            let home = self.own_subnet(caller, wanted.subnet)?;
            let wants = wanted.public.unwrap_or(home.public_on_launch()).is_on();
            if wants && self.internet_gateway_of(home.vpc).is_some() {
                let public = chooser.public_address()?;
                changes.extend(self.public_for(caller, public, (interface, private), mint));
            }
        }
        Ok(())
    }

    pub(super) fn stop_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        match self.own_instance(caller, id, now)?.state {
            InstanceState::Running => Ok(vec![Change::InstanceStopped { instance: id }]),
            // As in EC2, asking again changes nothing and is no error.
            InstanceState::Stopped => Ok(Vec::new()),
            InstanceState::Terminated { .. } => {
                Err(Refusal::InstanceState { instance: id, action: "stopped" })
            }
        }
    }

    pub(super) fn start_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        match self.own_instance(caller, id, now)?.state {
            InstanceState::Stopped => Ok(vec![Change::InstanceStarted { instance: id }]),
            InstanceState::Running => Ok(Vec::new()),
            InstanceState::Terminated { .. } => {
                Err(Refusal::InstanceState { instance: id, action: "started" })
            }
        }
    }

    pub(super) fn terminate_instance(
        &self,
        caller: &Caller,
        id: InstanceId,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let instance = self.own_instance(caller, id, now)?;
        let mut changes = Vec::new();
        for (device, interface) in instance.interfaces() {
            let attachment = self.interfaces.get(&interface).and_then(|i| i.attachment);
            let goes = attachment.is_some_and(|a| a.on_termination == OnTermination::Delete);
            changes.extend(match goes {
                true => self.without_public_addresses(interface),
                false => self.without_lent_addresses(interface),
            });
            if device == DeviceIndex::PRIMARY {
                continue;
            }
            changes.push(Change::InterfaceDetached { interface });
            if goes {
                changes.push(Change::InterfaceDeleted { interface });
            }
        }
        if !instance.is_terminated() {
            let interface = instance.primary;
            changes.push(Change::InstanceTerminated { instance: id, interface });
        }
        Ok(changes)
    }
}

/// The hardware address of an interface: one that is administered locally, made from the id.
pub fn hardware_address(id: InterfaceId) -> String {
    let [.., a, b, c, d, e] = id.digits().value().to_be_bytes();
    format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
}
