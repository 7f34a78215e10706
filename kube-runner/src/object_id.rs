//! The identity of an object: kind, namespace and name.

use std::fmt;
use std::sync::Arc;

use kube::core::GroupVersionKind;
use serde_json::Value;

/// A kind without its version.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct GroupKind {
    pub(crate) group: String,
    pub(crate) kind: String,
}

impl GroupKind {
    /// The kind of a group, version and kind.
    pub(crate) fn of(gvk: &GroupVersionKind) -> Self {
        Self {
            group: gvk.group.clone(),
            kind: gvk.kind.clone(),
        }
    }

    /// Parses `Kind.group`, the format of [`Display`](fmt::Display).
    pub(crate) fn parse(text: &str) -> Self {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
        }
    }
}

impl fmt::Display for GroupKind {
    /// The format of `kubectl` and the ApplySet specification.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// Why a JSON value is not a Kubernetes object.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotAnObject(pub(crate) &'static str);

/// The group, version and kind of an object.
///
/// # Errors
/// If it has no `apiVersion` or no `kind`.
pub(crate) fn kind_of(object: &Value) -> Result<GroupVersionKind, NotAnObject> {
    let text = |field| {
        object[field]
            .as_str()
            .ok_or(NotAnObject("it has no apiVersion or no kind"))
    };
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    Ok(GroupVersionKind::gvk(group, version, kind))
}

/// A namespaced object.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ObjectId {
    pub(crate) kind: Arc<GroupKind>,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl ObjectId {
    /// The id of a rendered object.
    ///
    /// # Errors
    /// If it has no kind, no name or no namespace.
    pub(crate) fn of(object: &Value) -> Result<Self, NotAnObject> {
        let kind = GroupKind::of(&kind_of(object)?);
        let text = |field: &'static str| {
            let text = object["metadata"][field].as_str().filter(|text| !text.is_empty());
            text.map(Arc::from).ok_or(NotAnObject("it has no name or no namespace"))
        };
        Ok(Self {
            kind: Arc::new(kind),
            namespace: text("namespace")?,
            name: text("name")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_kind_is_parsed_as_it_is_displayed() {
        for text in ["ConfigMap", "Deployment.apps", "NetworkPolicy.networking.k8s.io"] {
            assert_eq!(GroupKind::parse(text).to_string(), text);
        }
    }

    #[test]
    fn an_object_without_a_name_has_no_id() {
        let mut object =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"}});
        assert_eq!(ObjectId::of(&object).unwrap().to_string(), "Deployment.apps b/a");
        object["metadata"]["name"] = json!("");
        assert_eq!(
            ObjectId::of(&object),
            Err(NotAnObject("it has no name or no namespace"))
        );
        object["kind"] = json!(null);
        assert_eq!(
            ObjectId::of(&object),
            Err(NotAnObject("it has no apiVersion or no kind"))
        );
    }
}
