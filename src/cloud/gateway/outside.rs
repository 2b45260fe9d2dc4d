//! Hosts outside the cloud: the emulator's own commands about them.
//!
//! Holds where such a host may live and under which addresses. Refuses to hold what it does with a
//! packet: that is the simulator's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::address::{is_public, is_unicast};
use super::{GatewayId, OutsideHost, Site};
use crate::base::id::*;
use crate::cloud::Cloud;
use crate::cloud::account::Caller;
use crate::cloud::event::Change;
use crate::cloud::profile::Feature;
use crate::cloud::refusal::Refusal;

impl Cloud {
    /// The host, if the gateway to which it hands its packets is the caller's.
    pub(in crate::cloud) fn own_outside_host(
        &self,
        caller: &Caller,
        id: InterfaceId,
    ) -> Result<&OutsideHost, Refusal> {
        self.outside_hosts
            .get(&id)
            .filter(|host| self.own_gateway(caller, host.beyond).is_ok())
            .ok_or(Refusal::InterfaceNotFound(id))
    }

    pub(in crate::cloud) fn place_host_outside(
        &self,
        caller: &Caller,
        beyond: GatewayId,
        wanted: &[IpAddr],
    ) -> Result<Vec<Change>, Refusal> {
        let gateway = self.own_gateway(caller, beyond)?;
        if wanted.is_empty() {
            return Err(Refusal::AddressNotBeyond { beyond, address: IpAddr::V4([0; 4].into()) });
        }
        let mut addresses = BTreeSet::new();
        for address in wanted.iter().copied() {
            if address.is_ipv6() && !self.profile.has(Feature::Ipv6) {
                return Err(Refusal::UnknownParameter("Ipv6Address"));
            }
            let (may_live_there, taken) = match beyond.site() {
                Site::Internet => (is_public(address), self.is_taken_on_the_internet(address)),
                site @ Site::Behind(_) => (
                    is_unicast(address) && gateway.beyond.iter().any(|p| p.contains(&address)),
                    self.outside_owner(site, address).is_some(),
                ),
            };
            if !may_live_there {
                return Err(Refusal::AddressNotBeyond { beyond, address });
            }
            if taken || !addresses.insert(address) {
                return Err(Refusal::AddressInUse(address));
            }
        }
        let host = InterfaceId::new(self.mint().next());
        Ok(vec![Change::OutsideHostPlaced { host, beyond, addresses: wanted.to_vec() }])
    }

    pub(in crate::cloud) fn remove_host_outside(
        &self,
        caller: &Caller,
        host: InterfaceId,
    ) -> Result<Vec<Change>, Refusal> {
        self.own_outside_host(caller, host)?;
        Ok(vec![Change::OutsideHostRemoved { host }])
    }
}
