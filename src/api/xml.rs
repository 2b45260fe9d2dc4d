//! Writing the answers: elements, one after the other, without white space between them.
//!
//! Holds the writer. Refuses to know any shape: what an element is called and what stands in it is
//! said beside its noun in `operation/`. Every value is escaped here, so a hostile tag comes back as
//! the text that it is.

use std::fmt::{Display, Write};

use crate::report::xml::Text;

/// An XML document, or a part of one, being written. Element names are the program's own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// An empty document with its declaration.
    pub fn document() -> Xml {
        Xml("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// A part of a document.
    pub fn part() -> Xml {
        Xml::default()
    }

    /// What has been written.
    pub fn finish(self) -> String {
        self.0
    }

    /// A part that was written before.
    pub fn raw(&mut self, part: &str) {
        self.0.push_str(part);
    }

    /// An element that holds a value.
    pub fn text(&mut self, name: &str, value: impl Display) {
        self.open(name);
        self.escaped(value);
        self.close(name);
    }

    /// An element that holds a value, if there is one.
    pub fn maybe(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// An element that holds others; without any it is empty, as `<tagSet/>`.
    pub fn group(&mut self, name: &str, inside: impl FnOnce(&mut Xml)) {
        self.open(name);
        let before = self.0.len();
        inside(self);
        if self.0.len() == before {
            // `<name>` becomes `<name/>`.
            self.0.truncate(before - 1);
            self.0.push_str("/>");
        } else {
            self.close(name);
        }
    }

    /// The outermost element, of a namespace.
    pub fn group_of(&mut self, name: &str, namespace: &str, inside: impl FnOnce(&mut Xml)) {
        // Writing into a string cannot fail.
        let _ = write!(self.0, "<{name} xmlns=\"{}\">", crate::report::xml::Attribute(namespace));
        inside(self);
        self.close(name);
    }

    /// A list: an `item` for each row.
    pub fn set<T>(
        &mut self,
        name: &str,
        rows: impl IntoIterator<Item = T>,
        mut item: impl FnMut(&mut Xml, T),
    ) {
        self.group(name, |xml| {
            for row in rows {
                xml.group("item", |xml| item(xml, row));
            }
        });
    }

    /// A list of plain values: `<item>value</item>` for each.
    pub fn values<T: Display>(&mut self, name: &str, rows: impl IntoIterator<Item = T>) {
        self.group(name, |xml| {
            for row in rows {
                xml.text("item", row);
            }
        });
    }

    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    fn escaped(&mut self, value: impl Display) {
        /// Escapes what is printed into it, so that ids and numbers need no string of their own.
        struct Escaping<'a>(&'a mut String);
        impl Write for Escaping<'_> {
            fn write_str(&mut self, s: &str) -> std::fmt::Result {
                write!(self.0, "{}", Text(s))
            }
        }
        let _ = write!(Escaping(&mut self.0), "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_side_by_side_and_values_are_escaped() {
        let mut xml = Xml::document();
        xml.group_of("R", "http://n/", |xml| {
            xml.text("id", 7);
            xml.maybe("none", None::<u8>);
            xml.set("tagSet", Vec::<u8>::new(), |_, _| {});
            xml.set("list", ["<a>", "b&"], |xml, value| xml.text("key", value));
            xml.values("plain", ["x"]);
        });
        assert_eq!(
            xml.finish(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://n/\"><id>7</id><tagSet/>\
             <list><item><key>&lt;a&gt;</key></item><item><key>b&amp;</key></item></list>\
             <plain><item>x</item></plain></R>"
        );
    }
}
