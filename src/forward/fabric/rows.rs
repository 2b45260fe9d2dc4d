//! What the fabric keeps of interfaces, peerings and VPCs: rows that fit the lines of the cache.
//!
//! Holds the rows and the questions each can answer alone. Refuses to hold how they are made
//! (`compile.rs`) and what is done with them. A packet that crosses a peering touches two interface
//! rows of half a line and one peering row of one line; what most rows do without is kept elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::classify::{AclFilterIdx, FilterIdx};
use crate::base::id::*;
use crate::cloud::instance::SourceDestCheck;
use crate::forward::gate::OpenEnd;

/// Facts of an interface that are a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Flags(u16);

impl Flags {
    /// None: a row without an interface.
    pub(super) const NONE: Flags = Flags(0);
    /// The row is an interface of a VPC.
    pub(super) const THERE: Flags = Flags(1);
    /// What is behind it sends and receives.
    pub(super) const RUNS: Flags = Flags(1 << 1);
    /// Its source/destination check is on.
    pub(super) const CHECKED: Flags = Flags(1 << 2);
    /// `address` counts.
    pub(super) const HAS_IPV4: Flags = Flags(1 << 3);
    /// The row is a host outside the cloud.
    pub(super) const OUTSIDE: Flags = Flags(1 << 4);

    /// Its groups let everything of the family pass both ways.
    pub(super) const GROUPS_OPEN: [Flags; 2] = [Flags(1 << 5), Flags(1 << 6)];
    /// The network ACL of its subnet lets everything of the family in.
    pub(super) const ACL_OPEN_IN: [Flags; 2] = [Flags(1 << 7), Flags(1 << 8)];
    /// The network ACL of its subnet lets everything of the family out.
    pub(super) const ACL_OPEN_OUT: [Flags; 2] = [Flags(1 << 9), Flags(1 << 10)];

    /// By family: sends and receives, and nothing that TCP and UDP of the family have to pass on
    /// their way out says no.
    pub(super) const OPEN_OUT: [Flags; 2] = Flags::open(Flags::ACL_OPEN_OUT);
    /// The same of the way in.
    pub(super) const OPEN_IN: [Flags; 2] = Flags::open(Flags::ACL_OPEN_IN);

    const fn open(acl: [Flags; 2]) -> [Flags; 2] {
        let [v4, v6] = Flags::GROUPS_OPEN;
        [Flags::RUNS.with(Flags::HAS_IPV4).with(v4).with(acl[0]), Flags::RUNS.with(v6).with(acl[1])]
    }

    /// These and `more`.
    #[must_use]
    pub(super) const fn with(self, more: Flags) -> Flags {
        Flags(self.0 | more.0)
    }

    /// `self` and, if the fact holds, `more`.
    #[must_use]
    pub(super) const fn with_if(self, holds: bool, more: Flags) -> Flags {
        if holds { self.with(more) } else { self }
    }

    /// `self` without these.
    #[must_use]
    pub(super) const fn without(self, gone: Flags) -> Flags {
        Flags(self.0 & !gone.0)
    }

    /// Are all of these set?
    #[inline]
    pub(super) const fn has(self, all: Flags) -> bool {
        self.0 & all.0 == all.0
    }
}

/// An interface: half a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(align(32))]
pub(super) struct InterfaceRow {
    pub(super) vpc: VpcIdx,
    pub(super) table: TableIdx,
    /// What its security groups say.
    pub(super) filter: FilterIdx,
    /// What the network ACL of its subnet says.
    pub(super) acl: AclFilterIdx,
    /// The first address of its subnet's IPv4 block.
    pub(super) subnet: u32,
    /// Its first IPv4 address.
    pub(super) address: u32,
    /// Its row in the side table, see [`MoreOfInterface`]; one past every row if it has none.
    pub(super) more: u32,
    /// How many bits of an address the subnet leaves to its hosts, 0..=32.
    pub(super) host_bits: u8,
    pub(super) flags: Flags,
}

const _: () = assert!(size_of::<InterfaceRow>() == 32);

/// What not every interface has: a line.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(align(64))]
pub(super) struct MoreOfInterface {
    /// Its first IPv6 address.
    pub(super) address: Option<Ipv6Addr>,
    /// The IPv6 block of its subnet, without host bits.
    pub(super) subnet: Option<Ipv6Net>,
    /// Its other addresses, of both families.
    pub(super) others: Box<[IpAddr]>,
}

const _: () = assert!(size_of::<MoreOfInterface>() == 64);

impl MoreOfInterface {
    /// Does the IPv6 address lie in its subnet?
    #[inline]
    pub(super) fn shares_subnet_with(&self, address: Ipv6Addr) -> bool {
        self.subnet.is_some_and(|block| {
            let free = u32::from(Ipv6Net::max_prefix_len(&block) - block.prefix_len());
            let differ = u128::from(address) ^ u128::from(block.addr());
            differ.checked_shr(free).unwrap_or(0) == 0
        })
    }
}

impl InterfaceRow {
    /// A row without an interface: it drops what meets it.
    pub(super) const ABSENT: InterfaceRow = InterfaceRow {
        vpc: VpcIdx::NOWHERE,
        table: TableIdx::NOWHERE,
        filter: FilterIdx::NONE,
        acl: AclFilterIdx::NONE,
        subnet: 0,
        address: 0,
        more: u32::MAX,
        host_bits: 0,
        flags: Flags::NONE,
    };

    /// The row with this IPv4 block of its subnet.
    #[must_use]
    pub(super) fn in_subnet(mut self, block: Ipv4Net) -> InterfaceRow {
        self.subnet = u32::from(block.network());
        self.host_bits = block.max_prefix_len() - block.prefix_len();
        self
    }

    /// The row with this first IPv4 address.
    #[must_use]
    pub(super) fn with_address(mut self, address: Option<Ipv4Addr>) -> InterfaceRow {
        self.address = address.map_or(0, u32::from);
        self.flags = self.flags.with_if(address.is_some(), Flags::HAS_IPV4);
        self
    }

    /// Does the IPv4 address lie in its subnet?
    #[inline]
    pub(super) const fn shares_subnet_with(&self, address: u32) -> bool {
        ((address ^ self.subnet) as u64) >> self.host_bits == 0
    }

    /// Is it its first IPv4 address?
    #[inline]
    pub(super) const fn is_first(&self, address: u32) -> bool {
        self.address == address && self.flags.has(Flags::HAS_IPV4)
    }

    #[inline]
    pub(super) const fn check(&self) -> SourceDestCheck {
        if self.flags.has(Flags::CHECKED) { SourceDestCheck::On } else { SourceDestCheck::Off }
    }
}

/// A block of IPv4 addresses, or none at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    first: u32,
    mask: u32,
}

impl Block {
    /// Holds no address: nothing masked with 0 is 1.
    pub(super) const NONE: Block = Block { first: 1, mask: 0 };

    pub(super) fn of(net: Option<Ipv4Net>) -> Block {
        let block = |net: Ipv4Net| Block {
            first: u32::from(net.network()),
            mask: u32::from(net.netmask()),
        };
        net.map_or(Block::NONE, block)
    }

    #[inline]
    pub(super) const fn holds(self, address: u32) -> bool {
        address & self.mask == self.first
    }
}

/// Whether a VPC has other blocks than its first IPv4 one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Others {
    None,
    Some,
}

/// One direction of an open peering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PeeringEnd {
    /// Where it starts.
    pub(super) from: VpcIdx,
    /// Where it leads.
    pub(super) end: OpenEnd,
    /// The first IPv4 block of the VPC that it leads to.
    pub(super) block: Block,
    /// Whether that is all there is to know of its blocks.
    pub(super) others: Others,
}

/// A peering: one line, with what the gate asks of either VPC. Empty unless it is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(align(64))]
pub(super) struct PeeringRow {
    pub(super) ends: Option<[PeeringEnd; 2]>,
}

const _: () = assert!(size_of::<PeeringRow>() == 64);

impl PeeringRow {
    /// The open end that starts in `from`.
    #[inline]
    pub(super) fn end(&self, from: VpcIdx) -> Option<&PeeringEnd> {
        self.ends.as_ref()?.iter().find(|end| end.from == from)
    }
}

/// A VPC: half a line. Who has an address there is in the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct VpcRow {
    pub(super) there: bool,
    /// Its first IPv4 block.
    pub(super) block: Block,
    /// Its other blocks, of both families.
    pub(super) more: Box<[IpNet]>,
}

impl VpcRow {
    /// A row without a VPC.
    pub(super) fn absent() -> VpcRow {
        VpcRow { there: false, block: Block::NONE, more: Box::default() }
    }

    pub(super) fn of(blocks: &[IpNet]) -> VpcRow {
        let v4 = |block: &IpNet| if let IpNet::V4(block) = block { Some(*block) } else { None };
        let first = blocks.iter().find_map(v4);
        let is_other = |block: &IpNet| first.map(IpNet::V4) != Some(*block);
        VpcRow {
            there: true,
            block: Block::of(first),
            more: blocks.iter().copied().filter(is_other).collect(),
        }
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let in_first = match address {
            IpAddr::V4(address) => self.block.holds(address.into()),
            IpAddr::V6(_) => false,
        };
        in_first || self.more.iter().any(|block| block.contains(&address))
    }

    pub(super) fn others(&self) -> Others {
        if self.more.is_empty() { Others::None } else { Others::Some }
    }
}
