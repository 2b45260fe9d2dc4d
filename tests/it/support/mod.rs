//! What the proofs of the data plane share: building worlds, and judging packets independently.
//!
//! Refuses to hold a test.

pub(crate) mod batched;
pub(crate) mod blocked;
pub(crate) mod family;
pub(crate) mod fixer;
pub(crate) mod lab;
pub(crate) mod oracle;
pub(crate) mod plan;
pub(crate) mod remake;
#[cfg(feature = "cli")]
pub(crate) mod served;
pub(crate) mod small;
pub(crate) mod traffic;
pub(crate) mod whole;
