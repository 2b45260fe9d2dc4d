//! The word that was probably meant.
//!
//! Holds the distance between two words and what counts as a slip. Refuses to know where words come
//! from.

use std::cmp::Ordering;

/// The candidate closest to `word`, if one is close enough to be a slip: the same but for case and
/// `_` against `-`, or up to two letters off (one in short words). The first of equally close ones.
///
/// Costs the product of the lengths for each candidate of similar length.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let folded = fold(word);
    let slips = match folded.len() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = fold(candidate);
        if candidate == word || folded.len().abs_diff(other.len()) > slips {
            continue;
        }
        let distance = distance(&folded, &other);
        let closer = best.is_none_or(|(d, _)| distance.cmp(&d) == Ordering::Less);
        if distance <= slips && closer {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Lower case, `-` for `_`, cut to a length at which comparing stays cheap.
fn fold(word: &str) -> Vec<char> {
    let fold = |c: char| if c == '_' { '-' } else { c.to_ascii_lowercase() };
    word.chars().take(80).map(fold).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["requester", "accepter", "accepted", "link", "at", "as", "source-port"];
        for (word, want) in [
            ("acceptor", Some("accepter")),
            ("accpeter", Some("accepter")),
            ("Link", Some("link")),
            ("lnik", Some("link")),
            ("source_port", Some("source-port")),
            ("a", None),
            ("it", None),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), want, "{word}");
        }
    }
}
