//! Network interfaces: the commands about them, and which addresses a new one gets.
//!
//! Holds their decisions. Refuses to hold the types (`instance.rs`) and what an instance is started
//! with (there too).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Cloud;
use super::account::{Caller, Zone};
use super::event::Change;
use super::instance::{
    DeviceIndex, Host, InstanceState, Interface, InterfaceWish, Ipv6Wish, NewInterface,
    OnTermination, SourceDestCheck, Wanted,
};
use super::profile::Feature;
use super::quota::Quota;
use super::refusal::Refusal;
use crate::base::id::*;
use crate::base::limit::INTERFACES_PER_INSTANCE_MAX;
use crate::base::time::Instant;

/// What one decision has given away already: nothing goes to two.
pub(super) struct Chooser<'c> {
    cloud: &'c Cloud,
    given: BTreeSet<(SubnetId, IpAddr)>,
    interfaces: BTreeSet<InterfaceId>,
    /// No address below is free, in the cloud or here.
    from: BTreeMap<SubnetId, (Option<Ipv4Addr>, Option<Ipv6Addr>)>,
    public: Box<dyn Iterator<Item = Ipv4Addr> + 'c>,
}

impl<'c> Chooser<'c> {
    pub(super) fn new(cloud: &'c Cloud) -> Chooser<'c> {
        Chooser {
            cloud,
            given: BTreeSet::new(),
            interfaces: BTreeSet::new(),
            from: BTreeMap::new(),
            public: Box::new(cloud.free_public_addresses()),
        }
    }

    /// This interface, unless it was taken before.
    pub(super) fn take_interface(&mut self, id: InterfaceId) -> Result<(), Refusal> {
        if self.interfaces.insert(id) { Ok(()) } else { Err(Refusal::InterfaceInUse(id)) }
    }

    /// This address of a subnet.
    fn take(&mut self, subnet: SubnetId, address: IpAddr) -> Result<IpAddr, Refusal> {
        let home = self.cloud.subnet(subnet).ok_or(Refusal::SubnetNotFound(subnet))?;
        home.check_free(address)?;
        if !self.given.insert((subnet, address)) {
            return Err(Refusal::AddressInUse(address));
        }
        Ok(address)
    }

    /// The lowest free address of a subnet.
    fn free_ipv4(&mut self, subnet: SubnetId) -> Result<IpAddr, Refusal> {
        let home = self.cloud.subnet(subnet).ok_or(Refusal::SubnetNotFound(subnet))?;
        let from = self.from.entry(subnet).or_default();
        loop {
            let address = home.next_ipv4_from(from.0).ok_or(Refusal::SubnetFull(subnet))?;
            from.0 = Some(u32::from(address).saturating_add(1).into());
            if self.given.insert((subnet, address.into())) {
                return Ok(address.into());
            }
        }
    }

    fn free_ipv6(&mut self, subnet: SubnetId) -> Result<IpAddr, Refusal> {
        let home = self.cloud.subnet(subnet).ok_or(Refusal::SubnetNotFound(subnet))?;
        let from = self.from.entry(subnet).or_default();
        loop {
            let address = home.next_ipv6_from(from.1).ok_or(Refusal::SubnetFull(subnet))?;
            from.1 = Some(u128::from(address).saturating_add(1).into());
            if self.given.insert((subnet, address.into())) {
                return Ok(address.into());
            }
        }
    }

    fn ipv6(
        &mut self,
        subnet: SubnetId,
        wanted: &Wanted<Ipv6Addr>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let home = self.cloud.subnet(subnet).ok_or(Refusal::SubnetNotFound(subnet))?;
        match wanted {
            Wanted::These(these) => these.iter().map(|a| self.take(subnet, (*a).into())).collect(),
            Wanted::Free(0) => Ok(Vec::new()),
            Wanted::Free(_) if home.ipv6.is_none() => Err(Refusal::SubnetWithoutIpv6(subnet)),
            Wanted::Free(count) => (0..*count).map(|_| self.free_ipv6(subnet)).collect(),
        }
    }

    /// The next free address of the emulator's public pool.
    pub(super) fn public_address(&mut self) -> Result<Ipv4Addr, Refusal> {
        self.public.next().ok_or(Refusal::NoPublicAddressLeft)
    }
}

impl Cloud {
    /// The interface, if its VPC is the caller's.
    pub(super) fn own_interface(
        &self,
        caller: &Caller,
        id: InterfaceId,
    ) -> Result<&Interface, Refusal> {
        self.interfaces
            .get(&id)
            .filter(|interface| self.own_vpc(caller, interface.vpc).is_ok())
            .ok_or(Refusal::InterfaceNotFound(id))
    }

    /// The interface, if it is the caller's to configure: a NAT gateway keeps its own as it is.
    pub(super) fn own_configurable_interface(
        &self,
        caller: &Caller,
        id: InterfaceId,
    ) -> Result<&Interface, Refusal> {
        let interface = self.own_interface(caller, id)?;
        match interface.host {
            Host::Instance(_) | Host::Nobody => Ok(interface),
            Host::NatGateway(_) => Err(Refusal::InterfaceManaged(id)),
        }
    }

    /// Where an interface is, or is to be.
    pub(super) fn place_of(
        &self,
        caller: &Caller,
        wish: &InterfaceWish,
    ) -> Result<(VpcId, Zone), Refusal> {
        let subnet = match wish {
            InterfaceWish::New { wanted, .. } => wanted.subnet,
            InterfaceWish::Existing(id) => self.own_interface(caller, *id)?.subnet,
        };
        let subnet = self.own_subnet(caller, subnet)?;
        Ok((subnet.vpc, subnet.zone.clone()))
    }

    /// The addresses and groups of a new interface.
    pub(super) fn equip(
        &self,
        caller: &Caller,
        wanted: &NewInterface,
        chooser: &mut Chooser<'_>,
    ) -> Result<(Vec<IpAddr>, Vec<SecurityGroupId>), Refusal> {
        let id = wanted.subnet;
        let subnet = self.own_subnet(caller, id)?;
        let groups = self.groups_for_interface(caller, subnet.vpc, &wanted.groups)?;
        let mut addresses = Vec::new();
        for address in &wanted.ipv4 {
            addresses.push(chooser.take(id, (*address).into())?);
        }
        if addresses.is_empty() {
            addresses.push(chooser.free_ipv4(id)?);
        }
        for _ in 0..wanted.more_ipv4 {
            addresses.push(chooser.free_ipv4(id)?);
        }
        let one = Wanted::Free(1);
        let ipv6 = match &wanted.ipv6 {
            Ipv6Wish::Wanted(wanted) => wanted,
            Ipv6Wish::IfAny if subnet.ipv6.is_some() => &one,
            Ipv6Wish::AsSubnet if subnet.ipv6_on_creation().is_on() => &one,
            Ipv6Wish::IfAny | Ipv6Wish::AsSubnet => &Wanted::Free(0),
        };
        addresses.extend(chooser.ipv6(id, ipv6)?);
        Ok((addresses, groups))
    }

    pub(super) fn create_interface(
        &self,
        caller: &Caller,
        wanted: &NewInterface,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_subnet(caller, wanted.subnet)?;
        self.within(caller.account, Quota::InterfacesPerRegion, || self.usage(caller).interfaces)?;
        let (addresses, groups) = self.equip(caller, wanted, &mut Chooser::new(self))?;
        Ok(vec![Change::InterfaceCreated {
            interface: InterfaceId::new(self.mint().next()),
            subnet: wanted.subnet,
            addresses,
            source_dest_check: wanted.source_dest_check,
            groups,
        }])
    }

    pub(super) fn delete_interface(
        &self,
        caller: &Caller,
        id: InterfaceId,
    ) -> Result<Vec<Change>, Refusal> {
        if self.own_interface(caller, id)?.host != Host::Nobody {
            return Err(Refusal::InterfaceInUse(id));
        }
        let mut changes = self.without_public_addresses(id);
        changes.push(Change::InterfaceDeleted { interface: id });
        Ok(changes)
    }

    pub(super) fn attach_interface(
        &self,
        caller: &Caller,
        id: InterfaceId,
        instance_id: InstanceId,
        device: DeviceIndex,
        now: Instant,
    ) -> Result<Vec<Change>, Refusal> {
        let interface = self.own_configurable_interface(caller, id)?;
        let instance = self.own_instance(caller, instance_id, now)?;
        if let InstanceState::Terminated { .. } = instance.state {
            return Err(Refusal::InstanceState { instance: instance_id, action: "attached to" });
        }
        if interface.host != Host::Nobody {
            return Err(Refusal::InterfaceInUse(id));
        }
        let place = |id| self.place_of(caller, &InterfaceWish::Existing(id));
        if place(id)? != place(instance.primary)? {
            return Err(Refusal::InterfaceElsewhere);
        }
        if instance.interfaces().any(|(taken, _)| taken == device) {
            return Err(Refusal::DeviceTaken { instance: instance_id, device: device.get() });
        }
        if instance.interfaces().count() >= INTERFACES_PER_INSTANCE_MAX {
            return Err(Refusal::TooManyInterfaces);
        }
        Ok(vec![Change::InterfaceAttached {
            interface: id,
            instance: instance_id,
            device,
            attachment: AttachmentId::new(self.mint().next()),
            on_termination: OnTermination::Keep,
        }])
    }

    pub(super) fn detach_interface(
        &self,
        caller: &Caller,
        attachment: AttachmentId,
    ) -> Result<Vec<Change>, Refusal> {
        let interface = self
            .interface_by_attachment(attachment)
            .filter(|id| self.own_interface(caller, *id).is_ok())
            .ok_or(Refusal::AttachmentNotFound(attachment))?;
        let place = self.own_interface(caller, interface)?.attachment.map(|a| a.device);
        if place == Some(DeviceIndex::PRIMARY) {
            return Err(Refusal::PrimaryInterfaceStays(attachment));
        }
        let mut changes = self.without_lent_addresses(interface);
        changes.push(Change::InterfaceDetached { interface });
        Ok(changes)
    }

    pub(super) fn set_on_termination(
        &self,
        caller: &Caller,
        id: InterfaceId,
        on_termination: OnTermination,
    ) -> Result<Vec<Change>, Refusal> {
        match self.own_configurable_interface(caller, id)?.attachment {
            Some(_) => Ok(vec![Change::OnTerminationSet { interface: id, on_termination }]),
            None => Err(Refusal::InterfaceNotAttached(id)),
        }
    }

    pub(super) fn assign_ipv4(
        &self,
        caller: &Caller,
        id: InterfaceId,
        wanted: &Wanted<Ipv4Addr>,
    ) -> Result<Vec<Change>, Refusal> {
        let subnet = self.own_configurable_interface(caller, id)?.subnet;
        let mut chooser = Chooser::new(self);
        let addresses: Result<Vec<IpAddr>, Refusal> = match wanted {
            Wanted::These(these) => {
                these.iter().map(|a| chooser.take(subnet, (*a).into())).collect()
            }
            Wanted::Free(count) => (0..*count).map(|_| chooser.free_ipv4(subnet)).collect(),
        };
        Ok(vec![Change::AddressesAssigned { interface: id, addresses: addresses? }])
    }

    pub(super) fn assign_ipv6(
        &self,
        caller: &Caller,
        id: InterfaceId,
        wanted: &Wanted<Ipv6Addr>,
    ) -> Result<Vec<Change>, Refusal> {
        if !self.profile.has(Feature::Ipv6) {
            return Err(Refusal::UnknownParameter("Ipv6Addresses"));
        }
        let subnet = self.own_configurable_interface(caller, id)?.subnet;
        let addresses = Chooser::new(self).ipv6(subnet, wanted)?;
        Ok(vec![Change::AddressesAssigned { interface: id, addresses }])
    }

    /// Every address must be the interface's. The primary IPv4 address stays.
    pub(super) fn unassign(
        &self,
        caller: &Caller,
        id: InterfaceId,
        wanted: impl Iterator<Item = IpAddr>,
    ) -> Result<Vec<Change>, Refusal> {
        let interface = self.own_configurable_interface(caller, id)?;
        let wanted: BTreeSet<IpAddr> = wanted.collect();
        let mut changes = Vec::new();
        for address in &wanted {
            if !interface.owns(*address) {
                return Err(Refusal::AddressNotOfInterface { interface: id, address: *address });
            }
            if address.is_ipv4() && interface.addresses.first() == Some(address) {
                return Err(Refusal::PrimaryAddressStays(*address));
            }
            if let IpAddr::V4(private) = address
                && let Some(allocation) = self.public_of.get(&(id, *private))
            {
                changes.extend(self.without_public_address(*allocation));
            }
        }
        let addresses = wanted.into_iter().collect();
        changes.push(Change::AddressesUnassigned { interface: id, addresses });
        Ok(changes)
    }

    pub(super) fn set_source_dest_check(
        &self,
        caller: &Caller,
        id: InterfaceId,
        source_dest_check: SourceDestCheck,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_configurable_interface(caller, id)?;
        Ok(vec![Change::SourceDestCheckSet { interface: id, source_dest_check }])
    }
}
