//! A module's metadata as a Kubewarden policy.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasm_encoder::{CustomSection, Section};
use wasmparser::{Parser, Payload, Validator};

use super::Error;

/// The custom section that contains the metadata, as JSON.
const SECTION: &str = "io.kubewarden.metadata";

/// A policy's metadata: `metadata.yml`, or the module's custom section, which adds the protocol version. Unknown fields
/// are ignored, as `kwctl` does.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The version of Kubewarden's protocol. The module's `protocol_version` operation answers it.
    #[serde(default)]
    pub protocol_version: Option<String>,
    /// The requests that the policy validates.
    pub rules: Vec<Rule>,
    /// Annotations for catalogs and policy reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// True if the policy can change objects.
    pub mutating: bool,
    /// True if the audit scanner can run the policy.
    #[serde(default = "yes")]
    pub background_audit: bool,
    /// The execution mode, such as `kubewarden-wapc`.
    #[serde(default = "wapc")]
    pub execution_mode: String,
    /// The input type.
    #[serde(default)]
    pub policy_type: PolicyType,
    /// The cluster resources that the policy reads.
    #[serde(default)]
    pub context_aware_resources: BTreeSet<ContextAwareResource>,
    /// The host capabilities that the policy needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_capabilities: Option<BTreeSet<String>>,
    /// The oldest Kubewarden version that can run the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_kubewarden_version: Option<String>,
}

/// A policy's input.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyType {
    /// Admission requests.
    #[default]
    Kubernetes,
    /// Any JSON.
    Raw,
}

/// A rule for requests, as in a Kubernetes webhook's `rules`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The resources' API groups.
    pub api_groups: Vec<String>,
    /// The groups' versions.
    pub api_versions: Vec<String>,
    /// The resources' plural names.
    pub resources: Vec<String>,
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `*`.
    pub operations: Vec<String>,
}

/// A kind of cluster resource.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContextAwareResource {
    /// The `apiVersion`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
}

const fn yes() -> bool {
    true
}

fn wapc() -> String {
    "kubewarden-wapc".to_owned()
}

impl Metadata {
    /// Checks that Kubewarden accepts the metadata.
    fn check(&self) -> Result<(), Error> {
        const OPERATIONS: &[&str] = &["CREATE", "UPDATE", "DELETE", "CONNECT", "*"];
        let invalid = |why: String| Err(Error::Invalid(why));
        if self.protocol_version.as_deref() != Some("v1") {
            return invalid(format!(
                "the module speaks protocol {:?}, not `v1`",
                self.protocol_version
            ));
        }
        if self.execution_mode != wapc() {
            return invalid(format!("`executionMode: {}` is not `{}`", self.execution_mode, wapc()));
        }
        for rule in &self.rules {
            let lists = [
                ("apiGroups", &rule.api_groups),
                ("apiVersions", &rule.api_versions),
                ("resources", &rule.resources),
                ("operations", &rule.operations),
            ];
            for (name, list) in lists {
                if list.is_empty() {
                    return invalid(format!("a rule's `{name}` is empty"));
                }
                if list.len() > 1 && list.iter().any(|item| item == "*") {
                    return invalid(format!("a rule's `{name}` has `*` and other values"));
                }
            }
            if let Some(unknown) = rule
                .operations
                .iter()
                .find(|operation| !OPERATIONS.contains(&operation.as_str()))
            {
                return invalid(format!("unknown operation `{unknown}`"));
            }
        }
        Ok(())
    }

    /// The manifest's annotations in a registry: all one-line annotations of the metadata, and the source's URL.
    pub(super) fn of_manifest(&self) -> BTreeMap<String, String> {
        const SOURCE: &str = "io.kubewarden.policy.source";
        const OCI_SOURCE: &str = "org.opencontainers.image.source";
        let annotations = self.annotations.iter().flatten();
        let mut annotations: BTreeMap<_, _> = annotations
            .filter(|(_, value)| value.lines().count() <= 1)
            .map(|(name, value)| (name.clone(), value.trim().to_owned()))
            .collect();
        if let Some(source) = annotations.get(SOURCE).cloned() {
            annotations.entry(OCI_SOURCE.to_owned()).or_insert(source);
        }
        annotations
    }
}

/// The metadata of a module, if it has any.
///
/// # Errors
/// [`Error::NotWasm`] for other bytes, [`Error::Metadata`] for metadata that Kubewarden cannot decode.
pub fn metadata(wasm: &[u8]) -> Result<Option<Metadata>, Error> {
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CustomSection(section) = payload.map_err(|source| Error::NotWasm { source })?
            && section.name() == SECTION
        {
            return serde_json::from_slice(section.data())
                .map(Some)
                .map_err(|source| Error::Metadata { source });
        }
    }
    Ok(None)
}

/// Adds metadata to a module. `protocol_version` is the module's answer to the operation of that name, and `usage` is
/// the text that a catalog shows.
///
/// # Errors
/// [`Error::NotWasm`] for other bytes, [`Error::AlreadyAnnotated`], and [`Error::Invalid`] for metadata that Kubewarden
/// refuses.
pub fn annotate(
    wasm: &[u8],
    mut metadata: Metadata,
    protocol_version: &Value,
    usage: Option<&str>,
) -> Result<Vec<u8>, Error> {
    Validator::new()
        .validate_all(wasm)
        .map_err(|source| Error::NotWasm { source })?;
    if self::metadata(wasm)?.is_some() {
        return Err(Error::AlreadyAnnotated);
    }
    metadata.protocol_version = protocol_version.as_str().map(str::to_owned);
    if let Some(usage) = usage {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert("io.kubewarden.policy.usage".to_owned(), usage.to_owned());
    }
    metadata.check()?;
    let data = serde_json::to_vec(&metadata).map_err(|source| Error::Metadata { source })?;
    let mut annotated = wasm.to_vec();
    let section = CustomSection {
        name: SECTION.into(),
        data: data.into(),
    };
    section.append_to(&mut annotated);
    Ok(annotated)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    fn with(pointer: &str, value: Value) -> Metadata {
        let mut metadata = json!({
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            "annotations": {},
            "mutating": false,
            "executionMode": "kubewarden-wapc",
        });
        *metadata.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value(metadata).unwrap()
    }

    #[test]
    fn what_is_annotated_is_read_again() {
        let before = with("/annotations", json!({"io.kubewarden.policy.title": "test"}));
        let annotated = annotate(EMPTY, before.clone(), &json!("v1"), Some("# How")).unwrap();
        let after = metadata(&annotated).unwrap().unwrap();
        assert!(annotated.starts_with(EMPTY));
        assert_eq!(
            (&after.rules, after.policy_type),
            (&before.rules, PolicyType::Kubernetes)
        );
        assert_eq!(after.protocol_version.as_deref(), Some("v1"));
        assert_eq!(after.annotations.unwrap()["io.kubewarden.policy.usage"], "# How");
        let again = annotate(&annotated, before, &json!("v1"), None);
        assert!(matches!(again, Err(Error::AlreadyAnnotated)));
    }

    #[rstest]
    #[case::no_resources("/rules/0/resources", json!([]), "v1")]
    #[case::everything_and_more("/rules/0/apiGroups", json!(["*", "apps"]), "v1")]
    #[case::no_such_operation("/rules/0/operations", json!(["LOOK"]), "v1")]
    #[case::another_engine("/executionMode", json!("opa"), "v1")]
    #[case::another_protocol("/mutating", json!(true), "v2")]
    fn what_kubewarden_refuses_is_refused(#[case] pointer: &str, #[case] value: Value, #[case] protocol: &str) {
        let annotated = annotate(EMPTY, with(pointer, value), &json!(protocol), None);
        assert!(matches!(annotated, Err(Error::Invalid(_))), "{annotated:?}");
    }

    #[rstest]
    #[case::nothing(b"")]
    #[case::text(b"hello")]
    #[case::cut_off(b"\0asm\x01\0\0\0\x01\x7f")]
    fn what_is_no_module_is_refused(#[case] wasm: &[u8]) {
        let annotated = annotate(wasm, with("/mutating", json!(false)), &json!("v1"), None);
        assert!(matches!(annotated, Err(Error::NotWasm { .. })));
    }

    #[test]
    fn a_manifest_takes_annotations_of_one_line() {
        let metadata = with(
            "/annotations",
            json!({"a": "one line\n", "b": "two\nlines", "io.kubewarden.policy.source": "https://example.com"}),
        );
        let annotations = metadata.of_manifest();
        assert_eq!(annotations["a"], "one line");
        assert!(!annotations.contains_key("b"));
        assert_eq!(annotations["org.opencontainers.image.source"], "https://example.com");
    }
}
