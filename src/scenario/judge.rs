//! Expectations against what happened.
//!
//! Holds the comparison and its words: what was expected and what came of it are said in the same
//! terms, those of the file. Refuses to run anything.

use super::ast::{AclRef, Because, Bounds, Connection, Destination, Expect, Location, Loss};
use super::stage::Stage;
use crate::base::diag::Spanned;
use crate::base::id::InterfaceIdx;
use crate::cloud::dns::Resolution;
use crate::cloud::hostname::Hostname;
use crate::cloud::refusal::Refusal;
use crate::forward::reason::MISDELIVERED;
use crate::forward::{Drop, DropReason, Location as Spot};
use crate::report::explain::Explainer;
use crate::report::names::Names;
use crate::report::outcome::Verdict;
use crate::report::resolved;
use crate::sim::tcp::{Outcome, Report};
use crate::sim::traffic::{Drops, Tally};
use crate::sim::{Leg, ProbeId, ProbeTally};

/// What came of a step, and whether it was expected.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    pub(super) actual: String,
    pub(super) verdict: Verdict,
}

impl Judgement {
    pub(super) fn new(actual: impl Into<String>, held: bool) -> Judgement {
        let verdict = if held { Verdict::Held } else { Verdict::Failed };
        Judgement { actual: actual.into(), verdict }
    }
}

/// The expectation in the words of the file.
pub(super) fn words(expect: &Expect) -> String {
    let at = |at: &Option<Spanned<Location>>| match at {
        Some(place) => format!(", at: {}", place.value),
        None => String::new(),
    };
    let list = |to: &[Spanned<Destination>]| {
        to.iter().map(|d| d.value.to_string()).collect::<Vec<_>>().join(", ")
    };
    match expect {
        Expect::Replied => "replied".to_owned(),
        Expect::Delivered => "delivered".to_owned(),
        Expect::DeliveredTo(label) => format!("delivered-to: {}", label.value),
        Expect::Dropped { reason, at: place } => {
            format!("dropped: {}{}", reason.value, at(place))
        }
        Expect::ReplyLost { loss, at: place } => {
            format!("reply-lost: {}{}", loss.value, at(place))
        }
        Expect::Reaches { reaches, never, because } => {
            let because = match because {
                Because::Nothing => String::new(),
                Because::All(loss) => format!(", because: {}", loss.value),
                Because::Each(rows) => {
                    let rows = rows.iter();
                    let rows = rows.map(|(to, loss)| format!("{}: {}", to.value, loss.value));
                    format!(", because: {{{}}}", rows.collect::<Vec<_>>().join(", "))
                }
            };
            format!("reaches: [{}], never-reaches: [{}]{because}", list(reaches), list(never))
        }
        Expect::Counts { delivered, dropped } => {
            let delivered = delivered.as_ref().map(|b| format!("delivered: {}", b.value));
            let dropped: Vec<String> = dropped
                .iter()
                .map(|(reason, b)| format!("{}: {}", reason.value, b.value))
                .collect();
            let dropped =
                (!dropped.is_empty()).then(|| format!("dropped: {{{}}}", dropped.join(", ")));
            [delivered, dropped].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        Expect::Refused(code) => format!("refused: {}", code.value),
        Expect::Peering(state) => format!("state: {}", state.value.code()),
        Expect::Route(state) => format!("state: {}", state.value.code()),
        Expect::Address(address) => format!("address: {}", address.value),
        Expect::Unresolved(reason) => format!("unresolved: {}", reason.value),
        Expect::Connection(end) => end.name().to_owned(),
        Expect::Goodput(bounds) => format!("goodput: {} kbit/s", bounds.value),
    }
}

/// A command's answer against its expectation (success, if nothing is said).
pub(super) fn command(
    expect: Option<&Expect>,
    answer: &Result<Option<&'static str>, Refusal>,
) -> Judgement {
    match (expect, answer) {
        (Some(Expect::Refused(code)), Err(refusal)) => {
            Judgement::new(refused(refusal), code.value == refusal.code())
        }
        (Some(Expect::Refused(_)), Ok(state)) => {
            let state =
                state.map_or_else(|| "accepted".to_owned(), |s| format!("accepted, state: {s}"));
            Judgement::new(state, false)
        }
        (_, Err(refusal)) => Judgement::new(refused(refusal), false),
        (Some(Expect::Peering(want)), Ok(state)) => is_state(want.value.code(), *state),
        (Some(Expect::Route(want)), Ok(state)) => is_state(want.value.code(), *state),
        (_, Ok(Some(state))) => Judgement::new(format!("state: {state}"), true),
        (_, Ok(None)) => Judgement::new("done", true),
    }
}

/// What came of a query against its expectation.
pub(super) fn resolution(
    expect: Option<&Expect>,
    stage: &Stage,
    name: &Hostname,
    resolution: &Resolution,
) -> Judgement {
    let actual = resolved::told(Names(stage.sim.cloud()), name, resolution);
    match (expect, resolution) {
        (None, _) => Judgement { actual, verdict: Verdict::Unjudged },
        (Some(Expect::Address(want)), Ok(answer)) => {
            Judgement::new(actual, want.value == answer.address)
        }
        (Some(Expect::Unresolved(want)), Err(denial)) => {
            Judgement::new(actual, want.value == denial.reason)
        }
        (Some(_), _) => Judgement::new(actual, false),
    }
}

fn is_state(want: &str, state: Option<&'static str>) -> Judgement {
    match state {
        Some(state) => Judgement::new(format!("state: {state}"), want == state),
        None => Judgement::new("has no state", false),
    }
}

fn refused(refusal: &Refusal) -> String {
    format!("refused: {} ({refusal})", refusal.code())
}

/// Everything that is known about the packets of one probe.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) stage: &'a Stage,
    pub(super) explainer: &'a Explainer,
    pub(super) probe: ProbeId,
}

impl Evidence<'_> {
    fn tally(&self) -> ProbeTally {
        self.stage.sim.tally(self.probe)
    }

    /// The connection, if the probe is one.
    fn connection(&self) -> Option<Report> {
        self.stage.sim.connection(self.probe)
    }

    fn host(&self, row: InterfaceIdx) -> String {
        let world = self.stage.sim.world();
        Names(world.cloud).interface(world.rows.interface_id(row))
    }

    /// The distinct places at which packets of a leg were dropped for this reason.
    fn places(&self, leg: Leg, reason: DropReason) -> Vec<Spot> {
        let rows = self.stage.sim.world().rows;
        let drops = self.explainer.drops(self.probe, leg);
        drops.filter(|d: &Drop| d.reason == reason).map(|d| rows.locate(d.at)).collect()
    }

    /// Judges; without an expectation only says what happened.
    pub(super) fn judge(&self, expect: Option<&Expect>) -> Judgement {
        let mut actual = self.actual();
        if let Some(Expect::Counts { dropped, .. }) = expect {
            actual += &self.unlisted(dropped);
        }
        match expect.map(|expect| self.holds(expect)) {
            Some(held) => Judgement::new(actual, held),
            None => Judgement { actual, verdict: Verdict::Unjudged },
        }
    }

    /// Which drops an expectation of counts does not allow, because it does not list them.
    fn unlisted(&self, listed: &[(Spanned<DropReason>, Spanned<Bounds>)]) -> String {
        let drops = self.tally().requests.drops;
        let is_listed = |reason: DropReason| listed.iter().any(|(label, _)| label.value == reason);
        let unlisted = drops.iter().filter(|(reason, _)| !is_listed(*reason));
        let unlisted: Vec<&str> = unlisted.map(|(reason, _)| reason.label()).collect();
        match unlisted[..] {
            [] => String::new(),
            _ => format!("; not listed under `dropped`: {}", unlisted.join(", ")),
        }
    }

    fn holds(&self, expect: &Expect) -> bool {
        let ProbeTally { requests, answers, .. } = self.tally();
        let all_there =
            requests.sent > 0 && requests.delivered == requests.sent && requests.misdelivered == 0;
        let all_answered = all_there && answers.sent == requests.sent;
        match expect {
            Expect::Replied => {
                all_answered && answers.delivered == answers.sent && answers.misdelivered == 0
            }
            Expect::Delivered => all_there,
            Expect::DeliveredTo(label) => {
                let mut hosts = self.explainer.arrivals(self.probe, Leg::Request);
                let wanted = self.stage.host(&label.value).ok();
                let wanted = wanted.and_then(|known| self.stage.sim.row_of(known.interface));
                requests.sent > 0
                    && requests.delivered == requests.sent
                    && wanted.is_some_and(|wanted| hosts.all(|host| host == wanted))
            }
            Expect::Dropped { reason, at } => self.all_dropped(
                Leg::Request,
                &requests,
                reason.value,
                at.as_ref().map(|a| &a.value),
            ),
            Expect::ReplyLost { loss, at } if self.connection().is_some() => {
                // How often each end repeats itself is its own affair.
                all_there
                    && answers.sent > 0
                    && self.all_lost(&answers, loss.value, at.as_ref().map(|a| &a.value))
            }
            Expect::Connection(end) => self.connection().and_then(|c| end_of(&c)) == Some(*end),
            Expect::Goodput(bounds) => self.connection().is_some_and(|report| {
                end_of(&report) == Some(Connection::Connected)
                    && bounds.value.contains(goodput(&report))
            }),
            Expect::ReplyLost { loss, at } => {
                all_answered && self.all_lost(&answers, loss.value, at.as_ref().map(|a| &a.value))
            }
            Expect::Counts { delivered, dropped } => {
                requests.sent > 0
                    && delivered.as_ref().is_none_or(|b| b.value.contains(rightly(&requests)))
                    && counts_hold(&requests.drops, dropped)
            }
            // The decoder refuses the others on traffic, and lists are judged target by target.
            Expect::Reaches { .. }
            | Expect::Refused(_)
            | Expect::Peering(_)
            | Expect::Route(_)
            | Expect::Address(_)
            | Expect::Unresolved(_) => false,
        }
    }

    fn all_dropped(
        &self,
        leg: Leg,
        tally: &Tally,
        reason: DropReason,
        at: Option<&Location>,
    ) -> bool {
        tally.sent > 0
            && tally.drops.of(reason) == tally.sent
            && at.is_none_or(|at| self.places(leg, reason).iter().all(|spot| self.is_at(*spot, at)))
    }

    fn all_lost(&self, answers: &Tally, loss: Loss, at: Option<&Location>) -> bool {
        match loss {
            Loss::Dropped(reason) => self.all_dropped(Leg::Answer, answers, reason, at),
            Loss::Misdelivered => {
                let rows = self.stage.sim.world().rows;
                let mut hosts = self
                    .explainer
                    .arrivals(self.probe, Leg::Answer)
                    .map(|row| Spot::Interface(rows.interface_id(row)));
                answers.misdelivered == answers.sent
                    && at.is_none_or(|at| hosts.all(|spot| self.is_at(spot, at)))
            }
        }
    }

    /// Was it there? A VPC stands for its main table as well.
    fn is_at(&self, spot: Spot, at: &Location) -> bool {
        let labels = &self.stage.labels;
        let is_vpc = |vpc| {
            let main = self.stage.sim.cloud().vpc(vpc).map(|v| v.main_table());
            spot == Spot::Vpc(vpc) || main.is_some_and(|main| spot == Spot::Table(main))
        };
        match at {
            Location::Peering(id) => spot == Spot::Peering(*id),
            Location::Vpc(id) => is_vpc(*id),
            // A route table and a network ACL are written alike; either will do.
            Location::Table(part) => {
                let table = self.stage.named_table(&part.vpc, &part.table);
                let acl =
                    part.table.as_str().parse().ok().and_then(|name| {
                        self.stage.acl(&AclRef { vpc: part.vpc.clone(), name }).ok()
                    });
                table.is_ok_and(|table| spot == Spot::Table(table))
                    || acl.is_some_and(|acl| spot == Spot::Acl(acl))
            }
            Location::Label(label) => {
                labels.peerings.get(label).is_some_and(|id| spot == Spot::Peering(*id))
                    || labels.vpcs.get(label).is_some_and(|id| is_vpc(*id))
                    || self.stage.interface(label).is_some_and(|id| spot == Spot::Interface(id))
                    || self
                        .stage
                        .gateway(label, "gateway")
                        .is_ok_and(|known| spot == Spot::Gateway(known.id))
            }
        }
    }

    /// Judges one target of a ping of which is expected whom it reaches: the target is to answer,
    /// or not to for this reason.
    pub(super) fn judge_target(&self, never: Option<Loss>) -> Judgement {
        Judgement::new(self.actual(), self.target_holds(never))
    }

    fn target_holds(&self, never: Option<Loss>) -> bool {
        let Some(loss) = never else { return self.holds(&Expect::Replied) };
        let ProbeTally { requests, answers, .. } = self.tally();
        match loss {
            Loss::Dropped(reason) => {
                self.all_dropped(Leg::Request, &requests, reason, None)
                    || (requests.delivered == requests.sent
                        && self.all_dropped(Leg::Answer, &answers, reason, None))
            }
            Loss::Misdelivered => {
                requests.misdelivered == requests.sent
                    || (requests.delivered == requests.sent && answers.misdelivered == answers.sent)
            }
        }
    }

    /// What happened, in the words of the expectations where they fit, else in counts.
    pub(super) fn actual(&self) -> String {
        let ProbeTally { requests, answers, .. } = self.tally();
        if requests.sent == 0 {
            return "nothing was sent".to_owned();
        }
        if let Some(text) = self.connection().and_then(|report| told(&report)) {
            return text;
        }
        if let Some(text) = self.uniform_drop(Leg::Request, &requests) {
            return format!("dropped: {text}");
        }
        let timed_out = self.connection().and_then(|report| end_of(&report));
        if timed_out == Some(Connection::TimedOut) {
            return self.timed_out(&requests, &answers);
        }
        let mixed = (1..requests.delivered).contains(&requests.misdelivered);
        if requests.delivered < requests.sent || mixed {
            let all_back = answers.delivered == answers.sent && answers.misdelivered == 0;
            return match all_back {
                true => counts(&requests),
                false => format!("{}; answers: {}", counts(&requests), counts(&answers)),
            };
        }
        if requests.misdelivered > 0 {
            return format!("misdelivered{}", self.host_list(Leg::Request));
        }
        if answers.sent == 0 {
            return format!("delivered{}", self.host_list(Leg::Request));
        }
        if answers.sent == requests.sent {
            if answers.delivered == answers.sent && answers.misdelivered == 0 {
                return "replied".to_owned();
            }
            if let Some(text) = self.uniform_drop(Leg::Answer, &answers) {
                return format!("reply-lost: {text}");
            }
            if answers.misdelivered == answers.sent {
                return format!("reply-lost: {MISDELIVERED}{}", self.host_list(Leg::Answer));
            }
        }
        format!("{}; answers: {}", counts(&requests), counts(&answers))
    }

    /// A connection that timed out though not every SYN was dropped for one reason.
    fn timed_out(&self, requests: &Tally, answers: &Tally) -> String {
        let lost = (requests.delivered == requests.sent).then_some(answers);
        match lost.and_then(|answers| self.uniform_drop(Leg::Answer, answers)) {
            Some(text) => format!("reply-lost: {text}"),
            None => format!(
                "{}; {}; answers: {}",
                Connection::TimedOut.name(),
                counts(requests),
                counts(answers)
            ),
        }
    }

    fn uniform_drop(&self, leg: Leg, tally: &Tally) -> Option<String> {
        let (reason, n) = tally.drops.iter().next()?;
        if n < tally.sent {
            return None;
        }
        let mut places = self.places(leg, reason);
        places.dedup();
        let names = Names(self.stage.sim.cloud());
        Some(match places[..] {
            [only] => format!("{reason}, at: {}", names.location(only)),
            _ => reason.to_string(),
        })
    }

    fn host_list(&self, leg: Leg) -> String {
        let mut hosts: Vec<String> =
            self.explainer.arrivals(self.probe, leg).map(|row| self.host(row)).collect();
        hosts.sort_unstable();
        match &hosts[..] {
            [] => String::new(),
            few if few.len() <= 4 => format!(" to {}", few.join(", ")),
            many => format!(" to {} hosts", many.len()),
        }
    }
}

/// How a connection came to its end, in the words of the file.
fn end_of(report: &Report) -> Option<Connection> {
    match report.outcome {
        Outcome::Connecting | Outcome::Open => None,
        Outcome::Done => Some(Connection::Connected),
        Outcome::Refused => Some(Connection::Refused),
        Outcome::TimedOut => Some(Connection::TimedOut),
        Outcome::Reset => Some(Connection::Reset),
    }
}

/// In kbit/s, from the handshake to the last acknowledgement; 0 if nothing was carried.
fn goodput(report: &Report) -> u64 {
    let time = report.transfer_time().map_or(0, |time| time.as_nanos());
    let bits = u128::from(report.acknowledged) * 8;
    // Bits a nanosecond are Gbit/s.
    let kbits = (bits * 1_000_000).checked_div(u128::from(time));
    kbits.and_then(|rate| u64::try_from(rate).ok()).unwrap_or_default()
}

/// What became of a connection; nothing of one that timed out, of which the packets tell more.
fn told(report: &Report) -> Option<String> {
    let end = end_of(report)?;
    if end == Connection::TimedOut {
        return None;
    }
    let mut text = end.name().to_owned();
    if let (Connection::Connected, Some(time)) = (end, report.transfer_time())
        && report.acknowledged > 0
    {
        let seconds = time.as_secs_f64();
        let (bytes, rate) = (report.acknowledged, goodput(report));
        text += &format!(", {bytes} bytes in {seconds:.3} s, {rate} kbit/s");
    }
    if report.retransmitted > 0 {
        text += &format!(", {} of {} segments again", report.retransmitted, report.segments);
    }
    Some(text)
}

fn counts_hold(drops: &Drops, wanted: &[(Spanned<DropReason>, Spanned<Bounds>)]) -> bool {
    let wanted_of = |reason: DropReason| wanted.iter().find(|(label, _)| label.value == reason);
    DropReason::ALL.iter().all(|reason| match wanted_of(*reason) {
        Some((_, bounds)) => bounds.value.contains(drops.of(*reason)),
        None => drops.of(*reason) == 0,
    })
}

/// Packets that were delivered where they were meant to go, as far as that is known.
fn rightly(tally: &Tally) -> u64 {
    tally.delivered - tally.misdelivered
}

fn counts(tally: &Tally) -> String {
    let mut text = format!("sent: {}, delivered: {}", tally.sent, rightly(tally));
    if tally.misdelivered > 0 {
        text += &format!(", {MISDELIVERED}: {}", tally.misdelivered);
    }
    let drops: Vec<String> =
        tally.drops.iter().map(|(reason, n)| format!("{reason}: {n}")).collect();
    if !drops.is_empty() {
        text += &format!(", dropped: {{{}}}", drops.join(", "));
    }
    text
}

#[cfg(test)]
mod tests;
