//! The filters of a Describe operation.
//!
//! Holds parsing and matching: all filters must match, each by one of its values; `*` is any run of
//! characters, `?` is one, `\` takes the next one as it is; case counts (vpc-semantics 6.2). Refuses
//! to know what a resource has: rows say the values of their fields themselves.

use super::fault::Fault;
use super::params::Params;
use crate::base::limit::{API_FILTER_VALUES_MAX, API_FILTERS_MAX};

/// The filters of one request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filters(Vec<Filter>);

/// One filter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    name: String,
    values: Vec<Pattern>,
}

/// A value with its wildcards.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pattern {
    marks: Vec<Mark>,
    /// The text, if there is no wildcard in it.
    plain: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    One(char),
    AnyOne,
    AnyRun,
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let mut marks = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            marks.push(match c {
                '*' => Mark::AnyRun,
                '?' => Mark::AnyOne,
                '\\' => Mark::One(chars.next().unwrap_or('\\')),
                c => Mark::One(c),
            });
        }
        let plain = marks.iter().map(|mark| match mark {
            Mark::One(c) => Some(*c),
            Mark::AnyOne | Mark::AnyRun => None,
        });
        Pattern { plain: plain.collect(), marks }
    }

    /// Linear in both lengths together at best, in their product at worst.
    fn matches(&self, text: &str) -> bool {
        if let Some(plain) = &self.plain {
            return plain == text;
        }
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut mark) = (0, 0);
        // Where the last run began, and how far it reaches: it is given one more character whenever
        // what follows it does not match.
        let mut run: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.marks.get(mark) {
                Some(Mark::AnyRun) => {
                    run = Some((mark, at));
                    mark += 1;
                }
                Some(Mark::AnyOne) => (at, mark) = (at + 1, mark + 1),
                Some(Mark::One(c)) if *c == text[at] => (at, mark) = (at + 1, mark + 1),
                _ => match run {
                    Some((began, reached)) => {
                        run = Some((began, reached + 1));
                        (mark, at) = (began + 1, reached + 1);
                    }
                    None => return false,
                },
            }
        }
        self.marks[mark..].iter().all(|mark| *mark == Mark::AnyRun)
    }
}

impl Filters {
    /// The filters of a request. `known` are the names that the operation has; `tag:<key>` stands for
    /// one of any key.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a name that the operation does not have, and
    /// `FilterLimitExceeded` with too many of them.
    pub fn parse(params: &Params, known: &[&str]) -> Result<Filters, Fault> {
        let mut filters = Vec::new();
        for row in params.rows("Filter") {
            if filters.len() >= API_FILTERS_MAX {
                let message = format!("A request can have at most {API_FILTERS_MAX} filters.");
                return Err(Fault::new("FilterLimitExceeded", message));
            }
            let name = row.needed("Name").map_err(|_| Fault::missing("Filter.Name"))?;
            let is_known = known.iter().any(|known| match known.strip_suffix("<key>") {
                Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
                None => *known == name,
            });
            if !is_known {
                let message = format!("The filter '{name}' is invalid");
                return Err(Fault::new("InvalidParameterValue", message));
            }
            let values: Vec<Pattern> = row.list("Value").map(Pattern::new).collect();
            if values.is_empty() {
                return Err(Fault::new("InvalidParameterValue", "The filter 'null' is invalid"));
            }
            if values.len() > API_FILTER_VALUES_MAX {
                let message =
                    format!("The maximum number of filter values is {API_FILTER_VALUES_MAX}.");
                return Err(Fault::new("FilterLimitExceeded", message));
            }
            filters.push(Filter { name: name.to_owned(), values });
        }
        Ok(Filters(filters))
    }

    /// Do all filters match, of a row whose fields `values` tells?
    pub fn match_all(&self, mut values: impl FnMut(&str, &mut Values<'_>)) -> bool {
        self.0.iter().all(|filter| {
            let mut found = Values { filter, matched: false };
            values(&filter.name, &mut found);
            found.matched
        })
    }

    /// The filters on tags: each key that there must be, with the values that it must have, if they
    /// have no wildcards.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Option<Vec<&str>>)> {
        self.0.iter().filter_map(|filter| {
            let plain = filter.values.iter().map(|value| value.plain.as_deref());
            let plain: Option<Vec<&str>> = plain.collect();
            match (filter.name.strip_prefix("tag:"), plain.as_deref()) {
                (Some(key), _) => Some((key, plain)),
                // Several keys would be several searches; then it says too little.
                (None, Some([key])) if filter.name == "tag-key" => Some((*key, None)),
                _ => None,
            }
        })
    }

    /// The values that a field must have, if some filter names it and has no wildcards: what an index
    /// can be asked for.
    pub fn exactly(&self, name: &str) -> Option<Vec<&str>> {
        let filter = self.0.iter().find(|filter| filter.name == name)?;
        filter.values.iter().map(|value| value.plain.as_deref()).collect()
    }
}

/// The values of one field of one row, as they are told.
#[derive(Debug)]
pub struct Values<'f> {
    filter: &'f Filter,
    matched: bool,
}

impl Values<'_> {
    /// The field has this value too.
    pub fn is(&mut self, value: &str) {
        self.matched = self.matched || self.filter.values.iter().any(|v| v.matches(value));
    }

    /// As [`Values::is`], of something that can be printed.
    pub fn shows(&mut self, value: impl std::fmt::Display) {
        if !self.matched {
            self.is(&value.to_string());
        }
    }

    /// The field has this value, if it has one.
    pub fn maybe(&mut self, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.shows(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, matches) in [
            ("abc", "abc", true),
            ("abc", "ABC", false),
            ("a*c", "abbbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a\\*c", "a*c", true),
            ("a\\*c", "abc", false),
            ("a\\*?", "a*x", true),
            ("*", "", true),
            ("?", "", false),
            ("10.0.*", "10.0.0.0/16", true),
            ("*ab", "aab", true),
            ("", "", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), matches, "{pattern} of {text}");
        }
    }

    #[test]
    fn filters_are_all_asked_and_values_any() {
        let form = b"Filter.1.Name=a&Filter.1.Value.1=x&Filter.1.Value.2=y&Filter.2.Name=tag:k&Filter.2.Value=v";
        let params = Params::parse([&form[..]]).unwrap();
        let filters = Filters::parse(&params, &["a", "tag:<key>"]).unwrap();
        let row = |a: &str, tag: &str| {
            filters.match_all(|name, out| match name {
                "a" => out.is(a),
                _ => out.is(tag),
            })
        };
        assert!(row("y", "v"));
        assert!(!row("z", "v"));
        assert!(!row("x", "w"));
        assert_eq!(filters.exactly("a"), Some(vec!["x", "y"]));
        assert_eq!(filters.exactly("b"), None);
        let on_tags: Vec<_> = filters.tags().collect();
        assert_eq!(on_tags, [("k", Some(vec!["v"]))]);
        assert!(Filters::parse(&params, &["a"]).is_err());
    }
}
