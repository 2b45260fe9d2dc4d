//! From rules to strokes: what security groups and network ACLs say, class by class.
//!
//! Holds the meaning of rules (vpc-semantics 3.7, 3.8) as far as one packet goes. Refuses to look
//! names up: rules come with addresses, lists of blocks and rows of groups.

use ipnet::IpNet;

use super::arena::{Arena, Indexed};
use super::cell::{Bits, Cell, REFUSED, TRACKED, UNTRACKED};
use super::members::GroupRow;
use super::paint::{Mark, Painter, Stroke};
use super::probe::Class;
use crate::cloud::filter::{Direction, IcmpMatch, PortRange, Traffic};
use crate::cloud::network_acl::{AclAction, AclEntry};
use crate::wire::Family;

/// Whose packets a rule allows, with its name looked up.
#[derive(Clone, Copy, Debug)]
pub enum Far<'a> {
    /// Addresses of this block.
    Block(IpNet),
    /// Addresses of any of these blocks: a prefix list.
    Blocks(&'a [IpNet]),
    /// Members of this group that send under their own address.
    Members(GroupRow),
}

/// A rule of a security group, with its name looked up.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// What it allows.
    pub traffic: Traffic,
    /// From whom or to whom.
    pub far: Far<'a>,
}

/// A line of the cache: by family, IPv4 first, and class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(align(64))]
pub(super) struct Line([Cell; 8]);

const _: () = assert!(size_of::<Line>() == 64);

impl Line {
    /// One word for everything.
    pub(super) const fn constant(word: Bits) -> Line {
        Line([Cell::constant(word); 8])
    }

    #[inline]
    pub(super) const fn cell(&self, family: Family, class: Class) -> Cell {
        self.0[4 * family as usize + class as usize]
    }

    /// The cell of each family and class.
    fn of(mut cell: impl FnMut(Family, Class) -> Cell) -> Line {
        let mut line = Line::constant(REFUSED);
        let ways = Family::ALL.into_iter().flat_map(|f| Class::ALL.map(|class| (f, class)));
        for (at, (family, class)) in line.0.iter_mut().zip(ways) {
            *at = cell(family, class);
        }
        line
    }
}

/// The keys of a class that traffic is about, `None` if it is about none; the word is the caller's.
fn keys(traffic: Traffic, (family, class): (Family, Class), word: Bits) -> Option<Mark> {
    let all = Mark { first: 0, last: u16::MAX, later: true, word };
    let ports = |range: PortRange| {
        let later = range == PortRange::ALL;
        Some(Mark { first: range.first(), last: range.last(), later, word })
    };
    match (traffic, class) {
        (Traffic::All, _) => Some(all),
        (Traffic::Tcp(range), Class::Tcp) | (Traffic::Udp(range), Class::Udp) => ports(range),
        (Traffic::Icmp(which), Class::Icmp) if family == Family::V4 => icmp(which, all),
        (Traffic::Icmpv6(which), Class::Icmp) if family == Family::V6 => icmp(which, all),
        (Traffic::Other(protocol), Class::Other) => {
            let has_class = Class::ALL.iter().any(|class| class.protocol(family) == Some(protocol));
            let key = u16::from(protocol.0);
            (!has_class).then_some(Mark { first: key, last: key, later: false, word })
        }
        (Traffic::Other(protocol), class) => {
            (class.protocol(family) == Some(protocol)).then_some(all)
        }
        _ => None,
    }
}

fn icmp(which: IcmpMatch, all: Mark) -> Option<Mark> {
    let (first, last) = match which {
        IcmpMatch::Any => return Some(all),
        IcmpMatch::Type(kind) => ([kind, 0], [kind, u8::MAX]),
        IcmpMatch::TypeAndCode(kind, code) => ([kind, code], [kind, code]),
    };
    let [first, last] = [first, last].map(u16::from_be_bytes);
    Some(Mark { first, last, later: false, ..all })
}

/// The first and the last address of a block, if it is of this family.
pub(super) trait Ends: Indexed {
    fn ends(block: &IpNet) -> Option<(Self, Self)>;
}

impl Ends for u32 {
    fn ends(block: &IpNet) -> Option<(u32, u32)> {
        match block {
            IpNet::V4(net) => Some((net.network().into(), net.broadcast().into())),
            IpNet::V6(_) => None,
        }
    }
}

impl Ends for u128 {
    fn ends(block: &IpNet) -> Option<(u128, u128)> {
        match block {
            IpNet::V4(_) => None,
            IpNet::V6(net) => Some((net.network().into(), net.broadcast().into())),
        }
    }
}

/// Turns rules into lines, one after another, with memory that is used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiler {
    painter: Painter,
    strokes4: Vec<Stroke<u32>>,
    strokes6: Vec<Stroke<u128>>,
}

impl Compiler {
    /// The lines of an interface's groups: `[ingress, egress]`, as the rules.
    pub(super) fn groups(&mut self, arena: &mut Arena, rules: [&[Rule<'_>]; 2]) -> [Line; 2] {
        let [ingress, egress] = rules;
        [(ingress, egress), (egress, ingress)].map(|(rules, answers)| {
            Line::of(|family, class| match family {
                Family::V4 => {
                    let mut strokes = std::mem::take(&mut self.strokes4);
                    let cell = self.group_cell(arena, class, rules, answers, &mut strokes);
                    self.strokes4 = strokes;
                    cell
                }
                Family::V6 => {
                    let mut strokes = std::mem::take(&mut self.strokes6);
                    let cell = self.group_cell(arena, class, rules, answers, &mut strokes);
                    self.strokes6 = strokes;
                    cell
                }
            })
        })
    }

    /// What the rules of one direction say of one class.
    ///
    /// 3.7: TCP and UDP that a rule allows for all addresses is not tracked if all its answers are
    /// allowed anyway, and an answer in such a flow opens no other. So either all ports are allowed
    /// for everybody here, and the word depends on the sender's port alone; or it depends on the far
    /// end and the receiver's port alone.
    fn group_cell<A: Ends>(
        &mut self,
        arena: &mut Arena,
        class: Class,
        rules: &[Rule<'_>],
        answers: &[Rule<'_>],
        strokes: &mut Vec<Stroke<A>>,
    ) -> Cell {
        strokes.clear();
        let way = (A::FAMILY, class);
        let is_everybody = |rule: &Rule<'_>| match rule.far {
            Far::Block(block) => block.prefix_len() == 0 && A::ends(&block).is_some(),
            Far::Blocks(_) | Far::Members(_) => false,
        };
        let has_ports = matches!(class, Class::Tcp | Class::Udp);
        let all_ports = |rules: &[Rule<'_>]| {
            let Some(protocol) = class.protocol(A::FAMILY).filter(|_| has_ports) else {
                return false;
            };
            rules.iter().any(|r| is_everybody(r) && r.traffic.is_all_ports_of(protocol))
        };
        let everybody = |rules: &[Rule<'_>], marks: &mut Vec<Mark>| {
            let untracked = rules.iter().filter(|rule| is_everybody(rule));
            marks.extend(untracked.filter_map(|rule| keys(rule.traffic, way, UNTRACKED)));
        };
        let mut above = Vec::new();
        if all_ports(rules) {
            above.push(Mark { first: 0, last: u16::MAX, later: true, word: TRACKED });
            everybody(answers, &mut above);
            let cell = self.painter.keys_cell(&mut arena.keys, &above);
            return if cell.as_constant().is_some() { cell } else { cell.by_source() };
        }
        let mut named: Vec<(GroupRow, Mark)> = Vec::new();
        for rule in rules {
            let Some(mark) = keys(rule.traffic, way, TRACKED) else { continue };
            let blocks = match &rule.far {
                Far::Block(block) => std::slice::from_ref(block),
                Far::Blocks(blocks) => blocks,
                Far::Members(group) => {
                    named.push((*group, mark));
                    continue;
                }
            };
            for (first, last) in blocks.iter().filter_map(A::ends) {
                let stroke = Stroke { first, last, mark };
                if stroke.is_everywhere() { above.push(mark) } else { strokes.push(stroke) }
            }
        }
        if all_ports(answers) {
            everybody(rules, &mut above);
        }
        let base = self.painter.paint(arena, strokes, &above);
        if named.is_empty() {
            return base;
        }
        named.sort_by_key(|(group, _)| *group);
        let groups = named.chunk_by(|(a, _), (b, _)| a == b).map(|of_one| {
            let marks: Vec<Mark> = of_one.iter().map(|(_, mark)| *mark).collect();
            (of_one[0].0, self.painter.keys_cell(&mut arena.keys, &marks))
        });
        let groups: Vec<(GroupRow, Cell)> = groups.collect();
        arena.named(base, &groups)
    }

    /// The lines of an ACL, `[ingress, egress]`, as its entries, those with lower numbers first.
    pub(super) fn acl(&mut self, arena: &mut Arena, entries: [&[AclEntry]; 2]) -> [Line; 2] {
        entries.map(|entries| {
            Line::of(|family, class| match family {
                Family::V4 => {
                    let mut strokes = std::mem::take(&mut self.strokes4);
                    let cell = self.acl_cell(arena, class, entries, &mut strokes);
                    self.strokes4 = strokes;
                    cell
                }
                Family::V6 => {
                    let mut strokes = std::mem::take(&mut self.strokes6);
                    let cell = self.acl_cell(arena, class, entries, &mut strokes);
                    self.strokes6 = strokes;
                    cell
                }
            })
        })
    }

    fn acl_cell<A: Ends>(
        &mut self,
        arena: &mut Arena,
        class: Class,
        entries: &[AclEntry],
        strokes: &mut Vec<Stroke<A>>,
    ) -> Cell {
        strokes.clear();
        // The lowest number lies on top.
        strokes.extend(entries.iter().rev().filter_map(|entry| {
            let word = match entry.action {
                AclAction::Allow => TRACKED,
                AclAction::Deny => REFUSED,
            };
            let mark = keys(entry.traffic, (A::FAMILY, class), word)?;
            let (first, last) = A::ends(&entry.block)?;
            Some(Stroke { first, last, mark })
        }));
        self.painter.paint(arena, strokes, &[])
    }
}

/// The row of a direction among `[ingress, egress]`.
#[inline]
pub(super) const fn side(direction: Direction) -> usize {
    match direction {
        Direction::Ingress => 0,
        Direction::Egress => 1,
    }
}
