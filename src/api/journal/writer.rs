//! The thread that writes: takes all that is queued, makes it durable at once, tells who waits, and
//! begins anew.
//!
//! After the first error nothing is written any more: a second attempt could succeed and hide what the
//! first has lost. Refuses to know what is on disk.

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use super::store::Store;
use super::{JournalError, Position, Shared, Snapshot};

/// Begins to write. The thread ends when the journal is closed or has failed.
pub(super) fn start(store: Store, shared: Arc<Shared>) -> Result<JoinHandle<()>, JournalError> {
    let builder = thread::Builder::new().name("journal".to_owned());
    let started = builder.spawn(move || {
        // Dropped last, so that who waits is told however this ends.
        let mut end = End { shared, error: JournalError::Died };
        let written = panic::catch_unwind(AssertUnwindSafe(|| run(&store, &end.shared)));
        end.error = match written {
            Ok(Ok(())) => store.close().err().unwrap_or(JournalError::Closed),
            Ok(Err(error)) => error,
            Err(_) => {
                // Nothing is known of the database's state, so it is not even closed; the directory
                // stays locked until the process ends.
                mem::forget(store);
                JournalError::Died
            }
        };
    });
    started.map_err(|error| JournalError::Write { why: format!("no thread: {error}") })
}

/// What is written in one go.
struct Batch {
    first: Position,
    last: Position,
    entries: Vec<Vec<u8>>,
    snapshot: Option<Snapshot>,
}

fn run(store: &Store, shared: &Shared) -> Result<(), JournalError> {
    while let Some(batch) = next(shared) {
        if !batch.entries.is_empty() {
            store.write(batch.first, &batch.entries)?;
            shared.progress.send_modify(|progress| progress.durable = batch.last);
        }
        if let Some(snapshot) = batch.snapshot {
            store.replace(&snapshot)?;
        }
    }
    Ok(())
}

/// Waits for something to write. `None` if there is nothing left and nothing more can come.
fn next(shared: &Shared) -> Option<Batch> {
    let mut queue = shared.queue();
    loop {
        if !queue.entries.is_empty() || queue.snapshot.is_some() {
            let durable = shared.progress.borrow().durable;
            let entries = mem::take(&mut queue.entries);
            queue.bytes = 0;
            return Some(Batch {
                first: durable.later(1),
                last: durable.later(entries.len() as u64),
                entries,
                snapshot: queue.snapshot.take(),
            });
        }
        if queue.shut {
            return None;
        }
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Tells everybody that no more is written, however the thread ends.
struct End {
    shared: Arc<Shared>,
    error: JournalError,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.shut = true;
        queue.entries = Vec::new();
        queue.bytes = 0;
        queue.snapshot = None;
        drop(queue);
        let error = self.error.clone();
        self.shared.progress.send_modify(|progress| progress.end = Some(error));
    }
}
