//! What a large network costs to hold and to change.
//!
//! Holds one measurement of a network of given sizes: memory of the compiled network by what the
//! process holds before and after, time to compile, time until a changed route carries packets. One
//! process should measure one size only, since an allocator keeps what is given back to it. Refuses
//! to compare sizes.

use std::time::Instant;

use super::BenchError;
use super::engine::Engine;
use super::report::resident;
use super::spread::Spread;
use super::timing::{Settings, nanos};
use super::world::{Filters, Shape, World};
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
    /// Bytes that the process holds more with the compiled network; 0 where the system does not tell.
    pub bytes: u64,
    /// The most that the process has held, control plane and journal included; 0 likewise.
    pub peak: u64,
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
    let now = || resident().map_or(0, |(now, _)| now);
    let before = now();
    let mut engine = Engine::compile(&world.cloud, &world.rows);
    let bytes = now().saturating_sub(before);
    let peak = resident().map_or(0, |(_, peak)| peak);
    let mut compiled = Vec::new();
    for _ in 0..settings.rounds.max(1) {
        drop(engine);
        let began = Instant::now();
        engine = Engine::compile(&world.cloud, &world.rows);
        compiled.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let changed = changes(&mut world, &mut engine, settings.rounds.max(1))?;
    Ok(Standing {
        counts: (
            sizes.vpcs,
            sizes.vpcs * sizes.instances,
            world.cloud.tables().map(|(_, table)| table.routes().count()).sum(),
        ),
        built,
        compiled: Spread::of(compiled).ok_or(BenchError::Shape)?,
        bytes,
        peak,
        changed,
    })
}

/// Microseconds for one route more or less, once the cloud has it.
pub(super) fn changes(
    world: &mut World,
    engine: &mut Engine,
    rounds: usize,
) -> Result<Spread, BenchError> {
    let mut took = Vec::new();
    for round in 0..rounds {
        world.change_route(round % 2 == 0)?;
        took.push(nanos(|| engine.follow(&world.cloud, &world.rows)) / 1e3);
    }
    Spread::of(took).ok_or(BenchError::Shape)
}
