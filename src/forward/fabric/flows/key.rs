//! What tells connections apart, packed, and where its hash places them.
//!
//! Holds the packing for both families and the keyed hash. Refuses to hold what changes while a
//! connection lives.

#![allow(
    private_interfaces,
    reason = "nobody outside can name the sealed trait or what it returns"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use super::table::Start;
use crate::base::id::InterfaceIdx;
use crate::base::rng::Seed;
use crate::cloud::filter::Direction;
use crate::wire::{Flow, Protocol};

/// Bits of a hash: as many as fit into a filing beside a family and a tick (see `ledger.rs`). A
/// table of 10,000,000 flows has 2^22 homes.
pub(super) const HASH_BITS: u32 = 28;

/// A packet's flow as one interface sees it, hashed: what a look-up takes. 24 bytes and the hash
/// for IPv4.
#[derive(Clone, Copy, Debug)]
pub struct Probe<A: Address> {
    pub(super) key: Key<A::Pair>,
    pub(super) hash: Hash,
    pub(super) start: Start,
    pub(super) direction: Direction,
}

/// IPv4's or IPv6's.
pub trait Address: sealed::Sealed {}

impl Address for Ipv4Addr {}
impl Address for Ipv6Addr {}

pub(super) mod sealed {
    use super::super::Flows;
    use super::super::table::Table;

    pub trait Sealed: Copy {
        /// Two of them.
        type Pair: super::Pair;
        fn pair(source: Self, destination: Self) -> Self::Pair;
        fn table(flows: &Flows) -> &Table<Self::Pair>;
        fn table_mut(flows: &mut Flows) -> &mut Table<Self::Pair>;
        const FAMILY: u64;
    }
}

/// Two addresses in as few words as they need.
pub trait Pair: Copy + Eq + Default + std::fmt::Debug {
    /// What a slot holds before any connection.
    const ZERO: Self;

    /// The pair with its ends exchanged if `turned` is 1, as it is if it is 0. Without a branch:
    /// which way the next packet goes is not to be guessed.
    fn turned(self, turned: u32) -> Self;
    /// The words mixed into one, which nobody can steer who does not know the secret.
    fn mixed(self, ident: u64, secret: Secret) -> u64;
}

impl Pair for u64 {
    const ZERO: u64 = 0;

    #[inline(always)]
    fn turned(self, turned: u32) -> u64 {
        self.rotate_left(32 * turned)
    }

    #[inline(always)]
    fn mixed(self, ident: u64, secret: Secret) -> u64 {
        fold(self ^ secret.0[0], ident ^ secret.0[1])
    }
}

impl Pair for [u64; 4] {
    const ZERO: [u64; 4] = [0; 4];

    #[inline(always)]
    fn turned(self, turned: u32) -> [u64; 4] {
        let [a, b, c, d] = self;
        // All bits or none of what differs.
        let mask = 0_u64.wrapping_sub(u64::from(turned));
        let (first, second) = ((a ^ c) & mask, (b ^ d) & mask);
        [a ^ first, b ^ second, c ^ first, d ^ second]
    }

    #[inline(always)]
    fn mixed(self, ident: u64, secret: Secret) -> u64 {
        let near = fold(self[0] ^ secret.0[0], self[1] ^ secret.0[1]);
        let far = fold(self[2] ^ secret.0[2], self[3] ^ near);
        fold(far ^ secret.0[0], ident ^ secret.0[1])
    }
}

impl sealed::Sealed for Ipv4Addr {
    type Pair = u64;
    const FAMILY: u64 = 0;

    #[inline(always)]
    fn pair(source: Ipv4Addr, destination: Ipv4Addr) -> u64 {
        u64::from(u32::from(source)) << 32 | u64::from(u32::from(destination))
    }
    fn table(flows: &super::Flows) -> &super::table::Table<u64> {
        &flows.v4
    }
    fn table_mut(flows: &mut super::Flows) -> &mut super::table::Table<u64> {
        &mut flows.v4
    }
}

impl sealed::Sealed for Ipv6Addr {
    type Pair = [u64; 4];
    const FAMILY: u64 = 1;

    #[inline(always)]
    fn pair(source: Ipv6Addr, destination: Ipv6Addr) -> [u64; 4] {
        let ([a, b], [c, d]) = (halves(u128::from(source)), halves(u128::from(destination)));
        [a, b, c, d]
    }
    fn table(flows: &super::Flows) -> &super::table::Table<[u64; 4]> {
        &flows.v6
    }
    fn table_mut(flows: &mut super::Flows) -> &mut super::table::Table<[u64; 4]> {
        &mut flows.v6
    }
}

/// A connection as an interface sees it: from its own side to the far one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key<P> {
    pub(super) pair: P,
    /// From the top: the interface's row in 32 bits, its own port, the far one.
    pub(super) ident: u64,
    pub(super) protocol: Protocol,
}

impl<P: Pair> Key<P> {
    #[inline(always)]
    pub(super) fn of<A: sealed::Sealed<Pair = P>>(
        at: InterfaceIdx,
        direction: Direction,
        flow: &Flow<A>,
    ) -> Key<P> {
        let turned = u32::from(direction == Direction::Ingress);
        let ports = u32::from(flow.source_port) << 16 | u32::from(flow.destination_port);
        let ident = (at.row() as u64) << 32 | u64::from(ports.rotate_left(16 * turned));
        let pair = A::pair(flow.source, flow.destination).turned(turned);
        Key { pair, ident, protocol: flow.protocol }
    }

    /// The row of the interface.
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits")]
    pub(super) const fn row(&self) -> u32 {
        (self.ident >> 32) as u32
    }

    /// The same for both directions.
    #[inline(always)]
    pub(super) fn hash(&self, secret: Secret) -> Hash {
        let mixed = self.pair.mixed(self.ident, secret) ^ u64::from(self.protocol.0);
        Hash(fold(mixed, secret.0[3]))
    }
}

/// 64 random bits that are a key's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    /// The bits that name a home, uniform in `0..1 << HASH_BITS`.
    #[inline(always)]
    pub(super) const fn place(self) -> u32 {
        #[allow(clippy::cast_possible_truncation, reason = "the bits that are left fit")]
        {
            (self.0 >> (64 - HASH_BITS)) as u32
        }
    }

    /// Others, by which the entries of a bucket are told apart.
    #[inline(always)]
    pub(super) const fn tag(self) -> u8 {
        #[allow(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
        {
            self.0 as u8
        }
    }
}

/// What the hash is keyed with, so that who chooses ports cannot choose places.
#[derive(Clone, Copy, Debug)]
pub struct Secret([u64; 4]);

impl Secret {
    pub(super) fn of(seed: Seed) -> Secret {
        let mut stream = seed.stream("flows");
        // Odd, so that no factor is 0.
        Secret([0; 4].map(|_: u64| stream.next_u64() | 1))
    }

    /// One that gives every key the same hash: what can only happen by chance, every time.
    #[cfg(test)]
    pub(super) const NONE: Secret = Secret([0; 4]);
}

/// Both halves of the product, one over the other.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let [high, low] = halves(u128::from(a) * u128::from(b));
    high ^ low
}

#[inline(always)]
fn halves(wide: u128) -> [u64; 2] {
    #[allow(clippy::cast_possible_truncation, reason = "each is one half")]
    {
        [(wide >> 64) as u64, wide as u64]
    }
}
