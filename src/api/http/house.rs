//! Who is in, and who has to go when it is full.
//!
//! A connection without a request costs its client nothing, so ten thousand of them must not keep
//! others out: when all places are taken, those go that have waited longest with no request, or with
//! half the head of one. Only if every connection has a request in flight is a new one turned away.
//!
//! Holds the places. Refuses to touch a socket: a connection that is to go is told, and goes by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Counts;
use super::pace::{Pace, Phase};

/// All connections.
#[derive(Debug)]
pub(super) struct House {
    places: Arc<Semaphore>,
    guests: Mutex<Guests>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    by_number: BTreeMap<u64, Arc<Pace>>,
}

/// A place in the house, left when dropped.
#[derive(Debug)]
pub(super) struct Place {
    house: Arc<House>,
    number: u64,
    _permit: OwnedSemaphorePermit,
}

impl House {
    pub(super) fn new(places: usize, counts: Arc<Counts>) -> Arc<House> {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(House {
            places: Arc::new(Semaphore::new(places)),
            guests: Mutex::new(Guests::default()),
            counts,
        })
    }

    /// A place for this connection, if one is free.
    pub(super) fn enter(self: &Arc<House>, pace: &Arc<Pace>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.settle(pace, permit))
    }

    /// A place for this connection, once one is free.
    pub(super) async fn enter_later(self: &Arc<House>, pace: &Arc<Pace>) -> Option<Place> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(self.settle(pace, permit))
    }

    fn settle(self: &Arc<House>, pace: &Arc<Pace>, permit: OwnedSemaphorePermit) -> Place {
        let mut guests = self.guests();
        let number = guests.next;
        guests.next += 1;
        guests.by_number.insert(number, Arc::clone(pace));
        self.counts.add_accepted();
        Place { house: Arc::clone(self), number, _permit: permit }
    }

    /// Tells connections without a request to go, those first that have waited longest: an eighth of
    /// them and at most 32, so that a crowd at the door does not cost a look at everybody each time.
    /// Returns how many.
    pub(super) fn make_room(&self) -> usize {
        let guests = self.guests();
        let mut waiting: Vec<(Phase, u64, u64)> = guests
            .by_number
            .iter()
            .filter_map(|(number, pace)| {
                let (phase, since) = pace.phase();
                matches!(phase, Phase::Idle | Phase::Head).then_some((phase, since, *number))
            })
            .collect();
        let going = (waiting.len() / 8).clamp(1, 32).min(waiting.len());
        waiting.sort_unstable();
        for (_, _, number) in &waiting[..going] {
            if let Some(pace) = guests.by_number.get(number) {
                pace.evicted.notify_one();
            }
        }
        going
    }

    /// How many are in.
    pub(super) fn len(&self) -> usize {
        self.guests().by_number.len()
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        // Nothing in here panics half-way through a change.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.house.guests().by_number.remove(&self.number);
        self.house.counts.add_closed();
    }
}
