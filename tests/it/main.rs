//! The integration tests, linked once: each module drives the library through its public interface.

mod lifecycle;
mod lifecycle_model;
mod repairs;
mod sim;
mod support;
mod twins;
mod worlds;
