//! Files that are replaced as a whole.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file, and the folders that it is in where there are none. A reader sees what was there before or all of the
/// new bytes, and never a part of them. The file gets the permissions that the user's file mode creation mask leaves.
///
/// # Errors
/// Whatever keeps the folder or the file from being made. What was there before is still there then.
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
