//! The counts of the probes that are asked about, and of those that nobody asks about any more.
//!
//! Holds one row for each probe from its start until it is forgotten, so that a world which answers
//! questions for ever does not grow with them. Refuses to decide when a probe may be forgotten: that
//! is [`Sim::forget`](super::Sim::forget).

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};

use super::traffic::{Datagrams, ProbeId, ProbeTally};

/// A probe.
#[derive(Clone, Debug, Default)]
pub(super) struct Probe {
    pub(super) datagrams: Datagrams,
    pub(super) tally: ProbeTally,
    /// The rows of its sources.
    pub(super) sources: Vec<u32>,
    /// Nobody asks about it any more.
    is_forgotten: bool,
}

/// Every probe that is not forgotten, and one that stands for all others.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// How many were forgotten before the first of those that are kept.
    gone: usize,
    kept: VecDeque<Probe>,
    /// Where what is left of a forgotten one is counted: a fragment of a packet whose fate was
    /// another fragment's.
    others: Probe,
}

impl Probes {
    /// The id of the next one.
    pub(super) fn next(&self) -> ProbeId {
        ProbeId::numbered(self.gone + self.kept.len())
    }

    /// Adds the next one.
    pub(super) fn push(&mut self, datagrams: Datagrams, tally: ProbeTally, sources: Vec<u32>) {
        self.kept.push_back(Probe { datagrams, tally, sources, is_forgotten: false });
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Forgets one. Those between two that are kept take a row until the first of them is forgotten.
    pub(super) fn forget(&mut self, probe: ProbeId) -> Probe {
        let Some(row) = self.row(probe) else { return Probe::default() };
        let empty = Probe { is_forgotten: true, ..Probe::default() };
        let forgotten = std::mem::replace(&mut self.kept[row], empty);
        while self.kept.front().is_some_and(|first| first.is_forgotten) {
            self.kept.pop_front();
            self.gone += 1;
        }
        forgotten
    }

    #[inline]
    fn row(&self, probe: ProbeId) -> Option<usize> {
        let row = probe.number().checked_sub(self.gone)?;
        (row < self.kept.len()).then_some(row)
    }
}

impl Index<ProbeId> for Probes {
    type Output = Probe;

    #[inline]
    fn index(&self, probe: ProbeId) -> &Probe {
        match self.row(probe) {
            Some(row) => &self.kept[row],
            None => &self.others,
        }
    }
}

impl IndexMut<ProbeId> for Probes {
    #[inline]
    fn index_mut(&mut self, probe: ProbeId) -> &mut Probe {
        match self.row(probe) {
            Some(row) => &mut self.kept[row],
            None => &mut self.others,
        }
    }
}
