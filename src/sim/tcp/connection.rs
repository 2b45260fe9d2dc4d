//! One connection: a socket of smoltcp, what our side does with it, and what came of it.
//!
//! Each has an interface of smoltcp to itself. So a path's MTU is that interface's MTU, and nobody
//! walks the sockets of a stack to find the one that a segment is for. Refuses to know other
//! connections, ports that listen, and paths.

use std::net::{IpAddr, SocketAddr};

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::wire::{HardwareAddress, IpCidr};

use super::port::{Clock, Port};
use super::recovery::{Heard, Recovery, Sending};
use super::{Outcome, Patience, Report, Serve};
use crate::base::limit::{TCP_BUFFER_BYTES, TCP_SMALL_BUFFER_BYTES};
use crate::base::time::{Instant, Span};
use crate::wire::{Packet, TcpFlags};

/// What our side does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Sends this many bytes more, then closes its side; what comes back is counted.
    Send(u64),
    /// Serves whoever has connected.
    Serve(Serve),
}

/// A connection that has not ended for good.
pub(super) struct Connection {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    clock: Clock,
    mtu: u16,
    role: Role,
    patience: Patience,
    /// Everything handed to the socket.
    enqueued: u64,
    /// Since when the peer owes us something: its last sign of life, or when it began to owe.
    owed_since: Instant,
    /// None before our SYN.
    recovery: Option<Recovery>,
    cause: Cause,
    /// Room for what smoltcp sends in one call.
    fresh: Vec<Packet>,
    /// When it is to be polled next.
    pub(super) due: Instant,
    pub(super) report: Report,
}

/// Why smoltcp is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    /// A segment has come in at this instant.
    Segment,
    /// Time has passed, or our side has something to do.
    Timer,
}

/// What a connection begins with.
pub(super) struct Plan {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) role: Role,
    pub(super) mtu: u16,
    /// Decides the initial sequence number.
    pub(super) seed: u64,
}

impl Connection {
    /// A connection that begins with our SYN. `None` if smoltcp finds fault with the ends.
    pub(super) fn connect(plan: Plan, patience: Patience, now: Instant) -> Option<Connection> {
        let (local, remote) = (plan.local, plan.remote);
        let mut connection = Connection::new(plan, patience, now);
        let socket = connection.sockets.get_mut::<Socket<'_>>(connection.socket);
        socket.connect(connection.interface.context(), remote, local).ok()?;
        Some(connection)
    }

    /// A connection for the SYN that it is to be given next. `None` as above.
    pub(super) fn accept(plan: Plan, now: Instant) -> Option<Connection> {
        let local = plan.local;
        let mut connection = Connection::new(plan, Patience::default(), now);
        connection.tcp().listen(local).ok()?;
        // Before its SYN it has no timer that could be due.
        connection.cause = Cause::Segment;
        Some(connection)
    }

    fn new(plan: Plan, patience: Patience, now: Instant) -> Connection {
        let Plan { local, remote, role, mtu, seed } = plan;
        // A side that has nothing to say needs no room for it.
        let (receives, sends) = match role {
            Role::Send(0) => (TCP_SMALL_BUFFER_BYTES, TCP_SMALL_BUFFER_BYTES),
            Role::Send(_) | Role::Serve(Serve::Echo) => (TCP_BUFFER_BYTES, TCP_BUFFER_BYTES),
            Role::Serve(Serve::Sink) => (TCP_BUFFER_BYTES, TCP_SMALL_BUFFER_BYTES),
        };
        let buffer = |bytes| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(receives), buffer(sends));
        socket.set_congestion_control(congestion());
        socket.set_ack_delay(ack_delay());
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        let clock = Clock::default();
        Connection {
            interface: interface(local.ip(), mtu, seed, clock, now),
            sockets,
            socket,
            clock,
            mtu,
            role,
            patience,
            enqueued: 0,
            owed_since: now,
            recovery: None,
            cause: Cause::Timer,
            fresh: Vec::new(),
            due: now,
            report: Report::new(local, remote, mtu, now),
        }
    }

    /// Did it begin with our SYN?
    pub(super) fn is_opened_by_us(&self) -> bool {
        matches!(self.role, Role::Send(_))
    }

    fn tcp(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut::<Socket<'static>>(self.socket)
    }

    /// Takes a segment for this connection, and puts what is answered at once into `out`.
    pub(super) fn receive(&mut self, segment: &Packet, now: Instant, out: &mut Vec<Packet>) {
        // What a timer did is told from what a segment did by doing one after the other.
        if self.cause == Cause::Timer && self.due <= now {
            self.poll(now, out);
        }
        self.cause = Cause::Segment;
        self.owed_since = now;
        let Heard { show, resend } = match &mut self.recovery {
            Some(recovery) => recovery.heard(segment),
            None => Heard { show: Some(segment.clone()), resend: None },
        };
        if let Some(resend) = resend {
            self.report.segments += 1;
            self.report.retransmitted += 1;
            out.push(resend);
        }
        if let Some(show) = show {
            self.show(&show, now, out);
        }
        let reset = segment.tcp_flags().is_some_and(|flags| flags.contains(TcpFlags::RST));
        self.note_state(if reset { Ending::Reset } else { Ending::Orderly }, now);
    }

    /// Lets our side work, and puts what is to be sent into `out`.
    pub(super) fn poll(&mut self, now: Instant, out: &mut Vec<Packet>) {
        if self.gives_up_at() <= now {
            self.report.outcome = Outcome::TimedOut;
            return;
        }
        if !self.is_owed() {
            self.owed_since = now;
        }
        self.work();
        if let Some(held) = self.send(now, out) {
            self.show(&held, now, out);
            self.cause = Cause::Segment;
            self.send(now, out);
        }
        self.cause = Cause::Timer;
        self.note_state(Ending::Orderly, now);
    }

    /// Gives smoltcp a segment.
    fn show(&mut self, segment: &Packet, now: Instant, out: &mut Vec<Packet>) {
        let mut fresh = std::mem::take(&mut self.fresh);
        let mut port = Port { mtu: self.mtu, inbound: Some(segment.bytes()), outbound: &mut fresh };
        self.interface.poll_ingress_single(self.clock.at(now), &mut port, &mut self.sockets);
        // Acknowledgements and resets, nothing that takes sequence numbers.
        for packet in &fresh {
            self.report.segments += 1;
            if let Some(recovery) = &mut self.recovery {
                recovery.send(packet);
            }
        }
        out.append(&mut fresh);
        self.fresh = fresh;
    }

    /// Lets smoltcp send what it may. Gives the acknowledgement that it is to be shown before it
    /// sends more.
    fn send(&mut self, now: Instant, out: &mut Vec<Packet>) -> Option<Packet> {
        let mut fresh = std::mem::take(&mut self.fresh);
        let at = self.clock.at(now);
        let mut port = Port { mtu: self.mtu, inbound: None, outbound: &mut fresh };
        // Each turn sends a segment, so a window of data is the most there can be.
        while let PollResult::SocketStateChanged =
            self.interface.poll_egress(at, &mut port, &mut self.sockets)
        {}
        let mut held = None;
        for packet in fresh.drain(..) {
            let Some(header) = packet.tcp() else { continue };
            let recovery = self.recovery.get_or_insert_with(|| Recovery::new(header.sequence));
            let sending = recovery.judge(&packet);
            if sending != Sending::New && self.cause == Cause::Timer {
                held = recovery.timed_out();
                // The rest of what the timer made it send.
                self.cause = Cause::Segment;
            }
            recovery.send(&packet);
            if sending == Sending::Needless {
                continue;
            }
            self.report.segments += 1;
            self.report.retransmitted += u64::from(sending == Sending::Again);
            if !packet.payload().is_empty() {
                self.report.first_byte_at.get_or_insert(now);
            }
            out.push(packet);
        }
        self.fresh = fresh;
        held
    }

    /// When [`poll`](Connection::poll) has something to do next, if nothing comes in before: later
    /// than `now`, at which it was called last.
    pub(super) fn wakes_at(&mut self, now: Instant) -> Instant {
        let timer = self.interface.poll_at(self.clock.at(now), &self.sockets);
        let timer = timer.map_or(Instant::NEVER, |then| self.clock.reaches(then));
        // Whatever smoltcp says, time moves on.
        timer.min(self.gives_up_at()).max(now + Span::from_micros(1))
    }

    /// Does nothing more happen here?
    pub(super) fn is_over(&self) -> bool {
        let open = matches!(self.report.outcome, Outcome::Connecting | Outcome::Open);
        let state = self.sockets.get::<Socket<'static>>(self.socket).state();
        // An end that has seen both sides close answers for a while, should its last ACK be lost.
        !(open || (self.report.outcome == Outcome::Done && state == State::TimeWait))
    }

    /// A router says that a segment beginning at `sequence` was longer than `mtu`, which is above
    /// the lowest there can be. Gives whether that is about what we have sent and nobody has
    /// acknowledged, and news; then what was lost goes out again at once.
    pub(super) fn too_big(
        &mut self,
        mtu: u16,
        sequence: u32,
        now: Instant,
        out: &mut Vec<Packet>,
    ) -> bool {
        let in_flight = self.recovery.as_ref().is_some_and(|sent| sent.is_in_flight(sequence));
        if mtu >= self.mtu || !in_flight {
            return false;
        }
        // First what has come in before, so that only the timer is left to speak.
        self.poll(now, out);
        self.narrow(mtu, now);
        let before = self.report.retransmitted;
        // smoltcp retransmits when its timer says so. Nothing is won by waiting (RFC 8201, 5.4), so
        // its clock is wound forward to the timer; one for a delayed acknowledgement may come first.
        for _ in 0..2 {
            if let Some(then) = self.interface.poll_at(self.clock.at(now), &self.sockets)
                && self.report.retransmitted == before
            {
                self.clock.wind_forward(now, then);
                self.poll(now, out);
            }
        }
        self.tcp().set_congestion_control(congestion());
        true
    }

    /// Sends nothing longer than `mtu` from now on.
    fn narrow(&mut self, mtu: u16, now: Instant) {
        self.mtu = mtu;
        self.report.mtu = mtu;
        // The seed only numbers new connections, and this one has its number.
        self.interface = interface(self.report.local.ip(), mtu, 0, self.clock, now);
    }

    /// What our side does with its socket: reads, writes and closes as far as it can.
    fn work(&mut self) {
        let socket = self.sockets.get_mut::<Socket<'static>>(self.socket);
        match &mut self.role {
            Role::Send(left) => {
                self.report.received += discard(socket);
                self.enqueued += write_pattern(socket, self.enqueued, left);
                // Before the connection stands, closing would mean giving up.
                if *left == 0 && socket.may_send() {
                    socket.close();
                }
            }
            Role::Serve(serve) => {
                self.report.received += match serve {
                    Serve::Sink => discard(socket),
                    Serve::Echo => {
                        let echoed = echo(socket);
                        self.enqueued += echoed;
                        echoed
                    }
                };
                if socket.state() == State::CloseWait && socket.recv_queue() == 0 {
                    socket.close();
                }
            }
        }
    }

    /// Notes what smoltcp has made of what came in.
    fn note_state(&mut self, ending: Ending, now: Instant) {
        let socket = self.sockets.get::<Socket<'static>>(self.socket);
        let state = socket.state();
        let queued = u64::try_from(socket.send_queue()).unwrap_or(u64::MAX);
        let acknowledged = self.enqueued.saturating_sub(queued);
        let report = &mut self.report;
        if acknowledged > report.acknowledged {
            report.acknowledged = acknowledged;
            report.last_ack_at = Some(now);
        }
        let stands =
            !matches!(state, State::Closed | State::Listen | State::SynSent | State::SynReceived);
        if stands && report.outcome == Outcome::Connecting {
            report.outcome = Outcome::Open;
            report.connected_at = Some(now);
        }
        report.outcome = match (report.outcome, state, ending) {
            (Outcome::Open, State::TimeWait, _) => Outcome::Done,
            (Outcome::Open, State::Closed, Ending::Orderly) => Outcome::Done,
            (Outcome::Open, State::Closed, Ending::Reset) => Outcome::Reset,
            // A listening socket goes back to listening when the caller thinks better of it.
            (Outcome::Connecting, State::Closed | State::Listen, _) => Outcome::Refused,
            (outcome, ..) => outcome,
        };
    }

    /// When patience ends if the peer stays silent.
    fn gives_up_at(&self) -> Instant {
        match self.report.outcome {
            Outcome::Connecting => self.report.opened_at + self.patience.connect,
            Outcome::Open if self.is_owed() => self.owed_since + self.patience.silence,
            _ => Instant::NEVER,
        }
    }

    /// Must the peer say something: acknowledge, or close its side as we have closed ours?
    fn is_owed(&self) -> bool {
        let socket = self.sockets.get::<Socket<'static>>(self.socket);
        let closing = matches!(
            socket.state(),
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck
        );
        closing || socket.send_queue() > 0
    }
}

/// What made a connection end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// The last acknowledgement, or our own doing.
    Orderly,
    /// A segment with RST.
    Reset,
}

/// Reads everything there is, and gives how much that was.
fn discard(socket: &mut Socket<'_>) -> u64 {
    let mut read = 0;
    while socket.can_recv() {
        match socket.recv(|bytes| (bytes.len(), bytes.len())) {
            Ok(length) => read += length,
            Err(_) => break,
        }
    }
    u64::try_from(read).unwrap_or(u64::MAX)
}

/// Writes as much of `left` as there is room for and gives how much that was. What is written
/// depends on its place in the stream, `from` at first, so that a byte out of place is seen.
fn write_pattern(socket: &mut Socket<'_>, from: u64, left: &mut u64) -> u64 {
    let mut place = from;
    while *left > 0 && socket.can_send() {
        let written = socket.send(|room| {
            let length = room.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            let [start, ..] = place.to_le_bytes();
            let mut value = start;
            for byte in room.iter_mut().take(length) {
                *byte = value;
                value = value.wrapping_add(1);
            }
            (length, length)
        });
        match written {
            Ok(length) if length > 0 => {
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                place += length;
                *left -= length;
            }
            _ => break,
        }
    }
    place - from
}

/// Writes back what was read, as far as there is room, and gives how much that was.
fn echo(socket: &mut Socket<'_>) -> u64 {
    let mut buffer = [0; 4_096];
    let mut moved = 0;
    loop {
        let room = socket.send_capacity() - socket.send_queue();
        let length = room.min(buffer.len());
        if length == 0 || !socket.may_send() {
            break;
        }
        let Some(part) = buffer.get_mut(..length) else { break };
        match socket.recv_slice(part) {
            Ok(length) if length > 0 => {
                let sent =
                    part.get(..length).map_or(0, |part| socket.send_slice(part).unwrap_or(0));
                moved += sent;
            }
            _ => break,
        }
    }
    u64::try_from(moved).unwrap_or(u64::MAX)
}

fn congestion() -> CongestionControl {
    match std::env::var("CC").as_deref() {
        Ok("cubic") => CongestionControl::Cubic,
        Ok("none") => CongestionControl::None,
        _ => CongestionControl::Reno,
    }
}
fn ack_delay() -> Option<smoltcp::time::Duration> {
    let ms: u64 = std::env::var("ACKD").ok().and_then(|s| s.parse().ok()).unwrap_or(10);
    (ms > 0).then(|| smoltcp::time::Duration::from_millis(ms))
}

fn interface(local: IpAddr, mtu: u16, seed: u64, clock: Clock, now: Instant) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut nothing = Vec::new();
    let mut port = Port { mtu, inbound: None, outbound: &mut nothing };
    let mut interface = Interface::new(config, &mut port, clock.at(now));
    interface.update_ip_addrs(|addresses| {
        // Everything is on the link: routing is the emulated network's business. There is room.
        let _ = addresses.push(IpCidr::new(local.into(), 0));
    });
    interface
}
