//! What the front itself answers, in EC2's words, so that clients show the reason instead of a parser's
//! complaint.
//!
//! Holds the table. Refuses to repeat anything that the client sent: nothing here needs escaping.

use super::message::Answer;

/// Why the front did not hand a request to its service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The body is longer than allowed.
    BodyTooLong,
    /// The body did not arrive in time.
    BodyTooSlow,
    /// The body ended early or is not what its headers say.
    BodyBroken,
    /// All bodies together are longer than allowed.
    TooManyBodies,
    /// All answers together are longer than allowed.
    TooManyAnswers,
    /// Every connection has a request in flight.
    TooManyConnections,
    /// The request is for a host name that is not ours.
    ForeignHost,
    /// A page of another site sent it.
    ForeignPage,
    /// The service did not answer in time.
    NoAnswer,
    /// The service panicked.
    Panic,
}

impl Refusal {
    /// Status, code and message. The codes are EC2's, except for the first two, which it has none for.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Refusal::BodyTooLong => {
                (413, "RequestEntityTooLarge", "The body of the request is longer than allowed.")
            }
            Refusal::BodyTooSlow => {
                (408, "RequestTimeout", "The body of the request did not arrive in time.")
            }
            Refusal::BodyBroken => {
                (400, "MalformedRequest", "The body of the request is not what its headers say.")
            }
            Refusal::TooManyBodies | Refusal::TooManyAnswers | Refusal::TooManyConnections => {
                (503, "RequestLimitExceeded", "Request limit exceeded.")
            }
            Refusal::ForeignHost => (
                403,
                "UnauthorizedOperation",
                "The Host header names a host that this server does not answer for; see --allow-host.",
            ),
            Refusal::ForeignPage => (
                403,
                "UnauthorizedOperation",
                "The request comes from a web page of another site; see --allow-host.",
            ),
            Refusal::NoAnswer => {
                (503, "Unavailable", "The server could not answer in time; the outcome is unknown.")
            }
            Refusal::Panic => {
                (500, "InternalError", "An internal error has occurred; the outcome is unknown.")
            }
        }
    }

    /// Is there anything left of the request that nobody is going to read?
    pub(super) const fn leaves_a_rest(self) -> bool {
        !matches!(self, Refusal::TooManyAnswers | Refusal::NoAnswer | Refusal::Panic)
    }

    /// The answer to the request with this id, which is one of the server's own.
    pub(super) fn answer(self, id: &str) -> Answer {
        let (status, code, message) = self.row();
        Answer::xml(
            status,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}\
                 </Code><Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID>\
                 </Response>"
            ),
        )
    }

    /// The same as bytes of HTTP, for a connection that is closed behind them.
    pub(super) fn bytes(self, id: &str) -> Vec<u8> {
        let answer = self.answer(id);
        let mut out = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.status,
            if answer.status == 503 { "Service Unavailable" } else { "Refused" },
            answer.content_type,
            answer.body.len(),
        )
        .into_bytes();
        out.extend_from_slice(&answer.body);
        out
    }
}
