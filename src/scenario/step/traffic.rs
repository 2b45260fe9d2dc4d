//! Traffic of a step: the packets that a probe's sources are to send.
//!
//! Holds addresses, payloads and captures. Refuses to start anything.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Connect, Probe, Undone};
use crate::base::diag::Spanned;
use crate::base::limit::REPLAY_BYTES_MAX;
use crate::base::time::Span;
use crate::scenario::ast::{self, Destination, Label, Toggle};
use crate::scenario::capture;
use crate::scenario::load::{self, Unreadable};
use crate::scenario::stage::{Stage, Trouble};
use crate::sim::tcp::{Patience, Transfer};
use crate::sim::{Datagrams, Load, Pace, Source};
use crate::wire::{EchoKind, Family, Packet, build, clear_dont_fragment};

/// Payload that is easy to recognise in a capture: the letters of the alphabet, over and over.
fn payload(size: u16) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(usize::from(size)).collect()
}

/// The source ports of `flows`, one after the other, so that flows between the same hosts differ.
const FLOWS_SOURCE_PORTS: std::ops::RangeInclusive<u16> = 40_000..=u16::MAX;

/// Echo requests to each target, as from a `ping` process of its own for the step.
pub(super) fn pings(
    stage: &mut Stage,
    ping: &ast::Ping,
) -> Result<Vec<(Destination, Probe)>, Undone> {
    let ident = stage.next_ping();
    let known = stage.host(&ping.from.value)?;
    let family = family_of(ping.family.as_ref(), ping.source.as_ref());
    let mut probes = Vec::with_capacity(ping.to.len());
    for target in &ping.to {
        let (to, meant) = stage.destination(&target.value, family)?;
        let source = match &ping.source {
            Some(source) => source.value,
            None => stage.source_address(&ping.from.value, &known, to)?,
        };
        let first = build::echo(EchoKind::Request, source, to, ident, 1, &payload(ping.size))
            .map_err(Trouble::Packet)?;
        let first = with_leave(first, ping.fragment);
        let (count, pace) = (u64::from(ping.count.get()), Pace::Every(ping.interval));
        let load = Load::Ping { first, count, pace };
        let probe = Probe::of(Source { from: known.interface, meant, load });
        probes.push((target.value.clone(), probe));
    }
    Ok(probes)
}

/// The family that `family` or else `source` asks for.
fn family_of(family: Option<&Spanned<Family>>, source: Option<&Spanned<IpAddr>>) -> Option<Family> {
    family.map(|f| f.value).or(source.map(|s| Family::of(s.value)))
}

/// A datagram as a file describes it.
struct Datagram<'f> {
    from: &'f Label,
    to: &'f Destination,
    family: Option<Family>,
    /// The source address, if it is not the instance's own.
    source: Option<IpAddr>,
    source_port: u16,
    port: u16,
    /// Payload in bytes.
    size: u16,
    fragment: Toggle,
}

impl Datagram<'_> {
    /// A source that sends it `count` times.
    fn repeated(&self, stage: &Stage, count: NonZeroU32, pace: Pace) -> Result<Source, Undone> {
        let known = stage.host(self.from)?;
        let (to, meant) = stage.destination(self.to, self.family)?;
        let source = match self.source {
            Some(source) => source,
            None => stage.source_address(self.from, &known, to)?,
        };
        let ends = ((source, self.source_port).into(), (to, self.port).into());
        let packet = build::udp(ends.0, ends.1, &payload(self.size)).map_err(Trouble::Packet)?;
        let packet = with_leave(packet, self.fragment);
        let load = Load::Repeat { packet, count: u64::from(count.get()), pace };
        Ok(Source { from: known.interface, meant, load })
    }
}

/// Datagrams to one target.
pub(super) fn datagrams(stage: &Stage, udp: &ast::Udp) -> Result<Probe, Undone> {
    let datagram = Datagram {
        from: &udp.from.value,
        to: &udp.to.value,
        family: family_of(udp.family.as_ref(), udp.source.as_ref()),
        source: udp.source.as_ref().map(|s| s.value),
        source_port: udp.source_port,
        port: udp.port,
        size: udp.size,
        fragment: udp.fragment,
    };
    let source = datagram.repeated(stage, udp.count, Pace::Every(udp.interval))?;
    let datagrams = match udp.answer {
        Toggle::Yes => Datagrams::Returned,
        Toggle::No => Datagrams::Sunk,
    };
    Ok(Probe { datagrams, ..Probe::of(source) })
}

/// One flow of datagrams for each pair.
pub(super) fn flows(stage: &Stage, flows: &ast::Flows) -> Result<Probe, Undone> {
    let source = |(pair, source_port): (&ast::Flow, u16)| {
        let datagram = Datagram {
            from: &pair.from.value,
            to: &pair.to.value,
            family: None,
            source: None,
            source_port,
            port: flows.port,
            size: flows.size,
            fragment: Toggle::No,
        };
        datagram.repeated(stage, flows.packets, Pace::Rate(flows.rate))
    };
    let pairs = flows.pairs.iter().zip(FLOWS_SOURCE_PORTS.cycle());
    let sources = pairs.map(source).collect::<Result<Vec<_>, _>>()?;
    Ok(Probe { datagrams: Datagrams::Sunk, sources, background: flows.background })
}

/// One connection.
pub(super) fn connection(stage: &mut Stage, tcp: &ast::Tcp) -> Result<Connect, Undone> {
    let known = stage.host(&tcp.from.value)?;
    let (to, meant) = stage.destination(&tcp.to.value, tcp.family.map(|f| f.value))?;
    let source = stage.source_address(&tcp.from.value, &known, to)?;
    let source_port = tcp.source_port.unwrap_or_else(|| stage.next_port());
    Ok(Connect {
        from: known.interface,
        meant,
        ends: ((source, source_port).into(), (to, tcp.port).into()),
        transfer: Transfer {
            bytes: tcp.bytes,
            patience: Patience { connect: tcp.timeout, ..Patience::default() },
        },
        background: tcp.background,
    })
}

/// The packet as the file wants it: with or without leave to be cut up.
fn with_leave(packet: Packet, fragment: Toggle) -> Packet {
    match fragment {
        Toggle::Yes => clear_dont_fragment(&packet),
        Toggle::No => packet,
    }
}

/// One packet, whatever its bytes are.
pub(super) fn bytes(stage: &Stage, send: &ast::SendBytes) -> Result<Probe, Undone> {
    let from = stage.host(&send.from.value)?.interface;
    let script = [(Span::ZERO, Bytes::from(send.bytes.value.clone()))];
    Ok(Probe::of(Source { from, meant: None, load: Load::Script(Arc::new(script)) }))
}

/// What the IP packets of a capture are and when each is due, counted from the first.
pub(in crate::scenario) fn capture_of(
    replay: &ast::Replay,
    directory: &Path,
) -> Result<Arc<[(Span, Bytes)]>, String> {
    let path = &replay.capture.value;
    let bytes = load::read_below(directory, path, REPLAY_BYTES_MAX)
        .map_err(|why: Unreadable| why.to_string())?;
    let capture = capture::parse(&Bytes::from(bytes)).map_err(|why| why.to_string())?;
    if capture.packets.is_empty() {
        let skipped: Vec<String> =
            capture.skipped.iter().map(|(why, n)| format!("{n} x {why}")).collect();
        return Err(match &skipped[..] {
            [] => "it holds no packets".to_owned(),
            some => format!("it holds no IP packets, only {}", some.join(", ")),
        });
    }
    Ok(capture.packets.into_iter().map(|p| (p.since_first, p.bytes)).collect())
}

pub(super) fn replayed(
    stage: &Stage,
    replay: &ast::Replay,
    directory: &Path,
) -> Result<Probe, Undone> {
    let from = stage.host(&replay.from.value)?.interface;
    let path = replay.capture.value.as_str().to_owned();
    let script = capture_of(replay, directory).map_err(|why| Undone::Capture { path, why })?;
    Ok(Probe::of(Source { from, meant: None, load: Load::Script(script) }))
}
