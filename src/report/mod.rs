//! Level 5: what leaves a run for other tools to read.
//!
//! Holds writers that turn observed packets and finished checks into the bytes of a format. Refuses
//! to decide anything: no writer filters, judges or reorders what it is given, and none opens a
//! file (each takes an `io::Write`).

pub mod capture;
pub mod explain;
pub mod export;
pub mod flow_log;
#[cfg(any(feature = "scenario", feature = "serve"))]
pub mod json;
pub mod junit;
pub mod lint;
pub mod names;
pub mod outcome;
pub mod pcapng;
pub mod remedy;
pub mod resolved;
pub mod terminal;
pub mod told;
pub mod trace;
pub mod xml;
