//! `flow-logs` and `captures`: what was recorded of packets, to be fetched while the server runs.
//!
//! Holds the pages. Refuses to record: `api::recorders` does.

use serde_json::json;

use crate::api::fault::{Fault, Status};
use crate::api::http::{Answer, Method};
use crate::api::params;
use crate::api::recorders::NoCapture;
use crate::api::server::Server;
use crate::base::limit::API_CAPTURE_PACKETS_MAX;

/// The type of a capture.
const PCAPNG: &str = "application/vnd.tcpdump.pcap";

/// `GET flow-logs` and `GET flow-logs/<id>`.
pub(super) fn flow_logs(server: &Server, id: Option<&str>) -> Result<Answer, Fault> {
    let mut world = server.write()?;
    world.move_to(server.clock().now());
    world.look();
    let recorders = world.recorders();
    let Some(id) = id else {
        let logs = recorders.flow_logs();
        let logs: Vec<_> = logs
            .into_iter()
            .map(|log| {
                json!({
                    "id": log.log.to_string(),
                    "file": log.name,
                    "records": log.records,
                    "skipped_packets": log.skipped,
                    "full": log.full,
                    "deleted": log.deleted,
                })
            })
            .collect();
        return Ok(Answer::json(200, json!({ "flow_logs": logs }).to_string()));
    };
    let id = params::id(id)?;
    let text = recorders.flow_log(id).ok_or_else(|| {
        let message = format!("The flow log '{id}' does not exist");
        Fault::new("InvalidFlowLogId.NotFound", message).with_status(Status::NotFound)
    })?;
    Ok(Answer::text(200, text))
}

/// `GET` and `POST captures`, `GET` and `DELETE captures/<number>`.
pub(super) fn captures(
    server: &Server,
    method: Method,
    number: Option<&str>,
) -> Result<Answer, Fault> {
    let mut world = server.write()?;
    let recorders = world.recorders();
    let number = number
        .map(|text| text.parse::<u64>().map_err(|_| Fault::value("capture", text)))
        .transpose()?;
    match (method, number) {
        (Method::Get, None) => {
            let rows: Vec<_> = recorders
                .captures()
                .map(|(id, packets, gone)| json!({ "id": id, "packets": packets, "gone": gone }))
                .collect();
            Ok(Answer::json(200, json!({ "captures": rows }).to_string()))
        }
        (Method::Post, None) => {
            let id = recorders.start_capture()?;
            let body = json!({ "id": id, "packets_max": API_CAPTURE_PACKETS_MAX });
            Ok(Answer::json(200, body.to_string()))
        }
        (Method::Get, Some(number)) => Ok(Answer::new(200, PCAPNG, recorders.capture(number)?)),
        (Method::Delete, Some(number)) => {
            recorders.end_capture(number)?;
            Ok(Answer::json(200, json!({ "ended": number }).to_string()))
        }
        _ => Err(super::no_page("captures")),
    }
}

impl From<NoCapture> for Fault {
    fn from(error: NoCapture) -> Fault {
        match error {
            NoCapture::TooMany => Fault::new("ResourceLimitExceeded", error.to_string()),
            NoCapture::Unknown(_) => {
                Fault::new("NotFound", error.to_string()).with_status(Status::NotFound)
            }
        }
    }
}
