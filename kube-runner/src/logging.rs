//! Logs, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, LogFormat};

/// Starts logging as set on the command line.
pub(crate) fn start(cli: &Cli) {
    let format = cli.log_format.unwrap_or(match cli.command {
        Command::Run(_) | Command::Compile => LogFormat::Json,
        Command::Diff(_) | Command::Apply(_) | Command::Doctor(_) | Command::Status(_) | Command::Rotate(_) => {
            LogFormat::Text
        }
    });
    let filter = EnvFilter::try_new(&cli.log).unwrap_or_else(|_| EnvFilter::new("info"));
    // Its warnings contain the answers that it cannot read, with all tokens in them.
    let without_answers = ["kube_client=error", "kube_client::client=error"];
    let filter = without_answers.into_iter().fold(filter, |filter, directive| {
        filter.add_directive(directive.parse().expect("a directive"))
    });
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init(),
        LogFormat::Text => log.without_time().with_target(false).init(),
    }
}
