//! Labels for what has none: from its name, or its id, unlike any other of the same kind.
//!
//! Holds the making of labels that a scenario file takes as they are, without quotes. Refuses to know
//! resources.

use std::collections::BTreeSet;

use crate::base::limit::LABEL_BYTES_MAX;

/// Words that YAML means otherwise.
const WORDS: &[&str] = &["true", "false", "null"];

/// The labels of one kind that are given away.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(BTreeSet<String>);

impl Labels {
    /// A label of a resource: its name, as far as a label can say it, else its id.
    pub(super) fn give(&mut self, name: Option<&str>, id: &str) -> String {
        let wanted = safe(name.filter(|name| !name.is_empty()).unwrap_or(id));
        let mut label = wanted.clone();
        let mut number = 2_u32;
        while !self.0.insert(label.clone()) {
            let suffix = format!("-{number}");
            let room = LABEL_BYTES_MAX - suffix.len();
            label = format!("{}{suffix}", &wanted[..wanted.len().min(room)]);
            number += 1;
        }
        label
    }
}

/// The text in the characters of a label: it begins with a letter, and is neither an id nor a word.
fn safe(text: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut label: String = text.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    if !label.starts_with(|c: char| c.is_ascii_alphabetic()) {
        label.insert(0, 'x');
    }
    if looks_like_an_id(&label) {
        label = label.replace('-', "_");
    }
    if WORDS.contains(&label.to_ascii_lowercase().as_str()) {
        label.push('_');
    }
    label.truncate(LABEL_BYTES_MAX);
    label
}

/// A word, a dash and eight hexadecimal digits or more.
fn looks_like_an_id(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(_, digits)| {
        digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_safe_and_told_apart() {
        let mut labels = Labels::default();
        for (name, id, want) in [
            (Some("web"), "i-1", "web"),
            (Some("web"), "i-2", "web-2"),
            (Some("web"), "i-3", "web-3"),
            (None, "vpc-0123456789abcdef0", "vpc_0123456789abcdef0"),
            (Some(""), "i-4", "i-4"),
            (Some("größe 1"), "i-5", "gr__e_1"),
            (Some("10.0.0.5"), "i-6", "x10.0.0.5"),
            (Some("true"), "i-7", "true_"),
            (Some("-x"), "i-8", "x-x"),
        ] {
            assert_eq!(labels.give(name, id), want);
        }
        let long = "a".repeat(100);
        assert_eq!(labels.give(Some(&long), "i").len(), LABEL_BYTES_MAX);
        assert_eq!(labels.give(Some(&long), "i").len(), LABEL_BYTES_MAX);
    }
}
