//! The `telewarden-operator` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use telewarden_operator::Cli;

fn main() -> ExitCode {
    telewarden_operator::run(Cli::parse())
}
