//! The connections of one family: an open-addressed table that grows a few buckets at a time.
//!
//! Holds entries near the home that their hash names, and the two stores between which they move
//! while the table grows. Refuses to count for interfaces: whoever makes it let go of an entry is
//! told whose it was.
//!
//! ```text
//!  old   | given back | moved |#### not yet moved ####|          a hash below the boundary is looked
//!                             ^ boundary                         for in the new store, any other in
//!  new   |#### moved, and what came since ####| not there yet |  the old one: never in both
//! ```
//!
//! Both stores keep the order of hashes, so a table moves from its start to its end: each insertion
//! takes a few buckets along, reads and writes go through memory in order, and what lies behind the
//! boundary is used again for what lies before it. What has expired is not taken along.

use super::key::{Hash, Key, Pair, Secret};
use super::ledger::tick_low;
use super::store::{Class, Entry, Heard, IN_STASH, REACH, SLOTS, Segment, Store, hear};
use crate::base::rng::Seed;
use crate::base::time::Instant;
use crate::cloud::filter::Direction;
use crate::wire::TcpFlags;

/// Homes of the smallest table.
const HOMES_MIN: usize = 4;
/// Buckets that one insertion moves while the table grows.
const MOVED: usize = 4;
/// Of 100 slots, how many may be taken before the table moves into a larger one...
const FULL: usize = 78;
/// ...and how many are to be taken there. Those that came while it moved add up to 5.
const ROOMY: usize = 58;
/// Buckets that are looked at to tell how many entries have expired.
const SAMPLE: usize = 64;

/// The store that is looked into for hashes below the boundary, and the one for all others.
const NEW: usize = 0;
const OLD: usize = 1;

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a slot of a bucket of a store.
    Bucket { store: usize, bucket: usize, slot: usize },
    /// In the stash.
    Stash(usize),
}

/// Where a look-up begins, as long as the table does not move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    store: usize,
    home: usize,
    moves: u32,
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Table<P: Pair> {
    secret: Secret,
    /// [`NEW`] and [`OLD`]. The old one is without homes unless the table is moving.
    stores: [Store<P>; 2],
    /// Homes of the old store before it have moved. None is beyond it when the table is not moving.
    boundary: usize,
    /// Entries, those that have expired included.
    taken: usize,
    /// Entries that found no room near their home: by chance next to none, and with their place
    /// chosen by a keyed hash nobody can make more.
    stash: Vec<Entry<P>>,
    /// Segments to be used again.
    spare: Vec<Segment<P>>,
    /// Counts the homes that have moved, and the beginnings of moves.
    moves: u32,
}

/// Connections of one home are told apart by where they are if not at home.
#[inline(always)]
const fn class(hash: u32) -> usize {
    hash as usize & (SLOTS - 1)
}

impl<P: Pair> Table<P> {
    pub(super) fn new(seed: Seed) -> Table<P> {
        Table {
            secret: Secret::of(seed),
            stores: [Store::with_homes(0), Store::with_homes(0)],
            boundary: usize::MAX,
            taken: 0,
            stash: Vec::new(),
            spare: Vec::new(),
            moves: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn without_a_hash(mut self) -> Table<P> {
        self.secret = Secret::NONE;
        self
    }

    /// Entries that were let in and not let go of, those that have expired included.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// Bytes of its buckets.
    pub(super) fn bytes(&self) -> usize {
        let stores: usize = self.stores.iter().map(Store::bytes).sum();
        let spare = self.spare.len() * Store::<P>::SEGMENT_BYTES;
        stores + spare + self.stash.capacity() * size_of::<Entry<P>>()
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: &Key<P>) -> Hash {
        key.hash(self.secret)
    }

    /// The store in which a hash is looked for, and its home there.
    #[inline(always)]
    fn home(&self, hash: u32) -> (usize, usize) {
        // Without a branch: while the table moves, which of them it is cannot be guessed.
        let homes = [self.stores[NEW].home(hash), self.stores[OLD].home(hash)];
        let store = usize::from(homes[OLD] >= self.boundary);
        (store, homes[store])
    }

    /// Where a look-up of this hash begins.
    #[inline(always)]
    pub(super) fn start(&self, hash: Hash) -> Start {
        let (store, home) = self.home(hash.place());
        Start { store, home, moves: self.moves }
    }

    /// Asks the cache for the bucket in which a look-up begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, start: Start) {
        self.stores[start.store & 1].prefetch(start.home);
    }

    /// A packet of a connection that lives starts its idle time anew.
    #[inline(always)]
    pub(super) fn hear(
        &mut self,
        (hash, start): (Hash, Start),
        key: &Key<P>,
        direction: Direction,
        flags: Option<TcpFlags>,
        now: Instant,
    ) -> Option<Heard> {
        // Insertions since then may have moved it.
        let start = if start.moves == self.moves { start } else { self.start(hash) };
        let bucket = self.stores[start.store & 1].get_mut(start.home)?;
        if let Some(slot) = bucket.find(hash, key, now.as_nanos()) {
            return Some(bucket.hear(slot, direction, flags, now));
        }
        if bucket.class[class(hash.place())].reach() == 0 {
            return None;
        }
        self.hear_behind(hash, key, direction, flags, now)
    }

    #[inline(never)]
    fn hear_behind(
        &mut self,
        hash: Hash,
        key: &Key<P>,
        direction: Direction,
        flags: Option<TcpFlags>,
        now: Instant,
    ) -> Option<Heard> {
        match self.find(hash, key, now.as_nanos())? {
            Place::Bucket { store, bucket, slot } => {
                let bucket = self.stores[store].get_mut(bucket)?;
                Some(bucket.hear(slot, direction, flags, now))
            }
            Place::Stash(at) => {
                let entry = self.stash.get_mut(at)?;
                let kept = (&mut entry.state, &mut entry.expires);
                Some(hear(kept, direction, flags, now))
            }
        }
    }

    /// Where the entry of a key is that lives at `now`.
    pub(super) fn find(&self, hash: Hash, key: &Key<P>, now: u64) -> Option<Place> {
        let (store, home) = self.home(hash.place());
        let reach = self.stores[store].get(home)?.class[class(hash.place())].reach();
        for bucket in home..=home + usize::from(reach).min(REACH) {
            if let Some(slot) = self.stores[store].get(bucket)?.find(hash, key, now) {
                return Some(Place::Bucket { store, bucket, slot });
            }
        }
        let stash = if reach == IN_STASH { &self.stash[..] } else { &[] };
        stash.iter().position(|entry| entry.key == *key && entry.expires > now).map(Place::Stash)
    }

    /// What is in a place.
    pub(super) fn get(&self, place: Place) -> Option<Entry<P>> {
        match place {
            Place::Bucket { store, bucket, slot } => self.stores[store].get(bucket)?.entry(slot),
            Place::Stash(at) => self.stash.get(at).copied(),
        }
    }

    /// Notes under which tick the entry in a place is filed.
    pub(super) fn set_filed(&mut self, place: Place, filed: u32) {
        let kept = match place {
            Place::Bucket { store, bucket, slot } => {
                let bucket = self.stores[store].get_mut(bucket);
                bucket.and_then(|bucket| bucket.filed.get_mut(slot))
            }
            Place::Stash(at) => self.stash.get_mut(at).map(|entry| &mut entry.filed),
        };
        if let Some(kept) = kept {
            *kept = filed;
        }
    }

    /// The `nth` place in which an entry with this hash can be; `None` behind the last.
    fn candidate(&self, hash: u32, nth: usize) -> Option<Place> {
        let (store, home) = self.home(hash);
        let reach = self.stores[store].get(home)?.class[class(hash)].reach();
        let buckets = usize::from(reach).min(REACH) + 1;
        match nth.checked_sub(buckets * SLOTS) {
            None => Some(Place::Bucket { store, bucket: home + nth / SLOTS, slot: nth % SLOTS }),
            Some(at) if reach == IN_STASH && at < self.stash.len() => Some(Place::Stash(at)),
            Some(_) => None,
        }
    }

    /// The entry in a place if it is an interface's and has this hash, living or not.
    fn namesake(&self, place: Place, row: u32, hash: u32) -> Option<Entry<P>> {
        let is = |entry: &Entry<P>| entry.key.row() == row && self.hash(&entry.key).place() == hash;
        self.get(place).filter(is)
    }

    fn namesakes(&self, row: u32, hash: u32) -> impl Iterator<Item = (Place, Entry<P>)> {
        let places = (0..).map_while(move |nth| self.candidate(hash, nth));
        places.filter_map(move |place| Some((place, self.namesake(place, row, hash)?)))
    }

    /// Is there an entry of an interface with this hash that was filed so?
    pub(super) fn is_filed(&self, row: u32, hash: u32, filed: u32) -> bool {
        self.namesakes(row, hash).any(|(_, entry)| entry.filed == filed)
    }

    /// Looks at the entries of an interface that have this hash. Those that have expired go;
    /// returns how many. Those that live and were filed so are filed anew: `again` is told when they
    /// expire.
    pub(super) fn review(
        &mut self,
        row: u32,
        hash: u32,
        filed: u32,
        now: u64,
        mut again: impl FnMut(u64),
    ) -> usize {
        let mut gone = 0;
        // Letting go of one may move others within the stash, so each search begins anew.
        loop {
            let expired = self.namesakes(row, hash).find(|(_, entry)| entry.expires <= now);
            let Some((place, _)) = expired else { break };
            self.remove(place);
            gone += 1;
        }
        for nth in 0.. {
            let Some(place) = self.candidate(hash, nth) else { break };
            let Some(entry) = self.namesake(place, row, hash) else { continue };
            if entry.filed == filed {
                self.set_filed(place, tick_low(entry.expires));
                again(entry.expires);
            }
        }
        gone
    }

    /// Lets go of an entry.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(gone) = self.get(place) else { return };
        match place {
            Place::Bucket { store, bucket, slot } => self.clear(store, bucket, slot),
            Place::Stash(at) => {
                self.stash.swap_remove(at);
            }
        }
        self.taken -= 1;
        self.left(&gone, place);
    }

    fn clear(&mut self, store: usize, bucket: usize, slot: usize) {
        let bucket = self.stores[store].get_mut(bucket);
        if let Some(expires) = bucket.and_then(|bucket| bucket.expires.get_mut(slot)) {
            *expires = 0;
        }
    }

    /// Notes with its home that an entry is not elsewhere any more.
    fn left(&mut self, gone: &Entry<P>, place: Place) {
        let hash = self.hash(&gone.key).place();
        let (store, home) = self.home(hash);
        let is_home = matches!(place, Place::Bucket { bucket, .. } if bucket == home);
        if !is_home && let Some(bucket) = self.stores[store].get_mut(home) {
            bucket.class[class(hash)].left();
        }
    }

    /// Adds an entry whose key has none that lives, and goes on with the move to a larger table if
    /// there is one. `gone` hears the row of each interface that loses an entry that had expired.
    ///
    /// At most [`REACH`] buckets are looked at, and [`MOVED`] moved.
    pub(super) fn insert(
        &mut self,
        hash: Hash,
        entry: &Entry<P>,
        now: u64,
        gone: &mut impl FnMut(u32),
    ) {
        self.grow(now, gone);
        self.taken += 1;
        self.place(hash, entry, now, gone);
    }

    /// Finds room for an entry that counts as taken.
    fn place(&mut self, hash: Hash, entry: &Entry<P>, now: u64, gone: &mut impl FnMut(u32)) {
        let (store, home) = self.home(hash.place());
        for (bucket, reach) in (home..=home + REACH).zip(0..) {
            let Some(room) = self.stores[store].get_mut(bucket) else { break };
            let Some(slot) = room.free(now) else { continue };
            let before = room.entry(slot);
            room.put(slot, hash, entry);
            if let Some(before) = before {
                self.taken -= 1;
                gone(before.key.row());
                self.left(&before, Place::Bucket { store, bucket, slot });
            }
            if reach > 0 {
                self.went(store, home, hash, reach);
            }
            return;
        }
        self.stash.push(*entry);
        self.went(store, home, hash, IN_STASH);
    }

    /// Notes with its home that an entry was put elsewhere.
    fn went(&mut self, store: usize, home: usize, hash: Hash, reach: u8) {
        if let Some(bucket) = self.stores[store].get_mut(home) {
            bucket.class[class(hash.place())].went(reach);
        }
    }

    /// Begins a move if there is need, and does a share of it.
    fn grow(&mut self, now: u64, gone: &mut impl FnMut(u32)) {
        if self.stores[OLD].homes() == 0 {
            let homes = self.stores[NEW].homes();
            if self.taken * 100 < homes * SLOTS * FULL {
                return;
            }
            let next = Store::with_homes(self.homes_wanted(now));
            let old = std::mem::replace(&mut self.stores[NEW], next);
            if homes == 0 {
                self.moves = self.moves.wrapping_add(1);
                self.stores[NEW].reach_to(HOMES_MIN, &mut self.spare);
                return;
            }
            self.stores[OLD] = old;
            self.boundary = 0;
            self.moves = self.moves.wrapping_add(1);
        }
        for _ in 0..MOVED {
            if self.stores[OLD].homes() == 0 {
                return;
            }
            self.move_one(now, gone);
        }
    }

    /// How many homes the entries that live would have room in, as a sample tells. At least half of
    /// those that there are, and at most three eighths more.
    fn homes_wanted(&self, now: u64) -> usize {
        let homes = self.stores[NEW].homes();
        let step = homes.div_ceil(SAMPLE).max(1);
        let seen = (0..homes).step_by(step).filter_map(|at| self.stores[NEW].get(at));
        let (mut taken, mut live) = (0, 0);
        for expires in seen.flat_map(|bucket| bucket.expires) {
            taken += usize::from(expires != 0);
            live += usize::from(expires > now);
        }
        let live = self.taken * live / taken.max(1);
        let wanted = live * 100 / (SLOTS * ROOMY);
        wanted.clamp(homes / 2, homes + homes / 8 * 3 + 1).max(HOMES_MIN)
    }

    /// Moves the entries of one home.
    fn move_one(&mut self, now: u64, gone: &mut impl FnMut(u32)) {
        let home = self.boundary;
        self.boundary += 1;
        self.moves = self.moves.wrapping_add(1);
        let homes = self.stores[OLD].homes();
        let until = self.stores[NEW].homes_of(self.boundary, homes);
        self.stores[NEW].reach_to(until, &mut self.spare);
        let Some(bucket) = self.stores[OLD].get_mut(home).copied() else { return };
        let reach = bucket.class.map(Class::reach).into_iter().max().unwrap_or_default();
        if reach == IN_STASH {
            // First, since what is brought over may end there again.
            for at in (0..self.stash.len()).rev() {
                if self.old_home(&self.stash[at]) == home {
                    let entry = self.stash.swap_remove(at);
                    self.bring(&entry, now, gone);
                }
            }
        }
        // What is in the bucket itself has its home here: what had it before has moved.
        for entry in (0..SLOTS).filter_map(|slot| bucket.entry(slot)) {
            self.bring(&entry, now, gone);
        }
        for behind in home + 1..=home + usize::from(reach).min(REACH) {
            for slot in 0..SLOTS {
                let entry = self.stores[OLD].get(behind).and_then(|bucket| bucket.entry(slot));
                let Some(entry) = entry else { continue };
                if self.old_home(&entry) == home {
                    self.clear(OLD, behind, slot);
                    self.bring(&entry, now, gone);
                }
            }
        }
        self.stores[OLD].give_back(self.boundary, &mut self.spare);
        if self.boundary == homes {
            self.stores[OLD] = Store::with_homes(0);
            self.boundary = usize::MAX;
            self.spare = Vec::new();
        }
    }

    fn old_home(&self, entry: &Entry<P>) -> usize {
        self.stores[OLD].home(self.hash(&entry.key).place())
    }

    /// Puts an entry that was taken out of the old store into the new one if it lives.
    fn bring(&mut self, entry: &Entry<P>, now: u64, gone: &mut impl FnMut(u32)) {
        if entry.expires <= now {
            self.taken -= 1;
            gone(entry.key.row());
        } else {
            self.place(self.hash(&entry.key), entry, now, gone);
        }
    }

    /// How many entries of an interface live at `now`. Linear in the table.
    pub(super) fn live(&self, row: u32, now: u64) -> usize {
        // What lies before the boundary are copies of what has moved.
        let old = self.stores[OLD].iter_from(self.boundary);
        let buckets = self.stores[NEW].iter_from(0).chain(old);
        let entries = buckets.flat_map(|bucket| (0..SLOTS).filter_map(|slot| bucket.entry(slot)));
        let all = entries.chain(self.stash.iter().copied());
        all.filter(|entry| entry.expires > now && entry.key.row() == row).count()
    }
}
