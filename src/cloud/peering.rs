//! A peering connection: its states, who may do what in each, and the proof that it is active.
//!
//! Holds the life of one peering as one table (`State::on`) and [`ActivePeering`], which only an
//! active peering can hand out. Refuses to hold the checks that look at other resources (overlap,
//! quotas, duplicates): those are in `peering_commands.rs`.
//!
//! ```text
//!                      ┌──────────► failed
//!  initiating-request ─┤                ▲ accepter's VPC gains an overlapping block
//!                      └► pending-acceptance ──accept──► provisioning ──► active
//!                           │    │     │                                    │
//!                        reject delete 7 days                             delete
//!                           ▼    ▼     ▼                                    ▼
//!                   rejected  deleted  expired                 deleting ──► deleted
//! ```
//!
//! Passing time is not an event that someone could forget to send: it is asked for with
//! [`State::at`]. Source: vpc-semantics 2.1 and 2.2; ties at one instant go to the deadline.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::Region;
use super::dns::Switch;
use crate::base::id::{AccountId, PeeringId, VpcId};
use crate::base::limit::PEERING_REQUEST_LIFE;
use crate::base::time::{Instant, Span};

/// One end of a peering as the request named it. The accepter of a failed request may not exist.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Party {
    /// The VPC at this end.
    pub vpc: VpcId,
    /// Its owner.
    pub account: AccountId,
    /// Its region.
    pub region: Region,
}

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum End {
    /// The one that asked.
    Requester,
    /// The one that was asked.
    Accepter,
}

impl End {
    /// Both.
    pub const ALL: [End; 2] = [End::Requester, End::Accepter];

    /// The name used in files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            End::Requester => "requester",
            End::Accepter => "accepter",
        }
    }

    /// The end with this name.
    pub fn from_name(name: &str) -> Option<End> {
        End::ALL.into_iter().find(|end| end.name() == name)
    }
}

/// What the checks of a request found. Shown to nobody as such: every failed request reads the
/// same (invariant S11), the cause is for the lab's own explanations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum FailureCause {
    /// No VPC with this id in the named region belongs to the named account.
    PeerUnknown,
    /// The two VPCs share an address.
    Overlap,
}

/// Where a peering stands. Each state carries what only it knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The checks run until `settles_at`; nobody can answer yet.
    InitiatingRequest {
        /// When the request was made; its week counts from here.
        requested_at: Instant,
        /// When the outcome shows.
        settles_at: Instant,
        /// What the checks have found: a cause to fail, or none.
        failure: Option<FailureCause>,
    },
    /// The request could not become a peering. Terminal.
    Failed {
        /// Since when.
        at: Instant,
        /// Why.
        cause: FailureCause,
    },
    /// Waiting for the accepter; no packet crosses.
    PendingAcceptance {
        /// First moment at which the request is no longer acceptable.
        expires_at: Instant,
    },
    /// Nobody answered in time. Terminal.
    Expired {
        /// The deadline that passed.
        at: Instant,
    },
    /// The accepter said no. Terminal.
    Rejected {
        /// Since when.
        at: Instant,
    },
    /// Accepted, being set up; no packet crosses yet.
    Provisioning {
        /// When it becomes active.
        settles_at: Instant,
    },
    /// The only state in which packets cross.
    Active {
        /// Since when.
        since: Instant,
    },
    /// Being removed; no packet crosses any more.
    Deleting {
        /// When it is gone.
        settles_at: Instant,
        /// Who asked for it.
        by: AccountId,
    },
    /// Removed. Terminal.
    Deleted {
        /// Since when.
        at: Instant,
        /// Who asked for it.
        by: AccountId,
    },
}

/// The nine status codes that EC2 shows (2.1), in the order of a life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the states are documented at `State`")]
pub enum Status {
    InitiatingRequest,
    Failed,
    PendingAcceptance,
    Expired,
    Rejected,
    Provisioning,
    Active,
    Deleting,
    Deleted,
}

impl Status {
    /// All nine.
    pub const ALL: [Status; 9] = [
        Status::InitiatingRequest,
        Status::Failed,
        Status::PendingAcceptance,
        Status::Expired,
        Status::Rejected,
        Status::Provisioning,
        Status::Active,
        Status::Deleting,
        Status::Deleted,
    ];

    /// Can it still change?
    pub const fn is_live(self) -> bool {
        !matches!(self, Status::Failed | Status::Expired | Status::Rejected | Status::Deleted)
    }

    /// The code on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Status::InitiatingRequest => "initiating-request",
            Status::Failed => "failed",
            Status::PendingAcceptance => "pending-acceptance",
            Status::Expired => "expired",
            Status::Rejected => "rejected",
            Status::Provisioning => "provisioning",
            Status::Active => "active",
            Status::Deleting => "deleting",
            Status::Deleted => "deleted",
        }
    }

    /// The status with this code.
    pub fn from_code(code: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|s| s.code() == code)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What can be done to a peering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The accepter says yes.
    Accept,
    /// The accepter says no.
    Reject,
    /// The requester takes the request back, or either party ends the peering.
    Delete {
        /// Who deletes.
        by: AccountId,
    },
    /// The accepter's VPC changed so that the request can't become a peering (1.2): it gained a
    /// block that overlaps the requester's, or ended while the checks were running.
    Fail(FailureCause),
}

impl Action {
    /// The verb of the messages.
    pub const fn verb(self) -> &'static str {
        match self {
            Action::Accept => "accept",
            Action::Reject => "reject",
            Action::Delete { .. } => "delete",
            Action::Fail(_) => "fail",
        }
    }

    /// The status that the action is on the way to, as `InvalidStateTransition` names it (2.2).
    pub const fn towards(self) -> Status {
        match self {
            Action::Accept => Status::Provisioning,
            Action::Reject => Status::Rejected,
            Action::Delete { .. } => Status::Deleting,
            Action::Fail(_) => Status::Failed,
        }
    }
}

/// How long transient states last, and which ones show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pace {
    /// Length of `initiating-request`, `provisioning` and `deleting`.
    pub(super) settle: Span,
    /// Whether `deleting` shows at all.
    pub(super) deleting_shown: bool,
}

impl State {
    /// What this state has become by `now`.
    pub fn at(self, now: Instant) -> State {
        match self {
            State::InitiatingRequest { requested_at, settles_at, failure } if now >= settles_at => {
                match failure {
                    Some(cause) => State::Failed { at: settles_at, cause },
                    None => {
                        State::PendingAcceptance { expires_at: requested_at + PEERING_REQUEST_LIFE }
                            .at(now)
                    }
                }
            }
            State::PendingAcceptance { expires_at } if now >= expires_at => {
                State::Expired { at: expires_at }
            }
            State::Provisioning { settles_at } if now >= settles_at => {
                State::Active { since: settles_at }
            }
            State::Deleting { settles_at, by } if now >= settles_at => {
                State::Deleted { at: settles_at, by }
            }
            settled => settled,
        }
    }

    /// The one place where the life of a peering is written down: the state after `action`, or
    /// nothing if this state does not allow it.
    pub(super) fn on(self, action: Action, now: Instant, pace: Pace) -> Option<State> {
        match (self.at(now), action) {
            (State::PendingAcceptance { .. }, Action::Accept) => {
                Some(State::Provisioning { settles_at: now + pace.settle })
            }
            (State::PendingAcceptance { .. }, Action::Reject) => Some(State::Rejected { at: now }),
            (State::PendingAcceptance { .. }, Action::Fail(cause)) => {
                Some(State::Failed { at: now, cause })
            }
            // The checks are still running: they find the cause, and it shows when they end.
            (
                State::InitiatingRequest { requested_at, settles_at, failure: None },
                Action::Fail(cause),
            ) => Some(State::InitiatingRequest { requested_at, settles_at, failure: Some(cause) }),
            (State::PendingAcceptance { .. } | State::Active { .. }, Action::Delete { by }) => {
                Some(if pace.deleting_shown {
                    State::Deleting { settles_at: now + pace.settle, by }
                } else {
                    State::Deleted { at: now, by }
                })
            }
            _ => None,
        }
    }

    /// The moment at which passing time alone changes this state, if it does.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            State::InitiatingRequest { settles_at, .. }
            | State::Provisioning { settles_at }
            | State::Deleting { settles_at, .. } => Some(settles_at),
            State::PendingAcceptance { expires_at } => Some(expires_at),
            _ => None,
        }
    }

    /// The code that EC2 shows for it.
    pub const fn status(self) -> Status {
        match self {
            State::InitiatingRequest { .. } => Status::InitiatingRequest,
            State::Failed { .. } => Status::Failed,
            State::PendingAcceptance { .. } => Status::PendingAcceptance,
            State::Expired { .. } => Status::Expired,
            State::Rejected { .. } => Status::Rejected,
            State::Provisioning { .. } => Status::Provisioning,
            State::Active { .. } => Status::Active,
            State::Deleting { .. } => Status::Deleting,
            State::Deleted { .. } => Status::Deleted,
        }
    }
}

/// How an account stands to a peering.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Owns the requester VPC only.
    Requester,
    /// Owns the accepter VPC only.
    Accepter,
    /// Owns both.
    Both,
    /// Owns neither: for it the peering does not exist.
    Stranger,
}

/// A peering connection. An edge between two VPCs and never a node: no queue, device or lock is
/// shared by two of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peering {
    id: PeeringId,
    requester: Party,
    accepter: Party,
    state: State,
    /// `AllowDnsResolutionFromRemoteVpc` of each side (vpc-semantics 2.6).
    requester_dns: Switch,
    accepter_dns: Switch,
}

impl Peering {
    pub(super) fn new(id: PeeringId, requester: Party, accepter: Party, state: State) -> Peering {
        let (requester_dns, accepter_dns) = (Switch::Off, Switch::Off);
        Peering { id, requester, accepter, state, requester_dns, accepter_dns }
    }

    pub(super) fn move_to(&mut self, state: State) {
        self.state = state;
    }

    pub(super) fn set_dns_from_peer(&mut self, end: End, switch: Switch) {
        match end {
            End::Requester => self.requester_dns = switch,
            End::Accepter => self.accepter_dns = switch,
        }
    }

    /// Its id, never used again for another peering.
    pub fn id(&self) -> PeeringId {
        self.id
    }

    /// The side that asked.
    pub fn requester(&self) -> &Party {
        &self.requester
    }

    /// The side that was asked.
    pub fn accepter(&self) -> &Party {
        &self.accepter
    }

    /// The party at an end.
    pub fn party(&self, end: End) -> &Party {
        match end {
            End::Requester => &self.requester,
            End::Accepter => &self.accepter,
        }
    }

    /// Whether private addresses of `vpc` resolve in the VPC at the other end
    /// (`AllowDnsResolutionFromRemoteVpc`, vpc-semantics 2.6); `None` if `vpc` is at neither end. It
    /// acts while the peering is active.
    pub fn dns_from_peer(&self, vpc: VpcId) -> Option<Switch> {
        if vpc == self.requester.vpc {
            Some(self.requester_dns)
        } else if vpc == self.accepter.vpc {
            Some(self.accepter_dns)
        } else {
            None
        }
    }

    /// Where it stands at `now`.
    pub fn state(&self, now: Instant) -> State {
        self.state.at(now)
    }

    /// The code that EC2 shows for it at `now`.
    pub fn status(&self, now: Instant) -> Status {
        self.state(now).status()
    }

    /// Is it pending, active, or on the way to one of the two? At most one such per pair in `seed`.
    pub fn is_live(&self, now: Instant) -> bool {
        use Status::{Active, InitiatingRequest, PendingAcceptance, Provisioning};
        let doomed = matches!(self.state, State::InitiatingRequest { failure: Some(_), .. });
        let live = [InitiatingRequest, PendingAcceptance, Provisioning, Active];
        !doomed && live.contains(&self.status(now))
    }

    /// Has it been accepted and not ended: does it count as *being* a peering?
    pub fn is_accepted(&self, now: Instant) -> bool {
        matches!(self.status(now), Status::Provisioning | Status::Active)
    }

    /// How an account stands to it.
    pub fn role(&self, account: AccountId) -> Role {
        match (self.requester.account == account, self.accepter.account == account) {
            (true, true) => Role::Both,
            (true, false) => Role::Requester,
            (false, true) => Role::Accepter,
            (false, false) => Role::Stranger,
        }
    }

    /// The VPC at the other end, seen from `vpc`; `None` if `vpc` is at neither end.
    pub fn other_end(&self, vpc: VpcId) -> Option<VpcId> {
        if vpc == self.requester.vpc {
            Some(self.accepter.vpc)
        } else if vpc == self.accepter.vpc {
            Some(self.requester.vpc)
        } else {
            None
        }
    }

    /// Can the account see it at `now` (2.1, last column but one)? Terminal states fade: to the
    /// second, and for each side by itself.
    pub fn is_visible_to(&self, account: AccountId, now: Instant) -> bool {
        now < self.fades(account, self.state(now))
    }

    /// The first moment at which an account cannot see it in this state.
    fn fades(&self, account: AccountId, state: State) -> Instant {
        const HOURS_2: Span = Span::from_hours(2);
        const DAYS_2: Span = Span::from_days(2);
        match (state, self.role(account)) {
            (_, Role::Stranger) => Instant::START,
            // The accepter hears of a request once it has passed the checks, and never of a failed one.
            (State::InitiatingRequest { .. } | State::Failed { .. }, Role::Accepter) => {
                Instant::START
            }
            (State::Failed { at, .. }, _) => at + HOURS_2,
            (State::Expired { at }, _) => at + DAYS_2,
            (State::Rejected { at }, Role::Requester) => at + DAYS_2,
            (State::Rejected { at }, _) => at + HOURS_2,
            (State::Deleted { at, by }, Role::Requester | Role::Accepter) if by != account => {
                at + DAYS_2
            }
            (State::Deleted { at, .. }, _) => at + HOURS_2,
            _ => Instant::NEVER,
        }
    }

    /// From when on nobody can see it, if nobody does anything more to it; [`Instant::NEVER`] while it
    /// is active or going to be.
    pub(super) fn forgotten_at(&self) -> Instant {
        let last = self.state.at(Instant::NEVER);
        let fades = |party: &Party| self.fades(party.account, last);
        fades(&self.requester).max(fades(&self.accepter))
    }

    /// Every moment at which passing time alone changes it.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> + use<> {
        let first = self.state.deadline();
        let then = first.and_then(|at| self.state.at(at).deadline());
        first.into_iter().chain(then)
    }

    /// The accounts that may see it, each in both regions: none twice.
    pub(super) fn seen_from(&self) -> BTreeSet<(AccountId, Region)> {
        let ends = [&self.requester, &self.accepter];
        let regions = |party: &Party| ends.map(|end| (party.account, end.region.clone()));
        ends.into_iter().flat_map(regions).collect()
    }

    /// The proof that packets may cross at `now`.
    pub fn active(&self, now: Instant) -> Option<ActivePeering<'_>> {
        match self.state(now) {
            State::Active { .. } => Some(ActivePeering(self)),
            _ => None,
        }
    }
}

/// Proof, for as long as it lives, that the peering carries traffic. Only [`Peering::active`] makes
/// one, and the gate takes nothing else, so "forwarded over a pending peering" does not compile.
#[derive(Clone, Copy, Debug)]
pub struct ActivePeering<'c>(&'c Peering);

impl<'c> ActivePeering<'c> {
    /// The peering that is active.
    pub fn peering(self) -> &'c Peering {
        self.0
    }
}
