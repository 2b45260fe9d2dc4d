//! A fabric that changes while workers forward by it: two copies, of which one is in use.
//!
//! Holds the publisher, which brings the copy that nobody uses up to date and puts it in the place of
//! the other, and the readers, which look between two batches whether that has happened. So a batch
//! is judged by one version of the network, workers wait for nobody (a look is one load; taking a new
//! version, the time it takes to copy a pointer), and a change costs what it costs once for each
//! copy. Refuses to start threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Fabric;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::event::Change;
use crate::forward::Rows;

/// What publisher and readers share.
#[derive(Debug)]
struct Shared {
    /// How often another version was put in place.
    version: AtomicU64,
    current: Mutex<Arc<Fabric>>,
}

impl Shared {
    /// The version in use. Nothing that holds the lock can panic, so a poisoned one is as good.
    fn with_current<T>(&self, what: impl FnOnce(&mut Arc<Fabric>) -> T) -> T {
        what(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whoever changes the network.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    /// The copy that is not in use, except by readers that have not looked since.
    standby: Arc<Fabric>,
    /// What has happened since it was.
    missed: Vec<Change>,
}

/// A worker's hold on the version in use.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    version: u64,
    fabric: Arc<Fabric>,
}

impl Publisher {
    /// Puts a fabric in use. Costs a copy of it.
    pub fn new(fabric: Fabric) -> Publisher {
        let standby = Arc::new(fabric.clone());
        let current = Mutex::new(Arc::new(fabric));
        let shared = Arc::new(Shared { version: AtomicU64::new(0), current });
        Publisher { shared, standby, missed: Vec::new() }
    }

    /// A reader for one worker.
    pub fn reader(&self) -> Reader {
        // The version first: a fabric that is newer than its number is fetched once more.
        let version = self.shared.version.load(Ordering::Acquire);
        let fabric = self.shared.with_current(|current| Arc::clone(current));
        Reader { shared: Arc::clone(&self.shared), version, fabric }
    }

    /// Brings readers to what `cloud` is at `now` after these changes, see [`Fabric::update`].
    ///
    /// Costs two updates of a copy (these changes, and those of the time before), and a whole copy
    /// if a reader has not looked since the time before.
    pub fn publish(&mut self, cloud: &Cloud, rows: &Rows, changes: &[Change], now: Instant) {
        self.missed.extend_from_slice(changes);
        Arc::make_mut(&mut self.standby).update(cloud, rows, &self.missed, now);
        self.shared.with_current(|current| std::mem::swap(current, &mut self.standby));
        self.shared.version.fetch_add(1, Ordering::Release);
        self.missed.clear();
        self.missed.extend_from_slice(changes);
    }
}

impl Reader {
    /// The version in use. To be asked between two batches, and kept for no longer than one.
    #[inline]
    pub fn fabric(&mut self) -> &Fabric {
        let version = self.shared.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.fabric = self.shared.with_current(|current| Arc::clone(current));
        }
        &self.fabric
    }
}
