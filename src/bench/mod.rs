//! Level 6, the front door of measurement: how many packets a second this machine forwards.
//!
//! Holds the list of questions ([`measure`], [`measure_network`]) and what is found ([`Report`]). Each
//! figure is taken in several rounds, alternately with a floor: work without which no packet can be
//! forwarded. Nothing is reported before every packet has met the fate that it was made for. Refuses
//! to judge, to lay out tables and to know files; the forwarder is named in `engine.rs` only.

mod engine;
mod floor;
mod joined;
mod latency;
mod live;
mod network;
mod rate;
mod report;
mod scale;
mod spread;
pub mod steady;
mod timing;
mod topics;
mod world;

#[cfg(test)]
mod tests;

pub use report::{Build, Machine, Report, Row, Topic, Unit, resident};
pub use scale::{Sizes, Standing, stand};
pub use spread::Spread;
pub use timing::Settings;
pub use topics::{Question, measure, measure_network};

use crate::cloud::refusal::Refusal;

/// Why there are no figures.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BenchError {
    /// The cloud does not take a network of the bench's own.
    #[error("the cloud refuses the bench's network: {0}")]
    Refused(#[from] Refusal),
    /// Sizes that do not fit together.
    #[error("the bench's network cannot have this size")]
    Shape,
    /// A packet did not meet the fate that it was made for, so that its time would mean nothing.
    #[error("{what}: of {sent} packets {met} were {want}; no figure is worth anything")]
    WrongFate {
        /// The case.
        what: String,
        /// What was to become of them.
        want: String,
        /// Packets forwarded.
        sent: u64,
        /// Packets that met that fate.
        met: u64,
    },
    /// A network in which no instance can send to another one.
    #[error("no two instances of the network have addresses of one family")]
    NobodyToSendTo,
    /// A worker thread could not be started or did not end well.
    #[error("a worker thread failed")]
    Worker,
}

/// How far a run has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Figures that are taken.
    pub done: usize,
    /// Figures of the whole run.
    pub of: usize,
    /// What is measured now.
    pub what: String,
}
