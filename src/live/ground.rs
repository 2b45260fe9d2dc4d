//! The ground that live hosts stand on: the one world, whoever else works on it.
//!
//! Holds the trait alone. Refuses to know where the world is kept: a server that answers the EC2 API
//! meanwhile, or nobody else.

use crate::cloud::Cloud;
use crate::sim::{Observer, Sim};

/// The world is broken: a fault of this program while it was being changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the emulated world is broken by an earlier fault of this program")]
pub struct BrokenGround;

/// A world in which real time passes.
pub trait Ground: Send + Sync {
    /// Works on the simulator, whose present is now and to whom everything has happened that is due.
    /// `work` tells its packets to the observer it is given. Nobody else works meanwhile.
    ///
    /// # Errors
    /// [`BrokenGround`]; `work` has not begun.
    fn act(&self, work: &mut dyn FnMut(&mut Sim, &mut dyn Observer)) -> Result<(), BrokenGround>;

    /// Looks at the cloud, as others may at the same time.
    ///
    /// # Errors
    /// [`BrokenGround`]; `work` has not begun.
    fn look(&self, work: &mut dyn FnMut(&Cloud)) -> Result<(), BrokenGround>;
}
