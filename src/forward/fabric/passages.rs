//! Where packets have crossed lately: a worker's own caches of look-ups.
//!
//! Holds the passage through the gate that was found by one version of the network, and who had the
//! address then: by route table and destination, and by flow for those that network ACLs have let out
//! and in. While that version is in use the passage, and what ACLs say, is as true as when it was
//! found; the owner is no more than a hint, which `enter` tries on the receiver's own row. A hit saves
//! the search for the longest prefix, the gate's questions and the directory, and of a flow two
//! decisions of ACLs; a miss costs the look into one line of the cache. Refuses to remember drops, and
//! to outlive its version.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Version;
use super::batch::Way;
use crate::base::id::{InterfaceIdx, TableIdx};
use crate::forward::gate::OpenEnd;
use crate::wire::{Flow, Protocol};

/// What a passage is found by.
pub(super) trait Key: Copy + PartialEq {
    /// How many sets of two there are for it, a power of two. Together as much as a second-level
    /// cache of 2 MiB holds beside rows and packets; only what is used comes into it.
    const SETS: usize;
    /// Stands in entries that nobody has used.
    const ANY: Self;
    /// All bits in one word.
    fn folded(self) -> u64;
}

/// A destination, as a number, to which a route table leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Onward<A> {
    pub(super) table: TableIdx,
    pub(super) destination: A,
}

/// A flow of TCP or UDP that an interface sends under its own address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent<A> {
    pub(super) from: InterfaceIdx,
    pub(super) flow: Flow<A>,
}

const fn no_flow<A: Copy>(nobody: A) -> Sent<A> {
    let (source, destination) = (nobody, nobody);
    let protocol = Protocol::NO_NEXT_HEADER;
    let flow = Flow { source, destination, protocol, source_port: 0, destination_port: 0 };
    Sent { from: InterfaceIdx::NOWHERE, flow }
}

impl<A> Sent<A> {
    /// All but the addresses.
    #[inline(always)]
    const fn rest(&self) -> u64 {
        let Flow { source_port, destination_port, protocol, .. } = self.flow;
        let ports = (source_port as u64) << 16 | destination_port as u64;
        (self.from.row() as u64) << 40 ^ ports ^ (protocol.0 as u64) << 32
    }
}

/// Both halves of the product with an odd number in which no pattern is known.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
const fn mixed(word: u64) -> u64 {
    let product = word as u128 * 0x9e37_79b9_7f4a_7c15_u128;
    (product >> 64) as u64 ^ product as u64
}

/// The halves of an IPv6 address in one word.
#[inline(always)]
#[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
const fn halved(address: u128) -> u64 {
    (address >> 64) as u64 ^ (address as u64).rotate_left(29)
}

impl Key for Onward<u32> {
    const SETS: usize = 8_192;
    const ANY: Self = Onward { table: TableIdx::NOWHERE, destination: 0 };

    #[inline(always)]
    fn folded(self) -> u64 {
        (self.table.row() as u64) << 32 | u64::from(self.destination)
    }
}

impl Key for Onward<u128> {
    const SETS: usize = 2_048;
    const ANY: Self = Onward { table: TableIdx::NOWHERE, destination: 0 };

    #[inline(always)]
    fn folded(self) -> u64 {
        (self.table.row() as u64) << 32 ^ halved(self.destination)
    }
}

impl Key for Sent<Ipv4Addr> {
    const SETS: usize = 4_096;
    const ANY: Self = no_flow(Ipv4Addr::UNSPECIFIED);

    #[inline(always)]
    fn folded(self) -> u64 {
        let Flow { source, destination, .. } = self.flow;
        let ends = u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits());
        mixed(ends) ^ self.rest()
    }
}

impl Key for Sent<Ipv6Addr> {
    const SETS: usize = 2_048;
    const ANY: Self = no_flow(Ipv6Addr::UNSPECIFIED);

    #[inline(always)]
    fn folded(self) -> u64 {
        let Flow { source, destination, .. } = self.flow;
        mixed(halved(source.to_bits())) ^ halved(destination.to_bits()) ^ self.rest()
    }
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passage {
    /// [`Way::Local`] or [`Way::Peering`].
    pub(super) way: Way,
    /// The open end, of a peering's.
    pub(super) end: OpenEnd,
    /// Who had the address.
    pub(super) to: InterfaceIdx,
}

#[derive(Clone, Copy, Debug)]
struct Entry<K> {
    key: K,
    /// The lower half of the version by which it was found.
    version: u32,
    passage: Passage,
}

/// Those that share a place, the newest first: one line for a destination over IPv4.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Set<K>([Entry<K>; 2]);

const _: () = assert!(size_of::<Set<Onward<u32>>>() == 64);

/// How many have to come for one to take the place of another. With 16,384 destinations in turn for
/// as many places 8 costs a third less than 1.
const RELUCTANCE: u32 = 8;

/// A cache for one kind of key.
#[derive(Clone, Debug)]
pub(super) struct Sets<K> {
    /// The lower half of the version in use.
    version: u32,
    /// How many have come to a set that was in use.
    turn: u32,
    /// None before the first passage is noted.
    sets: Box<[Set<K>]>,
}

impl<K: Key> Sets<K> {
    const EMPTY: Set<K> = {
        let (end, to) = (OpenEnd::NOWHERE, InterfaceIdx::NOWHERE);
        let passage = Passage { way: Way::Local, end, to };
        Set([Entry { key: K::ANY, version: 0, passage }; 2])
    };

    fn new() -> Sets<K> {
        Sets { version: 0, turn: 0, sets: Box::default() }
    }

    #[inline(always)]
    fn place(key: K) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "masked below the number of sets")]
        let hash = (key.folded().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
        hash & (K::SETS - 1)
    }

    /// The passage that was found by this key.
    #[inline(always)]
    pub(super) fn get(&self, key: K) -> Option<&Passage> {
        let Set(entries) = self.sets.get(Self::place(key))?;
        let is_it = |entry: &&Entry<K>| entry.key == key && entry.version == self.version;
        entries.iter().find(is_it).map(|entry| &entry.passage)
    }

    /// Notes a passage where its set has room; where it has none, one of [`RELUCTANCE`] takes the place
    /// of the oldest: if more keys take turns than there are places, those that are in mostly stay
    /// until their turn comes again, and the others cost little.
    pub(super) fn put(&mut self, key: K, passage: Passage) {
        if self.sets.is_empty() {
            self.sets = vec![Sets::EMPTY; K::SETS].into();
        }
        let Some(Set([newest, older])) = self.sets.get_mut(Self::place(key)) else { return };
        if newest.version == self.version {
            self.turn = self.turn.wrapping_add(1);
            if older.version == self.version && !self.turn.is_multiple_of(RELUCTANCE) {
                return;
            }
            *older = *newest;
        }
        *newest = Entry { key, version: self.version, passage };
    }
}

/// The caches.
#[derive(Clone, Debug)]
pub(super) struct Passages {
    version: Version,
    pub(super) v4: Sets<Onward<u32>>,
    pub(super) v6: Sets<Onward<u128>>,
    /// Flows that ACLs let out where they were sent, and in where the passage leads.
    pub(super) flows_v4: Sets<Sent<Ipv4Addr>>,
    pub(super) flows_v6: Sets<Sent<Ipv6Addr>>,
}

impl Passages {
    /// Empty ones.
    pub(super) fn new() -> Passages {
        Passages {
            version: Version::NONE,
            v4: Sets::new(),
            v6: Sets::new(),
            flows_v4: Sets::new(),
            flows_v6: Sets::new(),
        }
    }

    /// The version whose passages these are.
    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// From now on passages are those of this version; any of another are forgotten.
    #[inline]
    pub(super) fn follow(&mut self, version: Version) {
        if self.version == version {
            return;
        }
        let [upper, lower] = version.halves();
        // Once in 2^32 versions the lower half comes again, and with it what it may have left.
        if self.version.halves()[0] != upper {
            *self = Passages::new();
        }
        self.version = version;
        (self.v4.version, self.v6.version) = (lower, lower);
        (self.flows_v4.version, self.flows_v6.version) = (lower, lower);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(row: usize) -> Passage {
        let (end, to) = (OpenEnd::NOWHERE, InterfaceIdx::from_row(row));
        Passage { way: Way::Local, end, to }
    }

    fn onward<A>(row: usize, destination: A) -> Onward<A> {
        Onward { table: TableIdx::from_row(row), destination }
    }

    /// What is found is what was put for the same key.
    fn check<K: Key + std::fmt::Debug>(key: impl Fn(usize) -> K) {
        let mut sets = Sets { version: 1, ..Sets::new() };
        assert!(sets.get(key(0)).is_none() && sets.get(K::ANY).is_none());
        for row in 0..3 * K::SETS {
            sets.put(key(row), to(row));
            let found = sets.get(key(row)).map(|passage| passage.to.row());
            assert!(found == Some(row) || (found.is_none() && row > 0), "{:?}", key(row));
        }
        let found = (0..3 * K::SETS).filter(|row| {
            let found = sets.get(key(*row));
            assert!(found.is_none_or(|passage| passage.to.row() == *row), "{:?}", key(*row));
            found.is_some()
        });
        assert!(found.count() > K::SETS, "half of the entries at least are in use");
    }

    #[test]
    fn it_never_mistakes_one_key_for_another() {
        let address = |row: usize| 0x0a00_0000 + u32::try_from(row / 3).unwrap();
        check(|row| onward(row % 3, address(row)));
        check(|row| onward(row % 3, u128::from(address(row)) << 64));
        let port = |row: usize| u16::try_from(row % 5).unwrap();
        let protocol = |row: usize| [Protocol::TCP, Protocol::UDP][row % 2];
        check(|row| Sent {
            from: InterfaceIdx::from_row(row % 7),
            flow: Flow {
                source: Ipv4Addr::from(address(row / 2)),
                destination: Ipv4Addr::from(address(row)),
                protocol: protocol(row),
                source_port: port(row),
                destination_port: port(row / 3),
            },
        });
        check(|row| Sent {
            from: InterfaceIdx::from_row(row % 7),
            flow: Flow {
                source: Ipv6Addr::from(u128::from(address(row / 2)) << 64),
                destination: Ipv6Addr::from(u128::from(address(row))),
                protocol: protocol(row),
                source_port: port(row),
                destination_port: port(row / 3),
            },
        });
    }

    #[test]
    fn another_version_knows_nothing() {
        let mut passages = Passages::new();
        let (old, new) = (Version::next(), Version::next());
        passages.follow(old);
        passages.v4.put(onward(0, 1), to(0));
        passages.v6.put(onward(0, 1), to(0));
        passages.follow(old);
        assert!(passages.v4.get(onward(0, 1)).is_some());
        passages.follow(new);
        assert!(passages.v4.get(onward(0, 1)).is_none());
        passages.v6.put(onward(0, 1), to(1));
        // As it is after 2^32 versions.
        passages.follow(Version(new.0 + (1 << 32)));
        assert!(passages.v6.get(onward(0, 1)).is_none());
    }
}
