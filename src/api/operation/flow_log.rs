//! Flow logs. Where records are delivered to is remembered and shown; what is recorded is fetched
//! from the server itself.

use crate::api::clock::timestamp;
use crate::api::describe::{PageBounds, Row, describe, tag_fields, write_tags};
use crate::api::dispatch::{Ask, Edit, Operation, Run};
use crate::api::fault::Fault;
use crate::api::filter::Values;
use crate::api::params;
use crate::api::records::Fact;
use crate::api::xml::Xml;
use crate::base::id::FlowLogId;
use crate::cloud::command::Command;
use crate::cloud::event::{Change, ResourceId};
use crate::cloud::flow_log::{FlowLog, Interval, LogFormat, Recording, TrafficType, Watched};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateFlowLogs",
        takes: &[
            "ResourceId",
            "ResourceType",
            "TrafficType",
            "LogDestinationType",
            "LogDestination",
            "LogGroupName",
            "DeliverLogsPermissionArn",
            "LogFormat",
            "MaxAggregationInterval",
        ],
        filters: &[],
        lacks: "Delivery: destinations are remembered, and what is recorded is read from the server, \
                at `/_vpclab/flow-logs/<id>`. Two logs of a resource must differ in more than their \
                destination. `DestinationOptions`, cross-account delivery.",
        run: Run::Write(create),
    },
    Operation {
        name: "DescribeFlowLogs",
        takes: &["FlowLogId"],
        filters: &[
            "deliver-log-status",
            "flow-log-id",
            "log-destination-type",
            "log-group-name",
            "resource-id",
            "traffic-type",
            "tag:<key>",
            "tag-key",
        ],
        lacks: "",
        run: Run::Read(describe_logs),
    },
    Operation {
        name: "DeleteFlowLogs",
        takes: &["FlowLogId"],
        filters: &[],
        lacks: "",
        run: Run::Write(delete),
    },
];

/// Records never fail to be delivered.
const DELIVERED: &str = "SUCCESS";

/// A flow log as it is shown.
struct LogRow<'a>(FlowLogId, &'a FlowLog);

fn own<'a>(ask: &Ask<'a>, id: FlowLogId) -> Option<&'a FlowLog> {
    let log = ask.cloud().flow_log(id)?;
    (log.owner == ask.caller.account && log.region == ask.caller.region).then_some(log)
}

/// EC2's answer to ids that name nothing.
fn absent(ids: &[FlowLogId]) -> Fault {
    let shown: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let message = format!(
        "These flow log ids in the input list are not found: [TotalCount: {}] {}",
        ids.len(),
        shown.join(" ")
    );
    Fault::new("InvalidFlowLogId.NotFound", message)
}

/// The flow logs that a request lists, which must all be there.
fn listed(ask: &Ask<'_>) -> Result<Vec<FlowLogId>, Fault> {
    let ids: Vec<FlowLogId> = ask.params.ids("FlowLogId")?;
    let missing: Vec<FlowLogId> =
        ids.iter().copied().filter(|id| own(ask, *id).is_none()).collect();
    if missing.is_empty() { Ok(ids) } else { Err(absent(&missing)) }
}

const fn traffic(kind: TrafficType) -> &'static str {
    match kind {
        TrafficType::Accept => "ACCEPT",
        TrafficType::Reject => "REJECT",
        TrafficType::All => "ALL",
    }
}

/// Where records go, as it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Destination {
    CloudWatch,
    S3,
    Firehose,
}

impl Destination {
    const ALL: [Destination; 3] = [Destination::CloudWatch, Destination::S3, Destination::Firehose];

    const fn name(self) -> &'static str {
        match self {
            Destination::CloudWatch => "cloud-watch-logs",
            Destination::S3 => "s3",
            Destination::Firehose => "kinesis-data-firehose",
        }
    }
}

impl LogRow<'_> {
    fn destination_type<'a>(&self, ask: &Ask<'a>) -> &'a str {
        ask.fact(self.0, Fact::DestinationType).unwrap_or(Destination::CloudWatch.name())
    }
}

impl Row for LogRow<'_> {
    fn key(&self) -> String {
        self.0.to_string()
    }

    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>) {
        let LogRow(id, log) = self;
        match name {
            "flow-log-id" => out.shows(id),
            "resource-id" => out.shows(log.of),
            "traffic-type" => out.is(traffic(log.recording.traffic)),
            "deliver-log-status" => out.is(DELIVERED),
            "log-destination-type" => out.is(self.destination_type(ask)),
            "log-group-name" => out.maybe(ask.fact(id, Fact::Name)),
            _ => tag_fields(ask.tags(ResourceId::FlowLog(*id)), name, out),
        }
    }

    fn write(&self, ask: &Ask<'_>, xml: &mut Xml) {
        let LogRow(id, log) = self;
        xml.text("flowLogId", id);
        xml.text("resourceId", log.of);
        xml.text("creationTime", timestamp(log.created));
        xml.text("trafficType", traffic(log.recording.traffic));
        xml.text("flowLogStatus", "ACTIVE");
        xml.text("deliverLogsStatus", DELIVERED);
        xml.maybe("deliverLogsPermissionArn", ask.fact(id, Fact::PermissionArn));
        xml.text("logDestinationType", self.destination_type(ask));
        xml.maybe("logDestination", ask.fact(id, Fact::Destination));
        xml.maybe("logGroupName", ask.fact(id, Fact::Name));
        xml.text("logFormat", &log.recording.format);
        xml.text("maxAggregationInterval", log.recording.interval.span().as_secs_f64());
        write_tags(xml, ask.tags(ResourceId::FlowLog(*id)));
    }
}

/// What the request wants to watch, as its type says.
fn watched(edit: &Edit<'_>) -> Result<Vec<Watched>, Fault> {
    let kind = edit.params.needed("ResourceType")?;
    let read: fn(&str) -> Result<Watched, Fault> = match kind {
        "VPC" => |text| Ok(Watched::Vpc(params::id(text)?)),
        "Subnet" => |text| Ok(Watched::Subnet(params::id(text)?)),
        "NetworkInterface" => |text| Ok(Watched::Interface(params::id(text)?)),
        other => return Err(Fault::value("resourceType", other)),
    };
    let mut all = Vec::new();
    for text in edit.params.list("ResourceId") {
        let one = read(text)?;
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.is_empty() { Err(Fault::missing("resourceIds")) } else { Ok(all) }
}

fn recording(edit: &Edit<'_>) -> Result<Recording, Fault> {
    let params = edit.params;
    let wrong = |message: String| Fault::new("InvalidParameter", message);
    let traffic = match params.needed("TrafficType")? {
        "ACCEPT" => TrafficType::Accept,
        "REJECT" => TrafficType::Reject,
        "ALL" => TrafficType::All,
        other => return Err(Fault::value("trafficType", other)),
    };
    let interval = match params.text("MaxAggregationInterval") {
        None | Some("600") => Interval::TenMinutes,
        Some("60") => Interval::Minute,
        Some(_) => return Err(wrong("Invalid Flow Log Max Aggregation Interval".to_owned())),
    };
    let format = match params.text("LogFormat") {
        None => LogFormat::default(),
        Some(text) => {
            text.parse().map_err(|error| wrong(format!("Unknown fields provided: {error}")))?
        }
    };
    Ok(Recording { traffic, interval, format })
}

/// Where records are to go: what is remembered of it.
fn destination(edit: &Edit<'_>) -> Result<Vec<(Fact, String)>, Fault> {
    let params = edit.params;
    let wrong = |message: &str| Fault::new("InvalidParameter", message);
    let kind = match params.text("LogDestinationType") {
        None => Destination::CloudWatch,
        Some(name) => Destination::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Fault::value("logDestinationType", name))?,
    };
    let given = params.text("LogDestination");
    let group = params.text("LogGroupName");
    let role = params.text("DeliverLogsPermissionArn");
    let mut facts = vec![(Fact::DestinationType, kind.name().to_owned())];
    match kind {
        Destination::CloudWatch => {
            if given.is_some() && group.is_some() {
                let message = "Please only provide LogGroupName or only provide LogDestination.";
                return Err(wrong(message));
            }
            if role.is_none() {
                return Err(wrong(
                    "DeliverLogsPermissionArn can't be empty if LogDestinationType is \
                     cloud-watch-logs.",
                ));
            }
            let of_group = |name: &str| {
                let (region, account) = (&edit.caller.region, edit.caller.account);
                format!("arn:aws:logs:{}:{account}:log-group:{name}", region.as_str())
            };
            match (given, group) {
                // The name of the group is in its ARN.
                (Some(arn), _) => {
                    let name = arn.split(":log-group:").nth(1);
                    let name = name.map(|name| name.trim_end_matches(":*"));
                    let name = name.ok_or_else(|| wrong("LogDestination is not a log group"))?;
                    facts.push((Fact::Name, name.to_owned()));
                    facts.push((Fact::Destination, arn.to_owned()));
                }
                (None, Some(name)) => {
                    facts.push((Fact::Name, name.to_owned()));
                    facts.push((Fact::Destination, of_group(name)));
                }
                (None, None) => {
                    return Err(wrong(
                        "LogGroupName can't be empty if LogDestinationType is cloud-watch-logs.",
                    ));
                }
            }
        }
        Destination::S3 | Destination::Firehose => {
            if group.is_some() {
                let message = "LogDestination type must be cloud-watch-logs if LogGroupName is \
                               provided.";
                return Err(wrong(message));
            }
            let Some(arn) = given else {
                let message = format!(
                    "LogDestination can't be empty if LogDestinationType is {}.",
                    kind.name()
                );
                return Err(wrong(&message));
            };
            if !arn.starts_with("arn:") {
                return Err(wrong("LogDestination is not an ARN"));
            }
            facts.push((Fact::Destination, arn.to_owned()));
        }
    }
    facts.extend(role.map(|role| (Fact::PermissionArn, role.to_owned())));
    Ok(facts)
}

fn create(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let (watched, recording) = (watched(edit)?, recording(edit)?);
    let facts = destination(edit)?;
    let tags = edit.new_tags("vpc-flow-log")?;
    let mut made: Vec<FlowLogId> = Vec::new();
    let mut failed: Vec<(Watched, Fault)> = Vec::new();
    // Each resource is a request of its own.
    for of in watched {
        let command = Command::CreateFlowLogs { of, recording: recording.clone() };
        let log = edit.apply_for(&command, |change| match change {
            Change::FlowLogCreated { log, .. } => Some(*log),
            _ => None,
        });
        match log {
            Ok(log) => {
                for (fact, value) in &facts {
                    edit.remember(log, *fact, value);
                }
                edit.tag(ResourceId::FlowLog(log), tags.clone())?;
                goes_with(edit, of, log);
                made.push(log);
            }
            Err(fault) => failed.push((of, fault)),
        }
    }
    xml.maybe("clientToken", edit.params.text("ClientToken"));
    xml.values("flowLogIdSet", made);
    xml.set("unsuccessful", failed, |xml, (of, fault)| {
        xml.text("resourceId", of);
        xml.group("error", |xml| {
            xml.text("code", fault.code());
            xml.text("message", fault.message());
        });
    });
    Ok(())
}

/// Notes that a flow log goes when what it watches goes.
fn goes_with(edit: &mut Edit<'_>, of: Watched, log: FlowLogId) {
    let before = edit.ask().fact(of, Fact::GoesWith).unwrap_or_default().to_owned();
    edit.remember(of, Fact::GoesWith, format!("{before} {log}").trim_start());
}

/// Takes that note back.
fn goes_by_itself(edit: &mut Edit<'_>, of: Watched, log: FlowLogId) {
    let log = log.to_string();
    let before = edit.ask().fact(of, Fact::GoesWith).unwrap_or_default().to_owned();
    let others: Vec<&str> = before.split(' ').filter(|id| *id != log).collect();
    edit.remember(of, Fact::GoesWith, others.join(" "));
}

fn describe_logs(ask: &Ask<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let listed = listed(ask)?;
    let named = super::exactly::<FlowLogId>(ask, "flow-log-id")?;
    let ids: Vec<FlowLogId> = match (listed.is_empty(), named) {
        (false, _) => listed,
        (true, Some(named)) => named,
        (true, None) => match super::tagged(ask)? {
            Some(tagged) => tagged,
            None => ask.cloud().flow_logs_of(ask.caller).map(|(id, _)| id).collect(),
        },
    };
    let rows = ids.into_iter().filter_map(|id| Some(LogRow(id, own(ask, id)?)));
    describe(ask, xml, "flowLogSet", PageBounds::USUAL, rows)
}

fn delete(edit: &mut Edit<'_>, xml: &mut Xml) -> Result<(), Fault> {
    let ids = listed(&edit.ask())?;
    if ids.is_empty() {
        return Err(Fault::missing("flowLogIds"));
    }
    for log in ids {
        let of = edit.cloud().flow_log(log).map(|log| log.of);
        edit.apply(&Command::DeleteFlowLogs { log })?;
        edit.forget(log);
        if let Some(of) = of {
            goes_by_itself(edit, of, log);
        }
    }
    xml.group("unsuccessful", |_| {});
    Ok(())
}
