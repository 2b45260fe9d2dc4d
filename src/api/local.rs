//! The server's own pages, under `/_vpclab/`: health, metrics, and what EC2 has no call for.
//!
//! Holds the few routes and their JSON. Refuses to change the network: that is what the operations
//! are for.

mod recordings;
mod traffic;

use serde::de::DeserializeOwned;

use super::fault::{Fault, Status};
use super::http::{Answer, Method, Request};
use super::metrics::CONTENT_TYPE;
use super::params::Params;
use super::server::Server;
use crate::base::time::Span;
use traffic::What;

/// Where these pages are.
pub const ROOT: &str = "/_vpclab/";

/// The answer to a request for one of these pages.
pub(super) async fn answer(server: &Server, request: &Request) -> Answer {
    let page = request.path.strip_prefix(ROOT).unwrap_or_default();
    let (noun, id) = page.split_once('/').map_or((page, None), |(noun, id)| (noun, Some(id)));
    let answered = match (request.method, page) {
        (Method::Get, "health") => health(server),
        (Method::Get, "metrics") => metrics(server),
        (Method::Post, "reset") => reset(server).await,
        (Method::Post, "clock/advance") => advance(server, request),
        (Method::Get, "clock") => clock(server),
        (Method::Post, "ping") => traffic::answer(server, request, What::Ping),
        (Method::Post, "udp") => traffic::answer(server, request, What::Udp),
        (Method::Post, "tcp") => traffic::answer(server, request, What::Tcp),
        (Method::Post, "trace") => traffic::answer(server, request, What::Trace),
        (Method::Get, "export") => export(server, request),
        (Method::Get, _) if noun == "flow-logs" => recordings::flow_logs(server, id),
        (method, _) if noun == "captures" => recordings::captures(server, method, id),
        _ => Err(no_page(page)),
    };
    // What an answer tells of the network has to be on disk before it is told.
    let answered = match answered {
        Ok(answer) => server.kept(server.seen()).await.map(|()| answer),
        refused => refused,
    };
    answered.unwrap_or_else(|fault| {
        let body = serde_json::json!({"code": fault.code(), "message": fault.message()});
        Answer::json(fault.status().number(), body.to_string())
    })
}

/// The network as a network file; `account=A` for what one account has of it.
fn export(server: &Server, request: &Request) -> Result<Answer, Fault> {
    let params = Params::parse([request.query.as_bytes()])?;
    let account = params.parsed("account")?;
    let world = server.read()?;
    let now = super::server::present(server, &world);
    let name = match account {
        None => "The network of a running server".to_owned(),
        Some(account) => format!("What account {account} has in a running server"),
    };
    let export = crate::report::export::network(world.cloud(), now, account, &name);
    Ok(Answer::text(200, export.text)
        .with_header("x-vpclab-warnings", export.warnings.len().to_string()))
}

/// There is no such page.
fn no_page(page: &str) -> Fault {
    let message = format!("there is no page {ROOT}{page} for this method");
    Fault::new("NotFound", message).with_status(Status::NotFound)
}

/// The body of a request.
fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Fault> {
    serde_json::from_slice(&request.body)
        .map_err(|error| Fault::new("MalformedRequest", format!("the body is no request: {error}")))
}

fn health(server: &Server) -> Result<Answer, Fault> {
    let world = server.read()?;
    let body = serde_json::json!({
        "status": "ready",
        "version": env!("CARGO_PKG_VERSION"),
        "profile": world.cloud().profile().name(),
    });
    Ok(Answer::json(200, body.to_string()))
}

fn metrics(server: &Server) -> Result<Answer, Fault> {
    let world = server.read()?;
    let gauges = world.gauges(super::server::present(server, &world));
    Ok(Answer::new(200, CONTENT_TYPE, server.figures(&gauges)))
}

/// Empties the world: no account has ever asked for anything.
async fn reset(server: &Server) -> Result<Answer, Fault> {
    server.kept(server.empty()?).await?;
    Ok(Answer::json(200, serde_json::json!({"reset": true}).to_string()))
}

fn clock(server: &Server) -> Result<Answer, Fault> {
    let now = super::server::present(server, &*server.read()?);
    let kind = server.clock().kind();
    let body = serde_json::json!({"now": super::clock::timestamp(now), "clock": kind});
    Ok(Answer::json(200, body.to_string()))
}

/// Lets virtual time pass: `by=7d`.
fn advance(server: &Server, request: &Request) -> Result<Answer, Fault> {
    let params = Params::parse([request.query.as_bytes(), &request.body])?;
    let by: Span = params.parsed("by")?.ok_or_else(|| Fault::missing("by"))?;
    if server.clock().advance(by).is_none() {
        let message = "The clock is the host's; start the server with `--clock virtual`, or a lab with `vpclab up --api`.";
        return Err(Fault::new("InvalidParameterValue", message));
    }
    clock(server)
}
