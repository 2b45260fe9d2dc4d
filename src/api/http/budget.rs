//! Bytes that all connections hold together.
//!
//! Holds the account book. Refuses to wait: what does not fit is refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// How many bytes may be held, and are.
#[derive(Debug)]
pub(super) struct Budget {
    held: AtomicUsize,
    most: usize,
}

/// Some bytes of a budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Budget> {
        Arc::new(Budget { held: AtomicUsize::new(0), most })
    }

    /// No bytes yet.
    pub(super) fn share(self: &Arc<Budget>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

impl Share {
    /// Takes more. Refused if all would hold more than allowed; but whoever is alone gets what it wants,
    /// or a budget smaller than one answer would forbid that answer for ever.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let before = self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        if before > self.bytes && before.saturating_add(bytes) > self.budget.most {
            self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(OverBudget);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Takes more, whatever the others hold.
    pub(super) fn grow_anyway(&mut self, bytes: usize) {
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// The same bytes, which give their share back when the last copy of them is gone.
    pub(super) fn around(self, bytes: Bytes) -> Bytes {
        struct Held {
            bytes: Bytes,
            _share: Share,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
        Bytes::from_owner(Held { bytes, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// All together would hold more than allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OverBudget;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let budget = Budget::new(10);
        let mut first = budget.share();
        let mut second = budget.share();
        assert_eq!(first.grow(6), Ok(()));
        assert_eq!(second.grow(5), Err(OverBudget));
        assert_eq!(second.grow(4), Ok(()));
        second.grow_anyway(100);
        assert_eq!(first.grow(1), Err(OverBudget));
        drop(second);
        assert_eq!(first.grow(4), Ok(()), "and exactly to the limit");
        let bytes = first.around(Bytes::from_static(b"ten bytes"));
        let copy = bytes.slice(4..);
        drop(bytes);
        assert_eq!(budget.held.load(Ordering::Relaxed), 10);
        drop(copy);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_alone_gets_it() {
        let budget = Budget::new(10);
        let mut alone = budget.share();
        assert_eq!(alone.grow(11), Ok(()));
        assert_eq!(alone.grow(11), Ok(()));
        assert_eq!(budget.share().grow(1), Err(OverBudget));
    }
}
