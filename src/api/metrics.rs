//! What the server counts, in the text format that Prometheus reads.
//!
//! Holds the counters and histograms, and how they are written. Refuses labels that a client chooses:
//! operations, outcomes and reasons are words of this program (`&'static str`), and codes beyond a
//! bound count as one, so the number of series is limited. Gauges are not kept here: they are handed in
//! when someone asks.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::http::Counts;
use crate::forward::DropReason;

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// It was answered.
    Answered,
    /// It was refused with this error code.
    Refused(&'a str),
    /// It failed for a reason of ours, told by this code.
    Failed(&'a str),
}

/// Where a packet ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketEnd {
    /// At the host that owns its destination.
    Delivered,
    /// At another host with the same address.
    Misdelivered,
    /// At this check.
    Dropped(DropReason),
}

/// The content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Error codes that are told apart (ours); EC2 has about four hundred.
const CODES_MAX: usize = 512;

/// The name under which an operation counts that nobody knows.
pub const UNKNOWN_OPERATION: &str = "unknown";

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CodeLabels {
    code: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The server's counters. Shared by reference; counting is lock-free but for the first of each series.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<CodeLabels, Counter>,
    /// Codes seen first so far; counts on when there are too many.
    codes: AtomicUsize,
    durations: Histogram,
    journal: Histogram,
    packets: Family<OutcomeLabels, Counter>,
    drops: Family<ReasonLabels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Metrics {
        let mut registry = Registry::with_prefix("vpclab");
        let requests = Family::default();
        registry.register("requests", "Requests by operation and outcome", requests.clone());
        let refusals = Family::default();
        registry.register(
            "refusals",
            "Refused and failed requests by error code",
            refusals.clone(),
        );
        // From 50 us to 1.6 s: an answer without a disk takes far less than the first, one that waits
        // for a slow disk stays below the last.
        let seconds =
            [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.6];
        let durations = Histogram::new(seconds);
        registry.register_with_unit(
            "request_duration",
            "From the last byte of a request to its answer",
            Unit::Seconds,
            durations.clone(),
        );
        let journal = Histogram::new(seconds);
        registry.register_with_unit(
            "journal_wait",
            "How long answers waited for the journal to be durable",
            Unit::Seconds,
            journal.clone(),
        );
        let packets = Family::default();
        registry.register("packets", "Packets by outcome", packets.clone());
        let drops = Family::default();
        registry.register("drops", "Dropped packets by reason", drops.clone());
        let codes = AtomicUsize::new(0);
        Metrics { registry, requests, refusals, codes, durations, journal, packets, drops }
    }

    /// A request of this operation of the dispatch table ended so after this long. For an operation
    /// that is not in it, pass [`UNKNOWN_OPERATION`].
    pub fn request(&self, operation: &'static str, outcome: Outcome<'_>, took: Duration) {
        let (outcome, code) = match outcome {
            Outcome::Answered => ("answered", None),
            Outcome::Refused(code) => ("refused", Some(code)),
            Outcome::Failed(code) => ("failed", Some(code)),
        };
        self.requests.get_or_create(&RequestLabels { operation, outcome }).inc();
        if let Some(code) = code {
            let mut labels = CodeLabels { code: code.to_owned() };
            let fresh = self.refusals.get(&labels).is_none();
            if fresh && self.codes.fetch_add(1, Ordering::Relaxed) >= CODES_MAX {
                labels.code = "other".to_owned();
            }
            self.refusals.get_or_create(&labels).inc();
        }
        self.durations.observe(took.as_secs_f64());
    }

    /// An answer waited so long until everything it had seen was durable.
    pub fn journal_wait(&self, waited: Duration) {
        self.journal.observe(waited.as_secs_f64());
    }

    /// So many packets ended here.
    pub fn packets(&self, end: PacketEnd, packets: u64) {
        let outcome = match end {
            PacketEnd::Delivered => "delivered",
            PacketEnd::Misdelivered => "misdelivered",
            PacketEnd::Dropped(reason) => {
                self.drops.get_or_create(&ReasonLabels { reason: reason.label() }).inc_by(packets);
                "dropped"
            }
        };
        self.packets.get_or_create(&OutcomeLabels { outcome }).inc_by(packets);
    }

    /// Everything counted, the connections of the front, and these gauges, as text.
    pub fn render(&self, gauges: &Gauges, counts: &Counts) -> String {
        let mut out = String::new();
        let mut now = Registry::with_prefix("vpclab");
        for gauge in &gauges.0 {
            match &gauge.rows {
                Rows::One(value) => {
                    let one = Gauge::<i64>::default();
                    one.set(shown(*value));
                    now.register(gauge.name, gauge.help, one);
                }
                Rows::By(label, rows) => {
                    let family = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
                    for (value, count) in rows {
                        family.get_or_create(&vec![(*label, *value)]).set(shown(*count));
                    }
                    now.register(gauge.name, gauge.help, family);
                }
            }
        }
        let open = Gauge::<i64>::default();
        open.set(shown(counts.open()));
        now.register("connections", "Connections open now", open);
        for (name, help, count) in [
            ("connections_accepted", "Connections accepted", counts.accepted()),
            ("connections_evicted", "Idle connections closed to make room", counts.evicted()),
            (
                "connections_turned_away",
                "Connections for which there was no room",
                counts.turned_away(),
            ),
            ("accept_errors", "Times that the host could not accept", counts.accept_errors()),
            ("panics", "Requests that made the service panic", counts.panics()),
        ] {
            let counter: Counter = Counter::default();
            counter.inc_by(count);
            now.register(name, help, counter);
        }
        // Writing into a string cannot fail.
        let _ = encode_registry(&mut out, &self.registry)
            .and_then(|()| encode_registry(&mut out, &now))
            .and_then(|()| encode_eof(&mut out));
        in_order(&out)
    }
}

/// The same text with the series of each family sorted: they come in the order of a hash. Those of a
/// histogram have an order of their own already.
fn in_order(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for family in lines.chunk_by_mut(|a, b| a.starts_with('#') == b.starts_with('#')) {
        if !family.iter().any(|line| line.starts_with('#') || line.contains("_bucket{")) {
            family.sort_unstable();
        }
    }
    lines.join("\n") + "\n"
}

fn shown(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What there is of everything at the moment, for [`Metrics::render`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gauges(Vec<OneGauge>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct OneGauge {
    name: &'static str,
    help: &'static str,
    rows: Rows,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Rows {
    One(u64),
    By(&'static str, Vec<(&'static str, u64)>),
}

impl Gauges {
    /// None yet.
    pub fn new() -> Gauges {
        Gauges::default()
    }

    /// One more: `vpclab_NAME VALUE`.
    #[must_use]
    pub fn with(mut self, name: &'static str, help: &'static str, value: u64) -> Gauges {
        self.0.push(OneGauge { name, help, rows: Rows::One(value) });
        self
    }

    /// One more, told apart by a label: `vpclab_NAME{LABEL="..."} VALUE` for each row.
    #[must_use]
    pub fn with_rows(
        mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        rows: impl IntoIterator<Item = (&'static str, u64)>,
    ) -> Gauges {
        let rows = Rows::By(label, rows.into_iter().collect());
        self.0.push(OneGauge { name, help, rows });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_counted_is_told() {
        let metrics = Metrics::new();
        metrics.request("CreateVpc", Outcome::Answered, Duration::from_micros(70));
        metrics.request("CreateVpc", Outcome::Answered, Duration::from_micros(70));
        metrics.request(
            "DeleteVpc",
            Outcome::Refused("DependencyViolation"),
            Duration::from_millis(3),
        );
        metrics.request(UNKNOWN_OPERATION, Outcome::Refused("InvalidAction"), Duration::ZERO);
        metrics.request("CreateVpc", Outcome::Failed("InternalError"), Duration::from_secs(9));
        metrics.journal_wait(Duration::from_millis(2));
        metrics.packets(PacketEnd::Delivered, 5);
        metrics.packets(PacketEnd::Dropped(DropReason::NoRoute), 2);
        let gauges = Gauges::new().with("vpcs", "VPCs", 3).with_rows(
            "peerings",
            "Peerings by state",
            "state",
            [("active", 1), ("deleted", 0)],
        );
        let text = metrics.render(&gauges, &Counts::default());
        let first = text.lines().find(|line| line.starts_with("vpclab_requests_total"));
        assert!(
            first.is_some_and(|line| line.contains("CreateVpc\",outcome=\"answered")),
            "{text}"
        );
        for line in [
            "vpclab_requests_total{operation=\"CreateVpc\",outcome=\"answered\"} 2",
            "vpclab_requests_total{operation=\"CreateVpc\",outcome=\"failed\"} 1",
            "vpclab_requests_total{operation=\"DeleteVpc\",outcome=\"refused\"} 1",
            "vpclab_requests_total{operation=\"unknown\",outcome=\"refused\"} 1",
            "vpclab_refusals_total{code=\"DependencyViolation\"} 1",
            "vpclab_refusals_total{code=\"InternalError\"} 1",
            "vpclab_request_duration_seconds_count 5",
            "vpclab_request_duration_seconds_bucket{le=\"0.00005\"} 1",
            "vpclab_request_duration_seconds_bucket{le=\"0.0001\"} 3",
            "vpclab_journal_wait_seconds_count 1",
            "vpclab_packets_total{outcome=\"delivered\"} 5",
            "vpclab_packets_total{outcome=\"dropped\"} 2",
            "vpclab_drops_total{reason=\"no-route\"} 2",
            "vpclab_vpcs 3",
            "vpclab_peerings{state=\"active\"} 1",
            "vpclab_peerings{state=\"deleted\"} 0",
            "vpclab_connections 0",
            "vpclab_connections_accepted_total 0",
            "vpclab_panics_total 0",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\nis not in\n{text}");
        }
        // Three have been seen above, and one more counts all the others.
        for code in 0..2 * CODES_MAX {
            let code = code.to_string();
            metrics.request("CreateVpc", Outcome::Refused(&code), Duration::ZERO);
        }
        let many = metrics.render(&gauges, &Counts::default());
        let series = many.lines().filter(|line| line.starts_with("vpclab_refusals_total{")).count();
        assert_eq!(series, CODES_MAX + 1);
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
