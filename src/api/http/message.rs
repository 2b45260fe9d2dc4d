//! A request and an answer, as a service sees them.
//!
//! Holds the two types. Refuses to interpret a body or a query: what a form says is decoded by those
//! who know what it should say, and a signature covers the bytes as they came.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The method of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `HEAD`; the server leaves the answer's body away.
    Head,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// `PATCH`.
    Patch,
    /// One that nobody here answers.
    Other,
}

impl Method {
    /// The word on the wire; `None` of [`Method::Other`].
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Method::Get => Some("GET"),
            Method::Post => Some("POST"),
            Method::Head => Some("HEAD"),
            Method::Put => Some("PUT"),
            Method::Delete => Some("DELETE"),
            Method::Options => Some("OPTIONS"),
            Method::Patch => Some("PATCH"),
            Method::Other => None,
        }
    }

    pub(super) fn from_hyper(method: &hyper::Method) -> Method {
        match method.as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "HEAD" => Method::Head,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }
}

/// The headers of a request, in their order. Names are compared without regard to case.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Headers from names and values; `None` if one of them cannot stand in a request.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Headers> {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
        Some(Headers(map))
    }

    pub(super) fn from_hyper(map: HeaderMap) -> Headers {
        Headers(map)
    }

    /// The value of a header that is there once. `None` if it is absent, if it is not text, or if it
    /// is there more than once: what is said twice is not said.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_some() {
            return None;
        }
        std::str::from_utf8(first).ok()
    }

    /// The values of a header, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    /// The names in lower case, each once, with how often it is there.
    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.0.keys().map(|name| (name.as_str(), self.0.get_all(name).iter().count()))
    }

    /// Is there a header of this name?
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl fmt::Debug for Headers {
    /// The names only: values hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys().map(HeaderName::as_str)).finish()
    }
}

/// A request, read to its end.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// The path as it came, percent-encoded; at least `/`.
    pub path: String,
    /// What stands behind the `?`, as it came; empty without.
    pub query: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body; empty without.
    pub body: Bytes,
    /// Who sent it, if the transport has addresses.
    pub peer: Option<SocketAddr>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The HTTP status, from 200 to 599.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// Further headers. One that cannot stand in an answer is left out, and logged.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The type of EC2's documents.
    pub const XML: &'static str = "text/xml;charset=UTF-8";
    /// The type of JSON.
    pub const JSON: &'static str = "application/json";
    /// The type of plain text.
    pub const TEXT: &'static str = "text/plain; charset=utf-8";

    /// An answer without further headers.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
        Answer { status, content_type, headers: Vec::new(), body: body.into() }
    }

    /// A document of EC2.
    pub fn xml(status: u16, body: impl Into<Bytes>) -> Answer {
        Answer::new(status, Answer::XML, body)
    }

    /// A JSON document.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Answer {
        Answer::new(status, Answer::JSON, body)
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Answer {
        Answer::new(status, Answer::TEXT, body)
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}
