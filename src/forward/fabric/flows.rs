//! Connection tracking for the fast path: the same answers as [`Connections`](crate::forward::Connections),
//! in the same time for one flow and for ten million.
//!
//! Holds one table for the connections of all interfaces (or of one worker's share of them), and
//! for each interface a count. Refuses to read rules, as its twin does, and to free memory by the
//! clock: an entry that has expired is as if it were not there, and its room is used again.
//!
//! | file | what |
//! |---|---|
//! | `key` | addresses and ports of either family packed, and the keyed hash |
//! | `state` | how far a connection has come, in a byte |
//! | `store`, `table` | buckets of 4 entries of 32 bytes; growth without a pause |
//! | `ledger` | how many connections an interface has: exactly, whenever its limit is near |
//!
//! A look-up costs the two lines of one bucket, and in one of ten cases more; [`Flows::prefetch`]
//! lets a batch wait for all of its lines at once. A new connection costs that, a push to the heap of
//! its interface, and while the table grows four buckets of its move. A verdict "full" is exact: see
//! `ledger`. Ways that were slower when measured (`cargo bench --bench flows`): entries that begin in
//! one line and spill into the next, with and without a second round of asking for lines (one in five
//! is guessed wrong, 24..32 ns in place of 14 in the second-level cache, 92 in place of 78 at ten
//! million); comparing all four keys in place of four tags (23..35 ns).

mod key;
mod ledger;
mod state;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use key::{Address, Probe};
use key::{Key, sealed::Sealed};
use ledger::{Filing, FragmentKey, Ledger, tick_low};
use state::State;
use store::Entry;
use table::Table;

use crate::base::id::InterfaceIdx;
use crate::base::limit::{FRAGMENTS_TRACKED_MAX, TRACKED_CONNECTIONS_DEFAULT};
use crate::base::rng::Seed;
use crate::base::time::{Instant, Span};
use crate::cloud::filter::Direction;
use crate::forward::connections::with_echo;
use crate::forward::{Judgement, Tracking, Word};
use crate::wire::{Flow, FlowKey, Packet, TcpFlags, quoted};

/// How long the later fragments of a packet may take, as for the twin.
const FRAGMENTS: Span = Span::from_secs(30);

/// What all interfaces remember. Memory grows with the connections that are open, up to a bound for
/// each interface: at most 64 bytes for each of them once there are ten thousand.
#[derive(Clone, Debug)]
pub struct Flows {
    v4: Table<u64>,
    v6: Table<[u64; 4]>,
    ledgers: Vec<Option<Box<Ledger>>>,
    most: usize,
    now: Instant,
}

impl Flows {
    /// Nothing is remembered. The seed keys the hash: who does not know it cannot choose ports that
    /// pile up. Answers do not depend on it.
    pub fn new(seed: Seed) -> Flows {
        Flows {
            v4: Table::new(seed),
            v6: Table::new(seed),
            ledgers: Vec::new(),
            most: TRACKED_CONNECTIONS_DEFAULT,
            now: Instant::START,
        }
    }

    /// From now on an interface remembers at most this many connections; what is remembered stays.
    pub fn set_limit(&mut self, most: usize) {
        self.most = most;
    }

    /// The moment at which the next packets are judged. Does not go back.
    pub fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// How many connections of an interface have not expired. Linear in the table.
    pub fn live(&self, at: InterfaceIdx) -> usize {
        let now = self.now.as_nanos();
        let row = row(at);
        self.v4.live(row, now) + self.v6.live(row, now)
    }

    /// Entries of all interfaces, those that have expired unnoticed included.
    pub fn entries(&self) -> usize {
        self.v4.taken() + self.v6.taken()
    }

    /// The same memory for whoever only wants to know.
    pub fn peek(&self) -> FlowsPeek<'_> {
        FlowsPeek(self)
    }

    /// Bytes that it takes, but for fragments. Linear in the number of interfaces.
    pub fn bytes(&self) -> usize {
        let ledgers: usize =
            self.ledgers.iter().flatten().map(|l| size_of::<Ledger>() + l.bytes()).sum();
        let index = self.ledgers.capacity() * size_of::<Option<Box<Ledger>>>();
        self.v4.bytes() + self.v6.bytes() + index + ledgers
    }

    /// Begins to look up the connection of a packet that goes through an interface in a direction:
    /// asks the cache for its line. [`Flows::judge_probe`] does the rest, best after the other
    /// packets of a batch have been asked for.
    #[inline(always)]
    pub fn prefetch<A: Address>(
        &self,
        at: InterfaceIdx,
        direction: Direction,
        flow: &Flow<A>,
    ) -> Probe<A> {
        let probe = self.probe(at, direction, flow);
        A::table(self).prefetch(probe.start);
        probe
    }

    #[inline(always)]
    fn probe<A: Address>(
        &self,
        at: InterfaceIdx,
        direction: Direction,
        flow: &Flow<A>,
    ) -> Probe<A> {
        let (key, table) = (Key::of(at, direction, flow), A::table(self));
        let hash = table.hash(&key);
        Probe { key, hash, start: table.start(hash), direction }
    }

    /// [`Tracking::judge`] of a packet that is neither a later fragment nor an ICMP error, by its
    /// probe and its TCP flags. Whoever judges a first fragment so has its others judged by rules.
    #[inline(always)]
    pub fn judge_probe<A: Address>(
        &mut self,
        probe: &Probe<A>,
        flags: Option<TcpFlags>,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        let now = self.now;
        let Probe { key, hash, start, direction } = probe;
        if let Some(heard) = A::table_mut(self).hear((*hash, *start), key, *direction, flags, now) {
            if heard.is_earlier || flags.is_some_and(is_reset) {
                self.ends(probe, flags);
            }
            return Judgement::ByConnection(heard.opener);
        }
        match rules() {
            Word::Refused => Judgement::Refused,
            Word::Untracked => Judgement::ByRule,
            // A reset opens nothing.
            Word::Tracked if flags.is_some_and(is_reset) => Judgement::ByRule,
            Word::Tracked if self.open(probe, flags) => Judgement::ByRule,
            Word::Tracked => Judgement::Full,
        }
    }

    /// A connection has ended: after a reset there is none, and one that both ends have finished is
    /// to be looked at earlier than it was to.
    #[cold]
    fn ends<A: Address>(&mut self, probe: &Probe<A>, flags: Option<TcpFlags>) {
        let now = self.now.as_nanos();
        let table = A::table_mut(self);
        let Some(place) = table.find(probe.hash, &probe.key, now) else { return };
        let Some(expires) = table.get(place).map(|entry| entry.expires) else { return };
        let is_reset = flags.is_some_and(is_reset);
        if is_reset {
            table.remove(place);
        } else {
            table.set_filed(place, tick_low(expires));
        }
        let Some(Some(ledger)) = self.ledgers.get_mut(probe.key.row() as usize) else { return };
        if is_reset {
            ledger.entries -= 1;
        } else {
            ledger.file(Filing::new(expires, A::FAMILY, probe.hash.place()), expires);
        }
    }

    /// Remembers a connection by its first packet. `false`: there is no room.
    #[inline(never)]
    fn open<A: Address>(&mut self, probe: &Probe<A>, flags: Option<TcpFlags>) -> bool {
        let row = probe.key.row();
        if !self.has_room(row) {
            return false;
        }
        let now = self.now;
        let state = State::opened(probe.direction, probe.key.protocol);
        let state = state.after(probe.direction, flags);
        let expires = (now + state.idle()).as_nanos();
        let entry = Entry { key: probe.key, expires, filed: tick_low(expires), state };
        let mut ledgers = std::mem::take(&mut self.ledgers);
        A::table_mut(self).insert(probe.hash, &entry, now.as_nanos(), &mut |row| {
            if let Some(Some(ledger)) = ledgers.get_mut(row as usize) {
                ledger.entries -= 1;
            }
        });
        self.ledgers = ledgers;
        let at = row as usize;
        if self.ledgers.len() <= at {
            self.ledgers.resize_with(at + 1, || None);
        }
        let ledger = self.ledgers[at].get_or_insert_default();
        ledger.entries += 1;
        ledger.file(Filing::new(expires, A::FAMILY, probe.hash.place()), expires);
        if ledger.is_stale() {
            let (v4, v6) = (&self.v4, &self.v6);
            ledger.refile(|filing| match filing.family() {
                Ipv4Addr::FAMILY => v4.is_filed(row, filing.hash(), filing.tick_low()),
                _ => v6.is_filed(row, filing.hash(), filing.tick_low()),
            });
        }
        true
    }

    /// Does the interface remember fewer connections than it may, of those that have not expired?
    ///
    /// Constant until as many were let in. Then it looks at those that may have expired, until it
    /// finds one that has: each at most once in its idle time and once in its last tick.
    #[inline]
    fn has_room(&mut self, row: u32) -> bool {
        let (now, most) = (self.now.as_nanos(), self.most);
        let Some(Some(ledger)) = self.ledgers.get_mut(row as usize) else { return most > 0 };
        if ledger.entries < most {
            return true;
        }
        if ledger.is_quiet(now) {
            return false;
        }
        let (mut next, mut held) = (u64::MAX, Vec::new());
        while ledger.entries >= most {
            let Some(due) = ledger.next_due(now) else {
                ledger.settled(next);
                break;
            };
            let (hash, filed) = (due.hash(), due.tick_low());
            let again = |expires| {
                let filing = Filing::new(expires, due.family(), hash);
                if filing.tick_low() == tick_low(now) {
                    // Not to be met again at once.
                    held.push((filing, expires));
                } else {
                    ledger.file(filing, expires);
                }
                next = next.min(expires);
            };
            ledger.entries -= match due.family() {
                Ipv4Addr::FAMILY => self.v4.review(row, hash, filed, now, again),
                _ => self.v6.review(row, hash, filed, now, again),
            };
        }
        for (filing, expires) in held {
            ledger.file(filing, expires);
        }
        ledger.entries < most
    }

    fn ledger(&self, row: u32) -> Option<&Ledger> {
        self.ledgers.get(row as usize)?.as_deref()
    }

    /// The direction of the first packet of the connection to which a flow belongs that goes through
    /// an interface in a direction.
    fn opener(&self, at: InterfaceIdx, direction: Direction, flow: FlowKey) -> Option<Direction> {
        match of_family(flow)? {
            Either::V4(flow) => self.opener_of(&self.probe(at, direction, &flow)),
            Either::V6(flow) => self.opener_of(&self.probe(at, direction, &flow)),
        }
    }

    fn opener_of<A: Address>(&self, probe: &Probe<A>) -> Option<Direction> {
        let table = A::table(self);
        let place = table.find(probe.hash, &probe.key, self.now.as_nanos())?;
        table.get(place).map(|slot| slot.state.opener())
    }

    /// What is remembered decides alone over a packet that opens no connection.
    fn related(
        &self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
    ) -> Option<Judgement> {
        if packet.is_later_fragment() {
            let follows = self.follows(at, direction, packet);
            return follows.then_some(Judgement::FragmentOfPassed);
        }
        // An error that comes in is about what went out, and the other way round.
        let quoted = quoted(packet)?;
        let flow = with_echo(quoted.flow, quoted.echo);
        self.opener(at, direction.opposite(), flow).map(|_| Judgement::Related)
    }

    /// [`Flows::has_room`] without making any. Linear in the table if it looks full.
    fn is_full(&self, at: InterfaceIdx) -> bool {
        let Some(ledger) = self.ledger(row(at)) else { return self.most == 0 };
        let settled = ledger.entries < self.most || ledger.is_quiet(self.now.as_nanos());
        let count = if settled { ledger.entries } else { self.live(at) };
        count >= self.most
    }

    /// Is it a later fragment of a packet that passed?
    fn follows(&self, at: InterfaceIdx, direction: Direction, packet: &Packet) -> bool {
        let known = || {
            let fragments = self.ledger(row(at))?.fragments.as_deref()?;
            fragments.get(&fragment_key(packet, direction)?, self.now)
        };
        known().is_some()
    }

    /// The first fragment of a packet passes for those that follow.
    fn remember_fragments(&mut self, at: InterfaceIdx, direction: Direction, packet: &Packet) {
        let now = self.now;
        if let Some(key) = fragment_key(packet, direction) {
            let at = at.row();
            if self.ledgers.len() <= at {
                self.ledgers.resize_with(at + 1, || None);
            }
            let fragments = &mut self.ledgers[at].get_or_insert_default().fragments;
            let fragments = fragments.get_or_insert_default();
            // Without room the later fragments are judged by the rules.
            fragments.insert(key, (), now + FRAGMENTS, now, FRAGMENTS_TRACKED_MAX);
        }
    }
}

impl Tracking for Flows {
    #[inline]
    fn is_blank(&self, at: InterfaceIdx) -> bool {
        self.ledgers.get(at.row()).is_none_or(Option::is_none)
    }

    #[inline(always)]
    fn ask_v4(&self, at: InterfaceIdx, direction: Direction, flow: &Flow<Ipv4Addr>) {
        self.prefetch(at, direction, flow);
    }

    #[inline(always)]
    fn ask_v6(&self, at: InterfaceIdx, direction: Direction, flow: &Flow<Ipv6Addr>) {
        self.prefetch(at, direction, flow);
    }

    #[inline(always)]
    fn judge_v4(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        (flow, packet): (&Flow<Ipv4Addr>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        self.judge_probe(&self.probe(at, direction, flow), packet.tcp_flags(), rules)
    }

    #[inline(always)]
    fn judge_v6(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        (flow, packet): (&Flow<Ipv6Addr>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        self.judge_probe(&self.probe(at, direction, flow), packet.tcp_flags(), rules)
    }

    fn judge(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        let judgement = if opens_none(packet) {
            self.related(at, direction, packet).unwrap_or_else(|| by_rules(rules()))
        } else {
            let flags = packet.tcp_flags();
            match of_family(with_echo(packet.flow(), packet.icmp_echo())) {
                Some(Either::V4(flow)) => {
                    self.judge_probe(&self.probe(at, direction, &flow), flags, rules)
                }
                Some(Either::V6(flow)) => {
                    self.judge_probe(&self.probe(at, direction, &flow), flags, rules)
                }
                // No packet has addresses of two families.
                None => by_rules(rules()),
            }
        };
        if packet.is_fragment() && !matches!(judgement, Judgement::Refused | Judgement::Full) {
            self.remember_fragments(at, direction, packet);
        }
        judgement
    }
}

/// Connections as they are, for an explanation afterwards: nothing is remembered, and a packet that
/// opened its connection, or goes its opener's way, is told to pass by a rule if one allows it.
#[derive(Clone, Copy, Debug)]
pub struct FlowsPeek<'a>(&'a Flows);

impl Tracking for FlowsPeek<'_> {
    fn judge(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        let (flows, word) = (self.0, rules());
        if opens_none(packet) {
            return flows.related(at, direction, packet).unwrap_or_else(|| by_rules(word));
        }
        let flow = with_echo(packet.flow(), packet.icmp_echo());
        match (flows.opener(at, direction, flow), word) {
            (Some(opener), Word::Tracked | Word::Untracked) if opener == direction => {
                Judgement::ByRule
            }
            (Some(opener), _) => Judgement::ByConnection(opener),
            (None, Word::Tracked)
                if !packet.tcp_flags().is_some_and(is_reset) && flows.is_full(at) =>
            {
                Judgement::Full
            }
            (None, word) => by_rules(word),
        }
    }
}

/// What rules alone say.
const fn by_rules(word: Word) -> Judgement {
    match word {
        Word::Refused => Judgement::Refused,
        Word::Untracked | Word::Tracked => Judgement::ByRule,
    }
}

/// Is it a packet that neither opens a connection nor belongs to one by its own flow?
fn opens_none(packet: &Packet) -> bool {
    packet.is_later_fragment() || quoted(packet).is_some()
}

/// A flow of either family.
enum Either {
    V4(Flow<Ipv4Addr>),
    V6(Flow<Ipv6Addr>),
}

fn of_family(flow: FlowKey) -> Option<Either> {
    let FlowKey { protocol, source_port, destination_port, .. } = flow;
    match (flow.source, flow.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Some(Either::V4(Flow { source, destination, protocol, source_port, destination_port }))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Some(Either::V6(Flow { source, destination, protocol, source_port, destination_port }))
        }
        _ => None,
    }
}

fn is_reset(flags: TcpFlags) -> bool {
    flags.contains(TcpFlags::RST)
}

/// Rows are 32 bits wide.
#[allow(clippy::cast_possible_truncation, reason = "an index is made of 32 bits")]
fn row(at: InterfaceIdx) -> u32 {
    at.row() as u32
}

fn fragment_key(packet: &Packet, direction: Direction) -> Option<FragmentKey> {
    let part = packet.fragment()?;
    let (source, destination) = (packet.source(), packet.destination());
    Some((direction, source, destination, packet.protocol(), part.identification))
}
