//! Why a journal cannot be opened or written, in words for who runs the server.
//!
//! Refuses to hold errors of the database as values: every waiter gets a copy, so they are text.

use std::path::PathBuf;

use super::Position;

/// Why a journal cannot be opened or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another journal, of this or another process, has the directory.
    #[error("{} is in use by another vpclab", .directory.display())]
    InUse {
        /// Which.
        directory: PathBuf,
    },
    /// The directory or a file in it cannot be used.
    #[error("{}: {why}", .path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The entries may mean what this program does not know.
    #[error("written by a newer vpclab (format {found}; this one reads {reads})")]
    Newer {
        /// The version that is there.
        found: u32,
        /// The version that this program writes.
        reads: u32,
    },
    /// The entries are of a format that is not read any more.
    #[error("written by an older vpclab (format {found}; this one reads {reads})")]
    Older {
        /// The version that is there.
        found: u32,
        /// The version that this program writes.
        reads: u32,
    },
    /// A journal of something else.
    #[error("holds the journal of `{found}`, not of `{wanted}`")]
    Foreign {
        /// The name that is there.
        found: String,
        /// The name that was asked for.
        wanted: &'static str,
    },
    /// An entry, or the snapshot that ends with it, is not what was written.
    #[error("the {part} {position} is damaged: {why}")]
    Damaged {
        /// Entry or snapshot.
        part: Part,
        /// Of what is damaged.
        position: Position,
        /// How that is known.
        why: &'static str,
    },
    /// The database itself is damaged, so that there is no telling which entry it is.
    #[error("the journal's database is damaged: {why}")]
    Unreadable {
        /// What the database says.
        why: String,
    },
    /// The disk is full or failed. What was not reported as durable may be lost.
    #[error("the journal cannot be written: {why}")]
    Write {
        /// What the system says.
        why: String,
    },
    /// The thread that writes has died.
    #[error("the journal's writer has died")]
    Died,
    /// It was closed.
    #[error("the journal is closed")]
    Closed,
}

/// What of a journal has a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// One entry.
    Entry,
    /// The snapshot after an entry.
    Snapshot,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Part::Entry => "journal's entry",
            Part::Snapshot => "journal's snapshot after entry",
        })
    }
}
