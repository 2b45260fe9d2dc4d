//! Live mode as its users have it: the program, real tools on the emulated instances, a real kernel.
//!
//! Needs what `tests/run.sh` installs and a kernel with `/dev/net/tun`; without either the tests fail.
//! They run as whoever starts them, as root and as anybody else: `tests/run.sh` does both. The program
//! is `VPCLAB_BIN`, or the one that was built with these tests.
#![cfg(target_os = "linux")]

mod api;
mod bulk;
mod host;
mod kill;
mod lab;
mod labs;
mod names;
mod namespaces;
mod reach;
