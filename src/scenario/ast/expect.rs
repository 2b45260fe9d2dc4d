//! What must come of a step.

use std::fmt;
use std::net::Ipv4Addr;

use super::{Destination, Label, Location};
use crate::base::diag::Spanned;
use crate::cloud::dns::Reason;
use crate::cloud::peering::Status;
use crate::cloud::route_table::RouteState;
use crate::forward::DropReason;
use crate::forward::reason::MISDELIVERED;

/// What must come of a step. A negative expectation always names its reason.
#[derive(Clone, PartialEq, Debug)]
pub enum Expect {
    /// Every request was delivered and answered, and every answer came back.
    Replied,
    /// Every packet was delivered.
    Delivered,
    /// Every packet was delivered, to this instance.
    DeliveredTo(Spanned<Label>),
    /// Every request was dropped for this reason.
    Dropped {
        /// The reason.
        reason: Spanned<DropReason>,
        /// Where; `None` is anywhere.
        at: Option<Spanned<Location>>,
    },
    /// Every request was delivered, and every answer lost.
    ReplyLost {
        /// How it was lost.
        loss: Spanned<Loss>,
        /// Where it was dropped, or the instance it reached instead; `None` is anywhere.
        at: Option<Spanned<Location>>,
    },
    /// Of the targets of one ping, which answer and which do not. Together the two lists name every
    /// target exactly once.
    Reaches {
        /// Those that answer.
        reaches: Vec<Spanned<Destination>>,
        /// Those that do not.
        never: Vec<Spanned<Destination>>,
        /// Why they do not.
        because: Because,
    },
    /// So many packets.
    Counts {
        /// Delivered ones; `None` if the file does not bound them.
        delivered: Option<Spanned<Bounds>>,
        /// Dropped ones by reason; a reason that is not listed must not occur.
        dropped: Vec<(Spanned<DropReason>, Spanned<Bounds>)>,
    },
    /// The cloud refuses the command with this EC2 code.
    Refused(Spanned<String>),
    /// After the command the peering is in this state.
    Peering(Spanned<Status>),
    /// The route is in this state.
    Route(Spanned<RouteState>),
    /// The name resolves to this address.
    Address(Spanned<Ipv4Addr>),
    /// The name does not resolve, for this reason.
    Unresolved(Spanned<Reason>),
    /// The TCP connection came to this end.
    Connection(Connection),
    /// The TCP connection carried all data, at so many kbit/s.
    Goodput(Spanned<Bounds>),
}

/// The end of a TCP connection, seen by the one who opened it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// All data arrived and both sides closed.
    Connected,
    /// Nobody listens there.
    Refused,
    /// Nobody answered in time.
    TimedOut,
    /// The other side broke it off.
    Reset,
}

impl Connection {
    /// How a file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Connection::Connected => "connected",
            Connection::Refused => "refused",
            Connection::TimedOut => "timed-out",
            Connection::Reset => "reset",
        }
    }
}

/// Why targets do not answer.
#[derive(Clone, PartialEq, Debug)]
pub enum Because {
    /// No target is expected not to answer.
    Nothing,
    /// All for one reason.
    All(Spanned<Loss>),
    /// Each for its own; names every such target exactly once.
    Each(Vec<(Spanned<Destination>, Spanned<Loss>)>),
}

/// How an answer is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It was dropped.
    Dropped(DropReason),
    /// It reached another host with the same address.
    Misdelivered,
}

impl Loss {
    /// How a file writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Loss::Dropped(reason) => reason.label(),
            Loss::Misdelivered => MISDELIVERED,
        }
    }

    /// The loss that a file writes so.
    pub fn from_label(label: &str) -> Option<Loss> {
        match label {
            MISDELIVERED => Some(Loss::Misdelivered),
            _ => DropReason::from_label(label).map(Loss::Dropped),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Whole numbers from `min` to `max`, both included, `min <= max`: `7`, `990..1000`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    min: u64,
    max: u64,
}

impl Bounds {
    /// From `min` to `max`; `None` if that is nothing.
    pub fn new(min: u64, max: u64) -> Option<Bounds> {
        (min <= max).then_some(Bounds { min, max })
    }

    /// The least number that will do.
    pub fn min(self) -> u64 {
        self.min
    }

    /// The greatest number that will do.
    pub fn max(self) -> u64 {
        self.max
    }

    /// Will `n` do?
    pub fn contains(self, n: u64) -> bool {
        (self.min..=self.max).contains(&n)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min}..{max}"),
        }
    }
}
