//! What a large network costs to hold and to change.
//!
//! Holds one measurement of a network of given sizes: memory of the compiled network, time to
//! compile, packets a second, time until a changed route carries packets. One process should measure
//! one size only, since an allocator keeps what is given back to it. Refuses to compare sizes.

use std::time::Instant;

use super::engine::{Engine, Fate};
use super::floor::Kind;
use super::live::Toggle;
use super::report::{Row, resident};
use super::spread::Spread;
use super::timing::{Case, Entry, Settings};
use super::topics::MANY_FLOWS;
use super::world::{Choice, Filters, Shape, Stream, World};
use super::{BenchError, live};
use crate::wire::Family;

/// Sizes of a ring of VPCs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// 2..=131,072.
    pub vpcs: usize,
    /// Of each VPC, 2..=54.
    pub instances: usize,
    /// Of each main table, beside the local ones and two for the ring.
    pub routes: usize,
}

/// A network of these sizes, as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// VPCs, instances, and routes without the local ones.
    pub counts: (usize, usize, usize),
    /// Milliseconds that the control plane took.
    pub built: f64,
    /// Milliseconds to compile it.
    pub compiled: Spread,
    /// Bytes of the compiled network by its own account: rows, addresses and route tables.
    pub tables: u64,
    /// What the process has grown by, at most, with one of several copies of the compiled network
    /// that it holds at the same time, because the first ones fill what building has left free. 0
    /// where the system does not tell.
    pub grown: u64,
    /// The most that the process has held with one copy, control plane included; 0
    /// likewise.
    pub peak: u64,
    /// Nanoseconds of a packet if each VPC sends as often as another (beside a chain of five lines
    /// through as much memory), and if they send as often as Zipf's law has it.
    pub packet: [Row; 2],
    /// Microseconds from a changed route table to a network that can forward by it.
    pub changed: Spread,
}

/// Builds a network and measures it.
///
/// # Errors
/// [`BenchError::Shape`] for sizes out of range.
pub fn stand(sizes: Sizes, settings: Settings) -> Result<Standing, BenchError> {
    let shape = Shape {
        vpcs: sizes.vpcs,
        hosts: sizes.instances,
        routes: sizes.routes,
        family: Family::V4,
        filters: Filters::Plain,
    };
    let began = Instant::now();
    let mut world = World::build(shape)?;
    let built = began.elapsed().as_secs_f64() * 1e3;
    let mut engines = Vec::new();
    let (mut compiled, mut grown, mut peak) = (Vec::new(), Vec::new(), 0);
    for round in 0..settings.rounds.max(1) {
        let before = resident().map_or(0, |(now, _)| now);
        let began = Instant::now();
        engines.push(Engine::compile(&world.cloud, &world.rows));
        compiled.push(began.elapsed().as_secs_f64() * 1e3);
        let (now, most) = resident().unwrap_or_default();
        grown.push(now.saturating_sub(before));
        if round == 0 {
            peak = most;
        }
    }
    let grown = grown.into_iter().max().unwrap_or(0);
    engines.truncate(1);
    let mut engine = engines.pop().ok_or(BenchError::Shape)?;
    let packet = |choice, name, floor| -> Result<Row, BenchError> {
        let stream = Stream { choice, flows: MANY_FLOWS, ..Stream::BASE };
        let (parcels, entry) = (world.parcels(stream)?, Entry::Admitted);
        let want = Some(Fate::Delivered);
        Case { name, engine: &engine, parcels: &parcels, entry, floor, want }.row(settings)
    };
    let packet = [
        packet(Choice::Uniform, "uniform", Kind::Chain(engine.bytes()))?,
        packet(Choice::Skewed, "skewed", Kind::Word)?,
    ];
    let toggle = Toggle::of(&mut world)?;
    let changed = live::quiet(&world, &toggle, &mut engine, settings.rounds)?;
    Ok(Standing {
        counts: (
            sizes.vpcs,
            sizes.vpcs * sizes.instances,
            world.cloud.tables().map(|(_, table)| table.routes().count()).sum(),
        ),
        built,
        compiled: Spread::of(compiled).ok_or(BenchError::Shape)?,
        tables: engine.bytes() as u64,
        grown,
        peak,
        packet,
        changed,
    })
}
