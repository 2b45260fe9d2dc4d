//! Small worlds: a handful of VPCs with one host each, every choice of routes towards peerings.
//!
//! Holds the worlds as numbers, how a number becomes a cloud, and what the numbers alone say about
//! each packet ([`SmallWorld::expected`]: a few lines, no cloud, no addresses). Refuses to choose
//! which worlds are visited.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net};
use vpclab::base::id::{InterfaceId, PeeringId, RouteTableId, VpcId};
use vpclab::cloud::command::Command;
use vpclab::cloud::profile::Profile;
use vpclab::cloud::route_table::RouteTarget;
use vpclab::forward::DropReason;
use vpclab::wire::Packet;

use super::lab::{Lab, datagram};

/// Which VPCs there are and which pairs have a peering. VPC `x` has block `blocks[x]`; two may have
/// the same one, if no peering joins them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) blocks: Vec<usize>,
    pub(crate) peerings: Vec<(usize, usize)>,
}

/// How far a peering has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Pending,
    Active,
    Deleted,
}

/// What a route of a small world is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum About {
    /// A block, by number.
    Block(usize),
    /// Everything: a default route.
    Everything,
}

/// A place for a route: in the main table of a VPC, for one destination, to one of `choices`
/// (peerings of that VPC, by number) or absent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) vpc: usize,
    pub(crate) about: About,
    pub(crate) choices: Vec<usize>,
}

/// Where a packet of a small world ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expected {
    /// At the host of this VPC.
    Host(usize),
    /// Nowhere.
    Dropped(DropReason),
}

/// Every way to give `n` VPCs each other's names.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |names: Vec<usize>| {
        (0..n).map(move |at| {
            let mut longer = names.clone();
            longer.insert(at, last);
            longer
        })
    };
    permutations(last).into_iter().flat_map(insert).collect()
}

impl Shape {
    /// Every shape with VPCs of these blocks: each set of pairs with different blocks.
    pub(crate) fn all(blocks: &[usize]) -> Vec<Shape> {
        let n = blocks.len();
        let pairs = (0..n).flat_map(|x| (x + 1..n).map(move |y| (x, y)));
        let pairs: Vec<_> = pairs.filter(|(x, y)| blocks[*x] != blocks[*y]).collect();
        let chosen = |set: usize| {
            let these = pairs.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1);
            these.map(|(_, pair)| *pair).collect()
        };
        (0..1 << pairs.len())
            .map(|set| Shape { blocks: blocks.to_vec(), peerings: chosen(set) })
            .collect()
    }

    /// The same shape when VPC `x` is called `names[x]`. Peerings stay in order of their names.
    fn renamed(&self, names: &[usize]) -> Vec<(usize, usize)> {
        let rename = |(x, y): &(usize, usize)| (names[*x].min(names[*y]), names[*x].max(names[*y]));
        let mut peerings: Vec<_> = self.peerings.iter().map(rename).collect();
        peerings.sort_unstable();
        peerings
    }

    /// How many shapes differ from this one by the names of VPCs alone, itself included; `None` if
    /// one of those comes before it. So of each kind of shape exactly one gets an answer.
    pub(crate) fn stands_for(&self) -> Option<u64> {
        let named = permutations(self.blocks.len());
        let alike: BTreeSet<_> = named.iter().map(|names| self.renamed(names)).collect();
        (alike.first() == Some(&self.peerings)).then_some(alike.len() as u64)
    }

    /// The same question about the table of `vpc`, which has a peering for each block or none: among
    /// its contents in this shape, when the names of the others are changed in ways that leave the
    /// peerings as they are. Blocks go with the names of their VPCs, so each VPC must have its own.
    pub(crate) fn table_stands_for(&self, vpc: usize, table: &[(usize, usize)]) -> Option<u64> {
        let named = permutations(self.blocks.len());
        let same = named.iter().filter(|n| n[vpc] == vpc && self.renamed(n) == self.peerings);
        let towards: BTreeMap<usize, usize> = table.iter().copied().collect();
        let alike: BTreeSet<BTreeMap<usize, usize>> = same
            .map(|names| towards.iter().map(|(about, to)| (names[*about], names[*to])).collect())
            .collect();
        (alike.first() == Some(&towards)).then_some(alike.len() as u64)
    }

    /// The places for routes, VPC by VPC: one for each block of others, and one for a default route
    /// if it is wanted. A VPC without a peering has none.
    pub(crate) fn slots(&self, defaults: Defaults) -> Vec<Slot> {
        let mut others = self.blocks.clone();
        others.sort_unstable();
        others.dedup();
        let mut slots = Vec::new();
        for vpc in 0..self.blocks.len() {
            let ends = self.peerings.iter().enumerate();
            let choices: Vec<usize> =
                ends.filter(|(_, (x, y))| *x == vpc || *y == vpc).map(|(p, _)| p).collect();
            let blocks = others.iter().filter(|b| **b != self.blocks[vpc]);
            let abouts = blocks.map(|b| About::Block(*b)).chain(match defaults {
                Defaults::With => Some(About::Everything),
                Defaults::Without => None,
            });
            if !choices.is_empty() {
                slots.extend(abouts.map(|about| Slot { vpc, about, choices: choices.clone() }));
            }
        }
        slots
    }

    /// The VPC at the other end of a peering.
    pub(crate) fn other_end(&self, peering: usize, vpc: usize) -> usize {
        let (x, y) = self.peerings[peering];
        if x == vpc { y } else { x }
    }
}

/// Whether tables may hold default routes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Defaults {
    With,
    Without,
}

/// One world: a shape, a choice for each slot (0 is no route, `k` is `choices[k - 1]`), a stage for
/// each peering, and the cloud that says the same.
#[derive(Clone, Debug)]
pub(crate) struct SmallWorld {
    pub(crate) lab: Lab,
    pub(crate) shape: Shape,
    pub(crate) slots: Vec<Slot>,
    pub(crate) digits: Vec<usize>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) hosts: Vec<InterfaceId>,
    tables: Vec<RouteTableId>,
    peerings: Vec<PeeringId>,
}

impl SmallWorld {
    /// No routes, every peering pending.
    pub(crate) fn new(shape: Shape, defaults: Defaults) -> SmallWorld {
        let mut lab = Lab::new(Profile::Seed);
        let made: Vec<_> = shape.blocks.iter().map(|b| lab.simple_vpc(block(*b))).collect();
        let vpcs: Vec<VpcId> = made.iter().map(|(vpc, _)| *vpc).collect();
        let hosts = made.iter().map(|(_, subnet)| lab.host(*subnet).unwrap()).collect();
        let tables = vpcs.iter().map(|vpc| lab.main_table(*vpc)).collect();
        let ends = shape.peerings.iter();
        let peerings: Vec<_> =
            ends.map(|(x, y)| lab.request(vpcs[*x], vpcs[*y]).unwrap()).collect();
        let slots = shape.slots(defaults);
        let digits = vec![0; slots.len()];
        let stages = vec![Stage::Pending; peerings.len()];
        SmallWorld { lab, shape, slots, digits, stages, hosts, tables, peerings }
    }

    /// Fills one slot.
    pub(crate) fn choose(&mut self, slot: usize, digit: usize) {
        let Slot { vpc, about, choices } = &self.slots[slot];
        let (table, owner) =
            (self.tables[*vpc], self.lab.cloud.interface(self.hosts[*vpc]).unwrap().vpc);
        let destination: IpNet = match about {
            About::Block(b) => block(*b).into(),
            About::Everything => "0.0.0.0/0".parse().unwrap(),
        };
        let command = match (self.digits[slot], digit) {
            (old, new) if old == new => return,
            (_, 0) => Command::DeleteRoute { table, destination },
            (0, new) => {
                let target = RouteTarget::Peering(self.peerings[choices[new - 1]]);
                Command::CreateRoute { table, destination, target }
            }
            (_, new) => {
                let target = RouteTarget::Peering(self.peerings[choices[new - 1]]);
                Command::ReplaceRoute { table, destination, target }
            }
        };
        self.lab.must(owner, &command);
        self.digits[slot] = digit;
    }

    /// Takes a peering as far as this.
    pub(crate) fn advance(&mut self, peering: usize, stage: Stage) {
        let id = self.peerings[peering];
        match stage {
            Stage::Pending => {}
            Stage::Active => self.lab.accept(id).unwrap(),
            Stage::Deleted => {
                self.lab.accept(id).unwrap();
                self.lab.delete(id).unwrap();
            }
        }
        self.stages[peering] = stage;
    }

    /// The route that decides over a packet from VPC `x` to block `b`: the specific one if there
    /// is one, else the default.
    fn route(&self, x: usize, b: usize) -> Option<usize> {
        let chosen = |wanted| {
            let mut places = self.slots.iter().zip(&self.digits);
            let (slot, digit) = places.find(|(slot, _)| slot.vpc == x && slot.about == wanted)?;
            digit.checked_sub(1).map(|nth| slot.choices[nth])
        };
        chosen(About::Block(b)).or_else(|| chosen(About::Everything))
    }

    /// What must become of a packet from the host of `x` to the address of the host of `y`.
    pub(crate) fn expected(&self, x: usize, y: usize) -> Expected {
        let b = self.shape.blocks[y];
        if self.shape.blocks[x] == b {
            return Expected::Host(x);
        }
        match self.route(x, b) {
            None => Expected::Dropped(DropReason::NoRoute),
            Some(p) if self.stages[p] != Stage::Active => Expected::Dropped(DropReason::Blackhole),
            Some(p) => match self.shape.other_end(p, x) {
                peer if self.shape.blocks[peer] == b => Expected::Host(peer),
                _ => Expected::Dropped(DropReason::Transit),
            },
        }
    }

    /// Are the two the same, or joined by an active peering?
    pub(crate) fn may_meet(&self, x: usize, y: usize) -> bool {
        let mut joined = self.shape.peerings.iter().zip(&self.stages);
        x == y || joined.any(|(p, s)| (*p == (x, y) || *p == (y, x)) && *s == Stage::Active)
    }

    /// Every ordered pair of different VPCs, with a packet from the host of one to the address of
    /// the host of the other.
    pub(crate) fn packets(&self) -> Vec<(usize, usize, Packet)> {
        let n = self.hosts.len();
        let pairs = (0..n).flat_map(|x| (0..n).map(move |y| (x, y))).filter(|(x, y)| x != y);
        let address = |x: usize| self.lab.address(self.hosts[x]);
        pairs.map(|(x, y)| (x, y, datagram(address(x), address(y)))).collect()
    }
}

/// `10.b.0.0/16`.
fn block(b: usize) -> Ipv4Net {
    format!("10.{b}.0.0/16").parse().unwrap()
}
