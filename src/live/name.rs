//! Names of labs, and the socket that stands for one.
//!
//! A lab is its control socket: an abstract one, which is no file and ends with its process. Refuses
//! names that would need escaping in an address.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use nix::unistd::Uid;

/// Bytes of the longest name.
const BYTES_MAX: usize = 64;

/// The name of a lab: 1..=64 letters, digits, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LabName(String);

/// The text is not the name of a lab.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a lab's name is 1 to {BYTES_MAX} letters, digits, `.`, `_` and `-`")]
pub struct MalformedLabName;

impl LabName {
    /// The name that the lab of a file has unless it is given one: the file's, without its ending.
    pub fn of_file(path: &Path) -> LabName {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let plain = stem.chars().map(|c| if is_plain(c) { c } else { '-' });
        let name: String = plain.take(BYTES_MAX).collect();
        LabName(if name.is_empty() { "lab".to_owned() } else { name })
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its control socket if `owner` runs it.
    pub(super) fn address(&self, owner: Uid) -> String {
        format!("vpclab/{owner}/{}", self.0)
    }

    /// The inverse of [`LabName::address`], as `/proc/net/unix` writes it.
    pub(super) fn parse_address(text: &str) -> Option<(Uid, LabName)> {
        let (owner, name) = text.strip_prefix("@vpclab/")?.split_once('/')?;
        Some((Uid::from_raw(owner.parse().ok()?), name.parse().ok()?))
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

impl FromStr for LabName {
    type Err = MalformedLabName;

    fn from_str(text: &str) -> Result<LabName, MalformedLabName> {
        let fits = (1..=BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain);
        if fits { Ok(LabName(text.to_owned())) } else { Err(MalformedLabName) }
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn files_name_labs() {
        for (path, want) in
            [("a/transit.yaml", "transit"), ("two words.yaml", "two-words"), ("..", "lab")]
        {
            assert_eq!(LabName::of_file(path.as_ref()).as_str(), want, "{path}");
        }
    }

    #[test]
    fn names_are_plain() {
        for (text, fits) in [("a", true), ("", false), ("a/b", false), ("a b", false)] {
            assert_eq!(text.parse::<LabName>().is_ok(), fits, "{text:?}");
        }
        assert!("x".repeat(65).parse::<LabName>().is_err());
    }

    #[test]
    fn an_address_says_whose_lab_it_is() {
        let (owner, name) = LabName::parse_address("@vpclab/1000/demo").unwrap();
        assert_eq!((owner, name.as_str()), (Uid::from_raw(1000), "demo"));
        for text in ["@other/1000/demo", "@vpclab/x/demo", "@vpclab/1/a/b", "/vpclab/1/a"] {
            assert!(LabName::parse_address(text).is_none(), "{text}");
        }
    }
}
