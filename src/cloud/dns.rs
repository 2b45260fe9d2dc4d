//! What a hostname resolves to, asked from inside a VPC, and the attributes that decide it.
//!
//! Holds the DNS attributes of a VPC and [`Cloud::resolve`], which says with every answer the rule
//! that gave it (vpc-semantics 3.9; UG23 vpc-dns). Refuses to hold the names themselves
//! (`hostname.rs`), the option of a peering (`peering_commands.rs`), other people's zones, and any
//! packet: a resolver cannot be reached from another VPC (3.3), so no query ever leaves its own.
//!
//! ```text
//!             instance in the VPC that asks   in an active peer                         elsewhere
//! private     private address                 private, if RFC 1918 and one region       -
//! name                                        or if the peer's end allows it
//! public      private address                 private, if the peer's end allows it      public
//! name                                        else public
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::Cloud;
use super::account::Caller;
use super::event::Change;
use super::hostname::{Hostname, Kind};
use super::peering::Peering;
use super::profile::Feature;
use super::refusal::Refusal;
use super::vpc::Vpc;
use crate::base::id::*;
use crate::base::time::Instant;

/// Whether an attribute or an option is in force.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Switch {
    /// It is not.
    Off,
    /// It is.
    On,
}

impl Switch {
    /// Is it in force?
    pub const fn is_on(self) -> bool {
        matches!(self, Switch::On)
    }
}

/// What a VPC does for DNS (UG23 vpc-dns).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DnsAttributes {
    /// `enableDnsSupport`: the VPC has a resolver.
    pub support: Switch,
    /// `enableDnsHostnames`: its instances have public hostnames, and, with the other attribute, its
    /// resolver answers for private ones.
    pub hostnames: Switch,
}

impl Default for DnsAttributes {
    /// Those of a new VPC that is not a default one.
    fn default() -> DnsAttributes {
        DnsAttributes { support: Switch::On, hostnames: Switch::Off }
    }
}

/// An attribute of a VPC and its new value. One at a time: EC2 refuses two in one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum VpcAttribute {
    /// `enableDnsSupport`.
    DnsSupport(Switch),
    /// `enableDnsHostnames`.
    DnsHostnames(Switch),
}

/// What a query comes to.
pub type Resolution = Result<Answer, Denial>;

/// An address, and the rule that gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The address.
    pub address: Ipv4Addr,
    /// Why this one.
    pub rule: Rule,
}

/// Why an address is the answer: a row of vpc-semantics 3.9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The instance is in the VPC that asks: the private address, by whichever name.
    SameVpc,
    /// A private name across this peering: both VPCs in one region, the address private by RFC 1918.
    PrivateRange(PeeringId),
    /// The private address across this peering: the end that has the instance allows it.
    Allowed(PeeringId),
    /// The public address, as for anybody; the denial says why it is not the private one.
    Public(Denial),
}

/// Why there is no answer, or none but the public address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denial {
    /// The rule.
    pub reason: Reason,
    /// What it is about.
    pub at: Spot,
}

/// What a [`Denial`] is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "each variant is the id of what it names")]
pub enum Spot {
    Vpc(VpcId),
    Peering(PeeringId),
}

/// Why a name does not resolve, or not to a private address. For the lab's own explanations: a host
/// that asks is only told that there is no such name, whatever the reason (invariant S11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// The VPC that asks has no resolver: its `enableDnsSupport` is off.
    NoResolver,
    /// `enableDnsSupport` is off in a VPC that needs it on.
    SupportOff,
    /// `enableDnsHostnames` is off in a VPC that needs it on.
    HostnamesOff,
    /// Nobody has such a name.
    NoSuchName,
    /// Somebody has it, in a VPC with which the one that asks has no active peering.
    NotPeered,
    /// In the rules of 2014-15 no private value resolves across a peering.
    NotAcross,
    /// The end of the peering that has the instance does not allow it.
    OptionOff,
}

/// What a host hears that asks for a name without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rcode {
    /// Nothing: there is nobody to answer.
    Silence,
    /// NXDOMAIN: there is no such name (RFC 1035, 4.1.1).
    NxDomain,
}

impl Rcode {
    /// How a report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Rcode::Silence => "no answer",
            Rcode::NxDomain => "NXDOMAIN",
        }
    }
}

impl Reason {
    /// Every reason, in the order in which the checks run.
    pub const ALL: [Reason; 7] = [
        Reason::NoResolver,
        Reason::SupportOff,
        Reason::HostnamesOff,
        Reason::NoSuchName,
        Reason::NotPeered,
        Reason::NotAcross,
        Reason::OptionOff,
    ];

    /// The label used in files.
    pub const fn label(self) -> &'static str {
        match self {
            Reason::NoResolver => "no-resolver",
            Reason::SupportOff => "dns-support-off",
            Reason::HostnamesOff => "dns-hostnames-off",
            Reason::NoSuchName => "no-such-name",
            Reason::NotPeered => "not-peered",
            Reason::NotAcross => "not-across-peering",
            Reason::OptionOff => "dns-option-off",
        }
    }

    /// The reason with this label.
    pub fn from_label(label: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.label() == label)
    }

    /// What it means, for a reader: sentences.
    pub const fn what(self) -> &'static str {
        match self {
            Reason::NoResolver => {
                "The VPC that asks has no resolver. Its attribute `enableDnsSupport` is off, so \
                 queries to the Amazon-provided server are not answered."
            }
            Reason::SupportOff => {
                "A VPC whose names are asked for has DNS support off. Public hostnames, and private \
                 addresses across a peering, need the attribute `enableDnsSupport` on."
            }
            Reason::HostnamesOff => {
                "A VPC has DNS hostnames off. Public hostnames, private hostnames inside the VPC and \
                 private addresses across a peering need the attribute `enableDnsHostnames` on; in a \
                 VPC that is not a default one it is off at first."
            }
            Reason::NoSuchName => {
                "Nobody has this name. A hostname is made from an instance's address and region, and \
                 no instance of that region has the address."
            }
            Reason::NotPeered => {
                "The name is of a VPC that is no active peer. A resolver answers for the private \
                 names of its own VPC and of those with which it has an active peering."
            }
            Reason::NotAcross => {
                "No private value resolves across a peering in the rules of 2014-15. A public \
                 hostname of the peer resolves to its public address, a private one not at all."
            }
            Reason::OptionOff => {
                "The peering does not allow it. The end that has the instance has not switched on \
                 `AllowDnsResolutionFromRemoteVpc`, which public hostnames need to resolve to private \
                 addresses, and private ones of another region or outside of RFC 1918 to resolve at \
                 all."
            }
        }
    }

    /// The smallest change that would help.
    pub const fn cure(self) -> &'static str {
        match self {
            Reason::NoResolver | Reason::SupportOff => {
                "Switch on DNS support: `modify-vpc-attribute` with `dns_support: true`."
            }
            Reason::HostnamesOff => {
                "Switch on DNS hostnames: `modify-vpc-attribute` with `dns_hostnames: true`."
            }
            Reason::NoSuchName => {
                "Ask for the name of an address that an instance has, in its region's form."
            }
            Reason::NotPeered => "Peer the two VPCs, and have the request accepted.",
            Reason::NotAcross => {
                "Ask for the address itself, or run under the profile `today` and switch on the \
                 option of the peering."
            }
            Reason::OptionOff => {
                "Have the owner of the instance's VPC switch it on: `modify-peering-options` with \
                 `dns_from_peer: true`."
            }
        }
    }

    /// What the host that asked hears.
    pub const fn rcode(self) -> Rcode {
        match self {
            Reason::NoResolver => Rcode::Silence,
            Reason::SupportOff
            | Reason::HostnamesOff
            | Reason::NoSuchName
            | Reason::NotPeered
            | Reason::NotAcross
            | Reason::OptionOff => Rcode::NxDomain,
        }
    }

    const fn in_vpc(self, id: VpcId) -> Denial {
        Denial { reason: self, at: Spot::Vpc(id) }
    }

    const fn across(self, id: PeeringId) -> Denial {
        Denial { reason: self, at: Spot::Peering(id) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A VPC with its id.
type Known<'c> = (VpcId, &'c Vpc);

impl Cloud {
    /// What the resolver of a VPC answers at `now` to an instance that asks for the IPv4 address of
    /// a name. Linear in the peerings of the VPC; in all VPCs if there is no answer.
    ///
    /// # Errors
    /// A [`Denial`] with the rule that left the name without an answer.
    pub fn resolve(&self, from: VpcId, name: &Hostname, now: Instant) -> Resolution {
        let asker = self.vpcs.get(&from).filter(|vpc| vpc.dns.support.is_on());
        let asker = (from, asker.ok_or(Reason::NoResolver.in_vpc(from))?);
        match name.kind() {
            Kind::Private => self.resolve_private(asker, name, now),
            Kind::Public => self.resolve_public(asker, name, now),
        }
    }

    /// A private name says the address, but not whose: the VPC that asks comes first, then the first
    /// of its peers for which the name resolves.
    fn resolve_private(&self, asker: Known<'_>, name: &Hostname, now: Instant) -> Resolution {
        let address = name.address();
        let has = |(id, vpc): Known<'_>| {
            vpc.region == *name.region() && self.owner(id, IpAddr::V4(address)).is_some()
        };
        // The resolver knows no private name at all unless both attributes are on.
        has_hostnames(asker)?;
        if has(asker) {
            return Ok(Answer { address, rule: Rule::SameVpc });
        }
        let mut denial = None;
        for (peering, peer) in self.active_peers(asker, now).filter(|(_, peer)| has(*peer)) {
            match self.private_across(asker, peering, peer, address) {
                Ok(rule) => return Ok(Answer { address, rule }),
                Err(why) => denial = denial.or(Some(why)),
            }
        }
        let elsewhere = || self.vpcs.iter().any(|(id, vpc)| has((*id, vpc)));
        Err(denial.unwrap_or_else(|| match elsewhere() {
            true => Reason::NotPeered.in_vpc(asker.0),
            false => Reason::NoSuchName.in_vpc(asker.0),
        }))
    }

    fn private_across(
        &self,
        asker: Known<'_>,
        peering: &Peering,
        peer: Known<'_>,
        address: Ipv4Addr,
    ) -> Result<Rule, Denial> {
        let in_reach = self.profile.has(Feature::DnsResolutionAcrossPeering)
            && asker.1.region == peer.1.region
            && address.is_private();
        match in_reach {
            true => Ok(Rule::PrivateRange(peering.id())),
            false => self.allowed_across(asker, peering, peer),
        }
    }

    /// A public name has one owner. Inside its network it resolves to the private address.
    fn resolve_public(&self, asker: Known<'_>, name: &Hostname, now: Instant) -> Resolution {
        let owner = self.behind_public(name.address()).and_then(|(interface, private)| {
            let vpc = self.interfaces.get(&interface)?.vpc;
            let home = self.vpcs.get(&vpc).filter(|home| home.region == *name.region())?;
            Some((private, (vpc, home)))
        });
        let (private, home) = owner.ok_or(Reason::NoSuchName.in_vpc(asker.0))?;
        has_hostnames(home)?;
        if home.0 == asker.0 {
            return Ok(Answer { address: private, rule: Rule::SameVpc });
        }
        let peering = self.active_peers(asker, now).find(|(_, peer)| peer.0 == home.0);
        let allowed = match peering {
            Some((peering, peer)) => self.allowed_across(asker, peering, peer),
            None => Err(Reason::NotPeered.in_vpc(asker.0)),
        };
        Ok(match allowed {
            Ok(rule) => Answer { address: private, rule },
            Err(why) => Answer { address: name.address(), rule: Rule::Public(why) },
        })
    }

    /// Does the option of the peering let `asker` see private addresses of `peer`? The attributes
    /// come first, because without them the option cannot be switched on (vpc-semantics 2.6).
    fn allowed_across(
        &self,
        asker: Known<'_>,
        peering: &Peering,
        peer: Known<'_>,
    ) -> Result<Rule, Denial> {
        if !self.profile.has(Feature::DnsResolutionAcrossPeering) {
            return Err(Reason::NotAcross.across(peering.id()));
        }
        has_hostnames(asker)?;
        has_hostnames(peer)?;
        match peering.dns_from_peer(peer.0).is_some_and(Switch::is_on) {
            true => Ok(Rule::Allowed(peering.id())),
            false => Err(Reason::OptionOff.across(peering.id())),
        }
    }

    /// The active peerings of a VPC, each with the VPC at its other end, ordered by id.
    fn active_peers<'c>(
        &'c self,
        (id, vpc): Known<'c>,
        now: Instant,
    ) -> impl Iterator<Item = (&'c Peering, Known<'c>)> {
        vpc.peerings().filter_map(move |peering| {
            let peering = self.peerings.get(&peering)?.active(now)?.peering();
            let other = peering.other_end(id)?;
            Some((peering, (other, self.vpcs.get(&other)?)))
        })
    }

    /// vpc-semantics 6.3, `ModifyVpcAttribute`.
    pub(super) fn modify_vpc_attribute(
        &self,
        caller: &Caller,
        id: VpcId,
        attribute: VpcAttribute,
    ) -> Result<Vec<Change>, Refusal> {
        let vpc = self.own_vpc(caller, id)?;
        // The other way round, switching off support leaves hostnames as they are, without effect.
        if attribute == VpcAttribute::DnsHostnames(Switch::On) && !vpc.dns.support.is_on() {
            return Err(Refusal::DnsHostnamesNeedSupport(id));
        }
        Ok(vec![Change::VpcAttributeSet { vpc: id, attribute }])
    }
}

/// Both attributes of a VPC are on, or the first that is off.
fn has_hostnames((id, vpc): Known<'_>) -> Result<(), Denial> {
    let off = match (vpc.dns.support, vpc.dns.hostnames) {
        (Switch::Off, _) => Reason::SupportOff,
        (_, Switch::Off) => Reason::HostnamesOff,
        (Switch::On, Switch::On) => return Ok(()),
    };
    Err(off.in_vpc(id))
}
