//! One packet through the network of a file, there and back: what `vpclab trace` shows.
//!
//! Holds the question and the two walks. Where nobody listens, the answer is a reset. An answer has passed if it comes from the address and port
//! that were asked, whatever the protocol: nobody else's is taken for it. No time passes and no link is asked: what is told is where
//! the network's configuration leads the packet.

use std::net::SocketAddr;

use super::ast::{Destination, Label};
use super::near::nearest;
use super::run::Built;
use super::stage::{Labels, Trouble};
use crate::base::id::InterfaceId;
use crate::forward::repair::{Ground, Intent, Ways, answers, diagnose};
use crate::forward::walk::{End, Walk};
use crate::forward::{Memory, Reference, walk};
use crate::report::names::Names;
use crate::report::outcome::LegWalk;
use crate::report::remedy::Remedy;
use crate::report::told::{self, Ending, Line, Told};
use crate::sim::{Leg, World};
use crate::wire::build::{self, BuildError};
use crate::wire::{EchoKind, Family, Packet, TcpFlags};

/// What the packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrying {
    /// An ICMP echo request.
    Echo,
    /// A UDP datagram to this port.
    Udp(u16),
    /// A TCP SYN to this port.
    Tcp(u16),
}

/// The question.
#[derive(Clone, PartialEq, Debug)]
pub struct Question {
    /// The instance that sends.
    pub from: Label,
    /// Where to.
    pub to: Destination,
    /// The family, if `to` is an instance.
    pub family: Option<Family>,
    /// What.
    pub carrying: Carrying,
    /// Bytes of payload, if not the usual.
    pub payload: Option<u16>,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traced {
    /// The walk there, and the walk back if there is one.
    pub walks: Vec<LegWalk>,
    /// Whether both passed.
    pub passed: Passed,
}

/// Whether packet and answer passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// Both did.
    Both,
    /// One of them did not, or reached another host, or the answer came from another one.
    No,
}

/// A question that cannot be asked of this network.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(String);

impl NoAnswer {
    /// Trouble with the question, and for a label that is nobody's the one that was probably meant.
    fn new(labels: &Labels, trouble: &Trouble) -> NoAnswer {
        let Trouble::Absent { kind, label } = trouble else {
            return NoAnswer(trouble.to_string());
        };
        let near =
            nearest(label, labels.instances.keys().chain(labels.vpcs.keys()).map(|l| l.as_str()));
        let meant = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        NoAnswer(format!("there is no {kind} `{label}` in the file{meant}"))
    }
}

/// The source port of the packets.
const SOURCE_PORT: u16 = 40_000;

/// Walks a packet through the network as it is declared, at virtual zero.
///
/// # Errors
/// If a label means nothing or the packet cannot be built.
pub fn trace(built: &mut Built, question: &Question) -> Result<Traced, NoAnswer> {
    built.stage.sim.look_around();
    let stage = &built.stage;
    let wrong = |trouble: Trouble| NoAnswer::new(&stage.labels, &trouble);
    let known = stage.host(&question.from).map_err(wrong)?;
    let (to, meant) = stage.destination(&question.to, question.family).map_err(wrong)?;
    let source = stage.source_address(&question.from, &known, to).map_err(wrong)?;
    let packet = request(question, (source, SOURCE_PORT).into(), to)
        .map_err(|error| NoAnswer(error.to_string()))?;
    let world = stage.sim.world();
    let mut memory = world.memory.clone();
    let there = walk(world, known.interface, &packet, &mut memory)?;
    let mut walks = vec![leg(world, Leg::Request, known.interface, &packet, &there, meant)];
    let arrived = match there.end {
        End::Delivered(at) if meant.is_none_or(|meant| meant == at) => Some(at),
        _ => None,
    };
    let mut passed = Passed::No;
    // A host that takes packets for others does not answer for them.
    let own = there.packet.destination();
    let owns = |at: &InterfaceId| {
        let inside = world.cloud.interface(*at).is_some_and(|i| i.owns(own));
        inside || world.cloud.outside_host(*at).is_some_and(|host| host.owns(own))
    };
    let answering = arrived.filter(owns);
    // The port that nobody listens on, if there is one.
    let unserved = match question.carrying {
        Carrying::Tcp(port) => answering.filter(|at| !stage.sim.serves(*at, port)).map(|_| port),
        Carrying::Echo | Carrying::Udp(_) => None,
    };
    let answer = match unserved {
        Some(_) => build::tcp_reset(&there.packet),
        None => build::answer(&there.packet),
    };
    if let (Some(at), Some(answer)) = (answering, answer) {
        let back = walk(world, at, &answer, &mut memory)?;
        let mut walk = leg(world, Leg::Answer, at, &answer, &back, Some(known.interface));
        if let Some(port) = unserved {
            let subject = walk.told.sender.clone();
            let finding = format!("does not listen on port {port} and answers with a reset");
            walk.told.lines.insert(0, Line { subject, finding });
        }
        if back.end == End::Delivered(known.interface) {
            match answers(&back.packet, &packet) {
                true => passed = Passed::Both,
                false => walk.told.lines.push(told::other_source(&back.packet, &packet)),
            }
        }
        walks.push(walk);
    }
    let intent = Intent { from: known.interface, packet: &packet, meant, ways: Ways::ThereAndBack };
    let World { cloud, rows, memory, now, .. } = world;
    let found = diagnose(Ground { cloud, rows, memory, now }, intent);
    // The last walk is the one that did not end as it should, if any did not.
    if let Some(last) = walks.last_mut() {
        last.told.remedy = Remedy::of(&found, world);
    }
    Ok(Traced { walks, passed })
}

/// As much as `ping` sends.
const ECHO_PAYLOAD: u16 = 56;

fn request(
    question: &Question,
    source: SocketAddr,
    to: std::net::IpAddr,
) -> Result<Packet, BuildError> {
    let payload = |usual: u16| vec![0; usize::from(question.payload.unwrap_or(usual))];
    match question.carrying {
        Carrying::Echo => {
            build::echo(EchoKind::Request, source.ip(), to, 1, 1, &payload(ECHO_PAYLOAD))
        }
        Carrying::Udp(port) => build::udp(source, (to, port).into(), &payload(0)),
        Carrying::Tcp(port) => build::tcp(source, (to, port).into(), TcpFlags::SYN, 1, 0, &[]),
    }
}

fn walk(
    world: World<'_>,
    from: InterfaceId,
    packet: &Packet,
    memory: &mut Memory,
) -> Result<Walk, NoAnswer> {
    let row = world.rows.interface(from);
    let row = row.ok_or_else(|| NoAnswer(format!("{from} does not exist any more")))?;
    Ok(Reference::new(world.cloud, world.rows, world.now).walk(row, packet, memory))
}

fn leg(
    world: World<'_>,
    leg: Leg,
    from: InterfaceId,
    packet: &Packet,
    walk: &walk::Walk,
    meant: Option<InterfaceId>,
) -> LegWalk {
    let names = Names(world.cloud);
    let ending = match walk.end {
        End::Delivered(at) if meant.is_some_and(|meant| meant != at) => {
            Ending::Misdelivered { at: names.interface(at) }
        }
        End::Delivered(at) => Ending::Delivered { at: names.interface(at) },
        End::Dropped(reason, at) => Ending::Dropped {
            reason: reason.label(),
            aws_code: reason.aws_code(),
            at: names.location(at),
        },
    };
    let told = Told {
        at: world.now,
        sender: names.interface(from),
        packet: told::packet(packet),
        ending,
        lines: told::lines(&walk.steps, world),
        remedy: Remedy::default(),
    };
    LegWalk { leg, told }
}

#[cfg(test)]
mod tests;
