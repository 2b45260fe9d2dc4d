//! A packet-level network emulator for cloud VPCs and the peerings between them.

pub mod base;
pub mod cloud;
pub mod forward;
pub mod report;
#[cfg(feature = "scenario")]
pub mod scenario;
pub mod sim;
pub mod wire;
