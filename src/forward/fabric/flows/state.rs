//! How far a connection has come, in one byte.
//!
//! Holds the packing, what a packet does to it, and the idle time that follows (vpc-semantics 3.7).
//! Refuses to know when: instants are the table's.
//!
//! ```text
//!  7 6 5   4 3             2 1              0
//!  kind  | against (0..2) | along (0..2) | opened by what goes out
//! ```
//!
//! `kind` is the stage of a TCP connection, or that it is none. `along` and `against` count the packets in the direction of the first and against it, to two.

use crate::base::time::Span;
use crate::cloud::filter::Direction;
use crate::wire::{Protocol, TcpFlags};

/// A connection that is open on both sides.
const TCP_ESTABLISHED: Span = Span::from_secs(432_000);
/// One of which only one end has been heard, or that both have finished.
const TCP_UNFINISHED: Span = Span::from_secs(120);
/// UDP before a second answer.
const UDP_SINGLE: Span = Span::from_secs(30);
/// UDP after it.
const UDP_STREAM: Span = Span::from_secs(180);
/// Everything else.
const OTHER: Span = Span::from_secs(600);

/// What is known of a connection besides its key and its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct State(u8);

const OPENING: u8 = 0;
const OPEN: u8 = 1;
const CLOSING_FROM_OUTSIDE: u8 = 2;
const CLOSING_FROM_INSIDE: u8 = 3;
const CLOSED: u8 = 4;
const DATAGRAMS: u8 = 5;
const NEITHER: u8 = 6;

/// What a packet does to a state, apart from its direction.
#[derive(Clone, Copy)]
enum Sign {
    /// It is no TCP segment.
    Datagram,
    Segment,
    Fin,
}

impl State {
    /// Of nothing.
    pub(super) const NONE: State = State(0);

    /// Before its first packet, which went in this direction.
    pub(super) const fn opened(direction: Direction, protocol: Protocol) -> State {
        let kind = match protocol {
            Protocol::TCP => OPENING,
            Protocol::UDP => DATAGRAMS,
            _ => NEITHER,
        };
        State(matches!(direction, Direction::Egress) as u8 | kind << 5)
    }

    /// The direction of its first packet.
    pub(super) const fn opener(self) -> Direction {
        if self.0 & 1 == 1 { Direction::Egress } else { Direction::Ingress }
    }

    /// After a packet in this direction with these flags, if it is a TCP segment.
    #[inline(always)]
    pub(super) fn after(self, direction: Direction, flags: Option<TcpFlags>) -> State {
        let sign = match flags {
            None => Sign::Datagram,
            Some(flags) if flags.contains(TcpFlags::FIN) => Sign::Fin,
            Some(_) => Sign::Segment,
        };
        let row = 2 * (sign as usize) + usize::from(direction == Direction::Egress);
        State(NEXT[row][usize::from(self.0)])
    }

    /// How long the connection lives without a further packet.
    #[inline(always)]
    pub(super) fn idle(self) -> Span {
        IDLE[usize::from(self.0)]
    }

    /// The rule behind [`IDLE`].
    const fn lives(self) -> Span {
        match self.kind() {
            OPEN | CLOSING_FROM_INSIDE | CLOSING_FROM_OUTSIDE if self.both_heard() => {
                TCP_ESTABLISHED
            }
            OPENING..=CLOSED => TCP_UNFINISHED,
            DATAGRAMS if self.0 & 0b1_0100 == 0b1_0100 => UDP_STREAM,
            DATAGRAMS => UDP_SINGLE,
            _ => OTHER,
        }
    }

    const fn kind(self) -> u8 {
        self.0 >> 5
    }

    const fn both_heard(self) -> bool {
        self.0 & 0b110 != 0 && self.0 & 0b1_1000 != 0
    }

    /// The rule behind [`NEXT`].
    const fn hears(self, sign: Sign, direction: Direction) -> State {
        let along = matches!(
            (self.opener(), direction),
            (Direction::Egress, Direction::Egress) | (Direction::Ingress, Direction::Ingress)
        );
        let at = if along { 1 } else { 3 };
        let counted = self.0 >> at & 3;
        let seen = if counted < 2 { self.0 + (1 << at) } else { self.0 };
        let closing = matches!(direction, Direction::Egress) as u8 + CLOSING_FROM_OUTSIDE;
        let kind = match (sign, self.kind()) {
            (Sign::Datagram, kind) => kind,
            (Sign::Fin, OPENING | OPEN) => closing,
            (Sign::Fin, CLOSING_FROM_INSIDE | CLOSING_FROM_OUTSIDE) if self.kind() != closing => {
                CLOSED
            }
            (Sign::Segment, OPENING) if State(seen).both_heard() => OPEN,
            (_, kind) => kind,
        };
        State(seen & 0b1_1111 | kind << 5)
    }
}

/// How long each state lives.
static IDLE: [Span; 256] = {
    let mut idle = [Span::ZERO; 256];
    let mut state = 0_u8;
    loop {
        idle[state as usize] = State(state).lives();
        if state == u8::MAX {
            break idle;
        }
        state += 1;
    }
};

/// What each state becomes, by sign and direction: a look-up in place of five branches, which a
/// mix of connections mispredicts.
static NEXT: [[u8; 256]; 6] = {
    let mut next = [[0; 256]; 6];
    let signs = [Sign::Datagram, Sign::Segment, Sign::Fin];
    let directions = [Direction::Ingress, Direction::Egress];
    let mut row = 0;
    while row < next.len() {
        let mut state = 0_u8;
        loop {
            let after = State(state).hears(signs[row / 2], directions[row % 2]);
            next[row][state as usize] = after.0;
            if state == u8::MAX {
                break;
            }
            state += 1;
        }
        row += 1;
    }
    next
};
