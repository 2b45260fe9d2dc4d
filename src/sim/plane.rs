//! The forwarder at work: one of the twins, kept up to date with the cloud.
//!
//! Holds [`Plane`], which notes what has changed since it was brought up to date and then has only
//! that compiled. Refuses to judge by an old version: whoever asks refreshes first.

use super::Twin;
use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::cloud::event::{Change, Event};
use crate::forward::Rows;
use crate::forward::fabric::Fabric;

/// So many changes are kept before everything is compiled anew instead (ours): a network is declared
/// in thousands and changed in ones.
const CHANGES_KEPT_MAX: usize = 256;

/// What the compiled network has yet to be told.
#[derive(Debug)]
enum News {
    /// These changes, in their order.
    Changes(Vec<Change>),
    /// More than is kept, or something that is no change of the cloud.
    Anything,
}

/// Whether a refresh has met resources that were not there before, or has lost some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refreshed {
    /// It was up to date.
    Nothing,
    /// The resources are those of before.
    States,
    /// They may be others.
    Resources,
}

/// The forwarder at work.
#[derive(Debug)]
pub(super) struct Plane {
    /// Nothing if the reference judges, which looks at the cloud itself.
    fabric: Option<Box<Fabric>>,
    news: News,
    /// From this moment on it is out of date.
    until: Instant,
}

impl Plane {
    pub(super) fn new(cloud: &Cloud, rows: &Rows, twin: Twin) -> Plane {
        let now = Instant::START;
        let compile = || Box::new(Fabric::compile(cloud, rows, now));
        Plane {
            fabric: (twin == Twin::Compiled).then(compile),
            news: News::Changes(Vec::new()),
            until: cloud.next_deadline(now),
        }
    }

    /// The compiled twin, if it is the one that judges.
    pub(super) fn fabric(&self) -> Option<&Fabric> {
        self.fabric.as_deref()
    }

    /// These events have happened.
    pub(super) fn hear(&mut self, events: &[Event], now: Instant) {
        if events.is_empty() {
            return;
        }
        self.until = now;
        match &mut self.news {
            News::Changes(list) if list.len() + events.len() <= CHANGES_KEPT_MAX => {
                list.extend(events.iter().map(|event| event.change.clone()));
            }
            news => *news = News::Anything,
        }
    }

    /// The cloud has become another one in a way that no event tells.
    pub(super) fn forget(&mut self, now: Instant) {
        (self.news, self.until) = (News::Anything, now);
    }

    /// Brings itself and the rows up to date. What has not changed costs nothing, changes what
    /// [`Fabric::update`] says, and what no event tells a compilation.
    pub(super) fn refresh(&mut self, cloud: &Cloud, rows: &mut Rows, now: Instant) -> Refreshed {
        if now < self.until {
            return Refreshed::Nothing;
        }
        let news = std::mem::replace(&mut self.news, News::Changes(Vec::new()));
        let refreshed = match &news {
            News::Changes(list) if list.iter().all(only_moves) => Refreshed::States,
            _ => Refreshed::Resources,
        };
        match &news {
            News::Changes(list) => rows.follow(list),
            News::Anything => rows.update(cloud),
        }
        match (self.fabric.as_mut(), &news) {
            (Some(fabric), News::Changes(list)) => fabric.update(cloud, rows, list, now),
            (Some(fabric), News::Anything) => **fabric = Fabric::compile(cloud, rows, now),
            (None, _) => {}
        }
        self.until = cloud.next_deadline(now);
        refreshed
    }
}

/// Does a change leave it at the resources that are there?
fn only_moves(change: &Change) -> bool {
    matches!(
        change,
        Change::RouteSet { .. }
            | Change::RouteDeleted { .. }
            | Change::PeeringFound { .. }
            | Change::PeeringMoved { .. }
            | Change::PeeringOptionSet { .. }
            | Change::InstanceStopped { .. }
            | Change::InstanceStarted { .. }
            | Change::SourceDestCheckSet { .. }
            | Change::GroupRuleAuthorized { .. }
            | Change::GroupRuleRevoked { .. }
            | Change::AclEntrySet { .. }
            | Change::AclEntryDeleted { .. }
            | Change::TagSet { .. }
            | Change::TagRemoved { .. }
    )
}
