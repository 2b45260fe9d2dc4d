//! Carrying out what happens to instances and interfaces.
//!
//! Holds the longer arms of `evolve.rs`, under its rules: nothing here can be refused.

use std::net::IpAddr;

use crate::base::id::*;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::event::ResourceId;
use crate::cloud::flow_log::Watched;
use crate::cloud::instance::{
    Attachment, DeviceIndex, Host, Instance, InstanceState, Interface, OnTermination,
    SourceDestCheck,
};

impl Cloud {
    /// The interface must be there.
    pub(super) fn instance_run(
        &mut self,
        id: InstanceId,
        interface: InterfaceId,
        attachment: Attachment,
    ) {
        let home = self.interfaces.get(&interface).and_then(|found| self.vpcs.get(&found.vpc));
        let Some((owner, region)) = home.map(|vpc| (vpc.owner, vpc.region.clone())) else { return };
        self.holdings(owner, &region).instances.insert(id);
        let new = Instance {
            owner,
            region,
            primary: interface,
            state: InstanceState::Running,
            launched: attachment.since,
            further: Vec::new(),
        };
        self.instances.insert(id, new);
        self.interface_attached(interface, id, attachment);
    }

    pub(super) fn set_state(&mut self, instance: InstanceId, state: InstanceState) {
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.state = state;
        }
    }

    /// Its further interfaces have left it before.
    pub(super) fn instance_terminated(&mut self, id: InstanceId, at: Instant) {
        let Some(instance) = self.instances.get_mut(&id) else { return };
        instance.state = InstanceState::Terminated { at };
        let (interface, fades) = (instance.primary, instance.forgotten_at());
        self.forget_at(fades, ResourceId::Instance(id));
        let attachment = self.interfaces.get(&interface).and_then(|found| found.attachment);
        match attachment.map(|attachment| attachment.on_termination) {
            Some(OnTermination::Delete) => self.remove_interface(interface),
            Some(OnTermination::Keep) => self.interface_detached(interface),
            None => {}
        }
    }

    pub(super) fn instance_forgotten(&mut self, id: InstanceId) {
        let Some(gone) = self.instances.remove(&id) else { return };
        self.forget_not(gone.forgotten_at(), ResourceId::Instance(id));
        self.lose(gone.owner, &gone.region, |has| has.instances.remove(&id));
        self.untag(ResourceId::Instance(id));
    }

    /// An interface that belongs to nobody yet.
    pub(super) fn interface_created(
        &mut self,
        id: InterfaceId,
        subnet: SubnetId,
        addresses: &[IpAddr],
        source_dest_check: SourceDestCheck,
        groups: &[SecurityGroupId],
    ) {
        let Some(vpc) = self.subnets.get(&subnet).map(|home| home.vpc) else { return };
        let new = Interface {
            vpc,
            subnet,
            host: Host::Nobody,
            attachment: None,
            addresses: Vec::new(),
            source_dest_check,
            groups: groups.to_vec(),
        };
        self.insert_interface(id, new, addresses);
    }

    pub(super) fn interface_attached(
        &mut self,
        id: InterfaceId,
        instance_id: InstanceId,
        attachment: Attachment,
    ) {
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        interface.host = Host::Instance(instance_id);
        interface.attachment = Some(attachment);
        self.attachments.insert(attachment.id, id);
        if attachment.device != DeviceIndex::PRIMARY {
            instance.further.push((attachment.device, id));
            instance.further.sort_unstable();
        }
    }

    pub(super) fn interface_detached(&mut self, id: InterfaceId) {
        let Some(interface) = self.interfaces.get_mut(&id) else { return };
        if let Some(attachment) = interface.attachment.take() {
            self.attachments.remove(&attachment.id);
        }
        if let Some(instance) = interface.instance().and_then(|id| self.instances.get_mut(&id)) {
            instance.further.retain(|(_, further)| *further != id);
        }
        interface.host = Host::Nobody;
    }

    pub(super) fn insert_interface(
        &mut self,
        id: InterfaceId,
        new: Interface,
        addresses: &[IpAddr],
    ) {
        let (vpc, subnet) = (new.vpc, new.subnet);
        self.interfaces.insert(id, new);
        self.give_addresses(id, addresses);
        if let Some(home) = self.subnets.get_mut(&subnet) {
            home.interfaces += 1;
        }
        if let Some(has) = self.holdings_of(vpc) {
            has.interfaces += 1;
        }
    }

    pub(super) fn remove_interface(&mut self, id: InterfaceId) {
        let Some(interface) = self.interfaces.remove(&id) else { return };
        self.untag(ResourceId::Interface(id));
        self.unwatch(Watched::Interface(id));
        if let Some(attachment) = interface.attachment {
            self.attachments.remove(&attachment.id);
        }
        if let Some(has) = self.holdings_of(interface.vpc) {
            has.interfaces = has.interfaces.saturating_sub(1);
        }
        if let Some(subnet) = self.subnets.get_mut(&interface.subnet) {
            subnet.interfaces = subnet.interfaces.saturating_sub(1);
            for address in &interface.addresses {
                subnet.release(*address);
            }
        }
        for address in interface.addresses {
            self.owners.remove(&(interface.vpc, address));
        }
    }

    pub(super) fn give_addresses(&mut self, interface: InterfaceId, addresses: &[IpAddr]) {
        let Some(owner) = self.interfaces.get_mut(&interface) else { return };
        let Some(subnet) = self.subnets.get_mut(&owner.subnet) else { return };
        for address in addresses {
            owner.addresses.push(*address);
            subnet.take(*address);
            self.owners.insert((owner.vpc, *address), interface);
        }
    }

    pub(super) fn take_addresses(&mut self, interface: InterfaceId, addresses: &[IpAddr]) {
        let Some(owner) = self.interfaces.get_mut(&interface) else { return };
        let Some(subnet) = self.subnets.get_mut(&owner.subnet) else { return };
        for address in addresses {
            owner.addresses.retain(|own| own != address);
            subnet.release(*address);
            self.owners.remove(&(owner.vpc, *address));
        }
    }
}
