//! The arguments that say whose signature a module needs. Every command has the same.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, Key, Signer};

/// Whose signature a module from a registry needs.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SignerArgs {
    /// Use only a module from a registry that was signed with this key
    ///
    /// A public key in PEM, such as cosign.pub: ECDSA P-256 or Ed25519.
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    key: Option<PathBuf>,
    /// Use only a module from a registry that was signed by this identity
    ///
    /// The subject of the certificate that it was signed with: an e-mail address, or a URI such as that of a workflow.
    #[arg(
        long,
        value_name = "IDENTITY",
        group = "identity",
        requires = "certificate_oidc_issuer"
    )]
    certificate_identity: Option<String>,
    /// Use only a module from a registry that was signed by an identity that matches from its beginning to its end
    #[arg(
        long,
        value_name = "REGEXP",
        group = "identity",
        requires = "certificate_oidc_issuer"
    )]
    certificate_identity_regexp: Option<String>,
    /// Who vouches for the identity, such as `https://token.actions.githubusercontent.com`
    #[arg(long, value_name = "URL", requires = "identity")]
    certificate_oidc_issuer: Option<String>,
    /// Whose certificates and whose logs are believed; those of Sigstore's public instance without
    ///
    /// A trusted_root.json, as `cosign trusted-root create` writes one.
    #[arg(long, value_name = "FILE", requires = "identity")]
    trusted_root: Option<PathBuf>,
}

impl SignerArgs {
    /// Who has to have signed a module that is pulled. None if that does not matter.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Use`] for the files, [`Error::Pattern`] for a regular expression that is none, and
    /// [`Error::NoKeyless`] where the program has no support for identities.
    pub fn signer(&self) -> Result<Option<Signer>, Error> {
        match &self.key {
            Some(path) => read(path, Key::from_pem).map(|key| Some(Signer::Key(key))),
            None => self.identity(),
        }
    }

    /// Who has to have signed the module that is run: the address of one in a registry, a file, or the built-in one.
    ///
    /// # Errors
    /// As [`SignerArgs::signer`], and [`Error::NotOfRegistry`] where there is no signature to look for.
    pub fn signer_of(&self, policy: Option<&str>) -> Result<Option<Signer>, Error> {
        match (self.argument(), policy) {
            (None, _) => Ok(None),
            (Some(_), Some(address)) if address.starts_with("registry://") => self.signer(),
            (Some(argument), policy) => Err(Error::NotOfRegistry {
                argument,
                policy: policy.unwrap_or("the built-in module").to_owned(),
            }),
        }
    }

    /// The argument that says who has to have signed.
    fn argument(&self) -> Option<&'static str> {
        let arguments = [
            (self.key.is_some(), "--key"),
            (self.certificate_identity.is_some(), "--certificate-identity"),
            (
                self.certificate_identity_regexp.is_some(),
                "--certificate-identity-regexp",
            ),
        ];
        arguments
            .into_iter()
            .find_map(|(is_given, name)| is_given.then_some(name))
    }

    #[cfg(feature = "keyless")]
    fn identity(&self) -> Result<Option<Signer>, Error> {
        use super::{Identity, Subject, TrustedRoot};

        let subject = match (&self.certificate_identity, &self.certificate_identity_regexp) {
            (Some(subject), _) => Subject::exactly(subject),
            (None, Some(pattern)) => Subject::matching(pattern)?,
            (None, None) => return Ok(None),
        };
        let root = match &self.trusted_root {
            Some(path) => read(path, TrustedRoot::from_json)?,
            None => TrustedRoot::public_good()?,
        };
        // Without an issuer, which the command line requires, nobody is.
        let issuer = self.certificate_oidc_issuer.clone().unwrap_or_default();
        Ok(Some(Signer::Identity(Identity::new(subject, issuer, root))))
    }

    #[cfg(not(feature = "keyless"))]
    fn identity(&self) -> Result<Option<Signer>, Error> {
        match self.argument() {
            Some(_) => Err(Error::NoKeyless),
            None => Ok(None),
        }
    }
}

fn read<T>(path: &Path, parse: impl Fn(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
    let text = fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|source| Error::Use {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
