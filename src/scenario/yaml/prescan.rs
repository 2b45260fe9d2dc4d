//! How deep brackets nest, before the parser sees the text.
//!
//! Holds a scan that is linear in the text. Refuses to be exact: it knows quotes and comments but
//! not block scalars, whose brackets it counts. The tree builder counts again, exactly, as the
//! parser delivers; this scan only spares the parser what it would take long over.

/// The byte of the first bracket that nests deeper than `max`, if there is one.
pub(super) fn too_deep(text: &str, max: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    // What stands before decides whether a quote opens a text (`'a'`) or is part of one (`it's`).
    let mut before = b'\n';
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let opens_token = matches!(before, b'\n' | b' ' | b'\t' | b'[' | b'{' | b',' | b':');
        match byte {
            b'#' if matches!(before, b'\n' | b' ' | b'\t') => {
                at = find(bytes, at, b'\n');
                continue;
            }
            b'\'' | b'"' if opens_token => at = closing_quote(bytes, at + 1, byte),
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return Some(at);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = byte;
        at += 1;
    }
    None
}

/// The byte of the quote that ends a text, or the end of the input.
fn closing_quote(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            _ if byte == quote => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> usize {
    bytes[from..].iter().position(|b| *b == wanted).map_or(bytes.len(), |i| from + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest_outside_quotes_and_comments() {
        for (text, want) in [
            ("a: [b, {c: d}]", None),
            ("a: [b, {c: [d]}]", Some(11)),
            ("a: [b]\nc: [d]\ne: [f]", None),
            ("a: ['[[[', \"[\\\"[[\"]", None),
            ("a: ['b', [[c]]]", Some(10)),
            ("a: [it's, [[b]]]", Some(11)),
            ("a: '[[['\nb: \"[[[\"", None),
            ("# [[[\na: b", None),
            ("a: [ # [[\n]", None),
        ] {
            assert_eq!(too_deep(text, 2), want, "{text}");
        }
    }
}
