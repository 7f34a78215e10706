//! Tokens, which nothing may print.

use std::fmt;
use std::path::{Path, PathBuf};

/// A token. It is shown nowhere.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The token itself, for a header or a Secret.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The file with the administrator's token. It is read before each request, because a mounted Secret changes.
#[derive(Clone, Debug)]
pub(crate) struct AdministratorToken(Option<PathBuf>);

impl AdministratorToken {
    pub(crate) fn new(path: Option<&Path>) -> Self {
        Self(path.map(Path::to_owned))
    }

    /// Reads the token.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn read(&self) -> Result<Token, String> {
        let Some(path) = &self.0 else {
            return Err(
                "the operator has no token of an administrator: start it with --influxdb-token-file".to_owned(),
            );
        };
        let cannot =
            |why: &dyn fmt::Display| format!("cannot read the administrator's token in {}: {why}", path.display());
        let text = tokio::fs::read_to_string(path).await.map_err(|error| cannot(&error))?;
        let text = text.trim();
        match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Token::new(text.to_owned())),
            false => Err(cannot(&"it is not a token")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::new("secret-token".to_owned());
        assert!(!format!("{token:?} {:?}", Some(vec![token.clone()])).contains("secret"));
    }

    #[tokio::test]
    async fn the_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = AdministratorToken::new(Some(&path));
        assert!(file.read().await.unwrap_err().contains("cannot read"));
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(file.read().await.unwrap().reveal(), "one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(file.read().await.unwrap().reveal(), "two");
        for wrong in ["", " \n", "a b", "a\nb"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(file.read().await.is_err(), "{wrong:?}");
        }
    }
}
