//! Level 0: words everybody uses. Nothing here knows what a network is.
//!
//! Holds time, seeds, identifiers, units, diagnostics and limits. Refuses to hold anything that
//! would need a packet, a VPC, a clock or a file to be explained.

pub mod diag;
pub mod id;
pub mod limit;
pub mod rng;
pub mod time;
pub mod units;
