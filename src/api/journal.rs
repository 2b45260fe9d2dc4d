//! The durable log of a server: entries in the order of their appends, and at most one snapshot that
//! stands for those before it.
//!
//! Holds the journal as its users see it: the queue that appends go into, and who waits for the disk.
//! What is written where is `store`'s, the bytes of a row are `row`'s, the thread that writes is
//! `writer`'s. Refuses to know what an entry means: its bytes are the caller's, who also decides what
//! belongs together, for an entry is there wholly or not at all.

mod error;
mod row;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::base::limit::{
    JOURNAL_BYTES_BEFORE_SNAPSHOT, JOURNAL_ENTRIES_BEFORE_SNAPSHOT, JOURNAL_QUEUE_BYTES_MAX,
};

pub use error::JournalError;
pub use store::Recovered;
use store::Store;

/// The ordinal of an entry, from 1 on; [`Position::NONE`] is before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(u64);

impl Position {
    /// Before the first entry.
    pub const NONE: Position = Position(0);

    /// How many entries there are up to this one, itself included.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position so many entries later. 2^64 entries are not reached in any server's life.
    const fn later(self, entries: u64) -> Position {
        Position(self.0.saturating_add(entries))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the entries and the snapshot of a journal are. It is stored with them; another name or version
/// is refused when the journal is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Whose they are.
    pub name: &'static str,
    /// Raised whenever what an older program has written would be misread.
    pub version: u32,
}

/// A journal that is open. Share it by reference or [`Arc`]; dropping it does what
/// [`close`](Journal::close) does.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// Between the callers and the writer.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something is in the queue, or the journal is closing.
    arrived: Condvar,
    progress: watch::Sender<Progress>,
}

/// What the writer has not taken yet.
#[derive(Debug)]
struct Queue {
    /// The last appended entry.
    last: Position,
    entries: Vec<Vec<u8>>,
    /// Of `entries`.
    bytes: usize,
    snapshot: Option<Snapshot>,
    /// Where the latest snapshot stands, those asked for included.
    snapshot_at: Position,
    /// Appended since then by this process.
    bytes_since_snapshot: u64,
    /// Nothing is taken any more: closed, or failed.
    shut: bool,
}

/// A state that replaces the entries up to a position.
#[derive(Debug)]
struct Snapshot {
    upto: Position,
    state: Vec<u8>,
}

/// How far the writer is.
#[derive(Clone, Debug)]
struct Progress {
    durable: Position,
    /// Why there is no more to come.
    end: Option<JournalError>,
}

impl Journal {
    /// Opens the journal in `directory`, or makes an empty one; parents are made as well. Returns what
    /// was there.
    ///
    /// All that is stored is read once and its checksums compared, so this costs about a second for a
    /// gigabyte. The directory belongs to this journal until it is closed or the process ends.
    ///
    /// # Errors
    /// Another journal has the directory, the directory cannot be used, what is there has another
    /// format or is damaged.
    pub fn open(directory: &Path, format: Format) -> Result<(Journal, Recovered), JournalError> {
        Self::start(Store::open(directory, format)?)
    }

    fn start(store: Store) -> Result<(Journal, Recovered), JournalError> {
        let recovered = store.recover()?;
        let last = recovered.last();
        let queue = Queue {
            last,
            entries: Vec::new(),
            bytes: 0,
            snapshot: None,
            snapshot_at: recovered.snapshot().map_or(Position::NONE, |(at, _)| at),
            bytes_since_snapshot: 0,
            shut: false,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            arrived: Condvar::new(),
            progress: watch::Sender::new(Progress { durable: last, end: None }),
        });
        let writer = writer::start(store, Arc::clone(&shared))?;
        Ok((Journal { shared, writer: Mutex::new(Some(writer)) }, recovered))
    }

    /// Appends an entry behind all that were appended before. Only puts it into the queue of the
    /// writer, so it may be called under a lock; [`durable`](Journal::durable) tells when it is safe.
    ///
    /// The queue takes what it is given, because what an entry tells has already happened. It is
    /// bounded from outside: by the requests under way, who each wait for the disk, and by
    /// [`has_room`](Journal::has_room). Once the journal has failed or is closed, entries are dropped,
    /// and waiting for them is an error.
    pub fn append(&self, entry: Vec<u8>) -> Position {
        let mut queue = self.shared.queue();
        queue.last = queue.last.later(1);
        let at = queue.last;
        if queue.shut {
            return at;
        }
        let idle = queue.entries.is_empty();
        queue.bytes = queue.bytes.saturating_add(entry.len());
        queue.bytes_since_snapshot = queue.bytes_since_snapshot.saturating_add(entry.len() as u64);
        queue.entries.push(entry);
        drop(queue);
        if idle {
            self.shared.arrived.notify_one();
        }
        at
    }

    /// The last appended entry. Who has seen the state that all appended entries make, and tells of
    /// it, waits for this position first.
    pub fn position(&self) -> Position {
        self.shared.queue().last
    }

    /// Waits until all entries up to this one are on disk. All that were appended while the disk was
    /// busy are written at once.
    ///
    /// # Errors
    /// The journal has failed or was closed before. The entries may be on disk nevertheless, and may
    /// not; nothing that was not reported as durable can be relied upon.
    pub async fn durable(&self, upto: Position) -> Result<(), JournalError> {
        let mut progress = self.shared.progress.subscribe();
        let reached = progress.wait_for(|now| now.durable >= upto || now.end.is_some()).await;
        match reached {
            Ok(now) if now.durable >= upto => Ok(()),
            Ok(now) => Err(now.end.clone().unwrap_or(JournalError::Closed)),
            // The sender lives as long as `self`.
            Err(_) => Err(JournalError::Closed),
        }
    }

    /// Replaces the entries up to `upto` by the state that they make. Takes effect on disk in one step
    /// some time later; entries that are appended meanwhile wait for it.
    ///
    /// A snapshot before the latest one, or behind the last entry, is ignored.
    pub fn snapshot(&self, upto: Position, state: Vec<u8>) {
        let mut queue = self.shared.queue();
        if queue.shut || upto < queue.snapshot_at || upto > queue.last {
            return;
        }
        queue.snapshot_at = upto;
        queue.bytes_since_snapshot = 0;
        queue.snapshot = Some(Snapshot { upto, state });
        drop(queue);
        self.shared.arrived.notify_one();
    }

    /// Whether so much was appended since the latest snapshot that a new one would pay.
    pub fn wants_snapshot(&self) -> bool {
        let queue = self.shared.queue();
        queue.bytes_since_snapshot >= JOURNAL_BYTES_BEFORE_SNAPSHOT
            || queue.last.0 - queue.snapshot_at.0 >= JOURNAL_ENTRIES_BEFORE_SNAPSHOT
    }

    /// Whether the disk keeps up. If not, changes should be refused before they are made.
    pub fn has_room(&self) -> bool {
        self.shared.queue().bytes < JOURNAL_QUEUE_BYTES_MAX
    }

    /// Why nothing can be made durable any more, if so.
    pub fn failure(&self) -> Option<JournalError> {
        self.shared.progress.borrow().end.clone()
    }

    /// Writes all that was appended, and gives the directory back. A second call does nothing more.
    ///
    /// # Errors
    /// The journal has failed, now or before.
    pub fn close(&self) -> Result<(), JournalError> {
        self.shared.queue().shut = true;
        self.shared.arrived.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // How it has ended is in the progress, its death included.
            let _ = writer.join();
        }
        match self.failure() {
            None | Some(JournalError::Closed) => Ok(()),
            Some(error) => Err(error),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        let _ = self.close();
    }
}

impl Shared {
    /// The queue is whole between any two statements, so a thread that died with it has not broken it.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
