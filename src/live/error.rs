//! What keeps live mode from doing what it was asked.
//!
//! One line each: what is missing, and why it is needed. Refuses to advise beyond that.

use std::io;

use super::name::LabName;

/// Why live mode could not do it.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The machine does not offer something.
    #[error("{what} is missing: {why}")]
    Missing {
        /// What is not there.
        what: &'static str,
        /// What it is for, and how one gets it.
        why: &'static str,
    },
    /// The system refused a call.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system answered.
        source: io::Error,
    },
    /// There is a lab of this name.
    #[error(
        "lab `{0}` runs already: `vpclab down {0}` ends it, `--name` gives this one another name"
    )]
    Running(LabName),
    /// There is no lab of this name.
    #[error("no lab `{0}` is running; `vpclab ps` lists those that are")]
    NoLab(LabName),
    /// There is no lab at all.
    #[error("no lab is running; `vpclab up FILE` starts one")]
    NoLabs,
    /// The engine has stopped.
    #[error(transparent)]
    Engine(#[from] super::engine::EngineError),
    /// The world is broken.
    #[error(transparent)]
    Ground(#[from] super::ground::BrokenGround),
    /// One must be chosen.
    #[error("several labs are running, choose one with --lab: {}", names(.0))]
    ManyLabs(Vec<LabName>),
    /// The lab said no.
    #[error("lab `{lab}`: {why}")]
    Refused {
        /// The lab.
        lab: LabName,
        /// Its words.
        why: String,
    },
    /// What arrived is none of the control protocol.
    #[error("the other side of the control socket speaks another language: {0}")]
    Protocol(String),
    /// A command of the program's own was called by hand.
    #[error("this is a command that `vpclab up` and `vpclab exec` start themselves")]
    ByHand,
}

impl LiveError {
    /// What the system refused while `doing` something.
    pub fn system(doing: impl Into<String>, source: impl Into<io::Error>) -> LiveError {
        LiveError::System { doing: doing.into(), source: source.into() }
    }
}

fn names(names: &[LabName]) -> String {
    names.iter().map(LabName::as_str).collect::<Vec<_>>().join(", ")
}
