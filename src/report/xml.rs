//! Text that is safe between the tags and inside the quotes of an XML 1.0 document.
//!
//! Holds two ways of printing a string. Refuses to hold elements: who writes a document writes its
//! tags. Characters that XML 1.0 cannot carry in any form (section 2.2: most controls, U+FFFE,
//! U+FFFF) come out as U+FFFD, so that a hostile name costs its reader one character and not the
//! document.

use std::fmt::{self, Write};

/// A string as character data between two tags. Line ends stay as they are, except that a carriage
/// return is written as a reference, which parsers do not turn into a line feed (section 2.11).
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a str);

/// A string as an attribute's value, without the double quotes around it. Line ends and tabs are
/// written as references, since parsers turn bare ones into spaces (section 3.3.3).
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\t' | '\n' | '"' => f.write_char(c),
            _ => write_escaped(f, c),
        })
    }
}

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_escaped(f, c))
    }
}

/// One character, escaped as strictly as either place needs.
fn write_escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        // Needed only after `]]`, but a reader should not have to look back.
        '>' => f.write_str("&gt;"),
        '"' => f.write_str("&quot;"),
        '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c)),
        '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER),
        _ => f.write_char(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_with_a_meaning_are_escaped_and_impossible_ones_replaced() {
        for (raw, text, attribute) in [
            ("b -> a", "b -&gt; a", "b -&gt; a"),
            ("<&>\"'", "&lt;&amp;&gt;\"'", "&lt;&amp;&gt;&quot;'"),
            ("a\tb\nc\r\n", "a\tb\nc&#13;\n", "a&#9;b&#10;c&#13;&#10;"),
            ("\0\x1b[31m\u{b}", "\u{fffd}\u{fffd}[31m\u{fffd}", "\u{fffd}\u{fffd}[31m\u{fffd}"),
            ("\u{fffd}\u{fffe}\u{ffff}", "\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}\u{fffd}\u{fffd}"),
            ("größer 第 \u{1f600}", "größer 第 \u{1f600}", "größer 第 \u{1f600}"),
            ("]]>", "]]&gt;", "]]&gt;"),
        ] {
            assert_eq!(Text(raw).to_string(), text, "{raw:?} as text");
            assert_eq!(Attribute(raw).to_string(), attribute, "{raw:?} as attribute");
        }
    }
}
