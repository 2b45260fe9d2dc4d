//! Network Insights: paths, and what the network does with a packet on one.
//!
//! Holds the operations. An analysis walks one packet and its answer through the network as it stands
//! when it is started, with the forwarder that packets meet; what it found is kept as it was then.
//! What is written of it, and what a caller may be told about other accounts, is in `findings.rs`.

mod findings;

use std::net::IpAddr;

use super::arn;
use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params;
use crate::api::records::{Fact, Kind};
use crate::api::xml::Xml;
use crate::base::id::{AccountId, InstanceId, InterfaceId, InternetGatewayId};
use crate::base::limit::API_INSIGHTS_MAX;
use crate::cloud::Cloud;
use crate::cloud::gateway::GatewayId;
use findings::Findings;

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateNetworkInsightsPath",
        takes: &[
            "Source",
            "Destination",
            "SourceIp",
            "DestinationIp",
            "Protocol",
            "DestinationPort",
            "FilterAtSource",
            "FilterAtDestination",
        ],
        filters: &[],
        lacks: "Sources other than instances and network interfaces; destinations other than these, \
                internet gateways and addresses. `FilterAtDestination` is remembered and changes \
                nothing. Without a port, 443 is looked at and the ports that the destination's own \
                groups open.",
        run: Run::Write(create_path),
    },
    Operation {
        name: "DescribeNetworkInsightsPaths",
        takes: &["NetworkInsightsPathId"],
        filters: &[
            "destination",
            "filter-at-destination.destination-address",
            "filter-at-destination.destination-port-range",
            "filter-at-destination.source-address",
            "filter-at-destination.source-port-range",
            "filter-at-source.destination-address",
            "filter-at-source.destination-port-range",
            "filter-at-source.source-address",
            "filter-at-source.source-port-range",
            "protocol",
            "source",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_paths),
    },
    Operation {
        name: "DeleteNetworkInsightsPath",
        takes: &["NetworkInsightsPathId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete_path),
    },
    Operation {
        name: "StartNetworkInsightsAnalysis",
        takes: &["NetworkInsightsPathId"],
        filters: &[],
        lacks: "`AdditionalAccount`, `FilterInArn` and `FilterOutArn`: what belongs to another account \
                is never shown, and the way is the one that packets take. Instances that are stopped \
                are on no way (AWS does not look). To an internet gateway only the way out is looked \
                at.",
        run: Run::Write(start),
    },
    Operation {
        name: "DescribeNetworkInsightsAnalyses",
        takes: &[
            "NetworkInsightsAnalysisId",
            "NetworkInsightsPathId",
            "AnalysisStartTime",
            "AnalysisEndTime",
        ],
        filters: &["path-found", "status", "tag:<key>", "tag-key"],
        lacks: "",
        run: Run::Read(describe_analyses),
    },
    Operation {
        name: "DeleteNetworkInsightsAnalysis",
        takes: &["NetworkInsightsAnalysisId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete_analysis),
    },
];

/// Is there room for one more of a kind?
fn has_room(edit: &Edit<'_>, kind: Kind) -> Result<(), Fault> {
    let owned = edit.records().owned(kind, edit.caller.account, &edit.caller.region);
    if owned.count() < API_INSIGHTS_MAX {
        return Ok(());
    }
    let message =
        format!("There are {API_INSIGHTS_MAX} already, as many as there may be; delete one");
    Err(Fault::new("ResourceLimitExceeded", message))
}

/// What stands at an end of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Endpoint {
    Instance(InstanceId),
    Interface(InterfaceId),
    Gateway(InternetGatewayId),
}

impl Endpoint {
    /// The end that a text names, by its id or its ARN; of an ARN also whose it says that it is.
    fn parse(parameter: &str, text: &str) -> Result<(Endpoint, Option<AccountId>), Fault> {
        let (id, owner) = match text.strip_prefix("arn:") {
            None => (text, None),
            Some(rest) => {
                let mut parts = rest.split(':');
                let owner = parts.nth(3).and_then(|account| account.parse().ok());
                let id = parts.next().and_then(|of| of.rsplit('/').next());
                match (owner, id) {
                    (Some(owner), Some(id)) => (id, Some(owner)),
                    _ => return Err(Fault::value(parameter, text)),
                }
            }
        };
        let end = match id.split_once('-') {
            Some(("i", _)) => Endpoint::Instance(params::id(id)?),
            Some(("eni", _)) => Endpoint::Interface(params::id(id)?),
            Some(("igw", _)) => Endpoint::Gateway(params::id(id)?),
            _ => {
                let message = format!("{parameter} '{text}' is of a type that is not supported");
                return Err(Fault::new("InvalidParameterValue", message));
            }
        };
        Ok((end, owner))
    }

    fn kind(self) -> &'static str {
        match self {
            Endpoint::Instance(_) => "instance",
            Endpoint::Interface(_) => "network-interface",
            Endpoint::Gateway(_) => "internet-gateway",
        }
    }

    fn id(self) -> String {
        match self {
            Endpoint::Instance(id) => id.to_string(),
            Endpoint::Interface(id) => id.to_string(),
            Endpoint::Gateway(id) => id.to_string(),
        }
    }

    /// Whose it is and the interface, if there is such a thing.
    fn found(self, cloud: &Cloud) -> Option<(AccountId, Option<InterfaceId>)> {
        let of_interface = |id: InterfaceId| {
            let vpc = cloud.vpc(cloud.interface(id)?.vpc)?;
            Some((vpc.owner, Some(id)))
        };
        match self {
            Endpoint::Instance(id) => {
                let instance = cloud.instance(id)?;
                match instance.interface() {
                    Some(interface) => of_interface(interface),
                    None => Some((instance.owner, None)),
                }
            }
            Endpoint::Interface(id) => of_interface(id),
            Endpoint::Gateway(id) => Some((cloud.gateway(GatewayId::Internet(id))?.owner, None)),
        }
    }

    /// It does not exist, as far as its caller may know.
    fn absent(self) -> Fault {
        let (code, noun) = match self {
            Endpoint::Instance(_) => ("InvalidInstanceID.NotFound", "instance"),
            Endpoint::Interface(_) => ("InvalidNetworkInterfaceID.NotFound", "networkInterface"),
            Endpoint::Gateway(_) => ("InvalidInternetGatewayID.NotFound", "internetGateway"),
        };
        Fault::new(code, format!("The {noun} ID '{}' does not exist", self.id()))
    }
}

/// The filters of a path, each with the parts that EC2 gives it.
const PATH_FILTERS: [(&str, &str); 2] =
    [("FilterAtSource", "filterAtSource"), ("FilterAtDestination", "filterAtDestination")];
const ADDRESSES: [(&str, &str, &str); 2] = [
    ("SourceAddress", "sourceAddress", "source-address"),
    ("DestinationAddress", "destinationAddress", "destination-address"),
];
const RANGES: [(&str, &str, &str); 2] = [
    ("SourcePortRange", "sourcePortRange", "source-port-range"),
    ("DestinationPortRange", "destinationPortRange", "destination-port-range"),
];

fn create_path(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let protocol = match edit.params.needed("Protocol")? {
        protocol @ ("tcp" | "udp") => protocol,
        other => return Err(Fault::value("protocol", other)),
    };
    let address = |name: &str| -> Result<Option<String>, Fault> {
        let parsed: Option<IpAddr> = edit.params.parsed(name)?;
        Ok(parsed.map(|address| address.to_string()))
    };
    let port = |name: &str| -> Result<Option<u16>, Fault> { edit.params.parsed(name) };
    let mut facts = vec![(Fact::Protocol, protocol.to_owned())];
    let mut lines = Vec::new();
    for (filter, _) in PATH_FILTERS {
        for (name, ..) in ADDRESSES {
            let name = format!("{filter}.{name}");
            lines.extend(address(&name)?.map(|address| format!("{name}={address}")));
        }
        for (name, ..) in RANGES {
            let name = format!("{filter}.{name}");
            let from = port(&format!("{name}.FromPort"))?;
            let to = port(&format!("{name}.ToPort"))?.or(from);
            match (from, to) {
                (Some(from), Some(to)) if from <= to => lines.push(format!("{name}={from}-{to}")),
                (None, None) => {}
                _ => return Err(Fault::value(&name, "the range")),
            }
        }
    }
    let (source, _) = Endpoint::parse("source", edit.params.needed("Source")?)?;
    let caller = edit.caller.account;
    // A path begins at something of the caller's own.
    let owner = source.found(edit.cloud()).map(|(owner, _)| owner);
    if owner != Some(caller) {
        return Err(source.absent());
    }
    if let Endpoint::Gateway(_) = source {
        let message = "A path from an internet gateway is not supported";
        return Err(Fault::new("InvalidParameterValue", message));
    }
    facts.push((Fact::Source, source.id()));
    match edit.params.text("Destination") {
        None if edit.params.text("DestinationIp").is_none()
            && edit.params.text("FilterAtSource.DestinationAddress").is_none() =>
        {
            return Err(Fault::missing("destination"));
        }
        None => {}
        Some(text) => {
            let (destination, said) = Endpoint::parse("destination", text)?;
            // What is another account's has to be named with the account, and whether it is there is
            // told to nobody.
            if said.is_none_or(|said| said == caller) {
                let owner = destination.found(edit.cloud()).map(|(owner, _)| owner);
                if owner != Some(caller) {
                    return Err(destination.absent());
                }
            }
            facts.push((Fact::Destination, text.to_owned()));
        }
    }
    for (name, fact) in [("SourceIp", Fact::SourceIp), ("DestinationIp", Fact::DestinationIp)] {
        facts.extend(address(name)?.map(|address| (fact, address)));
    }
    facts.extend(port("DestinationPort")?.map(|port| (Fact::DestinationPort, port.to_string())));
    facts.push((Fact::Filter, lines.join("\n")));
    facts.push((Fact::Created, edit.now.as_nanos().to_string()));
    let tags = edit.new_tags(Kind::InsightsPath.resource_type())?;
    has_room(edit, Kind::InsightsPath)?;
    let id = edit.make(Kind::InsightsPath);
    for (fact, value) in facts {
        edit.remember(&id, fact, value);
    }
    edit.tag_thing(&id, tags);
    let ask = edit.ask();
    xml.group("networkInsightsPath", |xml| PathRow(id).write(&ask, xml));
    Ok(())
}

/// A path.
struct PathRow(String);

impl PathRow {
    /// A line of its filters.
    fn filter<'a>(&self, ask: &Ask<'a>, name: &str) -> Option<&'a str> {
        let mut lines = ask.fact(&self.0, Fact::Filter)?.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    /// The id of an end that a request has named by its id or ARN.
    fn end_id(text: &str) -> &str {
        text.rsplit('/').next().unwrap_or(text)
    }
}

impl Row for PathRow {
    fn key(&self) -> String {
        self.0.clone()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let fact = |fact| ask.fact(&self.0, fact);
        match name {
            "source" => out.maybe(fact(Fact::Source)),
            "destination" => out.maybe(fact(Fact::Destination).map(PathRow::end_id)),
            "protocol" => out.maybe(fact(Fact::Protocol)),
            _ => {
                let filters = [("filter-at-source.", 0), ("filter-at-destination.", 1)].into_iter();
                let mut filters =
                    filters.filter_map(|(prefix, row)| Some((name.strip_prefix(prefix)?, row)));
                let Some((part, row)) = filters.next() else {
                    return tag_fields(ask.records().tags(&self.0), name, out);
                };
                let mut parts = ADDRESSES.iter().chain(&RANGES);
                if let Some((known, ..)) = parts.find(|(_, _, field)| *field == part) {
                    out.maybe(self.filter(ask, &format!("{}.{known}", PATH_FILTERS[row].0)));
                }
            }
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let fact = |fact| ask.fact(&self.0, fact);
        xml.text("networkInsightsPathId", &self.0);
        xml.text("networkInsightsPathArn", arn(ask.caller, "network-insights-path", &self.0));
        xml.maybe("createdDate", fact(Fact::Created).and_then(moment));
        for (of, name, arn_name) in [
            (Fact::Source, "source", "sourceArn"),
            (Fact::Destination, "destination", "destinationArn"),
        ] {
            let Some(text) = fact(of) else { continue };
            xml.text(name, PathRow::end_id(text));
            if text.starts_with("arn:") {
                xml.text(arn_name, text);
            } else if let Ok((end, _)) = Endpoint::parse(name, text) {
                xml.text(arn_name, arn(ask.caller, end.kind(), text));
            }
        }
        xml.maybe("sourceIp", fact(Fact::SourceIp));
        xml.maybe("destinationIp", fact(Fact::DestinationIp));
        xml.maybe("protocol", fact(Fact::Protocol));
        xml.maybe("destinationPort", fact(Fact::DestinationPort));
        write_tags(xml, ask.records().tags(&self.0));
        for (given, shown) in PATH_FILTERS {
            let has = |name: &str| self.filter(ask, &format!("{given}.{name}"));
            if !ADDRESSES.iter().chain(&RANGES).any(|(name, ..)| has(name).is_some()) {
                continue;
            }
            xml.group(shown, |xml| {
                for (name, shown, _) in ADDRESSES {
                    xml.maybe(shown, has(name));
                }
                for (name, shown, _) in RANGES {
                    if let Some((from, to)) = has(name).and_then(|range| range.split_once('-')) {
                        xml.group(shown, |xml| {
                            xml.text("fromPort", from);
                            xml.text("toPort", to);
                        });
                    }
                }
            });
        }
    }
}

/// A moment that was remembered, as EC2 writes it.
fn moment(nanos: &str) -> Option<String> {
    let nanos = nanos.parse().ok()?;
    Some(timestamp(crate::base::time::Instant::from_nanos(nanos)))
}

/// The caller's thing of this kind.
fn own(ask: &Ask<'_>, kind: Kind, id: &str) -> Result<String, Fault> {
    let thing = ask.records().thing(id).filter(|thing| {
        thing.kind == kind && thing.owner == ask.caller.account && thing.region == ask.caller.region
    });
    thing.map(|_| id.to_owned()).ok_or_else(|| {
        let (code, noun) = match kind {
            Kind::InsightsPath => ("InvalidNetworkInsightsPathId.NotFound", "path"),
            _ => ("InvalidNetworkInsightsAnalysisId.NotFound", "analysis"),
        };
        Fault::new(code, format!("The network insights {noun} ID '{id}' does not exist"))
    })
}

/// Those of a kind that a request lists, or all.
fn things(ask: &Ask<'_>, kind: Kind, list: &str) -> Result<Vec<String>, Fault> {
    let mut listed: Vec<&str> = ask.params.list(list).collect();
    listed.sort_unstable();
    listed.dedup();
    if listed.is_empty() {
        let owned = ask.records().owned(kind, ask.caller.account, &ask.caller.region);
        return Ok(owned.map(str::to_owned).collect());
    }
    listed.into_iter().map(|id| own(ask, kind, id)).collect()
}

fn describe_paths(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let rows = things(ask, Kind::InsightsPath, "NetworkInsightsPathId")?;
    let rows = rows.into_iter().map(PathRow);
    describe(ask, xml, "networkInsightsPathSet", PageBounds::INSIGHTS, rows)
}

fn delete_path(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let id = own(&ask, Kind::InsightsPath, edit.params.needed("NetworkInsightsPathId")?)?;
    let owned = ask.records().owned(Kind::InsightsAnalysis, ask.caller.account, &ask.caller.region);
    if owned.into_iter().any(|analysis| ask.fact(analysis, Fact::Path) == Some(id.as_str())) {
        let message = format!("The network insights path '{id}' has analyses");
        return Err(Fault::new("AnalysisExistsForNetworkInsightsPath", message));
    }
    edit.forget(&id);
    xml.text("networkInsightsPathId", id);
    Ok(())
}

fn start(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let tags = edit.new_tags(Kind::InsightsAnalysis.resource_type())?;
    let path = {
        let ask = edit.ask();
        own(&ask, Kind::InsightsPath, edit.params.needed("NetworkInsightsPathId")?)?
    };
    has_room(edit, Kind::InsightsAnalysis)?;
    let Findings { found, part } = findings::analyse(edit, &PathRow(path.clone()));
    let id = edit.make(Kind::InsightsAnalysis);
    edit.remember(&id, Fact::Path, path);
    edit.remember(&id, Fact::Created, edit.now.as_nanos().to_string());
    edit.remember(&id, Fact::Findings, part);
    edit.remember(&id, Fact::Options, found.word());
    edit.tag_thing(&id, tags);
    let ask = edit.ask();
    xml.group("networkInsightsAnalysis", |xml| {
        AnalysisRow(id).write_head(&ask, xml, "running");
    });
    Ok(())
}

/// An analysis.
struct AnalysisRow(String);

impl AnalysisRow {
    fn write_head(&self, ask: &Ask<'_>, xml: &mut Xml, status: &str) {
        let arn = arn(ask.caller, "network-insights-analysis", &self.0);
        xml.text("networkInsightsAnalysisId", &self.0);
        xml.text("networkInsightsAnalysisArn", arn);
        xml.maybe("networkInsightsPathId", ask.fact(&self.0, Fact::Path));
        xml.maybe("startDate", ask.fact(&self.0, Fact::Created).and_then(moment));
        xml.text("status", status);
        write_tags(xml, ask.records().tags(&self.0));
    }

    /// When it was started, in nanoseconds.
    fn created(&self, ask: &Ask<'_>) -> u64 {
        ask.fact(&self.0, Fact::Created).and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
    }
}

impl Row for AnalysisRow {
    fn key(&self) -> String {
        self.0.clone()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        match name {
            "path-found" => out.maybe(ask.fact(&self.0, Fact::Options)),
            "status" => out.is("succeeded"),
            _ => tag_fields(ask.records().tags(&self.0), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        self.write_head(ask, xml, "succeeded");
        xml.maybe("networkPathFound", ask.fact(&self.0, Fact::Options));
        xml.raw(ask.fact(&self.0, Fact::Findings).unwrap_or_default());
    }
}

fn describe_analyses(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let path = ask.params.text("NetworkInsightsPathId");
    if let Some(path) = path {
        own(ask, Kind::InsightsPath, path)?;
    }
    let bound = |name: &str| -> Result<Option<u64>, Fault> {
        let Some(text) = ask.params.text(name) else { return Ok(None) };
        let stamp: jiff::Timestamp = text.parse().map_err(|_| Fault::value(name, text))?;
        // Before 1970 there is nothing.
        Ok(Some(u64::try_from(stamp.as_nanosecond()).unwrap_or_default()))
    };
    let (first, last) = (bound("AnalysisStartTime")?, bound("AnalysisEndTime")?);
    let rows = things(ask, Kind::InsightsAnalysis, "NetworkInsightsAnalysisId")?;
    let rows = rows.into_iter().map(AnalysisRow).filter(|row| {
        let at = row.created(ask);
        path.is_none_or(|path| ask.fact(&row.0, Fact::Path) == Some(path))
            && first.is_none_or(|first| at >= first)
            && last.is_none_or(|last| at <= last)
    });
    describe(ask, xml, "networkInsightsAnalysisSet", PageBounds::INSIGHTS, rows)
}

fn delete_analysis(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ask = edit.ask();
    let id = own(&ask, Kind::InsightsAnalysis, edit.params.needed("NetworkInsightsAnalysisId")?)?;
    edit.forget(&id);
    xml.text("networkInsightsAnalysisId", id);
    Ok(())
}
