//! Remembers why: walks of a probe's packets, taken down while they happen.
//!
//! Holds an observer that keeps, for each probe and leg, the first walk of every distinct ending, up
//! to a bound, so that a run of a million packets explains itself in a few lines. Refuses to count:
//! the simulator does.

use crate::base::id::{InterfaceId, InterfaceIdx};
use crate::base::time::Instant;
use crate::forward::repair::Fault;
use crate::forward::walk::Step;
use crate::forward::{Crossing, Drop, Location, Reference};
use crate::report::names::Names;
use crate::report::remedy::Remedy;
use crate::report::told::{self, Ending, Line, Told};
use crate::sim::{Happening, Leg, Observer, ProbeId, Subject, World};
use crate::wire::{Packet, describe};

/// Distinct endings kept for one leg of one probe (ours): a reader does not want more.
const ENDINGS_MAX: usize = 16;

/// Pairs of hosts of one probe whose first question is kept (ours): hardly any probe has more.
const ASKED_MAX: usize = 16;

/// How much of a packet's way is known of one that went astray.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stretch {
    /// All of it.
    Whole,
    /// From the last middlebox on; what its sender sent is not kept.
    FromMiddlebox,
}

/// A packet that did not end as it should, with what a repair needs to know of it.
#[derive(Clone, Debug)]
pub struct Stray {
    /// Who sent it: its sender, or the middlebox that sent it on last.
    pub from: InterfaceId,
    /// Which of the two.
    pub stretch: Stretch,
    /// The packet, as it left there.
    pub packet: Packet,
    /// Who was to get it, if that is known.
    pub meant: Option<InterfaceId>,
    /// Request or answer.
    pub leg: Leg,
    /// What became of it.
    pub fault: Fault,
    /// When.
    pub at: Instant,
    /// The first question of the same two hosts, if it is kept.
    pub asked: Option<Asked>,
}

/// A request as its sender sent it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The sender.
    pub from: InterfaceId,
    /// Who was to get it, if that is known.
    pub meant: Option<InterfaceId>,
    /// The packet.
    pub packet: Packet,
}

/// What is kept of a probe.
#[derive(Debug, Default)]
struct Notes {
    /// The first question of each pair of hosts: who sent it, for whom.
    asked: Vec<(InterfaceIdx, Option<InterfaceIdx>, Packet)>,
    legs: [Vec<Noted>; Leg::ALL.len()],
}

/// An ending that was seen, with its walk.
#[derive(Debug)]
struct Noted {
    key: EndingKey,
    told: Told,
    /// The packet, if it went astray and nobody has looked for a repair.
    stray: Option<Stray>,
}

/// What makes two endings the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum EndingKey {
    Arrived(InterfaceIdx),
    /// As the answer of somebody who was not asked.
    OtherSource(InterfaceIdx),
    Dropped(Drop),
}

/// The observer.
#[derive(Debug, Default)]
pub struct Explainer {
    probes: Vec<Notes>,
}

impl Explainer {
    /// The walks of a probe: of its requests, then of the answers, each in the order of first
    /// occurrence. With each comes the packet, if it did not end as it should.
    pub fn walks(&self, probe: ProbeId) -> impl Iterator<Item = (Leg, &Told, Option<&Stray>)> {
        let legs = self.probes.get(probe.number()).into_iter().flat_map(|notes| &notes.legs);
        legs.zip(Leg::ALL).flat_map(|(noted, leg)| {
            noted.iter().map(move |noted| (leg, &noted.told, noted.stray.as_ref()))
        })
    }

    /// Looks for the repairs of a probe's packets that went astray since this was done last, as long
    /// as the network is the one in which they did. Of what has `most` repairs before it, none.
    pub fn settle(&mut self, probe: ProbeId, most: usize, repair: impl Fn(&Stray) -> Remedy) {
        let notes = self.probes.get_mut(probe.number());
        let noted = notes.into_iter().flat_map(|notes| notes.legs.iter_mut().flatten());
        let mut astray = 0;
        for noted in noted.filter(|noted| !matches!(noted.key, EndingKey::Arrived(_))) {
            astray += 1;
            if let Some(stray) = noted.stray.take()
                && astray <= most
            {
                noted.told.remedy = repair(&stray);
            }
        }
    }

    /// Lets go of what was kept of a probe that has been reported.
    pub fn forget(&mut self, probe: ProbeId) {
        if let Some(notes) = self.probes.get_mut(probe.number()) {
            *notes = Notes::default();
        }
    }

    /// The distinct drops of a leg, in the order of first occurrence.
    pub fn drops(&self, probe: ProbeId, leg: Leg) -> impl Iterator<Item = Drop> {
        self.endings(probe, leg).filter_map(|key| match key {
            EndingKey::Dropped(drop) => Some(drop),
            EndingKey::Arrived(_) | EndingKey::OtherSource(_) => None,
        })
    }

    /// The distinct interfaces that a leg reached, in the order of first occurrence.
    pub fn arrivals(&self, probe: ProbeId, leg: Leg) -> impl Iterator<Item = InterfaceIdx> {
        self.endings(probe, leg).filter_map(|key| match key {
            EndingKey::Arrived(at) | EndingKey::OtherSource(at) => Some(at),
            EndingKey::Dropped(_) => None,
        })
    }

    fn endings(&self, probe: ProbeId, leg: Leg) -> impl Iterator<Item = EndingKey> {
        let noted = self.probes.get(probe.number()).map(|notes| &notes.legs[leg.row()]);
        noted.into_iter().flat_map(|noted| noted.iter().map(|noted| noted.key))
    }

    fn notes(&mut self, subject: Subject) -> &mut Notes {
        let row = subject.probe.number();
        if self.probes.len() <= row {
            self.probes.resize_with(row + 1, Default::default);
        }
        &mut self.probes[row]
    }
}

impl Notes {
    /// Keeps a request that is the first of its two hosts.
    fn keep(&mut self, subject: Subject, packet: &Packet) {
        let Subject { sender, meant, .. } = subject;
        let is_known =
            |asked: &[_]| asked.iter().any(|(from, to, _)| (*from, *to) == (sender, meant));
        if self.asked.len() < ASKED_MAX && !is_known(&self.asked) {
            self.asked.push((sender, meant, packet.clone()));
        }
    }

    /// The question that this packet is, or answers.
    fn asked(&self, subject: Subject) -> Option<&(InterfaceIdx, Option<InterfaceIdx>, Packet)> {
        self.asked.iter().find(|(from, to, _)| match subject.leg {
            Leg::Request => (*from, *to) == (subject.sender, subject.meant),
            Leg::Answer => Some(*from) == subject.meant && to.is_none_or(|to| to == subject.sender),
            Leg::Notice => false,
        })
    }

    /// What makes the end of this packet another than that of others; `None` if it is on its way.
    fn key(&self, subject: Subject, what: Happening<'_>) -> Option<EndingKey> {
        Some(match what {
            Happening::Left { .. } | Happening::Relayed { .. } => return None,
            // Nobody but a middlebox makes an answer another one's. Whose it should be is known if all
            // questions of the two hosts are alike, as they are where it is said who is asked.
            Happening::Arrived { packet, at, from, .. }
                if subject.leg == Leg::Answer && from != subject.sender =>
            {
                match self.asked(subject) {
                    Some((_, Some(_), question)) if packet.source() != question.destination() => {
                        EndingKey::OtherSource(at)
                    }
                    _ => EndingKey::Arrived(at),
                }
            }
            Happening::Arrived { at, .. } => EndingKey::Arrived(at),
            Happening::Malformed { drop, .. }
            | Happening::NotSent { drop, .. }
            | Happening::Lost { drop, .. } => EndingKey::Dropped(drop),
        })
    }
}

impl Observer for Explainer {
    fn see(&mut self, world: World<'_>, subject: Subject, what: Happening<'_>) {
        let notes = self.notes(subject);
        if let Happening::Left { packet, from, .. } = what
            && subject.leg == Leg::Request
            && from == subject.sender
        {
            return notes.keep(subject, packet);
        }
        let Some(key) = notes.key(subject, what) else { return };
        // Most packets end like one before them: that is the path to keep short.
        let noted = &notes.legs[subject.leg.row()];
        if noted.len() >= ENDINGS_MAX || noted.iter().any(|noted| noted.key == key) {
            return;
        }
        let asked = notes.asked(subject);
        if let Some((told, stray)) = tell(world, subject, what, key, asked) {
            notes.legs[subject.leg.row()].push(Noted { key, told, stray });
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

/// The walk of a packet that ends with this happening, in words, without a search for a repair;
/// `None` of one that is on its way. For those who watch a network on which nobody waits for an end.
/// Costs a walk by the reference, microseconds in a network of any size.
pub fn one(world: World<'_>, subject: Subject, what: Happening<'_>) -> Option<Told> {
    let notes = Notes::default();
    let key = notes.key(subject, what)?;
    tell(world, subject, what, key, None).map(|(told, _)| told)
}

/// The walk that ended with this happening; nothing for a packet that is on its way.
fn tell(
    world: World<'_>,
    subject: Subject,
    what: Happening<'_>,
    key: EndingKey,
    asked: Option<&(InterfaceIdx, Option<InterfaceIdx>, Packet)>,
) -> Option<(Told, Option<Stray>)> {
    let names = Names(world.cloud);
    let sender = match subject.leg {
        Leg::Notice => "the router".to_owned(),
        Leg::Request | Leg::Answer => names.interface(world.rows.interface_id(subject.sender)),
    };
    let id = |row: InterfaceIdx| world.rows.interface_id(row);
    let stray = |from: InterfaceIdx, packet: &Packet, fault: Fault| {
        let stretch = match from == subject.sender {
            true => Stretch::Whole,
            false => Stretch::FromMiddlebox,
        };
        // No interface can send a notice once more.
        (subject.leg != Leg::Notice).then(|| Stray {
            from: id(from),
            stretch,
            packet: packet.clone(),
            meant: subject.meant.map(id),
            leg: subject.leg,
            fault,
            at: world.now,
            asked: asked.map(|(from, meant, packet)| Asked {
                from: id(*from),
                meant: meant.map(id),
                packet: packet.clone(),
            }),
        })
    };
    let dropped = |drop: Drop| Fault::Dropped(drop.reason, world.rows.locate(drop.at));
    Some(match what {
        Happening::Left { .. } | Happening::Relayed { .. } => return None,
        Happening::Malformed { bytes, drop, wrong } => {
            let lines = vec![Line { subject: sender.clone(), finding: wrong.to_string() }];
            let (packet, ending) = (describe(bytes), Ending::dropped(drop, world));
            (Told { at: world.now, sender, packet, ending, lines, remedy: Remedy::default() }, None)
        }
        Happening::NotSent { packet, from, drop } => {
            let lines = leaving(world, from, packet);
            let (text, ending) = (told::packet(packet), Ending::dropped(drop, world));
            (
                Told {
                    at: world.now,
                    sender,
                    packet: text,
                    ending,
                    lines,
                    remedy: Remedy::default(),
                },
                stray(from, packet, dropped(drop)),
            )
        }
        Happening::Lost { packet, sent, from, drop, crossing, left } => {
            let mut lines = way_out(world, subject, from, sent, crossing);
            match told::link_line(drop, world) {
                Some(line) => lines.push(line),
                None => {
                    lines.extend(entering(world, crossing, packet));
                    lines.extend(told::relay_line(drop, world));
                }
            }
            let (text, ending) = (told::packet(packet), Ending::dropped(drop, world));
            (
                Told { at: left, sender, packet: text, ending, lines, remedy: Remedy::default() },
                stray(from, sent, dropped(drop)),
            )
        }
        Happening::Arrived { packet, sent, at, from, crossing, left } => {
            let mut lines = way_out(world, subject, from, sent, crossing);
            lines.extend(entering(world, crossing, packet));
            if let (EndingKey::OtherSource(_), Some((.., question))) = (key, asked) {
                lines.push(told::other_source(packet, question));
            }
            let host = names.interface(id(at));
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
                remedy: Remedy::default(),
            };
            let fault = match key {
                EndingKey::OtherSource(_) => {
                    Some(Fault::OtherSource(Location::Interface(id(from))))
                }
                _ => astray.then_some(Fault::OtherHost(id(at))),
            };
            (told, fault.and_then(|fault| stray(from, sent, fault)))
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
