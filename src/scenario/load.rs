//! From a path to a checked file: the one place of this folder that touches the file system.
//!
//! Holds which files may be read (invariants for input: size before reading, below the scenario's own
//! directory, no links) and the order of the passes. Refuses to look into what they find.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::ast::{File, FilePath, Network};
use super::decode::{self, Decoded};
use super::format::NETWORK_FILE;
use super::yaml::{Entry, Node, Value};
use super::{code, names, totals, yaml};
use crate::base::diag::{Diagnostic, Diagnostics, Place, Sources, quote};
use crate::base::limit::SCENARIO_BYTES_MAX;

/// A scenario in which nothing was found to be wrong.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says, its network file included.
    pub file: File,
    /// The texts that its places refer to.
    pub sources: Sources,
}

/// A scenario that cannot be used.
#[derive(Clone, Debug)]
pub struct Failure {
    /// All that is wrong with it; at least one.
    pub diagnostics: Diagnostics,
    /// The texts that the places refer to.
    pub sources: Sources,
}

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// The system says no.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A directory, a device, a pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// On the way to it there is a symbolic link.
    #[error("{} is a symbolic link", quote(&.0.display().to_string()))]
    Link(
        /// The link.
        PathBuf,
    ),
    /// More bytes than allowed.
    #[error("it has {bytes} bytes, the limit is {max}")]
    TooLarge {
        /// Its size; one more than the limit if it grew while it was read.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Bytes that are no text.
    #[error("line {line} is not UTF-8 text")]
    NotText {
        /// The line with the first such byte, from 1.
        line: usize,
    },
    /// A file is named by a text that came from nowhere.
    #[error("there is no directory to look for it in")]
    NoDirectory,
}

/// Reads a scenario file and the network file it names.
///
/// # Errors
/// Everything that is wrong with the two files, sorted by place.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let name = path.display().to_string();
    match read_regular(path, SCENARIO_BYTES_MAX).and_then(text_of) {
        Ok(text) => assemble(name, text, &mut |path| Included {
            name: directory.join(path.as_str()).display().to_string(),
            text: read_below(directory, path, SCENARIO_BYTES_MAX).and_then(text_of),
        }),
        Err(why) => {
            let mut diagnostics = Diagnostics::default();
            diagnostics.push(unreadable(&name, &why));
            Err(Failure { diagnostics, sources: Sources::default() })
        }
    }
}

/// As [`load`], for a text at hand; it cannot name a network file.
///
/// # Errors
/// Everything that is wrong with the text, sorted by place.
pub fn parse(name: &str, text: &str) -> Result<Loaded, Failure> {
    assemble(name.to_owned(), text.to_owned(), &mut |path| Included {
        name: path.as_str().to_owned(),
        text: Err(Unreadable::NoDirectory),
    })
}

/// Reads a file below `directory`, on the way to which there is no symbolic link, and which has at
/// most `max` bytes. For captures that a scenario replays, and what else it names.
///
/// # Errors
/// Says why it was not read. A link that is put in place between the check and the reading is not
/// seen: this keeps a scenario from reading elsewhere, not another user of the machine.
pub fn read_below(directory: &Path, path: &FilePath, max: u64) -> Result<Vec<u8>, Unreadable> {
    let mut at = directory.to_owned();
    for name in path.names() {
        at.push(name);
        if fs::symlink_metadata(&at)?.is_symlink() {
            return Err(Unreadable::Link(at));
        }
    }
    read_regular(&at, max)
}

fn read_regular(path: &Path, max: u64) -> Result<Vec<u8>, Unreadable> {
    // Asked before it is opened: opening a pipe would wait for somebody to write.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Unreadable::NotAFile);
    }
    if metadata.len() > max {
        return Err(Unreadable::TooLarge { bytes: metadata.len(), max });
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(Unreadable::TooLarge { bytes: bytes.len() as u64, max });
    }
    Ok(bytes)
}

fn unreadable(name: &str, why: &Unreadable) -> Diagnostic {
    Diagnostic::without_place(code::UNREADABLE, format!("cannot read {}: {why}", quote(name)))
}

fn text_of(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let breaks = error.as_bytes().iter().take(good).filter(|b| **b == b'\n').count();
        Unreadable::NotText { line: breaks + 1 }
    })
}

/// A file that the scenario names.
struct Included {
    name: String,
    text: Result<String, Unreadable>,
}

fn assemble(
    name: String,
    text: String,
    include: &mut dyn FnMut(&FilePath) -> Included,
) -> Result<Loaded, Failure> {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let id = sources.add(name, text);
    let Some(root) = yaml::parse(id, &sources, &mut diagnostics) else {
        return Err(Failure { diagnostics, sources });
    };
    if is_network_file(&root) {
        let message =
            "a scenario needs the key `name`; without it and `steps` this is a network file";
        diagnostics.push(
            Diagnostic::at(Place::new(id, 0..0), code::MISSING_KEY, message)
                .help("give the scenario that names it: `network: FILE`")
                .help("or give it a `name`: then it is a scenario without steps"),
        );
        decode::network(&root, &mut diagnostics, &mut BTreeSet::new());
        return Err(Failure { diagnostics, sources });
    }
    let Decoded { mut file, mut unread } = decode::scenario(&root, &mut diagnostics);
    if let Some(path) = &file.network_file {
        let included = include(&path.value);
        let network = match included.text {
            Ok(text) => {
                let id = sources.add(included.name, text);
                yaml::parse(id, &sources, &mut diagnostics)
            }
            Err(why) => {
                let diagnostic = unreadable(&included.name, &why);
                diagnostics.push(Diagnostic { place: Some(path.place), ..diagnostic });
                None
            }
        };
        let Some(root) = network else {
            // Without the network most labels would be unknown, and saying so would help nobody.
            return Err(Failure { diagnostics, sources });
        };
        let network = decode::network(&root, &mut diagnostics, &mut unread);
        merge(&mut file.network, network);
    }
    names::check(&file, &unread, &mut diagnostics);
    totals::check(&file, &mut diagnostics);
    if diagnostics.is_empty() {
        Ok(Loaded { file, sources })
    } else {
        Err(Failure { diagnostics, sources })
    }
}

/// Does it read like a file for scenarios to name, rather than like a scenario without a name?
fn is_network_file(root: &Node) -> bool {
    let Value::Mapping(entries) = &root.value else { return false };
    let is_known = |entry: &Entry| NETWORK_FILE.field(&entry.key).is_some();
    let is_named = entries.iter().any(|entry| entry.key == "name");
    entries.len() > 1 && !is_named && entries.iter().all(is_known)
}

/// Puts what a network file declares before what the scenario itself does.
fn merge(own: &mut Network, mut included: Network) {
    included.accounts.append(&mut own.accounts);
    included.vpcs.append(&mut own.vpcs);
    included.peerings.append(&mut own.peerings);
    included.routes.append(&mut own.routes);
    included.security_groups.append(&mut own.security_groups);
    included.prefix_lists.append(&mut own.prefix_lists);
    included.network_acls.append(&mut own.network_acls);
    included.instances.append(&mut own.instances);
    included.gateways.append(&mut own.gateways);
    included.outside.append(&mut own.outside);
    included.flow_logs.append(&mut own.flow_logs);
    *own = included;
}

#[cfg(test)]
mod tests;
