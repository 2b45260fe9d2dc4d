//! The common course of every Describe operation: which rows, which of them match, which page.
//!
//! Holds filters and pages for rows of any kind. Refuses to know a resource: a [`Row`] tells its id,
//! its fields and its shape itself.

use super::dispatch::Ask;
use super::fault::Fault;
use super::filter::Values;
use super::xml::Xml;

/// A resource as a Describe operation shows it.
pub trait Row {
    /// What it is sorted by, unique: its id, for most. A page goes on behind one.
    fn key(&self) -> String;
    /// Tells the values of a field that a filter names. `tag:<key>`, `tag-key` and `owner-id` too.
    fn field(&self, ask: &Ask<'_>, name: &str, out: &mut Values<'_>);
    /// Writes its shape.
    fn write(&self, ask: &Ask<'_>, xml: &mut Xml);
}

/// How long a page may be wished (vpc-semantics 6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageBounds {
    /// The shortest.
    pub least: usize,
    /// The longest.
    pub most: usize,
}

impl PageBounds {
    /// Of most operations.
    pub const USUAL: PageBounds = PageBounds { least: 5, most: 1_000 };
    /// Of route tables.
    pub const TABLES: PageBounds = PageBounds { least: 5, most: 100 };
    /// Of stale groups.
    pub const STALE: PageBounds = PageBounds { least: 5, most: 255 };
    /// Of Network Insights.
    pub const INSIGHTS: PageBounds = PageBounds { least: 1, most: 100 };
}

/// A page that is asked for.
struct Page {
    most: usize,
    behind: Option<String>,
}

impl Page {
    fn asked(ask: &Ask<'_>, bounds: PageBounds) -> Result<Page, Fault> {
        let most = match ask.params.text("MaxResults") {
            None => usize::MAX,
            Some(text) => match text.parse() {
                Ok(most) if (bounds.least..=bounds.most).contains(&most) => most,
                _ => {
                    let message = format!(
                        "Value ( {text} ) for parameter maxResults is invalid. Expecting a value \
                         between {} and {}.",
                        bounds.least, bounds.most
                    );
                    return Err(Fault::new("InvalidParameterValue", message));
                }
            },
        };
        let behind =
            ask.params.text("NextToken").map(|token| read_token(ask, token)).transpose()?;
        Ok(Page { most, behind })
    }
}

/// The rows of one page, in order.
#[derive(Debug)]
pub struct Rows<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// What names the next page, if there is one.
    pub token: Option<String>,
}

/// The rows that match, of the page that is asked for. They are taken in any order.
///
/// # Errors
/// A filter or a page that cannot be.
pub fn page<R: Row>(
    ask: &Ask<'_>,
    bounds: PageBounds,
    rows: impl IntoIterator<Item = R>,
) -> Result<Rows<R>, Fault> {
    let page = Page::asked(ask, bounds)?;
    let filters = ask.filters()?;
    let mut matching: Vec<(String, R)> = rows
        .into_iter()
        .filter(|row| filters.match_all(|name, out| row.field(ask, name, out)))
        .map(|row| (row.key(), row))
        .filter(|(id, _)| page.behind.as_ref().is_none_or(|behind| id > behind))
        .collect();
    matching.sort_by(|a, b| a.0.cmp(&b.0));
    let more = matching.len() > page.most;
    matching.truncate(page.most);
    let last = matching.last().filter(|_| more);
    let token = last.map(|(last, _)| token(ask, last));
    Ok(Rows { rows: matching.into_iter().map(|(_, row)| row).collect(), token })
}

/// Answers a Describe operation with the rows that match, of the page that is asked for, as `set`.
/// Rows are taken in any order.
///
/// # Errors
/// A filter or a page that cannot be.
pub fn describe<R: Row>(
    ask: &Ask<'_>,
    xml: &mut Xml,
    set: &str,
    bounds: PageBounds,
    rows: impl IntoIterator<Item = R>,
) -> Result<(), Fault> {
    let page = page(ask, bounds, rows)?;
    xml.set(set, &page.rows, |xml, row| row.write(ask, xml));
    xml.maybe("nextToken", page.token);
    Ok(())
}

/// A token: hexadecimal digits, as opaque to clients as AWS's. It names the operation, so that one of
/// another operation is refused.
fn token(ask: &Ask<'_>, last: &str) -> String {
    let text = format!("{} {last}", ask.operation.name);
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(ask: &Ask<'_>, token: &str) -> Result<String, Fault> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = token.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let last =
        text.as_deref().and_then(|text| text.strip_prefix(ask.operation.name)?.strip_prefix(' '));
    last.map(str::to_owned)
        .ok_or_else(|| Fault::new("InvalidNextToken", format!("The token '{token}' is invalid.")))
}

/// Tells the fields that tags answer: `tag:<key>` and `tag-key`.
pub fn tag_fields(
    tags: &std::collections::BTreeMap<String, String>,
    name: &str,
    out: &mut Values<'_>,
) {
    if let Some(key) = name.strip_prefix("tag:") {
        out.maybe(tags.get(key));
    } else if name == "tag-key" {
        tags.keys().for_each(|key| out.is(key));
    }
}

/// Writes `tagSet`.
pub fn write_tags(xml: &mut Xml, tags: &std::collections::BTreeMap<String, String>) {
    xml.set("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key);
        xml.text("value", value);
    });
}
