//! The command `telewarden`: [`telewarden`]'s library for people, on files.
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
