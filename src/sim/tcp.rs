//! TCP of one instance in virtual time: ports that listen, connections, path MTU discovery.
//!
//! Holds [`TcpStack`], which takes packets and gives packets. The protocol itself is smoltcp's, which
//! only this folder names. Refuses to know links, routes and events: whoever owns the stack brings
//! what arrives, carries what is sent, and calls again at [`TcpStack::next_wake`].
//!
//! Unlike Linux: the first window is one segment (RFC 6928 allows ten), the retransmission timer one
//! second at least (RFC 6298, 2.4), nothing is done with selective acknowledgements, time stamps or
//! congestion marks, and an end that has seen both sides close waits 10 s instead of 60. Fast
//! recovery is NewReno's; `docs/decisions/0006-tcp-by-smoltcp.md` has the reasons and figures.

mod connection;
mod path;
mod port;
mod recovery;
#[cfg(test)]
mod tests;
mod work;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

use connection::{Connection, Plan};
use path::Paths;
use work::Role;

use crate::base::limit::TCP_CONNECTIONS_PER_STACK_MAX;
use crate::base::rng::Stream;
use crate::base::time::{Instant, Span};
use crate::base::units::Mtu;
use crate::wire::{Family, FlowKey, Packet, Quoted, TcpFlags, build, mtu_told, quoted};

/// What happens to the data of whoever connects to a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serve {
    /// They are read and forgotten.
    Sink,
    /// They are sent back.
    Echo,
}

/// What one who connects does: sends, closes its side, and reads until the peer has closed too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// How many bytes are sent; 0 only opens and closes the connection.
    pub bytes: u64,
    /// How long it waits for a peer that says nothing.
    pub patience: Patience,
}

/// How long an end waits for a peer that says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From the first SYN until the connection stands. Unanswered SYNs go out after 1, 3, 7, 15,
    /// 31 and 63 s, then every 60 s.
    pub connect: Span,
    /// From the last segment that came in, while something is not acknowledged or not closed.
    pub silence: Span,
}

impl Default for Patience {
    /// As Linux with its defaults waits for a connection, 127 s; then the 5 minutes that RFC 9293,
    /// 3.9.1, gives as the usual user timeout.
    fn default() -> Patience {
        Patience { connect: Span::from_secs(127), silence: Span::from_secs(300) }
    }
}

/// A connection of one stack, numbered in the order in which they came to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(u64);

/// How a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// SYNs are on their way.
    Connecting,
    /// It stands.
    Open,
    /// Everything was acknowledged, and both sides have closed.
    Done,
    /// The SYN was answered with a reset.
    Refused,
    /// Patience ended before it stood, or while the peer owed us something.
    TimedOut,
    /// The peer reset it after it stood.
    Reset,
}

/// What is known of a connection, from this end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// How it is doing.
    pub outcome: Outcome,
    /// When it was asked for: by us, or by the SYN that came in.
    pub opened_at: Instant,
    /// When the handshake was complete for this end.
    pub connected_at: Option<Instant>,
    /// When the first data were sent.
    pub first_byte_at: Option<Instant>,
    /// When the last acknowledgement of new data came in.
    pub last_ack_at: Option<Instant>,
    /// When it came to its end, if it has one.
    pub ended_at: Option<Instant>,
    /// Bytes of data that the peer has acknowledged.
    pub acknowledged: u64,
    /// Bytes of data that came in, in order.
    pub received: u64,
    /// Segments sent, of whatever kind.
    pub segments: u64,
    /// Of these: without anything that was not sent before.
    pub retransmitted: u64,
    /// The longest packet it sends: its interface's, or what a router has told of the path.
    pub mtu: Mtu,
}

impl Report {
    fn new(local: SocketAddr, remote: SocketAddr, mtu: Mtu, now: Instant) -> Report {
        Report {
            local,
            remote,
            outcome: Outcome::Connecting,
            opened_at: now,
            connected_at: None,
            first_byte_at: None,
            last_ack_at: None,
            ended_at: None,
            acknowledged: 0,
            received: 0,
            segments: 0,
            retransmitted: 0,
            mtu,
        }
    }

    /// From the end of the handshake to the last acknowledgement: what goodput is counted over.
    pub fn transfer_time(&self) -> Option<Span> {
        Some(self.last_ack_at?.since(self.connected_at?))
    }
}

/// Sums over all connections that a stack has had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Connections that others have opened.
    pub accepted: u64,
    /// SYNs for a port that listens which were not answered, for want of room.
    pub turned_away: u64,
    /// Bytes of data that came in, in order.
    pub received: u64,
    /// Segments sent, resets to nobody's segments not counted.
    pub segments: u64,
    /// Of these: without anything that was not sent before.
    pub retransmitted: u64,
}

impl Totals {
    fn with(self, report: &Report) -> Totals {
        Totals {
            received: self.received + report.received,
            segments: self.segments + report.segments,
            retransmitted: self.retransmitted + report.retransmitted,
            ..self
        }
    }
}

/// Why a stack will not listen or connect.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TcpError {
    /// The address is none of the stack's.
    #[error("{0} is not an address of this instance")]
    NotOurs(IpAddr),
    /// Nobody can be there.
    #[error("nobody can be reached at {0}")]
    Unaddressable(SocketAddr),
    /// One address is IPv4, the other IPv6.
    #[error("no connection from {local} to {remote}: the address families differ")]
    FamiliesDiffer {
        /// Where it would come from.
        local: IpAddr,
        /// Where it would go.
        remote: IpAddr,
    },
    /// Something listens on the port, or a connection between these ends exists.
    #[error("port {0} is in use")]
    InUse(u16),
    /// Port 0 is no port.
    #[error("port 0 cannot be used")]
    PortZero,
    /// The stack has as many connections as it may have.
    #[error("an instance has at most {TCP_CONNECTIONS_PER_STACK_MAX} connections at a time")]
    TooMany,
}

/// TCP of one instance.
///
/// The owner calls [`receive`](TcpStack::receive) for what arrives and [`poll`](TcpStack::poll)
/// afterwards, after [`connect`](TcpStack::connect), and at [`next_wake`](TcpStack::next_wake).
pub struct TcpStack {
    addresses: Vec<IpAddr>,
    mtu: Mtu,
    chance: Stream,
    listening: BTreeMap<u16, Serve>,
    by_ends: BTreeMap<Ends, ConnectionId>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// When which connection has something to do.
    wakes: BTreeSet<(Instant, ConnectionId)>,
    /// What became of our own connections that are no more: as many as were asked for.
    ended: BTreeMap<ConnectionId, Report>,
    paths: Paths,
    /// Of connections that are no more.
    totals: Totals,
    next: u64,
    /// Of our own: those that have come to their end and nobody was told.
    news: Vec<ConnectionId>,
    /// What is to be sent.
    out: Vec<Packet>,
    /// When something came in last.
    received_at: Instant,
}

/// Our end and the other.
type Ends = (SocketAddr, SocketAddr);

impl TcpStack {
    /// The stack of an instance with these addresses, whose interface sends packets of up to `mtu`.
    /// `chance` numbers its connections: initial sequence numbers are drawn from it.
    pub fn new(addresses: Vec<IpAddr>, mtu: Mtu, chance: Stream) -> TcpStack {
        TcpStack {
            addresses,
            mtu,
            chance,
            listening: BTreeMap::new(),
            by_ends: BTreeMap::new(),
            connections: BTreeMap::new(),
            wakes: BTreeSet::new(),
            ended: BTreeMap::new(),
            paths: Paths::default(),
            totals: Totals::default(),
            next: 0,
            news: Vec::new(),
            out: Vec::new(),
            received_at: Instant::START,
        }
    }

    /// The instance has this address, perhaps since a moment ago.
    pub fn know(&mut self, address: IpAddr) {
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }

    /// Serves whoever connects to `port` on any of the addresses.
    ///
    /// # Errors
    /// [`TcpError::PortZero`], and [`TcpError::InUse`] if something is served there already.
    pub fn listen(&mut self, port: u16, serve: Serve) -> Result<(), TcpError> {
        if port == 0 {
            return Err(TcpError::PortZero);
        }
        match self.listening.entry(port) {
            Entry::Occupied(_) => Err(TcpError::InUse(port)),
            Entry::Vacant(entry) => {
                entry.insert(serve);
                Ok(())
            }
        }
    }

    /// Stops serving a port. Connections that stand go on.
    pub fn stop_listening(&mut self, port: u16) {
        self.listening.remove(&port);
    }

    /// Forgets a connection: it is gone without a word, and what became of it with it.
    pub fn forget(&mut self, id: ConnectionId) {
        self.ended.remove(&id);
        if let Some(connection) = self.connections.remove(&id) {
            let Report { local, remote, .. } = connection.report;
            self.totals = self.totals.with(&connection.report);
            self.wakes.remove(&(connection.due, id));
            self.by_ends.remove(&(local, remote));
            self.news.retain(|other| *other != id);
        }
    }

    /// Forgets the connection whose segments go out in this flow, if there is one.
    pub fn forget_flow(&mut self, flow: &FlowKey) {
        if let Some(id) = self.by_ends.get(&(flow.source_socket(), flow.destination_socket())) {
            self.forget(*id);
        }
    }

    /// Is this port served?
    pub fn serves(&self, port: u16) -> bool {
        self.listening.contains_key(&port)
    }

    /// Opens a connection. The SYN comes from [`poll`](TcpStack::poll).
    ///
    /// # Errors
    /// All of [`TcpError`]; nothing has changed then.
    pub fn connect(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        transfer: Transfer,
        now: Instant,
    ) -> Result<ConnectionId, TcpError> {
        if !self.addresses.contains(&local.ip()) {
            return Err(TcpError::NotOurs(local.ip()));
        }
        if local.port() == 0 {
            return Err(TcpError::PortZero);
        }
        if Family::of(local.ip()) != Family::of(remote.ip()) {
            return Err(TcpError::FamiliesDiffer { local: local.ip(), remote: remote.ip() });
        }
        if !is_one_host(remote.ip()) || remote.port() == 0 {
            return Err(TcpError::Unaddressable(remote));
        }
        if self.by_ends.contains_key(&(local, remote)) {
            return Err(TcpError::InUse(local.port()));
        }
        if self.connections.len() >= TCP_CONNECTIONS_PER_STACK_MAX {
            return Err(TcpError::TooMany);
        }
        let plan = self.plan(Role::Send(transfer.bytes), (local, remote), now);
        let connection = Connection::connect(plan, transfer.patience, now)
            .ok_or(TcpError::Unaddressable(remote))?;
        Ok(self.add(connection))
    }

    /// Takes a packet that has arrived at the instance. What it is answered with comes from
    /// [`poll`](TcpStack::poll).
    ///
    /// Segments go to their connection, or to the port that listens; others are answered with a
    /// reset. Of ICMP only "packet too big" is heard. Everything else is ignored, and so are
    /// fragments: whoever owns the stack puts them together.
    pub fn receive(&mut self, packet: &Packet, now: Instant) {
        self.received_at = now;
        if packet.is_fragment() || !self.addresses.contains(&packet.destination()) {
            return;
        }
        if let (Some(mtu), Some(quoted)) = (mtu_told(packet), quoted(packet)) {
            self.hear_too_big(mtu, quoted, now);
        }
        let Some(segment) = packet.tcp() else { return };
        let flow = packet.flow();
        let ends = (flow.destination_socket(), flow.source_socket());
        let controls =
            TcpFlags(segment.flags.0 & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST).0);
        let serve = self.listening.get(&ends.0.port()).filter(|_| controls == TcpFlags::SYN);
        if let Some(id) = self.by_ends.get(&ends).copied() {
            self.hand_over(id, packet, now);
        } else if let Some(serve) = serve.copied() {
            // A full stack says nothing, as one whose backlog is full.
            if let Some(id) = self.accept(serve, ends, now) {
                self.hand_over(id, packet, now);
            }
        } else {
            self.out.extend(build::tcp_reset(packet));
        }
    }

    /// Does everything that is due at `now`, and gives the packets that this and what was received
    /// before have made, in the order in which they are to be sent.
    ///
    /// Costs the connections that are due, not those that are there.
    pub fn poll(&mut self, now: Instant) -> impl Iterator<Item = Packet> + '_ {
        while let Some((at, id)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.remove(&(at, id));
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.poll(now, &mut self.out);
                self.settle(id);
            }
        }
        self.out.drain(..)
    }

    /// When [`poll`](TcpStack::poll) has something to do, if nothing comes in before. `None` if
    /// nothing will ever happen by itself.
    pub fn next_wake(&self) -> Option<Instant> {
        let first = self.wakes.first().map(|(at, _)| *at).filter(|at| *at < Instant::NEVER);
        if self.out.is_empty() { first } else { Some(self.received_at) }
    }

    /// What is known of a connection: as long as it lives, and for those that we opened also
    /// afterwards.
    pub fn report(&self, id: ConnectionId) -> Option<Report> {
        let live = self.connections.get(&id).map(|connection| connection.report);
        live.or_else(|| self.ended.get(&id).copied())
    }

    /// How a connection is doing; `None` if there is none, as for [`report`](TcpStack::report).
    pub fn outcome(&self, id: ConnectionId) -> Option<Outcome> {
        self.report(id).map(|report| report.outcome)
    }

    /// The connections that live, those that others have opened included, oldest first.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, Report)> + '_ {
        self.connections.iter().map(|(id, connection)| (*id, connection.report))
    }

    /// How many connections live.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Is there a connection whose segments go out in this flow?
    pub fn has_connection(&self, flow: &FlowKey) -> bool {
        self.by_ends.contains_key(&(flow.source_socket(), flow.destination_socket()))
    }

    /// Those of our own connections whose [`outcome`](TcpStack::outcome) has become final since this
    /// was asked last, in that order.
    pub fn take_ended(&mut self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.news.drain(..)
    }

    /// The sums over all connections, those that are no more included.
    pub fn totals(&self) -> Totals {
        self.connections.values().fold(self.totals, |sum, connection| sum.with(&connection.report))
    }

    fn accept(&mut self, serve: Serve, ends: Ends, now: Instant) -> Option<ConnectionId> {
        if self.connections.len() >= TCP_CONNECTIONS_PER_STACK_MAX || !is_one_host(ends.1.ip()) {
            self.totals.turned_away += 1;
            return None;
        }
        let plan = self.plan(Role::Serve(serve), ends, now);
        let connection = Connection::accept(plan, now)?;
        self.totals.accepted += 1;
        Some(self.add(connection))
    }

    fn plan(&mut self, role: Role, (local, remote): Ends, now: Instant) -> Plan {
        let path = self.paths.mtu_to(remote.ip(), now).filter(|path| *path < self.mtu);
        Plan { local, remote, role, mtu: self.mtu, path, seed: self.chance.next_u64() }
    }

    fn add(&mut self, connection: Connection) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next += 1;
        let ends = (connection.report.local, connection.report.remote);
        self.by_ends.insert(ends, id);
        self.wakes.insert((connection.due, id));
        self.connections.insert(id, connection);
        id
    }

    fn hand_over(&mut self, id: ConnectionId, segment: &Packet, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        self.wakes.remove(&(connection.due, id));
        connection.receive(segment, now, &mut self.out);
        self.settle(id);
    }

    /// Enters the connection's next wake, or takes leave of it.
    fn settle(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.is_opened_by_us() && connection.has_just_ended() {
            self.news.push(id);
        }
        if !connection.is_over() {
            self.wakes.insert((connection.due, id));
            return;
        }
        let report = connection.report;
        let opened_by_us = connection.is_opened_by_us();
        self.connections.remove(&id);
        self.by_ends.remove(&(report.local, report.remote));
        self.totals = self.totals.with(&report);
        if opened_by_us {
            self.ended.insert(id, report);
        }
    }

    /// A router tells the length of packets that a path takes. Believed only about a segment that
    /// is on its way: anyone can send an ICMP message (RFC 5927, 7.2).
    fn hear_too_big(&mut self, told: u16, quoted: Quoted, now: Instant) {
        let ends = (quoted.flow.source_socket(), quoted.flow.destination_socket());
        let Some(sequence) = quoted.sequence else { return };
        let Some(mtu) = path::clamped(told, Family::of(ends.1.ip())) else { return };
        let Some(id) = self.by_ends.get(&ends).copied() else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        self.wakes.remove(&(connection.due, id));
        if connection.too_big(mtu, sequence, now, &mut self.out) {
            self.paths.learn(ends.1.ip(), mtu, now);
        }
        self.settle(id);
    }
}

/// The connections that live.
impl fmt::Debug for TcpStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.connections()).finish()
    }
}

/// Is it the address of one host? Only the limited broadcast is known as such here.
fn is_one_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(broadcast || address.is_multicast() || address.is_unspecified())
}
