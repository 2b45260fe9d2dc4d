//! Public addresses: the commands about them.
//!
//! Holds who gets which address and what it stands for. Refuses to translate anything: an internet
//! gateway does that, in the forwarder. Public addresses are those of the whole internet, so nobody
//! else's may be taken, and that one is taken is for everybody to see (no breach of invariant S11).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::{AddressKind, PublicAddress, Site};
use crate::base::id::*;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::refusal::Refusal;
use crate::cloud::{Cloud, Mint};

/// The blocks whose addresses are given out unasked, but for the first and the last of each: RFC 5737's
/// third, which documentation may use and nobody has, and then RFC 2544's, for benchmarks.
const POOLS: [Ipv4Net; 2] = [
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
];

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
            .filter(|held| held.kind == AddressKind::Elastic)
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
            None => self.free_public_addresses().next().ok_or(Refusal::NoPublicAddressLeft)?,
        };
        Ok(vec![Change::AddressAllocated {
            allocation: AllocationId::new(self.mint().next()),
            owner: caller.account,
            region: caller.region.clone(),
            address,
            kind: AddressKind::Elastic,
        }])
    }

    /// The addresses that can be given out unasked, in the order in which they are. Linear in those that
    /// are taken.
    pub(in crate::cloud) fn free_public_addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let all = POOLS.iter().flat_map(Ipv4Net::hosts);
        all.filter(|address| !self.is_taken_on_the_internet((*address).into()))
    }

    /// A public address is lent, and stands for the private one of an interface.
    pub(in crate::cloud) fn public_for(
        &self,
        caller: &Caller,
        address: Ipv4Addr,
        (interface, private): (InterfaceId, Ipv4Addr),
        mint: &mut Mint,
    ) -> [Change; 2] {
        let allocation = AllocationId::new(mint.next());
        let association = AddressAssociationId::new(mint.next());
        let (owner, region) = (caller.account, caller.region.clone());
        let kind = AddressKind::Lent;
        [
            Change::AddressAllocated { allocation, owner, region, address, kind },
            Change::AddressAssociated { association, allocation, interface, private },
        ]
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
                .ok_or(Refusal::AddressNotOfInterface { interface: id, address: wanted.into() })?,
            // Every interface is born with an IPv4 address, so there is a primary one.
            None => ipv4.next().ok_or(Refusal::InterfaceNotFound(id))?,
        };
        if self.internet_gateway_of(interface.vpc).is_none() {
            return Err(Refusal::NoInternetGateway(interface.vpc));
        }
        if held.association.is_some() {
            return Err(Refusal::AddressAlreadyAssociated(allocation.to_string()));
        }
        let mut changes = Vec::new();
        if let Some(standing) = self.public_of.get(&(id, private)) {
            match self.public_addresses.get(standing).map(|held| held.kind) {
                // What was only lent makes room.
                Some(AddressKind::Lent) => changes.extend(self.without_public_address(*standing)),
                _ => return Err(Refusal::AddressAlreadyAssociated(id.to_string())),
            }
        }
        let association = AddressAssociationId::new(self.mint().next());
        let interface = id;
        changes.push(Change::AddressAssociated { association, allocation, interface, private });
        Ok(changes)
    }

    /// Linear in the addresses that the caller holds.
    pub(in crate::cloud) fn disassociate_public_address(
        &self,
        caller: &Caller,
        id: AddressAssociationId,
    ) -> Result<Vec<Change>, Refusal> {
        let found = self.public_addresses_of(caller).find_map(|(allocation, held)| {
            held.association.filter(|a| a.0 == id).map(|a| (allocation, a.1))
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
        let of_it = self.allocations_of(interface);
        of_it.flat_map(|allocation| self.without_public_address(allocation)).collect()
    }

    /// What must change before an interface can leave its instance: nothing is lent to it any more.
    pub(in crate::cloud) fn without_lent_addresses(&self, interface: InterfaceId) -> Vec<Change> {
        let lent = |id: &AllocationId| {
            self.public_addresses.get(id).is_some_and(|held| held.kind == AddressKind::Lent)
        };
        let of_it = self.allocations_of(interface).filter(lent);
        of_it.flat_map(|allocation| self.without_public_address(allocation)).collect()
    }

    fn allocations_of(&self, interface: InterfaceId) -> impl Iterator<Item = AllocationId> {
        let first = (interface, Ipv4Addr::UNSPECIFIED);
        let of_it = self.public_of.range(first..).take_while(move |((id, _), _)| *id == interface);
        of_it.map(|(_, allocation)| *allocation)
    }

    /// A public address stands for nothing any more; one that was lent goes back.
    pub(in crate::cloud) fn without_public_address(
        &self,
        allocation: AllocationId,
    ) -> impl Iterator<Item = Change> + use<> {
        let lent = self.public_addresses.get(&allocation).map(|held| held.kind);
        let released =
            (lent == Some(AddressKind::Lent)).then_some(Change::AddressReleased { allocation });
        [Change::AddressDisassociated { allocation }].into_iter().chain(released)
    }
}
