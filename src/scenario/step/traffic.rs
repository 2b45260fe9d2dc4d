//! Traffic of a step: the packets that a probe's sources are to send.
//!
//! Holds addresses, payloads and captures. Refuses to start anything.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Probe, Undone};
use crate::base::diag::Spanned;
use crate::base::limit::REPLAY_BYTES_MAX;
use crate::base::time::Span;
use crate::scenario::ast::{self, Destination, Label, Toggle};
use crate::scenario::capture;
use crate::scenario::load::{self, Unreadable};
use crate::scenario::stage::{Stage, Trouble};
use crate::sim::{Datagrams, Load, Pace, Source};
use crate::wire::{EchoKind, Family, build};

/// Payload that is easy to recognise in a capture: the letters of the alphabet, over and over.
fn payload(size: u16) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(usize::from(size)).collect()
}

/// The source port of `flows`; each flow has its own pair of hosts.
const FLOWS_SOURCE_PORT: u16 = 40_000;

/// Echo requests to each target, as from a `ping` process of its own for the step.
pub(super) fn pings(
    stage: &mut Stage,
    ping: &ast::Ping,
) -> Result<Vec<(Destination, Probe)>, Undone> {
    let ident = stage.next_ping();
    let known = stage.instance(&ping.from.value)?;
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

fn udp_source(
    stage: &Stage,
    from: &Label,
    to: (&Destination, Option<Family>, u16),
    source: (Option<IpAddr>, u16),
    (size, count, pace): (u16, u64, Pace),
) -> Result<Source, Undone> {
    let known = stage.instance(from)?;
    let (address, meant) = stage.destination(to.0, to.1)?;
    let own = match source.0 {
        Some(source) => source,
        None => stage.source_address(from, &known, address)?,
    };
    let ends = ((own, source.1).into(), (address, to.2).into());
    let packet = build::udp(ends.0, ends.1, &payload(size)).map_err(Trouble::Packet)?;
    let load = Load::Repeat { packet, count, pace };
    Ok(Source { from: known.interface, meant, load })
}

/// Datagrams to one target.
pub(super) fn datagrams(stage: &Stage, udp: &ast::Udp) -> Result<Probe, Undone> {
    let family = family_of(udp.family.as_ref(), udp.source.as_ref());
    let source = (udp.source.as_ref().map(|s| s.value), udp.source_port);
    let load = (udp.size, u64::from(udp.count.get()), Pace::Every(udp.interval));
    let to = (&udp.to.value, family, udp.port);
    let source = udp_source(stage, &udp.from.value, to, source, load)?;
    let datagrams = match udp.answer {
        Toggle::Yes => Datagrams::Returned,
        Toggle::No => Datagrams::Sunk,
    };
    Ok(Probe { datagrams, ..Probe::of(source) })
}

/// One flow of datagrams for each pair.
pub(super) fn flows(stage: &Stage, flows: &ast::Flows) -> Result<Probe, Undone> {
    let load = (flows.size, u64::from(flows.packets.get()), Pace::Rate(flows.rate));
    let source = |pair: &ast::Flow| {
        let to = (&pair.to.value, None, flows.port);
        udp_source(stage, &pair.from.value, to, (None, FLOWS_SOURCE_PORT), load)
    };
    let sources = flows.pairs.iter().map(source).collect::<Result<Vec<_>, _>>()?;
    Ok(Probe { datagrams: Datagrams::Sunk, sources, background: flows.background })
}

/// One packet, whatever its bytes are.
pub(super) fn bytes(stage: &Stage, send: &ast::SendBytes) -> Result<Probe, Undone> {
    let from = stage.instance(&send.from.value)?.interface;
    let script = [(Span::ZERO, Bytes::from(send.bytes.value.clone()))];
    Ok(Probe::of(Source { from, meant: None, load: Load::Script(Arc::new(script)) }))
}

/// The packets of a capture.
pub(super) fn replayed(
    stage: &Stage,
    replay: &ast::Replay,
    directory: &Path,
) -> Result<Probe, Undone> {
    let from = stage.instance(&replay.from.value)?.interface;
    let path = &replay.capture.value;
    let fail = |why: String| Undone::Capture { path: path.as_str().to_owned(), why };
    let bytes = load::read_below(directory, path, REPLAY_BYTES_MAX)
        .map_err(|why: Unreadable| fail(why.to_string()))?;
    let capture = capture::parse(&Bytes::from(bytes)).map_err(|why| fail(why.to_string()))?;
    if capture.packets.is_empty() {
        let skipped: Vec<String> =
            capture.skipped.iter().map(|(why, n)| format!("{n} x {why}")).collect();
        return Err(fail(match &skipped[..] {
            [] => "it holds no packets".to_owned(),
            some => format!("it holds no IP packets, only {}", some.join(", ")),
        }));
    }
    let script: Vec<(Span, Bytes)> =
        capture.packets.into_iter().map(|p| (p.since_first, p.bytes)).collect();
    Ok(Probe::of(Source { from, meant: None, load: Load::Script(script.into()) }))
}
