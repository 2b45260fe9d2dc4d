//! Who has an address in a VPC: one table for all VPCs and both families, open-addressed, at most
//! half full.
//!
//! Holds for each address where its interface's row is, in 8 bytes: half a hash and the row. The
//! other half of the hash is the place. That is enough to find the row, not to be sure of it; whoever
//! asks has to look at the row anyway and says whether it is the one. So there is an entry for each
//! address that is in use and none for those that are not, and an instance costs 16 to 32 bytes. An
//! entry that goes leaves a mark if others may stand behind it, until a new one takes its place or
//! the table is built anew.

use std::net::IpAddr;

use crate::base::id::{InterfaceIdx, VpcIdx};

/// A place of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Slot {
    tag: u32,
    owner: InterfaceIdx,
}

/// Nobody is here: a search ends.
const EMPTY: Slot = Slot { tag: 0, owner: InterfaceIdx::NOWHERE };

/// Somebody was here: a search goes on.
const VACATED: Slot = Slot { tag: 1, owner: InterfaceIdx::NOWHERE };

/// An address in a VPC, hashed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(u64);

impl Key {
    /// What stands where no key has been put yet.
    pub(super) const NONE: Key = Key(0);

    /// Both halves of a product of 64 bits by 64, folded: every bit of the key reaches every bit of
    /// the hash. The keys are the network's own addresses, so the hash needs no secret.
    #[inline]
    pub(super) fn of(vpc: VpcIdx, address: IpAddr) -> Key {
        match address {
            IpAddr::V4(address) => Key::of_v4(vpc, address.into()),
            IpAddr::V6(address) => Key::of_v6(vpc, address.into()),
        }
    }

    /// The halves of the address are mixed one after the other.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "both halves are wanted")]
    pub(super) const fn of_v6(vpc: VpcIdx, address: u128) -> Key {
        let upper = Key::mixed((address >> 64) as u64 ^ (vpc.row() as u64) << 32);
        Key::mixed(upper.0 ^ address as u64)
    }

    #[inline]
    pub(super) const fn of_v4(vpc: VpcIdx, address: u32) -> Key {
        Key::mixed((vpc.row() as u64) << 32 | address as u64)
    }

    #[inline]
    const fn mixed(key: u64) -> Key {
        let product = (key ^ 0x2545_f491_4f6c_dd1d) as u128 * 0x9e37_79b9_7f4a_7c15_u128;
        #[allow(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        Key((product as u64) ^ (product >> 64) as u64)
    }

    #[allow(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
    #[inline]
    const fn tag(self) -> u32 {
        self.0 as u32
    }
}

/// The table.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    /// A power of two, and one at least.
    slots: Box<[Slot]>,
    /// How far a hash is shifted to give a place.
    shift: u32,
    /// How many slots are not [`EMPTY`].
    used: usize,
    /// How many of them have an owner.
    count: usize,
}

impl Directory {
    /// An empty table with room for so many addresses.
    pub(super) fn with_room(count: usize) -> Directory {
        let size = (count.max(4) * 2).next_power_of_two();
        let shift = 64 - size.trailing_zeros();
        Directory { slots: vec![EMPTY; size].into(), shift, used: 0, count: 0 }
    }

    /// Where the search for this key begins.
    #[allow(clippy::cast_possible_truncation, reason = "places are below the table's length")]
    #[inline]
    const fn place(&self, key: Key) -> usize {
        (key.0 >> self.shift) as usize
    }

    /// Asks for the line in which the search will begin.
    #[inline]
    pub(super) fn prefetch(&self, key: Key) {
        super::prefetch::element(&self.slots, self.place(key));
    }

    /// The first row that may have the address and for which `is_it` holds.
    #[inline]
    pub(super) fn find(
        &self,
        key: Key,
        is_it: impl Fn(InterfaceIdx) -> bool,
    ) -> Option<InterfaceIdx> {
        let mut at = self.place(key);
        loop {
            let slot = *self.slots.get(at)?;
            // A table is never more than half used, so the search ends.
            if slot == EMPTY {
                return None;
            }
            if slot.tag == key.tag() && is_it(slot.owner) {
                return Some(slot.owner);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// The first row that may have the address: whoever asks has to make sure.
    #[inline]
    pub(super) fn candidate(&self, key: Key) -> Option<InterfaceIdx> {
        self.find(key, |_| true)
    }

    /// Notes who has an address.
    pub(super) fn insert(&mut self, key: Key, owner: InterfaceIdx) {
        debug_assert!((self.used + 1) * 2 <= self.slots.len(), "the caller has made room");
        let mut at = self.place(key);
        while self.slots[at].owner != InterfaceIdx::NOWHERE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.used += usize::from(self.slots[at] == EMPTY);
        self.slots[at] = Slot { tag: key.tag(), owner };
        self.count += 1;
    }

    /// Forgets that this owner has an address; nothing happens if it has not.
    pub(super) fn remove(&mut self, key: Key, owner: InterfaceIdx) {
        let (mut at, mask) = (self.place(key), self.slots.len() - 1);
        while self.slots[at] != (Slot { tag: key.tag(), owner }) {
            if self.slots[at] == EMPTY {
                return;
            }
            at = (at + 1) & mask;
        }
        self.slots[at] = VACATED;
        self.count -= 1;
        // Where a search would end behind it, it may as well end here, and before.
        if self.slots[(at + 1) & mask] == EMPTY {
            while self.slots[at] == VACATED {
                self.slots[at] = EMPTY;
                self.used -= 1;
                at = at.wrapping_sub(1) & mask;
            }
        }
    }

    /// Or must it be built anew before so many more addresses come?
    pub(super) const fn has_room_for(&self, more: usize) -> bool {
        (self.used + more) * 2 <= self.slots.len()
    }

    /// How many addresses it knows.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// What the table takes.
    pub(super) const fn bytes(&self) -> usize {
        size_of::<Slot>() * self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Like a map, with rebuilding when it is full. Some are removed again.
        #[test]
        fn it_is_a_map(
            pairs in prop::collection::vec((0_u32..4, 0_u32..40), 0..400),
        ) {
            let mut map: BTreeMap<(u32, u32), InterfaceIdx> = BTreeMap::new();
            let mut directory = Directory::with_room(0);
            let key = |(vpc, address): (u32, u32)| Key::of_v4(VpcIdx::from_row(vpc as usize), address);
            for (at, pair) in pairs.into_iter().enumerate() {
                if let Some(owner) = map.remove(&pair) {
                    directory.remove(key(pair), InterfaceIdx::from_row(at + 1_000));
                    directory.remove(key(pair), owner);
                    prop_assert_eq!(directory.len(), map.len());
                    continue;
                }
                if !directory.has_room_for(1) {
                    directory = Directory::with_room(directory.len() + 1);
                    map.iter().for_each(|(pair, owner)| directory.insert(key(*pair), *owner));
                }
                let owner = InterfaceIdx::from_row(at);
                directory.insert(key(pair), owner);
                map.insert(pair, owner);
                prop_assert_eq!(directory.len(), map.len());
            }
            for pair in (0..4).flat_map(|vpc| (0..41).map(move |address| (vpc, address))) {
                let want = map.get(&pair).copied();
                prop_assert_eq!(directory.find(key(pair), |row| Some(row) == want), want);
            }
        }
    }

    /// Neighbours in one VPC, and the same address in neighbouring VPCs, are spread.
    #[test]
    fn neighbours_do_not_pile_up() {
        let mut directory = Directory::with_room(1 << 14);
        for (row, host) in (0..1_usize << 14).zip((0_u32..64).cycle()) {
            let key = Key::of_v4(VpcIdx::from_row(row / 64), 0x0a00_0000 + host);
            directory.insert(key, InterfaceIdx::from_row(row));
        }
        let runs = directory.slots.split(|slot| *slot == EMPTY).map(<[Slot]>::len);
        assert!(runs.max().unwrap() < 64, "a search takes a few steps");
    }
}
