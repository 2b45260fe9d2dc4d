//! A packet-level emulator of cloud VPCs and the peerings between them.
//!
//! Instances send real IP packets. A packet *leaves* through the route table of its sender's subnet,
//! passes the *gate* if its destination lies in its own VPC or in the VPC at the other end of an
//! active peering, and *enters* there. Everything else is dropped, and every drop carries one
//! [`DropReason`](forward::DropReason) that says why.
//!
//! # Map of the code
//!
//! Modules are listed bottom-up. A module may use those above it in this list, never one below; a
//! test enforces it.
//!
//! | level | module | answers the question |
//! |---|---|---|
//! | 0 | [`base`] | what are time, chance, ids, quantities, limits and diagnostics? |
//! | 1 | [`wire`] | which packet do these bytes make? |
//! | 2 | [`cloud`] | who owns what, and who may ask for what? |
//! | 3 | [`forward`] | where does a packet end, and why? |
//! | 4 | [`reach`] | what will surprise, seen without sending a packet? |
//! | 4 | [`sim`] | what happens when, and who sends? |
//! | 5 | [`report`] | how is it told? |
//! | 6 | [`bench`](mod@bench) | how many packets a second does this machine forward? |
//! | 6 | `api` | which network do EC2's clients ask for, and what is it answered? |
//! | 6 | `live` | which real processes send here, and in which namespaces? |
//! | 6 | [`scenario`] | what does this file say, and does it hold? |
//! | 7 | [`cli`] | which flags lead to which call? |
//!
//! # Things that are deliberately absent
//!
//! * No module below level 6 reads a clock, entropy, the environment, a file or a socket: time and
//!   chance are arguments. Same file and seed, same bytes out.
//! * No code path takes a crossing and makes another: a packet can't cross two peerings.
//! * No peering shares a queue, a lock or a device with another one.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "scenario")] {
//! use vpclab::scenario::{load, run};
//!
//! let text = "
//! vpclab: 1
//! name: a peering carries nothing before it is accepted
//! vpcs:
//!   A: {cidr: 10.0.0.0/16}
//!   B: {cidr: 10.1.0.0/16}
//! peerings:
//!   AB: {requester: A, accepter: B, accepted: false}
//! routes:
//!   A: {10.1.0.0/16: AB}
//!   B: {10.0.0.0/16: AB}
//! instances:
//!   a: {vpc: A}
//!   b: {vpc: B}
//! steps:
//!   - ping: a -> b
//!     expect: {dropped: blackhole, at: A}
//!   - accept-peering: AB
//!   - ping: a -> b
//!     expect: replied
//! ";
//! let loaded = load::parse("example.yaml", text).expect("it is well-formed");
//! let outcome = run::run(&loaded, ".".as_ref(), run::Settings::default(), &mut ())
//!     .expect("the cloud takes the network");
//! assert!(outcome.held());
//! # }
//! ```

#[cfg(feature = "serve")]
pub mod api;
pub mod base;
pub mod bench;
#[cfg(feature = "cli")]
pub mod cli;
pub mod cloud;
pub mod forward;
#[cfg(all(feature = "live", target_os = "linux"))]
pub mod live;
pub mod reach;
pub mod report;
#[cfg(feature = "scenario")]
pub mod scenario;
pub mod sim;
pub mod wire;
