//! The questions that a run answers, one function for each.
//!
//! Holds which networks and packets each is asked about. Refuses to read the clock: that is
//! `timing.rs`.

use std::num::NonZeroUsize;

use super::engine::{self, Engine, Fate, Parcel};
use super::floor::Kind;
use super::live::Toggle;
use super::report::{Machine, Report, Row, Topic, Unit};
use super::spread::Spread;
use super::timing::{Case, Entry, Settings};
use super::world::{Choice, Filters, Shape, Stream, Towards, World};
use super::{BenchError, Step, joined, latency, live, network, rate};
use crate::cloud::Cloud;
use crate::forward::DropReason;
use crate::wire::Family;

/// Bytes of the packets, IP header included.
const SIZES: [usize; 3] = [64, 512, 1_500];
const VPCS: [usize; 6] = [2, 10, 100, 1_000, 10_000, 100_000];
const ROUTES: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
const FLOWS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const BATCHES: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Packets of the pools that do not fit a cache.
pub(super) const MANY_FLOWS: usize = 1 << 17;
/// Workers beyond which no figure is taken.
const WORKERS_MAX: usize = 8;

/// What can be asked, in the order in which it is answered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs, reason = "each is explained by the note of its topic")]
pub enum Question {
    Kinds,
    Verdicts,
    Vpcs,
    Routes,
    Flows,
    Batches,
    Workers,
    Latency,
    NoLoss,
    Changes,
}

impl Question {
    /// Every question.
    pub const ALL: [Question; 10] = [
        Question::Kinds,
        Question::Verdicts,
        Question::Vpcs,
        Question::Routes,
        Question::Flows,
        Question::Batches,
        Question::Workers,
        Question::Latency,
        Question::NoLoss,
        Question::Changes,
    ];

    /// The key of its [`Topic`].
    pub const fn key(self) -> &'static str {
        match self {
            Question::Kinds => "kinds",
            Question::Verdicts => "verdicts",
            Question::Vpcs => "vpcs",
            Question::Routes => "routes",
            Question::Flows => "flows",
            Question::Batches => "batches",
            Question::Workers => "workers",
            Question::Latency => "latency",
            Question::NoLoss => "no-loss",
            Question::Changes => "changes",
        }
    }

    /// The question whose topic has this key.
    pub fn from_key(key: &str) -> Option<Question> {
        Question::ALL.into_iter().find(|question| question.key() == key)
    }

    /// Figures that it takes.
    fn figures(self) -> usize {
        match self {
            Question::Kinds => SIZES.len() * 2 * Filters::ALL.len(),
            Question::Verdicts => VERDICTS.len() + 1,
            Question::Vpcs => 2 * VPCS.len(),
            Question::Routes => ROUTES.len(),
            Question::Flows => 2 * FLOWS.len(),
            Question::Batches => BATCHES.len(),
            Question::Workers => 2 * workers().len(),
            Question::Latency | Question::NoLoss | Question::Changes => 1,
        }
    }
}

/// Answers questions on networks of the bench's own, all of them in about a minute; `tell` hears of
/// each figure before it is taken.
///
/// # Errors
/// If a packet meets another fate than the one it was made for.
pub fn measure(
    questions: &[Question],
    settings: Settings,
    tell: &mut dyn FnMut(&Step),
) -> Result<Report, BenchError> {
    let of = questions.iter().map(|question| question.figures()).sum();
    let mut run = Run { settings, tell, done: 0, of };
    let answer = |question: &Question| match question {
        Question::Kinds => run.kinds(),
        Question::Verdicts => run.verdicts(),
        Question::Vpcs => run.vpcs(),
        Question::Routes => run.routes(),
        Question::Flows => run.flows(),
        Question::Batches => run.batches(),
        Question::Workers => run.workers(),
        Question::Latency => run.latency(),
        Question::NoLoss => run.no_loss(),
        Question::Changes => run.changes(),
    };
    let topics = questions.iter().map(answer).collect::<Result<_, _>>()?;
    Ok(Report { machine: Machine::here(), rounds: settings.rounds, topics })
}

/// Takes the figures of a network of the user's.
///
/// # Errors
/// [`BenchError::NobodyToSendTo`] if there are no two instances.
pub fn measure_network(
    cloud: &Cloud,
    settings: Settings,
    tell: &mut dyn FnMut(&Step),
) -> Result<Report, BenchError> {
    tell(&Step { done: 0, of: 1, what: "the network".to_owned() });
    let topic = network::topic(cloud, settings)?;
    Ok(Report { machine: Machine::here(), rounds: settings.rounds, topics: vec![topic] })
}

/// 1, 2, 4, ... as far as there are cores.
fn workers() -> Vec<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::iter::successors(Some(1), |n| Some(n * 2))
        .take_while(|n| *n <= cores.min(WORKERS_MAX))
        .collect()
}

/// What becomes of packets, and how they are sent so that it does.
const VERDICTS: [(&str, Towards, Fate); 4] = [
    ("delivered across a peering", Towards::Peer, Fate::Delivered),
    ("delivered in the VPC", Towards::Local, Fate::Delivered),
    ("dropped: transit", Towards::Beyond, Fate::Dropped(DropReason::Transit)),
    ("dropped: no-route", Towards::Nowhere, Fate::Dropped(DropReason::NoRoute)),
];

/// An engine and its packets.
struct Ready {
    engine: Engine,
    parcels: Vec<Parcel>,
}

impl Ready {
    fn build(shape: Shape, stream: Stream) -> Result<Ready, BenchError> {
        Ready::of(&World::build(shape)?, stream)
    }

    fn of(world: &World, stream: Stream) -> Result<Ready, BenchError> {
        let engine = Engine::compile(&world.cloud, &world.rows);
        Ok(Ready { engine, parcels: world.parcels(stream)? })
    }

    fn case<'a>(&'a self, name: &'a str, want: Fate) -> Case<'a> {
        let entry = Entry::Admitted;
        let (floor, want) = (Kind::Word, Some(want));
        Case { name, engine: &self.engine, parcels: &self.parcels, entry, floor, want }
    }

    fn row(&self, name: &str, settings: Settings) -> Result<Row, BenchError> {
        self.case(name, Fate::Delivered).row(settings)
    }
}

struct Run<'t> {
    settings: Settings,
    tell: &'t mut dyn FnMut(&Step),
    done: usize,
    of: usize,
}

impl Run<'_> {
    fn next(&mut self, what: &str) {
        (self.tell)(&Step { done: self.done, of: self.of, what: what.to_owned() });
        self.done += 1;
    }

    fn kinds(&mut self) -> Result<Topic, BenchError> {
        let mut rows = Vec::new();
        for (family, version) in [(Family::V4, "IPv4"), (Family::V6, "IPv6")] {
            for filters in Filters::ALL {
                let world = World::build(Shape { family, filters, ..Shape::BASE })?;
                for length in SIZES {
                    let name = format!("{version} {length} B {}", filters.name());
                    self.next(&name);
                    let ready = Ready::of(&world, Stream { length, ..Stream::BASE })?;
                    rows.push(ready.row(&name, self.settings)?);
                }
            }
        }
        Ok(Topic {
            key: Question::Kinds.key(),
            title: "by packet and filters",
            note: format!(
                "Forwarder: {}. Two peered VPCs with 512 instances and 1,000 routes each, {} flows across the \
                 peering; +ACL and +groups have {} rules in each direction, groups track their \
                 connections. Leaving, entering, delivery into a ring of descriptors and counting \
                 are included; making a packet and verifying its checksums are not. The data of a \
                 packet is never read, so its size matters only for the cache.",
                engine::NAME,
                thousands(Stream::BASE.flows),
                super::world::RULES,
            ),
            axis: None,
            rows,
        })
    }

    fn verdicts(&mut self) -> Result<Topic, BenchError> {
        let world = World::build(Shape::BASE)?;
        let mut rows = Vec::new();
        for (name, towards, want) in VERDICTS {
            self.next(name);
            let ready = Ready::of(&world, Stream { towards, ..Stream::BASE })?;
            rows.push(ready.case(name, want).row(self.settings)?);
        }
        let name = "across a peering, checksums verified";
        self.next(name);
        let ready = Ready::of(&world, Stream::BASE)?;
        let entry = Entry::Bytes;
        rows.push(Case { entry, ..ready.case(name, Fate::Delivered) }.row(self.settings)?);
        let note =
            "64 B IPv4, plain. The last row takes bytes that nobody has looked at.".to_owned();
        Ok(Topic {
            key: Question::Verdicts.key(),
            title: "by what becomes of a packet",
            note,
            axis: None,
            rows,
        })
    }

    fn vpcs(&mut self) -> Result<Topic, BenchError> {
        let mut rows = Vec::new();
        for vpcs in VPCS {
            let world = World::build(Shape { vpcs, hosts: 10, routes: 8, ..Shape::BASE })?;
            let stream = Stream { flows: MANY_FLOWS, ..Stream::BASE };
            let mut ready = Ready::of(&world, stream)?;
            let chain = Kind::Chain(ready.engine.bytes());
            for (choice, name, floor) in
                [(Choice::Uniform, "uniform", chain), (Choice::Skewed, "skewed", Kind::Word)]
            {
                let name = format!("{} VPCs, {name}", thousands(vpcs));
                self.next(&name);
                ready.parcels = world.parcels(Stream { choice, ..stream })?;
                let case = Case { floor, ..ready.case(&name, Fate::Delivered) };
                rows.push(Row { at: Some(vpcs as u64), ..case.row(self.settings)? });
            }
        }
        let note = format!(
            "64 B IPv4, plain, {} packets in turn, a ring of VPCs with 10 instances and 10 routes each. \
             Uniform: each VPC sends as often as another; the floor is a chain of five lines through \
             as much memory as the network takes. Skewed: as often as Zipf's law has it.",
            thousands(MANY_FLOWS),
        );
        Ok(Topic {
            key: Question::Vpcs.key(),
            title: "by number of VPCs",
            note,
            axis: Some("VPCs"),
            rows,
        })
    }

    fn routes(&mut self) -> Result<Topic, BenchError> {
        let (mut rows, mut changed) = (Vec::new(), Vec::new());
        for routes in ROUTES {
            let name = format!("{} routes", thousands(routes));
            self.next(&name);
            let mut world = World::build(Shape { hosts: 4_096, routes, ..Shape::BASE })?;
            let mut ready = Ready::of(&world, Stream { flows: 16_384, ..Stream::BASE })?;
            let at = Some(routes as u64);
            rows.push(Row { at, ..ready.row(&name, self.settings)? });
            let toggle = Toggle::of(&mut world)?;
            let value = live::quiet(&world, &toggle, &mut ready.engine, self.settings.rounds)?;
            let (case, unit) = (format!("one more or less of {name}"), Unit::Micros);
            changed.push(Row { case, at, value, unit, floor: None, of_floor: None });
        }
        rows.extend(changed);
        let note = "64 B IPv4, plain, 16,384 packets in turn between two VPCs of 4,096 instances. As \
                    many routes in each of two tables; up to half of them lead to one instance each, so \
                    that packets meet up to 4,096 routes. One more or less: from the changed cloud to \
                    a network that forwards by it; the command itself is not included."
            .to_owned();
        Ok(Topic {
            key: Question::Routes.key(),
            title: "by routes of a table",
            note,
            axis: Some("routes"),
            rows,
        })
    }

    fn flows(&mut self) -> Result<Topic, BenchError> {
        let mut rows = Vec::new();
        for filters in [Filters::Plain, Filters::Everything] {
            let world = World::build(Shape { filters, hosts: 4_096, ..Shape::BASE })?;
            for flows in FLOWS {
                let name = format!("{} flows, {}", thousands(flows), filters.name());
                self.next(&name);
                let ready = Ready::of(&world, Stream { flows, ..Stream::BASE })?;
                rows.push(Row { at: Some(flows as u64), ..ready.row(&name, self.settings)? });
            }
        }
        let note =
            "64 B IPv4, two VPCs of 4,096 instances with 1,000 routes each. With everything, each \
                    flow is a connection that both ends track, established before the clock starts."
                .to_owned();
        Ok(Topic {
            key: Question::Flows.key(),
            title: "by number of flows",
            note,
            axis: Some("flows"),
            rows,
        })
    }

    fn batches(&mut self) -> Result<Topic, BenchError> {
        let world = World::build(Shape::BASE)?;
        let ready = Ready::of(&world, Stream { flows: 4_096, ..Stream::BASE })?;
        let mut rows = Vec::new();
        for batch in BATCHES {
            let name = format!("batches of {}", thousands(batch));
            self.next(&name);
            let row = ready.row(&name, Settings { batch, ..self.settings })?;
            rows.push(Row { at: Some(batch as u64), ..row });
        }
        let note = "64 B IPv4, plain, 4,096 flows.".to_owned();
        let (key, title) = (Question::Batches.key(), "by packets handed over at once");
        Ok(Topic { key, title, note, axis: Some("packets in a batch"), rows })
    }

    fn workers(&mut self) -> Result<Topic, BenchError> {
        let world = World::build(Shape { vpcs: 16, hosts: 64, ..Shape::BASE })?;
        let counts = workers();
        let most = counts.last().copied().unwrap_or(1);
        let flows = Stream::BASE.flows * most;
        let ready = Ready::of(&world, Stream { flows, ..Stream::BASE })?;
        let whole = ready.case("workers", Fate::Delivered);
        let mut rows = Vec::new();
        let mut single = None;
        for count in counts {
            let name = format!("{count} {}", if count == 1 { "worker" } else { "workers" });
            self.next(&name);
            let parts = ready.parcels.chunks(Stream::BASE.flows).take(count);
            let cases: Vec<Case<'_>> = parts.map(|parcels| Case { parcels, ..whole }).collect();
            let value = Case::together(&cases, self.settings)?;
            let single = *single.get_or_insert(value.median);
            let times = Spread::of([value.median / single]).ok_or(BenchError::Shape)?;
            for (case, value, unit) in [
                (name.clone(), value, Unit::Mpps),
                (format!("{name} over one"), times, Unit::Times),
            ] {
                let at = Some(count as u64);
                rows.push(Row { case, at, value, unit, floor: None, of_floor: None });
            }
        }
        let mut single = None;
        for count in workers() {
            let name = format!("{count} joined by rings");
            self.next(&name);
            let count = NonZeroUsize::new(count).ok_or(BenchError::Shape)?;
            let value = joined::rate(&ready.engine, &ready.parcels, count, self.settings)?;
            let single = *single.get_or_insert(value.median);
            let times = Spread::of([value.median / single]).ok_or(BenchError::Shape)?;
            for (case, value, unit) in [
                (name.clone(), value, Unit::Mpps),
                (format!("{name} over one"), times, Unit::Times),
            ] {
                rows.push(Row { case, at: None, value, unit, floor: None, of_floor: None });
            }
        }
        let note =
            "64 B IPv4, plain, 16 VPCs; each worker has 1,024 flows, counters and a memory of \
                    connections of its own, and all share one compiled network. Joined by rings: each \
                    VPC is in one worker, and of two workers every packet crosses into the other's."
                .to_owned();
        Ok(Topic {
            key: Question::Workers.key(),
            title: "by workers",
            note,
            axis: Some("workers"),
            rows,
        })
    }

    fn latency(&mut self) -> Result<Topic, BenchError> {
        self.next("latency of a batch");
        let ready = Ready::build(Shape::BASE, Stream::BASE)?;
        let rows = latency::rows(&ready.case("latency", Fate::Delivered), self.settings)?;
        let note =
            "64 B IPv4, plain. The clock is read around each batch and is part of it. What the \
                    system does meanwhile is part of it too: see the slowest."
                .to_owned();
        Ok(Topic {
            key: Question::Latency.key(),
            title: "latency of a batch",
            note,
            axis: None,
            rows,
        })
    }

    fn no_loss(&mut self) -> Result<Topic, BenchError> {
        let (key, title) = (Question::NoLoss.key(), "highest rate without loss");
        self.next(title);
        if workers().len() < 2 {
            let note = "Not measured: sender and forwarder need a core each.".to_owned();
            return Ok(Topic { key, title, note, axis: None, rows: Vec::new() });
        }
        let ready = Ready::build(Shape::BASE, Stream::BASE)?;
        let case = ready.case("rate", Fate::Delivered);
        let alone = case.row(self.settings)?;
        let upper = 1.2e3 / alone.value.min;
        let rows = vec![rate::row(&case, upper, self.settings)?];
        let note = "64 B IPv4, plain. The procedure of RFC 2544, 26.1 (halve the span until nothing is \
                    lost) between two threads of one process: no wire, no card, trials of milliseconds \
                    in place of 60 s."
            .to_owned();
        Ok(Topic { key, title, note, axis: None, rows })
    }

    fn changes(&mut self) -> Result<Topic, BenchError> {
        let (key, title) = (Question::Changes.key(), "while the network changes");
        self.next(title);
        if workers().len() < 2 {
            let note = "Not measured: worker and changes need a core each.".to_owned();
            return Ok(Topic { key, title, note, axis: None, rows: Vec::new() });
        }
        let mut world = World::build(Shape { hosts: 1_024, ..Shape::BASE })?;
        let toggle = Toggle::of(&mut world)?;
        let ready = Ready::of(&world, Stream::BASE)?;
        let case = ready.case("under changes", Fate::Delivered);
        let rows = live::rows(&world, &toggle, &case, self.settings)?;
        let note = "64 B IPv4, plain, two VPCs of 1,024 instances with 1,000 routes each. Every \
                    millisecond another thread adds a route that packets take, or takes it away; \
                    without it they take a shorter prefix. One worker forwards meanwhile. No packet was \
                    lost: there would be no figures. Making a change is publishing it, from the \
                    changed cloud to a network that all workers forward by; the command is not included."
            .to_owned();
        Ok(Topic { key, title, note, axis: None, rows })
    }
}

/// A number with commas.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
