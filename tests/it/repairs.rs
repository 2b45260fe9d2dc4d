//! Repairs are true and complete: carried out in full they let the packet through, without any one
//! of their parts they do not (S20), and one is offered wherever nothing stands in the way.
//!
//! Takes blocked packets of random worlds, asks for a repair, carries it out independently and asks a
//! judge that had no part in it: the independent oracle where there are only routes and peerings, the
//! compiled twin in worlds with everything that blocks. Prints how many could be helped, and what stood
//! in the way of the others.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests say how much they have looked at"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use vpclab::base::id::{InterfaceId, VpcId};
use vpclab::cloud::cidr::any_overlap;
use vpclab::cloud::instance::Interface;
use vpclab::cloud::peering::Status;
use vpclab::forward::repair::{Fix, Ground, Intent, NoOffer, Ways, diagnose, repair};
use vpclab::forward::{Memory, Rows};

use crate::support::blocked;
use crate::support::family::{families, visit};
use crate::support::fixer;
use crate::support::lab::{Lab, datagram};
use crate::support::oracle::{self, Probe};
use crate::support::plan::{Sent, World, over_plans};
use crate::support::small::{Defaults, Shape, Stage};

/// Where the packet, or its answer, ends; `Ok` if that is where both were meant to.
fn outcome(lab: &Lab, sent: Sent, ways: Ways) -> Result<(), String> {
    let Sent { from, source, destination, meant } = sent;
    let arrive =
        |probe: Probe, meant: Option<InterfaceId>| match oracle::fate(&lab.cloud, lab.now, probe) {
            Ok(at) if meant.is_none_or(|meant| meant == at) => Ok(at),
            Ok(_) => Err("misdelivered".to_owned()),
            Err(reason) => Err(reason.label().to_owned()),
        };
    let at = arrive(Probe::datagram(from, source, destination), meant)?;
    if ways == Ways::ThereAndBack {
        let answer = Probe::datagram(at, destination, source);
        arrive(answer, Some(from)).map_err(|why| format!("answer {why}"))?;
    }
    Ok(())
}

/// The world after these repairs; those that cannot be made are left out.
fn after(lab: &Lab, fixes: impl IntoIterator<Item = Fix>) -> Lab {
    let mut lab = lab.clone();
    for fix in fixes {
        let _ = fixer::carry_out(&mut lab, fix);
    }
    lab
}

/// Why no change of the kinds that a repair knows can help; `None` if one should.
fn obstacle(lab: &Lab, sent: Sent, ways: Ways) -> Option<&'static str> {
    let cloud = &lab.cloud;
    let Some(sender) = cloud.interface(sent.from) else { return Some("the sender is gone") };
    if ways == Ways::ThereAndBack && !sender.addresses.contains(&sent.source) {
        return Some("the answer would go to a foreign source");
    }
    let having = |(id, i): (InterfaceId, &Interface)| {
        i.addresses.contains(&sent.destination).then_some((id, i.vpc))
    };
    let owners: Vec<(InterfaceId, VpcId)> = cloud.interfaces().filter_map(having).collect();
    let home = match (sent.meant, &owners[..]) {
        (Some(meant), _) => cloud.interface(meant).unwrap().vpc,
        (None, []) => return Some("nobody has the address"),
        (None, [(_, vpc)]) => *vpc,
        (None, _) => return Some("several have the address"),
    };
    let blocks = |vpc: VpcId| cloud.vpc(vpc).unwrap().blocks();
    if home == sender.vpc {
        return Some("in the own VPC");
    }
    if any_overlap(blocks(sender.vpc), blocks(home)) {
        return Some("the blocks of the VPCs overlap");
    }
    let mut between = cloud.peerings().filter(|p| p.other_end(sender.vpc) == Some(home));
    if between.any(|p| p.status(lab.now) == Status::Provisioning) {
        return Some("the peering is being set up");
    }
    None
}

/// Every world of three VPCs with different blocks and no default routes (each pair with no peering
/// or one that is pending, active or deleted: `1 + 3·3·4² + 3·9·9·4² + 27·9³ = 23,716`): every blocked
/// packet can be helped, one way by at most two changes, both ways by at most three.
#[test]
fn in_small_worlds_everything_can_be_repaired() {
    const STAGES: &[Stage] = &[Stage::Pending, Stage::Active, Stage::Deleted];
    let all = families(&Shape::all(&[0, 1, 2]), Defaults::Without, STAGES);
    let seen = visit("repairs, three VPCs", &all, |world, _, packets, tally| {
        tally.worlds += 1;
        for (x, y, packet) in packets {
            let (from, meant) = (world.hosts[*x], world.hosts[*y]);
            let (source, destination) = (packet.source(), packet.destination());
            let sent = Sent { from, source, destination, meant: Some(meant) };
            let (lab, rows, memory) = (&world.lab, Rows::of(&world.lab.cloud), Memory::default());
            let ground = Ground { cloud: &lab.cloud, rows: &rows, memory: &memory, now: lab.now };
            for (ways, most) in [(Ways::There, 2), (Ways::ThereAndBack, 3)] {
                let intent = Intent { from, packet, meant: Some(meant), ways };
                let fixes = repair(ground, intent).unwrap();
                let context =
                    || format!("{x} -> {y}, {fixes:?}, {:?} {:?}", world.shape, world.digits);
                assert!(fixes.len() <= most, "{}", context());
                assert_eq!(fixes.is_empty(), outcome(lab, sent, ways).is_ok(), "{}", context());
                let mended = after(lab, fixes.iter().copied());
                assert_eq!(outcome(&mended, sent, ways), Ok(()), "{}", context());
                tally.delivered += 1;
            }
        }
    });
    assert_eq!((seen.worlds, seen.delivered), (23_716, 23_716 * 6 * 2));
}

#[test]
fn repairs_repair_and_no_part_of_them_is_idle() {
    // What was wrong first, and which way was wanted: how many were helped, how many not.
    let tally: RefCell<BTreeMap<(String, bool), (u32, u32)>> = RefCell::default();
    let obstacles: RefCell<BTreeMap<Option<&str>, u32>> = RefCell::default();
    let lengths: RefCell<BTreeMap<usize, u32>> = RefCell::default();
    over_plans(500, 20..40, |plan| {
        let world = World::build(&plan);
        for (n, sent) in plan.packets.iter().filter_map(|p| world.packet(p)).enumerate() {
            let ways = [Ways::There, Ways::ThereAndBack][n % 2];
            let lab = &world.lab;
            let Err(why) = outcome(lab, sent, ways) else { continue };
            let packet = datagram(sent.source, sent.destination);
            let intent = Intent { from: sent.from, packet: &packet, meant: sent.meant, ways };
            let (rows, memory) = (Rows::of(&lab.cloud), Memory::default());
            let ground = Ground { cloud: &lab.cloud, rows: &rows, memory: &memory, now: lab.now };
            let offer = repair(ground, intent);
            let mut tally = tally.borrow_mut();
            let (helped, not) = tally.entry((why.clone(), sent.meant.is_some())).or_default();
            let Ok(fixes) = offer else {
                *not += 1;
                let obstacle = obstacle(lab, sent, ways);
                prop_assert!(
                    obstacle.is_some(),
                    "nothing offered for {}, {:?} {:?}",
                    why,
                    sent,
                    ways
                );
                *obstacles.borrow_mut().entry(obstacle).or_default() += 1;
                continue;
            };
            *helped += 1;
            *lengths.borrow_mut().entry(fixes.len()).or_default() += 1;
            let mended = after(lab, fixes.iter().copied());
            prop_assert_eq!(outcome(&mended, sent, ways), Ok(()), "{:?} {:?}", sent, fixes);
            for left_out in 0..fixes.len() {
                let others = fixes.iter().enumerate().filter(|(n, _)| *n != left_out);
                let partly = after(lab, others.map(|(_, fix)| *fix));
                let still = outcome(&partly, sent, ways);
                prop_assert!(still.is_err(), "{:?}, {} is idle in {:?}", sent, left_out, fixes);
            }
        }
        Ok(())
    });
    let tally = tally.into_inner();
    let (helped, not) = tally.values().fold((0, 0), |(h, n), (dh, dn)| (h + dh, n + dn));
    println!("repairs: {helped} offered and true, {not} not offered");
    for ((why, aimed), (helped, not)) in &tally {
        let aimed = if *aimed { "at a host" } else { "at nobody" };
        println!("    {why:<22} {aimed:<10} {helped:>6} helped {not:>6} not");
    }
    for (obstacle, count) in obstacles.into_inner() {
        println!("    not offered, {}: {count}", obstacle.unwrap_or_default());
    }
    println!("    fixes in an offer: {:?}", lengths.into_inner());
    assert!(helped > 1_000, "{helped} offers");
}

/// What was seen of the blocked packets of some worlds.
#[derive(Default)]
struct Findings {
    blocked: u64,
    offered: u64,
    /// How many blockers a packet had, with an offer.
    blockers: BTreeMap<usize, u64>,
    /// What kinds of changes were offered.
    changes: BTreeMap<String, u64>,
    /// Why nothing was offered.
    causes: BTreeMap<String, u64>,
    /// What was wrong first.
    reasons: BTreeMap<String, (u64, u64)>,
}

impl Findings {
    fn add(&mut self, other: Findings) {
        self.blocked += other.blocked;
        self.offered += other.offered;
        let pairs = [(&mut self.changes, other.changes), (&mut self.causes, other.causes)];
        for (sum, more) in pairs {
            more.into_iter().for_each(|(key, n)| *sum.entry(key).or_default() += n);
        }
        other.blockers.into_iter().for_each(|(n, m)| *self.blockers.entry(n).or_default() += m);
        for (reason, (helped, not)) in other.reasons {
            let (sum, sum_not) = self.reasons.entry(reason).or_default();
            (*sum, *sum_not) = (*sum + helped, *sum_not + not);
        }
    }

    fn print(&self) {
        let not = self.blocked - self.offered;
        println!("{} blocked packets: {} offers, {not} without", self.blocked, self.offered);
        for (cause, n) in &self.causes {
            println!("    not offered, {cause}: {n}");
        }
        for (reason, (helped, not)) in &self.reasons {
            println!("    {reason:<24} {helped:>6} helped {not:>6} not");
        }
        println!("    changes: {:?}", self.changes);
        println!("    blockers of a packet with an offer: {:?}", self.blockers);
    }
}

/// The name of a value of an enum, without what it carries.
fn kind(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

/// Looks at the packets of one world.
fn look(number: u64) -> Findings {
    let mut world = blocked::World::grow(number);
    let mut findings = Findings::default();
    for _ in 0..40 {
        let Some(sent) = world.packet() else { continue };
        let (lab, memory) = (&world.lab, &world.memory);
        let rows = Rows::of(&lab.cloud);
        let ground = Ground { cloud: &lab.cloud, rows: &rows, memory, now: lab.now };
        let before = blocked::outcome(lab, &rows, memory, &sent);
        let found = diagnose(ground, sent.intent());
        let context = || format!("world {number}, {sent:?}, {found:?}");
        let Err(why) = before else {
            assert_eq!(
                (&found.blockers[..], &found.repair),
                (&[][..], &Ok(Vec::new())),
                "{}",
                context()
            );
            continue;
        };
        findings.blocked += 1;
        assert!(!found.blockers.is_empty(), "{}", context());
        let tally = findings.reasons.entry(why).or_default();
        let fixes = match &found.repair {
            Ok(fixes) => fixes,
            Err(cause) => {
                tally.1 += 1;
                let cause = match cause {
                    NoOffer::Refused(refusal) => format!("refused, {}", refusal.code()),
                    other => kind(other),
                };
                *findings.causes.entry(cause).or_default() += 1;
                continue;
            }
        };
        tally.0 += 1;
        findings.offered += 1;
        *findings.blockers.entry(found.blockers.len()).or_default() += 1;
        for fix in fixes {
            *findings.changes.entry(kind(fix)).or_default() += 1;
        }
        let judge = |lab: &Lab| {
            let mut rows = rows.clone();
            rows.update(&lab.cloud);
            blocked::outcome(lab, &rows, memory, &sent)
        };
        assert_eq!(judge(&after(lab, fixes.iter().copied())), Ok(()), "{}", context());
        for left_out in 0..fixes.len() {
            let others = fixes.iter().enumerate().filter(|(n, _)| *n != left_out);
            let partly = after(lab, others.map(|(_, fix)| *fix));
            assert!(judge(&partly).is_err(), "{left_out} is idle, {}", context());
        }
    }
    findings
}

/// Looks at this many worlds, on all processors.
fn blocked_packets(worlds: u64) -> Findings {
    let (next, total) = (AtomicU64::new(0), Mutex::new(Findings::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= worlds {
                        return;
                    }
                    let findings = look(number);
                    total.lock().unwrap().add(findings);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    total.print();
    total
}

/// In worlds with groups, ACLs, gateways, middleboxes and both families.
#[test]
fn whatever_is_offered_in_a_full_world_delivers() {
    let findings = blocked_packets(50);
    assert!(findings.offered > 500, "{} offers", findings.offered);
}

#[test]
#[ignore = "12,000 blocked packets: ten seconds on two cores"]
fn whatever_is_offered_in_many_full_worlds_delivers() {
    let findings = blocked_packets(500);
    assert!(findings.blocked >= 10_000, "{} blocked", findings.blocked);
}
