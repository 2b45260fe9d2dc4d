//! Rules about address blocks: sizes, overlap, and which blocks one VPC may combine.
//!
//! Holds pure functions over prefixes (vpc-semantics 1.1 and 1.2). Refuses to know any resource.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::base::limit::{
    IPV4_BLOCK_PREFIX_LENGTHS, SUBNET_IPV6_PREFIX_LENGTH, VPC_IPV6_PREFIX_LENGTH,
};

/// Do the two blocks share an address? Never across families.
pub fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Does any block of one set share an address with any block of the other?
pub fn any_overlap(a: &[IpNet], b: &[IpNet]) -> bool {
    a.iter().any(|a| b.iter().any(|b| overlap(*a, *b)))
}

/// A prefix written out, for rules that name fixed ranges.
const fn v4(a: u8, b: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), len)
}

/// Addresses that no host can have: "this network", loopback, link-local, multicast and reserved
/// (RFC 6890; RFC 1112). AWS documents the refusal of link-local only; the others are a choice.
const NO_HOST: [Ipv4Net; 4] = [v4(0, 0, 8), v4(127, 0, 8), v4(169, 254, 16), v4(224, 0, 3)];
const TEN: Ipv4Net = v4(10, 0, 8);
const TEN_LOWEST_15: Ipv4Net = v4(10, 0, 15);
const TEN_LOWEST_16: Ipv4Net = v4(10, 0, 16);
const ONE_SEVEN_TWO: Ipv4Net = v4(172, 16, 12);
const DEFAULT_VPC: Ipv4Net = v4(172, 31, 16);
const ONE_NINE_TWO: Ipv4Net = v4(192, 168, 16);
const BENCHMARK: Ipv4Net = v4(198, 19, 16);

/// May a VPC or a further block of it have these IPv4 addresses at all (1.1)? /16 to /28, and none
/// that a host can't have.
pub fn is_vpc_ipv4_block(block: Ipv4Net) -> bool {
    IPV4_BLOCK_PREFIX_LENGTHS.contains(&block.prefix_len())
        && !NO_HOST.iter().any(|range| range.contains(&block))
}

/// May a VPC have this IPv6 block (1.1)? A /56 of unicast addresses.
pub fn is_vpc_ipv6_block(block: Ipv6Net) -> bool {
    block.prefix_len() == VPC_IPV6_PREFIX_LENGTH
        && !block.network().is_multicast()
        && !block.network().is_unicast_link_local()
}

/// May a subnet have this IPv4 block (1.1)? The size only; where it lies is the VPC's to say.
pub fn is_subnet_ipv4_size(block: Ipv4Net) -> bool {
    IPV4_BLOCK_PREFIX_LENGTHS.contains(&block.prefix_len())
}

/// May a subnet have an IPv6 block of this size (1.1)?
pub fn is_subnet_ipv6_size(block: Ipv6Net) -> bool {
    block.prefix_len() == SUBNET_IPV6_PREFIX_LENGTH
}

/// The groups of ranges that 1.2 speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Range {
    Ten,
    OneSevenTwo,
    OneNineTwo,
    Benchmark,
    /// Publicly routable, or 100.64.0.0/10.
    Public,
}

impl Range {
    fn of(block: Ipv4Net) -> Range {
        [
            (TEN, Range::Ten),
            (ONE_SEVEN_TWO, Range::OneSevenTwo),
            (ONE_NINE_TWO, Range::OneNineTwo),
            (BENCHMARK, Range::Benchmark),
        ]
        .into_iter()
        .find(|(range, _)| range.contains(&block))
        .map_or(Range::Public, |(_, name)| name)
    }
}

/// May a VPC that has the IPv4 blocks `have`, the primary one first, get `new` beside them (1.2, the
/// table of ranges)? The range of the primary block decides, so that 10.7.0.0/16 with 100.64.0.0/16
/// can still grow by 10.8.0.0/16; only the rule about 10.0.0.0/15 speaks of any block.
pub fn may_join(have: &[Ipv4Net], new: Ipv4Net) -> bool {
    let in_lowest_15 = have.iter().any(|old| TEN_LOWEST_15.contains(old));
    if in_lowest_15 && TEN_LOWEST_16.contains(&new) {
        return false;
    }
    have.first().is_none_or(|primary| may_stand_beside(*primary, new))
}

fn may_stand_beside(primary: Ipv4Net, new: Ipv4Net) -> bool {
    match (Range::of(primary), Range::of(new)) {
        (Range::Ten, Range::Ten) => true,
        (Range::OneSevenTwo, Range::OneSevenTwo) => !DEFAULT_VPC.contains(&new),
        (Range::OneNineTwo, Range::OneNineTwo) => true,
        (Range::Ten | Range::OneSevenTwo | Range::OneNineTwo, other) => other == Range::Public,
        (Range::Benchmark | Range::Public, other) => other == Range::Public,
    }
}

/// Is this an address that the internet does not route: private (RFC 1918), shared (RFC 6598) or
/// unique local (RFC 4193)?
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_private() || v4(100, 64, 10).contains(&a),
        IpAddr::V6(a) => a.is_unique_local(),
    }
}

/// The cloud's own services (1.3).
const SERVICES: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22);

/// The same over IPv6 (1.3).
const SERVICES_V6: Ipv6Net =
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32);

/// Is the destination reserved, so that no route may name it or a part of it (1.3)?
pub fn is_reserved_destination(destination: IpNet) -> bool {
    IpNet::from(SERVICES).contains(&destination) || IpNet::from(SERVICES_V6).contains(&destination)
}

/// Is the address in a range that no table forwards, whatever its routes cover (1.3)?
pub fn is_never_forwarded(address: IpAddr) -> bool {
    is_reserved_destination(address.into())
}

/// [`is_never_forwarded`] of an IPv4 address as a number, for those who ask often.
pub const fn is_never_forwarded_v4(address: u32) -> bool {
    let host_bits = 32 - SERVICES.prefix_len();
    (address ^ SERVICES.addr().to_bits()) >> host_bits == 0
}

/// [`is_never_forwarded`] of an IPv6 address as a number.
pub const fn is_never_forwarded_v6(address: u128) -> bool {
    let host_bits = 128 - SERVICES_V6.prefix_len();
    (address ^ SERVICES_V6.addr().to_bits()) >> host_bits == 0
}

/// Is the address one that a subnet's interfaces can have (1.1)? Not the first four of the block
/// (network, router, two reserved) and not the last.
pub fn is_assignable(block: IpNet, address: IpAddr) -> bool {
    if !block.contains(&address) {
        return false;
    }
    let offset = |a: IpAddr| match a {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    };
    offset(address) - offset(block.network()) >= RESERVED_AT_START && address != block.broadcast()
}

/// Addresses at the start of a subnet that no interface gets (1.1).
pub const RESERVED_AT_START: u128 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn net(s: &str) -> Ipv4Net {
        s.parse().unwrap()
    }

    #[test]
    fn overlap_is_symmetric_and_stays_in_its_family() {
        for (a, b, want) in [
            ("10.0.0.0/16", "10.0.0.0/16", true),
            ("10.0.0.0/16", "10.0.128.0/17", true),
            ("10.0.0.0/16", "10.1.0.0/16", false),
            ("2001:db8::/56", "2001:db8::/64", true),
            ("0.0.0.0/0", "::/0", false),
        ] {
            let (a, b): (IpNet, IpNet) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((overlap(a, b), overlap(b, a)), (want, want), "{a} {b}");
        }
    }

    #[test]
    fn vpc_blocks_are_16_to_28_and_not_link_local() {
        for (block, ok) in [
            ("10.0.0.0/16", true),
            ("10.0.0.0/28", true),
            ("10.0.0.0/15", false),
            ("10.0.0.0/29", false),
            ("169.254.0.0/16", false),
            ("169.254.7.0/24", false),
            ("0.0.0.0/16", false),
            ("127.0.0.0/24", false),
            ("224.0.0.0/16", false),
            ("255.255.255.0/24", false),
            ("223.255.0.0/16", true),
            ("8.8.0.0/16", true),
            ("100.64.0.0/16", true),
        ] {
            assert_eq!(is_vpc_ipv4_block(net(block)), ok, "{block}");
        }
    }

    /// One row per sentence of the table in vpc-semantics 1.2.
    #[test]
    fn which_blocks_may_join_a_vpc() {
        for (have, new, ok) in [
            ("10.7.0.0/16", "10.8.0.0/16", true),
            ("10.7.0.0/16", "10.0.0.0/24", true),
            ("10.1.0.0/16", "10.0.0.0/24", false),
            ("10.7.0.0/16", "8.8.0.0/16", true),
            ("10.7.0.0/16", "100.64.0.0/16", true),
            ("10.7.0.0/16", "172.16.0.0/16", false),
            ("10.7.0.0/16", "192.168.0.0/24", false),
            ("10.7.0.0/16", "198.19.0.0/16", false),
            ("172.16.0.0/16", "172.20.0.0/16", true),
            ("172.16.0.0/16", "172.31.0.0/24", false),
            ("172.16.0.0/16", "10.0.0.0/16", false),
            ("172.16.0.0/16", "100.64.0.0/16", true),
            ("192.168.0.0/24", "192.168.1.0/24", true),
            ("192.168.0.0/24", "10.0.0.0/16", false),
            ("198.19.0.0/24", "8.8.0.0/16", true),
            ("198.19.0.0/24", "10.0.0.0/16", false),
            ("198.19.0.0/24", "198.19.1.0/24", false),
            ("8.8.0.0/16", "100.64.0.0/16", true),
            ("8.8.0.0/16", "10.0.0.0/16", false),
            ("100.64.0.0/16", "198.19.0.0/16", false),
        ] {
            assert_eq!(may_join(&[net(have)], net(new)), ok, "{have} + {new}");
        }
    }

    /// The primary block's range decides, except that any block in 10.0.0.0/15 shuts 10.0.0.0/16.
    #[test]
    fn which_blocks_may_join_a_vpc_that_has_several() {
        for (have, new, ok) in [
            (["10.7.0.0/16", "100.64.0.0/16"], "10.8.0.0/16", true),
            (["10.7.0.0/16", "100.64.0.0/16"], "172.16.0.0/16", false),
            (["10.7.0.0/16", "10.1.0.0/16"], "10.0.0.0/24", false),
            (["10.7.0.0/16", "10.1.0.0/16"], "10.2.0.0/24", true),
            (["100.64.0.0/16", "8.8.0.0/16"], "10.8.0.0/16", false),
        ] {
            assert_eq!(may_join(&have.map(net), net(new)), ok, "{have:?} + {new}");
        }
    }

    #[test]
    fn the_first_four_addresses_and_the_last_are_reserved() {
        for (block, address, ok) in [
            ("10.0.1.0/24", "10.0.1.3", false),
            ("10.0.1.0/24", "10.0.1.4", true),
            ("10.0.1.0/24", "10.0.1.254", true),
            ("10.0.1.0/24", "10.0.1.255", false),
            ("10.0.1.0/24", "10.0.2.4", false),
            ("2001:db8::/64", "2001:db8::3", false),
            ("2001:db8::/64", "2001:db8::4", true),
            ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", false),
        ] {
            let got = is_assignable(block.parse().unwrap(), address.parse().unwrap());
            assert_eq!(got, ok, "{address} in {block}");
        }
    }

    #[test]
    fn service_ranges_are_never_a_destination() {
        for (destination, reserved) in [
            ("169.254.168.0/22", true),
            ("169.254.169.254/32", true),
            ("169.254.0.0/16", false),
            ("fd00:ec2::254/128", true),
            ("0.0.0.0/0", false),
        ] {
            let destination: IpNet = destination.parse().unwrap();
            assert_eq!(is_reserved_destination(destination), reserved);
            for address in [destination.addr(), destination.broadcast()] {
                let IpAddr::V4(v4) = address else { continue };
                let number = is_never_forwarded_v4(v4.into());
                assert_eq!(number, is_never_forwarded(address), "{address}");
            }
        }
    }
}
