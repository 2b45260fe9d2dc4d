//! Remembers why: walks of a probe's packets, taken down while they happen.
//!
//! Holds an observer that keeps, for each probe and leg, the first walk of every distinct ending, up
//! to a bound, so that a run of a million packets explains itself in a few lines. Refuses to count:
//! the simulator does.

use crate::base::id::{InterfaceId, InterfaceIdx};
use crate::forward::walk::Step;
use crate::forward::{Crossing, Drop, Reference};
use crate::report::names::Names;
use crate::report::told::{self, Ending, Line, Told};
use crate::sim::{Happening, Leg, Observer, ProbeId, Subject, World};
use crate::wire::{Packet, describe};

/// Distinct endings kept for one leg of one probe (ours): a reader does not want more.
const ENDINGS_MAX: usize = 16;

/// A packet that did not end as it should, with what a repair needs to know of it.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Who sent it.
    pub from: InterfaceId,
    /// The packet.
    pub packet: Packet,
    /// Who was to get it, if that is known.
    pub meant: Option<InterfaceId>,
    /// Request or answer.
    pub leg: Leg,
}

#[derive(Debug, Default)]
struct LegNotes {
    /// Endings seen, with their walks and the packets that went astray.
    endings: Vec<(EndingKey, Told, Option<Stray>)>,
}

/// What makes two endings the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum EndingKey {
    Arrived(InterfaceIdx),
    Dropped(Drop),
}

/// The observer.
#[derive(Debug, Default)]
pub struct Explainer {
    probes: Vec<[LegNotes; Leg::ALL.len()]>,
}

impl Explainer {
    /// The walks of a probe: of its requests, then of the answers, each in the order of first
    /// occurrence. With each comes the packet, if it did not end as it should.
    pub fn walks(&self, probe: ProbeId) -> impl Iterator<Item = (Leg, &Told, Option<&Stray>)> {
        let legs = self.probes.get(probe.number()).into_iter().flatten();
        legs.zip(Leg::ALL).flat_map(|(notes, leg)| {
            notes.endings.iter().map(move |(_, told, stray)| (leg, told, stray.as_ref()))
        })
    }

    /// Lets go of what was kept of a probe that has been reported.
    pub fn forget(&mut self, probe: ProbeId) {
        if let Some(legs) = self.probes.get_mut(probe.number()) {
            *legs = Default::default();
        }
    }

    /// The distinct drops of a leg, in the order of first occurrence.
    pub fn drops(&self, probe: ProbeId, leg: Leg) -> impl Iterator<Item = Drop> {
        self.endings(probe, leg).filter_map(|key| match key {
            EndingKey::Dropped(drop) => Some(drop),
            EndingKey::Arrived(_) => None,
        })
    }

    /// The distinct interfaces that a leg reached, in the order of first occurrence.
    pub fn arrivals(&self, probe: ProbeId, leg: Leg) -> impl Iterator<Item = InterfaceIdx> {
        self.endings(probe, leg).filter_map(|key| match key {
            EndingKey::Arrived(at) => Some(at),
            EndingKey::Dropped(_) => None,
        })
    }

    fn endings(&self, probe: ProbeId, leg: Leg) -> impl Iterator<Item = EndingKey> {
        let notes = self.probes.get(probe.number()).map(|legs| &legs[leg.row()]);
        notes.into_iter().flat_map(|notes| notes.endings.iter().map(|(key, ..)| *key))
    }

    fn notes(&mut self, subject: Subject) -> &mut LegNotes {
        let row = subject.probe.number();
        if self.probes.len() <= row {
            self.probes.resize_with(row + 1, Default::default);
        }
        &mut self.probes[row][subject.leg.row()]
    }
}

impl Observer for Explainer {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        let key = match what {
            Happening::Left { .. } | Happening::Relayed { .. } => return,
            Happening::Arrived { at, .. } => EndingKey::Arrived(at),
            Happening::Malformed { drop, .. }
            | Happening::NotSent { drop, .. }
            | Happening::Lost { drop, .. } => EndingKey::Dropped(drop),
        };
        // Most packets end like one before them: that is the path to keep short.
        let notes = self.notes(subject);
        if notes.endings.len() >= ENDINGS_MAX || notes.endings.iter().any(|(have, ..)| *have == key)
        {
            return;
        }
        if let Some((told, stray)) = tell(world, subject, what) {
            notes.endings.push((key, told, stray));
        }
    }
}

/// The steps of the way out, in words.
fn leaving(world: World<'_>, sender: InterfaceIdx, packet: &Packet) -> Vec<Line> {
    let mut steps: Vec<Step> = Vec::new();
    let reference = Reference::new(world.cloud, world.rows, world.now);
    // The verdict is known already; only the steps are wanted.
    let _ =
        reference.leave_recorded(sender, packet, &mut world.memory.connections.peek(), &mut steps);
    told::lines(&steps, world)
}

/// The steps by which a packet came to its crossing, in words. They are taken down when it arrives,
/// so that packets on their way cost nothing; if the network has changed in between and would not
/// take it the same way again, only the way itself is told.
fn left_by(
    world: World<'_>,
    sender: InterfaceIdx,
    packet: &Packet,
    crossing: Crossing,
) -> Vec<Line> {
    let reference = Reference::new(world.cloud, world.rows, world.now);
    let memory = &mut world.memory.connections.peek();
    if reference.leave_recorded(sender, packet, memory, &mut ()) == Ok(crossing) {
        return leaving(world, sender, packet);
    }
    let subject = Names(world.cloud).location(world.rows.locate(crossing.bottleneck()));
    vec![Line { subject, finding: "took the packet when it left, and would not now".to_owned() }]
}

/// As [`left_by`]; of a notice nothing, because it left no interface.
fn way_out(
    world: World<'_>,
    subject: Subject,
    sender: InterfaceIdx,
    packet: &Packet,
    crossing: Crossing,
) -> Vec<Line> {
    match subject.leg {
        Leg::Notice => Vec::new(),
        Leg::Request | Leg::Answer => left_by(world, sender, packet, crossing),
    }
}

/// The walk that ended with this happening; nothing for a packet that is on its way.
fn tell(world: World<'_>, subject: Subject, what: Happening<'_>) -> Option<(Told, Option<Stray>)> {
    let names = Names(world.cloud);
    let sender = match subject.leg {
        Leg::Notice => "the router".to_owned(),
        Leg::Request | Leg::Answer => names.interface(world.rows.interface_id(subject.sender)),
    };
    let stray = |packet: &Packet| {
        // No interface can send a notice once more.
        (subject.leg != Leg::Notice).then(|| Stray {
            from: world.rows.interface_id(subject.sender),
            packet: packet.clone(),
            meant: subject.meant.map(|row| world.rows.interface_id(row)),
            leg: subject.leg,
        })
    };
    Some(match what {
        Happening::Left { .. } | Happening::Relayed { .. } => return None,
        Happening::Malformed { bytes, drop, wrong } => {
            let lines = vec![Line { subject: sender.clone(), finding: wrong.to_string() }];
            let (packet, ending) = (describe(bytes), Ending::dropped(drop, world));
            (Told { at: world.now, sender, packet, ending, lines, repair: Vec::new() }, None)
        }
        Happening::NotSent { packet, from, drop } => {
            let lines = leaving(world, from, packet);
            let (text, ending) = (told::packet(packet), Ending::dropped(drop, world));
            (
                Told { at: world.now, sender, packet: text, ending, lines, repair: Vec::new() },
                stray(packet),
            )
        }
        Happening::Lost { packet, sent, from, drop, crossing, left } => {
            let mut lines = way_out(world, subject, from, sent, crossing);
            match told::link_line(drop, world) {
                Some(line) => lines.push(line),
                None => lines.extend(entering(world, crossing, packet)),
            }
            let (text, ending) = (told::packet(packet), Ending::dropped(drop, world));
            (
                Told { at: left, sender, packet: text, ending, lines, repair: Vec::new() },
                stray(packet),
            )
        }
        Happening::Arrived { packet, sent, at, from, crossing, left } => {
            let mut lines = way_out(world, subject, from, sent, crossing);
            lines.extend(entering(world, crossing, packet));
            let host = names.interface(world.rows.interface_id(at));
            let astray = subject.meant.is_some_and(|meant| meant != at);
            let ending = match astray {
                true => Ending::Misdelivered { at: host },
                false => Ending::Delivered { at: host },
            };
            let told = Told {
                at: left,
                sender,
                packet: told::packet(packet),
                ending,
                lines,
                repair: Vec::new(),
            };
            (told, if astray { stray(packet) } else { None })
        }
    })
}

/// The steps of the way in, in words.
fn entering(world: World<'_>, crossing: Crossing, packet: &Packet) -> Vec<Line> {
    let mut steps: Vec<Step> = Vec::new();
    let reference = Reference::new(world.cloud, world.rows, world.now);
    // The verdict is known already; only the steps are wanted.
    let _ = reference.enter_recorded(
        crossing,
        packet,
        &mut world.memory.connections.peek(),
        &mut steps,
    );
    told::lines(&steps, world)
}
