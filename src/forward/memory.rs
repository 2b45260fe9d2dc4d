//! Everything that the data plane remembers from one packet to the next.
//!
//! Holds the two kinds of memory as one value, so that whoever asks "what if" can do so on a copy.
//! Refuses to hold the network: that is the cloud's, and what is compiled of it has no memory.

use super::connections::Connections;
use super::middlebox::Middleboxes;

/// What interfaces remember of connections, and NAT devices of translations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Connections that security groups let through.
    pub connections: Connections,
    /// What middleboxes do and remember.
    pub middleboxes: Middleboxes,
}
