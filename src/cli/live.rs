//! `vpclab up`, `exec`, `ps` and `down`: labs of real processes.
//!
//! Holds the flags and what the commands print. Refuses to know what runs inside a lab: that is
//! `up`'s.

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::process::ExitCode;

use super::output::Output;
use super::{Exit, up};
use crate::live::LiveError;
use crate::live::control::{self, HostLine, Lab};
use crate::live::exec::Handles;
use crate::live::lab::{Inside, Outcome, Setup, Stay};
use crate::live::name::LabName;

/// Flags of `exec`.
#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    /// The lab; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    lab: Option<LabName>,
    /// The instance: its label, id or address
    #[arg(value_name = "INSTANCE")]
    host: String,
    /// What to run there
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// Flags of what `exec` starts inside.
#[derive(Debug, clap::Args)]
pub(super) struct ExecInside {
    #[arg(long)]
    mount: RawFd,
    #[arg(long)]
    files: RawFd,
    #[arg(long)]
    asker: u32,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
pub(super) struct Ps {
    /// Print them as JSON instead
    #[arg(long)]
    json: bool,
}

/// Flags of `down`.
#[derive(Debug, clap::Args)]
pub(super) struct Down {
    /// The labs; may be left out if there is only one
    #[arg(value_name = "NAME")]
    names: Vec<LabName>,
    /// All of this user's labs
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// `vpclab up`: checks the file, makes the lab and waits for it.
pub(super) fn up(args: &up::Args, out: &mut Output) -> ExitCode {
    let carried = match up::check(args, out) {
        Ok(carried) => carried,
        Err(exit) => return exit.into(),
    };
    let name = args.name.clone().unwrap_or_else(|| LabName::of_file(&args.file));
    let setup = Setup {
        name: name.clone(),
        stay: if args.detach { Stay::Detached } else { Stay::Foreground },
        arguments: arguments_inside(),
        carried,
    };
    match crate::live::lab::outside(setup) {
        Ok(Outcome::Ended(code)) => ExitCode::from(code.0),
        Ok(Outcome::Running) => {
            // To a closed pipe, perhaps: the lab runs all the same.
            let _ = out.print(&format!("lab `{name}` runs; `vpclab down {name}` ends it\n"));
            Exit::Held.into()
        }
        Err(error) => could_not(&error, out).into(),
    }
}

/// This process's own arguments with another command: what comes before it are flags for all.
fn arguments_inside() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(command) = arguments.iter_mut().find(|argument| *argument == "up") {
        *command = "lab-inside".into();
    }
    arguments
}

/// What `up` starts inside.
pub(super) fn inside(args: &up::Args, out: &mut Output) -> io::Result<Exit> {
    let ended = Inside::take().and_then(|lab| up::inside(args, lab, out));
    Ok(ended.unwrap_or_else(|error| could_not(&error, out)))
}

/// `vpclab exec`.
pub(super) fn exec(args: &Exec, out: &mut Output) -> ExitCode {
    let arguments = |handles: Handles| {
        let own = ["exec-inside".to_owned(), format!("--mount={}", handles.mount)];
        let files = [
            format!("--files={}", handles.files),
            format!("--asker={}", handles.asker),
            "--".to_owned(),
        ];
        let own = own.into_iter().chain(files).map(OsString::from);
        own.chain(args.command.iter().cloned()).collect()
    };
    let ended = control::choose(args.lab.as_ref())
        .and_then(|lab| crate::live::exec::exec(&lab, &args.host, arguments));
    match ended {
        Ok(code) => ExitCode::from(code.0),
        Err(error) => could_not(&error, out).into(),
    }
}

/// What `exec` starts inside.
pub(super) fn exec_inside(args: &ExecInside, out: &mut Output) -> ExitCode {
    let handles = Handles { mount: args.mount, files: args.files, asker: args.asker };
    let (code, error) = crate::live::exec::inside(handles, &args.command);
    could_not(&error, out);
    ExitCode::from(code.0)
}

/// `vpclab ps`.
pub(super) fn ps(args: &Ps, out: &mut Output) -> io::Result<Exit> {
    let labs = match control::labs() {
        Ok(labs) => labs,
        Err(error) => return Ok(could_not(&error, out)),
    };
    if args.json {
        out.json(&serde_json::json!({ "labs": labs }))?;
    } else {
        out.print(&table(&labs))?;
    }
    Ok(Exit::Held)
}

/// `vpclab down`.
pub(super) fn down(args: &Down, out: &mut Output) -> io::Result<Exit> {
    let names = match (args.all, args.names.is_empty()) {
        (true, _) => control::names(),
        (false, true) => control::choose(None).map(|name| vec![name]),
        (false, false) => Ok(args.names.clone()),
    };
    let names = match names {
        Ok(names) => names,
        Err(error) => return Ok(could_not(&error, out)),
    };
    let mut exit = Exit::Held;
    for name in names {
        match control::stop(&name) {
            Ok(()) => out.print(&format!("lab `{name}` has ended\n"))?,
            // With --all, whoever goes by itself meanwhile is as welcome.
            Err(LiveError::NoLab(_)) if args.all => {}
            Err(error) => exit = could_not(&error, out),
        }
    }
    Ok(exit)
}

fn could_not(error: &LiveError, out: &mut Output) -> Exit {
    out.error(&format!("error: {error}"));
    Exit::CouldNotRun
}

/// One row for each instance, as wide as it has to be.
fn table(labs: &[Lab]) -> String {
    let mut rows = vec![["LAB", "PID", "INSTANCE", "ID", "ADDRESSES"].map(str::to_owned)];
    for lab in labs {
        let none = HostLine { label: "-".into(), id: "-".into(), addresses: Vec::new() };
        let none = lab.hosts.is_empty().then_some(&none);
        for host in lab.hosts.iter().chain(none) {
            let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
            rows.push([
                lab.name.to_string(),
                lab.pid.to_string(),
                host.label.clone(),
                host.id.clone(),
                addresses.join(" "),
            ]);
        }
    }
    let widths: Vec<usize> = (0..4)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(&row[4]);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let host = |label: &str, addresses: &[&str]| HostLine {
            label: label.to_owned(),
            id: "i-1".to_owned(),
            addresses: addresses.iter().filter_map(|text| text.parse().ok()).collect(),
        };
        let lab = |name: &str, hosts| Lab { name: LabName::of_file(name.as_ref()), pid: 7, hosts };
        let labs = [
            lab("demo", vec![host("web", &["10.0.0.4", "2600::4"]), host("b", &["10.1.0.4"])]),
            lab("empty", Vec::new()),
        ];
        let want = "\
LAB    PID  INSTANCE  ID   ADDRESSES
demo   7    web       i-1  10.0.0.4 2600::4
demo   7    b         i-1  10.1.0.4
empty  7    -         -    
";
        assert_eq!(table(&labs), want);
    }
}
