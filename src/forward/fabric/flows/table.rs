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

use super::key::{Key, Pair, Secret};
use super::ledger::tick_low;
use super::state::State;
use super::store::{Bucket, IN_STASH, REACH, SLOTS, Slot, Store};
use crate::base::rng::Seed;

/// Homes of the smallest table.
const HOMES_MIN: usize = 4;
/// Buckets that one insertion moves while the table grows.
const MOVED: usize = 4;
/// Of 100 slots, how many may be taken before the table moves into a larger one...
const FULL: usize = 78;
/// ...and how many are to be taken there. Those that came while it moved add up to 6.
const ROOMY: usize = 58;
/// Buckets that are looked at to tell how many entries have expired.
const SAMPLE: usize = 64;

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    side: Side,
    /// The bucket, or the place in the stash.
    bucket: usize,
    slot: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    New,
    Old,
    Stash,
}

/// What is kept of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<P> {
    pub(super) key: Key<P>,
    pub(super) expires: u64,
    pub(super) filed: u32,
    pub(super) state: State,
}

impl<P: Pair> Slot<P> {
    pub(super) fn entry(&self) -> Entry<P> {
        Entry { key: self.key(), expires: self.expires, filed: self.filed, state: self.state }
    }

    pub(super) const fn key(&self) -> Key<P> {
        Key { pair: self.pair, ident: self.ident, protocol: self.protocol }
    }

    /// Is an entry in it, be it one that has expired?
    const fn is_taken(&self) -> bool {
        self.expires != 0
    }

    /// Whose it is.
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits")]
    const fn row(&self) -> u32 {
        (self.ident >> 32) as u32
    }

    fn put(&mut self, entry: &Entry<P>) {
        let Entry { key: Key { pair, ident, protocol }, expires, filed, state } = *entry;
        let Slot { reach, displaced, .. } = *self;
        *self = Slot { expires, pair, ident, filed, protocol, state, reach, displaced };
    }

    #[inline(always)]
    fn is(&self, key: &Key<P>, now: u64) -> bool {
        // Without branches between: what differs is not to be guessed.
        (self.pair == key.pair)
            & (self.ident == key.ident)
            & (self.protocol == key.protocol)
            & (self.expires > now)
    }
}

/// A slot of its home bucket has what is to be known of a class.
#[inline(always)]
const fn class(hash: u32) -> usize {
    hash as usize & (SLOTS - 1)
}

impl<P: Pair> Bucket<P> {
    /// Compares with all slots before it decides: in which one a connection is cannot be guessed, and
    /// a wrong guess costs more than the other three.
    #[inline(always)]
    fn find(&self, key: &Key<P>, now: u64) -> Option<usize> {
        let [a, b, c, d] = self.slots.each_ref().map(|slot| u32::from(slot.is(key, now)));
        let found = a | b << 1 | c << 2 | d << 3;
        (found != 0).then(|| found.trailing_zeros() as usize & (SLOTS - 1))
    }

    /// A class takes slots in an order of its own, its own line first.
    fn free(&self, class: usize, now: u64) -> Option<usize> {
        let order = [0, 1, 2, 3].map(|nth| (nth ^ class) & (SLOTS - 1));
        order.into_iter().find(|slot| self.slots[*slot].expires <= now)
    }
}

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Table<P: Pair> {
    secret: Secret,
    new: Store<P>,
    /// Without homes unless the table is moving.
    old: Store<P>,
    /// Homes of the old store before it have moved.
    boundary: usize,
    /// Slots that are taken, also by what has expired; the stash included.
    taken: usize,
    /// Entries that found no room near their home: by chance next to none, and with their place
    /// chosen by a keyed hash nobody can make more.
    stash: Vec<Slot<P>>,
    /// Segments to be used again.
    spare: Vec<Vec<Bucket<P>>>,
}

impl<P: Pair> Table<P> {
    pub(super) fn new(seed: Seed) -> Table<P> {
        Table {
            secret: Secret::of(seed),
            new: Store::default(),
            old: Store::default(),
            boundary: 0,
            taken: 0,
            stash: Vec::new(),
            spare: Vec::new(),
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
        let buckets = self.new.buckets_held() + self.old.buckets_held();
        let spare: usize = self.spare.iter().map(Vec::len).sum();
        (buckets + spare) * size_of::<Bucket<P>>() + self.stash.capacity() * size_of::<Slot<P>>()
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: &Key<P>) -> u32 {
        key.hash(self.secret)
    }

    /// The store in which a hash is looked for, and its home there.
    #[inline(always)]
    fn home(&self, hash: u32) -> (Side, usize) {
        if self.old.homes() != 0 {
            let home = self.old.home(hash);
            if home >= self.boundary {
                return (Side::Old, home);
            }
        }
        (Side::New, self.new.home(hash))
    }

    #[inline(always)]
    fn store(&self, side: Side) -> &Store<P> {
        if side == Side::Old { &self.old } else { &self.new }
    }

    #[inline(always)]
    fn store_mut(&mut self, side: Side) -> &mut Store<P> {
        if side == Side::Old { &mut self.old } else { &mut self.new }
    }

    /// Asks the cache for the bucket in which a look-up begins.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u32) {
        let (side, home) = self.home(hash);
        self.store(side).prefetch(home);
    }

    /// Where the entry of a key is that lives at `now`.
    #[inline(always)]
    pub(super) fn find(&self, hash: u32, key: &Key<P>, now: u64) -> Option<Place> {
        let (side, home) = self.home(hash);
        let class = class(hash);
        let bucket = self.store(side).get(home)?;
        if let Some(slot) = bucket.find(key, now) {
            return Some(Place { side, bucket: home, slot });
        }
        match bucket.slots[class].reach {
            0 => None,
            reach => self.find_behind(side, home, reach, key, now),
        }
    }

    #[inline(never)]
    fn find_behind(
        &self,
        side: Side,
        home: usize,
        reach: u8,
        key: &Key<P>,
        now: u64,
    ) -> Option<Place> {
        let store = self.store(side);
        for bucket in home + 1..=home + usize::from(reach).min(REACH) {
            if let Some(slot) = store.get(bucket)?.find(key, now) {
                return Some(Place { side, bucket, slot });
            }
        }
        let stash = if reach == IN_STASH { &self.stash[..] } else { &[] };
        let bucket = stash.iter().position(|slot| slot.is(key, now))?;
        Some(Place { side: Side::Stash, bucket, slot: 0 })
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Slot<P>> {
        match place.side {
            Side::Stash => self.stash.get_mut(place.bucket),
            side => self.store_mut(side).get_mut(place.bucket)?.slots.get_mut(place.slot),
        }
    }

    /// The `nth` place in which an entry with this hash can be; `None` behind the last.
    fn candidate(&self, hash: u32, nth: usize) -> Option<Place> {
        let (side, home) = self.home(hash);
        let reach = self.store(side).get(home)?.slots[class(hash)].reach;
        let buckets = usize::from(reach).min(REACH) + 1;
        match nth.checked_sub(buckets * SLOTS) {
            None => Some(Place { side, bucket: home + nth / SLOTS, slot: nth % SLOTS }),
            Some(at) if reach == IN_STASH && at < self.stash.len() => {
                Some(Place { side: Side::Stash, bucket: at, slot: 0 })
            }
            Some(_) => None,
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Slot<P>> {
        match place.side {
            Side::Stash => self.stash.get(place.bucket),
            side => self.store(side).get(place.bucket)?.slots.get(place.slot),
        }
    }

    /// The entries of an interface that have this hash, living or not.
    fn namesakes(&self, row: u32, hash: u32) -> impl Iterator<Item = (Place, &Slot<P>)> {
        let places = (0..).map_while(move |nth| self.candidate(hash, nth));
        places.filter_map(|place| Some((place, self.get(place)?))).filter(move |(_, slot)| {
            slot.is_taken() && slot.row() == row && self.hash(&slot.key()) == hash
        })
    }

    /// Is there an entry of an interface with this hash that was filed so?
    pub(super) fn is_filed(&self, row: u32, hash: u32, filed: u32) -> bool {
        self.namesakes(row, hash).any(|(_, slot)| slot.filed == filed)
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
        let expired = |table: &Table<P>| {
            table.namesakes(row, hash).find(|(_, slot)| slot.expires <= now).map(|(place, _)| place)
        };
        // Letting go of one may move others within the stash, so each search begins anew.
        while let Some(place) = expired(self) {
            self.remove(place);
            gone += 1;
        }
        let secret = self.secret;
        for nth in 0.. {
            let Some(place) = self.candidate(hash, nth) else { break };
            let Some(slot) = self.get_mut(place) else { break };
            let is = slot.is_taken() && slot.row() == row && slot.key().hash(secret) == hash;
            if is && slot.filed == filed {
                slot.filed = tick_low(slot.expires);
                again(slot.expires);
            }
        }
        gone
    }

    /// Lets go of an entry.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(slot) = self.get_mut(place) else { return };
        let gone = *slot;
        slot.expires = 0;
        if place.side == Side::Stash {
            self.stash.swap_remove(place.bucket);
        }
        self.taken -= 1;
        self.left(&gone, place);
    }

    /// Notes with its home that an entry is not elsewhere any more.
    fn left(&mut self, gone: &Slot<P>, place: Place) {
        let hash = self.hash(&gone.key());
        let (side, home) = self.home(hash);
        if place.side == side && place.bucket == home {
            return;
        }
        let Some(bucket) = self.store_mut(side).get_mut(home) else { return };
        let class = &mut bucket.slots[class(hash)];
        match class.displaced {
            u8::MAX => {}
            1 => (class.displaced, class.reach) = (0, 0),
            n => class.displaced = n.saturating_sub(1),
        }
    }

    /// Adds an entry whose key has none that lives, and goes on with the move to a larger table if
    /// there is one. `gone` hears the row of each interface that loses an entry that had expired.
    ///
    /// At most [`REACH`] buckets are looked at, and [`MOVED`] moved.
    pub(super) fn insert(
        &mut self,
        hash: u32,
        entry: &Entry<P>,
        now: u64,
        gone: &mut impl FnMut(u32),
    ) {
        self.grow(now, gone);
        self.taken += 1;
        self.place(hash, entry, now, gone);
    }

    /// Finds room for an entry that counts as taken.
    fn place(&mut self, hash: u32, entry: &Entry<P>, now: u64, gone: &mut impl FnMut(u32)) {
        let (side, home) = self.home(hash);
        let class = class(hash);
        for bucket in home..=home + REACH {
            let Some(slots) = self.store_mut(side).get_mut(bucket) else { break };
            let Some(slot) = slots.free(class, now) else { continue };
            let before = slots.slots[slot];
            slots.slots[slot].put(entry);
            if before.is_taken() {
                self.taken -= 1;
                gone(before.row());
                self.left(&before, Place { side, bucket, slot });
            }
            if bucket > home {
                #[allow(clippy::cast_possible_truncation, reason = "at most REACH")]
                self.went(side, home, class, (bucket - home) as u8);
            }
            return;
        }
        let mut slot = Slot::default();
        slot.put(entry);
        self.stash.push(slot);
        self.went(side, home, class, IN_STASH);
    }

    /// Notes with its home that an entry was put elsewhere.
    fn went(&mut self, side: Side, home: usize, class: usize, reach: u8) {
        if let Some(bucket) = self.store_mut(side).get_mut(home) {
            let class = &mut bucket.slots[class];
            class.reach = class.reach.max(reach);
            class.displaced = class.displaced.saturating_add(1);
        }
    }

    /// Begins a move if there is need, and does a share of it.
    fn grow(&mut self, now: u64, gone: &mut impl FnMut(u32)) {
        if self.old.homes() == 0 {
            let homes = self.new.homes();
            if self.taken * 100 < homes * SLOTS * FULL {
                return;
            }
            let next = Store::with_homes(self.homes_wanted(now));
            self.old = std::mem::replace(&mut self.new, next);
            self.boundary = 0;
            if homes == 0 {
                self.new.reach_to(HOMES_MIN, &mut self.spare);
                return;
            }
        }
        for _ in 0..MOVED {
            if self.old.homes() == 0 {
                return;
            }
            self.move_one(now, gone);
        }
    }

    /// How many homes the entries that live would have room in, as a sample tells. At least half of
    /// those that there are, and at most three eighths more.
    fn homes_wanted(&self, now: u64) -> usize {
        let homes = self.new.homes();
        let step = homes.div_ceil(SAMPLE).max(1);
        let seen = (0..homes).step_by(step).filter_map(|at| self.new.get(at));
        let (mut taken, mut live) = (0, 0);
        for slot in seen.flat_map(|bucket| &bucket.slots) {
            taken += usize::from(slot.is_taken());
            live += usize::from(slot.expires > now);
        }
        let live = self.taken * live / taken.max(1);
        let wanted = live * 100 / (SLOTS * ROOMY);
        wanted.clamp(homes / 2, homes + homes / 8 * 3 + 1).max(HOMES_MIN)
    }

    /// Moves the entries of one home.
    fn move_one(&mut self, now: u64, gone: &mut impl FnMut(u32)) {
        let home = self.boundary;
        self.boundary += 1;
        let homes = self.old.homes();
        let until = self.new.homes_of(self.boundary, homes);
        self.new.reach_to(until, &mut self.spare);
        // What is in the bucket itself has its home here: what had it before has moved.
        let Some(bucket) = self.old.get_mut(home) else { return };
        let slots = bucket.slots;
        let reach = slots.iter().map(|slot| slot.reach).max().unwrap_or_default();
        if reach == IN_STASH {
            // First, since what is brought over may end there again.
            for at in (0..self.stash.len()).rev() {
                let slot = self.stash[at];
                if self.old.home(self.hash(&slot.key())) == home {
                    self.stash.swap_remove(at);
                    self.bring(&slot, now, gone);
                }
            }
        }
        for slot in slots.iter().filter(|slot| slot.is_taken()) {
            self.bring(slot, now, gone);
        }
        for behind in home + 1..=home + usize::from(reach).min(REACH) {
            for nth in 0..SLOTS {
                let Some(bucket) = self.old.get_mut(behind) else { break };
                let slot = bucket.slots[nth];
                if slot.is_taken() && self.old.home(self.hash(&slot.key())) == home {
                    if let Some(bucket) = self.old.get_mut(behind) {
                        bucket.slots[nth].expires = 0;
                    }
                    self.bring(&slot, now, gone);
                }
            }
        }
        self.old.give_back(self.boundary, &mut self.spare);
        if self.boundary == homes {
            self.old = Store::default();
            self.spare = Vec::new();
        }
    }

    /// Puts an entry that was taken out of the old store into the new one if it lives.
    fn bring(&mut self, slot: &Slot<P>, now: u64, gone: &mut impl FnMut(u32)) {
        if slot.expires <= now {
            self.taken -= 1;
            gone(slot.row());
            return;
        }
        self.place(self.hash(&slot.key()), &slot.entry(), now, gone);
    }

    /// How many entries of an interface live at `now`. Linear in the table.
    pub(super) fn live(&self, row: u32, now: u64) -> usize {
        let old = self.old.iter_from(self.boundary);
        let slots = self.new.iter_from(0).chain(old).flat_map(|bucket| &bucket.slots);
        slots.chain(&self.stash).filter(|slot| slot.expires > now && slot.row() == row).count()
    }
}
