//! What one request has changed, as the journal keeps it.
//!
//! Holds the entry and its encoding. Refuses to hold requests: what is kept is the effect (ids,
//! moments, results), so replaying asks neither a clock nor a generator (invariant S22).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::journal::Format;
use super::records::Record;
use crate::cloud::event::Event;

/// What the entries of a server's journal are, and the state that its snapshots hold.
pub const FORMAT: Format = Format { name: "vpclab-ec2", version: 2 };

/// All that one request has changed: it is kept whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    /// What happened in the cloud, in order.
    pub events: Vec<Event>,
    /// What the API has to remember beside it, in order.
    pub records: Vec<Record>,
}

/// Bytes that are no entry.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an entry of the journal cannot be read: {0}")]
pub struct UnreadableEntry(String);

impl Entry {
    /// Has the request changed nothing?
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.records.is_empty()
    }

    /// The entry as bytes.
    ///
    /// # Errors
    /// None that is known: every part of an entry has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, UnreadableEntry> {
        encode(self)
    }

    /// The entry that these bytes encode; that of no bytes has changed nothing.
    ///
    /// # Errors
    /// The bytes are none, or go on behind it.
    pub fn decode(bytes: &[u8]) -> Result<Entry, UnreadableEntry> {
        if bytes.is_empty() { Ok(Entry::default()) } else { decode(bytes) }
    }
}

/// A value as bytes.
///
/// # Errors
/// It has no encoding.
pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, UnreadableEntry> {
    postcard::to_stdvec(value).map_err(|error| UnreadableEntry(error.to_string()))
}

/// The value that these bytes encode.
///
/// # Errors
/// The bytes are none, or go on behind it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnreadableEntry> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(UnreadableEntry(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(UnreadableEntry(error.to_string())),
    }
}
