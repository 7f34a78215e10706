//! The store of pulled modules: files that are named by the digest of their content.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::Error;
use crate::Cache;
use crate::module::private_folder;

/// A SHA-256 digest, as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digits alone.
    pub(super) fn hex(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").ok_or("a digest starts with `sha256:`")?;
        let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        match hex.len() == 64 && hex.chars().all(digit) {
            true => Ok(Self(hex.to_owned())),
            false => Err("a digest is `sha256:` and 64 of the digits 0-9 and a-f"),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// A folder of manifests and modules. Every read is verified, so the folder need not be trusted.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

impl Store {
    /// A store in this folder, which is created with the first file.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The user's store, beside the compiled code. `None` if the cache is turned off.
    pub fn of_user() -> Option<Self> {
        match Cache::of_user() {
            Cache::Folder(folder) => Some(Self::new(folder.join("artifacts"))),
            Cache::Off => None,
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join("sha256").join(&digest.0)
    }

    /// The content with this digest, if it is stored. A damaged file is removed.
    pub fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) == *digest {
            return Some(bytes);
        }
        // If it cannot be removed, the next read finds it damaged again.
        _ = fs::remove_file(&path);
        None
    }

    /// Stores bytes under their digest. A reader sees all of them or none.
    ///
    /// # Errors
    /// [`Error::Write`] if the folder or the file cannot be created.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        // Compiled code is stored beside it, and is used only if the folder belongs to the user.
        private_folder(&self.0)
            .and_then(|()| crate::file::replace(&path, bytes))
            .map_err(|source| Error::Write { path, source })?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_got_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("modules"));
        let digest = store.put(b"hello").unwrap();
        assert_eq!(
            digest.to_string(),
            "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        assert_eq!(store.get(&digest).as_deref(), Some(&b"hello"[..]));
        fs::write(store.path(&digest), b"hell0").unwrap();
        assert_eq!(store.get(&digest), None);
        assert!(!store.path(&digest).exists());
    }

    #[test]
    fn digests_are_lower_case_hexadecimal() {
        let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
        for wrong in [
            hex,
            "sha256:",
            &format!("sha512:{hex}"),
            &format!("sha256:{}", hex.to_uppercase()),
            "sha256:../../etc",
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
