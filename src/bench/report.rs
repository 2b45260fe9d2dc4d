//! What a bench has found, as values.
//!
//! Holds the rows and what they are about. Refuses to lay them out: that is the command line's.

use super::spread::Spread;

/// All that one run has measured.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// How often each figure was taken.
    pub rounds: usize,
    /// By topic, in the order in which they were measured.
    pub topics: Vec<Topic>,
}

/// The machine and the build, as far as they can be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The processor's own name, if the system tells it.
    pub processor: Option<String>,
    /// Threads that can run at the same time.
    pub cores: usize,
    /// The size of the second-level cache, as the system writes it.
    pub l2: Option<String>,
    /// How vpclab was compiled.
    pub build: Build,
}

/// How vpclab was compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// With optimisation.
    Release,
    /// Without: its figures say nothing.
    Debug,
}

/// Figures that answer one question.
#[derive(Clone, PartialEq, Debug)]
pub struct Topic {
    /// Its name in JSON and in file names: `routes`.
    pub key: &'static str,
    /// The question, in words.
    pub title: &'static str,
    /// What the figures include and what they do not.
    pub note: String,
    /// The axis that [`Row::at`] lies on, if the rows are points of a curve.
    pub axis: Option<&'static str>,
    /// The figures.
    pub rows: Vec<Row>,
}

/// One figure.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// What was measured.
    pub case: String,
    /// Its place on the topic's axis.
    pub at: Option<u64>,
    /// The figure.
    pub value: Spread,
    /// What it counts.
    pub unit: Unit,
    /// The floor, in the same unit, taken alternately with the figure.
    pub floor: Option<Spread>,
    /// Time of the floor over time of the figure, median over the rounds: 1 is as fast as the floor.
    pub of_floor: Option<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds of one core for a packet.
    NsPerPacket,
    /// Nanoseconds from handing over a batch to its last packet's end.
    NsPerBatch,
    /// Million packets a second, all workers together.
    Mpps,
    /// So many times as much as another figure.
    Times,
    /// How often in a second.
    ASecond,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Bytes.
    Bytes,
    /// MiB, 2^20 bytes.
    Mebibytes,
}

impl Unit {
    /// Its name in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::NsPerPacket => "ns/packet",
            Unit::NsPerBatch => "ns/batch",
            Unit::Mpps => "Mpps",
            Unit::Times => "times",
            Unit::ASecond => "/s",
            Unit::Micros => "us",
            Unit::Millis => "ms",
            Unit::Bytes => "bytes",
            Unit::Mebibytes => "MiB",
        }
    }
}

impl Machine {
    /// This machine. What the system does not tell is left out.
    pub fn here() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let named = |line: &str| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "model name").then(|| value.trim().to_owned())
        };
        Machine {
            processor: read("/proc/cpuinfo").and_then(|text| text.lines().find_map(named)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            l2: read("/sys/devices/system/cpu/cpu0/cache/index2/size").map(|s| s.trim().to_owned()),
            build: if cfg!(debug_assertions) { Build::Debug } else { Build::Release },
        }
    }
}

/// What the process holds of physical memory, in bytes: now, and at most so far. `None` where the
/// system does not tell (it is read from Linux's `/proc`).
pub fn resident() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((kib("VmRSS:")? * 1_024, kib("VmHWM:")? * 1_024))
}
