//! The labels that are carried at one point of the timeline.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::diag::{Diagnostic, Diagnostics, Place, quote};
use crate::base::id::{AccountId, PeeringId, PrefixListId, SecurityGroupId, VpcId};
use crate::scenario::code;
use crate::scenario::near::nearest;

/// What carries a label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Account,
    Vpc,
    Subnet,
    Table,
    Peering,
    Instance,
    Group,
    PrefixList,
    Acl,
    InternetGateway,
    EgressOnlyGateway,
    VpnGateway,
    Endpoint,
    NatGateway,
    OutsideHost,
    Address,
    FlowLog,
}

impl Kind {
    const ALL: [Kind; 17] = [
        Kind::Account,
        Kind::Vpc,
        Kind::Subnet,
        Kind::Table,
        Kind::Peering,
        Kind::Instance,
        Kind::Group,
        Kind::PrefixList,
        Kind::Acl,
        Kind::InternetGateway,
        Kind::EgressOnlyGateway,
        Kind::VpnGateway,
        Kind::Endpoint,
        Kind::NatGateway,
        Kind::OutsideHost,
        Kind::Address,
        Kind::FlowLog,
    ];

    /// A route names its target by label, traffic its ends: these kinds share theirs.
    const SHARED: [Kind; 8] = [
        Kind::Peering,
        Kind::Instance,
        Kind::InternetGateway,
        Kind::EgressOnlyGateway,
        Kind::VpnGateway,
        Kind::Endpoint,
        Kind::NatGateway,
        Kind::OutsideHost,
    ];

    pub(super) fn noun(self) -> &'static str {
        match self {
            Kind::Account => "account",
            Kind::Vpc => "VPC",
            Kind::Subnet => "subnet",
            Kind::Table => "route table",
            Kind::Peering => "peering",
            Kind::Instance => "instance",
            Kind::Group => "security group",
            Kind::PrefixList => "prefix list",
            Kind::Acl => "network ACL",
            Kind::InternetGateway => "internet gateway",
            Kind::EgressOnlyGateway => "egress-only internet gateway",
            Kind::VpnGateway => "virtual private gateway",
            Kind::Endpoint => "endpoint",
            Kind::NatGateway => "NAT gateway",
            Kind::OutsideHost => "outside host",
            Kind::Address => "public address",
            Kind::FlowLog => "flow log",
        }
    }

    /// Is it found at the edges of VPCs? Most files have none, and lists of kinds then leave it out.
    fn is_of_the_edge(self) -> bool {
        self == Kind::OutsideHost || self.noun_among_others() == "gateway"
    }

    /// How a list of several kinds calls it.
    fn noun_among_others(self) -> &'static str {
        match self {
            Kind::InternetGateway
            | Kind::EgressOnlyGateway
            | Kind::VpnGateway
            | Kind::Endpoint
            | Kind::NatGateway => "gateway",
            other => other.noun(),
        }
    }

    /// Would a label of this kind be taken for an id?
    fn is_id(self, label: &str) -> bool {
        match self {
            Kind::Account => label.parse::<AccountId>().is_ok(),
            Kind::Vpc => label.parse::<VpcId>().is_ok(),
            Kind::Peering => label.parse::<PeeringId>().is_ok(),
            Kind::Group => label.parse::<SecurityGroupId>().is_ok(),
            Kind::PrefixList => label.parse::<PrefixListId>().is_ok(),
            _ => false,
        }
    }
}

/// What became of a label that was to be introduced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Introduced,
    Taken,
}

/// The labels carried so far. What belongs to a VPC goes by `VPC/label`.
pub(super) struct Scope<'d> {
    labels: BTreeMap<Kind, BTreeMap<String, Place>>,
    unread: &'d BTreeSet<String>,
    introductions: BTreeMap<(Kind, String), (Place, &'static str)>,
    diagnostics: &'d mut Diagnostics,
}

impl<'d> Scope<'d> {
    pub(super) fn new(
        unread: &'d BTreeSet<String>,
        introductions: BTreeMap<(Kind, String), (Place, &'static str)>,
        diagnostics: &'d mut Diagnostics,
    ) -> Scope<'d> {
        Scope { labels: BTreeMap::new(), unread, introductions, diagnostics }
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Does something of this kind carry the name, as far as is known?
    pub(super) fn knows(&self, kind: Kind, name: &str) -> bool {
        let mut parts = name.split('/');
        self.get(kind, name).is_some() || parts.any(|part| self.unread.contains(part))
    }

    fn get(&self, kind: Kind, name: &str) -> Option<Place> {
        self.labels.get(&kind)?.get(name).copied()
    }

    /// Gives a name to a new thing, or complains that it is taken.
    pub(super) fn introduces(&mut self, kind: Kind, name: &str, place: Place) -> Outcome {
        if kind.is_id(name) {
            let message = format!("the label {} would be taken for an id", quote(name));
            self.push(Diagnostic::at(place, code::VALUE, message).help("choose another one"));
        }
        // A route names its target by label and traffic its ends, so these kinds share theirs; a
        // rule its far end.
        let rivals: &[Kind] = match kind {
            Kind::Group | Kind::PrefixList => &[Kind::Group, Kind::PrefixList],
            _ if Kind::SHARED.contains(&kind) => &Kind::SHARED,
            _ => &[],
        };
        for taken_by in std::iter::once(kind).chain(rivals.iter().copied()) {
            if let Some(first) = self.get(taken_by, name) {
                let which = if taken_by == kind { "another" } else { article(taken_by) };
                let noun = taken_by.noun();
                let message = format!("the label {} is taken by {which} {noun}", quote(name));
                self.push(
                    Diagnostic::at(place, code::LABEL_TAKEN, message).also(first, "taken here"),
                );
                return Outcome::Taken;
            }
        }
        self.labels.entry(kind).or_default().insert(name.to_owned(), place);
        Outcome::Introduced
    }

    /// Complains unless something of this kind carries the name.
    pub(super) fn uses(&mut self, kind: Kind, name: &str, place: Place) {
        self.uses_any(&[kind], name, place);
    }

    /// Complains unless something of one of these kinds carries the name.
    pub(super) fn uses_any(&mut self, kinds: &[Kind], name: &str, place: Place) {
        if kinds.iter().any(|kind| self.knows(*kind, name)) {
            return;
        }
        // Kinds of the edge are left out where others could be meant.
        let all_edge = kinds.iter().all(|kind| kind.is_of_the_edge());
        let mut nouns: Vec<_> = match kinds {
            [one] => vec![one.noun()],
            several => several
                .iter()
                .filter(|kind| all_edge || !kind.is_of_the_edge() || self.labels.contains_key(kind))
                .map(|kind| kind.noun_among_others())
                .collect(),
        };
        nouns.dedup();
        let message = format!("no {} is called {}", nouns.join(" or "), quote(name));
        let mut diagnostic = Diagnostic::at(place, code::UNKNOWN_LABEL, message);
        let later = kinds.iter().find_map(|kind| self.introductions.get(&(*kind, name.to_owned())));
        let other = Kind::ALL.into_iter().find_map(|k| self.get(k, name).map(|p| (k, p)));
        if let Some((at, why)) = later {
            diagnostic = diagnostic.also(*at, *why);
        } else if let Some((kind, at)) = other {
            diagnostic = diagnostic.also(at, format!("this is {} {}", article(kind), kind.noun()));
        } else if name == "local" {
            diagnostic = diagnostic.help("local routes need not be written: every table has them");
        } else if self.diagnostics.more() == 0 {
            diagnostic.help.extend(self.suggestion(kinds, name));
        }
        self.push(diagnostic);
    }

    /// The label that was probably meant, or all there are if they are few.
    fn suggestion(&self, kinds: &[Kind], name: &str) -> Option<String> {
        let of = |kind: &Kind| self.labels.get(kind).into_iter().flat_map(BTreeMap::keys);
        let labels = || kinds.iter().flat_map(of).map(String::as_str);
        if let Some(near) = nearest(name, labels()) {
            return Some(format!("did you mean `{near}`?"));
        }
        let few: Vec<String> = labels().take(9).map(|label| format!("`{label}`")).collect();
        (1..=8).contains(&few.len()).then(|| format!("known at this point: {}", few.join(", ")))
    }

    /// Complains about an id where the network is declared: the cloud has not made any yet.
    pub(super) fn id_in_network(&mut self, id: &str, place: Place) {
        let message = format!("{} is an id, and a declared network has none yet", quote(id));
        self.push(Diagnostic::at(place, code::UNKNOWN_LABEL, message).help("use the label"));
    }
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Account
        | Kind::Instance
        | Kind::InternetGateway
        | Kind::EgressOnlyGateway
        | Kind::Endpoint
        | Kind::OutsideHost => "an",
        _ => "a",
    }
}
