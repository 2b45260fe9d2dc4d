//! The fabric: the forwarder for batches of packets, over flat arrays.
//!
//! Holds its parts. Refuses to explain itself: explanations are the reference's.

pub mod flows;
mod prefetch;
