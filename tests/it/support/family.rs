//! Visiting small worlds: families of them, each counted through like a number, on all processors.
//!
//! Refuses to judge: what is looked at in a world is the caller's.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vpclab::forward::{DropReason, Rows};
use vpclab::wire::Packet;

use super::small::{About, Defaults, Shape, Slot, SmallWorld, Stage};

/// What is done in each world: it gets the rows of its cloud and a packet for each ordered pair of
/// VPCs.
pub(crate) type Look = fn(&SmallWorld, &Rows, &[(usize, usize, Packet)], &mut Tally);

/// How much was looked at, and what was seen.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    pub(crate) worlds: u64,
    /// How many worlds there are if those are counted that differ by the names of VPCs alone.
    pub(crate) with_names: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: BTreeMap<DropReason, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Tally) {
        self.worlds += other.worlds;
        self.with_names += other.with_names;
        self.delivered += other.delivered;
        for (reason, count) in &other.dropped {
            *self.dropped.entry(*reason).or_default() += count;
        }
    }

    pub(crate) fn packets(&self) -> u64 {
        self.delivered + self.dropped.values().sum::<u64>()
    }
}

/// A family of worlds that one thread visits: of one shape, some slots fixed, some free.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    shape: Shape,
    defaults: Defaults,
    /// What peerings may have become once the routes are set: each combination is a world.
    stages: &'static [Stage],
    fixed: Vec<(usize, usize)>,
    free: Vec<usize>,
    /// How many families differ from this one by the names of VPCs alone, itself included.
    stands_for: u64,
    /// Only worlds in which each of these VPCs has a route: keeps families disjoint.
    busy: Vec<usize>,
}

impl Family {
    /// Every world of a shape, split into one family for each content of the first table.
    pub(crate) fn split(
        shape: &Shape,
        defaults: Defaults,
        stages: &'static [Stage],
    ) -> Vec<Family> {
        let slots = shape.slots(defaults);
        let first = slots.first().map(|slot| slot.vpc);
        let (head, free): (Vec<usize>, Vec<usize>) =
            (0..slots.len()).partition(|slot| Some(slots[*slot].vpc) == first);
        let radix: Vec<usize> = head.iter().map(|slot| slots[*slot].choices.len() + 1).collect();
        let mut families = Vec::new();
        each_number(&radix, |digits| {
            families.push(Family {
                shape: shape.clone(),
                defaults,
                stages,
                fixed: head.iter().copied().zip(digits.iter().copied()).collect(),
                free: free.clone(),
                stands_for: 1,
                busy: Vec::new(),
            });
        });
        families
    }

    /// Of the families of [`Family::split`], without default routes and with every peering active,
    /// those that are left if of those that differ by the names of VPCs alone one is kept.
    fn split_up_to_names(shape: &Shape) -> Vec<Family> {
        let Some(shapes) = shape.stands_for() else { return Vec::new() };
        let slots = shape.slots(Defaults::Without);
        let kept = |mut family: Family| {
            let route = |&(slot, digit): &(usize, usize)| {
                let Slot { vpc, about, choices } = &slots[slot];
                let About::Block(about) = about else { unreachable!("no default routes") };
                let chosen = digit.checked_sub(1)?;
                Some((*about, shape.other_end(choices[chosen], *vpc)))
            };
            let table: Vec<(usize, usize)> = family.fixed.iter().filter_map(route).collect();
            let tables = match slots.first() {
                Some(first) => shape.table_stands_for(first.vpc, &table)?,
                None => 1,
            };
            family.stands_for = shapes * tables;
            Some(family)
        };
        let all = Family::split(shape, Defaults::Without, &[Stage::Active]);
        all.into_iter().filter_map(kept).collect()
    }

    /// The worlds of a shape in which exactly these VPCs have routes, and every peering is active.
    pub(crate) fn only(shape: &Shape, defaults: Defaults, busy: &[usize]) -> Family {
        let slots = shape.slots(defaults);
        Family {
            shape: shape.clone(),
            defaults,
            stages: &[Stage::Active],
            fixed: Vec::new(),
            free: (0..slots.len()).filter(|slot| busy.contains(&slots[*slot].vpc)).collect(),
            stands_for: 1,
            busy: busy.to_vec(),
        }
    }

    fn visit(&self, look: Look) -> Tally {
        let mut tally = Tally::default();
        let mut world = SmallWorld::new(self.shape.clone(), self.defaults);
        let rows = Rows::of(&world.lab.cloud);
        let packets = world.packets();
        for (slot, digit) in &self.fixed {
            world.choose(*slot, *digit);
        }
        let peerings = self.shape.peerings.len();
        if let [stage] = self.stages {
            (0..peerings).for_each(|p| world.advance(p, *stage));
        }
        let radix: Vec<usize> =
            self.free.iter().map(|slot| world.slots[*slot].choices.len() + 1).collect();
        each_number(&radix, |digits| {
            for (slot, digit) in self.free.iter().zip(digits) {
                world.choose(*slot, *digit);
            }
            let has_route = |vpc: &usize| {
                let mut filled = world.slots.iter().zip(&world.digits);
                filled.any(|(slot, digit)| slot.vpc == *vpc && *digit != 0)
            };
            if !self.busy.iter().all(has_route) {
                return;
            }
            if self.stages.len() == 1 {
                look(&world, &rows, &packets, &mut tally);
                return;
            }
            each_number(&vec![self.stages.len(); peerings], |stages| {
                let mut settled = world.clone();
                for (peering, stage) in stages.iter().enumerate() {
                    settled.advance(peering, self.stages[*stage]);
                }
                look(&settled, &rows, &packets, &mut tally);
            });
        });
        tally.with_names = tally.worlds * self.stands_for;
        tally
    }
}

/// Counts through every number with these radices, the last digit fastest.
fn each_number(radix: &[usize], mut visit: impl FnMut(&[usize])) {
    let mut digits = vec![0; radix.len()];
    loop {
        visit(&digits);
        let Some(at) = (0..radix.len()).rev().find(|at| digits[*at] + 1 < radix[*at]) else {
            return;
        };
        digits[at] += 1;
        digits[at + 1..].fill(0);
    }
}

/// Visits the families on as many threads as there are processors.
pub(crate) fn visit(name: &str, families: &[Family], look: Look) -> Tally {
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(family) = families.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let seen = family.visit(look);
                    total.lock().unwrap().add(&seen);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!(
        "{name}: {} worlds, {} packets, {} delivered",
        total.worlds,
        total.packets(),
        total.delivered
    );
    for (reason, count) in &total.dropped {
        println!("    {reason:<10} {count}");
    }
    total
}

/// The worlds of these shapes, with their peerings active and without default routes; of those that
/// differ by the names of VPCs alone at least one. Each VPC has a block of its own.
pub(crate) fn families_up_to_names(shapes: &[Shape]) -> Vec<Family> {
    shapes.iter().flat_map(Family::split_up_to_names).collect()
}

/// Every world of these shapes.
pub(crate) fn families(
    shapes: &[Shape],
    defaults: Defaults,
    stages: &'static [Stage],
) -> Vec<Family> {
    shapes.iter().flat_map(|shape| Family::split(shape, defaults, stages)).collect()
}
