//! `vpclab explain`: the long form of a drop reason, of a reason for which a name does not resolve, of
//! a lint rule, of an error code, or the list of them.

use std::fmt::Write;
use std::io;

use super::Exit;
use super::output::Output;
use crate::base::diag::quote;
use crate::cloud::dns;
use crate::forward::DropReason;
use crate::forward::reason::{MISDELIVERED, MISDELIVERED_CURE, MISDELIVERED_WHAT};
use crate::reach::lint::LintRule;
use crate::scenario::code;
use crate::scenario::near::nearest;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A drop reason (`transit`), an AWS analyzer code (`NO_ROUTE_TO_DESTINATION`), a reason for which
    /// a name does not resolve (`dns-option-off`), a lint rule (`hub-transit`) or an error code
    /// (`E0201`); without it all of them are listed
    topic: Option<String>,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

/// One thing that can be explained.
struct Topic {
    key: &'static str,
    aws_code: Option<&'static str>,
    what: String,
    cure: Option<&'static str>,
}

fn topics() -> Vec<Topic> {
    let reason = |reason: &DropReason| Topic {
        key: reason.label(),
        aws_code: reason.aws_code(),
        what: reason.what().to_owned(),
        cure: Some(reason.cure()),
    };
    let misdelivered = Topic {
        key: MISDELIVERED,
        aws_code: None,
        what: MISDELIVERED_WHAT.to_owned(),
        cure: Some(MISDELIVERED_CURE),
    };
    let unresolved = |reason: dns::Reason| Topic {
        key: reason.label(),
        aws_code: None,
        what: reason.what().to_owned(),
        cure: Some(reason.cure()),
    };
    let lint = |rule: &LintRule| Topic {
        key: rule.label(),
        aws_code: None,
        what: format!("{} (A {} of `vpclab lint`.)", rule.what(), rule.severity().name()),
        cure: Some(rule.advice()),
    };
    let error = |row: &code::Explanation| Topic {
        key: row.code,
        aws_code: None,
        what: format!("{}. {}", row.title, row.text),
        cure: None,
    };
    let reasons = DropReason::ALL.iter().map(reason);
    let names = dns::Reason::ALL.into_iter().map(unresolved);
    let rules = LintRule::ALL.iter().map(lint);
    let errors = code::ALL.iter().map(error);
    reasons.chain([misdelivered]).chain(names).chain(rules).chain(errors).collect()
}

/// `vpclab explain`.
pub(super) fn explain(args: &Args, out: &mut Output) -> io::Result<Exit> {
    let all = topics();
    let wanted: Vec<&Topic> = match &args.topic {
        None => all.iter().collect(),
        Some(text) => {
            let by_key = |t: &&Topic| t.key.eq_ignore_ascii_case(text);
            let by_aws = |t: &&Topic| t.aws_code.is_some_and(|c| c.eq_ignore_ascii_case(text));
            all.iter().filter(|t| by_key(t) || by_aws(t)).collect()
        }
    };
    if wanted.is_empty() {
        let text = args.topic.as_deref().unwrap_or_default();
        let known = all.iter().flat_map(|t| [Some(t.key), t.aws_code]).flatten();
        let help = match nearest(text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`vpclab explain` lists everything that can be explained".to_owned(),
        };
        out.error(&format!("error: nothing is called {}\n  = help: {help}", quote(text)));
        return Ok(Exit::CouldNotRun);
    }
    if args.json {
        let rows: Vec<serde_json::Value> = wanted.iter().map(|t| t.json()).collect();
        out.json(&serde_json::Value::Array(rows))?;
    } else if args.topic.is_none() {
        let width = wanted.iter().map(|t| t.key.len()).max().unwrap_or_default();
        let mut text = String::new();
        for topic in wanted {
            let first = topic.what.split(". ").next().unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:width$}  {first}", topic.key);
        }
        out.print(&text)?;
    } else {
        let texts: Vec<String> = wanted.iter().map(|t| t.long()).collect();
        out.print(&texts.join("\n"))?;
    }
    Ok(Exit::Held)
}

impl Topic {
    fn long(&self) -> String {
        let mut text = self.key.to_owned();
        if let Some(code) = self.aws_code {
            let _ = write!(text, "  (AWS Reachability Analyzer: {code})");
        }
        let _ = write!(text, "\n\n{}\n", self.what);
        if let Some(cure) = self.cure {
            let _ = write!(text, "\nWhat to do: {cure}\n");
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "key": self.key, "aws_code": self.aws_code, "what": self.what, "cure": self.cure,
        })
    }
}
