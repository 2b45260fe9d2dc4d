//! `vpclab bench`: how many packets a second this machine forwards.
//!
//! Holds the flags, the bar, the tables and the JSON. What is measured and how is `bench`'s.

use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::Exit;
use super::output::Output;
use crate::bench::{self, Build, Question, Report, Row, Settings, Spread, Step, Topic, Unit};
use crate::scenario::{load, run};
use crate::sim::Twin;

/// Flags of `bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Measure the network of this file and not the bench's own ones
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Ask only these questions
    #[arg(long, value_name = "QUESTION", value_delimiter = ',', value_parser = questions(),
          conflicts_with = "network")]
    only: Vec<Question>,
    /// Times that each figure is taken
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// How long one round of a figure takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    sample: u16,
    /// Packets that are forwarded at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: u16,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

fn questions() -> impl TypedValueParser<Value = Question> {
    PossibleValuesParser::new(Question::ALL.map(Question::key))
        .try_map(|key| Question::from_key(&key).ok_or("no such question"))
}

/// `vpclab bench`.
pub(super) fn run(args: &Args, out: &mut Output) -> io::Result<Exit> {
    let settings = Settings {
        rounds: usize::from(args.rounds),
        sample: Duration::from_millis(args.sample.into()),
        batch: usize::from(args.batch),
    };
    let bar = Bar::new();
    let mut tell = |step: &Step| bar.show(step);
    let measured = match &args.network {
        None if args.only.is_empty() => bench::measure(&Question::ALL, settings, &mut tell),
        None => bench::measure(&args.only, settings, &mut tell),
        Some(path) => {
            let built = load::load(path).and_then(|file| run::build(&file, None, Twin::Compiled));
            match built {
                Ok(built) => bench::measure_network(built.cloud(), settings, &mut tell),
                Err(failure) => {
                    let rendered = failure.diagnostics.render(&failure.sources, out.error_colour());
                    out.diagnostics(&rendered);
                    return Ok(Exit::CouldNotRun);
                }
            }
        }
    };
    drop(bar);
    match measured {
        Ok(report) if args.json => out.json(&document(&report))?,
        Ok(report) => out.print(&text(&report))?,
        Err(error) => {
            out.error(&format!("error: {error}"));
            return Ok(Exit::CouldNotRun);
        }
    }
    Ok(Exit::Held)
}

/// A bar on standard error, drawn only on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        // The template is a constant; a fault in it would leave the default look.
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        Bar(bar)
    }

    fn show(&self, step: &Step) {
        self.0.set_length(step.of as u64);
        self.0.set_position(step.done as u64);
        self.0.set_message(step.what.clone());
        // Nothing is drawn while a figure is taken.
        self.0.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// What is said of cycles, which nobody has counted.
const CYCLES: &str = "not counted: no hardware counters are read";

fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let machine = &report.machine;
    let processor = machine.processor.as_deref().unwrap_or("unknown processor");
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    let _ = write!(text, "{processor}, {} {cores}", machine.cores);
    if let Some(l2) = &machine.l2 {
        let _ = write!(text, ", L2 {l2} each");
    }
    let _ = writeln!(text, "; median and ends of {} rounds; cycles {CYCLES}", report.rounds);
    if machine.build == Build::Debug {
        text.push_str("compiled without optimisation: these figures say nothing\n");
    }
    text.push_str(
        "floor: a header read, one word looked up, 16 bytes written, for as many packets; \
         of floor: 1 is as fast as it\n",
    );
    for topic in &report.topics {
        table(&mut text, topic);
    }
    text
}

fn table(text: &mut String, topic: &Topic) {
    let _ = writeln!(text, "\n{}", topic.title);
    wrapped(text, &topic.note);
    let has_floor = topic.rows.iter().any(|row| row.of_floor.is_some());
    let wide = topic.rows.iter().map(|row| row.case.len()).max().unwrap_or(0);
    let _ = write!(text, "  {:wide$}  {:>10}  {:<9}  {:<19}", "", "median", "", "min..max");
    text.push_str(if has_floor { "  Mpps/core  of floor\n" } else { "\n" });
    for row in &topic.rows {
        let Spread { median, min, max } = row.value;
        let ends = format!("{}..{}", short(min), short(max));
        let (case, unit) = (&row.case, row.unit.name());
        let _ = write!(text, "  {case:wide$}  {:>10}  {unit:<9}  {ends:<19}", short(median));
        if let (Unit::NsPerPacket, Some(of_floor)) = (row.unit, row.of_floor) {
            let _ = write!(text, "  {:>9}  {of_floor:>8.3}", short(1e3 / median));
        }
        let kept = text.trim_end().len();
        text.truncate(kept);
        text.push('\n');
    }
}

/// Columns of a note.
const WIDTH: usize = 100;

/// A paragraph, indented.
fn wrapped(text: &mut String, paragraph: &str) {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            text.push('\n');
            column = 0;
        }
        text.push_str(if column == 0 { "  " } else { " " });
        text.push_str(word);
        column += word.len() + if column == 0 { 2 } else { 1 };
    }
    text.push('\n');
}

/// Three or four digits that say something.
fn short(value: f64) -> String {
    match value {
        v if v >= 1_000.0 => format!("{v:.0}"),
        v if v >= 100.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn document(report: &Report) -> Value {
    let machine = &report.machine;
    json!({
        "vpclab": env!("CARGO_PKG_VERSION"),
        "machine": {
            "processor": machine.processor,
            "cores": machine.cores,
            "l2": machine.l2,
            "build": match machine.build { Build::Release => "release", Build::Debug => "debug" },
            "cycles": Value::Null,
            "cycles_note": CYCLES,
        },
        "rounds": report.rounds,
        "topics": report.topics.iter().map(topic).collect::<Vec<_>>(),
    })
}

fn topic(topic: &Topic) -> Value {
    json!({
        "key": topic.key,
        "title": topic.title,
        "note": topic.note,
        "axis": topic.axis,
        "rows": topic.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &Row) -> Value {
    let spread = |s: Spread| json!({"median": s.median, "min": s.min, "max": s.max});
    let is_time = row.unit == Unit::NsPerPacket;
    json!({
        "case": row.case,
        "at": row.at,
        "unit": row.unit.name(),
        "value": spread(row.value),
        "mpps": is_time.then(|| spread(row.value.inverse(1e3))),
        "floor": row.floor.map(spread),
        "of_floor": row.of_floor,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &str, median: f64, unit: Unit) -> Row {
        let value = Spread { median, min: median / 2.0, max: median * 2.0 };
        let of_floor = (unit == Unit::NsPerPacket).then_some(0.25);
        Row { case: case.to_owned(), at: None, value, unit, floor: None, of_floor }
    }

    /// Times a packet also stand as packets a second; the ends then change places.
    #[test]
    fn a_table_has_a_rate_where_there_is_a_time_of_a_packet() {
        let mut topic = Topic {
            key: "k",
            title: "by what",
            note: "How.".to_owned(),
            axis: None,
            rows: vec![row("one", 12.5, Unit::NsPerPacket), row("another", 4_000.0, Unit::Micros)],
        };
        let mut text = String::new();
        table(&mut text, &topic);
        let want = [
            "",
            "by what",
            "  How.",
            "               median             min..max             Mpps/core  of floor",
            "  one           12.50  ns/packet  6.25..25.00              80.00     0.250",
            "  another        4000  us         2000..8000",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), want);
        let mpps = &super::topic(&topic)["rows"][0]["mpps"];
        assert_eq!(*mpps, json!({"median": 80.0, "min": 40.0, "max": 160.0}));
        topic.rows.remove(0);
        assert_eq!(super::topic(&topic)["rows"][0]["mpps"], Value::Null);
    }
}
