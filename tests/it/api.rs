//! The EC2 API, asked in the same process: what its operations say to each other's callers.
//!
//! Holds a client without a network, and the tests that need many requests. Stories with real clients
//! are in `tests/clients`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]
#![allow(clippy::print_stderr, reason = "how races end is for whoever looks")]

mod dry_run;
mod insights;
mod race;
mod tags;

use vpclab::api::clock::Clock;
use vpclab::api::http::{Headers, Method, Request, Service};
use vpclab::api::identity::{Identities, Keys, Seed};
use vpclab::api::server::Server;
use vpclab::api::world::{State, World};
use vpclab::base::time::{Instant, Span};
use vpclab::cloud::profile::Profile;

/// The first account of most tests.
pub(crate) const ALICE: &str = "111111111111";
/// The second.
pub(crate) const BOB: &str = "222222222222";

/// A server in memory with a virtual clock.
pub(crate) struct Lab(Server);

/// An answer: its status and its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Said {
    /// What the first element of this name holds.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
    }

    /// The error code, of a refusal.
    pub(crate) fn refusal(&self) -> Option<&str> {
        (self.status != 200).then(|| self.get("Code").unwrap_or("no code"))
    }
}

impl Lab {
    pub(crate) fn new(profile: Profile) -> Lab {
        // 2015-03-25, the middle of the years that `seed` is about.
        let start = Instant::START + Span::from_days(16_519);
        let world = World::new(State::empty(profile));
        let identities = Identities::new(Keys::new(Seed::by_chance()));
        Lab(Server::new(world, None, identities, Clock::starting_at(start), Default::default()))
    }

    /// One request of an account.
    pub(crate) fn ask(&self, account: &str, action: &str, parameters: &[(&str, &str)]) -> Said {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", "2016-11-15");
        form.extend_pairs(parameters);
        let credential = format!(
            "AWS4-HMAC-SHA256 Credential={account}/20150325/us-east-1/ec2/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        self.send(Request {
            method: Method::Post,
            path: "/".to_owned(),
            query: String::new(),
            headers: Headers::of([("authorization", credential.as_str())]).unwrap(),
            body: form.finish().into_bytes().into(),
            peer: None,
        })
    }

    /// The same, of one that must be answered.
    #[track_caller]
    pub(crate) fn done(&self, account: &str, action: &str, parameters: &[(&str, &str)]) -> Said {
        let said = self.ask(account, action, parameters);
        assert_eq!(said.status, 200, "{action} {parameters:?}: {}", said.text);
        said
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Span) {
        self.0.clock().advance(by).unwrap();
    }

    fn send(&self, request: Request) -> Said {
        // In memory nothing is waited for: the first look finds the answer.
        let mut answer = std::pin::pin!(self.0.answer(request));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(answer) = answer.as_mut().poll(&mut context) else {
            panic!("an answer from memory waits for something");
        };
        Said { status: answer.status, text: String::from_utf8(answer.body.to_vec()).unwrap() }
    }
}
