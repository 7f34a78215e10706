//! The command, with the module that is built in.

mod fix;
mod folder;
mod lsp;
mod many;
mod mistakes;
mod project_file;
#[cfg(unix)]
mod rendered;
