//! `vpclab trace`: one packet explained hop by hop, there and back.

use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Exit;
use super::output::Output;
use super::remote;
use crate::report::terminal;
use crate::scenario::ast::{Destination, Label};
use crate::scenario::trace::{Carrying, Passed, Question};
use crate::scenario::{load, run, trace};
use crate::sim::Twin;
use crate::wire::Family;

/// Flags of `trace`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file whose declared network is looked at; its steps are not taken
    #[arg(required_unless_present = "endpoint")]
    file: Option<PathBuf>,
    /// Look at the network of this running server instead; hosts are `i-...`, `eni-...` and addresses
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    endpoint: Option<String>,
    /// The instance, or host outside the cloud, that sends
    #[arg(long, value_name = "HOST")]
    from: String,
    /// The instance, outside host or address that it sends to; `public(INSTANCE)` for an instance's public
    /// address, `VPC:ADDRESS` where two VPCs have the address
    #[arg(long, value_name = "HOST|ADDRESS")]
    to: String,
    /// What the packet carries
    #[arg(long, value_enum, default_value_t = Proto::Icmp)]
    proto: Proto,
    /// The port it is for, with `--proto udp` or `tcp` [default: 443]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Bytes of payload, with `--proto icmp` or `udp`: does the way take a packet of this length, which
    /// may not be cut up? [default: 56 and 0]
    #[arg(long, value_name = "BYTES")]
    size: Option<u16>,
    /// Use the instance's IPv6 address
    #[arg(long)]
    ipv6: bool,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Proto {
    Icmp,
    Udp,
    Tcp,
}

/// What most would ask about.
const PORT_DEFAULT: u16 = 443;

/// `vpclab trace`. Exit code 1 says that packet or answer do not arrive.
pub(super) fn trace(args: &Args, out: &mut Output) -> io::Result<Exit> {
    if let Err(error) = check(args) {
        out.error(&format!("error: {error}"));
        return Ok(Exit::CouldNotRun);
    }
    // Clap sees to it that one of the two is there.
    match (&args.endpoint, &args.file) {
        (Some(endpoint), _) => remote::trace(&asked(args, endpoint), out),
        (None, Some(file)) => in_file(args, file, out),
        (None, None) => Ok(Exit::CouldNotRun),
    }
}

fn asked<'a>(args: &'a Args, endpoint: &'a str) -> remote::Trace<'a> {
    let protocol = match args.proto {
        Proto::Icmp => "icmp",
        Proto::Udp => "udp",
        Proto::Tcp => "tcp",
    };
    remote::Trace {
        endpoint,
        from: &args.from,
        to: &args.to,
        protocol,
        port: args.port,
        size: args.size,
        ipv6: args.ipv6,
        json: args.json,
    }
}

fn in_file(args: &Args, file: &Path, out: &mut Output) -> io::Result<Exit> {
    let built = load::load(file).and_then(|loaded| run::build(&loaded, None, Twin::Compiled));
    let mut built = match built {
        Ok(built) => built,
        Err(failure) => {
            out.diagnostics(&failure.diagnostics.render(&failure.sources, out.error_colour()));
            return Ok(Exit::CouldNotRun);
        }
    };
    let question = match question(args) {
        Ok(question) => question,
        Err(error) => {
            out.error(&format!("error: {error}"));
            return Ok(Exit::CouldNotRun);
        }
    };
    let traced = match trace::trace(&mut built, &question) {
        Ok(traced) => traced,
        Err(error) => {
            out.error(&format!("error: {error}"));
            return Ok(Exit::CouldNotRun);
        }
    };
    if args.json {
        out.json(&crate::report::json::trace_document(&traced.walks))?;
    } else {
        out.print(&terminal::walks(&traced.walks))?;
    }
    Ok(match traced.passed {
        Passed::Both => Exit::Held,
        Passed::No => Exit::NotHeld,
    })
}

/// Flags that cannot stand together.
fn check(args: &Args) -> Result<(), &'static str> {
    if args.proto == Proto::Icmp && args.port.is_some() {
        return Err("--port needs `--proto udp` or `--proto tcp`");
    }
    if args.proto == Proto::Tcp && args.size.is_some() {
        return Err("--size needs `--proto icmp` or `--proto udp`");
    }
    Ok(())
}

fn question(args: &Args) -> Result<Question, String> {
    let port = args.port.unwrap_or(PORT_DEFAULT);
    let wrong = |flag: &str, error: &dyn std::fmt::Display| format!("--{flag}: {error}");
    Ok(Question {
        from: args.from.parse::<Label>().map_err(|error| wrong("from", &error))?,
        to: args.to.parse::<Destination>().map_err(|error| wrong("to", &error))?,
        family: args.ipv6.then_some(Family::V6),
        carrying: match args.proto {
            Proto::Icmp => Carrying::Echo,
            Proto::Udp => Carrying::Udp(port),
            Proto::Tcp => Carrying::Tcp(port),
        },
        payload: args.size,
    })
}
