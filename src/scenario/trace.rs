//! One packet through the network of a file, there and back: what `vpclab trace` shows.
//!
//! Holds the question in the words of a file. Refuses to walk: `forward::round_trip` does, and
//! `report::trace` tells it.

use std::net::SocketAddr;

use super::ast::{Destination, Label};
use super::near::nearest;
use super::run::Built;
use super::stage::{Labels, Trouble};
use crate::forward::repair::Ground;
pub use crate::forward::round_trip::Passed;
use crate::forward::round_trip::round_trip;
use crate::report::outcome::LegWalk;
use crate::report::trace::walks;
use crate::sim::World;
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
    let World { cloud, rows, memory, now } = world;
    let serves = |at, port| stage.sim.serves(at, port);
    let trip =
        round_trip(Ground { cloud, rows, memory, now }, known.interface, &packet, meant, serves)
            .ok_or_else(|| NoAnswer(format!("{} does not exist any more", known.interface)))?;
    Ok(Traced { walks: walks(&trip, world), passed: trip.passed })
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

#[cfg(test)]
mod tests;
