//! Has tokens replaced: marks the Secrets that contain them. The operator sees the marks, makes new tokens, and revokes the
//! old ones when the new pods are ready.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, ObjectList, Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource, ResourceExt};
use serde_json::json;
use telewarden_policy::well_known::{FIELD_MANAGER, INSTANCE, MANAGED_BY, ROTATE, ROTATED, SOURCE, TOKENS};

use crate::error::Error;
use crate::object::Metadata;
use crate::writer::{bounded, send};

/// How often the age of tokens is checked.
const CHECK: Duration = Duration::from_secs(600);

/// A Secret that was marked.
pub(crate) struct Marked {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) source: String,
}

/// Marks the Secrets with tokens of an instance for which `is_meant` holds, given the Secret and its source.
///
/// # Errors
/// If the API server refuses a request.
pub(crate) async fn mark(
    client: &Client,
    instance: &str,
    is_meant: impl Fn(&Metadata<Secret>, &str) -> bool,
) -> Result<Vec<Marked>, Error> {
    let ours = format!("{MANAGED_BY}={FIELD_MANAGER},{INSTANCE}={instance}");
    let params = ListParams::default().labels(&ours);
    // Without their data.
    let request = Request::new(Secret::url_path(&(), None)).list_metadata(&params);
    let list = send::<ObjectList<Metadata<Secret>>>(client, request);
    let list = bounded(list, || "list the Secrets with tokens".to_owned()).await?;
    let mark = json!({"metadata": {"annotations": {ROTATE: stamp(Timestamp::now())}}});
    let mut marked = Vec::new();
    for secret in list.items {
        let Some(source) = secret.annotations().get(SOURCE).cloned() else {
            continue;
        };
        if !secret.annotations().contains_key(TOKENS) || !is_meant(&secret, &source) {
            continue;
        }
        let (namespace, name) = (secret.namespace().unwrap_or_default(), secret.name_any());
        let (params, patch) = (PatchParams::default(), Patch::Merge(&mark));
        let path = Secret::url_path(&(), Some(&namespace));
        let request = Request::new(path).patch_metadata(&name, &params, &patch);
        let patched = send::<Metadata<Secret>>(client, request);
        bounded(patched, || format!("mark Secret {namespace}/{name}")).await?;
        marked.push(Marked {
            namespace,
            name,
            source,
        });
    }
    Ok(marked)
}

/// Marks Secrets whose tokens are older than the lifetime, until it is dropped.
pub(crate) async fn rotate_old(client: Client, instance: String, lifetime: Duration) {
    loop {
        let now = Timestamp::now();
        match mark(&client, &instance, |secret, _| is_old(secret, lifetime, now)).await {
            Ok(marked) => {
                for Marked { source, .. } in marked {
                    tracing::info!(source, "the token has reached its lifetime and is replaced");
                }
            }
            Err(error) => tracing::warn!(error = %error.chain(), "could not replace old tokens"),
        }
        tokio::time::sleep(CHECK).await;
    }
}

/// The value of the annotation that asks for a rotation. It sorts as time does.
fn stamp(now: Timestamp) -> String {
    format!("{:020}", now.as_millisecond())
}

/// True if the tokens in a Secret have reached their lifetime, and no rotation has been asked for.
fn is_old(secret: &Metadata<Secret>, lifetime: Duration, now: Timestamp) -> bool {
    let annotations = secret.annotations();
    let (asked, done) = (annotations.get(ROTATE), annotations.get(ROTATED));
    let rotated = done.and_then(|stamp| Timestamp::from_millisecond(stamp.parse().ok()?).ok());
    let created = secret.creation_timestamp().map(|time| time.0);
    let Some(made) = rotated.or(created).filter(|_| asked.is_none() || asked == done) else {
        return false;
    };
    // Tokens that were made together are not all replaced together: some are up to a tenth younger.
    let mut hasher = DefaultHasher::new();
    (secret.namespace(), secret.name_any()).hash(&mut hasher);
    let earlier = lifetime.mul_f64((hasher.finish() % 100) as f64 / 1000.0);
    let age = Duration::try_from(now.duration_since(made)).unwrap_or_default();
    age >= lifetime - earlier
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn secret(name: &str, created: Timestamp, annotations: serde_json::Value) -> Metadata<Secret> {
        let metadata = json!({
            "name": name, "namespace": "shop", "creationTimestamp": created.to_string(), "annotations": annotations,
        });
        serde_json::from_value(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})).unwrap()
    }

    fn days_after(start: Timestamp, days: u64) -> Timestamp {
        start + Duration::from_secs(days * DAY)
    }

    #[test]
    fn a_token_is_as_old_as_its_secret_or_its_last_rotation() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let lifetime = Duration::from_secs(10 * DAY);
        let is_old = |annotations, days| is_old(&secret("a", start, annotations), lifetime, days_after(start, days));
        assert!(!is_old(json!({}), 8));
        assert!(is_old(json!({}), 10));
        let stamp = stamp(days_after(start, 9));
        assert!(!is_old(json!({ROTATE: stamp, ROTATED: stamp}), 17));
        assert!(is_old(json!({ROTATE: stamp, ROTATED: stamp}), 19));
        // Asked for, and not done yet.
        assert!(!is_old(json!({ROTATE: stamp}), 19));
        assert!(is_old(json!({ROTATE: "soon", ROTATED: "soon"}), 10));
    }

    #[test]
    fn tokens_that_were_made_together_are_not_replaced_together() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let lifetime = Duration::from_secs(100 * DAY);
        let old_after = |days| {
            let names = (0..50).map(|number| format!("telegraf-{number}"));
            let is_old = |name: &String| is_old(&secret(name, start, json!({})), lifetime, days_after(start, days));
            names.filter(is_old).count()
        };
        assert_eq!((old_after(90), old_after(100)), (0, 50));
        assert!((10..40).contains(&old_after(95)), "{}", old_after(95));
    }
}
