//! Several cores: each has networks of its own, and hands over what crosses into another's.
//!
//! Holds [`Shard`], which is what one core has: the interfaces of some VPCs with their memory, a
//! reader of the network, counters, and a ring to every other shard. An interface's packets leave
//! and arrive in the one shard that it is in, so its memory has one owner and nothing is locked.
//! Refuses to start threads, to know where packets come from, and to cut them up.
//!
//! ```text
//!   shard 0                                       shard 1
//!   push ─► leave ─┬─────────► enter ─► ring      push ─► leave ─┬─────────► enter ─► ring
//!                  │             ▲                               │             ▲
//!                  └──── ring ───┼───────────────────────────────┼─────────────┘
//!                                └──────────────────── ring ─────┘
//! ```
//!
//! There are two ways to drive them. Each by itself, with [`Left::enter`]: nobody waits for anybody, but
//! for room in a ring, and whoever waits takes in what is for itself. Or all in rounds, with
//! [`Left::enter_in_order`]: all leave before one enters, and packets enter in the order of their
//! names. Then verdicts, counters, each interface's deliveries in their order, and memories are
//! those of one worker to whom each round is a batch, however many shards there are.
//!
//! A version of the network is asked for once for what leaves and once for what has come, after it
//! has come: so nothing enters by an older version than it left by, and what leaves by one version
//! and enters by the next is a packet that was under way, which `enter` is made for.

use std::num::{NonZeroU32, NonZeroUsize};

use rtrb::{Consumer, Producer, RingBuffer};

use super::batch::Handover;
use super::{BATCH, Batch, Fabric, Fate, Publisher, Reader, Worker, prefetch};
use crate::base::id::*;
use crate::forward::gate::Realm;
use crate::forward::{Crossing, Tracking};
use crate::wire::Packet;

/// How many packets that cross from one shard into another may wait there: at least those of one
/// batch, so that in rounds nobody waits.
pub const HANDOVERS: usize = 4 * BATCH;

/// Which shard a network is in. It stays there for as long as the run lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Division {
    /// As wide as a row: dividing twice as wide takes twice as long.
    shards: NonZeroU32,
}

impl Division {
    /// Among so many shards.
    pub fn among(shards: NonZeroUsize) -> Division {
        // Nobody has the memory for more.
        Division { shards: shards.try_into().unwrap_or(NonZeroU32::MAX) }
    }

    /// The number of the shard that an interface is in; for one that is not there, of any. A host
    /// outside the cloud is where its network is.
    pub fn of(self, fabric: &Fabric, interface: InterfaceIdx) -> usize {
        let row = fabric.hosts.interfaces.get(interface.row());
        let vpc = row.map_or(VpcIdx::NOWHERE, |row| row.vpc);
        self.of_realm(fabric.hosts.edges.realm_of(interface).unwrap_or(Realm::Vpc(vpc)))
    }

    /// The number of the shard that a network is in.
    ///
    /// VPCs take turns. Outside the cloud nothing is remembered, so that every shard would be right;
    /// that a network there has one, too, keeps what arrives at a host in one ring, in its order.
    #[inline]
    pub fn of_realm(self, realm: Realm) -> usize {
        match realm {
            Realm::Vpc(vpc) => self.of_vpc(vpc),
            Realm::Internet => 0,
            Realm::Behind(gateway) => self.of_row(gateway.row()),
        }
    }

    #[inline]
    pub(super) fn of_vpc(self, vpc: VpcIdx) -> usize {
        self.of_row(vpc.row())
    }

    #[inline]
    fn of_row(self, row: usize) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "rows have 32 bits")]
        let shard = row as u32 % self.shards;
        shard as usize
    }
}

/// A packet that has left and is too long for its way: whoever sent it has to cut it up.
#[derive(Clone, Copy, Debug)]
pub struct TooLong<'p> {
    /// Who sent it.
    pub from: InterfaceIdx,
    /// As it was sent.
    pub packet: &'p Packet,
    /// What the caller called it.
    pub name: u32,
    /// How its pieces cross.
    pub crossing: Crossing,
}

/// What one core has.
#[derive(Debug)]
pub struct Shard<'p, M> {
    number: usize,
    division: Division,
    reader: Reader,
    memory: M,
    worker: Worker,
    leaving: Batch<'p>,
    arriving: Batch<'p>,
    /// To each shard, itself included.
    to: Vec<Outlet<'p>>,
    from: Vec<Consumer<Handover<'p>>>,
    too_long: Vec<TooLong<'p>>,
    idle: fn(),
}

/// What goes to another shard.
#[derive(Debug)]
struct Outlet<'p> {
    ring: Producer<Handover<'p>>,
    /// Those in the batch that are to go there.
    places: Vec<u8>,
    /// How many there were the last time.
    expected: usize,
}

/// Packets of a shard that have left: they have to enter.
#[derive(Debug)]
#[must_use = "what has left has to enter"]
pub struct Left<'s, 'p, M>(&'s mut Shard<'p, M>);

/// A shard from which nothing comes any more. Others may still hand over to it.
#[derive(Debug)]
#[must_use = "others may still hand over to it"]
pub struct Closed<'p, M>(Shard<'p, M>);

/// What a shard leaves behind.
#[derive(Debug)]
pub struct Finished<'p, M> {
    /// What its interfaces remember.
    pub memory: M,
    /// Its counters, and the deliveries that nobody has taken.
    pub worker: Worker,
    /// Packets that have left and are too long for their way, if nobody has taken them.
    pub too_long: Vec<TooLong<'p>>,
}

/// As many shards as there are memories, joined by rings. Each is to be driven by a thread of its
/// own, or all in rounds by one; its ring of deliveries has room for `deliveries`. `idle` is what it
/// does when it can do nothing but wait for another: give the core away, if they share one.
pub fn crew<'p, M: Tracking>(
    publisher: &Publisher,
    memories: Vec<M>,
    deliveries: usize,
    idle: fn(),
) -> Vec<Shard<'p, M>> {
    let Some(count) = NonZeroUsize::new(memories.len()) else { return Vec::new() };
    let shard = |(number, memory)| Shard {
        number,
        division: Division::among(count),
        reader: publisher.reader(),
        memory,
        worker: Worker::new(deliveries),
        leaving: Batch::new(),
        arriving: Batch::new(),
        to: Vec::new(),
        from: Vec::new(),
        too_long: Vec::new(),
        idle,
    };
    let mut shards: Vec<Shard<'p, M>> = memories.into_iter().enumerate().map(shard).collect();
    for sender in 0..shards.len() {
        for receiver in 0..shards.len() {
            // What a shard would hand to itself stays in its batch.
            let (ring, end) = RingBuffer::new(if sender == receiver { 0 } else { HANDOVERS });
            shards[sender].to.push(Outlet { ring, places: Vec::new(), expected: 0 });
            if sender != receiver {
                shards[receiver].from.push(end);
            }
        }
    }
    shards
}

impl<'p, M: Tracking> Shard<'p, M> {
    /// Adds a packet that this interface wants to send; `name` is what deliveries call it by.
    /// `false` if [`BATCH`] packets wait to leave. The interface must be in this shard, by
    /// [`Division::of`], or it would have two memories.
    #[inline]
    pub fn push(&mut self, from: InterfaceIdx, packet: &'p Packet, name: u32) -> bool {
        self.leaving.push(from, packet, name)
    }

    /// Lets those leave that were pushed, and hands over those that cross into other shards.
    ///
    /// If a ring is full, it waits until its reader has taken something from it, and meanwhile takes
    /// in what comes here, so that two that wait for each other wait for nothing.
    pub fn leave(&mut self) -> Left<'_, 'p, M> {
        self.ask_for_rings();
        self.reader.fabric().leave_all(&mut self.leaving, &mut self.memory, &mut self.worker);
        self.sort();
        self.to[self.number].places.clear();
        for receiver in 0..self.to.len() {
            self.hand_over(receiver);
        }
        Left(self)
    }

    /// Asks for the lines of the rings, which other cores have: those that this shard is going to
    /// write, about, and those that it can read. What others do to a ring is only looked at when it
    /// must be.
    fn ask_for_rings(&mut self) {
        for Outlet { ring, expected, .. } in &mut self.to {
            let room = ring.cached_slots().min(*expected);
            if let Ok(mut chunk) = ring.write_chunk_uninit(room) {
                let (first, second) = chunk.as_mut_slices();
                for slot in first.iter_mut().chain(second) {
                    prefetch::line_to_write(slot);
                }
            }
        }
        for ring in &mut self.from {
            let count = ring.slots().min(BATCH);
            if let Ok(chunk) = ring.read_chunk(count) {
                let (first, second) = chunk.as_slices();
                first.iter().chain(second).for_each(prefetch::line);
            }
        }
    }

    /// Who crosses into which shard.
    fn sort(&mut self) {
        for place in (0..=u8::MAX).take(self.leaving.len()) {
            let at = usize::from(place);
            match self.leaving.home(at, self.division) {
                // Its own too: whether a packet crosses is what no processor guesses.
                Some(home) => self.to[home].places.push(place),
                None if self.leaving.fate(at) == Some(Fate::MustBeCut) => self.keep(at),
                None => {}
            }
        }
    }

    #[cold]
    fn keep(&mut self, at: usize) {
        if let (Some((from, packet, name)), Some(crossing)) =
            (self.leaving.sent(at), self.leaving.crossing(at))
        {
            self.too_long.push(TooLong { from, packet, name, crossing });
        }
    }

    fn hand_over(&mut self, receiver: usize) {
        let mut done = 0;
        loop {
            let Shard { to, leaving, .. } = self;
            let Outlet { ring, places, .. } = &mut to[receiver];
            let (_, rest) = places.split_at(done);
            if rest.is_empty() {
                break;
            }
            let cached = ring.cached_slots();
            let room = if cached < rest.len() { ring.slots() } else { cached }.min(rest.len());
            if let (1.., Ok(chunk)) = (room, ring.write_chunk_uninit(room)) {
                let taken = rest.iter().take(room);
                done += room;
                chunk.fill_from_iter(taken.filter_map(|at| leaving.hand_over(usize::from(*at))));
            } else if ring.is_abandoned() {
                // A shard that was dropped and has not finished: it takes nothing in any more.
                break;
            } else if !self.take_in() {
                (self.idle)();
            }
        }
        let Outlet { places, expected, .. } = &mut self.to[receiver];
        *expected = places.len();
        places.clear();
    }

    /// Lets those enter that others have handed over so far. Was there any?
    fn take_in(&mut self) -> bool {
        let mut any = false;
        for ring in &mut self.from {
            // What has come, before the version: it is no older than that by which they left.
            let seen = ring.cached_slots();
            let count = if seen == 0 { ring.slots() } else { seen }.min(BATCH);
            let (1.., Ok(chunk)) = (count, ring.read_chunk(count)) else { continue };
            any = true;
            let fabric = self.reader.fabric();
            chunk.into_iter().for_each(|handover| self.arriving.take_over(handover));
            fabric.enter_all(&mut self.arriving, &mut self.memory, &mut self.worker);
            self.arriving.clear();
        }
        any
    }

    /// What its interfaces remember.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// The same, for whoever moves its time on.
    pub const fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Its counters and its deliveries.
    pub const fn worker(&mut self) -> &mut Worker {
        &mut self.worker
    }

    /// Those that have left since the last time and are too long for their way.
    pub fn take_too_long(&mut self) -> Vec<TooLong<'p>> {
        std::mem::take(&mut self.too_long)
    }

    /// Lets those leave and enter that were pushed, and tells the others that nothing more will come
    /// from here.
    pub fn close(mut self) -> Closed<'p, M> {
        self.leave().enter();
        self.to.clear();
        Closed(self)
    }
}

impl<'p, M: Tracking> Closed<'p, M> {
    /// Takes in what others hand over until all have closed.
    pub fn finish(self) -> Finished<'p, M> {
        let Closed(mut shard) = self;
        loop {
            // First whether they have closed, then whether something is left.
            let over = shard.from.iter().all(Consumer::is_abandoned);
            if !shard.take_in() {
                if over {
                    break;
                }
                (shard.idle)();
            }
        }
        Finished { memory: shard.memory, worker: shard.worker, too_long: shard.too_long }
    }
}

impl<M: Tracking> Left<'_, '_, M> {
    /// Lets those enter that stay in this shard, and those that others have handed over so far.
    pub fn enter(self) {
        let Shard { reader, leaving, memory, worker, .. } = &mut *self.0;
        reader.fabric().enter_all(leaving, memory, worker);
        leaving.clear();
        self.0.take_in();
    }

    /// Lets all enter that are to enter here, in the order of their names. In each shard they must
    /// have been pushed in that order, and all shards must have left; before one leaves again, all
    /// must have entered.
    pub fn enter_in_order(self) {
        let Shard { division, reader, leaving, arriving, memory, worker, from, .. } = self.0;
        let fabric = reader.fabric();
        let mut own = 0;
        loop {
            while own < leaving.len() && leaving.home(own, *division).is_none() {
                own += 1;
            }
            let first = from
                .iter()
                .enumerate()
                .filter_map(|(n, ring)| Some((ring.peek().ok()?.name(), Some(n))));
            let of_own = leaving.sent(own).map(|(_, _, name)| (name, None));
            let next = match first.chain(of_own).min() {
                Some((_, Some(ring))) => from[ring].pop().ok(),
                Some((_, None)) => leaving.hand_over(own),
                None => None,
            };
            if next.is_none() || arriving.len() == BATCH {
                fabric.enter_all(arriving, memory, worker);
                arriving.clear();
            }
            match next {
                Some(handover) => arriving.take_over(handover),
                None => break,
            }
        }
        leaving.clear();
    }
}
