//! What routers have told about the length of packets that paths take (RFC 1191, RFC 8201).
//!
//! Holds the MTU by destination, for a while. Refuses to judge whether a router is to be believed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::limit::TCP_PATHS_PER_STACK_MAX;
use crate::base::time::{Instant, Span};
use crate::base::units::Mtu;
use crate::wire::Family;

/// How long a path's MTU is believed before a longer packet is tried again (RFC 1191, 6.3, and
/// RFC 8201, 5.3, recommend ten minutes).
const BELIEVED: Span = Span::from_secs(600);

/// The MTUs of paths.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<IpAddr, Path>);

#[derive(Clone, Copy, Debug)]
struct Path {
    mtu: Mtu,
    until: Instant,
}

impl Paths {
    /// The longest packet for `destination`, if somebody has told.
    pub(super) fn mtu_to(&self, destination: IpAddr, now: Instant) -> Option<Mtu> {
        self.0.get(&destination).filter(|path| now < path.until).map(|path| path.mtu)
    }

    /// Remembers what was told. If there are too many, the one that would be forgotten first goes.
    pub(super) fn learn(&mut self, destination: IpAddr, mtu: Mtu, now: Instant) {
        if self.0.len() >= TCP_PATHS_PER_STACK_MAX && !self.0.contains_key(&destination) {
            let first = self.0.iter().min_by_key(|(_, path)| path.until).map(|(at, _)| *at);
            if let Some(first) = first {
                self.0.remove(&first);
            }
        }
        self.0.insert(destination, Path { mtu, until: now + BELIEVED });
    }
}

/// `told`, but no less than every path takes: 1,280 bytes in IPv6 (RFC 8200, 5). In IPv4 576, which
/// every host accepts (RFC 791, 3.1); RFC 1191, 3, would go down to 68, and nobody here does.
pub(super) fn clamped(told: u16, family: Family) -> Option<Mtu> {
    let least = match family {
        Family::V4 => 576,
        Family::V6 => 1_280,
    };
    Mtu::new(told.max(least))
}
