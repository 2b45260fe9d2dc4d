//! What came of a scenario: the one result that terminal, JSON and JUnit are printed from.
//!
//! Holds plain values. Refuses to hold host time: two runs of the same file and seed have equal
//! outcomes, byte for byte.

use crate::base::time::Instant;
use crate::report::told::Told;
use crate::sim::traffic::Drops;
use crate::sim::{Leg, ProbeTally};

/// Whether a step came out as its file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The expectation held.
    Held,
    /// It did not.
    Failed,
    /// Nothing was expected of this traffic.
    Unjudged,
}

impl Verdict {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Held => "held",
            Verdict::Failed => "failed",
            Verdict::Unjudged => "unjudged",
        }
    }
}

/// Packets of a traffic step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// Requests handed to an interface.
    pub sent: u64,
    /// Requests received by some interface.
    pub delivered: u64,
    /// Of these, by another than the one meant.
    pub misdelivered: u64,
    /// Requests dropped.
    pub dropped: Drops,
    /// Answers handed to an interface.
    pub answers_sent: u64,
    /// Answers received by the interface that asked.
    pub answered: u64,
    /// Answers dropped.
    pub answers_dropped: Drops,
    /// ICMP errors that the network sent about requests and answers.
    pub notices_sent: u64,
    /// Of these, received.
    pub notices_delivered: u64,
    /// Of these, dropped.
    pub notices_dropped: Drops,
    /// Times that a middlebox sent a packet on.
    pub relayed: u64,
    /// Fragments that the network made, the first of each packet not counted.
    pub fragments: u64,
}

impl Traffic {
    /// What became of a probe's packets.
    pub fn of(tally: &ProbeTally) -> Traffic {
        Traffic {
            sent: tally.requests.sent,
            delivered: tally.requests.delivered,
            misdelivered: tally.requests.misdelivered,
            dropped: tally.requests.drops,
            answers_sent: tally.answers.sent,
            answered: tally.answers.delivered - tally.answers.misdelivered,
            answers_dropped: tally.answers.drops,
            notices_sent: tally.notices.sent,
            notices_delivered: tally.notices.delivered,
            notices_dropped: tally.notices.drops,
            relayed: tally.requests.relayed + tally.answers.relayed + tally.notices.relayed,
            fragments: tally.requests.fragments + tally.answers.fragments,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Traffic) -> Traffic {
        Traffic {
            sent: self.sent + other.sent,
            delivered: self.delivered + other.delivered,
            misdelivered: self.misdelivered + other.misdelivered,
            dropped: self.dropped.plus(&other.dropped),
            answers_sent: self.answers_sent + other.answers_sent,
            answered: self.answered + other.answered,
            answers_dropped: self.answers_dropped.plus(&other.answers_dropped),
            notices_sent: self.notices_sent + other.notices_sent,
            notices_delivered: self.notices_delivered + other.notices_delivered,
            notices_dropped: self.notices_dropped.plus(&other.notices_dropped),
            relayed: self.relayed + other.relayed,
            fragments: self.fragments + other.fragments,
        }
    }
}

/// A walk and which leg it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegWalk {
    /// Request or answer.
    pub leg: Leg,
    /// The walk.
    pub told: Told,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepOutcome {
    /// Its place in the file, from 1.
    pub number: usize,
    /// The line of the file, from 1.
    pub line: usize,
    /// When it began.
    pub at: Instant,
    /// What was done: `ping b -> c`.
    pub action: String,
    /// The file's note.
    pub note: Option<String>,
    /// What was expected, in the words of the file.
    pub expected: Option<String>,
    /// What came of it, in the same words.
    pub actual: String,
    /// Whether the two agree.
    pub verdict: Verdict,
    /// What the packets did, of a traffic step.
    pub traffic: Option<Traffic>,
    /// Walks of its packets: one for each distinct ending.
    pub walks: Vec<LegWalk>,
}

/// One scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The file as it was named.
    pub file: String,
    /// Its claim.
    pub name: String,
    /// Its reason.
    pub about: Option<String>,
    /// `seed` or `today`.
    pub profile: &'static str,
    /// The seed of its chance.
    pub seed: u64,
    /// Virtual zero in seconds since 1970.
    pub start_unix: i64,
    /// When the last step had ended.
    pub ended: Instant,
    /// The steps, in order.
    pub steps: Vec<StepOutcome>,
    /// Packets handed to interfaces, answers included.
    pub packets: u64,
    /// Why the run was cut short, if it was.
    pub aborted: Option<String>,
}

/// A file that could not be run. It belongs into every report: a reader of one must not take a
/// scenario that is missing for one that held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unusable {
    /// The file as it was named.
    pub file: String,
    /// What is wrong, as the terminal shows it without colour.
    pub why: String,
}

impl Outcome {
    /// Did everything hold?
    pub fn held(&self) -> bool {
        self.aborted.is_none() && self.steps.iter().all(|s| s.verdict != Verdict::Failed)
    }
}
