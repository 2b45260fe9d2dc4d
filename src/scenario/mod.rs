//! Scenario files: text to a typed tree, with every error of a file at its place, and then to an
//! outcome.
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
//! | `totals`   | an [`ast::File`] | complaints about networks that are too large |
//!
//! A file without complaints is run by [`run`](mod@run), with these:
//!
//! | module     | from | to |
//! |------------|------|----|
//! | `lower`    | the declared network | commands to the cloud, and complaints about what it refuses |
//! | `stage`    | labels | what they stand for at this point of the timeline |
//! | `step`     | a step | a command, or packets to be sent |
//! | `judge`    | an expectation and what happened | a verdict, and both in the same words |
//!
//! [`trace`](mod@trace) walks one packet instead of taking steps, and [`lint`](mod@lint) says what will surprise. Beside them, [`schema`] turns the
//! table of the format into a JSON Schema and a reference, and [`code`] has the long form of every
//! complaint.

pub mod ast;
pub mod capture;
pub mod code;
pub mod decode;
#[cfg(test)]
mod exported;
pub mod format;
mod judge;
pub mod label;
pub mod lint;
pub mod load;
mod lower;
pub mod names;
pub(crate) mod near;
#[cfg(test)]
mod rows;
pub mod run;
pub mod schema;
pub mod shape;
mod stage;
mod step;
mod totals;
pub mod trace;
pub mod yaml;
