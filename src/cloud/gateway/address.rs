//! Public addresses: the commands about them.
//!
//! Holds who gets which address and what it stands for. Refuses to translate anything: an internet
//! gateway does that, in the forwarder. Public addresses are those of the whole internet, so nobody
//! else's may be taken, and that one is taken is for everybody to see (no breach of invariant S11).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{PublicAddress, Site};
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::refusal::Refusal;

/// The first and the last address that is given out unasked: RFC 5737's third block, which
/// documentation may use and nobody has.
const POOL: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 254)];

/// Can a host on the internet have this address? Ranges for documentation and benchmarks count as
/// public, since examples live on them; private, shared, local and group addresses do not.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => {
            let shared = a.octets()[0] == 100 && a.octets()[1] & 0xc0 == 64; // RFC 6598
            let this_network = a.octets()[0] == 0;
            is_unicast(address) && !a.is_private() && !shared && !this_network
        }
        IpAddr::V6(a) => is_unicast(address) && !a.is_unique_local(),
    }
}

/// Can one host have this address at all?
pub(super) fn is_unicast(address: IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(a) => a.is_link_local() || a.is_broadcast() || a.octets()[0] >= 240,
        IpAddr::V6(a) => a.is_unicast_link_local() || a.to_ipv4_mapped().is_some(),
    };
    !local && !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

impl Cloud {
    /// The public address, if the caller holds it in its region.
    pub(in crate::cloud) fn own_address(
        &self,
        caller: &Caller,
        id: AllocationId,
    ) -> Result<&PublicAddress, Refusal> {
        self.public_addresses
            .get(&id)
            .filter(|held| held.owner == caller.account && held.region == caller.region)
            .ok_or(Refusal::AllocationNotFound(id))
    }

    /// Is it the address of a host on the internet, or held by an account?
    pub(super) fn is_taken_on_the_internet(&self, address: IpAddr) -> bool {
        let held = match address {
            IpAddr::V4(a) => self.allocations.contains_key(&a),
            // An address of a VPC's IPv6 block is reached on the internet as it is.
            IpAddr::V6(a) => self.is_of_a_vpc(a),
        };
        held || self.outside_owner(Site::Internet, address).is_some()
    }

    fn is_of_a_vpc(&self, address: Ipv6Addr) -> bool {
        self.vpcs.values().any(|vpc| vpc.contains(address.into()))
    }

    pub(in crate::cloud) fn allocate_public_address(
        &self,
        caller: &Caller,
        wanted: Option<Ipv4Addr>,
    ) -> Result<Vec<Change>, Refusal> {
        let taken = |address: Ipv4Addr| self.is_taken_on_the_internet(address.into());
        let address = match wanted {
            Some(address) if !is_public(address.into()) => {
                return Err(Refusal::AddressNotPublic(address.into()));
            }
            Some(address) if taken(address) => return Err(Refusal::AddressInUse(address.into())),
            Some(address) => address,
            None => {
                let mut pool = (u32::from(POOL[0])..=u32::from(POOL[1])).map(Ipv4Addr::from);
                pool.find(|address| !taken(*address)).ok_or(Refusal::NoPublicAddressLeft)?
            }
        };
        Ok(vec![Change::AddressAllocated {
            allocation: AllocationId::new(self.mint().next()),
            owner: caller.account,
            region: caller.region.clone(),
            address,
        }])
    }

    pub(in crate::cloud) fn associate_public_address(
        &self,
        caller: &Caller,
        allocation: AllocationId,
        id: InterfaceId,
        private: Option<Ipv4Addr>,
    ) -> Result<Vec<Change>, Refusal> {
        let held = self.own_address(caller, allocation)?;
        let interface = self.own_configurable_interface(caller, id)?;
        let mut ipv4 = interface.addresses.iter().filter_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let private = match private {
            Some(wanted) => ipv4
                .find(|address| *address == wanted)
                .ok_or(Refusal::AddressNotOfInterface { interface: id, address: wanted })?,
            // Every interface is born with an IPv4 address, so there is a primary one.
            None => ipv4.next().ok_or(Refusal::InterfaceNotFound(id))?,
        };
        if self.internet_gateway_of(interface.vpc).is_none() {
            return Err(Refusal::NoInternetGateway(interface.vpc));
        }
        if held.association.is_some() {
            return Err(Refusal::AddressAlreadyAssociated(allocation.to_string()));
        }
        if self.public_address(id, private).is_some() {
            return Err(Refusal::AddressAlreadyAssociated(id.to_string()));
        }
        let association = AddressAssociationId::new(self.mint().next());
        Ok(vec![Change::AddressAssociated { association, allocation, interface: id, private }])
    }

    /// Linear in the addresses held.
    pub(in crate::cloud) fn disassociate_public_address(
        &self,
        caller: &Caller,
        id: AddressAssociationId,
    ) -> Result<Vec<Change>, Refusal> {
        let found = self.public_addresses.iter().find_map(|(allocation, held)| {
            held.association.filter(|a| a.0 == id).map(|a| (*allocation, a.1))
        });
        let (allocation, interface) = found
            .filter(|(allocation, _)| self.own_address(caller, *allocation).is_ok())
            .ok_or(Refusal::AddressAssociationNotFound(id))?;
        self.own_configurable_interface(caller, interface)?;
        Ok(vec![Change::AddressDisassociated { allocation }])
    }

    pub(in crate::cloud) fn release_public_address(
        &self,
        caller: &Caller,
        allocation: AllocationId,
    ) -> Result<Vec<Change>, Refusal> {
        let held = self.own_address(caller, allocation)?;
        if held.association.is_some() {
            return Err(Refusal::AddressInUse(held.address.into()));
        }
        Ok(vec![Change::AddressReleased { allocation }])
    }

    /// What must change before an interface can go: public addresses stand for it no more.
    pub(in crate::cloud) fn without_public_addresses(&self, interface: InterfaceId) -> Vec<Change> {
        let first = (interface, Ipv4Addr::UNSPECIFIED);
        let of_it = self.public_of.range(first..).take_while(|((id, _), _)| *id == interface);
        of_it
            .map(|(_, allocation)| Change::AddressDisassociated { allocation: *allocation })
            .collect()
    }
}
