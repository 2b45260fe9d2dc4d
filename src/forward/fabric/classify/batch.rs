//! Many decisions at once, stage by stage.
//!
//! Holds the stages: all packets look at their filter, then all at the first lines that their decision
//! leads to, and so on; only then does each decide, one by one. The first stages do little but load,
//! so the processor waits for some dozens of lines of the cache at a time, where decisions one after
//! another let it see five or ten. Refuses to decide by itself.

use std::hint::black_box;

use super::arena::Indexed;
use super::cell::{Bits, Cell, Kind, TRACKED, word};
use super::probe::Probe;
use super::{AclFilterIdx, Classifiers, FilterIdx};
use crate::cloud::filter::Direction;
use crate::forward::connections::Word;
use crate::forward::gate::Origin;

/// Packets that are loaded for together: more than can be waited for at a time.
const STEP: usize = 64;

/// One question of a batch: by which filter, over which packet.
trait Question<A> {
    fn filter(&self) -> u32;
    fn probe(&self) -> &Probe<A>;
    fn origin(&self) -> Origin;
}

impl<A> Question<A> for (FilterIdx, Probe<A>, Origin) {
    fn filter(&self) -> u32 {
        self.0.0
    }
    fn probe(&self) -> &Probe<A> {
        &self.1
    }
    fn origin(&self) -> Origin {
        self.2
    }
}

impl<A> Question<A> for (AclFilterIdx, Probe<A>) {
    fn filter(&self) -> u32 {
        self.0.0
    }
    fn probe(&self) -> &Probe<A> {
        &self.1
    }
    fn origin(&self) -> Origin {
        Origin::Own
    }
}

impl Classifiers {
    /// What the groups say of each packet: as many times [`Classifiers::groups_v4`], but memory is
    /// waited for once. Questions without room for an answer stay without.
    pub fn groups_all_v4(
        &self,
        direction: Direction,
        questions: &[(FilterIdx, Probe<u32>, Origin)],
        words: &mut [Word],
    ) {
        self.say_all(direction, questions, words, word);
    }

    /// As [`Classifiers::groups_all_v4`], over IPv6.
    pub fn groups_all_v6(
        &self,
        direction: Direction,
        questions: &[(FilterIdx, Probe<u128>, Origin)],
        words: &mut [Word],
    ) {
        self.say_all(direction, questions, words, word);
    }

    /// Whether an ACL lets each packet pass: as many times [`Classifiers::acl_v4`], but memory is waited
    /// for once. Questions without room for an answer stay without.
    pub fn acl_all_v4(
        &self,
        direction: Direction,
        questions: &[(AclFilterIdx, Probe<u32>)],
        passes: &mut [bool],
    ) {
        self.say_all(direction, questions, passes, |bits| bits == TRACKED);
    }

    /// As [`Classifiers::acl_all_v4`], over IPv6.
    pub fn acl_all_v6(
        &self,
        direction: Direction,
        questions: &[(AclFilterIdx, Probe<u128>)],
        passes: &mut [bool],
    ) {
        self.say_all(direction, questions, passes, |bits| bits == TRACKED);
    }

    #[inline]
    fn say_all<A: Indexed, T>(
        &self,
        direction: Direction,
        questions: &[impl Question<A>],
        answers: &mut [T],
        answer: impl Fn(Bits) -> T,
    ) {
        for (questions, answers) in questions.chunks(STEP).zip(answers.chunks_mut(STEP)) {
            let mut cells = [Cell::REFUSED; STEP];
            let mut further = 0;
            for (cell, question) in cells.iter_mut().zip(questions) {
                *cell = self.cell(question.filter(), direction, question.probe());
                further += usize::from(!cell.is(Kind::Stretch));
            }
            if further > 0 {
                self.load(direction, questions, &cells);
            }
            for ((answer_to, question), cell) in answers.iter_mut().zip(questions).zip(cells) {
                let (probe, origin) = (question.probe(), question.origin());
                *answer_to = answer(self.say_from(cell, direction, probe, origin));
            }
        }
    }

    /// Asks for what the decisions lead to, as far as it is known without deciding.
    #[inline]
    fn load<A: Indexed>(
        &self,
        direction: Direction,
        questions: &[impl Question<A>],
        cells: &[Cell; STEP],
    ) {
        let (mut loaded, mut trees) = (0, 0);
        for cell in cells {
            loaded ^= self.arena.load(*cell);
            trees |= cell.depth_ahead();
        }
        if trees > 0 {
            for (cell, question) in cells.iter().zip(questions) {
                if cell.depth_ahead() > 0 {
                    let far = question.probe().far(direction);
                    loaded ^= far.load_child(&self.arena, *cell);
                }
            }
        }
        // Nobody needs the sum; it keeps the loads from being left out.
        black_box(loaded);
    }
}
