//! Level 6, the EC2 API: real AWS clients build networks here and ask why packets do not arrive.
//!
//! Holds the server: requests, accounts, operations, answers, and the journal that keeps them. Every
//! answer comes from the same cloud and forwarder as everywhere else; refuses to hold a rule of the
//! network.
//!
//! A request's way: `http` reads it, `params` makes a tree of its parameters, `identity` says who
//! asks, `dispatch` finds the operation, `operation/` asks the cloud in `world`, `journal` keeps what
//! changed, and only then the answer goes out (`server`).

pub mod clock;
pub mod describe;
pub mod dispatch;
pub mod entry;
pub mod fault;
pub mod filter;
pub mod http;
pub mod identity;
pub mod journal;
pub mod local;
pub mod metrics;
mod operation;
pub mod params;
pub mod recorders;
pub mod records;
pub mod server;
pub mod signature;
mod sts;
pub mod traffic;
pub mod world;
pub mod xml;
