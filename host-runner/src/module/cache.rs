//! Where compiled code is kept between processes, and whether it can be trusted there.
//!
//! Compiled code is run as it is, outside of any sandbox. A folder is used only where nobody but the user, or root, can have
//! written into it: the same rule that ssh has for its keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where compiled code is kept between processes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Cache {
    /// Nowhere.
    #[default]
    Off,
    /// In `compiled` in this folder. Both are made with mode 0700 where they do not exist. They are used only if they belong
    /// to the user or to root, and nobody else can write into them; [`Module::cache_problem`](crate::Module::cache_problem)
    /// tells. Where they cannot be made or written, the module is compiled each time.
    Folder(PathBuf),
}

/// Why compiled code is not taken from the cache, and not put there. The module was compiled.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheProblem {
    /// The folder belongs to somebody else.
    #[error(
        "compiled code is not kept in `{}`: the folder belongs to user {owner}, who decides what runs; name another one in \
         TELEWARDEN_CACHE",
        path.display()
    )]
    Owner {
        /// The folder.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
    },
    /// Others can write into the folder.
    #[error(
        "compiled code is not kept in `{}`: others can write into the folder (mode {mode:03o}), and decide what runs; delete \
         it, and it is made anew with mode 700",
        path.display()
    )]
    Writable {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl Cache {
    /// The user's own folder: `TELEWARDEN_CACHE`, else `telewarden` in `XDG_CACHE_HOME`, else in `~/.cache`. An empty
    /// `TELEWARDEN_CACHE` turns the cache off.
    pub fn of_user() -> Self {
        let variable = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let folder = match std::env::var_os("TELEWARDEN_CACHE") {
            Some(folder) if folder.is_empty() => None,
            Some(folder) => std::path::absolute(folder).ok(),
            // A relative path is invalid: <https://specifications.freedesktop.org/basedir-spec/latest/#variables>.
            None => variable("XDG_CACHE_HOME")
                .filter(|folder| folder.is_absolute())
                .or_else(|| Some(variable("HOME")?.join(".cache")))
                .map(|folder| folder.join("telewarden")),
        };
        folder.map_or(Self::Off, Self::Folder)
    }

    /// Wasmtime's cache, where there is one to use.
    pub(super) fn open(&self) -> Result<Option<wasmtime::Cache>, CacheProblem> {
        let Self::Folder(root) = self else { return Ok(None) };
        // A folder of its own: now and then wasmtime deletes in it whatever it does not know.
        let folder = root.join("compiled");
        if private_folder(&folder).is_err() {
            return Ok(None);
        }
        for folder in [root, &folder] {
            check(folder)?;
        }
        let mut config = wasmtime::CacheConfig::new();
        config.with_directory(folder);
        // A command that runs for ten milliseconds spends most of them reading its code in. A small window is quicker to
        // unpack than a small file is to read, and better compression later, in the background, would undo it.
        config.with_baseline_compression_level(1);
        config.with_optimized_compression_usage_counter_threshold(u64::MAX);
        Ok(wasmtime::Cache::new(config).ok())
    }
}

/// Makes a folder, and those that it is in, for the user alone. One that exists stays as it is.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn check(path: &Path) -> Result<(), CacheProblem> {
    use std::os::unix::fs::MetadataExt;

    match fs::metadata(path) {
        Ok(metadata) => judge(
            path,
            metadata.uid(),
            metadata.mode() & 0o7777,
            rustix::process::geteuid().as_raw(),
        ),
        // A folder that cannot be looked at cannot be read from either.
        Err(_) => Ok(()),
    }
}

#[cfg(unix)]
fn judge(path: &Path, owner: u32, mode: u32, user: u32) -> Result<(), CacheProblem> {
    const ROOT: u32 = 0;
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let path = path.to_owned();
    if owner != ROOT && owner != user {
        return Err(CacheProblem::Owner { path, owner });
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(CacheProblem::Writable { path, mode });
    }
    Ok(())
}

/// Elsewhere a user's own folder is the user's own.
#[cfg(not(unix))]
fn check(_: &Path) -> Result<(), CacheProblem> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::own(1000, 0o700, true)]
    #[case::own_that_others_read(1000, 0o755, true)]
    #[case::root_s(0, 0o755, true)]
    #[case::somebody_else_s(1001, 0o700, false)]
    #[case::group_can_write(1000, 0o770, false)]
    #[case::everybody_can_write(1000, 0o702, false)]
    #[case::everybody_can_write_with_sticky_bit(0, 0o1777, false)]
    fn a_folder_is_trusted(#[case] owner: u32, #[case] mode: u32, #[case] trusted: bool) {
        assert_eq!(judge(Path::new("cache"), owner, mode, 1000).is_ok(), trusted);
    }
}
