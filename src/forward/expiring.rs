//! A bounded map whose entries expire.
//!
//! Holds what is remembered from packet to packet: connections, fragments, translations. Refuses to
//! read a clock, and to hand out its entries in any order.

use std::collections::BTreeSet;
use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::base::time::Instant;

/// What is kept of one key until it expires.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Kept<V> {
    value: V,
    /// From this moment on it is as if it were not there.
    expires: Instant,
    /// Where [`Expiring::by_time`] has it: not later than it expires.
    filed: Instant,
}

/// A map whose entries expire. Room is made when it is needed, not by the clock.
///
/// An entry that is used expires later, which is noted when its old time has come and not before:
/// using one costs a look-up, and making room a logarithm.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Expiring<K: Eq + Hash, V> {
    entries: FxHashMap<K, Kept<V>>,
    /// Each entry once.
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Eq + Hash, V> Default for Expiring<K, V> {
    fn default() -> Expiring<K, V> {
        Expiring { entries: FxHashMap::default(), by_time: BTreeSet::new() }
    }
}

impl<K: Copy + Ord + Hash, V> Expiring<K, V> {
    /// How many there are, those that have expired unnoticed included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many there are that have not expired. Linear in the table.
    pub(super) fn live(&self, now: Instant) -> usize {
        self.entries.values().filter(|kept| kept.expires > now).count()
    }

    /// Is there no room, even without what has expired? Linear in the table if it looks full.
    pub(super) fn is_full(&self, now: Instant, most: usize) -> bool {
        self.entries.len() >= most && self.live(now) >= most
    }

    /// What is kept of the key at `now`, to be changed.
    pub(super) fn get_mut(&mut self, key: &K, now: Instant) -> Option<&mut V> {
        self.entries.get_mut(key).filter(|kept| kept.expires > now).map(|kept| &mut kept.value)
    }

    /// From now on the entry expires then. Earlier than before costs a logarithm, later nothing.
    pub(super) fn set_expiry(&mut self, key: &K, expires: Instant) {
        let Some(kept) = self.entries.get_mut(key) else { return };
        kept.expires = expires;
        if expires < kept.filed {
            self.by_time.remove(&(kept.filed, *key));
            self.by_time.insert((expires, *key));
            kept.filed = expires;
        }
    }

    /// What is kept of the key at `now`.
    pub(super) fn get(&self, key: &K, now: Instant) -> Option<&V> {
        self.entries.get(key).filter(|kept| kept.expires > now).map(|kept| &kept.value)
    }

    /// Adds an entry in place of one with the same key, having let go of what has expired if there
    /// is no room. `false`: there is none even so.
    pub(super) fn insert(
        &mut self,
        key: K,
        value: V,
        expires: Instant,
        now: Instant,
        most: usize,
    ) -> bool {
        self.remove(&key);
        if self.entries.len() >= most {
            self.forget(now, |_, _| {});
        }
        if self.entries.len() >= most {
            return false;
        }
        self.by_time.insert((expires, key));
        self.entries.insert(key, Kept { value, expires, filed: expires });
        true
    }

    /// Lets go of one, which may have expired.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let kept = self.entries.remove(key)?;
        self.by_time.remove(&(kept.filed, *key));
        Some(kept.value)
    }

    /// Lets go of what has expired. An entry that was used since it was filed is filed anew, at most
    /// once in each idle time. `gone` hears of each that goes.
    pub(super) fn forget(&mut self, now: Instant, mut gone: impl FnMut(K, V)) {
        while let Some((filed, key)) = self.by_time.first().copied()
            && filed <= now
        {
            self.by_time.remove(&(filed, key));
            match self.entries.get_mut(&key) {
                Some(kept) if kept.expires > now => {
                    kept.filed = kept.expires;
                    self.by_time.insert((kept.expires, key));
                }
                _ => {
                    if let Some(kept) = self.entries.remove(&key) {
                        gone(key, kept.value);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::time::Span;

    fn at(secs: u64) -> Instant {
        Instant::START + Span::from_secs(secs)
    }

    #[test]
    fn room_is_made_by_what_has_expired_and_by_nothing_else() {
        let mut map = Expiring::default();
        assert!(map.insert('a', 1, at(10), at(0), 2));
        assert!(map.insert('b', 2, at(20), at(0), 2));
        assert!(!map.insert('c', 3, at(30), at(9), 2), "full");
        map.set_expiry(&'a', at(25));
        assert!(!map.insert('c', 3, at(30), at(10), 2), "a was used and lives on");
        assert!(map.insert('c', 3, at(30), at(20), 2), "b has expired");
        assert_eq!([map.get(&'a', at(20)), map.get(&'b', at(20))], [Some(&1), None]);
        assert_eq!((map.get(&'a', at(25)), map.len()), (None, 2));
    }

    #[test]
    fn whoever_asks_hears_of_each_that_goes() {
        let mut map = Expiring::default();
        for (key, expires) in [('a', 10), ('b', 20), ('c', 10)] {
            map.insert(key, (), at(expires), at(0), 9);
        }
        map.remove(&'c');
        let mut gone = Vec::new();
        map.forget(at(15), |key, ()| gone.push(key));
        assert_eq!((gone, map.len()), (vec!['a'], 1));
    }

    proptest! {
        /// Like a map that is searched in full, and each entry is filed once.
        #[test]
        fn agrees_with_a_search(
            script in prop::collection::vec((0_u8..3, 0_u8..8, 0_u64..4, 1_u64..9), 1..200),
        ) {
            const MOST: usize = 4;
            let mut map: Expiring<u8, u64> = Expiring::default();
            let mut slow: Vec<(u8, u64, Instant)> = Vec::new();
            let mut now = 0;
            for (what, key, passes, lives) in script {
                now += passes;
                slow.retain(|(_, _, expires)| *expires > at(now));
                let place = slow.iter().position(|(k, ..)| *k == key);
                match what {
                    0 => {
                        let fits = place.is_some() || slow.len() < MOST;
                        let added = map.insert(key, now, at(now + lives), at(now), MOST);
                        prop_assert_eq!(added, fits);
                        slow.retain(|(k, ..)| *k != key);
                        slow.extend(fits.then_some((key, now, at(now + lives))));
                    }
                    1 => {
                        map.remove(&key);
                        slow.retain(|(k, ..)| *k != key);
                    }
                    _ => {
                        let used = map.get_mut(&key, at(now));
                        prop_assert_eq!(used.is_some(), place.is_some());
                        if let Some(place) = place {
                            // Later than before or earlier.
                            map.set_expiry(&key, at(now + lives));
                            slow[place].2 = at(now + lives);
                        }
                    }
                }
                for key in 0..8 {
                    let want = slow.iter().find(|(k, ..)| *k == key).map(|(_, value, _)| value);
                    prop_assert_eq!(map.get(&key, at(now)), want);
                }
                prop_assert_eq!(map.is_full(at(now), MOST), slow.len() == MOST);
                prop_assert!(map.len() <= MOST && map.by_time.len() == map.len());
            }
        }
    }
}
