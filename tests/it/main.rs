//! The integration tests, linked once: each module drives the library through its public interface.

mod support;
mod twins;
mod worlds;
