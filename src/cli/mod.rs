//! Level 7, the command line: flags to calls.
//!
//! Holds the one table of commands and flags, from which help and completions derive, and the exit
//! codes. Refuses to hold logic: whatever decides something is below. Results go to standard output,
//! everything else to standard error; a closed pipe is not an error.

mod bench;
mod explain;
mod lint;
#[cfg(target_os = "linux")]
mod live;
mod output;
mod output_files;
mod progress;
mod remote;
mod run;
mod serve;
mod trace;
#[cfg(target_os = "linux")]
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

use output::Output;
use output_files::{Existing, Packing};

use crate::base::diag::Colour;

/// A packet-level network emulator for cloud VPCs and VPC peering.
#[derive(Debug, Parser)]
#[command(name = "vpclab", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Args {
    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    color: When,
    /// Tell each step on standard error while it is taken
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 every expectation held, 1 some did not, 2 could not run.";

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and check their expectations
    Run(run::Args),
    /// Validate scenario files without running their steps
    Check(run::CheckArgs),
    /// Explain one packet hop by hop, there and back
    Trace(trace::Args),
    /// Say what is legal and will surprise
    Lint(lint::Args),
    /// Measure how many packets a second this machine forwards
    Bench(bench::Args),
    /// Serve the EC2 API: AWS clients build networks here, and packets cross them
    Serve(serve::Args),
    /// Ping from one instance of a running server to another
    Ping(remote::Ping),
    /// Send datagrams between instances of a running server
    Udp(remote::Udp),
    /// Open a TCP connection between instances of a running server
    Tcp(remote::Tcp),
    /// Write the network of a running server as a network file
    Export(remote::Export),
    /// Bring a network to life: each instance is a host that runs real programs
    #[cfg(target_os = "linux")]
    Up(up::Args),
    /// Run a program on a live instance
    #[cfg(target_os = "linux")]
    Exec(live::Exec),
    /// List running labs and their instances
    #[cfg(target_os = "linux")]
    Ps(live::Ps),
    /// End labs
    #[cfg(target_os = "linux")]
    Down(live::Down),
    /// What `up` starts inside
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    LabInside(up::Args),
    /// What `exec` starts inside
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    ExecInside(live::ExecInside),
    /// Explain a drop reason, a lint rule or an error code
    Explain(explain::Args),
    /// Print the JSON Schema of scenario files
    Schema {
        /// That of network files instead
        #[arg(long)]
        network: bool,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Flags that say where the files of a run go.
#[derive(Debug, clap::Args)]
struct Files {
    /// Write one pcapng capture for each scenario into this directory
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// Write flow logs into this directory, one folder for each scenario; a scenario that has none
    /// gets one of every VPC
    #[arg(long, value_name = "DIR")]
    flow_logs: Option<PathBuf>,
    /// Compress flow logs
    #[arg(long, requires = "flow_logs")]
    flow_logs_gzip: bool,
    /// Write a JUnit report to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Overwrite files that exist
    #[arg(long)]
    force: bool,
}

impl Files {
    fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }

    fn packing(&self) -> Packing {
        if self.flow_logs_gzip { Packing::Gzip } else { Packing::Plain }
    }
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Exit {
    Held,
    NotHeld,
    CouldNotRun,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Held => 0,
            Exit::NotHeld => 1,
            Exit::CouldNotRun => 2,
        })
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // `--help` and `--version` arrive here too, with code 0. Nothing to be done if the
            // message itself cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = Output::new(args.color);
    // A server tells what it does; of the others only who asks for it hears anything.
    let level = match (args.verbose, &args.command) {
        (true, _) => Some(tracing::Level::DEBUG),
        (false, Command::Serve(_)) => Some(tracing::Level::WARN),
        #[cfg(target_os = "linux")]
        (false, Command::LabInside(_)) => Some(tracing::Level::WARN),
        (false, _) => None,
    };
    if let Some(level) = level {
        log(level, out.error_colour());
    }
    let result = match args.command {
        Command::Run(args) => run::run(&args, &mut out),
        Command::Check(args) => run::check(&args, &mut out),
        Command::Trace(args) => trace::trace(&args, &mut out),
        Command::Lint(args) => lint::run(&args, &mut out),
        Command::Bench(args) => bench::run(&args, &mut out),
        Command::Serve(args) => serve::serve(&args, &mut out),
        Command::Ping(args) => remote::ping(&args, &mut out),
        Command::Udp(args) => remote::udp(&args, &mut out),
        Command::Tcp(args) => remote::tcp(&args, &mut out),
        Command::Export(args) => remote::export(&args, &mut out),
        #[cfg(target_os = "linux")]
        Command::Up(args) => return live::up(&args, &mut out),
        #[cfg(target_os = "linux")]
        Command::Exec(args) => return live::exec(&args, &mut out),
        #[cfg(target_os = "linux")]
        Command::ExecInside(args) => return live::exec_inside(&args, &mut out),
        #[cfg(target_os = "linux")]
        Command::LabInside(args) => live::inside(&args, &mut out),
        #[cfg(target_os = "linux")]
        Command::Ps(args) => live::ps(&args, &mut out),
        #[cfg(target_os = "linux")]
        Command::Down(args) => live::down(&args, &mut out),
        Command::Explain(args) => explain::explain(&args, &mut out),
        Command::Schema { network } => schema(network, &mut out),
        Command::Completions { shell } => completions(shell, &mut out),
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever read the output has had enough of it.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&format!("error: {error}"));
            Exit::CouldNotRun.into()
        }
    }
}

/// Events of the library go to standard error.
fn log(level: tracing::Level, colour: Colour) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(colour == Colour::Ansi)
        .without_time()
        .with_target(false)
        .init();
}

fn schema(network: bool, out: &mut Output) -> std::io::Result<Exit> {
    use crate::scenario::schema;
    let schema = if network { schema::network_schema() } else { schema::schema() };
    out.json(&schema)?;
    Ok(Exit::Held)
}

fn completions(shell: clap_complete::Shell, out: &mut Output) -> std::io::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "vpclab", &mut text);
    out.print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Held)
}
