//! Packets that people send through a server's network, and what came of them.
//!
//! Holds the question (who, to whom, what), how it is answered by sending packets, and how by walking
//! one. Every running instance answers: echo requests as hosts do, datagrams by sending them back,
//! TCP by an echo service on every port. Refuses to know accounts: the lab's own pages see everything.
//!
//! Packets cross the one simulated world, so connection tracking remembers them and flow logs record
//! them; they are run to their end at once, in virtual time. Nothing is kept of a question once it is
//! answered.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::fault::Fault;
use super::params;
use super::world::World;
use crate::base::id::{InstanceId, InterfaceId};
use crate::base::limit::*;
use crate::base::time::{Instant, Span};
use crate::cloud::Cloud;
use crate::cloud::refusal::Refusal;
use crate::forward::Reference;
use crate::forward::repair::Ground;
use crate::forward::round_trip::{RoundTrip, round_trip};
use crate::forward::walk::End;
use crate::sim::tcp::{Outcome, Patience, Report, Serve, TcpError, Transfer};
use crate::sim::{
    Datagrams, Happening, Leg, Load, Observer, Pace, ProbeTally, RunError, Source, Subject,
};
use crate::wire::build::{self, BuildError};
use crate::wire::{EchoKind, Family, Packet, TcpFlags};

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrying {
    /// Echo requests with so many bytes of payload.
    Echo {
        /// How many.
        count: u64,
        /// Bytes of payload.
        size: u16,
    },
    /// Datagrams.
    Udp {
        /// The port they are for.
        port: u16,
        /// How many.
        count: u64,
        /// Bytes of payload.
        size: u16,
    },
    /// A connection.
    Tcp {
        /// The port it is for.
        port: u16,
        /// Bytes that are sent over it, and come back.
        bytes: u64,
    },
}

/// Who sends what to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// The interface that sends.
    pub from: InterfaceId,
    /// Its address.
    pub source: IpAddr,
    /// The address that it sends to.
    pub to: IpAddr,
    /// The interface that is meant, if the question names one.
    pub meant: Option<InterfaceId>,
    /// What.
    pub carrying: Carrying,
}

/// What came of the packets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Their counts.
    pub tally: ProbeTally,
    /// Whether everything arrived where it was meant to and was answered.
    pub arrived: Arrived,
    /// From sending an echo request to having its answer, in order of sending.
    pub round_trips: Vec<Span>,
    /// The connection, if it was one.
    pub connection: Option<Report>,
}

/// Whether all went well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrived {
    /// It did.
    All,
    /// Something did not arrive, or was not answered, or came from somebody else.
    NotAll,
}

/// Why packets cannot be sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Tcp(#[from] TcpError),
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Fault {
        Fault::new("InvalidParameterValue", trouble.to_string())
    }
}

/// The interface that a text names: an instance's primary one, or itself.
///
/// # Errors
/// A text that is no id, or nobody's.
pub fn interface(cloud: &Cloud, text: &str) -> Result<InterfaceId, Fault> {
    if text.starts_with("eni-") {
        let id: InterfaceId = params::id(text)?;
        return match cloud.interface(id) {
            Some(_) => Ok(id),
            None => Err(Refusal::InterfaceNotFound(id).into()),
        };
    }
    let id: InstanceId = params::id(text)?;
    let interface = cloud.instance(id).and_then(|instance| instance.interface());
    Ok(interface.ok_or(Refusal::InstanceNotFound(id))?)
}

/// The two ends of a question, in the words of a user: `from` is an instance or interface, `to` one
/// too, or an address. `family` says which address of an instance is meant.
///
/// # Errors
/// What is nobody's, or has no address of that family.
pub fn ends(
    cloud: &Cloud,
    from: &str,
    to: &str,
    family: Option<Family>,
) -> Result<(InterfaceId, IpAddr, IpAddr, Option<InterfaceId>), Fault> {
    let sender = interface(cloud, from)?;
    let address = |id: InterfaceId, family: Family, text: &str| {
        let mut addresses = cloud.interface(id).into_iter().flat_map(|i| &i.addresses);
        addresses.find(|address| Family::of(**address) == family).copied().ok_or_else(|| {
            let message = format!("{text} has no {} address", family.title());
            Fault::new("InvalidParameterValue", message)
        })
    };
    let (destination, meant) = match to.parse::<IpAddr>() {
        Ok(address) => (address, None),
        Err(_) => {
            let id = interface(cloud, to)?;
            (address(id, family.unwrap_or(Family::V4), to)?, Some(id))
        }
    };
    let source = address(sender, Family::of(destination), from)?;
    Ok((sender, source, destination, meant))
}

impl Carrying {
    /// The first packet of a question.
    fn packet(self, question: &Question, number: u16) -> Result<Packet, BuildError> {
        let (source, to) = (question.source, question.to);
        let port = source_port(number);
        match self {
            Carrying::Echo { size, .. } => {
                build::echo(EchoKind::Request, source, to, number, 1, &vec![0; size.into()])
            }
            Carrying::Udp { port: at, size, .. } => {
                build::udp((source, port).into(), (to, at).into(), &vec![0; size.into()])
            }
            Carrying::Tcp { port: at, .. } => {
                build::tcp((source, port).into(), (to, at).into(), TcpFlags::SYN, 1, 0, &[])
            }
        }
    }
}

/// The source port of a question: an ephemeral one, so that no two in a row are one flow.
fn source_port(number: u16) -> u16 {
    const FIRST: u16 = 49_152;
    FIRST + number % (u16::MAX - FIRST + 1)
}

/// Hears when echo requests leave and their answers come.
#[derive(Debug, Default)]
struct Stopwatch {
    left: BTreeMap<u16, Instant>,
    round_trips: Vec<Span>,
}

impl Observer for Stopwatch {
    fn see(&mut self, world: crate::sim::World<'_>, subject: Subject, what: Happening<'_>) {
        match (subject.leg, what) {
            (Leg::Request, Happening::Left { packet, from, .. }) if from == subject.sender => {
                if let Some(echo) = packet.icmp_echo() {
                    self.left.insert(echo.seq, world.now);
                }
            }
            (Leg::Answer, Happening::Arrived { packet, at, .. }) if subject.meant == Some(at) => {
                let left = packet.icmp_echo().and_then(|echo| self.left.remove(&echo.seq));
                self.round_trips.extend(left.map(|left| world.now.since(left)));
            }
            _ => {}
        }
    }
}

/// Sends packets and tells what came of them.
///
/// # Errors
/// `InvalidParameterValue` for packets that cannot be.
pub fn send(world: &mut World, question: &Question) -> Result<Answered, Fault> {
    let number = world.next_question();
    let mut watch = Stopwatch::default();
    let (probe, connection) = match question.carrying {
        Carrying::Echo { count, .. } | Carrying::Udp { count, .. } => {
            let packet = question.carrying.packet(question, number).map_err(Trouble::from)?;
            let pace = Pace::Every(API_PACKET_GAP);
            let load = match question.carrying {
                Carrying::Echo { .. } => Load::Ping { first: packet, count, pace },
                _ => Load::Repeat { packet, count, pace },
            };
            let source = Source { from: question.from, meant: question.meant, load };
            let start = |sim: &mut crate::sim::Sim| {
                sim.start(Datagrams::Returned, [source]).map_err(Trouble::from)
            };
            (world.run(start, &mut watch)?, None)
        }
        Carrying::Tcp { port, bytes } => {
            let (probe, report) = connect(world, question, number, port, bytes)?;
            (probe, report)
        }
    };
    let tally = world.sim().forget(probe).unwrap_or_default();
    let (asked, answers) = (&tally.requests, &tally.answers);
    let came = asked.delivered - asked.misdelivered;
    let came_back = answers.delivered - answers.misdelivered;
    let arrived = match (question.carrying, connection) {
        (Carrying::Tcp { .. }, report) => report.is_some_and(|r| r.outcome == Outcome::Done),
        // A notice is no answer, and an answer to an answer does not exist.
        _ => came == asked.sent && came_back == asked.sent,
    };
    let arrived = if arrived { Arrived::All } else { Arrived::NotAll };
    Ok(Answered { tally, arrived, round_trips: watch.round_trips, connection })
}

fn connect(
    world: &mut World,
    question: &Question,
    number: u16,
    port: u16,
    bytes: u64,
) -> Result<(crate::sim::ProbeId, Option<Report>), Fault> {
    let syn = question.carrying.packet(question, number).map_err(Trouble::from)?;
    world.sim().look_around();
    // Whoever gets it serves the port while the question is asked.
    let server = lands(world, question.from, &syn);
    if let Some(server) = server {
        world.sim().listen(server, port, Serve::Echo).map_err(Trouble::from)?;
    }
    let patience = Patience { connect: API_TCP_CONNECT_SPAN, silence: API_TCP_SILENCE_SPAN };
    let ends = ((question.source, source_port(number)).into(), (question.to, port).into());
    let (from, meant) = (question.from, question.meant);
    let start = |sim: &mut crate::sim::Sim| {
        sim.connect(from, meant, ends, Transfer { bytes, patience }).map_err(Trouble::from)
    };
    let ran = world.run(start, &mut ());
    if let Some(server) = server {
        world.sim().stop_listening(server, port);
    }
    let probe = ran?;
    let report = world.sim().connection(probe);
    Ok((probe, report))
}

/// The interface at which a packet would be delivered now.
fn lands(world: &mut World, from: InterfaceId, packet: &Packet) -> Option<InterfaceId> {
    let crate::sim::World { cloud, rows, memory, now } = world.sim().world();
    let row = rows.interface(from)?;
    let walk = Reference::new(cloud, rows, now).walk(row, packet, &mut memory.clone());
    match walk.end {
        End::Delivered(at) => Some(at),
        End::Dropped(..) => None,
    }
}

/// The packet that stands for a question when it is explained.
///
/// # Errors
/// `InvalidParameterValue` for one that cannot be.
pub fn sample(world: &mut World, question: &Question) -> Result<Packet, Fault> {
    let number = world.next_question();
    Ok(question.carrying.packet(question, number).map_err(Trouble::from)?)
}

/// Walks one packet of a question and its answer, without sending it. The world has been looked at
/// since it changed. Costs a copy of the network: 40 to 90 ms with 10,000 VPCs, for which nobody need
/// wait who only reads.
///
/// # Errors
/// `InvalidInterfaceID.NotFound` if the sender is gone.
pub fn explain(world: &World, question: &Question, packet: &Packet) -> Result<RoundTrip, Fault> {
    let crate::sim::World { cloud, rows, memory, now } = world.view();
    let ground = Ground { cloud, rows, memory, now };
    // Instances serve every port.
    round_trip(ground, question.from, packet, question.meant, |_, _| true)
        .ok_or_else(|| Refusal::InterfaceNotFound(question.from).into())
}

#[cfg(test)]
mod tests;
