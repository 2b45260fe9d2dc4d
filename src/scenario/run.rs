//! Running a scenario: the timeline, step by step, to an outcome.
//!
//! Holds the order of things: when a step begins and ends, when its expectation is judged, and what
//! is kept of it. Refuses to print and to write files; whoever wants packets hangs an observer on
//! the run.

use std::path::Path;

use super::ast::{self, Action, Because, Destination, Expect, Loss, Step, Toggle};
use super::judge::{self, Evidence, Judgement};
use super::load::{Failure, Loaded};
use super::stage::{Stage, Trouble};
use super::step::{self, Connect, Doing, Probe, Shown, Undone};
use super::{code, lower};
use crate::base::diag::{Diagnostic, Diagnostics, Sources, quote};
use crate::base::limit::REPAIRS_PER_STEP_MAX;
use crate::base::rng::Seed;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::forward::repair::{Ground, Intent, Way, Ways, diagnose};
use crate::report::explain::{Asked, Explainer, Stray, Stretch};
use crate::report::outcome::{LegWalk, Outcome, StepOutcome, Traffic, Verdict};
use crate::report::remedy::Remedy;
use crate::sim::{Datagrams, Leg, Observer, ProbeId, RunError, Sim, Twin, World};
use crate::wire::Packet;

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// In place of the file's seed.
    pub seed: Option<Seed>,
    /// Which forwarder judges the packets.
    pub twin: Twin,
    /// For which steps a repair is looked for.
    pub repairs: Repairs,
}

/// For which steps a repair is looked for. A search costs copies of the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Repairs {
    /// Those that failed.
    #[default]
    Failed,
    /// Every one with a packet that did not arrive.
    All,
}

/// The network of a file, built and ready at virtual zero, without a step taken.
///
/// # Errors
/// Everything in the declared network that the cloud refuses.
pub fn build(loaded: &Loaded, seed: Option<Seed>, twin: Twin) -> Result<Built, Failure> {
    build_at(loaded, seed, twin, Instant::START)
}

/// As [`build`], at another moment: requests for peerings that wait for an answer are of then.
///
/// # Errors
/// As [`build`].
pub fn build_at(
    loaded: &Loaded,
    seed: Option<Seed>,
    twin: Twin,
    moment: Instant,
) -> Result<Built, Failure> {
    let seed = seed.unwrap_or(loaded.file.seed);
    let sim = |cloud| {
        let mut sim = Sim::new(cloud, seed, twin);
        sim.move_to(moment);
        sim
    };
    let stage = lower::build(&loaded.file, sim)
        .map_err(|diagnostics| Failure { diagnostics, sources: loaded.sources.clone() })?;
    Ok(Built { stage })
}

/// Sees to it that every capture a file replays can be read. `directory` is where they are looked
/// for.
///
/// # Errors
/// What is wrong with each that cannot.
pub fn check_captures(loaded: &Loaded, directory: &Path) -> Result<(), Failure> {
    let mut diagnostics = Diagnostics::default();
    for step in &loaded.file.steps {
        if let ast::Action::Replay(replay) = &step.action
            && let Err(why) = step::capture_of(replay, directory)
        {
            let path = quote(replay.capture.value.as_str());
            let message = format!("cannot replay {path}: {why}");
            diagnostics.push(Diagnostic::at(replay.capture.place, code::UNREADABLE, message));
        }
    }
    match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Failure { diagnostics, sources: loaded.sources.clone() }),
    }
}

/// A network that stands.
#[derive(Debug)]
pub struct Built {
    pub(super) stage: Stage,
}

impl Built {
    /// The simulator, for whoever goes on with it without a file.
    pub fn into_sim(self) -> Sim {
        self.stage.sim
    }

    /// The cloud as it is declared.
    pub fn cloud(&self) -> &Cloud {
        self.stage.sim.cloud()
    }
}

/// Runs a file. `directory` is where the captures it replays are looked for; `observer` hears of
/// every packet.
///
/// # Errors
/// Diagnostics if the declared network cannot be built or a step comes too late for its `at`. What
/// an expectation does not hold for is no error but an outcome.
pub fn run(
    loaded: &Loaded,
    directory: &Path,
    settings: Settings,
    observer: &mut impl Observer,
) -> Result<Outcome, Failure> {
    play(loaded, directory, settings, observer).map(|(outcome, _)| outcome)
}

/// As [`run`], with the stage as the last step left it.
pub(super) fn play(
    loaded: &Loaded,
    directory: &Path,
    settings: Settings,
    observer: &mut impl Observer,
) -> Result<(Outcome, Built), Failure> {
    let file = &loaded.file;
    check_captures(loaded, directory)?;
    let built = build(loaded, settings.seed, settings.twin)?;
    let mut run = Run {
        stage: built.stage,
        file,
        sources: &loaded.sources,
        directory,
        settings,
        explainer: Explainer::default(),
        steps: Vec::with_capacity(file.steps.len()),
        background: Vec::new(),
    };
    observer.look(run.stage.sim.world());
    let timeline = run.timeline(observer);
    observer.look(run.stage.sim.world());
    let aborted = match timeline {
        Ok(()) => None,
        Err(Cut::Limit(error)) => {
            run.cut_short();
            Some(error.to_string())
        }
        Err(Cut::Late(diagnostic)) => {
            let mut diagnostics = Diagnostics::default();
            diagnostics.push(*diagnostic);
            return Err(Failure { diagnostics, sources: loaded.sources.clone() });
        }
    };
    let outcome = Outcome {
        file: loaded.sources.name(file.name.place.source()).to_owned(),
        name: file.name.value.clone(),
        about: file.about.clone(),
        profile: file.profile.value.name(),
        seed: settings.seed.unwrap_or(file.seed).0,
        start_unix: file.start.value,
        ended: run.stage.sim.now(),
        packets: run.stage.sim.packets(),
        steps: run.steps,
        aborted,
    };
    Ok((outcome, Built { stage: run.stage }))
}

/// What ends a run early.
enum Cut {
    Limit(RunError),
    Late(Box<Diagnostic>),
}

impl From<RunError> for Cut {
    fn from(error: RunError) -> Cut {
        Cut::Limit(error)
    }
}

struct Run<'a> {
    stage: Stage,
    file: &'a ast::File,
    sources: &'a Sources,
    directory: &'a Path,
    settings: Settings,
    explainer: Explainer,
    steps: Vec<StepOutcome>,
    /// Steps that are still to be judged, with their probes.
    background: Vec<(usize, ProbeId)>,
}

impl Run<'_> {
    fn timeline(&mut self, observer: &mut impl Observer) -> Result<(), Cut> {
        for (row, step) in self.file.steps.iter().enumerate() {
            self.begin(step, observer)?;
            tracing::debug!(step = row + 1, at = %self.stage.sim.now(), "{}", step::words(&step.action));
            let outcome = self.blank(row, step);
            self.steps.push(outcome);
            self.take(row, step, observer)?;
        }
        for (row, probe) in std::mem::take(&mut self.background) {
            self.stage.sim.run_probe(probe, &mut (&mut self.explainer, &mut *observer))?;
            self.judge_probe(row, probe);
        }
        Ok(())
    }

    /// Lets time pass until the step begins.
    fn begin(&mut self, step: &Step, observer: &mut impl Observer) -> Result<(), Cut> {
        let Some(at) = &step.at else { return Ok(()) };
        let now = self.stage.sim.now();
        if at.value < now {
            let message = format!(
                "this step cannot begin at {}: that is past, the step before ended at {now}",
                at.value
            );
            return Err(Cut::Late(Box::new(Diagnostic::at(at.place, code::LATE, message))));
        }
        // What happens at the very instant of a step happens after it: commands come first.
        if at.value > now {
            let before = Instant::from_nanos(at.value.as_nanos() - 1);
            self.pass(before, observer)?;
            self.stage.sim.move_to(at.value);
        }
        Ok(())
    }

    fn pass(&mut self, until: Instant, observer: &mut impl Observer) -> Result<(), Cut> {
        Ok(self.stage.sim.run_until(until, &mut (&mut self.explainer, observer))?)
    }

    fn blank(&self, row: usize, step: &Step) -> StepOutcome {
        let expected = step.expect.as_ref().map(|expect| judge::words(&expect.value));
        StepOutcome {
            number: row + 1,
            line: self.sources.line(step.place),
            at: self.stage.sim.now(),
            action: step::words(&step.action),
            note: step.note.clone(),
            expected,
            actual: String::new(),
            verdict: Verdict::Unjudged,
            traffic: None,
            walks: Vec::new(),
        }
    }

    fn take(&mut self, row: usize, step: &Step, observer: &mut impl Observer) -> Result<(), Cut> {
        let expect = step.expect.as_ref().map(|expect| &expect.value);
        if may_change_network(&step.action) {
            self.settle();
        }
        let done = step::act(&mut self.stage, step, self.directory);
        observer.look(self.stage.sim.world());
        match done {
            Ok(Doing::Asked(shown)) => {
                self.tick(observer)?;
                self.put(row, judge::command(expect, &Ok(self.state_of(shown))));
            }
            Ok(Doing::Looked(state)) => {
                self.tick(observer)?;
                self.put(row, judge::command(expect, &Ok(Some(state))));
            }
            Err(Undone::Trouble(Trouble::Refused(refusal))) => {
                self.tick(observer)?;
                self.put(row, judge::command(expect, &Err(refusal)));
            }
            Err(undone) => self.put(row, Judgement::new(undone.to_string(), false)),
            Ok(Doing::Resolved(name, resolution)) => {
                self.tick(observer)?;
                let judgement = judge::resolution(expect, &self.stage, &name, &resolution);
                self.put(row, judgement);
            }
            Ok(Doing::Wait(span)) => {
                self.pass(self.stage.sim.now() + span, observer)?;
                self.put(row, Judgement { actual: "done".to_owned(), verdict: Verdict::Unjudged });
            }
            Ok(Doing::Probe(probe)) => {
                let background = probe.background;
                let id = self.start(probe)?;
                if background == Toggle::Yes {
                    self.background.push((row, id));
                    return Ok(());
                }
                self.stage.sim.run_probe(id, &mut (&mut self.explainer, observer))?;
                self.judge_probe(row, id);
            }
            Ok(Doing::Connect(connect)) => {
                let Connect { from, meant, ends, transfer, background } = connect;
                match self.stage.sim.connect(from, meant, ends, transfer) {
                    Err(error) => self.put(row, Judgement::new(error.to_string(), false)),
                    Ok(id) if background == Toggle::Yes => self.background.push((row, id)),
                    Ok(id) => {
                        self.stage.sim.run_probe(id, &mut (&mut self.explainer, observer))?;
                        self.judge_probe(row, id);
                    }
                }
            }
            Ok(Doing::Targets(targets)) => self.take_targets(row, expect, targets, observer)?,
        }
        Ok(())
    }

    /// The tick that a command takes.
    fn tick(&mut self, observer: &mut impl Observer) -> Result<(), Cut> {
        self.pass(self.stage.sim.now() + Sim::COMMAND, observer)
    }

    fn start(&mut self, probe: Probe) -> Result<ProbeId, Cut> {
        Ok(self.stage.sim.start(probe.datagrams, probe.sources)?)
    }

    fn state_of(&self, shown: Shown) -> Option<&'static str> {
        match shown {
            Shown::Nothing => None,
            Shown::Route(table, destination) => step::route_state(&self.stage, table, destination),
            Shown::Peering(id) => {
                let now = self.stage.sim.now();
                self.stage.sim.cloud().peering(id).map(|p| p.status(now).code())
            }
        }
    }

    fn put(&mut self, row: usize, judgement: Judgement) {
        self.steps[row].actual = judgement.actual;
        self.steps[row].verdict = judgement.verdict;
    }

    /// Says of the steps that the end of the run met half-way that they have no result.
    fn cut_short(&mut self) {
        for step in self.steps.iter_mut().filter(|step| step.actual.is_empty()) {
            let verdict = match step.expected {
                Some(_) => Verdict::Failed,
                None => Verdict::Unjudged,
            };
            (step.actual, step.verdict) = ("not finished".to_owned(), verdict);
        }
    }

    fn evidence(&self, probe: ProbeId) -> Evidence<'_> {
        Evidence { stage: &self.stage, explainer: &self.explainer, probe }
    }

    fn judge_probe(&mut self, row: usize, probe: ProbeId) {
        let expect = self.file.steps[row].expect.as_ref().map(|expect| &expect.value);
        let judgement = self.evidence(probe).judge(expect);
        let verdict = judgement.verdict;
        self.put(row, judgement);
        self.keep(row, probe, verdict);
    }

    /// Looks for the repairs of what went astray in the background, before the network becomes another
    /// one.
    fn settle(&mut self) {
        let mut explainer = std::mem::take(&mut self.explainer);
        for (row, probe) in &self.background {
            let wanted = match self.settings.repairs {
                Repairs::All => true,
                Repairs::Failed => self.steps[*row].expected.is_some(),
            };
            if wanted {
                explainer.settle(*probe, REPAIRS_PER_STEP_MAX, |stray| self.remedy(*probe, stray));
            }
        }
        self.explainer = explainer;
    }

    /// The targets of a ping: one probe each, all started at once, each judged by itself.
    fn take_targets(
        &mut self,
        row: usize,
        expect: Option<&Expect>,
        targets: Vec<(Destination, Probe)>,
        observer: &mut impl Observer,
    ) -> Result<(), Cut> {
        let alone = targets.len() == 1 && !matches!(expect, Some(Expect::Reaches { .. }));
        let mut probes = Vec::with_capacity(targets.len());
        for (target, probe) in targets {
            probes.push((target, self.start(probe)?));
        }
        let mut actual = Vec::with_capacity(probes.len());
        let mut verdicts = Vec::with_capacity(probes.len());
        for (target, probe) in probes {
            self.stage.sim.run_probe(probe, &mut (&mut self.explainer, &mut *observer))?;
            let evidence = self.evidence(probe);
            let judgement = match expect {
                Some(Expect::Reaches { never, because, .. }) => {
                    let is_never = never.iter().any(|n| n.value == target);
                    evidence.judge_target(loss_for(&target, is_never, because))
                }
                other => evidence.judge(other),
            };
            verdicts.push((probe, judgement.verdict));
            actual.push(match alone {
                true => judgement.actual,
                false => format!("{target}: {}", judgement.actual),
            });
        }
        let any = |wanted| verdicts.iter().any(|(_, verdict)| *verdict == wanted);
        let verdict = [Verdict::Failed, Verdict::Held].into_iter().find(|v| any(*v));
        let verdict = verdict.unwrap_or(Verdict::Unjudged);
        self.put(row, Judgement { actual: actual.join("; "), verdict });
        for (probe, verdict) in verdicts {
            self.keep(row, probe, verdict);
        }
        Ok(())
    }

    /// Keeps what the report tells of a probe that came out so.
    fn keep(&mut self, row: usize, probe: ProbeId, verdict: Verdict) {
        let tally = self.stage.sim.tally(probe);
        let wanted = match self.settings.repairs {
            Repairs::All => true,
            Repairs::Failed => verdict == Verdict::Failed,
        };
        let mut walks: Vec<LegWalk> = Vec::new();
        for (leg, told, stray) in self.explainer.walks(probe) {
            let mut told = told.clone();
            if !wanted {
                told.remedy = Remedy::default();
            }
            let room = self.steps[row].walks.len() + walks.len() < REPAIRS_PER_STEP_MAX;
            if wanted
                && room
                && let Some(stray) = stray
            {
                told.remedy = self.remedy(probe, stray);
            }
            walks.push(LegWalk { leg, told });
        }
        let outcome = &mut self.steps[row];
        outcome.walks.extend(walks);
        let traffic = Traffic::of(&tally);
        outcome.traffic = Some(outcome.traffic.map_or(traffic, |before| before.plus(&traffic)));
        self.explainer.forget(probe);
    }

    /// What stands in the way of a packet that went astray, and of its answer if it gets one: in the
    /// network as it is, at the moment when that happened.
    fn remedy(&self, probe: ProbeId, stray: &Stray) -> Remedy {
        let world = self.stage.sim.world();
        let World { cloud, rows, memory, .. } = world;
        let ground = Ground { cloud, rows, memory, now: stray.at };
        let is_answered = |packet: &Packet| {
            packet.icmp_echo().is_some()
                || packet.tcp().is_some()
                || self.stage.sim.datagrams(probe) == Datagrams::Returned
        };
        let both = |packet: &Packet| match is_answered(packet) {
            true => Ways::ThereAndBack,
            false => Ways::There,
        };
        // Best is the whole way, from the question on. But its first blocker must be the one that
        // this packet met: questions of a probe may differ.
        let is_all_known = (stray.leg, stray.stretch) == (Leg::Request, Stretch::Whole);
        if let Some(Asked { from, meant, packet }) = stray.asked.as_ref().filter(|_| !is_all_known)
        {
            let intent = Intent { from: *from, packet, meant: *meant, ways: both(packet) };
            let found = diagnose(ground, intent);
            let way = if stray.leg == Leg::Answer { Way::Back } else { Way::There };
            let first = found.blockers.first();
            if first.is_some_and(|first| (first.way, first.fault) == (way, stray.fault)) {
                return Remedy::of(&found, world);
            }
        }
        let ways = match (stray.leg, stray.stretch) {
            (Leg::Answer, _) => Ways::Back,
            (Leg::Request, Stretch::Whole) => both(&stray.packet),
            _ => Ways::There,
        };
        let intent = Intent { from: stray.from, packet: &stray.packet, meant: stray.meant, ways };
        Remedy::of(&diagnose(ground, intent), world)
    }
}

/// May this step make another network of it?
fn may_change_network(action: &Action) -> bool {
    !matches!(
        action,
        Action::Ping(_)
            | Action::Udp(_)
            | Action::Tcp(_)
            | Action::Send(_)
            | Action::Replay(_)
            | Action::Flows(_)
            | Action::Wait(_)
    )
}

/// The reason for which a target is expected not to answer.
fn loss_for(target: &Destination, is_never: bool, because: &Because) -> Option<Loss> {
    if !is_never {
        return None;
    }
    match because {
        Because::Nothing => None,
        Because::All(loss) => Some(loss.value),
        Because::Each(rows) => {
            rows.iter().find(|(to, _)| to.value == *target).map(|(_, loss)| loss.value)
        }
    }
}

/// How many packets the steps of a file say that they send, answers and replayed captures not
/// counted: what a progress bar is measured against.
pub fn planned_packets(file: &ast::File) -> u64 {
    use ast::Action;
    file.steps
        .iter()
        .map(|step| match &step.action {
            Action::Flows(f) => f.pairs.len() as u64 * u64::from(f.packets.get()),
            Action::Udp(u) => u64::from(u.count.get()),
            Action::Ping(p) => p.to.len() as u64 * u64::from(p.count.get()),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests;
