//! Judging before the time: only what leaves no trace that a packet in between could meet.
//!
//! Holds [`Ahead`], the memory for a run of packets that are judged before the first of them is told
//! about. Refuses whatever would open, end or deny a connection: the run ends before it.

use super::{Connections, Judgement, Tracking, Word, is_reset, opens};
use crate::base::id::InterfaceIdx;
use crate::cloud::filter::Direction;
use crate::wire::Packet;

/// Memory that answers as [`Connections`] does and takes note of known connections that are heard of
/// again; [`Peek`](super::Peek) cannot tell whether it has done so yet. The first packet that would
/// change more finds it [`Judgement::Full`], and so does every one after it: these have not been
/// judged.
#[derive(Debug)]
pub(crate) struct Ahead<'m> {
    memory: &'m mut Connections,
    /// By interface: is what happens to a packet there part of another one's judgement?
    relays: &'m [bool],
    has_ended: bool,
}

impl Connections {
    /// The memory for a run of packets. `relays` says by interface who sends on what it gets: nothing
    /// is let in there.
    pub(crate) fn ahead<'m>(&'m mut self, relays: &'m [bool]) -> Ahead<'m> {
        Ahead { memory: self, relays, has_ended: false }
    }
}

impl Ahead<'_> {
    fn relays(&self, at: InterfaceIdx) -> bool {
        self.relays.get(at.row()).is_some_and(|relays| *relays)
    }

    fn end(&mut self) -> Judgement {
        self.has_ended = true;
        Judgement::Full
    }
}

impl Tracking for Ahead<'_> {
    fn judge(
        &mut self,
        at: InterfaceIdx,
        direction: Direction,
        packet: &Packet,
        rules: impl FnOnce() -> Word,
    ) -> Judgement {
        let sent_on = direction == Direction::Ingress && self.relays(at);
        if self.has_ended || sent_on || packet.is_fragment() || is_reset(packet) {
            return self.end();
        }
        if let Some(judgement) = self.memory.remembered(at, direction, packet) {
            if let Judgement::ByConnection(_) = judgement {
                self.memory.hear(at, direction, packet);
            }
            return judgement;
        }
        match rules() {
            Word::Refused => Judgement::Refused,
            Word::Tracked if opens(packet) => self.end(),
            Word::Tracked | Word::Untracked => Judgement::ByRule,
        }
    }

    #[inline]
    fn is_blank(&self, at: InterfaceIdx) -> bool {
        self.memory.is_blank(at) && !self.relays(at)
    }
}
