//! Where packets for a destination have crossed lately: a worker's own cache of look-ups.
//!
//! Holds, by route table and destination, the passage through the gate that was found by one version
//! of the network, and who had the address then. While that version is in use the first is as true as
//! when it was found; the second is no more than a hint, which `enter` tries on the receiver's own row.
//! A hit saves the search for the longest prefix, the gate's questions and the directory; a miss costs
//! the look into one line of the cache. Refuses to remember drops, and to outlive its version.

use super::Version;
use super::batch::Way;
use crate::base::id::{InterfaceIdx, TableIdx};
use crate::forward::gate::OpenEnd;

/// Sets of two: 512 KiB, of which only what is used comes into a cache, and 256 KiB once a packet
/// goes over IPv6.
const SETS_V4: usize = 8_192;
const SETS_V6: usize = 2_048;

/// An IPv4 or IPv6 address as a number.
pub(super) trait Address: Copy + PartialEq {
    /// Any address: in an entry without a table nobody asks for it.
    const ANY: Self;
    /// How many sets there are, a power of two.
    const SETS: usize;
    /// All bits of it in half as many or a quarter.
    fn folded(self) -> u64;
}

impl Address for u32 {
    const ANY: u32 = 0;
    const SETS: usize = SETS_V4;

    #[inline(always)]
    fn folded(self) -> u64 {
        self.into()
    }
}

impl Address for u128 {
    const ANY: u128 = 0;
    const SETS: usize = SETS_V6;

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "both halves are used")]
    fn folded(self) -> u64 {
        (self >> 64) as u64 ^ (self as u64).rotate_left(29)
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
struct Entry<A> {
    destination: A,
    table: TableIdx,
    /// The lower half of the version by which it was found.
    version: u32,
    passage: Passage,
}

/// Those that share a line, the newest first.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Set<A>([Entry<A>; 2]);

const _: () = assert!(size_of::<Set<u32>>() == 64);

/// The sets of one family.
#[derive(Clone, Debug)]
pub(super) struct Sets<A> {
    /// The lower half of the one in use.
    version: u32,
    sets: Box<[Set<A>]>,
}

impl<A: Address> Sets<A> {
    const EMPTY: Set<A> = {
        let (end, to) = (OpenEnd::NOWHERE, InterfaceIdx::NOWHERE);
        let passage = Passage { way: Way::Local, end, to };
        Set([Entry { destination: A::ANY, table: TableIdx::NOWHERE, version: 0, passage }; 2])
    };

    /// None yet.
    fn new() -> Sets<A> {
        Sets { version: 0, sets: Box::default() }
    }

    #[inline(always)]
    fn place(&self, table: TableIdx, destination: A) -> usize {
        let key = destination.folded() ^ (table.row() as u64) << 32;
        #[allow(clippy::cast_possible_truncation, reason = "masked below the number of sets")]
        let hash = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize;
        hash & (A::SETS - 1)
    }

    /// The passage that was found for this destination by this table.
    #[inline(always)]
    pub(super) fn get(&self, table: TableIdx, destination: A) -> Option<&Passage> {
        let Set(entries) = self.sets.get(self.place(table, destination))?;
        let is_it = |entry: &&Entry<A>| {
            entry.destination == destination
                && entry.table == table
                && entry.version == self.version
        };
        entries.iter().find(is_it).map(|entry| &entry.passage)
    }

    /// Notes a passage, in place of the older one of its set.
    pub(super) fn put(&mut self, table: TableIdx, destination: A, passage: Passage) {
        if self.sets.is_empty() {
            self.sets = vec![Sets::EMPTY; A::SETS].into();
        }
        let place = self.place(table, destination);
        let Some(Set([newest, older])) = self.sets.get_mut(place) else { return };
        *older = *newest;
        *newest = Entry { destination, table, version: self.version, passage };
    }
}

/// The cache.
#[derive(Clone, Debug)]
pub(super) struct Passages {
    version: Version,
    pub(super) v4: Sets<u32>,
    pub(super) v6: Sets<u128>,
}

impl Passages {
    /// An empty one.
    pub(super) fn new() -> Passages {
        Passages { version: Version::NONE, v4: Sets::new(), v6: Sets::new() }
    }

    /// From now on passages are those of this version; any of another are forgotten.
    #[inline]
    pub(super) fn follow(&mut self, version: Version) {
        if self.version != version {
            let [upper, lower] = version.halves();
            // Once in 2^32 versions the lower half comes again, and with it what it may have left.
            if self.version.halves()[0] != upper {
                (self.v4, self.v6) = (Sets::new(), Sets::new());
            }
            self.version = version;
            (self.v4.version, self.v6.version) = (lower, lower);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(row: usize) -> Passage {
        let (end, to) = (OpenEnd::NOWHERE, InterfaceIdx::from_row(row));
        Passage { way: Way::Local, end, to }
    }

    /// What is found is what was put for the same table and destination, and the newest of a set
    /// stays longest.
    #[test]
    fn it_never_mistakes_one_destination_for_another() {
        let mut passages = Passages::new();
        passages.follow(Version::next());
        for row in 0..3 * SETS_V4 {
            let (table, address) = (TableIdx::from_row(row % 3), 0x0a00_0000 + row as u32 / 3);
            passages.v4.put(table, address, to(row));
            passages.v6.put(table, u128::from(address) << 64, to(row));
            assert_eq!(passages.v4.get(table, address).unwrap().to.row(), row);
            assert_eq!(passages.v6.get(table, u128::from(address) << 64).unwrap().to.row(), row);
        }
        let found = (0..3 * SETS_V4).filter(|row| {
            let (table, address) = (TableIdx::from_row(row % 3), 0x0a00_0000 + *row as u32 / 3);
            let found = passages.v4.get(table, address);
            assert!(found.is_none_or(|passage| passage.to.row() == *row));
            found.is_some()
        });
        assert!(found.count() > SETS_V4, "half of the entries at least are in use");
    }

    #[test]
    fn another_version_knows_nothing() {
        let mut passages = Passages::new();
        let (old, new) = (Version::next(), Version::next());
        passages.follow(old);
        passages.v4.put(TableIdx::from_row(0), 1, to(0));
        passages.follow(old);
        assert!(passages.v4.get(TableIdx::from_row(0), 1).is_some());
        passages.follow(new);
        assert!(passages.v4.get(TableIdx::from_row(0), 1).is_none());
    }
}
