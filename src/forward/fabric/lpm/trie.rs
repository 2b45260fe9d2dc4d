//! The tables of one family: how leaves and nodes hang together, and how they change.
//!
//! Holds the search and the ways up and down in size. A leaf that is full becomes a node; a node
//! that has too many or too few routes for its slots is built anew, which happens once in a number of
//! changes proportional to its routes. Refuses routes of no bits: a table has its default beside.

use std::hint::select_unpredictable;

use super::address::Address;
use super::arena::{Arena, LINE};
use super::leaf::{Joined, Leaf, MOST, Route};
use super::node::{BITS_MOST, Below, Node, Place};
use super::search::Search;

/// Routes from 2^this on that do not get a slot each.
const DENSE_LOG: u32 = 13;
/// Units that a route takes when it has a slot of its own.
const UNITS_PER_ROUTE: u32 = 2;

/// By how many bits a node tells so many routes apart, if there are so many bits.
///
/// As long as all tables stay in a near cache, it has a slot or two for each route, and below these
/// leaves of one route or two. With more routes there are up to eight times fewer slots: a search
/// waits for memory then, and less so the less memory there is.
fn bits_for<A: Address>(arena: &Arena, routes: usize) -> u32 {
    let all = (arena.used() / UNITS_PER_ROUTE).ilog2().max(routes.ilog2());
    let fewer = (all + 1).saturating_sub(DENSE_LOG).min(A::ROUTES_PER_SLOT_LOG);
    (routes.ilog2() + 1 - fewer).clamp(2, BITS_MOST)
}

/// Is a node to be built anew that has so many routes now? Not before they are twice or half as many as
/// when it was built, or the arena has become four times as large, which it never does again.
fn is_unfit<A: Address>(arena: &Arena, node: Node<A>, routes: usize) -> bool {
    let want = bits_for::<A>(arena, routes).min(A::BITS - node.from);
    routes <= A::LEAF / 2 || node.bits.abs_diff(want) >= 2
}

/// Searches from here on down: the code of the longest prefix that covers the address, or `best`.
///
/// # Safety
/// `place` is that of something of this family in the arena, or nothing's.
#[inline(always)]
#[allow(unsafe_code, reason = "see `Arena::read`")]
pub(super) unsafe fn find<A: Search>(
    arena: &Arena,
    mut place: Place,
    mut best: u32,
    address: A,
) -> u32 {
    // SAFETY: what hangs below a node is in the arena as it is, so this holds for each step.
    unsafe {
        while place.is_node() {
            let code;
            let at = place.at();
            (place, code) = Node::<A>::slot_at(arena, at, Node::seek(arena, at, address));
            best = select_unpredictable(code == 0, best, code);
            if place.is_at_most(1) {
                return A::find::<4>(arena, place, best, address);
            }
        }
        if place.is_at_most(4) {
            A::find::<12>(arena, place, best, address)
        } else {
            A::find::<MOST>(arena, place, best, address)
        }
    }
}

/// Asks for what a search reads here next: a leaf or the header of a node. As asking does no harm
/// and a branch does, where nothing hangs it asks for something else.
#[inline(always)]
pub(super) fn prefetch<A: Search>(arena: &Arena, place: Place) {
    // The second line of a leaf that has more than one, or the first once more.
    let in_a_line = LINE / (A::WORDS + 1);
    let has_two = place.room() > in_a_line;
    arena.prefetch_word(place.at(), 0);
    arena.prefetch_word(place.at(), if has_two { LINE } else { 0 });
}

/// Gives back all blocks below.
pub(super) fn free<A: Search>(arena: &mut Arena, place: Place) {
    if place != Place::default() {
        dismantle::<A>(arena, place, 0, &mut Vec::new());
    }
}

/// Builds what holds these routes, sorted by net, then length, no two with the same prefix.
pub(super) fn build<A: Search>(arena: &mut Arena, routes: &[Route<A>]) -> Below {
    let [first, .., last] = routes else {
        return match routes {
            [] => Below::Nothing,
            _ => Below::Leaf(Leaf::build(arena, routes)),
        };
    };
    if routes.len() <= A::LEAF {
        return Below::Leaf(Leaf::build(arena, routes));
    }
    let shortest = routes.iter().map(|route| route.len).min().unwrap_or(1);
    let from = first.net.common(last.net).min(shortest);
    let bits = bits_for::<A>(arena, routes.len()).min(A::BITS - from);
    // More routes than a leaf has differ in more than two bits, so there are two to tell them by.
    let node = Node::build(arena, first.net, from, bits);
    node.set_routes(arena, routes.len());
    let mut rest = routes;
    while let Some(route) = rest.first() {
        if node.is_local(route.len) {
            node.put(arena, route.net, route.len, route.code);
            rest = &rest[1..];
            continue;
        }
        let slot = node.slot_of(route.net);
        let below = |r: &&Route<A>| !node.is_local(r.len) && node.slot_of(r.net) == slot;
        // A route that ends at the slot comes before all that are longer, so these are together.
        let (here, behind) = rest.split_at(rest.iter().take_while(below).count());
        let below = build(arena, here);
        node.hang(arena, slot, below);
        rest = behind;
    }
    Below::Node(node.at)
}

/// Adds a route below `place`, or gives the one with its prefix another code. Returns what hangs
/// there now, and the code that the prefix had, or 0.
pub(super) fn insert<A: Search>(arena: &mut Arena, place: Place, route: Route<A>) -> (Below, u32) {
    match place.below() {
        Below::Nothing => (Below::Leaf(Leaf::build(arena, &[route])), 0),
        Below::Leaf(leaf) => match leaf.insert(arena, route) {
            Joined::Added(leaf) => (Below::Leaf(leaf), 0),
            Joined::Replaced(old) => (Below::Leaf(leaf), old),
            Joined::Full => (rebuild(arena, place, route.net.half(), Some(route)), 0),
        },
        Below::Node(at) => {
            let node = Node::read(arena, at);
            if route.len < node.from || !node.holds(route.net) {
                // The node was built for a smaller block than the routes that there are need.
                return (rebuild(arena, place, route.net.half(), Some(route)), 0);
            }
            let old = if node.is_local(route.len) {
                node.put(arena, route.net, route.len, route.code)
            } else {
                let slot = node.slot_of(route.net);
                let (next, _) = node.slot(arena, slot);
                let (below, old) = insert(arena, next, route);
                if below != next.below() {
                    node.hang(arena, slot, below);
                }
                old
            };
            if old != 0 {
                return (Below::Node(at), old);
            }
            let routes = node.routes(arena) + 1;
            node.set_routes(arena, routes);
            (refit(arena, node, routes, route.net.half()), 0)
        }
    }
}

/// Takes the route with this prefix out from below `place`. `None` if there is none, else its code
/// and what hangs there now.
pub(super) fn remove<A: Search>(
    arena: &mut Arena,
    place: Place,
    net: A,
    len: u32,
) -> Option<(Below, u32)> {
    match place.below() {
        Below::Nothing => None,
        Below::Leaf(leaf) => {
            let (code, left) = leaf.remove(arena, net, len)?;
            Some((left.map_or(Below::Nothing, Below::Leaf), code))
        }
        Below::Node(at) => {
            let node = Node::read(arena, at);
            if len < node.from || !node.holds(net) {
                return None;
            }
            let code = if node.is_local(len) {
                Some(node.put(arena, net, len, 0)).filter(|code| *code != 0)?
            } else {
                let slot = node.slot_of(net);
                let (next, _) = node.slot(arena, slot);
                let (below, code) = remove(arena, next, net, len)?;
                if below != next.below() {
                    node.hang(arena, slot, below);
                }
                code
            };
            let routes = node.routes(arena) - 1;
            node.set_routes(arena, routes);
            let below = refit(arena, node, routes, net.half());
            Some((below, code))
        }
    }
}

/// The node, or what it was built anew to if it is unfit for so many routes.
fn refit<A: Search>(arena: &mut Arena, node: Node<A>, routes: usize, half: usize) -> Below {
    let below = Below::Node(node.at);
    if is_unfit(arena, node, routes) {
        return rebuild::<A>(arena, Place::of(below), half, None);
    }
    below
}

/// Builds what hangs below `place` in this half of a table anew, with one route more if there is one.
fn rebuild<A: Search>(
    arena: &mut Arena,
    place: Place,
    half: usize,
    more: Option<Route<A>>,
) -> Below {
    let mut routes = Vec::new();
    dismantle(arena, place, half, &mut routes);
    routes.extend(more);
    routes.sort_unstable();
    build(arena, &routes)
}

/// Moves all routes below `place` to `into` and gives all blocks back.
fn dismantle<A: Search>(arena: &mut Arena, place: Place, half: usize, into: &mut Vec<Route<A>>) {
    match place.below() {
        Below::Nothing => {}
        Below::Leaf(leaf) => {
            leaf.collect(arena, half, into);
            leaf.free::<A>(arena);
        }
        Below::Node(at) => {
            let node = Node::<A>::read(arena, at);
            into.extend(node.local(arena).map(|(net, len, code)| Route { net, len, code }));
            for slot in 0..node.slots() {
                dismantle(arena, node.slot(arena, slot).0, half, into);
            }
            node.free(arena);
        }
    }
}
