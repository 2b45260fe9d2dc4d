//! NewReno (RFC 6582) around smoltcp: one loss event, one halving of the window.
//!
//! smoltcp retransmits after three duplicate acknowledgements and halves its window, as it should. But
//! it takes the next acknowledgement for the end of the matter. If a window has lost several segments,
//! as it does when slow start overruns a queue, each of them halves the window once more, and after a
//! timeout the duplicates that a resent window earns do so too.
//!
//! This stands between smoltcp and the network. While holes remain in what was outstanding when the
//! first loss was seen, it retransmits them itself, and what smoltcp hears is that one more segment
//! has left the network: an acknowledgement with the number it knows already. RFC 6582, 3.2, step 3,
//! lets the window shrink by what was acknowledged and grow by a segment, which is the same.
//! Refuses to decide how much may be sent: the window is smoltcp's.
//!
//! ```text
//!                 retransmission without a timeout
//!        Open ────────────────────────────────────► Fast
//!         ▲ ▲                                      │   │
//!         │ └── all that was outstanding then ─────┘   │ timeout
//!         │              is acknowledged               ▼
//!         └──────────────────────────────────────── Loss ◄── timeout, from Open
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::wire::{Packet, TcpFlags, TcpSegment, build, with_tcp_header};

/// What was sent and not acknowledged, and what smoltcp is told of it.
#[derive(Debug)]
pub(super) struct Recovery {
    local: SocketAddr,
    remote: SocketAddr,
    /// The number of our SYN.
    first: u32,
    /// The first number that the peer has not acknowledged.
    acknowledged: u32,
    /// The number of the next new byte.
    next: u32,
    /// The window that the peer has told last.
    window: u16,
    /// The last header that we sent: what it acknowledges is what we wait for.
    ours: TcpSegment,
    /// What was sent from `acknowledged` on, in order and without overlap. Shares the bytes of the
    /// packets, so it costs no more than they do.
    in_flight: VecDeque<InFlight>,
    phase: Phase,
}

#[derive(Debug)]
struct InFlight {
    /// The number behind its last byte.
    end: u32,
    packet: Packet,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing is known to be lost.
    Open,
    /// A segment was retransmitted because of duplicate acknowledgements.
    Fast {
        /// What was new then. Acknowledging all before it ends the phase.
        point: u32,
        /// Up to where smoltcp believes the peer has everything.
        shown: u32,
    },
    /// A timeout made smoltcp send everything again.
    Loss {
        /// As above.
        point: u32,
    },
}

/// What is to be done about a segment that has come in.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What smoltcp is to be given in its place.
    pub(super) show: Option<Packet>,
    /// What is to be sent.
    pub(super) resend: Option<Packet>,
}

/// What a segment is that smoltcp wants to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sending {
    /// It takes no sequence numbers, or new ones.
    New,
    /// It was sent before.
    Again,
    /// It was sent before, and the peer has acknowledged it.
    Needless,
}

impl Recovery {
    /// Of a connection between these ends, before our SYN, with this header, is sent.
    pub(super) fn new(local: SocketAddr, remote: SocketAddr, syn: TcpSegment) -> Recovery {
        Recovery {
            local,
            remote,
            first: syn.sequence,
            acknowledged: syn.sequence,
            next: syn.sequence,
            window: 0,
            ours: syn,
            in_flight: VecDeque::new(),
            phase: Phase::Open,
        }
    }

    /// Has the peer yet to acknowledge the byte with this number, which was sent?
    pub(super) fn is_in_flight(&self, number: u32) -> bool {
        !is_before(number, self.acknowledged) && is_before(number, self.next)
    }

    /// How many bytes of data were sent, modulo 2^32, a FIN counted as one; 0 before the SYN.
    pub(super) fn sent(&self) -> u32 {
        self.next.wrapping_sub(self.first).saturating_sub(1)
    }

    /// A segment has come in.
    pub(super) fn heard(&mut self, segment: &Packet) -> Heard {
        let as_it_is = || Heard { show: Some(segment.clone()), resend: None };
        let Some(header) = segment.tcp() else { return as_it_is() };
        let number = header.acknowledgement;
        if !header.flags.contains(TcpFlags::ACK) || header.flags.contains(TcpFlags::RST) {
            return as_it_is();
        }
        let is_news = is_before(self.acknowledged, number) && !is_before(self.next, number);
        if is_news {
            self.acknowledged = number;
            while self.in_flight.front().is_some_and(|first| !is_before(number, first.end)) {
                self.in_flight.pop_front();
            }
        }
        let repeats = number == self.acknowledged
            && header.window == self.window
            && header.flags.sequence_length(segment.payload().len()) == 0;
        self.window = header.window;
        match self.phase {
            Phase::Fast { point, .. } | Phase::Loss { point }
                if !is_before(self.acknowledged, point) =>
            {
                self.phase = Phase::Open;
                as_it_is()
            }
            Phase::Fast { shown, .. } if is_before(shown, number) => Heard {
                show: with_tcp_header(segment, TcpSegment { acknowledgement: shown, ..header }),
                resend: if is_news { self.first_hole() } else { None },
            },
            // RFC 6582, 3.2, steps 1 and 4: not before all from before the timeout is there.
            Phase::Loss { .. } if repeats && !is_news => Heard::default(),
            Phase::Open | Phase::Fast { .. } | Phase::Loss { .. } => as_it_is(),
        }
    }

    /// What smoltcp sends next is because its timer has expired. Gives what it is to be shown then,
    /// if it does not know all that the peer has acknowledged.
    pub(super) fn timed_out(&mut self) -> Option<Packet> {
        let before = std::mem::replace(&mut self.phase, Phase::Loss { point: self.next });
        self.in_flight.clear();
        match before {
            Phase::Fast { shown, .. } if is_before(shown, self.acknowledged) => {
                let header = TcpSegment {
                    flags: TcpFlags::ACK,
                    sequence: self.ours.acknowledgement,
                    acknowledgement: self.acknowledged,
                    window: self.window,
                };
                segment(self.remote, self.local, header, &[])
            }
            _ => None,
        }
    }

    /// What this segment is, if smoltcp sends it now.
    pub(super) fn judge(&self, segment: &Packet) -> Sending {
        match numbers(segment) {
            Some((_, end)) if !is_before(self.acknowledged, end) => Sending::Needless,
            Some((_, end)) if !is_before(self.next, end) => Sending::Again,
            _ => Sending::New,
        }
    }

    /// smoltcp sends this segment.
    pub(super) fn send(&mut self, segment: &Packet) {
        self.ours = segment.tcp().unwrap_or(self.ours);
        let Some((start, end)) = numbers(segment) else { return };
        if is_before(self.next, end) {
            self.next = end;
        } else if let Phase::Open = self.phase {
            self.phase = Phase::Fast { point: self.next, shown: self.acknowledged };
        }
        if self.in_flight.back().is_none_or(|last| !is_before(start, last.end)) {
            self.in_flight.push_back(InFlight { end, packet: segment.clone() });
        }
    }

    /// The first of what the peer lacks, as far as it was sent in one segment.
    fn first_hole(&self) -> Option<Packet> {
        let packet = &self.in_flight.front()?.packet;
        let TcpSegment { flags, sequence, .. } = packet.tcp()?;
        let known = usize::try_from(self.acknowledged.wrapping_sub(sequence)).ok()?;
        let header = TcpSegment { flags, sequence: self.acknowledged, ..self.ours };
        segment(self.local, self.remote, header, packet.payload().get(known..)?)
    }
}

/// A segment without options.
fn segment(from: SocketAddr, to: SocketAddr, header: TcpSegment, payload: &[u8]) -> Option<Packet> {
    let TcpSegment { flags, sequence, acknowledgement, .. } = header;
    let segment = build::tcp(from, to, flags, sequence, acknowledgement, payload).ok()?;
    with_tcp_header(&segment, header)
}

/// The sequence number that a segment begins with and the one behind it; `None` if it takes none.
fn numbers(segment: &Packet) -> Option<(u32, u32)> {
    let header = segment.tcp()?;
    let length = header.flags.sequence_length(segment.payload().len());
    (length > 0).then(|| (header.sequence, header.sequence.wrapping_add(length)))
}

/// Sequence numbers go round: the nearer way counts (RFC 9293, 3.4).
fn is_before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}
