//! Arithmetic with address blocks: what is left of one, and which route takes which part of it.
//!
//! Holds pure functions over prefixes, in ascending order and exact. Refuses to enumerate addresses:
//! the cost follows the number of prefixes, at most one split for each bit of each.

use ipnet::IpNet;

use crate::cloud::cidr;
use crate::cloud::route_table::Route;

/// The addresses that two blocks share: the smaller one, if it lies in the other.
pub(super) fn common(a: IpNet, b: IpNet) -> Option<IpNet> {
    let smaller = if a.prefix_len() >= b.prefix_len() { a } else { b };
    cidr::overlap(a, b).then_some(smaller)
}

/// The two halves of a block; `None` of a single address.
fn halves(block: IpNet) -> Option<impl Iterator<Item = IpNet>> {
    let length = block.prefix_len().checked_add(1)?;
    block.subnets(length).ok()
}

/// What is left of `whole` without `cuts`.
pub(super) fn without(whole: IpNet, cuts: &[IpNet]) -> Vec<IpNet> {
    if cuts.iter().any(|cut| cut.contains(&whole)) {
        return Vec::new();
    }
    let inside: Vec<IpNet> = cuts.iter().copied().filter(|cut| whole.contains(cut)).collect();
    match halves(whole) {
        Some(halves) if !inside.is_empty() => halves.flat_map(|h| without(h, &inside)).collect(),
        _ => vec![whole],
    }
}

/// Part of a block, and the route that packets for it take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Share {
    pub(super) block: IpNet,
    /// `None`: no route covers it.
    pub(super) route: Option<Route>,
}

/// How the routes of a table, in which no destination occurs twice, share out a block: the longest
/// match for every address of it.
pub(super) fn shares(routes: &[Route], block: IpNet) -> Vec<Share> {
    let near: Vec<Route> =
        routes.iter().copied().filter(|r| cidr::overlap(r.destination, block)).collect();
    let mut out = Vec::new();
    share_out(&near, block, &mut out);
    out
}

fn share_out(routes: &[Route], block: IpNet, out: &mut Vec<Share>) {
    let inside: Vec<Route> = routes
        .iter()
        .copied()
        .filter(|r| r.destination != block && block.contains(&r.destination))
        .collect();
    let covering = routes.iter().filter(|r| r.destination.contains(&block));
    let longest = covering.max_by_key(|r| r.destination.prefix_len()).copied();
    match halves(block) {
        Some(halves) if !inside.is_empty() => {
            let with_longest: Vec<Route> = longest.into_iter().chain(inside).collect();
            let first = out.len();
            halves.for_each(|half| share_out(&with_longest, half, out));
            // Two whole halves with one route are one share.
            if let [a, b] = &out[first..]
                && a.route == b.route
            {
                let route = a.route;
                out.truncate(first);
                out.push(Share { block, route });
            }
        }
        _ => out.push(Share { block, route: longest }),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::base::id::{Digits, PeeringId};
    use crate::cloud::route_table::{Hop, Origin, RouteTarget};

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| net(text)).collect()
    }

    /// A route whose target tells it from the others.
    fn route(destination: IpNet, n: u64) -> Route {
        let target = RouteTarget::Peering(PeeringId::new(Digits::minted(n)));
        Route { destination, hop: Hop::To(target), origin: Origin::CreateRoute }
    }

    #[test]
    fn what_is_left() {
        for (whole, cuts, left) in [
            ("10.0.0.0/16", &[][..], &["10.0.0.0/16"][..]),
            ("10.0.0.0/16", &["10.0.0.0/8"], &[]),
            ("10.0.0.0/16", &["10.0.128.0/17"], &["10.0.0.0/17"]),
            ("10.0.0.0/16", &["10.0.64.0/18", "10.1.0.0/16"], &["10.0.0.0/18", "10.0.128.0/17"]),
            ("10.0.0.0/31", &["10.0.0.0/32", "10.0.0.1/32"], &[]),
            ("::/0", &["10.0.0.0/8"], &["::/0"]),
        ] {
            assert_eq!(without(net(whole), &nets(cuts)), nets(left), "{whole} without {cuts:?}");
        }
    }

    /// Blocks of few bits, so that they meet.
    fn block() -> impl Strategy<Value = IpNet> {
        (0_u8..64, 26_u8..=32).prop_map(|(host, length)| {
            IpNet::new(IpAddr::from([10, 0, 0, host]), length).expect("a length").trunc()
        })
    }

    proptest! {
        /// Address by address, the parts agree with the definition: the longest route that covers.
        #[test]
        fn shares_are_longest_matches(
            whole in block(),
            destinations in prop::collection::btree_set(block(), 0..8),
        ) {
            let routes: Vec<Route> = (0..).zip(&destinations).map(|(n, d)| route(*d, n)).collect();
            let parts = shares(&routes, whole);
            for address in whole.hosts().chain([whole.network(), whole.broadcast()]) {
                let covering = routes.iter().filter(|r| r.destination.contains(&address));
                let longest = covering.max_by_key(|r| r.destination.prefix_len()).copied();
                let mut of_it = parts.iter().filter(|part| part.block.contains(&address));
                prop_assert_eq!(of_it.next().map(|part| part.route), Some(longest));
                prop_assert!(of_it.next().is_none(), "{} is in two parts", address);
            }
            prop_assert!(parts.iter().all(|part| whole.contains(&part.block)));
        }

        /// Address by address, what is left is what no cut has.
        #[test]
        fn without_takes_out_the_cuts_alone(
            whole in block(),
            cuts in prop::collection::vec(block(), 0..8),
        ) {
            let left = without(whole, &cuts);
            for address in whole.hosts().chain([whole.network(), whole.broadcast()]) {
                let cut = cuts.iter().any(|cut| cut.contains(&address));
                let is_left = left.iter().filter(|part| part.contains(&address)).count();
                prop_assert_eq!(is_left, usize::from(!cut));
            }
        }
    }
}
