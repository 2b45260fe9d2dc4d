//! A server that runs elsewhere, asked over HTTP: `ping`, `udp`, `tcp`, `trace --endpoint`, `export`.
//!
//! Holds the flags and a client of the server's own pages: one request on one connection. Refuses to
//! know what the answers mean beyond what is printed: the server tells it in words.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::{Value, json};

use super::Exit;
use super::output::Output;

/// How long an answer may take: a server lets none take longer.
const ANSWER_SECS: u64 = 90;
/// Bytes of an answer: a network of a million lines.
const ANSWER_BYTES_MAX: u64 = 512 << 20;

/// Where the server is.
#[derive(Debug, clap::Args)]
pub(super) struct Endpoint {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4566")]
    endpoint: String,
}

/// Flags of `ping`.
#[derive(Debug, clap::Args)]
pub(super) struct Ping {
    #[command(flatten)]
    ends: Ends,
    /// How many echo requests
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    count: u64,
    /// Bytes of payload
    #[arg(short, long, value_name = "BYTES", default_value_t = 56)]
    size: u64,
}

/// Flags of `udp`.
#[derive(Debug, clap::Args)]
pub(super) struct Udp {
    #[command(flatten)]
    ends: Ends,
    /// The port the datagrams are for
    #[arg(short, long, value_name = "N")]
    port: u16,
    /// How many datagrams
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    count: u64,
    /// Bytes of payload
    #[arg(short, long, value_name = "BYTES", default_value_t = 0)]
    size: u64,
}

/// Flags of `tcp`.
#[derive(Debug, clap::Args)]
pub(super) struct Tcp {
    #[command(flatten)]
    ends: Ends,
    /// The port to connect to
    #[arg(short, long, value_name = "N")]
    port: u16,
    /// Bytes to send over the connection
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    bytes: u64,
}

#[derive(Debug, clap::Args)]
struct Ends {
    /// Who sends: `i-...` or `eni-...`
    from: String,
    /// To whom: `i-...`, `eni-...` or an address
    to: String,
    /// Use the instance's IPv6 address
    #[arg(long)]
    ipv6: bool,
    #[command(flatten)]
    endpoint: Endpoint,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    endpoint: Endpoint,
    /// Only what this account has
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

/// What a trace asks of a server.
#[derive(Debug)]
pub(super) struct Trace<'a> {
    pub(super) endpoint: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) protocol: &'a str,
    pub(super) port: Option<u16>,
    pub(super) size: Option<u16>,
    pub(super) ipv6: bool,
    pub(super) json: bool,
}

/// Why a server cannot be asked, or what it refuses.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("`{0}` is no address of a server: it begins with http:// and names host and port")]
    Url(String),
    #[error("cannot reach {0}: {1}")]
    Reach(String, io::Error),
    #[error("{0} does not answer as a vpclab server does")]
    Stranger(String),
    #[error("{message} ({code})")]
    Refused { code: String, message: String },
}

/// `vpclab ping`.
pub(super) fn ping(args: &Ping, out: &mut Output) -> io::Result<Exit> {
    let body = json!({ "count": args.count, "size": args.size });
    sent("ping", &args.ends, body, out)
}

/// `vpclab udp`.
pub(super) fn udp(args: &Udp, out: &mut Output) -> io::Result<Exit> {
    let body = json!({ "count": args.count, "size": args.size, "port": args.port });
    sent("udp", &args.ends, body, out)
}

/// `vpclab tcp`.
pub(super) fn tcp(args: &Tcp, out: &mut Output) -> io::Result<Exit> {
    sent("tcp", &args.ends, json!({ "port": args.port, "bytes": args.bytes }), out)
}

/// `vpclab trace --endpoint`.
pub(super) fn trace(args: &Trace<'_>, out: &mut Output) -> io::Result<Exit> {
    let mut body = json!({
        "from": args.from, "to": args.to, "protocol": args.protocol, "ipv6": args.ipv6,
    });
    if let Some(port) = args.port {
        body["port"] = json!(port);
    }
    if let Some(size) = args.size {
        body["size"] = json!(size);
    }
    let answer = match post(args.endpoint, "trace", &body) {
        Ok(answer) => answer,
        Err(trouble) => return told(&trouble, out),
    };
    show(&answer, args.json, "", out)?;
    Ok(exit(&answer["passed"]))
}

/// `vpclab export`.
pub(super) fn export(args: &Export, out: &mut Output) -> io::Result<Exit> {
    let query = args.account.as_ref().map(|account| format!("?account={account}"));
    let page = format!("export{}", query.unwrap_or_default());
    match ask(&args.endpoint.endpoint, "GET", &page, "") {
        Ok(text) => {
            out.print(&String::from_utf8_lossy(&text))?;
            Ok(Exit::Held)
        }
        Err(trouble) => told(&trouble, out),
    }
}

fn told(trouble: &Trouble, out: &mut Output) -> io::Result<Exit> {
    out.error(&format!("error: {trouble}"));
    Ok(Exit::CouldNotRun)
}

fn exit(held: &Value) -> Exit {
    if held == &Value::Bool(true) { Exit::Held } else { Exit::NotHeld }
}

/// Lets packets be sent and says what came of them.
fn sent(page: &str, ends: &Ends, mut body: Value, out: &mut Output) -> io::Result<Exit> {
    body["from"] = json!(ends.from);
    body["to"] = json!(ends.to);
    body["ipv6"] = json!(ends.ipv6);
    let answer = match post(&ends.endpoint.endpoint, page, &body) {
        Ok(answer) => answer,
        Err(trouble) => return told(&trouble, out),
    };
    show(&answer, ends.json, &summary(page, &answer), out)?;
    Ok(exit(&answer["arrived"]))
}

/// Prints an answer: the document, or the summary and the walks in words.
fn show(answer: &Value, as_json: bool, summary: &str, out: &mut Output) -> io::Result<()> {
    if as_json {
        let mut document = answer.clone();
        if let Some(document) = document.as_object_mut() {
            document.remove("text");
        }
        out.json(&document)
    } else {
        let text = answer["text"].as_str().unwrap_or_default();
        out.print(&format!("{summary}{text}"))
    }
}

/// `ping 10.0.0.4 > 10.1.0.4: 4 sent, 4 delivered, 4 answered, round trip 600us`.
fn summary(page: &str, answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let count = |name: &str| answer["traffic"][name].as_u64().unwrap_or_default();
    let (from, to) = (text(&answer["from"]["address"]), text(&answer["to"]["address"]));
    let mut line = format!("{page} {from} > {to}: ");
    // Writing to a string cannot fail.
    let connection = &answer["connection"];
    if connection.is_object() {
        let of = |name: &str| connection[name].as_u64().unwrap_or_default();
        let _ = write!(
            line,
            "{}, {} bytes sent, {} came back",
            text(&connection["outcome"]),
            of("bytes_acknowledged"),
            of("bytes_received")
        );
        if let Some(nanos) = connection["connected_after_ns"].as_u64() {
            let _ = write!(line, ", connected after {}", span(nanos));
        }
    } else {
        let (sent, delivered) = (count("sent"), count("delivered"));
        let _ = write!(line, "{sent} sent, {delivered} delivered, {} answered", count("answered"));
        for (name, what) in [("dropped", "dropped"), ("answers_dropped", "answer dropped")] {
            for (reason, n) in answer["traffic"][name].as_object().into_iter().flatten() {
                let _ = write!(line, ", {n} {what}: {reason}");
            }
        }
        if let Some(mean) = answer["round_trips_ns"]["mean"].as_u64() {
            let _ = write!(line, ", round trip {}", span(mean));
        }
    }
    line.push('\n');
    line
}

fn span(nanos: u64) -> String {
    crate::base::time::Span::from_nanos(nanos).to_string()
}

fn post(endpoint: &str, page: &str, body: &Value) -> Result<Value, Trouble> {
    let answer = ask(endpoint, "POST", page, &body.to_string())?;
    serde_json::from_slice(&answer).map_err(|_| Trouble::Stranger(endpoint.to_owned()))
}

/// One request for one of the server's own pages, and the body of its answer.
fn ask(endpoint: &str, method: &str, page: &str, body: &str) -> Result<Vec<u8>, Trouble> {
    let no_url = || Trouble::Url(endpoint.to_owned());
    let place = endpoint.strip_prefix("http://").ok_or_else(no_url)?;
    let host = place.split('/').next().filter(|host| !host.is_empty()).ok_or_else(no_url)?;
    if host.contains(char::is_whitespace) || page.contains(char::is_whitespace) {
        return Err(no_url());
    }
    let with_port = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let request = format!(
        "{method} /_vpclab/{page} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer =
        exchange(&with_port, &request).map_err(|error| Trouble::Reach(host.to_owned(), error))?;
    let stranger = || Trouble::Stranger(host.to_owned());
    let (status, body) = parse(&answer).ok_or_else(stranger)?;
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let refusal: Value = serde_json::from_slice(&body).map_err(|_| stranger())?;
    let text = |name: &str| refusal[name].as_str().map(str::to_owned);
    match (text("code"), text("message")) {
        (Some(code), Some(message)) => Err(Trouble::Refused { code, message }),
        _ => Err(stranger()),
    }
}

fn exchange(address: &str, request: &str) -> io::Result<Vec<u8>> {
    let patience = Some(Duration::from_secs(ANSWER_SECS));
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect(address) {
            Ok(mut stream) => {
                stream.set_read_timeout(patience)?;
                stream.set_write_timeout(patience)?;
                stream.write_all(request.as_bytes())?;
                let mut answer = Vec::new();
                stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
                return Ok(answer);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The status and the body of an answer, which ends with its connection.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (std::str::from_utf8(&answer[..end]).ok()?, &answer[end + 4..]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let header = |line: &str, name: &str| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
    };
    let chunked =
        lines.clone().any(|line| header(line, "transfer-encoding").as_deref() == Some("chunked"));
    if chunked {
        return Some((status, unchunked(body)?));
    }
    let length = lines.find_map(|line| header(line, "content-length")?.parse::<usize>().ok());
    match length {
        Some(length) => Some((status, body.get(..length)?.to_vec())),
        None => Some((status, body.to_vec())),
    }
}

fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&body[..end]).ok()?;
        let length = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(out);
        }
        let chunk_end = (end + 2).checked_add(length)?;
        out.extend_from_slice(body.get(end + 2..chunk_end)?);
        body = body.get(chunk_end + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        for (answer, want) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some((200, "hi"))),
            ("HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\nhi more", Some((400, "hi"))),
            ("HTTP/1.1 200 OK\r\n\r\nall of it", Some((200, "all of it"))),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n",
                Some((200, "hi!")),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
            ("", None),
        ] {
            let want = want.map(|(status, body)| (status, body.as_bytes().to_vec()));
            assert_eq!(parse(answer.as_bytes()), want, "{answer}");
        }
    }

    #[test]
    fn what_is_no_url_is_said_to_be_none() {
        for url in ["127.0.0.1:4566", "https://127.0.0.1", "http://", "http:///x", "http://a b"] {
            assert!(matches!(ask(url, "GET", "health", ""), Err(Trouble::Url(_))), "{url}");
        }
    }
}
