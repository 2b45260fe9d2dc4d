//! A server as a process of its own, and a plain blocking HTTP client for it.
//!
//! Refuses to use the server's code: what the client understands was on the wire.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than any answer takes; a server that hangs fails the test.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines of an answer's head before it counts as nonsense.
const HEAD_LINES_MAX: usize = 100;

/// A server. It is killed when this is dropped.
pub(crate) struct Served {
    process: Child,
    address: String,
}

impl Served {
    /// Starts one with these arguments and waits until it listens. Its log goes to that file.
    pub(crate) fn start<S: AsRef<OsStr>>(args: &[S], log: &Path) -> Served {
        let mut process = Self::spawn(args, log);
        let mut line = String::new();
        let out = process.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once(','));
        let Some((address, _)) = address else {
            let _ = process.kill();
            let _ = process.wait();
            panic!("no server: {line}{}", fs::read_to_string(log).unwrap_or_default());
        };
        Served { address: address.to_owned(), process }
    }

    /// Starts one and does not wait: `VPCLAB_BIN`, or the program built with these tests.
    pub(crate) fn spawn<S: AsRef<OsStr>>(args: &[S], log: &Path) -> Child {
        let built = || env!("CARGO_BIN_EXE_vpclab").into();
        Command::new(env::var_os("VPCLAB_BIN").unwrap_or_else(built))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its memory in RAM in KiB: `VmRSS` now, `VmHWM` at most so far. Linux only.
    pub(crate) fn memory_kib(&self, row: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(row)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The value of one of its metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut connection = Connection::open(&self.address).unwrap();
        let answer = connection.get("/_vpclab/metrics").unwrap();
        let text = answer.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

impl Drop for Served {
    /// SIGKILL: the server gets to do nothing.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

/// What a server answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Does the server close the connection behind it?
    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }

    /// The body as text; nothing of one that is none.
    pub(crate) fn text_or_empty(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Connection {
    pub(crate) fn open(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// The socket, to send something on it.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// Asks EC2 as this account. An error if the server dies before the last byte of its answer.
    pub(crate) fn ask(&mut self, account: &str, form: &str) -> io::Result<Answer> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            authorization(account, "us-east-1"),
            form.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        self.answer(Body::Sent)
    }

    /// Asks for a page.
    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.0.get_mut().write_all(get(path).as_bytes())?;
        self.answer(Body::Sent)
    }

    /// Posts to a page, with an empty body.
    pub(crate) fn post(&mut self, path: &str) -> io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes())?;
        self.answer(Body::Sent)
    }

    /// Reads one answer, which must be HTTP; interim answers (1xx) are passed over.
    ///
    /// # Errors
    /// `UnexpectedEof` if there is none; `InvalidData` if it is not HTTP.
    pub(crate) fn answer(&mut self, body: Body) -> io::Result<Answer> {
        loop {
            let answer = self.one(body)?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    fn one(&mut self, body: Body) -> io::Result<Answer> {
        let first = self.line()?;
        let mut words = first.splitn(3, ' ');
        let (version, status) = (words.next(), words.next());
        let status = status.filter(|s| s.len() == 3).and_then(|s| s.parse().ok());
        let Some(status) = status.filter(|_| matches!(version, Some("HTTP/1.1" | "HTTP/1.0")))
        else {
            return Err(nonsense(&first));
        };
        let mut answer = Answer { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or_else(|| nonsense(&line))?;
            answer.headers.push((name.to_ascii_lowercase(), value.to_owned()));
            if answer.headers.len() > HEAD_LINES_MAX {
                return Err(nonsense("a head without end"));
            }
        }
        if status >= 200 && body == Body::Sent {
            let length = answer.header("content-length").ok_or_else(|| nonsense("no length"))?;
            let length: usize = length.parse().map_err(io::Error::other)?;
            answer.body = vec![0; length];
            self.0.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| nonsense(&line)),
        }
    }
}

/// Does an answer have the body that its length announces?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Sent,
    /// Of an answer to HEAD.
    LeftAway,
}

/// The `Authorization` of an account.
pub(crate) fn authorization(key: &str, region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/{region}/ec2/aws4_request, \
         SignedHeaders=host, Signature=x"
    )
}

/// A request for a page.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}
