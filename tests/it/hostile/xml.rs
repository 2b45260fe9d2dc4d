//! Is a text well-formed XML? As much of XML 1.0 as a server's answers may use: a declaration, one
//! root, elements, attributes, character data, the five entities and character references. Comments,
//! instructions, CDATA and document types are findings.

/// What is wrong with it, and where.
pub(super) fn check(text: &str) -> Result<(), String> {
    let wrong = |what: &str, at: &str| {
        let at: String = at.chars().take(60).collect();
        Err(format!("{what} at {at:?}"))
    };
    if let Some(bad) = text.chars().find(|c| !is_char(*c)) {
        return Err(format!("{bad:?} cannot stand in XML"));
    }
    let Some((_, mut rest)) = text.strip_prefix("<?xml ").and_then(|text| text.split_once("?>"))
    else {
        return wrong("no declaration", text);
    };
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    while let Some(at) = rest.find('<') {
        let (data, tag) = rest.split_at(at);
        if !references(data) || data.contains("]]>") {
            return wrong("character data", data);
        }
        if open.is_empty() && !data.trim().is_empty() {
            return wrong("text outside the root", data);
        }
        let Some((tag, after)) = tag[1..].split_once('>') else {
            return wrong("a tag without an end", tag);
        };
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return wrong("an end of another element", tag);
            }
            continue;
        }
        let (inside, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        if !is_name(name) || !are_attributes(attributes) {
            return wrong("a tag", tag);
        }
        roots += usize::from(open.is_empty());
        if !is_empty {
            open.push(name);
        }
    }
    match (roots, open.last()) {
        _ if !rest.trim().is_empty() => wrong("text behind the root", rest),
        (1, None) => Ok(()),
        (_, Some(name)) => Err(format!("{name} does not end")),
        (roots, None) => Err(format!("{roots} roots")),
    }
}

/// `Char` of XML 1.0, 2.2.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(rest)
}

/// ` name="value"`, any number of them, whose values hold no `<`, `>` and `"`.
fn are_attributes(text: &str) -> bool {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, value)) = rest.split_once("=\"") else { return false };
        let Some((value, after)) = value.split_once('"') else { return false };
        if !is_name(name) || value.contains('<') || !references(value) {
            return false;
        }
        rest = after.trim_start();
    }
    true
}

/// Is every `&` the beginning of a reference to a character that may stand there?
fn references(text: &str) -> bool {
    text.split('&').skip(1).all(|part| {
        let Some((name, _)) = part.split_once(';') else { return false };
        let number = match name.strip_prefix("#x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => name.strip_prefix('#').and_then(|decimal| decimal.parse().ok()),
        };
        matches!(name, "lt" | "gt" | "amp" | "quot" | "apos")
            || number.and_then(char::from_u32).is_some_and(is_char)
    })
}

#[test]
fn what_is_well_formed() {
    for (text, fine) in [
        ("<a/>", true),
        ("<a b=\"c\" d=\"&lt;\"><b/>x &amp; &#65;&#xe9;<c>y</c></a>\n", true),
        ("", false),
        ("x<a/>", false),
        ("<a/><b/>", false),
        ("<a><b></a></b>", false),
        ("<a>", false),
        ("</a>", false),
        ("<a", false),
        ("<a>&</a>", false),
        ("<a>&nbsp;</a>", false),
        ("<a>&#1;</a>", false),
        ("<a>\u{1}</a>", false),
        ("<a>\u{ffff}</a>", false),
        ("<a>]]></a>", false),
        ("<a b=c/>", false),
        ("<a b=\"c/>", false),
        ("<1/>", false),
        ("<a><!-- --></a>", false),
    ] {
        let document = format!("<?xml version=\"1.0\"?>{text}");
        assert_eq!(check(&document).is_ok(), fine, "{text}: {:?}", check(&document));
    }
    assert!(check("<a/>").is_err());
}
