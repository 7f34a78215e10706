//! The command line. Subcommands about registries, and about the metadata that these have, need the feature `registry`.

#[cfg(feature = "registry")]
mod annotate;
mod baseline;
mod check;
mod completions;
mod explain;
mod failure;
mod fix;
mod ignore;
mod in_order;
mod init;
mod input;
#[cfg(feature = "registry")]
mod inspect;
mod lsp;
mod module;
mod output;
mod policies;
mod project_file;
#[cfg(feature = "registry")]
mod pull;
#[cfg(feature = "registry")]
mod push;
mod render;
mod rendered;
mod report;
mod review;
mod rule;
mod schema;
mod skip;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Check and render the scrape annotations of Argo CD Applications and Kubernetes Namespaces, as the policy does.
#[derive(Debug, Parser)]
#[command(name = "telewarden", version, max_term_width = 100, propagate_version = false)]
#[command(after_help = "Exit status: 0 fine, 1 findings, 2 could not run. Reference: docs/cli.md")]
struct Cli {
    #[command(flatten)]
    color: colorchoice_clap::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::Args),
    Fix(fix::Args),
    Render(render::Args),
    Explain(explain::Args),
    Init(init::Args),
    Lsp(lsp::Args),
    Schema(schema::Args),
    Rule(rule::Args),
    Review(review::Args),
    Policies(policies::Args),
    #[cfg(feature = "registry")]
    Annotate(annotate::Args),
    #[cfg(feature = "registry")]
    Inspect(inspect::Args),
    #[cfg(feature = "registry")]
    Push(push::Args),
    #[cfg(feature = "registry")]
    Pull(pull::Args),
    Completions(completions::Args),
}

/// The result of a run. Of several results, the worst counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Status {
    /// No findings, or only warnings.
    Fine = 0,
    /// There are findings.
    Findings = 1,
    /// Something could not be read, run or written.
    CouldNotRun = 2,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.write_global();
    match cli.command {
        Command::Validate(args) => validate::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Lsp(args) => lsp::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Rule(args) => rule::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Policies(args) => policies::run(&args),
        #[cfg(feature = "registry")]
        Command::Annotate(args) => annotate::run(&args),
        #[cfg(feature = "registry")]
        Command::Inspect(args) => inspect::run(&args),
        #[cfg(feature = "registry")]
        Command::Push(args) => push::run(&args),
        #[cfg(feature = "registry")]
        Command::Pull(args) => pull::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
    .into()
}

/// The definition of the command line, for completions.
pub(crate) fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
