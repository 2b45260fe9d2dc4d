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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn what_was_told_is_believed_for_ten_minutes() {
        let mut paths = Paths::default();
        let told = Instant::START + Span::from_secs(5);
        paths.learn(host(1), Mtu::ETHERNET, told);
        for (after, believed) in [
            (Span::ZERO, Some(Mtu::ETHERNET)),
            (Span::from_nanos(599_999_999_999), Some(Mtu::ETHERNET)),
            (Span::from_secs(600), None),
        ] {
            assert_eq!(paths.mtu_to(host(1), told + after), believed, "{after}");
        }
        assert_eq!(paths.mtu_to(host(2), told), None);
    }

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let mut paths = Paths::default();
        let most = u32::try_from(TCP_PATHS_PER_STACK_MAX).unwrap();
        // Told in the reverse order of the addresses, and the first once more at the end.
        let order = (0..most).rev().chain([most - 1, most]);
        for (second, n) in (0..).zip(order) {
            paths.learn(host(n), Mtu::ETHERNET, Instant::START + Span::from_secs(second));
        }
        let now = Instant::START + Span::from_secs(u64::from(most) / 2);
        let forgotten: Vec<u32> = (0..=most).filter(|n| !paths.0.contains_key(&host(*n))).collect();
        assert_eq!((forgotten, paths.0.len()), (vec![most - 2], TCP_PATHS_PER_STACK_MAX));
        assert_eq!(paths.mtu_to(host(most), now), Some(Mtu::ETHERNET));
    }

    #[test]
    fn no_path_is_narrower_than_its_family_allows() {
        for (told, family, heeded) in [
            (1_500, Family::V4, 1_500),
            (575, Family::V4, 576),
            (1, Family::V4, 576),
            (1_500, Family::V6, 1_500),
            (1_279, Family::V6, 1_280),
        ] {
            assert_eq!(clamped(told, family).map(Mtu::bytes), Some(heeded), "{family} {told}");
        }
        assert_eq!(clamped(u16::MAX, Family::V4), None, "no link has it, so it is no news");
    }
}
