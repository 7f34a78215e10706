//! Signatures of either form, by key and by identity.

#[cfg(feature = "keyless")]
mod identity;
mod key;
#[cfg(feature = "keyless")]
mod sigstore;
