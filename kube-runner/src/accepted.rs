//! `topology: standalone`: the last accepted declarations, stored in the cluster.
//!
//! All sources share one configuration. A refused source keeps its previous part, which is rendered again from its last
//! accepted declaration. A rendered configuration is never read back, because anybody who can write to its namespace could
//! have changed it. So each declaration is stored in its own ConfigMap, with a name derived from the source, in a
//! namespace with trusted writers: the operator's own, or for `apply` that of the shared Telegraf.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use telewarden_policy::well_known::FIELD_MANAGER;

use crate::error::Error;
use crate::writer::{Writer, bounded};

/// The label with the instance.
const ACCEPTED: &str = "telewarden.io/accepted";
/// The ConfigMap's key for the declaration.
const DECLARATION: &str = "declaration.json";
/// The ConfigMap's key for the source's identity.
const SOURCE: &str = "source";
/// The page size of lists. A page is held in memory.
const PAGE: u32 = 20;

/// Declarations by the identity of their source.
pub(crate) type Declarations = BTreeMap<String, Arc<RawValue>>;

/// The store of one instance's accepted declarations.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedStore {
    namespace: String,
    instance: String,
}

impl AcceptedStore {
    pub(crate) fn new(namespace: &str, instance: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            instance: instance.to_owned(),
        }
    }

    /// Reads all declarations.
    ///
    /// # Errors
    /// If the request fails.
    pub(crate) async fn read(&self, client: &Client) -> Result<Declarations, Error> {
        let mut declarations = Declarations::new();
        let mut params = ListParams::default()
            .labels(&format!("{ACCEPTED}={}", self.instance))
            .limit(PAGE);
        loop {
            let doing = || format!("read the accepted declarations in namespace {}", self.namespace);
            let page = bounded(self.api(client).list(&params), doing).await?;
            for map in page.items {
                let name = map.metadata.name.clone().unwrap_or_default();
                match self.entry(map) {
                    Some((source, declaration)) => drop(declarations.insert(source, declaration)),
                    None => tracing::warn!(name, "ignored: the ConfigMap's name does not match its source"),
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(declarations),
            }
        }
    }

    /// Stores a declaration.
    ///
    /// # Errors
    /// If the request fails.
    pub(crate) async fn write(&self, writer: &Writer, source: &str, declaration: &RawValue) -> Result<(), Error> {
        let name = self.name(source);
        let map = self.map(source, declaration);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let api = self.api(&writer.client);
        let patch = Patch::Apply(&map);
        let request = api.patch(&name, &params, &patch);
        let doing = || {
            format!(
                "store the accepted declaration of {source}, ConfigMap {}/{name}",
                self.namespace
            )
        };
        writer.write(request, doing).await.map(drop)
    }

    /// Deletes the declaration of a source.
    ///
    /// # Errors
    /// If the request fails.
    pub(crate) async fn delete(&self, writer: &Writer, source: &str) -> Result<(), Error> {
        let name = self.name(source);
        let api = self.api(&writer.client);
        let params = DeleteParams::default();
        let request = api.delete(&name, &params);
        let doing = || {
            format!(
                "delete the accepted declaration of {source}, ConfigMap {}/{name}",
                self.namespace
            )
        };
        match writer.write(request, doing).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result.map(drop),
        }
    }

    fn api(&self, client: &Client) -> Api<ConfigMap> {
        Api::namespaced(client.clone(), &self.namespace)
    }

    /// The ConfigMap's name, with 80 bits of a hash, so that no second source with the same name can be found.
    fn name(&self, source: &str) -> String {
        let digest = Sha256::digest(source.as_bytes());
        let digest: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
        format!("telewarden-accepted-{}-{digest}", self.instance)
    }

    fn map(&self, source: &str, declaration: &RawValue) -> Value {
        // Without the labels of rendered objects, so that it is not watched or pruned.
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name(source),
                "namespace": self.namespace,
                "labels": {ACCEPTED: self.instance, "app.kubernetes.io/name": "telewarden-operator"},
            },
            "data": {SOURCE: source, DECLARATION: declaration.get()},
        })
    }

    /// The declaration in a ConfigMap. `None` if the name does not match the source, or the declaration is not an object.
    fn entry(&self, map: ConfigMap) -> Option<(String, Arc<RawValue>)> {
        let mut data = map.data?;
        let (source, declaration) = (data.remove(SOURCE)?, data.remove(DECLARATION)?);
        let is_object = declaration.trim_start().starts_with('{');
        if !is_object || map.metadata.name.as_deref() != Some(&self.name(&source)) {
            return None;
        }
        let declaration = RawValue::from_string(declaration).ok()?;
        Some((source, Arc::from(declaration)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    const REDIS: &str = "argoproj.io/Application/argocd/redis";

    fn store() -> AcceptedStore {
        AcceptedStore::new("telewarden", "one")
    }

    fn map() -> ConfigMap {
        serde_json::from_value(store().map(REDIS, &raw(r#"{"kind": "Application"}"#))).unwrap()
    }

    #[test]
    fn a_stored_declaration_is_read_again() {
        let (source, declaration) = store().entry(map()).unwrap();
        assert_eq!(
            (source.as_str(), declaration.get()),
            (REDIS, r#"{"kind": "Application"}"#)
        );
    }

    #[test]
    fn a_name_contains_the_instance_and_80_bits_of_the_source() {
        let name = store().name(REDIS);
        let digest = name.strip_prefix("telewarden-accepted-one-").unwrap();
        assert_eq!(digest.len(), 20);
        assert_ne!(name, store().name("argoproj.io/Application/argocd/nublado"));
        assert_ne!(name, AcceptedStore::new("telewarden", "two").name(REDIS));
    }

    #[test]
    fn an_entry_with_another_name_is_ignored() {
        let mut other = map();
        other.metadata.name = Some("telewarden-accepted-one-00000000000000000000".to_owned());
        assert!(store().entry(other).is_none());
        let mut victim = map();
        let data = victim.data.as_mut().unwrap();
        data.insert(SOURCE.to_owned(), "argoproj.io/Application/argocd/victim".to_owned());
        assert!(store().entry(victim).is_none());
        assert!(AcceptedStore::new("telewarden", "two").entry(map()).is_none());
    }

    #[test]
    fn a_declaration_that_is_not_an_object_is_ignored() {
        for text in ["", "[]", "\"text\"", "{"] {
            let mut broken = map();
            broken
                .data
                .as_mut()
                .unwrap()
                .insert(DECLARATION.to_owned(), text.to_owned());
            assert!(store().entry(broken).is_none(), "{text}");
        }
    }
}
