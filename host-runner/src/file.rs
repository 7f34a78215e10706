//! Atomic file writes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file, and creates its folders. A reader sees the old content or all of the new content, never a part. The
/// permissions follow the user's umask.
///
/// # Errors
/// If a folder or the file cannot be created. The old content stays.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(path, bytes, None)
}

/// Writes a file that is there anew, as [`replace`] does. It keeps its permissions, and a link to it stays a link.
///
/// # Errors
/// As [`replace`], and where there is no such file.
pub fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let permissions = fs::metadata(&path)?.permissions();
    write(&path, bytes, Some(permissions))
}

fn write(path: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".telewarden-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.persist(path)?;
    Ok(())
}
