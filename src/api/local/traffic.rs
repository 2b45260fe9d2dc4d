//! `ping`, `udp`, `tcp` and `trace`: packets through the server's network.
//!
//! Holds the requests and answers in JSON. Refuses to send: `api::traffic` does.

use serde::Deserialize;
use serde_json::{Value, json};

use super::read;
use crate::api::fault::Fault;
use crate::api::http::{Answer, Request};
use crate::api::metrics::PacketEnd;
use crate::api::server::Server;
use crate::api::traffic::{Answered, Arrived, Carrying, Question, ends, explain, sample, send};
use crate::api::world::World;
use crate::base::id::InterfaceId;
use crate::base::limit::{API_PACKETS_MAX, API_TCP_BYTES_MAX, PACKET_BYTES_MAX};
use crate::base::time::{Instant, Span};
use crate::forward::round_trip::Passed;
use crate::report::outcome::{LegWalk, Traffic};
use crate::report::trace::walks;
use crate::report::{json, terminal};
use crate::sim::Tally;
use crate::sim::tcp::{Outcome, Report};
use crate::wire::{Family, Packet};

/// The format of an answer about packets that were sent.
const FORMAT: &str = "vpclab-traffic/1";

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Ping,
    Udp,
    Tcp,
    Trace,
}

/// The body of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    from: String,
    to: String,
    count: Option<u64>,
    size: Option<u64>,
    port: Option<u16>,
    bytes: Option<u64>,
    protocol: Option<Protocol>,
    #[serde(default)]
    ipv6: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Icmp,
    Udp,
    Tcp,
}

/// What most would ask about.
const PORT_DEFAULT: u16 = 443;
/// As much as `ping` sends.
const ECHO_SIZE_DEFAULT: u64 = 56;
/// The longest payload: a packet less its IPv6 and TCP headers.
const SIZE_MAX: u64 = PACKET_BYTES_MAX as u64 - 60;

impl Body {
    fn carrying(&self, what: What) -> Result<Carrying, Fault> {
        let protocol = match (what, self.protocol) {
            (What::Trace, given) => given.unwrap_or(Protocol::Icmp),
            (_, Some(_)) => return Err(not_taken("protocol")),
            (What::Ping, None) => Protocol::Icmp,
            (What::Udp, None) => Protocol::Udp,
            (What::Tcp, None) => Protocol::Tcp,
        };
        let count = bounded("count", self.count.unwrap_or(1), 1, API_PACKETS_MAX)?;
        let bytes = bounded("bytes", self.bytes.unwrap_or(0), 0, API_TCP_BYTES_MAX)?;
        let usual = if protocol == Protocol::Icmp { ECHO_SIZE_DEFAULT } else { 0 };
        let size = bounded("size", self.size.unwrap_or(usual), 0, SIZE_MAX)?;
        // It is at most 65,475.
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        let port = self.port.unwrap_or(PORT_DEFAULT);
        let lacks = [
            ("count", self.count.is_some() && (protocol == Protocol::Tcp || what == What::Trace)),
            ("size", self.size.is_some() && protocol == Protocol::Tcp),
            ("bytes", self.bytes.is_some() && (protocol != Protocol::Tcp || what == What::Trace)),
            ("port", self.port.is_some() && protocol == Protocol::Icmp),
        ];
        if let Some((name, _)) = lacks.iter().find(|(_, wrong)| *wrong) {
            return Err(not_taken(name));
        }
        if port == 0 {
            return Err(Fault::value("port", "0"));
        }
        Ok(match protocol {
            Protocol::Icmp => Carrying::Echo { count, size },
            Protocol::Udp => Carrying::Udp { port, count, size },
            Protocol::Tcp => Carrying::Tcp { port, bytes },
        })
    }
}

fn not_taken(name: &str) -> Fault {
    Fault::combination(format!("`{name}` means nothing here"))
}

fn bounded(name: &str, value: u64, least: u64, most: u64) -> Result<u64, Fault> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let message = format!("`{name}` is {value}; it must be from {least} to {most}");
    Err(Fault::new("InvalidParameterValue", message))
}

/// Answers one of them.
pub(super) fn answer(server: &Server, request: &Request, what: What) -> Result<Answer, Fault> {
    let body: Body = read(request)?;
    let carrying = body.carrying(what)?;
    let mut world = server.write()?;
    world.move_to(server.clock().now());
    let family = body.ipv6.then_some(Family::V6);
    let (from, source, to, meant) = ends(world.cloud(), &body.from, &body.to, family)?;
    let question = Question { from, source, to, meant, carrying };
    let packet = sample(&mut world, &question)?;
    if what == What::Trace {
        drop(world);
        let document = explained(server, &question, &packet)?;
        return Ok(Answer::json(200, document.to_string()));
    }
    let answered = send(&mut world, &question)?;
    count(server, &answered);
    let mut document = sent(&world, what, &question, &answered);
    drop(world);
    // What went wrong is explained by walking one packet more; it is not sent.
    if answered.arrived == Arrived::NotAll {
        let mut walked = explained(server, &question, &packet)?;
        document["walks"] = walked["walks"].take();
        document["text"] = walked["text"].take();
    }
    Ok(Answer::json(200, document.to_string()))
}

/// One packet explained: the document of `vpclab trace --json`, whether it passed, and the same in
/// words. It takes its time, in which others may read.
fn explained(server: &Server, question: &Question, packet: &Packet) -> Result<Value, Fault> {
    let world = server.read()?;
    if world.is_looked_at() {
        return traced(&world, question, packet);
    }
    drop(world);
    let mut world = server.write()?;
    world.look();
    traced(&world, question, packet)
}

fn traced(world: &World, question: &Question, packet: &Packet) -> Result<Value, Fault> {
    let trip = explain(world, question, packet)?;
    let told = walks(&trip, world.view());
    let mut document = json::trace_document(&told);
    document["passed"] = json!(trip.passed == Passed::Both);
    document["text"] = json!(text(told));
    Ok(document)
}

/// The walks in words. They are told as at virtual zero: the year does not matter.
fn text(mut told: Vec<LegWalk>) -> String {
    told.iter_mut().for_each(|walk| walk.told.at = Instant::START);
    terminal::walks(&told)
}

/// What came of packets, without why.
fn sent(world: &World, what: What, question: &Question, answered: &Answered) -> Value {
    let traffic = Traffic::of(&answered.tally);
    let party = |id: Option<InterfaceId>, address: std::net::IpAddr| {
        let instance = id.and_then(|id| world.cloud().interface(id)?.instance());
        json!({
            "interface": id.map(|id| id.to_string()),
            "instance": instance.map(|id| id.to_string()),
            "address": address.to_string(),
        })
    };
    let what = match what {
        What::Ping => "ping",
        What::Udp => "udp",
        What::Tcp | What::Trace => "tcp",
    };
    json!({
        "format": FORMAT,
        "what": what,
        "from": party(Some(question.from), question.source),
        "to": party(question.meant, question.to),
        "arrived": answered.arrived == Arrived::All,
        "traffic": json::traffic(&traffic),
        "round_trips_ns": round_trips(&answered.round_trips),
        "connection": answered.connection.as_ref().map(connection),
        "walks": Value::Null,
        "text": "",
    })
}

fn round_trips(spans: &[Span]) -> Value {
    let nanos = || spans.iter().map(|span| span.as_nanos());
    let (Some(least), Some(most)) = (nanos().min(), nanos().max()) else { return Value::Null };
    let sum: u64 = nanos().sum();
    json!({ "least": least, "mean": sum / spans.len() as u64, "most": most })
}

fn connection(report: &Report) -> Value {
    let outcome = match report.outcome {
        Outcome::Connecting => "connecting",
        Outcome::Open => "open",
        Outcome::Done => "done",
        Outcome::Refused => "refused",
        Outcome::TimedOut => "timed-out",
        Outcome::Reset => "reset",
    };
    json!({
        "outcome": outcome,
        "bytes_acknowledged": report.acknowledged,
        "bytes_received": report.received,
        "segments": report.segments,
        "retransmitted": report.retransmitted,
        "mtu": report.mtu.bytes(),
        "connected_after_ns": report.connected_at.map(|at| at.since(report.opened_at).as_nanos()),
        "transfer_ns": report.transfer_time().map(|span| span.as_nanos()),
    })
}

/// Counts packets for the metrics.
fn count(server: &Server, answered: &Answered) {
    let legs = [&answered.tally.requests, &answered.tally.answers, &answered.tally.notices];
    for Tally { delivered, misdelivered, drops, .. } in legs {
        for (end, packets) in [
            (PacketEnd::Delivered, delivered - misdelivered),
            (PacketEnd::Misdelivered, *misdelivered),
        ] {
            if packets > 0 {
                server.metrics().packets(end, packets);
            }
        }
        for (reason, packets) in drops.iter() {
            server.metrics().packets(PacketEnd::Dropped(reason), packets);
        }
    }
}
