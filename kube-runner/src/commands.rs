//! The commands.

mod apply;
mod diff;
mod doctor;
mod rotate;
mod run;
mod status;

use std::process::ExitCode;

use crate::cli::Command;
use crate::error::Error;
use crate::module;

/// Runs a command.
pub(crate) async fn dispatch(command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run(arguments) => run::run(arguments).await,
        Command::Diff(arguments) => diff::diff(arguments).await,
        Command::Apply(arguments) => apply::apply(arguments).await,
        Command::Rotate(arguments) => rotate::rotate(arguments).await,
        Command::Status(arguments) => status::status(arguments).await,
        Command::Doctor(arguments) => doctor::doctor(arguments).await,
        Command::Compile => module::compile_stdin().await.map(|()| ExitCode::SUCCESS),
    }
}
