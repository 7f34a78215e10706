//! `telewarden completions`

use clap_complete::Shell;

use super::Status;
use super::output;

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Status {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "telewarden", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
