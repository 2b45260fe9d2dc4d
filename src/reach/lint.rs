//! What is legal but will surprise.
//!
//! Holds [`check`], which looks at a cloud at one moment and yields findings as values. Refuses to
//! decide the fate of a packet (that is the forwarder's), to change anything, and to say more than
//! the configuration shows: a rule that cannot be sure keeps silent or is a hint.

mod acls;
mod blocks;
mod edges;
mod evidence;
mod groups;
mod lens;
mod middleboxes;
mod peerings;
mod quotas;
mod returns;
mod routes;
pub mod rule;

pub use evidence::{
    Astray, Direct, Edge, Evidence, Fate, Lost, Miss, PeeringRoute, PeeringRoutes, Spoke, Subject,
    Unusable,
};
pub use rule::{LintRule, Severity};

use crate::base::time::Instant;
use crate::cloud::Cloud;
use crate::forward::middlebox::Middleboxes;
use lens::Lens;

/// Something that will surprise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// What was found there.
    pub evidence: Evidence,
}

impl Finding {
    /// The rule that found it.
    pub const fn rule(&self) -> LintRule {
        self.evidence.rule()
    }
}

/// Every finding about `cloud` as it is at `now`, by rule, then by id of the subject. The same cloud
/// gives the same findings in the same order. Of `middleboxes` only the roles are looked at: what
/// instances do with packets for others, of which a cloud knows nothing.
///
/// Costs about the number of routes into peerings times the number of subnets of the two VPCs that
/// such a route joins; a few times the number of everything else.
pub fn check(cloud: &Cloud, middleboxes: &Middleboxes, now: Instant) -> Vec<Finding> {
    let lens = Lens::new(cloud, middleboxes, now);
    let mut found = Vec::new();
    routes::check(&lens, &mut found);
    middleboxes::check(&lens, &mut found);
    returns::check(&lens, &mut found);
    acls::check(&lens, &mut found);
    groups::check(&lens, &mut found);
    edges::check(&lens, &mut found);
    peerings::check(&lens, &mut found);
    quotas::check(&lens, &mut found);
    // Stable: findings of one rule about one subject stay in the order of the configuration.
    found.sort_by_key(|finding| (finding.rule(), finding.subject));
    found
}
