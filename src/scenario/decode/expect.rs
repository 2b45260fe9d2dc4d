//! Expectations, and whether they fit their step.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Ec2Code;
use super::step::is_command;
use super::{Decoder, Fields, single, word};
use crate::base::diag::{Diagnostic, Place, Spanned, quote};
use crate::cloud::dns::Reason;
use crate::cloud::peering::Status;
use crate::cloud::refusal::Refusal;
use crate::cloud::route_table::RouteState;
use crate::forward::DropReason;
use crate::forward::reason::MISDELIVERED;
use crate::scenario::ast::{
    Action, Because, Bounds, Connection, Destination, Expect, Loss, Toggle,
};
use crate::scenario::code;
use crate::scenario::format::EXPECTATION;
use crate::scenario::near::nearest;
use crate::scenario::yaml::{Entry, Node, Value};

/// Keys that go together, the ones that make sense alone first.
const GROUPS: [(&[&str], &[&str]); 10] = [
    (&["delivered-to"], &[]),
    (&["delivered", "dropped"], &[]),
    (&["dropped"], &["at"]),
    (&["reply-lost"], &["at"]),
    (&["reaches", "never-reaches"], &["because"]),
    (&["refused"], &[]),
    (&["state"], &[]),
    (&["address"], &[]),
    (&["unresolved"], &[]),
    (&["goodput"], &[]),
];

impl Decoder<'_> {
    /// Reads the expectation of a step whose action stands under `key`.
    pub(super) fn expect(
        &mut self,
        node: &Node,
        key: &str,
        action: &Action,
    ) -> Option<Spanned<Expect>> {
        let expect = match &node.value {
            Value::Scalar(_) => {
                word(node, |word| match word {
                    "replied" => Some(Expect::Replied),
                    "delivered" => Some(Expect::Delivered),
                    "connected" => Some(Expect::Connection(Connection::Connected)),
                    "refused" => Some(Expect::Connection(Connection::Refused)),
                    "timed-out" => Some(Expect::Connection(Connection::TimedOut)),
                    "reset" => Some(Expect::Connection(Connection::Reset)),
                    _ => None,
                })?
                .value
            }
            Value::Mapping(entries) => self.expect_mapping(node, entries, action)?,
            _ => return None,
        };
        if let Some(why) = misfit(&expect, key, action) {
            let diagnostic = Diagnostic::at(node.place, code::EXPECTATION, why.0);
            self.diagnostics.push(diagnostic.help(why.1));
            return None;
        }
        if let (Expect::Reaches { reaches, never, .. }, Action::Ping(ping)) = (&expect, action) {
            self.covers(&ping.to, reaches, never, node.place);
        }
        Some(Spanned::new(expect, node.place))
    }

    fn expect_mapping(
        &mut self,
        node: &Node,
        entries: &[Entry],
        action: &Action,
    ) -> Option<Expect> {
        let fields = Fields::of(node, &EXPECTATION);
        let delivered_to = fields.get("delivered-to").and_then(|n| self.read(n));
        let delivered = fields.get("delivered").and_then(|n| self.read::<Bounds>(n));
        let dropped = fields.get("dropped");
        let reply_lost = fields.get("reply-lost").and_then(|n| self.loss(n));
        let at = fields.get("at").and_then(|n| self.read(n));
        let reaches = fields.get("reaches").map(|n| self.read_all(n));
        let never = fields.get("never-reaches").map(|n| self.read_all(n));
        let because = fields.get("because");
        let refused = fields.get("refused").and_then(|n| self.read::<Ec2Code>(n));
        let state = fields.get("state");
        let address = fields.get("address").and_then(|n| self.read(n));
        let unresolved = fields.get("unresolved").and_then(|n| word(n, Reason::from_label));

        let goodput = fields.get("goodput").and_then(|n| self.read::<Bounds>(n));
        let known: Vec<_> = entries.iter().filter(|e| fields.has(&e.key)).collect();
        if entries.is_empty() {
            let message = "the expectation is empty";
            self.diagnostics.push(
                Diagnostic::at(node.place, code::COMBINATION, message)
                    .help("leave out `expect` where nothing is to be judged"),
            );
        }
        if known.is_empty() || !self.go_together(&known) {
            return None;
        }
        if let Some(bounds) = goodput {
            return Some(Expect::Goodput(bounds));
        }
        if let Some(label) = delivered_to {
            return Some(Expect::DeliveredTo(label));
        }
        if let Some(node) = dropped
            && let Value::Scalar(_) = node.value
        {
            let reason = self.reason(node);
            if let Some(entry) = known.iter().find(|e| e.key == "delivered") {
                self.diagnostics.push(
                    Diagnostic::at(
                        node.place,
                        code::COMBINATION,
                        "beside `delivered`, `dropped` counts packets for each reason",
                    )
                    .also(entry.key_place, "some are delivered")
                    .help("write for example `dropped: {link-loss: 0..10}`"),
                );
                return None;
            }
            return Some(Expect::Dropped { reason: reason?, at });
        }
        if dropped.is_some() || delivered.is_some() {
            if let Some(entry) = known.iter().find(|e| e.key == "at") {
                let message = "`at` goes with one reason, not with counts";
                self.diagnostics.push(Diagnostic::at(entry.key_place, code::COMBINATION, message));
            }
            let dropped = dropped.map(|n| self.drop_counts(n)).unwrap_or_default();
            return Some(Expect::Counts { delivered, dropped });
        }
        if let Some(loss) = reply_lost {
            return Some(Expect::ReplyLost { loss, at });
        }
        if reaches.is_some() || never.is_some() {
            let (reaches, never) = (reaches.unwrap_or_default(), never.unwrap_or_default());
            let because = self.because(because, &never, node.place)?;
            return Some(Expect::Reaches { reaches, never, because });
        }
        if let Some(refused) = refused {
            let refused = refused.map(|Ec2Code(text)| text);
            self.known_code(&refused);
            return Some(Expect::Refused(refused));
        }
        if let Some(address) = address {
            return Some(Expect::Address(address));
        }
        if let Some(reason) = unresolved {
            return Some(Expect::Unresolved(reason));
        }
        state.and_then(|n| self.state(n, action))
    }

    /// Complains about a code that the cloud never gives: such an expectation could not hold.
    fn known_code(&mut self, code: &Spanned<String>) {
        if Refusal::CODES.contains(&code.value.as_str()) {
            return;
        }
        let message = format!("the cloud refuses nothing with {}", quote(&code.value));
        let diagnostic = Diagnostic::at(code.place, code::UNKNOWN_CODE, message);
        let known = Refusal::CODES.iter().copied();
        self.diagnostics.push(match nearest(&code.value, known) {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("its codes are {}", Refusal::CODES.join(", "))),
        });
    }

    /// Complains about keys that do not go together and about those that are lost alone.
    fn go_together(&mut self, given: &[&Entry]) -> bool {
        let fits = |keys: &[&str]| {
            GROUPS.iter().any(|(alone, beside)| {
                keys.iter().all(|key| alone.contains(key) || beside.contains(key))
            })
        };
        let mut ok = true;
        for (i, entry) in given.iter().enumerate() {
            let clash = given[..i].iter().find(|e| !fits(&[&e.key, &entry.key]));
            if let Some(clash) = clash {
                let message = format!("`{}` and `{}` do not go together", clash.key, entry.key);
                self.diagnostics.push(
                    Diagnostic::at(entry.key_place, code::COMBINATION, message)
                        .also(clash.key_place, "the other one")
                        .help("make two steps of it"),
                );
                return false;
            }
            let beside = |(_, beside): &&(&[&str], &[&str])| beside.contains(&entry.key.as_str());
            let heads: Vec<&str> = GROUPS
                .iter()
                .filter(beside)
                .filter_map(|(alone, _)| alone.last().copied())
                .collect();
            let lost = !heads.is_empty() && !given.iter().any(|e| heads.contains(&e.key.as_str()));
            if lost {
                let heads: Vec<_> = heads.iter().map(|head| format!("`{head}`")).collect();
                let message =
                    format!("`{}` says nothing without {}", entry.key, heads.join(" or "));
                self.diagnostics.push(Diagnostic::at(entry.key_place, code::COMBINATION, message));
                ok = false;
            }
        }
        ok
    }

    fn drop_counts(&mut self, node: &Node) -> Vec<(Spanned<DropReason>, Spanned<Bounds>)> {
        let Value::Mapping(entries) = &node.value else { return Vec::new() };
        let mut out = Vec::new();
        for entry in entries {
            let reason = self.known_reason(&entry.key, entry.key_place);
            let bounds = self.read(&entry.value);
            out.extend(reason.zip(bounds));
        }
        out
    }

    fn reason(&mut self, node: &Node) -> Option<Spanned<DropReason>> {
        self.known_reason(&single(node)?.text, node.place)
    }

    fn known_reason(&mut self, text: &str, place: Place) -> Option<Spanned<DropReason>> {
        if let Some(reason) = DropReason::from_label(text) {
            return Some(Spanned::new(reason, place));
        }
        let known = DropReason::ALL.iter().map(|reason| reason.label());
        let message = format!("{} is not a drop reason", quote(text));
        let diagnostic = Diagnostic::at(place, code::UNKNOWN_REASON, message);
        self.diagnostics.push(match nearest(text, known) {
            Some(reason) => diagnostic.help(format!("did you mean `{reason}`?")),
            None if text == MISDELIVERED => {
                diagnostic.help("an answer may be `misdelivered`, a request may not")
            }
            None => diagnostic.help("`vpclab explain` lists the reasons"),
        });
        None
    }

    fn loss(&mut self, node: &Node) -> Option<Spanned<Loss>> {
        match Loss::from_label(&single(node)?.text) {
            Some(loss) => Some(Spanned::new(loss, node.place)),
            // Says what is wrong with it.
            None => self.reason(node).map(|reason| reason.map(Loss::Dropped)),
        }
    }

    fn because(
        &mut self,
        because: Option<&Node>,
        never: &[Spanned<Destination>],
        place: Place,
    ) -> Option<Because> {
        let Some(node) = because else {
            if never.is_empty() {
                return Some(Because::Nothing);
            }
            let message = "`never-reaches` needs the key `because`";
            let help = "name the reason, so that the expectation cannot hold for another one";
            self.diagnostics.push(Diagnostic::at(place, code::MISSING_KEY, message).help(help));
            return None;
        };
        let Value::Mapping(entries) = &node.value else {
            return self.loss(node).map(Because::All);
        };
        let wanted: BTreeSet<&Destination> = never.iter().map(|n| &n.value).collect();
        let mut each: BTreeMap<Destination, (Place, Spanned<Loss>)> = BTreeMap::new();
        let mut all_read = true;
        for entry in entries {
            let target = self.read_text::<Destination>(&entry.key, entry.key_place);
            if let Some(target) = &target
                && !wanted.contains(&target.value)
            {
                let message = format!("{} is not in `never-reaches`", quote(&entry.key));
                self.diagnostics.push(Diagnostic::at(entry.key_place, code::COMBINATION, message));
            }
            match target.zip(self.loss(&entry.value)) {
                Some((target, loss)) => {
                    each.insert(target.value, (target.place, loss));
                }
                None => all_read = false,
            }
        }
        for target in never {
            if all_read && !each.contains_key(&target.value) {
                let message = format!("`because` has no reason for `{}`", target.value);
                self.diagnostics.push(
                    Diagnostic::at(node.place, code::COMBINATION, message)
                        .also(target.place, "which is not reached"),
                );
            }
        }
        let row = |(value, (place, loss))| (Spanned::new(value, place), loss);
        Some(Because::Each(each.into_iter().map(row).collect()))
    }

    /// Complains unless the two lists together name every target of the ping exactly once.
    fn covers(
        &mut self,
        to: &[Spanned<Destination>],
        reaches: &[Spanned<Destination>],
        never: &[Spanned<Destination>],
        place: Place,
    ) {
        let targets: BTreeSet<&Destination> = to.iter().map(|t| &t.value).collect();
        let mut seen: BTreeMap<&Destination, Place> = BTreeMap::new();
        for named in reaches.iter().chain(never) {
            if let Some(first) = seen.get(&named.value) {
                let message = format!("`{}` is expected twice", named.value);
                self.diagnostics.push(
                    Diagnostic::at(named.place, code::COMBINATION, message)
                        .also(*first, "first here"),
                );
            } else if !targets.contains(&named.value) {
                let message = format!("`{}` is not a target of this ping", named.value);
                self.diagnostics.push(Diagnostic::at(named.place, code::COMBINATION, message));
            }
            seen.entry(&named.value).or_insert(named.place);
        }
        for target in to {
            if !seen.contains_key(&target.value) {
                let message = format!("nothing is expected of the target `{}`", target.value);
                self.diagnostics.push(
                    Diagnostic::at(target.place, code::COMBINATION, message)
                        .also(place, "neither reached nor not reached"),
                );
            }
        }
    }

    fn state(&mut self, node: &Node, action: &Action) -> Option<Expect> {
        let of_peering = word(node, Status::from_code);
        let of_route = word(node, RouteState::from_code);
        let (expect, what) = match action {
            Action::RequestPeering(_)
            | Action::AcceptPeering(_)
            | Action::RejectPeering(_)
            | Action::DeletePeering(_)
            | Action::DescribePeering(_) => (of_peering.map(Expect::Peering), "a peering"),
            Action::CreateRoute(_) | Action::ReplaceRoute(_) | Action::DescribeRoute(_) => {
                (of_route.map(Expect::Route), "a route")
            }
            _ => {
                let message = "`state` is about peerings and routes";
                self.diagnostics.push(
                    Diagnostic::at(node.place, code::EXPECTATION, message)
                        .help("add a step `describe-peering` or `describe-route`"),
                );
                return None;
            }
        };
        // A text that is no state at all is refused by shape.
        if expect.is_none() && (of_peering.is_some() || of_route.is_some()) {
            let text = single(node).map_or("", |s| &s.text);
            let message = format!("{} is not a state of {what}", quote(text));
            self.diagnostics.push(Diagnostic::at(node.place, code::EXPECTATION, message));
        }
        expect
    }
}

/// What an expectation is about, and what a step does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matter {
    Command,
    Name,
    Traffic,
}

/// Why an expectation could never be judged, and what to do.
fn misfit(expect: &Expect, key: &str, action: &Action) -> Option<(String, &'static str)> {
    let done = match action {
        Action::Wait(_) => {
            let why = format!("of `{key}` there is nothing to expect");
            return Some((why, "leave out `expect`"));
        }
        Action::Resolve(_) => Matter::Name,
        action if is_command(action) => Matter::Command,
        _ => Matter::Traffic,
    };
    let expected = match expect {
        Expect::Refused(_) | Expect::Peering(_) | Expect::Route(_) => Matter::Command,
        Expect::Address(_) | Expect::Unresolved(_) => Matter::Name,
        _ => Matter::Traffic,
    };
    let is_tcp = matches!(action, Action::Tcp(_));
    if matches!(expect, Expect::Connection(_) | Expect::Goodput(_)) && !is_tcp {
        return Some((format!("`{key}` opens no connection"), "this is for `tcp`"));
    }
    if expected != done {
        let why = match expected {
            Matter::Command => format!("`{key}` is not asked of the cloud, which could refuse it"),
            Matter::Name => format!("`{key}` asks for no name that could resolve"),
            Matter::Traffic => format!("`{key}` sends no packets to expect this of"),
        };
        let help = match done {
            Matter::Command => {
                "of a command expect `refused` or `state`, or nothing: then it must succeed"
            }
            Matter::Name => "of a query expect an `address`, or `unresolved` with the reason",
            Matter::Traffic => "of traffic expect `replied`, `delivered`, `dropped` and the like",
        };
        return Some((why, help));
    }
    let answered = match action {
        Action::Ping(_) => true,
        Action::Udp(udp) => udp.answer == Toggle::Yes,
        Action::Tcp(_) => matches!(expect, Expect::ReplyLost { .. }),
        _ => false,
    };
    match expect {
        Expect::Replied | Expect::Delivered | Expect::DeliveredTo(_) if is_tcp => {
            let help = "of `tcp` expect `connected`, `refused`, `timed-out`, `reset` or `dropped`";
            Some((format!("`{key}` is a connection, not one packet"), help))
        }
        Expect::Replied | Expect::ReplyLost { .. } if !answered => {
            let help = "expect `delivered`; of `udp`, ask for answers with `answer: true`";
            Some((format!("nobody answers this `{key}`"), help))
        }
        Expect::Reaches { .. } if !matches!(action, Action::Ping(_)) => {
            Some((format!("`{key}` has one target"), "use `ping` with a list of targets"))
        }
        _ => None,
    }
}
