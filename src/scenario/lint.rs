//! What will surprise about the network of a file: what `vpclab lint` shows.
//!
//! Holds the moment at which the network is looked at. The rules are `reach::lint`'s, the words
//! `report::lint`'s.

use std::path::Path;

use super::load::{Failure, Loaded};
use super::run::{self, Settings};
use crate::reach::lint::{self, Finding, LintRule, Subject};
use crate::report::lint::{Linted, told};
use crate::sim::Twin;

/// When to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Moment {
    /// At virtual zero: the network as it is declared.
    #[default]
    Declared,
    /// When the last step has been taken.
    AfterSteps,
}

/// Lints the network of a file. `directory` is where the captures it replays are looked for. Whether
/// the expectations of its steps hold is not asked here.
///
/// # Errors
/// As [`run::build`], and for [`Moment::AfterSteps`] as [`run::run`].
pub fn lint(loaded: &Loaded, directory: &Path, moment: Moment) -> Result<Linted, Failure> {
    let built = match moment {
        Moment::Declared => run::build(loaded, None, Twin::Compiled)?,
        Moment::AfterSteps => run::play(loaded, directory, Settings::default(), &mut ())?.1,
    };
    let sim = &built.stage.sim;
    let (cloud, now) = (sim.cloud(), sim.now());
    // The group that a file's instances get without asking is nobody's to tidy away.
    let open = built.stage.open_groups();
    let of_file = |finding: &Finding| match (finding.subject, finding.rule()) {
        (Subject::Group(group), LintRule::UnusedGroup) => !open.contains(&group),
        _ => true,
    };
    let found =
        lint::check(cloud, &sim.world().memory.middleboxes, now).into_iter().filter(of_file);
    let mut findings: Vec<_> = found.map(|finding| told(&finding, cloud)).collect();
    // By name: ids are in no order that a reader of the file would know.
    findings.sort();
    let file = loaded.sources.name(loaded.file.name.place.source()).to_owned();
    Ok(Linted { file, findings })
}
