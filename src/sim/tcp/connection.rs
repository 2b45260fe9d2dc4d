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
use super::work::Role;
use super::{Outcome, Patience, Report};
use crate::base::time::{Instant, Span};
use crate::base::units::Mtu;
use crate::wire::{Packet, TcpFlags};

/// A connection that has not ended for good.
pub(super) struct Connection {
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    clock: Clock,
    mtu: Mtu,
    /// The path's MTU, to be heeded once the SYN has told that of our interface.
    path: Option<Mtu>,
    role: Role,
    patience: Patience,
    /// Bytes handed to the socket.
    written: u64,
    /// Since when the peer owes us something: its last sign of life, or when it began to owe.
    owed_since: Instant,
    /// None before our SYN.
    recovery: Option<Recovery>,
    /// Room for what smoltcp sends in one call.
    fresh: Vec<Packet>,
    /// When [`poll`](Connection::poll) has something to do, if nothing comes in before.
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
    /// Of our interface.
    pub(super) mtu: Mtu,
    /// What is known of the path, if it is less.
    pub(super) path: Option<Mtu>,
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
        connection.due = Instant::NEVER;
        Some(connection)
    }

    fn new(plan: Plan, patience: Patience, now: Instant) -> Connection {
        let Plan { local, remote, role, mtu, path, seed } = plan;
        let [receives, sends] = role.buffers();
        let buffer = |bytes| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(receives), buffer(sends));
        socket.set_congestion_control(CongestionControl::Reno);
        socket.set_ack_delay(None);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        let clock = Clock::default();
        Connection {
            interface: interface(local.ip(), mtu, seed, clock, now),
            sockets,
            socket,
            clock,
            mtu,
            path,
            role,
            patience,
            written: 0,
            owed_since: now,
            recovery: None,
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

    /// Takes a segment for this connection, lets our side work on it, and puts what is to be sent
    /// into `out`.
    ///
    /// So each segment with data is acknowledged by one of its own, however many arrive at one
    /// instant: smoltcp widens its window by acknowledgements, not by what they acknowledge.
    pub(super) fn receive(&mut self, segment: &Packet, now: Instant, out: &mut Vec<Packet>) {
        // What a timer does is told from what a segment does by doing one after the other.
        if self.due <= now {
            self.poll(now, out);
        }
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
        self.advance(Cause::Segment, now, out);
    }

    /// Does what is due, lets our side work, and puts what is to be sent into `out`.
    pub(super) fn poll(&mut self, now: Instant, out: &mut Vec<Packet>) {
        if self.gives_up_at() <= now {
            self.end(Outcome::TimedOut, now);
        } else {
            self.advance(Cause::Timer, now, out);
        }
    }

    /// Lets our side work and smoltcp send.
    fn advance(&mut self, cause: Cause, now: Instant, out: &mut Vec<Packet>) {
        if !self.is_owed() {
            self.owed_since = now;
        }
        let socket = self.sockets.get_mut::<Socket<'static>>(self.socket);
        let moved = self.role.work(socket, self.written);
        self.written += moved.written;
        self.report.received += moved.read;
        if let Some(held) = self.send(cause, now, out) {
            self.show(&held, now, out);
            self.send(Cause::Segment, now, out);
        }
        // The FIN goes with the last data or after them. Earlier, it would make smoltcp believe
        // that each segment is the last, which it sends without waiting until it is full.
        if self.unsent() < u32::from(self.mtu.bytes())
            && self.role.close(self.sockets.get_mut(self.socket))
        {
            self.send(Cause::Segment, now, out);
        }
        self.note_state(Ending::Orderly, now);
        self.due = self.wakes_at(now);
    }

    /// Bytes that our side has written and smoltcp has not sent once.
    fn unsent(&self) -> u32 {
        let sent = self.recovery.as_ref().map_or(0, Recovery::sent);
        // What is not sent fits a buffer, so the lower half of the counts is enough.
        let [a, b, c, d, ..] = self.written.to_le_bytes();
        u32::from_le_bytes([a, b, c, d]).wrapping_sub(sent)
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
    fn send(&mut self, mut cause: Cause, now: Instant, out: &mut Vec<Packet>) -> Option<Packet> {
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
            let (local, remote) = (self.report.local, self.report.remote);
            let recovery =
                self.recovery.get_or_insert_with(|| Recovery::new(local, remote, header));
            let sending = recovery.judge(&packet);
            if sending != Sending::New && cause == Cause::Timer {
                held = recovery.timed_out();
                // The timer made it send the rest as well, but expired once.
                cause = Cause::Segment;
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

    /// When something is due next: later than `now`, when everything was done that was due.
    fn wakes_at(&mut self, now: Instant) -> Instant {
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
        mtu: Mtu,
        sequence: u32,
        now: Instant,
        out: &mut Vec<Packet>,
    ) -> bool {
        let in_flight = self.recovery.as_ref().is_some_and(|sent| sent.is_in_flight(sequence));
        if mtu >= self.mtu || !in_flight {
            return false;
        }
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
        // Not before: what the timer makes it send would be one segment, and the new threshold
        // half of the few bytes that were on their way.
        self.restart_window();
        true
    }

    /// Begins again with slow start. smoltcp counts the window in segments as long as the peer's SYN
    /// has announced them, which over a narrower path would let it grow many times too fast. A new
    /// controller counts in 1,024 bytes, which is not far from what narrow paths take.
    fn restart_window(&mut self) {
        self.tcp().set_congestion_control(CongestionControl::Reno);
    }

    /// Sends nothing longer than `mtu` from now on.
    fn narrow(&mut self, mtu: Mtu, now: Instant) {
        self.mtu = mtu;
        self.report.mtu = mtu;
        // The seed only numbers new connections, and this one has its number.
        self.interface = interface(self.report.local.ip(), mtu, 0, self.clock, now);
    }

    /// Notes what smoltcp has made of what came in.
    fn note_state(&mut self, ending: Ending, now: Instant) {
        let socket = self.sockets.get::<Socket<'static>>(self.socket);
        let state = socket.state();
        let queued = u64::try_from(socket.send_queue()).unwrap_or(u64::MAX);
        let acknowledged = self.written.saturating_sub(queued);
        if acknowledged > self.report.acknowledged {
            self.report.acknowledged = acknowledged;
            self.report.last_ack_at = Some(now);
        }
        let stands =
            !matches!(state, State::Closed | State::Listen | State::SynSent | State::SynReceived);
        if stands && self.report.outcome == Outcome::Connecting {
            self.report.outcome = Outcome::Open;
            self.report.connected_at = Some(now);
            if let Some(path) = self.path.take() {
                self.narrow(path, now);
                self.restart_window();
            }
        }
        let end = match (self.report.outcome, state, ending) {
            (Outcome::Open, State::TimeWait, _) => Outcome::Done,
            (Outcome::Open, State::Closed, Ending::Orderly) => Outcome::Done,
            (Outcome::Open, State::Closed, Ending::Reset) => Outcome::Reset,
            // A listening socket goes back to listening when the caller thinks better of it.
            (Outcome::Connecting, State::Closed | State::Listen, _) => Outcome::Refused,
            _ => return,
        };
        self.end(end, now);
    }

    /// Notes how it ended.
    fn end(&mut self, outcome: Outcome, now: Instant) {
        self.report.outcome = outcome;
        self.report.ended_at = Some(now);
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

fn interface(local: IpAddr, mtu: Mtu, seed: u64, clock: Clock, now: Instant) -> Interface {
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
