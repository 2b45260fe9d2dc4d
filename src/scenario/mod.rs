//! Scenario files: text to a typed tree, with every error of a file at its place.
//!
//! The format is described in `docs/scenario-format.md`. A file passes through these, in order:
//!
//! | module     | from | to |
//! |------------|------|----|
//! | [`load`]   | a path | texts: the file and the network file it names |
//! | [`yaml`]   | a text | a tree of mappings, lists and scalars with their places |
//! | [`shape`]  | that tree and the table in [`format`](mod@format) | complaints about keys and kinds |
//! | [`decode`] | that tree | [`ast::File`]: real types, and complaints about values |
//! | [`names`]  | an [`ast::File`] | complaints about labels nobody introduced |
//!
//! Beside them, [`schema`] turns the same table into a JSON Schema and a reference, and [`code`] has
//! the long form of every complaint. Nothing in the passes above is about how a file is run.

pub mod ast;
pub mod capture;
pub mod code;
pub mod decode;
pub mod format;
mod judge;
pub mod label;
pub mod load;
mod lower;
pub mod names;
mod near;
pub mod run;
pub mod schema;
pub mod shape;
mod stage;
mod step;
pub mod trace;
pub mod yaml;
