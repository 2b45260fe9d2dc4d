//! Every short history of three VPCs and two owners, explored breadth first.
//!
//! Holds a small explorer, the invariants S7 to S11 written a second time, and the table of who may
//! do what written a second time. Shares no rule with the library: overlap, windows and deadlines
//! are spelled out here, slow and obvious. A model checker from the registry was not taken because a
//! breadth-first search over canonical states is one page.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; a failure names the line"
)]

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use ipnet::IpNet;

use vpclab::base::id::{AccountId, PeeringId, VpcId};
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::{Caller, Region};
use vpclab::cloud::command::Command;
use vpclab::cloud::event::{Change, Event};
use vpclab::cloud::peering::{Peering, State, Status};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::quota::{Quota, Quotas};

const SETTLE: Span = Span::from_secs(1);
/// 604,800 s: the first moment at which a request is too old.
const WEEK: Span = Span::from_secs(604_800);
/// Small enough to be reached by short histories.
const ACTIVE_PER_VPC: usize = 1;
const OUTSTANDING_PER_ACCOUNT: usize = 2;

/// A place for a VPC. What fills it may be deleted and created anew, under another id.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(usize);

/// `b` and `c` belong to one account; `c` overlaps `a`.
const SLOTS: [(&str, u64, &str); 3] = [
    ("a", 111_111_111_111, "10.10.0.0/16"),
    ("b", 222_222_222_222, "10.20.0.0/16"),
    ("c", 222_222_222_222, "10.10.128.0/17"),
];
const STRANGER: u64 = 999_999_999_999;

/// A block that a slot's VPC may gain: one that overlaps another slot's, one that overlaps nothing.
const GROWTHS: [(Slot, &str); 4] = [
    (Slot(0), "10.20.128.0/17"),
    (Slot(0), "10.40.0.0/16"),
    (Slot(1), "10.10.0.0/17"),
    (Slot(1), "10.41.0.0/16"),
];

const REQUESTS: [(Slot, Slot); 5] = [
    (Slot(0), Slot(1)),
    (Slot(1), Slot(0)),
    (Slot(0), Slot(2)),
    (Slot(1), Slot(2)),
    (Slot(2), Slot(1)),
];

fn account(number: u64) -> AccountId {
    AccountId::from_number(number).unwrap()
}

fn caller(number: u64) -> Caller {
    Caller { account: account(number), region: Region::default() }
}

/// One step of a history.
#[derive(Clone, Copy)]
enum Step {
    Wait(Span),
    Request(Slot, Slot),
    Answer(Verb, PeeringId, u64),
    Grow(Slot, &'static str),
    DeleteVpc(Slot),
    CreateVpc(Slot),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Accept,
    Reject,
    Delete,
}

/// What was witnessed about one peering, kept apart from the cloud's own record of it.
#[derive(Clone, Copy)]
struct Consent {
    asked: (AccountId, Instant),
    accepted: Option<(AccountId, Instant)>,
}

/// A state of the exploration: the cloud, and what the explorer remembers of how it came about.
struct Node {
    cloud: Cloud,
    profile: Profile,
    now: Instant,
    slots: [Option<VpcId>; 3],
    owners: BTreeMap<VpcId, AccountId>,
    consents: BTreeMap<PeeringId, Consent>,
    events: Vec<Event>,
    depth: usize,
}

impl Node {
    fn start(profile: Profile) -> Node {
        let mut node = Node {
            cloud: Cloud::new(profile, SETTLE),
            profile,
            now: Instant::START + Span::from_days(1),
            slots: [None; 3],
            owners: BTreeMap::new(),
            consents: BTreeMap::new(),
            events: Vec::new(),
            depth: 0,
        };
        let mut quotas = Quotas::default();
        quotas.set(Quota::ActivePeeringsPerVpc, ACTIVE_PER_VPC);
        quotas.set(Quota::OutstandingPeeringRequests, OUTSTANDING_PER_ACCOUNT);
        for number in [SLOTS[0].1, SLOTS[1].1] {
            let open = Command::OpenAccount { quotas: quotas.clone() };
            let events = node.cloud.apply(&caller(number), &open, node.now).unwrap();
            node.events.extend(events);
        }
        for slot in [Slot(0), Slot(1), Slot(2)] {
            node = node.after(Step::CreateVpc(slot)).unwrap();
        }
        node.depth = 0;
        node
    }

    /// Every step that makes sense here, sensible or not.
    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::Wait(SETTLE), Step::Wait(WEEK)];
        steps.extend(self.next_fade().map(Step::Wait));
        steps.extend(REQUESTS.map(|(from, to)| Step::Request(from, to)));
        for peering in self.cloud.peerings() {
            for verb in [Verb::Accept, Verb::Reject, Verb::Delete] {
                for who in [SLOTS[0].1, SLOTS[1].1, STRANGER] {
                    steps.push(Step::Answer(verb, peering.id(), who));
                }
            }
        }
        if self.profile == Profile::Today {
            steps.extend(GROWTHS.map(|(slot, block)| Step::Grow(slot, block)));
        }
        for slot in [Slot(0), Slot(1)] {
            steps.push(match self.slots[slot.0] {
                Some(_) => Step::DeleteVpc(slot),
                None => Step::CreateVpc(slot),
            });
        }
        steps
    }

    /// How long until an ended peering has been over for exactly two hours or two days.
    fn next_fade(&self) -> Option<Span> {
        let ended = self.cloud.peerings().filter_map(|p| match p.state(self.now) {
            State::Failed { at, .. }
            | State::Expired { at }
            | State::Rejected { at }
            | State::Deleted { at, .. } => Some(at),
            _ => None,
        });
        let edges = ended.flat_map(|at| [at + Span::from_hours(2), at + Span::from_days(2)]);
        edges.filter(|edge| *edge > self.now).min().map(|edge| edge.since(self.now))
    }

    fn command(&self, step: Step) -> Option<(Caller, Command)> {
        let of = |slot: Slot| Some((caller(SLOTS[slot.0].1), self.slots[slot.0]?));
        Some(match step {
            Step::Wait(_) => return None,
            Step::Request(from, to) => {
                let ((caller, requester), (peer, accepter)) = (of(from)?, of(to)?);
                let peer_owner = Some(peer.account);
                let command = Command::CreateVpcPeeringConnection {
                    requester,
                    accepter,
                    peer_owner,
                    peer_region: None,
                };
                (caller, command)
            }
            Step::Answer(Verb::Accept, peering, who) => {
                (caller(who), Command::AcceptVpcPeeringConnection { peering })
            }
            Step::Answer(Verb::Reject, peering, who) => {
                (caller(who), Command::RejectVpcPeeringConnection { peering })
            }
            Step::Answer(Verb::Delete, peering, who) => {
                (caller(who), Command::DeleteVpcPeeringConnection { peering })
            }
            Step::Grow(slot, block) => {
                let (caller, vpc) = of(slot)?;
                (caller, Command::AssociateVpcCidrBlock { vpc, block: block.parse().unwrap() })
            }
            Step::DeleteVpc(slot) => {
                let (caller, vpc) = of(slot)?;
                (caller, Command::DeleteVpc { vpc })
            }
            Step::CreateVpc(slot) => {
                let (_, owner, cidr) = SLOTS[slot.0];
                (caller(owner), Command::CreateVpc { cidr: cidr.parse().unwrap() })
            }
        })
    }

    /// The state after a step; the refusal's code if it is refused or names what is not there.
    fn after(&self, step: Step) -> Result<Node, &'static str> {
        let deeper = |cloud, now| Node {
            cloud,
            now,
            owners: self.owners.clone(),
            consents: self.consents.clone(),
            events: self.events.clone(),
            depth: self.depth + 1,
            ..*self
        };
        if let Step::Wait(span) = step {
            return Ok(deeper(self.cloud.clone(), self.now + span));
        }
        let (caller, command) = self.command(step).ok_or("no such VPC")?;
        let mut cloud = self.cloud.clone();
        let events = match cloud.apply(&caller, &command, self.now) {
            Ok(events) => events,
            Err(refusal) => {
                assert_eq!(cloud, self.cloud, "a refused command changed something");
                if let Step::Answer(_, peering, _) = step
                    && !self.sees(self.cloud.peering(peering).unwrap(), caller.account)
                {
                    // S11: what cannot be seen answers like what never existed, to the letter.
                    let message = format!("The vpcPeeringConnection ID '{peering}' does not exist");
                    assert_eq!(refusal.to_string(), message);
                    assert_eq!(refusal.code(), "InvalidVpcPeeringConnectionID.NotFound");
                }
                return Err(refusal.code());
            }
        };
        let mut next = deeper(cloud, self.now);
        for event in &events {
            match event.change {
                Change::VpcCreated { vpc, .. } => {
                    let Step::CreateVpc(slot) = step else { panic!("a VPC out of nowhere") };
                    next.slots[slot.0] = Some(vpc);
                    assert!(next.owners.insert(vpc, caller.account).is_none(), "{vpc} used again");
                }
                Change::VpcDeleted { vpc, .. } => {
                    next.slots.iter_mut().filter(|s| **s == Some(vpc)).for_each(|s| *s = None);
                }
                Change::PeeringRequested { peering, .. } => {
                    let consent = Consent { asked: (caller.account, next.now), accepted: None };
                    let old = next.consents.insert(peering, consent);
                    assert!(old.is_none(), "{peering} used again");
                }
                _ => {}
            }
        }
        if let Step::Answer(Verb::Accept, peering, _) = step {
            let consent = next.consents.get_mut(&peering).unwrap();
            consent.accepted = Some((caller.account, next.now));
            // Here and not only in the state that follows, which may be known from a lawful history.
            assert!(next.now.since(consent.asked.1) < WEEK, "S9: {peering} accepted too late");
        }
        next.events.extend(events);
        Ok(next)
    }

    /// The visibility windows of invariants 1.2, a second time.
    fn sees(&self, peering: &Peering, who: AccountId) -> bool {
        let requester = peering.requester().account == who;
        let accepter = peering.accepter().account == who;
        let hours = |n: u64, since: Instant| self.now.since(since) < Span::from_secs(n * 3_600);
        match (requester, accepter, peering.state(self.now)) {
            (false, false, _) => false,
            (asks, _, State::InitiatingRequest { .. }) => asks,
            (asks, _, State::Failed { at, .. }) => asks && hours(2, at),
            (_, _, State::Expired { at }) => hours(48, at),
            (true, false, State::Rejected { at }) => hours(48, at),
            (_, _, State::Rejected { at }) => hours(2, at),
            (true, true, State::Deleted { at, .. }) => hours(2, at),
            (_, _, State::Deleted { at, by }) => hours(if by == who { 2 } else { 48 }, at),
            _ => true,
        }
    }

    /// What tells one state from another: names, order and absolute time do not, nor does what
    /// nobody can see any more.
    fn key(&self) -> Vec<u64> {
        let place =
            |vpc: VpcId| self.slots.iter().position(|s| *s == Some(vpc)).unwrap_or(9) as u64;
        let left = |until: Instant| until.since(self.now).as_nanos();
        let gone = |since: Instant| self.now.since(since).as_nanos();
        let mut peerings: Vec<[u64; 6]> = Vec::new();
        for p in self.cloud.peerings() {
            let ends = [p.requester().account, p.accepter().account];
            if !ends.iter().any(|end| self.sees(p, *end)) {
                continue;
            }
            let side = |by: AccountId| u64::from(by == p.requester().account);
            let (time, detail) = match p.state(self.now) {
                State::InitiatingRequest { settles_at, failure, .. } => {
                    (left(settles_at), failure.map_or(0, |cause| 1 + cause as u64))
                }
                State::PendingAcceptance { expires_at } => (left(expires_at), 0),
                State::Provisioning { settles_at } => (left(settles_at), 0),
                State::Active { .. } => (0, 0),
                State::Failed { at, .. } | State::Expired { at } | State::Rejected { at } => {
                    (gone(at), 0)
                }
                State::Deleting { settles_at, by } => (left(settles_at), side(by)),
                State::Deleted { at, by } => (gone(at), side(by)),
            };
            let status = p.status(self.now) as u64;
            let ends = (place(p.requester().vpc), place(p.accepter().vpc));
            peerings.push([ends.0, ends.1, status, time, detail, side(p.accepter().account)]);
        }
        peerings.sort_unstable();
        let mut key: Vec<u64> = Vec::new();
        for slot in self.slots {
            let blocks = slot.map_or(&[][..], |vpc| self.cloud.vpc(vpc).unwrap().blocks());
            let mut known: Vec<u64> = blocks.iter().map(|b| u64::from(first(*b))).collect();
            known.sort_unstable();
            key.extend(known);
            key.push(u64::MAX);
        }
        key.extend(peerings.concat());
        key
    }

    /// The invariants that hold in every state, each with the name it has among developers.
    fn check(&self) {
        let peerings: Vec<&Peering> = self.cloud.peerings().collect();
        let status = |p: &Peering| p.status(self.now);
        let joins = |p: &Peering, vpc: VpcId| p.requester().vpc == vpc || p.accepter().vpc == vpc;
        for p in &peerings {
            let (near, far) = (p.requester(), p.accepter());
            assert!(near.vpc != far.vpc, "S8: {} is with itself", p.id());
            if status(p) != Status::Active {
                continue;
            }
            let blocks = |vpc: VpcId| self.cloud.vpc(vpc).map(|v| v.blocks().to_vec()).unwrap();
            for a in blocks(near.vpc) {
                for b in blocks(far.vpc) {
                    let apart = last(a) < first(b) || last(b) < first(a);
                    assert!(apart, "S7: {a} and {b} overlap across {}", p.id());
                }
            }
            let consent = self.consents[&p.id()];
            let (by, at) = consent.accepted.expect("S9: active without consent");
            assert_eq!(consent.asked.0, self.owners[&near.vpc], "S9: {} asked by", p.id());
            assert_eq!(by, self.owners[&far.vpc], "S9: {} accepted by", p.id());
            assert!(at.since(consent.asked.1) < WEEK, "S9: {} accepted too late", p.id());
            assert!(self.now.since(at) >= SETTLE, "L4: {} active too early", p.id());
        }

        // `seed` counts requests as well, those still being checked included unless they will fail.
        let counts = |p: &Peering| match p.state(self.now) {
            State::Provisioning { .. } | State::Active { .. } => true,
            State::PendingAcceptance { .. } | State::InitiatingRequest { failure: None, .. } => {
                self.profile == Profile::Seed
            }
            _ => false,
        };
        let mut pairs = BTreeSet::new();
        for p in peerings.iter().filter(|p| counts(p)) {
            let mut pair = [p.requester().vpc, p.accepter().vpc];
            pair.sort_unstable();
            assert!(pairs.insert(pair), "S8: two peerings of one pair, one is {}", p.id());
        }

        let accepted = [Status::Provisioning, Status::Active];
        for (id, _) in self.cloud.vpcs() {
            let of_it = peerings.iter().filter(|p| accepted.contains(&status(p)) && joins(p, id));
            assert!(of_it.count() <= ACTIVE_PER_VPC, "quota: active peerings of {id}");
        }
        for (_, number, _) in SLOTS {
            let waiting = peerings.iter().filter(|p| {
                p.requester().account == account(number) && status(p) == Status::PendingAcceptance
            });
            assert!(waiting.count() <= OUTSTANDING_PER_ACCOUNT, "quota: requests of {number}");
        }

        for number in [SLOTS[0].1, SLOTS[1].1, STRANGER] {
            let who = caller(number);
            let shown: Vec<PeeringId> = {
                let views = self.cloud.describe_peerings(&who, self.now);
                let mut ids: Vec<_> = views.iter().map(|view| view.id()).collect();
                ids.sort_unstable();
                ids
            };
            let seen: Vec<PeeringId> =
                peerings.iter().filter(|p| self.sees(p, who.account)).map(|p| p.id()).collect();
            assert_eq!(shown, seen, "S11, L6: what {number} sees");
        }

        let replayed = Cloud::replay(self.profile, SETTLE, &self.events);
        assert_eq!(replayed, self.cloud, "the events do not rebuild the cloud");
    }

    /// The one step from `self` to `next` moved each peering as invariants 1.2 says, or not at all;
    /// and if `step` answers a peering, it was done exactly if it may be.
    fn check_step(&self, step: Step, next: &Result<Node, &'static str>, seen: &mut Seen) {
        if let Step::Answer(verb, id, who) = step {
            self.check_answer(verb, self.cloud.peering(id).unwrap(), account(who), next);
        }
        let Ok(next) = next else { return };
        for p in self.cloud.peerings() {
            let from = p.status(self.now);
            let Some(to) = next.cloud.peering(p.id()) else {
                assert!(!from.is_live(), "S24: {} was forgotten while {from}", p.id());
                let seen = [p.requester(), p.accepter()].map(|end| next.sees(p, end.account));
                assert_eq!(seen, [false; 2], "L6: {} was forgotten while it was shown", p.id());
                continue;
            };
            let to = to.status(next.now);
            if from != to {
                assert!(legal(step, from, to), "S10: {} went from {from} to {to}", p.id());
                seen.moves.insert((from, to));
            }
        }
    }

    fn check_answer(
        &self,
        verb: Verb,
        p: &Peering,
        who: AccountId,
        next: &Result<Node, &'static str>,
    ) {
        let (asked, asks) = (p.accepter().account == who, p.requester().account == who);
        let status = p.status(self.now);
        let allowed = match verb {
            Verb::Accept | Verb::Reject => status == Status::PendingAcceptance && asked,
            Verb::Delete => match status {
                Status::PendingAcceptance => asks,
                Status::Active => asks || asked,
                _ => false,
            },
        };
        match next {
            Ok(_) => assert!(allowed, "{verb:?} of {} in {status} by {who}", p.id()),
            // Acceptance alone depends on more than the peering itself.
            Err(
                "VpcPeeringConnectionAlreadyExists"
                | "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            ) if verb == Verb::Accept => {}
            Err(code) => {
                assert!(!allowed, "{verb:?} of {} in {status} by {who}: {code}", p.id());
            }
        }
    }
}

/// The edges of invariants 1.2: by time, by answer, by what happens to a VPC.
fn legal(step: Step, from: Status, to: Status) -> bool {
    use Status::{
        Active, Deleted, Deleting, Expired, Failed, InitiatingRequest, PendingAcceptance,
        Provisioning, Rejected,
    };
    match step {
        Step::Wait(_) => matches!(
            (from, to),
            (InitiatingRequest, PendingAcceptance | Failed | Expired)
                | (PendingAcceptance, Expired)
                | (Provisioning, Active)
                | (Deleting, Deleted)
        ),
        Step::Answer(Verb::Accept, ..) => (from, to) == (PendingAcceptance, Provisioning),
        Step::Answer(Verb::Reject, ..) => (from, to) == (PendingAcceptance, Rejected),
        Step::Answer(Verb::Delete, ..) | Step::DeleteVpc(_) => {
            matches!((from, to), (PendingAcceptance | Active, Deleting | Deleted))
        }
        Step::Grow(..) => (from, to) == (PendingAcceptance, Failed),
        Step::Request(..) | Step::CreateVpc(_) => false,
    }
}

fn first(block: IpNet) -> u32 {
    match block {
        IpNet::V4(block) => u32::from(block.network()),
        IpNet::V6(_) => unreachable!("these worlds have no IPv6"),
    }
}

fn last(block: IpNet) -> u32 {
    match block {
        IpNet::V4(block) => u32::from(block.broadcast()),
        IpNet::V6(_) => unreachable!("these worlds have no IPv6"),
    }
}

/// What an exploration has come across.
#[derive(Default)]
struct Seen {
    states: usize,
    steps: usize,
    moves: BTreeSet<(Status, Status)>,
    codes: BTreeSet<&'static str>,
}

fn explore(profile: Profile, depth: usize) -> Seen {
    let mut seen = Seen::default();
    let start = Node::start(profile);
    start.check();
    let mut known = HashSet::from([start.key()]);
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        seen.states += 1;
        if node.depth == depth {
            continue;
        }
        for step in node.steps() {
            seen.steps += 1;
            let next = node.after(step);
            node.check_step(step, &next, &mut seen);
            match next {
                Err(code) => {
                    seen.codes.insert(code);
                }
                Ok(next) if known.insert(next.key()) => {
                    next.check();
                    queue.push_back(next);
                }
                Ok(_) => {}
            }
        }
    }
    seen
}

#[track_caller]
#[allow(clippy::print_stdout, reason = "shown with --nocapture: how far the exploration went")]
fn explored(
    profile: Profile,
    depth: usize,
    states: usize,
    codes: &[&str],
    moves: &[(Status, Status)],
) {
    let seen = explore(profile, depth);
    println!("{profile}, {depth} steps: {} states, {} transitions", seen.states, seen.steps);
    assert!(seen.states >= states, "only {} states: the exploration has shrunk", seen.states);
    for code in codes {
        assert!(seen.codes.contains(code), "never refused with {code}: {:?}", seen.codes);
    }
    for (from, to) in moves {
        assert!(seen.moves.contains(&(*from, *to)), "never went from {from} to {to}");
    }
}

#[test]
fn s07_to_s11_hold_in_every_short_history_in_seed() {
    use Status::*;
    explored(
        Profile::Seed,
        7,
        51_000,
        &[
            "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
            "DependencyViolation",
            "InvalidStateTransition",
            "InvalidVpcPeeringConnectionID.NotFound",
            "OperationNotPermitted",
            "OutstandingVpcPeeringConnectionLimitExceeded",
            "VpcPeeringConnectionAlreadyExists",
        ],
        &[
            (InitiatingRequest, PendingAcceptance),
            (InitiatingRequest, Failed),
            (InitiatingRequest, Expired),
            (PendingAcceptance, Provisioning),
            (PendingAcceptance, Rejected),
            (PendingAcceptance, Deleted),
            (PendingAcceptance, Expired),
            (Provisioning, Active),
            (Active, Deleted),
        ],
    );
}

#[test]
fn s07_to_s11_hold_in_every_short_history_in_today() {
    use Status::*;
    explored(
        Profile::Today,
        6,
        38_000,
        &["InvalidStateTransition", "OperationNotPermitted", "VpcPeeringConnectionAlreadyExists"],
        &[(PendingAcceptance, Failed), (PendingAcceptance, Deleting), (Deleting, Deleted)],
    );
}
