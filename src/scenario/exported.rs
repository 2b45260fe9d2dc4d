//! What is written of a network declares the same network again.
//!
//! Refuses to hold the writer: that is `report::export`.

use std::path::{Path, PathBuf};

use super::load::{load, parse};
use super::run::{Built, build};
use super::trace::{Carrying, Question, trace};
use crate::report::export;
use crate::sim::Twin;

/// Every scenario file of the project that is meant to load.
fn files(directory: &Path, out: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            out.push(path);
        }
    }
}

/// How packets fare between each two of some instances, in the names of the file.
fn fates(built: &mut Built, hosts: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for from in hosts {
        for to in hosts.iter().filter(|to| *to != from) {
            for carrying in [Carrying::Echo, Carrying::Udp(53), Carrying::Tcp(443)] {
                let question = Question {
                    from: from.parse().unwrap(),
                    to: to.parse().unwrap(),
                    family: None,
                    carrying,
                    payload: None,
                };
                let told = match trace(built, &question) {
                    Ok(traced) => traced
                        .walks
                        .iter()
                        .map(|walk| walk.told.ending.to_string())
                        .collect::<Vec<_>>()
                        .join(", "),
                    Err(error) => error.to_string(),
                };
                out.push(format!("{from} -> {to} {carrying:?}: {told}"));
            }
        }
    }
    out
}

/// Hosts asked about in one file: pairs of them are many.
const HOSTS_MAX: usize = 5;

#[test]
fn what_is_written_declares_the_same_network() {
    let mut paths = Vec::new();
    files(Path::new("scenarios"), &mut paths);
    let (mut compared, mut packets) = (0, 0);
    for path in paths {
        let Ok(loaded) = load(&path) else { continue };
        // What a guest does with packets for others is no business of the cloud, which is written.
        let guests_relay = std::fs::read_to_string(&path).is_ok_and(|text| text.contains("role:"));
        if guests_relay {
            continue;
        }
        let Ok(mut built) = build(&loaded, None, Twin::Compiled) else { continue };
        let now = built.cloud().latest();
        let profile = built.cloud().profile();
        let written = export::network(built.cloud(), now, None, "written");
        // Behind the two lines of the head stands what only a whole file may say.
        let blackhole = built.cloud().blackhole().name();
        let head = format!("\nprofile: {profile}\nblackhole: {blackhole}\nname");
        let text = written.text.replacen("\nname", &head, 1);
        let again = match parse("written.yaml", &text)
            .and_then(|file| build(&file, None, Twin::Compiled))
        {
            Ok(again) => again,
            Err(failure) => panic!(
                "{}: {}\n{text}",
                path.display(),
                failure.diagnostics.render(&failure.sources, crate::base::diag::Colour::Plain)
            ),
        };
        let mut again = again;
        let instances = built.cloud().instances();
        let hosts: Vec<String> = instances
            .filter_map(|(id, _)| built.cloud().name(crate::cloud::event::ResourceId::Instance(id)))
            .map(str::to_owned)
            .take(HOSTS_MAX)
            .collect();
        let (want, have) = (fates(&mut built, &hosts), fates(&mut again, &hosts));
        assert_eq!(want, have, "{}\n{text}", path.display());
        compared += 1;
        packets += want.len();
    }
    assert!(compared > 50 && packets > 500, "{compared} files, {packets} packets");
}
