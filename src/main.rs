//! The program: hands the command line to [`vpclab::cli`] and its answer to the shell.

use std::process::ExitCode;

fn main() -> ExitCode {
    vpclab::cli::main()
}
