//! The two rule books side by side: each difference is shown by two scenarios, each agreement by one.
//!
//! Holds the proof that they show it, and the layout of `docs/profiles.md`. What the rule books say
//! comes from the table in `cloud/profile.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests; a failure names the line")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use vpclab::cloud::profile::{Feature, Profile};
use vpclab::scenario::load;
use vpclab::scenario::run::{self, Settings};

use crate::{files, pages};

/// What vpc-semantics 0.3 lists as the same in both years, with a scenario that holds in both.
const SAME: &[(&str, &str, &str)] = &[
    ("peering inside an account and between two", "both", "lessons/cross-account.yaml"),
    ("asking again from the same side", "the peering there is", "lessons/asking-again.yaml"),
    ("an unanswered request", "expires after seven days", "lessons/expires-after-a-week.yaml"),
    ("equal or overlapping IPv4 blocks", "the request fails", "lessons/no-overlap.yaml"),
    ("transit through a peer", "none", "first/not-transitive.yaml"),
    ("a peer's gateways", "none can be used", "lessons/edge-to-edge.yaml"),
    ("check of the source where a packet enters", "none", "lessons/no-reverse-path-check.yaml"),
];

/// What vpc-semantics 0.3 lists and no profile has, or both have though one year did not.
const ASIDE: &[(&str, &str)] = &[
    ("ClassicLink over a peering", "no command: the service itself is gone"),
    (
        "placement groups across a peering",
        "they decide over bandwidth, which a link's `rate` gives",
    ),
    (
        "tags on creation, blocks and regions in the output",
        "they belong to the answers of the EC2 API, which is not there yet",
    ),
    ("ids of security group rules", "a rule is named by what it says"),
    (
        "flow logs, NAT gateways, gateway endpoints, managed prefix lists",
        "younger than the peering of 2014, and in both profiles: they add to a network and change \
         no rule of peering",
    ),
];

fn file_of(feature: Feature, profile: Profile) -> String {
    format!("profiles/{}-{profile}.yaml", feature.label())
}

/// Does the scenario hold when it is run by the rules of `profile`, whatever it says itself?
fn holds(file: &str, profile: Profile) -> bool {
    let path = Path::new("scenarios").join(file);
    let mut loaded = load::load(&path)
        .unwrap_or_else(|failure| panic!("{file} cannot be read: {:?}", files::said(&failure)));
    loaded.file.profile.value = profile;
    // A network that the other rule book refuses to build does not hold by it.
    run::run(&loaded, path.parent().unwrap(), Settings::default(), &mut ())
        .is_ok_and(|outcome| outcome.held())
}

/// A scenario from behind its `profile`, without what it expects: what is done, and to which
/// network.
fn what_is_done(file: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new("scenarios").join(file)).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("profile:")).skip(1);
    lines.filter(|line| !line.trim_start().starts_with("expect:")).map(str::to_owned).collect()
}

/// Each file of a pair holds by its own rules and not by the other's, and the two do the same to
/// the same network: so the outcome differs because the rule books do.
#[test]
fn every_difference_is_shown_from_both_sides() {
    let mut wrong = Vec::new();
    for &feature in Feature::ALL {
        for [own, other] in [[Profile::Seed, Profile::Today], [Profile::Today, Profile::Seed]] {
            let file = file_of(feature, own);
            let said = load::load(&Path::new("scenarios").join(&file))
                .unwrap_or_else(|failure| panic!("{file}: {:?}", files::said(&failure)));
            if said.file.profile.value != own {
                wrong.push(format!("{file} is not of the profile `{own}`"));
            }
            if !holds(&file, own) {
                wrong.push(format!("{file} does not hold"));
            }
            if holds(&file, other) {
                wrong.push(format!("{file} holds by the rules of `{other}` as well"));
            }
        }
        let [seed, today] = Profile::ALL.map(|profile| what_is_done(&file_of(feature, profile)));
        if seed != today || seed.is_empty() {
            wrong.push(format!("the files of `{}` do not do the same", feature.label()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// No file of the folder is about something that is no row of the table.
#[test]
fn every_pair_belongs_to_a_difference() {
    let of_table = Feature::ALL.iter().flat_map(|&feature| {
        Profile::ALL.map(|profile| format!("scenarios/{}", file_of(feature, profile)))
    });
    let there = files::scenarios("scenarios/profiles");
    let there = there.iter().map(|path| path.to_string_lossy().into_owned());
    assert_eq!(of_table.collect::<BTreeSet<_>>(), there.collect::<BTreeSet<_>>());
}

#[test]
fn what_is_the_same_is_the_same() {
    let mut wrong = Vec::new();
    for (_, _, file) in SAME {
        for profile in Profile::ALL {
            if !holds(file, profile) {
                wrong.push(format!("{file} does not hold by the rules of `{profile}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_differences_of_the_profiles() {
    let link = |file: &str| format!("[{file}](../scenarios/{file})");
    let mut out = String::from(
        "# The two profiles\n\n\
         <!-- Generated from src/cloud/profile.rs by `BLESS=1 cargo test`. -->\n\n\
         `seed`, the default, has the rules of VPC peering in 2014-15, read strictly; `today` has \
         those of 2026. A scenario says\n`profile: today` to be judged by the latter. These are all \
         differences.\n\n\
         Each is shown by two files with the same network and the same steps, which expect \
         different things. A test runs each file\nby both rule books: it must hold by its own and \
         fail by the other.\n\n\
         | topic | `seed` (2014-15) | `today` (2026) |\n| --- | --- | --- |\n",
    );
    for &feature in Feature::ALL {
        let _ = write!(out, "| {}", feature.topic());
        for profile in Profile::ALL {
            let file = file_of(feature, profile);
            let _ = write!(out, " | {} [shown](../scenarios/{file})", feature.rule(profile));
        }
        out.push_str(" |\n");
    }
    out.push_str(
        "\n## Where each is from\n\n| difference | vpc-semantics; source |\n| --- | --- |\n",
    );
    for &feature in Feature::ALL {
        let _ = writeln!(out, "| `{}` | {} |", feature.label(), feature.source());
    }
    out.push_str(
        "\n## The same in both\n\n\
         Each file is run by both rule books, and holds by both.\n\n\
         | topic | in both | shown by |\n| --- | --- | --- |\n",
    );
    for (topic, both, file) in SAME {
        let _ = writeln!(out, "| {topic} | {both} | {} |", link(file));
    }
    out.push_str(
        "\n## No difference here, though the years differ\n\n| topic | why |\n| --- | --- |\n",
    );
    for (topic, why) in ASIDE {
        let _ = writeln!(out, "| {topic} | {why} |");
    }
    pages::current("docs/profiles.md", &out);
}
