//! The cache for compiled code, and whether its folder can be trusted.
//!
//! Compiled code runs without a sandbox. So the folder is used only if no other user except root can write to it, which
//! is ssh's rule for its keys too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A cache for compiled code.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Cache {
    /// No cache.
    #[default]
    Off,
    /// The folder `compiled` in this folder. Both are created with mode 0700. They are used only if they belong to the user
    /// or to root and no other user can write to them; otherwise
    /// [`Module::cache_problem`](crate::Module::cache_problem) has the reason. If they cannot be created or written, the
    /// module is compiled each time.
    Folder(PathBuf),
}

/// Why the cache is not used. The module was compiled without it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheProblem {
    /// The folder belongs to another user.
    #[error(
        "compiled code is not kept in `{}`: the folder belongs to user {owner}, who decides what runs; name another one in \
         TELEWARDEN_CACHE",
        path.display()
    )]
    Owner {
        /// The folder.
        path: PathBuf,
        /// The owner's user ID.
        owner: u32,
    },
    /// Other users can write to the folder.
    #[error(
        "compiled code is not kept in `{}`: others can write into the folder (mode {mode:03o}), and decide what runs; delete \
         it, and it is made anew with mode 700",
        path.display()
    )]
    Writable {
        /// The folder.
        path: PathBuf,
        /// The folder's mode.
        mode: u32,
    },
}

impl Cache {
    /// The user's cache: `TELEWARDEN_CACHE`, else `telewarden` in `XDG_CACHE_HOME`, else `telewarden` in `~/.cache`. An
    /// empty `TELEWARDEN_CACHE` turns the cache off.
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

    /// True if compiled code can be kept in it.
    pub fn is_usable(&self) -> bool {
        matches!(self.open(), Ok(Some(_)))
    }

    /// Wasmtime's cache, if it can be used.
    pub(super) fn open(&self) -> Result<Option<wasmtime::Cache>, CacheProblem> {
        let Self::Folder(root) = self else { return Ok(None) };
        // A separate folder, because wasmtime sometimes deletes unknown files in it.
        let folder = root.join("compiled");
        if private_folder(&folder).is_err() {
            return Ok(None);
        }
        for folder in [root, &folder] {
            check(folder)?;
        }
        let mut config = wasmtime::CacheConfig::new();
        config.with_directory(folder);
        // Most of a short command's time is spent loading compiled code. A small window is faster to decompress, and
        // wasmtime's background recompression would undo it.
        config.with_baseline_compression_level(1);
        config.with_optimized_compression_usage_counter_threshold(u64::MAX);
        Ok(wasmtime::Cache::new(config).ok())
    }
}

/// Creates a folder and its parents that only the user can access. An existing folder is not changed.
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
        // A folder without metadata cannot be read either.
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

/// On other systems, a user's cache folder is private by default.
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
