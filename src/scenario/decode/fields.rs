//! The keys of a mapping, as the decoder asks for them.
//!
//! In tests it is written down which keys of the format are ever asked for: a key in the table that
//! the decoder forgets would be accepted and do nothing.

use crate::scenario::shape::{Field, Mapping};
use crate::scenario::yaml::{Entry, Node, Value};

/// A mapping of a file beside its row in the table.
pub(super) struct Fields<'n> {
    mapping: &'static Mapping,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The fields of `node`; none if it is no mapping, which shape has complained about.
    pub(super) fn of(node: &'n Node, mapping: &'static Mapping) -> Fields<'n> {
        match &node.value {
            Value::Mapping(entries) => Fields { mapping, entries },
            _ => Fields { mapping, entries: &[] },
        }
    }

    /// Does the format give this mapping such a key?
    pub(super) fn has(&self, key: &str) -> bool {
        self.mapping.field(key).is_some()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key and its value.
    pub(super) fn entry(&self, key: &'static str) -> Option<&'n Entry> {
        debug_assert!(self.mapping.field(key).is_some(), "{key} is not in {}", self.mapping.name);
        #[cfg(test)]
        asked::note(self.mapping.name, key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The only one of the keys of which exactly one must be given; `None` if there are more or
    /// less, which shape has complained about.
    pub(super) fn one_of(&self) -> Option<(&'static Field, &'n Entry)> {
        let row = |entry: &'n Entry| {
            let field = self.mapping.one_of.iter().find(|f| f.key == entry.key)?;
            Some((field, entry))
        };
        let mut given = self.entries.iter().filter_map(row);
        let first = given.next()?;
        given.next().is_none().then_some(first)
    }
}

#[cfg(test)]
pub(super) mod asked {
    //! Which keys this thread has asked for.

    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static ASKED: RefCell<BTreeSet<(&'static str, &'static str)>> =
            const { RefCell::new(BTreeSet::new()) };
    }

    pub(in crate::scenario::decode) fn note(mapping: &'static str, key: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.insert((mapping, key)));
    }

    pub(in crate::scenario::decode) fn all() -> BTreeSet<(&'static str, &'static str)> {
        ASKED.with_borrow(Clone::clone)
    }
}
