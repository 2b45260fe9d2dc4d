//! The same work again and again, without a clock: what instructions are counted of.
//!
//! Holds a few small cases, deterministic to the instruction. Refuses to measure: a tool outside the
//! process does (`benches/instructions.rs`).

use super::BenchError;
use super::engine::{BATCH, Engine, Fate, Parcel, Worker};
use super::floor::Kind;
use super::timing::{Case, Entry};
use super::world::{Filters, Shape, Stream, Towards, World};
use crate::forward::DropReason;
use crate::wire::Family;

/// The cases by name.
pub const CASES: [&str; 7] =
    ["v4", "v6", "v4-acl", "v4-groups", "v4-everything", "v4-transit", "v4-bytes"];

/// Packets of one pass.
const FLOWS: usize = 256;
/// A case that can be repeated.
#[derive(Debug)]
pub struct Steady {
    engine: Engine,
    parcels: Vec<Parcel>,
    entry: Entry,
    want: Fate,
}

impl Steady {
    /// Builds a case; `None` if there is none of this name.
    ///
    /// # Errors
    /// If the network cannot be built.
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
        Ok(Steady { parcels: world.parcels(stream)?, engine, entry, want })
    }

    /// Forwards every packet so many times; how many they are together. The first time opens the
    /// connections.
    ///
    /// # Errors
    /// If a packet meets another fate than it should.
    pub fn passes(&self, passes: u64) -> Result<u64, BenchError> {
        let (name, want) = ("a steady case", Some(self.want));
        let (engine, parcels, entry) = (&self.engine, self.parcels.as_slice(), self.entry);
        let case = Case { name, engine, parcels, entry, floor: Kind::Word, want };
        let mut worker = Worker::new();
        (0..passes).for_each(|_| case.pass(&mut worker, BATCH));
        case.check(&worker)?;
        Ok(worker.sent())
    }
}
