//! The same work again and again, without a clock: what instructions are counted of.
//!
//! Holds a few small cases, deterministic to the instruction. Refuses to measure: a tool outside the
//! process does (`benches/instructions.rs`).

use super::BenchError;
use super::engine::{Engine, Fate, Parcel, Worker};
use super::timing::{Case, Entry};
use super::world::{Filters, Shape, Stream, Towards, World};
use crate::forward::DropReason;
use crate::wire::Family;

/// The cases by name.
pub const CASES: [&str; 7] =
    ["v4", "v6", "v4-acl", "v4-groups", "v4-everything", "v4-transit", "v4-bytes"];

/// Packets of one pass.
const FLOWS: usize = 256;
/// Packets of a batch.
const BATCH: usize = 64;

/// A case that can be repeated.
#[derive(Debug)]
pub struct Steady {
    engine: Engine,
    worker: Worker,
    parcels: Vec<Parcel>,
    entry: Entry,
    want: Fate,
}

impl Steady {
    /// Builds a case and passes once, so that connections stand; `None` if there is none of this name.
    ///
    /// # Errors
    /// If a packet meets another fate than it should.
    pub fn build(case: &str) -> Option<Result<Steady, BenchError>> {
        let (mut shape, mut stream) = (
            Shape { hosts: 32, routes: 200, ..Shape::BASE },
            Stream { flows: FLOWS, ..Stream::BASE },
        );
        let (mut entry, mut want) = (Entry::Admitted, Fate::Delivered);
        match case {
            "v4" => {}
            "v6" => shape.family = Family::V6,
            "v4-acl" => shape.filters = Filters::Acls,
            "v4-groups" => shape.filters = Filters::Groups,
            "v4-everything" => shape.filters = Filters::Everything,
            "v4-transit" => {
                stream.towards = Towards::Beyond;
                want = Fate::Dropped(DropReason::Transit);
            }
            "v4-bytes" => entry = Entry::Bytes,
            _ => return None,
        }
        Some(Steady::stand(shape, stream, entry, want))
    }

    fn stand(shape: Shape, stream: Stream, entry: Entry, want: Fate) -> Result<Steady, BenchError> {
        let world = World::build(shape)?;
        let engine = Engine::compile(&world.cloud, &world.rows);
        let worker = engine.worker();
        let mut steady = Steady { parcels: world.parcels(stream)?, engine, worker, entry, want };
        steady.pass()?;
        Ok(steady)
    }

    /// Forwards every packet once; how many they are.
    ///
    /// # Errors
    /// If a packet meets another fate than it should.
    pub fn pass(&mut self) -> Result<usize, BenchError> {
        let (name, want) = ("a steady case", Some(self.want));
        let (engine, parcels, entry) = (&self.engine, self.parcels.as_slice(), self.entry);
        let case = Case { name, engine, parcels, entry, want };
        case.pass(&mut self.worker, BATCH);
        case.check(&self.worker)?;
        Ok(self.parcels.len())
    }
}
