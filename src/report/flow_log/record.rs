//! One record: the values of a format's fields with spaces between them.
//!
//! Holds the text of every field. Refuses to count: what a record says was summed up by the log.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::log::{FlowOf, Station, Sums};
use super::sight::Action;
use crate::cloud::filter::Direction;
use crate::cloud::flow_log::{Field, LogFormat};
use crate::cloud::instance::Host;
use crate::wire::Family;

/// What a record is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// A flow and what the window knows of it.
    Flow(&'a FlowOf, &'a Sums),
    /// A window without traffic.
    NoData,
    /// A window in which records were left out.
    SkipData,
}

/// Stands for a value that there is none of.
const NONE: &str = "-";

/// Writes a record. `start` and `end` are seconds since 1970: of the first and the last packet, or
/// of the window.
pub(super) fn write(
    out: &mut String,
    format: &LogFormat,
    station: &Station,
    content: Content<'_>,
    [start, end]: [u64; 2],
) {
    for (row, field) in format.fields().iter().enumerate() {
        if row > 0 {
            out.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = match field {
            Field::Version => write!(out, "{}", format.version()),
            Field::AccountId => write!(out, "{}", station.account),
            Field::InterfaceId => write!(out, "{}", station.interface),
            Field::VpcId => write!(out, "{}", station.vpc),
            Field::SubnetId => write!(out, "{}", station.subnet),
            Field::InstanceId => match station.host {
                Host::Instance(id) => write!(out, "{id}"),
                Host::NatGateway(_) | Host::Nobody => out.write_str(NONE),
            },
            Field::Region => write!(out, "{}", station.region),
            Field::AzId => out.write_str(&station.zone),
            Field::SublocationType | Field::SublocationId => out.write_str(NONE),
            Field::Start => write!(out, "{start}"),
            Field::End => write!(out, "{end}"),
            Field::LogStatus => out.write_str(match content {
                Content::Flow(..) => "OK",
                Content::NoData => "NODATA",
                Content::SkipData => "SKIPDATA",
            }),
            of_flow => match content {
                Content::Flow(key, sums) => write_flow(out, *of_flow, station, key, sums),
                Content::NoData | Content::SkipData => out.write_str(NONE),
            },
        };
    }
}

/// A field that only a flow has.
fn write_flow(
    out: &mut String,
    field: Field,
    station: &Station,
    key: &FlowOf,
    sums: &Sums,
) -> std::fmt::Result {
    let flow = key.flow;
    let or_none = |text: Option<&str>| text.unwrap_or(NONE).to_owned();
    // Of the two ends, the interface's own is shown by its primary address.
    let [source, destination]: [IpAddr; 2] = match key.direction {
        Direction::Egress => [station.shown(flow.source), flow.destination],
        Direction::Ingress => [flow.source, station.shown(flow.destination)],
    };
    match field {
        Field::SrcAddr => write!(out, "{source}"),
        Field::DstAddr => write!(out, "{destination}"),
        Field::SrcPort => write!(out, "{}", flow.source_port),
        Field::DstPort => write!(out, "{}", flow.destination_port),
        Field::Protocol => write!(out, "{}", flow.protocol.0),
        Field::Packets => write!(out, "{}", sums.packets),
        Field::Bytes => write!(out, "{}", sums.bytes),
        Field::Action => out.write_str(match key.action {
            Action::Accept => "ACCEPT",
            Action::Reject => "REJECT",
        }),
        Field::TcpFlags => write!(out, "{}", sums.tcp_flags),
        Field::Type => out.write_str(match Family::of(flow.source) {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }),
        Field::PktSrcAddr => write!(out, "{}", flow.source),
        Field::PktDstAddr => write!(out, "{}", flow.destination),
        Field::PktSrcAwsService => out.write_str(&or_none(sums.services[0].as_deref())),
        Field::PktDstAwsService => out.write_str(&or_none(sums.services[1].as_deref())),
        Field::FlowDirection => out.write_str(key.direction.name()),
        Field::TrafficPath => match sums.path {
            Some(path) => write!(out, "{}", path.code()),
            None => out.write_str(NONE),
        },
        // Those of the interface and of the window are no flow's.
        Field::Version
        | Field::AccountId
        | Field::InterfaceId
        | Field::VpcId
        | Field::SubnetId
        | Field::InstanceId
        | Field::Region
        | Field::AzId
        | Field::SublocationType
        | Field::SublocationId
        | Field::Start
        | Field::End
        | Field::LogStatus => out.write_str(NONE),
    }
}
