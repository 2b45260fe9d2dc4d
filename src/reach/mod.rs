//! Level 4: what can be said of a network without sending a packet.
//!
//! Holds analyses over a [`Cloud`](crate::cloud::Cloud) at one moment. Refuses to know the simulator:
//! a packet's fate is the forwarder's to say, and what is found here is about the configuration.

pub mod lint;
