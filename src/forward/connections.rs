//! What interfaces remember: the connections that security groups let through.
//!
//! Holds one bounded table for each interface and the one judgement of it, [`Connections::judge`].
//! Refuses to read rules: whoever asks brings what they say, and is only asked for it if the table
//! does not decide (vpc-semantics 3.7). Both twins share this memory and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::expiring::Expiring;
use crate::base::id::InterfaceIdx;
use crate::base::limit::{FRAGMENTS_TRACKED_MAX, TRACKED_CONNECTIONS_DEFAULT};
use crate::base::time::{Instant, Span};
use crate::cloud::filter::Direction;
use crate::wire::{Echo, Flow, FlowKey, Packet, Protocol, TcpFlags, quoted};

mod ahead;
#[cfg(test)]
mod tests;

/// Idle time of a TCP connection whose two ends have been heard (3.7).
const TCP_ESTABLISHED: Span = Span::from_secs(432_000);
/// Idle time of a TCP connection of which only one end has been heard, or that both have finished
/// (ours: AWS names none; what Linux gives a SYN that nobody has answered, and a connection in
/// TIME-WAIT).
const TCP_UNFINISHED: Span = Span::from_secs(120);
/// Idle time of UDP before a second answer (3.7).
const UDP_SINGLE: Span = Span::from_secs(30);
/// Idle time of UDP after it (3.7).
const UDP_STREAM: Span = Span::from_secs(180);
/// Idle time of everything else, ICMP included (3.7).
const OTHER: Span = Span::from_secs(600);
/// How long the later fragments of a packet may take (RFC 791, 3.2, leaves it open; what hosts wait).
pub(super) const FRAGMENTS: Span = Span::from_secs(30);

/// What an interface's groups say of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// No rule allows it.
    Refused,
    /// A rule allows it, and answers are judged by rules too: nothing is remembered (3.7, untracked
    /// connections).
    Untracked,
    /// A rule allows it, and its connection is remembered.
    Tracked,
}

/// Whether a packet passes an interface's groups, and by what right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// A rule allows it.
    ByRule,
    /// It belongs to a connection that a packet of this direction opened.
    ByConnection(Direction),
    /// It is an ICMP error about a connection.
    Related,
    /// It is a later fragment of a packet that passed.
    FragmentOfPassed,
    /// No rule allows it, and it belongs to nothing that is remembered.
    Refused,
    /// A rule allows it, and the table has no room for its connection.
    Full,
}

/// A connection as an interface sees it: from its own side to the far one.
///
/// For echo messages both ports are the identifier; other ICMP has none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Key(FlowKey);

impl Key {
    fn of(packet: &Packet, direction: Direction) -> Key {
        Key::seen(with_echo(packet.flow(), packet.icmp_echo()), direction)
    }

    fn seen(flow: FlowKey, direction: Direction) -> Key {
        match direction {
            Direction::Egress => Key(flow),
            Direction::Ingress => Key(flow.reversed()),
        }
    }
}

/// How far a TCP connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Not both ends have been heard.
    Opening,
    /// Both have.
    Open,
    /// One end has finished: the one that this direction leads away from.
    Closing(Direction),
    /// Both have.
    Closed,
}

/// What is remembered of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Connection {
    /// The direction of its first packet.
    opened: Direction,
    /// Packets in that direction and against it, counted to two: what tells a UDP stream (3.7).
    seen: [u8; 2],
    stage: Stage,
    expires: Instant,
}

impl Connection {
    fn open(packet: &Packet, direction: Direction, now: Instant) -> Connection {
        let mut new =
            Connection { opened: direction, seen: [0; 2], stage: Stage::Opening, expires: now };
        new.hear(packet, direction, now);
        new
    }

    /// Takes note of a packet and starts the idle time anew.
    fn hear(&mut self, packet: &Packet, direction: Direction, now: Instant) {
        let side = usize::from(direction != self.opened);
        self.seen[side] = self.seen[side].saturating_add(1).min(2);
        if let Some(flags) = packet.tcp_flags() {
            self.stage = self.stage_after(flags, direction);
        }
        self.expires = now + self.idle(packet.protocol());
    }

    fn stage_after(&self, flags: TcpFlags, direction: Direction) -> Stage {
        match (self.stage, flags.contains(TcpFlags::FIN)) {
            (Stage::Closing(first), true) if first != direction => Stage::Closed,
            (Stage::Opening | Stage::Open, true) => Stage::Closing(direction),
            (Stage::Opening, false) if self.both_heard() => Stage::Open,
            (stage, _) => stage,
        }
    }

    fn both_heard(&self) -> bool {
        self.seen.iter().all(|n| *n > 0)
    }

    fn idle(&self, protocol: Protocol) -> Span {
        match protocol {
            Protocol::TCP => match self.stage {
                Stage::Open | Stage::Closing(_) if self.both_heard() => TCP_ESTABLISHED,
                _ => TCP_UNFINISHED,
            },
            Protocol::UDP if self.seen == [2, 2] => UDP_STREAM,
            Protocol::UDP => UDP_SINGLE,
            _ => OTHER,
        }
    }
}

/// The packet that a later fragment belongs to: direction, source, destination, protocol,
/// identification. A router's interface sees the same packet in both directions, and each is judged
/// for itself.
type FragmentKey = (Direction, IpAddr, IpAddr, Protocol, u32);

/// What one interface remembers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Table {
    connections: Expiring<Key, Connection>,
    fragments: Expiring<FragmentKey, ()>,
}

/// What all interfaces remember. Memory grows with the connections that are open, up to a bound for
/// each interface. Memories that are equal judge every packet alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connections {
    tables: Vec<Option<Box<Table>>>,
    most: usize,
    now: Instant,
}

impl Default for Connections {
    fn default() -> Connections {
        Connections { tables: Vec::new(), most: TRACKED_CONNECTIONS_DEFAULT, now: Instant::START }
    }
}

impl Connections {
    /// From now on an interface remembers at most this many connections; what is remembered stays.
    pub fn set_limit(&mut self, most: usize) {
        self.most = most;
    }

    /// The moment at which the next packets are judged. Does not go back.
    pub fn set_now(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// How many connections an interface remembers, those that have expired unnoticed included.
    pub fn count(&self, at: InterfaceIdx) -> usize {
        self.table(at).map_or(0, |table| table.connections.len())
    }

    /// How many connections of an interface have not expired. Linear in its table.
    pub fn live(&self, at: InterfaceIdx) -> usize {
        self.table(at).map_or(0, |table| table.connections.live(self.now))
    }

    /// Takes over what another memory remembers of interfaces of which this one remembers nothing.
    pub fn absorb(&mut self, other: Connections) {
        self.now = self.now.max(other.now);
        for (row, theirs) in other.tables.into_iter().enumerate() {
            if self.tables.len() <= row {
                self.tables.push(theirs);
            } else if self.tables[row].is_none() {
                self.tables[row] = theirs;
            }
        }
    }

    /// Has the interface no room for a further connection?
    fn is_full(&self, at: InterfaceIdx) -> bool {
        let none = self.most == 0;
        self.table(at).map_or(none, |table| table.connections.is_full(self.now, self.most))
    }

    /// The same memory for whoever only wants to know.
    pub fn peek(&self) -> Peek<'_> {
        Peek(self)
    }

    #[inline]
    fn table(&self, at: InterfaceIdx) -> Option<&Table> {
        self.tables.get(at.row())?.as_deref()
    }

    fn table_mut(&mut self, at: InterfaceIdx) -> &mut Table {
        if self.tables.len() <= at.row() {
            self.tables.resize_with(at.row() + 1, || None);
        }
        self.tables[at.row()].get_or_insert_default()
    }

    /// What the table alone decides.
    fn remembered(
        &self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
    ) -> Option<Judgement> {
        let (table, now) = (self.table(at)?, self.now);
        if packet.is_later_fragment() {
            let key = fragment_key(packet, direction);
            let known = key.is_some_and(|key| table.fragments.get(&key, now).is_some());
            return known.then_some(Judgement::FragmentOfPassed);
        }
        if let Some(quoted) = quoted(packet) {
            // An error that comes in is about what went out, and the other way round.
            let key = Key::seen(with_echo(quoted.flow, quoted.echo), direction.opposite());
            return table.connections.get(&key, now).map(|_| Judgement::Related);
        }
        let connection = table.connections.get(&Key::of(packet, direction), now)?;
        Some(Judgement::ByConnection(connection.opened))
    }

    /// A packet of a connection that is remembered starts its idle time anew; a reset ends it.
    fn hear(&mut self, at: InterfaceIdx, direction: Direction, packet: &Packet) {
        let (now, key) = (self.now, Key::of(packet, direction));
        let connections = &mut self.table_mut(at).connections;
        let Some(connection) = connections.get_mut(&key, now) else { return };
        connection.hear(packet, direction, now);
        let expires = connection.expires;
        if is_reset(packet) {
            // After a reset there is no connection: what still comes is judged by the rules.
            connections.remove(&key);
        } else {
            connections.set_expiry(&key, expires);
        }
    }

    /// The first fragment of a packet passes for those that follow.
    fn remember_fragments(&mut self, at: InterfaceIdx, direction: Direction, packet: &Packet) {
        let now = self.now;
        if packet.is_fragment()
            && let Some(key) = fragment_key(packet, direction)
        {
            // Without room the later fragments are judged by the rules.
            let fragments = &mut self.table_mut(at).fragments;
            fragments.insert(key, (), now + FRAGMENTS, now, FRAGMENTS_TRACKED_MAX);
        }
    }
}

/// What is asked whether a packet passes the groups of an interface.
pub trait Tracking {
    /// Does a packet pass in this direction? `rules` is what the groups say.
    fn judge(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement;

    /// [`Tracking::judge`] of a whole TCP or UDP packet over IPv4, whose flow has been read.
    #[inline]
    fn judge_v4(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        (_, packet): (&Flow<Ipv4Addr>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        self.judge(at, direction, packet, rules)
    }

    /// The same over IPv6.
    #[inline]
    fn judge_v6(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        (_, packet): (&Flow<Ipv6Addr>, &Packet),
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        self.judge(at, direction, packet, rules)
    }

    /// Asks the cache for what [`Tracking::judge_v4`] will read. Says nothing, and may do nothing.
    #[inline]
    fn ask_v4(&self, at: InterfaceIdx, direction: Direction, flow: &Flow<Ipv4Addr>) {
        let _ = (at, direction, flow);
    }

    /// The same for [`Tracking::judge_v6`].
    #[inline]
    fn ask_v6(&self, at: InterfaceIdx, direction: Direction, flow: &Flow<Ipv6Addr>) {
        let _ = (at, direction, flow);
    }

    /// Is it certain that nothing is remembered of this interface? Then what is allowed both ways
    /// passes without being judged.
    #[inline]
    fn is_blank(&self, at: InterfaceIdx) -> bool {
        let _ = at;
        false
    }
}

impl Tracking for Connections {
    #[inline]
    fn is_blank(&self, at: InterfaceIdx) -> bool {
        self.table(at).is_none()
    }

    /// `rules` is asked only if what is remembered does not decide. What passes is remembered if it
    /// must be. Constant, but for a new connection, which costs a logarithm of the table's size.
    fn judge(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        let now = self.now;
        if let Some(judgement) = self.remembered(at, direction, packet) {
            if let Judgement::ByConnection(_) = judgement {
                self.hear(at, direction, packet);
            }
            self.remember_fragments(at, direction, packet);
            return judgement;
        }
        let word = rules();
        if word == Word::Refused {
            return Judgement::Refused;
        }
        if word == Word::Tracked && opens(packet) {
            let most = self.most;
            let new = Connection::open(packet, direction, now);
            let key = Key::of(packet, direction);
            let table = self.table_mut(at);
            if !table.connections.insert(key, new, new.expires, now, most) {
                return Judgement::Full;
            }
        }
        self.remember_fragments(at, direction, packet);
        Judgement::ByRule
    }
}

/// Connections as they are, for an explanation afterwards: nothing is remembered, and a packet that
/// opened its connection, or goes its opener's way, is told to pass by a rule if one allows it.
#[derive(Clone, Copy, Debug)]
pub struct Peek<'a>(&'a Connections);

impl Tracking for Peek<'_> {
    fn judge(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        let word = rules();
        match (self.0.remembered(at, direction, packet), word) {
            (Some(Judgement::ByConnection(opened)), Word::Tracked | Word::Untracked)
                if opened == direction =>
            {
                Judgement::ByRule
            }
            (Some(judgement), _) => judgement,
            (None, Word::Refused) => Judgement::Refused,
            (None, Word::Tracked) if opens(packet) && self.0.is_full(at) => Judgement::Full,
            (None, _) => Judgement::ByRule,
        }
    }
}

/// A flow with the identifier of an echo message in place of both ports.
pub(super) fn with_echo(mut flow: FlowKey, echo: Option<Echo>) -> FlowKey {
    if let Some(echo) = echo {
        (flow.source_port, flow.destination_port) = (echo.ident, echo.ident);
    }
    flow
}

/// Does a packet open a connection? Not one that nobody answers (ours: AWS does not say): a reset, an
/// ICMP error, and a later fragment, which does not even say of what connection it is.
fn opens(packet: &Packet) -> bool {
    !is_reset(packet) && !packet.is_later_fragment() && quoted(packet).is_none()
}

fn is_reset(packet: &Packet) -> bool {
    packet.tcp_flags().is_some_and(|flags| flags.contains(TcpFlags::RST))
}

fn fragment_key(packet: &Packet, direction: Direction) -> Option<FragmentKey> {
    let (source, destination) = (packet.source(), packet.destination());
    let part = packet.fragment()?;
    Some((direction, source, destination, packet.protocol(), part.identification))
}
