//! The oracle's filters: what groups and network ACLs say of a packet, rule after rule
//! (vpc-semantics 3.7 and 3.8), and what of a packet they can see.
//!
//! Refuses to remember anything.

use std::net::{IpAddr, SocketAddr};

use vpclab::base::id::{SecurityGroupId, SubnetId, VpcId};
use vpclab::base::time::Instant;
use vpclab::cloud::Cloud;
use vpclab::cloud::filter::{Direction, IcmpMatch, Traffic};
use vpclab::cloud::instance::{Host, Interface};
use vpclab::cloud::network_acl::AclAction;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::security_group::RulePeer;

use super::{Probe, covers, is_active, other_than};

/// What a packet carries, as far as filters can see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Carries {
    /// The number of its protocol.
    pub(crate) protocol: u8,
    /// Its ports, if it shows some.
    pub(crate) ports: Option<(u16, u16)>,
    /// Type and code, if it shows them.
    pub(crate) icmp: Option<(u8, u8)>,
}

impl Carries {
    /// UDP.
    pub(crate) fn datagram([source, destination]: [SocketAddr; 2]) -> Carries {
        Carries { protocol: 17, ports: Some((source.port(), destination.port())), icmp: None }
    }

    fn is(&self, traffic: Traffic, family: IpAddr) -> bool {
        let port = |wanted: u8, first: u16, last: u16| {
            self.protocol == wanted
                && match self.ports {
                    Some((_, to)) => first <= to && to <= last,
                    None => (first, last) == (0, 65_535),
                }
        };
        let message = |which: IcmpMatch| match (which, self.icmp) {
            (IcmpMatch::Any, _) => true,
            (IcmpMatch::Type(kind), Some((have, _))) => kind == have,
            (IcmpMatch::TypeAndCode(kind, code), have) => Some((kind, code)) == have,
            (IcmpMatch::Type(_), None) => false,
        };
        match traffic {
            Traffic::All => true,
            Traffic::Tcp(range) => port(6, range.first(), range.last()),
            Traffic::Udp(range) => port(17, range.first(), range.last()),
            Traffic::Icmp(which) => family.is_ipv4() && self.protocol == 1 && message(which),
            Traffic::Icmpv6(which) => family.is_ipv6() && self.protocol == 58 && message(which),
            Traffic::Other(protocol) => self.protocol == protocol.0,
        }
    }
}

pub(super) fn groups_let_out(
    cloud: &Cloud,
    now: Instant,
    sender: &Interface,
    probe: &Probe,
) -> bool {
    groups_allow(cloud, now, sender, Direction::Egress, probe.destination, probe, true)
}

/// `own`: the packet's source belongs to whoever sent it; else it came through a middlebox, and
/// nobody can say whose group counts.
pub(super) fn groups_let_in(
    cloud: &Cloud,
    now: Instant,
    receiver: &Interface,
    probe: &Probe,
    own: bool,
) -> bool {
    groups_allow(cloud, now, receiver, Direction::Ingress, probe.source, probe, own)
}

fn groups_allow(
    cloud: &Cloud,
    now: Instant,
    interface: &Interface,
    direction: Direction,
    far: IpAddr,
    probe: &Probe,
    own: bool,
) -> bool {
    if matches!(interface.host, Host::NatGateway(_)) {
        return true;
    }
    let peer = |peer: RulePeer| match peer {
        RulePeer::Block(block) => covers(block, far),
        RulePeer::PrefixList(list) => {
            cloud.prefix_list(list).is_some_and(|l| l.entries.iter().any(|b| covers(*b, far)))
        }
        RulePeer::Group(named) => own && is_member(cloud, now, interface.vpc, named, far),
    };
    let groups = interface.groups.iter().filter_map(|id| cloud.group(*id));
    let mut rules = groups.flat_map(|group| group.rules(direction));
    rules.any(|rule| probe.carries.is(rule.traffic, far) && peer(rule.peer))
}

/// Is the address one of an interface with this group, whose members a rule in `here` may mean?
fn is_member(
    cloud: &Cloud,
    now: Instant,
    here: VpcId,
    named: SecurityGroupId,
    address: IpAddr,
) -> bool {
    let Some(group) = cloud.group(named) else { return false };
    let joined = || {
        cloud.peerings().any(|p| {
            let ends = [p.requester().vpc, p.accepter().vpc];
            is_active(cloud, p.id(), now)
                && ends.contains(&here)
                && other_than(here, p) == group.vpc
                && p.requester().region == p.accepter().region
        })
    };
    let counts = group.vpc == here || (cloud.profile() == Profile::Today && joined());
    counts
        && cloud.interfaces().any(|(_, i)| {
            i.vpc == group.vpc && i.groups.contains(&named) && i.addresses.contains(&address)
        })
}

pub(super) fn acl_lets_out(cloud: &Cloud, subnet: SubnetId, probe: &Probe) -> bool {
    acl_allows(cloud, subnet, Direction::Egress, probe.destination, probe)
}

pub(super) fn acl_lets_in(cloud: &Cloud, subnet: SubnetId, probe: &Probe) -> bool {
    acl_allows(cloud, subnet, Direction::Ingress, probe.source, probe)
}

/// The entry with the lowest number of those that match decides; without one it is a deny.
fn acl_allows(
    cloud: &Cloud,
    subnet: SubnetId,
    direction: Direction,
    far: IpAddr,
    probe: &Probe,
) -> bool {
    let (_, acl) = cloud.subnet(subnet).unwrap().acl();
    let entries = cloud.acl(acl).unwrap().entries(direction);
    let matching = entries
        .iter()
        .filter(|(_, entry)| covers(entry.block, far) && probe.carries.is(entry.traffic, far));
    let first = matching.min_by_key(|(number, _)| number.get());
    first.is_some_and(|(_, entry)| entry.action == AclAction::Allow)
}
