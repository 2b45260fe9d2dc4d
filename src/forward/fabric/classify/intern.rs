//! Finding what is already there, without a second copy of it.
//!
//! Holds hashes and rows. Refuses to hold the values: whoever asks compares.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

/// The hash of a value, the same in every run.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Rows by the hash of what they hold. Of two values with one hash only the first is found again:
/// the second is then stored once more, which costs memory and changes no answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Interned(FxHashMap<u64, u32>);

/// The hash of a value that was not found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacant(u64);

impl Interned {
    /// The row of the value with this hash, if `is_it` says so of the row.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(usize) -> bool) -> Result<u32, Vacant> {
        let known = self.0.get(&hash).copied().filter(|row| is_it(*row as usize));
        known.ok_or(Vacant(hash))
    }

    /// From now on the value is found in `row`, which is returned in the width of a cell's field.
    pub(super) fn add(&mut self, vacant: Vacant, row: usize) -> u32 {
        // Rows are at least a line long, so memory ends first.
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        self.0.entry(vacant.0).or_insert(row);
        row
    }

    /// The value with this hash is in `row` no more.
    pub(super) fn remove(&mut self, hash: u64, row: u32) {
        if self.0.get(&hash) == Some(&row) {
            self.0.remove(&hash);
        }
    }
}
