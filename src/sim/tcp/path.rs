//! What routers have told about the length of packets that paths take (RFC 1191, RFC 8201).
//!
//! Holds the MTU by destination, for a while. Refuses to judge whether a router is to be believed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::base::limit::TCP_PATHS_PER_STACK_MAX;
use crate::base::time::{Instant, Span};
use crate::wire::Family;

/// How long a path's MTU is believed before a longer packet is tried again (RFC 1191, 6.3, and
/// RFC 8201, 5.3, recommend ten minutes).
const BELIEVED: Span = Span::from_secs(600);

/// The MTUs of paths.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<IpAddr, Path>);

#[derive(Debug)]
struct Path {
    mtu: u16,
    until: Instant,
}

impl Paths {
    /// The longest packet for `destination`, if somebody has told.
    pub(super) fn mtu_to(&self, destination: IpAddr, now: Instant) -> Option<u16> {
        self.0.get(&destination).filter(|path| now < path.until).map(|path| path.mtu)
    }

    /// Remembers what was told. If there are too many, the one that would be forgotten first goes.
    pub(super) fn learn(&mut self, destination: IpAddr, mtu: u16, now: Instant) {
        if self.0.len() >= TCP_PATHS_PER_STACK_MAX && !self.0.contains_key(&destination) {
            let first = self.0.iter().min_by_key(|(_, path)| path.until).map(|(at, _)| *at);
            if let Some(first) = first {
                self.0.remove(&first);
            }
        }
        self.0.insert(destination, Path { mtu, until: now + BELIEVED });
    }
}

/// `told`, but no less than every path takes: 1,280 in IPv6 (RFC 8200, 5). In IPv4 576, below which
/// RFC 1191 allows to go, but what every host accepts (RFC 791, 3.1), and what a router that tells
/// no number is taken to mean (RFC 1191, 5).
pub(super) fn clamped(told: u32, family: Family) -> u16 {
    let least = match family {
        Family::V4 => 576,
        Family::V6 => 1_280,
    };
    u16::try_from(told).unwrap_or(u16::MAX).max(least)
}
