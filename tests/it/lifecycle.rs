//! The life of a peering as one table: every state, every event, every caller, both profiles.
//!
//! Holds the worlds that [`Cloud::apply`] is driven into, and the goldens that a human has read. Refuses to
//! hold expectations of its own: a change of behaviour is a diff of `tests/data/lifecycle.txt`.
//! `BLESS=1 cargo test` rewrites that file.
#![allow(clippy::unwrap_used, reason = "helpers of tests; a failure names the line")]

use std::fmt::Write;

use vpclab::base::id::{AccountId, PeeringId, RouteTableId, VpcId};
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::Cloud;
use vpclab::cloud::account::{Caller, Region};
use vpclab::cloud::command::Command;
use vpclab::cloud::event::Change;
use vpclab::cloud::peering::{State, Status};
use vpclab::cloud::profile::Profile;
use vpclab::cloud::refusal::Refusal;
use vpclab::cloud::route_table::{Hop, RouteTarget};

/// How long transient states last in these worlds.
const SETTLE: Span = Span::from_secs(1);
const DAY: Span = Span::from_days(1);

/// Who asks. `Owner` lives in a world where one account has both VPCs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Requester,
    Accepter,
    Owner,
    Stranger,
}

impl Who {
    const ALL: [Who; 4] = [Who::Requester, Who::Accepter, Who::Owner, Who::Stranger];

    const fn name(self) -> &'static str {
        match self {
            Who::Requester => "requester",
            Who::Accepter => "accepter",
            Who::Owner => "one account",
            Who::Stranger => "stranger",
        }
    }

    fn caller(self) -> Caller {
        let number = match self {
            Who::Requester => 111_111_111_111,
            Who::Accepter => 222_222_222_222,
            Who::Owner => 333_333_333_333,
            Who::Stranger => 999_999_999_999,
        };
        Caller { account: AccountId::from_number(number).unwrap(), region: Region::default() }
    }
}

/// What happens to the peering, or to a VPC at one of its ends.
#[derive(Clone, Copy)]
enum Event {
    Accept,
    Reject,
    Delete,
    RouteToIt,
    RequestAgain,
    RequestReversed,
    Grow(End, Block),
    DeleteVpc(End),
    Look { after: Span },
}

#[derive(Clone, Copy)]
enum End {
    Requester,
    Accepter,
}

#[derive(Clone, Copy)]
enum Block {
    Disjoint,
    Overlapping,
}

const EVENTS: [(&str, Event); 17] = [
    ("accept it", Event::Accept),
    ("reject it", Event::Reject),
    ("delete it", Event::Delete),
    ("create a route to it, in a table of the caller's own VPC", Event::RouteToIt),
    ("request the same again", Event::RequestAgain),
    ("request the reverse: the accepter's VPC asks the requester's", Event::RequestReversed),
    (
        "add a block to the requester's VPC, disjoint from the accepter's",
        Event::Grow(End::Requester, Block::Disjoint),
    ),
    (
        "add a block to the requester's VPC, overlapping the accepter's",
        Event::Grow(End::Requester, Block::Overlapping),
    ),
    (
        "add a block to the accepter's VPC, disjoint from the requester's",
        Event::Grow(End::Accepter, Block::Disjoint),
    ),
    (
        "add a block to the accepter's VPC, overlapping the requester's",
        Event::Grow(End::Accepter, Block::Overlapping),
    ),
    ("delete the requester's VPC", Event::DeleteVpc(End::Requester)),
    ("delete the accepter's VPC", Event::DeleteVpc(End::Accepter)),
    ("look at it at once", Event::Look { after: Span::ZERO }),
    ("look at it 1 s later (the settling time)", Event::Look { after: SETTLE }),
    ("look at it 2 h later", Event::Look { after: Span::from_hours(2) }),
    ("look at it 2 d later", Event::Look { after: Span::from_days(2) }),
    ("look at it 7 d later", Event::Look { after: Span::from_days(7) }),
];

/// A cloud with one peering in a known state, at the moment it entered that state.
struct World {
    cloud: Cloud,
    now: Instant,
    near: Side,
    far: Side,
    stranger: Side,
    peering: PeeringId,
}

/// One account's VPC and its main route table.
struct Side {
    caller: Caller,
    vpc: VpcId,
    table: RouteTableId,
}

impl World {
    /// The requester's and accepter's VPCs, of two accounts or of one, and a request just made.
    fn requested(profile: Profile, one_account: bool, far_block: &str) -> World {
        let mut cloud = Cloud::new(profile, SETTLE);
        let now = Instant::START + DAY;
        let mut create = |who: Who, block: &str| {
            let caller = who.caller();
            let command = Command::CreateVpc { cidr: block.parse().unwrap() };
            let events = cloud.apply(&caller, &command, now).unwrap();
            match events[0].change {
                Change::VpcCreated { vpc, main_table, .. } => {
                    Side { caller, vpc, table: main_table }
                }
                _ => unreachable!("creating a VPC starts with a VPC"),
            }
        };
        let side = |who| if one_account { Who::Owner } else { who };
        let near = create(side(Who::Requester), "10.10.0.0/16");
        let far = create(side(Who::Accepter), far_block);
        let stranger = create(Who::Stranger, "10.30.0.0/16");
        let command = request(&near, &far);
        let peering = made(&cloud.apply(&near.caller, &command, now).unwrap()).unwrap();
        World { cloud, now, near, far, stranger, peering }
    }

    /// Drives a new peering into `status`; nothing if this profile never shows it.
    fn in_status(status: Status, profile: Profile, one_account: bool) -> Option<World> {
        let overlap_at_birth = status == Status::Failed && profile == Profile::Seed;
        let far_block = if overlap_at_birth { "10.10.0.0/17" } else { "10.20.0.0/16" };
        let mut world = World::requested(profile, one_account, far_block);
        let (near, far) = (world.near.caller.clone(), world.far.caller.clone());
        if status != Status::InitiatingRequest {
            world.now = world.now + SETTLE;
        }
        let peering = world.peering;
        match status {
            Status::InitiatingRequest | Status::PendingAcceptance => {}
            Status::Failed if overlap_at_birth => {}
            Status::Failed => {
                let block = "10.10.0.0/18".parse().unwrap();
                world.act(&far, &Command::AssociateVpcCidrBlock { vpc: world.far.vpc, block });
            }
            // The week counts from the request, so the settling time is part of it.
            Status::Expired => world.now = Instant::START + DAY + Span::from_days(7),
            Status::Rejected => world.act(&far, &Command::RejectVpcPeeringConnection { peering }),
            Status::Provisioning | Status::Active | Status::Deleting | Status::Deleted => {
                world.act(&far, &Command::AcceptVpcPeeringConnection { peering });
                if status != Status::Provisioning {
                    world.now = world.now + SETTLE;
                }
                if matches!(status, Status::Deleting | Status::Deleted) {
                    world.act(&near, &Command::DeleteVpcPeeringConnection { peering });
                }
                if status == Status::Deleted && profile == Profile::Today {
                    world.now = world.now + SETTLE;
                }
            }
        }
        (world.status() == status).then_some(world)
    }

    fn act(&mut self, caller: &Caller, command: &Command) {
        self.cloud.apply(caller, command, self.now).unwrap();
    }

    fn status(&self) -> Status {
        self.cloud.peering(self.peering).unwrap().status(self.now)
    }

    /// The VPC that a caller would speak for.
    fn home(&self, who: Who) -> &Side {
        match who {
            Who::Requester | Who::Owner => &self.near,
            Who::Accepter => &self.far,
            Who::Stranger => &self.stranger,
        }
    }

    /// Lets the event happen and says in a word what came of it.
    fn outcome(mut self, event: Event, who: Who) -> String {
        let caller = who.caller();
        let (peering, before) = (self.peering, self.status());
        let command = match event {
            Event::Look { after } => {
                return match self.cloud.describe_peering(&caller, peering, self.now + after) {
                    Ok(view) => view.status().to_string(),
                    Err(refusal) => short(&refusal).to_owned(),
                };
            }
            Event::Accept => Command::AcceptVpcPeeringConnection { peering },
            Event::Reject => Command::RejectVpcPeeringConnection { peering },
            Event::Delete => Command::DeleteVpcPeeringConnection { peering },
            Event::RouteToIt => Command::CreateRoute {
                table: self.home(who).table,
                destination: "192.0.2.0/24".parse().unwrap(),
                target: RouteTarget::Peering(peering),
            },
            Event::RequestAgain => request(&self.near, &self.far),
            Event::RequestReversed => request(&self.far, &self.near),
            Event::Grow(end, block) => {
                let (vpc, block) = match (end, block) {
                    (End::Requester, Block::Disjoint) => (self.near.vpc, "10.40.0.0/16"),
                    (End::Requester, Block::Overlapping) => (self.near.vpc, "10.20.128.0/17"),
                    (End::Accepter, Block::Disjoint) => (self.far.vpc, "10.40.0.0/16"),
                    (End::Accepter, Block::Overlapping) => (self.far.vpc, "10.10.128.0/17"),
                };
                Command::AssociateVpcCidrBlock { vpc, block: block.parse().unwrap() }
            }
            Event::DeleteVpc(End::Requester) => Command::DeleteVpc { vpc: self.near.vpc },
            Event::DeleteVpc(End::Accepter) => Command::DeleteVpc { vpc: self.far.vpc },
        };
        let events = match self.cloud.apply(&caller, &command, self.now) {
            Err(refusal) => return short(&refusal).to_owned(),
            Ok(events) => events,
        };
        let later = self.now + SETTLE;
        match (event, made(&events)) {
            (Event::RequestAgain | Event::RequestReversed, None) => "same id".to_owned(),
            (Event::RequestAgain | Event::RequestReversed, Some(new)) => {
                format!("new: {}", self.cloud.peering(new).unwrap().status(later))
            }
            (Event::RouteToIt, _) => {
                let hop = Hop::To(RouteTarget::Peering(peering));
                format!("route {}", self.cloud.route_state(hop, self.now).code())
            }
            _ if self.status() == before => {
                // A request that still shows as initiating may be doomed by the event.
                let settled = self.cloud.peering(peering).unwrap().status(later);
                match (before, settled) {
                    (Status::InitiatingRequest, Status::Failed) => "then failed".to_owned(),
                    _ => "-".to_owned(),
                }
            }
            _ => self.status().to_string(),
        }
    }
}

fn request(from: &Side, to: &Side) -> Command {
    Command::CreateVpcPeeringConnection {
        requester: from.vpc,
        accepter: to.vpc,
        peer_owner: Some(to.caller.account),
        peer_region: None,
    }
}

/// The peering that the events began, if they began one.
fn made(events: &[vpclab::cloud::event::Event]) -> Option<PeeringId> {
    events.iter().find_map(|event| match event.change {
        Change::PeeringRequested { peering, .. } => Some(peering),
        _ => None,
    })
}

/// The words of the legend. A code that is not among them would show in full.
const SHORT: [(&str, &str); 8] = [
    ("InvalidVpcPeeringConnectionID.NotFound", "unseen"),
    ("InvalidVpcID.NotFound", "no vpc"),
    ("InvalidStateTransition", "wrong state"),
    ("OperationNotPermitted", "not allowed"),
    ("VpcPeeringConnectionAlreadyExists", "exists"),
    ("DependencyViolation", "in use"),
    ("InvalidVpc.Range", "bad range"),
    ("UnknownParameter", "unknown"),
];

fn short(refusal: &Refusal) -> &'static str {
    let code = refusal.code();
    SHORT.iter().find(|(long, _)| *long == code).map_or(code, |(_, short)| short)
}

/// One cell: both profiles if they agree, `seed | today` if they do not.
fn cell(status: Status, event: Event, who: Who) -> String {
    let [seed, today] = [Profile::Seed, Profile::Today].map(|profile| {
        let world = World::in_status(status, profile, who == Who::Owner);
        world.map(|world| world.outcome(event, who))
    });
    match (seed, today) {
        (Some(seed), Some(today)) if seed == today => seed,
        (Some(seed), Some(today)) => format!("{seed} | {today}"),
        (None, Some(today)) => today,
        (seed, None) => unreachable!("{status} is shown in `seed` ({seed:?}) but not in `today`"),
    }
}

fn table() -> String {
    let mut out = String::new();
    for (title, event) in EVENTS {
        writeln!(out, "\n{title}\n").unwrap();
        let mut rows = vec![Who::ALL.map(|who| who.name().to_owned())];
        rows.extend(Status::ALL.map(|status| Who::ALL.map(|who| cell(status, event, who))));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap();
        let widths = [0, 1, 2, 3].map(width);
        for (i, row) in rows.iter().enumerate() {
            let label = if i == 0 { "from" } else { Status::ALL[i - 1].code() };
            let mut line = format!("  {label:<20}");
            for (cell, width) in row.iter().zip(widths) {
                write!(line, "{cell:<width$}   ").unwrap();
            }
            writeln!(out, "{}", line.trim_end()).unwrap();
        }
    }
    out
}

/// What each state has become just before, at and after the moments that matter to it.
fn deadlines() -> String {
    let t0 = Instant::START + DAY;
    let account = Who::Requester.caller().account;
    let week = Span::from_days(7);
    let states = [
        (
            "initiating-request",
            State::InitiatingRequest { requested_at: t0, settles_at: t0 + SETTLE, failure: None },
            vec![SETTLE, week],
        ),
        (
            "  with a cause to fail",
            State::InitiatingRequest {
                requested_at: t0,
                settles_at: t0 + SETTLE,
                failure: Some(vpclab::cloud::peering::FailureCause::Overlap),
            },
            vec![SETTLE, week],
        ),
        (
            "failed",
            State::Failed { at: t0, cause: vpclab::cloud::peering::FailureCause::PeerUnknown },
            vec![week],
        ),
        ("pending-acceptance", State::PendingAcceptance { expires_at: t0 + week }, vec![week]),
        ("expired", State::Expired { at: t0 }, vec![week]),
        ("rejected", State::Rejected { at: t0 }, vec![week]),
        ("provisioning", State::Provisioning { settles_at: t0 + SETTLE }, vec![SETTLE, week]),
        ("active", State::Active { since: t0 }, vec![week]),
        ("deleting", State::Deleting { settles_at: t0 + SETTLE, by: account }, vec![SETTLE, week]),
        ("deleted", State::Deleted { at: t0, by: account }, vec![week]),
    ];
    let mut out = String::from(
        "  state                    after   1 ns before          exactly then         1 ns after\n",
    );
    for (name, state, edges) in states {
        for edge in edges {
            let nanos = (t0 + edge).as_nanos();
            let at = [nanos - 1, nanos, nanos + 1]
                .map(|nanos| state.at(Instant::from_nanos(nanos)).status().code());
            let line =
                format!("  {name:<25}{:<8}{:<21}{:<21}{}", edge.to_string(), at[0], at[1], at[2]);
            writeln!(out, "{}", line.trim_end()).unwrap();
        }
    }
    out
}

/// How long each side still sees a peering that has ended, measured by asking at the edges.
fn windows() -> String {
    use Status::{Deleted, Expired, Failed, Rejected};
    const LONGEST: Span = Span::from_days(3);
    let mut out =
        String::from("  state                  requester   accepter   one account   stranger\n");
    let rows = [
        ("failed", Failed, None),
        ("expired", Expired, None),
        ("rejected", Rejected, None),
        ("deleted by requester", Deleted, Some(Who::Requester)),
        ("deleted by accepter", Deleted, Some(Who::Accepter)),
    ];
    for (name, status, deleter) in rows {
        let seen = Who::ALL.map(|who| {
            let one_account = who == Who::Owner;
            let world = match deleter {
                None => World::in_status(status, Profile::Seed, one_account).unwrap(),
                Some(deleter) => {
                    let mut world =
                        World::in_status(Status::Active, Profile::Seed, one_account).unwrap();
                    let caller = if one_account { who } else { deleter }.caller();
                    let peering = world.peering;
                    world.act(&caller, &Command::DeleteVpcPeeringConnection { peering });
                    world
                }
            };
            let sees = |after: u64| {
                let at = world.now + Span::from_nanos(after);
                world.cloud.describe_peering(&who.caller(), world.peering, at).is_ok()
            };
            // What is once out of sight stays so, hence the edge can be found by halving.
            let (mut low, mut high) = (0, LONGEST.as_nanos());
            while low < high {
                let middle = low.midpoint(high);
                if sees(middle) { low = middle + 1 } else { high = middle }
            }
            if low == 0 { "never".to_owned() } else { Span::from_nanos(low).to_string() }
        });
        writeln!(out, "  {name:<23}{:<12}{:<11}{:<14}{}", seen[0], seen[1], seen[2], seen[3])
            .unwrap();
    }
    out
}

const HEADER: &str = "\
The life of a peering, every cell driven through `Cloud::apply` (tests/it/lifecycle.rs).
`BLESS=1 cargo test` rewrites this file; whoever does so reads the diff and says below what was read.

Read cell by cell against vpc-semantics 1.2 (blocks and peerings), 2.1 (states, visibility), 2.2 (who may
do what), 2.3 (checks of a request), 2.5 (repeats, reversals, deleted VPCs) and invariants 1.2.
Choices where AWS's answer is not known:
  - Who may act is asked before the state, so a requester who accepts is `not allowed` in every state.
  - An ended peering is no target for a new route, and reads as `unseen` there though it can be looked at.
  - `initiating-request` shows to the requester only, so it is never in the accepter's way: a block that
    overlaps, or the end of the accepter's VPC, dooms the request instead of being refused.
  - `provisioning` can neither lose its VPC (`in use`) nor be deleted; it settles first.

";

fn legend() -> String {
    let mut out = String::from(
        "\
Rows are the state before, columns who asks. `one account` owns both VPCs; `stranger` owns neither.
A cell says what came of it; `seed | today` where the two profiles differ. Transient states last 1 s.
The row `deleting` is `today` only: `seed` never shows that state.

  a status       the peering's status right afterwards
  -              done, and the peering's status is what it was
  then failed    done; the request is doomed and will show `failed` when it settles
  same id        the answer is the peering that exists
  new: STATUS    the answer is a new peering, and what that one is 1 s later
  route STATE    the route exists, in that state
",
    );
    for (code, word) in SHORT {
        writeln!(out, "  {word:<15}refused: {code}").unwrap();
    }
    out
}

#[test]
fn the_life_of_a_peering_is_the_table_on_file() {
    let text = format!(
        "{HEADER}{}{}\nWhat passing time alone does to a state (`State::at`)\n\n{}\
         \nFor how long a side still sees a peering that has ended; at exactly that time it is gone\n\n{}",
        legend(),
        table(),
        deadlines(),
        windows()
    );
    golden("lifecycle.txt", &text);
}

/// Compares with a file of `tests/data`, or rewrites it if `BLESS` is set.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(want.lines()).position(|(got, want)| got != want);
    let line = differs.unwrap_or(text.lines().count().min(want.lines().count()));
    assert!(
        text == want,
        "{name}:{}: differs from what was blessed\n  got  {:?}\n  want {:?}",
        line + 1,
        text.lines().nth(line),
        want.lines().nth(line)
    );
}
