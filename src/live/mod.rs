//! Level 6, the front door for real processes: each live instance has a network namespace.
//!
//! Holds what stands between processes and the simulator: namespaces with their devices, the life of a
//! lab and how other processes reach it, the engine that carries packets to and fro in real time, the
//! services that a host finds at link-local addresses, what is shown while it runs. Refuses to decide
//! anything about a packet: each goes through the simulator's stage door, and so through the same
//! `leave`, gate and `enter` as every other; and to leave anything behind: namespaces are held by open
//! files only, so all of them end with the processes. Linux only.

pub mod control;
pub mod engine;
pub mod error;
mod ethtool;
pub mod exec;
pub mod ground;
pub mod lab;
pub mod name;
pub mod netns;
mod passing;
mod pool;
pub mod roster;
pub mod services;
pub mod view;
pub mod virtio;
pub mod wait;

pub use error::LiveError;
