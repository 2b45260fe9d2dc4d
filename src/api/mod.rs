//! Level 6, the EC2 API: real AWS clients build networks here and ask why packets do not arrive.
//!
//! Holds the server: requests, accounts, operations, answers, and the journal that keeps them. Every
//! answer comes from the same cloud and forwarder as everywhere else; refuses to hold a rule of the
//! network.

pub mod journal;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod signature;
