//! The signatures beside a module.

use std::collections::BTreeMap;

use oci_client::Reference;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OciDescriptor, OciImageIndex, OciImageManifest};

use super::session::Session;
use super::{Digest, Error, Location, Login, Registry, run};
use crate::artifact::signature::{BUNDLE_MEDIA_TYPE, DOCUMENT_MEDIA_TYPE, Document, PREDICATE_TYPE, Signature};

/// No document that is signed, and no bundle, is larger, in bytes; they have some 300, or some 10,000.
const MAX_SIGNATURE: usize = 256 * 1024;

/// In each form, a module has no more signatures, or the rest of them is not looked at.
const MAX_SIGNATURES: usize = 50;

/// The type of an empty configuration.
const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// Where cosign says which statement is in a bundle.
const PREDICATE_TYPE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// The tag of signatures in cosign's first form.
pub(super) fn tag(digest: &Digest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

impl Registry {
    /// Everything beside a module that may be a signature of it.
    pub(super) fn signatures(&self, at: &Location, digest: &Digest) -> Result<Vec<Signature>, Error> {
        let Login { auth, note } = Login::of(at);
        let fetched = run(async {
            let session = Session::open(self, at, &auth).await?;
            let mut signatures = documents(&session, &at.reference, digest).await?;
            signatures.extend(bundles(&session, &at.reference, digest).await?);
            Ok(signatures)
        });
        fetched.map_err(|error| self.failed("read the signatures of", at, note, error))
    }
}

/// Cosign's first form: a layer for each signature, in the manifest at a tag.
async fn documents(
    session: &Session<'_>,
    at: &Reference,
    digest: &Digest,
) -> Result<Vec<Signature>, OciDistributionError> {
    let Some(manifest) = session.manifest_if_any(&tag(digest)).await? else {
        return Ok(Vec::new());
    };
    let manifest: OciImageManifest = serde_json::from_slice(&manifest)?;
    let layers = manifest
        .layers
        .into_iter()
        .filter(|layer| is(layer, DOCUMENT_MEDIA_TYPE));
    let mut signatures = Vec::new();
    for layer in layers.take(MAX_SIGNATURES) {
        let text = session.blob(at, &layer).await?;
        let annotation = |name: &str| layer.annotations.as_ref()?.get(name).cloned();
        signatures.extend(Document::new(text, annotation).map(Signature::Document));
    }
    Ok(signatures)
}

/// Cosign's second form: a manifest for each signature, which refers to the module's.
async fn bundles(
    session: &Session<'_>,
    at: &Reference,
    digest: &Digest,
) -> Result<Vec<Signature>, OciDistributionError> {
    let index = match session.referrers(digest, BUNDLE_MEDIA_TYPE).await? {
        Some(index) => Some(index),
        // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
        None => session.manifest_if_any(&format!("sha256-{}", digest.hex())).await?,
    };
    let Some(index) = index else { return Ok(Vec::new()) };
    let index: OciImageIndex = serde_json::from_slice(&index)?;
    let referrers = index.manifests.into_iter().filter(|referrer| {
        // Where there is no type of the artifact, some write that of its empty configuration.
        let artifact_type = referrer.artifact_type.as_deref().unwrap_or(EMPTY_MEDIA_TYPE);
        [BUNDLE_MEDIA_TYPE, EMPTY_MEDIA_TYPE].contains(&artifact_type)
            && may_be_signature(referrer.annotations.as_ref())
    });
    let digests = referrers.filter_map(|referrer| referrer.digest.parse::<Digest>().ok());
    let mut signatures = Vec::new();
    for digest in digests.take(MAX_SIGNATURES) {
        let Some(manifest) = session.manifest_if_any(&digest.to_string()).await? else {
            continue;
        };
        let Ok(manifest) = serde_json::from_slice::<OciImageManifest>(&manifest) else {
            continue;
        };
        let layer = manifest.layers.iter().find(|layer| is(layer, BUNDLE_MEDIA_TYPE));
        if let Some(layer) = layer.filter(|_| may_be_signature(manifest.annotations.as_ref())) {
            signatures.push(Signature::Bundle(session.blob(at, layer).await?));
        }
    }
    Ok(signatures)
}

/// A layer of this type, and no larger than one is.
fn is(layer: &OciDescriptor, media_type: &str) -> bool {
    layer.media_type == media_type
        && usize::try_from(layer.size).is_ok_and(|size| size <= MAX_SIGNATURE)
        && layer.digest.parse::<Digest>().is_ok()
}

/// False of what says that it is another statement about the module, such as a list of its contents.
fn may_be_signature(annotations: Option<&BTreeMap<String, String>>) -> bool {
    let predicate_type = annotations.and_then(|annotations| annotations.get(PREDICATE_TYPE_ANNOTATION));
    predicate_type.is_none_or(|predicate_type| predicate_type == PREDICATE_TYPE)
}
