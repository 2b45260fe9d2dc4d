//! Why a request is refused: a code and a message in EC2's words.
//!
//! Holds the refusals that are about the request itself (a missing parameter, an id that is none) and
//! takes those of the cloud as they are. Refuses to decide what is allowed.

use std::fmt;

use super::xml::Xml;
use crate::cloud::refusal::Refusal;

/// A refused request: what its caller is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    code: &'static str,
    message: String,
    status: Status,
}

/// The HTTP status of a refusal (vpc-semantics 6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// 400: the request cannot be carried out as it stands.
    BadRequest,
    /// 401: nobody knows the caller.
    Unauthorized,
    /// 403: the caller is not who it says, or too late.
    Forbidden,
    /// 404: no such page of the emulator's own.
    NotFound,
    /// 412: it was asked without being meant.
    DryRun,
    /// 413: too long.
    TooLarge,
    /// 500: a fault of this program.
    Internal,
    /// 503: not now.
    Unavailable,
}

impl Status {
    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Status::BadRequest => 400,
            Status::Unauthorized => 401,
            Status::Forbidden => 403,
            Status::NotFound => 404,
            Status::DryRun => 412,
            Status::TooLarge => 413,
            Status::Internal => 500,
            Status::Unavailable => 503,
        }
    }
}

impl Fault {
    /// A refusal with status 400.
    pub fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), status: Status::BadRequest }
    }

    /// The same refusal with another status.
    #[must_use]
    pub fn with_status(self, status: Status) -> Fault {
        Fault { status, ..self }
    }

    /// A parameter that must be there is not.
    pub fn missing(parameter: &str) -> Fault {
        let message = format!("The request must contain the parameter {parameter}");
        Fault::new("MissingParameter", message)
    }

    /// A parameter has a value that it cannot have.
    pub fn value(parameter: &str, value: &str) -> Fault {
        let message = format!("Value ({value}) for parameter {parameter} is invalid.");
        Fault::new("InvalidParameterValue", message)
    }

    /// Parameters that cannot stand together.
    pub fn combination(message: impl Into<String>) -> Fault {
        Fault::new("InvalidParameterCombination", message)
    }

    /// The error code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The error document of EC2.
    pub fn ec2_document(&self, request: &str) -> String {
        let mut xml = Xml::document();
        xml.group("Response", |xml| {
            xml.group("Errors", |xml| {
                xml.group("Error", |xml| {
                    xml.text("Code", self.code);
                    xml.text("Message", &self.message);
                });
            });
            xml.text("RequestID", request);
        });
        xml.finish()
    }

    /// The error document of STS and of other services that speak `query`.
    pub fn query_document(&self, namespace: &str, request: &str) -> String {
        let mut xml = Xml::document();
        xml.group_of("ErrorResponse", namespace, |xml| {
            xml.group("Error", |xml| {
                xml.text("Type", if self.status.number() < 500 { "Sender" } else { "Receiver" });
                xml.text("Code", self.code);
                xml.text("Message", &self.message);
            });
            xml.text("RequestId", request);
        });
        xml.finish()
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::new(refusal.code(), refusal.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
