//! What must come of a step.

use super::{Destination, Label, Location, words};
use crate::base::diag::Spanned;

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
        reason: Spanned<Reason>,
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
        dropped: Vec<(Spanned<Reason>, Spanned<Bounds>)>,
    },
    /// The cloud refuses the command with this EC2 code.
    Refused(Spanned<String>),
    /// After the command the peering is in this state.
    Peering(Spanned<PeeringState>),
    /// The route is in this state.
    Route(Spanned<RouteState>),
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

/// The label of a drop reason, one of those given to the decoder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reason(pub(in crate::scenario) String);

impl Reason {
    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How an answer is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Loss {
    /// It was dropped.
    Dropped(Reason),
    /// It reached another host with the same address.
    Misdelivered,
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

words! {
    /// A state of a peering (vpc-semantics 2).
    PeeringState {
        /// The request is being made.
        InitiatingRequest = "initiating-request",
        /// The other side has not answered.
        PendingAcceptance = "pending-acceptance",
        /// Accepted, being set up.
        Provisioning = "provisioning",
        /// Carries traffic.
        Active = "active",
        /// The request could not be made.
        Failed = "failed",
        /// The other side said no.
        Rejected = "rejected",
        /// Nobody answered in time.
        Expired = "expired",
        /// Being taken down.
        Deleting = "deleting",
        /// Gone.
        Deleted = "deleted",
    }
}

words! {
    /// A state of a route.
    RouteState {
        /// Its target takes packets.
        Active = "active",
        /// Its target is gone.
        Blackhole = "blackhole",
    }
}
